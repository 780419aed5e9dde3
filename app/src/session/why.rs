//! Which of the link's troubles the driver is told of: the dominating one, calmly.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_peer::{CandidateType, RelayTransport, SelectedPair};
use farwheel_proto::control::link_report::{Economy, LinkReport, MadeFor, Route};

use crate::model::link::{Data, Pace, Reason, Seen, View};

/// Takes the robot's link reports and says why the picture is what it is.
///
/// A reason stays until another one has held for a while, the longer the calmer the other one is; each has a limit to
/// come and a lower one to go. So the sentence can be read.
#[derive(Clone, Debug, Default)]
pub struct Why {
    reason: Reason,
    /// Since when the reports speak for another reason.
    doubt: Option<Instant>,
    newest: Option<Newest>,
    data: Data,
    /// Bytes of the stay's earlier connections.
    before: u64,
    /// Bytes that the present connection last told of.
    told: u64,
    beside: Beside,
    /// How many pictures had come when, over [`PACE_OVER`]. Full: the oldest goes, and with too many reports a second
    /// nothing is said of the pace.
    received: VecDeque<(Instant, u64)>,
    pace: Option<Pace>,
}

/// Pictures of a connection up to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pictures {
    /// That have come.
    pub received: u64,
    /// That were shown in the last second.
    pub shown: f32,
}

/// What came by second connections.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    /// Bytes of those that ended.
    before: u64,
    /// Bytes of the present one.
    now: u64,
    /// Bits per second.
    rate: f64,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    at: Instant,
    /// What is shown, renewed once a second.
    shown: LinkReport,
    shown_at: Instant,
    route: Route,
    /// Renewed with `shown`.
    pace: Pace,
}

impl Why {
    /// A new connection begins: its counters start from zero.
    pub fn handle_connection(&mut self) {
        self.before += std::mem::take(&mut self.told);
        self.newest = None;
        self.doubt = None;
        self.received.clear();
        self.pace = None;
        self.reason = Reason::default();
    }

    /// A report came; `pair` is how this side's packets travel.
    pub fn handle_report(
        &mut self,
        report: &LinkReport,
        pair: Option<SelectedPair>,
        pictures: Pictures,
        now: Instant,
    ) {
        if report.bytes_sent < self.told {
            // Overtaken by a newer one on the way.
            return;
        }
        self.told = report.bytes_sent;
        let is_still = u32::from(report.stall_ms) >= STILL_MS.1;
        let is_first = self.newest.is_none_or(|newest| now.saturating_duration_since(newest.at) >= SILENCE);
        if is_still || is_first {
            // What an outage kept back is neither end's slowness.
            self.received.clear();
        }
        self.count(pictures, now);
        self.data.bytes = self.before + self.told;
        let per_hour = f64::from(report.sent_kbps) * 125.0 * 3600.0;
        let route = worse(report.route, pair);
        let Some(newest) = &mut self.newest else {
            self.data.per_hour = per_hour;
            self.reason = dominating(report, route, self.pace, Reason::Clear);
            let pace = self.pace.unwrap_or_default();
            self.newest = Some(Newest { at: now, shown: *report, shown_at: now, route, pace });
            return;
        };
        self.data.per_hour += (per_hour - self.data.per_hour) * SMOOTHING;
        newest.at = now;
        newest.route = route;
        let found = dominating(report, route, self.pace, self.reason);
        let mut is_due =
            found == Reason::Still || now.saturating_duration_since(newest.shown_at) >= RENEWED_EVERY;
        if found == self.reason {
            self.doubt = None;
        } else {
            let since = *self.doubt.get_or_insert(now);
            if now.saturating_duration_since(since) >= patience(self.reason, found) {
                self.reason = found;
                self.doubt = None;
                is_due = true;
            } else {
                // The words on screen keep the figures that they were chosen for.
                is_due = false;
            }
        }
        if is_due {
            newest.shown = *report;
            newest.shown_at = now;
            newest.pace = self.pace.unwrap_or_default();
        }
    }

