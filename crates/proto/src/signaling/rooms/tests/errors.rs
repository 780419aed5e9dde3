//! Every error code, from both sides of its limit where it has one.

use super::*;

/// The error a link got, and whether the link was closed with the same code.
#[track_caller]
fn failed(w: &mut World, link: LinkId) -> (ErrorCode, bool) {
    let failure = match w.messages(link).pop() {
        Some(ServerMessage::Error(failure)) => failure,
        other => panic!("no error but {other:?}"),
    };
    assert!(!failure.message.is_empty() && !failure.message.contains('\n'));
    assert_eq!(failure.fatal, w.closed.contains_key(&link));
    if let Some(code) = w.closed.get(&link) {
        assert_eq!(*code, failure.code);
    }
    (failure.code, failure.fatal)
}

#[test]
fn bad_json_closes() {
    let mut w = world();
    let client = w.client("a");
    w.text(client.link, "{oops");
    assert_eq!(failed(&mut w, client.link), (ErrorCode::BadJson, true));
    let client = w.client("a");
    w.rooms.handle_binary(client.link, w.now);
    w.collect();
    assert_eq!(failed(&mut w, client.link), (ErrorCode::BadJson, true));
}

#[test]
fn a_bad_message_closes_only_before_hello_is_answered() {
    let mut w = world();
    let client = w.client("a");
    w.say(client.link, json!({"type": "join", "id": 12}));
    let ServerMessage::Error(failure) = w.one(client.link) else { panic!() };
    assert_eq!((failure.id, failure.code, failure.fatal), (Some(12), ErrorCode::BadMessage, false));
    w.say(client.link, hello(json!({"token": "all"})));
    assert_eq!(failed(&mut w, client.link), (ErrorCode::BadMessage, false));
    for first in [
        json!({"type": "hello"}),
        json!({"type": "ping", "t": 1}),
        hello(json!({"token": "all", "name": "x".repeat(65)})),
    ] {
        let link = w.connect();
        w.say(link, first);
        assert_eq!(failed(&mut w, link), (ErrorCode::BadMessage, true));
    }
}

#[test]
fn a_meta_too_large_or_no_object_is_a_bad_message() {
    let mut w = world();
    let (robot, _) = w.two();
    for bad in [json!(3), json!([1]), json!({"x": "y".repeat(4096)})] {
        w.say(robot.link, json!({"type": "set_meta", "meta": bad}));
        assert_eq!(failed(&mut w, robot.link), (ErrorCode::BadMessage, false));
    }
}

#[test]
fn an_unknown_type_never_closes() {
    let mut w = world();
    let link = w.connect();
    w.say(link, json!({"type": "fly"}));
    assert_eq!(failed(&mut w, link), (ErrorCode::UnknownType, false));
    w.say(link, hello(json!({"token": "all"})));
    assert!(matches!(w.one(link), ServerMessage::HelloOk(_)));
    w.say(link, json!({"type": "fly"}));
    assert_eq!(failed(&mut w, link), (ErrorCode::UnknownType, false));
}

#[test]
fn another_version_is_refused() {
    let mut w = world();
    let link = w.connect();
    let mut old = hello(json!({"token": "all"}));
    old["protocol"] = json!("rtcsig/0");
    w.say(link, old);
    assert_eq!(failed(&mut w, link), (ErrorCode::UnsupportedVersion, true));
}

#[test]
fn hello_is_due_in_ten_seconds() {
    let mut w = world();
    let link = w.connect();
    w.pass(ms(9_999));
    assert!(!w.closed.contains_key(&link));
    w.pass(ms(1));
    assert_eq!(failed(&mut w, link), (ErrorCode::HelloTimeout, true));
}

#[test]
fn forty_seconds_of_silence_are_death_and_any_message_is_life() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.pass(ms(39_000));
    w.say(driver.link, json!({"type": "fly"}));
    w.messages(driver.link);
    w.pass(ms(999));
    assert!(!w.closed.contains_key(&robot.link));
    w.pass(ms(1));
    assert_eq!(failed(&mut w, robot.link), (ErrorCode::Dead, true));
    assert!(!w.closed.contains_key(&driver.link));
    let (_, ok, _) = w.resume(robot, 2);
    assert!(ok.resumed, "a dead connection can be resumed");
    w.rooms.handle_alive(driver.link, w.now);
    w.pass(ms(39_999));
    assert!(!w.closed.contains_key(&driver.link));
}

#[test]
fn a_session_resumed_elsewhere_replaces_the_connection() {
    let mut w = world();
    let (_, driver) = w.two();
    let (again, ok, _) = w.resume(driver, 1);
    assert!(ok.resumed);
    assert_eq!(failed(&mut w, driver.link), (ErrorCode::SessionReplaced, true));
    w.say(again.link, json!({"type": "ping", "t": 1}));
    assert!(matches!(w.one(again.link), ServerMessage::Pong { .. }));
}

