//! How connections begin, collide and end.

mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use farwheel_peer::{
    Admission, Beside, Bind, Channel, Config, ConnId, Connection, Event, Failure, LinkState, Manners, Media,
    Signal, SignalKind, Track,
};
use farwheel_proto::video::FrameKind;
use serde_json::json;
use support::{CAMERA, End, PATIENCE, Pair, Side, picture};

#[tokio::test]
async fn a_robot_may_offer_too() {
    let robot = Config::offer(Media::Send(CAMERA), Manners::Polite);
    let app = Config::answer(robot.conn, Media::Receive, Manners::Impolite);
    let mut pair = Pair { app: End::open(app), robot: End::open(robot), delivered: Vec::new() };
    pair.until("connected", both_connected).await;
    pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Key, 5000));
    pair.app.incoming.camera.recv().await.expect("open");
}

#[tokio::test]
async fn of_two_offers_at_once_the_impolite_one_counts() {
    let polite = End::open(Config::offer(Media::Receive, Manners::Polite));
    let impolite = End::open(Config::offer(Media::Send(CAMERA), Manners::Impolite));
    let mut pair = Pair { app: polite, robot: impolite, delivered: Vec::new() };
    let (from_polite, from_impolite) = (offer_of(&mut pair.app).await, offer_of(&mut pair.robot).await);
    assert_eq!(pair.robot.connection.admits(&from_polite), Admission::Stale);
    assert_eq!(pair.app.connection.admits(&from_impolite), Admission::Replace);
    pair.app.connection.close().await;
    pair.app = End::open(Config::answer(from_impolite.conn, Media::Receive, Manners::Polite));
    assert_eq!(pair.app.connection.admits(&from_impolite), Admission::Mine);
    pair.app.connection.handle_signal(from_impolite);
    pair.until("connected", both_connected).await;
}

#[tokio::test]
async fn signals_of_another_attempt_are_stale_and_a_new_offer_replaces() {
    let pair = Pair::connected().await;
    let other = ConnId::new(7);
    for kind in [
        SignalKind::Answer,
        SignalKind::Candidate,
        SignalKind::CandidatesEnd,
        SignalKind::Ping,
        SignalKind::Pong,
        SignalKind::Bye,
    ] {
        let signal = Signal { conn: other, kind, data: json!(null) };
        assert_eq!(pair.robot.connection.admits(&signal), Admission::Stale, "{kind:?}");
        pair.robot.connection.handle_signal(signal);
    }
    let offer = Signal { conn: other, kind: SignalKind::Offer, data: json!({"sdp": ""}) };
    assert_eq!(pair.robot.connection.admits(&offer), Admission::Replace);
    assert_eq!(pair.app.connection.admits(&offer), Admission::Replace);
    assert_eq!(pair.robot.connection.state(), LinkState::Connected);
}

#[tokio::test]
async fn a_restart_of_ice_by_either_side_keeps_the_channels() {
    let mut pair = Pair::connected().await;
    for (number, side) in [(0, Side::App), (1, Side::Robot)] {
        let answers =
            |pair: &Pair| pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Answer).count();
        let before = answers(&pair);
        pair.end(side).connection.restart_ice();
        pair.until("a second answer", |pair| answers(pair) > before).await;
        let sent = Bytes::from(vec![number]);
        pair.app.connection.send(Channel::Event, sent.clone()).expect("open");
        assert_eq!(pair.message(Side::Robot, Channel::Event).await, sent);
        pair.robot.connection.send_frame(Track::Camera, picture(u32::from(number), FrameKind::Key, 3000));
        tokio::time::timeout(support::PATIENCE, pair.app.incoming.camera.recv())
            .await
            .expect("in time")
            .expect("open");
    }
}

#[tokio::test]
async fn two_restarts_at_once_end_in_one() {
    let mut pair = Pair::connected().await;
    pair.app.connection.restart_ice();
    pair.robot.connection.restart_ice();
    pair.until("an answer", |pair| {
        pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Answer).count() > 1
    })
    .await;
    pair.robot.connection.send(Channel::Event, Bytes::from_static(b"still here")).expect("open");
    pair.message(Side::App, Channel::Event).await;
}

