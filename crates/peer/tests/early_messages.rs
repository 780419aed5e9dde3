//! Who speaks as soon as the link stands is heard, whatever the network does to the order of the first packets.

mod support;

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use farwheel_peer::{Channel, Config, Connection, Event, LinkState, Manners, Media, Signal, SignalKind};
use support::{CAMERA, End, PATIENCE};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// The side that answers the handshake opens its channels first; what it says then overtakes, here, the packet that
/// opens the other side's.
#[tokio::test]
async fn what_overtakes_the_opening_of_the_channels_is_heard() {
    let mut path = Path::new(Order::ThirdBeforeSecond).await;
    path.speak_as_soon_as_open().await;
}

/// The same without the network's help: both packets are there when the other side looks.
#[tokio::test]
async fn what_comes_together_with_the_opening_of_the_channels_is_heard() {
    let mut path = Path::new(Order::SecondWithThird).await;
    path.speak_as_soon_as_open().await;
}

#[tokio::test]
async fn nothing_is_told_of_messages_before_the_link_stands() {
    let mut path = Path::new(Order::ThirdBeforeSecond).await;
    path.speak_as_soon_as_open().await;
    for end in [&path.offering, &path.answering] {
        let stands = |event: &Event| matches!(event, Event::State(LinkState::Connected));
        let at = end.seen.iter().position(stands).expect("it stands");
        let first = end.seen.iter().position(|event| matches!(event, Event::Message { .. }));
        assert!(first.is_none_or(|first| at < first), "{:?}", end.seen);
    }
}

/// What the network does to the first packets of the channels' transport from the offering side: the second one opens
/// the answering side's channels, the third one carries what was said.
#[derive(Clone, Copy)]
enum Order {
    /// The third comes first.
    ThirdBeforeSecond,
    /// The second waits for the third.
    SecondWithThird,
}

/// Two connections over a network of the test's own.
struct Path {
    offering: End,
    answering: End,
    /// Addresses under which each side knows the other, and where to send what comes there.
    stands_for_offering: SocketAddr,
    stands_for_answering: SocketAddr,
    offering_at: mpsc::UnboundedSender<SocketAddr>,
    answering_at: mpsc::UnboundedSender<SocketAddr>,
}

impl Path {
    async fn new(order: Order) -> Self {
        let config = Config::offer(Media::Receive, Manners::Polite);
        let answer = Config::answer(config.conn, Media::Send(CAMERA), Manners::Impolite);
        let loopback = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (as_offering, as_answering) =
            (loopback().await.expect("bound"), loopback().await.expect("bound"));
        let address = |socket: &UdpSocket| socket.local_addr().expect("bound");
        let (stands_for_offering, stands_for_answering) = (address(&as_offering), address(&as_answering));
        let (offering_at, to_offering) = mpsc::unbounded_channel();
        let (answering_at, to_answering) = mpsc::unbounded_channel();
        tokio::spawn(carry(as_offering, as_answering, to_offering, to_answering, order));
        Self {
            offering: End::open(config),
            answering: End::open(answer),
            stands_for_offering,
            stands_for_answering,
            offering_at,
            answering_at,
        }
    }

    /// Each side says something on each channel the moment its own link stands; the reliable messages must arrive.
    async fn speak_as_soon_as_open(&mut self) {
        let heard = |end: &End| {
            end.seen.iter().any(
                |event| matches!(event, Event::Message { channel: Channel::Event, data } if data == "first"),
            )
        };
        tokio::time::timeout(PATIENCE, async {
            while !(heard(&self.offering) && heard(&self.answering)) {
                tokio::select! {
                    event = self.offering.events.recv() => {
                        let event = event.expect("open");
                        speak(&self.offering.connection, &event);
                        if let Event::Signal(signal) = event {
                            let signal = readdress(signal, self.stands_for_offering, &self.offering_at);
                            self.answering.connection.handle_signal(signal);
                        } else {
                            self.offering.seen.push(event);
                        }
                    }
                    event = self.answering.events.recv() => {
                        let event = event.expect("open");
                        speak(&self.answering.connection, &event);
                        if let Event::Signal(signal) = event {
                            let signal = readdress(signal, self.stands_for_answering, &self.answering_at);
                            self.offering.connection.handle_signal(signal);
                        } else {
                            self.answering.seen.push(event);
                        }
                    }
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("not heard: {:?}, {:?}", self.offering.seen, self.answering.seen));
    }
}

fn speak(connection: &Connection, event: &Event) {
    if let Event::State(LinkState::Connected) = event {
        connection.send(Channel::Event, Bytes::from_static(b"first")).expect("open");
    }
}

/// Puts the test's address in place of a candidate's own.
fn readdress(mut signal: Signal, public: SocketAddr, own: &mpsc::UnboundedSender<SocketAddr>) -> Signal {
    if signal.kind == SignalKind::Candidate {
        let line = signal.data["candidate"].as_str().expect("a candidate").to_owned();
        let mut words: Vec<&str> = line.split(' ').collect();
        let port = words[5].parse().expect("a port");
        own.send(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("the network runs");
        let public = public.port().to_string();
        words[5] = &public;
        signal.data["candidate"] = words.join(" ").into();
    }
    signal
}

/// The network: what one side sends to the address that stands for the other comes from the one that stands for itself.
async fn carry(
    as_offering: UdpSocket,
    as_answering: UdpSocket,
    mut offering_at: mpsc::UnboundedReceiver<SocketAddr>,
    mut answering_at: mpsc::UnboundedReceiver<SocketAddr>,
    order: Order,
) {
    let (mut offering, mut answering) = (None, None);
    let mut records = 0;
    let mut held: Option<Vec<u8>> = None;
    let (mut from_answering, mut from_offering) = (vec![0; 2048], vec![0; 2048]);
    loop {
        tokio::select! {
            Some(address) = offering_at.recv() => offering = Some(address),
            Some(address) = answering_at.recv() => answering = Some(address),
            Ok(length) = as_offering.recv(&mut from_answering) => {
                if let Some(offering) = offering {
                    as_answering.send_to(&from_answering[..length], offering).await.expect("sent");
                }
            }
            Ok(length) = as_answering.recv(&mut from_offering) => {
                let Some(answering) = answering else { continue };
                let packet = &from_offering[..length];
                if packet.first() == Some(&APPLICATION_DATA) {
                    records += 1;
                    if records == 2 {
                        held = Some(packet.to_vec());
                        continue;
                    }
                }
                let before = held.take_if(|_| records == 3);
                let packets = match (&before, order) {
                    (None, _) => vec![packet],
                    (Some(held), Order::ThirdBeforeSecond) => vec![packet, held],
                    (Some(held), Order::SecondWithThird) => vec![held, packet],
                };
                for packet in packets {
                    as_offering.send_to(packet, answering).await.expect("sent");
                }
            }
            else => return,
        }
    }
}

/// The first byte of a DTLS record that carries SCTP (RFC 5246, section 6.2.1).
const APPLICATION_DATA: u8 = 23;
