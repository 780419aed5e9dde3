//! `cargo xtask demo`: from nothing to driving a simulated car.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::build::{Binaries, Profile, binaries, target_dir};
use crate::packages::{self, BUILD, HEADLESS, WINDOW};
use crate::process::Running;
use crate::step::step;

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Drive one scripted lap without a display; leave a screenshot, a recording and the figures.
    #[arg(long)]
    headless: bool,
    /// Folder for the logs and for what --headless leaves [default: demo in the build folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build as a package ships it: slower to build, faster to run.
    #[arg(long)]
    release: bool,
}

const ROOM: &str = "demo";

/// How long a program may take to say that it is ready.
const READY: Duration = Duration::from_secs(20);

/// A lap of the track takes about 40 s.
const LAP: Duration = Duration::from_secs(150);

/// Installs, builds, starts signalling, robot and app, and waits for the app's end.
///
/// # Errors
/// If a part can't be had or ends too early, with the end of its log.
pub(crate) fn run(args: &Args) -> Result<()> {
    let display = std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some();
    if !args.headless && !display {
        bail!(
            "there is no display here; run `cargo xtask demo --headless`, or start it from a desktop session"
        );
    }
    let sets: &[_] = if args.headless { &[&BUILD, &WINDOW, &HEADLESS] } else { &[&BUILD, &WINDOW] };
    step("system packages", || packages::ensure(sets))?;
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let programs = step("build (the first time takes some minutes)", || binaries(profile))?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => target_dir()?.join("demo"),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let mut stage = step("start signalling and the simulated car", || Stage::start(&programs, &out))?;
    let result = if args.headless {
        step("drive a lap", || headless(&programs, &mut stage, &out))
    } else {
        step("drive (close the window to end)", || window(&programs, &stage))
    };
    step("stop the car, then the server", || stage.stop())?;
    result
}

/// The two programs behind the app.
struct Stage {
    url: String,
    robot: Running,
    signaling: Running,
}

impl Stage {
    fn start(programs: &Binaries, out: &Path) -> Result<Self> {
        let mut serve = Command::new(&programs.signaling);
        serve.args(["serve", "--listen", "127.0.0.1:0"]);
        let (signaling, url) = Running::start_and_read(
            "farwheel-signaling",
            serve,
            &out.join("signaling.log"),
            "listening ",
            READY,
        )?;
        println!("    signalling on {url}");
        let mut run = Command::new(&programs.robot);
        run.args(["run", "--camera", "sim", "--room", ROOM, "--server", &url]);
        let (robot, _) =
            Running::start_and_read("farwheel-robot", run, &out.join("robot.log"), "ready", READY)?;
        println!("    the simulated car is in room {ROOM}");
        Ok(Self { url, robot, signaling })
    }

    fn stop(self) -> Result<()> {
        let status = self.robot.stop()?;
        if !status.success() {
            bail!("farwheel-robot ended with {status}");
        }
        self.signaling.stop().map(drop)
    }
}

fn window(programs: &Binaries, stage: &Stage) -> Result<()> {
    println!(
        "    click the ring or hold Enter for a second to arm, drive with W A S D or a gamepad; Esc stops, F1 helps"
    );
    let status = Command::new(&programs.app)
        .args(["drive", ROOM, "--server", &stage.url])
        .status()
        .context("start farwheel")?;
    if !status.success() {
        bail!("farwheel ended with {status}");
    }
    Ok(())
}

fn headless(programs: &Binaries, stage: &mut Stage, out: &Path) -> Result<()> {
    let files = Files::new(out)?;
    let mut command = Command::new("xvfb-run");
    command.args(["-a", "-s", "-screen 0 1280x720x24"]).arg(&programs.app);
    command.args(["drive", ROOM, "--server", &stage.url, "--script"]);
    command.arg(crate::root().join("assets/scripts/lap.txt"));
    command.arg("--stats-json").arg(&files.figures);
    command.arg("--screenshot").arg(&files.screenshot);
    command.arg("--record").arg(&files.recording);
    let mut app = Running::start("farwheel", command, &out.join("app.log"))?;
    let Some(status) = app.wait(LAP)? else {
        bail!("the lap was not finished within {} s:\n{}", LAP.as_secs(), app.tail());
    };
    if !status.success() {
        bail!("farwheel ended with {status}:\n{}", app.tail());
    }
    stage.robot.must_run()?;
    stage.signaling.must_run()?;
    files.report(stage)
}

/// What `--headless` leaves.
struct Files {
    screenshot: PathBuf,
    recording: PathBuf,
    figures: PathBuf,
}

impl Files {
    fn new(out: &Path) -> Result<Self> {
        let files = Self {
            screenshot: out.join("screenshot.png"),
            recording: out.join("drive.mp4"),
            figures: out.join("figures.json"),
        };
        for old in [&files.screenshot, &files.recording, &files.figures] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove the old {}", old.display()));
                }
                _ => {}
            }
        }
        Ok(files)
    }

    /// Prints the figures and where the files are; a missing file is an error.
    fn report(&self, stage: &Stage) -> Result<()> {
        let text = std::fs::read_to_string(&self.figures).context("the app left no figures")?;
        let figures: serde_json::Value = serde_json::from_str(&text).context("read the figures")?;
        println!("{}", serde_json::to_string_pretty(&figures)?);
        if let Some(kib) = stage.robot.peak_rss_kib() {
            println!("    robot peak memory: {} MiB", kib / 1024);
        }
        for file in [&self.screenshot, &self.recording, &self.figures] {
            let size =
                std::fs::metadata(file).with_context(|| format!("{} is missing", file.display()))?.len();
            println!("    {} ({} kB)", file.display(), size / 1000);
        }
        Ok(())
    }
}
