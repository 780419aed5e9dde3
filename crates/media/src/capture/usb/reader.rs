//! The thread that waits for a webcam's pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farwheel_proto::video::Size;
use nokhwa::utils::{RequestedFormat, RequestedFormatType};
use nokhwa::{Buffer, Camera};

use super::convert::{Converted, Converter};
use super::{choice, device};
use crate::capture::Error;
use crate::slot::{Slot, Taken};

/// A thread that reads one camera into a slot.
///
/// nokhwa waits for a picture without a limit, so this is a thread of its own: if the camera stalls, the reader is
/// left behind, and ends when the camera delivers again or is unplugged.
pub(super) struct Reader {
    frames: Slot<Result<Converted, Error>>,
    stop: Arc<AtomicBool>,
    ended: Slot<()>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(index: u32, path: PathBuf, size: Size, fps: u32) -> Self {
        let (frames, ended) = (Slot::new(), Slot::new());
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let (frames, stop, ended) = (frames.clone(), Arc::clone(&stop), CloseOnDrop(ended.clone()));
            move || {
                let Err(error) = read(index, &path, size, fps, &frames, &stop);
                frames.put(Err(error));
                drop(ended);
            }
        };
        let thread = std::thread::Builder::new().name("camera-usb".into()).spawn(work);
        Self { frames, stop, ended, thread: Some(thread.expect("the system has room for one more thread")) }
    }

    pub(super) fn frames(&self) -> &Slot<Result<Converted, Error>> {
        &self.frames
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        match (self.ended.take_within(LEAVE_AFTER), self.thread.take()) {
            (Taken::Closed, Some(thread)) => drop(thread.join()),
            _ => tracing::warn!("camera hangs; its reader is left behind"),
        }
    }
}

/// Tells that the thread ends, by a panic too.
struct CloseOnDrop(Slot<()>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Reads until something fails or it is told to stop.
fn read(
    index: u32,
    path: &Path,
    size: Size,
    fps: u32,
    frames: &Slot<Result<Converted, Error>>,
    stop: &AtomicBool,
) -> Result<std::convert::Infallible, Error> {
    let words = |error| device::in_words(path, &error);
    let mut camera = open(index, path, size, fps)?;
    camera.open_stream().map_err(words)?;
    let format = camera.camera_format();
    tracing::info!(camera = %path.display(), %format, "opened");
    let size = Size::new(format.width(), format.height());
    let (mut converter, mut damaged_in_row) = (Converter::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        let buffer = camera.frame().map_err(words)?;
        let captured_at = captured_at(&buffer);
        match converter.convert(buffer.buffer(), buffer.source_frame_format(), size, captured_at) {
            Ok(converted) => {
                damaged_in_row = 0;
                frames.put(Ok(converted));
            }
            Err(error) => {
                damaged_in_row += 1;
                tracing::debug!(%error, "picture left out");
                if damaged_in_row == DAMAGED_MAX {
                    return Err(Error::Lost(format!("{}: {error}", path.display())));
                }
            }
        }
    }
    Err(Error::Lost("stopped".into()))
}

fn open(index: u32, path: &Path, size: Size, fps: u32) -> Result<Camera, Error> {
    let words = |error| device::in_words(path, &error);
    let mut camera = device::open(index).map_err(words)?;
    let formats = camera.compatible_camera_formats().map_err(words)?;
    let Some(best) = choice::choose(&formats, size, fps) else {
        let text = format!("{} has no picture format that can be used", path.display());
        return Err(Error::Unsupported(text));
    };
    let accepted = [best.format()];
    let request = RequestedFormat::with_formats(RequestedFormatType::Exact(best), &accepted);
    camera.set_camera_requset(request).map_err(words)?;
    Ok(camera)
}

/// When the driver took the picture; when it arrived, if the driver does not say or says nonsense.
fn captured_at(buffer: &Buffer) -> Instant {
    let now = Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age =
        buffer.capture_timestamp().and_then(|taken| wall.checked_sub(taken)).filter(|age| *age < AGE_MAX);
    age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

/// Far longer than a picture takes to come.
const LEAVE_AFTER: Duration = Duration::from_secs(1);
/// A second of nothing but damage.
const DAMAGED_MAX: u32 = 30;
/// A picture this old is one whose clock is wrong.
const AGE_MAX: Duration = Duration::from_secs(1);
