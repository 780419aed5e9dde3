//! The app without a window beside a robot and a server: connect, come back, go on without the server, hand out
//! pictures, refuse in words. The robot's pulses tell what its motors did.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use farwheel_media::test_picture::TestPicture;
use farwheel_media::y4m;
use farwheel_proto::video::Size;
use farwheel_robot::drive::pulse_log;
use serde_json::Value;
use tempfile::TempDir;

use farwheel_lab::program::{Program, binary, wait_for};

#[test]
fn a_robot_that_was_restarted_is_driven_again_but_never_by_the_stick_that_was_held() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0");
    let first = scene.robot(&url, "first", &[]);
    // Full speed ahead is held for longer than the robot needs to come back; then it is asked for again.
    let script = "arm 30\nhold\n0 0.5 0\n8 0.5 0\nwait 2\narm 20\n0 0.5 0\n86400 0.5 0\n";
    let mut app = scene.drive(&url, script);
    app.wait_line("Connected to");
    wait_for("the car to move", || scene.has_moved("first").then_some(()));
    first.kill();
    let restarted = Instant::now();
    let _second = scene.robot(&url, "second", &[]);
    app.wait_line("Connected to");
    println!("robot restarted: connected again after {:.2} s", restarted.elapsed().as_secs_f64());
    // Line 5 lets go of everything; until then the throttle was held against a disarmed robot.
    app.wait_line("Script line 5");
    assert!(!scene.has_moved("second"), "a held throttle moved a robot that had just started");
    wait_for("the car to move again", || scene.has_moved("second").then_some(()));
    let report = scene.end_of(app);
    assert_eq!(report["connections"], 2);
    let stopped = scene.lines("first").last().unwrap().clone();
    assert_eq!(stopped.widths[THROTTLE], NEUTRAL_US, "the actuator stopped the car of the robot that died");
}

#[test]
fn a_minute_without_the_server_stops_neither_picture_nor_control() {
    let scene = Scene::new();
    let (server, url) = scene.server("127.0.0.1:0");
    let first = scene.robot(&url, "first", &[]);
    // A blip of throttle each second, for longer than the test lasts.
    let blips: String = (0..120).map(|s| format!("{s} 0.5 0\n{s}.5 0 0\n")).collect();
    let mut app = scene.drive(&url, &format!("arm 30\nhold\n{blips}arm 30\n0 0.5 0\n86400 0.5 0\n"));
    app.wait_line("Connected to");
    wait_for("the car to move", || scene.has_moved("first").then_some(()));
    server.kill();
    app.wait_line("The server is gone");
    let blips_before = scene.starts("first");
    let gone = Instant::now();
    // The blips themselves are the clock: sixty of them are a minute.
    while scene.starts("first") < blips_before + 60 {
        let before = scene.starts("first");
        wait_for("the next blip of throttle", || (scene.starts("first") > before).then_some(()));
    }
    let lasted = gone.elapsed();
    let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
    let (_server, _) = scene.server(address);
    app.wait_line("The server is back");
    // It is really back: a robot that joins through it is found.
    first.kill();
    let _second = scene.robot(&url, "second", &[]);
    app.wait_line("Connected to");
    let report = scene.end_of(app);
    println!(
        "{lasted:.1?} without the server; {} pictures, stall {} ms",
        report["frames"], report["stall_ms"]
    );
    assert_eq!(
        report["connections"], 2,
        "one connection outlived the server, one was made through the new one"
    );
    let frames = report["frames"].as_f64().unwrap();
    assert!(frames > 25.0 * lasted.as_secs_f64(), "{frames} pictures in {lasted:?}");
}

