use farwheel_proto::signaling::{
    ConnId, IceServer, Joined, Peer, Permission, Policy, ResumeToken, Role, SessionId, SignalKind, Topology,
};

use super::*;
use crate::signaling::Lock;

const MS: Duration = Duration::from_millis(1);

#[test]
fn it_says_hello_and_joins() {
    let mut rig = Rig::new();
    rig.session.handle_open(rig.now);
    let hello = rig.written();
    assert!(matches!(
        &hello[..],
        [ClientFrame { seq: None, message: ClientMessage::Hello { resume: None, .. }, .. }]
    ));
    rig.receive(None, hello_ok(1, Resumed::No));
    let join = rig.written();
    assert!(
        matches!(&join[..], [ClientFrame { seq: Some(1), message: ClientMessage::Join { .. }, .. }]),
        "{join:?}"
    );
    rig.receive(Some(1), joined(&[peer(5)]));
    let told = rig.told();
    let [Event::Joined { self_id, peers, ice_servers, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*self_id, peers.len(), ice_servers.len()), (PeerId::new(1), 1, 1));
}

#[test]
fn signals_go_both_ways_once_in_the_room() {
    let mut rig = Rig::in_room();
    assert_eq!(rig.session.handle_send(signal()), Ok(()));
    assert!(matches!(
        &rig.written()[..],
        [ClientFrame { seq: Some(2), message: ClientMessage::Signal { .. }, .. }]
    ));
    let ClientMessage::Signal { to: from, conn, kind, data } = signal() else { panic!() };
    rig.receive(Some(2), ServerMessage::Signal { from, conn, kind, data });
    assert!(matches!(&rig.told()[..], [Event::Signal { from, .. }] if *from == PeerId::new(5)));
}

#[test]
fn a_resumed_session_sends_again_what_the_server_missed_and_nothing_else() {
    let mut rig = Rig::in_room();
    rig.session.handle_send(signal()).expect("room");
    rig.session.handle_closed(None, "gone".to_owned());
    rig.session.handle_send(signal()).expect("room");
    rig.written();
    rig.told();
    rig.session.handle_open(rig.now);
    let hello = rig.written();
    let [ClientFrame { message: ClientMessage::Hello { resume: Some(resume), .. }, .. }] = &hello[..] else {
        panic!("{hello:?}")
    };
    assert_eq!(resume.last_seq, 1, "the highest number heard");
    rig.receive(None, hello_ok(1, Resumed::Through(2)));
    assert!(matches!(&rig.told()[..], [Event::Resumed]));
    let again = rig.written();
    assert_eq!(again.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [Some(3)]);
}

#[test]
fn a_message_heard_twice_is_told_once() {
    let mut rig = Rig::in_room();
    for _ in 0..2 {
        rig.receive(Some(2), ServerMessage::PeerJoined { peer: peer(7), rev: 2 });
    }
    assert_eq!(rig.told().len(), 1);
}

#[test]
fn a_session_that_cannot_be_resumed_joins_anew_and_forgets_what_was_unsaid() {
    let mut rig = Rig::in_room();
    rig.session.handle_closed(None, "gone".to_owned());
    rig.session.handle_send(signal()).expect("room");
    rig.session.handle_open(rig.now);
    rig.written();
    rig.told();
    rig.receive(None, hello_ok(2, Resumed::No));
    let join = rig.written();
    assert!(
        matches!(&join[..], [ClientFrame { seq: Some(1), message: ClientMessage::Join { .. }, .. }]),
        "{join:?}"
    );
    rig.receive(Some(1), joined(&[]));
    assert!(matches!(&rig.told()[..], [Event::Joined { .. }]));
    assert!(rig.written().is_empty());
}

