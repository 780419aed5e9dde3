//! Who the others are: the verification of each connection, with the identities met before.

use std::collections::BTreeMap;
use std::path::Path;

use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::verify::identity::{Identity, Key};
use farwheel_proto::call::verify::{Failure, Fingerprints, Message, Verifier};

use super::{identity, pins};
use crate::model::call::{Trust, Verification};

/// The verifications of a call.
#[derive(Debug)]
pub struct Trusts {
    identity: Identity,
    store: Option<pins::Store>,
    // One for each member.
    peers: BTreeMap<PeerId, Peer>,
}

#[derive(Debug)]
struct Peer {
    verifier: Verifier,
    result: Option<(Key, Verification)>,
    /// The verification has failed.
    is_broken: bool,
}

/// What became of a message.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    /// To be sent back.
    pub message: Option<Message>,
    /// To be told to the user.
    pub warning: Option<String>,
}

impl Trusts {
    /// Reads this device's identity and the identities met from the configuration folder.
    ///
    /// Gives a warning if that is not possible: this device then has an identity for this call alone, and knows nobody.
    pub fn open(folder: &Path) -> (Self, Option<String>) {
        match identity::load_or_create(folder) {
            Ok(identity) => {
                let store = Some(pins::Store::in_folder(folder));
                (Self { identity, store, peers: BTreeMap::new() }, None)
            }
            Err(e) => {
                let warning = format!("This device cannot be recognised by others in this call: {e:#}.");
                (Self::for_once(), Some(warning))
            }
        }
    }

    /// With an identity for this call alone, and nobody known.
    pub fn for_once() -> Self {
        Self { identity: Identity::from_seed(&rand::random()), store: None, peers: BTreeMap::new() }
    }

    /// A connection stands: gives the first message to send. What was known of an earlier connection of this peer does
    /// not count for this one.
    pub fn handle_up(&mut self, peer: PeerId, fingerprints: Fingerprints) -> Message {
        let (verifier, message) = Verifier::new(&self.identity, fingerprints, rand::random());
        self.peers.insert(peer, Peer { verifier, result: None, is_broken: false });
        message
    }

    /// Takes a message of a peer whose name is `name`; `now_s` is the wall clock, Unix time in seconds.
    pub fn handle_message(&mut self, from: PeerId, message: &Message, name: &str, now_s: u64) -> Reply {
        // A message before the connection stands is none of this connection.
        let Some(peer) = self.peers.get_mut(&from) else { return Reply::default() };
        let was_over = peer.verifier.outcome().is_some();
        let message = peer.verifier.handle_message(message);
        let warning = match peer.verifier.outcome() {
            None => None,
            Some(_) if was_over => None,
            Some(Err(failure)) => {
                peer.is_broken = true;
                Some(match failure {
                    Failure::Mirror => format!(
                        "{name} shows the identity of this very device: it is this one, or a copy of its key."
                    ),
                    failure => format!(
                        "Somebody may sit between you and {name}: {failure}. Do not trust this connection."
                    ),
                })
            }
            Some(Ok(outcome)) => {
                let met = self.store.as_ref().map(|store| store.meet(outcome.key, name, now_s));
                let (trust, warning) = match met {
                    Some(Ok(Trust::Changed)) => {
                        let text = format!(
                            "{name} has another identity than before. Compare the words with {name} before you trust it."
                        );
                        (Trust::Changed, Some(text))
                    }
                    Some(Ok(trust)) => (trust, None),
                    Some(Err(e)) => (Trust::New, Some(format!("It is not known who was met before: {e:#}."))),
                    None => (Trust::New, None),
                };
                peer.result = Some((outcome.key, Verification { words: outcome.words.clone(), trust }));
                warning
            }
        };
        Reply { message, warning }
    }

    /// The user compared the words with this member: they are the same. Gives a warning if that cannot be kept.
    pub fn verify(&mut self, peer: PeerId) -> Option<String> {
        let (key, verification) = self.peers.get_mut(&peer)?.result.as_mut()?;
        verification.trust = Trust::Verified;
        let kept = self.store.as_ref()?.verify(*key);
        kept.err().map(|e| format!("That is forgotten after this call: {e:#}."))
    }

