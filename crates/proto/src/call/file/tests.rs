use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::wire::End;
use super::*;
use crate::call::test::start;
use crate::call::verify::Bytes32;
use crate::signaling::PeerId;

const SENDER: PeerId = PeerId::new(99);

fn peer(number: usize) -> PeerId {
    PeerId::new(number as u128)
}

fn hash(data: &[u8]) -> Bytes32 {
    Bytes32(Sha256::digest(data).into())
}

/// One sender and receivers, whose links deliver in order, can be cut, and lose what is on its way when they are.
struct World {
    now: Instant,
    out: Outbox,
    contents: BTreeMap<u64, Vec<u8>>,
    receivers: Vec<Receiver>,
}

struct Receiver {
    inbox: Inbox,
    is_up: bool,
    to_receiver: VecDeque<Item>,
    to_sender: VecDeque<Message>,
    disk: BTreeMap<u64, (String, Vec<u8>)>,
    kept: BTreeMap<u64, Vec<u8>>,
    /// Writes that the disk has not done yet.
    waiting: VecDeque<Action>,
    most_unwritten: u64,
}

enum Item {
    Message(Message),
    Chunk(Bytes),
}

impl World {
    fn new(receivers: usize) -> Self {
        let receivers = (0..receivers)
            .map(|_| Receiver {
                inbox: Inbox::new(1 << 30),
                is_up: true,
                to_receiver: VecDeque::new(),
                to_sender: VecDeque::new(),
                disk: BTreeMap::new(),
                kept: BTreeMap::new(),
                waiting: VecDeque::new(),
                most_unwritten: 0,
            })
            .collect();
        Self { now: start(), out: Outbox::default(), contents: BTreeMap::new(), receivers }
    }

    fn offer(&mut self, id: u32, name: &str, content: Vec<u8>) -> u64 {
        let to: Vec<_> = (0..self.receivers.len()).map(peer).collect();
        let key = self.out.offer(FileId(id), name, content.len() as u64, &to).expect("room");
        self.out.handle_hash(key, hash(&content));
        self.contents.insert(key, content);
        self.collect();
        key
    }

    fn set_link(&mut self, number: usize, up: bool) {
        let receiver = &mut self.receivers[number];
        if receiver.is_up == up {
            return;
        }
        receiver.is_up = up;
        if up {
            self.out.handle_up(peer(number));
        } else {
            receiver.to_receiver.clear();
            receiver.to_sender.clear();
            receiver.inbox.handle_down(SENDER);
            self.out.handle_down(peer(number));
        }
        self.collect();
    }

    fn collect(&mut self) {
        while let Some((to, message)) = self.out.poll_message() {
            let receiver = self.receivers.iter_mut().enumerate().find(|(number, _)| peer(*number) == to);
            let (_, receiver) = receiver.expect("known");
            if receiver.is_up {
                let bytes = serde_json::to_vec(&message).expect("plain");
                let message = serde_json::from_slice(&bytes).expect("own message");
                receiver.to_receiver.push_back(Item::Message(message));
            }
        }
        for receiver in &mut self.receivers {
            while let Some((to, message)) = receiver.inbox.poll_message() {
                assert_eq!(to, SENDER);
                if receiver.is_up {
                    receiver.to_sender.push_back(message);
                }
            }
            while let Some(action) = receiver.inbox.poll_action() {
                receiver.waiting.push_back(action);
            }
        }
    }

