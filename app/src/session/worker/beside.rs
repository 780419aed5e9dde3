//! The second connection: built and closed as [`SecondPath`] decides.
//!
//! [`SecondPath`]: crate::session::second_path::SecondPath

use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_peer::{
    Bind, Channel, Config, ConnId, Connection, Event, Failure, LinkState, Manners, Media, Signal, SignalKind,
};
use farwheel_proto::control::Telemetry;
use farwheel_proto::control::event::ControlPaths;

use super::vouched::Vouched;
use super::{Link, Worker};
use crate::model::settings::Paths;
use crate::session::hands::lock;
use crate::session::second_path::{Action, Facts, Main, Way};

impl Worker {
    /// Looks after the second path, now and then.
    pub(super) fn look_after_paths(&mut self, now: Instant) {
        if self.hands.is_none()
            || self.looked_at.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY)
        {
            return;
        }
        self.looked_at = Some(now);
        let facts = self.facts(now);
        if let Some(beside) = &self.beside {
            let stats = beside.connection.stats();
            self.second_path.handle_path(stats.pair, stats.local_address, &facts, now);
            self.change(|status| status.why.handle_beside(stats.bytes_received, stats.bitrate_in));
        } else {
            self.change(|status| status.why.handle_beside(0, 0.0));
        }
        self.second_path.handle_facts(&facts, now);
        self.follow_second_path();
    }

    /// Takes what the second connection says.
    pub(super) fn handle_beside(&mut self, event: Option<Event>, now: Instant) {
        match event {
            None => {
                // It ended without a word: as if it had failed.
                self.second_path.handle_link(&LinkState::Failed(Failure::Silence), rand::random(), now);
                self.close_beside();
            }
            Some(Event::Signal(signal)) => {
                if signal.kind == SignalKind::Offer
                    && let Some(fingerprint) = signal.fingerprint()
                {
                    self.dialogue.announce_second_path(fingerprint);
                }
                if let Some(beside) = &self.beside {
                    self.client.send(beside.robot, signal);
                }
            }
            Some(Event::State(state)) => {
                tracing::info!(?state, "second path");
                if let (LinkState::Connected, Some(hands), Some(beside)) = (&state, &self.hands, &self.beside)
                {
                    hands.set_beside(Some(Arc::clone(&beside.connection)));
                }
                self.second_path.handle_link(&state, rand::random(), now);
            }
            Some(Event::Message { channel: Channel::Telemetry, data }) => match Telemetry::decode(&data) {
                Ok(Telemetry::Fast(fast)) => self.handle_fast(fast, now),
                Ok(Telemetry::Slow(_)) => {}
                Err(e) => tracing::debug!(error = %e, "telemetry of the second path not understood"),
            },
            Some(
                Event::Message { channel: Channel::Control | Channel::Event | Channel::File, .. }
                | Event::KeyframeRequested(_),
            ) => {}
        }
        self.follow_second_path();
    }

    /// Takes what the robot says on its own connection of the second one's certificate.
    pub(super) fn handle_announced(&mut self, fingerprint: &str) {
        if let (Some(signal), Some(beside)) = (self.vouched.handle_announced(fingerprint), &self.beside) {
            beside.connection.handle_signal(signal);
        }
    }

    pub(super) fn close_beside(&mut self) {
        if let Some(hands) = &self.hands {
            hands.set_beside(None);
        }
        if let Some(Link { robot, connection, .. }) = self.beside.take() {
            // Its own goodbye has no reader any more.
            self.client.send(robot, Signal::bye(connection.conn()));
            tokio::spawn(async move { connection.close().await });
        }
    }

    fn facts(&mut self, now: Instant) -> Facts {
        let link = self.link.as_ref().filter(|_| self.is_linked());
        let stats = link.map(|link| (link.connection.conn(), link.connection.stats()));
        let route = stats.as_ref().and_then(|(_, stats)| self.networks.route(stats, now));
        if self.second_path.wish() != Paths::One {
            self.networks.refresh(route, now);
        }
        let main = stats.map(|(conn, stats)| {
            let network = self.networks.network(route).map(str::to_owned);
            // Not known before the system was asked: what its network is decides on the best way.
            let pair = stats.pair.filter(|_| self.networks.is_told(route));
            Main { conn, pair, network }
        });
        let robot = self.dialogue.welcome().map(|welcome| welcome.control_paths);
        Facts {
            // It is too early for a second one before the robot has said what it takes.
            main: main.filter(|_| robot.is_some()),
            robot: robot.unwrap_or(ControlPaths::One),
            is_signaling: lock(&self.shared.status).signaling,
            interfaces: self.networks.interfaces().to_vec(),
            has_relay: self
                .ice_servers
                .iter()
                .flat_map(|server| &server.urls)
                .any(|url| url.starts_with("turn")),
        }
    }

    fn follow_second_path(&mut self) {
        while let Some(action) = self.second_path.poll_action() {
            match action {
                Action::Close => self.close_beside(),
                Action::Open { beside, way } => self.open_beside(beside, &way),
            }
        }
        let (line, name) =
            (self.second_path.line(), self.second_path.standing().map(|way| way.name().to_owned()));
        self.change(|status| (status.control, status.second_path) = (line, name));
    }

    fn open_beside(&mut self, main: ConnId, way: &Way) {
        let (Some(own_id), Some(link)) = (self.own_id, &self.link) else { return };
        let bind = match way {
            Way::Interface(name) => Bind::Interface(name.clone()),
            Way::Relay => self.config.bind.clone(),
        };
        let config = Config::offer(Media::None, Manners::between(own_id, link.robot))
            .with_beside(main)
            .with_ice_servers(self.ice_servers.clone())
            .with_candidates(way.candidates(self.config.candidates))
            .with_bind(bind)
            .with_ca(self.config.signaling.ca.clone());
        let (robot, first, name) = (link.robot, link.first, link.name.clone());
        tracing::info!(way = way.name(), "second path wanted");
        let (connection, events, _) = Connection::open(config);
        self.close_beside();
        self.vouched = Vouched::default();
        self.beside = Some(Link { robot, first, name, connection: Arc::new(connection), events });
    }
}

/// Figures of connections are renewed as often.
const LOOK_EVERY: Duration = Duration::from_millis(250);
