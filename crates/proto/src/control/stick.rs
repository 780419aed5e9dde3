//! From raw sticks to intent: dead zone, expo, trim and limits.

use serde::{Deserialize, Serialize};

use super::Axis;
use super::command::Flags;

/// What the driver's hands do, unshaped: axes as the device gives them, buttons as they are held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StickInput {
    /// Forward positive.
    pub throttle: Axis,
    /// Right positive.
    pub steer: Axis,
    /// Camera to the right positive.
    pub pan: Axis,
    /// Camera up positive.
    pub tilt: Axis,
    /// The dead man's control is held.
    pub deadman: bool,
    /// What the arm control asks for at this moment.
    pub arm: ArmSwitch,
    /// Brake held.
    pub brake: bool,
    /// Boost held.
    pub boost: bool,
    /// Lights wanted.
    pub lights: bool,
    /// Horn held.
    pub horn: bool,
    /// The freely used output wanted.
    pub aux: bool,
    /// The emergency stop is pressed. It stays in force after the release.
    pub emergency_stop: bool,
}

/// The arm control: a wish lasts until the other one, or until the robot disarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArmSwitch {
    /// Nothing is asked.
    #[default]
    Untouched,
    /// The driver asks to arm.
    Arm,
    /// The driver asks to disarm.
    Disarm,
}

/// Shaped input: what the driver means. Made by [`StickShaper`], sent by [`super::CommandSender`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intent {
    /// Forward positive.
    pub throttle: Axis,
    /// Right positive.
    pub steer: Axis,
    /// Camera to the right positive.
    pub pan: Axis,
    /// Camera up positive.
    pub tilt: Axis,
    /// Buttons, without `ARM` and `EMERGENCY_STOP`, which the sender sets.
    pub flags: Flags,
    /// What the arm control asks for.
    pub arm: ArmSwitch,
    /// Whether the emergency stop is pressed.
    pub stop: StopButton,
}

/// The emergency stop button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopButton {
    /// Not pressed.
    #[default]
    Released,
    /// Pressed.
    Pressed,
}

/// The response curve of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Curve {
    /// Travel around the middle that counts as the middle, in [0, 0.9].
    pub dead_zone: f32,
    /// 0 is linear, 1 is cubic: finer around the middle.
    pub expo: f32,
    /// Share of full output that full travel gives, in [0, 1].
    pub limit: f32,
    /// Which way the axis counts.
    pub direction: Direction,
}

/// Which way an axis or an output counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// As it comes.
    #[default]
    Normal,
    /// The other way round.
    Reversed,
}

/// Turns [`StickInput`] into [`Intent`], one curve for each axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StickShaper {
    /// Curve of the throttle. There is no throttle trim: a released stick is exactly neutral.
    pub throttle: Curve,
    /// Curve of the steering.
    pub steer: Curve,
    /// Added to the shaped steering, for a car that does not run straight; in [-0.3, 0.3].
    pub steer_trim: f32,
    /// Curve of the camera's pan.
    pub pan: Curve,
    /// Curve of the camera's tilt.
    pub tilt: Curve,
}

impl Default for Curve {
    fn default() -> Self {
        Self { dead_zone: 0.05, expo: 0.0, limit: 1.0, direction: Direction::Normal }
    }
}

impl Curve {
    /// The shaped value: zero inside the dead zone, continuous at its edge, odd, rising, `limit` at full travel.
    pub fn shape(&self, raw: Axis) -> Axis {
        let travel = raw.magnitude();
        let dead_zone = within(self.dead_zone, 0.0, 0.9);
        if travel <= dead_zone {
            return Axis::ZERO;
        }
        let expo = within(self.expo, 0.0, 1.0);
        let live = (travel - dead_zone) / (1.0 - dead_zone);
        let curved = (live * (1.0 - expo) + live.powi(3) * expo) * within(self.limit, 0.0, 1.0);
        let sign = match self.direction {
            Direction::Normal => raw.get().signum(),
            Direction::Reversed => -raw.get().signum(),
        };
        Axis::new(sign * curved)
    }
}

