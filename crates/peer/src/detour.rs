//! Datagrams beside their data channel, while that is stuck.
//!
//! SCTP sends on only as acknowledgements come back. While the way back stands still, and for seconds after the way there
//! did (its retransmission timer's least time is 1 s, docs/ENGINE.md), a fresh datagram would wait. So it goes in an RTCP
//! packet of the kind APP (RFC 3550 section 6.7), encrypted and authenticated like all RTCP, which waits for nothing:
//!
//! * a command, once [`STUCK_BYTES`] are under way without an answer,
//! * a command and telemetry, once nothing was heard for a second.
//!
//! What comes twice or late falls to its sequence number or its time. A browser does not know these packets; it drives
//! without them. docs/PROTOCOL.md has the layout.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{BufMut, Bytes, BytesMut};
use rtc::rtcp::Packet;
use rtc::rtcp::raw_packet::RawPacket;
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;

use crate::channels::EVENTS_RESERVED;
use crate::connection::Shared;
use crate::event::{Channel, Event};

/// Ten commands under way, 200 ms at 50 a second. It is below the least window of SCTP (one packet), so what the channel
/// was given has left.
const STUCK_BYTES: usize = 512;
/// Version 2, no padding; the channel's id is the subtype.
const FIRST_BYTE: u8 = 0x80;
/// Application-defined.
const APP: u8 = 204;
const NAME: &[u8; 4] = b"FWDC";
/// Header, SSRC, name and length.
const PREFIX_BYTES: usize = 14;
/// The largest datagram of telemetry has less; more is somebody else's.
const DATAGRAM_BYTES_MAX: usize = 1024;

/// The sending end: the RTCP of the video, whichever way that goes.
pub(crate) enum Detour {
    /// Of the video that is received.
    Received(Arc<dyn TrackRemote>),
    /// Of the video that is sent.
    Sent(Arc<TrackLocalStaticRTP>),
}

impl std::fmt::Debug for Detour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Detour")
    }
}

impl Detour {
    /// Sends a datagram now, if it is one that fits.
    pub(crate) async fn send(&self, channel: Channel, datagram: &[u8]) -> bool {
        let Some(packet) = write(channel, datagram) else { return false };
        match self {
            Self::Received(track) => track.write_rtcp(vec![Box::new(packet)]).await.is_ok(),
            Self::Sent(track) => track.write_rtcp(vec![Box::new(packet)]).await.is_ok(),
        }
    }
}

/// Whether a channel has more under way than a round trip explains.
pub(crate) async fn is_stuck(channel: &dyn DataChannel) -> bool {
    channel.outstanding_bytes().await.is_ok_and(|bytes| bytes >= STUCK_BYTES)
}

/// The receiving end, on the engine's own task.
pub(crate) struct Inlet {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

impl Inlet {
    pub(crate) fn new(shared: Arc<Shared>, events: mpsc::Sender<Event>) -> Self {
        Self { shared, events }
    }

    /// Takes the datagrams out of what arrived.
    pub(crate) fn take(&self, packets: &mut Vec<Box<dyn Packet>>) {
        packets.retain(|packet| {
            let Some((channel, data)) = packet.as_any().downcast_ref::<RawPacket>().and_then(read) else {
                return true;
            };
            // Before the owner was told that the link stands, nothing counts. Full: dropped, as the network might have.
            if self.shared.channels_open.load(Ordering::Acquire) && self.events.capacity() > EVENTS_RESERVED {
                self.shared.stats().datagrams_detoured += 1;
                self.events.try_send(Event::Message { channel, data }).ok();
            }
            false
        });
    }
}

fn write(channel: Channel, datagram: &[u8]) -> Option<RawPacket> {
    if datagram.len() > DATAGRAM_BYTES_MAX {
        return None;
    }
    let words = (PREFIX_BYTES + datagram.len()).div_ceil(4);
    let mut packet = BytesMut::with_capacity(words * 4);
    packet.put_u8(FIRST_BYTE | channel.id() as u8);
    packet.put_u8(APP);
    packet.put_u16(words as u16 - 1);
    // The sender's SSRC: one that only receives has none.
    packet.put_u32(0);
    packet.put_slice(NAME);
    packet.put_u16(datagram.len() as u16);
    packet.put_slice(datagram);
    packet.put_bytes(0, words * 4 - packet.len());
    Some(RawPacket(packet.freeze()))
}

fn read(packet: &RawPacket) -> Option<(Channel, Bytes)> {
    let RawPacket(bytes) = packet;
    let prefix = bytes.get(..PREFIX_BYTES)?;
    if prefix[1] != APP || prefix[8..12] != *NAME {
        return None;
    }
    let mut lossy = Channel::ALL.into_iter().filter(|channel| channel.is_lossy());
    let channel = lossy.find(|channel| prefix[0] == FIRST_BYTE | channel.id() as u8)?;
    let length = usize::from(u16::from_be_bytes([prefix[12], prefix[13]]));
    let is_whole = length <= DATAGRAM_BYTES_MAX && PREFIX_BYTES + length <= bytes.len();
    is_whole.then(|| (channel, bytes.slice(PREFIX_BYTES..PREFIX_BYTES + length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtc::shared::marshal::{Marshal, Unmarshal};

    use super::*;

    /// As the other end's engine has it.
    fn carried(packet: &RawPacket) -> RawPacket {
        let mut wire = packet.marshal().expect("it marshals").freeze();
        RawPacket::unmarshal(&mut wire).expect("it unmarshals")
    }

    #[test]
    fn a_datagram_has_this_layout() {
        let RawPacket(bytes) = write(Channel::Telemetry, b"abc").expect("it fits");
        let want = [0x81, 204, 0, 4, 0, 0, 0, 0, b'F', b'W', b'D', b'C', 0, 3, b'a', b'b', b'c', 0, 0, 0];
        assert_eq!(bytes[..], want);
    }

    #[test]
    fn what_is_too_large_or_somebody_elses_is_left_alone() {
        assert_eq!(write(Channel::Control, &[0; DATAGRAM_BYTES_MAX + 1]), None);
        let RawPacket(good) = write(Channel::Telemetry, b"abc").expect("it fits");
        for (at, value) in [(0, 0x82), (0, 0x41), (1, 205), (8, b'X'), (12, 1), (13, 9)] {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            assert_eq!(read(&RawPacket(bytes.into())), None, "byte {at} is {value}");
        }
    }

    proptest! {
        #[test]
        fn a_datagram_arrives_as_it_was_sent(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            for channel in [Channel::Control, Channel::Telemetry] {
                let packet = write(channel, &datagram).expect("it fits");
                prop_assert_eq!(read(&carried(&packet)), Some((channel, Bytes::from(datagram.clone()))));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            read(&RawPacket(bytes.into()));
        }
    }
}
