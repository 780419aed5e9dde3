//! The figures of a call in one object: `farwheel call --report`.

use std::time::{Duration, Instant};

use farwheel_proto::call::layers::Encoding;
use serde_json::{Value, json};

use super::outgoing::Encoded;
use super::{Devices, Session, lock};
use crate::cli::stats::{memory_kib, method, ms};
use crate::session::figures::Figures;

/// Processor time of this process since it started; none where the system does not say.
pub fn cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name before may hold anything but is closed by the last bracket; then come fields 3 and following of proc(5).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // Linux has 100 of them a second on every architecture that there is a desktop for.
    Some(Duration::from_millis(ticks * 10))
}

/// The figures so far. `lasted` is the time that they were gathered in, `spent` the processor time of it.
pub fn report(session: &Session, devices: &Devices, lasted: Duration, spent: Option<Duration>) -> Value {
    let now = Instant::now();
    let people = lock(&session.shared.people);
    let members: Vec<Value> = people
        .all()
        .map(|person| {
            let now = person.left_at.unwrap_or(now);
            json!({
                "name": person.name,
                "connections": person.connections,
                "camera": picture(&mut lock(&person.camera), now),
                "screen": picture(&mut lock(&person.screen), now),
                "sound": person.hearing.report(),
                "rtt_ms": lock(&person.clock).rtt().map(ms),
            })
        })
        .collect();
    drop(people);
    let [camera, screen] = devices.encoded();
    let sound = devices.sound().status();
    let heard: Vec<f64> = sound.speaker.heard.iter().map(|heard| ms(heard.late)).collect();
    json!({
        "seconds": lasted.as_secs_f64(),
        "version": env!("CARGO_PKG_VERSION"),
        "members": members,
        "captured": devices.captured(),
        "encoded": { "camera": encoded(&camera), "screen": encoded(&screen) },
        "sound": {
            "microphone": sound.microphone.used,
            "speaker": sound.speaker.used,
            "mouth_to_ear_ms": heard,
            "hiccups": sound.speaker.hiccups,
        },
        "cpu_seconds": spent.map(|spent| spent.as_secs_f64()),
        "cpu_share": spent.map(|spent| spent.as_secs_f64() / lasted.as_secs_f64().max(0.001)),
        "memory_kib": memory_kib(),
    })
}

/// None if no picture came.
fn picture(figures: &mut Figures, now: Instant) -> Value {
    let summary = figures.summary(now);
    if summary.totals.decoded == 0 {
        return Value::Null;
    }
    let best = summary.by_strip.unwrap_or(summary.by_header);
    let size = summary.totals.size.map(|size| [size.width, size.height]);
    let mut value = method(&best);
    value["method"] = json!(if summary.by_strip.is_some() { "strip" } else { "header" });
    value["decoded"] = json!(summary.totals.decoded);
    value["broken"] = json!(summary.totals.broken);
    value["bytes"] = json!(summary.totals.bytes);
    let decode = summary.rows.iter().find(|(name, _)| *name == "Decode");
    value["decode_ms"] = json!(decode.map(|(_, took)| ms(took.mean)));
    value["size"] = json!(size);
    value["fps_last_second"] = json!(figures.fps(now));
    value
}

fn encoded(encoded: &Encoded) -> Value {
    let encoding = |encoding: &Encoding| {
        json!({
            "size": [encoding.size.width, encoding.size.height],
            "fps": encoding.fps,
            "kbps": encoding.bitrate.as_kbps(),
        })
    };
    json!({
        "now": encoded.encodings.iter().flatten().map(encoding).collect::<Vec<_>>(),
        "most": encoded.most,
        "pictures": encoded.pictures,
        "keys": encoded.keys,
        "skipped": encoded.skipped,
        "spent_ms": ms(encoded.spent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let before = cpu().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut sum = 0_u64;
        while cpu().unwrap() < before + Duration::from_millis(20) {
            sum = (0..100_000_u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
            assert!(Instant::now() < deadline, "{sum}");
        }
    }
}
