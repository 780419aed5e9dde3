use proptest::prelude::*;

use super::*;

fn peer(number: usize) -> PeerId {
    PeerId::new(number as u128 + 1)
}

/// Callers with links that deliver in order, can be cut, and lose what is on its way when they are.
struct World {
    chats: Vec<Chat>,
    up: BTreeMap<(usize, usize), bool>,
    on_way: BTreeMap<(usize, usize), VecDeque<Message>>,
    clock: u64,
}

impl World {
    fn new(count: usize) -> Self {
        let chats = (0..count).map(|n| Chat::new(Author(100 + n as u32), &format!("caller {n}"))).collect();
        Self { chats, up: BTreeMap::new(), on_way: BTreeMap::new(), clock: 0 }
    }

    fn link(&mut self, a: usize, b: usize) {
        if self.up.insert((a.min(b), a.max(b)), true) == Some(true) {
            return;
        }
        for (from, to) in [(a, b), (b, a)] {
            self.chats[from].handle_up(peer(to));
            self.collect(from);
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        self.up.insert((a.min(b), a.max(b)), false);
        self.on_way.remove(&(a, b));
        self.on_way.remove(&(b, a));
    }

    fn say(&mut self, who: usize, text: &str) {
        self.clock += 1;
        self.chats[who].say(text, self.clock).expect("short text");
        self.collect(who);
    }

    fn collect(&mut self, from: usize) {
        while let Some((to, message)) = self.chats[from].poll_message() {
            for other in 0..self.chats.len() {
                let is_meant = to == To::All || to == To::One(peer(other));
                if other != from
                    && is_meant
                    && self.up.get(&(from.min(other), from.max(other))) == Some(&true)
                {
                    self.on_way.entry((from, other)).or_default().push_back(message.clone());
                }
            }
        }
    }

    /// Delivers one message of the link with this number, if there is one.
    fn step(&mut self, choice: usize) -> bool {
        let busy: Vec<_> = self.on_way.iter().filter(|(_, q)| !q.is_empty()).map(|(link, _)| *link).collect();
        if busy.is_empty() {
            return false;
        }
        let link = busy[choice % busy.len()];
        let message = self.on_way.get_mut(&link).and_then(VecDeque::pop_front).expect("is busy");
        let bytes = serde_json::to_vec(&message).expect("plain");
        let message = serde_json::from_slice(&bytes).expect("own message");
        self.chats[link.1].handle_message(peer(link.0), message);
        self.collect(link.1);
        true
    }

    fn settle(&mut self) {
        while self.step(0) {}
    }

    fn texts(&self, who: usize) -> Vec<&str> {
        self.chats[who].lines().map(|entry| entry.line.text.as_str()).collect()
    }
}

fn have(author: u32) -> Message {
    Message::Have(Have { author: Author(author), have: Vec::new(), heard: Vec::new() })
}

fn line(author: u32, number: u32, turn: u32, text: &str) -> Line {
    Line { author: Author(author), number, turn, name: "X".into(), at_ms: 0, text: text.into() }
}

#[test]
fn a_late_joiner_gets_what_was_said_by_those_present_and_by_those_gone() {
    let mut world = World::new(4);
    world.link(0, 1);
    world.link(0, 2);
    world.link(1, 2);
    world.say(2, "from one who leaves");
    world.settle();
    world.say(0, "hello");
    world.settle();
    world.cut(0, 2);
    world.cut(1, 2);
    world.link(3, 0);
    world.link(3, 1);
    world.settle();
    assert_eq!(world.texts(3), ["from one who leaves", "hello"]);
    assert_eq!(world.chats[3].unread(), 0, "what was said before is not new");
    assert_eq!(world.chats[1].unread(), 2);
}

#[test]
fn what_was_said_during_a_cut_arrives_after_it() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.say(0, "one");
    world.settle();
    world.say(0, "on its way");
    world.cut(0, 1);
    world.say(0, "two");
    world.say(1, "three");
    world.link(0, 1);
    world.settle();
    assert_eq!(world.texts(0), world.texts(1));
    assert_eq!(world.texts(0).len(), 4);
}

#[test]
fn an_answer_stands_below_its_question_whatever_the_clocks_say() {
    let mut world = World::new(3);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        world.link(a, b);
    }
    world.settle();
    world.clock = 1_000_000;
    world.say(0, "question");
    world.settle();
    world.clock = 5;
    world.say(1, "answer");
    world.settle();
    assert_eq!(world.texts(2), ["question", "answer"]);
}

