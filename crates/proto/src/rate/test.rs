//! What the tests of this module share.

use std::time::{Duration, Instant};

pub(super) const MS: Duration = Duration::from_millis(1);

/// An arbitrary instant to count from, the same in all of one test.
pub(super) fn start() -> Instant {
    thread_local!(static START: Instant = base());
    START.with(|start| *start)
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn base() -> Instant {
    Instant::now() + Duration::from_secs(1000)
}
