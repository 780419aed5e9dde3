//! One client over TCP or TLS: messages in to a desk of its own, a bounded queue out.
//!
//! | limit | what it stops |
//! |---|---|
//! | 64 connections from one address, 8192 in all | clients that take all |
//! | 10 s without an allocation, or within a message | connections that are half open or do nothing |
//! | 64 messages waiting, then relayed data is dropped, newest first | a reader that is slower than its peers |
//! | 30 s without progress in writing | a reader that has gone |
//! | anything that is not TURN | closes at once |

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use farwheel_proto::turn_stream::{Deframer, padding};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;
use webrtc_util::{Conn, Error};

use super::guard::PER_ADDRESS_MAX;
use super::relay::{Book, Client, Transport, unused};
use super::{Desk, MESSAGE_MAX, Shared};

/// Silence after which a connection without an allocation, or within a message, is closed.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Longest that one message may take to leave, and to be confirmed.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(30);

/// Relayed messages on their way to the client: 0.1 s at 5 Mbit/s. Full: the newest is dropped, as a router would.
const DATA_MAX: usize = 64;

/// All messages on their way to the client. Answers have these places beyond the data's, since a client over a stream
/// does not ask again.
const QUEUE_MAX: usize = DATA_MAX + 32;

/// Connections at the same time. Full: new ones are closed; each costs about 10 KiB without its queue.
const STREAMS_MAX: usize = 8192;

const READ_BYTES: usize = 4096;

/// Connections of each address.
#[derive(Default)]
pub(super) struct Census(Mutex<HashMap<IpAddr, usize>>);

impl Census {
    fn count<T>(&self, change: impl FnOnce(&mut HashMap<IpAddr, usize>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One of the places that an address has.
struct Place<'a>(&'a Census, IpAddr);

impl<'a> Place<'a> {
    fn take(census: &'a Census, ip: IpAddr) -> Option<Self> {
        census.count(|all| {
            let is_full = all.values().sum::<usize>() >= STREAMS_MAX;
            let taken = all.get(&ip).copied().unwrap_or(0);
            (!is_full && taken < PER_ADDRESS_MAX).then(|| {
                all.insert(ip, taken + 1);
                Self(census, ip)
            })
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.count(|all| {
            if let Some(taken) = all.get_mut(&self.1) {
                *taken -= 1;
                if *taken == 0 {
                    all.remove(&self.1);
                }
            }
        });
    }
}

impl Shared {
    /// Serves a client that reached this machine at `local`, until either side closes.
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        client: SocketAddr,
        local: SocketAddr,
    ) {
        let Some(_place) = Place::take(&self.streams, client.ip()) else {
            debug!("too many TURN connections from one address");
            return;
        };
        let (reader, writer) = tokio::io::split(stream);
        let (queue, outgoing) = mpsc::channel(QUEUE_MAX);
        let leg = StreamLeg { queue, client, local, book: Arc::clone(&self.book) };
        let desk = Desk::new(&self, Transport::Stream, Arc::new(leg), local);
        let mut closing = self.closing.subscribe();
        let end = tokio::select! {
            end = read(reader, &desk, client) => end,
            end = write(writer, outgoing) => end,
            _ = closing.wait_for(|closing| *closing) => "the server stops",
        };
        debug!(reason = end, "TURN connection ended");
        if let Err(error) = desk.manager.close().await {
            debug!(%error, "allocation did not close cleanly");
        }
    }
}

async fn read<S: AsyncRead>(mut reader: ReadHalf<S>, desk: &Desk, client: SocketAddr) -> &'static str {
    let who = Client { transport: Transport::Stream, address: client };
    let mut deframer = Deframer::new(MESSAGE_MAX);
    let mut buffer = [0; READ_BYTES];
    loop {
        match timeout(IDLE_MAX, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => return "closed by the client",
            Ok(Ok(bytes)) => deframer.extend(&buffer[..bytes]),
            Ok(Err(_)) => return "broken",
            Err(_) if deframer.is_within_message() => return "stopped within a message",
            Err(_) if desk.shared.book.username_of(who).is_none() => return "no allocation",
            Err(_) => {}
        }
        loop {
            match deframer.next() {
                Ok(Some(message)) => desk.handle(message, client).await,
                Ok(None) => break,
                Err(_) => return "not TURN",
            }
        }
    }
}

async fn write<S: AsyncWrite>(mut writer: WriteHalf<S>, mut outgoing: mpsc::Receiver<Bytes>) -> &'static str {
    while let Some(message) = outgoing.recv().await {
        let sent = timeout(WRITE_MAX, async {
            writer.write_all(&message).await?;
            writer.write_all(padding(message.len())).await?;
            // TLS holds back what is not flushed.
            writer.flush().await
        });
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "broken",
            Err(_) => return "client does not read",
        }
    }
    "over"
}

