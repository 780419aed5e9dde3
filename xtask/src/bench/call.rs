//! A call of two and a call of four on this machine: age of the pictures, encodings, processor time.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Points, machine, report};
use crate::build::{Binaries, Profile, measured, target_dir};
use crate::packages::{self, BUILD, TEST};
use crate::process::Running;
use crate::step::step;

/// Options of `cargo xtask bench call`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Length of each call in seconds, after the 3 s that do not count.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Measure the development build instead of the release build.
    #[arg(long)]
    dev: bool,
    /// Print the table without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

/// What `farwheel call --report` holds, as far as this bench reads it.
#[derive(Debug, Deserialize)]
struct Report {
    members: Vec<Member>,
    encoded: Encoded,
    sound: Sound,
    /// Of one core.
    cpu_share: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    camera: Option<Camera>,
}

#[derive(Debug, Deserialize)]
struct Camera {
    picture_age_ms: Points,
    decoded: u64,
    /// Mean of one picture.
    decode_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Encoded {
    camera: Source,
}

#[derive(Debug, Deserialize)]
struct Sound {
    mouth_to_ear_ms: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Source {
    most: u32,
    pictures: u64,
}

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];
/// Target: age of any picture, 95th percentile.
const AGE_MAX_MS: f64 = 150.0;
/// Target: from the mouth to the ear in a call of two, median.
const SOUND_MAX_MS: f64 = 80.0;
/// Target: processor time of one app against a call of two, besides decoding of the added pictures.
const CPU_MAX: f64 = 1.35;

/// Measures both calls and writes the table.
///
/// # Errors
/// If a part can't be had or ends too early, or a target is missed.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("system packages", || packages::ensure(&[&BUILD, &TEST]))?;
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    let built = step("build", || measured(profile))?;
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let two = step("call of two", || call(&built.programs, &NAMES[..2], args.seconds, &folder))?;
    let four = step("call of four", || call(&built.programs, &NAMES, args.seconds, &folder))?;
    let (text, missed) = table(args, &two, &four)?;
    println!("\n{text}");
    if !args.dry_run {
        report::write("call", &text)?;
    }
    anyhow::ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}

fn call(programs: &Binaries, names: &[&str], seconds: u32, folder: &Path) -> Result<Vec<Report>> {
    let ready = Duration::from_secs(20);
    let mut serve = Command::new(&programs.signaling);
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let (_signaling, url) = Running::start_and_read(
        "farwheel-signaling",
        serve,
        &folder.join("signaling.log"),
        "listening ",
        ready,
    )?;
    let mut apps = Vec::new();
    for name in names {
        let file = folder.join(format!("call-{name}.json"));
        let mut app = Command::new(&programs.app);
        app.args(["call", "bench", "--server", &url, "--headless", "--loopback", "--name", name]);
        app.args(["--camera", "test", "--size", "640x360", "--tile", "640x360"]);
        app.args(["--microphone", "test", "--speaker", "test"]);
        app.args(["--for", &(seconds + 3).to_string(), "--report"]).arg(&file);
        apps.push((Running::start("farwheel", app, &folder.join(format!("call-{name}.log")))?, file));
    }
    let read = |(mut app, file): (Running, std::path::PathBuf)| {
        let status = app.wait(Duration::from_secs(u64::from(seconds) + 20))?;
        anyhow::ensure!(status.is_some_and(|s| s.success()), "a caller did not finish well:\n{}", app.tail());
        let text = std::fs::read_to_string(&file).context("a caller left no figures")?;
        serde_json::from_str(&text).with_context(|| format!("figures of a caller: {text}"))
    };
    apps.into_iter().map(read).collect()
}

fn table(args: &Args, two: &[Report], four: &[Report]) -> Result<(String, Vec<String>)> {
    let (mut out, mut missed) = (String::new(), Vec::new());
    writeln!(
        out,
        "Measured {} on {}; {} s each; {} build; load {:.1}. Cameras 640x360@30 with sound, all apps on this machine.\n",
        report::today(),
        machine::describe(),
        args.seconds,
        if args.dev { "development" } else { "release" },
        machine::load(),
    )?;
    writeln!(
        out,
        "| call of | app | encodings | oldest picture p50 / p95 ms | mouth to ear p50 / p95 ms | processor | of that decoding | allowed |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    let pairs = two.iter().map(|report| (2, report)).chain(four.iter().map(|report| (4, report)));
    let share_of_two = mean(two.iter().filter_map(|report| report.cpu_share));
    let decoding_of_two = mean(two.iter().map(|report| decoding(report, args.seconds)));
    for ((parties, report), name) in pairs.zip(NAMES[..2].iter().chain(&NAMES)) {
        let cameras: Vec<_> =
            report.members.iter().filter_map(|m| Some((&m.name, m.camera.as_ref()?))).collect();
        anyhow::ensure!(cameras.len() == parties - 1, "{name} saw {} of {}", cameras.len(), parties - 1);
        anyhow::ensure!(report.encoded.camera.pictures > 0, "{name} encoded nothing");
        let worst = cameras.iter().map(|(_, camera)| camera.picture_age_ms);
        let worst = worst.max_by(|a, b| a.p95.total_cmp(&b.p95)).context("there is one")?;
        let [sound, sound_p95] = quantiles(&report.sound.mouth_to_ear_ms)
            .with_context(|| format!("{name} heard nothing of the others"))?;
        let decoding = decoding(report, args.seconds);
        let share = report.cpu_share.context("the system tells no processor time")?;
        let allowed = CPU_MAX * share_of_two + (decoding - decoding_of_two).max(0.0);
        writeln!(
            out,
            "| {parties} | {name} | {} | {:.0} / {:.0} | {sound:.0} / {sound_p95:.0} | {:.1} % | {:.1} % | {} |",
            report.encoded.camera.most,
            worst.p50,
            worst.p95,
            share * 100.0,
            decoding * 100.0,
            if parties == 4 { format!("{:.1} %", allowed * 100.0) } else { "-".to_owned() },
        )?;
        if parties == 2 && sound > SOUND_MAX_MS {
            missed.push(format!("{name} hears {sound:.0} ms late"));
        }
        if parties == 4 {
            let checks = [
                (worst.p95 > AGE_MAX_MS, format!("{name} sees pictures {:.0} ms old", worst.p95)),
                (
                    report.encoded.camera.most > 1,
                    format!("{name} encodes {} times", report.encoded.camera.most),
                ),
                (share > allowed, format!("{name} takes {:.1} % of a core", share * 100.0)),
            ];
            missed.extend(checks.into_iter().filter(|(is_missed, _)| *is_missed).map(|(_, text)| text));
        }
    }
    Ok((out, missed))
}

/// Share of a core that decoding takes.
fn decoding(report: &Report, seconds: u32) -> f64 {
    let cameras = report.members.iter().filter_map(|member| member.camera.as_ref());
    let ms: f64 = cameras.map(|camera| camera.decoded as f64 * camera.decode_ms.unwrap_or_default()).sum();
    // Pictures of the first 3 s are among those decoded.
    ms / 1e3 / f64::from(seconds + 3)
}

/// Median and 95th percentile; none of nothing.
fn quantiles(values: &[f64]) -> Option<[f64; 2]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)).copied();
    if sorted.is_empty() { None } else { Some([at(0.5)?, at(0.95)?]) }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
