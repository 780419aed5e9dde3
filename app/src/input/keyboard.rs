//! Driving with the keyboard: keys become ramped sticks.
//!
//! | keys | do |
//! |---|---|
//! | W, Up | forward |
//! | S, Down | reverse |
//! | A, Left / D, Right | steer |
//! | Space | brake |
//! | Left Shift | boost |
//! | Enter, held 1 s | arm |
//! | Escape, Backspace | emergency stop |
//! | Q / E, R / F | pan, tilt |
//! | L / H | lights, horn |
//!
//! **Deadman**: it is held as long as any of W, A, S, D, an arrow or Space is. Releasing all of them releases the
//! deadman, which is neutral at once: hands off the keyboard stop the car.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::input::{Intent, fit};

/// One key that does something while driving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    /// W or Up.
    Forward,
    /// S or Down.
    Reverse,
    /// A or Left.
    Left,
    /// D or Right.
    Right,
    /// Space.
    Brake,
    /// Left Shift.
    Boost,
    /// Enter.
    Arm,
    /// Escape or Backspace.
    EmergencyStop,
    /// Q.
    PanLeft,
    /// E.
    PanRight,
    /// R.
    TiltUp,
    /// F.
    TiltDown,
    /// L.
    Lights,
    /// H.
    Horn,
}

/// The set of keys that are down; fits an atomic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys(pub u32);

impl Keys {
    /// No key.
    pub const NONE: Self = Self(0);

    /// The same with `key` down.
    #[must_use]
    pub const fn with(self, key: Key) -> Self {
        Self(self.0 | 1 << key as u8)
    }

    /// Whether `key` is down.
    pub const fn has(self, key: Key) -> bool {
        self.0 & 1 << key as u8 != 0
    }

    fn any(self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.has(*key))
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        keys.into_iter().fold(Self::NONE, Self::with)
    }
}

/// How fast the virtual sticks follow the keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Full steering travels per second toward the pushed side.
    pub steer_attack: f32,
    /// Full steering travels per second back to the centre, also on the way to the other side.
    pub steer_release: f32,
    /// Full throttle travels per second while pushed; release is at once.
    pub throttle_attack: f32,
    /// Throttle reached by the keys without boost; [0.1, 1].
    pub throttle_max: f32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { steer_attack: 2.5, steer_release: 6.0, throttle_attack: 2.5, throttle_max: 0.8 }
    }
}

impl Rates {
    /// The same with every number forced into its range, as a file may hold anything.
    pub fn clamped(self) -> Self {
        let default = Self::default();
        Self {
            steer_attack: fit(self.steer_attack, 0.2, 50.0, default.steer_attack),
            steer_release: fit(self.steer_release, 0.2, 50.0, default.steer_release),
            throttle_attack: fit(self.throttle_attack, 0.2, 50.0, default.throttle_attack),
            throttle_max: fit(self.throttle_max, 0.1, 1.0, default.throttle_max),
        }
    }
}

/// Virtual sticks that keys push.
#[derive(Debug)]
pub struct Keyboard {
    rates: Rates,
    keys: Keys,
    steer: f32,
    throttle: f32,
    moved_to: Option<Instant>,
}

impl Keyboard {
    /// Sticks at rest.
    pub fn new(rates: Rates) -> Self {
        Self { rates: rates.clamped(), keys: Keys::NONE, steer: 0.0, throttle: 0.0, moved_to: None }
    }

    /// Changes the rates.
    pub fn set_rates(&mut self, rates: Rates) {
        self.rates = rates.clamped();
    }

    /// Takes the keys that are down from `now` on; the sticks move up to `now` with the keys before.
    pub fn handle_keys(&mut self, keys: Keys, now: Instant) {
        self.advance(now);
        self.keys = keys;
        if !keys.has(Key::Forward) && !keys.has(Key::Reverse) {
            self.throttle = 0.0;
        }
        if !deadman(keys) {
            // Hands off: nothing is left in the sticks for the next press to start from.
            self.steer = 0.0;
        }
    }

    /// What the driver wants at `now`.
    pub fn intent(&mut self, now: Instant) -> Intent {
        self.advance(now);
        let keys = self.keys;
        let pair = |plus, minus| f32::from(i8::from(keys.has(plus)) - i8::from(keys.has(minus)));
        Intent {
            throttle: self.throttle,
            steer: self.steer,
            pan: pair(Key::PanRight, Key::PanLeft),
            tilt: pair(Key::TiltUp, Key::TiltDown),
            deadman: deadman(keys),
            arm: keys.has(Key::Arm),
            estop: keys.has(Key::EmergencyStop),
            brake: keys.has(Key::Brake),
            boost: keys.has(Key::Boost),
            lights: keys.has(Key::Lights),
            horn: keys.has(Key::Horn),
        }
    }

    fn advance(&mut self, now: Instant) {
        let spent =
            self.moved_to.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)).min(STEP_MAX);
        self.moved_to = Some(now);
        let dt = spent.as_secs_f32();
        let want = f32::from(i8::from(self.keys.has(Key::Right)) - i8::from(self.keys.has(Key::Left)));
        self.steer = follow(self.steer, want, self.rates.steer_attack, self.rates.steer_release, dt);
        let want = f32::from(i8::from(self.keys.has(Key::Forward)) - i8::from(self.keys.has(Key::Reverse)));
        let top = if self.keys.has(Key::Boost) { 1.0 } else { self.rates.throttle_max };
        self.throttle = follow(self.throttle, want * top, self.rates.throttle_attack, f32::INFINITY, dt);
    }
}

