//! A driver without a window: the app's own cores over a real connection.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::signaling::{self, Client, Role};
use farwheel_peer::{
    Admission, Bind, Channel, Config, ConnId, Connection, Event, LinkState, Manners, Media, SignalKind, Track,
};
use farwheel_proto::control::event::{self, Body, Stamp};
use farwheel_proto::control::link_report::LinkReport;
use farwheel_proto::control::place::{Outline, Place};
use farwheel_proto::control::sender;
use farwheel_proto::control::telemetry::{Fast, Slow};
use farwheel_proto::control::{
    Axis, CommandSender, Flags, Intent, PathCounts, ReceiverReport, Status, Telemetry,
};
use farwheel_proto::sound;
use farwheel_proto::video::EncodedFrame;
use farwheel_robot::clock::monotonic_ns;
use tokio::sync::mpsc;

use crate::harness::PATIENCE;

/// What the driver knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Connections that were opened so far.
    pub(crate) links: u32,
    pub(crate) connected: bool,
    /// Epoch of the lease, zero without one.
    pub(crate) lease: u32,
    /// Who drives, if the lease was denied.
    pub(crate) denied: Option<String>,
    pub(crate) fast: Option<Fast>,
    pub(crate) slow: Option<Slow>,
    /// Newest link report.
    pub(crate) report: Option<LinkReport>,
    pub(crate) frames: u64,
    /// Packets of sound that came.
    pub(crate) sounds: u64,
    /// When commands whose controls differ from the one before left, on the machine's clock.
    pub(crate) changes_ns: Vec<u64>,
    pub(crate) events: Vec<Body>,
    /// Id of the connection.
    pub(crate) conn: Option<ConnId>,
    pub(crate) beside: Beside,
}

/// What the driver knows of its second connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) conn: Option<ConnId>,
    pub(crate) connected: bool,
    pub(crate) ended: u32,
    /// Telemetry that came by it.
    pub(crate) heard: u64,
    /// By which way commands came first, as the robot tells it.
    pub(crate) counts: Option<PathCounts>,
}

/// What a test tells its driver to do.
pub(crate) enum Order {
    /// Hold the sticks so, dead man's control held.
    Stick { throttle: f32, steer: f32 },
    /// Ask for something on the event channel.
    Ask(Body),
    /// Arm by the flag.
    Arm,
    /// Send this lease's epoch from here on, granted or not.
    Pretend(u32),
    /// Send these bytes on the event channel.
    Raw(&'static [u8]),
    /// Connect a second time, beside this connection, or beside the own one.
    ConnectBeside(Option<ConnId>),
    /// Announce second connections from here on, and the one offered last; or do not.
    Announce(bool),
    /// Send commands by these ways from here on.
    Send { main: bool, beside: bool },
    /// Close the connection.
    Close,
    /// Close the second one.
    CloseBeside,
    /// Tell what became of the pictures.
    Report(ReceiverReport),
    /// Say that pictures are lost for good.
    TellLoss,
    /// Say back what is heard from here on.
    Speak,
}

/// A driver on a thread of its own; gone when dropped.
pub(crate) struct Driver {
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    view: Mutex<View>,
    changed: Condvar,
    pictures: Mutex<Option<std::sync::mpsc::Sender<EncodedFrame>>>,
}

impl Driver {
    pub(crate) fn start(url: &str, name: &str) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let task = Task::new(Arc::clone(&shared));
        let config = signaling::Config {
            server: url.to_owned(),
            place: signaling::Place::room("r".parse().unwrap(), Role::Driver),
            name: name.to_owned(),
            token: None,
            ca: None,
        };
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(task.run(config, taken));
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        Self { orders, shared, thread: Some(thread) }
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    pub(crate) fn stick(&self, throttle: f32, steer: f32) {
        self.order(Order::Stick { throttle, steer });
    }

    pub(crate) fn view(&self) -> View {
        self.shared.view.lock().unwrap().clone()
    }

    /// Waits until what the driver knows fulfils `condition`.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&View) -> bool) -> View {
        let view = self.shared.view.lock().unwrap();
        let (view, timeout) =
            self.shared.changed.wait_timeout_while(view, PATIENCE, |view| !condition(view)).unwrap();
        assert!(
            !timeout.timed_out(),
            "waited {} s for {what}; {:?} {:?}",
            PATIENCE.as_secs(),
            view.fast,
            view.events
        );
        view.clone()
    }

    pub(crate) fn wait_status(&self, what: &str, condition: impl Fn(Status) -> bool) -> View {
        self.wait(what, |view| view.fast.is_some_and(|fast| condition(fast.status)))
    }

