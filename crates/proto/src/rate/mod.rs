//! Rate control of one sender's pictures, and what its sound leaves to them, on the receiver's transport-wide feedback.
//!
//! [`Controller`] is the parent: it tells the target of the encoder, whether a captured frame is worth encoding, and
//! when to probe. [`Pacer`] holds the packets until it is their time. [`Orders`] tells when a picture is lost for good, and
//! the next one has to do without it. Nothing here knows a clock or a socket.

mod capacity;
mod controller;
mod feedback;
mod gate;
mod headroom;
mod ladder;
mod minimum;
mod orders;
mod pacer;
mod pictures;
mod probe;
mod share;
mod target;
#[cfg(test)]
mod test;

pub use controller::{Command, Config, Controller, Status};
pub use feedback::{ReceiverTime, Reported};
pub use gate::{Reason, Verdict};
pub use ladder::{RUNGS, Rung, SCREEN_RUNGS};
pub use orders::{Orders, Sending};
pub use pacer::{Full, Pacer};
pub use pictures::{Source, Target, Track};
pub use probe::{BYTES_MAX as PROBE_BYTES_MAX, INTERVAL as PROBE_INTERVAL};
pub use target::{MIN, START};
