//! `cargo xtask test`: everything a change must pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::build::{cargo, cargo_command, run as run_command, target_dir};
use crate::packages::{self, BUILD, HEADLESS, TEST, WINDOW};
use crate::step::step;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose name contains this, and none of the other checks.
    filter: Option<String>,
}

/// Version of playwright-core, the driver of the browser; pinned so that a run tomorrow is the run of today. The newest
/// that does with Debian 12's Node.js 18: from 1.62 on it wants 20.
const PLAYWRIGHT: &str = "1.61.1";

/// Installs, checks, builds and tests; reports every failure, not only the first.
///
/// # Errors
/// If anything failed.
pub(crate) fn run(args: &Args) -> Result<()> {
    step("system packages", || packages::ensure(&[&BUILD, &WINDOW, &HEADLESS, &TEST]))?;
    let driver = step("browser driver", browser_driver)?;
    let mut failed = Vec::new();
    let mut check = |name: &'static str, work: &dyn Fn() -> Result<()>| {
        if let Err(error) = step(name, work) {
            eprintln!("    {error:#}");
            failed.push(name);
        }
    };
    if args.filter.is_none() {
        check("format", &|| cargo(&["fmt", "--all", "--check"]));
        check("tidy", &crate::tidy::run);
        check("lints", &|| cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--quiet"]));
        check("documentation", &documentation);
    }
    // With what the tests need, so that programs and tests share one build of their dependencies.
    check("build", &|| cargo(&["build", "--locked", "--workspace", "--all-targets"]));
    if args.filter.is_none() {
        check("doc tests", &|| cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"]));
    }
    if !Path::new("/dev/net/tun").exists() {
        println!("    SKIPPED, since there is no /dev/net/tun: the tests over emulated links");
    }
    check("tests", &|| tests(args.filter.as_deref(), &driver));
    if !packages::is_root() {
        println!(
            "    SKIPPED, since this is not root: the tests between network namespaces (NATs, emulated links)"
        );
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn documentation() -> Result<()> {
    run_command(
        cargo_command()
            .args(["doc", "--locked", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// nextest where it is installed, cargo's own runner elsewhere.
fn tests(filter: Option<&str>, driver: &Path) -> Result<()> {
    let mut command = cargo_command();
    if packages::on_path("cargo-nextest") {
        command.args(["nextest", "run", "--locked", "--workspace"]);
        command.args(filter);
    } else {
        command.args(["test", "--locked", "--workspace", "--lib", "--bins", "--tests"]);
        command.args(filter).args(["--", "--test-threads=1"]);
    }
    command.env("FARWHEEL_BROWSER_DRIVER", driver);
    run_command(&mut command)
}

/// Installs the browser driver from the npm registry into the build folder; gives that folder.
///
/// # Errors
/// If npm can't be had or fails.
pub(crate) fn browser_driver() -> Result<PathBuf> {
    let folder = target_dir()?.join("browser-driver").join(PLAYWRIGHT);
    if folder.join("node_modules/playwright-core").is_dir() {
        return Ok(folder);
    }
    if !packages::on_path("npm") {
        packages::ensure(&[&packages::NODE])?;
    }
    std::fs::create_dir_all(&folder)?;
    let quiet = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    run_command(Command::new("npm").args(quiet).arg(&folder).arg(format!("playwright-core@{PLAYWRIGHT}")))?;
    Ok(folder)
}
