//! What is read of H.264 itself, at both ends.

mod bits;
pub(crate) mod nal;
pub(crate) mod slice;
pub(crate) mod sps;
