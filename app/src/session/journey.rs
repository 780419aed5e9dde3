//! Where each millisecond of a picture goes, from the camera to the graphics card (docs/MEASUREMENTS.md).

use std::time::{Duration, Instant};

use farwheel_proto::age::Histogram;
use farwheel_proto::control::telemetry::Slow;

use super::figures::Decoded;

/// A part of a picture's way. They follow each other without gap or overlap.
///
/// | stage | from | to | measured |
/// |---|---|---|---|
/// | `Capture` | exposure or start of drawing | raw picture with the encoder's thread | by the robot, without `Colour` |
/// | `Colour` | | | by the robot: conversion and scaling, where there is any |
/// | `Encode` | | | by the robot |
/// | `Packetise` | end of encoding | last packet with the connection's engine | by the robot |
/// | `Wire` | there | last packet here | difference of the two clocks |
/// | `Assemble` | there | whole picture with the decoder's thread | here |
/// | `Decode` | | | here |
/// | `Upload` | | planes with the graphics card's driver | here, where a window draws |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Exposure or drawing.
    Capture,
    /// Colour conversion and scaling.
    Colour,
    /// In the encoder.
    Encode,
    /// From the encoder through the connection's queue into packets.
    Packetise,
    /// Encryption, sockets, network.
    Wire,
    /// From packets to the decoder.
    Assemble,
    /// In the decoder.
    Decode,
    /// Planes to textures.
    Upload,
}

impl Stage {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 8] = [
        Self::Capture,
        Self::Colour,
        Self::Encode,
        Self::Packetise,
        Self::Wire,
        Self::Assemble,
        Self::Decode,
        Self::Upload,
    ];

    /// Its name in `--stats-json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Colour => "colour",
            Self::Encode => "encode",
            Self::Packetise => "packetise",
            Self::Wire => "wire",
            Self::Assemble => "assemble",
            Self::Decode => "decode",
            Self::Upload => "upload",
        }
    }
}

/// Times of all stages in one stay.
#[derive(Debug)]
pub struct Journey {
    counted_from: Instant,
    stages: [Histogram; Stage::ALL.len()],
    // From capture to the last packet's departure, as the robot told last.
    on_robot: Option<Duration>,
}

impl Journey {
    /// Nothing known yet; what happens before `counted_from` is not counted.
    pub fn new(counted_from: Instant) -> Self {
        Self { counted_from, stages: Default::default(), on_robot: None }
    }

    /// Takes slow telemetry, which holds medians of the robot's last pictures, at `now`.
    pub fn handle_slow(&mut self, slow: &Slow, now: Instant) {
        let us = |value: Option<u32>| value.map(|us| Duration::from_micros(us.into()));
        let told = [
            (Stage::Capture, us(slow.capture_us)),
            (Stage::Colour, us(slow.convert_us)),
            (Stage::Encode, us(slow.encode_us)),
            (Stage::Packetise, us(slow.send_us)),
        ];
        // Without one of these the rest would count as wire; only a conversion may be absent.
        let complete = told.iter().all(|(stage, took)| *stage == Stage::Colour || took.is_some());
        self.on_robot = complete.then(|| told.iter().filter_map(|(_, took)| *took).sum());
        for (stage, took) in told {
            if let Some(took) = took {
                self.record(stage, took, now);
            }
        }
    }

    /// Takes a decoded picture.
    pub fn handle_decoded(&mut self, picture: &Decoded) {
        let now = picture.decoded_at;
        if let (Some(captured), Some(on_robot)) = (picture.captured, self.on_robot) {
            let whole = picture.arrived_at.saturating_duration_since(captured);
            self.record(Stage::Wire, whole.saturating_sub(on_robot), now);
        }
        let waited = picture.begun_at.saturating_duration_since(picture.arrived_at);
        self.record(Stage::Assemble, waited, now);
        self.record(Stage::Decode, picture.decode, now);
    }

    /// Takes the time that handing a picture's planes to the graphics card took, at `now`.
    pub fn handle_upload(&mut self, took: Duration, now: Instant) {
        self.record(Stage::Upload, took, now);
    }

    /// Median of each stage that is known, in the order of the way.
    pub fn medians(&self) -> Vec<(Stage, Duration)> {
        let known =
            Stage::ALL.into_iter().zip(&self.stages).map(|(stage, times)| (stage, times.percentiles()));
        known.filter(|(_, times)| times.count > 0).map(|(stage, times)| (stage, times.p50)).collect()
    }

    fn record(&mut self, stage: Stage, took: Duration, now: Instant) {
        if now >= self.counted_from {
            self.stages[stage as usize].record(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::video::{FrameId, Size};

    use super::*;

    const US: Duration = Duration::from_micros(1);

    /// Captured at `start`, with the robot for 6 ms, then 2 ms on the wire, 0.3 ms to the decoder and 1.5 ms in it.
    fn picture(start: Instant) -> Decoded {
        Decoded {
            id: FrameId(1),
            captured: Some(start),
            stamped: None,
            arrived_at: start + 8000 * US,
            begun_at: start + 8300 * US,
            decode: 1500 * US,
            decoded_at: start + 9800 * US,
            size: Size::new(640, 480),
            bytes: 1000,
        }
    }

    fn slow() -> Slow {
        Slow {
            capture_us: Some(1000),
            convert_us: Some(500),
            encode_us: Some(4000),
            send_us: Some(500),
            ..Slow::default()
        }
    }

    #[test]
    fn the_stages_follow_each_other_and_sum_up_to_the_frame_delay() {
        let start = Instant::now();
        let mut journey = Journey::new(start);
        journey.handle_slow(&slow(), start);
        let picture = picture(start);
        journey.handle_decoded(&picture);
        let medians = journey.medians();
        let us: Vec<_> = medians.iter().map(|(stage, took)| (stage.name(), took.as_micros())).collect();
        let want = [
            ("capture", 1000),
            ("colour", 500),
            ("encode", 4000),
            ("packetise", 500),
            ("wire", 2000),
            ("assemble", 300),
            ("decode", 1500),
        ];
        assert_eq!(us, want);
        let sum: Duration = medians.iter().map(|(_, took)| *took).sum();
        assert_eq!(sum, picture.decoded_at - start);
        journey.handle_upload(200 * US, picture.decoded_at);
        assert_eq!(journey.medians().last(), Some(&(Stage::Upload, 200 * US)));
    }

    #[test]
    fn what_the_robot_does_not_tell_is_not_taken_for_the_wire() {
        let start = Instant::now();
        let known = |slow: Slow| {
            let mut journey = Journey::new(start);
            journey.handle_slow(&slow, start);
            journey.handle_decoded(&picture(start));
            journey.medians().into_iter().map(|(stage, _)| stage).collect::<Vec<_>>()
        };
        assert!(known(Slow { convert_us: None, ..slow() }).contains(&Stage::Wire));
        assert!(!known(Slow { send_us: None, ..slow() }).contains(&Stage::Wire));
        assert!(!known(Slow { encode_us: None, ..slow() }).contains(&Stage::Wire));
    }

    #[test]
    fn what_happens_before_the_counted_time_is_left_out() {
        let start = Instant::now();
        let mut journey = Journey::new(start + 9801 * US);
        journey.handle_slow(&slow(), start);
        journey.handle_decoded(&picture(start));
        assert_eq!(journey.medians(), []);
        journey.handle_decoded(&picture(start + US));
        assert_eq!(journey.medians().len(), 3, "what was told before still dates the wire");
    }
}
