use farwheel_proto::video::Bitrate;

use super::*;
use crate::decode::{self, Decoder};
use crate::frame::Pool;
use crate::psnr;
use crate::strip::Stamp;
use crate::test_picture::TestPicture;

const SIZE: Size = Size::new(320, 180);
const START: Target = Target { bitrate: Bitrate(500_000), size: SIZE, fps: 30 };

/// A camera of its own time: each picture is 1/30 s after the one before.
struct Camera {
    picture: TestPicture,
    stamp: u32,
}

impl Camera {
    fn new(size: Size) -> Self {
        Self { picture: TestPicture::new(size), stamp: 0 }
    }

    fn next(&mut self) -> VideoFrame {
        self.stamp += 333;
        self.picture.render(Stamp(self.stamp), Instant::now())
    }
}

fn nal_kinds(data: &[u8]) -> Vec<u8> {
    data.windows(4).filter(|w| w[..3] == [0, 0, 1]).map(|w| w[3] & 31).collect()
}

/// Mean rate over the coming pictures, in kbit/s.
fn rate_kbps(encoder: &mut Encoder, camera: &mut Camera, pictures: usize) -> usize {
    let bytes: usize = (0..pictures).map(|_| encoder.encode(&camera.next()).unwrap().data.len()).sum();
    bytes * 8 * encoder.target().fps as usize / pictures / 1000
}

#[test]
fn the_first_picture_is_a_key_frame_in_constrained_baseline() {
    let frame = Camera::new(SIZE).next();
    let encoded = Encoder::open(Config::default(), START).unwrap().encode(&frame).unwrap();
    assert_eq!((encoded.kind, encoded.size, encoded.captured_at), (FrameKind::Key, SIZE, frame.captured_at));
    assert_eq!(nal_kinds(&encoded.data), [7, 8, 5], "parameter sets, then one slice");
    assert_eq!(encoded.data[..5], [0, 0, 0, 1, 0x67]);
    // Profile 66 with constraint_set1_flag is constrained baseline; level 3.1 is what 42e01f promises.
    assert_eq!((encoded.data[5], encoded.data[6] & 0x40, encoded.data[7]), (0x42, 0x40, 31));
}

#[test]
fn no_key_frame_comes_without_a_request() {
    let mut encoder = Encoder::open(Config::default(), START).unwrap();
    let mut camera = Camera::new(SIZE);
    encoder.encode(&camera.next()).unwrap();
    for index in 0..300 {
        let encoded = encoder.encode(&camera.next()).unwrap();
        assert_eq!((encoded.kind, nal_kinds(&encoded.data)), (FrameKind::Delta, vec![1]), "picture {index}");
    }
}

#[test]
fn a_requested_key_frame_is_the_next_picture_and_only_that() {
    let mut encoder = Encoder::open(Config::default(), START).unwrap();
    let mut camera = Camera::new(SIZE);
    let mut kind = |encoder: &mut Encoder| encoder.encode(&camera.next()).unwrap().kind;
    assert_eq!((kind(&mut encoder), kind(&mut encoder)), (FrameKind::Key, FrameKind::Delta));
    encoder.request_keyframe();
    encoder.request_keyframe();
    assert_eq!((kind(&mut encoder), kind(&mut encoder)), (FrameKind::Key, FrameKind::Delta));
}

#[test]
fn a_new_rate_is_effective_within_five_pictures_and_without_a_key_frame() {
    let size = Size::new(640, 480);
    for (from, to) in [(1200, 300), (300, 1200)] {
        let target = |kbps| Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 };
        let mut encoder = Encoder::open(Config::default(), target(from)).unwrap();
        let mut camera = Camera::new(size);
        rate_kbps(&mut encoder, &mut camera, 60);
        encoder.set_target(target(to)).unwrap();
        for _ in 0..5 {
            assert_eq!(encoder.encode(&camera.next()).unwrap().kind, FrameKind::Delta);
        }
        let got = rate_kbps(&mut encoder, &mut camera, 30);
        let to = to as usize;
        assert!((to * 7 / 10..to * 13 / 10).contains(&got), "{from} to {to} kbit/s gives {got}");
    }
}

#[test]
fn pictures_keep_near_their_share() {
    let size = Size::new(640, 480);
    let target = Target { bitrate: Bitrate(1_000_000), size, fps: 30 };
    let mut encoder = Encoder::open(Config::default(), target).unwrap();
    let mut camera = Camera::new(size);
    rate_kbps(&mut encoder, &mut camera, 30);
    let mut sizes: Vec<_> = (0..200).map(|_| encoder.encode(&camera.next()).unwrap().data.len()).collect();
    sizes.sort_unstable();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((3300..4800).contains(&mean), "{mean} bytes, the share is 4166");
    assert!(sizes[197] < mean * 2, "p99 is {} with a mean of {mean}", sizes[197]);
}

