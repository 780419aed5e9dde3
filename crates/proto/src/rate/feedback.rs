//! What transport-wide feedback tells about each packet sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Packets remembered at most: 16 s at 4 Mbit/s. Full: the oldest is forgotten as if its report were lost.
const SENT_MAX: usize = 8192;
/// A packet reported lost, or left out of a report, may still turn out to have arrived. Later than this nobody cares.
const REVIVE_MAX: Duration = Duration::from_secs(1);
/// Arrivals are clamped to this many µs (35 years), so that no difference of two overflows.
const ARRIVAL_MAX_US: i64 = 1 << 50;

/// Time on the receiver's clock in µs; its origin is unknown, and whoever reads the wire undoes its wrap (the
/// reference time of draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1 has 24 bits of 64 ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiverTime(i64);

impl ReceiverTime {
    /// A time in µs; beyond 35 years from the origin it is clamped.
    pub const fn from_us(us: i64) -> Self {
        Self(if us > ARRIVAL_MAX_US {
            ARRIVAL_MAX_US
        } else if us < -ARRIVAL_MAX_US {
            -ARRIVAL_MAX_US
        } else {
            us
        })
    }

    /// Microseconds since the clock's origin.
    pub const fn as_us(self) -> i64 {
        self.0
    }
}

/// What the receiver says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Transport-wide sequence number.
    pub number: u16,
    /// When it arrived; `None` if it had not when the report was made.
    pub arrival: Option<ReceiverTime>,
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) departure: Instant,
    /// `None`: lost.
    pub(super) arrival: Option<ReceiverTime>,
}

