//! How long a connection may take to come about.

use std::time::{Duration, Instant};

use crate::event::Failure;

/// From the start of an attempt until all of it works.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// From the first working candidate pair to the end of the DTLS handshake, besides two round trips.
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(1500);

/// Ends an attempt that stands still.
///
/// | stage | ends with | within |
/// |---|---|---|
/// | `Searching` | a candidate pair works | 4 s of the start |
/// | `Handshaking` | DTLS is done | 1.5 s + 2 round trips, and 4 s of the start |
/// | `Opening` | the channels are open | 4 s of the start |
/// | `Done` | - | - |
#[derive(Debug)]
pub(crate) struct Watchdog {
    started_at: Instant,
    limit: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Searching,
    Handshaking { since: Instant, limit: Duration },
    Opening,
    Done,
}

impl Watchdog {
    /// An attempt that has `limit` from now, 4 s in the table above.
    pub(crate) fn new(limit: Duration, now: Instant) -> Self {
        Self { started_at: now, limit, stage: Stage::Searching }
    }

    /// A candidate pair works; `rtt` as its checks measured it.
    pub(crate) fn handle_path(&mut self, rtt: Duration, now: Instant) {
        if let Stage::Searching = self.stage {
            self.stage = Stage::Handshaking { since: now, limit: HANDSHAKE_LIMIT + rtt * 2 };
        }
    }

    /// The DTLS handshake is done.
    pub(crate) fn handle_handshake(&mut self) {
        if let Stage::Searching | Stage::Handshaking { .. } = self.stage {
            self.stage = Stage::Opening;
        }
    }

    /// All channels are open.
    pub(crate) fn handle_open(&mut self) {
        self.stage = Stage::Done;
    }

    /// When to look at [`expired`](Self::expired) again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let whole = self.started_at + self.limit;
        match self.stage {
            Stage::Searching | Stage::Opening => Some(whole),
            Stage::Handshaking { since, limit } => Some(whole.min(since + limit)),
            Stage::Done => None,
        }
    }

    /// What stood still for too long.
    pub(crate) fn expired(&self, now: Instant) -> Option<Failure> {
        let whole = || (self.started_at + self.limit <= now).then_some(Failure::ConnectTimeout(self.limit));
        match self.stage {
            Stage::Searching | Stage::Opening => whole(),
            Stage::Handshaking { since, limit } if since + limit <= now => {
                Some(Failure::HandshakeStalled(limit))
            }
            Stage::Handshaking { .. } => whole(),
            Stage::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_a_path_the_attempt_ends_after_four_seconds() {
        let start = Instant::now();
        let watchdog = Watchdog::new(CONNECT_LIMIT, start);
        assert_eq!(watchdog.poll_timeout(), Some(start + 4000 * MS));
        assert_eq!(watchdog.expired(start + 3999 * MS), None);
        assert_eq!(watchdog.expired(start + 4000 * MS), Some(Failure::ConnectTimeout(CONNECT_LIMIT)));
    }

    #[test]
    fn a_handshake_that_stands_still_ends_the_attempt_earlier() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(CONNECT_LIMIT, start);
        watchdog.handle_path(50 * MS, start + 200 * MS);
        assert_eq!(watchdog.poll_timeout(), Some(start + 1800 * MS));
        assert_eq!(watchdog.expired(start + 1799 * MS), None);
        assert_eq!(watchdog.expired(start + 1800 * MS), Some(Failure::HandshakeStalled(1600 * MS)));
    }

    #[test]
    fn a_second_path_does_not_prolong_the_handshake() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(CONNECT_LIMIT, start);
        watchdog.handle_path(Duration::ZERO, start);
        watchdog.handle_path(Duration::ZERO, start + 1000 * MS);
        assert_eq!(watchdog.expired(start + 1500 * MS), Some(Failure::HandshakeStalled(1500 * MS)));
    }

    #[test]
    fn channels_that_never_open_end_the_attempt_after_four_seconds() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(CONNECT_LIMIT, start);
        watchdog.handle_path(Duration::ZERO, start);
        watchdog.handle_handshake();
        assert_eq!(watchdog.expired(start + 3999 * MS), None);
        assert_eq!(watchdog.expired(start + 4000 * MS), Some(Failure::ConnectTimeout(CONNECT_LIMIT)));
    }

    #[test]
    fn once_open_nothing_is_watched() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(CONNECT_LIMIT, start);
        watchdog.handle_path(Duration::ZERO, start);
        watchdog.handle_handshake();
        watchdog.handle_open();
        assert_eq!((watchdog.poll_timeout(), watchdog.expired(start + 3600 * 1000 * MS)), (None, None));
    }
}
