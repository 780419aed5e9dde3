//! The thread `files`: everything that waits for a disk.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use farwheel_proto::call::file::{CHUNK_DATA_BYTES, Chunk, Read, Reason, name};
use farwheel_proto::call::verify::Bytes32;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Open a file to send.
    Open { source: u64, path: PathBuf },
    /// Hash it whole, when there is nothing else to do.
    Hash { source: u64 },
    /// Read a part of it.
    Read { source: u64, link: u64, read: Read },
    /// Close it.
    Forget { source: u64 },
    /// Make an empty file for a received one.
    Make { key: u64, name: String },
    /// Write at its end.
    Write { key: u64, data: Bytes },
    /// Compare its hash, and give it its name.
    Check { key: u64, sha256: Bytes32 },
    /// Remove it.
    Remove { key: u64 },
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// A file to send is there.
    Opened {
        /// As asked.
        source: u64,
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// It is not, or is none.
    NotOpened {
        /// As asked.
        source: u64,
        /// Why, in words.
        reason: String,
    },
    /// Its hash.
    Hashed {
        /// As asked.
        source: u64,
        /// SHA-256 of the whole.
        sha256: Bytes32,
    },
    /// A part of it, in pieces as they are sent.
    Read {
        /// For which link.
        link: u64,
        /// The pieces.
        chunks: Vec<Bytes>,
    },
    /// It cannot be read any more.
    NotRead {
        /// As asked.
        source: u64,
        /// Why, in words.
        reason: String,
    },
    /// Written.
    Written {
        /// Which.
        key: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// Could not be made or written.
    NotWritten {
        /// Which.
        key: u64,
        /// Why, in words.
        reason: String,
    },
    /// Compared: where it lies now, or why it is not kept.
    Checked {
        /// Which.
        key: u64,
        /// The file, or the reason, for the sender and in words.
        result: Result<PathBuf, (Reason, String)>,
    },
}

/// The thread, joined on drop. What is not complete then is removed.
#[derive(Debug)]
pub(super) struct Disk {
    // No bound of its own: writes are bounded by twice `file::WINDOW` for each file that the user took, reads by the room
    // of the peers' channels, and everything else by `file::FILES_MAX`.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    pub(super) fn start(folder: PathBuf, results: UnboundedSender<Done>) -> io::Result<Self> {
        let (jobs, receiver) = channel();
        let worker = Worker {
            folder,
            results,
            sources: BTreeMap::new(),
            parts: BTreeMap::new(),
            hashing: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("files".into()).spawn(move || worker.run(&receiver))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // It ends with this handle only.
            jobs.send(job).ok();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            thread.join().ok();
        }
    }
}

struct Worker {
    folder: PathBuf,
    results: UnboundedSender<Done>,
    sources: BTreeMap<u64, Source>,
    parts: BTreeMap<u64, Part>,
    hashing: VecDeque<u64>,
}

struct Source {
    file: File,
    sum: Sha256,
    hashed: u64,
    size: u64,
}

struct Part {
    path: PathBuf,
    name: String,
    file: File,
    sum: Sha256,
}

