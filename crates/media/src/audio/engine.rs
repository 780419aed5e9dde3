//! The thread that sounds: every 10 ms from the microphone to packets and from packets to the speaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, Key, Microphone, Packet};

use super::clean::Cleaning;
use super::codec::{self, Thrift};
use super::console::{Captured, Console};
use super::device::keeper::{Board, Change, Keeper};
use super::device::ring::Taken;
use super::device::{self, Direction, Intake, Outlet};
use super::{Spec, Tone, voice};

/// How often the engine works.
const TICK: Duration = Duration::from_millis(10);
/// Further behind than this, ticks are left out rather than made up for.
const BEHIND: Duration = Duration::from_millis(200);
/// Wishes on their way. Full: who wishes waits for the next tick.
const COMMANDS: usize = 64;
/// What a recorder may be behind: 2 s. Full: the newest is dropped and counted.
const TAP: usize = 200;
/// The engine's place among threads, where the system allows it: before decoders and windows.
const NICE: i32 = -11;

/// What an engine begins with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Zero of the clock that stamps sound; the pictures' stamps count from the same.
    pub epoch: Instant,
    /// The microphone.
    pub microphone: Spec,
    /// The speaker.
    pub speaker: Spec,
    /// How the microphone's sound is cleaned.
    pub cleaning: Cleaning,
    /// How much is spent on sound.
    pub thrift: Thrift,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The codec could not be made.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// A thread could not be made.
    #[error("no thread for sound: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is known of the sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The microphone.
    pub microphone: device::Status,
    /// The speaker.
    pub speaker: device::Status,
    /// The microphone's effective value of the last 100 ms, [0, 1]; also while muted.
    pub level: f32,
    /// Somebody speaks into the microphone.
    pub speaks: bool,
    /// Somebody speaks into the muted microphone, or just did.
    pub speaks_while_muted: bool,
    /// Ticks that were left out because the machine was too busy.
    pub missed: u64,
    /// Mean time that a tick took, of the last second.
    pub tick_time: Duration,
}

/// 10 ms of all that sounds in a call: what the speaker plays, and what this side says.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// When its first sample is heard.
    pub at: Instant,
    /// One channel at 48 kHz.
    pub samples: [f32; BLOCK],
}

/// A recorder's end of the mix.
pub struct Tap {
    inbox: Receiver<Mixed>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    /// Waits for the next 10 ms; none once the engine has ended.
    pub fn next(&self) -> Option<Mixed> {
        self.inbox.recv().ok()
    }

    /// The next 10 ms, if they are there already.
    pub fn try_next(&self) -> Option<Mixed> {
        self.inbox.try_recv().ok()
    }

    /// Blocks that were dropped because the recorder was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Microphone, speaker and everything between, on threads of its own; they end with this.
pub struct Engine {
    commands: SyncSender<Command>,
    keeper: Option<Keeper>,
    board: Arc<Board>,
    own: Arc<Own>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Change(Change),
    Add(Arc<voice::Shared>),
    Microphone(Microphone),
    Key(Key, Instant),
    Clean(Cleaning),
    Thrift(Thrift),
    Loss(f32),
    Chime,
    Tone(Option<Tone>),
    Tap(SyncSender<Mixed>, Arc<AtomicU64>),
    End,
}

/// What the engine tells of itself.
#[derive(Default)]
struct Own {
    level: AtomicU32,
    /// Bit 0: speaks, bit 1: in vain.
    speaks: AtomicU32,
    missed: AtomicU64,
    tick_us: AtomicU32,
}

impl Engine {
    /// Opens the devices and begins; `send` gets each packet, on the engine's thread: it must be quick and never wait.
    ///
    /// That a device cannot be opened is no error: there is silence, and the status says why.
    ///
    /// # Errors
    ///
    /// If there is no memory or no thread.
    pub fn start(config: Config, send: impl FnMut(Packet) + Send + 'static) -> Result<Self, Error> {
        let console = Console::new(config.epoch, config.cleaning, config.thrift)?;
        let (commands, inbox) = sync_channel(COMMANDS);
        let (board, own) = (Arc::<Board>::default(), Arc::<Own>::default());
        let run = Run {
            console,
            inbox,
            send: Box::new(send),
            microphone: Side::default(),
            speaker: Side::default(),
            board: Arc::clone(&board),
            own: Arc::clone(&own),
            taps: Vec::new(),
            spent: Duration::ZERO,
            ticks: 0,
        };
        let thread = std::thread::Builder::new().name("sound".to_owned()).spawn(move || run.run())?;
        let changes = commands.clone();
        let mut engine = Self { commands, keeper: None, board, own, thread: Some(thread) };
        let keeper =
            Keeper::start(config.microphone, config.speaker, Arc::clone(&engine.board), move |change| {
                // It only fails after the engine has ended, and then nobody is left to hear it.
                changes.send(Command::Change(change)).ok();
            });
        engine.keeper = Some(keeper?);
        Ok(engine)
    }

