//! Starts the programs, reads what they say, sends them signals.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A started program; ended when dropped.
pub struct Program {
    child: Child,
    name: String,
    patience: Duration,
    /// Lines of standard error and, unless it is taken as bytes, of standard output.
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    /// Starts it; both outputs are read as lines.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_lines(command)
    }

    fn start_lines(mut command: Command) -> Self {
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
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_output(mut command: Command) -> (Self, ChildStdout) {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut program = Self::start_piped(command);
        let out = program.child.stdout.take().expect("its output is piped");
        (program, out)
    }

    /// Starts it with an input to write to; both outputs are read as lines.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_input(mut command: Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut program = Self::start_lines(command);
        let input = program.child.stdin.take().expect("its input is piped");
        (program, input)
    }

    fn start_piped(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child =
            command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (send, lines) = channel();
        read_lines(child.stderr.take().expect("its errors are piped"), send);
        Self { child, name, patience: PATIENCE, lines, said: Vec::new() }
    }

    /// Gives it so long for whatever is waited for; on an emulated machine all takes longer.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Waits for a line with `mark` in it that was not waited for before; gives what follows the mark.
    ///
    /// # Panics
    /// When it does not come, with what the program said.
    pub fn wait_line(&mut self, mark: &str) -> String {
        let deadline = Instant::now() + self.patience;
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

    /// Waits for a line that ends with `mark` and was not waited for before; gives what comes before the mark.
    ///
    /// # Panics
    /// When it does not come, with what the program said.
    pub fn wait_any(&mut self, mark: &str) -> String {
        loop {
            self.wait_line(mark);
            let line = self.said.last().expect("the line that was waited for");
            if let Some(before) = line.strip_suffix(mark) {
                return before.to_owned();
            }
        }
    }

    /// Passes over what was said up to now.
    pub fn catch_up(&mut self) {
        self.said.extend(self.lines.try_iter());
    }

    /// Waits for the end; gives how it ended and all it said.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = wait_within(self.patience, "the program to end", || {
            self.child.try_wait().expect("the child is ours")
        });
        self.said.extend(self.lines.iter());
        (status, self.said.join("\n"))
    }

    /// Ends it without a chance to tidy up.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// Asks it to end.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn terminate(&self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} could not be asked to end", self.name);
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
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, condition)
}

/// Waits until `condition` gives something, for as long as `patience`.
///
/// # Panics
/// When it does not, with `what` was awaited.
pub fn wait_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {} s for {what}", patience.as_secs());
        std::thread::sleep(POLL);
    }
}

/// A program that was built beside this one; a test lies in a folder below.
///
/// # Panics
/// When it is not built.
pub fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program knows its own path");
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first"))
}

/// Longest wait for anything; a condition that takes so long will not come true.
pub const PATIENCE: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(2);
