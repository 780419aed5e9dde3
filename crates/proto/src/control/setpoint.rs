//! What the car is allowed to do.

use super::Axis;

/// What the car is allowed to do for the moment. Only [`super::Failsafe`] makes one, besides [`Setpoint::SAFE`];
/// the actuator process gets it by the datagram of [`super::actuator::Message`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setpoint {
    pub(super) throttle: Demand,
    pub(super) steer: Demand,
    pub(super) brake: Axis,
    pub(super) authority: Axis,
    pub(super) pan: Axis,
    pub(super) tilt: Axis,
    pub(super) switches: Switches,
}

/// What one of the car's axes shall do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// Go to the failsafe pulse width: absolute, neither trimmed nor reversed, at once.
    Safe,
    /// Follow the driver, at the slew rate.
    Live(Axis),
}

/// Outputs that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Lights.
    pub lights: bool,
    /// Horn.
    pub horn: bool,
    /// The freely used output.
    pub aux: bool,
}

impl Demand {
    /// The value, zero for safe.
    pub const fn axis(self) -> Axis {
        match self {
            Self::Safe => Axis::ZERO,
            Self::Live(axis) => axis,
        }
    }
}

impl Setpoint {
    /// Throttle and steering at their failsafe widths, everything else off.
    pub const SAFE: Self = Self {
        throttle: Demand::Safe,
        steer: Demand::Safe,
        brake: Axis::ZERO,
        authority: Axis::ZERO,
        pan: Axis::ZERO,
        tilt: Axis::ZERO,
        switches: Switches { lights: false, horn: false, aux: false },
    };

    /// Throttle, forward positive, limits and governor applied.
    pub const fn throttle(&self) -> Demand {
        self.throttle
    }

    /// Steering, right positive.
    pub const fn steer(&self) -> Demand {
        self.steer
    }

    /// Brake, in [0, 1]; the throttle is neutral while it is not zero.
    pub const fn brake(&self) -> Axis {
        self.brake
    }

    /// Share of full drive that the driver has at the moment, in [0, 1]: zero without the dead man's control. Where
    /// steering moves the car (tracks), it counts no more than this.
    pub const fn authority(&self) -> Axis {
        self.authority
    }

    /// Camera to the right positive.
    pub const fn pan(&self) -> Axis {
        self.pan
    }

    /// Camera up positive.
    pub const fn tilt(&self) -> Axis {
        self.tilt
    }

    /// Outputs that are on or off.
    pub const fn switches(&self) -> Switches {
        self.switches
    }
}
