//! Limits of a server, as `welcome` tells them, and the token bucket that enforces the rates among them.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a server allows. A client reads them from `welcome` and stays within them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Largest message, in bytes.
    pub message_bytes: usize,
    /// Largest payload of `data`, in bytes of JSON.
    pub data_bytes: usize,
    /// Largest `meta` of a peer, in bytes of JSON.
    pub meta_bytes: usize,
    /// Deepest nesting of arrays and objects in a message.
    pub json_depth: usize,
    /// Peers in a room of topology `mesh`.
    pub mesh_peers: usize,
    /// Viewers in a room of topology `sfu`.
    pub sfu_viewers: usize,
    /// Messages per second that a connection may send in the long run.
    pub messages_per_second: u32,
    /// Messages that a connection may send at once after a pause.
    pub messages_burst: u32,
    /// Messages that may wait for a slow reader.
    pub queue_messages: usize,
    /// Bytes that may wait for a slow reader.
    pub queue_bytes: usize,
    /// Time a connection has for its `hello`, in milliseconds.
    pub hello_ms: u64,
    /// Time between a client's pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// Silence after which either side is taken for dead, in milliseconds.
    pub dead_ms: u64,
    /// Time for which a session without a connection can be resumed, in milliseconds.
    pub resume_ms: u64,
    /// Messages kept for a resuming client (at most `queue_bytes` of them).
    pub resume_messages: usize,
    /// Sessions from one address.
    pub sessions_per_ip: usize,
    /// WebSocket handshakes per second from one address.
    pub handshakes_per_second: u32,
    /// Wrong tokens from one address within `failed_logins_ms`.
    pub failed_logins: u32,
    /// See `failed_logins`, in milliseconds.
    pub failed_logins_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 * 1024,
            data_bytes: 16 * 1024,
            meta_bytes: 4 * 1024,
            json_depth: 16,
            mesh_peers: 8,
            sfu_viewers: 64,
            messages_per_second: 50,
            messages_burst: 200,
            queue_messages: 256,
            queue_bytes: 512 * 1024,
            hello_ms: 10_000,
            heartbeat_ms: 15_000,
            dead_ms: 40_000,
            resume_ms: 30_000,
            resume_messages: 256,
            sessions_per_ip: 32,
            handshakes_per_second: 10,
            failed_logins: 5,
            failed_logins_ms: 15 * 60 * 1000,
        }
    }
}

/// A token bucket: `burst` at once, `per` each in the long run.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Time that one token takes to come back.
    per: Duration,
    /// Time that a whole empty bucket takes to fill.
    window: Duration,
    /// When the bucket is (or was) full again.
    full_at: Instant,
}

impl Throttle {
    /// Makes a full bucket of `burst` tokens that come back one each `per`.
    pub fn new(burst: u32, per: Duration, now: Instant) -> Self {
        Self { per, window: per * burst, full_at: now }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The time until there is one, if there is none.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let next = self.full_at.max(now) + self.per;
        match (next - now).checked_sub(self.window) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.full_at = next;
                Ok(())
            }
        }
    }

    /// Whether a token could be taken.
    pub fn is_open(&self, now: Instant) -> bool {
        let mut copy = *self;
        copy.take(now).is_ok()
    }

    /// Whether the bucket is full, so that forgetting it changes nothing.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_gives_its_burst_then_its_rate() {
        let start = now();
        let mut bucket = Throttle::new(3, Duration::from_millis(20), start);
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(20)));
        assert!(!bucket.is_open(start + Duration::from_millis(19)));
        assert_eq!(bucket.take(start + Duration::from_millis(20)), Ok(()));
        assert!(!bucket.is_full(start + Duration::from_millis(79)));
        assert!(bucket.is_full(start + Duration::from_millis(80)));
    }

    #[allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    pub(in crate::signaling) fn now() -> Instant {
        Instant::now()
    }
}
