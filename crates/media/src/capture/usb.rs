//! Webcams (V4L2 through nokhwa).

mod choice;
mod convert;
mod device;
mod plugged;
mod reader;

use std::path::PathBuf;
use std::time::Duration;

use farwheel_proto::video::Size;

pub use device::{Device, devices};
pub use plugged::{Plugged, plugged};

use super::{Error, Source};
use crate::frame::VideoFrame;
use crate::slot::Taken;
use convert::Converted;
use reader::Reader;

/// A webcam, read by a thread of its own (`camera-usb`).
pub(super) struct Usb {
    path: PathBuf,
    size: Size,
    fps: u32,
    reader: Option<Reader>,
    conversion: Option<Duration>,
}

impl Usb {
    pub(super) fn new(path: PathBuf, size: Size, fps: u32) -> Self {
        Self { path, size, fps, reader: None, conversion: None }
    }
}

impl Source for Usb {
    fn open(&mut self) -> Result<(), Error> {
        self.close();
        let index = device::index(&self.path)?;
        self.reader = Some(Reader::start(index, self.path.clone(), self.size, self.fps));
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let lost = || Error::Lost(format!("{} is no longer read", self.path.display()));
        let reader = self.reader.as_ref().ok_or_else(lost)?;
        match reader.frames().take_within(wait) {
            Taken::Value(result) => {
                let Converted { frame, took } = result?;
                self.conversion = Some(took);
                Ok(Some(frame))
            }
            Taken::TimedOut => Ok(None),
            Taken::Closed => Err(lost()),
        }
    }

    fn conversion_time(&self) -> Option<Duration> {
        self.conversion
    }

    fn close(&mut self) {
        self.reader = None;
    }
}
