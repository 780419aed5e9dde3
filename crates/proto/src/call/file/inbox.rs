//! Files that this side receives.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::rate::Rate;
use super::wire::End;
use super::{ACK_EVERY, Chunk, FILES_MAX, FileId, Message, OFFERS_MAX, Progress, Reason, WINDOW};
use crate::call::verify::Bytes32;
use crate::signaling::PeerId;

/// Decides what is taken and written.
///
/// | state | input | next |
/// |---|---|---|
/// | `Offered` | user takes it | `Running`; asks for it from 0 |
/// | `Offered`, `Running`, `Paused` | user gives it up, sender stops, peer gone, piece that does not fit | `Ended` |
/// | `Running` | piece at its place | written; `Ack` when it is |
/// | `Running` | all written and the hash known | `Checking` |
/// | `Running` | link cut | `Paused` |
/// | `Running`, `Paused` | offered again | `Running`; asks for the rest, once no more than [`WINDOW`] is unwritten |
/// | none | offered, larger than allowed | refused, not remembered |
/// | `Checking` | hash is right / wrong | `Done` / `Ended` |
/// | `Done`, `Ended` | offered again | the same; told again |
#[derive(Clone, Debug)]
pub struct Inbox {
    limit: u64,
    // Full at FILES_MAX: the oldest that is over leaves, of the same sender if it has one; if none is over, offers are
    // refused.
    files: BTreeMap<u64, File>,
    next_key: u64,
    // Some for each input; the owner drains both after every one.
    messages: VecDeque<(PeerId, Message)>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug)]
struct File {
    peer: PeerId,
    id: FileId,
    name: String,
    size: u64,
    sha256: Option<Bytes32>,
    received: u64,
    written: u64,
    /// The last acknowledgement.
    told: u64,
    state: State,
    rate: Rate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offered,
    Running,
    Paused,
    /// Offered again, and asked for once more is written.
    Resuming,
    Checking,
    Done,
    Ended(Reason),
}

/// What the owner has to do, in this order for each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make an empty file.
    Open {
        /// Names the file on this side.
        key: u64,
        /// What it is to be called in the end.
        name: String,
    },
    /// Write at the end, then call [`Inbox::handle_written`].
    Write {
        /// Which.
        key: u64,
        /// What.
        data: Bytes,
    },
    /// Compare the hash of all that was written; if it is right, give the file its name; then call
    /// [`Inbox::handle_checked`].
    Check {
        /// Which.
        key: u64,
        /// SHA-256 of the whole.
        sha256: Bytes32,
    },
    /// Remove what was written.
    Remove {
        /// Which.
        key: u64,
    },
}

/// A file that is received, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Names it on this side.
    pub key: u64,
    /// Who sends it.
    pub from: PeerId,
    /// Its name, safe.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How far it is.
    pub progress: Progress,
}

impl Inbox {
    /// Takes files of at most `limit` bytes.
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            files: BTreeMap::new(),
            next_key: 0,
            messages: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Takes files of at most so many bytes from now on.
    pub const fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The user wants a file.
    pub fn take(&mut self, key: u64, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.state != State::Offered {
            return;
        }
        file.state = State::Running;
        file.rate.handle(0, now);
        self.actions.push_back(Action::Open { key, name: file.name.clone() });
        self.messages.push_back((file.peer, Message::Take { file: file.id, offset: 0 }));
    }

    /// The user does not want a file, or no longer.
    pub fn cancel(&mut self, key: u64) {
        let reason = match self.files.get(&key).map(|file| file.state) {
            Some(State::Offered) => Reason::Declined,
            Some(_) | None => Reason::Cancelled,
        };
        self.end(key, reason, Tell::Sender);
    }

