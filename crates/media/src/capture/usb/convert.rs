//! A webcam's bytes to a picture.

use std::time::{Duration, Instant};

use farwheel_proto::video::Size;
use nokhwa::utils::FrameFormat;

use crate::colour::{self, Jpeg};
use crate::frame::{Picture, Pool, VideoFrame};

/// A picture, and how long it took to make it from the webcam's bytes.
pub(super) struct Converted {
    pub(super) frame: VideoFrame,
    pub(super) took: Duration,
}

/// Keeps the buffers that conversion needs.
#[derive(Default)]
pub(super) struct Converter {
    pool: Pool,
    jpeg: Jpeg,
}

impl Converter {
    pub(super) fn convert(
        &mut self,
        bytes: &[u8],
        format: FrameFormat,
        size: Size,
        captured_at: Instant,
    ) -> Result<Converted, colour::Error> {
        let started = Instant::now();
        let plain = match format {
            FrameFormat::MJPEG => {
                let picture = self.jpeg.decode(bytes, &mut self.pool)?;
                return Ok(self.finish(picture, captured_at, started));
            }
            FrameFormat::YUYV => colour::from_yuyv,
            FrameFormat::NV12 => colour::from_nv12,
            FrameFormat::GRAY => colour::from_grey,
            FrameFormat::RAWRGB => colour::from_rgb,
            FrameFormat::RAWBGR => return Err(colour::Error::Damaged("BGR is not supported".into())),
        };
        let mut picture = self.pool.take(size);
        plain(bytes, &mut picture)?;
        Ok(self.finish(picture, captured_at, started))
    }

    fn finish(&mut self, picture: Picture, captured_at: Instant, started: Instant) -> Converted {
        let frame = picture.share(&mut self.pool, captured_at);
        Converted { frame, took: started.elapsed() }
    }
}
