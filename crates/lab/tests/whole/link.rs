//! Robot and app with an emulated link between them: pictures get through, and nothing stays behind.

use std::process::{Command, Stdio};

use farwheel_lab::emulator::{Log, obstacle};
use serde_json::Value;

use crate::harness::{Program, binary};

#[test]
fn over_two_megabits_a_second_the_picture_stays_fresh_and_commands_arrive() {
    if let Some(obstacle) = obstacle() {
        return println!("skipped, a link can't be emulated here: {obstacle}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let name = format!("fwlink{}", std::process::id());
    let mut emulator = Command::new(binary("link_emulator"));
    emulator.args(["--name", &name, "--rate", "2M", "--log"]).arg(path("link"));
    let mut emulator = Program::start(emulator);
    emulator.wait_line("ready ");
    let within = |end: &str, program: &str| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{name}-{end}")]).arg(binary(program));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, dir.path());
        }
        command
    };
    let mut server = within("desk", "farwheel-signaling");
    server.args(["serve", "--insecure", "--anonymous", "--listen", "10.77.0.2:0"]);
    let mut server = Program::start(server);
    let url = server.wait_line("listening ");
    let mut robot = within("car", "farwheel-robot");
    robot.args(["run", "--server", &url, "--insecure", "--room", "r", "--camera", "test"]);
    robot.args(["--size", "640x360", "--fps", "30", "--bitrate", "4000"]);
    let robot = Program::start(robot);
    let mut app = within("desk", "farwheel");
    app.args(["drive", "r", "--server", &url, "--headless", "--arm", "--seconds", "8", "--stats-json"]);
    let (status, said) = Program::start({
        app.arg(path("stats"));
        app
    })
    .wait();
    assert!(status.success(), "{said}");
    drop((robot, server));
    emulator.terminate();
    let (status, said) = emulator.wait();
    assert!(status.success(), "{said}");

    let stats: Value = serde_json::from_str(&std::fs::read_to_string(path("stats")).unwrap()).unwrap();
    let age = |point: &str| stats["picture_age_ms"][point].as_f64().unwrap();
    let log = Log::read(&path("link")).unwrap();
    let video = log.packets[0].iter().filter(|packet| packet.rtp.is_some()).count();
    println!(
        "{} pictures, age p50 {:.0}, p95 {:.0} ms; {video} packets of video; load {}",
        stats["frames"],
        age("p50"),
        age("p95"),
        stats["load"]
    );
    assert_eq!(stats["method"], "strip");
    assert!(stats["frames"].as_u64().unwrap() > 60, "{stats}");
    // The link's delay is in it, and a queue full of video is not: 150 kB are 600 ms.
    assert!((25.0..400.0).contains(&age("p50")), "{stats}");
    assert!(video > 100, "the video went over the link");
    // Echoed by the robot: commands and telemetry both get through.
    assert!(stats["loop_age_ms"]["p50"].as_f64().unwrap() < 500.0, "{stats}");
    let left = Command::new("ip").args(["netns", "list"]).stdin(Stdio::null()).output().unwrap();
    assert!(!String::from_utf8(left.stdout).unwrap().contains(&name), "a namespace stays behind");
}
