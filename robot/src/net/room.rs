//! The task that meets drivers and viewers in the room and keeps a connection to each.

mod companion;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::signaling::{self, Client, IceServer, PeerId, Refusal};
use farwheel_peer::{
    Admission, Channel, Config, ConnId, Connection, Initiative, LinkState, Manners, Media, Signal, SignalKind,
};
use farwheel_proto::control::Event;
use farwheel_proto::control::helm::Recipient;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::roster::{Roster, Turn};
use super::viewer::{self, News, Note};
use super::{Settings, Shared};
use crate::control;
use companion::Companion;

/// The room as the robot sees it. Connections outlive the signalling that made them.
pub struct Room {
    settings: Settings,
    shared: Arc<Shared>,
    client: Client,
    /// This side's id, once joined.
    own_id: Option<PeerId>,
    ice_servers: Vec<IceServer>,
    roster: Roster,
    viewers: BTreeMap<ConnId, Viewer>,
    notes: mpsc::Sender<Note>,
    reached: Reached,
}

struct Viewer {
    /// How control knows this peer, for as long as the connection lives.
    key: control::PeerId,
    /// How the signalling server knows it.
    peer: PeerId,
    /// How the server knew it at first.
    first_peer: PeerId,
    identity: Identity,
    name: Option<String>,
    connection: Arc<Connection>,
    initiative: Initiative,
    /// The same peer's second path.
    companion: Option<Companion>,
    /// The certificate that the next one has, by the word of the peer itself.
    announced: Option<String>,
    /// Signals of a second path of which the peer has said nothing, its offer first. Full: an offer has at most some tens of
    /// candidates; more are dropped and the connection does without them.
    held: Vec<Signal>,
}

/// Why a connection is taken to be that of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    /// It was made with it.
    Given,
    /// The peer it was made with is gone, and this one is like it.
    Guessed,
}

/// What is known of the signalling server; each change is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reached {
    NotYet,
    Yes,
    Lost,
    /// It does not want this robot, and trying again would not help.
    Refused(Refusal),
}

/// Why the room's task is over.
#[derive(Debug)]
pub enum Ended {
    /// The signalling server refuses the robot and nobody is connected any more.
    Refused(Refusal),
}

impl Room {
    /// Joins the room.
    pub fn join(settings: Settings, shared: Arc<Shared>) -> (Self, signaling::Events, mpsc::Receiver<Note>) {
        let (client, events) = Client::connect(settings.signaling.clone());
        let (notes, noted) = mpsc::channel(NOTES_MAX);
        let room = Self {
            settings,
            shared,
            client,
            own_id: None,
            ice_servers: Vec::new(),
            roster: Roster::default(),
            viewers: BTreeMap::new(),
            notes,
            reached: Reached::NotYet,
        };
        (room, events, noted)
    }

    /// Serves the room until it is over; dropping the future loses nothing that [`Self::close`] needs.
    pub async fn serve(
        &mut self,
        signals: &mut signaling::Events,
        noted: &mut mpsc::Receiver<Note>,
        told: &mut mpsc::Receiver<(Recipient, Event)>,
    ) -> Ended {
        let mut listening = true;
        loop {
            let offer = self.roster.poll_timeout();
            tokio::select! {
                event = signals.recv(), if listening => match event {
                    Some(event) => self.handle_signaling(event),
                    // The client is closed after a refusal; connections go on.
                    None => listening = false,
                },
                Some(note) = noted.recv() => self.handle_note(note),
                Some((to, event)) = told.recv() => self.tell(&to, &event),
                () = sleep_until(offer) => self.offer(),
            }
            if let Reached::Refused(refusal) = &self.reached
                && self.viewers.is_empty()
            {
                return Ended::Refused(refusal.clone());
            }
        }
    }

    /// Closes every connection, then leaves the room.
    pub async fn close(self, mut signals: signaling::Events, mut noted: mpsc::Receiver<Note>) {
        let mut closing = tokio::task::JoinSet::new();
        let mut peers = BTreeMap::new();
        for (conn, viewer) in self.viewers {
            if let Some(companion) = viewer.companion {
                peers.insert(companion.connection.conn(), viewer.peer);
                closing.spawn(async move { companion.connection.close().await });
            }
            peers.insert(conn, viewer.peer);
            closing.spawn(async move { viewer.connection.close().await });
        }
        let goodbye = async {
            loop {
                tokio::select! {
                    biased;
                    Some(note) = noted.recv() => {
                        if let (News::Signal(signal), Some(peer)) = (note.news, peers.get(&note.conn)) {
                            self.client.send(*peer, signal);
                        }
                    }
                    closed = closing.join_next() => if closed.is_none() { break },
                }
            }
            self.client.leave();
            while signals.recv().await.is_some() {}
        };
        if tokio::time::timeout(CLOSE_MAX, goodbye).await.is_err() {
            debug!("goodbye was not heard in time");
        }
    }

