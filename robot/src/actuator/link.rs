//! The control thread's end of the socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use farwheel_proto::control::Setpoint;
use farwheel_proto::control::actuator::Message;

use crate::clock::machine_time;

/// Sends setpoints; never waits, never allocates.
#[derive(Debug)]
pub struct Link {
    socket: UnixDatagram,
    to: PathBuf,
    boot: u32,
    sequence: u32,
}

impl Link {
    /// A link from `socket`, at which the replies arrive, to the actuator's socket at `to`.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(socket: &UnixDatagram, to: PathBuf, boot: u32) -> Result<Self> {
        let socket = socket.try_clone().context("share the actuator's socket")?;
        Ok(Self { socket, to, boot, sequence: 0 })
    }

    /// Sends a setpoint; gives its sequence.
    ///
    /// An actuator that is absent or does not take it is the watcher's business: a lost setpoint is followed by the
    /// next one within 10 ms, and by the actuator's own silence timeout after 150 ms.
    pub fn send(&mut self, setpoint: Setpoint) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        let message = Message { boot: self.boot, sequence: self.sequence, sent: machine_time(), setpoint };
        match self.socket.send_to(&message.encode(), &self.to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::debug!("actuator's socket is full")
            }
            Err(error) => tracing::debug!(%error, "no actuator to send to"),
        }
        self.sequence
    }
}
