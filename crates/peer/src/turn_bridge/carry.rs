//! The task of one stream: wait for its turn, connect, carry messages both ways.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use farwheel_proto::turn_stream::{Deframer, padding};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::queue::Queue;
use super::{ALLOCATE_SUCCESS, Plan, Received, Way};
use crate::signaling::client_tls;
use crate::stats::RelayTransport;

/// Lead of UDP: the two round trips that a relay takes, over a path of 100 ms.
const TCP_AFTER: Duration = Duration::from_millis(250);

/// Lead of TCP over TLS beyond that.
const TLS_AFTER_TCP: Duration = Duration::from_millis(500);

/// Longest that connecting may take; the whole connect has 4 s (docs/ENGINE.md).
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Longest that one message may take to leave.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Bytes that wait in the system and are not on the way yet: more would be out of the queue's reach, where commands
/// overtake pictures.
const UNSENT_MAX: u32 = 8 * 1024;

/// Largest message taken; a server relays what fits an Ethernet frame.
const MESSAGE_MAX: usize = 4096;

const READ_BYTES: usize = 16 * 1024;

pub(super) struct Job {
    pub(super) way: Way,
    /// The interface to use.
    pub(super) local: IpAddr,
    pub(super) plan: Arc<Plan>,
    pub(super) queue: Arc<Queue>,
    /// Where the server seems to be.
    pub(super) stand_in: SocketAddr,
    pub(super) to_engine: mpsc::Sender<Received>,
    pub(super) tcp_failed: watch::Sender<bool>,
}

impl Job {
    pub(super) async fn run(self) {
        let has_relay = AtomicBool::new(false);
        let outcome = tokio::select! {
            outcome = self.carry(&has_relay) => outcome.map(|()| "closed by the server"),
            () = self.unnecessary(&has_relay) => Ok("not needed"),
        };
        let (transport, host) = (self.way.transport, &self.way.host);
        match &outcome {
            Ok(reason) => tracing::debug!(%transport, host, reason, "TURN stream ended"),
            Err(error) => tracing::debug!(%transport, host, %error, "TURN stream failed"),
        }
        if self.way.transport == RelayTransport::Tcp && outcome.is_err() {
            self.tcp_failed.send_replace(true);
        }
        // So that the engine does not wait for answers.
        for request in self.queue.close() {
            self.to_engine.try_send(self.received(refusal(&request))).ok();
        }
    }

    /// Until a better way has a relay, as long as this one has none.
    async fn unnecessary(&self, has_relay: &AtomicBool) {
        let mut best = self.plan.best.subscribe();
        // The sending half is held by the plan, so there is no error.
        best.wait_for(|_| self.plan.has_better_than_or_relay(self.way.transport, has_relay)).await.ok();
    }

    async fn carry(&self, has_relay: &AtomicBool) -> io::Result<()> {
        sleep(TCP_AFTER).await;
        if self.way.transport == RelayTransport::Tls
            && self.plan.ways.iter().any(|way| way.transport == RelayTransport::Tcp)
        {
            let mut tcp_failed = self.tcp_failed.subscribe();
            tokio::select! {
                () = sleep(TLS_AFTER_TCP) => {}
                _ = tcp_failed.wait_for(|failed| *failed) => {}
            }
        }
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let tcp = timeout(CONNECT_MAX, self.connect()).await.map_err(late)??;
        match self.way.transport {
            RelayTransport::Tls => {
                let tls = timeout(CONNECT_MAX, self.secure(tcp)).await.map_err(late)??;
                self.pump(tls, has_relay).await
            }
            RelayTransport::Tcp | RelayTransport::Udp => self.pump(tcp, has_relay).await,
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let server = tokio::net::lookup_host((self.way.host.as_str(), self.way.port))
            .await?
            .find(|address| address.is_ipv4() == self.local.is_ipv4())
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        self.plan.tie(&SockRef::from(&socket))?;
        socket.bind(SocketAddr::new(self.local, 0))?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX)?;
        Ok(stream)
    }

    async fn secure(&self, tcp: TcpStream) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let ca = self.plan.ca.clone();
        // Reading the system's certificates takes long enough to do it elsewhere.
        let config = tokio::task::spawn_blocking(move || client_tls(ca.as_deref()))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        let name = ServerName::try_from(self.way.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }

    async fn pump(&self, stream: impl AsyncRead + AsyncWrite, has_relay: &AtomicBool) -> io::Result<()> {
        let (reader, writer) = tokio::io::split(stream);
        tokio::select! {
            end = self.read(reader, has_relay) => end,
            end = self.write(writer) => end,
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin, has_relay: &AtomicBool) -> io::Result<()> {
        let mut deframer = Deframer::new(MESSAGE_MAX);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut buffer).await? {
                0 => return Ok(()),
                bytes => deframer.extend(&buffer[..bytes]),
            }
            while let Some(message) = deframer.next().map_err(io::Error::other)? {
                if message.starts_with(&ALLOCATE_SUCCESS) {
                    has_relay.store(true, Ordering::Release);
                    self.plan.note(self.way.transport);
                }
                let message = self.received(Bytes::copy_from_slice(message));
                if self.to_engine.send(message).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn received(&self, message: Bytes) -> Received {
        Received { from: self.stand_in, message }
    }

    async fn write(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let message = self.queue.pop().await;
            let sent = timeout(WRITE_MAX, async {
                writer.write_all(&message).await?;
                writer.write_all(padding(message.len())).await?;
                // TLS holds back what is not flushed.
                writer.flush().await
            });
            sent.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
    }
}

impl Plan {
    fn has_better_than_or_relay(&self, transport: RelayTransport, has_relay: &AtomicBool) -> bool {
        !has_relay.load(Ordering::Acquire) && self.has_better_than(transport)
    }
}

/// An answer to a request that cannot be carried: 508, Insufficient Capacity (RFC 8656 section 19).
fn refusal(request: &[u8]) -> Bytes {
    let mut answer = vec![request[0] | 0x01, request[1] | 0x10, 0, 8];
    answer.extend(&request[4..20]);
    answer.extend([0x00, 0x09, 0, 4, 0, 0, 5, 8]);
    answer.into()
}
