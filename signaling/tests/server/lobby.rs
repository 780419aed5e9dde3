//! The list of rooms, asked for by the client that the app uses.

use farwheel_peer::signaling::RoomInfo;
use farwheel_peer::signaling::lobby::{Config, Lobby, Sight, look};
use farwheel_proto::signaling::ErrorCode;
use farwheel_signaling::config::Settings;
use serde_json::json;

use super::support::{PATIENCE, Running, loopback, soon, start};

fn config(server: &Running, token: Option<&str>) -> Config {
    Config {
        server: format!("ws://{}", server.address),
        name: "Ada".into(),
        token: token.map(Into::into),
        ca: None,
    }
}

/// Waits for a list that is as wanted.
async fn until(lobby: &mut Lobby, what: &str, is_it: impl Fn(&[RoomInfo]) -> bool) {
    soon(what, async {
        loop {
            match lobby.changed().await {
                Some(Sight::Rooms(rooms)) if is_it(&rooms) => return,
                Some(Sight::Rooms(_) | Sight::Looking) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_lobby_sees_robots_and_drivers_come_and_go_and_leaves_no_link_behind() {
    let server = start(loopback()).await;
    let mut lobby = Lobby::open(config(&server, None));
    until(&mut lobby, "empty list", <[_]>::is_empty).await;
    let (mut robot, ..) = server.member("pi", "robot").await;
    until(&mut lobby, "robot", |rooms| {
        matches!(rooms, [room] if room.room.as_str() == "car"
            && room.robots[0].name.as_deref() == Some("pi")
            && (room.drivers, room.viewers) == (Some(0), Some(0)))
    })
    .await;
    let driver = server.member("Grace", "driver").await;
    until(&mut lobby, "driver", |rooms| matches!(rooms, [room] if room.drivers == Some(1))).await;
    robot.say(json!({"type": "leave"})).await;
    until(&mut lobby, "empty list again", <[_]>::is_empty).await;
    drop((robot, driver, lobby));
    server.until("links", 0).await;
}

#[tokio::test]
async fn a_look_without_the_right_token_is_refused_and_not_repeated() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "correct-horse-battery view,list\nno-list-with-this-one view\n").unwrap();
    let server = start(Settings { token_file: Some(file.path().into()), ..loopback() }).await;
    for (token, want) in [
        (None, ErrorCode::Unauthorized),
        (Some("correct-horse-batterz"), ErrorCode::Unauthorized),
        (Some("no-list-with-this-one"), ErrorCode::Forbidden),
    ] {
        let mut lobby = Lobby::open(config(&server, token));
        let seen = soon("refusal", lobby.changed()).await;
        assert!(
            matches!(&seen, Some(Sight::Refused(refusal)) if refusal.code == want),
            "{token:?}: {seen:?}"
        );
        assert_eq!(soon("end of the lobby", lobby.changed()).await, None);
    }
    let seen = look(config(&server, Some("correct-horse-battery")), PATIENCE).await;
    assert_eq!(seen, Sight::Rooms([].into()));
}

#[tokio::test]
async fn a_server_that_comes_back_is_seen_again() {
    let mut server = start(loopback()).await;
    let address = server.address;
    let mut lobby = Lobby::open(config(&server, None));
    until(&mut lobby, "first list", <[_]>::is_empty).await;
    server.begin_stop();
    server.ended().await;
    let away = soon("loss", lobby.changed()).await;
    assert!(matches!(away, Some(Sight::Away { .. })), "{away:?}");
    let _again = start(Settings { listen: Some(address), ..Settings::default() }).await;
    soon("list again", async { while !matches!(lobby.changed().await, Some(Sight::Rooms(_))) {} }).await;
}
