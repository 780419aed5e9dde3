//! Virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Time since the world began, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualTime(pub u64);

impl VirtualTime {
    /// The world's beginning.
    pub const ZERO: Self = Self(0);

    /// `ms` after the beginning.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1000)
    }

    /// Whole milliseconds since the beginning.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1000
    }

    /// Time since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `duration`.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_micros() as u64)
    }
}

impl std::fmt::Display for VirtualTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}

/// A machine's monotonic clock: virtual time, running a little fast or slow, and stopping while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    base: Instant,
    ppm: i64,
    asleep: Duration,
}

impl MachineClock {
    /// A clock that runs `ppm` fast.
    pub fn new(ppm: i64) -> Self {
        // The only clock reading of the lab; every result is a difference to it.
        Self { base: Instant::now() + Duration::from_secs(1_000), ppm, asleep: Duration::ZERO }
    }

    /// What the clock shows.
    pub fn at(&self, now: VirtualTime) -> Instant {
        let us = now.0 as i64;
        let shown = us + us * self.ppm / 1_000_000;
        self.base + Duration::from_micros(shown.max(0) as u64).saturating_sub(self.asleep)
    }

    /// The machine slept for `duration`: its monotonic clock stood still.
    pub fn slept(&mut self, duration: Duration) {
        self.asleep += duration;
    }
}

/// What happens when, earliest first; at the same time in the order of scheduling.
#[derive(Debug)]
pub struct Schedule<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    count: u64,
    now: VirtualTime,
}

#[derive(Debug)]
struct Entry<E> {
    at: VirtualTime,
    order: u64,
    event: E,
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), count: 0, now: VirtualTime::ZERO }
    }
}

impl<E> Schedule<E> {
    /// The present.
    pub const fn now(&self) -> VirtualTime {
        self.now
    }

    /// Schedules `event` at `at`, or at once if that is past.
    pub fn add(&mut self, at: VirtualTime, event: E) {
        self.count += 1;
        self.heap.push(Reverse(Entry { at: at.max(self.now), order: self.count, event }));
    }

    /// Advances to the next event, if it is not after `end`.
    pub fn next_until(&mut self, end: VirtualTime) -> Option<E> {
        if self.heap.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            self.now = self.now.max(end);
            return None;
        }
        let Reverse(Entry { at, event, .. }) = self.heap.pop()?;
        self.now = at;
        Some(event)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_their_time_and_then_of_their_scheduling() {
        let mut schedule = Schedule::default();
        for (at, event) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b'), (50, 'e')] {
            schedule.add(VirtualTime::from_ms(at), event);
        }
        let end = VirtualTime::from_ms(40);
        let got: String = std::iter::from_fn(|| schedule.next_until(end)).collect();
        assert_eq!((got.as_str(), schedule.now()), ("abcd", end));
    }

    #[test]
    fn what_is_scheduled_in_the_past_happens_now() {
        let mut schedule = Schedule::default();
        schedule.add(VirtualTime::from_ms(10), 'a');
        schedule.next_until(VirtualTime::from_ms(20));
        schedule.add(VirtualTime::from_ms(5), 'b');
        assert_eq!(schedule.next_until(VirtualTime::from_ms(20)), Some('b'));
        assert_eq!(schedule.now(), VirtualTime::from_ms(10));
    }

    #[test]
    fn a_clock_drifts_and_stands_still_while_its_machine_sleeps() {
        let mut clock = MachineClock::new(100);
        let (start, later) = (clock.at(VirtualTime::ZERO), VirtualTime::from_ms(10_000));
        assert_eq!(clock.at(later) - start, Duration::from_millis(10_001));
        clock.slept(Duration::from_secs(4));
        assert_eq!(clock.at(later) - start, Duration::from_millis(6_001));
    }
}
