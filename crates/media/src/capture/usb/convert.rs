//! A webcam's bytes to a picture.

use std::time::Instant;

use farwheel_proto::video::Size;
use nokhwa::utils::FrameFormat;

use crate::colour::{self, Jpeg};
use crate::frame::{Pool, VideoFrame};

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
    ) -> Result<VideoFrame, colour::Error> {
        let plain = match format {
            FrameFormat::MJPEG => {
                let picture = self.jpeg.decode(bytes, &mut self.pool)?;
                return Ok(picture.share(&mut self.pool, captured_at));
            }
            FrameFormat::YUYV => colour::from_yuyv,
            FrameFormat::NV12 => colour::from_nv12,
            FrameFormat::GRAY => colour::from_grey,
            FrameFormat::RAWRGB => colour::from_rgb,
            FrameFormat::RAWBGR => return Err(colour::Error::Damaged("BGR is not supported".into())),
        };
        let mut picture = self.pool.take(size);
        plain(bytes, &mut picture)?;
        Ok(picture.share(&mut self.pool, captured_at))
    }
}
