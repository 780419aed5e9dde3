//! Who gets how much of a connection's rate.

use std::time::{Duration, Instant};

/// What a camera is left with beside a shared screen, in bit/s: a face at 320x180 moves.
const CAMERA_LEAST: f64 = 100_000.0;
/// Time over which the rate of sound is taken: ten packets of 20 ms and more.
const SOUND_OVER: Duration = Duration::from_millis(500);
/// No packet of sound for so long, and there is none. Between packets while nobody speaks are 400 ms (Opus' DTX).
const SOUND_OFF_AFTER: Duration = Duration::from_secs(1);

/// What of the rate for pictures a camera and a screen get while both are on: the screen all it may have, since its
/// letters have to be read, and the camera the rest, but a least of both is kept.
pub(super) fn beside(pictures: f64, camera_max: f64, screen_max: f64) -> (f64, f64) {
    let camera_least = CAMERA_LEAST.min(pictures / 2.0);
    let screen = (pictures - camera_least).min(screen_max);
    ((pictures - screen).min(camera_max), screen)
}

/// What sound takes of the link, headers included.
#[derive(Debug, Default)]
pub(super) struct Sound {
    bps: f64,
    bytes: usize,
    since: Option<Instant>,
    last_at: Option<Instant>,
}

impl Sound {
    /// A packet left.
    pub(super) fn handle_sent(&mut self, bytes: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let over = now.saturating_duration_since(since);
        if over >= SOUND_OVER {
            self.bps = self.bytes as f64 * 8.0 / over.as_secs_f64();
            (self.bytes, self.since) = (0, Some(now));
        }
        self.bytes += bytes;
        self.last_at = Some(now);
    }

    /// Bits a second.
    pub(super) fn bps(&self, now: Instant) -> f64 {
        let is_on = self.last_at.is_some_and(|at| now.saturating_duration_since(at) < SOUND_OFF_AFTER);
        if is_on { self.bps } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{MS, start};
    use super::*;

    #[test]
    fn the_screen_comes_first_and_the_camera_keeps_a_least() {
        for (pictures, want) in [
            (150e3, (75e3, 75e3)),
            (200e3, (100e3, 100e3)),
            (1000e3, (100e3, 900e3)),
            (2600e3, (100e3, 2500e3)),
            (3500e3, (1000e3, 2500e3)),
            (9000e3, (2000e3, 2500e3)),
        ] {
            assert_eq!(beside(pictures, 2000e3, 2500e3), want, "{pictures}");
        }
    }

    #[test]
    fn the_rate_of_sound_is_that_of_the_last_half_second_and_none_a_second_after() {
        let mut sound = Sound::default();
        for n in 0..100 {
            sound.handle_sent(150, start() + MS * 20 * n);
        }
        let at = |ms: u32| sound.bps(start() + MS * ms);
        assert!((at(1980) - 60_000.0).abs() < 1.0, "{}", at(1980));
        assert_eq!((at(2979) > 0.0, at(2980)), (true, 0.0));
    }
}
