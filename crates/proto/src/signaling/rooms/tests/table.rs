//! What each message does.

use super::*;
use crate::signaling::RoomInfo;

#[test]
fn a_connection_is_welcomed_with_the_limits() {
    let mut w = world();
    let link = w.connect();
    let ServerMessage::Welcome { protocols, features, limits } = w.one(link) else { panic!() };
    assert_eq!(protocols, ["rtcsig/1"]);
    assert_eq!(features, ["data", "pair", "lobby", "list"]);
    assert_eq!(limits, Limits::default());
}

#[test]
fn hello_gives_ids_and_ice_servers() {
    let mut w = world();
    let (_, answer) = w.hello(hello(json!({"anonymous": true})));
    let ServerMessage::HelloOk(ok) = answer else { panic!("{answer:?}") };
    assert_eq!((ok.resumed, ok.last_seq, ok.heartbeat_ms, ok.ice_expires), (false, 0, 15_000, Some(1000)));
    assert_eq!(ok.ice_servers[0].username, Some(format!("1000:{}", ok.peer_id)));
}

#[test]
fn the_newcomer_sees_who_is_there_and_they_see_it() {
    let mut w = world();
    let (robot, driver) = (w.client("car"), w.client("me"));
    let alone = w.join(robot, "car", "robot");
    assert_eq!((alone.rev, alone.peers.len(), alone.policy.max), (1, 0, 8));
    let joined = w.join(driver, "car", "driver");
    let name = Some("car".to_owned());
    let seen =
        Peer { id: robot.peer, role: Role::Robot, name, meta: Value::Null, connected: true, moderator: true };
    assert_eq!((joined.rev, joined.peers), (2, vec![seen]));
    assert_eq!(w.one(robot.link), ServerMessage::PeerJoined { peer: joined.own, rev: 2 });
    let guest = w.client_with(json!({"token": "viewer"}));
    w.join(guest, "car", "viewer");
    let ServerMessage::PeerJoined { peer, .. } = w.one(robot.link) else { panic!("the robot is told") };
    assert!(!peer.moderator, "whose token does not say so");
}

#[test]
fn a_signal_is_forwarded_untouched_and_stamped() {
    let mut w = world();
    let (robot, driver) = w.two();
    let data = json!({"sdp": "v=0\r\n…", "n": [1, 2.5, null, "\u{0}"]});
    w.say(driver.link, candidate(robot.peer, data.clone()));
    let (from, conn, kind) = (driver.peer, ConnId::new(5), SignalKind::Candidate);
    assert_eq!(w.one(robot.link), ServerMessage::Signal { from, conn, kind, data });
    assert_eq!(w.messages(driver.link), []);
}

#[test]
fn a_forged_sender_is_overwritten() {
    let mut w = world();
    let (robot, driver) = w.two();
    let mut signal = candidate(robot.peer, Value::Null);
    signal["from"] = json!(robot.peer);
    w.say(driver.link, signal);
    assert!(matches!(w.one(robot.link), ServerMessage::Signal { from, .. } if from == driver.peer));
}

#[test]
fn data_goes_to_one_or_to_all_others() {
    let mut w = world();
    let (robot, driver) = w.two();
    let viewer = w.client("eve");
    w.join(viewer, "car", "viewer");
    w.messages(robot.link);
    w.messages(driver.link);
    w.say(viewer.link, json!({"type": "data", "to": robot.peer, "data": 1}));
    w.say(viewer.link, json!({"type": "data", "data": 2}));
    let data = |n| ServerMessage::Data { from: viewer.peer, data: json!(n) };
    assert_eq!(w.messages(robot.link), [data(1), data(2)]);
    assert_eq!(w.messages(driver.link), [data(2)]);
    assert_eq!(w.messages(viewer.link), []);
}

#[test]
fn rooms_do_not_see_each_other() {
    let mut w = world();
    let (robot, _) = w.two();
    let other = w.client("x");
    w.join(other, "elsewhere", "robot");
    assert_eq!(w.messages(robot.link), []);
    w.say(other.link, candidate(robot.peer, Value::Null));
    assert_eq!(w.messages(robot.link), []);
    assert!(matches!(w.one(other.link), ServerMessage::Error(f) if f.code == ErrorCode::PeerNotFound));
}

#[test]
fn leaving_is_told_and_answered() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(driver.link, json!({"type": "leave"}));
    assert_eq!(w.one(driver.link), ServerMessage::Left { reason: LeaveReason::Left });
    let left = ServerMessage::PeerLeft { peer: driver.peer, rev: 3, reason: LeaveReason::Left };
    assert_eq!(w.one(robot.link), left);
    assert_eq!(w.join(driver, "car", "viewer").rev, 4);
}

