//! `farwheel drive`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use farwheel_peer::signaling::Role;

use super::headless::{self, Limits};

use super::signals::Stop;
use super::{Exit, Measure, Where, stats, view, window};
use crate::model::settings::Paths;
use crate::render::slot::Slot;
use crate::script::{Player, Script};
use crate::session::hands::{Driver, Hands};
use crate::session::record::Recorder;
use crate::session::sound::Devices;
use crate::session::video::Shown;
use crate::session::{Config, Session};
use crate::settings::{Settings, Store};

/// Arguments of `farwheel drive`.
#[derive(Clone, Debug, Args)]
pub(super) struct Drive {
    #[command(flatten)]
    pub(super) place: Where,
    /// File with the code that proves the robot's owner, who may take the wheel from anyone.
    #[arg(long, value_name = "FILE")]
    owner_code_file: Option<PathBuf>,
    /// Without a window.
    #[arg(long)]
    pub(super) headless: bool,
    /// Play timed stick input from this file, then end.
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
    /// Without a script: hold the deadman and arm once the robot is there, the sticks at neutral.
    #[arg(long, conflicts_with = "script")]
    pub(super) arm: bool,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(super) seconds: Option<f64>,
    /// Write figures to this file at the end (- is stdout).
    #[arg(long, value_name = "FILE")]
    pub(super) stats_json: Option<PathBuf>,
    /// How picture ages are measured.
    #[arg(long, value_enum, default_value_t)]
    pub(super) measure: Measure,
    /// Write decoded pictures as y4m (- is stdout).
    #[arg(long, value_name = "FILE", requires = "headless")]
    y4m: Option<PathBuf>,
    /// Record the received video to this MP4 file.
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Save a PNG: without a window the last picture, else the window once the car has moved for some seconds.
    #[arg(long, value_name = "FILE")]
    pub(super) screenshot: Option<PathBuf>,
    /// Send commands on two paths at once [default: what the settings say, which is auto if they say nothing].
    #[arg(long, value_enum, value_name = "PATHS")]
    pub(super) control_paths: Option<Paths>,
    /// Leave so many seconds at the start out of the percentiles.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    left_out: f64,
}

impl Drive {
    pub(super) fn owner_code(&self) -> anyhow::Result<Option<String>> {
        self.owner_code_file.as_deref().map(super::read_secret).transpose()
    }

    pub(super) fn left_out(&self) -> Duration {
        Duration::try_from_secs_f64(self.left_out).unwrap_or(Duration::from_secs(3))
    }
}

pub(super) fn run(args: Drive) -> anyhow::Result<Exit> {
    let script = match &args.script {
        Some(path) => Some(Script::load(path)?),
        None if args.arm => Some(Script::parse("arm 30\nhold\n0 0 0\n86400 0 0\n")?),
        None => None,
    };
    if !args.headless {
        return window::run(Some((args, script)));
    }
    let stop = Stop::listen(std::thread::current())?;
    let settings = Store::open().map(|store| store.load().settings).unwrap_or_else(|_| Settings::default());
    let driver = match script {
        Some(script) => Driver::Script { player: Box::new(Player::new(script)), slot: None },
        None => Driver::Headless,
    };
    let paths = args.control_paths.unwrap_or(settings.control_paths);
    let hands = Hands::start(driver, Arc::new(settings))?;
    let slot = Slot::new();
    let recorder = args.record.as_deref().map(Recorder::new);
    let config = config(&args, recorder.clone(), paths)?;
    let mut writer =
        args.y4m.as_deref().map(|path| view::Writer::start(path, slot.clone(), None)).transpose()?;
    let session = Session::start(config, slot.clone(), Some(&hands))?;
    let limits = Limits::new(&args.place, args.seconds);
    let exit = headless::attend(&session, Some(&hands), &args.place, limits, &stop, |_| {
        writer.as_mut().and_then(view::Writer::ended)
    });
    finish(&args, &session, recorder.as_ref(), exit, || {
        slot.take().or_else(|| slot.shown()).map(|picture| picture.frame)
    })
}

/// What both kinds of stay do at the end: figures, recording, picture.
pub(super) fn finish(
    args: &Drive,
    session: &Session,
    recorder: Option<&Recorder>,
    exit: Exit,
    picture: impl FnOnce() -> Option<farwheel_media::VideoFrame>,
) -> anyhow::Result<Exit> {
    let report = stats::report(session);
    args.measure.check(&report)?;
    if let Some(path) = &args.stats_json {
        stats::write(&report, path)?;
    }
    if let Some(recorder) = recorder {
        recorder.finish()?;
    }
    if let Some(path) = &args.screenshot {
        match picture() {
            Some(frame) => crate::session::video::save_png(&frame, path)?,
            None => anyhow::bail!("there is no picture to save to {}", path.display()),
        }
    }
    Ok(exit)
}

/// The stay that the arguments describe, without a window.
fn config(args: &Drive, recorder: Option<Recorder>, control_paths: Paths) -> anyhow::Result<Config> {
    Ok(Config {
        signaling: args.place.signaling(Role::Driver)?,
        owner_code: args.owner_code()?,
        bind: args.place.own.bind(),
        candidates: args.place.own.candidates(),
        shown: Shown::WhenDecoded,
        strip: args.measure.strip(true),
        left_out: args.left_out(),
        recorder,
        control_paths,
        sound: Devices::NONE,
    })
}
