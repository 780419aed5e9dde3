//! Child processes that end with us: started with their output in a log file, stopped in the order given.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A running program; dropping it asks it to end and then makes it.
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How long a program has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

impl Running {
    /// Starts `command` with both outputs in `log`.
    ///
    /// # Errors
    /// If the log can't be made or the program can't be started.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Starts `command` and waits for a line on its standard output that begins with `prefix`; gives the rest of it.
    ///
    /// # Errors
    /// If it ends or stays silent for `patience`: with the last lines of its log.
    pub(crate) fn start_and_read(
        name: &str,
        mut command: Command,
        log: &Path,
        prefix: &str,
        patience: Duration,
    ) -> Result<(Self, String)> {
        let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let out = child.stdout.take().context("piped standard output")?;
        let mut running = Self { name: name.to_owned(), child, log: log.to_owned() };
        let (found, wait) = mpsc::sync_channel(1);
        let wanted = prefix.to_owned();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(&wanted) {
                    // Full: only the first line counts; the others are read so that the program never blocks.
                    found.try_send(rest.trim().to_owned()).ok();
                }
            }
        });
        match wait.recv_timeout(patience) {
            Ok(rest) => Ok((running, rest)),
            Err(_) => {
                let state = running.child.try_wait()?;
                bail!("{name} did not become ready ({state:?}):\n{}", running.tail());
            }
        }
    }

    /// Takes over a program that runs, whose errors go to `log`.
    pub(crate) fn of(name: &str, child: Child, log: &Path) -> Self {
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Waits for the end; `None` if it still runs after `patience`.
    ///
    /// # Errors
    /// If the process can't be waited for.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines it wrote.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("    | {line}\n")).collect()
    }

    /// Fails with the log's end unless it still runs.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.tail()),
        }
    }

    /// Peak resident memory so far, in KiB.
    pub(crate) fn peak_rss_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
    }

    /// Asks it to end and gives how it ended.
    ///
    /// # Errors
    /// If it has to be killed.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        match self.wait(GRACE)? {
            Some(status) => Ok(status),
            None => {
                bail!("{} did not end within {} s of SIGTERM:\n{}", self.name, GRACE.as_secs(), self.tail())
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It may have ended in between; then there is nothing to signal.
            kill_process(pid, signal).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            if !matches!(self.wait(GRACE), Ok(Some(_))) {
                // Neither can fail in a way that matters: the process is ours and not yet reaped.
                self.child.kill().ok();
                self.child.wait().ok();
            }
        }
    }
}
