//! Lap timing: a lap counts only if every gate around the circuit was passed in order.

use std::time::Duration;

/// Gates around the circuit, the start line included; no short cut misses fewer than one.
const GATES: usize = 12;

/// | state | input | next |
/// |---|---|---|
/// | waiting | start line forwards | running, gate 1 is next |
/// | running | the next gate | running, the gate after it is next |
/// | running, all gates passed | start line forwards | lap counted; running, gate 1 is next |
/// | running, a gate missed | start line forwards | running anew, nothing counted |
/// | any | start line backwards | waiting |
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Waiting,
    Running { since: f64, next: usize },
}

/// The timing of one car.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timing {
    phase: Phase,
    along: f32,
    at: f64,
    pub(super) laps: u32,
    pub(super) last: Option<Duration>,
    pub(super) best: Option<Duration>,
}

impl Timing {
    pub(super) fn new(along: f32) -> Self {
        Self { phase: Phase::Waiting, along, at: 0.0, laps: 0, last: None, best: None }
    }

    /// Time since the start line was last crossed; zero while waiting for it.
    pub(super) fn current(&self) -> Duration {
        match self.phase {
            Phase::Waiting => Duration::ZERO,
            Phase::Running { since, .. } => Duration::from_secs_f64((self.at - since).max(0.0)),
        }
    }

    /// Takes the car's place `along` a circuit of `length` at time `at` in seconds.
    ///
    /// Places off the circuit must not be given: they pass no gate.
    pub(super) fn handle_place(&mut self, along: f32, length: f32, at: f64) {
        let moved = along - self.along;
        let crossed = if moved < -0.5 * length {
            Some(1.0)
        } else if moved > 0.5 * length {
            Some(-1.0)
        } else {
            None
        };
        if let Some(direction) = crossed {
            // Where between the two places the line lies decides when it was crossed.
            let step = moved + direction * length;
            let before = if direction > 0.0 { length - self.along } else { self.along };
            let share = if step.abs() > 1e-6 { (before / step.abs()).clamp(0.0, 1.0) } else { 1.0 };
            let when = self.at + (at - self.at) * f64::from(share);
            if direction > 0.0 { self.cross(when) } else { self.phase = Phase::Waiting }
        }
        (self.along, self.at) = (along, at);
        if let Phase::Running { next, .. } = &mut self.phase {
            let gate = (along / length * GATES as f32) as usize;
            if gate == *next && crossed.is_none() {
                *next += 1;
            }
        }
    }

    /// Lets time pass while the car is off the circuit.
    pub(super) fn handle_time(&mut self, at: f64) {
        self.at = at;
    }

    /// Takes a place the car was put at by hand: the lap under way does not count.
    pub(super) fn handle_moved(&mut self, along: f32) {
        self.phase = Phase::Waiting;
        self.along = along;
    }

    fn cross(&mut self, when: f64) {
        if let Phase::Running { since, next } = self.phase
            && next == GATES
        {
            let lap = Duration::from_secs_f64((when - since).max(0.0));
            self.laps += 1;
            self.last = Some(lap);
            self.best = Some(self.best.map_or(lap, |best| best.min(lap)));
        }
        self.phase = Phase::Running { since: when, next: 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: f32 = 120.0;

    /// Drives through the given places (metres along, any number of laps) at 10 m/s in steps of at most 1 m.
    fn drive(timing: &mut Timing, mut from: f32, stops: &[f32]) {
        for &stop in stops {
            while (stop - from).abs() > 1e-3 {
                from += (stop - from).clamp(-1.0, 1.0);
                timing.handle_place(from.rem_euclid(LENGTH), LENGTH, timing.at + 0.1);
            }
        }
    }

    #[test]
    fn lap_is_timed_between_two_crossings_of_the_line() {
        let mut timing = Timing::new(115.5);
        drive(&mut timing, 115.5, &[245.5]);
        assert_eq!(timing.laps, 1);
        let lap = timing.last.unwrap().as_secs_f64();
        assert!((lap - 12.0).abs() < 0.01, "{lap}");
        assert!((timing.current().as_secs_f64() - 0.55).abs() < 0.01);
        assert_eq!(timing.best, timing.last);
    }

    #[test]
    fn first_part_before_the_line_is_no_lap() {
        let mut timing = Timing::new(60.0);
        drive(&mut timing, 60.0, &[130.0]);
        assert_eq!((timing.laps, timing.last), (0, None));
    }

    #[test]
    fn short_cut_is_no_lap_but_the_next_full_one_is() {
        let mut timing = Timing::new(119.0);
        drive(&mut timing, 119.0, &[125.0]);
        timing.handle_place(50.0, LENGTH, timing.at + 1.0);
        drive(&mut timing, 50.0, &[121.0]);
        assert_eq!(timing.laps, 0);
        drive(&mut timing, 1.0, &[121.0]);
        assert_eq!(timing.laps, 1);
    }

    #[test]
    fn backing_over_the_line_and_forward_again_is_no_lap() {
        let mut timing = Timing::new(119.0);
        drive(&mut timing, 119.0, &[122.0, 118.0, 122.0, 118.0, 122.0]);
        assert_eq!(timing.laps, 0);
        drive(&mut timing, 2.0, &[121.0]);
        assert_eq!(timing.laps, 1);
    }

    #[test]
    fn lap_driven_backwards_is_no_lap() {
        let mut timing = Timing::new(1.0);
        drive(&mut timing, 1.0, &[-300.0]);
        assert_eq!(timing.laps, 0);
    }

    #[test]
    fn best_lap_is_the_shortest() {
        let mut timing = Timing::new(119.5);
        drive(&mut timing, 119.5, &[240.5]);
        timing.handle_time(timing.at + 30.0);
        drive(&mut timing, 0.5, &[120.5]);
        assert_eq!(timing.laps, 2);
        assert!(timing.last > timing.best, "{:?} {:?}", timing.last, timing.best);
    }
}
