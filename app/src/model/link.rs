//! Why the picture is what it is: one sentence, and the figures behind it.

use std::time::Duration;

use farwheel_proto::control::link_report::{LinkReport, Route};

use super::Level;

/// What the link panel shows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What counts most.
    pub reason: Reason,
    /// It in words, one sentence or two.
    pub sentence: String,
    /// How grave it is.
    pub level: Level,
    /// The robot's figures.
    pub report: LinkReport,
    /// How the packets travel, by the worse of the two sides.
    pub route: Route,
    /// Data that the robot has sent here since the stay began.
    pub data: Data,
}

/// What dominates, the gravest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing comes through.
    Still,
    /// Packets wait in the network.
    Queue,
    /// Packets get lost.
    Loss,
    /// The pictures are made for another viewer's link.
    Another,
    /// The robot gives fewer pictures than it is set up for, and not for the link's sake.
    SlowRobot,
    /// This computer shows fewer pictures than come.
    SlowDesk,
    /// The driver lets video use no more.
    Economy,
    /// The link carries less than the camera would give.
    Narrow,
    /// The link carries more than is used, and the picture is on its way up.
    Rising,
    /// A relay adds its delay.
    Relay,
    /// Nothing limits the picture.
    #[default]
    Clear,
}

/// Pictures a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// That come.
    pub received: u16,
    /// That are shown.
    pub shown: u16,
}

/// What this side sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How long nothing has come through.
    pub still_for: Duration,
    /// Pictures of late.
    pub pace: Pace,
}

/// What the stay has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Data {
    /// Bytes so far, over all connections of the stay.
    pub bytes: u64,
    /// Bytes of an hour at the present rate.
    pub per_hour: f64,
}

impl Reason {
    /// How grave it is.
    pub const fn level(self) -> Level {
        match self {
            Self::Still => Level::Bad,
            Self::Queue | Self::Loss | Self::SlowRobot | Self::SlowDesk | Self::Narrow => Level::Warning,
            Self::Another | Self::Economy | Self::Rising | Self::Relay => Level::Neutral,
            Self::Clear => Level::Good,
        }
    }

    /// Its name in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Queue => "queue",
            Self::Loss => "loss",
            Self::Another => "another",
            Self::SlowRobot => "slow_robot",
            Self::SlowDesk => "slow_desk",
            Self::Economy => "economy",
            Self::Narrow => "narrow",
            Self::Rising => "rising",
            Self::Relay => "relay",
            Self::Clear => "clear",
        }
    }
}

impl View {
    /// The view of a link whose dominating reason is known.
    pub fn new(reason: Reason, report: LinkReport, route: Route, data: Data, seen: Seen) -> Self {
        let sentence = sentence(reason, &report, route, seen);
        Self { reason, sentence, level: reason.level(), report, route, data }
    }
}

fn sentence(reason: Reason, report: &LinkReport, route: Route, seen: Seen) -> String {
    let Seen { still_for, pace } = seen;
    let wanted = report.rung.fps;
    let mbps = format!("{:.1} Mbit/s", f64::from(report.capacity_kbps) / 1e3);
    match reason {
        Reason::Still => format!("The link stands still for {:.1} s.", still_for.as_secs_f64()),
        Reason::Queue => format!("A queue of {} ms drains in the network.", report.queue_ms),
        Reason::Loss => {
            let percent = (f64::from(report.loss_permille) / 10.0).round().max(1.0);
            format!("{percent} % of packets get lost; they are sent again.")
        }
        Reason::Another => {
            format!("The picture is made for the driver's link; this one carries {mbps}.")
        }
        Reason::SlowRobot => {
            let Pace { received, .. } = pace;
            format!(
                "The robot gives {received} of {wanted} pictures a second: its camera or computer is too slow."
            )
        }
        Reason::SlowDesk => {
            let Pace { received, shown } = pace;
            format!("This computer is too slow: it shows {shown} of {received} pictures a second.")
        }
        Reason::Economy => {
            let max = f64::from(report.max_kbps) / 1e3;
            format!("Economy mode: the picture may use {max:.1} Mbit/s.")
        }
        Reason::Narrow => format!("The link carries {mbps}, so {}.", consequence(report)),
        Reason::Rising => "The link has room for more: the picture is getting better.".into(),
        Reason::Relay => {
            let more = if route == Route::RelayUdp { "a little more" } else { "some more" };
            format!("Over a relay ({}): expect {more} delay.", transport(route))
        }
        Reason::Clear => "Clear: the picture has all it needs.".into(),
    }
}

