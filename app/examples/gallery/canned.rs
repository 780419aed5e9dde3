//! Named states of the window with made-up values; the gallery shows them, the snapshot tests compare them.

#[path = "calls.rs"]
mod calls;
#[path = "lobby.rs"]
mod lobby;
#[path = "people.rs"]
mod people;

use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel::input::Intent;
use farwheel::input::profile::{Element, Function, Profile, Sample};
use farwheel::input::wizard::{State, Step as Ask};
use farwheel::model::connect::{Role, Step};
use farwheel::model::drive::{
    Arm, Deadman, Drive, Figures, Input, Laps, Lease, Link, Motion, Picture, Pose, Signaling, Stages,
    Throttled, Vehicle,
};
use farwheel::model::gamepad::{Device, Wizard};
use farwheel::model::link::{self, Data, Pace, Reason, Seen};
use farwheel::model::pair::{Line, Pair, Phase, Speaker, Way};
use farwheel::model::stats::{self, Counter, Row};
use farwheel::model::{Model, Notice, Scan};
use farwheel::render::slot::{self, Slot};
use farwheel::ui::Page;
use farwheel_media::VideoFrame;
use farwheel_proto::call::letter::{self, Kind};
use farwheel_proto::control::link_report::{Economy, LinkReport, MadeFor, Route, Rung};
use farwheel_proto::signaling::ConnId;
use farwheel_proto::video::{FrameId, Size};

pub(crate) use calls::{Faces, clicks};

/// Every state by name, with its page.
pub(crate) fn states() -> impl Iterator<Item = (&'static str, Page)> {
    DRIVING.into_iter().chain(calls::STATES)
}

const DRIVING: [(&str, Page); 40] = [
    ("connect-robots", Page::Drive),
    ("connect-many", Page::Drive),
    ("connect-looking", Page::Drive),
    ("connect-empty", Page::Drive),
    ("connect-unreachable", Page::Drive),
    ("connect-token", Page::Drive),
    ("connect-unlisted", Page::Drive),
    ("connect-no-address", Page::Drive),
    ("connect-busy", Page::Drive),
    ("connect-error", Page::Drive),
    ("drive-opening", Page::Drive),
    ("drive-disarmed", Page::Drive),
    ("drive-arming", Page::Drive),
    ("drive-armed", Page::Drive),
    ("drive-slow", Page::Drive),
    ("drive-frozen", Page::Drive),
    ("drive-lost", Page::Drive),
    ("drive-other-driver", Page::Drive),
    ("drive-estop", Page::Drive),
    ("drive-link-clear", Page::Drive),
    ("drive-link-economy", Page::Drive),
    ("drive-link-narrow", Page::Drive),
    ("drive-link-lossy", Page::Drive),
    ("drive-link-relay", Page::Drive),
    ("drive-link-slow", Page::Drive),
    ("drive-link-two-paths", Page::Drive),
    ("drive-link-still", Page::Drive),
    ("gamepad", Page::Gamepad),
    ("gamepad-none", Page::Gamepad),
    ("gamepad-wizard", Page::Gamepad),
    ("settings", Page::Settings),
    ("stats", Page::Stats),
    ("stats-empty", Page::Stats),
    ("pair", Page::Pair),
    ("pair-waiting", Page::Pair),
    ("pair-offer", Page::Pair),
    ("pair-reading", Page::Pair),
    ("pair-together", Page::Pair),
    ("notices", Page::Drive),
    ("shortcuts", Page::Drive),
];

