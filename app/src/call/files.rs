//! Files of a call: the decisions of `proto::call::file`, with a thread that reads, writes and hashes.
//!
//! ```text
//!  call worker -- handle_message, handle_chunk, set_room --> Files -- jobs --> [thread `files`]
//!              <-- poll_output: messages, chunks ---------     ^--- done ------------+
//! ```

mod disk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::file::{
    self, Action, CHUNK_BYTES, CHUNK_DATA_BYTES, Chunk, FileId, Inbox, Message, Outbox, Progress,
};
use tokio::sync::mpsc;

use crate::model::call as model;
pub use disk::Done;
use disk::{Disk, Job};

/// How files are handled.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where received files go.
    pub folder: PathBuf,
    /// Largest file that is taken, in bytes.
    pub limit: u64,
    /// What becomes of an offer.
    pub offers: Offers,
}

/// What becomes of a file that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// The user decides.
    Ask,
    /// Every one within the limit is taken.
    Take,
}

/// Files on their way in a call. The owner calls [`Files::poll_output`] until it gives nothing after every other call,
/// and [`Files::handle_done`] with what comes from the receiver that [`Files::start`] gave.
#[derive(Debug)]
pub struct Files {
    offers: Offers,
    inbox: Inbox,
    outbox: Outbox,
    disk: Disk,
    up: BTreeMap<PeerId, Room>,
    // A few for each input; drained by the owner.
    outputs: VecDeque<Output>,
    // Full at SHOWN_MAX: the oldest line leaves.
    shown: VecDeque<(Shown, Instant)>,
    /// Id of the oldest line.
    first_id: u64,
    /// Where received files lie, and why some could not be.
    ends: BTreeMap<Shown, Result<PathBuf, String>>,
    /// Files that the user asked to send, whose size is not known yet.
    opening: BTreeSet<u64>,
    next_job: u64,
    next_link: u64,
    /// Files of the disk by what the outbox calls them.
    sources: BTreeMap<u64, u64>,
}

/// How much a peer's channel takes now, and how much of that is being read.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Another number each time the link comes up: what was read for the link before is of no use.
    link: u64,
    bytes: usize,
    reading: usize,
}

/// A line of the list of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    In(u64),
    Out(u64),
    /// Could not be opened.
    Refused(u64),
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this on channel `event`.
    Message(PeerId, Message),
    /// Send this on channel `file`.
    Chunk(PeerId, Bytes),
    /// A received file is there.
    Received(PathBuf),
}

/// Lines in the list of files: more than can be under way in both directions.
const SHOWN_MAX: usize = 2 * file::FILES_MAX + 100;
/// Read at once for one peer: large enough that the disk is not asked too often, small enough that files take turns.
const READ_BYTES: usize = 16 * CHUNK_DATA_BYTES;

