//! The own recording of a call: all pictures in one, and everything that sounds, as an MP4 file.
//!
//! The thread `record` looks at the newest picture of each slot 25 times a second, puts them together, and encodes the
//! result with an encoder of its own; the window and the call wait for nothing here. A machine that is too busy leaves
//! pictures of the recording out, never sound.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_media::compose::{Composer, Part, Place};
use farwheel_media::encode::{self, Effort, Encoder};
use farwheel_media::mp4::{Sound, Writer};
use farwheel_media::slot::{Slot as StopSlot, Taken};
use farwheel_proto::video::{Bitrate, FrameKind, Size};

use super::lock;
use crate::render::slot::Slot;

/// Somebody in the recording.
#[derive(Clone, Debug)]
pub struct View {
    /// Where the newest picture is; none while the camera is off.
    pub slot: Option<Slot>,
    /// The name below it.
    pub name: String,
    /// How large it is shown.
    pub place: Place,
}

/// 10 ms of sound, or another short piece: when its first sample is heard, and one channel at 48 kHz.
pub type Heard = (Instant, Vec<f32>);

/// Where sound comes from: each call gives the next piece, or none if there is none yet.
pub type Ear = Box<dyn FnMut() -> Option<Heard> + Send>;

/// What the sound of a call gives to a recorder.
pub fn ear(tap: farwheel_media::audio::Tap) -> Ear {
    Box::new(move || tap.try_next().map(|mixed| (mixed.at, mixed.samples.to_vec())))
}

/// A recording under way; dropped it ends, as by [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    shared: Arc<Shared>,
    stop: StopSlot<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    views: Mutex<Vec<View>>,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    lasted: Duration,
    problem: Option<String>,
}

const SIZE: Size = Size::new(1280, 720);
const FPS: u32 = 25;
/// Faces, and text of a shared screen that is still readable.
const BITRATE: Bitrate = Bitrate::from_kbps(2500);
/// A player can jump to these, and after a crash the file ends with the last one.
const KEY_EVERY: u32 = 4 * FPS;
/// Sound may come so much later than the picture of its time: through the mixer and the thread that hands it over.
const SOUND_LATE: Duration = Duration::from_millis(300);

impl Recorder {
    /// Begins to write to `path`, a file that is not there yet.
    ///
    /// # Errors
    /// When there is such a file, or it cannot be made.
    pub fn start(path: &Path, views: Vec<View>, ear: Ear) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
        }
        // Made here, so that what is wrong with it is known at once.
        std::fs::File::create_new(path).with_context(|| format!("create {}", path.display()))?;
        let shared = Arc::new(Shared { views: Mutex::new(views), state: Mutex::default() });
        let stop = StopSlot::new();
        let worker = {
            let (path, shared, stop) = (path.to_owned(), Arc::clone(&shared), stop.clone());
            move || {
                if let Err(error) = record(&path, &shared, &stop, ear) {
                    tracing::warn!(%error, "the recording ended");
                    lock(&shared.state).problem = Some(format!("recording: {error}"));
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("record".into()).spawn(worker).context("start a thread")?;
        Ok(Self { path: path.to_owned(), shared, stop, thread: Some(thread) })
    }

    /// Shows these from now on, in this order.
    pub fn set_views(&self, views: Vec<View>) {
        *lock(&self.shared.views) = views;
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is, or why it ended by itself.
    ///
    /// # Errors
    /// When the disk is full, for example; what was written before stays.
    pub fn lasted(&self) -> Result<Duration, String> {
        let state = lock(&self.shared.state).clone();
        state.problem.map_or(Ok(state.lasted), Err)
    }

    /// Ends the file; waits until it is whole.
    ///
    /// # Errors
    /// When it could not be written to its end.
    pub fn finish(mut self) -> anyhow::Result<PathBuf> {
        self.end();
        match self.lasted() {
            Ok(_) => Ok(self.path.clone()),
            Err(problem) => Err(anyhow::anyhow!(problem)),
        }
    }

    fn end(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            thread.join().ok();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Encode(#[from] encode::Error),
    #[error("{0}")]
    Write(#[from] farwheel_media::mp4::Error),
}

fn record(path: &Path, shared: &Shared, stop: &StopSlot<()>, mut ear: Ear) -> Result<(), Error> {
    let start = Instant::now();
    let target = encode::Target { bitrate: BITRATE, size: SIZE, fps: FPS };
    let mut encoder = Encoder::open(encode::Config { effort: Effort::Low }, target)?;
    let (mut composer, mut sound) = (Composer::new(SIZE), Sound::new()?);
    let (mut writer, mut number, mut last_key) = (None::<Writer>, 0u32, 0u32);
    loop {
        // On a grid: the file's pictures are as far apart as they say, whatever the machine does.
        let due = Duration::from_secs(1) * number / FPS;
        let wait = (start + due).saturating_duration_since(Instant::now());
        let is_last = !matches!(stop.take_within(wait), Taken::TimedOut);
        while let Some((at, block)) = ear() {
            // What was heard before the recording began is no part of it.
            if let Some(at) = at.checked_duration_since(start) {
                sound.put(at, &block);
            }
        }
        if is_last {
            if let Some(mut writer) = writer {
                sound.write(due, &mut writer)?;
                writer.finish()?;
            }
            return Ok(());
        }
        let parts: Vec<Part> = lock(&shared.views).iter().map(part).collect();
        if number - last_key >= KEY_EVERY {
            encoder.request_keyframe();
        }
        let coded = encoder.encode(&composer.compose(&parts, Instant::now()))?;
        if coded.kind == FrameKind::Key {
            last_key = number;
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(Writer::create(path, SIZE, &coded.data)?),
        };
        writer.write_picture(&coded.data, coded.kind, due)?;
        sound.write(due.saturating_sub(SOUND_LATE), writer)?;
        lock(&shared.state).lasted = due;
        // Pictures whose time has passed are left out.
        let passed = (start.elapsed().as_millis() * u128::from(FPS) / 1000) as u32;
        number = (number + 1).max(passed);
    }
}

fn part(view: &View) -> Part {
    let frame = view.slot.as_ref().and_then(Slot::newest).map(|picture| picture.frame);
    Part { frame, name: view.name.clone(), place: view.place }
}

#[cfg(test)]
mod tests;
