use proptest::prelude::*;

use super::*;
use crate::anchor::Anchor;
use crate::rtp::payload;
use crate::video::FrameKind;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_picture_is_handed_over_with_its_last_packet_and_not_a_picture_later() {
    let mut rig = Rig::new();
    let key = rig.picture(FrameKind::Key, 3000);
    for (n, packet) in key.iter().enumerate() {
        rig.at(n as u64).give(packet);
        assert_eq!(rig.frames.len(), usize::from(n + 1 == key.len()));
    }
    assert_eq!(rig.frames, [0]);
    let frame = rig.last.clone().expect("one was handed over");
    assert_eq!(frame.kind, FrameKind::Key);
    assert_eq!(frame.spent, MS * (key.len() as u32 - 1));
    assert_eq!(frame.arrived_at, rig.now);
}

#[test]
fn reordering_by_two_packets_is_put_right_without_a_request() {
    let mut rig = Rig::new();
    let key = rig.picture(FrameKind::Key, 4000);
    assert!(key.len() >= 4);
    for n in [1, 2, 0].into_iter().chain(3..key.len()) {
        rig.give(&key[n]);
    }
    assert_eq!((rig.frames.as_slice(), rig.nacks.len(), rig.keyframe_requests), (&[0][..], 0, 0));
}

#[test]
fn a_gap_overtaken_by_three_packets_is_asked_for_at_once() {
    let mut rig = Rig::started();
    let delta = rig.picture(FrameKind::Delta, 5000);
    rig.give(&delta[0]);
    for packet in &delta[2..4] {
        rig.give(packet);
    }
    assert_eq!(rig.nacks, Vec::<u16>::new());
    rig.give(&delta[4]);
    assert_eq!(rig.nacks, [delta[1].sequence]);
}

#[test]
fn a_gap_five_milliseconds_old_is_asked_for() {
    let mut rig = Rig::started();
    let delta = rig.picture(FrameKind::Delta, 2000);
    let base = rig.now_ms();
    rig.give(&delta[1]);
    rig.at(base + 4);
    assert_eq!(rig.nacks, Vec::<u16>::new());
    rig.at(base + 5);
    assert_eq!(rig.nacks, [delta[0].sequence]);
}

#[test]
fn a_packet_is_asked_for_twice_at_most() {
    let mut rig = Rig::started();
    rig.assembler.set_rtt(MS * 40);
    let delta = rig.picture(FrameKind::Delta, 2000);
    let base = rig.now_ms();
    rig.give(&delta[1]);
    rig.at(base + 5);
    assert_eq!(rig.nacks.len(), 1);
    rig.at(base + 5 + 47);
    assert_eq!(rig.nacks.len(), 1);
    rig.at(base + 5 + 48);
    assert_eq!(rig.nacks.len(), 2);
    rig.at(base + 119);
    assert_eq!((rig.nacks.len(), rig.keyframe_requests), (2, 0));
    rig.at(base + 120);
    assert_eq!((rig.nacks.len(), rig.keyframe_requests), (2, 1));
}

#[test]
fn a_long_round_trip_means_fewer_requests() {
    for (rtt, requests) in [(128, 2), (150, 2), (151, 1), (300, 1), (301, 0)] {
        let mut rig = Rig::started();
        rig.assembler.set_rtt(MS * rtt);
        let delta = rig.picture(FrameKind::Delta, 2000);
        let base = rig.now_ms();
        rig.give(&delta[1]);
        rig.at(base + 199);
        assert_eq!((rig.nacks.len(), rig.keyframe_requests), (requests, 0), "rtt {rtt} ms");
        rig.at(base + 200);
        assert_eq!(rig.keyframe_requests, 1, "rtt {rtt} ms");
    }
}

#[test]
fn a_repair_in_time_completes_the_picture() {
    let mut rig = Rig::started();
    let delta = rig.picture(FrameKind::Delta, 3000);
    let next = rig.picture(FrameKind::Delta, 100);
    for packet in delta[1..].iter().chain(&next) {
        rig.give(packet);
    }
    assert_eq!(rig.frames, [0]);
    let base = rig.now_ms();
    rig.at(base + 40).give(&delta[0]);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0, 1, 2][..], 0));
    assert_eq!(rig.assembler.counters().packets_repaired, 1);
}

