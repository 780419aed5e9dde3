//! A letter on one window's screen, read by the other one's camera.

use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable as _;
use farwheel::model::Command;
use farwheel::model::call::{Command as Ask, Letters};
use farwheel::model::pair::Phase;
use farwheel::model::scan::{Aim, Command as Asked};
use farwheel::render::slot::{Picture, Slot};
use farwheel::session::scan::Scanner;
use farwheel::settings::Theme;
use farwheel_proto::call::letter;
use farwheel_proto::video::FrameId;
use image::imageops::{self, FilterType};
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::controls::{on, press, take};
use super::lobby::write;
use super::{SIZE, canned, stage};

/// The window's picture around the code, and the letter that it shows.
fn screen(state: &str) -> (RgbImage, String) {
    let mut harness = stage::harness(state, canned::plain, Theme::Dark, 1.0, SIZE);
    let picture = image::DynamicImage::ImageRgba8(harness.render().expect("a picture")).to_rgb8();
    // With the quiet around it, and some of the window.
    let code = harness.get_by_label("QR code of the letter").rect().expand(24.0);
    let (left, top) = (code.left() as u32, code.top() as u32);
    let picture =
        imageops::crop_imm(&picture, left, top, code.width() as u32, code.height() as u32).to_image();
    let model = &harness.state().model;
    let letter = match (&model.prejoin, &model.pair.phase) {
        (Some(before), _) => match &before.letters {
            Some(Letters::Offer { letter, .. } | Letters::Answer { letter }) => letter.clone(),
            _ => panic!("no letter"),
        },
        (None, Phase::Offer { letter, .. }) => letter.clone(),
        _ => panic!("no letter"),
    };
    (picture, letter)
}

/// What a camera of 1280x720 sees of a screen: so much larger or smaller, turned, unsharp, in dim light and with noise.
fn seen(screen: &RgbImage, scale: f32, degrees: f32, blur: f32) -> RgbImage {
    let size = (screen.width() as f32 * scale, screen.height() as f32 * scale);
    let scaled = imageops::resize(screen, size.0 as u32, size.1 as u32, FilterType::Triangle);
    let grey: GrayImage = imageops::grayscale(&scaled);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (mut seed, (width, height)) = (1_u32, (1280_u32, 720_u32));
    let turned = GrayImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - width as f32 / 2.0, y as f32 - height as f32 / 2.0);
        let at = (cos * x + sin * y + size.0 / 2.0, cos * y - sin * x + size.1 / 2.0);
        imageops::interpolate_bilinear(&grey, at.0, at.1).unwrap_or(Luma([40]))
    });
    let unsharp = if blur > 0.0 { imageops::blur(&turned, blur) } else { turned };
    RgbImage::from_fn(width, height, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let luma = f32::from(unsharp.get_pixel(x, y).0[0]) * 0.6 + 30.0 + (seed >> 28) as f32;
        Rgb([luma as u8; 3])
    })
}

/// What the scanner reads in what a camera gives.
fn read(picture: &RgbImage) -> Option<String> {
    let slot = Slot::new();
    let (woken, wakes) = std::sync::mpsc::channel();
    let scanner =
        Scanner::start(slot.clone(), move || woken.send(()).expect("somebody waits")).expect("a thread");
    slot.put(Picture { id: FrameId(1), frame: canned::i420(picture), decoded_at: Instant::now() });
    wakes.recv_timeout(Duration::from_secs(20)).ok()?;
    scanner.take()
}

#[test]
fn a_camera_reads_the_letters_that_a_window_shows() {
    for (state, scale, degrees, blur) in [
        ("pair-offer", 1.0, 0.0, 0.0),
        ("pair-offer", 1.2, 8.0, 0.0),
        ("pair-offer", 1.0, 127.0, 0.0),
        ("pair-offer", 1.2, -5.0, 0.8),
        ("pair-offer", 0.9, 3.0, 0.4),
        ("prejoin-offer", 1.0, 0.0, 0.0),
        ("prejoin-offer", 1.2, 8.0, 0.0),
    ] {
        let (screen, letter) = screen(state);
        let picture = seen(&screen, scale, degrees, blur);
        assert_eq!(read(&picture), Some(letter::in_one_line(&letter)), "{state} {scale} {degrees} {blur}");
    }
}

#[test]
fn a_call_by_letters_is_offered_answered_and_read_from_a_screen() {
    let mut harness = on("pair");
    harness.get_by_label("Call with no server instead").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Call(Ask::PrepareLetters)]);
    let mut harness = on("prejoin-letters");
    harness.get_by_label("Make an offer").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Call(Ask::Offer)]);
    write(&mut harness, "Or paste the other one's offer", "farwheel-offer-1:abc");
    harness.get_by_label("Answer it").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Call(Ask::Answer("farwheel-offer-1:abc".into()))]);
    harness.get_by_label("Read it with the camera").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Scan(Asked::Begin(Aim::Call))]);
    let mut harness = on("prejoin-reading");
    harness.get_by_label("Stop reading").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Scan(Asked::End)]);
    let mut harness = on("prejoin-offer");
    write(&mut harness, "Paste the answer", "farwheel-answer-1:abc");
    press(&mut harness, "Take this answer");
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Call(Ask::Accept("farwheel-answer-1:abc".into()))]);
    press(&mut harness, "Cancel");
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Call(Ask::Dismiss)]);
}
