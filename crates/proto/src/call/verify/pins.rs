//! Identities met before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::Key;
use crate::call::message::NAME_CHARS_MAX;
use crate::call::text;

/// Identities remembered; of those not compared, the one not met for the longest time leaves.
pub const PINS_MAX: usize = 2000;

/// What is known of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Met for the first time.
    New,
    /// Met before, not compared.
    Known,
    /// The words were compared once.
    Verified,
    /// Not the identity that was met, or compared, before under this name.
    Changed,
}

/// All identities met, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins {
    // Full at PINS_MAX: see there.
    known: BTreeMap<Key, Pin>,
}

/// An identity that was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The name it had last.
    pub name: String,
    /// Unix time in seconds of the first call.
    pub first_s: u64,
    /// Unix time in seconds of the last call.
    pub last_s: u64,
    /// Whether the user compared the words.
    #[serde(default)]
    pub verified: bool,
}

impl Pins {
    /// Somebody with this identity is in a call under this name; tells what was known before, and remembers it.
    pub fn handle_met(&mut self, key: Key, name: &str, now_s: u64) -> Trust {
        let name = text::line(name, NAME_CHARS_MAX);
        let trust = self.trust(key, &name);
        let pin = self.known.entry(key).or_insert(Pin {
            name: String::new(),
            first_s: now_s,
            last_s: now_s,
            verified: false,
        });
        pin.name = name;
        pin.last_s = now_s;
        if self.known.len() > PINS_MAX {
            let others = self.known.iter().filter(|(k, _)| **k != key);
            let leaves = others.min_by_key(|(_, pin)| (pin.verified, pin.last_s)).map(|(k, _)| *k);
            self.known.remove(&leaves.unwrap_or(key));
        }
        trust
    }

    /// The user compared the words with who has this identity.
    pub fn verify(&mut self, key: Key) {
        if let Some(pin) = self.known.get_mut(&key) {
            pin.verified = true;
        }
    }

    /// What is known of an identity under this name.
    ///
    /// A name that somebody else has had before, or whose owner was compared, is a reason to look: it stays one in each
    /// call, until the words are compared. Who has two devices compares once with each.
    pub fn trust(&self, key: Key, name: &str) -> Trust {
        let own = self.known.get(&key);
        if own.is_some_and(|pin| pin.verified) {
            return Trust::Verified;
        }
        let name = alike(name);
        let is_taken = self.known.iter().any(|(other, pin)| {
            *other != key
                && alike(&pin.name) == name
                && (pin.verified || own.is_none_or(|own| pin.first_s < own.first_s))
        });
        match (is_taken && !name.is_empty(), own) {
            (true, _) => Trust::Changed,
            (false, Some(_)) => Trust::Known,
            (false, None) => Trust::New,
        }
    }
}

/// Names that a reader takes for the same: case, spaces and marks do not count.
fn alike(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::*;

    fn key(number: u8) -> Key {
        Identity::from_seed(&[number; 32]).key()
    }

    #[test]
    fn who_is_met_again_is_known_and_who_was_compared_is_verified() {
        let mut pins = Pins::default();
        assert_eq!(pins.handle_met(key(1), "Ada", 10), Trust::New);
        assert_eq!(pins.handle_met(key(1), "Ada", 20), Trust::Known);
        assert_eq!(pins.handle_met(key(1), "Ada Lovelace", 30), Trust::Known, "a name may change");
        pins.verify(key(1));
        assert_eq!(pins.handle_met(key(1), "Ada", 40), Trust::Verified);
        let text = serde_json::to_string(&pins).expect("plain");
        assert_eq!(serde_json::from_str::<Pins>(&text).expect("own"), pins);
    }

    #[test]
    fn another_identity_under_a_known_name_is_told_until_it_is_compared() {
        let mut pins = Pins::default();
        pins.handle_met(key(1), "Ada", 10);
        for at in [20, 30] {
            assert_eq!(pins.handle_met(key(2), " ADA\u{202e} ", at), Trust::Changed);
        }
        assert_eq!(pins.handle_met(key(1), "Ada", 40), Trust::Known, "the first one is as before");
        pins.verify(key(2));
        assert_eq!(pins.handle_met(key(2), "Ada", 50), Trust::Verified);
        assert_eq!(
            pins.handle_met(key(1), "Ada", 60),
            Trust::Changed,
            "the name now belongs to who was compared"
        );
        assert_eq!(pins.handle_met(key(3), "Bob", 60), Trust::New);
        assert_eq!(pins.handle_met(key(4), "", 60), Trust::New);
        assert_eq!(pins.handle_met(key(5), "", 70), Trust::New, "no name is nobody's name");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_compared_ones_stay() {
        let mut pins = Pins::default();
        pins.handle_met(key(1), "Ada", 0);
        pins.verify(key(1));
        for number in 0..=PINS_MAX as u32 {
            let mut seed = [9; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            let key = Identity::from_seed(&seed).key();
            pins.handle_met(key, &format!("n{number}"), u64::from(number) + 1);
        }
        assert_eq!(pins.known.len(), PINS_MAX);
        assert_eq!(pins.trust(key(1), "Ada"), Trust::Verified);
    }
}