    /// A peer has another id now; its connection stands.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        if let Some(peer) = self.peers.remove(&old) {
            self.peers.insert(new, peer);
        }
    }

    /// A peer left for good.
    pub fn handle_gone(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    /// What is shown of a member; none until both sides have said their part.
    pub fn view(&self, peer: PeerId) -> Option<Verification> {
        let peer = self.peers.get(&peer)?;
        match &peer.result {
            Some((_, verification)) => Some(verification.clone()),
            None if peer.is_broken => Some(Verification { words: String::new(), trust: Trust::Broken }),
            None => None,
        }
    }

    /// The identity that a member has proved over its present connection.
    pub fn key(&self, peer: PeerId) -> Option<Key> {
        Some(self.peers.get(&peer)?.result.as_ref()?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u128) -> PeerId {
        PeerId::new(number)
    }

    fn prints(own: &str, other: &str) -> Fingerprints {
        Fingerprints { own: own.into(), other: other.into() }
    }

    /// A connection from end to end; gives what each side is warned of.
    fn connect(a: &mut Trusts, b: &mut Trusts, prints_of_b: Fingerprints) -> [Option<String>; 2] {
        let first_a = a.handle_up(peer(2), prints("sha-256 aa", "sha-256 bb"));
        let first_b = b.handle_up(peer(1), prints_of_b);
        let answer_a = a.handle_message(peer(2), &first_b, "Bob", 10).message.expect("its part");
        let answer_b = b.handle_message(peer(1), &first_a, "Ada", 10).message.expect("its part");
        let end_a = a.handle_message(peer(2), &answer_b, "Bob", 10);
        let end_b = b.handle_message(peer(1), &answer_a, "Ada", 10);
        [end_a.warning, end_b.warning]
    }

    #[test]
    fn who_is_compared_once_is_verified_in_the_next_call() {
        let (home_a, home_b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for trust in [Trust::New, Trust::Known, Trust::Verified] {
            let (mut a, warning) = Trusts::open(home_a.path());
            assert_eq!(warning, None);
            let (mut b, _) = Trusts::open(home_b.path());
            assert_eq!(connect(&mut a, &mut b, prints("sha-256 bb", "sha-256 aa")), [None, None]);
            let (seen_a, seen_b) = (a.view(peer(2)).unwrap(), b.view(peer(1)).unwrap());
            assert_eq!((&seen_a.words, seen_a.trust), (&seen_b.words, trust));
            if trust == Trust::Known {
                assert_eq!(a.verify(peer(2)), None);
                assert_eq!(a.view(peer(2)).map(|v| v.trust), Some(Trust::Verified));
            }
            a.handle_gone(peer(2));
            assert_eq!(a.view(peer(2)), None);
        }
    }

    #[test]
    fn another_device_under_the_name_and_somebody_between_are_told() {
        let home_a = tempfile::tempdir().unwrap();
        let (mut a, _) = Trusts::open(home_a.path());
        connect(&mut a, &mut Trusts::for_once(), prints("sha-256 bb", "sha-256 aa"));
        let [warning, _] = connect(&mut a, &mut Trusts::for_once(), prints("sha-256 bb", "sha-256 aa"));
        assert!(warning.is_some_and(|text| text.contains("another identity")));
        assert_eq!(a.view(peer(2)).map(|v| v.trust), Some(Trust::Changed));
        let warnings = connect(&mut a, &mut Trusts::for_once(), prints("sha-256 bb", "sha-256 ee"));
        assert!(warnings.iter().flatten().all(|text| text.contains("may sit between")), "{warnings:?}");
        assert_eq!(warnings.iter().flatten().count(), 2);
        let broken = Some(Verification { words: String::new(), trust: Trust::Broken });
        assert_eq!(a.view(peer(2)), broken, "no words that could be taken for good ones");
        assert_eq!((a.verify(peer(2)), a.view(peer(2)), a.key(peer(2))), (None, broken, None));
    }

    #[test]
    fn without_a_place_for_its_identity_a_call_goes_on_with_a_warning() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(identity::FILE), "nonsense").unwrap();
        let (mut a, warning) = Trusts::open(home.path());
        assert!(warning.is_some_and(|text| text.contains("damaged")));
        connect(&mut a, &mut Trusts::for_once(), prints("sha-256 bb", "sha-256 aa"));
        assert_eq!(a.view(peer(2)).map(|v| v.trust), Some(Trust::New));
    }
}
