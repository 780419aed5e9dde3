//! Robot and app with an emulated link between them: pictures get through, and nothing stays behind.

use std::process::{Command, Stdio};

use farwheel_lab::clock::VirtualTime;
use farwheel_lab::emulator::{Hearing, Log, obstacle};
use serde_json::Value;

use farwheel_lab::program::{Program, binary};

#[test]
fn over_two_megabits_a_second_the_picture_stays_fresh_and_commands_arrive() {
    let Some(run) = Run::over(&["--rate", "2M"], 8) else { return };
    let stats = &run.stats;
    let age = |point: &str| stats["picture_age_ms"][point].as_f64().unwrap();
    let video = run.link.packets[0].iter().filter(|packet| packet.rtp.is_some()).count();
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
}

#[test]
fn a_link_that_is_gone_for_four_seconds_keeps_its_path_and_brings_a_fresh_picture_when_it_is_back() {
    let gone = ["--rate", "2M,0@8,2M@12", "--back-rate", "20M,0@8,20M@12"];
    let Some(run) = Run::over(&gone, 16) else { return };
    let heard = Hearing { zero_unix_us: run.link.zero_unix_us }.logs(&run.said, "");
    let back = VirtualTime::from_ms(12_000);
    let fresh =
        heard.shown.iter().find(|shown| shown.captured >= back).expect("pictures after the link's return");
    let waited = fresh.at.since(back);
    let checks = run.link.packets[0].iter().filter(|packet| packet.rtp.is_none()).count();
    println!("first picture of after the return {waited:?} later; {checks} packets besides video");
    assert!(!run.said.contains("looking for another path"), "{}", run.said);
}

/// Robot and app, driven over a link for some time.
struct Run {
    stats: Value,
    link: Log,
    /// By the app.
    said: String,
}

impl Run {
    /// None where a link can't be emulated.
    fn over(options: &[&str], seconds: u32) -> Option<Self> {
        if let Some(obstacle) = obstacle() {
            println!("skipped, a link can't be emulated here: {obstacle}");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let name = format!("fwlink{}", std::process::id());
        let mut emulator = Command::new(binary("link_emulator"));
        emulator.args(["--name", &name, "--log"]).arg(path("link")).args(options);
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
        app.args(["drive", "r", "--server", &url, "--headless", "--arm", "--stats-json"]).arg(path("stats"));
        app.args(["--seconds", &seconds.to_string()]).env("FARWHEEL_LOG", "farwheel_peer=info,measure=trace");
        let (status, said) = Program::start(app).wait();
        assert!(status.success(), "{said}");
        drop((robot, server));
        emulator.terminate();
        let (status, complaint) = emulator.wait();
        assert!(status.success(), "{complaint}");
        let left = Command::new("ip").args(["netns", "list"]).stdin(Stdio::null()).output().unwrap();
        assert!(!String::from_utf8(left.stdout).unwrap().contains(&name), "a namespace stays behind");
        let stats = serde_json::from_str(&std::fs::read_to_string(path("stats")).unwrap()).unwrap();
        Some(Self { stats, link: Log::read(&path("link")).unwrap(), said })
    }
}
