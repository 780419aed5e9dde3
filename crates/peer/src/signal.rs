//! What two connections tell each other through the signalling server before they can talk directly.

pub use farwheel_proto::signaling::{ConnId, SignalKind};

/// One message from a connection to its counterpart; opaque to whoever carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The attempt it belongs to.
    pub conn: ConnId,
    /// What `data` is.
    pub kind: SignalKind,
    /// `{"sdp": "..."}` for offer and answer, a browser's `RTCIceCandidate.toJSON()` for a candidate, else null.
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
