//! Judges every datagram before the `turn` crate sees it.
//!
//! The crate keeps each nonce it ever gave, knows no quotas, answers nothing when there is no allocation, and takes a
//! repeated Allocate for a second one. Here nonces need no memory, and the crate sees only what is well-formed and
//! authentic.

use std::net::SocketAddr;
use std::sync::Arc;

use ::turn::auth::{AuthHandler, generate_auth_key};

use super::credentials::Secret;
use super::relay::{Book, Claim, Client};
use super::stun::{self, Class, Message};
use super::{Peers, REALM};

/// Allocations with one credential.
pub(super) const PER_CREDENTIAL_MAX: usize = 12;

/// Allocations from one address.
pub(super) const PER_ADDRESS_MAX: usize = 64;

/// Life of a nonce, in seconds (RFC 8656 section 7.1 recommends at least an hour).
const NONCE_LIFE: u64 = 3600;

/// What to do with a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Reply(Vec<u8>),
    /// The crate handles it; `Some` if it is a request that has been authenticated.
    Pass(Option<Login>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) nonce: String,
}

pub(super) struct Guard {
    secret: Secret,
    peers: Peers,
    book: Arc<Book>,
}

impl Guard {
    pub(super) fn new(secret: Secret, peers: Peers, book: Arc<Book>) -> Self {
        Self { secret, peers, book }
    }

    /// `now` is Unix time in seconds.
    pub(super) fn judge(&self, datagram: &[u8], from: Client, now: u64) -> Verdict {
        if is_channel_data(datagram) {
            return if self.book.username_of(from).is_some() { Verdict::Pass(None) } else { Verdict::Drop };
        }
        let Some(message) = Message::parse(datagram) else {
            return Verdict::Drop;
        };
        match (message.class, message.method) {
            (Class::Request, stun::BINDING) => Verdict::Pass(None),
            (Class::Indication, stun::SEND) if self.book.username_of(from).is_some() => Verdict::Pass(None),
            (
                Class::Request,
                stun::ALLOCATE | stun::REFRESH | stun::CREATE_PERMISSION | stun::CHANNEL_BIND,
            ) => self.judge_request(&message, from, now),
            (Class::Request | Class::Indication | Class::Response, _) => Verdict::Drop,
        }
    }

    fn judge_request(&self, message: &Message<'_>, from: Client, now: u64) -> Verdict {
        let challenge = |code, reason| {
            Verdict::Reply(message.refuse(code, reason).challenge(REALM, &self.nonce(from, now)))
        };
        if !message.has_integrity() {
            return challenge(401, "Unauthorized");
        }
        let Some(nonce) = message.text(stun::NONCE).filter(|nonce| self.is_fresh(nonce, from, now)) else {
            return challenge(438, "Stale Nonce");
        };
        let Some(username) = message.text(stun::USERNAME) else {
            return challenge(401, "Unauthorized");
        };
        let owner = self.book.username_of(from);
        let is_owner = owner.as_deref() == Some(username);
        let key = self.key(username, REALM);
        // A relay in use outlives its credential; a new one needs a credential that is valid.
        let is_valid = expiry(username).is_some_and(|end| end > now) || is_owner;
        if !is_valid || !message.is_signed_with(&key) {
            return challenge(401, "Unauthorized");
        }

        let refuse = |code, reason| Verdict::Reply(message.refuse(code, reason).sign(&key));
        if message.method == stun::ALLOCATE {
            match self.book.claim(from, username, message.transaction()) {
                Claim::Repeated(answer) => return Verdict::Reply(answer),
                Claim::Taken => return refuse(437, "Allocation Mismatch"),
                Claim::OverQuota => return refuse(486, "Allocation Quota Reached"),
                Claim::Free => {}
            }
        } else if owner.is_none() {
            return refuse(437, "Allocation Mismatch");
        } else if !is_owner {
            return refuse(441, "Wrong Credentials");
        }
        match message.peers() {
            None => return refuse(400, "Bad Request"),
            Some(peers) if !peers.iter().all(|peer| self.peers.allow(*peer)) => {
                return refuse(403, "Forbidden");
            }
            Some(_) => {}
        }
        Verdict::Pass(Some(Login { username: username.into(), nonce: nonce.into() }))
    }

    fn key(&self, username: &str, realm: &str) -> Vec<u8> {
        generate_auth_key(username, realm, &self.secret.password(username))
    }

