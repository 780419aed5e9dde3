//! The car's microphone is heard, and the driver is heard at the car.

use std::path::Path;

use rustix::process::Signal;

use crate::driver::{Driver, Order};
use crate::harness::{Robot, Server};

#[test]
fn who_drives_is_heard_at_the_car_and_who_watches_is_not() {
    for drives in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path());
        let heard = dir.path().join("heard.wav");
        let speaker = format!("wav:{}", heard.display());
        let devices = ["--camera", "test", "--microphone", "test", "--speaker", &speaker];
        let mut robot = Robot::start(dir.path(), &server.url, &devices);
        let driver = Driver::start(&server.url, "driver");
        driver.wait("the car's microphone", |view| view.sounds >= 50);
        if drives {
            driver.take_the_wheel();
        }
        // What the car says, said back: 3 s of it, at 10 ms a packet.
        driver.order(Order::Speak);
        let from = driver.view().sounds;
        driver.wait("more of it", |view| view.sounds >= from + 300);
        drop(driver);
        robot.process.signal(Signal::TERM);
        assert!(robot.process.wait().success());
        let loudest = loudest(&heard);
        println!("driver: {drives}, loudest {loudest}");
        assert_eq!(loudest > 1000, drives, "{loudest} of 32767");
        assert!(drives || loudest < 10, "{loudest} of 32767");
    }
}

#[test]
fn a_robot_without_sound_is_silent_and_drives_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &["--camera", "test"]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    driver.order(Order::Speak);
    driver.wait("pictures", |view| view.frames >= 10);
    assert_eq!(driver.view().sounds, 0);
}

/// The largest sample of a file of 16 bits.
fn loudest(path: &Path) -> i32 {
    let bytes = std::fs::read(path).unwrap();
    let data = bytes.windows(4).position(|window| window == b"data").expect("a WAV file") + 8;
    let samples = bytes[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    samples.map(|sample| i32::from(sample).abs()).max().unwrap_or_default()
}