#[test]
fn a_recovery_need_not_wait_for_what_is_missing_before_it() {
    for gives_up_first in [false, true] {
        let mut rig = Rig::started();
        let lost = rig.picture(FrameKind::Delta, 2000);
        rig.give(&lost[1]);
        if gives_up_first {
            let base = rig.now_ms();
            rig.at(base + 150);
        }
        let unusable = rig.picture(FrameKind::Delta, 2000);
        let recovery = rig.picture(FrameKind::Recovery, 3000);
        let next = rig.picture(FrameKind::Delta, 1000);
        for packet in unusable.iter().chain(&recovery).chain(&next) {
            rig.give(packet);
        }
        assert_eq!(rig.frames, [0, 3, 4]);
        assert_eq!(rig.assembler.counters().breaks, 1);
        assert_eq!(rig.keyframe_requests, usize::from(gives_up_first));
        // What it has replaced is not missed any more.
        assert_eq!(rig.assembler.poll_timeout(), None);
    }
}

#[test]
fn a_recovery_with_a_hole_is_waited_for_before_a_key_frame_is_asked_for() {
    let mut rig = Rig::started();
    let lost = rig.picture(FrameKind::Delta, 2000);
    rig.give(&lost[1]);
    let recovery = rig.picture(FrameKind::Recovery, 4000);
    rig.at(100);
    for packet in recovery.iter().filter(|packet| packet.sequence != recovery[2].sequence) {
        rig.give(packet);
    }
    rig.at(130);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0][..], 0));
    rig.give(&recovery[2]);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0, 2][..], 0));
}

#[test]
fn the_first_packet_of_a_recovery_is_still_asked_for_once_the_loss_before_it_is_given_up() {
    let mut rig = Rig::started();
    let (delta, recovery) = (rig.picture(FrameKind::Delta, 3000), rig.picture(FrameKind::Recovery, 3000));
    rig.give_all(&delta[1..]);
    let base = rig.now_ms();
    // Ordered because a repair was lost twice, it comes just before the receiver gives that up.
    rig.at(base + 145).give_all(&recovery[1..]);
    rig.at(base + 400);
    assert!(rig.nacks.contains(&recovery[0].sequence), "{:?}", rig.nacks);
    let mut rig = Rig::started();
    let (delta, recovery) = (rig.picture(FrameKind::Delta, 3000), rig.picture(FrameKind::Recovery, 3000));
    rig.give_all(&delta[1..]);
    let base = rig.now_ms();
    rig.at(base + 149).give_all(&recovery[1..]);
    rig.at(base + 210).give(&recovery[0]);
    assert_eq!(rig.frames, [0, 2]);
}

#[test]
fn a_stream_does_not_begin_with_a_recovery() {
    let mut rig = Rig::new();
    let recovery = rig.picture(FrameKind::Recovery, 2000);
    rig.give_all(&recovery);
    assert!(rig.frames.is_empty());
    let key = rig.picture(FrameKind::Key, 2000);
    rig.give_all(&key);
    assert_eq!(rig.frames, [1]);
}

#[test]
fn after_a_loss_nothing_is_handed_over_until_the_next_key_frame() {
    let mut rig = Rig::started();
    let lost = rig.picture(FrameKind::Delta, 2000);
    rig.give(&lost[1]);
    let base = rig.now_ms();
    rig.at(base + 150);
    assert_eq!(rig.keyframe_requests, 1);
    for _ in 0..3 {
        let delta = rig.picture(FrameKind::Delta, 2000);
        rig.give_all(&delta);
    }
    assert_eq!(rig.frames, [0]);
    let key = rig.picture(FrameKind::Key, 3000);
    rig.give_all(&key);
    let delta = rig.picture(FrameKind::Delta, 2000);
    rig.give_all(&delta);
    assert_eq!(rig.frames, [0, 5, 6]);
}

#[test]
fn a_complete_key_frame_does_not_wait_for_what_it_replaces() {
    let mut rig = Rig::started();
    let lost = rig.picture(FrameKind::Delta, 2000);
    rig.give(&lost[0]);
    let key = rig.picture(FrameKind::Key, 3000);
    rig.give_all(&key);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0, 2][..], 0));
}

#[test]
fn a_late_packet_of_a_skipped_picture_changes_nothing() {
    let mut rig = Rig::started();
    let lost = rig.picture(FrameKind::Delta, 2000);
    rig.give(&lost[0]);
    let key = rig.picture(FrameKind::Key, 3000);
    rig.give_all(&key);
    rig.give_all(&lost);
    assert_eq!(rig.frames, [0, 2]);
}

