//! Gives direct paths a lead over relays.
//!
//! The first pair of addresses that works is used for good, and through two NATs a relay may well be first: packets pass it
//! at once, while on the direct path each side's first ones are dropped until the other side has sent. Nor does it help to
//! wait with the relay's candidate alone: what it sends is taken by the other side for a better one, a peer reflexive.
//! So the engine hears of its relay over UDP a little later: the server's answer is held below it.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{Sleep, sleep_until};
use webrtc::runtime::RecvMeta;

/// From the first check of a connection until it may know of its relay: five checks, and a round trip of 150 ms.
const LEAD: Duration = Duration::from_millis(250);

/// Longest wait for a first check: the peer's answer takes its time, and the relay is found in the meantime.
const PATIENCE: Duration = Duration::from_millis(1000);

/// Answers held on one socket; it asks few servers.
const HELD_MAX: usize = 8;

/// When a connection's checks began.
#[derive(Debug, Default)]
pub(crate) struct Lead(Mutex<Option<Instant>>);

impl Lead {
    /// Looks at what leaves: a check begins with its user name (RFC 8445 section 7.2.2), a request to a server does not.
    pub(crate) fn handle_sent(&self, datagram: &[u8], now: Instant) {
        if is_check(datagram) {
            self.slot().get_or_insert(now);
        }
    }

    /// When what came at `arrival` may be handed on, as far as is known.
    fn release(&self, arrival: Instant) -> Instant {
        self.slot().map_or(arrival + PATIENCE, |began| (began + LEAD).min(arrival + PATIENCE))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers that one socket holds back.
#[derive(Debug)]
pub(crate) struct Held {
    lead: Arc<Lead>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    answers: VecDeque<Answer>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Answer {
    arrival: Instant,
    from: SocketAddr,
    message: Bytes,
}

impl Held {
    pub(crate) fn new(lead: &Arc<Lead>) -> Self {
        Self { lead: Arc::clone(lead), queue: Mutex::default() }
    }

    /// Takes what the engine may not hear yet; says whether it did.
    pub(crate) fn take(&self, datagram: &[u8], from: SocketAddr, now: Instant) -> bool {
        if !is_allocated(datagram) || self.lead.release(now) <= now {
            return false;
        }
        let mut queue = self.queue();
        let is_known = queue.answers.iter().any(|held| held.message.starts_with(&datagram[..20]));
        if !is_known && queue.answers.len() < HELD_MAX {
            let message = Bytes::copy_from_slice(datagram);
            queue.answers.push_back(Answer { arrival: now, from, message });
        }
        true
    }

    /// Hands on what is due; what comes next is looked at again when it may be.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut IoSliceMut<'_>,
        meta: &mut RecvMeta,
    ) -> Poll<()> {
        let mut queue = self.queue();
        loop {
            if let Some(Answer { from, message, .. }) = queue.pop(&self.lead, Instant::now()) {
                let Some(place) = buffer.get_mut(..message.len()) else { continue };
                place.copy_from_slice(&message);
                *meta = RecvMeta::default();
                meta.addr = from;
                meta.len = message.len();
                meta.stride = message.len();
                return Poll::Ready(());
            }
            let Some(due) = queue.due(&self.lead) else {
                queue.timer = None;
                return Poll::Pending;
            };
            // When it is due may have changed since the timer was set.
            let timer = queue.timer.get_or_insert_with(|| Box::pin(sleep_until(due.into())));
            if timer.deadline() != due.into() {
                timer.as_mut().reset(due.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn due(&self, lead: &Lead) -> Option<Instant> {
        self.answers.front().map(|first| lead.release(first.arrival))
    }

    fn pop(&mut self, lead: &Lead, now: Instant) -> Option<Answer> {
        if self.due(lead)? <= now { self.answers.pop_front() } else { None }
    }
}

/// A Binding request with USERNAME in front.
pub(crate) fn is_check(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0x00, 0x01]) && datagram.get(20..22) == Some(&[0x00, 0x06])
}

/// An Allocate success response, whole.
fn is_allocated(datagram: &[u8]) -> bool {
    datagram.len() >= 20 && datagram.starts_with(&[0x01, 0x03])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn check() -> Vec<u8> {
        let mut message = vec![0x00, 0x01, 0, 8];
        message.extend([1; 16]);
        message.extend([0x00, 0x06, 0, 3, b'a', b':', b'b', 0]);
        message
    }

    fn allocated(transaction: u8) -> Vec<u8> {
        let mut message = vec![0x01, 0x03, 0, 0];
        message.extend([transaction; 16]);
        message
    }

    fn server() -> SocketAddr {
        ([192, 0, 2, 1], 3478).into()
    }

    fn pop(held: &Held, now: Instant) -> Option<Bytes> {
        held.queue().pop(&held.lead, now).map(|answer| answer.message)
    }

    #[test]
    fn an_answer_is_handed_on_a_lead_after_the_first_check() {
        let lead = Arc::new(Lead::default());
        let held = Held::new(&lead);
        let start = Instant::now();
        assert!(held.take(&allocated(1), server(), start));
        assert!(held.take(&allocated(1), server(), start + 200 * MS), "it was asked for again");
        lead.handle_sent(&check(), start + 100 * MS);
        lead.handle_sent(&check(), start + 120 * MS);
        assert_eq!(held.queue().due(&lead), Some(start + 350 * MS));
        assert_eq!(pop(&held, start + 349 * MS), None);
        assert_eq!(pop(&held, start + 350 * MS).expect("due"), allocated(1));
        assert_eq!(pop(&held, start + 999 * MS), None, "once");
        assert!(!held.take(&allocated(2), server(), start + 350 * MS), "the lead is over");
    }

    #[test]
    fn without_a_check_an_answer_is_handed_on_after_a_second() {
        let held = Held::new(&Arc::default());
        let start = Instant::now();
        assert!(held.take(&allocated(1), server(), start));
        assert_eq!(pop(&held, start + 999 * MS), None);
        assert_eq!(pop(&held, start + 1000 * MS).expect("due"), allocated(1));
    }

    #[test]
    fn nothing_else_is_held() {
        let lead = Arc::new(Lead::default());
        let held = Held::new(&lead);
        let now = Instant::now();
        for message in [&check()[..], &[0x01, 0x13], &[0x01, 0x03], &[]] {
            assert!(!held.take(message, server(), now), "{message:?}");
        }
        // A request to a server is no check.
        lead.handle_sent(&[0x00, 0x01, 0, 0], now);
        assert!(lead.slot().is_none());
    }
}