/// The model of a state.
pub(crate) fn model(name: &str) -> Model {
    let mut model = Model::default();
    match name {
        "ring-driving" => {
            calls::fill(name, &mut model);
            model.drive = Some(driving());
        }
        name if ["call", "prejoin", "ring"].iter().any(|kind| name.starts_with(kind)) => {
            calls::fill(name, &mut model);
        }
        name if name.starts_with("connect") => model.connect = lobby::connect(name),
        "gamepad" => model.gamepad = gamepad(),
        "gamepad-none" => {}
        "gamepad-wizard" => {
            model.gamepad = gamepad();
            model.gamepad.wizard = Some(Wizard {
                state: State::Waiting(Ask::Reverse),
                prompt: Ask::Reverse.prompt(),
                complaint: Some("that one is the throttle already; use another control".into()),
                done: 3,
                steps: 11,
            });
        }
        "settings" => {}
        "stats" => {
            model.drive = Some(driving());
            model.stats = measured();
        }
        "stats-empty" => {}
        name if name.starts_with("pair") => {
            model.pair = pair(name);
            model.scan = (name == "pair-reading").then(|| Scan {
                problem: Some(
                    "This is your own offer: send it to the other one, and paste what comes back.".into(),
                ),
            });
        }
        "shortcuts" => model.drive = Some(driving()),
        "notices" => {
            model.drive = Some(driving());
            model.notices = vec![
                Notice::good("Snapshot saved to Pictures/farwheel-0042.png"),
                Notice::warning("The signalling server is unreachable; driving goes on."),
            ];
        }
        "drive-opening" => {
            let mut drive = Drive::new("Buggy", "car", Role::Driver);
            drive.link = Link::Opening(Step::OpenLink);
            model.drive = Some(drive);
        }
        _ => {
            model.settings.economy = name == "drive-link-economy";
            model.drive = Some(drive(name));
        }
    }
    model
}

fn pair(name: &str) -> Pair {
    let line = |from, text: &str| Line { from, text: text.into() };
    match name {
        "pair-waiting" => Pair { phase: Phase::Waiting { code: "7k3m9qxw".into() }, lines: Vec::new() },
        "pair-reading" => Pair {
            phase: Phase::Offer { letter: letter(Kind::Offer, SDP), problem: None },
            lines: Vec::new(),
        },
        "pair-offer" => {
            let letter = letter(Kind::Offer, SDP);
            let problem = "The letter is cut off: 120 of 236 characters are there; copy all of it.";
            Pair { phase: Phase::Offer { letter, problem: Some(problem.into()) }, lines: Vec::new() }
        }
        "pair-together" => Pair {
            phase: Phase::Together { name: "Grace".into(), way: Way::Direct },
            lines: vec![
                line(Speaker::Other, "Are you there?"),
                line(Speaker::Own, "Yes. The key for the shed is under the third pot from the left."),
                line(Speaker::Other, "Found it, thanks!"),
            ],
        },
        _ => Pair::default(),
    }
}

/// A letter of a fixed time.
pub(crate) fn letter(kind: Kind, sdp: &str) -> String {
    letter::write(kind, ConnId::new(0xc0ff_ee00_c0ff_ee00), sdp, 1_800_000_000)
}

/// Of a connection of data channels alone.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\n\
    a=fingerprint:sha-256 3C:4F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:FF\r\n\
    a=sctp-port:5000\r\na=ice-ufrag:abcdEFGH12345678\r\na=ice-pwd:abcdefghijklmnopqrstuvwxyz012345\r\n\
    a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n";

