//! Sound at the car: its microphone for whoever is connected, the driver's voice for its speaker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use farwheel_media::audio::{self, Cleaning, Engine, Spec, Thrift};
use farwheel_peer::Sounds;
use tracing::info;

use crate::clock::CarClock;
use crate::config;
use crate::control::{Inbox, PeerId};
use crate::video::Fanout;

/// How often the encoder is told what is lost.
const LOSS_EVERY: Duration = Duration::from_secs(1);

/// The car's microphone and speaker, on threads of their own.
pub struct Sound {
    engine: Engine,
    fanout: Arc<Fanout>,
    inbox: Arc<Inbox>,
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sound")
    }
}

impl Sound {
    /// Opens the devices; `None` where neither is configured. A device that cannot be opened is silent.
    ///
    /// # Errors
    /// When there is no memory or no thread.
    pub fn start(
        devices: &config::Sound,
        clock: CarClock,
        fanout: Arc<Fanout>,
        inbox: Arc<Inbox>,
    ) -> Result<Option<Self>> {
        let config::Sound { microphone, speaker } = devices;
        if (microphone, speaker) == (&Spec::None, &Spec::None) {
            return Ok(None);
        }
        let config = audio::Config {
            epoch: clock.epoch(),
            microphone: microphone.clone(),
            speaker: speaker.clone(),
            // What goes on around the car is what the driver listens for.
            cleaning: Cleaning { noise: false, ..Cleaning::default() },
            thrift: Thrift::default(),
        };
        info!(%microphone, %speaker, "sound");
        let listeners = Arc::clone(&fanout);
        let engine = Engine::start(config, move |packet| {
            for viewer in listeners.viewers().iter() {
                // Not connected yet, or without sound: it hears nothing.
                viewer.connection.send_sound(packet.clone()).ok();
            }
        });
        Ok(Some(Self { engine: engine.context("start the sound")?, fanout, inbox }))
    }

    /// Plays what a peer says while it drives; nobody else is heard at the car. Ends with the connection.
    pub async fn play(self: Arc<Self>, peer: PeerId, mut sounds: Sounds) {
        let mut voice = None;
        while let Some(packet) = sounds.recv().await {
            if self.inbox.driver().as_ref() == Some(&peer) {
                voice.get_or_insert_with(|| self.engine.add_voice()).push(packet);
            } else {
                voice = None;
            }
        }
    }

    /// Keeps the encoder told of the worst loss among the listeners.
    pub async fn follow_loss(self: Arc<Self>) -> std::convert::Infallible {
        let mut due = tokio::time::interval(LOSS_EVERY);
        loop {
            due.tick().await;
            let losses = self.fanout.viewers().iter().map(|v| v.connection.stats().sound.loss_permille).max();
            self.engine.set_loss(f32::from(losses.unwrap_or_default()) / 1000.0);
        }
    }
}
