//! The task that owns the rooms. Links talk to it through one queue; it never waits for any of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farwheel_proto::signaling::rooms::{self, Command, Host, LinkId, Rooms};
use farwheel_proto::signaling::{Auth, IceServer, PeerId, Permission};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::{debug, info};

use crate::health::Health;
use crate::link::{Outbox, Outgoing};
use crate::tokens::Tokens;
use crate::turn::IceSource;

/// What links and the server tell the hub.
pub(crate) enum Event {
    Connected { link: LinkId, way: Way, outbox: Outbox },
    Text { link: LinkId, text: Utf8Bytes },
    Binary { link: LinkId },
    Oversize { link: LinkId },
    Alive { link: LinkId },
    Gone { link: LinkId },
    Drain { grace: Duration },
    Shutdown,
}

/// How a client reached this server.
pub(crate) struct Way {
    /// The client.
    pub(crate) ip: IpAddr,
    /// This server's address that it connected to.
    pub(crate) local: SocketAddr,
    /// The name it asked for, if that can stand in a url.
    pub(crate) host: Option<Box<str>>,
}

/// Length of the hub's queue. Full: links stop reading, so clients feel it.
const EVENTS_MAX: usize = 1024;

/// Starts the hub.
pub(crate) fn spawn(
    config: rooms::Config,
    tokens: Tokens,
    ice: IceSource,
    health: Arc<Health>,
) -> mpsc::Sender<Event> {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let host = ServerHost { tokens, ice, ways: HashMap::new() };
    let queue_bytes_max = config.limits.queue_bytes;
    let hub = Hub { rooms: Rooms::new(config, host), outboxes: HashMap::new(), queue_bytes_max, health };
    tokio::spawn(hub.run(events));
    sender
}

struct Hub {
    rooms: Rooms<ServerHost>,
    outboxes: HashMap<LinkId, Outbox>,
    queue_bytes_max: usize,
    health: Arc<Health>,
}

impl Hub {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            let timeout = self.rooms.poll_timeout();
            let event = match timeout {
                Some(at) => match tokio::time::timeout_at(at.into(), events.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.rooms.handle_timeout(Instant::now());
                        self.settle();
                        continue;
                    }
                },
                None => events.recv().await,
            };
            let Some(event) = event else { break };
            self.handle(event, Instant::now());
            self.settle();
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        // What is overdue goes first, so that a busy queue cannot put timeouts off.
        self.rooms.handle_timeout(now);
        match event {
            Event::Connected { link, way, outbox } => {
                self.outboxes.insert(link, outbox);
                let ip = way.ip;
                self.rooms.host_mut().ways.insert(link, way);
                self.rooms.handle_connected(link, ip, now);
            }
            Event::Text { link, text } => self.rooms.handle_message(link, text.as_bytes(), now),
            Event::Binary { link } => self.rooms.handle_binary(link, now),
            Event::Oversize { link } => self.rooms.handle_oversize(link, now),
            Event::Alive { link } => self.rooms.handle_alive(link, now),
            Event::Gone { link } => self.forget(link, now),
            Event::Drain { grace } => self.rooms.handle_drain(grace),
            Event::Shutdown => self.rooms.handle_shutdown(now),
        }
    }

    /// Carries out what the rooms want.
    fn settle(&mut self) {
        while let Some(command) = self.rooms.poll_command() {
            match command {
                Command::Send { link, text } => self.send(link, text),
                Command::Close { link, code, reason } => {
                    info!(link = link.0, %code, reason, "closing");
                    if let Some(outbox) = self.outboxes.remove(&link) {
                        outbox.close(code, reason);
                    }
                    self.rooms.host_mut().ways.remove(&link);
                }
            }
        }
        self.health.store(self.rooms.census());
    }

    fn send(&mut self, link: LinkId, text: bytes::Bytes) {
        let text = Utf8Bytes::try_from(text).expect("rooms write JSON, which is UTF-8");
        let Some(outbox) = self.outboxes.get(&link) else {
            return;
        };
        // Full: the reader is too slow; what it missed is kept for its session to resume.
        if outbox.push(Outgoing::Text(text), self.queue_bytes_max).is_err() {
            info!(link = link.0, "slow consumer");
            self.health.slow_consumers.fetch_add(1, Ordering::Relaxed);
            if let Some(outbox) = self.outboxes.remove(&link) {
                outbox.give_up();
            }
            self.forget(link, Instant::now());
        }
    }

    fn forget(&mut self, link: LinkId, now: Instant) {
        debug!(link = link.0, "gone");
        self.outboxes.remove(&link);
        self.rooms.host_mut().ways.remove(&link);
        self.rooms.handle_disconnected(link, now);
    }
}

struct ServerHost {
    tokens: Tokens,
    ice: IceSource,
    /// How each client came.
    ways: HashMap<LinkId, Way>,
}

impl Host for ServerHost {
    fn entropy(&mut self) -> u128 {
        rand::random()
    }

    fn authorise(&mut self, auth: &Auth) -> Option<Vec<Permission>> {
        self.tokens.check(auth)
    }

    fn ice_servers(&mut self, peer: PeerId, link: LinkId) -> (Vec<IceServer>, Option<u64>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let way = self.ways.get(&link);
        self.ice.servers(peer, way.map(|way| way.local.ip()), way.and_then(|way| way.host.as_deref()), now)
    }
}
