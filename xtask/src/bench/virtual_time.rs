//! Video over cellular links in virtual time: the table that crates/lab prints.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report;
use crate::build::{cargo, target_dir};
use crate::step::step;

/// Options of `cargo xtask bench virtual`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A recorded uplink in Mahimahi's format, plain or packed by gzip; as often as there are some.
    #[arg(long = "trace", value_name = "FILE")]
    traces: Vec<PathBuf>,
    /// Length of each run in virtual seconds; the first 3 s do not count.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// The first of the generator's seeds, and that of loss and encoder.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for a plot of every run.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print the table without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

/// Runs every link with every sender and writes the table.
///
/// # Errors
/// If a trace can't be read or a file can't be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("build", || cargo(&["build", "--locked", "-p", "farwheel-lab", "--bin", "video_worlds"]))?;
    let mut worlds = Command::new(target_dir()?.join("debug/video_worlds"));
    worlds.args(["--seconds", &args.seconds.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(folder) = &args.out {
        worlds.arg("--out").arg(folder);
    }
    let output = step("run", || worlds.args(&args.traces).output().context("start video_worlds"))?;
    if !output.status.success() {
        bail!("video_worlds: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut text = String::new();
    writeln!(text, "Simulated {}; {} s each, seed {}.\n", report::today(), args.seconds, args.seed)?;
    text.push_str(std::str::from_utf8(&output.stdout).context("the table is text")?);
    println!("\n{text}");
    if args.dry_run { Ok(()) } else { report::write("virtual", &text) }
}
