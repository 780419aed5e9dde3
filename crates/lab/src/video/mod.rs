//! Video over a cellular link in virtual time: camera, gate, encoder, pacer, link, repair, screen.
//!
//! The rate controller, the pacer and the assembler are the real ones of `proto`; camera, encoder, decoder and link
//! are models. Commands go the other way at 50 Hz, and telemetry beside the video at 20 Hz: neither is paced nor
//! waits behind video in the sender.

mod encoder;
mod figures;
mod plot;
mod receiver;
mod sender;

use std::time::{Duration, Instant};

use farwheel_proto::rtp::Packet;
use farwheel_proto::video::{Bitrate, CarTime, MediaTime, Size};

use crate::clock::{MachineClock, Schedule, VirtualTime};
use crate::link::{Bottleneck, Conditions, Sent, Trace};
use receiver::{Back, Receiver};
use sender::{Outgoing, Sender};

pub use figures::{LEFT_OUT, Points, Shown, ages, frame_delay, oracle, picture_age, stall};
pub use plot::{Curve, svg};

/// Time between two reports: 100 ms costs 15 % in the 95th percentile of the age (simulated).
pub(crate) const FEEDBACK: Duration = Duration::from_millis(25);
/// Decoding and upload of 1280x720 (docs/MEASUREMENTS.md).
const DECODE: Duration = Duration::from_micros(2_300);
const CONTROL_EVERY: Duration = Duration::from_millis(20);
const TELEMETRY_EVERY: Duration = Duration::from_millis(50);
/// Of a command or a line of telemetry, with all headers.
const DATAGRAM_BYTES: usize = 150;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// What decides on the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    Full,
    /// The rate is controlled, and every frame is encoded.
    GateOff,
    /// No control at all.
    Fixed(Bitrate),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The way of the video.
    pub up: Trace,
    /// The way of reports and commands.
    pub down: Trace,
    /// Each way, after the queue.
    pub delay: Duration,
    /// Of each queue.
    pub queue_bytes: usize,
    /// Share lost at random, on the way of the video.
    pub loss: f64,
    /// How long.
    pub duration: Duration,
    /// The camera's picture.
    pub camera: Size,
    /// The camera's frames a second.
    pub fps: u32,
    /// Most to send.
    pub bitrate_max: Bitrate,
    /// What decides.
    pub mode: Mode,
    /// What helps after packets that are lost for good.
    pub remedy: Remedy,
    /// Of loss and encoder.
    pub seed: u64,
}

/// What helps after packets that are lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A recovery from an anchor that the receiver holds, ordered by the sender.
    Recovery,
    /// A key frame, when the receiver asks for it.
    KeyFrame,
}

impl Scenario {
    /// 1280x720 at 30 frames a second and at most 4 Mbit/s, 25 ms each way, 150 kB of queue, 20 Mbit/s back.
    pub fn new(up: Trace, duration: Duration) -> Self {
        Self {
            up,
            down: Trace::synthetic(1_000, |_| 20e6),
            delay: Duration::from_millis(25),
            queue_bytes: 150_000,
            loss: 0.0,
            duration,
            camera: Size::new(1280, 720),
            fps: 30,
            bitrate_max: Bitrate::from_kbps(4000),
            mode: Mode::Full,
            remedy: Remedy::Recovery,
            seed: 1,
        }
    }

    /// Runs it.
    pub fn run(&self) -> Report {
        World::new(self).run()
    }
}

/// The link and the picture at one moment, for plots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// End of the 100 ms.
    pub at: VirtualTime,
    /// What the link could carry in them.
    pub capacity_kbps: f64,
    /// What was sent in them.
    pub sent_kbps: f64,
    /// What the controller believed.
    pub believed_kbps: f64,
    /// What the encoder was told.
    pub target_kbps: f64,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Every picture shown.
    pub shown: Vec<Shown>,
    /// Percentiles of the picture's age.
    pub picture_age: Points,
    /// Percentiles of shown minus captured.
    pub frame_delay: Points,
    /// Sum of the gaps above 200 ms.
    pub stall: Duration,
    /// Video delivered over what the link, or the most to send, allowed.
    pub utilisation: f64,
    /// Delay of commands.
    pub control: Points,
    /// Delay of telemetry.
    pub telemetry: Points,
    /// Video delivered from the fourth second on: when, and bytes.
    pub delivered: Vec<(VirtualTime, usize)>,
    /// Frames encoded, and skipped by the gate.
    pub frames: (u64, u64),
    /// Packets of video lost, repairs sent, recovery frames ordered.
    pub losses: (u64, u64, u64),
    /// Every 100 ms.
    pub samples: Vec<Sample>,
}

#[derive(Debug)]
enum Event {
    Capture,
    Encoded { captured: VirtualTime, bytes_max: usize },
    Wake,
    Up(Upward, usize),
    Down(Downward),
    Report,
    Control,
    Telemetry,
    Sample,
}

