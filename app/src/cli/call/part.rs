//! How one takes part in a call, in a room or by letters.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use farwheel_media::audio;
use farwheel_media::capture::{Overlay, Spec};
use farwheel_peer::{Bind, CandidatePolicy};
use farwheel_proto::call::Tile;
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::video::Size;

use crate::call::{self, Choices, Tiles, Way, files};
use crate::cli::{Measure, parse_size};
use crate::model::settings::FILE_LIMIT_MB;
use crate::session::video::Shown;

/// Devices, and what happens without a window.
#[derive(Clone, Debug, Args)]
#[group(id = "part")]
pub(in crate::cli) struct Part {
    /// Spend little data: small pictures, few of them.
    #[arg(long)]
    pub(in crate::cli) low_data: bool,
    /// Largest file that is taken from others, in MB [default: as the settings say, at first 2000].
    #[arg(long, value_name = "MB")]
    pub(in crate::cli) file_limit: Option<u32>,
    /// The camera: usb:0, usb:/dev/video0, test, command:<program>, or none [default: the first one there is].
    #[arg(long, value_name = "CAMERA")]
    pub(in crate::cli) camera: Option<String>,
    /// Size of the camera's pictures.
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1280x720")]
    pub(in crate::cli) size: Size,
    /// Pictures a second of the camera.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(in crate::cli) fps: u32,
    /// The microphone: default, none, test, wav:FILE, loop:FILE or a device's name.
    #[arg(long, value_name = "DEVICE", default_value = "default")]
    pub(in crate::cli) microphone: audio::Spec,
    /// The speaker: default, none, test, wav:FILE or a device's name.
    #[arg(long, value_name = "DEVICE", default_value = "default")]
    pub(in crate::cli) speaker: audio::Spec,
    /// How picture ages are measured.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) measure: Measure,
    /// Without a window.
    #[arg(long)]
    pub(in crate::cli) headless: bool,
    /// Without a window: show the others' pictures as if so large.
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "640x360", requires = "headless")]
    pub(in crate::cli) tile: Size,
    /// Leave after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    pub(in crate::cli) seconds: Option<f64>,
    /// Without a window: write figures to this file at the end (- is stdout).
    #[arg(long, value_name = "FILE", requires = "headless")]
    pub(in crate::cli) report: Option<PathBuf>,
    /// Without a window: leave so many seconds at the start out of the figures.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, requires = "headless")]
    pub(in crate::cli) left_out: f64,
    /// Without a window: write this to all once somebody is there.
    #[arg(long, value_name = "TEXT", requires = "headless")]
    pub(in crate::cli) say: Option<String>,
    /// Without a window: share this: screen, screen:2, window:TITLE (a part of it), or portal (the desktop asks which).
    #[arg(long, value_name = "WHAT", requires = "headless")]
    pub(in crate::cli) share: Option<String>,
    /// Without a window: send this file to all once somebody is there.
    #[arg(long, value_name = "FILE", requires = "headless")]
    pub(in crate::cli) send: Option<PathBuf>,
    /// Without a window: take every file that is offered, into this folder.
    #[arg(long, value_name = "FOLDER", requires = "headless")]
    pub(in crate::cli) accept_files: Option<PathBuf>,
    /// Without a window: keep this device's identity and those met in this folder [default: an identity for this call
    /// alone; with --answer the one that the window has].
    #[arg(long, value_name = "FOLDER", requires = "headless")]
    pub(in crate::cli) home: Option<PathBuf>,
    /// Without a window: record the call into this folder from when somebody is there.
    #[arg(long, value_name = "FOLDER", requires = "headless")]
    pub(in crate::cli) record: Option<PathBuf>,
}

impl Part {
    pub(in crate::cli) const fn thrift(&self) -> Thrift {
        if self.low_data { Thrift::Low } else { Thrift::Free }
    }

    pub(in crate::cli) fn choices(&self) -> anyhow::Result<Choices> {
        let is_none = self.camera.as_deref() == Some("none");
        let camera: Option<Spec> = self.camera.as_deref().filter(|_| !is_none).map(str::parse).transpose()?;
        let overlay = if self.measure == Measure::Strip { Overlay::Strip } else { Overlay::None };
        Ok(Choices {
            camera,
            size: self.size,
            fps: self.fps,
            overlay,
            is_camera_on: !is_none,
            microphone: self.microphone.clone(),
            speaker: self.speaker.clone(),
            ..Choices::default()
        })
    }

    pub(in crate::cli) fn lasts(&self) -> Option<Duration> {
        self.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// Of a call without a window.
    pub(in crate::cli) fn config(&self, way: Way, bind: Bind, candidates: CandidatePolicy) -> call::Config {
        let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        call::Config {
            way,
            bind,
            candidates,
            shown: Shown::WhenDecoded,
            strip: self.measure.strip(self.report.is_some()),
            left_out: Duration::try_from_secs_f64(self.left_out).unwrap_or_default(),
            tiles: Tiles::Fixed {
                camera: Tile { width: side(self.tile.width), height: side(self.tile.height) },
                screen: Tile { width: 1920, height: 1080 },
            },
            thrift: self.thrift(),
            files: files::Config {
                folder: self.accept_files.clone().unwrap_or_else(call::desk::files_folder),
                limit: call::desk::bytes(self.file_limit.unwrap_or(FILE_LIMIT_MB)),
                offers: match self.accept_files {
                    Some(_) => files::Offers::Take,
                    None => files::Offers::Ask,
                },
            },
            home: self.home.clone(),
            recordings: self.record.clone(),
        }
    }
}
