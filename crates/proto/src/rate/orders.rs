//! When to make the next picture a recovery, without being asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::feedback::Reported;
use crate::rtp::{SECOND_ANSWER_ROUND_TRIPS, UsefulFrom, WAIT_MAX};

/// Packets remembered: three seconds at 5 Mbit/s. Full: the oldest is forgotten, and with it what became of it.
const SENT_MAX: usize = 2048;
/// Lost packets followed at once. Full: a newer one is not; one is enough to order a recovery.
const LOST_MAX: usize = 512;
/// Above this round trip a repair and a recovery go out side by side: the receiver hardly waits long enough for the repair.
const SIDE_BY_SIDE: Duration = Duration::from_millis(150);
/// Least wait for the request that a loss brings about; it comes with the report that tells of the loss, or before.
const REQUEST_MIN: Duration = Duration::from_millis(20);
/// Time from an order until the picture is on its way: one interval of the camera, and encoding.
const MAKING: Duration = Duration::from_millis(40);

/// Why a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// For the first time.
    Original,
    /// Because the receiver asked for it again.
    Repair,
    /// To keep something under way: what becomes of it says nothing.
    Probe,
}

/// Follows what becomes of each packet and its repair, and orders a recovery where a picture will not be whole in time.
///
/// | the original | its repair | order |
/// |---|---|---|
/// | reported lost | under way | none, or at once above 150 ms of round trip |
/// | reported lost | not asked for, twice over | after 1.3 round trips |
/// | lost or unknown | reported lost, and not asked for again | after half a round trip; at once above 90 ms |
/// | lost or unknown | reported lost for the second time | at once |
/// | any | reported arrived | none, one not yet taken is void |
///
/// While a second repair is under way there is none: 97 of 100 arrive where 3 of 100 are lost, and a recovery leaves out
/// the pictures that it overtakes.
///
/// A picture that leans on none before it ends the care for those. One order in each round trip and 40 ms: no sooner
/// can be known what came of the recovery.
#[derive(Debug, Default)]
pub struct Orders {
    /// One after the other by their numbers.
    sent: VecDeque<Sent>,
    lost: Vec<Lost>,
    useful: UsefulFrom,
    state: State,
    /// No order before.
    quiet_until: Option<Instant>,
    round_trip: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u16,
    sequence: u16,
    sending: Sending,
}

/// A packet that is not known to have arrived.
#[derive(Clone, Copy, Debug)]
struct Lost {
    sequence: u16,
    /// Repairs that left.
    sent: u8,
    /// When an order is due, if no other repair leaves before.
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Calm,
    Wanted,
    Ordered,
}

