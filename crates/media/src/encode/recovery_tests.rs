//! Encoder and decoder with pictures lost between them.

use std::collections::VecDeque;

use farwheel_proto::anchor::Anchor;
use farwheel_proto::video::Bitrate;

use super::*;
use crate::decode::{self, Decoder};
use crate::strip::Stamp;
use crate::test_picture::TestPicture;

/// Pictures until the sender knows what the receiver holds: 100 ms.
const WAY_BACK: usize = 3;

/// What happens to a picture on its way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Arrives,
    IsLost,
}

struct Pair {
    encoder: Encoder,
    decoder: Decoder,
    picture: TestPicture,
    stamp: u32,
    under_way: VecDeque<Vec<Anchor>>,
}

impl Pair {
    fn new(size: Size, kbps: u32) -> Self {
        let target = Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 };
        Self {
            encoder: Encoder::open(Config::default(), target).unwrap(),
            decoder: Decoder::new(decode::Config::default()),
            picture: TestPicture::new(size),
            stamp: 0,
            under_way: VecDeque::new(),
        }
    }

    fn encode(&mut self) -> Encoded {
        self.stamp += 333;
        if self.under_way.len() == WAY_BACK {
            self.encoder.handle_held(&self.under_way.pop_front().unwrap());
        }
        self.encoder.encode(&self.picture.render(Stamp(self.stamp), Instant::now())).unwrap()
    }

    /// One picture; if it arrives, its likeness to the one sent.
    fn step(&mut self, fate: Fate) -> (Encoded, Option<f64>) {
        let encoded = self.encode();
        let psnr_db = (fate == Fate::Arrives).then(|| {
            let decoded =
                self.decoder.decode(&encoded.data, Instant::now()).expect("it leans on what arrived");
            let measured = self.picture.measure(&decoded.frame).expect("the strip is readable");
            assert_eq!(measured.stamp, Stamp(self.stamp), "another picture came out");
            measured.psnr_db
        });
        self.under_way.push_back(self.decoder.held().collect());
        (encoded, psnr_db)
    }

    fn steps(&mut self, count: usize, fate: Fate) {
        (0..count).for_each(|_| {
            self.step(fate);
        });
    }
}

#[test]
fn after_lost_pictures_a_recovery_brings_the_picture_back_and_is_smaller_than_a_key_frame() {
    for (kbps, size) in [
        (4000, Size::new(1280, 720)),
        (2000, Size::new(1280, 720)),
        (1000, Size::new(1280, 720)),
        (500, Size::new(1280, 720)),
        (500, Size::new(640, 360)),
    ] {
        let mut pair = Pair::new(size, kbps);
        pair.steps(60, Fate::Arrives);
        let (mut recoveries, mut keys) = ((0, 0), (0, 0));
        for round in 0..12 {
            let (_, before) = pair.step(Fate::Arrives);
            let lost: Vec<FrameKind> = (0..5).map(|_| pair.step(Fate::IsLost).0.kind).collect();
            let want = if round % 2 == 0 {
                // A key frame that takes the place of a picture that is too heavy takes its anchors with it.
                if lost.contains(&FrameKind::Key) {
                    assert_eq!(pair.encoder.order_recovery(), Order::NoAnchor, "{kbps} kbit/s");
                    pair.encoder.request_keyframe();
                } else {
                    assert_eq!(pair.encoder.order_recovery(), Order::Taken, "{kbps} kbit/s");
                }
                FrameKind::Recovery
            } else {
                pair.encoder.request_keyframe();
                FrameKind::Key
            };
            let (encoded, psnr_db) = pair.step(Fate::Arrives);
            // Where the content has changed too much for a small recovery, a key frame takes its place.
            assert!(encoded.kind == want || encoded.kind == FrameKind::Key, "{:?}", encoded.kind);
            let (sum, count) = if encoded.kind == FrameKind::Recovery { &mut recoveries } else { &mut keys };
            *sum += encoded.data.len();
            *count += 1;
            let psnr_db = psnr_db.unwrap();
            assert!(psnr_db > 32.0, "{kbps} kbit/s: {psnr_db:.1} dB");
            // The motion is another one each time.
            pair.steps(8 + round, Fate::Arrives);
            let (encoded, psnr_db) = pair.step(Fate::Arrives);
            assert_eq!(encoded.kind, FrameKind::Delta);
            assert!(psnr_db.unwrap() > before.unwrap() - 6.0, "{kbps} kbit/s: {psnr_db:?} dB");
        }
        let (recovery, key) = (recoveries.0 / recoveries.1, keys.0 / keys.1);
        println!("{kbps} kbit/s: a recovery has {recovery} bytes, a key frame {key}");
        assert!(recoveries.1 >= 3, "{recoveries:?}");
        assert!(recovery * 3 < key * 2, "{kbps} kbit/s: {recovery} and {key}");
    }
}

