//! Seeded links: one direction of a path, packet by packet.
//!
//! [`Link`] delays and loses single packets; [`Bottleneck`] has a queue that a [`Trace`] empties, as a cellular uplink
//! has, and [`Class`] generates such traces.

mod bottleneck;
mod generator;
mod plan;
mod trace;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clock::VirtualTime;

pub(crate) use bottleneck::Air;
pub use bottleneck::{Bottleneck, Conditions, Sent};
pub use generator::Class;
pub use plan::{Misread, Plan};
pub use trace::{GRANT_BYTES, Trace, Unreadable};

/// How a link treats packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Name, for reports.
    pub name: &'static str,
    /// Least delay.
    pub delay: Duration,
    /// Mean of the exponential delay on top; in order, unless a packet is reordered.
    pub jitter: Duration,
    /// Loss in the good state, as a share.
    pub loss: f64,
    /// Loss in the bad state (Gilbert-Elliott), as a share.
    pub burst_loss: f64,
    /// Chance per packet to enter the bad state.
    pub burst_begins: f64,
    /// Chance per packet to leave it.
    pub burst_ends: f64,
    /// Chance of a second copy.
    pub duplicate: f64,
    /// Chance to be overtaken by later ones.
    pub reorder: f64,
}

impl Profile {
    /// No delay worth the name, no loss.
    pub const LOOPBACK: Self = Self {
        name: "loopback",
        delay: Duration::from_micros(200),
        jitter: Duration::ZERO,
        loss: 0.0,
        burst_loss: 0.0,
        burst_begins: 0.0,
        burst_ends: 1.0,
        duplicate: 0.0,
        reorder: 0.0,
    };
    /// A wireless network in the house: short, with small bursts of loss.
    pub const WIFI: Self = Self {
        name: "wifi",
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(3),
        loss: 0.005,
        burst_loss: 0.5,
        burst_begins: 0.002,
        burst_ends: 0.3,
        duplicate: 0.001,
        reorder: 0.001,
    };
    /// A good cellular link.
    pub const LTE: Self = Self {
        name: "lte",
        delay: Duration::from_millis(25),
        jitter: Duration::from_millis(8),
        loss: 0.01,
        burst_loss: 0.6,
        burst_begins: 0.004,
        burst_ends: 0.2,
        duplicate: 0.002,
        reorder: 0.005,
    };
    /// A full cell, or a car far from the mast.
    pub const CROWDED_LTE: Self = Self {
        name: "crowded lte",
        delay: Duration::from_millis(60),
        jitter: Duration::from_millis(60),
        loss: 0.04,
        burst_loss: 0.9,
        burst_begins: 0.02,
        burst_ends: 0.08,
        duplicate: 0.01,
        reorder: 0.03,
    };
    /// Barely a link: commands are near the age at which they stop counting.
    pub const EDGE: Self = Self {
        name: "edge",
        delay: Duration::from_millis(180),
        jitter: Duration::from_millis(150),
        loss: 0.1,
        burst_loss: 1.0,
        burst_begins: 0.03,
        burst_ends: 0.05,
        duplicate: 0.03,
        reorder: 0.1,
    };

    /// Every preset.
    pub const ALL: [Self; 5] = [Self::LOOPBACK, Self::WIFI, Self::LTE, Self::CROWDED_LTE, Self::EDGE];
}

/// Whether a link carries anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// It does.
    Up,
    /// Every packet is lost.
    Partitioned,
    /// Every packet waits, and all of them come when the link is up again: a bloated buffer, a stalled radio.
    Hoarding,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    profile: Profile,
    random: StdRng,
    carrier: Carrier,
    bursting: bool,
    /// When the newest packet in order arrives: later ones do not overtake it.
    newest: VirtualTime,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at these times; twice if duplicated, never if lost.
    Arrives(Vec<VirtualTime>),
    /// It waits for the link to come up.
    Hoarded,
}

impl Link {
    /// A link that does what `seed` says.
    pub fn new(profile: Profile, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { profile, random, carrier: Carrier::Up, bursting: false, newest: VirtualTime::ZERO }
    }

    /// Changes what the link carries.
    pub const fn set_carrier(&mut self, carrier: Carrier) {
        self.carrier = carrier;
    }

    /// What the link carries.
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Changes how the link treats packets from now on.
    pub const fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// Sends a packet that may be lost, repeated or overtaken.
    pub fn send(&mut self, now: VirtualTime) -> Fate {
        match self.carrier {
            Carrier::Up => {}
            Carrier::Partitioned => return Fate::Arrives(Vec::new()),
            Carrier::Hoarding => return Fate::Hoarded,
        }
        let lost = self.loses();
        let duplicate = self.random.random_bool(self.profile.duplicate);
        let mut arrivals = Vec::new();
        if !lost {
            arrivals.push(self.arrival(now));
            if duplicate {
                arrivals.push(self.arrival(now));
            }
        }
        Fate::Arrives(arrivals)
    }

