//! What the link can carry, and what waits in it: one-way delays and the spacing of arrivals.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::feedback::Outcome;
use super::minimum::Minimum;

/// The standing queue is the least delay of this long: two frames, more than the 10 to 60 ms sawtooth of an LTE
/// uplink's scheduler (measured on recorded uplinks).
const STANDING_US: i64 = 80_000;
/// Time over which the service rate is summed.
const SERVICE_US: i64 = 400_000;
/// A gap between two arrivals counts at most this: an outage is not a low rate.
const GAP_MAX_US: i64 = 40_000;
/// Busy time that gives a measurement full weight.
const TRUST_US: f64 = 100_000.0;
/// Weight of a measurement below, and above the estimate.
const FALL: f64 = 0.6;
const RISE: f64 = 0.3;
/// Time over which the delivered rate is summed, and the share of it that the estimate never goes below.
const DELIVERED_US: i64 = 300_000;
const DELIVERED_SHARE: f64 = 0.9;
/// Most that is ever believed, in bit/s: keeps a stranger's reports from growing anything without bound.
const SERVICE_MAX: f64 = 1e9;

/// Estimates base delay, standing queue and service rate of the bottleneck.
///
/// All delays are arrival on the receiver's clock less departure on ours: meaningless alone, right in differences.
#[derive(Debug)]
pub(super) struct Capacity {
    epoch: Instant,
    base: Minimum,
    /// Arrival and delay of the packets of the last 80 ms.
    delays: VecDeque<(i64, i64)>,
    /// Arrival, clipped gap before it and bits, of packets that had waited at the bottleneck.
    busy: VecDeque<(i64, i64, f64)>,
    /// Arrival and bits.
    delivered: VecDeque<(i64, f64)>,
    newest_us: Option<i64>,
    /// Bits per second.
    service: f64,
}

/// Whether a report told anything of the service rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Packets queued at the bottleneck: their spacing is its rate.
    Busy,
    /// The link was never full.
    Idle,
}

impl Capacity {
    /// Starts with a guess of `service` bit/s.
    pub(super) fn new(service: f64, now: Instant) -> Self {
        Self {
            epoch: now,
            base: Minimum::default(),
            delays: VecDeque::new(),
            busy: VecDeque::new(),
            delivered: VecDeque::new(),
            newest_us: None,
            service,
        }
    }

    /// Takes what one report told.
    pub(super) fn handle_outcomes(&mut self, outcomes: &[Outcome], now: Instant) -> Evidence {
        let mut arrivals: Vec<(i64, i64, f64)> = outcomes
            .iter()
            .filter_map(|outcome| {
                let departure = outcome.departure.saturating_duration_since(self.epoch).as_micros() as i64;
                Some((outcome.arrival?.as_us(), departure, outcome.bytes as f64 * 8.0))
            })
            .collect();
        arrivals.sort_unstable_by_key(|&(arrival, departure, _)| (arrival, departure));
        for &(arrival, departure, _) in &arrivals {
            self.base.handle_value(arrival - departure, now);
        }
        let Some(base) = self.base.get() else { return Evidence::Idle };
        let mut evidence = Evidence::Idle;
        for (arrival, departure, bits) in arrivals {
            let previous =
                self.newest_us.replace(self.newest_us.map_or(arrival, |newest| newest.max(arrival)));
            self.delays.push_back((arrival, arrival - departure));
            self.delivered.push_back((arrival, bits));
            if let Some(previous) = previous
                && arrival >= previous
                && previous - departure > base
            {
                self.busy.push_back((arrival, (arrival - previous).min(GAP_MAX_US), bits));
                evidence = Evidence::Busy;
            }
        }
        self.forget();
        if evidence == Evidence::Busy {
            self.measure();
        }
        self.service = self.service.max(DELIVERED_SHARE * self.delivered()).min(SERVICE_MAX);
        evidence
    }

    /// Raises the estimate to what the sender has grown to without ever filling the link.
    pub(super) fn raise(&mut self, service: f64) {
        self.service = self.service.max(service).min(SERVICE_MAX);
    }

    /// Service rate in bit/s.
    pub(super) const fn service(&self) -> f64 {
        self.service
    }

    /// Bits per second that arrived in the last 300 ms on the receiver's clock.
    pub(super) fn delivered(&self) -> f64 {
        self.delivered.iter().map(|(_, bits)| bits).sum::<f64>() * 1e6 / DELIVERED_US as f64
    }

