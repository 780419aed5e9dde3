//! Both sides of a ring against each other, and one side against who does not keep to the order.

use std::time::{Duration, Instant};

use super::*;
use crate::call::test::start;
use crate::signaling::PeerId;

const ADA: PeerId = PeerId::new(1);
const BOB: PeerId = PeerId::new(2);
const CYD: PeerId = PeerId::new(3);

fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

fn room() -> RoomName {
    "quiet-otter-7kq2m".parse().expect("a name")
}

/// Bob's line with somebody who dials it.
struct World {
    now: Instant,
    line: Line,
    dial: Dial,
    done: Vec<Command>,
}

impl World {
    fn new() -> Self {
        let line = Line::new(identity(2));
        let dial = Dial::new(line.address(), identity(1), "Ada", [1; 32]);
        Self { now: start(), line, dial, done: Vec::new() }
    }

    fn meet(&mut self) {
        self.line.handle_joined(std::iter::empty(), || [9; 32]);
        self.dial.handle_joined(self.now);
        self.line.handle_peer_joined(ADA, [7; 32]);
        self.carry();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.line.handle_timeout(self.now);
        self.dial.handle_timeout(self.now);
        self.carry();
    }

    /// Carries messages between the two until none is left.
    fn carry(&mut self) {
        loop {
            if let Some(command) = self.line.poll_command() {
                match command {
                    Command::Send { to: ADA, message } => {
                        self.dial.handle_message(BOB, &wire(&message), self.now)
                    }
                    command => self.done.push(command),
                }
            } else if let Some((to, message)) = self.dial.poll_message() {
                assert_eq!(to, BOB);
                self.line.handle_message(ADA, wire(&message), self.now);
            } else {
                return;
            }
        }
    }

    fn done(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.done)
    }
}

fn wire(message: &Message) -> Message {
    serde_json::from_value(serde_json::to_value(message).expect("string keys")).expect("own message")
}

fn ada() -> Ring {
    Ring { peer: ADA, name: "Ada".into(), key: identity(1).key() }
}

#[test]
fn a_ring_is_accepted_declined_or_left_alone_and_both_sides_know() {
    type Act = fn(&mut World);
    let table: [(&str, Act, How, Outcome); 5] = [
        ("accepted", |w| w.line.accept(room()), How::Accepted(room()), Outcome::Accepted(room())),
        ("declined", |w| w.line.decline(), How::Declined, Outcome::Declined),
        ("neither", |w| w.wait(RINGS), How::Missed, Outcome::Unanswered),
        (
            "the line gives up first",
            |w| {
                w.now += RINGS;
                w.line.handle_timeout(w.now);
            },
            How::Missed,
            Outcome::Unanswered,
        ),
        (
            "a moment before the end",
            |w| {
                w.wait(RINGS - Duration::from_millis(1));
                assert_eq!(w.dial.progress(), Progress::Ringing);
                w.line.accept(room());
            },
            How::Accepted(room()),
            Outcome::Accepted(room()),
        ),
    ];
    for (name, act, how, outcome) in table {
        let mut world = World::new();
        assert_eq!(world.dial.progress(), Progress::Reaching, "{name}");
        world.meet();
        assert_eq!(world.dial.progress(), Progress::Ringing, "{name}");
        assert_eq!(world.done(), [Command::Rings(ada())], "{name}");
        assert_eq!(world.line.rings(), Some(&ada()), "{name}");
        act(&mut world);
        world.carry();
        assert_eq!(world.dial.progress(), Progress::Over(outcome), "{name}");
        assert_eq!(world.done(), [Command::Over(ada(), how)], "{name}");
        assert_eq!(
            (world.line.rings(), world.line.poll_timeout(), world.dial.poll_timeout()),
            (None, None, None)
        );
        world.line.accept(room());
        world.carry();
        assert_eq!(world.done(), [], "{name}: nobody rings any more");
    }
}

#[test]
fn who_is_in_a_call_or_is_rung_already_is_busy() {
    let mut world = World::new();
    world.line.set_attention(Attention::Occupied);
    world.meet();
    assert_eq!(world.dial.progress(), Progress::Over(Outcome::Busy));
    assert_eq!(world.done(), [Command::Over(ada(), How::Busy)]);
    let mut world = World::new();
    world.meet();
    let mut second = Dial::new(world.line.address(), identity(3), "Cyd", [3; 32]);
    second.handle_joined(world.now);
    world.line.handle_peer_joined(CYD, [8; 32]);
    while let Some(command) = world.line.poll_command() {
        if let Command::Send { to: CYD, message } = command {
            second.handle_message(BOB, &message, world.now);
        }
        while let Some((_, message)) = second.poll_message() {
            world.line.handle_message(CYD, message, world.now);
        }
    }
    assert_eq!(second.progress(), Progress::Over(Outcome::Busy));
    assert_eq!(world.dial.progress(), Progress::Ringing, "the first one goes on");
}

#[test]
fn who_hangs_up_is_missed_and_a_line_that_comes_back_rings_again() {
    let mut world = World::new();
    world.meet();
    world.done();
    world.line.handle_peer_left(ADA);
    world.carry();
    assert_eq!(world.done(), [Command::Over(ada(), How::Missed)]);
    let mut world = World::new();
    world.meet();
    world.wait(Duration::from_secs(40));
    world.dial.handle_peer_left(BOB, world.now);
    assert_eq!(world.dial.progress(), Progress::Seeking);
    world.line.handle_joined([ADA].into_iter(), || [5; 32]);
    world.carry();
    assert_eq!(world.dial.progress(), Progress::Ringing);
    world.wait(Duration::from_secs(5));
    assert_eq!(world.dial.progress(), Progress::Over(Outcome::Unanswered), "45 s in all");
}

