//! Calls over real sockets on loopback: sound and two tracks of pictures, both ways.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_peer::{
    Admission, Call, Camera, Channel, Config, Connection, Event, Failure, LinkState, Manners, Media,
    SendError, Sent, Signal, SignalKind, Track,
};
use farwheel_proto::rate::Verdict;
use farwheel_proto::sound::{Packet, Received, SoundTime};
use farwheel_proto::video::{Bitrate, EncodedFrame, FrameKind, Size};
use support::{CAMERA, End, Pair, Side, picture};

const CALL: Call = Call {
    camera: CAMERA,
    screen: Camera { size: Size::new(1920, 1080), fps: 30, bitrate_max: Bitrate::from_kbps(2500) },
};

/// So long without room, and all is full.
const STANDSTILL: Duration = Duration::from_millis(500);
/// How often it is looked whether there is room.
const LOOK: Duration = Duration::from_millis(5);

/// Two callers; `app` is the newcomer, who offers.
fn callers() -> Pair {
    let newcomer = Config::offer(Media::Call(CALL), Manners::Polite);
    let other = Config::answer(newcomer.conn, Media::Call(CALL), Manners::Impolite);
    Pair { app: End::open(newcomer), robot: End::open(other), delivered: Vec::new() }
}

async fn connected(mut pair: Pair) -> Pair {
    pair.until("both connected", both_connected).await;
    pair
}

fn both_connected(pair: &Pair) -> bool {
    [&pair.app, &pair.robot].iter().all(|end| end.connection.state() == LinkState::Connected)
}

/// A packet of sound whose bytes follow from its number.
fn sound(number: u32) -> Packet {
    Packet {
        media_time: SoundTime(number * 960),
        data: Bytes::from(vec![number as u8 | 1; 60 + number as usize % 40]),
        begins: number == 0,
        lasts: Duration::from_millis(20),
    }
}

async fn next_picture(end: &mut End, track: Track) -> EncodedFrame {
    let frames = match track {
        Track::Camera => &mut end.incoming.camera,
        Track::Screen => &mut end.incoming.screen,
    };
    tokio::time::timeout(support::PATIENCE, frames.recv()).await.expect("in time").expect("open")
}

async fn next_sound(end: &mut End) -> Received {
    tokio::time::timeout(support::PATIENCE, end.incoming.sound.recv()).await.expect("in time").expect("open")
}

/// Sends one of each from one end and finds them at the other, each where it belongs.
async fn exchange(pair: &mut Pair, from: Side, number: u32) {
    let to = if from == Side::App { Side::Robot } else { Side::App };
    let base = number * 10;
    for (track, number, bytes) in [(Track::Camera, base + 1, 9000), (Track::Screen, base + 2, 30_000)] {
        let sent = picture(number, FrameKind::Key, bytes);
        assert_eq!(pair.end(from).connection.send_frame(track, sent.clone()), Sent::Queued);
        let got = next_picture(pair.end_mut(to), track).await;
        assert_eq!((got.media_time, &got.data), (sent.media_time, &sent.data), "{track:?}");
    }
    let sent = sound(base);
    pair.end(from).connection.send_sound(sent.clone()).expect("connected");
    let got = next_sound(pair.end_mut(to)).await;
    assert_eq!((got.media_time, got.data), (sent.media_time, sent.data));
}

#[tokio::test]
async fn sound_and_both_tracks_travel_both_ways_at_once() {
    let mut pair = connected(callers()).await;
    for number in 0..5 {
        exchange(&mut pair, Side::App, number).await;
        exchange(&mut pair, Side::Robot, number).await;
    }
    for end in [&mut pair.app, &mut pair.robot] {
        assert!(end.incoming.camera.try_recv().is_none() && end.incoming.screen.try_recv().is_none());
        let stats = end.connection.stats();
        assert_eq!((stats.frames_received, stats.frames_sent), (10, 10), "{stats:?}");
        let sound = stats.sound;
        assert_eq!((sound.packets_sent, sound.packets_received, sound.packets_lost), (5, 5, 0), "{stats:?}");
    }
}

