//! Cellular uplinks that nobody recorded: seeded, Markov-modulated, with outages.
//!
//! The logarithm of the rate is the sum of two Ornstein-Uhlenbeck processes (Markov, normal, exponentially forgetting):
//! a slow one for place and cell, a fast one for fading and other users. A scheduler serves the queue in a share of
//! the milliseconds only and then all that has come together, and outages come at random and end at random.
//!
//! How it was fitted: of three recorded LTE uplinks the mean, spread and autocorrelation of the rate over 100 ms, the
//! gaps between grants, and number and length of the gaps above 300 ms were computed; shares and time constants of
//! the two processes follow from the autocorrelation of the log rate at 0.1, 1 and 5 s, their spread from the one of
//! the rate, the scheduler's share from the median gap, the outages from their number and sum. The classes have those
//! statistics (a test holds them to it), not those courses:
//!
//! | class | like | mean Mbit/s | spread over mean | autocorrelation of log at 0.1 / 1 / 5 s | outages above 0.3 s per minute, mean |
//! |---|---|---|---|---|---|
//! | `GOOD` | a city | 13.3 | 0.64 | 0.88 / 0.69 / 0.60 | 0.4, 0.7 s |
//! | `FAIR` | a suburb | 6.0 | 0.59 | 0.84 / 0.47 / 0.12 | 1.7, 0.7 s |
//! | `POOR` | driving on a road | 1.9 | 1.22 | 0.69 / 0.25 / 0.11 | 5, 1.4 s |

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::trace::{GRANT_BYTES, Trace};

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Name, for reports.
    pub name: &'static str,
    /// Median rate outside outages, bit/s.
    median: f64,
    /// Spread of the log rate and time constant in ms.
    slow: (f64, f64),
    /// The same.
    fast: (f64, f64),
    /// Share of the ms in which the scheduler serves.
    served: f64,
    /// Mean time between the end of an outage and the next one, ms.
    outage_every: f64,
    /// Mean length of an outage, ms.
    outage_mean: f64,
}

impl Class {
    /// Good coverage, fast and steady.
    pub const GOOD: Self = Self {
        name: "good",
        median: 11e6,
        slow: (0.52, 28_000.0),
        fast: (0.30, 400.0),
        served: 0.40,
        outage_every: 100_000.0,
        outage_mean: 500.0,
    };
    /// Usual coverage.
    pub const FAIR: Self = Self {
        name: "fair",
        median: 5.0e6,
        slow: (0.50, 3_500.0),
        fast: (0.32, 400.0),
        served: 0.30,
        outage_every: 30_000.0,
        outage_mean: 600.0,
    };
    /// Driving through the gaps between cells.
    pub const POOR: Self = Self {
        name: "poor",
        median: 1.3e6,
        slow: (0.60, 6_000.0),
        fast: (0.80, 120.0),
        served: 0.22,
        outage_every: 12_000.0,
        outage_mean: 1_300.0,
    };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GOOD, Self::FAIR, Self::POOR];

    /// The uplink of this seed, `seconds` long.
    pub fn generate(&self, seed: u64, seconds: u32) -> Trace {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut slow, mut fast) = (normal(&mut random), normal(&mut random));
        let (mut credit, mut outage_until) = (0.0_f64, 0_u64);
        let mut outage_at = waiting(&mut random, self.outage_every);
        let mut grants_ms = Vec::new();
        let period_ms = u64::from(seconds.max(1)) * 1000;
        for ms in 1..=period_ms {
            slow = forget(slow, self.slow.1, &mut random);
            fast = forget(fast, self.fast.1, &mut random);
            if ms >= outage_at {
                outage_until = ms + waiting(&mut random, self.outage_mean);
                outage_at = outage_until + waiting(&mut random, self.outage_every);
            }
            let is_served = random.random_bool(self.served);
            if ms < outage_until {
                credit = 0.0;
                continue;
            }
            let rate = self.median * (slow * self.slow.0 + fast * self.fast.0).exp();
            credit += rate / 8000.0 / GRANT_BYTES as f64;
            if is_served {
                let whole = credit.floor().min(BURST_MAX);
                credit = (credit - whole).min(BURST_MAX);
                grants_ms.extend(std::iter::repeat_n(ms, whole as usize));
            }
        }
        Trace::from_grants(grants_ms, period_ms)
    }
}

/// Grants in one ms: 500 Mbit/s, as the recorded links have.
const BURST_MAX: f64 = 42.0;

/// One ms of an Ornstein-Uhlenbeck process of spread 1.
fn forget(value: f64, time_constant_ms: f64, random: &mut StdRng) -> f64 {
    let kept = (-1.0 / time_constant_ms).exp();
    value * kept + normal(random) * (1.0 - kept * kept).sqrt()
}

/// Box and Muller's.
fn normal(random: &mut StdRng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random_range(f64::EPSILON..1.0), random.random_range(0.0..1.0));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn waiting(random: &mut StdRng, mean_ms: f64) -> u64 {
    let unit: f64 = random.random_range(f64::EPSILON..1.0);
    (-unit.ln() * mean_ms) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualTime;

    /// Mbit/s over each 100 ms of twenty seeds.
    fn rates(class: &Class) -> Vec<f64> {
        let windows = |trace: Trace| {
            let mut rates = vec![0.0; 1200];
            for at in trace.grants_from(VirtualTime::ZERO).take_while(|at| at.as_ms() < 120_000) {
                rates[at.as_ms() as usize / 100] += GRANT_BYTES as f64 * 8.0 / 1e5;
            }
            rates
        };
        (0..20).flat_map(|seed| windows(class.generate(seed, 120))).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_uplink() {
        assert_eq!(Class::FAIR.generate(3, 10), Class::FAIR.generate(3, 10));
        assert_ne!(Class::FAIR.generate(3, 10), Class::FAIR.generate(4, 10));
    }

    #[test]
    fn each_class_has_the_statistics_it_was_fitted_to() {
        // Recorded: mean and spread over mean of the rate, autocorrelation of its logarithm at 0.1 and 1 s.
        for (class, mean, variation, near, far) in [
            (Class::GOOD, 13.34, 0.64, 0.88, 0.69),
            (Class::FAIR, 5.96, 0.59, 0.84, 0.47),
            (Class::POOR, 1.91, 1.22, 0.69, 0.25),
        ] {
            let rates = rates(&class);
            let count = rates.len() as f64;
            let got_mean = rates.iter().sum::<f64>() / count;
            let got_variation =
                (rates.iter().map(|r| (r - got_mean).powi(2)).sum::<f64>() / count).sqrt() / got_mean;
            let logs: Vec<f64> = rates.iter().map(|rate| rate.max(0.05).ln()).collect();
            let centre = logs.iter().sum::<f64>() / count;
            let moment = |lag: usize| {
                logs.iter().zip(&logs[lag..]).map(|(a, b)| (a - centre) * (b - centre)).sum::<f64>()
            };
            let (got_near, got_far) = (moment(1) / moment(0), moment(10) / moment(0));
            let got = format!("{}: {got_mean:.2} {got_variation:.2} {got_near:.2} {got_far:.2}", class.name);
            assert!((got_mean / mean - 1.0).abs() < 0.3, "{got}");
            assert!((got_variation / variation - 1.0).abs() < 0.35, "{got}");
            assert!((got_near - near).abs() < 0.18 && (got_far - far).abs() < 0.2, "{got}");
        }
    }
}
