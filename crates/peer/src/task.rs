//! The task that owns a connection.

use std::sync::Arc;

use farwheel_proto::video::EncodedFrame;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::connection::Shared;
use crate::event::Event;
use crate::signal::Signal;

/// What the handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// From the peer.
    Signal(Signal),
    /// Gather and check again.
    RestartIce,
    /// Four pictures waited and another came.
    SendQueueOverflowed,
    /// Leave nothing behind.
    Close,
}

/// Starts the task; it ends when the handle is gone or asks it to close.
pub(crate) fn spawn(
    _config: Config,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    frames: mpsc::Sender<EncodedFrame>,
    closed: watch::Sender<bool>,
) {
    tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            if matches!(command, Command::Close) {
                break;
            }
            tracing::debug!(conn = %shared.conn, ?command, "no engine");
        }
        drop((events, frames));
        closed.send_replace(true);
    });
}
