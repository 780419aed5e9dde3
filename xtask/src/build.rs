//! Building with cargo and finding what was built.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The three programs.
pub(crate) struct Binaries {
    /// The desktop app.
    pub(crate) app: PathBuf,
    /// The robot.
    pub(crate) robot: PathBuf,
    /// The signalling server.
    pub(crate) signaling: PathBuf,
}

/// Which profile to build with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What the tests use: dependencies and hot crates optimised.
    Dev,
    /// What a package ships.
    Release,
}

/// Builds the three programs.
///
/// # Errors
/// If cargo fails.
pub(crate) fn binaries(profile: Profile) -> Result<Binaries> {
    let mut args =
        vec!["build", "--locked", "-p", "farwheel", "-p", "farwheel-robot", "-p", "farwheel-signaling"];
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            args.push("--release");
            "release"
        }
    };
    cargo(&args)?;
    let out = target_dir()?.join(folder);
    Ok(Binaries {
        app: out.join("farwheel"),
        robot: out.join("farwheel-robot"),
        signaling: out.join("farwheel-signaling"),
    })
}

/// Runs cargo at the workspace's root.
///
/// # Errors
/// If it can't be started or fails.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    run(Command::new(cargo_program()).args(args))
}

/// The cargo that runs us.
pub(crate) fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs a command at the workspace's root with its output shown.
///
/// # Errors
/// If it can't be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let status = command.current_dir(crate::root()).status().with_context(|| format!("start {shown}"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Where cargo puts what it builds.
///
/// # Errors
/// If cargo can't say.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(crate::root())
        .no_deps()
        .exec()
        .context("ask cargo for the target folder")?;
    Ok(metadata.target_directory.into())
}
