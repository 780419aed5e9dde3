//! The robot's side: the process `run`, the process `actuator`, the registers that outlive them, and a car.

use std::collections::BTreeMap;
use std::time::Duration;

use farwheel_proto::control::actuator::{self, Health, MachineTime, Message, Watch};
use farwheel_proto::control::event::Body;
use farwheel_proto::control::failsafe::{self, Limits, Sight};
use farwheel_proto::control::helm::{self, Recipient};
use farwheel_proto::control::mixer::{self, Channel, Mixer, Profile};
use farwheel_proto::control::{ActuatorCore, Helm, Status, lease};
use farwheel_proto::video::CarTime;

use super::Packet;
use crate::clock::{MachineClock, VirtualTime};

/// Pulse registers: they keep their last values whatever becomes of who wrote them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) steer_us: u16,
    pub(super) throttle_us: u16,
}

impl Registers {
    pub(super) const NEUTRAL: Self = Self { steer_us: NEUTRAL_US, throttle_us: NEUTRAL_US };

    /// Throttle as a share of full, as the speed controller understands it: a few µs around the middle are none.
    pub(super) fn throttle(self) -> f32 {
        let off = f32::from(self.throttle_us) - f32::from(NEUTRAL_US);
        if off.abs() <= 2.0 { 0.0 } else { off / 500.0 }
    }
}

/// Middle of every pulse.
const NEUTRAL_US: u16 = 1500;

/// A car of one dimension: speed follows throttle with a lag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Car {
    speed: f64,
    pub(super) distance: f64,
    at: VirtualTime,
}

impl Car {
    /// Moves on to `now` under the pulses that were there since the last time.
    pub(super) fn advance(&mut self, registers: Registers, now: VirtualTime) {
        let elapsed = now.since(self.at).as_secs_f64();
        let target = f64::from(registers.throttle()) * TOP_SPEED;
        self.speed = target + (self.speed - target) * (-elapsed / LAG_S).exp();
        self.distance += self.speed.abs() * elapsed;
        self.at = now;
    }
}

const TOP_SPEED: f64 = 15.0;
const LAG_S: f64 = 0.3;

/// What a robot's process wants the world to do.
pub(super) enum Out {
    /// To one driver, by number, over its connection.
    Send(usize, u32, Packet),
    /// To the other process.
    Local(Packet),
    /// Into the registers.
    Write(Registers),
    /// A lease was granted to a driver, by number; for the oracle.
    Granted(usize, u32),
}

/// `farwheel-robot run`.
pub(super) struct Run {
    helm: Helm,
    clock: MachineClock,
    epoch: VirtualTime,
    boot: u32,
    sequence: u32,
    watch: Watch,
    connections: BTreeMap<usize, Peer>,
    pub(super) encoder: Encoder,
    next_telemetry: VirtualTime,
    next_picture: VirtualTime,
}

#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    connection: u32,
    heard: VirtualTime,
}

/// What the encoder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoder {
    Working,
    Blocked,
}

