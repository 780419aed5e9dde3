//! The simulated car's world: moved by what stands in the registers, whoever wrote it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use farwheel_media::slot::{Slot, Taken};

use crate::drive::Registers;
use crate::sim;
use crate::thread::{self, Urgency};

/// A world and the moment it has got to; the lock is held for a step, some microseconds.
#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
    battery: Slot<f32>,
}

struct Inner {
    world: sim::World,
    registers: Registers,
    at: Instant,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("at", &self.at).finish_non_exhaustive()
    }
}

impl World {
    /// The demo's circuit with a car before its start line, moved by the registers at `path`.
    ///
    /// # Errors
    /// When the registers cannot be opened.
    pub fn new(path: &Path, seed: u64) -> Result<Self> {
        let registers =
            Registers::open(path).with_context(|| format!("open registers {}", path.display()))?;
        let world = sim::World::new(sim::Track::club(), seed);
        Ok(Self { inner: Mutex::new(Inner { world, registers, at: Instant::now() }), battery: Slot::new() })
    }

    /// Where the battery's voltage is put, ten times a second.
    pub fn battery(&self) -> &Slot<f32> {
        &self.battery
    }

    /// What the car's instruments say.
    pub fn state(&self) -> sim::State {
        self.lock().world.state()
    }

    /// Centre line of the track, in metres, in driving order.
    pub fn outline(&self) -> Vec<[f32; 2]> {
        self.lock().world.track().outline()
    }

    /// What the camera sees at this moment.
    pub fn scene(&self) -> (sim::Scene, Instant) {
        let mut inner = self.lock();
        inner.advance();
        (inner.world.scene(), inner.at)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn advance(&mut self) {
        let controls = match self.registers.read() {
            Ok(reading) => {
                let [steer, throttle, pan, tilt] = reading.widths;
                sim::Controls::from_pulses(throttle, steer, pan, tilt)
            }
            // Somebody damaged the file: the servos get no pulse.
            Err(_) => sim::Controls::default(),
        };
        let now = Instant::now();
        self.world.step(now.saturating_duration_since(self.at), controls);
        self.at = now;
    }
}

/// The thread that moves the world on; joined on drop.
#[derive(Debug)]
pub struct WorldThread {
    stop: Slot<()>,
    thread: Option<JoinHandle<()>>,
}

impl WorldThread {
    /// Starts time.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(world: Arc<World>) -> Result<Self> {
        let stop = Slot::new();
        let stopped = stop.clone();
        let thread = thread::spawn("world", Urgency::Media, move || {
            for count in 0u32.. {
                world.lock().advance();
                if count.is_multiple_of(BATTERY_EVERY) {
                    world.battery.put(world.state().battery_volts);
                }
                if stopped.take_within(STEP) == Taken::Closed {
                    return;
                }
            }
        })
        .context("start the world thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for WorldThread {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a panic ends the process");
        }
    }
}

/// The registers are looked at this often; servos see a new pulse every 20 ms at best.
const STEP: Duration = Duration::from_millis(5);
/// Steps between two readings of the battery: ten readings a second.
const BATTERY_EVERY: u32 = 20;
