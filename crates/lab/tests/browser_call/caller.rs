//! This side of the call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_media::decode::{self, Decoder};
use farwheel_media::encode::{self, Encoder};
use farwheel_media::strip::Stamp;
use farwheel_media::test_picture::TestPicture;
use farwheel_peer::signaling::{self, Client, IceServer, PeerId, Place, Role};
use farwheel_peer::{
    Call, Camera, Channel, Config, ConnId, Connection, Event, Events, Frames, Incoming, LinkState, Manners,
    Media, SendError, SignalKind, Sounds, Track,
};
use farwheel_proto::call::message::{Hello, Message};
use farwheel_proto::rate::Verdict;
use farwheel_proto::sound::{self, SoundTime};
use farwheel_proto::video::{Bitrate, CarTime, EncodedFrame, Size};

/// Who is in the room first; the other one offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Browser,
    Other,
}

impl First {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Other => "other",
        }
    }
}

/// What came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) camera_decoded: u32,
    pub(crate) screen_decoded: u32,
    /// Its width over its height.
    pub(crate) screen_shape: Option<f64>,
    pub(crate) sounds: u32,
    /// Time by the sound's clock over time by ours.
    pub(crate) time_matches: f64,
    pub(crate) knows_certificates: bool,
    pub(crate) file_came_back: bool,
    pub(crate) stats: String,
}

const CALL: Call = Call {
    camera: Camera { size: Size::new(640, 360), fps: 30, bitrate_max: Bitrate::from_kbps(1500) },
    screen: Camera { size: Size::new(480, 360), fps: 10, bitrate_max: Bitrate::from_kbps(1500) },
};
/// For all of it, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// For the last words to leave.
const FAREWELL: Duration = Duration::from_millis(300);
const PIECE_BYTES: usize = 16 * 1024;

/// Runs the call to its end.
pub(crate) fn run(server: &str, first: First) -> Result<Summary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut side = Side::default();
        if first == First::Browser && tokio::time::timeout(PATIENCE, someone_calls(server)).await.is_err() {
            return Err(format!("nobody came within {PATIENCE:?}"));
        }
        match tokio::time::timeout(PATIENCE, side.hold(server, first)).await {
            Ok(ended) => ended,
            Err(_) => Err(format!("not over within {PATIENCE:?}: {:?}", side.summary)),
        }
    })
}

fn config(server: &str, role: Role) -> signaling::Config {
    signaling::Config {
        server: server.to_owned(),
        place: Place::room("hall".parse().expect("a room's name"), role),
        name: "Test".into(),
        token: None,
        ca: None,
    }
}

/// Looks into the room until there is a caller.
async fn someone_calls(server: &str) {
    let (_client, mut room) = Client::connect(config(server, Role::Viewer));
    while let Some(event) = room.recv().await {
        let is_there = match event {
            signaling::Event::Joined { peers, .. } => peers.iter().any(|peer| peer.role == Role::Caller),
            signaling::Event::PeerJoined(peer) => peer.role == Role::Caller,
            _ => false,
        };
        if is_there {
            return;
        }
    }
}

#[derive(Default)]
struct Side {
    summary: Summary,
    own_id: Option<PeerId>,
    ice: Vec<IceServer>,
    link: Option<(PeerId, Connection)>,
    events: Option<Events>,
    camera: Option<Frames>,
    screen: Option<Frames>,
    sounds: Option<Sounds>,
}

impl Side {
    async fn hold(&mut self, server: &str, first: First) -> Result<Summary, String> {
        let (client, mut room) = Client::connect(config(server, Role::Caller));
        let mut studio = Studio::new();
        let mut decoders = Track::ALL.map(|_| Decoder::new(decode::Config::default()));
        let mut clock: Option<(SoundTime, Instant)> = None;
        let mut tick = tokio::time::interval(Duration::from_millis(33));
        loop {
            tokio::select! {
                event = room.recv() => self.handle_room(event.ok_or("the room is closed")?, first)?,
                event = next_event(&mut self.events) => match event {
                    Event::Signal(signal) => client.send(self.other(), signal),
                    Event::State(LinkState::Connected) => self.greet().map_err(|error| error.to_string())?,
                    Event::State(LinkState::Failed(failure)) => return Err(failure.to_string()),
                    Event::KeyframeRequested(track) => studio.want_key(track),
                    Event::Message { channel: Channel::File, data } => {
                        self.summary.file_came_back = data.len() == PIECE_BYTES;
                    }
                    // It has seen and heard all.
                    Event::Message { channel: Channel::Event, data }
                        if matches!(Message::decode(&data), Ok(Some(Message::MuteRequest))) =>
                    {
                        break;
                    }
                    Event::State(_) | Event::Message { .. } => {}
                },
                sound = next_sound(&mut self.sounds) => {
                    self.summary.sounds += 1;
                    let (from, since) = *clock.get_or_insert((sound.media_time, sound.arrived_at));
                    let told = f64::from(sound.media_time.samples_since(from)) / f64::from(sound::RATE);
                    let passed = sound.arrived_at.saturating_duration_since(since).as_secs_f64();
                    if passed > 1.0 {
                        self.summary.time_matches = told / passed;
                    }
                    self.send_back(sound);
                }
                frame = next_picture(&mut self.camera) => {
                    if self.decode(&mut decoders[0], Track::Camera, &frame).is_some() {
                        self.summary.camera_decoded += 1;
                    }
                }
                frame = next_picture(&mut self.screen) => {
                    if let Some(Size { width, height }) = self.decode(&mut decoders[1], Track::Screen, &frame) {
                        self.summary.screen_decoded += 1;
                        self.summary.screen_shape = Some(f64::from(width) / f64::from(height));
                    }
                }
                _ = tick.tick() => if let Some((_, connection)) = &self.link {
                    studio.send(connection);
                }
            }
        }
        let (other, connection) = self.link.take().expect("it has said something");
        self.summary.stats = format!("{:?}", connection.stats());
        connection.close().await;
        // The page waits for the farewell, or sees the connection go.
        while let Some(event) = self.events.as_mut().and_then(Events::try_recv) {
            if let Event::Signal(signal) = event {
                client.send(other, signal);
            }
        }
        while tokio::time::timeout(FAREWELL, room.recv()).await.is_ok_and(|event| event.is_some()) {}
        Ok(std::mem::take(&mut self.summary))
    }