#[test]
fn nobody_there_is_told_after_ten_seconds_and_an_unreached_server_ends_nothing() {
    let mut world = World::new();
    world.wait(Duration::from_secs(100));
    assert_eq!((world.dial.progress(), world.dial.poll_timeout()), (Progress::Reaching, None));
    world.dial.handle_joined(world.now);
    assert_eq!(world.dial.poll_timeout(), Some(world.now + Duration::from_secs(10)));
    world.wait(Duration::from_millis(9999));
    assert_eq!(world.dial.progress(), Progress::Seeking);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.dial.progress(), Progress::Over(Outcome::Absent));
}

#[test]
fn nobody_else_can_stand_in_for_the_line_or_for_a_caller() {
    let now = start();
    let mut dial = Dial::new(Address::of(&identity(2).key()), identity(1), "Ada", [1; 32]);
    dial.handle_joined(now);
    dial.handle_message(CYD, &Message::Line { key: identity(3).key(), nonce: Bytes32([9; 32]) }, now);
    assert_eq!((dial.progress(), dial.poll_message()), (Progress::Seeking, None), "another one's key");
    dial.handle_message(CYD, &Message::Line { key: identity(2).key(), nonce: Bytes32([9; 32]) }, now);
    let (_, call) = dial.poll_message().expect("it cannot know yet that this is a copy");
    let nonces = Nonces { line: Bytes32([9; 32]), caller: Bytes32([1; 32]) };
    dial.handle_message(CYD, &nonces.sign(&identity(3), Answer::Accepted { room: room() }), now);
    assert_eq!(dial.progress(), Progress::Calling, "not signed by the line");
    let other = Nonces { line: Bytes32([8; 32]), ..nonces };
    dial.handle_message(CYD, &other.sign(&identity(2), Answer::Declined), now);
    assert_eq!(dial.progress(), Progress::Calling, "an answer to another call");
    dial.handle_message(BOB, &nonces.sign(&identity(2), Answer::Declined), now);
    assert_eq!(dial.progress(), Progress::Calling, "not from where the call went");
    dial.handle_message(CYD, &nonces.sign(&identity(2), Answer::Declined), now);
    assert_eq!(dial.progress(), Progress::Over(Outcome::Declined));

    let mut line = Line::new(identity(2));
    line.handle_peer_joined(CYD, [4; 32]);
    while line.poll_command().is_some() {}
    line.handle_message(CYD, call.clone(), now);
    assert_eq!(line.rings(), None, "signed for another nonce");
    let Message::Call { key, nonce, .. } = call else { panic!("a call") };
    let nonces = Nonces { line: Bytes32([4; 32]), caller: nonce };
    let signature = identity(3).sign(&nonces.call(&line.address(), "Ada"));
    line.handle_message(CYD, Message::Call { name: "Ada".into(), key, nonce, signature }, now);
    assert_eq!(line.rings(), None, "signed by another one");
    let key = identity(3).key();
    line.handle_message(ADA, Message::Call { name: "Ada".into(), key, nonce, signature }, now);
    assert_eq!(line.rings(), None, "never came in");
    line.handle_message(CYD, Message::Call { name: "Ada\u{202e}\n".into(), key, nonce, signature }, now);
    assert_eq!(line.rings(), None, "the name is signed too");
    line.handle_message(CYD, Message::Call { name: "Ada".into(), key, nonce, signature }, now);
    assert_eq!(line.rings().map(|ring| ring.key), Some(key));
}

#[test]
fn a_line_has_room_for_so_many_and_each_is_greeted_once() {
    let mut line = Line::new(identity(2));
    for number in (0..40).chain(0..40) {
        line.handle_peer_joined(PeerId::new(number), [4; 32]);
    }
    assert_eq!(std::iter::from_fn(|| line.poll_command()).count(), 16);
}

#[test]
fn an_address_is_a_room_and_nothing_else_is_an_address() {
    let address = Address::of(&identity(2).key());
    assert_eq!(address.to_string().parse(), Ok(address));
    assert_eq!(address.room().as_str(), address.to_string());
    let text = address.to_string();
    for wrong in ["", "line-", "quiet-otter-7kq2m", &text[1..], &format!("{text}0"), &text.to_uppercase()] {
        assert!(wrong.parse::<Address>().is_err(), "{wrong}");
    }
    assert!(format!("line-{}", text[5..].to_uppercase()).parse::<Address>().is_err(), "another room");
}

#[test]
fn what_is_said_reads_as_the_protocol_has_it() {
    let nonces = Nonces { line: Bytes32([4; 32]), caller: Bytes32([5; 32]) };
    let message = nonces.sign(&identity(2), Answer::Accepted { room: room() });
    let json = serde_json::to_value(&message).expect("string keys");
    assert_eq!(
        (&json["ring"], &json["answer"], &json["room"]),
        (&"answer".into(), &"accepted".into(), &"quiet-otter-7kq2m".into())
    );
    assert_eq!(wire(&message), message);
    for bad in
        ["{}", "[]", "{\"ring\":\"answer\"}", "{\"ring\":\"dance\"}", "{\"ring\":\"line\",\"key\":\"\"}"]
    {
        assert!(serde_json::from_str::<Message>(bad).is_err(), "{bad}");
    }
}
