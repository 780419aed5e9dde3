//! Frame delay and picture age over the loopback interface.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Figures, Format, Points, machine, peers, report};
use crate::build::{Binaries, Profile, binaries, target_dir};
use crate::packages::{self, BUILD, PEERS, TEST};
use crate::process::Running;
use crate::step::step;

/// Options of `cargo xtask bench loopback`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Length of each measurement in seconds, after the 3 s that do not count.
    #[arg(long, default_value_t = 15)]
    seconds: u32,
    /// Measure Farwheel alone.
    #[arg(long)]
    alone: bool,
    /// Bitrate of Farwheel and of GStreamer, in kbit/s.
    #[arg(long, default_value_t = 2000)]
    kbps: u32,
    /// Measure the development build instead of the release build.
    #[arg(long)]
    dev: bool,
    /// Print the tables without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

const FORMATS: [Format; 3] = [
    Format { width: 640, height: 480, fps: 30 },
    Format { width: 1280, height: 720, fps: 30 },
    Format { width: 1280, height: 720, fps: 60 },
];

/// What the app's `--stats-json` holds, as far as this bench reads it.
#[derive(Debug, Deserialize)]
struct Session {
    #[serde(flatten)]
    figures: Figures,
    /// Median milliseconds of each stage, in the order of the path.
    stages_ms: Vec<(String, f64)>,
    first_picture_ms: f64,
}

struct Row {
    format: Format,
    peer: &'static str,
    figures: Figures,
    load: f64,
}

/// Measures every format with every peer and writes the tables.
///
/// # Errors
/// If a part can't be had or ends too early.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("system packages", || packages::ensure(&[&BUILD, &TEST, &PEERS]))?;
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    let programs = step("build", || binaries(profile))?;
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let (mut rows, mut sessions) = (Vec::new(), Vec::new());
    for format in FORMATS {
        let texture = peers::texture(format, &folder)?;
        let mut row = |peer, work: &mut dyn FnMut() -> Result<Figures>| -> Result<()> {
            let figures = step(&format!("{format} {peer}"), work)?;
            rows.push(Row { format, peer, figures, load: machine::load() });
            Ok(())
        };
        row("Farwheel", &mut || {
            let session = farwheel(&programs, format, args, &folder)?;
            let figures = session.figures.clone();
            sessions.push((format, session));
            Ok(figures)
        })?;
        if !args.alone {
            row("GStreamer", &mut || peers::gstreamer(format, &texture, args.seconds, args.kbps, &folder))?;
            let driver = crate::test::browser_driver()?;
            // Full size only after its estimator has grown: half a minute at 720p.
            let warm_up = Duration::from_secs(if format.height > 480 { 27 } else { 9 });
            row("Chromium", &mut || peers::chromium(format, &texture, args.seconds, warm_up, &driver))?;
        }
    }
    let text = tables(args, &rows, &sessions)?;
    println!("\n{text}");
    if args.dry_run { Ok(()) } else { report::write("loopback", &text) }
}

fn farwheel(programs: &Binaries, format: Format, args: &Args, folder: &Path) -> Result<Session> {
    let ready = Duration::from_secs(20);
    let mut serve = Command::new(&programs.signaling);
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let log = |name: &str| -> PathBuf { folder.join(name) };
    let (_signaling, url) =
        Running::start_and_read("farwheel-signaling", serve, &log("signaling.log"), "listening ", ready)?;
    let mut robot = Command::new(&programs.robot);
    robot.args(["run", "--camera", "test", "--room", "bench", "--server", &url]);
    robot.args(["--size", &format!("{}x{}", format.width, format.height), "--fps", &format.fps.to_string()]);
    robot.args(["--bitrate", &args.kbps.to_string()]);
    let (robot, _) = Running::start_and_read("farwheel-robot", robot, &log("robot.log"), "ready", ready)?;
    let file = log("figures.json");
    let mut app = Command::new(&programs.app);
    app.args(["drive", "bench", "--server", &url, "--headless", "--stats-json"]).arg(&file);
    app.args(["--seconds", &(args.seconds + 3).to_string()]);
    let mut app = Running::start("farwheel", app, &log("app.log"))?;
    let status = app.wait(Duration::from_secs(u64::from(args.seconds) + 15))?;
    anyhow::ensure!(status.is_some_and(|s| s.success()), "farwheel did not finish well:\n{}", app.tail());
    drop(robot);
    let text = std::fs::read_to_string(&file).context("the app left no figures")?;
    serde_json::from_str(&text).with_context(|| format!("figures of the app: {text}"))
}

fn tables(args: &Args, rows: &[Row], sessions: &[(Format, Session)]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "Measured {} on {}; {} s each at {} kbit/s; {} build.\n",
        report::today(),
        machine::describe(),
        args.seconds,
        args.kbps,
        if args.dev { "development" } else { "release" }
    )?;
    writeln!(
        out,
        "| picture | peer | frame delay p50 / p95 / p99 ms | picture age p50 / p95 / p99 ms | PSNR dB | fps | shown size | load |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for Row { format, peer, figures, load } in rows {
        let [width, height] = figures.size.unwrap_or([format.width, format.height]);
        let psnr = figures.psnr_db.map_or("-".to_owned(), |db| format!("{db:.1}"));
        writeln!(
            out,
            "| {format} | {peer} | {} | {} | {psnr} | {:.1} | {width}x{height} | {load:.1} |",
            points(figures.frame_delay_ms),
            points(figures.picture_age_ms),
            figures.fps,
        )?;
        anyhow::ensure!(figures.frames > 0, "{peer} showed no picture at {format}");
    }
    writeln!(out, "\nWhere Farwheel's time goes, median ms of each stage:\n")?;
    for (index, (format, session)) in sessions.iter().enumerate() {
        if index == 0 {
            let names: Vec<_> = session.stages_ms.iter().map(|(name, _)| name.as_str()).collect();
            writeln!(out, "| picture | {} | connect to first picture |", names.join(" | "))?;
            writeln!(out, "|---|{}---|", "---|".repeat(names.len()))?;
        }
        let values: Vec<_> = session.stages_ms.iter().map(|(_, ms)| format!("{ms:.2}")).collect();
        writeln!(out, "| {format} | {} | {:.0} |", values.join(" | "), session.first_picture_ms)?;
    }
    Ok(out)
}

fn points(points: Points) -> String {
    format!("{:.1} / {:.1} / {:.1}", points.p50, points.p95, points.p99)
}
