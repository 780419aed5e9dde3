//! Picture age over cellular links in real time, every peer on the same stretch of the same link.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Result;

use super::road::{self, CONNECT_S, LEFT_OUT_S, MEASURING, Oracle, Peer, Run, STILL, Track};
use super::{Format, Points, machine, peers, report};
use crate::build::{Profile, measured, target_dir};
use crate::packages::{self, BUILD, PEERS, TEST};
use crate::step::step;

/// Options of `cargo xtask bench lte`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A recorded uplink in Mahimahi's format, plain or packed by gzip; as often as there are some.
    #[arg(long = "trace", value_name = "FILE")]
    traces: Vec<PathBuf>,
    /// A link by description, such as 3M or 4M,500k@20,4M@40; as often as there are some.
    #[arg(long = "rate", value_name = "RATES")]
    rates: Vec<String>,
    /// A generated uplink of this seed and class; as often as there are some.
    #[arg(long = "seed", value_name = "N")]
    seeds: Vec<u64>,
    /// Class of the generated uplinks: good, fair or poor.
    #[arg(long, default_value = "poor")]
    class: String,
    /// Length of each run in seconds, of which the first 3 do not count.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Delay of each way in ms, after the queue.
    #[arg(long, default_value_t = 25)]
    delay: u32,
    /// Size of the queue in bytes.
    #[arg(long, default_value_t = 150_000)]
    queue: u32,
    /// Frames a second.
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Measure this one alone.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Measure the development build instead of the release build.
    #[arg(long)]
    dev: bool,
    /// Print the table without writing docs/MEASUREMENTS.md.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Farwheel,
    Chromium,
    Gstreamer,
    Aiortc,
}

/// One link, and what ran over it.
struct Link {
    name: String,
    runs: Vec<(Peer, Run)>,
    /// Farwheel once more, with its commands going over this link, and the video over a good one.
    turned: Option<Run>,
}

/// Runs everyone over every link and writes the table.
///
/// # Errors
/// If a part can't be had or ends too early.
pub(crate) fn run(args: &Args) -> Result<()> {
    road::must_be_root()?;
    anyhow::ensure!(args.seconds > 3, "the first 3 s do not count");
    let links = links(args);
    anyhow::ensure!(!links.is_empty(), "name a link with --trace, --rate or --seed");
    let takes_part = |one: Only| args.only.is_none_or(|only| only == one);
    step("system packages", || packages::ensure(&[&BUILD, &TEST, &PEERS]))?;
    let built = step("build", || measured(if args.dev { Profile::Dev } else { Profile::Release }))?;
    let folder = target_dir()?.join("bench/lte");
    std::fs::create_dir_all(&folder)?;
    let format = Format { width: 1280, height: 720, fps: args.fps };
    let track = Track {
        texture: peers::texture(&built.texture, format, &folder)?,
        driver: takes_part(Only::Chromium).then(crate::test::browser_driver).transpose()?,
        python: takes_part(Only::Aiortc).then(|| step("aiortc", || road::aiortc(&folder))).transpose()?,
        built,
        format,
        seconds: args.seconds,
        folder,
    };
    let mut measured = Vec::new();
    for (name, forth, back) in links {
        let file =
            |peer: &str| format!("{name}, {peer}").replace(|c: char| !c.is_alphanumeric() && c != '.', "-");
        let mut runs = Vec::new();
        for peer in everyone().into_iter().filter(|peer| takes_part(Only::of(peer))) {
            let title = format!("{name}, {peer}");
            let run =
                step(&title, || track.run(&file(&peer.to_string()), &title, &with(args, &forth), &peer))?;
            runs.push((peer, run));
        }
        let turned = if takes_part(Only::Farwheel) {
            let title = format!("{name}, Farwheel, commands over it");
            let peer = Peer::Farwheel { camera: MEASURING, script: STILL };
            Some(step(&title, || track.run(&file("turned"), &title, &with(args, &back), &peer))?)
        } else {
            None
        };
        measured.push(Link { name, runs, turned });
    }
    let text = tables(args, &measured)?;
    println!("\n{text}\nPlots: {}", track.folder.display());
    if args.dry_run { Ok(()) } else { report::write("lte", &text) }
}

impl Only {
    const fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Farwheel { .. } => Self::Farwheel,
            Peer::Chromium => Self::Chromium,
            Peer::GStreamer(_) => Self::Gstreamer,
            Peer::Aiortc => Self::Aiortc,
        }
    }
}

fn everyone() -> [Peer; 6] {
    [
        Peer::Farwheel { camera: MEASURING, script: STILL },
        Peer::Chromium,
        Peer::GStreamer(500),
        Peer::GStreamer(1000),
        Peer::GStreamer(2000),
        Peer::Aiortc,
    ]
}

