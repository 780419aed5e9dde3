//! The parent of the other parts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::capacity::{Capacity, Evidence};
use super::feedback::{History, Reported};
use super::gate::{self, Load, Reason, Verdict};
use super::headroom::SHARE_MAX;
use super::ladder::{Change, RUNGS, SCREEN_RUNGS};
use super::minimum::Minimum;
use super::pictures::{Pictures, Source, Target, Told, Track};
use super::probe::Probe;
use super::share::{self, Sound};
use super::target::{MIN, Phase, QUEUE_MIN, Rate, START, Signals};
use crate::video::{Bitrate, FrameKind, Size};

/// Round trip before one is measured: a usual cellular path.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(50);
/// How often the stall is looked at while no report comes.
const TICK: Duration = Duration::from_millis(25);
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
/// Packets over which loss is smoothed.
const LOSS_PACKETS: f64 = 100.0;

/// What the controller is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the camera gives; most to send of it by the driver's choice or the contract with the network.
    pub camera: Source,
    /// What a shared screen gives, where one can be shared.
    pub screen: Option<Source>,
    /// Time between two reports.
    pub feedback_interval: Duration,
}

/// What the controller wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Encode the camera's pictures, and pace, by this from here on. A screen's target is asked for with each picture.
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
    camera: Pictures,
    screen: Option<Pictures>,
    sound: Sound,
    probe: Probe,
    feedback_interval: Duration,
    /// When a report last told of an arrival.
    heard_at: Instant,
    tick_at: Instant,
    commands: VecDeque<Command>,
}

impl Controller {
    /// A controller that begins at [`START`]; its first command is the first target.
    pub fn new(config: &Config, now: Instant) -> Self {
        let most = config.camera.bitrate_max.0.saturating_add(config.screen.map_or(0, |it| it.bitrate_max.0));
        let rate = Rate::new(Bitrate(most), now);
        let camera = Pictures::new(&RUNGS, config.camera, rate.bps(), now);
        let screen = config.screen.map(|screen| Pictures::new(&SCREEN_RUNGS, screen, rate.bps(), now));
        Self {
            history: History::new(),
            capacity: Capacity::new(f64::from(START.0) / SHARE_MAX, now),
            round_trip: Minimum::default(),
            loss: 0.0,
            rate,
            commands: VecDeque::from([Command::SetTarget(camera.target())]),
            camera,
            screen,
            sound: Sound::default(),
            probe: Probe::new(now),
            feedback_interval: config.feedback_interval,
            heard_at: now,
            tick_at: now,
        }
    }

    /// Begins at `bitrate` instead, on a path that is known to carry it; too late once something was reported.
    pub fn set_start(&mut self, bitrate: Bitrate, now: Instant) {
        if self.round_trip.get().is_none() {
            self.rate.set_start(bitrate);
            self.capacity.raise(self.rate.bps() / SHARE_MAX);
            for track in Track::ALL {
                let share = self.share(track, self.rate.bps(), now);
                if let Some(pictures) = self.pictures(track) {
                    pictures.set_rate(share);
                }
            }
            self.tell(now);
        }
    }

    /// How fast packets are to leave.
    pub fn pace(&self, now: Instant) -> Bitrate {
        let is_free = self.rate.is_most(NEARLY_ALL)
            && self.capacity.standing_queue() < QUEUE_MIN
            && self.loss < LOSS_FOR_BURSTS;
        if is_free {
            return PACE_FREE;
        }
        let screen = self.screen.as_ref().filter(|screen| screen.is_on(now));
        let target = match screen {
            Some(screen) if self.camera.is_on(now) => {
                self.camera.target().bitrate.0.saturating_add(screen.target().bitrate.0)
            }
            Some(screen) => screen.target().bitrate.0,
            None => self.camera.target().bitrate.0,
        };
        Bitrate(target.saturating_mul(PACE_OVER_TARGET))
    }

    /// Changes the most to send of a track.
    pub fn set_bitrate_max(&mut self, track: Track, max: Bitrate, now: Instant) {
        if let Some(pictures) = self.pictures(track) {
            pictures.set_max(max);
        }
        self.tell(now);
    }

    /// Changes what a source gives.
    pub fn set_size(&mut self, track: Track, size: Size, now: Instant) {
        if let Some(pictures) = self.pictures(track) {
            pictures.set_size(size);
        }
        self.tell(now);
    }

