//! Known defects of the engine (docs/ENGINE.md). Each test shows one that is still there: when a test here fails after an
//! upgrade, the defect is gone, and what was built around it can go too.

use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::interceptor::{Interceptor, NackGeneratorBuilder, Packet, RTCPFeedback, StreamInfo, TaggedPacket};
use rtc::media::io::sample_builder::SampleBuilder;
use rtc::rtp;
use rtc::rtp::codec::h264::H264Packet;
use rtc::rtp::packetizer::Depacketizer;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionIceEvent, SettingEngineBuilder,
};

#[test]
fn its_depacketizer_panics_on_a_truncated_aggregate() {
    let truncated = Bytes::from_static(&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0]);
    let outcome = catch_unwind(|| H264Packet::default().depacketize(&truncated));
    assert!(outcome.is_err(), "the depacketizer reads truncated aggregates: {outcome:?}");
}

#[test]
fn its_depacketizer_glues_fragments_over_a_loss() {
    let mut depacketizer = H264Packet::default();
    // Start of one unit; its end and the start of the next are lost; the end of the next.
    depacketizer.depacketize(&Bytes::from_static(&[0x7c, 0x85, 1, 1])).expect("a fragment");
    let glued = depacketizer.depacketize(&Bytes::from_static(&[0x7c, 0x45, 9, 9])).expect("a fragment");
    assert_eq!(glued[glued.len() - 5..], [0x65, 1, 1, 9, 9], "two units in one");
}

#[test]
fn its_sample_builder_holds_a_complete_picture_until_the_next_begins() {
    let now = Instant::now();
    let mut builder = SampleBuilder::new(50, H264Packet::default(), 90_000);
    let packet = |sequence_number, timestamp| rtp::Packet {
        header: rtp::Header { version: 2, marker: true, sequence_number, timestamp, ..Default::default() },
        payload: Bytes::from_static(&[0x65, 1, 2, 3]),
    };
    builder.push(now, packet(1, 0));
    builder.push(now, packet(2, 3000));
    assert!(builder.pop(now).is_none_or(|sample| sample.packet_timestamp == 0));
    assert!(builder.pop(now).is_none(), "the second picture came with its marker");
}

#[test]
fn its_nack_generator_asks_without_end() {
    let start = Instant::now();
    let mut generator = NackGeneratorBuilder::new().build();
    let feedback = RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() };
    generator.bind_remote_stream(&StreamInfo {
        ssrc: 1,
        rtcp_feedback: vec![feedback],
        ..Default::default()
    });
    for sequence_number in [1, 3] {
        let header = rtp::Header { version: 2, ssrc: 1, sequence_number, ..Default::default() };
        let packet = rtp::Packet { header, payload: Bytes::from_static(&[1]) };
        let message = Packet::Rtp(packet).into();
        generator
            .handle_read(TaggedPacket { now: start, transport: TransportContext::default(), message })
            .expect("ok");
    }
    let mut asked = 0;
    for n in 1..=100 {
        generator.handle_timeout(start + Duration::from_millis(100) * n).expect("ok");
        while generator.poll_write().is_some() {
            asked += 1;
        }
    }
    assert!(asked > 50, "it asked {asked} times in 10 s for one packet");
}

/// A channel that the other side announces in-band forgets that it is not to be retransmitted.
#[tokio::test]
async fn its_accepted_channels_are_reliable_whatever_was_announced() {
    let [offering, answering] = [Recorder::default(), Recorder::default()].map(Arc::new);
    let (a, b) = (build(&offering).await, build(&answering).await);
    let lossy = RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
    let _announced = a.create_data_channel("lossy", Some(lossy)).await.expect("made");
    let offer = a.create_offer(None).await.expect("offer");
    a.set_local_description(offer.clone()).await.expect("taken");
    b.set_remote_description(offer).await.expect("taken");
    let answer = b.create_answer(None).await.expect("answer");
    b.set_local_description(answer.clone()).await.expect("taken");
    a.set_remote_description(answer).await.expect("taken");
    let accepted = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            for (from, to) in [(&offering, &b), (&answering, &a)] {
                let candidates = std::mem::take(&mut *from.candidates.lock().expect("held briefly"));
                for candidate in candidates {
                    to.add_ice_candidate(candidate).await.expect("a candidate");
                }
            }
            if let Some(channel) = answering.channels.lock().expect("held briefly").pop() {
                return channel;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a channel in time");
    assert_eq!(accepted.max_retransmits().await.expect("open"), None, "announced: Some(0)");
    a.close().await.expect("closed");
    b.close().await.expect("closed");
}

#[derive(Default)]
struct Recorder {
    candidates: Mutex<Vec<RTCIceCandidateInit>>,
    channels: Mutex<Vec<Arc<dyn DataChannel>>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Recorder {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(candidate) = event.candidate.to_json() {
            self.candidates.lock().expect("held briefly").push(candidate);
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.channels.lock().expect("held briefly").push(channel);
    }
}

async fn build(recorder: &Arc<Recorder>) -> Arc<dyn PeerConnection> {
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_ice_connection_attempts(Some(Duration::from_millis(20)), Some(200))
        .build();
    let builder = PeerConnectionBuilder::new()
        .with_setting_engine(settings)
        .with_handler(Arc::clone(recorder) as Arc<dyn PeerConnectionEventHandler>)
        .with_udp_addrs(vec!["127.0.0.1:0"]);
    Arc::new(Box::pin(builder.build()).await.expect("built"))
}
