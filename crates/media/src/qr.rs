//! Codes (QR) in pictures.

use crate::frame::VideoFrame;

/// The texts of the codes that are in a picture, whichever way they are turned.
pub fn read(frame: &VideoFrame) -> Vec<String> {
    let (luma, stride) = (frame.y(), frame.stride_y);
    let (width, height) = (frame.size.width as usize, frame.size.height as usize);
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| luma[y * stride + x]);
    picture.detect_grids().iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use farwheel_proto::video::Size;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Pool;

    proptest! {
        #[test]
        fn whatever_is_in_a_picture_is_looked_at_without_harm(
            blocks in prop::collection::vec(any::<u8>(), 256),
            scale in 1usize..9,
        ) {
            let side = 16 * scale as u32 * 2;
            let mut pool = Pool::new();
            let mut picture = pool.take(Size::new(side, side));
            let planes = picture.planes_mut();
            for (at, luma) in planes.y.iter_mut().enumerate() {
                let (x, y) = (at % side as usize / (2 * scale), at / side as usize / (2 * scale));
                *luma = if blocks[y * 16 + x] & 1 == 0 { 16 } else { 235 };
            }
            prop_assert_eq!(read(&picture.share(&mut pool, Instant::now())), Vec::<String>::new());
        }
    }
}
