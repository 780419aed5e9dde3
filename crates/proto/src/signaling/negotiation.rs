//! Who offers a connection, and who gives way.

use super::PeerId;

/// Who makes the first offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiative {
    /// This side; the newcomer in the room.
    Offer,
    /// The other side.
    Answer,
}

/// Perfect negotiation: what to do when both sides offer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Gives way: takes the other's offer and forgets its own.
    Polite,
    /// Ignores the other's offer.
    Impolite,
}

impl Manners {
    /// The rule of `rtcsig/1`: the smaller peer id is polite.
    pub fn between(own: PeerId, other: PeerId) -> Self {
        if own < other { Self::Polite } else { Self::Impolite }
    }
}
