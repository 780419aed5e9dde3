//! The driver's side: an app without a window and a hand on its stick.

use std::time::Duration;

use farwheel_proto::control::event::{Body, Stamp};
use farwheel_proto::control::sender::{self, Presence, Source};
use farwheel_proto::control::status::DisarmReason;
use farwheel_proto::control::telemetry::{Fast, Telemetry};
use farwheel_proto::control::{
    Axis, CommandSender, DriveCommand, Event, Role, Status, StickInput, StickShaper,
};
use farwheel_proto::video::CarTime;
use rand::RngExt;
use rand::rngs::StdRng;

use super::Packet;
use crate::clock::{MachineClock, VirtualTime};

/// What the driver's process wants the world to do.
pub(super) enum Out {
    Send(Packet),
    Connect,
}

/// How the hand behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Centres the stick, arms and resets as it should.
    Sensible,
    /// Holds the stick forward whatever the car's state is.
    Stubborn,
    /// Wants the car that another one drives: full reverse, under the other's epoch.
    Rival,
}

/// One app.
pub(super) struct Driver {
    pub(super) name: &'static str,
    pub(super) manner: Manner,
    pub(super) owner: bool,
    pub(super) clock: MachineClock,
    pub(super) connection: Option<Connection>,
    /// Capture time of the picture on the screen.
    pub(super) shown: Option<CarTime>,
    sender: CommandSender,
    shaper: StickShaper,
    random: StdRng,
    stick: (f32, f32),
    stick_until: VirtualTime,
    centred_since: Option<VirtualTime>,
    fast: Option<Fast>,
    asked: VirtualTime,
    tried: VirtualTime,
    request: u32,
}

/// A connection to the robot, as the driver has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) id: u32,
    pub(super) heard: VirtualTime,
}

impl Driver {
    pub(super) fn new(name: &'static str, manner: Manner, clock: MachineClock, random: StdRng) -> Self {
        Self {
            name,
            manner,
            owner: false,
            clock,
            connection: None,
            shown: None,
            sender: CommandSender::new(sender::Config::default()),
            shaper: StickShaper::default(),
            random,
            stick: (0.0, 0.0),
            stick_until: VirtualTime::ZERO,
            centred_since: None,
            fast: None,
            asked: VirtualTime::ZERO,
            tried: VirtualTime::ZERO,
            request: 0,
        }
    }

    /// The app is started again: nothing is remembered.
    pub(super) fn restart(&mut self) {
        self.sender = CommandSender::new(sender::Config::default());
        (self.connection, self.shown, self.fast, self.centred_since) = (None, None, None, None);
    }

    pub(super) fn handle_presence(&mut self, source: Source, presence: Presence) {
        self.sender.handle_presence(source, presence);
    }

    pub(super) fn press_stop(&mut self, now: VirtualTime, out: &mut Vec<Out>) {
        self.sender.emergency_stop();
        self.ask(Body::EmergencyStop, now, out);
    }

    pub(super) fn handle_connected(&mut self, id: u32, now: VirtualTime, out: &mut Vec<Out>) {
        self.connection = Some(Connection { id, heard: now });
        self.sender.handle_connection();
        (self.shown, self.fast) = (None, None);
        let owner_code = self.owner.then(|| super::OWNER_CODE.to_owned());
        let hello =
            Body::Hello { name: self.name.into(), version: "1".into(), role: Role::Driver, owner_code };
        self.ask(hello, now, out);
        self.asked = VirtualTime::ZERO;
    }

    /// Takes a packet of the connection in force.
    pub(super) fn handle_packet(&mut self, packet: &Packet, now: VirtualTime) {
        if let Some(connection) = &mut self.connection {
            connection.heard = now;
        }
        let local = self.clock.at(now);
        match packet {
            Packet::Telemetry(bytes) => {
                if let Ok(Telemetry::Fast(fast)) = Telemetry::decode(bytes) {
                    self.sender.handle_telemetry(&fast, local);
                    if self.fast.is_none_or(|held| held.boot != fast.boot || held.car_time < fast.car_time) {
                        self.fast = Some(fast);
                    }
                }
            }
            Packet::Video(captured) => {
                if self.shown.is_none_or(|shown| shown < *captured) {
                    self.shown = Some(*captured);
                    self.sender.handle_picture(captured.frame_id(), local);
                }
            }
            Packet::Event(bytes) => match Event::decode(bytes).map(|event| event.body) {
                Ok(Body::LeaseGranted { epoch, .. }) => self.sender.handle_lease(epoch),
                Ok(Body::LeaseRevoked { .. }) => self.sender.handle_lease(0),
                Ok(_) | Err(_) => {}
            },
            Packet::Control(_) | Packet::Setpoint(_) | Packet::Reply(_) => {}
        }
    }

