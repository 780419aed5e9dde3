//! The task of a pair: the client of the server, one direct connection at a time, and the switch between the two.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_proto::switch::{Carrier, Command as Order, State, Switch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::message::Message;
use super::relay::{self, Relay};
use super::{Command, Config, Direct, Event};
use crate::config::{self, Initiative, Manners, Media};
use crate::connection::{self, Connection, Incoming};
use crate::event::{self, Channel, LinkState};
use crate::signal::{Admission, Signal, SignalKind};
use crate::signaling::{self, Client, ErrorCode, IceServer, LeaveReason, Peer, PeerId};

/// Messages on their way to the other one; more are not taken from the owner. With their acknowledgements, and once more
/// after a change, they fit into a connection's 256 events.
const IN_FLIGHT_MAX: usize = 128;
/// Bytes of those; a server keeps 512 KiB for a slow reader, and base64 makes a third more of them.
const IN_FLIGHT_BYTES_MAX: usize = 256 * 1024;
/// Frames that wait for the owner to read. Full: the newest is dropped, and sent again for want of an acknowledgement.
const PENDING_MAX: usize = 512;
/// What happens while the owner does not read. Full: the newest is dropped; messages stay below by the window above.
const DELIVERIES_MAX: usize = 2048;
/// The first wait before another direct connection is tried; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A connection that stood for so long was a good one: the next wait is the first again.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// How long somebody who was in the pair waits before it looks whether there is room for it again.
const BUSY_PAUSE: Duration = Duration::from_secs(2);
/// Time for a goodbye.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// What the last acknowledgement gets to leave over the direct connection.
const LAST_WORD_MAX: Duration = Duration::from_millis(50);

pub(super) fn spawn(
    config: Config,
    commands: mpsc::Receiver<Command>,
    wanted: watch::Receiver<Direct>,
    events: mpsc::Sender<Event>,
) -> JoinHandle<()> {
    tokio::spawn(async move { Task::new(config).run(commands, wanted, events).await })
}

/// The other one, as the server tells.
#[derive(Clone, Copy)]
struct Partner {
    id: PeerId,
    self_id: PeerId,
    initiative: Initiative,
    /// Its connection to the server stands.
    is_connected: bool,
}

/// A direct connection, or an attempt at one.
struct Link {
    connection: Connection,
    events: connection::Events,
    /// Stays empty; held for as long as the connection lives.
    _incoming: Incoming,
    /// The id that the other one had when it was begun.
    peer: PeerId,
    up_since: Option<Instant>,
}

/// Whether the task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Goes,
    /// Once all is delivered.
    Over,
}

struct Task {
    config: Config,
    client: Client,
    /// None once the client is closed.
    signals: Option<signaling::Events>,
    is_at_server: bool,
    was_paired: bool,
    /// The server offers no data between peers.
    is_data_refused: bool,
    partner: Option<Partner>,
    ice_servers: Vec<IceServer>,
    link: Option<Link>,
    direct: Direct,
    try_at: Option<Instant>,
    tries: u32,
    rejoin_at: Option<Instant>,
    switch: Switch,
    relay: Relay,
    told: Option<Carrier>,
    /// The carrier of the frame that is being handled.
    heard_by: Carrier,
    pending: VecDeque<(Carrier, Bytes)>,
    deliveries: VecDeque<Event>,
    flushes: Vec<oneshot::Sender<()>>,
    life: Life,
}

