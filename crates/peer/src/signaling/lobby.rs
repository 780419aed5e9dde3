//! The list of rooms that have a robot, kept fresh without entering any.
//!
//! A [`Lobby`] is open for as long as somebody looks at the list: its task keeps one WebSocket, asks for the list
//! every 2 s (the protocol does not push it) and after a loss connects again, with full jitter between 0.25 and 5 s.
//! What it sees is in a slot, newest wins. Every wait has an end, whatever the server does.

mod inquiry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_proto::signaling::{ErrorCode, RoomInfo};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::backoff::Backoff;
use super::client::sleep_until;
use super::dial::{Dial, Socket};
use super::{DialError, Refusal};
use inquiry::{Inquiry, Step};

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// As in [`super::Config::server`].
    pub server: String,
    /// Sent in `hello`.
    pub name: String,
    /// Sent in `hello`; anonymous without.
    pub token: Option<String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// As [`super::Config::check`].
    ///
    /// # Errors
    ///
    /// What is wrong, in words for the user.
    pub fn check(&self) -> Result<(), DialError> {
        Dial::new(&self.server, self.ca.as_deref()).map(drop)
    }
}

/// What there is to see.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// The server has not answered yet.
    Looking,
    /// The rooms that have a robot, by name, at most 256.
    Rooms(Arc<[RoomInfo]>),
    /// The server cannot be reached or sends nonsense; the lobby tries again by itself.
    Away {
        /// Why, in words.
        reason: String,
        /// The server's own code, if it gave one.
        code: Option<ErrorCode>,
        /// Until the next attempt.
        retry_in: Duration,
    },
    /// Over: trying again would not help.
    Refused(Refusal),
}

/// A look at the rooms of a server; dropping it ends the look.
#[derive(Debug)]
pub struct Lobby {
    sight: watch::Receiver<Sight>,
}

impl Lobby {
    /// Starts to look; everything else comes as [`Sight`]s. A configuration that
    /// [`Config::check`] refuses is [`Sight::Refused`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open(config: Config) -> Self {
        let (sights, sight) = watch::channel(Sight::Looking);
        match Dial::new(&config.server, config.ca.as_deref()) {
            Ok(dial) => {
                let task = Task { dial, config, backoff: Backoff::default(), sights };
                tokio::spawn(task.run());
            }
            Err(error) => {
                let refusal = Refusal { code: ErrorCode::BadMessage, message: error.to_string() };
                sights.send_replace(Sight::Refused(refusal));
            }
        }
        Self { sight }
    }

    /// What there is to see now.
    pub fn sight(&self) -> Sight {
        self.sight.borrow().clone()
    }

    /// Waits until there is something new to see, and gives it; `None` once nothing will change any more.
    pub async fn changed(&mut self) -> Option<Sight> {
        self.sight.changed().await.ok()?;
        Some(self.sight.borrow_and_update().clone())
    }
}

/// Looks once: the first answer, or [`Sight::Away`] when there is none in time.
///
/// # Panics
///
/// Outside a tokio runtime.
pub async fn look(config: Config, patience: Duration) -> Sight {
    let mut lobby = Lobby::open(config);
    let answer = tokio::time::timeout(patience, lobby.sight.wait_for(|sight| *sight != Sight::Looking)).await;
    match answer {
        Ok(Ok(sight)) => sight.clone(),
        Ok(Err(_)) | Err(_) => {
            let reason = format!("no answer within {} s", patience.as_secs_f32());
            Sight::Away { reason, code: None, retry_in: Duration::ZERO }
        }
    }
}

struct Task {
    dial: Dial,
    config: Config,
    backoff: Backoff,
    sights: watch::Sender<Sight>,
}

/// What follows from a connection's end.
enum Next {
    Again { reason: String, code: Option<ErrorCode>, not_before: Duration },
    Over(Refusal),
    Left,
}

impl Next {
    fn again(reason: String) -> Self {
        Self::Again { reason, code: None, not_before: Duration::ZERO }
    }
}

