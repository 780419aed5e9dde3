//! The newest decoded picture, on its way to the window.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use farwheel_media::VideoFrame;
use farwheel_proto::video::{FrameId, Size};

/// A decoded picture with its name on the wire.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Names the picture in commands and statistics.
    pub id: FrameId,
    /// The pixels.
    pub frame: VideoFrame,
    /// When it came out of the decoder.
    pub decoded_at: Instant,
}

/// A picture that was really drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Which.
    pub id: FrameId,
    /// When it came out of the decoder.
    pub decoded_at: Instant,
    /// When its planes were on their way to the graphics card and its draw was recorded.
    pub drawn_at: Instant,
    /// Time spent on handing the planes over.
    pub upload: std::time::Duration,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    newest: Option<Picture>,
    shown: Option<Picture>,
    overtaken: u64,
    presented: Option<Presented>,
    wake: Option<Wake>,
}

/// Names a slot for as long as the program runs; the renderer keeps textures under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(u64);

/// Slot between the decode thread and the window: newest wins, neither side waits for the other.
#[derive(Clone)]
pub struct Slot {
    id: SlotId,
    inner: Arc<Mutex<Inner>>,
}

impl Default for Slot {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: SlotId(NEXT.fetch_add(1, Ordering::Relaxed)), inner: Arc::default() }
    }
}

impl Slot {
    /// An empty slot; clones share it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name; clones share it.
    pub const fn id(&self) -> SlotId {
        self.id
    }

    /// Sets what is called after each [`Slot::put`], such as a repaint request; called without the lock.
    pub fn on_put(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.lock().wake = Some(Arc::new(wake));
    }

    /// Offers a picture; one that was not taken yet is overtaken and never shown.
    pub fn put(&self, picture: Picture) {
        let wake = {
            let mut inner = self.lock();
            if inner.newest.replace(picture).is_some() {
                inner.overtaken += 1;
            }
            inner.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Takes the newest picture if there is one that was not taken.
    pub fn take(&self) -> Option<Picture> {
        let mut inner = self.lock();
        let picture = inner.newest.take()?;
        inner.shown = Some(picture.clone());
        Some(picture)
    }

    /// The newest picture, taken or not, which stays where it is; for who looks on, such as a recording.
    pub fn newest(&self) -> Option<Picture> {
        let inner = self.lock();
        inner.newest.as_ref().or(inner.shown.as_ref()).cloned()
    }

    /// The picture taken last: what is on screen, for a snapshot.
    pub fn shown(&self) -> Option<Picture> {
        self.lock().shown.clone()
    }

    /// Size of the newest picture, taken or not.
    pub fn size(&self) -> Option<Size> {
        let inner = self.lock();
        inner.newest.as_ref().or(inner.shown.as_ref()).map(|picture| picture.frame.size)
    }

    /// Forgets every picture, at the end of a session.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.newest = None;
        inner.shown = None;
        inner.presented = None;
    }

    /// Notes that a picture was drawn; called by the renderer.
    pub fn note_presented(&self, presented: Presented) {
        self.lock().presented = Some(presented);
    }

    /// The picture drawn last.
    pub fn presented(&self) -> Option<Presented> {
        self.lock().presented
    }

    /// Number of pictures that were overtaken before they were taken.
    pub fn overtaken(&self) -> u64 {
        self.lock().overtaken
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.lock();
        f.debug_struct("Slot").field("newest", &inner.newest).field("overtaken", &inner.overtaken).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_not_taken_in_time_is_overtaken_by_the_newer_one() {
        let slot = Slot::new();
        slot.put(picture(1));
        slot.put(picture(2));
        assert_eq!(slot.take().map(|picture| picture.id), Some(FrameId(2)));
        assert!(slot.take().is_none());
        assert_eq!(slot.overtaken(), 1);
        assert_eq!(slot.shown().map(|picture| picture.id), Some(FrameId(2)));
    }

    #[test]
    fn each_put_wakes_and_the_wake_may_use_the_slot() {
        let slot = Slot::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        slot.on_put({
            let (slot, seen) = (slot.clone(), seen.clone());
            move || seen.lock().unwrap().push(slot.take().unwrap().id)
        });
        slot.put(picture(7));
        slot.put(picture(8));
        assert_eq!(*seen.lock().unwrap(), [FrameId(7), FrameId(8)]);
        assert_eq!(slot.overtaken(), 0);
    }

    fn picture(id: u16) -> Picture {
        let now = Instant::now();
        let frame = VideoFrame {
            size: Size::new(2, 2),
            data: Arc::new(vec![0; 6]),
            stride_y: 2,
            stride_uv: 1,
            captured_at: now,
        };
        Picture { id: FrameId(id), frame, decoded_at: now }
    }
}
