//! `--stats-json`: the figures of docs/MEASUREMENTS.md in one object.

use std::path::Path;
use std::time::{Duration, Instant};

use farwheel_proto::age::{Percentiles, Report};
use farwheel_proto::control::link_report::{Economy, MadeFor, Rung};
use serde_json::{Value, json};

use crate::model::link::View;
use crate::session::{Session, Status};

/// The figures of a stay so far.
///
/// `picture_age_ms` and `frame_delay_ms` are by the strip when the pictures carry one, else by the capture time in
/// their headers; both methods stand side by side in `by_strip` and `by_header`.
pub fn report(session: &Session) -> Value {
    let now = Instant::now();
    let status = session.status();
    let mut figures = session.figures();
    let summary = figures.summary(now);
    let stages_ms: Vec<(&str, f64)> =
        figures.journey().medians().into_iter().map(|(stage, took)| (stage.name(), ms(took))).collect();
    let fps_now = figures.fps(now);
    drop(figures);
    let best = summary.by_strip.unwrap_or(summary.by_header);
    let totals = summary.totals;
    let lasted = summary.lasted.as_secs_f64();
    let shown_for = lasted - totals.first_picture.map_or(0.0, |first| first.as_secs_f64());
    let size = totals.size.map(|size| [size.width, size.height]);
    let row = |name: &str| summary.rows.iter().find(|(known, _)| *known == name).map(|(_, p)| points(p));
    let mut report = json!({
        "method": if summary.by_strip.is_some() { "strip" } else { "header" },
        "seconds": lasted,
        "frames": totals.shown,
        "frames_decoded": totals.decoded,
        "frames_broken": totals.broken,
        "fps": if shown_for > 0.0 { totals.shown as f64 / shown_for } else { 0.0 },
        "fps_last_second": fps_now,
        "size": size,
        "bytes": totals.bytes,
        "bitrate_bps": if shown_for > 0.0 { totals.bytes as f64 * 8.0 / shown_for } else { 0.0 },
        "first_picture_ms": totals.first_picture.map(ms),
        "picture_age_ms": points(&best.picture_age),
        "frame_delay_ms": points(&best.frame_delay),
        "stall_ms": ms(best.stall),
        "by_header": method(&summary.by_header),
        "by_strip": summary.by_strip.as_ref().map(method),
        "psnr_db": summary.psnr_db,
        "loop_age_ms": row("Loop age"),
        "rtt_ms": row("Round trip"),
        "network_ms": row("Network"),
        "decode_ms": row("Decode"),
        "present_ms": row("Present"),
        "stick_to_command_ms": row("Stick to command"),
        "stages_ms": stages_ms,
        "connections": status.connected,
        "packets_lost": status.stats.packets_lost,
        "packets_received": status.stats.packets_received,
        "keyframes_requested": status.stats.keyframes_requested,
        "path": status.stats.pair.map(|pair| pair.to_string()),
        "relay": status.stats.pair.and_then(|pair| pair.relay).map(|transport| transport.name()),
        "link": status.why.look(now).as_ref().map(link),
        "robot": status.robot,
        "laps": status.fast.map(|(fast, _)| fast.laps),
        "last_lap_ms": status.slow.and_then(|slow| slow.last_lap_ms),
        "best_lap_ms": status.slow.and_then(|slow| slow.best_lap_ms),
        "robot_fps": status.slow.map(|slow| f64::from(slow.fps_tenths) / 10.0),
        "robot_load_permille": status.slow.and_then(|slow| slow.load_permille),
        "robot_memory_kib": status.slow.and_then(|slow| slow.memory_kib),
        "memory_kib": memory_kib(),
        "load": load(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    report["control"] = control(session, &status);
    report
}

/// Writes the figures to a file, or to stdout for `-`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(report: &Value, path: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let text = serde_json::to_string_pretty(report).context("write figures as JSON")?;
    if path == Path::new("-") {
        println!("{text}");
        return Ok(());
    }
    std::fs::write(path, text + "\n").with_context(|| format!("write figures to {}", path.display()))
}

/// How commands travelled: how many were sent, and how many came first by each path while there were two.
fn control(session: &Session, status: &Status) -> Value {
    let [main, second] = session.commands_sent();
    json!({
        "paths": if status.second_path.is_some() { 2 } else { 1 },
        "second": status.second_path,
        "line": status.control,
        "sent": { "main": main, "second": second },
        "came_first": { "main": status.came_first.main, "second": status.came_first.beside },
    })
}

/// Why the picture is what it is, as the newest report of the robot tells it.
fn link(view: &View) -> Value {
    let report = &view.report;
    let rung = |rung: Rung| json!({ "size": [rung.width, rung.height], "fps": rung.fps });
    json!({
        "reason": view.reason.name(),
        "sentence": view.sentence,
        "capacity_kbps": report.capacity_kbps,
        "target_kbps": report.target_kbps,
        "sent_kbps": report.sent_kbps,
        "max_kbps": report.max_kbps,
        "queue_ms": report.queue_ms,
        "stall_ms": report.stall_ms,
        "loss_permille": report.loss_permille,
        "skipped_last_second": report.skipped,
        "rung": rung(report.rung),
        "camera": rung(report.camera),
        "made_for_this_link": report.made_for == MadeFor::ThisLink,
        "economy": report.economy == Economy::On,
        "data_bytes": view.data.bytes,
        "data_bytes_per_hour": view.data.per_hour,
    })
}

pub(crate) fn method(report: &Report) -> Value {
    json!({
        "picture_age_ms": points(&report.picture_age),
        "frame_delay_ms": points(&report.frame_delay),
        "stall_ms": ms(report.stall),
    })
}

fn points(p: &Percentiles) -> Value {
    json!({
        "p50": ms(p.p50), "p95": ms(p.p95), "p99": ms(p.p99), "max": ms(p.max), "mean": ms(p.mean), "count": p.count,
    })
}

pub(crate) fn ms(value: Duration) -> f64 {
    (value.as_secs_f64() * 1e6).round() / 1e3
}

/// Load of the machine over the last minute; `None` where the system does not say.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Resident memory of this process; `None` where the system does not say.
pub(crate) fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()
}
