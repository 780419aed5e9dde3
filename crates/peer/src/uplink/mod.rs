//! The sending side of the media: rate, pace and repairs, between the packets and the wire.
//!
//! ```text
//!                    admit                         written packets          NACK, transport-wide feedback
//! encode thread --------------> [Uplink] <----- engine's task -----------> [Uplink]
//!                                  | pacer: repairs, then pictures; sound goes past it
//!                                  v numbered, kept, told to the controller
//!                                 wire
//! ```
//!
//! All streams of a connection share one controller, one pacer and one row of transport-wide numbers. Sound is never paced,
//! held back or repaired: what it takes of the rate comes off before pictures get theirs.
//!
//! One lock guards it; the engine's task and the encode thread hold it for a few microseconds each. It takes the place
//! of the engine's pacer, estimator, transport-wide numbering (which leaves repairs out) and NACK responder (which
//! repeats without limit); docs/ENGINE.md.

mod kept;
mod lane;
mod tap;
mod twcc;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_proto::rate::{self, Command, Controller, Orders, Pacer, Sending, Track, Verdict};
use farwheel_proto::rtp::Payload;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::shared::marshal::Marshal;

use crate::config::Media;
use lane::{Entries, Lane, Negotiated, SoundLane};
pub(crate) use tap::SharedUplink;

/// RTP header with the transport-wide number, SRTP tag, UDP and IPv4: what the link carries beside the payload.
const OVERHEAD_BYTES: usize = 12 + 8 + 16 + 28;

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    controller: Controller,
    pacer: Pacer<Leaving>,
    /// One for each track that is sent, at most two.
    lanes: Vec<Lane>,
    sound: Option<SoundLane>,
    feedback: twcc::Reader,
    number: u16,
    repairs: u64,
    seen_at: Instant,
    /// Leaving, each with its time.
    out: VecDeque<(rtp::Packet, Instant)>,
}

/// A packet of pictures in the pacer.
#[derive(Debug)]
struct Leaving {
    packet: rtp::Packet,
    /// Which of the lanes.
    lane: usize,
    /// Number of the original in its stream.
    sequence: u16,
    sending: Sending,
}

/// A stream that is going to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Sound,
    Pictures(Track),
}

impl Uplink {
    pub(crate) fn new(config: &rate::Config, now: Instant) -> Self {
        let controller = Controller::new(config, now);
        Self {
            pacer: Pacer::new(controller.pace(now)),
            controller,
            lanes: Vec::new(),
            sound: None,
            feedback: twcc::Reader::default(),
            number: rand::random(),
            repairs: 0,
            seen_at: now,
            out: VecDeque::new(),
        }
    }

    /// Packets with this SSRC are going to be of this stream.
    pub(crate) fn expect(&mut self, stream: Stream, ssrc: u32) {
        match stream {
            Stream::Sound => self.sound = Some(SoundLane::new(ssrc)),
            Stream::Pictures(track) => self.lanes.push(Lane::new(track, ssrc)),
        }
    }

