//! When a cellular link may carry how much: recorded, synthetic or generated.
//!
//! The format is Mahimahi's: one line is a time in ms at which up to 1504 bytes may leave, several lines may have one
//! time, the file repeats after its last line, and a grant that nobody uses is lost. Files are plain text, or that packed
//! by gzip.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::clock::VirtualTime;

/// Bytes of one grant.
pub const GRANT_BYTES: usize = 1504;

/// How a packed file begins (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The grants of one period of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In ms, ascending.
    grants_ms: Vec<u64>,
    period_ms: u64,
}

/// A file that holds no trace.
#[derive(Debug)]
pub enum Unreadable {
    /// It could not be read, or is not text.
    File(std::io::Error),
    /// A line is not a time that ascends; lines count from 1.
    Line(usize),
    /// There is no grant after time 0.
    Empty,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => write!(f, "{error}"),
            Self::Line(line) => write!(f, "line {line} is not a time in ms, or below the one before it"),
            Self::Empty => write!(f, "no grant after time 0"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Trace {
    /// Reads a file.
    ///
    /// # Errors
    /// If it can't be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let bytes = std::fs::read(path).map_err(Unreadable::File)?;
        let mut text = String::new();
        if bytes.starts_with(&GZIP) {
            MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text)
        } else {
            (&bytes[..]).read_to_string(&mut text)
        }
        .map_err(Unreadable::File)?;
        Self::parse(&text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it holds something else.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut grants_ms: Vec<u64> = Vec::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let at: u32 = text.trim().parse().map_err(|_| Unreadable::Line(line))?;
            if grants_ms.last().is_some_and(|last| *last > u64::from(at)) {
                return Err(Unreadable::Line(line));
            }
            grants_ms.push(u64::from(at));
        }
        let period_ms = grants_ms.last().copied().filter(|last| *last > 0).ok_or(Unreadable::Empty)?;
        Ok(Self { grants_ms, period_ms })
    }

    /// A link whose rate, in bit/s, is a function of the ms; it repeats after `period_ms`.
    pub fn synthetic(period_ms: u64, rate: impl Fn(u64) -> f64) -> Self {
        let mut credit = 0.0;
        let mut grants_ms = Vec::new();
        for ms in 1..=period_ms {
            credit += rate(ms) / 8000.0;
            while credit >= GRANT_BYTES as f64 {
                credit -= GRANT_BYTES as f64;
                grants_ms.push(ms);
            }
        }
        Self { grants_ms, period_ms }
    }

    pub(super) const fn from_grants(grants_ms: Vec<u64>, period_ms: u64) -> Self {
        Self { grants_ms, period_ms }
    }

    /// The same link for someone who comes `offset` later.
    #[must_use]
    pub fn beginning_at(&self, offset: Duration) -> Self {
        let offset_ms = offset.as_millis() as u64 % self.period_ms;
        let past = self.grants_ms.partition_point(|at| *at <= offset_ms);
        let (before, after) = self.grants_ms.split_at(past);
        let later = before.iter().map(|at| at + self.period_ms - offset_ms);
        let grants_ms = after.iter().map(|at| at - offset_ms).chain(later).collect();
        Self { grants_ms, period_ms: self.period_ms }
    }

    /// Number and time of each grant from `from` on, for ever; none if there is not a single one.
    pub fn grants_from(&self, from: VirtualTime) -> impl Iterator<Item = VirtualTime> + '_ {
        let from_ms = from.0.div_ceil(1000);
        let (round, within) = (from_ms / self.period_ms, from_ms % self.period_ms);
        let first = self.grants_ms.partition_point(|at| *at < within);
        let count = self.grants_ms.len();
        let mut index = round as usize * count + first;
        // A grant at the period's end is the same instant as time 0 of the next round.
        if within == 0 && round > 0 {
            index -= self.grants_ms.iter().rev().take_while(|at| **at == self.period_ms).count();
        }
        (0..if count == 0 { 0 } else { usize::MAX }).map(move |step| {
            let index = index + step;
            VirtualTime::from_ms((index / count) as u64 * self.period_ms + self.grants_ms[index % count])
        })
    }

    /// Bytes that could be carried in this time.
    pub fn capacity_bytes(&self, from: VirtualTime, until: VirtualTime) -> usize {
        self.grants_from(from).take_while(|at| *at < until).count() * GRANT_BYTES
    }

    /// Time after which it repeats.
    pub const fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_repeats_after_its_last_line() {
        let trace = Trace::parse("1\n1\n4\n\n10\n").unwrap();
        let got: Vec<_> = trace.grants_from(VirtualTime::ZERO).take(7).map(VirtualTime::as_ms).collect();
        assert_eq!(got, [1, 1, 4, 10, 11, 11, 14]);
        for (from, want) in [(1, 1), (2, 4), (5, 10), (10, 10), (11, 11), (15, 20), (20, 20), (21, 21)] {
            assert_eq!(
                trace.grants_from(VirtualTime::from_ms(from)).next(),
                Some(VirtualTime::from_ms(want))
            );
        }
        assert_eq!(trace.capacity_bytes(VirtualTime::ZERO, VirtualTime::from_ms(100)), 39 * GRANT_BYTES);
    }

    #[test]
    fn whoever_comes_later_sees_the_rest_and_then_the_beginning() {
        let trace = Trace::parse("1\n4\n4\n10\n").unwrap();
        for (offset, want) in [(0, [1, 4, 4, 10, 11]), (3, [1, 1, 7, 8, 11]), (14, [6, 7, 10, 10, 16])] {
            let later = trace.beginning_at(Duration::from_millis(offset));
            let got: Vec<_> = later.grants_from(VirtualTime::ZERO).take(5).map(VirtualTime::as_ms).collect();
            assert_eq!(got, want, "{offset} ms later");
        }
    }

    #[test]
    fn a_packed_file_is_the_same_trace() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("t"), dir.path().join("t.gz"));
        std::fs::write(&plain, "1\n4\n10\n").unwrap();
        let mut encoder =
            flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), Default::default());
        encoder.write_all(b"1\n4\n10\n").unwrap();
        encoder.finish().unwrap();
        assert_eq!(Trace::read(&packed).unwrap(), Trace::read(&plain).unwrap());
        std::fs::write(&packed, [0x1f, 0x8b, 1]).unwrap();
        assert!(matches!(Trace::read(&packed), Err(Unreadable::File(_))));
    }

    #[test]
    fn what_is_no_trace_says_where() {
        for (text, want) in [
            ("1\nx\n", "line 2"),
            ("5\n4\n", "line 2"),
            ("-1\n", "line 1"),
            ("", "no grant"),
            ("0\n", "no grant"),
        ] {
            let message = Trace::parse(text).unwrap_err().to_string();
            assert!(message.contains(want), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_synthetic_link_carries_its_rate() {
        let trace = Trace::synthetic(10_000, |ms| if ms <= 5_000 { 4e6 } else { 5e5 });
        let bits =
            |from, until| 8 * trace.capacity_bytes(VirtualTime::from_ms(from), VirtualTime::from_ms(until));
        assert!((19_900_000..=20_000_000).contains(&bits(0, 5_000)));
        assert!((2_480_000..=2_520_000).contains(&bits(5_001, 10_001)));
    }
}
