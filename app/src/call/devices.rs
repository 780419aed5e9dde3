//! What this side shows and hears: camera, screen, microphone, speaker. They are there before a call and during one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_media::audio;
use farwheel_media::capture::usb::{self, Plugged};
use farwheel_media::capture::{self, Overlay, Spec};
use farwheel_peer::{Call as Sources, Camera as Limits, Track};
use farwheel_proto::call::State;
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::video::{Bitrate, Size};

use super::outgoing::{Choice, Encoded, Health, Outgoing, Receiver, Setup};
use super::share::{self, Share};
use super::sound::Sound;
use super::{epoch, lock};
use crate::model::call::{Cleaning, Command, Device, Kind, Own, Switch, Voice};
use crate::model::settings::Calling;
use crate::render::slot::Slot;

/// What to begin with.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The camera; none: the one with this name, or the first one there is.
    pub camera: Option<Spec>,
    /// The camera's name, where it is not given otherwise.
    pub camera_name: Option<String>,
    /// Size of its pictures.
    pub size: Size,
    /// Pictures a second.
    pub fps: u32,
    /// Whether its pictures carry their time, for measuring.
    pub overlay: Overlay,
    /// Whether the camera is on.
    pub is_camera_on: bool,
    /// The microphone.
    pub microphone: audio::Spec,
    /// The speaker.
    pub speaker: audio::Spec,
    /// How the microphone is used.
    pub voice: Voice,
    /// How its sound is cleaned.
    pub cleaning: Cleaning,
    /// Where it is kept what a Wayland desktop allowed to be shared; none: for this time only.
    pub home: Option<PathBuf>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            camera: None,
            camera_name: None,
            size: CAMERA_SIZE,
            fps: CAMERA_FPS,
            overlay: Overlay::None,
            is_camera_on: true,
            microphone: audio::Spec::Default,
            speaker: audio::Spec::Default,
            voice: Voice::On,
            cleaning: Cleaning::default(),
            home: None,
        }
    }
}

impl Choices {
    /// As the user calls, where nothing else was said.
    #[must_use]
    pub fn with(mut self, calling: &Calling) -> Self {
        let named = |spec: audio::Spec, name: &Option<String>| match (spec, name) {
            (audio::Spec::Default, Some(name)) => audio::Spec::Named(name.clone()),
            (spec, _) => spec,
        };
        self.microphone = named(self.microphone, &calling.microphone);
        self.speaker = named(self.speaker, &calling.speaker);
        self.camera_name = self.camera_name.or_else(|| calling.camera.clone());
        self.cleaning = calling.cleaning;
        self
    }
}

/// The devices of this side.
#[derive(Debug)]
pub struct Devices {
    camera: Outgoing,
    share: Share,
    own: Slot,
    sound: Sound,
    state: Mutex<Inner>,
    /// The user knows that the camera gives no pictures.
    has_camera_failed: AtomicBool,
    /// When the speaker was last tested.
    chimed_at: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Inner {
    choices: Choices,
    cameras: Vec<(String, Spec)>,
    used: Option<usize>,
    /// What was plugged in when the list was last brought up to date.
    plugged: Vec<Plugged>,
    looked_at: Option<Instant>,
    is_hand_up: bool,
    is_recording: bool,
}

impl Devices {
    /// Looks at what is there, and opens it.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn open(choices: Choices) -> std::io::Result<Self> {
        let own = Slot::new();
        let devices = Self {
            camera: Outgoing::start(Setup { track: Track::Camera, epoch: epoch(), preview: own.clone() })?,
            share: Share::start(choices.home.as_deref())?,
            own,
            sound: Sound::start(choices.microphone.clone(), choices.speaker.clone(), choices.cleaning),
            state: Mutex::new(Inner {
                choices,
                cameras: Vec::new(),
                used: None,
                plugged: Vec::new(),
                looked_at: None,
                is_hand_up: false,
                is_recording: false,
            }),
            has_camera_failed: AtomicBool::new(false),
            chimed_at: Mutex::new(None),
        };
        devices.sound.set_use(lock(&devices.state).choices.voice);
        devices.look();
        devices.capture();
        Ok(devices)
    }

    /// What a connection has to expect of this side.
    pub(super) fn sources(&self) -> Sources {
        let choices = lock(&self.state).choices.clone();
        Sources {
            camera: Limits { size: choices.size, fps: choices.fps, bitrate_max: CAMERA_MAX },
            screen: Limits { size: share::MOST, fps: share::FPS, bitrate_max: SCREEN_MAX },
        }
    }