#[test]
fn a_kicked_peer_is_closed_and_cannot_resume() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.say(driver.link, json!({"type": "mod", "action": "kick", "peer": robot.peer}));
    assert_eq!(failed(&mut w, robot.link), (ErrorCode::Kicked, true));
    assert!(matches!(w.one(driver.link), ServerMessage::PeerLeft { reason: LeaveReason::Kicked, .. }));
    assert!(!w.resume(robot, 2).1.resumed);
}

#[test]
fn two_hundred_messages_at_once_are_taken_and_one_more_is_not() {
    let mut w = world();
    let client = w.client("a");
    for t in 0..200 {
        w.say(client.link, json!({"type": "ping", "t": t}));
    }
    assert_eq!(w.messages(client.link).len(), 200);
    w.say(client.link, json!({"type": "ping", "t": 200}));
    let ServerMessage::Error(failure) = w.one(client.link) else { panic!() };
    assert_eq!((failure.code, failure.retry_after_ms), (ErrorCode::RateLimited, Some(20)));
    assert_eq!(w.closed[&client.link], ErrorCode::RateLimited);
    // The bucket belongs to the session: reconnecting does not fill it.
    let (again, _, _) = w.resume(client, 0);
    w.say(again.link, json!({"type": "ping", "t": 201}));
    assert_eq!(failed(&mut w, again.link), (ErrorCode::RateLimited, true));
}

#[test]
fn fifty_messages_a_second_can_go_on_for_ever() {
    let mut w = world();
    let client = w.client("a");
    for t in 0..2_000 {
        w.say(client.link, json!({"type": "ping", "t": t}));
        w.pass(ms(20));
    }
    assert_eq!(w.messages(client.link).len(), 2_000);
}

#[test]
fn the_thirty_third_session_of_an_address_is_refused() {
    let mut w = world();
    for _ in 0..32 {
        w.client("a");
    }
    let (link, answer) = w.hello(hello(json!({"token": "all"})));
    assert!(matches!(answer, ServerMessage::Error(f) if f.code == ErrorCode::RateLimited));
    assert!(w.closed.contains_key(&link));
    let elsewhere = w.connect_from([192, 0, 2, 2]);
    w.say(elsewhere, hello(json!({"token": "all"})));
    assert!(matches!(w.messages(elsewhere).pop(), Some(ServerMessage::HelloOk(_))));
}

#[test]
fn a_wrong_token_is_refused_and_the_sixth_is_not_even_looked_at() {
    let mut w = world();
    for _ in 0..5 {
        let link = w.connect();
        w.say(link, hello(json!({"token": "guess"})));
        assert_eq!(failed(&mut w, link), (ErrorCode::Unauthorized, true));
    }
    for token in ["guess", "all"] {
        let link = w.connect();
        w.say(link, hello(json!({"token": token})));
        assert_eq!(failed(&mut w, link), (ErrorCode::RateLimited, true));
    }
    w.pass(ms(3 * 60 * 1000));
    w.client("after three minutes one more try is allowed");
}

#[test]
fn asking_without_a_token_is_no_guess_and_locks_nobody_out() {
    let mut w = world();
    w.rooms.host_mut().strangers = Strangers::Refused;
    for _ in 0..20 {
        let link = w.connect();
        w.say(link, hello(json!({"anonymous": true})));
        assert_eq!(failed(&mut w, link), (ErrorCode::Unauthorized, true));
    }
    w.client("one with the right token");
}

#[test]
fn what_the_token_does_not_allow_is_forbidden() {
    let mut w = world();
    for role in ["robot", "driver", "caller"] {
        let viewer = w.client_with(json!({"token": "viewer"}));
        w.say(viewer.link, json!({"type": "join", "room": "car", "role": role}));
        assert_eq!(failed(&mut w, viewer.link), (ErrorCode::Forbidden, true));
    }
    let viewer = w.client_with(json!({"token": "viewer"}));
    w.say(viewer.link, json!({"type": "list_rooms"}));
    assert_eq!(failed(&mut w, viewer.link), (ErrorCode::Forbidden, false));
    w.join(viewer, "car", "viewer");
    for request in [json!({"type": "mod", "action": "lock"}), json!({"type": "admit", "peer": viewer.peer})] {
        w.say(viewer.link, request);
        assert_eq!(failed(&mut w, viewer.link), (ErrorCode::Forbidden, false));
    }
}

