//! The connections to the members.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_media::audio::{Voice, VoiceStatus};
use farwheel_media::slot;
use farwheel_peer::signaling::PeerId;
use farwheel_peer::{
    Channel, ConnId, Connection, Event, Failure, Initiative, LinkState, Manners, Media, SendError, Sounds,
    Stats, Track,
};
use farwheel_proto::call::mesh::{Command, LinkChange, Mark};
use farwheel_proto::call::message::NAME_CHARS_MAX;
use farwheel_proto::call::quality::{self, Judge, Quality};
use farwheel_proto::call::{Hello, Message, State, Want, text};
use farwheel_proto::clock::ClockSync;
use farwheel_proto::control::ReceiverReport;
use farwheel_proto::control::probe::{Ping, Pong};
use farwheel_proto::video::CarTime;
use tokio::sync::mpsc;

use super::{Shared, Worker};
use crate::call::outgoing::{Receiver, Said};
use crate::call::{Tiles, epoch, lock};
use crate::model::Notice;
use crate::model::call::{LinkFigures, Source};
use crate::session::video;

/// One connection.
pub(in crate::call) struct Link {
    pub(in crate::call) member: PeerId,
    pub(in crate::call) connection: Arc<Connection>,
    clock: Arc<Mutex<ClockSync>>,
    camera: Arc<Said>,
    screen: Arc<Said>,
    /// What the other side shows of ours.
    pub(in crate::call) want: Want,
    is_up: bool,
    silent_since: Option<Instant>,
    voice: Option<Arc<Voice>>,
    told: Option<Want>,
    judge: Judge,
    pub(in crate::call) quality: Quality,
    pub(in crate::call) figures: LinkFigures,
    sampled: Option<(Instant, Stats)>,
}

impl Link {
    /// Whether it stands, or stood a moment ago.
    pub(in crate::call) fn is_up(&self) -> bool {
        self.is_up
    }

    /// What is known of the other side's sound.
    pub(in crate::call) fn sound(&self) -> Option<VoiceStatus> {
        self.voice.as_ref().map(|voice| voice.status())
    }

    /// Plays the other side so loud.
    pub(super) fn set_volume(&self, volume: f32) {
        if let Some(voice) = &self.voice {
            voice.set_volume(volume);
        }
    }

    /// Of what is sent there, how much does not arrive, [0, 1].
    pub(super) fn loss_out(&self) -> f32 {
        self.sampled.as_ref().map_or(0.0, |(_, stats)| f32::from(stats.sound.loss_permille) / 1e3)
    }

    /// Sends a message on the reliable channel.
    pub(in crate::call) fn send(&self, message: &Message) {
        if !self.is_up {
            return;
        }
        match self.connection.send(Channel::Event, message.encode().into()) {
            Ok(()) => {}
            // The connection ends with that; the next one tells everything anew.
            Err(SendError::NotConnected) => {}
            Err(error) => tracing::warn!(%error, "message to a member not sent"),
        }
    }

