//! What brings others into a call: a link with server and room, and names for new rooms.
//!
//! `farwheel://call?server=wss://example.org&room=quiet-otter-7kq2m`. A token is never part of it: whoever shall come in
//! has one of their own, or the server wants none.
//!
//! `farwheel://ring?server=wss://example.org&line=line-0123456789abcdefghijklmno0` rings somebody in their own line.

use farwheel_proto::call::ring::Address;

use super::call::Target;
use super::lobby::is_address;

/// The link that brings others to `target`.
pub fn link(target: &Target) -> String {
    let (server, room) = (escaped(target.server.trim()), escaped(target.room.trim()));
    if is_line(&target.room) {
        format!("{RING}?server={server}&line={room}")
    } else {
        format!("{SCHEME}?server={server}&room={room}")
    }
}

/// Whether a room's name is that of somebody's line, where one rings instead of walking in.
pub fn is_line(room: &str) -> bool {
    room.trim().parse::<Address>().is_ok()
}

/// The place that a link leads to; `None` if it is no such link, or leads nowhere.
pub fn parse(link: &str) -> Option<Target> {
    let link = link.trim().trim_matches(['<', '>', '"', '\'']);
    let (rest, key) = match link.strip_prefix(RING) {
        Some(rest) => (rest, "line"),
        None => (link.strip_prefix(SCHEME)?, "room"),
    };
    let query = rest.trim_start_matches('/').strip_prefix('?')?;
    let value = |key: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
    };
    let (server, room) = (unescaped(value("server")?)?, unescaped(value(key)?)?);
    let is_place = if key == "line" { is_line(&room) } else { is_room(&room) };
    (is_address(&server) && is_place).then(|| Target { server, room, token: String::new() })
}

/// Whether words name a room: `[A-Za-z0-9_-]{1,64}`.
pub fn is_room(room: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&room.len()) && room.chars().all(is_known)
}

/// A name for a new room out of 64 random bits: two words to remember, and five characters so that nobody guesses it
/// (37 bits in all).
pub fn room_name(random: u64) -> String {
    let mut rest = random;
    let mut pick = |count: usize| {
        let index = rest % count as u64;
        rest /= count as u64;
        index as usize
    };
    let mut name = format!("{}-{}-", ADJECTIVES[pick(ADJECTIVES.len())], ANIMALS[pick(ANIMALS.len())]);
    for _ in 0..5 {
        name.push(char::from(TAIL[pick(TAIL.len())]));
    }
    name
}

/// Characters that have a meaning of their own in a query, and those that are none, as `%XX`.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for byte in words.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/[]@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

fn unescaped(words: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(words.len());
    let mut rest = words.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

const SCHEME: &str = "farwheel://call";
const RING: &str = "farwheel://ring";

/// Without those that are mistaken for another one: no 0, 1, i, l, o.
const TAIL: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";

const ADJECTIVES: [&str; 64] = [
    "amber", "autumn", "bold", "brave", "bright", "calm", "clear", "clever", "cosy", "crisp", "dawn",
    "dusky", "eager", "early", "fair", "fern", "fond", "fresh", "gentle", "glad", "golden", "grand", "green",
    "happy", "hazel", "honest", "indigo", "ivory", "jolly", "keen", "kind", "late", "light", "lively",
    "lunar", "maple", "merry", "mild", "misty", "noble", "olive", "pale", "patient", "plain", "proud",
    "quick", "quiet", "rapid", "rosy", "royal", "sandy", "sharp", "silver", "snowy", "solar", "steady",
    "still", "sunny", "swift", "tidy", "velvet", "vivid", "warm", "wise",
];

const ANIMALS: [&str; 64] = [
    "badger", "beaver", "bee", "bison", "camel", "cat", "cod", "condor", "crane", "crow", "deer", "dolphin",
    "dove", "duck", "eagle", "falcon", "ferret", "finch", "fox", "frog", "gecko", "goat", "goose", "hare",
    "hawk", "heron", "horse", "ibex", "jay", "koala", "lark", "lemur", "lion", "llama", "lynx", "magpie",
    "marten", "mole", "moose", "moth", "newt", "orca", "otter", "owl", "panda", "parrot", "pike", "puffin",
    "quail", "rabbit", "raven", "robin", "salmon", "seal", "shark", "sparrow", "stork", "swan", "tiger",
    "toucan", "turtle", "weasel", "wolf", "wren",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn target(server: &str, room: &str) -> Target {
        Target { server: server.into(), room: room.into(), token: "secret".into() }
    }

    #[test]
    fn a_link_leads_back_to_its_place_without_the_token() {
        for (server, room) in [
            ("wss://example.org", "car"),
            ("ws://127.0.0.1:8443", "quiet-otter-7kq2m"),
            ("ws://[::1]:9/a/b", "A_b-9"),
            ("wss://example.org/signal?x=1&y=%20#z", "r"),
            ("wss://example.org", "line-0123456789abcdefghijklmno0"),
        ] {
            let link = link(&target(server, room));
            assert!(!link.contains("secret"), "{link}");
            let back = parse(&link).expect("an own link");
            assert_eq!((back.server.as_str(), back.room.as_str(), back.token.as_str()), (server, room, ""));
        }
        assert_eq!(
            link(&target("wss://example.org", "car")),
            "farwheel://call?server=wss://example.org&room=car"
        );
    }

    #[test]
    fn what_chat_programs_put_around_a_link_does_no_harm_and_nonsense_is_refused() {
        for good in [
            "  <farwheel://call?server=wss://a.b&room=c>\n",
            "\"farwheel://call/?room=c&server=wss%3A%2F%2Fa.b\"",
            "farwheel://call?x=y&server=wss://a.b&room=c&room=d",
        ] {
            let target = parse(good).unwrap_or_else(|| panic!("{good}"));
            assert_eq!((target.server.as_str(), target.room.as_str()), ("wss://a.b", "c"), "{good}");
        }
        for bad in [
            "",
            "farwheel://call",
            "farwheel://call?room=c",
            "farwheel://call?server=wss://a.b",
            "farwheel://call?server=http://a.b&room=c",
            "farwheel://call?server=wss://a.b&room=my%20room",
            "farwheel://call?server=wss://a.b&room=%",
            "farwheel://call?server=wss://a.b&room=%f",
            "farwheel://call?server=wss://a.b&room=%ff",
            "farwheel://call?server=wss://a.b&room=%\u{e9}",
            "farwheel://ring?server=wss://a.b&room=c",
            "farwheel://ring?server=wss://a.b&line=c",
            "farwheel://calls?server=wss://a.b&room=c",
            "https://example.org/?server=wss://a.b&room=c",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn new_rooms_have_names_that_servers_take_and_that_differ() {
        let names: std::collections::BTreeSet<_> =
            (0..2000_u64).map(|i| room_name(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        assert_eq!(names.len(), 2000);
        for name in &names {
            assert!(is_room(name) && name.len() <= 32, "{name}");
        }
        assert_eq!(room_name(0), "amber-badger-22222");
    }
}
