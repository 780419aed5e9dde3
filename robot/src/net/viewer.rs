//! One connection's events, handed on the moment they arrive.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use farwheel_peer::{Channel, ConnId, Connection, Event, Events, LinkState, Signal};
use farwheel_proto::control::ReceiverReport;
use farwheel_proto::control::event::{self, Body};
use farwheel_proto::control::probe::{Ping, Pong};
use tokio::sync::mpsc;
use tracing::{debug, trace};

use super::Shared;
use crate::control::{Command, Path, PeerId};
use crate::video::Wish;

/// What a connection tells the room.
#[derive(Debug)]
pub struct Note {
    /// Which connection.
    pub conn: ConnId,
    /// What it tells.
    pub news: News,
}

/// See [`Note`].
#[derive(Debug)]
pub enum News {
    /// A signal for its peer.
    Signal(Signal),
    /// Another state.
    State(LinkState),
    /// The second connection with this certificate is its peer's.
    Announced(String),
    /// It is over.
    Ended,
}

/// Reads a connection's events until it is over. Commands go to the control thread from here, past the room's task.
///
/// `notes` full: waits; the room's task is never long busy, and the connection bounds what waits meanwhile.
pub async fn forward(
    peer: PeerId,
    connection: Weak<Connection>,
    mut events: Events,
    shared: Arc<Shared>,
    conn: ConnId,
    notes: mpsc::Sender<Note>,
) {
    while let Some(event) = events.recv().await {
        let news = match event {
            Event::Message { channel: Channel::Control, data } => {
                take_command(&peer, Path::Main, &data, &shared);
                continue;
            }
            Event::Message { channel: Channel::Telemetry, data } => {
                let received = shared.clock.now();
                match Ping::decode(&data) {
                    Ok(Ping { sent_us }) => {
                        if let Some(connection) = connection.upgrade() {
                            let answered = shared.clock.now();
                            let pong = Pong { boot: shared.boot, sent_us, received, answered };
                            // Lost like any lossy message when the connection is ending.
                            connection.send(Channel::Telemetry, Bytes::copy_from_slice(&pong.encode())).ok();
                        }
                    }
                    Err(not_ping) => match ReceiverReport::decode(&data) {
                        Ok(report) => {
                            trace!(%peer, ?report, "receiver report");
                            shared.fanout.handle_report(conn, report);
                        }
                        Err(error) => debug!(%peer, %not_ping, %error, "telemetry datagram refused"),
                    },
                }
                continue;
            }
            Event::Message { channel: Channel::Event, data } => {
                trace!(%peer, bytes = data.len(), "event");
                let Some(fingerprint) = announced(&data) else {
                    shared.inbox.put_event(&peer, data);
                    continue;
                };
                News::Announced(fingerprint)
            }
            // Calls alone have one.
            Event::Message { channel: Channel::File, .. } => continue,
            Event::KeyframeRequested(_) => {
                match shared.wish_of(&peer) {
                    Wish::Leader => shared.video.handle_loss(),
                    Wish::Follower => shared.video.request_keyframe(Wish::Follower),
                }
                continue;
            }
            Event::State(state) => {
                if let (LinkState::Connected, Some(connection)) = (&state, connection.upgrade()) {
                    shared.fanout.add(Arc::clone(&peer), connection);
                    shared.video.request_keyframe(shared.wish_of(&peer));
                }
                if let LinkState::Failed(_) = state {
                    shared.fanout.remove(conn);
                }
                News::State(state)
            }
            Event::Signal(signal) => News::Signal(signal),
        };
        if notes.send(Note { conn, news }).await.is_err() {
            break;
        }
    }
    shared.fanout.remove(conn);
    // Said before, so that the car stopped at once; again now that no word of this peer can follow.
    shared.inbox.put_gone(&peer);
    // The room is gone first only while the process ends.
    notes.send(Note { conn, news: News::Ended }).await.ok();
}

/// Reads the events of a connection that stands beside `peer`'s own until it is over. Its commands are that peer's; its
/// end is none of that peer's, and nothing else that it says is heard.
///
/// `notes` full: as for [`forward`].
pub async fn forward_beside(
    peer: PeerId,
    mut events: Events,
    shared: Arc<Shared>,
    conn: ConnId,
    notes: mpsc::Sender<Note>,
) {
    while let Some(event) = events.recv().await {
        let news = match event {
            Event::Message { channel: Channel::Control, data } => {
                take_command(&peer, Path::Beside, &data, &shared);
                continue;
            }
            Event::Message { channel: Channel::Telemetry | Channel::Event | Channel::File, .. }
            | Event::KeyframeRequested(_) => {
                debug!(%peer, "only commands are heard on a second path");
                continue;
            }
            Event::State(state) => News::State(state),
            Event::Signal(signal) => News::Signal(signal),
        };
        if notes.send(Note { conn, news }).await.is_err() {
            break;
        }
    }
    // The room is gone first only while the process ends.
    notes.send(Note { conn, news: News::Ended }).await.ok();
}

/// What an event says of a second connection, the only kind that is not for the control thread.
fn announced(message: &[u8]) -> Option<String> {
    // All others are read once, there.
    let mark = SECOND_PATH.as_bytes();
    message.windows(mark.len()).find(|part| *part == mark)?;
    match event::Event::decode(message).ok()?.body {
        Body::SecondPath { fingerprint } => Some(fingerprint.to_ascii_lowercase()),
        _ => None,
    }
}

/// Occurs in each event of that type, and hardly in others.
const SECOND_PATH: &str = "second_path";

fn take_command(peer: &PeerId, path: Path, datagram: &[u8], shared: &Shared) {
    match Command::read(peer, path, datagram, Instant::now()) {
        Ok(command) => shared.inbox.put_command(command),
        Err(error) => debug!(%peer, %error, "control datagram refused"),
    }
}
