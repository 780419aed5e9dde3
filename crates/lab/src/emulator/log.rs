//! What was sent over a link when, and what became of it: kept in memory, written as text at the end.
//!
//! ```text
//! zero 1700000000000000                 unix time of the link's beginning in µs
//! capacity forth 20 4512                bytes that a way could carry in the 20 ms until then; none on an open road
//! packet forth 1234 1228 arrived 30000 102      sent at (µs), bytes, fate, arrived at, RTP payload type or -
//! packet back 1300 90 lost - -
//! late 1400 52000                       due at (µs), and how much later the machine let the link do it
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::direction::Way;
use crate::clock::VirtualTime;

/// Capacity is told in pieces of so many ms.
pub const CAPACITY_EVERY: u64 = 20;

/// The log of a link; of two ways, the first is `forth`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Unix time of the beginning, in µs.
    pub zero_unix_us: u64,
    /// Every packet in the order of sending, of each way.
    pub packets: [Vec<Packet>; 2],
    /// Bytes of each 20 ms, of each way.
    pub capacity: [Vec<usize>; 2],
    /// When something was due that was done more than 10 ms later, and how much: the machine stood still.
    pub late: Vec<(VirtualTime, Duration)>,
}

/// The link's thread comes before all others, so that only a machine that stands still is late by this.
pub(super) const LATE: Duration = Duration::from_millis(10);

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When the link got it.
    pub sent: VirtualTime,
    /// With its IP header.
    pub bytes: usize,
    /// What became of it.
    pub fate: Fate,
    /// RTP payload type, if it looks like one.
    pub rtp: Option<u8>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on the way still.
    Underway,
    /// It arrived then.
    Arrived(VirtualTime),
    /// The queue was full.
    Dropped,
    /// The air lost it.
    Lost,
}

impl Log {
    /// Fills in what these ways could carry until `end`.
    pub(super) fn set_capacity(&mut self, ways: &[Way; 2], end: VirtualTime) {
        for (capacity, way) in self.capacity.iter_mut().zip(ways) {
            let piece = |index: u64| {
                let [from, until] = [index, index + 1].map(|i| VirtualTime(i * CAPACITY_EVERY * 1000 + 1));
                way.capacity_bytes(from, until)
            };
            *capacity = (0..end.as_ms() / CAPACITY_EVERY).map_while(piece).collect();
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.to_string())
    }

    /// Reads it.
    ///
    /// # Errors
    /// If the file can't be read or holds something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        std::fs::read_to_string(path)?.parse()
    }

    /// Bytes that a way could carry in this time, in whole pieces of 20 ms; none on an open road.
    pub fn capacity_bytes(&self, way: usize, from: VirtualTime, until: VirtualTime) -> Option<usize> {
        let pieces = &self.capacity[way];
        let index = |at: VirtualTime| (at.as_ms() / CAPACITY_EVERY) as usize;
        let range =
            index(from).min(pieces.len())..index(until).clamp(index(from), pieces.len().max(index(from)));
        (!pieces.is_empty()).then(|| pieces.get(range).unwrap_or_default().iter().sum())
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "zero {}", self.zero_unix_us)?;
        for (due, by) in &self.late {
            writeln!(f, "late {} {}", due.0, by.as_micros())?;
        }
        for (name, capacity) in NAMES.iter().zip(&self.capacity) {
            for (until, bytes) in (1..).zip(capacity) {
                writeln!(f, "capacity {name} {} {bytes}", until * CAPACITY_EVERY)?;
            }
        }
        for (name, packets) in NAMES.iter().zip(&self.packets) {
            for packet in packets {
                write!(f, "packet {name} {} {} ", packet.sent.0, packet.bytes)?;
                match packet.fate {
                    Fate::Arrived(at) => write!(f, "arrived {} ", at.0)?,
                    Fate::Underway => f.write_str("underway - ")?,
                    Fate::Dropped => f.write_str("dropped - ")?,
                    Fate::Lost => f.write_str("lost - ")?,
                }
                match packet.rtp {
                    Some(kind) => writeln!(f, "{kind}")?,
                    None => f.write_char('-').and_then(|()| writeln!(f))?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Log {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let mut log = Self::default();
        for line in text.lines() {
            log.take_line(line).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("no line of a link's log: {line}"))
            })?;
        }
        Ok(log)
    }
}