    pub(super) fn handle_tick(&mut self, shared: &Shared, now: Instant) {
        if !self.is_up {
            return;
        }
        if let (Some(sound), Some(person)) = (self.sound(), lock(&shared.people).get_mut(self.member)) {
            let is_sent = person.state.microphone;
            person.hearing.handle(self.connection.conn(), &sound, is_sent, now);
        }
        if let Some(ping) = lock(&self.clock).poll_ping(now) {
            // Lossy by nature: the next ping comes in half a second.
            self.connection.send(Channel::Telemetry, Bytes::copy_from_slice(&ping.encode())).ok();
        }
        let is_due = self.sampled.as_ref().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLE);
        if is_due {
            self.sample(shared, now);
        }
    }

    /// The figures of the last second, and what they are worth.
    fn sample(&mut self, shared: &Shared, now: Instant) {
        let stats = self.connection.stats();
        let Some((_, before)) = self.sampled.replace((now, stats.clone())) else { return };
        let grown = |of: fn(&Stats) -> u64| of(&stats).saturating_sub(of(&before));
        let share = |lost: u64, came: u64| lost as f32 / (lost + came).max(1) as f32;
        let lost = grown(|s| s.packets_lost) + grown(|s| s.sound.packets_lost);
        let came = grown(|s| s.packets_received) + grown(|s| s.sound.packets_received);
        let rtt = lock(&self.clock).rtt().or(stats.rtt);
        let (age, size, is_on) = {
            let people = lock(&shared.people);
            match people.get(self.member) {
                Some(person) => {
                    let figures = lock(&person.camera);
                    (figures.age(now), figures.totals().size, person.state.camera)
                }
                None => (None, None, false),
            }
        };
        let age = age.filter(|_| is_on);
        let share_out = self.want.camera.and_then(|tile| {
            let target = self.connection.target(Track::Camera)?;
            Some((target.bitrate.0 as f32 / worth(tile.size().pixels())).min(1.0))
        });
        self.figures = LinkFigures {
            rtt,
            sent_kbps: (stats.bitrate_out / 1e3) as f32,
            received_kbps: (stats.bitrate_in / 1e3) as f32,
            loss: share(lost, came),
            playout: self.sound().map(|sound| sound.waits),
            picture_age: age,
            picture: size.map(|size| farwheel_proto::call::Tile {
                width: size.width.min(u32::from(u16::MAX)) as u16,
                height: size.height.min(u32::from(u16::MAX)) as u16,
            }),
        };
        let figures = quality::Figures {
            silent: self.silent_since.map(|since| now.saturating_duration_since(since) + SILENT_AFTER),
            rtt,
            loss_in: self.figures.loss,
            loss_out: f32::from(stats.sound.loss_permille) / 1e3,
            picture_age: age,
            share_out,
        };
        self.quality = self.judge.handle(&figures, now);
    }

    fn handle_telemetry(&self, data: &[u8], now: Instant) {
        if let Ok(ping) = Ping::decode(data) {
            let at = CarTime::since(epoch(), now);
            // The process' clock never starts again while a connection stands.
            let pong = Pong { boot: 1, sent_us: ping.sent_us, received: at, answered: at };
            self.connection.send(Channel::Telemetry, Bytes::copy_from_slice(&pong.encode())).ok();
        } else if let Ok(pong) = Pong::decode(data) {
            if let Err(error) = lock(&self.clock).handle_pong(&pong, now) {
                tracing::debug!(%error, "pong tells nothing");
            }
        } else if let Ok(report) = ReceiverReport::decode(data) {
            self.camera.put(report);
        } else {
            tracing::debug!(bytes = data.len(), "telemetry not understood");
        }
    }
}

impl Worker {
    /// Carries out what was decided.
    pub(super) fn act(&mut self, now: Instant) {
        let mut is_changed = false;
        while let Some(command) = self.mesh.poll_command() {
            is_changed = true;
            match command {
                Command::Open { member, conn, initiative, manners } => {
                    self.open(member, conn, initiative, manners, now);
                }
                Command::Close { conn } => self.close(conn),
                Command::Came(id) => {
                    let name = self.mesh.member(id).and_then(|member| member.name.clone());
                    lock(&self.shared.people).come(id, name.as_deref(), self.config.left_out, now);
                    // A recording looks for the pictures of whoever is there.
                    self.shared.slot(Source::Camera(id));
                    self.shared.slot(Source::Screen(id));
                }
                Command::Gone(id) => {
                    let name = lock(&self.shared.people).go(id, now);
                    self.wants.remove(&id);
                    self.end_talk(id);
                    self.forget_kept(id);
                    self.shared.forget_slots(id);
                    if let Some(name) = name.filter(|_| self.mesh.member(id).is_none()) {
                        // Names are for those in the call: the log may be sent to others.
                        tracing::info!(member = %id, "has left");
                        self.end_letters(&name);
                    }
                }
                Command::Renamed { from, to, by: Mark::Connection } => self.rename(from, to),
                Command::Renamed { from, to, by: Mark::Name } => self.replace(from, to, now),
            }
        }
        if is_changed {
            self.tell_receivers();
            self.shared.wake();
        }
    }