#[test]
fn a_change_of_meta_is_told() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(robot.link, json!({"type": "set_meta", "meta": {"battery": 7.4}}));
    let ServerMessage::PeerChanged { peer, rev: 3 } = w.one(driver.link) else { panic!() };
    assert_eq!(peer.meta, json!({"battery": 7.4}));
}

#[test]
fn ping_is_answered_with_its_number() {
    let mut w = world();
    let driver = w.client("me");
    w.say(driver.link, json!({"type": "ping", "t": 77, "seq": 4}));
    assert_eq!(w.one(driver.link), ServerMessage::Pong { t: 77, ack: 4 });
}

#[test]
fn a_lost_connection_is_told_and_resumed_without_loss() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.cut(driver);
    let ServerMessage::PeerChanged { peer, .. } = w.one(robot.link) else { panic!() };
    assert!(!peer.connected);
    for n in 0..256 {
        if n % 100 == 0 {
            w.pass(ms(4000));
        }
        w.say(robot.link, candidate(driver.peer, json!(n)));
    }
    let (driver, ok, missed) = w.resume(driver, 1);
    assert!(ok.resumed);
    assert_eq!(ok.peer_id, driver.peer);
    let numbers: Vec<_> = missed.iter().map(|frame| frame.seq.unwrap()).collect();
    assert_eq!(numbers, (2..=257).collect::<Vec<_>>());
    let ServerMessage::PeerChanged { peer, .. } = w.one(robot.link) else { panic!() };
    assert!(peer.connected);
    w.say(driver.link, candidate(robot.peer, Value::Null));
    assert!(matches!(w.one(robot.link), ServerMessage::Signal { .. }));
}

#[test]
fn one_message_more_than_is_kept_ends_a_detached_session() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.cut(driver);
    w.messages(robot.link);
    for n in 0..256 {
        w.pass(ms(20));
        w.say(robot.link, candidate(driver.peer, json!(n)));
    }
    // `joined` was never acknowledged: it is the 257th, and the driver has seen it.
    w.pass(ms(20));
    assert!(matches!(w.one(robot.link), ServerMessage::PeerLeft { reason: LeaveReason::Lost, .. }));
    let (_, ok, missed) = w.resume(driver, 1);
    assert!(!ok.resumed && missed.is_empty());
}

#[test]
fn the_resume_window_is_thirty_seconds() {
    for (wait, resumed) in [(29_999, true), (30_000, false)] {
        let mut w = world();
        let (robot, driver) = w.two();
        w.cut(driver);
        w.messages(robot.link);
        w.pass(ms(wait));
        let lost = w.messages(robot.link).len() == 1;
        assert_eq!(lost, !resumed);
        assert_eq!(w.resume(driver, 1).1.resumed, resumed, "after {wait} ms");
    }
}

#[test]
fn a_resume_needs_the_token_and_a_number_that_makes_sense() {
    let mut w = world();
    let (_, driver) = w.two();
    w.cut(driver);
    let thief = Client { token: ResumeToken::new(1), ..driver };
    assert!(!w.resume(thief, 1).1.resumed);
    assert!(!w.resume(driver, 2).1.resumed, "only one message was sent");
    assert!(w.resume(driver, 1).1.resumed);
}

#[test]
fn acknowledged_messages_are_not_sent_again() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(robot.link, candidate(driver.peer, json!(0)));
    w.say(driver.link, json!({"type": "ping", "t": 0, "ack": 2}));
    w.say(robot.link, candidate(driver.peer, json!(1)));
    w.cut(driver);
    assert!(!w.resume(driver, 1).1.resumed, "number 2 is forgotten");
    let (_, ok, missed) = w.resume(driver, 2);
    assert!(ok.resumed);
    assert_eq!(missed.iter().map(|f| f.seq).collect::<Vec<_>>(), [Some(3)]);
}

#[test]
fn what_a_client_sends_twice_is_done_once() {
    let mut w = world();
    let (robot, driver) = w.two();
    let mut signal = candidate(robot.peer, json!("a"));
    signal["seq"] = json!(1);
    w.say(driver.link, signal.clone());
    w.cut(driver);
    let (driver, ok, _) = w.resume(driver, 1);
    assert_eq!(ok.last_seq, 1);
    w.messages(robot.link);
    w.say(driver.link, signal.clone());
    assert_eq!(w.messages(robot.link), []);
    signal["seq"] = json!(2);
    w.say(driver.link, signal);
    assert!(matches!(w.one(robot.link), ServerMessage::Signal { .. }));
}

