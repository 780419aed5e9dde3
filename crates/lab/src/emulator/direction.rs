//! One way of a link: its road, then the packets in flight, in the order of their arrival.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::VirtualTime;
use crate::link::{Air, Bottleneck, Conditions, Sent, Trace};

/// How one way treats packets.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// What it can carry.
    pub road: Road,
    /// Delay, queue and loss.
    pub conditions: Conditions,
    /// Of the loss.
    pub seed: u64,
}

/// What one way can carry.
#[derive(Clone, Debug, PartialEq)]
pub enum Road {
    /// Anything at once: no queue.
    Open,
    /// What its grants allow.
    Narrow(Trace),
}

impl Way {
    /// Everything, `delay` later.
    pub const fn delay(delay: Duration) -> Self {
        Self::new(Road::Open, delay)
    }

    /// 150 kB of queue before the road, `delay` behind it, no loss.
    pub const fn new(road: Road, delay: Duration) -> Self {
        let conditions = Conditions { delay, queue_bytes: 150_000, loss: 0.0, burst: 1.0 };
        Self { road, conditions, seed: 1 }
    }

    /// Bytes that it can carry in this time since its beginning; none tells that there is no limit.
    pub fn capacity_bytes(&self, from: VirtualTime, until: VirtualTime) -> Option<usize> {
        match &self.road {
            Road::Open => None,
            Road::Narrow(trace) => Some(trace.capacity_bytes(from, until)),
        }
    }
}

/// One way with packets of type `P` on it.
#[derive(Debug)]
pub struct Direction<P> {
    road: RoadWith<P>,
    flying: VecDeque<(P, VirtualTime)>,
}

#[derive(Debug)]
enum RoadWith<P> {
    Open(Box<Air>, Duration),
    Narrow(Box<Bottleneck<P>>),
}

impl<P> Direction<P> {
    /// An empty way.
    pub fn new(way: &Way) -> Self {
        let conditions = way.conditions;
        let road = match &way.road {
            Road::Open => {
                let air = Air::new(conditions.loss, conditions.burst, way.seed);
                RoadWith::Open(Box::new(air), conditions.delay)
            }
            Road::Narrow(trace) => {
                RoadWith::Narrow(Box::new(Bottleneck::new(trace.clone(), conditions, way.seed)))
            }
        };
        Self { road, flying: VecDeque::new() }
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: P, bytes: usize, now: VirtualTime) -> Sent {
        self.serve(now);
        match &mut self.road {
            RoadWith::Open(air, delay) => {
                if air.loses() {
                    return Sent::Lost;
                }
                self.flying.push_back((packet, now.after(*delay)));
                Sent::Queued
            }
            RoadWith::Narrow(bottleneck) => bottleneck.send(packet, bytes, now),
        }
    }

    /// When the next packet leaves the queue or arrives.
    pub fn poll_timeout(&self) -> Option<VirtualTime> {
        let served = match &self.road {
            RoadWith::Open(..) => None,
            RoadWith::Narrow(bottleneck) => bottleneck.poll_timeout(),
        };
        let arrives = self.flying.front().map(|(_, at)| *at);
        [served, arrives].into_iter().flatten().min()
    }

    /// The packets that have arrived by `now`, and when they did.
    pub fn handle_timeout(&mut self, now: VirtualTime) -> Vec<(P, VirtualTime)> {
        self.serve(now);
        let mut arrived = Vec::new();
        while let Some(packet) = self.flying.pop_front_if(|(_, at)| *at <= now) {
            arrived.push(packet);
        }
        arrived
    }

    /// What waits for the road.
    pub fn queued_bytes(&self) -> usize {
        match &self.road {
            RoadWith::Open(..) => 0,
            RoadWith::Narrow(bottleneck) => bottleneck.queued_bytes(),
        }
    }

    fn serve(&mut self, now: VirtualTime) {
        if let RoadWith::Narrow(bottleneck) = &mut self.road {
            self.flying.extend(bottleneck.handle_timeout(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> VirtualTime = VirtualTime::from_ms;

    /// Packets of 1000 bytes every 3 ms for a while, looked at when it is due or every `late` ms.
    fn arrivals(way: &Way, late: Option<u64>) -> Vec<(u64, VirtualTime)> {
        let mut direction = Direction::new(way);
        let mut arrived = Vec::new();
        for ms in (0..900).step_by(3) {
            while late.is_none()
                && let Some(at) = direction.poll_timeout().filter(|at| *at <= MS(ms))
            {
                arrived.extend(direction.handle_timeout(at));
            }
            if late.is_some_and(|late| ms.is_multiple_of(late)) {
                arrived.extend(direction.handle_timeout(MS(ms)));
            }
            if ms < 600 {
                direction.send(ms, 1000, MS(ms));
            }
        }
        arrived
    }

    #[test]
    fn real_time_that_looks_late_carries_the_same_packets_at_the_same_times() {
        let trace = Trace::synthetic(500, |ms| if ms < 200 { 3e6 } else { 1.5e6 });
        let mut way = Way::new(Road::Narrow(trace), Duration::from_millis(25));
        way.conditions = Conditions { queue_bytes: 20_000, loss: 0.05, burst: 2.0, ..way.conditions };
        let prompt = arrivals(&way, None);
        assert!((130..190).contains(&prompt.len()), "{}", prompt.len());
        for late in [3, 21, 90] {
            assert_eq!(arrivals(&way, Some(late)), prompt[..], "looked at every {late} ms");
        }
    }

    #[test]
    fn an_open_road_delays_and_nothing_else() {
        let mut direction = Direction::new(&Way::delay(Duration::from_millis(25)));
        direction.send('a', 1_000_000, MS(1));
        direction.send('b', 10, MS(2));
        assert_eq!(direction.poll_timeout(), Some(MS(26)));
        assert_eq!(direction.handle_timeout(MS(40)), [('a', MS(26)), ('b', MS(27))]);
        assert_eq!((direction.poll_timeout(), direction.queued_bytes()), (None, 0));
    }
}
