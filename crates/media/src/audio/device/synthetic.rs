//! Devices that need no hardware: they call back every 5 ms, files every 10, each on a thread of its own, as real ones do.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, RATE};
use rustix::time::{ClockId, clock_gettime};

use super::ring::{Intake, Outlet, Sink, intake, outlet};
use super::{Error, Stream};
use crate::audio::marks::{Ear, Heard, voice};

/// How often a test device calls back: as often as real ones are asked to.
const PERIOD: Duration = Duration::from_millis(5);
const SAMPLES: usize = BLOCK / 2;
/// How often a file does: at any usual rate that is a whole number of samples.
const FILE_PERIOD: Duration = Duration::from_millis(10);
/// Marks kept until somebody asks. Full: the oldest is dropped.
const HEARD_MAX: usize = 600;
/// What a file is shortened to: ten minutes of two channels at 48 kHz are 230 MB.
const FILE_MAX: usize = 10 * 60 * 2 * 48_000;

/// A thread that calls back.
struct Periodic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Periodic {
    /// Calls `tick` with each time that a callback is due; a late one is made up for, as by a device's buffer.
    fn start(
        name: &str,
        period: Duration,
        mut tick: impl FnMut(Instant) + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut due = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    due += period;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    tick(due);
                }
            }
        });
        let thread = thread.map_err(|error| Error::Unsupported(format!("no thread: {error}")))?;
        Ok(Self { stop, thread: Some(thread), heard: Arc::default() })
    }
}

impl Stream for Periodic {
    fn is_lost(&self) -> bool {
        false
    }

    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has no result; that it panicked is already on standard error.
            thread.join().ok();
        }
    }
}

/// The clock that the marks of all processes stand on.
fn monotonic_nanos(at: Instant) -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let now_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    now_ns.saturating_sub(Instant::now().saturating_duration_since(at).as_nanos() as u64)
}

/// A microphone that hears the test voice.
pub(super) fn test_microphone() -> Result<(Box<dyn Stream>, Intake), Error> {
    let (mut source, intake) = intake(RATE, SAMPLES as u32);
    let stream = Periodic::start("sound-test-in", PERIOD, move |due| {
        let begin = monotonic_nanos(due) - PERIOD.as_nanos() as u64;
        let sample = |n: usize| voice(begin + n as u64 * 1_000_000_000 / u64::from(RATE));
        source.bring((0..SAMPLES).map(sample), due, Duration::ZERO);
    })?;
    Ok((Box::new(stream), intake))
}

/// A speaker that measures how late the marks of test microphones come.
pub(super) fn test_speaker() -> Result<(Box<dyn Stream>, Outlet), Error> {
    let heard = Arc::<Mutex<Vec<Heard>>>::default();
    let (mut ear, mut block) = (Ear::default(), [0.0; SAMPLES]);
    let (mut sink, outlet) = outlet(RATE, SAMPLES as u32);
    let mut stream = Periodic::start("sound-test-out", PERIOD, {
        let heard = Arc::clone(&heard);
        move |due| {
            fetch(&mut sink, due, &mut block);
            let marks = ear.hear(monotonic_nanos(due), &block);
            if !marks.is_empty() {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend(marks);
                let surplus = heard.len().saturating_sub(HEARD_MAX);
                heard.drain(..surplus);
            }
        }
    })?;
    stream.heard = heard;
    Ok((Box::new(stream), outlet))
}

/// How often a file is played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Play {
    /// Once, then silence.
    Once,
    /// Without end.
    Again,
}

/// A microphone that hears a file.
pub(super) fn file_microphone(path: &Path, play: Play) -> Result<(Box<dyn Stream>, Intake), Error> {
    let (rate, sound) = read(path)?;
    let per_call = rate as usize / 100;
    let (mut source, intake) = intake(rate, per_call as u32);
    let mut next = 0;
    let stream = Periodic::start("sound-file-in", FILE_PERIOD, move |due| {
        let sound = &sound;
        let at = |n: usize| {
            let place = next + n;
            match play {
                Play::Once => sound.get(place).copied().unwrap_or(0.0),
                Play::Again => sound[place % sound.len()],
            }
        };
        source.bring((0..per_call).map(at), due, Duration::ZERO);
        next += per_call;
    })?;
    Ok((Box::new(stream), intake))
}

/// A speaker that writes what is heard to a file.
pub(super) fn file_speaker(path: &Path) -> Result<(Box<dyn Stream>, Outlet), Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let writer = hound::WavWriter::create(path, spec)
        .map_err(|error| Error::Missing(format!("{}: {error}", path.display())))?;
    let mut file = Recorded { writer, failed: false, blocks: 0 };
    let (mut sink, outlet) = outlet(RATE, BLOCK as u32);
    let mut block = [0.0; BLOCK];
    let stream = Periodic::start("sound-file-out", FILE_PERIOD, move |due| {
        fetch(&mut sink, due, &mut block);
        file.write(&block);
    })?;
    Ok((Box::new(stream), outlet))
}

fn fetch(sink: &mut Sink, due: Instant, block: &mut [f32]) {
    sink.fetch(block.len(), due, Duration::ZERO, |n, sample| block[n] = sample);
}

struct Recorded {
    writer: hound::WavWriter<BufWriter<File>>,
    failed: bool,
    blocks: u64,
}

impl Recorded {
    fn write(&mut self, block: &[f32; BLOCK]) {
        if self.failed {
            return;
        }
        let mut result = Ok(());
        for sample in block {
            result = result.and_then(|()| {
                self.writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)
            });
        }
        self.blocks += 1;
        if self.blocks.is_multiple_of(100) {
            // The file is whole up to the last second however the process ends.
            result = result.and_then(|()| self.writer.flush());
        }
        if let Err(error) = result {
            tracing::warn!(%error, "what is heard is not written any more");
            self.failed = true;
        }
    }
}

/// Reads a file whole and mixes its channels into one.
fn read(path: &Path) -> Result<(u32, Vec<f32>), Error> {
    let error = |error: hound::Error| {
        let text = format!("{}: {error}", path.display());
        if matches!(error, hound::Error::IoError(_)) {
            Error::Missing(text)
        } else {
            Error::Unsupported(text)
        }
    };
    let mut reader = hound::WavReader::open(path).map_err(error)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    if !(8_000..=192_000).contains(&spec.sample_rate) {
        let text = format!("{}: {} samples a second, want 8000 to 192000", path.display(), spec.sample_rate);
        return Err(Error::Unsupported(text));
    }
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().take(FILE_MAX).collect(),
        hound::SampleFormat::Int => {
            let full = 2.0_f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader.samples::<i32>().take(FILE_MAX).map(|sample| sample.map(|x| x as f32 / full)).collect()
        }
    };
    let samples = samples.map_err(error)?;
    let mono: Vec<f32> =
        samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    if mono.is_empty() {
        return Err(Error::Unsupported(format!("{}: no sound in it", path.display())));
    }
    Ok((spec.sample_rate, mono))
}
