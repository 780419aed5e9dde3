//! One function per decoder of what a peer sends: takes any bytes, must not panic, and checks what has to hold.
//!
//! The fuzz targets call these; so does `crates/proto/tests/decoders.rs` with a bounded number of cases on stable Rust.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_proto::call;
use farwheel_proto::call::chat::{Author, Chat};
use farwheel_proto::call::file::{Chunk, FileId, Inbox, Outbox};
use farwheel_proto::call::verify::{Fingerprints, Verifier, identity::Identity};
use farwheel_proto::control::actuator::{self, ActuatorCore, MachineTime};
use farwheel_proto::control::link_report::LinkReport;
use farwheel_proto::control::mixer::{self, Channel, Mixer, Profile};
use farwheel_proto::control::place::{Outline, Place};
use farwheel_proto::control::probe::{Ping, Pong};
use farwheel_proto::control::receiver_report::ReceiverReport;
use farwheel_proto::control::telemetry::{Fast, Slow, Telemetry};
use farwheel_proto::control::{DriveCommand, Event, PathCounts};
use farwheel_proto::rtp::payload::{self, Payload};
use farwheel_proto::rtp::{Assembler, Command, Packet};
use farwheel_proto::signaling::rooms::{self, Host, LinkId, Rooms};
use farwheel_proto::signaling::{Auth, ClientFrame, IceServer, Limits, PeerId, Permission, ServerFrame};
use farwheel_proto::switch::{self, Carrier, Switch};
use farwheel_proto::video::MediaTime;

/// A decoder under test.
pub type Target = fn(&[u8]);

/// All of them with their names.
pub const ALL: [(&str, Target); 10] = [
    ("client_message", client_message),
    ("server_message", server_message),
    ("rooms", whole_rooms),
    ("drive_command", drive_command),
    ("telemetry", telemetry),
    ("event", event),
    ("actuator", actuator_message),
    ("rtp", rtp),
    ("call", call),
    ("switch", switch),
];

/// Signalling, client to server: what is read is written and read alike.
pub fn client_message(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(frame) = ClientFrame::parse(bytes, &limits) {
        let text = frame.to_json();
        // Longer than it came only where escapes are written out.
        let roomy = Limits { message_bytes: 8 * limits.message_bytes, ..limits };
        assert_eq!(ClientFrame::parse(text.as_bytes(), &roomy), Ok(frame), "{text}");
    }
}

/// Signalling, server to client.
pub fn server_message(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(frame) = ServerFrame::parse(bytes, &limits) {
        let text = frame.to_json();
        let roomy = Limits { queue_bytes: 8 * limits.queue_bytes, ..limits };
        assert_eq!(ServerFrame::parse(text.as_bytes(), &roomy), Ok(frame), "{text}");
    }
}

struct AnyHost(u128);

impl Host for AnyHost {
    fn entropy(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }

    fn authorise(&mut self, _: &Auth) -> Option<Vec<Permission>> {
        Some(Permission::ALL.to_vec())
    }

    fn ice_servers(&mut self, _: PeerId, _: LinkId) -> (Vec<IceServer>, Option<u64>) {
        (Vec::new(), None)
    }
}

/// A conversation: each line is a message of one of three clients, its first byte says whose and how much later.
pub fn whole_rooms(bytes: &[u8]) {
    let mut now = start();
    let mut rooms = Rooms::new(rooms::Config::default(), AnyHost(0));
    let mut links = [0, 1, 2].map(LinkId);
    let mut next = 3;
    for link in links {
        rooms.handle_connected(link, [192, 0, 2, 1].into(), now);
        let hello = br#"{"type":"hello","protocol":"rtcsig/1","client":{"name":"","version":""},"auth":{"token":""}}"#;
        rooms.handle_message(link, hello, now);
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((head, text)) = line.split_first() else { continue };
        now += Duration::from_millis(u64::from(head / 3) * 100);
        let who = usize::from(head % 3);
        rooms.handle_timeout(now);
        rooms.handle_message(links[who], text, now);
        while let Some(command) = rooms.poll_command() {
            match command {
                rooms::Command::Send { text, .. } => {
                    ServerFrame::parse(&text, &Limits::default())
                        .expect("a client can read what a server sends");
                }
                rooms::Command::Close { link, .. } => {
                    if let Some(slot) = links.iter_mut().find(|slot| **slot == link) {
                        *slot = LinkId(next);
                        next += 1;
                        rooms.handle_connected(*slot, [192, 0, 2, 1].into(), now);
                    }
                }
            }
        }
        assert!(rooms.census().links <= 3);
    }
}

