//! As much of STUN (RFC 8489) as it takes to judge a datagram and to refuse it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::credentials::hmac_sha1;

pub(super) const BINDING: u16 = 0x001;
pub(super) const ALLOCATE: u16 = 0x003;
pub(super) const REFRESH: u16 = 0x004;
pub(super) const SEND: u16 = 0x006;
pub(super) const CREATE_PERMISSION: u16 = 0x008;
pub(super) const CHANNEL_BIND: u16 = 0x009;

pub(super) const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;

const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Response,
}

/// A well-formed message that borrows its datagram.
#[derive(Debug)]
pub(super) struct Message<'a> {
    raw: &'a [u8],
    pub(super) class: Class,
    pub(super) method: u16,
}

impl<'a> Message<'a> {
    /// Checks the header and the whole list of attributes.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        let kind = u16::from_be_bytes(*raw.first_chunk()?);
        let length = u16::from_be_bytes(*raw.get(2..)?.first_chunk()?) as usize;
        let cookie = u32::from_be_bytes(*raw.get(4..)?.first_chunk()?);
        let is_whole = raw.len() == HEADER + length && length.is_multiple_of(4);
        if kind & 0xC000 != 0 || cookie != COOKIE || !is_whole {
            return None;
        }
        let class = match kind & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            _ => Class::Response,
        };
        let method = kind & 0x000F | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2;
        let message = Self { raw, class, method };
        let mut end = HEADER;
        for (start, _, value) in message.attributes() {
            end = start + 4 + value.len().next_multiple_of(4);
        }
        (end == raw.len()).then_some(message)
    }

    /// Start, type and value of each attribute, up to the first that is cut off.
    fn attributes(&self) -> impl Iterator<Item = (usize, u16, &'a [u8])> {
        let (raw, mut at) = (self.raw, HEADER);
        std::iter::from_fn(move || {
            let head: &[u8; 4] = raw.get(at..)?.first_chunk()?;
            let (kind, length) =
                (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
            let value = raw.get(at + 4..at + 4 + length as usize)?;
            // The padding has to be there as well.
            raw.get(at + 4..at + 4 + value.len().next_multiple_of(4))?;
            let start = at;
            at += 4 + value.len().next_multiple_of(4);
            Some((start, kind, value))
        })
    }

    /// A success response to this request.
    pub(super) fn accept(&self) -> Reply {
        self.reply(0x0100)
    }

    fn reply(&self, class: u16) -> Reply {
        let kind = class | self.method & 0x000F | (self.method & 0x0070) << 1 | (self.method & 0x0F80) << 2;
        let mut bytes = Vec::with_capacity(160);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend(self.transaction());
        Reply { bytes }
    }

    pub(super) fn transaction(&self) -> [u8; 12] {
        *self.raw[8..].first_chunk().expect("the header was checked")
    }

    pub(super) fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(_, kind, _)| *kind == wanted).map(|(_, _, value)| value)
    }

    pub(super) fn text(&self, wanted: u16) -> Option<&'a str> {
        self.attribute(wanted).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub(super) fn has_integrity(&self) -> bool {
        self.attribute(MESSAGE_INTEGRITY).is_some()
    }

    /// Whether the message was signed with `key` (RFC 8489 section 14.5).
    pub(super) fn is_signed_with(&self, key: &[u8]) -> bool {
        let signature = self.attributes().find(|(_, kind, _)| *kind == MESSAGE_INTEGRITY);
        let Some((start, _, signature)) = signature else {
            return false;
        };
        let length = ((start + 24 - HEADER) as u16).to_be_bytes();
        let want = hmac_sha1(key, &[&self.raw[..2], &length, &self.raw[4..start]]);
        bool::from(subtle::ConstantTimeEq::ct_eq(&want[..], signature))
    }

    /// Every XOR-PEER-ADDRESS; `None` if one cannot be read.
    pub(super) fn peers(&self) -> Option<Vec<IpAddr>> {
        self.attributes()
            .filter(|(_, kind, _)| *kind == XOR_PEER_ADDRESS)
            .map(|(_, _, value)| self.xor_address(value))
            .collect()
    }

    fn xor_address(&self, value: &[u8]) -> Option<IpAddr> {
        match value {
            [_, 1, _, _, ip @ ..] => {
                let ip = u32::from_be_bytes(ip.try_into().ok()?) ^ COOKIE;
                Some(Ipv4Addr::from_bits(ip).into())
            }
            [_, 2, _, _, ip @ ..] => {
                let mask = u128::from_be_bytes(self.raw[4..].first_chunk().copied()?);
                let ip = u128::from_be_bytes(ip.try_into().ok()?) ^ mask;
                Some(Ipv6Addr::from_bits(ip).into())
            }
            _ => None,
        }
    }

    /// An error response to this request.
    pub(super) fn refuse(&self, code: u16, reason: &str) -> Reply {
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend(reason.as_bytes());
        self.reply(0x0110).with(ERROR_CODE, &value)
    }
}

