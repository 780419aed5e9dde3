//! `farwheel-robot actuator`: one thread between a socket and the outputs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use farwheel_proto::control::ActuatorCore;
use farwheel_proto::control::actuator::{Message, MessageError};
use tracing::{debug, info, warn};

use super::wait_readable;
use crate::cli::{ActuatorArgs, NeutralArgs};
use crate::clock::machine_time;
use crate::drive::{self, Drive};
use crate::rundir;
use crate::thread::{self, Urgency};

/// Runs until told to stop or until the parent ends; leaves the outputs at their failsafe widths.
///
/// # Errors
/// When socket or output cannot be used. The outputs may then keep their last widths: whoever started this process
/// writes neutral.
pub fn run(args: &ActuatorArgs) -> Result<()> {
    thread::become_urgent(Urgency::Control);
    let parent = args.parent.map(Parent::watch).transpose()?;
    let mut drive = drive::open(&args.output, args.pulse_log.as_deref(), "actuator")?;
    let mut core = ActuatorCore::new(drive::mixer()?, rand::random(), machine_time());
    drive.apply(&core.safe()).context("write neutral to the output")?;
    let socket = bind(&args.socket)?;
    let inode = std::fs::metadata(&args.socket).context("look at the socket")?.ino();
    let quit = quit_on_signal().context("catch signals")?;
    debug!(output = %args.output, "actuator holds the outputs");

    let mut replies_to = None;
    let ended = drive_until_told(&mut core, drive.as_mut(), &socket, &mut replies_to, &quit, parent.as_ref());
    // Whatever ended it: neutral is the last thing written.
    drive.apply(&core.safe()).context("write neutral to the output")?;
    let ended = ended?;
    // Another actuator may have taken the place; then the socket is its own.
    if std::fs::metadata(&args.socket).is_ok_and(|now| now.ino() == inode) {
        std::fs::remove_file(&args.socket).unwrap_or_else(|error| debug!(%error, "socket stays behind"));
    }
    match ended {
        Ended::Told => info!("told to stop; outputs are neutral"),
        // Its run folder is swept away by the next robot that starts.
        Ended::ParentGone => warn!("robot process is gone; outputs are neutral"),
    }
    Ok(())
}

/// Writes the failsafe widths once.
///
/// # Errors
/// When the output cannot be written.
pub fn neutral(args: &NeutralArgs) -> Result<()> {
    let mut drive = drive::open(&args.output, args.pulse_log.as_deref(), "neutral")?;
    drive.apply(&drive::mixer()?.safe()).context("write neutral to the output")
}

enum Ended {
    Told,
    ParentGone,
}

fn drive_until_told(
    core: &mut ActuatorCore,
    drive: &mut dyn Drive,
    socket: &UnixDatagram,
    replies_to: &mut Option<SocketAddr>,
    quit: &OwnedFd,
    parent: Option<&Parent>,
) -> Result<Ended> {
    loop {
        let now = machine_time();
        if let Some(duty) = core.poll_output(now) {
            drive.apply(&duty).context("write the output")?;
            reply(core, socket, replies_to.as_ref());
        }
        let timeout = core.poll_timeout().since(machine_time());
        wait_readable(
            [Some(socket as &dyn AsFd), Some(quit), parent.map(|p| &p.pidfd as &dyn AsFd)],
            timeout,
        );
        if is_readable(quit) {
            return Ok(Ended::Told);
        }
        if parent.is_some_and(|parent| is_readable(&parent.pidfd)) {
            return Ok(Ended::ParentGone);
        }
        receive(core, socket, replies_to)?;
    }
}

/// Takes all that waits; only the newest is applied.
fn receive(
    core: &mut ActuatorCore,
    socket: &UnixDatagram,
    replies_to: &mut Option<SocketAddr>,
) -> Result<()> {
    // One byte more than a message, so that a longer one is seen to be longer.
    let mut datagram = [0; Message::LEN + 1];
    loop {
        match socket.recv_from(&mut datagram) {
            Ok((length, from)) => match core.handle_message(&datagram[..length], machine_time()) {
                Ok(()) => *replies_to = Some(from),
                Err(error @ (MessageError::Malformed(_) | MessageError::Rival)) => {
                    warn!(%error, "message refused")
                }
                Err(error @ (MessageError::Stale { .. } | MessageError::Sequence { .. })) => {
                    debug!(%error, "message refused");
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("receive from robot process"),
        }
    }
}

fn reply(core: &ActuatorCore, socket: &UnixDatagram, to: Option<&SocketAddr>) {
    let Some(to) = to else { return };
    if let Err(error) = socket.send_to_addr(&core.reply().encode(), to) {
        // Full or gone: `run` is stopped or dead, which its own silence tells.
        debug!(%error, "reply not sent");
    }
}

fn bind(path: &Path) -> Result<UnixDatagram> {
    rundir::ensure_private(path).context("the socket must be in a private folder")?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove old socket {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let socket = UnixDatagram::bind(path).with_context(|| format!("bind {}", path.display()))?;
    socket.set_nonblocking(true).context("make the socket non-blocking")?;
    Ok(socket)
}

/// The process that started this one.
struct Parent {
    pidfd: OwnedFd,
}

impl Parent {
    fn watch(pid: u32) -> Result<Self> {
        let raw = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("parent is no process id")?;
        let pidfd = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty())
            .with_context(|| format!("watch parent process {pid}"))?;
        // Checked after opening: the id may have gone to another process before.
        let parent = rustix::process::getppid();
        ensure!(parent == Some(raw), "process {pid} is not the parent of this one");
        Ok(Self { pidfd })
    }
}

/// Turns SIGTERM and SIGINT into a readable descriptor.
fn quit_on_signal() -> Result<OwnedFd> {
    use tokio::signal::unix::{SignalKind, signal};
    let (told, tell) = std::os::unix::net::UnixStream::pair()?;
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn("signals", Urgency::Media, move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime
            .block_on(async {
                let (mut term, mut int) =
                    (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                ready.send(()).ok();
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                Ok(())
            })
            // Dropping its end makes the other readable.
            .map(|()| drop(tell))
    })?;
    is_ready.recv().context("the signal thread did not start")?;
    Ok(told.into())
}

fn is_readable(fd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut polled = [PollFd::new(fd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
