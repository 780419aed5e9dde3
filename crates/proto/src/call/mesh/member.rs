//! Somebody else in the call, and the way to it.

use std::time::Instant;

use super::Offer;
use crate::call::message::NAME_CHARS_MAX;
use crate::call::text;
use crate::signaling::{ConnId, PeerId};

/// Somebody else in the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Names it at the server at the moment.
    pub id: PeerId,
    /// The name that the server tells.
    pub name: Option<String>,
    /// Whether the server lists it.
    pub presence: Presence,
    /// The way to it.
    pub link: Link,
    /// It was connected before.
    pub was_linked: bool,
    /// Nothing is heard of it since then, though it was connected before.
    pub down_since: Option<Instant>,
    /// Failed attempts since it was connected last.
    pub attempts: u32,
    /// The id that it says to have, which the server does not list yet.
    pub(super) claims: Option<PeerId>,
    /// When it, or its present id, was listed first.
    pub(super) came_at: Instant,
}

/// Whether the server lists somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does, or did when it was last heard of.
    Here,
    /// It does not any more.
    Away {
        /// Since then.
        since: Instant,
    },
}

/// The way to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Its offer is expected.
    Awaiting {
        /// Then this side offers.
        until: Instant,
    },
    /// A connection is being made.
    Connecting {
        /// Which.
        conn: ConnId,
        /// Whether an own offer waits for its answer.
        offer: Offer,
    },
    /// There is a connection.
    Linked {
        /// Which.
        conn: ConnId,
        /// Nothing comes over it since then.
        silent_since: Option<Instant>,
    },
    /// The last one failed; there will be another one.
    Waiting {
        /// Then.
        at: Instant,
    },
    /// The last one failed, and nothing can be done before it or the server comes back.
    Lost {
        /// Since then.
        since: Instant,
    },
}

impl Link {
    /// The connection there is, made or being made.
    pub const fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Connecting { conn, .. } | Self::Linked { conn, .. } => Some(*conn),
            Self::Awaiting { .. } | Self::Waiting { .. } | Self::Lost { .. } => None,
        }
    }
}

impl Member {
    pub(super) fn new(id: PeerId, name: Option<&str>, now: Instant) -> Self {
        let mut member = Self {
            id,
            name: None,
            presence: Presence::Here,
            link: Link::Awaiting { until: now },
            was_linked: false,
            down_since: None,
            attempts: 0,
            claims: None,
            came_at: now,
        };
        member.set_name(name);
        member
    }

    /// Takes a name that the server tells; none leaves the one before.
    pub(super) fn set_name(&mut self, name: Option<&str>) {
        let name = name.map(|name| text::line(name, NAME_CHARS_MAX)).filter(|name| !name.is_empty());
        if name.is_some() {
            self.name = name;
        }
    }

    /// The server does not list it any more.
    pub(super) fn leave_room(&mut self, now: Instant) {
        if self.presence == Presence::Here {
            self.presence = Presence::Away { since: now };
        }
    }
}
