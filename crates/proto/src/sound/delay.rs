//! How late sound has to be played so that nearly all of it is there in time.

use std::collections::VecDeque;

/// How far back is looked, in seconds: an unsteady moment is forgotten after that.
const WINDOW: f64 = 6.0;
/// Fewer packets than this are kept however old they are: after a silence the link is the same as before.
const FEW: usize = 50;
/// Most packets looked at: 6 s of 10 ms. Full: the oldest is forgotten.
const MOST: usize = 600;
/// Share of the packets that is to be in time by the target itself; the rest is helped by [`MARGIN`] and by playing late.
const SHARE: f64 = 0.98;
/// Added to that, in seconds: what the timing of the receiver's own threads may be off by.
const MARGIN: f64 = 0.002;
/// What is expected above the first packet's travel while nothing is known, in seconds.
const FIRST: f64 = 0.015;
/// Packets until the link is known well enough to play with less than [`FIRST`].
const KNOWN: usize = 30;
/// Most that is waited for above the fastest packet, in seconds: with more nobody can talk, and a hole is the lesser evil.
const MOST_JITTER: f64 = 0.4;
/// How long a delay is kept that a late packet made necessary, in seconds: by then the other packets tell.
const HOLD: f64 = 1.0;

/// Learns how long packets travel, and says how late to play: both counted from capture, in seconds on an arbitrary scale
/// (sender's and receiver's clocks have different zeros).
#[derive(Debug, Default)]
pub(super) struct Delay {
    travels: VecDeque<(f64, f64)>,
    scratch: Vec<f64>,
    /// Of the fastest packet looked at.
    least: f64,
    target: f64,
    held: Option<(f64, f64)>,
    seen: usize,
}

impl Delay {
    /// Takes a packet that came `at`, so long after its first sample was captured.
    pub(super) fn handle_packet(&mut self, at: f64, travel: f64) {
        if self.travels.len() == MOST {
            self.travels.pop_front();
        }
        self.travels.push_back((at, travel));
        self.seen += 1;
        while self.travels.len() > FEW && self.travels.front().is_some_and(|first| at - first.0 > WINDOW) {
            self.travels.pop_front();
        }
        self.scratch.clear();
        self.scratch.extend(self.travels.iter().map(|(_, travel)| travel));
        let count = self.scratch.len();
        let index = ((count as f64 * SHARE) as usize).min(count - 1);
        let (_, quantile, _) = self.scratch.select_nth_unstable_by(index, f64::total_cmp);
        let least = self.travels.iter().map(|(_, travel)| *travel).fold(f64::MAX, f64::min);
        self.least = least;
        let first = if self.seen < KNOWN { least + FIRST } else { least };
        self.held = self.held.filter(|(until, _)| at < *until);
        let held = self.held.map_or(least, |(_, travel)| travel);
        self.target = (*quantile + MARGIN).max(first).max(held).min(least + MOST_JITTER);
    }

    /// Keeps to the delay at which a packet that was late is being played, until packets have told whether it is needed.
    pub(super) fn hold(&mut self, now: f64, travel: f64) {
        self.held = Some((now + HOLD, travel));
        self.target = self.target.max(travel);
    }

    /// How long after capture to play; of no use before the first packet.
    pub(super) fn target(&self) -> f64 {
        self.target
    }

    /// How much of the target is there because packets travel unevenly.
    pub(super) fn jitter(&self) -> f64 {
        if self.travels.is_empty() { 0.0 } else { self.target - self.least }
    }

    /// Whether anything is known.
    pub(super) fn is_empty(&self) -> bool {
        self.travels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `seconds` of packets each 10 ms, with what `late` gives for each in ms, and gives the target in ms.
    fn target(delay: &mut Delay, from: f64, seconds: f64, mut late: impl FnMut(usize) -> f64) -> f64 {
        for n in 0..(seconds * 100.0) as usize {
            let travel = 5.0 + late(n) * 1e-3;
            delay.handle_packet(from + n as f64 * 0.01, travel);
        }
        (delay.target() - 5.0) * 1e3
    }

    #[test]
    fn a_steady_link_is_played_almost_at_once_after_a_careful_beginning() {
        let mut delay = Delay::default();
        let first = target(&mut delay, 0.0, 0.1, |_| 0.0);
        assert!((14.0..16.0).contains(&first), "{first}");
        let later = target(&mut delay, 0.1, 1.0, |_| 0.0);
        assert!((1.0..3.0).contains(&later), "{later}");
    }

    #[test]
    fn jitter_is_waited_for_and_forgotten() {
        let mut delay = Delay::default();
        let jittery = target(&mut delay, 0.0, 10.0, |n| (n * 7919 % 601) as f64 / 10.0);
        assert!((58.0..63.0).contains(&jittery), "{jittery}");
        let still = target(&mut delay, 10.0, 7.0, |_| 0.0);
        assert!(still < 3.0, "{still}");
    }

    #[test]
    fn one_packet_that_is_very_late_changes_nothing_and_many_do() {
        let mut delay = Delay::default();
        let once = target(&mut delay, 0.0, 10.0, |n| if n == 900 { 400.0 } else { 0.0 });
        assert!(once < 3.0, "{once}");
        let often = target(&mut delay, 10.0, 10.0, |n| if n % 20 == 0 { 80.0 } else { 0.0 });
        assert!((80.0..84.0).contains(&often), "{often}");
    }

    #[test]
    fn a_late_packet_is_believed_for_a_moment_and_no_stall_is_waited_for() {
        let mut delay = Delay::default();
        target(&mut delay, 0.0, 10.0, |_| 0.0);
        delay.hold(10.0, 5.06);
        let held = target(&mut delay, 10.0, 0.5, |_| 0.0);
        assert!((59.9..60.1).contains(&held), "{held}");
        let over = target(&mut delay, 10.5, 1.0, |_| 0.0);
        assert!(over < 3.0, "{over}");
        let stalled = target(&mut delay, 12.0, 3.0, |n| 3000.0 - n as f64 * 10.0);
        assert!(stalled < 450.0, "{stalled}");
    }

    #[test]
    fn a_longer_way_is_followed_at_once_and_a_clock_that_drifts_as_well() {
        let mut delay = Delay::default();
        target(&mut delay, 0.0, 10.0, |_| 0.0);
        let longer = target(&mut delay, 10.0, 0.5, |_| 100.0);
        assert!((100.0..104.0).contains(&longer), "{longer}");
        let drifting = target(&mut delay, 20.0, 60.0, |n| n as f64 * 0.01 * 0.2);
        assert!((11.0..15.0).contains(&drifting), "{drifting}");
    }
}