impl Orders {
    /// Sets the round trip, the wait for the report included.
    pub const fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// A packet left; `number` is the transport-wide one, `sequence` that of the original.
    pub fn handle_sent(&mut self, number: u16, sequence: u16, sending: Sending) {
        if self.sent.back().is_some_and(|last| last.number.wrapping_add(1) != number) {
            self.sent.clear();
        }
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { number, sequence, sending });
        if sending == Sending::Original {
            self.useful.handle_sent(sequence);
        }
        if sending == Sending::Repair {
            match self.lost.iter_mut().find(|lost| lost.sequence == sequence) {
                Some(lost) => {
                    lost.sent = lost.sent.saturating_add(1);
                    lost.due = None;
                }
                // Asked for before a report told of the loss.
                None => self.follow(Lost { sequence, sent: 1, due: None }),
            }
        }
    }

    /// A picture begins with this packet that leans on none before it, a recovery or a key frame.
    pub fn handle_fresh_start(&mut self, sequence: u16) {
        self.useful.begin(sequence);
        self.lost.clear();
        self.state = State::Calm;
    }

    /// Takes a report of the receiver.
    pub fn handle_report(&mut self, report: &[Reported], now: Instant) {
        for Reported { number, arrival } in report {
            let Some(Sent { sequence, sending, .. }) = self.find(*number) else { continue };
            let is_useful = self.useful.covers(sequence);
            match (arrival, sending) {
                (_, Sending::Probe) => {}
                (Some(_), Sending::Original | Sending::Repair) => {
                    self.lost.retain(|lost| lost.sequence != sequence)
                }
                (None, Sending::Original) if is_useful => self.handle_lost(sequence, now),
                (None, Sending::Repair) if is_useful => self.handle_lost_repair(sequence, now),
                (None, Sending::Original | Sending::Repair) => {}
            }
        }
        self.relax();
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut is_due = false;
        for lost in &mut self.lost {
            if lost.due.is_some_and(|due| due <= now) {
                lost.due = None;
                is_due = true;
            }
        }
        if is_due {
            self.want(now);
        }
        if self.state == State::Wanted && self.quiet_until.is_none_or(|until| until <= now) {
            self.order(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wanted = self.quiet_until.filter(|_| self.state == State::Wanted);
        self.lost.iter().filter_map(|lost| lost.due).chain(wanted).min()
    }

    /// Takes the order, if there is one: the next picture shall be a recovery.
    pub fn take(&mut self) -> bool {
        let is_ordered = self.state == State::Ordered;
        if is_ordered {
            self.state = State::Calm;
        }
        is_ordered
    }

    /// Notes that no recovery could be made: the next cry for help is to be heard.
    pub const fn handle_refused(&mut self) {
        self.quiet_until = None;
    }

    /// Notes that a recovery was ordered by somebody else: none is needed until it can have arrived.
    pub fn handle_recovery_ordered(&mut self, now: Instant) {
        self.order(now);
        self.state = State::Calm;
    }

    /// Whether a recovery that was ordered may not have arrived yet.
    pub fn is_under_way(&self, now: Instant) -> bool {
        self.quiet_until.is_some_and(|until| now < until)
    }

    fn handle_lost(&mut self, sequence: u16, now: Instant) {
        if self.lost.iter().any(|lost| lost.sequence == sequence) {
            return;
        }
        if self.round_trip > SIDE_BY_SIDE {
            self.follow(Lost { sequence, sent: 0, due: None });
            self.want(now);
        } else {
            // The receiver asks again 1.2 round trips after a request that was lost.
            let due = Some(now + REQUEST_MIN.max(self.round_trip.mul_f64(1.3)));
            self.follow(Lost { sequence, sent: 0, due });
        }
    }

    fn handle_lost_repair(&mut self, sequence: u16, now: Instant) {
        let wait = REQUEST_MIN.max(self.round_trip / 2);
        let is_second_in_time = self.round_trip.mul_f64(SECOND_ANSWER_ROUND_TRIPS) <= WAIT_MAX;
        match self.lost.iter_mut().find(|lost| lost.sequence == sequence) {
            Some(lost) if lost.sent < 2 && is_second_in_time => lost.due = Some(now + wait),
            Some(_) => self.want(now),
            None => {}
        }
    }

    fn follow(&mut self, lost: Lost) {
        if self.lost.len() < LOST_MAX {
            self.lost.push(lost);
        }
    }

    fn want(&mut self, now: Instant) {
        match self.state {
            State::Ordered => {}
            State::Calm | State::Wanted if self.is_under_way(now) => self.state = State::Wanted,
            State::Calm | State::Wanted => self.order(now),
        }
    }

    fn order(&mut self, now: Instant) {
        self.state = State::Ordered;
        self.quiet_until = Some(now + self.round_trip + MAKING);
    }

    /// With nothing missing there is nothing to recover from.
    fn relax(&mut self) {
        if self.lost.is_empty() {
            if self.state == State::Ordered {
                self.quiet_until = None;
            }
            self.state = State::Calm;
        }
    }

    fn find(&self, number: u16) -> Option<Sent> {
        let first = self.sent.front()?.number;
        self.sent.get(usize::from(number.wrapping_sub(first))).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::feedback::ReceiverTime;
    use super::super::test::{MS, start};
    use super::*;

    const RTT: Duration = Duration::from_millis(60);

    /// Packets with sequence 100 and up, sent with number 65 530 and up.
    struct Rig {
        orders: Orders,
        number: u16,
    }

    impl Rig {
        fn new(round_trip: Duration) -> Self {
            let mut orders = Orders::default();
            orders.set_round_trip(round_trip);
            let mut rig = Self { orders, number: 65_529 };
            (100..110).for_each(|sequence| {
                rig.send(sequence, Sending::Original);
            });
            rig
        }

        fn send(&mut self, sequence: u16, sending: Sending) -> u16 {
            self.number = self.number.wrapping_add(1);
            self.orders.handle_sent(self.number, sequence, sending);
            self.number
        }

        fn report(&mut self, number: u16, has_arrived: bool, ms: u32) {
            let arrival = has_arrived.then_some(ReceiverTime::from_us(0));
            self.orders.handle_report(&[Reported { number, arrival }], start() + MS * ms);
        }

        fn takes(&mut self, ms: u32) -> bool {
            if self.orders.poll_timeout().is_some_and(|at| at <= start() + MS * ms) {
                self.orders.handle_timeout(start() + MS * ms);
            }
            self.orders.take()
        }
    }

    const fn number_of(sequence: u16) -> u16 {
        65_530_u16.wrapping_add(sequence - 100)
    }

    #[test]
    fn a_loss_that_is_repaired_orders_nothing() {
        let mut rig = Rig::new(RTT);
        rig.report(number_of(103), false, 60);
        let repair = rig.send(103, Sending::Repair);
        assert!(!rig.takes(100));
        rig.report(repair, true, 125);
        assert!(!rig.takes(1000));
        assert_eq!(rig.orders.poll_timeout(), None);
    }

    #[test]
    fn a_repair_lost_twice_orders_a_recovery_at_once() {
        for is_told_before in [true, false] {
            let mut rig = Rig::new(RTT);
            if is_told_before {
                rig.report(number_of(107), false, 60);
            }
            let first = rig.send(107, Sending::Repair);
            if !is_told_before {
                rig.report(number_of(107), false, 65);
            }
            rig.report(first, false, 125);
            let second = rig.send(107, Sending::Repair);
            assert!(!rig.takes(190));
            rig.report(second, false, 195);
            assert_eq!([rig.takes(195), rig.takes(196)], [true, false], "{is_told_before}");
        }
    }

    #[test]
    fn a_lost_repair_that_is_not_asked_for_again_orders_a_recovery_after_half_a_round_trip() {
        let mut rig = Rig::new(RTT);
        let repair = rig.send(107, Sending::Repair);
        rig.report(repair, false, 125);
        assert_eq!([rig.takes(154), rig.takes(155), rig.takes(500)], [false, true, false]);
    }

    #[test]
    fn a_loss_that_nobody_asks_about_orders_a_recovery_after_a_second_request_could_have_come() {
        let mut rig = Rig::new(RTT);
        rig.report(number_of(103), false, 60);
        assert_eq!(rig.orders.poll_timeout(), Some(start() + MS * 138));
        assert_eq!([rig.takes(137), rig.takes(138), rig.takes(500)], [false, true, false]);
    }

    #[test]
    fn over_a_long_way_the_recovery_goes_side_by_side_with_the_repair() {
        for (ms, want) in [(150, false), (151, true)] {
            let mut rig = Rig::new(MS * ms);
            rig.report(number_of(103), false, ms);
            assert_eq!(rig.takes(ms), want, "{ms} ms");
        }
    }

    #[test]
    fn an_order_is_void_when_a_repair_arrives_before_it_is_taken() {
        let mut rig = Rig::new(RTT);
        let first = rig.send(107, Sending::Repair);
        let second = rig.send(107, Sending::Repair);
        rig.report(first, false, 125);
        rig.report(second, true, 130);
        assert!(!rig.takes(130));
    }

    #[test]
    fn orders_are_a_round_trip_apart_and_the_later_one_is_not_forgotten() {
        let mut rig = Rig::new(RTT);
        rig.send(101, Sending::Repair);
        let repair = rig.send(101, Sending::Repair);
        rig.report(repair, false, 100);
        assert!(rig.takes(100));
        rig.orders.handle_fresh_start(110);
        rig.send(110, Sending::Original);
        rig.send(110, Sending::Repair);
        let repair = rig.send(110, Sending::Repair);
        rig.report(repair, false, 150);
        assert!(rig.orders.is_under_way(start() + MS * 199));
        assert_eq!([rig.takes(199), rig.takes(200), rig.takes(201)], [false, true, false]);
    }

    #[test]
    fn nothing_before_a_fresh_start_counts() {
        let mut rig = Rig::new(RTT);
        rig.send(101, Sending::Repair);
        let repair = rig.send(101, Sending::Repair);
        rig.orders.handle_fresh_start(105);
        rig.report(number_of(104), false, 100);
        rig.report(repair, false, 100);
        assert!(!rig.takes(500));
        rig.report(number_of(105), false, 500);
        assert!(rig.takes(578));
    }

    #[test]
    fn a_lost_probe_and_a_request_of_the_receiver_under_way_order_nothing() {
        let mut rig = Rig::new(RTT);
        let probe = rig.send(109, Sending::Probe);
        rig.report(probe, false, 100);
        assert!(!rig.takes(500));
        rig.orders.handle_recovery_ordered(start() + MS * 500);
        assert!(!rig.takes(500) && rig.orders.is_under_way(start() + MS * 599));
        assert!(!rig.orders.is_under_way(start() + MS * 600));
    }

    #[test]
    fn an_order_that_nobody_can_carry_out_or_needs_any_more_is_not_under_way() {
        let mut rig = Rig::new(RTT);
        let repair = rig.send(107, Sending::Repair);
        rig.report(repair, false, 125);
        assert!(rig.takes(155) && rig.orders.is_under_way(start() + MS * 156));
        rig.orders.handle_refused();
        assert!(!rig.orders.is_under_way(start() + MS * 156));

        let mut rig = Rig::new(RTT);
        let repair = rig.send(107, Sending::Repair);
        rig.report(repair, false, 125);
        rig.orders.handle_timeout(start() + MS * 155);
        rig.report(number_of(107), true, 156);
        assert!(!rig.orders.is_under_way(start() + MS * 157) && !rig.takes(157));
    }

    #[test]
    fn where_a_second_repair_comes_too_late_a_recovery_is_ordered_at_the_first_lost_one() {
        for (round_trip_ms, is_at_once) in [(90, false), (91, true)] {
            let mut rig = Rig::new(MS * round_trip_ms);
            let repair = rig.send(107, Sending::Repair);
            rig.report(repair, false, 150);
            assert_eq!(rig.takes(150), is_at_once, "{round_trip_ms} ms");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_reported_orders_keep_their_distance_and_memory_is_bounded(
            steps in proptest::collection::vec((0u32..40, any::<u16>(), 0u8..6, any::<bool>()), 1..400),
        ) {
            let mut rig = Rig::new(RTT);
            let (mut ms, mut last) = (0, None::<u32>);
            for (pause, value, action, flag) in steps {
                ms += pause;
                match action {
                    0 => { rig.send(100 + value % 50, Sending::Original); }
                    1 => { rig.send(100 + value % 50, Sending::Repair); }
                    2 => rig.orders.handle_fresh_start(100 + value % 50),
                    3 => rig.report(value, flag, ms),
                    _ => rig.report(rig.number.wrapping_sub(value % 20), flag, ms),
                }
                if rig.takes(ms) {
                    prop_assert!(last.is_none_or(|last| ms - last >= 100), "{:?} and {}", last, ms);
                    last = Some(ms);
                }
                prop_assert!(rig.orders.lost.len() <= LOST_MAX && rig.orders.sent.len() <= SENT_MAX);
            }
        }
    }
}
