//! STUN and TURN over UDP.
//!
//! The relaying itself is the `turn` crate's ([`turn::server::request::Request`] handles one datagram); what it leaves
//! open is here: `guard` judges every datagram before the crate sees it (well-formed, authentic, within quota, to
//! permitted peers), `relay` gives out the relaying sockets, and `credentials` the passwords.

mod credentials;
mod guard;
mod policy;
mod relay;
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
use tokio::sync::Mutex;
use tracing::debug;

pub use self::credentials::{IceSource, Secret, Upstream};
use self::guard::{Guard, Verdict};
use self::relay::{Book, ClientLeg, Sockets};

/// How the built-in server relays.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port of the socket.
    pub listen: SocketAddr,
    /// Address that clients and their peers reach this machine at; without one the machine's own.
    pub external_ip: Option<IpAddr>,
    /// Ports to relay from.
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

/// The socket and what is relayed through it.
pub(crate) struct Relay {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    guard: Arc<Guard>,
    book: Arc<Book>,
    manager: Arc<Manager>,
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
        let address = socket.local_addr()?;
        let book = Arc::new(Book::default());
        let guard = Guard::new(config.secret.clone(), config.peers, Arc::clone(&book));
        let sockets = Sockets { config, address, book: Arc::clone(&book) };
        let manager =
            Manager::new(ManagerConfig { relay_addr_generator: Box::new(sockets), alloc_close_notify: None });
        Ok(Self { socket, address, guard: Arc::new(guard), book, manager: Arc::new(manager) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn census(&self) -> Census {
        Census(Arc::clone(&self.book))
    }

    /// Serves until it is dropped.
    pub(crate) async fn run(self) {
        let leg = Arc::new(ClientLeg { socket: Arc::clone(&self.socket), book: Arc::clone(&self.book) });
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let (bytes, from) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    // On Linux an unconnected socket reports only its own trouble, such as a lack of memory.
                    debug!(%error, "cannot receive");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let datagram = &buffer[..bytes];
            match self.guard.judge(datagram, from, unix_time()) {
                Verdict::Drop => {}
                Verdict::Reply(answer) => {
                    // Full: a lost answer is asked for again (RFC 8489 section 6.2.1).
                    self.socket.try_send_to(&answer, from).ok();
                }
                Verdict::Pass(login) => {
                    self.book.begin(from, login.as_ref().map(|login| login.username.as_str()));
                    let nonces = login.map(|login| (login.nonce, Instant::now().into()));
                    let mut request = Request {
                        conn: Arc::clone(&leg) as _,
                        src_addr: from,
                        buff: datagram.to_vec(),
                        allocation_manager: Arc::clone(&self.manager),
                        nonces: Arc::new(Mutex::new(HashMap::from_iter(nonces))),
                        auth_handler: Arc::clone(&self.guard) as _,
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
}

/// Largest datagram taken: an Ethernet frame with its payload, as the `turn` crate relays at most.
const DATAGRAM_MAX: usize = 1600;

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
