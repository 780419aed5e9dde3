//! The least value of the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Length of a bucket and their number: a path that got longer is believed after a minute, and one that got shorter
/// at once. Windows of 10 s, as BBR has them (draft-ietf-ccwg-bbr-02 section 2.11, MinRTTFilterLen), forget the empty
/// link while a video stream keeps it half full; six of them do not.
const BUCKET: Duration = Duration::from_secs(10);
const BUCKETS: usize = 6;

/// Running minimum over six buckets of 10 s.
#[derive(Debug, Default)]
pub(super) struct Minimum {
    buckets: VecDeque<(Instant, i64)>,
}

impl Minimum {
    pub(super) fn handle_value(&mut self, value: i64, now: Instant) {
        match self.buckets.back_mut() {
            Some((since, least)) if now < *since + BUCKET => *least = value.min(*least),
            _ => self.buckets.push_back((now, value)),
        }
        while let Some((since, _)) = self.buckets.front()
            && self.buckets.len() > 1
            && *since + BUCKET * BUCKETS as u32 <= now
        {
            self.buckets.pop_front();
        }
    }

    pub(super) fn get(&self) -> Option<i64> {
        self.buckets.iter().map(|(_, least)| *least).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    #[test]
    fn a_shorter_path_counts_at_once_and_a_longer_one_after_a_minute() {
        let mut minimum = Minimum::default();
        assert_eq!(minimum.get(), None);
        for (at_ms, value, want) in
            [(0, 50, 50), (1, 20, 20), (2, 90, 20), (30_000, 90, 20), (59_999, 90, 20), (60_000, 90, 90)]
        {
            minimum.handle_value(value, start() + MS * at_ms);
            assert_eq!(minimum.get(), Some(want), "at {at_ms} ms");
        }
    }

    #[test]
    fn a_lone_old_value_is_better_than_none() {
        let mut minimum = Minimum::default();
        minimum.handle_value(5, start());
        minimum.handle_value(9, start() + MS * 600_000);
        assert_eq!(minimum.get(), Some(9));
    }
}
