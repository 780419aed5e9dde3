//! The task that owns a connection: negotiation, state, watchdog, figures.
//!
//! | worker | job | ends |
//! |---|---|---|
//! | this task | signals, state, watchdog, figures at 4 Hz | the handle is gone or closes |
//! | one per channel, in | messages to the owner's events | with the engine's connection |
//! | one per channel, out | messages from the outbox | with this task |
//! | one per track, out | pictures from the outbox to packets | with this task |
//! | one per track, requests in | key frames asked for by the receiver | with this task |
//! | one per track, in | packets to pictures, repairs, requests | with this task |
//! | sound out, sound in | packets from the outbox, packets to the owner | with this task |

mod media;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use farwheel_proto::rate::Track;
use farwheel_proto::video::Bitrate;
use rtc::peer_connection::configuration::RTCOfferOptions;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use webrtc::peer_connection::{
    RTCIceCandidateInit, RTCIceConnectionState, RTCPeerConnectionState, RTCSessionDescription, StatsSelector,
};

use crate::addresses::{self, Addresses, Footing, Path};
use crate::channels;
use crate::config::{Config, Initiative, Manners};
use crate::connection::{Readers, Shared};
use crate::detour::Inlet;
use crate::engine::{self, Channels, Engine, EngineEvent};
use crate::event::{Event, Failure, LinkState};
use crate::meter::Meter;
use crate::refusal::softened;
use crate::signal::{Signal, SignalKind, fingerprint_in};
use crate::silence::{Due, Silence};
use crate::stats::{CandidateType, Link};
use crate::turns::Pace;
use crate::watchdog::{CONNECT_LIMIT, Watchdog};

/// Events of the engine on their way to the task.
const ENGINE_EVENTS_MAX: usize = 256;
/// Candidates of the peer that came before its description. Full: later ones are dropped; a connect needs few.
const EARLY_CANDIDATES_MAX: usize = 64;
const FIGURES_INTERVAL: Duration = Duration::from_millis(250);
/// From an answer that people carried until all works: the answering side has slowed its checks down.
const CARRIED_LIMIT: Duration = Duration::from_secs(15);
/// A round trip below this is a wire or one room's radio; cellular ones begin at 20 ms.
const NEAR_RTT: Duration = Duration::from_millis(5);
/// Above this a path that began as a near one has become another.
const FAR_RTT: Duration = Duration::from_millis(20);

/// What the handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// From the peer.
    Signal(Signal),
    /// Gather and check again.
    RestartIce,
    /// Four pictures of a track waited and another came.
    SendQueueOverflowed(Track),
    /// Leave nothing behind.
    Close,
}

/// Starts the task; it ends when the handle is gone or asks it to close.
pub(crate) fn spawn(
    config: Config,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    readers: Readers,
    closed: watch::Sender<bool>,
) {
    tokio::spawn(async move {
        let outlet = Outlet { shared, events };
        let end = match Task::start(&config, &outlet, readers).await {
            Ok(mut task) => {
                let end = task.run(&mut commands).await;
                task.tear_down().await;
                end
            }
            Err(failure) => End::Failed(failure),
        };
        outlet.shared.media_open.store(false, Ordering::Release);
        outlet.shared.channels_open.store(false, Ordering::Release);
        if end != End::Failed(Failure::ClosedByPeer) {
            outlet.signal(SignalKind::Bye, Value::Null);
        }
        if let End::Failed(failure) = end {
            tracing::info!(conn = %outlet.shared.conn, %failure, "connection failed");
            outlet.shared.state.send_replace(LinkState::Failed(failure.clone()));
            // The owner hears of it by the event and closes; until then there is nothing to do. However much it has not
            // read yet, this is not dropped: nothing else would tell.
            let closing = async { while !matches!(commands.recv().await, Some(Command::Close) | None) {} };
            tokio::pin!(closing);
            tokio::select! {
                () = &mut closing => {}
                // An error means that nobody will ever read it.
                _ = outlet.events.send(Event::State(LinkState::Failed(failure))) => closing.await,
            }
        }
        drop(outlet);
        closed.send_replace(true);
    });
}

/// Why a connection ends.
#[derive(Debug, PartialEq)]
enum End {
    Asked,
    Failed(Failure),
}