    fn count(&mut self, Pictures { received, shown }: Pictures, now: Instant) {
        while self.received.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= PACE_OVER) {
            self.received.pop_front();
        }
        if self.received.len() == REPORTS_MAX {
            self.received.pop_front();
        }
        self.received.push_back((now, received));
        let (begin, before) = self.received[0];
        let span = now.saturating_duration_since(begin);
        self.pace = (span >= PACE_OVER).then(|| Pace {
            received: (received.saturating_sub(before) as f64 / span.as_secs_f64()).round() as u16,
            shown: shown.round() as u16,
        });
    }

    /// So much has come by the present second connection, at so many bits a second; zeros: there is none.
    pub fn handle_beside(&mut self, bytes: u64, rate: f64) {
        if bytes < self.beside.now {
            self.beside.before += self.beside.now;
        }
        (self.beside.now, self.beside.rate) = (bytes, rate);
    }

    fn data(&self) -> Data {
        let Beside { before, now, rate } = self.beside;
        Data { bytes: self.data.bytes + before + now, per_hour: self.data.per_hour + rate / 8.0 * 3600.0 }
    }

    /// What to show; `None` before the first report of a connection.
    pub fn look(&self, now: Instant) -> Option<View> {
        let newest = self.newest.as_ref()?;
        let silence = now.saturating_duration_since(newest.at);
        let Newest { shown, route, .. } = *newest;
        if silence >= SILENCE {
            // The robot cannot tell of it: its words do not come through either.
            let seen = Seen { still_for: silence, ..Seen::default() };
            return Some(View::new(Reason::Still, shown, route, self.data(), seen));
        }
        let still_for = Duration::from_millis(shown.stall_ms.into());
        let seen = Seen { still_for, pace: newest.pace };
        Some(View::new(self.reason, shown, route, self.data(), seen))
    }
}

/// The gravest reason that holds; the present one holds down to its lower limit.
fn dominating(report: &LinkReport, route: Route, pace: Option<Pace>, present: Reason) -> Reason {
    let limit = |reason: Reason, (comes, goes): (u32, u32)| if present == reason { goes } else { comes };
    if u32::from(report.stall_ms) >= limit(Reason::Still, STILL_MS) {
        Reason::Still
    } else if u32::from(report.queue_ms) >= limit(Reason::Queue, QUEUE_MS) {
        Reason::Queue
    } else if u32::from(report.loss_permille) >= limit(Reason::Loss, LOSS_PERMILLE) {
        Reason::Loss
    } else if report.made_for == MadeFor::Another {
        Reason::Another
    } else if let Some(reason) = pace.and_then(|pace| slow(report, pace, present)) {
        reason
    } else if report.economy == Economy::On && !is_slow(report, 100 - limit(Reason::Narrow, MISSING_PERCENT))
    {
        Reason::Economy
    } else if is_narrow(report, 100 - limit(Reason::Narrow, MISSING_PERCENT)) {
        // Capacity is measured at once, and the rate follows step by step.
        let room = u64::from(report.target_kbps) * u64::from(limit(Reason::Rising, ROOM_PERCENT)) / 100;
        if u64::from(report.capacity_kbps) > room { Reason::Rising } else { Reason::Narrow }
    } else if route > Route::Direct {
        Reason::Relay
    } else {
        Reason::Clear
    }
}

/// Which end is too slow for the pictures that the link would bear.
fn slow(report: &LinkReport, Pace { received, shown }: Pace, present: Reason) -> Option<Reason> {
    let is_below = |reason: Reason, pictures: u16, wanted: u16| {
        let percent = if present == reason { SLOW_PERCENT.1 } else { SLOW_PERCENT.0 };
        u32::from(pictures) * 100 < u32::from(wanted) * percent
    };
    // What is left out for the link's sake is not the robot's fault.
    if is_below(Reason::SlowRobot, received.saturating_add(report.skipped), report.rung.fps) {
        Some(Reason::SlowRobot)
    } else {
        is_below(Reason::SlowDesk, shown, received).then_some(Reason::SlowDesk)
    }
}

/// Whether the rate is below this share of the most.
fn is_slow(report: &LinkReport, percent: u32) -> bool {
    u64::from(report.target_kbps) < u64::from(report.max_kbps) * u64::from(percent) / 100
}

/// Whether the picture is below the camera's, or its rate below this share of the most.
fn is_narrow(report: &LinkReport, percent: u32) -> bool {
    let (rung, camera) = (report.rung, report.camera);
    rung.width < camera.width || rung.fps < camera.fps || is_slow(report, percent)
}

/// How long the reports speak for another reason before it is told.
fn patience(present: Reason, found: Reason) -> Duration {
    match found {
        Reason::Still => Duration::ZERO,
        graver if graver < present => Duration::from_millis(400),
        _ => Duration::from_millis(1500),
    }
}