fn drive(name: &str) -> Drive {
    let mut drive = driving();
    let rest = |drive: &mut Drive| {
        drive.commanded = Motion::default();
        drive.applied = Motion::default();
        drive.vehicle.speed = Some(0.0);
        drive.deadman = Deadman::Released;
    };
    match name {
        "drive-disarmed" => {
            rest(&mut drive);
            drive.arm = Arm::Disarmed;
        }
        "drive-arming" => {
            rest(&mut drive);
            drive.arm = Arm::Arming { progress: 0.62 };
        }
        "drive-armed" => {}
        "drive-slow" => {
            drive.figures.picture_age = Some(Duration::from_millis(236));
            drive.figures.loop_age = Some(Duration::from_millis(312));
            drive.figures.rtt = Some(Duration::from_millis(184));
            drive.figures.loss = Some(0.041);
            drive.figures.bitrate = Some(640_000.0);
            drive.stages.network = Some(Duration::from_millis(171));
            drive.governor = 0.72;
            drive.link = Link::Connected { signaling: Signaling::Offline };
            drive.vehicle.cell_v = Some(3.46);
            drive.vehicle.charge = Some(0.12);
            drive.vehicle.throttled = Throttled::Yes;
        }
        "drive-frozen" => {
            drive.picture = Picture::Frozen { since: Duration::from_millis(1240) };
            drive.figures.picture_age = Some(Duration::from_millis(1291));
            drive.figures.fps = Some(0.0);
            drive.governor = 0.0;
            drive.applied.throttle = 0.0;
        }
        "drive-lost" => {
            rest(&mut drive);
            drive.commanded = Motion { throttle: 0.35, steer: -0.2 };
            drive.link = Link::Lost { since: Duration::from_millis(4300), attempts: 3 };
            drive.picture = Picture::Lost { since: Duration::from_millis(4320) };
            drive.arm = Arm::LinkLoss;
            drive.figures = Figures {
                picture_age: Some(Duration::from_millis(4362)),
                size: Some((1280, 720)),
                ..Figures::default()
            };
            drive.stages = Stages::default();
            drive.vehicle.speed = None;
        }
        "drive-other-driver" => {
            drive.lease = Lease::Other { name: "Grace".into() };
            drive.input = Input::None;
            drive.commanded = Motion::default();
            drive.deadman = Deadman::Released;
        }
        "drive-estop" => {
            rest(&mut drive);
            drive.arm = Arm::Stopped { reason: "by the driver".into() };
        }
        "drive-link-still" => {
            drive = self::drive("drive-frozen");
            drive.why = Some(why(Reason::Still));
        }
        "drive-link-clear" => drive.why = Some(why(Reason::Clear)),
        "drive-link-economy" => drive.why = Some(why(Reason::Economy)),
        "drive-link-narrow" => drive.why = Some(why(Reason::Narrow)),
        "drive-link-lossy" => drive.why = Some(why(Reason::Loss)),
        "drive-link-slow" => drive.why = Some(why(Reason::SlowRobot)),
        "drive-link-relay" => drive.why = Some(why(Reason::Relay)),
        "drive-link-two-paths" => {
            drive.why = Some(why(Reason::Clear));
            drive.control = Some("Control on two paths: eth0 and relay.".into());
        }
        other => panic!("no state is called {other}"),
    }
    drive
}

fn driving() -> Drive {
    let ms = |value: f64| Some(Duration::from_secs_f64(value / 1000.0));
    Drive {
        link: Link::Connected { signaling: Signaling::Online },
        lease: Lease::Mine,
        arm: Arm::Armed,
        deadman: Deadman::Held,
        picture: Picture::Live,
        commanded: Motion { throttle: 0.42, steer: 0.31 },
        applied: Motion { throttle: 0.38, steer: 0.28 },
        figures: Figures {
            picture_age: ms(48.0),
            loop_age: ms(61.0),
            rtt: ms(24.0),
            bitrate: Some(2_140_000.0),
            fps: Some(59.8),
            loss: Some(0.003),
            size: Some((1280, 720)),
        },
        stages: Stages {
            capture: ms(1.9),
            encode: ms(6.2),
            network: ms(13.4),
            decode: ms(3.1),
            present: ms(8.3),
        },
        vehicle: Vehicle {
            speed: Some(3.72),
            battery_v: Some(7.9),
            cell_v: Some(3.95),
            charge: Some(0.78),
            temperature_c: Some(54.0),
            throttled: Throttled::No,
        },
        laps: Some(Laps {
            number: 3,
            current: Duration::from_millis(18_240),
            last: Some(Duration::from_millis(31_870)),
            best: Some(Duration::from_millis(30_520)),
        }),
        pose: Some(Pose { x: 14.0, y: 7.4, heading: 2.5, track: circuit() }),
        viewers: 2,
        input: Input::Gamepad("Xbox Wireless Controller".into()),
        cameras: vec!["Front".into(), "Rear".into()],
        ..Drive::new("Buggy", "car", Role::Driver)
    }
}

