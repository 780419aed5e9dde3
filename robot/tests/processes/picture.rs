//! What is seen is what was captured.

use std::time::{Duration, Instant};

use farwheel_media::decode::Decoder;
use farwheel_media::test_picture::TestPicture;
use farwheel_proto::control::ReceiverReport;
use farwheel_proto::control::link_report::{Economy, MadeFor, Route};
use farwheel_proto::control::receiver_report::Held;
use farwheel_proto::control::telemetry::CameraStatus;
use farwheel_proto::control::{Refusal, event::Body};
use farwheel_proto::video::{FrameKind, Size};

use crate::driver::{Driver, Order, View};
use crate::harness::{PATIENCE, Robot, Server};

#[test]
fn decoded_pictures_are_those_that_were_captured() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &["--camera", "test", "--size", "640x360"]);
    let driver = Driver::start(&server.url, "driver");
    let pictures = driver.pictures();
    let mut decoder = Decoder::new(Default::default());
    let mut source = TestPicture::new(Size::new(640, 360));
    let mut psnr = Vec::new();
    while psnr.len() < 60 {
        let frame = pictures.recv_timeout(PATIENCE).expect("pictures keep coming");
        let Ok(decoded) = decoder.decode(&frame.data, Instant::now()) else { continue };
        let measured = source.measure(&decoded.frame).expect("every picture carries its stamp");
        psnr.push(measured.psnr_db);
    }
    psnr.sort_by(f64::total_cmp);
    println!("PSNR of 60 pictures: worst {:.1} dB, median {:.1} dB", psnr[0], psnr[30]);
    assert!(psnr[0] > 30.0, "worst picture has {:.1} dB", psnr[0]);
}

#[test]
fn who_says_that_it_holds_an_anchor_gets_a_recovery_and_who_does_not_a_key_frame() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &["--camera", "test", "--size", "640x360"]);
    let driver = Driver::start(&server.url, "driver");
    let pictures = driver.pictures();
    let mut decoder = Decoder::new(Default::default());
    let mut sequence = 0;
    let mut report = |held| {
        sequence += 1;
        driver.order(Order::Report(ReceiverReport { sequence, held, ..ReceiverReport::default() }));
    };
    // Decodes all, tells of its anchors and of a loss with each picture, until an entry of this kind comes.
    let mut until = |kind: FrameKind, tell: &mut dyn FnMut(&Decoder)| {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let frame = pictures.recv_timeout(PATIENCE).expect("pictures keep coming");
            let decoded = decoder.decode(&frame.data, Instant::now());
            if frame.kind == kind && decoded.is_ok() {
                return;
            }
            assert!(decoded.is_ok() || frame.kind == FrameKind::Delta, "{:?} does not decode", frame.kind);
            tell(&decoder);
            driver.order(Order::TellLoss);
        }
        panic!("no picture of kind {kind:?} in {} s", PATIENCE.as_secs());
    };
    until(FrameKind::Key, &mut |_| {});
    until(FrameKind::Recovery, &mut |decoder| report(decoder.held().collect()));
    until(FrameKind::Key, &mut |_| report(Held::default()));
}

#[test]
fn pictures_of_another_shape_than_the_configured_are_not_stretched() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let camera = dir.path().join("camera.sh");
    let pictures = "while :; do echo FRAME; head -c 115200 /dev/zero; sleep 0.03; done";
    std::fs::write(&camera, format!("echo 'YUV4MPEG2 W320 H240 F30:1 C420'\n{pictures}\n")).unwrap();
    let camera = format!("command:sh {}", camera.display());
    let _robot = Robot::start(dir.path(), &server.url, &["--camera", &camera, "--size", "640x360"]);
    let driver = Driver::start(&server.url, "driver");
    let pictures = driver.pictures();
    let mut decoder = Decoder::new(Default::default());
    let started = Instant::now();
    // Until the program has started there are placeholders of the configured shape.
    while started.elapsed() < PATIENCE {
        let frame = pictures.recv_timeout(PATIENCE).expect("pictures keep coming");
        let Ok(decoded) = decoder.decode(&frame.data, Instant::now()) else { continue };
        if decoded.frame.size == Size::new(320, 240) {
            return;
        }
    }
    panic!("no picture of the camera's own shape in {} s", PATIENCE.as_secs());
}

