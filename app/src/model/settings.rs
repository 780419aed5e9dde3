//! What the user chose; kept in the config folder by `session`.

use serde::{Deserialize, Serialize};

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Light, dark, or as the system.
    pub theme: Theme,
    /// Factor on the system's scale, 0.75 to 2.
    pub scale: f32,
    /// Units of speed and temperature.
    pub units: Units,
    /// How the picture fills the window.
    pub fit: Fit,
    /// How pictures are handed to the screen.
    pub present: Present,
    /// What the drive screen shows.
    pub hud: Hud,
    /// Largest throttle the app asks for.
    pub limits: Limits,
    /// Keyboard driving.
    pub keyboard: Keyboard,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::Dark,
            scale: 1.0,
            units: Units::default(),
            fit: Fit::default(),
            present: Present::default(),
            hud: Hud::default(),
            limits: Limits::default(),
            keyboard: Keyboard::default(),
        }
    }
}

/// Light, dark, or as the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Dark.
    #[default]
    Dark,
    /// Light.
    Light,
    /// As the system.
    System,
}

/// Units of speed and temperature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// All of the window; the picture is cut at two sides.
    #[default]
    Fill,
    /// All of the picture; bars at two sides.
    Letterbox,
}

/// How pictures are handed to the screen while driving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Present {
    /// At once; may tear, lowest latency.
    #[default]
    Immediate,
    /// With the screen's refresh.
    Vsync,
}

/// What the drive screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hud {
    /// Speed and the bars of throttle and steering.
    pub speed: bool,
    /// Link figures: loop age, round trip, rate, loss.
    pub link: bool,
    /// The bar that shows where a picture's time goes.
    pub stages: bool,
    /// Battery and temperature.
    pub vehicle: bool,
    /// Lap times.
    pub laps: bool,
    /// Map of the track.
    pub map: bool,
}

impl Default for Hud {
    fn default() -> Self {
        Self { speed: true, link: true, stages: true, vehicle: true, laps: true, map: true }
    }
}

/// Limits that the app keeps; the robot has its own and the smaller one counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest forward throttle, 0.05 to 1.
    pub forward: f32,
    /// Largest reverse throttle, 0.05 to 1.
    pub reverse: f32,
    /// Largest steering, 0.1 to 1.
    pub steer: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { forward: 1.0, reverse: 1.0, steer: 1.0 }
    }
}

/// Keyboard driving: keys are on or off, so the values move toward the goal at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keyboard {
    /// Steering toward the pressed side, full scale per second.
    pub steer_rate: f32,
    /// Steering back to the centre, full scale per second.
    pub centre_rate: f32,
    /// Throttle upward, full scale per second.
    pub throttle_rate: f32,
    /// Largest throttle by keyboard, 0.05 to 1.
    pub throttle_max: f32,
}

impl Default for Keyboard {
    fn default() -> Self {
        Self { steer_rate: 2.5, centre_rate: 5.0, throttle_rate: 1.5, throttle_max: 1.0 }
    }
}