    fn handle_signaling(&mut self, event: signaling::Event) {
        let now = Instant::now();
        match event {
            signaling::Event::Joined { self_id, peers, ice_servers, .. } => {
                info!(id = %self_id, peers = peers.len(), room = %self.settings.signaling.place.name(), "joined the room");
                if peers.iter().any(|peer| peer.role == signaling::Role::Robot && peer.connected) {
                    warn!("another robot is in this room; drivers may get either");
                }
                // Only the first one is waited for.
                self.shared.ready.notify_one();
                self.reached = Reached::Yes;
                self.own_id = Some(self_id);
                self.ice_servers = ice_servers;
                self.roster.handle_joined(peers, now);
                self.adopt();
                self.offer();
            }
            signaling::Event::Resumed => {
                info!("signalling server is back");
                self.reached = Reached::Yes;
            }
            signaling::Event::PeerJoined(peer) => {
                info!(peer = %peer.id, role = ?peer.role, name = peer.name.as_deref().unwrap_or(""), "peer joined");
                self.roster.handle_peer_joined(peer, now);
                self.adopt();
            }
            signaling::Event::PeerLeft { id, .. } => {
                info!(peer = %id, "peer left the room");
                self.roster.handle_peer_left(id);
            }
            signaling::Event::Signal { from, signal } => self.handle_signal(from, signal),
            signaling::Event::IceServers(servers) => self.ice_servers = servers,
            signaling::Event::Refused(refusal) => warn!(%refusal, "signalling server refused a message"),
            signaling::Event::Lost { reason, retry_in } => {
                if self.reached != Reached::Lost {
                    let retry_in_ms = retry_in.as_millis() as u64;
                    let server = &self.settings.signaling.server;
                    warn!(%server, reason, retry_in_ms, "no signalling server; trying on, connections go on");
                    self.reached = Reached::Lost;
                }
            }
            signaling::Event::Waiting => info!("the room is locked; waiting to be let in"),
            signaling::Event::Denied => {
                let message = "a moderator did not let this robot in".to_owned();
                error!(message, "signalling server does not let this robot in");
                self.reached = Reached::Refused(Refusal { code: signaling::ErrorCode::Forbidden, message });
            }
            // A robot moderates nothing, takes data from the robot's own channels only, and joins no pair.
            signaling::Event::Knock(_)
            | signaling::Event::Locked(_)
            | signaling::Event::MuteRequest { .. }
            | signaling::Event::PeerChanged(_)
            | signaling::Event::Data { .. }
            | signaling::Event::PairFound { .. }
            | signaling::Event::Busy => {}
            signaling::Event::Fatal(refusal) => {
                error!(%refusal, "signalling server does not let this robot in");
                self.reached = Reached::Refused(refusal);
            }
        }
    }

    /// Takes a signal to its connection, or makes one for it.
    fn handle_signal(&mut self, from: PeerId, signal: Signal) {
        let Some(signal) = self.handle_signal_beside(from, signal) else { return };
        let known = self.viewers.iter().find(|(_, viewer)| viewer.peer == from);
        let Some((&conn, viewer)) = known else {
            if signal.kind == SignalKind::Offer {
                self.answer(from, signal);
            }
            return;
        };
        match viewer.connection.admits(&signal) {
            Admission::Mine => viewer.connection.handle_signal(signal),
            Admission::Stale => debug!(peer = %from, kind = ?signal.kind, "stale signal dropped"),
            Admission::Replace if viewer.identity == Identity::Guessed => {
                // The guess was wrong, or its connection is lost, which will show.
                let viewer = self.viewers.get_mut(&conn).expect("found above");
                viewer.peer = viewer.first_peer;
                self.answer(from, signal);
            }
            Admission::Replace => {
                info!(peer = %from, "peer starts over");
                self.forget(conn);
                self.answer(from, signal);
            }
        }
    }

    fn handle_note(&mut self, Note { conn, news }: Note) {
        let Some(viewer) = self.viewers.get(&conn) else { return self.handle_note_beside(conn, news) };
        let peer = viewer.peer;
        match news {
            News::Signal(signal) => self.client.send(peer, signal),
            News::State(LinkState::Connected) => {
                let path = viewer.connection.stats().pair.map_or("unknown".into(), |path| path.to_string());
                let name = viewer.name.as_deref().unwrap_or_default();
                info!(%peer, name, path, "connected");
                self.roster.handle_connected(peer);
            }
            News::Announced(fingerprint) => self.handle_announced(conn, fingerprint),
            News::State(LinkState::Connecting) => {}
            News::State(LinkState::Disconnected) => info!(%peer, "nothing heard from peer"),
            News::State(LinkState::Failed(failure)) => {
                info!(%peer, %failure, "connection over");
                self.end(conn);
            }
            News::Ended => self.end(conn),
        }
    }

    /// A connection is over; another one is made if its peer still is in the room.
    fn end(&mut self, conn: ConnId) {
        let Some(viewer) = self.forget(conn) else { return };
        let turn = match viewer.initiative {
            Initiative::Offer => Turn::Ours,
            Initiative::Answer => Turn::Theirs,
        };
        self.roster.handle_failed(viewer.peer, turn, Instant::now());
    }