#[test]
fn only_a_large_picture_on_several_cores_is_cut() {
    for (wanted, size, cores, want) in [
        (Slices::Two, Size::new(1280, 720), 2, 2),
        (Slices::One, Size::new(1280, 720), 2, 1),
        (Slices::Two, Size::new(1280, 720), 1, 1),
        (Slices::Two, Size::new(1920, 1080), 16, 2),
        (Slices::Two, Size::new(480, 640), 2, 2),
        (Slices::Two, Size::new(640, 478), 2, 1),
    ] {
        assert_eq!(openh264::slices(wanted, size, cores), want, "{wanted:?} of {size} on {cores} cores");
    }
}

/// Large pictures at 1 Mbit/s in two slices, whatever the machine.
fn in_two_slices() -> (openh264::Encoder, Camera) {
    let size = Size::new(1280, 720);
    let target = Target { bitrate: Bitrate(1_000_000), size, fps: 30 };
    (openh264::Encoder::open(Config::default(), target, 2).unwrap(), Camera::new(size))
}

#[test]
fn a_picture_in_two_slices_comes_out_whole_and_at_once() {
    let (mut encoder, mut camera) = in_two_slices();
    let mut decoder = Decoder::new(decode::Config::default());
    for index in 0..40 {
        let frame = camera.next();
        encoder.handle_held(&decoder.held().collect::<Vec<_>>());
        let next = match index {
            20 => Next::Key,
            30 => Next::Recovery,
            _ => Next::Any,
        };
        let openh264::Coded { data, kind } = encoder.encode(&frame, next).unwrap();
        let (want, nals) = match index {
            0 | 20 => (FrameKind::Key, vec![7, 8, 5, 5]),
            30 => (FrameKind::Recovery, vec![6, 1, 1]),
            _ => (FrameKind::Delta, vec![1, 1]),
        };
        assert_eq!((kind, nal_kinds(&data)), (want, nals), "picture {index}");
        let shown = decoder.decode(&data, frame.captured_at).unwrap().frame;
        // Only the same picture is as like as that: the one before is shifted.
        assert!(psnr::luma(&shown, &frame) > 30.0, "picture {index} has {} dB", psnr::luma(&shown, &frame));
    }
}

#[test]
fn a_picture_in_two_slices_stays_small_after_standing_still() {
    let (mut encoder, mut camera) = in_two_slices();
    for _ in 0..60 {
        encoder.encode(&camera.next(), Next::Any).unwrap();
    }
    let still = camera.next();
    for _ in 0..60 {
        encoder.encode(&still, Next::Any).unwrap();
    }
    let sizes: Vec<_> =
        (0..30).map(|_| encoder.encode(&camera.next(), Next::Any).unwrap().data.len()).collect();
    // Without a finest quantiser the first one has thirty times its share of 4167 bytes.
    assert!(sizes.iter().all(|&bytes| bytes < 5 * 4167), "{sizes:?}");
}

#[test]
fn cutting_pictures_begins_and_ends_with_a_key_frame_and_once_only() {
    let target = Target { bitrate: Bitrate(1_000_000), size: Size::new(1280, 720), fps: 30 };
    let (mut encoder, mut camera) =
        (Encoder::open(Config::default(), target).unwrap(), Camera::new(target.size));
    let mut kind = |encoder: &mut Encoder| encoder.encode(&camera.next()).unwrap().kind;
    assert_eq!(kind(&mut encoder), FrameKind::Key);
    let changed = if cores() > 1 { FrameKind::Key } else { FrameKind::Delta };
    for slices in [Slices::Two, Slices::One] {
        encoder.set_slices(slices);
        assert_eq!(kind(&mut encoder), changed);
        encoder.set_slices(slices);
        assert_eq!(kind(&mut encoder), FrameKind::Delta);
    }
}

#[test]
fn a_large_picture_stays_small_after_standing_still() {
    let size = Size::new(1280, 720);
    let target = Target { bitrate: Bitrate(1_000_000), size, fps: 30 };
    let (mut encoder, mut camera) = (Encoder::open(Config::default(), target).unwrap(), Camera::new(size));
    for _ in 0..60 {
        encoder.encode(&camera.next()).unwrap();
    }
    let still = camera.next();
    for _ in 0..60 {
        encoder.encode(&still).unwrap();
    }
    let sizes: Vec<_> = (0..30).map(|_| encoder.encode(&camera.next()).unwrap().data.len()).collect();
    // Cut in slices the first one has thirty times its share of 4167 bytes.
    assert!(sizes.iter().all(|&bytes| bytes < 5 * 4167), "{sizes:?}");
}

