//! What the signalling server says.

use std::time::{Duration, Instant};

use farwheel_peer::Signal;
use farwheel_peer::signaling::{ErrorCode, Event, LeaveReason, Lock, Peer, PeerId, Role};
use farwheel_proto::call::mesh::{Departure, Verdict};

use super::{Link, Stage, Worker};
use crate::call::lock;
use crate::model::Notice;
use crate::model::call::{Command, Voice};
use crate::model::connect::Problem;
use crate::session::problem;

impl Worker {
    pub(super) fn handle_signaling(&mut self, event: Event, now: Instant) {
        match event {
            Event::Joined { self_id, peers, ice_servers, permissions, policy, lock } => {
                self.ice_servers = ice_servers;
                self.handle_room(&permissions, lock);
                self.room.is_waiting = false;
                self.joined_at.get_or_insert(now);
                self.mesh.set_others_max(policy.max.saturating_sub(1));
                let callers = || peers.iter().filter(|peer| peer.role == Role::Caller);
                self.mesh.handle_joined(self_id, callers().map(|peer| (peer.id, peer.name.as_deref())), now);
                self.set_stage(Stage::In);
                self.act(now);
                callers().for_each(|peer| self.note_rights(peer));
                self.introduce();
            }
            Event::Resumed => {
                match (self.joined_at, self.room.is_waiting) {
                    (Some(_), false) => {
                        self.room.away_since = None;
                        self.mesh.handle_resumed(now);
                    }
                    // As it was before: the stage says how.
                    (Some(_), true) => {}
                    (None, true) => self.set_stage(Stage::Waiting),
                    (None, false) => self.set_stage(Stage::Joining),
                }
            }
            Event::Waiting => self.handle_waiting(now),
            Event::Denied => self.handle_refused(problem::denied(self.room_name()), now),
            Event::PeerJoined(peer) => {
                self.room.knocking.retain(|one| one.id != peer.id);
                if peer.role == Role::Caller {
                    self.mesh.handle_peer_joined(peer.id, peer.name.as_deref(), now);
                    self.act(now);
                    self.note_rights(&peer);
                }
            }
            Event::PeerLeft { id, reason } => {
                self.room.knocking.retain(|one| one.id != id);
                let departure = match reason {
                    LeaveReason::Left | LeaveReason::Kicked | LeaveReason::Denied => Departure::Meant,
                    LeaveReason::Lost | LeaveReason::Replaced => Departure::Lost,
                };
                self.mesh.handle_peer_left(id, departure, now);
            }
            Event::Knock(peer) => self.handle_knock(peer),
            Event::Locked(lock) => self.room.is_locked = lock == Lock::Locked,
            Event::MuteRequest { from } => self.handle_mute_request(from),
            Event::Signal { from, signal } => self.handle_signal(from, signal, now),
            Event::IceServers(servers) => self.ice_servers = servers,
            Event::Refused(refusal) => {
                tracing::warn!(code = %refusal.code, message = refusal.message, "server refused");
                self.shared.notice(Notice::warning(format!("The server refused: {}.", refusal.message)));
            }
            Event::Lost { reason, .. } => {
                self.mesh.handle_server_lost();
                self.room.away_since.get_or_insert(now);
                let is_in = matches!(*lock(&self.shared.stage), Stage::In);
                if !is_in {
                    let server = self.config.room().map_or("", |signaling| &signaling.server);
                    let problem = problem::unreachable(server, &reason);
                    self.set_stage(Stage::Unreachable(problem));
                }
                tracing::info!(reason, "signalling lost");
            }
            Event::Fatal(refusal) => {
                let problem = problem::refused(&refusal, self.room_name());
                if matches!(refusal.code, ErrorCode::Kicked | ErrorCode::SessionReplaced) {
                    self.set_stage(Stage::Ended(problem));
                } else {
                    self.handle_refused(problem, now);
                }
            }
            // No part of a call.
            Event::Data { .. } | Event::PeerChanged(_) | Event::PairFound { .. } | Event::Busy => {}
        }
    }