    /// Sends a packet of a reliable, ordered stream: loss costs a retransmission each time. None while the link is
    /// down: the stream stalls and tries again.
    pub fn send_reliably(&mut self, now: VirtualTime) -> Option<VirtualTime> {
        if self.carrier != Carrier::Up {
            return None;
        }
        let mut sent = now;
        for _ in 0..RETRANSMITS_MAX {
            if !self.loses() {
                break;
            }
            sent = sent.after(self.profile.delay * 2 + RETRANSMIT_MIN);
        }
        self.newest = self.newest.max(sent.after(self.delay()));
        Some(self.newest)
    }

    fn loses(&mut self) -> bool {
        let change = if self.bursting { self.profile.burst_ends } else { self.profile.burst_begins };
        self.bursting ^= self.random.random_bool(change);
        // A burst that loses everything would never let a reliable stream through; it ends by its own chance.
        self.random.random_bool(if self.bursting { self.profile.burst_loss } else { self.profile.loss })
    }

    fn arrival(&mut self, now: VirtualTime) -> VirtualTime {
        let arrival = now.after(self.delay());
        if self.random.random_bool(self.profile.reorder) {
            return self.newest.max(arrival).after(self.profile.jitter);
        }
        self.newest = self.newest.max(arrival);
        self.newest
    }

    fn delay(&mut self) -> Duration {
        let unit: f64 = self.random.random_range(f64::EPSILON..1.0);
        // Six means are the most: beyond is what bursts and partitions are for.
        self.profile.delay + self.profile.jitter.mul_f64((-unit.ln()).min(6.0))
    }
}

/// A burst ends by time, though this model counts packets: no more of one stream's than these are lost in a row.
const RETRANSMITS_MAX: usize = 6;
/// Least time to find out that a packet was lost (RFC 9260 allows a fast retransmission after three reports).
const RETRANSMIT_MIN: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(profile: Profile, seed: u64) -> Vec<Vec<VirtualTime>> {
        let mut link = Link::new(profile, seed);
        (0..5_000)
            .map(|index| match link.send(VirtualTime::from_ms(index * 20)) {
                Fate::Arrives(times) => times,
                Fate::Hoarded => panic!("the link is up"),
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_link() {
        assert_eq!(arrivals(Profile::CROWDED_LTE, 5), arrivals(Profile::CROWDED_LTE, 5));
        assert_ne!(arrivals(Profile::CROWDED_LTE, 5), arrivals(Profile::CROWDED_LTE, 6));
    }

    #[test]
    fn every_preset_delays_at_least_as_it_says() {
        for profile in Profile::ALL {
            for (index, times) in arrivals(profile, 1).iter().enumerate() {
                let sent = VirtualTime::from_ms(index as u64 * 20);
                assert!(times.iter().all(|at| at.since(sent) >= profile.delay), "{}", profile.name);
            }
        }
    }

    #[test]
    fn presets_lose_in_bursts_about_as_much_as_they_say() {
        for (profile, low, high) in [
            (Profile::LOOPBACK, 0, 0),
            (Profile::LTE, 60, 250),
            (Profile::CROWDED_LTE, 700, 1_500),
            (Profile::EDGE, 1_700, 2_900),
        ] {
            let arrived = arrivals(profile, 3);
            let lost = arrived.iter().filter(|times| times.is_empty()).count();
            assert!((low..=high).contains(&lost), "{}: {lost} of 5000", profile.name);
            let in_a_row = arrived.windows(2).filter(|pair| pair.iter().all(Vec::is_empty)).count();
            assert!(lost == 0 || in_a_row * 10 > lost, "{}: {in_a_row} after another", profile.name);
        }
    }

    #[test]
    fn some_are_reordered_and_some_doubled() {
        let arrived = arrivals(Profile::EDGE, 3);
        assert!(arrived.iter().any(|times| times.len() == 2));
        let first: Vec<_> = arrived.iter().filter_map(|times| times.first()).collect();
        assert!(first.windows(2).any(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn a_reliable_stream_arrives_in_order_and_late_instead_of_lost() {
        let mut link = Link::new(Profile::EDGE, 4);
        let sent = |index: u64| VirtualTime::from_ms(index * 20);
        let arrived: Vec<_> = (0..500).map(|index| link.send_reliably(sent(index)).unwrap()).collect();
        assert!(arrived.is_sorted());
        assert!(arrived.iter().zip(0..).any(|(at, index)| at.since(sent(index)) > Duration::from_secs(1)));
    }

    #[test]
    fn a_partition_loses_all_and_a_hoard_keeps_all() {
        let mut link = Link::new(Profile::LOOPBACK, 1);
        link.set_carrier(Carrier::Partitioned);
        assert_eq!(link.send(VirtualTime::ZERO), Fate::Arrives(Vec::new()));
        assert_eq!(link.send_reliably(VirtualTime::ZERO), None);
        link.set_carrier(Carrier::Hoarding);
        assert_eq!(link.send(VirtualTime::ZERO), Fate::Hoarded);
    }
}
