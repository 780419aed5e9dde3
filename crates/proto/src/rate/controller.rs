//! The parent of the other parts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::capacity::{Capacity, Evidence};
use super::feedback::{History, Reported};
use super::gate::{self, Load, Reason, Verdict};
use super::headroom::SHARE_MAX;
use super::ladder::{Change, Ladder};
use super::minimum::Minimum;
use super::probe::Probe;
use super::target::{Phase, QUEUE_MIN, Rate, START, Signals};
use crate::video::{Bitrate, FrameKind, Size};

/// Round trip before one is measured: a usual cellular path.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(50);
/// How often the stall is looked at while no report comes.
const TICK: Duration = Duration::from_millis(25);
/// The encoder is told of a rate this much lower, or higher; OpenH264 takes five frames to follow (measured).
const TELL_DOWN: f64 = 0.95;
const TELL_UP: f64 = 1.10;
/// A queue or stall this long has to drain before the size may change.
const DRAINING: Duration = Duration::from_millis(60);
/// Pace over target: a frame of nominal size leaves within half its interval.
const PACE_OVER_TARGET: u32 = 2;
/// Pace on a link that carries all that may be sent, and more: spreading would only make the picture older, and a
/// burst tells what the link carries.
const PACE_FREE: Bitrate = Bitrate::from_kbps(200_000);
/// A share of the most that is as good as all of it, and the share of loss that forbids bursts.
const NEARLY_ALL: f64 = 0.97;
const LOSS_FOR_BURSTS: f64 = 0.02;
/// Weight of a frame that is larger, or smaller, than those before.
const GROWN: f64 = 0.4;
const SHRUNK: f64 = 0.15;
/// Packets over which loss is smoothed.
const LOSS_PACKETS: f64 = 100.0;

/// What the controller is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Most to send, by the driver's choice or the contract with the network.
    pub bitrate_max: Bitrate,
    /// The camera's picture.
    pub camera: Size,
    /// The camera's frames a second.
    pub camera_fps: u32,
    /// Time between two reports.
    pub feedback_interval: Duration,
}

/// What the encoder is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Mean rate.
    pub bitrate: Bitrate,
    /// Picture.
    pub size: Size,
    /// Frames a second.
    pub fps: u32,
}

/// What the controller wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Encode, and pace, by this from here on.
    SetTarget(Target),
    /// Send one packet of at most [`PROBE_BYTES_MAX`](super::PROBE_BYTES_MAX) bytes at once: a repair or padding.
    Probe,
}

/// Why the picture is what it is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the link is believed to carry.
    pub capacity: Bitrate,
    /// The target's rate, before rounding for the encoder.
    pub bitrate: Bitrate,
    /// Delay in the link beyond the least.
    pub queue: Duration,
    /// How long the link has stood still.
    pub stall: Duration,
    /// Least round trip of the last minute, with the wait for the report.
    pub round_trip: Duration,
    /// Packets lost of a thousand, smoothed.
    pub loss_permille: u16,
}

/// Decides what one sender sends.
#[derive(Debug)]
pub struct Controller {
    history: History,
    capacity: Capacity,
    round_trip: Minimum,
    loss: f64,
    rate: Rate,
    ladder: Ladder,
    probe: Probe,
    feedback_interval: Duration,
    target: Target,
    /// When a report last told of an arrival.
    heard_at: Instant,
    /// When the next frame is due at the target's frame rate.
    frame_due: Instant,
    tick_at: Instant,
    /// Size of the frames that the encoder makes, smoothed.
    frame_bytes: f64,
    commands: VecDeque<Command>,
}

impl Controller {
    /// A controller that begins at [`START`]; its first command is the first target.
    pub fn new(config: &Config, now: Instant) -> Self {
        let rate = Rate::new(config.bitrate_max, now);
        let bitrate = Bitrate(rate.bps() as u32);
        let ladder = Ladder::new(config.camera, config.camera_fps, bitrate);
        let target = Target { bitrate, size: ladder.size(), fps: ladder.fps() };
        Self {
            history: History::new(),
            capacity: Capacity::new(f64::from(START.0) / SHARE_MAX, now),
            round_trip: Minimum::default(),
            loss: 0.0,
            rate,
            ladder,
            probe: Probe::new(now),
            feedback_interval: config.feedback_interval,
            target,
            heard_at: now,
            frame_due: now,
            tick_at: now,
            frame_bytes: 0.0,
            commands: VecDeque::from([Command::SetTarget(target)]),
        }
    }

