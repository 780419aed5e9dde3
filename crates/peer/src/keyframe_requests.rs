//! Lets requests for key frames through to the sender of the pictures, and takes datagrams out of the RTCP.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use crate::detour::Inlet;

/// Takes out what came by the detour and marks PLI and FIR for delivery; all other RTCP ends in the engine, whose interceptors have read it by then.
pub(crate) struct KeyframeRequests {
    inlet: Inlet,
    read_queue: VecDeque<TaggedPacket>,
    write_queue: VecDeque<TaggedPacket>,
}

impl KeyframeRequests {
    /// After all that read RTCP, before the jitter buffer's place.
    pub(crate) const SLOT: usize = 12_500;

    pub(crate) fn new(inlet: Inlet) -> Self {
        Self { inlet, read_queue: VecDeque::new(), write_queue: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Self::Error> {
        let TaggedPacket { now, transport, message } = msg;
        match message {
            AttributedPacket { packet: Packet::Rtcp(mut packets), .. } => {
                self.inlet.take(&mut packets);
                // One by one: the engine hands a compound packet to the track that its first part is about.
                for packet in packets {
                    let is_request = packet.as_any().is::<PictureLossIndication>()
                        || packet.as_any().is::<FullIntraRequest>();
                    if is_request {
                        let mut message = AttributedPacket::new(Packet::Rtcp(vec![packet]));
                        message.add(Attribute::DeliverToApplication);
                        self.read_queue.push_back(TaggedPacket { now, transport, message });
                    }
                }
            }
            message => self.read_queue.push_back(TaggedPacket { now, transport, message }),
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read_queue.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Self::Error> {
        self.write_queue.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.write_queue.pop_front()
    }
}

impl Interceptor for KeyframeRequests {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
