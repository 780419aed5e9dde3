//! The robot's side: camera, gate, encoder, pacer and repairs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use farwheel_proto::anchor::Anchor;
use farwheel_proto::rate::{
    Command, Config, Controller, Orders, PROBE_BYTES_MAX, Pacer, Reported, Sending, Source, Status, Target,
    Track, Verdict,
};
use farwheel_proto::rtp::{Packet, payload};
use farwheel_proto::video::{Bitrate, FrameKind, MediaTime};

use super::encoder::Encoder;
use super::{Mode, Remedy, Scenario};

/// RTP header with the transport-wide number, SRTP tag, UDP and IPv4.
pub(super) const OVERHEAD_BYTES: usize = 12 + 8 + 10 + 28;
/// Packets kept for repair: two seconds at 5 Mbit/s.
const KEPT_MAX: usize = 1024;
/// Time between two key frames that are asked for, and from a recovery until a key frame helps instead.
const KEY_EVERY: Duration = Duration::from_millis(300);
const RECOVERY_TRUST: Duration = Duration::from_secs(1);
/// Pace of a sender of fixed rate: a frame leaves within half its interval.
const fn fixed_pace(bitrate: Bitrate) -> Bitrate {
    Bitrate(bitrate.0 * 2)
}

/// A probe is padding only.
const PROBE_BYTES: usize = 100;
const _: () = assert!(PROBE_BYTES <= PROBE_BYTES_MAX);

/// What leaves the robot.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// A packet of video.
    Video(Packet),
    /// Padding.
    Probe,
}

#[derive(Debug)]
pub(super) struct Sender {
    mode: Mode,
    remedy: Remedy,
    orders: Orders,
    controller: Controller,
    encoder: Encoder,
    pacer: Pacer<Item>,
    kept: BTreeMap<u16, Kept>,
    order: VecDeque<u16>,
    sequence: u16,
    number: u16,
    round_trip: Duration,
    recovery_from: u64,
    frames: u64,
    recovered_at: Option<Instant>,
    key_at: Option<Instant>,
    probes: usize,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) encoded: u64,
    pub(super) skipped: u64,
    pub(super) repairs: u64,
    pub(super) recoveries: u64,
}

#[derive(Debug)]
struct Item {
    packet: Packet,
    frame: u64,
    sending: Sending,
}

#[derive(Debug)]
struct Kept {
    packet: Packet,
    frame: u64,
    /// When it was last repaired.
    repaired_at: Option<Instant>,
}

impl Sender {
    pub(super) fn new(scenario: &Scenario, now: Instant) -> Self {
        let controller = Controller::new(
            &Config {
                camera: Source {
                    size: scenario.camera,
                    fps: scenario.fps,
                    bitrate_max: scenario.bitrate_max,
                },
                screen: None,
                feedback_interval: super::FEEDBACK,
            },
            now,
        );
        let target = match scenario.mode {
            Mode::Full | Mode::GateOff => target(&controller),
            Mode::Fixed(bitrate) => Target { bitrate, size: scenario.camera, fps: scenario.fps },
        };
        let pace = match scenario.mode {
            Mode::Full | Mode::GateOff => controller.pace(now),
            Mode::Fixed(bitrate) => fixed_pace(bitrate),
        };
        Self {
            mode: scenario.mode,
            remedy: scenario.remedy,
            orders: Orders::default(),
            controller,
            encoder: Encoder::new(target, scenario.seed),
            pacer: Pacer::new(pace),
            kept: BTreeMap::new(),
            order: VecDeque::new(),
            sequence: 0,
            number: 0,
            round_trip: scenario.delay * 2,
            recovery_from: 0,
            frames: 0,
            recovered_at: None,
            key_at: None,
            probes: 0,
            counters: Counters::default(),
        }
    }

    /// A frame was captured; gives the time that it is being encoded, and its limit, unless it is skipped.
    pub(super) fn handle_capture(&mut self, now: Instant) -> Option<(Duration, usize)> {
        let verdict = match self.mode {
            Mode::Full => {
                let verdict = self.controller.handle_frame(Track::Camera, self.pacer.queued_bytes(), now);
                verdict.expect("each controller has a camera")
            }
            Mode::GateOff | Mode::Fixed(_) => Verdict::Encode { bytes_max: usize::MAX },
        };
        match verdict {
            Verdict::Encode { bytes_max } => Some((self.encoder.time(), bytes_max)),
            Verdict::Skip(_) => {
                self.counters.skipped += 1;
                None
            }
        }
    }

    /// The frame is encoded.
    pub(super) fn handle_encoded(&mut self, media_time: MediaTime, bytes_max: usize) {
        if self.orders.take() {
            if self.encoder.order_recovery() {
                self.counters.recoveries += 1;
            } else {
                self.orders.handle_refused();
            }
        }
        let (kind, data) = self.encoder.encode(Anchor(media_time.0), bytes_max);
        self.controller.handle_encoded(Track::Camera, data.len(), kind);
        self.frames += 1;
        self.counters.encoded += 1;
        if kind != FrameKind::Delta {
            self.recovery_from = self.frames;
            self.orders.handle_fresh_start(self.sequence);
        }
        let payloads = payload::split(&data, payload::PAYLOAD_BYTES_MAX);
        let last = payloads.len().saturating_sub(1);
        let frame = self.frames;
        let packets: Vec<_> = (0..)
            .zip(payloads)
            .map(|(n, payload)| {
                let sequence = self.sequence.wrapping_add(n as u16);
                Packet { sequence, media_time, marker: n == last, payload }
            })
            .collect();
        self.sequence = self.sequence.wrapping_add(packets.len() as u16);
        let items = packets.into_iter().map(|packet| {
            let bytes = packet.payload.len() + OVERHEAD_BYTES;
            (Item { packet, frame, sending: Sending::Original }, bytes)
        });
        if self.pacer.push_frame(items).is_err() && !self.encoder.order_recovery() {
            self.encoder.order_key();
        }
    }

