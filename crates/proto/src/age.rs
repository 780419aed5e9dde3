//! Picture-age accounting (docs/MEASUREMENTS.md): how old the newest picture on screen is.

use std::time::{Duration, Instant};

/// Counts durations in buckets of at most 0.4 % width; never grows.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    sum: Duration,
    max: Duration,
}

/// What a [`Histogram`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: Duration,
    /// 95 % are at most this.
    pub p95: Duration,
    /// 99 % are at most this.
    pub p99: Duration,
    /// The largest, exactly.
    pub max: Duration,
    /// The mean, exactly.
    pub mean: Duration,
    /// How many there are.
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one duration; longer ones than 134 s count as that.
    pub fn record(&mut self, value: Duration) {
        let index = bucket(value.as_micros());
        self.counts[index] = self.counts[index].saturating_add(1);
        self.total += 1;
        self.sum += value;
        self.max = self.max.max(value);
    }

    /// The smallest duration (to 0.4 %) that at least `share` of them do not exceed; zero if there are none.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return middle(index).min(self.max);
            }
        }
        Duration::ZERO
    }

    /// The usual percentiles.
    pub fn percentiles(&self) -> Percentiles {
        let mean = match u32::try_from(self.total) {
            Ok(0) => Duration::ZERO,
            Ok(total) => self.sum / total,
            Err(_) => Duration::from_secs_f64(self.sum.as_secs_f64() / self.total as f64),
        };
        Percentiles {
            p50: self.percentile(0.50),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
            max: self.max,
            mean,
            count: self.total,
        }
    }
}

/// Below 256 µs a bucket is 1 µs wide; from there each doubling has 256 buckets.
fn bucket(us: u128) -> usize {
    let us = us.min(US_MAX) as usize;
    if us < SUB {
        return us;
    }
    let shift = us.ilog2() as usize - SUB.ilog2() as usize;
    SUB + shift * SUB + ((us >> shift) - SUB)
}

/// The middle of a bucket.
fn middle(index: usize) -> Duration {
    if index < SUB {
        return Duration::from_micros(index as u64);
    }
    let (shift, within) = ((index - SUB) / SUB, (index - SUB) % SUB);
    let low = ((SUB + within) as u64) << shift;
    Duration::from_micros(low + ((1 << shift) - 1) / 2)
}

/// Buckets of one doubling.
const SUB: usize = 256;
/// Longest duration told apart, in µs.
const US_MAX: u128 = (1 << 27) - 1;
/// 256 single microseconds and 19 doublings from there to 2^27 µs.
const BUCKETS: usize = SUB + 19 * SUB;

/// Accounts for the pictures shown by one screen.
///
/// Picture age is sampled at every 5 ms from the start on: the time since the capture of the picture then on the
/// screen. It counts delay, freezes and low frame rate alike. Before the first picture there is nothing to sample.
#[derive(Clone, Debug)]
pub struct PictureAge {
    /// What is before it is left out.
    counted_from: Instant,
    next_sample: Instant,
    on_screen: Option<Shown>,
    age: Histogram,
    delay: Histogram,
    stall: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    captured: Instant,
    at: Instant,
}

/// The figures of docs/MEASUREMENTS.md for one screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Age of the picture on screen, every 5 ms.
    pub picture_age: Percentiles,
    /// Shown minus captured, of each picture.
    pub frame_delay: Percentiles,
    /// Sum of the gaps above 200 ms between pictures shown.
    pub stall: Duration,
}

impl PictureAge {
    /// Nothing shown yet; the first `left_out` after `start` is not counted.
    pub fn new(start: Instant, left_out: Duration) -> Self {
        let counted_from = start + left_out;
        Self {
            counted_from,
            next_sample: counted_from,
            on_screen: None,
            age: Histogram::default(),
            delay: Histogram::default(),
            stall: Duration::ZERO,
        }
    }

    /// Takes the news that a picture captured at `captured`, on this side's clock, is on the screen.
    pub fn handle_shown(&mut self, captured: Instant, now: Instant) {
        self.handle_timeout(now);
        if now >= self.counted_from {
            self.delay.record(now.saturating_duration_since(captured));
            self.stall += self.gap(now);
        }
        self.on_screen = Some(Shown { captured, at: now });
    }

    /// Takes the news that nothing is on the screen any more, as nothing is sent: until the next picture there is nothing to
    /// sample, and no stall.
    pub fn handle_gone(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.on_screen = None;
    }

    /// Samples up to, but not at, `now`: a picture shown at that moment is on the screen from then on.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(shown) = self.on_screen else {
            let missed =
                now.saturating_duration_since(self.next_sample).as_micros().div_ceil(PERIOD.as_micros());
            self.next_sample += PERIOD * u32::try_from(missed).unwrap_or(u32::MAX);
            return;
        };
        while self.next_sample < now {
            self.age.record(self.next_sample.saturating_duration_since(shown.captured));
            self.next_sample += PERIOD;
        }
    }

    /// Age of the picture on the screen; none before the first.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.on_screen.map(|shown| now.saturating_duration_since(shown.captured))
    }

    /// Time since the picture on the screen last changed; none before the first.
    pub fn unchanged(&self, now: Instant) -> Option<Duration> {
        self.on_screen.map(|shown| now.saturating_duration_since(shown.at))
    }

    /// The figures up to `now`.
    pub fn report(&mut self, now: Instant) -> Report {
        self.handle_timeout(now);
        Report {
            picture_age: self.age.percentiles(),
            frame_delay: self.delay.percentiles(),
            stall: self.stall + self.gap(now),
        }
    }

    /// The gap up to `now`, if it is a stall.
    fn gap(&self, now: Instant) -> Duration {
        let since = self.on_screen.map(|shown| shown.at.max(self.counted_from));
        let gap = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if gap > STALL { gap } else { Duration::ZERO }
    }
}

