//! `farwheel doctor nat`: what stands between this computer and the internet, and what to expect of it.
//!
//! Asks the server's STUN (RFC 5780): from where it sees this computer on two of its ports, or addresses, and whether
//! answers pass that come from where nothing was sent to. A server with one address cannot tell a full cone from an
//! address-restricted one; for a drive they are alike.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use clap::Args;
use farwheel_peer::signaling::IceServer;
use serde_json::json;

use super::{Exit, join};
use crate::cli::server::Server;

/// Arguments of `farwheel doctor nat`.
#[derive(Clone, Debug, Args)]
pub(super) struct Nat {
    #[command(flatten)]
    server: Server,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    /// No translation, but answers pass only from where something was sent to.
    Firewall,
    FullCone,
    AddressRestricted,
    /// One of the two above; the server has one address.
    Cone,
    PortRestricted,
    Symmetric,
    /// A translation of which the server can tell no more.
    Unknown,
    NoUdp,
}

/// What was seen over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    local: SocketAddr,
    /// From where the server sees the socket.
    mapped: SocketAddr,
    /// The same at another port or address of the server's.
    mapped_elsewhere: Option<SocketAddr>,
    /// Whether an answer from another address came; none if the server has none.
    from_other_ip: Option<bool>,
    /// Whether an answer from another port came; none if the server has none.
    from_other_port: Option<bool>,
}

impl Seen {
    fn kind(&self) -> Kind {
        let filtered = || match (self.from_other_ip, self.from_other_port) {
            (Some(true), _) => Kind::FullCone,
            (Some(false), Some(true)) => Kind::AddressRestricted,
            (None, Some(true)) => Kind::Cone,
            (_, Some(false)) => Kind::PortRestricted,
            (_, None) => Kind::Unknown,
        };
        if self.mapped == self.local {
            return match filtered() {
                Kind::FullCone | Kind::Cone => Kind::Open,
                _ => Kind::Firewall,
            };
        }
        match self.mapped_elsewhere {
            None => Kind::Unknown,
            Some(elsewhere) if elsewhere != self.mapped => Kind::Symmetric,
            Some(_) => filtered(),
        }
    }
}

impl Kind {
    /// For programs.
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Firewall => "firewall",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::Cone => "cone",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::Unknown => "unknown",
            Self::NoUdp => "no-udp",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Open => "This computer has a public address, and UDP comes in.",
            Self::Firewall => {
                "This computer has a public address; a firewall lets answers in and nothing else."
            }
            Self::FullCone => "Full-cone NAT: whoever knows its address reaches this computer.",
            Self::AddressRestricted => {
                "Address-restricted NAT: whom this computer has sent to can answer from any port."
            }
            Self::Cone => "Cone NAT, full or address-restricted.",
            Self::PortRestricted => "Port-restricted NAT, as most homes have it.",
            Self::Symmetric => "Symmetric NAT, as many cellular and company networks have it.",
            Self::Unknown => "NAT of a kind that this server cannot tell.",
            Self::NoUdp => "UDP does not pass.",
        }
    }

    fn expectation(self) -> &'static str {
        match self {
            Self::Open | Self::FullCone | Self::AddressRestricted | Self::Cone => {
                "Expect a direct connection, unless the robot's network blocks UDP."
            }
            Self::PortRestricted | Self::Firewall => {
                "Expect a direct connection, unless the robot is behind a symmetric NAT: then it takes a relay."
            }
            Self::Symmetric => {
                "Expect a direct connection to a robot behind a full-cone or address-restricted NAT, and a relay to \
                 all others."
            }
            Self::Unknown => "A direct connection may work; if not, it takes a relay.",
            Self::NoUdp => "Expect a relay, with more delay when packets are lost.",
        }
    }

    fn needs_relay(self) -> bool {
        matches!(self, Self::Symmetric | Self::Unknown | Self::NoUdp)
    }
}

/// How the relay is reached from here.
fn relay_over(kind: Kind, servers: &[IceServer]) -> Option<&'static str> {
    let urls = || servers.iter().flat_map(|server| server.urls.iter().map(String::as_str));
    let is_udp = |url: &&str| url.starts_with("turn:") && !url.contains("transport=tcp");
    let is_tcp = |url: &&str| url.starts_with("turn:") && url.contains("transport=tcp");
    if kind != Kind::NoUdp && urls().any(|url| is_udp(&url)) {
        return Some("UDP");
    }
    if urls().filter(is_tcp).filter_map(address).any(answers_over_tcp) {
        return Some("TCP");
    }
    // The signalling server was reached over TLS, most likely on the same port.
    urls().any(|url| url.starts_with("turns:")).then_some("TLS")
}

