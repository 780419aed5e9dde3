//! Where the time goes: ages, delays and rates of one stay (docs/MEASUREMENTS.md).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_proto::age::{Histogram, PictureAge, Report};
use farwheel_proto::control::telemetry::{Fast, Slow};
use farwheel_proto::video::{FrameId, Size};

use super::journey::Journey;
use crate::model::drive::Stages;

/// What the decode thread knows of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    /// Its name on the wire.
    pub id: FrameId,
    /// When it was captured, on this side's clock; `None` while the clocks are not compared yet.
    pub captured: Option<Instant>,
    /// When it was stamped, by the strip in its pixels, on this side's clock.
    pub stamped: Option<Instant>,
    /// When its last packet arrived.
    pub arrived_at: Instant,
    /// When the decoder got it.
    pub begun_at: Instant,
    /// Time spent decoding.
    pub decode: Duration,
    /// When it came out of the decoder.
    pub decoded_at: Instant,
    /// Its size.
    pub size: Size,
    /// Length of its coded form.
    pub bytes: usize,
}

/// Accounts of one stay in a room.
#[derive(Debug)]
pub struct Figures {
    started: Instant,
    by_header: PictureAge,
    by_strip: PictureAge,
    strips: u64,
    // Full: the oldest of 64 goes; nothing is presented so late.
    recent: VecDeque<Decoded>,
    stages: Stages,
    journey: Journey,
    network: Histogram,
    decode: Histogram,
    present: Histogram,
    loop_age: Histogram,
    rtt: Histogram,
    stick: Histogram,
    arrivals: Window,
    shown: Window,
    robot_stages: (Duration, Duration),
    newest_shown: Option<FrameId>,
    psnr: (f64, u32),
    totals: Totals,
}

/// Counters of one stay.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Pictures decoded.
    pub decoded: u64,
    /// Pictures shown (headless: decoded).
    pub shown: u64,
    /// Pictures that could not be decoded.
    pub broken: u64,
    /// Bytes of video received.
    pub bytes: u64,
    /// From the start to the first picture shown.
    pub first_picture: Option<Duration>,
    /// Size of the newest picture.
    pub size: Option<Size>,
}

/// Percentiles of everything, by name.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Ages by capture time and clock offset.
    pub by_header: Report,
    /// Ages by the strip in the pixels; `None` when there is none.
    pub by_strip: Option<Report>,
    /// Named histograms, in the order they are shown.
    pub rows: Vec<(&'static str, farwheel_proto::age::Percentiles)>,
    /// Mean likeness of stamped pictures to what was sent, in dB.
    pub psnr_db: Option<f64>,
    /// Counters.
    pub totals: Totals,
    /// Time since the start.
    pub lasted: Duration,
}

impl Figures {
    /// From `now` on; the first `left_out` is not counted in percentiles.
    pub fn new(now: Instant, left_out: Duration) -> Self {
        Self {
            started: now,
            by_header: PictureAge::new(now, left_out),
            by_strip: PictureAge::new(now, left_out),
            strips: 0,
            recent: VecDeque::new(),
            stages: Stages::default(),
            journey: Journey::new(now + left_out),
            network: Histogram::default(),
            decode: Histogram::default(),
            present: Histogram::default(),
            loop_age: Histogram::default(),
            rtt: Histogram::default(),
            stick: Histogram::default(),
            arrivals: Window::default(),
            shown: Window::default(),
            robot_stages: (Duration::ZERO, Duration::ZERO),
            newest_shown: None,
            psnr: (0.0, 0),
            totals: Totals::default(),
        }
    }

