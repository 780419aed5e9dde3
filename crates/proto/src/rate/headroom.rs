//! How much of a link to leave unused: the less steady it is, the more.
//!
//! A link whose rate keeps falling away is only as fast as its dips while the picture has to stay fresh. How deep they
//! are shows by what they do: each time a queue builds, a share is given up, and it comes back slowly. The closed loop
//! is around the queue itself, so it needs no model of the link (simulated on generated and recorded uplinks: p95
//! age of the picture down by a fifth, docs/MEASUREMENTS.md).

use std::time::{Duration, Instant};

/// Share of the service rate to use on a steady link: the rest is for audio, repairs and the encoder's spread.
pub(super) const SHARE_MAX: f64 = 0.88;
/// Least share: below, the rate costs more sharpness than the queue costs freshness.
const SHARE_MIN: f64 = 0.4;
/// A queue or stall this long is an event; it is over below [`super::target::QUEUE_MIN`].
const EVENT: Duration = Duration::from_millis(30);
/// Given up at an event: this share is left of the share.
const LEFT: f64 = 0.7;
/// Won back a second, soon after an event and once there was none for a while.
const BACK_PER_S: f64 = 0.01;
const BACK_CALM_PER_S: f64 = 0.06;
const CALM_AFTER: Duration = Duration::from_secs(5);

/// | state | queue above 30 ms | below 15 ms |
/// |---|---|---|
/// | `Clear` | give up three tenths, `Queued` | - |
/// | `Queued` | - | `Clear` |
#[derive(Debug)]
pub(super) struct Headroom {
    share: f64,
    state: State,
    event_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Clear,
    Queued,
}

impl Headroom {
    pub(super) const fn new() -> Self {
        Self { share: SHARE_MAX, state: State::Clear, event_at: None }
    }

    /// The share of the service rate to use.
    pub(super) const fn share(&self) -> f64 {
        self.share
    }

    /// Goes by the queue; `heard_s` seconds of reports have passed.
    pub(super) fn step(&mut self, queue: Duration, clear_below: Duration, heard_s: f64, now: Instant) {
        if queue < clear_below {
            self.state = State::Clear;
        } else if queue > EVENT && self.state == State::Clear {
            self.state = State::Queued;
            self.event_at = Some(now);
            self.share = (self.share * LEFT).max(SHARE_MIN);
        }
        let is_calm = self.event_at.is_none_or(|at| at + CALM_AFTER < now);
        let back = if is_calm { BACK_CALM_PER_S } else { BACK_PER_S };
        self.share = (self.share + back * heard_s).min(SHARE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    const CLEAR: Duration = Duration::from_millis(15);

    /// The share after these queues, 25 ms apart.
    fn share(queues_ms: impl IntoIterator<Item = u32>) -> f64 {
        let mut headroom = Headroom::new();
        for (n, queue) in (0..).zip(queues_ms) {
            headroom.step(MS * queue, CLEAR, 0.025, start() + MS * 25 * n);
        }
        headroom.share()
    }

    #[test]
    fn a_queue_costs_a_share_once_however_long_it_stands() {
        // Some of it has come back by then.
        let near = |a: f64, b: f64| (a - b).abs() < 0.015;
        assert!(near(share([0, 30, 0]), SHARE_MAX), "not an event yet");
        assert!(near(share([0, 41]), SHARE_MAX * LEFT));
        assert!(near(share([0, 41, 20, 41, 300, 15, 41]), SHARE_MAX * LEFT));
        assert!(near(share([0, 41, 14, 41]), (SHARE_MAX * LEFT * LEFT).max(SHARE_MIN)), "a second one");
        assert!(near(share([41, 0].repeat(9)), SHARE_MIN));
    }

    #[test]
    fn what_was_given_up_comes_back_slowly_and_then_faster() {
        let after = |steps: usize| share([41].into_iter().chain(std::iter::repeat_n(0, steps)));
        let lost = SHARE_MAX * LEFT;
        assert!((after(200) - lost - 0.05).abs() < 0.005, "{}", after(200));
        assert!((after(280) - lost - 0.05 - 0.12).abs() < 0.01, "{}", after(280));
        assert!((after(1000) - SHARE_MAX).abs() < 1e-9);
    }
}
