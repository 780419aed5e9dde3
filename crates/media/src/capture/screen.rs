//! Screens and windows of an X11 desktop, for sharing them in a call.
//!
//! The server copies the picture into shared memory (MIT-SHM), and says when something was drawn at all (DAMAGE): a
//! still screen is neither copied nor converted, its last picture is given again. A window is taken from its own pixels
//! (COMPOSITE), so nothing that lies over it gets in. The pointer, which is not part of the picture, is drawn in.
//!
//! On a Wayland desktop its X11 side (Xwayland) has no screens, only the windows of X11 programs, and the list says so.

mod grabber;
mod list;
mod pointer;
mod shared;

use std::time::{Duration, Instant};

use super::pace::{Pace, Still};
use super::spec::Target;
use super::{Error, Source};
use crate::frame::VideoFrame;
use grabber::Grabber;
pub use list::{Item, list, list_of};

/// One screen or window.
pub(super) struct Screen {
    display: Option<String>,
    target: Target,
    fps: u32,
    open: Option<Open>,
}

struct Open {
    grabber: Grabber,
    pace: Pace,
    still: Still,
    conversion: Option<Duration>,
}

impl Screen {
    /// Of the desktop that `DISPLAY` names, unless another one is given.
    pub(super) fn new(display: Option<String>, target: Target, fps: u32) -> Self {
        Self { display, target, fps: fps.clamp(1, 60), open: None }
    }
}

impl Source for Screen {
    fn open(&mut self) -> Result<(), Error> {
        self.close();
        let grabber = Grabber::connect(self.display.as_deref(), self.target)?;
        let pace = Pace::new(self.fps, Instant::now());
        self.open = Some(Open { grabber, pace, still: Still::default(), conversion: None });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let open = self.open.as_mut().ok_or_else(|| Error::Lost("the screen is not open".into()))?;
        let Some(now) = open.pace.await_next(wait) else { return Ok(None) };
        if (open.grabber.has_changed()? || !open.still.is_there())
            && let Some(frame) = open.grabber.grab(now)?
        {
            open.conversion = Some(now.elapsed());
            open.still.put(&frame);
            return Ok(Some(frame));
        }
        // Nothing was drawn, or the window is hidden: what was seen last stays.
        Ok(open.still.again(now))
    }

    fn conversion_time(&self) -> Option<Duration> {
        self.open.as_ref()?.conversion
    }

    fn close(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests;
