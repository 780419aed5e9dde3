//! Whether to wait for the packet behind a lost one, which tells of it.

use super::super::RATE;

/// Packets after which the loss is judged: 2 s of 10 ms.
const WINDOW: u32 = 200;
/// Loss from which waiting is worth its delay, and below which it no longer is.
const WORTH: f64 = 0.01;
const WORTHLESS: f64 = 0.004;
/// More that are missing in a row are an outage, which no redundancy helps against.
const OUTAGE: u16 = 20;

/// Counts what is lost, however the packets are ordered.
#[derive(Debug, Default)]
pub(super) struct Redundancy {
    newest: Option<u16>,
    expected: u32,
    received: u32,
    samples: usize,
    is_worth: bool,
}

impl Redundancy {
    pub(super) fn handle_packet(&mut self, sequence: u16, samples: usize) {
        self.samples = samples;
        let ahead = self.newest.map_or(1, |newest| sequence.wrapping_sub(newest));
        if ahead > u16::MAX / 2 || ahead == 0 {
            // Late, or twice: it was expected before.
            self.received += u32::from(ahead != 0);
            return;
        }
        self.newest = Some(sequence);
        if ahead > OUTAGE {
            (self.expected, self.received) = (0, 0);
            return;
        }
        self.expected += u32::from(ahead);
        self.received += 1;
        if self.expected >= WINDOW {
            let loss = 1.0 - f64::from(self.received) / f64::from(self.expected);
            self.is_worth = loss > if self.is_worth { WORTHLESS } else { WORTH };
            (self.expected, self.received) = (0, 0);
        }
    }

    /// How much more than the fastest packets' travel to wait, in seconds.
    pub(super) fn wait(&self) -> f64 {
        // The packet behind comes one packet later; 2 ms are what it may be late by.
        if self.is_worth { self.samples as f64 / f64::from(RATE) + 0.002 } else { 0.0 }
    }
}