    /// One turn of the app, every 10 ms; gives the commands that leave.
    pub(super) fn turn(&mut self, now: VirtualTime, out: &mut Vec<Out>) -> Option<DriveCommand> {
        let local = self.clock.at(now);
        if self.connection.is_some_and(|connection| now.since(connection.heard) > DISCONNECTED) {
            self.connection = None;
            self.sender.handle_connection();
            (self.shown, self.fast) = (None, None);
        }
        if self.connection.is_none() {
            if now.since(self.tried) >= RETRY || self.tried == VirtualTime::ZERO {
                self.tried = now;
                out.push(Out::Connect);
            }
            return None;
        }
        let input = self.hand(now, out);
        let intent = self.shaper.shape(&input);
        self.sender.handle_input(&intent, local);
        let command = self.sender.poll_command(local)?;
        out.push(Out::Send(Packet::Control(command.encode().to_vec())));
        Some(command)
    }

    /// What the hand does: drives when it may, and does what is needed to be allowed to.
    fn hand(&mut self, now: VirtualTime, out: &mut Vec<Out>) -> StickInput {
        let drive = |throttle: f32, steer: f32| StickInput {
            throttle: Axis::new(throttle),
            steer: Axis::new(steer),
            deadman: true,
            ..StickInput::default()
        };
        if self.manner == Manner::Rival {
            // It knows the epoch, which is no secret, from the telemetry.
            let epoch = self.fast.map_or(0, |fast| fast.lease);
            self.sender.handle_lease(epoch);
            self.sender.arm();
            if now.since(self.asked) >= ASK_AGAIN {
                self.asked = now;
                self.ask(if self.owner { Body::LeaseTake } else { Body::LeaseRequest }, now, out);
            }
            return drive(-1.0, 0.0);
        }
        if self.sender.lease() == 0 {
            if self.asked == VirtualTime::ZERO || now.since(self.asked) >= ASK_AGAIN {
                self.asked = now;
                self.ask(Body::LeaseRequest, now, out);
            }
            return StickInput::default();
        }
        let status = self.fast.map_or(Status::Disarmed(DisarmReason::Boot), |fast| fast.status);
        if self.manner == Manner::Stubborn {
            self.sender.arm();
            return drive(1.0, 0.3);
        }
        match status {
            Status::Armed => self.centred_since = None,
            Status::LinkLoss => {
                self.centred_since = None;
                return drive(0.0, 0.0);
            }
            Status::Disarmed(_) | Status::Stopped => {
                let since = *self.centred_since.get_or_insert(now);
                if now.since(since) >= CENTRED {
                    self.centred_since = None;
                    self.ready(status, now, out);
                }
                return StickInput { deadman: true, ..StickInput::default() };
            }
        }
        if now >= self.stick_until {
            let throttle = self.random.random_range(-1.0..1.0f32);
            // Mostly well off the middle, so that a car that should move does.
            let throttle = throttle.signum() * (0.4 + throttle.abs() * 0.6);
            self.stick = (throttle, self.random.random_range(-1.0..1.0f32));
            self.stick_until = now.after(Duration::from_millis(self.random.random_range(200..1_500)));
        }
        drive(self.stick.0, self.stick.1)
    }

    /// Resets the stop or arms, with the stick at the middle for a while.
    fn ready(&mut self, status: Status, now: VirtualTime, out: &mut Vec<Out>) {
        let local = self.clock.at(now);
        if self.sender.is_stopping() {
            self.sender.reset_emergency_stop(local).ok();
        }
        if status == Status::Stopped {
            if let Some(echo) = self.sender.echo(local) {
                self.ask(Body::ResetStop(Stamp::new(self.sender.lease(), echo)), now, out);
            }
        } else {
            self.sender.arm();
        }
    }

    fn ask(&mut self, body: Body, _now: VirtualTime, out: &mut Vec<Out>) {
        self.request += 1;
        let bytes = Event::request(self.request, body).encode().expect("a request is small");
        out.push(Out::Send(Packet::Event(bytes)));
    }
}

/// Nothing heard for this long: the connection is taken for lost and built again.
const DISCONNECTED: Duration = Duration::from_millis(2_000);
/// Between attempts to connect.
const RETRY: Duration = Duration::from_millis(300);
/// Between requests for the lease.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The hand centres the stick for this long before it arms or resets.
const CENTRED: Duration = Duration::from_millis(200);
