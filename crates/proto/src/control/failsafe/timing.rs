//! When silence does what, and what ends it (docs/SAFETY.md).

use std::time::Duration;

/// |throttle| below this is neutral, for arming and for recovery.
pub const NEUTRAL_BAND: f32 = 0.05;
/// Silence up to which the last command holds.
pub const HOLD: Duration = Duration::from_millis(100);
/// Silence from which the throttle is neutral.
pub const NEUTRAL: Duration = Duration::from_millis(250);
/// Silence from which the brake pulse runs, if one is configured.
pub const BRAKE_FROM: Duration = Duration::from_millis(400);
/// Silence from which the brake pulse is over: 300 ms at most.
pub const BRAKE_UNTIL: Duration = Duration::from_millis(700);
/// Silence from which the steering is centred.
pub const CENTRE: Duration = Duration::from_millis(500);
/// Silence from which the car is disarmed.
pub const DISARM: Duration = Duration::from_millis(1500);
/// A gap from this on needs the longer recovery.
pub const LONG_GAP: Duration = Duration::from_millis(500);
/// Clean commands needed after a gap below [`LONG_GAP`].
pub const CLEAN_SHORT: Duration = Duration::from_millis(200);
/// Clean commands needed after a gap of [`LONG_GAP`] or more.
pub const CLEAN_LONG: Duration = Duration::from_millis(500);
/// Neutral after the start, so that a speed controller initialises.
pub const BOOT_NEUTRAL: Duration = Duration::from_secs(2);
/// How long a reset waits for a command without a stop flag: the request may overtake it on the way.
pub(super) const RESET_PATIENCE: Duration = Duration::from_secs(1);
