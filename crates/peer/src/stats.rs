//! Figures of a connection.

use std::net::IpAddr;
use std::time::Duration;

use farwheel_proto::rate::{Status, Target};

/// A snapshot of a connection's figures, renewed four times a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Newest round-trip time of the selected candidate pair.
    pub rtt: Option<Duration>,
    /// Bits per second sent in the last interval, all kinds of traffic.
    pub bitrate_out: f64,
    /// Bytes sent since the connection stands, all kinds of traffic without the headers of IP and UDP.
    pub bytes_sent: u64,
    /// Bits per second received in the last interval, all kinds of traffic.
    pub bitrate_in: f64,
    /// Bytes received since the connection stands, all kinds of traffic without the headers of IP and UDP.
    pub bytes_received: u64,
    /// Video packets that never came, of all received tracks, as are the other figures of video.
    pub packets_lost: u64,
    /// Video packets received.
    pub packets_received: u64,
    /// Video packets sent.
    pub packets_sent: u64,
    /// Interarrival jitter of the received camera (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// Complete pictures received.
    pub frames_received: u64,
    /// Pictures given up: a packet of them never came in time, or the reader was too slow.
    pub frames_dropped: u64,
    /// Pictures handed to the network.
    pub frames_sent: u64,
    /// Pictures refused because four were waiting to be sent.
    pub frames_refused: u64,
    /// Median time from a picture's encoding to the hand-over of its last packet to the engine, over the last second or
    /// so; its wait in the queue counts. `None` on a connection that sent no picture yet.
    pub packetise: Option<Duration>,
    /// Key frames asked for by this side.
    pub keyframes_requested: u64,
    /// Video packets sent again for a request.
    pub packets_repaired: u64,
    /// Datagrams sent or received beside their channel, because that was stuck.
    pub datagrams_detoured: u64,
    /// The sound both ways.
    pub sound: SoundFigures,
    /// Why the sent pictures are what they are; `None` on a receiving side.
    pub link: Option<Link>,
    /// How the packets travel.
    pub pair: Option<SelectedPair>,
    /// The address of this machine that they leave from and come to; `None` while it is not known.
    pub local_address: Option<IpAddr>,
    /// The server of the relay that this side's candidate is on, by name or address; `None` where it is on none.
    pub relay_host: Option<String>,
    /// The peer's address that they go to and come from, beyond an own relay; `None` while it is not known.
    pub remote_address: Option<IpAddr>,
}

/// The sound of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundFigures {
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Packets that never came, or not yet.
    pub packets_lost: u64,
    /// Packets that came and were dropped, because their reader was too slow.
    pub packets_dropped: u64,
    /// Of a thousand packets sent, how many the other side does not get, over the last second or so: what the encoder is to
    /// expect. Zero while the other side gives no transport-wide feedback.
    pub loss_permille: u16,
}

/// What a sender believes of its link, and makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the link looks like.
    pub status: Status,
    /// What the encoder of the camera is told.
    pub target: Target,
}

/// How the packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectedPair {
    /// This side's candidate.
    pub local: CandidateType,
    /// The other side's.
    pub remote: CandidateType,
    /// How this side reaches its relay, if its candidate is on one.
    pub relay: Option<RelayTransport>,
}

impl std::fmt::Display for SelectedPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.relay {
            Some(transport) => write!(f, "relayed over {transport} to {}", self.remote),
            None => write!(f, "{} to {}", self.local, self.remote),
        }
    }
}

/// How packets reach a TURN server, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelayTransport {
    /// UDP.
    Udp,
    /// TCP: a lost packet holds up those behind it.
    Tcp,
    /// TCP within TLS: what firewalls let through that stop the others.
    Tls,
}

impl RelayTransport {
    /// Its name in figures and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl std::fmt::Display for RelayTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a candidate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateType {
    /// An address of the machine.
    Host,
    /// As a STUN server sees it.
    ServerReflexive,
    /// As the other peer sees it.
    PeerReflexive,
    /// On a TURN server.
    Relayed,
}

impl std::fmt::Display for CandidateType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "server reflexive",
            Self::PeerReflexive => "peer reflexive",
            Self::Relayed => "relayed",
        })
    }
}
