//! Who connects to whom in a call: one connection for each pair, whatever the signalling server does.
//!
//! Each member of the room is a [`Member`] with at most one connection:
//!
//! | link | input | next |
//! |---|---|---|
//! | none | it was in the room when we came | offer, `Connecting` (the newcomer offers) |
//! | none | it comes | `Awaiting` its offer, own offer after 1.5 s |
//! | any, own offer not answered, impolite | its offer | dropped: it takes ours |
//! | any other | its offer under another id | old connection closed, answer, `Connecting` |
//! | `Connecting`, `Linked` | connected | `Linked` |
//! | `Linked` | silent, back | `Linked` with or without `silent_since` |
//! | `Connecting`, `Linked` | failed, it is in the room and the server is here | `Waiting`, with growing pauses, then offer |
//! | `Connecting`, `Linked` | failed, else | `Lost`: sought when it or the server is back; removed after 60 s with the server |
//! | any | it says goodbye, leaves, is put out | removed |
//! | `Linked` | the server has lost it | stays: media outlive signalling; removed after 60 s with the server |
//!
//! A member whose session at the server is lost comes back under another peer id. It says so over its connection
//! ([`Mesh::handle_introduction`]) and keeps its place, as soon as the server has lost the old id and lists the new one:
//! nobody gets an id by saying so. Without a connection it is known by its name.
//! Perfect negotiation: the smaller peer id is polite.

mod member;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use member::{Link, Member, Presence};

use crate::signaling::{ConnId, Initiative, Manners, PeerId, SignalKind};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Build a connection to this member.
    Open {
        /// To whom.
        member: PeerId,
        /// Under which id.
        conn: ConnId,
        /// Who makes the offer.
        initiative: Initiative,
        /// Who gives way.
        manners: Manners,
    },
    /// Close this connection.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// A member is here.
    Came(PeerId),
    /// A member is gone for good.
    Gone(PeerId),
    /// A member has another peer id now.
    Renamed {
        /// It was this.
        from: PeerId,
        /// It is this.
        to: PeerId,
        /// How it is known.
        by: Mark,
    },
}

/// How somebody with another id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its connection stands, and it said so over it.
    Connection,
    /// It has the name of somebody who is gone and not connected: anybody could have taken it.
    Name,
}

/// What a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It stands.
    Connected,
    /// Nothing is heard; it may come back.
    Silent,
    /// It is over.
    Failed,
}

/// What to do with a signal, after the commands were carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the connection with its id.
    Deliver,
    /// Drop it: left over from an earlier attempt, or the loser of a glare.
    Drop,
}

/// Why a peer is not in the room any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It left, or was put out.
    Meant,
    /// The server has lost it.
    Lost,
}

/// Decides who is connected to whom.
#[derive(Debug)]
pub struct Mesh {
    own: Option<PeerId>,
    server: Server,
    members: Vec<Member>,
    others_max: usize,
    seed: u64,
    // Bounded by what one input can cause: three for each member. The owner empties it after each input.
    commands: VecDeque<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Away,
    Here { since: Instant },
}

impl Mesh {
    /// A call that nobody else is in. `seed` makes the connection ids: a random number.
    pub fn new(seed: u64) -> Self {
        Self {
            own: None,
            server: Server::Away,
            members: Vec::new(),
            others_max: OTHERS_MAX,
            seed,
            commands: VecDeque::new(),
        }
    }

    /// How many others may be there at most; what the server's policy says.
    pub fn set_others_max(&mut self, others: usize) {
        self.others_max = others.clamp(1, OTHERS_MAX);
    }

    /// This side's id at the server; none before the room was joined.
    pub fn own(&self) -> Option<PeerId> {
        self.own
    }

