//! Robot: camera and car, streamed and driven over WebRTC.

pub mod sim;
