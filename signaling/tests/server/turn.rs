//! STUN and TURN over real UDP sockets, with the client of the `turn` crate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use farwheel_proto::signaling::{ClientMessage, IceServer, ServerMessage};
use farwheel_signaling::config::Settings;
use tokio::net::UdpSocket;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::support::{Running, loopback, soon, start};

async fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// The TURN entry of `hello_ok`.
async fn ice(server: &Running) -> IceServer {
    let (_, ok) = server.greeted("a").await;
    assert!(ok.ice_expires.is_some());
    ok.ice_servers.into_iter().find(|entry| entry.credential.is_some()).expect("a TURN server")
}

async fn turn_client(address: SocketAddr, username: &str, password: &str) -> Client {
    let client = Client::new(ClientConfig {
        stun_serv_addr: address.to_string(),
        turn_serv_addr: address.to_string(),
        username: username.into(),
        password: password.into(),
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(udp().await),
        vnet: None,
    })
    .await
    .unwrap();
    client.listen().await.unwrap();
    client
}

async fn client_of(server: &Running) -> Client {
    let ice = ice(server).await;
    turn_client(server.turn.unwrap(), &ice.username.unwrap(), &ice.credential.unwrap()).await
}

#[tokio::test]
async fn the_address_in_hello_is_the_socket_and_answers_stun() {
    let server = start(loopback()).await;
    let at = server.turn.unwrap();
    let urls = ice(&server).await.urls;
    assert_eq!(urls[..2], [format!("stun:{at}"), format!("turn:{at}?transport=udp")]);

    let socket = udp().await;
    // RFC 8489 section 5: a Binding request without attributes.
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    socket.send_to(&request, at).await.unwrap();
    let mut answer = [0; 100];
    let (bytes, _) = soon("Binding response", socket.recv_from(&mut answer)).await.unwrap();
    assert_eq!(answer[..2], [1, 1]);
    assert_eq!(answer[8..20], request[8..20]);
    // XOR-MAPPED-ADDRESS, IPv4: port and address of the asker.
    let port = socket.local_addr().unwrap().port() ^ 0x2112;
    let mapped =
        [&[0, 0x20, 0, 8, 0, 1][..], &port.to_be_bytes(), &[127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]].concat();
    assert!(answer[20..bytes].windows(12).any(|window| window == mapped), "{:?}", &answer[..bytes]);
}

/// Asks for an answer from elsewhere (RFC 5780 section 7.2); where it came from, and OTHER-ADDRESS.
async fn ask(socket: &UdpSocket, server: SocketAddr, change: u8) -> (SocketAddr, SocketAddr) {
    let request = [
        0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 3, 0, 4, 0, 0, 0,
        change,
    ];
    socket.send_to(&request, server).await.unwrap();
    let mut answer = [0; 100];
    let (bytes, from) = soon("Binding response", socket.recv_from(&mut answer)).await.unwrap();
    assert_eq!(answer[..2], [1, 1]);
    let address = |kind: [u8; 2]| {
        let at = answer[20..bytes].chunks(12).find(|attribute| attribute[..2] == kind).expect("it is there");
        SocketAddr::from(([at[8], at[9], at[10], at[11]], u16::from_be_bytes([at[6], at[7]])))
    };
    assert_eq!(address([0x80, 0x2b]), from, "RESPONSE-ORIGIN");
    (from, address([0x80, 0x2c]))
}

#[tokio::test]
async fn an_answer_comes_from_the_port_and_the_address_that_were_asked_for() {
    let second = [127, 0, 0, 2];
    let server = start(Settings { stun_second_ip: Some(second.into()), ..loopback() }).await;
    let (at, socket) = (server.turn.unwrap(), UdpSocket::bind("0.0.0.0:0").await.unwrap());
    let (from, other) = ask(&socket, at, 0).await;
    assert_eq!((from, other.ip()), (at, second.into()));
    assert!(other.port() != at.port());
    assert_eq!(ask(&socket, at, 2).await.0, SocketAddr::new(at.ip(), other.port()));
    assert_eq!(ask(&socket, at, 4).await.0, SocketAddr::from((second, at.port())));
    assert_eq!(ask(&socket, at, 6).await.0, other);
    // The other sockets answer too, and change as they are asked.
    assert_eq!(ask(&socket, other, 0).await, (other, at));
    assert_eq!(ask(&socket, other, 6).await.0, at);
}

