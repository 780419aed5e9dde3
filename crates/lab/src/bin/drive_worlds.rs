//! Runs drive worlds by seed: `cargo run -p farwheel-lab --bin drive_worlds -- --seed 7` prints what happens in one,
//! `-- --count 1000` runs many and prints a summary.

use std::process::ExitCode;
use std::time::Duration;

use farwheel_lab::drive::{Scenario, Trace};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--seed", seed] => match seed.parse() {
            Ok(seed) => one(seed),
            Err(error) => usage(&format!("seed {seed:?}: {error}")),
        },
        ["--count", count] => match count.parse() {
            Ok(count) => many(count),
            Err(error) => usage(&format!("count {count:?}: {error}")),
        },
        other => usage(&format!("arguments {other:?}")),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("{problem}; want --seed N or --count N");
    ExitCode::FAILURE
}

/// Runs one world and prints all of it.
fn one(seed: u64) -> ExitCode {
    let scenario = Scenario::random(seed);
    println!("seed {seed}, {}", scenario.profile.name);
    for fault in &scenario.faults {
        println!("  {} to {}: {:?}", fault.from, fault.until, fault.kind);
    }
    match scenario.run(Trace::Kept) {
        Ok(report) => {
            report.trace.iter().for_each(|line| println!("{line}"));
            println!(
                "{} commands followed, oldest {:?}; longest silence with throttle {:?}; back after {:?}; {:.1} m",
                report.followed, report.age_max, report.silence_max, report.returned, report.distance_m
            );
            ExitCode::SUCCESS
        }
        Err((violation, trace)) => {
            trace.iter().for_each(|line| println!("{line}"));
            println!("violation {violation}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the worlds of seeds 0 to `count` and prints the extremes.
fn many(count: u64) -> ExitCode {
    let mut worst = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut followed, mut violations) = (0, 0);
    for seed in 0..count {
        match Scenario::random(seed).run(Trace::Dropped) {
            Ok(report) => {
                followed += report.followed;
                worst = (
                    worst.0.max(report.age_max),
                    worst.1.max(report.silence_max),
                    worst.2.max(report.returned.unwrap_or_default()),
                );
            }
            Err((violation, _)) => {
                violations += 1;
                println!("seed {seed}: {violation}");
            }
        }
    }
    println!(
        "{count} worlds, {violations} violations, {followed} commands followed, oldest {:?}, longest silence with throttle {:?}, back after {:?} at most",
        worst.0, worst.1, worst.2
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
