//! Bounds the checks that one socket sends.
//!
//! The engine repeats each check every 20 ms until it is answered: right while connecting, where it saves 200 ms, and
//! harmful on an uplink that stands still, where looking for another path filled 150 kB of queue within 3 s (measured,
//! docs/ENGINE.md). So a destination that does not answer soon is asked less and less often. A restart has fresh sockets,
//! and so begins anew.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::relay_lead::is_check;

/// Destinations remembered; a peer has a few candidates. Full: all are forgotten, which allows some checks more.
const DESTINATIONS_MAX: usize = 64;
/// Up to this many checks, the pause before the next.
const PAUSES: [(u32, Duration); 3] =
    [(20, Duration::ZERO), (40, Duration::from_millis(50)), (u32::MAX, Duration::from_millis(250))];

/// The checks of one socket.
#[derive(Debug, Default)]
pub(crate) struct CheckRate(Mutex<HashMap<(SocketAddr, Carrier), Sent>>);

#[derive(Clone, Copy, Debug)]
struct Sent {
    count: u32,
    at: Instant,
}

/// How a check travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Carrier {
    Itself,
    Relay,
}

impl CheckRate {
    /// Whether a datagram may leave now: all but checks may.
    pub(crate) fn allows(&self, datagram: &[u8], to: SocketAddr, now: Instant) -> bool {
        let Some(carrier) = carrier(datagram) else { return true };
        let mut destinations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if destinations.len() >= DESTINATIONS_MAX {
            destinations.clear();
        }
        let sent = destinations.entry((to, carrier)).or_insert(Sent { count: 0, at: now });
        let pause = PAUSES.iter().find(|(count, _)| sent.count < *count).map_or(Duration::ZERO, |(_, p)| *p);
        let may = sent.at + pause <= now;
        if may {
            *sent = Sent { count: sent.count.saturating_add(1), at: now };
        }
        may
    }
}

/// What carries the check in a datagram; `None` if there is none in it.
fn carrier(datagram: &[u8]) -> Option<Carrier> {
    /// RFC 8656 sections 12.4 and 11.
    const CHANNEL_HEADER: usize = 4;
    const SEND_INDICATION: [u8; 2] = [0x00, 0x16];
    const DATA: u16 = 0x0013;
    if is_check(datagram) {
        return Some(Carrier::Itself);
    }
    let relayed = match datagram {
        [0x40..=0x4f, ..] => datagram.get(CHANNEL_HEADER..),
        [a, b, ..] if [*a, *b] == SEND_INDICATION => {
            let mut attributes = datagram.get(20..)?;
            loop {
                let (head, rest) = attributes.split_at_checked(4)?;
                let (kind, length) = (
                    u16::from_be_bytes([head[0], head[1]]),
                    usize::from(u16::from_be_bytes([head[2], head[3]])),
                );
                if kind == DATA {
                    break rest.get(..length);
                }
                attributes = rest.get(length.next_multiple_of(4)..)?;
            }
        }
        _ => None,
    };
    relayed.is_some_and(is_check).then_some(Carrier::Relay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Binding request with a user name.
    fn check() -> Vec<u8> {
        let mut message = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        message.extend([0, 6, 0, 4, b'a', b':', b'b', b'c']);
        message
    }

    fn in_channel(message: &[u8]) -> Vec<u8> {
        [&[0x40, 0, 0, message.len() as u8][..], message].concat()
    }

    fn in_indication(message: &[u8]) -> Vec<u8> {
        let peer = [0, 0x12, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6];
        let mut indication = vec![0, 0x16, 0, (16 + message.len()) as u8, 0x21, 0x12, 0xa4, 0x42];
        indication.extend([9; 12]);
        indication.extend(peer);
        indication.extend([0, 0x13, 0, message.len() as u8]);
        indication.extend(message);
        indication
    }

    #[test]
    fn checks_that_are_not_answered_become_rare() {
        let to: SocketAddr = "192.0.2.1:9".parse().unwrap();
        for datagram in [check(), in_channel(&check()), in_indication(&check())] {
            let (rate, start) = (CheckRate::default(), Instant::now());
            let within = |from_ms: u64, to_ms: u64| {
                let times = (from_ms..to_ms).step_by(20).map(|ms| start + Duration::from_millis(ms));
                times.filter(|now| rate.allows(&datagram, to, *now)).count()
            };
            assert_eq!(within(0, 400), 20, "while connecting every one leaves");
            let (soon, later) = (within(400, 1600), within(1600, 3600));
            assert_eq!((soon, later), (20, 7), "within the next 1.2 s, and then 2 s");
        }
    }

    #[test]
    fn others_pass_and_each_destination_counts_for_itself() {
        let rate = CheckRate::default();
        let (one, other): (SocketAddr, SocketAddr) =
            ("192.0.2.1:9".parse().unwrap(), "192.0.2.2:9".parse().unwrap());
        let now = Instant::now();
        let passed = |datagram: &[u8], to| (0..100).filter(|_| rate.allows(datagram, to, now)).count();
        assert_eq!(passed(&check(), one), 20);
        assert_eq!(passed(&check(), other), 20);
        for other in [&[0x80, 96, 1, 2][..], &[], &[0x40], &[0, 0x16], &in_channel(b"media"), &[0; 20]] {
            assert_eq!(passed(other, one), 100, "{other:?}");
        }
    }
}