    /// One thing happens to one receiver; false if nothing was to be done.
    fn step(&mut self, number: usize, what: usize) -> bool {
        self.now += Duration::from_millis(3);
        let now = self.now;
        let receiver = &mut self.receivers[number];
        let did = match what % 4 {
            0 => {
                receiver.is_up && {
                    match self.out.poll_read(peer(number), 64 * 1024) {
                        Some(read) => {
                            let from = read.offset as usize;
                            let bytes = &self.contents[&read.key][from..from + read.length];
                            for (index, data) in bytes.chunks(CHUNK_DATA_BYTES).enumerate() {
                                let offset = read.offset + (index * CHUNK_DATA_BYTES) as u64;
                                let chunk =
                                    Chunk { file: read.file, offset, data: Bytes::copy_from_slice(data) };
                                let encoded = chunk.encode();
                                assert!(encoded.len() <= CHUNK_BYTES);
                                receiver.to_receiver.push_back(Item::Chunk(encoded));
                            }
                            true
                        }
                        None => false,
                    }
                }
            }
            1 => match receiver.to_receiver.pop_front() {
                Some(Item::Message(message)) => {
                    if let Some(key) = receiver.inbox.handle_message(SENDER, &message, now) {
                        receiver.inbox.take(key, now);
                    }
                    true
                }
                Some(Item::Chunk(bytes)) => {
                    receiver.inbox.handle_chunk(SENDER, Chunk::decode(bytes).expect("own chunk"));
                    true
                }
                None => false,
            },
            2 => match receiver.to_sender.pop_front() {
                Some(message) => {
                    self.out.handle_message(peer(number), &message, now);
                    true
                }
                None => false,
            },
            _ => receiver.work(now),
        };
        self.collect();
        did
    }

    fn settle(&mut self) {
        while (0..self.receivers.len()).any(|number| (0..4).any(|what| self.step(number, what))) {}
    }

    fn progress(&self) -> Vec<Progress> {
        self.out.files(self.now).map(|file| file.progress).collect()
    }
}

impl Receiver {
    fn work(&mut self, now: Instant) -> bool {
        let unwritten = |a: &Action| if let Action::Write { data, .. } = a { data.len() as u64 } else { 0 };
        self.most_unwritten = self.most_unwritten.max(self.waiting.iter().map(unwritten).sum());
        let Some(action) = self.waiting.pop_front() else { return false };
        match action {
            Action::Open { key, name } => drop(self.disk.insert(key, (name, Vec::new()))),
            Action::Write { key, data } => {
                // A file that was removed meanwhile is not written to.
                if let Some((_, content)) = self.disk.get_mut(&key) {
                    content.extend_from_slice(&data);
                    self.inbox.handle_written(key, data.len() as u64, now);
                }
            }
            Action::Check { key, sha256 } => {
                let (_, content) = &self.disk[&key];
                let is_right = hash(content) == sha256;
                if is_right {
                    self.kept.insert(key, content.clone());
                }
                self.inbox.handle_checked(key, if is_right { Ok(()) } else { Err(Reason::Damaged) });
            }
            Action::Remove { key } => drop(self.disk.remove(&key)),
        }
        true
    }
}

fn content(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(31) + seed + at / 251) as u8).collect()
}

#[test]
fn files_of_every_size_arrive_at_every_receiver() {
    let mut world = World::new(3);
    let sizes = [0, 1, CHUNK_DATA_BYTES, CHUNK_DATA_BYTES + 1, WINDOW as usize, WINDOW as usize * 2 + 12_345];
    for (index, size) in sizes.into_iter().enumerate() {
        world.offer(index as u32, "../a.bin", content(size, index));
    }
    world.settle();
    for receiver in &world.receivers {
        for (index, size) in sizes.into_iter().enumerate() {
            assert_eq!(receiver.kept.get(&(index as u64)), Some(&content(size, index)), "{size}");
            assert_eq!(receiver.disk[&(index as u64)].0, "a.bin");
        }
    }
    assert!(world.progress().iter().all(|progress| *progress == Progress::Done), "{:?}", world.progress());
    assert_eq!(world.out.files(world.now).last().map(|file| file.done), Some((3, 3)));
}

#[test]
fn a_slow_disk_holds_back_the_sender() {
    let mut world = World::new(1);
    world.offer(1, "a", content(WINDOW as usize * 3, 1));
    // Everything but the disk is quick.
    while (0..3).any(|what| world.step(0, what)) {}
    while world.receivers[0].kept.is_empty() {
        world.step(0, 3);
        while (0..3).any(|what| world.step(0, what)) {}
    }
    let most = world.receivers[0].most_unwritten;
    assert!((WINDOW / 2..=WINDOW).contains(&most), "{most}");
}

