//! Bounds on links of a known kind: steady, steps, an outage, loss; each said as wanted, measured, met or not.

use std::fmt::Write as _;

use anyhow::Result;

use super::road::{self, DRIVING, MEASURING, MOVING, Peer, Run, STILL, Track};
use super::{Format, machine, peers, report};
use crate::build::{Profile, measured, target_dir};
use crate::packages::{self, BUILD, TEST};
use crate::step::step;

/// Options of `cargo xtask bench link`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the links whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Measure the development build instead of the release build.
    #[arg(long)]
    dev: bool,
    /// Print the table without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

/// A link, and what is wanted of it.
struct Case {
    name: &'static str,
    /// For link_emulator.
    options: &'static [&'static str],
    seconds: u32,
    camera: &'static str,
    script: &'static str,
    judge: fn(&Run) -> Vec<Bound>,
}

/// What is wanted of one figure.
struct Bound {
    wanted: String,
    measured: String,
    is_met: bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "steady 3 Mbit/s",
        options: &["--rate", "3M"],
        seconds: 20,
        camera: MEASURING,
        script: STILL,
        judge: steady,
    },
    Case {
        name: "steady 3 Mbit/s, driving",
        options: &["--rate", "3M"],
        seconds: 20,
        camera: "sim",
        script: DRIVING,
        judge: steady,
    },
    Case {
        name: "steps 4 - 0.5 - 4 Mbit/s",
        options: &["--rate", "4M,500k@20,4M@40"],
        seconds: 48,
        camera: MEASURING,
        script: STILL,
        judge: steps,
    },
    Case {
        name: "steps 4 - 0.5 - 4 Mbit/s, driving",
        options: &["--rate", "4M,500k@20,4M@40"],
        seconds: 48,
        camera: "sim",
        script: DRIVING,
        judge: steps,
    },
    Case {
        name: "3 Mbit/s, outage of 2 s",
        options: &["--rate", "3M,0@20,3M@22", "--back-rate", "20M,0@20,20M@22"],
        seconds: 28,
        camera: MEASURING,
        script: MOVING,
        judge: outage,
    },
    Case {
        name: "3 Mbit/s, 3 % loss, 60 ms",
        options: &["--rate", "3M", "--loss", "0.03", "--delay", "30"],
        seconds: 60,
        camera: MEASURING,
        script: STILL,
        judge: loss,
    },
];

/// Runs every link and writes the table.
///
/// # Errors
/// If a part can't be had or ends too early.
pub(crate) fn run(args: &Args) -> Result<()> {
    road::must_be_root()?;
    step("system packages", || packages::ensure(&[&BUILD, &TEST]))?;
    let built = step("build", || measured(if args.dev { Profile::Dev } else { Profile::Release }))?;
    let folder = target_dir()?.join("bench/link");
    std::fs::create_dir_all(&folder)?;
    let format = Format { width: 1280, height: 720, fps: 30 };
    let texture = peers::texture(&built.texture, format, &folder)?;
    let mut track = Track { built, texture, format, seconds: 0, folder, driver: None, python: None };
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| args.only.as_ref().is_none_or(|only| case.name.contains(only))) {
        track.seconds = case.seconds;
        let options: Vec<String> = case.options.iter().map(|&option| option.to_owned()).collect();
        let file = case.name.replace(|c: char| !c.is_alphanumeric(), "-");
        let peer = Peer::Farwheel { camera: case.camera, script: case.script };
        rows.push((case, step(case.name, || track.run(&file, case.name, &options, &peer))?));
    }
    let text = table(args, &rows)?;
    println!("\n{text}\nPlots: {}", track.folder.display());
    if args.dry_run { Ok(()) } else { report::write("link", &text) }
}

fn table(args: &Args, rows: &[(&Case, Run)]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "Measured {} on {}; Farwheel at 1280x720@30, at most 4 Mbit/s; {} build.\n",
        report::today(),
        machine::describe(),
        if args.dev { "development" } else { "release" }
    )?;
    writeln!(
        out,
        "| link | wanted | measured | met | load | machine stood still, ms |\n|---|---|---|---|---|---|"
    )?;
    for (case, run) in rows {
        for Bound { wanted, measured, is_met } in (case.judge)(run) {
            let met = if is_met { "yes" } else { "**no**" };
            let (name, load, still) = (case.name, run.load, run.stood_still_ms);
            writeln!(out, "| {name} | {wanted} | {measured} | {met} | {load:.1} | {still:.0} |")?;
        }
    }
    Ok(out)
}

