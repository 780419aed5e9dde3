//! Devices and codecs: capture, encode, decode. Knows nothing of WebRTC.

pub mod frame;

pub use frame::VideoFrame;
