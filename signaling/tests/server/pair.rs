//! Pairs over real sockets: messages flow through the server at once, directly as soon as they can, and none is lost,
//! doubled or out of order, whatever becomes of either way.

use bytes::Bytes;
use farwheel_peer::pair::{Carrier, Config, Direct, Event, Events, Message, Pair};
use farwheel_peer::signaling::Place;
use farwheel_peer::{Bind, CandidatePolicy, signaling};
use farwheel_signaling::config::Settings;

use crate::support::{PATIENCE, loopback, start};

/// One end with what it was told.
struct End {
    pair: Pair,
    events: Events,
    carrier: Option<Carrier>,
    /// Numbers that arrived.
    numbers: Vec<u32>,
    said: Vec<Event>,
}

fn number(n: u32) -> Message {
    Message::Bytes(Bytes::copy_from_slice(&n.to_be_bytes()))
}

impl End {
    fn open(url: &str, name: &str) -> Self {
        let config = Config {
            signaling: signaling::Config {
                server: url.to_owned(),
                place: Place::Pair { code: "493817".parse().unwrap() },
                name: name.to_owned(),
                token: None,
                ca: None,
            },
            candidates: CandidatePolicy::All,
            bind: Bind::Loopback,
        };
        let (pair, events) = Pair::open(config);
        Self { pair, events, carrier: None, numbers: Vec::new(), said: Vec::new() }
    }

    async fn hear(&mut self) {
        match self.events.recv().await.expect("it goes on") {
            Event::Carrier(carrier) => self.carrier = carrier,
            Event::Message(Message::Bytes(bytes)) => {
                self.numbers.push(u32::from_be_bytes(bytes[..].try_into().unwrap()));
            }
            event => self.said.push(event),
        }
    }

    fn has_said(&self, event: &Event) -> bool {
        self.said.contains(event)
    }

    fn found(&self) -> usize {
        self.said.iter().filter(|event| matches!(event, Event::Found { .. })).count()
    }
}

/// Listens to both until all is as wanted.
async fn until(what: &str, ends: &mut [End; 2], mut is_it: impl FnMut(&[End; 2]) -> bool) {
    let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
    while !is_it(ends) {
        let [a, b] = ends;
        tokio::select! {
            () = a.hear() => {}
            () = b.hear() => {}
            () = tokio::time::sleep_until(deadline) => panic!(
                "{what}: not in time; {:?} {} {:?}, {:?} {} {:?}",
                a.carrier, a.numbers.len(), a.said, b.carrier, b.numbers.len(), b.said
            ),
        }
    }
}

fn both(carrier: Carrier) -> impl Fn(&[End; 2]) -> bool {
    move |ends| ends.iter().all(|end| end.carrier == Some(carrier))
}

#[tokio::test]
async fn messages_flow_through_the_server_at_once_and_then_directly() {
    let server = start(loopback()).await;
    let url = format!("ws://{}", server.address);
    let first = End::open(&url, "Ada");
    first.pair.set_direct(Direct::Refused);
    // Said before anybody is there.
    first.pair.send(&Message::Text("hello".into())).await.unwrap();
    let mut ends = [first, End::open(&url, "Grace")];
    let hello = Event::Message(Message::Text("hello".into()));
    until("first message", &mut ends, |ends| ends[1].has_said(&hello)).await;
    assert!(both(Carrier::Relayed)(&ends), "a direct connection was refused");
    assert!(ends[0].has_said(&Event::Waiting) && ends[0].has_said(&Event::Found { name: "Grace".into() }));
    ends[0].pair.set_direct(Direct::Wanted);
    until("direct connection", &mut ends, both(Carrier::Direct)).await;
    ends[1].pair.send(&Message::Text("hello directly".into())).await.unwrap();
    let answer = Event::Message(Message::Text("hello directly".into()));
    until("second message", &mut ends, |ends| ends[0].has_said(&answer)).await;
    let [first, second] = ends;
    tokio::time::timeout(PATIENCE, second.pair.flush()).await.expect("all has arrived").unwrap();
    drop(second.pair);
    second.events.leave().await;
    let mut first = first;
    while !first.has_said(&Event::Left) {
        tokio::time::timeout(PATIENCE, first.hear()).await.expect("the end of it is told");
    }
}

