use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::frame::VideoFrame;

const SIZE: Size = Size::new(34, 6);

fn picture(size: Size, convert: impl FnOnce(&mut Picture) -> Result<(), Error>) -> VideoFrame {
    let mut pool = Pool::new();
    let mut picture = pool.take(size);
    convert(&mut picture).expect("enough bytes");
    picture.share(&mut pool, Instant::now())
}

#[test]
fn yuyv_keeps_luma_and_joins_chroma_of_two_rows() {
    let bytes: Vec<u8> =
        (0..SIZE.pixels() / 2).flat_map(|pair| [pair as u8, 100, pair as u8 + 1, 160]).collect();
    let frame = picture(SIZE, |to| from_yuyv(&bytes, to));
    let luma: Vec<u8> = bytes.iter().step_by(2).copied().collect();
    assert_eq!(frame.y(), luma);
    assert!(frame.u().iter().all(|v| *v == 100) && frame.v().iter().all(|v| *v == 160));
}

#[test]
fn nv12_is_taken_apart() {
    let pixels = SIZE.pixels();
    let mut bytes: Vec<u8> = (0..pixels).map(|i| i as u8).collect();
    bytes.extend((0..pixels / 4).flat_map(|i| [i as u8, 255 - i as u8]));
    let frame = picture(SIZE, |to| from_nv12(&bytes, to));
    assert_eq!(frame.y(), &bytes[..pixels]);
    assert!(frame.u().iter().enumerate().all(|(i, v)| *v == i as u8));
    assert!(frame.v().iter().enumerate().all(|(i, v)| *v == 255 - i as u8));
}

#[test]
fn rgb_becomes_limited_bt601() {
    // ITU-R BT.601: 16 + 65.5 R + 128.6 G + 25.0 B with each in [0, 1], and so on.
    for (rgb, want) in [
        ([0, 0, 0], [16, 128, 128]),
        ([255, 255, 255], [235, 128, 128]),
        ([255, 0, 0], [81, 90, 240]),
        ([0, 255, 0], [145, 54, 34]),
        ([0, 0, 255], [41, 240, 110]),
    ] {
        let bytes: Vec<u8> = rgb.iter().copied().cycle().take(SIZE.pixels() * 3).collect();
        let frame = picture(SIZE, |to| from_rgb(&bytes, to));
        for (plane, want) in [frame.y(), frame.u(), frame.v()].into_iter().zip(want) {
            assert!(plane.iter().all(|v| v.abs_diff(want) <= 1), "{rgb:?}: {} wants {want}", plane[0]);
        }
    }
}

#[test]
fn grey_and_i420_are_copied() {
    let bytes: Vec<u8> = (0..SIZE.pixels() * 3 / 2).map(|i| i as u8).collect();
    assert_eq!(picture(SIZE, |to| from_i420(&bytes, to)).data.as_slice(), bytes);
    let grey = picture(SIZE, |to| from_grey(&bytes, to));
    assert_eq!((grey.y(), grey.u()[0], grey.v()[0]), (&bytes[..SIZE.pixels()], 128, 128));
}

#[test]
fn jpeg_of_a_webcam_is_decoded() {
    // Recorded once: ffmpeg -f lavfi -i smptebars=s=160x120 -frames:v 1 -pix_fmt yuvj422p smptebars.jpg
    let mut pool = Pool::new();
    let picture = Jpeg::new().decode(include_bytes!("smptebars.jpg"), &mut pool).expect("a sound picture");
    let frame = picture.share(&mut pool, Instant::now());
    assert_eq!(frame.size, Size::new(160, 120));
    let at = |x: usize, y: usize| {
        [frame.y()[y * 160 + x], frame.u()[y / 2 * 80 + x / 2], frame.v()[y / 2 * 80 + x / 2]]
    };
    // The grey, yellow and blue bars at 75 %.
    for (x, want) in [(11, [180, 128, 128]), (34, [162, 44, 142]), (148, [35, 212, 114])] {
        let got = at(x, 30);
        assert!(got.iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 4), "at {x}: {got:?}, want {want:?}");
    }
}

#[test]
fn too_few_bytes_are_refused() {
    let mut pool = Pool::new();
    let mut to = pool.take(SIZE);
    let bytes = vec![0; SIZE.pixels() * 3];
    let check = |got: Result<(), Error>, want| assert_eq!(got, Err(Error::Short { got: want - 1, want }));
    let pixels = SIZE.pixels();
    check(from_yuyv(&bytes[..pixels * 2 - 1], &mut to), pixels * 2);
    check(from_nv12(&bytes[..pixels * 3 / 2 - 1], &mut to), pixels * 3 / 2);
    check(from_i420(&bytes[..pixels * 3 / 2 - 1], &mut to), pixels * 3 / 2);
    check(from_grey(&bytes[..pixels - 1], &mut to), pixels);
    check(from_rgb(&bytes[..pixels * 3 - 1], &mut to), pixels * 3);
}

proptest! {
    #[test]
    fn damaged_jpegs_are_refused_or_shown_but_never_crash(
        at in prop::collection::vec((0usize..4000, any::<u8>()), 0..12),
        cut in 0usize..4000,
    ) {
        let mut bytes = include_bytes!("smptebars.jpg").to_vec();
        for (at, byte) in at {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(2));
        Jpeg::new().decode(&bytes, &mut Pool::new()).ok();
    }
}

#[test]
fn every_row_of_pixels_is_read_whatever_lies_behind_it() {
    for (size, padding, tail) in [
        (Size::new(2, 2), 0, 0),
        (Size::new(2, 2), 8, 0),
        (Size::new(6, 4), 8, 0),
        (Size::new(34, 6), 60, 0),
        (Size::new(34, 6), 60, 60),
        (Size::new(34, 6), 60, 1000),
    ] {
        let (width, rows) = (size.width as usize * 4, size.height as usize);
        let stride = width + padding;
        // White, with black between the rows.
        let row = [vec![255; width], vec![0; padding]].concat();
        let mut bytes = row.repeat(rows);
        bytes.truncate(stride * rows - padding);
        bytes.extend(vec![0; tail]);
        let white = picture(size, |to| {
            to.fill(0, 0, 0);
            from_pixels(&bytes, stride, Pixel::Bgrx, to)
        });
        assert!(white.y().iter().all(|luma| *luma == 235), "{size}, {padding}, {tail}: {:?}", white.y());
        let mut chroma = white.u().iter().chain(white.v());
        assert!(chroma.all(|chroma| *chroma == 128), "{size}, {padding}, {tail}");
        bytes.truncate(stride * rows - padding - 1);
        assert!(from_pixels(&bytes, stride, Pixel::Bgrx, &mut Pool::new().take(size)).is_err());
    }
}
