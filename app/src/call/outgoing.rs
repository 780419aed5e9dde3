//! The thread of one source, the camera or the shared screen: captured pictures in, at most three encodings out to whoever
//! shows them.

mod output;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_media::VideoFrame;
use farwheel_media::capture::{self, Camera, State};
use farwheel_media::encode::{self, Encoder};
use farwheel_media::slot::Taken;
use farwheel_peer::{ConnId, Connection, Sent, Track};
use farwheel_proto::call::layers::Demand;
use farwheel_proto::call::layers::{ENCODINGS_MAX, Encoding, Kind, Layers, Source, Thrift};
use farwheel_proto::control::ReceiverReport;
use farwheel_proto::rate::{Reason, Verdict};
use farwheel_proto::video::{CarTime, FrameKind, Size};

use output::Output;

use super::lock;
use crate::render::slot::{Picture, Slot};

/// Somebody who may get the pictures.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    /// The way to it.
    pub(super) connection: Arc<Connection>,
    /// Where it shows them; none: it does not.
    pub(super) tile: Option<Size>,
    /// What it says.
    pub(super) said: Arc<Said>,
}

/// What one receiver says of one track.
#[derive(Debug, Default)]
pub(super) struct Said {
    key_wanted: AtomicBool,
    report: Mutex<Option<ReceiverReport>>,
}

impl Said {
    /// It has lost the thread.
    pub(super) fn request_key(&self) {
        self.key_wanted.store(true, Ordering::Release);
    }

    /// It told what became of the pictures; one that was overtaken is not taken.
    pub(super) fn put(&self, report: ReceiverReport) {
        let mut newest = lock(&self.report);
        let is_newer = |than: &ReceiverReport| report.sequence.wrapping_sub(than.sequence) as i32 > 0;
        if newest.as_ref().is_none_or(is_newer) {
            *newest = Some(report);
        }
    }

    fn report(&self) -> Option<ReceiverReport> {
        *lock(&self.report)
    }
}

/// What is encoded at the moment and since the beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoded {
    /// The encodings.
    pub(super) encodings: [Option<Encoding>; ENCODINGS_MAX],
    /// The most there were at a time.
    pub(super) most: usize,
    /// Pictures encoded.
    pub(super) pictures: u64,
    /// Key frames of them.
    pub(super) keys: u64,
    /// Pictures that no link had room for.
    pub(super) skipped: u64,
    /// Time spent.
    pub(super) spent: Duration,
}

/// How the source is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Health {
    /// Nothing is captured.
    #[default]
    Off,
    /// It is opened.
    Opening,
    /// Pictures come.
    Live(Size),
    /// It cannot be had, in words.
    Failed(String),
}

/// One source; its thread ends with it.
#[derive(Debug)]
pub(super) struct Outgoing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    // Newest wins: what was chosen before is not opened any more.
    choice: Mutex<Option<Choice>>,
    thread: Mutex<Option<std::thread::Thread>>,
    receivers: Mutex<Arc<[Receiver]>>,
    is_low: AtomicBool,
    encoded: Mutex<Encoded>,
    health: Mutex<Health>,
    captured: AtomicU64,
}

/// What to capture.
pub(super) enum Choice {
    /// Nothing.
    Nothing,
    /// What this names.
    This(capture::Config),
    /// A source that was brought along.
    Brought(capture::Config, Box<dyn capture::Source>),
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::This(_) => "This",
            Self::Brought(..) => "Brought",
        })
    }
}

/// What the thread needs.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Which track it is.
    pub(super) track: Track,
    /// Zero of the clock that stamps everything this side sends.
    pub(super) epoch: Instant,
    /// Where the own pictures are shown.
    pub(super) preview: Slot,
}

impl Outgoing {
    /// Starts the thread; nothing is captured yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(setup: Setup) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            choice: Mutex::default(),
            thread: Mutex::default(),
            receivers: Mutex::new(Arc::new([])),
            is_low: AtomicBool::new(false),
            encoded: Mutex::default(),
            health: Mutex::default(),
            captured: AtomicU64::new(0),
        });
        let name = match setup.track {
            Track::Camera => "call-camera",
            Track::Screen => "call-screen",
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn({
            let shared = Arc::clone(&shared);
            move || Worker::new(setup, shared).run()
        })?;
        *lock(&shared.thread) = Some(thread.thread().clone());
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Captures this from now on. What was captured before is not told of any more.
    pub(super) fn capture(&self, choice: Choice) {
        let mut slot = lock(&self.shared.choice);
        *lock(&self.shared.health) = match &choice {
            Choice::Nothing => Health::Off,
            Choice::This(_) | Choice::Brought(..) => Health::Opening,
        };
        *slot = Some(choice);
        drop(slot);
        self.wake();
    }

    /// Sends to these from now on.
    pub(super) fn set_receivers(&self, receivers: Vec<Receiver>) {
        *lock(&self.shared.receivers) = receivers.into();
    }

    /// Spends little data, or as much as is of use.
    pub(super) fn set_thrift(&self, thrift: Thrift) {
        self.shared.is_low.store(thrift == Thrift::Low, Ordering::Relaxed);
    }

    /// What is encoded.
    pub(super) fn encoded(&self) -> Encoded {
        lock(&self.shared.encoded).clone()
    }

    /// How the source is.
    pub(super) fn health(&self) -> Health {
        lock(&self.shared.health).clone()
    }

    /// Pictures captured.
    pub(super) fn captured(&self) -> u64 {
        self.shared.captured.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(thread) = lock(&self.shared.thread).as_ref() {
            thread.unpark();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook.
            thread.join().ok();
        }
    }
}