#[test]
fn view_hands_out_the_pictures_that_were_captured() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0");
    let size = Size::new(640, 360);
    let _robot = scene.robot(&url, "robot", &["--camera", "test", "--size", "640x360"]);
    let mut view = scene.app("view", &url);
    view.args(["--y4m", "-"]);
    let (view, out) = Program::start_with_output(view);
    let mut reader = y4m::Reader::new(out).unwrap();
    assert_eq!(reader.header().size, size);
    let mut source = TestPicture::new(size);
    let mut last = None;
    let mut psnr = Vec::new();
    while psnr.len() < 60 {
        let measured = source.measure(&reader.read().unwrap()).expect("every picture carries its stamp");
        assert_ne!(last.replace(measured.stamp), Some(measured.stamp), "each picture is handed out once");
        psnr.push(measured.psnr_db);
    }
    psnr.sort_by(f64::total_cmp);
    println!("PSNR of 60 pictures: worst {:.1} dB, median {:.1} dB", psnr[0], psnr[30]);
    assert!(psnr[0] > 30.0, "worst picture has {:.1} dB", psnr[0]);
    // A reader that has had enough ends it, and that is no error.
    drop(reader);
    let (status, said) = view.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn what_cannot_work_is_said_in_one_sentence_with_an_exit_code() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0");
    let tokens = scene.file("tokens", "open-sesame-and-more\n");
    let mut serve = scene.command("farwheel-signaling");
    serve.args(["serve", "--listen", "127.0.0.1:0", "--token-file"]).arg(&tokens);
    let mut closed = Program::start(serve);
    let closed_url = closed.wait_line("listening ");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases: [(&str, &[&str], i32, &str); 5] = [
        (&format!("ws://{nobody}"), &[], 3, "connection_refused"),
        (&url, &[], 5, "no_robot"),
        (&closed_url, &[], 4, "unauthorized"),
        (&url, &["--script", "/nowhere/lap.txt"], 1, "read script /nowhere/lap.txt"),
        ("127.0.0.1", &[], 2, "127.0.0.1 is no address of a server"),
    ];
    for (server, more, code, want) in cases {
        let mut command = scene.app("drive", server);
        command.args(["--headless", "--wait", "2"]).args(more);
        let (status, said) = Program::start(command).wait();
        assert_eq!(status.code(), Some(code), "{server} {more:?}: {said}");
        assert!(said.contains(want), "{server} {more:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// A folder with a robot's, a server's and an app's things in it.
struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A program that no file or variable of this machine changes.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, self.dir.path());
        }
        command
    }

    fn server(&self, listen: &str) -> (Program, String) {
        let mut command = self.command("farwheel-signaling");
        command.args(["serve", "--listen", listen]);
        let mut server = Program::start(command);
        let url = server.wait_line("listening ");
        (server, url)
    }

    /// A robot in the room `r` whose pulses are logged under its name.
    fn robot(&self, url: &str, name: &str, more: &[&str]) -> Program {
        let mut command = self.command("farwheel-robot");
        command.args(["run", "--server", url, "--room", "r", "--bind", "127.0.0.1"]);
        command.args(["--size", "320x180", "--fps", "30", "--name", name]);
        command.arg("--drive").arg(format!("sim:{}", self.path(&format!("{name}.registers")).display()));
        command.arg("--pulse-log").arg(self.pulses(name)).args(more);
        let mut robot = Program::start(command);
        robot.wait_line("ready");
        robot
    }

    fn pulses(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.pulses"))
    }

    fn app(&self, subcommand: &str, url: &str) -> Command {
        let mut command = self.command("farwheel");
        command.args([subcommand, "r", "--server", url, "--loopback", "--name", "tester"]);
        command
    }

    /// Drives by a script, without a window.
    fn drive(&self, url: &str, script: &str) -> Program {
        let script = self.file("script.txt", script);
        let mut command = self.app("drive", url);
        command.arg("--headless").arg("--script").arg(script).arg("--stats-json").arg(self.stats());
        Program::start(command)
    }

    fn stats(&self) -> PathBuf {
        self.path("stats.json")
    }

    /// Ends a drive as Ctrl-C does; gives its figures.
    fn end_of(&self, app: Program) -> Value {
        app.terminate();
        let (status, said) = app.wait();
        assert!(status.success(), "{said}");
        serde_json::from_str(&read(&self.stats())).unwrap()
    }

    fn lines(&self, name: &str) -> Vec<pulse_log::Line> {
        pulse_log::read(&self.pulses(name)).unwrap()
    }

    fn has_moved(&self, name: &str) -> bool {
        self.starts(name) > 0
    }

    /// How often the throttle left neutral.
    fn starts(&self, name: &str) -> usize {
        let moves: Vec<bool> =
            self.lines(name).iter().map(|line| line.widths[THROTTLE] > NEUTRAL_US).collect();
        moves.windows(2).filter(|pair| !pair[0] && pair[1]).count()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Index of the throttle among the pulse widths.
const THROTTLE: usize = 1;
const NEUTRAL_US: u16 = 1500;
