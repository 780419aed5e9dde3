//! The loop that carries packets, in real time.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::direction::{Direction, Way};
use super::log::{Fate, LATE, Log, Packet, rtp_payload_type};
use super::tun::Tun;
use crate::clock::VirtualTime;
use crate::link::Sent;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End<'a> {
    /// The namespace's name.
    pub namespace: &'a str,
    /// Name of the device to be made in it.
    pub device: &'a str,
    /// Its address and prefix, such as `10.77.0.1/30`.
    pub address: &'a str,
    /// Whether all that has no other way goes here.
    pub is_default_route: bool,
}

/// A running link; it ends when dropped.
#[derive(Debug)]
pub struct Link {
    thread: Option<JoinHandle<io::Result<Log>>>,
    stop: OwnedFd,
    zero: SystemTime,
}

/// The devices of a link that carries nothing yet.
#[derive(Debug)]
pub struct Devices {
    tuns: [Tun; 2],
}

impl Devices {
    /// Makes them; what is sent before the link runs is lost.
    ///
    /// # Errors
    /// If one can't be made.
    pub fn create(ends: [End<'_>; 2]) -> io::Result<Self> {
        let [near, far] =
            ends.map(|end| Tun::create(end.namespace, end.device, end.address, end.is_default_route));
        Ok(Self { tuns: [near?, far?] })
    }

    /// Starts the link: what the first end sends goes over the first way. The link's time begins now.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn join(mut self, ways: [Way; 2]) -> io::Result<Link> {
        let mut buffer = vec![0; BUFFER];
        for tun in &mut self.tuns {
            while tun.read(&mut buffer)?.is_some() {}
        }
        let tuns = self.tuns;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let (start, zero) = (Instant::now(), SystemTime::now());
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || {
            become_urgent();
            let zero_unix_us = zero.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
            let directions = [Direction::new(&ways[0]), Direction::new(&ways[1])];
            let log = Log { zero_unix_us, ..Log::default() };
            let mut relay = Relay { tuns, directions, start, log, buffer: vec![0; BUFFER] };
            relay.run(&stopped)?;
            let end = relay.now();
            relay.log.set_capacity(&ways, end);
            Ok(relay.log)
        })?;
        Ok(Link { thread: Some(thread), stop, zero })
    }
}

impl Link {
    /// Joins two namespaces at once.
    ///
    /// # Errors
    /// If a device can't be made.
    pub fn between(ends: [End<'_>; 2], ways: [Way; 2]) -> io::Result<Self> {
        Devices::create(ends)?.join(ways)
    }

    /// When the link's time began.
    pub const fn zero(&self) -> SystemTime {
        self.zero
    }

    /// Ends the link; gives what went over it.
    ///
    /// # Errors
    /// If a device failed in between: then it has ended already.
    pub fn stop(mut self) -> io::Result<Log> {
        self.end()
    }

    fn end(&mut self) -> io::Result<Log> {
        rustix::io::write(&self.stop, &1_u64.to_ne_bytes())?;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(log)) => log,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Log::default()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.thread.is_some()
            && let Err(error) = self.end()
        {
            eprintln!("the link ended early: {error}");
        }
    }
}

/// A packet on the way: its place in the log, and what is in it.
type Carried = (usize, Vec<u8>);

struct Relay {
    tuns: [Tun; 2],
    directions: [Direction<Carried>; 2],
    start: Instant,
    log: Log,
    buffer: Vec<u8>,
}

impl Relay {
    fn now(&self) -> VirtualTime {
        VirtualTime(self.start.elapsed().as_micros() as u64)
    }

    fn run(&mut self, stop: &OwnedFd) -> io::Result<()> {
        loop {
            for way in 0..2 {
                self.take(way)?;
            }
            for way in 0..2 {
                self.deliver(way)?;
            }
            let next = self.directions.iter().filter_map(Direction::poll_timeout).min();
            let asleep = self.now();
            let wait = next.map_or(IDLE, |at| at.since(asleep).min(IDLE));
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as _ };
            let mut watched = [
                PollFd::new(&self.tuns[0], PollFlags::IN),
                PollFd::new(&self.tuns[1], PollFlags::IN),
                PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
            ];
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let due = asleep.after(wait);
            let by = self.now().since(due);
            if by > LATE {
                self.log.late.push((due, by));
            }
            if !watched[2].revents().is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes what the namespace at the beginning of this way has sent.
    fn take(&mut self, way: usize) -> io::Result<()> {
        while let Some(bytes) = self.tuns[way].read(&mut self.buffer)? {
            let packet = &self.buffer[..bytes];
            let now = VirtualTime(self.start.elapsed().as_micros() as u64);
            let packets = &mut self.log.packets[way];
            let index = packets.len();
            let fate = match self.directions[way].send((index, packet.to_vec()), bytes, now) {
                Sent::Queued => Fate::Underway,
                Sent::Dropped => Fate::Dropped,
                Sent::Lost => Fate::Lost,
            };
            packets.push(Packet { sent: now, bytes, fate, rtp: rtp_payload_type(packet) });
        }
        Ok(())
    }

    /// Hands over what has arrived.
    fn deliver(&mut self, way: usize) -> io::Result<()> {
        for ((index, packet), at) in self.directions[way].handle_timeout(self.now()) {
            self.log.packets[way][index].fate = Fate::Arrived(at);
            match self.tuns[1 - way].write(&packet) {
                // Its reader is slower than the link: lost behind it, as in any host.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// Before everything that is measured. Without the right to do it the link is late under load; a run's figures tell.
fn become_urgent() {
    // On Linux a thread id names a single thread here (setpriority(2), "C library/kernel differences").
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE).ok();
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)).ok();
}

/// Largest IPv4 packet.
const BUFFER: usize = 65_536;
const NICE: i32 = -20;
/// Longest wait while nothing is underway.
const IDLE: Duration = Duration::from_millis(900);