/// The issue's own figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_once_and_in_order_while_the_way_changes_a_hundred_times() {
    const FLIPS: u32 = 100;
    const EACH: u32 = 10_000;
    let server = start(loopback()).await;
    let url = format!("ws://{}", server.address);
    let mut ends = [End::open(&url, "Ada"), End::open(&url, "Grace")];
    until("direct connection", &mut ends, both(Carrier::Direct)).await;
    let (turn, turns) = tokio::sync::watch::channel(0);
    // Each end sends as many as belong to a flip, however far the other one is.
    let senders = ends.each_ref().map(|end| {
        let (pair, mut turns) = (end.pair.clone(), turns.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                turns.wait_for(|turn| n / (EACH / FLIPS) <= *turn).await.unwrap();
                pair.send(&number(n)).await.unwrap();
            }
        })
    });
    for flip in 0..FLIPS {
        turn.send_replace(flip);
        let (direct, carrier) = match flip % 2 {
            0 => (Direct::Refused, Carrier::Relayed),
            _ => (Direct::Wanted, Carrier::Direct),
        };
        // Either end decides, in turns.
        let deciding = usize::from(flip / 2 % 2 == 1);
        ends[deciding].pair.set_direct(direct);
        until(&format!("flip {flip}"), &mut ends, both(carrier)).await;
    }
    turn.send_replace(FLIPS);
    until("all messages", &mut ends, |ends| ends.iter().all(|end| end.numbers.len() >= EACH as usize)).await;
    for sender in senders {
        sender.await.unwrap();
    }
    for end in &ends {
        end.pair.flush().await.unwrap();
        assert!(end.numbers.iter().copied().eq(0..EACH), "each once and in order");
        assert!(!end.has_said(&Event::Restarted));
    }
}

#[tokio::test]
async fn a_third_one_finds_the_code_busy() {
    let server = start(loopback()).await;
    let url = format!("ws://{}", server.address);
    let mut ends = [End::open(&url, "Ada"), End::open(&url, "Grace")];
    until("pair", &mut ends, |ends| ends.iter().all(|end| end.found() == 1)).await;
    let mut third = End::open(&url, "Eve");
    while !third.has_said(&Event::Busy) {
        tokio::time::timeout(PATIENCE, third.hear()).await.expect("it is told");
    }
    assert_eq!(third.events.recv().await, None, "and that is all");
    ends[0].pair.send(&number(7)).await.unwrap();
    until("the two are not disturbed", &mut ends, |ends| ends[1].numbers == [7]).await;
}

#[tokio::test]
async fn a_server_that_is_started_again_in_the_middle_costs_nothing() {
    let mut server = start(loopback()).await;
    let address = server.address;
    let url = format!("ws://{address}");
    let mut ends = [End::open(&url, "Ada"), End::open(&url, "Grace")];
    until("direct connection", &mut ends, both(Carrier::Direct)).await;
    server.begin_stop();
    until("both alone", &mut ends, |ends| {
        ends.iter().all(|end| end.said.iter().any(|event| matches!(event, Event::Away { .. })))
    })
    .await;
    server.ended().await;
    for n in 0..100 {
        ends[0].pair.send(&number(n)).await.unwrap();
    }
    until("messages without a server", &mut ends, |ends| ends[1].numbers.len() == 100).await;
    // It has forgotten both. One may come while the other one is still out.
    let _server = start(Settings { listen: Some(address), ..Settings::default() }).await;
    until("both found again", &mut ends, |ends| ends.iter().all(|end| end.found() == 2)).await;
    assert!(both(Carrier::Direct)(&ends), "what stands, stands");
    ends[0].pair.set_direct(Direct::Refused);
    until("through the new server", &mut ends, both(Carrier::Relayed)).await;
    for n in 100..200 {
        ends[0].pair.send(&number(n)).await.unwrap();
    }
    until("all messages", &mut ends, |ends| ends[1].numbers.len() >= 200).await;
    assert!(ends[1].numbers.iter().copied().eq(0..200));
    assert!(ends.iter().all(|end| !end.has_said(&Event::Restarted)));
}

#[tokio::test]
async fn one_that_starts_again_is_known_for_a_new_life() {
    let server = start(loopback()).await;
    let url = format!("ws://{}", server.address);
    let mut ends = [End::open(&url, "Ada"), End::open(&url, "Grace")];
    until("direct connection", &mut ends, both(Carrier::Direct)).await;
    ends[1] = End::open(&url, "Grace");
    until("new life", &mut ends, |ends| ends[0].has_said(&Event::Restarted)).await;
    until("direct connection again", &mut ends, both(Carrier::Direct)).await;
    for (from, to) in [(0, 1), (1, 0)] {
        ends[from].pair.send(&number(1)).await.unwrap();
        until("message", &mut ends, |ends| ends[to].numbers == [1]).await;
    }
}
