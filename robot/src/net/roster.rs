//! Who is in the room, and whom the robot owes an offer. No socket, no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farwheel_peer::signaling::{Peer, PeerId, Role};

/// The others in the room, as far as the signalling server tells.
#[derive(Debug, Default)]
pub struct Roster {
    peers: BTreeMap<PeerId, Entry>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    /// When to offer a connection; none: the other side does, or there is one.
    offer_at: Option<Instant>,
    failures: u32,
}

/// Whose turn it is to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The robot's: it came later, or its own offer led to nothing.
    Ours,
    /// The other's; the robot offers if it does not.
    Theirs,
}

impl Roster {
    /// The robot has joined and finds `peers`: the newcomer offers.
    pub fn handle_joined(&mut self, peers: Vec<Peer>, now: Instant) {
        self.peers = peers
            .into_iter()
            .map(|peer| {
                let offer_at = wants_video(&peer).then_some(now);
                (peer.id, Entry { peer, offer_at, failures: 0 })
            })
            .collect();
    }

    /// Somebody came, who will offer; if nothing comes of it, the robot does.
    pub fn handle_peer_joined(&mut self, peer: Peer, now: Instant) {
        let offer_at = wants_video(&peer).then(|| now + PATIENCE);
        self.peers.insert(peer.id, Entry { peer, offer_at, failures: 0 });
    }

    /// Somebody went.
    pub fn handle_peer_left(&mut self, id: PeerId) {
        self.peers.remove(&id);
    }

    /// A connection with `id` is being made.
    pub fn handle_connecting(&mut self, id: PeerId) {
        if let Some(entry) = self.peers.get_mut(&id) {
            entry.offer_at = None;
        }
    }

    /// A connection with `id` stands.
    pub fn handle_connected(&mut self, id: PeerId) {
        if let Some(entry) = self.peers.get_mut(&id) {
            (entry.offer_at, entry.failures) = (None, 0);
        }
    }

    /// The connection with `id` is over.
    pub fn handle_failed(&mut self, id: PeerId, turn: Turn, now: Instant) {
        if let Some(entry) = self.peers.get_mut(&id) {
            let wait = match turn {
                Turn::Ours => BACKOFF_MIN * 2u32.pow(entry.failures.min(6)),
                Turn::Theirs => PATIENCE,
            };
            entry.failures = entry.failures.saturating_add(1);
            entry.offer_at = wants_video(&entry.peer).then(|| now + wait.min(BACKOFF_MAX));
        }
    }

    /// Somebody to whom an offer is due at `now`; asked until there is none.
    pub fn poll_offer(&mut self, now: Instant) -> Option<PeerId> {
        let due = |entry: &&mut Entry| entry.offer_at.is_some_and(|at| at <= now);
        let entry = self.peers.values_mut().find(due)?;
        entry.offer_at = None;
        Some(entry.peer.id)
    }

    /// When [`Self::poll_offer`] next has something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.values().filter_map(|entry| entry.offer_at).min()
    }

    /// A peer, if it is in the room.
    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(&id).map(|entry| &entry.peer)
    }

    /// Everybody, in the order of their ids.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|entry| &entry.peer)
    }
}

fn wants_video(peer: &Peer) -> bool {
    match peer.role {
        Role::Driver | Role::Viewer => true,
        Role::Robot | Role::Caller => false,
    }
}

/// The other side's offer takes one round trip through the server; after this time it will not come.
const PATIENCE: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u128, role: Role) -> Peer {
        Peer {
            id: PeerId::new(id),
            role,
            name: None,
            meta: serde_json::Value::Null,
            connected: true,
            moderator: false,
        }
    }

    /// Ids to which offers are due.
    fn check(roster: &mut Roster, at: Instant, want: &[u128]) {
        let got: Vec<_> = std::iter::from_fn(|| roster.poll_offer(at)).collect();
        let want: Vec<_> = want.iter().copied().map(PeerId::new).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn newcomer_offers_to_drivers_and_viewers_alone() {
        let start = Instant::now();
        let mut roster = Roster::default();
        let all = [Role::Robot, Role::Driver, Role::Viewer, Role::Caller];
        roster.handle_joined(all.into_iter().enumerate().map(|(i, r)| peer(i as u128, r)).collect(), start);
        check(&mut roster, start, &[1, 2]);
        check(&mut roster, start, &[]);
    }

    #[test]
    fn later_peer_offers_and_the_robot_only_if_it_does_not() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.handle_peer_joined(peer(1, Role::Driver), start);
        roster.handle_peer_joined(peer(2, Role::Driver), start);
        roster.handle_connecting(PeerId::new(2));
        check(&mut roster, start + PATIENCE - Duration::from_millis(1), &[]);
        assert_eq!(roster.poll_timeout(), Some(start + PATIENCE));
        check(&mut roster, start + PATIENCE, &[1]);
    }

    #[test]
    fn failures_are_answered_more_and_more_slowly_until_one_succeeds() {
        let mut now = Instant::now();
        let mut roster = Roster::default();
        let id = PeerId::new(1);
        roster.handle_joined(vec![peer(1, Role::Viewer)], now);
        check(&mut roster, now, &[1]);
        for wait_ms in [250, 500, 1000, 2000, 4000, 8000, 8000] {
            roster.handle_failed(id, Turn::Ours, now);
            let wait = Duration::from_millis(wait_ms);
            check(&mut roster, now + wait - Duration::from_millis(1), &[]);
            now += wait;
            check(&mut roster, now, &[1]);
        }
        roster.handle_connected(id);
        roster.handle_failed(id, Turn::Ours, now);
        check(&mut roster, now + BACKOFF_MIN, &[1]);
    }

    #[test]
    fn nobody_offers_to_those_who_left() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.handle_peer_joined(peer(1, Role::Driver), start);
        roster.handle_peer_left(PeerId::new(1));
        roster.handle_failed(PeerId::new(1), Turn::Ours, start);
        check(&mut roster, start + Duration::from_secs(60), &[]);
    }
}
