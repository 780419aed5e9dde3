//! The receiver report: what became of the pictures, told to their sender.

use super::wire::{DatagramError, NONE16, Shape, Tail, Writer, some16};
use crate::anchor::Anchor;
use crate::video::FrameId;

/// What a receiver makes of the pictures, 10 Hz while they come, and at once when other anchors are held.
///
/// | offset | field | | offset | field |
/// |---|---|---|---|---|
/// | 0 | version, 1 | | 12 | pictures decoded in the last second and never shown, u16 |
/// | 1 | type, 10 | | 14 | pictures that could not be decoded in the last second, u16 |
/// | 2 | bits: 1 a picture was decoded, 2 one was shown | | 16 | 95th percentile of decoding in the last second, 10 µs, u16 |
/// | 3 | number of anchors held, 0 to 4 | | 18 | zero, u16 |
/// | 4 | number of this report, u32 | | 20 | the anchors held, u32 each; zero beyond their number |
/// | 8 | picture decoded last, u16 | | 36 | end |
/// | 10 | picture shown last, u16 | | | |
///
/// Whoever sends this can go on with a recovery, and holds the anchors it names until the next report. Later versions may
/// append fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// Counts the reports of one connection; datagrams overtake each other.
    pub sequence: u32,
    /// The picture decoded last; none before the first.
    pub decoded: Option<FrameId>,
    /// The picture shown last; none before the first.
    pub shown: Option<FrameId>,
    /// Pictures decoded in the last second that a newer one replaced before it was shown.
    pub skipped: u16,
    /// Pictures that could not be decoded in the last second.
    pub broken: u16,
    /// 95th percentile of the time to decode one, of those of the last second, in units of 10 µs.
    pub decode_p95: Option<u16>,
    /// The anchors that a recovery may be predicted from.
    pub held: Held,
}

/// Anchors, [`MAX`](Self::MAX) at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    anchors: [Option<Anchor>; Self::MAX],
}

impl Held {
    /// The most that a report names; a sender of ours has two.
    pub const MAX: usize = 4;

    /// All of them.
    pub fn anchors(&self) -> impl Iterator<Item = Anchor> {
        self.anchors.into_iter().flatten()
    }
}

impl FromIterator<Anchor> for Held {
    /// The first four; those beyond are not told.
    fn from_iter<I: IntoIterator<Item = Anchor>>(anchors: I) -> Self {
        let mut held = Self::default();
        for (place, anchor) in held.anchors.iter_mut().zip(anchors) {
            *place = Some(anchor);
        }
        held
    }
}

impl ReceiverReport {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 36;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        let bits = u8::from(self.decoded.is_some()) | u8::from(self.shown.is_some()) << 1;
        out.u8(VERSION).u8(KIND).u8(bits).u8(self.held.anchors().count() as u8).u32(self.sequence);
        for id in [self.decoded, self.shown] {
            out.u16(id.map_or(0, |FrameId(id)| id));
        }
        out.u16(self.skipped).u16(self.broken).u16(self.decode_p95.unwrap_or(NONE16)).u16(0);
        for anchor in self.held.anchors {
            out.u32(anchor.map_or(0, |Anchor(anchor)| anchor));
        }
        out.finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, a datagram too short, or more anchors than there is room for.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape = Shape { name: NAME, version: VERSION, kind: KIND, len: Self::LEN, tail: Tail::Ignored };
        let mut fields = shape.open(bytes)?;
        let (bits, count) = (fields.u8(), fields.u8());
        if usize::from(count) > Held::MAX {
            return Err(DatagramError::Field { name: NAME, field: "number of anchors", value: count.into() });
        }
        let sequence = fields.u32();
        let mut id = |bit: u8| Some(FrameId(fields.u16())).filter(|_| bits & bit != 0);
        let (decoded, shown) = (id(1), id(2));
        let (skipped, broken) = (fields.u16(), fields.u16());
        let decode_p95 = some16(fields.u16());
        fields.u16();
        let held = (0..count).map(|_| Anchor(fields.u32())).collect();
        Ok(Self { sequence, decoded, shown, skipped, broken, decode_p95, held })
    }
}

const NAME: &str = "receiver report";
const VERSION: u8 = 1;
const KIND: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrong_report_is_told_what_is_wrong_with_it() {
        let message = |bytes: &[u8]| ReceiverReport::decode(bytes).unwrap_err().to_string();
        assert_eq!(message(&[1, 10, 0]), "receiver report datagram has 3 bytes, want 36");
        assert_eq!(message(&[1, 8, 0]), "receiver report datagram has type 8, want 10");
        assert_eq!(message(&[2, 10, 0]), "receiver report datagram has version 2, want 1");
        let mut bytes = ReceiverReport::default().encode();
        bytes[3] = 5;
        assert_eq!(message(&bytes), "receiver report datagram has number of anchors 5, which means nothing");
    }

    #[test]
    fn more_anchors_than_there_is_room_for_are_left_out() {
        let held: Held = (1..=6).map(Anchor).collect();
        assert_eq!(held.anchors().collect::<Vec<_>>(), [1, 2, 3, 4].map(Anchor));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_report_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 4..60)) {
            bytes[..2].copy_from_slice(&[VERSION, KIND]);
            let read = ReceiverReport::decode(&bytes);
            prop_assert_eq!(read.is_ok(), bytes.len() >= ReceiverReport::LEN && bytes[3] <= 4);
            if let Ok(report) = read {
                prop_assert_eq!(ReceiverReport::decode(&report.encode()), Ok(report));
            }
        }
    }
}
