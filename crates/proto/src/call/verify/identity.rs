//! The identity of a device: an Ed25519 key (RFC 8032) that signs the certificates of each of its connections.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hex;

/// The secret half. It never leaves the device, and is not shown by `Debug`.
#[derive(Clone)]
pub struct Identity(SigningKey);

/// The public half: names a device. 64 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

/// A signature. 128 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Identity {
    /// The identity that belongs to 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn key(&self) -> Key {
        Key(self.0.verifying_key().to_bytes())
    }

    /// Signs.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.key()).finish()
    }
}

impl Key {
    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the signature over these bytes is by this key; strict, so that there is one signature at most, and none
    /// by a key of small order.
    pub fn has_signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(bytes, &signature).is_ok())
    }
}

macro_rules! as_hex {
    ($name:ident, $bytes:literal, $want:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hex::<$bytes>(text).map(Self).ok_or($want)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

as_hex!(Key, 32, "a key has 64 hexadecimal digits");
as_hex!(Signature, 64, "a signature has 128 hexadecimal digits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_test_vector_of_rfc_8032_comes_out() {
        let seed = hex(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let identity = Identity::from_seed(&seed);
        assert_eq!(
            identity.key().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(
            identity.sign(b"").to_string(),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b"
        );
        fn hex(text: &[u8]) -> [u8; 32] {
            HEXLOWER.decode(text).expect("hex").try_into().expect("32 bytes")
        }
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bytes_alone() {
        let (ada, bob) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let signature = ada.sign(b"x");
        assert!(ada.key().has_signed(b"x", &signature));
        assert!(!ada.key().has_signed(b"y", &signature));
        assert!(!bob.key().has_signed(b"x", &signature));
        // No point of the curve, and one of small order.
        for key in [[0xff; 32], [0; 32]] {
            assert!(!Key(key).has_signed(b"x", &signature));
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let identity = Identity::from_seed(&[0xab; 32]);
        assert!(!format!("{identity:?}").contains("abab"));
    }
}
