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
use crate::turn::{self, Relay};

/// A server that has its ports.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    relay: Option<Relay>,
    turn_streams: TurnStreams,
    config: Config,
}

/// Where TURN is served over TCP and TLS.
enum TurnStreams {
    Nowhere,
    /// On the port of the WebSockets: the first byte tells one from the other.
    Shared,
    Own(TcpListener),
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
        let (relay, turn_streams) = match config.relay.clone() {
            None => (None, TurnStreams::Nowhere),
            Some(mut wanted) => {
                if config.turn_follows_listen {
                    wanted.listen = SocketAddr::new(wanted.listen.ip(), 0);
                    if config.listen.port() != 0 {
                        wanted.listen.set_port(address.port());
                    }
                }
                let (relay, streams) = match (config.turn_streams, config.turn_follows_listen) {
                    (false, _) => (bind_relay(wanted).await?, TurnStreams::Nowhere),
                    (true, true) => (bind_relay(wanted).await?, TurnStreams::Shared),
                    (true, false) => bind_both(wanted).await?,
                };
                (Some(relay), streams)
            }
        };
        Ok(Self { listener, address, tls, relay, turn_streams, config })
    }

    /// Address of the WebSocket endpoint, for clients on this machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{PATH}", self.address)
    }

    /// Address of the STUN and TURN socket.
    pub fn turn_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref().and_then(|relay| relay.address().ok())
    }

    /// Where TURN is served over TCP and, with a certificate, over TLS.
    pub fn turn_stream_address(&self) -> Option<SocketAddr> {
        match &self.turn_streams {
            TurnStreams::Nowhere => None,
            TurnStreams::Shared => Some(self.address),
            TurnStreams::Own(listener) => listener.local_addr().ok(),
        }
    }

    /// The lines that tell other programs where this server is.
    pub fn announcement(&self) -> String {
        let udp = self.turn_address().map(|address| format!("stun/turn udp://{address}\n"));
        let tls = if self.tls.is_some() { " and tls" } else { "" };
        let tcp = self.turn_stream_address().map(|address| format!("turn tcp{tls}://{address}\n"));
        format!("listening {}\n{}{}", self.url(), udp.unwrap_or_default(), tcp.unwrap_or_default())
    }

    /// Serves until `stop` completes, then tells the clients, waits for the grace period at most, and closes.
    ///
    /// # Errors
    /// The listening socket failed.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let (udp, tcp) = (self.turn_address(), self.turn_stream_address());
        let Self { listener, address, tls, relay, turn_streams, config } = self;
        info!(%address, tls = tls.is_some(), "serving");
        let health = Arc::new(Health::new());
        let ice = config.ice_source(udp, tcp);
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
        let turn = relay.as_ref().map(Relay::shared);
        let relaying = relay.map(|relay| tokio::spawn(relay.run()));
        let has_turn = matches!(turn_streams, TurnStreams::Shared);
        let front_door = Door {
            tls: tls.clone(),
            front: Some(Arc::clone(&front)),
            turn: turn.clone().filter(|_| has_turn),
        };
        let turn_door = Door { tls, front: None, turn: turn.clone() };
        let turn_accepts = async {
            match &turn_streams {
                TurnStreams::Own(listener) => accept(listener, turn_door).await,
                TurnStreams::Nowhere | TurnStreams::Shared => std::future::pending().await,
            }
        };

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
            () = accept(&listener, front_door) => {}
            () = turn_accepts => {}
            () = drain => {}
        }
        if let Some(turn) = turn {
            turn.close();
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

/// What a listening socket leads to.
#[derive(Clone)]
struct Door {
    tls: Option<TlsAcceptor>,
    /// HTTP and WebSockets.
    front: Option<Arc<Front>>,
    turn: Option<Arc<turn::Shared>>,
}

async fn accept(listener: &TcpListener, door: Door) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let door = door.clone();
                tokio::spawn(async move {
                    if let Err(error) = door.enter(stream, peer).await {
                        debug!(%error, "connection ended at once");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Door {
    async fn enter(self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        tune(&stream)?;
        let local = stream.local_addr()?;
        let begin = async {
            let mut first = [0];
            // Where there is no TLS to be told from plain TURN, nobody has to look.
            let is_turn = self.turn.is_some()
                && stream.peek(&mut first).await? == first.len()
                && turn::is_turn(first[0]);
            match &self.tls {
                Some(tls) if !is_turn => {
                    let mut stream = Stream::tls(tls.accept(stream).await?);
                    let is_turn = self.turn.is_some() && turn::is_turn(stream.first().await?);
                    Ok::<_, io::Error>((stream, is_turn))
                }
                _ => Ok((Stream::plain(stream), is_turn)),
            }
        };
        // Boxed: what a handshake needs is given back before the connection idles.
        let begun = tokio::time::timeout(REQUEST_TIMEOUT, Box::pin(begin)).await;
        let (stream, is_turn) = begun.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match (is_turn, self.turn, self.front) {
            (true, Some(turn), _) => {
                stream.keep_trying_for(turn::WRITE_MAX)?;
                turn.serve(stream, peer, local).await;
            }
            (_, _, Some(front)) => serve(front, stream, peer, local).await,
            // Something else than TURN at the door that is for TURN alone.
            _ => {}
        }
        Ok(())
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

async fn bind_relay(config: turn::Config) -> Result<Relay> {
    let at = config.listen;
    Relay::bind(config).await.map_err(|error| explain(&error, at, "UDP", "--turn-listen"))
}

/// Takes a UDP port and the TCP port of the same number; where any port will do, one that is free for both.
async fn bind_both(config: turn::Config) -> Result<(Relay, TurnStreams)> {
    let mut tries = if config.listen.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let relay = bind_relay(config.clone()).await?;
        let at = relay.address()?;
        match listen(at) {
            Ok(listener) => return Ok((relay, TurnStreams::Own(listener))),
            Err(error) if tries == 0 => return Err(explain(&error, at, "TCP", "--turn-listen")),
            Err(_) => {}
        }
    }
}

/// UDP ports tried until one is free for TCP as well.
const FREE_PORT_TRIES: u32 = 16;

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
