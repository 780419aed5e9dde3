//! Whether a captured frame is worth encoding: the main lever on the age of the picture.
//!
//! A frame that would wait in a queue is better replaced by a fresher one when the queue is gone. Frames are dropped
//! before the encoder or after the decoder, never between.

use std::time::Duration;

/// Longer without news of the oldest packet than this, and the link stands still.
const STALL_MAX: Duration = Duration::from_millis(60);
/// Queue that may stand in the link beside what the round trip holds: less starves the link when a scheduler
/// grants in bursts, more is age (simulated on seeded links, docs/MEASUREMENTS.md).
const QUEUE_MAX: Duration = Duration::from_millis(37);
/// Bounds of the size of one frame, as shares of the nominal one.
const CAP_MIN: f64 = 0.5;
const CAP_MAX: f64 = 2.5;
/// A frame within this share of the interval before its time is not early: cameras jitter.
const EARLY_SHARE: f64 = 0.15;

/// What to do with a captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Encode it.
    Encode {
        /// What there is room for; half to two and a half nominal frames. An encoder whose rate control takes no limit for
        /// a single picture leaves it out: what it makes counts against the room of the next one.
        bytes_max: usize,
    },
    /// Let it go.
    Skip(Reason),
}

/// Why a frame is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The target has a lower frame rate than the camera.
    FrameRate,
    /// The link holds all that it should.
    Budget,
    /// The link stands still.
    Stall,
}

/// What the verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Bytes of which no report tells, and those still in the pacer.
    pub(super) used_bytes: usize,
    /// Service rate, bit/s.
    pub(super) service: f64,
    /// Time that bytes are in flight even on an empty link: base round trip and half a feedback interval.
    pub(super) round_trip: Duration,
    pub(super) stall: Duration,
    /// How long before its time at the target's frame rate the frame comes.
    pub(super) early: Duration,
    /// Of the target.
    pub(super) frame_interval: Duration,
    /// Of the target.
    pub(super) nominal_bytes: f64,
    /// As the encoder makes them of late.
    pub(super) expected_bytes: f64,
}

/// Bytes that may be under way.
pub(super) fn budget(service: f64, round_trip: Duration) -> f64 {
    service / 8.0 * (round_trip + QUEUE_MAX).as_secs_f64()
}

/// Decides on one frame.
pub(super) fn decide(load: &Load) -> Verdict {
    let room = budget(load.service, load.round_trip) - load.used_bytes as f64;
    if load.early > load.frame_interval.mul_f64(EARLY_SHARE) {
        Verdict::Skip(Reason::FrameRate)
    } else if load.stall > STALL_MAX {
        Verdict::Skip(Reason::Stall)
    // On a link so slow that half a frame exceeds the budget, an empty link must still take one.
    } else if room < load.nominal_bytes.max(load.expected_bytes) / 2.0 && load.used_bytes > 0 {
        Verdict::Skip(Reason::Budget)
    } else {
        let (least, most) = (load.nominal_bytes * CAP_MIN, load.nominal_bytes * CAP_MAX);
        Verdict::Encode { bytes_max: room.max(least).min(most) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::MS;
    use super::*;

    /// 2 Mbit/s and 63 ms: 25 000 bytes with the queue's 37 ms.
    const LOAD: Load = Load {
        used_bytes: 0,
        service: 2e6,
        round_trip: Duration::from_millis(63),
        stall: Duration::ZERO,
        early: Duration::ZERO,
        frame_interval: Duration::from_millis(33),
        nominal_bytes: 8000.0,
        expected_bytes: 8000.0,
    };

    #[test]
    fn each_limit_has_two_sides() {
        let encode = |bytes_max| Verdict::Encode { bytes_max };
        for (what, load, want) in [
            ("empty", LOAD, encode(20_000)),
            ("little room", Load { used_bytes: 15_000, ..LOAD }, encode(10_000)),
            ("half a frame of room", Load { used_bytes: 21_000, ..LOAD }, encode(4_000)),
            ("less", Load { used_bytes: 21_001, ..LOAD }, Verdict::Skip(Reason::Budget)),
            (
                "frames that come out larger than told",
                Load { used_bytes: 17_001, expected_bytes: 16_000.0, ..LOAD },
                Verdict::Skip(Reason::Budget),
            ),
            ("far over", Load { used_bytes: usize::MAX, ..LOAD }, Verdict::Skip(Reason::Budget)),
            ("short stall", Load { stall: MS * 60, ..LOAD }, encode(20_000)),
            ("stall", Load { stall: MS * 61, ..LOAD }, Verdict::Skip(Reason::Stall)),
            (
                "stalled and full",
                Load { stall: MS * 61, used_bytes: 30_000, ..LOAD },
                Verdict::Skip(Reason::Stall),
            ),
            ("jitter", Load { early: MS * 4, ..LOAD }, encode(20_000)),
            ("early", Load { early: MS * 5, ..LOAD }, Verdict::Skip(Reason::FrameRate)),
            ("a link that carries nothing, empty", Load { service: 0.0, ..LOAD }, encode(4_000)),
        ] {
            assert_eq!(decide(&load), want, "{what}");
        }
    }
}
