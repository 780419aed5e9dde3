//! Ringing between programs: taken, declined, busy, given up.

use std::process::Command;

use farwheel_lab::program::{Program, wait_for};

use super::callers::Scene;

#[test]
fn a_ring_is_taken_and_whoever_rings_meanwhile_is_told_that_the_line_is_busy() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let mut links = Vec::new();
    // Who was met in a call is known by its identity from then on; the line stays the same.
    for known in ["unknown", "known"] {
        let mut bob = Program::start(line(&scene, &url, "bob", "accept"));
        let link = bob.wait_line("Line open: ");
        let mut ada = Program::start(call(&scene, &link, "ada"));
        bob.wait_line(&format!("ada rings, {known}"));
        for caller in [&mut ada, &mut bob] {
            caller.wait_line("Accepted");
        }
        ada.wait_line("bob is here");
        bob.wait_line("ada is here");
        let (status, said) = Program::start(call(&scene, &link, "cyd")).wait();
        assert_eq!(status.code(), Some(4), "{said}");
        assert!(said.contains("bob is busy with another call. (busy)"), "{said}");
        bob.wait_line("cyd has rung in vain");
        // Both know each other's identity once the words are there.
        wait_for("both to have met", || {
            let met = |home: &str| std::fs::read_to_string(scene.dir.path().join(home).join("callers.json"));
            (met("ada").ok()?.contains("bob") && met("bob").ok()?.contains("ada")).then_some(())
        });
        for caller in [ada, bob] {
            caller.terminate();
            let (status, said) = caller.wait();
            assert!(status.success(), "{said}");
        }
        links.push(link);
    }
    assert_eq!(links[0], links[1]);
    assert!(links[0].starts_with("farwheel://ring?server="), "{links:?}");
}

#[test]
fn a_ring_is_declined_and_the_line_can_be_rung_again() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let mut bob = Program::start(line(&scene, &url, "bob", "decline"));
    let link = bob.wait_line("Line open: ");
    for _ in 0..2 {
        let (status, said) = Program::start(call(&scene, &link, "ada")).wait();
        assert_eq!(status.code(), Some(4), "{said}");
        assert!(said.contains("bob has declined the call. (declined)"), "{said}");
        bob.wait_line("ada rings, unknown");
    }
}

#[test]
fn a_ring_sounds_until_the_caller_hangs_up_and_is_told_as_missed() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let [here, there] = ["here.wav", "there.wav"].map(|name| scene.dir.path().join(name));
    let mut bob = line(&scene, &url, "bob", "nothing");
    bob.arg("--speaker").arg(format!("wav:{}", here.display()));
    let mut bob = Program::start(bob);
    let link = bob.wait_line("Line open: ");
    let mut ada = call(&scene, &link, "ada");
    ada.arg("--speaker").arg(format!("wav:{}", there.display()));
    let mut ada = Program::start(ada);
    bob.wait_line("ada rings, unknown");
    ada.wait_line("Ringing bob");
    for file in [&here, &there] {
        wait_for("the tone of a ring", || (loudest(file)? > 1000).then_some(()));
    }
    ada.terminate();
    bob.wait_line("ada has rung in vain");
    let (status, said) = ada.wait();
    assert!(status.success() && said.contains("Hanging up"), "{said}");
}

/// Somebody who waits to be rung.
fn line(scene: &Scene, url: &str, name: &str, answer: &str) -> Command {
    let mut command = scene.command("farwheel");
    command.args(["call", "--server", url, "--answer", answer]);
    finished(scene, command, name)
}

/// Somebody who rings.
fn call(scene: &Scene, link: &str, name: &str) -> Command {
    let mut command = scene.command("farwheel");
    command.args(["call", link]);
    finished(scene, command, name)
}

fn finished(scene: &Scene, mut command: Command, name: &str) -> Command {
    command.args(["--headless", "--loopback", "--name", name, "--camera", "none", "--microphone", "test"]);
    command.env("FARWHEEL_LOG", "error");
    command.arg("--home").arg(scene.dir.path().join(name));
    command
}

/// The loudest sample of a file of 16 bits each; none before there is any.
fn loudest(file: &std::path::Path) -> Option<u16> {
    let bytes = std::fs::read(file).ok()?;
    let samples = bytes.get(44..)?.chunks_exact(2);
    samples.map(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs()).max()
}