/// The worse of the robot's route and this side's.
fn worse(robot: Route, pair: Option<SelectedPair>) -> Route {
    let ours = match pair {
        None => Route::Unknown,
        Some(SelectedPair { relay: Some(RelayTransport::Tls), .. }) => Route::RelayTls,
        Some(SelectedPair { relay: Some(RelayTransport::Tcp), .. }) => Route::RelayTcp,
        Some(SelectedPair { relay: Some(RelayTransport::Udp), .. }) => Route::RelayUdp,
        // The robot's own relay, or an own one of which nothing more is known.
        Some(pair) if [pair.local, pair.remote].contains(&CandidateType::Relayed) => Route::RelayUdp,
        Some(_) => Route::Direct,
    };
    robot.max(ours)
}

/// As long as a picture that counts as frozen; shorter ones are over before they could be read.
const STILL_MS: (u32, u32) = (300, 100);
/// A queue is told from two pictures' time on.
const QUEUE_MS: (u32, u32) = (60, 35);
/// Below this, repairs hide the loss.
const LOSS_PERMILLE: (u32, u32) = (15, 8);
/// Percent of the most that is missing before a rate counts as low.
const MISSING_PERCENT: (u32, u32) = (50, 40);
/// Capacity in percent of the target: what a link holds back at most is less than that.
const ROOM_PERCENT: (u32, u32) = (200, 150);
/// Pictures in percent of those wanted, below which an end counts as slow.
const SLOW_PERCENT: (u32, u32) = (70, 85);
/// Long enough to count them.
const PACE_OVER: Duration = Duration::from_secs(2);
/// Reports within that time, and more.
const REPORTS_MAX: usize = 32;
/// Reports come each 250 ms; two may get lost.
const SILENCE: Duration = Duration::from_millis(800);
/// As fast as figures can be read.
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// Of 250 ms reports: about four seconds.
const SMOOTHING: f64 = 1.0 / 16.0;

#[cfg(test)]
mod tests {
    use farwheel_proto::control::link_report::Rung;

    use super::*;

    const FULL: Rung = Rung { width: 1280, height: 720, fps: 30 };
    const CLEAR: LinkReport = LinkReport {
        route: Route::Direct,
        made_for: MadeFor::ThisLink,
        economy: Economy::Off,
        capacity_kbps: 6000,
        target_kbps: 4000,
        sent_kbps: 3800,
        max_kbps: 4000,
        queue_ms: 4,
        stall_ms: 0,
        loss_permille: 0,
        skipped: 0,
        rung: FULL,
        camera: FULL,
        bytes_sent: 0,
    };

    /// Too few reports come for pictures to be counted.
    const FLUENT: Pictures = Pictures { received: 0, shown: 30.0 };

    /// The reasons shown while reports come each 250 ms.
    fn told(reports: &[LinkReport]) -> Vec<Reason> {
        told_of(reports, 30, 30.0)
    }

    /// The same with so many pictures a second.
    fn told_of(reports: &[LinkReport], per_s: u64, shown: f32) -> Vec<Reason> {
        let (mut why, start) = (Why::default(), Instant::now());
        let mut at = start;
        reports
            .iter()
            .zip(1..)
            .map(|(report, n)| {
                at += Duration::from_millis(250);
                let pictures = Pictures { received: n * per_s / 4, shown };
                why.handle_report(report, None, pictures, at);
                why.look(at).expect("a report came").reason
            })
            .collect()
    }

    fn first(report: LinkReport) -> Reason {
        told(&[report])[0]
    }

    #[test]
    fn an_end_that_is_too_slow_is_told_and_what_is_skipped_for_the_link_is_not_its_fault() {
        let last = |report: LinkReport, per_s, shown| *told_of(&[report; 40], per_s, shown).last().unwrap();
        assert_eq!(last(CLEAR, 20, 20.0), Reason::SlowRobot);
        assert_eq!(last(CLEAR, 22, 22.0), Reason::Clear);
        assert_eq!(last(LinkReport { skipped: 10, ..CLEAR }, 20, 20.0), Reason::Clear);
        assert_eq!(last(CLEAR, 30, 20.0), Reason::SlowDesk);
        assert_eq!(last(CLEAR, 8, 4.0), Reason::SlowRobot, "nearer to the source");
        assert_eq!(last(LinkReport { loss_permille: 30, ..CLEAR }, 8, 8.0), Reason::Loss);
        let still = LinkReport { rung: Rung::default(), ..CLEAR };
        assert_ne!(last(still, 0, 0.0), Reason::SlowRobot, "no pictures are wanted");
        // What an outage kept back is neither end's slowness.
        let stall = LinkReport { stall_ms: 900, ..CLEAR };
        let outage = [[CLEAR; 12], [stall; 12], [CLEAR; 12]].concat();
        assert!(told_of(&outage, 8, 8.0)[12..32].iter().all(|reason| *reason != Reason::SlowRobot));
        // Not before they could be counted.
        assert!(told_of(&[CLEAR; 8], 8, 8.0).iter().all(|reason| *reason == Reason::Clear));
    }