/// The side of a relay that faces its client over a stream.
struct StreamLeg {
    queue: mpsc::Sender<Bytes>,
    client: SocketAddr,
    local: SocketAddr,
    book: Arc<Book>,
}

/// Whether this is relayed data: ChannelData, or a Data indication (RFC 8656 section 18).
fn is_data(message: &[u8]) -> bool {
    matches!(message, [0x40..=0x7f, ..] | [0x00, 0x17, ..])
}

#[async_trait]
impl Conn for StreamLeg {
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

    async fn send_to(&self, message: &[u8], _: SocketAddr) -> Result<usize, Error> {
        self.book.keep_answer(Client { transport: Transport::Stream, address: self.client }, message);
        let waiting = QUEUE_MAX - self.queue.capacity();
        if !is_data(message) || waiting < DATA_MAX {
            // Full of answers: the client sends requests and reads nothing.
            self.queue.try_send(Bytes::copy_from_slice(message)).ok();
        }
        Ok(message.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Called at the end of the allocation; the client may ask for another one.
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// What the first byte of a connection tells: STUN begins with two zero bits and has no method above 0x0fff (RFC 8489
/// section 5), a request in HTTP with a letter, TLS with 22.
pub(crate) fn is_turn(first_byte: u8) -> bool {
    first_byte < 0x04
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg() -> (StreamLeg, mpsc::Receiver<Bytes>) {
        let (queue, outgoing) = mpsc::channel(QUEUE_MAX);
        let client = ([192, 0, 2, 1], 1).into();
        (StreamLeg { queue, client, local: client, book: Arc::default() }, outgoing)
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_newest_data_and_still_gets_answers() {
        let (leg, mut outgoing) = leg();
        for n in 0..200u8 {
            leg.send_to(&[0x40, 0, 0, 1, n], leg.client).await.unwrap();
        }
        leg.send_to(&[0x01, 0x04, 0, 0], leg.client).await.unwrap();
        let mut got = Vec::new();
        while let Ok(message) = outgoing.try_recv() {
            got.push(message);
        }
        let data: Vec<u8> = got.iter().filter(|message| is_data(message)).map(|message| message[4]).collect();
        assert_eq!(data, (0..64).collect::<Vec<u8>>());
        assert_eq!(got.last().unwrap()[..], [0x01, 0x04, 0, 0]);
    }

    #[test]
    fn an_address_has_64_places_and_gets_them_back() {
        let census = Census::default();
        let ip = IpAddr::from([192, 0, 2, 1]);
        let mut places: Vec<_> = (0..64).map(|_| Place::take(&census, ip).expect("free")).collect();
        assert!(Place::take(&census, ip).is_none());
        assert!(Place::take(&census, IpAddr::from([192, 0, 2, 2])).is_some());
        places.pop();
        assert!(Place::take(&census, ip).is_some());
        drop(places);
        census.count(|all| assert!(all.is_empty()));
    }

    #[test]
    fn the_first_byte_tells_turn_from_http_and_tls() {
        for first in [0x00, 0x01, 0x03] {
            assert!(is_turn(first), "{first}");
        }
        for first in [b'G', b'P', 0x16, 0x40, 0x80] {
            assert!(!is_turn(first), "{first}");
        }
    }
}
