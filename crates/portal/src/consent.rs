//! The talk with the desktop's portal: the question, the grant, the end. One thread (`screen-portal`) holds it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ashpd::desktop::screencast::{
    CursorMode, Screencast, SelectSourcesOptions, SourceType, StartCastOptions, Streams,
};
use ashpd::desktop::{PersistMode, ResponseError};
use ashpd::zbus::{self, Connection};
use ashpd::{PortalError, desktop};
use farwheel_media::capture::Error;
use farwheel_media::slot::Slot;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};

use crate::once::Once;
use crate::stream::Stream;
use crate::{Ask, Bus, Grabbed, Grant, Kind};

type Session = desktop::Session<Screencast>;

/// Asks, and has pictures delivered until somebody ends it; `Ok` if that was `stop`.
pub(crate) fn run(ask: &Ask, frames: &Slot<Grabbed>, stop: &Arc<Once<()>>) -> Result<(), Error> {
    async_io::block_on(async {
        let mut stop = pin!(stop.wait());
        let (portal, session) = match select(stop.as_mut(), pin!(begin(&ask.bus))).await {
            Either::Left(_) => return Ok(()),
            Either::Right((begun, _)) => begun?,
        };
        let end = match select(stop, pin!(cast(ask, &portal, &session, frames))).await {
            Either::Left(_) => Ok(()),
            Either::Right((end, _)) => end,
        };
        // A question still on screen goes with it. Who does not answer notices by the end of the connection.
        select(pin!(session.close()), pin!(async_io::Timer::after(CLOSE_MAX))).await;
        end
    })
}

async fn begin(bus: &Bus) -> Result<(Screencast, Session), Error> {
    let connection = match bus {
        Bus::Session => Connection::session().await,
        Bus::At(address) => match zbus::connection::Builder::address(address.as_str()) {
            Ok(builder) => builder.build().await,
            Err(error) => Err(error),
        },
    };
    let connection = connection.map_err(|e| {
        Error::Missing(format!("there is no D-Bus session bus, which Wayland desktops have: {e}"))
    })?;
    let portal = Screencast::with_connection(connection).await.map_err(told)?;
    let session = portal.create_session(Default::default()).await.map_err(told)?;
    Ok((portal, session))
}

async fn cast(
    ask: &Ask,
    portal: &Screencast,
    session: &Session,
    frames: &Slot<Grabbed>,
) -> Result<(), Error> {
    let mut closed = pin!(session.receive_closed().await.map_err(told)?);
    let mut agreeing = pin!(agree(ask, portal, session));
    let agreed = match select(agreeing.as_mut(), closed.next()).await {
        Either::Left((agreed, _)) => agreed?,
        // A refusal ends the session as well, and either may be told first.
        Either::Right(_) => {
            return match select(agreeing, pin!(async_io::Timer::after(ANSWER_MAX))).await {
                Either::Left((Err(refused), _)) => Err(refused),
                Either::Left((Ok(_), _)) | Either::Right(_) => Err(ended()),
            };
        }
    };
    let picked = agreed.streams().first().ok_or_else(|| Error::Missing("nothing was picked".into()))?;
    let kind = match picked.source_type() {
        Some(SourceType::Window) => Kind::Window,
        Some(SourceType::Monitor | SourceType::Virtual) | None => Kind::Screen,
    };
    let remote = portal.open_pipe_wire_remote(session, Default::default()).await.map_err(told)?;
    let stream = Stream::start(remote, picked.pipe_wire_node_id(), ask.fps, frames.clone())?;
    tracing::info!(?kind, size = ?picked.size(), "the desktop shares");
    ask.granted.put(Grant { token: agreed.restore_token().map(str::to_owned), kind });
    match select(closed.next(), pin!(stream.ended())).await {
        Either::Left(_) => Err(ended()),
        Either::Right((error, _)) => Err(error),
    }
}

