//! The sending side of the video: rate, pace and repairs, between the packets and the wire.
//!
//! ```text
//!                    admit                         written packets          NACK, transport-wide feedback
//! encode thread --------------> [Uplink] <----- engine's task -----------> [Uplink]
//!                                  | pacer: repairs, then pictures
//!                                  v numbered, kept, told to the controller
//!                                 wire
//! ```
//!
//! One lock guards it; the engine's task and the encode thread hold it for a few microseconds each. It takes the place
//! of the engine's pacer, estimator, transport-wide numbering (which leaves repairs out) and NACK responder (which
//! repeats without limit); docs/ENGINE.md.

mod kept;
mod twcc;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farwheel_proto::rate::{self, Command, Controller, Orders, Pacer, Sending, Verdict};
use farwheel_proto::rtp::Payload;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use rtc::shared::marshal::Marshal;

use kept::Kept;

/// Name of the transport-wide number among the header extensions.
const NUMBER_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// RTP header with the transport-wide number, SRTP tag, UDP and IPv4: what the link carries beside the payload.
const OVERHEAD_BYTES: usize = 12 + 8 + 16 + 28;

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    controller: Controller,
    pacer: Pacer<Leaving>,
    orders: Orders,
    entries: Entries,
    stream: Option<Stream>,
    kept: Kept,
    feedback: twcc::Reader,
    number: u16,
    repair_sequence: u16,
    repairs: u64,
    seen_at: Instant,
    /// Leaving, each with its time.
    out: VecDeque<(rtp::Packet, Instant)>,
}

/// A packet in the pacer.
#[derive(Debug)]
struct Leaving {
    packet: rtp::Packet,
    /// Number of the original in its stream.
    sequence: u16,
    sending: Sending,
}

/// Where the receiver can go on after pictures that it has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entries {
    /// With a key frame, as every receiver.
    Keys,
    /// With a recovery, too.
    Recoveries,
}

/// What was negotiated for the video.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// SSRC and payload type of the repairs; without them a repair is the same packet again.
    repairs: Option<(u32, u8)>,
    /// Id of the header extension that carries the transport-wide number.
    number_id: Option<u8>,
}

impl Uplink {
    pub(crate) fn new(config: &rate::Config, now: Instant) -> Self {
        let controller = Controller::new(config, now);
        Self {
            pacer: Pacer::new(controller.pace()),
            orders: Orders::default(),
            entries: Entries::Keys,
            controller,
            stream: None,
            kept: Kept::new(),
            feedback: twcc::Reader::default(),
            number: rand::random(),
            repair_sequence: rand::random(),
            repairs: 0,
            seen_at: now,
            out: VecDeque::new(),
        }
    }

    /// Whether a picture captured just now is to be encoded.
    pub(crate) fn admit(&mut self, waiting_bytes: usize, now: Instant) -> Verdict {
        let verdict = self.controller.handle_frame(self.pacer.queued_bytes() + waiting_bytes, now);
        self.obey(now);
        verdict
    }

    pub(crate) fn controller(&mut self) -> &mut Controller {
        &mut self.controller
    }

    pub(crate) const fn target(&self) -> rate::Target {
        self.controller.target()
    }

    pub(crate) fn status(&self, now: Instant) -> rate::Status {
        self.controller.status(now)
    }

    /// Packets sent again.
    pub(crate) const fn repairs(&self) -> u64 {
        self.repairs
    }

    /// The receiver can go on with a recovery: from now on one is ordered where a picture will not be whole in time.
    pub(crate) const fn allow_recoveries(&mut self) {
        self.entries = Entries::Recoveries;
    }

    /// What came of the losses so far.
    pub(crate) const fn orders(&mut self) -> &mut Orders {
        &mut self.orders
    }

