//! Peak signal-to-noise ratio of luma: how faithful a decoded picture is.

use crate::frame::VideoFrame;

/// What identical pictures are given, as infinity has no mean.
pub const IDENTICAL_DB: f64 = 99.0;

/// PSNR of two pictures of one size, in dB; [`IDENTICAL_DB`] if they are equal.
///
/// # Panics
///
/// If the sizes differ.
pub fn luma(shown: &VideoFrame, sent: &VideoFrame) -> f64 {
    luma_below(shown, sent, 0)
}

/// The same without the top `rows_skipped` rows, where a strip may be.
///
/// # Panics
///
/// If the sizes differ.
pub fn luma_below(shown: &VideoFrame, sent: &VideoFrame, rows_skipped: usize) -> f64 {
    assert_eq!(shown.size, sent.size, "pictures are compared at one size");
    let width = shown.size.width as usize;
    let rows = shown.y().chunks(shown.stride_y).zip(sent.y().chunks(sent.stride_y)).skip(rows_skipped);
    let (mut error, mut count) = (0u64, 0u64);
    for (a, b) in rows {
        // A row of squares fits 32 bits up to a width of 66000.
        let row: u32 =
            a[..width].iter().zip(&b[..width]).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum();
        error += u64::from(row);
        count += width as u64;
    }
    if error == 0 {
        return IDENTICAL_DB;
    }
    10.0 * (255.0 * 255.0 * count as f64 / error as f64).log10()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use farwheel_proto::video::Size;

    use super::*;
    use crate::frame::Pool;

    fn flat(value: u8) -> VideoFrame {
        let mut pool = Pool::new();
        let mut picture = pool.take(Size::new(64, 32));
        picture.fill(value, 128, 128);
        picture.share(&mut pool, Instant::now())
    }

    #[test]
    fn an_error_of_one_step_is_48_db() {
        assert!((luma(&flat(100), &flat(101)) - 48.13).abs() < 0.01);
        assert!((luma(&flat(100), &flat(110)) - 28.13).abs() < 0.01);
        assert_eq!(luma(&flat(100), &flat(100)), IDENTICAL_DB);
    }

    #[test]
    fn skipped_rows_do_not_count() {
        let mut pool = Pool::new();
        let mut damaged = flat(100).to_picture(&mut pool);
        damaged.planes_mut().y[..4 * 64].fill(0);
        let damaged = damaged.share(&mut pool, Instant::now());
        assert_eq!(luma_below(&damaged, &flat(100), 4), IDENTICAL_DB);
        assert!(luma_below(&damaged, &flat(100), 3) < 30.0);
    }
}
