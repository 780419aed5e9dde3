//! What the tests of calls share.

use std::time::Instant;

/// An arbitrary instant to count from.
#[expect(clippy::disallowed_methods, reason = "an Instant can be had from nowhere else")]
pub(super) fn start() -> Instant {
    Instant::now()
}
