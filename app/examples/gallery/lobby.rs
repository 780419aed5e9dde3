//! Named states of the connect screen.

use std::time::Duration;

use farwheel::model::Connect;
use farwheel::model::connect::{Field, Phase, Problem, Recent, Role, Step, Target};
use farwheel::model::lobby::{Door, Lobby, Place, Presence, Room, Sight};

/// The connect screen of a state.
pub(crate) fn connect(name: &str) -> Connect {
    let mut connect = Connect::default();
    let mut sight = Sight::Rooms(rooms());
    match name {
        "connect-robots" => connect.recents = recents(),
        "connect-many" => sight = Sight::Rooms(many()),
        "connect-looking" => {
            connect.recents = recents();
            sight = Sight::Looking;
        }
        "connect-empty" => sight = Sight::Rooms(Vec::new()),
        "connect-unreachable" => sight = Sight::Failed(unreachable()),
        "connect-token" => {
            connect.recents = recents();
            sight = Sight::Failed(Problem {
                what: "This server wants a token.".into(),
                remedy: "Write the one that its owner gave you.".into(),
                code: Some("unauthorized".into()),
                field: Field::Token,
            });
        }
        "connect-unlisted" => {
            sight = Sight::Failed(Problem {
                what: "This server does not list its robots.".into(),
                remedy: "Write the room's name, the one that the robot was started with.".into(),
                code: Some("not_supported".into()),
                field: Field::Form,
            });
        }
        "connect-no-address" => connect.prefill.server = "ws://".into(),
        "connect-busy" => {
            connect.recents = recents();
            connect.phase = Phase::Connecting(Step::FindRobot);
        }
        "connect-error" => {
            connect.recents = recents();
            connect.phase = Phase::Failed(Problem {
                what: "Room garage is full.".into(),
                remedy: "Wait until somebody leaves, or use another room.".into(),
                code: Some("room_full".into()),
                field: Field::Room,
            });
        }
        other => panic!("no state is called {other}"),
    }
    let place = Place { server: connect.prefill.server.clone(), token: String::new() };
    connect.lobby = Some(Lobby { place, sight });
    connect
}

fn unreachable() -> Problem {
    Problem {
        what: "Nothing answers at ws://127.0.0.1:8443.".into(),
        remedy: "Start the server (`farwheel-signaling serve`), or check address and port.".into(),
        code: Some("connection_refused".into()),
        field: Field::Server,
    }
}

fn room(name: &str, robot: &str, drivers: u32, viewers: u32) -> Room {
    Room {
        name: name.into(),
        robot: robot.into(),
        presence: Presence::Here,
        drivers: Some(drivers),
        viewers: Some(viewers),
        door: Door::Open,
    }
}

fn rooms() -> Vec<Room> {
    vec![
        room("car", "Buggy", 0, 0),
        room("garage", "Crawler with the long arm", 1, 3),
        Room { presence: Presence::Away, ..room("greenhouse", "Rover", 0, 0) },
        room("race-day-at-the-old-airfield-of-the-model-club-north-track-two", "Number 27", 2, 4),
        Room { door: Door::Full, ..room("workshop", "workshop", 1, 6) },
    ]
}

fn many() -> Vec<Room> {
    (1..=14)
        .map(|n| room(&format!("car-{n:02}"), &format!("Buggy {n}"), u32::from(n % 3 == 0), n % 4))
        .collect()
}

fn recents() -> Vec<Recent> {
    let recent = |name: &str, server: &str, room: &str, role, seconds| Recent {
        target: Target { server: server.into(), room: room.into(), role, token: String::new() },
        name: name.into(),
        ago: Duration::from_secs(seconds),
    };
    vec![
        recent("car", "ws://127.0.0.1:8443", "car", Role::Driver, 140),
        recent("garage", "wss://wheel.example.org", "garage", Role::Driver, 86_400),
        recent("race-day", "wss://wheel.example.org", "race-day", Role::Viewer, 5 * 86_400),
    ]
}
