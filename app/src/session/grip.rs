//! What the driver's hands mean at this moment: which device drives, whether it may, and the arm button.
//!
//! | window | effect |
//! |---|---|
//! | `Headless` | none: there is no window |
//! | `Granted` | devices drive |
//! | `Withheld` (no focus, another page) | everything released; only an emergency stop counts |
//! | `Hung` (no paint for 500 ms) | everything released; only an emergency stop counts |
//!
//! Whatever was released by that, or by an unplugged gamepad, moves nothing again before its deadman has been let go
//! once: a trigger still pressed when the focus returns is not a wish to drive.

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
    gamepad: Gate,
    keyboard: Gate,
    select: Select,
    hold: Hold,
    arm_was_down: bool,
    lights: bool,
    lights_were_down: bool,
}

/// Whether a device's deadman counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    /// Not before it is seen released.
    #[default]
    Shut,
    Open,
}

impl Gate {
    fn handle(&mut self, allowed: bool, intent: Intent) -> Intent {
        *self = match self {
            _ if !allowed => Self::Shut,
            Self::Shut if intent.deadman => Self::Shut,
            Self::Shut | Self::Open => Self::Open,
        };
        if *self == Self::Open { intent } else { intent.released() }
    }
}

impl Grip {
    /// Takes one reading; `armed` is whether the car is armed or on its way to it.
    pub fn handle(&mut self, reading: Reading, armed: bool, now: Instant) -> Meaning {
        let allowed = match reading.window {
            Window::Headless | Window::Granted => true,
            Window::Withheld | Window::Hung => false,
        };
        if reading.gamepad.is_none() {
            self.gamepad = Gate::Shut;
        }
        let gamepad = reading.gamepad.map(|intent| self.gamepad.handle(allowed, intent));
        let keyboard = self.keyboard.handle(allowed, reading.keyboard);
        let mut intent = self.select.handle(gamepad, keyboard);
        let arm = self.arm(allowed && (intent.arm || reading.screen_arm), armed, now);
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
            grip.handle(reading(Some(rest), rest, Window::Granted), true, start);
            let before = grip.handle(reading(Some(driving()), rest, Window::Granted), true, start);
            assert!(before.intent.deadman && before.intent.throttle == 0.5);
            let after = grip.handle(next, true, start + Duration::from_millis(4));
            assert_eq!(after.intent, Intent::default(), "{name}");
        }
    }

    #[test]
    fn a_deadman_held_through_a_loss_does_not_drive_again_before_it_was_let_go() {
        let start = Instant::now();
        let rest = Intent::default();
        for (name, lost) in [
            ("focus lost", reading(Some(driving()), rest, Window::Withheld)),
            ("window hung", reading(Some(driving()), rest, Window::Hung)),
            ("unplugged", reading(None, rest, Window::Granted)),
        ] {
            let held = reading(Some(driving()), rest, Window::Granted);
            let free = reading(Some(rest), rest, Window::Granted);
            let mut grip = Grip::default();
            let moves: Vec<bool> = [free, held, lost, held, held, free, held]
                .into_iter()
                .map(|reading| grip.handle(reading, true, start).intent.deadman)
                .collect();
            assert_eq!(moves, [false, true, false, false, false, false, true], "{name}");
        }
    }

    #[test]
    fn a_key_held_through_a_loss_of_focus_does_not_drive_again_before_it_was_let_go() {
        let start = Instant::now();
        let rest = Intent::default();
        let mut grip = Grip::default();
        let mut moves = Vec::new();
        for (keys, window) in [
            (rest, Window::Granted),
            (driving(), Window::Granted),
            (driving(), Window::Withheld),
            (driving(), Window::Granted),
            (rest, Window::Granted),
            (driving(), Window::Granted),
        ] {
            moves.push(grip.handle(reading(None, keys, window), true, start).intent.deadman);
        }
        assert_eq!(moves, [false, true, false, false, false, true]);
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
