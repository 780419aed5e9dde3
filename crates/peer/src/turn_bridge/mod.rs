//! TURN over TCP and TLS, which the engine does not speak (docs/ENGINE.md).
//!
//! The engine is told of a TURN server over UDP at an address that nobody has, a stand-in. What one of its sockets sends
//! there goes to the real server over a stream of that socket's own, from the same interface, and what comes back appears
//! on the socket as if it came from the stand-in. The relayed address that the server gives travels through, so the
//! engine's candidate is the real one.
//!
//! | way | begins | ends unused |
//! |---|---|---|
//! | UDP | at once, in the engine | |
//! | TCP | 250 ms after the engine's first request | when UDP has a relay |
//! | TLS | 500 ms after TCP, or when TCP has failed | when UDP or TCP has a relay |
//!
//! So a path over UDP is never delayed, and where it works no stream is opened that would compete with it.

mod carry;
mod queue;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use farwheel_proto::signaling::IceServer;
use socket2::SockRef;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use webrtc::runtime::{RecvMeta, Transmit};

use self::queue::Queue;
use crate::stats::RelayTransport;

/// The servers that are reached over streams, and what is known of the ways to them.
#[derive(Debug)]
pub(crate) struct Plan {
    ways: Vec<Way>,
    /// PEM file with certificates to trust besides the system's.
    ca: Option<PathBuf>,
    /// The interface that all packets leave by; none: the system chooses.
    interface: Option<String>,
    /// The best way that has given a relay since the sockets were made.
    best: watch::Sender<Option<RelayTransport>>,
}

/// A server and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    transport: RelayTransport,
    host: String,
    port: u16,
}

/// Ways at most; an address of the stand-ins' range for each.
const WAYS_MAX: usize = 16;

/// Port of the stand-ins.
const STAND_IN_PORT: u16 = 3478;

/// End of the stand-ins' names; nobody can have one (RFC 2606).
const STAND_IN_DOMAIN: &str = ".turn.invalid";

impl Plan {
    /// Looks through what the signalling server handed out.
    pub(crate) fn new(servers: &[IceServer], ca: Option<PathBuf>) -> Self {
        let mut ways = Vec::new();
        for way in servers.iter().flat_map(|server| &server.urls).filter_map(|url| Way::parse(url)) {
            if !ways.contains(&way) && ways.len() < WAYS_MAX {
                ways.push(way);
            }
        }
        Self { ways, ca, interface: None, best: watch::Sender::new(None) }
    }

    /// Keeps the connection's sockets to one interface.
    pub(crate) fn with_interface(self, interface: Option<String>) -> Self {
        Self { interface, ..self }
    }

    /// Ties a socket to the interface, if there is one to keep to. An address alone does not: the system sends by its
    /// best route whatever the packet's source.
    pub(crate) fn tie(&self, socket: &SockRef<'_>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(name) = &self.interface {
            // Allowed to everybody since Linux 5.7, as long as it is done once.
            return socket.bind_device(Some(name.as_bytes()));
        }
        #[cfg(not(target_os = "linux"))]
        let _ = socket;
        Ok(())
    }

    /// The url that makes the engine use this one; none if the engine cannot be helped.
    pub(crate) fn stand_in_for(&self, url: &str) -> Option<String> {
        let way = Way::parse(url)?;
        let index = self.ways.iter().position(|known| *known == way)?;
        let name = match way.transport {
            RelayTransport::Tls => "tls",
            RelayTransport::Tcp | RelayTransport::Udp => "tcp",
        };
        Some(format!("turn:{name}-{index}{STAND_IN_DOMAIN}:{STAND_IN_PORT}?transport=udp"))
    }

    /// The server of a relay whose candidate has this url, by name or address.
    pub(crate) fn host_of(&self, url: &str) -> Option<String> {
        let authority = url.strip_prefix("turn:")?.split('?').next()?;
        let host = match self.index_of(authority) {
            Some(index) => &self.ways[index].host,
            None => host_and_port(authority).0,
        };
        (!host.is_empty()).then(|| host.to_owned())
    }

    /// Which of the ways a stand-in, given as `name:port`, stands for.
    fn index_of(&self, authority: &str) -> Option<usize> {
        let name = host_and_port(authority).0.strip_suffix(STAND_IN_DOMAIN)?;
        let index = name.rsplit_once('-')?.1.parse().ok()?;
        (index < self.ways.len()).then_some(index)
    }

    /// The addresses of a stand-in, given as `name:port`; none for any other name.
    pub(crate) fn resolve(&self, host: &str) -> Option<Vec<SocketAddr>> {
        let index = self.index_of(host)?;
        Some([true, false].map(|is_v4| stand_in(index, is_v4)).to_vec())
    }

    /// The way at which a stand-in stands.
    fn way_of(&self, address: SocketAddr) -> Option<&Way> {
        self.ways
            .iter()
            .enumerate()
            .find(|(index, _)| stand_in(*index, address.is_ipv4()) == address)
            .map(|(_, way)| way)
    }

    /// Whether a relay over `transport` would be no better than what there is.
    fn has_better_than(&self, transport: RelayTransport) -> bool {
        self.best.borrow().is_some_and(|best| best < transport)
    }

    fn note(&self, transport: RelayTransport) {
        self.best.send_if_modified(|best| {
            let is_better = best.is_none_or(|best| transport < best);
            if is_better {
                *best = Some(transport);
            }
            is_better
        });
    }
}

