//! Named threads, and who goes first when all want the processor.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How soon a thread must run once it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Decides about motion: before everything else.
    Control,
    /// Carries packets: before pictures are made.
    Network,
    /// Makes pictures.
    Media,
}

/// Starts a thread.
///
/// # Errors
/// When the system has no thread left.
pub fn spawn<T: Send + 'static>(
    name: &str,
    urgency: Urgency,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        become_urgent(urgency);
        body()
    })
}

/// Asks the scheduler to treat the calling thread so. Without the right to do it (`CAP_SYS_NICE`, or `Nice=` and
/// `LimitNICE=` in a systemd unit) everything stays at the same priority, which costs latency under load only.
pub fn become_urgent(urgency: Urgency) {
    let nice = match urgency {
        Urgency::Control => NICE_CONTROL,
        Urgency::Network => NICE_NETWORK,
        Urgency::Media => return,
    };
    // On Linux a thread id names a single thread here (setpriority(2), "C library/kernel differences").
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice) {
        tracing::debug!(%error, nice, "priority stays as it is");
    }
}

/// Above audio servers (-11 is PipeWire's), below nothing of ours.
const NICE_CONTROL: i32 = -15;
const NICE_NETWORK: i32 = -10;