/// Channel `control`.
pub fn drive_command(bytes: &[u8]) {
    if let Ok(command) = DriveCommand::decode(bytes) {
        assert_eq!(DriveCommand::decode(&command.encode()), Ok(command));
    }
}

/// Channel `telemetry`, both ways.
pub fn telemetry(bytes: &[u8]) {
    match Telemetry::decode(bytes) {
        Ok(Telemetry::Fast(fast)) => assert_eq!(Fast::decode(&fast.encode()), Ok(fast)),
        Ok(Telemetry::Slow(slow)) => assert_eq!(Slow::decode(&slow.encode()), Ok(slow)),
        Err(_) => {}
    }
    if let Ok(report) = LinkReport::decode(bytes) {
        assert_eq!(LinkReport::decode(&report.encode()), Ok(report));
    }
    if let Ok(counts) = PathCounts::decode(bytes) {
        assert_eq!(PathCounts::decode(&counts.encode()), Ok(counts));
    }
    if let Ok(report) = ReceiverReport::decode(bytes) {
        assert_eq!(ReceiverReport::decode(&report.encode()), Ok(report));
    }
    if let Ok(place) = Place::decode(bytes) {
        assert_eq!(Place::decode(&place.encode()), Ok(place));
    }
    if let Ok(outline) = Outline::decode(bytes) {
        assert_eq!(Outline::decode(&outline.encode()), Ok(outline));
    }
    if let Ok(ping) = Ping::decode(bytes) {
        assert_eq!(Ping::decode(&ping.encode()), Ok(ping));
    }
    if let Ok(pong) = Pong::decode(bytes) {
        assert_eq!(Pong::decode(&pong.encode()), Ok(pong));
    }
}

/// Channel `event`.
pub fn event(bytes: &[u8]) {
    if let Ok(event) = Event::decode(bytes)
        // Escapes may make it longer than what may be sent.
        && let Ok(encoded) = event.encode()
    {
        assert_eq!(Event::decode(&encoded).expect("what is written can be read"), event);
    }
}

/// Datagrams between `run` and the actuator process: whatever the outputs are told, they stay within their channels.
/// Two bytes before each datagram say how much later it comes and how long it is.
pub fn actuator_message(bytes: &[u8]) {
    if let Ok(reply) = actuator::Reply::decode(bytes) {
        assert_eq!(actuator::Reply::decode(&reply.encode()), Ok(reply));
    }
    let channels = [Channel::default(); 4];
    let mixer =
        Mixer::new(mixer::Config::new(Profile::Ackermann, channels).expect("the default channels are safe"));
    let mut now = MachineTime(1_000_000);
    let mut core = ActuatorCore::new(mixer, 1, now);
    core.handle_message(bytes, now).ok();
    let mut rest = bytes;
    while let [pause, length, tail @ ..] = rest {
        let (datagram, after) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = after;
        now = now.after(Duration::from_millis(u64::from(*pause)));
        core.handle_message(datagram, now).ok();
        if let Some(duty) = core.poll_output(now) {
            assert!(duty.outputs().iter().all(|pulse| (1000..=2000).contains(&pulse.us())), "{duty:?}");
        }
    }
}

