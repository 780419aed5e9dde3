//! The simulated car's outputs: a file that behaves like the registers of a PWM unit.
//!
//! Whoever opens it may write; what was written stays in force when the writer dies, as a kernel's PWM goes on
//! pulsing after `kill -9`. The world of the simulated car reads it at each step of its physics.
//!
//! | offset | field, little-endian |
//! |---|---|
//! | 0 | `FWREGS1\n` |
//! | 8 | pulse widths in the order of `Duty::outputs` (steering, throttle, pan, tilt), µs, u16 each; 0: no pulses |
//! | 16 | number of writes, u32 |
//! | 20 | process id of the last writer, u32 |
//! | 24 | `CLOCK_MONOTONIC` of the last write, ns, u64 |
//! | 32 | FNV-1a of the bytes before, u32 |

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::clock::monotonic_ns;

/// Pulse widths of steering, throttle, pan and tilt, in µs.
pub type Widths = [u16; 4];

/// An open register file.
#[derive(Debug)]
pub struct Registers {
    file: File,
    writes: u32,
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Pulse widths in force, in µs; zeros before the first write.
    pub widths: Widths,
    /// Number of writes.
    pub writes: u32,
    /// Process id of the last writer.
    pub writer: u32,
    /// `CLOCK_MONOTONIC` of the last write, in ns.
    pub written_ns: u64,
}

impl Registers {
    /// Opens or creates the file; what stands in it stays in force.
    ///
    /// # Errors
    /// When the file cannot be opened, or is something else than a register file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        if length != 0 && length != RECORD as u64 {
            let what = format!("{} has {length} bytes, a register file has {RECORD}", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let writes = Self { file: file.try_clone()?, writes: 0 }.read()?.writes;
        Ok(Self { file, writes })
    }

    /// Puts pulse widths in force.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, widths: Widths) -> io::Result<()> {
        self.writes = self.writes.wrapping_add(1);
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(MAGIC);
        for (slot, width) in record[8..16].chunks_exact_mut(2).zip(widths) {
            slot.copy_from_slice(&width.to_le_bytes());
        }
        record[16..20].copy_from_slice(&self.writes.to_le_bytes());
        record[20..24].copy_from_slice(&std::process::id().to_le_bytes());
        record[24..32].copy_from_slice(&monotonic_ns().to_le_bytes());
        let sum = fnv1a(&record[..32]);
        record[32..].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&record, 0)
    }

    /// Reads what is in force.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else than registers.
    pub fn read(&self) -> io::Result<Reading> {
        // A reading that overlaps a write fails its sum; the next one, microseconds later, does not.
        for _ in 0..READ_ATTEMPTS {
            let mut record = [0; RECORD];
            match self.file.read_at(&mut record, 0)? {
                0 => return Ok(Reading::default()),
                RECORD => {}
                _ => continue,
            }
            if &record[..8] == MAGIC && fnv1a(&record[..32]) == u32_at(&record, 32) {
                return Ok(Reading {
                    widths: std::array::from_fn(|i| {
                        u16::from_le_bytes([record[8 + 2 * i], record[9 + 2 * i]])
                    }),
                    writes: u32_at(&record, 16),
                    writer: u32_at(&record, 20),
                    written_ns: u64::from(u32_at(&record, 24)) | u64::from(u32_at(&record, 28)) << 32,
                });
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "this is no register file"))
    }
}

fn u32_at(record: &[u8; RECORD], at: usize) -> u32 {
    u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes"))
}

/// <http://www.isthe.com/chongo/tech/comp/fnv/>, 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

const MAGIC: &[u8; 8] = b"FWREGS1\n";
/// Bytes of the whole file.
const RECORD: usize = 36;
/// A write takes under 2 µs; so many readings in a row fail only if the file is something else.
const READ_ATTEMPTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_outlives_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registers");
        let mut writer = Registers::open(&path).unwrap();
        assert_eq!(writer.read().unwrap(), Reading::default());
        writer.write([1600, 1400, 1500, 1500]).unwrap();
        drop(writer);
        let mut next = Registers::open(&path).unwrap();
        let reading = next.read().unwrap();
        assert_eq!((reading.widths, reading.writes), ([1600, 1400, 1500, 1500], 1));
        assert_eq!(reading.writer, std::process::id());
        next.write([1500; 4]).unwrap();
        assert_eq!(next.read().unwrap().writes, 2);
    }

    #[test]
    fn another_kind_of_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("letter");
        for content in ["Dear driver,", &"x".repeat(RECORD)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Registers::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn readings_beside_a_busy_writer_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registers");
        let mut writer = Registers::open(&path).unwrap();
        writer.write([1000; 4]).unwrap();
        let reader = Registers::open(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || (0..20_000u16).for_each(|i| writer.write([1000 + i % 1000; 4]).unwrap()));
            loop {
                let reading = reader.read().unwrap();
                assert!(reading.widths.iter().all(|w| *w == reading.widths[0]), "{reading:?}");
                if reading.writes == 20_001 {
                    break;
                }
            }
        });
    }
}
