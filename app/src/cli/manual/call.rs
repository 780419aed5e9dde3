//! `farwheel manual offer --call` and `answer --call`: a call without any server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use farwheel_proto::call::letter::{self, Kind, Wanted};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::reader::Reader;
use super::{Options, read_lines};
use crate::call::{Devices, Letters, Session, Side, Stage, Way};
use crate::cli::call::{Attendant, fail};
use crate::cli::signals::Stop;
use crate::cli::{Exit, window};
use crate::model::call::Command;
use crate::session::{Runtime, unix_seconds};

/// Who writes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    This,
    Other,
}

impl From<bool> for First {
    fn from(offers: bool) -> Self {
        if offers { Self::This } else { Self::Other }
    }
}

pub(super) fn run(options: &Options, first: First) -> anyhow::Result<Exit> {
    if !options.part.headless {
        let begin = match first {
            First::This => vec![Command::PrepareLetters, Command::Offer],
            First::Other => vec![Command::PrepareLetters],
        };
        let how = crate::call::desk::Options {
            ca: None,
            bind: options.bind(),
            candidates: options.candidates(),
            ice_servers: options.ice_servers()?,
            strip: options.part.measure.strip(false),
            thrift: options.part.thrift(),
            file_limit_mb: options.part.file_limit,
            choices: options.part.choices()?,
        };
        return window::call_with(options.name.clone(), how, begin, options.part.lasts());
    }
    let stop = Stop::listen(std::thread::current())?;
    let mut lines = read_lines();
    let side = match first {
        First::This => Side::Offer,
        First::Other => {
            options.say("paste the offer here");
            let mut reader = Reader::default();
            loop {
                let Some(line) = next(&mut lines, &stop) else {
                    if let Some(error) = reader.end() {
                        options.refuse(&error);
                    }
                    bail!("standard input ended before there was an offer");
                };
                match reader.handle_line(&line, Wanted::Offer) {
                    None => {}
                    Some(Ok((offer, _))) => break Side::Answer(offer),
                    Some(Err(wrong)) => options.refuse(&wrong),
                }
            }
        }
    };
    let letters = Letters {
        name: options.name.clone().unwrap_or_else(crate::settings::login_name),
        ice_servers: options.ice_servers()?,
        side,
    };
    let devices = Arc::new(Devices::open(options.part.choices()?)?);
    let config = options.part.config(Way::Letters(letters), options.bind(), options.candidates());
    let session = Session::start(Runtime::start()?, config, Arc::clone(&devices));
    if let Some(exit) = connect(options, &session, &mut lines, &stop)? {
        return Ok(exit);
    }
    let mut attendant = Attendant::new(&options.part, &session, &devices);
    let exit = attendant.attend(&stop);
    attendant.report()?;
    Ok(exit)
}

/// Shows the own letter and takes the other one's, until the two are connected; gives how it ended if they are not.
fn connect(
    options: &Options,
    session: &Session,
    lines: &mut mpsc::Receiver<String>,
    stop: &Stop,
) -> anyhow::Result<Option<Exit>> {
    let mut own = None;
    let mut reader = Reader::default();
    while !stop.is_asked() {
        match session.stage() {
            Stage::In => return Ok(None),
            Stage::Ended(problem) => return Ok(Some(fail(&problem))),
            Stage::Over(words) => {
                options.say(&words);
                return Ok(Some(Exit::Done));
            }
            Stage::Letter { kind, letter, .. } if own.is_none() => {
                options.show(&letter)?;
                options.say(match kind {
                    Kind::Offer => "send this to the other one, then paste the answer here",
                    Kind::Answer => "send this back to the other one",
                });
                own = Some((kind, letter));
            }
            Stage::Joining | Stage::Letter { .. } | Stage::Unreachable(_) | Stage::Waiting => {}
        }
        // The own offer says which connection an answer is for.
        let conn = match &own {
            Some((Kind::Offer, offer)) => {
                letter::read(offer, Wanted::Offer, unix_seconds()).ok().and_then(|offer| offer.conn)
            }
            _ => None,
        };
        if let Some(conn) = conn {
            match lines.try_recv() {
                Ok(line) => match reader.handle_line(&line, Wanted::AnswerTo(conn)) {
                    None => {}
                    Some(Ok((_, answer))) => session.accept(answer),
                    Some(Err(wrong)) => options.refuse(&wrong),
                },
                // Whoever waits for the answer may have closed the input by mistake: the letter still counts.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => std::thread::park_timeout(LOOK),
            }
        } else {
            std::thread::park_timeout(LOOK);
        }
    }
    Ok(Some(Exit::Done))
}

/// The next line; none at the end of input, and when the program is told to end.
fn next(lines: &mut mpsc::Receiver<String>, stop: &Stop) -> Option<String> {
    while !stop.is_asked() {
        match lines.try_recv() {
            Ok(line) => return Some(line),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => std::thread::park_timeout(LOOK),
        }
    }
    None
}

const LOOK: Duration = Duration::from_millis(20);
