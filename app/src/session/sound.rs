//! Sound between the robot and this computer: the car's microphone is heard, and the driver can talk through its speaker.
//!
//! Nothing is opened before it is needed: the speaker with the first packet that is to be heard, the microphone when the
//! talk key is pressed for the first time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use farwheel_media::audio::{self, Cleaning, Engine, Spec, Thrift};
use farwheel_peer::{Connection, Sounds};
use farwheel_proto::sound::{Key, Microphone};

use super::hands::lock;

/// Which devices are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// What the driver talks into.
    pub microphone: Spec,
    /// What the car is heard by.
    pub speaker: Spec,
}

impl Devices {
    /// Silent both ways.
    pub const NONE: Self = Self { microphone: Spec::None, speaker: Spec::None };
}

/// Whether the car is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// Nothing is played.
    Off,
    /// What comes is played.
    #[default]
    On,
}

/// This side's microphone and speaker, for one robot after the other.
pub(super) struct Intercom(Arc<Shared>);

struct Shared {
    devices: Devices,
    epoch: Instant,
    hears: AtomicBool,
    /// Where the voice goes.
    connection: Mutex<Weak<Connection>>,
    engine: Mutex<Option<Open>>,
}

struct Open {
    engine: Engine,
    /// The microphone is opened by the first press of the key.
    has_microphone: bool,
}

impl Intercom {
    pub(super) fn new(devices: Devices) -> Self {
        Self(Arc::new(Shared {
            devices,
            epoch: Instant::now(),
            hears: AtomicBool::new(true),
            connection: Mutex::default(),
            engine: Mutex::default(),
        }))
    }

    /// Hears and talks to the robot at the other end of this connection from now on.
    pub(super) fn begin(&self, connection: &Arc<Connection>, sounds: Sounds) {
        *lock(&self.0.connection) = Arc::downgrade(connection);
        tokio::spawn(hear(Arc::downgrade(&self.0), sounds));
    }

    pub(super) fn set_hearing(&self, hearing: Hearing) {
        self.0.hears.store(hearing == Hearing::On, Ordering::Relaxed);
    }

    /// Has the voice bear that much loss.
    pub(super) fn set_loss(&self, loss: f32) {
        if let Some(open) = lock(&self.0.engine).as_ref() {
            open.engine.set_loss(loss);
        }
    }

    pub(super) fn set_key(&self, key: Key) {
        let is_taken = lock(&self.0.connection).upgrade().is_some_and(|connection| connection.has_sound());
        let mut engine = lock(&self.0.engine);
        if key == Key::Down && is_taken {
            self.0.open(&mut engine);
        }
        if let Some(open) = engine.as_mut() {
            if key == Key::Down && !open.has_microphone {
                open.engine.use_microphone(self.0.devices.microphone.clone());
                open.has_microphone = true;
            }
            open.engine.set_key(key);
        }
    }
}

impl Shared {
    fn open(self: &Arc<Self>, slot: &mut Option<Open>) {
        if slot.is_some() {
            return;
        }
        let config = audio::Config {
            epoch: self.epoch,
            microphone: Spec::None,
            speaker: self.devices.speaker.clone(),
            cleaning: Cleaning::default(),
            thrift: Thrift::default(),
        };
        let shared = Arc::downgrade(self);
        let started = Engine::start(config, move |packet| {
            let connection = shared.upgrade().and_then(|shared| lock(&shared.connection).upgrade());
            if let Some(connection) = connection {
                // One that comes while there is no link is said to nobody.
                connection.send_sound(packet).ok();
            }
        });
        match started {
            Ok(engine) => {
                engine.set_microphone(Microphone::Muted);
                *slot = Some(Open { engine, has_microphone: false });
            }
            Err(error) => tracing::warn!(%error, "no sound"),
        }
    }
}

/// Plays what comes until the connection or its owner is gone.
async fn hear(shared: Weak<Shared>, mut sounds: Sounds) {
    let mut voice = None;
    while let Some(packet) = sounds.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        if !shared.hears.load(Ordering::Relaxed) {
            continue;
        }
        if voice.is_none() {
            let mut engine = lock(&shared.engine);
            shared.open(&mut engine);
            voice = engine.as_ref().map(|open| open.engine.add_voice());
        }
        if let Some(voice) = &voice {
            voice.push(packet);
        }
    }
}
