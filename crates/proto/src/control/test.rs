//! What this module's tests share: a start of time.

use std::time::{Duration, Instant};

/// An instant to count from. The tests' time is arithmetic on it; the clock is read this once.
#[expect(clippy::disallowed_methods, reason = "an Instant can be had from nowhere else")]
pub(crate) fn start() -> Instant {
    // Far from zero, so that subtraction never fails on a machine that has just booted.
    Instant::now() + Duration::from_secs(1_000)
}
