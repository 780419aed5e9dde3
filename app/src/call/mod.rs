//! A call: everybody connected to everybody, each source encoded once.
//!
//! ```text
//!  signaling::Client events --> worker task (Mesh, people, chat, files) <-- Orders: window, command line
//!                                   |  builds Connections, fills the view
//!  camera, screen --> outgoing thread (Layers, at most 3 encoders) --> each Connection that shows it
//!  Connection frames --> decode thread --> render::slot::Slot --> window
//!  microphone --> audio::Engine --> each Connection;   Connection sound --> audio::Engine --> speaker
//! ```
//!
//! [`Devices`] outlive a [`Session`]: the screen before the call shows what they give.

pub mod bundle;
pub mod desk;
mod devices;
pub mod dial;
pub mod export;
pub mod files;
mod hearing;
pub mod identity;
mod keys;
pub mod line;
mod outgoing;
mod people;
pub mod pins;
pub mod record;
pub mod report;
mod rings;
mod share;
mod sound;
pub mod trust;
mod view;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_peer::signaling::{self, PeerId};
use farwheel_peer::{Bind, CandidatePolicy, IceServer};
use farwheel_proto::call::Tile;
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::call::letter;
use tokio::sync::mpsc;

pub(crate) use devices::Eye;
pub use devices::{Choices, Devices};

use crate::model::Notice;
use crate::model::call::{Call, Command, Source};
use crate::model::connect::Problem;
use crate::render::slot::Slot;
pub(crate) use crate::session::hands::lock;
use crate::session::video::{Shown, Strip};
use crate::session::{Runtime, problem};

/// Where to call, as whom, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the others are found.
    pub way: Way,
    /// Local addresses of the connections.
    pub bind: Bind,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// When a picture counts as shown.
    pub shown: Shown,
    /// Whether to look for the strip.
    pub strip: Strip,
    /// The first so much of each picture is left out of percentiles.
    pub left_out: Duration,
    /// How large the others' pictures are shown.
    pub tiles: Tiles,
    /// How much data may be spent.
    pub thrift: Thrift,
    /// How files are handled.
    pub files: files::Config,
    /// Where this device's identity and those met are kept; none: an identity for this call alone.
    pub home: Option<PathBuf>,
    /// Where recordings go; none: the user's folder for videos.
    pub recordings: Option<PathBuf>,
}

/// How the others are found.
#[derive(Clone, Debug)]
pub enum Way {
    /// In a room: server, room, name and token.
    Room(signaling::Config),
    /// By two letters that people carry: the two of them, and no server.
    Letters(Letters),
}

/// A call of two by letters.
#[derive(Clone, Debug)]
pub struct Letters {
    /// Name that the other one sees.
    pub name: String,
    /// STUN and TURN servers, which those in different networks need.
    pub ice_servers: Vec<IceServer>,
    /// Which of the two this is.
    pub side: Side,
}

/// Which of the two this is.
#[derive(Clone, Debug)]
pub enum Side {
    /// The one that writes first.
    Offer,
    /// The one that answers this offer.
    Answer(letter::Letter),
}

impl Config {
    /// Name that the others see.
    pub fn name(&self) -> &str {
        match &self.way {
            Way::Room(signaling) => &signaling.name,
            Way::Letters(letters) => &letters.name,
        }
    }

    /// The room, if there is one.
    pub(crate) fn room(&self) -> Option<&signaling::Config> {
        match &self.way {
            Way::Room(signaling) => Some(signaling),
            Way::Letters(_) => None,
        }
    }

    /// What the call is called.
    pub(crate) fn title(&self) -> &str {
        self.room().map_or("Call by letters", |signaling| signaling.place.name().as_str())
    }
}

/// How large the others' pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiles {
    /// As the window says: nothing before it does.
    Told,
    /// Every camera and every screen so large, without a window.
    Fixed {
        /// Of a camera.
        camera: Tile,
        /// Of a screen.
        screen: Tile,
    },
}

/// How a call stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stage {
    /// Reaching the server, joining the room.
    #[default]
    Joining,
    /// The server is not reached, and sought again.
    Unreachable(Problem),
    /// The room is locked: somebody has to let this side in.
    Waiting,
    /// A letter lies ready to be carried to the other one.
    Letter {
        /// What it is. After an offer its answer is wanted: [`Session::accept`].
        kind: letter::Kind,
        /// The letter; for a browser's offer what its console takes.
        letter: String,
        /// What is wrong with what was given for the answer.
        problem: Option<String>,
    },
    /// In the room, or with the other one.
    In,
    /// Over as it should be: there were two, and the other one has left; in words.
    Over(String),
    /// Over, for this reason.
    Ended(Problem),
}

