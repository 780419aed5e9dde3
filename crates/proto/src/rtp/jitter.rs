//! Interarrival jitter.

use std::time::{Duration, Instant};

use crate::video::MediaTime;

/// Smoothed deviation of the spacing of packets at arrival from that at the sender (RFC 3550 section 6.4.1).
#[derive(Debug, Default)]
pub struct Jitter {
    last: Option<(MediaTime, Instant)>,
    seconds: f64,
}

impl Jitter {
    /// Takes the first packet of a picture; repairs and later packets of it would say nothing about the path.
    pub fn handle_packet(&mut self, media_time: MediaTime, now: Instant) {
        if let Some((last_time, last_at)) = self.last {
            let ticks = media_time.0.wrapping_sub(last_time.0) as i32;
            if ticks == 0 {
                return;
            }
            let sent_apart = f64::from(ticks) / 90_000.0;
            let arrived_apart = now.saturating_duration_since(last_at).as_secs_f64();
            self.seconds += ((arrived_apart - sent_apart).abs() - self.seconds) / 16.0;
        }
        self.last = Some((media_time, now));
    }

    /// The figure as it stands.
    pub fn value(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.0, 3600.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_spacing_has_no_jitter_and_uneven_spacing_does() {
        let start = start();
        let mut even = Jitter::default();
        let mut uneven = Jitter::default();
        for n in 0..200_u32 {
            let at = start + Duration::from_millis(u64::from(n) * 10);
            even.handle_packet(MediaTime(n * 900), at);
            uneven.handle_packet(MediaTime(n * 900), at + Duration::from_millis(u64::from(n % 2) * 4));
        }
        assert!(even.value() < Duration::from_micros(1), "{:?}", even.value());
        assert!((3.9..4.1).contains(&(uneven.value().as_secs_f64() * 1e3)), "{:?}", uneven.value());
    }

    #[test]
    fn packets_of_one_picture_count_once() {
        let start = start();
        let mut jitter = Jitter::default();
        jitter.handle_packet(MediaTime(0), start);
        jitter.handle_packet(MediaTime(0), start + Duration::from_millis(500));
        jitter.handle_packet(MediaTime(900), start + Duration::from_millis(10));
        assert_eq!(jitter.value(), Duration::ZERO);
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }
}
