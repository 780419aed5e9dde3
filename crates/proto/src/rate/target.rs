//! The rate to encode at.

use std::time::{Duration, Instant};

use super::headroom::{Headroom, SHARE_MAX};
use crate::video::Bitrate;

/// Least rate: a picture of 320x180 at 10 frames a second is still one (measured with OpenH264).
pub const MIN: Bitrate = Bitrate::from_kbps(150);
/// Rate before anything is known: 640x360 on nearly every cellular uplink without a queue.
pub const START: Bitrate = Bitrate::from_kbps(800);

/// A queue or stall beyond this is one: below is the scheduler's grain.
pub(super) const QUEUE_MIN: Duration = Duration::from_millis(15);
/// Share of the service rate to use while there is a queue, so that it drains.
const DRAIN_SHARE: f64 = 0.85;
/// A queue this much longer than the least would take all of the share; it leaves [`DRAIN_LEAST`] of it, since
/// the gate already drains the link, and growing back takes long (simulated on generated uplinks: 0.4 and 0.75 are
/// older pictures than 0.6).
const DRAIN_S: f64 = 0.25;
const DRAIN_LEAST: f64 = 0.6;
/// Time constant of growing to a service rate that was measured.
const APPROACH_S: f64 = 0.25;
/// Growth a second while a steady link was never full, as a share of the rate; a fifth of it on the least steady one
/// (simulated on generated and recorded uplinks: p95 age of the picture down by up to a sixth where it varies most, and
/// nothing lost where it does not).
const GROWTH_PER_S: f64 = 1.2;
/// What may be grown to without evidence, over what is delivered: an idle camera does not earn a high rate.
const UNPROVEN: f64 = 2.0;
/// Loss beyond this without a queue is a policer or a broken cell, and less rate is the only help.
const LOSS_MAX: f64 = 0.08;
const LOSS_SHARE: f64 = 0.95;
/// Time for a cut to show in the loss before the next one, and the growth a second meanwhile: a path that loses
/// a tenth whatever is sent keeps its rate, a policer is followed down.
const CUT_EVERY: Duration = Duration::from_secs(1);
const GROWTH_UNDER_LOSS_PER_S: f64 = 0.2;
/// Growth goes by time; a pause longer than this counts as this.
const STEP_MAX: Duration = Duration::from_millis(200);

/// What the link looks like at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    /// The standing queue or the stall, whichever is longer.
    pub(super) queue: Duration,
    /// Service rate, bit/s.
    pub(super) service: f64,
    /// Delivered rate, bit/s.
    pub(super) delivered: f64,
    /// Smoothed share of packets lost.
    pub(super) loss: f64,
    pub(super) phase: Phase,
}

/// Why the rate is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A report, and the link was full: the service rate is measured.
    Measured,
    /// A report, and the link was not full.
    Unfilled,
    /// No report: a timer.
    Silent,
}

/// The rate, between [`MIN`] and the configured most.
#[derive(Debug)]
pub(super) struct Rate {
    bps: f64,
    max: f64,
    stepped_at: Instant,
    /// When loss cut it last.
    cut_at: Option<Instant>,
    headroom: Headroom,
}

impl Rate {
    pub(super) fn new(max: Bitrate, now: Instant) -> Self {
        let max = max.max(MIN);
        Self {
            bps: f64::from(START.min(max).0),
            max: f64::from(max.0),
            stepped_at: now,
            cut_at: None,
            headroom: Headroom::new(),
        }
    }

    pub(super) const fn bps(&self) -> f64 {
        self.bps
    }

    /// Begins elsewhere.
    pub(super) fn set_start(&mut self, bitrate: Bitrate) {
        self.bps = f64::from(bitrate.max(MIN).0).min(self.max);
    }

    /// Whether it is at least this share of the most.
    pub(super) fn is_most(&self, share: f64) -> bool {
        self.bps >= self.max * share
    }

    /// What a link with this service rate bears for long.
    pub(super) fn bearable(&self, service: f64) -> f64 {
        (service * self.headroom.share()).min(self.max)
    }

    /// Changes the most.
    pub(super) fn set_max(&mut self, max: Bitrate) {
        self.max = f64::from(max.max(MIN).0);
        self.bps = self.bps.min(self.max);
    }

