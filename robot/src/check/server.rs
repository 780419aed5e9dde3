//! The signalling server, and the STUN and TURN servers that it names.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_peer::signaling::{Client, Event, IceServer, Place, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::{Item, block_on};
use crate::config::Config;
use crate::net::Settings;

/// Goes to the server as `run` would, but into a room of its own.
pub(super) fn signaling(config: &Config) -> Result<Vec<Item>> {
    const NAME: &str = "signalling";
    let mut settings = Settings::new(config).signaling;
    // Not the robot's own room: drivers there would connect to this check.
    let room = format!("check-{:016x}", rand::random::<u64>()).parse().expect("a valid room name");
    settings.place = Place::room(room, Role::Robot);
    let server = settings.server.clone();
    block_on(async {
        let start = Instant::now();
        let (client, mut events) = Client::connect(settings);
        let joined = async {
            loop {
                match events.recv().await {
                    Some(Event::Joined { ice_servers, .. }) => return Ok(ice_servers),
                    Some(Event::Fatal(refusal)) => bail!("{server} does not let this robot in: {refusal}"),
                    Some(Event::Lost { reason, .. }) => bail!("{server} is not reachable: {reason}"),
                    Some(_) => {}
                    None => bail!("{server}: the connection ended"),
                }
            }
        };
        let joined = tokio::time::timeout(JOIN_WITHIN, joined)
            .await
            .unwrap_or_else(|_| bail!("{server} does not answer within {} s", JOIN_WITHIN.as_secs()));
        client.leave();
        match joined {
            Err(error) => vec![Item::failed(NAME, format!("{error:#}"))],
            Ok(ice_servers) => {
                let ms = start.elapsed().as_millis();
                let mut items = vec![Item::ok(
                    NAME,
                    format!("{server} speaks rtcsig/1 and let a robot in after {ms} ms"),
                )];
                items.extend(relays(&ice_servers).await);
                items
            }
        }
    })
}

async fn relays(servers: &[IceServer]) -> Vec<Item> {
    const NAME: &str = "STUN and TURN";
    if servers.is_empty() {
        let text = "the server names none; connections work within one network only";
        return vec![Item::warning(NAME, text)];
    }
    let mut items = Vec::new();
    for url in servers.iter().flat_map(|server| &server.urls) {
        items.push(match ask(url).await {
            Ok(found) => Item::ok(NAME, format!("{url} {found}")),
            Err(error) => Item::warning(NAME, format!("{url}: {error:#}")),
        });
    }
    items
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// Sends a binding request (RFC 8489), which TURN servers answer as well; behind TLS, looks whether somebody listens.
async fn ask(url: &str) -> Result<String> {
    let (address, transport) = address_of(url)?;
    let mut targets =
        tokio::net::lookup_host(&address).await.with_context(|| format!("look up {address}"))?;
    let target = targets.next().context("the name has no address")?;
    let start = Instant::now();
    match transport {
        Transport::Udp => ask_over_udp(target).await?,
        Transport::Tcp => within(ANSWER_WITHIN * ATTEMPTS, ask_over_tcp(target)).await?,
        Transport::Tls => {
            let connecting = TcpStream::connect(target);
            within(ANSWER_WITHIN * ATTEMPTS, async { connecting.await.context("connect") }).await?;
        }
    }
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    Ok(match transport {
        Transport::Udp | Transport::Tcp => format!("answers in {ms:.1} ms"),
        Transport::Tls => {
            format!("listens, found in {ms:.1} ms; its certificate is looked at when it is used")
        }
    })
}

async fn within<T>(most: Duration, asking: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(most, asking).await.unwrap_or_else(|_| bail!("no answer over TCP"))
}

async fn ask_over_udp(target: SocketAddr) -> Result<()> {
    let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.context("open a UDP socket")?;
    socket.connect(target).await.context("no route")?;
    let transaction: [u8; 12] = rand::random();
    let request = binding_request(&transaction);
    for _ in 0..ATTEMPTS {
        socket.send(&request).await.context("send")?;
        let mut answer = [0; 1500];
        if let Ok(received) = tokio::time::timeout(ANSWER_WITHIN, socket.recv(&mut answer)).await {
            let length = received.context("receive")?;
            ensure!(is_answer(&answer[..length], &transaction), "something else than STUN answers");
            return Ok(());
        }
    }
    bail!("no answer over UDP")
}

async fn ask_over_tcp(target: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(target).await.context("connect")?;
    let transaction: [u8; 12] = rand::random();
    stream.write_all(&binding_request(&transaction)).await.context("send")?;
    // The header tells enough.
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).await.context("receive")?;
    ensure!(is_answer(&answer, &transaction), "something else than STUN answers");
    Ok(())
}

