//! Where sound comes from and goes to.
//!
//! A device calls back when it wants; what it brings or takes goes through a ring without locks, with a clock beside it.
//! On the other side of the ring the engine works on its own clock: [`Intake`] and [`Outlet`] bring the two together.

#[cfg(feature = "sound-devices")]
mod hardware;
pub(crate) mod keeper;
pub(crate) mod ring;
mod synthetic;

use std::time::Duration;

pub(crate) use ring::{Intake, Outlet};

use super::marks::Heard;
pub(super) use crate::device::Error;

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// A microphone.
    In,
    /// A speaker.
    Out,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::In => "microphone",
            Self::Out => "speaker",
        })
    }
}

/// What is plugged in, by the names that [`Spec::Named`](super::Spec::Named) takes: microphones, then speakers. Opens none.
#[cfg(feature = "sound-devices")]
pub fn names() -> [Vec<String>; 2] {
    hardware::Hardware::new().names()
}

/// What is known of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// All that are plugged in, by name; empty: there is none, or not looked yet.
    pub names: Vec<String>,
    /// The one in use, by name or word; none: no sound that way.
    pub used: Option<String>,
    /// Why the wanted one is not in use, in words.
    pub problem: Option<String>,
    /// How long there was no sound when the device was last changed.
    pub gap: Option<Duration>,
    /// Time between the engine and the air, as far as the device tells.
    pub delay: Duration,
    /// Times that the device had to wait for the engine, or the engine for it.
    pub hiccups: u64,
    /// How much faster than the system's clock the device runs, in millionths.
    pub drift_ppm: f64,
    /// How late the marks of `test` microphones came to this `test` speaker, newest last; at most 600.
    pub heard: Vec<Heard>,
}

/// What is kept open while a device is in use.
trait Stream {
    /// Whether it ended by itself: unplugged, failed.
    fn is_lost(&self) -> bool;

    /// What a `test` speaker heard since the last time.
    fn heard(&mut self) -> Vec<Heard> {
        Vec::new()
    }
}
