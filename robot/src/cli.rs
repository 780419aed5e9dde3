//! The command line, made from the table of settings.

use std::path::PathBuf;

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::config::{self, Config, ENV_PREFIX, Fallback, Kind, Layers, SETTINGS, Setting};
use crate::drive::Output;

/// What the user asked for.
#[derive(Debug)]
pub enum Order {
    /// Drive and be seen until told to stop.
    Run(Box<Config>),
    /// Own the outputs for a `run` process.
    Actuator(ActuatorArgs),
    /// Write neutral once and leave.
    Neutral(NeutralArgs),
    /// Try everything that `run` would use; the configuration is from these files.
    Check(Box<Config>, Vec<PathBuf>, Report),
    /// List cameras and outputs.
    Devices(Report),
    /// Show the effective configuration.
    PrintConfig(String),
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `actuator` needs to know; it reads no configuration file.
#[derive(Clone, Debug)]
pub struct ActuatorArgs {
    /// Where it listens.
    pub socket: PathBuf,
    /// The outputs.
    pub output: Output,
    /// Where each change is written down.
    pub pulse_log: Option<PathBuf>,
    /// The `run` process to outlive by one neutral pulse; without it silence alone tells.
    pub parent: Option<u32>,
}

/// What `neutral` needs to know.
#[derive(Clone, Debug)]
pub struct NeutralArgs {
    /// The outputs.
    pub output: Output,
    /// Where the change is written down.
    pub pulse_log: Option<PathBuf>,
}

/// Reads command line, environment and files.
///
/// # Errors
/// Whatever a layer says that means nothing. Wrong usage ends the process with clap's own message.
pub fn parse() -> Result<Order> {
    order(&command().get_matches())
}

fn order(matches: &ArgMatches) -> Result<Order> {
    match matches.subcommand().expect("clap requires a subcommand") {
        ("run", m) => {
            let (config, layers, _) = configure(m)?;
            Ok(if m.get_flag("print-config") {
                Order::PrintConfig(config::as_toml(&layers))
            } else {
                Order::Run(Box::new(config))
            })
        }
        ("check", m) => {
            let (config, _, files) = configure(m)?;
            Ok(Order::Check(Box::new(config), files, report(m)))
        }
        ("devices", m) => Ok(Order::Devices(report(m))),
        ("actuator", m) => Ok(Order::Actuator(ActuatorArgs {
            socket: m.get_one::<PathBuf>("socket").expect("clap requires it").clone(),
            output: m.get_one::<Output>("drive").expect("clap requires it").clone(),
            pulse_log: m.get_one("pulse-log").cloned(),
            parent: m.get_one("parent").copied(),
        })),
        ("neutral", m) => Ok(Order::Neutral(NeutralArgs {
            output: m.get_one::<Output>("drive").expect("clap requires it").clone(),
            pulse_log: m.get_one("pulse-log").cloned(),
        })),
        (other, _) => unreachable!("clap knows no subcommand {other}"),
    }
}

fn report(matches: &ArgMatches) -> Report {
    if matches.get_flag("json") { Report::Json } else { Report::Text }
}

fn configure(matches: &ArgMatches) -> Result<(Config, Layers, Vec<PathBuf>)> {
    let env_file = std::env::var_os(format!("{ENV_PREFIX}CONFIG")).map(PathBuf::from);
    let explicit = matches.get_one::<PathBuf>("config").cloned().or(env_file);
    let files = config::files(explicit.as_deref());
    let mut layers = config::layers(&files, std::env::vars())?;
    for setting in SETTINGS {
        if matches.value_source(setting.flag) == Some(ValueSource::CommandLine) {
            let text = matches.get_one::<String>(setting.flag).expect("the command line has it");
            layers.lay_flag(setting, text)?;
        }
    }
    Ok((Config::from_layers(&layers)?, layers, files))
}

fn command() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Write one JSON object.");
    let config = || {
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Read this file instead of /etc/farwheel/robot.toml and the user's own.")
    };
    let output = || {
        Arg::new("drive")
            .long("drive")
            .value_name("OUTPUT")
            .required(true)
            .value_parser(|text: &str| text.parse::<Output>().map_err(|e| format!("{e:#}")))
            .help("Output: sim:FILE.")
    };
    let pulse_log = || {
        Arg::new("pulse-log")
            .long("pulse-log")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Append each change of the pulses to FILE.")
    };
    Command::new("farwheel-robot")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Camera and car of a Farwheel robot")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(
            Command::new("run")
                // The last one wins, so that a script can append to what it was given.
                .args_override_self(true)
                .about("Join the room, send pictures, drive the car")
                .arg(config())
                .arg(
                    Arg::new("print-config").long("print-config").action(ArgAction::SetTrue).help(
                        "Print the configuration in effect and where each value comes from, then leave.",
                    ),
                )
                .args(SETTINGS.iter().map(setting_arg)),
        )
        .subcommand(
            Command::new("check")
                .args_override_self(true)
                .about("Try every device, port and address that run would use")
                .arg(config())
                .arg(json())
                .args(SETTINGS.iter().map(setting_arg)),
        )
        .subcommand(Command::new("devices").about("List cameras with their formats, and outputs").arg(json()))
        .subcommand(
            Command::new("actuator")
                .about("Own the outputs; started by run")
                .arg(
                    Arg::new("socket")
                        .long("socket")
                        .value_name("FILE")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("Unix datagram socket to listen on, in a folder only its owner can enter."),
                )
                .arg(output())
                .arg(pulse_log())
                .arg(
                    Arg::new("parent")
                        .long("parent")
                        .value_name("PID")
                        .value_parser(value_parser!(u32))
                        .help("Go to neutral and leave when this process ends."),
                ),
        )
        .subcommand(
            Command::new("neutral")
                .about("Write neutral to the outputs once (for systemd's ExecStopPost)")
                .arg(output())
                .arg(pulse_log()),
        )
}

fn setting_arg(setting: &'static Setting) -> Arg {
    let mut help = setting.help.to_owned();
    match setting.fallback {
        Fallback::Fixed(text) => help += &format!(" [default: {text}]"),
        Fallback::HostName => help += " [default: the host name]",
        Fallback::Unset => {}
    }
    let arg = Arg::new(setting.flag).long(setting.flag).value_name(setting.placeholder).help(help);
    match setting.kind {
        Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Integer | Kind::Number => arg.allow_negative_numbers(true),
        Kind::Text => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn switches_need_no_value_and_take_one() {
        for (args, want) in [(&["--strip"][..], true), (&["--strip=false"][..], false), (&[][..], false)] {
            let all = ["farwheel-robot", "run", "--config", "/dev/null"].iter().chain(args);
            let Order::Run(config) = order(&command().get_matches_from(all)).unwrap() else {
                panic!("not run")
            };
            assert_eq!(config.camera.strip == crate::config::Strip::Drawn, want, "{args:?}");
        }
    }

    #[test]
    fn flag_errors_name_the_flag() {
        let args = ["farwheel-robot", "run", "--config", "/dev/null", "--fps", "0"];
        let error = order(&command().get_matches_from(args)).unwrap_err();
        assert_eq!(format!("{error:#}"), "flag --fps: want 1 to 120, got 0");
    }
}