/// What a narrow link makes of the picture.
fn consequence(report: &LinkReport) -> String {
    let (rung, camera) = (report.rung, report.camera);
    let is_small = (rung.width, rung.height) != (camera.width, camera.height);
    match (is_small, rung.fps < camera.fps) {
        (true, true) => format!("the picture is {}×{} at {} fps", rung.width, rung.height, rung.fps),
        (true, false) => format!("the picture is {}×{}", rung.width, rung.height),
        (false, true) => format!("there are {} pictures a second", rung.fps),
        (false, false) => "the picture has less detail".into(),
    }
}

/// How the relay is reached, in capitals; for a direct route the empty string.
pub fn transport(route: Route) -> &'static str {
    match route {
        Route::Unknown | Route::Direct => "",
        Route::RelayUdp => "UDP",
        Route::RelayTcp => "TCP",
        Route::RelayTls => "TLS",
    }
}

#[cfg(test)]
mod tests {
    use farwheel_proto::control::link_report::Rung;

    use super::*;

    const CAMERA: Rung = Rung { width: 1280, height: 720, fps: 30 };

    fn said(reason: Reason, route: Route, report: LinkReport) -> String {
        let report = LinkReport { camera: CAMERA, ..report };
        let pace = Pace { received: 19, shown: 9 };
        let seen = Seen { still_for: Duration::from_millis(840), pace };
        View::new(reason, report, route, Data::default(), seen).sentence
    }

    #[test]
    fn each_reason_is_said_in_a_drivers_words() {
        let report = LinkReport {
            capacity_kbps: 640,
            queue_ms: 90,
            loss_permille: 31,
            max_kbps: 600,
            rung: Rung { width: 640, height: 360, fps: 30 },
            ..LinkReport::default()
        };
        for (reason, route, want) in [
            (Reason::Still, Route::Direct, "The link stands still for 0.8 s."),
            (Reason::Queue, Route::Direct, "A queue of 90 ms drains in the network."),
            (Reason::Loss, Route::Direct, "3 % of packets get lost; they are sent again."),
            (
                Reason::Another,
                Route::Direct,
                "The picture is made for the driver's link; this one carries 0.6 Mbit/s.",
            ),
            (
                Reason::SlowRobot,
                Route::Direct,
                "The robot gives 19 of 30 pictures a second: its camera or computer is too slow.",
            ),
            (
                Reason::SlowDesk,
                Route::Direct,
                "This computer is too slow: it shows 9 of 19 pictures a second.",
            ),
            (Reason::Narrow, Route::Direct, "The link carries 0.6 Mbit/s, so the picture is 640×360."),
            (Reason::Rising, Route::Direct, "The link has room for more: the picture is getting better."),
            (Reason::Economy, Route::Direct, "Economy mode: the picture may use 0.6 Mbit/s."),
            (Reason::Relay, Route::RelayUdp, "Over a relay (UDP): expect a little more delay."),
            (Reason::Relay, Route::RelayTcp, "Over a relay (TCP): expect some more delay."),
            (Reason::Relay, Route::RelayTls, "Over a relay (TLS): expect some more delay."),
            (Reason::Clear, Route::Direct, "Clear: the picture has all it needs."),
        ] {
            assert_eq!(said(reason, route, report), want);
        }
    }

    #[test]
    fn a_narrow_link_says_what_it_costs_the_picture() {
        for (width, height, fps, want) in [
            (640, 360, 30, "The link carries 1.5 Mbit/s, so the picture is 640×360."),
            (320, 180, 15, "The link carries 1.5 Mbit/s, so the picture is 320×180 at 15 fps."),
            (1280, 720, 20, "The link carries 1.5 Mbit/s, so there are 20 pictures a second."),
            (1280, 720, 30, "The link carries 1.5 Mbit/s, so the picture has less detail."),
        ] {
            let rung = Rung { width, height, fps };
            let report = LinkReport { capacity_kbps: 1500, rung, ..LinkReport::default() };
            assert_eq!(said(Reason::Narrow, Route::Direct, report), want);
        }
    }

    #[test]
    fn a_little_loss_is_never_none_at_all() {
        let report = LinkReport { loss_permille: 4, ..LinkReport::default() };
        assert_eq!(
            said(Reason::Loss, Route::Direct, report),
            "1 % of packets get lost; they are sent again."
        );
    }
}
