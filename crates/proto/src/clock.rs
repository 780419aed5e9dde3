//! Clock synchronisation between a viewer and the robot.
//!
//! A viewer pings ([`crate::control::probe`]), the robot answers with its clock, and the exchange with the least
//! round trip tells the offset best: its two ways can differ by its round trip at most. Control does not need this
//! (its ages are differences on the robot's clock alone); the displayed age of the picture does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::control::probe::{Ping, Pong};
use crate::video::CarTime;

/// Estimates the robot's clock from exchanges of pings and pongs.
#[derive(Debug)]
pub struct ClockSync {
    /// Zero of this side's clock.
    epoch: Instant,
    boot: Option<u32>,
    // Full: the oldest goes; drift has made it the worst.
    exchanges: VecDeque<Exchange>,
    pinged: Option<Instant>,
    pings: u32,
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    arrived: Instant,
    rtt: Duration,
    /// Robot's clock minus this side's, in µs.
    offset_us: i64,
}

/// Why a pong tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PongError {
    /// It answers a ping that was not sent, or its times cannot be true.
    #[error("pong has times that cannot be true")]
    Implausible,
    /// It was under way for more than 2 s.
    #[error("pong took {} ms", .rtt.as_millis())]
    Late {
        /// Its round trip.
        rtt: Duration,
    },
}

impl ClockSync {
    /// Nothing is known; `epoch` is at or before every time given later.
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch, boot: None, exchanges: VecDeque::new(), pinged: None, pings: 0 }
    }

    /// When [`ClockSync::poll_ping`] next has one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let period = if self.pings < PINGS_FAST { PERIOD_FAST } else { PERIOD };
        self.pinged.map(|at| at + period)
    }

    /// The ping to send at this moment, if one is due: quickly at first, then twice a second.
    pub fn poll_ping(&mut self, now: Instant) -> Option<Ping> {
        if self.poll_timeout().is_some_and(|due| due > now) {
            return None;
        }
        self.pinged = Some(now);
        self.pings = self.pings.saturating_add(1);
        Some(Ping { sent_us: self.us(now) as u64 })
    }

    /// Takes an answer that arrived at `now`.
    ///
    /// # Errors
    /// When it tells nothing; the estimate stays.
    pub fn handle_pong(&mut self, pong: &Pong, now: Instant) -> Result<(), PongError> {
        let (Ok(sent), Ok(received), Ok(answered)) =
            (i64::try_from(pong.sent_us), i64::try_from(pong.received.0), i64::try_from(pong.answered.0))
        else {
            return Err(PongError::Implausible);
        };
        let arrived = self.us(now);
        let (total, inside) = (arrived.saturating_sub(sent), answered.saturating_sub(received));
        if inside < 0 || total < inside || self.pinged.is_none_or(|at| sent > self.us(at)) {
            return Err(PongError::Implausible);
        }
        let rtt = Duration::from_micros((total - inside) as u64);
        if rtt > RTT_MAX {
            return Err(PongError::Late { rtt });
        }
        if self.boot != Some(pong.boot) {
            // The robot started again: its clock is another one.
            self.boot = Some(pong.boot);
            self.exchanges.clear();
        }
        if self.exchanges.len() == EXCHANGES_MAX {
            self.exchanges.pop_front();
        }
        let offset_us = ((received - sent) + (answered - arrived)) / 2;
        self.exchanges.push_back(Exchange { arrived: now, rtt, offset_us });
        Ok(())
    }

    /// Forgets everything: the connection is another one.
    pub fn handle_connection(&mut self) {
        *self = Self::new(self.epoch);
    }

    /// The robot's time at `local`; none before the first exchange.
    pub fn to_car(&self, local: Instant) -> Option<CarTime> {
        let offset_us = self.best(local)?.offset_us;
        Some(CarTime((self.us(local) + offset_us).max(0) as u64))
    }

    /// This side's time when the robot's clock shows `car`, estimated at `now`; none before the first exchange.
    pub fn to_local(&self, car: CarTime, now: Instant) -> Option<Instant> {
        let since_epoch = i64::try_from(car.0).ok()?.checked_sub(self.best(now)?.offset_us)?;
        let distance = Duration::from_micros(since_epoch.unsigned_abs());
        if since_epoch < 0 { self.epoch.checked_sub(distance) } else { self.epoch.checked_add(distance) }
    }

    /// How far the estimate may be from the truth at `now`.
    pub fn uncertainty(&self, now: Instant) -> Option<Duration> {
        self.best(now).map(|exchange| error(&exchange, now))
    }

    /// Round trip of the newest exchange.
    pub fn rtt(&self) -> Option<Duration> {
        self.exchanges.back().map(|exchange| exchange.rtt)
    }

    /// Least round trip of the exchanges remembered (half a minute).
    pub fn rtt_min(&self) -> Option<Duration> {
        self.exchanges.iter().map(|exchange| exchange.rtt).min()
    }

    fn best(&self, now: Instant) -> Option<Exchange> {
        self.exchanges.iter().copied().min_by_key(|exchange| error(exchange, now))
    }

    fn us(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.epoch).as_micros() as i64
    }
}

