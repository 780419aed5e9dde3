//! A driver, a rival, a server, the robot's two processes and a car: the whole way from stick to pulse.

mod driver;
mod fault;
mod oracle;
mod robot;
mod world;

use std::time::Duration;

use farwheel_proto::video::CarTime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use fault::{Fault, Kind, Process};
pub use oracle::Violation;

use crate::clock::VirtualTime;
use crate::link::Profile;

/// What happens in a world, apart from what its seed decides.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides every chance: links, hands, clocks, and with [`Scenario::random`] the faults.
    pub seed: u64,
    /// Both ways between the drivers and the robot.
    pub profile: Profile,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// From here on nothing does, and the link is [`Profile::WIFI`].
    pub calm: VirtualTime,
    /// The world's end.
    pub end: VirtualTime,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// Commands that the robot followed.
    pub followed: u64,
    /// The oldest of them when it was followed.
    pub age_max: Duration,
    /// Longest silence under which there was throttle on the pulses, all processes being healthy.
    pub silence_max: Duration,
    /// From the calm on until there was throttle on the pulses.
    pub returned: Option<Duration>,
    /// When there was last throttle on the pulses.
    pub moved: Option<VirtualTime>,
    /// How far the car went, in m.
    pub distance_m: f64,
    /// Steering pulse in µs at the end.
    pub steer_us: u16,
    /// Throttle pulse in µs at every change.
    pub pulses: Vec<(VirtualTime, u16)>,
    /// What happened, in words, if it was asked for.
    pub trace: Vec<String>,
}

/// Whether a world writes down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It does.
    Kept,
    /// It does not.
    Dropped,
}

impl Scenario {
    /// A world of `end_ms` in which nothing goes wrong but what `faults` say, over a good cellular link.
    pub fn new(seed: u64, end_ms: u64, faults: Vec<Fault>) -> Self {
        let end = VirtualTime::from_ms(end_ms);
        Self { seed, profile: Profile::LTE, faults, calm: end, end }
    }

    /// A world in which anything may go wrong between 2.5 and 11 s, and which ends after 8 s of calm.
    pub fn random(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0xFA17);
        let profile = Profile::ALL[random.random_range(0..Profile::ALL.len())];
        let (calm_ms, end_ms) = (11_000, 19_000);
        let faults = Fault::random(&mut random, 2_500, calm_ms);
        let (calm, end) = (VirtualTime::from_ms(calm_ms), VirtualTime::from_ms(end_ms));
        Self { seed, profile, faults, calm, end }
    }

    /// Runs the world to its end.
    ///
    /// # Errors
    /// On the first broken promise: throttle without a fresh command under the lease, throttle after 250 ms of
    /// silence, a stale command followed, or, if there is a calm, no throttle in its last two seconds.
    pub fn run(&self, trace: Trace) -> Result<Report, (Violation, Vec<String>)> {
        world::World::new(self, trace).run()
    }
}

/// What travels.
#[derive(Clone, Debug)]
enum Packet {
    /// Channel `control`, to the robot.
    Control(Vec<u8>),
    /// Channel `event`, either way.
    Event(Vec<u8>),
    /// Channel `telemetry`, to a driver.
    Telemetry(Vec<u8>),
    /// A picture, by its capture time.
    Video(CarTime),
    /// From `run` to the actuator.
    Setpoint(Vec<u8>),
    /// From the actuator to `run`.
    Reply(Vec<u8>),
}

/// Proves the owner.
const OWNER_CODE: &str = "4711";
