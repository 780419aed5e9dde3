//! The handle, and the task that keeps the WebSocket.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farwheel_proto::signaling::{ClientMessage, ModAction, PeerId};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::backoff::Backoff;
use super::dial::{self, Dial, Socket};
use super::session::{Session, Step};
use super::{Config, ErrorCode, Event, Refusal};
use crate::addresses::{self, Addresses, Footing, Path};
use crate::signal::Signal;

/// Messages waiting for the client's task.
const OUTGOING_MAX: usize = 256;
/// Events waiting for the owner. Full: nothing more is read from the server until the owner reads.
const EVENTS_MAX: usize = 256;
/// Time for name, TCP, TLS and WebSocket handshakes.
const DIAL_MAX: Duration = Duration::from_secs(10);
/// Time for one frame to be taken by the socket.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// A seat in a room; dropping it leaves the room.
#[derive(Debug)]
pub struct Client {
    outgoing: mpsc::Sender<Outgoing>,
}

/// What happens at the signalling server. Must be read: while 256 events wait, nothing more is read from the server.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

#[derive(Debug)]
enum Outgoing {
    Say(ClientMessage),
    Leave,
}

/// The client takes no more at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("256 messages wait for the server already")]
pub struct Full;

impl Client {
    /// Starts to connect; everything else comes as events. A configuration that [`Config::check`] refuses is a
    /// [`Event::Fatal`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(config: Config) -> (Self, Events) {
        let (outgoing_tx, outgoing_rx) = mpsc::channel(OUTGOING_MAX);
        let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
        match Dial::new(&config.server, config.ca.as_deref()) {
            Ok(dial) => {
                let task = Task {
                    dial,
                    session: Session::new(config),
                    backoff: Backoff::default(),
                    outgoing: outgoing_rx,
                    events: events_tx,
                    addresses: addresses::watch(),
                    footing: Footing::default(),
                    is_local: false,
                };
                tokio::spawn(task.run());
            }
            Err(error) => {
                let refusal = Refusal { code: ErrorCode::BadMessage, message: error.to_string() };
                events_tx.try_send(Event::Fatal(refusal)).expect("the queue is empty");
            }
        }
        (Self { outgoing: outgoing_tx }, Events(events_rx))
    }

    /// Sends a connection's message to a peer; never waits. While the server is away up to 256 wait for it.
    pub fn send(&self, to: PeerId, signal: Signal) {
        let Signal { conn, kind, data } = signal;
        // Full: the connection's own watchdog notices and its owner starts over.
        self.say(ClientMessage::Signal { to, conn, kind, data });
    }

    /// Sends data through the server, at most 16 KiB as JSON: to one, or to everybody else. The server takes 50 messages
    /// a second in the long run, of whatever kind, and closes the connection of who sends more.
    ///
    /// # Errors
    ///
    /// When 256 messages wait for the server already. While it is away they may: so nothing is queued for ever.
    pub fn send_data(&self, to: Option<PeerId>, data: Value) -> Result<(), Full> {
        self.outgoing.try_send(Outgoing::Say(ClientMessage::Data { to, data })).map_err(|_| Full)
    }

    /// Lets one in that knocked; needs the permission to moderate, as do the next two.
    pub fn admit(&self, peer: PeerId) {
        self.say(ClientMessage::Admit { peer });
    }

    /// Turns one away that knocked.
    pub fn deny(&self, peer: PeerId) {
        self.say(ClientMessage::Deny { peer });
    }

    /// Locks or opens the room, puts somebody out, asks somebody to mute itself.
    pub fn moderate(&self, action: ModAction) {
        self.say(ClientMessage::Mod { action });
    }

    /// Tells the others something else about this side; kept for when the room has to be joined anew.
    pub fn set_meta(&self, meta: Value) {
        self.say(ClientMessage::SetMeta { meta });
    }

    fn say(&self, message: ClientMessage) {
        if let Err(mpsc::error::TrySendError::Full(Outgoing::Say(message))) =
            self.outgoing.try_send(Outgoing::Say(message))
        {
            // Full: the owner asks for more than a server takes within minutes.
            tracing::warn!(kind = kind(&message), "message dropped: 256 wait for the server already");
        }
    }

    /// Leaves the room and closes; the events end once that is done.
    pub fn leave(&self) {
        // Full or closed: dropping the handle has the same effect a little later.
        self.outgoing.try_send(Outgoing::Leave).ok();
    }
}

impl Events {
    /// Waits for the next event; `None` when the client is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

struct Task {
    dial: Dial,
    session: Session,
    backoff: Backoff,
    outgoing: mpsc::Receiver<Outgoing>,
    events: mpsc::Sender<Event>,
    addresses: watch::Receiver<Addresses>,
    footing: Footing,
    /// The server is on this machine.
    is_local: bool,
}

/// What follows from a connection's end.
enum Next {
    Again {
        reason: String,
        not_before: Duration,
    },
    /// The address that the connection had is gone.
    AtOnce,
    Quit,
}

impl Task {
    async fn run(mut self) {
        loop {
            let next = match self.dial().await {
                Ok(socket) => self.converse(socket).await,
                Err(next) => next,
            };
            let (reason, retry_in) = match next {
                Next::Again { reason, not_before } => {
                    (reason, self.backoff.next(rand::random()).max(not_before))
                }
                Next::AtOnce => {
                    self.backoff.reset();
                    ("this machine's address has changed".to_owned(), Duration::ZERO)
                }
                Next::Quit => return,
            };
            tracing::info!(reason, retry_in_ms = retry_in.as_millis() as u64, "signalling server is away");
            if self.events.send(Event::Lost { reason, retry_in }).await.is_err()
                || !self.pause(retry_in).await
            {
                return;
            }
        }
    }

