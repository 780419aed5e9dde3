//! Rooms over WebSockets.

use farwheel_proto::signaling::{ErrorCode, ServerMessage, SignalKind};
use farwheel_signaling::config::Settings;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;

use crate::support::{Client, candidate, hello, loopback, refusal, request, soon, start};

#[tokio::test]
async fn two_peers_exchange_signals() {
    let server = start(loopback()).await;
    let (mut robot, robot_ok, _) = server.member("car", "robot").await;
    let (mut driver, driver_ok, joined) = server.member("me", "driver").await;
    assert_eq!(joined.peers[0].id, robot_ok.peer_id);
    assert!(matches!(robot.next().await.message, ServerMessage::PeerJoined { .. }));
    let offer = json!({"sdp": "v=0\r\n"});
    driver.say(json!({"type": "signal", "to": robot_ok.peer_id, "conn": "00000000000000ff", "kind": "offer", "data": offer})).await;
    let ServerMessage::Signal { from, conn, kind, data } = robot.next().await.message else { panic!() };
    assert_eq!(
        (from, conn.to_string().as_str(), kind, data),
        (driver_ok.peer_id, "00000000000000ff", SignalKind::Offer, offer)
    );
    robot.say(candidate(driver_ok.peer_id, json!("c"))).await;
    assert!(
        matches!(driver.next().await.message, ServerMessage::Signal { from, .. } if from == robot_ok.peer_id)
    );
}