/// No more than `most`.
fn at_most(what: &str, unit: &str, most: f64, measured: Option<f64>) -> Bound {
    Bound {
        wanted: format!("{what} <= {most} {unit}"),
        measured: measured.map_or("never".to_owned(), |value| format!("{value:.1} {unit}")),
        is_met: measured.is_some_and(|value| value <= most),
    }
}

/// No less than `least`.
fn at_least(what: &str, unit: &str, least: f64, measured: f64) -> Bound {
    Bound {
        wanted: format!("{what} >= {least} {unit}"),
        measured: format!("{measured:.1} {unit}"),
        is_met: measured >= least,
    }
}

fn steady(run: &Run) -> Vec<Bound> {
    let begins = begins_ms(run);
    vec![
        at_most("85 % used for a second, from the first picture", "s", 6.0, used_since(run, begins, 0.85)),
        at_least("used from then on", "%", 85.0, 100.0 * used(run, begins + 6_000.0, f64::INFINITY)),
        at_most("picture age p95", "ms", 100.0, Some(run.picture_age_ms.p95)),
        control(run),
        arrived(run),
    ]
}

fn steps(run: &Run) -> Vec<Bound> {
    let slow = run.shown.iter().filter(|(at, delay)| (20_000.0..40_000.0).contains(at) && *delay >= 150.0);
    let last_slow = slow.map(|(at, _)| (at - 20_000.0) / 1e3).fold(0.0, f64::max);
    vec![
        at_most("last frame above 150 ms after the drop", "s", 1.0, Some(last_slow)),
        at_most("80 % used for a second after the rise", "s", 4.0, used_since(run, 40_000.0, 0.8)),
        control(run),
        arrived(run),
    ]
}

fn outage(run: &Run) -> Vec<Bound> {
    // What the queue held since before the outage comes first; nobody can take it back.
    let first =
        run.shown.iter().find(|(at, delay)| at - delay > BACK_MS - QUEUED_MS).map(|(_, delay)| *delay);
    // The newest commands wait for nothing; those from within the outage are old.
    let fresh = run.commands.iter().filter_map(|(sent, delay)| Some((sent + (*delay)?, (*delay)?)));
    let accepted = fresh
        .filter(|(at, delay)| *at >= BACK_MS && *delay <= FRESH_MS)
        .map(|(at, _)| at - BACK_MS)
        .reduce(f64::min);
    // In force at a moment, and then what changed.
    let driving = |from: f64, until: f64| {
        let before = run.pulses.iter().rfind(|(at, _)| *at <= from);
        let within = run.pulses.iter().filter(|(at, _)| (from..until).contains(at));
        before.into_iter().chain(within).any(|(_, throttle)| *throttle != NEUTRAL_US)
    };
    let drove = driving(15_000.0, GONE_MS);
    let is_neutral = !driving(GONE_MS + NEUTRAL_AFTER_MS, BACK_MS);
    vec![
        at_most("first picture that was not in the queue before it, age", "ms", 50.0 + 150.0, first),
        at_most("control accepted after the link's return", "ms", 100.0, accepted),
        Bound {
            wanted: "neutral from 300 ms on, having driven before".to_owned(),
            measured: format!(
                "{}, {}",
                if is_neutral { "neutral" } else { "not neutral" },
                if drove { "drove before" } else { "did not drive before" }
            ),
            is_met: drove && is_neutral,
        },
        control(run),
    ]
}

fn loss(run: &Run) -> Vec<Bound> {
    let counted = run.shown.iter().filter(|(at, _)| *at >= 5_000.0);
    let times: Vec<f64> = counted.map(|(at, _)| *at).collect();
    let freeze = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    let per_loss = run.repairs as f64 / run.rtp_lost.max(1) as f64;
    vec![
        at_most("picture age p95", "ms", 200.0, Some(run.picture_age_ms.p95)),
        at_most("longest freeze", "ms", 300.0, Some(freeze)),
        at_most("retransmissions per lost packet", "", 1.3, Some(per_loss)),
        control(run),
        arrived(run),
    ]
}

/// Of the commands that arrived.
fn control(run: &Run) -> Bound {
    at_most("commands over the link's own delay, p99", "ms", 30.0, run.command_over_ms.map(|over| over.p99))
}

/// Their way is open: none may be missing, but for what a 99th percentile leaves open.
fn arrived(run: &Run) -> Bound {
    let missing = run.commands_sent - run.commands_counted;
    let share = 100.0 * missing as f64 / run.commands_sent.max(1) as f64;
    at_most("commands that never arrived", "%", 1.0, (run.commands_sent > 0).then_some(share))
}

/// When pictures began to come.
fn begins_ms(run: &Run) -> f64 {
    run.shown.first().map_or(f64::INFINITY, |(at, _)| *at)
}

