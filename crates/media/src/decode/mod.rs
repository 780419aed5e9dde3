//! H.264 to raw pictures, each the moment its data is there.
//!
//! A decoder gets one access unit (one coded picture with its parameter sets, Annex B) at a time and gives its picture
//! at once. After any damage it shows nothing until the next key frame: a wrong picture is worse than an old one. After
//! pictures that are merely missing, one that is predicted from an anchor ([`farwheel_proto::anchor`]) does as well.

mod held;
mod openh264;

use std::time::{Duration, Instant};

use farwheel_proto::anchor::Anchor;
use farwheel_proto::video::Size;

use crate::frame::{Pool, VideoFrame};
use crate::h264::nal::{self, Unit};
use crate::h264::slice::{self, Slice};
use crate::h264::sps;
use held::Held;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Decoding can go on with a key frame only; ask the sender for one.
    #[error("a key frame is needed: {0}")]
    NeedsKeyframe(&'static str),
    /// The stream asks for more than this decoder allows; a key frame of another size would help.
    #[error("picture of {got} is larger than the {max} allowed")]
    TooLarge {
        /// What the stream's parameter set says.
        got: Size,
        /// What the decoder was opened with.
        max: Size,
    },
    /// The library cannot be used at all.
    #[error("decoder failed: {0}")]
    Failed(String),
}

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest picture, in columns and rows of any orientation; bounds the memory a sender can make the decoder take.
    pub size_max: Size,
}

impl Default for Config {
    fn default() -> Self {
        Self { size_max: Size::new(1920, 1088) }
    }
}

/// A picture and what it cost.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The picture.
    pub frame: VideoFrame,
    /// Time spent decoding, the copy out of the decoder's own memory included.
    pub spent: Duration,
}

/// Decodes one stream. Not shared: it belongs to one thread.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    state: State,
    pool: Pool,
    accepted: Vec<u8>,
    held: Held,
    /// Length of the numbers in the stream's slices.
    number_bits: Option<u32>,
}

/// ```text
///               key frame decodes          anything else
/// Waiting   ->  Running                    Waiting, error
/// Running   ->  Running                    Running if it decodes; else Waiting, error
/// ```
#[derive(Debug)]
enum State {
    /// Nothing before the next key frame can be used. The library starts afresh with it.
    Waiting,
    Running(openh264::Decoder),
}

impl Decoder {
    /// A decoder that waits for its first key frame.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Waiting,
            pool: Pool::new(),
            accepted: Vec::new(),
            held: Held::default(),
            number_bits: None,
        }
    }

    /// Decodes one access unit into the picture it holds.
    ///
    /// `captured_at` becomes the picture's: at a receiver the moment of capture as the sender's clock offset tells it.
    ///
    /// # Errors
    ///
    /// If there is no picture. What follows is refused until a key frame comes.
    pub fn decode(&mut self, access_unit: &[u8], captured_at: Instant) -> Result<Decoded, Error> {
        let started = Instant::now();
        let result = self.try_decode(access_unit, captured_at);
        if result.is_err() {
            self.state = State::Waiting;
            self.held = Held::default();
        }
        result.map(|frame| Decoded { frame, spent: started.elapsed() })
    }

    /// The anchors that a recovery may be predicted from.
    pub fn held(&self) -> impl Iterator<Item = Anchor> {
        self.held.anchors()
    }

    fn try_decode(&mut self, access_unit: &[u8], captured_at: Instant) -> Result<VideoFrame, Error> {
        let picture = self.accept(access_unit)?;
        if let Some(anchor) = picture.recovers
            && !self.held.has(picture.slice.as_ref().and_then(|slice| slice.from), anchor)
        {
            return Err(Error::NeedsKeyframe("a recovery is predicted from a picture that is not held"));
        }
        let decoder = match (&mut self.state, picture.key) {
            (State::Running(decoder), _) => decoder,
            (State::Waiting, Key::No) => {
                return Err(Error::NeedsKeyframe("none has come yet since the last damage"));
            }
            (state @ State::Waiting, Key::Yes) => {
                *state = State::Running(openh264::Decoder::open()?);
                let State::Running(decoder) = state else { unreachable!("it was just set") };
                decoder
            }
        };
        let frame = decoder.decode(&self.accepted, self.config.size_max, &mut self.pool, captured_at)?;
        if let (Some(slice), Some(anchor)) = (picture.slice, picture.anchor) {
            self.held.handle_picture(&slice.changes, anchor);
        }
        Ok(frame)
    }

    /// Checks an access unit and keeps the units that a baseline stream has; others would only reach code of the
    /// library that nothing of ours uses.
    fn accept(&mut self, access_unit: &[u8]) -> Result<Accepted, Error> {
        if access_unit.len() > ACCESS_UNIT_MAX {
            return Err(Error::NeedsKeyframe("the access unit is absurdly long"));
        }
        self.accepted.clear();
        let mut picture = Accepted { key: Key::No, slice: None, anchor: None, recovers: None };
        let mut slices = 0_usize;
        for unit in nal::units(access_unit) {
            match unit.kind() {
                Unit::SLICE | Unit::IDR_SLICE => {
                    slices += 1;
                    if unit.kind() == Unit::IDR_SLICE {
                        picture.key = Key::Yes;
                    }
                    if slices == 1 {
                        picture.slice = self.number_bits.and_then(|bits| slice::read(unit, bits));
                        // Only worth its time where the picture is kept.
                        picture.anchor = picture
                            .slice
                            .as_ref()
                            .filter(|slice| !slice.changes.is_empty())
                            .map(|_| Anchor::of(unit.bytes()));
                    }
                }
                Unit::SEI => {
                    picture.recovers = picture.recovers.or_else(|| Anchor::read(unit.bytes()));
                    continue;
                }
                Unit::SPS => {
                    let sps = sps::read(unit.payload())
                        .ok_or(Error::NeedsKeyframe("a parameter set is damaged"))?;
                    let got = sps.size;
                    self.number_bits = sps.number_bits;
                    let max = self.config.size_max;
                    if got.width.max(got.height) > max.width.max(max.height)
                        || got.width.min(got.height) > max.width.min(max.height)
                    {
                        return Err(Error::TooLarge { got, max });
                    }
                }
                Unit::PPS => {}
                _ => continue,
            }
            self.accepted.extend_from_slice(&[0, 0, 0, 1]);
            self.accepted.extend_from_slice(unit.bytes());
        }
        if slices == 0 {
            return Err(Error::NeedsKeyframe("the access unit holds no picture"));
        }
        Ok(picture)
    }
}

/// What an access unit holds.
#[derive(Debug)]
struct Accepted {
    key: Key,
    /// The front of its first slice, if that is of a kind we read.
    slice: Option<Slice>,
    /// What this picture is called where it is kept.
    anchor: Option<Anchor>,
    /// The anchor that it says it is predicted from.
    recovers: Option<Anchor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    No,
    Yes,
}

/// The largest picture of level 3.1 at its least compression (ITU-T H.264 A.3.1) is a third of this.
const ACCESS_UNIT_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests;
