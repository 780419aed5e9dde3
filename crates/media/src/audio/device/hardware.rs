//! Real devices, through the system's sound (ALSA on Linux).

use std::sync::Arc;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedStreamConfig};

use super::ring::{Clock, Intake, Outlet, intake, outlet};
use super::{Direction, Error, Stream};

/// How often a device should call back: often enough for little delay, seldom enough for a busy machine.
const PERIOD: Duration = Duration::from_millis(5);
/// How often it calls back if it does not say.
const PERIOD_USUAL: Duration = Duration::from_millis(20);

/// The system's sound, and what it says where nobody should see it.
pub(super) struct Hardware {
    host: cpal::Host,
    /// Takes what ALSA would write to standard error on this thread.
    #[cfg(target_os = "linux")]
    noise: std::cell::Cell<Option<std::rc::Rc<std::cell::RefCell<alsa::Output>>>>,
}

/// A device that can be opened.
pub(super) struct Found {
    /// To show and to choose by: twins are told apart by what stays when another one is unplugged.
    pub(super) name: String,
    device: cpal::Device,
}

struct Opened {
    clock: Arc<Clock>,
    _stream: cpal::Stream,
}

impl Stream for Opened {
    fn is_lost(&self) -> bool {
        self.clock.is_lost()
    }
}

impl Hardware {
    pub(super) fn new() -> Self {
        Self {
            host: cpal::default_host(),
            #[cfg(target_os = "linux")]
            noise: std::cell::Cell::new(alsa::Output::local_error_handler().ok()),
        }
    }

    /// All devices' names, microphones, then speakers, without opening any.
    pub(super) fn names(&self) -> [Vec<String>; 2] {
        self.list().map(|all| all.into_iter().map(|found| found.name).collect())
    }

    /// The device of this name.
    pub(super) fn find(&self, direction: Direction, name: &str) -> Option<Found> {
        let [microphones, speakers] = self.list();
        let all = match direction {
            Direction::In => microphones,
            Direction::Out => speakers,
        };
        all.into_iter().find(|found| found.name == name)
    }

    /// All devices, microphones, then speakers: the system is asked once, which takes it some milliseconds.
    fn list(&self) -> [Vec<Found>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        for device in self.host.devices().into_iter().flatten() {
            let Some(name) = shown_name(&device) else { continue };
            let fits = [device.supports_input(), device.supports_output()];
            for (found, _) in all.iter_mut().zip(fits).filter(|(_, fits)| *fits) {
                found.push(Found { name: name.clone(), device: device.clone() });
            }
        }
        self.quieten();
        for found in &mut all {
            let plain: Vec<String> = found.iter().map(|one| one.name.clone()).collect();
            let marks: Vec<_> = found.iter().map(|one| mark(&one.device)).collect();
            for (one, name) in found.iter_mut().zip(told_apart(&plain, &marks)) {
                one.name = name;
            }
        }
        all
    }

    /// What the system is set to.
    pub(super) fn default(&self, direction: Direction) -> Option<Found> {
        let device = match direction {
            Direction::In => self.host.default_input_device(),
            Direction::Out => self.host.default_output_device(),
        };
        device.map(|device| Found { name: "default".to_owned(), device })
    }

    pub(super) fn microphone(&self, found: &Found) -> Result<(Box<dyn Stream>, Intake), Error> {
        let opened = open_microphone(&found.device);
        self.quieten();
        opened.map_err(|error| in_words(&error, &found.name))
    }

    pub(super) fn speaker(&self, found: &Found) -> Result<(Box<dyn Stream>, Outlet), Error> {
        let opened = open_speaker(&found.device);
        self.quieten();
        opened.map_err(|error| in_words(&error, &found.name))
    }

    /// Logs what the library had to say, where only who looks for it finds it.
    fn quieten(&self) {
        #[cfg(target_os = "linux")]
        if let Some(noise) = self.noise.replace(alsa::Output::local_error_handler().ok()) {
            noise.borrow().buffer_string(|text| {
                if !text.is_empty() {
                    tracing::debug!(said = %String::from_utf8_lossy(text).trim(), "alsa");
                }
            });
        }
    }
}