    /// Takes a decoded picture.
    pub fn handle_decoded(&mut self, picture: Decoded) {
        self.totals.decoded += 1;
        self.totals.bytes += picture.bytes as u64;
        self.totals.size = Some(picture.size);
        self.arrivals.add(picture.arrived_at, picture.bytes);
        self.journey.handle_decoded(&picture);
        let decode = picture.decoded_at.saturating_duration_since(picture.arrived_at);
        self.decode.record(decode);
        smooth(&mut self.stages.decode, decode);
        if let Some(captured) = picture.captured {
            let (capture, encode) = self.robot_stages;
            let whole = picture.arrived_at.saturating_duration_since(captured);
            let network = whole.saturating_sub(capture + encode);
            self.network.record(network);
            smooth(&mut self.stages.network, network);
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(picture);
    }

    /// Takes a picture that could not be decoded.
    pub fn handle_broken(&mut self, bytes: usize) {
        self.totals.broken += 1;
        self.totals.bytes += bytes as u64;
    }

    /// Takes the news that picture `id` is shown since `at`.
    pub fn handle_shown(&mut self, id: FrameId, at: Instant) {
        let Some(picture) = self.recent.iter().rev().find(|p| p.id == id).copied() else { return };
        self.totals.shown += 1;
        self.newest_shown = Some(id);
        self.totals.first_picture.get_or_insert(at.saturating_duration_since(self.started));
        self.shown.add(at, 1);
        let present = at.saturating_duration_since(picture.decoded_at);
        self.present.record(present);
        smooth(&mut self.stages.present, present);
        // Before the clocks are compared the arrival stands for the capture: too young by the network's delay, for
        // the few pictures of the first 100 ms.
        self.by_header.handle_shown(picture.captured.unwrap_or(picture.arrived_at), at);
        if let Some(stamped) = picture.stamped {
            self.strips += 1;
            self.by_strip.handle_shown(stamped, at);
        }
    }

    /// Takes the news that the source was turned off: the picture shown last ages no further.
    pub fn handle_gone(&mut self, now: Instant) {
        self.by_header.handle_gone(now);
        self.by_strip.handle_gone(now);
    }

    /// Takes fast telemetry.
    pub fn handle_fast(&mut self, fast: &Fast) {
        if let Some(ms) = fast.loop_age_ms {
            self.loop_age.record(Duration::from_millis(ms.into()));
        }
    }

    /// Takes the time that handing a picture to the graphics card took, at `now`.
    pub fn handle_upload(&mut self, took: Duration, now: Instant) {
        self.journey.handle_upload(took, now);
    }

    /// Takes slow telemetry that arrived at `now`.
    pub fn handle_slow(&mut self, slow: &Slow, now: Instant) {
        self.journey.handle_slow(slow, now);
        let us = |value: Option<u32>| value.map(|us| Duration::from_micros(us.into()));
        let capture = us(slow.capture_us).unwrap_or_default() + us(slow.convert_us).unwrap_or_default();
        self.stages.capture = slow.capture_us.map(|_| capture);
        self.stages.encode = us(slow.encode_us);
        self.robot_stages = (capture, us(slow.encode_us).unwrap_or_default());
    }

    /// Takes a round trip of the clock probes.
    pub fn handle_rtt(&mut self, rtt: Duration) {
        self.rtt.record(rtt);
    }

    /// Takes the time from a change of the sticks to the command that carries it.
    pub fn handle_stick(&mut self, delay: Duration) {
        self.stick.record(delay);
    }

    /// Takes the likeness of one picture to what was sent, in dB.
    pub fn handle_psnr(&mut self, psnr_db: f64) {
        self.psnr = (self.psnr.0 + psnr_db, self.psnr.1 + 1);
    }

    /// The pictures decoded last and shown last.
    pub fn newest(&self) -> (Option<FrameId>, Option<FrameId>) {
        (self.recent.back().map(|picture| picture.id), self.newest_shown)
    }

    /// Age of the picture shown; none before the first.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.by_header.age(now)
    }

    /// Time since the picture shown last changed; none before the first.
    pub fn unchanged(&self, now: Instant) -> Option<Duration> {
        self.by_header.unchanged(now)
    }

    /// Bits per second received in the last second.
    pub fn bitrate(&mut self, now: Instant) -> f64 {
        self.arrivals.sum(now) as f64 * 8.0
    }

    /// Pictures shown in the last second.
    pub fn fps(&mut self, now: Instant) -> f32 {
        self.shown.sum(now) as f32
    }

    /// Where each millisecond goes, for a table.
    pub fn journey(&self) -> &Journey {
        &self.journey
    }

    /// Where the time goes, for a bar.
    pub fn stages(&self) -> Stages {
        self.stages
    }