#[test]
fn a_rate_change_keeps_large_pictures_near_their_share() {
    let size = Size::new(1280, 720);
    let target = |kbps| Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 };
    let mut encoder = Encoder::open(Config::default(), target(2000)).unwrap();
    let mut camera = Camera::new(size);
    rate_kbps(&mut encoder, &mut camera, 30);
    encoder.set_target(target(800)).unwrap();
    rate_kbps(&mut encoder, &mut camera, 5);
    let mut sizes: Vec<_> = (0..100).map(|_| encoder.encode(&camera.next()).unwrap().data.len()).collect();
    sizes.sort_unstable();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((2500..3600).contains(&mean), "{mean} bytes, the share is 3333");
    assert!(sizes[98] < mean * 2, "p99 is {} with a mean of {mean}", sizes[98]);
}

#[test]
fn a_new_size_starts_with_a_key_frame_of_that_size() {
    let mut encoder = Encoder::open(Config::default(), START).unwrap();
    let mut camera = Camera::new(SIZE);
    encoder.encode(&camera.next()).unwrap();
    let small = Size::new(160, 90);
    encoder.set_target(Target { size: small, ..START }).unwrap();
    let encoded = encoder.encode(&camera.next()).unwrap();
    assert_eq!((encoded.kind, encoded.size), (FrameKind::Key, small));
    assert_eq!(encoder.encode(&camera.next()).unwrap().kind, FrameKind::Delta);
}

#[test]
fn a_picture_of_any_size_is_brought_to_the_target() {
    let mut encoder = Encoder::open(Config::default(), START).unwrap();
    for (width, height) in [(64, 48), (640, 480), (2, 2), (320, 180)] {
        let frame = Pool::new().take(Size::new(width, height)).share(&mut Pool::new(), Instant::now());
        assert_eq!(encoder.encode(&frame).unwrap().size, SIZE);
    }
}

#[test]
fn a_refused_target_leaves_the_one_before() {
    let mut encoder = Encoder::open(Config::default(), START).unwrap();
    assert!(encoder.set_target(Target { fps: 0, ..START }).is_err());
    assert_eq!(encoder.target(), START);
    assert!(encoder.encode(&Camera::new(SIZE).next()).is_ok());
    assert!(Encoder::open(Config::default(), Target { size: Size::new(8, 8), ..START }).is_err());
}

#[test]
fn extreme_targets_can_be_opened() {
    for (bitrate, size, fps) in
        [(10_000, SIZE, 120), (100_000_000, Size::new(16, 16), 1), (100_000_000, Size::new(1920, 1080), 60)]
    {
        let target = Target { bitrate: Bitrate(bitrate), size, fps };
        let mut encoder = Encoder::open(Config::default(), target).unwrap();
        let frame = TestPicture::new(size).render(Stamp(0), Instant::now());
        assert_eq!(encoder.encode(&frame).unwrap().kind, FrameKind::Key, "{target:?}");
        encoder.set_target(Target { bitrate: Bitrate(1_000_000), fps: 30, ..target }).unwrap();
        assert_eq!(encoder.encode(&frame).unwrap().kind, FrameKind::Delta, "{target:?}");
    }
}

#[test]
fn a_smaller_picture_begins_with_a_key_frame_that_a_slow_link_can_bear() {
    let large = Size::new(1280, 720);
    let mut encoder =
        Encoder::open(Config::default(), Target { bitrate: Bitrate(3_400_000), size: large, fps: 30 })
            .unwrap();
    let mut camera = Camera::new(large);
    for _ in 0..30 {
        encoder.encode(&camera.next()).unwrap();
    }
    for (kbps, size) in [
        (800, Size::new(960, 540)),
        (400, Size::new(640, 360)),
        (180, Size::new(480, 270)),
        (150, Size::new(320, 180)),
    ] {
        encoder.set_target(Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 }).unwrap();
        let key = encoder.encode(&camera.next()).unwrap();
        assert_eq!(key.kind, FrameKind::Key);
        // A sixth of a second at the rate.
        assert!(key.data.len() < kbps as usize * 1000 / 8 / 6, "{size} begins with {} bytes", key.data.len());
        encoder.encode(&camera.next()).unwrap();
    }
}

#[test]
fn what_cannot_be_predicted_in_few_bytes_becomes_a_key_frame() {
    let size = Size::new(1280, 720);
    let target = |kbps| Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 };
    for (kbps, then_kbps) in [(1000, 1000), (3400, 400)] {
        let mut encoder = Encoder::open(Config::default(), target(kbps)).unwrap();
        let mut camera = Camera::new(size);
        rate_kbps(&mut encoder, &mut camera, 60);
        encoder.set_target(target(then_kbps)).unwrap();
        // The link stood still for 0.6 s; predicted from so long ago a picture has 100 kB.
        camera.stamp += 6000;
        let encoded = encoder.encode(&camera.next()).unwrap();
        let share = then_kbps as usize * 1000 / 8 / 30;
        assert_eq!(encoded.kind, FrameKind::Key);
        assert!(encoded.data.len() < 7 * share, "{} bytes at {then_kbps} kbit/s", encoded.data.len());
        assert_eq!(encoder.encode(&camera.next()).unwrap().kind, FrameKind::Delta);
    }
}