#[test]
fn nobody_speaks_for_another_who_is_there() {
    let mut chat = Chat::new(Author(1), "Ada");
    let (bob, eve) = (peer(7), peer(8));
    let old = peer(6);
    chat.handle_message(old, have(2));
    chat.handle_renamed(old, bob);
    for author in [1, 2, 3, 4] {
        chat.handle_message(eve, have(author));
    }
    assert_eq!(
        chat.authors,
        [(bob, Author(2)), (eve, Author(2))],
        "the first word counts, but for the own author"
    );
    for (author, number) in [(1, 1), (3, 1), (4, 1)] {
        let say = Message::Say(line(author, number, 1, "I, Ada, owe Eve"));
        assert_eq!(chat.handle_message(eve, say), 0);
    }
    assert_eq!(chat.lines().count(), 0);
    // Eve is quicker than Bob, but Bob's own word counts, and is news.
    chat.handle_message(eve, Message::Lines { lines: vec![line(2, 1, 1, "forged")] });
    assert_eq!(
        chat.lines().map(|entry| (entry.source, entry.by)).collect::<Vec<_>>(),
        [(Source::Hearsay, By::Name)]
    );
    assert_eq!(chat.handle_message(bob, Message::Say(line(2, 1, 1, "true"))), 1);
    assert_eq!(chat.unread(), 1);
    assert_eq!(chat.handle_message(eve, Message::Lines { lines: vec![line(2, 1, 1, "forged")] }), 0);
    assert_eq!(chat.handle_message(eve, Message::Say(line(2, 1, 1, "forged"))), 0);
    let seen: Vec<_> = chat.lines().map(|entry| (entry.line.text.as_str(), entry.by)).collect();
    assert_eq!(seen, [("true", By::Peer(bob))]);
}

#[test]
fn who_comes_back_over_another_connection_goes_on_as_the_same_author() {
    let mut chat = Chat::new(Author(1), "Ada");
    let (first, second) = (peer(7), peer(8));
    chat.handle_message(first, have(2));
    chat.handle_message(first, Message::Say(line(2, 1, 1, "a")));
    chat.handle_message(second, have(2));
    chat.handle_gone(first);
    let before = chat.version();
    assert_eq!(chat.handle_message(second, Message::Say(line(2, 2, 2, "b"))), 1);
    assert!(chat.version() > before);
    assert!(chat.lines().all(|entry| entry.by == By::Peer(second)));
}

#[test]
fn an_own_line_that_another_only_heard_of_is_sent_again_by_its_author() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.say(0, "mine");
    world.settle();
    world.link(1, 2);
    world.settle();
    assert_eq!(world.chats[2].lines.values().map(|h| h.source).collect::<Vec<_>>(), [Source::Hearsay]);
    world.link(0, 2);
    world.settle();
    assert_eq!(world.chats[2].lines.values().map(|h| h.source).collect::<Vec<_>>(), [Source::Author]);
    assert_eq!(world.texts(2), ["mine"]);
}

#[test]
fn the_history_is_bounded_and_the_newest_stay() {
    let mut chat = Chat::new(Author(1), "Ada");
    let bob = peer(7);
    chat.handle_message(bob, have(2));
    for number in 1..=LINES_MAX as u32 + 50 {
        chat.handle_message(bob, Message::Say(line(2, number, number, "x")));
    }
    assert_eq!(chat.lines().count(), LINES_MAX);
    assert_eq!(chat.lines().next().map(|entry| entry.line.number), Some(51));
    assert_eq!(
        chat.handle_message(bob, Message::Say(line(2, 1, 1, "old"))),
        0,
        "older than all there is room for"
    );
    let long = "é".repeat(TEXT_CHARS_MAX);
    for number in 2000..2400 {
        chat.handle_message(bob, Message::Say(line(2, number, number, &long)));
    }
    assert!(chat.lines().map(|entry| entry.line.bytes()).sum::<usize>() <= BYTES_MAX);
    assert_eq!(chat.places.len(), chat.lines.len());
}

