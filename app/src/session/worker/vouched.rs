//! The robot's word on its own connection for the second one: a description counts only with the certificate that the robot
//! has announced there. The signalling server, which carries descriptions, could put in another.

use farwheel_peer::{Signal, SignalKind};

/// What is known of the second connection's other end.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    announced: Option<String>,
    /// The newest description with another certificate: the robot's word may be on its way.
    held: Option<Signal>,
}

impl Vouched {
    /// Takes a signal of the second connection; gives back what counts.
    pub(super) fn handle_signal(&mut self, signal: Signal) -> Option<Signal> {
        match signal.kind {
            SignalKind::Offer | SignalKind::Answer => {
                self.held = Some(signal);
                self.release()
            }
            SignalKind::Candidate
            | SignalKind::CandidatesEnd
            | SignalKind::Ping
            | SignalKind::Pong
            | SignalKind::Bye => Some(signal),
        }
    }

    /// Takes the robot's word; gives back what has waited for it.
    pub(super) fn handle_announced(&mut self, fingerprint: &str) -> Option<Signal> {
        self.announced = Some(fingerprint.to_ascii_lowercase());
        self.release()
    }

    fn release(&mut self) -> Option<Signal> {
        self.held
            .take_if(|held| held.fingerprint().is_some_and(|named| self.announced.as_ref() == Some(&named)))
    }
}

#[cfg(test)]
mod tests {
    use farwheel_peer::ConnId;
    use serde_json::json;

    use super::*;

    fn signal(kind: SignalKind, fingerprints: &[&str]) -> Signal {
        let sdp: String = fingerprints.iter().map(|one| format!("a=fingerprint:sha-256 {one}\r\n")).collect();
        Signal { conn: ConnId::new(1), kind, data: json!({ "sdp": sdp }) }
    }

    fn answer(fingerprint: &str) -> Signal {
        signal(SignalKind::Answer, &[fingerprint])
    }

    #[test]
    fn a_description_counts_once_the_robot_has_announced_its_certificate() {
        let mut vouched = Vouched::default();
        assert_eq!(vouched.handle_signal(answer("0A:1B")), None);
        assert_eq!(vouched.handle_announced("sha-256 0A:1C"), None);
        assert_eq!(vouched.handle_announced("sha-256 0A:1b"), Some(answer("0A:1B")));
        assert_eq!(vouched.handle_announced("sha-256 0A:1b"), None, "once");
        // The other order, and a later search for another path.
        let offer = signal(SignalKind::Offer, &["0a:1B"]);
        assert_eq!(vouched.handle_signal(offer.clone()), Some(offer));
    }

    #[test]
    fn a_description_with_another_certificate_never_counts() {
        for kind in [SignalKind::Offer, SignalKind::Answer] {
            for fingerprints in [&["0A:1C"][..], &["0A:1B", "0A:1C"], &[]] {
                let mut vouched = Vouched::default();
                assert_eq!(vouched.handle_announced("sha-256 0A:1B"), None);
                assert_eq!(
                    vouched.handle_signal(signal(kind, fingerprints)),
                    None,
                    "{kind:?} {fingerprints:?}"
                );
                assert_eq!(vouched.handle_announced("sha-256 0A:1B"), None, "{kind:?} {fingerprints:?}");
                // It does not keep out the robot's own.
                assert_eq!(vouched.handle_signal(answer("0A:1B")), Some(answer("0A:1B")));
            }
        }
    }

    #[test]
    fn what_names_no_certificate_by_nature_is_let_through() {
        let mut vouched = Vouched::default();
        for kind in [SignalKind::Candidate, SignalKind::CandidatesEnd, SignalKind::Bye] {
            let signal = Signal { conn: ConnId::new(1), kind, data: json!(null) };
            assert_eq!(vouched.handle_signal(signal.clone()), Some(signal));
        }
    }
}
