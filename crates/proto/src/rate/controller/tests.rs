use proptest::prelude::*;

use super::super::feedback::ReceiverTime;
use super::super::test::{MS, start};
use super::*;

const CAMERA: Source = Source { size: Size::new(1280, 720), fps: 30, bitrate_max: Bitrate::from_kbps(4000) };

const CONFIG: Config = Config { camera: CAMERA, screen: None, feedback_interval: Duration::from_millis(25) };

/// A controller, a camera at 30 frames a second, and a link of constant rate with 20 ms each way.
struct Rig {
    controller: Controller,
    now_ms: u32,
    number: u16,
    kbps: u32,
    /// Each packet's number and arrival in µs; those of an outage never arrive.
    under_way: VecDeque<(u16, Option<u64>)>,
    free_us: u64,
    frames: Vec<(u32, Verdict)>,
    probes: Vec<u32>,
    reports: Reports,
}

#[derive(PartialEq)]
enum Reports {
    Arrive,
    AreLost,
}

impl Rig {
    fn new(first_number: u16, kbps: u32) -> Self {
        Self {
            controller: Controller::new(&CONFIG, start()),
            now_ms: 0,
            number: first_number,
            kbps,
            under_way: VecDeque::new(),
            free_us: 0,
            frames: Vec::new(),
            probes: Vec::new(),
            reports: Reports::Arrive,
        }
    }

    fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            self.now_ms += 1;
            let now = start() + MS * self.now_ms;
            if self.now_ms.is_multiple_of(33) {
                let verdict = self.controller.handle_frame(Track::Camera, 0, now).expect("a camera");
                self.frames.push((self.now_ms, verdict));
                if let Verdict::Encode { bytes_max } = verdict {
                    let target = self.controller.target(Track::Camera).expect("a camera");
                    let bytes = bytes_max.min((target.bitrate.0 / 8 / target.fps) as usize);
                    (0..bytes.div_ceil(1200)).for_each(|_| self.send(1200, now));
                }
            }
            if self.now_ms.is_multiple_of(25) {
                self.report(now);
            }
            if self.controller.poll_timeout().is_some_and(|at| at <= now) {
                self.controller.handle_timeout(now);
            }
            while let Some(command) = self.controller.poll_command() {
                if command == Command::Probe {
                    self.probes.push(self.now_ms);
                    self.send(200, now);
                }
            }
        }
    }

    fn send(&mut self, bytes: usize, now: Instant) {
        self.number = self.number.wrapping_add(1);
        self.controller.handle_sent(self.number, bytes, now);
        let arrival = (self.kbps > 0).then(|| {
            let begin = self.free_us.max(u64::from(self.now_ms) * 1000);
            self.free_us = begin + bytes as u64 * 8000 / u64::from(self.kbps);
            self.free_us + 20_000
        });
        self.under_way.push_back((self.number, arrival));
    }

    /// What had arrived 20 ms ago, and what was lost before it.
    fn report(&mut self, now: Instant) {
        let made_us = u64::from(self.now_ms).saturating_sub(20) * 1000;
        let has_arrived = |arrival: &Option<u64>| arrival.is_some_and(|at| at <= made_us);
        let Some(count) = self.under_way.iter().rposition(|(_, arrival)| has_arrived(arrival)) else {
            return;
        };
        let report: Vec<_> = self
            .under_way
            .drain(..=count)
            .map(|(number, at)| Reported {
                number,
                arrival: at.map(|us| ReceiverTime::from_us(us as i64 - 90_000_000)),
            })
            .collect();
        if self.reports == Reports::Arrive {
            self.controller.handle_report(&report, now);
        }
    }

    fn encoded(&self, from_ms: u32) -> usize {
        let count =
            |(at, verdict): &&(u32, Verdict)| *at > from_ms && matches!(verdict, Verdict::Encode { .. });
        self.frames.iter().filter(count).count()
    }

    fn kbps(&self) -> u32 {
        self.controller.status(start() + MS * self.now_ms).bitrate.as_kbps()
    }
}

