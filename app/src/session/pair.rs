//! Two who meet without a room, behind the window's page: a task that fills what the page shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use farwheel_peer::by_hand::{self, ByHand};
use farwheel_peer::pair::{self, Carrier, Message};
use farwheel_peer::signaling::{self, RoomName};
use farwheel_peer::{Bind, CandidatePolicy, Channel, Config, ConnId, Event, LinkState, Manners, Media};
use farwheel_proto::call::letter::{self, Kind, Wanted, description};
use tokio::sync::mpsc;

use super::{Runtime, unix_seconds};
use crate::model::pair::{Line, Pair, Phase, Speaker, Way};

/// Lines kept on the page; the oldest goes.
const LINES_MAX: usize = 1000;
/// Orders on their way to the task. Full: the task is stuck, and the line is not taken.
const ORDERS_MAX: usize = 64;

/// Asks for a paint.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// One meeting; dropping it leaves.
#[derive(Debug)]
pub struct Meeting {
    shared: Shared,
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Say(String),
    Accept(String),
}

/// What the task fills and the page shows.
#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<Pair>>,
    wake: Option<Wake>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// How connections by hand are made.
#[derive(Clone, Debug)]
pub struct Network {
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// From which addresses.
    pub bind: Bind,
}

impl Network {
    fn apply(&self, config: Config) -> Config {
        config.with_candidates(self.candidates).with_bind(self.bind.clone()).with_patience(letter::LIFETIME)
    }
}

impl Meeting {
    /// Meets by a code.
    pub fn by_code(
        runtime: &Runtime,
        signaling: signaling::Config,
        network: Network,
        wake: Option<Wake>,
    ) -> Self {
        let (meeting, shared, orders) = Self::new("Reaching the server", wake);
        let code = signaling.place.name().clone();
        let config = pair::Config { signaling, candidates: network.candidates, bind: network.bind };
        runtime.spawn(converse(config, code, shared, orders));
        meeting
    }

    /// Makes an offer.
    pub fn by_offer(runtime: &Runtime, network: Network, wake: Option<Wake>) -> Self {
        let (meeting, shared, orders) = Self::new("Writing the offer", wake);
        runtime.spawn(offer(network, shared, orders));
        meeting
    }

    /// Answers an offer.
    pub fn by_answer(runtime: &Runtime, network: Network, offer: String, wake: Option<Wake>) -> Self {
        let (meeting, shared, orders) = Self::new("Writing the answer", wake);
        runtime.spawn(answer(network, offer, shared, orders));
        meeting
    }

    fn new(doing: &'static str, wake: Option<Wake>) -> (Self, Shared, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let state = Pair { phase: Phase::Busy(doing), lines: Vec::new() };
        let shared = Shared { state: Arc::new(Mutex::new(state)), wake };
        (Self { shared: shared.clone(), orders }, shared, taken)
    }

    /// What the page shows.
    pub fn state(&self) -> Pair {
        self.shared.lock().clone()
    }

    /// Says a line.
    pub fn say(&self, text: String) {
        self.order(Order::Say(text));
    }

    /// Takes an answer to the own offer.
    pub fn accept(&self, answer: String) {
        self.order(Order::Accept(answer));
    }

