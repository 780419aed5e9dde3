//! This machine's interfaces, and which of them the system would rather use.

mod route;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use rtc::shared::ifaces::ifaces;

use crate::addresses::is_of_use;

/// An interface with an address that others may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// As the system calls it, such as `wlan0`.
    pub name: String,
    /// Its addresses that others may reach.
    pub addresses: Vec<IpAddr>,
    /// What carries its packets.
    pub medium: Medium,
    /// Metric of its default route; the system takes the lowest. `None`: it has none, as bridges for containers.
    pub route: Option<u32>,
}

/// What carries an interface's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A device, or what behaves like one.
    Device,
    /// Another of the interfaces: a VPN is no path of its own.
    Tunnel,
}

/// The interfaces there are, by name. Routes and media are told on Linux; elsewhere none has a route.
pub fn interfaces() -> Vec<Interface> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let routes = default_routes(&read("/proc/net/route"), &read("/proc/net/ipv6_route"));
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for one in ifaces().unwrap_or_default() {
        if let Some(ip) = one.addr.map(|at| at.ip()).filter(|ip| is_of_use(*ip)) {
            found.entry(one.name).or_default().push(ip);
        }
    }
    let with_routes = found.into_iter().map(|(name, addresses)| {
        let medium = medium(&Path::new("/sys/class/net").join(&name));
        Interface { route: routes.get(&name).copied(), medium, name, addresses }
    });
    with_routes.collect()
}

/// The name of the interface that packets between two addresses leave by, as the kernel would send them; where it does
/// not tell, that which has the local address. A system with two ways out takes the better one whatever the source is.
pub fn interface_towards(local: IpAddr, remote: Option<IpAddr>) -> Option<String> {
    let by_route = || name_of(route::interface(local, remote?).ok()?);
    let by_address = || {
        let own = |one: &rtc::shared::ifaces::Interface| one.addr.is_some_and(|at| at.ip() == local);
        ifaces().ok()?.into_iter().find(own).map(|one| one.name)
    };
    by_route().or_else(by_address)
}

/// The interface with this index.
fn name_of(index: u32) -> Option<String> {
    let devices = fs::read_dir("/sys/class/net").ok()?.filter_map(Result::ok);
    let index_of =
        |device: &fs::DirEntry| fs::read_to_string(device.path().join("ifindex")).ok()?.trim().parse().ok();
    let found = devices.into_iter().find(|device| index_of(device) == Some(index))?;
    found.file_name().into_string().ok()
}

/// Names and least metrics of interfaces with a default route, from the kernel's tables of IPv4 and IPv6.
fn default_routes(v4: &str, v6: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut add = |name: &str, flags: u32, metric: u32| {
        if name != "lo" && flags & ROUTE_UP != 0 && flags & ROUTE_REJECT == 0 {
            let known = found.entry(name.to_owned()).or_insert(metric);
            *known = metric.min(*known);
        }
    };
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    for line in v4.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [name, "00000000", _, flags, _, _, metric, "00000000", ..] = fields[..]
            && let (Some(flags), Ok(metric)) = (hex(flags), metric.parse())
        {
            add(name, flags, metric);
        }
    }
    for line in v6.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [to, "00", _, _, _, metric, _, _, flags, name] = fields[..]
            && to.bytes().all(|digit| digit == b'0')
            && let (Some(metric), Some(flags)) = (hex(metric), hex(flags))
        {
            add(name, flags, metric);
        }
    }
    found
}

/// What the kernel tells of a device in its folder.
fn medium(device: &Path) -> Medium {
    let read = |name: &str| fs::read_to_string(device.join(name)).unwrap_or_default();
    let is_named_tunnel = read("uevent").lines().any(|line| line == "DEVTYPE=wireguard");
    // Modems have no link layer either, but hardware.
    let is_bare = read("type").trim() == ARPHRD_NONE && !device.join("device").exists();
    let is_in_ip = ARPHRD_TUNNELS.contains(&read("type").trim());
    if device.join("tun_flags").exists() || is_named_tunnel || is_bare || is_in_ip {
        Medium::Tunnel
    } else {
        Medium::Device
    }
}

/// `RTF_UP` of linux/route.h.
const ROUTE_UP: u32 = 1;
/// `RTF_REJECT`.
const ROUTE_REJECT: u32 = 0x200;
/// linux/if_arp.h: no header of a link layer.
const ARPHRD_NONE: &str = "65534";
/// IP in IP of several kinds, and GRE.
const ARPHRD_TUNNELS: [&str; 4] = ["768", "769", "776", "778"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_with_a_default_route_are_found_with_their_least_metric() {
        let v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                  wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                  usb0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                  docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                  eth1\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n\
                  half\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
        let zero = "0".repeat(32);
        let v6 = format!(
            "{zero} 00 {zero} 00 fe80000000000000000000000000abcd 00000400 00000001 00000000 00000003    wlan0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             {zero} 00 {zero} 00 fe80000000000000000000000000abce 00000032 00000001 00000000 00000003     six0\n\
             fe80{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth1\n",
            "0".repeat(28)
        );
        let want = [("six0", 50), ("usb0", 100), ("wlan0", 600)];
        assert_eq!(default_routes(v4, &v6), want.map(|(name, metric)| (name.to_owned(), metric)).into());
        assert!(default_routes("", "").is_empty());
    }

    #[test]
    fn packets_within_this_machine_leave_by_loopback_whatever_their_addresses() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(interface_towards(here, Some(here)).as_deref(), Some("lo"));
        assert_eq!(interface_towards(here, None).as_deref(), Some("lo"), "by its address");
        for address in interfaces().into_iter().flat_map(|one| one.addresses) {
            assert_eq!(interface_towards(address, Some(address)).as_deref(), Some("lo"), "{address}");
        }
        assert_eq!(interface_towards([192, 0, 2, 1].into(), None), None, "no address of this machine");
    }

    #[test]
    fn a_tunnel_is_no_medium_of_its_own_and_a_modem_is() {
        let folder = tempfile::tempdir().unwrap();
        for (name, files, want) in [
            ("eth0", &[("type", "1\n"), ("uevent", "INTERFACE=eth0\n")][..], Medium::Device),
            ("wwan0", &[("type", "65534\n"), ("device", ""), ("uevent", "DEVTYPE=wwan\n")], Medium::Device),
            ("ppp0", &[("type", "512\n")], Medium::Device),
            ("tap0", &[("type", "1\n"), ("tun_flags", "0x1002\n")], Medium::Tunnel),
            ("wg0", &[("type", "65534\n"), ("uevent", "DEVTYPE=wireguard\nINTERFACE=wg0\n")], Medium::Tunnel),
            ("xfrm0", &[("type", "65534\n")], Medium::Tunnel),
            ("gre1", &[("type", "778\n")], Medium::Tunnel),
        ] {
            let device = folder.path().join(name);
            fs::create_dir(&device).unwrap();
            for (file, content) in files {
                fs::write(device.join(file), content).unwrap();
            }
            assert_eq!(medium(&device), want, "{name}");
        }
    }
}