#[test]
fn a_steady_link_is_filled() {
    let mut rig = Rig::new(0, 3000);
    rig.run(6000);
    assert!((2400..=2750).contains(&rig.kbps()), "{}", rig.kbps());
    assert!(rig.controller.status(start() + MS * 6000).queue < MS * 20);
}

#[test]
fn numbers_that_wrap_change_nothing() {
    let run = |first| {
        let mut rig = Rig::new(first, 2000);
        rig.run(4000);
        (rig.kbps(), rig.frames)
    };
    assert_eq!(run(0), run(65_000));
}

#[test]
fn a_drop_to_a_quarter_is_followed_within_half_a_second() {
    let mut rig = Rig::new(0, 4000);
    rig.run(8000);
    rig.kbps = 1000;
    rig.run(500);
    assert!(rig.kbps() <= 1000, "{}", rig.kbps());
    rig.run(2000);
    assert!((600..=1000).contains(&rig.kbps()), "{}", rig.kbps());
}

#[test]
fn when_all_in_flight_is_lost_probes_open_the_gate_again() {
    let mut rig = Rig::new(0, 3000);
    rig.run(5000);
    rig.kbps = 0;
    rig.run(2000);
    assert_eq!(rig.encoded(5300), 0, "frames are skipped while nothing arrives");
    let pauses: Vec<_> = rig.probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() > 8 && pauses.iter().all(|pause| (150..=151).contains(pause)), "{pauses:?}");
    rig.kbps = 3000;
    rig.run(1000);
    assert!(rig.encoded(7300) >= 10, "{}", rig.encoded(7300));
    assert!(rig.frames.iter().any(|(at, v)| *at > 7000 && *at < 7300 && matches!(v, Verdict::Encode { .. })));
}

#[test]
fn without_reports_nothing_but_probes_is_sent_and_the_least_rate_is_kept() {
    let mut rig = Rig::new(0, 3000);
    rig.run(3000);
    rig.reports = Reports::AreLost;
    rig.run(5000);
    assert_eq!(rig.encoded(3400), 0);
    assert!(rig.kbps() >= 150);
    rig.reports = Reports::Arrive;
    rig.run(2000);
    assert!(rig.encoded(8400) > 30);
}

#[test]
fn a_lost_report_now_and_then_does_not_shut_the_gate() {
    let mut rig = Rig::new(0, 3000);
    rig.run(4000);
    for n in 0..40 {
        rig.reports = if n % 4 == 0 { Reports::AreLost } else { Reports::Arrive };
        rig.run(25);
    }
    assert!(rig.encoded(4000) >= 27, "{}", rig.encoded(4000));
}

#[test]
fn another_shape_of_the_camera_is_a_new_target() {
    let mut controller = Controller::new(&CONFIG, start());
    controller.poll_command();
    controller.set_size(Track::Camera, Size::new(640, 480), start());
    let told = controller.poll_command();
    assert!(
        matches!(told, Some(Command::SetTarget(Target { size, .. })) if size.width * 3 == size.height * 4),
        "{told:?}"
    );
    controller.set_size(Track::Camera, Size::new(640, 480), start());
    assert_eq!(controller.poll_command(), None);
}

#[test]
fn the_encoder_is_told_of_large_changes_only() {
    let mut controller = Controller::new(&CONFIG, start());
    assert!(matches!(controller.poll_command(), Some(Command::SetTarget(_))));
    for (kbps, is_told) in [(781, false), (739, true), (739, false)] {
        controller.set_bitrate_max(Track::Camera, Bitrate::from_kbps(kbps), start());
        assert_eq!(controller.poll_command().is_some(), is_told, "{kbps}");
    }
}