#[tokio::test]
async fn sound_keeps_its_numbers_its_times_and_its_beginning_over_a_pause() {
    let mut pair = connected(callers()).await;
    let mut first = None;
    for (n, media_time) in [0, 960, 1920, 500_000, 500_960].into_iter().enumerate() {
        let packet =
            Packet { media_time: SoundTime(media_time), begins: n == 0 || n == 3, ..sound(n as u32) };
        let before = Instant::now();
        pair.app.connection.send_sound(packet).expect("connected");
        let got = next_sound(&mut pair.robot).await;
        assert_eq!(got.media_time, SoundTime(media_time));
        assert!(got.arrived_at >= before && got.arrived_at <= Instant::now());
        let first = *first.get_or_insert(got.sequence);
        assert_eq!(got.sequence, first.wrapping_add(n as u16), "silence is no hole in the numbers");
    }
}

#[tokio::test]
async fn what_is_muted_is_not_sent_and_needs_no_negotiation_to_come_back() {
    let mut pair = connected(callers()).await;
    exchange(&mut pair, Side::App, 0).await;
    let said = pair.delivered.len();
    // Sound and the screen are off; the camera goes on.
    for number in 1..=20 {
        pair.app.connection.send_frame(Track::Camera, picture(number, FrameKind::Key, 2000));
        next_picture(&mut pair.robot, Track::Camera).await;
    }
    assert!(
        pair.robot.incoming.screen.try_recv().is_none() && pair.robot.incoming.sound.try_recv().is_none()
    );
    assert_eq!(pair.robot.connection.stats().sound.packets_received, 1);
    exchange(&mut pair, Side::App, 3).await;
    exchange(&mut pair, Side::Robot, 4).await;
    let negotiated = |signal: &&Signal| matches!(signal.kind, SignalKind::Offer | SignalKind::Answer);
    assert_eq!(pair.delivered[said..].iter().filter(negotiated).count(), 0);
}

#[tokio::test]
async fn the_sections_of_a_call_are_always_the_same_and_answered_both_ways() {
    let pair = connected(callers()).await;
    for kind in [SignalKind::Offer, SignalKind::Answer] {
        let signal = pair.delivered.iter().find(|signal| signal.kind == kind).expect("negotiated");
        let sdp = signal.data["sdp"].as_str().expect("a description");
        let sections: Vec<_> = sdp.split("\r\nm=").skip(1).map(|one| format!("{one}\r\n")).collect();
        let kinds: Vec<_> = sections.iter().map(|one| one.split(' ').next().expect("a kind")).collect();
        assert_eq!(kinds, ["audio", "video", "video", "application"], "{kind:?}");
        for (n, section) in sections.iter().enumerate() {
            let has = |line: &str| section.contains(&format!("\r\n{line}"));
            assert!(has(&format!("a=mid:{n}\r\n")) && has("a=sendrecv\r\n"), "{kind:?}: {section}");
            if n < 3 {
                assert!(has("a=ssrc:") && has("a=msid:") && section.contains("transport-cc"), "{section}");
            }
            assert_eq!(has("a=ssrc-group:FID "), n == 1 || n == 2, "{section}");
        }
        assert!(sections[0].contains("a=rtpmap:111 opus/48000/2\r\n"), "{}", sections[0]);
        assert!(sections[0].contains("useinbandfec=1"), "{}", sections[0]);
    }
}

#[tokio::test]
async fn a_request_for_a_key_frame_names_its_track() {
    let mut pair = connected(callers()).await;
    let asked = |pair: &Pair, track| {
        let is_it = |event: &&Event| matches!(event, Event::KeyframeRequested(of) if *of == track);
        pair.robot.seen.iter().filter(is_it).count()
    };
    pair.until("the first requests", |pair| Track::ALL.iter().all(|track| asked(pair, *track) == 1)).await;
    exchange(&mut pair, Side::Robot, 0).await;
    pair.app.connection.request_keyframe(Track::Screen);
    pair.until("a request for the screen", |pair| asked(pair, Track::Screen) == 2).await;
    assert_eq!(asked(&pair, Track::Camera), 1);
    pair.app.connection.request_keyframe(Track::Camera);
    pair.until("a request for the camera", |pair| asked(pair, Track::Camera) == 2).await;
}

