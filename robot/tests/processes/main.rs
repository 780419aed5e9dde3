//! Real processes: robot, actuator, signalling server and driver, killed and stopped at full throttle. What the
//! outputs did is read from the pulse log, which the processes themselves write with the machine's monotonic time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod driver;
mod harness;

mod commands;
mod faults;
mod latency;
mod lease;
mod picture;
mod second_path;
mod sound;