/// The packets that left and of which no report says that they arrived.
///
/// | state | reported arrived | reported missing | a report begins after it |
/// |---|---|---|---|
/// | `InFlight` | forget, tell arrival | `Settled`, tell loss | `Settled`, tell nothing: its report was lost |
/// | `Settled` | forget, tell arrival | - | - |
#[derive(Debug)]
pub(super) struct History {
    sent: BTreeMap<u64, Sent>,
    highest: Option<u64>,
    in_flight_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    departure: Instant,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    Settled,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { sent: BTreeMap::new(), highest: None, in_flight_bytes: 0 }
    }

    /// Notes that a packet left. Numbers ascend by less than half their range; one that does not is not followed.
    pub(super) fn handle_sent(&mut self, number: u16, bytes: usize, now: Instant) {
        let extended = match self.highest {
            None => (1 << 16) + u64::from(number),
            Some(highest) => match number.wrapping_sub(highest as u16) {
                step @ 1..0x8000 => highest + u64::from(step),
                _ => return,
            },
        };
        self.highest = Some(extended);
        self.in_flight_bytes += bytes;
        self.sent.insert(extended, Sent { departure: now, bytes, state: State::InFlight });
        while self.sent.len() > SENT_MAX
            && let Some((_, oldest)) = self.sent.pop_first()
        {
            self.settle(&oldest);
        }
    }

    /// Takes a report; the outcomes it brings come in the order of sending.
    pub(super) fn handle_report(&mut self, report: &[Reported], now: Instant) -> Vec<Outcome> {
        let Some(highest) = self.highest else { return Vec::new() };
        let extend = |number: u16| highest.checked_sub(u64::from((highest as u16).wrapping_sub(number)));
        let mut outcomes = Vec::new();
        let mut first = None;
        for Reported { number, arrival } in report {
            let Some(number) = extend(*number) else { continue };
            let Some(sent) = self.sent.get_mut(&number) else { continue };
            first = Some(first.map_or(number, |first: u64| first.min(number)));
            let Sent { departure, bytes, state } = *sent;
            if state == State::InFlight {
                self.in_flight_bytes -= bytes;
                sent.state = State::Settled;
            } else if arrival.is_none() {
                continue;
            }
            if arrival.is_some() {
                self.sent.remove(&number);
            }
            outcomes.push(Outcome { number, bytes, departure, arrival: *arrival });
        }
        if let Some(first) = first {
            for sent in self.sent.range_mut(..first).map(|(_, sent)| sent) {
                if sent.state == State::InFlight {
                    self.in_flight_bytes -= sent.bytes;
                    sent.state = State::Settled;
                }
            }
        }
        while let Some(oldest) = self.sent.first_entry()
            && oldest.get().state == State::Settled
            && oldest.get().departure + REVIVE_MAX < now
        {
            oldest.remove();
        }
        outcomes.sort_unstable_by_key(|outcome| outcome.number);
        outcomes
    }

    /// Bytes sent of which nothing is known.
    pub(super) const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Departure of the oldest packet of which nothing is known.
    pub(super) fn oldest_in_flight(&self) -> Option<Instant> {
        self.sent.values().find(|sent| sent.state == State::InFlight).map(|sent| sent.departure)
    }

    fn settle(&mut self, sent: &Sent) {
        if sent.state == State::InFlight {
            self.in_flight_bytes -= sent.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    fn arrived(number: u16, us: i64) -> Reported {
        Reported { number, arrival: Some(ReceiverTime::from_us(us)) }
    }

    fn missing(number: u16) -> Reported {
        Reported { number, arrival: None }
    }

    fn sent(numbers: &[u16]) -> History {
        let mut history = History::new();
        for (n, &number) in (0..).zip(numbers) {
            history.handle_sent(number, 1000, start() + MS * n);
        }
        history
    }

    fn numbers(outcomes: &[Outcome]) -> Vec<(u16, bool)> {
        outcomes.iter().map(|o| (o.number as u16, o.arrival.is_some())).collect()
    }

    #[test]
    fn arrivals_and_losses_leave_the_flight() {
        let mut history = sent(&[1, 2, 3, 4]);
        let outcomes = history.handle_report(&[arrived(1, 5), missing(2), arrived(3, 7)], start() + MS * 50);
        assert_eq!(numbers(&outcomes), [(1, true), (2, false), (3, true)]);
        assert_eq!(outcomes[2].departure, start() + MS * 2);
        assert_eq!(history.in_flight_bytes(), 1000);
        assert_eq!(history.oldest_in_flight(), Some(start() + MS * 3));
    }

    #[test]
    fn numbers_go_on_over_the_wrap() {
        let mut history = sent(&[65_534, 65_535, 0, 1]);
        let outcomes = history.handle_report(
            &[arrived(65_534, 1), arrived(65_535, 2), missing(0), arrived(1, 3)],
            start() + MS,
        );
        assert_eq!(numbers(&outcomes), [(65_534, true), (65_535, true), (0, false), (1, true)]);
        assert!(outcomes.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
        assert_eq!(history.in_flight_bytes(), 0);
    }

    #[test]
    fn a_lost_report_frees_what_it_told_of_without_calling_it_lost() {
        let mut history = sent(&[1, 2, 3]);
        assert_eq!(numbers(&history.handle_report(&[arrived(3, 1)], start() + MS)), [(3, true)]);
        assert_eq!((history.in_flight_bytes(), history.oldest_in_flight()), (0, None));
    }

    #[test]
    fn a_packet_called_lost_may_arrive_after_all_and_is_counted_once() {
        let mut history = sent(&[1, 2]);
        history.handle_report(&[missing(1), arrived(2, 1)], start() + MS);
        assert_eq!(numbers(&history.handle_report(&[missing(1)], start() + MS)), []);
        assert_eq!(numbers(&history.handle_report(&[arrived(1, 9)], start() + MS * 2)), [(1, true)]);
        assert_eq!(numbers(&history.handle_report(&[arrived(1, 9)], start() + MS * 3)), []);
        assert_eq!(history.in_flight_bytes(), 0);
    }

    #[test]
    fn reports_in_the_wrong_order_tell_the_same() {
        let mut history = sent(&[1, 2, 3, 4]);
        let now = start() + MS * 30;
        assert_eq!(numbers(&history.handle_report(&[arrived(3, 3), arrived(4, 4)], now)).len(), 2);
        assert_eq!(
            numbers(&history.handle_report(&[arrived(1, 1), arrived(2, 2)], now)),
            [(1, true), (2, true)]
        );
        assert_eq!(history.in_flight_bytes(), 0);
    }

    #[test]
    fn packets_never_sent_change_nothing() {
        let mut history = sent(&[10, 11]);
        let report: Vec<_> = (0..=u16::MAX).filter(|n| *n != 10 && *n != 11).map(|n| arrived(n, 1)).collect();
        assert_eq!(history.handle_report(&report, start() + MS), []);
        assert_eq!(history.in_flight_bytes(), 2000);
        assert_eq!(History::new().handle_report(&report, start()), []);
    }

    #[test]
    fn memory_is_bounded_when_no_report_ever_comes() {
        let mut history = History::new();
        for number in 0..100_000_u32 {
            history.handle_sent(number as u16, 10, start());
        }
        assert_eq!((history.sent.len(), history.in_flight_bytes()), (SENT_MAX, 10 * SENT_MAX));
    }
}