#[test]
fn silence_is_answered_by_pings_and_ends_the_connection_after_40_s() {
    let mut rig = Rig::in_room();
    let start = rig.now;
    assert_eq!(rig.session.poll_timeout(), Some(start + 15_000 * MS));
    rig.session.handle_timeout(start + 15_000 * MS);
    assert!(matches!(
        &rig.written()[..],
        [ClientFrame { message: ClientMessage::Ping { ack: Some(1), .. }, .. }]
    ));
    rig.session.handle_timeout(start + 39_999 * MS);
    assert!(rig.reconnects().is_empty());
    rig.session.handle_timeout(start + 40_000 * MS);
    assert_eq!(rig.reconnects(), ["nothing heard from the server for 40 s"]);
}

#[test]
fn a_server_that_does_not_answer_hello_is_left_after_ten_seconds() {
    let mut rig = Rig::new();
    rig.session.handle_open(rig.now);
    rig.session.handle_timeout(rig.now + 9999 * MS);
    assert!(rig.reconnects().is_empty());
    rig.session.handle_timeout(rig.now + 10_000 * MS);
    assert_eq!(rig.reconnects().len(), 1);
}

#[test]
fn errors_end_the_session_or_not_as_their_code_says() {
    for code in ErrorCode::ALL {
        let mut rig = Rig::in_room();
        let message = "no".to_owned();
        rig.receive(
            None,
            ServerMessage::Error(Failure { id: None, code, message, retry_after_ms: None, fatal: true }),
        );
        let steps = rig.steps();
        let quits = steps.iter().any(|step| matches!(step, Step::Quit));
        let again = steps.iter().any(|step| matches!(step, Step::Reconnect { .. }));
        assert_eq!((quits, again), (!code.is_worth_retrying(), code.is_worth_retrying()), "{code:?}");
    }
    let mut rig = Rig::in_room();
    let failure = Failure {
        id: None,
        code: ErrorCode::PeerNotFound,
        message: "no".to_owned(),
        retry_after_ms: None,
        fatal: false,
    };
    rig.receive(None, ServerMessage::Error(failure));
    assert!(matches!(&rig.told()[..], [Event::Refused(refusal)] if refusal.code == ErrorCode::PeerNotFound));
}

#[test]
fn a_close_code_counts_like_its_error() {
    for code in ErrorCode::ALL {
        let mut rig = Rig::in_room();
        let Some(close) = code.close_code() else { continue };
        rig.session.handle_closed(Some(close), "bye".to_owned());
        let quits = rig.steps().iter().any(|step| matches!(step, Step::Quit));
        assert_eq!(quits, !code.is_worth_retrying(), "{code:?}");
    }
}

#[test]
fn the_server_is_not_asked_again_before_it_wants_to() {
    let mut rig = Rig::in_room();
    let failure = Failure {
        id: None,
        code: ErrorCode::RateLimited,
        message: "slow down".to_owned(),
        retry_after_ms: Some(7000),
        fatal: true,
    };
    rig.receive(None, ServerMessage::Error(failure));
    let steps = rig.steps();
    assert!(
        matches!(&steps[..], [Step::Reconnect { not_before, .. }] if *not_before == 7000 * MS),
        "{steps:?}"
    );
}

#[test]
fn credentials_are_renewed_a_minute_before_they_end() {
    let mut rig = Rig::in_room();
    let ice_servers = vec![IceServer::default()];
    rig.receive(None, ServerMessage::IceServers { ice_servers, ice_expires: Some(UNIX_SECONDS + 75) });
    assert!(matches!(&rig.told()[..], [Event::IceServers(_)]));
    let due = rig.now + Duration::from_secs(60);
    rig.receive_at(rig.now + Duration::from_secs(30), None, ServerMessage::Pong { t: 0, ack: 0 });
    for (at, asked) in [(due - MS, 0), (due, 1), (due + MS, 0)] {
        rig.session.handle_timeout(at);
        let written = rig.written();
        let count = written.iter().filter(|frame| frame.message == ClientMessage::IceServers).count();
        assert_eq!(count, asked);
        rig.receive_at(at, None, ServerMessage::Pong { t: 0, ack: 0 });
    }
}