    /// Takes a message of a sender. Gives the key of a file that is offered for the first time.
    pub fn handle_message(&mut self, from: PeerId, message: &Message, now: Instant) -> Option<u64> {
        match message {
            Message::Offer { file, name, size } => return self.handle_offer(from, *file, name, *size, now),
            Message::Hash { file, sha256 } => {
                if let Some(key) = self.find(from, *file) {
                    if let Some(file) = self.files.get_mut(&key) {
                        file.sha256.get_or_insert(*sha256);
                    }
                    self.check(key);
                }
            }
            Message::Stop { file, from: End::Sender, reason } => {
                if let Some(key) = self.find(from, *file) {
                    self.end(key, *reason, Tell::Nobody);
                }
            }
            // Said by receivers.
            Message::Take { .. }
            | Message::Ack { .. }
            | Message::Got { .. }
            | Message::Stop { from: End::Receiver, .. } => {}
        }
        None
    }

    /// Takes a piece of a file.
    pub fn handle_chunk(&mut self, from: PeerId, chunk: Chunk) {
        let Some(key) = self.find(from, chunk.file) else { return };
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.state != State::Running {
            // Still on its way when it was given up.
            return;
        }
        let end = chunk.offset + chunk.data.len() as u64;
        // A window past what it was asked for, which is at most a window past what is written: whatever the sender says,
        // no more than that waits for the disk.
        let is_ahead = end > file.written.saturating_add(2 * WINDOW);
        if chunk.offset != file.received || end > file.size || is_ahead {
            self.end(key, Reason::Damaged, Tell::Sender);
            return;
        }
        file.received = end;
        self.actions.push_back(Action::Write { key, data: chunk.data });
    }

    /// So many more bytes are written.
    pub fn handle_written(&mut self, key: u64, bytes: u64, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        file.written = (file.written + bytes).min(file.received);
        if file.state == State::Resuming {
            self.resume(key, now);
        }
        let Some(file) = self.files.get_mut(&key).filter(|file| file.state == State::Running) else { return };
        file.rate.handle(file.written, now);
        if file.written.saturating_sub(file.told) >= ACK_EVERY || file.written == file.size {
            file.told = file.written;
            self.messages.push_back((file.peer, Message::Ack { file: file.id, offset: file.written }));
        }
        self.check(key);
    }

    /// A file cannot be written.
    pub fn handle_unwritable(&mut self, key: u64) {
        self.end(key, Reason::Unwritable, Tell::Sender);
    }

    /// The hash was compared.
    pub fn handle_checked(&mut self, key: u64, result: Result<(), Reason>) {
        let Some(file) = self.files.get_mut(&key) else { return };
        match (file.state, result) {
            (State::Checking, Ok(())) => {
                file.state = State::Done;
                self.messages.push_back((file.peer, Message::Got { file: file.id }));
            }
            (State::Checking, Err(reason)) => self.end(key, reason, Tell::Sender),
            (
                State::Offered
                | State::Running
                | State::Paused
                | State::Resuming
                | State::Done
                | State::Ended(_),
                _,
            ) => {}
        }
    }

    /// A link is cut.
    pub fn handle_down(&mut self, peer: PeerId) {
        for file in self.files.values_mut().filter(|file| file.peer == peer) {
            if matches!(file.state, State::Running | State::Resuming) {
                file.state = State::Paused;
            }
        }
    }

    /// A peer left for good.
    pub fn handle_gone(&mut self, peer: PeerId) {
        let keys: Vec<u64> =
            self.files.iter().filter(|(_, file)| file.peer == peer).map(|(key, _)| *key).collect();
        for key in keys {
            // What is all there is still compared.
            if self.files.get(&key).is_some_and(|file| file.state != State::Checking) {
                self.end(key, Reason::Left, Tell::Nobody);
            }
        }
    }

