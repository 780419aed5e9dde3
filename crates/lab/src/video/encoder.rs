//! A model of the encoder: sizes, not pictures.

use std::time::Duration;

use bytes::Bytes;
use farwheel_proto::anchor::Anchor;
use farwheel_proto::rate::Target;
use farwheel_proto::video::{FrameKind, Size};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Spread of a frame's size: the largest of 100 is 1.19 times the mean (OpenH264 in bitrate mode at 1 Mbit/s).
const SPREAD: f64 = 0.08;
/// A new rate is followed within five frames (OpenH264): this share of the way with each.
const FOLLOW: f64 = 0.4;
/// A key frame over the mean one: what `media::encode` asks for.
const KEY_SHARE: f64 = 2.0;
/// A key frame at 1280x720 has no fewer bytes than this, coded as coarsely as can be; it shrinks with the picture.
const KEY_BYTES_MIN_720P: f64 = 9_000.0;
/// A recovery over the mean frame, from an anchor five to ten pictures old: a seventh to one (`media::encode` at 500 to
/// 4000 kbit/s).
const RECOVERY_SHARE: f64 = 0.7;
/// Frames that lie at least between two anchors.
const ANCHOR_EVERY: u32 = 3;
/// Encoding 1280x720.
const TIME_720P: Duration = Duration::from_micros(5_800);
const PIXELS_720P: f64 = 1280.0 * 720.0;

/// What the next frame has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Key,
    Recovery,
    Delta,
}

#[derive(Debug)]
pub(super) struct Encoder {
    target: Target,
    /// Bits per second that the rate control has reached.
    reached: f64,
    owed: Owed,
    /// The anchor that the receiver holds.
    held: Option<Anchor>,
    /// The one that it is not yet known to hold, and the frames since.
    pending: Option<(Anchor, u32)>,
    since_anchor: u32,
    random: StdRng,
}

impl Encoder {
    pub(super) fn new(target: Target, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            target,
            reached: f64::from(target.bitrate.0),
            owed: Owed::Key,
            held: None,
            pending: None,
            since_anchor: 0,
            random,
        }
    }

    pub(super) fn set_target(&mut self, target: Target) {
        if target.size != self.target.size {
            // It is opened anew, and follows nothing of before.
            self.reached = f64::from(target.bitrate.0);
            self.owed = Owed::Key;
        }
        self.target = target;
    }

    /// Makes the next frame a key frame.
    pub(super) fn order_key(&mut self) {
        self.owed = Owed::Key;
    }

    /// Makes the next frame a recovery; false if the receiver holds no anchor.
    pub(super) fn order_recovery(&mut self) -> bool {
        if self.owed == Owed::Delta && self.held.is_some() {
            self.owed = Owed::Recovery;
        }
        self.held.is_some()
    }

    /// The receiver has decoded this frame.
    pub(super) fn handle_decoded(&mut self, frame: Anchor) {
        if self.pending.is_some_and(|(pending, _)| pending == frame) {
            self.held = Some(frame);
            self.pending = None;
        }
    }

    /// Time that a frame takes.
    pub(super) fn time(&self) -> Duration {
        TIME_720P.mul_f64(self.target.size.pixels() as f64 / PIXELS_720P)
    }

    /// The next frame, by this name. A key frame takes no account of the limit: its content decides.
    pub(super) fn encode(&mut self, frame: Anchor, bytes_max: usize) -> (FrameKind, Bytes) {
        self.reached += (f64::from(self.target.bitrate.0) - self.reached) * FOLLOW;
        let mean = self.reached / 8.0 / f64::from(self.target.fps.max(1));
        let key = (mean * KEY_SHARE).max(KEY_BYTES_MIN_720P * share_of_720p(self.target.size));
        // The sum of twelve evenly spread numbers is as good as normal.
        let normal = (0..12).map(|_| self.random.random_range(0.0..1.0)).sum::<f64>() - 6.0;
        let spread = 1.0 + SPREAD * normal;
        let bytes = match self.owed {
            Owed::Key => key * spread,
            Owed::Recovery => mean * RECOVERY_SHARE * spread,
            Owed::Delta => (mean * spread).min(bytes_max as f64),
        };
        let kind = match (self.owed, self.held) {
            (Owed::Key, _) => FrameKind::Key,
            (Owed::Recovery, Some(_)) => FrameKind::Recovery,
            (Owed::Recovery | Owed::Delta, _) => FrameKind::Delta,
        };
        let coded = picture(kind, self.held, bytes as usize);
        self.keep(frame, kind);
        self.owed = Owed::Delta;
        (kind, coded)
    }

    /// As the encoder of `media` does: one anchor is pending at a time, and a recovery gives up on that.
    fn keep(&mut self, frame: Anchor, kind: FrameKind) {
        self.since_anchor += 1;
        match kind {
            FrameKind::Key => (self.held, self.pending, self.since_anchor) = (None, Some((frame, 0)), 0),
            FrameKind::Recovery => self.pending = None,
            FrameKind::Delta => {
                self.pending =
                    self.pending.map(|(anchor, age)| (anchor, age + 1)).filter(|(_, age)| *age < 30);
                if self.pending.is_none() && self.since_anchor >= ANCHOR_EVERY {
                    (self.pending, self.since_anchor) = (Some((frame, 0)), 0);
                }
            }
        }
    }
}

fn share_of_720p(size: Size) -> f64 {
    size.pixels() as f64 / PIXELS_720P
}

/// Annex B, with parameter sets or a note before what can be decoded after a loss.
fn picture(kind: FrameKind, from: Option<Anchor>, bytes: usize) -> Bytes {
    let slice = [0, 0, 0, 1, 0x41];
    let start: Vec<u8> = match (kind, from) {
        (FrameKind::Key, _) => vec![0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65],
        (FrameKind::Recovery, Some(anchor)) => [&[0, 0, 0, 1][..], &anchor.note(), &slice].concat(),
        (FrameKind::Recovery | FrameKind::Delta, _) => slice.to_vec(),
    };
    let mut data = start;
    data.resize(bytes.max(data.len() + 4), 0x55);
    data.into()
}
