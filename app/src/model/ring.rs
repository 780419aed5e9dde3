//! State of the own line: where others can ring, who does, and who did in vain.

use std::time::Duration;

use super::call::{Target, Trust};
use super::connect::Problem;

/// The own line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The server, and the room in which this side waits.
    pub target: Target,
    /// What others need to ring.
    pub link: String,
    /// Whether it can be rung.
    pub standing: Standing,
    /// Who rings.
    pub incoming: Option<Incoming>,
}

/// Whether a line can be rung.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The server is being reached.
    #[default]
    Reaching,
    /// It can.
    Open,
    /// It cannot, for this reason.
    Failed(Problem),
}

/// Somebody who rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The name that it gives.
    pub name: String,
    /// What is known of its identity, which it has proved.
    pub trust: Trust,
    /// For so long.
    pub lasted: Duration,
}

/// Somebody who rang in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The name that it gave.
    pub name: String,
    /// What is known of its identity.
    pub trust: Trust,
    /// How long ago.
    pub ago: Duration,
    /// Where to ring back.
    pub target: Target,
    /// Why it was not answered.
    pub why: Why,
}

/// Why a ring was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody took it.
    Unanswered,
    /// The user was in a call.
    Busy,
}

/// How far a call to somebody else's line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ringing {
    /// Looking whether somebody is there.
    Seeking,
    /// It rings; the name if the server tells one.
    Rings(Option<String>),
}

/// What the user does with a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Takes the call.
    Accept,
    /// Does not want it.
    Decline,
}
