//! What is written in a call: every line once, in one order for all, and who comes late gets what was said before.
//!
//! There is no server that keeps lines. Each caller holds all of them, and whenever a link comes up both ends tell what
//! they have ([`Message::Have`]) and send each other the rest: that serves a newcomer, and mends what a cut link missed.
//!
//! A line is named by its author and a number that the author counts up. Lines are ordered by their turn, which is one
//! more than the highest that the author had seen: so an answer stands below its question on every screen, whatever the
//! clocks say. The time is for showing only.

mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::message::NAME_CHARS_MAX;
use super::text;
use crate::signaling::PeerId;
pub use wire::{Author, Have, Line, Message, Run};

/// Longest text of one line, in characters.
pub const TEXT_CHARS_MAX: usize = 4000;
/// Lines held; the oldest leave. A day of lively talk.
pub const LINES_MAX: usize = 1000;
/// Bytes of text held; the oldest leave.
pub const BYTES_MAX: usize = 1 << 20;
/// Bytes of JSON for lines in one message: with what stands around them it has less than 16 KiB, which every data channel
/// carries.
const MESSAGE_BYTES: usize = 15 * 1024;
/// Runs in one [`Have`], of at most 63 bytes each; the newest are told, so that older lines may come twice.
const RUNS_MAX: usize = 200;
/// Nobody is further ahead than a full history of lines that did not arrive here.
const TURN_AHEAD_MAX: u32 = 10 * LINES_MAX as u32;

/// The lines of a call.
#[derive(Clone, Debug)]
pub struct Chat {
    own: Author,
    name: String,
    number: u32,
    turn: u32,
    // Full at LINES_MAX or BYTES_MAX: the oldest line leaves.
    lines: BTreeMap<Place, Held>,
    places: BTreeMap<(Author, u32), Place>,
    bytes: usize,
    // What each peer said to be, in the order in which they said so. One for each.
    authors: Vec<(PeerId, Author)>,
    /// Who may still ask for lines: once for each time that its link came up.
    owed: BTreeSet<PeerId>,
    unread: usize,
    version: u64,
    // One for each answer that is due; the owner drains it after every input.
    outbox: VecDeque<(To, Message)>,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Everybody.
    All,
    /// One of them.
    One(PeerId),
}

/// Order of a line: turn, then author, then number.
type Place = (u32, Author, u32);

#[derive(Clone, Debug)]
struct Held {
    line: Line,
    source: Source,
}

/// Who vouches for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its author, over a link of its own.
    Author,
    /// Somebody who says that the author wrote it.
    Hearsay,
}

/// Why something is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing is left of it.
    #[error("there is nothing to send")]
    Empty,
    /// It has too many characters.
    #[error("the text has {0} characters, at most {TEXT_CHARS_MAX} are allowed")]
    TooLong(usize),
    /// It does not fit into a message.
    #[error("the text takes {0} bytes, at most {MESSAGE_BYTES} are allowed")]
    TooLarge(usize),
}

/// A line, and who stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The line.
    pub line: &'a Line,
    /// Who vouches for it.
    pub source: Source,
    /// Whose it is.
    pub by: By,
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This side's.
    Own,
    /// Of somebody who is there.
    Peer(PeerId),
    /// Of somebody who is not, or whom others speak for: known by the name in the line alone.
    Name,
}

impl Chat {
    /// An empty chat. `own` is random, new for each call; `name` is what others see.
    pub fn new(own: Author, name: &str) -> Self {
        Self {
            own,
            name: text::line(name, NAME_CHARS_MAX),
            number: 0,
            turn: 0,
            lines: BTreeMap::new(),
            places: BTreeMap::new(),
            bytes: 0,
            authors: Vec::new(),
            owed: BTreeSet::new(),
            unread: 0,
            version: 0,
            outbox: VecDeque::new(),
        }
    }

