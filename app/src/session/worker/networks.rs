//! What the system tells of its networks. Asking it is some calls to the kernel, and a relay's name may have to be looked
//! up: threads that may wait do that, and the task, which also carries telemetry, reads what they told last.
//!
//! | asked | again |
//! |---|---|
//! | the interfaces, and by which of them packets leave | once a second, and at once when the main connection's addresses are others |
//! | a relay's address | when it is another relay, and 30 s after a name was not found |

use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use farwheel_peer::{CandidateType, Interface, Stats};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// From where to where packets travel, as far as the system is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    local: IpAddr,
    /// `None`: not known.
    remote: Option<IpAddr>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// None before the first answer.
    told: Option<Told>,
    asked: Option<(Option<Route>, Instant)>,
    // One question at a time.
    answer: Option<oneshot::Receiver<Told>>,
    relay: Option<Relay>,
}

#[derive(Debug)]
struct Told {
    interfaces: Vec<Interface>,
    route: Option<Route>,
    /// The network that packets of this route leave by.
    network: Option<String>,
}

/// A relay whose name was looked up.
#[derive(Debug)]
struct Relay {
    host: String,
    at: Instant,
    addresses: Arc<OnceLock<Vec<IpAddr>>>,
}

impl Networks {
    /// The route of a connection with these figures; none while it is not known.
    pub(super) fn route(&mut self, stats: &Stats, now: Instant) -> Option<Route> {
        let local = stats.local_address?;
        if stats.pair?.local != CandidateType::Relayed {
            return Some(Route { local, remote: stats.remote_address });
        }
        // Beyond an own relay is not where the packets leave for.
        let relay = self.relay(stats.relay_host.as_deref()?, local, now)?;
        Some(Route { local, remote: Some(relay) })
    }

    /// Takes what was told, and asks if that is due.
    pub(super) fn refresh(&mut self, route: Option<Route>, now: Instant) {
        if let Some(answer) = &mut self.answer {
            match answer.try_recv() {
                Ok(told) => self.told = Some(told),
                Err(TryRecvError::Empty) => return,
                // The runtime ends.
                Err(TryRecvError::Closed) => {}
            }
            self.answer = None;
        }
        if self.is_due(route, now) {
            let (answer, told) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                // An error means that nobody wants to know any more.
                answer.send(Told::ask(route)).ok();
            });
            (self.asked, self.answer) = (Some((route, now)), Some(told));
        }
    }

    /// The interfaces there are.
    pub(super) fn interfaces(&self) -> &[Interface] {
        self.told.as_ref().map_or(&[], |told| &told.interfaces)
    }

    /// Whether an answer about this route has come.
    pub(super) fn is_told(&self, route: Option<Route>) -> bool {
        self.told.as_ref().is_some_and(|told| told.route == route)
    }

    /// The network that packets of a route leave by; none while it is not known.
    pub(super) fn network(&self, route: Option<Route>) -> Option<&str> {
        self.told.as_ref().filter(|told| told.route == route)?.network.as_deref()
    }

    fn is_due(&self, route: Option<Route>, now: Instant) -> bool {
        self.asked.is_none_or(|(asked, at)| asked != route || now.saturating_duration_since(at) >= ASK_EVERY)
    }

    /// The address of a relay that is reached from `local`; none until it is known.
    fn relay(&mut self, host: &str, local: IpAddr, now: Instant) -> Option<IpAddr> {
        if let Ok(address) = host.parse() {
            return Some(address);
        }
        let is_of_use = |known: &&Relay| {
            let has_failed = known.addresses.get().is_some_and(Vec::is_empty);
            known.host == host && !(has_failed && now.saturating_duration_since(known.at) >= LOOK_UP_AGAIN)
        };
        let Some(known) = self.relay.as_ref().filter(is_of_use) else {
            let (host, addresses) = (host.to_owned(), Arc::<OnceLock<_>>::default());
            self.relay = Some(Relay { host: host.clone(), at: now, addresses: Arc::clone(&addresses) });
            tokio::task::spawn_blocking(move || {
                let found = (host.as_str(), 0).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect());
                addresses.set(found.unwrap_or_default()).expect("nobody else sets it");
            });
            return None;
        };
        known.addresses.get()?.iter().copied().find(|ip| ip.is_ipv4() == local.is_ipv4())
    }
}

impl Told {
    fn ask(route: Option<Route>) -> Self {
        let network = route.and_then(|route| farwheel_peer::interface_towards(route.local, route.remote));
        Self { interfaces: farwheel_peer::interfaces(), route, network }
    }
}

