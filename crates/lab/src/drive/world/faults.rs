//! What the faults do to the processes and the links.

use farwheel_proto::control::sender::{Presence, Source};
use rand::RngExt;

use super::{Actuator, CONNECT, Happening, Inbound, Life, Node, Run, World};
use crate::drive::driver::Manner;
use crate::drive::fault::{Fault, Kind, Process};
use crate::drive::robot::Encoder;
use crate::link::Carrier;

impl World<'_> {
    pub(super) fn fault(&mut self, index: usize, active: bool) {
        let Fault { kind, from, until } = self.scenario.faults[index];
        self.active[index] = active;
        self.note(|| format!("{kind:?} {}", if active { "begins" } else { "ends" }));
        match kind {
            Kind::Sleep if !active => self.drivers[0].body.clock.slept(until.since(from)),
            Kind::StopPressed if active && self.drivers[0].life == Life::Running => {
                let mut out = Vec::new();
                let now = self.now();
                self.drivers[0].body.press_stop(now, &mut out);
                self.driver_wants(0, out);
            }
            Kind::Sleep
            | Kind::StopPressed
            | Kind::Pause(_)
            | Kind::Kill(_)
            | Kind::Uplink(_)
            | Kind::Downlink(_)
            | Kind::Path(_)
            | Kind::ControlLost
            | Kind::EventsStall
            | Kind::VideoFrozen
            | Kind::EncoderBlocked
            | Kind::Rival
            | Kind::OwnerRival
            | Kind::ServerDown
            | Kind::FocusLost
            | Kind::GamepadLost
            | Kind::Stubborn => {}
        }
        self.apply_faults();
    }

    /// Makes the world what the active faults, which may overlap, say together.
    pub(super) fn apply_faults(&mut self) {
        let active: Vec<Kind> = self
            .scenario
            .faults
            .iter()
            .zip(&self.active)
            .filter(|(_, active)| **active)
            .map(|(fault, _)| fault.kind)
            .collect();
        let has = |kind: Kind| active.contains(&kind);
        for process in [Process::Driver, Process::Run, Process::Actuator] {
            let asleep = process == Process::Driver && has(Kind::Sleep);
            let life = if has(Kind::Kill(process)) {
                Life::Dead
            } else if has(Kind::Pause(process)) || asleep {
                Life::Paused
            } else {
                Life::Running
            };
            self.set_life(process, life);
        }
        let carrier = |kind: fn(Carrier) -> Kind| {
            [Carrier::Partitioned, Carrier::Hoarding]
                .into_iter()
                .find(|carrier| has(kind(*carrier)) || has(Kind::Path(*carrier)))
                .unwrap_or(Carrier::Up)
        };
        let cut = |kind: Kind| if has(kind) { Carrier::Partitioned } else { Carrier::Up };
        let (up, down) = (carrier(Kind::Uplink), carrier(Kind::Downlink));
        let path = &mut self.paths[0];
        (path.control, path.video) = (cut(Kind::ControlLost), cut(Kind::VideoFrozen));
        path.up.set_carrier(up);
        path.down.set_carrier(down);
        path.up_events.set_carrier(if has(Kind::EventsStall) { Carrier::Partitioned } else { up });
        path.down_events.set_carrier(down);
        self.release();
        self.server = cut(Kind::ServerDown);
        if let Some(run) = &mut self.run.body {
            run.encoder = if has(Kind::EncoderBlocked) { Encoder::Blocked } else { Encoder::Working };
        }
        let presence = |kind: Kind| if has(kind) { Presence::Absent } else { Presence::Present };
        let ann = &mut self.drivers[0].body;
        ann.handle_presence(Source::Window, presence(Kind::FocusLost));
        ann.handle_presence(Source::Device, presence(Kind::GamepadLost));
        ann.manner = if has(Kind::Stubborn) { Manner::Stubborn } else { Manner::Sensible };
        self.set_rival(has(Kind::Rival) || has(Kind::OwnerRival), has(Kind::OwnerRival));
    }

    pub(super) fn set_rival(&mut self, present: bool, owner: bool) {
        let running = self.drivers[1].life == Life::Running;
        self.drivers[1].body.owner = owner;
        match (running, present) {
            (false, true) => {
                self.drivers[1].life = Life::Running;
                self.drivers[1].generation += 1;
                let generation = self.drivers[1].generation;
                self.schedule.add(self.now(), Happening::Turn(Node::Driver(1), generation));
            }
            (true, false) => {
                self.drivers[1].life = Life::Dead;
                self.drivers[1].body.restart();
                let at = self.now().after(CONNECT);
                self.schedule.add(at, Happening::Arrive(Node::Run, Inbound::Bye { driver: 1 }));
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Pauses, continues, kills or starts a process.
    pub(super) fn set_life(&mut self, process: Process, life: Life) {
        let now = self.now();
        let node = match process {
            Process::Driver => Node::Driver(0),
            Process::Run => Node::Run,
            Process::Actuator => Node::Actuator,
        };
        let (before, _) = self.life(node);
        if before == life {
            return;
        }
        self.note(|| format!("{process:?} is {life:?}"));
        let boot = self.random.random_range(1..u32::MAX);
        if life == Life::Dead || before == Life::Dead {
            match node {
                Node::Driver(index) => self.drivers[index].body.restart(),
                Node::Run => {
                    self.run.body = (life != Life::Dead).then(|| Run::new(boot, self.robot_clock, now));
                    self.run_epoch = now;
                    self.paths.iter_mut().for_each(|path| path.connection = None);
                    self.oracle.freed(now);
                }
                Node::Actuator => {
                    self.actuator.body = (life != Life::Dead).then(|| Actuator::new(boot, now));
                }
            }
        }
        let inbox = match node {
            Node::Driver(index) => {
                let driver = &mut self.drivers[index];
                (driver.life, driver.generation) = (life, driver.generation + 1);
                std::mem::take(&mut driver.inbox)
            }
            Node::Run => {
                (self.run.life, self.run.generation) = (life, self.run.generation + 1);
                std::mem::take(&mut self.run.inbox)
            }
            Node::Actuator => {
                (self.actuator.life, self.actuator.generation) = (life, self.actuator.generation + 1);
                std::mem::take(&mut self.actuator.inbox)
            }
        };
        self.oracle.life(process, life == Life::Running, now);
        if life != Life::Running {
            return;
        }
        // Whether its timers or its sockets come first is the kernel's choice.
        let (_, generation) = self.life(node);
        let timers_first = self.random.random_bool(0.5);
        if timers_first {
            self.turn(node, generation);
        }
        if before == Life::Paused {
            for inbound in inbox {
                self.take(node, &inbound);
            }
        }
        if !timers_first {
            self.turn(node, generation);
        }
    }
}