fn why(reason: Reason) -> link::View {
    let camera = Rung { width: 1280, height: 720, fps: 30 };
    let clear = LinkReport {
        route: Route::Direct,
        made_for: MadeFor::ThisLink,
        economy: Economy::Off,
        capacity_kbps: 6400,
        target_kbps: 4000,
        sent_kbps: 3780,
        max_kbps: 4000,
        queue_ms: 3,
        stall_ms: 0,
        loss_permille: 1,
        skipped: 0,
        rung: camera,
        camera,
        bytes_sent: 0,
    };
    let report = match reason {
        Reason::Narrow => LinkReport {
            capacity_kbps: 640,
            target_kbps: 544,
            sent_kbps: 528,
            queue_ms: 22,
            rung: Rung { width: 640, height: 360, fps: 20 },
            ..clear
        },
        Reason::Economy => LinkReport {
            economy: Economy::On,
            target_kbps: 600,
            sent_kbps: 574,
            max_kbps: 600,
            rung: Rung { width: 640, height: 360, fps: 30 },
            ..clear
        },
        Reason::Loss => {
            LinkReport { capacity_kbps: 2900, sent_kbps: 2310, loss_permille: 31, queue_ms: 12, ..clear }
        }
        Reason::Still => {
            LinkReport { capacity_kbps: 1800, sent_kbps: 90, queue_ms: 340, stall_ms: 1240, ..clear }
        }
        Reason::Relay => LinkReport { route: Route::RelayTcp, capacity_kbps: 4800, ..clear },
        Reason::Clear
        | Reason::Queue
        | Reason::Another
        | Reason::Rising
        | Reason::SlowRobot
        | Reason::SlowDesk => clear,
    };
    let data = Data { bytes: 124_300_000, per_hour: f64::from(report.sent_kbps) * 450_000.0 };
    let seen = Seen {
        still_for: Duration::from_millis(report.stall_ms.into()),
        pace: Pace { received: 9, shown: 9 },
    };
    link::View::new(reason, report, report.route, data, seen)
}

fn circuit() -> Arc<[(f32, f32)]> {
    (0..96)
        .map(|step| {
            let angle = step as f32 / 96.0 * std::f32::consts::TAU;
            let radius = 14.0 + 3.5 * (2.0 * angle).cos() + 2.0 * (3.0 * angle + 0.6).sin();
            (radius * 1.25 * angle.cos(), radius * angle.sin())
        })
        .collect()
}

fn gamepad() -> farwheel::model::Gamepad {
    let sample: Sample = [
        ("axis.LeftStickX", 0.62),
        ("axis.LeftStickY", 0.05),
        ("axis.RightStickX", 0.0),
        ("axis.RightStickY", 0.0),
        ("button.RightTrigger2", 0.58),
        ("button.LeftTrigger2", 0.0),
        ("button.LeftTrigger", 1.0),
        ("button.North", 1.0),
    ]
    .map(|(name, value)| (Element::new(name), value))
    .into();
    let device = |name: &str, sample: Sample, rumble| Device {
        key: format!("03 {name}"),
        name: name.into(),
        sample,
        profile: Profile::gamepad(name),
        rumble,
    };
    let mut first = device("Xbox Wireless Controller", sample, true);
    first.profile.buttons.remove(&Function::Horn);
    farwheel::model::Gamepad {
        devices: vec![first, device("Driving wheel", Sample::new(), false)],
        active: Some(0),
        shaped: Intent { throttle: 0.47, steer: 0.52, deadman: true, lights: true, ..Intent::default() },
        unavailable: None,
        wizard: None,
    }
}

