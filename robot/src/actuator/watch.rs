//! Starts the actuator process, watches it, and writes neutral when it cannot.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_proto::control::actuator::{Health, PERIOD, Reply, Watch};
use rustix::process::{Pid, PidfdFlags, Signal};
use tracing::{debug, error, info, warn};

use super::wait_readable;
use crate::clock::machine_time;
use crate::drive::{self, Drive, Output};
use crate::thread::{self, Urgency};

/// Name of the socket in the run folder at which replies arrive.
pub const REPLY_SOCKET: &str = "run.sock";
/// Name of the actuator's socket in the run folder.
pub const SOCKET: &str = "actuator.sock";

/// Which actuator process to watch.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who starts it.
    pub owner: Owner,
    /// Where it listens.
    pub socket: PathBuf,
    /// The outputs it has, which this process writes neutral to when it fails.
    pub output: Output,
    /// Where each change of the pulses is written down.
    pub pulse_log: Option<PathBuf>,
}

/// Who starts the actuator process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process, with this program.
    Us(PathBuf),
    /// Someone else (systemd), who also starts it again.
    Other,
}

/// What is known of the actuator process, for everyone to read.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    watch: Watch,
    starts: u32,
    output: OutputState,
}

/// Whether the outputs can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputState {
    /// As far as is known.
    #[default]
    Fine,
    /// The actuator could not, or `run` could not when it had to.
    Failed,
}

/// One reading of the board.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Whether the actuator answers.
    pub health: Health,
    /// Its newest answer.
    pub reply: Option<Reply>,
    /// How many actuators have answered so far, the present one included.
    pub starts: u32,
    /// Whether the outputs can be written.
    pub output: OutputState,
}

impl Board {
    /// What is known.
    pub fn read(&self) -> Reading {
        let state = self.lock();
        Reading {
            health: state.watch.health(machine_time()),
            reply: state.watch.reply(),
            starts: state.starts,
            output: state.output,
        }
    }