/// Interfaces come and go at the pace of hands.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// From a name that was not found to another look.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use farwheel_peer::SelectedPair;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn stats(local: CandidateType, relay_host: Option<&str>) -> Stats {
        let pair = SelectedPair { local, remote: CandidateType::Host, relay: None };
        Stats {
            pair: Some(pair),
            local_address: Some(HERE),
            remote_address: Some([192, 0, 2, 1].into()),
            relay_host: relay_host.map(Into::into),
            ..Stats::default()
        }
    }

    fn towards(remote: [u8; 4]) -> Option<Route> {
        Some(Route { local: HERE, remote: Some(remote.into()) })
    }

    /// Lets the question that is under way be answered.
    async fn settle(networks: &mut Networks) {
        let answer = networks.answer.take().expect("a question is under way");
        networks.told = Some(answer.await.expect("an answer"));
    }

    #[tokio::test]
    async fn the_system_is_asked_once_a_second_and_at_once_about_another_route() {
        let start = Instant::now();
        let mut networks = Networks::default();
        networks.refresh(towards([127, 0, 0, 1]), start);
        assert!(!networks.is_told(towards([127, 0, 0, 1])), "it is not waited for");
        settle(&mut networks).await;
        if cfg!(target_os = "linux") {
            assert_eq!(networks.network(towards([127, 0, 0, 1])), Some("lo"));
        }
        // An answer is about the route that was asked about.
        let told =
            [towards([127, 0, 0, 1]), towards([127, 0, 0, 2]), None].map(|route| networks.is_told(route));
        assert_eq!(told, [true, false, false]);
        assert_eq!(networks.network(towards([127, 0, 0, 2])), None);
        assert_eq!(networks.network(None), None);
        for (route, ms, want) in [
            (towards([127, 0, 0, 1]), 999, false),
            (towards([127, 0, 0, 1]), 1000, true),
            (towards([127, 0, 0, 2]), 0, true),
            (None, 0, true),
        ] {
            assert_eq!(
                networks.is_due(route, start + Duration::from_millis(ms)),
                want,
                "{route:?} after {ms} ms"
            );
        }
        // While one question is under way there is no second one.
        networks.refresh(None, start);
        networks.refresh(towards([127, 0, 0, 1]), start);
        assert!(networks.asked.is_some_and(|(asked, _)| asked.is_none() || networks.answer.is_none()));
    }

    #[tokio::test]
    async fn a_relayed_path_leaves_towards_its_relay_and_where_that_is_unknown_so_is_the_route() {
        let now = Instant::now();
        let mut networks = Networks::default();
        for (stats, want) in [
            (stats(CandidateType::Host, None), towards([192, 0, 2, 1])),
            (stats(CandidateType::Relayed, Some("198.51.100.7")), towards([198, 51, 100, 7])),
            (stats(CandidateType::Relayed, None), None),
            (Stats { pair: None, ..stats(CandidateType::Host, None) }, None),
            (Stats { local_address: None, ..stats(CandidateType::Host, None) }, None),
        ] {
            assert_eq!(networks.route(&stats, now), want, "{stats:?}");
        }
    }

    #[tokio::test]
    async fn a_relays_name_is_looked_up_once_and_a_name_that_was_not_found_again_later() {
        let now = Instant::now();
        let mut networks = Networks::default();
        let named = stats(CandidateType::Relayed, Some("localhost"));
        assert_eq!(networks.route(&named, now), None, "it is not waited for");
        let addresses = Arc::clone(&networks.relay.as_ref().expect("it is looked up").addresses);
        let looked = tokio::task::spawn_blocking(move || addresses.wait().clone());
        assert!(looked.await.expect("no panic").contains(&HERE));
        assert_eq!(networks.route(&named, now + Duration::from_secs(3600)), towards([127, 0, 0, 1]));
        assert_eq!(networks.relay.as_ref().map(|relay| relay.at), Some(now));

        let nothing = Arc::new(OnceLock::from(Vec::new()));
        networks.relay = Some(Relay { host: "relay.invalid".into(), at: now, addresses: nothing });
        let unknown = stats(CandidateType::Relayed, Some("relay.invalid"));
        for (passed, looked_up_at) in
            [(LOOK_UP_AGAIN - Duration::from_millis(1), now), (LOOK_UP_AGAIN, now + LOOK_UP_AGAIN)]
        {
            assert_eq!(networks.route(&unknown, now + passed), None);
            assert_eq!(networks.relay.as_ref().map(|relay| relay.at), Some(looked_up_at));
        }
    }
}
