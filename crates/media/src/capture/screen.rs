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

use super::spec::Target;
use super::{Error, Source};
use crate::frame::VideoFrame;
use grabber::Grabber;
pub use list::{Item, list, list_of};

/// One screen or window.
pub(super) struct Screen {
    display: Option<String>,
    target: Target,
    period: Duration,
    open: Option<Open>,
}

struct Open {
    grabber: Grabber,
    due: Instant,
    last: Option<VideoFrame>,
    conversion: Option<Duration>,
}

/// A still picture is given again so often, for who joins late and for the quality to settle.
const STILL_EVERY: Duration = Duration::from_millis(200);

impl Screen {
    /// Of the desktop that `DISPLAY` names, unless another one is given.
    pub(super) fn new(display: Option<String>, target: Target, fps: u32) -> Self {
        Self { display, target, period: Duration::from_secs(1) / fps.clamp(1, 60), open: None }
    }
}

impl Source for Screen {
    fn open(&mut self) -> Result<(), Error> {
        self.close();
        let grabber = Grabber::connect(self.display.as_deref(), self.target)?;
        self.open = Some(Open { grabber, due: Instant::now(), last: None, conversion: None });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let open = self.open.as_mut().ok_or_else(|| Error::Lost("the screen is not open".into()))?;
        let left = open.due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(wait));
        if left > wait {
            return Ok(None);
        }
        let now = Instant::now();
        // After a pause the rhythm starts afresh instead of hurrying.
        open.due = if now > open.due + self.period { now + self.period } else { open.due + self.period };
        let is_old = open.last.as_ref().is_none_or(|last| now - last.captured_at >= STILL_EVERY);
        if (open.grabber.has_changed()? || open.last.is_none())
            && let Some(frame) = open.grabber.grab(now)?
        {
            open.conversion = Some(now.elapsed());
            open.last = Some(frame.clone());
            return Ok(Some(frame));
        }
        // Nothing was drawn, or the window is hidden: what was seen last stays.
        let again = open.last.as_mut().filter(|_| is_old);
        Ok(again.map(|last| {
            last.captured_at = now;
            last.clone()
        }))
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
