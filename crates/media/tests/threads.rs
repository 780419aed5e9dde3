//! Alone in its process, because it counts the process's threads.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use farwheel_media::encode::{Config, Encoder, Target};
use farwheel_media::strip::Stamp;
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::video::{Bitrate, Size};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn an_encoder_takes_its_threads_with_it() {
    let before = threads();
    let size = Size::new(1280, 720);
    let target = Target { bitrate: Bitrate(2_000_000), size, fps: 30 };
    let frame = TestPicture::new(size).render(Stamp(0), Instant::now());
    for _ in 0..20 {
        let mut encoder = Encoder::open(Config::default(), target).unwrap();
        encoder.encode(&frame).unwrap();
        encoder.encode(&frame).unwrap();
    }
    // A joined thread may stay in the list until the kernel has cleaned up.
    let deadline = Instant::now() + Duration::from_secs(5);
    while threads() > before {
        assert!(Instant::now() < deadline, "{} threads, {before} before", threads());
        std::thread::yield_now();
    }
}