    /// A nonce that proves itself: when it was made, and a tag over that and the client's address.
    fn nonce(&self, from: Client, now: u64) -> String {
        format!("{now:x}-{}", self.nonce_tag(from, now))
    }

    fn nonce_tag(&self, from: Client, made: u64) -> String {
        self.secret.tag(&[b"nonce", from.address.to_string().as_bytes(), &made.to_be_bytes()])
    }

    fn is_fresh(&self, nonce: &str, from: Client, now: u64) -> bool {
        let Some((made, tag)) = nonce.split_once('-') else {
            return false;
        };
        let Ok(made) = u64::from_str_radix(made, 16) else {
            return false;
        };
        made <= now && now - made < NONCE_LIFE && tag == self.nonce_tag(from, made)
    }
}

impl AuthHandler for Guard {
    fn auth_handle(&self, username: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, ::turn::Error> {
        Ok(self.key(username, realm))
    }
}

/// RFC 5766 section 11.4: a channel number, a length, and that much data.
fn is_channel_data(datagram: &[u8]) -> bool {
    match datagram {
        [0x40..=0x7f, _, high, low, data @ ..] => data.len() >= u16::from_be_bytes([*high, *low]).into(),
        _ => false,
    }
}

/// When a credential ends, from its user name.
fn expiry(username: &str) -> Option<u64> {
    username.split(':').next().and_then(|end| end.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::relay::Transport;
    use super::*;

    const NOW: u64 = 1000;

    fn guard(peers: Peers) -> Guard {
        Guard::new(Secret::new("north"), peers, Arc::default())
    }

    fn at(address: impl Into<SocketAddr>) -> Client {
        Client { transport: Transport::Datagrams, address: address.into() }
    }

    fn client() -> Client {
        at(([192, 0, 2, 7], 5000))
    }

    /// A request as a client would write it.
    fn request(guard: &Guard, method: u16, username: &str, nonce: &str, more: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes[..2].copy_from_slice(&(method & 0xf | (method & 0x70) << 1).to_be_bytes());
        bytes.extend([7; 12]);
        let put = |bytes: &mut Vec<u8>, kind: u16, value: &[u8], counted: usize| {
            bytes.extend(kind.to_be_bytes());
            bytes.extend((value.len() as u16).to_be_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let length = (bytes.len() - 20 + counted) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        };
        put(&mut bytes, stun::USERNAME, username.as_bytes(), 0);
        for (kind, value) in more {
            put(&mut bytes, *kind, value, 0);
        }
        put(&mut bytes, stun::NONCE, nonce.as_bytes(), 24);
        let signature = super::super::credentials::hmac_sha1(&guard.key(username, REALM), &[&bytes]);
        put(&mut bytes, 0x0008, &signature, 0);
        bytes
    }

    fn code(verdict: &Verdict) -> u16 {
        let Verdict::Reply(reply) = verdict else { panic!("{verdict:?}") };
        let value = Message::parse(reply).unwrap().attribute(0x0009).unwrap();
        u16::from(value[2]) * 100 + u16::from(value[3])
    }

    /// XOR-PEER-ADDRESS of an IPv4 address.
    fn peer(ip: [u8; 4]) -> (u16, Vec<u8>) {
        let xored = u32::from_be_bytes(ip) ^ 0x2112_a442;
        (stun::XOR_PEER_ADDRESS, [&[0, 1, 0, 0][..], &xored.to_be_bytes()].concat())
    }

    #[test]
    fn a_request_is_challenged_and_its_nonce_works_for_an_hour_and_for_its_client_only() {
        let guard = guard(Peers::Any);
        let unsigned =
            Message::parse(&[0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
                .map(|message| guard.judge_request(&message, client(), NOW))
                .unwrap();
        assert_eq!(code(&unsigned), 401);
        let Verdict::Reply(reply) = unsigned else { panic!() };
        let nonce = Message::parse(&reply).unwrap().text(stun::NONCE).unwrap().to_owned();

        let allocate = request(&guard, stun::ALLOCATE, "9000:p", &nonce, &[]);
        let judge = |from: &str, now| guard.judge(&allocate, at(from.parse::<SocketAddr>().unwrap()), now);
        assert!(matches!(judge("192.0.2.7:5000", NOW), Verdict::Pass(Some(_))));
        assert!(matches!(judge("192.0.2.7:5000", NOW + 3599), Verdict::Pass(Some(_))));
        assert_eq!(code(&judge("192.0.2.7:5000", NOW + 3600)), 438);
        assert_eq!(code(&judge("192.0.2.7:5001", NOW)), 438);
    }

    #[test]
    fn an_expired_or_forged_credential_is_refused() {
        let guard = guard(Peers::Any);
        let nonce = guard.nonce(client(), NOW);
        let judge = |username: &str| {
            guard.judge(&request(&guard, stun::ALLOCATE, username, &nonce, &[]), client(), NOW)
        };
        assert!(matches!(judge("1001:p"), Verdict::Pass(Some(_))));
        for wrong in ["1000:p", "p", ""] {
            assert_eq!(code(&judge(wrong)), 401, "{wrong:?}");
        }
        let thief = Guard::new(Secret::new("south"), Peers::Any, Arc::default());
        let forged = request(&thief, stun::ALLOCATE, "9000:p", &nonce, &[]);
        assert_eq!(code(&guard.judge(&forged, client(), NOW)), 401);
    }

    #[test]
    fn a_private_peer_is_forbidden_and_a_relay_outlives_its_credential() {
        let guard = guard(Peers::Public);
        let nonce = guard.nonce(client(), NOW);
        let permit = |peers: &[_]| request(&guard, stun::CREATE_PERMISSION, "1000:p", &nonce, peers);
        assert_eq!(code(&guard.judge(&permit(&[peer([1, 1, 1, 1])]), client(), NOW - 1 + 1)), 401);
        let _relay = Book::open(&guard.book, client(), "1000:p");
        assert!(matches!(guard.judge(&permit(&[peer([1, 1, 1, 1])]), client(), NOW), Verdict::Pass(Some(_))));
        assert_eq!(
            code(&guard.judge(&permit(&[peer([1, 1, 1, 1]), peer([10, 0, 0, 1])]), client(), NOW)),
            403
        );
        let other = request(&guard, stun::REFRESH, "9000:q", &nonce, &[]);
        assert_eq!(code(&guard.judge(&other, client(), NOW)), 441);
    }

    #[test]
    fn quotas_count_by_credential_and_by_address() {
        let guard = guard(Peers::Any);
        let allocate = |from: Client, username: &str| {
            let nonce = guard.nonce(from, NOW);
            guard.judge(&request(&guard, stun::ALLOCATE, username, &nonce, &[]), from, NOW)
        };
        let at = |ip: u8, port: u16| at(([192, 0, 2, ip], port));
        let mut relays: Vec<_> = (0..12).map(|n| Book::open(&guard.book, at(1, n), "9000:p")).collect();
        // A refreshed credential of the same peer shares its quota.
        assert_eq!(code(&allocate(at(1, 99), "9001:p")), 486);
        assert_eq!(code(&allocate(at(2, 99), "9001:p")), 486);
        assert!(matches!(allocate(at(1, 99), "9000:q"), Verdict::Pass(Some(_))));
        relays.extend((12..64).map(|n| Book::open(&guard.book, at(1, n), &format!("9000:{n}"))));
        assert_eq!(code(&allocate(at(1, 99), "9000:q")), 486);
        assert!(matches!(allocate(at(2, 99), "9000:q"), Verdict::Pass(Some(_))));
        relays.pop();
        assert!(matches!(allocate(at(1, 99), "9000:q"), Verdict::Pass(Some(_))));
        assert_eq!(code(&allocate(at(1, 0), "9000:p")), 437);
        // The same address and port over TCP is another client, and counts for its address.
        let stream = |ip| Client { transport: Transport::Stream, ..at(ip, 0) };
        assert!(matches!(allocate(stream(1), "9000:q"), Verdict::Pass(Some(_))));
        relays.push(Book::open(&guard.book, stream(1), "9000:r"));
        assert_eq!(code(&allocate(at(1, 99), "9000:q")), 486);
    }

    #[test]
    fn what_is_not_for_a_relay_is_dropped() {
        let guard = guard(Peers::Any);
        let judge = |bytes: &[u8]| guard.judge(bytes, client(), NOW);
        let send = [0, 0x16, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let channel = [0x40, 0, 0, 1, 9];
        for bytes in [&[][..], &[0x40], &[0x40, 0, 0, 9, 1], &[0xff; 40], &send, &channel] {
            assert_eq!(judge(bytes), Verdict::Drop, "{bytes:?}");
        }
        let _relay = Book::open(&guard.book, client(), "9000:p");
        assert_eq!((judge(&send), judge(&channel)), (Verdict::Pass(None), Verdict::Pass(None)));
    }
}
