//! The relaying sockets, and the book of who has one.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::turn::relay::RelayAddressGenerator;
use async_trait::async_trait;
use tokio::net::UdpSocket;
use webrtc_util::{Conn, Error};

use super::guard::{PER_ADDRESS_MAX, PER_CREDENTIAL_MAX};
use super::{Config, Peers};

/// A client of the server: who it is on the way that it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
}

/// How a client's messages travel: the same address and port may be two clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Datagrams,
    /// TCP, with or without TLS.
    Stream,
}

/// Who has an allocation.
#[derive(Default)]
pub(super) struct Book {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    entries: HashMap<Client, Entry>,
    next_ticket: u64,
}

struct Entry {
    username: Box<str>,
    ticket: u64,
    /// The answer to the request that made it, for when that was lost.
    answer: Option<Vec<u8>>,
}

/// Whether a client may have a new allocation.
pub(super) enum Claim {
    Free,
    /// It has just got one and asks again: the same answer.
    Repeated(Vec<u8>),
    /// It has another one.
    Taken,
    OverQuota,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.pages().entries.len()
    }

    pub(super) fn username_of(&self, client: Client) -> Option<String> {
        self.pages().entries.get(&client).map(|entry| entry.username.clone().into())
    }

    pub(super) fn claim(&self, client: Client, username: &str, transaction: [u8; 12]) -> Claim {
        let pages = self.pages();
        if let Some(entry) = pages.entries.get(&client) {
            return match &entry.answer {
                Some(answer) if answer.get(8..20) == Some(&transaction) => Claim::Repeated(answer.clone()),
                _ => Claim::Taken,
            };
        }
        let of_peer =
            pages.entries.values().filter(|entry| peer_part(&entry.username) == peer_part(username));
        let of_address = pages.entries.keys().filter(|other| other.address.ip() == client.address.ip());
        if of_peer.count() >= PER_CREDENTIAL_MAX || of_address.count() >= PER_ADDRESS_MAX {
            return Claim::OverQuota;
        }
        Claim::Free
    }

    /// Enters an allocation; it leaves the book with the ticket.
    pub(super) fn open(book: &Arc<Self>, client: Client, username: &str) -> Ticket {
        let mut pages = book.pages();
        pages.next_ticket += 1;
        let ticket = pages.next_ticket;
        pages.entries.insert(client, Entry { username: username.into(), ticket, answer: None });
        drop(pages);
        Ticket { book: Arc::clone(book), client, number: ticket }
    }

    pub(super) fn keep_answer(&self, client: Client, answer: &[u8]) {
        /// Type of an Allocate success response.
        const ALLOCATED: [u8; 2] = [0x01, 0x03];
        if answer.starts_with(&ALLOCATED)
            && let Some(entry) = self.pages().entries.get_mut(&client)
        {
            entry.answer = Some(answer.to_vec());
        }
    }
}

/// The part of a user name after its expiry: a peer's credentials share its quota.
fn peer_part(username: &str) -> &str {
    username.split_once(':').map_or(username, |(_, peer)| peer)
}

/// An entry of the book.
pub(super) struct Ticket {
    book: Arc<Book>,
    client: Client,
    number: u64,
}

