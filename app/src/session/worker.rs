//! The worker task: carries what [`Plan`] decides to the network, and what the network says to everyone else.

mod beside;
mod hear;
mod networks;
mod robots;
mod vouched;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::signaling::{Client, IceServer, PeerId, Place, Role};
use farwheel_peer::{Channel, Connection, Event, Events, Manners, Media, Signal, Track};
use farwheel_proto::control::event::{self, Stamp};
use farwheel_proto::video::CarTime;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::dialogue::{self, Dialogue};
use super::hands::{self, lock};
use super::plan::{self, Action, Plan};
use super::second_path::SecondPath;
use super::sound::Intercom;
use super::status::Stage;
use super::{Config, Order, Shared, video};
use crate::model::Notice;
use crate::render::slot::Slot;
use networks::Networks;
use robots::Robots;
use vouched::Vouched;

pub(super) async fn run(
    config: Config,
    shared: Arc<Shared>,
    slot: Slot,
    hands: Option<Arc<hands::Shared>>,
    orders_tx: mpsc::Sender<Order>,
    mut orders: mpsc::Receiver<Order>,
) {
    let (client, mut signals) = Client::connect(config.signaling.clone());
    let role = match &config.signaling.place {
        Place::Room { role: Role::Driver, .. } => event::Role::Driver,
        Place::Room { .. } | Place::Pair { .. } => event::Role::Viewer,
    };
    let dialogue = Dialogue::new(dialogue::Config {
        role,
        name: config.signaling.name.clone(),
        owner_code: config.owner_code.clone(),
    });
    let second_path = SecondPath::new(config.control_paths);
    let intercom = Intercom::new(config.sound.clone());
    let mut worker = Worker {
        config,
        shared,
        slot,
        hands: hands.filter(|_| role == event::Role::Driver),
        orders: orders_tx,
        client,
        plan: Plan::default(),
        dialogue,
        own_id: None,
        ice_servers: Vec::new(),
        robots: Robots::default(),
        link: None,
        second_path,
        intercom,
        beside: None,
        vouched: Vouched::default(),
        looked_at: None,
        networks: Networks::default(),
        newest: None,
        early: Vec::new(),
        heard_at: None,
        reset_at: None,
        loss_from: None,
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_signaling = true;
    loop {
        tokio::select! {
            event = signals.recv(), if is_signaling => match event {
                Some(event) => worker.handle_signaling(event, Instant::now()),
                None => is_signaling = false,
            },
            event = next_event(&mut worker.link) => worker.handle_link(event, Instant::now()),
            event = next_event(&mut worker.beside) => worker.handle_beside(event, Instant::now()),
            order = orders.recv() => match order {
                Some(Order::Leave) | None => break,
                Some(order) => worker.handle_order(order, Instant::now()),
            },
            _ = tick.tick() => worker.handle_tick(Instant::now()),
        }
        worker.act(Instant::now());
    }
    worker.leave().await;
}

async fn next_event(link: &mut Option<Link>) -> Option<Event> {
    match link {
        Some(link) => link.events.recv().await,
        None => std::future::pending().await,
    }
}

struct Link {
    /// The robot, as the server calls it now.
    robot: PeerId,
    /// As the server called it when the connection was made.
    first: PeerId,
    /// Its name at the server.
    name: Option<String>,
    connection: Arc<Connection>,
    events: Events,
}

struct Worker {
    config: Config,
    shared: Arc<Shared>,
    slot: Slot,
    hands: Option<Arc<hands::Shared>>,
    orders: mpsc::Sender<Order>,
    client: Client,
    plan: Plan,
    dialogue: Dialogue,
    own_id: Option<PeerId>,
    ice_servers: Vec<IceServer>,
    robots: Robots,
    link: Option<Link>,
    second_path: SecondPath,
    intercom: Intercom,
    /// The connection beside `link`.
    beside: Option<Link>,
    vouched: Vouched,
    /// When the second path was last looked after.
    looked_at: Option<Instant>,
    networks: Networks,
    /// Boot and time of the newest telemetry: what comes by the other path as well is no news.
    newest: Option<(u32, CarTime)>,
    // Signals of an offer that is not answered yet. Full: an offer has at most some tens of candidates; more are
    // dropped and the connection does without them.
    early: Vec<(PeerId, Signal)>,
    heard_at: Option<Instant>,
    reset_at: Option<Instant>,
    loss_from: Option<(Instant, u64, u64)>,
}

impl Worker {
    fn handle_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::TakeLease => self.dialogue.take_lease(),
            Order::ReleaseLease => self.dialogue.release_lease(),
            Order::SelectCamera(camera) => self.dialogue.select_camera(camera),
            Order::LimitVideo(kbps) => self.dialogue.limit_video(kbps),
            Order::ControlPaths(wish) => {
                self.second_path.set_wish(wish);
                self.looked_at = None;
            }
            Order::Hear(hearing) => self.intercom.set_hearing(hearing),
            Order::Talk(key) => self.intercom.set_key(key),
            Order::EmergencyStop => self.dialogue.emergency_stop(),
            Order::Disarm => self.dialogue.disarm(),
            Order::ResetStop => {
                let Some(hands) = &self.hands else { return };
                match hands.reset_stop(now) {
                    // The robot refuses as long as a command with the flag may still be on its way.
                    Ok(()) => self.reset_at = Some(now + RESET_AFTER),
                    Err(refusal) => {
                        let text = format!("The emergency stop stays: {refusal}.");
                        self.change(|status| status.notice(Notice::warning(text)));
                    }
                }
            }
            Order::Leave => {}
        }
    }

    fn handle_tick(&mut self, now: Instant) {
        self.plan.handle_timeout(now);
        if self.is_linked() {
            let ping = lock(&self.shared.clock).poll_ping(now);
            if let (Some(ping), Some(link)) = (ping, &self.link) {
                // Lossy by nature: the next ping comes in half a second.
                link.connection.send(Channel::Telemetry, Bytes::copy_from_slice(&ping.encode())).ok();
            }
        }
        self.dialogue.handle_timeout(now);
        if let Some(hands) = &self.hands {
            self.dialogue.handle_stop_flag(hands.sender().is_stopping());
        }
        if self.reset_at.take_if(|at| now >= *at).is_some()
            && let Some(hands) = &self.hands
        {
            let (epoch, echo) = {
                let sender = hands.sender();
                (sender.lease(), sender.echo(now))
            };
            if let Some(echo) = echo {
                self.dialogue.reset_stop(Stamp::new(epoch, echo));
            }
        }
        self.refresh_stats(now);
        self.look_after_paths(now);
    }

    /// Carries out what was decided and publishes how it stands.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.plan.poll_action() {
            match action {
                Action::Close => self.close_link(),
                Action::Offer { to } => self.open_link(to, None),
                Action::Answer { from, conn } => self.open_link(from, Some(conn)),
            }
        }
        if let Some(link) = &self.link {
            while let Some(event) = self.dialogue.poll_event() {
                match event.encode() {
                    Ok(bytes) => {
                        if let Err(e) = link.connection.send(Channel::Event, bytes.into()) {
                            tracing::warn!(error = %e, "event not sent");
                        }
                    }
                    Err(e) => tracing::warn!(error = %e, "event not sent"),
                }
            }
        }
        if let Some(hands) = &self.hands {
            hands.sender().handle_lease(self.dialogue.epoch());
        }
        self.publish(now);
    }

    fn open_link(&mut self, robot: PeerId, answer_to: Option<farwheel_peer::ConnId>) {
        let Some(own_id) = self.own_id else { return };
        let manners = Manners::between(own_id, robot);
        let config = match answer_to {
            Some(conn) => farwheel_peer::Config::answer(conn, Media::Receive, manners),
            None => farwheel_peer::Config::offer(Media::Receive, manners),
        };
        let config = config
            .with_ice_servers(self.ice_servers.clone())
            .with_candidates(self.config.candidates)
            .with_bind(self.config.bind.clone())
            .with_ca(self.config.signaling.ca.clone())
            .with_sound();
        let (connection, events, incoming) = Connection::open(config);
        let connection = Arc::new(connection);
        let setup = video::Setup {
            track: Track::Camera,
            voice: None,
            slot: self.slot.clone(),
            figures: Arc::clone(&self.shared.figures),
            clock: Arc::clone(&self.shared.clock),
            hands: self.hands.clone(),
            shown: self.config.shown,
            strip: self.config.strip,
            recorder: self.config.recorder.clone(),
            measuring: self.shared.measuring.clone(),
        };
        if let Err(e) = video::spawn(incoming.camera, Arc::downgrade(&connection), setup) {
            tracing::error!(error = %e, "no thread for the decoder");
        }
        self.intercom.begin(&connection, incoming.sound);
        // Signals that came before this connection was built, in their order.
        for (from, signal) in std::mem::take(&mut self.early) {
            if from == robot && Some(signal.conn) == answer_to {
                connection.handle_signal(signal);
            }
        }
        self.heard_at = None;
        let name = self.robots.name(robot);
        self.link = Some(Link { robot, first: robot, name, connection, events });
    }

    fn close_link(&mut self) {
        self.close_beside();
        if let Some(hands) = &self.hands {
            hands.set_link(None);
            hands.sender().handle_connection();
        }
        self.dialogue.handle_disconnected();
        if let Some(link) = self.link.take() {
            // Its goodbye has no reader any more: the robot sees the next offer, or the silence.
            tokio::spawn(async move { link.connection.close().await });
        }
    }

    fn is_linked(&self) -> bool {
        matches!(self.plan.state(), plan::State::Linked { .. })
    }

    fn refresh_stats(&mut self, now: Instant) {
        let Some(link) = &self.link else { return };
        let stats = link.connection.stats();
        let has_sound = link.connection.has_sound();
        let (at, lost, received) =
            *self.loss_from.get_or_insert((now, stats.packets_lost, stats.packets_received));
        let mut loss = None;
        if now.saturating_duration_since(at) >= Duration::from_secs(1) {
            let (lost, received) =
                (stats.packets_lost.saturating_sub(lost), stats.packets_received.saturating_sub(received));
            let share = lost as f32 / (lost + received).max(1) as f32;
            loss = Some(share);
            // Nothing tells how much of the driver's voice arrives: as little as of what comes the other way.
            self.intercom.set_loss(share);
            self.loss_from = Some((now, stats.packets_lost, stats.packets_received));
        }
        self.change(|status| {
            status.stats = stats;
            status.has_sound = has_sound;
            status.loss = loss.or(status.loss);
        });
    }

    fn publish(&mut self, now: Instant) {
        let stage = self.stage(now);
        let notices: Vec<Notice> = std::iter::from_fn(|| self.dialogue.poll_notice()).collect();
        let mut is_news = !notices.is_empty();
        let mut link_lost = false;
        {
            let mut status = lock(&self.shared.status);
            let was_connected = status.is_connected();
            if let Some(stage) = stage {
                is_news |= status.set_stage(stage, now);
            }
            link_lost |= was_connected && !status.is_connected();
            status.attempts = self.plan.attempts();
            is_news |= status.lease != *self.dialogue.lease();
            status.lease = self.dialogue.lease().clone();
            if let Some(welcome) = self.dialogue.welcome() {
                if status.robot.as_deref() != Some(&welcome.name) {
                    status.robot = Some(welcome.name.clone());
                    is_news = true;
                }
                let (cameras, camera) = self.dialogue.cameras();
                if status.cameras.0 != cameras || status.cameras.1 != camera {
                    status.cameras = (cameras.to_vec(), camera);
                }
            }
            status.others = self.dialogue.others();
            for notice in notices {
                status.notice(notice);
            }
        }
        if link_lost && let Some(hands) = &self.hands {
            hands.rumble();
        }
        if is_news {
            let wake = lock(&self.shared.wake).clone();
            if let Some(wake) = wake {
                wake();
            }
        }
    }

    /// The stage that the plan's state means; `None` leaves the one that signalling has set.
    fn stage(&self, now: Instant) -> Option<Stage> {
        let (joined, connected) = {
            let status = lock(&self.shared.status);
            if matches!(status.stage, Stage::Ended(_)) {
                return None;
            }
            (status.joined, status.connected > 0)
        };
        Some(match self.plan.state() {
            plan::State::Searching if !joined => return None,
            plan::State::Searching | plan::State::Awaiting { .. } if connected => Stage::WaitingForRobot,
            plan::State::Searching | plan::State::Awaiting { .. } => Stage::Looking,
            plan::State::Connecting { .. } => Stage::Connecting,
            plan::State::Retrying { at, .. } => Stage::Retrying { at: *at },
            plan::State::Linked { .. } => {
                let silence = self.heard_at.map(|at| now.saturating_duration_since(at));
                match (silence, self.heard_at) {
                    (Some(silence), Some(since)) if silence > SILENCE_MAX => Stage::Silent { since },
                    _ => Stage::Connected,
                }
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut super::Status)) {
        change(&mut lock(&self.shared.status));
    }

    /// Disarms, gives the lease back and says goodbye.
    async fn leave(mut self) {
        if let Some(hands) = self.hands.take() {
            if self.is_linked() {
                self.dialogue.disarm();
                self.dialogue.release_lease();
                self.act(Instant::now());
                // The reliable channel gets them out; the commands that follow say disarmed too.
                tokio::time::sleep(GOODBYE).await;
            }
            hands.set_link(None);
        }
        // It ends with the other one, at the robot as well.
        self.close_beside();
        if let Some(mut link) = self.link.take() {
            let closing = link.connection.close();
            let forward = async {
                while let Some(event) = link.events.recv().await {
                    if let Event::Signal(signal) = event {
                        self.client.send(link.robot, signal);
                    }
                }
            };
            tokio::time::timeout(CLOSE_MAX, async { tokio::join!(closing, forward) }).await.ok();
        }
        self.client.leave();
        // The close frame is written by the client's task.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const TICK: Duration = Duration::from_millis(20);
/// Telemetry comes every 50 ms; without it for this long the link counts as lost.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// From taking the stop flag out to asking for the reset: five commands.
const RESET_AFTER: Duration = Duration::from_millis(100);
const GOODBYE: Duration = Duration::from_millis(60);
const CLOSE_MAX: Duration = Duration::from_millis(120);
