//! The sound of this side: one engine, heard by everybody, and a voice for each connection.

use std::sync::{Arc, Mutex};

use farwheel_media::audio::{self, Engine, Spec, Voice};
use farwheel_peer::Connection;
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::sound::{Key, Microphone};

use super::{epoch, lock};
use crate::model::call::{Cleaning, Device, Switch, Voice as Use};

/// Microphone and speaker.
pub(super) struct Sound {
    /// None: there is no sound at all, for the reason beside it.
    engine: Result<Engine, String>,
    // The lock guards a slot: sending happens outside of it.
    receivers: Arc<Mutex<Arc<[Arc<Connection>]>>>,
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sound").finish_non_exhaustive()
    }
}

impl Sound {
    /// Opens the devices; without them the call is silent, and says why.
    pub(super) fn start(microphone: Spec, speaker: Spec, cleaning: Cleaning) -> Self {
        let receivers: Arc<Mutex<Arc<[Arc<Connection>]>>> = Arc::new(Mutex::new(Arc::new([])));
        let config = audio::Config {
            epoch: epoch(),
            microphone,
            speaker,
            cleaning: cleaned(cleaning),
            thrift: audio::Thrift::default(),
        };
        let engine = Engine::start(config, {
            let receivers = Arc::clone(&receivers);
            move |packet| {
                let connections = Arc::clone(&lock(&receivers));
                for connection in connections.iter() {
                    // One that does not stand any more takes nothing, and has its own word for it.
                    connection.send_sound(packet.clone()).ok();
                }
            }
        });
        let engine = engine.map_err(|error| error.to_string());
        if let Err(error) = &engine {
            tracing::warn!(error, "no sound");
        }
        Self { engine, receivers }
    }

    /// Sends to these from now on.
    pub(super) fn set_receivers(&self, connections: Vec<Arc<Connection>>) {
        *lock(&self.receivers) = connections.into();
    }

    /// One more that is heard, until it is dropped.
    pub(super) fn voice(&self) -> Option<Voice> {
        self.engine.as_ref().ok().map(Engine::add_voice)
    }

    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref().ok()
    }

    pub(super) fn status(&self) -> audio::Status {
        self.engine().map(Engine::status).unwrap_or_default()
    }

    pub(super) fn set_use(&self, voice: Use) {
        if let Some(engine) = self.engine() {
            engine.set_microphone(match voice {
                Use::On => Microphone::On,
                Use::Muted => Microphone::Muted,
            });
        }
    }

    pub(super) fn set_key(&self, key: Switch) {
        if let Some(engine) = self.engine() {
            engine.set_key(if key == Switch::On { Key::Down } else { Key::Up });
        }
    }

    pub(super) fn set_cleaning(&self, cleaning: Cleaning) {
        if let Some(engine) = self.engine() {
            engine.set_cleaning(cleaned(cleaning));
        }
    }

    pub(super) fn set_thrift(&self, thrift: Thrift) {
        if let Some(engine) = self.engine() {
            engine.set_thrift(match thrift {
                Thrift::Free => audio::Thrift::Quick,
                Thrift::Low => audio::Thrift::Thrifty,
            });
        }
    }

    /// What is shown of a direction.
    pub(super) fn device(&self, status: &audio::DeviceStatus) -> Device {
        let mut names = status.names.clone();
        // Words such as `test` are no device of the list, and still what is used.
        if let Some(used) = status.used.as_ref().filter(|used| !names.contains(used)) {
            names.insert(0, used.clone());
        }
        Device {
            used: status.used.as_ref().and_then(|used| names.iter().position(|name| name == used)),
            names,
            problem: self.engine.as_ref().err().cloned().or_else(|| status.problem.clone()),
        }
    }
}

fn cleaned(cleaning: Cleaning) -> audio::Cleaning {
    audio::Cleaning { echo: cleaning.echo, noise: cleaning.noise, gain: cleaning.gain }
}
