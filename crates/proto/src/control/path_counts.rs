//! By which of two paths a driver's commands came first.

use super::wire::{DatagramError, Shape, Tail, Writer};

/// Commands of the present lease that counted, by the connection whose copy did: version 1, type 9, two zero bytes,
/// `main` u32 at 4, `beside` u32 at 8, both wrapping. The robot tells the driver, 4 Hz, once a second path was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// By the connection that also carries the video.
    pub main: u32,
    /// By the one beside it.
    pub beside: u32,
}

impl PathCounts {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 12;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        Writer::<{ Self::LEN }>::new().u8(VERSION).u8(KIND).u16(0).u32(self.main).u32(self.beside).finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, or a datagram too short.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape =
            Shape { name: "path counts", version: VERSION, kind: KIND, len: Self::LEN, tail: Tail::Ignored };
        let mut fields = shape.open(bytes)?;
        fields.u16();
        Ok(Self { main: fields.u32(), beside: fields.u32() })
    }
}

const VERSION: u8 = 1;
const KIND: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were_sent_and_what_is_none_is_told_why() {
        let counts = PathCounts { main: 7, beside: u32::MAX };
        let bytes = [1, 9, 0, 0, 7, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(counts.encode(), bytes);
        assert_eq!(PathCounts::decode(&bytes), Ok(counts));
        assert_eq!(
            PathCounts::decode(&[&bytes[..], &[1, 2]].concat()),
            Ok(counts),
            "a later version appends"
        );
        let message = |bytes: &[u8]| PathCounts::decode(bytes).unwrap_err().to_string();
        assert_eq!(message(&bytes[..11]), "path counts datagram has 11 bytes, want 12");
        assert_eq!(message(&[1, 8, 0]), "path counts datagram has type 8, want 9");
        assert_eq!(message(&[2, 9, 0]), "path counts datagram has version 2, want 1");
    }
}
