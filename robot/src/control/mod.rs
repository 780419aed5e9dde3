//! The control thread: the only one that decides about motion.

mod copies;
pub mod inbox;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use farwheel_media::slot::Slot;
use farwheel_proto::control::actuator::Health;
use farwheel_proto::control::event::FaultChange;
use farwheel_proto::control::failsafe::NEUTRAL;
use farwheel_proto::control::helm::{self, Action, Helm, Recipient};
use farwheel_proto::control::telemetry::{self, BatteryLevel};
use farwheel_proto::control::{Axis, Event, Fault, PathCounts, Setpoint};
use farwheel_proto::video::Bitrate;
use tokio::sync::mpsc;
use tracing::{debug, trace, warn};

pub use inbox::{Command, Inbox, Path, PeerId};

use crate::actuator::watch::OutputState;
use crate::actuator::{Board as ActuatorBoard, Link};
use crate::thread::{self, Urgency};
use inbox::{Arrivals, End, Lost};

/// What the control thread works with.
#[derive(Debug)]
pub struct Parts {
    /// Limits, lease, name.
    pub config: helm::Config,
    /// Differs from start to start.
    pub boot: u32,
    /// Zero of the car's clock.
    pub epoch: Instant,
    /// Where commands and events arrive.
    pub inbox: Arc<Inbox>,
    /// Where setpoints go.
    pub link: Link,
    /// What is known of the actuator.
    pub actuator: Arc<ActuatorBoard>,
    /// Volts of the battery, newest first; measured by whoever can.
    pub battery: Slot<f32>,
    /// Where its view of things is shown.
    pub board: Arc<Board>,
    /// Events for peers. Full: the event is dropped, as the network task does not run.
    pub events: mpsc::Sender<(Recipient, Event)>,
    /// Which camera the driver wants.
    pub camera: Slot<u8>,
}

/// The newest fast telemetry, for whoever sends it.
#[derive(Debug, Default)]
pub struct Board {
    newest: Mutex<Option<(telemetry::Fast, BatteryLevel)>>,
    counted: Mutex<PathCounts>,
}

impl Board {
    /// The state of control as of the last tick; none before the first.
    pub fn fast(&self) -> Option<telemetry::Fast> {
        self.lock().map(|(fast, _)| fast)
    }

    /// What the battery guard makes of the voltage; none before the first tick.
    pub fn battery(&self) -> Option<BatteryLevel> {
        self.lock().map(|(_, battery)| battery)
    }

    /// By which path the commands of the present lease came first.
    pub fn counted(&self) -> PathCounts {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, fast: telemetry::Fast, battery: BatteryLevel) {
        *self.lock() = Some((fast, battery));
    }

    fn lock(&self) -> MutexGuard<'_, Option<(telemetry::Fast, BatteryLevel)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the car was brought to neutral at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The actuator has confirmed it.
    Confirmed,
    /// It did not answer in time.
    Unconfirmed,
}

/// Starts the control thread.
///
/// # Errors
/// When the system has no thread left.
pub fn start(parts: Parts) -> Result<JoinHandle<Stopped>> {
    thread::spawn("control", Urgency::Control, move || Control::new(parts).run())
        .context("start the control thread")
}

struct Control {
    parts: Parts,
    helm: Helm,
    started: Instant,
    /// The time up to which the helm has been advanced.
    seen: Instant,
    dropped_events: u64,
    /// When silence reaches the time at which the throttle is neutral.
    neutral_due: Option<Instant>,
    /// Actuators seen so far; one more is a restart.
    actuators: u32,
    /// Commands that counted, and the lease that they were of.
    counted: (u32, PathCounts),
    output: OutputState,
}

impl Control {
    fn new(parts: Parts) -> Self {
        let started = Instant::now();
        let helm = Helm::new(parts.config.clone(), parts.boot, parts.epoch, started);
        Self {
            parts,
            helm,
            started,
            seen: started,
            dropped_events: 0,
            neutral_due: None,
            actuators: 0,
            counted: (0, PathCounts::default()),
            output: OutputState::Fine,
        }
    }

    fn run(mut self) -> Stopped {
        let mut arrivals = Arrivals::default();
        let mut tick = Instant::now();
        loop {
            // Neutral is due 250 ms after the last command that counted, not at the tick after that.
            let wake = self.neutral_due.map_or(tick, |due| due.min(tick));
            self.parts.inbox.take_until(wake, &mut arrivals);
            let now = Instant::now();
            self.neutral_due.take_if(|due| *due <= now);
            if now.saturating_duration_since(tick) >= LATE {
                // Silence is measured by the clock, so the failsafe knows of it without being told.
                warn!(
                    late_ms = now.saturating_duration_since(tick).as_millis() as u64,
                    "control tick is late"
                );
            }
            // Before the command, which may tell that one of them is on the screen.
            for captured in arrivals.pictures.drain(..) {
                self.helm.handle_picture(captured);
            }
            // Silence is counted from a command's arrival, however late this thread gets to it.
            if let Some(command) = arrivals.command.take() {
                self.take_command(&command, command.arrived.clamp(self.seen, now));
            }
            self.seen = now;
            self.look_at_actuator(now);
            self.take(&mut arrivals, now);
            self.parts.link.send(self.helm.tick(now));
            if now >= tick {
                // An absolute schedule; ticks that were missed are not made up for.
                tick = (tick + TICK).max(now);
                let reply = self.parts.actuator.read().reply;
                let fast = self.helm.telemetry(reply, now);
                self.parts.board.show(fast, self.helm.failsafe().battery_level());
            }
            self.tell();
            if arrivals.end == End::Asked {
                return self.stop();
            }
        }
    }

