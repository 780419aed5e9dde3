//! The raw picture.

use std::sync::Arc;
use std::time::Instant;

use farwheel_proto::video::Size;

/// One I420 picture (BT.601, limited range); cheap to clone, planes are shared.
#[derive(Clone)]
pub struct VideoFrame {
    /// Size of the luma plane; each chroma plane has half of both.
    pub size: Size,
    /// Y, then U, then V, each row padded to its stride; a pool may take the buffer back once this is its last owner.
    pub data: Arc<Vec<u8>>,
    /// Bytes from one luma row to the next; at least the width.
    pub stride_y: usize,
    /// Bytes from one chroma row to the next; at least half the width.
    pub stride_uv: usize,
    /// When the picture was taken, on this process's clock.
    pub captured_at: Instant,
}

impl VideoFrame {
    /// The luma plane.
    pub fn y(&self) -> &[u8] {
        &self.data[..self.stride_y * self.size.height as usize]
    }

    /// The blue-difference plane.
    pub fn u(&self) -> &[u8] {
        let start = self.stride_y * self.size.height as usize;
        &self.data[start..start + self.stride_uv * (self.size.height as usize / 2)]
    }

    /// The red-difference plane.
    pub fn v(&self) -> &[u8] {
        let rows = self.size.height as usize;
        let start = self.stride_y * rows + self.stride_uv * (rows / 2);
        &self.data[start..start + self.stride_uv * (rows / 2)]
    }
}

impl std::fmt::Debug for VideoFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoFrame")
            .field("size", &self.size)
            .field("captured_at", &self.captured_at)
            .finish()
    }
}
