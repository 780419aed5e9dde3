//! Something that happens once, for which one task waits.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

#[derive(Debug)]
pub(crate) struct Once<T> {
    value: Mutex<Option<T>>,
    waker: AtomicWaker,
}

impl<T> Once<T> {
    pub(crate) fn new() -> Self {
        Self { value: Mutex::new(None), waker: AtomicWaker::new() }
    }

    /// It has happened; only the first time counts.
    pub(crate) fn set(&self, value: T) {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(value);
        self.waker.wake();
    }

    /// Waits until it has.
    pub(crate) async fn wait(&self) -> T {
        poll_fn(|cx| {
            // Before the look: what happens in between wakes.
            self.waker.register(cx.waker());
            match self.value.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(value) => Poll::Ready(value),
                None => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_happens_before_or_during_the_wait_is_noticed_and_the_first_counts() {
        let once = Arc::new(Once::new());
        once.set(1);
        once.set(2);
        assert_eq!(async_io::block_on(once.wait()), 1);
        let other = Arc::clone(&once);
        let thread = std::thread::spawn(move || async_io::block_on(other.wait()));
        once.set(3);
        assert_eq!(thread.join().expect("it ends"), 3);
    }
}