    fn take_command(&mut self, command: &Command, arrived: Instant) {
        let sequence = command.command.sequence;
        match self.helm.handle_control(&command.peer, &command.datagram, arrived) {
            Ok(()) => {
                trace!(sequence, "command counts");
                self.neutral_due = Some(arrived + NEUTRAL);
                self.count(command);
            }
            Err(error) => debug!(sequence, %error, "command does not count"),
        }
    }

    fn count(&mut self, command: &Command) {
        let (lease, counts) = &mut self.counted;
        if *lease != command.command.lease {
            (*lease, *counts) = (command.command.lease, PathCounts::default());
        }
        let count = match command.path {
            Path::Main => &mut counts.main,
            Path::Beside => &mut counts.beside,
        };
        *count = count.wrapping_add(1);
        *self.parts.board.counted.lock().unwrap_or_else(PoisonError::into_inner) = *counts;
    }

    fn take(&mut self, arrivals: &mut Arrivals, now: Instant) {
        if let Some(volts) = self.parts.battery.take() {
            self.helm.handle_battery(volts, now);
        }
        if let Some((cameras, selected)) = arrivals.cameras.take() {
            self.helm.set_cameras(cameras, selected);
        }
        for (peer, message) in arrivals.events.drain(..) {
            match self.helm.handle_event(&peer, &message, now) {
                Action::None => {}
                Action::SelectCamera(index) => self.parts.camera.put(index),
            }
        }
        for peer in arrivals.gone.drain(..) {
            self.helm.handle_peer_gone(&peer, now);
        }
        if std::mem::take(&mut arrivals.lost) == Lost::Events {
            warn!("events of the driver were lost");
            self.pass_fault(Fault::EventsLost, now);
        }
        // Before the driver: a new one begins without it.
        self.parts.inbox.set_video_limit(self.helm.video_limit().map(Bitrate::from_kbps));
        self.parts.inbox.set_driver(self.helm.driver(), self.helm.epoch());
    }

    fn look_at_actuator(&mut self, now: Instant) {
        let reading = self.parts.actuator.read();
        // A starting actuator is no fault: the car is disarmed anyway.
        if reading.starts > 0 || now.saturating_duration_since(self.started) > START_GRACE {
            self.helm.handle_actuator(reading.health, now);
        }
        if reading.starts > self.actuators {
            if self.actuators > 0 {
                self.helm.handle_actuator_restart(now);
            }
            self.actuators = reading.starts;
        }
        if reading.output != self.output {
            self.output = reading.output;
            let change = match reading.output {
                OutputState::Failed => FaultChange::Raised,
                OutputState::Fine => FaultChange::Cleared,
            };
            self.helm.handle_fault(Fault::Output, change, now);
        }
    }

    /// A fault that is over as soon as it is known: it disarms, and does not stand against arming again.
    fn pass_fault(&mut self, fault: Fault, now: Instant) {
        self.helm.handle_fault(fault, FaultChange::Raised, now);
        self.helm.handle_fault(fault, FaultChange::Cleared, now);
    }

    fn tell(&mut self) {
        while let Some(event) = self.helm.poll_event() {
            if self.parts.events.try_send(event).is_err() {
                // Whoever floods must not fill the log as well.
                self.dropped_events += 1;
                if self.dropped_events.is_power_of_two() {
                    warn!(
                        so_far = self.dropped_events,
                        "event for a peer dropped: the network does not keep up"
                    );
                }
            }
        }
    }

    /// Brings the car to neutral and waits for the proof.
    fn stop(mut self) -> Stopped {
        let deadline = Instant::now() + STOP_MAX;
        let first = self.parts.link.send(Setpoint::SAFE);
        let mut arrivals = Arrivals::default();
        while Instant::now() < deadline {
            let reading = self.parts.actuator.read();
            let confirmed = reading.reply.is_some_and(|reply| {
                reply.sequence.wrapping_sub(first) as i32 >= 0 && reply.throttle == Axis::ZERO
            });
            if confirmed && reading.health != Health::Silent {
                return Stopped::Confirmed;
            }
            self.parts.inbox.take_until(Instant::now() + STOP_TICK, &mut arrivals);
            self.parts.link.send(Setpoint::SAFE);
        }
        Stopped::Unconfirmed
    }
}

/// Control period (docs/SAFETY.md).
const TICK: Duration = Duration::from_millis(10);
/// A tick this late means that the process was stopped or the machine is overwhelmed.
const LATE: Duration = Duration::from_millis(100);
/// An actuator that has not answered for this long since the start is a fault.
const START_GRACE: Duration = Duration::from_secs(3);
/// Two outputs and some; then the outputs are written from here.
const STOP_MAX: Duration = Duration::from_millis(100);
const STOP_TICK: Duration = Duration::from_millis(2);
