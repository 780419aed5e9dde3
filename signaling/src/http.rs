//! HTTP/1.1: `/healthz`, and the upgrade to a WebSocket at `/v1/ws`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_proto::signaling::rooms::LinkId;
use farwheel_proto::signaling::{Limits, PATH, SUBPROTOCOL, Throttle};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::debug;

use crate::config::Origins;
use crate::health::Health;
use crate::hub::{Event, Way};
use crate::link;
use crate::stream::Stream;
use crate::turn;

/// What every connection needs.
pub(crate) struct Front {
    pub(crate) limits: Limits,
    pub(crate) origins: Origins,
    pub(crate) health: Arc<Health>,
    pub(crate) turn: Option<turn::Census>,
    pub(crate) hub: mpsc::Sender<Event>,
    /// Bounds the WebSockets of all clients together.
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) handshakes: Handshakes,
    pub(crate) next_link: AtomicU64,
}

/// Longest wait for a request on a connection.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;

type Answer = Response<Full<Bytes>>;

/// Serves one connection until it ends or becomes a WebSocket.
pub(crate) async fn serve(front: Arc<Front>, stream: Stream, peer: SocketAddr, local: SocketAddr) {
    let service = service_fn(move |request| {
        let answer = front.answer(request, peer.ip(), local);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        debug!(%error, "connection ended");
    }
}

impl Front {
    fn answer(self: &Arc<Self>, request: Request<Incoming>, ip: IpAddr, local: SocketAddr) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => {
                let allocations = self.turn.as_ref().map(turn::Census::allocations);
                let status =
                    if self.health.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
                let mut answer = Response::new(Full::from(self.health.to_json(allocations)));
                *answer.status_mut() = status;
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                answer
            }
            (&Method::GET, PATH) => self.upgrade(request, ip, local).unwrap_or_else(|refusal| *refusal),
            (_, "/healthz" | PATH) => plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"),
            _ => plain(StatusCode::NOT_FOUND, &format!("nothing is here; the WebSocket is at {PATH}")),
        }
    }

    fn upgrade(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        ip: IpAddr,
        local: SocketAddr,
    ) -> Result<Answer, Box<Answer>> {
        let headers = request.headers();
        let is_websocket =
            has_token(headers, &UPGRADE, "websocket") && has_token(headers, &CONNECTION, "upgrade");
        if !is_websocket {
            let mut answer = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint");
            answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            return Err(answer.into());
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            let mut answer = plain(StatusCode::UPGRADE_REQUIRED, "want WebSocket version 13");
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Err(answer.into());
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return Err(plain(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing").into());
        };
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 fits a header");
        if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
            let text = format!("want subprotocol {SUBPROTOCOL}; update the older side");
            return Err(plain(StatusCode::BAD_REQUEST, &text).into());
        }
        let text_of = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
        if let Some(origin) = text_of(ORIGIN)
            && !self.origins.allow(origin, text_of(HOST))
        {
            return Err(plain(
                StatusCode::FORBIDDEN,
                "pages of this origin may not connect; see allow-origin",
            )
            .into());
        }
        if self.health.is_draining() {
            return Err(later(StatusCode::SERVICE_UNAVAILABLE, "the server shuts down", 1).into());
        }
        if let Err(wait) = self.handshakes.take(ip, Instant::now()) {
            let seconds = wait.as_secs() + 1;
            return Err(later(
                StatusCode::TOO_MANY_REQUESTS,
                "too many connections from this address",
                seconds,
            )
            .into());
        }
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            return Err(later(StatusCode::SERVICE_UNAVAILABLE, "the server is full", 10).into());
        };

        let way = Way { ip, local, host: text_of(HOST).and_then(host_name) };
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(Arc::clone(self).carry(upgrade, way, seat));
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(answer)
    }

    /// Takes the connection over from HTTP.
    async fn carry(
        self: Arc<Self>,
        upgrade: hyper::upgrade::OnUpgrade,
        way: Way,
        seat: OwnedSemaphorePermit,
    ) {
        // Boxed: what the handshake needs is given back before the link idles.
        let ws = Box::pin(async {
            let upgraded = upgrade.await.ok()?;
            let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
            let config = link::websocket_config(&self.limits);
            let stream = parts.io.into_inner();
            Some(
                WebSocketStream::from_partially_read(
                    stream,
                    parts.read_buf.into(),
                    Role::Server,
                    Some(config),
                )
                .await,
            )
        })
        .await;
        let Some(ws) = ws else {
            return;
        };
        let link = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (queue, hub) = (self.limits.queue_messages, self.hub.clone());
        drop(self);
        link::run(ws, link, way, queue, hub).await;
        drop(seat);
    }
}

/// The name in a Host header, without its port, if nothing else is in it.
fn host_name(header: &str) -> Option<Box<str>> {
    let name = match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => header,
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    (is_name && !name.is_empty() && name.len() <= 253).then(|| name.into())
}

/// How often each address may begin a WebSocket.
pub(crate) struct Handshakes {
    per_second: u32,
    buckets: Mutex<HashMap<IpAddr, Throttle>>,
}

/// Addresses remembered before those are forgotten that have been quiet.
const ADDRESSES_MAX: usize = 4096;

impl Handshakes {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), buckets: Mutex::default() }
    }

    fn take(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        // Twice the rate at once, for a room whose peers all come back at the same time.
        let full = Throttle::new(2 * self.per_second, Duration::from_secs(1) / self.per_second, now);
        buckets.entry(ip).or_insert(full).take(now)
    }
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn later(status: StatusCode, text: &str, seconds: u64) -> Answer {
    let mut answer = plain(status, text);
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}

/// Whether a list header has `token`, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_a_client_asked_for_is_told_from_its_port_and_from_nonsense() {
        for (header, want) in [
            ("car.example", Some("car.example")),
            ("car.example:8443", Some("car.example")),
            ("192.0.2.1:443", Some("192.0.2.1")),
            ("[2001:db8::1]:443", Some("[2001:db8::1]")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("", None),
            (":443", None),
            ("a b", None),
            ("evil?transport=udp", None),
            ("[x]", None),
        ] {
            assert_eq!(host_name(header).as_deref(), want, "{header:?}");
        }
    }

    #[test]
    fn an_address_begins_ten_websockets_a_second_and_twenty_at_once() {
        let handshakes = Handshakes::new(10);
        let (ip, now) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
        assert!((0..20).all(|_| handshakes.take(ip, now).is_ok()));
        assert_eq!(handshakes.take(ip, now), Err(Duration::from_millis(100)));
        assert!(handshakes.take(IpAddr::from([192, 0, 2, 2]), now).is_ok());
        assert!(handshakes.take(ip, now + Duration::from_millis(100)).is_ok());
    }
}
