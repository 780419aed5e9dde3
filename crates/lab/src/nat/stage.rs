//! The programs in their places.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{Internet, Kind, SERVER, SERVER_TWO, Site};
use crate::emulator::Namespace;

/// What was built.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `farwheel`.
    pub app: PathBuf,
    /// `farwheel-robot`.
    pub robot: PathBuf,
    /// `farwheel-signaling`.
    pub signaling: PathBuf,
}

impl Programs {
    /// Those in `folder`.
    ///
    /// # Errors
    /// If one is missing.
    pub fn within(folder: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = folder.join(name);
            ensure!(path.exists(), "{} is not built", path.display());
            Ok(path)
        };
        Ok(Self {
            app: find("farwheel")?,
            robot: find("farwheel-robot")?,
            signaling: find("farwheel-signaling")?,
        })
    }
}

/// A signalling server with its certificate, and robots in rooms of their own.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    /// The server's certificate is in it, and whatever the programs write.
    folder: PathBuf,
    robots: Vec<Robot>,
    _server: Process,
}

#[derive(Debug)]
struct Robot {
    process: Process,
    // After its program.
    site: Site,
}

/// How the packets of a connection travel, as its two ends tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Without a relay; the app's words for the pair.
    Direct(String),
    /// By a relay that the robot reaches over the first of these, the app over the second (UDP, TCP, TLS).
    Relayed(Option<String>, Option<String>),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct(pair) => write!(f, "direct, {pair}"),
            Self::Relayed(Some(robot), Some(app)) => write!(f, "relayed, robot over {robot}, app over {app}"),
            Self::Relayed(Some(robot), None) => write!(f, "relayed, robot over {robot}"),
            Self::Relayed(None, Some(app)) => write!(f, "relayed, app over {app}"),
            Self::Relayed(None, None) => f.write_str("relayed"),
        }
    }
}

/// A robot and an app that saw it.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// What the robot is behind.
    pub robot: Kind,
    /// What the app is behind.
    pub app: Kind,
    /// How their packets travelled.
    pub way: Way,
    /// From the app's start to its first picture.
    pub first_picture: Duration,
}

