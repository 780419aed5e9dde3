//! `farwheel view`: pictures for other programs, as y4m.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Args;
use farwheel_media::audio::Spec;
use farwheel_media::scale::Scaler;
use farwheel_media::y4m;
use farwheel_peer::signaling::Role;
use farwheel_proto::video::Size;

use super::headless::{self, Limits};
use super::signals::Stop;
use super::{Exit, Measure, Where, parse_size, stats};
use crate::model::settings::Paths;
use crate::render::slot::Slot;
use crate::session::sound::Devices;
use crate::session::video::Shown;
use crate::session::{Config, Session};

/// Arguments of `farwheel view`.
#[derive(Clone, Debug, Args)]
pub(super) struct View {
    #[command(flatten)]
    place: Where,
    /// Write decoded pictures as y4m to this file (- is stdout); a slow reader gets the newest.
    #[arg(long, value_name = "FILE")]
    y4m: PathBuf,
    /// Scale pictures to this size [default: the size of the first one].
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    size: Option<Size>,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Write figures to this file at the end (- is stdout; not together with --y4m -).
    #[arg(long, value_name = "FILE")]
    stats_json: Option<PathBuf>,
    /// Play what the robot's microphone hears on this device: none, default, wav:FILE or a device's name.
    #[arg(long, value_name = "DEVICE", default_value = "none")]
    speaker: Spec,
    /// How picture ages are measured.
    #[arg(long, value_enum, default_value_t)]
    measure: Measure,
}

pub(super) fn run(args: View) -> anyhow::Result<Exit> {
    let dash = Path::new("-");
    anyhow::ensure!(
        args.y4m != dash || args.stats_json.as_deref() != Some(dash),
        "pictures and figures cannot both go to stdout"
    );
    let stop = Stop::listen(std::thread::current())?;
    let slot = Slot::new();
    let mut writer = Writer::start(&args.y4m, slot.clone(), args.size)?;
    let config = Config {
        signaling: args.place.signaling(Role::Viewer)?,
        owner_code: None,
        bind: args.place.own.bind(),
        candidates: args.place.own.candidates(),
        shown: Shown::WhenDecoded,
        strip: args.measure.strip(args.stats_json.is_some()),
        left_out: Duration::from_secs(3),
        recorder: None,
        // A viewer sends no commands.
        control_paths: Paths::One,
        sound: Devices { speaker: args.speaker.clone(), ..Devices::NONE },
    };
    let session = Session::start(config, slot, None)?;
    let limits = Limits::new(&args.place, args.seconds);
    let exit = headless::attend(&session, None, &args.place, limits, &stop, |_| writer.ended());
    let report = stats::report(&session);
    args.measure.check(&report)?;
    if let Some(path) = &args.stats_json {
        stats::write(&report, path)?;
    }
    drop(session);
    writer.finish()?;
    Ok(exit)
}

/// Writes the newest picture from a slot, on its own thread: a reader that is slow delays nobody.
pub(super) struct Writer {
    thread: Option<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
    result: io::Result<()>,
}

impl Writer {
    /// Starts to write to `path` (`-` is stdout); pictures are scaled to `size`, or to the size of the first one.
    pub(super) fn start(path: &Path, slot: Slot, size: Option<Size>) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let output = if path == Path::new("-") {
            Output::Stdout
        } else {
            Output::File(File::create(path).with_context(|| format!("create {}", path.display()))?)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("y4m".into()).spawn({
            let (stop, slot) = (Arc::clone(&stop), slot.clone());
            move || write(output, &slot, size, &stop)
        })?;
        let waiter = thread.thread().clone();
        slot.on_put(move || waiter.unpark());
        Ok(Self { thread: Some(thread), stop, result: Ok(()) })
    }

    /// How to end if the reader has gone or the file cannot be written.
    pub(super) fn ended(&mut self) -> Option<Exit> {
        if !self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return None;
        }
        self.join();
        match &self.result {
            Ok(()) => Some(Exit::Done),
            // The reader has what it wanted.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.result = Ok(());
                Some(Exit::Done)
            }
            Err(_) => Some(Exit::Failed),
        }
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        use anyhow::Context as _;
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
            // A reader that stopped reading holds the thread in a write: it ends with the process.
            let deadline = std::time::Instant::now() + Duration::from_millis(200);
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if !thread.is_finished() {
                return Ok(());
            }
        }
        self.join();
        match std::mem::replace(&mut self.result, Ok(())) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("write y4m"),
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.result = thread.join().unwrap_or_else(|_| Err(io::Error::other("the y4m writer panicked")));
        }
    }
}

/// Where the pictures go.
enum Output {
    /// Opened when their size is known, because that decides how much the pipe may hold.
    Stdout,
    File(File),
}

impl Output {
    fn open(self, size: Size) -> io::Result<File> {
        match self {
            Self::Stdout => y4m::stdout(size),
            Self::File(file) => Ok(file),
        }
    }
}

fn write(output: Output, slot: &Slot, size: Option<Size>, stop: &AtomicBool) -> io::Result<()> {
    let mut scaler = Scaler::new();
    let mut writer: Option<(y4m::Writer<File>, Size)> = None;
    let mut output = Some(output);
    while !stop.load(Ordering::Acquire) {
        let Some(picture) = slot.take() else {
            std::thread::park_timeout(Duration::from_millis(100));
            continue;
        };
        if let Some(output) = output.take() {
            let size = size.unwrap_or(picture.frame.size);
            // The rate is nominal: pictures are written when they come.
            writer = Some((y4m::Writer::new(output.open(size)?, size, 30)?, size));
        }
        if let Some((writer, size)) = &mut writer {
            writer.write(&scaler.scale(&picture.frame, *size))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use farwheel_media::frame::Pool;
    use farwheel_proto::video::FrameId;

    use super::*;
    use crate::render::slot::Picture;

    fn put(slot: &Slot, size: Size, value: u8) {
        let mut pool = Pool::new();
        let mut picture = pool.take(size);
        picture.fill(value, 128, 128);
        let frame = picture.share(&mut pool, Instant::now());
        slot.put(Picture { id: FrameId(value.into()), frame, decoded_at: Instant::now() });
    }

    #[test]
    fn a_change_of_size_is_scaled_to_what_the_header_announced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.y4m");
        let slot = Slot::new();
        let writer = Writer::start(&path, slot.clone(), None).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        for (size, value, bytes) in
            [(Size::new(64, 32), 50, 3072), (Size::new(32, 16), 60, 6144), (Size::new(128, 64), 70, 9216)]
        {
            put(&slot, size, value);
            while std::fs::metadata(&path).unwrap().len() <= bytes {
                assert!(Instant::now() < deadline, "nothing is written");
                std::thread::yield_now();
            }
        }
        writer.finish().unwrap();
        let mut reader = y4m::Reader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.header().size, Size::new(64, 32));
        for value in [50, 60, 70] {
            assert_eq!(reader.read().unwrap().y()[0], value);
        }
        assert!(matches!(reader.read(), Err(y4m::Error::Ended)));
    }
}