#[test]
fn a_cut_costs_nothing_but_time() {
    let mut world = World::new(2);
    let whole = content(WINDOW as usize * 2, 5);
    world.offer(1, "a", whole.clone());
    while world.receivers[0].disk.get(&0).is_none_or(|(_, content)| content.len() < 500_000) {
        for what in 0..4 {
            world.step(0, what);
        }
    }
    world.set_link(0, false);
    while world.step(0, 3) {}
    let there = world.receivers[0].disk[&0].1.len();
    assert_eq!(
        world.receivers[0].inbox.files(world.now).next().map(|f| f.progress),
        Some(Progress::Paused { bytes: there as u64 })
    );
    world.set_link(0, true);
    let offer = world.receivers[0].to_receiver.pop_front();
    assert!(matches!(&offer, Some(Item::Message(Message::Offer { .. }))));
    world.receivers[0].to_receiver.extend(offer);
    world.step(0, 1);
    assert_eq!(
        world.receivers[0].to_sender.back(),
        Some(&Message::Take { file: FileId(1), offset: there as u64 }),
        "what is there is not sent again"
    );
    world.settle();
    for receiver in &world.receivers {
        assert_eq!(receiver.kept[&0], whole);
    }
    assert_eq!(world.progress(), [Progress::Done]);
}

#[test]
fn offers_repeated_between_pieces_do_not_outrun_the_disk() {
    let (mut inbox, now) = (Inbox::new(1 << 40), start());
    let offer = Message::Offer { file: FileId(1), name: "a".into(), size: 1 << 40 };
    let key = inbox.handle_message(SENDER, &offer, now).expect("new");
    inbox.take(key, now);
    let mut sent = 0;
    for _ in 0..10 {
        for _ in 0..WINDOW / 8192 {
            let chunk = Chunk { file: FileId(1), offset: sent, data: vec![0; 8192].into() };
            inbox.handle_chunk(SENDER, chunk);
            sent += 8192;
        }
        inbox.handle_message(SENDER, &offer, now);
    }
    let writes = std::iter::from_fn(|| inbox.poll_action())
        .filter(|action| matches!(action, Action::Write { .. }))
        .count() as u64;
    assert!(writes * 8192 <= 2 * WINDOW, "{} bytes wait for the disk", writes * 8192);
}

#[test]
fn an_offer_that_comes_before_the_disk_is_ready_is_answered_when_it_is() {
    let (mut inbox, now) = (Inbox::new(1 << 40), start());
    let offer = Message::Offer { file: FileId(1), name: "a".into(), size: 1 << 40 };
    let key = inbox.handle_message(SENDER, &offer, now).expect("new");
    inbox.take(key, now);
    let take = |offset| Some((SENDER, Message::Take { file: FileId(1), offset }));
    assert_eq!(inbox.poll_message(), take(0));
    let mut sent = 0;
    for _ in 0..2 {
        for _ in 0..WINDOW / 8192 {
            let chunk = Chunk { file: FileId(1), offset: sent, data: vec![0; 8192].into() };
            inbox.handle_chunk(SENDER, chunk);
            sent += 8192;
        }
        inbox.handle_down(SENDER);
        inbox.handle_message(SENDER, &offer, now);
        if sent == WINDOW {
            assert_eq!(inbox.poll_message(), take(WINDOW));
        }
    }
    assert_eq!(inbox.poll_message(), None);
    inbox.handle_written(key, WINDOW - 1, now);
    assert_eq!(inbox.poll_message(), None);
    inbox.handle_written(key, 1, now);
    assert_eq!(inbox.poll_message(), take(2 * WINDOW));
}

