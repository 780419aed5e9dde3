//! What a connection needs to know before it starts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use farwheel_proto::rate::Source as Camera;
pub use farwheel_proto::signaling::{IceServer, Initiative, Manners};

use crate::signal::ConnId;

/// Everything a [`Connection`](crate::Connection) is built from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names this connection between the two peers; the offering side draws it, the answering side takes it from
    /// the offer.
    pub conn: ConnId,
    /// Who makes the first offer.
    pub initiative: Initiative,
    /// Who gives way when both offer at once.
    pub manners: Manners,
    /// What travels besides messages, and which way.
    pub media: Media,
    /// Whether sound goes both ways beside the pictures of a drive; calls have it anyway.
    pub sound: Sound,
    /// STUN and TURN servers, as the signalling server handed them out.
    pub ice_servers: Vec<IceServer>,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// Local addresses to gather from.
    pub bind: Bind,
    /// PEM file with certificates to trust besides the system's, where a TURN server is reached over TLS.
    pub ca: Option<PathBuf>,
    /// The connection that this one stands beside, as a second path for what is small and urgent; its offers say so.
    pub beside: Option<ConnId>,
    /// How long the signals of the other side may take, where people carry them; none: they come at once.
    pub patience: Option<Duration>,
}

impl Config {
    /// The configuration of a side that offers: the newcomer in a room. Draws a fresh connection id.
    pub fn offer(media: Media, manners: Manners) -> Self {
        Self::new(ConnId::new(rand::random()), Initiative::Offer, media, manners)
    }

    /// The configuration of the side that answers an offer carrying `conn`.
    pub fn answer(conn: ConnId, media: Media, manners: Manners) -> Self {
        Self::new(conn, Initiative::Answer, media, manners)
    }

    /// Sets the STUN and TURN servers.
    pub fn with_ice_servers(self, ice_servers: Vec<IceServer>) -> Self {
        Self { ice_servers, ..self }
    }

    /// Sets which candidates may be used.
    pub fn with_candidates(self, candidates: CandidatePolicy) -> Self {
        Self { candidates, ..self }
    }

    /// Sets the local addresses to gather from.
    pub fn with_bind(self, bind: Bind) -> Self {
        Self { bind, ..self }
    }

    /// Sets the certificates to trust besides the system's.
    pub fn with_ca(self, ca: Option<PathBuf>) -> Self {
        Self { ca, ..self }
    }

    /// Lets sound go both ways, if the other side does so too.
    pub fn with_sound(self) -> Self {
        Self { sound: Sound::Both, ..self }
    }

    pub(crate) fn has_sound(&self) -> bool {
        matches!(self.media, Media::Call(_)) || self.sound == Sound::Both
    }

    /// Puts it beside another connection to the same peer.
    pub fn with_beside(self, main: ConnId) -> Self {
        Self { beside: Some(main), ..self }
    }

    /// Lets people carry the signals, for which they have so long.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    fn new(conn: ConnId, initiative: Initiative, media: Media, manners: Manners) -> Self {
        Self {
            conn,
            initiative,
            manners,
            media,
            sound: Sound::None,
            ice_servers: Vec::new(),
            candidates: CandidatePolicy::All,
            bind: Bind::Everywhere,
            ca: None,
            beside: None,
            patience: None,
        }
    }
}

/// What travels on a connection besides messages. Both sides say it beforehand; nothing is renegotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// This side sends (the robot) what this camera gives.
    Send(Camera),
    /// This side receives (the app).
    Receive,
    /// Nothing: a connection of data channels alone.
    None,
    /// Sound, a camera's pictures and a shared screen's, both ways, and files. What is off is simply not sent.
    Call(Call),
}

/// Whether there is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// None: an offer of it is refused.
    None,
    /// Both ways.
    Both,
}

/// What a caller has to send at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The camera.
    pub camera: Camera,
    /// The shared screen.
    pub screen: Camera,
}

/// Which candidates may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidatePolicy {
    /// Host, server reflexive and relayed ones.
    All,
    /// Relayed ones only: nothing learns this machine's addresses.
    RelayOnly,
}

/// Local addresses to gather candidates from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Loopback and every interface that is up, enumerated again at each ICE restart.
    Everywhere,
    /// Loopback only: both ends on one machine.
    Loopback,
    /// These addresses, a fresh port each.
    Addresses(Vec<IpAddr>),
    /// The addresses of the interface with this name, and its routes alone: packets leave by it though the system would
    /// rather use another one (Linux; elsewhere the addresses alone).
    Interface(String),
}
