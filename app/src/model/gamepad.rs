//! State of the gamepad page: devices, live values, mapping, wizard.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The gamepad page.
#[derive(Clone, Debug, Default)]
pub struct Gamepad {
    /// Connected devices.
    pub devices: Vec<Device>,
    /// Index of the device that drives; the page shows it.
    pub active: Option<usize>,
    /// Values after dead zone, curve and limits, -1 to 1, by function; what would be sent.
    pub mapped: BTreeMap<Function, f32>,
    /// The mapping wizard, while it runs.
    pub wizard: Option<Wizard>,
}

impl Gamepad {
    /// The device that drives.
    pub fn active_device(&self) -> Option<&Device> {
        self.active.and_then(|index| self.devices.get(index))
    }
}

/// A connected device.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// Key of its profile: stable over reconnects (vendor, product, name).
    pub id: String,
    /// As the system names it.
    pub name: String,
    /// Live raw values.
    pub raw: Raw,
    /// Its profile.
    pub profile: Profile,
    /// Battery charge 0 to 1, for wireless ones.
    pub battery: Option<f32>,
    /// Whether it can vibrate.
    pub rumble: Rumble,
}

/// Whether a device can vibrate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rumble {
    /// It cannot.
    #[default]
    Absent,
    /// It can.
    Present,
}

/// Live raw values of a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    /// Sticks -1 to 1 (x right, y up), triggers 0 to 1.
    pub axes: BTreeMap<Axis, f32>,
    /// Buttons that are down.
    pub pressed: Vec<Button>,
}

impl Raw {
    /// Value of an axis; zero if the device does not have it.
    pub fn axis(&self, axis: Axis) -> f32 {
        self.axes.get(&axis).copied().unwrap_or(0.0)
    }

    /// Whether a button is down.
    pub fn is_pressed(&self, button: Button) -> bool {
        self.pressed.contains(&button)
    }
}

/// An axis of a device, by its place on a standard pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Left stick, right positive.
    LeftX,
    /// Left stick, up positive.
    LeftY,
    /// Right stick, right positive.
    RightX,
    /// Right stick, up positive.
    RightY,
    /// Left trigger, 0 to 1.
    LeftTrigger,
    /// Right trigger, 0 to 1.
    RightTrigger,
    /// Another axis by the system's code, such as a wheel's pedal.
    #[serde(untagged)]
    Other(u32),
}

impl Axis {
    /// As shown.
    pub fn label(self) -> String {
        match self {
            Self::LeftX => "Left stick X".into(),
            Self::LeftY => "Left stick Y".into(),
            Self::RightX => "Right stick X".into(),
            Self::RightY => "Right stick Y".into(),
            Self::LeftTrigger => "Left trigger".into(),
            Self::RightTrigger => "Right trigger".into(),
            Self::Other(code) => format!("Axis {code}"),
        }
    }
}

/// A button of a device, by its place on a standard pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// Bottom of the right four.
    South,
    /// Right.
    East,
    /// Left.
    West,
    /// Top.
    North,
    /// Left shoulder.
    LeftShoulder,
    /// Right shoulder.
    RightShoulder,
    /// Left trigger pressed as a button.
    LeftTrigger,
    /// Right trigger pressed as a button.
    RightTrigger,
    /// Left of the centre.
    Select,
    /// Right of the centre.
    Start,
    /// The centre.
    Mode,
    /// Left stick pressed.
    LeftStick,
    /// Right stick pressed.
    RightStick,
    /// Directional pad up.
    DpadUp,
    /// Directional pad down.
    DpadDown,
    /// Directional pad left.
    DpadLeft,
    /// Directional pad right.
    DpadRight,
    /// Another button by the system's code.
    #[serde(untagged)]
    Other(u32),
}

impl Button {
    /// As shown.
    pub fn label(self) -> String {
        match self {
            Self::South => "South (A)".into(),
            Self::East => "East (B)".into(),
            Self::West => "West (X)".into(),
            Self::North => "North (Y)".into(),
            Self::LeftShoulder => "Left shoulder".into(),
            Self::RightShoulder => "Right shoulder".into(),
            Self::LeftTrigger => "Left trigger".into(),
            Self::RightTrigger => "Right trigger".into(),
            Self::Select => "Select".into(),
            Self::Start => "Start".into(),
            Self::Mode => "Mode".into(),
            Self::LeftStick => "Left stick press".into(),
            Self::RightStick => "Right stick press".into(),
            Self::DpadUp => "D-pad up".into(),
            Self::DpadDown => "D-pad down".into(),
            Self::DpadLeft => "D-pad left".into(),
            Self::DpadRight => "D-pad right".into(),
            Self::Other(code) => format!("Button {code}"),
        }
    }
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Left and right.
    Steer,
    /// Forward.
    Throttle,
    /// Reverse, or braking while rolling forward; unused if the throttle axis has both directions.
    Reverse,
    /// Camera left and right.
    Pan,
    /// Camera up and down.
    Tilt,
    /// Must be held while driving.
    Deadman,
    /// Hold to arm.
    Arm,
    /// Emergency stop.
    EmergencyStop,
    /// Raises the throttle limit while held.
    Boost,
    /// Lights on and off.
    Lights,
    /// Horn while held.
    Horn,
}