    /// Begins at `bitrate` instead, on a path that is known to carry it; too late once something was reported.
    pub fn set_start(&mut self, bitrate: Bitrate) {
        if self.round_trip.get().is_none() {
            self.rate.set_start(bitrate);
            self.capacity.raise(self.rate.bps() / SHARE_MAX);
            self.ladder.set_rate(Bitrate(self.rate.bps() as u32));
            self.tell();
        }
    }

    /// How fast packets are to leave.
    pub fn pace(&self) -> Bitrate {
        let is_free = self.rate.is_most(NEARLY_ALL)
            && self.capacity.standing_queue() < QUEUE_MIN
            && self.loss < LOSS_FOR_BURSTS;
        if is_free { PACE_FREE } else { Bitrate(self.target.bitrate.0.saturating_mul(PACE_OVER_TARGET)) }
    }

    /// Changes the most to send.
    pub fn set_bitrate_max(&mut self, max: Bitrate) {
        self.rate.set_max(max);
        self.tell();
    }

    /// Changes what the camera gives.
    pub fn set_camera(&mut self, size: Size) {
        self.ladder.set_camera(size);
        self.tell();
    }

    /// Notes that a packet left with this transport-wide number.
    pub fn handle_sent(&mut self, number: u16, bytes: usize, now: Instant) {
        self.history.handle_sent(number, bytes, now);
        self.probe.handle_sent(now);
    }

    /// Takes a report of the receiver; whatever it claims, the target stays within its bounds.
    pub fn handle_report(&mut self, report: &[Reported], now: Instant) {
        let outcomes = self.history.handle_report(report, now);
        let newest = outcomes.iter().filter(|o| o.arrival.is_some()).map(|o| o.departure).max();
        if let Some(departure) = newest {
            self.heard_at = now;
            let round_trip = now.saturating_duration_since(departure);
            self.round_trip.handle_value(round_trip.as_micros() as i64, now);
        }
        for outcome in &outcomes {
            let lost = if outcome.arrival.is_none() { 1.0 } else { 0.0 };
            self.loss += (lost - self.loss) / LOSS_PACKETS;
        }
        let phase = match self.capacity.handle_outcomes(&outcomes, now) {
            Evidence::Busy => Phase::Measured,
            Evidence::Idle if newest.is_some() => Phase::Unfilled,
            Evidence::Idle => Phase::Silent,
        };
        self.step(phase, now);
    }

    /// Decides on a frame that was captured just now; `queued_bytes` wait in the pacer.
    pub fn handle_frame(&mut self, queued_bytes: usize, now: Instant) -> Verdict {
        let interval = Duration::from_secs(1) / self.target.fps;
        let verdict = gate::decide(&Load {
            used_bytes: self.history.in_flight_bytes().saturating_add(queued_bytes),
            service: self.capacity.service(),
            round_trip: self.round_trip() + self.feedback_interval / 2,
            stall: self.stall(now),
            early: self.frame_due.saturating_duration_since(now),
            frame_interval: interval,
            nominal_bytes: self.rate.bps() / 8.0 / f64::from(self.target.fps),
            expected_bytes: self.frame_bytes,
        });
        match verdict {
            Verdict::Encode { .. } => {
                // What the link bears less of is not worth a picture of the size before.
                self.ladder.settle(now);
                self.tell();
                // On the grid, so that 20 of 30 frames a second are 20 and not 15.
                self.frame_due = (self.frame_due + interval).max(now);
                self.probe.handle_open();
            }
            Verdict::Skip(Reason::Budget | Reason::Stall) => self.probe.handle_shut(),
            Verdict::Skip(Reason::FrameRate) => {}
        }
        verdict
    }