impl Files {
    /// Starts the thread; its results come from the receiver.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: Config) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Done>)> {
        // No bound of its own: there is a result for each job, and jobs are bounded (see `Job`).
        let (results, receiver) = mpsc::unbounded_channel();
        let disk = Disk::start(config.folder, results)?;
        let files = Self {
            offers: config.offers,
            inbox: Inbox::new(config.limit),
            outbox: Outbox::default(),
            disk,
            up: BTreeMap::new(),
            outputs: VecDeque::new(),
            shown: VecDeque::new(),
            first_id: 0,
            ends: BTreeMap::new(),
            opening: BTreeSet::new(),
            next_job: 0,
            next_link: 0,
            sources: BTreeMap::new(),
        };
        Ok((files, receiver))
    }

    /// The user sends a file to all who are there.
    pub fn send(&mut self, path: PathBuf) {
        let job = self.next_job;
        self.next_job += 1;
        self.opening.insert(job);
        self.disk.ask(Job::Open { source: job, path });
    }

    /// The user takes an offered file.
    pub fn take(&mut self, id: u64, now: Instant) {
        if let Some(Shown::In(key)) = self.find(id) {
            self.inbox.take(key, now);
            self.work();
        }
    }

    /// The user gives a file up, or refuses it.
    pub fn cancel(&mut self, id: u64) {
        match self.find(id) {
            Some(Shown::In(key)) => self.inbox.cancel(key),
            Some(Shown::Out(key)) => {
                self.outbox.cancel(key);
                self.forget(key);
            }
            Some(Shown::Refused(_)) | None => {}
        }
        self.work();
    }

    /// The largest file that is taken from now on, in bytes.
    pub fn set_limit(&mut self, limit: u64) {
        self.inbox.set_limit(limit);
    }

    /// A peer's channels are open, or open again.
    pub fn handle_up(&mut self, peer: PeerId) {
        self.next_link += 1;
        self.up.insert(peer, Room { link: self.next_link, bytes: 0, reading: 0 });
        self.outbox.handle_up(peer);
        self.work();
    }

    /// A peer's connection is lost; it may come back.
    pub fn handle_down(&mut self, peer: PeerId) {
        self.up.remove(&peer);
        // A link that comes back begins with an offer and is asked for the rest.
        let is_for = |to: &PeerId| *to == peer;
        self.outputs
            .retain(|output| !matches!(output, Output::Message(to, _) | Output::Chunk(to, _) if is_for(to)));
        self.outbox.handle_down(peer);
        self.inbox.handle_down(peer);
        self.work();
    }

    /// A peer left for good.
    pub fn handle_gone(&mut self, peer: PeerId) {
        self.handle_down(peer);
        self.outbox.handle_gone(peer);
        self.inbox.handle_gone(peer);
        self.work();
    }

    /// A peer has another id now; its link stands, or is down as before.
    pub fn handle_renamed(&mut self, old: PeerId, new: PeerId) {
        if let Some(room) = self.up.remove(&old) {
            self.up.insert(new, room);
        }
        for output in &mut self.outputs {
            if let Output::Message(to, _) | Output::Chunk(to, _) = output
                && *to == old
            {
                *to = new;
            }
        }
        self.outbox.handle_renamed(old, new);
        self.inbox.handle_renamed(old, new);
    }

    /// A peer's channel `file` takes so many bytes now without waiting for the network.
    pub fn set_room(&mut self, peer: PeerId, bytes: usize) {
        let Some(room) = self.up.get_mut(&peer) else { return };
        room.bytes = bytes;
        loop {
            // A chunk that is not the last one goes whole or not at all.
            let free =
                (room.bytes.saturating_sub(room.reading) / CHUNK_BYTES * CHUNK_DATA_BYTES).min(READ_BYTES);
            let Some(read) = (free > 0).then(|| self.outbox.poll_read(peer, free)).flatten() else { return };
            let Some(source) = self.sources.get(&read.key) else { return };
            room.reading += read.length.div_ceil(CHUNK_DATA_BYTES) * CHUNK_BYTES;
            self.disk.ask(Job::Read { source: *source, link: room.link, read });
        }
    }

    /// Takes a message of a peer.
    pub fn handle_message(&mut self, from: PeerId, message: &Message, now: Instant) {
        if let Some(key) = self.inbox.handle_message(from, message, now) {
            self.show(Shown::In(key));
            if self.offers == Offers::Take {
                self.inbox.take(key, now);
            }
        }
        self.outbox.handle_message(from, message, now);
        self.work();
    }

    /// Takes what a peer sent on channel `file`; what is no piece of a file is left out.
    pub fn handle_chunk(&mut self, from: PeerId, bytes: Bytes) {
        if let Some(chunk) = Chunk::decode(bytes) {
            self.inbox.handle_chunk(from, chunk);
            self.work();
        }
    }

    /// Takes a result of the thread.
    pub fn handle_done(&mut self, done: Done, now: Instant) {
        match done {
            Done::Opened { source, name, size } => {
                self.opening.remove(&source);
                let to: Vec<PeerId> = self.up.keys().copied().collect();
                match self.outbox.offer(FileId(rand::random()), &name, size, &to) {
                    Some(key) => {
                        self.sources.insert(key, source);
                        self.show(Shown::Out(key));
                        self.disk.ask(Job::Hash { source });
                    }
                    None => self.refuse(source, format!("{name}: too many files are under way")),
                }
            }
            Done::NotOpened { source, reason } => {
                self.opening.remove(&source);
                self.refuse(source, reason);
            }
            Done::Hashed { source, sha256 } => {
                if let Some(key) = self.key(source) {
                    self.outbox.handle_hash(key, sha256);
                }
            }
            Done::NotRead { source, reason } => {
                if let Some(key) = self.key(source) {
                    self.outbox.handle_unreadable(key);
                    self.ends.insert(Shown::Out(key), Err(reason));
                    self.forget(key);
                }
            }
            Done::Read { link, chunks } => {
                // A peer whose link was cut meanwhile asks again when it is back.
                if let Some((&peer, room)) = self.up.iter_mut().find(|(_, room)| room.link == link) {
                    let bytes = chunks.len() * CHUNK_BYTES;
                    room.reading = room.reading.saturating_sub(bytes);
                    room.bytes = room.bytes.saturating_sub(bytes);
                    self.outputs.extend(chunks.into_iter().map(|chunk| Output::Chunk(peer, chunk)));
                }
            }
            Done::Written { key, bytes } => self.inbox.handle_written(key, bytes, now),
            Done::NotWritten { key, reason } => {
                self.inbox.handle_unwritable(key);
                self.ends.insert(Shown::In(key), Err(reason));
            }
            Done::Checked { key, result } => {
                self.inbox.handle_checked(key, result.as_ref().map(drop).map_err(|(reason, _)| *reason));
                if let Ok(path) = &result {
                    self.outputs.push_back(Output::Received(path.clone()));
                }
                self.ends.insert(Shown::In(key), result.map_err(|(_, text)| text));
            }
        }
        self.work();
    }

    /// What is to be sent.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The list as shown, oldest first; `name` gives the name of a peer.
    pub fn view(&self, now: Instant, name: impl Fn(PeerId) -> String) -> Vec<model::File> {
        let sent: BTreeMap<u64, _> = self.outbox.files(now).map(|file| (file.key, file)).collect();
        let received: BTreeMap<u64, _> = self.inbox.files(now).map(|file| (file.key, file)).collect();
        let line = |(id, (shown, at)): (usize, &(Shown, Instant))| {
            let end = self.ends.get(shown);
            let (from, file_name, size, progress) = match shown {
                Shown::In(key) => {
                    let file = received.get(key)?;
                    (Some(name(file.from)), file.name.clone(), file.size, in_words(file.progress, end))
                }
                Shown::Out(key) => {
                    let file = sent.get(key)?;
                    (None, file.name.clone(), file.size, in_words(file.progress, end))
                }
                Shown::Refused(_) => {
                    let reason = end.and_then(|end| end.as_ref().err()).cloned().unwrap_or_default();
                    (None, String::new(), 0, model::Progress::Failed(reason))
                }
            };
            let (id, ago) = (self.first_id + id as u64, now.saturating_duration_since(*at));
            Some(model::File { id, from, ago, name: file_name, size, progress })
        };
        self.shown.iter().enumerate().filter_map(line).collect()
    }

    fn find(&self, id: u64) -> Option<Shown> {
        self.shown.get(usize::try_from(id.checked_sub(self.first_id)?).ok()?).map(|(shown, _)| *shown)
    }

    fn show(&mut self, shown: Shown) {
        self.shown.push_back((shown, Instant::now()));
        if self.shown.len() > SHOWN_MAX {
            self.first_id += 1;
            if let Some((oldest, _)) = self.shown.pop_front() {
                self.ends.remove(&oldest);
            }
        }
    }

    fn refuse(&mut self, source: u64, reason: String) {
        self.show(Shown::Refused(source));
        self.ends.insert(Shown::Refused(source), Err(reason));
        self.disk.ask(Job::Forget { source });
    }

    fn key(&self, source: u64) -> Option<u64> {
        self.sources.iter().find(|(_, s)| **s == source).map(|(key, _)| *key)
    }

    fn forget(&mut self, key: u64) {
        if let Some(source) = self.sources.remove(&key) {
            self.disk.ask(Job::Forget { source });
        }
    }

    /// Passes on what was decided.
    fn work(&mut self) {
        let over: Vec<u64> = self.sources.keys().copied().filter(|key| self.outbox.is_over(*key)).collect();
        for key in over {
            self.forget(key);
        }
        while let Some((to, message)) = self.outbox.poll_message() {
            self.outputs.push_back(Output::Message(to, message));
        }
        while let Some((to, message)) = self.inbox.poll_message() {
            self.outputs.push_back(Output::Message(to, message));
        }
        while let Some(action) = self.inbox.poll_action() {
            self.disk.ask(match action {
                Action::Open { key, name } => Job::Make { key, name },
                Action::Write { key, data } => Job::Write { key, data },
                Action::Check { key, sha256 } => Job::Check { key, sha256 },
                Action::Remove { key } => Job::Remove { key },
            });
        }
    }
}

fn in_words(progress: Progress, end: Option<&Result<PathBuf, String>>) -> model::Progress {
    match (progress, end) {
        (Progress::Offered, _) => model::Progress::Offered,
        (Progress::Running { bytes, rate }, _) => model::Progress::Running(bytes, rate),
        (Progress::Paused { bytes }, _) => model::Progress::Paused(bytes),
        (Progress::Done, Some(Ok(path))) => model::Progress::Done(Some(path.clone())),
        (Progress::Done, Some(Err(_)) | None) => model::Progress::Done(None),
        (Progress::Ended(_), Some(Err(reason))) => model::Progress::Failed(reason.clone()),
        (Progress::Ended(reason), Some(Ok(_)) | None) => model::Progress::Failed(reason.to_string()),
    }
}

#[cfg(test)]
mod tests;
