//! Files that this side sends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::rate::Rate;
use super::wire::End;
use super::{ACK_EVERY, CHUNK_DATA_BYTES, FILES_MAX, FileId, Message, Progress, Reason, WINDOW};
use crate::call::verify::Bytes32;
use crate::signaling::PeerId;

/// Decides what is sent to whom.
///
/// For each receiver:
///
/// | state | input | next |
/// |---|---|---|
/// | `Offered`, `Running`, `Paused` | `Take` | `Running` from that offset; the hash is told if it is known |
/// | `Running` | `Ack` | goes on up to [`WINDOW`] past it |
/// | `Running` | link cut | `Paused` |
/// | `Offered`, `Paused` | link back | the same; offered again |
/// | `Running`, `Paused` | `Got` | `Done` |
/// | any that is not over | `Stop`, gone, given up | `Ended` |
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    // Full at FILES_MAX: the oldest that is over leaves; if none is over, nothing more is offered.
    files: BTreeMap<u64, File>,
    next_key: u64,
    // Whose turn it is to be read next.
    turn: u64,
    // Some for each input; the owner drains it after every one.
    outbox: VecDeque<(PeerId, Message)>,
}

#[derive(Clone, Debug)]
struct File {
    id: FileId,
    name: String,
    size: u64,
    sha256: Option<Bytes32>,
    legs: BTreeMap<PeerId, Leg>,
}

#[derive(Clone, Debug)]
struct Leg {
    state: State,
    acked: u64,
    rate: Rate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offered,
    Running { next: u64 },
    Paused,
    Done,
    Ended(Reason),
}

/// A file that is sent, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Names it on this side.
    pub key: u64,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How far it is: at the receiver that is furthest behind of those who take it.
    pub progress: Progress,
    /// How many have it, and how many were offered it.
    pub done: (usize, usize),
}

/// What is to be read from a file and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Names the file on this side.
    pub key: u64,
    /// Names it on the wire.
    pub file: FileId,
    /// From where.
    pub offset: u64,
    /// How many bytes.
    pub length: usize,
}

impl Outbox {
    /// Offers a file to all who are there; `id` is random. Gives the file's key; none if too many are under way.
    pub fn offer(&mut self, id: FileId, name: &str, size: u64, to: &[PeerId]) -> Option<u64> {
        if self.files.len() == FILES_MAX {
            let over = self.files.iter().find(|(_, file)| file.is_over()).map(|(key, _)| *key)?;
            self.files.remove(&over);
        }
        let key = self.next_key;
        self.next_key += 1;
        let name = super::name::safe(name);
        let legs = to.iter().map(|peer| (*peer, Leg::new())).collect();
        for peer in to {
            self.outbox.push_back((*peer, Message::Offer { file: id, name: name.clone(), size }));
        }
        self.files.insert(key, File { id, name, size, sha256: None, legs });
        Some(key)
    }

    /// The hash of a file is known.
    pub fn handle_hash(&mut self, key: u64, sha256: Bytes32) {
        let Some(file) = self.files.get_mut(&key) else { return };
        file.sha256 = Some(sha256);
        for (peer, leg) in &file.legs {
            if matches!(leg.state, State::Running { .. }) {
                self.outbox.push_back((*peer, Message::Hash { file: file.id, sha256 }));
            }
        }
    }

    /// A file cannot be read.
    pub fn handle_unreadable(&mut self, key: u64) {
        self.end(key, Reason::Unreadable);
    }

    /// The user gives a file up.
    pub fn cancel(&mut self, key: u64) {
        self.end(key, Reason::Cancelled);
    }

    /// Takes a message of a receiver.
    pub fn handle_message(&mut self, from: PeerId, message: &Message, now: Instant) {
        let (Message::Take { file: id, .. }
        | Message::Ack { file: id, .. }
        | Message::Got { file: id }
        | Message::Stop { file: id, from: End::Receiver, .. }) = message
        else {
            return;
        };
        let Some(file) = self.files.values_mut().find(|file| file.id == *id && file.legs.contains_key(&from))
        else {
            return;
        };
        let Some(leg) = file.legs.get_mut(&from) else { return };
        match (leg.state, message) {
            (State::Offered | State::Running { .. } | State::Paused, Message::Take { offset, .. }) => {
                if *offset <= file.size {
                    leg.state = State::Running { next: *offset };
                    leg.acked = *offset;
                    leg.rate.clear();
                    leg.rate.handle(*offset, now);
                    if let Some(sha256) = file.sha256 {
                        self.outbox.push_back((from, Message::Hash { file: *id, sha256 }));
                    }
                }
            }
            (State::Running { next }, Message::Ack { offset, .. }) => {
                if (leg.acked..=next).contains(offset) {
                    leg.acked = *offset;
                    leg.rate.handle(*offset, now);
                }
            }
            (State::Running { .. } | State::Paused, Message::Got { .. }) => {
                leg.acked = file.size;
                leg.state = State::Done;
            }
            (State::Offered | State::Running { .. } | State::Paused, Message::Stop { reason, .. }) => {
                leg.state = State::Ended(*reason);
            }
            // Late, or nothing that a receiver says.
            (State::Offered | State::Running { .. } | State::Paused | State::Done | State::Ended(_), _) => {}
        }
    }

