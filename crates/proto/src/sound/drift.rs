//! Keeping two clocks together: how much to nudge a resampler so that what waits between them stays the same.

use std::time::Duration;

/// How strongly a deviation is met: it is gone after about 10 s, which nobody hears as pitch.
const PROPORTIONAL: f64 = 0.1;
/// How strongly what remains is met; a quarter of the square of the above does not overshoot.
const INTEGRAL: f64 = PROPORTIONAL * PROPORTIONAL / 4.0;
/// Most that sound is slowed or hastened: clocks differ by 0.02 %, and 0.5 % is a twelfth of a semitone.
const MOST: f64 = 0.005;

/// A controller that holds a delay at its target by nudging a rate.
#[derive(Debug, Default)]
pub struct Regulator {
    drift: f64,
}

impl Regulator {
    /// Takes how much more waits than should (positive: the consumer is too slow), `passed` after the last time.
    ///
    /// Gives the part by which the consumer has to hasten: positive to consume more.
    pub fn handle_excess(&mut self, excess: f64, passed: Duration) -> f64 {
        self.drift = (self.drift + INTEGRAL * excess * passed.as_secs_f64()).clamp(-MOST, MOST);
        (PROPORTIONAL * excess + self.drift).clamp(-MOST, MOST)
    }

    /// By how much the consumer's clock was found to be slower than the producer's, in millionths.
    pub fn drift_ppm(&self) -> f64 {
        self.drift * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_followed_and_the_delay_comes_back() {
        for ppm in [-200.0, -50.0, 0.0, 50.0, 200.0] {
            let mut regulator = Regulator::default();
            let (tick, mut excess) = (Duration::from_millis(10), 0.010);
            let (mut late_worst, mut seconds) = (0.0_f64, 0.0);
            for n in 0..60_000 {
                // The producer's callbacks come by up to 2 ms early or late.
                let noise = f64::from(n * 7919 % 41) / 20.0 * 1e-3 - 1e-3;
                let nudge = regulator.handle_excess(excess + noise, tick);
                excess += (ppm * 1e-6 - nudge) * tick.as_secs_f64();
                seconds += tick.as_secs_f64();
                if seconds > 120.0 {
                    late_worst = late_worst.max(excess.abs());
                }
            }
            assert!(late_worst < 0.0005, "{ppm} ppm: {late_worst} s");
            assert!((regulator.drift_ppm() - ppm).abs() < 15.0, "{ppm} ppm: {}", regulator.drift_ppm());
        }
    }

    #[test]
    fn however_much_waits_pitch_stays() {
        let mut regulator = Regulator::default();
        for _ in 0..10_000 {
            assert!(regulator.handle_excess(5.0, Duration::from_millis(10)) <= MOST);
        }
        for _ in 0..10_000 {
            assert!(regulator.handle_excess(-5.0, Duration::from_millis(10)) >= -MOST);
        }
    }
}
