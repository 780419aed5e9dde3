//! From setpoint to pulse widths.

use serde::{Deserialize, Serialize};

use super::Axis;
use super::setpoint::{Demand, Setpoint, Switches};
use super::stick::Direction;

/// A servo pulse width, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pulse(u16);

impl Pulse {
    /// The width in µs.
    pub const fn us(self) -> u16 {
        self.0
    }

    /// As a share of the standard range: 1000 µs is -1, 1500 is 0, 2000 is 1; for outputs that take no pulses.
    pub fn axis(self) -> Axis {
        Axis::new((f32::from(self.0) - 1500.0) / 500.0)
    }
}

/// What the outputs shall be, made by [`Mixer`] alone; drives apply nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duty {
    outputs: [Pulse; 4],
    brake: Axis,
    switches: Switches,
}

impl Duty {
    /// The pulses: steering, throttle, pan, tilt of [`Profile::Ackermann`]; left, right, pan, tilt of
    /// [`Profile::Tank`].
    pub const fn outputs(&self) -> [Pulse; 4] {
        self.outputs
    }

    /// Brake in [0, 1], for drives that brake by another way than the pulse, which already does.
    pub const fn brake(&self) -> Axis {
        self.brake
    }

    /// Outputs that are on or off.
    pub const fn switches(&self) -> Switches {
        self.switches
    }
}

/// How a car is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A steering servo and one speed controller.
    Ackermann,
    /// Two tracks or wheels, left and right.
    Tank,
}

/// One pulse output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    /// Shortest pulse, in µs.
    pub min_us: u16,
    /// Pulse of the middle, in µs.
    pub neutral_us: u16,
    /// Longest pulse, in µs.
    pub max_us: u16,
    /// Added to each pulse but the failsafe one, in µs; at most 200 either way.
    pub trim_us: i16,
    /// Which way the output counts; the failsafe pulse is the same either way.
    pub direction: Direction,
    /// Pulse of the failsafe, in µs: absolute, never trimmed, never reversed.
    pub failsafe_us: u16,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            min_us: 1000,
            neutral_us: 1500,
            max_us: 2000,
            trim_us: 0,
            direction: Direction::Normal,
            failsafe_us: 1500,
        }
    }
}

/// A channel cannot be used safely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The pulses are not in order or not ones a servo knows.
    #[error("{name} has pulses {min_us}, {neutral_us}, {max_us} us, want 500 <= min < neutral < max <= 2500")]
    Order {
        /// Which output.
        name: &'static str,
        /// Shortest.
        min_us: u16,
        /// Middle.
        neutral_us: u16,
        /// Longest.
        max_us: u16,
    },
    /// The trim is too large.
    #[error("{name} has a trim of {trim_us} us, want at most 200")]
    Trim {
        /// Which output.
        name: &'static str,
        /// The trim.
        trim_us: i16,
    },
    /// The failsafe pulse would move the car, or is outside the channel's range.
    #[error("{name} has a failsafe pulse of {failsafe_us} us, want {low} to {high}")]
    Failsafe {
        /// Which output.
        name: &'static str,
        /// The failsafe pulse.
        failsafe_us: u16,
        /// Lowest allowed.
        low: u16,
        /// Highest allowed.
        high: u16,
    },
}

/// The outputs of a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    profile: Profile,
    channels: [Channel; 4],
}

impl Config {
    /// Channels in the order of [`Duty::outputs`].
    ///
    /// # Errors
    /// When one cannot be used safely: a failsafe pulse that drives, for one.
    pub fn new(profile: Profile, channels: [Channel; 4]) -> Result<Self, ChannelError> {
        let drives: [(&'static str, bool); 4] = match profile {
            Profile::Ackermann => [("steering", false), ("throttle", true), ("pan", false), ("tilt", false)],
            Profile::Tank => [("left", true), ("right", true), ("pan", false), ("tilt", false)],
        };
        for (&(name, drives), channel) in drives.iter().zip(&channels) {
            channel.check(name, if drives { Kind::Motor } else { Kind::Servo })?;
        }
        Ok(Self { profile, channels })
    }

    /// How the car is driven.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The channels, in the order of [`Duty::outputs`].
    pub const fn channels(&self) -> &[Channel; 4] {
        &self.channels
    }
}

enum Kind {
    Motor,
    Servo,
}

impl Channel {
    fn check(&self, name: &'static str, kind: Kind) -> Result<(), ChannelError> {
        let Self { min_us, neutral_us, max_us, trim_us, failsafe_us, .. } = *self;
        if !(min_us >= 500 && min_us < neutral_us && neutral_us < max_us && max_us <= 2500) {
            return Err(ChannelError::Order { name, min_us, neutral_us, max_us });
        }
        if trim_us.unsigned_abs() > TRIM_MAX_US {
            return Err(ChannelError::Trim { name, trim_us });
        }
        let (low, high) = match kind {
            Kind::Motor => (neutral_us - FAILSAFE_OFF_NEUTRAL_US, neutral_us + FAILSAFE_OFF_NEUTRAL_US),
            Kind::Servo => (min_us, max_us),
        };
        if !(low..=high).contains(&failsafe_us) {
            return Err(ChannelError::Failsafe { name, failsafe_us, low, high });
        }
        Ok(())
    }

