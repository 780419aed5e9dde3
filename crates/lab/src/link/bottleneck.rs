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
    /// Mean length of a burst of loss in packets (Gilbert's model); up to 1 each packet is lost for itself.
    pub burst: f64,
}

/// What became of a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It stands in the queue.
    Queued,
    /// There was no room in the queue.
    Dropped,
    /// The air lost it.
    Lost,
}

/// One direction of a path with packets of type `P` in it. A packet leaves when its last byte is granted; what is
/// granted while nothing waits is lost.
#[derive(Debug)]
pub struct Bottleneck<P> {
    trace: Trace,
    conditions: Conditions,
    air: Air,
    queue: VecDeque<(P, usize)>,
    queued_bytes: usize,
    credit: usize,
    /// Grants before this are used up.
    served: VirtualTime,
}

impl<P> Bottleneck<P> {
    /// An empty link that loses what `seed` says.
    pub fn new(trace: Trace, conditions: Conditions, seed: u64) -> Self {
        Self {
            trace,
            conditions,
            air: Air::new(conditions.loss, conditions.burst, seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            credit: 0,
            served: VirtualTime::ZERO,
        }
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: P, bytes: usize, now: VirtualTime) -> Sent {
        if self.air.loses() {
            return Sent::Lost;
        }
        if self.queued_bytes + bytes > self.conditions.queue_bytes {
            return Sent::Dropped;
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

    /// Serves what is granted until `now`; gives the packets that leave, and when each arrives. A packet leaves at its
    /// grant's time, however late this is called: real time differs from virtual time in nothing else.
    pub fn handle_timeout(&mut self, now: VirtualTime) -> Vec<(P, VirtualTime)> {
        let mut left = Vec::new();
        while let Some(at) = self.poll_timeout().filter(|at| *at <= now) {
            self.credit += self.trace.grants_from(at).take_while(|grant| *grant == at).count() * GRANT_BYTES;
            self.served = VirtualTime(at.0 + 1);
            while let Some((_, bytes)) = self.queue.front()
                && *bytes <= self.credit
                && let Some((packet, bytes)) = self.queue.pop_front()
            {
                self.credit -= bytes;
                self.queued_bytes -= bytes;
                left.push((packet, at.after(self.conditions.delay)));
            }
        }
        left
    }

    /// What stands in the queue.
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The trace.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }
}

/// Loses packets, each for itself or in bursts.
#[derive(Debug)]
pub(crate) struct Air {
    loss: f64,
    burst: f64,
    random: StdRng,
    is_bad: bool,
}

impl Air {
    pub(crate) fn new(loss: f64, burst: f64, seed: u64) -> Self {
        Self { loss, burst, random: StdRng::seed_from_u64(seed), is_bad: false }
    }

    /// Whether the next packet is lost.
    pub(crate) fn loses(&mut self) -> bool {
        if self.burst <= 1.0 {
            return self.random.random_bool(self.loss);
        }
        // Gilbert's two states: bad ones last `burst` packets, and the share of them is `loss`.
        let leaves = 1.0 / self.burst;
        let change = if self.is_bad { leaves } else { (leaves * self.loss / (1.0 - self.loss)).min(1.0) };
        self.is_bad ^= self.random.random_bool(change);
        self.is_bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDITIONS: Conditions =
        Conditions { delay: Duration::from_millis(20), queue_bytes: 4000, loss: 0.0, burst: 1.0 };

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

    #[test]
    fn bursts_have_their_mean_length_and_share() {
        let mut air = Air::new(0.05, 4.0, 7);
        let lost: Vec<bool> = (0..200_000).map(|_| air.loses()).collect();
        let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let length = share * lost.len() as f64 / bursts;
        assert!((share - 0.05).abs() < 0.005 && (length - 4.0).abs() < 0.2, "{share} {length}");
    }

    #[test]
    fn a_packet_leaves_at_its_grant_however_late_that_is_looked_at() {
        let trace = || Trace::parse("5\n10\n15\n40\n").unwrap();
        let (mut prompt, mut late) =
            (Bottleneck::new(trace(), CONDITIONS, 1), Bottleneck::new(trace(), CONDITIONS, 1));
        for link in [&mut prompt, &mut late] {
            for (packet, bytes) in [(0, 1504), (1, 100), (2, 1400), (3, 900)] {
                link.send(packet, bytes, VirtualTime::from_ms(2));
            }
        }
        let mut want = Vec::new();
        while let Some(at) = prompt.poll_timeout() {
            want.extend(prompt.handle_timeout(at));
        }
        assert_eq!(late.handle_timeout(VirtualTime::from_ms(77)), want);
        assert_eq!(want.iter().map(|(_, at)| at.as_ms()).collect::<Vec<_>>(), [25, 30, 30, 35]);
    }
}
