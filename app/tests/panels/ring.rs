//! Ringing: who rings is answered on every page, and the own line is opened and kept quiet.

use egui_kittest::kittest::Queryable as _;
use farwheel::model::Command;
use farwheel::model::call::Command as Ask;
use farwheel::model::ring::Answer;

use super::calls::{asked, click, has, press};
use super::controls::{on, take};

#[test]
fn a_ring_is_answered_by_its_buttons_and_by_keys_on_every_page() {
    for state in ["ring", "ring-changed", "ring-driving"] {
        let mut harness = on(state);
        assert_eq!(click(&mut harness, "Accept (F9)"), [Ask::AnswerRing(Answer::Accept)], "{state}");
        assert_eq!(click(&mut harness, "Decline (Shift+F9)"), [Ask::AnswerRing(Answer::Decline)], "{state}");
        assert_eq!(press(&mut harness, egui::Key::F9), [Ask::AnswerRing(Answer::Accept)], "{state}");
        harness.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::F9);
        harness.run_steps(2);
        assert_eq!(asked(&mut harness), [Ask::AnswerRing(Answer::Decline)], "{state}");
        harness.state_mut().model.line.as_mut().unwrap().incoming = None;
        harness.run_steps(2);
        assert_eq!(press(&mut harness, egui::Key::F9), [], "{state}: nobody rings");
        assert!(!has(&harness, "Accept (F9)"));
    }
    assert!(has(&on("ring"), "Samuel Okoye is calling, verified by you"));
}

#[test]
fn the_own_line_is_opened_kept_quiet_and_missed_calls_are_returned() {
    let mut harness = on("calls");
    harness.get_by_label("My line").scroll_to_me();
    harness.run_steps(3);
    harness.get_by_label("My line").click();
    harness.run_steps(4);
    let commands = take(&mut harness);
    let server = harness.state().model.connect.prefill.server.clone();
    assert!(
        commands.iter().any(|command| matches!(
            command,
            Command::ChangeSettings(settings) if settings.call.line.as_ref() == Some(&server)
        )),
        "{commands:?}"
    );
    let mut harness = on("calls-line");
    harness.get_by_label("Do not disturb").scroll_to_me();
    harness.run_steps(3);
    harness.get_by_label("Do not disturb").click();
    harness.run_steps(4);
    let commands = take(&mut harness);
    assert!(
        matches!(&commands[..], [Command::ChangeSettings(settings)] if settings.call.do_not_disturb),
        "{commands:?}"
    );
    let target = harness.state().model.missed[0].target.clone();
    harness.get_by_label("Call Greta Lindqvist back").scroll_to_me();
    harness.run_steps(3);
    assert_eq!(click(&mut harness, "Call Greta Lindqvist back"), [Ask::Prepare(target)]);
    assert_eq!(click(&mut harness, "Forget missed calls"), [Ask::ForgetMissed]);
    let mut harness = on("prejoin-ringing");
    assert_eq!(click(&mut harness, "Hang up"), [Ask::Dismiss]);
    let mut harness = on("prejoin-declined");
    assert_eq!(click(&mut harness, "Call again"), [Ask::Join]);
}
