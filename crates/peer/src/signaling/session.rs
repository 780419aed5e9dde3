//! One client's side of `rtcsig/1`, without a socket or a clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_proto::signaling::{
    Auth, ClientFrame, ClientInfo, ClientMessage, ErrorCode, Failure, HelloOk, LeaveReason, Limits, PROTOCOL,
    ParseError, PeerId, Resume, ServerFrame, ServerMessage,
};
use serde_json::Value;

use super::{Config, Event, Refusal};
use crate::signal::Signal;

/// Messages kept until the server has them. Full: the newest is refused.
const UNACKNOWLEDGED_MAX: usize = 256;
/// Time for the handshake, `hello` and `join`.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// Credentials are renewed this long before they end.
const RENEWAL: Duration = Duration::from_secs(60);

/// Credentials are renewed this often however long they last.
const RENEWAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// What the session wants done.
#[derive(Debug)]
pub(super) enum Step {
    /// Write this text frame.
    Write(String),
    /// Tell the owner.
    Tell(Event),
    /// Drop the connection and connect again.
    Reconnect {
        /// In words.
        reason: String,
        /// Not before this.
        not_before: Duration,
    },
    /// Close for good.
    Quit,
}

/// The conversation over one connection after another.
///
/// | state | `hello_ok` resumed | `hello_ok` anew | `joined` | connection lost |
/// |---|---|---|---|---|
/// | `Offline` | - | - | - | - |
/// | `Greeting` | `InRoom`, send again what was missed | `Joining` | - | `Offline` |
/// | `Joining` | - | - | `InRoom` | `Offline` |
/// | `InRoom` | - | - | - | `Offline` |
#[derive(Debug)]
pub(super) struct Session {
    config: Config,
    state: State,
    /// What a resume needs; none before the first `hello_ok`.
    resume: Option<Resume>,
    was_in_room: bool,
    sent_seq: u64,
    unacknowledged: VecDeque<(u64, ClientMessage)>,
    limits: Limits,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
enum State {
    Offline,
    Greeting { since: Instant },
    Joining { since: Instant, hello: HelloOk },
    InRoom { ping_at: Instant, dead_at: Instant, renew_at: Option<Instant> },
}

impl Session {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Offline,
            resume: None,
            was_in_room: false,
            sent_seq: 0,
            unacknowledged: VecDeque::new(),
            limits: Limits::default(),
            steps: VecDeque::new(),
        }
    }

    /// The WebSocket is open.
    pub(super) fn handle_open(&mut self, now: Instant) {
        self.state = State::Greeting { since: now };
        let hello = ClientMessage::Hello {
            protocol: PROTOCOL.to_owned(),
            client: ClientInfo { name: "farwheel".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            auth: Auth::new(self.config.token.clone(), Some(self.config.name.clone())),
            resume: self.resume.clone(),
        };
        self.write(ClientFrame::new(hello));
    }

    /// A text frame arrived; `unix_seconds` is the wall clock's time.
    pub(super) fn handle_text(&mut self, text: &[u8], unix_seconds: u64, now: Instant) {
        let frame = match ServerFrame::parse(text, &self.limits) {
            Ok(frame) => frame,
            Err(ParseError::UnknownType { name, .. }) => {
                tracing::debug!(name, "message of a newer server ignored");
                return;
            }
            Err(error) => {
                self.reconnect(format!("server sent what is no message: {error}"), Duration::ZERO);
                return;
            }
        };
        if let State::InRoom { dead_at, .. } = &mut self.state {
            *dead_at = now + Duration::from_millis(self.limits.dead_ms);
        }
        if let Some(seq) = frame.seq
            && let Some(resume) = &mut self.resume
        {
            if seq <= resume.last_seq {
                return;
            }
            resume.last_seq = seq;
        }
        self.handle_message(frame.message, unix_seconds, now);
    }

    /// The connection is gone, with a close code if the server gave one.
    pub(super) fn handle_closed(&mut self, code: Option<u16>, reason: String) {
        if let State::Offline = self.state {
            return;
        }
        match code.and_then(ErrorCode::from_close_code) {
            Some(code) if !code.is_worth_retrying() => self.quit(Refusal { code, message: reason }),
            Some(_) | None => self.reconnect(reason, Duration::ZERO),
        }
    }

    /// The owner sends; false when too much waits already.
    pub(super) fn handle_send(&mut self, to: PeerId, signal: Signal) -> bool {
        if self.unacknowledged.len() >= UNACKNOWLEDGED_MAX {
            return false;
        }
        let Signal { conn, kind, data } = signal;
        self.send(ClientMessage::Signal { to, conn, kind, data });
        true
    }

    /// The owner leaves.
    pub(super) fn handle_leave(&mut self) {
        if let State::InRoom { .. } = self.state {
            self.write(ClientFrame::new(ClientMessage::Leave));
        }
        self.steps.push_back(Step::Quit);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Offline => None,
            State::Greeting { since } | State::Joining { since, .. } => Some(*since + GREETING_MAX),
            State::InRoom { ping_at, dead_at, renew_at } => {
                [Some(*ping_at), Some(*dead_at), *renew_at].into_iter().flatten().min()
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Offline => {}
            State::Greeting { since } | State::Joining { since, .. } => {
                if *since + GREETING_MAX <= now {
                    self.reconnect("server did not answer within 10 s".to_owned(), Duration::ZERO);
                }
            }
            State::InRoom { ping_at, dead_at, renew_at } => {
                if *dead_at <= now {
                    let reason =
                        format!("nothing heard from the server for {} s", self.limits.dead_ms / 1000);
                    self.reconnect(reason, Duration::ZERO);
                    return;
                }
                let ping = *ping_at <= now;
                if ping {
                    *ping_at = now + Duration::from_millis(self.limits.heartbeat_ms);
                }
                let renew = renew_at.take_if(|at| *at <= now).is_some();
                if ping {
                    let ack = self.resume.as_ref().map(|resume| resume.last_seq);
                    self.write(ClientFrame::new(ClientMessage::Ping { t: self.sent_seq, ack }));
                }
                if renew {
                    self.write(ClientFrame::new(ClientMessage::IceServers));
                }
            }
        }
    }

    pub(super) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn handle_message(&mut self, message: ServerMessage, unix_seconds: u64, now: Instant) {
        match message {
            ServerMessage::Welcome { limits, .. } => self.limits = limits,
            ServerMessage::HelloOk(hello) => self.handle_hello_ok(hello, unix_seconds, now),
            ServerMessage::Joined(joined) => {
                let State::Joining { hello, .. } = &self.state else { return };
                let HelloOk { peer_id, ice_servers, ice_expires, .. } = hello.clone();
                self.enter_room(ice_expires, unix_seconds, now);
                self.steps.push_back(Step::Tell(Event::Joined {
                    self_id: peer_id,
                    peers: joined.peers,
                    ice_servers,
                }));
                self.resend_after(0);
            }
            ServerMessage::PeerJoined { peer, .. } => {
                self.steps.push_back(Step::Tell(Event::PeerJoined(peer)))
            }
            ServerMessage::PeerLeft { peer, .. } => {
                self.steps.push_back(Step::Tell(Event::PeerLeft { id: peer }));
            }
            ServerMessage::Signal { from, conn, kind, data } => {
                let signal = Signal { conn, kind, data };
                self.steps.push_back(Step::Tell(Event::Signal { from, signal }));
            }
            ServerMessage::IceServers { ice_servers, ice_expires } => {
                if let State::InRoom { renew_at, .. } = &mut self.state {
                    *renew_at = renewal(ice_expires, unix_seconds, now);
                }
                self.steps.push_back(Step::Tell(Event::IceServers(ice_servers)));
            }
            ServerMessage::Pong { ack, .. } => self.forget_through(ack),
            ServerMessage::Error(failure) => self.handle_failure(failure),
            ServerMessage::Left { reason: LeaveReason::Denied } => {
                self.quit(Refusal {
                    code: ErrorCode::Forbidden,
                    message: "a moderator did not let us in".to_owned(),
                });
            }
            ServerMessage::Draining { grace_ms } => tracing::info!(grace_ms, "signalling server shuts down"),
            ServerMessage::Left { .. }
            | ServerMessage::PeerChanged { .. }
            | ServerMessage::Data { .. }
            | ServerMessage::Rooms { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Knock { .. }
            | ServerMessage::PairFound { .. }
            | ServerMessage::Busy { .. }
            | ServerMessage::Locked { .. }
            | ServerMessage::MuteRequest { .. } => {}
        }
    }

    fn handle_hello_ok(&mut self, hello: HelloOk, unix_seconds: u64, now: Instant) {
        let State::Greeting { since } = self.state else { return };
        self.limits.heartbeat_ms = hello.heartbeat_ms.max(1000);
        if hello.resumed && self.was_in_room {
            self.forget_through(hello.last_seq);
            self.enter_room(hello.ice_expires, unix_seconds, now);
            self.steps.push_back(Step::Tell(Event::Resumed));
            self.resend_after(hello.last_seq);
            return;
        }
        self.resume = Some(Resume { session: hello.session, token: hello.resume_token, last_seq: 0 });
        // What was meant for the peers of a session that is gone would come from one they do not know.
        self.unacknowledged.clear();
        self.sent_seq = 0;
        self.was_in_room = false;
        let join =
            ClientMessage::Join { room: self.config.room.clone(), role: self.config.role, meta: Value::Null };
        self.state = State::Joining { since, hello };
        self.sent_seq += 1;
        self.write(ClientFrame { id: Some(1), seq: Some(self.sent_seq), message: join });
    }

    fn enter_room(&mut self, ice_expires: Option<u64>, unix_seconds: u64, now: Instant) {
        self.was_in_room = true;
        self.state = State::InRoom {
            ping_at: now + Duration::from_millis(self.limits.heartbeat_ms),
            dead_at: now + Duration::from_millis(self.limits.dead_ms),
            renew_at: renewal(ice_expires, unix_seconds, now),
        };
    }

    fn handle_failure(&mut self, failure: Failure) {
        let Failure { code, message, retry_after_ms, fatal, .. } = failure;
        let joining = matches!(self.state, State::Greeting { .. } | State::Joining { .. });
        if !fatal && !joining {
            self.steps.push_back(Step::Tell(Event::Refused(Refusal { code, message })));
        } else if code.is_worth_retrying() {
            self.reconnect(
                format!("{message} ({})", code.as_str()),
                Duration::from_millis(retry_after_ms.unwrap_or(0)),
            );
        } else {
            self.quit(Refusal { code, message });
        }
    }

    fn send(&mut self, message: ClientMessage) {
        self.sent_seq += 1;
        self.unacknowledged.push_back((self.sent_seq, message.clone()));
        if let State::InRoom { .. } = self.state {
            self.write(ClientFrame { id: None, seq: Some(self.sent_seq), message });
        }
    }

    fn resend_after(&mut self, seq: u64) {
        let frames: Vec<ClientFrame> = self
            .unacknowledged
            .iter()
            .filter(|(own, _)| *own > seq)
            .map(|(own, message)| ClientFrame { id: None, seq: Some(*own), message: message.clone() })
            .collect();
        for frame in frames {
            self.write(frame);
        }
    }

    fn forget_through(&mut self, seq: u64) {
        self.unacknowledged.retain(|(own, _)| *own > seq);
    }

    fn write(&mut self, frame: ClientFrame) {
        self.steps.push_back(Step::Write(frame.to_json()));
    }

    fn reconnect(&mut self, reason: String, not_before: Duration) {
        self.state = State::Offline;
        self.steps.push_back(Step::Reconnect { reason, not_before });
    }

    fn quit(&mut self, refusal: Refusal) {
        self.state = State::Offline;
        self.steps.push_back(Step::Tell(Event::Fatal(refusal)));
        self.steps.push_back(Step::Quit);
    }
}

fn renewal(ice_expires: Option<u64>, unix_seconds: u64, now: Instant) -> Option<Instant> {
    let left = Duration::from_secs(ice_expires?.saturating_sub(unix_seconds));
    // At most once a minute and at least once a day, whatever the two clocks say.
    Some(now + left.saturating_sub(RENEWAL).clamp(RENEWAL, RENEWAL_MAX))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
