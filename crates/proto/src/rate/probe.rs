//! The way out of a shut gate when everything in flight is lost.
//!
//! No packet arrives, so no report comes, so nothing leaves the flight, so the gate stays shut, so no packet is sent:
//! one small packet now and then breaks the circle, and is the first to learn that the link is back.

use std::time::{Duration, Instant};

/// Silence after which a probe is sent: a gate that is shut for less opens by itself.
pub const INTERVAL: Duration = Duration::from_millis(150);
/// Most bytes of a probe: what even a link at 150 kbit/s carries in 32 ms.
pub const BYTES_MAX: usize = 600;

/// | state | frame skipped for the link | frame encoded | packet sent | 150 ms after the last packet |
/// |---|---|---|---|---|
/// | `Open` | `Shut` | - | - | - |
/// | `Shut` | - | `Open` | count anew | probe, count anew |
#[derive(Debug)]
pub(super) struct Probe {
    state: State,
    sent_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Shut,
}

impl Probe {
    pub(super) const fn new(now: Instant) -> Self {
        Self { state: State::Open, sent_at: now }
    }

    pub(super) const fn handle_shut(&mut self) {
        self.state = State::Shut;
    }

    pub(super) const fn handle_open(&mut self) {
        self.state = State::Open;
    }

    pub(super) const fn handle_sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open => None,
            State::Shut => Some(self.sent_at + INTERVAL),
        }
    }

    /// Whether a probe is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.poll_timeout().is_some_and(|at| at <= now);
        if is_due {
            self.sent_at = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    #[test]
    fn a_shut_gate_is_probed_after_each_silence_and_an_open_one_never() {
        let mut probe = Probe::new(start());
        assert_eq!(probe.poll_timeout(), None);
        assert!(!probe.handle_timeout(start() + MS * 1000));
        probe.handle_shut();
        probe.handle_sent(start() + MS * 10);
        assert!(!probe.handle_timeout(start() + MS * 159));
        assert!(probe.handle_timeout(start() + MS * 160));
        assert!(!probe.handle_timeout(start() + MS * 309));
        assert!(probe.handle_timeout(start() + MS * 310));
        probe.handle_open();
        assert_eq!(probe.poll_timeout(), None);
    }
}
