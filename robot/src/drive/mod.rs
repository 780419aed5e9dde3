//! The outputs: what turns pulse widths into motion.

pub mod pulse_log;
pub mod registers;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use farwheel_proto::control::mixer::{self, Channel, Duty, Mixer, Profile, Pulse};

pub use pulse_log::PulseLog;
pub use registers::Registers;

/// An output as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The simulated car; its registers in this file, or in one of the robot's own choice.
    Sim(Option<PathBuf>),
}

impl std::str::FromStr for Output {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("sim", "")) => Ok(Self::Sim(None)),
            Some(("sim", file)) => Ok(Self::Sim(Some(file.into()))),
            Some(("pwm" | "pca9685" | "gpio" | "hbridge" | "crsf" | "vesc", _)) => {
                bail!("output `{text}` is not supported by this release; sim: and sim:FILE are")
            }
            _ => bail!("output `{text}` is none of sim:, sim:FILE"),
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sim(None) => f.write_str("sim:"),
            Self::Sim(Some(file)) => write!(f, "sim:{}", file.display()),
        }
    }
}

/// Something that moves a car.
pub trait Drive: Send {
    /// Puts a duty in force; it stays in force until the next one, whatever becomes of this process.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn apply(&mut self, duty: &Duty) -> io::Result<()>;
}

/// Opens an output as `writer` (its name in the pulse log).
///
/// # Errors
/// When the output or the log cannot be opened.
pub fn open(output: &Output, pulse_log: Option<&Path>, writer: &'static str) -> Result<Box<dyn Drive>> {
    let log = pulse_log
        .map(|path| {
            PulseLog::open(path, writer).with_context(|| format!("open pulse log {}", path.display()))
        })
        .transpose()?;
    match output {
        Output::Sim(None) => bail!("output sim: has no register file here; write sim:FILE"),
        Output::Sim(Some(path)) => {
            let registers =
                Registers::open(path).with_context(|| format!("open registers {}", path.display()))?;
            Ok(Box::new(SimDrive { registers, log }))
        }
    }
}

/// The mixer of the cars this release drives: steering servo and speed controller at 1000-1500-2000 µs.
///
/// # Errors
/// When a channel cannot be used safely.
pub fn mixer() -> Result<Mixer> {
    Ok(Mixer::new(mixer::Config::new(Profile::Ackermann, [Channel::default(); 4])?))
}

/// The simulated car: registers that keep their values, and a log of what they were.
#[derive(Debug)]
struct SimDrive {
    registers: Registers,
    log: Option<PulseLog>,
}

impl Drive for SimDrive {
    fn apply(&mut self, duty: &Duty) -> io::Result<()> {
        let widths = duty.outputs().map(Pulse::us);
        self.registers.write(widths)?;
        if let Some(log) = &mut self.log {
            log.note(widths);
        }
        Ok(())
    }
}
