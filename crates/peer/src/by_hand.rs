//! A connection whose description people carry: one letter there, one back, and no server.

use std::time::Duration;

use farwheel_proto::call::letter::description::{split_candidates, with_candidates};
use serde_json::{Value, json};

use crate::connection::{Connection, Events, Incoming};
use crate::event::{Event, LinkState};
use crate::signal::{ConnId, Signal, SignalKind};
use crate::{Config, Failure, Initiative};

/// Time for STUN and TURN servers to say what they have to say; what is known by then goes into the letter.
const GATHER_MAX: Duration = Duration::from_secs(5);

/// A connection that waits for a letter, or for its own letter to be carried.
#[derive(Debug)]
pub struct ByHand {
    /// The connection.
    pub connection: Connection,
    /// What it tells.
    pub events: Events,
    /// What it receives besides messages.
    pub incoming: Incoming,
    /// Its description with all its candidates, for the letter.
    pub sdp: String,
}

/// Opens a connection that offers; the answer goes to [`accept`].
///
/// # Errors
///
/// When the connection fails before there is a description.
///
/// # Panics
///
/// When `config` does not offer or knows no patience, and outside a tokio runtime.
pub async fn offer(config: Config) -> Result<ByHand, Failure> {
    assert_eq!(config.initiative, Initiative::Offer);
    open(config, None).await
}

/// Opens a connection that answers the offer `sdp`.
///
/// # Errors
///
/// When the offer cannot be used.
///
/// # Panics
///
/// When `config` offers or knows no patience, and outside a tokio runtime.
pub async fn answer(config: Config, sdp: &str) -> Result<ByHand, Failure> {
    assert_eq!(config.initiative, Initiative::Answer);
    open(config, Some(sdp)).await
}

/// Gives the answer `sdp` to the connection that offered.
pub fn accept(connection: &Connection, sdp: &str) {
    hand_over(connection, SignalKind::Answer, sdp);
}

async fn open(config: Config, offer: Option<&str>) -> Result<ByHand, Failure> {
    assert!(config.patience.is_some(), "people take longer than programs");
    let (connection, mut events, incoming) = Connection::open(config);
    if let Some(sdp) = offer {
        hand_over(&connection, SignalKind::Offer, sdp);
    }
    let sdp = gather(connection.conn(), &mut events).await?;
    Ok(ByHand { connection, events, incoming, sdp })
}

fn hand_over(connection: &Connection, kind: SignalKind, sdp: &str) {
    let conn = connection.conn();
    let (sdp, candidates) = split_candidates(sdp);
    connection.handle_signal(Signal { conn, kind, data: json!({ "sdp": sdp }) });
    for candidate in candidates {
        let data = json!({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0});
        connection.handle_signal(Signal { conn, kind: SignalKind::Candidate, data });
    }
    connection.handle_signal(Signal { conn, kind: SignalKind::CandidatesEnd, data: Value::Null });
}

/// Waits until the description and all candidates are there, and makes one of them.
async fn gather(conn: ConnId, events: &mut Events) -> Result<String, Failure> {
    let mut sdp = None;
    let mut candidates = Vec::new();
    let until = tokio::time::Instant::now() + GATHER_MAX;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = tokio::time::sleep_until(until), if sdp.is_some() => break,
        };
        match event {
            Some(Event::Signal(Signal { kind: SignalKind::Offer | SignalKind::Answer, data, .. })) => {
                sdp = data["sdp"].as_str().map(str::to_owned);
            }
            Some(Event::Signal(Signal { kind: SignalKind::Candidate, data, .. })) => {
                candidates.extend(data["candidate"].as_str().map(str::to_owned));
            }
            Some(Event::Signal(Signal { kind: SignalKind::CandidatesEnd, .. })) if sdp.is_some() => break,
            Some(Event::State(LinkState::Failed(failure))) => return Err(failure),
            Some(_) => {}
            None => return Err(Failure::Transport("the connection ended".to_owned())),
        }
    }
    tracing::debug!(%conn, candidates = candidates.len(), "description complete");
    let sdp = sdp.expect("looked at before the end");
    Ok(with_candidates(&sdp, candidates.iter().map(String::as_str)))
}
