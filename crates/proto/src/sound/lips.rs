//! Sound and picture of one mouth at one time.

use std::time::{Duration, Instant};

use super::{RATE, SoundTime};
use crate::video::MediaTime;

/// Sound may be later than its picture by this: half of the 80 ms that nobody notices, for the screen adds its own.
const LATE: f64 = 0.040;
/// Sound may be earlier than its picture by this: two thirds of the 45 ms that nobody notices.
const EARLY: f64 = 0.030;
/// Longest that a picture is held; what differs more is no matter of waiting.
const HOLD_MOST: f64 = 0.5;
/// Longest that sound is delayed for its picture: a voice that is late is worse than lips that are.
const EXTRA_MOST: f64 = 0.2;
/// Part of the way that the delay of sound goes with each picture that is too late, and that it comes back with others:
/// changes of sound's delay are made of stretched voices and should be few.
const RISE: f64 = 0.25;
const FALL: f64 = 0.01;

/// What is heard when: one place of the playout of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Captured then, by the sender's clock.
    pub media_time: SoundTime,
    /// Heard then, by ours.
    pub at: Instant,
}

impl Heard {
    /// How long after `now` the sound that belongs to a picture is heard, in seconds; negative: it was.
    fn seconds_until(self, picture: MediaTime, now: Instant) -> f64 {
        let ahead = match self.at.checked_duration_since(now) {
            Some(ahead) => ahead.as_secs_f64(),
            None => -now.saturating_duration_since(self.at).as_secs_f64(),
        };
        ahead + self.media_time.seconds_until(picture)
    }

    /// The same a while later, while sound goes on.
    #[must_use]
    pub fn after(self, samples: u32) -> Self {
        let later = Duration::from_secs_f64(f64::from(samples) / f64::from(RATE));
        Self { media_time: self.media_time.plus(samples), at: self.at + later }
    }
}

/// Decides how long a picture is held back, and how much sound is delayed, so that both meet.
///
/// Sound between 30 ms early and 40 ms late is let be, which leaves the 45 and 80 ms of the target to screens and devices.
/// Pictures usually come first and are held; where they take longer than sound, sound is delayed.
#[derive(Debug, Default)]
pub struct Lips {
    extra: f64,
}

impl Lips {
    /// Takes a decoded picture and what is heard; says how long to hold the picture before it is shown.
    ///
    /// Without sound that plays there is nothing to wait for.
    pub fn handle_picture(&mut self, picture: MediaTime, heard: Option<Heard>, now: Instant) -> Duration {
        let Some(heard) = heard else {
            self.extra *= 1.0 - FALL;
            return Duration::ZERO;
        };
        let late = heard.seconds_until(picture, now);
        if late.abs() > 2.0 * HOLD_MOST {
            // Not of one clock, or one of both stands still.
            return Duration::ZERO;
        }
        if late < -EARLY {
            self.extra += (-EARLY - late) * RISE;
        } else if late > 0.0 {
            self.extra *= 1.0 - FALL;
        }
        self.extra = self.extra.clamp(0.0, EXTRA_MOST);
        Duration::from_secs_f64((late - LATE).clamp(0.0, HOLD_MOST))
    }

    /// By how much sound is to be delayed beyond what its link needs.
    pub fn extra(&self) -> Duration {
        // Below 5 ms nobody hears a difference.
        if self.extra < 0.005 { Duration::ZERO } else { Duration::from_secs_f64(self.extra) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::CarTime;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Sound plays `sound_ms` after capture (and what the policy adds); pictures come `picture_ms(n)` after theirs. Gives
    /// the earliest and latest sound against its picture in ms, after the first 5 s.
    fn run(sound_ms: f64, picture_ms: impl Fn(u64) -> f64) -> (f64, f64) {
        let start = start();
        let mut lips = Lips::default();
        let (mut earliest, mut latest) = (f64::MAX, f64::MIN);
        let mut sound_delay = sound_ms;
        for n in 0..900_u64 {
            let captured_us = 3_600_000_000 * 13 + n * 33_333;
            let picture = CarTime(captured_us).media_time();
            let captured = start + Duration::from_micros(n * 33_333);
            let now = captured + Duration::from_secs_f64(picture_ms(n) * 1e-3);
            // The playout follows the wish at the speed of stretching: half a millisecond for each 10.
            let wanted = sound_ms + lips.extra().as_secs_f64() * 1e3;
            sound_delay += (wanted - sound_delay).clamp(-1.5, 1.5);
            let sound = SoundTime((captured_us * 48 / 1000) as u32);
            let heard_at = captured + Duration::from_secs_f64(sound_delay * 1e-3);
            let heard = Heard { media_time: sound, at: heard_at }.after(4800);
            let shown = now + lips.handle_picture(picture, Some(heard), now);
            if n > 150 {
                let late = sound_delay - (shown - captured).as_secs_f64() * 1e3;
                (earliest, latest) = (earliest.min(late), latest.max(late));
            }
        }
        (earliest, latest)
    }

    #[test]
    fn sound_is_never_more_than_45_ms_early_nor_80_ms_late() {
        let jitter = |n: u64| (n.wrapping_mul(2_654_435_761) >> 16 & 255) as f64 / 255.0 * 30.0;
        for (sound, picture) in
            [(50.0, 40.0), (150.0, 40.0), (400.0, 40.0), (40.0, 60.0), (40.0, 120.0), (40.0, 190.0)]
        {
            let (earliest, latest) = run(sound, |n| picture + jitter(n));
            assert!(earliest >= -45.0 && latest <= 80.0, "{sound} ms, {picture} ms: {earliest}..{latest}");
        }
    }

    #[test]
    fn a_picture_is_held_no_longer_than_it_must_be() {
        let start = start();
        let mut lips = Lips::default();
        let now = start + Duration::from_secs(1);
        let heard = |ms| Some(Heard { media_time: SoundTime(48_000), at: now + Duration::from_millis(ms) });
        let picture = CarTime(1_000_000).media_time();
        assert_eq!(lips.handle_picture(picture, heard(0), now), Duration::ZERO);
        assert_eq!(lips.handle_picture(picture, heard(39), now), Duration::ZERO);
        let held = lips.handle_picture(picture, heard(100), now);
        assert!((59..=61).contains(&held.as_millis()), "{held:?}");
        assert_eq!(lips.handle_picture(picture, heard(5000), now), Duration::ZERO, "another clock");
        assert_eq!(lips.handle_picture(picture, None, now), Duration::ZERO);
        assert_eq!(lips.extra(), Duration::ZERO);
    }
}
