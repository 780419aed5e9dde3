//! Sound: microphone to Opus packets, packets to speaker, and all that makes a voice pleasant on the way.
//!
//! ```text
//! device callback -> ring -> [sound, every 10 ms] clean -> encode -> packet
//!                                    ^ what is played
//! packets -> voice: playout, decode -> mix -> ring -> device callback
//! ```
//!
//! Everything runs on the system's monotonic clock: at both ends a ring and a resampler bring a device's own clock to it,
//! and each remote's clock is followed by its playout.

mod clean;
mod codec;
mod console;
#[cfg_attr(
    not(feature = "sound-devices"),
    expect(dead_code, reason = "only real devices are busy or vanish")
)]
mod device;
mod engine;
pub mod figures;
mod marks;
mod spec;
mod tone;
mod voice;

pub use clean::Cleaning;
pub use codec::Thrift;
pub use console::CHIME_LASTS;
pub use device::Status as DeviceStatus;
#[cfg(feature = "sound-devices")]
pub use device::names as device_names;
pub use engine::{Config, Engine, Error, Mixed, Status, Tap};
pub use marks::Heard;
pub use spec::{Spec, SpecError};
pub use tone::Tone;
pub use voice::{Status as VoiceStatus, Voice};
