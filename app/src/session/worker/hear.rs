//! What the network says: signalling, the link's state, telemetry.

use std::sync::Arc;
use std::time::Instant;

use farwheel_peer::signaling::{self, Peer, PeerId, Role};
use farwheel_peer::{Admission, Beside, Channel, Event, LinkState, Signal, SignalKind};
use farwheel_proto::control::event::{self, Body};
use farwheel_proto::control::link_report::LinkReport;
use farwheel_proto::control::place::{Outline, Place};
use farwheel_proto::control::probe::Pong;
use farwheel_proto::control::telemetry::Fast;
use farwheel_proto::control::{PathCounts, Status as RobotStatus, Telemetry};
use farwheel_proto::video::CarTime;

use super::Worker;
use crate::script::Pose;
use crate::session::hands::{self, lock};
use crate::session::plan;
use crate::session::problem;
use crate::session::status::Stage;
use crate::session::why::Pictures;

impl Worker {
    pub(super) fn handle_signaling(&mut self, event: signaling::Event, now: Instant) {
        match event {
            signaling::Event::Joined { self_id, peers, ice_servers, .. } => {
                self.own_id = Some(self_id);
                self.ice_servers = ice_servers;
                self.robots.handle_joined(&peers);
                let mut robots: Vec<&Peer> = peers.iter().filter(|p| p.role == Role::Robot).collect();
                // One whose signalling is lost may be dead already; the living first.
                robots.sort_by_key(|peer| !peer.connected);
                let robots = robots.into_iter().map(|peer| peer.id).collect();
                self.change(|status| {
                    status.signaling = true;
                    status.joined = true;
                });
                self.plan.handle(plan::Input::Joined { robots }, now);
                self.adopt();
            }
            signaling::Event::Resumed => self.change(|status| status.signaling = true),
            signaling::Event::PeerJoined(peer) if peer.role == Role::Robot => {
                self.plan.handle(plan::Input::RobotJoined(peer.id), now);
                self.robots.handle_peer_joined(&peer);
                self.adopt();
            }
            signaling::Event::PeerJoined(_) => {}
            signaling::Event::PeerLeft { id, .. } => {
                self.early.retain(|(from, _)| *from != id);
                self.robots.handle_peer_left(id);
                self.plan.handle(plan::Input::PeerLeft(id), now);
            }
            signaling::Event::Signal { from, signal } => self.handle_signal(from, signal, now),
            signaling::Event::IceServers(servers) => self.ice_servers = servers,
            signaling::Event::Refused(refusal) => {
                tracing::warn!(code = %refusal.code, message = refusal.message, "server refused");
            }
            signaling::Event::Lost { reason, retry_in } => {
                let server = self.config.signaling.server.clone();
                self.change(|status| {
                    status.signaling = false;
                    if !status.joined {
                        let problem = problem::unreachable(&server, &reason);
                        status.set_stage(Stage::Unreachable { problem, retry_at: now + retry_in }, now);
                    }
                });
                tracing::info!(reason, retry_ms = retry_in.as_millis() as u64, "signalling lost");
            }
            signaling::Event::Waiting => tracing::info!("the room is locked; waiting to be let in"),
            signaling::Event::Denied => {
                let message = "a moderator did not let this computer in".to_owned();
                let refusal = signaling::Refusal { code: signaling::ErrorCode::Forbidden, message };
                self.handle_signaling(signaling::Event::Fatal(refusal), now);
            }
            // Who drives neither moderates nor is in a pair; data comes by the robot's own channels.
            signaling::Event::Knock(_)
            | signaling::Event::Locked(_)
            | signaling::Event::MuteRequest { .. }
            | signaling::Event::PeerChanged(_)
            | signaling::Event::Data { .. }
            | signaling::Event::PairFound { .. }
            | signaling::Event::Busy => {}
            signaling::Event::Fatal(refusal) => {
                let problem = problem::refused(&refusal, self.config.signaling.place.name().as_str());
                self.change(|status| {
                    status.signaling = false;
                    if !status.is_connected() {
                        status.set_stage(Stage::Ended(problem), now);
                    }
                });
            }
        }
    }