/// Largest error of what an exchange says at `now`: its ways may differ by its whole round trip, and the clocks
/// have drifted apart since.
fn error(exchange: &Exchange, now: Instant) -> Duration {
    exchange.rtt / 2 + now.saturating_duration_since(exchange.arrived) * DRIFT_PPM / 1_000_000
}

/// Exchanges remembered: half a minute of them.
const EXCHANGES_MAX: usize = 64;
/// A pong later than this tells too little.
const RTT_MAX: Duration = Duration::from_secs(2);
/// Drift between two quartz clocks, at worst (each is specified to 50 ppm or better).
const DRIFT_PPM: u32 = 100;
/// Pings sent quickly at the start.
const PINGS_FAST: u32 = 8;
const PERIOD_FAST: Duration = Duration::from_millis(40);
const PERIOD: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A robot whose clock is `offset_us` ahead and runs `ppm` fast, at the end of a link.
    struct Far {
        boot: u32,
        offset_us: u64,
        ppm: i64,
    }

    impl Far {
        fn clock(&self, epoch: Instant, at: Instant) -> CarTime {
            let us = (at - epoch).as_micros() as i64;
            CarTime(self.offset_us + (us + us * self.ppm / 1_000_000) as u64)
        }
    }

    /// One exchange with the given ways, in µs; gives the time afterwards.
    fn exchange(sync: &mut ClockSync, far: &Far, now: Instant, there_us: u64, back_us: u64) -> Instant {
        sync.pinged = None;
        let ping = sync.poll_ping(now).unwrap();
        let received = now + Duration::from_micros(there_us);
        let car = far.clock(sync.epoch, received);
        let arrived = received + Duration::from_micros(back_us);
        let pong = Pong { boot: far.boot, sent_us: ping.sent_us, received: car, answered: car };
        sync.handle_pong(&pong, arrived).unwrap();
        arrived
    }

    fn error_us(sync: &ClockSync, far: &Far, now: Instant) -> u64 {
        sync.to_car(now).unwrap().0.abs_diff(far.clock(sync.epoch, now).0)
    }

    const FAR: Far = Far { boot: 1, offset_us: 5_000_000_000, ppm: 0 };

    fn start() -> Instant {
        crate::control::test::start()
    }

    #[test]
    fn equal_ways_give_the_offset_exactly() {
        let mut sync = ClockSync::new(start());
        assert_eq!(sync.to_car(start()), None);
        let epoch = sync.epoch;
        let now = exchange(&mut sync, &FAR, epoch, 20_000, 20_000);
        assert_eq!(error_us(&sync, &FAR, now), 0);
        let car = sync.to_car(now).unwrap();
        assert_eq!(sync.to_local(car, now), Some(now));
        assert_eq!(sync.rtt(), Some(Duration::from_millis(40)));
    }

    #[test]
    fn the_exchange_with_the_least_round_trip_wins() {
        let mut sync = ClockSync::new(start());
        let epoch = sync.epoch;
        let now = exchange(&mut sync, &FAR, epoch, 90_000, 10_000);
        assert_eq!(error_us(&sync, &FAR, now), 40_000);
        let now = exchange(&mut sync, &FAR, now, 10_000, 10_000);
        let now = exchange(&mut sync, &FAR, now, 10_000, 90_000);
        assert_eq!(error_us(&sync, &FAR, now), 0);
        assert_eq!(sync.rtt_min(), Some(Duration::from_millis(20)));
    }

    #[test]
    fn drift_is_followed_though_the_best_exchange_was_long_ago() {
        let far = Far { ppm: 80, ..FAR };
        let mut sync = ClockSync::new(start());
        let epoch = sync.epoch;
        let mut now = exchange(&mut sync, &far, epoch, 1_000, 1_000);
        for _ in 0..600 {
            now = exchange(&mut sync, &far, now + Duration::from_millis(500), 6_000, 6_000);
        }
        // 300 s at 80 ppm are 24 ms; a window of half a minute keeps it below its own drift.
        assert!(error_us(&sync, &far, now) <= 3_000, "{} us", error_us(&sync, &far, now));
    }

    #[test]
    fn a_robot_that_starts_again_has_another_clock() {
        let mut sync = ClockSync::new(start());
        let epoch = sync.epoch;
        let now = exchange(&mut sync, &FAR, epoch, 1_000, 1_000);
        let again = Far { boot: 2, offset_us: 0, ppm: 0 };
        let now = exchange(&mut sync, &again, now, 50_000, 50_000);
        assert_eq!(error_us(&sync, &again, now), 0);
    }

    #[test]
    fn pongs_that_cannot_be_true_are_refused() {
        let epoch = start();
        let mut sync = ClockSync::new(epoch);
        let pong = |sent_us, received, answered| Pong {
            boot: 1,
            sent_us,
            received: CarTime(received),
            answered: CarTime(answered),
        };
        let now = epoch + Duration::from_millis(10);
        assert_eq!(sync.handle_pong(&pong(0, 5, 5), now), Err(PongError::Implausible), "no ping was sent");
        sync.poll_ping(now).unwrap();
        let later = now + Duration::from_millis(30);
        for bad in [
            pong(u64::MAX, 5, 5),
            pong(10_001, 5, 5),
            pong(10_000, 9, 5),
            pong(10_000, 5, 40_000),
            pong(10_000, 5, u64::MAX),
        ] {
            assert_eq!(sync.handle_pong(&bad, later), Err(PongError::Implausible), "{bad:?}");
        }
        let late = now + Duration::from_millis(2_001);
        let rtt = Duration::from_millis(2_001);
        assert_eq!(sync.handle_pong(&pong(10_000, 5, 5), late), Err(PongError::Late { rtt }));
        assert_eq!(sync.to_car(late), None);
    }

    #[test]
    fn pings_come_quickly_first_and_then_twice_a_second() {
        let epoch = start();
        let mut sync = ClockSync::new(epoch);
        let sent =
            (0..2_000).filter(|ms| sync.poll_ping(epoch + Duration::from_millis(*ms)).is_some()).count();
        assert_eq!(sent, 8 + 3);
    }

    proptest! {
        #[test]
        fn the_error_is_within_the_stated_uncertainty(ways in proptest::collection::vec((0u64..300_000, 0u64..300_000, 0u64..2_000), 1..120), ppm in -50i64..50) {
            let far = Far { ppm, ..FAR };
            let mut sync = ClockSync::new(start());
            let mut now = sync.epoch;
            for (there, back, gap_ms) in ways {
                now = exchange(&mut sync, &far, now + Duration::from_millis(gap_ms), there, back);
                prop_assert!(error_us(&sync, &far, now) <= sync.uncertainty(now).unwrap().as_micros() as u64 + 30);
                prop_assert!(sync.exchanges.len() <= EXCHANGES_MAX);
            }
        }
    }
}
