//! Looks for robots at a server while the connect screen is shown.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farwheel_peer::signaling::{ErrorCode, Refusal, RoomInfo, lobby};

use super::hands::lock;
use super::{Runtime, problem};
use crate::model::connect::{Field, Problem};
use crate::model::lobby::{Door, Lobby, Place, Presence, Room, Sight};

/// A look at one place; dropping it ends it.
#[derive(Debug)]
pub struct Lookout {
    place: Place,
    // A slot: newest wins.
    sight: Arc<Mutex<Sight>>,
    task: tokio::task::JoinHandle<()>,
}

impl Lookout {
    /// Starts to look after `pause`; `wake` is called each time there is something new.
    pub fn start(
        runtime: &Runtime,
        place: Place,
        name: String,
        ca: Option<PathBuf>,
        pause: Duration,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let sight = Arc::new(Mutex::new(Sight::Looking));
        let config = lobby::Config {
            server: place.server.clone(),
            name,
            token: Some(place.token.clone()).filter(|token| !token.is_empty()),
            ca,
        };
        let (seen, asked) = (Arc::clone(&sight), place.clone());
        let task = runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            if let Err(error) = config.check() {
                *lock(&seen) = Sight::Failed(problem::unusable(&error));
                wake();
                return;
            }
            let mut lobby = lobby::Lobby::open(config);
            while let Some(news) = lobby.changed().await {
                *lock(&seen) = translate(&asked, news);
                wake();
            }
        });
        Self { place, sight, task }
    }

    /// The place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is seen there now.
    pub fn lobby(&self) -> Lobby {
        Lobby { place: self.place.clone(), sight: lock(&self.sight).clone() }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the client sees, in the window's words.
pub fn translate(place: &Place, sight: lobby::Sight) -> Sight {
    match sight {
        lobby::Sight::Looking => Sight::Looking,
        lobby::Sight::Rooms(rooms) => Sight::Rooms(rooms.iter().map(room).collect()),
        lobby::Sight::Away { reason, code: None, .. } => {
            Sight::Failed(problem::unreachable(&place.server, &reason))
        }
        lobby::Sight::Away { reason, code: Some(code), .. } => {
            Sight::Failed(unlisted(place, &Refusal { code, message: reason }))
        }
        lobby::Sight::Refused(refusal) => Sight::Failed(unlisted(place, &refusal)),
    }
}

/// Why a server shows no list. What has to do with the list alone leaves the way into a room by its name open.
fn unlisted(place: &Place, refusal: &Refusal) -> Problem {
    let by_name = "Write the room's name, the one that the robot was started with.";
    let (what, remedy, field) = match refusal.code {
        ErrorCode::Unauthorized if place.token.is_empty() => {
            ("This server wants a token.", "Write the one that its owner gave you.", Field::Token)
        }
        ErrorCode::NotSupported | ErrorCode::UnknownType => {
            ("This server does not list its robots.", by_name, Field::Form)
        }
        ErrorCode::Forbidden => ("This token may not see the list of robots.", by_name, Field::Form),
        _ => return problem::refused(refusal, ""),
    };
    Problem { what: what.into(), remedy: remedy.into(), code: Some(refusal.code.as_str().into()), field }
}

fn room(info: &RoomInfo) -> Room {
    let reached = info.robots.iter().find(|robot| robot.connected);
    let robot = reached.or(info.robots.first());
    let count = |count: Option<usize>| count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Room {
        name: info.room.to_string(),
        robot: robot.and_then(|robot| robot.name.as_deref()).map(legible).unwrap_or_default(),
        presence: match (reached, robot) {
            (Some(_), _) => Presence::Here,
            (None, Some(_)) => Presence::Away,
            (None, None) => Presence::None,
        },
        drivers: count(info.drivers),
        viewers: count(info.viewers),
        door: if info.peers >= info.max {
            Door::Full
        } else if info.locked {
            Door::Locked
        } else {
            Door::Open
        },
    }
}

/// A stranger's words on one line: no control characters and none that turn the writing around, 64 at most.
fn legible(words: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    words.trim().chars().filter(|c| !c.is_control() && !turns(*c)).take(64).collect()
}

#[cfg(test)]
mod tests {
    use farwheel_proto::signaling::{ServerFrame, ServerMessage};

    use super::*;

    #[test]
    fn rooms_become_what_the_screen_shows() {
        let robot = |name: &str, connected: bool| {
            format!(
                r#"{{"id":"4c9lm8jd1r0q9k6n2f3v5t7a8c","role":"robot","name":"{name}","connected":{connected}}}"#
            )
        };
        let room = |name: &str, robots: &[String], rest: &str| {
            format!(r#"{{"room":"{name}","robots":[{}],{rest}}}"#, robots.join(","))
        };
        let open = r#""peers":3,"drivers":1,"viewers":1,"max":8,"locked":false"#;
        let seen = rooms(&[
            room("a", &[robot("gone", false), robot("Buggy", true)], open),
            room("b", &[robot("gone", false)], open),
            room("c", &[], r#""peers":8,"max":8,"locked":true"#),
            room("d", &[robot("x", true)], r#""peers":1,"max":8,"locked":true"#),
            room("e", &[robot(r"a\u0007b\u202ec\n", true)], open),
            room(
                "f",
                &[robot(&"é".repeat(500), true)],
                r#""peers":18446744073709551615,"max":0,"locked":false"#,
            ),
        ]);
        let states: Vec<_> =
            seen.iter().map(|room| (room.robot.as_str(), room.presence, room.drivers, room.door)).collect();
        assert_eq!(
            states,
            [
                ("Buggy", Presence::Here, Some(1), Door::Open),
                ("gone", Presence::Away, Some(1), Door::Open),
                ("", Presence::None, None, Door::Full),
                ("x", Presence::Here, None, Door::Locked),
                ("abc", Presence::Here, Some(1), Door::Open),
                ("é".repeat(64).as_str(), Presence::Here, None, Door::Full),
            ]
        );
    }

    #[test]
    fn every_failure_says_what_to_do_and_keeps_its_code() {
        for code in ErrorCode::ALL {
            for sight in [
                lobby::Sight::Refused(Refusal { code, message: "no".into() }),
                lobby::Sight::Away { reason: "no".into(), code: Some(code), retry_in: Duration::ZERO },
            ] {
                let Sight::Failed(problem) = translate(&at("ws://h"), sight) else { panic!("{code}") };
                assert!(problem.what.ends_with('.') && problem.remedy.ends_with('.'), "{problem:?}");
                assert_eq!(problem.code.as_deref(), Some(code.as_str()));
            }
        }
    }

    #[test]
    fn a_server_without_a_list_leaves_the_way_by_name_open() {
        let refusal = Refusal { code: ErrorCode::NotSupported, message: "no".into() };
        let Sight::Failed(problem) = translate(&at("ws://h"), lobby::Sight::Refused(refusal)) else {
            panic!()
        };
        assert!(problem.remedy.contains("room's name"), "{problem:?}");
        assert_eq!(problem.field, Field::Form);
    }

    #[test]
    fn an_address_that_cannot_be_dialled_is_a_problem_of_the_server_field() {
        let runtime = Runtime::start().unwrap();
        let (woken, wakes) = std::sync::mpsc::channel();
        // Nobody listens any more once the test is over.
        let wake = move || {
            woken.send(()).ok();
        };
        let place = at("ws://a host");
        let lookout = Lookout::start(&runtime, place.clone(), "Ada".into(), None, Duration::ZERO, wake);
        wakes.recv_timeout(Duration::from_secs(10)).expect("there is something to see");
        let seen = lookout.lobby();
        assert_eq!(seen.place, place);
        let Sight::Failed(problem) = seen.sight else { panic!("{seen:?}") };
        assert_eq!((problem.field, problem.code.as_deref()), (Field::Server, Some("bad_address")));
    }

    #[test]
    fn a_missing_token_is_asked_for_and_a_wrong_one_is_called_wrong() {
        for (token, want) in [("", "wants a token"), ("guess", "does not accept")] {
            let place = Place { token: token.into(), ..at("ws://h") };
            let refusal = Refusal { code: ErrorCode::Unauthorized, message: "no".into() };
            let Sight::Failed(problem) = translate(&place, lobby::Sight::Refused(refusal)) else { panic!() };
            assert!(problem.what.contains(want), "{problem:?}");
            assert_eq!(problem.field, Field::Token);
        }
    }

    fn at(server: &str) -> Place {
        Place { server: server.into(), token: String::new() }
    }

    fn rooms(each: &[String]) -> Vec<Room> {
        let text = format!(r#"{{"type":"rooms","rooms":[{}]}}"#, each.join(","));
        let frame =
            ServerFrame::parse(text.as_bytes(), &farwheel_proto::signaling::Limits::default()).unwrap();
        let ServerMessage::Rooms { rooms } = frame.message else { panic!("{text}") };
        match translate(&at("ws://h"), lobby::Sight::Rooms(rooms.into())) {
            Sight::Rooms(rooms) => rooms,
            other => panic!("{other:?}"),
        }
    }
}