/// Name of each link, and how it is told to the emulator as the way of the video and as the way of the commands.
fn links(args: &Args) -> Vec<(String, [String; 2], [String; 4])> {
    let link = |name: String, option: &str, value: String| {
        let forth = [format!("--{option}"), value.clone()];
        let back = [format!("--back-{option}"), value, "--rate".to_owned(), GOOD.to_owned()];
        (name, forth, back)
    };
    let traces = args.traces.iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        link(name.trim_end_matches(".gz").to_owned(), "trace", path.display().to_string())
    });
    let rates = args.rates.iter().map(|rate| link(rate.clone(), "rate", rate.clone()));
    let class = &args.class;
    let seeds = args
        .seeds
        .iter()
        .map(|seed| link(format!("{class}, seed {seed}"), "class", format!("{class}:{seed}")));
    traces.chain(rates).chain(seeds).collect()
}

fn with(args: &Args, link: &[String]) -> Vec<String> {
    let mut options = link.to_vec();
    options.extend([
        "--delay".to_owned(),
        args.delay.to_string(),
        "--queue".to_owned(),
        args.queue.to_string(),
    ]);
    options
}

fn tables(args: &Args, links: &[Link]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "Measured {} on {}; 1280x720@{}, {} s each, {} ms each way, {} bytes of queue; {} build.\n",
        report::today(),
        machine::describe(),
        args.fps,
        args.seconds,
        args.delay,
        args.queue,
        if args.dev { "development" } else { "release" }
    )?;
    writeln!(
        out,
        "| link | peer | picture age p50 / p95 / p99 ms | frame delay p50 / p95 ms | stall s | PSNR dB | delivered MB | utilisation | fps, last size | load | machine stood still, ms |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    for link in links {
        for (peer, run) in &link.runs {
            writeln!(out, "| {} | {peer} | {} |", link.name, row(run))?;
        }
        for oracle in link.oracle() {
            let rate = f64::from(oracle.kbps) / 1000.0;
            writeln!(
                out,
                "| {} | oracle {rate} Mbit/s | {} | | | | | | | | |",
                link.name,
                ages(oracle.age_ms)
            )?;
        }
    }
    out.push_str(&control_table(args, links)?);
    writeln!(out, "\nBounds:\n")?;
    for link in links {
        link.bounds(args).into_iter().try_for_each(|line| writeln!(out, "* {}: {line}", link.name))?;
    }
    Ok(out)
}

fn row(run: &Run) -> String {
    let delay = run.frame_delay_ms;
    let [width, height] = run.size.unwrap_or_default();
    format!(
        "{} | {:.0} / {:.0} | {:.1} | {} | {:.1} | {} | {:.1}, {width}x{height} | {:.1} | {:.0}",
        ages(run.picture_age_ms),
        delay.p50,
        delay.p95,
        run.stall_s,
        run.psnr_db.map_or("-".to_owned(), |db| format!("{db:.1}")),
        run.delivered_mb,
        run.utilisation.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        run.fps,
        run.load,
        run.stood_still_ms,
    )
}

fn control_table(args: &Args, links: &[Link]) -> Result<String> {
    let mut out = format!(
        "\nCommands, sent 50 times a second: the delay from the app's sending to the robot's counting, and what of it is \
         more than the link's {} ms and, on a narrow road, the wait for its next grant:\n\n",
        args.delay
    );
    writeln!(
        out,
        "| link | commands go | delay p50 / p95 / p99 ms | over the link's p50 / p95 / p99 ms | sent, counted |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    for link in links {
        let farwheel = link.of(|peer| matches!(peer, Peer::Farwheel { .. }));
        for (way, run) in [("the other way", farwheel), ("over it", link.turned.as_ref())] {
            let Some(Run {
                command_ms: Some(delay),
                command_over_ms: Some(over),
                commands_sent,
                commands_counted,
                ..
            }) = run
            else {
                continue;
            };
            let [delay, over] = [*delay, *over].map(fine);
            writeln!(
                out,
                "| {} | {way} | {delay} | {over} | {commands_sent}, {commands_counted} |",
                link.name
            )?;
        }
    }
    Ok(out)
}

impl Link {
    fn of(&self, wanted: impl Fn(&Peer) -> bool) -> Option<&Run> {
        self.runs.iter().find(|(peer, _)| wanted(peer)).map(|(_, run)| run)
    }

    fn oracle(&self) -> &[Oracle] {
        self.runs.iter().find_map(|(_, run)| run.oracle.as_deref()).unwrap_or_default()
    }