/// A stay in a call. Dropping it leaves.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    runtime: Runtime,
    worker: Option<tokio::task::JoinHandle<()>>,
}

/// What the worker is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// What the window or the command line asks for.
    Do(Command),
    /// Take this answer to the own offer.
    Accept(String),
    /// Say goodbye and end.
    Leave,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// What the worker, the decode threads and the owner share; each lock guards a slot.
pub(crate) struct Shared {
    stage: Mutex<Stage>,
    view: Mutex<Arc<Call>>,
    slots: Mutex<BTreeMap<Source, Slot>>,
    // Full: 64 notices wait; the oldest goes. The window takes them at each paint.
    notices: Mutex<Vec<Notice>>,
    people: Mutex<people::People>,
    wake: Mutex<Option<Wake>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Session {
    /// Starts to join; everything else shows in [`Session::stage`], [`Session::view`] and [`Session::picture`].
    pub fn start(runtime: Runtime, config: Config, devices: Arc<Devices>) -> Self {
        let shared = Arc::new(Shared {
            stage: Mutex::default(),
            view: Mutex::default(),
            slots: Mutex::default(),
            notices: Mutex::default(),
            people: Mutex::default(),
            wake: Mutex::default(),
        });
        // Full: 64 orders wait; further ones are refused and the user pushes the button again.
        let (orders, orders_rx) = mpsc::channel(64);
        let worker = match config.room().map_or(Ok(()), signaling::Config::check) {
            Ok(()) => Some(runtime.spawn(worker::run(config, Arc::clone(&shared), devices, orders_rx))),
            Err(error) => {
                *lock(&shared.stage) = Stage::Ended(problem::unusable(&error));
                None
            }
        };
        Self { shared, orders, runtime, worker }
    }

    /// How it stands.
    pub fn stage(&self) -> Stage {
        lock(&self.shared.stage).clone()
    }

    /// What the call screen shows; this side's devices are filled in by [`Devices::fill`].
    pub fn view(&self) -> Arc<Call> {
        Arc::clone(&lock(&self.shared.view))
    }

    /// Where the pictures of a member arrive; none before it sends any.
    pub fn picture(&self, source: Source) -> Option<Slot> {
        lock(&self.shared.slots).get(&source).cloned()
    }

    /// Takes the notices that came since the last time.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *lock(&self.shared.notices))
    }

    /// Asks for something.
    pub fn execute(&self, command: Command) {
        self.order(Order::Do(command));
    }

    /// Takes the answer to the own offer; what is wrong with it shows in [`Session::stage`].
    pub fn accept(&self, answer: String) {
        self.order(Order::Accept(answer));
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("order refused: 64 wait already");
        }
    }

    /// Notes which pictures the window has drawn since the last time.
    pub fn note_drawn(&self) {
        let slots = lock(&self.shared.slots).clone();
        lock(&self.shared.people).note_drawn(&slots);
    }

    /// Sets what is called when something changes or a picture comes.
    pub fn on_change(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        for slot in lock(&self.shared.slots).values() {
            let wake = Arc::clone(&wake);
            slot.on_put(move || wake());
        }
        *lock(&self.shared.wake) = Some(wake);
    }
}

impl Shared {
    /// The slot of a source, made when it is first asked for.
    fn slot(&self, source: Source) -> Slot {
        let wake = lock(&self.wake).clone();
        let mut slots = lock(&self.slots);
        let slot = slots.entry(source).or_insert_with(|| {
            let slot = Slot::new();
            if let Some(wake) = wake {
                slot.on_put(move || wake());
            }
            slot
        });
        slot.clone()
    }

    fn forget_slots(&self, member: PeerId) {
        let mut slots = lock(&self.slots);
        slots.remove(&Source::Camera(member));
        slots.remove(&Source::Screen(member));
    }

    fn notice(&self, notice: Notice) {
        let mut notices = lock(&self.notices);
        if notices.len() == NOTICES_MAX {
            notices.remove(0);
        }
        notices.push(notice);
    }

    fn wake(&self) {
        let wake = lock(&self.wake).clone();
        if let Some(wake) = wake {
            wake();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Full or closed: the worker's end below closes everything too.
        self.orders.try_send(Order::Leave).ok();
        if let Some(mut worker) = self.worker.take() {
            self.runtime.block_on(async {
                // A worker that hangs is ended; the others notice by the silence.
                if tokio::time::timeout(LEAVE_MAX, &mut worker).await.is_err() {
                    worker.abort();
                }
            });
        }
    }
}

const NOTICES_MAX: usize = 64;
/// Time to say goodbye to all.
const LEAVE_MAX: Duration = Duration::from_millis(600);

/// Zero of the clock that stamps everything this process sends in calls.
pub(crate) fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
