//! What becomes of a packet between a driver and the robot.

use std::time::Duration;

use super::{Happening, Inbound, Life, Node, Packet, Validity, Way, World};
use crate::link::{Carrier, Fate};

impl World<'_> {
    pub(super) fn send(&mut self, driver: usize, way: Way, packet: Packet, connection: u32) {
        let now = self.now();
        let path = &mut self.paths[driver];
        let node = if way == Way::Up { Node::Run } else { Node::Driver(driver) };
        if let Packet::Event(_) = packet {
            let link = if way == Way::Up { &mut path.up_events } else { &mut path.down_events };
            match link.send_reliably(now) {
                Some(at) => {
                    let inbound =
                        Inbound::Packet { driver, packet, valid: Validity::OfConnection(connection) };
                    self.schedule.add(at, Happening::Arrive(node, inbound));
                }
                None => path.stalled.push_back((way, packet, connection)),
            }
            return;
        }
        let lost = match packet {
            Packet::Control(_) => path.control == Carrier::Partitioned,
            Packet::Video(_) => path.video == Carrier::Partitioned,
            Packet::Event(_) | Packet::Telemetry(_) | Packet::Setpoint(_) | Packet::Reply(_) => false,
        };
        if lost {
            return;
        }
        let link = if way == Way::Up { &mut path.up } else { &mut path.down };
        match link.send(now) {
            Fate::Arrives(times) => {
                for at in times {
                    let valid = Validity::OfConnection(connection);
                    let inbound = Inbound::Packet { driver, packet: packet.clone(), valid };
                    self.schedule.add(at, Happening::Arrive(node, inbound));
                }
            }
            Fate::Hoarded => path.hoard.push((way, packet)),
        }
    }

    /// What the links held back comes through, all at once.
    pub(super) fn release(&mut self) {
        let now = self.now();
        let path = &mut self.paths[0];
        let (up, down) = (path.up.carrier(), path.down.carrier());
        let released = |way: &Way| if *way == Way::Up { up == Carrier::Up } else { down == Carrier::Up };
        let (free, held): (Vec<_>, Vec<_>) = path.hoard.drain(..).partition(|(way, _)| released(way));
        path.hoard = held;
        let stalled: Vec<_> = path.stalled.drain(..).collect();
        for (index, (way, packet)) in free.into_iter().enumerate() {
            let node = if way == Way::Up { Node::Run } else { Node::Driver(0) };
            // Only to the robot beyond its connection: there the worst case is wanted.
            let valid = match (way, self.drivers[0].body.connection) {
                (Way::Up, _) => Validity::Always,
                (Way::Down, Some(connection)) => Validity::OfConnection(connection.id),
                (Way::Down, None) => continue,
            };
            let inbound = Inbound::Packet { driver: 0, packet, valid };
            let at = now.after(Duration::from_micros(1_000 + 20 * index as u64));
            self.schedule.add(at, Happening::Arrive(node, inbound));
        }
        for (way, packet, connection) in stalled {
            self.send(0, way, packet, connection);
        }
    }

    pub(super) fn can_connect(&self, driver: usize) -> bool {
        let path = &self.paths[driver];
        let up = [&path.up, &path.down].iter().all(|link| link.carrier() == Carrier::Up);
        up && self.server == Carrier::Up
            && self.run.life == Life::Running
            && self.drivers[driver].life == Life::Running
            && self.drivers[driver].body.connection.is_none()
    }

    pub(super) fn connected(&mut self, driver: usize) {
        if !self.can_connect(driver) {
            return;
        }
        self.connections += 1;
        let connection = self.connections;
        self.note(|| format!("driver {driver} has connection {connection}"));
        self.take(Node::Run, &Inbound::Connected { driver, connection });
        self.take(Node::Driver(driver), &Inbound::Connected { driver, connection });
    }
}