#[test]
fn no_time_that_a_server_gives_breaks_the_clock() {
    let mut rig = Rig::new();
    rig.session.handle_open(rig.now);
    let limits = Limits { dead_ms: u64::MAX, json_depth: usize::MAX, ..Limits::default() };
    let (protocols, features) = (Vec::new(), Vec::new());
    rig.receive(None, ServerMessage::Welcome { protocols, features, limits });
    let ServerMessage::HelloOk(mut hello) = hello_ok(1, Resumed::No) else { panic!() };
    (hello.heartbeat_ms, hello.ice_expires) = (u64::MAX, Some(u64::MAX));
    rig.receive(None, ServerMessage::HelloOk(hello));
    rig.receive(Some(1), joined(&[]));
    let due = rig.session.poll_timeout().expect("credentials are renewed some day");
    assert_eq!(due - rig.now, Duration::from_secs(24 * 3600));
}

#[test]
fn what_is_no_message_ends_the_connection_and_an_unknown_one_does_not() {
    let mut rig = Rig::in_room();
    rig.session.handle_text(br#"{"type":"from_the_future"}"#, UNIX_SECONDS, rig.now);
    assert!(rig.steps().is_empty());
    rig.session.handle_text(b"[]", UNIX_SECONDS, rig.now);
    assert_eq!(rig.reconnects().len(), 1);
}

#[test]
fn at_most_256_signals_wait() {
    let mut rig = Rig::in_room();
    rig.session.handle_closed(None, "gone".to_owned());
    for _ in 0..UNACKNOWLEDGED_MAX {
        assert_eq!(rig.session.handle_send(signal()), Ok(()));
    }
    assert_eq!(rig.session.handle_send(signal()), Err(Full));
}

#[test]
fn acknowledged_signals_are_forgotten() {
    let mut rig = Rig::in_room();
    for _ in 0..UNACKNOWLEDGED_MAX {
        assert_eq!(rig.session.handle_send(signal()), Ok(()));
    }
    rig.receive(None, ServerMessage::Pong { t: 0, ack: 2 });
    assert_eq!(rig.session.handle_send(signal()), Ok(()));
    assert_eq!(rig.session.handle_send(signal()), Err(Full));
}

#[test]
fn who_has_to_wait_is_told_and_kept_alive_and_says_what_it_has_to_say_once_inside() {
    let mut rig = Rig::new();
    rig.session.handle_open(rig.now);
    rig.receive(None, hello_ok(1, Resumed::No));
    rig.receive(Some(1), ServerMessage::Waiting { room: "yard".parse().expect("a name") });
    assert!(matches!(&rig.told()[..], [Event::Waiting]));
    rig.session.handle_send(signal()).expect("room");
    rig.written();
    rig.session.handle_timeout(rig.now + 15_000 * MS);
    assert!(matches!(&rig.written()[..], [ClientFrame { message: ClientMessage::Ping { .. }, .. }]));
    // A loss changes nothing: the place in the line is kept.
    rig.session.handle_closed(None, "gone".to_owned());
    rig.session.handle_open(rig.now);
    rig.receive(None, hello_ok(1, Resumed::Through(1)));
    assert!(matches!(&rig.told()[..], [Event::Resumed]));
    rig.steps();
    rig.receive(Some(2), joined(&[peer(5)]));
    assert!(matches!(&rig.told()[..], [Event::Joined { .. }]));
    assert_eq!(rig.written().iter().map(|frame| frame.seq).collect::<Vec<_>>(), [Some(2)]);
}

#[test]
fn who_is_turned_away_or_finds_the_code_taken_is_told_and_closed() {
    let busy = ServerMessage::Busy { code: "493817".parse().expect("a code") };
    for (answer, is_expected) in [
        (
            ServerMessage::Left { reason: LeaveReason::Denied },
            (|e| matches!(e, Event::Denied)) as fn(&Event) -> bool,
        ),
        (busy, |e| matches!(e, Event::Busy)),
    ] {
        let mut rig = Rig::new();
        rig.session.handle_open(rig.now);
        rig.receive(None, hello_ok(1, Resumed::No));
        rig.steps();
        rig.receive(Some(1), answer);
        let steps = rig.steps();
        assert!(matches!(&steps[..], [Step::Tell(event), Step::Quit] if is_expected(event)), "{steps:?}");
    }
}

#[test]
fn a_pair_is_found_and_found_again() {
    let mut rig = Rig::at(Place::Pair { code: "493817".parse().expect("a code") });
    rig.session.handle_open(rig.now);
    rig.receive(None, hello_ok(1, Resumed::No));
    let written = rig.written();
    assert!(matches!(
        &written[..],
        [_, ClientFrame { seq: Some(1), message: ClientMessage::Pair { .. }, .. }]
    ));
    rig.receive(Some(1), ServerMessage::Waiting { room: "493817".parse().expect("a code") });
    for (seq, id) in [(2, 5), (4, 6)] {
        rig.told();
        let found = ServerMessage::PairFound { own: PeerId::new(1), peer: peer(id), initiator: id == 5 };
        rig.receive(Some(seq), found);
        let told = rig.told();
        let [Event::PairFound { self_id, peer, initiative, ice_servers }] = &told[..] else {
            panic!("{told:?}")
        };
        let want = if id == 5 { Initiative::Offer } else { Initiative::Answer };
        assert_eq!((*self_id, peer.id, ice_servers.len()), (PeerId::new(1), PeerId::new(id), 1));
        assert_eq!(*initiative, want);
        rig.session.handle_send(signal()).expect("room");
        assert_eq!(rig.written().len(), 1, "each message leaves once");
        let left = ServerMessage::PeerLeft { peer: PeerId::new(id), rev: 2, reason: LeaveReason::Left };
        rig.receive(Some(seq + 1), left);
    }
}

#[test]
fn what_happens_in_the_room_is_told() {
    let from = PeerId::new(5);
    for (message, is_expected) in [
        (ServerMessage::Knock { peer: peer(7) }, (|e| matches!(e, Event::Knock(_))) as fn(&Event) -> bool),
        (ServerMessage::Locked { locked: true, rev: 2 }, |e| matches!(e, Event::Locked(Lock::Locked))),
        (ServerMessage::MuteRequest { from }, |e| matches!(e, Event::MuteRequest { .. })),
        (ServerMessage::PeerChanged { peer: peer(5), rev: 2 }, |e| matches!(e, Event::PeerChanged(_))),
        (ServerMessage::Data { from, data: Value::Bool(true) }, |e| matches!(e, Event::Data { .. })),
        (ServerMessage::PeerLeft { peer: from, rev: 2, reason: LeaveReason::Kicked }, |e| {
            matches!(e, Event::PeerLeft { reason: LeaveReason::Kicked, .. })
        }),
    ] {
        let mut rig = Rig::in_room();
        rig.receive(Some(2), message);
        let told = rig.told();
        assert!(matches!(&told[..], [event] if is_expected(event)), "{told:?}");
    }
}

#[test]
fn a_new_meta_is_what_a_room_joined_anew_is_told() {
    let mut rig = Rig::in_room();
    let meta = serde_json::json!({"hand": true});
    rig.session.handle_send(ClientMessage::SetMeta { meta: meta.clone() }).expect("room");
    rig.session.handle_closed(None, "gone".to_owned());
    rig.session.handle_open(rig.now);
    rig.written();
    rig.receive(None, hello_ok(2, Resumed::No));
    let join = rig.written();
    assert!(
        matches!(&join[..], [ClientFrame { message: ClientMessage::Join { meta: joined, .. }, .. }] if *joined == meta)
    );
}

#[test]
fn much_is_acknowledged_before_the_next_heartbeat() {
    let mut rig = Rig::in_room();
    for seq in 2..=130 {
        let data = ServerMessage::Data { from: PeerId::new(5), data: Value::from(seq) };
        rig.receive(Some(seq), data);
    }
    let acks: Vec<_> = rig.written().into_iter().map(|frame| frame.message).collect();
    let want = [64, 128].map(|ack| ClientMessage::Ping { t: 1, ack: Some(ack) });
    assert_eq!(acks, want);
    for _ in 0..64 {
        rig.session.handle_send(signal()).expect("room");
    }
    let pings = rig.written().into_iter().filter(|frame| matches!(frame.message, ClientMessage::Ping { .. }));
    assert_eq!(pings.count(), 1, "so that the server says what it has");
}

const UNIX_SECONDS: u64 = 1_700_000_000;

enum Resumed {
    No,
    Through(u64),
}

fn hello_ok(session: u128, resumed: Resumed) -> ServerMessage {
    let (resumed, last_seq) = match resumed {
        Resumed::No => (false, 0),
        Resumed::Through(seq) => (true, seq),
    };
    ServerMessage::HelloOk(HelloOk {
        session: SessionId::new(session),
        resume_token: ResumeToken::new(session),
        peer_id: PeerId::new(session),
        resumed,
        last_seq,
        heartbeat_ms: 15_000,
        ice_servers: vec![IceServer::default()],
        ice_expires: None,
    })
}

fn joined(peers: &[Peer]) -> ServerMessage {
    ServerMessage::Joined(Joined {
        room: "yard".parse().expect("a name"),
        rev: 1,
        own: peer(1),
        permissions: Permission::ALL.to_vec(),
        peers: peers.to_vec(),
        policy: Policy { topology: Topology::Mesh, max: 8, sfu: None },
        locked: false,
    })
}

fn peer(id: u128) -> Peer {
    Peer {
        id: PeerId::new(id),
        role: Role::Robot,
        name: None,
        meta: Value::Null,
        connected: true,
        moderator: false,
    }
}

fn signal() -> ClientMessage {
    let data = serde_json::json!({"sdp": "v=0"});
    ClientMessage::Signal { to: PeerId::new(5), conn: ConnId::new(3), kind: SignalKind::Offer, data }
}

struct Rig {
    session: Session,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self::at(Place::room("yard".parse().expect("a name"), Role::Driver))
    }

    fn at(place: Place) -> Self {
        let config = Config {
            server: "ws://localhost".to_owned(),
            place,
            name: "test".to_owned(),
            token: None,
            ca: None,
        };
        Self { session: Session::new(config), now: Instant::now() }
    }

    fn in_room() -> Self {
        let mut rig = Self::new();
        rig.session.handle_open(rig.now);
        rig.receive(None, hello_ok(1, Resumed::No));
        rig.receive(Some(1), joined(&[peer(5)]));
        rig.steps();
        rig
    }

    fn receive(&mut self, seq: Option<u64>, message: ServerMessage) {
        self.receive_at(self.now, seq, message);
    }

    fn receive_at(&mut self, now: Instant, seq: Option<u64>, message: ServerMessage) {
        let text = ServerFrame { seq, message }.to_json();
        self.session.handle_text(text.as_bytes(), UNIX_SECONDS, now);
    }

    fn steps(&mut self) -> Vec<Step> {
        std::iter::from_fn(|| self.session.poll_step()).collect()
    }

    /// Takes all steps and gives the frames written.
    fn written(&mut self) -> Vec<ClientFrame> {
        let mut others = VecDeque::new();
        let mut frames = Vec::new();
        for step in self.steps() {
            match step {
                Step::Write(text) => {
                    frames.push(ClientFrame::parse(text.as_bytes(), &Limits::default()).expect("it is ours"));
                }
                other => others.push_back(other),
            }
        }
        self.session.steps = others;
        frames
    }

    /// Takes all steps and gives what the owner is told.
    fn told(&mut self) -> Vec<Event> {
        let mut others = VecDeque::new();
        let mut events = Vec::new();
        for step in self.steps() {
            match step {
                Step::Tell(event) => events.push(event),
                other => others.push_back(other),
            }
        }
        self.session.steps = others;
        events
    }

    fn reconnects(&mut self) -> Vec<String> {
        let steps = self.steps();
        steps
            .into_iter()
            .filter_map(|step| match step {
                Step::Reconnect { reason, .. } => Some(reason),
                Step::Write(_) | Step::Tell(_) | Step::Quit => None,
            })
            .collect()
    }
}