impl StickShaper {
    /// Shapes one reading of the sticks.
    pub fn shape(&self, input: &StickInput) -> Intent {
        let trim = within(self.steer_trim, -STEER_TRIM_MAX, STEER_TRIM_MAX);
        let flags = [
            (input.deadman, Flags::DEADMAN),
            (input.brake, Flags::BRAKE),
            (input.boost, Flags::BOOST),
            (input.lights, Flags::LIGHTS),
            (input.horn, Flags::HORN),
            (input.aux, Flags::AUX),
        ]
        .into_iter()
        .filter(|(held, _)| *held)
        .fold(Flags::NONE, |flags, (_, flag)| flags.with(flag));
        Intent {
            throttle: self.throttle.shape(input.throttle),
            steer: Axis::new(self.steer.shape(input.steer).get() + trim),
            pan: self.pan.shape(input.pan),
            tilt: self.tilt.shape(input.tilt),
            flags,
            arm: input.arm,
            stop: if input.emergency_stop { StopButton::Pressed } else { StopButton::Released },
        }
    }
}

/// `value` within the bounds; NaN, which a settings file may hold, becomes the bound nearest to zero effect.
fn within(value: f32, low: f32, high: f32) -> f32 {
    if value.is_nan() { low.max(0.0) } else { value.clamp(low, high) }
}

/// Largest steering trim, as a share of full lock: more hides a mechanical fault.
const STEER_TRIM_MAX: f32 = 0.3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(curve: Curve, raw: f32, want: f32) {
        let got = curve.shape(Axis::new(raw)).get();
        assert!((got - want).abs() < 1e-5, "{curve:?} shapes {raw} to {got}, want {want}");
    }

    const LINEAR: Curve = Curve { dead_zone: 0.1, expo: 0.0, limit: 1.0, direction: Direction::Normal };

    #[test]
    fn the_dead_zone_ends_where_the_output_begins() {
        check(LINEAR, 0.1, 0.0);
        check(LINEAR, -0.1, 0.0);
        check(LINEAR, 0.1009, 0.001);
        check(LINEAR, 0.55, 0.5);
        check(LINEAR, 1.0, 1.0);
    }

    #[test]
    fn expo_bends_the_middle_and_keeps_the_ends() {
        let curve = Curve { dead_zone: 0.0, expo: 1.0, ..LINEAR };
        check(curve, 0.5, 0.125);
        check(curve, 1.0, 1.0);
        check(curve, -1.0, -1.0);
    }

    #[test]
    fn limit_and_direction_apply_after_the_curve() {
        let curve = Curve { dead_zone: 0.0, limit: 0.4, direction: Direction::Reversed, ..LINEAR };
        check(curve, 1.0, -0.4);
        check(curve, -0.5, 0.2);
    }

    #[test]
    fn trim_moves_the_steering_and_never_the_throttle() {
        let shaper = StickShaper { steer_trim: 0.1, ..StickShaper::default() };
        let intent = shaper.shape(&StickInput::default());
        assert_eq!((intent.throttle, intent.steer), (Axis::ZERO, Axis::new(0.1)));
    }

    #[test]
    fn buttons_become_their_flags() {
        let input = StickInput { deadman: true, horn: true, emergency_stop: true, ..StickInput::default() };
        let intent = StickShaper::default().shape(&input);
        assert_eq!(intent.flags, Flags::DEADMAN.with(Flags::HORN));
        assert_eq!(intent.stop, StopButton::Pressed);
    }

    fn any_curve() -> impl Strategy<Value = Curve> {
        let number = prop_oneof![0.0f32..1.0, Just(f32::NAN), -9.0f32..9.0];
        (number.clone(), number.clone(), number, any::<bool>()).prop_map(
            |(dead_zone, expo, limit, reversed)| {
                let direction = if reversed { Direction::Reversed } else { Direction::Normal };
                Curve { dead_zone, expo, limit, direction }
            },
        )
    }

    proptest! {
        #[test]
        fn every_curve_is_odd_and_bounded(curve in any_curve(), raw in -1.0f32..1.0) {
            let (plus, minus) = (curve.shape(Axis::new(raw)), curve.shape(Axis::new(-raw)));
            prop_assert_eq!(plus, minus.reversed());
            prop_assert!(plus.magnitude() <= 1.0);
        }

        #[test]
        fn every_curve_is_monotonic_and_has_no_jump(curve in any_curve(), raw in 0.0f32..0.999) {
            let (low, high) = (curve.shape(Axis::new(raw)), curve.shape(Axis::new(raw + 0.001)));
            let step = high.magnitude() - low.magnitude();
            // The steepest curve: dead zone 0.9 (ten times steeper), cubic at full travel (three times).
            prop_assert!((0.0..=0.031).contains(&step), "step {step}");
        }
    }
}
