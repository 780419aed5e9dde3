//! Which packets are missing, when to ask for them, and when to stop hoping.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet overtaken by this many others is not merely reordered.
const REORDER_PACKETS: u64 = 2;
/// A packet this late is not merely reordered.
const REORDER_TIME: Duration = Duration::from_millis(5);
/// Longest wait for a repair: 90 ms of round trip leave time for two.
pub(crate) const WAIT_MAX: Duration = Duration::from_millis(200);
/// When the second request goes out, in round trips.
const REPEAT_ROUND_TRIPS: f64 = 1.2;
/// When its answer is there.
pub(crate) const SECOND_ANSWER_ROUND_TRIPS: f64 = REPEAT_ROUND_TRIPS + 1.0;
/// The wait, in round trips: 2.5 would end it while a second repair comes through the queue of a busy link.
const WAIT_ROUND_TRIPS: f64 = 3.0;
/// Shortest wait: on a path with next to no delay the ends' own scheduling takes this long.
const WAIT_MIN: Duration = Duration::from_millis(25);
/// Shortest time between two requests for one packet.
const REPEAT_MIN: Duration = Duration::from_millis(10);
/// More missing at once than this is an outage, not a loss: only a key frame helps.
const MISSING_MAX: usize = 512;

/// The missing packets of one stream.
///
/// | round trip | requests per packet | given up after |
/// |---|---|---|
/// | up to 150 ms | 2, the second 1.2 round trips after the first | 3 round trips, 25 to 200 ms |
/// | up to 300 ms | 1 | 200 ms |
/// | above | 0 | 200 ms |
#[derive(Debug)]
pub(super) struct Gaps {
    missing: BTreeMap<u64, Missing>,
    rtt: Duration,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    requests: u32,
    /// When to ask for it next; `None` once no request is left.
    ask_at: Option<Instant>,
}

impl Gaps {
    pub(super) fn new() -> Self {
        // Until the first measurement, a usual path over a cellular link.
        Self { missing: BTreeMap::new(), rtt: Duration::from_millis(50) }
    }

    pub(super) fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Notes that `from..to` are missing, if it is not known; false when that is too much to hope for.
    pub(super) fn open(&mut self, from: u64, to: u64, now: Instant) -> bool {
        if to.saturating_sub(from) as usize + self.missing.len() > MISSING_MAX {
            return false;
        }
        let ask_at = (self.requests_max() > 0).then_some(now + REORDER_TIME);
        for number in from..to {
            self.missing.entry(number).or_insert(Missing { since: now, requests: 0, ask_at });
        }
        true
    }

    /// Notes that a packet has come after all; true if it was missing.
    pub(super) fn close(&mut self, number: u64) -> bool {
        self.missing.remove(&number).is_some()
    }

    /// Notes that `highest` has arrived: what it and its like have overtaken is missing without further wait.
    pub(super) fn overtaken(&mut self, highest: u64, now: Instant) {
        let bound = highest.saturating_sub(REORDER_PACKETS);
        for missing in self.missing.range_mut(..bound).map(|(_, missing)| missing).rev() {
            match (missing.requests, &mut missing.ask_at) {
                (0, Some(ask_at)) if *ask_at > now => *ask_at = now,
                // The ones before it were overtaken earlier.
                _ => break,
            }
        }
    }

    /// Forgets all before `to`.
    pub(super) fn forget_before(&mut self, to: u64) {
        self.missing = self.missing.split_off(&to);
    }

    pub(super) fn clear(&mut self) {
        self.missing.clear();
    }

    /// Takes the packets to ask for now.
    pub(super) fn take_requests(&mut self, now: Instant) -> Vec<u64> {
        let (requests_max, repeat) =
            (self.requests_max(), REPEAT_MIN.max(self.rtt.mul_f64(REPEAT_ROUND_TRIPS)));
        let mut due = Vec::new();
        for (&number, missing) in &mut self.missing {
            if missing.ask_at.is_some_and(|at| at <= now) {
                missing.requests += 1;
                missing.ask_at = (missing.requests < requests_max).then_some(now + repeat);
                due.push(number);
            }
        }
        due
    }

    /// Takes the packets that will not come any more.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<u64> {
        let wait = self.wait();
        let expired: Vec<u64> = self
            .missing
            .iter()
            .filter(|(_, missing)| missing.since + wait <= now)
            .map(|(&number, _)| number)
            .collect();
        for number in &expired {
            self.missing.remove(number);
        }
        expired
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let wait = self.wait();
        self.missing
            .values()
            .map(|missing| {
                missing.ask_at.map_or(missing.since + wait, |ask_at| ask_at.min(missing.since + wait))
            })
            .min()
    }

    fn wait(&self) -> Duration {
        self.rtt.mul_f64(WAIT_ROUND_TRIPS).clamp(WAIT_MIN, WAIT_MAX)
    }

    fn requests_max(&self) -> u32 {
        match self.rtt.as_millis() {
            0..=150 => 2,
            151..=300 => 1,
            _ => 0,
        }
    }
}