    fn handle_room(&mut self, event: signaling::Event, first: First) -> Result<(), String> {
        match event {
            signaling::Event::Joined { self_id, peers, ice_servers, .. } => {
                (self.own_id, self.ice) = (Some(self_id), ice_servers);
                let other = peers.iter().find(|peer| peer.role == Role::Caller);
                if let Some(other) = other.filter(|_| first == First::Browser) {
                    self.open(other.id, None);
                }
            }
            signaling::Event::Signal { from, signal } => {
                if signal.kind == SignalKind::Offer && self.link.is_none() && first == First::Other {
                    self.open(from, Some(signal.conn));
                }
                if let Some((_, connection)) = &self.link {
                    connection.handle_signal(signal);
                }
            }
            signaling::Event::Fatal(refusal) => return Err(refusal.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, other: PeerId, offered: Option<ConnId>) {
        let own = self.own_id.expect("nobody is met before the room is joined");
        let (media, manners) = (Media::Call(CALL), Manners::between(own, other));
        let config = match offered {
            Some(conn) => Config::answer(conn, media, manners),
            None => Config::offer(media, manners),
        };
        let (connection, events, incoming) = Connection::open(config.with_ice_servers(self.ice.clone()));
        let Incoming { camera, screen, sound } = incoming;
        self.link = Some((other, connection));
        (self.events, self.camera, self.screen, self.sounds) =
            (Some(events), Some(camera), Some(screen), Some(sound));
    }

    fn other(&self) -> PeerId {
        self.link.as_ref().expect("it has said something").0
    }

    fn greet(&mut self) -> Result<(), SendError> {
        let (_, connection) = self.link.as_ref().expect("it is connected");
        let hello = Message::Hello(Hello { name: "Test".into(), version: "0".into(), id: None });
        connection.send(Channel::Event, hello.encode().into())?;
        connection.send(Channel::File, Bytes::from_static(&[7; PIECE_BYTES]))?;
        self.summary.knows_certificates = connection.fingerprints().is_some();
        Ok(())
    }

    /// What it says comes back to it, on the same clock.
    fn send_back(&self, sound: sound::Received) {
        let packet = sound::Packet {
            media_time: sound.media_time,
            data: sound.data,
            begins: false,
            lasts: Duration::from_millis(20),
        };
        if let Some((_, connection)) = &self.link {
            // One that comes after the end is for nobody.
            connection.send_sound(packet).ok();
        }
    }

    fn decode(&self, decoder: &mut Decoder, track: Track, frame: &EncodedFrame) -> Option<Size> {
        let decoded = decoder.decode(&frame.data, frame.arrived_at);
        if decoded.is_err()
            && let Some((_, connection)) = &self.link
        {
            connection.request_keyframe(track);
        }
        decoded.ok().map(|decoded| decoded.frame.size)
    }
}

async fn next_event(events: &mut Option<Events>) -> Event {
    match events {
        Some(events) => or_never(events.recv().await).await,
        None => std::future::pending().await,
    }
}

async fn next_sound(sounds: &mut Option<Sounds>) -> sound::Received {
    match sounds {
        Some(sounds) => or_never(sounds.recv().await).await,
        None => std::future::pending().await,
    }
}

async fn next_picture(frames: &mut Option<Frames>) -> EncodedFrame {
    match frames {
        Some(frames) => or_never(frames.recv().await).await,
        None => std::future::pending().await,
    }
}

async fn or_never<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => std::future::pending().await,
    }
}

/// A camera and a screen, both with the strip.
struct Studio {
    epoch: Instant,
    pictures: [TestPicture; 2],
    encoders: [Encoder; 2],
}

impl Studio {
    fn new() -> Self {
        let of = [CALL.camera, CALL.screen];
        let target = |source: Camera| encode::Target {
            bitrate: Bitrate::from_kbps(500),
            size: source.size,
            fps: source.fps,
        };
        Self {
            epoch: Instant::now(),
            pictures: of.map(|source| TestPicture::new(source.size)),
            encoders: of.map(|source| {
                Encoder::open(encode::Config::default(), target(source)).expect("a usual target")
            }),
        }
    }

    fn want_key(&mut self, track: Track) {
        self.encoders[usize::from(track == Track::Screen)].request_keyframe();
    }

    fn send(&mut self, connection: &Connection) {
        for (n, track) in Track::ALL.into_iter().enumerate() {
            let Some(Verdict::Encode { .. }) = connection.admit_frame(track) else { continue };
            let target = connection.target(track).expect("it sends both");
            let target = encode::Target { bitrate: target.bitrate, size: target.size, fps: target.fps };
            self.encoders[n].set_target(target).expect("a target of ours");
            let now = Instant::now();
            let picture = self.pictures[n].render(Stamp::now(), now);
            let encoded = self.encoders[n].encode(&picture).expect("it encodes");
            connection.send_frame(track, encoded.into_frame(CarTime::since(self.epoch, now).media_time()));
        }
    }
}