#[tokio::test]
async fn with_one_address_there_is_another_port_and_no_other_address() {
    let server = start(loopback()).await;
    let (at, socket) = (server.turn.unwrap(), udp().await);
    let (from, other) = ask(&socket, at, 0).await;
    assert_eq!((from, other.ip()), (at, at.ip()));
    assert_eq!(ask(&socket, at, 2).await.0, other);
    // What cannot be done is not answered: the next answer is that to the next request.
    let change_ip =
        [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 9, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 3, 0, 4, 0, 0, 0, 4];
    socket.send_to(&change_ip, at).await.unwrap();
    assert_eq!(ask(&socket, at, 0).await.0, at);
}

#[tokio::test]
async fn an_allocation_relays_both_ways_and_ends_with_its_client() {
    let server = start(loopback()).await;
    let client = client_of(&server).await;
    let relay = soon("allocation", client.allocate()).await.unwrap();
    assert_eq!(server.health().await["turn_allocations"], 1);
    let peer = udp().await;
    let peer_address = peer.local_addr().unwrap();
    let mut buffer = [0; 2000];
    for size in [1, 500, 1200] {
        let datagram = vec![7; size];
        soon("sending", relay.send_to(&datagram, peer_address)).await.unwrap();
        let (bytes, from) = soon("relayed datagram", peer.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((bytes, from), (size, relay.local_addr().unwrap()));
        peer.send_to(&buffer[..bytes], from).await.unwrap();
        let (bytes, from) = soon("answer", relay.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((&buffer[..bytes], from), (&datagram[..], peer_address));
    }
    relay.close().await.unwrap();
    server.until("turn_allocations", 0).await;
}

#[tokio::test]
async fn a_private_peer_is_refused_and_gets_nothing() {
    let server = start(Settings { turn_allow_private: Some(false), ..loopback() }).await;
    let client = client_of(&server).await;
    let relay = soon("allocation", client.allocate()).await.unwrap();
    let peer = udp().await;
    let refused = soon("refusal", relay.send_to(b"x", peer.local_addr().unwrap())).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    assert_eq!(peer.try_recv(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn wrong_and_expired_credentials_get_no_allocation() {
    let server = start(loopback()).await;
    let ice = ice(&server).await;
    let (username, password) = (ice.username.unwrap(), ice.credential.unwrap());
    let expired = username.replacen(|c: char| c.is_ascii_digit(), "", 1);
    for (username, password) in [(username.as_str(), "guess"), (expired.as_str(), password.as_str())] {
        let client = turn_client(server.turn.unwrap(), username, password).await;
        assert!(soon("refusal", client.allocate()).await.is_err());
    }
    assert_eq!(server.health().await["turn_allocations"], 0);
}

#[tokio::test]
async fn a_credential_has_twelve_allocations() {
    let server = start(loopback()).await;
    let ice = ice(&server).await;
    let (username, password) = (ice.username.unwrap(), ice.credential.unwrap());
    let mut held = Vec::new();
    for n in 0..13 {
        let client = turn_client(server.turn.unwrap(), &username, &password).await;
        match soon("answer", client.allocate()).await {
            Ok(relay) => held.push((client, relay)),
            Err(error) => assert!(n == 12 && error.to_string().contains("486"), "{n}: {error}"),
        }
    }
    assert_eq!(held.len(), 12);
}

#[tokio::test]
async fn fresh_credentials_come_on_request() {
    let server = start(loopback()).await;
    let (mut client, ok) = server.greeted("a").await;
    client.send(ClientMessage::IceServers).await;
    let ServerMessage::IceServers { ice_servers, ice_expires } = client.next().await.message else {
        panic!()
    };
    assert_eq!(ice_servers[0].urls, ok.ice_servers[0].urls);
    assert!(ice_expires >= ok.ice_expires);
}

#[tokio::test]
async fn garbage_leaves_the_relay_working() {
    let server = start(loopback()).await;
    let client = client_of(&server).await;
    let relay = soon("allocation", client.allocate()).await.unwrap();
    let noise = udp().await;
    for size in 0..200usize {
        let junk: Vec<u8> = (0..size).map(|n| (n * 37 + size * 11) as u8).collect();
        noise.send_to(&junk, server.turn.unwrap()).await.unwrap();
        // The same from the client's own allocation's view: bad channel data.
        let mut channel = vec![0x40, 0];
        channel.extend(&junk);
        noise.send_to(&channel, server.turn.unwrap()).await.unwrap();
    }
    let peer = udp().await;
    soon("sending", relay.send_to(b"still here", peer.local_addr().unwrap())).await.unwrap();
    let mut buffer = [0; 20];
    let (bytes, _) = soon("datagram", peer.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..bytes], b"still here");
    tokio::time::timeout(Duration::ZERO, relay.recv_from(&mut buffer))
        .await
        .expect_err("nothing else arrives");
}
