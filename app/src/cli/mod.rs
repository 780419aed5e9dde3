//! The command line.
//!
//! Exit codes: 0 done, or stopped by a signal after the robot was reached; 1 anything else; 2 wrong arguments or a
//! wrong script; 3 the server cannot be reached; 4 the server refused (token, room, version); 5 no robot or no
//! picture in time; 6 the script could not be finished; 7 `doctor` found something wrong.

mod call;
mod doctor;
mod drive;
mod headless;
mod manual;
mod pair;
mod ring;
mod rooms;
mod server;
mod sharing;
mod signals;
pub mod stats;
mod view;
mod window;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use farwheel_peer::signaling::{self, Role, RoomName};
use farwheel_proto::video::Size;

use crate::session::video::Strip;
use server::{Own, Server};

/// See and drive a robot from afar.
#[derive(Debug, Parser)]
#[command(name = "farwheel", version, about, max_term_width = 100)]
pub struct Cli {
    /// Say more on stderr; twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Drive a robot: opens the window and connects, or goes without a window.
    Drive(Box<drive::Drive>),
    /// Call people: opens the window in the call, or takes part without a window.
    Call(Box<call::Call>),
    /// Watch a robot and write its pictures as y4m.
    View(Box<view::View>),
    /// List the robots at a server.
    Rooms(rooms::Rooms),
    /// Send text or bytes to the one other who gives the same code: through the server at once, directly as soon as possible.
    Pair(pair::PairArgs),
    /// Meet without any server: carry an offer there and an answer back yourself.
    Manual(Box<manual::Manual>),
    /// Look at this computer: graphics, gamepads, codec, folders, server; says what to do about what is wrong.
    Doctor(doctor::Doctor),
}

/// Where to go and as whom.
#[derive(Clone, Debug, Args)]
struct Where {
    /// Name of the room: the one that the robot was started with.
    room: RoomName,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    own: Own,
    /// Without a window: give up when there is no picture after so many seconds (0: never).
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    wait: f64,
}

impl Where {
    fn signaling(&self, role: Role) -> anyhow::Result<signaling::Config> {
        Ok(signaling::Config {
            server: self.server.url.clone(),
            place: signaling::Place::room(self.room.clone(), role),
            name: self.own.name(),
            token: self.server.proof.token()?,
            ca: self.server.proof.ca.clone(),
        })
    }
}

/// How picture ages are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// By the strip in the pixels if there is one, else by the capture time that each picture carries.
    #[default]
    Auto,
    /// By the capture time and the compared clocks.
    Header,
    /// By the strip; fails when there is none.
    Strip,
}

impl Measure {
    /// Whether pictures are looked at for their strip; figures that nobody reads are not worth the time.
    fn strip(self, is_read: bool) -> Strip {
        match self {
            Self::Header => Strip::Ignore,
            Self::Auto if !is_read => Strip::Ignore,
            Self::Auto | Self::Strip => Strip::Read,
        }
    }

    /// Refuses figures that are not by the strip, if that was asked for.
    fn check(self, report: &serde_json::Value) -> anyhow::Result<()> {
        anyhow::ensure!(
            self != Self::Strip || !report["by_strip"].is_null(),
            "the pictures carry no strip; start the robot with --camera test or --strip"
        );
        Ok(())
    }
}

fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let secret = text.trim();
    anyhow::ensure!(!secret.is_empty(), "{} is empty", path.display());
    Ok(secret.to_owned())
}

fn parse_size(text: &str) -> Result<Size, String> {
    let wrong = || format!("`{text}` is no size; want WIDTHxHEIGHT, for example 640x480");
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    let side =
        |text: &str| text.parse::<u32>().ok().filter(|side| (2..=8192).contains(side)).ok_or_else(wrong);
    Ok(Size::new(side(width)?, side(height)?))
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    Refused = 4,
    NoPicture = 5,
    Script = 6,
    Unwell = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    init_log(cli.verbose);
    let result = match cli.command {
        None => window::run(None),
        Some(Command::Drive(args)) => drive::run(*args),
        Some(Command::Call(args)) => call::run(*args),
        Some(Command::View(args)) => view::run(*args),
        Some(Command::Rooms(args)) => rooms::run(&args),
        Some(Command::Pair(args)) => pair::run(args),
        Some(Command::Manual(args)) => manual::run(*args),
        Some(Command::Doctor(args)) => doctor::run(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(e) => {
            eprintln!("farwheel: {e:#}");
            let is_script = e.chain().any(|cause| cause.is::<crate::script::Error>());
            if is_script { Exit::Usage.into() } else { Exit::Failed.into() }
        }
    }
}

fn init_log(verbose: u8) {
    let quiet = format!("wgpu_core=error,wgpu_hal=off,naga=error,{}", farwheel_peer::LOG_DIRECTIVES);
    let usual = match verbose {
        0 => format!("warn,{quiet},webrtc=off"),
        1 => format!("info,{quiet}"),
        _ => "debug".to_owned(),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FARWHEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    crate::log::init(filter);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_and_wrong_ones_explained() {
        assert_eq!(parse_size("640x480"), Ok(Size::new(640, 480)));
        for wrong in ["640", "x", "0x0", "640x", "99999x2", "-1x5"] {
            assert!(parse_size(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused_with_what_is_wanted() {
        for (args, want) in [
            (
                &["farwheel", "drive", "bad room!", "--server", "ws://h"][..],
                "a room name has 1 to 64 letters",
            ),
            (
                &["farwheel", "view", "car", "--server", "ws://h", "--y4m", "-", "--size", "9"][..],
                "WIDTHxHEIGHT",
            ),
            (&["farwheel", "fly"][..], "unrecognized subcommand"),
        ] {
            let error = Cli::try_parse_from(args).expect_err("it is wrong").to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