    /// A peer has another id now.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        for file in self.files.values_mut().filter(|file| file.peer == old) {
            file.peer = new;
        }
    }

    /// What is to be sent to whom.
    pub fn poll_message(&mut self) -> Option<(PeerId, Message)> {
        self.messages.pop_front()
    }

    /// What is to be done with files.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// All files, oldest first.
    pub fn files(&self, now: Instant) -> impl Iterator<Item = Incoming> {
        self.files.iter().map(move |(key, file)| Incoming {
            key: *key,
            from: file.peer,
            name: file.name.clone(),
            size: file.size,
            progress: match file.state {
                State::Offered => Progress::Offered,
                State::Running | State::Checking => {
                    Progress::Running { bytes: file.written, rate: file.rate.get(now) }
                }
                State::Paused | State::Resuming => Progress::Paused { bytes: file.written },
                State::Done => Progress::Done,
                State::Ended(reason) => Progress::Ended(reason),
            },
        })
    }

    fn find(&self, peer: PeerId, id: FileId) -> Option<u64> {
        self.files.iter().find(|(_, file)| file.peer == peer && file.id == id).map(|(key, _)| *key)
    }

    fn handle_offer(&mut self, from: PeerId, id: FileId, name: &str, size: u64, now: Instant) -> Option<u64> {
        let Some(key) = self.find(from, id) else { return self.handle_new_offer(from, id, name, size) };
        let file = self.files.get_mut(&key)?;
        let answer = match file.state {
            State::Running | State::Paused | State::Resuming if file.size == size => {
                file.state = State::Resuming;
                self.resume(key, now);
                return None;
            }
            State::Running | State::Paused | State::Resuming => {
                self.end(key, Reason::Unreadable, Tell::Sender);
                return None;
            }
            State::Done => Message::Got { file: id },
            State::Ended(reason) => Message::Stop { file: id, from: End::Receiver, reason },
            State::Offered | State::Checking => return None,
        };
        self.messages.push_back((from, answer));
        None
    }

    /// Asks for the rest of a file, if the disk has kept up.
    fn resume(&mut self, key: u64, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if file.received - file.written <= WINDOW {
            file.state = State::Running;
            file.rate.clear();
            file.rate.handle(file.written, now);
            self.messages.push_back((file.peer, Message::Take { file: file.id, offset: file.received }));
        }
    }

    fn handle_new_offer(&mut self, from: PeerId, id: FileId, name: &str, size: u64) -> Option<u64> {
        let mut refuse = |reason| {
            self.messages.push_back((from, Message::Stop { file: id, from: End::Receiver, reason }));
            None
        };
        if size > self.limit {
            return refuse(Reason::TooLarge);
        }
        let open = self.files.values().filter(|file| file.peer == from && !file.is_over()).count();
        if open >= OFFERS_MAX {
            return refuse(Reason::TooMany);
        }
        if self.files.len() == FILES_MAX {
            let over = || self.files.iter().filter(|(_, file)| file.is_over());
            let own = over().find(|(_, file)| file.peer == from);
            match own.or_else(|| over().next()).map(|(key, _)| *key) {
                Some(over) => drop(self.files.remove(&over)),
                None => return refuse(Reason::TooMany),
            }
        }
        let key = self.next_key;
        self.next_key += 1;
        let state = State::Offered;
        let name = super::name::safe(name);
        let (received, written, told) = (0, 0, 0);
        let rate = Rate::default();
        self.files.insert(
            key,
            File { peer: from, id, name, size, sha256: None, received, written, told, state, rate },
        );
        Some(key)
    }

    /// Compares, when everything is there to compare.
    fn check(&mut self, key: u64) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let Some(sha256) = file.sha256 else { return };
        if file.state == State::Running && file.written == file.size {
            file.state = State::Checking;
            self.actions.push_back(Action::Check { key, sha256 });
        }
    }

    fn end(&mut self, key: u64, reason: Reason, tell: Tell) {
        let Some(file) = self.files.get_mut(&key) else { return };
        match file.state {
            State::Offered => {}
            State::Running | State::Paused | State::Resuming | State::Checking => {
                self.actions.push_back(Action::Remove { key })
            }
            State::Done | State::Ended(_) => return,
        }
        file.state = State::Ended(reason);
        if let Tell::Sender = tell {
            let stop = Message::Stop { file: file.id, from: End::Receiver, reason };
            self.messages.push_back((file.peer, stop));
        }
    }
}

impl File {
    const fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Ended(_))
    }
}

/// Who is told that a file is over.
enum Tell {
    Sender,
    Nobody,
}