impl Ticket {
    fn give_back(&self) {
        let mut pages = self.book.pages();
        if pages.entries.get(&self.client).is_some_and(|entry| entry.ticket == self.number) {
            pages.entries.remove(&self.client);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whose request the `turn` crate handles. It asks for a socket without saying for whom, but each of its managers handles
/// one message after the other.
#[derive(Default)]
pub(super) struct Current(Mutex<Option<(Client, Box<str>)>>);

impl Current {
    /// Says whose request is handled next; none that could ask for a socket has no name.
    pub(super) fn set(&self, client: Client, username: Option<&str>) {
        *self.slot() = username.map(|username| (client, username.into()));
    }

    fn slot(&self) -> MutexGuard<'_, Option<(Client, Box<str>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the `turn` crate its relaying sockets.
pub(super) struct Sockets {
    pub(super) config: Arc<Config>,
    /// Where clients reach this side.
    pub(super) address: SocketAddr,
    pub(super) book: Arc<Book>,
    pub(super) current: Arc<Current>,
}

/// Ports tried before a relay is refused.
const PORT_TRIES: usize = 32;

/// This machine's address towards `client`: only the route counts, nothing is sent.
pub(super) fn local_ip(client: SocketAddr) -> io::Result<IpAddr> {
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    let any: IpAddr =
        if client.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(client)?;
    Ok(probe.local_addr()?.ip())
}

impl Sockets {
    /// This machine's address towards the client, in the family wanted.
    fn local_ip(&self, client: SocketAddr, wants_v4: bool) -> io::Result<IpAddr> {
        let bound = self.address.ip();
        if !bound.is_unspecified() && bound.is_ipv4() == wants_v4 {
            return Ok(bound);
        }
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        match (wants_v4, bound.is_loopback()) {
            (true, true) => Ok(Ipv4Addr::LOCALHOST.into()),
            (false, true) => Ok(Ipv6Addr::LOCALHOST.into()),
            _ if client.is_ipv4() == wants_v4 => local_ip(client),
            // Anywhere far.
            (true, false) => local_ip(([1, 1, 1, 1], 9).into()),
            (false, false) => local_ip(([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111], 9).into()),
        }
    }

    async fn bind(&self, ip: IpAddr, requested: u16) -> io::Result<UdpSocket> {
        if requested != 0 {
            return UdpSocket::bind((ip, requested)).await;
        }
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..PORT_TRIES {
            match UdpSocket::bind((ip, rand::random_range(self.config.ports.clone()))).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[async_trait]
impl RelayAddressGenerator for Sockets {
    fn validate(&self) -> Result<(), ::turn::Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), ::turn::Error> {
        let current = self.current.slot().clone();
        let (client, username) =
            current.ok_or_else(|| ::turn::Error::Other("no request is being handled".into()))?;
        let allocate = async {
            let ip = self.local_ip(client.address, use_ipv4)?;
            let socket = self.bind(ip, requested_port).await?;
            let port = socket.local_addr()?.port();
            let shown =
                self.config.external_ip.filter(|external| external.is_ipv4() == use_ipv4).unwrap_or(ip);
            Ok::<_, io::Error>((socket, SocketAddr::new(shown, port)))
        };
        let (socket, shown) = allocate.await.map_err(|error| ::turn::Error::Other(error.to_string()))?;
        let leg = PeerLeg {
            socket,
            peers: self.config.peers,
            rates: Mutex::new([Rate::new(self.config.bytes_per_second); 2]),
            ticket: Book::open(&self.book, client, &username),
        };
        Ok((Arc::new(leg), shown))
    }
}

/// The side of a relay that faces peers.
struct PeerLeg {
    socket: UdpSocket,
    peers: Peers,
    /// To peers, and from peers.
    rates: Mutex<[Rate; 2]>,
    ticket: Ticket,
}

#[derive(Clone, Copy)]
enum Direction {
    ToPeer,
    FromPeer,
}

impl PeerLeg {
    /// Whether a datagram may pass. What may not is dropped without a word, like on any network.
    fn admits(&self, direction: Direction, peer: SocketAddr, bytes: usize) -> bool {
        self.peers.allow(peer.ip()) && {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates[direction as usize].take(bytes, Instant::now())
        }
    }
}

/// Bytes per second, with a burst.
#[derive(Clone, Copy)]
struct Rate {
    bytes_per_second: u32,
    /// When all that was taken will have been paid for.
    paid_at: Option<Instant>,
}

/// Debt that a relay may have: as much as it may send in this time. A key frame fits.
const BURST: Duration = Duration::from_millis(500);

impl Rate {
    fn new(bytes_per_second: u32) -> Self {
        Self { bytes_per_second, paid_at: None }
    }

    fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let price = Duration::from_nanos(bytes as u64 * 1_000_000_000 / u64::from(self.bytes_per_second));
        let paid_at = self.paid_at.unwrap_or(now).max(now) + price;
        let is_within = paid_at - now <= BURST;
        if is_within {
            self.paid_at = Some(paid_at);
        }
        is_within
    }
}

#[async_trait]
impl Conn for PeerLeg {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Err(unused())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, Error> {
        Err(unused())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        loop {
            let (bytes, from) = self.socket.recv_from(buffer).await?;
            if self.admits(Direction::FromPeer, from, bytes) {
                return Ok((bytes, from));
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unused())
    }

    async fn send_to(&self, datagram: &[u8], peer: SocketAddr) -> Result<usize, Error> {
        if self.admits(Direction::ToPeer, peer, datagram.len()) {
            // Full or unreachable: lost, like on any network.
            self.socket.try_send_to(datagram, peer).ok();
        }
        Ok(datagram.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> Result<(), Error> {
        self.ticket.give_back();
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// The side that faces the clients of all relays over UDP.
pub(super) struct ClientLeg {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) book: Arc<Book>,
}

#[async_trait]
impl Conn for ClientLeg {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Err(unused())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, Error> {
        Err(unused())
    }

    async fn recv_from(&self, _: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        Err(unused())
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unused())
    }

    async fn send_to(&self, datagram: &[u8], client: SocketAddr) -> Result<usize, Error> {
        self.book.keep_answer(Client { transport: Transport::Datagrams, address: client }, datagram);
        // Full: lost, like on any network; waiting would make one relay slow down all.
        self.socket.try_send_to(datagram, client).ok();
        Ok(datagram.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Called at the end of each allocation; the socket serves the others.
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

pub(super) fn unused() -> Error {
    io::Error::from(io::ErrorKind::Unsupported).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_passes_its_rate_and_half_a_second_at_once() {
        let start = Instant::now();
        let mut rate = Rate::new(1000);
        assert!(rate.take(500, start));
        assert!(!rate.take(1, start));
        assert!(!rate.take(101, start + Duration::from_millis(100)));
        assert!(rate.take(100, start + Duration::from_millis(100)));
        assert!(rate.take(500, start + Duration::from_secs(60)));
    }

    #[test]
    fn a_late_ticket_does_not_remove_its_successor() {
        let book = Arc::new(Book::default());
        let client = Client { transport: Transport::Datagrams, address: ([192, 0, 2, 1], 1).into() };
        let first = Book::open(&book, client, "1:a");
        let second = Book::open(&book, client, "1:b");
        drop(first);
        assert_eq!(book.username_of(client).as_deref(), Some("1:b"));
        drop(second);
        assert_eq!(book.len(), 0);
    }
}
