//! A stream of messages between the two who give the same code, each message once and in order.
//!
//! It flows through the signalling server as soon as both are there, and directly as soon as a connection stands. When
//! that dies it flows through the server again while the next one is sought; when the server goes away, the direct
//! connection carries on ([`switch`](farwheel_proto::switch) has the rules). The server can read what flows through
//! it; nobody can read what flows directly.
//!
//! [`Pair::open`] starts a task that owns all of it and lives as long as the handle.

mod message;
mod relay;
mod task;

use bytes::Bytes;
pub use farwheel_proto::switch::Carrier;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::{Bind, CandidatePolicy};
use crate::signaling::{self, Refusal, RoomName};
pub use message::{MESSAGE_BYTES_MAX, Message};

/// Messages on their way to the task. Full: [`Pair::send`] waits.
const COMMANDS_MAX: usize = 64;
/// Events on their way to the owner. Full: nothing more is delivered, nor acknowledged to the other one.
const EVENTS_MAX: usize = 64;

/// Whom to meet, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server, and the code as [`Place::Pair`](signaling::Place::Pair).
    pub signaling: signaling::Config,
    /// Which candidates a direct connection may use.
    pub candidates: CandidatePolicy,
    /// From which addresses.
    pub bind: Bind,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// At the server, alone so far.
    Waiting,
    /// The other one is there.
    Found {
        /// The name that it gave, or a part of its id.
        name: String,
    },
    /// What messages travel over from here on; none: they are kept until there is a way again.
    Carrier(Option<Carrier>),
    /// The other one sent this.
    Message(Message),
    /// The other one has started again: what it says from here on is of its new life, and what it had not acknowledged
    /// has gone to that.
    Restarted,
    /// The other one left; whoever comes next with the code is the new one.
    Left,
    /// The server cannot be reached; the task tries again by itself.
    Away {
        /// Why, in words.
        reason: String,
    },
    /// Two others have met by this code already. The task has ended.
    Busy,
    /// The server refuses. The task has ended.
    Refused(Refusal),
}

/// Whether a direct connection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// As soon as possible, and again whenever it is lost.
    Wanted,
    /// Not: everything goes through the server.
    Refused,
}

/// The task is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pair has ended")]
pub struct Ended;

/// One's end of a pair; once all clones are dropped, it is left.
#[derive(Clone, Debug)]
pub struct Pair {
    commands: mpsc::Sender<Command>,
    direct: watch::Sender<Direct>,
}

/// What happens to a pair. Must be read: while 64 events wait, no message is taken from the other one.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Command {
    Send(Bytes),
    Flush(oneshot::Sender<()>),
}

impl Pair {
    /// Starts to look for the other one; everything else comes as events.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open(config: Config) -> (Self, Events) {
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        let (events_tx, events) = mpsc::channel(EVENTS_MAX);
        let (direct, wanted) = watch::channel(Direct::Wanted);
        let task = task::spawn(config, taken, wanted, events_tx);
        (Self { commands, direct }, Events { events, task })
    }

    /// Sends a message; waits while much is on its way already, for as long as the other one is not there.
    ///
    /// # Errors
    ///
    /// When the task has ended.
    ///
    /// # Panics
    ///
    /// When the message has more than [`MESSAGE_BYTES_MAX`] bytes.
    pub async fn send(&self, message: &Message) -> Result<(), Ended> {
        self.commands.send(Command::Send(message.encode())).await.map_err(|_| Ended)
    }

    /// Waits until the other one has acknowledged all that was sent before.
    ///
    /// # Errors
    ///
    /// When the task has ended first.
    pub async fn flush(&self) -> Result<(), Ended> {
        let (flushed, done) = oneshot::channel();
        self.commands.send(Command::Flush(flushed)).await.map_err(|_| Ended)?;
        done.await.map_err(|_| Ended)
    }

    /// Gives up the direct connection, or lets it be sought again; never waits, whatever else does.
    pub fn set_direct(&self, direct: Direct) {
        self.direct.send_replace(direct);
    }
}

impl Events {
    /// Waits for the next event; `None` once the task has ended.
    pub async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Leaves: tells the other one and the server, which takes 2 s at most. Dropping this leaves as well, without waiting.
    pub async fn leave(self) {
        drop(self.events);
        // A task that has panicked is gone as well.
        self.task.await.ok();
    }
}

/// A code for two who have none: eight characters that are told apart when read aloud, 39 bits, which nobody guesses in
/// the time that a pair is open.
pub fn made_up_code() -> RoomName {
    const ALPHABET: &[u8; 30] = b"23456789abcdefghjkmnpqrstvwxyz";
    let code: String = (0..8).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect();
    code.parse().expect("letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_code_is_one_that_can_be_given() {
        let codes: std::collections::BTreeSet<_> = (0..100).map(|_| made_up_code()).collect();
        assert_eq!(codes.len(), 100);
        assert!(codes.iter().all(|code| code.as_str().len() == 8));
    }
}