impl Function {
    /// All in the order of the page and of the wizard.
    pub const ALL: [Self; 11] = [
        Self::Steer,
        Self::Throttle,
        Self::Reverse,
        Self::Deadman,
        Self::Arm,
        Self::EmergencyStop,
        Self::Boost,
        Self::Pan,
        Self::Tilt,
        Self::Lights,
        Self::Horn,
    ];

    /// Whether it takes an axis (otherwise a button).
    pub const fn is_axis(self) -> bool {
        matches!(self, Self::Steer | Self::Throttle | Self::Reverse | Self::Pan | Self::Tilt)
    }

    /// As shown.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Steer => "Steering",
            Self::Throttle => "Throttle",
            Self::Reverse => "Brake / reverse",
            Self::Pan => "Camera pan",
            Self::Tilt => "Camera tilt",
            Self::Deadman => "Deadman",
            Self::Arm => "Arm",
            Self::EmergencyStop => "Emergency stop",
            Self::Boost => "Boost",
            Self::Lights => "Lights",
            Self::Horn => "Horn",
        }
    }
}

/// Where a function's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An axis.
    Axis(Axis),
    /// A button.
    Button(Button),
}

impl Source {
    /// As shown.
    pub fn label(self) -> String {
        match self {
            Self::Axis(axis) => axis.label(),
            Self::Button(button) => button.label(),
        }
    }
}

/// How a device drives; kept per device id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Sources by function; a function without one is unused.
    pub sources: BTreeMap<Function, Source>,
    /// Shape of the axes by function; missing ones are [`Curve::default`].
    pub curves: BTreeMap<Function, Curve>,
}

impl Profile {
    /// Shape of a function's axis.
    pub fn curve(&self, function: Function) -> Curve {
        self.curves.get(&function).copied().unwrap_or_default()
    }
}

impl Default for Profile {
    /// A standard pad: left stick steers, triggers drive, right shoulder is the deadman.
    fn default() -> Self {
        Self {
            sources: BTreeMap::from([
                (Function::Steer, Source::Axis(Axis::LeftX)),
                (Function::Throttle, Source::Axis(Axis::RightTrigger)),
                (Function::Reverse, Source::Axis(Axis::LeftTrigger)),
                (Function::Pan, Source::Axis(Axis::RightX)),
                (Function::Tilt, Source::Axis(Axis::RightY)),
                (Function::Deadman, Source::Button(Button::RightShoulder)),
                (Function::Arm, Source::Button(Button::Start)),
                (Function::EmergencyStop, Source::Button(Button::East)),
                (Function::Boost, Source::Button(Button::LeftShoulder)),
                (Function::Lights, Source::Button(Button::North)),
                (Function::Horn, Source::Button(Button::LeftStick)),
            ]),
            curves: BTreeMap::new(),
        }
    }
}

/// Shape of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Curve {
    /// Share of the range around the centre that counts as zero, 0 to 0.5.
    pub dead_zone: f32,
    /// 0 is linear, 1 is cubic.
    pub expo: f32,
    /// Largest magnitude sent, 0 to 1.
    pub limit: f32,
    /// Added after the curve, -0.3 to 0.3; for a car that pulls to one side.
    pub trim: f32,
    /// Whether the direction is turned round.
    pub invert: bool,
}

impl Default for Curve {
    fn default() -> Self {
        Self { dead_zone: 0.06, expo: 0.3, limit: 1.0, trim: 0.0, invert: false }
    }
}

/// The mapping wizard, while it runs: it asks for one function after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Wizard {
    /// Number of the step from 0.
    pub step: usize,
    /// Number of steps.
    pub steps: usize,
    /// The function that is asked for; `None` when all are done and the result waits to be saved.
    pub asking: Option<Function>,
    /// What moved so far and how far it is from being accepted, 0 to 1.
    pub candidate: Option<(Source, f32)>,
    /// What was accepted so far.
    pub found: BTreeMap<Function, Source>,
}
