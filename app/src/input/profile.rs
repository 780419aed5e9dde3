//! What each stick, pedal and button of a controller does: one [`Profile`] per device, kept in the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::input::{Intent, fit};

/// Name of one axis or button of a controller, for example `axis.LeftStickX`, `button.South`, `axis.code.65539`.
///
/// Named elements come from the controller database; the `code` form is for those it does not know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Element(Arc<str>);

impl Element {
    /// Makes an element from its name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a button (0 to 1) and not an axis (-1 to 1).
    pub fn is_button(&self) -> bool {
        self.0.starts_with("button.")
    }

    /// The name as people read it: `Left stick X`, `Right trigger 2`, `Axis 65539`.
    pub fn label(&self) -> String {
        let (kind, name) = self.0.split_once('.').unwrap_or(("", &self.0));
        if let Some(code) = name.strip_prefix("code.") {
            return format!("{} {code}", if kind == "axis" { "Axis" } else { "Button" });
        }
        let mut label = String::new();
        for (i, c) in name.chars().enumerate() {
            let starts_word = c.is_ascii_digit() || (c.is_uppercase() && (name.len() > 1));
            if i > 0 && starts_word {
                label.push(' ');
            }
            let single = name[i + c.len_utf8()..].chars().next().is_none_or(|next| next.is_uppercase());
            label.push(if i > 0 && !single { c.to_ascii_lowercase() } else { c });
        }
        label
    }
}

impl From<String> for Element {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Element> for String {
    fn from(element: Element) -> Self {
        element.0.as_ref().into()
    }
}

impl From<&str> for Element {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Positions of all elements of one controller at one moment: axes in [-1, 1], buttons in [0, 1].
pub type Sample = BTreeMap<Element, f32>;

/// How far one element is pushed: `low` reads -1, `centre` 0 and `high` +1, linear between them.
///
/// A trigger or pedal has `low == centre` (its rest) and reads 0 to 1; `high < low` inverts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Travel {
    /// The axis or button.
    pub element: Element,
    /// Raw position that reads -1.
    pub low: f32,
    /// Raw position at rest, reads 0.
    pub centre: f32,
    /// Raw position that reads +1.
    pub high: f32,
}

impl Travel {
    /// A stick axis that rests in the middle.
    pub fn stick(element: &str) -> Self {
        Self { element: element.into(), low: -1.0, centre: 0.0, high: 1.0 }
    }

    /// A trigger that rests at 0 and reads 1 when fully pushed.
    pub fn trigger(element: &str) -> Self {
        Self { element: element.into(), low: 0.0, centre: 0.0, high: 1.0 }
    }

    /// The position in [-1, 1]; 0 when the controller has no such element or gives no number.
    pub fn read(&self, sample: &Sample) -> f32 {
        let Some(raw) = sample.get(&self.element).copied().filter(|raw| raw.is_finite()) else { return 0.0 };
        let part = |end: f32| {
            let span = end - self.centre;
            if span.abs() < MIN_SPAN { 0.0 } else { ((raw - self.centre) / span).clamp(0.0, 1.0) }
        };
        let value = part(self.high) - part(self.low);
        if value.is_finite() { value } else { 0.0 }
    }
}

/// Push-button functions of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// Must be held for the car to move.
    Deadman,
    /// Held for a second, asks the robot to arm.
    Arm,
    /// Stops the car and latches.
    EmergencyStop,
    /// Brakes while held.
    Brake,
    /// Lifts the speed limit while held.
    Boost,
    /// Turns the lights on or off.
    Lights,
    /// Sounds while held.
    Horn,
}

impl Function {
    /// All of them, in the order of the wizard.
    pub const ALL: [Self; 7] =
        [Self::Deadman, Self::Arm, Self::EmergencyStop, Self::Brake, Self::Boost, Self::Lights, Self::Horn];

    /// What the function is called on screen.
    pub fn label(self) -> &'static str {
        match self {
            Self::Deadman => "Deadman",
            Self::Arm => "Arm",
            Self::EmergencyStop => "Emergency stop",
            Self::Brake => "Brake",
            Self::Boost => "Boost",
            Self::Lights => "Lights",
            Self::Horn => "Horn",
        }
    }
}

