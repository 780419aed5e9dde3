//! Named states of calls.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use farwheel::model::call::{
    Call, Device, Figures, File, Letters, Line, Link, LinkFigures, Member, Own, Phase, PreJoin, Progress,
    Recording, Server, Shareable, Sharing, Source, Target, Trust, Verification, Voice,
};
use farwheel::model::connect::{Field, Problem};
use farwheel::model::ring::{Incoming, Line as OwnLine, Missed, Ringing, Standing, Why};
use farwheel::model::{Model, Scan};
use farwheel::render::slot::{Picture, Slot};
use farwheel::ui::Page;
use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::Tile;
use farwheel_proto::call::letter::Kind;
use farwheel_proto::video::FrameId;

use super::people::{portrait, slide};

/// The pictures of a call.
pub(crate) type Faces = HashMap<Source, Slot>;

/// A call's description, as the engine writes it.
const CALL: &str = include_str!("call.sdp");

/// Every state of calls by name, with its page.
pub(crate) const STATES: [(&str, Page); 44] = [
    ("calls", Page::Call),
    ("calls-line", Page::Call),
    ("calls-line-failed", Page::Call),
    ("ring", Page::Call),
    ("ring-changed", Page::Settings),
    ("ring-driving", Page::Drive),
    ("prejoin", Page::Call),
    ("prejoin-no-devices", Page::Call),
    ("prejoin-waiting", Page::Call),
    ("prejoin-failed", Page::Call),
    ("prejoin-letters", Page::Call),
    ("prejoin-offer", Page::Call),
    ("prejoin-reading", Page::Call),
    ("prejoin-answer", Page::Call),
    ("prejoin-ringing", Page::Call),
    ("prejoin-declined", Page::Call),
    ("call-alone", Page::Call),
    ("call-one", Page::Call),
    ("call-one-no-camera", Page::Call),
    ("call-grid", Page::Call),
    ("call-eight", Page::Call),
    ("call-spotlight", Page::Call),
    ("call-share", Page::Call),
    ("call-own-share", Page::Call),
    ("call-reconnecting", Page::Call),
    ("call-connecting", Page::Call),
    ("call-chat", Page::Call),
    ("call-chat-empty", Page::Call),
    ("call-people", Page::Call),
    ("call-verify", Page::Call),
    ("call-changed", Page::Call),
    ("call-stats", Page::Call),
    ("call-lobby", Page::Call),
    ("call-listen-only", Page::Call),
    ("call-recording", Page::Call),
    ("call-muted", Page::Call),
    ("call-away", Page::Call),
    ("call-invite", Page::Call),
    ("call-microphone", Page::Call),
    ("call-more", Page::Call),
    ("call-long-names", Page::Call),
    ("call-float", Page::Call),
    ("call-shortcuts", Page::Call),
    ("call-settings", Page::Settings),
];

/// Puts a state of calls into a model.
pub(crate) fn fill(name: &str, model: &mut Model) {
    model.settings.name = "Ada Martin".into();
    match name {
        "calls" => {}
        "calls-line" | "calls-line-failed" | "ring" | "ring-changed" | "ring-driving" => line(name, model),
        name if name.starts_with("prejoin") => {
            model.prejoin = Some(prejoin(name));
            model.scan = (name == "prejoin-reading").then(Scan::default);
        }
        "call-settings" => model.call = Some(call("call-grid")),
        name => model.call = Some(call(name)),
    }
}

/// What is clicked, one after the other, to get to a state in a window so wide.
pub(crate) fn clicks(name: &str, width: f32) -> &'static [&'static str] {
    match name {
        // What has no room in the bar is in its menu.
        "call-stats" if width < 940.0 => &["More", "Stats"],
        "call-invite" if width < 940.0 => &["More", "Invite others"],
        "call-chat" | "call-chat-empty" => &["Chat (C)"],
        "call-people" => &["People (P)"],
        "call-verify" | "call-changed" => &["People (P)", "In the list: Samuel Okoye, quality 4 of 4"],
        "call-stats" => &["Stats"],
        "call-invite" => &["Invite others"],
        "call-microphone" => &["Microphone and speaker"],
        "call-more" => &["More"],
        "call-spotlight" => &["More", "Layout: Who speaks large"],
        "call-float" => &["More", "Picture in picture"],
        _ => &[],
    }
}

