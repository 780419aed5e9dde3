//! What a connection tells its owner.

use std::time::Duration;

use bytes::Bytes;
use farwheel_proto::rate::Track;

use crate::signal::Signal;

/// One happening on a connection.
#[derive(Clone, Debug)]
pub enum Event {
    /// Carry this to the other peer.
    Signal(Signal),
    /// The link changed its state.
    State(LinkState),
    /// A datagram or message arrived.
    Message {
        /// On which channel.
        channel: Channel,
        /// Its bytes.
        data: Bytes,
    },
    /// The next picture sent of this track must be a key frame: the other side asked (PLI, FIR), or the send queue
    /// overflowed.
    KeyframeRequested(Track),
}

/// The state of the link between the two peers.
///
/// ```text
///   Connecting -> Connected <-> Disconnected
///        \            |             |
///         +-----------+-------------+--> Failed (for good: close, build a new connection)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Negotiating, checking candidates, shaking hands.
    Connecting,
    /// Media and channels flow. Said once all channels are open, so that a `send` from here on counts.
    Connected,
    /// Nothing heard for 1.5 s; may come back by itself or by an ICE restart.
    Disconnected,
    /// Over; the owner closes this connection and builds a new one with a new id.
    Failed(Failure),
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Not connected within the limit of 4 s.
    #[error("not connected within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// Packets pass, but the DTLS handshake stands still (a known defect of the engine: docs/ENGINE.md).
    #[error("secure handshake stood still for {} ms", .0.as_millis())]
    HandshakeStalled(Duration),
    /// Nothing heard for 8 s, where people carried the signals for 61 s.
    #[error("nothing heard from the peer any more")]
    Silence,
    /// The other side closed.
    #[error("closed by the other side")]
    ClosedByPeer,
    /// A description or candidate could not be used.
    #[error("negotiation failed: {0}")]
    Negotiation(String),
    /// No socket, or the engine gave up.
    #[error("transport failed: {0}")]
    Transport(String),
    /// The owner did not read its events for so long that a reliable message would have been lost.
    #[error("owner fell behind by {0} events")]
    OwnerTooSlow(usize),
}

/// The data channels; ids are agreed beforehand, so that their reliability is what both sides asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Drive commands: unordered, never retransmitted.
    Control,
    /// Telemetry: unordered, never retransmitted.
    Telemetry,
    /// Requests and acknowledgements: reliable, ordered.
    Event,
    /// Files, on calls alone: reliable, ordered, and held back where the other side does not keep up.
    File,
}

impl Channel {
    /// All of them, by id.
    pub const ALL: [Self; 4] = [Self::Control, Self::Telemetry, Self::Event, Self::File];

    /// The SCTP stream id.
    pub const fn id(self) -> u16 {
        match self {
            Self::Control => 0,
            Self::Telemetry => 1,
            Self::Event => 2,
            Self::File => 3,
        }
    }

    /// The label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Telemetry => "telemetry",
            Self::Event => "event",
            Self::File => "file",
        }
    }

    /// Whether messages may get lost or overtake each other.
    pub const fn is_lossy(self) -> bool {
        match self {
            Self::Control | Self::Telemetry => true,
            Self::Event | Self::File => false,
        }
    }
}
