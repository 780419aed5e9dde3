use std::time::Instant;

use bytes::Bytes;
use farwheel_proto::video::{Bitrate, FrameKind};
use proptest::prelude::*;

use super::*;
use crate::encode::{self, Encoder, Target};
use crate::strip::Stamp;
use crate::test_picture::TestPicture;

const SIZE: Size = Size::new(320, 180);

/// A stream of the test picture, each picture 1/30 s after the one before.
fn stream(size: Size, kbps: u32, pictures: u32) -> Vec<(Stamp, Bytes)> {
    let target = Target { bitrate: Bitrate::from_kbps(kbps), size, fps: 30 };
    let mut encoder = Encoder::open(encode::Config::default(), target).unwrap();
    let mut source = TestPicture::new(size);
    (1..=pictures)
        .map(|index| {
            let stamp = Stamp(index * 333);
            (stamp, encoder.encode(&source.render(stamp, Instant::now())).unwrap().data)
        })
        .collect()
}

fn decoder() -> Decoder {
    Decoder::new(Config::default())
}

fn needs_keyframe(result: Result<Decoded, Error>) -> bool {
    matches!(result, Err(Error::NeedsKeyframe(_)))
}

#[test]
fn each_picture_comes_out_at_once_and_looks_like_the_sent_one() {
    let size = Size::new(640, 480);
    let (mut decoder, mut source) = (decoder(), TestPicture::new(size));
    let mut worst = f64::MAX;
    for (index, (stamp, data)) in stream(size, 2000, 60).into_iter().enumerate() {
        let captured_at = Instant::now();
        let decoded = decoder.decode(&data, captured_at).expect("a sound stream decodes");
        assert_eq!((decoded.frame.size, decoded.frame.captured_at), (size, captured_at));
        let measured = source.measure(&decoded.frame).expect("the strip is readable");
        assert_eq!(measured.stamp, stamp, "picture {index} came out later");
        // The first second is the rate control's to settle in.
        if index >= 30 {
            worst = worst.min(measured.psnr_db);
        }
    }
    assert!(worst > 44.0, "{worst:.1} dB");
}

#[test]
fn a_stream_of_x264_comes_out_without_delay_too() {
    // Recorded once: ffmpeg -f lavfi -i testsrc=s=160x96:r=30 -frames:v 12 -pix_fmt yuv420p -c:v libx264
    // -profile:v baseline -preset veryfast -g 6 -x264-params aud=1:repeat-headers=1 x264-baseline.h264
    let data = include_bytes!("x264-baseline.h264");
    let mut access_units: Vec<Vec<u8>> = Vec::new();
    for unit in nal::units(data) {
        if unit.kind() == 9 {
            access_units.push(Vec::new());
        }
        let access_unit = access_units.last_mut().expect("it starts with a delimiter");
        access_unit.extend([0, 0, 0, 1]);
        access_unit.extend(unit.bytes());
    }
    assert_eq!(access_units.len(), 12);
    let mut decoder = decoder();
    let mut before: Option<VideoFrame> = None;
    for access_unit in access_units {
        let frame = decoder.decode(&access_unit, Instant::now()).unwrap().frame;
        assert_eq!(frame.size, Size::new(160, 96));
        assert!(
            before.is_none_or(|before| before.data != frame.data),
            "each picture differs from the one before"
        );
        before = Some(frame);
    }
}

#[test]
fn nothing_is_shown_between_a_loss_and_the_next_key_frame() {
    let mut pictures = stream(SIZE, 500, 8);
    let later = stream(SIZE, 500, 2);
    let mut decoder = decoder();
    assert!(decoder.decode(&pictures[0].1, Instant::now()).is_ok());
    // Picture 1 is lost.
    for (_, data) in pictures.drain(..).skip(2) {
        assert!(needs_keyframe(decoder.decode(&data, Instant::now())));
    }
    for (_, data) in later {
        assert!(decoder.decode(&data, Instant::now()).is_ok());
    }
}

#[test]
fn a_stream_that_starts_in_the_middle_waits_for_a_key_frame() {
    let pictures = stream(SIZE, 500, 3);
    let mut decoder = decoder();
    assert!(needs_keyframe(decoder.decode(&pictures[1].1, Instant::now())));
    assert!(needs_keyframe(decoder.decode(&[], Instant::now())));
    assert!(decoder.decode(&pictures[0].1, Instant::now()).is_ok());
    assert!(decoder.decode(&pictures[1].1, Instant::now()).is_ok());
}

#[test]
fn a_cut_picture_is_not_shown() {
    let pictures = stream(SIZE, 500, 2);
    for (index, (_, data)) in pictures.iter().enumerate() {
        for part in [2, 3, 10] {
            let mut decoder = decoder();
            if index == 1 {
                decoder.decode(&pictures[0].1, Instant::now()).unwrap();
            }
            let cut = &data[..data.len() - data.len() / part];
            assert!(needs_keyframe(decoder.decode(cut, Instant::now())), "picture {index} without 1/{part}");
        }
    }
}

