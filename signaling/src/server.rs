//! Binding, accepting, draining.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use farwheel_proto::signaling::PATH;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::health::Health;
use crate::http::{Front, Handshakes, REQUEST_TIMEOUT, serve};
use crate::hub::{self, Event};
use crate::stream::Stream;
use crate::tls;
use crate::turn::Relay;

/// A server that has its ports.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    relay: Option<Relay>,
    config: Config,
}

impl Server {
    /// Takes the ports.
    ///
    /// # Errors
    /// A port that is taken, a certificate that cannot be used; one sentence that says what to do.
    pub async fn bind(config: Config) -> Result<Self> {
        let tls = match &config.tls {
            Some((cert, key)) => Some(tls::acceptor(cert, key)?),
            None => None,
        };
        let listener =
            listen(config.listen).map_err(|error| explain(&error, config.listen, "TCP", "--listen"))?;
        let address = listener.local_addr()?;
        let relay = match config.relay.clone() {
            None => None,
            Some(mut wanted) => {
                if config.turn_follows_listen {
                    wanted.listen = SocketAddr::new(wanted.listen.ip(), 0);
                    if config.listen.port() != 0 {
                        wanted.listen.set_port(address.port());
                    }
                }
                let at = wanted.listen;
                let relay = Relay::bind(wanted).await;
                Some(relay.map_err(|error| explain(&error, at, "UDP", "--turn-listen"))?)
            }
        };
        Ok(Self { listener, address, tls, relay, config })
    }

    /// Address of the WebSocket endpoint, for clients on this machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{PATH}", self.address)
    }

    /// Address of the STUN and TURN socket.
    pub fn turn_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(Relay::address)
    }

    /// The lines that tell other programs where this server is.
    pub fn announcement(&self) -> String {
        let turn = self.turn_address().map(|address| format!("stun/turn udp://{address}\n"));
        format!("listening {}\n{}", self.url(), turn.unwrap_or_default())
    }

    /// Serves until `stop` completes, then tells the clients, waits for the grace period at most, and closes.
    ///
    /// # Errors
    /// The listening socket failed.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let Self { listener, address, tls, relay, config } = self;
        info!(%address, tls = tls.is_some(), "serving");
        let health = Arc::new(Health::new());
        let ice = config.ice_source(relay.as_ref().map(Relay::address));
        let hub = hub::spawn(config.rooms.clone(), config.tokens.clone(), ice, Arc::clone(&health));
        let seats = Arc::new(Semaphore::new(config.max_connections));
        let front = Arc::new(Front {
            limits: config.rooms.limits.clone(),
            origins: config.origins.clone(),
            health: Arc::clone(&health),
            turn: relay.as_ref().map(Relay::census),
            hub: hub.clone(),
            seats: Arc::clone(&seats),
            handshakes: Handshakes::new(config.rooms.limits.handshakes_per_second),
            next_link: AtomicU64::new(0),
        });
        let relaying = relay.map(|relay| tokio::spawn(relay.run()));

        let drain = async {
            stop.await;
            info!(grace_ms = config.drain.as_millis() as u64, "draining");
            health.draining.store(true, Ordering::Relaxed);
            hub.send(Event::Drain { grace: config.drain }).await.ok();
            let all = config.max_connections as u32;
            // All seats free: every link has ended.
            if tokio::time::timeout(config.drain, seats.acquire_many(all)).await.is_err() {
                hub.send(Event::Shutdown).await.ok();
                tokio::time::timeout(LAST_WORDS, seats.acquire_many(all)).await.is_err().then(|| {
                    warn!("some clients did not close in time");
                });
            }
        };
        tokio::select! {
            () = accept(&listener, tls.as_ref(), &front) => {}
            () = drain => {}
        }
        if let Some(relaying) = relaying {
            relaying.abort();
        }
        Ok(())
    }
}

/// Longest wait for clients to take their close frames.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn accept(listener: &TcpListener, tls: Option<&TlsAcceptor>, front: &Arc<Front>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = tune(&stream) {
            debug!(%error, "connection ended at once");
            continue;
        }
        let Ok(local) = stream.local_addr() else { continue };
        let front = Arc::clone(front);
        match tls.cloned() {
            None => tokio::spawn(serve(front, Stream::Plain(stream), peer, local)),
            Some(tls) => tokio::spawn(async move {
                match tokio::time::timeout(REQUEST_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(front, Stream::Tls(Box::new(stream)), peer, local).await,
                    Ok(Err(error)) => debug!(%error, "no TLS"),
                    Err(_) => debug!("no TLS in time"),
                }
            }),
        };
    }
}

/// Send buffer of a connection, in bytes: small, so that a slow reader is found in our own bounded queue.
const SEND_BUFFER: usize = 64 * 1024;

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_send_buffer_size(SEND_BUFFER)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server takes its port back while old connections linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

fn explain(error: &io::Error, at: SocketAddr, protocol: &str, flag: &str) -> anyhow::Error {
    let port = at.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{protocol} port {port} is in use on {}; stop the program that has it, or choose another with {flag}",
            at.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow!("{protocol} port {port} needs root; choose one from 1024 on with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{} is not an address of this machine; choose one with {flag}", at.ip())
        }
        _ => anyhow!("cannot listen on {protocol} {at}: {error}"),
    }
}
