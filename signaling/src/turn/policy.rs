//! Whom a relay may talk to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Peers;

impl Peers {
    /// Whether a relay may send to `peer`. Addresses of IPv4 within IPv6 are judged as what they reach.
    pub(super) fn allow(self, peer: IpAddr) -> bool {
        match self {
            Self::Any => !peer.to_canonical().is_multicast(),
            Self::Public => match peer.to_canonical() {
                IpAddr::V4(ip) => is_public_v4(ip),
                IpAddr::V6(ip) => is_public_v6(ip),
            },
        }
    }
}

/// Not in the special registry of RFC 6890 and its successors.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || ip.is_documentation()
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 224)
}

/// Global unicast (2000::/3), and where it leads through a gateway to IPv4, that address too.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match s {
        // NAT64, RFC 6052.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, RFC 4380, and documentation.
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_peers_are_denied_however_they_are_written() {
        for denied in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::10.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "2002:7f00:1::1",
            "2001::1",
            "64:ff9b:1::1",
        ] {
            assert!(!Peers::Public.allow(denied.parse().unwrap()), "{denied}");
        }
    }

    #[test]
    fn public_peers_are_allowed_up_to_the_edges() {
        for allowed in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
        ] {
            assert!(Peers::Public.allow(allowed.parse().unwrap()), "{allowed}");
        }
        assert!(Peers::Any.allow("127.0.0.1".parse().unwrap()));
        assert!(!Peers::Any.allow("224.0.0.1".parse().unwrap()));
    }
}
