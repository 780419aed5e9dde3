//! Devices and codecs: capture, encode, decode. Knows nothing of WebRTC.
//!
//! One picture goes `capture` -> [`slot::Slot`] -> `encode` at the sender and `decode` -> [`slot::Slot`] at the
//! receiver; every hand-over is a [`VideoFrame`], whose planes are shared and come from a [`frame::Pool`].

pub mod audio;
pub mod capture;
pub mod colour;
pub mod compose;
#[cfg(test)]
mod counting;
pub mod decode;
pub mod device;
pub mod encode;
pub mod frame;
mod h264;
pub mod mp4;
pub mod psnr;
pub mod qr;
pub mod scale;
pub mod slot;
pub mod strip;
pub mod test_picture;
pub mod text;
pub mod y4m;

pub use frame::VideoFrame;