    /// Notes what a frame that was let through came out as. An encoder can't make a picture as small as it may be told
    /// to: what it does make is what the next one needs room for.
    pub fn handle_encoded(&mut self, bytes: usize, kind: FrameKind) {
        // A key frame says nothing of the next one.
        if kind == FrameKind::Delta {
            let weight = if bytes as f64 > self.frame_bytes { GROWN } else { SHRUNK };
            self.frame_bytes += (bytes as f64 - self.frame_bytes) * weight;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: to look at the stall, or to probe.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let tick = self.history.oldest_in_flight().map(|_| self.tick_at + TICK);
        [tick, self.probe.poll_timeout()].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.probe.handle_timeout(now) {
            self.commands.push_back(Command::Probe);
        }
        if self.tick_at + TICK <= now {
            self.step(Phase::Silent, now);
        }
    }

    /// Takes the next command.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What the encoder was last told.
    pub const fn target(&self) -> Target {
        self.target
    }

    /// What the link looks like.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            capacity: Bitrate(self.capacity.service() as u32),
            bitrate: Bitrate(self.rate.bps() as u32),
            queue: self.capacity.standing_queue(),
            stall: self.stall(now),
            round_trip: self.round_trip(),
            loss_permille: (self.loss * 1000.0) as u16,
        }
    }

    fn step(&mut self, phase: Phase, now: Instant) {
        self.tick_at = now;
        self.rate.step(
            &Signals {
                queue: self.capacity.standing_queue().max(self.stall(now)),
                service: self.capacity.service(),
                delivered: self.capacity.delivered(),
                loss: self.loss,
                phase,
            },
            now,
        );
        if phase == Phase::Unfilled {
            self.capacity.raise(self.rate.bps() / SHARE_MAX);
        }
        // A change of size costs a key frame: not on top of a queue that still drains. While it does, the rate is lower
        // than what the link will bear after.
        let queue = self.capacity.standing_queue().max(self.stall(now));
        let bearable = self.rate.bps().max(self.rate.bearable(self.capacity.service()));
        let (rate, change) = if queue < DRAINING {
            (if queue < QUEUE_MIN { self.rate.bps() } else { bearable }, Change::Allowed)
        } else {
            (bearable, Change::Put)
        };
        self.ladder.handle_rate(Bitrate(rate as u32), change, now);
        self.tell();
    }

    /// Tells the encoder, if the difference is worth its trouble.
    fn tell(&mut self) {
        let (told, rate) = (f64::from(self.target.bitrate.0), self.rate.bps());
        let (size, fps) = (self.ladder.size(), self.ladder.fps());
        let is_other = (size, fps) != (self.target.size, self.target.fps);
        if size != self.target.size {
            self.frame_bytes = 0.0;
        }
        if is_other || rate < told * TELL_DOWN || rate > told * TELL_UP {
            self.target = Target { bitrate: Bitrate(rate as u32), size, fps };
            // Full: cannot be; the newest target replaces one that nobody took.
            self.commands.retain(|command| !matches!(command, Command::SetTarget(_)));
            self.commands.push_back(Command::SetTarget(self.target));
        }
    }

    fn round_trip(&self) -> Duration {
        self.round_trip.get().map_or(ROUND_TRIP_GUESS, |us| Duration::from_micros(us.max(0) as u64))
    }

    /// How long ago the oldest packet, or the one after the last arrival, should have been reported.
    fn stall(&self, now: Instant) -> Duration {
        let Some(oldest) = self.history.oldest_in_flight() else { return Duration::ZERO };
        let due = (oldest + self.round_trip()).max(self.heard_at) + self.feedback_interval;
        now.saturating_duration_since(due)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::feedback::ReceiverTime;
    use super::super::test::{MS, start};
    use super::*;

    const CONFIG: Config = Config {
        bitrate_max: Bitrate::from_kbps(4000),
        camera: Size::new(1280, 720),
        camera_fps: 30,
        feedback_interval: Duration::from_millis(25),
    };

    /// A controller, a camera at 30 frames a second, and a link of constant rate with 20 ms each way.
    struct Rig {
        controller: Controller,
        now_ms: u32,
        number: u16,
        kbps: u32,
        /// Each packet's number and arrival in µs; those of an outage never arrive.
        under_way: VecDeque<(u16, Option<u64>)>,
        free_us: u64,
        frames: Vec<(u32, Verdict)>,
        probes: Vec<u32>,
        reports: Reports,
    }

    #[derive(PartialEq)]
    enum Reports {
        Arrive,
        AreLost,
    }

    impl Rig {
        fn new(first_number: u16, kbps: u32) -> Self {
            Self {
                controller: Controller::new(&CONFIG, start()),
                now_ms: 0,
                number: first_number,
                kbps,
                under_way: VecDeque::new(),
                free_us: 0,
                frames: Vec::new(),
                probes: Vec::new(),
                reports: Reports::Arrive,
            }
        }

        fn run(&mut self, ms: u32) {
            for _ in 0..ms {
                self.now_ms += 1;
                let now = start() + MS * self.now_ms;
                if self.now_ms.is_multiple_of(33) {
                    let verdict = self.controller.handle_frame(0, now);
                    self.frames.push((self.now_ms, verdict));
                    if let Verdict::Encode { bytes_max } = verdict {
                        let target = self.controller.target();
                        let bytes = bytes_max.min((target.bitrate.0 / 8 / target.fps) as usize);
                        (0..bytes.div_ceil(1200)).for_each(|_| self.send(1200, now));
                    }
                }
                if self.now_ms.is_multiple_of(25) {
                    self.report(now);
                }
                if self.controller.poll_timeout().is_some_and(|at| at <= now) {
                    self.controller.handle_timeout(now);
                }
                while let Some(command) = self.controller.poll_command() {
                    if command == Command::Probe {
                        self.probes.push(self.now_ms);
                        self.send(200, now);
                    }
                }
            }
        }

        fn send(&mut self, bytes: usize, now: Instant) {
            self.number = self.number.wrapping_add(1);
            self.controller.handle_sent(self.number, bytes, now);
            let arrival = (self.kbps > 0).then(|| {
                let begin = self.free_us.max(u64::from(self.now_ms) * 1000);
                self.free_us = begin + bytes as u64 * 8000 / u64::from(self.kbps);
                self.free_us + 20_000
            });
            self.under_way.push_back((self.number, arrival));
        }

        /// What had arrived 20 ms ago, and what was lost before it.
        fn report(&mut self, now: Instant) {
            let made_us = u64::from(self.now_ms).saturating_sub(20) * 1000;
            let has_arrived = |arrival: &Option<u64>| arrival.is_some_and(|at| at <= made_us);
            let Some(count) = self.under_way.iter().rposition(|(_, arrival)| has_arrived(arrival)) else {
                return;
            };
            let report: Vec<_> = self
                .under_way
                .drain(..=count)
                .map(|(number, at)| Reported {
                    number,
                    arrival: at.map(|us| ReceiverTime::from_us(us as i64 - 90_000_000)),
                })
                .collect();
            if self.reports == Reports::Arrive {
                self.controller.handle_report(&report, now);
            }
        }

        fn encoded(&self, from_ms: u32) -> usize {
            let count =
                |(at, verdict): &&(u32, Verdict)| *at > from_ms && matches!(verdict, Verdict::Encode { .. });
            self.frames.iter().filter(count).count()
        }

        fn kbps(&self) -> u32 {
            self.controller.status(start() + MS * self.now_ms).bitrate.as_kbps()
        }
    }

    #[test]
    fn a_steady_link_is_filled() {
        let mut rig = Rig::new(0, 3000);
        rig.run(6000);
        assert!((2400..=2750).contains(&rig.kbps()), "{}", rig.kbps());
        assert!(rig.controller.status(start() + MS * 6000).queue < MS * 20);
    }

    #[test]
    fn numbers_that_wrap_change_nothing() {
        let run = |first| {
            let mut rig = Rig::new(first, 2000);
            rig.run(4000);
            (rig.kbps(), rig.frames)
        };
        assert_eq!(run(0), run(65_000));
    }

    #[test]
    fn a_drop_to_a_quarter_is_followed_within_half_a_second() {
        let mut rig = Rig::new(0, 4000);
        rig.run(8000);
        rig.kbps = 1000;
        rig.run(500);
        assert!(rig.kbps() <= 1000, "{}", rig.kbps());
        rig.run(2000);
        assert!((600..=1000).contains(&rig.kbps()), "{}", rig.kbps());
    }

    #[test]
    fn when_all_in_flight_is_lost_probes_open_the_gate_again() {
        let mut rig = Rig::new(0, 3000);
        rig.run(5000);
        rig.kbps = 0;
        rig.run(2000);
        assert_eq!(rig.encoded(5300), 0, "frames are skipped while nothing arrives");
        let pauses: Vec<_> = rig.probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.len() > 8 && pauses.iter().all(|pause| (150..=151).contains(pause)), "{pauses:?}");
        rig.kbps = 3000;
        rig.run(1000);
        assert!(rig.encoded(7300) >= 10, "{}", rig.encoded(7300));
        assert!(
            rig.frames.iter().any(|(at, v)| *at > 7000 && *at < 7300 && matches!(v, Verdict::Encode { .. }))
        );
    }

    #[test]
    fn without_reports_nothing_but_probes_is_sent_and_the_least_rate_is_kept() {
        let mut rig = Rig::new(0, 3000);
        rig.run(3000);
        rig.reports = Reports::AreLost;
        rig.run(5000);
        assert_eq!(rig.encoded(3400), 0);
        assert!(rig.kbps() >= 150);
        rig.reports = Reports::Arrive;
        rig.run(2000);
        assert!(rig.encoded(8400) > 30);
    }

    #[test]
    fn a_lost_report_now_and_then_does_not_shut_the_gate() {
        let mut rig = Rig::new(0, 3000);
        rig.run(4000);
        for n in 0..40 {
            rig.reports = if n % 4 == 0 { Reports::AreLost } else { Reports::Arrive };
            rig.run(25);
        }
        assert!(rig.encoded(4000) >= 27, "{}", rig.encoded(4000));
    }

    #[test]
    fn another_shape_of_the_camera_is_a_new_target() {
        let mut controller = Controller::new(&CONFIG, start());
        controller.poll_command();
        controller.set_camera(Size::new(640, 480));
        let told = controller.poll_command();
        assert!(
            matches!(told, Some(Command::SetTarget(Target { size, .. })) if size.width * 3 == size.height * 4),
            "{told:?}"
        );
        controller.set_camera(Size::new(640, 480));
        assert_eq!(controller.poll_command(), None);
    }

    #[test]
    fn the_encoder_is_told_of_large_changes_only() {
        let mut controller = Controller::new(&CONFIG, start());
        assert!(matches!(controller.poll_command(), Some(Command::SetTarget(_))));
        for (kbps, is_told) in [(781, false), (739, true), (739, false)] {
            controller.set_bitrate_max(Bitrate::from_kbps(kbps));
            assert_eq!(controller.poll_command().is_some(), is_told, "{kbps}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_peer_reports_the_rate_stays_within_its_bounds(
            steps in proptest::collection::vec(
                (0u32..400, 0usize..2000, proptest::collection::vec((any::<u16>(), any::<Option<i64>>(), any::<bool>()), 0..20)),
                1..200,
            ),
        ) {
            let mut controller = Controller::new(&CONFIG, start());
            let (mut now, mut number) = (start(), 65_500_u16);
            for (pause, bytes, report) in steps {
                now += MS * pause;
                number = number.wrapping_add(1);
                controller.handle_sent(number, bytes, now);
                let near = |far: u16, is_far: bool| if is_far { far } else { number.wrapping_sub(far % 8) };
                let report: Vec<_> = report
                    .into_iter()
                    .map(|(far, us, is_far)| Reported { number: near(far, is_far), arrival: us.map(ReceiverTime::from_us) })
                    .collect();
                controller.handle_report(&report, now);
                controller.handle_timeout(now);
                if let Verdict::Encode { bytes_max } = controller.handle_frame(0, now) {
                    prop_assert!(bytes_max < 60_000);
                }
                while controller.poll_command().is_some() {}
                let bitrate = controller.status(now).bitrate.as_kbps();
                prop_assert!((150..=4000).contains(&bitrate), "{bitrate}");
                prop_assert!((150..=4000).contains(&controller.target().bitrate.as_kbps()));
            }
        }
    }
}