#[test]
fn a_server_with_fixed_rooms_has_no_others() {
    let rooms = Some(["car".parse().unwrap()].into());
    let mut w = world_with(Config { rooms, ..Config::default() });
    let (_, driver) = w.two();
    w.say(driver.link, json!({"type": "leave"}));
    w.say(driver.link, json!({"type": "join", "room": "bus", "role": "driver"}));
    assert_eq!(failed(&mut w, driver.link), (ErrorCode::RoomNotFound, true));
}

#[test]
fn the_ninth_peer_finds_the_room_full() {
    let mut w = world();
    for n in 0..8 {
        let client = w.client(&format!("p{n}"));
        w.join(client, "car", "viewer");
    }
    let ninth = w.client("p8");
    w.say(ninth.link, json!({"type": "join", "room": "car", "role": "robot"}));
    assert_eq!(failed(&mut w, ninth.link), (ErrorCode::RoomFull, true));
    assert_eq!(w.closed.len(), 1, "nobody else is disturbed");
}

#[test]
fn a_message_too_large_closes_and_data_too_large_does_not() {
    let mut w = world();
    let (_, driver) = w.two();
    let data = |bytes: usize| json!({"type": "data", "data": "x".repeat(bytes - 2)});
    w.say(driver.link, data(16 * 1024));
    assert_eq!(w.messages(driver.link), []);
    w.say(driver.link, data(16 * 1024 + 1));
    assert_eq!(failed(&mut w, driver.link), (ErrorCode::TooLarge, false));
    w.text(driver.link, &format!(r#"{{"type":"leave"{}}}"#, " ".repeat(65_536)));
    assert_eq!(failed(&mut w, driver.link), (ErrorCode::TooLarge, true));
    let client = w.client("a");
    w.rooms.handle_oversize(client.link, w.now);
    w.collect();
    assert_eq!(failed(&mut w, client.link), (ErrorCode::TooLarge, true));
}

#[test]
fn a_shutdown_closes_everything_as_draining() {
    let mut w = world();
    let (robot, driver) = w.two();
    w.rooms.handle_shutdown(w.now);
    w.collect();
    for client in [robot, driver] {
        assert_eq!(failed(&mut w, client.link), (ErrorCode::Draining, true));
    }
    assert_eq!(w.rooms.census().links, 0);
}

#[test]
fn a_session_is_in_one_room_at_a_time() {
    let mut w = world();
    let (robot, _) = w.two();
    for request in
        [json!({"type": "join", "room": "b", "role": "robot"}), json!({"type": "pair", "code": "b"})]
    {
        w.say(robot.link, request);
        assert_eq!(failed(&mut w, robot.link), (ErrorCode::AlreadyJoined, false));
    }
}

#[test]
fn who_is_in_no_room_can_do_nothing_there() {
    let mut w = world();
    let client = w.client("a");
    for request in [
        candidate(client.peer, Value::Null),
        json!({"type": "data", "data": 1}),
        json!({"type": "set_meta", "meta": {}}),
        json!({"type": "leave"}),
        json!({"type": "mod", "action": "lock"}),
        json!({"type": "deny", "peer": client.peer}),
    ] {
        w.say(client.link, request);
        assert_eq!(failed(&mut w, client.link), (ErrorCode::NotJoined, false));
    }
}

#[test]
fn whoever_is_not_there_cannot_be_reached() {
    let mut w = world();
    let (robot, driver) = w.two();
    let nobody = PeerId::new(99);
    for request in [
        candidate(nobody, Value::Null),
        candidate(driver.peer, Value::Null),
        json!({"type": "data", "to": nobody, "data": 1}),
        json!({"type": "mod", "action": "kick", "peer": nobody}),
        json!({"type": "admit", "peer": robot.peer}),
    ] {
        w.say(driver.link, request);
        assert_eq!(failed(&mut w, driver.link), (ErrorCode::PeerNotFound, false));
    }
}

#[test]
fn what_a_server_leaves_out_is_not_supported() {
    let mut w = world_with(Config { features: BTreeSet::new(), ..Config::default() });
    let (robot, driver) = w.two();
    for request in [
        json!({"type": "data", "data": 1}),
        json!({"type": "pair", "code": "1"}),
        json!({"type": "list_rooms"}),
        json!({"type": "mod", "action": "lock"}),
        json!({"type": "admit", "peer": robot.peer}),
    ] {
        w.say(driver.link, request);
        assert_eq!(failed(&mut w, driver.link), (ErrorCode::NotSupported, false));
    }
}

#[test]
fn addresses_are_counted_by_customer() {
    for (a, b, same) in [
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
    ] {
        assert_eq!(ip_key(a.parse().unwrap()) == ip_key(b.parse().unwrap()), same, "{a} {b}");
    }
}
