//! Rate control of one video sender on the receiver's transport-wide feedback.
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
mod probe;
mod target;
#[cfg(test)]
mod test;

pub use controller::{Command, Config, Controller, Status, Target};
pub use feedback::{ReceiverTime, Reported};
pub use gate::{Reason, Verdict};
pub use ladder::{RUNGS, Rung};
pub use orders::{Orders, Sending};
pub use pacer::{Full, Pacer};
pub use probe::{BYTES_MAX as PROBE_BYTES_MAX, INTERVAL as PROBE_INTERVAL};
pub use target::{MIN, START};
