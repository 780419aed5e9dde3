//! Raw pictures to H.264: constrained baseline, no delay; one slice a picture, or two ([`Slices`]).
//!
//! An [`Encoder`] is driven by a [`Target`], which may change with every picture. What encodes is this module's own
//! business: no public type names it, and another one (a hardware encoder) is one more `Backend` variant.

mod anchors;
mod assembler;
mod openh264;
mod target;

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_proto::anchor::Anchor;
use farwheel_proto::video::{EncodedFrame, FrameKind, MediaTime, Size};

pub use assembler::{Assembler, assembler};
pub use target::Target;

use crate::frame::VideoFrame;
use crate::scale::Scaler;
use anchors::Next;
use target::Change;

/// Why a picture could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The wish is outside of what H.264 or the encoder can do.
    #[error("cannot encode {0}")]
    Unsupported(String),
    /// The encoder failed; the next call opens it afresh.
    #[error("encoder failed: {0}")]
    Failed(String),
}

/// What stays for an encoder's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Time against quality.
    pub effort: Effort,
}

/// Time spent on a picture against its quality at the same rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// The least delay, for driving.
    #[default]
    Low,
    /// Looks for better predictions, for a fast machine.
    Medium,
}

/// Into how many slices a picture is cut, each encoded by a thread of its own.
///
/// Two slices save a third of the time, but OpenH264 then holds a picture's size less well, and has a finest quantiser
/// that leaves a fast link unused: nothing for a cellular link, right for a near one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slices {
    /// The whole picture.
    #[default]
    One,
    /// Its upper and its lower half, if it is large and there is a second core.
    Two,
}

/// One coded picture.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// NAL units with start codes; parameter sets before each IDR picture.
    pub data: Bytes,
    /// A recovery only if one was ordered.
    pub kind: FrameKind,
    /// Size of the coded picture.
    pub size: Size,
    /// When the raw picture was taken.
    pub captured_at: Instant,
    /// End of encoding.
    pub encoded_at: Instant,
    /// Time spent scaling; `None` if the raw picture had the target's size.
    pub scaling: Option<Duration>,
    /// Time spent encoding, scaling not included.
    pub spent: Duration,
}

impl Encoded {
    /// The same as it goes to a connection.
    pub fn into_frame(self, media_time: MediaTime) -> EncodedFrame {
        let Self { data, kind, encoded_at, spent, .. } = self;
        EncodedFrame { data, kind, media_time, arrived_at: encoded_at, spent }
    }
}

/// Encodes one stream of pictures. Not shared: it belongs to one thread.
#[derive(Debug)]
pub struct Encoder {
    config: Config,
    target: Target,
    slices: Slices,
    scaler: Scaler,
    // `None` after a failure: opened again by the next picture.
    backend: Option<Backend>,
    wanted: Wanted,
}

/// Who does the work. A hardware encoder becomes a variant here and a choice in [`Backend::open`].
#[derive(Debug)]
enum Backend {
    OpenH264(Box<openh264::Encoder>),
}

/// What the next picture has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Any,
    Recovery,
    Key,
}

/// What comes of the order of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next picture is one.
    Taken,
    /// The receiver holds no anchor: only a key frame would help it.
    NoAnchor,
}

impl Encoder {
    /// Opens an encoder; its first picture is a key frame.
    ///
    /// # Errors
    ///
    /// If the target is out of range.
    pub fn open(config: Config, target: Target) -> Result<Self, Error> {
        target.check()?;
        let slices = Slices::One;
        let backend = Some(Backend::open(config, target, slices)?);
        Ok(Self { config, target, slices, scaler: Scaler::new(), backend, wanted: Wanted::Any })
    }

    /// What the encoder aims at.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Sets what to aim at from the next picture on.
    ///
    /// A rate is taken over without a key frame, effective within a few pictures, if it falls by more than 5 % or rises by
    /// more than 10 %; smaller changes are left out, because each one upsets the rate control. A change of
    /// size starts with a key frame.
    ///
    /// # Errors
    ///
    /// If the encoder cannot do it; the target before stays.
    pub fn set_target(&mut self, target: Target) -> Result<(), Error> {
        target.check()?;
        match (&mut self.backend, Change::between(self.target, target)) {
            (_, Change::None) => return Ok(()),
            (None, Change::Rate | Change::Stream) => {}
            (Some(Backend::OpenH264(encoder)), Change::Rate) => {
                if let Err(error) = encoder.set_rate(target) {
                    // Half of it may be applied: a fresh encoder has all of it.
                    tracing::warn!(%error, "encoder is opened afresh");
                    self.backend = None;
                }
            }
            (Some(backend), Change::Stream) => *backend = Backend::open(self.config, target, self.slices)?,
        }
        self.target = target;
        Ok(())
    }

