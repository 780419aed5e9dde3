//! How quick a transfer is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes a second over the last seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    // One for each acknowledgement of the last SPAN, at most SAMPLES; full: the oldest leaves.
    samples: VecDeque<(Instant, u64)>,
}

const SPAN: Duration = Duration::from_secs(3);
const SAMPLES: usize = 64;

impl Rate {
    /// So many bytes are there by now.
    pub(super) fn handle(&mut self, bytes: u64, now: Instant) {
        self.samples.push_back((now, bytes));
        while self.samples.len() > SAMPLES || self.samples.front().is_some_and(|(at, _)| now - *at > SPAN) {
            self.samples.pop_front();
        }
    }

    /// Begins anew: the time of a cut does not count.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
    }

    /// Bytes a second; 0 when nothing came for a while.
    pub(super) fn get(&self, now: Instant) -> u64 {
        let recent = self.samples.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= SPAN);
        let (mut recent, last) = (recent, self.samples.back());
        let (Some((first_at, first)), Some((_, last))) = (recent.next(), last) else { return 0 };
        let span = now.saturating_duration_since(*first_at).max(Duration::from_millis(100));
        ((last - first) as f64 / span.as_secs_f64()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let (mut rate, start) = (Rate::default(), crate::call::test::start());
        assert_eq!(rate.get(start), 0);
        let at = |ms| start + Duration::from_millis(ms);
        for step in 0..=100u64 {
            rate.handle(step * 1000, at(step * 100));
        }
        assert!((9_500..=10_500).contains(&rate.get(at(10_000))), "{}", rate.get(at(10_000)));
        assert_eq!(rate.get(at(20_000)), 0, "nothing came for a while");
        rate.clear();
        rate.handle(5_000_000, at(20_000));
        assert_eq!(rate.get(at(20_000)), 0, "what was there before is not quick");
    }
}
