//! The driver's hands: gamepads, wheels and the keyboard, mapped to one [`Intent`].

pub mod gamepad;
pub mod hold;
pub mod keyboard;
pub mod profile;
pub mod select;
pub mod wizard;

/// What the driver wants at one moment, before dead zone, expo and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intent {
    /// Forward positive; [-1, 1].
    pub throttle: f32,
    /// Right positive; [-1, 1].
    pub steer: f32,
    /// Camera, right positive; [-1, 1].
    pub pan: f32,
    /// Camera, up positive; [-1, 1].
    pub tilt: f32,
    /// Held: the car may move.
    pub deadman: bool,
    /// Held: counts toward arming.
    pub arm: bool,
    /// Pushed: stop and latch.
    pub estop: bool,
    /// Held: brake.
    pub brake: bool,
    /// Held: higher speed limit.
    pub boost: bool,
    /// Pushed: lights on or off.
    pub lights: bool,
    /// Held: horn.
    pub horn: bool,
}

impl Intent {
    /// Nothing held, sticks at neutral, yet an emergency stop still counts.
    pub fn released(self) -> Self {
        Self { estop: self.estop, ..Self::default() }
    }

    /// Whether the throttle is at neutral, as re-arming demands.
    pub fn is_neutral(&self) -> bool {
        self.throttle.abs() < 0.05
    }
}

/// A number of a file, which may hold anything, forced into its range.
pub(crate) fn fit(value: f32, low: f32, high: f32, usual: f32) -> f32 {
    if value.is_finite() { value.clamp(low, high) } else { usual }
}
