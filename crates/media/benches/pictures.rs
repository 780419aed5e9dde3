//! Time for one picture in each part of the video path: `cargo bench -p farwheel-media`.

use std::hint::black_box;
use std::time::Instant;

use divan::Bencher;
use farwheel_media::colour::{self, Jpeg};
use farwheel_media::decode::{self, Decoder};
use farwheel_media::encode::{self, Effort, Encoder, Target};
use farwheel_media::frame::Pool;
use farwheel_media::scale::Scaler;
use farwheel_media::strip::{self, Stamp};
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::{Bitrate, Size};

fn main() {
    println!("{}", encode::assembler().in_words());
    divan::main();
}

const VGA: Size = Size::new(640, 480);
const HD: Size = Size::new(1280, 720);
const SIZES: [Size; 2] = [VGA, HD];

fn target(size: Size) -> Target {
    Target { bitrate: Bitrate::from_kbps(2000), size, fps: 30 }
}

fn encode(bencher: Bencher<'_, '_>, size: Size, effort: Effort) {
    let mut source = TestPicture::new(size);
    let mut encoder = Encoder::open(encode::Config { effort }, target(size)).expect("a sound target");
    let mut stamp = 0;
    bencher
        .with_inputs(|| {
            stamp += 333;
            source.render(Stamp(stamp), Instant::now())
        })
        .bench_local_values(|frame| encoder.encode(&frame).expect("it encodes").data.len());
}

#[divan::bench(args = SIZES, sample_count = 60, sample_size = 1)]
fn encode_2_mbps(bencher: Bencher<'_, '_>, size: Size) {
    encode(bencher, size, Effort::Low);
}

#[divan::bench(args = SIZES, sample_count = 60, sample_size = 1)]
fn encode_2_mbps_medium_effort(bencher: Bencher<'_, '_>, size: Size) {
    encode(bencher, size, Effort::Medium);
}

#[divan::bench(args = SIZES, sample_count = 60, sample_size = 1)]
fn decode_2_mbps(bencher: Bencher<'_, '_>, size: Size) {
    let mut source = TestPicture::new(size);
    let mut encoder = Encoder::open(encode::Config::default(), target(size)).expect("a sound target");
    let mut decoder = Decoder::new(decode::Config::default());
    let mut stamp = 0;
    bencher
        .with_inputs(|| {
            stamp += 333;
            encoder.encode(&source.render(Stamp(stamp), Instant::now())).expect("it encodes").data
        })
        .bench_local_values(|data| decoder.decode(&data, Instant::now()).expect("it decodes").frame);
}

#[divan::bench(args = SIZES)]
fn render_test_picture(bencher: Bencher<'_, '_>, size: Size) {
    let mut source = TestPicture::new(size);
    let mut stamp = 0;
    bencher.bench_local(|| {
        stamp += 333;
        source.render(Stamp(stamp), Instant::now())
    });
}

#[divan::bench(args = SIZES)]
fn measure_test_picture(bencher: Bencher<'_, '_>, size: Size) {
    let mut source = TestPicture::new(size);
    let frame = source.render(Stamp(5), Instant::now());
    bencher.bench_local(|| source.measure(black_box(&frame)));
}

#[divan::bench(args = SIZES)]
fn read_strip(bencher: Bencher<'_, '_>, size: Size) {
    let frame = TestPicture::new(size).render(Stamp(5), Instant::now());
    bencher.bench_local(|| strip::read(black_box(&frame)));
}

#[divan::bench(args = SIZES)]
fn overlay_strip(bencher: Bencher<'_, '_>, size: Size) {
    let mut pool = Pool::new();
    let frame = TestPicture::new(size).render(Stamp(5), Instant::now());
    bencher.bench_local(|| {
        let mut picture = frame.to_picture(&mut pool);
        strip::write(&mut picture.planes_mut(), Stamp(6));
        picture.share(&mut pool, frame.captured_at)
    });
}

#[divan::bench(args = SIZES)]
fn convert_yuyv(bencher: Bencher<'_, '_>, size: Size) {
    convert(bencher, size, 2, colour::from_yuyv);
}

#[divan::bench(args = SIZES)]
fn convert_nv12(bencher: Bencher<'_, '_>, size: Size) {
    convert(bencher, size, 2, colour::from_nv12);
}

#[divan::bench(args = SIZES)]
fn convert_rgb(bencher: Bencher<'_, '_>, size: Size) {
    convert(bencher, size, 3, colour::from_rgb);
}

type Convert = fn(&[u8], &mut farwheel_media::frame::Picture) -> Result<(), colour::Error>;

fn convert(bencher: Bencher<'_, '_>, size: Size, bytes_per_pixel: usize, convert: Convert) {
    let bytes: Vec<u8> = (0..size.pixels() * bytes_per_pixel).map(|i| (i * 7) as u8).collect();
    let mut pool = Pool::new();
    bencher.bench_local(|| {
        let mut picture = pool.take(size);
        convert(black_box(&bytes), &mut picture).expect("enough bytes");
        picture.share(&mut pool, Instant::now())
    });
}

#[divan::bench]
fn decode_small_jpeg(bencher: Bencher<'_, '_>) {
    let (mut jpeg, mut pool) = (Jpeg::new(), Pool::new());
    let bytes = include_bytes!("../src/colour/smptebars.jpg");
    bencher.bench_local(|| {
        let picture = jpeg.decode(black_box(bytes), &mut pool).expect("a sound picture");
        picture.share(&mut pool, Instant::now())
    });
}

#[divan::bench]
fn scale_720p_to_540p(bencher: Bencher<'_, '_>) {
    let frame = TestPicture::new(HD).render(Stamp(5), Instant::now());
    let mut scaler = Scaler::new();
    bencher.bench_local(|| scaler.scale(black_box(&frame), Size::new(960, 540)));
}