    /// The room is locked. Who was in the call stays connected to the others while somebody has to let it into the room
    /// again.
    fn handle_waiting(&mut self, now: Instant) {
        self.room.is_waiting = true;
        if self.joined_at.is_none() {
            return self.set_stage(Stage::Waiting);
        }
        self.mesh.handle_server_lost();
        self.room.away_since.get_or_insert(now);
        self.shared.notice(Notice::warning(
            "The server has forgotten this call, and the room is locked: somebody has to let you in again. \
             Whoever is connected stays.",
        ));
        self.shared.wake();
    }

    /// The server does not have this side any more, which ends a call that has no connections. Others outlive it.
    fn handle_refused(&mut self, problem: Problem, now: Instant) {
        if !self.links.values().any(Link::is_up) {
            return self.set_stage(Stage::Ended(problem));
        }
        self.mesh.handle_server_lost();
        self.room.away_since.get_or_insert(now);
        self.shared.notice(Notice::bad(format!("{} Whoever is connected stays.", problem.what)));
        self.refused = Some(problem);
        self.shared.wake();
    }

    /// Ends a call that the server has refused, when the last connection is gone.
    pub(super) fn end_refused(&mut self) {
        if !self.links.values().any(Link::is_up)
            && let Some(problem) = self.refused.take()
        {
            self.set_stage(Stage::Ended(problem));
        }
    }

    fn note_rights(&self, peer: &Peer) {
        if let Some(person) = lock(&self.shared.people).get_mut(peer.id) {
            person.is_moderator = peer.moderator;
        }
    }

    fn room_name(&self) -> &str {
        self.config.title()
    }

    pub(super) fn handle_signal(&mut self, from: PeerId, signal: Signal, now: Instant) {
        let verdict = self.mesh.handle_signal(from, signal.conn, signal.kind, now);
        self.act(now);
        if verdict == Verdict::Deliver
            && let Some(link) = self.links.get(&signal.conn)
        {
            link.connection.handle_signal(signal);
        }
    }

    fn handle_knock(&mut self, peer: Peer) {
        if self.room.knocking.iter().any(|one| one.id == peer.id) {
            return;
        }
        let name = peer.name.clone().unwrap_or_else(|| "Somebody".to_owned());
        self.shared.notice(Notice::good(format!("{name} wants to join.")));
        // Full: 16 wait; the server holds no more in a room's line than it has places.
        if self.room.knocking.len() < KNOCKING_MAX {
            self.room.knocking.push(peer);
        }
        self.shared.wake();
    }

    /// Somebody asks this side over its connection to mute itself: counts without the server, which asks otherwise, and
    /// from those who moderate, once in a while.
    pub(super) fn handle_direct_mute_request(&mut self, from: PeerId, now: Instant) {
        let is_allowed = {
            let mut people = lock(&self.shared.people);
            people.get_mut(from).is_some_and(|person| {
                let before = person.mute_asked_at;
                let is_allowed = self.room.away_since.is_some()
                    && person.is_moderator
                    && before.is_none_or(|at| now.saturating_duration_since(at) >= MUTE_EVERY);
                if is_allowed {
                    person.mute_asked_at = Some(now);
                }
                is_allowed
            })
        };
        if is_allowed {
            self.handle_mute_request(from);
        }
    }

    /// Mutes this side: it was asked to, and can unmute itself.
    fn handle_mute_request(&mut self, from: PeerId) {
        let name = lock(&self.shared.people).get(from).map(|person| person.name.clone());
        let name = name.unwrap_or_else(|| "A moderator".to_owned());
        self.devices.execute(&Command::Voice(Voice::Muted));
        self.shared.notice(Notice::warning(format!("{name} has asked you to mute yourself; you are muted.")));
    }
}

const KNOCKING_MAX: usize = 16;
/// Somebody who unmutes has something to say.
const MUTE_EVERY: Duration = Duration::from_secs(10);
