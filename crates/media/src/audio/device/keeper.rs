//! Opens devices, notices when they vanish, and brings them back.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Direction, Error, Intake, Outlet, Status, Stream, synthetic};
use crate::audio::Spec;

/// How often devices that are open are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is looked which devices there are.
const LIST: Duration = Duration::from_secs(1);
/// How often a device that cannot be opened is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Wishes on their way. Full: who wishes waits.
const COMMANDS: usize = 16;
/// Marks kept in a status. Full: the oldest is dropped.
const HEARD_MAX: usize = 600;

/// What the engine gets: `None` where there is no device.
pub(crate) enum Change {
    /// Another microphone.
    Microphone(Option<Intake>),
    /// Another speaker.
    Speaker(Option<Outlet>),
}

/// Both directions' state, for whoever wants to know.
#[derive(Default)]
pub(crate) struct Board {
    microphone: Mutex<Status>,
    speaker: Mutex<Status>,
}

impl Board {
    pub(crate) fn of(&self, direction: Direction) -> MutexGuard<'_, Status> {
        let status = match direction {
            Direction::In => &self.microphone,
            Direction::Out => &self.speaker,
        };
        // Nothing that can panic runs under the lock.
        status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that owns the devices; it ends with this.
pub(crate) struct Keeper {
    commands: Option<SyncSender<(Direction, Spec)>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Opens a microphone and a speaker and passes on what they become, now and later.
    pub(crate) fn start(
        microphone: Spec,
        speaker: Spec,
        board: Arc<Board>,
        change: impl FnMut(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS);
        let thread = std::thread::Builder::new().name("sound-devices".to_owned()).spawn(move || {
            let sides = [Side::new(microphone), Side::new(speaker)];
            let now = Instant::now();
            #[cfg(feature = "sound-devices")]
            let hardware = super::hardware::Hardware::new();
            let run = Run {
                #[cfg(feature = "sound-devices")]
                hardware,
                sides,
                board,
                change: Box::new(change),
                list_due: now,
            };
            run.run(&inbox);
        })?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Uses another device from now on.
    pub(crate) fn wish(&self, direction: Direction, spec: Spec) {
        if let Some(commands) = &self.commands {
            // It only fails after the thread has panicked, which is said on standard error.
            commands.send((direction, spec)).ok();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It has no result; that it panicked is already on standard error.
            thread.join().ok();
        }
    }
}

struct Run {
    #[cfg(feature = "sound-devices")]
    hardware: super::hardware::Hardware,
    sides: [Side; 2],
    board: Arc<Board>,
    change: Box<dyn FnMut(Change) + Send>,
    list_due: Instant,
}

struct Side {
    wanted: Spec,
    open: Option<Open>,
    /// When the wanted one is tried again; none: it is in use, or none is wanted.
    retry_at: Option<Instant>,
    /// Whether the wanted one was there when it was last looked; only one with a name is looked for.
    was_there: bool,
}

struct Open {
    stream: Box<dyn Stream>,
    name: String,
}

impl Side {
    fn new(wanted: Spec) -> Self {
        Self { wanted, open: None, retry_at: None, was_there: false }
    }
}

impl Run {
    fn run(mut self, inbox: &Receiver<(Direction, Spec)>) {
        self.list(Instant::now());
        self.open(Direction::In);
        self.open(Direction::Out);
        loop {
            match inbox.recv_timeout(LOOK) {
                Ok((direction, wanted)) => {
                    *self.side(direction) =
                        Side { open: self.side(direction).open.take(), ..Side::new(wanted) };
                    self.open(direction);
                }
                Err(RecvTimeoutError::Timeout) => self.look(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self, now: Instant) {
        let names = (now >= self.list_due).then(|| self.list(now));
        for direction in [Direction::In, Direction::Out] {
            let side = self.side(direction);
            if let Some(open) = &mut side.open {
                let heard = open.stream.heard();
                if open.stream.is_lost() {
                    tracing::warn!(device = %open.name, "the {direction} is gone");
                    side.open = None;
                    self.open(direction);
                } else if !heard.is_empty() {
                    let mut status = self.board.of(direction);
                    status.heard.extend(heard);
                    let surplus = status.heard.len().saturating_sub(HEARD_MAX);
                    status.heard.drain(..surplus);
                }
            }
            let side = self.side(direction);
            let is_due = side.retry_at.is_some_and(|at| now >= at);
            let is_worth_it = match (&side.wanted, &names) {
                (Spec::Named(name), Some(names)) => {
                    let was_there = side.was_there;
                    side.was_there = names[direction as usize].contains(name);
                    side.was_there && (!was_there || is_due)
                }
                (Spec::Named(_), None) => false,
                _ => is_due,
            };
            if side.retry_at.is_some() && is_worth_it {
                self.retry(direction);
            }
        }
    }

    /// Looks which devices there are.
    fn list(&mut self, now: Instant) -> [Vec<String>; 2] {
        self.list_due = now + LIST;
        let names = self.names();
        for (direction, names) in [Direction::In, Direction::Out].into_iter().zip(&names) {
            self.board.of(direction).names.clone_from(names);
        }
        names
    }

    #[cfg(feature = "sound-devices")]
    fn names(&self) -> [Vec<String>; 2] {
        self.hardware.names()
    }

    #[cfg(not(feature = "sound-devices"))]
    fn names(&self) -> [Vec<String>; 2] {
        <[Vec<String>; 2]>::default()
    }

    /// Tries the wanted device beside what is used instead of it, which plays on if that fails again.
    fn retry(&mut self, direction: Direction) {
        let wanted = self.side(direction).wanted.clone();
        match self.attempt(direction, &wanted) {
            Ok(change) => self.take(direction, change, None),
            Err(error) => {
                self.side(direction).retry_at = Some(Instant::now() + RETRY);
                self.board.of(direction).problem = Some(error.to_string());
            }
        }
    }

    /// Opens the wanted device, else the default one, else none, and tells the engine.
    fn open(&mut self, direction: Direction) {
        let wanted = self.side(direction).wanted.clone();
        let mut result = self.attempt(direction, &wanted);
        if matches!(result, Err(Error::Busy(_))) && self.side(direction).open.is_some() {
            // Perhaps it is us who use it.
            self.put(direction, None);
            result = self.attempt(direction, &wanted);
        }
        let (change, problem) = match result {
            Ok(change) => (change, None),
            Err(error) => {
                let instead = match wanted {
                    Spec::Named(_) => self.attempt(direction, &Spec::Default).ok().flatten(),
                    _ => None,
                };
                (instead, Some(error))
            }
        };
        self.take(direction, change, problem);
    }

    /// Uses this from now on; with a problem it is not what is wanted.
    fn take(&mut self, direction: Direction, change: Option<(Open, Change)>, problem: Option<Error>) {
        let used = change.as_ref().map(|(open, _)| open.name.clone());
        match &problem {
            Some(error) => {
                let wanted = &self.side(direction).wanted;
                tracing::warn!(%wanted, %error, used = used.as_deref().unwrap_or("none"), "no such {direction}");
            }
            None => tracing::info!(used = used.as_deref().unwrap_or("none"), "{direction}"),
        }
        self.side(direction).retry_at = problem.is_some().then(|| Instant::now() + RETRY);
        {
            let mut status = self.board.of(direction);
            status.used = used;
            status.problem = problem.map(|error| error.to_string());
        }
        self.put(direction, change);
    }

    /// Hands the engine its end, and lets go of the device before only then.
    fn put(&mut self, direction: Direction, new: Option<(Open, Change)>) {
        let (open, change) = match (new, direction) {
            (Some((open, change)), _) => (Some(open), change),
            (None, Direction::In) => (None, Change::Microphone(None)),
            (None, Direction::Out) => (None, Change::Speaker(None)),
        };
        (self.change)(change);
        self.side(direction).open = open;
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[direction as usize]
    }

    /// Opens what is wanted; `Ok(None)` where none is.
    fn attempt(&self, direction: Direction, spec: &Spec) -> Result<Option<(Open, Change)>, Error> {
        let (stream, change) = match (direction, spec) {
            (_, Spec::None) => return Ok(None),
            (Direction::In, Spec::Test) => microphone(synthetic::test_microphone()?),
            (Direction::In, Spec::Wav(path)) => {
                microphone(synthetic::file_microphone(path, synthetic::Play::Once)?)
            }
            (Direction::In, Spec::Loop(path)) => {
                microphone(synthetic::file_microphone(path, synthetic::Play::Again)?)
            }
            (Direction::Out, Spec::Test) => speaker(synthetic::test_speaker()?),
            (Direction::Out, Spec::Wav(path)) => speaker(synthetic::file_speaker(path)?),
            (Direction::Out, Spec::Loop(_)) => {
                return Err(Error::Unsupported("loop:<file> is a microphone, not a speaker".to_owned()));
            }
            (_, Spec::Default | Spec::Named(_)) => return self.attempt_hardware(direction, spec).map(Some),
        };
        Ok(Some((Open { stream, name: spec.to_string() }, change)))
    }

    #[cfg(feature = "sound-devices")]
    fn attempt_hardware(&self, direction: Direction, spec: &Spec) -> Result<(Open, Change), Error> {
        let found = match spec {
            Spec::Named(name) => self.hardware.find(direction, name),
            _ => self.hardware.default(direction),
        };
        let found = found.ok_or_else(|| Error::Missing(format!("{spec} is not there")))?;
        let (stream, change) = match direction {
            Direction::In => microphone(self.hardware.microphone(&found)?),
            Direction::Out => speaker(self.hardware.speaker(&found)?),
        };
        Ok((Open { stream, name: found.name }, change))
    }

    #[cfg(not(feature = "sound-devices"))]
    fn attempt_hardware(&self, _: Direction, spec: &Spec) -> Result<(Open, Change), Error> {
        Err(Error::Missing(format!("{spec}: this program was built without sound devices")))
    }
}

fn microphone((stream, intake): (Box<dyn Stream>, Intake)) -> (Box<dyn Stream>, Change) {
    (stream, Change::Microphone(Some(intake)))
}

fn speaker((stream, outlet): (Box<dyn Stream>, Outlet)) -> (Box<dyn Stream>, Change) {
    (stream, Change::Speaker(Some(outlet)))
}