    fn handle_signal(&mut self, from: PeerId, signal: Signal, now: Instant) {
        if let Some(beside) = self.beside.as_ref().filter(|beside| beside.connection.conn() == signal.conn) {
            if beside.robot == from
                && let Some(signal) = self.vouched.handle_signal(signal)
            {
                beside.connection.handle_signal(signal);
            }
            return;
        }
        if signal.beside() != Beside::Nothing {
            // Left over from a second path that was given up: no fresh start of the robot's.
            return;
        }
        if let Some(link) = &self.link
            && link.robot == from
        {
            match link.connection.admits(&signal) {
                Admission::Mine => return link.connection.handle_signal(signal),
                Admission::Stale => return,
                // Either the guess was wrong or the robot has started over: that goes by what shows of the connection.
                Admission::Replace => self.call_robot(link.first),
            }
        }
        let (conn, kind) = (signal.conn, signal.kind);
        if kind == SignalKind::Offer {
            self.early.retain(|(peer, early)| *peer != from || early.conn == conn);
        }
        if kind != SignalKind::Answer && self.early.len() < EARLY_MAX {
            self.early.push((from, signal));
        }
        if kind == SignalKind::Offer {
            self.plan.handle(plan::Input::Offer { from, conn }, now);
        }
    }

    /// After the server has forgotten everybody, the robot comes with another id. Signals of the connections that stand go
    /// there then; the plan is not told, so that an offer from there is still one of another robot.
    fn adopt(&mut self) {
        let Some(link) = self.link.as_ref().filter(|_| self.is_linked()) else { return };
        if let Some(heir) = self.robots.heir(link.robot, link.name.as_deref()) {
            tracing::info!(was = %link.robot, is = %heir, "the robot has another id");
            self.call_robot(heir);
        }
    }

    fn call_robot(&mut self, id: PeerId) {
        for link in self.link.iter_mut().chain(&mut self.beside) {
            link.robot = id;
        }
    }

    pub(super) fn handle_link(&mut self, event: Option<Event>, now: Instant) {
        match event {
            None => {
                // The connection ended without a word: as if it had failed.
                if self.link.take().is_some() {
                    let silence = LinkState::Failed(farwheel_peer::Failure::Silence);
                    self.plan.handle(plan::Input::Link(silence), now);
                }
            }
            Some(Event::Signal(signal)) => {
                if let Some(link) = &self.link {
                    self.client.send(link.robot, signal);
                }
            }
            Some(Event::State(state)) => {
                tracing::info!(?state, "link");
                match state {
                    LinkState::Connected => self.handle_connected(now),
                    LinkState::Connecting | LinkState::Disconnected | LinkState::Failed(_) => {}
                }
                self.plan.handle(plan::Input::Link(state), now);
                self.adopt();
            }
            Some(Event::Message { channel: Channel::Telemetry, data }) => self.handle_telemetry(&data, now),
            Some(Event::Message { channel: Channel::Event, data }) => match event::Event::decode(&data) {
                Ok(event::Event { body: Body::SecondPath { fingerprint }, .. }) => {
                    self.handle_announced(&fingerprint);
                }
                Ok(event) => self.dialogue.handle_event(event),
                Err(e) => tracing::debug!(error = %e, "event not understood"),
            },
            Some(
                Event::Message { channel: Channel::Control | Channel::File, .. }
                | Event::KeyframeRequested(_),
            ) => {}
        }
    }

    fn handle_connected(&mut self, now: Instant) {
        // A link that was only silent comes back with everything as it was.
        let again = self.heard_at.is_some() && matches!(self.plan.state(), plan::State::Linked { .. });
        self.heard_at = Some(now);
        if again {
            return;
        }
        self.change(|status| {
            status.connected += 1;
            status.why.handle_connection();
        });
        self.newest = None;
        self.dialogue.handle_connected();
        lock(&self.shared.clock).handle_connection();
        if let (Some(hands), Some(link)) = (&self.hands, &self.link) {
            hands.sender().handle_connection();
            hands.set_link(Some(hands::Link {
                connection: Arc::clone(&link.connection),
                beside: None,
                sent: Arc::clone(&self.shared.sent),
                orders: self.orders.clone(),
                figures: Arc::clone(&self.shared.figures),
            }));
        }
    }

