//! A call of two apps through a webcam's and sound cards' own drivers.

use std::time::Instant;

use serde_json::Value;

use crate::program::{Program, wait_within};

use super::PATIENCE;
use super::camera;
use super::scene::Scene;
use super::sound::{self, Card};

/// One speaks into a headset before a webcam; the other hears it on its speaker and sees the pictures. Then the plug of
/// that speaker is pulled and put back, and after it that of the headset.
pub(super) fn call_survives_unplugged_sound() -> String {
    let _camera = camera::plug_in();
    let [headset, desk] = sound::plug_in();
    let scene = Scene::new("call");
    let voice = sound::write_voice(scene.folder());
    let talk = headset.play(&voice);
    let [headset_name, desk_name] = names(&scene);
    let mut ada =
        scene.caller("ada", &["--camera", camera::SPEC, "--microphone", &headset_name, "--speaker", "none"]);
    let mut bob = scene.caller("bob", &["--camera", "test", "--microphone", "none", "--speaker", &desk_name]);
    ada.wait_line("bob is here");
    bob.wait_line("ada is here");
    let loud = hear(&desk, &scene, "ada's voice on bob's speaker");
    let speaker = torn(&desk, &mut bob, "Speaker: ", || {
        hear(&desk, &scene, "the voice after the speaker was plugged in again");
    });
    drop(talk);
    let mut talk = None;
    let microphone = torn(&headset, &mut ada, "Microphone: ", || {
        talk = Some(headset.play(&voice));
        hear(&desk, &scene, "the voice after the headset was plugged in again");
    });
    let report = scene.end_of(bob, "bob");
    let camera = &member(&report, "ada")["camera"];
    let pictures = camera["decoded"].as_u64().expect("ada's pictures were counted");
    assert!(pictures > 10, "{pictures} pictures of the webcam: {report:#}");
    assert_eq!(member(&report, "ada")["connections"], 1, "the call went on: {report:#}");
    ada.wait_line("bob has left");
    format!("voice heard ({loud:.3}), {pictures} pictures; {speaker}; {microphone}")
}

/// Pulls a card's plug in mid-call, and puts it back once its user has noticed.
fn torn(card: &Card, user: &mut Program, device: &str, heard_again: impl FnOnce()) -> String {
    card.pull();
    let torn = Instant::now();
    let instead = user.wait_line(device);
    let noticed = torn.elapsed().as_secs_f64();
    card.put_back();
    let back = Instant::now();
    heard_again();
    let back = back.elapsed().as_secs_f64();
    format!(
        "{device}missed after {noticed:.1} s (then: {instead}), heard again {back:.1} s after its plug was back"
    )
}

/// Waits until the voice comes out of a card.
fn hear(card: &Card, scene: &Scene, what: &str) -> f32 {
    wait_within(PATIENCE, what, || {
        let loud = card.voice(scene.folder());
        (loud > VOICE_MIN).then_some(loud)
    })
}

/// The cards' names as the app lists them.
fn names(scene: &Scene) -> [String; 2] {
    let out = scene.doctor().arg("--json").output().expect("the app can be started");
    let findings: Value = serde_json::from_slice(&out.stdout).expect("it answers as JSON");
    let all = findings["findings"].as_array().expect("it lists findings");
    let named = |subject: &str| {
        let finding = all.iter().find(|finding| finding["subject"] == subject);
        let what = finding.and_then(|finding| finding["what"].as_str()).expect("it looks for sound");
        what.trim_end_matches('.').split("; ").map(str::to_owned).collect::<Vec<_>>()
    };
    // Each card has two devices: programs use the first, what plays and records for them the second.
    let (microphones, speakers) = (named("microphone"), named("speaker"));
    println!("microphones {microphones:?}, speakers {speakers:?}");
    assert!(microphones.len() == 4 && speakers.len() == 4, "{microphones:?} {speakers:?}");
    [microphones[0].clone(), speakers[2].clone()]
}

fn member<'a>(report: &'a Value, name: &str) -> &'a Value {
    let members = report["members"].as_array().expect("a report lists members");
    members.iter().find(|member| member["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// A hundredth of what was played.
const VOICE_MIN: f32 = 0.003;
