//! What the window asks the session to do.

use super::connect::Target;
use super::gamepad::{Profile, Source};
use super::settings::Settings;

/// What the window asks the session to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Connect; any session before ends first.
    Connect(Target),
    /// Leave the room, or give up connecting; the car is disarmed and the lease released first.
    Disconnect,
    /// Forget a recent target.
    ForgetRecent(Target),
    /// The arm control went down: begin the one-second hold.
    ArmHold,
    /// The arm control came up before the hold was complete.
    ArmRelease,
    /// Disarm at once.
    Disarm,
    /// Emergency stop: latched on the robot.
    EmergencyStop,
    /// Ask to clear the emergency stop; the robot refuses unless the sticks are at neutral.
    ResetStop,
    /// Ask for the lease.
    TakeLease,
    /// Give the lease back.
    ReleaseLease,
    /// Show another camera by index.
    SelectCamera(usize),
    /// A key of the keyboard went down or up; all are sent while driving (not while a text field has the focus).
    Key(Key, KeyState),
    /// The window may no longer steer (focus lost, hidden, another page): every held key and the deadman are let go.
    ReleaseControls,
    /// The window may steer again.
    GrantControls,
    /// Replace the settings; they are stored.
    ChangeSettings(Settings),
    /// Make this device, by index, the one that drives.
    SelectDevice(usize),
    /// Replace the profile of the device with this id; it is stored.
    ChangeProfile {
        /// Id of the device.
        device: String,
        /// Its new profile.
        profile: Profile,
    },
    /// Make the active device vibrate shortly.
    TestRumble,
    /// Start the mapping wizard for the active device.
    WizardStart,
    /// Accept this source for the function that is asked for (the wizard accepts by itself once it is moved far).
    WizardAccept(Source),
    /// Leave the function that is asked for without a source.
    WizardSkip,
    /// Go back one step.
    WizardBack,
    /// Store what was found as the device's profile.
    WizardSave,
    /// Throw away what was found.
    WizardCancel,
    /// Clear histories and percentiles.
    ResetStats,
    /// Write histories and percentiles to a file in the user's documents folder; a notice tells where.
    ExportStats,
    /// Write the picture on screen as PNG to the user's pictures folder; a notice tells where.
    Snapshot,
    /// Close the window.
    Quit,
}

/// A key that driving knows, by its place on a US keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// W or arrow up.
    Forward,
    /// S or arrow down.
    Backward,
    /// A or arrow left.
    Left,
    /// D or arrow right.
    Right,
    /// Shift: must be held while driving, unless Forward or Backward is held, which count as well.
    Deadman,
    /// E: hold to arm.
    Arm,
    /// Left control: raises the limit while held.
    Boost,
    /// L.
    Lights,
    /// H.
    Horn,
}

/// Whether a key went down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Down.
    Down,
    /// Up.
    Up,
}
