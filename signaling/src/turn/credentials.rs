//! Short-lived credentials, compatible with coturn's `use-auth-secret`: `username = expiry:peer`,
//! `password = base64(HMAC-SHA1(secret, username))`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, bail};
use data_encoding::{BASE64, HEXLOWER};
use farwheel_proto::signaling::{IceServer, PeerId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Signs credentials.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Makes one of 128 random bits: credentials end with the process that gave them, as its relays do.
    pub fn random() -> Self {
        Self(HEXLOWER.encode(&rand::random::<u128>().to_be_bytes()).into())
    }

    /// Makes a known one.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The password that belongs to `username`.
    pub(super) fn password(&self, username: &str) -> String {
        BASE64.encode(&hmac_sha1(self.0.as_bytes(), &[username.as_bytes()]))
    }

    /// A tag that only the bearer of the secret can make.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> String {
        HEXLOWER.encode(&hmac_sha1(self.0.as_bytes(), parts)[..8])
    }
}

pub(super) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Life of a credential, in seconds. A relay in use outlives it; a new one needs a fresh credential.
const CREDENTIAL_LIFE: u64 = 3600;

/// Another STUN or TURN server.
#[derive(Clone, Debug)]
pub struct Upstream {
    urls: Vec<String>,
    secret: Option<Secret>,
}

impl Upstream {
    /// Reads `URL[,URL]` or `URL[,URL] SECRET`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (urls, secret) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
        let begins = |url: &str, scheme: &str| url.len() > scheme.len() && url.starts_with(scheme);
        if let Some(url) =
            urls.iter().find(|url| !["stun:", "turn:", "turns:"].iter().any(|scheme| begins(url, scheme)))
        {
            bail!("external-turn: `{url}` is not a stun:, turn: or turns: address");
        }
        let secret = Some(secret.trim()).filter(|secret| !secret.is_empty());
        if secret.is_none()
            && let Some(url) = urls.iter().find(|url| !url.starts_with("stun:"))
        {
            bail!("external-turn: {url} needs its shared secret after a blank (coturn: static-auth-secret)");
        }
        Ok(Self { urls, secret: secret.map(Secret::new) })
    }
}

/// The built-in server, as its clients see it.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) udp: SocketAddr,
    /// Where it serves streams, if it does.
    pub(crate) tcp: Option<SocketAddr>,
    /// Whether it serves TLS there as well.
    pub(crate) has_tls: bool,
    pub(crate) external_ip: Option<IpAddr>,
    pub(crate) secret: Secret,
}

impl Own {
    /// Its urls, for a client that connected to `local` as `host`. Addresses where they do: no name has to be looked up
    /// then. A certificate is for a name, so TLS takes that one under which the client has just come.
    fn urls(&self, local: Option<IpAddr>, host: Option<&str>) -> Vec<String> {
        let reached = |at: SocketAddr| {
            let bound = Some(at.ip()).filter(|ip| !ip.is_unspecified());
            let ip = self.external_ip.or(bound).or(local)?;
            Some(SocketAddr::new(ip.to_canonical(), at.port()))
        };
        let mut urls = Vec::new();
        if let Some(at) = reached(self.udp) {
            urls.extend([format!("stun:{at}"), format!("turn:{at}?transport=udp")]);
        }
        if let Some(at) = self.tcp.and_then(reached) {
            urls.push(format!("turn:{at}?transport=tcp"));
            if self.has_tls {
                let named = host.map_or_else(|| at.to_string(), |host| format!("{host}:{}", at.port()));
                urls.push(format!("turns:{named}?transport=tcp"));
            }
        }
        urls
    }
}

/// What clients are told about STUN and TURN.
#[derive(Clone)]
pub struct IceSource {
    own: Option<Own>,
    upstream: Option<Upstream>,
}

impl IceSource {
    pub(crate) fn new(own: Option<Own>, upstream: Option<Upstream>) -> Self {
        Self { own, upstream }
    }