proptest! {
    #[test]
    fn whatever_a_peer_reports_the_rate_stays_within_its_bounds(
        steps in proptest::collection::vec(
            (0u32..400, 0usize..2000, proptest::collection::vec((any::<u16>(), any::<Option<i64>>(), any::<bool>()), 0..20)),
            1..200,
        ),
    ) {
        let mut controller = Controller::new(&CONFIG, start());
        let (mut now, mut number) = (start(), 65_500_u16);
        for (pause, bytes, report) in steps {
            now += MS * pause;
            number = number.wrapping_add(1);
            controller.handle_sent(number, bytes, now);
            let near = |far: u16, is_far: bool| if is_far { far } else { number.wrapping_sub(far % 8) };
            let report: Vec<_> = report
                .into_iter()
                .map(|(far, us, is_far)| Reported { number: near(far, is_far), arrival: us.map(ReceiverTime::from_us) })
                .collect();
            controller.handle_report(&report, now);
            controller.handle_timeout(now);
            if let Some(Verdict::Encode { bytes_max }) = controller.handle_frame(Track::Camera, 0, now) {
                prop_assert!(bytes_max < 60_000);
            }
            while controller.poll_command().is_some() {}
            let bitrate = controller.status(now).bitrate.as_kbps();
            prop_assert!((150..=4000).contains(&bitrate), "{bitrate}");
            prop_assert!((150..=4000).contains(&controller.target(Track::Camera).expect("a camera").bitrate.as_kbps()));
        }
    }
}

const CALL: Config = Config {
    camera: Source { size: Size::new(1280, 720), fps: 30, bitrate_max: Bitrate::from_kbps(2000) },
    screen: Some(Source { size: Size::new(1920, 1080), fps: 30, bitrate_max: Bitrate::from_kbps(2500) }),
    ..CONFIG
};

/// What the two tracks are told, in kbit/s.
fn told(controller: &Controller) -> (u32, u32) {
    let kbps = |track| controller.target(track).expect("a call").bitrate.as_kbps();
    (kbps(Track::Camera), kbps(Track::Screen))
}

#[test]
fn a_screen_takes_what_it_may_have_from_the_camera_and_gives_it_back() {
    let mut controller = Controller::new(&CALL, start());
    assert_eq!(told(&controller), (800, 800), "what each would have alone");
    controller.handle_frame(Track::Camera, 0, start());
    assert_eq!(told(&controller), (800, 700), "what the screen would have beside the camera");
    controller.handle_frame(Track::Screen, 0, start());
    assert_eq!(told(&controller), (100, 700));
    let later = start() + MS * 2000;
    controller.handle_frame(Track::Camera, 0, later);
    assert_eq!(told(&controller), (800, 700), "the screen gave no picture for two seconds");
}

#[test]
fn the_most_to_send_is_that_of_what_is_on() {
    let mut controller = Controller::new(&CALL, start());
    let all = Bitrate(u32::MAX);
    controller.set_start(all, start());
    assert_eq!(told(&controller), (2000, 2500));
    controller.handle_frame(Track::Camera, 0, start());
    assert_eq!(controller.status(start()).bitrate.as_kbps(), 2000);
    assert_eq!(controller.pace(start()), PACE_FREE, "all that may be sent is");
    controller.handle_frame(Track::Screen, 0, start());
    assert_eq!(told(&controller), (100, 1900), "it has to be grown to");
}

#[test]
fn sound_comes_off_before_the_pictures() {
    let mut controller = Controller::new(&CALL, start());
    for n in 0..100 {
        controller.handle_sound(150, start() + MS * 20 * n);
    }
    let now = start() + MS * 2000;
    controller.handle_frame(Track::Camera, 0, now);
    assert_eq!(told(&controller), (740, 640));
}

#[test]
fn where_no_screen_can_be_shared_there_is_no_verdict_on_one() {
    let mut controller = Controller::new(&CONFIG, start());
    assert_eq!(controller.handle_frame(Track::Screen, 0, start()), None);
    assert_eq!(controller.target(Track::Screen), None);
}
