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
use clap::Parser;
use farwheel_lab::emulator::{Devices, End, Namespace, Options, obstacle};

#[derive(Parser)]
#[command(about = "Two network namespaces and an emulated link between them")]
struct Arguments {
    /// How the namespaces' names begin.
    #[arg(long, default_value_t = format!("fw{}", std::process::id()))]
    name: String,
    #[command(flatten)]
    link: Options,
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

/// What ends or starts the link.
enum Event {
    Line,
    End,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("link_emulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let ways = arguments.link.ways()?;
    if let Some(obstacle) = obstacle() {
        anyhow::bail!("{obstacle}");
    }
    // Before there is anything to tidy up.
    let (send, events) = channel();
    listen_for_signals(send.clone())?;
    if arguments.hold {
        std::thread::spawn(move || listen_for_lines(&send));
    }
    let [car, desk] = ["car", "desk"].map(|end| Namespace::create(&format!("{}-{end}", arguments.name)));
    let (car, desk) = (car.context("make the car's namespace")?, desk.context("make the desk's namespace")?);
    let end = |namespace, address| End { namespace, device: "air", address, is_default_route: true };
    let devices =
        Devices::create([end(car.name(), CAR), end(desk.name(), DESK)]).context("make the devices")?;
    if arguments.hold {
        println!("prepared");
        if matches!(events.recv(), Ok(Event::End) | Err(_)) {
            return Ok(());
        }
    }
    let link = devices.join(ways)?;
    println!("ready {}", link.zero().duration_since(UNIX_EPOCH)?.as_micros());
    wait(&events, arguments.seconds)?;
    let log = link.stop().context("carry packets")?;
    if let Some(path) = &arguments.log {
        log.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
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