    fn rename(&mut self, from: PeerId, to: PeerId) {
        lock(&self.shared.people).rename(from, to);
        if let Some(want) = self.wants.remove(&from) {
            self.wants.insert(to, want);
        }
        for link in self.links.values_mut().filter(|link| link.member == from) {
            link.member = to;
        }
        self.rename_talk(from, to);
        self.rename_kept(from, to);
        let mut slots = lock(&self.shared.slots);
        for (old, new) in
            [(Source::Camera(from), Source::Camera(to)), (Source::Screen(from), Source::Screen(to))]
        {
            if let Some(slot) = slots.remove(&old) {
                slots.insert(new, slot);
            }
        }
    }

    /// Somebody has the name of one who is gone: it has that one's place, and nothing else before it has shown that it is
    /// the same.
    fn replace(&mut self, from: PeerId, to: PeerId, now: Instant) {
        let volume = lock(&self.shared.people).get(from).map_or(1.0, |person| person.volume);
        lock(&self.shared.people).go(from, now);
        let name = self.mesh.member(to).and_then(|member| member.name.clone());
        lock(&self.shared.people).come(to, name.as_deref(), self.config.left_out, now);
        self.wants.remove(&from);
        self.shared.forget_slots(from);
        self.shared.slot(Source::Camera(to));
        self.shared.slot(Source::Screen(to));
        self.replace_kept(from, to, volume);
    }

    fn open(&mut self, member: PeerId, conn: ConnId, initiative: Initiative, manners: Manners, now: Instant) {
        let media = Media::Call(self.devices.sources());
        let mut config = farwheel_peer::Config::answer(conn, media, manners)
            .with_ice_servers(self.ice_servers.clone())
            .with_candidates(self.config.candidates)
            .with_bind(self.config.bind.clone())
            .with_ca(self.config.room().and_then(|signaling| signaling.ca.clone()));
        config.initiative = initiative;
        config.patience = self.post.patience();
        let (connection, events, incoming) = Connection::open(config);
        let connection = Arc::new(connection);
        let (camera, screen, clock, volume) = {
            let mut people = lock(&self.shared.people);
            people.come(member, None, self.config.left_out, now);
            let person = people.get_mut(member).expect("it has just come");
            // The other side may be another process now.
            person.has_hello = false;
            *lock(&person.clock) = ClockSync::new(epoch());
            (Arc::clone(&person.camera), Arc::clone(&person.screen), Arc::clone(&person.clock), person.volume)
        };
        let voice = self.devices.sound().voice().map(Arc::new);
        if let Some(voice) = &voice {
            voice.set_volume(volume);
            tokio::spawn(listen(incoming.sound, Arc::clone(voice)));
        }
        let tracks = [
            (Track::Camera, incoming.camera, camera, Source::Camera(member)),
            (Track::Screen, incoming.screen, screen, Source::Screen(member)),
        ];
        for (track, frames, figures, source) in tracks {
            let setup = video::Setup {
                track,
                slot: self.shared.slot(source),
                voice: voice.clone().filter(|_| track == Track::Camera),
                figures,
                clock: Arc::clone(&clock),
                hands: None,
                shown: self.config.shown,
                strip: self.config.strip,
                recorder: None,
                measuring: slot::Slot::new(),
            };
            if let Err(error) = video::spawn(frames, Arc::downgrade(&connection), setup) {
                tracing::error!(%error, "no thread for the decoder");
            }
        }
        tokio::spawn(forward(conn, events, self.events.clone()));
        let link = Link {
            member,
            connection,
            clock,
            camera: Arc::default(),
            screen: Arc::default(),
            want: Want::default(),
            is_up: false,
            silent_since: None,
            voice,
            told: None,
            judge: Judge::default(),
            quality: Quality::default(),
            figures: LinkFigures::default(),
            sampled: None,
        };
        self.links.insert(conn, link);
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(link) = self.links.remove(&conn) {
            self.pause_talk(link.member);
            self.post.send(link.member, farwheel_peer::Signal::bye(conn));
            tokio::spawn(async move { link.connection.close().await });
        }
    }