/// The names, those that several have with each one's mark behind, or with a number where that does not tell them apart.
fn told_apart(plain: &[String], marks: &[Option<String>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(plain.len());
    for (name, mark) in plain.iter().zip(marks) {
        let is_twin = plain.iter().filter(|other| *other == name).count() > 1;
        let marked = match mark.as_ref().filter(|_| is_twin) {
            Some(mark) => format!("{name} ({mark})"),
            None => name.clone(),
        };
        let numbers = (2_u32..).map(|n| format!("{marked} ({n})"));
        let mut all = std::iter::once(marked.clone()).chain(numbers);
        names.push(all.find(|name| !names.contains(name)).expect("numbers do not end soon"));
    }
    names
}

/// What a device keeps whatever else is plugged in: its card's name for programs, and which of the card's it is.
fn mark(device: &cpal::Device) -> Option<String> {
    let id = device.id().ok()?;
    let (card, number) = id.id().strip_prefix("plughw:CARD=")?.split_once(",DEV=")?;
    let card = std::fs::read_to_string(format!("/proc/asound/card{card}/id")).ok()?;
    Some(if number == "0" { card.trim().to_owned() } else { format!("{} {number}", card.trim()) })
}

/// The name to show, if the device is one that a user would choose: ALSA lists each card a dozen times, once for each
/// way through its converters.
fn shown_name(device: &cpal::Device) -> Option<String> {
    let id = device.id().ok()?;
    let description = device.description().ok()?;
    if !cfg!(target_os = "linux") {
        return Some(description.name().to_owned());
    }
    match id.id() {
        "pipewire" => Some("PipeWire".to_owned()),
        "pulse" => Some("PulseAudio".to_owned()),
        id if id.starts_with("plughw:CARD=") && id.as_bytes().get(12).is_some_and(u8::is_ascii_digit) => {
            Some(description.name().to_owned())
        }
        _ => None,
    }
}

fn in_words(error: &cpal::Error, name: &str) -> Error {
    let text = match error.message() {
        Some(message) => format!("{name}: {message}"),
        None => format!("{name}: {}", error.kind()),
    };
    match error.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => {
            Error::Missing(format!("{name} is not there"))
        }
        ErrorKind::DeviceBusy => Error::Busy(format!("{name} is used by another program")),
        ErrorKind::PermissionDenied => Error::NotAllowed(format!("{name} may not be used by this user")),
        _ => Error::Unsupported(text),
    }
}

/// Asks for short periods, and takes the device's own if it has none.
fn config(supported: &SupportedStreamConfig) -> (StreamConfig, StreamConfig, u32) {
    let frames = (supported.sample_rate() as f64 * PERIOD.as_secs_f64()) as u32;
    let usual = (supported.sample_rate() as f64 * PERIOD_USUAL.as_secs_f64()) as u32;
    let plain = supported.config();
    (StreamConfig { buffer_size: cpal::BufferSize::Fixed(frames), ..plain }, plain, usual)
}

/// Runs a generic function with the type of the device's samples.
macro_rules! with_sample_type {
    ($format:expr, $run:ident ( $($argument:expr),* )) => {
        match $format {
            SampleFormat::I8 => $run::<i8>($($argument),*),
            SampleFormat::I16 => $run::<i16>($($argument),*),
            SampleFormat::I32 => $run::<i32>($($argument),*),
            SampleFormat::U8 => $run::<u8>($($argument),*),
            SampleFormat::U16 => $run::<u16>($($argument),*),
            SampleFormat::U32 => $run::<u32>($($argument),*),
            SampleFormat::F64 => $run::<f64>($($argument),*),
            SampleFormat::F32 => $run::<f32>($($argument),*),
            _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
        }
    };
}

fn open_microphone(device: &cpal::Device) -> Result<(Box<dyn Stream>, Intake), cpal::Error> {
    let supported = device.default_input_config()?;
    let (short, plain, usual) = config(&supported);
    let period = |config: StreamConfig| match config.buffer_size {
        cpal::BufferSize::Fixed(frames) => frames,
        cpal::BufferSize::Default => usual,
    };
    let open = |config| {
        with_sample_type!(supported.sample_format(), build_microphone(device, config, period(config)))
    };
    open(short).or_else(|_| open(plain))
}

