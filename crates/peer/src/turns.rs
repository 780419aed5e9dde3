//! Gives the engine's task the turns it needs.
//!
//! That task turns in a loop: write, tell events, read, wait. What a turn's later parts make ready leaves in the next turn
//! only, which begins when a packet, a timer or a call ends the wait. So here each wait that something has ended is
//! followed by two more turns, and no packet is read before they are over:
//!
//! | turn | over a relay | where SCTP is answered |
//! |---|---|---|
//! | first, the engine's own | what came is unwrapped, what is to leave is wrapped | COOKIE-ACK leaves, the channels open |
//! | second | the answer is wrapped | their streams are made, with their own reliability |
//! | third | it leaves | the other side's first message is read |

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use socket2::SockRef;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit,
};

use crate::check_rate::CheckRate;
use crate::relay_lead::{Held, Lead};
use crate::turn_bridge::{Bridges, Plan};

/// The turns that one connection's task is owed.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    began: Instant,
    /// Milliseconds since `began` of the newest packet from anywhere.
    heard_ms: AtomicU64,
}

/// How many turns follow a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Three: while connecting, and over a relay.
    Thorough,
    /// The engine's own one: on a direct path nothing waits for another.
    Plain,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    owed: u8,
    // One per socket that was asked for a packet while turns were owed.
    readers: Vec<Waker>,
}

/// Turns after the engine's own.
const MORE_TURNS: u8 = 2;

impl Turns {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { pace: Pace::Thorough, owed: 0, readers: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), began: Instant::now(), heard_ms: AtomicU64::new(0) })
    }

    /// How long no packet has come, not even an answer to the checks that are sent each 0.3 s.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let heard = self.began + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(heard)
    }

    fn hear(&self, now: Instant) {
        self.heard_ms.store(now.saturating_duration_since(self.began).as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, pace: Pace) {
        self.state().pace = pace;
    }

    /// Something has ended a wait.
    fn owe(&self) {
        let mut state = self.state();
        if state.pace == Pace::Thorough {
            state.owed = MORE_TURNS;
        }
    }

    /// Takes one of the turns that are owed.
    fn take(&self) -> bool {
        let mut state = self.state();
        if state.owed == 0 {
            return false;
        }
        state.owed -= 1;
        if state.owed == 0 {
            for reader in state.readers.drain(..) {
                reader.wake();
            }
        }
        true
    }

    /// Whether a socket may be read; if not, its reader is woken when it may.
    fn may_read(&self, reader: &Waker) -> bool {
        let mut state = self.state();
        if state.owed > 0 {
            state.readers.push(reader.clone());
        }
        state.owed == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio, but for the waits and the sockets of the engine's own task, and for the names of TURN servers that are reached
/// over streams.
#[derive(Debug)]
pub(crate) struct TurningRuntime {
    turns: Arc<Turns>,
    plan: Arc<Plan>,
    lead: Option<Arc<Lead>>,
}

impl TurningRuntime {
    pub(crate) fn new(turns: &Arc<Turns>, plan: &Arc<Plan>) -> Self {
        Self { turns: Arc::clone(turns), plan: Arc::clone(plan), lead: None }
    }

    /// Gives direct paths a lead over relays.
    pub(crate) fn with_lead(self) -> Self {
        Self { lead: Some(Arc::default()), ..self }
    }
}

tokio::task_local! {
    /// Set on the engine's own tasks: others wait for as long as they say.
    static IS_ENGINE: ();
}

impl Runtime for TurningRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(Box::pin(IS_ENGINE.scope((), future)))
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.plan.tie(&SockRef::from(&socket))?;
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        let bridges = Bridges::new(&self.plan, inner.local_addr()?.ip());
        let held = self.lead.as_ref().map(Held::new);
        Ok(Arc::new(Socket {
            inner,
            turns: Arc::clone(&self.turns),
            lead: self.lead.clone(),
            held,
            checks: CheckRate::default(),
            bridges,
        }))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async move { TokioRuntime.connect_tcp(remote_addr).await })
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move {
            match self.plan.resolve(host) {
                Some(stand_ins) => Ok(stand_ins),
                None => TokioRuntime.resolve_host(host).await,
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let timer = TokioRuntime.sleep(duration);
        match IS_ENGINE.try_with(|()| ()) {
            Ok(()) => Box::pin(Wait { timer, turns: Arc::clone(&self.turns), end: End::Other }),
            Err(_) => timer,
        }
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn name(&self) -> &'static str {
        "tokio, with more turns"
    }
}

/// One wait of the engine's task; over at once while turns are owed.
struct Wait {
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
    turns: Arc<Turns>,
    end: End,
}

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    OwedTurn,
    /// The timer, or whatever else the task waits for beside it.
    Other,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.turns.take() {
            self.end = End::OwedTurn;
            return Poll::Ready(());
        }
        self.timer.as_mut().poll(cx)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.end == End::Other {
            self.turns.owe();
        }
    }
}

#[derive(Debug)]
struct Socket {
    inner: Arc<dyn AsyncUdpSocket>,
    turns: Arc<Turns>,
    lead: Option<Arc<Lead>>,
    held: Option<Held>,
    checks: CheckRate,
    /// Where TURN servers are reached over streams.
    bridges: Option<Bridges>,
}

