//! The handle and the task behind it.

use tokio::sync::mpsc;

use super::{Config, Event, PeerId};
use crate::signal::Signal;

/// Messages waiting for the server.
const OUTGOING_MAX: usize = 256;
/// Events waiting for the owner.
const EVENTS_MAX: usize = 256;

/// A seat in a room; dropping it leaves the room.
#[derive(Debug)]
pub struct Client {
    outgoing: mpsc::Sender<Outgoing>,
}

/// What happens at the signalling server.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

#[derive(Debug)]
#[allow(dead_code)]
enum Outgoing {
    Signal { to: PeerId, signal: Signal },
    Leave,
}

impl Client {
    /// Starts to connect; everything else comes as events.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(config: Config) -> (Self, Events) {
        let (outgoing_tx, mut outgoing_rx) = mpsc::channel(OUTGOING_MAX);
        let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(async move {
            while let Some(outgoing) = outgoing_rx.recv().await {
                tracing::debug!(room = %config.room, ?outgoing, "not connected");
            }
            drop(events_tx);
        });
        (Self { outgoing: outgoing_tx }, Events(events_rx))
    }

    /// Sends a connection's message to a peer; never waits. While the server is away up to 256 wait for it.
    pub fn send(&self, to: PeerId, signal: Signal) {
        if self.outgoing.try_send(Outgoing::Signal { to, signal }).is_err() {
            // Full: the connection's own watchdog notices and its owner starts over.
            tracing::warn!(%to, "signal dropped: the server is away and 256 wait already");
        }
    }

    /// Leaves the room and closes; the events end once that is done.
    pub fn leave(&self) {
        // Full or closed: dropping the handle has the same effect a little later.
        self.outgoing.try_send(Outgoing::Leave).ok();
    }
}

impl Events {
    /// Waits for the next event; `None` when the client is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}
