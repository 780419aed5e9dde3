//! `farwheel-robot run`: starts every thread, and ends them in order: the car first.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use farwheel_media::capture::Spec;
use farwheel_media::encode::Target;
use farwheel_media::slot::Slot;
use farwheel_proto::control::Event;
use farwheel_proto::control::helm::{self, Recipient};
use farwheel_proto::control::{failsafe, lease};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tracing::{info, warn};

use crate::actuator::watch::{self, Owner};
use crate::actuator::{Board as ActuatorBoard, Link, Watcher};
use crate::camera::Cameras;
use crate::camera::world::{World, WorldThread};
use crate::clock::CarClock;
use crate::config::{Config, Secret};
use crate::control::{self, Inbox, Stopped};
use crate::drive::Output;
use crate::net::{Ended, Room, Settings, Shared};
use crate::rundir::RunDir;
use crate::sound::Sound;
use crate::telemetry::{TelemetryThread, sender};
use crate::thread::{self, Urgency};
use crate::video::{EncodeThread, Fanout, Stages, encode};

/// Runs until SIGTERM or SIGINT, or until the signalling server refuses the robot for good.
///
/// # Errors
/// When something it cannot do without is missing, or the car could not be brought to neutral at the end.
pub fn run(config: &Config, clock: CarClock) -> Result<()> {
    let dir = RunDir::create()?;
    let car = Car::start(config, clock, &dir)?;
    let fanout = Arc::new(Fanout::default());
    let (stages, video) = (Arc::new(Stages::default()), Arc::new(encode::Board::default()));
    let cameras = Cameras::start(config.camera.clone(), car.world.clone(), Arc::clone(&fanout));
    let target = Target { bitrate: config.bitrate, size: config.camera.size, fps: config.camera.fps };
    let encoding = EncodeThread::start(encode::Parts {
        cameras,
        choice: car.camera.clone(),
        target,
        fanout: Arc::clone(&fanout),
        board: Arc::clone(&video),
        stages: Arc::clone(&stages),
        clock,
        inbox: Arc::clone(&car.inbox),
    })?;
    let telemetry = TelemetryThread::start(sender::Parts {
        fanout: Arc::clone(&fanout),
        control: Arc::clone(&car.board),
        video: Arc::clone(&video),
        stages,
        world: car.world.clone(),
        clock,
        inbox: Arc::clone(&car.inbox),
        target,
        disk: dir.path().to_owned(),
    })?;
    let sound = Sound::start(&config.sound, clock, Arc::clone(&fanout), Arc::clone(&car.inbox))?;
    let shared = Shared {
        inbox: Arc::clone(&car.inbox),
        fanout,
        video,
        clock,
        boot: car.boot,
        sound: sound.map(Arc::new),
        ready: Notify::new(),
    };

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .thread_name("net")
        .on_thread_start(|| thread::become_urgent(Urgency::Network))
        .enable_all()
        .build()
        .context("start the network threads")?;
    let ended = runtime.block_on(serve(Settings::new(config), Arc::new(shared), car));
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    drop(telemetry);
    drop(encoding);
    drop(dir);
    ended
}

/// What moves the car; everything else may fail without it.
struct Car {
    boot: u32,
    inbox: Arc<Inbox>,
    board: Arc<control::Board>,
    camera: Slot<u8>,
    world: Option<Arc<World>>,
    world_thread: Option<WorldThread>,
    events: mpsc::Receiver<(Recipient, Event)>,
    control: JoinHandle<Stopped>,
    watcher: Watcher,
}