/// Asks the user, unless the token speaks for an earlier answer.
async fn agree(ask: &Ask, portal: &Screencast, session: &Session) -> Result<Streams, Error> {
    let modes = portal.available_cursor_modes().await.unwrap_or(CursorMode::Hidden.into());
    let cursor = match modes.contains(CursorMode::Embedded) {
        true => CursorMode::Embedded,
        false => CursorMode::Hidden,
    };
    let types = portal.available_source_types().await.map_err(told)?;
    let wanted = types & (SourceType::Monitor | SourceType::Window);
    if wanted.is_empty() {
        return Err(Error::Missing(NO_SCREENS.into()));
    }
    let options = SelectSourcesOptions::default()
        .set_cursor_mode(cursor)
        .set_sources(wanted)
        .set_multiple(false)
        // Until the user takes it back in the desktop's settings. Portals before version 4 do not know this.
        .set_persist_mode(PersistMode::ExplicitlyRevoked)
        .set_restore_token(ask.token.as_deref());
    let selected = portal.select_sources(session, options).await.map_err(told)?;
    selected.response().map_err(told)?;
    let started = portal.start(session, None, StartCastOptions::default()).await.map_err(told)?;
    started.response().map_err(told)
}

fn ended() -> Error {
    Error::Lost("it was ended in the desktop".into())
}

/// What the portal's refusal means for a user.
fn told(error: ashpd::Error) -> Error {
    match error {
        ashpd::Error::Response(ResponseError::Cancelled)
        | ashpd::Error::Portal(PortalError::Cancelled(_)) => {
            Error::NotAllowed("it was not allowed in the desktop's dialog".into())
        }
        ashpd::Error::Response(ResponseError::Other) => {
            Error::Lost("the desktop's portal could not, and does not say why".into())
        }
        ashpd::Error::Portal(PortalError::NotAllowed(reason)) => {
            Error::NotAllowed(format!("the desktop does not allow it: {reason}"))
        }
        ashpd::Error::PortalNotFound(_) => Error::Missing(NO_SCREENS.into()),
        ashpd::Error::Zbus(error) | ashpd::Error::Portal(PortalError::ZBus(error)) => bus(error),
        other => Error::Lost(format!("the desktop's portal says: {other}")),
    }
}

fn bus(error: zbus::Error) -> Error {
    use zbus::fdo::Error as Fdo;
    match zbus::fdo::Error::from(error) {
        Fdo::ServiceUnknown(_) | Fdo::NameHasNoOwner(_) | Fdo::SpawnExecFailed(_) | Fdo::SpawnFailed(_) => {
            Error::Missing(NO_PORTAL.into())
        }
        Fdo::UnknownMethod(_)
        | Fdo::UnknownInterface(_)
        | Fdo::UnknownObject(_)
        | Fdo::UnknownProperty(_)
        | Fdo::InvalidArgs(_) => Error::Missing(NO_SCREENS.into()),
        other => Error::Lost(format!("the desktop's portal says: {other}")),
    }
}

const NO_PORTAL: &str = "this desktop has no portal: install the packages xdg-desktop-portal and xdg-desktop-portal-gnome, \
                         -kde or -wlr, whichever is your desktop's, and log in again";
const NO_SCREENS: &str = "this desktop's portal has no screens to share: install the package xdg-desktop-portal-gnome, \
                          -kde or -wlr, whichever is your desktop's, and log in again";
/// For the answer that ended the session.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// For a goodbye.
const CLOSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_words_that_help() {
        let cases = [
            (ashpd::Error::Response(ResponseError::Cancelled), "not allowed in the desktop's dialog"),
            (ashpd::Error::Response(ResponseError::Other), "does not say why"),
            (
                ashpd::Error::Portal(PortalError::NotAllowed("by the administrator".into())),
                "by the administrator",
            ),
            (
                zbus::Error::from(zbus::fdo::Error::ServiceUnknown("no such name".into())).into(),
                "install the packages xdg-desktop-portal",
            ),
            (
                zbus::Error::from(zbus::fdo::Error::UnknownInterface("ScreenCast".into())).into(),
                "has no screens to share",
            ),
        ];
        for (error, want) in cases {
            let said = told(error).to_string();
            assert!(said.contains(want), "{said}");
        }
    }

    #[test]
    fn without_a_bus_it_says_so_at_once() {
        let (frames, stop) = (Slot::new(), Arc::new(Once::new()));
        let ask =
            Ask { bus: Bus::At("unix:path=/nowhere/bus".into()), token: None, fps: 30, granted: Slot::new() };
        let error = run(&ask, &frames, &stop).expect_err("there is none");
        assert!(error.to_string().contains("no D-Bus session bus"), "{error}");
        assert_eq!(ask.granted.take(), None);
    }
}
