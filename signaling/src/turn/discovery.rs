//! Binding requests over UDP, and what clients learn of their NAT by them (RFC 5780).
//!
//! A second port always, and a second address where the machine has one: a client sees whether its mapping depends on
//! where it sends to, and by a CHANGE-REQUEST whether answers pass from where it did not send to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::Config;
use super::relay::local_ip;
use super::stun::{self, Class, Message};

const CHANGE_REQUEST: u16 = 0x0003;
const CHANGE_IP: u8 = 0x04;
const CHANGE_PORT: u8 = 0x02;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const RESPONSE_ORIGIN: u16 = 0x802b;
const OTHER_ADDRESS: u16 = 0x802c;

/// Ports tried before the server is refused its second one.
const PORT_TRIES: usize = 32;

/// One of the sockets: on the first or second address, the first or second port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    is_second_ip: bool,
    is_second_port: bool,
}

impl Place {
    /// The server's own socket.
    pub(super) const MAIN: Self = Self { is_second_ip: false, is_second_port: false };
}

/// The sockets that answer.
pub(super) struct Discovery {
    main: Arc<UdpSocket>,
    second_port: UdpSocket,
    /// On the second address: the first port, and the second.
    second_ip: Option<[UdpSocket; 2]>,
    external_ip: Option<IpAddr>,
}

impl Discovery {
    pub(super) async fn bind(main: &Arc<UdpSocket>, config: &Config) -> io::Result<Self> {
        let at = main.local_addr()?;
        let mut last = io::ErrorKind::AddrInUse.into();
        // From the ports that are let through for relaying, so that no other has to be.
        for _ in 0..PORT_TRIES {
            let port = rand::random_range(config.ports.clone());
            match Self::bind_second(main, at, port, config).await {
                Ok(discovery) => return Ok(discovery),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn bind_second(
        main: &Arc<UdpSocket>,
        at: SocketAddr,
        port: u16,
        config: &Config,
    ) -> io::Result<Self> {
        let second_port = UdpSocket::bind((at.ip(), port)).await?;
        let second_ip = match config.second_ip {
            Some(ip) => Some([UdpSocket::bind((ip, at.port())).await?, UdpSocket::bind((ip, port)).await?]),
            None => None,
        };
        Ok(Self { main: Arc::clone(main), second_port, second_ip, external_ip: config.external_ip })
    }

    /// Answers on the other sockets until the set is dropped.
    pub(super) fn serve_others(self: Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for place in [(false, true), (true, false), (true, true)]
            .map(|(is_second_ip, is_second_port)| Place { is_second_ip, is_second_port })
        {
            if self.socket(place).is_some() {
                tasks.spawn(Arc::clone(&self).serve(place));
            }
        }
        tasks
    }

    async fn serve(self: Arc<Self>, place: Place) {
        let Some(socket) = self.socket(place) else { return };
        let mut buffer = [0; 576];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((bytes, from)) => {
                    self.answer(&buffer[..bytes], from, place);
                }
                // Its own trouble, such as a lack of memory.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    fn socket(&self, place: Place) -> Option<&UdpSocket> {
        match (place.is_second_ip, place.is_second_port) {
            (false, false) => Some(&self.main),
            (false, true) => Some(&self.second_port),
            (true, is_second_port) => self.second_ip.as_ref().map(|both| &both[usize::from(is_second_port)]),
        }
    }

    /// Where a client reaches one of the sockets.
    fn address(&self, place: Place, client: SocketAddr) -> Option<SocketAddr> {
        let at = self.socket(place)?.local_addr().ok()?;
        let shown = self.external_ip.filter(|external| {
            !place.is_second_ip && external.is_ipv4() == client.ip().to_canonical().is_ipv4()
        });
        let ip = match shown {
            Some(ip) => ip,
            None if at.ip().is_unspecified() => local_ip(client).ok()?,
            None => at.ip(),
        };
        Some(SocketAddr::new(ip.to_canonical(), at.port()))
    }

    /// Answers a Binding request that came in at `place`; says whether it was one.
    pub(super) fn answer(&self, datagram: &[u8], from: SocketAddr, place: Place) -> bool {
        let Some(request) = Message::parse(datagram)
            .filter(|message| (message.class, message.method) == (Class::Request, stun::BINDING))
        else {
            return false;
        };
        let change = match request.attribute(CHANGE_REQUEST) {
            Some([_, _, _, flags]) => *flags,
            _ => 0,
        };
        let origin = Place {
            is_second_ip: place.is_second_ip ^ (change & CHANGE_IP != 0),
            is_second_port: place.is_second_port ^ (change & CHANGE_PORT != 0),
        };
        // Without a second address there is no answer, as if it had been filtered: the client sees OTHER-ADDRESS first.
        let Some(socket) = self.socket(origin) else { return true };
        let other = Place {
            is_second_ip: self.second_ip.is_some() && !place.is_second_ip,
            is_second_port: !place.is_second_port,
        };
        let mut reply = request.accept().with_xor_address(XOR_MAPPED_ADDRESS, from);
        if let (Some(origin), Some(other)) = (self.address(origin, from), self.address(other, from)) {
            reply = reply.with_address(RESPONSE_ORIGIN, origin).with_address(OTHER_ADDRESS, other);
        }
        // Full: a lost answer is asked for again.
        socket.try_send_to(&reply.finish(), from).ok();
        true
    }
}
