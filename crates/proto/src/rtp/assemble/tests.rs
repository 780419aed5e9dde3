mod properties;
mod rig;

use self::rig::Rig;
use super::*;
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