/// Time between samples of the picture age.
const PERIOD: Duration = Duration::from_millis(5);
/// A gap above this is a stall.
const STALL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn start() -> Instant {
        crate::control::test::start()
    }

    /// Shows pictures given as (captured, shown) in ms and reports at `end_ms`.
    fn report(shown: &[(u64, u64)], left_out_ms: u64, end_ms: u64) -> Report {
        let start = start();
        let mut age = PictureAge::new(start, ms(left_out_ms));
        for &(captured, at) in shown {
            age.handle_shown(start + ms(captured), start + ms(at));
        }
        age.report(start + ms(end_ms))
    }

    #[test]
    fn what_was_turned_off_neither_ages_nor_stalls_until_it_is_on_again() {
        let start = start();
        let mut age = PictureAge::new(start, Duration::ZERO);
        age.handle_shown(start, start + ms(10));
        age.handle_gone(start + ms(110));
        assert_eq!(age.age(start + ms(200)), None);
        let off = age.report(start + ms(60_000));
        assert_eq!((off.picture_age.count, off.stall), (20, Duration::ZERO));
        age.handle_shown(start + ms(60_000), start + ms(60_010));
        let on = age.report(start + ms(60_110));
        assert_eq!((on.picture_age.count, on.stall), (40, Duration::ZERO));
        assert!(on.picture_age.max < ms(120), "{on:?}");
    }

    fn near(got: Duration, want_ms: f64) {
        let got = got.as_secs_f64() * 1e3;
        assert!((got - want_ms).abs() <= want_ms * 0.005 + 0.001, "{got} ms, want {want_ms}");
    }

    #[test]
    fn age_is_sampled_every_five_ms_between_pictures() {
        // 10 ms of delay, a picture every 20 ms: the ages are 10, 15, 20, 25 in equal shares.
        let shown: Vec<_> = (0..100).map(|n| (n * 20, n * 20 + 10)).collect();
        let report = report(&shown, 0, 2_010);
        assert_eq!(report.picture_age.count, 400);
        near(report.picture_age.p50, 15.0);
        near(report.picture_age.p95, 25.0);
        near(report.picture_age.mean, 17.5);
        assert_eq!(report.picture_age.max, ms(25));
        near(report.frame_delay.p99, 10.0);
        assert_eq!((report.frame_delay.count, report.stall), (100, Duration::ZERO));
    }

    #[test]
    fn a_freeze_counts_in_age_and_in_stall() {
        let report = report(&[(0, 10), (500, 510)], 0, 520);
        assert_eq!(report.stall, ms(500));
        assert_eq!(report.picture_age.max, ms(505));
        assert_eq!(report.picture_age.count, 102);
    }

    #[test]
    fn a_gap_of_exactly_200_ms_is_no_stall() {
        assert_eq!(report(&[(0, 10), (0, 210)], 0, 210).stall, Duration::ZERO);
        assert_eq!(report(&[(0, 10), (0, 211)], 0, 211).stall, ms(201));
        assert_eq!(report(&[(0, 10)], 0, 400).stall, ms(390));
    }

    #[test]
    fn what_is_before_the_count_is_left_out() {
        let report = report(&[(0, 2_000), (2_950, 3_050)], 3_000, 3_060);
        assert_eq!(report.frame_delay.count, 1);
        assert_eq!(report.picture_age.count, 12);
        assert_eq!(report.picture_age.max, ms(3_045));
        assert_eq!(report.stall, Duration::ZERO);
    }

    #[test]
    fn nothing_shown_gives_nothing() {
        assert_eq!(report(&[], 0, 60_000), Report::default());
    }

    #[test]
    fn age_counts_from_the_capture_and_unchanged_from_the_showing() {
        let start = start();
        let mut age = PictureAge::new(start, Duration::ZERO);
        assert_eq!((age.age(start), age.unchanged(start)), (None, None));
        age.handle_shown(start + ms(5), start + ms(25));
        let now = start + ms(40);
        assert_eq!((age.age(now), age.unchanged(now)), (Some(ms(35)), Some(ms(15))));
    }

    #[test]
    fn the_longest_durations_still_have_a_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX / 4);
        histogram.record(Duration::from_micros(US_MAX as u64));
        assert_eq!(histogram.percentiles().count, 2);
        near(histogram.percentile(0.5), 134_217.7);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_half_a_percent(mut values in proptest::collection::vec(0u64..100_000_000, 1..300), share in 0.01f64..1.0) {
            let mut histogram = Histogram::default();
            for us in &values {
                histogram.record(Duration::from_micros(*us));
            }
            values.sort_unstable();
            let exact = values[((values.len() as f64 * share).ceil() as usize).max(1) - 1] as f64;
            let got = histogram.percentile(share).as_micros() as f64;
            prop_assert!((got - exact).abs() <= exact * 0.004 + 1.0, "{} for {}", got, exact);
        }

        #[test]
        fn sampling_in_pieces_equals_sampling_at_once(gaps in proptest::collection::vec(1u64..120, 1..40)) {
            let start = start();
            let (mut often, mut seldom) = (PictureAge::new(start, ms(50)), PictureAge::new(start, ms(50)));
            let mut at = 0;
            for gap in gaps {
                for step in 0..gap {
                    often.handle_timeout(start + ms(at + step));
                }
                at += gap;
                often.handle_shown(start + ms(at - 1), start + ms(at));
                seldom.handle_shown(start + ms(at - 1), start + ms(at));
            }
            prop_assert_eq!(often.report(start + ms(at + 7)), seldom.report(start + ms(at + 7)));
        }
    }
}
