//! Why the pictures are what they are, as the link report tells it.

use std::collections::VecDeque;
use std::time::Duration;

use farwheel_media::encode::Target;
use farwheel_peer::{CandidateType, Link, RelayTransport, SelectedPair, Stats};
use farwheel_proto::control::link_report::{Economy, LinkReport, MadeFor, Route, Rung};

/// The report on one link; `rung` is what the encoder makes, `camera` the most that it would make.
pub fn report(
    link: &Link,
    stats: &Stats,
    made_for: MadeFor,
    economy: Economy,
    (rung, camera): (Target, Target),
    skipped: u16,
) -> LinkReport {
    let Link { status, target } = link;
    LinkReport {
        route: stats.pair.map_or(Route::Unknown, route),
        made_for,
        economy,
        capacity_kbps: status.capacity.0 / 1000,
        target_kbps: target.bitrate.0 / 1000,
        sent_kbps: (stats.bitrate_out / 1e3) as u32,
        max_kbps: camera.bitrate.0 / 1000,
        queue_ms: ms16(status.queue),
        stall_ms: ms16(status.stall),
        loss_permille: status.loss_permille,
        skipped,
        rung: shape(rung),
        camera: shape(camera),
        bytes_sent: stats.bytes_sent,
    }
}

fn route(pair: SelectedPair) -> Route {
    match (pair.relay, pair.local) {
        (Some(RelayTransport::Udp), _) | (None, CandidateType::Relayed) => Route::RelayUdp,
        (Some(RelayTransport::Tcp), _) => Route::RelayTcp,
        (Some(RelayTransport::Tls), _) => Route::RelayTls,
        (None, CandidateType::Host | CandidateType::ServerReflexive | CandidateType::PeerReflexive) => {
            Route::Direct
        }
    }
}

fn shape(target: Target) -> Rung {
    let side = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    Rung { width: side(target.size.width), height: side(target.size.height), fps: side(target.fps) }
}

fn ms16(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}

/// Turns a count that only grows into how much it grew over the last `SPAN` looks.
#[derive(Debug, Default)]
pub struct Growth<const SPAN: usize> {
    before: VecDeque<u32>,
}

impl<const SPAN: usize> Growth<SPAN> {
    /// A look at the count.
    pub fn look(&mut self, count: u32) -> u16 {
        let oldest = *self.before.front().unwrap_or(&count);
        if self.before.len() == SPAN {
            self.before.pop_front();
        }
        self.before.push_back(count);
        u16::try_from(count.wrapping_sub(oldest)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::rate;
    use farwheel_proto::video::{Bitrate, Size};

    use super::*;

    fn target(kbps: u32, width: u32, height: u32, fps: u32) -> Target {
        Target { bitrate: Bitrate::from_kbps(kbps), size: Size::new(width, height), fps }
    }

    #[test]
    fn a_report_has_the_units_of_its_fields() {
        let small = target(544, 640, 360, 20);
        let link = Link {
            status: rate::Status {
                capacity: Bitrate::from_kbps(640),
                bitrate: Bitrate::from_kbps(544),
                queue: Duration::from_micros(90_900),
                stall: Duration::from_secs(100),
                round_trip: Duration::from_millis(60),
                loss_permille: 31,
            },
            target: rate::Target { bitrate: small.bitrate, size: small.size, fps: small.fps },
        };
        let stats = Stats { bitrate_out: 530_400.0, bytes_sent: 1 << 40, ..Stats::default() };
        let got =
            report(&link, &stats, MadeFor::ThisLink, Economy::On, (small, target(4000, 1280, 720, 30)), 7);
        let want = LinkReport {
            route: Route::Unknown,
            made_for: MadeFor::ThisLink,
            economy: Economy::On,
            capacity_kbps: 640,
            target_kbps: 544,
            sent_kbps: 530,
            max_kbps: 4000,
            queue_ms: 90,
            stall_ms: u16::MAX,
            loss_permille: 31,
            skipped: 7,
            rung: Rung { width: 640, height: 360, fps: 20 },
            camera: Rung { width: 1280, height: 720, fps: 30 },
            bytes_sent: 1 << 40,
        };
        assert_eq!(got, want);
    }

    #[test]
    fn a_route_tells_how_the_packets_leave() {
        use CandidateType::{Host, PeerReflexive, Relayed, ServerReflexive};
        use RelayTransport::{Tcp, Tls, Udp};
        for (local, relay, want) in [
            (Host, None, Route::Direct),
            (ServerReflexive, None, Route::Direct),
            (PeerReflexive, None, Route::Direct),
            (Relayed, Some(Udp), Route::RelayUdp),
            (Relayed, Some(Tcp), Route::RelayTcp),
            (Relayed, Some(Tls), Route::RelayTls),
        ] {
            assert_eq!(route(SelectedPair { local, remote: Host, relay }), want, "{local} {relay:?}");
        }
    }

    #[test]
    fn growth_counts_from_the_first_look_within_the_span() {
        let mut growth = Growth::<4>::default();
        let looked: Vec<u16> = [7, 9, 9, 12, 20, 20, 20, 20, 20].map(|count| growth.look(count)).into();
        assert_eq!(looked, [0, 2, 2, 5, 13, 11, 11, 8, 0]);
        assert_eq!(growth.look(200_000), u16::MAX);
    }
}