#[test]
fn a_file_that_arrives_damaged_is_not_kept() {
    let mut world = World::new(1);
    let key = world.offer(1, "a", content(100_000, 1));
    world.contents.get_mut(&key).expect("there")[50_000] ^= 1;
    world.settle();
    assert_eq!(world.progress(), [Progress::Ended(Reason::Damaged)]);
    assert!(world.receivers[0].kept.is_empty() && world.receivers[0].disk.is_empty());
}

#[test]
fn a_refused_file_sends_no_byte_and_a_given_up_one_is_removed() {
    let mut world = World::new(1);
    let now = world.now;
    let inbox = &mut world.receivers[0].inbox;
    let offer = |id, size| Message::Offer { file: FileId(id), name: "a".into(), size };
    let key = inbox.handle_message(SENDER, &offer(7, 10), now).expect("new");
    inbox.cancel(key);
    let stop = |id, reason| Some((SENDER, Message::Stop { file: FileId(id), from: End::Receiver, reason }));
    assert_eq!((inbox.poll_message(), inbox.poll_action()), (stop(7, Reason::Declined), None));
    inbox.take(key, now);
    assert_eq!(inbox.poll_message(), None, "over is over");
    inbox.set_limit(1000);
    assert_eq!(inbox.handle_message(SENDER, &offer(8, 1001), now), None);
    assert_eq!(inbox.poll_message(), stop(8, Reason::TooLarge));
    assert_eq!(inbox.files(now).count(), 1, "not remembered: such offers would crowd out the others");
    let key = inbox.handle_message(SENDER, &offer(9, 1000), now).expect("new");
    inbox.take(key, now);
    inbox.poll_message();
    inbox.cancel(key);
    assert_eq!(inbox.poll_message(), stop(9, Reason::Cancelled));
    inbox.poll_action();
    assert_eq!(inbox.poll_action(), Some(Action::Remove { key }));
    inbox.handle_message(SENDER, &offer(9, 1000), now);
    assert_eq!(inbox.poll_message(), stop(9, Reason::Cancelled), "offered again, told again");
}

#[test]
fn a_piece_at_another_place_or_past_the_end_ends_the_file() {
    for (offset, length) in [(1, 10), (0, 101)] {
        let (mut inbox, now) = (Inbox::new(1000), start());
        let offer = Message::Offer { file: FileId(1), name: "a".into(), size: 100 };
        let key = inbox.handle_message(SENDER, &offer, now).expect("new");
        inbox.take(key, now);
        inbox.handle_chunk(peer(5), Chunk { file: FileId(1), offset: 0, data: vec![0; 10].into() });
        assert!(matches!(inbox.poll_action(), Some(Action::Open { .. })));
        assert_eq!(inbox.poll_action(), None, "not this peer's file");
        inbox.handle_chunk(SENDER, Chunk { file: FileId(1), offset, data: vec![0; length].into() });
        assert_eq!(inbox.poll_action(), Some(Action::Remove { key }));
        assert_eq!(inbox.files(now).next().map(|f| f.progress), Some(Progress::Ended(Reason::Damaged)));
    }
}

#[test]
fn offers_and_files_remembered_are_bounded() {
    let (mut inbox, now) = (Inbox::new(1000), start());
    let offer = |id| Message::Offer { file: FileId(id), name: "a".into(), size: 100 };
    let keys: Vec<_> = (0..20).filter_map(|id| inbox.handle_message(SENDER, &offer(id), now)).collect();
    assert_eq!(keys.len(), OFFERS_MAX);
    assert!(matches!(inbox.poll_message(), Some((_, Message::Stop { reason: Reason::TooMany, .. }))));
    for round in 0..FILES_MAX as u32 * 2 {
        let key = inbox.handle_message(peer(3), &offer(round), now).expect("new");
        inbox.cancel(key);
    }
    assert_eq!(inbox.files(now).count(), FILES_MAX);
    // One who offers and withdraws crowds out its own only, but for one.
    let crowd = |inbox: &mut Inbox| {
        for id in 0..1000 {
            inbox.handle_message(peer(4), &offer(id), now);
            let stop = Message::Stop { file: FileId(id), from: End::Sender, reason: Reason::Cancelled };
            inbox.handle_message(peer(4), &stop, now);
        }
    };
    crowd(&mut inbox);
    assert_eq!(inbox.files(now).filter(|file| file.from == peer(4)).count(), 1);
    let mut out = Outbox::default();
    for id in 0..FILES_MAX as u32 {
        assert!(out.offer(FileId(id), "a", 1, &[peer(1)]).is_some());
    }
    assert_eq!(out.offer(FileId(999), "a", 1, &[peer(1)]), None);
    out.cancel(5);
    assert!(out.offer(FileId(999), "a", 1, &[peer(1)]).is_some());
}

