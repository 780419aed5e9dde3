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
/// A message with old lines is closed when it has this many bytes of text: the size that every data channel carries.
const MESSAGE_BYTES: usize = 12 * 1024;
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
    authors: BTreeMap<PeerId, Author>,
    /// Who may still ask for lines: once for each time that its link came up.
    owed: BTreeSet<PeerId>,
    unread: usize,
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
enum Source {
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
            authors: BTreeMap::new(),
            owed: BTreeSet::new(),
            unread: 0,
            outbox: VecDeque::new(),
        }
    }

    /// Writes a line to all; `at_ms` is the wall clock, Unix time.
    ///
    /// # Errors
    ///
    /// When nothing is left of it, or it is too long.
    pub fn say(&mut self, text: &str, at_ms: u64) -> Result<(), Refused> {
        let chars = text.trim().chars().count();
        if chars > TEXT_CHARS_MAX {
            return Err(Refused::TooLong(chars));
        }
        let text = text::lines(text, TEXT_CHARS_MAX);
        if text.is_empty() {
            return Err(Refused::Empty);
        }
        self.number += 1;
        let turn = self.turn.saturating_add(1);
        let line = Line { author: self.own, number: self.number, turn, name: self.name.clone(), at_ms, text };
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
        self.owed.insert(peer);
        self.outbox.push_back((To::One(peer), Message::Have(Have { author: self.own, have, heard })));
    }

    /// A peer left for good: somebody who comes back under another id can go on as the same author.
    pub fn handle_gone(&mut self, peer: PeerId) {
        self.authors.remove(&peer);
        self.owed.remove(&peer);
    }

    /// A peer has another id now; its link stands.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        if let Some(author) = self.authors.remove(&old) {
            self.authors.insert(new, author);
        }
        if self.owed.remove(&old) {
            self.owed.insert(new);
        }
    }

    /// Takes a message of a peer; gives how many lines are new. What is not allowed is left out.
    pub fn handle_message(&mut self, from: PeerId, message: Message) -> usize {
        match message {
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

    /// All lines in their order, oldest first; with each whether it is the own one.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = (&Line, bool)> {
        self.lines.values().map(|held| (&held.line, held.line.author == self.own))
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
        if line.author == self.own || line.turn > self.turn.saturating_add(TURN_AHEAD_MAX) {
            return 0;
        }
        let source = self.source(from, line.author);
        let place = self.places.get(&(line.author, line.number)).copied();
        let held = place.and_then(|place| self.lines.get(&place));
        match (held.map(|held| held.source), source) {
            (None, _) => usize::from(self.hold(line, source)),
            (Some(Source::Hearsay), Source::Author) => {
                // The author's own word replaces what others made of it.
                if let Some(place) = place {
                    self.remove(place);
                }
                self.hold(line, source);
                0
            }
            (Some(Source::Author | Source::Hearsay), Source::Author | Source::Hearsay) => 0,
        }
    }

    /// Whether the peer is the author.
    fn source(&self, from: PeerId, author: Author) -> Source {
        if self.authors.get(&from) == Some(&author) { Source::Author } else { Source::Hearsay }
    }

    /// The peer says which author it is. What it said first counts, and nobody is an author that somebody else is.
    fn handle_author(&mut self, from: PeerId, author: Author) {
        let is_taken = author == self.own || self.authors.values().any(|other| *other == author);
        if !is_taken {
            self.authors.entry(from).or_insert(author);
        }
    }

    /// Holds a line that is not there yet; false if it is older than all that there is room for.
    fn hold(&mut self, line: Line, source: Source) -> bool {
        let place = line.place();
        self.turn = self.turn.max(line.turn);
        self.bytes += line.bytes();
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
            if !lines.is_empty() && bytes + held.line.bytes() > MESSAGE_BYTES {
                self.outbox.push_back((To::One(peer), Message::Lines { lines: std::mem::take(&mut lines) }));
                bytes = 0;
            }
            bytes += held.line.bytes();
            lines.push(held.line.clone());
        }
        if !lines.is_empty() {
            self.outbox.push_back((To::One(peer), Message::Lines { lines }));
        }
    }
}

#[cfg(test)]
mod tests;