/// Feel of the sticks; the shaper applies it (`StickShaper`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Feel {
    /// Part of the travel around the centre that reads 0; [0, 0.5].
    pub dead_zone: f32,
    /// Softness around the centre of the steering: 0 linear, 1 cubic.
    pub steer_expo: f32,
    /// Softness around the centre of the throttle: 0 linear, 1 cubic.
    pub throttle_expo: f32,
    /// Added to the steering; [-0.3, 0.3], positive to the right.
    pub steer_trim: f32,
    /// Turns the steering round.
    pub invert_steer: bool,
    /// Turns the throttle round.
    pub invert_throttle: bool,
    /// Largest throttle sent; [0.1, 1]. The robot has limits of its own.
    pub throttle_limit: f32,
}

impl Default for Feel {
    fn default() -> Self {
        Self {
            dead_zone: 0.06,
            steer_expo: 0.3,
            throttle_expo: 0.2,
            steer_trim: 0.0,
            invert_steer: false,
            invert_throttle: false,
            throttle_limit: 1.0,
        }
    }
}

impl Feel {
    /// The same with every number forced into its range, as a file may hold anything.
    pub fn clamped(mut self) -> Self {
        let fit = |value: &mut f32, low, high, usual| *value = fit(*value, low, high, usual);
        fit(&mut self.dead_zone, 0.0, 0.5, 0.06);
        fit(&mut self.steer_expo, 0.0, 1.0, 0.3);
        fit(&mut self.throttle_expo, 0.0, 1.0, 0.2);
        fit(&mut self.steer_trim, -0.3, 0.3, 0.0);
        fit(&mut self.throttle_limit, 0.1, 1.0, 1.0);
        self
    }
}

/// Assignment of one controller's elements to the car's functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The controller's name, as the system gives it.
    pub name: String,
    /// Left and right.
    pub steer: Option<Travel>,
    /// Forward; a stick may give reverse too.
    pub throttle: Option<Travel>,
    /// Reverse or brake pedal; subtracted from the throttle.
    pub reverse: Option<Travel>,
    /// Camera left and right.
    pub pan: Option<Travel>,
    /// Camera up and down.
    pub tilt: Option<Travel>,
    /// The push-buttons; a trigger counts as pushed beyond half its travel.
    pub buttons: BTreeMap<Function, Element>,
    /// Dead zone, expo and the like.
    pub feel: Feel,
}

impl Default for Profile {
    fn default() -> Self {
        Self::gamepad("Gamepad")
    }
}

impl Profile {
    /// The layout that every gamepad in the controller database supports: steer with the left stick, right trigger
    /// forward, left trigger reverse, hold the left shoulder as the deadman.
    pub fn gamepad(name: &str) -> Self {
        let buttons = [
            (Function::Deadman, "button.LeftTrigger"),
            (Function::Arm, "button.Start"),
            (Function::EmergencyStop, "button.East"),
            (Function::Brake, "button.South"),
            (Function::Boost, "button.RightTrigger"),
            (Function::Lights, "button.North"),
            (Function::Horn, "button.West"),
        ];
        Self {
            name: name.into(),
            steer: Some(Travel::stick("axis.LeftStickX")),
            throttle: Some(Travel::trigger("button.RightTrigger2")),
            reverse: Some(Travel::trigger("button.LeftTrigger2")),
            pan: Some(Travel::stick("axis.RightStickX")),
            tilt: Some(Travel::stick("axis.RightStickY")),
            buttons: buttons.into_iter().map(|(f, e)| (f, e.into())).collect(),
            feel: Feel::default(),
        }
    }

    /// A profile with nothing assigned, for the wizard to fill.
    pub fn empty(name: &str) -> Self {
        Self {
            name: name.into(),
            steer: None,
            throttle: None,
            reverse: None,
            pan: None,
            tilt: None,
            buttons: BTreeMap::new(),
            feel: Feel::default(),
        }
    }