/// `host:port` and transport of a `stun:`, `turn:` or `turns:` URL (RFC 7064, RFC 7065).
fn address_of(url: &str) -> Result<(String, Transport)> {
    let (scheme, rest) = url.split_once(':').context("no URL")?;
    let (host, transport) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
    let transport = match (scheme, transport) {
        ("stun", None) | ("turn", None | Some("transport=udp")) => Transport::Udp,
        ("turn", Some("transport=tcp")) => Transport::Tcp,
        ("turns", None | Some("transport=tcp")) => Transport::Tls,
        _ => bail!("unknown transport; want stun:, turn: or turns:, over udp or tcp"),
    };
    let port = if transport == Transport::Tls { 5349 } else { 3478 };
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    Ok((if has_port { host.to_owned() } else { format!("{host}:{port}") }, transport))
}

fn binding_request(transaction: &[u8; 12]) -> [u8; 20] {
    let mut request = [0; 20];
    request[1] = 1;
    request[4..8].copy_from_slice(&MAGIC);
    request[8..].copy_from_slice(transaction);
    request
}

/// A success or error answer to the binding request with this transaction.
fn is_answer(bytes: &[u8], transaction: &[u8; 12]) -> bool {
    bytes.len() >= 20
        && matches!(bytes[..2], [1, 1] | [1, 0x11])
        && bytes[4..8] == MAGIC
        && bytes[8..20] == transaction[..]
}

/// RFC 8489 section 5.
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const JOIN_WITHIN: Duration = Duration::from_secs(8);
const ATTEMPTS: u32 = 3;
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, want) in [
            ("stun:example.org", Ok(("example.org:3478", Transport::Udp))),
            ("stun:example.org:19302", Ok(("example.org:19302", Transport::Udp))),
            ("turn:[::1]:5349?transport=udp", Ok(("[::1]:5349", Transport::Udp))),
            ("turn:[::1]", Ok(("[::1]:3478", Transport::Udp))),
            ("turn:example.org?transport=tcp", Ok(("example.org:3478", Transport::Tcp))),
            ("turns:example.org", Ok(("example.org:5349", Transport::Tls))),
            ("turns:example.org:443?transport=tcp", Ok(("example.org:443", Transport::Tls))),
            ("turns:example.org?transport=udp", Err("unknown transport")),
            ("https://example.org", Err("unknown transport")),
            ("example.org", Err("no URL")),
        ] {
            let got = address_of(url);
            match want {
                Ok((address, transport)) => {
                    assert_eq!(got.unwrap(), (address.to_owned(), transport), "{url}")
                }
                Err(want) => assert!(got.unwrap_err().to_string().starts_with(want), "{url}"),
            }
        }
    }

    #[test]
    fn only_the_answer_to_the_request_counts() {
        let transaction = [7; 12];
        let mut answer = binding_request(&transaction);
        assert!(!is_answer(&answer, &transaction), "a request is no answer");
        answer[0] = 1;
        assert!(is_answer(&answer, &transaction));
        assert!(!is_answer(&answer, &[8; 12]));
        assert!(!is_answer(&answer[..19], &transaction));
    }
}
