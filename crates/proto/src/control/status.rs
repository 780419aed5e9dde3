//! What the robot says about itself: its state, why it is in it, and what stands against arming.

use serde::{Deserialize, Serialize};

/// The failsafe's state as the driver sees it (docs/SAFETY.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Outputs are at their failsafe widths until the driver arms.
    Disarmed(DisarmReason),
    /// The car follows fresh commands.
    Armed,
    /// 250 ms or more passed without a command: throttle neutral, until clean commands are back.
    LinkLoss,
    /// An emergency stop is latched until the driver resets it.
    Stopped,
}

/// Why the car is disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisarmReason {
    /// It has started and sends neutral so that speed controllers initialise.
    Boot,
    /// The driver disarmed it, or has not armed it yet.
    Driver,
    /// No command for 1500 ms.
    Silence,
    /// The lease went to someone else, was given back, or ran out.
    Lease,
    /// The driver's connection ended.
    DriverGone,
    /// The battery is empty.
    Battery,
    /// Something in the robot failed; see the faults.
    Fault,
    /// An emergency stop was reset.
    StopReset,
}

/// Why the robot does not arm, or does not do something else that it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Neutral is sent for the first 2 s.
    #[error("the robot is starting")]
    Starting,
    /// The asking peer does not hold the lease.
    #[error("another peer drives, or no one")]
    NoLease,
    /// No fresh command arrives.
    #[error("no fresh command has arrived")]
    NoCommands,
    /// The throttle is not at neutral.
    #[error("the throttle is not at neutral")]
    NotNeutral,
    /// The emergency stop is latched.
    #[error("the emergency stop is in force")]
    Stopped,
    /// Something in the robot has failed.
    #[error("the robot has a fault")]
    Fault,
    /// The battery is empty.
    #[error("the battery is empty")]
    Battery,
    /// The request was under way for too long to be the driver's present wish.
    #[error("the request arrived too late")]
    Stale,
    /// The peer or camera it names is not here.
    #[error("it names something that is not here")]
    NotHere,
    /// The peer's role does not allow it.
    #[error("this role is not allowed to")]
    Role,
    /// The message could not be read.
    #[error("the message could not be read")]
    Malformed,
    /// Too many peers, or too many messages.
    #[error("too many")]
    Limit,
}

/// Something in the robot that failed. Each disarms and stands against arming while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Fault {
    /// The actuator process does not answer.
    ActuatorSilent = 0,
    /// The actuator process sends neutral for its first 2 s.
    ActuatorStarting = 1,
    /// The outputs cannot be written.
    Output = 2,
    /// Reliable events came faster than they could be taken.
    EventsLost = 3,
}

impl Fault {
    /// Every fault, in the order of its bit.
    pub const ALL: [Self; 4] = [Self::ActuatorSilent, Self::ActuatorStarting, Self::Output, Self::EventsLost];
}

/// The faults present, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// From telemetry; unknown bits are kept, so that an unknown fault still reads as one.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is among them.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    /// These and `fault`.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u8)
    }

    /// These without `fault`.
    #[must_use]
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u8))
    }

    /// Those known here, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }
}

/// The wire codes of a status and its reason.
impl Status {
    pub(super) const fn to_wire(self) -> (u8, u8) {
        match self {
            Self::Disarmed(why) => (0, why as u8),
            Self::Armed => (1, 0),
            Self::LinkLoss => (2, 0),
            Self::Stopped => (3, 0),
        }
    }

    /// From the wire; a reason unknown here reads as [`DisarmReason::Fault`], a state unknown here is none.
    pub(super) fn from_wire(state: u8, reason: u8) -> Option<Self> {
        Some(match state {
            0 => Self::Disarmed(
                DISARM_REASONS.get(usize::from(reason)).copied().unwrap_or(DisarmReason::Fault),
            ),
            1 => Self::Armed,
            2 => Self::LinkLoss,
            3 => Self::Stopped,
            _ => return None,
        })
    }
}

/// In the order of their wire codes.
const DISARM_REASONS: [DisarmReason; 8] = [
    DisarmReason::Boot,
    DisarmReason::Driver,
    DisarmReason::Silence,
    DisarmReason::Lease,
    DisarmReason::DriverGone,
    DisarmReason::Battery,
    DisarmReason::Fault,
    DisarmReason::StopReset,
];

/// In the order of their wire codes, which begin at 1; 0 is "nothing stands against arming".
const REFUSALS: [Refusal; 12] = [
    Refusal::Starting,
    Refusal::NoLease,
    Refusal::NoCommands,
    Refusal::NotNeutral,
    Refusal::Stopped,
    Refusal::Fault,
    Refusal::Battery,
    Refusal::Stale,
    Refusal::NotHere,
    Refusal::Role,
    Refusal::Malformed,
    Refusal::Limit,
];

/// The wire code of what stands against arming.
pub(super) const fn refusal_to_wire(refusal: Option<Refusal>) -> u8 {
    match refusal {
        None => 0,
        Some(refusal) => refusal as u8 + 1,
    }
}

/// From the wire; a code unknown here reads as a fault.
pub(super) fn refusal_from_wire(code: u8) -> Option<Refusal> {
    let index = code.checked_sub(1)?;
    Some(REFUSALS.get(usize::from(index)).copied().unwrap_or(Refusal::Fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_the_wire() {
        let all = DISARM_REASONS.into_iter().map(Status::Disarmed).chain([
            Status::Armed,
            Status::LinkLoss,
            Status::Stopped,
        ]);
        for status in all {
            let (state, reason) = status.to_wire();
            assert_eq!(Status::from_wire(state, reason), Some(status));
        }
        assert_eq!(Status::from_wire(4, 0), None);
        assert_eq!(Status::from_wire(0, 200), Some(Status::Disarmed(DisarmReason::Fault)));
    }

    #[test]
    fn every_refusal_survives_the_wire() {
        for refusal in REFUSALS.into_iter().map(Some).chain([None]) {
            assert_eq!(refusal_from_wire(refusal_to_wire(refusal)), refusal);
        }
        assert_eq!(refusal_from_wire(99), Some(Refusal::Fault));
    }

    #[test]
    fn faults_come_and_go_one_by_one() {
        let both = Faults::NONE.with(Fault::Output).with(Fault::EventsLost);
        assert_eq!(both.iter().collect::<Vec<_>>(), [Fault::Output, Fault::EventsLost]);
        assert_eq!(both.without(Fault::EventsLost).iter().collect::<Vec<_>>(), [Fault::Output]);
        assert!(Faults::from_bits(1 << 15).iter().next().is_none() && !Faults::from_bits(1 << 15).is_empty());
    }
}
