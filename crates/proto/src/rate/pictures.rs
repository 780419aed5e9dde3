//! One track of pictures: what the encoder is to make of its share of the rate.

use std::time::{Duration, Instant};

use super::ladder::{Change, Ladder, Rung};
use crate::video::{Bitrate, FrameKind, Size};

/// The encoder is told of a rate this much lower, or higher; OpenH264 takes five frames to follow (measured).
const TELL_DOWN: f64 = 0.95;
const TELL_UP: f64 = 1.10;
/// Weight of a frame that is larger, or smaller, than those before.
const GROWN: f64 = 0.4;
const SHRUNK: f64 = 0.15;
/// A source that gave no picture for so long is off: the slowest rung asks for five a second.
const OFF_AFTER: Duration = Duration::from_secs(2);

/// Where pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// A camera.
    Camera,
    /// A shared screen.
    Screen,
}

impl Track {
    /// Both, in the order of their sections in a description.
    pub const ALL: [Self; 2] = [Self::Camera, Self::Screen];
}

/// What a source gives at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its picture.
    pub size: Size,
    /// Its frames a second.
    pub fps: u32,
    /// Most to send of it.
    pub bitrate_max: Bitrate,
}

/// What the encoder is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Mean rate.
    pub bitrate: Bitrate,
    /// Picture.
    pub size: Size,
    /// Frames a second.
    pub fps: u32,
}

/// What was made of a new rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    New,
    AsBefore,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pictures {
    ladder: Ladder,
    max: Bitrate,
    target: Target,
    /// When the next frame is due at the target's frame rate.
    frame_due: Instant,
    /// Size of the frames that the encoder makes, smoothed.
    frame_bytes: f64,
    /// When its source gave a picture last.
    given_at: Option<Instant>,
}

impl Pictures {
    pub(super) fn new(rungs: &'static [Rung], source: Source, share: f64, now: Instant) -> Self {
        let bitrate = Bitrate(share as u32);
        let ladder = Ladder::new(rungs, source.size, source.fps, bitrate);
        let target = Target { bitrate, size: ladder.size(), fps: ladder.fps() };
        Self { ladder, max: source.bitrate_max, target, frame_due: now, frame_bytes: 0.0, given_at: None }
    }

    pub(super) const fn target(&self) -> Target {
        self.target
    }

    pub(super) const fn max(&self) -> Bitrate {
        self.max
    }

    pub(super) const fn set_max(&mut self, max: Bitrate) {
        self.max = max;
    }

    pub(super) const fn set_size(&mut self, size: Size) {
        self.ladder.set_camera(size);
    }

    /// Whether its source gives pictures.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.given_at.is_some_and(|at| now.saturating_duration_since(at) < OFF_AFTER)
    }

    pub(super) const fn handle_given(&mut self, now: Instant) {
        self.given_at = Some(now);
    }

    /// How long before its time at the target's frame rate a frame comes.
    pub(super) fn early(&self, now: Instant) -> Duration {
        self.frame_due.saturating_duration_since(now)
    }

    /// Between two frames of the target.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.target.fps
    }

    pub(super) const fn frame_bytes(&self) -> f64 {
        self.frame_bytes
    }

    /// A frame is let through at `now`.
    pub(super) fn handle_let_through(&mut self, interval: Duration, now: Instant) {
        // On the grid, so that 20 of 30 frames a second are 20 and not 15.
        self.frame_due = (self.frame_due + interval).max(now);
    }

    pub(super) fn handle_encoded(&mut self, bytes: usize, kind: FrameKind) {
        // A key frame says nothing of the next one.
        if kind == FrameKind::Delta {
            let weight = if bytes as f64 > self.frame_bytes { GROWN } else { SHRUNK };
            self.frame_bytes += (bytes as f64 - self.frame_bytes) * weight;
        }
    }

    /// What the link bears less of is not worth a picture of the size before.
    pub(super) fn settle(&mut self, now: Instant) {
        self.ladder.settle(now);
    }

    pub(super) fn handle_rate(&mut self, rate: f64, change: Change, now: Instant) {
        self.ladder.handle_rate(Bitrate(rate as u32), change, now);
    }

    /// Begins anew at this rate.
    pub(super) fn set_rate(&mut self, rate: f64) {
        self.ladder.set_rate(Bitrate(rate as u32));
    }

    /// Makes a target of the share, if the difference is worth the encoder's trouble.
    pub(super) fn tell(&mut self, share: f64) -> Told {
        let told = f64::from(self.target.bitrate.0);
        let (size, fps) = (self.ladder.size(), self.ladder.fps());
        let is_other = (size, fps) != (self.target.size, self.target.fps);
        if size != self.target.size {
            self.frame_bytes = 0.0;
        }
        if is_other || share < told * TELL_DOWN || share > told * TELL_UP {
            self.target = Target { bitrate: Bitrate(share as u32), size, fps };
            Told::New
        } else {
            Told::AsBefore
        }
    }
}
