//! Where pictures come from.
//!
//! A [`Source`] is one way to get pictures; a [`Camera`] runs one on its own thread, keeps the newest picture in a
//! slot, shows a labelled placeholder while there is none, and opens the source again after a failure.

mod camera;
mod command;
mod pace;
mod placeholder;
pub mod screen;
mod spec;
mod test;
pub mod usb;

use std::time::Duration;

use farwheel_proto::video::Size;

pub use camera::{Camera, State, Status};
pub use pace::Still;
pub use spec::{Spec, SpecError, Target};

pub use crate::device::Error;
use crate::frame::VideoFrame;

/// One way to get pictures. It belongs to one thread, and is opened again after each failure.
pub trait Source: Send {
    /// Gets ready to deliver pictures. Quick: what may take long happens in [`next_frame`](Self::next_frame).
    ///
    /// # Errors
    ///
    /// If there can be no pictures at present. The next attempt may succeed.
    fn open(&mut self) -> Result<(), Error>;

    /// Waits at most `wait` for a picture that was not given before; of several the newest.
    ///
    /// # Errors
    ///
    /// If no more will come without opening again.
    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error>;

    /// How long its first picture may take, once open.
    fn first_within(&self) -> Duration {
        // A program in a slow language needs some seconds to load its libraries.
        Duration::from_secs(15)
    }

    /// How long the newest picture's conversion to I420 took; `None` for a source that delivers I420.
    fn conversion_time(&self) -> Option<Duration> {
        None
    }

    /// Lets go of the device. Called after a failure and at the end; harmless if not open.
    fn close(&mut self);
}

/// What a camera is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which source.
    pub spec: Spec,
    /// Size wanted; a real camera, a program or a screen may deliver another.
    pub size: Size,
    /// Pictures per second wanted; a real camera or a program may deliver more or fewer.
    pub fps: u32,
    /// What is drawn over each picture.
    pub overlay: Overlay,
}

/// What is drawn over each picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The strip with the time at which the picture was handed on, for measuring (`--strip`).
    Strip,
}

impl Config {
    /// Makes the source that is asked for; `None` for [`Spec::Sim`], whose world is not part of this crate, and for
    /// [`Spec::Portal`], which another one talks to.
    pub fn source(&self) -> Option<Box<dyn Source>> {
        Some(match &self.spec {
            Spec::Sim | Spec::Portal(_) => return None,
            Spec::Test => Box::new(test::Test::new(self.size, self.fps)),
            Spec::Usb(device) => Box::new(usb::Usb::new(device.clone(), self.size, self.fps)),
            Spec::Screen(target) => Box::new(screen::Screen::new(None, *target, self.fps)),
            Spec::Command(words) => Box::new(command::Command::new(words.clone())),
        })
    }
}
