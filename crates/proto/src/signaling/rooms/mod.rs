//! The server's side of the protocol without sockets or clocks: connections, sessions and rooms.
//!
//! A *link* is one connection. A *session* outlives its link by the resume window; what is sent to it meanwhile is
//! kept. A session is in one room at a time, as one *peer*.
//!
//! | link / session | input | becomes |
//! |---|---|---|
//! | - | connected | greeting: `welcome` sent, `hello` due in 10 s |
//! | greeting | `hello` | attached: a session of its own, or the resumed one |
//! | greeting | anything else, or nothing | closed (`bad_message`, `hello_timeout`) |
//! | attached | silence of 40 s, link lost, link closed by an error | detached |
//! | attached | `hello` with `resume` on another link | attached there; old link closed (`session_replaced`) |
//! | detached | 30 s, or more messages than are kept | gone: the room sees `peer_left` (`lost`) |
//! | either | kicked | gone: the room sees `peer_left` (`kicked`) |

mod greet;
mod place;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::place::{Place, Room, RoomKey};
use self::session::{Carrier, Session};
use super::{
    Auth, ClientFrame, ClientMessage, ErrorCode, Failure, IceServer, LeaveReason, Limits, PROTOCOL, PeerId,
    Permission, RoomName, ServerFrame, ServerMessage, SessionId, Throttle,
};

#[cfg(test)]
mod tests;

/// Names one connection; the caller never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sends a text frame.
    Send {
        /// Where.
        link: LinkId,
        /// UTF-8.
        text: Bytes,
    },
    /// Closes a connection after what was sent before. The link is forgotten already.
    Close {
        /// Which.
        link: LinkId,
        /// Why; [`ErrorCode::close_code`] is `Some`.
        code: ErrorCode,
        /// For the close frame, at most 123 bytes.
        reason: String,
    },
}

/// What the rooms need from the server around them.
pub trait Host {
    /// 128 unpredictable bits.
    fn entropy(&mut self) -> u128;

    /// What the bearer of `auth` may do; `None` if it is not valid.
    fn authorise(&mut self, auth: &Auth) -> Option<Vec<Permission>>;

    /// STUN and TURN servers for a peer, and when their credentials end (Unix seconds).
    fn ice_servers(&mut self, peer: PeerId, link: LinkId) -> (Vec<IceServer>, Option<u64>);
}

/// Functions that a server may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Application data over the WebSocket.
    Data,
    /// Pairing by code.
    Pair,
    /// Lock, knock, admit, deny.
    Lobby,
    /// The list of rooms.
    List,
}

impl Feature {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Data, Self::Pair, Self::Lobby, Self::List];

    /// Its name in `welcome.features`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Pair => "pair",
            Self::Lobby => "lobby",
            Self::List => "list",
        }
    }
}

/// How the rooms behave.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is allowed.
    pub limits: Limits,
    /// What is offered.
    pub features: BTreeSet<Feature>,
    /// The rooms there are; `None`: any name makes a room.
    pub rooms: Option<BTreeSet<RoomName>>,
    /// WHEP address that viewers are sent to; `None`: topology `mesh`.
    pub sfu: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: Limits::default(), features: Feature::ALL.into(), rooms: None, sfu: None }
    }
}

/// Numbers for `/healthz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Open connections.
    pub links: usize,
    /// Sessions, detached ones included.
    pub sessions: usize,
    /// Rooms, pairs included.
    pub rooms: usize,
}

/// Every connection, session and room of one server.
pub struct Rooms<H> {
    config: Config,
    host: H,
    links: BTreeMap<LinkId, Link>,
    sessions: BTreeMap<PeerId, Session>,
    names: BTreeMap<SessionId, PeerId>,
    rooms: BTreeMap<RoomKey, Room>,
    addresses: BTreeMap<IpAddr, Address>,
    timers: BTreeSet<(Instant, Timer)>,
    commands: VecDeque<Command>,
}

struct Link {
    ip: IpAddr,
    state: LinkState,
}

enum LinkState {
    /// `hello` is due.
    Greeting { deadline: Instant, bucket: Throttle },
    /// Carries a session.
    Bound(PeerId),
}

/// What is counted for each address.
struct Address {
    sessions: usize,
    failed_logins: Throttle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A link's `hello` is overdue.
    Hello(LinkId),
    /// An attached session may be dead, a detached one over.
    Session(PeerId),
}

