//! Rooms and pairs, and the requests of a session that is in one or wants to be.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::super::{
    ClientMessage, ErrorCode, Joined, LeaveReason, ModAction, Peer, PeerId, Permission, Policy, Role,
    RoomInfo, RoomName, ServerMessage, Topology,
};
use super::{Carrier, Feature, Host, LinkId, Refusal, Rooms};

/// Names a room; codes of pairs are a name space of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoomKey {
    Open(RoomName),
    Pair(RoomName),
}

impl RoomKey {
    fn name(&self) -> &RoomName {
        match self {
            Self::Open(name) | Self::Pair(name) => name,
        }
    }
}

/// Where a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    /// Has knocked.
    Waiting(RoomKey),
    Inside(RoomKey),
}

#[derive(Default)]
pub(super) struct Room {
    members: BTreeMap<PeerId, Member>,
    waiting: BTreeMap<PeerId, Member>,
    access: Access,
    rev: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Access {
    #[default]
    Unlocked,
    Locked,
}

#[derive(Clone)]
struct Member {
    role: Role,
    meta: Value,
}

/// Most rooms in a list.
const LISTED_MAX: usize = 256;

impl<H: Host> Rooms<H> {
    /// Does what an attached session asks for.
    pub(super) fn handle_request(
        &mut self,
        peer: PeerId,
        link: LinkId,
        id: Option<u64>,
        message: ClientMessage,
        now: Instant,
    ) {
        let outcome = match message {
            ClientMessage::Hello { .. } => {
                Err(Refusal::new(ErrorCode::BadMessage, "hello was said before").into())
            }
            ClientMessage::Join { room, role, meta } => self.join(peer, room, Member { role, meta }, now),
            ClientMessage::Pair { code, meta } => self.pair(peer, code, meta, now),
            ClientMessage::Leave => self.leave(peer, now).map_err(Into::into),
            ClientMessage::Signal { to, conn, kind, data } => self
                .forward(peer, to, |from| ServerMessage::Signal { from, conn, kind, data }, now)
                .map_err(Into::into),
            ClientMessage::Data { to, data } => self.data(peer, to, data, now).map_err(Into::into),
            ClientMessage::SetMeta { meta } => self.set_meta(peer, meta, now).map_err(Into::into),
            ClientMessage::ListRooms => self.list_rooms(peer, link).map_err(Into::into),
            ClientMessage::IceServers => {
                let (ice_servers, ice_expires) = self.host.ice_servers(peer, link);
                self.send_on(link, ServerMessage::IceServers { ice_servers, ice_expires });
                Ok(())
            }
            ClientMessage::Admit { peer: whom } => self.admit(peer, whom, now).map_err(Into::into),
            ClientMessage::Deny { peer: whom } => self.deny(peer, whom, now).map_err(Into::into),
            ClientMessage::Mod { action } => self.moderate(peer, action, now).map_err(Into::into),
            ClientMessage::Ping { t, ack } => {
                let session = self.sessions.get_mut(&peer).expect("the caller found it");
                if let Some(ack) = ack {
                    session.forget_through(ack);
                }
                let ack = session.received;
                self.send_on(link, ServerMessage::Pong { t, ack });
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {}
            Err(Failed::Request(refusal)) => self.refuse(peer, id, refusal),
            Err(Failed::Connection(refusal)) => {
                // A session that may not be where it wants to be has nothing to resume.
                self.close(link, id, refusal, now);
                self.end_session(peer, LeaveReason::Lost, now);
            }
        }
    }

    fn join(&mut self, peer: PeerId, name: RoomName, member: Member, now: Instant) -> Result<(), Failed> {
        self.check_nowhere(peer)?;
        self.check_meta(&member.meta)?;
        self.check_permission(peer, member.role.permission()).map_err(Failed::Connection)?;
        if self.config.rooms.as_ref().is_some_and(|rooms| !rooms.contains(&name)) {
            let message = format!("this server has no room {name}");
            return Err(Failed::Connection(Refusal::new(ErrorCode::RoomNotFound, message)));
        }
        let key = RoomKey::Open(name);
        self.replace_ghost(&key, peer, member.role, now);
        let max = self.capacity(member.role);
        let room = self.rooms.entry(key.clone()).or_default();
        let counted =
            room.members.values().filter(|m| self.config.sfu.is_none() || is_viewer(m) == is_viewer(&member));
        if counted.count() >= max || room.waiting.len() >= self.config.limits.mesh_peers {
            let message = format!("room {} is full: {max} are in it", key.name());
            return Err(Failed::Connection(Refusal::new(ErrorCode::RoomFull, message)));
        }
        match room.access {
            Access::Unlocked => self.enter(peer, key, member, now),
            Access::Locked => {
                room.waiting.insert(peer, member);
                let members = room.members.keys().copied().collect::<Vec<_>>();
                let newcomer = self.peer(&key, peer);
                self.place(peer, Place::Waiting(key.clone()));
                self.deliver(peer, ServerMessage::Waiting { room: key.name().clone() }, now);
                for member in members {
                    if self.is_moderator(member) {
                        self.deliver(member, ServerMessage::Knock { peer: newcomer.clone() }, now);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a peer into a room, tells it who is there, and the others that it came.
    fn enter(&mut self, peer: PeerId, key: RoomKey, member: Member, now: Instant) {
        let max = self.capacity(member.role);
        let room = self.rooms.entry(key.clone()).or_default();
        room.members.insert(peer, member);
        room.rev += 1;
        let rev = room.rev;
        self.place(peer, Place::Inside(key.clone()));
        let own = self.peer(&key, peer);
        let joined = Joined {
            room: key.name().clone(),
            rev,
            own: own.clone(),
            permissions: self.sessions[&peer].permissions.to_vec(),
            peers: self.others(&key, peer).into_iter().map(|other| self.peer(&key, other)).collect(),
            policy: Policy {
                topology: if self.config.sfu.is_some() { Topology::Sfu } else { Topology::Mesh },
                max,
                sfu: self.config.sfu.clone(),
            },
            locked: self.rooms[&key].access == Access::Locked,
        };
        self.deliver(peer, ServerMessage::Joined(joined), now);
        if self.is_moderator(peer) {
            for waiting in self.rooms[&key].waiting.keys().copied().collect::<Vec<_>>() {
                let knock = ServerMessage::Knock { peer: self.peer(&key, waiting) };
                self.deliver(peer, knock, now);
            }
        }
        for other in self.others(&key, peer) {
            self.deliver(other, ServerMessage::PeerJoined { peer: own.clone(), rev }, now);
        }
    }

    fn pair(&mut self, peer: PeerId, code: RoomName, meta: Value, now: Instant) -> Result<(), Failed> {
        self.check_feature(Feature::Pair)?;
        self.check_nowhere(peer)?;
        self.check_meta(&meta)?;
        self.check_permission(peer, Permission::Call).map_err(Failed::Connection)?;
        let key = RoomKey::Pair(code.clone());
        self.replace_ghost(&key, peer, Role::Caller, now);
        let room = self.rooms.entry(key.clone()).or_default();
        let first = match room.members.len() {
            0 => None,
            1 => room.members.keys().next().copied(),
            _ => {
                self.deliver(peer, ServerMessage::Busy { code }, now);
                return Ok(());
            }
        };
        room.members.insert(peer, Member { role: Role::Caller, meta });
        room.rev += 1;
        self.place(peer, Place::Inside(key.clone()));
        match first {
            None => self.deliver(peer, ServerMessage::Waiting { room: code }, now),
            Some(first) => {
                let (a, b) = (self.peer(&key, first), self.peer(&key, peer));
                self.deliver(first, ServerMessage::PairFound { own: first, peer: b, initiator: false }, now);
                self.deliver(peer, ServerMessage::PairFound { own: peer, peer: a, initiator: true }, now);
            }
        }
        Ok(())
    }

    fn leave(&mut self, peer: PeerId, now: Instant) -> Result<(), Refusal> {
        if self.sessions[&peer].place == Place::Nowhere {
            return Err(Refusal::new(ErrorCode::NotJoined, "there is nothing to leave"));
        }
        self.leave_place(peer, LeaveReason::Left, now);
        self.deliver(peer, ServerMessage::Left { reason: LeaveReason::Left }, now);
        Ok(())
    }

    /// Takes a peer out of wherever it is and tells the others.
    pub(super) fn leave_place(&mut self, peer: PeerId, reason: LeaveReason, now: Instant) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        let key = match std::mem::replace(&mut session.place, Place::Nowhere) {
            Place::Nowhere => return,
            Place::Waiting(key) | Place::Inside(key) => key,
        };
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let was_waiting = room.waiting.remove(&peer).is_some();
        let was_inside = room.members.remove(&peer).is_some();
        if room.members.is_empty() && room.waiting.is_empty() {
            self.rooms.remove(&key);
            return;
        }
        if was_inside {
            room.rev += 1;
            let rev = room.rev;
            for other in self.others(&key, peer) {
                self.deliver(other, ServerMessage::PeerLeft { peer, rev, reason }, now);
            }
            self.unlock_without_moderator(&key, now);
        } else if was_waiting {
            self.tell_of_waiting(&key, peer, reason, now);
        }
    }

    /// Tells the moderators that somebody who knocked waits no longer.
    fn tell_of_waiting(&mut self, key: &RoomKey, peer: PeerId, reason: LeaveReason, now: Instant) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.rev += 1;
        let rev = room.rev;
        for moderator in room.members.keys().copied().collect::<Vec<_>>() {
            if self.is_moderator(moderator) {
                self.deliver(moderator, ServerMessage::PeerLeft { peer, rev, reason }, now);
            }
        }
    }

    /// A restarted program takes the place that its predecessor still holds.
    fn replace_ghost(&mut self, key: &RoomKey, peer: PeerId, role: Role, now: Instant) {
        let Some(name) = self.sessions[&peer].name.clone() else {
            return;
        };
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let ghosts: Vec<_> = room
            .members
            .iter()
            .filter(|(id, member)| {
                member.role == role
                    && self
                        .sessions
                        .get(id)
                        .is_some_and(|s| !s.is_attached() && s.name.as_ref() == Some(&name))
            })
            .map(|(id, _)| *id)
            .collect();
        for ghost in ghosts {
            self.end_session(ghost, LeaveReason::Replaced, now);
        }
    }

    fn forward(
        &mut self,
        from: PeerId,
        to: PeerId,
        message: impl FnOnce(PeerId) -> ServerMessage,
        now: Instant,
    ) -> Result<(), Refusal> {
        let key = self.inside(from)?;
        if to == from || !self.rooms[&key].members.contains_key(&to) {
            return Err(Refusal::new(ErrorCode::PeerNotFound, format!("peer {to} is not in the room")));
        }
        self.deliver(to, message(from), now);
        Ok(())
    }

    fn data(&mut self, from: PeerId, to: Option<PeerId>, data: Value, now: Instant) -> Result<(), Refusal> {
        self.check_feature(Feature::Data)?;
        let (bytes, max) = (data.to_string().len(), self.config.limits.data_bytes);
        if bytes > max {
            let message = format!("data has {bytes} bytes, at most {max} are allowed");
            return Err(Refusal::new(ErrorCode::TooLarge, message));
        }
        match to {
            Some(to) => self.forward(from, to, |from| ServerMessage::Data { from, data }, now),
            None => {
                let key = self.inside(from)?;
                for to in self.others(&key, from) {
                    self.deliver(to, ServerMessage::Data { from, data: data.clone() }, now);
                }
                Ok(())
            }
        }
    }

    fn set_meta(&mut self, peer: PeerId, meta: Value, now: Instant) -> Result<(), Refusal> {
        let key = self.inside(peer)?;
        self.check_meta(&meta)?;
        if let Some(member) = self.rooms.get_mut(&key).and_then(|room| room.members.get_mut(&peer)) {
            member.meta = meta;
        }
        self.announce_change(peer, now);
        Ok(())
    }

    /// Tells the room what a peer is like.
    pub(super) fn announce_change(&mut self, peer: PeerId, now: Instant) {
        let Ok(key) = self.inside(peer) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        room.rev += 1;
        let rev = room.rev;
        let changed = self.peer(&key, peer);
        for other in self.others(&key, peer) {
            self.deliver(other, ServerMessage::PeerChanged { peer: changed.clone(), rev }, now);
        }
    }

    fn list_rooms(&mut self, peer: PeerId, link: LinkId) -> Result<(), Refusal> {
        self.check_feature(Feature::List)?;
        self.check_permission(peer, Permission::List)?;
        let rooms = self.rooms.iter().filter_map(|(key, room)| {
            let RoomKey::Open(name) = key else { return None };
            let robots = room.members.iter().filter(|(_, m)| m.role == Role::Robot);
            let robots: Vec<_> = robots.map(|(id, _)| self.peer(key, *id)).collect();
            let count = |role| room.members.values().filter(|member| member.role == role).count();
            (!robots.is_empty()).then(|| RoomInfo {
                room: name.clone(),
                robots,
                peers: room.members.len(),
                drivers: Some(count(Role::Driver)),
                viewers: Some(count(Role::Viewer)),
                max: self.capacity(Role::Driver),
                locked: room.access == Access::Locked,
            })
        });
        // A quarter of what may wait for a reader, so that a list alone never makes one slow.
        let mut bytes_left = self.config.limits.queue_bytes / 4;
        let rooms = rooms
            .take(LISTED_MAX)
            .take_while(|info| {
                let size = serde_json::to_vec(info).map_or(usize::MAX, |text| text.len());
                let fits = size <= bytes_left;
                bytes_left = bytes_left.saturating_sub(size);
                fits
            })
            .collect();
        self.send_on(link, ServerMessage::Rooms { rooms });
        Ok(())
    }

    fn admit(&mut self, moderator: PeerId, whom: PeerId, now: Instant) -> Result<(), Refusal> {
        let (key, member) = self.take_waiting(moderator, whom)?;
        if self.rooms[&key].members.len() >= self.capacity(member.role) {
            self.rooms.get_mut(&key).expect("just looked at").waiting.insert(whom, member);
            return Err(Refusal::new(ErrorCode::RoomFull, format!("room {} is full", key.name())));
        }
        self.enter(whom, key, member, now);
        Ok(())
    }

    fn deny(&mut self, moderator: PeerId, whom: PeerId, now: Instant) -> Result<(), Refusal> {
        let (key, _) = self.take_waiting(moderator, whom)?;
        self.place(whom, Place::Nowhere);
        self.deliver(whom, ServerMessage::Left { reason: LeaveReason::Denied }, now);
        self.tell_of_waiting(&key, whom, LeaveReason::Denied, now);
        Ok(())
    }

    fn take_waiting(&mut self, moderator: PeerId, whom: PeerId) -> Result<(RoomKey, Member), Refusal> {
        self.check_feature(Feature::Lobby)?;
        let key = self.inside(moderator)?;
        self.check_permission(moderator, Permission::Moderate)?;
        let room = self.rooms.get_mut(&key).expect("somebody is inside");
        match room.waiting.remove(&whom) {
            Some(member) => Ok((key, member)),
            None => Err(Refusal::new(ErrorCode::PeerNotFound, format!("peer {whom} does not wait"))),
        }
    }

    fn moderate(&mut self, moderator: PeerId, action: ModAction, now: Instant) -> Result<(), Refusal> {
        self.check_feature(Feature::Lobby)?;
        let key = self.inside(moderator)?;
        self.check_permission(moderator, Permission::Moderate)?;
        match action {
            ModAction::Lock => self.set_access(&key, Access::Locked, now),
            ModAction::Unlock => self.set_access(&key, Access::Unlocked, now),
            ModAction::MuteRequest { peer } => {
                return self.forward(moderator, peer, |from| ServerMessage::MuteRequest { from }, now);
            }
            ModAction::Kick { peer } => {
                if peer == moderator || !self.rooms[&key].members.contains_key(&peer) {
                    let message = format!("peer {peer} is not in the room");
                    return Err(Refusal::new(ErrorCode::PeerNotFound, message));
                }
                let carrier = self.sessions.get(&peer).map(|s| s.carrier);
                self.end_session(peer, LeaveReason::Kicked, now);
                if let Some(Carrier::Attached(link)) = carrier {
                    let refusal = Refusal::new(ErrorCode::Kicked, "a moderator removed you from the room");
                    self.close(link, None, refusal, now);
                }
            }
        }
        Ok(())
    }

    fn set_access(&mut self, key: &RoomKey, access: Access, now: Instant) {
        let Some(room) = self.rooms.get_mut(key).filter(|room| room.access != access) else {
            return;
        };
        room.access = access;
        room.rev += 1;
        let (rev, locked) = (room.rev, access == Access::Locked);
        let waiting = if locked { BTreeMap::new() } else { std::mem::take(&mut room.waiting) };
        for member in room.members.keys().copied().collect::<Vec<_>>() {
            self.deliver(member, ServerMessage::Locked { locked, rev }, now);
        }
        for (peer, member) in waiting {
            if self.rooms.get(key).map_or(0, |room| room.members.len()) < self.capacity(member.role) {
                self.enter(peer, key.clone(), member, now);
            } else {
                self.place(peer, Place::Nowhere);
                self.deliver(peer, ServerMessage::Left { reason: LeaveReason::Denied }, now);
                self.tell_of_waiting(key, peer, LeaveReason::Denied, now);
            }
        }
    }

    /// A locked room that nobody could open would be lost.
    fn unlock_without_moderator(&mut self, key: &RoomKey, now: Instant) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        if !room.members.keys().any(|member| self.is_moderator(*member)) {
            self.set_access(key, Access::Unlocked, now);
        }
    }

    fn is_moderator(&self, peer: PeerId) -> bool {
        self.sessions.get(&peer).is_some_and(|session| session.may(Permission::Moderate))
    }

    fn place(&mut self, peer: PeerId, place: Place) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.place = place;
        }
    }

    fn inside(&self, peer: PeerId) -> Result<RoomKey, Refusal> {
        match self.sessions.get(&peer).map(|session| &session.place) {
            Some(Place::Inside(key)) => Ok(key.clone()),
            Some(Place::Nowhere | Place::Waiting(_)) | None => {
                Err(Refusal::new(ErrorCode::NotJoined, "join a room first"))
            }
        }
    }

    fn others(&self, key: &RoomKey, peer: PeerId) -> Vec<PeerId> {
        let members = self.rooms.get(key).into_iter().flat_map(|room| room.members.keys().copied());
        members.filter(|other| *other != peer).collect()
    }

    /// A member or a waiting one as others see it.
    fn peer(&self, key: &RoomKey, id: PeerId) -> Peer {
        let room = self.rooms.get(key);
        let member = room.and_then(|room| room.members.get(&id).or_else(|| room.waiting.get(&id)));
        let session = self.sessions.get(&id);
        Peer {
            id,
            role: member.map_or(Role::Viewer, |m| m.role),
            name: session.and_then(|s| s.name.as_deref().map(Into::into)),
            meta: member.map_or(Value::Null, |m| m.meta.clone()),
            connected: session.is_some_and(super::Session::is_attached),
            moderator: session.is_some_and(|s| s.may(Permission::Moderate)),
        }
    }

    fn capacity(&self, role: Role) -> usize {
        match (&self.config.sfu, role) {
            (Some(_), Role::Viewer) => self.config.limits.sfu_viewers,
            _ => self.config.limits.mesh_peers,
        }
    }

    fn check_nowhere(&self, peer: PeerId) -> Result<(), Refusal> {
        match &self.sessions[&peer].place {
            Place::Nowhere => Ok(()),
            Place::Waiting(key) | Place::Inside(key) => {
                let message = format!("this session is in room {}; leave it first", key.name());
                Err(Refusal::new(ErrorCode::AlreadyJoined, message))
            }
        }
    }

    fn check_meta(&self, meta: &Value) -> Result<(), Refusal> {
        let (bytes, max) = (meta.to_string().len(), self.config.limits.meta_bytes);
        match meta {
            Value::Null | Value::Object(_) if bytes <= max => Ok(()),
            _ => {
                Err(Refusal::new(ErrorCode::BadMessage, format!("meta is an object of at most {max} bytes")))
            }
        }
    }

    fn check_permission(&self, peer: PeerId, permission: Permission) -> Result<(), Refusal> {
        if self.sessions[&peer].may(permission) {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::Forbidden, format!("this needs the permission {}", permission.as_str())))
    }

    fn check_feature(&self, feature: Feature) -> Result<(), Refusal> {
        if self.config.features.contains(&feature) {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::NotSupported, format!("this server does not offer {}", feature.as_str())))
    }
}

/// How a request failed.
pub(super) enum Failed {
    /// The session goes on.
    Request(Refusal),
    /// It does not.
    Connection(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

fn is_viewer(member: &Member) -> bool {
    member.role == Role::Viewer
}
