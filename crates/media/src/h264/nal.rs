//! NAL units of an Annex B byte stream (ITU-T H.264 annex B and section 7.3.1).

/// One NAL unit without its start code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit<'a>(&'a [u8]);

impl<'a> Unit<'a> {
    /// Part of a predicted picture.
    pub(crate) const SLICE: u8 = 1;
    /// Part of a key picture.
    pub(crate) const IDR_SLICE: u8 = 5;
    /// Supplemental enhancement information.
    pub(crate) const SEI: u8 = 6;
    /// Sequence parameter set.
    pub(crate) const SPS: u8 = 7;
    /// Picture parameter set.
    pub(crate) const PPS: u8 = 8;

    /// What follows a start code; `None` if that is nothing.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// `nal_unit_type`.
    pub(crate) fn kind(self) -> u8 {
        self.0[0] & 31
    }

    /// Header and payload.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What follows the header byte.
    pub(crate) fn payload(self) -> &'a [u8] {
        &self.0[1..]
    }
}

/// The units of a stream, empty ones left out. Bytes before the first start code are no unit.
pub(crate) fn units(stream: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    let mut at = start_code(stream, 0).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let from = at?;
        let (to, next) = match start_code(stream, from) {
            Some((before, after)) => (before, Some(after)),
            None => (stream.len(), None),
        };
        at = next;
        Some(&stream[from..to])
    })
    .map(|unit| match unit.iter().rposition(|byte| *byte != 0) {
        // Zeros before a start code belong to it.
        Some(last) => &unit[..=last],
        None => &[],
    })
    .filter(|unit| !unit.is_empty())
    .map(Unit)
}

/// Where the next `00 00 01` starts and ends.
fn start_code(stream: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(bytes) = stream.get(at..at + 3) {
        // Most bytes are above 1 and exclude three positions at once.
        match bytes {
            [0, 0, 1] => return Some((at, at + 3)),
            [_, _, third] if *third > 1 => at += 3,
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(stream: &[u8], want: &[&[u8]]) {
        let got: Vec<_> = units(stream).map(Unit::bytes).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn start_codes_of_both_lengths_divide_units() {
        check(
            &[0, 0, 0, 1, 0x67, 5, 0, 0, 1, 0x68, 0, 0, 3, 1, 0, 0, 0, 1, 0x65],
            &[&[0x67, 5], &[0x68, 0, 0, 3, 1], &[0x65]],
        );
        check(&[9, 9, 0, 0, 1, 0x61, 7, 0, 0, 0], &[&[0x61, 7]]);
    }

    #[test]
    fn a_stream_without_units_has_none() {
        check(&[], &[]);
        check(&[0, 0], &[]);
        check(&[0x65, 1, 2, 3], &[]);
        check(&[0, 0, 1], &[]);
        check(&[0, 0, 1, 0, 0, 0, 0, 1], &[]);
    }

    proptest! {
        #[test]
        fn units_are_found_as_a_slow_search_finds_them(stream in prop::collection::vec(0u8..4, 0..60)) {
            let mut want = Vec::new();
            let mut starts: Vec<_> = (0..stream.len()).filter(|i| stream[*i..].starts_with(&[0, 0, 1])).collect();
            starts.push(stream.len());
            for pair in starts.windows(2) {
                let unit = &stream[(pair[0] + 3).min(pair[1])..pair[1]];
                let end = unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                if end > 0 {
                    want.push(unit[..end].to_vec());
                }
            }
            let got: Vec<_> = units(&stream).map(|unit| unit.bytes().to_vec()).collect();
            prop_assert_eq!(got, want);
        }
    }
}
