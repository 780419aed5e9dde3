//! The wire formats of control against golden vectors, which were not made by this crate. The browser's tests read
//! the same files.

use std::path::Path;

use farwheel_proto::anchor::Anchor;
use farwheel_proto::control::command::{Controls, Displayed, DriveCommand, Echo, Flags};
use farwheel_proto::control::link_report::{Economy, LinkReport, MadeFor, Route, Rung};
use farwheel_proto::control::probe::{Ping, Pong};
use farwheel_proto::control::receiver_report::ReceiverReport;
use farwheel_proto::control::telemetry::{BatteryLevel, CameraStatus, Fast, Slow, Telemetry};
use farwheel_proto::control::{Axis, DisarmReason, Event, Faults, Refusal, Status};
use farwheel_proto::video::{CarTime, FrameId};
use serde_json::Value;

#[test]
fn drive_commands_are_as_written_down() {
    let vectors = vectors("drive_command");
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let (bytes, fields) = (bytes(&vector), &vector["fields"]);
        let earlier = |index: usize| fields["earlier"].get(index).map(controls);
        let want = DriveCommand {
            lease: number(&fields["lease"]),
            sequence: number(&fields["sequence"]),
            echo: some(&fields["echo"], |echo| Echo {
                car_ms: number(&echo["car_ms"]),
                hold_ms: number(&echo["hold_ms"]),
            }),
            displayed: some(&fields["displayed"], |shown| Displayed {
                frame: FrameId(number(&shown["frame"])),
                unchanged_ms: number(&shown["unchanged_ms"]),
            }),
            controls: controls(&fields["controls"]),
            earlier: [earlier(0), earlier(1)],
        };
        assert_eq!(DriveCommand::decode(&bytes), Ok(want), "{}", vector["name"]);
        assert_eq!(want.encode().as_slice(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn fast_telemetry_is_as_written_down() {
    let vectors = vectors("telemetry_fast");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let (bytes, fields) = (bytes(&vector), &vector["fields"]);
        let want = Fast {
            status: match (number::<u8>(&fields["state"]), number::<u8>(&fields["reason"])) {
                (0, 0) => Status::Disarmed(DisarmReason::Boot),
                (1, 0) => Status::Armed,
                (3, 0) => Status::Stopped,
                other => panic!("vector with state {other:?}"),
            },
            boot: number(&fields["boot"]),
            car_time: CarTime(number(&fields["car_us"])),
            lease: number(&fields["lease"]),
            sequence: number(&fields["sequence"]),
            throttle: axis(&fields["throttle"]),
            steer: axis(&fields["steer"]),
            loop_age_ms: some(&fields["loop_age_ms"], number),
            picture_age_ms: some(&fields["picture_age_ms"], number),
            silence_ms: some(&fields["silence_ms"], number),
            governor_permille: number(&fields["governor_permille"]),
            loss_permille: number(&fields["loss_permille"]),
            limit_permille: number(&fields["limit_permille"]),
            faults: Faults::from_bits(number(&fields["faults"])),
            arm_block: match number::<u8>(&fields["arm_block"]) {
                0 => None,
                1 => Some(Refusal::Starting),
                5 => Some(Refusal::Stopped),
                other => panic!("vector with arm_block {other}"),
            },
            flags: Flags::from_bits(number(&fields["flags"])),
            speed_cm_s: some(&fields["speed_cm_s"], number),
            laps: number(&fields["laps"]),
            lap_ms: some(&fields["lap_ms"], number),
        };
        assert_eq!(Telemetry::decode(&bytes), Ok(Telemetry::Fast(want)), "{}", vector["name"]);
        assert_eq!(want.encode().as_slice(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn slow_telemetry_is_as_written_down() {
    let vectors = vectors("telemetry_slow");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let (bytes, fields) = (bytes(&vector), &vector["fields"]);
        let want = Slow {
            camera: [CameraStatus::None, CameraStatus::Opening, CameraStatus::Live]
                [number::<usize>(&fields["camera"])],
            camera_index: some(&fields["camera_index"], number),
            viewers: number(&fields["viewers"]),
            car_time: CarTime(number(&fields["car_us"])),
            battery_mv: some(&fields["battery_mv"], number),
            battery_ma: some(&fields["battery_ma"], number),
            cells: number(&fields["cells"]),
            battery: [BatteryLevel::Unknown, BatteryLevel::Good][number::<usize>(&fields["battery"])],
            temperature_dc: some(&fields["temperature_dc"], number),
            throttled: number(&fields["throttled"]),
            radio_dbm: some(&fields["radio_dbm"], number),
            load_permille: some(&fields["load_permille"], number),
            memory_kib: some(&fields["memory_kib"], number),
            rtt_dms: some(&fields["rtt_dms"], number),
            disk_mib: some(&fields["disk_mib"], number),
            bitrate: number(&fields["bitrate"]),
            target_bitrate: number(&fields["target_bitrate"]),
            fps_tenths: number(&fields["fps_tenths"]),
            width: number(&fields["width"]),
            height: number(&fields["height"]),
            capture_us: some(&fields["capture_us"], number),
            convert_us: some(&fields["convert_us"], number),
            encode_us: some(&fields["encode_us"], number),
            send_us: some(&fields["send_us"], number),
            last_lap_ms: some(&fields["last_lap_ms"], number),
            best_lap_ms: some(&fields["best_lap_ms"], number),
            position: some(&fields["position"], |both| (number(&both[0]), number(&both[1]))),
            dropped: number(&fields["dropped"]),
        };
        assert_eq!(Telemetry::decode(&bytes), Ok(Telemetry::Slow(want)), "{}", vector["name"]);
        assert_eq!(want.encode().as_slice(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn probes_are_as_written_down() {
    let [ping, pong] = <[Value; 2]>::try_from(vectors("probe")).unwrap();
    let want = Ping { sent_us: number(&ping["fields"]["sent_us"]) };
    assert_eq!((Ping::decode(&bytes(&ping)), want.encode().as_slice()), (Ok(want), bytes(&ping).as_slice()));
    let fields = &pong["fields"];
    let want = Pong {
        boot: number(&fields["boot"]),
        sent_us: number(&fields["sent_us"]),
        received: CarTime(number(&fields["received_us"])),
        answered: CarTime(number(&fields["answered_us"])),
    };
    assert_eq!((Pong::decode(&bytes(&pong)), want.encode().as_slice()), (Ok(want), bytes(&pong).as_slice()));
}

#[test]
fn link_reports_are_as_written_down() {
    let vectors = vectors("link_report");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let (bytes, fields) = (bytes(&vector), &vector["fields"]);
        let rung = |name: &str| {
            let [width, height, fps] = [0, 1, 2].map(|index| number(&fields[name][index]));
            Rung { width, height, fps }
        };
        let want = LinkReport {
            route: [Route::Unknown, Route::Direct, Route::RelayUdp, Route::RelayTcp, Route::RelayTls]
                [number::<usize>(&fields["route"])],
            economy: [Economy::Off, Economy::On][number::<usize>(&fields["economy"])],
            made_for: [MadeFor::Another, MadeFor::ThisLink][number::<usize>(&fields["made_for"])],
            capacity_kbps: number(&fields["capacity_kbps"]),
            target_kbps: number(&fields["target_kbps"]),
            sent_kbps: number(&fields["sent_kbps"]),
            max_kbps: number(&fields["max_kbps"]),
            queue_ms: number(&fields["queue_ms"]),
            stall_ms: number(&fields["stall_ms"]),
            loss_permille: number(&fields["loss_permille"]),
            skipped: number(&fields["skipped"]),
            rung: rung("rung"),
            camera: rung("camera"),
            bytes_sent: number(&fields["bytes_sent"]),
        };
        assert_eq!(LinkReport::decode(&bytes), Ok(want), "{}", vector["name"]);
        assert_eq!(want.encode().as_slice(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn receiver_reports_are_as_written_down() {
    let vectors = vectors("receiver_report");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let (bytes, fields) = (bytes(&vector), &vector["fields"]);
        let want = ReceiverReport {
            sequence: number(&fields["sequence"]),
            decoded: some(&fields["decoded"], |id| FrameId(number(id))),
            shown: some(&fields["shown"], |id| FrameId(number(id))),
            skipped: number(&fields["skipped"]),
            broken: number(&fields["broken"]),
            decode_p95: some(&fields["decode_p95"], number),
            held: number::<Vec<u32>>(&fields["held"]).into_iter().map(Anchor).collect(),
        };
        assert_eq!(ReceiverReport::decode(&bytes), Ok(want), "{}", vector["name"]);
        assert_eq!(want.encode().as_slice(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn events_are_as_written_down() {
    let vectors = vectors("event");
    assert_eq!(vectors.len(), 31);
    for vector in vectors {
        let text = vector["text"].as_str().unwrap();
        let event = Event::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(String::from_utf8(event.encode().unwrap()).unwrap(), text);
    }
}

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.json"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).expect("a golden file")).expect("JSON");
    file["vectors"].as_array().expect("vectors").clone()
}

fn bytes(vector: &Value) -> Vec<u8> {
    let hex = vector["hex"].as_str().expect("hex");
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

fn number<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn some<T>(value: &Value, read: impl FnOnce(&Value) -> T) -> Option<T> {
    (!value.is_null()).then(|| read(value))
}

fn axis(value: &Value) -> Axis {
    Axis::from_wire(number(value))
}

fn controls(value: &Value) -> Controls {
    let [throttle, steer, pan, tilt] = [0, 1, 2, 3].map(|index| axis(&value["axes"][index]));
    Controls { flags: Flags::from_bits(number(&value["flags"])), throttle, steer, pan, tilt }
}
