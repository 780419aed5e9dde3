//! One encoder, many viewers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farwheel_peer::{ConnId, Connection, Sent};
use farwheel_proto::video::EncodedFrame;

/// The connections that get the video. The lock guards the list; sending happens outside it.
#[derive(Debug)]
pub struct Fanout {
    viewers: Mutex<Arc<[Arc<Connection>]>>,
}

impl Default for Fanout {
    fn default() -> Self {
        Self { viewers: Mutex::new(Arc::new([])) }
    }
}

impl Fanout {
    /// A connection is open: it gets the video from the next key frame on.
    pub fn add(&self, connection: Arc<Connection>) {
        let mut viewers = self.lock();
        let others = viewers.iter().filter(|other| other.conn() != connection.conn()).cloned();
        let all: Arc<[_]> = others.chain([Arc::clone(&connection)]).collect();
        *viewers = all;
    }

    /// A connection is over.
    pub fn remove(&self, conn: ConnId) {
        let mut viewers = self.lock();
        if viewers.iter().any(|viewer| viewer.conn() == conn) {
            *viewers = viewers.iter().filter(|viewer| viewer.conn() != conn).cloned().collect();
        }
    }

    /// Every connection that gets the video.
    pub fn viewers(&self) -> Arc<[Arc<Connection>]> {
        Arc::clone(&self.lock())
    }

    /// Hands a picture to each connection; each has a queue of its own, and says itself when it needs a key frame.
    /// Gives how many took it.
    pub fn send(&self, frame: &EncodedFrame) -> usize {
        let viewers = self.viewers();
        viewers.iter().filter(|viewer| viewer.send_frame(frame.clone()) == Sent::Queued).count()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Arc<Connection>]>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