    fn handle_packet(&mut self, packet: rtp::Packet, now: Instant) {
        let sequence = packet.header.sequence_number;
        let is_fresh_start = Payload::parse(&packet.payload).is_ok_and(|payload| match self.entries {
            Entries::Keys => payload.opens_key_frame(),
            Entries::Recoveries => payload.opens_key_frame() || payload.opens_recovery().is_some(),
        });
        if is_fresh_start {
            self.kept.handle_fresh_start(sequence);
            self.orders.handle_fresh_start(sequence);
            // Repairs of what came before would only go before this one.
            self.pacer.retain(|waiting| waiting.sending == Sending::Original);
        }
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        let leaving = Leaving { packet, sequence, sending: Sending::Original };
        if let Err(full) = self.pacer.push_frame([(leaving, bytes)]) {
            // The receiver misses it and asks for help.
            tracing::debug!(%full, "packet dropped");
        }
        self.release(now);
    }

    fn handle_nack(&mut self, nack: &TransportLayerNack, now: Instant) {
        if self.stream.is_none_or(|stream| stream.ssrc != nack.media_ssrc) {
            return;
        }
        let round_trip = self.controller.status(now).round_trip;
        for sequence in nack.nacks.iter().flat_map(|pair| pair.packet_list()) {
            if let Some(packet) = self.kept.repair(sequence, round_trip, now) {
                self.repairs += 1;
                self.push_repair(packet);
            }
        }
        self.release(now);
    }

