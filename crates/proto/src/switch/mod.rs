//! One stream of messages over two carriers: the server's WebSocket, which is nearly always there, and a data channel,
//! which comes and goes. Whatever happens to them, each message arrives once and in order.
//!
//! Both ends number what they send and keep it until the other end says that it has it. When the carrier in use changes,
//! or nothing is acknowledged for a while, what is kept is sent again; what arrives twice is dropped by its number.
//!
//! Numbers belong to a pair of sessions, one of each end. An end that has started again has another session: what the
//! other end still keeps is numbered anew for it.
//!
//! | bytes | frame |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | 1 message, 2 acknowledgement alone |
//! | 2-5 | session of the sender, not zero |
//! | 6-9 | session of the receiver, as the sender knows it; zero: not yet |
//! | 10-17 | number of the message, from 1; zero in an acknowledgement |
//! | 18-25 | number up to which the sender has everything of the receiver's session |
//! | 26- | the message |

mod frame;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use frame::{Content, Frame};
pub use frame::{FrameError, LEN_MIN as FRAME_LEN_MIN};

/// Most messages that are kept until they are acknowledged; more are refused.
pub const UNACKNOWLEDGED_MAX: usize = 1024;
/// Most bytes of those.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 1 << 20;
/// How far ahead of the next expected one a message may be to be kept: as many as the other end may send, and as many bytes.
/// Others are dropped and sent again.
const EARLY_MAX: u64 = UNACKNOWLEDGED_MAX as u64;
/// An acknowledgement waits for so long for a message to ride on.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(20);
/// Messages that are acknowledged without waiting.
const ACKNOWLEDGE_EVERY: u32 = 16;
/// Without any acknowledgement the first messages are sent again after this, then after twice as long, and so on.
const RESEND_AFTER: Duration = Duration::from_millis(500);
const RESEND_AFTER_MAX: Duration = Duration::from_secs(8);

/// Messages that are sent again at once when nothing is acknowledged; the next ones follow with what is. All at once would
/// only fill a slow carrier.
const RESEND_MAX: usize = 16;
/// Former sessions of the other end that are remembered: what of theirs is still on its way is dropped.
const FORMER_MAX: usize = 8;

/// What messages travel over, the better one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// The server's WebSocket.
    Relayed,
    /// The data channel.
    Direct,
}

/// Whether a carrier can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Up,
    /// It cannot; what it had not delivered is lost.
    Down,
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hand this frame to that carrier.
    Send(Carrier, Bytes),
    /// The next message of the other end.
    Deliver(Bytes),
    /// The other end has started again; what it says from here on is of its new life.
    PeerRestarted,
}

/// Too much is kept already; try again once some of it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages with {bytes} bytes are not acknowledged yet")]
pub struct Full {
    /// Messages that are kept.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// One end.
///
/// | input | effect |
/// |---|---|
/// | `send` | kept, and sent if there is a carrier |
/// | a better carrier, or the only one, comes up | it is used; all that is kept is sent on it |
/// | the carrier in use goes down | the other one is used, if it is up, in the same way |
/// | the next message | delivered, with those that had come before it |
/// | one that was there before | dropped, and acknowledged at once |
/// | an acknowledgement | what it covers is kept no longer |
/// | nothing acknowledged for 0.5 s | what is kept is sent again, bit by bit; then after twice that time |
/// | another session of the other end | what is kept is numbered anew for it |
#[derive(Debug)]
pub struct Switch {
    own: u32,
    peer: Option<u32>,
    former: VecDeque<u32>,
    up: [State; 2],
    active: Option<Carrier>,
    /// Number of the first one kept.
    first: u64,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// Number of the next one to deliver.
    expected: u64,
    early: BTreeMap<u64, Bytes>,
    early_bytes: usize,
    /// Delivered and not acknowledged.
    owed: u32,
    acknowledge_at: Option<Instant>,
    resend_at: Option<Instant>,
    resend_after: Duration,
    /// Number of the last one that may have been lost, once nothing was acknowledged for long.
    doubtful: u64,
    commands: VecDeque<Command>,
}

impl Switch {
    /// An end whose `session` is random; zero counts as one.
    pub fn new(session: u32) -> Self {
        Self {
            own: session.max(1),
            peer: None,
            former: VecDeque::new(),
            up: [State::Down; 2],
            active: None,
            first: 1,
            kept: VecDeque::new(),
            kept_bytes: 0,
            expected: 1,
            early: BTreeMap::new(),
            early_bytes: 0,
            owed: 0,
            acknowledge_at: None,
            resend_at: None,
            resend_after: RESEND_AFTER,
            doubtful: 0,
            commands: VecDeque::new(),
        }
    }

    /// The carrier in use.
    pub const fn active(&self) -> Option<Carrier> {
        self.active
    }

    /// Messages that the other end has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    /// Their bytes.
    pub const fn unacknowledged_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// A frame that says what has arrived: for a goodbye, by any carrier.
    pub fn acknowledgement(&self) -> Bytes {
        self.frame(Content::Acknowledgement).encode()
    }

    /// Takes a message for the other end.
    ///
    /// # Errors
    /// When too much is on its way already; the message is not taken.
    pub fn send(&mut self, message: Bytes, now: Instant) -> Result<(), Full> {
        let bytes = self.kept_bytes + message.len();
        if self.kept.len() >= UNACKNOWLEDGED_MAX || bytes > UNACKNOWLEDGED_BYTES_MAX {
            return Err(Full { messages: self.kept.len(), bytes: self.kept_bytes });
        }
        self.kept_bytes = bytes;
        self.kept.push_back(message);
        self.put_out(self.kept.len() - 1, now);
        Ok(())
    }

