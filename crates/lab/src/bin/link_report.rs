//! Figures of a run over an emulated link, as JSON: `link_report --link LOG --rows FILE` for a peer,
//! `link_report --link LOG --app LOG --robot LOG` for Farwheel, with the link's own options for the oracle.
//!
//! Beside the figures it prints what they were computed from, so that a bench can ask its own questions: `shown` (at
//! ms, delay ms), `commands` (sent ms, delay ms or null), `rates` (until ms, capacity, sent, delivered in kbit/s),
//! `pulses` (at ms, throttle µs). `--svg` draws them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Parser;
use farwheel_lab::clock::VirtualTime;
use farwheel_lab::emulator::{Fate, Hearing, Log, Options, Packet, Road, Testimony};
use farwheel_lab::video::{Curve, Points, ages, frame_delay, oracle, picture_age, stall, svg};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Figures of a run over an emulated link")]
struct Arguments {
    /// What the link wrote.
    #[arg(long, value_name = "FILE")]
    link: PathBuf,
    /// What a peer wrote of its pictures.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["app", "robot"])]
    rows: Option<PathBuf>,
    /// Log of Farwheel's app.
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,
    /// Log of Farwheel's robot.
    #[arg(long, value_name = "FILE", requires = "app")]
    robot: Option<PathBuf>,
    /// Pulses of Farwheel's robot.
    #[arg(long, value_name = "FILE")]
    pulses: Option<PathBuf>,
    /// What counts begins here, in seconds of the link.
    #[arg(long, default_value_t = 5.0)]
    from: f64,
    /// And ends here.
    #[arg(long, default_value_t = 62.0)]
    until: f64,
    /// Frames a second, for the oracle.
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Most that the sender may send, in kbit/s, for the utilisation.
    #[arg(long, default_value_t = 4000.0)]
    max_kbps: f64,
    /// RTP payload type of repairs.
    #[arg(long, default_value_t = 103)]
    repairs: u8,
    /// Draw the run to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The drawing's title.
    #[arg(long, default_value = "run over an emulated link")]
    title: String,
    #[command(flatten)]
    link_options: Options,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("link_report: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Value> {
    let link = Log::read(&arguments.link).with_context(|| format!("read {}", arguments.link.display()))?;
    let hearing = Hearing { zero_unix_us: link.zero_unix_us };
    let heard = match (&arguments.rows, &arguments.app) {
        (Some(rows), _) => hearing.rows(&read(rows)?),
        (None, Some(app)) => {
            let robot = arguments.robot.as_deref().map(read).transpose()?.unwrap_or_default();
            hearing.logs(&read(app)?, &robot)
        }
        (None, None) => anyhow::bail!("--rows or --app tells what was shown"),
    };
    let [from, until] = [arguments.from, arguments.until].map(|s| VirtualTime((s * 1e6) as u64));
    let rates = rates(&link);
    if let Some(path) = &arguments.svg {
        let picture = svg(&arguments.title, &curves(&rates), &heard.shown);
        std::fs::write(path, picture).with_context(|| format!("write {}", path.display()))?;
    }
    let mut report = figures(arguments, &link, &heard, &rates, from, until);
    report["oracle"] = oracles(arguments, from, until)?;
    report["command_over_ms"] = over_base(arguments, &heard, from, until)?;
    report["shown"] =
        heard.shown.iter().map(|s| json!([ms(s.at), s.at.since(s.captured).as_secs_f64() * 1e3])).collect();
    report["commands"] = heard
        .commands
        .iter()
        .map(|(sent, arrived)| json!([ms(*sent), arrived.map(|at| at.since(*sent).as_secs_f64() * 1e3)]))
        .collect();
    report["rates"] = rates.iter().map(|r| json!([ms(r.until), r.capacity, r.sent, r.delivered])).collect();
    if let Some(path) = &arguments.pulses {
        report["pulses"] = pulses(&read(path)?, link.zero_unix_us)?;
    }
    Ok(report)
}

fn figures(
    arguments: &Arguments,
    link: &Log,
    heard: &Testimony,
    rates: &[Rate],
    from: VirtualTime,
    until: VirtualTime,
) -> Value {
    let within = |at: VirtualTime| from <= at && at < until;
    let frames = heard.shown.iter().filter(|shown| within(shown.at)).count();
    let psnr: Vec<f64> = heard.psnr_db.iter().filter(|(at, _)| within(*at)).map(|(_, psnr)| *psnr).collect();
    let counted: Vec<&Rate> = rates.iter().filter(|rate| from < rate.until && rate.until <= until).collect();
    let usable: Option<f64> = counted.iter().map(|rate| Some(rate.capacity?.min(arguments.max_kbps))).sum();
    let delivered: f64 = counted.iter().map(|rate| rate.delivered).sum();
    let forth: Vec<&Packet> = link.packets[0].iter().filter(|packet| within(packet.sent)).collect();
    let fate = |wanted: Fate| forth.iter().filter(|packet| packet.fate == wanted).count();
    let is_repair = |packet: &&&Packet| packet.rtp == Some(arguments.repairs);
    let lost_video =
        |packet: &&&Packet| packet.rtp.is_some() && matches!(packet.fate, Fate::Lost | Fate::Dropped);
    let commands: Vec<_> = heard.commands.iter().filter(|(sent, _)| within(*sent)).collect();
    let delays = commands.iter().filter_map(|(sent, arrived)| Some(arrived.as_ref()?.since(*sent)));
    let stood_still =
        link.late.iter().filter(|(due, _)| within(*due)).map(|(_, by)| *by).max().unwrap_or_default();
    let longest = ages(&heard.shown, from, until).into_iter().map(|(_, age)| age).max().unwrap_or_default();
    json!({
        "frames": frames,
        "fps": frames as f64 / until.since(from).as_secs_f64(),
        "picture_age_ms": points(picture_age(&heard.shown, from, until)),
        "frame_delay_ms": points(frame_delay(&heard.shown, from, until)),
        "age_max_ms": longest.as_secs_f64() * 1e3,
        "stall_s": stall(&heard.shown, from, until).as_secs_f64(),
        "psnr_db": (!psnr.is_empty()).then(|| psnr.iter().sum::<f64>() / psnr.len() as f64),
        "size": heard.sizes.iter().rfind(|(at, _)| *at < until).map(|(_, size)| size),
        "delivered_mb": delivered * 100.0 / 8.0 / 1e6,
        "utilisation": usable.map(|usable| delivered / usable.max(1.0)),
        "lost": fate(Fate::Lost),
        "dropped": fate(Fate::Dropped),
        "repairs": forth.iter().filter(is_repair).count(),
        "rtp_lost": forth.iter().filter(lost_video).count(),
        "command_ms": (!commands.is_empty()).then(|| points(Points::of(delays.clone()))),
        "stood_still_ms": stood_still.as_secs_f64() * 1e3,
        "commands_sent": commands.len(),
        "commands_counted": delays.count(),
    })
}

/// The age that no sender can beat, for frames of these rates.
fn oracles(arguments: &Arguments, from: VirtualTime, until: VirtualTime) -> Result<Value> {
    let [forth, _] = arguments.link_options.ways()?;
    let Road::Narrow(trace) = &forth.road else { return Ok(Value::Null) };
    let row = |kbps: usize| {
        let bytes = kbps * 1000 / 8 / arguments.fps.max(1) as usize;
        let shown = oracle(trace, forth.conditions.delay, arguments.fps, bytes, until);
        let mut row = points(picture_age(&shown, from, until));
        row["kbps"] = kbps.into();
        row
    };
    Ok([300, 600, 1200, 2400].map(row).into_iter().collect())
}

/// How much longer commands took than the link made them wait: its delay and, on a narrow road, the next grant.
fn over_base(
    arguments: &Arguments,
    heard: &Testimony,
    from: VirtualTime,
    until: VirtualTime,
) -> Result<Value> {
    let [_, back] = arguments.link_options.ways()?;
    let least = |sent: VirtualTime| {
        let leaves = match &back.road {
            Road::Open => sent,
            Road::Narrow(trace) => trace.grants_from(sent).next().unwrap_or(sent),
        };
        leaves.after(back.conditions.delay)
    };
    let counted = heard.commands.iter().filter(|(sent, _)| from <= *sent && *sent < until);
    let over: Vec<Duration> =
        counted.filter_map(|(sent, arrived)| Some((*arrived)?.since(least(*sent)))).collect();
    Ok(if over.is_empty() { Value::Null } else { points(Points::of(over)) })
}

/// One tenth of a second, in kbit/s.
struct Rate {
    until: VirtualTime,
    capacity: Option<f64>,
    sent: f64,
    delivered: f64,
}

fn rates(link: &Log) -> Vec<Rate> {
    let packets = &link.packets[0];
    let end = packets.last().map_or(VirtualTime::ZERO, |packet| packet.sent);
    let tenths = (end.0 / TENTH_US + 1) as usize;
    let (mut sent, mut delivered) = (vec![0; tenths], vec![0; tenths]);
    for packet in packets {
        sent[(packet.sent.0 / TENTH_US) as usize] += packet.bytes;
        if let Fate::Arrived(at) = packet.fate
            && let Some(tenth) = delivered.get_mut((at.0 / TENTH_US) as usize)
        {
            *tenth += packet.bytes;
        }
    }
    let kbps = |bytes: usize| bytes as f64 * 8.0 / 100.0;
    let rate = |(tenth, (sent, delivered)): (u64, (usize, usize))| {
        let [from, until] = [tenth, tenth + 1].map(|t| VirtualTime(t * TENTH_US));
        let capacity = link.capacity_bytes(0, from, until).map(kbps);
        Rate { until, capacity, sent: kbps(sent), delivered: kbps(delivered) }
    };
    (0..).zip(sent.into_iter().zip(delivered)).map(rate).collect()
}

fn curves(rates: &[Rate]) -> Vec<Curve> {
    let curve = |name, colour, value: fn(&Rate) -> Option<f64>| Curve {
        name,
        colour,
        kbps: rates.iter().filter_map(|rate| Some((rate.until, value(rate)?))).collect(),
    };
    vec![
        curve("capacity", "silver", |rate| rate.capacity),
        curve("sent", "royalblue", |rate| Some(rate.sent)),
        curve("delivered", "seagreen", |rate| Some(rate.delivered)),
    ]
}

/// Throttle pulses by the link's time. The log counts by `CLOCK_MONOTONIC`, and how far that is from unix time is asked
/// now: a clock that was set since the run shifts them.
fn pulses(text: &str, zero_unix_us: u64) -> Result<Value> {
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let monotonic_us = monotonic.tv_sec * 1_000_000 + monotonic.tv_nsec / 1000;
    let apart_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64 - monotonic_us;
    let pulse = |line: &str| {
        let mut fields = line.split(',');
        let at_us = fields.next()?.parse::<i64>().ok()? / 1000 + apart_us - zero_unix_us as i64;
        let throttle_us: u16 = fields.nth(2)?.parse().ok()?;
        Some(json!([at_us as f64 / 1e3, throttle_us]))
    };
    Ok(text.lines().filter_map(pulse).collect())
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.as_ref().display()))
}

fn ms(at: VirtualTime) -> f64 {
    Duration::from_micros(at.0).as_secs_f64() * 1e3
}

fn points(points: Points) -> Value {
    json!({"p50": points.p50, "p95": points.p95, "p99": points.p99})
}

const TENTH_US: u64 = 100_000;