    /// What the others are told of this side.
    pub(super) fn told(&self) -> State {
        let sound = self.sound.status();
        let state = lock(&self.state);
        State {
            camera: state.choices.is_camera_on
                && state.used.is_some()
                && !matches!(self.camera.health(), Health::Failed(_)),
            microphone: state.choices.voice == Voice::On && sound.microphone.used.is_some(),
            screen: self.share.is_live(),
            recording: state.is_recording,
            hears: sound.speaker.used.is_some(),
            hand: state.is_hand_up,
        }
    }

    /// Sends pictures to these.
    pub(super) fn set_receivers(&self, camera: Vec<Receiver>, screen: Vec<Receiver>) {
        self.sound.set_receivers(camera.iter().map(|one| Arc::clone(&one.connection)).collect());
        self.camera.set_receivers(camera);
        self.share.set_receivers(screen);
    }

    /// Spends little data, or as much as is of use.
    pub fn set_thrift(&self, thrift: Thrift) {
        self.camera.set_thrift(thrift);
        self.share.outgoing().set_thrift(thrift);
        self.sound.set_thrift(thrift);
    }

    /// The others are told whether this side records.
    pub(super) fn set_recording(&self, switch: Switch) {
        lock(&self.state).is_recording = switch == Switch::On;
    }

    /// The sound of this side.
    pub(super) fn sound(&self) -> &Sound {
        &self.sound
    }

    /// Sounds again and again on the speaker, or not any more.
    pub(super) fn set_tone(&self, tone: Option<audio::Tone>) {
        if let Some(engine) = self.sound.engine() {
            engine.set_tone(tone);
        }
    }

    /// What is encoded of the camera and of the screen.
    pub(super) fn encoded(&self) -> [Encoded; 2] {
        [self.camera.encoded(), self.share.encoded()]
    }

    /// Pictures captured by the camera.
    pub(super) fn captured(&self) -> u64 {
        self.camera.captured()
    }

    /// Where the own camera's pictures arrive.
    pub fn own(&self) -> &Slot {
        &self.own
    }

    /// Where the own screen's pictures arrive, while it is shared.
    pub fn own_screen(&self) -> &Slot {
        self.share.own()
    }

    /// Looks at what is plugged in: opens each device for a moment, to see whether it is a camera.
    fn look(&self) {
        let plugged = usb::plugged();
        let (cameras, used) = cameras(&lock(&self.state).choices);
        let mut state = lock(&self.state);
        state.used = used;
        state.cameras = cameras;
        state.plugged = plugged;
    }