#[test]
fn the_size_may_change_with_a_key_frame() {
    let mut decoder = decoder();
    for size in [SIZE, Size::new(640, 360), Size::new(160, 90), SIZE] {
        for (_, data) in stream(size, 500, 2) {
            assert_eq!(decoder.decode(&data, Instant::now()).unwrap().frame.size, size);
        }
    }
}

#[test]
fn a_picture_larger_than_allowed_is_refused_before_any_memory_is_taken() {
    let max = Size::new(320, 192);
    let mut decoder = Decoder::new(Config { size_max: max });
    let large = stream(Size::new(340, 180), 500, 1);
    let error = decoder.decode(&large[0].1, Instant::now()).unwrap_err();
    assert_eq!(error, Error::TooLarge { got: Size::new(352, 192), max });
    // The same area standing up is fine.
    for size in [SIZE, Size::new(180, 320)] {
        assert!(decoder.decode(&stream(size, 500, 1)[0].1, Instant::now()).is_ok(), "{size}");
    }
}

#[test]
fn units_a_baseline_stream_does_not_have_are_left_out() {
    let pictures = stream(SIZE, 500, 2);
    let mut decoder = decoder();
    for (_, data) in pictures {
        let mut padded = vec![0, 0, 0, 1, 9, 0x10, 0, 0, 1, 6, 5, 1, 0xaa, 0x80, 0, 0, 1, 0x6e, 1, 2, 3];
        padded.extend_from_slice(&data);
        padded.extend([0, 0, 1, 0x74, 1, 2, 3, 0, 0, 1, 12, 0xff, 0x80]);
        assert!(decoder.decode(&padded, Instant::now()).is_ok());
    }
}

#[test]
fn key_frames_can_be_told_from_their_bytes() {
    for (index, (_, data)) in stream(SIZE, 500, 3).iter().enumerate() {
        let want = if index == 0 { FrameKind::Key } else { FrameKind::Delta };
        let got = if nal::units(data).any(|unit| unit.kind() == Unit::IDR_SLICE) {
            FrameKind::Key
        } else {
            FrameKind::Delta
        };
        assert_eq!(got, want);
    }
}

/// What happens to a picture on its way.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit(usize),
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Lose,
    Repeat,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Half of the places are in the first bytes, where the headers are.
    let at = || prop_oneof![0usize..64, 0usize..100_000];
    prop_oneof![
        4 => at().prop_map(Mutation::FlipBit),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => at().prop_map(Mutation::Cut),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), 1usize..40).prop_map(|(at, count)| Mutation::Remove(at, count)),
        1 => Just(Mutation::Lose),
        1 => Just(Mutation::Repeat),
    ]
}

fn apply(mutation: &Mutation, data: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    match mutation {
        Mutation::FlipBit(at) => {
            let at = at % (data.len() * 8);
            data[at / 8] ^= 1 << (at % 8);
        }
        Mutation::Set(at, byte) => {
            let at = at % data.len();
            data[at] = *byte;
        }
        Mutation::Cut(at) => data.truncate(at % data.len()),
        Mutation::Insert(at, bytes) => {
            let at = at % data.len();
            data.splice(at..at, bytes.iter().copied());
        }
        Mutation::Remove(at, count) => {
            let from = at % data.len();
            data.drain(from..(from + count).min(data.len()));
        }
        Mutation::Lose => data.clear(),
        Mutation::Repeat => data.extend_from_within(..),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_streams_never_crash_and_a_key_frame_always_heals(
        damage in prop::collection::vec((0usize..6, mutation()), 1..6),
    ) {
        static PICTURES: std::sync::LazyLock<Vec<(Stamp, Bytes)>> =
            std::sync::LazyLock::new(|| stream(Size::new(160, 96), 300, 6));
        let mut pictures: Vec<Vec<u8>> = PICTURES.iter().map(|(_, data)| data.to_vec()).collect();
        for (index, mutation) in &damage {
            apply(mutation, &mut pictures[*index]);
        }
        let mut decoder = decoder();
        for data in &pictures {
            if let Ok(decoded) = decoder.decode(data, Instant::now()) {
                prop_assert!(decoded.frame.size.width <= 1920 && decoded.frame.size.height <= 1920);
            }
        }
        // At the latest the key frame after the first complaint heals; a decoder that saw no damage just goes on.
        let healed = decoder.decode(&PICTURES[0].1, Instant::now());
        let healed = if healed.is_ok() { healed } else { decoder.decode(&PICTURES[0].1, Instant::now()) };
        let frame = healed.map_err(|error| TestCaseError::fail(error.to_string()))?.frame;
        prop_assert_eq!(frame.size, Size::new(160, 96));
    }

    #[test]
    fn noise_is_no_picture(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decoder().decode(&noise, Instant::now()).is_err());
        let mut after_start_code = vec![0, 0, 0, 1, 0x67];
        after_start_code.extend(noise);
        prop_assert!(decoder().decode(&after_start_code, Instant::now()).is_err());
    }
}
