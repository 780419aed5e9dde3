//! Which of a webcam's formats is taken.

use farwheel_proto::video::Size;
use nokhwa::utils::{CameraFormat, FrameFormat};

/// The format with the least delay that comes near to what is wanted; `None` if none can be used.
///
/// In this order: the rate and the size wanted, then a format that needs no decoding (MJPEG costs some milliseconds
/// and blurs), then a rate above the wanted one (a sensor in a faster mode reads out faster).
pub(super) fn choose(formats: &[CameraFormat], size: Size, fps: u32) -> Option<CameraFormat> {
    let usable = formats.iter().filter(|format| rank(format.format()).is_some() && format.frame_rate() > 0);
    usable.copied().min_by(|a, b| cost(a, size, fps).total_cmp(&cost(b, size, fps)))
}

/// Octaves by which a format misses the wish, with the preferences as small parts of one.
fn cost(format: &CameraFormat, size: Size, fps: u32) -> f64 {
    let octaves = |a: f64, b: f64| (a / b).log2();
    let (width, height) = (f64::from(format.width()), f64::from(format.height()));
    let area = octaves(width * height, size.pixels() as f64);
    let shape = octaves(width / height, f64::from(size.width) / f64::from(size.height));
    let rate = octaves(f64::from(format.frame_rate()), f64::from(fps.max(1)));
    let missing = (-rate).max(0.0) * 2.0;
    let faster = rate.clamp(0.0, 1.0);
    area.abs() + shape.abs() + missing + rank(format.format()).unwrap_or(9.0) * 0.05 - faster * 0.01
}

/// Work it takes to get I420 out of a format; `None` if it is not supported.
fn rank(format: FrameFormat) -> Option<f64> {
    match format {
        FrameFormat::NV12 => Some(0.0),
        FrameFormat::YUYV => Some(0.2),
        FrameFormat::RAWRGB => Some(1.0),
        FrameFormat::MJPEG => Some(2.0),
        FrameFormat::GRAY => Some(3.0),
        FrameFormat::RAWBGR => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(formats: &[(u32, u32, FrameFormat, u32)], want: Option<usize>) {
        let formats: Vec<_> =
            formats.iter().map(|(w, h, format, fps)| CameraFormat::new_from(*w, *h, *format, *fps)).collect();
        assert_eq!(choose(&formats, Size::new(1280, 720), 30), want.map(|index| formats[index]));
    }

    #[test]
    fn the_wanted_picture_comes_before_the_cheap_format() {
        use FrameFormat::{GRAY, MJPEG, NV12, RAWBGR, YUYV};
        // A usual webcam: raw 720p only at 10 pictures per second.
        check(
            &[(1280, 720, YUYV, 10), (640, 480, YUYV, 30), (1280, 720, MJPEG, 30), (1920, 1080, MJPEG, 30)],
            Some(2),
        );
        check(&[(1280, 720, MJPEG, 30), (1280, 720, YUYV, 30), (1280, 720, NV12, 30)], Some(2));
        check(&[(1280, 720, YUYV, 30), (1280, 720, YUYV, 60)], Some(1));
        check(&[(1280, 720, MJPEG, 60), (1280, 720, YUYV, 30)], Some(1));
        check(&[(640, 480, YUYV, 30), (1920, 1080, YUYV, 5)], Some(0));
        check(&[(1280, 720, GRAY, 30), (1280, 720, MJPEG, 25)], Some(0));
        check(&[(1280, 720, RAWBGR, 30), (1280, 720, YUYV, 0)], None);
        check(&[], None);
    }
}