#[tokio::test]
async fn the_targets_share_the_rate_of_the_connection() {
    let mut pair = connected(callers()).await;
    let connection = &pair.app.connection;
    let kbps =
        |connection: &Connection, track| connection.target(track).expect("it sends both").bitrate.as_kbps();
    assert!(matches!(connection.admit_frame(Track::Camera), Some(Verdict::Encode { .. })));
    let alone = kbps(connection, Track::Camera);
    assert!(alone >= 800, "{alone}");
    assert!(matches!(connection.admit_frame(Track::Screen), Some(Verdict::Encode { .. })));
    let (camera, screen) = (kbps(connection, Track::Camera), kbps(connection, Track::Screen));
    assert!(camera >= 100 && camera < alone && screen > camera, "{camera} and {screen} of {alone}");
    connection.set_bitrate_max(Track::Screen, Bitrate::from_kbps(300));
    assert!(kbps(connection, Track::Screen) <= 300);
    exchange(&mut pair, Side::App, 0).await;
}

#[tokio::test]
async fn both_ends_know_each_others_certificate() {
    let mut pair = callers();
    assert_eq!(pair.app.connection.fingerprints(), None, "nothing is proved yet");
    pair = connected(pair).await;
    let [app, robot] =
        [&pair.app, &pair.robot].map(|end| end.connection.fingerprints().expect("the handshake is done"));
    assert_eq!((&app.own, &app.other), (&robot.other, &robot.own));
    assert_ne!(app.own, app.other);
    // As the descriptions have it.
    let answer = pair.delivered.iter().find(|signal| signal.kind == SignalKind::Answer).expect("answered");
    assert_eq!(answer.fingerprint(), Some(robot.own.clone()));
    // A later description that names another certificate changes nothing.
    pair.app.connection.restart_ice();
    pair.until("another offer", |pair| {
        pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Offer).count() == 2
    })
    .await;
    let mut forged = pair.delivered.iter().rfind(|signal| signal.kind == SignalKind::Offer).cloned().unwrap();
    let sdp = forged.data["sdp"].as_str().unwrap();
    let at = sdp.find("a=fingerprint:sha-256 ").expect("it names one") + "a=fingerprint:sha-256 ".len();
    let sdp = format!("{}{}{}", &sdp[..at], "00", &sdp[at + 2..]);
    forged.data = serde_json::json!({ "sdp": sdp });
    pair.robot.connection.handle_signal(forged);
    pair.until("connected again", both_connected).await;
    assert_eq!(pair.robot.connection.fingerprints(), Some(robot));
}