    /// Connects, takes the lease and arms, at rest.
    pub(crate) fn take_the_wheel(&self) {
        self.wait("connection", |view| view.connected);
        loop {
            self.order(Order::Ask(Body::LeaseRequest));
            let view = self.wait("an answer", |view| view.lease != 0 || view.denied.is_some());
            if view.lease != 0 {
                break;
            }
            // A driver who has died holds the lease for a while.
            self.shared.view.lock().unwrap().denied = None;
            self.wait("the lease to be free", |view| view.fast.is_some_and(|fast| fast.lease == 0));
        }
        self.arm();
    }

    /// Arms, at rest.
    pub(crate) fn arm(&self) {
        self.stick(0.0, 0.0);
        self.wait("nothing to stand against arming", |view| {
            view.fast.is_some_and(|fast| fast.arm_block.is_none() && fast.lease == view.lease)
        });
        self.order(Order::Arm);
        self.wait_status("armed", |status| status == Status::Armed);
    }

    /// All coded pictures from here on.
    pub(crate) fn pictures(&self) -> std::sync::mpsc::Receiver<EncodedFrame> {
        let (send, receive) = std::sync::mpsc::channel();
        *self.shared.pictures.lock().unwrap() = Some(send);
        receive
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The task ends with its last order.
        (self.orders, _) = mpsc::unbounded_channel();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        // A second panic would end this process before the robot's is ended.
        if !std::thread::panicking() {
            ended.transpose().expect("the driver's task does not panic");
        }
    }
}

struct Task {
    shared: Arc<Shared>,
    sender: CommandSender,
    intent: Option<Intent>,
    pretend: Option<u32>,
    link: Option<Link>,
    beside: Option<Link>,
    sends: [bool; 2],
    announces: bool,
    /// Certificate of the second connection offered last.
    fingerprint: Option<String>,
    own_id: Option<signaling::PeerId>,
    requests: u32,
    speaks: bool,
}

struct Link {
    peer: signaling::PeerId,
    connection: Arc<Connection>,
    events: farwheel_peer::Events,
    frames: farwheel_peer::Frames,
    sounds: farwheel_peer::Sounds,
}

enum News {
    Signaling(Option<signaling::Event>),
    Connection(Option<Event>),
    Beside(Option<Event>),
    Frame(EncodedFrame),
    Sound(sound::Received),
    Order(Option<Order>),
    Tick,
}

impl Task {
    fn new(shared: Arc<Shared>) -> Self {
        let sender = CommandSender::new(sender::Config::default());
        Self {
            shared,
            sender,
            intent: None,
            pretend: None,
            link: None,
            beside: None,
            sends: [true; 2],
            announces: true,
            fingerprint: None,
            own_id: None,
            requests: 0,
            speaks: false,
        }
    }

    /// Says back what was heard, once it was told to.
    fn hear(&mut self, heard: sound::Received) {
        self.update(|view| view.sounds += 1);
        if let (true, Some(link)) = (self.speaks, &self.link) {
            let sound::Received { media_time, data, .. } = heard;
            let said = sound::Packet { media_time, data, begins: false, lasts: Duration::from_millis(10) };
            link.connection.send_sound(said).ok();
        }
    }

