//! Frame delay and picture age over the loopback interface.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Figures, Format, Points, machine, peers, report};
use crate::build::{Binaries, Profile, measured, target_dir};
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
    /// Median milliseconds of each stage that is known.
    stages_ms: Vec<(String, f64)>,
    first_picture_ms: f64,
}

/// What the example `upload` prints.
#[derive(Debug, Deserialize)]
struct Upload {
    adapter: String,
    upload_ms: f64,
}

/// One row of the table of stages.
struct Stages {
    format: Format,
    session: Session,
    upload: Upload,
}

/// The stages up to the decoded picture, as `--stats-json` names them, in the order of the path.
const STAGES: [&str; 7] = ["capture", "colour", "encode", "packetise", "wire", "assemble", "decode"];

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
    let built = step("build", || measured(profile))?;
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let (mut rows, mut stages) = (Vec::new(), Vec::new());
    for format in FORMATS {
        let texture = peers::texture(&built.texture, format, &folder)?;
        let mut row = |peer, work: &mut dyn FnMut() -> Result<Figures>| -> Result<()> {
            let figures = step(&format!("{format} {peer}"), work)?;
            rows.push(Row { format, peer, figures, load: machine::load() });
            Ok(())
        };
        row("Farwheel", &mut || {
            let session = farwheel(&built.programs, format, args, &folder)?;
            let figures = session.figures.clone();
            let upload = upload(&built.upload, format)?;
            stages.push(Stages { format, session, upload });
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
    let text = tables(args, &rows, &stages)?;
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

/// Apart from the rest, because what runs there has no window.
fn upload(program: &Path, format: Format) -> Result<Upload> {
    let pictures = 2 * format.fps;
    let numbers = [format.width, format.height, format.fps, pictures].map(|n| n.to_string());
    peers::json(Command::new(program).args(numbers), None)
}

fn tables(args: &Args, rows: &[Row], stages: &[Stages]) -> Result<String> {
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
    out.push_str(&stage_table(stages)?);
    Ok(out)
}

fn stage_table(stages: &[Stages]) -> Result<String> {
    let mut out = String::from("\nWhere Farwheel's time goes, median ms of each stage:\n\n");
    let names = STAGES.join(" | ");
    writeln!(out, "| picture | {names} | sum | frame delay | upload | connect to first picture |")?;
    writeln!(out, "|---|{}---|---|---|---|", "---|".repeat(STAGES.len()))?;
    for Stages { format, session, upload } in stages {
        let known = |name: &str| session.stages_ms.iter().find(|(known, _)| known == name).map(|(_, ms)| *ms);
        let values =
            STAGES.map(|name| known(name).map_or("-".to_owned(), |ms| format!("{ms:.2}"))).join(" | ");
        let sum: f64 = STAGES.iter().filter_map(|name| known(name)).sum();
        let (delay, upload_ms) = (session.figures.frame_delay_ms.p50, upload.upload_ms);
        let first = session.first_picture_ms;
        writeln!(out, "| {format} | {values} | {sum:.2} | {delay:.2} | {upload_ms:.2} | {first:.0} |")?;
    }
    if let Some(Stages { upload, .. }) = stages.first() {
        let adapter = &upload.adapter;
        writeln!(out, "\nUpload is measured apart, by the app's renderer without a window, on {adapter}.")?;
    }
    Ok(out)
}

fn points(points: Points) -> String {
    format!("{:.1} / {:.1} / {:.1}", points.p50, points.p95, points.p99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_is_not_known_is_left_out_of_the_sum() {
        let session = r#"{"frames": 9, "frame_delay_ms": {"p50": 3.5, "p95": 4, "p99": 5}, "first_picture_ms": 81.4,
            "stages_ms": [["capture", 0.5], ["encode", 2.0], ["wire", 0.25], ["upload", 9.0]]}"#;
        let row = Stages {
            format: FORMATS[0],
            session: serde_json::from_str(session).unwrap(),
            upload: Upload { adapter: "card".into(), upload_ms: 0.125 },
        };
        let table = stage_table(&[row]).unwrap();
        let want = "| 640x480@30 | 0.50 | - | 2.00 | - | 0.25 | - | - | 2.75 | 3.50 | 0.12 | 81 |";
        assert!(table.contains(want), "{table}");
    }
}