/// How a candidate with this url reaches its relay.
pub(crate) fn transport_of(url: &str) -> RelayTransport {
    match url.strip_prefix("turn:").filter(|rest| rest.contains(STAND_IN_DOMAIN)) {
        Some(name) if name.starts_with("tls-") => RelayTransport::Tls,
        Some(_) => RelayTransport::Tcp,
        None => RelayTransport::Udp,
    }
}

/// From TEST-NET-1 (RFC 5737) and the range for documentation (RFC 3849): no packet for them leaves a network.
fn stand_in(index: usize, is_v4: bool) -> SocketAddr {
    let last = index as u16 + 1;
    let ip: IpAddr = if is_v4 {
        Ipv4Addr::new(192, 0, 2, last as u8).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
    };
    SocketAddr::new(ip, STAND_IN_PORT)
}

impl Way {
    /// Reads a url of a server that is reached over a stream (RFC 7065); none if it is reached otherwise.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let asked = query.split('&').find_map(|part| part.strip_prefix("transport="));
        let (transport, default_port) = match (scheme, asked) {
            ("turn", Some("tcp")) => (RelayTransport::Tcp, 3478),
            ("turns", None | Some("tcp")) => (RelayTransport::Tls, 5349),
            _ => return None,
        };
        let (host, port) = host_and_port(authority);
        let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
        (!host.is_empty()).then(|| Self { transport, host: host.to_owned(), port })
    }
}

/// The parts of a url's `host:port`; an address of IPv6 without its brackets.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let (host, port) = match authority.rsplit_once(':') {
        // A colon within brackets belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// The streams of one of the engine's sockets; they end with it.
#[derive(Debug)]
pub(crate) struct Bridges {
    plan: Arc<Plan>,
    local: IpAddr,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    bridges: Vec<Bridge>,
    /// One for all: the engine waits for it before there is any bridge.
    received: mpsc::Receiver<Received>,
    to_engine: mpsc::Sender<Received>,
    /// Servers over UDP that were asked for a relay.
    asked: Vec<SocketAddr>,
    /// Turns true when a stream over TCP has failed.
    tcp_failed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Bridge {
    stand_in: SocketAddr,
    queue: Arc<Queue>,
    task: AbortHandle,
}

/// A message, and where it seems to come from.
#[derive(Debug)]
struct Received {
    from: SocketAddr,
    message: Bytes,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Messages from the server on their way to the engine. Full: the stream is not read, and the server drops.
const RECEIVED_MAX: usize = 256;

/// Servers remembered; more than the engine is ever given.
const ASKED_MAX: usize = 16;

impl Bridges {
    /// For a socket that is bound to `local`; none is needed where no server is reached over a stream.
    pub(crate) fn new(plan: &Arc<Plan>, local: IpAddr) -> Option<Self> {
        if plan.ways.is_empty() {
            return None;
        }
        // New sockets mean a new network, perhaps: what was known of the last one does not count.
        plan.best.send_replace(None);
        let (to_engine, received) = mpsc::channel(RECEIVED_MAX);
        let open = Open {
            bridges: Vec::new(),
            received,
            to_engine,
            asked: Vec::new(),
            tcp_failed: watch::Sender::new(false),
        };
        Some(Self { plan: Arc::clone(plan), local, open: Mutex::new(open) })
    }

