//! A running camera: its thread, its newest picture, its state.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_proto::video::Size;

use super::placeholder::Placeholder;
use super::{Config, Error, Overlay, Source};
use crate::frame::{Pool, VideoFrame};
use crate::slot::{Slot, Taken};
use crate::strip::{self, Stamp};

/// A source running on its own thread (`camera`), which is joined on drop.
///
/// It never ends by itself: while the source fails, the slot gets a labelled placeholder five times a second, and the
/// source is opened again after 0.5 s, then 1 s, 2 s, 4 s and every 5 s.
#[derive(Debug)]
pub struct Camera {
    frames: Slot<VideoFrame>,
    status: Arc<Mutex<Status>>,
    stop: Slot<()>,
    thread: Option<JoinHandle<()>>,
}

/// How a camera is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// Pictures delivered, placeholders not counted.
    pub frames: u64,
    /// How often the source failed.
    pub failures: u64,
    /// How long the newest picture's conversion to I420 took; `None` if there was nothing to convert.
    pub conversion: Option<Duration>,
}

/// What a camera does.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Waits for its first picture.
    Opening,
    /// Delivers pictures.
    Live {
        /// Size of the newest one.
        size: Size,
        /// How many come in a second, as measured over the last one; 0 in the first.
        fps: f32,
    },
    /// Delivered pictures until a moment ago and is given some time to go on.
    Stalled,
    /// Cannot deliver; it is opened again in a while.
    Failed {
        /// Why.
        error: Error,
        /// Time from the failure to the next attempt.
        retry_in: Duration,
    },
}

impl Camera {
    /// Starts the source that the configuration asks for; `None` for `sim`, which has to be brought along.
    pub fn start(config: &Config) -> Option<Self> {
        Some(Self::start_source(config, config.source()?))
    }

    /// Starts a source from elsewhere.
    ///
    /// # Panics
    ///
    /// If the system has no thread left.
    pub fn start_source(config: &Config, source: Box<dyn Source>) -> Self {
        let frames = Slot::new();
        let stop = Slot::new();
        let status =
            Arc::new(Mutex::new(Status { state: State::Opening, frames: 0, failures: 0, conversion: None }));
        let worker = Worker {
            source,
            name: config.spec.to_string(),
            overlay: config.overlay,
            // Three pictures missing, but not less than half a second.
            quiet: (Duration::from_secs(3) / config.fps.max(1)).max(Duration::from_millis(500)),
            placeholder: Placeholder::new(config.size),
            placeholder_due: Instant::now(),
            overlay_pool: Pool::new(),
            frames: frames.clone(),
            status: Arc::clone(&status),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new().name("camera".into()).spawn(move || worker.run());
        Self { frames, status, stop, thread: Some(thread.expect("the system has room for one more thread")) }
    }

    /// The slot with the newest picture; it is closed when the camera is dropped.
    pub fn frames(&self) -> &Slot<VideoFrame> {
        &self.frames
    }

    /// How the camera is at the moment.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            thread.join().ok();
        }
        self.frames.close();
    }
}

struct Worker {
    source: Box<dyn Source>,
    name: String,
    overlay: Overlay,
    quiet: Duration,
    placeholder: Placeholder,
    placeholder_due: Instant,
    overlay_pool: Pool,
    frames: Slot<VideoFrame>,
    status: Arc<Mutex<Status>>,
    stop: Slot<()>,
}

/// Why pictures stopped coming.
enum End {
    Stopped,
    Failed(Error),
}

impl Worker {
    fn run(mut self) {
        let mut retry_in = RETRY_FIRST;
        loop {
            let before = self.set(|status| status.state = State::Opening).frames;
            let end = match self.source.open() {
                Ok(()) => self.deliver(),
                Err(error) => End::Failed(error),
            };
            self.source.close();
            let error = match end {
                End::Stopped => return,
                End::Failed(error) => error,
            };
            let status = self.set(|status| status.failures += 1);
            if status.frames > before {
                retry_in = RETRY_FIRST;
            }
            tracing::warn!(camera = self.name, %error, ?retry_in, "no pictures");
            self.set(|status| status.state = State::Failed { error: error.clone(), retry_in });
            if let Taken::Closed = self.wait(retry_in, &error) {
                return;
            }
            retry_in = (retry_in * 2).min(RETRY_LAST);
        }
    }

    /// Passes pictures on until the source fails or the camera is dropped.
    fn deliver(&mut self) -> End {
        let (mut last, mut patience, mut is_first) = (Instant::now(), self.source.first_within(), true);
        let mut rate = Rate::new(last);
        loop {
            if self.stop.is_closed() {
                return End::Stopped;
            }
            match self.source.next_frame(WAIT) {
                Ok(Some(frame)) => {
                    last = Instant::now();
                    if std::mem::take(&mut is_first) {
                        tracing::info!(camera = self.name, size = %frame.size, "live");
                        patience = NEXT_WITHIN;
                    }
                    let state = State::Live { size: frame.size, fps: rate.count(last) };
                    let conversion = self.source.conversion_time();
                    let frame = self.overlaid(frame);
                    self.set(|status| {
                        status.frames += 1;
                        status.conversion = conversion;
                        status.state = state;
                    });
                    self.frames.put(frame);
                }
                Ok(None) => {
                    let silence = last.elapsed();
                    if silence > patience {
                        return End::Failed(Error::Lost(format!("no picture for {} s", patience.as_secs())));
                    }
                    if is_first {
                        self.show("OPENING CAMERA", "");
                    } else if silence > self.quiet {
                        self.set(|status| status.state = State::Stalled);
                        self.show("CAMERA STALLED", "");
                    }
                }
                Err(error) => return End::Failed(error),
            }
        }
    }

    fn overlaid(&mut self, frame: VideoFrame) -> VideoFrame {
        match self.overlay {
            Overlay::None => frame,
            Overlay::Strip => {
                let mut picture = frame.to_picture(&mut self.overlay_pool);
                strip::write(&mut picture.planes_mut(), Stamp::now());
                picture.share(&mut self.overlay_pool, frame.captured_at)
            }
        }
    }

    /// Shows placeholders until the time is over or the camera is dropped.
    fn wait(&mut self, time: Duration, error: &Error) -> Taken<()> {
        let deadline = Instant::now() + time;
        loop {
            self.show("NO CAMERA", &error.to_string());
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stop.take_within(left.min(WAIT)) {
                Taken::TimedOut if left > WAIT => {}
                end => return end,
            }
        }
    }

    fn show(&mut self, headline: &str, reason: &str) {
        let now = Instant::now();
        if now >= self.placeholder_due {
            self.placeholder_due = now + PLACEHOLDER_EVERY;
            self.frames.put(self.placeholder.draw(headline, &self.name, reason));
        }
    }

    fn set(&self, change: impl FnOnce(&mut Status)) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        status.clone()
    }
}

/// Counts pictures over whole seconds.
struct Rate {
    since: Instant,
    count: u32,
    fps: f32,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { since: now, count: 0, fps: 0.0 }
    }

    fn count(&mut self, now: Instant) -> f32 {
        self.count += 1;
        let passed = now - self.since;
        if passed >= Duration::from_secs(1) {
            self.fps = self.count as f32 / passed.as_secs_f32();
            (self.since, self.count) = (now, 0);
        }
        self.fps
    }
}

/// How long a drop waits at most for the thread to look up.
const WAIT: Duration = Duration::from_millis(50);
/// A webcam that changes its exposure pauses for a second at most.
const NEXT_WITHIN: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(5);
const PLACEHOLDER_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