fn measured() -> stats::Stats {
    let mut stats = stats::Stats { lasted: Duration::from_secs(214), ..stats::Stats::default() };
    for step in 0..stats::Stats::SAMPLES_MAX {
        let t = step as f32 / 10.0;
        let wave = (t * 0.31).sin() + 0.6 * (t * 0.83 + 1.0).sin() + 0.35 * (t * 2.9).sin();
        let burst = if (620..660).contains(&step) { 150.0 } else { 0.0 };
        let is_gap = (900..930).contains(&step);
        stats.push(stats::Sample {
            at_s: f64::from(t),
            picture_age_ms: if is_gap { f32::NAN } else { 52.0 + 9.0 * wave + burst },
            loop_age_ms: 64.0 + 6.0 * wave + burst * 0.7,
            rtt_ms: 24.0 + 3.0 * wave + burst * 0.4,
            bitrate_mbps: 2.1 + 0.15 * wave - burst * 0.006,
            fps: 59.0 + 0.8 * wave - burst * 0.12,
            loss_percent: (0.3 + 0.3 * wave + burst * 0.04).max(0.0),
        });
    }
    let row = |name: &str, p50_ms, p95_ms, p99_ms, max_ms| Row {
        name: name.into(),
        p50_ms,
        p95_ms,
        p99_ms,
        max_ms,
        count: 12_840,
    };
    stats.rows = vec![
        row("Picture age", 51.3, 66.0, 204.0, 231.0),
        row("Frame delay", 33.1, 47.2, 178.0, 196.0),
        row("Loop age", 63.0, 74.4, 160.0, 171.0),
        row("Encode", 6.1, 7.4, 9.9, 14.2),
        row("Decode", 3.0, 3.8, 5.2, 9.6),
        row("Present", 8.2, 16.1, 16.6, 18.0),
    ];
    let counter = |name: &str, value: &str| Counter { name: name.into(), value: value.into() };
    stats.counters = vec![
        counter("Pictures shown", "12 790"),
        counter("Overtaken before shown", "31"),
        counter("Lost in the network", "19"),
        counter("Key frames asked for", "2"),
        counter("Stalls above 200 ms", "0.4 s"),
    ];
    stats
}

/// A picture for a state, or none for the states without any.
pub(crate) fn pictures(name: &str, picture: impl FnOnce() -> slot::Picture) -> Slot {
    let slot = Slot::new();
    if name != "drive-opening" {
        slot.put(picture());
    }
    slot
}

/// The pictures of a call in a state.
pub(crate) fn faces(model: &Model, size: (u32, u32)) -> Faces {
    calls::faces(model, size)
}

/// Sky, meadow and road in four colours: compared pictures stay small.
#[allow(dead_code, reason = "the tests compare, the gallery draws")]
pub(crate) fn plain() -> slot::Picture {
    let rgb = image::RgbImage::from_fn(960, 600, |x, y| {
        let below = y as f32 - 270.0;
        let across = (x as f32 - 480.0).abs();
        let half = 24.0 + below * 1.25;
        image::Rgb(match () {
            () if below < 0.0 => [150, 196, 236],
            () if across > half => [96, 168, 72],
            () if across > half * 0.94 => [236, 236, 232],
            () => [88, 92, 98],
        })
    });
    slot::Picture { id: FrameId(7), frame: i420(&rgb), decoded_at: Instant::now() }
}

/// A picture of the simulated world as a decoder would give it.
#[allow(dead_code, reason = "the gallery draws, the tests compare")]
pub(crate) fn road() -> slot::Picture {
    let png = include_bytes!("road.png");
    let rgb = image::load_from_memory(png).expect("road.png is a picture").to_rgb8();
    let frame = i420(&rgb);
    slot::Picture { id: FrameId(7), frame, decoded_at: Instant::now() }
}

/// BT.601 limited range, chroma averaged over four pixels.
pub(crate) fn i420(rgb: &image::RgbImage) -> VideoFrame {
    let (width, height) = (rgb.width() as usize & !1, rgb.height() as usize & !1);
    let pixel = |x: usize, y: usize| rgb.get_pixel(x as u32, y as u32).0.map(f32::from);
    let mut data = Vec::with_capacity(width * height * 3 / 2);
    for y in 0..height {
        for x in 0..width {
            let [r, g, b] = pixel(x, y);
            data.push((16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0).round() as u8);
        }
    }
    for [wr, wg, wb] in [[-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]] {
        for y in (0..height).step_by(2) {
            for x in (0..width).step_by(2) {
                let mut sum = 0.0;
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let [r, g, b] = pixel(x + dx, y + dy);
                    sum += (wr * r + wg * g + wb * b) / 255.0;
                }
                data.push((128.0_f32 + sum / 4.0).round() as u8);
            }
        }
    }
    VideoFrame {
        size: Size::new(width as u32, height as u32),
        data: Arc::new(data),
        stride_y: width,
        stride_uv: width / 2,
        captured_at: Instant::now(),
    }
}
