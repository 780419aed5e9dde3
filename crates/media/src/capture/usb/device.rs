//! Which webcams there are, and why one cannot be opened, in words.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nokhwa::utils::{ApiBackend, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use nokhwa::{Camera, NokhwaError};

use crate::capture::Error;

/// A webcam of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `/dev/videoN`: what `usb:` takes.
    pub path: PathBuf,
    /// What it calls itself.
    pub name: String,
    /// What it delivers, like `MJPEG 1280x720 at 30, 15`; or why it cannot be asked.
    pub formats: Result<Vec<String>, Error>,
}

/// Lists the webcams of this machine. Opens each for a moment, which an unused camera shows by its light.
///
/// # Errors
///
/// If the system cannot be asked at all.
pub fn devices() -> Result<Vec<Device>, Error> {
    let found = nokhwa::query(ApiBackend::Video4Linux).map_err(|error| Error::Lost(error.to_string()))?;
    let mut devices: Vec<_> = found
        .into_iter()
        .filter_map(|info| Some((info.index().as_index().ok()?, info.human_name())))
        .map(|(index, name)| {
            let path = PathBuf::from(format!("/dev/video{index}"));
            let formats = formats(index, &path);
            Device { path, name, formats }
        })
        // Most webcams have a second node for metadata, which has no pictures.
        .filter(|device| device.formats.as_ref().map_or(true, |formats| !formats.is_empty()))
        .collect();
    devices.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(devices)
}

fn formats(at: u32, path: &Path) -> Result<Vec<String>, Error> {
    index(path)?;
    let mut camera = match open(at) {
        Ok(camera) => camera,
        // Not one format that nokhwa knows: a metadata node.
        Err(NokhwaError::GetPropertyError { property, .. }) if property == "CameraFormat" => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(in_words(path, &error)),
    };
    let mut formats = camera.compatible_camera_formats().map_err(|error| in_words(path, &error))?;
    formats.sort_by_key(|f| {
        (f.format(), std::cmp::Reverse((f.width() * f.height(), f.width(), f.frame_rate())))
    });
    formats.dedup();
    let same = |a: &nokhwa::utils::CameraFormat, b: &nokhwa::utils::CameraFormat| {
        a.format() == b.format() && a.resolution() == b.resolution()
    };
    Ok(formats
        .chunk_by(same)
        .map(|chunk| {
            let rates: Vec<_> = chunk.iter().map(|format| format.frame_rate().to_string()).collect();
            format!(
                "{} {}x{} at {}",
                chunk[0].format(),
                chunk[0].width(),
                chunk[0].height(),
                rates.join(", ")
            )
        })
        .collect())
}

/// Opens a camera with any format it has.
pub(super) fn open(index: u32) -> Result<Camera, NokhwaError> {
    let any = RequestedFormat::with_formats(RequestedFormatType::None, ALL_FORMATS);
    Camera::with_backend(CameraIndex::Index(index), any, ApiBackend::Video4Linux)
}

/// The number of a device, after a look at whether it can be opened at all.
pub(super) fn index(path: &Path) -> Result<u32, Error> {
    let shown = path.display();
    let missing =
        || Error::Missing(format!("no camera at {shown}: plug it in, or see `farwheel-robot devices`"));
    // Follows the links of /dev/v4l/by-id.
    let real = path.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Error::NotAllowed(format!("no permission to look at {shown}")),
        _ => missing(),
    })?;
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let index = name.strip_prefix("video").and_then(|number| number.parse().ok());
    let index = index.filter(|_| real.parent() == Some(Path::new("/dev")));
    let index =
        index.ok_or_else(|| Error::Unsupported(format!("{shown} is not a video device (/dev/videoN)")))?;
    match OpenOptions::new().read(true).write(true).open(&real) {
        Ok(_) => Ok(index),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let group = group_of(&real).unwrap_or_else(|| "video".into());
            let text = format!(
                "no permission for {shown}: join its group with `sudo usermod -aG {group} $USER` and log in again"
            );
            Err(Error::NotAllowed(text))
        }
        Err(error) if error.kind() == ErrorKind::ResourceBusy => Err(busy(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(Error::Lost(format!("cannot open {shown}: {error}"))),
    }
}

/// What nokhwa says, sorted by what can be done about it.
pub(super) fn in_words(path: &Path, error: &NokhwaError) -> Error {
    let text = error.to_string();
    // It passes the system's error on as text only.
    match () {
        () if text.contains("os error 16") => busy(path),
        () if text.contains("os error 19") => Error::Lost(format!("{} was unplugged", path.display())),
        () => Error::Lost(format!("{}: {text}", path.display())),
    }
}

fn busy(path: &Path) -> Error {
    Error::Busy(format!("{} is used by another program: close it first", path.display()))
}

/// Name of the group a device belongs to.
fn group_of(path: &Path) -> Option<String> {
    let gid = std::fs::metadata(path).ok()?.gid().to_string();
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&gid))?;
    line.split(':').next().map(str::to_owned)
}

const ALL_FORMATS: &[FrameFormat] =
    &[FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::MJPEG, FrameFormat::RAWRGB, FrameFormat::GRAY];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, want: &str) {
        let got =
            index(Path::new(path)).map_or_else(|error| error.to_string(), |index| format!("camera {index}"));
        assert!(got.contains(want), "{path}: got {got:?}, want {want:?}");
    }

    #[test]
    fn a_camera_that_cannot_be_opened_is_explained() {
        check("/dev/video4711", "no camera at /dev/video4711: plug it in, or see `farwheel-robot devices`");
        check("/dev/null", "/dev/null is not a video device");
        check("/", "/ is not a video device");
    }

    #[test]
    fn a_busy_and_an_unplugged_camera_are_told_apart() {
        let path = Path::new("/dev/video0");
        let busy = NokhwaError::OpenStreamError("Device or resource busy (os error 16)".into());
        assert!(
            matches!(in_words(path, &busy), Error::Busy(text) if text.contains("used by another program"))
        );
        let gone = NokhwaError::ReadFrameError("No such device (os error 19)".into());
        assert_eq!(in_words(path, &gone), Error::Lost("/dev/video0 was unplugged".into()));
    }

    #[test]
    fn the_group_of_a_file_has_its_name() {
        assert_eq!(group_of(Path::new("/dev/null")).as_deref(), Some("root"));
    }

    #[test]
    fn listing_devices_works_without_any() {
        for device in devices().expect("the system can be asked") {
            assert!(device.path.exists(), "{device:?}");
        }
    }
}