    /// Takes what is for a stand-in; `None` if it is not.
    pub(crate) fn send(&self, transmit: &Transmit<'_>) -> Option<io::Result<usize>> {
        let is_request = transmit.contents.starts_with(&ALLOCATE_REQUEST);
        let Some(way) = self.plan.way_of(transmit.destination) else {
            if is_request {
                let asked = &mut self.open().asked;
                if asked.len() < ASKED_MAX && !asked.contains(&transmit.destination) {
                    asked.push(transmit.destination);
                }
            }
            return None;
        };
        let mut open = self.open();
        let known = open.bridges.iter().position(|bridge| bridge.stand_in == transmit.destination);
        let index = match known {
            Some(index) => index,
            // A candidate of the peer's cannot have a stream opened.
            None if !is_request => return None,
            None => {
                let bridge = self.build(way.clone(), transmit.destination, &open);
                open.bridges.push(bridge);
                open.bridges.len() - 1
            }
        };
        let queue = &open.bridges[index].queue;
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let taken = transmit.contents.chunks(size).all(|datagram| queue.push(datagram).is_ok());
        Some(if taken { Ok(transmit.contents.len()) } else { Err(io::ErrorKind::ConnectionReset.into()) })
    }

    fn build(&self, way: Way, stand_in: SocketAddr, open: &Open) -> Bridge {
        let queue = Arc::new(Queue::default());
        let job = carry::Job {
            way,
            local: self.local,
            plan: Arc::clone(&self.plan),
            queue: Arc::clone(&queue),
            stand_in,
            to_engine: open.to_engine.clone(),
            tcp_failed: open.tcp_failed.clone(),
        };
        let task = tokio::spawn(job.run()).abort_handle();
        Bridge { stand_in, queue, task }
    }

