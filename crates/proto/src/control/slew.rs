//! Limits how fast the outputs change.

use std::time::Duration;

use super::Axis;
use super::setpoint::{Demand, Setpoint};

/// Slew limiter: throttle away from neutral at 8 full ranges a second, toward neutral at once; steering at 10.
#[derive(Debug, Default)]
pub struct Slew {
    throttle: Axis,
    authority: Axis,
    steer: Axis,
}

impl Slew {
    /// The setpoint that may be applied `elapsed` after the one before.
    #[must_use]
    pub fn step(&mut self, wanted: &Setpoint, elapsed: Duration) -> Setpoint {
        // After a pause of the process the way is the same as after one output period.
        let elapsed = elapsed.min(STEP_MAX).as_secs_f32();
        self.throttle = outward(self.throttle, wanted.throttle.axis(), THROTTLE_PER_S * elapsed);
        self.authority = outward(self.authority, wanted.authority, THROTTLE_PER_S * elapsed);
        self.steer = match wanted.steer {
            Demand::Safe => Axis::ZERO,
            Demand::Live(target) => toward(self.steer, target, STEER_PER_S * elapsed),
        };
        let live = |demand: Demand, axis: Axis| match demand {
            Demand::Safe => Demand::Safe,
            Demand::Live(_) => Demand::Live(axis),
        };
        Setpoint {
            throttle: live(wanted.throttle, self.throttle),
            steer: live(wanted.steer, self.steer),
            authority: self.authority,
            ..*wanted
        }
    }
}

/// From `from` to `to`: to neutral at once, away from it by `step` at most.
fn outward(from: Axis, to: Axis, step: f32) -> Axis {
    let (from, to) = (from.get(), to.get());
    let base = if from * to <= 0.0 {
        0.0
    } else if to.abs() < from.abs() {
        to
    } else {
        from
    };
    toward(Axis::new(base), Axis::new(to), step)
}

/// From `from` to `to` by `step` at most.
fn toward(from: Axis, to: Axis, step: f32) -> Axis {
    Axis::new(from.get() + (to.get() - from.get()).clamp(-step, step))
}

/// Full ranges (neutral to full) of throttle a second.
const THROTTLE_PER_S: f32 = 8.0;
/// Full ranges (centre to lock) of steering a second.
const STEER_PER_S: f32 = 10.0;
/// Longest time that counts as one step: two output periods.
const STEP_MAX: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(throttle: f32, steer: f32) -> Setpoint {
        Setpoint {
            throttle: Demand::Live(Axis::new(throttle)),
            steer: Demand::Live(Axis::new(steer)),
            authority: Axis::new(throttle.abs()),
            ..Setpoint::SAFE
        }
    }

    /// Steps through `targets` at 50 Hz and checks the last throttle and steering.
    fn check(targets: &[Setpoint], throttle: f32, steer: f32) {
        let mut slew = Slew::default();
        let mut got = Setpoint::SAFE;
        for target in targets {
            got = slew.step(target, Duration::from_millis(20));
        }
        let (t, s) = (got.throttle.axis().get(), got.steer.axis().get());
        assert!(
            (t - throttle).abs() < 1e-4 && (s - steer).abs() < 1e-4,
            "({t}, {s}), want ({throttle}, {steer})"
        );
    }

    #[test]
    fn throttle_rises_by_eight_a_second() {
        check(&[live(1.0, 0.0)], 0.16, 0.0);
        check(&[live(1.0, 0.0); 6], 0.96, 0.0);
        check(&[live(1.0, 0.0); 7], 1.0, 0.0);
    }

    #[test]
    fn throttle_falls_to_neutral_at_once() {
        check(&[[live(1.0, 0.0); 10].as_slice(), &[live(0.0, 0.0)]].concat(), 0.0, 0.0);
        check(&[[live(1.0, 0.0); 10].as_slice(), &[live(0.3, 0.0)]].concat(), 0.3, 0.0);
    }

    #[test]
    fn reversing_goes_through_neutral() {
        check(&[[live(1.0, 0.0); 10].as_slice(), &[live(-1.0, 0.0)]].concat(), -0.16, 0.0);
    }

    #[test]
    fn steering_moves_by_ten_a_second_both_ways() {
        check(&[live(0.0, 1.0)], 0.0, 0.2);
        check(&[[live(0.0, 1.0); 5].as_slice(), &[live(0.0, 0.0)]].concat(), 0.0, 0.8);
    }

    #[test]
    fn safe_is_safe_at_once_and_starts_from_neutral_after() {
        check(&[[live(1.0, 1.0); 10].as_slice(), &[Setpoint::SAFE]].concat(), 0.0, 0.0);
        check(&[[live(1.0, 1.0); 10].as_slice(), &[Setpoint::SAFE, live(1.0, 1.0)]].concat(), 0.16, 0.2);
    }

    #[test]
    fn a_pause_does_not_add_up() {
        let got = Slew::default().step(&live(1.0, 0.0), Duration::from_secs(9));
        assert!((got.throttle.axis().get() - 0.32).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn no_step_is_larger_than_allowed(targets in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 1..50)) {
            let mut slew = Slew::default();
            let mut before = Setpoint::SAFE;
            for (throttle, steer) in targets {
                let after = slew.step(&live(throttle, steer), Duration::from_millis(20));
                let (from, to) = (before.throttle.axis().magnitude(), after.throttle.axis().magnitude());
                prop_assert!(to - from <= 0.161);
                prop_assert!((after.steer.axis().get() - before.steer.axis().get()).abs() <= 0.201);
                prop_assert!(to <= throttle.abs() + 1e-6);
                before = after;
            }
        }
    }
}
