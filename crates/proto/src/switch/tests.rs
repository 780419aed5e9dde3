//! Two ends, two carriers that come and go, and all that must arrive.

use proptest::prelude::*;

use super::*;

/// A generator of numbers that a seed reproduces (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn start() -> Instant {
    Instant::now()
}

/// One direction of a carrier: ordered, and lossless as long as it is up.
#[derive(Default)]
struct Pipe {
    frames: VecDeque<(u64, Bytes)>,
}

struct World {
    start: Instant,
    ms: u64,
    ends: [Switch; 2],
    /// By carrier and sending end.
    pipes: [[Pipe; 2]; 2],
    /// By carrier: whether it is up in truth.
    is_up: [bool; 2],
    /// What the ends are still to be told: when, to whom, which carrier, what.
    news: Vec<(u64, usize, Carrier, State)>,
    delivered: [Vec<Bytes>; 2],
    restarts: [usize; 2],
    frames: usize,
    dice: Dice,
}

const CARRIERS: [Carrier; 2] = [Carrier::Relayed, Carrier::Direct];

impl World {
    fn new(seed: u64) -> Self {
        Self {
            start: start(),
            ms: 0,
            ends: [Switch::new(1), Switch::new(2)],
            pipes: Default::default(),
            is_up: [false; 2],
            news: Vec::new(),
            delivered: Default::default(),
            restarts: [0; 2],
            frames: 0,
            dice: Dice(seed),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    /// Takes a carrier up or down; each end hears of it when it does.
    fn turn(&mut self, carrier: Carrier, state: State) {
        self.is_up[carrier as usize] = state == State::Up;
        for (end, pipe) in self.pipes[carrier as usize].iter_mut().enumerate() {
            pipe.frames.clear();
            let at = self.ms + self.dice.below(60);
            self.news.retain(|(_, to, of, _)| (*to, *of) != (end, carrier));
            self.news.push((at, end, carrier, state));
        }
    }

    fn step(&mut self) {
        self.ms += 1;
        let now = self.now();
        let (due, later) = std::mem::take(&mut self.news).into_iter().partition(|(at, ..)| *at <= self.ms);
        self.news = later;
        let due: Vec<(u64, usize, Carrier, State)> = due;
        for (_, end, carrier, state) in due {
            self.ends[end].handle_carrier(carrier, state, now);
        }
        for carrier in CARRIERS {
            for from in 0..2 {
                let pipe = &mut self.pipes[carrier as usize][from];
                while let Some((_, frame)) = pipe.frames.pop_front_if(|(at, _)| *at <= self.ms) {
                    self.ends[1 - from].handle_frame(&frame, now).expect("the other end's frames are frames");
                }
            }
        }
        for end in 0..2 {
            if self.ends[end].poll_timeout().is_some_and(|at| at <= now) {
                self.ends[end].handle_timeout(now);
            }
            while let Some(command) = self.ends[end].poll_command() {
                match command {
                    Command::Deliver(message) => self.delivered[end].push(message),
                    Command::PeerRestarted => self.restarts[end] += 1,
                    Command::Send(carrier, frame) => {
                        self.frames += 1;
                        if self.is_up[carrier as usize] {
                            let took = match carrier {
                                Carrier::Relayed => 40 + self.dice.below(40),
                                Carrier::Direct => 10 + self.dice.below(20),
                            };
                            let frames = &mut self.pipes[carrier as usize][end].frames;
                            let at = frames.back().map_or(0, |(at, _)| *at).max(self.ms + took);
                            frames.push_back((at, frame));
                        }
                    }
                }
            }
        }
    }
}

fn message(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

/// Both ends send so many messages while carriers are turned so often; gives the frames that it took.
fn send_through(seed: u64, messages: u32, turns: u64) -> usize {
    let mut world = World::new(seed);
    let mut sent = [0; 2];
    let (mut left, mut turn_at) = (turns, 1);
    while sent != [messages; 2] || world.delivered.iter().any(|got| got.len() < messages as usize) {
        if left > 0 && world.ms >= turn_at {
            let carrier = CARRIERS[world.dice.below(2) as usize];
            let state = if world.is_up[carrier as usize] { State::Down } else { State::Up };
            world.turn(carrier, state);
            (left, turn_at) = (left - 1, world.ms + world.dice.below(250));
        } else if left == 0 {
            // In the end there is a way.
            for carrier in CARRIERS {
                if !world.is_up[carrier as usize] {
                    world.turn(carrier, State::Up);
                }
            }
        }
        let now = world.now();
        for (end, sent) in sent.iter_mut().enumerate() {
            for _ in 0..world.dice.below(3) {
                if *sent < messages && world.ends[end].send(message(*sent), now).is_ok() {
                    *sent += 1;
                }
            }
        }
        world.step();
        assert!(world.ms < 600_000, "it comes to an end: {:?}", world.delivered.each_ref().map(Vec::len));
    }
    for got in &world.delivered {
        assert!(got.iter().eq((0..messages).map(message).collect::<Vec<_>>().iter()), "each once, in order");
    }
    assert_eq!(world.restarts, [0, 0]);
    world.frames
}

#[test]
fn ten_thousand_messages_arrive_once_and_in_order_while_the_transport_is_flipped_a_hundred_times() {
    let frames = send_through(1, 10_000, 100);
    println!("{frames} frames for 20000 messages");
    assert!(frames < 100_000, "{frames}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_order_of_events_nothing_is_lost_nor_twice_nor_out_of_order(seed: u64, turns in 0u64..60) {
        send_through(seed, 300, turns);
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), version in 0u8..3) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
        let now = start();
        let mut switch = Switch::new(1);
        switch.handle_carrier(Carrier::Direct, State::Up, now);
        switch.handle_frame(&bytes, now).ok();
        switch.handle_frame(&bytes, now).ok();
    }
}

#[test]
fn an_end_that_starts_again_gets_what_the_other_one_still_keeps() {
    let mut world = World::new(3);
    world.turn(Carrier::Relayed, State::Up);
    let now = world.now();
    for number in 0..3 {
        world.ends[0].send(message(number), now).unwrap();
    }
    (0..400).for_each(|_| world.step());
    assert_eq!(world.delivered[1].len(), 3);
    // The other end's process ends; what is sent meanwhile is kept.
    world.turn(Carrier::Relayed, State::Down);
    (0..100).for_each(|_| world.step());
    let now = world.now();
    for number in 3..6 {
        world.ends[0].send(message(number), now).unwrap();
    }
    world.ends[1] = Switch::new(22);
    world.delivered[1].clear();
    world.turn(Carrier::Relayed, State::Up);
    (0..1000).for_each(|_| world.step());
    assert_eq!(world.delivered[1], [message(3), message(4), message(5)]);
    assert_eq!(world.restarts, [1, 0]);
    // Both go on from there.
    let now = world.now();
    world.ends[0].send(message(6), now).unwrap();
    world.ends[1].send(message(9), now).unwrap();
    (0..400).for_each(|_| world.step());
    assert_eq!(world.delivered[1].last(), Some(&message(6)));
    assert_eq!(world.delivered[0], [message(9)]);
    assert_eq!(world.ends.each_ref().map(Switch::unacknowledged), [0, 0]);
}

#[test]
fn what_a_former_life_had_on_its_way_is_dropped() {
    let now = start();
    let mut switch = Switch::new(1);
    switch.handle_carrier(Carrier::Relayed, State::Up, now);
    let frame = |from, number| {
        Frame { from, to: 1, has: 0, content: Content::Message { number, message: message(number as u32) } }
            .encode()
    };
    for (from, number) in [(7, 1), (8, 1), (7, 2), (8, 2), (7, 1)] {
        switch.handle_frame(&frame(from, number), now).unwrap();
    }
    let commands: Vec<Command> = std::iter::from_fn(|| switch.poll_command()).collect();
    let told: Vec<_> = commands.iter().filter(|c| !matches!(c, Command::Send(..))).collect();
    let deliver = |number| Command::Deliver(message(number));
    assert_eq!(told, [&deliver(1), &Command::PeerRestarted, &deliver(1), &deliver(2)]);
}

#[test]
fn no_more_is_kept_than_the_bounds_and_the_message_that_is_too_much_is_not_taken() {
    let now = start();
    let mut switch = Switch::new(1);
    for _ in 0..UNACKNOWLEDGED_MAX {
        switch.send(message(1), now).unwrap();
    }
    let full = Full { messages: UNACKNOWLEDGED_MAX, bytes: UNACKNOWLEDGED_MAX * 4 };
    assert_eq!(switch.send(message(1), now), Err(full));
    let mut switch = Switch::new(1);
    switch.send(Bytes::from(vec![0; UNACKNOWLEDGED_BYTES_MAX]), now).unwrap();
    assert_eq!(switch.send(message(1), now).unwrap_err().messages, 1);
    assert_eq!(switch.unacknowledged(), 1);
}

#[test]
fn the_better_carrier_is_used_and_the_other_one_when_it_is_gone() {
    let now = start();
    let mut switch = Switch::new(1);
    let mut active = |carrier, state| {
        switch.handle_carrier(carrier, state, now);
        let sent = std::iter::from_fn(|| switch.poll_command()).count();
        (switch.active(), sent)
    };
    use Carrier::{Direct, Relayed};
    assert_eq!(active(Relayed, State::Up), (Some(Relayed), 1));
    assert_eq!(active(Relayed, State::Up), (Some(Relayed), 0), "no news");
    assert_eq!(active(Direct, State::Up), (Some(Direct), 1));
    assert_eq!(active(Relayed, State::Down), (Some(Direct), 0));
    assert_eq!(active(Relayed, State::Up), (Some(Direct), 0));
    assert_eq!(active(Direct, State::Down), (Some(Relayed), 1));
    assert_eq!(active(Relayed, State::Down), (None, 0));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_that_of_all_that_was() {
    let now = start();
    let mut switch = Switch::new(1);
    switch.handle_carrier(Carrier::Direct, State::Up, now);
    switch.send(message(0), now).unwrap();
    let lie = Frame { from: 9, to: 1, has: u64::MAX, content: Content::Acknowledgement }.encode();
    switch.handle_frame(&lie, now).unwrap();
    assert_eq!(switch.unacknowledged(), 0);
    switch.send(message(1), now).unwrap();
    assert_eq!(switch.unacknowledged(), 1);
}

#[test]
fn without_a_carrier_nothing_is_due() {
    let now = start();
    let mut switch = Switch::new(1);
    switch.handle_carrier(Carrier::Direct, State::Up, now);
    let frame =
        Frame { from: 2, to: 1, has: 0, content: Content::Message { number: 1, message: message(1) } };
    switch.handle_frame(&frame.encode(), now).unwrap();
    switch.send(message(1), now).unwrap();
    switch.handle_frame(&frame.encode(), now).unwrap();
    switch.handle_carrier(Carrier::Direct, State::Down, now);
    for _ in 0..3 {
        if let Some(at) = switch.poll_timeout() {
            switch.handle_timeout(at);
        }
    }
    assert_eq!(switch.poll_timeout(), None);
}

#[test]
fn a_goodbye_acknowledges_all_that_was_delivered_by_whichever_carrier_it_goes() {
    let now = start();
    let [mut one, mut other] = [Switch::new(1), Switch::new(2)];
    one.handle_carrier(Carrier::Direct, State::Up, now);
    one.send(message(0), now).unwrap();
    while let Some(Command::Send(_, frame)) = one.poll_command() {
        other.handle_frame(&frame, now).unwrap();
    }
    assert_eq!((one.unacknowledged(), one.unacknowledged_bytes()), (1, 4));
    one.handle_frame(&other.acknowledgement(), now).unwrap();
    assert_eq!((one.unacknowledged(), one.unacknowledged_bytes()), (0, 0));
}

#[test]
fn what_is_wrong_with_a_frame_is_told() {
    let good = Frame { from: 1, to: 2, has: 3, content: Content::Acknowledgement }.encode();
    let with = |at: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = value;
        Frame::decode(&Bytes::from(bytes)).unwrap_err().to_string()
    };
    assert_eq!(
        Frame::decode(&good.slice(..25)).unwrap_err().to_string(),
        "a frame of 25 bytes, want at least 26"
    );
    assert_eq!(with(0, 2), "a frame of version 2, want 1");
    assert_eq!(with(1, 3), "a frame of unknown kind 3");
    assert_eq!(with(1, 1), "a frame without a session or number");
    assert_eq!(with(2, 0), "a frame without a session or number");
}
