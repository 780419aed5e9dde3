//! Any program that writes y4m to its standard output: ffmpeg, OpenCV, a recording.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

use super::{Error, Source};
use crate::frame::VideoFrame;
use crate::slot::{Slot, Taken};
use crate::y4m;

pub(super) struct Command {
    words: Vec<String>,
    running: Option<Running>,
}

/// The program, a thread that reads pictures (`camera-read`) and one that reads messages (`camera-log`).
struct Running {
    child: Child,
    frames: Slot<Result<VideoFrame, Error>>,
    stop: Arc<AtomicBool>,
    message: Arc<Mutex<String>>,
    threads: Vec<JoinHandle<()>>,
}

impl Command {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words, running: None }
    }

    fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

impl Source for Command {
    fn open(&mut self) -> Result<(), Error> {
        self.close();
        let program = self.program().to_owned();
        let mut child = std::process::Command::new(&program)
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what the program starts ends with it, and Ctrl-C reaches the robot alone.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(&program, &error))?;
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).expect("both are piped");
        // A picture of 720p in two gulps instead of 22. Failing only costs time.
        rustix::pipe::fcntl_setpipe_size(&stdout, y4m::PIPE_BYTES_MAX).ok();
        let frames = Slot::new();
        let stop = Arc::new(AtomicBool::new(false));
        let message = Arc::new(Mutex::new(String::new()));
        let reading = {
            let (frames, pipe) = (frames.clone(), Pipe { from: stdout, stop: Arc::clone(&stop) });
            spawn("camera-read", move || read_pictures(pipe, &frames))
        };
        let logging = {
            let (message, pipe) = (Arc::clone(&message), Pipe { from: stderr, stop: Arc::clone(&stop) });
            spawn("camera-log", move || read_messages(pipe, &message, &program))
        };
        self.running = Some(Running { child, frames, stop, message, threads: vec![reading, logging] });
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> Result<Option<VideoFrame>, Error> {
        let Some(running) = &mut self.running else {
            return Err(Error::Lost("the program is not running".into()));
        };
        match running.frames.take_within(wait) {
            Taken::Value(Ok(frame)) => Ok(Some(frame)),
            Taken::Value(Err(Error::Lost(reason))) => {
                let ended = running.ended();
                let program = self.program();
                Err(Error::Lost(format!("{program}: {reason}{ended}")))
            }
            Taken::Value(Err(error)) => Err(error),
            Taken::TimedOut => Ok(None),
            Taken::Closed => Err(Error::Lost(format!("{} is no longer read", self.program()))),
        }
    }

    fn close(&mut self) {
        // Ends the program in its drop.
        self.running = None;
    }
}

impl Running {
    /// How the program ended and its last words, if it did.
    fn ended(&mut self) -> String {
        // It closed its output a moment ago; its exit and the end of its messages follow.
        let mut status = self.child.try_wait();
        for _ in 0..50 {
            if matches!(status, Ok(Some(_))) && self.threads.iter().all(JoinHandle::is_finished) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            status = self.child.try_wait();
        }
        let message = self.message.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (status, message.as_str()) {
            (Ok(Some(status)), "") => format!(" ({status})"),
            (Ok(Some(status)), message) => format!(" ({status}: {message})"),
            (_, "") => String::new(),
            (_, message) => format!(" ({message})"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The whole group; it may have ended by itself, which is as good. Not reaped yet, so its id is still its own.
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn read_pictures(pipe: Pipe<ChildStdout>, frames: &Slot<Result<VideoFrame, Error>>) {
    let error = match y4m::Reader::new(pipe) {
        Ok(mut reader) => loop {
            match reader.read() {
                Ok(frame) => frames.put(Ok(frame)),
                Err(error) => break error,
            }
        },
        Err(error) => error,
    };
    let error = match error {
        y4m::Error::Ended => Error::Lost("the program wrote no more pictures".into()),
        y4m::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Lost("the program ended within a picture".into())
        }
        y4m::Error::Io(error) => Error::Lost(error.to_string()),
        y4m::Error::Format(reason) => Error::Unsupported(reason),
    };
    frames.put(Err(error));
}

fn read_messages(pipe: Pipe<ChildStderr>, message: &Mutex<String>, program: &str) {
    let mut lines = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(MESSAGE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                // Progress lines are rewritten with carriage returns; the last one counts.
                let text = text.trim_end().rsplit('\r').next().unwrap_or_default().trim();
                if !text.is_empty() {
                    tracing::debug!(program, text, "camera program says");
                    *message.lock().unwrap_or_else(PoisonError::into_inner) = text.to_owned();
                }
            }
        }
    }
}

fn cannot_start(program: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::Missing(format!("no program {program:?}: install it or give its path"))
        }
        io::ErrorKind::PermissionDenied => {
            Error::NotAllowed(format!("{program:?} may not be run: check its permissions"))
        }
        _ => Error::Missing(format!("cannot start {program:?}: {error}")),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .expect("the system has room for one more thread")
}

/// A pipe whose reading ends when told to, even if something the program left behind keeps the other end open.
struct Pipe<F> {
    from: F,
    stop: Arc<AtomicBool>,
}

impl<F: Read + std::os::fd::AsFd> Read for Pipe<F> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let every = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("told to stop"));
            }
            let mut wait = [PollFd::new(&self.from, PollFlags::IN)];
            match rustix::event::poll(&mut wait, Some(&every)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.from.read(to),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Longer messages are cut into pieces of this many bytes.
const MESSAGE_MAX: u64 = 512;

#[cfg(test)]
mod tests;