    /// Each bound that applies: what, wanted, measured, met or not.
    fn bounds(&self, args: &Args) -> Vec<String> {
        let Some(ours) = self.of(|peer| matches!(peer, Peer::Farwheel { .. })) else { return Vec::new() };
        let age = ours.picture_age_ms;
        let mut lines = Vec::new();
        let mut check = |is_met: bool, line: String| {
            lines.push(format!("{line}: {}", if is_met { "met" } else { "**not met**" }));
        };
        if let Some((_, p50, p95, psnr)) = ABSOLUTE.iter().find(|(name, ..)| *name == self.name) {
            let p95 = p95.or_else(|| {
                let least = self.oracle().iter().find(|oracle| oracle.kbps == ORACLE_KBPS)?;
                Some(ORACLE_SHARE * least.age_ms.p95)
            });
            let p95 = p95.unwrap_or_default();
            check(
                age.p50 <= *p50 && age.p95 <= p95,
                format!("age {:.0} / {:.0} ms of {p50:.0} / {p95:.0}", age.p50, age.p95),
            );
            let db = ours.psnr_db.unwrap_or_default();
            check(db >= *psnr, format!("PSNR {db:.1} dB of at least {psnr:.0}"));
            if self.name == ATT {
                check(age.p99 <= ATT_P99_MS, format!("age p99 {:.0} ms of {ATT_P99_MS:.0}", age.p99));
            }
        }
        if let Some(other) = self.of(|peer| *peer == Peer::Chromium) {
            let theirs = other.picture_age_ms;
            let [p50, p95] = [age.p50 / theirs.p50, age.p95 / theirs.p95];
            check(
                p50 <= CHROMIUM_SHARE && p95 <= CHROMIUM_SHARE,
                format!("{p50:.2} / {p95:.2} of Chromium's age, wanted {CHROMIUM_SHARE}"),
            );
            if self.name.starts_with("Verizon") || self.name.starts_with("TMobile") {
                let [our_mb, their_mb] = [ours.delivered_mb, other.delivered_mb];
                check(our_mb >= their_mb, format!("{our_mb:.1} MB delivered, Chromium {their_mb:.1}"));
            }
        }
        for (peer, run) in &self.runs {
            if let (Peer::GStreamer(_), Some(theirs), Some(db)) = (peer, run.psnr_db, ours.psnr_db) {
                let is_better = run.picture_age_ms.p95 < age.p95 && theirs > db;
                check(!is_better, format!("{peer} not better in both p95 age and PSNR"));
            }
        }
        for (way, run) in [("the other way", Some(ours)), ("over it", self.turned.as_ref())] {
            let Some(run) = run else { continue };
            let Some(over) = run.command_over_ms else { continue };
            let missing = run.commands_sent - run.commands_counted;
            let counted = f64::from(CONNECT_S + LEFT_OUT_S) * 1e3..f64::from(CONNECT_S + args.seconds) * 1e3;
            let refused = refused(run, &counted);
            // On a narrow road the newest command replaces those that wait; on the open one none may be missing.
            let arrives = way == "over it" || missing as f64 <= COMMANDS_LOST * run.commands_sent as f64;
            let aside = match refused {
                0 => String::new(),
                _ => format!(
                    ", {refused} of them sent while the way of the video, and of the robot's clock, stood still"
                ),
            };
            check(
                over.p99 <= COMMAND_OVER_MS && arrives,
                format!(
                    "commands {way}: p99 {:.1} ms over {} ms, wanted {COMMAND_OVER_MS:.0}; {missing} of {} never arrived{aside}",
                    over.p99, args.delay, run.commands_sent
                ),
            );
        }
        lines
    }
}

/// Commands that the robot refused, as it has to: what they echo of its clock came over a way that has stood still.
fn refused(run: &Run, counted: &Range<f64>) -> u64 {
    let stands_still = |at: f64| {
        let tenths = run.rates.iter().filter(|(until, ..)| (at - CLOCK_MS..at).contains(until));
        let capacity: Vec<f64> = tenths.filter_map(|(_, capacity, ..)| *capacity).collect();
        !capacity.is_empty() && capacity.iter().sum::<f64>() / (capacity.len() as f64) < STANDSTILL_KBPS
    };
    let refused = |at: f64, delay: Option<f64>| counted.contains(&at) && delay.is_none() && stands_still(at);
    run.commands.iter().filter(|(at, delay)| refused(*at, *delay)).count() as u64
}

fn ages(points: Points) -> String {
    format!("{:.0} / {:.0} / {:.0}", points.p50, points.p95, points.p99)
}

