//! Two network namespaces and an emulated link between them: `link_emulator --trace FILE --log FILE`, as root.
//!
//! The namespaces are called `NAME-car` and `NAME-desk`; the first way, `forth`, is from the car to the desk. It prints
//! `ready UNIX_US` when the link's time begins, runs until SIGTERM or SIGINT or the end of `--seconds`, then writes the
//! log and removes the namespaces. With `--hold` it prints `prepared` when the devices are there, begins with a line on
//! standard input, and ends when standard input does: so it never outlives what started it.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use farwheel_lab::emulator::{Devices, End, Namespace, Road, Way, obstacle};
use farwheel_lab::link::{Class, Conditions, Plan, Trace};

#[derive(Parser)]
#[command(about = "Two network namespaces and an emulated link between them")]
struct Options {
    /// How the namespaces' names begin.
    #[arg(long, default_value_t = format!("fw{}", std::process::id()))]
    name: String,
    /// Capacity of the way forth: a trace in Mahimahi's format, plain or packed by gzip.
    #[arg(long, value_name = "FILE", group = "forth")]
    trace: Option<PathBuf>,
    /// The same by description: 3M, or 4M,500k@20,4M@40.
    #[arg(long, value_name = "RATES", group = "forth")]
    rate: Option<Plan>,
    /// The same from the seeded generator.
    #[arg(long, value_enum, group = "forth")]
    class: Option<ClassName>,
    /// Capacity of the way back: a trace.
    #[arg(long, value_name = "FILE", conflicts_with = "back_rate")]
    back_trace: Option<PathBuf>,
    /// The same by description; without either it is a delay alone.
    #[arg(long, value_name = "RATES")]
    back_rate: Option<Plan>,
    /// Seed of generator and loss.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where in the trace to begin, in seconds.
    #[arg(long, default_value_t = 0.0)]
    offset: f64,
    /// Delay of each way in ms, after the queue.
    #[arg(long, default_value_t = 25.0)]
    delay: f64,
    /// Size of the queue before a road that is not open, in bytes.
    #[arg(long, default_value_t = 150_000)]
    queue: usize,
    /// Share of packets lost on the way forth, before the queue.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Mean length of a burst of loss in packets.
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// End after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Begin with a line on standard input.
    #[arg(long)]
    hold: bool,
    /// Write what was sent when, and what became of it, to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClassName {
    Good,
    Fair,
    Poor,
}

/// What ends or starts the link.
enum Event {
    Line,
    End,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("link_emulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let ways = ways(options)?;
    if let Some(obstacle) = obstacle() {
        anyhow::bail!("{obstacle}");
    }
    // Before there is anything to tidy up.
    let (send, events) = channel();
    listen_for_signals(send.clone())?;
    if options.hold {
        std::thread::spawn(move || listen_for_lines(&send));
    }
    let [car, desk] = ["car", "desk"].map(|end| Namespace::create(&format!("{}-{end}", options.name)));
    let (car, desk) = (car.context("make the car's namespace")?, desk.context("make the desk's namespace")?);
    let end = |namespace, address| End { namespace, device: "air", address, is_default_route: true };
    let devices =
        Devices::create([end(car.name(), CAR), end(desk.name(), DESK)]).context("make the devices")?;
    if options.hold {
        println!("prepared");
        if matches!(events.recv(), Ok(Event::End) | Err(_)) {
            return Ok(());
        }
    }
    let link = devices.join(ways)?;
    println!("ready {}", link.zero().duration_since(UNIX_EPOCH)?.as_micros());
    wait(&events, options.seconds)?;
    let log = link.stop().context("carry packets")?;
    if let Some(path) = &options.log {
        log.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn ways(options: &Options) -> Result<[Way; 2]> {
    let read = |path: &PathBuf| {
        Trace::read(path).map(Road::Narrow).with_context(|| format!("read the trace {}", path.display()))
    };
    let forth = match (&options.trace, &options.rate, options.class) {
        (Some(path), ..) => read(path)?,
        (None, Some(plan), _) => Road::Narrow(plan.trace()),
        (None, None, Some(class)) => Road::Narrow(class.of().generate(options.seed, GENERATED_S)),
        (None, None, None) => Road::Open,
    };
    let back = match (&options.back_trace, &options.back_rate) {
        (Some(path), _) => read(path)?,
        (None, Some(plan)) => Road::Narrow(plan.trace()),
        (None, None) => Road::Open,
    };
    anyhow::ensure!((0.0..1.0).contains(&options.loss), "--loss is a share from 0 to below 1");
    let delay = Duration::try_from_secs_f64(options.delay / 1e3).context("--delay is a time in ms")?;
    let offset = Duration::try_from_secs_f64(options.offset).context("--offset is a time in s")?;
    let way = |road: Road, loss| Way {
        road: match road {
            Road::Open => Road::Open,
            Road::Narrow(trace) => Road::Narrow(trace.beginning_at(offset)),
        },
        conditions: Conditions { delay, queue_bytes: options.queue, loss, burst: options.burst },
        seed: options.seed,
    };
    Ok([way(forth, options.loss), way(back, 0.0)])
}

impl ClassName {
    const fn of(self) -> Class {
        match self {
            Self::Good => Class::GOOD,
            Self::Fair => Class::FAIR,
            Self::Poor => Class::POOR,
        }
    }
}

fn wait(events: &Receiver<Event>, seconds: Option<f64>) -> Result<()> {
    let Some(seconds) = seconds else {
        while let Ok(Event::Line) = events.recv() {}
        return Ok(());
    };
    let lasts = Duration::try_from_secs_f64(seconds).context("--seconds is a time")?;
    let until = std::time::Instant::now() + lasts;
    loop {
        match events.recv_timeout(until.saturating_duration_since(std::time::Instant::now())) {
            Ok(Event::Line) => {}
            Ok(Event::End) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn listen_for_lines(events: &Sender<Event>) {
    for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
        // It has ended already; then nobody listens.
        events.send(Event::Line).ok();
    }
    events.send(Event::End).ok();
}

fn listen_for_signals(events: Sender<Event>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        // It has ended already; then nobody listens.
        events.send(Event::End).ok();
    });
    Ok(())
}

const CAR: &str = "10.77.0.1/30";
const DESK: &str = "10.77.0.2/30";
/// After this the generated link begins again.
const GENERATED_S: u32 = 600;
