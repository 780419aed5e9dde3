//! Reads codes (QR) in the pictures of a camera, on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use farwheel_media::qr;

use super::hands::lock;
use crate::render::slot::Slot;

/// Looks at the newest picture of a slot again and again; its thread (`scan`) is joined on drop.
#[derive(Debug)]
pub struct Scanner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    // Newest wins: a code that is still in sight is read again.
    seen: Mutex<Option<String>>,
}

impl Scanner {
    /// Begins; `wake` is called for each text that is another one than the last.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(slot: Slot, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("scan".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &slot, &wake)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes the text read last, unless it was taken.
    pub fn take(&self) -> Option<String> {
        lock(&self.shared.seen).take()
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has been reported by its hook.
            thread.join().ok();
        }
    }
}

fn run(shared: &Shared, slot: &Slot, wake: &dyn Fn()) {
    let (mut looked_at, mut told) = (None, None);
    while !shared.stop.load(Ordering::Acquire) {
        let picture = slot.newest().filter(|picture| looked_at != Some(picture.id));
        if let Some(picture) = picture {
            looked_at = Some(picture.id);
            if let Some(text) = qr::read(&picture.frame).into_iter().next()
                && told.as_ref() != Some(&text)
            {
                told = Some(text.clone());
                *lock(&shared.seen) = Some(text);
                wake();
            }
        }
        std::thread::park_timeout(PAUSE);
    }
}

/// A look costs some ten milliseconds, and people hold still for longer.
const PAUSE: Duration = Duration::from_millis(100);
