//! Changes the size of a picture.

use farwheel_proto::video::Size;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::frame::{Pool, VideoFrame};

/// Scales pictures with a bilinear filter that averages when it makes them smaller (SIMD).
///
/// Keeps its buffers, so a steady stream allocates nothing but a few bytes of coefficients.
#[derive(Debug, Default)]
pub struct Scaler {
    resizer: Resizer,
    pool: Pool,
}

impl Scaler {
    /// A scaler; it may be used for any sizes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the picture in another size; the same picture if it has that size.
    pub fn scale(&mut self, frame: &VideoFrame, size: Size) -> VideoFrame {
        if frame.size == size {
            return frame.clone();
        }
        let mut picture = self.pool.take(size);
        let planes = picture.planes_mut();
        let (half_from, half_to) = (half(frame.size), half(size));
        for (from, stride, from_size, to, to_size) in [
            (frame.y(), frame.stride_y, frame.size, planes.y, size),
            (frame.u(), frame.stride_uv, half_from, planes.u, half_to),
            (frame.v(), frame.stride_uv, half_from, planes.v, half_to),
        ] {
            scale_plane(&mut self.resizer, from, stride, from_size, to, to_size);
        }
        picture.share(&mut self.pool, frame.captured_at)
    }
}

fn half(size: Size) -> Size {
    Size { width: size.width / 2, height: size.height / 2 }
}

fn scale_plane(
    resizer: &mut Resizer,
    from: &[u8],
    stride: usize,
    from_size: Size,
    to: &mut [u8],
    to_size: Size,
) {
    // Padding at the end of each row is cropped off as if it were part of a wider picture.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        0.0,
        0.0,
        from_size.width.into(),
        from_size.height.into(),
    );
    // Typed: the untyped images bring in the code of every kind of pixel, two minutes of compiling.
    let from = TypedImageRef::<U8>::from_buffer(stride as u32, from_size.height, from)
        .expect("plane has stride x height bytes");
    let mut to = TypedImage::<U8>::from_buffer(to_size.width, to_size.height, to)
        .expect("plane has width x height bytes");
    resizer
        .resize_typed(&from, &mut to, &options)
        .expect("both are planes of bytes and the crop lies inside");
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_of_a_picture_stay_where_they_are() {
        let mut pool = Pool::new();
        let mut picture = pool.take(Size::new(64, 32));
        picture.fill(50, 60, 70);
        for row in picture.planes_mut().y.chunks_mut(64) {
            row[32..].fill(200);
        }
        let frame = picture.share(&mut pool, Instant::now());
        for size in [Size::new(32, 16), Size::new(128, 64), Size::new(160, 48)] {
            let scaled = Scaler::new().scale(&frame, size);
            let row = &scaled.y()[..size.width as usize];
            assert_eq!((row[0], row[size.width as usize - 1]), (50, 200), "{size}");
            assert_eq!((scaled.u()[0], scaled.v()[0]), (60, 70));
            assert_eq!(scaled.captured_at, frame.captured_at);
        }
    }

    #[test]
    fn the_same_size_costs_no_copy() {
        let mut pool = Pool::new();
        let frame = pool.take(Size::new(64, 32)).share(&mut pool, Instant::now());
        assert_eq!(Scaler::new().scale(&frame, frame.size).data.as_ptr(), frame.data.as_ptr());
    }

    proptest! {
        #[test]
        fn any_size_can_be_made_of_any_other(from in (1u32..200, 1u32..200), to in (1u32..200, 1u32..200)) {
            let mut pool = Pool::new();
            let mut picture = pool.take(Size::new(from.0 * 2, from.1 * 2));
            picture.fill(99, 88, 77);
            let frame = picture.share(&mut pool, Instant::now());
            let scaled = Scaler::new().scale(&frame, Size::new(to.0 * 2, to.1 * 2));
            prop_assert!(scaled.y().iter().all(|v| *v == 99));
            prop_assert!(scaled.u().iter().all(|v| *v == 88) && scaled.v().iter().all(|v| *v == 77));
        }
    }
}
