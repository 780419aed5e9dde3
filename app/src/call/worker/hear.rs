//! What the signalling server says.

use std::time::Instant;

use farwheel_peer::Signal;
use farwheel_peer::signaling::{Event, LeaveReason, Lock, Peer, PeerId, Role};
use farwheel_proto::call::mesh::{Departure, Verdict};

use super::{Stage, Worker};
use crate::call::lock;
use crate::model::Notice;
use crate::model::call::{Command, Voice};
use crate::session::problem;

impl Worker {
    pub(super) fn handle_signaling(&mut self, event: Event, now: Instant) {
        match event {
            Event::Joined { self_id, peers, ice_servers, permissions, policy, lock } => {
                self.ice_servers = ice_servers;
                self.handle_room(&permissions, lock);
                self.joined_at.get_or_insert(now);
                self.mesh.set_others_max(policy.max.saturating_sub(1));
                let callers = peers.iter().filter(|peer| peer.role == Role::Caller);
                self.mesh.handle_joined(self_id, callers.map(|peer| (peer.id, peer.name.as_deref())), now);
                self.set_stage(Stage::In);
                self.act(now);
                self.introduce();
            }
            Event::Resumed => {
                self.room.away_since = None;
                self.mesh.handle_resumed(now);
            }
            Event::Waiting => self.set_stage(Stage::Waiting),
            Event::Denied => self.set_stage(Stage::Ended(problem::denied(self.room_name()))),
            Event::PeerJoined(peer) => {
                self.room.knocking.retain(|one| one.id != peer.id);
                if peer.role == Role::Caller {
                    self.mesh.handle_peer_joined(peer.id, peer.name.as_deref(), now);
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
                self.set_stage(Stage::Ended(problem::refused(&refusal, self.room_name())));
            }
            // No part of a call.
            Event::Data { .. } | Event::PeerChanged(_) | Event::PairFound { .. } | Event::Busy => {}
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

    /// Mutes this side: it was asked to, and can unmute itself.
    pub(super) fn handle_mute_request(&mut self, from: PeerId) {
        let name = lock(&self.shared.people).get(from).map(|person| person.name.clone());
        let name = name.unwrap_or_else(|| "A moderator".to_owned());
        self.devices.execute(&Command::Voice(Voice::Muted));
        self.shared.notice(Notice::warning(format!("{name} has asked you to mute yourself; you are muted.")));
    }
}

const KNOCKING_MAX: usize = 16;
