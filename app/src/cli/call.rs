//! `farwheel call`.

mod attend;
mod part;

use std::sync::Arc;

use clap::Args;
use farwheel_peer::signaling::{self, Place, Role, RoomName};

pub(super) use attend::{Attendant, fail};
pub(super) use part::Part;

use super::server::{Own, Proof};
use super::signals::Stop;
use super::{Exit, window};
use crate::call::{Devices, Session, Way};
use crate::model::call::Target;
use crate::model::invitation;
use crate::session::Runtime;

/// Arguments of `farwheel call`.
#[derive(Clone, Debug, Args)]
pub(super) struct Call {
    /// Name of the room, or a join link (farwheel://call?server=..&room=..).
    room: String,
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
        let token = self.proof.token()?.unwrap_or_default();
        if let Some(target) = invitation::parse(&self.room) {
            return Ok(Target { token, ..target });
        }
        let room: RoomName = self
            .room
            .parse()
            .map_err(|error| anyhow::anyhow!("{:?} is no room and no join link: {error}", self.room))?;
        let server =
            self.server.clone().ok_or_else(|| anyhow::anyhow!("give --server, or a join link with one"))?;
        Ok(Target { server, room: room.to_string(), token })
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
    let target = args.target()?;
    if !args.part.headless {
        return window::call(args, target);
    }
    let stop = Stop::listen(std::thread::current())?;
    let devices = Arc::new(Devices::open(args.part.choices()?)?);
    let config = args.part.config(args.way(&target)?, args.own.bind(), args.own.candidates());
    let session = Session::start(Runtime::start()?, config, Arc::clone(&devices));
    let mut attendant = Attendant::new(&args.part, &session, &devices).in_room(args.knocks, args.lock);
    let exit = attendant.attend(&stop);
    attendant.report()?;
    Ok(exit)
}
