use farwheel_proto::video::{Bitrate, Size};
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, RTPHeaderExtension, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, SymbolTypeTcc,
};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::NackPair;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;

use super::tap::{NUMBER_URI, Tap};
use super::*;
use crate::config::{Call, Camera};

const SSRC: u32 = 7;
const REPAIR_SSRC: u32 = 8;
const NUMBER_ID: u8 = 5;
const SCREEN_SSRC: u32 = 17;
const SOUND_SSRC: u32 = 27;
const CAMERA: Camera = Camera { size: Size::new(1280, 720), fps: 30, bitrate_max: Bitrate::from_kbps(4000) };

/// A tap with a clock.
struct Rig {
    tap: Tap,
    now: Instant,
    sequence: u16,
}

impl Rig {
    fn new() -> Self {
        Self::with_repairs(Some(REPAIR_SSRC))
    }

    fn with_repairs(ssrc_rtx: Option<u32>) -> Self {
        let now = Instant::now();
        let mut rig = Self::expecting(Media::Send(CAMERA), &[(Stream::Pictures(Track::Camera), SSRC)], now);
        rig.bind(SSRC, ssrc_rtx);
        rig
    }

    /// With sound, a camera's pictures and a screen's.
    fn of_a_call() -> Self {
        let streams = [
            (Stream::Sound, SOUND_SSRC),
            (Stream::Pictures(Track::Camera), SSRC),
            (Stream::Pictures(Track::Screen), SCREEN_SSRC),
        ];
        let call = Call { camera: CAMERA, screen: CAMERA };
        let mut rig = Self::expecting(Media::Call(call), &streams, Instant::now());
        rig.bind(SOUND_SSRC, None);
        rig.bind(SSRC, Some(REPAIR_SSRC));
        rig.bind(SCREEN_SSRC, Some(SCREEN_SSRC + 1));
        rig
    }

    fn expecting(media: Media, streams: &[(Stream, u32)], now: Instant) -> Self {
        let config = config(media, Duration::from_millis(25)).expect("it sends");
        let uplink = SharedUplink::new(&config, now);
        for (stream, ssrc) in streams {
            uplink.lock().expect(*stream, *ssrc);
        }
        Self { tap: uplink.interceptor(), now, sequence: 0 }
    }

    fn bind(&mut self, ssrc: u32, ssrc_rtx: Option<u32>) {
        self.tap.bind_local_stream(&StreamInfo {
            ssrc,
            ssrc_rtx,
            payload_type: 102,
            payload_type_rtx: ssrc_rtx.map(|_| 103),
            rtp_header_extensions: vec![RTPHeaderExtension {
                uri: NUMBER_URI.to_owned(),
                id: u16::from(NUMBER_ID),
            }],
            ..Default::default()
        });
    }

    fn tagged(&self, packet: Packet) -> TaggedPacket {
        TaggedPacket {
            now: self.now,
            transport: TransportContext::default(),
            message: AttributedPacket::new(packet),
        }
    }

    fn write(&mut self, count: usize) {
        self.write_to(SSRC, count);
    }

    fn write_to(&mut self, ssrc: u32, count: usize) {
        for _ in 0..count {
            self.sequence += 1;
            let header = rtp::Header {
                version: 2,
                ssrc,
                payload_type: 102,
                sequence_number: self.sequence,
                timestamp: 3000,
                ..Default::default()
            };
            let packet = rtp::Packet { header, payload: vec![0x41; 1000].into() };
            let tagged = self.tagged(Packet::Rtp(packet));
            self.tap.handle_write(tagged).unwrap();
        }
    }

    /// The first packet of a key frame.
    fn write_key_frame(&mut self) {
        self.sequence += 1;
        let header =
            rtp::Header { version: 2, ssrc: SSRC, sequence_number: self.sequence, ..Default::default() };
        // A STAP-A of parameter sets (RFC 6184 section 5.7.1).
        let payload = vec![0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce];
        let tagged = self.tagged(Packet::Rtp(rtp::Packet { header, payload: payload.into() }));
        self.tap.handle_write(tagged).unwrap();
    }

    fn read(&mut self, packet: impl rtc::rtcp::Packet + 'static) {
        let tagged = self.tagged(Packet::Rtcp(vec![Box::new(packet)]));
        self.tap.handle_read(tagged).unwrap();
    }

    fn nack(&mut self, sequence: u16) {
        self.nack_of(SSRC, sequence);
    }

    fn nack_of(&mut self, media_ssrc: u32, sequence: u16) {
        let nacks = vec![NackPair { packet_id: sequence, lost_packets: 0 }];
        self.read(TransportLayerNack { sender_ssrc: 0, media_ssrc, nacks });
    }

