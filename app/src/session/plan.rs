//! When to connect to which robot: the app's side of "connects by itself, and again".
//!
//! | state | input | next |
//! |---|---|---|
//! | any but linked | joined, a robot is there | offer, `Connecting` (the newcomer offers) |
//! | not linked | a robot joins | `Awaiting` its offer, own offer after 1.5 s |
//! | any but a healthy link to another robot | offer from a robot | answer, `Connecting` |
//! | healthy link to another robot | offer from a robot | kept until that link falls silent |
//! | `Connecting`, `Linked` | link connected / disconnected | `Linked` |
//! | `Connecting`, `Linked` | link failed, robot in the room | `Retrying`, then offer |
//! | `Connecting`, `Linked` | link failed, robot gone | `Searching` |
//! | `Connecting`, `Awaiting`, `Retrying` | that robot leaves | `Searching` |
//! | `Linked` | that robot leaves the room | stays: media outlive signalling |

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_peer::signaling::PeerId;
use farwheel_peer::{ConnId, LinkState};

/// What happens outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// In the room, these robots are there.
    Joined {
        /// Their peer ids.
        robots: Vec<PeerId>,
    },
    /// A robot came.
    RobotJoined(PeerId),
    /// Somebody went.
    PeerLeft(PeerId),
    /// An offer that does not belong to the connection under way.
    Offer {
        /// Who offers.
        from: PeerId,
        /// Under which connection id.
        conn: ConnId,
    },
    /// The connection under way changed.
    Link(LinkState),
    /// Telemetry or a picture arrived.
    Heard,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the connection, if there is one.
    Close,
    /// Build a connection and offer.
    Offer {
        /// To whom.
        to: PeerId,
    },
    /// Build a connection with this id and hand it the offer.
    Answer {
        /// Whose offer.
        from: PeerId,
        /// Its connection id.
        conn: ConnId,
    },
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No robot in the room.
    Searching,
    /// A robot came after us and offers soon.
    Awaiting {
        /// Which.
        robot: PeerId,
        /// Offer ourselves then.
        until: Instant,
    },
    /// A connection is being made.
    Connecting {
        /// To which robot.
        robot: PeerId,
    },
    /// Connected at least once; it may be silent at the moment.
    Linked {
        /// To which robot.
        robot: PeerId,
    },
    /// The last attempt failed.
    Retrying {
        /// With which robot.
        robot: PeerId,
        /// When.
        at: Instant,
    },
}

/// Decides when to connect to which robot.
#[derive(Debug)]
pub struct Plan {
    state: State,
    robots: Vec<PeerId>,
    attempts: u32,
    heard_at: Option<Instant>,
    pending: Option<(PeerId, ConnId)>,
    actions: VecDeque<Action>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            state: State::Searching,
            robots: Vec::new(),
            attempts: 0,
            heard_at: None,
            pending: None,
            actions: VecDeque::new(),
        }
    }
}

