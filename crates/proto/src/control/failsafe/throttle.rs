//! How much throttle and brake there is: limits, battery, governor.

use super::battery::LIMITED_THROTTLE;
use super::{Failsafe, Heading, Sight, loop_share, picture_share};
use crate::control::Axis;
use crate::control::command::{Controls, Flags};
use crate::control::telemetry::BatteryLevel;

/// What a command asks for, within what is allowed.
pub(super) struct Wanted {
    pub(super) authority: Axis,
    pub(super) brake: Axis,
}

impl Failsafe {
    /// Authority and brake that `controls` ask for, within limits and governor.
    pub(super) fn wanted(&self, controls: Controls) -> Wanted {
        let Controls { flags, throttle, .. } = controls;
        if !flags.contains(Flags::DEADMAN) {
            Wanted { authority: Axis::ZERO, brake: Axis::ZERO }
        } else if flags.contains(Flags::BRAKE) {
            Wanted { authority: Axis::ZERO, brake: self.brake(Axis::MAX) }
        } else {
            let authority = Axis::new(self.limit(throttle, flags) * self.governor());
            Wanted { authority, brake: Axis::ZERO }
        }
    }

    /// The brake that may be used: a speed controller may take it for reverse, so it is within the reverse limit,
    /// and none while the car may be rolling backward.
    pub(super) fn brake(&self, strength: Axis) -> Axis {
        match self.heading {
            Heading::Forward => Axis::new(strength.magnitude().min(self.config.limits.reverse().get())),
            Heading::Unknown | Heading::Reverse => Axis::ZERO,
        }
    }

    /// Share of full throttle that the whole stick gives in the direction of `throttle`.
    pub(super) fn limit(&self, throttle: Axis, flags: Flags) -> f32 {
        let limits = self.config.limits;
        let limit = if throttle < Axis::ZERO {
            limits.reverse()
        } else if flags.contains(Flags::BOOST) {
            limits.boost()
        } else {
            limits.forward()
        };
        match self.battery_level() {
            BatteryLevel::Limited | BatteryLevel::Empty => limit.get().min(LIMITED_THROTTLE),
            BatteryLevel::Unknown | BatteryLevel::Good | BatteryLevel::Warn => limit.get(),
        }
    }

    /// Share of throttle that latency leaves.
    pub(super) fn governor(&self) -> f32 {
        let Some(last) = self.last else { return 0.0 };
        let by_loop = loop_share(last.loop_age);
        match self.config.sight {
            Sight::Video => by_loop.min(picture_share(last.picture_age)),
            Sight::LineOfSight => by_loop,
        }
    }
}
