//! A model of the encoder: sizes, not pictures.

use std::time::Duration;

use bytes::Bytes;
use farwheel_proto::rate::Target;
use farwheel_proto::video::{FrameKind, Size};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Spread of a frame's size: the largest of 100 is 1.19 times the mean (OpenH264 in bitrate mode at 1 Mbit/s).
const SPREAD: f64 = 0.08;
/// A new rate is followed within five frames (OpenH264): this share of the way with each.
const FOLLOW: f64 = 0.4;
/// A key frame over the mean one, at 300 kbit/s.
const KEY_SHARE: f64 = 8.0;
/// A key frame at 1280x720 has 20.1 kB, whatever the rate; it shrinks with the picture.
const KEY_BYTES_720P: f64 = 20_100.0;
/// A recovery frame over a key frame: 6.1 kB and 20.1 kB.
const RECOVERY_SHARE: f64 = 0.3;
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
    random: StdRng,
}

impl Encoder {
    pub(super) fn new(target: Target, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { target, reached: f64::from(target.bitrate.0), owed: Owed::Key, random }
    }

    pub(super) fn set_target(&mut self, target: Target) {
        if target.size != self.target.size {
            self.owed = Owed::Key;
        }
        self.target = target;
    }

    /// The receiver gave a picture up.
    pub(super) fn order_recovery(&mut self) {
        if self.owed == Owed::Delta {
            self.owed = Owed::Recovery;
        }
    }

    /// Time that a frame takes.
    pub(super) fn time(&self) -> Duration {
        TIME_720P.mul_f64(self.target.size.pixels() as f64 / PIXELS_720P)
    }

    /// The next frame. A key frame takes no account of the limit: its content decides.
    pub(super) fn encode(&mut self, bytes_max: usize) -> (FrameKind, Bytes) {
        self.reached += (f64::from(self.target.bitrate.0) - self.reached) * FOLLOW;
        let mean = self.reached / 8.0 / f64::from(self.target.fps.max(1));
        let key = (mean * KEY_SHARE).min(KEY_BYTES_720P * share_of_720p(self.target.size));
        // The sum of twelve evenly spread numbers is as good as normal.
        let normal = (0..12).map(|_| self.random.random_range(0.0..1.0)).sum::<f64>() - 6.0;
        let spread = 1.0 + SPREAD * normal;
        let bytes = match self.owed {
            Owed::Key => key * spread,
            Owed::Recovery => (key * RECOVERY_SHARE).max(mean).min(bytes_max as f64) * spread.min(1.0),
            Owed::Delta => (mean * spread).min(bytes_max as f64),
        };
        let kind = if self.owed == Owed::Delta { FrameKind::Delta } else { FrameKind::Key };
        self.owed = Owed::Delta;
        (kind, picture(kind, bytes as usize))
    }
}

fn share_of_720p(size: Size) -> f64 {
    size.pixels() as f64 / PIXELS_720P
}

/// Annex B, with parameter sets before what can be decoded after a loss: to the assembler a recovery frame is a key
/// frame.
fn picture(kind: FrameKind, bytes: usize) -> Bytes {
    let start: &[u8] = match kind {
        FrameKind::Key => &[0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65],
        FrameKind::Delta => &[0, 0, 0, 1, 0x41],
    };
    let mut data = start.to_vec();
    data.resize(bytes.max(start.len() + 4), 0x55);
    data.into()
}