    /// Writes a line to all; `at_ms` is the wall clock, Unix time.
    ///
    /// # Errors
    ///
    /// When nothing is left of it, it is too long, or it does not fit into a message.
    pub fn say(&mut self, text: &str, at_ms: u64) -> Result<(), Refused> {
        let chars = text.trim().chars().count();
        if chars > TEXT_CHARS_MAX {
            return Err(Refused::TooLong(chars));
        }
        let text = text::lines(text, TEXT_CHARS_MAX);
        if text.is_empty() {
            return Err(Refused::Empty);
        }
        let (number, turn) = (self.number + 1, self.turn.saturating_add(1));
        let line = Line { author: self.own, number, turn, name: self.name.clone(), at_ms, text };
        if line.json_bytes() > MESSAGE_BYTES {
            return Err(Refused::TooLarge(line.json_bytes()));
        }
        self.number = number;
        self.hold(line.clone(), Source::Author);
        self.outbox.push_back((To::All, Message::Say(line)));
        Ok(())
    }

    /// A link came up, or came up again: both ends tell what they have.
    pub fn handle_up(&mut self, peer: PeerId) {
        let (mut have, mut heard) = (Vec::new(), Vec::new());
        for (&(author, number), place) in &self.places {
            let runs = match self.lines.get(place).map(|held| held.source) {
                Some(Source::Author) => &mut have,
                Some(Source::Hearsay) | None => &mut heard,
            };
            match runs.last_mut() {
                Some(Run { author: of, last, .. }) if *of == author && *last + 1 == number => *last = number,
                _ => runs.push(Run { author, first: number, last: number }),
            }
        }
        self.keep_newest(&mut have, &mut heard);
        self.owed.insert(peer);
        self.outbox.push_back((To::One(peer), Message::Have(Have { author: self.own, have, heard })));
    }

    /// A peer left for good: somebody who comes back under another id can go on as the same author.
    pub fn handle_gone(&mut self, peer: PeerId) {
        self.authors.retain(|(known, _)| *known != peer);
        self.version += 1;
        self.owed.remove(&peer);
    }