#[test]
fn a_key_frame_whose_first_packet_is_repaired_counts() {
    let mut rig = Rig::new();
    let key = rig.picture(FrameKind::Key, 200_000);
    let before = rig.number;
    rig.sender_skips_to(before);
    let opening = rig.picture(FrameKind::Delta, 50);
    rig.give_all(&opening);
    let second = rig.picture(FrameKind::Key, 200_000);
    rig.give_all(&second[1..]);
    assert_eq!(rig.nacks, [second[0].sequence]);
    rig.give(&second[0]);
    assert_eq!(rig.frames, [2]);
    drop(key);
}

#[test]
fn a_key_frame_with_a_hole_for_good_is_asked_for_again() {
    let mut rig = Rig::new();
    let key = rig.picture(FrameKind::Key, 5000);
    let base = rig.now_ms();
    rig.give(&key[0]);
    for packet in &key[2..] {
        rig.give(packet);
    }
    rig.at(base + 99);
    assert_eq!(rig.keyframe_requests, 0);
    rig.at(base + 100);
    assert_eq!(rig.keyframe_requests, 1);
}

#[test]
fn without_a_key_frame_one_is_asked_for_again_and_again() {
    let mut rig = Rig::new();
    let delta = rig.picture(FrameKind::Delta, 100);
    rig.give_all(&delta);
    rig.at(99);
    assert_eq!(rig.keyframe_requests, 0);
    rig.at(100);
    assert_eq!(rig.keyframe_requests, 1);
    rig.at(599);
    assert_eq!(rig.keyframe_requests, 1);
    rig.at(600);
    assert_eq!(rig.keyframe_requests, 2);
}

#[test]
fn before_the_first_packet_there_is_nothing_to_wait_for() {
    let rig = Rig::new();
    assert_eq!(rig.assembler.poll_timeout(), None);
}

#[test]
fn duplicates_are_handed_over_once() {
    let mut rig = Rig::new();
    let key = rig.picture(FrameKind::Key, 3000);
    for packet in &key {
        rig.give(packet);
        rig.give(packet);
    }
    rig.give_all(&key);
    assert_eq!(rig.frames, [0]);
    assert_eq!(rig.assembler.counters().packets, key.len() as u64);
}

#[test]
fn a_sender_without_markers_is_understood_one_packet_later() {
    let mut rig = Rig::new();
    for (kind, want) in [(FrameKind::Key, 0), (FrameKind::Delta, 1), (FrameKind::Delta, 2)] {
        for mut packet in rig.picture(kind, 2000) {
            packet.marker = false;
            rig.give(&packet);
        }
        assert_eq!(rig.frames.len(), want);
    }
}

#[test]
fn padding_between_pictures_is_skipped() {
    let mut rig = Rig::started();
    let last = rig.last.clone().expect("the key frame").media_time;
    for _ in 0..3 {
        let sequence = rig.take_sequence();
        rig.give(&Packet { sequence, media_time: last, marker: false, payload: Bytes::new() });
    }
    for _ in 0..2 {
        let delta = rig.picture(FrameKind::Delta, 2000);
        rig.give_all(&delta);
    }
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0, 1, 2][..], 0));
}

#[test]
fn a_malformed_payload_ends_in_a_request_and_not_in_a_picture() {
    let mut rig = Rig::started();
    let mut delta = rig.picture(FrameKind::Delta, 3000);
    delta[1].payload = Bytes::from_static(&[0x78, 0xff]);
    rig.give_all(&delta);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0][..], 1));
}

#[test]
fn a_sender_that_starts_over_is_followed() {
    let mut rig = Rig::started();
    rig.number += 30_000;
    let key = rig.picture(FrameKind::Key, 5000);
    rig.give_all(&key);
    // The first packet after the jump is taken for a stray, so this picture is lost; the next key frame counts.
    let key = rig.picture(FrameKind::Key, 5000);
    rig.give_all(&key);
    assert_eq!(rig.frames, [0, 2]);
}

#[test]
fn an_outage_asks_for_a_key_frame_and_not_for_a_thousand_packets() {
    let mut rig = Rig::started();
    rig.number += 1000;
    let delta = rig.picture(FrameKind::Delta, 5000);
    rig.give_all(&delta);
    assert_eq!((rig.nacks.len(), rig.keyframe_requests), (0, 1));
}

