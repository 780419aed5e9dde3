//! A place for the newest of something: state is never queued.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A newest-wins slot between two threads; clones are handles to the same slot.
///
/// Full: the older value is dropped and counted, because nobody wants to see it any more.
pub struct Slot<T> {
    inner: Arc<Inner<T>>,
}

/// What a wait for a value ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// A value that nobody has seen yet.
    Value(T),
    /// Nothing came within the time.
    TimedOut,
    /// Nothing will come any more.
    Closed,
}

type Waker = Arc<dyn Fn() + Send + Sync>;

struct Inner<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<T>,
    overwritten: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    /// An empty slot.
    pub fn new() -> Self {
        let state = State { value: None, overwritten: 0, closed: false, waker: None };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    /// Sets what is called after each [`put`](Self::put) and [`close`](Self::close), on the putting thread.
    ///
    /// A window passes its `request_repaint`, a task its `Notify`. It must be quick; it may use the slot.
    pub fn set_waker(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.lock().waker = Some(Arc::new(waker));
    }

    /// Puts a value in, in place of one that was not taken. A closed slot drops it.
    pub fn put(&self, value: T) {
        let (older, waker) = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            let older = state.value.replace(value);
            state.overwritten += u64::from(older.is_some());
            (older, state.waker.clone())
        };
        self.wake(waker);
        // Dropped outside the lock: it may be a large picture.
        drop(older);
    }

    /// Takes the value, if one has come since the last time.
    pub fn take(&self) -> Option<T> {
        self.lock().value.take()
    }

    /// Waits for a value, at most this long.
    pub fn take_within(&self, timeout: Duration) -> Taken<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(value) = state.value.take() {
                return Taken::Value(value);
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::TimedOut;
            }
            state = match self.inner.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Ends the slot: waiting threads return, a value still inside can be taken.
    pub fn close(&self) {
        let waker = {
            let mut state = self.lock();
            state.closed = true;
            state.waker.clone()
        };
        self.wake(waker);
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many values were replaced before anyone took them.
    pub fn overwritten(&self) -> u64 {
        self.lock().overwritten
    }

    fn wake(&self, waker: Option<Waker>) {
        self.inner.changed.notify_all();
        if let Some(waker) = waker {
            waker();
        }
    }

    // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Slot")
            .field("full", &state.value.is_some())
            .field("overwritten", &state.overwritten)
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_newest_value_wins_and_the_others_are_counted() {
        let slot = Slot::new();
        for value in 1..=5 {
            slot.put(value);
        }
        assert_eq!((slot.take(), slot.take(), slot.overwritten()), (Some(5), None, 4));
    }

    #[test]
    fn a_waiting_thread_gets_the_value() {
        let slot = Slot::new();
        let taker = std::thread::spawn({
            let slot = slot.clone();
            move || slot.take_within(Duration::from_secs(30))
        });
        slot.put(7);
        assert_eq!(taker.join().unwrap(), Taken::Value(7));
    }

    #[test]
    fn closing_ends_a_wait_but_keeps_the_last_value() {
        let slot = Slot::new();
        let taker = std::thread::spawn({
            let slot: Slot<u8> = slot.clone();
            move || slot.take_within(Duration::from_secs(30))
        });
        slot.close();
        assert_eq!(taker.join().unwrap(), Taken::Closed);
        let slot = Slot::new();
        slot.put(1);
        slot.close();
        slot.put(2);
        assert_eq!(slot.take_within(Duration::ZERO), Taken::Value(1));
        assert_eq!(slot.take_within(Duration::ZERO), Taken::Closed);
    }

    #[test]
    fn an_empty_slot_times_out() {
        assert_eq!(Slot::<u8>::new().take_within(Duration::ZERO), Taken::TimedOut);
    }

    #[test]
    fn the_waker_may_take_the_value_itself() {
        let slot = Slot::new();
        let seen = Arc::new(AtomicUsize::new(0));
        slot.set_waker({
            let (slot, seen) = (slot.clone(), Arc::clone(&seen));
            move || seen.store(slot.take().unwrap_or(0), Ordering::SeqCst)
        });
        slot.put(9);
        assert_eq!(seen.load(Ordering::SeqCst), 9);
        assert_eq!(slot.take(), None);
    }
}
