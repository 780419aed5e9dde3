//! The robot: camera and car, seen and driven from afar.
//!
//! `run` joins a room, sends pictures and drives the car; `actuator` is the process that owns the outputs;
//! `check` and `devices` say what is there. Nothing in this crate names the engine (`webrtc`).

pub mod actuator;
pub mod camera;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod devices;
pub mod drive;
pub mod log;
pub mod net;
pub mod run;
pub mod rundir;
pub mod sim;
pub mod sound;
pub mod telemetry;
pub mod thread;
pub mod video;
