//! The side that is rung.
//!
//! | state of a caller | input | answer, next |
//! |---|---|---|
//! | - | comes | `line`; `Greeted` |
//! | `Greeted` | `call`, signature wrong | nothing, stays |
//! | `Greeted` | `call`, somebody rings already or the user is occupied | `busy`; `Answered`, missed |
//! | `Greeted` | `call` | `ringing`; `Rings` |
//! | `Rings` | accepted | `accepted`; `Answered` |
//! | `Rings` | declined | `declined`; `Answered` |
//! | `Rings` | 45 s | `unanswered`; `Answered`, missed |
//! | `Rings` | leaves | gone, missed |
//! | `Answered` | anything but leaving | nothing, stays |

use std::collections::VecDeque;
use std::time::Instant;

use super::{Address, Answer, Message, Nonces, RINGS};
use crate::call::message::NAME_CHARS_MAX;
use crate::call::text;
use crate::call::verify::Bytes32;
use crate::call::verify::identity::{Identity, Key};
use crate::signaling::{PeerId, RoomName};

/// Somebody who rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Names it at the server.
    pub peer: PeerId,
    /// The name that it gives.
    pub name: String,
    /// Its identity, which it has proved.
    pub key: Key,
}

/// How a ring ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Accepted: both go to this room.
    Accepted(RoomName),
    /// The user did not want it.
    Declined,
    /// Nobody answered it in time, or the caller gave up before.
    Missed,
    /// It never rang: the user was occupied.
    Busy,
}

/// Whether the user can be rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attention {
    /// Yes.
    #[default]
    Free,
    /// In a call, or calling.
    Occupied,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send this.
    Send {
        /// To this one.
        to: PeerId,
        /// This.
        message: Message,
    },
    /// Somebody rings.
    Rings(Ring),
    /// A ring is over.
    Over(Ring, How),
}

/// A line that can be rung.
#[derive(Debug)]
pub struct Line {
    identity: Identity,
    address: Address,
    attention: Attention,
    // One for each peer in the room; full: who comes then is not greeted. A room of the server holds fewer.
    callers: Vec<Caller>,
    // Emptied by the owner after each input, of which each makes two at most.
    commands: VecDeque<Command>,
}

#[derive(Debug)]
struct Caller {
    peer: PeerId,
    nonce: Bytes32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Greeted,
    Rings { ring: Ring, nonces: Nonces, until: Instant },
    Answered,
}

impl Line {
    /// The line of this identity.
    pub fn new(identity: Identity) -> Self {
        let address = Address::of(&identity.key());
        Self { identity, address, attention: Attention::Free, callers: Vec::new(), commands: VecDeque::new() }
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// This side is in the room, for the first time or under a new id: all begins anew with those who are there.
    /// `nonce` gives 32 random bytes at each call.
    pub fn handle_joined(
        &mut self,
        peers: impl Iterator<Item = PeerId>,
        mut nonce: impl FnMut() -> [u8; 32],
    ) {
        for caller in std::mem::take(&mut self.callers) {
            self.forget(caller);
        }
        for peer in peers {
            self.handle_peer_joined(peer, nonce());
        }
    }

    /// Somebody has come; `nonce` are 32 random bytes.
    pub fn handle_peer_joined(&mut self, peer: PeerId, nonce: [u8; 32]) {
        if self.callers.len() >= CALLERS_MAX || self.callers.iter().any(|caller| caller.peer == peer) {
            return;
        }
        let nonce = Bytes32(nonce);
        self.callers.push(Caller { peer, nonce, step: Step::Greeted });
        let message = Message::Line { key: self.identity.key(), nonce };
        self.commands.push_back(Command::Send { to: peer, message });
    }

    /// Somebody has gone.
    pub fn handle_peer_left(&mut self, peer: PeerId) {
        if let Some(index) = self.callers.iter().position(|caller| caller.peer == peer) {
            let caller = self.callers.remove(index);
            self.forget(caller);
        }
    }

    /// Somebody has said something.
    pub fn handle_message(&mut self, from: PeerId, message: Message, now: Instant) {
        let Message::Call { name, key, nonce, signature } = message else { return };
        let is_taken = self.attention == Attention::Occupied || self.rings().is_some();
        let Some(caller) = self.callers.iter_mut().find(|caller| caller.peer == from) else { return };
        let nonces = Nonces { line: caller.nonce, caller: nonce };
        let is_proved = key.has_signed(&nonces.call(&self.address, &name), &signature);
        if !matches!(caller.step, Step::Greeted) || !is_proved {
            return;
        }
        let ring = Ring { peer: from, name: text::line(&name, NAME_CHARS_MAX), key };
        let (answer, step, command) = if is_taken {
            (Answer::Busy, Step::Answered, Command::Over(ring, How::Busy))
        } else {
            let step = Step::Rings { ring: ring.clone(), nonces, until: now + RINGS };
            (Answer::Ringing, step, Command::Rings(ring))
        };
        caller.step = step;
        let message = nonces.sign(&self.identity, answer);
        self.commands.extend([Command::Send { to: from, message }, command]);
    }

    /// Who rings.
    pub fn rings(&self) -> Option<&Ring> {
        self.callers.iter().find_map(|caller| match &caller.step {
            Step::Rings { ring, .. } => Some(ring),
            Step::Greeted | Step::Answered => None,
        })
    }

    /// The user takes the call, in this room. Nothing happens if nobody rings any more.
    pub fn accept(&mut self, room: RoomName) {
        self.answer(Answer::Accepted { room: room.clone() }, How::Accepted(room));
    }

    /// The user does not want the call.
    pub fn decline(&mut self) {
        self.answer(Answer::Declined, How::Declined);
    }

    /// Whether whoever rings from now on is told that the user is occupied.
    pub fn set_attention(&mut self, attention: Attention) {
        self.attention = attention;
    }

    /// When [`Line::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.callers.iter().find_map(|caller| match caller.step {
            Step::Rings { until, .. } => Some(until),
            Step::Greeted | Step::Answered => None,
        })
    }

    /// Ends what has rung long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            self.answer(Answer::Unanswered, How::Missed);
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn answer(&mut self, answer: Answer, how: How) {
        for caller in &mut self.callers {
            match std::mem::replace(&mut caller.step, Step::Answered) {
                Step::Rings { ring, nonces, .. } => {
                    let message = nonces.sign(&self.identity, answer);
                    self.commands
                        .extend([Command::Send { to: caller.peer, message }, Command::Over(ring, how)]);
                    return;
                }
                step @ (Step::Greeted | Step::Answered) => caller.step = step,
            }
        }
    }

    fn forget(&mut self, caller: Caller) {
        match caller.step {
            Step::Rings { ring, .. } => self.commands.push_back(Command::Over(ring, How::Missed)),
            Step::Greeted | Step::Answered => {}
        }
    }
}

/// More than a server's room for a mesh holds: 8.
const CALLERS_MAX: usize = 16;
