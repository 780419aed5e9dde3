//! What the robot is told of its pictures, and when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_proto::control::ReceiverReport;
use farwheel_proto::control::receiver_report::Held;
use farwheel_proto::video::FrameId;

use super::figures::Totals;

/// Makes the receiver reports of one connection.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: Option<(Instant, ReceiverReport)>,
    // Full: the oldest goes; the last second has fewer.
    decoding: VecDeque<(Instant, Duration)>,
    counted: VecDeque<(Instant, Totals)>,
}

/// What a report tells of, as of now.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// The picture decoded last.
    pub(super) decoded: Option<FrameId>,
    /// The picture shown last.
    pub(super) shown: Option<FrameId>,
    /// Counters of the stay.
    pub(super) totals: Totals,
    /// The anchors that the decoder holds.
    pub(super) held: Held,
}

impl Teller {
    /// Takes the time that a picture took to decode.
    pub(super) fn handle_decoded(&mut self, spent: Duration, now: Instant) {
        if self.decoding.len() == PICTURES_MAX {
            self.decoding.pop_front();
        }
        self.decoding.push_back((now, spent));
    }

    /// A report, if one is due: ten times a second, and at once when other anchors are held.
    pub(super) fn report(&mut self, news: News, now: Instant) -> Option<ReceiverReport> {
        let is_due = self
            .told
            .is_none_or(|(at, told)| told.held != news.held || now.saturating_duration_since(at) >= INTERVAL);
        if !is_due {
            return None;
        }
        let is_old = |at: Instant| now.saturating_duration_since(at) > SECOND;
        while self.decoding.front().is_some_and(|(at, _)| is_old(*at)) {
            self.decoding.pop_front();
        }
        while self.counted.front().is_some_and(|(at, _)| is_old(*at)) {
            self.counted.pop_front();
        }
        let before = self.counted.front().map_or(news.totals, |(_, totals)| *totals);
        if self.counted.len() == PICTURES_MAX {
            self.counted.pop_front();
        }
        self.counted.push_back((now, news.totals));
        let grown = |now: u64, before: u64| u16::try_from(now.saturating_sub(before)).unwrap_or(u16::MAX);
        let decoded = grown(news.totals.decoded, before.decoded);
        let report = ReceiverReport {
            sequence: self.told.map_or(0, |(_, told)| told.sequence.wrapping_add(1)),
            decoded: news.decoded,
            shown: news.shown,
            skipped: decoded.saturating_sub(grown(news.totals.shown, before.shown)),
            broken: grown(news.totals.broken, before.broken),
            decode_p95: self.decode_p95(),
            held: news.held,
        };
        self.told = Some((now, report));
        Some(report)
    }

    /// In units of 10 µs.
    fn decode_p95(&self) -> Option<u16> {
        let mut spent: Vec<_> = self.decoding.iter().map(|(_, spent)| *spent).collect();
        spent.sort_unstable();
        let p95 = spent.get((spent.len() * 95).div_ceil(100).checked_sub(1)?)?;
        Some(u16::try_from(p95.as_micros() / 10).unwrap_or(u16::MAX).min(u16::MAX - 1))
    }
}

/// Time between two reports while nothing else is new.
const INTERVAL: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// More pictures, and more reports, than a second has.
const PICTURES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use farwheel_proto::anchor::Anchor;

    use super::*;

    fn news(decoded: u64, shown: u64, held: &[u32]) -> News {
        News {
            decoded: Some(FrameId(9)),
            shown: Some(FrameId(8)),
            totals: Totals { decoded, shown, ..Totals::default() },
            held: held.iter().copied().map(Anchor).collect(),
        }
    }

    #[test]
    fn reports_come_ten_times_a_second_and_at_once_when_other_anchors_are_held() {
        let (mut teller, start) = (Teller::default(), Instant::now());
        let mut at = |ms, held: &[u32]| {
            teller.report(news(1, 1, held), start + Duration::from_millis(ms)).map(|report| report.sequence)
        };
        assert_eq!([at(0, &[]), at(99, &[]), at(100, &[])], [Some(0), None, Some(1)]);
        assert_eq!(
            [at(110, &[5]), at(111, &[5]), at(112, &[5, 6]), at(211, &[5, 6])],
            [Some(2), None, Some(3), None]
        );
        assert_eq!(at(212, &[5, 6]), Some(4));
    }

    #[test]
    fn figures_are_of_the_last_second() {
        let (mut teller, start) = (Teller::default(), Instant::now());
        let ms = |ms| start + Duration::from_millis(ms);
        for n in 1..=100 {
            teller.handle_decoded(Duration::from_micros(n * 100), ms(n));
        }
        let first = teller.report(news(100, 90, &[]), ms(100)).unwrap();
        assert_eq!((first.skipped, first.decode_p95), (0, Some(950)), "nothing is known of before");
        let second = teller.report(news(130, 115, &[]), ms(1100)).unwrap();
        assert_eq!((second.skipped, second.decode_p95), (5, Some(1000)));
        let third = teller.report(news(160, 145, &[]), ms(2000)).unwrap();
        assert_eq!((third.skipped, third.decode_p95), (0, None));
    }
}
