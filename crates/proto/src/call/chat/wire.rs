//! Messages of the chat, as they travel on channel `event` with `"type":"chat"`.

use serde::{Deserialize, Serialize};

use super::{Place, TEXT_CHARS_MAX};
use crate::call::message::NAME_CHARS_MAX;
use crate::call::text;

/// Names who writes, for one call; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Author(pub u32);

/// One message; `kind` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A new line, from its author.
    Say(Line),
    /// What this caller has; the other one sends the rest.
    Have(Have),
    /// Lines that the other one said not to have.
    Lines {
        /// At most as many as fit into one message.
        lines: Vec<Line>,
    },
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who wrote it.
    pub author: Author,
    /// The author's lines are counted from 1.
    pub number: u32,
    /// One more than the highest turn that the author had seen.
    pub turn: u32,
    /// The author's name then.
    pub name: String,
    /// When, by the author's wall clock: Unix time in milliseconds.
    pub at_ms: u64,
    /// What.
    pub text: String,
}

/// What a caller has, as runs of numbers in the order of authors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Who says so.
    pub author: Author,
    /// From the authors themselves.
    #[serde(default)]
    pub have: Vec<Run>,
    /// From others.
    #[serde(default)]
    pub heard: Vec<Run>,
}

/// Lines of one author, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Whose.
    pub author: Author,
    /// Number of the first.
    pub first: u32,
    /// Number of the last.
    pub last: u32,
}

impl Line {
    pub(super) const fn place(&self) -> Place {
        (self.turn, self.author, self.number)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.text.len() + self.name.len() + 64
    }

    /// Bytes on the wire.
    pub(super) fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).expect("a line has string keys only").len()
    }

    /// As it may be shown; none if there is nothing to show, or it has no number or turn.
    pub(super) fn cleaned(mut self) -> Option<Self> {
        self.text = text::lines(&self.text, TEXT_CHARS_MAX);
        self.name = text::line(&self.name, NAME_CHARS_MAX);
        (self.number > 0 && self.turn > 0 && !self.text.is_empty()).then_some(self)
    }
}

impl Run {
    pub(super) fn hold(runs: &[Self], author: Author, number: u32) -> bool {
        runs.iter().any(|run| run.author == author && (run.first..=run.last).contains(&number))
    }
}