    fn take_replies(&self, socket: &UnixDatagram) -> Result<()> {
        let mut datagram = [0; Reply::LEN + 1];
        loop {
            match socket.recv(&mut datagram) {
                Ok(length) => {
                    let mut state = self.lock();
                    let first = state.watch.reply().is_none();
                    match state.watch.handle_reply(&datagram[..length], machine_time()) {
                        Ok(restarted) => {
                            state.starts += u32::from(first || restarted);
                            state.output = OutputState::Fine;
                        }
                        Err(error) => warn!(%error, "actuator's reply refused"),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("receive from actuator"),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that watches; stopping it stops the actuator.
#[derive(Debug)]
pub struct Watcher {
    quit: Option<UnixStream>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Watcher {
    /// Starts to watch; with [`Owner::Us`] also starts the actuator, over and over if need be.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left.
    pub fn start(config: Config, socket: UnixDatagram, board: Arc<Board>) -> Result<Self> {
        let (quit, told) = UnixStream::pair().context("make the quit descriptor")?;
        let told = OwnedFd::from(told);
        let watch = Watching { config, socket, board, quit: told };
        let thread = thread::spawn("actuator-watch", Urgency::Control, move || watch.run())
            .context("start the actuator-watch thread")?;
        Ok(Self { quit: Some(quit), thread: Some(thread) })
    }

    /// Stops the actuator and the watching.
    ///
    /// # Errors
    /// When the outputs could not be proven neutral.
    pub fn stop(mut self) -> Result<()> {
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        drop(self.quit.take());
        match self.thread.take() {
            Some(thread) => thread.join().expect("a panic ends the process"),
            None => Ok(()),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            error!("{error:#}");
        }
    }
}

struct Watching {
    config: Config,
    socket: UnixDatagram,
    board: Arc<Board>,
    quit: OwnedFd,
}

/// Why a watched actuator is no longer watched.
#[derive(Debug)]
enum Ended {
    /// This process ends.
    Told,
    /// It ended by itself.
    Exited(ExitStatus),
    /// It does not answer.
    Silent,
}

impl Watching {
    fn run(self) -> Result<()> {
        match self.config.owner.clone() {
            Owner::Us(program) => self.run_own(&program),
            Owner::Other => self.run_other(),
        }
    }

    fn run_own(&self, program: &std::path::Path) -> Result<()> {
        let mut failures = 0u32;
        loop {
            let began = Instant::now();
            match self.start_process(program) {
                Ok(mut child) => {
                    let ended = self.supervise(&mut child)?;
                    if let Ended::Told = ended {
                        return self.stop_process(child);
                    }
                    let output = match &ended {
                        Ended::Exited(status) => warn_of_exit(*status),
                        Ended::Silent | Ended::Told => OutputState::Fine,
                    };
                    // It must be gone before neutral is written: a stopped process may still be in the middle of a
                    // write of its own.
                    child.kill().context("kill the actuator")?;
                    child.wait().context("wait for the killed actuator")?;
                    let neutral = self.write_neutral();
                    if let Ended::Silent = ended {
                        warn!("actuator did not answer: killed");
                    }
                    self.board.lock().output = if neutral { output } else { OutputState::Failed };
                }
                Err(error) => {
                    if failures == 0 {
                        error!("{error:#}; trying again");
                    }
                    self.write_neutral();
                }
            }
            failures = if began.elapsed() > HEALTHY_AFTER { 1 } else { failures.saturating_add(1) };
            let backoff = BACKOFF_MIN * 2u32.pow(failures.min(8) - 1);
            wait_readable([Some(&self.quit as &dyn AsFd)], backoff.min(BACKOFF_MAX));
            if self.is_told() {
                ensure!(self.write_neutral(), "the outputs could not be set to neutral");
                return Ok(());
            }
        }
    }

    fn run_other(&self) -> Result<()> {
        // Present while the actuator is silent. Neutral is written over and over: it may only be stopped, and put
        // an old width in force when it goes on.
        let mut stand_in: Option<StandIn> = None;
        let began = Instant::now();
        let mut is_awaited = true;
        loop {
            wait_readable([Some(&self.socket as &dyn AsFd), Some(&self.quit)], PERIOD);
            self.board.take_replies(&self.socket)?;
            if self.is_told() {
                return Ok(());
            }
            let answers = self.board.read();
            if answers.reply.is_none() {
                if is_awaited && began.elapsed() > START_MAX {
                    // Once, and the outputs are let go again: it may be about to open them.
                    is_awaited = false;
                    warn!("no actuator answers at {}; outputs set to neutral", self.config.socket.display());
                    if !self.write_neutral() {
                        self.board.lock().output = OutputState::Failed;
                    }
                }
                continue;
            }
            if answers.health != Health::Silent {
                stand_in = None;
                continue;
            }
            let stand_in = stand_in.get_or_insert_with(|| {
                warn!("actuator does not answer");
                StandIn::default()
            });
            if !stand_in.write_neutral(&self.config) {
                self.board.lock().output = OutputState::Failed;
            }
        }
    }

    fn start_process(&self, program: &std::path::Path) -> Result<Child> {
        let mut command = Command::new(program);
        // What `ps` shows; the program itself may be named by /proc/self/exe.
        command.arg0("farwheel-robot");
        command.arg("actuator").arg("--socket").arg(&self.config.socket);
        command.arg("--drive").arg(self.config.output.to_string());
        if let Some(log) = &self.config.pulse_log {
            command.arg("--pulse-log").arg(log);
        }
        command.arg("--parent").arg(std::process::id().to_string());
        // Its own group: Ctrl-C in a terminal reaches `run` alone, which stops it in order.
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.spawn().with_context(|| format!("start the actuator program {}", program.display()))
    }

    /// Returns when the actuator ends, falls silent, or has to be stopped.
    fn supervise(&self, child: &mut Child) -> Result<Ended> {
        let pid = Pid::from_child(child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("watch the actuator")?;
        let began = Instant::now();
        let starts_before = self.board.read().starts;
        info!(pid = child.id(), "actuator started");
        loop {
            wait_readable([Some(&self.socket as &dyn AsFd), Some(&pidfd), Some(&self.quit)], PERIOD);
            self.board.take_replies(&self.socket)?;
            if let Some(status) = child.try_wait().context("look after the actuator")? {
                return Ok(Ended::Exited(status));
            }
            if self.is_told() {
                return Ok(Ended::Told);
            }
            let reading = self.board.read();
            let answered = reading.starts > starts_before;
            if answered && reading.health == Health::Silent || !answered && began.elapsed() > START_MAX {
                return Ok(Ended::Silent);
            }
        }
    }

    /// Asks the actuator to end; it writes neutral last of all. If it does not, neutral is written here.
    fn stop_process(&self, mut child: Child) -> Result<()> {
        let pid = Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("watch the actuator")?;
        rustix::process::pidfd_send_signal(&pidfd, Signal::TERM).context("ask the actuator to end")?;
        let deadline = Instant::now() + STOP_MAX;
        loop {
            if let Some(status) = child.try_wait().context("wait for the actuator")? {
                if status.success() {
                    return Ok(());
                }
                warn!(%status, "actuator failed while it ended");
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                warn!("actuator does not end: killed");
                break;
            }
            wait_readable([Some(&pidfd as &dyn AsFd)], left);
        }
        child.kill().context("kill the actuator")?;
        child.wait().context("wait for the killed actuator")?;
        if !self.write_neutral() {
            bail!("the outputs could not be set to neutral");
        }
        Ok(())
    }

    /// Takes the outputs for the moment that the failsafe widths need; false if that failed.
    fn write_neutral(&self) -> bool {
        let written = drive::open(&self.config.output, self.config.pulse_log.as_deref(), "run").and_then(
            |mut drive| drive.apply(&drive::mixer()?.safe()).context("write neutral to the output"),
        );
        match written {
            Ok(()) => {
                debug!("neutral written in place of the actuator");
                true
            }
            Err(error) => {
                error!("{error:#}");
                false
            }
        }
    }

    fn is_told(&self) -> bool {
        let mut byte = [0];
        // Readable only when the other end is closed; nothing is ever sent.
        matches!(rustix::net::recv(&self.quit, &mut byte, rustix::net::RecvFlags::DONTWAIT), Ok((0, _)))
    }
}

/// Keeps the outputs neutral in place of an actuator that is silent but may still be there.
#[derive(Default)]
struct StandIn {
    /// Kept open, so that the pulse log tells of changes only.
    drive: Option<Box<dyn Drive>>,
    output: OutputState,
}

impl StandIn {
    /// Writes neutral; false if that failed. A failure is logged once and tried again at the next call.
    fn write_neutral(&mut self, config: &Config) -> bool {
        match self.try_write(config) {
            Ok(()) => {
                self.output = OutputState::Fine;
                true
            }
            Err(error) => {
                if self.output == OutputState::Fine {
                    error!("{error:#}; trying again");
                }
                (self.drive, self.output) = (None, OutputState::Failed);
                false
            }
        }
    }

    fn try_write(&mut self, config: &Config) -> Result<()> {
        let drive = match &mut self.drive {
            Some(drive) => drive,
            None => self.drive.insert(drive::open(&config.output, config.pulse_log.as_deref(), "run")?),
        };
        drive.apply(&drive::mixer()?.safe()).context("write neutral to the output")
    }
}

fn warn_of_exit(status: ExitStatus) -> OutputState {
    warn!(%status, "actuator ended by itself; outputs set to neutral");
    // It ends with a code of its own only when it cannot write; a signal is somebody else's doing.
    if status.code().is_some() { OutputState::Failed } else { OutputState::Fine }
}

/// Starting takes some 10 ms; on a Pi with a cold SD card up to a second.
const START_MAX: Duration = Duration::from_secs(3);
/// Ending takes one output.
const STOP_MAX: Duration = Duration::from_millis(500);
/// A process that lived for this long has not failed in a row.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use farwheel_proto::control::Axis;
    use farwheel_proto::control::actuator::StateCode;

    use super::*;
    use crate::drive::registers::{Registers, Widths};

    const NEUTRAL: Widths = [1500; 4];

    /// A watcher of an actuator that someone else starts, the registers at some throttle, and the actuator's end.
    fn watch_other(dir: &std::path::Path) -> (Watcher, Registers, UnixDatagram) {
        let path = dir.join("registers");
        let (socket, actuator) = UnixDatagram::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let config = Config {
            owner: Owner::Other,
            socket: dir.join(SOCKET),
            output: Output::Sim(Some(path.clone())),
            pulse_log: None,
        };
        let mut registers = Registers::open(&path).unwrap();
        registers.write([1500, 1700, 1500, 1500]).unwrap();
        (Watcher::start(config, socket, Arc::default()).unwrap(), registers, actuator)
    }

    #[test]
    fn outputs_are_set_to_neutral_though_no_actuator_was_ever_there() {
        let dir = tempfile::tempdir().unwrap();
        let (watcher, registers, _actuator) = watch_other(dir.path());
        wait_for_neutral(&registers);
        watcher.stop().unwrap();
    }

    #[test]
    fn a_silent_actuator_of_someone_else_is_overruled_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let (watcher, mut registers, actuator) = watch_other(dir.path());
        let reply = Reply {
            boot: 1,
            sequence: 1,
            state: StateCode::Live,
            throttle: Axis::MAX,
            steer: Axis::ZERO,
            pulses_us: NEUTRAL,
        };
        actuator.send(&reply.encode()).unwrap();
        wait_for_neutral(&registers);
        // It was only stopped, and ends the write that it was in the middle of.
        registers.write([1500, 1700, 1500, 1500]).unwrap();
        wait_for_neutral(&registers);
        watcher.stop().unwrap();
    }

    #[track_caller]
    fn wait_for_neutral(registers: &Registers) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while registers.read().unwrap().widths != NEUTRAL {
            assert!(Instant::now() < deadline, "the pulses run on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
