//! When commands travel on a second path, and on which: a connection beside the main one, without video.
//!
//! | setting | ways that may be tried, in this order |
//! |---|---|
//! | one | none |
//! | auto | the other networks of this computer: their packets share nothing with the main path before the robot |
//! | two | these, then a relay, if the main path has none: it leaves by the same network, and takes another way from there |
//!
//! | state | input | next |
//! |---|---|---|
//! | idle, resting until a time | a way, main connection and server there | `Open`, connecting |
//! | connecting | connected | standing |
//! | connecting, standing | failed | `Close`, resting: 1 s doubling to 30 s, with jitter |
//! | standing | nothing is heard, is heard again | standing; commands go on by it, and the driver is told |
//! | connecting, standing | the main connection is another one, or none; the way may not be used any more | `Close`, idle |
//! | connecting, standing | by which network the main connection goes is not known | stays, while its own is there |
//! | standing | it shows that it takes the main path | `Close`, resting for 30 s |
//! | resting | other networks than before | idle |

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use farwheel_peer::{CandidatePolicy, CandidateType, ConnId, Interface, LinkState, Medium, SelectedPair};
use farwheel_proto::control::event::ControlPaths;

use crate::model::settings::Paths;

/// What is known of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The connection with the video, while there is one that has stood.
    pub main: Option<Main>,
    /// What the robot takes.
    pub robot: ControlPaths,
    /// Whether the signalling server is reachable: without it there is no way to connect.
    pub is_signaling: bool,
    /// This computer's networks.
    pub interfaces: Vec<Interface>,
    /// Whether a relay is known.
    pub has_relay: bool,
}

/// The connection with the video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Main {
    /// Its id.
    pub conn: ConnId,
    /// How its packets travel.
    pub pair: Option<SelectedPair>,
    /// The network that they leave by.
    pub network: Option<String>,
}

/// A second way to the robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By this interface of the computer.
    Interface(String),
    /// By a relay.
    Relay,
}

impl Way {
    /// As the driver reads it.
    pub fn name(&self) -> &str {
        match self {
            Self::Interface(name) => name,
            Self::Relay => "relay",
        }
    }

    /// Which candidates it may have, where the main path may have `main`.
    pub const fn candidates(&self, main: CandidatePolicy) -> CandidatePolicy {
        match self {
            Self::Interface(_) => main,
            Self::Relay => CandidatePolicy::RelayOnly,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Build a connection beside this one, by that way.
    Open {
        /// The connection with the video.
        beside: ConnId,
        /// Which way.
        way: Way,
    },
    /// Close it.
    Close,
}

/// Why there is no second path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// Nobody wants one, or it is too early to tell.
    Nothing,
    Robot,
    SameComputer,
    Tunnel,
    OneNetwork,
    NoOther,
    Relayed,
    /// This one does not get through.
    Fails(Way),
    /// This one turned out to be the main path.
    Same(Way),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle(Why),
    Resting { why: Why, until: Instant },
    Connecting { beside: ConnId, way: Way },
    Standing { beside: ConnId, way: Way, since: Instant, hearing: Hearing },
}

/// Whether the robot is heard on a path that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    Yes,
    Nothing,
}

/// Decides on the second path.
#[derive(Debug)]
pub struct SecondPath {
    wish: Paths,
    state: State,
    /// Attempts that failed since one stood for a while.
    failures: u32,
    interfaces: Vec<String>,
    /// The main path's network, as the driver reads it.
    main: String,
    // At most a close and an open wait; they are carried out after each input.
    actions: VecDeque<Action>,
}

impl SecondPath {
    /// None yet.
    pub fn new(wish: Paths) -> Self {
        Self {
            wish,
            state: State::Idle(Why::Nothing),
            failures: 0,
            interfaces: Vec::new(),
            main: "direct".to_owned(),
            actions: VecDeque::new(),
        }
    }

    /// What the driver wants, from here on.
    pub fn set_wish(&mut self, wish: Paths) {
        if self.wish != wish {
            self.wish = wish;
            self.failures = 0;
            if let State::Resting { .. } = self.state {
                self.state = State::Idle(Why::Nothing);
            }
        }
    }

    /// What the driver wants.
    pub const fn wish(&self) -> Paths {
        self.wish
    }

