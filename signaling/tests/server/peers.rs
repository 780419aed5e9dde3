//! Two of our own peers over this server's relay, on each way to it.

use std::path::PathBuf;
use std::sync::Arc;

use farwheel_peer::{
    Bind, Camera, CandidatePolicy, Config, Connection, Event, Events, LinkState, Manners, Media,
    RelayTransport,
};
use farwheel_proto::signaling::IceServer;
use farwheel_proto::video::{Bitrate, Size};
use farwheel_signaling::config::Settings;

use crate::support::{loopback, soon, start};
use crate::turn_streams::{Certified, ice, ice_over_tls};

/// A server's entry with only those of its urls that contain one of `marks`.
fn only(ice: &IceServer, marks: &[&str]) -> Vec<IceServer> {
    let urls = ice.urls.iter().filter(|url| marks.iter().any(|mark| url.contains(mark))).cloned().collect();
    vec![IceServer { urls, ..ice.clone() }]
}

struct Pair {
    app: Arc<Connection>,
    robot: Arc<Connection>,
}

impl Pair {
    /// Connects two peers that may use relays only.
    async fn connect(servers: Vec<IceServer>, ca: Option<PathBuf>) -> Self {
        let set = |config: Config| {
            config
                .with_bind(Bind::Loopback)
                .with_candidates(CandidatePolicy::RelayOnly)
                .with_ice_servers(servers.clone())
                .with_ca(ca.clone())
        };
        let offer = set(Config::offer(Media::Receive, Manners::Polite));
        let camera = Camera { size: Size::new(64, 64), fps: 30, bitrate_max: Bitrate(1_000_000) };
        let answer = set(Config::answer(offer.conn, Media::Send(camera), Manners::Impolite));
        let (app, app_events, _) = Connection::open(offer);
        let (robot, robot_events, _) = Connection::open(answer);
        let (app, robot) = (Arc::new(app), Arc::new(robot));
        let connected = async { tokio::join!(carry(app_events, &robot), carry(robot_events, &app)) };
        soon("connection", connected).await;
        Self { app, robot }
    }

    /// How each of them reaches its relay.
    fn relays(&self) -> [Option<RelayTransport>; 2] {
        [&self.app, &self.robot].map(|peer| peer.stats().pair.expect("a pair is chosen").relay)
    }

    async fn close(self) {
        tokio::join!(self.app.close(), self.robot.close());
    }
}

/// Hands signals on until the connection stands; later ones are carried in the background.
async fn carry(mut events: Events, to: &Arc<Connection>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Signal(signal) => to.handle_signal(signal),
            Event::State(LinkState::Connected) => break,
            Event::State(LinkState::Failed(failure)) => panic!("{failure}"),
            _ => {}
        }
    }
    let to = Arc::downgrade(to);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let (Event::Signal(signal), Some(to)) = (event, to.upgrade()) {
                to.handle_signal(signal);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_udp_works_no_stream_is_used() {
    let server = start(loopback()).await;
    let pair = Pair::connect(vec![ice(&server).await], None).await;
    assert_eq!(pair.relays(), [Some(RelayTransport::Udp); 2]);
    assert_eq!(server.health().await["turn_allocations"], 2);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_tcp_reaches_the_relay_it_is_used_and_ends_with_the_connection() {
    let server = start(loopback()).await;
    let pair = Pair::connect(only(&ice(&server).await, &["transport=tcp"]), None).await;
    assert_eq!(pair.relays(), [Some(RelayTransport::Tcp); 2]);
    pair.close().await;
    server.until("turn_allocations", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_tls_reaches_the_relay_it_is_used_with_the_certificates_that_are_trusted() {
    let certified = Certified::new();
    let server = start(certified.settings()).await;
    let servers = only(&ice_over_tls(&certified, &server).await, &["turns:"]);
    let pair = Pair::connect(servers, Some(certified.path("cert.pem"))).await;
    assert_eq!(pair.relays(), [Some(RelayTransport::Tls); 2]);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_follows_at_once_where_tcp_is_refused() {
    let certified = Certified::new();
    let server = start(certified.settings()).await;
    let mut servers = only(&ice_over_tls(&certified, &server).await, &["turns:"]);
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    servers[0].urls.insert(0, format!("turn:127.0.0.1:{port}?transport=tcp"));
    let pair = Pair::connect(servers, Some(certified.path("cert.pem"))).await;
    assert_eq!(pair.relays(), [Some(RelayTransport::Tls); 2]);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_over_tcp_is_preferred_to_one_over_tls() {
    let certified = Certified::new();
    let server = start(certified.settings()).await;
    let servers = only(&ice_over_tls(&certified, &server).await, &["transport=tcp"]);
    assert_eq!(servers[0].urls.len(), 2);
    let pair = Pair::connect(servers, Some(certified.path("cert.pem"))).await;
    assert_eq!(pair.relays(), [Some(RelayTransport::Tcp); 2]);
    pair.close().await;
}

/// Debian's coturn with the password scheme that the server makes credentials for.
struct Coturn {
    process: std::process::Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Coturn {
    async fn start(secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = std::process::Command::new("/usr/bin/turnserver");
        command.args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout", "--realm", "other"]);
        command.args(["--use-auth-secret", "--static-auth-secret", secret, "--allow-loopback-peers"]);
        command.args(["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"]);
        command.args(["--listening-port", &port.to_string()]);
        command.arg("--userdb").arg(folder.path().join("db")).arg("--pidfile").arg(folder.path().join("pid"));
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        let process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let coturn = Self { process, port, _folder: folder };
        soon("coturn", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        coturn
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It runs until it is told to end.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_coturn_relays_by_one_line_of_configuration() {
    if !std::path::Path::new("/usr/bin/turnserver").exists() {
        println!("SKIPPED: turnserver is not installed; `cargo xtask test` installs it (package coturn)");
        return;
    }
    let coturn = Coturn::start("north wind").await;
    let at = format!("127.0.0.1:{}", coturn.port);
    let line = format!("stun:{at},turn:{at}?transport=udp,turn:{at}?transport=tcp north wind");
    let server = start(Settings { external_turn: Some(line), ..loopback() }).await;
    assert_eq!(server.turn, None, "the built-in one is off");
    let ice = ice(&server).await;
    for (marks, want) in
        [(&["stun:", "turn:"][..], RelayTransport::Udp), (&["transport=tcp"], RelayTransport::Tcp)]
    {
        let pair = Pair::connect(only(&ice, marks), None).await;
        assert_eq!(pair.relays(), [Some(want); 2]);
        pair.close().await;
    }
}
