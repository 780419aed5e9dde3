//! Sound of a call: what can be decided and computed without a device, a clock or a thread.

mod active;
mod delay;
mod drift;
mod lips;
pub mod opus;
mod packet;
mod playout;
mod resample;
mod speech;
mod stretch;
mod talk;

pub use active::Active;
pub use drift::Regulator;
pub use lips::{Heard, Lips};
pub use packet::{BLOCK, Packet, RATE, Received, SoundTime};
pub use playout::{Counts, Decode, Playout};
pub use resample::Resampler;
pub use speech::Speech;
pub use talk::{Key, Microphone, Talk};
