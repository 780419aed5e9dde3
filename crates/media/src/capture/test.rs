//! The measuring source: a moving texture with the strip, at a steady rate.

use std::time::{Duration, Instant};

use farwheel_proto::video::Size;

use super::{Error, Source};
use crate::frame::VideoFrame;
use crate::strip::Stamp;
use crate::test_picture::TestPicture;

pub(super) struct Test {
    size: Size,
    period: Duration,
    open: Option<Open>,
}

struct Open {
    picture: TestPicture,
    due: Instant,
}

impl Test {
    pub(super) fn new(size: Size, fps: u32) -> Self {
        Self { size, period: Duration::from_secs(1) / fps.max(1), open: None }
    }
}

impl Source for Test {
    fn open(&mut self) -> Result<(), Error> {
        self.open = Some(Open { picture: TestPicture::new(self.size), due: Instant::now() });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let open = self.open.as_mut().ok_or_else(|| Error::Lost("the test picture is not open".into()))?;
        let left = open.due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(wait));
        if left > wait {
            return Ok(None);
        }
        let now = Instant::now();
        // After a pause the rhythm starts afresh instead of hurrying.
        open.due = if now > open.due + self.period { now + self.period } else { open.due + self.period };
        Ok(Some(open.picture.render(Stamp::now(), now)))
    }

    fn close(&mut self) {
        self.open = None;
    }
}