    /// Counters.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// All percentiles up to `now`.
    pub fn summary(&mut self, now: Instant) -> Summary {
        let by_header = self.by_header.report(now);
        let by_strip = (self.strips > 0).then(|| self.by_strip.report(now));
        let rows = vec![
            ("Picture age", by_header.picture_age),
            ("Frame delay", by_header.frame_delay),
            ("Loop age", self.loop_age.percentiles()),
            ("Round trip", self.rtt.percentiles()),
            ("Network", self.network.percentiles()),
            ("Decode", self.decode.percentiles()),
            ("Present", self.present.percentiles()),
            ("Stick to command", self.stick.percentiles()),
        ];
        let lasted = now.saturating_duration_since(self.started);
        let psnr_db = (self.psnr.1 > 0).then(|| self.psnr.0 / f64::from(self.psnr.1));
        Summary { by_header, by_strip, psnr_db, rows, totals: self.totals, lasted }
    }
}

/// What was added in the last second.
#[derive(Debug, Default)]
struct Window {
    // Full: cannot be; a second holds at most 250 pictures (FrameId), more are dropped oldest first.
    added: VecDeque<(Instant, usize)>,
}

impl Window {
    fn add(&mut self, at: Instant, amount: usize) {
        if self.added.len() >= WINDOW_MAX {
            self.added.pop_front();
        }
        self.added.push_back((at, amount));
    }

    fn sum(&mut self, now: Instant) -> usize {
        while self.added.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.added.pop_front();
        }
        self.added.iter().map(|(_, amount)| amount).sum()
    }
}

/// Moves a shown value a tenth of the way, so that the bar is readable.
fn smooth(shown: &mut Option<Duration>, value: Duration) {
    *shown = Some(shown.map_or(value, |before| before.mul_f64(0.9) + value.mul_f64(0.1)));
}

const RECENT_MAX: usize = 64;
const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(id: u16, start: Instant, captured_ms: u64) -> Decoded {
        let at = |ms| start + Duration::from_millis(ms);
        Decoded {
            id: FrameId(id),
            captured: Some(at(captured_ms)),
            stamped: Some(at(captured_ms)),
            arrived_at: at(captured_ms + 20),
            begun_at: at(captured_ms + 21),
            decode: Duration::from_millis(4),
            decoded_at: at(captured_ms + 25),
            size: Size::new(640, 480),
            bytes: 1000,
        }
    }

    #[test]
    fn thirty_pictures_a_second_give_their_delay_age_rates_and_stages() {
        let start = Instant::now();
        let mut figures = Figures::new(start, Duration::ZERO);
        let slow = Slow { capture_us: Some(1000), encode_us: Some(5000), ..Slow::default() };
        figures.handle_slow(&slow, start);
        for i in 0..60u16 {
            let captured_ms = u64::from(i) * 100 / 3;
            figures.handle_decoded(picture(i, start, captured_ms));
            figures.handle_shown(FrameId(i), start + Duration::from_millis(captured_ms + 30));
        }
        let now = start + Duration::from_millis(2000);
        let summary = figures.summary(now);
        let close = |got: Duration, want_ms: f64| (got.as_secs_f64() * 1e3 - want_ms).abs() < 1.0;
        assert!(close(summary.by_header.frame_delay.p50, 30.0), "{summary:?}");
        assert!(close(summary.by_header.picture_age.p50, 45.0), "{summary:?}");
        assert_eq!(summary.by_strip, Some(summary.by_header), "both methods agree on one clock");
        assert_eq!(summary.totals.first_picture, Some(Duration::from_millis(30)));
        let stages = figures.stages();
        assert!(close(stages.network.unwrap(), 14.0) && close(stages.decode.unwrap(), 5.0), "{stages:?}");
        assert!(close(stages.present.unwrap(), 5.0));
        assert!((29.0..=31.0).contains(&figures.fps(now)));
        assert!((232_000.0..=248_000.0).contains(&figures.bitrate(now)), "{}", figures.bitrate(now));
    }

    #[test]
    fn a_picture_never_decoded_here_is_not_counted_as_shown() {
        let start = Instant::now();
        let mut figures = Figures::new(start, Duration::ZERO);
        figures.handle_shown(FrameId(9), start);
        assert_eq!(figures.totals().shown, 0);
        assert_eq!(figures.age(start), None);
    }

    #[test]
    fn without_compared_clocks_the_network_is_not_guessed() {
        let start = Instant::now();
        let mut figures = Figures::new(start, Duration::ZERO);
        figures.handle_decoded(Decoded { captured: None, stamped: None, ..picture(1, start, 0) });
        assert_eq!(figures.stages().network, None);
        assert!(figures.summary(start).by_strip.is_none());
    }
}
