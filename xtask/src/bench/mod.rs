//! `cargo xtask bench`: the figures of docs/MEASUREMENTS.md, beside peers measured on the same machine in the same run.

mod call;
mod link;
mod loopback;
mod lte;
mod machine;
mod nat;
mod peers;
mod report;
mod road;
mod sound;
mod virtual_time;

use anyhow::Result;
use serde::Deserialize;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    which: Which,
}

#[derive(clap::Subcommand)]
enum Which {
    /// Picture age and processor time of calls of two and of four.
    Call(call::Args),
    /// Frame delay and picture age over loopback, beside GStreamer and Chromium.
    Loopback(loopback::Args),
    /// Picture age over cellular links in real time, beside Chromium, GStreamer and aiortc; needs root.
    Lte(lte::Args),
    /// Whether the bounds on links of a known kind are met: steady, steps, an outage, loss; needs root.
    Link(link::Args),
    /// Picture age over cellular links in virtual time, beside the age that no sender can beat.
    Virtual(virtual_time::Args),
    /// Sound from mouth to ear, under jitter and loss, and echo in a simulated room.
    Sound(sound::Args),
    /// Time to the first picture behind every pair of NATs; as root.
    Nat(nat::Args),
}

/// Runs the chosen bench and writes its table into docs/MEASUREMENTS.md.
///
/// # Errors
/// If a part can't be had or ends too early.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.which {
        Which::Call(args) => call::run(args),
        Which::Loopback(args) => loopback::run(args),
        Which::Lte(args) => lte::run(args),
        Which::Link(args) => link::run(args),
        Which::Virtual(args) => virtual_time::run(args),
        Which::Sound(args) => sound::run(args),
        Which::Nat(args) => nat::run(args),
    }
}

/// A picture format to measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    width: u32,
    height: u32,
    fps: u32,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}@{}", self.width, self.height, self.fps)
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Points {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// What every peer's measurement says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Figures {
    frames: u64,
    #[serde(default)]
    fps: f64,
    #[serde(default)]
    frame_delay_ms: Points,
    #[serde(default)]
    picture_age_ms: Points,
    #[serde(default)]
    psnr_db: Option<f64>,
    /// Width and height of the shown pictures, where they can differ from what was asked for.
    #[serde(default)]
    size: Option<[u32; 2]>,
}