/// Where a task's events go.
struct Outlet {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

impl Outlet {
    fn event(&self, event: Event) {
        // Full: lossy messages leave 64 places free, so the owner has read nothing for long; the watchdog of the
        // other side and its own will notice.
        if self.events.try_send(event).is_err() {
            tracing::debug!(conn = %self.shared.conn, "event dropped: its owner does not read");
        }
    }

    fn signal(&self, kind: SignalKind, data: Value) {
        self.event(Event::Signal(Signal { conn: self.shared.conn, kind, data }));
    }

    fn state(&self, state: LinkState) {
        if *self.shared.state.borrow() != state {
            self.shared.state.send_replace(state.clone());
            self.event(Event::State(state));
        }
    }
}

struct Task<'a> {
    outlet: &'a Outlet,
    config: &'a Config,
    engine: Engine,
    engine_events: mpsc::Receiver<EngineEvent>,
    engine_events_tx: mpsc::Sender<EngineEvent>,
    readers: Readers,
    workers: JoinSet<()>,
    watchdog: Watchdog,
    meter: Meter,
    channels: Option<Channels>,
    is_open: bool,
    early_candidates: Vec<RTCIceCandidateInit>,
    knows_peer: bool,
    /// The certificate that the peer's first description names. The handshake goes by that one, whatever later ones name: a
    /// later one must not be shown as if it had been proved.
    remote_fingerprint: Option<Option<String>>,
    link_up: bool,
    addresses: watch::Receiver<Addresses>,
    footing: Footing,
    /// A pair of addresses is in use: the figures name it. Those of before a restart do not count.
    has_path: bool,
    silence: Silence,
}

impl<'a> Task<'a> {
    async fn start(config: &'a Config, outlet: &'a Outlet, readers: Readers) -> Result<Self, Failure> {
        let now = Instant::now();
        let (engine_events_tx, engine_events) = mpsc::channel(ENGINE_EVENTS_MAX);
        let inlet = Inlet::new(Arc::clone(&outlet.shared), outlet.events.clone());
        let engine = engine::build(config, outlet.shared.uplink.as_ref(), inlet, engine_events_tx.clone())
            .await
            .map_err(|error| Failure::Transport(error.to_string()))?;
        let mut addresses = addresses::watch();
        let mut footing = Footing::default();
        footing.set(&addresses::own(&addresses.borrow_and_update(), &config.bind));
        let mut workers = JoinSet::new();
        workers.spawn(channels::await_open(Arc::clone(&engine.transport), engine_events_tx.clone()));
        let mut task = Self {
            outlet,
            config,
            engine,
            engine_events,
            engine_events_tx,
            readers,
            workers,
            watchdog: Watchdog::new(config.patience.unwrap_or(CONNECT_LIMIT), now),
            meter: Meter::new(now),
            channels: None,
            is_open: false,
            early_candidates: Vec::new(),
            knows_peer: false,
            remote_fingerprint: None,
            link_up: false,
            addresses,
            footing,
            has_path: false,
            silence: match config.patience {
                None => Silence::new(config.initiative),
                Some(_) => Silence::carried(),
            },
        };
        if config.initiative == Initiative::Offer
            && let Err(failure) = task.offer(Restart::No).await
        {
            task.tear_down().await;
            return Err(failure);
        }
        Ok(task)
    }