    /// A peer has another id now; its link stands.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        // What was said under the new id over another connection is over with that.
        if self.authors.iter().any(|(known, _)| *known == old) {
            self.authors.retain(|(known, _)| *known != new);
        }
        for (known, _) in self.authors.iter_mut().filter(|(known, _)| *known == old) {
            *known = new;
        }
        self.version += 1;
        if self.owed.remove(&old) {
            self.owed.insert(new);
        }
    }

    /// Takes a message of a peer; gives how many lines are new. What is not allowed is left out.
    pub fn handle_message(&mut self, from: PeerId, message: Message) -> usize {
        match message {
            // Nobody says what somebody else wrote: that is for `Lines`.
            Message::Say(line) if !self.authors.contains(&(from, line.author)) => 0,
            Message::Say(line) => {
                let new = self.handle_line(from, line);
                self.unread += new;
                new
            }
            Message::Lines { lines } => lines.into_iter().map(|line| self.handle_line(from, line)).sum(),
            Message::Have(have) => {
                self.handle_author(from, have.author);
                if self.owed.remove(&from) {
                    self.send_missing(from, &have);
                }
                0
            }
        }
    }

    /// What is to be sent.
    pub fn poll_message(&mut self) -> Option<(To, Message)> {
        self.outbox.pop_front()
    }

    /// All lines in their order, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.lines.values().map(|held| {
            let by = match (held.source, self.peer(held.line.author)) {
                (Source::Author, _) if held.line.author == self.own => By::Own,
                (Source::Author, Some(peer)) => By::Peer(peer),
                (Source::Author, None) | (Source::Hearsay, _) => By::Name,
            };
            Entry { line: &held.line, source: held.source, by }
        })
    }

    /// Another number whenever [`Chat::lines`] gives something else.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Lines said by others since [`Chat::read`]; what was said before one came does not count.
    pub const fn unread(&self) -> usize {
        self.unread
    }

    /// The user saw all lines.
    pub const fn read(&mut self) {
        self.unread = 0;
    }

    fn handle_line(&mut self, from: PeerId, line: Line) -> usize {
        let Some(line) = line.cleaned() else { return 0 };
        // Only this side knows what it wrote, and nobody can be much further than all that was said.
        let is_far = line.turn > self.turn.saturating_add(TURN_AHEAD_MAX);
        if line.author == self.own || is_far || line.json_bytes() > MESSAGE_BYTES {
            return 0;
        }
        let source = self.source(from, line.author);
        let place = self.places.get(&(line.author, line.number)).copied();
        let held = place.and_then(|place| self.lines.get(&place));
        match (held.map(|held| held.source), source) {
            (None, _) => usize::from(self.hold(line, source)),
            (Some(Source::Hearsay), Source::Author) => {
                // The author's own word replaces what others made of it, and is news where that was something else.
                let is_other = held.is_some_and(|held| held.line.text != line.text);
                if let Some(place) = place {
                    self.remove(place);
                }
                usize::from(self.hold(line, source) && is_other)
            }
            (Some(Source::Author | Source::Hearsay), Source::Author | Source::Hearsay) => 0,
        }
    }

    /// Whether the peer is the author.
    fn source(&self, from: PeerId, author: Author) -> Source {
        if self.peer(author) == Some(from) { Source::Author } else { Source::Hearsay }
    }

    /// Who is this author: the first of those who said so.
    fn peer(&self, author: Author) -> Option<PeerId> {
        self.authors.iter().find(|(_, known)| *known == author).map(|(peer, _)| *peer)
    }

    /// The peer says which author it is. What it said first counts, and nobody is an author that somebody else is; it may
    /// be the same one by another connection, which goes on when the first one is gone.
    fn handle_author(&mut self, from: PeerId, author: Author) {
        if author != self.own && self.authors.iter().all(|(known, _)| *known != from) {
            self.authors.push((from, author));
            self.version += 1;
        }
    }

    /// Holds a line that is not there yet; false if it is older than all that there is room for.
    fn hold(&mut self, line: Line, source: Source) -> bool {
        let place = line.place();
        self.turn = self.turn.max(line.turn);
        self.bytes += line.bytes();
        self.version += 1;
        self.places.insert((line.author, line.number), place);
        self.lines.insert(place, Held { line, source });
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some((&oldest, _)) = self.lines.first_key_value() else { break };
            self.remove(oldest);
        }
        self.lines.contains_key(&place)
    }

    fn remove(&mut self, place: Place) {
        if let Some(held) = self.lines.remove(&place) {
            self.bytes -= held.line.bytes();
            self.places.remove(&(held.line.author, held.line.number));
        }
    }

    /// Leaves the runs that end with the newest lines, so that a message carries them.
    fn keep_newest(&self, have: &mut Vec<Run>, heard: &mut Vec<Run>) {
        let turn = |run: &Run| self.places.get(&(run.author, run.last)).map_or(0, |(turn, ..)| *turn);
        let mut turns: Vec<u32> = have.iter().chain(heard.iter()).map(turn).collect();
        if turns.len() <= RUNS_MAX {
            return;
        }
        turns.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = turns[RUNS_MAX - 1];
        have.retain(|run| turn(run) >= oldest);
        heard.retain(|run| turn(run) >= oldest);
        // Several may end with the same turn.
        have.truncate(RUNS_MAX);
        heard.truncate(RUNS_MAX - have.len());
    }

    fn send_missing(&mut self, peer: PeerId, have: &Have) {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for held in self.lines.values() {
            let Line { author, number, .. } = held.line;
            // An own line that the other one only heard of is sent again: it then comes from its author.
            let has = Run::hold(&have.have, author, number)
                || (author != self.own && Run::hold(&have.heard, author, number));
            if has {
                continue;
            }
            // With the comma.
            let more = held.line.json_bytes() + 1;
            if !lines.is_empty() && bytes + more > MESSAGE_BYTES {
                self.outbox.push_back((To::One(peer), Message::Lines { lines: std::mem::take(&mut lines) }));
                bytes = 0;
            }
            bytes += more;
            lines.push(held.line.clone());
        }
        if !lines.is_empty() {
            self.outbox.push_back((To::One(peer), Message::Lines { lines }));
        }
    }
}

#[cfg(test)]
mod tests;
