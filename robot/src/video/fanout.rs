//! One encoder, many viewers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farwheel_peer::{ConnId, Connection, Sent, Track};
use farwheel_proto::control::ReceiverReport;
use farwheel_proto::video::EncodedFrame;

use crate::control::PeerId;

/// The connections that get the video. The lock guards the list; sending happens outside it.
///
/// The pictures are made for one of them, the leader: rate, size, and whether one is worth encoding. The others get
/// what their own links have room for.
#[derive(Debug)]
pub struct Fanout {
    viewers: Mutex<Arc<[Viewer]>>,
}

/// Someone who gets the video.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// As control knows it.
    pub peer: PeerId,
    /// The way to it.
    pub connection: Arc<Connection>,
    /// A second way, for telemetry that its commands need, if there is one.
    pub beside: Option<Arc<Connection>>,
    /// What it says of the pictures.
    pub said: Arc<Said>,
}

/// The newest report of a viewer; browsers make none.
#[derive(Debug, Default)]
pub struct Said(Mutex<Option<ReceiverReport>>);

impl Said {
    /// The newest one.
    pub fn report(&self) -> Option<ReceiverReport> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one, unless a newer one was taken before.
    fn put(&self, report: ReceiverReport) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newer = |than: &ReceiverReport| report.sequence.wrapping_sub(than.sequence) as i32 > 0;
        if newest.as_ref().is_none_or(is_newer) {
            *newest = Some(report);
        }
    }
}

/// What became of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many took it.
    pub sent: usize,
    /// How many can use none before the next key frame, and would have room for one.
    pub awaiting_key: usize,
}

impl Default for Fanout {
    fn default() -> Self {
        Self { viewers: Mutex::new(Arc::new([])) }
    }
}

impl Fanout {
    /// A connection is open: it gets the video from the next key frame on.
    pub fn add(&self, peer: PeerId, connection: Arc<Connection>) {
        let mut viewers = self.lock();
        let (own, others): (Vec<_>, Vec<_>) =
            viewers.iter().cloned().partition(|other| other.connection.conn() == connection.conn());
        let viewer = match own.into_iter().next() {
            Some(known) => Viewer { peer, connection, ..known },
            None => Viewer { peer, connection, beside: None, said: Arc::default() },
        };
        *viewers = others.into_iter().chain([viewer]).collect();
    }

    /// A second way stands beside the connection `main`, or none any more.
    pub fn set_beside(&self, main: ConnId, beside: Option<Arc<Connection>>) {
        let mut viewers = self.lock();
        let with = |viewer: &Viewer| {
            let is_it = viewer.connection.conn() == main;
            Viewer { beside: if is_it { beside.clone() } else { viewer.beside.clone() }, ..viewer.clone() }
        };
        *viewers = viewers.iter().map(with).collect();
    }

    /// A connection is over.
    pub fn remove(&self, conn: ConnId) {
        let mut viewers = self.lock();
        if viewers.iter().any(|viewer| viewer.connection.conn() == conn) {
            *viewers = viewers.iter().filter(|viewer| viewer.connection.conn() != conn).cloned().collect();
        }
    }

    /// A viewer tells what became of the pictures.
    pub fn handle_report(&self, conn: ConnId, report: ReceiverReport) {
        if let Some(viewer) = self.viewers().iter().find(|viewer| viewer.connection.conn() == conn) {
            viewer.connection.allow_recoveries(Track::Camera);
            viewer.said.put(report);
        }
    }

    /// Everyone who gets the video.
    pub fn viewers(&self) -> Arc<[Viewer]> {
        Arc::clone(&self.lock())
    }

    /// Whom the pictures are made for: the driver, or whoever has been there longest.
    pub fn leader(&self, driver: Option<&PeerId>) -> Option<Viewer> {
        let viewers = self.viewers();
        viewers.iter().find(|viewer| Some(&viewer.peer) == driver).or_else(|| viewers.first()).cloned()
    }

    /// Hands a picture to each connection; each has a queue of its own.
    pub fn send(&self, frame: &EncodedFrame, leader: &Viewer) -> Outcome {
        let mut outcome = Outcome::default();
        for viewer in self.viewers().iter() {
            let sent = if viewer.connection.conn() == leader.connection.conn() {
                viewer.connection.send_frame(Track::Camera, frame.clone())
            } else {
                viewer.connection.offer_frame(Track::Camera, frame.clone())
            };
            match sent {
                Sent::Queued => outcome.sent += 1,
                Sent::AwaitingKey => outcome.awaiting_key += 1,
                // Asks by itself, has no room for it, or is gone.
                Sent::Overflow | Sent::NoRoom | Sent::NotConnected => {}
            }
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Viewer]>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_was_overtaken_is_not_taken() {
        let said = Said::default();
        let newest = |sequence| {
            said.put(ReceiverReport { sequence, ..ReceiverReport::default() });
            said.report().map(|report| report.sequence)
        };
        assert_eq!([newest(7), newest(6), newest(8)], [Some(7), Some(7), Some(8)]);
        assert_eq!([newest(u32::MAX), newest(1 << 31)], [Some(8), Some(1 << 31)]);
    }
}
