//! H.264 over RTP (RFC 6184): pictures to payloads, payloads back to pictures.
//!
//! [`payload::split`] cuts a picture, [`payload::Payload`] reads one packet, and [`Assembler`] puts pictures together
//! from packets that may be late, doubled, reordered or gone. There is no jitter buffer: a picture is handed over at
//! the moment its last packet arrives.

mod assemble;
mod gaps;
mod jitter;
pub mod payload;
mod sequence;
mod useful;

pub use assemble::{Assembler, Command, Counters, Packet};
pub(crate) use gaps::{SECOND_ANSWER_ROUND_TRIPS, WAIT_MAX};
pub use jitter::Jitter;
pub use payload::Payload;
pub use useful::UsefulFrom;
