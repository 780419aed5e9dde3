//! The namespaces and what joins them.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Kind;
use crate::emulator::{End, Link, Namespace, Way, within};

/// The server's address; public as far as any rule for addresses knows.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 1);

/// Its second one, for the discovery of a translation's behaviour (RFC 5780).
pub const SERVER_TWO: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 2);

/// The core of an internet, the server's place, and sites around them. Everything is gone when it is dropped.
#[derive(Debug)]
pub struct Internet {
    // Fields are dropped in this order: links before the namespaces that their devices are in.
    links: Vec<Link>,
    sites: usize,
    prefix: String,
    one_way: Duration,
    core: Namespace,
    server: Namespace,
}

/// A host and, unless it is open, the router that it is behind.
#[derive(Debug)]
pub struct Site {
    /// What is between the host and the internet.
    pub kind: Kind,
    host: Namespace,
    _router: Option<Namespace>,
}

impl Site {
    /// Where the site's programs run.
    pub const fn host(&self) -> &Namespace {
        &self.host
    }
}

impl Internet {
    /// Builds one without sites; between any two of its places a packet takes `one_way`.
    ///
    /// # Errors
    /// If a namespace or a device can't be made.
    pub fn build(prefix: &str, one_way: Duration) -> Result<Self> {
        let core = Namespace::create(&format!("{prefix}-core"))?;
        let server = Namespace::create(&format!("{prefix}-server"))?;
        forward(&core)?;
        let mut internet =
            Self { links: Vec::new(), sites: 0, prefix: prefix.to_owned(), one_way, core, server };
        // Private addresses lead nowhere.
        for private in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] {
            internet.core.ip(&format!("route add blackhole {private}"))?;
        }
        let name = internet.server.name().to_owned();
        internet.link(0, &name, "wan")?;
        internet.server.ip(&format!("addr add {SERVER_TWO}/24 dev wan"))?;
        Ok(internet)
    }

    /// Where the server runs.
    pub const fn server(&self) -> &Namespace {
        &self.server
    }

    /// Adds a site.
    ///
    /// # Errors
    /// If a namespace, a device or a rule can't be made.
    pub fn attach(&mut self, kind: Kind) -> Result<Site> {
        self.sites += 1;
        let n = u8::try_from(self.sites).context("255 sites at most")?;
        let host = Namespace::create(&format!("{}-host{n}", self.prefix))?;
        if kind == Kind::Open {
            self.link(n, host.name(), "wan")?;
            return Ok(Site { kind, host, _router: None });
        }
        let router = Namespace::create(&format!("{}-router{n}", self.prefix))?;
        self.link(n, router.name(), "wan")?;
        router.ip(&format!("link add lan type veth peer name eth netns {}", host.name()))?;
        router.ip(&format!("addr add 10.{n}.0.1/24 dev lan"))?;
        router.ip("link set lan up")?;
        host.ip(&format!("addr add 10.{n}.0.2/24 dev eth"))?;
        host.ip("link set eth up")?;
        host.ip(&format!("route add default via 10.{n}.0.1"))?;
        nft(&router, &kind.rules(Ipv4Addr::new(10, n, 0, 2), Ipv4Addr::new(45, n, 0, 1)))?;
        forward(&router)?;
        Ok(Site { kind, host, _router: Some(router) })
    }

    /// Takes an open site's address and its route away, as when a vehicle leaves the garage's radio, and gives it others
    /// elsewhere.
    ///
    /// # Errors
    /// If a device can't be made or changed.
    pub fn roam(&mut self, site: &Site) -> Result<()> {
        site.host.ip("addr flush dev wan")?;
        site.host.ip("link set wan down")?;
        self.sites += 1;
        let n = u8::try_from(self.sites).context("255 sites at most")?;
        self.link(n, site.host.name(), "mobile")
    }

    /// Joins a namespace's device to the core, with the public address 45.n.0.1.
    fn link(&mut self, n: u8, namespace: &str, device_there: &str) -> Result<()> {
        let (near, far) = (format!("45.{n}.0.1/24"), format!("45.{n}.0.254/24"));
        let device = format!("to{n}");
        let ends = [
            End { namespace, device: device_there, address: &near, is_default_route: true },
            End { namespace: self.core.name(), device: &device, address: &far, is_default_route: false },
        ];
        // Two links are between any two places.
        let way = || Way::delay(self.one_way / 2);
        let link =
            Link::between(ends, [way(), way()]).with_context(|| format!("join {namespace} to the core"))?;
        self.links.push(link);
        Ok(())
    }
}

/// Makes a router of a namespace.
fn forward(namespace: &Namespace) -> Result<()> {
    within(namespace.name(), || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?
        .context("let packets through")
}

fn nft(namespace: &Namespace, rules: &str) -> Result<()> {
    let mut command = namespace.command("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("start nft")?;
    child.stdin.take().context("its input is piped")?.write_all(rules.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nft refuses the rules of {}: {}", namespace.name(), said.trim());
    Ok(())
}
