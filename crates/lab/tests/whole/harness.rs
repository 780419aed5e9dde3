//! Starts the programs, reads what they say, sends them signals.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A started program; ended when dropped.
pub(crate) struct Program {
    child: Child,
    name: String,
    /// Lines of standard error and, unless it is taken as bytes, of standard output.
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    /// Starts it; both outputs are read as lines.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut program = Self::start_piped(command);
        let out = program.child.stdout.take().expect("its output is piped");
        let (send, lines) = channel();
        let err = std::mem::replace(&mut program.lines, lines);
        read_lines(out, send.clone());
        std::thread::spawn(move || err.iter().try_for_each(|line| send.send(line)));
        program
    }

    /// Starts it with an output of bytes.
    pub(crate) fn start_with_output(mut command: Command) -> (Self, ChildStdout) {
        command.stdout(Stdio::piped());
        let mut program = Self::start_piped(command);
        let out = program.child.stdout.take().expect("its output is piped");
        (program, out)
    }

    fn start_piped(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (send, lines) = channel();
        read_lines(child.stderr.take().expect("its errors are piped"), send);
        Self { child, name, lines, said: Vec::new() }
    }

    /// Waits for a line with `mark` in it that was not waited for before; gives what follows the mark.
    pub(crate) fn wait_line(&mut self, mark: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line);
                    let line = self.said.last().expect("it was just pushed");
                    if let Some((_, rest)) = line.split_once(mark) {
                        return rest.trim().to_owned();
                    }
                }
                Err(error) => {
                    let why = match error {
                        RecvTimeoutError::Timeout => "in time",
                        RecvTimeoutError::Disconnected => "before its end",
                    };
                    panic!("{} did not say `{mark}` {why}", self.name);
                }
            }
        }
    }

    /// Passes over what was said up to now.
    pub(crate) fn catch_up(&mut self) {
        self.said.extend(self.lines.try_iter());
    }

    /// Waits for the end; gives how it ended and all it said.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = wait_for("the program to end", || self.child.try_wait().unwrap());
        self.said.extend(self.lines.iter());
        (status, self.said.join("\n"))
    }

    /// Ends it without a chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SIGTERM, so that the robot stops its car and takes its actuator with it.
            let asked = Command::new("kill").arg(self.child.id().to_string()).status();
            let until = Instant::now() + GRACE;
            while asked.is_ok() && Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(POLL);
            }
        }
        // It has ended already, or it has to: neither call can fail in a way that matters.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            self.said.extend(self.lines.try_iter());
            eprintln!("--- {} ---\n{}", self.name, self.said.join("\n"));
        }
    }
}

/// Reads to the end, so that the program never blocks on a full pipe.
fn read_lines(from: impl Read + Send + 'static, to: std::sync::mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // The test has ended; what is said from here on interests nobody.
            to.send(line).ok();
        }
    });
}

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
        std::thread::sleep(POLL);
    }
}

/// A program that was built beside this test.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("tests are in the folder deps beside the programs");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

/// Longest wait for anything; a condition that takes so long will not come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(2);
