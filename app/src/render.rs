//! The picture's way to the screen: newest-frame slot and YUV shader.

pub mod slot;
pub mod video;