struct Worker {
    setup: Setup,
    shared: Arc<Shared>,
    camera: Option<(Camera, capture::Config)>,
    layers: Option<(Layers, Source)>,
    outputs: [Option<Output>; ENCODINGS_MAX],
    /// The last size that no encoder takes, by encoding.
    refused: [Option<Size>; ENCODINGS_MAX],
    /// Which encoding each receiver got last.
    served: BTreeMap<ConnId, usize>,
    /// The size that each connection was told.
    told: BTreeMap<ConnId, Size>,
}

impl Worker {
    fn new(setup: Setup, shared: Arc<Shared>) -> Self {
        Self {
            setup,
            shared,
            camera: None,
            layers: None,
            outputs: [const { None }; ENCODINGS_MAX],
            refused: [None; ENCODINGS_MAX],
            served: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let choice = lock(&self.shared.choice).take();
            if let Some(choice) = choice {
                self.choose(choice);
            }
            let Some((camera, _)) = &self.camera else {
                std::thread::park_timeout(IDLE);
                continue;
            };
            let taken = camera.frames().take_within(LOOK);
            self.look_after_camera();
            if let Taken::Value(frame) = taken {
                self.handle_picture(&frame);
            }
        }
    }

    fn choose(&mut self, choice: Choice) {
        // A device is closed before another one is opened: it may be the same.
        self.camera = None;
        self.layers = None;
        self.outputs = [const { None }; ENCODINGS_MAX];
        self.served.clear();
        lock(&self.shared.encoded).encodings = [None; ENCODINGS_MAX];
        self.setup.preview.clear();
        let (camera, config) = match choice {
            Choice::Nothing => return,
            Choice::This(config) => (Camera::start(&config), config),
            Choice::Brought(config, source) => (Some(Camera::start_source(&config, source)), config),
        };
        match camera {
            Some(camera) => self.camera = Some((camera, config)),
            None => {
                let reason = format!("{} is no camera of this computer", config.spec);
                self.tell_health(Health::Failed(reason));
            }
        }
    }

    /// Tells how the source is, unless another one was chosen meanwhile.
    fn tell_health(&self, health: Health) {
        let choice = lock(&self.shared.choice);
        if choice.is_none() {
            *lock(&self.shared.health) = health;
        }
    }

    fn look_after_camera(&self) {
        let Some((camera, _)) = &self.camera else { return };
        let health = match camera.status().state {
            State::Opening => Health::Opening,
            State::Live { size, .. } => Health::Live(size),
            // What comes meanwhile is a placeholder.
            State::Stalled => Health::Opening,
            State::Failed { error, .. } => Health::Failed(error.to_string()),
        };
        self.tell_health(health);
    }

    fn handle_picture(&mut self, frame: &VideoFrame) {
        let now = Instant::now();
        let stamp = CarTime::since(self.setup.epoch, frame.captured_at);
        let picture = Picture { id: stamp.frame_id(), frame: frame.clone(), decoded_at: now };
        self.setup.preview.put(picture);
        self.shared.captured.fetch_add(1, Ordering::Relaxed);
        // A placeholder is for this side: it says why there is no picture.
        if !matches!(*lock(&self.shared.health), Health::Live(_)) {
            return;
        }
        let receivers = Arc::clone(&lock(&self.shared.receivers));
        self.tell_size(&receivers, frame.size);
        let Some(encodings) = self.layer(&receivers, frame, now) else { return };
        for (number, encoding) in encodings.into_iter().enumerate() {
            match encoding {
                None => self.outputs[number] = None,
                Some(encoding) => self.serve(number, encoding, &receivers, frame, now),
            }
        }
        lock(&self.shared.encoded).note(encodings);
    }

    /// A camera may give other pictures than it was asked for.
    fn tell_size(&mut self, receivers: &[Receiver], size: Size) {
        self.told.retain(|conn, _| receivers.iter().any(|one| one.connection.conn() == *conn));
        for receiver in receivers {
            if self.told.insert(receiver.connection.conn(), size) != Some(size) {
                receiver.connection.set_size(self.setup.track, size);
            }
        }
    }

