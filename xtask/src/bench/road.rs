//! One run over an emulated link: two namespaces, a program at each end, the figures of what was shown.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Format, Points, peers};
use crate::build::Measured;
use crate::held::Held;
use crate::packages::VENV;
use crate::process::Running;
use crate::{build, packages};

/// Before this the programs connect, in seconds of the link.
pub(super) const CONNECT_S: u32 = 2;
/// And this is left out of every figure.
pub(super) const LEFT_OUT_S: u32 = 3;
/// Most that anybody may send.
pub(super) const MAX_KBPS: u32 = 4000;
/// Pinned, so that a run tomorrow is the run of today.
const AIORTC: [&str; 2] = ["aiortc==1.16.0", "numpy==2.4.1"];

/// Who sends pictures from the car to the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Robot with this camera and app, driving by this script.
    Farwheel { camera: &'static str, script: &'static str },
    /// Chromium to Chromium.
    Chromium,
    /// webrtcbin to webrtcbin at a fixed rate in kbit/s.
    GStreamer(u32),
    /// aiortc to aiortc.
    Aiortc,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Farwheel { .. } => f.write_str("Farwheel"),
            Self::Chromium => f.write_str("Chromium"),
            Self::GStreamer(kbps) => write!(f, "GStreamer {} Mbit/s", f64::from(*kbps) / 1000.0),
            Self::Aiortc => f.write_str("aiortc"),
        }
    }
}

/// A script that arms and holds the sticks at neutral.
pub(super) const STILL: &str = "arm 30\nhold\n0 0 0\n86400 0 0\n";
/// The camera whose pictures tell their own time and likeness.
pub(super) const MEASURING: &str = "test";
/// A script that drives on the simulated car's track.
pub(super) const DRIVING: &str = "arm 30\nfollow 86400 0.6\n";
/// A script that drives as long as it can.
pub(super) const MOVING: &str = "arm 30\nhold\n0 0.3 0\n86400 0.3 0\n";

/// What the runs have in common.
pub(super) struct Track {
    pub(super) built: Measured,
    /// The pictures that peers send.
    pub(super) texture: PathBuf,
    pub(super) format: Format,
    /// How much of each run is measured, with what is left out.
    pub(super) seconds: u32,
    pub(super) folder: PathBuf,
    /// The browser's driver, if a browser takes part.
    pub(super) driver: Option<PathBuf>,
    /// The interpreter that has aiortc, if that takes part.
    pub(super) python: Option<PathBuf>,
}

/// What `link_report` prints, as far as the benches read it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub(super) frames: u64,
    pub(super) fps: f64,
    pub(super) picture_age_ms: Points,
    pub(super) frame_delay_ms: Points,
    pub(super) stall_s: f64,
    pub(super) psnr_db: Option<f64>,
    pub(super) size: Option<[u32; 2]>,
    pub(super) delivered_mb: f64,
    pub(super) utilisation: Option<f64>,
    pub(super) repairs: u64,
    pub(super) rtp_lost: u64,
    pub(super) command_ms: Option<Points>,
    pub(super) command_over_ms: Option<Points>,
    pub(super) commands_sent: u64,
    pub(super) commands_counted: u64,
    /// Longest time that the machine let the link do nothing, in ms.
    pub(super) stood_still_ms: f64,
    /// None on an open road.
    pub(super) oracle: Option<Vec<Oracle>>,
    /// At ms, delay ms.
    pub(super) shown: Vec<(f64, f64)>,
    /// Sent at ms, delay ms.
    pub(super) commands: Vec<(f64, Option<f64>)>,
    /// Until ms: capacity, sent, delivered in kbit/s.
    pub(super) rates: Vec<(f64, Option<f64>, f64, f64)>,
    /// At ms, throttle in µs.
    pub(super) pulses: Vec<(f64, u16)>,
    /// Load of the machine at the end.
    #[serde(skip)]
    pub(super) load: f64,
}

/// The age that no sender can beat with frames of this rate.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Oracle {
    pub(super) kbps: u32,
    #[serde(flatten)]
    pub(super) age_ms: Points,
}

