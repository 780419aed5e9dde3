//! Asking one server for its rooms over one connection, without a socket or a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_proto::signaling::{
    Auth, ClientFrame, ClientInfo, ClientMessage, ErrorCode, Failure, Limits, PROTOCOL, ParseError, RoomInfo,
    ServerFrame, ServerMessage,
};

use super::super::Refusal;
use super::{ANSWER_MAX, Config};

/// What the inquiry wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Write this text frame.
    Write(String),
    /// Tell the owner.
    Tell(Arc<[RoomInfo]>),
    /// Drop the connection and connect again.
    Reconnect {
        /// In words.
        reason: String,
        /// The server's own, if it gave one.
        code: Option<ErrorCode>,
        /// Not before this.
        not_before: Duration,
    },
    /// Close for good.
    Quit(Refusal),
}

/// The conversation over one connection.
///
/// | state | `hello_ok` | `rooms` | error | 5 s without an answer | 2 s later |
/// |---|---|---|---|---|---|
/// | `Greeting` | `Asking`, ask | - | over | over, connect again | - |
/// | `Asking` | - | `Resting`, tell | over | over, connect again | - |
/// | `Resting` | - | - | over | - | `Asking`, ask |
/// | `Over` | - | - | - | - | - |
#[derive(Debug)]
pub(super) struct Inquiry {
    state: State,
    // At most two steps follow from one input.
    steps: VecDeque<Step>,
    limits: Limits,
}

#[derive(Debug)]
enum State {
    Greeting { since: Instant },
    Asking { since: Instant },
    Resting { until: Instant },
    Over,
}

impl Inquiry {
    /// The WebSocket is open.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let hello = ClientMessage::Hello {
            protocol: PROTOCOL.to_owned(),
            client: ClientInfo { name: "farwheel".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            auth: Auth::new(config.token.clone(), Some(config.name.clone())),
            resume: None,
        };
        let steps = VecDeque::from([Step::Write(ClientFrame::new(hello).to_json())]);
        // Our own limits, not those of `welcome`: a list that a stranger sends is bounded by us.
        Self { state: State::Greeting { since: now }, steps, limits: Limits::default() }
    }

    /// A text frame arrived.
    pub(super) fn handle_text(&mut self, text: &[u8], now: Instant) {
        if let State::Over = self.state {
            return;
        }
        match ServerFrame::parse(text, &self.limits) {
            Ok(frame) => self.handle_message(frame.message, now),
            Err(ParseError::UnknownType { name, .. }) => {
                tracing::debug!(name, "message of a newer server ignored");
            }
            Err(error) => self.reconnect(format!("server sent what is no message: {error}"), None),
        }
    }

    /// The connection is gone, with a close code if the server gave one.
    pub(super) fn handle_closed(&mut self, code: Option<u16>, reason: String) {
        if let State::Over = self.state {
            return;
        }
        let reason = if reason.is_empty() { "server closed the connection".to_owned() } else { reason };
        match code.and_then(ErrorCode::from_close_code) {
            Some(code) if !code.is_worth_retrying() => self.quit(Refusal { code, message: reason }),
            code => self.reconnect(reason, code),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting { since } | State::Asking { since } => Some(since + ANSWER_MAX),
            State::Resting { until } => Some(until),
            State::Over => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Greeting { since } | State::Asking { since } => {
                if since + ANSWER_MAX <= now {
                    self.reconnect(format!("no answer within {} s", ANSWER_MAX.as_secs()), None);
                }
            }
            State::Resting { until } => {
                if until <= now {
                    self.ask(now);
                }
            }
            State::Over => {}
        }
    }

    pub(super) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn handle_message(&mut self, message: ServerMessage, now: Instant) {
        match (&self.state, message) {
            (State::Greeting { .. }, ServerMessage::HelloOk(_)) => self.ask(now),
            (State::Asking { .. }, ServerMessage::Rooms { mut rooms }) => {
                rooms.truncate(ROOMS_MAX);
                self.steps.push_back(Step::Tell(rooms.into()));
                self.state = State::Resting { until: now + EVERY };
            }
            (_, ServerMessage::Error(failure)) => self.handle_failure(failure),
            // A list that nobody asked for, and what concerns peers in rooms.
            _ => {}
        }
    }

    fn handle_failure(&mut self, failure: Failure) {
        let Failure { code, message, retry_after_ms, .. } = failure;
        if code.is_worth_retrying() {
            let not_before = Duration::from_millis(retry_after_ms.unwrap_or(0));
            self.state = State::Over;
            self.steps.push_back(Step::Reconnect { reason: message, code: Some(code), not_before });
        } else {
            self.quit(Refusal { code, message });
        }
    }

    fn ask(&mut self, now: Instant) {
        self.steps.push_back(Step::Write(ClientFrame::new(ClientMessage::ListRooms).to_json()));
        self.state = State::Asking { since: now };
    }

    fn reconnect(&mut self, reason: String, code: Option<ErrorCode>) {
        self.state = State::Over;
        self.steps.push_back(Step::Reconnect { reason, code, not_before: Duration::ZERO });
    }

    fn quit(&mut self, refusal: Refusal) {
        self.state = State::Over;
        self.steps.push_back(Step::Quit(refusal));
    }
}