/// Share of the capacity that was used between two ms, the capacity up to the most to send.
fn used(run: &Run, from: f64, until: f64) -> f64 {
    let tenths = || run.rates.iter().filter(|(end, ..)| *end - 100.0 >= from && *end <= until);
    let usable: f64 =
        tenths().map(|(_, capacity, ..)| capacity.unwrap_or_default().min(road::MAX_KBPS.into())).sum();
    tenths().map(|(.., delivered)| delivered).sum::<f64>() / usable.max(1.0)
}

/// Seconds from `from` on to the end of the first second in which this share was used.
fn used_since(run: &Run, from: f64, share: f64) -> Option<f64> {
    let mut ends = run.rates.iter().map(|(end, ..)| *end).filter(|end| *end - 1_000.0 >= from);
    ends.find(|end| used(run, end - 1_000.0, *end) >= share).map(|end| (end - from) / 1e3)
}

/// The outage, in ms of the link.
const GONE_MS: f64 = 20_000.0;
const BACK_MS: f64 = 22_000.0;
/// 250 ms of silence, the way of the last command that left before it, and a pulse.
const NEUTRAL_AFTER_MS: f64 = 300.0;
/// Pictures captured longer before the link's return were in its queue.
const QUEUED_MS: f64 = 1_500.0;
/// Older commands stood in the queue.
const FRESH_MS: f64 = 150.0;
const NEUTRAL_US: u16 = 1500;

#[cfg(test)]
mod tests {
    use super::super::Points;
    use super::*;

    fn met(bounds: &[Bound]) -> Vec<bool> {
        bounds.iter().map(|bound| bound.is_met).collect()
    }

    /// A run whose commands arrived well.
    fn driven() -> Run {
        let over = Points { p50: 1.0, p95: 2.0, p99: 30.0 };
        Run { command_over_ms: Some(over), commands_sent: 1000, commands_counted: 990, ..Run::default() }
    }

    /// A run whose delivered rate in kbit/s is a function of the second.
    fn run(capacity: f64, delivered: impl Fn(f64) -> f64) -> Run {
        let rates = (1..=480).map(|tenth| {
            let end = f64::from(tenth) * 100.0;
            (end, Some(capacity), 0.0, delivered((end - 50.0) / 1e3))
        });
        Run { rates: rates.collect(), shown: vec![(1_000.0, 40.0)], ..driven() }
    }

    #[test]
    fn a_link_is_used_from_the_end_of_the_first_second_that_used_it() {
        let rises = |at: f64| run(3_000.0, move |second| if second < at { 1_000.0 } else { 2_700.0 });
        assert_eq!(met(&steady(&rises(5.9))), [true; 5]);
        assert_eq!(met(&steady(&rises(8.0))), [false, true, true, true, true]);
        assert_eq!(met(&steady(&run(3_000.0, |_| 2_500.0))), [false, false, true, true, true]);
        // What may not be sent is not capacity.
        assert_eq!(used(&run(9_000.0, |_| 2_000.0), 0.0, 48_000.0), 0.5);
    }

    #[test]
    fn the_last_slow_frame_after_a_step_decides() {
        let mut run = run(4_000.0, |second| if second < 43.0 { 500.0 } else { 3_500.0 });
        run.shown = vec![(19_000.0, 900.0), (20_900.0, 400.0), (21_100.0, 149.0), (41_000.0, 500.0)];
        assert_eq!(met(&steps(&run)), [true; 4]);
        run.shown.push((21_200.0, 151.0));
        run.commands_counted = 989;
        assert_eq!(met(&steps(&run)), [false, true, true, false]);
    }

    #[test]
    fn a_car_that_did_not_drive_or_did_not_stop_is_no_pass() {
        let moving = |pulses: &[(f64, u16)]| Run {
            shown: vec![(19_990.0, 60.0), (22_040.0, 2_050.0), (22_090.0, 80.0)],
            commands: vec![(20_500.0, Some(1_530.0)), (22_020.0, Some(26.0))],
            pulses: pulses.to_vec(),
            ..driven()
        };
        let good = [(10_000.0, 1560), (20_290.0, 1500)];
        assert_eq!(met(&outage(&moving(&good))), [true; 4]);
        assert_eq!(met(&outage(&moving(&[(5_000.0, 1500)]))), [true, true, false, true]);
        assert_eq!(met(&outage(&moving(&[(10_000.0, 1560), (20_400.0, 1500)]))), [true, true, false, true]);
        let mut late = moving(&good);
        late.commands[1] = (22_080.0, Some(26.0));
        late.shown[2].1 = 201.0;
        assert_eq!(met(&outage(&late)), [false, false, true, true]);
    }
}
