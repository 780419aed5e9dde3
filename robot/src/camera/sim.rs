//! The simulated car's camera as a source of pictures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_media::VideoFrame;
use farwheel_media::capture::{Error, Source};
use farwheel_media::frame::Pool;
use farwheel_proto::video::Size;

use super::world::World;
use crate::sim::{Picture, Renderer};
use crate::video::Fanout;

/// Draws what the car sees, at the configured rate while somebody watches, and four times a second otherwise.
pub struct SimSource {
    world: Arc<World>,
    watched: Arc<Fanout>,
    renderer: Renderer,
    pool: Pool,
    size: Size,
    interval: Duration,
    due: Instant,
}

impl SimSource {
    /// A camera in `world`; `interval` lies between two pictures.
    pub fn new(world: Arc<World>, watched: Arc<Fanout>, size: Size, interval: Duration) -> Self {
        let (renderer, pool) = (Renderer::new(), Pool::new());
        Self { world, watched, renderer, pool, size, interval, due: Instant::now() }
    }

    fn draw(&mut self) -> VideoFrame {
        let mut picture = self.pool.take(self.size);
        let planes = picture.planes_mut();
        let (scene, captured_at) = self.world.scene();
        self.renderer.render(
            &scene,
            &mut Picture {
                size: planes.size,
                y: planes.y,
                u: planes.u,
                v: planes.v,
                stride_y: planes.stride_y,
                stride_uv: planes.stride_uv,
            },
        );
        picture.share(&mut self.pool, captured_at)
    }
}

impl Source for SimSource {
    fn open(&mut self) -> Result<(), Error> {
        self.due = Instant::now();
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let deadline = Instant::now() + wait;
        loop {
            let now = Instant::now();
            let idle = self.watched.viewers().is_empty();
            let due = if idle { self.due + IDLE_INTERVAL.saturating_sub(self.interval) } else { self.due };
            if now >= due {
                // An absolute schedule; pictures that were missed are not made up for.
                self.due = (self.due + self.interval).max(now);
                return Ok(Some(self.draw()));
            }
            if now >= deadline {
                return Ok(None);
            }
            // A viewer who comes while nobody watches is seen within this time.
            let nap = if idle { IDLE_LOOK } else { Duration::MAX };
            std::thread::sleep(nap.min(due.min(deadline) - now));
        }
    }

    fn close(&mut self) {}
}

/// Between two pictures while nobody watches: enough to be seen to live.
const IDLE_INTERVAL: Duration = Duration::from_millis(250);
const IDLE_LOOK: Duration = Duration::from_millis(10);