    #[test]
    fn what_comes_by_second_connections_is_paid_for_too() {
        let (mut why, now) = (Why::default(), Instant::now());
        why.handle_report(&LinkReport { sent_kbps: 800, bytes_sent: 5000, ..CLEAR }, None, FLUENT, now);
        let mut data = |bytes, rate| {
            why.handle_beside(bytes, rate);
            why.look(now).unwrap().data
        };
        assert_eq!(data(0, 0.0), Data { bytes: 5000, per_hour: 3.6e8 });
        assert_eq!(data(300, 8000.0), Data { bytes: 5300, per_hour: 3.6e8 + 3.6e6 });
        assert_eq!(data(400, 8000.0), Data { bytes: 5400, per_hour: 3.6e8 + 3.6e6 });
        // It ends, another one begins.
        assert_eq!(data(0, 0.0), Data { bytes: 5400, per_hour: 3.6e8 });
        assert_eq!(data(50, 0.0).bytes, 5450);
    }

    #[test]
    fn the_gravest_of_several_reasons_is_told() {
        let rung = Rung { width: 640, ..FULL };
        let narrow =
            LinkReport { rung, capacity_kbps: 640, target_kbps: 544, route: Route::RelayTcp, ..CLEAR };
        let lossy = LinkReport { loss_permille: 30, ..narrow };
        let queued = LinkReport { queue_ms: 90, ..lossy };
        let still = LinkReport { stall_ms: 800, ..queued };
        for (report, want) in [
            (CLEAR, Reason::Clear),
            (LinkReport { route: Route::RelayTls, ..CLEAR }, Reason::Relay),
            (narrow, Reason::Narrow),
            (LinkReport { made_for: MadeFor::Another, ..narrow }, Reason::Another),
            (lossy, Reason::Loss),
            (queued, Reason::Queue),
            (still, Reason::Still),
        ] {
            assert_eq!(first(report), want, "{report:?}");
        }
    }

    #[test]
    fn economy_mode_is_the_reason_unless_the_link_carries_even_less() {
        let small = Rung { width: 640, height: 360, fps: 30 };
        let economy =
            LinkReport { economy: Economy::On, max_kbps: 600, target_kbps: 600, rung: small, ..CLEAR };
        assert_eq!(first(economy), Reason::Economy);
        assert_eq!(first(LinkReport { target_kbps: 299, capacity_kbps: 340, ..economy }), Reason::Narrow);
        assert_eq!(first(LinkReport { queue_ms: 90, ..economy }), Reason::Queue);
    }

    #[test]
    fn each_reason_comes_at_its_limit_and_not_below() {
        for (below, at, want) in [
            (LinkReport { stall_ms: 299, ..CLEAR }, LinkReport { stall_ms: 300, ..CLEAR }, Reason::Still),
            (LinkReport { queue_ms: 59, ..CLEAR }, LinkReport { queue_ms: 60, ..CLEAR }, Reason::Queue),
            (
                LinkReport { loss_permille: 14, ..CLEAR },
                LinkReport { loss_permille: 15, ..CLEAR },
                Reason::Loss,
            ),
            (
                LinkReport { target_kbps: 2000, ..CLEAR },
                LinkReport { target_kbps: 1999, ..CLEAR },
                Reason::Rising,
            ),
            (CLEAR, LinkReport { rung: Rung { fps: 20, ..FULL }, ..CLEAR }, Reason::Narrow),
        ] {
            assert_eq!((first(below), first(at)), (Reason::Clear, want), "{at:?}");
        }
    }

    #[test]
    fn a_link_with_room_is_not_called_narrow_while_the_picture_grows() {
        let small = Rung { width: 640, height: 360, fps: 30 };
        let rising = LinkReport { target_kbps: 800, capacity_kbps: 293_000, rung: small, ..CLEAR };
        assert_eq!(first(rising), Reason::Rising);
        assert_eq!(first(LinkReport { capacity_kbps: 1601, ..rising }), Reason::Rising);
        assert_eq!(first(LinkReport { capacity_kbps: 1600, ..rising }), Reason::Narrow);
    }