/// A refusal before it is written as an error message.
struct Refusal {
    code: ErrorCode,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl<H: Host> Rooms<H> {
    /// Makes a server without connections.
    pub fn new(config: Config, host: H) -> Self {
        Self {
            config,
            host,
            links: BTreeMap::new(),
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            rooms: BTreeMap::new(),
            addresses: BTreeMap::new(),
            timers: BTreeSet::new(),
            commands: VecDeque::new(),
        }
    }

    /// What the caller gave to [`Rooms::new`].
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    /// Counts what is there.
    pub fn census(&self) -> Census {
        Census { links: self.links.len(), sessions: self.sessions.len(), rooms: self.rooms.len() }
    }

    /// Takes a new connection from `ip` and welcomes it.
    pub fn handle_connected(&mut self, link: LinkId, ip: IpAddr, now: Instant) {
        let limits = &self.config.limits;
        let deadline = now + Duration::from_millis(limits.hello_ms);
        let bucket = message_bucket(limits, now);
        let welcome = ServerMessage::Welcome {
            protocols: vec![PROTOCOL.into()],
            features: self.config.features.iter().map(|f| f.as_str().into()).collect(),
            limits: limits.clone(),
        };
        self.links.insert(link, Link { ip: ip_key(ip), state: LinkState::Greeting { deadline, bucket } });
        self.timers.insert((deadline, Timer::Hello(link)));
        self.send_on(link, welcome);
    }

    /// Takes one text frame. Never panics, whatever it holds.
    pub fn handle_message(&mut self, link: LinkId, text: &[u8], now: Instant) {
        let Some(state) = self.links.get_mut(&link).map(|l| &mut l.state) else {
            return;
        };
        let (bucket, peer) = match state {
            LinkState::Greeting { bucket, .. } => (bucket, None),
            LinkState::Bound(peer) => {
                let session = self.sessions.get_mut(peer).expect("a bound link has a session");
                session.heard_at = now;
                (&mut session.bucket, Some(*peer))
            }
        };
        if let Err(wait) = bucket.take(now) {
            let per_second = self.config.limits.messages_per_second;
            let refusal =
                Refusal::new(ErrorCode::RateLimited, format!("more than {per_second} messages per second"));
            return self.close(link, None, refusal.after(wait), now);
        }
        let frame = match ClientFrame::parse(text, &self.config.limits) {
            Ok(frame) => frame,
            Err(error) => {
                let refusal = Refusal::new(error.code(), error.to_string());
                return match (error.code(), peer) {
                    (ErrorCode::UnknownType, None) => self.refuse_link(link, error.id(), refusal),
                    (ErrorCode::UnknownType | ErrorCode::BadMessage, Some(peer)) => {
                        self.refuse(peer, error.id(), refusal);
                    }
                    _ => self.close(link, error.id(), refusal, now),
                };
            }
        };
        match (peer, frame) {
            (None, ClientFrame { id, message: ClientMessage::Hello { protocol, auth, resume, .. }, .. }) => {
                if let Err(refusal) = self.greet(link, &protocol, &auth, resume, now) {
                    self.close(link, id, refusal, now);
                }
            }
            (None, ClientFrame { id, .. }) => {
                self.close(link, id, Refusal::new(ErrorCode::BadMessage, "the first message is hello"), now);
            }
            (Some(peer), ClientFrame { id, seq, message }) => {
                let session = self.sessions.get_mut(&peer).expect("a bound link has a session");
                if session.is_fresh(seq) {
                    self.handle_request(peer, link, id, message, now);
                }
            }
        }
    }

    /// Takes a frame that is not text.
    pub fn handle_binary(&mut self, link: LinkId, now: Instant) {
        if self.links.contains_key(&link) {
            self.close(link, None, Refusal::new(ErrorCode::BadJson, "a message is a text frame"), now);
        }
    }

    /// Takes the news that a message was too large to be read.
    pub fn handle_oversize(&mut self, link: LinkId, now: Instant) {
        if self.links.contains_key(&link) {
            let max = self.config.limits.message_bytes;
            let message = format!("message has more than {max} bytes");
            self.close(link, None, Refusal::new(ErrorCode::TooLarge, message), now);
        }
    }

    /// Takes a sign of life that is not a message, such as a WebSocket pong.
    pub fn handle_alive(&mut self, link: LinkId, now: Instant) {
        if let Some(Link { state: LinkState::Bound(peer), .. }) = self.links.get(&link) {
            self.sessions.get_mut(peer).expect("a bound link has a session").heard_at = now;
        }
    }

    /// Takes the end of a connection. Its session waits to be resumed.
    pub fn handle_disconnected(&mut self, link: LinkId, now: Instant) {
        let Some(gone) = self.links.remove(&link) else {
            return;
        };
        match gone.state {
            LinkState::Greeting { deadline, .. } => {
                self.timers.remove(&(deadline, Timer::Hello(link)));
            }
            LinkState::Bound(peer) => self.detach(peer, now),
        }
    }

    /// Tells every client that connections end after `grace`.
    pub fn handle_drain(&mut self, grace: Duration) {
        let grace_ms = grace.as_millis() as u64;
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.send_on(link, ServerMessage::Draining { grace_ms });
        }
    }

