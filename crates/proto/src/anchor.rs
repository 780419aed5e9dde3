//! Anchors: pictures that both ends keep, to predict the one after a loss from.
//!
//! Where pictures are lost for good, a key frame is one way to begin anew. A smaller one is a picture predicted from an
//! older one that the receiver has: a *recovery*. Such an older picture is an anchor, in H.264 a long-term reference.
//! The receiver says which ones it holds ([`crate::control::receiver_report`]); a recovery says which one it needs, in
//! a NAL unit of its own in front of it, so that nobody decodes it with another picture in the same place.
//!
//! That unit is an SEI message of the kind "unregistered user data" (Rec. ITU-T H.264 D.1.7), which every other decoder
//! skips. It is not a recovery point (D.1.8): that would invite a receiver without the anchor to begin there.

/// Names an anchor: a checksum of the coded picture by which the receiver came to keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor(pub u32);

/// Length of the NAL unit in front of a recovery, without a start code.
pub const NOTE_BYTES: usize = PREFIX.len() + ANCHOR_BYTES + 1;

impl Anchor {
    /// The anchor that the picture with this slice makes; the slice is a NAL unit without start code.
    pub fn of(slice: &[u8]) -> Self {
        // FNV-1a: who would forge one could send any picture.
        let hash = slice
            .iter()
            .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self(hash)
    }

    /// The NAL unit that says: what follows is predicted from this anchor.
    pub fn note(self) -> [u8; NOTE_BYTES] {
        let mut unit = [STOP; NOTE_BYTES];
        unit[..PREFIX.len()].copy_from_slice(&PREFIX);
        for (n, byte) in unit[PREFIX.len()..][..ANCHOR_BYTES].iter_mut().enumerate() {
            *byte = 0x80 | (self.0 >> (7 * n)) as u8 & 0x7f;
        }
        unit
    }

    /// Reads such a unit; `None` for every other one.
    pub fn read(unit: &[u8]) -> Option<Self> {
        let [digits @ .., STOP] = unit.strip_prefix(&PREFIX)? else { return None };
        let digits: [u8; ANCHOR_BYTES] = digits.try_into().ok()?;
        digits
            .iter()
            .rev()
            .try_fold(0_u64, |value, digit| (digit & 0x80 != 0).then(|| value << 7 | u64::from(digit & 0x7f)))
            .and_then(|value| value.try_into().ok())
            .map(Self)
    }
}

/// Seven bits in each byte, whose highest is set: no byte is zero, and none needs an emulation prevention byte.
const ANCHOR_BYTES: usize = 5;
/// NAL unit type 6, message type 5, length, and an identifier of random bytes (version 4, RFC 9562) without a zero.
const PREFIX: [u8; 19] = [
    6,
    5,
    16 + ANCHOR_BYTES as u8,
    0xb7,
    0x5e,
    0x2c,
    0x91,
    0x6a,
    0x0d,
    0x4f,
    0x38,
    0x9c,
    0x71,
    0xe5,
    0x84,
    0x1b,
    0xd2,
    0x63,
    0xaf,
];
/// `rbsp_trailing_bits`.
const STOP: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pictures_that_differ_in_one_byte_make_different_anchors() {
        assert_eq!(Anchor::of(&[0x61, 1, 2]), Anchor::of(&[0x61, 1, 2]));
        assert_ne!(Anchor::of(&[0x61, 1, 2]), Anchor::of(&[0x61, 1, 3]));
        // A published value of the hash: "foobar".
        assert_eq!(Anchor::of(b"foobar"), Anchor(0xbf9c_f968));
    }

    #[test]
    fn other_units_are_no_notes() {
        let note = Anchor(7).note();
        assert_eq!(Anchor::read(&[]), None);
        assert_eq!(Anchor::read(&note[..NOTE_BYTES - 1]), None);
        assert_eq!(Anchor::read(&[note.as_slice(), &[STOP]].concat()), None);
        // A recovery point, and user data of somebody else.
        assert_eq!(Anchor::read(&[6, 6, 1, 0xc0, 0x80]), None);
        for at in 0..NOTE_BYTES {
            let mut other = note;
            other[at] ^= 0x80;
            assert_eq!(Anchor::read(&other), None, "byte {at}");
        }
        // More than 32 bits.
        let mut large = Anchor(u32::MAX).note();
        large[PREFIX.len() + 4] = 0x90;
        assert_eq!(Anchor::read(&large), None);
    }

    proptest! {
        #[test]
        fn a_note_says_which_anchor_and_has_no_zero(value: u32) {
            let note = Anchor(value).note();
            prop_assert_eq!(Anchor::read(&note), Some(Anchor(value)));
            prop_assert!(note.iter().all(|byte| *byte != 0));
        }
    }
}