    /// The trimmed and directed pulse for `axis`.
    fn pulse(&self, axis: Axis) -> Pulse {
        self.clamped(axis, f32::from(self.trim_us))
    }

    fn clamped(&self, axis: Axis, trim_us: f32) -> Pulse {
        let axis = match self.direction {
            Direction::Normal => axis.get(),
            Direction::Reversed => -axis.get(),
        };
        let [min, neutral, max] = [self.min_us, self.neutral_us, self.max_us].map(f32::from);
        let travel = if axis < 0.0 { neutral - min } else { max - neutral };
        Pulse((neutral + trim_us + axis * travel).round().clamp(min, max) as u16)
    }

    fn follow(&self, demand: Demand) -> Pulse {
        match demand {
            Demand::Safe => Pulse(self.failsafe_us),
            Demand::Live(axis) => self.pulse(axis),
        }
    }
}

/// Turns setpoints into pulses.
#[derive(Debug)]
pub struct Mixer {
    config: Config,
}

impl Mixer {
    /// A mixer for a car's outputs.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// The pulses for `setpoint`.
    ///
    /// | demand | pulse |
    /// |---|---|
    /// | safe | the failsafe pulse: absolute |
    /// | live | middle + trim + axis x travel, in the output's direction |
    /// | brake, Ackermann | the throttle's opposite, untrimmed |
    /// | throttle safe, tank | both failsafe pulses, whatever the steering says: it would turn the car |
    pub fn mix(&self, setpoint: &Setpoint) -> Duty {
        let [first, second, pan, tilt] = &self.config.channels;
        let driven = match self.config.profile {
            Profile::Ackermann => {
                let throttle = if setpoint.brake > Axis::ZERO {
                    second.clamped(setpoint.brake.reversed(), 0.0)
                } else {
                    second.follow(setpoint.throttle)
                };
                [first.follow(setpoint.steer), throttle]
            }
            Profile::Tank => match setpoint.throttle {
                Demand::Safe => [Pulse(first.failsafe_us), Pulse(second.failsafe_us)],
                Demand::Live(throttle) => {
                    let turn = setpoint.steer.axis().get() * setpoint.authority.get();
                    [
                        first.pulse(Axis::new(throttle.get() + turn)),
                        second.pulse(Axis::new(throttle.get() - turn)),
                    ]
                }
            },
        };
        let [a, b] = driven;
        Duty {
            outputs: [a, b, pan.pulse(setpoint.pan), tilt.pulse(setpoint.tilt)],
            brake: setpoint.brake,
            switches: setpoint.switches,
        }
    }

    /// The failsafe pulses: what is written at the start, on silence and at the end.
    pub fn safe(&self) -> Duty {
        self.mix(&Setpoint::SAFE)
    }
}

/// Largest trim, in µs: more hides a mechanical fault.
const TRIM_MAX_US: u16 = 200;
/// How far a motor's failsafe pulse may be from its middle, in µs: within every speed controller's dead band.
const FAILSAFE_OFF_NEUTRAL_US: u16 = 25;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(throttle: f32, steer: f32) -> Setpoint {
        Setpoint {
            throttle: Demand::Live(Axis::new(throttle)),
            steer: Demand::Live(Axis::new(steer)),
            authority: Axis::new(0.4),
            ..Setpoint::SAFE
        }
    }

    fn check(profile: Profile, channels: [Channel; 2], setpoint: Setpoint, want: [u16; 2]) {
        let [first, second] = channels;
        let config = Config::new(profile, [first, second, Channel::default(), Channel::default()]).unwrap();
        let [a, b, ..] = Mixer::new(config).mix(&setpoint).outputs();
        assert_eq!([a.us(), b.us()], want, "{profile:?} {setpoint:?}");
    }

