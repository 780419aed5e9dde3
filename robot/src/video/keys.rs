//! When to make a key frame: for whoever asks, but not more often than the link can bear.

use std::time::{Duration, Instant};

/// Gathers the wishes of all viewers; one key frame serves them all.
#[derive(Debug, Default)]
pub struct KeyWishes {
    wanted: Option<Wish>,
    last: Option<Instant>,
}

/// Whose wish it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Of one who looks on: the leader's link carries what it costs.
    Follower,
    /// Of the one the pictures are made for.
    Leader,
}

impl KeyWishes {
    /// A viewer came, or lost the thread.
    pub fn handle_request(&mut self, wish: Wish) {
        self.wanted = self.wanted.max(Some(wish));
    }

    /// Whether the picture about to be encoded at `now` shall be a key frame.
    pub fn is_due(&self, now: Instant) -> bool {
        let Some(wish) = self.wanted else { return false };
        let interval = match wish {
            Wish::Leader => INTERVAL_MIN,
            Wish::Follower => FOLLOWERS_INTERVAL_MIN,
        };
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= interval)
    }

    /// A key frame was encoded at `now`, asked for or not.
    pub fn handle_key(&mut self, now: Instant) {
        self.wanted = None;
        self.last = Some(now);
    }
}

/// At most one key frame per 300 ms: it is several times the size of others.
pub const INTERVAL_MIN: Duration = Duration::from_millis(300);
/// Those who look on cost the driver a key frame each 2 s at most.
pub const FOLLOWERS_INTERVAL_MIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wishes_make_one_key_frame() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut wishes = KeyWishes::default();
        assert!(!wishes.is_due(start));
        wishes.handle_request(Wish::Leader);
        wishes.handle_request(Wish::Leader);
        assert!(wishes.is_due(start));
        wishes.handle_key(start);
        assert!(!wishes.is_due(ms(1000)));
        wishes.handle_request(Wish::Leader);
        assert!(wishes.is_due(ms(1000)));
    }

    #[test]
    fn wish_soon_after_a_key_frame_waits_and_is_not_forgotten() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut wishes = KeyWishes::default();
        wishes.handle_key(start);
        wishes.handle_request(Wish::Leader);
        assert!(!wishes.is_due(ms(299)));
        assert!(wishes.is_due(ms(300)));
    }

    #[test]
    fn those_who_look_on_wait_longer_than_the_leader() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut wishes = KeyWishes::default();
        wishes.handle_key(start);
        wishes.handle_request(Wish::Follower);
        assert!(!wishes.is_due(ms(1999)));
        assert!(wishes.is_due(ms(2000)));
        wishes.handle_request(Wish::Leader);
        wishes.handle_request(Wish::Follower);
        assert!(wishes.is_due(ms(300)));
    }
}