fn fine(points: Points) -> String {
    format!("{:.1} / {:.1} / {:.1}", points.p50, points.p95, points.p99)
}

const ATT: &str = "ATT-LTE-driving-2016.up";
/// Picture age p50 and p95 in ms (none: by the oracle) and PSNR in dB of the issue "Stay in control on 4G".
const ABSOLUTE: [(&str, f64, Option<f64>, f64); 3] = [
    ("Verizon-LTE-short.up", 75.0, Some(120.0), 38.0),
    ("TMobile-LTE-short.up", 70.0, Some(100.0), 40.0),
    (ATT, 110.0, None, 34.0),
];
const ATT_P99_MS: f64 = 4700.0;
const ORACLE_KBPS: u32 = 600;
const ORACLE_SHARE: f64 = 1.2;
const CHROMIUM_SHARE: f64 = 0.6;
const COMMAND_OVER_MS: f64 = 30.0;
/// What a 99th percentile leaves open.
const COMMANDS_LOST: f64 = 0.01;
/// A robot's time is echoed for about so long (docs/SAFETY.md).
const CLOCK_MS: f64 = 1000.0;
/// A way that carries less than telemetry alone stands still.
const STANDSTILL_KBPS: f64 = 100.0;
/// The way of the video when the commands go over the link that is measured.
const GOOD: &str = "20M";

#[cfg(test)]
mod tests {
    use super::*;

    fn points(p50: f64, p95: f64, p99: f64) -> Points {
        Points { p50, p95, p99 }
    }

    fn link(ours: Points, db: f64, theirs: Points) -> Link {
        let run = |picture_age_ms, psnr_db, delivered_mb| Run {
            frames: 9,
            picture_age_ms,
            psnr_db,
            delivered_mb,
            oracle: Some(vec![Oracle { kbps: 600, age_ms: points(62.0, 2000.0, 3000.0) }]),
            ..Run::default()
        };
        Link {
            name: ATT.to_owned(),
            runs: vec![
                (Peer::Farwheel { camera: MEASURING, script: STILL }, run(ours, Some(db), 6.0)),
                (Peer::Chromium, run(theirs, None, 5.0)),
                (Peer::GStreamer(500), run(points(83.0, 2300.0, 5000.0), Some(36.0), 3.0)),
            ],
            turned: None,
        }
    }

    #[test]
    fn a_bound_is_met_up_to_its_limit_and_not_beyond() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let args = Cli::parse_from(["lte"]).args;
        let theirs = points(250.0, 4000.0, 5000.0);
        let met = link(points(110.0, 2400.0, 4700.0), 36.0, theirs).bounds(&args);
        assert!(met.len() == 5 && met.iter().all(|line| line.ends_with(": met")), "{met:#?}");
        let mut silent = link(points(110.0, 2400.0, 4700.0), 36.0, theirs);
        let farwheel = &mut silent.runs[0].1;
        (farwheel.command_over_ms, farwheel.commands_sent) = (Some(points(1.0, 2.0, 30.0)), 1000);
        for (counted, is_met) in [(990, true), (989, false)] {
            silent.runs[0].1.commands_counted = counted;
            let line = silent.bounds(&args).pop().unwrap();
            assert_eq!(line.ends_with(": met"), is_met, "{line}");
        }
        // Those that echo a clock of before a standstill are told, and are missing all the same.
        let farwheel = &mut silent.runs[0].1;
        farwheel.rates = (1..=100).map(|tenth| (f64::from(tenth) * 100.0, Some(0.0), 0.0, 0.0)).collect();
        farwheel.commands = vec![(5_000.0, None)];
        let line = silent.bounds(&args).pop().unwrap();
        assert!(
            line.contains("11 of 1000 never arrived, 1 of them sent while") && line.ends_with("**not met**"),
            "{line}"
        );
        let missed = link(points(151.0, 2401.0, 4701.0), 33.9, theirs).bounds(&args);
        assert!(missed.len() == 5 && missed.iter().all(|line| line.ends_with("**not met**")), "{missed:#?}");
    }

    #[test]
    fn every_kind_of_link_is_told_to_the_emulator() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let args = Cli::parse_from(["lte", "--trace", "a/b.up.gz", "--rate", "3M", "--seed", "7"]).args;
        let got: Vec<_> = links(&args).into_iter().map(|(name, forth, _)| (name, forth.join(" "))).collect();
        let want = [("b.up", "--trace a/b.up.gz"), ("3M", "--rate 3M"), ("poor, seed 7", "--class poor:7")];
        assert_eq!(got, want.map(|(name, forth)| (name.to_owned(), forth.to_owned())));
    }
}
