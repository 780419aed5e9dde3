//! Runs video worlds and prints their table: `video_worlds --seconds 120 --seed 1 [--out FOLDER] [TRACE...]`.
//! `cargo xtask bench virtual` builds and runs it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use farwheel_lab::clock::VirtualTime;
use farwheel_lab::link::{Class, Trace};
use farwheel_lab::video::{LEFT_OUT, Mode, Points, Report, Scenario, oracle, picture_age, svg};
use farwheel_proto::video::Bitrate;

/// Seeds of the generator that always run.
const SEEDS: u64 = 3;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}; want [--seconds N] [--seed N] [--out FOLDER] [TRACE...]");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    seconds: u32,
    seed: u64,
    out: Option<PathBuf>,
    traces: Vec<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { seconds: 120, seed: 1, out: None, traces: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} lacks its value"));
            match argument.as_str() {
                "--seconds" => options.seconds = parse(&value()?)?,
                "--seed" => options.seed = parse(&value()?)?,
                "--out" => options.out = Some(value()?.into()),
                other if other.starts_with("--") => return Err(format!("unknown option {other}")),
                path => options.traces.push(path.into()),
            }
        }
        if options.seconds < 4 { Err("the first 3 s do not count".to_owned()) } else { Ok(options) }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn run(options: &Options) -> Result<(), String> {
    println!(
        "| link | sender | picture age p50 / p95 / p99 ms | frame delay p50 / p95 / p99 ms | stall s | utilisation | frames, skipped | lost, repairs, recoveries | command p99 ms | oracle age |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (name, scenario) in scenarios(options)? {
        let modes = [
            ("Farwheel", Mode::Full),
            ("gate off", Mode::GateOff),
            ("fixed 0.5 Mbit/s", Mode::Fixed(Bitrate::from_kbps(500))),
            ("fixed 1 Mbit/s", Mode::Fixed(Bitrate::from_kbps(1000))),
            ("fixed 2 Mbit/s", Mode::Fixed(Bitrate::from_kbps(2000))),
        ];
        let best = best(&scenario);
        for (sender, mode) in modes {
            let report = Scenario { mode, ..scenario.clone() }.run();
            row(&name, sender, &report, best);
            if let Some(folder) = &options.out {
                draw(folder, &format!("{name}, {sender}"), &report)?;
            }
        }
    }
    Ok(())
}

fn scenarios(options: &Options) -> Result<Vec<(String, Scenario)>, String> {
    let duration = Duration::from_secs(u64::from(options.seconds));
    let plain = |up: Trace| Scenario { seed: options.seed, ..Scenario::new(up, duration) };
    let mut scenarios = Vec::new();
    for path in &options.traces {
        let trace = Trace::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".gz").to_owned();
        scenarios.push((name, plain(trace)));
    }
    for class in Class::ALL {
        for seed in options.seed..options.seed.saturating_add(SEEDS) {
            scenarios
                .push((format!("{}, seed {seed}", class.name), plain(class.generate(seed, options.seconds))));
        }
    }
    let steady = || Trace::synthetic(60_000, |_| 3e6);
    let step = |ms| if (20_000..40_000).contains(&ms) { 5e5 } else { 4e6 };
    let outage = |ms| if (30_000..32_000).contains(&ms) { 0.0 } else { 3e6 };
    let lossy = Scenario { loss: 0.03, delay: Duration::from_millis(30), ..plain(steady()) };
    scenarios.push(("steady 3 Mbit/s".to_owned(), plain(steady())));
    scenarios.push(("steps 4 - 0.5 - 4 Mbit/s".to_owned(), plain(Trace::synthetic(60_000, step))));
    scenarios.push(("3 Mbit/s, outage of 2 s".to_owned(), plain(Trace::synthetic(60_000, outage))));
    scenarios.push(("3 Mbit/s, 3 % loss, 60 ms".to_owned(), lossy));
    Ok(scenarios)
}

/// The oracle's age with frames of 600 kbit/s.
fn best(scenario: &Scenario) -> Points {
    let end = VirtualTime::ZERO.after(scenario.duration);
    let bytes = 600_000 / 8 / scenario.fps as usize;
    picture_age(&oracle(&scenario.up, scenario.delay, scenario.fps, bytes, end), LEFT_OUT, end)
}

fn row(name: &str, sender: &str, report: &Report, best: Points) {
    println!(
        "| {name} | {sender} | {} | {} | {:.1} | {:.0} % | {}, {} | {}, {}, {} | {:.0} | {best} |",
        report.picture_age,
        report.frame_delay,
        report.stall.as_secs_f64(),
        report.utilisation * 100.0,
        report.frames.0,
        report.frames.1,
        report.losses.0,
        report.losses.1,
        report.losses.2,
        report.control.p99,
    );
}

fn draw(folder: &Path, title: &str, report: &Report) -> Result<(), String> {
    let name: String = title.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let path = folder.join(format!("{name}.svg"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, svg(title, &report.curves(), &report.shown)))
        .map_err(|error| format!("{}: {error}", path.display()))
}