/// Moves `at` toward `want` for `dt` seconds: away from zero with `attack`, toward zero with `release` per second.
fn follow(at: f32, want: f32, attack: f32, release: f32, dt: f32) -> f32 {
    let shrinking = at != 0.0 && (want == 0.0 || want.signum() != at.signum() || want.abs() < at.abs());
    if !shrinking {
        let step = attack * dt;
        return if want > at { (at + step).min(want) } else { (at - step).max(want) };
    }
    // Toward zero first, and no further than `want` when that lies on the same side.
    let stop = if want.signum() == at.signum() { want } else { 0.0 };
    let distance = (at - stop).abs();
    let needed = if release.is_infinite() { 0.0 } else { distance / release };
    if needed > dt {
        return at - (at - stop).signum() * release * dt;
    }
    if stop == want { want } else { follow(0.0, want, attack, release, dt - needed) }
}

fn deadman(keys: Keys) -> bool {
    keys.any(&[Key::Forward, Key::Reverse, Key::Left, Key::Right, Key::Brake])
}

/// A pause longer than this (a stopped process) moves the sticks only this far.
const STEP_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `(at_ms, keys down from then on)` and returns the intent at `read_ms`.
    fn play(presses: &[(u64, &[Key])], read_ms: u64) -> Intent {
        let start = Instant::now();
        let mut keyboard = Keyboard::new(Rates {
            steer_attack: 2.0,
            steer_release: 5.0,
            throttle_attack: 2.0,
            throttle_max: 0.8,
        });
        let mut down = Keys::NONE;
        for ms in 0..=read_ms {
            if let Some((_, keys)) = presses.iter().rev().find(|(at, _)| *at <= ms) {
                down = keys.iter().copied().collect();
            }
            keyboard.handle_keys(down, start + Duration::from_millis(ms));
        }
        keyboard.intent(start + Duration::from_millis(read_ms))
    }

    #[test]
    fn sticks_ramp_release_and_reverse_as_the_table_says() {
        use Key::{Boost, Brake, Forward, Left, Reverse, Right};
        type Case = (&'static [(u64, &'static [Key])], u64, f32, f32);
        let cases: &[Case] = &[
            // presses, read at, throttle, steer
            (&[(0, &[])], 500, 0.0, 0.0),
            (&[(0, &[Right])], 100, 0.0, 0.2),
            (&[(0, &[Right])], 500, 0.0, 1.0),
            (&[(0, &[Right])], 900, 0.0, 1.0),
            (&[(0, &[Forward])], 200, 0.4, 0.0),
            (&[(0, &[Forward])], 900, 0.8, 0.0),
            (&[(0, &[Forward, Boost])], 900, 1.0, 0.0),
            (&[(0, &[Reverse])], 900, -0.8, 0.0),
            // Released throttle is neutral at once.
            (&[(0, &[Forward, Left]), (600, &[Left])], 601, 0.0, -1.0),
            // Steering returns at the release rate while another key keeps the deadman.
            (&[(0, &[Right, Forward]), (600, &[Forward])], 700, 0.8, 0.5),
            (&[(0, &[Right, Forward]), (600, &[Forward])], 900, 0.8, 0.0),
            // To the other side: release to the centre in 200 ms, then attack.
            (&[(0, &[Right]), (600, &[Left])], 900, 0.0, -0.2),
            // Both sides at once mean the centre.
            (&[(0, &[Right]), (600, &[Right, Left])], 900, 0.0, 0.0),
            // Hands off: everything is neutral at once.
            (&[(0, &[Right, Forward]), (600, &[])], 601, 0.0, 0.0),
            (&[(0, &[Brake])], 100, 0.0, 0.0),
        ];
        for (presses, read_ms, throttle, steer) in cases {
            let got = play(presses, *read_ms);
            assert!(
                (got.throttle - throttle).abs() < 0.01 && (got.steer - steer).abs() < 0.01,
                "{presses:?} at {read_ms}: {got:?}, want throttle {throttle} steer {steer}"
            );
        }
    }

    #[test]
    fn deadman_is_held_by_driving_keys_only() {
        for (key, want) in [
            (Key::Forward, true),
            (Key::Left, true),
            (Key::Brake, true),
            (Key::Boost, false),
            (Key::Arm, false),
            (Key::PanLeft, false),
            (Key::Horn, false),
        ] {
            assert_eq!(play(&[(0, &[key])], 50).deadman, want, "{key:?}");
        }
    }

    #[test]
    fn a_long_pause_moves_the_sticks_by_one_tenth_of_a_second_at_most() {
        let start = Instant::now();
        let mut keyboard = Keyboard::new(Rates::default());
        keyboard.handle_keys(Keys::NONE.with(Key::Forward), start);
        let got = keyboard.intent(start + Duration::from_secs(5));
        assert!(got.throttle <= 0.26, "{got:?}");
    }
}
