//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential backoff with full jitter: any time up to a bound that doubles from 0.25 to 5 s.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait; `random` is in 0..1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// To be called once all is well.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let bounds: Vec<u128> = (0..7).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5).as_millis(), 125);
    }

    #[test]
    fn it_never_stops_and_never_overflows() {
        let mut backoff = Backoff { attempts: u32::MAX - 1 };
        assert_eq!(backoff.next(1.0), LONGEST);
    }
}