/// Pause between an answer and the next question: somebody who waits for a robot does not notice it, and 50 messages
/// per second are allowed.
const EVERY: Duration = Duration::from_secs(2);
/// Rooms in a list, as docs/PROTOCOL.md has it.
const ROOMS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use farwheel_proto::signaling::{HelloOk, PeerId, ResumeToken, SessionId};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_says_hello_asks_and_asks_again_two_seconds_after_each_answer() {
        let (mut inquiry, start) = new();
        assert!(matches!(written(&mut inquiry), Some(ClientMessage::Hello { resume: None, .. })));
        receive(&mut inquiry, hello_ok(), start);
        assert_eq!(written(&mut inquiry), Some(ClientMessage::ListRooms));
        let later = start + 40 * MS;
        receive(&mut inquiry, rooms(2), later);
        let Some(Step::Tell(list)) = inquiry.poll_step() else { panic!("no list") };
        assert_eq!(list.len(), 2);
        assert_eq!(inquiry.poll_timeout(), Some(later + 2000 * MS));
        inquiry.handle_timeout(later + 1999 * MS);
        assert_eq!(inquiry.poll_step(), None);
        inquiry.handle_timeout(later + 2000 * MS);
        assert_eq!(written(&mut inquiry), Some(ClientMessage::ListRooms));
    }

    #[test]
    fn a_server_that_does_not_answer_is_left_after_five_seconds() {
        for greeted in [false, true] {
            let (mut inquiry, start) = new();
            if greeted {
                receive(&mut inquiry, hello_ok(), start);
            }
            while inquiry.poll_step().is_some() {}
            inquiry.handle_timeout(start + 4999 * MS);
            assert_eq!(inquiry.poll_step(), None);
            inquiry.handle_timeout(start + 5000 * MS);
            assert_eq!(reconnect(&mut inquiry), ("no answer within 5 s".to_owned(), None, Duration::ZERO));
            assert_eq!(inquiry.poll_timeout(), None);
        }
    }

    #[test]
    fn errors_end_the_look_or_not_as_their_code_says() {
        for code in ErrorCode::ALL {
            for fatal in [false, true] {
                let (mut inquiry, start) = asking();
                let failure =
                    Failure { id: None, code, message: "no".into(), retry_after_ms: Some(7000), fatal };
                receive(&mut inquiry, ServerMessage::Error(failure), start);
                if code.is_worth_retrying() {
                    assert_eq!(reconnect(&mut inquiry), ("no".to_owned(), Some(code), 7000 * MS));
                } else {
                    let refusal = Refusal { code, message: "no".into() };
                    assert_eq!(inquiry.poll_step(), Some(Step::Quit(refusal)));
                }
                // The close that follows says nothing new.
                inquiry.handle_closed(code.close_code(), "no".into());
                assert_eq!(inquiry.poll_step(), None);
            }
        }
    }

    #[test]
    fn a_close_code_counts_like_its_error() {
        for code in ErrorCode::ALL {
            let Some(close) = code.close_code() else { continue };
            let (mut inquiry, _) = asking();
            inquiry.handle_closed(Some(close), "bye".to_owned());
            let quits = matches!(inquiry.poll_step(), Some(Step::Quit(_)));
            assert_eq!(quits, !code.is_worth_retrying(), "{code:?}");
        }
        let (mut inquiry, _) = asking();
        inquiry.handle_closed(None, String::new());
        assert_eq!(reconnect(&mut inquiry).0, "server closed the connection");
    }

    #[test]
    fn what_is_no_message_ends_the_connection_and_an_unknown_one_does_not() {
        let (mut inquiry, start) = asking();
        inquiry.handle_text(br#"{"type":"from_the_future"}"#, start);
        assert_eq!(inquiry.poll_step(), None);
        for bad in [
            &b"[]"[..],
            b"\xff\xfe",
            b"",
            br#"{"type":"rooms","rooms":3}"#,
            br#"{"type":"rooms","rooms":[{"room":"no name!"}]}"#,
            br#"{"type":"rooms","rooms":[{"room":"car","robots":[],"peers":-1,"max":8,"locked":false}]}"#,
        ] {
            let (mut inquiry, start) = asking();
            inquiry.handle_text(bad, start);
            let (reason, ..) = reconnect(&mut inquiry);
            assert!(reason.starts_with("server sent what is no message"), "{reason}");
        }
    }

    #[test]
    fn a_list_is_taken_when_it_was_asked_for_and_cut_at_256() {
        let (mut inquiry, start) = new();
        inquiry.poll_step();
        receive(&mut inquiry, rooms(1), start);
        assert_eq!(inquiry.poll_step(), None);
        receive(&mut inquiry, hello_ok(), start);
        inquiry.poll_step();
        receive(&mut inquiry, rooms(300), start);
        let Some(Step::Tell(list)) = inquiry.poll_step() else { panic!("no list") };
        assert_eq!(list.len(), 256);
        receive(&mut inquiry, rooms(1), start);
        assert_eq!(inquiry.poll_step(), None);
    }

    #[test]
    fn limits_that_a_server_announces_do_not_change_ours() {
        let (mut inquiry, start) = new();
        inquiry.poll_step();
        let limits = Limits { queue_bytes: usize::MAX, json_depth: usize::MAX, ..Limits::default() };
        let (protocols, features) = (Vec::new(), Vec::new());
        receive(&mut inquiry, ServerMessage::Welcome { protocols, features, limits }, start);
        inquiry.handle_text("[".repeat(21).as_bytes(), start);
        let (reason, ..) = reconnect(&mut inquiry);
        assert!(reason.contains("nested deeper than 20"), "{reason}");
    }

    fn new() -> (Inquiry, Instant) {
        let now = Instant::now();
        let config = Config { server: "ws://h".into(), name: "Ada".into(), token: None, ca: None };
        (Inquiry::new(&config, now), now)
    }

    fn asking() -> (Inquiry, Instant) {
        let (mut inquiry, now) = new();
        receive(&mut inquiry, hello_ok(), now);
        while inquiry.poll_step().is_some() {}
        (inquiry, now)
    }

    fn receive(inquiry: &mut Inquiry, message: ServerMessage, now: Instant) {
        inquiry.handle_text(ServerFrame::new(message).to_json().as_bytes(), now);
    }

    fn written(inquiry: &mut Inquiry) -> Option<ClientMessage> {
        let Some(Step::Write(text)) = inquiry.poll_step() else { return None };
        let frame = ClientFrame::parse(text.as_bytes(), &Limits::default()).expect("it is ours");
        Some(frame.message)
    }

    fn reconnect(inquiry: &mut Inquiry) -> (String, Option<ErrorCode>, Duration) {
        match inquiry.poll_step() {
            Some(Step::Reconnect { reason, code, not_before }) => (reason, code, not_before),
            other => panic!("{other:?}"),
        }
    }

    fn hello_ok() -> ServerMessage {
        ServerMessage::HelloOk(HelloOk {
            session: SessionId::new(1),
            resume_token: ResumeToken::new(1),
            peer_id: PeerId::new(1),
            resumed: false,
            last_seq: 0,
            heartbeat_ms: 15_000,
            ice_servers: Vec::new(),
            ice_expires: None,
        })
    }

    fn rooms(count: usize) -> ServerMessage {
        let room = |n: usize| RoomInfo {
            room: format!("room{n}").parse().expect("a name"),
            robots: Vec::new(),
            peers: 1,
            drivers: None,
            viewers: None,
            max: 8,
            locked: false,
        };
        ServerMessage::Rooms { rooms: (0..count).map(room).collect() }
    }
}
