//! What `/healthz` tells.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use farwheel_proto::signaling::rooms::Census;

/// Numbers that the tasks keep up to date; each is on its own, so relaxed order suffices.
pub(crate) struct Health {
    started: Instant,
    pub(crate) draining: AtomicBool,
    links: AtomicUsize,
    sessions: AtomicUsize,
    rooms: AtomicUsize,
    pub(crate) slow_consumers: AtomicU64,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            draining: AtomicBool::new(false),
            links: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            rooms: AtomicUsize::new(0),
            slow_consumers: AtomicU64::new(0),
        }
    }

    pub(crate) fn store(&self, census: Census) {
        self.links.store(census.links, Ordering::Relaxed);
        self.sessions.store(census.sessions, Ordering::Relaxed);
        self.rooms.store(census.rooms, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn to_json(&self, allocations: Option<usize>) -> String {
        serde_json::json!({
            "status": if self.is_draining() { "draining" } else { "ok" },
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.started.elapsed().as_secs(),
            "links": self.links.load(Ordering::Relaxed),
            "sessions": self.sessions.load(Ordering::Relaxed),
            "rooms": self.rooms.load(Ordering::Relaxed),
            "turn_allocations": allocations,
            "slow_consumers": self.slow_consumers.load(Ordering::Relaxed),
        })
        .to_string()
    }
}
