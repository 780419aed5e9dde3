//! Runs scenarios against real drivers: `device_guest [NAME...]`, as root, in the guest of `cargo xtask device-test`.
//!
//! Each ends with a line `device-test: ok NAME SECONDS FIGURES` or `device-test: failed NAME SECONDS WHY`.

use std::process::ExitCode;

use clap::Parser;
use farwheel_lab::device::{Outcome, SCENARIOS};

#[derive(Parser)]
#[command(about = "Try real drivers")]
struct Arguments {
    /// The scenarios to run [default: all].
    names: Vec<String>,
    /// Say which there are.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        SCENARIOS.iter().for_each(|scenario| println!("{}", scenario.name));
        return ExitCode::SUCCESS;
    }
    let is_wanted =
        |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name);
    let mut code = ExitCode::SUCCESS;
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        println!("device-test: runs {}", scenario.name);
        let (outcome, took) = scenario.run();
        let (verdict, words) = match outcome {
            Outcome::Passed(figures) => ("ok", figures),
            Outcome::Failed(why) => {
                code = ExitCode::FAILURE;
                ("failed", why.replace('\n', " | "))
            }
        };
        println!("device-test: {verdict} {} {:.1} {words}", scenario.name, took.as_secs_f64());
    }
    code
}
