//! Who carries what the connections say before they stand.

use std::time::{Duration, Instant};

use farwheel_peer::by_hand::Gathered;
use farwheel_peer::signaling::{Client, Events, PeerId};
use farwheel_peer::{ConnId, Signal};
use farwheel_proto::call::letter::{self, Kind};

use crate::call::{Side, Way};

/// The server of a room, or two people.
#[derive(Debug)]
pub(super) enum Post {
    Server(Client),
    People(People),
}

/// What people carry: one letter there, one back.
#[derive(Debug)]
pub(super) struct People {
    pub(super) side: Side,
    pub(super) gathered: Gathered,
    /// Since when the letter is being written.
    pub(super) begun: Option<Instant>,
    pub(super) letter: Option<Written>,
}

/// The own letter.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) conn: ConnId,
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Post {
    /// Begins, with what the server says if there is one.
    pub(super) fn open(way: &Way) -> (Self, Option<Events>) {
        match way {
            Way::Room(signaling) => {
                let (client, events) = Client::connect(signaling.clone());
                (Self::Server(client), Some(events))
            }
            Way::Letters(letters) => {
                let people = People {
                    side: letters.side.clone(),
                    gathered: Gathered::default(),
                    begun: None,
                    letter: None,
                };
                (Self::People(people), None)
            }
        }
    }

    /// Carries a signal, or puts it into the letter; what comes after the letter nobody carries.
    pub(super) fn send(&mut self, to: PeerId, signal: Signal) {
        match self {
            Self::Server(client) => client.send(to, signal),
            Self::People(people) if people.letter.is_none() => people.gathered.handle_signal(&signal),
            Self::People(_) => {}
        }
    }

    /// How long signals may take.
    pub(super) const fn patience(&self) -> Option<Duration> {
        match self {
            Self::Server(_) => None,
            Self::People(_) => Some(letter::LIFETIME),
        }
    }

    pub(super) const fn server(&self) -> Option<&Client> {
        match self {
            Self::Server(client) => Some(client),
            Self::People(_) => None,
        }
    }

    pub(super) const fn people(&mut self) -> Option<&mut People> {
        match self {
            Self::Server(_) => None,
            Self::People(people) => Some(people),
        }
    }

    pub(super) fn leave(&self) {
        if let Self::Server(client) = self {
            client.leave();
        }
    }
}