#[test]
fn a_restarted_robot_takes_the_place_of_its_ghost() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.cut(robot);
    w.messages(driver.link);
    let again = w.client("car");
    let joined = w.join(again, "car", "robot");
    assert_eq!(joined.peers.iter().map(|p| p.id).collect::<Vec<_>>(), [driver.peer]);
    let seen = w.messages(driver.link);
    assert!(
        matches!(seen[0], ServerMessage::PeerLeft { peer, reason: LeaveReason::Replaced, .. } if peer == robot.peer)
    );
    assert!(matches!(&seen[1], ServerMessage::PeerJoined { peer, .. } if peer.id == again.peer));
}

#[test]
fn a_second_robot_of_the_same_name_does_not_push_out_a_living_one() {
    let mut w = world();
    let (robot, _) = w.two();
    let second = w.client("car");
    assert!(w.join(second, "car", "robot").peers.iter().any(|p| p.id == robot.peer));
}

#[test]
fn robots_are_listed_with_their_rooms() {
    let mut w = world();
    let (robot, driver) = w.two();
    let lonely = w.client("x");
    w.join(lonely, "no-robot", "driver");
    for name in ["y", "z"] {
        let viewer = w.client(name);
        w.join(viewer, "car", "viewer");
    }
    w.messages(driver.link);
    w.say(driver.link, json!({"type": "list_rooms"}));
    let ServerMessage::Rooms { rooms } = w.one(driver.link) else { panic!() };
    let [RoomInfo { room, robots, peers: 4, drivers: Some(1), viewers: Some(2), max: 8, locked: false }] =
        &rooms[..]
    else {
        panic!("{rooms:?}")
    };
    assert_eq!((room.as_str(), robots[0].id), ("car", robot.peer));
}

#[test]
fn a_list_of_a_server_that_tells_no_roles_is_read() {
    let text = r#"{"type":"rooms","rooms":[{"room":"car","robots":[],"peers":2,"max":8,"locked":false}]}"#;
    let frame = ServerFrame::parse(text.as_bytes(), &Limits::default()).unwrap();
    let ServerMessage::Rooms { rooms } = frame.message else { panic!() };
    assert_eq!((rooms[0].drivers, rooms[0].viewers), (None, None));
}

#[test]
fn a_meta_of_the_greatest_depth_can_be_read_by_the_others() {
    let mut w = world();
    let (robot, driver) = w.two();
    let meta = (0..14).fold(json!({}), |inner, _| json!({"a": inner}));
    w.say(robot.link, json!({"type": "set_meta", "meta": meta}));
    w.say(driver.link, json!({"type": "list_rooms"}));
    // The test world parses each message as a client does.
    assert_eq!(w.messages(driver.link).len(), 2);
}

#[test]
fn two_peers_pair_by_code_and_a_third_is_told_busy() {
    let mut w = world();
    let (a, b, c) = (w.client("a"), w.client("b"), w.client("c"));
    let pair = json!({"type": "pair", "code": "123456"});
    w.say(a.link, pair.clone());
    assert_eq!(w.one(a.link), ServerMessage::Waiting { room: "123456".parse().unwrap() });
    w.say(b.link, pair.clone());
    let found = |message, want| match message {
        ServerMessage::PairFound { own, peer, initiator } => assert_eq!((own, peer.id, initiator), want),
        other => panic!("{other:?}"),
    };
    found(w.one(a.link), (a.peer, b.peer, false));
    found(w.one(b.link), (b.peer, a.peer, true));
    w.say(c.link, pair.clone());
    assert_eq!(w.one(c.link), ServerMessage::Busy { code: "123456".parse().unwrap() });
    w.say(a.link, json!({"type": "data", "data": "hi"}));
    assert_eq!(w.one(b.link), ServerMessage::Data { from: a.peer, data: json!("hi") });
    w.say(b.link, json!({"type": "leave"}));
    assert!(matches!(w.one(a.link), ServerMessage::PeerLeft { .. }));
    w.say(c.link, pair);
    found(w.one(a.link), (a.peer, c.peer, false));
}

#[test]
fn a_pairing_code_is_not_a_room() {
    let mut w = world();
    let (a, b) = (w.client("a"), w.client("b"));
    w.say(a.link, json!({"type": "pair", "code": "x"}));
    assert!(w.join(b, "x", "caller").peers.is_empty());
}

