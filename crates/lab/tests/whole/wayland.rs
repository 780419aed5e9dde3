//! Sharing a screen of a Wayland desktop by its portal: the real `xdg-desktop-portal`, PipeWire and its session manager on a
//! bus of their own. What a compositor brings, the user's answer and the stream, is played (`desktop`, `screen`): the one
//! that runs without a graphics card, sway with its software renderer, gives xdg-desktop-portal-wlr no buffers.

mod desktop;
mod screen;

use std::time::{Duration, Instant};

use farwheel_lab::program::wait_for;
use farwheel_media::VideoFrame;
use farwheel_media::capture::{Error, Source as _};
use farwheel_media::slot::Slot;
use farwheel_portal::{Grant, Kind, Portal};
use farwheel_proto::video::Size;
use serde_json::json;

use super::callers::{Scene, member, strings};
use desktop::{Answer, Desktop, PrivateBus};

#[test]
fn what_the_desktop_shows_is_captured_in_every_size_and_still_pictures_come_again() {
    let desktop = Desktop::start(Answer::Agrees);
    let granted = Slot::new();
    let mut portal = Portal::new(desktop.bus(), None, 30, granted.clone());
    portal.open().unwrap();
    let frame = await_picture(&mut portal, "a red screen", |frame| is_near(middle(frame), RED));
    assert_eq!(frame.size, Size::new(640, 480));
    assert_eq!(granted.take().map(|grant| grant.kind), Some(Kind::Screen));
    desktop.screen().paint([255, 0, 0]);
    let blue = await_picture(&mut portal, "a blue screen", |frame| is_near(middle(frame), BLUE));
    let again = await_picture(&mut portal, "it again", |frame| frame.captured_at > blue.captured_at);
    assert!(
        std::sync::Arc::ptr_eq(&again.data, &blue.data),
        "a still screen is not sent again by the desktop"
    );
    desktop.screen().resize(800, 600);
    let large = Size::new(800, 600);
    await_picture(&mut portal, "a larger screen", |f| f.size == large && is_near(middle(f), BLUE));
}

#[test]
fn the_token_of_a_grant_answers_the_next_question() {
    let desktop = Desktop::start(Answer::Agrees);
    let granted = Slot::new();
    let mut token = None;
    for _ in 0..3 {
        let mut portal = Portal::new(desktop.bus(), token.take(), 30, granted.clone());
        portal.open().unwrap();
        await_picture(&mut portal, "the screen", |frame| is_near(middle(frame), RED));
        token = granted.take().and_then(|grant: Grant| grant.token);
        assert!(token.is_some(), "each grant has one");
    }
    assert_eq!(desktop.questions(), 1);
}

#[test]
fn what_the_user_or_the_desktop_ends_is_over_and_not_asked_for_again() {
    for ends in [Desktop::stop_sharing, |desktop: &Desktop| desktop.screen().end()] {
        let desktop = Desktop::start(Answer::Agrees);
        let mut portal = Portal::new(desktop.bus(), None, 30, Slot::new());
        portal.open().unwrap();
        await_picture(&mut portal, "the screen", |frame| is_near(middle(frame), RED));
        ends(&desktop);
        let end = await_end(&mut portal);
        assert!(matches!(end, Error::Lost(_)), "{end:?}");
        portal.close();
        assert_eq!(portal.open(), Err(end));
        assert_eq!(desktop.questions(), 1);
    }
}

#[test]
fn a_refusal_is_told_and_nobody_is_asked_twice() {
    let desktop = Desktop::start(Answer::Refuses);
    let granted = Slot::new();
    let mut portal = Portal::new(desktop.bus(), None, 30, granted.clone());
    portal.open().unwrap();
    let end = await_end(&mut portal);
    assert!(matches!(&end, Error::NotAllowed(text) if text.contains("not allowed")), "{end:?}");
    portal.close();
    assert_eq!(portal.open(), Err(end));
    assert_eq!((granted.take(), desktop.questions()), (None, 1));
}

#[test]
fn without_a_portal_it_is_told_which_packages_to_install() {
    let bus = PrivateBus::start();
    let mut portal = Portal::new(bus.address(), None, 30, Slot::new());
    portal.open().unwrap();
    let end = await_end(&mut portal);
    assert!(matches!(&end, Error::Missing(text) if text.contains("xdg-desktop-portal")), "{end:?}");
}

#[test]
fn a_caller_shares_the_screen_of_a_wayland_desktop_until_the_user_stops_it_there() {
    let desktop = Desktop::start(Answer::Agrees);
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let mut bob = scene.caller(&url, "bob", &[]);
    bob.wait_line("In the room");
    let mut ada = scene
        .caller_on(&url, "ada", &strings(&["--share", "portal"]), |command| desktop.set_variables(command));
    ada.wait_line("Everybody sees your screen");
    bob.wait_line("ada shares a screen");
    let seen = Instant::now();
    wait_for("two seconds of it", || (seen.elapsed().as_secs() >= 2).then_some(()));
    desktop.stop_sharing();
    ada.wait_line("You share your screen no more: it was ended in the desktop");
    bob.wait_line("ada shares no screen any more");
    let bob = scene.end_of(bob, "bob");
    let screen = &member(&bob, "ada")["screen"];
    assert_eq!(screen["size"], json!([640, 480]), "{screen:#}");
    assert!(screen["decoded"].as_u64().unwrap() > 5, "{screen:#}");
}

/// Luma and the two chroma values.
const RED: [u8; 3] = [81, 90, 240];
const BLUE: [u8; 3] = [41, 240, 110];

fn middle(frame: &VideoFrame) -> [u8; 3] {
    let (x, y) = (frame.size.width as usize / 2, frame.size.height as usize / 2);
    let chroma = y / 2 * frame.stride_uv + x / 2;
    [frame.y()[y * frame.stride_y + x], frame.u()[chroma], frame.v()[chroma]]
}

fn is_near(got: [u8; 3], want: [u8; 3]) -> bool {
    got.iter().zip(want).all(|(got, want)| got.abs_diff(want) < 12)
}

fn await_picture(portal: &mut Portal, what: &str, is_it: impl Fn(&VideoFrame) -> bool) -> VideoFrame {
    wait_for(what, || {
        let frame = portal.next_frame(Duration::from_millis(50)).unwrap_or_else(|error| panic!("{error}"));
        frame.filter(&is_it)
    })
}

fn await_end(portal: &mut Portal) -> Error {
    wait_for("the end", || portal.next_frame(Duration::from_millis(50)).err())
}
