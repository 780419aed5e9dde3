//! The robots at a server, as the connect screen lists them.

use super::Level;
use super::connect::Problem;

/// Where to look for robots, and with which token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Signalling server, `ws://` or `wss://`.
    pub server: String,
    /// Token for the server; empty for anonymous.
    pub token: String,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({})", self.server)
    }
}

impl Place {
    /// The place that these words name; `None` while they are no address.
    pub fn new(server: &str, token: &str) -> Option<Self> {
        is_address(server).then(|| Self { server: server.trim().into(), token: token.trim().into() })
    }
}

/// Whether words are the address of a server: `ws://` or `wss://`, a host, perhaps a port and a path.
pub fn is_address(server: &str) -> bool {
    let server = server.trim();
    let Some(rest) = server.strip_prefix("wss://").or_else(|| server.strip_prefix("ws://")) else {
        return false;
    };
    let place = rest.split('/').next().unwrap_or_default();
    let (host, port) = match place.strip_prefix('[').map(|v6| v6.split_once(']')) {
        Some(Some((host, after))) => (host, after),
        Some(None) => return false,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    host.contains(char::is_alphanumeric)
        && host.chars().all(is_host)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What is known about the robots at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lobby {
    /// The place.
    pub place: Place,
    /// What is seen there.
    pub sight: Sight,
}

/// What is seen at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// The server has not answered yet.
    #[default]
    Looking,
    /// The rooms that have a robot, by name; perhaps none.
    Rooms(Vec<Room>),
    /// There is no list.
    Failed(Problem),
}

/// A room that has a robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// The robot's name as it gave it; empty if it gave none.
    pub robot: String,
    /// Whether the robot can be reached.
    pub presence: Presence,
    /// Drivers in it; `None` if the server does not tell.
    pub drivers: Option<u32>,
    /// Viewers in it; `None` if the server does not tell.
    pub viewers: Option<u32>,
    /// Whether one more is let in.
    pub door: Door,
}

/// Whether a robot can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is in the room.
    Here,
    /// It has lost the server; it may come back within half a minute.
    Away,
    /// There is none.
    None,
}

/// Whether one more is let into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Yes.
    Open,
    /// Not before somebody leaves.
    Full,
    /// Once a moderator agrees.
    Locked,
}

impl Room {
    /// How it stands there, in a few words.
    pub fn state(&self) -> (Level, String) {
        let words = |level, text: &str| (level, text.to_owned());
        match (self.presence, self.door, self.drivers) {
            (Presence::None, ..) => words(Level::Neutral, "No robot in it"),
            (Presence::Away, ..) => words(Level::Warning, "Robot has lost the server"),
            (Presence::Here, Door::Full, _) => words(Level::Warning, "Full"),
            (Presence::Here, Door::Locked, _) => words(Level::Warning, "Locked, somebody must let you in"),
            (Presence::Here, Door::Open, None) => words(Level::Good, "Robot is here"),
            (Presence::Here, Door::Open, Some(0)) => words(Level::Good, "Free to drive"),
            (Presence::Here, Door::Open, Some(1)) => words(Level::Warning, "Being driven"),
            (Presence::Here, Door::Open, Some(drivers)) => {
                (Level::Warning, format!("Driven, {} waiting", drivers - 1))
            }
        }
    }

    /// How many watch, in words; nothing if nobody does or the server does not tell.
    pub fn watching(&self) -> Option<String> {
        self.viewers.filter(|viewers| *viewers > 0).map(|viewers| format!("{viewers} watching"))
    }

    /// Whether it belongs to what is looked for: a part of its own name or of the robot's, in any case.
    pub fn matches(&self, wanted: &str) -> bool {
        let wanted = wanted.trim().to_lowercase();
        self.name.to_lowercase().contains(&wanted) || self.robot.to_lowercase().contains(&wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_scheme_and_a_host() {
        for (server, is_one) in [
            ("ws://127.0.0.1:8443", true),
            (" wss://example.org/v1 ", true),
            ("ws://[::1]:9", true),
            ("ws://[::1]", true),
            ("ws://bücher.example", true),
            ("wss://a", true),
            ("http://example.org", false),
            ("example.org", false),
            ("", false),
            ("ws:/", false),
            ("ws://", false),
            ("wss:///path", false),
            ("ws://:8443", false),
            ("ws://host:", false),
            ("ws://host:0", false),
            ("ws://host:99999", false),
            ("ws://host:1:2", false),
            ("ws://[::1", false),
            ("ws://[::1]x", false),
            ("ws://...", false),
            ("ws://a b", false),
            ("ws://host/a b", false),
            ("ws://user@host", false),
        ] {
            assert_eq!(is_address(server), is_one, "{server:?}");
            assert_eq!(Place::new(server, " t ").map(|place| place.token), is_one.then(|| "t".into()));
        }
    }

    #[test]
    fn a_room_says_in_words_whether_it_can_be_driven() {
        let at = |presence, door, drivers| Room { presence, door, drivers, ..room() }.state();
        for (presence, door, drivers, level, words) in [
            (Presence::Here, Door::Open, Some(0), Level::Good, "Free to drive"),
            (Presence::Here, Door::Open, Some(1), Level::Warning, "Being driven"),
            (Presence::Here, Door::Open, Some(3), Level::Warning, "Driven, 2 waiting"),
            (Presence::Here, Door::Open, None, Level::Good, "Robot is here"),
            (Presence::Here, Door::Full, Some(1), Level::Warning, "Full"),
            (Presence::Here, Door::Locked, Some(0), Level::Warning, "Locked, somebody must let you in"),
            (Presence::Away, Door::Full, Some(1), Level::Warning, "Robot has lost the server"),
            (Presence::None, Door::Open, Some(1), Level::Neutral, "No robot in it"),
        ] {
            assert_eq!(at(presence, door, drivers), (level, words.to_owned()));
        }
    }

    #[test]
    fn viewers_are_told_when_there_are_any() {
        for (viewers, words) in [(None, None), (Some(0), None), (Some(1), Some("1 watching"))] {
            assert_eq!(Room { viewers, ..room() }.watching().as_deref(), words);
        }
    }

    #[test]
    fn a_room_is_found_by_a_part_of_either_name() {
        for (wanted, is_found) in [("", true), (" gar", true), ("BUGGY", true), ("garagen", false)] {
            assert_eq!(room().matches(wanted), is_found, "{wanted:?}");
        }
    }

    #[test]
    fn a_place_does_not_print_its_token() {
        let place = Place::new("ws://host", "correct-horse").unwrap();
        assert_eq!(format!("{place:?}"), "Place(ws://host)");
    }

    fn room() -> Room {
        Room {
            name: "garage".into(),
            robot: "Buggy".into(),
            presence: Presence::Here,
            drivers: Some(0),
            viewers: Some(0),
            door: Door::Open,
        }
    }
}