    /// The delay that even the luckiest packet of the last 80 ms had beyond the base.
    pub(super) fn standing_queue(&self) -> Duration {
        let least = self.delays.iter().map(|(_, delay)| *delay).min();
        let queue = least.zip(self.base.get()).map_or(0, |(least, base)| least - base);
        Duration::from_micros(queue.max(0) as u64)
    }

    fn measure(&mut self) {
        let time = self.busy.iter().map(|(_, gap, _)| *gap).sum::<i64>() as f64;
        let bits = self.busy.iter().map(|(_, _, bits)| bits).sum::<f64>();
        // A receiver that stamps a burst with one time measured nothing.
        if time < 1.0 {
            return;
        }
        let measured = bits * 1e6 / time;
        let side = if measured < self.service { FALL } else { RISE };
        self.service += (measured - self.service) * side * (time / TRUST_US).min(1.0);
    }

    fn forget(&mut self) {
        let Some(newest) = self.newest_us else { return };
        // A clock that was set back leaves entries of the future: they go as well.
        let is_recent = |at: i64, window: i64| (newest - window..=newest).contains(&at);
        self.delays.retain(|(at, _)| is_recent(*at, STANDING_US));
        self.busy.retain(|(at, _, _)| is_recent(*at, SERVICE_US));
        self.delivered.retain(|(at, _)| is_recent(*at, DELIVERED_US));
    }
}

#[cfg(test)]
mod tests {
    use super::super::feedback::ReceiverTime;
    use super::super::test::{MS, start};
    use super::*;

    /// Packets of 1250 bytes as (departure, arrival) in ms; the receiver's clock is 7 s ahead.
    fn outcomes(packets: &[(u32, i64)]) -> Vec<Outcome> {
        (0..)
            .zip(packets)
            .map(|(number, &(departure, arrival))| Outcome {
                number,
                bytes: 1250,
                departure: start() + MS * departure,
                arrival: Some(ReceiverTime::from_us(7_000_000 + arrival * 1000)),
            })
            .collect()
    }

    fn fed(packets: &[(u32, i64)]) -> Capacity {
        let mut capacity = Capacity::new(1e6, start());
        for group in outcomes(packets).chunks(5) {
            capacity.handle_outcomes(group, start() + MS * 1000);
        }
        capacity
    }

    #[test]
    fn a_full_link_is_measured_by_the_spacing_of_its_arrivals() {
        // 10 000 bits every 5 ms are 2 Mbit/s.
        let packets: Vec<_> = (0..100).map(|n| (n * 4, i64::from(n) * 5 + 20)).collect();
        let service = fed(&packets).service();
        assert!((1.95e6..2.05e6).contains(&service), "{service}");
    }

    #[test]
    fn a_link_that_is_never_full_tells_only_what_it_delivered() {
        let mut capacity = Capacity::new(1e5, start());
        let packets: Vec<_> = (0..100).map(|n| (n * 5, i64::from(n) * 5 + 20)).collect();
        assert_eq!(capacity.handle_outcomes(&outcomes(&packets), start()), Evidence::Idle);
        assert!((1.75e6..1.9e6).contains(&capacity.service()), "{}", capacity.service());
    }

    #[test]
    fn an_outage_is_not_a_low_rate() {
        let mut packets: Vec<_> = (0..60).map(|n| (n * 4, i64::from(n) * 5 + 20)).collect();
        packets.extend((60..80).map(|n| (n * 4, i64::from(n) * 5 + 3_020)));
        let service = fed(&packets).service();
        assert!(service > 1.2e6, "{service}");
    }

    #[test]
    fn the_scheduler_s_sawtooth_is_not_a_standing_queue_and_a_queue_is() {
        let sawtooth: Vec<_> =
            (0..100).map(|n| (n * 5, i64::from(n) * 5 + 20 + i64::from(n % 8) * 4)).collect();
        assert_eq!(fed(&sawtooth).standing_queue(), Duration::ZERO);
        let queue: Vec<_> = (0..100).map(|n| (n * 5, i64::from(n) * 6 + 20)).collect();
        let standing = fed(&queue).standing_queue();
        assert!((80..=99).contains(&standing.as_millis()), "{standing:?}");
    }

    #[test]
    fn arrivals_all_at_one_time_or_at_the_ends_of_time_measure_nothing() {
        let mut capacity = Capacity::new(1e6, start());
        for us in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
            let mut hostile = outcomes(&[(0, 0), (1, 0), (2, 0)]);
            hostile.iter_mut().for_each(|o| o.arrival = Some(ReceiverTime::from_us(us)));
            capacity.handle_outcomes(&hostile, start());
            let service = capacity.service();
            assert!(service.is_finite() && service > 0.0, "{service}");
        }
    }
}
