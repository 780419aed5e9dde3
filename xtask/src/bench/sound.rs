//! Sound from mouth to ear in real time, on links that lose and delay in virtual time, and in a simulated room.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{machine, report};
use crate::build::{Profile, cargo};
use crate::step::step;

/// Options of `cargo xtask bench sound`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds of each run.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Measure the development build instead of the release build.
    #[arg(long)]
    dev: bool,
    /// Print the tables without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

/// Runs all three and writes the tables.
///
/// # Errors
/// If the program can't be built or fails, or the file can't be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    // The whole workspace, so that the crates from elsewhere are those of the programs.
    let mut build = vec!["build", "--locked", "--workspace", "--example", "sound_figures"];
    build.extend(profile.option());
    step("build", || cargo(&build))?;
    let mut figures = Command::new(profile.folder()?.join("examples/sound_figures"));
    figures.arg(args.seconds.to_string());
    let output = step("run", || figures.output().context("start sound_figures"))?;
    if !output.status.success() {
        bail!("sound_figures: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut text = String::new();
    let (machine, load) = (machine::describe(), machine::load());
    let build = if args.dev { "development" } else { "release" };
    writeln!(
        text,
        "Measured {} on {machine}, load {load:.1}; {} s each; {build} build.\n",
        report::today(),
        args.seconds
    )?;
    text.push_str(std::str::from_utf8(&output.stdout).context("the tables are text")?);
    println!("\n{text}");
    if args.dry_run { Ok(()) } else { report::write("sound", &text) }
}
