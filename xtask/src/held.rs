//! Programs that get ready, say `prepared`, and begin with a line: so that all of them begin at the same moment.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::Running;

/// A program that waits for its line; its standard input ends when this is dropped.
pub(crate) struct Held {
    // Before the process: a program that ends with its input does so by itself.
    input: ChildStdin,
    lines: Receiver<String>,
    running: Running,
}

impl Held {
    /// Starts it and waits until it is prepared.
    ///
    /// # Errors
    /// If it ends or stays silent: with the last lines of its log.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let (input, out) =
            (child.stdin.take().context("piped input")?, child.stdout.take().context("piped output")?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // Nobody reads on: the lines are read so that the program never blocks.
                send.send(line).ok();
            }
        });
        let mut held = Self { input, lines, running: Running::of(name, child, log) };
        held.read("prepared")?;
        Ok(held)
    }

    /// Lets it begin.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.input.write_all(b"begin\n").and_then(|()| self.input.flush()).context("let a program begin")
    }

    /// Waits for a line that begins with `prefix`; gives the rest.
    ///
    /// # Errors
    /// If it ends or stays silent: with the last lines of its log.
    pub(crate) fn read(&mut self, prefix: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
        }
        bail!("no line `{prefix}`:\n{}", self.running.tail())
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// If it fails or lasts longer.
    pub(crate) fn finish(mut self, patience: Duration) -> Result<()> {
        match self.running.wait(patience)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("it ended with {status}:\n{}", self.running.tail()),
            None => bail!("it did not end within {} s:\n{}", patience.as_secs(), self.running.tail()),
        }
    }

    /// Ends its input and waits for its end.
    ///
    /// # Errors
    /// If it fails or does not end.
    pub(crate) fn release(self) -> Result<()> {
        let Self { input, mut running, .. } = self;
        drop(input);
        match running.wait(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            state => bail!("it did not end well ({state:?}):\n{}", running.tail()),
        }
    }

    /// The last lines it wrote.
    pub(crate) fn tail(&self) -> String {
        self.running.tail()
    }
}

/// A browser on a busy machine takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);
