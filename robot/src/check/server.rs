//! The signalling server, and the STUN and TURN servers that it names.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_peer::signaling::{Client, Event, IceServer, Role};
use tokio::net::UdpSocket;

use super::{Item, block_on};
use crate::config::Config;
use crate::net::Settings;

/// Goes to the server as `run` would, but into a room of its own.
pub(super) fn signaling(config: &Config) -> Result<Vec<Item>> {
    const NAME: &str = "signalling";
    let mut settings = Settings::new(config).signaling;
    // Not the robot's own room: drivers there would connect to this check.
    settings.room = format!("check-{:016x}", rand::random::<u64>()).parse().expect("a valid room name");
    settings.role = Role::Robot;
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
            Ok(took) => Item::ok(NAME, format!("{url} answers in {:.1} ms", took.as_secs_f64() * 1000.0)),
            Err(error) => Item::warning(NAME, format!("{url}: {error:#}")),
        });
    }
    items
}

/// Sends a binding request (RFC 8489), which TURN servers answer as well.
async fn ask(url: &str) -> Result<Duration> {
    let address = address_of(url)?;
    let mut targets =
        tokio::net::lookup_host(&address).await.with_context(|| format!("look up {address}"))?;
    let target = targets.next().context("the name has no address")?;
    let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.context("open a UDP socket")?;
    socket.connect(target).await.context("no route")?;
    let transaction: [u8; 12] = rand::random();
    let request = binding_request(&transaction);
    let start = Instant::now();
    for _ in 0..ATTEMPTS {
        socket.send(&request).await.context("send")?;
        let mut answer = [0; 1500];
        if let Ok(received) = tokio::time::timeout(ANSWER_WITHIN, socket.recv(&mut answer)).await {
            let length = received.context("receive")?;
            ensure!(is_answer(&answer[..length], &transaction), "something else than STUN answers");
            return Ok(start.elapsed());
        }
    }
    bail!("no answer over UDP")
}

/// `host:port` of a `stun:`, `turn:` or `turns:` URL.
fn address_of(url: &str) -> Result<String> {
    let (scheme, rest) = url.split_once(':').context("no URL")?;
    let (host, transport) = rest.split_once('?').unwrap_or((rest, "transport=udp"));
    ensure!(
        matches!(scheme, "stun" | "turn") && transport == "transport=udp",
        "only UDP is tried by this release"
    );
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    Ok(if has_port { host.to_owned() } else { format!("{host}:3478") })
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
            ("stun:example.org", Ok("example.org:3478")),
            ("stun:example.org:19302", Ok("example.org:19302")),
            ("turn:[::1]:5349?transport=udp", Ok("[::1]:5349")),
            ("turn:[::1]", Ok("[::1]:3478")),
            ("turn:example.org?transport=tcp", Err("only UDP is tried by this release")),
            ("turns:example.org", Err("only UDP is tried by this release")),
            ("example.org", Err("no URL")),
        ] {
            let got = address_of(url).map_err(|error| error.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{url}");
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
