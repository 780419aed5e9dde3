//! A stay in a robot's room: signalling, connection, pictures, commands, figures.
//!
//! ```text
//!  signaling::Client events --> worker task (Plan, Dialogue, ClockSync) <-- Orders: window, command line, hands
//!                                   |  builds Connections, fills Status
//!  Connection frames --> decode thread --> render::slot::Slot --> window or y4m writer
//!  lobby::Lookout (connect screen) <-- signaling::lobby::Lobby
//!  gamepad, keyboard, script --> input thread (Grip, StickShaper, CommandSender) --> Connection `control`
//! ```

pub mod desk;
pub mod dialogue;
pub mod figures;
pub mod grip;
pub mod hands;
pub mod journey;
pub mod lobby;
pub mod pair;
pub mod plan;
pub mod problem;
pub mod record;
mod runtime;
pub mod scan;
pub mod second_path;
pub mod sound;
mod status;
mod tell;
pub mod video;
mod why;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_peer::signaling;
use farwheel_peer::{Bind, CandidatePolicy};
use farwheel_proto::clock::ClockSync;
use farwheel_proto::sound::Key;
use tokio::sync::mpsc;

use crate::model::settings::Paths;
use crate::render::slot::Slot;
use figures::Figures;
use hands::{Hands, lock};
pub use runtime::Runtime;
pub(crate) use runtime::unix_seconds;
use sound::Hearing;
pub use status::{Stage, Status};
use video::{Shown, Strip};

/// Where to go, as whom, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Server, room, role, name and token.
    pub signaling: signaling::Config,
    /// Proves the owner of the robot.
    pub owner_code: Option<String>,
    /// Local addresses of the connection.
    pub bind: Bind,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// When a picture counts as shown.
    pub shown: Shown,
    /// Whether to look for the strip.
    pub strip: Strip,
    /// The first so much of the stay is left out of percentiles.
    pub left_out: Duration,
    /// Where the received video is recorded, if it is.
    pub recorder: Option<record::Recorder>,
    /// Whether commands travel on two paths at once.
    pub control_paths: Paths,
    /// What the car is heard by, and talked to.
    pub sound: sound::Devices,
}

/// What a stay can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask for the lease.
    TakeLease,
    /// Give it back.
    ReleaseLease,
    /// Show another camera.
    SelectCamera(u8),
    /// Let video use no more than this, in kbit/s.
    LimitVideo(Option<u32>),
    /// Send commands on two paths, or not.
    ControlPaths(Paths),
    /// Let the car be heard, or not.
    Hear(Hearing),
    /// The talk key went down or up.
    Talk(Key),
    /// Emergency stop, beside the flag in the commands.
    EmergencyStop,
    /// End the emergency stop.
    ResetStop,
    /// Disarm, beside the flag in the commands.
    Disarm,
    /// Say goodbye and end.
    Leave,
}

/// A stay in a room. Dropping it leaves: disarms, gives the lease back and says goodbye, within 300 ms.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    hands: Option<Arc<hands::Shared>>,
    runtime: Runtime,
    worker: Option<tokio::task::JoinHandle<()>>,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// What the worker, the decode thread and the owner share.
pub(crate) struct Shared {
    status: Mutex<Status>,
    figures: Arc<Mutex<Figures>>,
    clock: Arc<Mutex<ClockSync>>,
    wake: Mutex<Option<Wake>>,
    sent: Arc<hands::Sent>,
    // Full: the picture before is not compared; one a second is enough.
    measuring: farwheel_media::slot::Slot<farwheel_media::VideoFrame>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Session {
    /// As [`Session::start_on`], on threads of its own.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(config: Config, slot: Slot, hands: Option<&Hands>) -> std::io::Result<Self> {
        Self::start_on(Runtime::start()?, config, slot, hands)
    }

    /// Starts to connect; everything else shows in [`Session::status`] and in `slot`.
    ///
    /// `hands` drive if the role is driver; without them the robot is only watched.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start_on(
        runtime: Runtime,
        config: Config,
        slot: Slot,
        hands: Option<&Hands>,
    ) -> std::io::Result<Self> {
        let now = Instant::now();
        let shared = Arc::new(Shared {
            status: Mutex::new(Status::new(now)),
            figures: Arc::new(Mutex::new(Figures::new(now, config.left_out))),
            clock: Arc::new(Mutex::new(ClockSync::new(now))),
            wake: Mutex::new(None),
            sent: Arc::default(),
            measuring: farwheel_media::slot::Slot::new(),
        });
        if config.strip == Strip::Read {
            let robot = Arc::clone(&shared);
            let camera = move || lock(&robot.status).camera_size();
            video::measure(shared.measuring.clone(), Arc::clone(&shared.figures), camera)?;
        }
        // Full: 64 orders wait; further ones are refused and the user pushes the button again.
        let (orders, orders_rx) = mpsc::channel(64);
        let hands = hands.map(|hands| Arc::clone(hands.shared()));
        let worker = match config.signaling.check() {
            Ok(()) => Some(runtime.spawn(worker::run(
                config,
                Arc::clone(&shared),
                slot,
                hands.clone(),
                orders.clone(),
                orders_rx,
            ))),
            Err(error) => {
                lock(&shared.status).set_stage(Stage::Ended(problem::unusable(&error)), now);
                None
            }
        };
        Ok(Self { shared, orders, hands, runtime, worker })
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        lock(&self.shared.status).clone()
    }

    /// Takes the notices that came since the last time.
    pub fn take_notices(&self) -> Vec<crate::model::Notice> {
        lock(&self.shared.status).notices.drain(..).collect()
    }

    /// Asks for something.
    pub fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!(?order, "order refused: 64 wait already");
        }
    }

    /// The account of pictures and delays.
    pub fn figures(&self) -> std::sync::MutexGuard<'_, Figures> {
        lock(&self.shared.figures)
    }

    /// Commands handed to the main connection and to the one beside it.
    pub fn commands_sent(&self) -> [u64; 2] {
        self.shared.sent.get()
    }

    /// Sets what is called when the status changes.
    pub fn on_change(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        *lock(&self.shared.wake) = Some(wake);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(hands) = &self.hands {
            hands.sender().disarm();
        }
        self.shared.measuring.close();
        // Full or closed: the worker's end below closes everything too.
        self.orders.try_send(Order::Leave).ok();
        if let Some(mut worker) = self.worker.take() {
            self.runtime.block_on(async {
                // A worker that hangs is ended; the robot's failsafe does the rest.
                if tokio::time::timeout(LEAVE_MAX, &mut worker).await.is_err() {
                    worker.abort();
                }
            });
        }
        if let Some(hands) = &self.hands {
            hands.set_link(None);
        }
    }
}

/// Time to disarm, give the lease back and say goodbye.
const LEAVE_MAX: Duration = Duration::from_millis(250);
