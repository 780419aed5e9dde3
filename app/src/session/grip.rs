//! What the driver's hands mean at this moment: which device drives, whether it may, and the arm button.
//!
//! | window | effect |
//! |---|---|
//! | `Headless` | none: there is no window |
//! | `Granted` | devices drive |
//! | `Withheld` (no focus, another page) | everything released; only an emergency stop counts |
//! | `Hung` (no paint for 500 ms) | everything released; only an emergency stop counts |

use std::time::Instant;

use farwheel_proto::control::stick::ArmSwitch;

use crate::input::Intent;
use crate::input::hold::Hold;
use crate::input::select::{Device, Select};

/// Whether the window lets the devices drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// There is none.
    Headless,
    /// It has the focus and lives.
    Granted,
    /// It has lost the focus, or shows another page.
    Withheld,
    /// It does not paint any more.
    Hung,
}

/// All that the hands do at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The chosen gamepad, if one is connected.
    pub gamepad: Option<Intent>,
    /// The keyboard.
    pub keyboard: Intent,
    /// Whether the arm control on screen is held.
    pub screen_arm: bool,
    /// Whether the window lets them drive.
    pub window: Window,
}

/// What it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meaning {
    /// Sticks and buttons that count.
    pub intent: Intent,
    /// What the arm control asks for.
    pub arm: ArmSwitch,
    /// Which device they are of.
    pub device: Device,
}

/// Remembers what was held before.
#[derive(Debug, Default)]
pub struct Grip {
    select: Select,
    hold: Hold,
    arm_was_down: bool,
    lights: bool,
    lights_were_down: bool,
}

impl Grip {
    /// Takes one reading; `armed` is whether the car is armed or on its way to it.
    pub fn handle(&mut self, reading: Reading, armed: bool, now: Instant) -> Meaning {
        let chosen = self.select.handle(reading.gamepad, reading.keyboard);
        let allowed = match reading.window {
            Window::Headless | Window::Granted => true,
            Window::Withheld | Window::Hung => false,
        };
        let mut intent = if allowed { chosen } else { chosen.released() };
        let arm = self.arm(allowed && (chosen.arm || reading.screen_arm), armed, now);
        if intent.lights && !self.lights_were_down {
            self.lights = !self.lights;
        }
        self.lights_were_down = intent.lights;
        intent.lights = self.lights;
        Meaning { intent, arm, device: self.select.driving() }
    }

    /// How far "hold to arm" has come, 0 to 1.
    pub fn progress(&self, now: Instant) -> f32 {
        self.hold.progress(now)
    }

    /// Held for a second it arms; a push while armed disarms at once.
    fn arm(&mut self, is_down: bool, armed: bool, now: Instant) -> ArmSwitch {
        let pushed = is_down && !self.arm_was_down;
        self.arm_was_down = is_down;
        if pushed && armed {
            self.hold = Hold::Spent;
            return ArmSwitch::Disarm;
        }
        if self.hold.handle(is_down, now) && !armed { ArmSwitch::Arm } else { ArmSwitch::Untouched }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn driving() -> Intent {
        Intent { throttle: 0.5, steer: 0.2, deadman: true, ..Intent::default() }
    }

    fn reading(gamepad: Option<Intent>, keyboard: Intent, window: Window) -> Reading {
        Reading { gamepad, keyboard, screen_arm: false, window }
    }

    #[test]
    fn focus_loss_a_hung_window_and_an_unplugged_gamepad_release_the_deadman() {
        let start = Instant::now();
        let rest = Intent::default();
        for (name, next) in [
            ("focus lost", reading(Some(driving()), rest, Window::Withheld)),
            ("window hung", reading(Some(driving()), rest, Window::Hung)),
            ("unplugged", reading(None, rest, Window::Granted)),
            ("unplugged without a window", reading(None, rest, Window::Headless)),
        ] {
            let mut grip = Grip::default();
            let before = grip.handle(reading(Some(driving()), rest, Window::Granted), true, start);
            assert!(before.intent.deadman && before.intent.throttle == 0.5);
            let after = grip.handle(next, true, start + Duration::from_millis(4));
            assert_eq!(after.intent, Intent::default(), "{name}");
        }
    }

    #[test]
    fn an_emergency_stop_counts_even_without_focus() {
        let mut grip = Grip::default();
        let stop = Intent { estop: true, ..driving() };
        let meaning =
            grip.handle(reading(Some(stop), Intent::default(), Window::Withheld), true, Instant::now());
        assert!(meaning.intent.estop && !meaning.intent.deadman && meaning.intent.throttle == 0.0);
    }

    #[test]
    fn holding_arms_and_a_push_while_armed_disarms() {
        let start = Instant::now();
        let mut grip = Grip::default();
        let mut seen = Vec::new();
        let mut armed = false;
        for ms in (0..4000).step_by(10) {
            let down = (100..1500).contains(&ms) || (2000..3800).contains(&ms);
            let reading = Reading { screen_arm: down, ..reading(None, Intent::default(), Window::Granted) };
            match grip.handle(reading, armed, start + Duration::from_millis(ms)).arm {
                ArmSwitch::Untouched => {}
                ArmSwitch::Arm => {
                    armed = true;
                    seen.push((ms, "arm"));
                }
                ArmSwitch::Disarm => {
                    armed = false;
                    seen.push((ms, "disarm"));
                }
            }
        }
        assert_eq!(seen, [(1100, "arm"), (2000, "disarm")], "one push does not do both");
    }

    #[test]
    fn lights_change_with_each_push() {
        let start = Instant::now();
        let mut grip = Grip::default();
        let mut on = Vec::new();
        for (ms, down) in [(0, false), (10, true), (20, true), (30, false), (40, true), (50, false)] {
            let keys = Intent { lights: down, ..Intent::default() };
            let meaning =
                grip.handle(reading(None, keys, Window::Granted), false, start + Duration::from_millis(ms));
            on.push(meaning.intent.lights);
        }
        assert_eq!(on, [false, true, true, true, false, false]);
    }
}
