//! The page of two: by pointer and keyboard, and what it asks the session for.

use egui_kittest::kittest::Queryable as _;
use farwheel::model::Command;
use farwheel::model::pair::Command as Asked;

use super::controls::{on, press, take};
use super::lobby::write;

#[test]
fn a_code_that_was_written_is_met_and_none_is_left_to_the_session() {
    let mut harness = on("pair");
    harness.get_by_label("Meet").click();
    harness.run_steps(2);
    let meet = |code: &str| {
        let (server, token) = ("ws://127.0.0.1:8443".into(), String::new());
        Command::Pair(Asked::Meet { server, token, code: code.into() })
    };
    assert_eq!(take(&mut harness), [meet("")]);
    write(&mut harness, "Code", "493817");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [meet("493817")]);
}

#[test]
fn letters_are_made_pasted_and_taken() {
    let mut harness = on("pair");
    harness.get_by_label("Make an offer").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Pair(Asked::Offer)]);
    write(&mut harness, "Or paste the other one's offer", "farwheel-offer-1:abc");
    harness.get_by_label("Answer it").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Pair(Asked::Answer("farwheel-offer-1:abc".into()))]);
    let mut harness = on("pair-offer");
    write(&mut harness, "Paste the answer", "farwheel-answer-1:abc");
    press(&mut harness, "Take this answer");
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Pair(Asked::Accept("farwheel-answer-1:abc".into()))]);
}

#[test]
fn a_line_is_said_by_enter_and_leaving_is_one_click() {
    let mut harness = on("pair-together");
    write(&mut harness, "Say", "hello");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Pair(Asked::Say("hello".into()))]);
    harness.get_by_label("Leave").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Pair(Asked::Leave)]);
}