fn prejoin(name: &str) -> PreJoin {
    let mut own = own();
    let mut phase = Phase::Idle;
    match name {
        "prejoin-no-devices" => without_devices(&mut own),
        "prejoin-waiting" => phase = Phase::Waiting,
        "prejoin-failed" => {
            phase = Phase::Failed(Problem {
                what: "The room is full.".into(),
                remedy: "Eight people are in it; try again when somebody has left.".into(),
                code: Some("room_full".into()),
                field: Field::Form,
            });
        }
        "prejoin-ringing" => phase = Phase::Ringing(Ringing::Rings(Some("Samuel Okoye".into()))),
        "prejoin-declined" => {
            phase = Phase::Failed(Problem {
                what: "Samuel Okoye has declined the call.".into(),
                remedy: "Try again later, or write.".into(),
                code: Some("declined".into()),
                field: Field::Form,
            });
        }
        _ => {}
    }
    let letters = match name {
        "prejoin-letters" => Some(Letters::Begin(None)),
        "prejoin-offer" | "prejoin-reading" => {
            Some(Letters::Offer { letter: super::letter(Kind::Offer, CALL), problem: None })
        }
        "prejoin-answer" => Some(Letters::Answer { letter: super::letter(Kind::Answer, CALL) }),
        _ => None,
    };
    let target = match name {
        "prejoin-ringing" | "prejoin-declined" => own_line(),
        _ if letters.is_none() => target(),
        _ => Target::default(),
    };
    PreJoin { target, letters, own, phase, is_testing: false }
}

fn own_line() -> Target {
    let room = "line-e5ahbnoq7vgtdk0p3r2m9sc8u0".into();
    Target { server: "wss://example.org".into(), room, token: String::new() }
}

fn line(name: &str, model: &mut Model) {
    let standing = match name {
        "calls-line-failed" => Standing::Failed(Problem {
            what: "Nothing answers at wss://example.org.".into(),
            remedy: "Start the server (`farwheel-signaling serve`), or check address and port.".into(),
            code: Some("connection_refused".into()),
            field: Field::Server,
        }),
        _ => Standing::Open,
    };
    let incoming = |name: &str, trust| Incoming { name: name.into(), trust, lasted: Duration::from_secs(4) };
    model.settings.call.line = Some("wss://example.org".into());
    model.line = Some(OwnLine {
        link: farwheel::model::invitation::link(&own_line()),
        target: own_line(),
        standing,
        incoming: match name {
            "ring" => Some(incoming("Samuel Okoye", Trust::Verified)),
            "ring-changed" => {
                Some(incoming("Greta Lindqvist of the workshop in the old harbour", Trust::Changed))
            }
            "ring-driving" => Some(incoming("Daniel Reyes", Trust::New)),
            _ => None,
        },
    });
    if name == "calls-line" {
        let missed = |name: &str, trust, seconds, why| Missed {
            name: name.into(),
            trust,
            ago: Duration::from_secs(seconds),
            target: own_line(),
            why,
        };
        model.missed = vec![
            missed("Greta Lindqvist", Trust::Known, 340, Why::Unanswered),
            missed("Daniel Reyes", Trust::New, 4000, Why::Busy),
        ];
    }
}

fn target() -> Target {
    Target { server: "wss://example.org".into(), room: "quiet-otter-7kq2m".into(), token: String::new() }
}

fn device(names: &[&str]) -> Device {
    Device { names: names.iter().map(|name| (*name).into()).collect(), used: Some(0), problem: None }
}

fn own() -> Own {
    Own {
        name: "Ada Martin".into(),
        camera: device(&["HD Pro Webcam C920", "Integrated Camera"]),
        microphone: device(&["Yeti Stereo Microphone", "Built-in Audio Analog Stereo"]),
        speaker: device(&["USB Headset", "Built-in Audio Analog Stereo", "HDMI Monitor"]),
        is_camera_on: true,
        level: 0.006,
        screens: [
            ("screen:1", "Screen 1 (2560\u{d7}1440)", Sharing::Screen),
            ("screen:2", "Screen 2 (1920\u{d7}1080)", Sharing::Screen),
            ("window:0x2a00003", "Plan of the garden", Sharing::Window),
        ]
        .map(|(key, name, kind)| Shareable { key: key.into(), name: name.into(), kind })
        .to_vec(),
        ..Own::default()
    }
}

fn without_devices(own: &mut Own) {
    own.camera = Device::default();
    own.microphone = Device::default();
    own.speaker = Device::default();
    own.is_camera_on = false;
    own.level = 0.0;
}

const NAMES: [&str; 7] =
    ["Samuel Okoye", "Greta Lindqvist", "Daniel Reyes", "Amara Diallo", "Henrik Vogel", "Mei Tanaka", "Tim"];