    fn forget(&mut self, conn: ConnId) -> Option<Viewer> {
        let mut viewer = self.viewers.remove(&conn)?;
        self.shared.fanout.remove(conn);
        self.shared.inbox.put_gone(&viewer.key);
        if let Some(companion) = viewer.companion.take() {
            companion.close();
        }
        let connection = Arc::clone(&viewer.connection);
        tokio::spawn(async move { connection.close().await });
        Some(viewer)
    }

    fn offer(&mut self) {
        while let Some(peer) = self.roster.poll_offer(Instant::now()) {
            let Some(own_id) = self.own_id else { return };
            if self.viewers.values().any(|viewer| viewer.peer == peer) {
                continue;
            }
            let config = Config::offer(Media::Send(self.settings.camera), Manners::between(own_id, peer));
            self.open(peer, config);
        }
    }

    fn answer(&mut self, peer: PeerId, signal: Signal) {
        let Some(own_id) = self.own_id else { return };
        let config =
            Config::answer(signal.conn, Media::Send(self.settings.camera), Manners::between(own_id, peer));
        if let Some(connection) = self.open(peer, config) {
            connection.handle_signal(signal);
        }
    }

    fn open(&mut self, peer: PeerId, config: Config) -> Option<Arc<Connection>> {
        if self.viewers.len() >= VIEWERS_MAX {
            warn!(%peer, "peer turned away: {VIEWERS_MAX} are connected already");
            self.client.send(peer, Signal::bye(config.conn));
            return None;
        }
        let (conn, initiative) = (config.conn, config.initiative);
        let config = match &self.shared.sound {
            Some(_) => config.with_sound(),
            None => config,
        };
        let (connection, events, incoming) = Connection::open(self.complete(config));
        let connection = Arc::new(connection);
        // Unlike the peer's id it differs for each connection, so that what control knows of one that is gone
        // cannot be mistaken for the next.
        let key: control::PeerId = Arc::from(format!("{peer}.{conn}"));
        if let Some(sound) = &self.shared.sound {
            tokio::spawn(Arc::clone(sound).play(Arc::clone(&key), incoming.sound));
        }
        let name = self.roster.get(peer).and_then(|peer| peer.name.clone());
        self.roster.handle_connecting(peer);
        tokio::spawn(viewer::forward(
            Arc::clone(&key),
            Arc::downgrade(&connection),
            events,
            Arc::clone(&self.shared),
            conn,
            self.notes.clone(),
        ));
        debug!(%peer, %conn, ?initiative, "connecting");
        let viewer = Viewer {
            key,
            peer,
            first_peer: peer,
            identity: Identity::Given,
            name,
            connection: Arc::clone(&connection),
            initiative,
            companion: None,
            announced: None,
            held: Vec::new(),
        };
        self.viewers.insert(conn, viewer);
        Some(connection)
    }

    /// What all of the robot's connections have in common.
    fn complete(&self, config: Config) -> Config {
        config
            .with_ice_servers(self.ice_servers.clone())
            .with_candidates(self.settings.candidates)
            .with_bind(self.settings.bind.clone())
            .with_ca(self.settings.signaling.ca.clone())
    }

    fn tell(&self, to: &Recipient, event: &Event) {
        let message = match event.encode() {
            Ok(message) => Bytes::from(message),
            Err(error) => {
                error!(%error, "event cannot be sent");
                return;
            }
        };
        for viewer in self.viewers.values() {
            let addressed = match to {
                Recipient::All => true,
                Recipient::Peer(key) => **key == *viewer.key,
            };
            if addressed && let Err(error) = viewer.connection.send(Channel::Event, message.clone()) {
                // Not open yet: it will be told all when it says hello. Full: its peer does not read, which ends it.
                debug!(peer = %viewer.peer, %error, "event not sent");
            }
        }
    }

    /// After the server has forgotten everybody, a peer comes with another id. A connection that stands and whose
    /// peer is not in the room is taken to be that of a newcomer of the same name and role, so that no second one is
    /// offered. An offer by that newcomer settles the matter.
    fn adopt(&mut self) {
        let mut taken: Vec<_> = self.viewers.values().map(|viewer| viewer.peer).collect();
        for viewer in self.viewers.values_mut() {
            if viewer.connection.state() != LinkState::Connected {
                continue;
            }
            if self.roster.get(viewer.peer).is_none() {
                let alike = |peer: &&signaling::Peer| {
                    peer.role != signaling::Role::Robot && viewer.name.is_some() && peer.name == viewer.name
                };
                let heir = self.roster.peers().filter(|peer| !taken.contains(&peer.id)).find(alike);
                if let Some(heir) = heir.map(|peer| peer.id) {
                    debug!(was = %viewer.peer, is = %heir, "peer has another id");
                    (viewer.peer, viewer.identity) = (heir, Identity::Guessed);
                    taken.push(heir);
                }
            }
            self.roster.handle_connecting(viewer.peer);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Connections at once. Each costs a share of the uplink; more viewers need a server that forwards.
const VIEWERS_MAX: usize = 16;
/// Notes of all connections on their way to the room. Full: the connection's task waits.
const NOTES_MAX: usize = 64;
/// Saying goodbye takes one round trip, which not everybody can be waited for.
const CLOSE_MAX: Duration = Duration::from_secs(1);