    /// Notes that a packet of sound left; it has a number of its own, too.
    pub fn handle_sound(&mut self, bytes: usize, now: Instant) {
        self.sound.handle_sent(bytes, now);
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

    /// Decides on a frame that was captured just now; `queued_bytes` wait in the pacer. `None` where there is no such
    /// track.
    pub fn handle_frame(&mut self, track: Track, queued_bytes: usize, now: Instant) -> Option<Verdict> {
        let pictures = self.pictures(track)?;
        let was_on = pictures.is_on(now);
        pictures.handle_given(now);
        if !was_on {
            self.tell(now);
        }
        let pictures = self.pictures(track)?;
        let (interval, early) = (pictures.interval(), pictures.early(now));
        let (expected_bytes, fps) = (pictures.frame_bytes(), f64::from(pictures.target().fps));
        let verdict = gate::decide(&Load {
            used_bytes: self.history.in_flight_bytes().saturating_add(queued_bytes),
            service: self.capacity.service(),
            round_trip: self.round_trip() + self.feedback_interval / 2,
            stall: self.stall(now),
            early,
            frame_interval: interval,
            nominal_bytes: self.share(track, self.rate.bps(), now) / 8.0 / fps,
            expected_bytes,
        });
        match verdict {
            Verdict::Encode { .. } => {
                self.pictures(track)?.settle(now);
                self.tell(now);
                self.pictures(track)?.handle_let_through(interval, now);
                self.probe.handle_open();
            }
            Verdict::Skip(Reason::Budget | Reason::Stall) => self.probe.handle_shut(),
            Verdict::Skip(Reason::FrameRate) => {}
        }
        Some(verdict)
    }

    /// Notes what a frame that was let through came out as. An encoder can't make a picture as small as it may be told
    /// to: what it does make is what the next one needs room for.
    pub fn handle_encoded(&mut self, track: Track, bytes: usize, kind: FrameKind) {
        if let Some(pictures) = self.pictures(track) {
            pictures.handle_encoded(bytes, kind);
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

    /// What the encoder of a track was last told; `None` where there is no such track.
    pub fn target(&self, track: Track) -> Option<Target> {
        match track {
            Track::Camera => Some(self.camera.target()),
            Track::Screen => self.screen.as_ref().map(Pictures::target),
        }
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
        for track in Track::ALL {
            let share = self.share(track, rate, now);
            if let Some(pictures) = self.pictures(track) {
                pictures.handle_rate(share, change, now);
            }
        }
        self.tell(now);
    }

    /// Tells the encoders, if the difference is worth their trouble.
    fn tell(&mut self, now: Instant) {
        self.rate.set_max(self.most(now));
        let [camera, screen] = Track::ALL.map(|track| self.share(track, self.rate.bps(), now));
        if self.camera.tell(camera) == Told::New {
            // Full: cannot be; the newest target replaces one that nobody took.
            self.commands.retain(|command| !matches!(command, Command::SetTarget(_)));
            self.commands.push_back(Command::SetTarget(self.camera.target()));
        }
        if let Some(pictures) = &mut self.screen {
            pictures.tell(screen);
        }
    }

    /// Most to send: what is on, or whatever may come while nothing is.
    fn most(&self, now: Instant) -> Bitrate {
        let screen = self.screen.as_ref();
        let on = match (self.camera.is_on(now), screen.filter(|screen| screen.is_on(now))) {
            (true, None) => self.camera.max().0,
            (false, Some(screen)) => screen.max().0,
            (true, Some(screen)) => self.camera.max().0.saturating_add(screen.max().0),
            (false, None) => self.camera.max().0.saturating_add(screen.map_or(0, |screen| screen.max().0)),
        };
        Bitrate(on.saturating_add(self.sound.bps(now) as u32))
    }

    /// What a track gets, or would get if its source were on, of this rate.
    fn share(&self, track: Track, rate: f64, now: Instant) -> f64 {
        let pictures = (rate - self.sound.bps(now)).max(f64::from(MIN.0) / 2.0);
        let Some(screen) = &self.screen else { return pictures };
        let (camera_max, screen_max) = (f64::from(self.camera.max().0), f64::from(screen.max().0));
        match track {
            Track::Camera if screen.is_on(now) => share::beside(pictures, camera_max, screen_max).0,
            Track::Camera => pictures.min(camera_max),
            Track::Screen if self.camera.is_on(now) => share::beside(pictures, camera_max, screen_max).1,
            Track::Screen => pictures.min(screen_max),
        }
    }

    fn pictures(&mut self, track: Track) -> Option<&mut Pictures> {
        match track {
            Track::Camera => Some(&mut self.camera),
            Track::Screen => self.screen.as_mut(),
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
mod tests;