    const PLAIN: Channel = Channel {
        min_us: 1000,
        neutral_us: 1500,
        max_us: 2000,
        trim_us: 0,
        direction: Direction::Normal,
        failsafe_us: 1500,
    };
    const ODD: Channel = Channel { trim_us: 40, direction: Direction::Reversed, ..PLAIN };

    #[test]
    fn ackermann_pulses_follow_the_axes() {
        check(Profile::Ackermann, [PLAIN; 2], live(0.4, -1.0), [1000, 1700]);
        check(Profile::Ackermann, [PLAIN; 2], live(-0.3, 0.5), [1750, 1350]);
        check(Profile::Ackermann, [ODD; 2], live(0.4, 0.0), [1540, 1340]);
    }

    #[test]
    fn failsafe_pulses_are_never_trimmed_or_inverted() {
        check(Profile::Ackermann, [ODD; 2], Setpoint::SAFE, [1500, 1500]);
        let aside = Channel { failsafe_us: 1300, ..ODD };
        check(
            Profile::Ackermann,
            [aside, Channel { failsafe_us: 1510, ..ODD }],
            Setpoint::SAFE,
            [1300, 1510],
        );
        check(Profile::Tank, [ODD; 2], Setpoint::SAFE, [1500, 1500]);
    }

    #[test]
    fn a_failsafe_pulse_that_drives_is_refused() {
        let config = |failsafe_us| {
            let motor = Channel { failsafe_us, ..PLAIN };
            Config::new(Profile::Ackermann, [PLAIN, motor, PLAIN, PLAIN])
        };
        assert!(config(1475).is_ok() && config(1525).is_ok());
        assert_eq!(
            config(1526).unwrap_err().to_string(),
            "throttle has a failsafe pulse of 1526 us, want 1475 to 1525"
        );
        assert!(config(1474).is_err() && config(2000).is_err() && config(0).is_err());
    }

    #[test]
    fn channels_out_of_order_or_far_trimmed_are_refused() {
        let config = |channel| Config::new(Profile::Tank, [channel, PLAIN, PLAIN, PLAIN]).map(|_| ());
        for channel in [
            Channel { min_us: 1500, ..PLAIN },
            Channel { max_us: 1500, ..PLAIN },
            Channel { min_us: 499, ..PLAIN },
            Channel { max_us: 2501, ..PLAIN },
            Channel { trim_us: 201, ..PLAIN },
            Channel { trim_us: i16::MIN, ..PLAIN },
        ] {
            assert!(config(channel).is_err(), "{channel:?}");
        }
        assert_eq!(config(Channel { trim_us: -200, ..PLAIN }), Ok(()));
    }

    #[test]
    fn braking_pushes_the_throttle_the_other_way() {
        let braking = Setpoint { brake: Axis::new(0.3), ..live(0.0, 0.0) };
        check(Profile::Ackermann, [PLAIN; 2], braking, [1500, 1350]);
        check(Profile::Ackermann, [PLAIN, ODD], braking, [1500, 1650]);
    }

    #[test]
    fn tank_steering_never_turns_a_car_that_must_stand() {
        let held = Setpoint { throttle: Demand::Safe, ..live(0.0, 1.0) };
        check(Profile::Tank, [PLAIN; 2], held, [1500, 1500]);
        let released = Setpoint { authority: Axis::ZERO, ..live(0.0, 1.0) };
        check(Profile::Tank, [PLAIN; 2], released, [1500, 1500]);
        check(Profile::Tank, [PLAIN; 2], live(0.0, 1.0), [1700, 1300]);
        check(Profile::Tank, [PLAIN; 2], live(0.4, 1.0), [1900, 1500]);
    }

    proptest! {
        #[test]
        fn every_pulse_is_within_its_channel(throttle in -1.0f32..1.0, steer in -1.0f32..1.0, trim_us in -200i16..200, reversed: bool) {
            let direction = if reversed { Direction::Reversed } else { Direction::Normal };
            let channel = Channel { trim_us, direction, ..PLAIN };
            for profile in [Profile::Ackermann, Profile::Tank] {
                let config = Config::new(profile, [channel; 4]).unwrap();
                for pulse in Mixer::new(config).mix(&live(throttle, steer)).outputs() {
                    prop_assert!((1000..=2000).contains(&pulse.us()));
                }
            }
        }
    }
}
