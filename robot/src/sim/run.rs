//! The world in real time: a thread that moves it, and the camera that looks at it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use farwheel_media::capture::{self, Error};
use farwheel_media::frame::{Pool, VideoFrame};
use farwheel_proto::video::Size;

use super::Controls;
use super::render::{Picture, Renderer};
use super::world::{Scene, State, World};

/// Time between two readings of the controls: 250 Hz.
const TICK: Duration = Duration::from_millis(4);

/// A world that moves by itself until this is dropped.
pub struct Runner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    // A slot: the world and when it was as it is. Held for microseconds.
    world: Mutex<(World, Instant)>,
    stop: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (World, Instant)> {
        self.world.lock().expect("no thread panics while it holds the world")
    }
}

impl Runner {
    /// Starts the thread `sim`, which asks `controls` at every tick what the outputs hold at that moment.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(
        world: World,
        mut controls: impl FnMut() -> Controls + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { world: Mutex::new((world, Instant::now())), stop: AtomicBool::new(false) });
        let inner = shared.clone();
        let thread = thread::Builder::new().name("sim".into()).spawn(move || {
            let mut due = Instant::now();
            while !inner.stop.load(Ordering::Relaxed) {
                due += TICK;
                let now = Instant::now();
                // After a pause the rhythm starts afresh; the world itself catches up by the clock.
                if now > due + 10 * TICK {
                    due = now;
                }
                thread::sleep(due.saturating_duration_since(now));
                let controls = controls();
                let mut slot = inner.lock();
                let now = Instant::now();
                let passed = now.saturating_duration_since(slot.1);
                slot.0.step(passed, controls);
                slot.1 = now;
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What the car and the timing know, and when that was so.
    pub fn state(&self) -> (State, Instant) {
        let slot = self.shared.lock();
        (slot.0.state(), slot.1)
    }

    /// A camera of this world with pictures of `size`, `fps` a second.
    pub fn source(&self, size: Size, fps: u32) -> Source {
        let period = Duration::from_secs(1) / fps.max(1);
        Source { shared: self.shared.clone(), size, period, open: None }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it was already printed; there is nothing left to stop.
            thread.join().ok();
        }
    }
}

/// Pictures of a running world; `captured_at` is the moment whose world they show.
pub struct Source {
    shared: Arc<Shared>,
    size: Size,
    period: Duration,
    open: Option<Open>,
}

struct Open {
    renderer: Renderer,
    pool: Pool,
    due: Instant,
}

impl capture::Source for Source {
    fn open(&mut self) -> Result<(), Error> {
        self.open = Some(Open { renderer: Renderer::new(), pool: Pool::new(), due: Instant::now() });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let open =
            self.open.as_mut().ok_or_else(|| Error::Lost("the simulated camera is not open".into()))?;
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(Error::Lost("the simulated world has ended".into()));
        }
        let left = open.due.saturating_duration_since(Instant::now());
        thread::sleep(left.min(wait));
        if left > wait {
            return Ok(None);
        }
        let now = Instant::now();
        open.due = if now > open.due + self.period { now + self.period } else { open.due + self.period };
        let (scene, at): (Scene, Instant) = {
            let slot = self.shared.lock();
            (slot.0.scene(), slot.1)
        };
        let mut picture = open.pool.take(self.size);
        let planes = picture.planes_mut();
        let (stride_y, stride_uv) = (planes.stride_y, planes.stride_uv);
        let mut target =
            Picture { size: planes.size, y: planes.y, u: planes.u, v: planes.v, stride_y, stride_uv };
        open.renderer.render(&scene, &mut target);
        Ok(Some(picture.share(&mut open.pool, at)))
    }

    fn close(&mut self) {
        self.open = None;
    }
}
