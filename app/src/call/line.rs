//! The own line: waits at a server to be rung, and rings here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_media::audio::{self, Engine, Spec, Tone};
use farwheel_peer::signaling::{self, Client, Place, Role, RoomName};
use farwheel_proto::call::ring::{Address, Attention, Command, How, Line, Ring};
use farwheel_proto::call::verify::identity::Identity;
use tokio::sync::mpsc;

use super::{Wake, epoch, identity, lock, pins};
use crate::model::call::Trust;
use crate::model::connect::{Field, Problem};
use crate::model::invitation;
use crate::model::ring::{Answer, Standing, Why};
use crate::session::{Runtime, problem};

/// Where to wait, and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the server.
    pub server: String,
    /// The name that others see.
    pub name: String,
    /// Token for the server.
    pub token: Option<String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Where this device's identity and those met are kept.
    pub home: PathBuf,
}

/// What is heard when somebody rings.
#[derive(Clone, Debug, PartialEq)]
pub struct Bell {
    /// On this speaker.
    pub speaker: Spec,
    /// So loud, [0, 1].
    pub volume: f32,
}

/// How the line is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Whether it can be rung.
    pub standing: Standing,
    /// Who rings: the name, what is known of it, and since when.
    pub incoming: Option<(String, Trust, Instant)>,
}

/// What became of a ring.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It was taken: both go to this room of the same server.
    Accepted(RoomName),
    /// It was not answered.
    Missed {
        /// Who rang.
        name: String,
        /// What is known of it.
        trust: Trust,
        /// Its own line.
        line: Address,
        /// Why.
        why: Why,
        /// When it ended.
        at: Instant,
    },
}

/// A line that is open; dropping it closes it.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    runtime: Runtime,
    address: Option<Address>,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    status: Mutex<Status>,
    // Full: 32 wait; the oldest goes. The owner takes them each time it is woken.
    events: Mutex<Vec<Event>>,
    // A slot: what is set when somebody rings counts.
    bell: Mutex<Option<Bell>>,
    wake: Mutex<Option<Wake>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Answer(Answer),
    Attention(Attention),
    Leave,
}

impl Listener {
    /// Goes to the server and waits there; what is wrong shows in the status.
    pub fn start(runtime: Runtime, config: Config) -> Self {
        let shared = Arc::<Shared>::default();
        // Full: 16 orders wait; a further one is refused and the user pushes the button again.
        let (orders, orders_rx) = mpsc::channel(16);
        let mut listener = Self { shared, orders, runtime, address: None, task: None };
        let identity = match identity::load_or_create(&config.home) {
            Ok(identity) => identity,
            Err(error) => {
                listener.fail(unknown(&error));
                return listener;
            }
        };
        let address = Address::of(&identity.key());
        listener.address = Some(address);
        let signaling = signaling::Config {
            server: config.server,
            place: Place::room(address.room(), Role::Caller),
            name: config.name,
            token: config.token,
            ca: config.ca,
        };
        if let Err(error) = signaling.check() {
            listener.fail(problem::unusable(&error));
            return listener;
        }
        let store = pins::Store::in_folder(&config.home);
        let run = run(signaling, identity, store, Arc::clone(&listener.shared), orders_rx);
        listener.task = Some(listener.runtime.spawn(run));
        listener
    }

    fn fail(&self, problem: Problem) {
        lock(&self.shared.status).standing = Standing::Failed(problem);
    }

    /// Its address; none where this device has no identity.
    pub fn address(&self) -> Option<Address> {
        self.address
    }

    /// How it is.
    pub fn status(&self) -> Status {
        lock(&self.shared.status).clone()
    }