    pub(super) fn handle_event(&mut self, conn: ConnId, event: Option<Event>, now: Instant) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        match event {
            // It ended without a word: as if it had failed.
            None => self.handle_state(conn, &LinkState::Failed(Failure::Silence), now),
            Some(Event::Signal(signal)) => self.post.send(link.member, signal),
            Some(Event::State(state)) => self.handle_state(conn, &state, now),
            Some(Event::KeyframeRequested(Track::Camera)) => link.camera.request_key(),
            Some(Event::KeyframeRequested(Track::Screen)) => link.screen.request_key(),
            Some(Event::Message { channel: Channel::Telemetry, data }) => link.handle_telemetry(&data, now),
            Some(Event::Message { channel: Channel::Event, data }) => match Message::decode(&data) {
                Ok(Some(message)) => self.handle_message(conn, message, now),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "message not understood"),
            },
            Some(Event::Message { channel: Channel::File, data }) => {
                let from = link.member;
                if let Some(files) = &mut self.talk.files {
                    files.handle_chunk(from, data);
                }
                self.carry_talk();
            }
            Some(Event::Message { channel: Channel::Control, .. }) => {}
        }
    }

    fn handle_state(&mut self, conn: ConnId, state: &LinkState, now: Instant) {
        tracing::info!(%conn, ?state, "link");
        let Some(link) = self.links.get_mut(&conn) else { return };
        let change = match state {
            LinkState::Connecting => return,
            LinkState::Connected => {
                link.silent_since = None;
                let is_first = !std::mem::replace(&mut link.is_up, true);
                if is_first && let Some(person) = lock(&self.shared.people).get_mut(link.member) {
                    person.connections += 1;
                }
                if is_first {
                    self.enter_by_letters(now);
                    let link = &self.links[&conn];
                    link.send(&self.hello());
                    link.send(&Message::State(self.told));
                    self.begin_talk(conn);
                }
                LinkChange::Connected
            }
            LinkState::Disconnected => {
                link.silent_since = Some(now);
                LinkChange::Silent
            }
            LinkState::Failed(failure) => {
                self.fail_letters(failure);
                LinkChange::Failed
            }
        };
        self.mesh.handle_link(conn, change, now);
        self.act(now);
        self.tell_wants();
        self.tell_receivers();
    }

    fn handle_message(&mut self, conn: ConnId, message: Message, now: Instant) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        match message {
            Message::Hello(hello) => {
                if let Some(person) = lock(&self.shared.people).get_mut(link.member)
                    && !std::mem::replace(&mut person.has_hello, true)
                {
                    // Once for each connection: its identity is shown with the name that it began with.
                    let name = text::line(&hello.name, NAME_CHARS_MAX);
                    if !name.is_empty() {
                        person.name = name;
                    }
                    let version = text::line(&hello.version, VERSION_CHARS_MAX);
                    tracing::info!(member = %link.member, version, "is here");
                }
                if let Some(id) = hello.id {
                    self.mesh.handle_introduction(conn, id);
                }
            }
            Message::State(state) => {
                let member = link.member;
                self.handle_told(member, state, now);
            }
            Message::Want(want) => {
                link.want = want;
                self.tell_receivers();
            }
            Message::MuteRequest => {
                let from = link.member;
                self.handle_direct_mute_request(from, now);
            }
            Message::Goodbye => self.mesh.handle_goodbye(conn),
            Message::Verify(message) => self.handle_verify(conn, &message),
            Message::Chat(message) => {
                let from = link.member;
                if self.talk.chat.handle_message(from, message) > 0 {
                    self.shared.wake();
                }
                self.carry_talk();
            }
            Message::File(message) => {
                let from = link.member;
                if let Some(files) = &mut self.talk.files {
                    files.handle_message(from, &message, now);
                }
                self.carry_talk();
            }
        }
        self.act(now);
    }

    fn handle_told(&mut self, member: PeerId, state: State, now: Instant) {
        let mut people = lock(&self.shared.people);
        if let Some(person) = people.get_mut(member) {
            let before = std::mem::replace(&mut person.state, state);
            person.note_gone(&before, now);
            let is_new = person
                .recording_told_at
                .is_none_or(|at| now.saturating_duration_since(at) >= RECORDING_EVERY);
            if state.recording && !before.recording && is_new {
                person.recording_told_at = Some(now);
                self.shared.notice(Notice::warning(format!("{} records the call.", person.name)));
            }
        }
        drop(people);
        self.shared.wake();
    }

    fn hello(&self) -> Message {
        Message::Hello(Hello {
            name: self.config.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            id: self.mesh.own(),
        })
    }

    /// Tells everybody what the server calls this side now.
    pub(super) fn introduce(&self) {
        let hello = self.hello();
        for link in self.links.values() {
            link.send(&hello);
        }
    }

    pub(super) fn tell_state(&self) {
        for link in self.links.values() {
            link.send(&Message::State(self.told));
        }
    }

    /// Tells each member which of its pictures are shown, where that has changed.
    pub(super) fn tell_wants(&mut self) {
        for link in self.links.values_mut().filter(|link| link.is_up) {
            let want = match self.config.tiles {
                Tiles::Told => self.wants.get(&link.member).copied().unwrap_or_default(),
                Tiles::Fixed { camera, screen } => Want { camera: Some(camera), screen: Some(screen) },
            };
            if link.told != Some(want) {
                link.told = Some(want);
                link.send(&Message::Want(want));
            }
        }
    }

    fn tell_receivers(&self) {
        let up = || self.links.values().filter(|link| link.is_up && link.silent_since.is_none());
        let receiver = |link: &Link, tile: Option<farwheel_proto::call::Tile>, said: &Arc<Said>| Receiver {
            connection: Arc::clone(&link.connection),
            tile: tile.map(|tile| tile.size()),
            said: Arc::clone(said),
        };
        self.devices.set_receivers(
            up().map(|link| receiver(link, link.want.camera, &link.camera)).collect(),
            up().map(|link| receiver(link, link.want.screen, &link.screen)).collect(),
        );
    }

    /// Says goodbye to everybody and closes everything.
    pub(super) async fn leave(mut self, events: &mut mpsc::Receiver<(ConnId, Option<Event>)>) {
        self.devices.set_receivers(Vec::new(), Vec::new());
        for link in self.links.values() {
            link.send(&Message::Goodbye);
        }
        if self.links.values().any(|link| link.is_up) {
            // The reliable channel gets it out.
            tokio::time::sleep(GOODBYE).await;
        }
        let links: BTreeMap<_, _> = std::mem::take(&mut self.links);
        let to: BTreeMap<ConnId, PeerId> = links.iter().map(|(conn, link)| (*conn, link.member)).collect();
        let mut closing = tokio::task::JoinSet::new();
        for link in links.into_values() {
            closing.spawn(async move { link.connection.close().await });
        }
        let forward = async {
            loop {
                tokio::select! {
                    closed = closing.join_next() => if closed.is_none() { break },
                    Some((conn, event)) = events.recv() => {
                        if let (Some(Event::Signal(signal)), Some(to)) = (event, to.get(&conn)) {
                            self.post.send(*to, signal);
                        }
                    }
                }
            }
        };
        tokio::time::timeout(CLOSE_MAX, forward).await.ok();
        self.post.leave();
        // The close frame is written by the client's task.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Plays what comes, until the connection ends.
async fn listen(mut sounds: Sounds, voice: Arc<Voice>) {
    while let Some(packet) = sounds.recv().await {
        voice.push(packet);
    }
}

/// Hands a connection's events to the worker, then its end.
async fn forward(conn: ConnId, mut events: farwheel_peer::Events, to: mpsc::Sender<(ConnId, Option<Event>)>) {
    while let Some(event) = events.recv().await {
        if to.send((conn, Some(event))).await.is_err() {
            return;
        }
    }
    // An error means that the worker has ended.
    to.send((conn, None)).await.ok();
}

/// Bits a second that a picture of so many samples is worth at 30 pictures a second: as `call::layers` has it, 900 kbit/s
/// at 640x360.
fn worth(pixels: usize) -> f32 {
    (pixels as f32 * 3.9).clamp(250e3, 3e6)
}

const SAMPLE: Duration = Duration::from_secs(1);
/// The engine says that nothing is heard after this long.
const SILENT_AFTER: Duration = Duration::from_millis(1500);
/// A member that turns its recording on and off is told of once in so long.
const RECORDING_EVERY: Duration = Duration::from_secs(10);
const VERSION_CHARS_MAX: usize = 32;
const GOODBYE: Duration = Duration::from_millis(60);
const CLOSE_MAX: Duration = Duration::from_millis(200);
