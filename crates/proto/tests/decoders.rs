//! Every decoder of peer input against random bytes and against golden messages with a few bytes changed.
//!
//! The same functions are the fuzz targets of `fuzz/`, which run for as long as one likes.

#[allow(unreachable_pub, reason = "the fuzz crate exports them")]
#[path = "../../../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

use bytes::Bytes;
use farwheel_proto::control::PathCounts;
use farwheel_proto::control::place::{Outline, Place};
use farwheel_proto::switch::{Carrier, Command, State, Switch};
use farwheel_proto::video::CarTime;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// Something a peer may really send, for mutation.
fn golden() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut found: Vec<Vec<u8>> = Vec::new();
    for name in [
        "drive_command",
        "telemetry_fast",
        "telemetry_slow",
        "link_report",
        "receiver_report",
        "probe",
        "event",
    ] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("json")).expect("golden vectors");
        let file: Value = serde_json::from_str(&text).expect("golden vectors are JSON");
        for vector in file["vectors"].as_array().expect("a list") {
            found.push(match (&vector["hex"], &vector["text"]) {
                (Value::String(hex), _) => {
                    data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).expect("hex")
                }
                (_, Value::String(text)) => text.clone().into_bytes(),
                other => panic!("{other:?}"),
            });
        }
    }
    // Those without golden vectors.
    found.push(Place { x_mm: -1, y_mm: 2, heading_urad: 3, car_time: CarTime(4) }.encode().to_vec());
    found.push(Outline::new(&[(1, -1), (200, 30)]).encode());
    found.push(PathCounts { main: 5, beside: 6 }.encode().to_vec());
    found.extend(messages());
    // Two frames of a stream over two carriers, each with its length before it.
    let mut switch = Switch::new(1);
    let now = targets::start();
    switch.handle_carrier(Carrier::Direct, State::Up, now);
    switch.send(Bytes::from_static(b"hello"), now).expect("there is room");
    let mut frames = Vec::new();
    while let Some(Command::Send(_, frame)) = switch.poll_command() {
        frames.push(frame.len() as u8);
        frames.extend(frame);
    }
    found.push(frames);
    // A key frame in three packets, as `rtp` reads a stream.
    let mut stream = Vec::new();
    for (marker, payload) in [(0, &[0x67, 1, 2, 3][..]), (0, &[0x68, 1]), (1, &[0x65, 9, 9, 9, 9])] {
        stream.extend([1, 0, marker, payload.len() as u8, 1]);
        stream.extend(payload);
    }
    found.push(stream);
    found
}

/// The examples of docs/PROTOCOL.md: each line of its `json` blocks is a signalling message.
fn messages() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md");
    let text = std::fs::read_to_string(path).expect("docs/PROTOCOL.md");
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(|line| line.as_bytes().to_vec()).collect()
}

#[test]
fn every_example_of_the_document_is_a_message_and_every_message_has_one() {
    use farwheel_proto::call;
    use farwheel_proto::control::Event;
    use farwheel_proto::signaling::{ClientFrame, ClientMessage, Limits, ServerFrame, ServerMessage};

    let mut seen = std::collections::BTreeSet::new();
    for text in messages() {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let value: Value = serde_json::from_slice(&text).expect(&shown);
        let name = value["type"].as_str().expect(&shown).to_owned();
        let client = ClientFrame::parse(&text, &Limits::default());
        let server = ServerFrame::parse(&text, &Limits::default());
        let call = call::Message::decode(&text).ok().flatten();
        assert!(
            client.is_ok() || server.is_ok() || Event::decode(&text).is_ok() || call.is_some(),
            "{shown}: {client:?} {server:?}"
        );
        seen.extend(call.map(|_| format!("call {name}")));
        seen.extend(client.is_ok().then(|| format!("client {name}")));
        seen.extend(server.is_ok().then(|| format!("server {name}")));
    }
    for name in ClientMessage::TYPES {
        assert!(seen.contains(&format!("client {name}")), "no example of {name} from a client");
    }
    for name in ServerMessage::TYPES {
        assert!(seen.contains(&format!("server {name}")), "no example of {name} from a server");
    }
    for name in call::Message::TYPES {
        assert!(seen.contains(&format!("call {name}")), "no example of {name} between callers");
    }
}

#[test]
fn golden_messages_hold_what_the_targets_check() {
    for bytes in golden() {
        for (_, target) in targets::ALL {
            target(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, target) in targets::ALL {
            target(&bytes);
        }
    }

    #[test]
    fn no_damaged_message_makes_a_decoder_panic(
        which: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let golden = golden();
        let mut bytes = which.get(&golden).clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (_, target) in targets::ALL {
            target(&bytes);
        }
    }

    #[test]
    fn no_conversation_of_damaged_messages_breaks_the_rooms(
        lines in prop::collection::vec((any::<u8>(), any::<Index>(), any::<Index>(), any::<u8>()), 0..40),
    ) {
        let golden = messages();
        let mut bytes = Vec::new();
        for (head, which, at, value) in lines {
            let mut line = which.get(&golden).clone();
            if value < 64 {
                let at = at.index(line.len());
                line[at] = value;
            }
            bytes.push(head);
            bytes.extend(line);
            bytes.push(b'\n');
        }
        targets::whole_rooms(&bytes);
    }
}
