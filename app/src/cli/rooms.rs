//! `farwheel rooms`: the robots at a server, as the connect screen lists them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use farwheel_peer::signaling::lobby;

use super::Exit;
use super::server::Server;
use crate::model::connect::Problem;
use crate::model::lobby::{Place, Room, Sight};
use crate::session::lobby::translate;

/// Arguments of `farwheel rooms`.
#[derive(Clone, Debug, Args)]
pub(super) struct Rooms {
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Rooms) -> anyhow::Result<Exit> {
    let token = args.server.proof.token()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(find(&args.server.url, token, args.server.proof.ca.clone()));
    // A name may still be looked up; nobody waits for it.
    runtime.shutdown_timeout(Duration::ZERO);
    match found {
        Ok(rooms) => {
            for room in &rooms {
                println!("{}", line(room));
            }
            if rooms.is_empty() {
                eprintln!("farwheel: no robot is at {}", args.server.url);
            }
            Ok(Exit::Done)
        }
        Err((problem, exit)) => {
            eprintln!("farwheel: {} {}", problem.what, problem.remedy);
            Ok(exit)
        }
    }
}

/// Looks once.
pub(super) async fn find(
    server: &str,
    token: Option<String>,
    ca: Option<PathBuf>,
) -> Result<Vec<Room>, (Problem, Exit)> {
    let place = Place { server: server.into(), token: token.clone().unwrap_or_default() };
    let config = lobby::Config { server: server.into(), name: "farwheel".into(), token, ca };
    if let Err(error) = config.check() {
        return Err((crate::session::problem::unusable(&error), Exit::Usage));
    }
    let sight = lobby::look(config, PATIENCE).await;
    let exit = match &sight {
        lobby::Sight::Refused(_) | lobby::Sight::Away { code: Some(_), .. } => Exit::Refused,
        lobby::Sight::Looking | lobby::Sight::Rooms(_) | lobby::Sight::Away { code: None, .. } => {
            Exit::Unreachable
        }
    };
    match translate(&place, sight) {
        Sight::Rooms(rooms) => Ok(rooms),
        Sight::Failed(problem) => Err((problem, exit)),
        Sight::Looking => Err((crate::session::problem::unreachable(server, "no answer"), exit)),
    }
}

fn line(room: &Room) -> String {
    let (_, state) = room.state();
    let watching = room.watching().map(|words| format!(", {words}")).unwrap_or_default();
    format!("{:<24}  {:<20}  {state}{watching}", room.name, room.robot)
}

/// A person waits at the prompt; the lobby's own waits end at 5 s each.
const PATIENCE: Duration = Duration::from_secs(6);
