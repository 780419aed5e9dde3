//! Identifiers. Each is its own type, checked once when parsed.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_DNSSEC;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Characters of a 128-bit id in lower-case base32hex (RFC 4648 section 7) without padding.
const ID_LEN: usize = 26;

fn encode_u128(value: u128) -> String {
    BASE32_DNSSEC.encode(&value.to_be_bytes())
}

fn decode_u128(text: &str) -> Option<u128> {
    // The length is checked first so that a huge string costs nothing.
    if text.len() != ID_LEN {
        return None;
    }
    let bytes = BASE32_DNSSEC.decode(text.as_bytes()).ok()?;
    Some(u128::from_be_bytes(bytes.try_into().ok()?))
}

macro_rules! id128 {
    ($name:ident, $what:literal) => {
        impl $name {
            /// Makes the id from 128 random bits.
            pub const fn new(bits: u128) -> Self {
                Self(bits)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                decode_u128(text).map(Self).ok_or(concat!($what, " is not 26 base32 characters"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&encode_u128(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// Names a peer for as long as its session lives; 128 random bits.
///
/// Written as 26 characters `0-9a-v`, whose text order is the numeric order: "the smaller peer id is polite" can be
/// decided by comparing strings in any language.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u128);
id128!(PeerId, "peer id");

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_u128(self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names a session across connections; 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u128);
id128!(SessionId, "session id");

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_u128(self.0))
    }
}

/// Proves that a resuming client is the one the session was given to; 128 random bits, a secret.
#[derive(Clone, Copy)]
pub struct ResumeToken(u128);
id128!(ResumeToken, "resume token");

impl ResumeToken {
    /// Compares in a time that does not depend on where the two differ.
    pub fn matches(&self, other: &Self) -> bool {
        std::hint::black_box(self.0 ^ other.0) == 0
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

/// Names one WebRTC connection between two peers; 64 random bits, 16 hex digits on the wire.
///
/// A rebuilt connection has another one, so a late message for the old connection is recognised and dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl ConnId {
    /// Makes the id from 64 random bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Reads eight bytes, big-endian.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// Eight bytes, big-endian.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConnId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `from_str_radix` alone would take a sign.
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("conn id is not 16 hex digits");
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| "conn id is not 16 hex digits")
    }
}

impl Serialize for ConnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Name of a room, or a pairing code: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Box<str>);

/// What is wrong with a room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room name has 1 to 64 letters, digits, '_' or '-'")]
pub struct RoomNameError;

impl RoomName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(RoomNameError)
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn room_names_are_bounded_on_both_sides() {
        for good in ["a", "car-1_B", &"x".repeat(64)] {
            assert_eq!(good.parse::<RoomName>().unwrap().as_str(), good);
        }
        for bad in ["", &"x".repeat(65), "a b", "a/b", "ä", "a\0"] {
            assert_eq!(bad.parse::<RoomName>(), Err(RoomNameError), "{bad:?}");
        }
    }

    #[test]
    fn conn_ids_take_no_sign_and_no_other_length() {
        assert_eq!("00000000000000ff".parse::<ConnId>(), Ok(ConnId::new(255)));
        for bad in ["", "ff", "+0000000000000ff", "00000000000000fg", "000000000000000ff"] {
            assert!(bad.parse::<ConnId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", ResumeToken::new(7)), "ResumeToken(..)");
    }

    proptest! {
        #[test]
        fn peer_ids_come_back_and_sort_as_their_text(a: u128, b: u128) {
            let (a, b) = (PeerId::new(a), PeerId::new(b));
            let (ta, tb) = (a.to_string(), b.to_string());
            prop_assert_eq!(ta.len(), 26);
            prop_assert_eq!(ta.parse::<PeerId>(), Ok(a));
            prop_assert_eq!(a.cmp(&b), ta.cmp(&tb));
        }

        #[test]
        fn no_text_makes_an_id_parser_panic(text in ".{0,40}") {
            if let Ok(id) = text.parse::<PeerId>() {
                prop_assert_eq!(id.to_string(), text.to_ascii_lowercase());
            }
            text.parse::<ConnId>().ok();
        }
    }
}
