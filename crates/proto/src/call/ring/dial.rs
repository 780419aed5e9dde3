//! The side that rings.
//!
//! | state | input | next |
//! |---|---|---|
//! | `Reaching` | in the room | `Seeking` for 10 s |
//! | `Seeking` | `line` whose key is the address | `Calling` for 45 s, tells `call` |
//! | `Seeking` | 10 s | `Over(Absent)` |
//! | `Calling` | `answer`: `ringing`, signature right | `Calling`, it rings |
//! | `Calling` | any other `answer`, signature right | `Over` |
//! | `Calling` | the line leaves, or this side is in the room anew | `Seeking` for 10 s |
//! | `Calling` | 45 s since it was first called | `Over(Unanswered)` |
//! | `Over` | anything | stays |

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Address, Answer, Message, Nonces, RINGS};
use crate::call::message::NAME_CHARS_MAX;
use crate::call::text;
use crate::call::verify::Bytes32;
use crate::call::verify::identity::{Identity, Key};
use crate::signaling::{PeerId, RoomName};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go to this room.
    Accepted(RoomName),
    /// Not wanted.
    Declined,
    /// In another call.
    Busy,
    /// It rang, and nobody answered.
    Unanswered,
    /// Nobody waits there to be rung.
    Absent,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On the way to the server.
    Reaching,
    /// Nobody is there yet.
    Seeking,
    /// Somebody is there, and has been called.
    Calling,
    /// It rings.
    Ringing,
    /// It is over.
    Over(Outcome),
}

/// A call to somebody's line.
#[derive(Debug)]
pub struct Dial {
    identity: Identity,
    address: Address,
    name: String,
    nonce: Bytes32,
    state: State,
    /// Then it has rung long enough, however often the line went and came back.
    gives_up: Option<Instant>,
    // One for each message received at most; emptied by the owner after each.
    outgoing: VecDeque<(PeerId, Message)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Reaching,
    Seeking { until: Instant },
    Calling { line: PeerId, key: Key, nonces: Nonces, rings: bool },
    Over(Outcome),
}

impl Dial {
    /// A call to this line, by who has this identity and name; `nonce` are 32 random bytes.
    pub fn new(address: Address, identity: Identity, name: &str, nonce: [u8; 32]) -> Self {
        Self {
            identity,
            address,
            name: text::line(name, NAME_CHARS_MAX),
            nonce: Bytes32(nonce),
            state: State::Reaching,
            gives_up: None,
            outgoing: VecDeque::new(),
        }
    }

    /// This side is in the room, for the first time or under a new id.
    pub fn handle_joined(&mut self, now: Instant) {
        match self.state {
            State::Reaching | State::Calling { .. } => self.state = State::Seeking { until: now + ABSENT },
            State::Seeking { .. } | State::Over(_) => {}
        }
    }

    /// Somebody has gone.
    pub fn handle_peer_left(&mut self, peer: PeerId, now: Instant) {
        match self.state {
            State::Calling { line, .. } if line == peer => {
                self.state = State::Seeking { until: now + ABSENT }
            }
            State::Reaching | State::Seeking { .. } | State::Calling { .. } | State::Over(_) => {}
        }
    }

    /// Somebody has said something.
    pub fn handle_message(&mut self, from: PeerId, message: &Message, now: Instant) {
        match (&mut self.state, message) {
            (State::Seeking { .. }, Message::Line { key, nonce }) if Address::of(key) == self.address => {
                let nonces = Nonces { line: *nonce, caller: self.nonce };
                let message = Message::Call {
                    name: self.name.clone(),
                    key: self.identity.key(),
                    nonce: self.nonce,
                    signature: self.identity.sign(&nonces.call(&self.address, &self.name)),
                };
                self.gives_up.get_or_insert(now + RINGS);
                self.state = State::Calling { line: from, key: *key, nonces, rings: false };
                self.outgoing.push_back((from, message));
            }
            (State::Calling { line, key, nonces, rings }, Message::Answer { answer, signature })
                if *line == from && key.has_signed(&nonces.answer(answer), signature) =>
            {
                let outcome = match answer {
                    Answer::Ringing => {
                        *rings = true;
                        return;
                    }
                    Answer::Busy => Outcome::Busy,
                    Answer::Declined => Outcome::Declined,
                    Answer::Unanswered => Outcome::Unanswered,
                    Answer::Accepted { room } => Outcome::Accepted(room.clone()),
                };
                self.state = State::Over(outcome);
            }
            (
                State::Reaching | State::Seeking { .. } | State::Calling { .. } | State::Over(_),
                Message::Line { .. } | Message::Call { .. } | Message::Answer { .. },
            ) => {}
        }
    }

    /// When [`Dial::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Reaching | State::Over(_) => None,
            State::Seeking { until } => Some(self.gives_up.map_or(until, |at| at.min(until))),
            State::Calling { .. } => self.gives_up,
        }
    }

    /// Gives up when it is time to.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.gives_up.is_some_and(|at| at <= now) && !matches!(self.state, State::Over(_)) {
            self.state = State::Over(Outcome::Unanswered);
        } else if let State::Seeking { until } = self.state
            && until <= now
        {
            self.state = State::Over(Outcome::Absent);
        }
    }

    /// The next message to send, and to whom.
    pub fn poll_message(&mut self) -> Option<(PeerId, Message)> {
        self.outgoing.pop_front()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        match &self.state {
            State::Reaching => Progress::Reaching,
            State::Seeking { .. } => Progress::Seeking,
            State::Calling { rings: false, .. } => Progress::Calling,
            State::Calling { rings: true, .. } => Progress::Ringing,
            State::Over(outcome) => Progress::Over(outcome.clone()),
        }
    }

    /// Who was called.
    pub const fn line(&self) -> Option<PeerId> {
        match self.state {
            State::Calling { line, .. } => Some(line),
            State::Reaching | State::Seeking { .. } | State::Over(_) => None,
        }
    }
}

/// A line greets within a round trip, and one that changes servers or networks is back within this time
/// (`signaling::backoff`: 5 s at most, and the handshakes).
const ABSENT: Duration = Duration::from_secs(10);
