//! Reads the front of a slice (ITU-T H.264 section 7.3.3): which pictures it leans on, and which it makes the decoder
//! keep as long-term references.

use super::bits::Bits;
use super::nal::Unit;

/// What a picture's first slice says about references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Number of the picture, modulo the stream's range.
    pub(crate) number: u32,
    /// Number of the key picture, if it is one.
    pub(crate) key: Option<u32>,
    /// Long-term reference that is predicted from first; `None`: a recent picture, or none.
    pub(crate) from: Option<u32>,
    /// What happens to the long-term references, in this order.
    pub(crate) changes: Vec<Change>,
    /// How much coarser than its parameter set says the picture is quantised at its beginning; 6 is half as fine.
    pub(crate) coarser: i32,
}

/// What a picture does to the decoder's long-term references; each has an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The picture that is `back` before this one (0: itself) becomes the one with this index.
    Keep { index: u32, back: u32 },
    /// The one with this index is forgotten.
    Drop { index: u32 },
    /// Those with this index and above are forgotten.
    DropFrom { index: u32 },
}

/// Reads the first slice of a picture; `number_bits` is of its parameter set. `None` if it is damaged or another slice.
pub(crate) fn read(unit: Unit<'_>, number_bits: u32) -> Option<Slice> {
    let is_key = unit.kind() == Unit::IDR_SLICE;
    let mut bits = Bits::new(unit.payload());
    if bits.golomb()? != 0 {
        return None;
    }
    let kind = bits.golomb()? % 5;
    bits.golomb()?; // Picture parameter set.
    let mut slice = Slice { number: bits.take(number_bits)?, ..Slice::default() };
    if is_key {
        slice.key = Some(bits.golomb()?);
    }
    match kind {
        PREDICTED => {
            if bits.take(1)? == 1 {
                bits.golomb()?; // Number of references.
            }
            if bits.take(1)? == 1 {
                slice.from = read_order(&mut bits)?;
            }
        }
        INTRA => {}
        _ => return None,
    }
    let is_reference = unit.bytes()[0] & 0x60 != 0;
    match (is_reference, is_key) {
        (false, _) => {}
        (true, true) => {
            bits.take(1)?; // Output of pictures before.
            slice.changes.push(Change::DropFrom { index: 0 });
            if bits.take(1)? == 1 {
                slice.changes.push(Change::Keep { index: 0, back: 0 });
            }
        }
        (true, false) => {
            if bits.take(1)? == 1 {
                read_changes(&mut bits, &mut slice.changes)?;
            }
        }
    }
    slice.coarser = bits.signed_golomb()?;
    Some(slice)
}

/// The order of the references (section 7.3.3.1): the first one, if it is a long-term one.
fn read_order(bits: &mut Bits<'_>) -> Option<Option<u32>> {
    let mut first = None;
    for n in 0..REFERENCES_MAX {
        let is_long = match bits.golomb()? {
            0 | 1 => false,
            2 => true,
            3 => return Some(first),
            _ => return None,
        };
        let value = bits.golomb()?;
        if n == 0 && is_long {
            first = Some(value);
        }
    }
    None
}

/// The marking of references (section 7.3.3.3).
fn read_changes(bits: &mut Bits<'_>, changes: &mut Vec<Change>) -> Option<()> {
    for _ in 0..CHANGES_MAX {
        match bits.golomb()? {
            0 => return Some(()),
            1 => {
                bits.golomb()?;
            }
            2 => changes.push(Change::Drop { index: bits.golomb()? }),
            3 => {
                let back = bits.golomb()?.checked_add(1)?;
                changes.push(Change::Keep { index: bits.golomb()?, back });
            }
            4 => changes.push(Change::DropFrom { index: bits.golomb()? }),
            5 => changes.push(Change::DropFrom { index: 0 }),
            6 => changes.push(Change::Keep { index: bits.golomb()?, back: 0 }),
            _ => return None,
        }
    }
    None
}

/// `slice_type` modulo 5 (table 7-6).
const PREDICTED: u32 = 0;
const INTRA: u32 = 2;
/// Entries of one list of references, its end included.
const REFERENCES_MAX: usize = 33;
/// Far more than the references that there can be.
const CHANGES_MAX: usize = 66;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::h264::nal;

    /// A unit of these bits; its first byte is given.
    fn unit(header: u8, bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        let mut bytes = vec![0, 0, 1, header];
        bytes.extend(
            bits.chunks(8)
                .map(|byte| (0..8).fold(0, |value, n| value << 1 | byte.get(n).copied().unwrap_or(1))),
        );
        bytes
    }

    fn check(header: u8, bits: &str, want: Option<Slice>) {
        let bytes = unit(header, bits);
        assert_eq!(read(nal::units(&bytes).next().unwrap(), 4), want, "{bits}");
    }

    #[test]
    fn references_and_their_marking_are_read() {
        // First macroblock, kind, parameter set, number; then as it comes.
        check(0x65, "1 011 1 0000 010 0 1 00100", {
            let changes = vec![Change::DropFrom { index: 0 }, Change::Keep { index: 0, back: 0 }];
            Some(Slice { key: Some(1), changes, coarser: 2, ..Slice::default() })
        });
        // Predicted from the picture before.
        check(
            0x61,
            "1 1 1 0101 0 1 1 1 00100 0 011",
            Some(Slice { number: 5, coarser: -1, ..Slice::default() }),
        );
        // Predicted from long-term reference 1; makes the picture before it number 0.
        check(0x61, "1 1 1 0110 0 1 011 010 00100 1 00100 1 1 1", {
            let changes = vec![Change::Keep { index: 0, back: 1 }];
            Some(Slice { number: 6, from: Some(1), changes, ..Slice::default() })
        });
        // Allows two, forgets one, and is itself one.
        check(0x61, "1 1 1 0111 0 0 1 00101 011 011 010 00111 010 1 1", {
            let changes = vec![
                Change::DropFrom { index: 2 },
                Change::Drop { index: 1 },
                Change::Keep { index: 1, back: 0 },
            ];
            Some(Slice { number: 7, changes, ..Slice::default() })
        });
        // Not a reference: there is no marking to read.
        check(0x01, "1 1 1 1000 0 0 1", Some(Slice { number: 8, ..Slice::default() }));
    }

    #[test]
    fn other_slices_and_damaged_ones_say_nothing() {
        // Not the first slice; bidirectional; an unknown operation; cut.
        check(0x61, "010 1 1 0101 0 0 0", None);
        check(0x61, "1 010 1 0101 0 0 0", None);
        check(0x61, "1 1 1 0101 0 0 1 0001000", None);
        check(0x61, "1 1 1 01", None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 1..64), bits in 0u32..=16) {
            let mut stream = vec![0, 0, 1];
            stream.extend(bytes);
            for unit in nal::units(&stream) {
                if let Some(slice) = read(unit, bits) {
                    prop_assert!(slice.changes.len() <= CHANGES_MAX);
                }
            }
        }
    }
}