    pub(super) fn handle_report(&mut self, report: &[Reported], now: Instant) {
        self.controller.handle_report(report, now);
        if self.remedy == Remedy::Recovery {
            self.orders.set_round_trip(self.controller.status(now).round_trip);
            self.orders.handle_report(report, now);
        }
    }

    /// The receiver has decoded the picture of this time.
    pub(super) fn handle_decoded(&mut self, media_time: MediaTime) {
        self.encoder.handle_decoded(Anchor(media_time.0));
    }

    /// The receiver asks for packets: once a round trip each, and none of before the last recovery.
    pub(super) fn handle_nack(&mut self, sequences: &[u16], now: Instant) {
        for sequence in sequences {
            let Some(kept) = self.kept.get_mut(sequence) else { continue };
            let is_recent = kept.repaired_at.is_some_and(|at| now < at + self.round_trip);
            if kept.frame >= self.recovery_from && !is_recent {
                kept.repaired_at = Some(now);
                self.counters.repairs += 1;
                let (packet, frame) = (kept.packet.clone(), kept.frame);
                let bytes = packet.payload.len() + OVERHEAD_BYTES;
                self.pacer.push_repair(Item { packet, frame, sending: Sending::Repair }, bytes);
            }
        }
    }

    /// The receiver gave a picture up: a recovery helps, unless one is under way, or did not help just before.
    pub(super) fn handle_recovery_request(&mut self, now: Instant) {
        let has_passed = |at: Option<Instant>, time: Duration| at.is_none_or(|at| at + time <= now);
        match self.remedy {
            Remedy::Recovery if self.orders.is_under_way(now) => {}
            Remedy::Recovery
                if has_passed(self.recovered_at, RECOVERY_TRUST) && self.encoder.order_recovery() =>
            {
                self.orders.handle_recovery_ordered(now);
                self.recovered_at = Some(now);
                self.counters.recoveries += 1;
            }
            Remedy::Recovery | Remedy::KeyFrame if has_passed(self.key_at, KEY_EVERY) => {
                self.key_at = Some(now);
                self.counters.recoveries += 1;
                self.encoder.order_key();
            }
            Remedy::Recovery | Remedy::KeyFrame => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.controller.poll_timeout().is_some_and(|at| at <= now) {
            self.controller.handle_timeout(now);
        }
        if self.orders.poll_timeout().is_some_and(|at| at <= now) {
            self.orders.handle_timeout(now);
        }
        while let Some(command) = self.controller.poll_command() {
            match (command, self.mode) {
                (Command::SetTarget(target), Mode::Full | Mode::GateOff) => {
                    self.encoder.set_target(target);
                }
                (Command::Probe, Mode::Full) => self.probes += 1,
                (Command::SetTarget(_), Mode::Fixed(_))
                | (Command::Probe, Mode::GateOff | Mode::Fixed(_)) => {}
            }
        }
        if !matches!(self.mode, Mode::Fixed(_)) {
            self.pacer.set_pace(self.controller.pace(now));
        }
    }

    /// The next packet that leaves at `now`, with its transport-wide number and its bytes.
    pub(super) fn poll_packet(&mut self, now: Instant) -> Option<(u16, Outgoing, usize)> {
        let (outgoing, bytes, sequence, sending) = if self.probes > 0 {
            self.probes -= 1;
            (Outgoing::Probe, PROBE_BYTES, 0, Sending::Probe)
        } else {
            let Item { packet, frame, sending } = self.pacer.poll_packet(now)?;
            let bytes = packet.payload.len() + OVERHEAD_BYTES;
            self.keep(&packet, frame);
            let sequence = packet.sequence;
            (Outgoing::Video(packet), bytes, sequence, sending)
        };
        self.number = self.number.wrapping_add(1);
        self.controller.handle_sent(self.number, bytes, now);
        self.orders.handle_sent(self.number, sequence, sending);
        Some((self.number, outgoing, bytes))
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let pacer = self.pacer.poll_timeout(now);
        [self.controller.poll_timeout(), self.orders.poll_timeout(), pacer].into_iter().flatten().min()
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        self.controller.status(now)
    }

    pub(super) fn bitrate(&self) -> Bitrate {
        match self.mode {
            Mode::Full | Mode::GateOff => target(&self.controller).bitrate,
            Mode::Fixed(bitrate) => bitrate,
        }
    }

    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    fn keep(&mut self, packet: &Packet, frame: u64) {
        let sequence = packet.sequence;
        if self.kept.get(&sequence).is_some_and(|kept| kept.frame == frame) {
            return;
        }
        self.kept.insert(sequence, Kept { packet: packet.clone(), frame, repaired_at: None });
        self.order.push_back(sequence);
        if self.order.len() > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

fn target(controller: &Controller) -> Target {
    controller.target(Track::Camera).expect("each controller has a camera")
}