    fn handle_negotiated(&mut self, ssrc: u32, negotiated: Negotiated) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.ssrc == ssrc) {
            lane.negotiated.get_or_insert(negotiated);
        } else if let Some(sound) = self.sound.as_mut().filter(|sound| sound.ssrc == ssrc) {
            sound.negotiated.get_or_insert(negotiated);
        }
    }

    fn handle_unbound(&mut self, ssrc: u32) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.ssrc == ssrc) {
            lane.negotiated = None;
        } else if let Some(sound) = self.sound.as_mut().filter(|sound| sound.ssrc == ssrc) {
            sound.negotiated = None;
        }
    }

    /// Whether a picture captured just now is to be encoded; `None` where there is no such track.
    pub(crate) fn admit(&mut self, track: Track, waiting_bytes: usize, now: Instant) -> Option<Verdict> {
        let verdict = self.controller.handle_frame(track, self.pacer.queued_bytes() + waiting_bytes, now);
        self.obey(now);
        verdict
    }

    pub(crate) fn controller(&mut self) -> &mut Controller {
        &mut self.controller
    }

    pub(crate) fn target(&self, track: Track) -> Option<rate::Target> {
        self.controller.target(track)
    }

    pub(crate) fn status(&self, now: Instant) -> rate::Status {
        self.controller.status(now)
    }

    /// Packets of sound lost of a thousand, smoothed over a second.
    pub(crate) fn sound_loss_permille(&self) -> u16 {
        self.sound.as_ref().map_or(0, SoundLane::loss_permille)
    }

    /// Packets sent again.
    pub(crate) const fn repairs(&self) -> u64 {
        self.repairs
    }

    /// The receiver can go on with a recovery: from now on one is ordered where a picture will not be whole in time.
    pub(crate) fn allow_recoveries(&mut self, track: Track) {
        if let Some(lane) = self.lane(track) {
            lane.entries = Entries::Recoveries;
        }
    }

    /// What came of the losses so far; `None` where there is no such track.
    pub(crate) fn orders(&mut self, track: Track) -> Option<&mut Orders> {
        self.lane(track).map(|lane| &mut lane.orders)
    }

    fn lane(&mut self, track: Track) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.track == track)
    }

    fn handle_packet(&mut self, packet: rtp::Packet, now: Instant) {
        let ssrc = packet.header.ssrc;
        let Some(at) = self.lanes.iter().position(|lane| lane.ssrc == ssrc) else {
            return self.handle_sound(packet, now);
        };
        let lane = &mut self.lanes[at];
        let sequence = packet.header.sequence_number;
        let is_fresh_start = Payload::parse(&packet.payload).is_ok_and(|payload| match lane.entries {
            Entries::Keys => payload.opens_key_frame(),
            Entries::Recoveries => payload.opens_key_frame() || payload.opens_recovery().is_some(),
        });
        if is_fresh_start {
            lane.kept.handle_fresh_start(sequence);
            lane.orders.handle_fresh_start(sequence);
            // Repairs of what came before would only go before this one.
            self.pacer.retain(|waiting| waiting.lane != at || waiting.sending == Sending::Original);
        }
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        let leaving = Leaving { packet, lane: at, sequence, sending: Sending::Original };
        if let Err(full) = self.pacer.push_frame([(leaving, bytes)]) {
            // The receiver misses it and asks for help.
            tracing::debug!(%full, "packet dropped");
        }
        self.release(now);
    }

    /// Leaves at once.
    fn handle_sound(&mut self, mut packet: rtp::Packet, now: Instant) {
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        let negotiated = self.sound.as_ref().and_then(|sound| sound.negotiated);
        if let Some(number) = negotiated.and_then(|negotiated| self.stamp(&mut packet, negotiated)) {
            self.controller.handle_sent(number, bytes, now);
            for lane in &mut self.lanes {
                lane.orders.handle_sent(number, 0, Sending::Probe);
            }
            if let Some(sound) = &mut self.sound {
                sound.handle_sent(number);
            }
        }
        self.controller.handle_sound(bytes, now);
        self.out.push_back((packet, now));
    }

    fn handle_nack(&mut self, nack: &TransportLayerNack, now: Instant) {
        let Some(at) =
            self.lanes.iter().position(|lane| lane.negotiated.is_some() && lane.ssrc == nack.media_ssrc)
        else {
            return;
        };
        let round_trip = self.controller.status(now).round_trip;
        for sequence in nack.nacks.iter().flat_map(|pair| pair.packet_list()) {
            if let Some(packet) = self.lanes[at].kept.repair(sequence, round_trip, now) {
                self.repairs += 1;
                self.push_repair(at, packet);
            }
        }
        self.release(now);
    }

    fn handle_feedback(&mut self, feedback: &TransportLayerCc, now: Instant) {
        let report = self.feedback.read(feedback);
        self.controller.handle_report(&report, now);
        let round_trip = self.controller.status(now).round_trip;
        for lane in &mut self.lanes {
            match lane.entries {
                Entries::Keys => {}
                Entries::Recoveries => {
                    lane.orders.set_round_trip(round_trip);
                    lane.orders.handle_report(&report, now);
                }
            }
        }
        if let Some(sound) = &mut self.sound {
            sound.handle_report(&report);
        }
        self.obey(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.controller.poll_timeout().is_some_and(|at| at <= now) {
            self.controller.handle_timeout(now);
        }
        for lane in &mut self.lanes {
            if lane.orders.poll_timeout().is_some_and(|at| at <= now) {
                lane.orders.handle_timeout(now);
            }
        }
        self.obey(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let pacer = self.pacer.poll_timeout(self.seen_at);
        let orders = self.lanes.iter().filter_map(|lane| lane.orders.poll_timeout());
        orders.chain(self.controller.poll_timeout()).chain(pacer).min()
    }

    /// Carries out what the controller wants, and sends what is due.
    fn obey(&mut self, now: Instant) {
        while let Some(command) = self.controller.poll_command() {
            match command {
                // The encoder asks for the target with each picture.
                Command::SetTarget(_) => {}
                Command::Probe => self.push_probe(),
            }
        }
        self.pacer.set_pace(self.controller.pace(now));
        self.release(now);
    }

    /// A probe is padding alone (RFC 3550 section 5.1), which a receiver counts and drops. While the link stands still
    /// probes are what its queue fills with, and all that is told afterwards waits behind them.
    fn push_probe(&mut self) {
        let sent = self.lanes.iter_mut().enumerate().find_map(|(at, lane)| Some((at, lane.kept.newest()?)));
        let Some((at, (sequence, timestamp))) = sent else { return };
        let lane = &mut self.lanes[at];
        let packet = match lane.repairs() {
            Some(repairs) => {
                let header = lane.repair_header(repairs, timestamp);
                rtp::Packet { header: rtp::Header { padding: true, ..header }, payload: bytes::Bytes::new() }
            }
            // The stream's own numbers are all given to pictures.
            None => match lane.kept.smallest_of_newest() {
                Some(packet) => packet,
                None => return,
            },
        };
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        self.pacer.push_repair(Leaving { packet, lane: at, sequence, sending: Sending::Probe }, bytes);
    }

    fn push_repair(&mut self, at: usize, packet: rtp::Packet) {
        let sequence = packet.header.sequence_number;
        let lane = &mut self.lanes[at];
        let packet = match lane.repairs() {
            Some(repairs) => {
                // RFC 4588 section 4: the original number goes before the payload.
                let mut payload = Vec::with_capacity(packet.payload.len() + 2);
                payload.extend_from_slice(&packet.header.sequence_number.to_be_bytes());
                payload.extend_from_slice(&packet.payload);
                let header = lane.repair_header(repairs, packet.header.timestamp);
                let marker = packet.header.marker;
                rtp::Packet { header: rtp::Header { marker, ..header }, payload: payload.into() }
            }
            None => packet,
        };
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        self.pacer.push_repair(Leaving { packet, lane: at, sequence, sending: Sending::Repair }, bytes);
    }

    fn release(&mut self, now: Instant) {
        self.seen_at = now;
        while let Some(packet) = self.pacer.poll_packet(now) {
            self.dispatch(packet, now);
        }
    }

    fn dispatch(&mut self, leaving: Leaving, now: Instant) {
        let Leaving { mut packet, lane: at, sequence, sending } = leaving;
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        let negotiated = self.lanes[at].negotiated;
        if sending == Sending::Original && negotiated.is_some() {
            self.lanes[at].kept.put(&packet);
        }
        if let Some(number) = negotiated.and_then(|negotiated| self.stamp(&mut packet, negotiated)) {
            self.controller.handle_sent(number, bytes, now);
            for (n, lane) in self.lanes.iter_mut().enumerate() {
                // Another stream's number says nothing to it, but must not be a hole.
                let (sequence, sending) = if n == at { (sequence, sending) } else { (0, Sending::Probe) };
                lane.orders.handle_sent(number, sequence, sending);
            }
        }
        self.out.push_back((packet, now));
    }

    /// Gives a packet the next transport-wide number, where one was negotiated.
    fn stamp(&mut self, packet: &mut rtp::Packet, negotiated: Negotiated) -> Option<u16> {
        let id = negotiated.number_id?;
        self.number = self.number.wrapping_add(1);
        let transport_sequence = self.number;
        let number = rtp::extension::transport_cc_extension::TransportCcExtension { transport_sequence };
        let bytes = number.marshal().ok()?.freeze();
        packet.header.set_extension(id, bytes).is_ok().then_some(transport_sequence)
    }

    /// The next packet for the wire.
    fn poll_packet(&mut self) -> Option<(rtp::Packet, Instant)> {
        self.out.pop_front()
    }
}

/// What a sender is told once; `None` for a side that sends no pictures.
pub(crate) fn config(media: Media, feedback_interval: Duration) -> Option<rate::Config> {
    let (camera, screen) = match media {
        Media::Send(camera) => (camera, None),
        Media::Call(call) => (call.camera, Some(call.screen)),
        Media::Receive | Media::None => return None,
    };
    Some(rate::Config { camera, screen, feedback_interval })
}

#[cfg(test)]
mod tests;