impl Task {
    fn new(config: Config) -> Self {
        let (client, signals) = Client::connect(config.signaling.clone());
        Self {
            config,
            client,
            signals: Some(signals),
            is_at_server: false,
            was_paired: false,
            is_data_refused: false,
            partner: None,
            ice_servers: Vec::new(),
            link: None,
            direct: Direct::Wanted,
            try_at: None,
            tries: 0,
            rejoin_at: None,
            switch: Switch::new(rand::random()),
            relay: Relay::new(Instant::now()),
            told: None,
            heard_by: Carrier::Relayed,
            pending: VecDeque::new(),
            deliveries: VecDeque::new(),
            flushes: Vec::new(),
            life: Life::Goes,
        }
    }

    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut wanted: watch::Receiver<Direct>,
        events: mpsc::Sender<Event>,
    ) {
        loop {
            self.advance(Instant::now());
            while !self.deliveries.is_empty()
                && let Ok(permit) = events.try_reserve()
            {
                permit.send(self.deliveries.pop_front().expect("looked at just now"));
            }
            if self.deliveries.is_empty() && !self.pending.is_empty() {
                continue;
            }
            if self.life == Life::Over && self.deliveries.is_empty() {
                return;
            }
            let due = self.due();
            let has_room = self.switch.unacknowledged() < IN_FLIGHT_MAX
                && self.switch.unacknowledged_bytes() < IN_FLIGHT_BYTES_MAX;
            tokio::select! {
                event = next_signal(&mut self.signals) => match event {
                    Some(event) => self.handle_signaling(event),
                    None => self.signals = None,
                },
                event = next_event(&mut self.link) => self.handle_link(event),
                Ok(()) = wanted.changed() => {
                    let direct = *wanted.borrow_and_update();
                    self.handle_direct(direct);
                }
                command = commands.recv(), if has_room => match command {
                    Some(command) => self.handle_command(command),
                    None => break,
                },
                permit = events.reserve(), if !self.deliveries.is_empty() => match permit {
                    Ok(permit) => permit.send(self.deliveries.pop_front().expect("looked at just now")),
                    Err(_) => break,
                },
                () = events.closed() => break,
                () = signaling::sleep_until(due) => {}
            }
        }
        self.close().await;
    }

    /// Tells the other one, and leaves.
    async fn close(mut self) {
        if let Some(partner) = self.partner.filter(|_| self.is_at_server) {
            // It may wait for nothing else. This way it comes before the news that this side has left.
            self.client.send_data(Some(partner.id), relay::message(&self.switch.acknowledgement())).ok();
        } else if let Some(link) = &mut self.link
            && link.connection.send(Channel::Event, self.switch.acknowledgement()).is_ok()
        {
            // Closing drops what has not left yet. Nobody is there to carry signals.
            let gone = async { while link.events.recv().await.is_some() {} };
            tokio::time::timeout(LAST_WORD_MAX, gone).await.ok();
        }
        let goodbye = async {
            if let Some(link) = &mut self.link {
                let closing = link.connection.close();
                tokio::pin!(closing);
                loop {
                    tokio::select! {
                        biased;
                        Some(event) = link.events.recv() => {
                            if let (event::Event::Signal(signal), Some(partner)) = (event, self.partner) {
                                self.client.send(partner.id, signal);
                            }
                        }
                        () = &mut closing => break,
                    }
                }
            }
            self.client.leave();
            while next_signal(&mut self.signals).await.is_some() {}
        };
        tokio::time::timeout(CLOSE_MAX, goodbye).await.ok();
    }

    /// Does all that can be done now.
    fn advance(&mut self, now: Instant) {
        if self.rejoin_at.is_some_and(|at| at <= now) {
            self.rejoin_at = None;
            let (client, signals) = Client::connect(self.config.signaling.clone());
            (self.client, self.signals) = (client, Some(signals));
        }
        if self.try_at.is_some_and(|at| at <= now) {
            self.offer();
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now) {
            self.switch.handle_timeout(now);
        }
        loop {
            self.obey();
            if !self.deliveries.is_empty() {
                // Nothing is acknowledged that the owner does not take.
                break;
            }
            let Some((carrier, frame)) = self.pending.pop_front() else { break };
            self.heard_by = carrier;
            if let Err(error) = self.switch.handle_frame(&frame, now) {
                tracing::debug!(%error, "what the other one sent is no frame");
            }
        }
        while let Some(partner) = self.partner
            && let Some(data) = self.relay.poll_message(now)
        {
            if let Err(error) = self.client.send_data(Some(partner.id), data) {
                tracing::debug!(%error, "frames dropped; they are sent again");
            }
        }
        if self.switch.unacknowledged() == 0 {
            for flush in self.flushes.drain(..) {
                // Whoever waited may have gone.
                flush.send(()).ok();
            }
        }
        if self.told != self.switch.active() {
            self.told = self.switch.active();
            self.deliver(Event::Carrier(self.told));
        }
    }

    /// Does what the switch wants done.
    fn obey(&mut self) {
        while let Some(order) = self.switch.poll_command() {
            match order {
                Order::Send(Carrier::Relayed, frame) => self.relay.push(frame),
                Order::Send(Carrier::Direct, frame) => {
                    let sent = self.link.as_ref().map(|link| link.connection.send(Channel::Event, frame));
                    if let Some(Err(error)) = sent {
                        tracing::debug!(%error, "frame dropped; it is sent again");
                    }
                }
                Order::Deliver(message) => match Message::decode(&message) {
                    Some(message) => self.deliver(Event::Message(message)),
                    None => tracing::debug!("message of a newer version skipped"),
                },
                Order::PeerRestarted => {
                    self.deliver(Event::Restarted);
                    let current = self.partner.map(|partner| partner.id);
                    if self.heard_by == Carrier::Relayed
                        && self.link.as_ref().is_some_and(|link| Some(link.peer) != current)
                    {
                        // It leads to the former one.
                        self.drop_link(Instant::now());
                    }
                }
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let try_at = self.try_at.filter(|_| self.can_offer());
        [self.switch.poll_timeout(), self.relay.poll_timeout(), try_at, self.rejoin_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn deliver(&mut self, event: Event) {
        if self.deliveries.len() < DELIVERIES_MAX {
            self.deliveries.push_back(event);
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Send(message) => {
                self.switch.send(message, now).expect("the window is below what the switch keeps");
            }
            Command::Flush(flush) => self.flushes.push(flush),
        }
    }

    fn handle_direct(&mut self, direct: Direct) {
        let now = Instant::now();
        self.direct = direct;
        match direct {
            Direct::Wanted => (self.try_at, self.tries) = (Some(now), 0),
            Direct::Refused => {
                if let (Some(link), Some(partner)) = (&self.link, self.partner) {
                    self.client.send(partner.id, Signal::bye(link.connection.conn()));
                }
                self.drop_link(now);
                self.try_at = None;
            }
        }
    }

    fn handle_signaling(&mut self, event: signaling::Event) {
        let now = Instant::now();
        match event {
            signaling::Event::PairFound { self_id, peer, initiative, ice_servers } => {
                self.ice_servers = ice_servers;
                self.handle_found(self_id, &peer, initiative, now);
            }
            signaling::Event::Waiting => {
                self.is_at_server = true;
                self.lose_partner(now);
                self.deliver(Event::Waiting);
            }
            signaling::Event::Resumed => {
                self.is_at_server = true;
                self.carry_by_server(now);
            }
            signaling::Event::Lost { reason, .. } => {
                if std::mem::replace(&mut self.is_at_server, false) || !self.was_paired {
                    self.deliver(Event::Away { reason });
                }
                self.carry_by_server(now);
            }
            signaling::Event::PeerChanged(peer) => {
                if let Some(partner) = self.partner.as_mut().filter(|partner| partner.id == peer.id) {
                    partner.is_connected = peer.connected;
                    self.carry_by_server(now);
                }
            }
            signaling::Event::PeerLeft { id, reason } => self.handle_left(id, reason, now),
            signaling::Event::Signal { from, signal } => {
                if let Some(partner) = self.partner.filter(|partner| partner.id == from) {
                    self.handle_signal(partner, signal, now);
                }
            }
            signaling::Event::Data { from, data } => {
                if self.partner.is_some_and(|partner| partner.id == from) {
                    for frame in relay::frames(&data) {
                        self.take(Carrier::Relayed, frame);
                    }
                }
            }
            signaling::Event::IceServers(servers) => self.ice_servers = servers,
            signaling::Event::Refused(refusal) => {
                // What it had was given up for lost; the switch sends it again.
                tracing::debug!(%refusal, "server refused a message");
                if refusal.code == ErrorCode::NotSupported {
                    tracing::warn!("this server carries no data: messages wait for a direct connection");
                    self.is_data_refused = true;
                    self.carry_by_server(now);
                }
            }
            signaling::Event::Busy if self.was_paired => {
                (self.signals, self.is_at_server) = (None, false);
                self.lose_partner(now);
                self.rejoin_at = Some(now + BUSY_PAUSE);
                self.deliver(Event::Away { reason: "two others have met by this code meanwhile".to_owned() });
            }
            signaling::Event::Busy => self.end(Event::Busy),
            signaling::Event::Fatal(refusal) => self.end(Event::Refused(refusal)),
            // There are none of these in a pair.
            signaling::Event::Joined { .. }
            | signaling::Event::Denied
            | signaling::Event::PeerJoined(_)
            | signaling::Event::Knock(_)
            | signaling::Event::Locked(_)
            | signaling::Event::MuteRequest { .. } => {}
        }
    }

    fn handle_found(&mut self, self_id: PeerId, peer: &Peer, initiative: Initiative, now: Instant) {
        (self.is_at_server, self.was_paired) = (true, true);
        let name = peer.name.clone().unwrap_or_else(|| peer.id.to_string()[..8].to_owned());
        self.deliver(Event::Found { name });
        // Whatever waited there was for who has gone.
        self.partner = None;
        self.carry_by_server(now);
        self.partner = Some(Partner { id: peer.id, self_id, initiative, is_connected: peer.connected });
        self.carry_by_server(now);
        if self.link.as_ref().is_some_and(|link| link.up_since.is_some()) {
            // It outlives a server that has forgotten everybody; if it leads to another one, that one says so.
            return;
        }
        self.drop_link(now);
        (self.try_at, self.tries) = (None, 0);
        if initiative == Initiative::Offer && self.direct == Direct::Wanted {
            self.try_at = Some(now);
        }
    }

    fn handle_left(&mut self, id: PeerId, reason: LeaveReason, now: Instant) {
        if self.partner.is_none_or(|partner| partner.id != id) {
            return;
        }
        self.lose_partner(now);
        let is_up = self.link.as_ref().is_some_and(|link| link.up_since.is_some());
        if reason == LeaveReason::Left || !is_up {
            self.drop_link(now);
            self.deliver(Event::Left);
        }
    }

    fn lose_partner(&mut self, now: Instant) {
        self.partner = None;
        self.try_at = None;
        self.carry_by_server(now);
    }

    /// Tells the switch whether the server can carry frames.
    fn carry_by_server(&mut self, now: Instant) {
        let is_up = self.is_at_server
            && !self.is_data_refused
            && self.partner.is_some_and(|partner| partner.is_connected);
        if !is_up {
            self.relay.clear();
        }
        let state = if is_up { State::Up } else { State::Down };
        self.switch.handle_carrier(Carrier::Relayed, state, now);
    }

    fn handle_signal(&mut self, partner: Partner, signal: Signal, now: Instant) {
        if self.direct == Direct::Refused {
            if signal.kind == SignalKind::Offer {
                self.client.send(partner.id, Signal::bye(signal.conn));
            }
            return;
        }
        match self.link.as_ref().map(|link| link.connection.admits(&signal)) {
            Some(Admission::Mine) => {
                let link = self.link.as_ref().expect("it admitted the signal");
                link.connection.handle_signal(signal);
            }
            Some(Admission::Replace) => {
                self.drop_link(now);
                self.answer(partner, signal);
            }
            None if signal.kind == SignalKind::Offer => self.answer(partner, signal),
            Some(Admission::Stale) | None => {}
        }
    }

    fn can_offer(&self) -> bool {
        self.is_at_server
            && self.partner.is_some_and(|partner| partner.is_connected)
            && self.link.is_none()
            && self.direct == Direct::Wanted
    }

    fn offer(&mut self) {
        let Some(partner) = self.partner.filter(|_| self.can_offer()) else { return };
        self.try_at = None;
        self.open(partner, config::Config::offer(Media::None, Manners::between(partner.self_id, partner.id)));
    }

    fn answer(&mut self, partner: Partner, offer: Signal) {
        self.try_at = None;
        let manners = Manners::between(partner.self_id, partner.id);
        self.open(partner, config::Config::answer(offer.conn, Media::None, manners));
        self.link.as_ref().expect("just opened").connection.handle_signal(offer);
    }

    fn open(&mut self, partner: Partner, config: config::Config) {
        let config = config
            .with_ice_servers(self.ice_servers.clone())
            .with_candidates(self.config.candidates)
            .with_bind(self.config.bind.clone())
            .with_ca(self.config.signaling.ca.clone());
        let (connection, events, incoming) = Connection::open(config);
        self.link = Some(Link { connection, events, _incoming: incoming, peer: partner.id, up_since: None });
    }

    fn handle_link(&mut self, event: Option<event::Event>) {
        let now = Instant::now();
        match event {
            Some(event::Event::Signal(signal)) => {
                if let Some(partner) = self.partner {
                    self.client.send(partner.id, signal);
                }
            }
            Some(event::Event::State(LinkState::Connected)) => {
                if let Some(link) = &mut self.link {
                    link.up_since.get_or_insert(now);
                }
                self.switch.handle_carrier(Carrier::Direct, State::Up, now);
            }
            Some(event::Event::State(LinkState::Disconnected)) => {
                self.switch.handle_carrier(Carrier::Direct, State::Down, now);
            }
            Some(event::Event::State(LinkState::Failed(failure))) => {
                tracing::info!(%failure, "direct connection lost");
                self.handle_link_lost(now);
            }
            None => self.handle_link_lost(now),
            Some(event::Event::Message { channel: Channel::Event, data }) => self.take(Carrier::Direct, data),
            Some(
                event::Event::Message {
                    channel: Channel::Control | Channel::Telemetry | Channel::File, ..
                }
                | event::Event::State(LinkState::Connecting)
                | event::Event::KeyframeRequested(_),
            ) => {}
        }
    }

    fn handle_link_lost(&mut self, now: Instant) {
        let was_stable = self
            .link
            .as_ref()
            .and_then(|link| link.up_since)
            .is_some_and(|since| now.saturating_duration_since(since) >= STABLE_AFTER);
        self.drop_link(now);
        self.tries = if was_stable { 0 } else { self.tries.saturating_add(1) };
        if self.partner.is_some_and(|partner| partner.initiative == Initiative::Offer) {
            self.try_at = Some(now + retry_after(self.tries, rand::random()));
        }
    }

    /// Gives the direct connection up; dropping it closes it.
    fn drop_link(&mut self, now: Instant) {
        if self.link.take().is_some() {
            self.switch.handle_carrier(Carrier::Direct, State::Down, now);
        }
    }

    fn take(&mut self, carrier: Carrier, frame: Bytes) {
        if self.pending.len() < PENDING_MAX {
            self.pending.push_back((carrier, frame));
        }
    }

    fn end(&mut self, event: Event) {
        self.deliver(event);
        self.life = Life::Over;
    }
}

/// The wait before the next attempt, half of it by chance; `random` is in 0..1.
fn retry_after(tries: u32, random: f64) -> Duration {
    let bound = RETRY_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(RETRY_MAX);
    bound.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

async fn next_signal(signals: &mut Option<signaling::Events>) -> Option<signaling::Event> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_event(link: &mut Option<Link>) -> Option<event::Event> {
    match link {
        Some(link) => link.events.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_at_a_direct_connection_grow_rarer_up_to_a_minute() {
        let bounds: Vec<u64> =
            [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|tries| retry_after(tries, 1.0).as_secs()).into();
        assert_eq!(bounds, [1, 1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(retry_after(2, 0.0), Duration::from_secs(1));
    }
}
