//! One question to the kernel: by which interface do packets from here to there leave? (rtnetlink(7), `RTM_GETROUTE`)

use std::io;
use std::net::IpAddr;

/// The index of the interface.
///
/// # Errors
/// When there is no such route, or no such kernel.
#[cfg(target_os = "linux")]
pub(super) fn interface(from: IpAddr, to: IpAddr) -> io::Result<u32> {
    use std::io::{Read as _, Write as _};

    use socket2::{Domain, Protocol, Socket, Type};

    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    // It answers at once; this is for a kernel that does not.
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    socket.write_all(&request(from, to)?)?;
    let mut answer = [0; 4096];
    let len = socket.read(&mut answer)?;
    interface_of(&answer[..len]).ok_or_else(|| io::ErrorKind::HostUnreachable.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn interface(_: IpAddr, _: IpAddr) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A message header, a route header, and the two addresses; numbers are in the machine's order.
fn request(from: IpAddr, to: IpAddr) -> io::Result<Vec<u8>> {
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (family, from, to) = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => (AF_INET, bytes(from), bytes(to)),
        (IpAddr::V6(_), IpAddr::V6(_)) => (AF_INET6, bytes(from), bytes(to)),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let bits = (from.len() * 8) as u8;
    // Lengths of both prefixes; the rest is for the kernel to say.
    let mut body = vec![family, bits, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (kind, address) in [(RTA_DST, to), (RTA_SRC, from)] {
        body.extend(((4 + address.len()) as u16).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(address);
    }
    let mut message = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(RTM_GETROUTE.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    Ok(message)
}

/// The interface in an answer; none in a refusal.
fn interface_of(answer: &[u8]) -> Option<u32> {
    let u16_at = |bytes: &[u8], at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if u16_at(answer, 4)? != RTM_NEWROUTE {
        return None;
    }
    let mut attributes = answer.get(HEADER + ROUTE_HEADER..)?;
    loop {
        let (len, kind) = (usize::from(u16_at(attributes, 0)?), u16_at(attributes, 2)?);
        if kind == RTA_OIF {
            return Some(u32::from_ne_bytes(attributes.get(4..8)?.try_into().ok()?));
        }
        // Padded to four bytes; a length that leads nowhere ends it.
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

/// linux/netlink.h, linux/rtnetlink.h.
#[cfg(target_os = "linux")]
const AF_NETLINK: i32 = 16;
#[cfg(target_os = "linux")]
const NETLINK_ROUTE: i32 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 1;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
/// Bytes of a message's header.
const HEADER: usize = 16;
/// Bytes of a route's header.
const ROUTE_HEADER: usize = 12;
#[cfg(target_os = "linux")]
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_found_among_the_attributes_and_nothing_panics() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let mut answer = vec![0; HEADER + ROUTE_HEADER];
        answer[4..6].copy_from_slice(&RTM_NEWROUTE.to_ne_bytes());
        answer.extend(attribute(15, &[1]));
        answer.extend(attribute(RTA_DST, &[192, 0, 2, 1]));
        answer.extend(attribute(RTA_OIF, &7u32.to_ne_bytes()));
        assert_eq!(interface_of(&answer), Some(7));
        for len in 0..answer.len() {
            assert_eq!(interface_of(&answer[..len]), None, "{len} bytes");
        }
        answer[4] ^= 0xff;
        assert_eq!(interface_of(&answer), None, "a refusal");
    }

    #[test]
    fn both_addresses_are_of_one_family() {
        let (four, six) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
        assert_eq!(request(four, four).unwrap().len(), 16 + 12 + 8 + 8);
        assert_eq!(request(six, six).unwrap().len(), 16 + 12 + 20 + 20);
        assert!(request(four, six).is_err());
    }
}