/// RTP payloads: alone, and as a stream through the assembler. Each packet is made of a head of five bytes (sequence
/// step, time step, marker, length, pause in ms) and its payload.
pub fn rtp(bytes: &[u8]) {
    if let Ok(payload) = Payload::parse(bytes) {
        payload.first_unit_kind();
        payload.opens_key_frame();
    }
    let picture = Bytes::copy_from_slice(bytes);
    for payload in payload::split(&picture, 100) {
        assert!(!payload.is_empty() && payload.len() <= 100);
        // Sent as it is, even if it is of a kind that no encoder makes.
        Payload::parse(&payload).ok();
    }

    let mut now = start();
    let mut assembler = Assembler::new();
    let (mut sequence, mut time, mut rest) = (0u16, 0u32, bytes);
    while let [step, ticks, marker, length, pause, tail @ ..] = rest {
        let (payload, after) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = after;
        // Signed: late and repeated packets as well.
        sequence = sequence.wrapping_add_signed(i16::from(*step as i8));
        time = time.wrapping_add_signed(i32::from(*ticks as i8) * 1000);
        now += Duration::from_millis(u64::from(*pause));
        let payload = Bytes::copy_from_slice(payload);
        let packet = Packet { sequence, media_time: MediaTime(time), marker: marker & 1 == 1, payload };
        assembler.handle_packet(packet, now);
        if assembler.poll_timeout().is_some_and(|at| at <= now) {
            assembler.handle_timeout(now);
        }
        while let Some(command) = assembler.poll_command() {
            if let Command::Frame(frame) = command {
                assert!(frame.data.starts_with(&[0, 0, 0, 1]) || frame.data.starts_with(&[0, 0, 1]));
            }
        }
    }
}

/// Some instant to count from.
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
pub fn start() -> Instant {
    Instant::now()
}

/// A call's messages: each line is one, or else a piece of a file, from one of two peers; its first byte says whose and
/// how much later. What is read is written and read alike.
pub fn call(bytes: &[u8]) {
    let mut now = start();
    let peers = [PeerId::new(1), PeerId::new(2)];
    let mut chat = Chat::new(Author(7), "Ada");
    let (mut inbox, mut outbox) = (Inbox::new(1 << 20), Outbox::default());
    let prints = Fingerprints { own: "sha-256 aa".into(), other: "sha-256 bb".into() };
    let (mut verifier, _) = Verifier::new(&Identity::from_seed(&[1; 32]), prints, [2; 32]);
    outbox.offer(FileId(1), "a", 100_000, &peers);
    for peer in peers {
        chat.handle_up(peer);
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((head, text)) = line.split_first() else { continue };
        now += Duration::from_millis(u64::from(head >> 1));
        let from = peers[usize::from(head & 1)];
        match call::Message::decode(text) {
            Ok(Some(message)) => {
                assert_eq!(call::Message::decode(&message.encode()).ok().flatten().as_ref(), Some(&message));
                match message {
                    call::Message::Chat(message) => drop(chat.handle_message(from, message)),
                    call::Message::File(message) => {
                        if let Some(key) = inbox.handle_message(from, &message, now) {
                            inbox.take(key, now);
                        }
                        outbox.handle_message(from, &message, now);
                    }
                    call::Message::Verify(message) => drop(verifier.handle_message(&message)),
                    call::Message::Hello(_)
                    | call::Message::State(_)
                    | call::Message::Want(_)
                    | call::Message::MuteRequest
                    | call::Message::Goodbye => {}
                }
            }
            Ok(None) => {}
            Err(_) => {
                if let Some(chunk) = Chunk::decode(Bytes::copy_from_slice(text)) {
                    inbox.handle_chunk(from, chunk);
                }
            }
        }
        for peer in peers {
            if let Some(read) = outbox.poll_read(peer, 64 * 1024) {
                assert!(read.offset + read.length as u64 <= 100_000);
            }
        }
    }
    assert!(chat.lines().count() <= call::chat::LINES_MAX);
}

/// Frames of a stream over two carriers: whatever came before, what an end answers is understood by the other one.
pub fn switch(bytes: &[u8]) {
    let now = start();
    let (mut one, mut other) = (Switch::new(1), Switch::new(2));
    for end in [&mut one, &mut other] {
        end.handle_carrier(Carrier::Direct, switch::State::Up, now);
        end.send(Bytes::from_static(b"kept"), now).expect("there is room");
    }
    // Frames of a length that their first byte tells.
    let mut rest = bytes;
    while let Some((&len, after)) = rest.split_first() {
        let (frame, after) = after.split_at(after.len().min(len.into()));
        one.handle_frame(&Bytes::copy_from_slice(frame), now).ok();
        one.handle_timeout(now + Duration::from_secs(1));
        rest = after;
    }
    while let Some(command) = one.poll_command() {
        if let switch::Command::Send(_, frame) = command {
            other.handle_frame(&frame, now).expect("an end writes frames");
        }
    }
}