impl AsyncUdpSocket for Socket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if let Some(lead) = &self.lead {
            lead.handle_sent(transmit.contents, Instant::now());
        }
        if !self.checks.allows(transmit.contents, transmit.destination, Instant::now()) {
            // As if it were lost on its way.
            return Poll::Ready(Ok(transmit.contents.len()));
        }
        match self.bridges.as_ref().and_then(|bridges| bridges.send(transmit)) {
            Some(sent) => Poll::Ready(sent),
            None => self.inner.poll_send(cx, transmit),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.turns.may_read(cx.waker()) {
            return Poll::Pending;
        }
        if let Some(bridges) = &self.bridges
            && bridges.poll_recv(cx, &mut bufs[0], &mut meta[0]).is_ready()
        {
            self.turns.hear(Instant::now());
            return Poll::Ready(Ok(1));
        }
        if let Some(held) = &self.held
            && held.poll_recv(cx, &mut bufs[0], &mut meta[0]).is_ready()
        {
            return Poll::Ready(Ok(1));
        }
        let received = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = received {
            self.turns.hear(Instant::now());
            let mut is_held = false;
            for (buffer, meta) in bufs.iter().zip(meta.iter_mut()).take(count) {
                let datagram = &buffer[..meta.len.min(buffer.len())];
                if let Some(bridges) = &self.bridges {
                    bridges.handle_udp(datagram, meta.addr);
                }
                // Several datagrams of one length in one: never a server's answer alone.
                if meta.stride >= meta.len
                    && let Some(held) = &self.held
                    && held.take(datagram, meta.addr, Instant::now())
                {
                    // The engine reads nothing from an empty one.
                    meta.len = 0;
                    is_held = true;
                }
            }
            if is_held {
                // So that the timer of what is held is set.
                cx.waker().wake_by_ref();
            }
        }
        received
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::net::{Ipv4Addr, UdpSocket};

    use futures_util::FutureExt;
    use tokio::sync::mpsc;

    use super::*;

    /// What ended a wait; nobody waits for the timer itself, so it stands for a turn that was owed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Ended {
        Timer,
        Call,
        Packet,
    }
    use Ended::{Call, Packet, Timer};

    fn runtime(turns: &Arc<Turns>) -> TurningRuntime {
        TurningRuntime::new(turns, &Arc::new(Plan::new(&[], None)))
    }

    const DAY: Duration = Duration::from_secs(86_400);

    /// A task that turns as the engine's does, and tells what ended each of its waits.
    fn engine(turns: &Arc<Turns>, socket: UdpSocket) -> (mpsc::Sender<()>, mpsc::Receiver<Ended>) {
        let runtime = runtime(turns);
        let socket = runtime.wrap_udp_socket(socket).expect("a socket");
        let (calls_tx, mut calls) = mpsc::channel(8);
        let (told, waits) = mpsc::channel(64);
        let turning = self::runtime(turns);
        runtime
            .spawn(Box::pin(async move {
                loop {
                    let ended = tokio::select! {
                        biased;
                        () = receive(&*socket) => Packet,
                        () = turning.sleep(DAY) => Timer,
                        call = calls.recv() => if call.is_some() { Call } else { return },
                    };
                    if told.send(ended).await.is_err() {
                        return;
                    }
                }
            }))
            .detach();
        (calls_tx, waits)
    }

    async fn receive(socket: &dyn AsyncUdpSocket) {
        let (mut buffer, mut meta) = ([0; 64], [RecvMeta::default()]);
        poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta))
            .await
            .expect("received");
    }

    async fn next(count: usize, waits: &mut mpsc::Receiver<Ended>) -> Vec<Ended> {
        let mut ended = Vec::new();
        while ended.len() < count {
            ended.push(waits.recv().await.expect("it turns"));
        }
        ended
    }

    fn socket() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound")
    }

    /// A packet that a call hands to a relayed connection leaves in the third turn, and nothing else ends a wait here.
    #[tokio::test]
    async fn a_call_is_followed_by_two_more_turns_and_then_the_task_rests() {
        let (calls, mut waits) = engine(&Turns::new(), socket());
        for _ in 0..2 {
            calls.send(()).await.expect("it runs");
            assert_eq!(next(3, &mut waits).await, [Call, Timer, Timer]);
        }
    }

    #[tokio::test]
    async fn no_packet_is_read_before_the_turns_that_follow_another_are_over() {
        let (receiving, sending) = (socket(), socket());
        let to = receiving.local_addr().expect("bound");
        for _ in 0..3 {
            // On loopback a datagram is there once it is sent.
            sending.send_to(b"x", to).expect("sent");
        }
        let (_calls, mut waits) = engine(&Turns::new(), receiving);
        let want = [Packet, Timer, Timer, Packet, Timer, Timer, Packet];
        assert_eq!(next(want.len(), &mut waits).await, want);
    }

    #[tokio::test]
    async fn at_the_plain_pace_the_task_turns_as_the_engine_means_it_to() {
        let turns = Turns::new();
        turns.set(Pace::Plain);
        let (calls, mut waits) = engine(&turns, socket());
        for _ in 0..2 {
            calls.send(()).await.expect("it runs");
        }
        assert_eq!(next(2, &mut waits).await, [Call, Call]);
    }

    #[test]
    fn a_timer_is_followed_by_two_more_turns_and_these_by_none() {
        let turns = Turns::new();
        let wait = |timer| Wait { timer, turns: Arc::clone(&turns), end: End::Other };
        let ends = |timer| wait(timer).now_or_never().is_some();
        let first = wait(Box::pin(ready(())));
        assert_eq!(first.now_or_never(), Some(()));
        assert_eq!([(); 2].map(|()| ends(Box::pin(pending()))), [true, true]);
        let mut third = wait(Box::pin(pending()));
        assert_eq!((&mut third).now_or_never(), None);
    }

    #[tokio::test]
    async fn a_wait_of_another_task_is_not_cut_short() {
        let turns = Turns::new();
        turns.owe();
        assert_eq!(runtime(&turns).sleep(DAY).now_or_never(), None);
    }
}
