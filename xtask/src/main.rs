//! Everything a developer or a newcomer runs, behind one command: `cargo xtask demo`, `cargo xtask test`,
//! `cargo xtask bench`, `cargo xtask device-test`, `cargo xtask tidy`. Depends on nothing of the workspace, so it builds on a bare machine.

mod bench;
mod build;
mod demo;
mod device;
mod held;
mod packages;
mod process;
mod step;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Try, test and measure Farwheel")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, and start signalling, a simulated car and the app, connected.
    Demo(demo::Args),
    /// Run everything a change must pass, installing what it needs.
    Test(test::Args),
    /// Measure, beside peers on the same machine.
    Bench(bench::Args),
    /// Try real drivers (camera, sound, gamepad) in an emulated machine that has such devices.
    DeviceTest(device::Args),
    /// Check crate edges, licences, file lengths and documents without building.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::DeviceTest(args) => device::run(&args),
        Command::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root folder.
fn root() -> PathBuf {
    // Asked when it runs: two clones may share one target folder, and with it this program.
    let mut root = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    root.pop();
    root
}
