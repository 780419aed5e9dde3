//! TURN over TCP and TLS: the client of the `turn` crate on a framed connection, broken clients, and Debian's
//! `turnutils_uclient` on every way there is.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use farwheel_proto::signaling::IceServer;
use farwheel_proto::turn_stream::{Deframer, padding};
use farwheel_signaling::config::Settings;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use turn::client::{Client, ClientConfig};
use webrtc_util::{Conn, Error};

use crate::support::{self, Running, loopback, soon, start};

/// A connection that carries whole messages.
struct Framed<S> {
    reader: Mutex<(ReadHalf<S>, Deframer)>,
    writer: Mutex<WriteHalf<S>>,
    local: SocketAddr,
    server: SocketAddr,
}

impl<S: AsyncRead + AsyncWrite> Framed<S> {
    fn new(stream: S, local: SocketAddr, server: SocketAddr) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: Mutex::new((reader, Deframer::new(1600))), writer: Mutex::new(writer), local, server }
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Send + 'static> Conn for Framed<S> {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(self.recv_from(buffer).await?.0)
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let (reader, deframer) = &mut *self.reader.lock().await;
        loop {
            if let Some(message) = deframer.next().unwrap() {
                buffer[..message.len()].copy_from_slice(message);
                return Ok((message.len(), self.server));
            }
            // Few at a time, so that messages come in parts.
            let mut part = [0; 7];
            match reader.read(&mut part).await? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                bytes => deframer.extend(&part[..bytes]),
            }
        }
    }

    async fn send(&self, message: &[u8]) -> Result<usize, Error> {
        self.send_to(message, self.server).await
    }

    async fn send_to(&self, message: &[u8], _: SocketAddr) -> Result<usize, Error> {
        let mut writer = self.writer.lock().await;
        writer.write_all(message).await?;
        writer.write_all(padding(message.len())).await?;
        writer.flush().await?;
        Ok(message.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.server)
    }

    async fn close(&self) -> Result<(), Error> {
        self.writer.lock().await.shutdown().await?;
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// A certificate for this machine, and a server that has it.
pub(crate) struct Certified {
    folder: tempfile::TempDir,
    der: CertificateDer<'static>,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        parameters.subject_alt_names.push(rcgen::SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, der: certificate.der().clone() }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { cert: Some(self.path("cert.pem")), key: Some(self.path("key.pem")), ..loopback() }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn connect(&self, to: SocketAddr) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // RFC 7443.
        config.alpn_protocols = vec![b"stun.turn".to_vec()];
        let stream = TcpStream::connect(to).await.unwrap();
        let name = "localhost".try_into().unwrap();
        soon("TLS", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
    }
}

async fn turn_client(conn: Arc<dyn Conn + Send + Sync>, ice: &IceServer) -> Client {
    let at = conn.remote_addr().unwrap().to_string();
    let client = Client::new(ClientConfig {
        stun_serv_addr: at.clone(),
        turn_serv_addr: at,
        username: ice.username.clone().unwrap(),
        password: ice.credential.clone().unwrap(),
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn,
        vnet: None,
    })
    .await
    .unwrap();
    client.listen().await.unwrap();
    client
}

async fn framed(to: SocketAddr) -> Arc<Framed<TcpStream>> {
    let stream = TcpStream::connect(to).await.unwrap();
    let local = stream.local_addr().unwrap();
    Arc::new(Framed::new(stream, local, to))
}

pub(crate) async fn ice(server: &Running) -> IceServer {
    let (_, ok) = server.greeted("a").await;
    ok.ice_servers.into_iter().find(|entry| entry.credential.is_some()).expect("a TURN server")
}

/// What a client is told that came over TLS, by name.
pub(crate) async fn ice_over_tls(certified: &Certified, server: &Running) -> IceServer {
    let stream = certified.connect(server.address).await;
    let mut client = support::Client::over(stream, "localhost").await;
    client.say(support::hello(serde_json::json!({"anonymous": true, "name": "a"}))).await;
    client.hello_ok().await.ice_servers.remove(0)
}

/// Sends datagrams of several sizes to a peer and back, and closes.
async fn relays_both_ways(client: Client) {
    let relay = soon("allocation", client.allocate()).await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut buffer = [0; 2000];
    for size in [1, 2, 3, 4, 500, 1199, 1200] {
        let datagram = vec![7; size];
        soon("sending", relay.send_to(&datagram, peer.local_addr().unwrap())).await.unwrap();
        let (bytes, from) = soon("relayed datagram", peer.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((bytes, from), (size, relay.local_addr().unwrap()));
        peer.send_to(&buffer[..bytes], from).await.unwrap();
        let (bytes, _) = soon("answer", relay.recv_from(&mut buffer)).await.unwrap();
        assert_eq!(buffer[..bytes], datagram);
    }
}

#[tokio::test]
async fn over_tcp_a_client_relays_and_its_allocation_ends_with_its_connection() {
    let server = start(loopback()).await;
    let at = server.turn_stream.unwrap();
    assert_eq!(at, server.address, "it shares the port of the WebSockets");
    let ice = ice(&server).await;
    assert_eq!(ice.urls[2..], [format!("turn:{at}?transport=tcp")]);
    let conn = framed(at).await;
    relays_both_ways(turn_client(Arc::clone(&conn) as _, &ice).await).await;
    assert_eq!(server.health().await["turn_allocations"], 1);
    conn.close().await.unwrap();
    server.until("turn_allocations", 0).await;
}

#[tokio::test]
async fn over_tls_a_client_relays_on_the_port_of_the_websockets() {
    let certified = Certified::new();
    let server = start(certified.settings()).await;
    let ice = ice_over_tls(&certified, &server).await;
    let port = server.address.port();
    let want = [
        format!("turn:127.0.0.1:{port}?transport=tcp"),
        // The name that the client came by, for which the certificate is.
        format!("turns:localhost:{port}?transport=tcp"),
    ];
    assert_eq!(ice.urls[2..], want);
    let stream = certified.connect(server.address).await;
    let local = stream.get_ref().0.local_addr().unwrap();
    let conn = Arc::new(Framed::new(stream, local, server.address));
    relays_both_ways(turn_client(conn, &ice).await).await;
    // Plain TURN is served there too.
    relays_both_ways(turn_client(framed(server.address).await, &ice).await).await;
}

#[tokio::test]
async fn a_port_of_its_own_serves_turn_and_nothing_else() {
    let server = start(Settings { turn_listen: Some("127.0.0.1:0".into()), ..loopback() }).await;
    let at = server.turn_stream.unwrap();
    assert!(at != server.address && server.turn == Some(at), "TCP and UDP have one port");
    let ice = ice(&server).await;
    relays_both_ways(turn_client(framed(at).await, &ice).await).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(stream).await, b"");
    // And the port of the WebSockets does not serve TURN.
    let mut stream = server.tcp().await;
    stream.write_all(&BINDING).await.unwrap();
    assert!(rest(stream).await.starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn switched_off_there_is_neither_url_nor_service() {
    let server = start(Settings { turn_tcp: Some(false), ..loopback() }).await;
    assert_eq!(server.turn_stream, None);
    assert_eq!(ice(&server).await.urls.len(), 2);
    let mut stream = server.tcp().await;
    stream.write_all(&BINDING).await.unwrap();
    assert!(rest(stream).await.starts_with(b"HTTP/1.1 400"));
}

/// RFC 8489 section 5: a Binding request without attributes.
const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// What comes until the connection ends.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end as well.
    soon("end of the connection", stream.read_to_end(&mut answer)).await.ok();
    answer
}

#[tokio::test]
async fn garbage_after_a_request_closes_the_connection_and_the_allocation() {
    let server = start(loopback()).await;
    let ice = ice(&server).await;
    for garbage in [&[0xff; 4][..], &[0x40, 0, 0xff, 0xff], &[0, 1, 0x40, 0], b"GET / HTTP/1.1\r\n"] {
        let conn = framed(server.address).await;
        let client = turn_client(Arc::clone(&conn) as _, &ice).await;
        let _relay = soon("allocation", client.allocate()).await.unwrap();
        assert_eq!(server.health().await["turn_allocations"], 1);
        let mut writer = conn.writer.lock().await;
        writer.write_all(garbage).await.unwrap();
        drop(writer);
        server.until("turn_allocations", 0).await;
    }
}

#[tokio::test]
async fn a_connection_that_stops_is_closed_after_ten_seconds() {
    let server = start(loopback()).await;
    let whole = server.tcp().await;
    let mut part = server.tcp().await;
    part.write_all(&BINDING[..7]).await.unwrap();
    let mut asked = server.tcp().await;
    asked.write_all(&BINDING).await.unwrap();
    let mut answer = [0; 2];
    soon("answer", asked.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, [1, 1]);
    let patience = support::PATIENCE * 2;
    for mut stream in [whole, part, asked] {
        tokio::time::timeout(patience, stream.read_to_end(&mut Vec::new())).await.expect("closed").ok();
    }
}

#[tokio::test]
async fn the_quota_of_a_credential_holds_for_all_ways_together() {
    let server = start(loopback()).await;
    let ice = ice(&server).await;
    let mut held = Vec::new();
    for n in 0..13 {
        let conn: Arc<dyn Conn + Send + Sync> = if n % 2 == 0 {
            framed(server.address).await
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(server.turn.unwrap()).await.unwrap();
            Arc::new(Connected(socket))
        };
        let client = turn_client(conn, &ice).await;
        match soon("answer", client.allocate()).await {
            Ok(relay) => held.push((client, relay)),
            Err(error) => assert!(n == 12 && error.to_string().contains("486"), "{n}: {error}"),
        }
    }
    assert_eq!(held.len(), 12);
}

/// A UDP socket that says whom it talks to.
struct Connected(UdpSocket);

#[async_trait]
impl Conn for Connected {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.recv(buffer).await?)
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        Ok(self.0.recv_from(buffer).await?)
    }

    async fn send(&self, message: &[u8]) -> Result<usize, Error> {
        Ok(self.0.send(message).await?)
    }

    async fn send_to(&self, message: &[u8], _: SocketAddr) -> Result<usize, Error> {
        Ok(self.0.send(message).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.0.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr().ok()
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// Debian's client (package `coturn`, which `cargo xtask test` installs) relays messages between two allocations of its
/// own: over UDP, TCP and TLS.
#[tokio::test]
async fn turnutils_uclient_relays_every_message_on_every_way() {
    if !Path::new("/usr/bin/turnutils_uclient").exists() {
        println!(
            "SKIPPED: turnutils_uclient is not installed; `cargo xtask test` installs it (package coturn)"
        );
        return;
    }
    let certified = Certified::new();
    let server = start(certified.settings()).await;
    let ice = ice_over_tls(&certified, &server).await;
    for (way, port) in [
        (&[][..], server.turn.unwrap().port()),
        (&["-t"], server.address.port()),
        (&["-t", "-S"], server.address.port()),
    ] {
        let mut uclient = Command::new("/usr/bin/turnutils_uclient");
        uclient.args(way).args(["-p", &port.to_string()]);
        uclient.args(["-u", ice.username.as_ref().unwrap(), "-w", ice.credential.as_ref().unwrap()]);
        // Client to client over two relays, 20 messages of 171 bytes (not a multiple of four), 20 ms apart.
        uclient.args(["-y", "-c", "-n", "20", "-l", "171", "-z", "20", "127.0.0.1"]);
        uclient.stdin(Stdio::null());
        let out = tokio::task::spawn_blocking(move || uclient.output().unwrap()).await.unwrap();
        let told = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{way:?}: {told}");
        assert!(told.contains("Total lost packets 0 (0.000000%)"), "{way:?}: {told}");
        assert!(told.contains("tot_recv_msgs=40") || told.contains("tot_recv_msgs=20"), "{way:?}: {told}");
    }
}
