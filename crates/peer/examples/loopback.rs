//! Measures a pair of connections over loopback: `cargo run -p farwheel-peer --example loopback [seconds [server]]`.
//! With the url of a signalling server all packets travel through its TURN server.
//!
//! Prints, as one JSON object: connect to open and to first picture, end of encoding to complete picture, round trip on
//! the control channel beside the video, and the machine's load.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::{
    Bind, Camera, CandidatePolicy, Channel, Config, Connection, Event, Events, Frames, IceServer, LinkState,
    Manners, Media, Sent, Track, signaling,
};
use farwheel_proto::video::{Bitrate, EncodedFrame, FrameKind, MediaTime, Size};

const CAMERA: Camera = Camera { size: Size::new(1280, 720), fps: 30, bitrate_max: Bitrate::from_kbps(4000) };
/// A 720p picture at 3 Mbit/s and 30 pictures a second.
const DELTA_BYTES: usize = 12_500;
/// Its key frame.
const KEY_BYTES: usize = 60_000;
/// When the app asks for another key frame.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Few enough for the server's limit on allocations.
const CONNECTS: usize = 20;

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let path = match std::env::args().nth(2) {
        Some(server) => {
            Path { ice_servers: ice_servers(server).await, candidates: CandidatePolicy::RelayOnly }
        }
        None => Path { ice_servers: Vec::new(), candidates: CandidatePolicy::All },
    };
    let mut opens = Vec::new();
    let mut firsts = Vec::new();
    for _ in 0..CONNECTS {
        let begin = Instant::now();
        let (mut pair, opened) = connect(&path, begin).await;
        opens.push(opened);
        first_picture(&mut pair).await;
        firsts.push(begin.elapsed());
        tokio::join!(pair.app.close(), pair.robot.close());
    }
    let (mut pair, _) = connect(&path, Instant::now()).await;
    first_picture(&mut pair).await;
    let (delays, round_trips) = run(pair, Duration::from_secs(seconds)).await;
    println!(
        "{{\"open_ms\": {}, \"first_picture_ms\": {}, \"picture_ms\": {}, \"control_rtt_ms\": {}, \"load\": \"{}\"}}",
        quantiles(opens),
        quantiles(firsts),
        quantiles(delays),
        quantiles(round_trips),
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
    );
}

/// Direct or through a TURN server.
struct Path {
    ice_servers: Vec<IceServer>,
    candidates: CandidatePolicy,
}

impl Path {
    fn of(&self, config: Config) -> Config {
        config
            .with_bind(Bind::Loopback)
            .with_candidates(self.candidates)
            .with_ice_servers(self.ice_servers.clone())
    }
}

/// The servers that a signalling server hands out.
async fn ice_servers(server: String) -> Vec<IceServer> {
    let room = "loopback".parse().expect("a name");
    let name = "loopback".to_owned();
    let place = signaling::Place::room(room, signaling::Role::Viewer);
    let config = signaling::Config { server, place, name, token: None, ca: None };
    let (_client, mut events) = signaling::Client::connect(config);
    loop {
        match events.recv().await.expect("the client tries for ever") {
            signaling::Event::Joined { ice_servers, .. } => return ice_servers,
            event => eprintln!("{event:?}"),
        }
    }
}

struct Pair {
    app: std::sync::Arc<Connection>,
    robot: std::sync::Arc<Connection>,
    frames: Frames,
    app_messages: tokio::sync::mpsc::Receiver<Bytes>,
}

/// Connects an app that offers to a robot that answers, and that sends back each control message; time until both may
/// send.
async fn connect(path: &Path, begin: Instant) -> (Pair, Duration) {
    let config = path.of(Config::offer(Media::Receive, Manners::Polite));
    let conn = config.conn;
    let (app, app_events, incoming) = Connection::open(config);
    let config = path.of(Config::answer(conn, Media::Send(CAMERA), Manners::Impolite));
    let (robot, robot_events, _) = Connection::open(config);
    let (app, robot) = (std::sync::Arc::new(app), std::sync::Arc::new(robot));
    let (messages_tx, app_messages) = tokio::sync::mpsc::channel(64);
    let (open_tx, mut open_rx) = tokio::sync::mpsc::channel(2);
    let echo = std::sync::Arc::clone(&robot);
    let robot_open = open_tx.clone();
    carry(app_events, &robot, open_tx, move |data| {
        messages_tx.try_send(data).ok();
    });
    carry(robot_events, &app, robot_open, move |data| {
        echo.send(Channel::Control, data).ok();
    });
    for _ in 0..2 {
        open_rx.recv().await.expect("both say so");
    }
    (Pair { app, robot, frames: incoming.camera, app_messages }, begin.elapsed())
}