    async fn run(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let mut figures = tokio::time::interval(FIGURES_INTERVAL);
        figures.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.watchdog.poll_timeout();
            let silence_due = self.silence.poll_timeout();
            let outcome = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Close) | None => return End::Asked,
                    Some(command) => self.handle_command(command).await,
                },
                Some(event) = self.engine_events.recv() => self.handle_engine_event(event).await,
                _ = figures.tick() => {
                    self.measure().await;
                    Ok(())
                }
                Ok(()) = self.addresses.changed() => self.handle_addresses().await,
                () = sleep_until(silence_due) => self.handle_silence(Instant::now()).await,
                () = sleep_until(due) => self.watchdog.expired(Instant::now()).map_or(Ok(()), Err),
            };
            if let Err(failure) = outcome {
                return End::Failed(failure);
            }
        }
    }

    async fn tear_down(&mut self) {
        self.outlet.shared.set_detour(None);
        self.workers.shutdown().await;
        if let Err(error) = self.engine.connection.close().await {
            tracing::debug!(conn = %self.outlet.shared.conn, %error, "engine did not close cleanly");
        }
    }

    async fn handle_command(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Signal(signal) => self.handle_signal(signal).await,
            Command::RestartIce => self.restart().await,
            Command::SendQueueOverflowed(track) => {
                self.outlet.event(Event::KeyframeRequested(track));
                Ok(())
            }
            // Handled where commands are read.
            Command::Close => Ok(()),
        }
    }

    /// Gathers and checks again; an offer that is out does so anyway. Where people carry the descriptions nobody carries another
    /// one, and the one on its way would not fit any more.
    async fn restart(&mut self) -> Result<(), Failure> {
        let pending = self.outlet.shared.offer_pending.load(Ordering::Acquire);
        if !self.knows_peer || pending || self.config.patience.is_some() {
            return Ok(());
        }
        self.note_footing();
        tracing::info!(conn = %self.outlet.shared.conn, "looking for another path");
        self.offer(Restart::Yes).await
    }

    async fn handle_addresses(&mut self) -> Result<(), Failure> {
        let path = if self.silence.is_on() {
            Path::Silent
        } else {
            let at = self.outlet.shared.stats().local_address;
            Path::Works(at.filter(|at| self.has_path && !at.is_unspecified()))
        };
        let addresses = addresses::own(&self.addresses.borrow_and_update(), &self.config.bind);
        if self.footing.has_to_move(&addresses, path) {
            return self.restart().await;
        }
        Ok(())
    }

    /// Candidates are gathered anew, from the addresses there are now.
    fn note_footing(&mut self) {
        self.footing.set(&addresses::own(&self.addresses.borrow_and_update(), &self.config.bind));
        self.has_path = false;
    }

    async fn handle_silence(&mut self, now: Instant) -> Result<(), Failure> {
        match self.silence.poll(now) {
            Some(Due::Ask) => self.outlet.signal(SignalKind::Ping, Value::Null),
            Some(Due::Search) => self.restart().await?,
            Some(Due::GiveUp) => return Err(Failure::Silence),
            None => {}
        }
        Ok(())
    }

    async fn handle_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal.kind {
            SignalKind::Offer => self.answer(description_of(&signal)?).await,
            SignalKind::Answer => {
                let sdp = description_of(&signal)?;
                if !self.outlet.shared.offer_pending.swap(false, Ordering::AcqRel) {
                    // Given up in favour of the peer's own offer.
                    return Ok(());
                }
                self.remote_fingerprint.get_or_insert_with(|| fingerprint_in(&sdp));
                let offer = self.engine.connection.pending_local_description().await;
                let sdp = offer.map_or(sdp.clone(), |offer| softened(&sdp, &offer.sdp));
                let answer = RTCSessionDescription::answer(sdp).map_err(negotiation)?;
                self.engine.connection.set_remote_description(answer).await.map_err(negotiation)?;
                if self.config.patience.is_some() && !self.knows_peer {
                    // The other side has looked for this one for as long as people took.
                    self.watchdog = Watchdog::new(CARRIED_LIMIT, Instant::now());
                }
                self.handle_peer_known().await
            }
            SignalKind::Candidate => {
                match serde_json::from_value::<RTCIceCandidateInit>(signal.data) {
                    Ok(candidate) if candidate.candidate.is_empty() => {}
                    Ok(candidate) if self.knows_peer => self.add_candidate(candidate).await,
                    Ok(candidate) if self.early_candidates.len() < EARLY_CANDIDATES_MAX => {
                        self.early_candidates.push(candidate);
                    }
                    Ok(_) => tracing::debug!("candidate dropped: too many came early"),
                    Err(error) => tracing::debug!(%error, "candidate dropped: not one"),
                }
                Ok(())
            }
            SignalKind::CandidatesEnd => Ok(()),
            SignalKind::Ping => {
                self.outlet.signal(SignalKind::Pong, Value::Null);
                Ok(())
            }
            SignalKind::Pong => {
                self.silence.handle_answer(Instant::now());
                Ok(())
            }
            SignalKind::Bye => Err(Failure::ClosedByPeer),
        }
    }

    async fn offer(&mut self, restart: Restart) -> Result<(), Failure> {
        let options = match restart {
            Restart::No => None,
            Restart::Yes => Some(RTCOfferOptions { ice_restart: true }),
        };
        let offer = self.engine.connection.create_offer(options).await.map_err(negotiation)?;
        let sdp = offer.sdp.clone();
        self.outlet.shared.offer_pending.store(true, Ordering::Release);
        self.engine.connection.set_local_description(offer).await.map_err(negotiation)?;
        let data = match self.config.beside {
            Some(main) => json!({ "sdp": sdp, "beside": main }),
            None => json!({ "sdp": sdp }),
        };
        self.outlet.signal(SignalKind::Offer, data);
        Ok(())
    }

    async fn answer(&mut self, sdp: String) -> Result<(), Failure> {
        if self.outlet.shared.offer_pending.load(Ordering::Acquire) {
            match self.config.manners {
                Manners::Impolite => return Ok(()),
                Manners::Polite => {
                    let rollback = RTCSessionDescription::rollback(None).map_err(negotiation)?;
                    self.engine.connection.set_local_description(rollback).await.map_err(negotiation)?;
                    self.outlet.shared.offer_pending.store(false, Ordering::Release);
                }
            }
        }
        self.remote_fingerprint.get_or_insert_with(|| fingerprint_in(&sdp));
        let offer = RTCSessionDescription::offer(sdp.clone()).map_err(negotiation)?;
        self.engine.connection.set_remote_description(offer).await.map_err(negotiation)?;
        let answer = self.engine.answer(&sdp).await.map_err(negotiation)?;
        let sdp = answer.sdp.clone();
        self.engine.connection.set_local_description(answer).await.map_err(negotiation)?;
        self.outlet.signal(SignalKind::Answer, json!({ "sdp": sdp }));
        self.handle_peer_known().await
    }

    async fn handle_peer_known(&mut self) -> Result<(), Failure> {
        self.knows_peer = true;
        for candidate in std::mem::take(&mut self.early_candidates) {
            self.add_candidate(candidate).await;
        }
        Ok(())
    }

    async fn add_candidate(&self, candidate: RTCIceCandidateInit) {
        if let Err(error) = self.engine.connection.add_ice_candidate(candidate).await {
            tracing::debug!(%error, "candidate not used");
        }
    }

    async fn handle_engine_event(&mut self, event: EngineEvent) -> Result<(), Failure> {
        match event {
            EngineEvent::Candidate(candidate) => {
                self.send_candidate(candidate);
                Ok(())
            }
            EngineEvent::GatheringDone => {
                self.outlet.signal(SignalKind::CandidatesEnd, Value::Null);
                Ok(())
            }
            EngineEvent::Ice(RTCIceConnectionState::Connected | RTCIceConnectionState::Completed) => {
                self.measure().await;
                self.has_path = true;
                let rtt = self.outlet.shared.stats().rtt.unwrap_or_default();
                self.watchdog.handle_path(rtt, Instant::now());
                Ok(())
            }
            EngineEvent::Ice(_) => {
                self.has_path = false;
                Ok(())
            }
            EngineEvent::Link(state) => self.handle_link(state).await,
            EngineEvent::Track(track) => {
                self.handle_track(track).await;
                Ok(())
            }
            EngineEvent::Channels(channels) => {
                self.handle_channels(channels);
                Ok(())
            }
            EngineEvent::NoChannels(error) => Err(Failure::Transport(error.to_string())),
            EngineEvent::Open => {
                self.is_open = true;
                self.report_open();
                Ok(())
            }
            EngineEvent::ChannelClosed(channel) => {
                tracing::debug!(conn = %self.outlet.shared.conn, channel = channel.label(), "channel closed");
                Err(Failure::ClosedByPeer)
            }
            EngineEvent::OwnerTooSlow => Err(Failure::OwnerTooSlow(self.outlet.events.max_capacity())),
        }
    }

    async fn handle_link(&mut self, state: RTCPeerConnectionState) -> Result<(), Failure> {
        match state {
            RTCPeerConnectionState::Connected => {
                self.watchdog.handle_handshake();
                if !self.outlet.shared.media_open.load(Ordering::Acquire) {
                    self.note_descriptions().await;
                    self.outlet.shared.media_open.store(true, Ordering::Release);
                    self.start_sending();
                }
                self.link_up = true;
                self.silence.end();
                self.start_near();
                self.report_open();
                Ok(())
            }
            RTCPeerConnectionState::Disconnected => {
                self.link_up = false;
                self.outlet.state(LinkState::Disconnected);
                self.silence.begin(Instant::now());
                Ok(())
            }
            RTCPeerConnectionState::Failed if self.watchdog.poll_timeout().is_none() => Err(Failure::Silence),
            RTCPeerConnectionState::Failed => {
                Err(Failure::Transport("no pair of addresses works".to_owned()))
            }
            RTCPeerConnectionState::Closed => Err(Failure::ClosedByPeer),
            // Said at the start already.
            _ => Ok(()),
        }
    }

    /// On a path within one building nothing has to be felt for: the first picture has the full rate and size.
    fn start_near(&self) {
        let stats = self.outlet.shared.stats().clone();
        let is_direct = stats.pair.is_some_and(|pair| pair.local != CandidateType::Relayed);
        let is_near = is_direct && stats.rtt.is_some_and(|rtt| rtt < NEAR_RTT);
        self.outlet.shared.near.store(is_near, Ordering::Release);
        if is_near && let Some(uplink) = &self.outlet.shared.uplink {
            uplink.lock().controller().set_start(Bitrate(u32::MAX), Instant::now());
        }
    }

    fn handle_channels(&mut self, channels: Channels) {
        for (channel, data_channel) in &channels {
            self.workers.spawn(channels::receive(
                *channel,
                Arc::clone(data_channel),
                Arc::clone(&self.outlet.shared),
                self.outlet.events.clone(),
                self.engine_events_tx.clone(),
            ));
        }
        self.channels = Some(channels);
    }

    fn report_open(&mut self) {
        if !self.link_up || !self.is_open {
            return;
        }
        // Taken once: a link that comes back has its senders.
        for (channel, data_channel) in self.channels.take().into_iter().flatten() {
            let (shared, turns) = (Arc::clone(&self.outlet.shared), Arc::clone(&self.engine.turns));
            self.workers.spawn(channels::send(channel, data_channel, shared, turns));
        }
        self.watchdog.handle_open();
        self.outlet.shared.channels_open.store(true, Ordering::Release);
        self.outlet.state(LinkState::Connected);
        self.outlet.shared.announce();
    }

    fn send_candidate(&self, candidate: RTCIceCandidateInit) {
        // A socket on all interfaces has no address that the peer could use.
        let is_everywhere = [" 0.0.0.0 ", " :: "].iter().any(|address| candidate.candidate.contains(address));
        if is_everywhere || candidate.candidate.is_empty() {
            return;
        }
        let data = json!({
            "candidate": candidate.candidate,
            // All media share one transport, the first section's.
            "sdpMid": candidate.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| "0".to_owned()),
            "sdpMLineIndex": candidate.sdp_mline_index.unwrap_or(0),
        });
        self.outlet.signal(SignalKind::Candidate, data);
    }

    async fn measure(&mut self) {
        let now = Instant::now();
        let report = self.engine.connection.get_stats(now, StatsSelector::None).await;
        let mut stats = self.outlet.shared.stats();
        self.meter.update(&report, &self.engine.plan, now, &mut stats);
        if let Some(uplink) = &self.outlet.shared.uplink {
            let uplink = uplink.lock();
            stats.packets_repaired = uplink.repairs();
            stats.sound.loss_permille = uplink.sound_loss_permille();
            stats.link =
                uplink.target(Track::Camera).map(|target| Link { status: uplink.status(now), target });
            tracing::debug!(conn = %self.outlet.shared.conn, link = ?stats.link, "link");
        }
        let is_direct = stats.pair.is_some_and(|pair| pair.local != CandidateType::Relayed);
        if !is_direct || stats.rtt.is_some_and(|rtt| rtt > FAR_RTT) {
            self.outlet.shared.near.store(false, Ordering::Release);
        }
        let is_connecting = !self.link_up || self.watchdog.poll_timeout().is_some();
        self.engine.turns.set(if is_direct && !is_connecting { Pace::Plain } else { Pace::Thorough });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    No,
    Yes,
}

fn description_of(signal: &Signal) -> Result<String, Failure> {
    signal.data["sdp"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Negotiation("a description without sdp".to_owned()))
}

fn negotiation(error: webrtc::error::Error) -> Failure {
    Failure::Negotiation(error.to_string())
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