    /// What the driver wants, read from one sample.
    ///
    /// Without a deadman button in the profile nothing moves: the wizard does not finish without one.
    pub fn read(&self, sample: &Sample) -> Intent {
        let travel = |travel: &Option<Travel>| travel.as_ref().map_or(0.0, |t| t.read(sample));
        let held = |function| {
            self.buttons
                .get(&function)
                .and_then(|e| sample.get(e))
                .is_some_and(|value| value.is_finite() && *value > PRESSED)
        };
        Intent {
            throttle: (travel(&self.throttle) - travel(&self.reverse).abs()).clamp(-1.0, 1.0),
            steer: travel(&self.steer),
            pan: travel(&self.pan),
            tilt: travel(&self.tilt),
            deadman: held(Function::Deadman),
            arm: held(Function::Arm),
            estop: held(Function::EmergencyStop),
            brake: held(Function::Brake),
            boost: held(Function::Boost),
            lights: held(Function::Lights),
            horn: held(Function::Horn),
        }
    }
}

/// A travel shorter than this is a mapping mistake and reads 0.
const MIN_SPAN: f32 = 0.05;

/// A button or trigger beyond this counts as pushed.
const PRESSED: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(elements: &[(&str, f32)]) -> Sample {
        elements.iter().map(|(name, value)| (Element::new(name), *value)).collect()
    }

    #[test]
    fn travel_reads_sticks_triggers_pedals_and_inverted_axes() {
        let pedal = Travel { element: "axis.A".into(), low: 1.0, centre: 1.0, high: -1.0 };
        let inverted = Travel { element: "axis.A".into(), low: 1.0, centre: 0.0, high: -1.0 };
        let lopsided = Travel { element: "axis.A".into(), low: -0.8, centre: 0.1, high: 0.6 };
        let broken = Travel { element: "axis.A".into(), low: 0.0, centre: 0.0, high: 0.01 };
        for (travel, raw, want) in [
            (&Travel::stick("axis.A"), -1.0, -1.0),
            (&Travel::stick("axis.A"), 0.25, 0.25),
            (&Travel::stick("axis.A"), 7.0, 1.0),
            (&Travel::stick("axis.A"), f32::NAN, 0.0),
            (&Travel::trigger("axis.A"), 0.5, 0.5),
            (&Travel::trigger("axis.A"), -0.5, 0.0),
            (&pedal, 1.0, 0.0),
            (&pedal, 0.0, 0.5),
            (&pedal, -1.0, 1.0),
            (&inverted, 0.5, -0.5),
            (&lopsided, 0.1, 0.0),
            (&lopsided, 0.35, 0.5),
            (&lopsided, -0.35, -0.5),
            (&broken, 1.0, 0.0),
        ] {
            let got = travel.read(&sample(&[("axis.A", raw)]));
            assert!((got - want).abs() < 1e-6, "{travel:?} at {raw}: {got}, want {want}");
        }
        assert_eq!(Travel::stick("axis.B").read(&sample(&[("axis.A", 1.0)])), 0.0);
    }

    #[test]
    fn default_profile_drives_with_triggers_and_needs_its_deadman() {
        let profile = Profile::gamepad("Pad");
        let rest = profile.read(&Sample::new());
        assert_eq!(rest, Intent::default());
        let both = profile.read(&sample(&[("button.RightTrigger2", 0.8), ("button.LeftTrigger2", 0.3)]));
        assert!((both.throttle - 0.5).abs() < 1e-6 && !both.deadman);
        let held = profile.read(&sample(&[("button.LeftTrigger", 1.0), ("axis.LeftStickX", -0.4)]));
        assert!(held.deadman && (held.steer + 0.4).abs() < 1e-6);
    }

    #[test]
    fn elements_have_names_people_read() {
        for (name, want) in [
            ("axis.LeftStickX", "Left stick X"),
            ("button.RightTrigger2", "Right trigger 2"),
            ("button.South", "South"),
            ("axis.code.65539", "Axis 65539"),
        ] {
            assert_eq!(Element::new(name).label(), want);
        }
    }

    #[test]
    fn feel_from_a_broken_file_is_forced_into_range() {
        let feel =
            Feel { dead_zone: f32::NAN, steer_trim: 9.0, throttle_limit: -1.0, ..Feel::default() }.clamped();
        assert_eq!((feel.dead_zone, feel.steer_trim, feel.throttle_limit), (0.06, 0.3, 0.1));
    }
}