    /// A link is there, or back: what is open is offered again.
    pub fn handle_up(&mut self, peer: PeerId) {
        for file in self.files.values_mut() {
            let Some(leg) = file.legs.get_mut(&peer) else { continue };
            match leg.state {
                State::Running { .. } => leg.state = State::Paused,
                State::Offered | State::Paused => {}
                State::Ended(reason @ (Reason::Cancelled | Reason::Unreadable)) => {
                    // It may have been said while nobody heard it.
                    let stop = Message::Stop { file: file.id, from: End::Sender, reason };
                    self.outbox.push_back((peer, stop));
                    continue;
                }
                State::Done | State::Ended(_) => continue,
            }
            let offer = Message::Offer { file: file.id, name: file.name.clone(), size: file.size };
            self.outbox.push_back((peer, offer));
        }
    }

    /// A link is cut.
    pub fn handle_down(&mut self, peer: PeerId) {
        for leg in self.files.values_mut().filter_map(|file| file.legs.get_mut(&peer)) {
            if matches!(leg.state, State::Running { .. }) {
                leg.state = State::Paused;
            }
        }
    }

    /// A peer left for good.
    pub fn handle_gone(&mut self, peer: PeerId) {
        for leg in self.files.values_mut().filter_map(|file| file.legs.get_mut(&peer)) {
            if !leg.is_over() {
                leg.state = State::Ended(Reason::Left);
            }
        }
    }

    /// A peer has another id now.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        for file in self.files.values_mut() {
            if let Some(leg) = file.legs.remove(&old) {
                file.legs.insert(new, leg);
            }
        }
    }

    /// What is to be sent to whom.
    pub fn poll_message(&mut self) -> Option<(PeerId, Message)> {
        self.outbox.pop_front()
    }

    /// What to read next for this peer, when its channel has room for `room` bytes; files take turns.
    pub fn poll_read(&mut self, peer: PeerId, room: usize) -> Option<Read> {
        let turn = self.turn;
        let (later, sooner) = (turn + 1.., ..=turn);
        let keys: Vec<u64> =
            self.files.range(later).chain(self.files.range(sooner)).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(file) = self.files.get_mut(&key) else { continue };
            let Some(leg) = file.legs.get_mut(&peer) else { continue };
            let State::Running { next } = leg.state else { continue };
            let left = file.size - next;
            let allowed = (leg.acked + WINDOW).saturating_sub(next);
            let length = left.min(allowed).min(room as u64);
            // Whole chunks, but for the last one.
            let length = if length < left { length - length % CHUNK_DATA_BYTES as u64 } else { length };
            if length > 0 {
                leg.state = State::Running { next: next + length };
                self.turn = key;
                return Some(Read { key, file: file.id, offset: next, length: length as usize });
            }
        }
        None
    }

    /// Whether nothing more of a file will be read.
    pub fn is_over(&self, key: u64) -> bool {
        self.files.get(&key).is_none_or(File::is_over)
    }

    /// All files, oldest first.
    pub fn files(&self, now: Instant) -> impl Iterator<Item = Outgoing> {
        self.files.iter().map(move |(key, file)| {
            let done = file.legs.values().filter(|leg| leg.state == State::Done).count();
            Outgoing {
                key: *key,
                name: file.name.clone(),
                size: file.size,
                progress: file.progress(now),
                done: (done, file.legs.len()),
            }
        })
    }

    fn end(&mut self, key: u64, reason: Reason) {
        let Some(file) = self.files.get_mut(&key) else { return };
        for (peer, leg) in &mut file.legs {
            if !leg.is_over() {
                leg.state = State::Ended(reason);
                self.outbox.push_back((*peer, Message::Stop { file: file.id, from: End::Sender, reason }));
            }
        }
    }
}

impl File {
    fn is_over(&self) -> bool {
        self.legs.values().all(Leg::is_over)
    }

    fn progress(&self, now: Instant) -> Progress {
        let legs = || self.legs.values();
        let slowest =
            |wanted: fn(State) -> bool| legs().filter(|l| wanted(l.state)).min_by_key(|leg| leg.acked);
        if let Some(leg) = slowest(|state| matches!(state, State::Running { .. })) {
            return Progress::Running { bytes: leg.acked, rate: leg.rate.get(now) };
        }
        if let Some(leg) = slowest(|state| state == State::Paused) {
            return Progress::Paused { bytes: leg.acked };
        }
        if legs().any(|leg| leg.state == State::Done) {
            return Progress::Done;
        }
        if legs().any(|leg| leg.state == State::Offered) {
            return Progress::Offered;
        }
        let reason = legs().find_map(|leg| match leg.state {
            State::Ended(reason) => Some(reason),
            State::Offered | State::Running { .. } | State::Paused | State::Done => None,
        });
        Progress::Ended(reason.unwrap_or(Reason::Left))
    }
}

impl Leg {
    fn new() -> Self {
        Self { state: State::Offered, acked: 0, rate: Rate::default() }
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Ended(_))
    }
}

const _: () =
    assert!(ACK_EVERY + CHUNK_DATA_BYTES as u64 * 2 < WINDOW, "else sender and receiver wait for each other");