fn member(index: usize) -> Member {
    Member {
        id: PeerId::new(index as u128 + 1),
        name: NAMES[index % NAMES.len()].into(),
        link: Link::Connected { bars: 4, reason: None },
        is_camera_on: true,
        is_microphone_on: true,
        hears: true,
        shares: false,
        is_hand_up: false,
        speaks: false,
        level: 0.0,
        volume: 1.0,
        verification: Some(Verification { words: "falcon meadow orbit citrus".into(), trust: Trust::Known }),
    }
}

fn speak(member: &mut Member) -> Option<PeerId> {
    member.speaks = true;
    member.level = 0.09;
    Some(member.id)
}

fn call(name: &str) -> Call {
    let count = match name {
        "call-alone" => 0,
        "call-one" | "call-one-no-camera" | "call-microphone" | "call-more" | "call-float" | "call-muted" => {
            1
        }
        "call-eight" | "call-spotlight" | "call-long-names" => 7,
        _ => 3,
    };
    let mut call = Call {
        room: "quiet-otter-7kq2m".into(),
        link: farwheel::model::invitation::link(&target()),
        lasted: Duration::from_secs(754),
        own: own(),
        members: (0..count).map(member).collect(),
        is_moderator: true,
        ..Call::default()
    };
    match name {
        "call-alone" => call.lasted = Duration::from_secs(9),
        "call-one" | "call-float" => call.active = call.members.first_mut().and_then(speak),
        "call-one-no-camera" => {
            call.members[0].is_camera_on = false;
            call.active = speak(&mut call.members[0]);
            call.own.is_camera_on = false;
        }
        "call-grid" | "call-invite" | "call-settings" | "call-shortcuts" => three(&mut call),
        "call-eight" | "call-spotlight" => {
            three(&mut call);
            call.members[3].is_camera_on = false;
            call.members[5].is_hand_up = true;
            call.members[6].link =
                Link::Connected { bars: 1, reason: Some("9 % of packets lost on the way here".into()) };
        }
        "call-share" => {
            call.members[0].shares = true;
            three(&mut call);
        }
        "call-own-share" => {
            three(&mut call);
            call.own.shared = Some("Screen 1 (2560\u{d7}1440)".into());
        }
        "call-reconnecting" => {
            call.members[1].link = Link::Reconnecting(Duration::from_secs(7));
            call.members[2].link =
                Link::Connected { bars: 2, reason: Some("the link is narrow: 420 kbit/s".into()) };
            call.active = speak(&mut call.members[0]);
        }
        "call-connecting" => {
            three(&mut call);
            call.members[2].link = Link::Connecting;
            call.members[2].is_camera_on = false;
        }
        "call-chat" => {
            three(&mut call);
            call.chat = chat().into();
            call.files = files();
        }
        "call-people" | "call-verify" | "call-changed" => {
            three(&mut call);
            call.members[1].is_hand_up = true;
            call.members[2].link =
                Link::Connected { bars: 2, reason: Some("the link is narrow: 420 kbit/s".into()) };
            call.members[2].hears = false;
            if let Some(verification) = &mut call.members[0].verification {
                verification.trust = if name == "call-changed" { Trust::Changed } else { Trust::New };
            }
            call.members[0].speaks = false;
        }
        "call-stats" => {
            three(&mut call);
            call.figures = figures(&call).into();
        }
        "call-lobby" => {
            three(&mut call);
            call.is_locked = true;
            call.knocking = vec![(PeerId::new(90), "Margaret Cole".into()), (PeerId::new(91), "Rob".into())];
        }
        "call-listen-only" => {
            three(&mut call);
            call.own.microphone = Device::default();
            call.own.camera = Device::default();
            call.own.is_camera_on = false;
        }
        "call-recording" => {
            three(&mut call);
            call.recording = Some(Recording { path: "call.mp4".into(), lasted: Duration::from_secs(83) });
            call.recorded_by = vec!["Samuel Okoye".into()];
        }
        "call-muted" => {
            call.own.voice = Voice::Muted;
            call.own.speaks_while_muted = true;
            call.own.level = 0.08;
        }
        "call-away" => {
            three(&mut call);
            call.server = Server::Away(Duration::from_secs(42));
        }
        "call-long-names" => {
            for (index, member) in call.members.iter_mut().enumerate() {
                member.name = format!("{} {}", NAMES[index], "the very long-winded ".repeat(3));
                member.is_microphone_on = index % 2 == 0;
                member.hears = index % 3 != 0;
                member.is_camera_on = index % 4 != 1;
            }
            call.room = format!("{}-7kq2m", "long-room-name".repeat(4));
            call.knocking = vec![(PeerId::new(90), "Wolfeschlegelsteinhausenbergerdorff ".repeat(2))];
        }
        _ => {}
    }
    call
}

