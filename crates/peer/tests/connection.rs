//! Two connections over real sockets on loopback.

mod support;

use bytes::Bytes;
use farwheel_peer::{CandidateType, Channel, Event, Failure, LinkState, SendError, Sent, Track};
use farwheel_proto::video::FrameKind;
use support::{Pair, Side, picture};

#[tokio::test]
async fn pictures_arrive_as_they_were_sent() {
    let mut pair = Pair::connected().await;
    let sizes = [60_000, 900, 5000, 1, 20_000, 1200, 1159, 1160, 1161, 40_000];
    for (number, bytes) in sizes.into_iter().enumerate() {
        let kind = if number == 0 { FrameKind::Key } else { FrameKind::Delta };
        let sent = picture(number as u32, kind, bytes);
        assert_eq!(pair.robot.connection.send_frame(Track::Camera, sent.clone()), Sent::Queued);
        let got = tokio::time::timeout(support::PATIENCE, pair.app.incoming.camera.recv()).await;
        let got = got.expect("in time").expect("open");
        assert_eq!((got.kind, got.media_time, &got.data), (sent.kind, sent.media_time, &sent.data));
        assert!(got.arrived_at >= sent.arrived_at);
    }
    pair.until("figures", |pair| pair.app.connection.stats().rtt.is_some()).await;
    let stats = pair.app.connection.stats();
    assert_eq!(stats.frames_received, sizes.len() as u64);
    let selected = stats.pair.expect("a pair is selected");
    assert_eq!(selected.local, CandidateType::Host);
    assert!(matches!(selected.remote, CandidateType::Host | CandidateType::PeerReflexive), "{selected:?}");
    assert_eq!(stats.packetise, None, "it sent none");
    let stats = pair.robot.connection.stats();
    assert_eq!(stats.frames_sent, sizes.len() as u64);
    assert!(stats.packetise.is_some_and(|took| took < support::PATIENCE), "{:?}", stats.packetise);
}

#[tokio::test]
async fn messages_travel_both_ways_on_each_channel() {
    let mut pair = Pair::connected().await;
    for channel in [Channel::Control, Channel::Telemetry, Channel::Event] {
        for (from, to) in [(Side::App, Side::Robot), (Side::Robot, Side::App)] {
            let text = Bytes::from(format!("{channel:?} from {from:?}"));
            pair.end(from).connection.send(channel, text.clone()).expect("open");
            assert_eq!(pair.message(to, channel).await, text);
        }
    }
}

#[tokio::test]
async fn commands_do_not_wait_for_a_channel_that_gets_no_answers() {
    let mut pair = Pair::connected().await;
    pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Key, 100));
    pair.app.incoming.camera.recv().await.expect("open");
    // A lone packet is acknowledged after 200 ms (RFC 9260 section 6.2): the first one leaves the channel stuck.
    let datagrams = [1, 2, 3].map(|number| Bytes::from(vec![number; 600]));
    for datagram in &datagrams {
        pair.app.connection.send(Channel::Control, datagram.clone()).expect("open");
    }
    for datagram in &datagrams {
        pair.until("each command", |pair| pair.robot.seen.iter().any(|event| is_command(event, datagram)))
            .await;
    }
    assert_eq!(pair.app.connection.stats().datagrams_detoured, 2);
    assert_eq!(pair.robot.connection.stats().datagrams_detoured, 2);
}

fn is_command(event: &Event, datagram: &Bytes) -> bool {
    matches!(event, Event::Message { channel: Channel::Control, data } if data == datagram)
}

#[tokio::test]
async fn a_request_for_a_key_frame_reaches_the_sender() {
    let mut pair = Pair::connected().await;
    pair.until("the first request", |pair| requests(pair) == 1).await;
    pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Key, 100));
    pair.app.incoming.camera.recv().await.expect("open");
    pair.app.connection.request_keyframe(Track::Camera);
    pair.until("the request", |pair| requests(pair) == 2).await;
    assert_eq!(pair.app.connection.stats().keyframes_requested, 1);
}

fn requests(pair: &Pair) -> usize {
    pair.robot.seen.iter().filter(|event| matches!(event, Event::KeyframeRequested(_))).count()
}

#[tokio::test]
async fn before_it_is_connected_nothing_is_taken() {
    let pair = Pair::new();
    assert_eq!(
        pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Key, 10)),
        Sent::NotConnected
    );
    let refused = pair.app.connection.send(Channel::Control, Bytes::from_static(b"x"));
    assert_eq!(refused, Err(SendError::NotConnected));
}

#[tokio::test]
async fn a_message_over_16_kib_is_refused_and_one_of_16_kib_arrives() {
    let mut pair = Pair::connected().await;
    let fits = Bytes::from(vec![7; 16 * 1024]);
    pair.app.connection.send(Channel::Event, fits.clone()).expect("fits");
    assert_eq!(pair.message(Side::Robot, Channel::Event).await, fits);
    let refused = pair.app.connection.send(Channel::Event, Bytes::from(vec![7; 16 * 1024 + 1]));
    assert_eq!(refused, Err(SendError::TooLarge(16 * 1024 + 1)));
}

#[tokio::test]
async fn the_first_picture_is_a_key_frame_or_none() {
    let pair = Pair::connected().await;
    assert_eq!(
        pair.robot.connection.send_frame(Track::Camera, picture(0, FrameKind::Delta, 10)),
        Sent::AwaitingKey
    );
    assert_eq!(pair.robot.connection.send_frame(Track::Camera, picture(1, FrameKind::Key, 10)), Sent::Queued);
}

#[tokio::test]
async fn closing_tells_the_other_side() {
    let mut pair = Pair::connected().await;
    pair.app.connection.close().await;
    pair.until("the robot hears of it", |pair| {
        pair.robot.connection.state() == LinkState::Failed(Failure::ClosedByPeer)
    })
    .await;
    assert!(pair.app.events.recv().await.is_none(), "the events end with the connection");
    assert!(pair.app.incoming.camera.recv().await.is_none(), "and so do the pictures");
}