impl Plan {
    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Failed attempts since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Joined { robots } => {
                self.robots = robots;
                let linked = matches!(self.state, State::Linked { .. } | State::Connecting { .. });
                match self.robots.first().copied() {
                    Some(robot) if !linked => self.offer(robot),
                    None if !linked => self.state = State::Searching,
                    Some(_) | None => {}
                }
            }
            Input::RobotJoined(robot) => {
                if !self.robots.contains(&robot) {
                    self.robots.push(robot);
                }
                if matches!(self.state, State::Searching | State::Retrying { .. }) {
                    self.state = State::Awaiting { robot, until: now + OFFER_WAIT };
                }
            }
            Input::PeerLeft(peer) => {
                self.robots.retain(|robot| *robot != peer);
                self.pending.take_if(|(from, _)| *from == peer);
                match &self.state {
                    State::Connecting { robot } if *robot == peer => {
                        self.actions.push_back(Action::Close);
                        self.search(now);
                    }
                    State::Awaiting { robot, .. } | State::Retrying { robot, .. } if *robot == peer => {
                        self.search(now);
                    }
                    State::Searching
                    | State::Awaiting { .. }
                    | State::Connecting { .. }
                    | State::Linked { .. }
                    | State::Retrying { .. } => {}
                }
            }
            Input::Offer { from, conn } => {
                if !self.robots.contains(&from) {
                    self.robots.push(from);
                }
                match &self.state {
                    State::Linked { robot } if *robot != from && self.is_healthy(now) => {
                        self.pending = Some((from, conn));
                    }
                    State::Searching
                    | State::Awaiting { .. }
                    | State::Connecting { .. }
                    | State::Linked { .. }
                    | State::Retrying { .. } => self.answer(from, conn),
                }
            }
            Input::Link(link) => self.handle_link(link, now),
            Input::Heard => self.heard_at = Some(now),
        }
    }

    /// When [`Plan::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Awaiting { until, .. } => Some(*until),
            State::Retrying { at, .. } => Some(*at),
            State::Linked { .. } => self.pending.as_ref().and(self.heard_at).map(|at| at + SILENCE),
            State::Searching | State::Connecting { .. } => None,
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Awaiting { robot, until } if now >= until => self.offer(robot),
            State::Retrying { robot, at } if now >= at => self.offer(robot),
            State::Linked { .. } if !self.is_healthy(now) => self.answer_pending(),
            State::Awaiting { .. }
            | State::Retrying { .. }
            | State::Linked { .. }
            | State::Searching
            | State::Connecting { .. } => {}
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn handle_link(&mut self, link: LinkState, now: Instant) {
        let robot = match &self.state {
            State::Connecting { robot } | State::Linked { robot } => *robot,
            // A last word of a connection that was given up.
            State::Searching | State::Awaiting { .. } | State::Retrying { .. } => return,
        };
        match link {
            LinkState::Connecting => {}
            LinkState::Connected => {
                self.attempts = 0;
                self.heard_at = Some(now);
                self.state = State::Linked { robot };
            }
            LinkState::Disconnected => self.answer_pending(),
            LinkState::Failed(_) => {
                if self.pending.is_some() {
                    return self.answer_pending();
                }
                self.actions.push_back(Action::Close);
                if self.robots.contains(&robot) {
                    let at = now + backoff(self.attempts);
                    self.attempts = self.attempts.saturating_add(1);
                    self.state = State::Retrying { robot, at };
                } else {
                    self.search(now);
                }
            }
        }
    }

    fn is_healthy(&self, now: Instant) -> bool {
        self.heard_at.is_some_and(|at| now.saturating_duration_since(at) < SILENCE)
    }

    fn search(&mut self, now: Instant) {
        self.state = match self.robots.first().copied() {
            Some(robot) => State::Retrying { robot, at: now },
            None => State::Searching,
        };
    }

    fn offer(&mut self, to: PeerId) {
        self.pending = None;
        self.state = State::Connecting { robot: to };
        self.actions.extend([Action::Close, Action::Offer { to }]);
    }

    fn answer(&mut self, from: PeerId, conn: ConnId) {
        self.pending = None;
        self.state = State::Connecting { robot: from };
        self.actions.extend([Action::Close, Action::Answer { from, conn }]);
    }

    fn answer_pending(&mut self) {
        if let Some((from, conn)) = self.pending.take() {
            self.answer(from, conn);
        }
    }
}

fn backoff(attempts: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << attempts.min(8)).min(RETRY_MAX)
}