/// Hashed between two jobs: a few milliseconds of work.
const HASH_BYTES: usize = 1 << 20;
/// Names tried before giving up.
const NAMES_MAX: u32 = 1000;

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = if self.hashing.is_empty() {
                jobs.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                jobs.try_recv()
            };
            match job {
                Ok(job) => self.handle(job),
                Err(TryRecvError::Empty) => self.hash(),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        for part in self.parts.into_values() {
            // Nothing else can be done about it.
            fs::remove_file(part.path).ok();
        }
    }

    fn tell(&self, done: Done) {
        // Nobody listens any more only at the end of the call.
        self.results.send(done).ok();
    }

    fn handle(&mut self, job: Job) {
        match job {
            Job::Open { source, path } => match open(&path) {
                Ok((file, size)) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.sources.insert(source, Source { file, sum: Sha256::new(), hashed: 0, size });
                    self.tell(Done::Opened { source, name, size });
                }
                Err(e) => self.tell(Done::NotOpened { source, reason: format!("{}: {e}", path.display()) }),
            },
            Job::Hash { source } => self.hashing.push_back(source),
            Job::Read { source, link, read } => self.read(source, link, read),
            Job::Forget { source } => {
                self.sources.remove(&source);
                self.hashing.retain(|s| *s != source);
            }
            Job::Make { key, name } => match make(&self.folder, &name) {
                Ok((path, file)) => {
                    drop(self.parts.insert(key, Part { path, name, file, sum: Sha256::new() }))
                }
                Err(e) => self.fail(key, format!("{}: {e}", self.folder.display())),
            },
            Job::Write { key, data } => {
                // Not there any more: it failed before, which was told.
                let Some(part) = self.parts.get_mut(&key) else { return };
                match part.file.write_all(&data) {
                    Ok(()) => {
                        part.sum.update(&data);
                        self.tell(Done::Written { key, bytes: data.len() as u64 });
                    }
                    Err(e) => {
                        let reason = format!("{}: {e}", part.path.display());
                        self.fail(key, reason);
                    }
                }
            }
            Job::Check { key, sha256 } => {
                let Some(part) = self.parts.remove(&key) else { return };
                self.tell(Done::Checked { key, result: part.keep(&self.folder, sha256) });
            }
            Job::Remove { key } => {
                if let Some(part) = self.parts.remove(&key) {
                    // Nothing else can be done about it.
                    fs::remove_file(part.path).ok();
                }
            }
        }
    }

    fn fail(&mut self, key: u64, reason: String) {
        if let Some(part) = self.parts.remove(&key) {
            // Perhaps there is room again.
            fs::remove_file(part.path).ok();
        }
        self.tell(Done::NotWritten { key, reason });
    }

    fn read(&self, source: u64, link: u64, read: Read) {
        let Some(from) = self.sources.get(&source) else { return };
        let mut data = vec![0; read.length];
        if let Err(e) = from.file.read_exact_at(&mut data, read.offset) {
            self.tell(Done::NotRead { source, reason: format!("cannot be read any more: {e}") });
            return;
        }
        let data = Bytes::from(data);
        let pieces = (0..read.length).step_by(CHUNK_DATA_BYTES);
        let chunks = pieces.map(|at| {
            let data = data.slice(at..read.length.min(at + CHUNK_DATA_BYTES));
            Chunk { file: read.file, offset: read.offset + at as u64, data }.encode()
        });
        self.tell(Done::Read { link, chunks: chunks.collect() });
    }

    /// Hashes a bit of the first file in the row.
    fn hash(&mut self) {
        let Some(&source) = self.hashing.front() else { return };
        let Some(from) = self.sources.get_mut(&source) else {
            self.hashing.pop_front();
            return;
        };
        let length = (from.size - from.hashed).min(HASH_BYTES as u64) as usize;
        let mut data = vec![0; length];
        if let Err(e) = from.file.read_exact_at(&mut data, from.hashed) {
            self.hashing.pop_front();
            self.tell(Done::NotRead { source, reason: format!("cannot be read any more: {e}") });
            return;
        }
        from.sum.update(&data);
        from.hashed += length as u64;
        if from.hashed == from.size {
            let sha256 = Bytes32(std::mem::take(&mut from.sum).finalize().into());
            self.hashing.pop_front();
            self.tell(Done::Hashed { source, sha256 });
        } else {
            // In turns: a small file does not wait for a large one.
            self.hashing.rotate_left(1);
        }
    }
}

impl Part {
    /// Compares, and gives the file a name that no other has.
    fn keep(mut self, folder: &Path, sha256: Bytes32) -> Result<PathBuf, (Reason, String)> {
        let sum: [u8; 32] = std::mem::take(&mut self.sum).finalize().into();
        let result = if sum == sha256.0 {
            self.file
                .flush()
                .and_then(|()| self.name_it(folder))
                .map_err(|e| (Reason::Unwritable, format!("{}: {e}", folder.display())))
        } else {
            Err((Reason::Damaged, Reason::Damaged.to_string()))
        };
        // Its second name, or what is of no use.
        fs::remove_file(&self.path).ok();
        result
    }

    fn name_it(&self, folder: &Path) -> io::Result<PathBuf> {
        for path in candidates(folder, &self.name) {
            match fs::hard_link(&self.path, &path) {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                // File systems without links: made empty first, so that nothing is overwritten.
                Err(_) => match OpenOptions::new().write(true).create_new(true).open(&path) {
                    Ok(_) => return fs::rename(&self.path, &path).map(|()| path),
                    Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(e),
                },
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "every name is taken"))
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    // Looked at first: opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "is no file"));
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// An empty file beside what it will be.
fn make(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    fs::create_dir_all(folder)?;
    for path in candidates(folder, &format!("{name}.part")) {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "every name is taken"))
}

fn candidates<'a>(folder: &'a Path, wanted: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let numbered = (2..=NAMES_MAX).map(move |number| name::numbered(wanted, number));
    std::iter::once(wanted.to_owned()).chain(numbered).map(move |name| folder.join(name))
}