    /// Sets into how many slices pictures are cut. A change starts with a key frame.
    pub fn set_slices(&mut self, slices: Slices) {
        if slices == self.slices {
            return;
        }
        let (size, cores) = (self.target.size, cores());
        if openh264::slices(self.slices, size, cores) != openh264::slices(slices, size, cores) {
            self.backend = None;
        }
        self.slices = slices;
    }

    /// Makes the next picture a key frame. How often is the caller's to limit.
    pub fn request_keyframe(&mut self) {
        self.wanted = Wanted::Key;
    }

    /// Notes which anchors the receiver holds now; what it held before does not count any more.
    pub fn handle_held(&mut self, held: &[Anchor]) {
        match &mut self.backend {
            Some(Backend::OpenH264(encoder)) => encoder.handle_held(held),
            None => {}
        }
    }

    /// Makes the next picture a recovery, from the newest anchor that the receiver is known to hold.
    pub fn order_recovery(&mut self) -> Order {
        let has_anchor = match &self.backend {
            Some(Backend::OpenH264(encoder)) => encoder.has_anchor(),
            None => false,
        };
        if has_anchor {
            self.wanted = self.wanted.max(Wanted::Recovery);
            Order::Taken
        } else {
            Order::NoAnchor
        }
    }

    /// Encodes a picture of any size; it is scaled to the target's size.
    ///
    /// # Errors
    ///
    /// If the encoder fails; it is then opened afresh, with a key frame, by the next call.
    pub fn encode(&mut self, frame: &VideoFrame) -> Result<Encoded, Error> {
        let started = Instant::now();
        let (raw, frame) = (frame, self.scaler.scale(frame, self.target.size));
        let scaled_at = Instant::now();
        let scaling = (raw.size != frame.size).then(|| scaled_at - started);
        let backend = match &mut self.backend {
            Some(backend) => backend,
            None => self.backend.insert(Backend::open(self.config, self.target, self.slices)?),
        };
        let Backend::OpenH264(encoder) = backend;
        let next = match self.wanted {
            Wanted::Any => Next::Any,
            Wanted::Recovery => Next::Recovery,
            Wanted::Key => Next::Key,
        };
        let share = self.target.bitrate.0 / 8 / self.target.fps;
        let is_first = encoder.is_fresh();
        let coded = encoder.encode(&frame, next).and_then(|coded| {
            let shares_max = match coded.kind {
                FrameKind::Key if is_first => FIRST_SHARES_MAX,
                FrameKind::Key => return Ok(coded),
                FrameKind::Delta => DELTA_SHARES_MAX,
                FrameKind::Recovery => RECOVERY_SHARES_MAX,
            };
            if coded.data.len() <= (share * shares_max) as usize {
                return Ok(coded);
            }
            // Nobody has seen it, and a key frame needs nothing of it.
            let key = encoder.encode(&frame, Next::Key)?;
            tracing::debug!(was = coded.data.len(), is = key.data.len(), "key frame instead");
            Ok(key)
        });
        let openh264::Coded { data, kind } = match coded {
            Ok(coded) => coded,
            Err(error) => {
                self.backend = None;
                return Err(error);
            }
        };
        let is_done = match kind {
            FrameKind::Key => true,
            FrameKind::Recovery => self.wanted == Wanted::Recovery,
            FrameKind::Delta => false,
        };
        if is_done {
            self.wanted = Wanted::Any;
        }
        let encoded_at = Instant::now();
        let (size, captured_at, spent) = (frame.size, frame.captured_at, encoded_at - scaled_at);
        Ok(Encoded { data, kind, size, captured_at, encoded_at, scaling, spent })
    }
}

impl Backend {
    fn open(config: Config, target: Target, slices: Slices) -> Result<Self, Error> {
        let slices = openh264::slices(slices, target.size, cores());
        openh264::Encoder::open(config, target, slices).map(|encoder| Self::OpenH264(Box::new(encoder)))
    }
}

/// Times its share of the rate that a picture may have; a key frame instead, with twice its share, is better then. After a
/// gap or a cut a picture that is predicted has three to nine times the bytes of a key frame at 1280x720.
const DELTA_SHARES_MAX: u32 = 5;
const RECOVERY_SHARES_MAX: u32 = 2;
/// An encoder's first picture is a key frame that the next one can be smaller than.
const FIRST_SHARES_MAX: u32 = 3;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
