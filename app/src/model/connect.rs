//! State of the connect screen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lobby::Lobby;

/// The connect screen.
#[derive(Clone, Debug)]
pub struct Connect {
    /// What the form starts with: the last target, or the built-in default. Read once, then the form is the user's.
    pub prefill: Target,
    /// Targets used before, newest first.
    pub recents: Vec<Recent>,
    /// What the last connect command came to.
    pub phase: Phase,
    /// The robots at the place that was last looked at; nothing before the first look.
    pub lobby: Option<Lobby>,
}

impl Default for Connect {
    fn default() -> Self {
        Self { prefill: Target::default(), recents: Vec::new(), phase: Phase::Idle, lobby: None }
    }
}

/// Where to connect and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Signalling server, `ws://` or `wss://`.
    pub server: String,
    /// Room name, `[A-Za-z0-9_-]{1,64}`.
    pub room: String,
    /// Driver or viewer.
    pub role: Role,
    /// Token for the server; empty for anonymous. Never stored.
    #[serde(skip)]
    pub token: String,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            server: "ws://127.0.0.1:8443".into(),
            room: "car".into(),
            role: Role::Driver,
            token: String::new(),
        }
    }
}

/// What the user wants to do in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Drive, if the lease can be had.
    #[default]
    Driver,
    /// Watch only.
    Viewer,
}

/// A target used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Where.
    pub target: Target,
    /// The robot's name as it gave it, or the room's.
    pub name: String,
    /// Time since it was last used.
    pub ago: Duration,
}

/// What the last connect command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing under way.
    Idle,
    /// Under way; [`super::Drive`] takes the screen once the room is joined.
    Connecting(Step),
    /// It failed.
    Failed(Problem),
}

/// Steps of connecting, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Opening the WebSocket.
    ReachServer,
    /// Waiting for `joined`.
    JoinRoom,
    /// In the room; no robot there yet, or waiting for its answer.
    FindRobot,
    /// ICE and DTLS under way.
    OpenLink,
    /// Connected; waiting for the first picture.
    FirstPicture,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 5] =
        [Self::ReachServer, Self::JoinRoom, Self::FindRobot, Self::OpenLink, Self::FirstPicture];
}

/// A failure in words: what happened and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One sentence: what happened.
    pub what: String,
    /// One sentence: what to do about it; empty if there is nothing to say.
    pub remedy: String,
    /// The protocol's code if there is one, such as `room_full`.
    pub code: Option<String>,
    /// The field to put the message at.
    pub field: Field,
}

/// A field of the connect form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field {
    /// None in particular.
    #[default]
    Form,
    /// The server's address.
    Server,
    /// The room's name.
    Room,
    /// The token.
    Token,
}
