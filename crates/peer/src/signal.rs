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

    /// The certificate that an offer or an answer names, in lower case: `sha-256 0a:1b:...`. None if it names none or more
    /// than one.
    pub fn fingerprint(&self) -> Option<String> {
        fingerprint_in(self.data.get("sdp")?.as_str()?)
    }

    /// The end of a connection that is not wanted.
    pub fn bye(conn: ConnId) -> Self {
        Self { conn, kind: SignalKind::Bye, data: serde_json::Value::Null }
    }
}

/// The one certificate that a description names; see [`Signal::fingerprint`].
pub(crate) fn fingerprint_in(sdp: &str) -> Option<String> {
    // Whatever a reader of SDP takes for the end of a line.
    let lines = sdp.split(['\r', '\n']).map(|line| line.trim().to_ascii_lowercase());
    let mut named = lines.filter_map(|line| Some(line.strip_prefix("a=fingerprint:")?.trim().to_owned()));
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_description_names_one_certificate_or_counts_as_naming_none() {
        for (sdp, want) in [
            ("v=0\r\na=fingerprint:sha-256 0A:1B\r\nm=application", Some("sha-256 0a:1b")),
            ("a=fingerprint:sha-256 0A:1B\r\na=fingerprint:sha-256 0a:1b\r\n", Some("sha-256 0a:1b")),
            ("a=fingerprint:sha-256 0A:1B\r\na=fingerprint:sha-256 0A:1C\r\n", None),
            ("a=fingerprint:sha-256 0A:1B\r\na=fingerprint:sha-512 0A:1B\r\n", None),
            ("a=fingerprint:sha-256 0A:1B\ra=fingerprint:sha-256 0A:1C\n", None),
            ("v=0\r\n", None),
            ("", None),
        ] {
            let signal =
                Signal { conn: ConnId::new(1), kind: SignalKind::Offer, data: json!({ "sdp": sdp }) };
            assert_eq!(signal.fingerprint().as_deref(), want, "{sdp:?}");
        }
        for data in [json!(null), json!({ "sdp": 1 }), json!({ "candidate": "" })] {
            let signal = Signal { conn: ConnId::new(1), kind: SignalKind::Candidate, data };
            assert_eq!(signal.fingerprint(), None, "{signal:?}");
        }
    }
}
