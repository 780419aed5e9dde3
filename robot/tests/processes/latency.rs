//! Stick to motor, with the encoder at work.

use std::time::Duration;

use farwheel_proto::control::telemetry::CameraStatus;
use farwheel_robot::telemetry::system::resident_kib;

use crate::driver::Driver;
use crate::harness::{Robot, STEER, Server, wait_for};

/// Changes of the stick that are measured.
const CHANGES: usize = 60;

#[test]
fn a_command_is_on_the_outputs_at_once_while_720p60_is_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let robot = Robot::start(dir.path(), &server.url, &["--size", "1280x720", "--fps", "60"]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    driver.wait("pictures", |view| {
        view.slow.is_some_and(|slow| slow.camera == CameraStatus::Live && slow.fps_tenths > 0)
    });

    let mut took: Vec<Duration> = Vec::new();
    for index in 0..CHANGES {
        let steer = if index % 2 == 0 { 0.1 } else { -0.1 };
        let settled = if index % 2 == 0 { 1550 } else { 1450 };
        let before = driver.view().changes_ns.len();
        driver.stick(0.0, steer);
        wait_for("the servo", || (robot.widths()[STEER] == settled).then_some(()));
        let sent = driver.view().changes_ns[before];
        let lines = robot.pulse_lines();
        let written = lines.iter().find(|line| line.at_ns >= sent).expect("the servo has moved");
        took.push(Duration::from_nanos(written.at_ns - sent));
    }
    took.sort_unstable();
    let ms = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    let slow = driver.view().slow.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", robot.process.pid())).unwrap();
    let memory_mib = resident_kib(&status).unwrap() / 1024;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "stick to motor: p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms over {CHANGES}",
        ms(50),
        ms(95),
        ms(99)
    );
    println!(
        "720p60: {} pictures/s, encode {} us, capture {} us, resident {memory_mib} MiB; load {}",
        slow.fps_tenths / 10,
        slow.encode_us.unwrap_or(0),
        slow.capture_us.unwrap_or(0),
        load.trim()
    );
    // The bench holds the goals (3 and 12 ms) on a quiet machine; here others may run beside. What must never come
    // back is waiting for the next tick (10 ms) and the next output (20 ms) one after the other.
    assert!(ms(50) < 10.0, "half of the commands took {:.2} ms", ms(50));
    assert!(memory_mib <= 80, "the robot has {memory_mib} MiB resident");
}