    /// Takes the news that a carrier came or went.
    pub fn handle_carrier(&mut self, carrier: Carrier, state: State, now: Instant) {
        let is_same = self.up[carrier as usize] == state;
        self.up[carrier as usize] = state;
        let best =
            [Carrier::Direct, Carrier::Relayed].into_iter().find(|c| self.up[*c as usize] == State::Up);
        if best == self.active && (is_same || best != Some(carrier)) {
            return;
        }
        self.active = best;
        self.resend_after = RESEND_AFTER;
        // Even with nothing to say: it tells the session, and what has arrived.
        self.put(Content::Acknowledgement);
        self.resend(usize::MAX, now);
    }

    /// Takes a frame, by whichever carrier it came.
    ///
    /// # Errors
    /// When it is none; nothing changes.
    pub fn handle_frame(&mut self, bytes: &Bytes, now: Instant) -> Result<(), FrameError> {
        let frame = Frame::decode(bytes)?;
        if self.former.contains(&frame.from) {
            return Ok(());
        }
        if self.peer != Some(frame.from) {
            self.meet(frame.from, now);
        }
        if frame.to == self.own {
            self.handle_acknowledged(frame.has, now);
        } else if frame.to != 0 {
            // Meant for this end's former life: its sender has to hear of the present one.
            self.put(Content::Acknowledgement);
            return Ok(());
        }
        if let Content::Message { number, message } = frame.content {
            self.handle_message(number, message, now);
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.acknowledge_at, self.resend_at].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.acknowledge_at.take_if(|at| *at <= now).is_some() {
            // Without a carrier it is said by the next one that comes.
            self.put(Content::Acknowledgement);
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend_after = (self.resend_after * 2).min(RESEND_AFTER_MAX);
            self.doubtful = self.first + self.kept.len() as u64 - 1;
            self.resend(RESEND_MAX, now);
        }
    }

    /// Takes the next command.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Another session of the other end, or the first one.
    fn meet(&mut self, session: u32, now: Instant) {
        let known = self.peer.replace(session);
        self.expected = 1;
        self.early.clear();
        self.early_bytes = 0;
        self.owed = 0;
        if let Some(known) = known {
            if self.former.len() == FORMER_MAX {
                self.former.pop_front();
            }
            self.former.push_back(known);
            self.first = 1;
            self.doubtful = 0;
            self.commands.push_back(Command::PeerRestarted);
            self.put(Content::Acknowledgement);
            self.resend(usize::MAX, now);
        }
    }

    fn handle_acknowledged(&mut self, has: u64, now: Instant) {
        // What was never sent cannot have arrived.
        let count = has.saturating_add(1).saturating_sub(self.first).min(self.kept.len() as u64);
        if count == 0 {
            return;
        }
        for message in self.kept.drain(..count as usize) {
            self.kept_bytes -= message.len();
        }
        self.first += count;
        self.resend_after = RESEND_AFTER;
        self.resend_at = (!self.kept.is_empty()).then(|| now + self.resend_after);
        if self.first <= self.doubtful {
            self.resend(RESEND_MAX, now);
        }
    }

    fn handle_message(&mut self, number: u64, message: Bytes, now: Instant) {
        if number < self.expected {
            self.put(Content::Acknowledgement);
            return;
        }
        if number - self.expected >= EARLY_MAX {
            return;
        }
        // The next one always has room: the others wait for it.
        let bytes = self.early_bytes + message.len();
        if number > self.expected && bytes > UNACKNOWLEDGED_BYTES_MAX {
            return;
        }
        self.early_bytes = bytes;
        if let Some(twice) = self.early.insert(number, message) {
            self.early_bytes -= twice.len();
        }
        while let Some(message) = self.early.remove(&self.expected) {
            self.early_bytes -= message.len();
            self.commands.push_back(Command::Deliver(message));
            self.expected += 1;
            self.owed += 1;
        }
        if self.owed >= ACKNOWLEDGE_EVERY {
            self.put(Content::Acknowledgement);
        } else if self.owed > 0 {
            self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_AFTER);
        }
    }

    /// Sends so many of what is kept again.
    fn resend(&mut self, most: usize, now: Instant) {
        self.resend_at = None;
        for index in 0..self.kept.len().min(most) {
            self.put_out(index, now);
        }
    }

    fn put_out(&mut self, index: usize, now: Instant) {
        let number = self.first + index as u64;
        let content = Content::Message { number, message: self.kept[index].clone() };
        if self.put(content) {
            self.resend_at.get_or_insert(now + self.resend_after);
        }
    }

    /// Hands a frame to the carrier in use; whether there was one.
    fn put(&mut self, content: Content) -> bool {
        let Some(carrier) = self.active else { return false };
        self.commands.push_back(Command::Send(carrier, self.frame(content).encode()));
        // It says what has arrived, whatever else it says.
        (self.owed, self.acknowledge_at) = (0, None);
        true
    }

    fn frame(&self, content: Content) -> Frame {
        let (to, has) = (self.peer.unwrap_or_default(), self.expected - 1);
        Frame { from: self.own, to, has, content }
    }
}