#[test]
fn whatever_is_lost_only_whole_pictures_come_out() {
    let mut pair = Pair::new(Size::new(320, 180), 500);
    // A fixed sequence of losses, of one to eight pictures, each answered as late as over a real link.
    let (mut state, mut recoveries, mut worst) = (12_345_u32, 0, f64::MAX);
    pair.steps(10, Fate::Arrives);
    for _ in 0..60 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pair.steps(1 + (state >> 8) as usize % 12, Fate::Arrives);
        pair.steps(1 + (state >> 16) as usize % 8, Fate::IsLost);
        if pair.encoder.order_recovery() == Order::NoAnchor {
            pair.encoder.request_keyframe();
        } else {
            recoveries += 1;
        }
        let (_, psnr_db) = pair.step(Fate::Arrives);
        worst = worst.min(psnr_db.unwrap());
    }
    assert!(recoveries >= 55, "{recoveries} of 60");
    assert!(worst > 28.0, "{worst:.1} dB");
}

#[test]
fn without_an_anchor_that_the_receiver_is_known_to_hold_there_is_no_recovery() {
    let mut pair = Pair::new(Size::new(320, 180), 500);
    assert_eq!(pair.encoder.order_recovery(), Order::NoAnchor);
    pair.steps(WAY_BACK, Fate::Arrives);
    assert_eq!(pair.encoder.order_recovery(), Order::NoAnchor, "the way back is not that short");
    pair.steps(2, Fate::Arrives);
    assert_eq!(pair.encoder.order_recovery(), Order::Taken);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Recovery);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Delta, "one was ordered");
    // Another receiver, of which nothing is known.
    pair.encoder.handle_held(&[]);
    assert_eq!(pair.encoder.order_recovery(), Order::NoAnchor);
}

#[test]
fn a_recovery_from_a_picture_that_a_receiver_does_not_hold_is_not_decoded() {
    let mut pair = Pair::new(Size::new(320, 180), 500);
    let mut other = Decoder::new(decode::Config::default());
    // It has the key frame, and nothing of what was kept later.
    let (key, _) = pair.step(Fate::Arrives);
    other.decode(&key.data, Instant::now()).unwrap();
    pair.steps(30, Fate::Arrives);
    assert_eq!(pair.encoder.order_recovery(), Order::Taken);
    let (recovery, psnr_db) = pair.step(Fate::Arrives);
    assert!(psnr_db.is_some(), "the one that holds it goes on");
    let error = other.decode(&recovery.data, Instant::now()).unwrap_err();
    assert!(matches!(error, decode::Error::NeedsKeyframe(_)), "{error}");
    assert_eq!(other.held().count(), 0);
}

#[test]
fn a_key_frame_goes_before_a_recovery() {
    let mut pair = Pair::new(Size::new(320, 180), 500);
    pair.steps(20, Fate::Arrives);
    pair.encoder.request_keyframe();
    assert_eq!(pair.encoder.order_recovery(), Order::Taken);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Key);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Delta);
}

#[test]
fn anchors_are_renewed_as_fast_as_the_receiver_tells_of_them() {
    let mut pair = Pair::new(Size::new(320, 180), 500);
    let mut last: Vec<Anchor> = Vec::new();
    let mut changes = 0;
    for _ in 0..300 {
        pair.step(Fate::Arrives);
        let held: Vec<_> = pair.decoder.held().collect();
        changes += usize::from(held != last);
        last = held;
    }
    // Each waits for the one before to be told of: three pictures back, one until the library knows.
    assert!((45..=75).contains(&changes), "{changes} in 300 pictures");
}

#[test]
fn pictures_after_a_recovery_make_up_for_it_in_steps_that_the_link_bears() {
    let mut pair = Pair::new(Size::new(1280, 720), 4000);
    pair.steps(60, Fate::Arrives);
    let before = (0..30).map(|_| pair.step(Fate::Arrives).0.data.len()).max().unwrap();
    pair.steps(5, Fate::IsLost);
    assert_eq!(pair.encoder.order_recovery(), Order::Taken);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Recovery);
    let after: Vec<_> = (0..20)
        .map(|_| {
            let (encoded, psnr_db) = pair.step(Fate::Arrives);
            (encoded.data.len(), psnr_db.unwrap())
        })
        .collect();
    // At once as fine as before, the first one would have several times as many bytes as those before.
    assert!(after[..3].iter().all(|(bytes, _)| *bytes < before), "{before}, {after:?}");
    assert!(after.iter().all(|(bytes, psnr_db)| *bytes < 2 * 16_667 && *psnr_db > 45.0), "{after:?}");
    assert!(after[19].1 > 49.0, "{after:?}");
}

#[test]
fn another_frame_rate_does_not_begin_the_stream_anew_with_a_recovery() {
    let mut pair = Pair::new(Size::new(640, 360), 1000);
    pair.steps(30, Fate::Arrives);
    let target = Target { fps: 20, bitrate: Bitrate::from_kbps(500), ..pair.encoder.target() };
    pair.encoder.set_target(target).unwrap();
    pair.steps(10, Fate::Arrives);
    assert_eq!(pair.encoder.order_recovery(), Order::Taken);
    assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Recovery);
    for _ in 0..20 {
        assert_eq!(pair.step(Fate::Arrives).0.kind, FrameKind::Delta);
    }
    // And the rate control is in charge again, with the rate that was set.
    let bytes: usize = (0..60).map(|_| pair.step(Fate::Arrives).0.data.len()).sum();
    assert!((320..680).contains(&(bytes * 8 * 20 / 60 / 1000)), "{bytes}");
}