    /// The others, in the order in which they came.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this id.
    pub fn member(&self, id: PeerId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// In the room under the id `own`, for the first time or after a loss whose session could not be resumed. These peers
    /// are there, each with its name.
    pub fn handle_joined<'a>(
        &mut self,
        own: PeerId,
        peers: impl IntoIterator<Item = (PeerId, Option<&'a str>)>,
        now: Instant,
    ) {
        self.own = Some(own);
        self.server = Server::Here { since: now };
        for member in &mut self.members {
            member.leave_room(now);
        }
        let peers: Vec<_> = peers.into_iter().collect();
        for (id, _) in &peers {
            if let Some(index) = self.index(*id) {
                self.members[index].presence = Presence::Here;
            }
        }
        for (id, _) in &peers {
            self.recognise(*id, now);
        }
        for (id, name) in peers {
            match self.index(id) {
                Some(index) => {
                    self.members[index].set_name(name);
                    if matches!(self.members[index].link, Link::Lost { .. } | Link::Waiting { .. }) {
                        self.offer(index, now);
                    }
                }
                None => {
                    let Some(index) = self.take_in(id, name, now) else { continue };
                    if self.has_unrecognised() {
                        // It may be somebody whom we are connected to: it says so soon, if it is.
                        self.members[index].link = Link::Awaiting { until: now + INTRODUCTION };
                    } else {
                        self.offer(index, now);
                    }
                }
            }
        }
    }

    /// Back at the server in the same session.
    pub fn handle_resumed(&mut self, now: Instant) {
        self.server = Server::Here { since: now };
        for member in &mut self.members {
            match &mut member.link {
                Link::Lost { .. } if member.presence == Presence::Here => {
                    member.link = Link::Waiting { at: now };
                }
                Link::Awaiting { until: at } | Link::Waiting { at } => *at = (*at).max(now),
                Link::Lost { .. } | Link::Connecting { .. } | Link::Linked { .. } => {}
            }
        }
    }

    /// The server is away.
    pub fn handle_server_lost(&mut self) {
        self.server = Server::Away;
    }

    /// Somebody came.
    pub fn handle_peer_joined(&mut self, id: PeerId, name: Option<&str>, now: Instant) {
        self.recognise(id, now);
        if let Some(index) = self.index(id) {
            let member = &mut self.members[index];
            member.presence = Presence::Here;
            member.set_name(name);
            if matches!(member.link, Link::Lost { .. }) {
                member.link = Link::Waiting { at: now + OFFER_WAIT };
            }
            return;
        }
        let patience = if self.has_unrecognised() { INTRODUCTION } else { OFFER_WAIT };
        if let Some(index) = self.take_in(id, name, now) {
            self.members[index].link = Link::Awaiting { until: now + patience };
        }
    }

    /// Somebody went.
    pub fn handle_peer_left(&mut self, id: PeerId, departure: Departure, now: Instant) {
        let Some(index) = self.index(id) else { return };
        let is_linked = matches!(self.members[index].link, Link::Linked { .. });
        match departure {
            Departure::Lost if is_linked || self.members[index].was_linked => {
                self.members[index].leave_room(now);
            }
            Departure::Lost | Departure::Meant => self.remove(index),
        }
    }

    /// The user puts somebody out: the connection is closed whatever the server makes of it, which may not list it.
    pub fn put_out(&mut self, id: PeerId) {
        if let Some(index) = self.index(id) {
            self.remove(index);
        }
    }

    /// Somebody said over its connection that it leaves.
    pub fn handle_goodbye(&mut self, conn: ConnId) {
        if let Some(index) = self.by_conn(conn) {
            self.remove(index);
        }
    }

    /// Somebody said over its connection what its peer id is at the moment.
    ///
    /// It is believed only if its former id is not in the room any more, the server lists the new one, and nobody was
    /// there under the new one before that: otherwise anybody could give itself out as another, or as nobody.
    pub fn handle_introduction(&mut self, conn: ConnId, id: PeerId) {
        let Some(index) = self.by_conn(conn) else { return };
        let from = self.members[index].id;
        if from == id || Some(id) == self.own {
            self.members[index].claims = None;
            return;
        }
        let Some(other) = self.index(id) else {
            // The room's list comes another way, and may still be on its way.
            self.members[index].claims = Some(id);
            return;
        };
        let Presence::Away { since: left_at } = self.members[index].presence else { return };
        if self.members[other].came_at < left_at {
            return;
        }
        match self.members[other].link {
            // Both connections stand between the same two: each side keeps the one with the smaller id.
            Link::Linked { conn: second, .. } if second < conn => self.remove(index),
            Link::Linked { .. }
            | Link::Connecting { .. }
            | Link::Awaiting { .. }
            | Link::Waiting { .. }
            | Link::Lost { .. } => {
                let replaced = self.members[other].link.conn();
                self.commands.extend(replaced.map(|conn| Command::Close { conn }));
                self.commands.push_back(Command::Gone(id));
                self.members[index].presence = self.members[other].presence;
                self.members[index].came_at = self.members[other].came_at;
                self.rename(index, id, Mark::Connection);
                self.members.remove(other);
            }
        }
    }

    /// A signal of `kind` came from a peer for the connection `conn`. Carry out the commands, then follow the verdict.
    pub fn handle_signal(&mut self, from: PeerId, conn: ConnId, kind: SignalKind, now: Instant) -> Verdict {
        if kind == SignalKind::Offer {
            self.recognise(from, now);
        }
        let index = match (self.index(from), kind) {
            (Some(index), _) => index,
            // The room's list tells of everybody first; a server that does not is believed all the same.
            (None, SignalKind::Offer) => match self.take_in(from, None, now) {
                Some(index) => index,
                None => return Verdict::Drop,
            },
            (None, _) => return Verdict::Drop,
        };
        let current = self.members[index].link.conn();
        match kind {
            SignalKind::Offer if current == Some(conn) => Verdict::Deliver,
            SignalKind::Offer => {
                let manners = self.manners(from);
                if matches!(self.members[index].link, Link::Connecting { offer: Offer::Pending, .. })
                    && manners == Manners::Impolite
                {
                    return Verdict::Drop;
                }
                self.commands.extend(current.map(|conn| Command::Close { conn }));
                self.connect(index, conn, Initiative::Answer, now);
                Verdict::Deliver
            }
            SignalKind::Answer if current == Some(conn) => {
                if let Link::Connecting { offer, .. } = &mut self.members[index].link {
                    *offer = Offer::Settled;
                }
                Verdict::Deliver
            }
            SignalKind::Candidate
            | SignalKind::CandidatesEnd
            | SignalKind::Ping
            | SignalKind::Pong
            | SignalKind::Bye
                if current == Some(conn) =>
            {
                Verdict::Deliver
            }
            SignalKind::Answer
            | SignalKind::Candidate
            | SignalKind::CandidatesEnd
            | SignalKind::Ping
            | SignalKind::Pong
            | SignalKind::Bye => Verdict::Drop,
        }
    }

    /// A connection changed.
    pub fn handle_link(&mut self, conn: ConnId, change: LinkChange, now: Instant) {
        let Some(index) = self.by_conn(conn) else { return };
        let member = &mut self.members[index];
        match change {
            LinkChange::Connected => {
                member.link = Link::Linked { conn, silent_since: None };
                member.was_linked = true;
                member.down_since = None;
                member.attempts = 0;
            }
            LinkChange::Silent => {
                if let Link::Linked { silent_since, .. } = &mut member.link {
                    silent_since.get_or_insert(now);
                    member.down_since.get_or_insert(now);
                }
            }
            LinkChange::Failed => {
                self.commands.push_back(Command::Close { conn });
                member.down_since.get_or_insert(now);
                let (presence, was_linked) = (member.presence, member.was_linked);
                match (presence, self.server) {
                    (Presence::Here, Server::Here { .. }) => {
                        let at = now + self.pause(index);
                        let member = &mut self.members[index];
                        member.attempts = member.attempts.saturating_add(1);
                        member.link = Link::Waiting { at };
                    }
                    (Presence::Away { .. }, _) if !was_linked => self.remove(index),
                    (Presence::Here | Presence::Away { .. }, _) => member.link = Link::Lost { since: now },
                }
            }
        }
        self.remove_former();
    }

    /// When [`Mesh::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Server::Here { since } = self.server else { return None };
        let due = |member: &Member| match (member.link, member.presence) {
            (Link::Awaiting { until }, _) => Some(until),
            (Link::Waiting { at }, _) => Some(at),
            (Link::Lost { since: lost }, _) | (Link::Linked { .. }, Presence::Away { since: lost }) => {
                Some(lost.max(since) + LOST_MAX)
            }
            (Link::Connecting { .. }, _) | (Link::Linked { .. }, Presence::Here) => None,
        };
        self.members.iter().filter_map(due).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Server::Here { since } = self.server else { return };
        for index in (0..self.members.len()).rev() {
            match (self.members[index].link, self.members[index].presence) {
                (Link::Awaiting { until: at } | Link::Waiting { at }, Presence::Here) if at <= now => {
                    self.offer(index, now);
                }
                (Link::Awaiting { until: at } | Link::Waiting { at }, Presence::Away { .. }) if at <= now => {
                    self.members[index].link = Link::Lost { since: now };
                }
                (Link::Lost { since: lost }, _) | (Link::Linked { .. }, Presence::Away { since: lost })
                    if lost.max(since) + LOST_MAX <= now =>
                {
                    self.remove(index);
                }
                (Link::Awaiting { .. } | Link::Waiting { .. } | Link::Lost { .. }, _)
                | (Link::Connecting { .. } | Link::Linked { .. }, _) => {}
            }
        }
    }

