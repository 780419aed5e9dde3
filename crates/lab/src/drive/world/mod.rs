//! The world itself: who talks to whom, and what the faults do to them.

mod faults;
mod network;

use std::collections::VecDeque;
use std::time::Duration;

use farwheel_proto::control::DriveCommand;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::driver::{self, Driver, Manner};
use super::fault::Process;
use super::oracle::{Oracle, Violation};
use super::robot::{self, Actuator, Car, Registers, Run};
use super::{Packet, Report, Scenario, Trace};
use crate::clock::{MachineClock, Schedule, VirtualTime};
use crate::link::{Carrier, Link, Profile};

/// Someone with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Driver(usize),
    Run,
    Actuator,
}

#[derive(Debug)]
enum Happening {
    /// A process takes its turn, unless it was paused or killed since.
    Turn(Node, u32),
    Arrive(Node, Inbound),
    Connected(usize),
    FaultBegins(usize),
    FaultEnds(usize),
    Calm,
    Look,
}

/// What waits in a process's sockets.
#[derive(Clone, Debug)]
enum Inbound {
    Packet { driver: usize, packet: Packet, valid: Validity },
    Connected { driver: usize, connection: u32 },
    Bye { driver: usize },
}

/// Whether the transport would deliver a packet.
#[derive(Clone, Copy, Debug)]
enum Validity {
    /// If that connection is still the one in force.
    OfConnection(u32),
    /// In any case.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
    Dead,
}

struct Proc<T> {
    life: Life,
    generation: u32,
    // Full: what comes later is lost, as in a socket's buffer.
    inbox: VecDeque<Inbound>,
    body: T,
}

impl<T> Proc<T> {
    const fn new(life: Life, body: T) -> Self {
        Self { life, generation: 0, inbox: VecDeque::new(), body }
    }
}