    /// Uses another microphone from now on.
    pub fn use_microphone(&self, spec: Spec) {
        self.wish(Direction::In, spec);
    }

    /// Uses another speaker from now on.
    pub fn use_speaker(&self, spec: Spec) {
        self.wish(Direction::Out, spec);
    }

    /// Another remote; it is in the mix until the voice is dropped.
    pub fn add_voice(&self) -> voice::Voice {
        let (voice, shared) = voice::Voice::new();
        self.tell(Command::Add(shared));
        voice
    }

    /// Lets the microphone through, or not.
    pub fn set_microphone(&self, microphone: Microphone) {
        self.tell(Command::Microphone(microphone));
    }

    /// The talk key went down or up.
    pub fn set_key(&self, key: Key) {
        self.tell(Command::Key(key, Instant::now()));
    }

    /// Cleans otherwise from now on.
    pub fn set_cleaning(&self, cleaning: Cleaning) {
        self.tell(Command::Clean(cleaning));
    }

    /// Spends more or less from now on.
    pub fn set_thrift(&self, thrift: Thrift) {
        self.tell(Command::Thrift(thrift));
    }

    /// Expects this part of the packets to be lost, [0, 1]: the largest that any receiver reports.
    pub fn set_loss(&self, loss: f32) {
        self.tell(Command::Loss(loss));
    }

    /// Plays three notes on the speaker in use.
    pub fn chime(&self) {
        self.tell(Command::Chime);
    }

    /// Plays this on the speaker in use, from its beginning, until it is told otherwise.
    pub fn set_tone(&self, tone: Option<Tone>) {
        self.tell(Command::Tone(tone));
    }

    /// All that sounds from now on, for a recorder.
    pub fn tap(&self) -> Tap {
        let (sender, inbox) = sync_channel(TAP);
        let dropped = Arc::<AtomicU64>::default();
        self.tell(Command::Tap(sender, Arc::clone(&dropped)));
        Tap { inbox, dropped }
    }

    /// What is known now.
    pub fn status(&self) -> Status {
        let speaks = self.own.speaks.load(Ordering::Relaxed);
        Status {
            microphone: self.board.of(Direction::In).clone(),
            speaker: self.board.of(Direction::Out).clone(),
            level: f32::from_bits(self.own.level.load(Ordering::Relaxed)),
            speaks: speaks & 1 != 0,
            speaks_while_muted: speaks & 2 != 0,
            missed: self.own.missed.load(Ordering::Relaxed),
            tick_time: Duration::from_micros(u64::from(self.own.tick_us.load(Ordering::Relaxed))),
        }
    }

    fn wish(&self, direction: Direction, spec: Spec) {
        if let Some(keeper) = &self.keeper {
            keeper.wish(direction, spec);
        }
    }

    fn tell(&self, command: Command) {
        // It only fails after the engine has panicked, which is said on standard error.
        self.commands.send(command).ok();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The devices first: their thread hands the engine its last changes.
        self.keeper = None;
        self.tell(Command::End);
        if let Some(thread) = self.thread.take() {
            // It has no result; that it panicked is already on standard error.
            thread.join().ok();
        }
    }
}

struct Run {
    console: Console,
    inbox: Receiver<Command>,
    send: Box<dyn FnMut(Packet) + Send>,
    microphone: Side<Intake>,
    speaker: Side<Outlet>,
    board: Arc<Board>,
    own: Arc<Own>,
    taps: Vec<(SyncSender<Mixed>, Arc<AtomicU64>)>,
    spent: Duration,
    ticks: u32,
}

/// One direction's device, and for how long it has been silent.
struct Side<End> {
    end: Option<End>,
    /// When the last sound of the device before went through.
    last: Option<Instant>,
    is_changing: bool,
}

impl<End> Default for Side<End> {
    fn default() -> Self {
        Self { end: None, last: None, is_changing: false }
    }
}

impl<End> Side<End> {
    fn change(&mut self, end: Option<End>) {
        self.is_changing = self.last.is_some();
        self.end = end;
    }

