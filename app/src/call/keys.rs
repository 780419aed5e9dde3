//! When an encoding shared by several receivers makes a key frame: one for all who ask meanwhile.

use std::time::{Duration, Instant};

/// Gathers the wishes for one encoding.
#[derive(Debug, Default)]
pub(super) struct Keys {
    is_wanted: bool,
    last: Option<Instant>,
}

impl Keys {
    /// Somebody came, or lost the thread.
    pub(super) fn request(&mut self) {
        self.is_wanted = true;
    }

    /// Whether the picture about to be encoded shall be a key frame. What one asks for costs the others, so the more share
    /// the encoding, the longer it waits.
    pub(super) fn is_due(&self, receivers: usize, now: Instant) -> bool {
        let interval = if receivers > 1 { SHARED_INTERVAL } else { INTERVAL };
        self.is_wanted && self.last.is_none_or(|last| now.saturating_duration_since(last) >= interval)
    }

    /// A key frame was made.
    pub(super) fn handle_key(&mut self, now: Instant) {
        (self.is_wanted, self.last) = (false, Some(now));
    }
}

/// It is several times the size of other pictures.
const INTERVAL: Duration = Duration::from_millis(300);
/// Of an encoding that others get as well.
const SHARED_INTERVAL: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wishes_make_one_key_frame_and_shared_encodings_fewer() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut keys = Keys::default();
        assert!(!keys.is_due(1, at(0)));
        keys.request();
        keys.request();
        assert!(keys.is_due(5, at(0)), "the first one waits for nothing");
        keys.handle_key(at(0));
        assert!(!keys.is_due(1, at(1000)));
        keys.request();
        for (receivers, ms, due) in [(1, 299, false), (1, 300, true), (2, 699, false), (2, 700, true)] {
            assert_eq!(keys.is_due(receivers, at(ms)), due, "{receivers} {ms}");
        }
    }
}
