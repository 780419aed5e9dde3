//! What two connections tell each other through the signalling server before they can talk directly.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names one attempt of two peers to connect: 80 random bits in base32.
///
/// A peer that starts over draws a new one, so that late messages of the attempt before are recognised and dropped.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(String);

impl ConnId {
    /// Draws a fresh id.
    pub fn random() -> Self {
        let bits: [u8; 10] = rand::random();
        Self(data_encoding::BASE32_NOPAD.encode(&bits).to_ascii_lowercase())
    }

    /// The id as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ConnId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for ConnId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({})", self.0)
    }
}

/// The kinds of `signal` messages of `rtcsig/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// `{"sdp": "..."}`.
    Offer,
    /// `{"sdp": "..."}`.
    Answer,
    /// `{"candidate": "...", "sdpMid": "0", "sdpMLineIndex": 0}`, as a browser's `RTCIceCandidate.toJSON()`.
    Candidate,
    /// No more candidates; no data.
    CandidatesEnd,
    /// The sender has closed this connection; no data.
    Bye,
}

/// One message from a connection to its counterpart; opaque to whoever carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The attempt it belongs to.
    pub conn: ConnId,
    /// What `data` is.
    pub kind: SignalKind,
    /// See [`SignalKind`].
    pub data: serde_json::Value,
}

/// What the owner of a connection does with a signal from that connection's peer: see
/// [`Connection::admits`](crate::Connection::admits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It belongs to this connection: hand it to [`Connection::handle_signal`](crate::Connection::handle_signal).
    Mine,
    /// The peer has started over (or won a glare): close this connection, build an answering one with the signal's
    /// `conn` and hand the signal to that.
    Replace,
    /// Left over from an earlier attempt (or the loser of a glare): drop it.
    Stale,
}
