//! The raw picture, and the pool its buffers come from.

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

    /// Copies the picture into a buffer of `pool`, to be drawn on.
    pub fn to_picture(&self, pool: &mut Pool) -> Picture {
        let mut picture = pool.take(self.size);
        let planes = picture.planes_mut();
        copy_rows(self.y(), self.stride_y, planes.y, planes.stride_y);
        copy_rows(self.u(), self.stride_uv, planes.u, planes.stride_uv);
        copy_rows(self.v(), self.stride_uv, planes.v, planes.stride_uv);
        picture
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

/// A picture being made: the only owner of its buffer, rows without padding.
#[derive(Debug)]
pub struct Picture {
    size: Size,
    data: Arc<Vec<u8>>,
}

/// The three planes of a [`Picture`], for writing.
#[derive(Debug)]
pub struct PlanesMut<'a> {
    /// Size of the luma plane.
    pub size: Size,
    /// Luma.
    pub y: &'a mut [u8],
    /// Blue difference, half of both sides.
    pub u: &'a mut [u8],
    /// Red difference, half of both sides.
    pub v: &'a mut [u8],
    /// Bytes from one luma row to the next: the width.
    pub stride_y: usize,
    /// Bytes from one chroma row to the next: half the width.
    pub stride_uv: usize,
}

impl PlanesMut<'_> {
    /// The first `rows` rows, an even number of them and no more than there are, and the others.
    pub fn split(self, rows: usize) -> [Self; 2] {
        let Self { size, stride_y, stride_uv, .. } = self;
        let (y, below_y) = self.y.split_at_mut(rows * stride_y);
        let (u, below_u) = self.u.split_at_mut(rows / 2 * stride_uv);
        let (v, below_v) = self.v.split_at_mut(rows / 2 * stride_uv);
        let above = Size::new(size.width, rows as u32);
        let below = Size::new(size.width, size.height - rows as u32);
        [
            Self { size: above, y, u, v, stride_y, stride_uv },
            Self { size: below, y: below_y, u: below_u, v: below_v, stride_y, stride_uv },
        ]
    }
}

impl Picture {
    /// Size of the luma plane.
    pub fn size(&self) -> Size {
        self.size
    }

    /// All three planes in one piece: Y, U, V.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Arc::get_mut(&mut self.data).expect("a picture is the only owner of its buffer")
    }

    /// The planes.
    pub fn planes_mut(&mut self) -> PlanesMut<'_> {
        let size = self.size;
        let (y, chroma) = self.bytes_mut().split_at_mut(size.pixels());
        let (u, v) = chroma.split_at_mut(size.pixels() / 4);
        let width = size.width as usize;
        PlanesMut { size, y, u, v, stride_y: width, stride_uv: width / 2 }
    }

    /// Fills the picture with one colour.
    pub fn fill(&mut self, y: u8, u: u8, v: u8) {
        let planes = self.planes_mut();
        planes.y.fill(y);
        planes.u.fill(u);
        planes.v.fill(v);
    }

    /// Ends the drawing: the picture can be shared from here on, and its buffer returns to `pool` in the end.
    pub fn share(self, pool: &mut Pool, captured_at: Instant) -> VideoFrame {
        let width = self.size.width as usize;
        pool.remember(&self.data);
        VideoFrame { size: self.size, data: self.data, stride_y: width, stride_uv: width / 2, captured_at }
    }
}

/// Buffers of pictures that nobody holds any more are used again, so that a steady stream allocates nothing.
#[derive(Debug, Default)]
pub struct Pool {
    // Full: the oldest buffer leaves the pool and is freed by its last owner.
    lent: Vec<Arc<Vec<u8>>>,
}

/// Capture, encoder, slot, decoder and screen hold at most this many pictures of one source at once.
const LENT_MAX: usize = 8;

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a buffer for one picture; what it contains is left over from an earlier one.
    pub fn take(&mut self, size: Size) -> Picture {
        let bytes = size.pixels() * 3 / 2;
        let mut free = None;
        // Buffers of another size are let go with their last owner.
        self.lent.retain(|data| data.len() == bytes);
        for (index, data) in self.lent.iter_mut().enumerate() {
            if Arc::get_mut(data).is_some() {
                free = Some(index);
                break;
            }
        }
        let data = match free {
            Some(index) => self.lent.swap_remove(index),
            None => Arc::new(vec![0; bytes]),
        };
        Picture { size, data }
    }

    fn remember(&mut self, data: &Arc<Vec<u8>>) {
        if self.lent.len() == LENT_MAX {
            self.lent.remove(0);
        }
        self.lent.push(Arc::clone(data));
    }
}

/// Copies as many whole rows as both planes have; a row is as long as the shorter stride.
pub(crate) fn copy_rows(from: &[u8], from_stride: usize, to: &mut [u8], to_stride: usize) {
    if from_stride == to_stride && from.len() == to.len() {
        to.copy_from_slice(from);
        return;
    }
    let width = from_stride.min(to_stride);
    for (from, to) in from.chunks(from_stride).zip(to.chunks_mut(to_stride)) {
        let width = width.min(from.len()).min(to.len());
        to[..width].copy_from_slice(&from[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(16, 8);

    #[test]
    fn a_released_buffer_is_used_again() {
        let mut pool = Pool::new();
        let first = pool.take(SIZE).share(&mut pool, Instant::now());
        let address = first.data.as_ptr();
        drop(first);
        let second = pool.take(SIZE).share(&mut pool, Instant::now());
        assert_eq!(second.data.as_ptr(), address);
    }

    #[test]
    fn a_held_picture_is_never_overwritten() {
        let mut pool = Pool::new();
        let held: Vec<_> = (0..20)
            .map(|value| {
                let mut picture = pool.take(SIZE);
                picture.fill(value, value, value);
                picture.share(&mut pool, Instant::now())
            })
            .collect();
        for (value, frame) in held.iter().enumerate() {
            assert!(frame.data.iter().all(|byte| *byte == value as u8));
        }
        assert!(pool.lent.len() <= LENT_MAX);
    }

    #[test]
    fn planes_lie_one_behind_the_other() {
        let mut pool = Pool::new();
        let mut picture = pool.take(SIZE);
        picture.fill(1, 2, 3);
        let frame = picture.share(&mut pool, Instant::now());
        assert_eq!((frame.y().len(), frame.u().len(), frame.v().len()), (128, 32, 32));
        assert!(frame.y().iter().all(|v| *v == 1) && frame.u().iter().all(|v| *v == 2));
        assert!(frame.v().iter().all(|v| *v == 3));
    }

    #[test]
    fn a_change_of_size_frees_the_old_buffers() {
        let mut pool = Pool::new();
        drop(pool.take(SIZE).share(&mut pool, Instant::now()));
        drop(pool.take(Size::new(32, 8)).share(&mut pool, Instant::now()));
        assert_eq!(pool.lent.len(), 1);
    }

    #[test]
    fn padded_rows_are_copied_without_their_padding() {
        let padded = VideoFrame {
            size: Size::new(2, 2),
            data: Arc::new(vec![1, 2, 0, 0, 3, 4, 0, 0, 5, 0, 6, 0]),
            stride_y: 4,
            stride_uv: 2,
            captured_at: Instant::now(),
        };
        let mut pool = Pool::new();
        let tight = padded.to_picture(&mut pool).share(&mut pool, padded.captured_at);
        assert_eq!(tight.data.as_slice(), [1, 2, 3, 4, 5, 6]);
    }
}