    /// Takes what is known at `now`.
    pub fn handle_facts(&mut self, facts: &Facts, now: Instant) {
        if let Some(name) = facts.main.as_ref().and_then(|main| main.network.as_ref()) {
            self.main.clone_from(name);
        }
        let names: Vec<String> = facts.interfaces.iter().map(|one| one.name.clone()).collect();
        let is_elsewhere = self.interfaces != names;
        self.interfaces = names;
        let ways = self.ways(facts);
        match &self.state {
            State::Connecting { beside, way } | State::Standing { beside, way, .. } => {
                let stays = facts.main.as_ref().is_some_and(|main| {
                    main.conn == *beside && (is_among(&ways, way) || self.outlasts(way, main, facts, &ways))
                });
                if !stays {
                    self.end(ways.err().unwrap_or(Why::Nothing));
                } else if let State::Standing { since, .. } = self.state
                    && now.saturating_duration_since(since) >= PROVEN
                {
                    self.failures = 0;
                }
            }
            State::Resting { until, .. } if now < *until && !is_elsewhere && ways.is_ok() => {}
            State::Resting { .. } | State::Idle(_) => {
                if is_elsewhere {
                    self.failures = 0;
                }
                self.begin(facts, ways);
            }
        }
    }

    /// Takes the state of the second connection; `random` is in 0..1.
    pub fn handle_link(&mut self, link: &LinkState, random: f64, now: Instant) {
        match (link, &self.state) {
            (LinkState::Connected, State::Connecting { beside, way }) => {
                let (beside, way) = (*beside, way.clone());
                self.state = State::Standing { beside, way, since: now, hearing: Hearing::Yes };
            }
            // Silence may pass.
            (LinkState::Connected | LinkState::Disconnected, State::Standing { .. }) => {
                let heard = if *link == LinkState::Connected { Hearing::Yes } else { Hearing::Nothing };
                if let State::Standing { hearing, .. } = &mut self.state {
                    *hearing = heard;
                }
            }
            (LinkState::Failed(_), State::Connecting { way, .. } | State::Standing { way, .. }) => {
                let why = Why::Fails(way.clone());
                let pause = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
                self.failures = self.failures.saturating_add(1);
                self.actions.push_back(Action::Close);
                // Half of it at least: what just failed is not tried again at once.
                self.state =
                    State::Resting { why, until: now + pause.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0) };
            }
            // One that was given up has nothing to say.
            (
                LinkState::Connecting | LinkState::Connected | LinkState::Disconnected | LinkState::Failed(_),
                State::Idle(_) | State::Resting { .. } | State::Connecting { .. } | State::Standing { .. },
            ) => {}
        }
    }

    /// Takes how the second connection's packets travel: it may have found its way to the main path.
    pub fn handle_path(
        &mut self,
        pair: Option<SelectedPair>,
        address: Option<IpAddr>,
        facts: &Facts,
        now: Instant,
    ) {
        let State::Standing { way, .. } = &self.state else { return };
        let is_same = match way {
            Way::Interface(name) => network_of(address, facts).is_some_and(|network| network != *name),
            Way::Relay => pair.is_some_and(|pair| !is_relayed(pair)),
        };
        if is_same {
            let why = Why::Same(way.clone());
            self.actions.push_back(Action::Close);
            self.failures = self.failures.saturating_add(1);
            self.state = State::Resting { why, until: now + LONGEST };
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The second way, while it stands and the robot is heard on it.
    pub fn standing(&self) -> Option<&Way> {
        match &self.state {
            State::Standing { way, hearing: Hearing::Yes, .. } => Some(way),
            State::Standing { hearing: Hearing::Nothing, .. }
            | State::Idle(_)
            | State::Resting { .. }
            | State::Connecting { .. } => None,
        }
    }

    /// How commands travel, in one line; none where there is nothing to say.
    pub fn line(&self) -> Option<String> {
        let one = |why: &str| Some(format!("Control on one path: {why}."));
        match &self.state {
            State::Standing { way, hearing: Hearing::Yes, .. } => {
                Some(format!("Control on two paths: {} and {}.", self.main, way.name()))
            }
            State::Standing { way, hearing: Hearing::Nothing, .. } => {
                one(&format!("nothing is heard on {}", way.name()))
            }
            State::Connecting { way, .. } => one(&format!("trying {} as a second one", way.name())),
            State::Idle(why) | State::Resting { why, .. } => match why {
                Why::Nothing => None,
                Why::Robot => one("the robot takes no second one"),
                Why::SameComputer => one("the robot is on this computer"),
                Why::Tunnel => one("it runs through a VPN"),
                Why::OneNetwork => one("this computer is in one network"),
                Why::NoOther => one("there is neither a second network nor a relay"),
                Why::Relayed => one("there is no second network, and it is relayed already"),
                Why::Fails(way) => one(&format!("{} does not get through", way.name())),
                Why::Same(way) => one(&format!("{} turned out to be the same", way.name())),
            },
        }
    }

    fn begin(&mut self, facts: &Facts, ways: Result<Vec<Way>, Why>) {
        match (ways, &facts.main) {
            (Ok(mut ways), Some(main)) if facts.is_signaling => {
                let way = ways.swap_remove(self.failures as usize % ways.len());
                self.actions.push_back(Action::Open { beside: main.conn, way: way.clone() });
                self.state = State::Connecting { beside: main.conn, way };
            }
            (Ok(_), _) => self.state = State::Idle(Why::Nothing),
            (Err(why), _) => self.state = State::Idle(why),
        }
    }

    fn end(&mut self, why: Why) {
        self.actions.push_back(Action::Close);
        self.failures = 0;
        self.state = State::Idle(why);
    }

    /// The ways that may be tried, at least one, the best first.
    fn ways(&self, facts: &Facts) -> Result<Vec<Way>, Why> {
        let Some(Main { pair: Some(pair), network, .. }) = &facts.main else { return Err(Why::Nothing) };
        if self.wish == Paths::One {
            return Err(Why::Nothing);
        }
        if facts.robot == ControlPaths::One {
            return Err(Why::Robot);
        }
        if network.as_ref().is_some_and(|name| LOOPBACK.contains(&name.as_str())) {
            return Err(Why::SameComputer);
        }
        let own = network_named(network.as_deref(), facts);
        let is_tunnel = own.is_some_and(|own| own.medium == Medium::Tunnel);
        // What is beneath a tunnel is not known, nor where an unknown address is.
        let mut others: Vec<&Interface> = match own {
            Some(own) if !is_tunnel => facts.interfaces.iter().filter(|one| one.name != own.name).collect(),
            Some(_) | None => Vec::new(),
        };
        others.retain(|one| leads_out(one));
        others.sort_by_key(|one| one.route);
        let mut ways: Vec<Way> = others.into_iter().map(|one| Way::Interface(one.name.clone())).collect();
        if self.wish == Paths::Two && facts.has_relay && !is_relayed(*pair) {
            ways.push(Way::Relay);
        }
        if !ways.is_empty() {
            return Ok(ways);
        }
        Err(match self.wish {
            Paths::One | Paths::Auto | Paths::Two if own.is_none() => Why::Nothing,
            Paths::Two if is_relayed(*pair) => Why::Relayed,
            Paths::Two => Why::NoOther,
            Paths::One | Paths::Auto if is_tunnel => Why::Tunnel,
            Paths::One | Paths::Auto => Why::OneNetwork,
        })
    }

    /// Whether a way that was begun goes on because too little is known of the main path to say that it is a wrong one:
    /// in search of another path, that has no pair of addresses, or none of this computer's networks.
    fn outlasts(&self, way: &Way, main: &Main, facts: &Facts, ways: &Result<Vec<Way>, Why>) -> bool {
        let is_known = main.pair.is_some() && network_named(main.network.as_deref(), facts).is_some();
        match ways {
            Ok(_) | Err(Why::Nothing) if !is_known => {}
            Ok(_) | Err(_) => return false,
        }
        match (self.wish, way) {
            (Paths::Auto | Paths::Two, Way::Interface(name)) => {
                network_named(Some(name), facts).is_some_and(leads_out)
            }
            // Beside a relayed path another relay would be no other way.
            (Paths::Two, Way::Relay) => main.pair.is_none(),
            (Paths::Auto, Way::Relay) | (Paths::One, _) => false,
        }
    }
}

fn is_among(ways: &Result<Vec<Way>, Why>, way: &Way) -> bool {
    ways.as_ref().is_ok_and(|ways| ways.contains(way))
}

fn network_named<'a>(name: Option<&str>, facts: &'a Facts) -> Option<&'a Interface> {
    facts.interfaces.iter().find(|one| name == Some(&one.name))
}

/// Whether packets that leave by it are on a way of their own.
fn leads_out(one: &Interface) -> bool {
    one.medium == Medium::Device && one.route.is_some()
}

fn is_relayed(pair: SelectedPair) -> bool {
    [pair.local, pair.remote].contains(&CandidateType::Relayed)
}

fn network_of(address: Option<IpAddr>, facts: &Facts) -> Option<String> {
    let address = address?;
    let found = facts.interfaces.iter().find(|one| one.addresses.contains(&address));
    found.map(|one| one.name.clone())
}

/// As Linux and others call it.
const LOOPBACK: [&str; 2] = ["lo", "lo0"];
/// Pause after the first failure; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// One that has stood for so long has not failed again when it fails.
const PROVEN: Duration = Duration::from_secs(10);
