//! Clock probes on the channel `telemetry`: any viewer's ping, the robot's pong. Neither is a sign of life.

use super::wire::{DatagramError, Shape, Tail, Writer};
use crate::video::CarTime;

/// A viewer asks for the robot's time: version 1, type 4, two zero bytes, then `sent_us` u64 at offset 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The viewer's clock at sending, in µs; only the viewer gives it a meaning.
    pub sent_us: u64,
}

/// The robot's answer: version 1, type 5, two zero bytes, `boot` u32 at 4, `sent_us` u64 at 8, `received` u64 at
/// 16, `answered` u64 at 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Differs each time the robot's process starts.
    pub boot: u32,
    /// The viewer's clock, as the ping gave it.
    pub sent_us: u64,
    /// The robot's clock when the ping arrived.
    pub received: CarTime,
    /// The robot's clock when this was sent.
    pub answered: CarTime,
}

impl Ping {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 12;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        Writer::<{ Self::LEN }>::new().u8(VERSION).u8(PING).u16(0).u64(self.sent_us).finish()
    }

    /// Reads the datagram.
    ///
    /// # Errors
    /// On another version, type or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape = Shape { name: "ping", version: VERSION, kind: PING, len: Self::LEN, tail: Tail::Refused };
        let mut fields = shape.open(bytes)?;
        fields.u16();
        Ok(Self { sent_us: fields.u64() })
    }
}

impl Pong {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 32;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(VERSION).u8(PONG).u16(0).u32(self.boot).u64(self.sent_us);
        out.u64(self.received.0).u64(self.answered.0).finish()
    }

    /// Reads the datagram.
    ///
    /// # Errors
    /// On another version, type or length.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape = Shape { name: "pong", version: VERSION, kind: PONG, len: Self::LEN, tail: Tail::Refused };
        let mut fields = shape.open(bytes)?;
        fields.u16();
        Ok(Self {
            boot: fields.u32(),
            sent_us: fields.u64(),
            received: CarTime(fields.u64()),
            answered: CarTime(fields.u64()),
        })
    }
}

const VERSION: u8 = 1;
const PING: u8 = 4;
const PONG: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_and_its_pong_survive_the_wire() {
        let ping = Ping { sent_us: 0x0102_0304_0506_0708 };
        assert_eq!(Ping::decode(&ping.encode()), Ok(ping));
        let pong = Pong { boot: 7, sent_us: 8, received: CarTime(9), answered: CarTime(10) };
        assert_eq!(Pong::decode(&pong.encode()), Ok(pong));
    }

    #[test]
    fn a_wrong_probe_is_told_what_is_wrong_with_it() {
        let message = |bytes: &[u8]| Ping::decode(bytes).unwrap_err().to_string();
        assert_eq!(message(&[1, 4]), "ping datagram has 2 bytes, want 12");
        assert_eq!(message(&[1, 5]), "ping datagram has type 5, want 4");
        assert_eq!(Pong::decode(&[1, 5, 0]).unwrap_err().to_string(), "pong datagram has 3 bytes, want 32");
    }
}
