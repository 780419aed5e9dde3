use std::io::Read as _;
use std::time::Duration;

use super::*;
use crate::model::call::{
    Figures, File as SharedFile, Line, Link, LinkFigures, Member, Own, Progress, Server, Trust, Verification,
};

/// Everything that must not get out, each in its own words.
const PRIVATE: [&str; 14] = [
    "sesame-room",
    "Ada Lovelace",
    "Bob Builder",
    "signal.farwheel.test",
    "192.0.2.77",
    "2001:db8::99",
    "hunter2hunter2",
    "zebra tulip canyon donkey",
    "meet me at noon",
    "plan-of-the-bank.pdf",
    "ufragvalue",
    "AB:CD:EF:01:23:45",
    "Private diary",
    "futurekeyvalue",
];

fn settings() -> Settings {
    let mut settings = Settings { name: "Ada Lovelace".into(), ui_scale: 1.25, ..Settings::default() };
    settings.remember("wss://signal.farwheel.test", "sesame-room", 7);
    settings.unknown.insert("future".into(), "futurekeyvalue".into());
    settings
}

fn call() -> Call {
    let id = PeerId::new(77);
    let verification = Verification { words: "zebra tulip canyon donkey".into(), trust: Trust::Changed };
    let member = Member {
        id,
        name: "Bob Builder".into(),
        link: Link::Connected { bars: 2, reason: Some("loss".into()) },
        is_camera_on: true,
        is_microphone_on: false,
        hears: true,
        shares: false,
        is_hand_up: false,
        speaks: false,
        level: 0.0,
        volume: 1.5,
        verification: Some(verification),
    };
    Call {
        room: "sesame-room".into(),
        link: "farwheel://call?server=wss://signal.farwheel.test&room=sesame-room".into(),
        lasted: Duration::from_secs(90),
        own: Own {
            name: "Ada Lovelace".into(),
            camera: Device { problem: Some("busy at 192.0.2.77".into()), ..Device::default() },
            shared: Some("Private diary".into()),
            ..Own::default()
        },
        members: vec![member],
        server: Server::Here,
        knocking: vec![(PeerId::new(78), "Eve".into())],
        chat: vec![Line {
            from: None,
            ago: Duration::ZERO,
            text: "meet me at noon".into(),
            ..Line::default()
        }]
        .into(),
        files: vec![SharedFile {
            id: 1,
            from: None,
            name: "plan-of-the-bank.pdf".into(),
            size: 4711,
            ago: Duration::ZERO,
            progress: Progress::Offered,
        }],
        figures: vec![Figures {
            links: vec![(id, LinkFigures { sent_kbps: 321.5, ..LinkFigures::default() })],
        }]
        .into(),
        ..Call::default()
    }
}

fn log() -> Vec<String> {
    [
        "12:00 INFO joined room=sesame-room as Ada Lovelace",
        "12:01 INFO pair local=192.0.2.77:5000 remote=[2001:db8::99]:6000 rtt_ms=17",
        "12:02 WARN token=hunter2hunter2 refused by wss://signal.farwheel.test/ws",
        "12:03 INFO Bob Builder says meet me at noon",
        "12:04 WARN a=ice-ufrag:ufragvalue",
        "12:05 WARN fingerprint sha-256 AB:CD:EF:01:23:45",
        "12:06 INFO hunter2hunter2 again",
        "12:07 INFO sharing Private diary, sending plan-of-the-bank.pdf",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn unpacked(path: &Path) -> Vec<(String, String)> {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

#[test]
fn nothing_private_gets_into_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, call, log) = (settings(), call(), log());
    let private = ["hunter2hunter2".to_owned()];
    let contents = Contents { settings: &settings, call: &call, private: &private, log: &log };
    let path = write(&folder.path().join("reports"), &contents).unwrap();
    let files = unpacked(&path);
    for (name, text) in &files {
        for private in PRIVATE {
            assert!(!text.to_lowercase().contains(&private.to_lowercase()), "{private} in {name}:\n{text}");
        }
        let peer = PeerId::new(77).to_string();
        assert!(!text.contains(&peer), "{peer} in {name}:\n{text}");
    }
}

#[test]
fn what_helps_is_in_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, call, log) = (settings(), call(), log());
    let contents = Contents { settings: &settings, call: &call, private: &[], log: &log };
    let files = unpacked(&write(folder.path(), &contents).unwrap());
    let text = |wanted: &str| &files.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert!(text("about.json").contains(env!("CARGO_PKG_VERSION")));
    assert!(text("settings.toml").contains("ui_scale = 1.25"));
    assert!(text("call.json").contains("\"trust\": \"Changed\"") && text("call.json").contains("4711"));
    assert!(text("figures.csv").contains("0,\"member 1\",,321.5"), "{}", text("figures.csv"));
    assert!(text("log.txt").contains("rtt_ms=17") && text("log.txt").lines().count() == log.len());
}