    /// A message from one of the servers, if there is one.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut IoSliceMut<'_>,
        meta: &mut RecvMeta,
    ) -> Poll<()> {
        let received = &mut self.open().received;
        // Never closed: a sending half stays here.
        while let Poll::Ready(Some(Received { from, message })) = received.poll_recv(cx) {
            let Some(place) = buffer.get_mut(..message.len()) else { continue };
            place.copy_from_slice(&message);
            *meta = RecvMeta::default();
            meta.addr = from;
            meta.len = message.len();
            meta.stride = message.len();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Looks at what came over UDP: a relay there makes streams unnecessary.
    pub(crate) fn handle_udp(&self, datagram: &[u8], from: SocketAddr) {
        if datagram.starts_with(&ALLOCATE_SUCCESS) && self.open().asked.contains(&from) {
            self.plan.note(RelayTransport::Udp);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Types of messages (RFC 8656 section 18).
const ALLOCATE_REQUEST: [u8; 2] = [0x00, 0x03];
const ALLOCATE_SUCCESS: [u8; 2] = [0x01, 0x03];

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str]) -> Vec<IceServer> {
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        vec![IceServer { urls, username: None, credential: None }]
    }

    #[test]
    fn urls_of_streams_are_told_from_the_others() {
        let way = |transport, host: &str, port| Some(Way { transport, host: host.to_owned(), port });
        for (url, want) in [
            ("turn:a.example:1?transport=tcp", way(RelayTransport::Tcp, "a.example", 1)),
            ("turn:a.example?transport=tcp", way(RelayTransport::Tcp, "a.example", 3478)),
            ("turns:a.example", way(RelayTransport::Tls, "a.example", 5349)),
            ("turns:[2001:db8::1]:443?transport=tcp", way(RelayTransport::Tls, "2001:db8::1", 443)),
            ("turns:[2001:db8::1]?transport=tcp", way(RelayTransport::Tls, "2001:db8::1", 5349)),
            ("turn:a.example:1", None),
            ("turn:a.example:1?transport=udp", None),
            // DTLS.
            ("turns:a.example:1?transport=udp", None),
            ("stun:a.example:1", None),
            ("turns:a.example:99999", None),
            ("turns::1", None),
            ("", None),
        ] {
            assert_eq!(Way::parse(url), want, "{url}");
        }
    }

    #[test]
    fn the_server_is_told_from_the_url_of_a_candidate_on_its_relay() {
        let plan = Plan::new(&servers(&["turn:a.example?transport=tcp", "turns:[2001:db8::1]:443"]), None);
        for (url, want) in [
            ("turn:198.51.100.7:3478?transport=udp", Some("198.51.100.7")),
            ("turn:b.example", Some("b.example")),
            ("turn:[2001:db8::2]:3478", Some("2001:db8::2")),
            ("turn:tcp-0.turn.invalid:3478?transport=udp", Some("a.example")),
            ("turn:tls-1.turn.invalid:3478?transport=udp", Some("2001:db8::1")),
            ("turn:", None),
            ("stun:a.example", None),
            ("", None),
        ] {
            assert_eq!(plan.host_of(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn each_way_has_a_stand_in_that_leads_back_to_it() {
        let urls =
            ["turn:a:1?transport=udp", "turn:a:1?transport=tcp", "turns:a:2", "turn:a:1?transport=tcp"];
        let plan = Plan::new(&servers(&urls), None);
        assert_eq!(plan.ways.len(), 2);
        assert_eq!(plan.stand_in_for(urls[0]), None);
        let tcp = plan.stand_in_for(urls[1]).expect("one");
        let tls = plan.stand_in_for(urls[2]).expect("one");
        assert_eq!(tcp, "turn:tcp-0.turn.invalid:3478?transport=udp");
        assert_eq!(
            [tcp.as_str(), &tls, urls[0]].map(transport_of),
            [RelayTransport::Tcp, RelayTransport::Tls, RelayTransport::Udp]
        );
        for address in plan.resolve("tls-1.turn.invalid:3478").expect("it stands there") {
            assert_eq!(plan.way_of(address), Some(&plan.ways[1]));
        }
        for unknown in ["tcp-2.turn.invalid:3478", "turn.example:3478", "x.turn.invalid:1", ".turn.invalid:1"]
        {
            assert_eq!(plan.resolve(unknown), None, "{unknown}");
        }
        assert_eq!(plan.way_of(([192, 0, 2, 1], 3479).into()), None);
    }

    #[test]
    fn a_relay_makes_only_worse_ways_unnecessary() {
        let plan = Plan::new(&servers(&["turns:a"]), None);
        let unneeded = |plan: &Plan| {
            [RelayTransport::Udp, RelayTransport::Tcp, RelayTransport::Tls]
                .map(|way| plan.has_better_than(way))
        };
        assert_eq!(unneeded(&plan), [false, false, false]);
        plan.note(RelayTransport::Tcp);
        assert_eq!(unneeded(&plan), [false, false, true]);
        plan.note(RelayTransport::Udp);
        plan.note(RelayTransport::Tcp);
        assert_eq!(unneeded(&plan), [false, true, true]);
    }

    #[test]
    fn only_a_server_that_was_asked_can_say_that_udp_works() {
        let plan = Arc::new(Plan::new(&servers(&["turns:a"]), None));
        let bridges = Bridges::new(&plan, Ipv4Addr::LOCALHOST.into()).expect("there is a way");
        let server: SocketAddr = ([192, 0, 2, 99], 1).into();
        let send = |contents: &[u8]| {
            let transmit =
                Transmit { destination: server, ecn: None, contents, segment_size: None, src_ip: None };
            assert!(bridges.send(&transmit).is_none(), "it is not for a stand-in");
        };
        send(&[0, 1, 0, 0]);
        bridges.handle_udp(&ALLOCATE_SUCCESS, server);
        assert!(!plan.has_better_than(RelayTransport::Tls));
        send(&[0, 3, 0, 0]);
        bridges.handle_udp(&ALLOCATE_SUCCESS, ([192, 0, 2, 98], 1).into());
        bridges.handle_udp(&[1, 0x13], server);
        assert!(!plan.has_better_than(RelayTransport::Tls));
        bridges.handle_udp(&ALLOCATE_SUCCESS, server);
        assert!(plan.has_better_than(RelayTransport::Tls));
    }
}
