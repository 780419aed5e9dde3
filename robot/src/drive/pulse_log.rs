//! The record of what the outputs did, for tests and for measuring stick to motor.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::registers::Widths;
use crate::clock::monotonic_ns;

/// Appends one line per change: `monotonic_ns,writer,steer_us,throttle_us,pan_us,tilt_us`.
///
/// Several processes may append to one file: each line is one write.
#[derive(Debug)]
pub struct PulseLog {
    file: File,
    writer: &'static str,
    last: Option<Widths>,
    lost: u64,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `CLOCK_MONOTONIC` of the write, in ns.
    pub at_ns: u64,
    /// `actuator`, or `run` when that had to step in.
    pub writer: String,
    /// Pulse widths from then on, in µs.
    pub widths: Widths,
}

impl PulseLog {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, writer: &'static str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { file, writer, last: None, lost: 0 })
    }

    /// Notes what is in force from this moment; nothing is written unless it differs from the last note.
    ///
    /// A full disk must not stop a car that drives: lines that cannot be written are counted and left out.
    pub fn note(&mut self, widths: Widths) {
        if self.last == Some(widths) {
            return;
        }
        self.last = Some(widths);
        let [steer, throttle, pan, tilt] = widths;
        let line = format!("{},{},{steer},{throttle},{pan},{tilt}\n", monotonic_ns(), self.writer);
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            if self.lost == 0 {
                tracing::warn!(%error, "pulse log cannot be written");
            }
            self.lost += 1;
        }
    }
}

/// Reads the lines of a log; an unfinished last line is left out.
///
/// # Errors
/// When the file cannot be read or a line is something else.
pub fn read(path: &Path) -> io::Result<Vec<Line>> {
    let content = std::fs::read_to_string(path)?;
    let whole = content.rfind('\n').map_or("", |end| &content[..end]);
    whole
        .lines()
        .map(|line| parse(line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line.to_owned())))
        .collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split(',');
    let at_ns = fields.next()?.parse().ok()?;
    let writer = fields.next()?.to_owned();
    let mut widths = Widths::default();
    for width in &mut widths {
        *width = fields.next()?.parse().ok()?;
    }
    fields.next().is_none().then_some(Line { at_ns, writer, widths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_written_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulses");
        let mut actuator = PulseLog::open(&path, "actuator").unwrap();
        let mut run = PulseLog::open(&path, "run").unwrap();
        for widths in [[1500; 4], [1500; 4], [1600, 1500, 1500, 1500]] {
            actuator.note(widths);
        }
        run.note([1500; 4]);
        std::io::Write::write_all(&mut OpenOptions::new().append(true).open(&path).unwrap(), b"123,acut")
            .unwrap();
        let lines = read(&path).unwrap();
        let got: Vec<_> = lines.iter().map(|l| (l.writer.as_str(), l.widths[0])).collect();
        assert_eq!(got, [("actuator", 1500), ("actuator", 1600), ("run", 1500)]);
        assert!(lines.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
    }

    #[test]
    fn something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulses");
        for content in ["hello\n", "1,run,1,2,3\n", "1,run,1,2,3,4,5\n", "1,run,1,2,3,x\n"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{content}");
        }
    }
}
