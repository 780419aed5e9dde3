//! What holds whatever clients do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Open,
    Cut,
    Resume,
    Join(u8, u8),
    Pair(u8),
    Leave,
    Signal(u8),
    Meta(u8),
    Lock(bool),
    Admit(u8),
    Kick(u8),
    Pass(u16),
    Noise(Vec<u8>),
}

fn step() -> impl Strategy<Value = (u8, Step)> {
    let step = prop_oneof![
        4 => Just(Step::Open),
        3 => Just(Step::Cut),
        4 => Just(Step::Resume),
        6 => (0..3u8, 0..4u8).prop_map(|(room, role)| Step::Join(room, role)),
        2 => (0..2u8).prop_map(Step::Pair),
        2 => Just(Step::Leave),
        6 => any::<u8>().prop_map(Step::Signal),
        2 => any::<u8>().prop_map(Step::Meta),
        1 => any::<bool>().prop_map(Step::Lock),
        2 => any::<u8>().prop_map(Step::Admit),
        1 => any::<u8>().prop_map(Step::Kick),
        3 => (0..20_000u16).prop_map(Step::Pass),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Step::Noise),
    ];
    (0..6u8, step)
}

/// A client that keeps its own picture of the room from nothing but what it is told.
struct Seat {
    client: Client,
    online: bool,
    last_seq: u64,
    room: Option<String>,
    rev: u64,
    others: BTreeMap<PeerId, Peer>,
    knocking: BTreeSet<PeerId>,
}

impl Seat {
    fn new(client: Client) -> Self {
        let (others, knocking) = (BTreeMap::new(), BTreeSet::new());
        Self { client, online: true, last_seq: 0, room: None, rev: 0, others, knocking }
    }

    fn hear(&mut self, frame: ServerFrame) {
        if let Some(seq) = frame.seq {
            assert_eq!(seq, self.last_seq + 1, "nothing is lost, doubled or out of order");
            self.last_seq = seq;
        }
        let rev = match frame.message {
            ServerMessage::Joined(joined) => {
                assert!(joined.peers.len() < joined.policy.max);
                self.room = Some(joined.room.to_string());
                self.rev = joined.rev - 1;
                self.others = joined.peers.into_iter().map(|peer| (peer.id, peer)).collect();
                joined.rev
            }
            ServerMessage::PeerJoined { peer, rev } => {
                self.knocking.remove(&peer.id);
                assert!(self.others.insert(peer.id, peer).is_none(), "nobody joins twice");
                rev
            }
            ServerMessage::PeerLeft { peer, rev, .. } => {
                if self.room.is_some() {
                    let is_known = self.others.remove(&peer).is_some() || self.knocking.remove(&peer);
                    assert!(is_known, "only members leave, and those who knocked");
                }
                rev
            }
            ServerMessage::PeerChanged { peer, rev } => {
                if self.room.is_some() {
                    assert!(self.others.insert(peer.id, peer).is_some(), "only members change");
                }
                rev
            }
            ServerMessage::Locked { rev, .. } => rev,
            ServerMessage::Knock { peer } => {
                assert!(self.knocking.insert(peer.id), "nobody knocks twice");
                return;
            }
            ServerMessage::Left { .. } => {
                self.room = None;
                self.others.clear();
                self.knocking.clear();
                return;
            }
            ServerMessage::Signal { from, .. } => {
                if self.room.is_some() {
                    assert!(self.others.contains_key(&from), "signals come from members");
                }
                return;
            }
            _ => return,
        };
        if self.room.is_some() {
            assert!(rev > self.rev, "changes of the room come in order");
            self.rev = rev;
        }
    }
}

fn run(steps: Vec<(u8, Step)>) {
    let mut w = world();
    let mut seats: Vec<Option<Seat>> = (0..6).map(|_| None).collect();
    for (who, step) in steps {
        let who = usize::from(who);
        let whom = |n: u8, seats: &[Option<Seat>]| {
            seats[usize::from(n) % seats.len()].as_ref().map_or(PeerId::new(n.into()), |s| s.client.peer)
        };
        let request = match step {
            Step::Open => {
                if seats[who].is_none() {
                    seats[who] = Some(Seat::new(w.client(&format!("n{}", who / 2))));
                }
                None
            }
            Step::Cut => {
                if let Some(seat) = &mut seats[who] {
                    w.cut(seat.client);
                    seat.online = false;
                }
                None
            }
            Step::Resume => {
                if let Some(mut seat) = seats[who].take() {
                    let (client, ok, missed) = w.resume(seat.client, seat.last_seq);
                    if ok.resumed {
                        (seat.client, seat.online) = (client, true);
                        missed.into_iter().for_each(|frame| seat.hear(frame));
                        seats[who] = Some(seat);
                    } else {
                        let (peer, session, token) = (ok.peer_id, ok.session, ok.resume_token);
                        seats[who] = Some(Seat::new(Client { link: client.link, peer, session, token }));
                    }
                }
                None
            }
            Step::Pass(time) => {
                w.pass(ms(time.into()));
                None
            }
            Step::Join(room, role) => {
                let role = ["robot", "driver", "viewer", "caller"][usize::from(role)];
                Some(json!({"type": "join", "room": format!("r{room}"), "role": role}))
            }
            Step::Pair(code) => Some(json!({"type": "pair", "code": format!("r{code}")})),
            Step::Leave => Some(json!({"type": "leave"})),
            Step::Signal(n) => Some(candidate(whom(n, &seats), json!(n))),
            Step::Meta(n) => Some(json!({"type": "set_meta", "meta": {"n": n}})),
            Step::Lock(true) => Some(json!({"type": "mod", "action": "lock"})),
            Step::Lock(false) => Some(json!({"type": "mod", "action": "unlock"})),
            Step::Admit(n) => Some(json!({"type": "admit", "peer": whom(n, &seats)})),
            Step::Kick(n) => Some(json!({"type": "mod", "action": "kick", "peer": whom(n, &seats)})),
            Step::Noise(bytes) => {
                if let Some(seat) = &seats[who] {
                    w.rooms.handle_message(seat.client.link, &bytes, w.now);
                    w.collect();
                }
                None
            }
        };
        if let (Some(request), Some(seat)) = (request, &seats[who]) {
            w.say(seat.client.link, request);
        }
        for slot in &mut seats {
            let Some(seat) = slot else { continue };
            for frame in w.frames(seat.client.link) {
                seat.hear(frame);
            }
            match w.closed.get(&seat.client.link) {
                Some(ErrorCode::Kicked | ErrorCode::RoomFull | ErrorCode::Forbidden) => *slot = None,
                Some(_) => seat.online = false,
                None => {}
            }
        }
    }
    let rooms: BTreeSet<_> = seats.iter().flatten().filter_map(|s| s.room.clone()).collect();
    for room in rooms {
        let inside = seats.iter().flatten().filter(|s| s.online && s.room.as_ref() == Some(&room));
        let views: BTreeSet<Vec<PeerId>> = inside
            .map(|s| {
                s.others.keys().copied().chain([s.client.peer]).collect::<BTreeSet<_>>().into_iter().collect()
            })
            .collect();
        assert!(views.len() <= 1, "all in room {room} see the same peers: {views:?}");
    }
    // When everybody has gone, nothing remains.
    for seat in seats.iter().flatten() {
        w.cut(seat.client);
    }
    w.pass(ms(100_000));
    assert_eq!(w.rooms.census(), Census::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn clients_agree_on_their_room_and_nothing_is_lost(steps in prop::collection::vec(step(), 0..120)) {
        run(steps);
    }
}
