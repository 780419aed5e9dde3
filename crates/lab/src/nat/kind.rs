//! Kinds of address translation and firewalls, and how nftables makes them.

use std::fmt;
use std::net::Ipv4Addr;

/// What stands between a site and the internet. The names of translations are those of RFC 3489, since everybody knows
/// them; RFC 4787 has the exact terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing: the host has a public address.
    Open,
    /// Endpoint-independent mapping and filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    AddressRestricted,
    /// Endpoint-independent mapping, address- and port-dependent filtering: most homes.
    PortRestricted,
    /// Address- and port-dependent mapping and filtering: many cellular networks.
    Symmetric,
    /// No UDP at all; TCP by a translation.
    NoUdp,
    /// Only TLS: neither UDP nor TURN that shows what it is.
    TlsOnly,
}

impl Kind {
    /// The five of the matrix.
    pub const MATRIX: [Self; 5] =
        [Self::FullCone, Self::AddressRestricted, Self::PortRestricted, Self::Symmetric, Self::NoUdp];

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::NoUdp => "no-udp",
            Self::TlsOnly => "tls-only",
        }
    }

    /// The router's rules, for a single host behind it at `host`.
    ///
    /// nftables has no cones of its own. A full cone is all of UDP led to the one host, and ports kept on the way out;
    /// with a set of addresses that each port has talked to it is address-restricted. Masquerading keeps the port as long
    /// as it is free, which makes a port-restricted cone of it, if packets that nobody asked for are dropped before they
    /// are tracked: else the tracked one takes the port, and the answer has to leave from another.
    pub(super) fn rules(self, host: Ipv4Addr, outside: Ipv4Addr) -> String {
        let cone = format!(
            "chain before {{ type nat hook prerouting priority dstnat; iifname wan meta l4proto udp dnat to {host}; }}
             chain after {{ type nat hook postrouting priority srcnat; oifname wan snat to {outside}; }}"
        );
        let masquerade = |how: &str| {
            format!(
                "chain after {{ type nat hook postrouting priority srcnat; oifname wan masquerade {how}; }}"
            )
        };
        let unasked = "\nchain in { type filter hook input priority filter; iifname wan drop; }\n";
        let forward = |rules: &str| {
            format!(
                "chain through {{
                     type filter hook forward priority filter; policy drop;
                     {rules}
                     iifname wan ct state established,related accept
                     iifname lan accept
                 }}"
            )
        };
        let chains = match self {
            Self::Open => String::new(),
            Self::FullCone => cone,
            Self::AddressRestricted => format!(
                "set asked {{ type inet_service . ipv4_addr; size 65535; flags dynamic,timeout; timeout 5m; }}
                 {cone}
                 {}",
                forward(
                    "iifname lan meta l4proto udp update @asked { udp sport . ip daddr } accept
                     iifname wan meta l4proto udp udp dport . ip saddr @asked accept
                     iifname wan meta l4proto udp drop"
                )
            ),
            Self::PortRestricted => format!("{} {unasked} {}", masquerade(""), forward("")),
            Self::Symmetric => format!("{} {unasked} {}", masquerade("random,fully-random"), forward("")),
            Self::NoUdp => format!("{} {unasked} {}", masquerade(""), forward("meta l4proto udp drop")),
            // STUN shows itself by its magic cookie (RFC 8489 section 5), the second word of the payload.
            Self::TlsOnly => format!(
                "{} {unasked} {}",
                masquerade(""),
                forward(
                    "meta l4proto udp drop
                     iifname lan tcp dport != 443 drop
                     iifname lan tcp dport 443 @ih,32,32 0x2112a442 drop"
                )
            ),
        };
        format!("table ip site {{\n{chains}\n}}\n")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