/// A robot that joined is given this long to offer; over LTE its offer takes half a second.
const OFFER_WAIT: Duration = Duration::from_millis(1500);
/// Telemetry comes every 50 ms: after six missing ones another robot's offer is taken.
const SILENCE: Duration = Duration::from_millis(300);
/// Pause before the first new attempt; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
const RETRY_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use farwheel_peer::Failure;

    use super::*;

    struct World {
        plan: Plan,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { plan: Plan::default(), now: Instant::now() }
        }

        /// Gives an input and returns what is to be done.
        fn give(&mut self, input: Input) -> Vec<Action> {
            self.plan.handle(input, self.now);
            std::iter::from_fn(|| self.plan.poll_action()).collect()
        }

        fn pass(&mut self, ms: u64) -> Vec<Action> {
            self.now += Duration::from_millis(ms);
            self.plan.handle_timeout(self.now);
            std::iter::from_fn(|| self.plan.poll_action()).collect()
        }

        fn linked(robots: &[&str]) -> Self {
            let mut world = Self::new();
            world.give(joined(robots));
            world.give(Input::Link(LinkState::Connected));
            world
        }
    }

    /// A peer id by the first letter of a name.
    fn id(name: &str) -> PeerId {
        PeerId::new(u128::from(name.as_bytes()[0]))
    }

    fn conn() -> ConnId {
        ConnId::new(1)
    }

    fn joined(robots: &[&str]) -> Input {
        Input::Joined { robots: robots.iter().map(|r| id(r)).collect() }
    }

    fn offer(from: &str) -> Input {
        Input::Offer { from: id(from), conn: conn() }
    }

    fn failed() -> Input {
        Input::Link(LinkState::Failed(Failure::Silence))
    }

    fn to_offer(to: &str) -> Vec<Action> {
        vec![Action::Close, Action::Offer { to: id(to) }]
    }

    fn to_answer(from: &str) -> Vec<Action> {
        vec![Action::Close, Action::Answer { from: id(from), conn: conn() }]
    }

    #[test]
    fn the_newcomer_offers_and_waits_for_a_robot_that_comes_later() {
        let mut world = World::new();
        assert_eq!(world.give(joined(&["r"])), to_offer("r"));

        let mut world = World::new();
        assert_eq!(world.give(joined(&[])), []);
        assert_eq!(world.give(Input::RobotJoined(id("r"))), []);
        assert_eq!(world.pass(1499), []);
        assert_eq!(world.give(offer("r")), to_answer("r"));

        let mut world = World::new();
        world.give(joined(&[]));
        world.give(Input::RobotJoined(id("r")));
        assert_eq!(world.pass(1500), to_offer("r"), "a robot that does not offer is offered to");
    }

    #[test]
    fn a_restarted_robot_is_answered_at_once() {
        let mut world = World::linked(&["old"]);
        world.give(Input::PeerLeft(id("old")));
        assert_eq!(*world.plan.state(), State::Linked { robot: id("old") }, "media outlive signalling");
        world.pass(400);
        world.give(Input::RobotJoined(id("new")));
        assert_eq!(world.give(offer("new")), to_answer("new"));
        assert_eq!(world.give(Input::Link(LinkState::Connected)), []);
        assert_eq!(*world.plan.state(), State::Linked { robot: id("new") });
    }

    #[test]
    fn a_second_robot_waits_until_the_first_falls_silent() {
        let mut world = World::linked(&["a"]);
        for _ in 0..20 {
            world.pass(50);
            world.give(Input::Heard);
            world.give(Input::RobotJoined(id("b")));
            assert_eq!(world.give(offer("b")), []);
        }
        assert_eq!(world.pass(299), []);
        assert_eq!(world.plan.poll_timeout(), Some(world.now + Duration::from_millis(1)));
        assert_eq!(world.pass(1), to_answer("b"));
    }

    #[test]
    fn a_failed_link_is_built_again_with_growing_pauses() {
        let mut world = World::linked(&["r"]);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(world.give(failed()), [Action::Close]);
            let at = world.plan.poll_timeout().expect("a retry is due");
            let pause = at - world.now;
            assert_eq!(world.pass(pause.as_millis() as u64 - 1), []);
            assert_eq!(world.pass(1), to_offer("r"));
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000]);
        world.give(Input::Link(LinkState::Connected));
        world.give(failed());
        assert_eq!(world.plan.poll_timeout(), Some(world.now + Duration::from_millis(200)));
    }

    #[test]
    fn a_link_to_a_robot_that_left_is_not_retried() {
        let mut world = World::linked(&["r"]);
        world.give(Input::PeerLeft(id("r")));
        assert_eq!(world.give(failed()), [Action::Close]);
        assert_eq!(*world.plan.state(), State::Searching);
        assert_eq!(world.plan.poll_timeout(), None);
    }

    #[test]
    fn an_attempt_ends_when_its_robot_leaves_and_goes_on_with_another() {
        let mut world = World::new();
        world.give(joined(&["a", "b"]));
        assert_eq!(world.give(Input::PeerLeft(id("a"))), [Action::Close]);
        assert_eq!(world.pass(0), to_offer("b"));
    }

    #[test]
    fn joining_again_after_a_signalling_loss_does_not_touch_a_link() {
        let mut world = World::linked(&["r"]);
        assert_eq!(world.give(joined(&["r"])), []);
        assert_eq!(world.give(joined(&[])), []);
        assert_eq!(*world.plan.state(), State::Linked { robot: id("r") });
    }

    #[test]
    fn a_late_word_of_a_given_up_connection_changes_nothing() {
        let mut world = World::linked(&["r"]);
        world.give(failed());
        let state = *world.plan.state();
        world.give(Input::Link(LinkState::Connected));
        world.give(failed());
        assert_eq!(*world.plan.state(), state);
    }
}