    /// Takes what happened since the last time.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *lock(&self.shared.events))
    }

    /// Answers who rings.
    pub fn answer(&self, answer: Answer) {
        self.order(Order::Answer(answer));
    }

    /// Whether whoever rings is told that the user is occupied.
    pub fn set_attention(&self, attention: Attention) {
        self.order(Order::Attention(attention));
    }

    /// What is heard from the next ring on; none: nothing.
    pub fn set_bell(&self, bell: Option<Bell>) {
        *lock(&self.shared.bell) = bell;
    }

    /// Sets what is called when something changes.
    pub fn on_change(&self, wake: Wake) {
        *lock(&self.shared.wake) = Some(wake);
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("order to the line refused: it has ended, or 16 wait already");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Full or closed: the end of the task below closes everything too.
        self.orders.try_send(Order::Leave).ok();
        if let Some(mut task) = self.task.take() {
            self.runtime.block_on(async {
                if tokio::time::timeout(LEAVE_MAX, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
    }
}

struct Task {
    line: Line,
    client: Client,
    server: String,
    store: pins::Store,
    shared: Arc<Shared>,
    sounds: Option<Engine>,
}

async fn run(
    signaling: signaling::Config,
    identity: Identity,
    store: pins::Store,
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<Order>,
) {
    let server = signaling.server.clone();
    let (client, mut signals) = Client::connect(signaling);
    let mut task = Task { line: Line::new(identity), client, server, store, shared, sounds: None };
    let mut is_signaling = true;
    loop {
        let due = task.line.poll_timeout();
        tokio::select! {
            event = signals.recv(), if is_signaling => match event {
                Some(event) => task.handle_signaling(event, Instant::now()),
                None => is_signaling = false,
            },
            order = orders.recv() => match order {
                Some(Order::Answer(Answer::Accept)) => {
                    let room = invitation::room_name(rand::random());
                    task.line.accept(room.parse().expect("names of new rooms are names of rooms"));
                }
                Some(Order::Answer(Answer::Decline)) => task.line.decline(),
                Some(Order::Attention(attention)) => task.line.set_attention(attention),
                Some(Order::Leave) | None => break,
            },
            () = sleep_until(due) => task.line.handle_timeout(Instant::now()),
        }
        task.act(Instant::now());
    }
    task.hush();
    task.client.leave();
    while signals.recv().await.is_some() {}
}

impl Task {
    fn handle_signaling(&mut self, event: signaling::Event, now: Instant) {
        use signaling::Event;
        match event {
            Event::Joined { peers, .. } => {
                let callers = peers.iter().filter(|peer| peer.role == Role::Caller).map(|peer| peer.id);
                self.line.handle_joined(callers, rand::random);
                self.stand(Standing::Open);
            }
            Event::Resumed => self.stand(Standing::Open),
            Event::PeerJoined(peer) if peer.role == Role::Caller => {
                self.line.handle_peer_joined(peer.id, rand::random());
            }
            Event::PeerLeft { id, .. } => self.line.handle_peer_left(id),
            Event::Data { from, data } => match serde_json::from_value(data) {
                Ok(message) => self.line.handle_message(from, message, now),
                Err(error) => tracing::debug!(%error, "data not understood"),
            },
            Event::Lost { reason, .. } => {
                self.stand(Standing::Failed(problem::unreachable(&self.server, &reason)));
            }
            Event::Fatal(refusal) => {
                let room = self.line.address().to_string();
                self.stand(Standing::Failed(problem::refused(&refusal, &room)));
            }
            Event::Denied | Event::Waiting => {
                let room = self.line.address().to_string();
                self.stand(Standing::Failed(problem::denied(&room)));
            }
            Event::Refused(refusal) => {
                tracing::warn!(code = %refusal.code, "server refused the line something")
            }
            // No part of a line.
            Event::PeerJoined(_)
            | Event::PeerChanged(_)
            | Event::Knock(_)
            | Event::Locked(_)
            | Event::MuteRequest { .. }
            | Event::Signal { .. }
            | Event::IceServers(_)
            | Event::PairFound { .. }
            | Event::Busy => {}
        }
    }

    fn act(&mut self, now: Instant) {
        while let Some(command) = self.line.poll_command() {
            match command {
                Command::Send { to, message } => {
                    let data = serde_json::to_value(&message).expect("a message has string keys only");
                    if let Err(error) = self.client.send_data(Some(to), data) {
                        // The other side gives up after its time, as if nobody were there.
                        tracing::warn!(%error, "nothing is answered");
                    }
                }
                Command::Rings(ring) => self.ring(&ring, now),
                Command::Over(ring, how) => self.end(&ring, how, now),
            }
        }
    }

    fn ring(&mut self, ring: &Ring, now: Instant) {
        let trust = self.trust(ring);
        lock(&self.shared.status).incoming = Some((ring.name.clone(), trust, now));
        if let Some(bell) = lock(&self.shared.bell).clone() {
            self.sounds = sound(bell);
        }
        self.wake();
    }

    fn end(&mut self, ring: &Ring, how: How, now: Instant) {
        let event = match how {
            How::Accepted(room) => Some(Event::Accepted(room)),
            How::Declined => None,
            How::Missed => Some(self.missed(ring, Why::Unanswered, now)),
            How::Busy => Some(self.missed(ring, Why::Busy, now)),
        };
        if self.line.rings().is_none() {
            lock(&self.shared.status).incoming = None;
            self.hush();
        }
        if let Some(event) = event {
            let mut events = lock(&self.shared.events);
            if events.len() == EVENTS_MAX {
                events.remove(0);
            }
            events.push(event);
        }
        self.wake();
    }

    fn missed(&self, ring: &Ring, why: Why, at: Instant) -> Event {
        let (name, line) = (ring.name.clone(), Address::of(&ring.key));
        Event::Missed { name, trust: self.trust(ring), line, why, at }
    }

    fn trust(&self, ring: &Ring) -> Trust {
        self.store.trust(ring.key, &ring.name).unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "it is not known who was met before");
            Trust::New
        })
    }

    fn hush(&mut self) {
        if let Some(engine) = self.sounds.take() {
            // It waits for its threads.
            tokio::task::spawn_blocking(move || drop(engine));
        }
    }

    fn stand(&self, standing: Standing) {
        lock(&self.shared.status).standing = standing;
        self.wake();
    }

    fn wake(&self) {
        let wake = lock(&self.shared.wake).clone();
        if let Some(wake) = wake {
            wake();
        }
    }
}

/// Sound of its own: there may be no call that has any.
fn sound(bell: Bell) -> Option<Engine> {
    let config = audio::Config {
        epoch: epoch(),
        microphone: Spec::None,
        speaker: bell.speaker,
        cleaning: audio::Cleaning { echo: false, noise: false, gain: false },
        thrift: audio::Thrift::default(),
    };
    match Engine::start(config, |_| {}) {
        Ok(engine) => {
            engine.set_tone(Some(Tone::Ring(bell.volume)));
            Some(engine)
        }
        Err(error) => {
            tracing::warn!(%error, "it rings without a sound");
            None
        }
    }
}

pub(super) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Where others ring: nobody can be known by an identity that is not there.
pub(super) fn unknown(error: &anyhow::Error) -> Problem {
    Problem {
        what: format!("This device cannot be recognised by others: {error:#}."),
        remedy: "Others ring this device by its identity. Make its file readable, or move it away.".into(),
        code: Some("no_identity".into()),
        field: Field::Form,
    }
}

const EVENTS_MAX: usize = 32;
/// Time to say goodbye to the server.
const LEAVE_MAX: Duration = Duration::from_millis(400);