    /// Adds a member, or gives it the place of one of the same name that is gone and not connected. None: full.
    fn take_in(&mut self, id: PeerId, name: Option<&str>, now: Instant) -> Option<usize> {
        if Some(id) == self.own {
            return None;
        }
        let is_former = |member: &Member| {
            member.presence != Presence::Here
                && matches!(member.link, Link::Lost { .. } | Link::Waiting { .. } | Link::Awaiting { .. })
                && name.is_some_and(|name| member.name.as_deref() == Some(name))
        };
        if let Some(index) = self.members.iter().position(is_former) {
            let member = &mut self.members[index];
            member.presence = Presence::Here;
            member.came_at = now;
            self.rename(index, id, Mark::Name);
            return Some(index);
        }
        // Who is connected and not listed any more does not count: it may be gone, and the server has let this one in.
        let listed = self.members.iter().filter(|member| member.presence == Presence::Here).count();
        if listed >= self.others_max {
            return None;
        }
        if self.members.len() >= MEMBERS_MAX {
            let gone = self.members.iter().position(|member| matches!(member.link, Link::Lost { .. }))?;
            self.remove(gone);
        }
        self.members.push(Member::new(id, name, now));
        self.commands.push_back(Command::Came(id));
        Some(self.members.len() - 1)
    }