#[test]
fn a_reader_that_lost_a_picture_gets_a_key_frame_next() {
    let mut rig = Rig::started();
    rig.assembler.handle_reader_overflow(rig.now);
    rig.drain();
    assert_eq!(rig.keyframe_requests, 1);
    let delta = rig.picture(FrameKind::Delta, 100);
    rig.give_all(&delta);
    let key = rig.picture(FrameKind::Key, 100);
    rig.give_all(&key);
    assert_eq!(rig.frames, [0, 2]);
}

#[test]
fn a_hole_behind_a_late_key_frame_is_not_forgotten() {
    let mut rig = Rig::started();
    let (lost, key) = (rig.picture(FrameKind::Delta, 2000), rig.picture(FrameKind::Key, 100));
    let (hole, last) = (rig.picture(FrameKind::Delta, 2000), rig.picture(FrameKind::Delta, 2000));
    rig.give(&lost[0]);
    rig.give(&hole[0]);
    rig.give_all(&last);
    let base = rig.now_ms();
    // The loss is given up while the key frame after it is still on its way.
    rig.at(base + 150);
    rig.give_all(&key);
    assert_eq!((rig.frames.as_slice(), rig.keyframe_requests), (&[0, 2][..], 1));
    rig.at(base + 300);
    assert_eq!(rig.keyframe_requests, 2);
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    Late(u8),
    LateTwice(u8),
}

proptest! {
    /// Whatever the network does short of forging, each picture handed over is bit for bit one that was sent, in
    /// order, and never one whose predecessor is missing; and once the network behaves, pictures come again.
    #[test]
    fn only_true_and_decodable_pictures_come_out(
        fates in prop::collection::vec(fate(), 60..400),
        sizes in prop::collection::vec(1_usize..6000, 60),
        repairs in any::<bool>(),
        rtt in 0_u64..400,
        first_sequence in any::<u16>(),
    ) {
        let mut rig = Rig::new();
        rig.number = u64::from(first_sequence) + (1 << 16);
        rig.assembler.set_rtt(MS * rtt as u32);
        let mut fates = fates.into_iter();
        let mut due: BTreeMap<(u64, u64), Packet> = BTreeMap::new();
        let (mut order, mut key_wanted, mut sent) = (0, true, Vec::<Packet>::new());
        let clean = [500; 20];
        for (n, &size) in sizes.iter().chain(&clean).enumerate() {
            let kind = if key_wanted { FrameKind::Key } else { FrameKind::Delta };
            key_wanted = false;
            let base = rig.now_ms();
            for packet in rig.picture(kind, size) {
                sent.push(packet.clone());
                let fate = if n < sizes.len() { fates.next() } else { None };
                let arrivals = match fate.unwrap_or(Fate::Arrives) {
                    Fate::Arrives => vec![0],
                    Fate::Lost => vec![],
                    Fate::Twice => vec![0, 0],
                    Fate::Late(by) => vec![by],
                    Fate::LateTwice(by) => vec![0, by],
                };
                for late in arrivals {
                    order += 1;
                    due.insert((base + u64::from(late), order), packet.clone());
                }
            }
            let until = base + 33;
            while rig.now_ms() < until {
                while let Some((&(at, id), _)) = due.first_key_value() && at <= rig.now_ms() {
                    let packet = due.remove(&(at, id)).expect("it is the first");
                    rig.give(&packet);
                }
                let (asked, keys) = (std::mem::take(&mut rig.nacks), std::mem::take(&mut rig.keyframe_requests));
                key_wanted |= keys > 0;
                for sequence in asked.into_iter().filter(|_| repairs) {
                    if let Some(packet) = sent.iter().rev().find(|packet| packet.sequence == sequence) {
                        order += 1;
                        due.insert((rig.now_ms() + rtt.max(1), order), packet.clone());
                    }
                }
                let next = rig.now_ms() + 1;
                rig.at(next);
            }
        }
        for pair in rig.frames.windows(2) {
            prop_assert!(pair[1] > pair[0], "out of order: {:?}", rig.frames);
            prop_assert!(
                pair[1] == pair[0] + 1 || rig.sent[pair[1]].0 == FrameKind::Key,
                "{} leans on a picture that was not handed over: {:?}", pair[1], rig.frames
            );
        }
        if let Some(&first) = rig.frames.first() {
            prop_assert_eq!(rig.sent[first].0, FrameKind::Key);
        }
        prop_assert_eq!(rig.frames.last().copied(), Some(rig.sent.len() - 1), "the stream came back");
    }

    #[test]
    fn no_packet_panics(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..12), 0_u64..200), 0..200,
        ),
        close in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        for (sequence, time, marker, payload, wait) in packets {
            let sequence = if close { sequence % 64 } else { sequence };
            let media_time = MediaTime(if close { time % 4 } else { time });
            let at = rig.now_ms() + wait;
            let packet = Packet { sequence, media_time, marker, payload: payload.into() };
            rig.at(at);
            rig.assembler.handle_packet(packet, rig.now);
            while rig.assembler.poll_command().is_some() {}
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        2 => (1_u8..150).prop_map(Fate::Late),
        1 => (1_u8..150).prop_map(Fate::LateTwice),
    ]
}

