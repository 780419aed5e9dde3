//! Wire types and sans-IO cores of Farwheel: everything that can be decided without a clock, a socket, a thread
//! or a lock. `now` is always an argument.

pub mod age;
pub mod anchor;
pub mod call;
pub mod clock;
pub mod control;
pub mod rate;
pub mod rtp;
pub mod signaling;
pub mod sound;
pub mod switch;
pub mod turn_stream;
pub mod video;