    /// Notices cameras that were plugged in or unplugged since; opens none but the first that there is.
    pub(super) fn look_after_cameras(&self, now: Instant) {
        let is_first = {
            let mut state = lock(&self.state);
            if state.looked_at.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY) {
                return;
            }
            state.looked_at = Some(now);
            let plugged = usb::plugged();
            state.handle_plugged(plugged)
        };
        if is_first {
            self.capture();
        }
    }

    /// Says once why the camera gives no pictures.
    pub(super) fn look_after_camera(&self) -> Option<String> {
        match self.camera.health() {
            Health::Failed(reason) if !self.has_camera_failed.swap(true, Ordering::Relaxed) => {
                Some(format!("Your camera is not seen any more: {reason}"))
            }
            Health::Failed(_) | Health::Opening => None,
            Health::Off | Health::Live(_) => {
                self.has_camera_failed.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    /// What is shared, and what could be.
    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// Does what is asked for; false if it is not for the devices.
    pub fn execute(&self, command: &Command) -> bool {
        match command {
            Command::Camera(switch) => {
                lock(&self.state).choices.is_camera_on = *switch == Switch::On;
                self.capture();
            }
            Command::Voice(voice) => {
                lock(&self.state).choices.voice = *voice;
                self.sound.set_use(*voice);
            }
            Command::TalkKey(key) => self.sound.set_key(*key),
            Command::Clean(cleaning) => {
                lock(&self.state).choices.cleaning = *cleaning;
                self.sound.set_cleaning(*cleaning);
            }
            Command::TestSpeaker | Command::Chime => {
                if let Some(engine) = self.sound.engine() {
                    engine.chime();
                    *lock(&self.chimed_at) = Some(Instant::now());
                }
            }
            Command::Use(kind @ (Kind::Microphone | Kind::Speaker), index) => {
                let status = self.sound.status();
                let device = if *kind == Kind::Microphone { &status.microphone } else { &status.speaker };
                let names = self.sound.device(device).names;
                let (Some(engine), Some(name)) = (self.sound.engine(), names.get(*index)) else {
                    return true;
                };
                // A name as lists show it, or the word of a device that is none.
                let Ok(spec) = name.parse() else { return true };
                if *kind == Kind::Microphone { engine.use_microphone(spec) } else { engine.use_speaker(spec) }
            }
            Command::Share(key) => self.share.begin(key),
            Command::EndShare => self.share.end(),
            Command::Hand(switch) => lock(&self.state).is_hand_up = *switch == Switch::On,
            Command::Use(Kind::Camera, index) => {
                {
                    let mut state = lock(&self.state);
                    let Some((_, spec)) = state.cameras.get(*index).cloned() else { return true };
                    state.used = Some(*index);
                    state.choices.camera = Some(spec);
                }
                self.capture();
            }
            _ => return false,
        }
        true
    }

    /// Whether the test of the speaker sounds.
    pub fn is_testing(&self) -> bool {
        lock(&self.chimed_at).is_some_and(|at| at.elapsed() < audio::CHIME_LASTS)
    }

    /// Fills in what the screens show of this side.
    pub fn fill(&self, own: &mut Own) {
        self.look_after_cameras(Instant::now());
        let sound = self.sound.status();
        let state = lock(&self.state);
        let problem = problem(&self.camera.health(), !state.cameras.is_empty());
        own.camera = Device {
            names: state.cameras.iter().map(|(name, _)| name.clone()).collect(),
            used: state.used,
            problem,
        };
        own.microphone = self.sound.device(&sound.microphone);
        own.speaker = self.sound.device(&sound.speaker);
        own.level = sound.level;
        own.speaks = sound.speaks;
        own.speaks_while_muted = sound.speaks_while_muted;
        own.cleaning = state.choices.cleaning;
        own.is_camera_on = state.choices.is_camera_on;
        own.voice = state.choices.voice;
        own.is_hand_up = state.is_hand_up;
        drop(state);
        self.share.fill(own);
    }

    /// Opens the camera in use, or closes it.
    fn capture(&self) {
        let config = {
            let state = lock(&self.state);
            let Choices { size, fps, overlay, is_camera_on, .. } = state.choices;
            let spec = state.used.and_then(|used| state.cameras.get(used)).map(|(_, spec)| spec.clone());
            spec.filter(|_| is_camera_on).map(|spec| capture::Config { spec, size, fps, overlay })
        };
        self.camera.capture(config.map_or(Choice::Nothing, Choice::This));
    }
}

/// The webcams there are, by name, and which of them is to be used.
fn cameras(choices: &Choices) -> (Vec<(String, Spec)>, Option<usize>) {
    let mut cameras: Vec<(String, Spec)> = match usb::devices() {
        Ok(found) => found
            .into_iter()
            .filter(|device| device.formats.is_ok())
            .map(|device| (device.name, Spec::Usb(device.path)))
            .collect(),
        Err(error) => {
            tracing::info!(%error, "no webcams");
            Vec::new()
        }
    };
    if let Some(spec) = &choices.camera
        && !cameras.iter().any(|(_, known)| known == spec)
    {
        cameras.insert(0, (spec.to_string(), spec.clone()));
    }
    let is_used = |(_, spec): &(String, Spec)| choices.camera.as_ref() == Some(spec);
    let has_name = |(name, _): &(String, Spec)| choices.camera_name.as_ref() == Some(name);
    let used = cameras.iter().position(is_used).or_else(|| cameras.iter().position(has_name));
    let used = used.or_else(|| (!cameras.is_empty()).then_some(0));
    (cameras, used)
}

/// The camera alone, to look through.
#[derive(Debug)]
pub(crate) struct Eye {
    camera: Outgoing,
    slot: Slot,
    is_there: bool,
}

impl Eye {
    /// Opens the camera that calls would use.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn open(choices: Choices) -> std::io::Result<Self> {
        let slot = Slot::new();
        let setup = Setup { track: Track::Camera, epoch: epoch(), preview: slot.clone() };
        let camera = Outgoing::start(setup)?;
        let (cameras, used) = cameras(&choices);
        let spec = used.and_then(|used| cameras.into_iter().nth(used)).map(|(_, spec)| spec);
        let is_there = spec.is_some();
        let Choices { size, fps, .. } = choices;
        let config = spec.map(|spec| capture::Config { spec, size, fps, overlay: Overlay::None });
        camera.capture(config.map_or(Choice::Nothing, Choice::This));
        Ok(Self { camera, slot, is_there })
    }

    /// Where its pictures arrive.
    pub(crate) const fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Why there are none.
    pub(crate) fn problem(&self) -> Option<String> {
        problem(&self.camera.health(), self.is_there)
    }
}

/// Why a camera gives no pictures.
fn problem(health: &Health, is_there: bool) -> Option<String> {
    match health {
        Health::Failed(problem) => Some(problem.clone()),
        Health::Off | Health::Opening | Health::Live(_) if !is_there => {
            Some("There is no camera.".to_owned())
        }
        Health::Off | Health::Opening | Health::Live(_) => None,
    }
}

impl Inner {
    /// Brings the list up to date; the camera in use stays on it, as its source waits for it to come back. True if there
    /// was none before: it is used.
    fn handle_plugged(&mut self, plugged: Vec<Plugged>) -> bool {
        if plugged == self.plugged {
            return false;
        }
        let used = self.used.and_then(|used| self.cameras.get(used)).cloned();
        let is_gone = |spec: &Spec| {
            matches!(spec, Spec::Usb(path) if self.plugged.iter().any(|one| one.path == *path)
                && !plugged.iter().any(|one| one.path == *path))
        };
        let is_kept = |camera: &(String, Spec)| used.as_ref() == Some(camera) || !is_gone(&camera.1);
        let mut cameras: Vec<_> = self.cameras.iter().filter(|camera| is_kept(camera)).cloned().collect();
        for one in plugged.iter().filter(|one| !self.plugged.contains(one)) {
            let spec = Spec::Usb(one.path.clone());
            if !cameras.iter().any(|(_, known)| *known == spec) {
                cameras.push((one.name.clone(), spec));
            }
        }
        let is_first = used.is_none() && !cameras.is_empty();
        self.used = match used {
            Some(used) => cameras.iter().position(|camera| *camera == used),
            None => is_first.then_some(0),
        };
        (self.cameras, self.plugged) = (cameras, plugged);
        is_first
    }
}

/// More is of no use in a call of several, and a webcam gives it without effort.
const CAMERA_SIZE: Size = Size::new(1280, 720);
const CAMERA_FPS: u32 = 30;
/// Somebody who plugs a camera in looks for it in the list after about so long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const CAMERA_MAX: Bitrate = Bitrate::from_kbps(3000);
const SCREEN_MAX: Bitrate = Bitrate::from_kbps(4000);

#[cfg(test)]
mod tests {
    use super::*;

    fn plugged(numbers: &[u32]) -> Vec<Plugged> {
        let one = |n: &u32| Plugged { path: format!("/dev/video{n}").into(), name: format!("Camera {n}") };
        numbers.iter().map(one).collect()
    }

    #[test]
    fn cameras_come_and_go_on_the_list_and_the_one_in_use_is_waited_for() {
        let mut inner = Inner {
            choices: Choices::default(),
            cameras: Vec::new(),
            used: None,
            plugged: Vec::new(),
            looked_at: None,
            is_hand_up: false,
            is_recording: false,
        };
        // What is plugged in; what is on the list, which is used, whether it is opened now.
        type Step = (&'static [u32], &'static [u32], Option<usize>, bool);
        let table: [Step; 6] = [
            (&[], &[], None, false),
            (&[2], &[2], Some(0), true),
            (&[0, 2], &[2, 0], Some(0), false),
            (&[0], &[2, 0], Some(0), false),
            (&[0, 2], &[2, 0], Some(0), false),
            (&[2], &[2], Some(0), false),
        ];
        for (step, (now, listed, used, is_first)) in table.into_iter().enumerate() {
            assert_eq!(inner.handle_plugged(plugged(now)), is_first, "{step}");
            let names: Vec<_> = inner.cameras.iter().map(|(name, _)| name.clone()).collect();
            let want: Vec<_> = listed.iter().map(|n| format!("Camera {n}")).collect();
            assert_eq!((names, inner.used), (want, used), "{step}");
        }
        inner.cameras.insert(0, ("test".into(), Spec::Test));
        inner.used = Some(0);
        inner.handle_plugged(plugged(&[]));
        assert_eq!((inner.cameras.len(), inner.used), (1, Some(0)), "what is no webcam stays");
    }
}
