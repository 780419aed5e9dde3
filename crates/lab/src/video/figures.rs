//! The figures of docs/MEASUREMENTS.md, and the age that no sender can beat.

use std::time::Duration;

use crate::clock::VirtualTime;
use crate::link::{GRANT_BYTES, Trace};

/// The beginning of a run is left out of every figure.
pub const LEFT_OUT: VirtualTime = VirtualTime::from_ms(3_000);
/// The age is looked at this often.
const EVERY: Duration = Duration::from_millis(5);
/// A gap between shown pictures above this is a stall.
const STALL_MIN: Duration = Duration::from_millis(200);

/// One picture on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When it was shown.
    pub at: VirtualTime,
    /// When it was captured.
    pub captured: VirtualTime,
}

/// Percentiles in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Points {
    /// Median.
    pub p50: f64,
    /// 95 of 100 are below.
    pub p95: f64,
    /// 99 of 100 are below.
    pub p99: f64,
}

impl Points {
    /// Percentiles of these values; zero if there are none.
    pub fn of(values: impl IntoIterator<Item = Duration>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        let at = |share: f64| {
            let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
            values.get(index).map_or(0.0, |value| value.as_secs_f64() * 1e3)
        };
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

impl std::fmt::Display for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} / {:.0} / {:.0}", self.p50, self.p95, self.p99)
    }
}

/// Age of the newest shown picture at every 5 ms from `from` to `until`.
pub fn ages(shown: &[Shown], from: VirtualTime, until: VirtualTime) -> Vec<(VirtualTime, Duration)> {
    let mut pictures = shown.iter().peekable();
    let mut newest = VirtualTime::ZERO;
    let mut ages = Vec::new();
    let mut at = from;
    while at < until {
        while let Some(picture) = pictures.next_if(|picture| picture.at <= at) {
            newest = newest.max(picture.captured);
        }
        ages.push((at, at.since(newest)));
        at = at.after(EVERY);
    }
    ages
}

/// Percentiles of the age in this time.
pub fn picture_age(shown: &[Shown], from: VirtualTime, until: VirtualTime) -> Points {
    Points::of(ages(shown, from, until).into_iter().map(|(_, age)| age))
}

/// Percentiles of shown minus captured in this time.
pub fn frame_delay(shown: &[Shown], from: VirtualTime, until: VirtualTime) -> Points {
    Points::of(shown.iter().filter(|p| from <= p.at && p.at < until).map(|p| p.at.since(p.captured)))
}

/// Sum of the gaps above 200 ms between shown pictures that ended in this time.
pub fn stall(shown: &[Shown], from: VirtualTime, until: VirtualTime) -> Duration {
    shown
        .windows(2)
        .filter(|w| from <= w[1].at && w[1].at < until)
        .map(|w| w[1].at.since(w[0].at))
        .filter(|gap| *gap > STALL_MIN)
        .sum()
}

/// What an ideal sender shows on this link: it never queues, and starts on the newest captured frame of `bytes` the
/// instant the link can carry it.
pub fn oracle(trace: &Trace, delay: Duration, fps: u32, bytes: usize, until: VirtualTime) -> Vec<Shown> {
    let interval_us = 1_000_000 / u64::from(fps.max(1));
    let mut shown: Vec<Shown> = Vec::new();
    let mut sending: Option<(VirtualTime, usize)> = None;
    let mut last = None;
    for at in trace.grants_from(VirtualTime::ZERO).take_while(|at| *at < until) {
        let mut credit = GRANT_BYTES;
        while credit > 0 {
            let newest = VirtualTime(at.0 / interval_us * interval_us);
            let (captured, left) = match sending {
                Some(frame) => frame,
                None if last.is_some_and(|last| newest <= last) => break,
                None => (newest, bytes.max(1)),
            };
            last = Some(captured);
            let used = credit.min(left);
            credit -= used;
            sending = (left > used).then_some((captured, left - used));
            if sending.is_none() {
                shown.push(Shown { at: at.after(delay), captured });
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> VirtualTime = VirtualTime::from_ms;

    #[test]
    fn age_counts_delay_and_freeze_alike() {
        let shown = [(3000, 2950), (3100, 3060), (3500, 3460)];
        let shown = shown.map(|(at, captured)| Shown { at: MS(at), captured: MS(captured) });
        let ages = ages(&shown, MS(3000), MS(3600));
        let at = |ms: u64| ages[(ms as usize - 3000) / 5].1.as_millis();
        assert_eq!([at(3000), at(3095), at(3100), at(3495), at(3500)], [50, 145, 40, 435, 40]);
        assert_eq!(stall(&shown, MS(3000), MS(3600)), Duration::from_millis(400));
        assert_eq!(frame_delay(&shown, MS(3000), MS(3600)).p50, 40.0);
    }

    #[test]
    fn the_oracle_shows_the_newest_frame_with_its_last_byte() {
        // A grant every 10 ms, frames of two grants every 40 ms.
        let trace = Trace::synthetic(1_000, |_| 1_203_200.0);
        let shown = oracle(&trace, Duration::from_millis(20), 25, 2 * GRANT_BYTES, MS(200));
        let got: Vec<_> = shown.iter().map(|s| (s.captured.as_ms(), s.at.as_ms())).collect();
        assert_eq!(got, [(0, 40), (40, 70), (80, 110), (120, 150), (160, 190)]);
    }
}
