//! The way into a room: a client of `rtcsig/1`.
//!
//! [`Client::connect`] starts a task that keeps a WebSocket to the server for as long as the handle lives: it says
//! hello, resumes the session when it can, joins the room, answers heartbeats, and after a loss tries again for ever,
//! with full jitter between 0.25 and 5 s. Connections ([`Connection`](crate::Connection)) do not notice.
//!
//! [`lobby::Lobby`] stays outside of the rooms and keeps the list of those that have a robot.

use std::time::Duration;

pub use farwheel_proto::signaling::{
    ErrorCode, IceServer, LeaveReason, ModAction, Peer, PeerId, Permission, Policy, Role, RoomInfo, RoomName,
    Topology,
};
use serde_json::Value;

use crate::config::Initiative;
use crate::signal::Signal;

mod backoff;
mod client;
mod dial;
pub mod lobby;
mod session;

pub(crate) use client::sleep_until;
pub use client::{Client, Events, Full};
pub use dial::DialError;
pub(crate) use dial::tls as client_tls;

/// Where to go and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ws://host:port/v1/ws` or `wss://host/v1/ws`; a url without a path gets `/v1/ws`, and `http`/`https` are taken
    /// as `ws`/`wss`.
    pub server: String,
    /// Where to go there.
    pub place: Place,
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

/// Where to go at a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Into a room, which begins to exist if it did not.
    Room {
        /// Its name.
        room: RoomName,
        /// As whom.
        role: Role,
        /// What the others shall know, an object of at most 4 KiB, or null.
        meta: Value,
    },
    /// To the one other peer that gives the same code.
    Pair {
        /// The code; no room's name.
        code: RoomName,
    },
}

impl Place {
    /// A room, with nothing more to tell.
    pub const fn room(room: RoomName, role: Role) -> Self {
        Self::Room { room, role, meta: Value::Null }
    }

    /// The room's name or the code.
    pub const fn name(&self) -> &RoomName {
        match self {
            Self::Room { room, .. } => room,
            Self::Pair { code } => code,
        }
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
        /// What this side may do: with [`Permission::Moderate`] it may call [`Client::admit`], [`Client::deny`] and
        /// [`Client::moderate`].
        permissions: Vec<Permission>,
        /// How the peers connect.
        policy: Policy,
        /// Whether newcomers wait.
        lock: Lock,
    },
    /// The room is locked: a moderator has to let this side in ([`Event::Joined`]) or turns it away
    /// ([`Event::Denied`]). Or the other one of the pair is not there yet ([`Event::PairFound`]).
    Waiting,
    /// A moderator did not let this side in. The client is closed.
    Denied,
    /// Two others have met by this code already. The client is closed.
    Busy,
    /// The other one of the pair is there, for the first time, anew, or after a loss whose session could not be resumed.
    PairFound {
        /// This side's own id.
        self_id: PeerId,
        /// The other one.
        peer: Peer,
        /// Whether this side makes the offer.
        initiative: Initiative,
        /// As in [`Event::Joined`].
        ice_servers: Vec<IceServer>,
    },
    /// Somebody waits to be let in, until it comes ([`Event::PeerJoined`]) or goes ([`Event::PeerLeft`]); told to
    /// moderators.
    Knock(Peer),
    /// The room was locked or opened.
    Locked(Lock),
    /// A moderator asks this side to mute itself.
    MuteRequest {
        /// The moderator.
        from: PeerId,
    },
    /// Back after a loss, in the same session: ids and peers are as they were.
    Resumed,
    /// Somebody came; the newcomer offers, so wait for its offer.
    PeerJoined(Peer),
    /// What somebody told about itself, or its connection to the server, has changed.
    PeerChanged(Peer),
    /// Somebody went, or knocked and waits no longer.
    PeerLeft {
        /// Who.
        id: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// What another one gave to [`Client::send_data`].
    Data {
        /// Who.
        from: PeerId,
        /// What.
        data: Value,
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
    /// Over: trying again would not help. The client is closed. [`ErrorCode::Kicked`]: a moderator put this side out.
    Fatal(Refusal),
}

/// Whether newcomers of a room wait for a moderator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// They come in at once.
    #[default]
    Open,
    /// They wait.
    Locked,
}

impl From<bool> for Lock {
    fn from(locked: bool) -> Self {
        if locked { Self::Locked } else { Self::Open }
    }
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