impl Track {
    /// Runs `peer` over the link that `options` describe to emulator and report; `name` is for files.
    ///
    /// # Errors
    /// If a program can't be started or ends badly: with the last lines of its log.
    pub(super) fn run(&self, name: &str, title: &str, options: &[String], peer: &Peer) -> Result<Run> {
        let files = Files { folder: self.folder.join(name) };
        if files.folder.exists() {
            std::fs::remove_dir_all(&files.folder).context("remove the last run's files")?;
        }
        std::fs::create_dir_all(&files.folder)?;
        let space = format!("fwbench{}", std::process::id());
        let mut emulator = Command::new(&self.built.emulator);
        emulator.args(["--hold", "--name", &space, "--log"]).arg(files.of("link")).args(options);
        let link = Held::start("link_emulator", emulator, &files.of("link.log"))?;
        let ends = Ends { car: format!("{space}-car"), desk: format!("{space}-desk") };
        let outcome = match peer {
            Peer::Farwheel { camera, script } => self.farwheel(camera, script, link, &ends, &files),
            Peer::Chromium => self.chromium(link, &ends, &files),
            Peer::GStreamer(kbps) => {
                self.python(link, &ends, &files, "webrtcbin.py", Path::new(PYTHON), *kbps)
            }
            Peer::Aiortc => {
                let python = self.python.as_deref().context("aiortc is installed")?;
                self.python(link, &ends, &files, "aiortc_peer.py", python, 0)
            }
        };
        outcome.with_context(|| peer.to_string())?.release().context("the link")?;
        let mut report = Command::new(&self.built.report);
        let from = CONNECT_S + LEFT_OUT_S;
        report.args(["--from", &from.to_string(), "--until", &(CONNECT_S + self.seconds).to_string()]);
        report.args(["--fps", &self.format.fps.to_string(), "--max-kbps", &MAX_KBPS.to_string()]);
        report.arg("--link").arg(files.of("link")).arg("--svg").arg(files.folder.with_extension("svg"));
        report.args(["--title", title]).args(options);
        match peer {
            Peer::Farwheel { .. } => {
                report.arg("--app").arg(files.of("app.log")).arg("--robot").arg(files.of("robot.log"));
                report.arg("--pulses").arg(files.of("pulses"));
            }
            Peer::Chromium | Peer::GStreamer(_) | Peer::Aiortc => {
                report.arg("--rows").arg(files.of("rows"));
            }
        }
        let run: Run = peers::json(&mut report, None)?;
        if run.frames == 0 {
            bail!("{peer} showed no picture; what it said is in {}", files.folder.display());
        }
        Ok(Run { load: super::machine::load(), ..run })
    }

