//! The program's log: on standard error what the user asked for, and the last of it in memory for a bug report.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// Lines kept: the last minutes of a call that goes badly.
const LINES_MAX: usize = 2000;
/// Longest line kept, in bytes.
const LINE_BYTES: usize = 1000;

/// The last lines of the log.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    // Full at LINES_MAX: the oldest leaves.
    lines: Arc<Mutex<VecDeque<String>>>,
}

static RING: OnceLock<Ring> = OnceLock::new();

impl Ring {
    /// The one of this program.
    pub fn of_program() -> &'static Self {
        RING.get_or_init(Self::default)
    }

    /// What it holds, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, mut line: String) {
        line.truncate(line.floor_char_boundary(LINE_BYTES));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Starts the log: `filter` says what is written to standard error; the ring gets at least what a user would notice.
pub fn init(filter: EnvFilter) {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let shown =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_filter(filter);
    let kept = EnvFilter::new(format!(
        "info,wgpu_core=error,wgpu_hal=off,naga=error,{}",
        farwheel_peer::LOG_DIRECTIVES
    ));
    let ring = Ring::of_program().clone().with_filter(kept);
    tracing_subscriber::registry().with(shown).with(ring).init();
}

impl<S: Subscriber> Layer<S> for Ring {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut line = Line(format!(
            "{} {} {target}:",
            humantime::format_rfc3339_millis(SystemTime::now()),
            word(level)
        ));
        event.record(&mut line);
        self.push(line.0);
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => " WARN",
        Level::INFO => " INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// The message first, as it stands in the code; fields as `name=value`.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        match field.name() {
            "message" => write!(self.0, " {value:?}").ok(),
            name => write!(self.0, " {name}={value:?}").ok(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_last_lines_with_their_fields() {
        let ring = Ring::default();
        let subscriber = tracing_subscriber::registry().with(ring.clone());
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..LINES_MAX + 5 {
                tracing::info!(number, name = "a b", "counted");
            }
            tracing::warn!("{}", "é".repeat(LINE_BYTES));
        });
        let lines = ring.lines();
        assert_eq!(lines.len(), LINES_MAX);
        assert!(
            lines[0].ends_with(" INFO farwheel::log::tests: counted number=6 name=\"a b\""),
            "{}",
            lines[0]
        );
        assert!(lines[LINES_MAX - 1].len() <= LINE_BYTES && lines[LINES_MAX - 1].contains(" WARN "));
    }
}
