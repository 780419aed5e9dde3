//! Two connections in one process, joined by nothing but their own signals.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::{
    Admission, Bind, Camera, Channel, Config, Connection, Event, Events, Incoming, LinkState, Manners, Media,
    Signal,
};
use farwheel_proto::anchor::Anchor;
use farwheel_proto::video::{Bitrate, EncodedFrame, FrameKind, MediaTime, Size};

/// Long enough for a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the sending ends send.
pub(crate) const CAMERA: Camera =
    Camera { size: Size::new(1280, 720), fps: 30, bitrate_max: Bitrate::from_kbps(4000) };

/// One end with all that comes out of it.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) events: Events,
    pub(crate) incoming: Incoming,
    /// Events that a wait has passed over.
    pub(crate) seen: Vec<Event>,
}

impl End {
    pub(crate) fn open(config: Config) -> Self {
        let (connection, events, incoming) = Connection::open(config.with_bind(Bind::Loopback));
        Self { connection, events, incoming, seen: Vec::new() }
    }
}

/// An app that offers and a robot that answers.
pub(crate) struct Pair {
    pub(crate) app: End,
    pub(crate) robot: End,
    /// Signals from the app to the robot and back that were delivered.
    pub(crate) delivered: Vec<Signal>,
}

impl Pair {
    /// Not connected yet; signals are carried by [`until`](Self::until).
    pub(crate) fn new() -> Self {
        let app = Config::offer(Media::Receive, Manners::Polite);
        let robot = Config::answer(app.conn, Media::Send(CAMERA), Manners::Impolite);
        Self { app: End::open(app), robot: End::open(robot), delivered: Vec::new() }
    }

    pub(crate) async fn connected() -> Self {
        let mut pair = Self::new();
        pair.until("both connected", |pair| {
            [&pair.app, &pair.robot].iter().all(|end| end.connection.state() == LinkState::Connected)
        })
        .await;
        pair
    }

    /// Carries signals until `done`, and keeps all other events.
    pub(crate) async fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            tokio::select! {
                Some(event) = self.app.events.recv() => self.carry(event, Side::App),
                Some(event) = self.robot.events.recv() => self.carry(event, Side::Robot),
                () = tokio::time::sleep_until(deadline) => panic!(
                    "{what}: not within {PATIENCE:?}; app {:?} {:?}, robot {:?} {:?}",
                    self.app.connection.state(), self.app.seen, self.robot.connection.state(), self.robot.seen
                ),
            }
        }
    }

    /// Waits for the first message on a channel of one end.
    pub(crate) async fn message(&mut self, side: Side, channel: Channel) -> Bytes {
        let find = |end: &End| {
            end.seen.iter().find_map(|event| match event {
                Event::Message { channel: on, data } if *on == channel => Some(data.clone()),
                _ => None,
            })
        };
        self.until("message", |pair| find(pair.end(side)).is_some()).await;
        let data = find(self.end(side)).expect("it was there");
        self.end_mut(side).seen.retain(|event| !matches!(event, Event::Message { .. }));
        data
    }

    pub(crate) fn end(&self, side: Side) -> &End {
        match side {
            Side::App => &self.app,
            Side::Robot => &self.robot,
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::App => &mut self.app,
            Side::Robot => &mut self.robot,
        }
    }

    fn carry(&mut self, event: Event, from: Side) {
        match event {
            Event::Signal(signal) => {
                let to = match from {
                    Side::App => &self.robot,
                    Side::Robot => &self.app,
                };
                if to.connection.admits(&signal) == Admission::Mine {
                    self.delivered.push(signal.clone());
                    to.connection.handle_signal(signal);
                }
            }
            event => self.end_mut(from).seen.push(event),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    App,
    Robot,
}

/// A picture whose bytes follow from its number.
pub(crate) fn picture(number: u32, kind: FrameKind, bytes: usize) -> EncodedFrame {
    let slice = |header: u8| -> Vec<u8> {
        let body = (0..bytes).map(|n| ((n as u32).wrapping_mul(31).wrapping_add(number * 7) as u8) | 1);
        [0, 0, 0, 1, header].into_iter().chain(body).collect()
    };
    let data = match kind {
        FrameKind::Key => {
            [&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce][..], &slice(0x65)].concat()
        }
        FrameKind::Delta => slice(0x61),
        FrameKind::Recovery => [&[0, 0, 0, 1][..], &Anchor(number).note(), &slice(0x61)].concat(),
    };
    EncodedFrame {
        data: data.into(),
        kind,
        media_time: MediaTime(number * 3000),
        arrived_at: Instant::now(),
        spent: Duration::ZERO,
    }
}
