//! From stick to motor: commands, telemetry, events, lease, failsafe, governor, mixer and slew.
//!
//! ```text
//! DRIVER                                                ROBOT
//! StickInput -> StickShaper -> Intent                   Helm { Lease, Failsafe }
//!   -> CommandSender -> DriveCommand -- `control` -->     -> Setpoint -- actuator::Message -->
//!                                                       ActuatorCore { Slew, Mixer } -> Duty
//! ```
//!
//! Only [`Failsafe`] makes a [`Setpoint`], only [`Mixer`] makes a [`Duty`]: nothing else can move the car.

pub mod actuator;
mod axis;
pub mod command;
pub mod event;
pub mod failsafe;
pub mod helm;
pub mod lease;
pub mod link_report;
pub mod mixer;
pub mod path_counts;
pub mod place;
pub mod probe;
pub mod receiver_report;
pub mod sender;
pub mod setpoint;
pub mod slew;
pub mod status;
pub mod stick;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod test;
mod wire;

pub use actuator::ActuatorCore;
pub use axis::Axis;
pub use command::{DriveCommand, Flags};
pub use event::{Event, Role};
pub use failsafe::Failsafe;
pub use helm::Helm;
pub use lease::Lease;
pub use link_report::LinkReport;
pub use mixer::{Duty, Mixer};
pub use path_counts::PathCounts;
pub use receiver_report::ReceiverReport;
pub use sender::CommandSender;
pub use setpoint::Setpoint;
pub use slew::Slew;
pub use status::{DisarmReason, Fault, Faults, Refusal, Status};
pub use stick::{Intent, StickInput, StickShaper};
pub use telemetry::Telemetry;
pub use wire::DatagramError;
