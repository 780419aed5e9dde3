//! The measuring source: a moving texture with the strip, at a steady rate.

use std::time::{Duration, Instant};

use farwheel_proto::video::Size;

use super::pace::Pace;
use super::{Error, Source};
use crate::frame::VideoFrame;
use crate::strip::Stamp;
use crate::test_picture::TestPicture;

pub(super) struct Test {
    size: Size,
    fps: u32,
    open: Option<Open>,
}

struct Open {
    picture: TestPicture,
    pace: Pace,
}

impl Test {
    pub(super) fn new(size: Size, fps: u32) -> Self {
        Self { size, fps, open: None }
    }
}

impl Source for Test {
    fn open(&mut self) -> Result<(), Error> {
        self.open =
            Some(Open { picture: TestPicture::new(self.size), pace: Pace::new(self.fps, Instant::now()) });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let open = self.open.as_mut().ok_or_else(|| Error::Lost("the test picture is not open".into()))?;
        let Some(now) = open.pace.await_next(wait) else { return Ok(None) };
        Ok(Some(open.picture.render(Stamp::now(), now)))
    }

    fn close(&mut self) {
        self.open = None;
    }
}
