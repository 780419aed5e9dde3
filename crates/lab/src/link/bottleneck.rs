//! A cellular link: a drop-tail queue of bytes, emptied by the grants of a trace, then a constant delay.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::trace::{GRANT_BYTES, Trace};
use crate::clock::VirtualTime;

/// What a link does besides its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Delay after the queue.
    pub delay: Duration,
    /// Size of the queue; what does not fit is dropped.
    pub queue_bytes: usize,
    /// Share of packets lost at random, before the queue.
    pub loss: f64,
}

/// What became of a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It stands in the queue.
    Queued,
    /// There was no room, or the air lost it.
    Lost,
}

/// One direction of a path with packets of type `P` in it. A packet leaves when its last byte is granted; what is
/// granted while nothing waits is lost.
#[derive(Debug)]
pub struct Bottleneck<P> {
    trace: Trace,
    conditions: Conditions,
    random: StdRng,
    queue: VecDeque<(P, usize)>,
    queued_bytes: usize,
    credit: usize,
    /// Grants before this are used up.
    served: VirtualTime,
}

impl<P> Bottleneck<P> {
    /// An empty link that loses what `seed` says.
    pub fn new(trace: Trace, conditions: Conditions, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            trace,
            conditions,
            random,
            queue: VecDeque::new(),
            queued_bytes: 0,
            credit: 0,
            served: VirtualTime::ZERO,
        }
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: P, bytes: usize, now: VirtualTime) -> Sent {
        let is_lost = self.random.random_bool(self.conditions.loss);
        if is_lost || self.queued_bytes + bytes > self.conditions.queue_bytes {
            return Sent::Lost;
        }
        if self.queue.is_empty() {
            (self.credit, self.served) = (0, self.served.max(now));
        }
        self.queued_bytes += bytes;
        self.queue.push_back((packet, bytes));
        Sent::Queued
    }

    /// When the next grant serves what waits.
    pub fn poll_timeout(&self) -> Option<VirtualTime> {
        if self.queue.is_empty() { None } else { self.trace.grants_from(self.served).next() }
    }

    /// Serves what is granted until `now`; gives the packets that leave, and when each arrives.
    pub fn handle_timeout(&mut self, now: VirtualTime) -> Vec<(P, VirtualTime)> {
        let granted = self.trace.grants_from(self.served).take_while(|at| *at <= now).count();
        self.credit += granted * GRANT_BYTES;
        self.served = self.served.max(VirtualTime(now.0 + 1));
        let mut left = Vec::new();
        while let Some((_, bytes)) = self.queue.front()
            && *bytes <= self.credit
            && let Some((packet, bytes)) = self.queue.pop_front()
        {
            self.credit -= bytes;
            self.queued_bytes -= bytes;
            left.push((packet, now.after(self.conditions.delay)));
        }
        left
    }

    /// The trace.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDITIONS: Conditions =
        Conditions { delay: Duration::from_millis(20), queue_bytes: 4000, loss: 0.0 };

    /// Arrivals in ms of packets (sent at ms, bytes); those lost are left out.
    fn arrivals(trace: &str, packets: &[(u64, usize)], conditions: Conditions) -> Vec<(usize, u64)> {
        let mut link = Bottleneck::new(Trace::parse(trace).unwrap(), conditions, 1);
        let mut arrived = Vec::new();
        for ms in 0..200 {
            for (index, (_, bytes)) in packets.iter().enumerate().filter(|(_, (at, _))| *at == ms) {
                link.send(index, *bytes, VirtualTime::from_ms(ms));
            }
            if link.poll_timeout().is_some_and(|at| at <= VirtualTime::from_ms(ms)) {
                arrived.extend(link.handle_timeout(VirtualTime::from_ms(ms)));
            }
        }
        arrived.into_iter().map(|(index, at)| (index, at.as_ms())).collect()
    }

    #[test]
    fn a_packet_leaves_with_its_last_byte_and_unused_grants_are_lost() {
        assert_eq!(arrivals("5\n10\n15\n", &[(6, 1504), (6, 1505)], CONDITIONS), [(0, 30), (1, 40)]);
        // One grant carries two small ones, and what is left of it does not wait for a third.
        assert_eq!(
            arrivals("5\n10\n", &[(1, 700), (1, 700), (6, 1504)], CONDITIONS),
            [(0, 25), (1, 25), (2, 30)]
        );
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        assert_eq!(arrivals("50\n", &[(1, 1500), (1, 1500), (1, 1001), (1, 1000)], CONDITIONS).len(), 3);
    }

    #[test]
    fn loss_is_about_what_it_should_be() {
        let packets: Vec<_> = (0..100).flat_map(|ms| [(ms, 10); 10]).collect();
        let arrived = arrivals("1\n", &packets, Conditions { loss: 0.03, ..CONDITIONS }).len();
        assert!((955..=985).contains(&arrived), "{arrived}");
    }
}
