//! Which of the driver's devices drives, when there are several.
//!
//! The device whose deadman (or arm button) was pushed last drives until it lets go and another one pushes; so a
//! knocked keyboard cannot steer against a gamepad. An emergency stop counts from any device, always.

use crate::input::Intent;

/// A device that may drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The chosen gamepad or wheel.
    Gamepad,
    /// The keyboard.
    Keyboard,
}

/// Chooses between gamepad and keyboard.
#[derive(Debug)]
pub struct Select {
    driving: Device,
}

impl Default for Select {
    fn default() -> Self {
        Self { driving: Device::Keyboard }
    }
}

impl Select {
    /// The device that drives.
    pub fn driving(&self) -> Device {
        self.driving
    }

    /// Takes what each device wants (no gamepad: `None`), gives what counts.
    pub fn handle(&mut self, gamepad: Option<Intent>, keyboard: Intent) -> Intent {
        let pad = gamepad.unwrap_or_default();
        let wants = |intent: &Intent| intent.deadman || intent.arm;
        self.driving = match self.driving {
            _ if gamepad.is_none() => Device::Keyboard,
            Device::Gamepad if !wants(&pad) && wants(&keyboard) => Device::Keyboard,
            Device::Keyboard if !wants(&keyboard) && wants(&pad) => Device::Gamepad,
            // A resting gamepad shows its sticks even before its deadman is held.
            Device::Keyboard if !wants(&keyboard) && pad != Intent::default() => Device::Gamepad,
            driving => driving,
        };
        let mut chosen = match self.driving {
            Device::Gamepad => pad,
            Device::Keyboard => keyboard,
        };
        chosen.estop = pad.estop || keyboard.estop;
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Intent = Intent {
        throttle: 0.0,
        steer: 0.0,
        pan: 0.0,
        tilt: 0.0,
        deadman: false,
        arm: false,
        estop: false,
        brake: false,
        boost: false,
        lights: false,
        horn: false,
    };
    const PAD: Intent = Intent { deadman: true, throttle: 0.5, ..REST };
    const KEYS: Intent = Intent { deadman: true, throttle: -0.2, ..REST };

    #[test]
    fn the_device_that_holds_its_deadman_keeps_driving() {
        let mut select = Select::default();
        for (gamepad, keyboard, want) in [
            (None, KEYS, KEYS),
            (Some(PAD), KEYS, KEYS),
            (Some(PAD), REST, PAD),
            (Some(PAD), KEYS, PAD),
            (Some(REST), KEYS, KEYS),
            (Some(PAD), REST, PAD),
            // The gamepad is unplugged in the middle of a turn: nothing is held any more.
            (None, REST, REST),
        ] {
            assert_eq!(select.handle(gamepad, keyboard), want, "{gamepad:?} {keyboard:?}");
        }
    }

    #[test]
    fn an_emergency_stop_counts_from_any_device() {
        let mut select = Select::default();
        let stop = Intent { estop: true, ..REST };
        assert!(select.handle(Some(PAD), stop).estop);
        assert!(select.handle(Some(stop), KEYS).estop);
        assert!(!select.handle(Some(PAD), KEYS).estop);
    }
}
