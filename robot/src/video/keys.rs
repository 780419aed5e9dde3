//! When to make a key frame: for whoever asks, but not more often than the link can bear.

use std::time::{Duration, Instant};

/// Gathers the wishes of all viewers; one key frame serves them all.
#[derive(Debug, Default)]
pub struct KeyWishes {
    wanted: bool,
    last: Option<Instant>,
}

impl KeyWishes {
    /// A viewer came, or lost the thread.
    pub fn handle_request(&mut self) {
        self.wanted = true;
    }

    /// Whether the picture about to be encoded at `now` shall be a key frame.
    pub fn is_due(&self, now: Instant) -> bool {
        self.wanted && self.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL_MIN)
    }

    /// A key frame was encoded at `now`, asked for or not.
    pub fn handle_key(&mut self, now: Instant) {
        self.wanted = false;
        self.last = Some(now);
    }
}

/// At most one key frame per 300 ms: it is several times the size of others.
pub const INTERVAL_MIN: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wishes_make_one_key_frame() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut wishes = KeyWishes::default();
        assert!(!wishes.is_due(start));
        wishes.handle_request();
        wishes.handle_request();
        assert!(wishes.is_due(start));
        wishes.handle_key(start);
        assert!(!wishes.is_due(ms(1000)));
        wishes.handle_request();
        assert!(wishes.is_due(ms(1000)));
    }

    #[test]
    fn wish_soon_after_a_key_frame_waits_and_is_not_forgotten() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut wishes = KeyWishes::default();
        wishes.handle_key(start);
        wishes.handle_request();
        assert!(!wishes.is_due(ms(299)));
        assert!(wishes.is_due(ms(300)));
    }
}
