//! One session: who it is, what carries it, and what its client has not yet acknowledged.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::super::{Limits, Permission, ResumeToken, ServerFrame, ServerMessage, SessionId, Throttle};
use super::{LinkId, Place};

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) token: ResumeToken,
    pub(super) name: Option<Box<str>>,
    pub(super) permissions: Box<[Permission]>,
    pub(super) ip: IpAddr,
    pub(super) carrier: Carrier,
    pub(super) place: Place,
    pub(super) bucket: Throttle,
    pub(super) heard_at: Instant,
    /// When its timer is set; there is always exactly one.
    pub(super) check_at: Instant,
    /// Highest number received from the client.
    pub(super) received: u64,
    /// Number of the newest message sent.
    sent: u64,
    /// Messages `sent - kept.len() + 1 ..= sent`.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
}

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Attached(LinkId),
    Detached,
}

/// Whether all unacknowledged messages are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    All,
    OldestLost,
}

impl Session {
    #[allow(clippy::too_many_arguments, reason = "a constructor called in one place")]
    pub(super) fn new(
        id: SessionId,
        token: ResumeToken,
        name: Option<String>,
        permissions: Vec<Permission>,
        ip: IpAddr,
        link: LinkId,
        bucket: Throttle,
        now: Instant,
        check_at: Instant,
    ) -> Self {
        Self {
            id,
            token,
            name: name.map(Into::into),
            permissions: permissions.into(),
            ip,
            carrier: Carrier::Attached(link),
            place: Place::Nowhere,
            bucket,
            heard_at: now,
            check_at,
            received: 0,
            sent: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
        }
    }

    pub(super) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    pub(super) fn is_attached(&self) -> bool {
        matches!(self.carrier, Carrier::Attached(_))
    }

    /// Whether a message with this number has not been handled before.
    pub(super) fn is_fresh(&mut self, seq: Option<u64>) -> bool {
        match seq {
            Some(seq) if seq <= self.received => false,
            Some(seq) => {
                self.received = seq;
                true
            }
            None => true,
        }
    }

    /// Numbers a message and keeps it until it is acknowledged.
    pub(super) fn keep(&mut self, message: ServerMessage, limits: &Limits) -> (Bytes, Kept) {
        self.sent += 1;
        let text = Bytes::from(ServerFrame { seq: Some(self.sent), message }.to_json());
        self.kept_bytes += text.len();
        self.kept.push_back(text.clone());
        let mut kept = Kept::All;
        // Full: the oldest goes; a client that has not seen it will have to join again.
        while self.kept.len() > limits.resume_messages || self.kept_bytes > limits.queue_bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
            kept = Kept::OldestLost;
        }
        (text, kept)
    }

    /// Number of the newest message that is not kept.
    fn forgotten(&self) -> u64 {
        self.sent - self.kept.len() as u64
    }

    /// Whether a client that has seen everything through `seq` can be given all the rest.
    pub(super) fn can_continue_after(&self, seq: u64) -> bool {
        (self.forgotten()..=self.sent).contains(&seq)
    }

    /// Takes an acknowledgement; one that is too high or too low is ignored.
    pub(super) fn forget_through(&mut self, seq: u64) {
        if self.can_continue_after(seq) {
            let acknowledged = (seq - self.forgotten()) as usize;
            for text in self.kept.drain(..acknowledged) {
                self.kept_bytes -= text.len();
            }
            if self.kept.is_empty() {
                // An idle session holds no buffer.
                self.kept = VecDeque::new();
            }
        }
    }

    /// The messages after `seq`.
    pub(super) fn kept_after(&self, seq: u64) -> Vec<Bytes> {
        let skip = seq.saturating_sub(self.forgotten()) as usize;
        self.kept.iter().skip(skip).cloned().collect()
    }
}
