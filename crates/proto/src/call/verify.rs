//! Whether somebody sits between two callers.
//!
//! The signalling server carries the offers, so it could put itself between and play each one to the other. Two things
//! show that: an **identity** that was met before ([`identity`]), and **words** that both read aloud.
//!
//! The words come from both DTLS fingerprints, both identities and a random number of each side. The numbers are what
//! makes four words enough: each side first shows a hash of what it will say ([`Message::Commit`]), and says it
//! ([`Message::Reveal`]) only when it holds the other one's hash. Who sits between has to fix its part towards both
//! sides before it knows what the words will be, and has one guess in 2^32; without that step it could try
//! certificates beforehand until the words are the same on both sides.
//!
//! | state | input | next |
//! |---|---|---|
//! | `Committed` | `Commit` of the other | `Revealed`, tells the own `Reveal` |
//! | `Revealed` | `Reveal` that fits the hash, signature right | `Done` with words and the other's key |
//! | `Revealed` | any other `Reveal` | `Failed` |
//! | `Committed` | `Reveal` | `Failed`: nothing may be shown before the hashes are exchanged |
//! | `Revealed` | `Commit` | `Failed`: a second hash |
//! | `Done`, `Failed` | anything | stays |

pub mod identity;
pub mod pins;
mod words;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use identity::{Identity, Key, Signature};

/// One message, once for each connection; `step` on the wire, `"type":"verify"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Message {
    /// First, from each side: a hash of what the [`Message::Reveal`] will hold.
    Commit {
        /// SHA-256.
        hash: Bytes32,
    },
    /// When the other one's hash is there.
    Reveal {
        /// Random, new for each connection.
        nonce: Bytes32,
        /// The device's identity.
        key: Key,
        /// By this key, over both fingerprints.
        signature: Signature,
    },
}

/// 32 bytes, 64 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes32(pub [u8; 32]);

/// Fingerprints of a connection's two certificates, `sha-256 0a:1b:..` as in the SDP; DTLS has checked them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of this side.
    pub own: String,
    /// Of the other side.
    pub other: String,
}

/// The exchange on one connection.
#[derive(Debug)]
pub struct Verifier {
    fingerprints: Fingerprints,
    own: Side,
    signature: Signature,
    state: State,
}

/// What one side puts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    nonce: Bytes32,
    key: Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Committed,
    Revealed { hash: Bytes32 },
    Done(Outcome),
    Failed(Failure),
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Four words, the same on both sides if nobody sits between.
    pub words: String,
    /// The other's identity; its signature was right.
    pub key: Key,
}

/// Why nothing came out. The other one breaks the protocol, or somebody meddles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A step came twice or too early.
    #[error("steps of the verification came out of order")]
    Order,
    /// What was revealed is not what was committed to.
    #[error("the other side changed its part of the words")]
    Changed,
    /// The signature is not by the key, or over other fingerprints.
    #[error("the other side's identity does not belong to this connection")]
    Signature,
    /// Both sides say to be the same device.
    #[error("the other side shows this device's own identity")]
    Mirror,
}

impl Verifier {
    /// Begins, and gives the first message; `nonce` is random and used for this connection only.
    pub fn new(identity: &Identity, fingerprints: Fingerprints, nonce: [u8; 32]) -> (Self, Message) {
        let own = Side { nonce: Bytes32(nonce), key: identity.key() };
        let signature = identity.sign(&claim(&fingerprints.own, &fingerprints.other));
        let hash = own.commitment(&fingerprints.own);
        (Self { fingerprints, own, signature, state: State::Committed }, Message::Commit { hash })
    }

    /// Takes a message of the other side; gives what is to be sent.
    pub fn handle_message(&mut self, message: &Message) -> Option<Message> {
        let (next, answer) = match (&self.state, message) {
            (State::Committed, Message::Commit { hash }) => {
                let Side { nonce, key } = self.own;
                let reveal = Message::Reveal { nonce, key, signature: self.signature };
                (State::Revealed { hash: *hash }, Some(reveal))
            }
            (State::Revealed { hash }, Message::Reveal { nonce, key, signature }) => {
                let other = Side { nonce: *nonce, key: *key };
                let next = match self.judge(*hash, other, signature) {
                    Ok(outcome) => State::Done(outcome),
                    Err(failure) => State::Failed(failure),
                };
                (next, None)
            }
            (State::Committed, Message::Reveal { .. }) | (State::Revealed { .. }, Message::Commit { .. }) => {
                (State::Failed(Failure::Order), None)
            }
            (State::Done(_) | State::Failed(_), Message::Commit { .. } | Message::Reveal { .. }) => {
                return None;
            }
        };
        self.state = next;
        answer
    }

    /// What came out; `None` while the exchange is under way.
    pub fn outcome(&self) -> Option<Result<&Outcome, Failure>> {
        match &self.state {
            State::Committed | State::Revealed { .. } => None,
            State::Done(outcome) => Some(Ok(outcome)),
            State::Failed(failure) => Some(Err(*failure)),
        }
    }

    fn judge(&self, hash: Bytes32, other: Side, signature: &Signature) -> Result<Outcome, Failure> {
        let Fingerprints { own: own_print, other: other_print } = &self.fingerprints;
        if other.key == self.own.key {
            return Err(Failure::Mirror);
        }
        if other.commitment(other_print) != hash {
            return Err(Failure::Changed);
        }
        if !other.key.has_signed(&claim(other_print, own_print), signature) {
            return Err(Failure::Signature);
        }
        let mut sides = [(own_print, self.own), (other_print, other)];
        sides.sort_by_key(|(print, side)| ((*print).clone(), side.key));
        let mut sum = Sha256::new_with_prefix(b"farwheel call words 1\0");
        for (print, side) in sides {
            side.add_to(&mut sum, print);
        }
        Ok(Outcome { words: words::in_words(sum.finalize().into()), key: other.key })
    }
}

impl Side {
    fn commitment(&self, fingerprint: &str) -> Bytes32 {
        let mut sum = Sha256::new_with_prefix(b"farwheel call commit 1\0");
        self.add_to(&mut sum, fingerprint);
        Bytes32(sum.finalize().into())
    }

    fn add_to(&self, sum: &mut Sha256, fingerprint: &str) {
        // Each part has a length that is known or told, so that no two inputs look alike.
        sum.update(self.nonce.0);
        sum.update(self.key.bytes());
        sum.update((fingerprint.len() as u64).to_be_bytes());
        sum.update(fingerprint);
    }
}

/// What an identity signs: that it is the end of this connection with its own certificate, towards the other one.
fn claim(signer: &str, other: &str) -> Vec<u8> {
    let mut bytes = b"farwheel call identity 1\0".to_vec();
    for print in [signer, other] {
        bytes.extend((print.len() as u64).to_be_bytes());
        bytes.extend(print.as_bytes());
    }
    bytes
}

impl Serialize for Bytes32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex(&String::deserialize(deserializer)?)
            .map(Self)
            .ok_or_else(|| de::Error::custom("want 64 hexadecimal digits"))
    }
}

/// Reads hexadecimal digits of exactly this many bytes.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The length first: a huge text costs nothing.
    (text.len() == 2 * N).then(|| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests;
