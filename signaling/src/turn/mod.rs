//! STUN and TURN, over UDP, TCP and TLS.
//!
//! The relaying itself is the `turn` crate's ([`turn::server::request::Request`] handles one message); what it leaves
//! open is here: `guard` judges every message before the crate sees it (well-formed, authentic, within quota, to
//! permitted peers), `relay` gives out the relaying sockets, `stream` serves clients over TCP and TLS, and `credentials`
//! makes the passwords.

mod credentials;
mod discovery;
mod guard;
mod policy;
mod relay;
mod stream;
mod stun;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::turn::allocation::allocation_manager::{Manager, ManagerConfig};
use ::turn::server::request::Request;
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, watch};
use tracing::debug;
use webrtc_util::Conn;

pub(crate) use self::credentials::Own;
pub use self::credentials::{IceSource, Secret, Upstream};
use self::discovery::{Discovery, Place};
use self::guard::{Guard, Verdict};
use self::relay::{Book, Client, ClientLeg, Current, Sockets, Transport};
pub(crate) use self::stream::{WRITE_MAX, is_turn};

/// How the built-in server relays.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port.
    pub listen: SocketAddr,
    /// Address that clients and their peers reach this machine at; without one the machine's own.
    pub external_ip: Option<IpAddr>,
    /// Second address of this machine, where it answers Binding requests on the same ports.
    pub second_ip: Option<IpAddr>,
    /// Ports to relay from, and to answer Binding requests from.
    pub ports: RangeInclusive<u16>,
    /// Whom to relay to.
    pub peers: Peers,
    /// Rate of each relay in each direction.
    pub bytes_per_second: u32,
    /// Signs the credentials.
    pub secret: Secret,
}

/// Whom to relay to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Whoever it is: for one machine or one network of one's own.
    Any,
    /// Nobody in a private network: a relay must not be a way around a firewall.
    Public,
}

/// Realm of the credentials (RFC 8489 section 9.2).
const REALM: &str = "farwheel";

/// Life of a channel binding (RFC 8656 section 12).
const CHANNEL_LIFE: Duration = Duration::from_secs(600);

/// The socket, and what all ways to the server have in common.
pub(crate) struct Relay {
    socket: Arc<UdpSocket>,
    discovery: Arc<Discovery>,
    shared: Arc<Shared>,
}

/// What clients over UDP, TCP and TLS share: the quotas hold for all together.
pub(crate) struct Shared {
    config: Arc<Config>,
    guard: Arc<Guard>,
    book: Arc<Book>,
    streams: stream::Census,
    /// Turns true when clients over streams are to be closed.
    closing: watch::Sender<bool>,
}

impl Shared {
    /// Ends the connections of all clients over TCP and TLS.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// Counts allocations.
pub(crate) struct Census(Arc<Book>);

impl Census {
    pub(crate) fn allocations(&self) -> usize {
        self.0.len()
    }
}

impl Relay {
    pub(crate) async fn bind(config: Config) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(config.listen).await?);
        let discovery = Arc::new(Discovery::bind(&socket, &config).await?);
        let book = Arc::new(Book::default());
        let guard = Arc::new(Guard::new(config.secret.clone(), config.peers, Arc::clone(&book)));
        let shared = Shared {
            config: Arc::new(config),
            guard,
            book,
            streams: stream::Census::default(),
            closing: watch::Sender::new(false),
        };
        Ok(Self { socket, discovery, shared: Arc::new(shared) })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn census(&self) -> Census {
        Census(Arc::clone(&self.shared.book))
    }

    /// For clients over TCP and TLS.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves the clients over UDP until it is dropped.
    pub(crate) async fn run(self) -> io::Result<()> {
        let leg = ClientLeg { socket: Arc::clone(&self.socket), book: Arc::clone(&self.shared.book) };
        let desk = Desk::new(&self.shared, Transport::Datagrams, Arc::new(leg), self.socket.local_addr()?);
        let mut others = Arc::clone(&self.discovery).serve_others();
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let received = tokio::select! {
                received = self.socket.recv_from(&mut buffer) => received,
                // Never, or by a panic there: the relay goes on without.
                Some(_) = others.join_next() => continue,
            };
            match received {
                Ok((bytes, from)) if self.discovery.answer(&buffer[..bytes], from, Place::MAIN) => {}
                Ok((bytes, from)) => desk.handle(&buffer[..bytes], from).await,
                Err(error) => {
                    // On Linux an unconnected socket reports only its own trouble, such as a lack of memory.
                    debug!(%error, "cannot receive");
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Handles one message after the other, of all clients over UDP or of one over a stream.
struct Desk {
    shared: Arc<Shared>,
    transport: Transport,
    /// Towards the clients.
    leg: Arc<dyn Conn + Send + Sync>,
    current: Arc<Current>,
    manager: Arc<Manager>,
}

impl Desk {
    fn new(
        shared: &Arc<Shared>,
        transport: Transport,
        leg: Arc<dyn Conn + Send + Sync>,
        address: SocketAddr,
    ) -> Self {
        let current = Arc::new(Current::default());
        let sockets = Sockets {
            config: Arc::clone(&shared.config),
            address,
            book: Arc::clone(&shared.book),
            current: Arc::clone(&current),
        };
        let manager =
            Manager::new(ManagerConfig { relay_addr_generator: Box::new(sockets), alloc_close_notify: None });
        Self { shared: Arc::clone(shared), transport, leg, current, manager: Arc::new(manager) }
    }

    async fn handle(&self, message: &[u8], from: SocketAddr) {
        let client = Client { transport: self.transport, address: from };
        match self.shared.guard.judge(message, client, unix_time()) {
            Verdict::Drop => {}
            Verdict::Reply(answer) => {
                // Lost where the client cannot take it, like on any network.
                self.leg.send_to(&answer, from).await.ok();
            }
            Verdict::Pass(login) => {
                self.current.set(client, login.as_ref().map(|login| login.username.as_str()));
                let nonces = login.map(|login| (login.nonce, Instant::now().into()));
                let mut request = Request {
                    conn: Arc::clone(&self.leg),
                    src_addr: from,
                    buff: message.to_vec(),
                    allocation_manager: Arc::clone(&self.manager),
                    nonces: Arc::new(Mutex::new(HashMap::from_iter(nonces))),
                    auth_handler: Arc::clone(&self.shared.guard) as _,
                    realm: REALM.into(),
                    channel_bind_timeout: CHANNEL_LIFE,
                };
                if let Err(error) = request.handle_request().await {
                    debug!(%error, "request failed");
                }
            }
        }
    }
}

/// Largest message taken: an Ethernet frame with its payload, as the `turn` crate relays at most.
const MESSAGE_MAX: usize = 1600;

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