    fn handle_telemetry(&mut self, data: &[u8], now: Instant) {
        if let Ok(pong) = Pong::decode(data) {
            let mut clock = lock(&self.shared.clock);
            match clock.handle_pong(&pong, now) {
                Ok(()) => {
                    let rtt = clock.rtt();
                    drop(clock);
                    if let Some(rtt) = rtt {
                        lock(&self.shared.figures).handle_rtt(rtt);
                    }
                    self.change(|status| status.rtt = rtt);
                }
                Err(e) => tracing::debug!(error = %e, "pong tells nothing"),
            }
            return;
        }
        if let Ok(place) = Place::decode(data) {
            return self.handle_place(place);
        }
        if let Ok(outline) = Outline::decode(data) {
            return self.handle_outline(&outline);
        }
        if let Ok(report) = LinkReport::decode(data) {
            let shown = lock(&self.shared.figures).fps(now);
            return self.change(|status| {
                let pictures = Pictures { received: status.stats.frames_received, shown };
                status.why.handle_report(&report, status.stats.pair, pictures, now);
            });
        }
        if let Ok(counts) = PathCounts::decode(data) {
            return self.change(|status| status.came_first = counts);
        }
        match Telemetry::decode(data) {
            Ok(Telemetry::Fast(fast)) => self.handle_fast(fast, now),
            Ok(Telemetry::Slow(slow)) => {
                lock(&self.shared.figures).handle_slow(&slow, now);
                self.change(|status| status.slow = Some(slow));
            }
            Err(e) => tracing::debug!(error = %e, "telemetry not understood"),
        }
    }

    /// Takes fast telemetry, which comes by each path: the first copy counts, and nothing older than what counted.
    pub(super) fn handle_fast(&mut self, fast: Fast, now: Instant) {
        let told_at = (fast.boot, fast.car_time);
        if !is_news(self.newest, told_at) {
            return;
        }
        self.newest = Some(told_at);
        self.heard_at = Some(now);
        self.plan.handle(plan::Input::Heard, now);
        lock(&self.shared.figures).handle_fast(&fast);
        if let Some(hands) = &self.hands {
            hands.sender().handle_telemetry(&fast, now);
            hands.see(|seen| {
                seen.armed = fast.status == RobotStatus::Armed;
                seen.laps = fast.laps.into();
                seen.refusal = fast.arm_block.map(|refusal| refusal.to_string());
            });
        }
        self.change(|status| status.fast = Some((fast, now)));
    }

    fn handle_place(&mut self, place: Place) {
        self.change(|status| {
            let speed =
                status.fast.and_then(|(fast, _)| fast.speed_cm_s).map_or(0.0, |cm| f32::from(cm) / 100.0);
            let pose = Pose {
                x: place.x_mm as f32 / 1e3,
                y: place.y_mm as f32 / 1e3,
                heading: place.heading_urad as f32 / 1e6,
                speed,
            };
            status.pose = Some(pose);
            if let Some(hands) = &self.hands {
                hands.see(|seen| seen.pose = Some(pose));
            }
        });
    }

    fn handle_outline(&mut self, outline: &Outline) {
        self.change(|status| {
            let same = status.track.len() == outline.points().len();
            let point = |(x, y): &(i16, i16)| (f32::from(*x) / 100.0, f32::from(*y) / 100.0);
            if same && status.track.iter().copied().eq(outline.points().iter().map(point)) {
                return;
            }
            status.track = outline.points().iter().map(point).collect();
            if let Some(hands) = &self.hands {
                hands.see(|seen| seen.track = Arc::clone(&status.track));
            }
        });
    }
}

const EARLY_MAX: usize = 64;

/// Whether telemetry is newer than the newest that came; a robot that started again counts its time from zero.
fn is_news(newest: Option<(u32, CarTime)>, (boot, at): (u32, CarTime)) -> bool {
    newest.is_none_or(|(known_boot, newest)| boot != known_boot || at > newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_that_came_by_the_other_path_already_is_no_news() {
        let mut newest = None;
        let mut heard = Vec::new();
        for (boot, us) in [(1, 50), (1, 50), (1, 150), (1, 100), (1, 150), (2, 10), (2, 10), (2, 60)] {
            let told_at = (boot, CarTime(us));
            if is_news(newest, told_at) {
                newest = Some(told_at);
                heard.push((boot, us));
            }
        }
        assert_eq!(heard, [(1, 50), (1, 150), (2, 10), (2, 60)]);
    }
}