pub(super) fn run(args: &Nat) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let token = args.server.proof.token()?;
    let servers = match runtime.block_on(join(&args.server.url, token, args.server.proof.ca.clone())) {
        Ok((servers, _)) => servers,
        Err(problem) => {
            eprintln!("farwheel: {}\n  {}", problem.what, problem.remedy);
            return Ok(Exit::Unreachable);
        }
    };
    runtime.shutdown_timeout(Duration::from_millis(100));
    let urls = servers.iter().flat_map(|server| &server.urls);
    let mut stuns: Vec<SocketAddr> = Vec::new();
    for at in urls
        .filter(|url| !url.contains("transport=tcp") && !url.starts_with("turns:"))
        .filter_map(|url| address(url))
    {
        if !stuns.contains(&at) {
            stuns.push(at);
        }
    }
    anyhow::ensure!(!stuns.is_empty(), "the server names no STUN server, so nothing can be found out");
    let seen = stuns.iter().find_map(|at| look(*at, &stuns).transpose()).transpose()?;
    let kind = seen.as_ref().map_or(Kind::NoUdp, Seen::kind);
    let relay = relay_over(kind, &servers);
    let relay_words = match relay {
        Some("UDP") => "The server has a relay, which is reached over UDP.".to_owned(),
        Some(transport) => format!("The server has a relay, which is reached over {transport}."),
        None => "The server has no relay: where one is needed, there is no connection.".to_owned(),
    };
    if args.json {
        let value = json!({
            "nat": kind.name(),
            "what": kind.in_words(),
            "expect": kind.expectation(),
            "relay_over": relay,
            "local": seen.as_ref().map(|seen| seen.local.to_string()),
            "mapped": seen.as_ref().map(|seen| seen.mapped.to_string()),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        println!("{}", kind.in_words());
        println!("{}", kind.expectation());
        println!("{relay_words}");
        if let Some(seen) = &seen {
            println!("From the server {} is {}.", seen.local, seen.mapped);
        }
    }
    Ok(if kind.needs_relay() && relay.is_none() { Exit::Unwell } else { Exit::Done })
}

/// The address in a url of a STUN or TURN server; IPv4, since only there is translation.
fn address(url: &str) -> Option<SocketAddr> {
    let rest = url.split_once(':')?.1.split('?').next()?;
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { rest.to_owned() } else { format!("{rest}:3478") };
    with_port.to_socket_addrs().ok()?.find(SocketAddr::is_ipv4)
}

/// Asks one server in all the ways it has; `None` if it does not answer. `known` are all there are.
fn look(server: SocketAddr, known: &[SocketAddr]) -> std::io::Result<Option<Seen>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let Some(first) = ask(&socket, server, 0)? else { return Ok(None) };
    let other = first.other.filter(|other| *other != server);
    // Another address where there is one: a mapping may depend on it alone.
    let elsewhere = match other {
        Some(other) if other.ip() != server.ip() => Some(SocketAddr::new(other.ip(), server.port())),
        Some(other) => Some(other),
        None => known.iter().copied().find(|at| *at != server),
    };
    let mapped_elsewhere = match elsewhere {
        Some(elsewhere) => ask(&socket, elsewhere, 0)?.map(|answer| answer.mapped),
        None => None,
    };
    // A fresh socket: what was sent elsewhere would let answers from there in.
    let fresh = UdpSocket::bind("0.0.0.0:0")?;
    let changed = |flags| -> std::io::Result<Option<bool>> {
        match other {
            Some(other) if flags & CHANGE_IP == 0 || other.ip() != server.ip() => {
                Ok(Some(ask(&fresh, server, flags)?.is_some()))
            }
            _ => Ok(None),
        }
    };
    let from_other_ip = changed(CHANGE_IP | CHANGE_PORT)?;
    let from_other_port = changed(CHANGE_PORT)?;
    // Where packets to the server leave.
    let route = UdpSocket::bind("0.0.0.0:0")?;
    route.connect(server)?;
    let ip: IpAddr = route.local_addr()?.ip();
    let local = SocketAddr::new(ip, socket.local_addr()?.port());
    Ok(Some(Seen { local, mapped: first.mapped, mapped_elsewhere, from_other_ip, from_other_port }))
}

const CHANGE_IP: u8 = 0x04;
const CHANGE_PORT: u8 = 0x02;

/// What a Binding response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    mapped: SocketAddr,
    other: Option<SocketAddr>,
}