#[derive(Debug)]
enum Upward {
    Video(u16, Packet),
    Probe(u16),
    Telemetry(VirtualTime),
}

#[derive(Debug)]
enum Downward {
    Back(Back),
    Control(VirtualTime),
}

struct World<'a> {
    scenario: &'a Scenario,
    clock: MachineClock,
    schedule: Schedule<Event>,
    wake_at: Option<VirtualTime>,
    sender: Sender,
    receiver: Receiver,
    up: Bottleneck<(Upward, usize)>,
    down: Bottleneck<Downward>,
    shown: Vec<Shown>,
    delivered: Vec<(VirtualTime, usize)>,
    lost: u64,
    sent_bytes: usize,
    control: Vec<Duration>,
    telemetry: Vec<Duration>,
    samples: Vec<Sample>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let clock = MachineClock::new(0);
        let start = clock.at(VirtualTime::ZERO);
        let conditions = Conditions {
            delay: scenario.delay,
            queue_bytes: scenario.queue_bytes,
            loss: scenario.loss,
            burst: 1.0,
        };
        Self {
            scenario,
            clock,
            schedule: Schedule::default(),
            wake_at: None,
            sender: Sender::new(scenario, start),
            // With the wait for a grant and behind the frame's other packets.
            receiver: Receiver::new(scenario.delay * 2 + Duration::from_millis(10)),
            up: Bottleneck::new(scenario.up.clone(), conditions, scenario.seed),
            down: Bottleneck::new(
                scenario.down.clone(),
                Conditions { loss: 0.0, ..conditions },
                scenario.seed,
            ),
            shown: Vec::new(),
            delivered: Vec::new(),
            lost: 0,
            sent_bytes: 0,
            control: Vec::new(),
            telemetry: Vec::new(),
            samples: Vec::new(),
        }
    }

    fn run(mut self) -> Report {
        let end = VirtualTime::ZERO.after(self.scenario.duration);
        for event in [Event::Capture, Event::Report, Event::Control, Event::Telemetry, Event::Sample] {
            self.schedule.add(VirtualTime::ZERO, event);
        }
        while let Some(event) = self.schedule.next_until(end) {
            self.handle(event);
            self.settle();
        }
        self.report(end)
    }

    fn handle(&mut self, event: Event) {
        let now = self.schedule.now();
        let instant = self.clock.at(now);
        match event {
            Event::Capture => {
                self.again(Duration::from_secs(1) / self.scenario.fps, Event::Capture);
                if let Some((time, bytes_max)) = self.sender.handle_capture(instant) {
                    self.schedule.add(now.after(time), Event::Encoded { captured: now, bytes_max });
                }
            }
            Event::Encoded { captured, bytes_max } => {
                self.sender.handle_encoded(CarTime(captured.0).media_time(), bytes_max);
            }
            // One that an earlier one replaced is no reason to plan another.
            Event::Wake => self.wake_at = self.wake_at.filter(|at| *at > now),
            Event::Up(upward, bytes) => self.arrive(upward, bytes, now, instant),
            Event::Down(Downward::Control(sent)) => self.control.push(now.since(sent)),
            Event::Down(Downward::Back(Back::Report(report))) => self.sender.handle_report(&report, instant),
            Event::Down(Downward::Back(Back::Nack(sequences))) => {
                self.sender.handle_nack(&sequences, instant)
            }
            Event::Down(Downward::Back(Back::RequestRecovery)) => {
                self.sender.handle_recovery_request(instant)
            }
            Event::Down(Downward::Back(Back::Decoded(media_time))) => self.sender.handle_decoded(media_time),
            Event::Report => {
                self.again(FEEDBACK, Event::Report);
                if let Some(report) = self.receiver.report() {
                    self.send_back(report);
                }
            }
            Event::Control => {
                self.again(CONTROL_EVERY, Event::Control);
                self.down.send(Downward::Control(now), DATAGRAM_BYTES, now);
            }
            Event::Telemetry => {
                self.again(TELEMETRY_EVERY, Event::Telemetry);
                self.up.send((Upward::Telemetry(now), DATAGRAM_BYTES), DATAGRAM_BYTES, now);
            }
            Event::Sample => self.sample(now, instant),
        }
    }

    fn arrive(&mut self, upward: Upward, bytes: usize, now: VirtualTime, instant: Instant) {
        match upward {
            Upward::Video(number, packet) => {
                self.receiver.handle_number(number, now);
                self.receiver.handle_packet(packet, instant);
                self.delivered.push((now, bytes));
            }
            Upward::Probe(number) => self.receiver.handle_number(number, now),
            Upward::Telemetry(sent) => self.telemetry.push(now.since(sent)),
        }
    }

    /// Lets every part do what is due, and comes back when the next thing is.
    fn settle(&mut self) {
        let now = self.schedule.now();
        let instant = self.clock.at(now);
        self.sender.handle_timeout(instant);
        while let Some((number, outgoing, bytes)) = self.sender.poll_packet(instant) {
            self.sent_bytes += bytes;
            let upward = match outgoing {
                Outgoing::Video(packet) => Upward::Video(number, packet),
                Outgoing::Probe => Upward::Probe(number),
            };
            if self.up.send((upward, bytes), bytes, now) != Sent::Queued {
                self.lost += 1;
            }
        }
        let (back, pictures) = self.receiver.handle_timeout(instant);
        back.into_iter().for_each(|back| self.send_back(back));
        for media_time in pictures {
            self.shown.push(Shown { at: now.after(DECODE), captured: captured(media_time, now) });
        }
        if self.up.poll_timeout().is_some_and(|at| at <= now) {
            for ((upward, bytes), at) in self.up.handle_timeout(now) {
                self.schedule.add(at, Event::Up(upward, bytes));
            }
        }
        if self.down.poll_timeout().is_some_and(|at| at <= now) {
            for (downward, at) in self.down.handle_timeout(now) {
                self.schedule.add(at, Event::Down(downward));
            }
        }
        let own =
            [self.sender.poll_timeout(instant), self.receiver.poll_timeout()].into_iter().flatten().min();
        let links = [self.up.poll_timeout(), self.down.poll_timeout()].into_iter().flatten().min();
        let next = [own.map(|at| self.virtual_time(at)), links].into_iter().flatten().min();
        if let Some(next) = next.map(|next| next.max(VirtualTime(now.0 + 1)))
            && self.wake_at.is_none_or(|at| next < at)
        {
            self.wake_at = Some(next);
            self.schedule.add(next, Event::Wake);
        }
    }

    fn send_back(&mut self, back: Back) {
        let bytes = match &back {
            // About two bytes of status and delta for each packet.
            Back::Report(report) => 80 + 2 * report.len(),
            Back::Nack(_) | Back::RequestRecovery | Back::Decoded(_) => 80,
        };
        self.down.send(Downward::Back(back), bytes, self.schedule.now());
    }

    fn sample(&mut self, now: VirtualTime, instant: Instant) {
        self.again(SAMPLE_EVERY, Event::Sample);
        let per_100ms = |bytes: usize| bytes as f64 * 8.0 / 100.0;
        let from = VirtualTime(now.0.saturating_sub(SAMPLE_EVERY.as_micros() as u64));
        self.samples.push(Sample {
            at: now,
            capacity_kbps: per_100ms(self.scenario.up.capacity_bytes(from, now)),
            sent_kbps: per_100ms(std::mem::take(&mut self.sent_bytes)),
            believed_kbps: f64::from(self.sender.status(instant).capacity.as_kbps()),
            target_kbps: f64::from(self.sender.bitrate().as_kbps()),
        });
    }

    fn again(&mut self, after: Duration, event: Event) {
        self.schedule.add(self.schedule.now().after(after), event);
    }

    /// Rounded up, so that what is due at `at` is due then.
    fn virtual_time(&self, at: Instant) -> VirtualTime {
        let since = at.saturating_duration_since(self.clock.at(VirtualTime::ZERO));
        VirtualTime(since.as_nanos().div_ceil(1000) as u64)
    }

    fn report(self, end: VirtualTime) -> Report {
        let delivered: Vec<_> = self.delivered.into_iter().filter(|(at, _)| *at >= LEFT_OUT).collect();
        let most_bps = f64::from(self.scenario.bitrate_max.0);
        // Capped in each 100 ms: a burst of capacity that must not be used is not capacity.
        let usable: f64 = self
            .samples
            .iter()
            .filter(|sample| sample.at > LEFT_OUT)
            .map(|sample| (sample.capacity_kbps * 1e3).min(most_bps) / 10.0)
            .sum();
        let carried = delivered.iter().map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>();
        let counters = self.sender.counters();
        Report {
            picture_age: picture_age(&self.shown, LEFT_OUT, end),
            frame_delay: frame_delay(&self.shown, LEFT_OUT, end),
            stall: stall(&self.shown, LEFT_OUT, end),
            utilisation: carried / usable.max(1.0),
            control: Points::of(self.control),
            telemetry: Points::of(self.telemetry),
            frames: (counters.encoded, counters.skipped),
            losses: (self.lost, counters.repairs, counters.recoveries),
            shown: self.shown,
            delivered,
            samples: self.samples,
        }
    }
}

/// When the picture with this stamp was captured, rounded to its 11 µs.
fn captured(media_time: MediaTime, now: VirtualTime) -> VirtualTime {
    VirtualTime(media_time.unwrap_near(CarTime(now.0)).0)
}