/// A response being written.
pub(super) struct Reply {
    bytes: Vec<u8>,
}

impl Reply {
    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend((value.len() as u16).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.set_length(self.bytes.len() - HEADER);
        self
    }

    /// Adds an address, as it is (RFC 8489 section 14.1).
    pub(super) fn with_address(self, kind: u16, address: SocketAddr) -> Self {
        self.with(kind, &address_value(address, 0, &[0; 16]))
    }

    /// Adds an address, hidden from gateways that would rewrite it (RFC 8489 section 14.2).
    pub(super) fn with_xor_address(self, kind: u16, address: SocketAddr) -> Self {
        let mask: [u8; 16] = self.bytes[4..20].try_into().expect("the header is there");
        let value = address_value(address, (COOKIE >> 16) as u16, &mask);
        self.with(kind, &value)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Asks for a login.
    pub(super) fn challenge(self, realm: &str, nonce: &str) -> Vec<u8> {
        self.with(REALM, realm.as_bytes()).with(NONCE, nonce.as_bytes()).bytes
    }

    pub(super) fn sign(mut self, key: &[u8]) -> Vec<u8> {
        self.set_length(self.bytes.len() + 24 - HEADER);
        let signature = hmac_sha1(key, &[&self.bytes]);
        self.with(MESSAGE_INTEGRITY, &signature).bytes
    }

    fn set_length(&mut self, length: usize) {
        self.bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn address_value(address: SocketAddr, port_mask: u16, ip_mask: &[u8; 16]) -> Vec<u8> {
    let port = (address.port() ^ port_mask).to_be_bytes();
    let (family, ip) = match address.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let ip = ip.iter().zip(ip_mask).map(|(byte, mask)| byte ^ mask);
    [0, family].into_iter().chain(port).chain(ip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.4: a request with long-term authentication, without its padding oddities.
    const RFC5769: &[u8] = &[
        0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29,
        0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83, 0xaa, 0xe3,
        0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00, 0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f,
        0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46,
        0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70,
        0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6,
        0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
    ];

    #[test]
    fn the_signature_of_the_published_vector_is_recognised() {
        let message = Message::parse(RFC5769).unwrap();
        assert_eq!((message.class, message.method), (Class::Request, BINDING));
        assert_eq!(message.text(USERNAME), Some("マトリックス"));
        let key = ::turn::auth::generate_auth_key("マトリックス", "example.org", "TheMatrIX");
        assert!(message.is_signed_with(&key));
        assert!(!message.is_signed_with(b"another"));
    }

    #[test]
    fn what_is_cut_or_has_more_is_not_a_message() {
        for end in 0..RFC5769.len() {
            assert!(Message::parse(&RFC5769[..end]).is_none(), "{end} bytes");
        }
        assert!(Message::parse(&[RFC5769, &[0; 4]].concat()).is_none());
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        for at in 0..RFC5769.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = RFC5769.to_vec();
                bytes[at] = value;
                if let Some(message) = Message::parse(&bytes) {
                    message.peers();
                    message.is_signed_with(b"key");
                    Message::parse(&message.refuse(403, "Forbidden").sign(b"key"))
                        .expect("replies are well-formed");
                }
            }
        }
    }

    #[test]
    fn a_signed_refusal_can_be_checked() {
        let request = Message::parse(RFC5769).unwrap();
        let reply = request.refuse(486, "Allocation Quota Reached").sign(b"key");
        let reply = Message::parse(&reply).unwrap();
        assert_eq!((reply.class, reply.method), (Class::Response, BINDING));
        assert_eq!(reply.transaction(), request.transaction());
        assert_eq!(reply.attribute(ERROR_CODE).unwrap()[..4], [0, 0, 4, 86]);
        assert!(reply.is_signed_with(b"key"));
    }
}