    /// Decides on the encodings and who gets which.
    fn layer(
        &mut self,
        receivers: &[Receiver],
        frame: &VideoFrame,
        now: Instant,
    ) -> Option<[Option<Encoding>; ENCODINGS_MAX]> {
        let (_, config) = self.camera.as_ref()?;
        let kind = match self.setup.track {
            Track::Camera => Kind::Camera,
            Track::Screen => Kind::Screen,
        };
        let source = Source { kind, size: frame.size, fps: config.fps };
        let (layers, of) = self.layers.get_or_insert_with(|| (Layers::new(source), source));
        if *of != source {
            layers.set_source(source);
            *of = source;
        }
        let is_low = self.shared.is_low.load(Ordering::Relaxed);
        layers.set_thrift(if is_low { Thrift::Low } else { Thrift::Free });
        let demands = receivers.iter().filter_map(|receiver| {
            let rate = receiver.connection.target(self.setup.track)?.bitrate;
            Some((receiver.connection.conn(), Demand { tile: receiver.tile, rate }))
        });
        layers.handle_demands(&demands.collect(), now);
        let mut served = BTreeMap::new();
        for receiver in receivers {
            let conn = receiver.connection.conn();
            let number = layers.serving(conn);
            if self.served.get(&conn).copied() != number {
                // What it got before is of no use for what comes: it begins with a key frame.
                receiver.connection.leave_out(self.setup.track);
            }
            served.extend(number.map(|number| (conn, number)));
        }
        self.served = served;
        Some(layers.encodings())
    }

    /// Encodes a picture once for all who get this encoding.
    fn serve(
        &mut self,
        number: usize,
        encoding: Encoding,
        receivers: &[Receiver],
        frame: &VideoFrame,
        now: Instant,
    ) {
        let track = self.setup.track;
        let members: Vec<&Receiver> = receivers
            .iter()
            .filter(|receiver| self.served.get(&receiver.connection.conn()) == Some(&number))
            .collect();
        let target = encode::Target { bitrate: encoding.bitrate, size: encoding.size, fps: encoding.fps };
        let output = match &mut self.outputs[number] {
            Some(output) => output,
            slot => match Encoder::open(encode::Config::default(), target) {
                Ok(encoder) => slot.insert(Output::new(encoder)),
                Err(error) => {
                    if self.refused[number].replace(encoding.size) != Some(encoding.size) {
                        tracing::warn!(%error, "encoder not opened");
                    }
                    return;
                }
            },
        };
        if !output.is_due(encoding.fps, frame.captured_at) {
            return;
        }
        let verdicts: Vec<_> = members.iter().map(|one| one.connection.admit_frame(track)).collect();
        if !output.is_worth(&verdicts) {
            lock(&self.shared.encoded).skipped += 1;
            return;
        }
        for member in &members {
            if member.said.key_wanted.swap(false, Ordering::AcqRel) {
                output.keys.request();
            }
        }
        if let Err(error) = output.encoder.set_target(target) {
            if !std::mem::replace(&mut output.is_failing, true) {
                tracing::warn!(%error, "encoding not changed");
            }
            return;
        }
        output.handle_losses(track, &members);
        if output.keys.is_due(members.len(), now) {
            output.encoder.request_keyframe();
        }
        let encoded = match output.encoder.encode(frame) {
            Ok(encoded) => encoded,
            Err(error) => {
                if !std::mem::replace(&mut output.is_failing, true) {
                    tracing::warn!(%error, "picture not encoded");
                }
                return;
            }
        };
        output.is_failing = false;
        if encoded.kind == FrameKind::Key {
            output.keys.handle_key(now);
        }
        {
            let mut account = lock(&self.shared.encoded);
            account.pictures += 1;
            account.keys += u64::from(encoded.kind == FrameKind::Key);
            account.spent += encoded.spent + encoded.scaling.unwrap_or_default();
        }
        let stamp = CarTime::since(self.setup.epoch, frame.captured_at).media_time();
        let coded = encoded.into_frame(stamp);
        for (member, verdict) in members.iter().zip(verdicts) {
            let sent = match verdict {
                Some(Verdict::Encode { .. } | Verdict::Skip(Reason::FrameRate)) => {
                    member.connection.send_frame(track, coded.clone())
                }
                Some(Verdict::Skip(Reason::Budget | Reason::Stall)) => {
                    member.connection.leave_out(track);
                    Sent::NoRoom
                }
                None => Sent::NotConnected,
            };
            if sent == Sent::AwaitingKey {
                output.keys.request();
            }
        }
    }
}

impl Encoded {
    fn note(&mut self, encodings: [Option<Encoding>; ENCODINGS_MAX]) {
        self.encodings = encodings;
        self.most = self.most.max(encodings.iter().flatten().count());
    }
}

/// How long the end, or another choice, waits at most.
const LOOK: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_millis(250);
