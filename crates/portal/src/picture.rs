//! From a buffer of the desktop to a picture: where it lies, and in which colours.

use farwheel_media::capture::Error;
use farwheel_media::colour::{self, Pixel};
use farwheel_media::frame::{Picture, Pool};
use farwheel_proto::video::Size;

/// Where a picture lies in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Columns of the buffer.
    pub(crate) width: u32,
    /// Rows of the buffer.
    pub(crate) height: u32,
    /// Where its first row begins, in bytes.
    pub(crate) offset: usize,
    /// Bytes from one row to the next; 0 if the desktop does not say: no padding.
    pub(crate) stride: usize,
    /// Its colours.
    pub(crate) pixel: Pixel,
    /// The part that counts; none: all of it.
    pub(crate) crop: Option<Crop>,
}

/// A part of a buffer. A window's buffer is often as large as the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crop {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

const PIXEL_BYTES: usize = 4;

impl Layout {
    /// The picture in these bytes.
    ///
    /// # Errors
    /// If it does not lie in them.
    pub(crate) fn picture(&self, bytes: &[u8], pool: &mut Pool) -> Result<Picture, Error> {
        let whole = Crop { x: 0, y: 0, width: self.width, height: self.height };
        let part = self.crop.map_or(whole, |crop| crop.within(whole));
        if part.width < 2 || part.height < 2 {
            return Err(Error::Unsupported(format!("{}x{} is too small", part.width, part.height)));
        }
        let stride = if self.stride == 0 { self.width as usize * PIXEL_BYTES } else { self.stride };
        let begin = (part.y as usize).checked_mul(stride).and_then(|rows| rows.checked_add(self.offset));
        let begin = begin.and_then(|begin| begin.checked_add(part.x as usize * PIXEL_BYTES));
        let bytes = begin.and_then(|begin| bytes.get(begin..));
        let mut picture = pool.take(Size::new(part.width, part.height));
        let converted = bytes.map(|bytes| colour::from_pixels(bytes, stride, self.pixel, &mut picture));
        match converted {
            Some(Ok(())) => Ok(picture),
            Some(Err(error)) => Err(Error::Unsupported(error.to_string())),
            None => {
                Err(Error::Unsupported(format!("the desktop's buffer ends before its picture: {self:?}")))
            }
        }
    }
}

impl Crop {
    fn within(self, whole: Self) -> Self {
        let (x, y) = (self.x.min(whole.width), self.y.min(whole.height));
        Self { x, y, width: self.width.min(whole.width - x), height: self.height.min(whole.height - y) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 6x4, rows of 32 bytes behind 8 others, black but for a white 2x2 at (2, 2).
    fn buffer() -> (Vec<u8>, Layout) {
        let layout = Layout { width: 6, height: 4, offset: 8, stride: 32, pixel: Pixel::Bgrx, crop: None };
        let mut bytes = vec![0; 8 + 32 * 3 + 24];
        for (x, y) in [(2, 2), (3, 2), (2, 3), (3, 3)] {
            let at = 8 + y * 32 + x * 4;
            bytes[at..at + 3].fill(255);
        }
        (bytes, layout)
    }

    fn luma(layout: &Layout, bytes: &[u8]) -> (Size, Vec<bool>) {
        let mut picture = layout.picture(bytes, &mut Pool::new()).expect("it lies in there");
        (picture.size(), picture.planes_mut().y.iter().map(|luma| *luma > 128).collect())
    }

    #[test]
    fn rows_with_padding_are_read_where_they_begin() {
        let (bytes, layout) = buffer();
        let (size, bright) = luma(&layout, &bytes);
        assert_eq!(size, Size::new(6, 4));
        let want: Vec<bool> = (0..24).map(|n| [14, 15, 20, 21].contains(&n)).collect();
        assert_eq!(bright, want);
    }

    #[test]
    fn only_the_part_that_counts_is_taken_and_cut_where_it_ends() {
        let (bytes, layout) = buffer();
        let crop = |x, y, width, height| Layout { crop: Some(Crop { x, y, width, height }), ..layout };
        assert_eq!(luma(&crop(2, 2, 2, 2), &bytes), (Size::new(2, 2), vec![true; 4]));
        assert_eq!(luma(&crop(4, 2, 9, 9), &bytes), (Size::new(2, 2), vec![false; 4]));
        for (x, y) in [(6, 0), (u32::MAX, u32::MAX), (5, 3)] {
            assert!(crop(x, y, 9, 9).picture(&bytes, &mut Pool::new()).is_err(), "{x},{y}");
        }
    }

    #[test]
    fn colours_are_told_apart() {
        let red = [0, 0, 255, 0].repeat(4);
        let chroma = |pixel| {
            let layout = Layout { width: 2, height: 2, offset: 0, stride: 0, pixel, crop: None };
            let mut picture = layout.picture(&red, &mut Pool::new()).expect("it lies in there");
            let planes = picture.planes_mut();
            (planes.u[0], planes.v[0])
        };
        let (u, v) = chroma(Pixel::Bgrx);
        assert!(v > 200 && u < 128, "{u} {v}: red");
        let (u, v) = chroma(Pixel::Rgbx);
        assert!(u > 200 && v < 128, "{u} {v}: blue");
    }

    #[test]
    fn a_buffer_that_lies_is_refused() {
        let (bytes, layout) = buffer();
        for short in [0, 8, 100, bytes.len() - 1] {
            assert!(layout.picture(&bytes[..short], &mut Pool::new()).is_err(), "{short} bytes");
        }
        let wrong = [
            Layout { offset: usize::MAX, ..layout },
            Layout { stride: usize::MAX, crop: Some(Crop { x: 0, y: 1, width: 4, height: 2 }), ..layout },
            Layout { stride: 8, ..layout },
            Layout { width: 0, ..layout },
            Layout { height: 100_000, ..layout },
        ];
        for layout in wrong {
            assert!(layout.picture(&bytes, &mut Pool::new()).is_err(), "{layout:?}");
        }
    }
}
