//! The robot's cameras: all that are configured, one of them running.

pub mod sim;
pub mod world;

use std::sync::Arc;
use std::time::Duration;

use farwheel_media::VideoFrame;
use farwheel_media::capture::{self, Camera, Spec, State};
use farwheel_media::slot::Slot;
use farwheel_proto::control::event;
use farwheel_proto::control::telemetry::CameraStatus;

use crate::config;
use crate::video::Fanout;
use sim::SimSource;
use world::World;

/// All cameras; the selected one runs on its own thread.
#[derive(Debug)]
pub struct Cameras {
    config: config::Camera,
    world: Option<Arc<World>>,
    watched: Arc<Fanout>,
    selected: u8,
    running: Camera,
}

impl Cameras {
    /// Starts the first camera. `world` is there if one of them is the simulated car's.
    pub fn start(config: config::Camera, world: Option<Arc<World>>, watched: Arc<Fanout>) -> Self {
        let running = start(&config, 0, world.as_ref(), &watched);
        Self { config, world, watched, selected: 0, running }
    }

    /// Stops the running camera and starts another; an index that is out of range changes nothing.
    pub fn select(&mut self, index: u8) {
        if index != self.selected && usize::from(index) < self.config.sources.len() {
            self.running = start(&self.config, index, self.world.as_ref(), &self.watched);
            self.selected = index;
        }
    }

    /// Index of the running camera.
    pub fn selected(&self) -> u8 {
        self.selected
    }

    /// All of them, as peers are told.
    pub fn list(&self) -> Vec<event::Camera> {
        list(&self.config)
    }

    /// The slot of the running camera's newest picture.
    pub fn frames(&self) -> &Slot<VideoFrame> {
        self.running.frames()
    }

    /// How long the newest picture's conversion to I420 took; `None` if the camera needs none.
    pub fn conversion_time(&self) -> Option<Duration> {
        self.running.status().conversion
    }

    /// What the running camera does.
    pub fn status(&self) -> CameraStatus {
        match self.running.status().state {
            State::Opening => CameraStatus::Opening,
            State::Live { .. } => CameraStatus::Live,
            State::Stalled | State::Failed { .. } => CameraStatus::Placeholder,
        }
    }
}

/// The configured cameras, as peers are told.
pub fn list(config: &config::Camera) -> Vec<event::Camera> {
    let one = |(index, spec): (usize, &Spec)| event::Camera {
        index: index as u8,
        name: spec.to_string(),
        width: config.size.width as u16,
        height: config.size.height as u16,
        fps: config.fps as u16,
    };
    config.sources.iter().enumerate().map(one).collect()
}

fn start(config: &config::Camera, index: u8, world: Option<&Arc<World>>, watched: &Arc<Fanout>) -> Camera {
    let spec = config.sources[usize::from(index)].clone();
    let overlay = match config.strip {
        config::Strip::Drawn => capture::Overlay::Strip,
        config::Strip::Absent => capture::Overlay::None,
    };
    let asked = capture::Config { spec, size: config.size, fps: config.fps, overlay };
    Camera::start(&asked).unwrap_or_else(|| {
        let world = Arc::clone(world.expect("a simulated camera comes with its world"));
        let source = SimSource::new(world, Arc::clone(watched), config.size, config.interval());
        Camera::start_source(&asked, Box::new(source))
    })
}