impl Stage {
    /// Makes a certificate and starts the server; what the programs write goes to `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn open(internet: &Internet, programs: Programs, folder: &Path) -> Result<Self> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.subject_alt_names.push(rcgen::SanType::IpAddress(SERVER.into()));
        let key = rcgen::KeyPair::generate()?;
        std::fs::write(folder.join(CERTIFICATE), parameters.self_signed(&key)?.pem())?;
        std::fs::write(folder.join(KEY), key.serialize_pem())?;
        let mut serve = internet.server().command(&programs.signaling);
        serve.args(["serve", "--anonymous", "--listen", &format!("{SERVER}:443")]);
        serve.args(["--stun-second-ip", &SERVER_TWO.to_string()]);
        // Several apps begin at once, from one address.
        serve.args(["--handshakes-per-second", "100"]);
        serve.arg("--cert").arg(folder.join(CERTIFICATE)).arg("--key").arg(folder.join(KEY));
        let mut server = Process::start("server", serve, folder)?;
        server.wait_line("listening ")?;
        Ok(Self { programs, folder: folder.to_owned(), robots: Vec::new(), _server: server })
    }

    /// Starts a robot; it is there when this returns.
    ///
    /// # Errors
    /// If it does not start or does not reach the server.
    pub fn add_robot(&mut self, site: Site) -> Result<()> {
        let mut run = self.command(site.host(), &self.programs.robot);
        run.args(["run", "--camera", "test", "--size", "320x180", "--fps", "15"]);
        self.add_server(&mut run);
        run.args(["--room", site.kind.name(), "--name", site.kind.name()]);
        let mut robot = Process::start(&format!("robot-{}", site.kind), run, &self.folder)?;
        robot.wait_line("ready")?;
        robot.wait_line("joined the room")?;
        self.robots.push(Robot { process: robot, site });
        Ok(())
    }

    /// Has an app at `site` meet the robot that is behind `robot`.
    ///
    /// # Errors
    /// If it gets no picture, with what the app said.
    pub fn meet(&self, robot: Kind, site: &Site) -> Result<Meeting> {
        let name = format!("{}-to-{robot}", site.kind);
        let stats = self.folder.join(format!("{name}.json"));
        let mut drive = self.command(site.host(), &self.programs.app);
        drive.args(["drive", robot.name(), "--headless", "--wait", "30", "--name", &name]);
        self.add_server(&mut drive);
        drive.arg("--stats-json").arg(&stats);
        let mut app = Process::start(&name, drive, &self.folder)?;
        app.wait_line("Connected to")?;
        // The figures of a connection are renewed four times a second.
        std::thread::sleep(SETTLED);
        app.end()?;
        let text = std::fs::read_to_string(&stats).context("the app left no figures")?;
        let figures: Value = serde_json::from_str(&text).context("figures of the app")?;
        let first_ms = figures["first_picture_ms"].as_f64().context("the app showed no picture")?;
        let path = figures["path"].as_str().context("the app knows no path")?.to_owned();
        let app_relay = figures["relay"].as_str().map(str::to_owned);
        let robot_relay = self.robot_relay(robot, &name)?;
        let is_relayed = app_relay.is_some() || robot_relay.is_some() || path.contains("relay");
        Ok(Meeting {
            robot,
            app: site.kind,
            way: if is_relayed { Way::Relayed(robot_relay, app_relay) } else { Way::Direct(path) },
            first_picture: Duration::from_secs_f64(first_ms / 1e3),
        })
    }

    /// What `farwheel doctor nat` says at `site`.
    ///
    /// # Errors
    /// If it says nothing that can be read.
    pub fn diagnose(&self, site: &Site) -> Result<Value> {
        let mut doctor = self.command(site.host(), &self.programs.app);
        doctor.args(["doctor", "nat", "--json"]);
        self.add_server(&mut doctor);
        let output = doctor.stdin(Stdio::null()).output().context("start the doctor")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the doctor ended with {}: {said}", output.status);
        serde_json::from_slice(&output.stdout).context("what the doctor says")
    }

    /// Has an app at `site` meet a robot that then moves to another network; gives the app's figures of the time from
    /// before to long after.
    ///
    /// # Errors
    /// If they do not meet.
    pub fn meet_and_roam(&self, robot: Kind, site: &Site, internet: &mut Internet) -> Result<Value> {
        let stats = self.folder.join("follower.json");
        let mut drive = self.command(site.host(), &self.programs.app);
        drive.args(["drive", robot.name(), "--headless", "--wait", "30", "--seconds", ROAMING_S]);
        self.add_server(&mut drive);
        drive.args(["--name", "follower", "--stats-json"]).arg(&stats);
        let mut app = Process::start("follower", drive, &self.folder)?;
        app.wait_line("Connected to")?;
        let found = self.robots.iter().find(|known| known.site.kind == robot);
        internet.roam(&found.context("no such robot was started")?.site)?;
        let status = app.wait(PATIENCE)?.context("the app does not end")?;
        ensure!(status.success(), "the app ended with {status}:\n{}", app.said()?);
        let text = std::fs::read_to_string(&stats).context("the app left no figures")?;
        serde_json::from_str(&text).context("figures of the app")
    }

    /// What the robot's log says of its own relay, for an app of this name.
    fn robot_relay(&self, robot: Kind, app: &str) -> Result<Option<String>> {
        let found = self.robots.iter().find(|known| known.site.kind == robot);
        let log = found.context("no such robot was started")?.process.said()?;
        let line = log
            .lines()
            .rfind(|line| line.contains("connected") && line.contains(&format!("name=\"{app}\"")))
            .with_context(|| format!("the robot knows nothing of {app}:\n{log}"))?;
        let relay = line.split_once("relayed over ").map(|(_, rest)| rest);
        Ok(relay.and_then(|rest| rest.split(' ').next()).map(str::to_owned))
    }

    fn add_server(&self, command: &mut Command) {
        command.args(["--server", &format!("wss://{SERVER}")]).arg("--ca").arg(self.folder.join(CERTIFICATE));
    }

    /// A command that nothing of this machine's user changes.
    fn command(&self, namespace: &Namespace, program: &Path) -> Command {
        let mut command = namespace.command(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, &self.folder);
        }
        command
    }
}

/// A running program whose words go to a file; ended when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    fn said(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn wait_line(&mut self, mark: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said()?;
            if said.contains(mark) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it said `{mark}`:\n{said}", self.name);
            }
            ensure!(Instant::now() < deadline, "{} did not say `{mark}` in time:\n{said}", self.name);
            std::thread::sleep(POLL);
        }
    }

    /// Asks it to end, and waits for that.
    fn end(mut self) -> Result<()> {
        self.ask_to_end();
        let status = self.wait(PATIENCE)?.with_context(|| format!("{} does not end", self.name))?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.said()?);
        Ok(())
    }

    fn ask_to_end(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }

    fn wait(&mut self, at_most: Duration) -> Result<Option<std::process::ExitStatus>> {
        let deadline = Instant::now() + at_most;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The robot stops its car and takes its other process with it.
            self.ask_to_end();
            self.wait(GRACE).ok();
        }
        // It has ended already, or it has to: neither call can fail in a way that matters.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Longest wait for anything; a program that takes so long will not do it.
const PATIENCE: Duration = Duration::from_secs(45);
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);
/// How long the app of a robot that moves stays: long enough for a new connection after all.
const ROAMING_S: &str = "15";
/// From the first picture until the figures tell of the pair that is used in the end.
const SETTLED: Duration = Duration::from_millis(700);