    /// The server lists `id`: gives it to the member who said over its connection that it has it, if the server has lost
    /// that one and it is the only one to say so.
    fn recognise(&mut self, id: PeerId, now: Instant) {
        if self.index(id).is_some() {
            return;
        }
        let mut claimants = self.members.iter().enumerate().filter(|(_, member)| member.claims == Some(id));
        let (Some((index, member)), None) = (claimants.next(), claimants.next()) else { return };
        if member.presence != Presence::Here {
            self.members[index].presence = Presence::Here;
            self.members[index].came_at = now;
            self.rename(index, id, Mark::Connection);
        }
    }

    fn rename(&mut self, index: usize, to: PeerId, by: Mark) {
        let member = &mut self.members[index];
        let from = std::mem::replace(&mut member.id, to);
        member.claims = None;
        self.commands.push_back(Command::Renamed { from, to, by });
    }

    /// Somebody who is connected under a new id is not waited for under the old one.
    fn remove_former(&mut self) {
        let is_former = |member: &Member| {
            let Presence::Away { since } = member.presence else { return false };
            matches!(member.link, Link::Lost { .. })
                && self.members.iter().any(|other| {
                    matches!(other.link, Link::Linked { .. })
                        && other.came_at >= since
                        && other.name.is_some()
                        && other.name == member.name
                })
        };
        if let Some(index) = self.members.iter().position(is_former) {
            self.remove(index);
        }
    }

