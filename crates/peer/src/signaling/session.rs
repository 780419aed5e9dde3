//! One client's side of `rtcsig/1`, without a socket or a clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use farwheel_proto::signaling::{
    Auth, ClientFrame, ClientInfo, ClientMessage, ErrorCode, Failure, HelloOk, IceServer, Joined,
    LeaveReason, Limits, PROTOCOL, ParseError, PeerId, Resume, ServerFrame, ServerMessage,
};
use serde_json::Value;

use super::{Config, Event, Full, Place, Refusal};
use crate::config::Initiative;
use crate::signal::Signal;

/// Messages kept until the server has them. Full: the newest is refused.
const UNACKNOWLEDGED_MAX: usize = 256;
/// After so many messages either way an acknowledgement is asked for or given, so that neither side keeps many.
const ACKNOWLEDGE_EVERY: u64 = 64;
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
/// | state | `hello_ok` resumed | `hello_ok` anew | `waiting` | `joined`, `pair_found` | connection lost |
/// |---|---|---|---|---|---|
/// | `Offline` | - | - | - | - | - |
/// | `Greeting` | `Seated`, send again what was missed | `Joining` | - | - | `Offline` |
/// | `Joining` | - | - | `Seated`, in line | `Seated`, inside | `Offline` |
/// | `Seated` | - | - | - | inside | `Offline` |
#[derive(Debug)]
pub(super) struct Session {
    config: Config,
    state: State,
    /// What a resume needs; none before the first `hello_ok`.
    resume: Option<Resume>,
    /// Where the session is at the server, as far as it told.
    seat: Seat,
    /// This side, and what it may use, as of the newest `hello_ok` and `ice_servers`.
    self_id: PeerId,
    ice_servers: Vec<IceServer>,
    sent_seq: u64,
    /// `sent_seq` and the highest number received when the last ping left.
    pinged: (u64, u64),
    unacknowledged: VecDeque<(u64, ClientMessage)>,
    limits: Limits,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
enum State {
    Offline,
    Greeting { since: Instant },
    Joining { since: Instant, ice_expires: Option<u64> },
    Seated { ping_at: Instant, dead_at: Instant, renew_at: Option<Instant> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    Nowhere,
    /// Outside of a locked room, or alone in a pair.
    InLine,
    Inside,
}

impl Session {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Offline,
            resume: None,
            seat: Seat::Nowhere,
            self_id: PeerId::new(0),
            ice_servers: Vec::new(),
            sent_seq: 0,
            pinged: (0, 0),
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
        if let State::Seated { dead_at, .. } = &mut self.state {
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
        self.acknowledge();
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

    /// The owner sends.
    pub(super) fn handle_send(&mut self, message: ClientMessage) -> Result<(), Full> {
        if let (ClientMessage::SetMeta { meta: new }, Place::Room { meta, .. }) =
            (&message, &mut self.config.place)
        {
            meta.clone_from(new);
        }
        if self.unacknowledged.len() >= UNACKNOWLEDGED_MAX {
            return Err(Full);
        }
        self.sent_seq += 1;
        self.unacknowledged.push_back((self.sent_seq, message.clone()));
        if let (State::Seated { .. }, Seat::Inside) = (&self.state, self.seat) {
            self.write(ClientFrame { id: None, seq: Some(self.sent_seq), message });
            self.acknowledge();
        }
        Ok(())
    }

    /// The owner leaves.
    pub(super) fn handle_leave(&mut self) {
        if let State::Seated { .. } = self.state {
            self.write(ClientFrame::new(ClientMessage::Leave));
        }
        self.steps.push_back(Step::Quit);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Offline => None,
            State::Greeting { since } | State::Joining { since, .. } => Some(*since + GREETING_MAX),
            State::Seated { ping_at, dead_at, renew_at } => {
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
            State::Seated { ping_at, dead_at, renew_at } => {
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
                    self.ping();
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
                let Joined { peers, permissions, policy, locked, .. } = joined;
                let (self_id, ice_servers) = (self.self_id, self.ice_servers.clone());
                let lock = locked.into();
                let event = Event::Joined { self_id, peers, ice_servers, permissions, policy, lock };
                self.handle_inside(event, unix_seconds, now);
            }
            ServerMessage::PairFound { own, peer, initiator } => {
                let initiative = if initiator { Initiative::Offer } else { Initiative::Answer };
                let ice_servers = self.ice_servers.clone();
                let event = Event::PairFound { self_id: own, peer, initiative, ice_servers };
                self.handle_inside(event, unix_seconds, now);
            }
            ServerMessage::Waiting { .. } => {
                if let State::Joining { ice_expires, .. } = self.state {
                    self.sit_down(Seat::InLine, ice_expires, unix_seconds, now);
                    self.tell(Event::Waiting);
                }
            }
            ServerMessage::Busy { .. } => self.end(Event::Busy),
            ServerMessage::Knock { peer } => self.tell(Event::Knock(peer)),
            ServerMessage::Locked { locked, .. } => self.tell(Event::Locked(locked.into())),
            ServerMessage::MuteRequest { from } => self.tell(Event::MuteRequest { from }),
            ServerMessage::PeerChanged { peer, .. } => self.tell(Event::PeerChanged(peer)),
            ServerMessage::Data { from, data } => self.tell(Event::Data { from, data }),
            ServerMessage::PeerJoined { peer, .. } => self.tell(Event::PeerJoined(peer)),
            ServerMessage::PeerLeft { peer, reason, .. } => self.tell(Event::PeerLeft { id: peer, reason }),
            ServerMessage::Signal { from, conn, kind, data } => {
                self.tell(Event::Signal { from, signal: Signal { conn, kind, data } });
            }
            ServerMessage::IceServers { ice_servers, ice_expires } => {
                if let State::Seated { renew_at, .. } = &mut self.state {
                    *renew_at = renewal(ice_expires, unix_seconds, now);
                }
                self.ice_servers.clone_from(&ice_servers);
                self.tell(Event::IceServers(ice_servers));
            }
            ServerMessage::Pong { ack, .. } => self.forget_through(ack),
            ServerMessage::Error(failure) => self.handle_failure(failure),
            ServerMessage::Left { reason: LeaveReason::Denied } => self.end(Event::Denied),
            ServerMessage::Draining { grace_ms } => tracing::info!(grace_ms, "signalling server shuts down"),
            // This client leaves for good, and asks for no list.
            ServerMessage::Left { .. } | ServerMessage::Rooms { .. } => {}
        }
    }

    fn handle_hello_ok(&mut self, hello: HelloOk, unix_seconds: u64, now: Instant) {
        let State::Greeting { since } = self.state else { return };
        self.limits.heartbeat_ms = hello.heartbeat_ms.max(1000);
        self.self_id = hello.peer_id;
        self.ice_servers = hello.ice_servers;
        if hello.resumed && self.seat != Seat::Nowhere {
            self.forget_through(hello.last_seq);
            self.sit_down(self.seat, hello.ice_expires, unix_seconds, now);
            self.tell(Event::Resumed);
            if self.seat == Seat::Inside {
                self.resend_after(hello.last_seq);
            }
            return;
        }
        self.resume = Some(Resume { session: hello.session, token: hello.resume_token, last_seq: 0 });
        self.pinged = (0, 0);
        // What was meant for the peers of a session that is gone would come from one they do not know.
        self.unacknowledged.clear();
        self.sent_seq = 0;
        self.seat = Seat::Nowhere;
        let join = match self.config.place.clone() {
            Place::Room { room, role, meta } => ClientMessage::Join { room, role, meta },
            Place::Pair { code } => ClientMessage::Pair { code, meta: Value::Null },
        };
        self.state = State::Joining { since, ice_expires: hello.ice_expires };
        self.sent_seq += 1;
        self.write(ClientFrame { id: Some(1), seq: Some(self.sent_seq), message: join });
    }

    /// In the room, or together with the other one of the pair.
    fn handle_inside(&mut self, event: Event, unix_seconds: u64, now: Instant) {
        let was = self.seat;
        match self.state {
            State::Joining { ice_expires, .. } => self.sit_down(Seat::Inside, ice_expires, unix_seconds, now),
            State::Seated { .. } => self.seat = Seat::Inside,
            State::Offline | State::Greeting { .. } => return,
        }
        self.tell(event);
        if was != Seat::Inside {
            // What was said before has not left yet.
            self.resend_after(0);
        }
    }

    fn sit_down(&mut self, seat: Seat, ice_expires: Option<u64>, unix_seconds: u64, now: Instant) {
        self.seat = seat;
        self.state = State::Seated {
            ping_at: now + Duration::from_millis(self.limits.heartbeat_ms),
            dead_at: now + Duration::from_millis(self.limits.dead_ms),
            renew_at: renewal(ice_expires, unix_seconds, now),
        };
    }

    fn handle_failure(&mut self, failure: Failure) {
        let Failure { code, message, retry_after_ms, fatal, .. } = failure;
        let joining = matches!(self.state, State::Greeting { .. } | State::Joining { .. });
        if !fatal && !joining {
            self.tell(Event::Refused(Refusal { code, message }));
        } else if code.is_worth_retrying() {
            self.reconnect(
                format!("{message} ({})", code.as_str()),
                Duration::from_millis(retry_after_ms.unwrap_or(0)),
            );
        } else {
            self.quit(Refusal { code, message });
        }
    }

    /// Pings where much was said or heard since the last ping: neither side has to keep it for longer.
    fn acknowledge(&mut self) {
        let heard = self.resume.as_ref().map_or(0, |resume| resume.last_seq);
        let (sent_before, heard_before) = self.pinged;
        let is_much = self.sent_seq.saturating_sub(sent_before) >= ACKNOWLEDGE_EVERY
            || heard.saturating_sub(heard_before) >= ACKNOWLEDGE_EVERY;
        if let (State::Seated { .. }, Seat::Inside) = (&self.state, self.seat)
            && is_much
        {
            self.ping();
        }
    }

    fn ping(&mut self) {
        let ack = self.resume.as_ref().map(|resume| resume.last_seq);
        self.pinged = (self.sent_seq, ack.unwrap_or(0));
        self.write(ClientFrame::new(ClientMessage::Ping { t: self.sent_seq, ack }));
    }

    fn tell(&mut self, event: Event) {
        self.steps.push_back(Step::Tell(event));
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
        self.end(Event::Fatal(refusal));
    }

    fn end(&mut self, event: Event) {
        self.state = State::Offline;
        self.tell(event);
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