    #[test]
    fn a_reason_at_its_limit_does_not_flicker() {
        let reports: Vec<_> =
            (0..40).map(|i| LinkReport { queue_ms: if i % 2 == 0 { 62 } else { 40 }, ..CLEAR }).collect();
        assert_eq!(told(&reports), [Reason::Queue; 40]);
        let spikes: Vec<_> =
            (0..40).map(|i| LinkReport { queue_ms: if i % 4 == 3 { 200 } else { 5 }, ..CLEAR }).collect();
        assert_eq!(told(&spikes), [Reason::Clear; 40], "one report of four is no reason");
    }

    #[test]
    fn graver_reasons_come_soon_and_calmer_ones_late() {
        let queued = LinkReport { queue_ms: 90, ..CLEAR };
        let still = LinkReport { stall_ms: 400, ..CLEAR };
        let worse = told(&[CLEAR, queued, queued, queued, still]);
        assert_eq!(worse, [Reason::Clear, Reason::Clear, Reason::Clear, Reason::Queue, Reason::Still]);
        let better = told(&[queued, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR, CLEAR]);
        assert_eq!(
            (better[6], better[7]),
            (Reason::Queue, Reason::Clear),
            "1.5 s after the first calm report"
        );
    }

    #[test]
    fn calmer_reasons_that_take_turns_still_end_a_graver_one() {
        let still = LinkReport { stall_ms: 900, ..CLEAR };
        let relay = LinkReport { route: Route::RelayUdp, ..CLEAR };
        let mut reports = vec![still];
        reports.extend([CLEAR, relay].repeat(4));
        assert_ne!(told(&reports)[8], Reason::Still);
    }

    #[test]
    fn figures_in_the_sentence_change_once_a_second() {
        let (mut why, start) = (Why::default(), Instant::now());
        let mut sentences = Vec::new();
        for i in 0..8 {
            let now = start + Duration::from_millis(250 * i);
            let report = LinkReport { queue_ms: 80 + i as u16, ..CLEAR };
            why.handle_report(&report, None, FLUENT, now);
            sentences.push(why.look(now).unwrap().sentence);
        }
        sentences.dedup();
        assert_eq!(
            sentences,
            ["A queue of 80 ms drains in the network.", "A queue of 84 ms drains in the network."]
        );
    }

    #[test]
    fn missing_reports_mean_that_the_link_stands_still() {
        let (mut why, start) = (Why::default(), Instant::now());
        assert_eq!(why.look(start), None);
        why.handle_report(&CLEAR, None, FLUENT, start);
        let said = |ms: u64| why.look(start + Duration::from_millis(ms)).unwrap().sentence;
        assert_eq!(said(799), "Clear: the picture has all it needs.");
        assert_eq!(said(800), "The link stands still for 0.8 s.");
        assert_eq!(said(4300), "The link stands still for 4.3 s.");
    }

    #[test]
    fn data_is_counted_over_connections_and_late_reports_count_nothing() {
        let (mut why, now) = (Why::default(), Instant::now());
        let sent = |bytes_sent, sent_kbps| LinkReport { bytes_sent, sent_kbps, ..CLEAR };
        why.handle_report(&sent(5000, 800), None, FLUENT, now);
        assert_eq!(why.look(now).unwrap().data, Data { bytes: 5000, per_hour: 360e6 }, "0.8 Mbit/s");
        why.handle_report(&sent(4000, 9000), None, FLUENT, now);
        assert_eq!(why.look(now).unwrap().data, Data { bytes: 5000, per_hour: 360e6 });
        why.handle_connection();
        assert_eq!(why.look(now), None);
        why.handle_report(&sent(1000, 800), None, FLUENT, now);
        assert_eq!(why.look(now).unwrap().data.bytes, 6000);
    }

    #[test]
    fn the_worse_side_names_the_route() {
        use CandidateType::{Host, Relayed};
        use RelayTransport::{Tcp, Tls, Udp};
        let pair = |local, remote, relay| Some(SelectedPair { local, remote, relay });
        for (robot, ours, want) in [
            (Route::Unknown, None, Route::Unknown),
            (Route::Direct, None, Route::Direct),
            (Route::Direct, pair(Host, Host, None), Route::Direct),
            (Route::Direct, pair(Relayed, Host, Some(Tcp)), Route::RelayTcp),
            (Route::RelayTls, pair(Host, Relayed, None), Route::RelayTls),
            (Route::RelayUdp, pair(Relayed, Relayed, Some(Tls)), Route::RelayTls),
            (Route::RelayTcp, pair(Relayed, Relayed, Some(Udp)), Route::RelayTcp),
            (Route::Unknown, pair(Host, Relayed, None), Route::RelayUdp),
        ] {
            assert_eq!(worse(robot, ours), want, "{robot:?} {ours:?}");
        }
    }
}
