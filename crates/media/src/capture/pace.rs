//! When the next picture is due, and what is given while there is no new one.

use std::time::{Duration, Instant};

use crate::frame::VideoFrame;

/// The rhythm of a source that makes its pictures itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    period: Duration,
    due: Instant,
}

impl Pace {
    /// So many a second; the first one is due at once.
    pub(super) fn new(fps: u32, now: Instant) -> Self {
        Self { period: Duration::from_secs(1) / fps.max(1), due: now }
    }

    /// Sleeps until the next picture is due, but not longer than `wait`; tells the time if it is.
    pub(super) fn await_next(&mut self, wait: Duration) -> Option<Instant> {
        let left = self.due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(wait));
        (left <= wait).then(|| self.next(Instant::now()))
    }

    fn next(&mut self, now: Instant) -> Instant {
        // After a pause the rhythm starts afresh instead of hurrying.
        self.due = if now > self.due + self.period { now + self.period } else { self.due + self.period };
        now
    }
}

/// The last picture of a source that gives none while nothing changes: it is given again now and then, for who joins late
/// and for the quality to settle.
#[derive(Clone, Debug, Default)]
pub struct Still {
    last: Option<VideoFrame>,
}

/// A still picture is given again so often.
pub(super) const STILL_EVERY: Duration = Duration::from_millis(200);

impl Still {
    /// A new picture was given.
    pub fn put(&mut self, frame: &VideoFrame) {
        self.last = Some(frame.clone());
    }

    /// Whether there was one at all.
    pub const fn is_there(&self) -> bool {
        self.last.is_some()
    }

    /// The last one as of now, if it is old enough.
    pub fn again(&mut self, now: Instant) -> Option<VideoFrame> {
        let last = self.last.as_mut()?;
        if now.saturating_duration_since(last.captured_at) < STILL_EVERY {
            return None;
        }
        last.captured_at = now;
        Some(last.clone())
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::video::Size;

    use super::*;
    use crate::frame::Pool;

    #[test]
    fn the_rhythm_is_kept_after_a_late_picture_and_starts_afresh_after_a_pause() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(10, start);
        for (now, due) in [(0, 100), (130, 200), (300, 300), (400, 400), (901, 1001)] {
            pace.next(at(now));
            assert_eq!(pace.due, at(due), "after the picture at {now} ms");
        }
    }

    #[test]
    fn a_still_picture_comes_again_five_times_a_second() {
        let (start, mut pool, mut still) = (Instant::now(), Pool::new(), Still::default());
        assert!(still.again(start).is_none() && !still.is_there());
        let frame = pool.take(Size::new(16, 16)).share(&mut pool, start);
        still.put(&frame);
        assert!(still.is_there());
        let given = (0..=1000).filter(|ms| still.again(start + Duration::from_millis(*ms)).is_some());
        assert_eq!(given.collect::<Vec<_>>(), [200, 400, 600, 800, 1000]);
    }
}
