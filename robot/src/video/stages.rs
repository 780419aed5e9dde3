//! How long each stage of a picture takes on the robot.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared figures; every method holds the lock for a copy of a few words.
#[derive(Debug)]
pub struct Stages {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    capture: Window,
    convert: Window,
    encode: Window,
    /// When each picture of the last second or so was encoded, and its bytes.
    sent: Ring<(Instant, usize)>,
}

/// What telemetry tells about the video.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Median time from exposure to a raw picture.
    pub capture: Option<Duration>,
    /// Median time of colour conversion and scaling; `None` if the pictures need neither.
    pub convert: Option<Duration>,
    /// Median time of encoding.
    pub encode: Option<Duration>,
    /// Bits per second made in the last second.
    pub bitrate: u32,
    /// Pictures made in the last second, in tenths.
    pub fps_tenths: u16,
}

impl Default for Stages {
    fn default() -> Self {
        let inner = Inner {
            capture: Window::default(),
            convert: Window::default(),
            encode: Window::default(),
            sent: Ring::new(SENT_MAX),
        };
        Self { inner: Mutex::new(inner) }
    }
}

impl Stages {
    /// A raw picture was ready this long after its exposure (or the start of its drawing).
    pub fn note_capture(&self, took: Duration) {
        self.lock().capture.push(took);
    }

    /// A picture's colours were converted, or it was scaled; `None` if neither was needed.
    pub fn note_convert(&self, took: Option<Duration>) {
        let convert = &mut self.lock().convert;
        match took {
            Some(took) => convert.push(took),
            // Another camera: what the one before needed is no longer true.
            None => *convert = Window::default(),
        }
    }

    /// A picture of so many bytes was encoded by `now`.
    pub fn note_encode(&self, took: Duration, bytes: usize, now: Instant) {
        let mut inner = self.lock();
        inner.encode.push(took);
        inner.sent.push((now, bytes));
    }

    /// The figures at `now`.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let inner = self.lock();
        let recent = inner.sent.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= RATE_WINDOW);
        let (count, bytes) = recent.fold((0u32, 0usize), |(n, sum), (_, bytes)| (n + 1, sum + bytes));
        let seconds = RATE_WINDOW.as_secs_f64();
        Snapshot {
            capture: inner.capture.median(),
            convert: inner.convert.median(),
            encode: inner.encode.median(),
            bitrate: (bytes as f64 * 8.0 / seconds) as u32,
            fps_tenths: (f64::from(count) * 10.0 / seconds) as u16,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last values of one stage.
#[derive(Debug)]
pub struct Window {
    values: Ring<Duration>,
}

impl Default for Window {
    fn default() -> Self {
        Self { values: Ring::new(WINDOW) }
    }
}

impl Window {
    fn push(&mut self, value: Duration) {
        self.values.push(value);
    }

    fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.values.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// The newest `capacity` values. Full: the oldest goes.
#[derive(Debug)]
struct Ring<T> {
    values: Vec<T>,
    next: usize,
    capacity: usize,
}

impl<T> Ring<T> {
    fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), next: 0, capacity }
    }

    fn push(&mut self, value: T) {
        if self.values.len() < self.capacity {
            self.values.push(value);
        } else {
            self.values[self.next] = value;
            self.next = (self.next + 1) % self.capacity;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }
}

/// Two seconds at 30 pictures a second.
const WINDOW: usize = 60;
/// Rates are told over this time.
const RATE_WINDOW: Duration = Duration::from_secs(1);
/// One second at the highest rate the configuration takes.
const SENT_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_follow_the_newest_values() {
        let stages = Stages::default();
        let now = Instant::now();
        assert_eq!(stages.snapshot(now).capture, None);
        for _ in 0..WINDOW {
            stages.note_capture(Duration::from_millis(9));
        }
        for _ in 0..WINDOW {
            stages.note_capture(Duration::from_millis(3));
        }
        assert_eq!(stages.snapshot(now).capture, Some(Duration::from_millis(3)));
    }

    #[test]
    fn a_picture_that_needs_no_conversion_ends_the_figure() {
        let stages = Stages::default();
        stages.note_convert(Some(Duration::from_millis(2)));
        assert_eq!(stages.snapshot(Instant::now()).convert, Some(Duration::from_millis(2)));
        stages.note_convert(None);
        assert_eq!(stages.snapshot(Instant::now()).convert, None);
    }

    #[test]
    fn rates_count_the_last_second_only() {
        let stages = Stages::default();
        let start = Instant::now();
        for i in 0..60u32 {
            stages.note_encode(Duration::from_millis(5), 1000, start + Duration::from_millis(33) * i);
        }
        let snapshot = stages.snapshot(start + Duration::from_millis(33) * 59);
        assert_eq!((snapshot.bitrate, snapshot.fps_tenths), (31 * 8000, 310));
        let later = stages.snapshot(start + Duration::from_secs(60));
        assert_eq!((later.bitrate, later.fps_tenths), (0, 0));
    }
}