    /// Servers for a peer that connected to `local` as `host`, and when their credentials end.
    pub(crate) fn servers(
        &self,
        peer: PeerId,
        local: Option<IpAddr>,
        host: Option<&str>,
        now: u64,
    ) -> (Vec<IceServer>, Option<u64>) {
        let expires = now + CREDENTIAL_LIFE;
        let username = format!("{expires}:{peer}");
        let mut servers = Vec::new();
        let mut relay = |urls, secret: &Secret| {
            servers.push(IceServer {
                urls,
                username: Some(username.clone()),
                credential: Some(secret.password(&username)),
            });
        };
        if let Some(own) = &self.own {
            let urls = own.urls(local, host);
            if !urls.is_empty() {
                relay(urls, &own.secret);
            }
        }
        match &self.upstream {
            Some(Upstream { urls, secret: Some(secret) }) => relay(urls.clone(), secret),
            Some(Upstream { urls, secret: None }) => {
                servers.push(IceServer { urls: urls.clone(), username: None, credential: None });
            }
            None => {}
        }
        let is_limited = servers.iter().any(|server| server.credential.is_some());
        (servers, is_limited.then_some(expires))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_coturn() {
        // printf 1700000000:alice | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(Secret::new("north").password("1700000000:alice"), "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    }

    fn own(udp: &str, tcp: Option<&str>) -> Own {
        Own {
            udp: udp.parse().unwrap(),
            tcp: tcp.map(|at| at.parse().unwrap()),
            has_tls: false,
            external_ip: None,
            secret: Secret::new("x"),
        }
    }

    #[test]
    fn the_address_is_the_external_one_then_the_bound_one_then_the_one_connected_to() {
        let local = Some(IpAddr::from([192, 0, 2, 9]));
        for (listen, external_ip, want) in [
            ("0.0.0.0:3478", Some(IpAddr::from([198, 51, 100, 1])), "stun:198.51.100.1:3478"),
            ("127.0.0.1:5", None, "stun:127.0.0.1:5"),
            ("0.0.0.0:3478", None, "stun:192.0.2.9:3478"),
            ("[::1]:5", None, "stun:[::1]:5"),
        ] {
            let source = IceSource::new(Some(Own { external_ip, ..own(listen, None) }), None);
            let (servers, expires) = source.servers(PeerId::new(1), local, None, 1000);
            assert_eq!(servers[0].urls[0], want);
            assert_eq!(servers[0].username, Some("4600:00000000000000000000000004".into()));
            assert_eq!(expires, Some(4600));
        }
    }

    #[test]
    fn each_way_to_the_relay_has_its_url_and_tls_the_name_that_the_client_came_by() {
        let local = Some(IpAddr::from([192, 0, 2, 9]));
        let urls = |own: &Own, host| own.urls(local, host)[1..].join(" ");
        let mut own = own("0.0.0.0:3478", Some("0.0.0.0:443"));
        let both = "turn:192.0.2.9:3478?transport=udp turn:192.0.2.9:443?transport=tcp";
        assert_eq!(urls(&own, Some("car.example")), both);
        own.has_tls = true;
        assert_eq!(urls(&own, Some("car.example")), format!("{both} turns:car.example:443?transport=tcp"));
        assert_eq!(urls(&own, None), format!("{both} turns:192.0.2.9:443?transport=tcp"));
        own.external_ip = Some(IpAddr::from([198, 51, 100, 1]));
        assert!(urls(&own, None).ends_with("turns:198.51.100.1:443?transport=tcp"));
    }

    #[test]
    fn another_server_may_have_several_urls_and_needs_its_secret() {
        let upstream = Upstream::parse(
            "stun:t.example:3478,turn:t.example:3478,turns:t.example:5349?transport=tcp north",
        )
        .unwrap();
        let (servers, _) = IceSource::new(None, Some(upstream)).servers(PeerId::new(1), None, None, 1000);
        assert_eq!(servers[0].urls.len(), 3);
        let username = servers[0].username.as_deref().unwrap();
        assert_eq!(servers[0].credential, Some(Secret::new("north").password(username)));
        assert!(Upstream::parse("stun:a:1,turn:b:1").is_err());
        assert!(Upstream::parse("stun:a:1,b:1 s").is_err());
    }

    #[test]
    fn stun_alone_has_no_credential_and_no_end() {
        let source = IceSource::new(None, Some(Upstream::parse("stun:stun.example.org:3478").unwrap()));
        let (servers, expires) = source.servers(PeerId::new(1), None, None, 1000);
        assert_eq!((servers[0].credential.as_ref(), expires), (None, None));
        assert!(Upstream::parse("turn:x:1").is_err());
    }
}
