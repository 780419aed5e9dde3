//! What two connections tell each other through the signalling server before they can talk directly.

pub use farwheel_proto::signaling::{ConnId, SignalKind};

/// One message from a connection to its counterpart; opaque to whoever carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The attempt it belongs to.
    pub conn: ConnId,
    /// What `data` is.
    pub kind: SignalKind,
    /// `{"sdp": "..."}` for offer and answer, a browser's `RTCIceCandidate.toJSON()` for a candidate, else null. An
    /// offer of a connection that stands beside another one has that one's id in `beside`.
    pub data: serde_json::Value,
}

impl Signal {
    /// Which connection the offered one is to stand beside: [`Beside::Nothing`] for an offer of a connection in its own
    /// right, and for whatever is no offer.
    pub fn beside(&self) -> Beside {
        match (self.kind, self.data.get("beside")) {
            (SignalKind::Offer, Some(main)) => {
                serde_json::from_value(main.clone()).map_or(Beside::Unreadable, Beside::Connection)
            }
            _ => Beside::Nothing,
        }
    }

    /// The end of a connection that is not wanted.
    pub fn bye(conn: ConnId) -> Self {
        Self { conn, kind: SignalKind::Bye, data: serde_json::Value::Null }
    }
}

/// What an offered connection stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing: it is a connection in its own right.
    Nothing,
    /// This one.
    Connection(ConnId),
    /// One whose id cannot be read, so that it can be none.
    Unreadable,
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