fn build_microphone<T>(
    device: &cpal::Device,
    config: StreamConfig,
    period: u32,
) -> Result<(Box<dyn Stream>, Intake), cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let (mut source, intake) = intake(config.sample_rate, period);
    let clock = Arc::clone(&source.clock);
    let channels = usize::from(config.channels.max(1));
    let stream = device.build_input_stream::<T, _, _>(
        config,
        move |data, info| {
            let latency = info.timestamp().callback.duration_since(info.timestamp().capture);
            // The capture time is that of the first frame; the whole piece has come now.
            let piece =
                Duration::from_secs_f64(data.len() as f64 / channels as f64 / f64::from(config.sample_rate));
            let frames = data.chunks_exact(channels).map(|frame| {
                frame.iter().map(|sample| f32::from_sample_(*sample)).sum::<f32>() / channels as f32
            });
            source.bring(frames, Instant::now(), latency.saturating_sub(piece));
        },
        on_error(Arc::clone(&clock)),
        None,
    )?;
    stream.play()?;
    Ok((Box::new(Opened { clock, _stream: stream }), intake))
}

fn open_speaker(device: &cpal::Device) -> Result<(Box<dyn Stream>, Outlet), cpal::Error> {
    let supported = device.default_output_config()?;
    let (short, plain, usual) = config(&supported);
    let period = |config: StreamConfig| match config.buffer_size {
        cpal::BufferSize::Fixed(frames) => frames,
        cpal::BufferSize::Default => usual,
    };
    let open =
        |config| with_sample_type!(supported.sample_format(), build_speaker(device, config, period(config)));
    open(short).or_else(|_| open(plain))
}

fn build_speaker<T>(
    device: &cpal::Device,
    config: StreamConfig,
    period: u32,
) -> Result<(Box<dyn Stream>, Outlet), cpal::Error>
where
    T: SizedSample + FromSample<f32>,
{
    let (mut sink, outlet) = outlet(config.sample_rate, period);
    let clock = Arc::clone(&sink.clock);
    let channels = usize::from(config.channels.max(1));
    let stream = device.build_output_stream::<T, _, _>(
        config,
        move |data, info| {
            let latency = info.timestamp().playback.duration_since(info.timestamp().callback);
            sink.fetch(data.len() / channels, Instant::now(), latency, |n, sample| {
                // One voice on the front pair; the other speakers of a room stay silent.
                for (channel, place) in data[n * channels..][..channels].iter_mut().enumerate() {
                    *place = if channel < 2 { T::from_sample_(sample) } else { T::EQUILIBRIUM };
                }
            });
        },
        on_error(Arc::clone(&clock)),
        None,
    )?;
    stream.play()?;
    Ok((Box::new(Opened { clock, _stream: stream }), outlet))
}

fn on_error(clock: Arc<Clock>) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| match error.kind() {
        ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => clock.hiccup(),
        _ => clock.lose(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_has_a_name_of_its_own_that_stays_when_its_twin_goes() {
        let names = |devices: &[(&str, Option<&str>)]| {
            let plain: Vec<_> = devices.iter().map(|(plain, _)| (*plain).to_owned()).collect();
            let marks: Vec<_> = devices.iter().map(|(_, mark)| mark.map(str::to_owned)).collect();
            told_apart(&plain, &marks)
        };
        let all = [("X (Y)", Some("A")), ("X (Y)", Some("A 1")), ("X (Y)", Some("B")), ("Z", Some("C"))];
        assert_eq!(names(&all), ["X (Y) (A)", "X (Y) (A 1)", "X (Y) (B)", "Z"]);
        assert_eq!(names(&all[1..]), ["X (Y) (A 1)", "X (Y) (B)", "Z"]);
        assert_eq!(names(&[("X", None), ("X", None), ("X (2)", None)]), ["X", "X (2)", "X (2) (2)"]);
    }
}
