//! Who takes part: as it says hello, as the others see it, and what it may do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PeerId, ResumeToken, SessionId};

/// The program that connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Program name.
    pub name: String,
    /// Program version.
    pub version: String,
}

/// Who connects.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Auth {
    /// Somebody who has a token.
    Token {
        /// The token; a secret.
        token: String,
        /// Name shown to others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Somebody without one.
    Anonymous {
        /// Always `true`.
        anonymous: bool,
        /// Name shown to others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

impl Auth {
    /// Makes the one that fits: with a token if there is one.
    pub fn new(token: Option<String>, name: Option<String>) -> Self {
        match token {
            Some(token) => Self::Token { token, name },
            None => Self::Anonymous { anonymous: true, name },
        }
    }

    /// Name shown to others.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token { name, .. } | Self::Anonymous { name, .. } => name.as_deref(),
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Token { .. } => "token",
            Self::Anonymous { .. } => "anonymous",
        };
        write!(f, "Auth({kind}, {:?})", self.name())
    }
}

/// The session to continue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resume {
    /// From `hello_ok`.
    pub session: SessionId,
    /// From `hello_ok`.
    pub token: ResumeToken,
    /// Highest `seq` received; the server sends again what came after it.
    pub last_seq: u64,
}

impl PartialEq for Resume {
    fn eq(&self, other: &Self) -> bool {
        self.session == other.session && self.token.matches(&other.token) && self.last_seq == other.last_seq
    }
}

impl PartialEq for ResumeToken {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

/// What a peer does in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends video, is driven.
    Robot,
    /// Watches and may ask the robot for the lease.
    Driver,
    /// Watches.
    Viewer,
    /// Takes part in a call.
    Caller,
}

/// A peer as the others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub id: PeerId,
    /// What it does.
    pub role: Role,
    /// Its name, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it told about itself.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub meta: Value,
    /// Whether its signalling connection stands. If not, it may come back within the resume window, and a WebRTC
    /// connection to it may well be alive.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub connected: bool,
    /// Whether it may moderate the room.
    #[serde(default, skip_serializing_if = "is_false")]
    pub moderator: bool,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_true(value: &bool) -> bool {
    *value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Join as robot.
    Robot,
    /// Join as driver.
    Drive,
    /// Join as viewer.
    View,
    /// Join as caller, and pair.
    Call,
    /// List rooms.
    List,
    /// Admit, deny and moderate.
    Moderate,
}

impl Permission {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Robot, Self::Drive, Self::View, Self::Call, Self::List, Self::Moderate];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Robot => "robot",
            Self::Drive => "drive",
            Self::View => "view",
            Self::Call => "call",
            Self::List => "list",
            Self::Moderate => "moderate",
        }
    }
}

impl Role {
    /// What joining in this role needs.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Robot => Permission::Robot,
            Self::Driver => Permission::Drive,
            Self::Viewer => Permission::View,
            Self::Caller => Permission::Call,
        }
    }
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection was lost and not resumed in time.
    Lost,
    /// The same name joined in the same role after its connection was lost: a restarted program.
    Replaced,
    /// A moderator removed it.
    Kicked,
    /// A moderator did not let it in.
    Denied,
}