#[test]
fn newcomers_of_a_locked_room_wait_until_admitted_or_denied() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(driver.link, json!({"type": "mod", "action": "lock"}));
    let locked = ServerMessage::Locked { locked: true, rev: 3 };
    assert_eq!((w.one(robot.link), w.one(driver.link)), (locked.clone(), locked));
    let guests = [w.client("g1"), w.client("g2")];
    for guest in guests {
        w.say(guest.link, json!({"type": "join", "room": "car", "role": "viewer"}));
        assert!(matches!(w.one(guest.link), ServerMessage::Waiting { .. }));
        assert!(matches!(w.one(driver.link), ServerMessage::Knock { peer } if peer.id == guest.peer));
    }
    w.messages(robot.link);
    w.say(driver.link, json!({"type": "admit", "peer": guests[0].peer}));
    w.say(driver.link, json!({"type": "deny", "peer": guests[1].peer}));
    // Who is let in and may moderate sees who waits still.
    let told = w.messages(guests[0].link);
    assert!(matches!(&told[..2], [ServerMessage::Joined(_), ServerMessage::Knock { .. }]), "{told:?}");
    assert_eq!(w.one(guests[1].link), ServerMessage::Left { reason: LeaveReason::Denied });
    assert!(matches!(w.messages(robot.link)[0], ServerMessage::PeerJoined { .. }));
}

#[test]
fn moderators_know_who_waits_whenever_they_came_and_whoever_goes() {
    let mut w = world();
    let first = w.client("m1");
    w.join(first, "car", "caller");
    w.say(first.link, json!({"type": "mod", "action": "lock"}));
    let (second, guest) = (w.client("m2"), w.client("g"));
    w.messages(first.link);
    for (client, role) in [(second, "caller"), (guest, "viewer")] {
        w.say(client.link, json!({"type": "join", "room": "car", "role": role}));
        assert!(matches!(w.one(client.link), ServerMessage::Waiting { .. }));
    }
    w.say(first.link, json!({"type": "admit", "peer": second.peer}));
    let [ServerMessage::Joined(joined), ServerMessage::Knock { peer }] = &w.messages(second.link)[..] else {
        panic!()
    };
    assert!(joined.locked && peer.id == guest.peer);
    w.messages(first.link);
    w.say(guest.link, json!({"type": "leave"}));
    for moderator in [first, second] {
        let left = w.one(moderator.link);
        assert!(
            matches!(left, ServerMessage::PeerLeft { peer, reason: LeaveReason::Left, .. } if peer == guest.peer)
        );
    }
}

#[test]
fn unlocking_lets_everybody_in_and_so_does_the_last_moderators_leaving() {
    for last in [json!({"type": "mod", "action": "unlock"}), json!({"type": "leave"})] {
        let mut w = world();
        let driver = w.client("me");
        w.join(driver, "car", "driver");
        w.say(driver.link, json!({"type": "mod", "action": "lock"}));
        let guest = w.client_with(json!({"token": "viewer"}));
        w.say(guest.link, json!({"type": "join", "room": "car", "role": "viewer"}));
        assert!(matches!(w.one(guest.link), ServerMessage::Waiting { .. }));
        w.say(driver.link, last);
        assert!(matches!(w.messages(guest.link).pop(), Some(ServerMessage::Joined(_))));
    }
}

#[test]
fn a_mute_request_reaches_its_peer() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(driver.link, json!({"type": "mod", "action": "mute_request", "peer": robot.peer}));
    assert_eq!(w.one(robot.link), ServerMessage::MuteRequest { from: driver.peer });
}

#[test]
fn everybody_hears_of_draining() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.rooms.handle_drain(ms(1500));
    w.collect();
    for client in [robot, driver] {
        assert_eq!(w.one(client.link), ServerMessage::Draining { grace_ms: 1500 });
    }
}

#[test]
fn viewers_have_their_own_count_with_a_media_server() {
    let mut w = world_with(Config { sfu: Some("https://sfu/whep".into()), ..Config::default() });
    let (robot, _) = w.two();
    for n in 0..12 {
        let viewer = w.client(&format!("v{n}"));
        let policy = w.join(viewer, "car", "viewer").policy;
        assert_eq!((policy.max, policy.sfu.as_deref()), (64, Some("https://sfu/whep")));
    }
    assert!(!w.closed.contains_key(&robot.link));
}

#[test]
fn nothing_remains_of_those_who_left() {
    let mut w = world();
    let (robot, driver) = w.two();
    assert_eq!(w.rooms.census(), Census { links: 2, sessions: 2, rooms: 1 });
    w.cut(robot);
    w.cut(driver);
    w.pass(ms(30_000));
    assert_eq!(w.rooms.census(), Census::default());
    assert_eq!(w.rooms.poll_timeout(), None);
}