#[tokio::test]
async fn files_arrive_whole_and_are_held_back_while_nobody_reads_them() {
    let mut pair = connected(callers()).await;
    let piece = |n: u32| Bytes::from(vec![n as u8; 16 * 1024]);
    let mut sent = 0;
    // Nobody reads the events at the other end: whatever lies between fills up, until nothing more is taken.
    let mut moved_at = Instant::now();
    while moved_at.elapsed() < STANDSTILL {
        while pair.app.connection.file_places() > 0 {
            pair.app.connection.send(Channel::File, piece(sent)).expect("there is room");
            sent += 1;
            moved_at = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(pair.app.connection.send(Channel::File, piece(sent)), Err(SendError::Full));
    assert_eq!(pair.robot.connection.state(), LinkState::Connected);
    let all = sent + 100;
    let mut received = 0;
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    while received < all {
        while sent < all && pair.app.connection.file_places() > 0 {
            pair.app.connection.send(Channel::File, piece(sent)).expect("there is room");
            sent += 1;
        }
        tokio::select! {
            Some(event) = pair.robot.events.recv() => {
                if let Event::Message { channel: Channel::File, data } = event {
                    assert_eq!(data, piece(received), "piece {received}");
                    received += 1;
                }
            }
            () = tokio::time::sleep_until(deadline) => panic!("{received} of {sent} pieces arrived"),
        }
    }
    // Only a call has a way for files.
    let drive = Pair::connected().await;
    assert_eq!(drive.app.connection.send(Channel::File, piece(0)), Err(SendError::NoFiles));
}

#[tokio::test]
async fn two_offers_at_once_end_in_one_connection_in_either_order() {
    for order in [[Side::App, Side::Robot], [Side::Robot, Side::App]] {
        let polite = End::open(Config::offer(Media::Call(CALL), Manners::Polite));
        let impolite = End::open(Config::offer(Media::Call(CALL), Manners::Impolite));
        let mut pair = Pair { app: polite, robot: impolite, delivered: Vec::new() };
        let offers = [offer_of(&mut pair.app).await, offer_of(&mut pair.robot).await];
        let [from_polite, from_impolite] = &offers;
        for to in order {
            match to {
                // The polite one gives up its own and takes the other's, under the other's name.
                Side::App => {
                    assert_eq!(pair.app.connection.admits(from_impolite), Admission::Replace);
                    pair.app.connection.close().await;
                    pair.app =
                        End::open(Config::answer(from_impolite.conn, Media::Call(CALL), Manners::Polite));
                    pair.app.connection.handle_signal(from_impolite.clone());
                }
                Side::Robot => assert_eq!(pair.robot.connection.admits(from_polite), Admission::Stale),
            }
        }
        pair.until("connected", both_connected).await;
        exchange(&mut pair, Side::App, 0).await;
        exchange(&mut pair, Side::Robot, 0).await;
        let offered = pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Offer).count();
        assert_eq!(offered, 0, "the offer of the impolite one was enough");
    }
}

#[tokio::test]
async fn media_go_on_over_restarts_of_ice_by_either_side_and_by_both_at_once() {
    let mut pair = connected(callers()).await;
    for (round, sides) in
        [&[Side::App][..], &[Side::Robot], &[Side::App, Side::Robot]].into_iter().enumerate()
    {
        let answers =
            |pair: &Pair| pair.delivered.iter().filter(|signal| signal.kind == SignalKind::Answer).count();
        let before = answers(&pair);
        sides.iter().for_each(|side| pair.end(*side).connection.restart_ice());
        pair.until("another answer", |pair| answers(pair) > before).await;
        pair.until("connected", both_connected).await;
        // What leaves while the sockets are exchanged may be lost, so more is sent until some arrives.
        let mut number = 100 * (round as u32 + 1);
        for (from, to) in [(Side::App, Side::Robot), (Side::Robot, Side::App)] {
            let deadline = Instant::now() + support::PATIENCE;
            let mut heard = (false, false, false);
            while heard != (true, true, true) {
                assert!(Instant::now() < deadline, "{heard:?} from {from:?} after restart {round}");
                number += 1;
                let sender = &pair.end(from).connection;
                sender.send_frame(Track::Camera, picture(number, FrameKind::Key, 3000));
                sender.send_frame(Track::Screen, picture(number, FrameKind::Key, 3000));
                sender.send_sound(sound(number)).expect("connected");
                let until = tokio::time::Instant::now() + Duration::from_millis(50);
                let incoming = &mut pair.end_mut(to).incoming;
                while heard != (true, true, true) {
                    tokio::select! {
                        Some(_) = incoming.camera.recv() => heard.0 = true,
                        Some(_) = incoming.screen.recv() => heard.1 = true,
                        Some(_) = incoming.sound.recv() => heard.2 = true,
                        () = tokio::time::sleep_until(until) => break,
                    }
                }
            }
        }
    }
}

/// A driver's app and a robot, each with sound or without, whichever offers.
async fn drive(offers: Side, app_has_sound: bool, robot_has_sound: bool) -> Pair {
    let complete = |config: Config, has_sound| if has_sound { config.with_sound() } else { config };
    let (app, robot) = match offers {
        Side::App => {
            let app = Config::offer(Media::Receive, Manners::Polite);
            let robot = Config::answer(app.conn, Media::Send(CAMERA), Manners::Impolite);
            (app, robot)
        }
        Side::Robot => {
            let robot = Config::offer(Media::Send(CAMERA), Manners::Polite);
            (Config::answer(robot.conn, Media::Receive, Manners::Impolite), robot)
        }
    };
    connected(Pair {
        app: End::open(complete(app, app_has_sound)),
        robot: End::open(complete(robot, robot_has_sound)),
        delivered: Vec::new(),
    })
    .await
}

#[tokio::test]
async fn pictures_go_on_over_restarts_of_ice_where_one_side_refused_the_others_sound() {
    for (app_has, robot_has) in [(true, false), (false, true)] {
        for offers in [Side::App, Side::Robot] {
            let mut pair = drive(offers, app_has, robot_has).await;
            for (round, restarts) in [Side::App, Side::Robot, Side::App].into_iter().enumerate() {
                let answers =
                    |pair: &Pair| pair.delivered.iter().filter(|it| it.kind == SignalKind::Answer).count();
                let before = answers(&pair);
                pair.end(restarts).connection.restart_ice();
                let what = format!("{offers:?} offered, sound {app_has} {robot_has}, restart {round}");
                pair.until(&what, |pair| answers(pair) > before).await;
                pair.until(&what, both_connected).await;
                let deadline = Instant::now() + support::PATIENCE;
                for number in 1_u32.. {
                    assert!(Instant::now() < deadline, "no picture: {what}");
                    pair.robot.connection.send_frame(Track::Camera, picture(number, FrameKind::Key, 3000));
                    let wait = Duration::from_millis(50);
                    if tokio::time::timeout(wait, pair.app.incoming.camera.recv()).await.is_ok() {
                        break;
                    }
                }
                assert!(!pair.app.connection.has_sound() && !pair.robot.connection.has_sound(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn an_offer_of_sound_that_nobody_here_knows_is_answered_without_sound() {
    let mut foreign = End::open(Config::offer(Media::Call(CALL), Manners::Impolite));
    let mut offer = offer_of(&mut foreign).await;
    let sdp = offer.data["sdp"].as_str().expect("an offer has a description");
    assert!(sdp.contains("opus/48000/2"), "{sdp}");
    offer.data["sdp"] = sdp.replace("opus/48000/2", "G722/8000").into();
    let mut own = End::open(Config::answer(offer.conn, Media::Call(CALL), Manners::Polite));
    own.connection.handle_signal(offer);
    let answer = loop {
        match own.events.recv().await.expect("it goes on") {
            Event::Signal(signal) if signal.kind == SignalKind::Answer => break signal,
            Event::State(LinkState::Failed(failure)) => panic!("{failure}"),
            _ => {}
        }
    };
    let sdp = answer.data["sdp"].as_str().expect("an answer has a description");
    let ports: Vec<_> = sdp.lines().filter(|line| line.starts_with("m=")).map(|line| &line[..9]).collect();
    assert_eq!(ports, ["m=audio 0", "m=video 9", "m=video 9", "m=applica"], "{sdp}");
}

#[tokio::test]
async fn a_drive_has_sound_where_both_sides_do_and_pictures_in_any_case() {
    for offers in [Side::App, Side::Robot] {
        for (app_has, robot_has) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut pair = drive(offers, app_has, robot_has).await;
            let what = format!("{offers:?} offers, app {app_has}, robot {robot_has}");
            pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Key, 3000));
            next_picture(&mut pair.app, Track::Camera).await;
            let has = app_has && robot_has;
            for (from, to) in [(Side::App, Side::Robot), (Side::Robot, Side::App)] {
                assert_eq!(pair.end(from).connection.has_sound(), has, "{what}");
                let sent = pair.end(from).connection.send_sound(sound(1));
                assert_eq!(sent, if has { Ok(()) } else { Err(SendError::NoSound) }, "{what}");
                if has {
                    assert_eq!(next_sound(pair.end_mut(to)).await.data, sound(1).data, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_caller_who_closes_is_seen_to() {
    let mut pair = connected(callers()).await;
    exchange(&mut pair, Side::App, 0).await;
    pair.app.connection.close().await;
    pair.until("the other one hears of it", |pair| {
        pair.robot.connection.state() == LinkState::Failed(Failure::ClosedByPeer)
    })
    .await;
    assert!(pair.app.incoming.sound.recv().await.is_none(), "the sound ends with the connection");
    assert_eq!(pair.app.connection.send_sound(sound(1)), Err(SendError::NotConnected));
}

async fn offer_of(end: &mut End) -> Signal {
    loop {
        match end.events.recv().await.expect("open") {
            Event::Signal(signal) if signal.kind == SignalKind::Offer => return signal,
            event => end.seen.push(event),
        }
    }
}
