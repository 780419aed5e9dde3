//! The commands that count: which are accepted, and how many are lost.

use std::time::{Duration, Instant};

use super::governor::LOOP_AGE_NONE;
use crate::control::command::{Controls, DriveCommand, Echo};
use crate::video::CarTime;

/// Why a command does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// It is not of the lease in force.
    #[error("it has another lease's epoch")]
    Lease,
    /// A newer one, or itself, was accepted before.
    #[error("its sequence is not newer")]
    Sequence,
    /// It does not echo the robot's clock.
    #[error("it has no echo of the robot's clock")]
    NoEcho,
    /// It echoes a time that has not come yet, or one held for longer than a second.
    #[error("its echo of the robot's clock is implausible")]
    Echo,
    /// Its loop age is above 600 ms.
    #[error("it is {} ms old", .age.as_millis())]
    TooOld {
        /// Its loop age.
        age: Duration,
    },
}

/// The last command that counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) at: Instant,
    pub(super) sequence: u32,
    pub(super) controls: Controls,
    pub(super) loop_age: Duration,
    pub(super) picture_age: Option<Duration>,
}

/// Judges a command that arrived at `now`: its loop age, if it counts.
///
/// # Errors
/// With the reason why it does not.
pub(super) fn judge(
    command: &DriveCommand,
    lease: u32,
    last: Option<u32>,
    now: CarTime,
) -> Result<Duration, Reject> {
    if command.lease == 0 || command.lease != lease {
        return Err(Reject::Lease);
    }
    if last.is_some_and(|last| !is_newer(command.sequence, last)) {
        return Err(Reject::Sequence);
    }
    let age = loop_age(command.echo.ok_or(Reject::NoEcho)?, now)?;
    if age > LOOP_AGE_NONE { Err(Reject::TooOld { age }) } else { Ok(age) }
}

/// `now - car_ms_echo - hold_ms`, all in the robot's milliseconds modulo 2^32.
///
/// # Errors
/// When the echo has not been sent yet, or was held so long that the driver no longer hears the robot.
pub(super) fn loop_age(echo: Echo, now: CarTime) -> Result<Duration, Reject> {
    let held = Duration::from_millis(u64::from(echo.hold_ms));
    let age_ms = now.as_ms().wrapping_sub(echo.car_ms).wrapping_sub(u32::from(echo.hold_ms)) as i32;
    if held > HOLD_MAX || age_ms < -ROUNDING_MS {
        return Err(Reject::Echo);
    }
    Ok(Duration::from_millis(age_ms.max(0) as u64))
}

/// Whether sequence `a` is after `b`, wrapping.
pub(super) const fn is_newer(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

/// A driver that has not heard the robot for this long does not know what the car does: its echo proves nothing.
const HOLD_MAX: Duration = Duration::from_millis(1000);
/// Both clocks are cut to whole milliseconds, and the driver's may run 0.1 % fast over [`HOLD_MAX`].
const ROUNDING_MS: i32 = 3;

/// Counts commands lost over the last second, in four quarters.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// Sent and accepted in each quarter; the present one is `quarter % 4`.
    counts: [(u32, u32); 4],
    quarter: u128,
}

impl Loss {
    /// A command was accepted, `sent` after the one before it (1: none between is missing).
    pub(super) fn record(&mut self, sent: u32, since_start: Duration) {
        self.advance(since_start);
        let (all, accepted) = &mut self.counts[(self.quarter % 4) as usize];
        // A driver that restarts its numbers does not count as a thousand losses.
        *all += sent.min(100);
        *accepted += 1;
    }

    /// Share lost, in permille.
    pub(super) fn permille(&mut self, since_start: Duration) -> u16 {
        self.advance(since_start);
        // Wide: a driver that floods must not make it overflow.
        let (all, accepted) = self
            .counts
            .iter()
            .fold((0, 0), |(all, accepted), (a, b)| (all + u64::from(*a), accepted + u64::from(*b)));
        ((all - accepted) * 1000).checked_div(all).unwrap_or(0) as u16
    }

    fn advance(&mut self, since_start: Duration) {
        let quarter = since_start.as_millis() / 250;
        while self.quarter < quarter {
            // Four steps clear everything; more would only repeat that.
            self.quarter = (self.quarter + 1).max(quarter.saturating_sub(4));
            self.counts[(self.quarter % 4) as usize] = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn echo(car_ms: u32, hold_ms: u16) -> Echo {
        Echo { car_ms, hold_ms }
    }

    fn check(echo: Echo, now_ms: u64, want: Result<u64, Reject>) {
        assert_eq!(
            loop_age(echo, CarTime(now_ms * 1000)),
            want.map(Duration::from_millis),
            "{echo:?} at {now_ms}"
        );
    }

    #[test]
    fn loop_age_is_what_the_driver_did_not_hold() {
        check(echo(5_000, 30), 5_100, Ok(70));
        check(echo(5_000, 0), 5_000, Ok(0));
        check(echo(5_000, 103), 5_100, Ok(0));
        check(echo(5_000, 104), 5_100, Err(Reject::Echo));
        check(echo(9_000, 0), 5_000, Err(Reject::Echo));
        check(echo(5_000, 1_000), 6_100, Ok(100));
        check(echo(5_000, 1_001), 6_101, Err(Reject::Echo));
    }

    #[test]
    fn loop_age_survives_the_wrap_of_the_clock() {
        check(echo(u32::MAX - 9, 20), (1 << 32) + 40, Ok(30));
    }

    #[test]
    fn loss_is_counted_over_the_last_second() {
        let at = Duration::from_millis;
        let mut loss = Loss::default();
        for index in 0..50 {
            loss.record(if index % 5 == 0 { 2 } else { 1 }, at(index * 20));
        }
        assert_eq!(loss.permille(at(999)), 166);
        assert_eq!(loss.permille(at(60_000)), 0);
        loss.record(1, at(60_000));
        assert_eq!(loss.permille(at(60_000)), 0);
    }

    #[test]
    fn loss_is_counted_though_a_driver_floods() {
        let mut loss = Loss::default();
        for _ in 0..50_000 {
            loss.record(u32::MAX, Duration::ZERO);
        }
        assert_eq!(loss.permille(Duration::ZERO), 990);
    }

    proptest! {
        #[test]
        fn loss_is_a_share_at_any_pace(steps in proptest::collection::vec((1u32.., 0u64..3000), 0..100)) {
            let (mut loss, mut now) = (Loss::default(), Duration::ZERO);
            for (sent, gap) in steps {
                now += Duration::from_millis(gap);
                loss.record(sent, now);
                prop_assert!(loss.permille(now) < 1000);
            }
        }
    }
}
