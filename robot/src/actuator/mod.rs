//! The process that owns the outputs, and how `run` starts, feeds and watches it.
//!
//! ```text
//! run                                                     actuator (no network)
//! [control thread] --Link--> datagrams, 100 Hz + at once --> [main thread] ActuatorCore -> Drive
//! [actuator-watch] <-------- replies after each output <--
//!        | child ends, or no reply for 200 ms: kill it, write neutral, start it again
//! ```

pub mod link;
pub mod process;
pub mod watch;

pub use link::Link;
pub use watch::{Board, Watcher};

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// Waits until one of `fds` is readable or `timeout` is over; a signal ends it early.
fn wait_readable<const N: usize>(fds: [Option<&dyn AsFd>; N], timeout: Duration) {
    let mut polled: Vec<_> =
        fds.into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    match rustix::event::poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => panic!("poll of open descriptors failed: {error}"),
    }
}