#[tokio::test]
async fn resume_after_a_cut_socket_loses_nothing() {
    let server = start(loopback()).await;
    let (mut robot, _, _) = server.member("car", "robot").await;
    let (driver, driver_ok, _) = server.member("me", "driver").await;
    robot.next().await;
    driver.cut();
    let ServerMessage::PeerChanged { peer, .. } = robot.next().await.message else { panic!() };
    assert!(!peer.connected);
    for n in 0..100 {
        robot.say(candidate(driver_ok.peer_id, json!(n))).await;
    }
    let mut driver = server.connect().await;
    let mut again = hello(json!({"anonymous": true}));
    again["resume"] = json!({"session": driver_ok.session, "token": driver_ok.resume_token, "last_seq": 1});
    driver.say(again).await;
    let ok = driver.hello_ok().await;
    assert!(ok.resumed && ok.peer_id == driver_ok.peer_id);
    for n in 0..100 {
        let frame = driver.next().await;
        assert_eq!(frame.seq, Some(n + 2));
        assert!(matches!(frame.message, ServerMessage::Signal { data, .. } if data == n));
    }
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_the_sender_is_not_disturbed() {
    let server = start(loopback()).await;
    // A small window: the server feels at once that nobody reads.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let slow = TcpStream::from_std(socket.into()).unwrap();
    let mut slow = Client::over(slow, "x").await;
    slow.say(hello(json!({"anonymous": true}))).await;
    let slow_ok = slow.hello_ok().await;
    slow.say(json!({"type": "join", "room": "car", "role": "viewer"})).await;
    slow.next().await;

    let (mut robot, ..) = server.member("car", "robot").await;
    for _ in 0..30 {
        robot.say(candidate(slow_ok.peer_id, json!("x".repeat(60_000)))).await;
    }
    server.until("slow_consumers", 1).await;
    assert_eq!(slow.closed().await, ErrorCode::SlowConsumer);
    robot.say(json!({"type": "ping", "t": 5})).await;
    loop {
        match robot.next().await.message {
            ServerMessage::Pong { t: 5, .. } => break,
            ServerMessage::PeerChanged { .. } | ServerMessage::PeerLeft { .. } => {}
            // What was sent after the slow one was given up.
            ServerMessage::Error(failure) if failure.code == ErrorCode::PeerNotFound => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn bad_input_is_answered_with_its_code_and_disturbs_nobody() {
    let server = start(loopback()).await;
    let (mut robot, ..) = server.member("car", "robot").await;

    let mut old = server.connect().await;
    let mut greeting = hello(json!({"anonymous": true}));
    greeting["protocol"] = json!("rtcsig/0");
    old.say(greeting).await;
    assert_eq!(old.closed().await, ErrorCode::UnsupportedVersion);

    let (mut client, _) = server.greeted("a").await;
    client.text("{oops".into()).await;
    assert_eq!(client.closed().await, ErrorCode::BadJson);

    let (mut client, _) = server.greeted("a").await;
    client.text("x".repeat(65 * 1024)).await;
    assert_eq!(client.closed().await, ErrorCode::TooLarge);

    let mut rude = server.connect().await;
    rude.say(json!({"type": "ping", "t": 1})).await;
    assert_eq!(rude.closed().await, ErrorCode::BadMessage);

    robot.say(json!({"type": "fly", "id": 3})).await;
    let ServerMessage::Error(failure) = robot.next().await.message else { panic!() };
    assert_eq!((failure.code, failure.id, failure.fatal), (ErrorCode::UnknownType, Some(3), false));
    robot.say(json!({"type": "ping", "t": 1})).await;
    assert!(matches!(robot.next().await.message, ServerMessage::Pong { .. }));
}

#[tokio::test]
async fn a_ninth_peer_finds_the_room_full() {
    let server = start(loopback()).await;
    let mut inside = Vec::new();
    for n in 0..8 {
        inside.push(server.member(&format!("v{n}"), "viewer").await);
    }
    let (mut ninth, _) = server.greeted("v8").await;
    ninth.say(json!({"type": "join", "room": "car", "role": "viewer"})).await;
    assert_eq!(ninth.closed().await, ErrorCode::RoomFull);
}

#[tokio::test]
async fn only_a_right_token_is_let_in() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "correct-horse-battery view\n").unwrap();
    let server = start(Settings { token_file: Some(file.path().into()), ..loopback() }).await;
    for wrong in [json!({"token": "correct-horse-batterz"}), json!({"anonymous": true})] {
        let mut client = server.connect().await;
        client.say(hello(wrong)).await;
        assert_eq!(client.closed().await, ErrorCode::Unauthorized);
    }
    let mut viewer = server.connect().await;
    viewer.say(hello(json!({"token": "correct-horse-battery"}))).await;
    viewer.hello_ok().await;
    viewer.say(json!({"type": "join", "room": "car", "role": "driver"})).await;
    assert_eq!(viewer.closed().await, ErrorCode::Forbidden);
}

#[tokio::test]
async fn handshakes_are_checked_before_a_websocket_begins() {
    let server = start(Settings { handshakes_per_second: Some(2), ..loopback() }).await;
    let shake = async |origin: Option<&str>, subprotocol: &str| {
        let mut request = request("127.0.0.1");
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        client_async(request, server.tcp().await).await.map(drop).map_err(refusal)
    };
    assert_eq!(shake(Some("https://evil.example"), "rtcsig.v1.json").await, Err(403));
    assert_eq!(shake(None, "rtcsig.v9.json").await, Err(400));
    assert_eq!(shake(Some("http://localhost:5173"), "other, rtcsig.v1.json").await, Ok(()));
    // Refused ones take no token: three are left of the four at once.
    for _ in 0..3 {
        assert_eq!(shake(None, "rtcsig.v1.json").await, Ok(()));
    }
    assert_eq!(shake(None, "rtcsig.v1.json").await, Err(429));

    for (head, status) in [
        ("GET /v1/ws HTTP/1.1\r\nHost: x", "426"),
        ("POST /v1/ws HTTP/1.1\r\nHost: x", "405"),
        ("GET /etc/passwd HTTP/1.1\r\nHost: x", "404"),
        ("nonsense", "400"),
    ] {
        assert_eq!(server.http(head).await.split(' ').nth(1), Some(status), "{head}");
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(20_000));
    assert_eq!(server.http(&huge).await.split(' ').nth(1), Some("431"));
}

#[tokio::test]
async fn a_full_server_refuses_and_takes_the_next_when_one_leaves() {
    let unhurried = Some(10_000);
    let settings = Settings { max_connections: Some(1), handshakes_per_second: unhurried, ..loopback() };
    let server = start(settings).await;
    let (first, _) = server.greeted("a").await;
    let refused = client_async(request("x"), server.tcp().await).await.map(drop).map_err(refusal);
    assert_eq!(refused, Err(503));
    first.cut();
    server.until("links", 0).await;
    soon("a free seat", async {
        while client_async(request("x"), server.tcp().await).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn health_counts_what_is_there() {
    let server = start(loopback()).await;
    let (robot, ..) = server.member("car", "robot").await;
    let health = server.health().await;
    assert_eq!((&health["status"], &health["rooms"], &health["links"]), (&json!("ok"), &json!(1), &json!(1)));
    assert_eq!(health["turn_allocations"], 0);
    robot.cut();
    server.until("links", 0).await;
    assert_eq!(server.health().await["sessions"], 1);
}

#[tokio::test]
async fn draining_tells_everybody_and_refuses_newcomers() {
    let mut server = start(Settings { drain_ms: Some(60_000), ..loopback() }).await;
    let (mut robot, ..) = server.member("car", "robot").await;
    server.begin_stop();
    assert_eq!(robot.next().await.message, ServerMessage::Draining { grace_ms: 60_000 });
    let refused = client_async(request("x"), server.tcp().await).await.map(drop).map_err(refusal);
    assert_eq!(refused, Err(503));
    assert!(server.http("GET /healthz HTTP/1.1\r\nHost: x").await.starts_with("HTTP/1.1 503"));
    robot.cut();
    // The last client is gone: the grace period is over at once.
    server.ended().await;
}

#[tokio::test]
async fn who_stays_to_the_end_is_closed_as_draining() {
    let mut server = start(Settings { drain_ms: Some(0), ..loopback() }).await;
    let (robot, ..) = server.member("car", "robot").await;
    server.begin_stop();
    assert_eq!(robot.closed().await, ErrorCode::Draining);
    server.ended().await;
}

#[tokio::test]
async fn tls_carries_the_same_protocol() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = start(Settings { cert: Some(cert), key: Some(key), ..loopback() }).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect("localhost".try_into().unwrap(), server.tcp().await).await.unwrap();
    let mut client = Client::over(stream, "localhost").await;
    client.say(hello(json!({"anonymous": true}))).await;
    client.hello_ok().await;
}
