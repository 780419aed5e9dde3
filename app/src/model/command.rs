//! What the window asks the session to do.

use farwheel_proto::sound::Key;

use super::connect::Target;
use super::lobby::Place;
use crate::input::keyboard::Keys;
use crate::input::profile::Profile;
use crate::settings::Settings;

/// What the window asks the session to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Connect; any session before ends first.
    Connect(Target),
    /// Leave the room, or give up connecting; the car is disarmed and the lease released first.
    Disconnect,
    /// Look for robots there, and nowhere else, until [`Command::LookAway`]; the same place again: look anew at once.
    Look(Place),
    /// Stop looking for robots.
    LookAway,
    /// Something about a call.
    Call(super::call::Command),
    /// Something about two who meet without a room.
    Pair(super::pair::Command),
    /// Something about reading a letter with the camera.
    Scan(super::scan::Command),
    /// Forget a recent target.
    ForgetRecent(Target),
    /// The arm control on screen went down: it counts like the arm button of a device (`input::hold`).
    ArmHold,
    /// The arm control on screen came up.
    ArmRelease,
    /// Disarm at once.
    Disarm,
    /// Emergency stop: latched on the robot.
    EmergencyStop,
    /// Ask to clear the emergency stop; the robot refuses unless the sticks are at neutral.
    ResetStop,
    /// The key for talking at the car went down or up.
    Talk(Key),
    /// Ask for the lease.
    TakeLease,
    /// Give the lease back.
    ReleaseLease,
    /// Show another camera by index.
    SelectCamera(usize),
    /// The driving keys that are down, each time the set changes; empty when a text field has the focus.
    Keys(Keys),
    /// The window may no longer steer (focus lost, hidden, another page): every input of every device and the deadman
    /// are let go until [`Command::GrantControls`].
    ReleaseControls,
    /// The window may steer again.
    GrantControls,
    /// Replace the settings; they are stored.
    ChangeSettings(Box<Settings>),
    /// Make this device, by index, the one that drives.
    SelectDevice(usize),
    /// Replace the profile of the device with this key; it is stored.
    ChangeProfile {
        /// Key of the device's profile.
        key: String,
        /// Its new profile.
        profile: Box<Profile>,
    },
    /// Make the active device vibrate shortly.
    TestRumble,
    /// Start the mapping wizard for the active device.
    WizardStart,
    /// Leave out what the wizard asks for, if it is optional.
    WizardSkip,
    /// Go back one step of the wizard.
    WizardBack,
    /// Store what the wizard found as the device's profile.
    WizardSave,
    /// Throw away what the wizard found.
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
