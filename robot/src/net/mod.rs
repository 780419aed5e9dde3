//! Everything that talks to other machines.

pub mod room;
pub mod roster;
pub mod viewer;

use std::sync::Arc;

use farwheel_peer::{Bind, Camera, CandidatePolicy, signaling};
use tokio::sync::Notify;

pub use room::{Ended, Room};

use crate::clock::CarClock;
use crate::config::{self, Config};
use crate::control::{Inbox, PeerId};
use crate::sound::Sound;
use crate::video::{Fanout, Wish, encode};

/// How to reach others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The room.
    pub signaling: signaling::Config,
    /// Which paths.
    pub candidates: CandidatePolicy,
    /// From which addresses.
    pub bind: Bind,
    /// What there is to send.
    pub camera: Camera,
}

impl Settings {
    /// What the configuration says.
    pub fn new(config: &Config) -> Self {
        Self {
            signaling: signaling::Config {
                server: config.signaling.server.clone(),
                place: signaling::Place::room(config.signaling.room.clone(), signaling::Role::Robot),
                name: config.name.clone(),
                token: config.signaling.token.as_ref().map(|token| token.reveal().to_owned()),
                ca: config.signaling.ca.clone(),
            },
            candidates: match config.network.ice_policy {
                config::IcePolicy::All => CandidatePolicy::All,
                config::IcePolicy::Relay => CandidatePolicy::RelayOnly,
            },
            bind: match &config.network.bind {
                config::Bind::Auto => Bind::Everywhere,
                config::Bind::Only(addresses) => Bind::Addresses(addresses.clone()),
            },
            camera: Camera { size: config.camera.size, fps: config.camera.fps, bitrate_max: config.bitrate },
        }
    }
}

/// What the network's tasks share with the robot's threads.
#[derive(Debug)]
pub struct Shared {
    /// Where commands and events go.
    pub inbox: Arc<Inbox>,
    /// Who gets the video.
    pub fanout: Arc<Fanout>,
    /// Where key frames are asked for.
    pub video: Arc<encode::Board>,
    /// The car's clock.
    pub clock: CarClock,
    /// Differs from start to start.
    pub boot: u32,
    /// Microphone and speaker, where there are any.
    pub sound: Option<Arc<Sound>>,
    /// Told when the robot has joined its room for the first time.
    pub ready: Notify,
}

impl Shared {
    /// How much a wish of this peer counts.
    fn wish_of(&self, peer: &PeerId) -> Wish {
        let leader = self.fanout.leader(self.inbox.driver().as_ref());
        if leader.is_none_or(|leader| leader.peer == *peer) { Wish::Leader } else { Wish::Follower }
    }
}
