//! The actuator and what it holds.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_proto::control::Setpoint;
use farwheel_proto::control::mixer::Pulse;

use super::Item;
use crate::actuator::watch::{self, Owner};
use crate::actuator::{Board, Link, Watcher};
use crate::clock::monotonic_ns;
use crate::config::Config;
use crate::drive::{self, Output, Registers};
use crate::rundir::{self, RunDir};

/// Starts an actuator on the configured output and waits until it proves neutral.
pub(super) fn actuator(config: &Config, dir: &RunDir) -> Item {
    const NAME: &str = "actuator";
    match in_use(&config.drive.output) {
        Some(pid) => {
            Item::warning(NAME, format!("{}: process {pid} drives it; not touched", config.drive.output))
        }
        None => Item::from_result(NAME, prove_neutral(config, dir)),
    }
}

/// The process that has written the registers a moment ago and still lives.
fn in_use(output: &Output) -> Option<u32> {
    let Output::Sim(Some(path)) = output else { return None };
    if !path.exists() {
        return None;
    }
    let reading = Registers::open(path).ok()?.read().ok()?;
    let fresh = monotonic_ns().saturating_sub(reading.written_ns) < FRESH.as_nanos() as u64;
    (fresh && reading.writer != 0 && rundir::is_alive(reading.writer)).then_some(reading.writer)
}

fn prove_neutral(config: &Config, dir: &RunDir) -> Result<String> {
    let output = match &config.drive.output {
        Output::Sim(Some(path)) => {
            Output::Sim(Some(std::path::absolute(path).context("find the register file")?))
        }
        Output::Sim(None) => Output::Sim(Some(dir.file("registers"))),
    };
    let socket =
        UnixDatagram::bind(dir.file(watch::REPLY_SOCKET)).context("bind a socket in the run folder")?;
    socket.set_nonblocking(true).context("make the socket non-blocking")?;
    let listens = dir.file(watch::SOCKET);
    let board = Arc::new(Board::default());
    let mut link = Link::new(&socket, listens.clone(), rand::random())?;
    let owner = Owner::Us("/proc/self/exe".into());
    let watching = watch::Config { owner, socket: listens, output, pulse_log: None };
    let start = Instant::now();
    let watcher = Watcher::start(watching, socket, Arc::clone(&board))?;
    let neutral = drive::mixer()?.safe().outputs().map(Pulse::us);
    let reply = loop {
        link.send(Setpoint::SAFE);
        if let Some(reply) = board.read().reply {
            break reply;
        }
        if start.elapsed() > ANSWER_WITHIN {
            bail!("the actuator does not answer");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let ms = start.elapsed().as_millis();
    watcher.stop()?;
    ensure!(
        reply.pulses_us == neutral,
        "the actuator's pulses are {:?} us, want {neutral:?}",
        reply.pulses_us
    );
    Ok(format!(
        "{} answers after {ms} ms, pulses {:?} us, neutral at the end",
        config.drive.output.to_string().trim_end_matches(':'),
        neutral
    ))
}

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// An actuator writes every 20 ms.
const FRESH: Duration = Duration::from_millis(500);
