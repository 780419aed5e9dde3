//! Single packets: cutting a picture into payloads, and reading one payload.

use bytes::{BufMut, Bytes, BytesMut};

use crate::anchor::Anchor;
use crate::video::FrameKind;

/// Bytes of H.264 in one packet. With RTP, its extensions, SRTP, UDP, IPv6 and a TURN header on top it stays below
/// the 1280 that every IPv6 path carries.
pub const PAYLOAD_BYTES_MAX: usize = 1160;

/// NAL unit types (Rec. ITU-T H.264 table 7-1) and packet types (RFC 6184 table 1).
pub(super) mod kind {
    pub(crate) const IDR: u8 = 5;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
    pub(crate) const DELIMITER: u8 = 9;
    pub(crate) const FILLER: u8 = 12;
    pub(crate) const LAST_SINGLE: u8 = 23;
    pub(crate) const STAP_A: u8 = 24;
    pub(crate) const FU_A: u8 = 28;
}

const KIND_MASK: u8 = 0x1f;
const FRAGMENT_START: u8 = 0x80;
const FRAGMENT_END: u8 = 0x40;

/// Cuts a picture in Annex B form into RTP payloads of at most `bytes_max` bytes (at least 16).
///
/// Parameter sets travel together in one STAP-A, small NAL units by themselves, large ones in FU-A fragments of equal
/// size. Access unit delimiters and filler are left out (RFC 6184 section 5.6 has no use for them).
///
/// # Panics
///
/// If `bytes_max` is below 16.
pub fn split(annex_b: &Bytes, bytes_max: usize) -> Vec<Bytes> {
    assert!(bytes_max >= 16, "a payload holds at least 16 bytes");
    let mut payloads = Vec::with_capacity(annex_b.len() / bytes_max + 2);
    let mut parameter_sets: Vec<Bytes> = Vec::new();
    for nal in nal_units(annex_b) {
        match nal[0] & KIND_MASK {
            kind::DELIMITER | kind::FILLER => {}
            kind::SPS | kind::PPS => parameter_sets.push(nal),
            _ => {
                flush_parameter_sets(&mut parameter_sets, bytes_max, &mut payloads);
                push_nal(nal, bytes_max, &mut payloads);
            }
        }
    }
    flush_parameter_sets(&mut parameter_sets, bytes_max, &mut payloads);
    payloads
}

fn flush_parameter_sets(sets: &mut Vec<Bytes>, bytes_max: usize, payloads: &mut Vec<Bytes>) {
    let together = 1 + sets.iter().map(|set| 2 + set.len()).sum::<usize>();
    if sets.len() > 1 && together <= bytes_max {
        let mut payload = BytesMut::with_capacity(together);
        let importance = sets.iter().map(|set| set[0] & 0x60).max().unwrap_or(0);
        payload.put_u8(importance | kind::STAP_A);
        for set in sets.drain(..) {
            payload.put_u16(set.len() as u16);
            payload.put_slice(&set);
        }
        payloads.push(payload.freeze());
    } else {
        for set in sets.drain(..) {
            push_nal(set, bytes_max, payloads);
        }
    }
}

fn push_nal(nal: Bytes, bytes_max: usize, payloads: &mut Vec<Bytes>) {
    if nal.len() <= bytes_max {
        payloads.push(nal);
        return;
    }
    let (header, body) = (nal[0], nal.slice(1..));
    let count = body.len().div_ceil(bytes_max - 2);
    let size = body.len().div_ceil(count);
    let last = body.len().div_ceil(size) - 1;
    for (n, piece) in body.chunks(size).enumerate() {
        let start = if n == 0 { FRAGMENT_START } else { 0 };
        let end = if n == last { FRAGMENT_END } else { 0 };
        let mut payload = BytesMut::with_capacity(2 + piece.len());
        payload.put_u8((header & !KIND_MASK) | kind::FU_A);
        payload.put_u8(start | end | (header & KIND_MASK));
        payload.put_slice(piece);
        payloads.push(payload.freeze());
    }
}

/// The NAL units of an Annex B stream, without start codes and trailing zeros.
pub fn nal_units(annex_b: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let mut at = start_code(annex_b, 0).map(|(_, after)| after);
    std::iter::from_fn(move || {
        loop {
            let begin = at?;
            let end = match start_code(annex_b, begin) {
                Some((before, after)) => {
                    at = Some(after);
                    before
                }
                None => {
                    at = None;
                    annex_b.len()
                }
            };
            let trimmed =
                annex_b[begin..end].iter().rposition(|&byte| byte != 0).map_or(begin, |n| begin + n + 1);
            if trimmed > begin {
                return Some(annex_b.slice(begin..trimmed));
            }
        }
    })
}

/// Finds `00 00 01` from `from` on: where it begins and where the NAL unit after it does.
fn start_code(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from + 2;
    while at < data.len() {
        // The third byte decides how far the next start code can be.
        match data[at] {
            0 => at += 1,
            1 if data[at - 1] == 0 && data[at - 2] == 0 => return Some((at - 2, at + 1)),
            _ => at += 3,
        }
    }
    None
}

/// Why a payload is not H.264.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No bytes where a header should be.
    #[error("payload has {0} bytes, too few for its header")]
    Truncated(usize),
    /// An aggregate announces more than is there.
    #[error("aggregate announces a unit of {announced} bytes and holds {left}")]
    Aggregate {
        /// Bytes announced.
        announced: usize,
        /// Bytes left.
        left: usize,
    },
    /// A packet type that packetization mode 1 does not have.
    #[error("packet type {0} is not used in packetization mode 1")]
    Kind(u8),
    /// A fragment that is both the first and the last, or has a type no NAL unit has.
    #[error("fragment header {0:#04x} makes no sense")]
    Fragment(u8),
    /// Fragments of one picture that do not fit together.
    #[error("fragments do not fit together")]
    Sequence,
}