    fn order(&self, order: Order) {
        if let Err(error) = self.orders.try_send(order) {
            tracing::warn!(%error, "line not taken");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pair> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Pair)) {
        change(&mut self.lock());
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    fn phase(&self, phase: Phase) {
        self.change(|pair| pair.phase = phase);
    }

    fn line(&self, from: Speaker, text: String) {
        self.change(|pair| {
            if pair.lines.len() == LINES_MAX {
                pair.lines.remove(0);
            }
            pair.lines.push(Line { from, text });
        });
    }
}

async fn converse(config: pair::Config, code: RoomName, shared: Shared, mut orders: mpsc::Receiver<Order>) {
    let (pair, mut events) = pair::Pair::open(config);
    let mut way = Way::None;
    let mut name: Option<String> = None;
    // A line on its way into the pair, which may wait for room.
    let mut saying = std::pin::pin!(None);
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return };
                match event {
                    pair::Event::Waiting => {
                        name = None;
                        shared.phase(Phase::Waiting { code: code.to_string() });
                    }
                    pair::Event::Found { name: found } => name = Some(found),
                    pair::Event::Carrier(carrier) => {
                        way = match carrier {
                            None => Way::None,
                            Some(Carrier::Relayed) => Way::Server,
                            Some(Carrier::Direct) => Way::Direct,
                        };
                    }
                    pair::Event::Message(Message::Text(text)) => shared.line(Speaker::Other, text),
                    pair::Event::Message(Message::Bytes(_)) => {
                        shared.line(Speaker::Other, "(bytes, which only `farwheel pair --raw` takes)".to_owned());
                    }
                    pair::Event::Message(Message::End) | pair::Event::Restarted => {}
                    pair::Event::Left => {
                        name = None;
                        shared.phase(Phase::Waiting { code: code.to_string() });
                    }
                    pair::Event::Away { reason } if name.is_none() => {
                        tracing::info!(reason, "server away");
                        shared.phase(Phase::Busy("The server does not answer; trying on"));
                    }
                    pair::Event::Away { .. } => {}
                    pair::Event::Busy => {
                        let words = format!("Two others use the code {code} already. Agree on another one.");
                        return shared.phase(Phase::Over(words));
                    }
                    pair::Event::Refused(refusal) => {
                        return shared.phase(Phase::Over(format!("The server refuses: {refusal}.")));
                    }
                }
                if let Some(name) = &name {
                    shared.phase(Phase::Together { name: name.clone(), way });
                }
            }
            order = orders.recv(), if saying.is_none() => match order {
                Some(Order::Say(text)) => {
                    shared.line(Speaker::Own, text.clone());
                    let pair = pair.clone();
                    saying.set(Some(async move {
                        for message in Message::texts(&text) {
                            pair.send(&message).await?;
                        }
                        Ok::<(), pair::Ended>(())
                    }));
                }
                Some(Order::Accept(_)) => {}
                None => break,
            },
            // A task that has ended tells so by its events.
            _ = async { saying.as_mut().as_pin_mut().expect("looked at by the condition").await }, if saying.is_some() => {
                saying.set(None);
            }
        }
    }
    drop(pair);
    events.leave().await;
}

async fn offer(network: Network, shared: Shared, mut orders: mpsc::Receiver<Order>) {
    let config = network.apply(Config::offer(Media::None, Manners::Impolite));
    let conn = config.conn;
    let hand = match by_hand::offer(config).await {
        Ok(hand) => hand,
        Err(failure) => return shared.phase(Phase::Over(format!("There is no offer: {failure}."))),
    };
    let letter = letter::write(Kind::Offer, conn, &hand.sdp, unix_seconds());
    shared.phase(Phase::Offer { letter: letter.clone(), problem: None });
    loop {
        let Some(order) = orders.recv().await else { return hand.connection.close().await };
        let Order::Accept(text) = order else { continue };
        match letter::read(&text, Wanted::AnswerTo(conn), unix_seconds()) {
            Ok(answer) => {
                by_hand::accept(&hand.connection, &answer.sdp);
                break;
            }
            Err(error) => {
                let problem = Some(error.sentence());
                shared.phase(Phase::Offer { letter: letter.clone(), problem });
            }
        }
    }
    shared.phase(Phase::Busy("Connecting"));
    talk(hand, shared, orders).await;
}

async fn answer(network: Network, offer: String, shared: Shared, orders: mpsc::Receiver<Order>) {
    let offer = match letter::read(&offer, Wanted::Offer, unix_seconds()) {
        Ok(offer) => offer,
        Err(error) => return shared.phase(Phase::Over(error.sentence())),
    };
    let conn = offer.conn.unwrap_or_else(|| ConnId::new(rand::random()));
    let config = network.apply(Config::answer(conn, Media::None, Manners::Polite));
    let hand = match by_hand::answer(config, &offer.sdp).await {
        Ok(hand) => hand,
        Err(failure) => return shared.phase(Phase::Over(format!("There is no answer: {failure}."))),
    };
    let letter = match offer.conn {
        Some(conn) => letter::write(Kind::Answer, conn, &hand.sdp, unix_seconds()),
        None => description::as_json(Kind::Answer, &hand.sdp),
    };
    shared.phase(Phase::Answer { letter });
    talk(hand, shared, orders).await;
}