#[tokio::test]
async fn a_peer_that_is_asked_by_way_of_the_server_whether_it_is_there_says_so() {
    let mut pair = Pair::connected().await;
    let conn = pair.app.connection.conn();
    pair.robot.connection.handle_signal(Signal { conn, kind: SignalKind::Ping, data: json!(null) });
    let answers =
        |pair: &Pair| pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Pong).count();
    pair.until("an answer", |pair| answers(pair) == 1).await;
    assert_eq!(pair.app.connection.state(), LinkState::Connected);
}

#[tokio::test]
async fn nonsense_from_the_peer_fails_the_connection_in_words() {
    for (data, want) in [(json!({"sdp": "nonsense"}), None), (json!({}), Some("a description without sdp"))] {
        let config =
            Config::answer(ConnId::new(1), Media::Send(CAMERA), Manners::Polite).with_bind(Bind::Loopback);
        let (connection, mut events, _incoming) = Connection::open(config);
        connection.handle_signal(Signal { conn: ConnId::new(1), kind: SignalKind::Offer, data });
        let failure = loop {
            match events.recv().await.expect("not closed") {
                Event::State(LinkState::Failed(failure)) => break failure,
                _ => continue,
            }
        };
        let Failure::Negotiation(reason) = failure else { panic!("{failure:?}") };
        assert!(want.is_none_or(|want| reason == want), "{reason}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_here_fails_the_connection_in_words() {
    let elsewhere = "203.0.113.1".parse().expect("an address");
    let config =
        Config::offer(Media::Send(CAMERA), Manners::Polite).with_bind(Bind::Addresses(vec![elsewhere]));
    let (connection, mut events, _incoming) = Connection::open(config);
    loop {
        match events.recv().await.expect("not closed") {
            Event::State(LinkState::Failed(Failure::Transport(_))) => break,
            _ => continue,
        }
    }
    connection.close().await;
}

/// The watchdog's times are tested in its own module; this one shows that it is wired.
#[tokio::test]
async fn without_an_answer_the_attempt_ends() {
    let (_connection, mut events, _incoming) =
        Connection::open(Config::offer(Media::Receive, Manners::Polite).with_bind(Bind::Loopback));
    loop {
        match events.recv().await.expect("not closed") {
            Event::State(LinkState::Failed(Failure::ConnectTimeout(_))) => break,
            _ => continue,
        }
    }
}

#[tokio::test]
async fn an_owner_that_has_read_nothing_for_long_still_learns_that_the_connection_has_failed() {
    let Pair { app, robot, .. } = Pair::connected().await;
    let (mut app, robot) = (app, robot);
    // More than wait for an owner; none of it may be lost silently.
    let mut sent = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !matches!(app.connection.state(), LinkState::Failed(_)) {
        assert!(tokio::time::Instant::now() < deadline, "{sent} messages were not too many");
        if robot.connection.send(Channel::Event, Bytes::from_static(b"more")).is_ok() {
            sent += 1;
        }
        tokio::task::yield_now().await;
    }
    loop {
        let event = tokio::time::timeout(PATIENCE, app.events.recv()).await.expect("it is told");
        if let Event::State(LinkState::Failed(failure)) = event.expect("it is told before the end") {
            assert!(matches!(failure, Failure::OwnerTooSlow(_) | Failure::ClosedByPeer), "{failure}");
            break;
        }
    }
}

/// Its own process (nextest) or the only test that counts (each is on its own runtime, but descriptors are shared): so
/// it compares what is open by name, not by number.
#[tokio::test]
async fn twenty_connects_and_closes_leave_no_socket_and_no_task() {
    let before = own_sockets();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for _ in 0..20 {
        let pair = Pair::connected().await;
        pair.app.connection.close().await;
        pair.robot.connection.close().await;
    }
    tokio::time::timeout(support::PATIENCE, async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("tasks end");
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(own_sockets().difference(&before).count(), 0);
    }
}

fn own_sockets() -> BTreeSet<String> {
    let names = std::fs::read_dir("/proc/self/fd").expect("a Linux system").filter_map(|entry| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        Some(link.to_string_lossy().into_owned())
    });
    // The process has one that tells of changed addresses; the inode is the last column.
    let netlink = std::fs::read_to_string("/proc/self/net/netlink").expect("a Linux system");
    let netlink: BTreeSet<_> = netlink.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let is_netlink = |name: &str| {
        name.trim_start_matches("socket:[").split(']').next().is_some_and(|inode| netlink.contains(inode))
    };
    names.filter(|name| name.starts_with("socket:") && !is_netlink(name)).collect()
}

fn both_connected(pair: &Pair) -> bool {
    [&pair.app, &pair.robot].iter().all(|end| end.connection.state() == LinkState::Connected)
}

async fn offer_of(end: &mut End) -> Signal {
    loop {
        match end.events.recv().await.expect("open") {
            Event::Signal(signal) if signal.kind == SignalKind::Offer => return signal,
            event => end.seen.push(event),
        }
    }
}

/// Each interface's address is told, but for those that nobody elsewhere could use; loopback is, as both ends may be on
/// one machine without a network.
#[tokio::test]
async fn everywhere_is_loopback_and_every_interface_and_no_link_local_address() {
    let (_connection, mut events, _incoming) =
        Connection::open(Config::offer(Media::Receive, Manners::Polite).with_bind(Bind::Everywhere));
    let mut told = Vec::new();
    loop {
        let Event::Signal(signal) = events.recv().await.expect("open") else { continue };
        match signal.kind {
            SignalKind::Candidate => {
                let line = signal.data["candidate"].as_str().expect("a candidate").to_owned();
                let address: IpAddr =
                    line.split(' ').nth(4).expect("an address").parse().expect("an address");
                told.push(address);
            }
            SignalKind::CandidatesEnd => break,
            _ => {}
        }
    }
    let want = |address: &IpAddr| match address {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => true,
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => {
            !address.is_unspecified() && !address.is_loopback() && !address.is_unicast_link_local()
        }
    };
    let here = rtc::shared::ifaces::ifaces().expect("interfaces").into_iter().filter_map(|one| one.addr);
    let mut here: Vec<IpAddr> = here.map(|address| address.ip()).filter(want).collect();
    for addresses in [&mut told, &mut here] {
        addresses.sort();
        addresses.dedup();
    }
    assert_eq!(told, here);
}

#[tokio::test]
async fn a_connection_without_video_stands_beside_another_and_carries_messages_alone() {
    let main = ConnId::new(0x51);
    let app = Config::offer(Media::None, Manners::Polite).with_beside(main);
    let robot = Config::answer(app.conn, Media::None, Manners::Impolite).with_beside(main);
    let mut pair = Pair { app: End::open(app), robot: End::open(robot), delivered: Vec::new() };
    pair.until("connected", both_connected).await;
    for (from, to, channel) in [
        (Side::App, Side::Robot, Channel::Control),
        (Side::Robot, Side::App, Channel::Telemetry),
        (Side::App, Side::Robot, Channel::Event),
    ] {
        pair.end(from).connection.send(channel, Bytes::from_static(b"word")).expect("open");
        assert_eq!(pair.message(to, channel).await, Bytes::from_static(b"word"));
    }
    // An offer for another path says it too, whichever side makes it, so that neither takes it for a fresh start.
    for side in [Side::App, Side::Robot] {
        let offers = |pair: &Pair| -> Vec<Signal> {
            pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Offer).cloned().collect()
        };
        let before = offers(&pair).len();
        pair.end(side).connection.restart_ice();
        pair.until("another offer", |pair| offers(pair).len() > before).await;
        assert!(offers(&pair).iter().all(|offer| offer.beside() == Beside::Connection(main)));
        assert!(offers(&pair).iter().all(|offer| !offer.data["sdp"].as_str().unwrap().contains("m=video")));
        pair.until("connected again", both_connected).await;
    }
    pair.until("the path is known", |pair| {
        let local = pair.app.connection.stats().local_address;
        local == Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) && pair.app.connection.stats().bytes_received > 0
    })
    .await;
}

#[test]
fn what_an_offer_stands_beside_is_read_from_it_alone() {
    let signal = |kind, data| Signal { conn: ConnId::new(1), kind, data };
    let main = json!({"sdp": "", "beside": "00c0ffee00c0ffee"});
    for (signal, want) in [
        (signal(SignalKind::Offer, main.clone()), Beside::Connection(ConnId::new(0x00c0_ffee_00c0_ffee))),
        (signal(SignalKind::Answer, main), Beside::Nothing),
        (signal(SignalKind::Offer, json!({"sdp": ""})), Beside::Nothing),
        (signal(SignalKind::Offer, json!(null)), Beside::Nothing),
        (signal(SignalKind::Offer, json!({"sdp": "", "beside": 5})), Beside::Unreadable),
        (signal(SignalKind::Offer, json!({"sdp": "", "beside": "main"})), Beside::Unreadable),
    ] {
        assert_eq!(signal.beside(), want, "{signal:?}");
    }
}