    /// How long each program runs.
    const fn lasts(&self) -> u32 {
        CONNECT_S + self.seconds + 1
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.lasts()) + 30)
    }

    fn farwheel(
        &self,
        camera: &str,
        script: &str,
        mut link: Held,
        ends: &Ends,
        files: &Files,
    ) -> Result<Held> {
        let programs = &self.built.programs;
        let mut serve = within(&ends.desk, &programs.signaling);
        serve.args(["serve", "--insecure", "--anonymous", "--listen", &format!("{DESK}:0")]);
        let ready = Duration::from_secs(20);
        let (_server, url) = Running::start_and_read(
            "farwheel-signaling",
            serve,
            &files.of("server.log"),
            "listening ",
            ready,
        )?;
        let mut robot = within(&ends.car, &programs.robot);
        robot.args(["run", "--camera", camera, "--room", "bench", "--server", &url, "--insecure"]);
        // Time in the pixels of whatever camera.
        robot.arg("--strip");
        let Format { width, height, fps } = self.format;
        robot.args(["--size", &format!("{width}x{height}"), "--fps", &fps.to_string()]);
        robot.args(["--bitrate", &MAX_KBPS.to_string(), "--pulse-log"]).arg(files.of("pulses"));
        robot.env("FARWHEEL_ROBOT_LOG", "error,farwheel_robot=info,farwheel_robot::control=trace");
        let script_file = files.of("script.txt");
        std::fs::write(&script_file, script)?;
        let mut app = within(&ends.desk, &programs.app);
        app.args(["drive", "bench", "--server", &url, "--headless", "--wait", "20", "--script"])
            .arg(script_file);
        app.args(["--seconds", &self.lasts().to_string(), "--stats-json"]).arg(files.of("stats.json"));
        app.env("FARWHEEL_LOG", "warn,measure=trace");
        link.begin()?;
        link.read("ready ")?;
        let robot = Running::start("farwheel-robot", robot, &files.of("robot.log"))?;
        let mut app = Running::start("farwheel", app, &files.of("app.log"))?;
        let status = app.wait(self.patience())?;
        anyhow::ensure!(status.is_some_and(|s| s.success()), "farwheel did not finish well:\n{}", app.tail());
        drop(robot);
        Ok(link)
    }

    fn chromium(&self, mut link: Held, ends: &Ends, files: &Files) -> Result<Held> {
        let mut node = Command::new("node");
        node.arg(peers::scripts().join("chromium.mjs")).arg(&self.texture);
        let Format { width, height, fps } = self.format;
        node.args([width, height, fps, self.lasts()].map(|n| n.to_string()));
        node.env("FARWHEEL_BROWSER_DRIVER", self.driver.as_deref().context("a driver for the browser")?);
        node.env("SENDER_NAMESPACE", &ends.car).env("RECEIVER_NAMESPACE", &ends.desk);
        node.env("GATE", "1").env("ROWS", files.of("rows"));
        let mut browsers = Held::start("node", node, &files.of("browsers.log"))?;
        link.begin()?;
        link.read("ready ")?;
        browsers.begin()?;
        browsers.finish(self.patience())?;
        Ok(link)
    }

    fn python(
        &self,
        mut link: Held,
        ends: &Ends,
        files: &Files,
        script: &str,
        python: &Path,
        kbps: u32,
    ) -> Result<Held> {
        let exchange = files.of("exchange");
        std::fs::create_dir_all(&exchange)?;
        let side = |namespace: &str, side: &str| {
            let mut command = within(namespace, python);
            command.arg("-B").arg(peers::scripts().join(script)).arg(side).arg(&exchange).arg(&self.texture);
            let Format { width, height, fps } = self.format;
            command.args([width, height, fps, self.lasts(), kbps].map(|n| n.to_string()));
            command.env("GATE", "1").env("ROWS", files.of("rows"));
            Held::start(side, command, &files.of(&format!("{side}.log")))
        };
        let (mut sender, mut receiver) = (side(&ends.car, "send")?, side(&ends.desk, "recv")?);
        link.begin()?;
        link.read("ready ")?;
        sender.begin()?;
        receiver.begin()?;
        receiver.finish(self.patience()).with_context(|| format!("the sender said:\n{}", sender.tail()))?;
        Ok(link)
    }
}

/// Names of the namespaces.
struct Ends {
    car: String,
    desk: String,
}

/// Files of one run.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// An interpreter that has aiortc: Debian has no package of it, so it comes with pip into a folder of its own.
///
/// # Errors
/// If it can't be had.
pub(super) fn aiortc(folder: &Path) -> Result<PathBuf> {
    let venv = folder.join("aiortc");
    let python = venv.join("bin/python");
    let is_there = |python: &Path| {
        let mut try_it = Command::new(python);
        try_it.args(["-c", "import aiortc, numpy"]).stderr(std::process::Stdio::null());
        try_it.status().is_ok_and(|status| status.success())
    };
    if !is_there(&python) {
        packages::ensure(&[&VENV])?;
        println!("    installing {} with pip into {}", AIORTC.join(" and "), venv.display());
        build::run(Command::new(PYTHON).args(["-m", "venv"]).arg(&venv))?;
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        build::run(Command::new(&python).args(quiet).args(AIORTC))?;
    }
    Ok(python)
}

/// Fails where no link can be emulated.
///
/// # Errors
/// Without root.
pub(super) fn must_be_root() -> Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces need root: run it again with sudo, `sudo -E cargo xtask bench ...`"
    );
    Ok(())
}

fn within(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Debian's interpreter: the one that has the GStreamer bindings.
const PYTHON: &str = "/usr/bin/python3";
/// The desk's address, as link_emulator gives it.
const DESK: &str = "10.77.0.2";
