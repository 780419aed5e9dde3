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
    args.extend(profile.option());
    cargo(&args)?;
    Binaries::of(profile)
}

impl Profile {
    /// What cargo calls it.
    pub(crate) fn option(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Release => Some("--release"),
        }
    }

    /// Where cargo puts what it builds.
    pub(crate) fn folder(self) -> Result<PathBuf> {
        let name = match self {
            Self::Dev => "debug",
            Self::Release => "release",
        };
        Ok(target_dir()?.join(name))
    }
}

impl Binaries {
    fn of(profile: Profile) -> Result<Self> {
        let out = profile.folder()?;
        Ok(Self {
            app: out.join("farwheel"),
            robot: out.join("farwheel-robot"),
            signaling: out.join("farwheel-signaling"),
        })
    }
}

/// What `cargo xtask bench` runs.
pub(crate) struct Measured {
    /// The programs.
    pub(crate) programs: Binaries,
    /// Writes the texture of the measuring picture.
    pub(crate) texture: PathBuf,
    /// Times the way of a picture to the graphics card.
    pub(crate) upload: PathBuf,
    /// Makes two namespaces with a link between them.
    pub(crate) emulator: PathBuf,
    /// Computes figures from what was logged.
    pub(crate) report: PathBuf,
}

/// Builds the programs and the examples that measure, all at once: they share one build of their dependencies.
///
/// # Errors
/// If cargo fails.
pub(crate) fn measured(profile: Profile) -> Result<Measured> {
    let mut args = vec!["build", "--locked", "--workspace"];
    args.extend(["--bin", "farwheel", "--bin", "farwheel-robot", "--bin", "farwheel-signaling"]);
    args.extend(["--bin", "link_emulator", "--bin", "link_report"]);
    args.extend(["--example", "texture", "--example", "upload"]);
    args.extend(profile.option());
    cargo(&args)?;
    let examples = profile.folder()?.join("examples");
    let (texture, upload) = (examples.join("texture"), examples.join("upload"));
    let (emulator, report) = (profile.folder()?.join("link_emulator"), profile.folder()?.join("link_report"));
    Ok(Measured { programs: Binaries::of(profile)?, texture, upload, emulator, report })
}

/// Builds the programs and what tries them against real drivers.
///
/// # Errors
/// If cargo fails.
pub(crate) fn device_guest() -> Result<PathBuf> {
    let mut args = vec!["build", "--locked", "--workspace"];
    args.extend(["--bin", "farwheel", "--bin", "farwheel-robot", "--bin", "farwheel-signaling"]);
    args.extend(["--bin", "device_guest"]);
    cargo(&args)?;
    Ok(Profile::Dev.folder()?.join("device_guest"))
}

/// Runs a command without its output, unless it fails.
///
/// # Errors
/// If it can't be started or fails, with what it said.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let out = command.output().with_context(|| format!("start {shown}"))?;
    if !out.status.success() {
        bail!("`{shown}` ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

/// Runs cargo at the workspace's root.
///
/// # Errors
/// If it can't be started or fails.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    run(cargo_command().args(args))
}

/// The cargo that runs us, without what it told us about our own package: some build scripts (ring's) look at that and
/// would build again what the user's own cargo has built.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    for (name, _) in std::env::vars_os() {
        let is_ours = |prefix: &str| name.to_string_lossy().starts_with(prefix);
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].into_iter().any(is_ours) {
            command.env_remove(&name);
        }
    }
    command
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
