//! Sound of a call: what can be decided and computed without a device, a clock or a thread.

mod packet;

pub use packet::{BLOCK, Packet, RATE, Received, SoundTime};