fn carry(
    mut events: Events,
    other: &std::sync::Arc<Connection>,
    open: tokio::sync::mpsc::Sender<()>,
    message: impl Fn(Bytes) + Send + 'static,
) {
    let other = std::sync::Arc::downgrade(other);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Signal(signal) => {
                    if let Some(other) = other.upgrade() {
                        other.handle_signal(signal);
                    }
                }
                Event::State(LinkState::Connected) => {
                    open.send(()).await.ok();
                }
                Event::State(LinkState::Failed(failure)) => eprintln!("failed: {failure}"),
                Event::State(_) | Event::KeyframeRequested(_) => {}
                Event::Message { data, .. } => message(data),
            }
        }
    });
}

/// Sends key frames until one arrives: over a relay the first one does not (docs/ENGINE.md).
async fn first_picture(pair: &mut Pair) {
    loop {
        pair.robot.send_frame(Track::Camera, picture(0, FrameKind::Key, KEY_BYTES));
        if let Ok(frame) = tokio::time::timeout(ASK_AGAIN, pair.frames.recv()).await {
            frame.expect("connected");
            return;
        }
    }
}

/// Pictures at 30 a second and commands at 50, for a while.
async fn run(mut pair: Pair, span: Duration) -> (Vec<Duration>, Vec<Duration>) {
    let robot = std::sync::Arc::clone(&pair.robot);
    let sending = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_micros(33_333));
        let begin = Instant::now();
        let mut sent = Vec::new();
        while begin.elapsed() < span {
            pace.tick().await;
            let number = sent.len() as u32;
            let (kind, bytes) = match number {
                0 => (FrameKind::Key, KEY_BYTES),
                _ => (FrameKind::Delta, DELTA_BYTES),
            };
            let frame = picture(number, kind, bytes);
            sent.push(Instant::now());
            assert_eq!(robot.send_frame(Track::Camera, frame), Sent::Queued);
        }
        sent
    });
    let mut arrived = Vec::new();
    let mut round_trips = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut commanded = Instant::now();
    let begin = Instant::now();
    while begin.elapsed() < span + Duration::from_millis(300) {
        tokio::select! {
            _ = pace.tick() => {
                commanded = Instant::now();
                pair.app.send(Channel::Control, Bytes::from_static(&[0; 50])).expect("open");
            }
            Some(_) = pair.app_messages.recv() => round_trips.push(commanded.elapsed()),
            Some(frame) = pair.frames.recv() => arrived.push((frame.media_time.0 / 3000, Instant::now())),
        }
    }
    let sent = sending.await.expect("it does not panic");
    let delays = arrived.iter().map(|(number, at)| *at - sent[*number as usize]).collect();
    tokio::join!(pair.app.close(), pair.robot.close());
    (delays, round_trips)
}

fn picture(number: u32, kind: FrameKind, bytes: usize) -> EncodedFrame {
    let head: &[u8] = match kind {
        FrameKind::Key => &[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65],
        FrameKind::Delta | FrameKind::Recovery => &[0, 0, 0, 1, 0x61],
    };
    EncodedFrame {
        data: [head, &vec![0xa5; bytes]].concat().into(),
        kind,
        media_time: MediaTime(number * 3000),
        arrived_at: Instant::now(),
        spent: Duration::ZERO,
    }
}

fn quantiles(mut values: Vec<Duration>) -> String {
    values.sort();
    let at = |q: f64| values.get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1)));
    let ms = |q| at(q).map_or(f64::NAN, |value| value.as_secs_f64() * 1e3);
    format!(
        "{{\"n\": {}, \"p50\": {:.2}, \"p95\": {:.2}, \"p99\": {:.2}}}",
        values.len(),
        ms(0.5),
        ms(0.95),
        ms(0.99)
    )
}