    async fn dial(&mut self) -> Result<Box<Socket>, Next> {
        self.footing.set(&self.addresses.borrow_and_update());
        let dial = self.dial.clone();
        let dialing = tokio::time::timeout(DIAL_MAX, dial.connect());
        tokio::pin!(dialing);
        loop {
            tokio::select! {
                outcome = &mut dialing => return match outcome {
                    Ok(Ok(socket)) => Ok(socket),
                    Ok(Err(reason)) => Err(Next::Again { reason, not_before: Duration::ZERO }),
                    Err(_) => {
                        let reason = format!("{} did not answer within {} s", self.dial, DIAL_MAX.as_secs());
                        Err(Next::Again { reason, not_before: Duration::ZERO })
                    }
                },
                outgoing = self.outgoing.recv() => if self.handle_outgoing(outgoing) { return Err(Next::Quit) },
                Ok(()) = self.addresses.changed() => if self.has_to_move() { return Err(Next::AtOnce) },
            }
        }
    }

    /// Keeps what is to be sent until the next attempt; false when the owner leaves.
    async fn pause(&mut self, wait: Duration) -> bool {
        let until = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                outgoing = self.outgoing.recv() => if self.handle_outgoing(outgoing) { return false },
                // A new address is a new chance.
                Ok(()) = self.addresses.changed() => {
                    self.backoff.reset();
                    return true;
                }
            }
        }
    }

    async fn converse(&mut self, mut socket: Box<Socket>) -> Next {
        self.is_local = dial::is_local(&socket);
        let mut has_moved = false;
        self.session.handle_open(Instant::now());
        loop {
            while let Some(step) = self.session.poll_step() {
                match step {
                    Step::Write(text) => {
                        let written = tokio::time::timeout(WRITE_MAX, socket.send(Message::text(text))).await;
                        if !matches!(written, Ok(Ok(()))) {
                            self.session.handle_closed(None, "connection to the server broke".to_owned());
                        }
                    }
                    Step::Tell(event) => {
                        if let Event::Joined { .. }
                        | Event::Waiting
                        | Event::PairFound { .. }
                        | Event::Resumed = event
                        {
                            self.backoff.reset();
                        }
                        if self.events.send(event).await.is_err() {
                            self.session.handle_leave();
                        }
                    }
                    Step::Reconnect { .. } if has_moved => return Next::AtOnce,
                    Step::Reconnect { reason, not_before } => return Next::Again { reason, not_before },
                    Step::Quit => {
                        // The server notices either way.
                        tokio::time::timeout(Duration::from_secs(1), SinkExt::close(&mut *socket)).await.ok();
                        return Next::Quit;
                    }
                }
            }
            let due = self.session.poll_timeout();
            tokio::select! {
                message = socket.next() => self.handle_incoming(message),
                outgoing = self.outgoing.recv() => if self.handle_outgoing(outgoing) { self.session.handle_leave() },
                () = sleep_until(due) => self.session.handle_timeout(Instant::now()),
                Ok(()) = self.addresses.changed() => if !self.is_local && self.has_to_move() {
                    self.session.handle_closed(None, String::new());
                    has_moved = true;
                },
            }
        }
    }

    fn has_to_move(&mut self) -> bool {
        let addresses = self.addresses.borrow_and_update().clone();
        self.footing.has_to_move(&addresses, Path::Works(None))
    }

    /// True when the owner leaves.
    fn handle_outgoing(&mut self, outgoing: Option<Outgoing>) -> bool {
        match outgoing {
            Some(Outgoing::Say(message)) => {
                let kind = kind(&message);
                if self.session.handle_send(message).is_err() {
                    // Full: a connection's own watchdog notices and its owner starts over; data is sent again by whoever
                    // needs it to arrive.
                    tracing::warn!(kind, "message dropped: 256 wait for the server already");
                }
                false
            }
            Some(Outgoing::Leave) | None => true,
        }
    }

    fn handle_incoming(&mut self, message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) {
        match message {
            Some(Ok(Message::Text(text))) => {
                let unix_seconds =
                    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                self.session.handle_text(text.as_bytes(), unix_seconds, Instant::now());
            }
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame.map_or((None, String::new()), |frame| {
                    (Some(u16::from(frame.code)), frame.reason.as_str().to_owned())
                });
                let reason =
                    if reason.is_empty() { "server closed the connection".to_owned() } else { reason };
                self.session.handle_closed(code, reason);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.session.handle_closed(None, format!("connection to the server broke: {error}"))
            }
            None => self.session.handle_closed(None, "server closed the connection".to_owned()),
        }
    }
}

fn kind(message: &ClientMessage) -> &'static str {
    match message {
        ClientMessage::Signal { .. } => "signal",
        ClientMessage::Data { .. } => "data",
        ClientMessage::SetMeta { .. } => "set_meta",
        ClientMessage::Admit { .. } | ClientMessage::Deny { .. } | ClientMessage::Mod { .. } => "moderation",
        ClientMessage::Hello { .. }
        | ClientMessage::Join { .. }
        | ClientMessage::Pair { .. }
        | ClientMessage::Leave
        | ClientMessage::ListRooms
        | ClientMessage::IceServers
        | ClientMessage::Ping { .. } => "the session's own",
    }
}

pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
