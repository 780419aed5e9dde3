//! Time to the first picture behind every pair of NATs: the table that crates/lab prints.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{machine, report};
use crate::build::{cargo, target_dir};
use crate::packages::{self, BUILD, TEST};
use crate::step::step;

/// Options of `cargo xtask bench nat`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Round trip between any two places.
    #[arg(long, default_value_t = 50)]
    rtt_ms: u64,
    /// Meetings of each pair; the median counts.
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Print the table without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

/// Measures every pair and writes the table.
///
/// # Errors
/// If it is not run as root, or a pair does not meet.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("system packages", || packages::ensure(&[&BUILD, &TEST]))?;
    step("build", || cargo(&["build", "--locked", "--workspace", "--bins"]))?;
    let folder = target_dir()?.join("debug");
    let mut pairs = Command::new(folder.join("nat_pairs"));
    pairs.arg("--programs").arg(&folder).stderr(Stdio::inherit());
    pairs.args(["--rtt-ms", &args.rtt_ms.to_string(), "--times", &args.times.to_string()]);
    let output = step("run", || pairs.output().context("start nat_pairs"))?;
    if !output.status.success() {
        bail!("nat_pairs ended with {}", output.status);
    }
    let mut text = String::new();
    writeln!(
        text,
        "Measured {} on {}; {} ms round trip between any two places, median of {}; development build, load {:.1}.\n",
        report::today(),
        machine::describe(),
        args.rtt_ms,
        args.times,
        machine::load(),
    )?;
    text.push_str(std::str::from_utf8(&output.stdout).context("the table is text")?);
    println!("\n{text}");
    if args.dry_run { Ok(()) } else { report::write("nat", &text) }
}