#[test]
fn missing_camera_gives_a_placeholder_and_the_driver_can_choose_another() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let cameras = ["--camera", "usb:/dev/video99", "--other-cameras", "test sim"];
    let _robot = Robot::start(dir.path(), &server.url, &cameras);
    let driver = Driver::start(&server.url, "driver");
    driver.wait("a placeholder", |view| {
        view.frames > 2 && view.slow.is_some_and(|slow| slow.camera == CameraStatus::Placeholder)
    });
    // Whoever sees no picture has no throttle: a placeholder is none.
    driver.take_the_wheel();
    driver.stick(1.0, 0.0);
    driver.wait("the governor", |view| view.fast.is_some_and(|fast| fast.governor_permille == 0));
    for index in [1u8, 2] {
        driver.order(Order::Ask(Body::SelectCamera { camera: index }));
        driver.wait("another camera", |view| {
            view.slow
                .is_some_and(|slow| slow.camera == CameraStatus::Live && slow.camera_index == Some(index))
        });
    }
    driver.order(Order::Ask(Body::SelectCamera { camera: 7 }));
    driver.wait("a refusal", |view| {
        view.events.iter().any(|body| matches!(body, Body::Refused { reason: Refusal::NotHere, .. }))
    });
}

#[test]
fn each_viewer_is_told_of_its_own_link_and_one_of_them_leads() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &[]);
    let first = Driver::start(&server.url, "first");
    first.wait("pictures", |view| view.frames > 2);
    let second = Driver::start(&server.url, "second");
    second.wait("pictures", |view| view.frames > 2);
    for (viewer, made_for) in [(&first, MadeFor::ThisLink), (&second, MadeFor::Another)] {
        let told = |view: &View| view.report.filter(|report| report.sent_kbps > 0);
        let report = told(&viewer.wait("a link report", |view| told(view).is_some())).unwrap();
        assert_eq!((report.made_for, report.route), (made_for, Route::Direct), "{report:?}");
        assert!(report.capacity_kbps > 0 && report.target_kbps <= report.max_kbps, "{report:?}");
        assert!(report.rung.width > 0 && report.rung.width <= report.camera.width, "{report:?}");
        let later =
            |view: &View| view.report.is_some_and(|later| later.bytes_sent > report.bytes_sent + 1000);
        viewer.wait("a report of more bytes", later);
    }
}

#[test]
fn economy_mode_caps_the_video_until_it_is_switched_off_or_the_driver_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &["--camera", "test"]);
    let driver = Driver::start(&server.url, "driver");
    driver.wait("pictures", |view| view.frames > 2);
    let viewer = Driver::start(&server.url, "viewer");
    driver.take_the_wheel();
    let told = |driver: &Driver, what: &str, economy, target: std::ops::RangeInclusive<u32>| {
        driver.wait(what, |view| {
            view.report.is_some_and(|report| {
                (report.economy, report.made_for) == (economy, MadeFor::ThisLink)
                    && target.contains(&report.target_kbps)
            })
        });
    };
    told(&driver, "more than economy mode has", Economy::Off, 601..=4000);
    driver.order(Order::Ask(Body::LimitVideo { kbps: Some(600) }));
    told(&driver, "the cap", Economy::On, 100..=600);
    driver.wait("a picture within the cap", |view| {
        view.slow.is_some_and(|slow| slow.target_bitrate <= 600_000 && slow.bitrate <= 700_000)
    });
    driver.order(Order::Ask(Body::LimitVideo { kbps: None }));
    told(&driver, "the end of the cap", Economy::Off, 601..=4000);
    driver.order(Order::Ask(Body::LimitVideo { kbps: Some(300) }));
    told(&driver, "the cap again", Economy::On, 100..=300);
    drop(driver);
    told(&viewer, "a rate of its own", Economy::Off, 601..=4000);
}

#[test]
fn newcomer_gets_a_picture_at_once_and_all_viewers_share_one_encoder() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let _robot = Robot::start(dir.path(), &server.url, &[]);
    let viewers: Vec<_> = ["a", "b", "c"].into_iter().map(|name| Driver::start(&server.url, name)).collect();
    for viewer in &viewers {
        viewer.wait("pictures", |view| view.frames > 10);
    }
    let start = Instant::now();
    let late = Driver::start(&server.url, "late");
    late.wait("a picture", |view| view.frames > 0);
    println!("start to first picture: {:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
    let slow = late.wait("telemetry", |view| view.slow.is_some_and(|slow| slow.viewers == 4)).slow.unwrap();
    // 30 pictures a second are made, not 120; a key frame more or less does not count as one.
    assert!(slow.fps_tenths <= 330, "{} pictures a second are encoded", slow.fps_tenths / 10);
    assert!(start.elapsed() < Duration::from_secs(5), "the newcomer waited {:?}", start.elapsed());
}
