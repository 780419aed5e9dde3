//! The way into a room: a client of `rtcsig/1`.
//!
//! [`Client::connect`] starts a task that keeps a WebSocket to the server for as long as the handle lives: it says
//! hello, resumes the session when it can, joins the room, answers heartbeats, and after a loss tries again for ever,
//! with full jitter between 0.25 and 5 s. Connections ([`Connection`](crate::Connection)) do not notice.
//!
//! [`lobby::Lobby`] stays outside of the rooms and keeps the list of those that have a robot.

use std::time::Duration;

pub use farwheel_proto::signaling::{ErrorCode, IceServer, Peer, PeerId, Role, RoomInfo, RoomName};

use crate::signal::Signal;

mod backoff;
mod client;
mod dial;
pub mod lobby;
mod session;

pub use client::{Client, Events};
pub use dial::DialError;
pub(crate) use dial::tls as client_tls;

/// Where to go and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ws://host:port/v1/ws` or `wss://host/v1/ws`; a url without a path gets `/v1/ws`, and `http`/`https` are taken
    /// as `ws`/`wss`.
    pub server: String,
    /// The room to join.
    pub room: RoomName,
    /// As whom.
    pub role: Role,
    /// Shown to the others.
    pub name: String,
    /// Sent in `hello`; anonymous without.
    pub token: Option<String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<std::path::PathBuf>,
}

impl Config {
    /// Checks what can be checked without a network: the url, and that the certificates can be read.
    ///
    /// # Errors
    ///
    /// What is wrong, in words for the user.
    pub fn check(&self) -> Result<(), DialError> {
        dial::Dial::new(&self.server, self.ca.as_deref()).map(drop)
    }
}

/// What happens at the signalling server.
#[derive(Clone, Debug)]
pub enum Event {
    /// In the room, for the first time or after a loss whose session could not be resumed. `peers` are those who were
    /// there before: the newcomer offers to them.
    Joined {
        /// This side's own id, for [`Manners::between`](crate::Manners::between).
        self_id: PeerId,
        /// Everybody else in the room.
        peers: Vec<Peer>,
        /// For [`Config::with_ice_servers`](crate::Config::with_ice_servers).
        ice_servers: Vec<IceServer>,
    },
    /// Back after a loss, in the same session: ids and peers are as they were.
    Resumed,
    /// Somebody came; the newcomer offers, so wait for its offer.
    PeerJoined(Peer),
    /// Somebody went.
    PeerLeft {
        /// Who.
        id: PeerId,
    },
    /// A message for one of the connections to `from`.
    Signal {
        /// The peer it came from.
        from: PeerId,
        /// The message.
        signal: Signal,
    },
    /// Fresh STUN and TURN servers: the earlier credentials are about to expire.
    IceServers(Vec<IceServer>),
    /// The server refused something without ending the session.
    Refused(Refusal),
    /// Not connected; the client tries again by itself.
    Lost {
        /// Why, in words.
        reason: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
    /// Over: trying again would not help. The client is closed.
    Fatal(Refusal),
}

/// An error as the server tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({})", code.as_str())]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
}