/// Sends a Binding request, up to three times half a second apart, and takes the answer from wherever it comes.
fn ask(socket: &UdpSocket, server: SocketAddr, change: u8) -> std::io::Result<Option<Answer>> {
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let transaction: [u8; 12] = rand::random();
    let mut request = vec![0, 1, 0, if change == 0 { 0 } else { 8 }, 0x21, 0x12, 0xa4, 0x42];
    request.extend(transaction);
    if change != 0 {
        request.extend([0x00, 0x03, 0, 4, 0, 0, 0, change]);
    }
    let mut buffer = [0; 576];
    for _ in 0..3 {
        // No route is the same as no answer.
        socket.send_to(&request, server).ok();
        if let Ok((bytes, _)) = socket.recv_from(&mut buffer)
            && buffer[8..20] == transaction
            && let Some(answer) = read(&buffer[..bytes])
        {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

fn answers_over_tcp(server: SocketAddr) -> bool {
    let limit = Duration::from_secs(3);
    let asked = TcpStream::connect_timeout(&server, limit).and_then(|mut stream| {
        stream.set_read_timeout(Some(limit))?;
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend(rand::random::<[u8; 12]>());
        stream.write_all(&request)?;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        Ok(head == [1, 1])
    });
    asked.unwrap_or(false)
}

/// XOR-MAPPED-ADDRESS and OTHER-ADDRESS of a success response (RFC 8489 section 14, RFC 5780 section 7.4); IPv4.
fn read(message: &[u8]) -> Option<Answer> {
    if message.get(..2)? != [1, 1] {
        return None;
    }
    let (mut mapped, mut other) = (None, None);
    let mut rest = message.get(20..)?;
    while let [t0, t1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if let Some([_, 1, p0, p1, a, b, c, d]) = tail.get(..length) {
            let (port, ip) = (u16::from_be_bytes([*p0, *p1]), [*a, *b, *c, *d]);
            match (*t0, *t1) {
                (0x00, 0x20) => {
                    let ip = [ip[0] ^ 0x21, ip[1] ^ 0x12, ip[2] ^ 0xa4, ip[3] ^ 0x42];
                    mapped = Some(SocketAddr::from((ip, port ^ 0x2112)));
                }
                (0x80, 0x2c) => other = Some(SocketAddr::from((ip, port))),
                _ => {}
            }
        }
        rest = tail.get(length.div_ceil(4) * 4..)?;
    }
    Some(Answer { mapped: mapped?, other })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: ([u8; 4], u16) = ([10, 0, 0, 2], 5000);
    const SEEN: ([u8; 4], u16) = ([192, 0, 2, 1], 5000);
    const AGAIN: ([u8; 4], u16) = ([192, 0, 2, 1], 6000);

    #[test]
    fn what_was_seen_tells_the_kind() {
        let (yes, no) = (Some(true), Some(false));
        for (mapped, elsewhere, other_ip, other_port, want) in [
            (HOME, Some(HOME), yes, yes, Kind::Open),
            (HOME, Some(HOME), None, yes, Kind::Open),
            (HOME, Some(HOME), no, no, Kind::Firewall),
            (HOME, None, None, None, Kind::Firewall),
            (SEEN, Some(SEEN), yes, yes, Kind::FullCone),
            (SEEN, Some(SEEN), no, yes, Kind::AddressRestricted),
            (SEEN, Some(SEEN), None, yes, Kind::Cone),
            (SEEN, Some(SEEN), no, no, Kind::PortRestricted),
            (SEEN, Some(SEEN), None, no, Kind::PortRestricted),
            (SEEN, Some(AGAIN), no, no, Kind::Symmetric),
            (SEEN, Some(AGAIN), None, yes, Kind::Symmetric),
            (SEEN, Some(SEEN), None, None, Kind::Unknown),
            (SEEN, None, None, None, Kind::Unknown),
        ] {
            let seen = Seen {
                local: HOME.into(),
                mapped: mapped.into(),
                mapped_elsewhere: elsewhere.map(Into::into),
                from_other_ip: other_ip,
                from_other_port: other_port,
            };
            assert_eq!(seen.kind(), want, "{seen:?}");
        }
    }

    #[test]
    fn both_addresses_of_an_answer_are_read_and_a_cut_one_never_panics() {
        let mut message = vec![1, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42];
        message.extend([0; 12]);
        // RFC 5769 section 2.2: 192.0.2.1, port 32853.
        message.extend([0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        message.extend([0x80, 0x2c, 0, 8, 0, 1, 0x0d, 0x96, 198, 51, 100, 7]);
        let want =
            Answer { mapped: ([192, 0, 2, 1], 32853).into(), other: Some(([198, 51, 100, 7], 3478).into()) };
        assert_eq!(read(&message), Some(want));
        for cut in 0..message.len() {
            read(&message[..cut]);
        }
    }

    #[test]
    fn the_address_in_a_url_is_found_with_and_without_a_port() {
        assert_eq!(address("stun:192.0.2.1:5"), Some(([192, 0, 2, 1], 5).into()));
        assert_eq!(address("turn:192.0.2.1?transport=udp"), Some(([192, 0, 2, 1], 3478).into()));
        assert_eq!(address("turn:[::1]:5?transport=udp"), None);
    }

    #[test]
    fn every_kind_is_said_in_sentences() {
        for kind in [
            Kind::Open,
            Kind::Firewall,
            Kind::FullCone,
            Kind::AddressRestricted,
            Kind::Cone,
            Kind::PortRestricted,
            Kind::Symmetric,
            Kind::Unknown,
            Kind::NoUdp,
        ] {
            assert!(kind.in_words().ends_with('.') && kind.expectation().ends_with('.'), "{kind:?}");
        }
    }
}
