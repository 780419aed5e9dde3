//! The rooms through their public verbs, in virtual time.

mod errors;
mod properties;
mod table;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::signaling::{ConnId, HelloOk, Joined, Peer, ResumeToken, Role, SignalKind};

/// A server whose clock is a number.
struct World {
    rooms: Rooms<TestHost>,
    now: Instant,
    inboxes: BTreeMap<LinkId, Vec<ServerFrame>>,
    closed: BTreeMap<LinkId, ErrorCode>,
    next_link: u64,
}

struct TestHost {
    counter: u128,
    strangers: Strangers,
}

/// What becomes of clients without a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strangers {
    Welcome,
    Refused,
}

impl Host for TestHost {
    fn entropy(&mut self) -> u128 {
        // An odd multiplier spreads the numbers, so that ids do not sort by age.
        self.counter += 1;
        self.counter.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }

    fn authorise(&mut self, auth: &Auth) -> Option<Vec<Permission>> {
        match auth {
            Auth::Token { token, .. } => match token.as_str() {
                "all" => Some(Permission::ALL.to_vec()),
                "viewer" => Some(vec![Permission::View]),
                _ => None,
            },
            Auth::Anonymous { .. } => {
                (self.strangers == Strangers::Welcome).then(|| Permission::ALL.to_vec())
            }
        }
    }

    fn ice_servers(&mut self, peer: PeerId, _: LinkId) -> (Vec<IceServer>, Option<u64>) {
        let username = Some(format!("1000:{peer}"));
        (vec![IceServer { urls: vec!["turn:192.0.2.1:3478".into()], username, credential: None }], Some(1000))
    }
}

/// What a client knows of itself.
#[derive(Clone, Copy, Debug)]
struct Client {
    link: LinkId,
    peer: PeerId,
    session: SessionId,
    token: ResumeToken,
}

fn world() -> World {
    world_with(Config::default())
}

#[allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn world_with(config: Config) -> World {
    World {
        rooms: Rooms::new(config, TestHost { counter: 0, strangers: Strangers::Welcome }),
        now: Instant::now(),
        inboxes: BTreeMap::new(),
        closed: BTreeMap::new(),
        next_link: 0,
    }
}

impl World {
    fn connect(&mut self) -> LinkId {
        self.connect_from([192, 0, 2, 1])
    }

    fn connect_from(&mut self, ip: [u8; 4]) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.rooms.handle_connected(link, ip.into(), self.now);
        self.collect();
        link
    }

    fn text(&mut self, link: LinkId, text: &str) {
        self.rooms.handle_message(link, text.as_bytes(), self.now);
        self.collect();
    }

    fn say(&mut self, link: LinkId, value: Value) {
        self.text(link, &value.to_string());
    }

    fn cut(&mut self, client: Client) {
        self.rooms.handle_disconnected(client.link, self.now);
        self.collect();
    }

    /// Lets time pass, stopping at every timeout.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.rooms.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.rooms.handle_timeout(self.now);
        }
        self.now = end;
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(command) = self.rooms.poll_command() {
            match command {
                Command::Send { link, text } => {
                    assert!(!self.closed.contains_key(&link), "nothing is sent after a close");
                    let frame = ServerFrame::parse(&text, &Limits::default()).expect("a client can read it");
                    self.inboxes.entry(link).or_default().push(frame);
                }
                Command::Close { link, code, reason } => {
                    assert!(code.close_code().is_some() && reason.len() <= 123);
                    self.closed.insert(link, code);
                }
            }
        }
    }

    /// What came since the last call.
    fn frames(&mut self, link: LinkId) -> Vec<ServerFrame> {
        self.inboxes.remove(&link).unwrap_or_default()
    }

    fn messages(&mut self, link: LinkId) -> Vec<ServerMessage> {
        self.frames(link).into_iter().map(|frame| frame.message).collect()
    }

    /// The only message since the last call.
    fn one(&mut self, link: LinkId) -> ServerMessage {
        let mut messages = self.messages(link);
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    fn hello(&mut self, hello: Value) -> (LinkId, ServerMessage) {
        let link = self.connect();
        self.say(link, hello);
        let last = self.messages(link).pop().expect("an answer");
        (link, last)
    }

    fn client(&mut self, name: &str) -> Client {
        self.client_with(json!({"token": "all", "name": name}))
    }

    fn client_with(&mut self, auth: Value) -> Client {
        let (link, answer) = self.hello(hello(auth));
        let ServerMessage::HelloOk(ok) = answer else { panic!("{answer:?}") };
        assert!(!ok.resumed);
        Client { link, peer: ok.peer_id, session: ok.session, token: ok.resume_token }
    }

    fn join(&mut self, client: Client, room: &str, role: &str) -> Joined {
        self.say(client.link, json!({"type": "join", "room": room, "role": role}));
        match self.messages(client.link).pop() {
            Some(ServerMessage::Joined(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    /// A robot and a driver in room `car`, inboxes empty.
    fn two(&mut self) -> (Client, Client) {
        let (robot, driver) = (self.client("car"), self.client("me"));
        self.join(robot, "car", "robot");
        self.join(driver, "car", "driver");
        self.messages(robot.link);
        (robot, driver)
    }

    /// Continues a session on a new link and returns the answer and what follows it.
    fn resume(&mut self, client: Client, last_seq: u64) -> (Client, HelloOk, Vec<ServerFrame>) {
        let link = self.connect();
        let mut hello = hello(json!({"token": "all", "name": "again"}));
        hello["resume"] = json!({"session": client.session, "token": client.token, "last_seq": last_seq});
        self.say(link, hello);
        let mut frames = self.frames(link).into_iter().skip(1);
        match frames.next().map(|frame| frame.message) {
            Some(ServerMessage::HelloOk(ok)) => (Client { link, ..client }, ok, frames.collect()),
            other => panic!("{other:?}"),
        }
    }
}

fn hello(auth: Value) -> Value {
    json!({"type": "hello", "protocol": PROTOCOL, "client": {"name": "test", "version": "1"}, "auth": auth})
}

fn candidate(to: PeerId, data: Value) -> Value {
    json!({"type": "signal", "to": to, "conn": ConnId::new(5), "kind": "candidate", "data": data})
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
