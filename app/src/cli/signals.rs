//! Ctrl-C and SIGTERM: the program ends by itself, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// Whether the user or the system asked to stop.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from here on, and wakes `waiter` when asked. A second signal ends the process at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn listen(waiter: Thread) -> std::io::Result<Self> {
        let stop = Self(Arc::new(AtomicBool::new(false)));
        let asked = Arc::clone(&stop.0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                while wait().await.is_ok() {
                    if asked.swap(true, Ordering::AcqRel) {
                        std::process::exit(130);
                    }
                    waiter.unpark();
                }
            });
        })?;
        Ok(stop)
    }

    /// Whether it was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Waits for one of them.
#[cfg(unix)]
pub(super) async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