    /// Closes every connection.
    pub fn handle_shutdown(&mut self, now: Instant) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.close(link, None, Refusal::new(ErrorCode::Draining, "the server shuts down"), now);
        }
    }

    /// When [`Rooms::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Hello(link) => {
                    let seconds = self.config.limits.hello_ms / 1000;
                    let refusal =
                        Refusal::new(ErrorCode::HelloTimeout, format!("no hello within {seconds} s"));
                    self.close(link, None, refusal, now);
                }
                Timer::Session(peer) => self.check_session(peer, now),
            }
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn detach(&mut self, peer: PeerId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        session.carrier = Carrier::Detached;
        let end = now + Duration::from_millis(self.config.limits.resume_ms);
        let old = std::mem::replace(&mut session.check_at, end);
        self.timers.remove(&(old, Timer::Session(peer)));
        self.timers.insert((end, Timer::Session(peer)));
        self.announce_change(peer, now);
    }

    /// A session's timer: an attached one has been silent too long or not, a detached one is over.
    fn check_session(&mut self, peer: PeerId, now: Instant) {
        let dead_after = Duration::from_millis(self.config.limits.dead_ms);
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        match session.carrier {
            Carrier::Attached(_) if session.heard_at + dead_after > now => {
                session.check_at = session.heard_at + dead_after;
                self.timers.insert((session.check_at, Timer::Session(peer)));
            }
            Carrier::Attached(link) => {
                let message = format!("nothing heard for {} s", dead_after.as_secs());
                self.close(link, None, Refusal::new(ErrorCode::Dead, message), now);
            }
            Carrier::Detached => self.end_session(peer, LeaveReason::Lost, now),
        }
    }

    /// Removes a session and takes its peer out of its room.
    fn end_session(&mut self, peer: PeerId, reason: LeaveReason, now: Instant) {
        self.leave_place(peer, reason, now);
        let Some(session) = self.sessions.remove(&peer) else {
            return;
        };
        self.names.remove(&session.id);
        self.timers.remove(&(session.check_at, Timer::Session(peer)));
        if let Some(address) = self.addresses.get_mut(&session.ip) {
            address.sessions -= 1;
            if address.sessions == 0 && address.failed_logins.is_full(now) {
                self.addresses.remove(&session.ip);
            }
        }
    }

    /// Sends to a session, now or when it comes back.
    fn deliver(&mut self, peer: PeerId, message: ServerMessage, now: Instant) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        let (text, kept) = session.keep(message, &self.config.limits);
        match (session.carrier, kept) {
            (Carrier::Attached(link), _) => self.commands.push_back(Command::Send { link, text }),
            (Carrier::Detached, session::Kept::All) => {}
            // Full: it cannot be resumed without loss any more, so it ends with the next timeout.
            (Carrier::Detached, session::Kept::OldestLost) => {
                let old = std::mem::replace(&mut session.check_at, now);
                self.timers.remove(&(old, Timer::Session(peer)));
                self.timers.insert((now, Timer::Session(peer)));
            }
        }
    }

    /// Sends on a link outside of the numbering.
    fn send_on(&mut self, link: LinkId, message: ServerMessage) {
        let text = ServerFrame::new(message).to_json().into();
        self.commands.push_back(Command::Send { link, text });
    }

    /// Answers a request with an error that does not close.
    fn refuse(&mut self, peer: PeerId, id: Option<u64>, refusal: Refusal) {
        if let Some(Carrier::Attached(link)) = self.sessions.get(&peer).map(|s| s.carrier) {
            self.refuse_link(link, id, refusal);
        }
    }

    fn refuse_link(&mut self, link: LinkId, id: Option<u64>, refusal: Refusal) {
        self.send_on(link, ServerMessage::Error(failure(id, refusal, false)));
    }

    /// Answers with an error and closes.
    fn close(&mut self, link: LinkId, id: Option<u64>, refusal: Refusal, now: Instant) {
        let (code, reason) = (refusal.code, cut(&refusal.message, 123));
        self.send_on(link, ServerMessage::Error(failure(id, refusal, true)));
        self.commands.push_back(Command::Close { link, code, reason });
        self.handle_disconnected(link, now);
    }
}

fn failure(id: Option<u64>, refusal: Refusal, fatal: bool) -> Failure {
    let Refusal { code, message, retry_after } = refusal;
    // Rounded up: trying a fraction of a millisecond early would fail again.
    let retry_after_ms = retry_after.map(|wait| wait.as_micros().div_ceil(1000) as u64);
    Failure { id, code, message, retry_after_ms, fatal }
}

fn message_bucket(limits: &Limits, now: Instant) -> Throttle {
    let per = Duration::from_secs(1) / limits.messages_per_second.max(1);
    Throttle::new(limits.messages_burst.max(1), per, now)
}

/// At most `max` bytes of `text`, cut between characters.
fn cut(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    text[..end].into()
}

/// What counts as one address: IPv4 however written, and a /64 of IPv6 (what one customer gets).
fn ip_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}
