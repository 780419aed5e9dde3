//! Takes out of a text what must not get out.

use std::net::IpAddr;

/// Takes out words that are known to be private, and everything that looks like an address, a key or SDP.
#[derive(Clone, Debug)]
pub struct Scrubber {
    /// In lower case, longest first, so that a name within another one leaves nothing over.
    known: Vec<String>,
}

/// Shorter words stand in other words; they are taken out where they are whole words.
const PART_CHARS: usize = 4;
/// Digits and letters in one piece that are this long are an id or a key.
const KEY_CHARS: usize = 20;
/// What stands before a secret.
const KEYS: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "ufrag",
    "credential",
    "username",
    "authorization",
    "bearer",
    "code",
    "key",
];
/// What stands in SDP and candidates only.
const SDP: [&str; 7] = ["v=0", "a=", "candidate:", "ice-pwd", "ice-ufrag", "fingerprint:", "c=IN"];

impl Scrubber {
    /// Knows these words; empty ones are left out.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = known
            .into_iter()
            .map(|word| word.trim().to_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        known.sort_by_key(|word| std::cmp::Reverse(word.len()));
        known.dedup();
        Self { known }
    }

    /// A text line by line.
    pub fn scrub_lines(&self, text: &str) -> String {
        text.lines().map(|line| self.scrub(line) + "\n").collect()
    }

    /// One line.
    pub fn scrub(&self, line: &str) -> String {
        let line = cut_sdp(line);
        let line = self.take_out_known(line);
        let mut out = String::with_capacity(line.len());
        let mut rest = line.as_str();
        let mut is_secret = false;
        while !rest.is_empty() {
            if is_secret && let Some(quote) = opening_quote(&out) {
                // A secret in quotes goes whole.
                rest = rest.find(quote).map_or("", |end| &rest[end..]);
                out.push_str("<secret>");
                is_secret = false;
            }
            let end = rest.find(is_separator).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let separator = after.chars().next();
            if word.chars().all(|c| c == ':') {
                out.push_str(word);
                // Between a name and its secret stand a sign, spaces and quotes; a comma ends it.
                is_secret &= separator.is_some_and(|c| c.is_whitespace() || "=:\"'".contains(c));
            } else {
                out.push_str(if is_secret { "<secret>" } else { judge(word).unwrap_or(word) });
                let name = word.trim_end_matches(':').to_lowercase();
                let is_name = KEYS.iter().any(|key| name.ends_with(key));
                // `key frame` and `code 3` are no secrets, `token hunter2` is one.
                let signs = if name.ends_with("key") || name.ends_with("code") { "=\"'" } else { "=\"' " };
                let is_said = word.ends_with(':') || separator.is_some_and(|c| signs.contains(c));
                is_secret = !is_secret && is_name && is_said;
            }
            let Some(separator) = separator else { break };
            out.push(separator);
            rest = &after[separator.len_utf8()..];
        }
        out
    }

    fn take_out_known(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for word in &self.known {
            let mut from = 0;
            while let Some((start, end)) = find(&line, word, from) {
                line.replace_range(start..end, "<private>");
                from = start + "<private>".len();
            }
        }
        line
    }
}

/// Where a word of lower case stands, in any case, at or behind `from`; a short one only as a whole word.
fn find(line: &str, word: &str, from: usize) -> Option<(usize, usize)> {
    let is_short = word.chars().count() < PART_CHARS;
    for (start, _) in line.char_indices().filter(|(at, _)| *at >= from) {
        let mut wanted = word.chars();
        let mut end = start;
        for c in line[start..].chars() {
            if wanted.as_str().is_empty() {
                break;
            }
            if !c.to_lowercase().all(|lower| wanted.next() == Some(lower)) {
                wanted = "\u{0}".chars();
                break;
            }
            end += c.len_utf8();
        }
        let is_whole = |at: Option<char>| at.is_none_or(|c| !c.is_alphanumeric());
        if wanted.as_str().is_empty()
            && end > start
            && (!is_short
                || (is_whole(line[..start].chars().next_back()) && is_whole(line[end..].chars().next())))
        {
            return Some((start, end));
        }
    }
    None
}

/// The line up to where SDP begins.
fn cut_sdp(line: &str) -> &str {
    let begin = |sign: &&str| {
        let found = line.match_indices(*sign).find(|(at, _)| {
            line[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-')
        });
        found.map(|(at, _)| at)
    };
    SDP.iter().filter_map(begin).min().map_or(line, |at| &line[..at])
}

/// The quote in which what comes next stands: it is the last character, and not the end of a quoted name.
fn opening_quote(text: &str) -> Option<char> {
    let mut back = text.chars().rev();
    let quote = back.next().filter(|c| "\"'".contains(*c))?;
    back.next().is_none_or(|c| c.is_whitespace() || "=:".contains(c)).then_some(quote)
}

const fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | ',' | ';' | '=' | '(' | ')' | '{' | '}' | '<' | '>' | '|' | '`' | '\\' | '&' | '?'
        )
}