    /// Goes by what the link looks like.
    ///
    /// | queue or stall | report | rate |
    /// |---|---|---|
    /// | above 15 ms | | at most 0.85 of the service rate, less the longer the queue |
    /// | below | measured | toward 0.88 of the service rate, or less (see [`Headroom`]) |
    /// | below | unfilled | grows by a share a second (less with the [`Headroom`]'s), to twice what is delivered |
    /// | below | silent | stays |
    /// | below, loss above 8 % | | at most 0.95 of what is delivered, once a second |
    pub(super) fn step(&mut self, signals: &Signals, now: Instant) {
        let passed = now.saturating_duration_since(self.stepped_at).min(STEP_MAX).as_secs_f64();
        if signals.phase != Phase::Silent {
            self.stepped_at = now;
        }
        let heard_s = if signals.phase == Phase::Silent { 0.0 } else { passed };
        self.headroom.step(signals.queue, QUEUE_MIN, heard_s, now);
        if signals.queue > QUEUE_MIN {
            let beyond = (signals.queue - QUEUE_MIN).as_secs_f64();
            let share = DRAIN_SHARE * (1.0 - beyond / DRAIN_S).clamp(DRAIN_LEAST, 1.0);
            // On top of what an unsteady link leaves unused anyway.
            self.bps = self.bps.min(signals.service * share * self.headroom.share() / SHARE_MAX);
        } else {
            match signals.phase {
                Phase::Measured => {
                    let goal = signals.service * self.headroom.share();
                    self.bps += (goal - self.bps) * (1.0 - (-passed / APPROACH_S).exp());
                }
                Phase::Unfilled => {
                    let growth = if signals.loss > LOSS_MAX { GROWTH_UNDER_LOSS_PER_S } else { GROWTH_PER_S };
                    // What an unsteady link is grown to between its dips waits in its queue at the next one.
                    let growth = growth * (self.headroom.share() / SHARE_MAX).powi(2);
                    let grown = self.bps * (1.0 + growth * passed);
                    self.bps = grown.min((signals.delivered * UNPROVEN).max(self.bps));
                }
                Phase::Silent => {}
            }
            let may_cut = self.cut_at.is_none_or(|at| at + CUT_EVERY <= now);
            if signals.loss > LOSS_MAX && may_cut {
                self.cut_at = Some(now);
                self.bps = self.bps.min(signals.delivered * LOSS_SHARE);
            }
        }
        // Order matters: `max` with a NaN gives the other one.
        self.bps = self.bps.max(f64::from(MIN.0)).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    const MAX: Bitrate = Bitrate::from_kbps(4000);

    fn signals(queue_ms: u32, service: f64, phase: Phase) -> Signals {
        Signals { queue: MS * queue_ms, service, delivered: service, loss: 0.0, phase }
    }

    /// The rate after `steps` reports, 25 ms apart.
    fn after(steps: u32, signals: &Signals) -> f64 {
        let mut rate = Rate::new(MAX, start());
        (1..=steps).for_each(|n| rate.step(signals, start() + MS * 25 * n));
        rate.bps()
    }

    #[test]
    fn each_row_of_the_table() {
        for (what, steps, given, low, high) in [
            ("measured", 80, signals(0, 3e6, Phase::Measured), 2.6e6, 2.65e6),
            ("measured lower", 80, signals(0, 5e5, Phase::Measured), 4.39e5, 4.5e5),
            ("no queue yet", 1, signals(15, 1e6, Phase::Silent), 8e5, 8e5),
            ("queue begins", 1, signals(16, 9e5, Phase::Silent), 7.5e5, 7.7e5),
            ("long queue", 1, signals(2_000, 1e6, Phase::Silent), 3.5e5, 3.6e5),
            ("queue, but room", 1, signals(40, 4e6, Phase::Measured), 8e5, 8e5),
            ("unfilled for a second", 40, signals(0, 2e6, Phase::Unfilled), 2.5e6, 2.7e6),
            (
                "unfilled and unused",
                400,
                Signals { delivered: 5e5, ..signals(0, 9e6, Phase::Unfilled) },
                1e6,
                1e6,
            ),
            ("no more than the most", 400, signals(0, 1e8, Phase::Measured), 4e6, 4e6),
            ("no less than the least", 1, signals(500, 0.0, Phase::Measured), 1.5e5, 1.5e5),
        ] {
            let rate = after(steps, &given);
            assert!((low..=high).contains(&rate), "{what}: {rate}");
        }
    }

    #[test]
    fn a_link_that_keeps_falling_away_is_grown_to_more_slowly() {
        let grown = |dips: u32| {
            let mut rate = Rate::new(MAX, start());
            let mut now = start();
            let mut step = |rate: &mut Rate, signals: Signals| {
                now += MS * 25;
                rate.step(&signals, now);
            };
            for _ in 0..dips {
                step(&mut rate, signals(31, 8e5, Phase::Unfilled));
                step(&mut rate, signals(0, 8e5, Phase::Silent));
            }
            let before = rate.bps();
            (0..40).for_each(|_| {
                step(&mut rate, Signals { delivered: 4e6, ..signals(0, 9e6, Phase::Unfilled) })
            });
            rate.bps() / before
        };
        let second = |growth: f64| (1.0 + growth * 0.025).powi(40);
        for (dips, share) in [(0, 1.0), (1, 0.7), (9, 0.4 / SHARE_MAX)] {
            let (grown, want) = (grown(dips), second(GROWTH_PER_S * share * share));
            assert!((grown / want - 1.0).abs() < 0.03, "{dips}: {grown}, {want}");
        }
    }

    #[test]
    fn much_loss_without_a_queue_follows_a_policer_down() {
        let policed = |loss| Signals { delivered: 5e5, loss, ..signals(0, 1e6, Phase::Unfilled) };
        assert!(after(4, &policed(0.079)) > 8e5);
        let rate = after(4, &policed(0.081));
        assert!((4.7e5..5.2e5).contains(&rate), "{rate}");
    }

    #[test]
    fn steady_random_loss_of_a_tenth_does_not_starve_the_picture() {
        let mut rate = Rate::new(MAX, start());
        for n in 1..2_400 {
            let delivered = rate.bps() * 0.9;
            let seen = Signals { delivered, loss: 0.1, ..signals(0, 4e6, Phase::Unfilled) };
            rate.step(&seen, start() + MS * 25 * n);
        }
        assert!(rate.bps() > 6e5, "{}", rate.bps());
    }

    #[test]
    fn numbers_that_are_none_leave_a_rate_within_its_bounds() {
        for service in [f64::NAN, f64::INFINITY, -1.0] {
            for phase in [Phase::Measured, Phase::Unfilled, Phase::Silent] {
                for queue in [0, 100] {
                    let rate = after(3, &Signals { loss: service, ..signals(queue, service, phase) });
                    assert!((1.5e5..=4e6).contains(&rate), "{service} {phase:?} {queue}: {rate}");
                }
            }
        }
    }
}
