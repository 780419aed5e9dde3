//! Ringing without a window: `farwheel call LINE --headless`, and `--answer`.

use std::sync::Arc;
use std::time::Instant;

use farwheel_proto::call::ring::{Address, Attention, Outcome, Progress};

use super::Exit;
use super::call::{Call, LOOK, Rung, fail};
use super::signals::Stop;
use crate::call::dial::{self, Dialing};
use crate::call::line::{self, Bell, Event, Listener};
use crate::call::{Devices, desk};
use crate::model::call::{Target, Trust};
use crate::model::invitation;
use crate::model::ring::{Answer, Standing};
use crate::session::Runtime;

/// Waits in the own line until a ring was accepted; gives where to go, and the line, at which others go on ringing.
pub(super) fn wait(
    args: &Call,
    rung: Rung,
    runtime: &Runtime,
    stop: &Stop,
) -> anyhow::Result<Result<(Target, Listener), Exit>> {
    let home = args.part.home.clone().or_else(desk::home);
    let home = home.ok_or_else(|| anyhow::anyhow!("give --home: there is no folder for an identity"))?;
    let (server, token, start) = (args.server()?, args.token()?, Instant::now());
    let config = line::Config {
        server: server.clone(),
        name: args.own.name(),
        token: Some(token.clone()).filter(|token| !token.is_empty()),
        ca: args.proof.ca.clone(),
        home,
    };
    let listener = Listener::start(runtime.clone(), config);
    listener.set_bell(Some(Bell { speaker: args.part.speaker.clone(), volume: 1.0 }));
    let at = |room: String| Target { server: server.clone(), room, token: token.clone() };
    let say = |line: &str| eprintln!("{:7.2} s  {line}", start.elapsed().as_secs_f32());
    let (mut standing, mut incoming) = (Standing::Reaching, None);
    loop {
        let status = listener.status();
        if status.standing != standing {
            standing = status.standing;
            match (&standing, listener.address()) {
                (Standing::Open, Some(address)) => {
                    say(&format!("Line open: {}", invitation::link(&at(address.to_string()))));
                }
                (Standing::Failed(problem), None) => return Ok(Err(fail(problem))),
                (Standing::Failed(problem), Some(_)) => say(&problem.what),
                (Standing::Reaching | Standing::Open, _) => {}
            }
        }
        for event in listener.take_events() {
            match event {
                Event::Accepted(room) => {
                    say("Accepted");
                    listener.set_attention(Attention::Occupied);
                    return Ok(Ok((at(room.to_string()), listener)));
                }
                Event::Missed { name, .. } => say(&format!("{name} has rung in vain")),
            }
        }
        if status.incoming != incoming {
            incoming = status.incoming;
            if let Some((name, trust, _)) = &incoming {
                say(&format!("{name} rings, {}", known(*trust)));
                match rung {
                    Rung::Accept => listener.answer(Answer::Accept),
                    Rung::Decline => listener.answer(Answer::Decline),
                    Rung::Nothing => {}
                }
            }
        }
        if stop.is_asked() || args.part.lasts().is_some_and(|lasts| start.elapsed() >= lasts) {
            return Ok(Err(Exit::Done));
        }
        std::thread::park_timeout(LOOK);
    }
}

const fn known(trust: Trust) -> &'static str {
    match trust {
        Trust::New => "unknown",
        Trust::Known => "known",
        Trust::Verified => "verified",
        Trust::Changed | Trust::Broken => "another one than before",
    }
}

/// Rings if that is somebody's line; gives the room in which the call is.
pub(super) fn ring(
    args: &Call,
    target: Target,
    runtime: &Runtime,
    devices: &Arc<Devices>,
    stop: &Stop,
) -> Result<Target, Exit> {
    let Ok(address) = target.room.parse::<Address>() else { return Ok(target) };
    let start = Instant::now();
    let say = |line: &str| eprintln!("{:7.2} s  {line}", start.elapsed().as_secs_f32());
    let config = dial::Config {
        address,
        server: target.server.clone(),
        name: args.own.name(),
        token: Some(target.token.clone()).filter(|token| !token.is_empty()),
        ca: args.proof.ca.clone(),
        home: args.part.home.clone(),
    };
    let dialing = Dialing::start(runtime.clone(), config, Arc::clone(devices));
    let (mut rings, mut problem) = (false, None);
    loop {
        let status = dialing.status();
        match status.progress {
            Progress::Over(Outcome::Accepted(room)) => {
                say("Accepted");
                return Ok(Target { room: room.to_string(), ..target });
            }
            Progress::Over(outcome) => {
                let failure = dial::failure(&outcome, status.name.as_deref());
                return Err(failure.as_ref().map_or(Exit::Failed, fail));
            }
            Progress::Ringing => {
                if !std::mem::replace(&mut rings, true) {
                    say(&format!("Ringing {}", status.name.as_deref().unwrap_or("somebody")));
                }
            }
            Progress::Reaching | Progress::Seeking | Progress::Calling => {}
        }
        if let Some(now) = &status.problem {
            if dialing.is_refused() {
                return Err(fail(now));
            }
            if problem.as_ref() != Some(now) {
                say(&format!("{} Trying again", now.what));
            }
        }
        problem = status.problem;
        if stop.is_asked() {
            say("Hanging up");
            return Err(Exit::Done);
        }
        std::thread::park_timeout(LOOK);
    }
}
