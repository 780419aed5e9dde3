//! An uplink among the engine's interceptors.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use farwheel_proto::rate;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use super::Uplink;
use super::lane::Negotiated;

/// Name of the transport-wide number among the header extensions.
pub(super) const NUMBER_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

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
    pub(super) uplink: SharedUplink,
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
            let (packet, now) = self.uplink.lock().poll_packet()?;
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
        self.uplink.lock().handle_negotiated(
            info.ssrc,
            Negotiated {
                repairs: info.ssrc_rtx.zip(info.payload_type_rtx),
                number_id: number.and_then(|number| u8::try_from(number.id).ok()).filter(|id| *id != 0),
            },
        );
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.uplink.lock().handle_unbound(info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