/// Carries lines until either side leaves.
async fn talk(hand: ByHand, shared: Shared, mut orders: mpsc::Receiver<Order>) {
    let ByHand { connection, mut events, incoming: _incoming, .. } = hand;
    let together = |way| Phase::Together { name: String::new(), way };
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::State(LinkState::Connected)) => shared.phase(together(Way::Direct)),
                Some(Event::State(LinkState::Disconnected)) => shared.phase(together(Way::None)),
                Some(Event::State(LinkState::Failed(failure))) => {
                    shared.phase(Phase::Over(format!("The connection has ended: {failure}.")));
                    return;
                }
                Some(Event::Message { channel: Channel::Event, data }) => {
                    shared.line(Speaker::Other, String::from_utf8_lossy(&data).into_owned());
                }
                // Nobody carries a second letter.
                Some(_) => {}
                None => return,
            },
            order = orders.recv() => match order {
                Some(Order::Say(text)) => match connection.send(Channel::Event, Bytes::from(text.clone())) {
                    Ok(()) => shared.line(Speaker::Own, text),
                    Err(error) => shared.line(Speaker::Own, format!("(not sent, {error}) {text}")),
                },
                Some(Order::Accept(_)) => {}
                None => return connection.close().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits until the page shows what is wanted.
    fn until<T>(meeting: &Meeting, what: &str, is_it: impl Fn(&Pair) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let state = meeting.state();
            if let Some(value) = is_it(&state) {
                return value;
            }
            assert!(Instant::now() < deadline, "{what}: {state:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn two_meet_by_letters_and_talk() {
        let runtime = Runtime::start().expect("threads");
        let network = Network { candidates: CandidatePolicy::All, bind: Bind::Loopback };
        let ada = Meeting::by_offer(&runtime, network.clone(), None);
        let offer = until(&ada, "offer", |pair| match &pair.phase {
            Phase::Offer { letter, .. } => Some(letter.clone()),
            _ => None,
        });
        ada.accept(offer.clone());
        let problem = until(&ada, "problem", |pair| match &pair.phase {
            Phase::Offer { problem, .. } => problem.clone(),
            _ => None,
        });
        assert!(problem.starts_with("This is your own offer"), "{problem}");
        let grace = Meeting::by_answer(&runtime, network, offer, None);
        let answer = until(&grace, "answer", |pair| match &pair.phase {
            Phase::Answer { letter } => Some(letter.clone()),
            _ => None,
        });
        ada.accept(answer);
        for meeting in [&ada, &grace] {
            until(meeting, "connection", |pair| {
                matches!(pair.phase, Phase::Together { way: Way::Direct, .. }).then_some(())
            });
        }
        ada.say("hello".into());
        let line = Line { from: Speaker::Other, text: "hello".into() };
        until(&grace, "line", |pair| (pair.lines == [line.clone()]).then_some(()));
        drop(ada);
        until(&grace, "end", |pair| matches!(pair.phase, Phase::Over(_)).then_some(()));
    }

    #[test]
    fn what_is_no_offer_is_told_as_a_sentence() {
        let runtime = Runtime::start().expect("threads");
        let network = Network { candidates: CandidatePolicy::All, bind: Bind::Loopback };
        let meeting = Meeting::by_answer(&runtime, network, "hello".into(), None);
        let words = until(&meeting, "end", |pair| match &pair.phase {
            Phase::Over(words) => Some(words.clone()),
            _ => None,
        });
        assert_eq!(words, "This is neither a letter of farwheel nor a description that a browser printed.");
    }
}
