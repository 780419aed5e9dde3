//! The car's clock.

use std::time::Instant;

use farwheel_proto::control::actuator::MachineTime;
use farwheel_proto::video::CarTime;

/// Starts at the process's start; every time on the wire is since then (`CLOCK_MONOTONIC`).
#[derive(Clone, Copy, Debug)]
pub struct CarClock {
    epoch: Instant,
}

impl CarClock {
    /// Starts the clock; `main` does it once.
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// Its zero.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The time now.
    pub fn now(&self) -> CarTime {
        self.at(Instant::now())
    }

    /// The time at `instant`; zero before the start.
    pub fn at(&self, instant: Instant) -> CarTime {
        CarTime::since(self.epoch, instant)
    }
}

/// The machine's clock as the actuator's datagrams carry it.
pub fn machine_time() -> MachineTime {
    MachineTime(monotonic_ns() / 1000)
}

/// The machine's `CLOCK_MONOTONIC`, in ns: one scale for all processes of a machine.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