/// A sender, a clock and an assembler whose commands are carried out at once.
struct Rig {
    assembler: Assembler,
    start: Instant,
    now: Instant,
    /// Of the next packet.
    number: u64,
    sent: Vec<(FrameKind, Bytes)>,
    /// Which of the sent pictures came out.
    frames: Vec<usize>,
    last: Option<EncodedFrame>,
    nacks: Vec<u16>,
    keyframe_requests: usize,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn new() -> Self {
        let start = Instant::now();
        Self {
            assembler: Assembler::new(),
            start,
            now: start,
            number: (1 << 16) + 65_530,
            sent: Vec::new(),
            frames: Vec::new(),
            last: None,
            nacks: Vec::new(),
            keyframe_requests: 0,
        }
    }

    /// With one key frame handed over.
    fn started() -> Self {
        let mut rig = Self::new();
        let key = rig.picture(FrameKind::Key, 3000);
        rig.give_all(&key);
        assert_eq!(rig.frames, [0]);
        rig
    }

    fn now_ms(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    /// Moves the clock, stopping wherever the assembler wants to.
    fn at(&mut self, ms: u64) -> &mut Self {
        let target = self.start + MS * ms as u32;
        while let Some(due) = self.assembler.poll_timeout().filter(|&due| due <= target) {
            self.now = self.now.max(due);
            self.assembler.handle_timeout(self.now);
            self.drain();
            assert!(self.assembler.poll_timeout() != Some(due), "a timeout that was handled is due again");
        }
        self.now = target;
        self
    }

    fn take_sequence(&mut self) -> u16 {
        self.number += 1;
        (self.number - 1) as u16
    }

    fn sender_skips_to(&mut self, number: u64) {
        self.number = number;
    }

    fn picture(&mut self, kind: FrameKind, bytes: usize) -> Vec<Packet> {
        let index = self.sent.len();
        let fill = |n: usize| (index * 31 + n * 7) as u8 | 1;
        // Every other picture comes in two slices.
        let cut = bytes / 2 * (index % 2);
        let slice = |header: u8| -> Vec<u8> {
            let cuts = [0..cut, cut..bytes].into_iter().filter(|cut| !cut.is_empty());
            cuts.flat_map(|cut| [0, 0, 0, 1, header].into_iter().chain(cut.map(fill))).collect()
        };
        let annex_b: Bytes = match kind {
            FrameKind::Key => {
                [&[0, 0, 0, 1, 0x67, 0x42, fill(1), 0, 0, 0, 1, 0x68, 0xce][..], &slice(0x65)].concat().into()
            }
            FrameKind::Delta => slice(0x61).into(),
            FrameKind::Recovery => [&[0, 0, 0, 1][..], &Anchor(7).note(), &slice(0x61)].concat().into(),
        };
        self.sent.push((kind, annex_b.clone()));
        let payloads = payload::split(&annex_b, payload::PAYLOAD_BYTES_MAX);
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(n, payload)| Packet {
                sequence: self.take_sequence(),
                media_time: MediaTime(index as u32 * 3000),
                marker: n == last,
                payload,
            })
            .collect()
    }

    fn give(&mut self, packet: &Packet) {
        self.assembler.handle_packet(packet.clone(), self.now);
        self.drain();
    }

    fn give_all(&mut self, packets: &[Packet]) {
        for packet in packets {
            self.give(packet);
        }
    }

    fn drain(&mut self) {
        while let Some(command) = self.assembler.poll_command() {
            match command {
                Command::Frame(frame) => {
                    let index = frame.media_time.0 as usize / 3000;
                    let (kind, data) = &self.sent[index];
                    assert_eq!(
                        (frame.kind, &frame.data),
                        (*kind, data),
                        "picture {index} was sent otherwise"
                    );
                    self.frames.push(index);
                    self.last = Some(frame);
                }
                Command::Nack(sequences) => self.nacks.extend(sequences),
                Command::RequestKeyframe => self.keyframe_requests += 1,
            }
        }
    }
}