    /// Sound went through; gives the gap if it is the first after a change.
    fn sounded(&mut self, now: Instant) -> Option<Duration> {
        let before = self.last.replace(now);
        // Two blocks of a steady stream are a tick apart.
        std::mem::take(&mut self.is_changing)
            .then(|| now.saturating_duration_since(before.unwrap_or(now)).saturating_sub(TICK))
    }
}

impl Run {
    fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "sound runs with everybody's priority");
        }
        let mut due = Instant::now();
        loop {
            due += TICK;
            let now = Instant::now();
            match due.checked_duration_since(now) {
                Some(left) => std::thread::sleep(left),
                None if now - due > BEHIND => {
                    let missed = ((now - due).as_nanos() / TICK.as_nanos()) as u32;
                    self.own.missed.fetch_add(u64::from(missed), Ordering::Relaxed);
                    tracing::warn!(missed, "the machine was too busy for sound");
                    due += TICK * missed;
                }
                None => {}
            }
            while let Ok(command) = self.inbox.try_recv() {
                if matches!(command, Command::End) {
                    return;
                }
                self.obey(command);
            }
            self.tick(due);
        }
    }

    fn obey(&mut self, command: Command) {
        let result = match command {
            Command::Change(Change::Microphone(intake)) => {
                self.microphone.change(intake);
                Ok(())
            }
            Command::Change(Change::Speaker(outlet)) => {
                self.speaker.change(outlet);
                Ok(())
            }
            Command::Add(shared) => self.console.add(shared),
            Command::Microphone(microphone) => {
                self.console.set_microphone(microphone);
                Ok(())
            }
            Command::Key(key, at) => {
                self.console.set_key(key, at);
                Ok(())
            }
            Command::Clean(cleaning) => {
                self.console.set_cleaning(cleaning);
                Ok(())
            }
            Command::Thrift(thrift) => self.console.set_thrift(thrift),
            Command::Loss(loss) => self.console.set_loss(loss),
            Command::Chime => {
                self.console.chime();
                Ok(())
            }
            Command::Tone(tone) => {
                self.console.set_tone(tone);
                Ok(())
            }
            Command::Tap(sender, dropped) => {
                self.taps.push((sender, dropped));
                Ok(())
            }
            Command::End => Ok(()),
        };
        if let Err(error) = result {
            tracing::error!(%error, "sound does not do what was asked");
        }
    }

    fn tick(&mut self, now: Instant) {
        let began = Instant::now();
        let heard_in = self.speaker.end.as_ref().map_or(Duration::ZERO, |outlet| outlet.delay(now));
        let mut block = [0.0; BLOCK];
        let taken = self.microphone.end.as_mut().map(|intake| intake.take(now, &mut block));
        let captured = match taken {
            Some(Taken::Sound(ago)) => Some(Captured { block, ago }),
            Some(Taken::Nothing) | None => None,
        };
        let ago = captured.as_ref().map(|captured| captured.ago);
        let mut ticked = self.console.tick(now, heard_in, captured);
        if let Some(outlet) = &mut self.speaker.end {
            outlet.put(now, &ticked.speaker);
        }
        if let Some(packet) = ticked.packet.take() {
            (self.send)(packet);
        }
        if !self.taps.is_empty() {
            let samples = std::array::from_fn(|n| (ticked.speaker[n] + ticked.own[n]).clamp(-1.0, 1.0));
            self.feed(&Mixed { at: now + heard_in, samples });
        }
        self.tell(now, ago, heard_in);
        self.spent += began.elapsed();
        self.ticks += 1;
        if self.ticks == 100 {
            self.own.tick_us.store((self.spent / self.ticks).as_micros() as u32, Ordering::Relaxed);
            (self.spent, self.ticks) = (Duration::ZERO, 0);
        }
    }

    fn feed(&mut self, mixed: &Mixed) {
        self.taps.retain(|(sender, dropped)| match sender.try_send(mixed.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// Tells what became of this tick.
    fn tell(&mut self, now: Instant, ago: Option<Duration>, heard_in: Duration) {
        let (level, speaks, in_vain) = self.console.own(now);
        self.own.level.store(level.to_bits(), Ordering::Relaxed);
        self.own.speaks.store(u32::from(speaks) | u32::from(in_vain) << 1, Ordering::Relaxed);
        let intake = self.microphone.end.as_ref().map(|end| (end.drift_ppm(), end.clock().hiccups()));
        if let (Some(ago), Some((drift, hiccups))) = (ago, intake) {
            let gap = self.microphone.sounded(now);
            note(&self.board, Direction::In, ago.saturating_sub(TICK), drift, hiccups, gap);
        }
        let outlet = self.speaker.end.as_ref().filter(|end| end.is_running());
        if let Some((drift, hiccups)) = outlet.map(|end| (end.drift_ppm(), end.clock().hiccups())) {
            let gap = self.speaker.sounded(now);
            note(&self.board, Direction::Out, heard_in, drift, hiccups, gap);
        }
    }
}

fn note(
    board: &Board,
    direction: Direction,
    delay: Duration,
    drift: f64,
    hiccups: u64,
    gap: Option<Duration>,
) {
    let mut status = board.of(direction);
    status.delay = delay;
    status.hiccups = hiccups;
    status.drift_ppm = drift;
    if let Some(gap) = gap {
        tracing::info!(gap_ms = gap.as_millis() as u64, "{direction} changed");
        status.gap = Some(gap);
    }
}

#[cfg(test)]
mod tests;
