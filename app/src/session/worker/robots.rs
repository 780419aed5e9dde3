//! The robots in the room, and which of them the server has given another id.

use std::collections::BTreeMap;

use farwheel_peer::signaling::{Peer, PeerId, Role};

/// The robots in the room, with their names.
#[derive(Debug, Default)]
pub(super) struct Robots(BTreeMap<PeerId, Option<String>>);

impl Robots {
    /// These are in the room, and nobody else.
    pub(super) fn handle_joined(&mut self, peers: &[Peer]) {
        self.0.clear();
        for peer in peers {
            self.handle_peer_joined(peer);
        }
    }

    /// Somebody came.
    pub(super) fn handle_peer_joined(&mut self, peer: &Peer) {
        if peer.role == Role::Robot {
            self.0.insert(peer.id, peer.name.clone());
        }
    }

    /// Somebody went.
    pub(super) fn handle_peer_left(&mut self, id: PeerId) {
        self.0.remove(&id);
    }

    /// A robot's name.
    pub(super) fn name(&self, id: PeerId) -> Option<String> {
        self.0.get(&id)?.clone()
    }

    /// What a robot is called now that was called `known`: if that is not in the room, it is taken to be the only one there
    /// with its name.
    pub(super) fn heir(&self, known: PeerId, name: Option<&str>) -> Option<PeerId> {
        let name = name.filter(|_| !self.0.contains_key(&known))?;
        let mut alike = self.0.iter().filter(|(_, other)| other.as_deref() == Some(name));
        match (alike.next(), alike.next()) {
            (Some((heir, _)), None) => Some(*heir),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u128, role: Role, name: Option<&str>) -> Peer {
        Peer {
            id: PeerId::new(id),
            role,
            name: name.map(Into::into),
            meta: serde_json::Value::Null,
            connected: true,
            moderator: false,
        }
    }

    fn robot(id: u128, name: &str) -> Peer {
        peer(id, Role::Robot, Some(name))
    }

    #[test]
    fn a_robot_that_is_gone_has_the_id_of_the_only_one_with_its_name() {
        let (known, name) = (PeerId::new(1), Some("car"));
        for (what, there, name, want) in [
            ("it is there", vec![robot(1, "car"), robot(2, "car")], name, None),
            ("it has another id", vec![robot(2, "car"), robot(3, "van")], name, Some(2)),
            ("two have its name", vec![robot(2, "car"), robot(3, "car")], name, None),
            ("none has it", vec![robot(3, "van")], name, None),
            ("a driver has it", vec![peer(2, Role::Driver, name)], name, None),
            ("it has no name", vec![peer(2, Role::Robot, None)], None, None),
            ("nobody is there", vec![], name, None),
        ] {
            let mut robots = Robots::default();
            robots.handle_joined(&there);
            assert_eq!(robots.heir(known, name), want.map(PeerId::new), "{what}");
        }
    }

    #[test]
    fn who_comes_and_goes_counts() {
        let (known, name) = (PeerId::new(1), Some("car"));
        let mut robots = Robots::default();
        robots.handle_joined(&[robot(1, "car")]);
        assert_eq!(robots.name(known).as_deref(), name);
        // The server has started again, and the driver was there first.
        robots.handle_joined(&[]);
        assert_eq!(robots.heir(known, name), None);
        robots.handle_peer_joined(&robot(2, "car"));
        assert_eq!(robots.heir(known, name), Some(PeerId::new(2)));
        robots.handle_peer_left(PeerId::new(2));
        assert_eq!(robots.heir(known, name), None);
    }
}