/// One RTP payload, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// One NAL unit.
    Single(&'a [u8]),
    /// Several NAL units, each with its size before it, all checked.
    Aggregate(&'a [u8]),
    /// A piece of a NAL unit.
    Fragment {
        /// The NAL unit's header, put together from the fragment's.
        header: u8,
        /// Whether a NAL unit starts here.
        start: bool,
        /// Whether it ends here.
        end: bool,
        /// Its bytes.
        body: &'a [u8],
    },
}

impl<'a> Payload<'a> {
    /// Reads a payload of packetization mode 1.
    ///
    /// # Errors
    ///
    /// On anything a sender following RFC 6184 does not send; never panics.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let [header, rest @ ..] = payload else {
            return Err(Malformed::Truncated(0));
        };
        match header & KIND_MASK {
            1..=kind::LAST_SINGLE => Ok(Self::Single(payload)),
            kind::STAP_A => {
                check_aggregate(rest)?;
                Ok(Self::Aggregate(rest))
            }
            kind::FU_A => {
                let [fragment, body @ ..] = rest else {
                    return Err(Malformed::Truncated(payload.len()));
                };
                let (start, end) = (fragment & FRAGMENT_START != 0, fragment & FRAGMENT_END != 0);
                let unit = fragment & KIND_MASK;
                if (start && end) || unit == 0 || unit > kind::LAST_SINGLE {
                    return Err(Malformed::Fragment(*fragment));
                }
                if body.is_empty() {
                    return Err(Malformed::Truncated(payload.len()));
                }
                Ok(Self::Fragment { header: (header & !KIND_MASK) | unit, start, end, body })
            }
            other => Err(Malformed::Kind(other)),
        }
    }

    /// The type of the first NAL unit in it.
    pub fn first_unit_kind(&self) -> u8 {
        let header = match self {
            Self::Single(nal) => nal[0],
            Self::Aggregate(units) => units[2],
            Self::Fragment { header, .. } => *header,
        };
        header & KIND_MASK
    }

    /// Whether a decoder could start here: the parameter sets that open a key frame.
    pub fn opens_key_frame(&self) -> bool {
        let begins = match self {
            Self::Single(_) | Self::Aggregate(_) => true,
            Self::Fragment { start, .. } => *start,
        };
        begins && self.first_unit_kind() == kind::SPS
    }

    /// The anchor that a recovery which begins here is predicted from.
    pub fn opens_recovery(&self) -> Option<Anchor> {
        match self {
            Self::Single(nal) => Anchor::read(nal),
            Self::Aggregate(_) | Self::Fragment { .. } => None,
        }
    }
}

/// Checks that the units of a STAP-A fill it exactly, each with at least a header.
fn check_aggregate(mut units: &[u8]) -> Result<(), Malformed> {
    if units.is_empty() {
        return Err(Malformed::Truncated(1));
    }
    while !units.is_empty() {
        let [high, low, rest @ ..] = units else {
            return Err(Malformed::Truncated(units.len()));
        };
        let announced = usize::from(u16::from_be_bytes([*high, *low]));
        if announced == 0 || announced > rest.len() {
            return Err(Malformed::Aggregate { announced, left: rest.len() });
        }
        units = &rest[announced..];
    }
    Ok(())
}

/// Puts the payloads of one picture, complete and in order, back into Annex B form.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    annex_b: BytesMut,
    /// The header of the NAL unit whose fragments are being joined.
    open: Option<u8>,
    has_idr: bool,
    has_note: bool,
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

impl Joiner {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { annex_b: BytesMut::with_capacity(bytes), ..Self::default() }
    }

    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        match Payload::parse(payload)? {
            Payload::Single(nal) => self.push_unit(nal),
            Payload::Aggregate(mut units) => {
                while let [high, low, rest @ ..] = units {
                    let (nal, left) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                    self.push_unit(nal)?;
                    units = left;
                }
                Ok(())
            }
            Payload::Fragment { header, start, end, body } => {
                match (self.open, start) {
                    (None, true) => {
                        self.begin(header);
                        self.annex_b.put_u8(header);
                    }
                    (Some(open), false) if open == header => {}
                    (None, false) | (Some(_), _) => return Err(Malformed::Sequence),
                }
                self.annex_b.put_slice(body);
                self.open = (!end).then_some(header);
                Ok(())
            }
        }
    }

    /// The picture, and of what kind it is.
    pub(super) fn finish(self) -> Result<(Bytes, FrameKind), Malformed> {
        if self.open.is_some() || self.annex_b.is_empty() {
            return Err(Malformed::Sequence);
        }
        let kind = match (self.has_idr, self.has_note) {
            (true, _) => FrameKind::Key,
            (false, true) => FrameKind::Recovery,
            (false, false) => FrameKind::Delta,
        };
        Ok((self.annex_b.freeze(), kind))
    }

    fn push_unit(&mut self, nal: &[u8]) -> Result<(), Malformed> {
        if self.open.is_some() {
            return Err(Malformed::Sequence);
        }
        self.begin(nal[0]);
        self.has_note |= Anchor::read(nal).is_some();
        self.annex_b.put_slice(nal);
        Ok(())
    }

    fn begin(&mut self, header: u8) {
        self.has_idr |= header & KIND_MASK == kind::IDR;
        self.annex_b.put_slice(&START_CODE);
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
