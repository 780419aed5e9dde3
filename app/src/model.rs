//! The plain state that the window shows, and the commands it gives back.
//!
//! `session` fills a [`Model`] just before each paint and executes the [`Command`]s that the paint returned. Nothing
//! here waits, decodes or looks at a clock: every age is already a `Duration` when it arrives.

pub mod call;
pub mod command;
pub mod connect;
pub mod drive;
pub mod gamepad;
pub mod invitation;
pub mod link;
pub mod list;
pub mod lobby;
pub mod pair;
pub mod ring;
pub mod scan;
pub mod settings;
pub mod stats;

pub use call::Call;
pub use command::Command;
pub use connect::Connect;
pub use drive::Drive;
pub use gamepad::Gamepad;
pub use pair::Pair;
pub use scan::Scan;
pub use stats::Stats;

use crate::settings::Settings;

/// Everything the window shows.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The connect screen.
    pub connect: Connect,
    /// The drive screen; present from the moment a connect command is accepted until disconnected.
    pub drive: Option<Drive>,
    /// The screen before a call; it goes when the room is joined.
    pub prejoin: Option<call::PreJoin>,
    /// The call screen; present from the room joined until left.
    pub call: Option<Call>,
    /// The page on which two meet without a room.
    pub pair: Pair,
    /// The camera reads a letter.
    pub scan: Option<Scan>,
    /// Where others can ring; none: nowhere.
    pub line: Option<ring::Line>,
    /// Who rang in vain, newest first.
    pub missed: Vec<ring::Missed>,
    /// Devices, live axes and mapping.
    pub gamepad: Gamepad,
    /// The settings in force.
    pub settings: Settings,
    /// Histories and percentiles of the present session.
    pub stats: Stats,
    /// Short notices, oldest first; the session adds and the window removes those it has shown long enough.
    pub notices: Vec<Notice>,
}

/// A short message that appears over any screen for a few seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How grave it is.
    pub level: Level,
    /// One sentence.
    pub text: String,
}

impl Notice {
    /// Something succeeded or changed.
    pub fn good(text: impl Into<String>) -> Self {
        Self { level: Level::Good, text: text.into() }
    }

    /// Something works less well than it should.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into() }
    }

    /// Something failed.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { level: Level::Bad, text: text.into() }
    }
}

/// How grave a value or a message is; picks its colour and its icon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Neither good nor bad.
    #[default]
    Neutral,
    /// As it should be.
    Good,
    /// Look at it.
    Warning,
    /// Act on it.
    Bad,
}
