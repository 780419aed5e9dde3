//! State of the controller page: devices, live positions, mapping, wizard.

use crate::input::Intent;
use crate::input::profile::{Profile, Sample};
use crate::input::wizard;

/// The controller page.
#[derive(Clone, Debug, Default)]
pub struct Gamepad {
    /// Connected devices, in the order they are listed.
    pub devices: Vec<Device>,
    /// Index of the device that drives; the page shows it.
    pub active: Option<usize>,
    /// What would be sent: the active device's (or the keyboard's) values after dead zone, expo, trim and limits.
    pub shaped: Intent,
    /// Why no controller can be found, if the system is the reason.
    pub unavailable: Option<String>,
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
    /// Its profile's key in the settings (`settings::profile_key`).
    pub key: String,
    /// As the system names it.
    pub name: String,
    /// Live raw positions.
    pub sample: Sample,
    /// What each element does.
    pub profile: Profile,
    /// Whether it can vibrate.
    pub rumble: bool,
}

/// What the mapping wizard shows (`input::wizard::Wizard` is the machine).
#[derive(Clone, Debug, PartialEq)]
pub struct Wizard {
    /// Where it is.
    pub state: wizard::State,
    /// What the driver should do, one sentence.
    pub prompt: String,
    /// What was wrong with the last movement.
    pub complaint: Option<String>,
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
}
