//! `farwheel call`.

mod attend;
mod part;

use std::sync::Arc;

use clap::Args;
use farwheel_peer::signaling::{self, Place, Role, RoomName};

pub(super) use attend::{Attendant, LOOK, fail};
pub(super) use part::Part;

use super::server::{Own, Proof};
use super::signals::Stop;
use super::{Exit, ring, window};
use crate::call::{Devices, Session, Way};
use crate::model::call::Target;
use crate::model::invitation;
use crate::session::Runtime;

/// Arguments of `farwheel call`.
#[derive(Clone, Debug, Args)]
pub(super) struct Call {
    /// Name of the room, a join link (farwheel://call?server=..&room=..), or somebody's line to ring
    /// (farwheel://ring?server=..&line=..).
    #[arg(required_unless_present = "answer")]
    room: Option<String>,
    /// Address of the signalling server, for example wss://example.org; a join link has its own.
    #[arg(long, env = "FARWHEEL_SERVER", value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    pub(super) proof: Proof,
    #[command(flatten)]
    pub(super) own: Own,
    #[command(flatten)]
    pub(super) part: Part,
    /// Without a window, as a moderator: let in whoever knocks, or turn them away.
    #[arg(long, value_enum, value_name = "WHAT", requires = "headless")]
    knocks: Option<Knocks>,
    /// Without a window, as a moderator: lock the room on joining.
    #[arg(long, requires = "headless")]
    lock: bool,
    /// Without a window, as a moderator: put whoever has this name out, and lock the room behind them.
    #[arg(long, value_name = "NAME", requires = "headless")]
    kick: Option<String>,
    /// Without a window: wait in the own line until somebody rings, and do this.
    #[arg(long, value_enum, value_name = "WHAT", requires = "headless", conflicts_with = "room")]
    answer: Option<Rung>,
}

/// What a headless program does when it is rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Rung {
    /// Takes the call, and ends with it.
    Accept,
    /// Declines each.
    Decline,
    /// Lets it ring.
    Nothing,
}

/// What a headless moderator does with those who knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Knocks {
    /// Lets them in.
    Admit,
    /// Turns them away.
    Deny,
}

impl Call {
    /// Where to.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let token = self.token()?;
        let given = self.room.as_deref().unwrap_or_default();
        if let Some(target) = invitation::parse(given) {
            return Ok(Target { token, ..target });
        }
        let room: RoomName = given
            .parse()
            .map_err(|error| anyhow::anyhow!("{given:?} is no room and no join link: {error}"))?;
        let server =
            self.server.clone().ok_or_else(|| anyhow::anyhow!("give --server, or a join link with one"))?;
        Ok(Target { server, room: room.to_string(), token })
    }

    pub(super) fn token(&self) -> anyhow::Result<String> {
        Ok(self.proof.token()?.unwrap_or_default())
    }

    pub(super) fn server(&self) -> anyhow::Result<String> {
        self.server.clone().ok_or_else(|| anyhow::anyhow!("give --server"))
    }

    fn way(&self, target: &Target) -> anyhow::Result<Way> {
        Ok(Way::Room(signaling::Config {
            server: target.server.clone(),
            place: Place::room(target.room.parse()?, Role::Caller),
            name: self.own.name(),
            token: Some(target.token.clone()).filter(|token| !token.is_empty()),
            ca: self.proof.ca.clone(),
        }))
    }
}

pub(super) fn run(args: Call) -> anyhow::Result<Exit> {
    if !args.part.headless {
        let target = args.target()?;
        return window::call(args, target);
    }
    let stop = Stop::listen(std::thread::current())?;
    let runtime = Runtime::start()?;
    let (target, line) = match args.answer {
        Some(rung) => match ring::wait(&args, rung, &runtime, &stop)? {
            Ok((target, line)) => (target, Some(line)),
            Err(exit) => return Ok(exit),
        },
        None => (args.target()?, None),
    };
    let devices = Arc::new(Devices::open(args.part.choices()?)?);
    let target = match ring::ring(&args, target, &runtime, &devices, &stop) {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let config = args.part.config(args.way(&target)?, args.own.bind(), args.own.candidates());
    let session = Session::start(runtime, config, Arc::clone(&devices));
    let mut attendant = Attendant::new(&args.part, &session, &devices).in_room(args.knocks, args.lock);
    attendant.line = line;
    attendant.kicks.clone_from(&args.kick);
    let exit = attendant.attend(&stop);
    attendant.end_recording();
    attendant.report()?;
    Ok(exit)
}