    async fn run(mut self, config: signaling::Config, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (client, mut signals) = Client::connect(config);
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            let news = tokio::select! {
                event = signals.recv() => News::Signaling(event),
                news = next(&mut self.link) => news,
                event = next_beside(&mut self.beside) => News::Beside(event),
                order = orders.recv() => News::Order(order),
                _ = tick.tick() => News::Tick,
            };
            match news {
                News::Signaling(Some(signaling::Event::Joined { self_id, peers, ice_servers, .. })) => {
                    self.own_id = Some(self_id);
                    let robot = peers.iter().find(|peer| peer.role == Role::Robot && peer.connected);
                    // A connection outlives the signalling that made it.
                    if let (Some(robot), None) = (robot, &self.link) {
                        let config = Config::offer(Media::Receive, Manners::between(self_id, robot.id));
                        self.open(robot.id, config.with_ice_servers(ice_servers));
                    }
                }
                News::Signaling(Some(signaling::Event::Signal { from, signal })) => {
                    if let Some(beside) = &self.beside
                        && beside.connection.conn() == signal.conn
                    {
                        beside.connection.handle_signal(signal);
                        continue;
                    }
                    let known = self.link.as_ref().filter(|link| link.peer == from);
                    match known.map(|link| link.connection.admits(&signal)) {
                        Some(Admission::Mine) => {
                            known.expect("it was admitted").connection.handle_signal(signal);
                        }
                        Some(Admission::Stale) => {}
                        Some(Admission::Replace) | None if signal.kind == SignalKind::Offer => {
                            let manners = Manners::between(self.own_id.expect("joined"), from);
                            self.open(from, Config::answer(signal.conn, Media::Receive, manners));
                            self.link.as_ref().expect("just opened").connection.handle_signal(signal);
                        }
                        Some(Admission::Replace) | None => {}
                    }
                }
                News::Signaling(_) => {}
                News::Connection(Some(Event::Signal(signal))) => {
                    client.send(self.link.as_ref().expect("it sent this").peer, signal);
                }
                News::Connection(Some(event)) => self.handle(event),
                News::Beside(Some(Event::Signal(signal))) => {
                    if signal.kind == SignalKind::Offer {
                        self.fingerprint = signal.fingerprint();
                        self.announce();
                    }
                    client.send(self.beside.as_ref().expect("it sent this").peer, signal);
                }
                News::Beside(event) => self.handle_beside(event),
                News::Connection(None) => self.link = None,
                News::Frame(frame) => self.show(frame),
                News::Sound(sound) => self.hear(sound),
                News::Order(Some(order)) => self.obey(order),
                News::Order(None) => break,
                News::Tick => self.send_command(),
            }
        }
        if let Some(link) = &self.link {
            link.connection.close().await;
        }
        client.leave();
    }

    fn open(&mut self, peer: signaling::PeerId, config: Config) {
        let (connection, events, incoming) = Connection::open(config.with_bind(Bind::Loopback).with_sound());
        let connection = Arc::new(connection);
        self.update(|view| view.conn = Some(connection.conn()));
        let farwheel_peer::Incoming { camera, sound, .. } = incoming;
        self.link = Some(Link { peer, connection, events, frames: camera, sounds: sound });
        self.sender.handle_connection();
    }

    fn open_beside(&mut self, main: Option<ConnId>) {
        let link = self.link.as_ref().expect("connected");
        let manners = Manners::between(self.own_id.expect("joined"), link.peer);
        let config = Config::offer(Media::None, manners).with_bind(Bind::Loopback);
        let (connection, events, incoming) =
            Connection::open(config.with_beside(main.unwrap_or(link.connection.conn())));
        let connection = Arc::new(connection);
        self.update(|view| {
            view.beside.conn = Some(connection.conn());
            view.beside.connected = false;
        });
        let farwheel_peer::Incoming { camera, sound, .. } = incoming;
        self.beside = Some(Link { peer: link.peer, connection, events, frames: camera, sounds: sound });
    }

    fn announce(&self) {
        if let (true, Some(fingerprint), Some(link)) = (self.announces, &self.fingerprint, &self.link) {
            let body = Body::SecondPath { fingerprint: fingerprint.clone() };
            let message = event::Event::notice(body).encode().unwrap();
            link.connection.send(Channel::Event, message.into()).unwrap();
        }
    }

    fn handle_beside(&mut self, event: Option<Event>) {
        match event {
            Some(Event::State(LinkState::Connected)) => self.update(|view| view.beside.connected = true),
            None | Some(Event::State(LinkState::Failed(_))) => {
                self.beside = None;
                self.update(|view| {
                    view.beside.connected = false;
                    view.beside.ended += 1;
                });
            }
            Some(Event::Message { channel: Channel::Telemetry, data }) => {
                let Ok(Telemetry::Fast(fast)) = Telemetry::decode(&data) else {
                    panic!("only fast telemetry comes by a second path");
                };
                self.sender.handle_telemetry(&fast, Instant::now());
                self.update(|view| view.beside.heard += 1);
            }
            Some(_) => {}
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::State(LinkState::Connected) => {
                let hello = Body::Hello {
                    name: "driver".into(),
                    version: "test".into(),
                    role: event::Role::Driver,
                    owner_code: None,
                };
                self.ask(hello);
                self.update(|view| {
                    view.connected = true;
                    view.links += 1;
                    view.lease = 0;
                });
            }
            Event::State(LinkState::Failed(_)) => {
                self.update(|view| view.connected = false);
                self.link = None;
            }
            Event::Message { channel: Channel::Telemetry, data } => match Telemetry::decode(&data) {
                Ok(Telemetry::Fast(fast)) => {
                    self.sender.handle_telemetry(&fast, Instant::now());
                    self.update(|view| view.fast = Some(fast));
                }
                Ok(Telemetry::Slow(slow)) => self.update(|view| view.slow = Some(slow)),
                Err(error) => match LinkReport::decode(&data) {
                    Ok(report) => self.update(|view| view.report = Some(report)),
                    Err(_) if PathCounts::decode(&data).is_ok() => {
                        self.update(|view| view.beside.counts = PathCounts::decode(&data).ok());
                    }
                    Err(_) => assert!(
                        Place::decode(&data).is_ok() || Outline::decode(&data).is_ok(),
                        "telemetry cannot be read: {error}"
                    ),
                },
            },
            Event::Message { channel: Channel::Event, data } => {
                let body = event::Event::decode(&data).unwrap().body;
                match &body {
                    Body::LeaseGranted { epoch, .. } => {
                        self.sender.handle_lease(*epoch);
                        self.update(|view| view.lease = *epoch);
                    }
                    Body::LeaseDenied { holder } => self.update(|view| view.denied = Some(holder.clone())),
                    Body::LeaseRevoked { .. } => {
                        self.sender.handle_lease(0);
                        self.update(|view| view.lease = 0);
                    }
                    _ => {}
                }
                self.update(|view| view.events.push(body));
            }
            _ => {}
        }
    }

    fn show(&mut self, frame: EncodedFrame) {
        self.sender.handle_picture(frame.media_time.frame_id(), Instant::now());
        self.update(|view| view.frames += 1);
        if let Some(pictures) = &*self.shared.pictures.lock().unwrap() {
            pictures.send(frame).ok();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stick { throttle, steer } => {
                self.intent = Some(Intent {
                    throttle: Axis::new(throttle),
                    steer: Axis::new(steer),
                    flags: Flags::DEADMAN,
                    ..Intent::default()
                });
                self.send_command();
            }
            Order::Ask(body) => self.ask(body),
            Order::Arm => self.sender.arm(),
            Order::Pretend(epoch) => self.pretend = Some(epoch),
            Order::Raw(bytes) => {
                let link = self.link.as_ref().expect("connected");
                link.connection.send(Channel::Event, Bytes::from_static(bytes)).unwrap();
            }
            Order::ConnectBeside(main) => self.open_beside(main),
            Order::Announce(announces) => {
                self.announces = announces;
                self.announce();
            }
            Order::Send { main, beside } => self.sends = [main, beside],
            Order::Close => self.close(self.link.as_ref()),
            Order::CloseBeside => self.close(self.beside.as_ref()),
            Order::Report(report) => {
                let link = self.link.as_ref().expect("connected");
                link.connection.send(Channel::Telemetry, Bytes::copy_from_slice(&report.encode())).unwrap();
            }
            Order::Speak => self.speaks = true,
            Order::TellLoss => {
                self.link.as_ref().expect("connected").connection.request_keyframe(Track::Camera)
            }
        }
    }

    /// Closes a connection; it says goodbye by its last events.
    fn close(&self, link: Option<&Link>) {
        let connection = Arc::clone(&link.expect("connected").connection);
        tokio::spawn(async move { connection.close().await });
    }

    fn ask(&mut self, body: Body) {
        self.requests += 1;
        // A request that is about the present says which present.
        let body = match (body, self.sender.echo(Instant::now())) {
            (Body::Arm(_), Some(echo)) => Body::Arm(Stamp::new(self.sender.lease(), echo)),
            (body, _) => body,
        };
        let message = event::Event::request(self.requests, body).encode().unwrap();
        self.link.as_ref().expect("connected").connection.send(Channel::Event, message.into()).unwrap();
    }

    fn send_command(&mut self) {
        let (Some(intent), Some(link)) = (self.intent, &self.link) else { return };
        let now = Instant::now();
        self.sender.handle_input(&intent, now);
        let Some(mut command) = self.sender.poll_command(now) else { return };
        command.lease = self.pretend.unwrap_or(command.lease);
        let changed = command.earlier[0].is_some_and(|earlier| earlier != command.controls);
        let at = monotonic_ns();
        // Not connected at the moment: the next one is 20 ms away.
        let datagram = Bytes::copy_from_slice(&command.encode());
        let mut is_sent = false;
        for (link, _) in [Some(link), self.beside.as_ref()].into_iter().zip(self.sends).filter(|(_, on)| *on)
        {
            is_sent |=
                link.is_some_and(|link| link.connection.send(Channel::Control, datagram.clone()).is_ok());
        }
        if changed && is_sent {
            self.update(|view| view.changes_ns.push(at));
        }
    }

    fn update(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.shared.view.lock().unwrap());
        self.shared.changed.notify_all();
    }
}

async fn next(link: &mut Option<Link>) -> News {
    let Some(link) = link else { return std::future::pending().await };
    tokio::select! {
        event = link.events.recv() => News::Connection(event),
        Some(frame) = link.frames.recv() => News::Frame(frame),
        Some(sound) = link.sounds.recv() => News::Sound(sound),
    }
}

async fn next_beside(beside: &mut Option<Link>) -> Option<Event> {
    match beside {
        Some(beside) => beside.events.recv().await,
        None => std::future::pending().await,
    }
}
