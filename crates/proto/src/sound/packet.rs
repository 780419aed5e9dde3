//! What travels between an encoder of sound, a connection and a playout.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::video::MediaTime;

/// Samples a second of every clock of sound (RFC 7587 section 4.1).
pub const RATE: u32 = 48_000;

/// Samples of the 10 ms in which sound is captured, cleaned and mixed.
pub const BLOCK: usize = 480;

/// An RTP timestamp of sound: 48 kHz modulo 2^32 (RFC 7587 section 4.1).
///
/// As with pictures it is the time of capture on the sender's monotonic clock, without a random offset. So a receiver
/// knows which picture belongs to which sound without RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SoundTime(pub u32);

impl SoundTime {
    /// Time of `at` on the clock that started at `epoch`; zero before it.
    pub fn since(epoch: Instant, at: Instant) -> Self {
        Self((at.saturating_duration_since(epoch).as_micros() * 48 / 1000) as u32)
    }

    /// So many samples later.
    #[must_use]
    pub const fn plus(self, samples: u32) -> Self {
        Self(self.0.wrapping_add(samples))
    }

    /// How far this is behind `other` in samples: negative if it is earlier, right within 12 hours.
    pub const fn samples_since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// How much later than this sound a picture was captured, in seconds: negative if earlier, right within 49 minutes.
    ///
    /// Both count from the same epoch, and wrap at different times: the difference is taken at 720 kHz, of which both
    /// rates are a part.
    pub fn seconds_until(self, picture: MediaTime) -> f64 {
        f64::from(picture.0.wrapping_mul(8).wrapping_sub(self.0.wrapping_mul(15)) as i32) / 720_000.0
    }
}

/// One Opus packet at its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When its first sample was captured.
    pub media_time: SoundTime,
    /// The coded sound; never empty.
    pub data: Bytes,
    /// The first one after silence in which nothing was sent: the marker bit of RTP (RFC 7587 section 4.1).
    pub begins: bool,
    /// How much sound it is.
    pub lasts: Duration,
}

/// One Opus packet at its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// RTP sequence number: a hole in them is a loss, a hole in the time alone is silence.
    pub sequence: u16,
    /// When its first sample was captured, on the sender's clock.
    pub media_time: SoundTime,
    /// When it came.
    pub arrived_at: Instant,
    /// The coded sound.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::CarTime;

    #[test]
    fn sound_and_picture_of_one_moment_are_no_time_apart_however_often_their_clocks_have_wrapped() {
        for hours in [0, 1, 13, 14, 24, 25, 26, 100, 1000] {
            for apart_ms in [-1_000_000, -300, -1, 0, 1, 45, 80, 1_000_000_i64] {
                let sound_us = hours * 3_600_000_000 + 1_200_000_000_u64;
                let sound = SoundTime((sound_us * 48 / 1000) as u32);
                let picture = CarTime((sound_us as i64 + apart_ms * 1000) as u64).media_time();
                let got = sound.seconds_until(picture) * 1e3;
                assert!((got - apart_ms as f64).abs() < 0.1, "{hours} h, {apart_ms} ms: {got}");
            }
        }
    }

    #[test]
    fn time_goes_on_over_the_wrap() {
        let late = SoundTime(u32::MAX - 100);
        assert_eq!(late.plus(480).samples_since(late), 480);
        assert_eq!(late.samples_since(late.plus(480)), -480);
    }
}