impl Car {
    fn start(config: &Config, clock: CarClock, dir: &RunDir) -> Result<Self> {
        let boot = rand::random();
        let registers = match &config.drive.output {
            Output::Sim(Some(file)) => std::path::absolute(file).context("find the register file")?,
            Output::Sim(None) => dir.file("registers"),
        };
        let socket =
            UnixDatagram::bind(dir.file(watch::REPLY_SOCKET)).context("bind the actuator's reply socket")?;
        socket.set_nonblocking(true).context("make the actuator's reply socket non-blocking")?;
        let actuator_socket = config.drive.actuator_socket.clone();
        let owner = if actuator_socket.is_some() { Owner::Other } else { Owner::Us(own_program()) };
        let actuator_socket = actuator_socket.unwrap_or_else(|| dir.file(watch::SOCKET));
        let actuator = Arc::new(ActuatorBoard::default());
        let link = Link::new(&socket, actuator_socket.clone(), boot)?;
        let watching = watch::Config {
            owner,
            socket: actuator_socket,
            output: Output::Sim(Some(registers.clone())),
            pulse_log: config.drive.pulse_log.clone(),
        };
        let watcher = Watcher::start(watching, socket, Arc::clone(&actuator))?;

        let world = match config.camera.sources.contains(&Spec::Sim) {
            true => Some(Arc::new(World::new(&registers, config.seed)?)),
            false => None,
        };
        let world_thread = world.clone().map(WorldThread::start).transpose()?;
        let (events, events_out) = mpsc::channel(EVENTS_MAX);
        let (inbox, board) = (Arc::new(Inbox::default()), Arc::new(control::Board::default()));
        let camera = Slot::new();
        let control = control::start(control::Parts {
            config: helm_config(config, world.is_some()),
            boot,
            epoch: clock.epoch(),
            inbox: Arc::clone(&inbox),
            link,
            actuator,
            battery: world.as_ref().map_or_else(Slot::new, |world| world.battery().clone()),
            board: Arc::clone(&board),
            events,
            camera: camera.clone(),
        })?;
        Ok(Self { boot, inbox, board, camera, world, world_thread, events: events_out, control, watcher })
    }

    /// Brings the car to neutral, then ends what moves it. Blocks.
    fn stop(self) -> Result<()> {
        self.inbox.end();
        match self.control.join().expect("a panic ends the process") {
            Stopped::Confirmed => info!("car is stopped: the actuator confirms neutral"),
            Stopped::Unconfirmed => warn!("the actuator does not confirm neutral; it is replaced"),
        }
        let stopped = self.watcher.stop();
        drop(self.world_thread);
        stopped
    }
}

async fn serve(settings: Settings, shared: Arc<Shared>, mut car: Car) -> Result<()> {
    let mut signals = Signals::catch()?;
    let (mut room, mut signaling, mut noted) = Room::join(settings, Arc::clone(&shared));
    let ended = tokio::select! {
        name = signals.next() => {
            info!(signal = name, "ending");
            None
        }
        ended = room.serve(&mut signaling, &mut noted, &mut car.events) => Some(ended),
        never = announce(&shared) => match never {},
        never = follow_loss(shared.sound.clone()) => match never {},
    };
    let stopped = tokio::task::spawn_blocking(move || car.stop()).await.expect("a panic ends the process");
    room.close(signaling, noted).await;
    stopped?;
    match ended {
        None => Ok(()),
        Some(Ended::Refused(refusal)) => bail!("signalling server does not let this robot in: {refusal}"),
    }
}

/// Says on standard output that the robot is in its room; scripts wait for this line.
async fn announce(shared: &Shared) -> std::convert::Infallible {
    shared.ready.notified().await;
    // Nobody may be reading; that is no reason to stop a robot.
    writeln!(std::io::stdout(), "ready").and_then(|()| std::io::stdout().flush()).ok();
    std::future::pending().await
}

async fn follow_loss(sound: Option<Arc<Sound>>) -> std::convert::Infallible {
    match sound {
        Some(sound) => sound.follow_loss().await,
        None => std::future::pending().await,
    }
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn catch() -> Result<Self> {
        let catch = |kind| signal(kind).context("catch signals");
        Ok(Self { term: catch(SignalKind::terminate())?, int: catch(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

fn helm_config(config: &Config, simulated: bool) -> helm::Config {
    helm::Config {
        failsafe: failsafe::Config {
            limits: config.limits,
            sight: config.sight,
            brake_pulse: config.brake_pulse,
            cells: simulated.then_some(sender::SIM_CELLS),
        },
        lease: lease::Config { lasts: LEASE_LASTS },
        owner_code: config.owner_code.as_ref().map(Secret::reveal).map(str::to_owned),
        name: config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The running program itself, even if its file was replaced by a newer one meanwhile.
fn own_program() -> PathBuf {
    "/proc/self/exe".into()
}

/// Two, so that a connection's work never waits for another's.
const NETWORK_THREADS: usize = 2;
/// After the connections are closed nothing is left to wait for but the system's resolver.
const SHUTDOWN_MAX: Duration = Duration::from_millis(200);
/// Events on their way to peers. Full: dropped, as `Helm` would do with its own.
const EVENTS_MAX: usize = 256;
/// A driver who is silent for this long has gone; by then the car is disarmed (1.5 s).
const LEASE_LASTS: Duration = Duration::from_secs(3);
