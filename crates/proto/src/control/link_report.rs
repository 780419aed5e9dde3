//! The link report: why the pictures are what they are, told to each viewer of its own link.

use super::wire::{DatagramError, Shape, Tail, Writer};

/// What the robot makes of the link to one viewer, 4 Hz.
///
/// | offset | field | | offset | field |
/// |---|---|---|---|---|
/// | 0 | version, 1 | | 26 | pictures skipped in the last second, u16 |
/// | 1 | type, 8 | | 28 | width of the rung, u16 |
/// | 2 | route, in the order of [`Route`] | | 30 | height of the rung, u16 |
/// | 3 | bits: 1 the pictures are made for this link, 2 economy mode | | 32 | pictures per second of the rung, u16 |
/// | 4 | capacity, kbit/s, u32 | | 34 | width of the camera, u16 |
/// | 8 | target, kbit/s, u32 | | 36 | height of the camera, u16 |
/// | 12 | sent, kbit/s, u32 | | 38 | pictures per second of the camera, u16 |
/// | 16 | most to send, kbit/s, u32 | | 40 | bytes sent since the connection stands, u64 |
/// | 20 | standing queue, ms, u16 | | | |
/// | 22 | stall, ms, u16 | | | |
/// | 24 | packets lost, permille, u16 | | | |
///
/// Later versions may append fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// How the robot's packets leave.
    pub route: Route,
    /// Whose link decides what the pictures are.
    pub made_for: MadeFor,
    /// Whether the driver has limited the video.
    pub economy: Economy,
    /// What the link is believed to carry, in kbit/s.
    pub capacity_kbps: u32,
    /// What this link's share of video may be, in kbit/s.
    pub target_kbps: u32,
    /// Everything sent to this viewer in the last second, in kbit/s.
    pub sent_kbps: u32,
    /// The most that the robot would send, or that the driver lets it, in kbit/s.
    pub max_kbps: u32,
    /// Delay in the link beyond the least, in ms.
    pub queue_ms: u16,
    /// How long the link has stood still, in ms.
    pub stall_ms: u16,
    /// Packets lost, smoothed, in permille of those sent.
    pub loss_permille: u16,
    /// Pictures that were not worth encoding in the last second.
    pub skipped: u16,
    /// The pictures as they are sent.
    pub rung: Rung,
    /// The pictures as the camera is set up, the highest rung.
    pub camera: Rung,
    /// Bytes sent to this viewer since its connection stands, all kinds of traffic without the headers of IP and UDP.
    pub bytes_sent: u64,
}

/// Size and rate of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// Width, in pixels; zero without pictures.
    pub width: u16,
    /// Height, in pixels; zero without pictures.
    pub height: u16,
    /// Pictures per second.
    pub fps: u16,
}

/// How packets leave, the best first; what a peer does beyond that it tells itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Not known yet.
    #[default]
    Unknown,
    /// From one of the machine's own addresses.
    Direct,
    /// Through a relay, reached over UDP.
    RelayUdp,
    /// Through a relay, reached over TCP: a lost packet holds up those behind it.
    RelayTcp,
    /// Through a relay, reached over TLS.
    RelayTls,
}

/// Whose link decides what the pictures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MadeFor {
    /// Another viewer's, the driver's as a rule; this one gets what it has room for.
    #[default]
    Another,
    /// This one.
    ThisLink,
}

/// Whether the driver has limited the video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Economy {
    /// No: it may use what the robot is set up for.
    #[default]
    Off,
    /// Yes.
    On,
}

impl LinkReport {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 48;

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(VERSION).u8(KIND).u8(self.route as u8).u8(self.made_for as u8 | (self.economy as u8) << 1);
        out.u32(self.capacity_kbps).u32(self.target_kbps).u32(self.sent_kbps).u32(self.max_kbps);
        out.u16(self.queue_ms).u16(self.stall_ms).u16(self.loss_permille).u16(self.skipped);
        for rung in [self.rung, self.camera] {
            out.u16(rung.width).u16(rung.height).u16(rung.fps);
        }
        out.u64(self.bytes_sent).finish()
    }

    /// Reads the datagram; longer ones are of a later version and read as far as they are known.
    ///
    /// # Errors
    /// On another version or type, or a datagram too short.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let shape =
            Shape { name: "link report", version: VERSION, kind: KIND, len: Self::LEN, tail: Tail::Ignored };
        let mut fields = shape.open(bytes)?;
        let route = match fields.u8() {
            1 => Route::Direct,
            2 => Route::RelayUdp,
            3 => Route::RelayTcp,
            4 => Route::RelayTls,
            _ => Route::Unknown,
        };
        let bits = fields.u8();
        let made_for = if bits & 1 == 0 { MadeFor::Another } else { MadeFor::ThisLink };
        let economy = if bits & 2 == 0 { Economy::Off } else { Economy::On };
        Ok(Self {
            route,
            made_for,
            economy,
            capacity_kbps: fields.u32(),
            target_kbps: fields.u32(),
            sent_kbps: fields.u32(),
            max_kbps: fields.u32(),
            queue_ms: fields.u16(),
            stall_ms: fields.u16(),
            loss_permille: fields.u16(),
            skipped: fields.u16(),
            rung: Rung { width: fields.u16(), height: fields.u16(), fps: fields.u16() },
            camera: Rung { width: fields.u16(), height: fields.u16(), fps: fields.u16() },
            bytes_sent: fields.u64(),
        })
    }
}

const VERSION: u8 = 1;
const KIND: u8 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrong_report_is_told_what_is_wrong_with_it() {
        let message = |bytes: &[u8]| LinkReport::decode(bytes).unwrap_err().to_string();
        assert_eq!(message(&[1, 8, 0]), "link report datagram has 3 bytes, want 48");
        assert_eq!(message(&[1, 2, 0]), "link report datagram has type 2, want 8");
        assert_eq!(message(&[2, 8, 0]), "link report datagram has version 2, want 1");
    }

    #[test]
    fn a_route_of_a_later_version_is_unknown() {
        let mut bytes = LinkReport { route: Route::RelayTls, ..LinkReport::default() }.encode();
        assert_eq!(LinkReport::decode(&bytes).unwrap().route, Route::RelayTls);
        bytes[2] = 5;
        assert_eq!(LinkReport::decode(&bytes).unwrap().route, Route::Unknown);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_report_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 2..80)) {
            bytes[..2].copy_from_slice(&[VERSION, KIND]);
            let read = LinkReport::decode(&bytes);
            prop_assert_eq!(read.is_ok(), bytes.len() >= LinkReport::LEN);
            if let Ok(report) = read {
                prop_assert_eq!(LinkReport::decode(&report.encode()), Ok(report));
                // Everything behind route and flags has one form only.
                prop_assert_eq!(&report.encode()[4..], &bytes[4..LinkReport::LEN]);
            }
        }
    }
}