impl Run {
    pub(super) fn new(boot: u32, clock: MachineClock, now: VirtualTime) -> Self {
        let config = helm::Config {
            failsafe: failsafe::Config {
                limits: Limits::STANDARD,
                sight: Sight::Video,
                brake_pulse: None,
                cells: None,
            },
            lease: lease::Config { lasts: Duration::from_secs(3) },
            owner_code: Some(super::OWNER_CODE.into()),
            name: "car".into(),
            version: "1".into(),
        };
        let start = clock.at(now);
        Self {
            helm: Helm::new(config, boot, start, start),
            clock,
            epoch: now,
            boot,
            sequence: 0,
            watch: Watch::default(),
            connections: BTreeMap::new(),
            encoder: Encoder::Working,
            next_telemetry: now,
            next_picture: now,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.helm.failsafe().status()
    }

    pub(super) fn lease(&self) -> Option<&str> {
        self.helm.driver()
    }

    /// The robot's clock at `now`.
    pub(super) fn car_time(&self, now: VirtualTime) -> CarTime {
        CarTime(now.since(self.epoch).as_micros() as u64)
    }

    pub(super) fn handle_connected(
        &mut self,
        driver: usize,
        name: &'static str,
        connection: u32,
        now: VirtualTime,
        out: &mut Vec<Out>,
    ) {
        // The same peer with another connection: the one before is gone.
        if self.connections.insert(driver, Peer { name, connection, heard: now }).is_some() {
            self.helm.handle_peer_gone(name, self.clock.at(now));
        }
        self.speak(out);
    }

    /// The driver closed its connection in an orderly way.
    pub(super) fn handle_bye(&mut self, driver: usize, now: VirtualTime, out: &mut Vec<Out>) {
        if let Some(peer) = self.connections.remove(&driver) {
            self.helm.handle_peer_gone(peer.name, self.clock.at(now));
        }
        self.speak(out);
    }

    /// Takes a packet; true if it was a command that counts. What a hoarding link held back is taken though its
    /// connection is gone: the failsafe must not depend on the transport to drop it.
    pub(super) fn handle_packet(
        &mut self,
        driver: usize,
        name: &'static str,
        packet: &Packet,
        now: VirtualTime,
        out: &mut Vec<Out>,
    ) -> bool {
        let at = self.clock.at(now);
        if let Some(peer) = self.connections.get_mut(&driver) {
            peer.heard = now;
        }
        let mut counts = false;
        match packet {
            Packet::Control(bytes) => {
                counts = self.helm.handle_control(name, bytes, at).is_ok();
                if counts {
                    self.drive(now, out);
                }
            }
            Packet::Event(bytes) => {
                self.helm.handle_event(name, bytes, at);
            }
            Packet::Reply(bytes) => {
                self.watch.handle_reply(bytes, machine(now)).ok();
            }
            Packet::Telemetry(_) | Packet::Video(_) | Packet::Setpoint(_) => {}
        }
        self.speak(out);
        counts
    }

    /// One tick of the control thread, every 10 ms.
    pub(super) fn turn(&mut self, now: VirtualTime, out: &mut Vec<Out>) {
        let at = self.clock.at(now);
        let health = self.watch.health(machine(now));
        self.helm.handle_actuator(health, at);
        if health == Health::Silent {
            // The pulses of a dead actuator run on: whoever is left writes neutral.
            out.push(Out::Write(Registers::NEUTRAL));
        }
        self.drive(now, out);
        let gone: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, peer)| now.since(peer.heard) > CONNECTION_FAILED)
            .map(|(driver, _)| *driver)
            .collect();
        for driver in gone {
            self.handle_bye(driver, now, out);
        }
        if now >= self.next_telemetry {
            self.next_telemetry = now.after(TELEMETRY);
            let fast = self.helm.telemetry(self.watch.reply(), at);
            for (driver, peer) in &self.connections {
                out.push(Out::Send(*driver, peer.connection, Packet::Telemetry(fast.encode().to_vec())));
            }
        }
        if now >= self.next_picture {
            self.next_picture = now.after(PICTURE);
            match self.encoder {
                Encoder::Working => {
                    let captured = self.car_time(now);
                    self.helm.handle_picture(captured);
                    for (driver, peer) in &self.connections {
                        out.push(Out::Send(*driver, peer.connection, Packet::Video(captured)));
                    }
                }
                Encoder::Blocked => {}
            }
        }
        self.speak(out);
    }

    fn drive(&mut self, now: VirtualTime, out: &mut Vec<Out>) {
        let setpoint = self.helm.tick(self.clock.at(now));
        self.sequence += 1;
        let message = Message { boot: self.boot, sequence: self.sequence, sent: machine(now), setpoint };
        out.push(Out::Local(Packet::Setpoint(message.encode().to_vec())));
    }

    fn speak(&mut self, out: &mut Vec<Out>) {
        while let Some((to, event)) = self.helm.poll_event() {
            let bytes = event.encode().expect("the robot's own events are small");
            for (driver, peer) in &self.connections {
                if to == Recipient::All || to == Recipient::Peer(peer.name.to_owned()) {
                    if let Body::LeaseGranted { epoch, .. } = event.body {
                        out.push(Out::Granted(*driver, epoch));
                    }
                    out.push(Out::Send(*driver, peer.connection, Packet::Event(bytes.clone())));
                }
            }
        }
    }
}

/// `farwheel-robot actuator`.
pub(super) struct Actuator {
    core: ActuatorCore,
}

impl Actuator {
    pub(super) fn new(boot: u32, now: VirtualTime) -> Self {
        let config =
            mixer::Config::new(Profile::Ackermann, [Channel::default(); 4]).expect("the usual channels");
        Self { core: ActuatorCore::new(Mixer::new(config), boot, machine(now)) }
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet, now: VirtualTime, out: &mut Vec<Out>) {
        if let Packet::Setpoint(bytes) = packet {
            self.core.handle_message(bytes, machine(now)).ok();
        }
        self.turn(now, out);
    }

    /// Writes what is due; gives the time of the next turn.
    pub(super) fn turn(&mut self, now: VirtualTime, out: &mut Vec<Out>) -> VirtualTime {
        if let Some(duty) = self.core.poll_output(machine(now)) {
            let [steer, throttle, ..] = duty.outputs().map(mixer::Pulse::us);
            out.push(Out::Write(Registers { steer_us: steer, throttle_us: throttle }));
            out.push(Out::Local(Packet::Reply(self.core.reply().encode().to_vec())));
        }
        let next = self.core.poll_timeout();
        VirtualTime(next.0.saturating_sub(MACHINE_UP_US))
    }
}

/// The robot's machine has been up for a while when the world begins.
const MACHINE_UP_US: u64 = 5_000_000;

fn machine(now: VirtualTime) -> MachineTime {
    MachineTime(now.0 + MACHINE_UP_US)
}

/// A driver not heard for this long is gone.
const CONNECTION_FAILED: Duration = Duration::from_secs(8);
const TELEMETRY: Duration = Duration::from_millis(50);
const PICTURE: Duration = Duration::from_millis(33);

/// Time between writes of a healthy actuator at most.
pub(super) const WRITE_GAP_MAX: Duration = actuator::PERIOD;
