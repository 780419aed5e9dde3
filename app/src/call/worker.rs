//! The worker task: carries what [`Mesh`] decides to the network, and what the network says to everyone else.

mod hear;
mod keep;
mod letters;
mod links;
mod orders;
mod post;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_peer::signaling::{IceServer, Lock, Peer, PeerId, Permission};
use farwheel_peer::{ConnId, Event};
use farwheel_proto::call::mesh::Mesh;
use farwheel_proto::call::{State, Want};
use farwheel_proto::sound::Active;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::{Config, Devices, Order, Shared, Stage, Way, lock, view};
use crate::model::Notice;
use crate::model::call::Command;
use crate::model::connect::Problem;
use keep::Keep;
pub(super) use links::Link;
use post::Post;
pub(super) use talk::Talk;

pub(super) async fn run(
    config: Config,
    shared: Arc<Shared>,
    devices: Arc<Devices>,
    mut orders: mpsc::Receiver<Order>,
) {
    let (post, mut signals) = Post::open(&config.way);
    let ice_servers = match &config.way {
        Way::Room(_) => Vec::new(),
        Way::Letters(letters) => letters.ice_servers.clone(),
    };
    // Full: the connections' own queues fill, and one that is not read for long ends. Each has some tens of events a second.
    let (events_tx, mut events) = mpsc::channel(EVENTS_MAX);
    devices.set_thrift(config.thrift);
    let talk = Talk::new(&config);
    let (keep, warning) = Keep::new(&config);
    if let Some(warning) = warning {
        shared.notice(Notice::warning(warning));
    }
    let mut worker = Worker {
        config,
        shared,
        devices,
        post,
        mesh: Mesh::new(rand::random()),
        ice_servers,
        links: BTreeMap::new(),
        events: events_tx,
        wants: BTreeMap::new(),
        told: State::default(),
        room: Room::default(),
        joined_at: None,
        refused: None,
        figures: view::History::default(),
        talk,
        keep,
        loss_told_at: None,
        looked_at: None,
        active: Active::default(),
    };
    let mut done = worker.start_files();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    worker.begin_by_letters(Instant::now());
    loop {
        tokio::select! {
            event = async { signals.as_mut().expect("looked at before").recv().await }, if signals.is_some() => {
                match event {
                    Some(event) => worker.handle_signaling(event, Instant::now()),
                    None => signals = None,
                }
            }
            Some((conn, event)) = events.recv() => worker.handle_event(conn, event, Instant::now()),
            order = orders.recv() => match order {
                Some(Order::Leave) | None => break,
                Some(Order::Accept(answer)) => worker.accept(&answer, Instant::now()),
                Some(Order::Do(command)) => worker.handle_command(command, Instant::now()),
            },
            Some(result) = done.recv() => worker.handle_done(result, Instant::now()),
            _ = tick.tick() => worker.handle_tick(Instant::now()),
        }
        worker.act(Instant::now());
        if matches!(*lock(&worker.shared.stage), Stage::Over(_) | Stage::Ended(_)) {
            break;
        }
    }
    worker.leave(&mut events).await;
}

/// What the server says of the room.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Since when the server is away.
    pub(super) away_since: Option<Instant>,
    pub(super) is_locked: bool,
    pub(super) is_moderator: bool,
    /// Somebody has to let this side in.
    pub(super) is_waiting: bool,
    pub(super) knocking: Vec<Peer>,
}

struct Worker {
    config: Config,
    shared: Arc<Shared>,
    devices: Arc<Devices>,
    post: Post,
    mesh: Mesh,
    ice_servers: Vec<IceServer>,
    links: BTreeMap<ConnId, Link>,
    events: mpsc::Sender<(ConnId, Option<Event>)>,
    /// The tiles of each member, as the window says.
    wants: BTreeMap<PeerId, Want>,
    told: State,
    room: Room,
    joined_at: Option<Instant>,
    /// Why the server does not have this side any more, while connections stand.
    refused: Option<Problem>,
    figures: view::History,
    talk: Talk,
    keep: Keep,
    loss_told_at: Option<Instant>,
    looked_at: Option<Instant>,
    active: Active<PeerId>,
}

impl Worker {
    fn handle_tick(&mut self, now: Instant) {
        self.mesh.handle_timeout(now);
        self.devices.look_after_cameras(now);
        self.write_letter(now);
        let state = self.devices.told();
        if state != self.told {
            self.told = state;
            self.tell_state();
        }
        for link in self.links.values_mut() {
            link.handle_tick(&self.shared, now);
        }
        self.begin_trust();
        self.end_refused();
        self.watch_recording();
        self.feed_files();
        for text in self.devices.share().look_after().into_iter().chain(self.devices.look_after_camera()) {
            self.shared.notice(Notice::warning(text));
        }
        self.look_at_screens(now);
        self.tell_loss(now);
        self.publish(now);
    }

    fn look_at_screens(&mut self, now: Instant) {
        if self.looked_at.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY) {
            return;
        }
        self.looked_at = Some(now);
        let devices = Arc::clone(&self.devices);
        // Not waited for: the list is a slot.
        tokio::task::spawn_blocking(move || devices.share().look());
    }

    /// The encoder expects the loss of the worst link.
    fn tell_loss(&mut self, now: Instant) {
        if self.loss_told_at.is_some_and(|at| now.saturating_duration_since(at) < LOSS_EVERY) {
            return;
        }
        self.loss_told_at = Some(now);
        if let Some(engine) = self.devices.sound().engine() {
            engine.set_loss(self.links.values().map(Link::loss_out).fold(0.0, f32::max));
        }
    }

    /// The rights and the lock of the room, as the server tells them with the room.
    fn handle_room(&mut self, permissions: &[Permission], lock: Lock) {
        self.room.is_moderator = permissions.contains(&Permission::Moderate);
        self.room.is_locked = lock == Lock::Locked;
        self.room.away_since = None;
        self.room.knocking.clear();
    }

    fn set_stage(&self, stage: Stage) {
        let is_news = {
            let mut before = lock(&self.shared.stage);
            std::mem::replace(&mut *before, stage.clone()) != stage
        };
        if is_news {
            self.shared.wake();
        }
    }

    fn publish(&mut self, now: Instant) {
        let Some(joined_at) = self.joined_at else { return };
        self.figures.handle_tick(&self.links, now);
        self.talk.refresh(&lock(&self.shared.people), now);
        let parts = view::Parts {
            config: &self.config,
            shared: &self.shared,
            mesh: &self.mesh,
            links: &self.links,
            room: &self.room,
            talk: &self.talk,
            lasted: now.saturating_duration_since(joined_at),
        };
        let mut call = view::call(&parts, &self.figures, now);
        for member in &mut call.members {
            member.verification = self.keep.trusts().view(member.id);
        }
        call.recording = self.keep.recording();
        let levels = call.members.iter().map(|member| (member.id, member.level, member.speaks));
        call.active = self.active.handle_levels(levels, now);
        let is_news = {
            let mut before = lock(&self.shared.view);
            let is_news = before.members.len() != call.members.len() || before.chat.len() != call.chat.len();
            *before = Arc::new(call);
            is_news
        };
        if is_news {
            self.shared.wake();
        }
    }

    fn handle_command(&mut self, command: Command, now: Instant) {
        if !self.devices.execute(&command) {
            self.execute(command, now);
        }
    }
}

const EVENTS_MAX: usize = 256;
/// Windows come and go.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const LOSS_EVERY: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);
