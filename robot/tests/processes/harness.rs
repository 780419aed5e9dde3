//! Starts the programs, sends them signals, reads their pulses.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use farwheel_robot::clock::monotonic_ns;
use farwheel_robot::drive::{Registers, pulse_log};
use rustix::process::{Pid, Signal};

/// Pulse widths of a car at rest.
pub(crate) const NEUTRAL: [u16; 4] = [1500; 4];
/// Index of the throttle among the widths.
pub(crate) const THROTTLE: usize = 1;
/// Index of the steering among the widths.
pub(crate) const STEER: usize = 0;
/// Full stick under the standard limit of 40 %.
pub(crate) const FULL_US: u16 = 1700;
/// Neutral has to be written by then (docs/SAFETY.md).
pub(crate) const NEUTRAL_WITHIN: Duration = Duration::from_millis(250);
/// Longest wait for anything; a condition that takes so long will not come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
///
/// # Panics
/// When it does not, with `what` was awaited.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// Waits for a line of standard output with `mark` in it; gives what follows.
    pub(crate) fn wait_line(&mut self, mark: &str) -> String {
        let lines = BufReader::new(self.child.stdout.take().expect("its output is piped")).lines();
        let (found, wanted) = std::sync::mpsc::channel();
        let mark_there = mark.to_owned();
        // Reads to the end, so that the process never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once(&mark_there) {
                    found.send(rest.to_owned()).ok();
                }
            }
        });
        wanted
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line with `{mark}`; its log:\n{}", self.log_text()))
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the process to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is fine.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- {} ---\n{}", self.log.display(), self.log_text());
        }
    }
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// The signalling server, on a port of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::listen(dir, "127.0.0.1:0", None)
    }

    pub(crate) fn listen(dir: &Path, address: &str, token_file: Option<&Path>) -> Self {
        let mut command = own_process("harness::process_of_a_signaling_server");
        command.env(SERVER_LISTEN, address).stdout(Stdio::piped());
        if let Some(file) = token_file {
            command.env(SERVER_TOKENS, file);
        }
        let mut process = Process::start(command, dir.join("signaling.log"));
        let url = process.wait_line("listening ").trim().to_owned();
        Self { process, url }
    }

    /// `host:port` it listens on.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("ws://").unwrap().split('/').next().unwrap()
    }
}

/// This same program as another process, in which one test is the whole program: so what is started is always what
/// was built, and needs no path to another package's binary.
pub(crate) fn own_process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// Not a test by itself: the signalling server of the other tests.
#[test]
fn process_of_a_signaling_server() {
    let Ok(address) = std::env::var(SERVER_LISTEN) else { return };
    let settings = farwheel_signaling::config::Settings {
        listen: Some(address.parse().unwrap()),
        token_file: std::env::var_os(SERVER_TOKENS).map(PathBuf::from),
        ..Default::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = farwheel_signaling::Server::bind(settings.try_into().unwrap()).await.unwrap();
        println!("{}", server.announcement());
        server.serve(std::future::pending()).await.unwrap();
    });
}

const SERVER_LISTEN: &str = "FARWHEEL_TEST_SERVER_LISTEN";
const SERVER_TOKENS: &str = "FARWHEEL_TEST_SERVER_TOKENS";

pub(crate) fn robot_program() -> &'static str {
    env!("CARGO_BIN_EXE_farwheel-robot")
}

/// A robot command that no file or variable of this machine changes.
pub(crate) fn robot_command(dir: &Path, subcommand: &str) -> Command {
    let empty = dir.join("empty.toml");
    File::create(&empty).unwrap();
    let mut command = Command::new(robot_program());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
        command.env_remove(name);
    }
    command.arg(subcommand).arg("--config").arg(empty);
    command
}

/// A running robot with its outputs in the open.
pub(crate) struct Robot {
    pub(crate) process: Process,
    registers: PathBuf,
    pulses: PathBuf,
}

impl Robot {
    /// Starts a robot in room `r` and waits until it is there.
    pub(crate) fn start(dir: &Path, url: &str, more: &[&str]) -> Self {
        let (registers, pulses) = (dir.join("registers"), dir.join("pulses.csv"));
        let mut command = robot_command(dir, "run");
        command.args([
            "--server",
            url,
            "--room",
            "r",
            "--name",
            "car",
            "--bind",
            "127.0.0.1",
            "--size",
            "320x180",
        ]);
        command.arg("--drive").arg(format!("sim:{}", registers.display()));
        command.arg("--pulse-log").arg(&pulses).args(more).stdout(Stdio::piped());
        let mut process = Process::start(command, dir.join("robot.log"));
        process.wait_line("ready");
        Self { process, registers, pulses }
    }

    /// Pulse widths in force.
    pub(crate) fn widths(&self) -> [u16; 4] {
        Registers::open(&self.registers).unwrap().read().unwrap().widths
    }

    /// Process id of the actuator.
    pub(crate) fn actuator(&self) -> u32 {
        let writer = self.writer();
        assert!(writer != 0 && writer != self.process.pid(), "the actuator writes, not process {writer}");
        writer
    }

    /// Process id of whoever wrote last.
    pub(crate) fn writer(&self) -> u32 {
        Registers::open(&self.registers).unwrap().read().unwrap().writer
    }

    /// Waits until the motor runs at full stick.
    pub(crate) fn wait_full(&self) {
        wait_for("full throttle", || (self.widths()[THROTTLE] == FULL_US).then_some(()));
    }

    /// Everything that the outputs did.
    pub(crate) fn pulse_lines(&self) -> Vec<pulse_log::Line> {
        pulse_log::read(&self.pulses).unwrap()
    }

    /// Waits until the motor stands for good, and gives who stopped it and how long after `since_ns`.
    ///
    /// The log is awaited, not only the registers: its line is written after them.
    pub(crate) fn wait_neutral_since(&self, since_ns: u64) -> (String, Duration) {
        let stopped = wait_for("neutral", || {
            let stands = |widths: [u16; 4]| widths[THROTTLE] == NEUTRAL[THROTTLE];
            let lines = self.pulse_lines();
            let moving = lines.iter().rposition(|line| !stands(line.widths))?;
            lines.get(moving + 1).filter(|line| line.at_ns >= since_ns && stands(self.widths())).cloned()
        });
        (stopped.writer, Duration::from_nanos(stopped.at_ns - since_ns))
    }
}

/// Does something to a process at a known time.
pub(crate) fn at_once(act: impl FnOnce()) -> u64 {
    let at = monotonic_ns();
    act();
    at
}

/// Prints and checks the time to neutral.
pub(crate) fn check_neutral(what: &str, took: Duration, limit: Duration) {
    println!("{what}: neutral after {:.1} ms (limit {} ms)", took.as_secs_f64() * 1000.0, limit.as_millis());
    assert!(took <= limit, "{what}: neutral after {took:?}, limit {limit:?}");
}
