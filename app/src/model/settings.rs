//! How the user wants things shown; part of the settings file.

use serde::{Deserialize, Serialize};

use super::call::Cleaning;

/// How the user wants things shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Units of speed and temperature.
    pub units: Units,
    /// How the picture fills the window.
    pub fit: Fit,
    /// How pictures are handed to the screen.
    pub present: Present,
    /// What the drive screen shows.
    pub hud: Hud,
    /// Where the window was when it was closed.
    pub window: Option<Geometry>,
}

/// Where a window is, in points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Width and height inside the frame.
    pub size: (u32, u32),
    /// Left and top on the desktop, where the system tells it.
    pub position: Option<(i32, i32)>,
}

/// Whether commands travel on two paths at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Paths {
    /// On one only.
    One,
    /// On two where this computer is in two networks; 60 MB an hour.
    #[default]
    Auto,
    /// On two wherever it can be done: without a second network, by a relay beside the direct path.
    Two,
}

/// Units of speed and temperature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Units {
    /// km/h and degrees Celsius.
    #[default]
    Metric,
    /// m/s and degrees Celsius.
    Si,
    /// mph and degrees Fahrenheit.
    Imperial,
}

/// How the picture fills the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// All of the window; the picture is cut at two sides.
    #[default]
    Fill,
    /// All of the picture; bars at two sides.
    Letterbox,
}

/// How pictures are handed to the screen while driving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Present {
    /// At once; may tear, lowest latency.
    #[default]
    Immediate,
    /// With the screen's refresh.
    Vsync,
}

/// What the drive screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hud {
    /// Speed and the bars of throttle and steering.
    pub speed: bool,
    /// Link figures: loop age, round trip, rate, loss.
    pub link: bool,
    /// Why the picture is what it is, and the data used.
    pub why: bool,
    /// Battery and temperature.
    pub vehicle: bool,
    /// Lap times.
    pub laps: bool,
    /// Map of the track.
    pub map: bool,
}

impl Default for Hud {
    fn default() -> Self {
        Self { speed: true, link: true, why: true, vehicle: true, laps: true, map: true }
    }
}

/// How the user calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calling {
    /// The camera by its name; without one, or while it is not plugged in, the system's first.
    pub camera: Option<String>,
    /// The microphone, likewise.
    pub microphone: Option<String>,
    /// The loudspeaker or headphones, likewise.
    pub speaker: Option<String>,
    /// How sound is cleaned.
    pub cleaning: Cleaning,
    /// The key that lets the voice through while muted and keeps it back while not.
    pub talk_key: TalkKey,
    /// The own picture is shown as in a mirror; others see it as it is.
    pub mirror: bool,
    /// How pictures of cameras fill their tiles.
    pub fit: Fit,
    /// Cameras are sent and asked for small, so that a data plan lasts longer.
    pub low_data: bool,
    /// Largest file that is taken from others, in MB.
    pub file_limit_mb: u32,
    /// Connections go by a relay only, so that the others do not learn this computer's address; for connections made
    /// from then on.
    pub relay_only: bool,
    /// The server at which others can ring this device; none: nowhere.
    pub line: Option<String>,
    /// Rings make no sound; who rings is shown all the same.
    pub do_not_disturb: bool,
    /// How loud a ring is, in percent, [0, 100].
    pub ring_percent: u8,
}

impl Default for Calling {
    fn default() -> Self {
        Self {
            camera: None,
            microphone: None,
            speaker: None,
            cleaning: Cleaning::default(),
            talk_key: TalkKey::default(),
            mirror: true,
            fit: Fit::Fill,
            low_data: false,
            file_limit_mb: FILE_LIMIT_MB,
            relay_only: false,
            line: None,
            do_not_disturb: false,
            ring_percent: 70,
        }
    }
}

/// What a video of an hour takes, and less than disks have left.
pub const FILE_LIMIT_MB: u32 = 2000;

/// The key that is held to talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TalkKey {
    /// The space bar.
    #[default]
    Space,
    /// The key left of 1.
    Backtick,
    /// F8.
    F8,
}
