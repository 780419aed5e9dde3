//! Ringing: how somebody is called who is in no call.
//!
//! Who wants to be rung waits in a room of their own, their *line*, whose name is a digest of their identity's key
//! ([`Address`]). A caller comes into that room, and both talk by `data` of the signalling server; each proves its
//! identity to the other before anything rings. Who accepts names a new room, and both go there. No connection is made
//! before that: who only rings learns no address.
//!
//! ```text
//! caller                 line
//!    | comes into the room |
//!    |<-------- line ------|  key, nonce
//!    |--------- call ----->|  name, key, nonce, signature over both nonces
//!    |<------- answer -----|  ringing | busy                       signed likewise
//!    |<------- answer -----|  accepted, room | declined | unanswered
//! ```

mod dial;
mod line;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_DNSSEC;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::verify::Bytes32;
use super::verify::identity::{Identity, Key, Signature};
use crate::signaling::RoomName;

pub use dial::{Dial, Outcome, Progress};
pub use line::{Attention, Command, How, Line, Ring};

/// A ring that nobody answers ends after this long: about ten times of the tone, as telephones have it.
pub const RINGS: Duration = Duration::from_secs(45);

/// Name of the room in which somebody waits to be rung: `line-` and 26 characters, 128 bits of a digest of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 16]);

impl Address {
    /// The line of who has this key.
    pub fn of(key: &Key) -> Self {
        let digest =
            Sha256::new().chain_update(b"farwheel call line 1\0").chain_update(key.bytes()).finalize();
        let mut address = [0; 16];
        address.copy_from_slice(&digest[..16]);
        Self(address)
    }

    /// As the server knows it.
    ///
    /// # Panics
    /// Never: it has 31 characters that a room's name may have.
    pub fn room(&self) -> RoomName {
        self.to_string().parse().expect("base32hex and a dash are what a room's name is made of")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE32_DNSSEC.encode(&self.0))
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 26);
        let bytes = digits.and_then(|digits| BASE32_DNSSEC.decode(digits.as_bytes()).ok());
        let address = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Self);
        // Upper case is decoded too, and would be another room.
        address.filter(|address| address.to_string() == text).ok_or("a line is `line-` and 26 characters")
    }
}

/// What is said in a line's room, as `data` of the signalling server; `ring` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ring", rename_all = "snake_case")]
pub enum Message {
    /// From the line to each one that comes.
    Line {
        /// The address is its digest.
        key: Key,
        /// Random, new for each caller.
        nonce: Bytes32,
    },
    /// Rings.
    Call {
        /// Name to show.
        name: String,
        /// The caller's identity.
        key: Key,
        /// Random, new for each call.
        nonce: Bytes32,
        /// By this key.
        signature: Signature,
    },
    /// From the line to who has rung.
    Answer {
        /// What becomes of it.
        #[serde(flatten)]
        answer: Answer,
        /// By the line's key.
        signature: Signature,
    },
}

/// What becomes of a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It rings.
    Ringing,
    /// In a call, or rung by another one.
    Busy,
    /// Not wanted.
    Declined,
    /// Nobody answered in [`RINGS`].
    Unanswered,
    /// Wanted.
    Accepted {
        /// Where both go now.
        room: RoomName,
    },
}

/// The nonces of both sides: what is signed counts for this ring alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nonces {
    line: Bytes32,
    caller: Bytes32,
}

impl Nonces {
    fn call(&self, to: &Address, name: &str) -> Vec<u8> {
        let parts = [b"farwheel ring call 1\0", &self.line.0[..], &self.caller.0, &to.0, name.as_bytes()];
        parts.concat()
    }

    fn answer(&self, answer: &Answer) -> Vec<u8> {
        let (word, room) = match answer {
            Answer::Ringing => ("ringing", None),
            Answer::Busy => ("busy", None),
            Answer::Declined => ("declined", None),
            Answer::Unanswered => ("unanswered", None),
            Answer::Accepted { room } => ("accepted", Some(room.as_str())),
        };
        let room = room.unwrap_or_default().as_bytes();
        [b"farwheel ring answer 1\0", &self.line.0[..], &self.caller.0, word.as_bytes(), b"\0", room].concat()
    }

    fn sign(&self, identity: &Identity, answer: Answer) -> Message {
        let signature = identity.sign(&self.answer(&answer));
        Message::Answer { answer, signature }
    }
}

const PREFIX: &str = "line-";

#[cfg(test)]
mod tests;