    /// What leaves at once.
    fn leave(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.tap.poll_write()).map(|tagged| tagged.message.packet).collect()
    }

    /// What leaves in this time, each timer on time.
    fn leave_within(&mut self, time: Duration) -> Vec<Packet> {
        let end = self.now + time;
        let mut left = self.leave();
        while let Some(at) = self.tap.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tap.handle_timeout(self.now).unwrap();
            left.extend(self.leave());
        }
        self.now = end;
        left
    }

    fn uplink(&self) -> std::sync::MutexGuard<'_, Uplink> {
        self.tap.uplink.lock()
    }
}

fn number(packet: &Packet) -> u16 {
    let Packet::Rtp(packet) = packet else { panic!("{packet:?}") };
    let bytes = packet.header.get_extension(NUMBER_ID).expect("numbered");
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// All of these are missing but the last, which has arrived.
fn missing(base: u16, count: u16) -> TransportLayerCc {
    let run = |symbol, run_length| {
        PacketStatusChunk::RunLengthChunk(RunLengthChunk {
            type_tcc: StatusChunkTypeTcc::RunLengthChunk,
            packet_status_symbol: symbol,
            run_length,
        })
    };
    let arrived = SymbolTypeTcc::PacketReceivedSmallDelta;
    TransportLayerCc {
        base_sequence_number: base,
        packet_status_count: count + 1,
        reference_time: 100,
        packet_chunks: vec![run(SymbolTypeTcc::PacketNotReceived, count), run(arrived, 1)],
        recv_deltas: vec![RecvDelta { type_tcc_packet: arrived, delta: 0 }],
        ..Default::default()
    }
}

fn report(base: u16, count: u16, delta_us: i64) -> TransportLayerCc {
    let symbol = SymbolTypeTcc::PacketReceivedSmallDelta;
    TransportLayerCc {
        base_sequence_number: base,
        packet_status_count: count,
        reference_time: 100,
        packet_chunks: vec![PacketStatusChunk::RunLengthChunk(RunLengthChunk {
            type_tcc: StatusChunkTypeTcc::RunLengthChunk,
            packet_status_symbol: symbol,
            run_length: count,
        })],
        recv_deltas: (0..count).map(|_| RecvDelta { type_tcc_packet: symbol, delta: delta_us }).collect(),
        ..Default::default()
    }
}

#[test]
fn pictures_are_paced_and_reports_are_not() {
    let mut rig = Rig::new();
    rig.write(5);
    assert_eq!(rig.leave().len(), 1, "the first packet leaves at once, the others wait");
    let nack = TransportLayerNack { sender_ssrc: 0, media_ssrc: 99, nacks: vec![] };
    let tagged = rig.tagged(Packet::Rtcp(vec![Box::new(nack)]));
    rig.tap.handle_write(tagged).unwrap();
    assert!(matches!(rig.leave()[..], [Packet::Rtcp(_)]), "it overtakes what waits");
    // 1064 bytes at twice 800 kbit/s are 5.3 ms.
    assert_eq!(rig.leave_within(Duration::from_millis(16)).len(), 3);
    assert_eq!(rig.leave_within(Duration::from_millis(6)).len(), 1);
}

#[test]
fn repairs_go_first_in_their_own_stream_and_are_numbered_like_all_others() {
    let mut rig = Rig::new();
    rig.write(3);
    let mut left = rig.leave_within(Duration::from_millis(2));
    rig.nack(1);
    left.extend(rig.leave_within(Duration::from_millis(50)));
    let seen: Vec<_> = left
        .iter()
        .map(|packet| {
            let Packet::Rtp(packet) = packet else { panic!("{packet:?}") };
            (packet.header.ssrc, packet.header.payload_type, packet.payload.len())
        })
        .collect();
    assert_eq!(seen, [(SSRC, 102, 1000), (REPAIR_SSRC, 103, 1002), (SSRC, 102, 1000), (SSRC, 102, 1000)]);
    let Packet::Rtp(repair) = &left[1] else { unreachable!() };
    assert_eq!(repair.payload[..3], [0, 1, 0x41], "the original number, then the payload");
    let numbers: Vec<_> = left.iter().map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
    assert_eq!(rig.uplink().repairs(), 1);
}

#[test]
fn a_request_for_another_stream_or_an_unknown_packet_is_not_answered() {
    let mut rig = Rig::new();
    rig.write(1);
    rig.leave();
    rig.nack(77);
    let nacks = vec![NackPair { packet_id: 1, lost_packets: 0xffff }];
    rig.read(TransportLayerNack { sender_ssrc: 0, media_ssrc: 99, nacks });
    assert_eq!(rig.leave_within(Duration::from_millis(50)).len(), 0);
}

#[test]
fn a_repair_lost_twice_orders_a_recovery_for_a_receiver_that_can_use_one() {
    for (is_allowed, want) in [(true, true), (false, false)] {
        let mut rig = Rig::new();
        if is_allowed {
            rig.uplink().allow_recoveries(Track::Camera);
        }
        rig.write(2);
        let left = rig.leave_within(Duration::from_millis(20));
        rig.nack(1);
        rig.leave_within(Duration::from_millis(60));
        rig.nack(1);
        let repair = rig.leave_within(Duration::from_millis(20));
        assert_eq!(repair.len(), 1);
        assert!(!rig.uplink().orders(Track::Camera).expect("sent").take());
        // One more leaves and arrives, so that a report tells of the repair.
        rig.write(1);
        rig.leave_within(Duration::from_millis(20));
        rig.read(missing(number(&left[0]), 1));
        rig.read(missing(number(&repair[0]), 1));
        assert_eq!(rig.uplink().orders(Track::Camera).expect("sent").take(), want);
    }
}

#[test]
fn nothing_before_a_recovery_is_repaired_for_a_receiver_that_can_use_it() {
    for (is_allowed, repairs) in [(true, 0), (false, 1)] {
        let mut rig = Rig::new();
        if is_allowed {
            rig.uplink().allow_recoveries(Track::Camera);
        }
        rig.write(1);
        rig.sequence += 1;
        let header =
            rtp::Header { version: 2, ssrc: SSRC, sequence_number: rig.sequence, ..Default::default() };
        let note = farwheel_proto::anchor::Anchor(3).note();
        let tagged = rig.tagged(Packet::Rtp(rtp::Packet { header, payload: note.to_vec().into() }));
        rig.tap.handle_write(tagged).unwrap();
        rig.leave_within(Duration::from_millis(20));
        rig.nack(1);
        assert_eq!(rig.leave_within(Duration::from_millis(20)).len(), repairs);
        rig.nack(2);
        assert_eq!(rig.leave_within(Duration::from_millis(20)).len(), 1);
    }
}

#[test]
fn feedback_reaches_the_controller() {
    let mut rig = Rig::new();
    rig.write(3);
    let left = rig.leave_within(Duration::from_millis(20));
    assert!(rig.uplink().status(rig.now).stall < Duration::from_millis(30));
    rig.now += Duration::from_millis(300);
    assert!(rig.uplink().status(rig.now).stall > Duration::from_millis(200), "nothing was heard");
    rig.read(report(number(&left[0]), 3, 5000));
    assert_eq!(rig.uplink().status(rig.now).stall, Duration::ZERO);
}

#[test]
fn a_full_link_closes_the_gate_and_a_probe_asks_whether_it_is_still_full() {
    let mut rig = Rig::new();
    let now = rig.now;
    assert!(matches!(rig.uplink().admit(Track::Camera, 0, now), Some(Verdict::Encode { .. })));
    rig.write(20);
    assert_eq!(rig.leave_within(Duration::from_millis(130)).len(), 20);
    let now = rig.now;
    assert!(matches!(rig.uplink().admit(Track::Camera, 0, now), Some(Verdict::Skip(_))));
    // Nothing is heard: one probe each 150 ms.
    let probes = rig.leave_within(Duration::from_millis(460));
    assert_eq!(probes.len(), 3);
    for probe in probes {
        let Packet::Rtp(probe) = probe else { panic!("{probe:?}") };
        assert_eq!((probe.header.ssrc, probe.header.padding, probe.payload.len()), (REPAIR_SSRC, true, 0));
    }
}

#[test]
fn without_a_stream_for_repairs_a_probe_is_the_smallest_of_the_newest_packets() {
    let mut rig = Rig::with_repairs(None);
    let now = rig.now;
    assert!(matches!(rig.uplink().admit(Track::Camera, 0, now), Some(Verdict::Encode { .. })));
    rig.write(20);
    rig.leave_within(Duration::from_millis(130));
    let now = rig.now;
    assert!(matches!(rig.uplink().admit(Track::Camera, 0, now), Some(Verdict::Skip(_))));
    let probes = rig.leave_within(Duration::from_millis(160));
    assert!(
        matches!(&probes[..], [Packet::Rtp(p)] if p.header.ssrc == SSRC && !p.payload.is_empty()),
        "{probes:?}"
    );
}

#[test]
fn what_a_stranger_reports_changes_nothing_and_harms_nothing() {
    let mut rig = Rig::new();
    rig.write(2);
    rig.leave_within(Duration::from_millis(20));
    for base in [0, 30_000, 65_000] {
        for delta in [i64::MIN, -1, 0, i64::MAX] {
            rig.read(report(base, 3000, delta));
        }
    }
    let status = rig.uplink().status(rig.now);
    assert!((150..=4000).contains(&status.bitrate.as_kbps()), "{status:?}");
}

#[test]
fn without_a_stream_for_repairs_one_packet_is_repaired_three_times_too() {
    let mut rig = Rig::with_repairs(None);
    rig.write(1);
    rig.leave_within(Duration::from_secs(1));
    let repairs: usize = (0..6)
        .map(|_| {
            rig.nack(1);
            rig.leave_within(Duration::from_secs(1)).len()
        })
        .sum();
    assert_eq!(repairs, 3);
}

#[test]
fn what_waits_to_be_repaired_does_not_go_before_a_picture_that_needs_none_of_it() {
    let mut rig = Rig::new();
    rig.write(40);
    rig.leave_within(Duration::from_secs(2));
    (1..=40).for_each(|sequence| rig.nack(sequence));
    let at_once = rig.leave().len();
    rig.write_key_frame();
    let left = rig.leave_within(Duration::from_secs(2));
    let repairs =
        left.iter().filter(|packet| matches!(packet, Packet::Rtp(p) if p.header.ssrc == REPAIR_SSRC));
    assert!(at_once < 20, "{at_once} repairs in one burst");
    // The one that has left with the key frame's first packet, if any.
    assert!(repairs.count() <= 1);
}

fn ssrc(packet: &Packet) -> u32 {
    let Packet::Rtp(packet) = packet else { panic!("{packet:?}") };
    packet.header.ssrc
}

#[test]
fn sound_goes_past_what_is_paced_and_is_numbered_with_it() {
    let mut rig = Rig::of_a_call();
    rig.write_to(SSRC, 4);
    rig.write_to(SCREEN_SSRC, 2);
    let first = rig.leave();
    assert_eq!(first.iter().map(ssrc).collect::<Vec<_>>(), [SSRC]);
    rig.write_to(SOUND_SSRC, 3);
    let sound = rig.leave();
    assert_eq!(sound.iter().map(ssrc).collect::<Vec<_>>(), [SOUND_SSRC; 3]);
    let rest = rig.leave_within(Duration::from_millis(100));
    assert_eq!(rest.iter().map(ssrc).collect::<Vec<_>>(), [SSRC, SSRC, SSRC, SCREEN_SSRC, SCREEN_SSRC]);
    let numbers: Vec<_> = first.iter().chain(&sound).chain(&rest).map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
}

#[test]
fn sound_is_never_repaired_and_each_track_is_in_its_own_stream() {
    let mut rig = Rig::of_a_call();
    rig.write_to(SOUND_SSRC, 1);
    rig.write_to(SCREEN_SSRC, 1);
    rig.leave_within(Duration::from_millis(50));
    rig.nack_of(SOUND_SSRC, 1);
    rig.nack_of(SSRC, 2);
    assert_eq!(rig.leave_within(Duration::from_millis(50)).len(), 0);
    rig.nack_of(SCREEN_SSRC, 2);
    let left = rig.leave_within(Duration::from_millis(50));
    assert_eq!(left.iter().map(ssrc).collect::<Vec<_>>(), [SCREEN_SSRC + 1]);
}

#[test]
fn what_is_lost_of_the_sound_is_told_and_orders_nothing_of_the_pictures() {
    let mut rig = Rig::of_a_call();
    rig.uplink().allow_recoveries(Track::Camera);
    rig.write_to(SSRC, 1);
    rig.write_to(SOUND_SSRC, 10);
    rig.write_to(SSRC, 1);
    let left = rig.leave_within(Duration::from_millis(50));
    rig.read(report(number(&left[0]), 1, 250));
    rig.read(missing(number(&left[1]), 10));
    rig.leave_within(Duration::from_millis(500));
    assert!(!rig.uplink().orders(Track::Camera).expect("sent").take());
    assert!(
        (150..=200).contains(&rig.uplink().sound_loss_permille()),
        "{}",
        rig.uplink().sound_loss_permille()
    );
}

#[test]
fn what_is_lost_of_one_track_orders_a_recovery_of_that_one_alone() {
    let mut rig = Rig::of_a_call();
    for track in Track::ALL {
        rig.uplink().allow_recoveries(track);
    }
    rig.write_to(SSRC, 1);
    rig.write_to(SCREEN_SSRC, 1);
    let left = rig.leave_within(Duration::from_millis(50));
    assert_eq!(ssrc(&left[1]), SCREEN_SSRC);
    rig.write_to(SSRC, 1);
    rig.leave_within(Duration::from_millis(20));
    rig.read(missing(number(&left[1]), 1));
    // Nobody asks for it.
    rig.leave_within(Duration::from_millis(500));
    let ordered = Track::ALL.map(|track| rig.uplink().orders(track).expect("sent").take());
    assert_eq!(ordered, [false, true]);
}
