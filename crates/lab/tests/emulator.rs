//! The link in real time, as root between namespaces: delay, rate, loss, and that nothing stays behind.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use farwheel_lab::clock::VirtualTime;
use farwheel_lab::emulator::{End, Fate, Link, Log, Namespace, Road, Way, obstacle, within};
use farwheel_lab::link::{Conditions, Plan};

#[test]
fn a_packet_takes_the_delay_of_the_virtual_link_and_little_more() {
    let Some(pair) = Pair::new("fwtdelay") else { return };
    let forth = Way::new(Road::Narrow("2M".parse::<Plan>().unwrap().trace()), Duration::from_millis(20));
    let link = pair.join([forth, Way::delay(Duration::from_millis(30))]);
    let (there, log) = pair.flood(link, 400, Duration::from_millis(5), 1000);
    // Less than 2 Mbit/s: all arrive. How long they queue is up to how evenly this machine sends them.
    let mut late: Vec<Duration> = Vec::new();
    for (packet, real) in log.packets[0].iter().zip(&there) {
        let Fate::Arrived(at) = packet.fate else { panic!("{packet:?}") };
        let delay = at.since(packet.sent);
        assert!(delay >= Duration::from_millis(20), "{delay:?}");
        assert_eq!(at.0 % 1000, 0, "it left with a grant, and those are at whole ms");
        late.push(real.saturating_sub(delay));
    }
    late.sort_unstable();
    let [p50, p99] = [late.len() / 2, late.len() * 99 / 100].map(|index| late[index]);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "added to the delay: p50 {p50:.1?}, p99 {p99:.1?}, most {:.1?}; load {load}",
        late[late.len() - 1]
    );
    assert_eq!(there.len(), 400);
    assert!(p50 < Duration::from_millis(20), "half of them came {p50:?} late");
}

#[test]
fn a_narrow_road_carries_its_rate_and_drops_what_its_queue_cannot_hold() {
    let Some(pair) = Pair::new("fwtrate") else { return };
    let mut forth = Way::new(Road::Narrow("1M".parse::<Plan>().unwrap().trace()), Duration::from_millis(5));
    forth.conditions = Conditions { queue_bytes: 10_000, loss: 0.1, ..forth.conditions };
    let link = pair.join([forth, Way::delay(Duration::ZERO)]);
    // 8 Mbit/s for a second.
    let (_, log) = pair.flood(link, 1000, Duration::from_millis(1), 972);
    let packets = &log.packets[0];
    let count = |wanted: fn(&Fate) -> bool| packets.iter().filter(|packet| wanted(&packet.fate)).count();
    let lost = count(|fate| *fate == Fate::Lost);
    assert!((60..=140).contains(&lost), "{lost} of 1000 were lost");
    assert!(count(|fate| *fate == Fate::Dropped) > 500);
    let first = packets[0].sent;
    let second = first.after(Duration::from_secs(1));
    let carried: usize = packets
        .iter()
        .filter(|packet| matches!(packet.fate, Fate::Arrived(at) if at <= second))
        .map(|packet| packet.bytes)
        .sum();
    let capacity = log.capacity_bytes(0, first, second).unwrap();
    assert!(carried.abs_diff(capacity) < 12_000, "{carried} of {capacity} bytes");
}

#[test]
fn the_program_removes_its_namespaces_when_it_is_ended() {
    if let Some(obstacle) = obstacle() {
        return println!("skipped: {obstacle}");
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, end) in [("fwtterm", "-TERM"), ("fwtint", "-INT")] {
        let path = dir.path().join(name);
        let mut emulator = emulator(&["--name", name, "--rate", "1M", "--log"], &path);
        let mut lines = BufReader::new(emulator.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("ready "));
        assert_eq!(namespaces(name).len(), 2);
        assert!(Command::new("kill").args([end, &emulator.id().to_string()]).status().unwrap().success());
        assert!(emulator.wait().unwrap().success());
        assert_eq!(namespaces(name), Vec::<String>::new());
        assert!(Log::read(&path).unwrap().zero_unix_us > 0);
    }
    // Held back, it ends with its input.
    let mut held = emulator(&["--name", "fwtheld", "--hold", "--log"], &dir.path().join("held"));
    let mut lines = BufReader::new(held.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "prepared");
    drop(held.stdin.take());
    assert!(held.wait().unwrap().success());
    assert_eq!(namespaces("fwtheld"), Vec::<String>::new());
}

fn emulator(options: &[&str], log: &std::path::Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_link_emulator"));
    command.args(options).arg(log).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn namespaces(name: &str) -> Vec<String> {
    let out = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// Two namespaces.
struct Pair {
    near: Namespace,
    far: Namespace,
}

impl Pair {
    /// None, and says so, where it can't be done.
    fn new(name: &str) -> Option<Self> {
        if let Some(obstacle) = obstacle() {
            println!("skipped: {obstacle}");
            return None;
        }
        let make = |end| Namespace::create(&format!("{name}{}{end}", std::process::id())).unwrap();
        Some(Self { near: make("a"), far: make("b") })
    }

    fn join(&self, ways: [Way; 2]) -> Link {
        let end = |namespace, address| End { namespace, device: "air", address, is_default_route: true };
        Link::between([end(self.near.name(), "10.9.0.1/30"), end(self.far.name(), "10.9.0.2/30")], ways)
            .unwrap()
    }

    /// Sends `count` datagrams, one `every` so long; gives how long those that arrived took, and the link's log.
    fn flood(&self, link: Link, count: u32, every: Duration, bytes: usize) -> (Vec<Duration>, Log) {
        let receiver = within(self.far.name(), || UdpSocket::bind("10.9.0.2:0")).unwrap().unwrap();
        let sender = within(self.near.name(), || UdpSocket::bind("10.9.0.1:0")).unwrap().unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let start = Instant::now();
        let mut took = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut datagram = vec![0; bytes];
                for index in 0..count {
                    let due = start + every * index;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    datagram[..8].copy_from_slice(&(start.elapsed().as_micros() as u64).to_be_bytes());
                    sender.send(&datagram).unwrap();
                }
            });
            let mut datagram = vec![0; bytes];
            while took.len() < count as usize && receiver.recv(&mut datagram).is_ok() {
                let now = start.elapsed();
                let sent = Duration::from_micros(u64::from_be_bytes(datagram[..8].try_into().unwrap()));
                took.push(now - sent);
            }
        });
        let log = link.stop().unwrap();
        assert_eq!(log.packets[0].len(), count as usize);
        assert!(log.packets[0].iter().all(|packet| packet.sent > VirtualTime::ZERO));
        (took, log)
    }
}