/// What is said instead of a word; none if it is harmless.
fn judge(word: &str) -> Option<&'static str> {
    let word = word.trim_end_matches(['.', ':']);
    let word = ["turns:", "turn:", "stuns:", "stun:", "mailto:"]
        .iter()
        .find_map(|s| word.strip_prefix(s))
        .unwrap_or(word);
    if word.contains("://") {
        return Some("<address>");
    }
    if is_address(word) {
        return Some("<address>");
    }
    let pairs = word.split(':').filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()));
    if pairs.count() >= 6 {
        // A fingerprint, or the address of a network card.
        return Some("<address>");
    }
    if word.starts_with("/home/") || word.starts_with("/root/") || word.starts_with("/Users/") {
        return Some("<path>");
    }
    let longest = word.split(|c: char| !c.is_ascii_alphanumeric() && !"+_-".contains(c));
    let is_key = longest.into_iter().any(|piece| {
        piece.len() >= KEY_CHARS
            && piece.bytes().any(|c| c.is_ascii_digit())
            && piece.bytes().any(|c| c.is_ascii_alphabetic())
    });
    is_key.then_some("<id>")
}

/// An IP address or a host's name, with or without port, scope or prefix.
fn is_address(word: &str) -> bool {
    let word = word.trim_start_matches("//").split(['/', '%']).next().unwrap_or_default();
    let bare = word.trim_matches(['[', ']']);
    let without_port = match word.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => {
            host.trim_matches(['[', ']'])
        }
        Some(_) | None => bare,
    };
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let has_port = without_port.len() < bare.len();
    let is_name = |text: &str| {
        text.contains('.') && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_".contains(&c))
    };
    is_ip(bare)
        || is_ip(without_port.split('%').next().unwrap_or_default())
        || (has_port && (is_name(without_port) || without_port == "localhost"))
        || without_port.ends_with(".local")
        || is_host(without_port)
}

/// Whether it ends as the names of hosts do; file names and modules do not.
fn is_host(text: &str) -> bool {
    let Some((before, last)) = text.rsplit_once('.') else { return false };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    let is_ending = [
        "com", "org", "net", "io", "dev", "de", "eu", "uk", "ch", "at", "fr", "lan", "home", "internal",
        "example",
    ]
    .contains(&last);
    is_ending && before.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_private_is_taken_out_and_the_rest_stays() {
        let scrubber = Scrubber::new(Vec::new());
        for (line, want) in [
            ("connected rtt_ms=20 pair=host", "connected rtt_ms=20 pair=host"),
            (
                "2026-01-31T12:59:59.123Z  INFO farwheel::call: joined",
                "2026-01-31T12:59:59.123Z  INFO farwheel::call: joined",
            ),
            ("version 1.2.3, 29.97 fps at 0.5", "version 1.2.3, 29.97 fps at 0.5"),
            ("local=192.168.1.5:40123 remote=[2001:db8::7]:9", "local=<address> remote=<address>"),
            ("at 10.0.0.1, fe80::1%eth0 and 10.0.0.0/8", "at <address>, <address> and <address>"),
            ("server wss://x.example/ws?token=abc joined", "server <address>?token=<secret> joined"),
            ("cannot reach car.example.org: refused", "cannot reach <address> refused"),
            ("turn:relay.lan:3478", "<address>"),
            ("localhost:80 abc.local", "<address> <address>"),
            ("a key frame, code 3, key=a", "a key frame, code 3, key=<secret>"),
            ("token hunter2 next", "token <secret> next"),
            ("token=hunter2 next", "token=<secret> next"),
            ("Token: \"hunter2\", next", "Token: \"<secret>\", next"),
            ("{\"password\":\"a b\"}", "{\"password\":\"<secret>\"}"),
            ("Authorization: Bearer", "Authorization: <secret>"),
            ("peer 0123456789abcdefghijklmnop left", "peer <id> left"),
            ("sha-256 AA:BB:CC:DD:EE:FF:00:11", "sha-256 <address>"),
            ("offer v=0\\r\\no=- 1 1 IN IP4 x", "offer "),
            ("got candidate:1 1 udp 5 host", "got "),
            ("saved /home/ada/a.png", "saved <path>"),
            ("data=3 schema=4", "data=3 schema=4"),
        ] {
            assert_eq!(scrubber.scrub(line), want, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_taken_out_in_any_case() {
        let scrubber =
            Scrubber::new(["Blue Room".into(), "Blue".into(), "Al".into(), " ".into(), "Zoë".into()]);
        for (line, want) in [
            ("joined BLUE room", "joined <private>"),
            ("blueprint of blue", "<private>print of <private>"),
            ("Al and also ALAN, al.", "<private> and also ALAN, <private>."),
            ("ZOË came", "<private> came"),
        ] {
            assert_eq!(scrubber.scrub(line), want, "{line}");
        }
        assert_eq!(scrubber.scrub_lines("al\nblue"), "<private>\n<private>\n");
    }
}