    fn handle_feedback(&mut self, feedback: &TransportLayerCc, now: Instant) {
        let report = self.feedback.read(feedback);
        self.controller.handle_report(&report, now);
        match self.entries {
            Entries::Keys => {}
            Entries::Recoveries => {
                self.orders.set_round_trip(self.controller.status(now).round_trip);
                self.orders.handle_report(&report, now);
            }
        }
        self.obey(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.controller.poll_timeout().is_some_and(|at| at <= now) {
            self.controller.handle_timeout(now);
        }
        if self.orders.poll_timeout().is_some_and(|at| at <= now) {
            self.orders.handle_timeout(now);
        }
        self.obey(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let pacer = self.pacer.poll_timeout(self.seen_at);
        [self.controller.poll_timeout(), self.orders.poll_timeout(), pacer].into_iter().flatten().min()
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
        self.pacer.set_pace(self.controller.pace());
        self.release(now);
    }

    /// A probe is padding alone (RFC 3550 section 5.1), which a receiver counts and drops. While the link stands still
    /// probes are what its queue fills with, and all that is told afterwards waits behind them.
    fn push_probe(&mut self) {
        let Some((sequence, timestamp)) = self.kept.newest() else { return };
        let packet = match self.stream.and_then(|stream| stream.repairs) {
            Some(repairs) => {
                let header = self.repair_header(repairs, timestamp);
                rtp::Packet { header: rtp::Header { padding: true, ..header }, payload: bytes::Bytes::new() }
            }
            // The stream's own numbers are all given to pictures.
            None => match self.kept.smallest_of_newest() {
                Some(packet) => packet,
                None => return,
            },
        };
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        self.pacer.push_repair(Leaving { packet, sequence, sending: Sending::Probe }, bytes);
    }

    fn push_repair(&mut self, packet: rtp::Packet) {
        let sequence = packet.header.sequence_number;
        let packet = match self.stream.and_then(|stream| stream.repairs) {
            Some(repairs) => {
                // RFC 4588 section 4: the original number goes before the payload.
                let mut payload = Vec::with_capacity(packet.payload.len() + 2);
                payload.extend_from_slice(&packet.header.sequence_number.to_be_bytes());
                payload.extend_from_slice(&packet.payload);
                let header = self.repair_header(repairs, packet.header.timestamp);
                let marker = packet.header.marker;
                rtp::Packet { header: rtp::Header { marker, ..header }, payload: payload.into() }
            }
            None => packet,
        };
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        self.pacer.push_repair(Leaving { packet, sequence, sending: Sending::Repair }, bytes);
    }

    fn repair_header(&mut self, (ssrc, payload_type): (u32, u8), timestamp: u32) -> rtp::Header {
        self.repair_sequence = self.repair_sequence.wrapping_add(1);
        let sequence_number = self.repair_sequence;
        rtp::Header { version: 2, ssrc, payload_type, sequence_number, timestamp, ..Default::default() }
    }

    fn release(&mut self, now: Instant) {
        self.seen_at = now;
        while let Some(packet) = self.pacer.poll_packet(now) {
            self.dispatch(packet, now);
        }
    }

    fn dispatch(&mut self, leaving: Leaving, now: Instant) {
        let Leaving { mut packet, sequence, sending } = leaving;
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        if sending == Sending::Original && self.stream.is_some_and(|stream| stream.ssrc == packet.header.ssrc)
        {
            self.kept.put(&packet);
        }
        if let Some(id) = self.stream.and_then(|stream| stream.number_id) {
            self.number = self.number.wrapping_add(1);
            let number = rtp::extension::transport_cc_extension::TransportCcExtension {
                transport_sequence: self.number,
            };
            let is_numbered =
                number.marshal().is_ok_and(|bytes| packet.header.set_extension(id, bytes.freeze()).is_ok());
            if is_numbered {
                self.controller.handle_sent(self.number, bytes, now);
                self.orders.handle_sent(self.number, sequence, sending);
            }
        }
        self.out.push_back((packet, now));
    }
}

/// An [`Uplink`] that the engine's task and the connection's handle share.
#[derive(Clone, Debug)]
pub(crate) struct SharedUplink(Arc<Mutex<Uplink>>);

impl SharedUplink {
    /// Before the transport-wide receiver's place, which must not see our numbers as its own.
    pub(crate) const SLOT: usize = 2_000;

    pub(crate) fn new(config: &rate::Config, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Uplink::new(config, now))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Uplink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the engine's chain has it.
    pub(crate) fn interceptor(&self) -> Tap {
        Tap { uplink: self.clone(), read_queue: VecDeque::new(), write_queue: VecDeque::new() }
    }
}

/// Leads the engine's packets through an [`Uplink`].
pub(crate) struct Tap {
    uplink: SharedUplink,
    read_queue: VecDeque<TaggedPacket>,
    write_queue: VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            for packet in packets {
                let packet = packet.as_any();
                if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
                    self.uplink.lock().handle_feedback(feedback, msg.now);
                } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
                    self.uplink.lock().handle_nack(nack, msg.now);
                }
            }
        }
        self.read_queue.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read_queue.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Self::Error> {
        let TaggedPacket { now, transport, message } = msg;
        match message {
            AttributedPacket { packet: Packet::Rtp(packet), .. } => {
                self.uplink.lock().handle_packet(packet, now)
            }
            // Reports and requests never wait.
            message => self.write_queue.push_back(TaggedPacket { now, transport, message }),
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.write_queue.pop_front().or_else(|| {
            let (packet, now) = self.uplink.lock().out.pop_front()?;
            let message = AttributedPacket::new(Packet::Rtp(packet));
            Some(TaggedPacket { now, transport: TransportContext::default(), message })
        })
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Self::Error> {
        self.uplink.lock().handle_timeout(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Self::Time> {
        self.uplink.lock().poll_timeout()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let number = info.rtp_header_extensions.iter().find(|extension| extension.uri == NUMBER_URI);
        self.uplink.lock().stream.get_or_insert(Stream {
            ssrc: info.ssrc,
            repairs: info.ssrc_rtx.zip(info.payload_type_rtx),
            number_id: number.and_then(|number| u8::try_from(number.id).ok()).filter(|id| *id != 0),
        });
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        let mut uplink = self.uplink.lock();
        if uplink.stream.is_some_and(|stream| stream.ssrc == info.ssrc) {
            uplink.stream = None;
        }
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

/// What a sender is told once, besides the camera.
pub(crate) const fn config(camera: crate::config::Camera, feedback_interval: Duration) -> rate::Config {
    rate::Config {
        bitrate_max: camera.bitrate_max,
        camera: camera.size,
        camera_fps: camera.fps,
        feedback_interval,
    }
}

#[cfg(test)]
mod tests;
