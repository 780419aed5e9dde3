//! A viewer's second connection, beside the one with the video: its commands are that viewer's.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | an offer beside a connection of the same peer, whose certificate that peer has announced on it | the companion, in place of an earlier one |
//! | another one beside it | it is held until the peer announces it: the server's word is not enough |
//! | an offer beside anything else | a bye: it could only be mistaken for a fresh start |
//! | a signal of a companion | it gets it, unless it names another certificate |
//! | a bye of a companion, or its failure | it is forgotten; nothing else changes |
//! | the end of the connection that it stands beside | it ends too |

use std::sync::Arc;

use farwheel_peer::signaling::PeerId;
use farwheel_peer::{
    Beside, Channel, Config, ConnId, Connection, LinkState, Manners, Media, Signal, SignalKind,
};
use farwheel_proto::control::Event;
use farwheel_proto::control::event::Body;
use tracing::{debug, info};

use super::{Identity, Room};
use crate::net::viewer::{self, News};

/// See the module.
pub(super) struct Companion {
    pub(super) connection: Arc<Connection>,
    /// Its peer's certificate.
    fingerprint: String,
}

impl Companion {
    /// Takes a signal; a certificate other than the announced one is none of the peer's.
    fn handle_signal(&self, signal: Signal) {
        match signal.kind {
            SignalKind::Offer | SignalKind::Answer
                if signal.fingerprint().as_ref() != Some(&self.fingerprint) =>
            {
                debug!(conn = %signal.conn, "description of a second path dropped: another certificate");
            }
            _ => self.connection.handle_signal(signal),
        }
    }

    /// Ends it; its peer hears of it by the silence, or has asked for it.
    pub(super) fn close(self) {
        tokio::spawn(async move { self.connection.close().await });
    }
}

impl Room {
    /// Takes what concerns a companion; gives back what does not.
    pub(super) fn handle_signal_beside(&mut self, from: PeerId, signal: Signal) -> Option<Signal> {
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.peer == from) {
            let companion = viewer.companion.as_ref();
            if let Some(companion) = companion.filter(|one| one.connection.conn() == signal.conn) {
                companion.handle_signal(signal);
                return None;
            }
            if viewer.held.first().is_some_and(|offer| offer.conn == signal.conn) {
                match signal.kind {
                    SignalKind::Bye => viewer.held.clear(),
                    SignalKind::Offer => viewer.held = vec![signal],
                    _ if viewer.held.len() < HELD_MAX => viewer.held.push(signal),
                    _ => debug!(peer = %from, "signal dropped: too many wait for a word of the peer"),
                }
                return None;
            }
        }
        match signal.beside() {
            Beside::Nothing => return Some(signal),
            Beside::Connection(main) => self.answer_beside(from, main, signal),
            Beside::Unreadable => self.client.send(from, Signal::bye(signal.conn)),
        }
        None
    }

    fn answer_beside(&mut self, from: PeerId, main: ConnId, signal: Signal) {
        let conn = signal.conn;
        let is_taken = self.main_of(conn).is_some() || self.viewers.contains_key(&conn);
        let known = self.viewers.get_mut(&main).filter(|viewer| viewer.peer == from && !is_taken);
        let (Some(viewer), Some(own_id)) = (known, self.own_id) else {
            debug!(peer = %from, %conn, %main, "second path turned away: there is no such connection of this peer");
            self.client.send(from, Signal::bye(conn));
            return;
        };
        let Some(fingerprint) = signal.fingerprint().filter(|named| viewer.announced.as_ref() == Some(named))
        else {
            debug!(peer = %from, %conn, %main, "second path held until its peer says that it is its own");
            viewer.held = vec![signal];
            return;
        };
        let key = Arc::clone(&viewer.key);
        let config = Config::answer(conn, Media::None, Manners::between(own_id, from)).with_beside(main);
        let (connection, events, _) = Connection::open(self.complete(config));
        let connection = Arc::new(connection);
        tokio::spawn(viewer::forward_beside(key, events, Arc::clone(&self.shared), conn, self.notes.clone()));
        debug!(peer = %from, %conn, %main, "second path connecting");
        connection.handle_signal(signal);
        self.shared.fanout.set_beside(main, None);
        let viewer = self.viewers.get_mut(&main).expect("found above");
        // Nobody else was told which connections this peer has.
        viewer.identity = Identity::Given;
        if let Some(earlier) = viewer.companion.replace(Companion { connection, fingerprint }) {
            earlier.close();
        }
    }

    /// A peer has said on its connection which certificate its second one has.
    pub(super) fn handle_announced(&mut self, main: ConnId, fingerprint: String) {
        let Some(viewer) = self.viewers.get_mut(&main) else { return };
        let peer = viewer.peer;
        let is_held = viewer.held.first().and_then(Signal::fingerprint).as_ref() == Some(&fingerprint);
        viewer.announced = Some(fingerprint);
        if is_held {
            for signal in std::mem::take(&mut viewer.held) {
                self.handle_signal_beside(peer, signal);
            }
        }
    }

    /// Takes news of a companion; what is left of one that was replaced is dropped.
    pub(super) fn handle_note_beside(&mut self, conn: ConnId, news: News) {
        let Some(main) = self.main_of(conn) else { return };
        let viewer = self.viewers.get_mut(&main).expect("it has the companion");
        let peer = viewer.peer;
        match news {
            News::Signal(signal) => {
                if let Some(fingerprint) = signal.fingerprint() {
                    let event = Event::notice(Body::SecondPath { fingerprint });
                    let message = event.encode().expect("a line of a description fits");
                    if let Err(error) = viewer.connection.send(Channel::Event, message.into()) {
                        debug!(%peer, %error, "second path not announced");
                    }
                }
                self.client.send(peer, signal);
            }
            News::State(LinkState::Connected) => {
                let connection = viewer.companion.as_ref().map(|companion| Arc::clone(&companion.connection));
                let pair = connection.as_ref().and_then(|connection| connection.stats().pair);
                let path = pair.map_or("unknown".into(), |pair| pair.to_string());
                info!(%peer, path, "second path for commands");
                self.shared.fanout.set_beside(main, connection);
            }
            // Events are not heard on it.
            News::Announced(_) => {}
            News::State(LinkState::Connecting | LinkState::Disconnected) => {}
            News::State(LinkState::Failed(_)) | News::Ended => {
                info!(%peer, "second path over");
                self.shared.fanout.set_beside(main, None);
                if let Some(companion) = viewer.companion.take() {
                    companion.close();
                }
            }
        }
    }

    /// The connection beside which the one with this id stands.
    fn main_of(&self, companion: ConnId) -> Option<ConnId> {
        let mut viewers = self.viewers.iter();
        viewers.find_map(|(main, viewer)| {
            (viewer.companion.as_ref()?.connection.conn() == companion).then_some(*main)
        })
    }
}

/// Signals of a second path that wait for its peer's word.
const HELD_MAX: usize = 64;
