//! A connection whose description people carry: one letter there, one back, and no server.

use std::time::Duration;

use farwheel_proto::call::letter::description::{split_candidates, with_candidates};
use serde_json::{Value, json};

use crate::connection::{Connection, Events, Incoming};
use crate::event::{Event, LinkState};
use crate::signal::{ConnId, Signal, SignalKind};
use crate::{Config, Failure, Initiative};

/// Time for STUN and TURN servers to say what they have to say; what is known by then goes into the letter.
pub const GATHER_MAX: Duration = Duration::from_secs(5);
/// Most candidates in a description.
const CANDIDATES_MAX: usize = 64;

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

/// What is read in a letter with the description `sdp`, an offer or an answer, as signals of the connection `conn`.
pub fn signals(conn: ConnId, kind: SignalKind, sdp: &str) -> Vec<Signal> {
    let (sdp, candidates) = split_candidates(sdp);
    let candidates = candidates.into_iter().map(|candidate| Signal {
        conn,
        kind: SignalKind::Candidate,
        data: json!({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}),
    });
    [Signal { conn, kind, data: json!({ "sdp": sdp }) }]
        .into_iter()
        .chain(candidates)
        .chain([Signal { conn, kind: SignalKind::CandidatesEnd, data: Value::Null }])
        .collect()
}

/// What a connection has said of itself for a letter.
#[derive(Debug, Default)]
pub struct Gathered {
    sdp: Option<String>,
    candidates: Vec<String>,
    is_all: bool,
}

impl Gathered {
    /// Takes what the connection wants to be carried.
    pub fn handle_signal(&mut self, signal: &Signal) {
        let Signal { kind, data, .. } = signal;
        match kind {
            SignalKind::Offer | SignalKind::Answer => self.sdp = data["sdp"].as_str().map(str::to_owned),
            SignalKind::Candidate if self.candidates.len() < CANDIDATES_MAX => {
                self.candidates.extend(data["candidate"].as_str().map(str::to_owned));
            }
            SignalKind::CandidatesEnd => self.is_all = true,
            SignalKind::Candidate | SignalKind::Ping | SignalKind::Pong | SignalKind::Bye => {}
        }
    }

    /// Whether nothing more will come.
    pub const fn is_whole(&self) -> bool {
        self.is_all && self.sdp.is_some()
    }

    /// The description with the candidates there are; `None` before there is one.
    pub fn description(&self) -> Option<String> {
        let candidates = self.candidates.iter().map(String::as_str);
        self.sdp.as_ref().map(|sdp| with_candidates(sdp, candidates))
    }
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
    for signal in signals(connection.conn(), kind, sdp) {
        connection.handle_signal(signal);
    }
}

/// Waits until the description and all candidates are there, and makes one of them.
async fn gather(conn: ConnId, events: &mut Events) -> Result<String, Failure> {
    let mut gathered = Gathered::default();
    let until = tokio::time::Instant::now() + GATHER_MAX;
    while !gathered.is_whole() {
        let event = tokio::select! {
            event = events.recv() => event,
            () = tokio::time::sleep_until(until), if gathered.sdp.is_some() => break,
        };
        match event {
            Some(Event::Signal(signal)) => gathered.handle_signal(&signal),
            Some(Event::State(LinkState::Failed(failure))) => return Err(failure),
            Some(_) => {}
            None => return Err(Failure::Transport("the connection ended".to_owned())),
        }
    }
    tracing::debug!(%conn, candidates = gathered.candidates.len(), "description complete");
    Ok(gathered.description().expect("looked at before the end"))
}
