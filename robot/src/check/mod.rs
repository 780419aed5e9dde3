//! `farwheel-robot check`: tries everything that `run` would use, and says in words what it found.

mod car;
mod server;
mod video;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cli::Report;
use crate::config::Config;
use crate::rundir::RunDir;
use crate::telemetry::system;

/// How an item turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// `run` would lack it.
    Failed,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What was tried.
    pub name: &'static str,
    /// How it turned out.
    pub verdict: Verdict,
    /// What was found, in words.
    pub text: String,
}

impl Item {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, text: text.into() }
    }

    fn warning(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, text: text.into() }
    }

    fn failed(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failed, text: text.into() }
    }

    /// A failure's whole chain of reasons is its text.
    fn from_result(name: &'static str, result: Result<String>) -> Self {
        match result {
            Ok(text) => Self::ok(name, text),
            Err(error) => Self::failed(name, format!("{error:#}")),
        }
    }
}

/// Tries everything, prints the list, and fails if something failed.
///
/// # Errors
/// When not even a run folder can be made.
pub fn run(config: &Config, files: &[PathBuf], report: Report) -> Result<ExitCode> {
    let dir = RunDir::create()?;
    let mut items = Vec::new();
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut add = |item: Item| {
        if report == Report::Text {
            println!("{}", line(&item, colour));
        }
        items.push(item);
    };
    add(Item::ok("configuration", configuration(files)));
    add(clock(SystemTime::now()));
    add(disk(config, &dir));
    add(priority());
    add(video::encoder(config));
    for source in &config.camera.sources {
        add(video::camera(config, source));
    }
    add(car::actuator(config, &dir));
    for item in server::signaling(config)? {
        add(item);
    }
    let good = items.iter().all(|item| item.verdict != Verdict::Failed);
    match report {
        Report::Json => {
            #[derive(Serialize)]
            struct Whole<'a> {
                ok: bool,
                items: &'a [Item],
            }
            println!("{}", serde_json::to_string(&Whole { ok: good, items: &items })?);
        }
        Report::Text if good => println!("everything that run needs is there"),
        Report::Text => println!("run would lack what is marked as failed"),
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(item: &Item, colour: bool) -> String {
    let (word, code) = match item.verdict {
        Verdict::Ok => ("ok", 32),
        Verdict::Warning => ("warning", 33),
        Verdict::Failed => ("failed", 31),
    };
    let word = format!("{word:<8}");
    let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word };
    format!("{word} {:<14} {}", item.name, item.text)
}

fn configuration(files: &[PathBuf]) -> String {
    let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    match &files[..] {
        [] => "no file; defaults, environment and flags".to_owned(),
        files => files.join(", "),
    }
}

fn clock(now: SystemTime) -> Item {
    const NAME: &str = "clock";
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    if since < WRITTEN {
        let text =
            "the machine's clock is in the past; certificates will not be accepted until it is set (NTP)";
        return Item::warning(NAME, text);
    }
    let timeout = clock_rate();
    if timeout > Duration::from_millis(20) {
        let text = format!("a sleep of 1 ms takes {} ms; control will be late", timeout.as_millis());
        return Item::warning(NAME, text);
    }
    Item::ok(NAME, format!("set, and sleeps of 1 ms end within {:.1} ms", timeout.as_secs_f64() * 1000.0))
}

/// The longest of a few short sleeps.
fn clock_rate() -> Duration {
    let one = || {
        let start = std::time::Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        start.elapsed()
    };
    (0..20).map(|_| one()).max().unwrap_or_default()
}

fn disk(config: &Config, dir: &RunDir) -> Item {
    const NAME: &str = "disk";
    let log = config.drive.pulse_log.as_deref().and_then(std::path::Path::parent);
    let place = log.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(dir.path());
    match system::free_mib(place) {
        None => Item::failed(NAME, format!("no free space can be told at {}", place.display())),
        Some(mib) if mib < DISK_MIN_MIB => {
            Item::warning(NAME, format!("{mib} MiB free at {}", place.display()))
        }
        Some(mib) => Item::ok(NAME, format!("{mib} MiB free at {}", place.display())),
    }
}

fn priority() -> Item {
    const NAME: &str = "priority";
    let thread = std::thread::spawn(|| {
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), -10).is_ok()
    });
    match thread.join() {
        Ok(true) => Item::ok(NAME, "control may go before everything else"),
        Ok(false) | Err(_) => Item::warning(
            NAME,
            "control gets no priority over other programs (CAP_SYS_NICE or LimitNICE= would allow it)",
        ),
    }
}

/// Runs a future to its end on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("start the network threads")?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(result)
}

/// 2026-01-01: this program is not older.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);
/// Below this a log or a recording is soon at its end.
const DISK_MIN_MIB: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_was_never_set_is_noticed() {
        let unset = clock(SystemTime::UNIX_EPOCH + Duration::from_secs(3600));
        assert_eq!(unset.verdict, Verdict::Warning);
        assert!(unset.text.contains("in the past"), "{}", unset.text);
    }

    #[test]
    fn lines_are_readable_without_colour() {
        let item = Item::failed("camera", "there is no /dev/video7");
        assert_eq!(line(&item, false), "failed   camera         there is no /dev/video7");
        assert!(line(&item, true).starts_with("\x1b[31mfailed"));
    }
}