#[test]
fn what_cannot_be_shown_is_not_taken() {
    let mut chat = Chat::new(Author(1), " A\nd\u{202e}a ");
    assert_eq!(chat.say(" \n ", 0), Err(Refused::Empty));
    assert_eq!(chat.say(&"x".repeat(TEXT_CHARS_MAX + 1), 0), Err(Refused::TooLong(4001)));
    let large = chat.say(&"\u{1f98a}".repeat(TEXT_CHARS_MAX), 0);
    assert!(matches!(large, Err(Refused::TooLarge(16_000..))), "{large:?}");
    assert_eq!(chat.say(&"x".repeat(TEXT_CHARS_MAX), 0), Ok(()));
    assert_eq!(chat.lines().next().map(|entry| entry.line.name.as_str()), Some("A da"));
    let bob = peer(7);
    chat.handle_message(bob, have(2));
    for bad in [
        line(2, 0, 1, "no number"),
        line(2, 1, 0, "no turn"),
        line(2, 1, 1, "\u{0}\u{202e}"),
        line(2, 1, u32::MAX, "far ahead"),
        line(2, 1, 1, &"\u{1f98a}".repeat(TEXT_CHARS_MAX)),
    ] {
        assert_eq!(chat.handle_message(bob, Message::Say(bad.clone())), 0, "{bad:?}");
    }
    assert_eq!(chat.handle_message(bob, Message::Say(line(2, 1, 10_001, "just near enough"))), 1);
}

#[test]
fn a_long_history_travels_in_messages_that_every_channel_carries() {
    let mut chat = Chat::new(Author(1), "Ada");
    for at in 0..150 {
        chat.say(&"\"".repeat(400), at).expect("short");
        chat.say("x", at).expect("short");
    }
    while chat.poll_message().is_some() {}
    chat.handle_up(peer(3));
    chat.poll_message();
    chat.handle_message(peer(3), have(2));
    let mut count = 0;
    while let Some((to, message)) = chat.poll_message() {
        assert_eq!(to, To::One(peer(3)));
        assert!(serde_json::to_vec(&message).expect("plain").len() < 16 * 1024 - 60);
        let Message::Lines { lines } = message else { panic!("{message:?}") };
        count += lines.len();
    }
    assert_eq!(count, 300);
    chat.handle_message(peer(3), have(2));
    assert_eq!(chat.poll_message(), None, "asked once, answered once");
}

#[test]
fn what_one_has_is_told_in_a_message_that_every_channel_carries_with_the_newest() {
    let mut chat = Chat::new(Author(1), "Ada");
    let lines = (1..=900).map(|turn| line(u32::MAX - turn % 3, u32::MAX - 2000 + 2 * turn, turn, "x"));
    chat.handle_message(peer(3), Message::Lines { lines: lines.collect() });
    chat.handle_up(peer(3));
    let Some((_, message)) = chat.poll_message() else { panic!("it tells") };
    assert!(serde_json::to_vec(&message).expect("plain").len() < 16 * 1024 - 60);
    let Message::Have(Have { have, heard, .. }) = message else { panic!("{message:?}") };
    assert_eq!((have.len(), heard.len()), (0, RUNS_MAX));
    let numbers: BTreeSet<u32> = heard.iter().map(|run| run.last).collect();
    assert_eq!(numbers.first(), Some(&(u32::MAX - 2000 + 2 * 701)));
}

#[derive(Clone, Debug)]
enum Act {
    Say(usize),
    Cut(usize, usize),
    Link(usize, usize),
    Steps(Vec<usize>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0usize..4).prop_map(Act::Say),
        1 => (0usize..4, 0usize..4).prop_map(|(a, b)| Act::Cut(a, b)),
        2 => (0usize..4, 0usize..4).prop_map(|(a, b)| Act::Link(a, b)),
        3 => prop::collection::vec(0usize..16, 0..6).prop_map(Act::Steps),
    ]
}

proptest! {
    #[test]
    fn all_have_the_same_lines_once_in_one_order_when_links_are_back(acts in prop::collection::vec(act(), 0..40)) {
        let mut world = World::new(4);
        let mut said = 0;
        for act in acts {
            match act {
                Act::Say(who) => { said += 1; world.say(who, &format!("line {said}")); }
                Act::Cut(a, b) if a != b => world.cut(a, b),
                Act::Link(a, b) if a != b => world.link(a, b),
                Act::Cut(..) | Act::Link(..) => {}
                Act::Steps(steps) => for step in steps { world.step(step); },
            }
        }
        for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            world.cut(a, b);
            world.link(a, b);
        }
        world.settle();
        prop_assert_eq!(world.texts(0).len(), said);
        for who in 1..4 {
            prop_assert_eq!(world.texts(who), world.texts(0));
        }
    }
}