/// Both ways between one driver and the robot.
struct Path {
    up: Link,
    down: Link,
    up_events: Link,
    down_events: Link,
    /// Held by a hoarding link: way and packet.
    hoard: Vec<(Way, Packet)>,
    /// Of the reliable streams, not yet through.
    stalled: VecDeque<(Way, Packet, u32)>,
    control: Carrier,
    video: Carrier,
    /// The connection in force at the robot.
    connection: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    schedule: Schedule<Happening>,
    random: StdRng,
    drivers: [Proc<Driver>; 2],
    paths: [Path; 2],
    run: Proc<Option<Run>>,
    run_epoch: VirtualTime,
    robot_clock: MachineClock,
    actuator: Proc<Option<Actuator>>,
    registers: Registers,
    car: Car,
    server: Carrier,
    connections: u32,
    active: Vec<bool>,
    oracle: Oracle,
    pulses: Vec<(VirtualTime, u16)>,
    trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, trace: Trace) -> Self {
        let mut random = StdRng::seed_from_u64(scenario.seed);
        let mut skewed = || MachineClock::new(random.random_range(-100..=100));
        let (ann, bob, robot_clock) = (skewed(), skewed(), skewed());
        let mut fork = || StdRng::seed_from_u64(random.random());
        let drivers = [
            Proc::new(Life::Running, Driver::new("ann", Manner::Sensible, ann, fork())),
            Proc::new(Life::Dead, Driver::new("bob", Manner::Rival, bob, fork())),
        ];
        let mut link = || Link::new(scenario.profile, random.random());
        let mut path = || Path {
            up: link(),
            down: link(),
            up_events: link(),
            down_events: link(),
            hoard: Vec::new(),
            stalled: VecDeque::new(),
            control: Carrier::Up,
            video: Carrier::Up,
            connection: None,
        };
        let paths = [path(), path()];
        Self {
            schedule: Schedule::default(),
            drivers,
            paths,
            run: Proc::new(Life::Dead, None),
            run_epoch: VirtualTime::ZERO,
            robot_clock,
            actuator: Proc::new(Life::Dead, None),
            registers: Registers::NEUTRAL,
            car: Car::default(),
            server: Carrier::Up,
            connections: 0,
            active: vec![false; scenario.faults.len()],
            oracle: Oracle::new(scenario.calm),
            pulses: Vec::new(),
            trace: (trace == Trace::Kept).then(Vec::new),
            random,
            scenario,
        }
    }

    pub(super) fn run(mut self) -> Result<Report, (Violation, Vec<String>)> {
        self.set_life(Process::Actuator, Life::Running);
        self.set_life(Process::Run, Life::Running);
        self.schedule.add(VirtualTime::ZERO, Happening::Turn(Node::Driver(0), 0));
        self.schedule.add(VirtualTime::ZERO, Happening::Look);
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            self.schedule.add(fault.from, Happening::FaultBegins(index));
            self.schedule.add(fault.until, Happening::FaultEnds(index));
        }
        self.schedule.add(self.scenario.calm, Happening::Calm);
        while let Some(happening) = self.schedule.next_until(self.scenario.end) {
            self.happen(happening);
            if let Some(violation) = self.oracle.violation() {
                self.note(|| format!("violation: {violation}"));
                return Err((violation, self.trace.unwrap_or_default()));
            }
        }
        let (end, calm) = (self.scenario.end, self.scenario.calm);
        let oracle = &self.oracle;
        if calm < end && oracle.moved.is_none_or(|moved| end.since(moved) > RETURNED) {
            let what = format!(
                "the calm began at {calm} and the car does not drive; it last did at {:?}",
                oracle.moved
            );
            return Err((Violation { at: end, what }, self.trace.unwrap_or_default()));
        }
        Ok(Report {
            followed: oracle.count,
            age_max: oracle.age_max,
            silence_max: oracle.silence_max,
            returned: oracle.returned.map(|returned| returned.since(calm)),
            moved: oracle.moved,
            distance_m: self.car.distance,
            steer_us: self.registers.steer_us,
            pulses: self.pulses,
            trace: self.trace.unwrap_or_default(),
        })
    }

    fn now(&self) -> VirtualTime {
        self.schedule.now()
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now}: {}", what()));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Turn(node, generation) => self.turn(node, generation),
            Happening::Arrive(node, inbound) => self.arrive(node, inbound),
            Happening::Connected(driver) => self.connected(driver),
            Happening::FaultBegins(index) => self.fault(index, true),
            Happening::FaultEnds(index) => self.fault(index, false),
            Happening::Calm => {
                for path in &mut self.paths {
                    for link in [&mut path.up, &mut path.down, &mut path.up_events, &mut path.down_events] {
                        link.set_profile(Profile::WIFI);
                    }
                }
                self.note(|| "calm".into());
            }
            Happening::Look => {
                self.schedule.add(self.now().after(LOOK), Happening::Look);
                self.look();
            }
        }
    }

    fn look(&mut self) {
        let now = self.now();
        self.car.advance(self.registers, now);
        if let Some(run) = self.run.body.as_ref().filter(|_| self.run.life == Life::Running) {
            self.oracle.status(run.status(), now);
        }
        self.oracle.look(self.registers, now);
    }

    /// A process takes its turn and says when the next one is.
    fn turn(&mut self, node: Node, generation: u32) {
        let (life, current) = self.life(node);
        if life != Life::Running || generation != current {
            return;
        }
        let now = self.now();
        let next = match node {
            Node::Driver(index) => {
                let mut out = Vec::new();
                let driver = &mut self.drivers[index].body;
                let command = driver.turn(now, &mut out);
                let captured = driver.shown.map(|shown| self.run_epoch.after(Duration::from_micros(shown.0)));
                if let Some(command) = command {
                    self.oracle.sent(index, &command, captured, now);
                }
                self.driver_wants(index, out);
                now.after(DRIVER_TURN)
            }
            Node::Run => {
                let mut out = Vec::new();
                if let Some(run) = &mut self.run.body {
                    run.turn(now, &mut out);
                }
                self.robot_wants(Node::Run, out);
                now.after(RUN_TURN)
            }
            Node::Actuator => {
                let mut out = Vec::new();
                let next = match &mut self.actuator.body {
                    Some(actuator) => actuator.turn(now, &mut out),
                    None => return,
                };
                self.robot_wants(Node::Actuator, out);
                // A timer is never quite on time.
                next.max(now).after(Duration::from_micros(50))
            }
        };
        self.schedule.add(next, Happening::Turn(node, current));
    }

    fn arrive(&mut self, node: Node, inbound: Inbound) {
        match self.life(node).0 {
            Life::Running => self.take(node, &inbound),
            Life::Paused => {
                let inbox = match node {
                    Node::Driver(index) => &mut self.drivers[index].inbox,
                    Node::Run => &mut self.run.inbox,
                    Node::Actuator => &mut self.actuator.inbox,
                };
                if inbox.len() < SOCKET_BUFFER {
                    inbox.push_back(inbound);
                }
            }
            Life::Dead => {}
        }
    }

    /// A running process takes something from its sockets.
    fn take(&mut self, node: Node, inbound: &Inbound) {
        let now = self.now();
        let mut out = Vec::new();
        match (node, inbound) {
            (Node::Driver(index), Inbound::Packet { packet, valid, .. }) => {
                let driver = &mut self.drivers[index].body;
                let current = driver.connection.map(|connection| connection.id);
                if valid.holds(current) {
                    driver.handle_packet(packet, now);
                }
            }
            (Node::Driver(index), Inbound::Connected { connection, .. }) => {
                let mut out = Vec::new();
                self.drivers[index].body.handle_connected(*connection, now, &mut out);
                self.driver_wants(index, out);
            }
            (Node::Run, Inbound::Packet { driver, packet, valid }) => {
                let name = self.drivers[*driver].body.name;
                let local = matches!(packet, Packet::Reply(_));
                let Some(run) = &mut self.run.body else { return };
                if !local && !valid.holds(self.paths[*driver].connection) {
                    return;
                }
                let counts = run.handle_packet(*driver, name, packet, now, &mut out);
                self.robot_wants(Node::Run, out);
                if let (true, Packet::Control(bytes)) = (counts, packet) {
                    let command = DriveCommand::decode(bytes).expect("it was followed, so it can be read");
                    self.oracle.followed(*driver, &command, now);
                }
            }
            (Node::Run, Inbound::Connected { driver, connection }) => {
                let name = self.drivers[*driver].body.name;
                self.paths[*driver].connection = Some(*connection);
                if let Some(run) = &mut self.run.body {
                    run.handle_connected(*driver, name, *connection, now, &mut out);
                }
                self.robot_wants(Node::Run, out);
            }
            (Node::Run, Inbound::Bye { driver }) => {
                self.paths[*driver].connection = None;
                if let Some(run) = &mut self.run.body {
                    run.handle_bye(*driver, now, &mut out);
                }
                self.robot_wants(Node::Run, out);
            }
            (Node::Actuator, Inbound::Packet { packet, .. }) => {
                if let Some(actuator) = &mut self.actuator.body {
                    actuator.handle_packet(packet, now, &mut out);
                }
                self.robot_wants(Node::Actuator, out);
            }
            (Node::Driver(_), Inbound::Bye { .. })
            | (Node::Actuator, Inbound::Connected { .. } | Inbound::Bye { .. }) => {}
        }
    }

    fn driver_wants(&mut self, index: usize, out: Vec<driver::Out>) {
        for want in out {
            match want {
                driver::Out::Connect => {
                    if self.can_connect(index) {
                        self.schedule.add(self.now().after(CONNECT), Happening::Connected(index));
                    }
                }
                driver::Out::Send(packet) => {
                    if let Some(connection) = self.drivers[index].body.connection {
                        self.send(index, Way::Up, packet, connection.id);
                    }
                }
            }
        }
    }

    fn robot_wants(&mut self, node: Node, out: Vec<robot::Out>) {
        let now = self.now();
        for want in out {
            match want {
                robot::Out::Send(driver, connection, packet) => {
                    self.send(driver, Way::Down, packet, connection)
                }
                robot::Out::Local(packet) => {
                    let to = if node == Node::Run { Node::Actuator } else { Node::Run };
                    let inbound = Inbound::Packet { driver: 0, packet, valid: Validity::Always };
                    self.schedule.add(now.after(UNIX_SOCKET), Happening::Arrive(to, inbound));
                }
                robot::Out::Write(registers) => {
                    self.car.advance(self.registers, now);
                    if node == Node::Actuator {
                        self.oracle.written(now);
                    }
                    if registers.throttle_us != self.registers.throttle_us {
                        self.pulses.push((now, registers.throttle_us));
                        self.note(|| format!("throttle {} us by {node:?}", registers.throttle_us));
                    }
                    self.registers = registers;
                    self.look();
                }
                robot::Out::Granted(driver, epoch) => {
                    self.oracle.granted(driver, epoch, now);
                    self.note(|| format!("lease {epoch} to driver {driver}"));
                }
            }
        }
        if node == Node::Run && self.run.body.as_ref().is_none_or(|run| run.lease().is_none()) {
            self.oracle.freed(now);
        }
    }

    fn life(&self, node: Node) -> (Life, u32) {
        match node {
            Node::Driver(index) => (self.drivers[index].life, self.drivers[index].generation),
            Node::Run => (self.run.life, self.run.generation),
            Node::Actuator => (self.actuator.life, self.actuator.generation),
        }
    }
}

impl Validity {
    fn holds(self, connection: Option<u32>) -> bool {
        match self {
            Self::Always => true,
            Self::OfConnection(id) => connection == Some(id),
        }
    }
}

/// Datagrams that wait for a process at most.
const SOCKET_BUFFER: usize = 256;
/// Between turns of the app.
const DRIVER_TURN: Duration = Duration::from_millis(10);
/// Between ticks of the control thread.
const RUN_TURN: Duration = Duration::from_millis(10);
/// Between looks of the oracle.
const LOOK: Duration = Duration::from_millis(5);
/// From one process of the robot to the other.
const UNIX_SOCKET: Duration = Duration::from_micros(50);
/// To build a connection.
const CONNECT: Duration = Duration::from_millis(300);
/// In the last part of the calm the car has to drive.
const RETURNED: Duration = Duration::from_secs(2);