fn three(call: &mut Call) {
    call.members[1].is_microphone_on = false;
    call.active = speak(&mut call.members[0]);
    if let Some(verification) = &mut call.members[2].verification {
        verification.trust = Trust::Verified;
    }
    call.members[2].link =
        Link::Connected { bars: 3, reason: Some("1 % of packets lost on the way here".into()) };
    // What came before the panel was opened.
    call.chat = chat().into_iter().take(3).collect();
    call.unread = call.chat.iter().filter(|line| line.from.is_some()).count();
}

fn chat() -> Vec<Line> {
    let line = |from: Option<&str>, ago, text: &str| Line {
        from: from.map(Into::into),
        ago: Duration::from_secs(ago),
        text: text.into(),
        ..Line::default()
    };
    vec![
        line(Some("Samuel Okoye"), 640, "Good morning! The agenda is at https://example.org/agenda"),
        line(None, 610, "Thanks. I can see and hear all of you."),
        line(Some("Greta Lindqvist"), 320, "I have to mute myself, there is a machine running behind me."),
        line(Some("Greta Lindqvist"), 311, "Go on, I listen."),
        line(Some("Daniel Reyes"), 95, "Here are the drawings, and the figures from yesterday's drive."),
    ]
}

fn files() -> Vec<File> {
    vec![
        File {
            id: 1,
            from: None,
            name: "minutes-of-last-week.pdf".into(),
            size: 184_320,
            ago: Duration::from_secs(500),
            progress: Progress::Done(None),
        },
        File {
            id: 2,
            from: Some("Daniel Reyes".into()),
            name: "chassis-drawings.zip".into(),
            size: 48_600_000,
            ago: Duration::from_secs(80),
            progress: Progress::Running(19_900_000, 2_400_000),
        },
        File {
            id: 3,
            from: Some("Daniel Reyes".into()),
            name: "drive-figures.csv".into(),
            size: 912_000,
            ago: Duration::from_secs(40),
            progress: Progress::Offered,
        },
    ]
}

fn figures(call: &Call) -> Vec<Figures> {
    let sample = |second: usize| Figures {
        links: call
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| {
                let t = second as f32 * 0.11 + index as f32;
                let wave = t.sin() + 0.5 * (t * 2.7).sin();
                let ms = |value: f32| Some(Duration::from_secs_f32(value / 1000.0));
                let figures = LinkFigures {
                    rtt: ms(24.0 + 6.0 * index as f32 + 3.0 * wave),
                    sent_kbps: 910.0 + 40.0 * wave,
                    received_kbps: 1_240.0 - 260.0 * index as f32 + 120.0 * wave,
                    loss: 0.004 * index as f32,
                    playout: ms(38.0 + 4.0 * wave),
                    picture_age: ms(71.0 + 5.0 * wave),
                    picture: Some(Tile { width: 640, height: 360 }),
                };
                (member.id, figures)
            })
            .collect(),
    };
    (0..120).map(sample).collect()
}

/// A picture for everybody whose camera is on, and for every screen.
pub(crate) fn faces(model: &Model, size: (u32, u32)) -> Faces {
    let slot = |rgb: &image::RgbImage| {
        let slot = Slot::new();
        slot.put(Picture { id: FrameId(1), frame: super::i420(rgb), decoded_at: Instant::now() });
        slot
    };
    let mut faces = Faces::new();
    let own = model.call.as_ref().map(|call| &call.own).or(model.prejoin.as_ref().map(|before| &before.own));
    if own.is_some_and(|own| own.is_camera_on) || model.scan.is_some() {
        faces.insert(Source::Own, slot(&portrait(0, size.0, size.1)));
    }
    if own.is_some_and(|own| own.shared.is_some()) {
        faces.insert(Source::OwnScreen, slot(&slide(2 * size.0, 2 * size.1)));
    }
    for (index, member) in model.call.iter().flat_map(|call| &call.members).enumerate() {
        if member.is_camera_on {
            faces.insert(Source::Camera(member.id), slot(&portrait(index + 1, size.0, size.1)));
        }
        if member.shares {
            faces.insert(Source::Screen(member.id), slot(&slide(2 * size.0, 2 * size.1)));
        }
    }
    faces
}