    /// Whether there is somebody with a connection whom the server does not list: it may be any newcomer.
    fn has_unrecognised(&self) -> bool {
        self.members.iter().any(|member| {
            matches!(member.link, Link::Linked { .. }) && matches!(member.presence, Presence::Away { .. })
        })
    }

    fn offer(&mut self, index: usize, now: Instant) {
        let conn = self.draw();
        self.connect(index, conn, Initiative::Offer, now);
    }

    fn connect(&mut self, index: usize, conn: ConnId, initiative: Initiative, now: Instant) {
        let id = self.members[index].id;
        let manners = self.manners(id);
        let offer = match initiative {
            Initiative::Offer => Offer::Pending,
            Initiative::Answer => Offer::Settled,
        };
        let member = &mut self.members[index];
        if member.was_linked {
            member.down_since.get_or_insert(now);
        }
        member.link = Link::Connecting { conn, offer };
        self.commands.push_back(Command::Open { member: id, conn, initiative, manners });
    }

    fn remove(&mut self, index: usize) {
        let member = self.members.remove(index);
        self.commands.extend(member.link.conn().map(|conn| Command::Close { conn }));
        self.commands.push_back(Command::Gone(member.id));
    }

    /// The pause before the next attempt. The polite side leaves the other a lead, so that they seldom meet.
    fn pause(&self, index: usize) -> Duration {
        let member = &self.members[index];
        let pause = RETRY_MIN.saturating_mul(1 << member.attempts.min(8)).min(RETRY_MAX);
        match self.manners(member.id) {
            Manners::Impolite => pause,
            Manners::Polite => pause + LEAD,
        }
    }

    fn manners(&self, other: PeerId) -> Manners {
        self.own.map_or(Manners::Impolite, |own| Manners::between(own, other))
    }

    fn index(&self, id: PeerId) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    fn by_conn(&self, conn: ConnId) -> Option<usize> {
        self.members.iter().position(|member| member.link.conn() == Some(conn))
    }

    /// splitmix64: a bijection of a counter, so that no two are alike.
    fn draw(&mut self) -> ConnId {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ConnId::new(z ^ (z >> 31))
    }
}

/// Whether an own offer waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It does.
    Pending,
    /// It was answered, or the other side offered.
    Settled,
}

/// Members of a room beside this side: the server's limit for a mesh is 8 (docs/PROTOCOL.md).
pub const OTHERS_MAX: usize = 7;
/// With those who are connected and that the server does not list any more.
const MEMBERS_MAX: usize = 2 * OTHERS_MAX;
/// A newcomer is given this long to offer; over LTE its offer takes half a second.
const OFFER_WAIT: Duration = Duration::from_millis(1500);
/// Somebody whom we are connected to says within this time that it is the newcomer: both clients come back to a server
/// within 5 s of each other (`signaling::backoff`), and their connection is quick.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// Pause before the first new attempt; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
const RETRY_MAX: Duration = Duration::from_secs(4);
/// A polite side's pause is so much longer.
const LEAD: Duration = Duration::from_millis(700);
/// Somebody who is not in the room is waited for this long, with the server here, and stays this long while connected:
/// nobody can put out whom the server does not know.
const LOST_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