impl Task {
    async fn run(mut self) {
        loop {
            let next = match self.dial().await {
                Ok(socket) => self.converse(socket).await,
                Err(next) => next,
            };
            match next {
                Next::Left => return,
                Next::Over(refusal) => {
                    self.sights.send_replace(Sight::Refused(refusal));
                    return;
                }
                Next::Again { reason, code, not_before } => {
                    let retry_in = self.backoff.next(rand::random()).max(not_before);
                    tracing::debug!(
                        reason,
                        retry_in_ms = retry_in.as_millis() as u64,
                        "the list of rooms is away"
                    );
                    self.sights.send_replace(Sight::Away { reason, code, retry_in });
                    tokio::select! {
                        () = self.sights.closed() => return,
                        () = tokio::time::sleep(retry_in) => {}
                    }
                }
            }
        }
    }

    async fn dial(&self) -> Result<Box<Socket>, Next> {
        tokio::select! {
            () = self.sights.closed() => Err(Next::Left),
            outcome = tokio::time::timeout(ANSWER_MAX, self.dial.clone().connect()) => match outcome {
                Ok(Ok(socket)) => Ok(socket),
                Ok(Err(reason)) => Err(Next::again(reason)),
                Err(_) => {
                    let reason = format!("{} did not answer within {} s", self.dial, ANSWER_MAX.as_secs());
                    Err(Next::again(reason))
                }
            },
        }
    }

    async fn converse(&mut self, mut socket: Box<Socket>) -> Next {
        let mut inquiry = Inquiry::new(&self.config, Instant::now());
        loop {
            while let Some(step) = inquiry.poll_step() {
                match step {
                    Step::Write(text) => {
                        let sent = tokio::time::timeout(ANSWER_MAX, socket.send(Message::text(text))).await;
                        if !matches!(sent, Ok(Ok(()))) {
                            return Next::again("connection to the server broke".to_owned());
                        }
                    }
                    Step::Tell(rooms) => {
                        self.backoff.reset();
                        let seen = Sight::Rooms(rooms);
                        // The same list again is no news.
                        self.sights.send_if_modified(|sight| {
                            let is_news = *sight != seen;
                            *sight = seen;
                            is_news
                        });
                    }
                    Step::Reconnect { reason, code, not_before } => {
                        return Next::Again { reason, code, not_before };
                    }
                    Step::Quit(refusal) => {
                        close(&mut socket).await;
                        return Next::Over(refusal);
                    }
                }
            }
            tokio::select! {
                () = self.sights.closed() => {
                    close(&mut socket).await;
                    return Next::Left;
                }
                message = socket.next() => hear(&mut inquiry, message),
                () = sleep_until(inquiry.poll_timeout()) => inquiry.handle_timeout(Instant::now()),
            }
        }
    }
}

/// Says goodbye; the server notices either way.
async fn close(socket: &mut Socket) {
    tokio::time::timeout(GOODBYE_MAX, SinkExt::close(socket)).await.ok();
}

fn hear(inquiry: &mut Inquiry, message: Option<Result<Message, Error>>) {
    match message {
        Some(Ok(Message::Text(text))) => inquiry.handle_text(text.as_bytes(), Instant::now()),
        Some(Ok(Message::Close(frame))) => {
            let (code, reason) = frame.map_or((None, String::new()), |frame| {
                (Some(u16::from(frame.code)), frame.reason.as_str().to_owned())
            });
            inquiry.handle_closed(code, reason);
        }
        Some(Ok(_)) => {}
        Some(Err(Error::Capacity(error))) => {
            inquiry.handle_closed(None, format!("server sent what is no message: {error}"));
        }
        Some(Err(error)) => inquiry.handle_closed(None, format!("connection to the server broke: {error}")),
        None => inquiry.handle_closed(None, String::new()),
    }
}

/// Time for name, TCP, TLS and WebSocket handshakes, and for each answer after them: somebody looks at the screen.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Time for the closing handshake.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
