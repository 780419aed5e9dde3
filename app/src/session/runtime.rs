//! The threads of everything asynchronous.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime as Tokio};
use tokio::task::JoinHandle;

/// Two threads named `session`, shared by all who hold a copy. The last copy ends them, without waiting for a name
/// that is still being looked up.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Owner>);

#[derive(Debug)]
struct Owner(Option<Tokio>);

impl Runtime {
    /// Starts them.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start() -> std::io::Result<Self> {
        let tokio =
            Builder::new_multi_thread().worker_threads(2).thread_name("session").enable_all().build()?;
        Ok(Self(Arc::new(Owner(Some(tokio)))))
    }

    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tokio().spawn(task)
    }

    /// Waits for `task` here; for threads that are none of these.
    pub(crate) fn block_on<F: Future>(&self, task: F) -> F::Output {
        self.tokio().block_on(task)
    }

    fn tokio(&self) -> &Tokio {
        self.0.0.as_ref().expect("only dropping takes it")
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(tokio) = self.0.take() {
            tokio.shutdown_timeout(LAST_WORDS);
        }
    }
}

/// The time as letters carry it.
pub(crate) fn unix_seconds() -> u64 {
    // A clock before 1970 is none.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// For sockets to be closed.
const LAST_WORDS: Duration = Duration::from_millis(50);
