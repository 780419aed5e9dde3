//! The subcommands, and one clear sentence for each thing that is wrong.

use std::path::Path;
use std::process::Stdio;

use crate::harness::{NEUTRAL, Process, Server, robot_command, robot_program, wait_for};
use farwheel_robot::drive::Registers;

/// Runs a subcommand to its end; gives whether it succeeded, standard output and standard error.
fn run(dir: &Path, subcommand: &str, args: &[&str]) -> (bool, String, String) {
    let output = robot_command(dir, subcommand).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn check_refused(args: &[&str], want: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (success, _, error) = run(dir.path(), "run", args);
    assert!(!success, "{args:?} was accepted");
    assert_eq!(error, format!("farwheel-robot: {want}\n"));
}

#[test]
fn wrong_settings_are_refused_in_one_sentence() {
    check_refused(&["--fps", "0"], "flag --fps: want 1 to 120, got 0");
    check_refused(
        &["--server", "ws://example.org"],
        "flag --server: `ws://example.org` would go over the network without TLS; use wss://, or --insecure if you mean it",
    );
    check_refused(
        &["--drive", "pwm:12"],
        "flag --drive: output `pwm:12` is not supported by this release; sim: and sim:FILE are",
    );
    check_refused(
        &["--token-file", "/nowhere"],
        "flag --token-file: read token file /nowhere: No such file or directory (os error 2)",
    );
}

#[test]
fn wrong_token_ends_the_robot_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "the-right-token-0123456789\n").unwrap();
    let server = Server::listen(dir.path(), "127.0.0.1:0", Some(&tokens));
    let mut command = robot_command(dir.path(), "run");
    command.args(["--server", &server.url, "--room", "r", "--token", "wrong", "--size", "320x180"]);
    command.stdout(Stdio::null());
    let mut robot = Process::start(command, dir.path().join("robot.log"));
    assert!(!robot.wait().success());
    let log = robot.log_text();
    assert!(
        log.contains("signalling server does not let this robot in: ") && log.contains("(unauthorized)"),
        "{log}"
    );
}

#[test]
fn unreachable_server_is_said_once_and_tried_again_until_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let mut command = robot_command(dir.path(), "run");
    command.args(["--server", &format!("ws://{address}"), "--room", "r", "--size", "320x180"]);
    command.stdout(Stdio::piped());
    let mut robot = Process::start(command, dir.path().join("robot.log"));
    wait_for("the robot to say so", || robot.log_text().contains("no signalling server").then_some(()));
    let _server = Server::listen(dir.path(), &address, None);
    robot.wait_line("ready");
    assert_eq!(robot.log_text().matches("no signalling server").count(), 1, "{}", robot.log_text());
}

#[test]
fn check_lists_what_works_and_what_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (success, out, error) = run(
        dir.path(),
        "check",
        &["--json", "--server", &server.url, "--camera", "test", "--size", "320x180"],
    );
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(success && list["ok"] == true, "{out}{error}");
    let items = list["items"].as_array().unwrap();
    for name in
        ["configuration", "clock", "disk", "encoder", "camera", "actuator", "signalling", "STUN and TURN"]
    {
        assert!(
            items.iter().any(|item| item["name"] == name && item["verdict"] != "failed"),
            "{name} in {out}"
        );
    }
    let configuration = items.iter().find(|item| item["name"] == "configuration").unwrap();
    let file = dir.path().join("empty.toml").display().to_string();
    assert_eq!(configuration["text"], file, "the file that was given with --config");
    drop(server);
    let args = ["--server", "ws://127.0.0.1:9", "--camera", "usb:/dev/video99", "--size", "320x180"];
    let (success, out, _) = run(dir.path(), "check", &args);
    assert!(!success, "{out}");
    for (name, why) in [("camera", "/dev/video99"), ("signalling", "ws://127.0.0.1:9")] {
        let line = out.lines().find(|line| line.starts_with("failed") && line.contains(name));
        assert!(line.is_some_and(|line| line.contains(why)), "{name} in {out}");
    }
}

#[test]
fn neutral_writes_neutral_over_pulses_that_run_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registers");
    Registers::open(&path).unwrap().write([1400, 1700, 1500, 1500]).unwrap();
    let status = std::process::Command::new(robot_program())
        .args(["neutral", "--drive", &format!("sim:{}", path.display())])
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(Registers::open(&path).unwrap().read().unwrap().widths, NEUTRAL);
}

#[test]
fn devices_and_configuration_are_for_people_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(robot_program()).args(["devices", "--json"]).output().unwrap();
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        devices["cameras"].as_array().unwrap().iter().any(|camera| camera["source"] == "sim"),
        "{devices}"
    );
    let (success, out, _) = run(dir.path(), "run", &["--print-config", "--fps", "60"]);
    assert!(success && out.contains("# flag --fps"), "{out}");
    toml::from_str::<toml::Table>(&out).unwrap();
}
