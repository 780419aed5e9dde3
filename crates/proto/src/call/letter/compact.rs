//! The description of a connection of data channels alone in some hundred bytes: all of it but what is the same in each.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | role in the handshake: 0 either, 1 active, 2 passive |
//! | 1, .. | length of the ICE name, and the name |
//! | 1, .. | length of the ICE password, and the password |
//! | 32 | SHA-256 of the certificate |
//! | 7 or 19 each | candidates, best first: kind (0 host, 1 reflexive, 2 relayed; 4 added for IPv6), address, port big-endian |

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::HEXUPPER;

use crate::signaling::ConnId;

/// Most candidates in it: more do not help.
const CANDIDATES_MAX: usize = 12;
/// RFC 8839: names have 4 to 256 characters, passwords 22 to 256; ours are short.
const SECRET_MAX: usize = 64;
const SETUPS: [&str; 3] = ["actpass", "active", "passive"];
/// Kinds of candidates, and the priorities that RFC 8445 section 5.1.2.1 recommends for them.
const TYPES: [(&str, u32); 3] = [("host", 126), ("srflx", 100), ("relay", 0)];
const IPV6: u8 = 4;

/// Packs a description; `None` for one that has more to it.
pub fn pack(sdp: &str) -> Option<Vec<u8>> {
    let mut media = sdp.lines().filter(|line| line.starts_with("m="));
    if !media.next()?.starts_with("m=application ") || media.next().is_some() || !sdp.contains("a=mid:0\r\n")
    {
        return None;
    }
    let setup = SETUPS.iter().position(|setup| Some(*setup) == single(sdp, "a=setup:"))?;
    let mut out = vec![setup as u8];
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        let text = single(sdp, name).filter(|text| text.len() <= SECRET_MAX && is_ice(text.as_bytes()))?;
        out.push(text.len() as u8);
        out.extend(text.bytes());
    }
    let fingerprint = single(sdp, "a=fingerprint:")?.strip_prefix("sha-256 ")?;
    let fingerprint = HEXUPPER.decode(fingerprint.replace(':', "").to_ascii_uppercase().as_bytes()).ok()?;
    out.extend(<[u8; 32]>::try_from(fingerprint).ok()?);
    let mut candidates = Vec::new();
    for line in sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
        candidates.push(Candidate::parse(line)?);
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    // Of the second component there is none any more.
    candidates.dedup_by_key(|candidate| (candidate.kind, candidate.address, candidate.port));
    candidates.iter().take(CANDIDATES_MAX).for_each(|candidate| candidate.write(&mut out));
    Some(out)
}

/// The description again, of connection `conn`; `None` if the bytes are none.
pub fn unpack(bytes: &[u8], conn: ConnId) -> Option<String> {
    let (&setup, rest) = bytes.split_first()?;
    let setup = SETUPS.get(usize::from(setup))?;
    let (name, rest) = secret(rest)?;
    let (password, rest) = secret(rest)?;
    let (fingerprint, mut rest) = rest.split_first_chunk::<32>()?;
    let fingerprint: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let mut sdp = format!(
        "v=0\r\no=- {} 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\n\
         a=setup:{setup}\r\na=ice-ufrag:{name}\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 {}\r\n\
         a=sctp-port:5000\r\na=max-message-size:262144\r\n",
        u64::from_be_bytes(conn.to_bytes()) >> 1,
        fingerprint.join(":"),
    );
    let mut count = 0;
    while !rest.is_empty() {
        let (candidate, after) = Candidate::read(rest)?;
        count += 1;
        if count > CANDIDATES_MAX {
            return None;
        }
        candidate.describe(count, &mut sdp);
        rest = after;
    }
    sdp.push_str("a=end-of-candidates\r\n");
    Some(sdp)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    /// Index in [`TYPES`].
    kind: u8,
    address: IpAddr,
    port: u16,
    priority: u32,
}

impl Candidate {
    /// `FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE …` of RFC 8839 section 5.1; UDP alone.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
        let [_, _, transport, priority, address, port, "typ", kind] = fields[..] else { return None };
        if !transport.eq_ignore_ascii_case("udp") {
            return None;
        }
        let kind = TYPES.iter().position(|(name, _)| *name == kind)? as u8;
        let (address, port) = (address.parse().ok()?, port.parse().ok()?);
        Some(Self { kind, address, port, priority: priority.parse().ok()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self.address {
            IpAddr::V4(address) => {
                out.push(self.kind);
                out.extend(address.octets());
            }
            IpAddr::V6(address) => {
                out.push(self.kind | IPV6);
                out.extend(address.octets());
            }
        }
        out.extend(self.port.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&head, rest) = bytes.split_first()?;
        let kind = head & !IPV6;
        TYPES.get(usize::from(kind))?;
        let (address, rest) = if head & IPV6 == 0 {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*octets).into(), rest)
        } else {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*octets).into(), rest)
        };
        let (port, rest) = rest.split_first_chunk()?;
        Some((Self { kind, address, port: u16::from_be_bytes(*port), priority: 0 }, rest))
    }

    /// As a line; the `place` among all, from 1, decides about the priority within its kind.
    fn describe(&self, place: usize, sdp: &mut String) {
        let (name, preference) = TYPES[usize::from(self.kind)];
        let priority = preference << 24 | (65_535 - place as u32) << 8 | 255;
        let Self { address, port, .. } = self;
        write!(sdp, "a=candidate:{place} 1 udp {priority} {address} {port} typ {name}")
            .expect("a string takes it");
        if self.kind != 0 {
            let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
            write!(sdp, " raddr {any} rport 9").expect("a string takes it");
        }
        sdp.push_str("\r\n");
    }
}

/// The value of a line that is there once, or several times alike.
fn single<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    let mut values = sdp.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim);
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

fn secret(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    let is_one = text.len() <= SECRET_MAX && is_ice(text);
    is_one.then(|| (std::str::from_utf8(text).expect("ASCII"), rest))
}

/// `ice-char` of RFC 8839 section 5.4: nothing else gets into a line.
fn is_ice(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