#[test]
fn who_leaves_and_who_comes_back_under_another_id_are_told_apart() {
    let mut world = World::new(2);
    world.offer(1, "a", content(200_000, 1));
    world.out.handle_gone(peer(1));
    world.receivers[1].to_receiver.clear();
    world.out.handle_renamed(peer(0), peer(7));
    world.out.handle_message(peer(7), &Message::Take { file: FileId(1), offset: 0 }, world.now);
    assert!(matches!(world.progress()[..], [Progress::Running { bytes: 0, .. }]));
    world.out.handle_message(peer(1), &Message::Take { file: FileId(1), offset: 0 }, world.now);
    assert_eq!(world.out.poll_read(peer(1), 1 << 20), None, "gone is gone");
    assert!(world.out.poll_read(peer(7), 1 << 20).is_some());
}

#[test]
fn files_take_turns() {
    let mut out = Outbox::default();
    for id in 0..3 {
        out.offer(FileId(id), "a", 1 << 20, &[peer(1)]);
        out.handle_message(peer(1), &Message::Take { file: FileId(id), offset: 0 }, start());
    }
    let keys: Vec<_> =
        (0..6).filter_map(|_| out.poll_read(peer(1), 64 * 1024)).map(|read| read.key).collect();
    assert_eq!(keys, [1, 2, 0, 1, 2, 0]);
}

#[test]
fn a_chunk_that_no_file_can_have_is_not_read() {
    let head = |offset: u64| [&1u32.to_be_bytes()[..], &offset.to_be_bytes()[..]].concat();
    for bytes in [
        Vec::new(),
        vec![0; 11],
        head(0),
        [head(u64::MAX), vec![1, 2]].concat(),
        [head(0), vec![0; CHUNK_DATA_BYTES + 1]].concat(),
    ] {
        assert_eq!(Chunk::decode(bytes.clone().into()), None, "{} bytes", bytes.len());
    }
    assert!(Chunk::decode([head(0), vec![0; CHUNK_DATA_BYTES]].concat().into()).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_cut_when_every_file_arrives_whole_in_the_end(
        sizes in prop::collection::vec(0usize..200_000, 1..4),
        steps in prop::collection::vec((0usize..2, 0usize..60), 0..400),
    ) {
        let mut world = World::new(2);
        for (index, size) in sizes.iter().enumerate() {
            world.offer(index as u32, "a", content(*size, index));
        }
        for (number, what) in steps {
            match what {
                58 => world.set_link(number, false),
                59 => world.set_link(number, true),
                what => { world.step(number, what); }
            }
        }
        for number in 0..2 {
            // Once more, for what was sent into the cut.
            world.set_link(number, false);
            world.set_link(number, true);
        }
        world.settle();
        for receiver in &world.receivers {
            let want: BTreeMap<u64, Vec<u8>> =
                sizes.iter().enumerate().map(|(i, size)| (i as u64, content(*size, i))).collect();
            let mut got: Vec<_> = receiver.kept.values().cloned().collect();
            let mut want: Vec<_> = want.into_values().collect();
            got.sort();
            want.sort();
            prop_assert_eq!(got, want);
        }
    }
}
