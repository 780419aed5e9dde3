//! The latency governor: the older the driver's view of the car, the less throttle.

use std::collections::VecDeque;
use std::time::Duration;

use crate::control::command::Displayed;
use crate::video::{CarTime, FrameId};

/// Whether the driver needs a fresh picture to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// By the robot's video: without a fresh picture there is no throttle.
    Video,
    /// The driver stands beside the car (a test bench): only the loop age counts.
    LineOfSight,
}

/// Share of throttle left at a loop age: all up to 200 ms, none from 600 ms, linear between.
pub fn loop_share(age: Duration) -> f32 {
    share(age, LOOP_AGE_NONE)
}

/// Share of throttle left at an age of the picture on the driver's screen: all up to 200 ms, none from 800 ms,
/// linear between; none without a picture that this robot has sent.
pub fn picture_share(age: Option<Duration>) -> f32 {
    age.map_or(0.0, |age| share(age, PICTURE_AGE_NONE))
}

fn share(age: Duration, none: Duration) -> f32 {
    let left = none.saturating_sub(age).as_secs_f32() / (none - AGE_FULL).as_secs_f32();
    left.min(1.0)
}

/// Up to this age the throttle is not reduced.
pub const AGE_FULL: Duration = Duration::from_millis(200);
/// From this loop age on there is no throttle; an older command does not count at all.
pub const LOOP_AGE_NONE: Duration = Duration::from_millis(600);
/// From this picture age on there is no throttle.
pub const PICTURE_AGE_NONE: Duration = Duration::from_millis(800);

/// The pictures sent lately: when the one that the driver names was captured.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// Oldest first. Full: the oldest goes; at 120 pictures a second that one is over 2 s old.
    sent: VecDeque<(FrameId, CarTime)>,
}

impl Pictures {
    /// A picture captured at `captured` was sent.
    pub(super) fn record(&mut self, captured: CarTime) {
        if self.sent.len() == PICTURES_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((captured.frame_id(), captured));
    }

    /// Age of the picture on the driver's screen, all on the robot's clock; none if it was never sent from here,
    /// or so long ago that its id may have been used again.
    pub(super) fn age(&self, displayed: Option<Displayed>, now: CarTime) -> Option<Duration> {
        let displayed = displayed?;
        let &(_, captured) = self.sent.iter().rev().find(|(id, _)| *id == displayed.frame)?;
        let age = Duration::from_micros(now.0.checked_sub(captured.0)?);
        let unchanged = Duration::from_millis(u64::from(displayed.unchanged_ms));
        (age <= PICTURE_MEMORY).then_some(age.max(unchanged))
    }
}

/// Pictures remembered: 2 s at 120 a second, rounded up.
const PICTURES_MAX: usize = 256;
/// Pictures older than this count as unknown: far above the 800 ms that stop the car, far below the 65 s after
/// which a frame id repeats.
const PICTURE_MEMORY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(got: f32, want: f32) {
        assert!((got - want).abs() < 1e-4, "share {got}, want {want}");
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn loop_age_takes_throttle_from_200_to_600_ms() {
        for (age, want) in
            [(0, 1.0), (200, 1.0), (201, 0.9975), (400, 0.5), (599, 0.0025), (600, 0.0), (9999, 0.0)]
        {
            check(loop_share(ms(age)), want);
        }
    }

    #[test]
    fn picture_age_takes_throttle_from_200_to_800_ms() {
        for (age, want) in [(0, 1.0), (200, 1.0), (201, 0.99833), (500, 0.5), (799, 0.001_667), (800, 0.0)] {
            check(picture_share(Some(ms(age))), want);
        }
        check(picture_share(None), 0.0);
    }

    fn shown(captured: CarTime, unchanged_ms: u16) -> Option<Displayed> {
        Some(Displayed { frame: captured.frame_id(), unchanged_ms })
    }

    #[test]
    fn a_picture_is_aged_from_its_own_capture() {
        let mut pictures = Pictures::default();
        let [first, second] = [CarTime(70_000_000), CarTime(70_033_000)];
        pictures.record(first);
        pictures.record(second);
        let now = CarTime(70_100_000);
        assert_eq!(pictures.age(shown(first, 0), now), Some(ms(100)));
        assert_eq!(pictures.age(shown(second, 0), now), Some(ms(67)));
    }

    #[test]
    fn a_picture_that_was_never_sent_has_no_age() {
        let mut pictures = Pictures::default();
        assert_eq!(pictures.age(shown(CarTime(0), 0), CarTime(5)), None);
        pictures.record(CarTime(1_000_000));
        assert_eq!(pictures.age(shown(CarTime(1_004_000), 0), CarTime(1_010_000)), None);
        assert_eq!(pictures.age(None, CarTime(1_010_000)), None);
    }

    #[test]
    fn an_id_is_void_before_it_can_repeat() {
        let mut pictures = Pictures::default();
        let captured = CarTime(1_000_000);
        pictures.record(captured);
        assert_eq!(pictures.age(shown(captured, 0), CarTime(3_000_000)), Some(ms(2000)));
        assert_eq!(pictures.age(shown(captured, 0), CarTime(3_000_001)), None);
        assert_eq!(pictures.age(shown(captured, 0), CarTime(1_000_000 + 65_536_000)), None);
    }

    #[test]
    fn a_picture_is_at_least_as_old_as_it_has_been_unchanged() {
        let mut pictures = Pictures::default();
        pictures.record(CarTime(1_000_000));
        assert_eq!(pictures.age(shown(CarTime(1_000_000), 900), CarTime(1_100_000)), Some(ms(900)));
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_the_newest_are_kept(count in 1u64..2000) {
            let mut pictures = Pictures::default();
            for index in 0..count {
                pictures.record(CarTime(index * 8_000));
            }
            prop_assert!(pictures.sent.len() <= PICTURES_MAX);
            let newest = CarTime((count - 1) * 8_000);
            prop_assert_eq!(pictures.age(shown(newest, 0), newest), Some(ms(0)));
        }

        #[test]
        fn more_age_never_gives_more_throttle(age in 0u64..2000, more in 0u64..500) {
            prop_assert!(loop_share(ms(age + more)) <= loop_share(ms(age)));
            prop_assert!(picture_share(Some(ms(age + more))) <= picture_share(Some(ms(age))));
        }
    }
}
