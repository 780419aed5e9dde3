//! `farwheel manual`: letters carried by hand, between two programs and to a browser's console.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::time::Instant;

use farwheel_lab::program::{Program, binary, wait_for};
use serde_json::Value;

use crate::browser::Network;

fn manual(network: &Network, side: &str) -> (Program, ChildStdin) {
    let mut manual = network.command(&binary("farwheel"));
    manual.args(["manual", side, "--json"]);
    Program::start_with_input(manual)
}

/// A side of a call with made-up camera and sound.
fn caller(network: &Network, side: &str, name: &str, more: &[&str]) -> (Program, ChildStdin) {
    let mut caller = network.command(&binary("farwheel"));
    caller.args(["manual", side, "--json", "--call", "--headless", "--name", name, "--left-out", "0"]);
    caller.args(["--camera", "test", "--size", "320x180", "--tile", "320x180"]);
    caller.args(["--microphone", "test", "--speaker", "test"]).args(more);
    Program::start_with_input(caller)
}

fn letter(program: &mut Program) -> String {
    let line = program.wait_line(r#"{"event":"letter","letter":"#);
    serde_json::from_str(line.strip_suffix('}').unwrap()).unwrap()
}

/// Says a line and waits until the other one prints it.
fn say(text: &str, from: &mut ChildStdin, to: &mut Program) {
    writeln!(from, "{text}").unwrap();
    to.wait_line(&format!(r#""text":{}"#, Value::from(text)));
}

#[test]
fn two_programs_meet_by_letters_alone() {
    let network = Network::own();
    let (mut ada, mut to_ada) = manual(&network, "offer");
    let offer = letter(&mut ada);
    let (mut grace, mut to_grace) = manual(&network, "answer");
    // Half of it is not enough, and harms nothing.
    writeln!(to_grace, "Hi Grace,\n> {}", offer.replace('\n', "\n> ")).unwrap();
    let answer = letter(&mut grace);
    // The own offer is told from an answer.
    writeln!(to_ada, "{offer}").unwrap();
    assert!(ada.wait_line(r#""message":"#).contains("this is your own offer"));
    writeln!(to_ada, "{answer}").unwrap();
    ada.wait_line(r#""event":"connected""#);
    grace.wait_line(r#""event":"connected""#);
    say("hello", &mut to_ada, &mut grace);
    say("hé \"there\"", &mut to_grace, &mut ada);
    drop(to_ada);
    assert!(ada.wait().0.success());
    assert!(grace.wait().0.success(), "the other one's goodbye is heard");
}

#[test]
fn two_call_each_other_by_letters_alone() {
    let network = Network::own();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("ada.json");
    let (mut ada, mut to_ada) =
        caller(&network, "offer", "ada", &["--say", "good morning", "--report", report.to_str().unwrap()]);
    let offer = letter(&mut ada);
    let (mut bob, mut to_bob) = caller(&network, "answer", "bob", &[]);
    writeln!(to_bob, "{offer}").unwrap();
    let answer = letter(&mut bob);
    writeln!(to_ada, "{offer}").unwrap();
    assert!(ada.wait_line(r#""message":"#).contains("this is your own offer"));
    writeln!(to_ada, "{answer}").unwrap();
    ada.wait_any("bob is here");
    bob.wait_any("ada: good morning");
    let seen = Instant::now();
    wait_for("three seconds of pictures", || (seen.elapsed().as_secs() >= 3).then_some(()));
    ada.terminate();
    let (status, said) = ada.wait();
    assert!(status.success(), "{said}");
    let (status, said) = bob.wait();
    assert!(status.success() && said.contains("ada has left"), "{said}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let bob = &report["members"][0];
    assert_eq!(bob["name"], "bob", "{report:#}");
    assert_eq!(bob["connections"], 1, "{report:#}");
    assert!(bob["camera"]["decoded"].as_u64().unwrap() > 30, "{report:#}");
}

#[test]
fn chromium_takes_part_from_its_console() {
    let driver = std::env::var_os("FARWHEEL_BROWSER_DRIVER").expect(
        "FARWHEEL_BROWSER_DRIVER names the folder with playwright-core: run this through `cargo xtask test`",
    );
    let network = Network::own();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peer/tests/browser/by_hand.mjs");
    let mut node: Command = network.command(Path::new("node"));
    node.arg(script).env("FARWHEEL_BROWSER_DRIVER", driver);
    let (mut browser, mut to_browser) = Program::start_with_input(node);
    let offer = browser.wait_line("console: ");
    let (mut grace, mut to_grace) = manual(&network, "answer");
    writeln!(to_grace, "{offer}").unwrap();
    let answer = letter(&mut grace);
    assert!(answer.starts_with(r#"{"sdp":"#) || answer.starts_with(r#"{"type":"#), "for a console: {answer}");
    writeln!(to_browser, "{answer}").unwrap();
    grace.wait_line(r#""event":"connected""#);
    grace.wait_line(r#""text":"hello from the console""#);
    writeln!(to_grace, "hello from the terminal").unwrap();
    assert_eq!(browser.wait_line("heard: "), "hello from the terminal");
}
