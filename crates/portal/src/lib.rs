//! A screen or a window of a Wayland desktop, which the user picks in the desktop's own dialog.
//!
//! On Wayland no program sees what others show unless the user agrees. The desktop's portal (`xdg-desktop-portal`, spoken
//! to over D-Bus) asks, and hands over a PipeWire stream of what was picked. [`Portal`] is the capture source for it:
//!
//! ```text
//!  camera thread: Portal::next_frame <- slot, newest wins <- [screen-stream] PipeWire's loop: maps, crops, converts
//!        | open, close                                            ^ started, joined
//!        +---------------------------------------------> [screen-portal] the session: asks, waits for its end
//! ```
//!
//! Pictures come in shared memory: no modifier is offered, so no compositor sends DMA buffers. They are no larger than
//! what is shown, have the pointer drawn in, and come only when something was drawn.
//!
//! `crates/lab/tests/whole/wayland.rs` tries it against the real portal, PipeWire and session manager, with the answer and
//! the stream of a compositor played. With a real one it is tried by hand: in sway without a display
//! (`WLR_BACKENDS=headless`, and a graphics card, since xdg-desktop-portal-wlr wants buffers that the software renderer does
//! not give) with `chooser_type=none` in its configuration, and `farwheel call ROOM --headless --share portal`.

#![cfg(target_os = "linux")]

mod consent;
mod once;
mod picture;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_media::VideoFrame;
use farwheel_media::capture::{Error, Source, Still};
use farwheel_media::slot::{Slot, Taken};

use once::Once;

/// Where the portal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// On the user's session bus.
    Session,
    /// On the bus with this D-Bus address.
    At(String),
}

/// What the user agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Takes the same again without asking; none where the desktop does not remember, or was asked not to. It is good for
    /// one time, and each grant has a new one.
    pub token: Option<String>,
    /// What was picked.
    pub kind: Kind,
}

/// What a user picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole screen.
    Screen,
    /// A window.
    Window,
}

/// The source. It asks when it is opened for the first time and never again: what the user refused or ended stays so.
#[derive(Debug)]
pub struct Portal {
    ask: Ask,
    session: Option<Session>,
    over: Option<Error>,
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Ask {
    bus: Bus,
    token: Option<String>,
    fps: u32,
    granted: Slot<Grant>,
}

/// A session with the portal, from the question on; it ends with this value.
#[derive(Debug)]
struct Session {
    frames: Slot<Grabbed>,
    stop: Arc<Once<()>>,
    end: Arc<Mutex<Option<Error>>>,
    thread: Option<JoinHandle<()>>,
    still: Still,
    conversion: Option<Duration>,
}

/// A picture, and how long its conversion took.
type Grabbed = (VideoFrame, Duration);

impl Portal {
    /// Asks for nothing yet. `token` is that of an earlier [`Grant`], `granted` gets the new one.
    pub fn new(bus: Bus, token: Option<String>, fps: u32, granted: Slot<Grant>) -> Self {
        Self { ask: Ask { bus, token, fps: fps.clamp(1, 60), granted }, session: None, over: None }
    }
}

impl Source for Portal {
    fn open(&mut self) -> Result<(), Error> {
        self.session = None;
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        self.session = Some(Session::start(self.ask.clone())?);
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let session = self.session.as_mut().ok_or_else(|| Error::Lost("the screen is not open".into()))?;
        match session.frames.take_within(wait) {
            Taken::Value((frame, conversion)) => {
                session.conversion = Some(conversion);
                session.still.put(&frame);
                Ok(Some(frame))
            }
            Taken::TimedOut => Ok(session.still.again(Instant::now())),
            Taken::Closed => {
                let end = session.end.lock().unwrap_or_else(PoisonError::into_inner).take();
                let end = end.unwrap_or_else(|| Error::Lost("the talk with the desktop has ended".into()));
                self.over = Some(end.clone());
                Err(end)
            }
        }
    }

    fn first_within(&self) -> Duration {
        ANSWER_WITHIN
    }

    fn conversion_time(&self) -> Option<Duration> {
        self.session.as_ref()?.conversion
    }

    fn close(&mut self) {
        self.session = None;
    }
}

impl Session {
    fn start(ask: Ask) -> Result<Self, Error> {
        let (frames, stop, end) = (Slot::new(), Arc::new(Once::new()), Arc::new(Mutex::new(None)));
        let thread = std::thread::Builder::new().name("screen-portal".into()).spawn({
            let (frames, stop, end) = (frames.clone(), Arc::clone(&stop), Arc::clone(&end));
            move || {
                let error = consent::run(&ask, &frames, &stop).err();
                *end.lock().unwrap_or_else(PoisonError::into_inner) = error;
                frames.close();
            }
        });
        let thread = thread.map_err(|e| Error::Lost(format!("no thread for the screen: {e}")))?;
        Ok(Self { frames, stop, end, thread: Some(thread), still: Still::default(), conversion: None })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.set(());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook.
            thread.join().ok();
        }
    }
}

/// The user may be called away from the desktop's question.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
