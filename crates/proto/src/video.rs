//! What travels between an encoder, a connection and a decoder.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// Width and height of a picture, in pixels; both even and at least 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Makes a size; odd numbers are rounded down to the even one that 4:2:0 chroma needs.
    pub const fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width & !1, height & !1);
        Self { width: if width < 2 { 2 } else { width }, height: if height < 2 { 2 } else { height } }
    }

    /// The same shape, made smaller where it would not fit into `most`.
    pub fn within(self, most: Self) -> Self {
        let (width, height) = (u64::from(self.width.max(1)), u64::from(self.height.max(1)));
        let (wide, high) = (u64::from(most.width), u64::from(most.height));
        if width <= wide && height <= high {
            return self;
        }
        // The side that exceeds more decides; both results are at most those of `most`.
        if width * high > height * wide {
            Self::new(most.width, (height * wide / width) as u32)
        } else {
            Self::new((width * high / height) as u32, most.height)
        }
    }

    /// Number of luma samples.
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A rate of data in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(pub u32);

impl Bitrate {
    /// A rate in units of 1000 bit/s; saturates at 4.29 Gbit/s.
    pub const fn from_kbps(kbps: u32) -> Self {
        Self(kbps.saturating_mul(1000))
    }

    /// The rate in units of 1000 bit/s, rounded down.
    pub const fn as_kbps(self) -> u32 {
        self.0 / 1000
    }
}

impl std::fmt::Display for Bitrate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} kbit/s", self.as_kbps())
    }
}

/// Time on a sender's monotonic clock since that process's epoch, in microseconds.
///
/// The robot stamps telemetry, pictures and echoes with it, so every age is a difference on one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CarTime(pub u64);

impl CarTime {
    /// Time of `at` on the clock that started at `epoch`; zero before it.
    pub fn since(epoch: Instant, at: Instant) -> Self {
        Self(at.saturating_duration_since(epoch).as_micros() as u64)
    }

    /// Milliseconds modulo 2^32, as `car_ms` fields carry it (wraps after 49.7 days).
    pub const fn as_ms(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// The RTP timestamp of a picture captured at this time.
    pub const fn media_time(self) -> MediaTime {
        MediaTime((self.0 * 9 / 100) as u32)
    }

    /// The id of a picture captured at this time (see [`FrameId`]).
    pub const fn frame_id(self) -> FrameId {
        self.media_time().frame_id()
    }
}

/// An RTP timestamp: 90 kHz modulo 2^32 (RFC 6184 section 5.1).
///
/// A robot's video stamps are its [`CarTime`] of capture without a random offset (RFC 3550 section 5.1 recommends
/// one against known-plaintext attacks, which do not apply to SRTP). So any receiver, a browser's
/// `requestVideoFrameCallback` included, knows when a picture was captured without a header extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MediaTime(pub u32);

impl MediaTime {
    /// Id of the picture with this timestamp.
    pub const fn frame_id(self) -> FrameId {
        FrameId((self.0 / 90) as u16)
    }

    /// The [`CarTime`] nearest to `near` whose RTP timestamp this is.
    pub const fn unwrap_near(self, near: CarTime) -> CarTime {
        let delta = self.0.wrapping_sub(near.media_time().0) as i32 as i64;
        let us = near.0 as i64 + delta * 100 / 9;
        CarTime(if us < 0 { 0 } else { us as u64 })
    }
}

/// Names a picture on the wire: its capture time in whole milliseconds of the 90 kHz clock, modulo 2^16.
///
/// Pictures are at least 4 ms apart, so neighbours differ; it repeats after 65.5 s, far beyond any age that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameId(pub u16);

/// What a coded picture leans on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An IDR picture with its parameter sets.
    Key,
    /// Predicted from earlier pictures.
    Delta,
    /// Predicted from an [anchor](crate::anchor) alone: who holds that one can go on here after any loss.
    Recovery,
}

/// One coded H.264 picture in Annex B form (start codes, parameter sets before each IDR).
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    /// The NAL units with start codes.
    pub data: Bytes,
    /// What it leans on.
    pub kind: FrameKind,
    /// RTP timestamp; on a robot's stream also its capture time.
    pub media_time: MediaTime,
    /// When this process got it: at the sender the end of encoding, at the receiver the arrival of the packet that
    /// completed it.
    pub arrived_at: Instant,
    /// At the receiver the time from its first packet to its last; at the sender the time spent encoding.
    pub spent: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_made_to_fit_keeps_its_shape_and_is_never_enlarged() {
        let most = Size::new(1280, 720);
        for (width, height, want) in [
            (640, 480, (640, 480)),
            (1280, 720, (1280, 720)),
            (1920, 1080, (1280, 720)),
            (1600, 1200, (960, 720)),
            (2560, 720, (1280, 360)),
            (720, 1280, (404, 720)),
            (u32::MAX, 2, (1280, 2)),
        ] {
            let got = Size::new(width, height).within(most);
            assert_eq!((got.width, got.height), want, "{width}x{height}");
        }
    }
}