impl Log {
    fn take_line(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let way = |name| NAMES.iter().position(|known| *known == name);
        match words[..] {
            ["zero", at] => self.zero_unix_us = at.parse().ok()?,
            ["late", due, by] => {
                self.late.push((VirtualTime(due.parse().ok()?), Duration::from_micros(by.parse().ok()?)));
            }
            ["capacity", name, _, bytes] => self.capacity[way(name)?].push(bytes.parse().ok()?),
            ["packet", name, sent, bytes, fate, at, rtp] => {
                let fate = match fate {
                    "arrived" => Fate::Arrived(VirtualTime(at.parse().ok()?)),
                    "underway" => Fate::Underway,
                    "dropped" => Fate::Dropped,
                    "lost" => Fate::Lost,
                    _ => return None,
                };
                let rtp = if rtp == "-" { None } else { Some(rtp.parse().ok()?) };
                let (sent, bytes) = (VirtualTime(sent.parse().ok()?), bytes.parse().ok()?);
                self.packets[way(name)?].push(Packet { sent, bytes, fate, rtp });
            }
            _ => return None,
        }
        Some(())
    }
}

/// The payload type of an IPv4 packet that carries RTP: version 2 by the ranges of RFC 7983, and not RTCP by those of
/// RFC 5761. Encryption leaves the header as it is.
pub(super) fn rtp_payload_type(packet: &[u8]) -> Option<u8> {
    let (first, protocol) = (*packet.first()?, *packet.get(9)?);
    let udp = usize::from(first & 15) * 4;
    let [kind, payload_type] = *packet.get(udp + 8..udp + 10)? else { return None };
    let is_rtp = first >> 4 == 4
        && protocol == UDP
        && (128..192).contains(&kind)
        && !(64..96).contains(&(payload_type & 0x7f));
    is_rtp.then_some(payload_type & 0x7f)
}

const NAMES: [&str; 2] = ["forth", "back"];
/// IANA's protocol number.
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Road;
    use crate::link::Trace;

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let packet = |us, fate, rtp| Packet { sent: VirtualTime(us), bytes: 1200, fate, rtp };
        let late = vec![(VirtualTime(5), Duration::from_micros(52_000))];
        let mut log = Log { zero_unix_us: 1_700_000_000_123_456, late, ..Log::default() };
        log.packets[0] = vec![
            packet(1, Fate::Arrived(VirtualTime(25_001)), Some(102)),
            packet(2, Fate::Lost, None),
            packet(3, Fate::Dropped, Some(103)),
        ];
        log.packets[1] = vec![packet(7, Fate::Underway, None)];
        let narrow = Way::new(Road::Narrow(Trace::parse("5\n20\n21\n40\n").unwrap()), Duration::ZERO);
        log.set_capacity(&[narrow, Way::delay(Duration::ZERO)], VirtualTime::from_ms(45));
        assert_eq!(log.capacity, [vec![2 * 1504, 2 * 1504], vec![]]);
        assert_eq!(log.to_string().parse::<Log>().unwrap(), log);
        let ms = VirtualTime::from_ms;
        assert_eq!(log.capacity_bytes(0, ms(20), ms(60)), Some(2 * 1504));
        assert_eq!(
            (log.capacity_bytes(0, ms(80), ms(90)), log.capacity_bytes(1, ms(0), ms(90))),
            (Some(0), None)
        );
        for wrong in [
            "",
            "packet sideways 1 1 lost - -",
            "packet forth 1 1 eaten - -",
            "capacity forth 20 x",
            "late 1 -",
        ] {
            assert!(format!("zero 1\n{wrong}\n").parse::<Log>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_rtp_has_a_payload_type() {
        let packet = |protocol, payload: &[u8]| {
            let mut packet = vec![0; 28];
            (packet[0], packet[9]) = (0x45, protocol);
            packet.extend(payload);
            packet
        };
        let cases: [(&[u8], Option<u8>); 5] = [
            (&[0x80, 0xe6], Some(102)),
            (&[0x90, 0x67], Some(103)),
            (&[0x80, 201], None),
            (&[0x16, 0xfe], None),
            (&[0x80], None),
        ];
        for (payload, want) in cases {
            assert_eq!(rtp_payload_type(&packet(17, payload)), want, "{payload:?}");
        }
        assert_eq!(rtp_payload_type(&packet(6, &[0x80, 0xe6])), None);
        assert_eq!(rtp_payload_type(&[]), None);
    }
}
