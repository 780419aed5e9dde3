//! `farwheel-robot`: camera and car, seen and driven from afar.

use std::process::ExitCode;

use farwheel_robot::cli::{self, Order};
use farwheel_robot::clock::CarClock;
use farwheel_robot::{actuator, check, devices, log, run};

fn main() -> ExitCode {
    let clock = CarClock::start();
    let result = cli::parse().and_then(|order| match order {
        Order::PrintConfig(text) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Order::Run(config) => {
            log::start("run");
            log::panic_ends_process();
            run::run(&config, clock).map(|()| ExitCode::SUCCESS)
        }
        Order::Actuator(args) => {
            log::start("actuator");
            log::panic_ends_process();
            actuator::process::run(&args).map(|()| ExitCode::SUCCESS)
        }
        Order::Neutral(args) => actuator::process::neutral(&args).map(|()| ExitCode::SUCCESS),
        Order::Check(config, files, report) => check::run(&config, &files, report),
        Order::Devices(report) => devices::run(report).map(|()| ExitCode::SUCCESS),
    });
    result.unwrap_or_else(|error| {
        eprintln!("farwheel-robot: {error:#}");
        ExitCode::FAILURE
    })
}
