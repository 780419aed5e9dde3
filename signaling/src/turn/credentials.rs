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
    url: Arc<str>,
    secret: Option<Secret>,
}

impl Upstream {
    /// Reads `URL` or `URL SECRET`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (url, secret) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        if !["stun:", "turn:", "turns:"]
            .iter()
            .any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
        {
            bail!("external-turn: `{url}` is not a stun:, turn: or turns: address");
        }
        let secret = Some(secret.trim()).filter(|secret| !secret.is_empty());
        if secret.is_none() && !url.starts_with("stun:") {
            bail!("external-turn: {url} needs its shared secret after a blank (coturn: static-auth-secret)");
        }
        Ok(Self { url: url.into(), secret: secret.map(Secret::new) })
    }
}

/// What clients are told about STUN and TURN.
#[derive(Clone)]
pub struct IceSource {
    own: Option<(SocketAddr, Option<IpAddr>, Secret)>,
    upstream: Option<Upstream>,
}

impl IceSource {
    pub(crate) fn new(own: Option<(SocketAddr, Option<IpAddr>, Secret)>, upstream: Option<Upstream>) -> Self {
        Self { own, upstream }
    }

    /// Servers for a peer that connected to `local`, and when their credentials end.
    pub(crate) fn servers(
        &self,
        peer: PeerId,
        local: Option<IpAddr>,
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
        if let Some((address, external, secret)) = &self.own {
            let bound = Some(address.ip()).filter(|ip| !ip.is_unspecified());
            if let Some(ip) = external.or(bound).or(local) {
                let at = SocketAddr::new(ip.to_canonical(), address.port());
                relay(vec![format!("stun:{at}"), format!("turn:{at}?transport=udp")], secret);
            }
        }
        match &self.upstream {
            Some(Upstream { url, secret: Some(secret) }) => relay(vec![url.to_string()], secret),
            Some(Upstream { url, secret: None }) => {
                servers.push(IceServer { urls: vec![url.to_string()], username: None, credential: None });
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

    #[test]
    fn the_address_is_the_external_one_then_the_bound_one_then_the_one_connected_to() {
        let secret = Secret::new("x");
        let local = Some(IpAddr::from([192, 0, 2, 9]));
        for (listen, external, want) in [
            ("0.0.0.0:3478", Some(IpAddr::from([198, 51, 100, 1])), "stun:198.51.100.1:3478"),
            ("127.0.0.1:5", None, "stun:127.0.0.1:5"),
            ("0.0.0.0:3478", None, "stun:192.0.2.9:3478"),
            ("[::1]:5", None, "stun:[::1]:5"),
        ] {
            let source = IceSource::new(Some((listen.parse().unwrap(), external, secret.clone())), None);
            let (servers, expires) = source.servers(PeerId::new(1), local, 1000);
            assert_eq!(servers[0].urls[0], want);
            assert_eq!(servers[0].username, Some("4600:00000000000000000000000004".into()));
            assert_eq!(expires, Some(4600));
        }
    }

    #[test]
    fn stun_alone_has_no_credential_and_no_end() {
        let source = IceSource::new(None, Some(Upstream::parse("stun:stun.example.org:3478").unwrap()));
        let (servers, expires) = source.servers(PeerId::new(1), None, 1000);
        assert_eq!((servers[0].credential.as_ref(), expires), (None, None));
        assert!(Upstream::parse("turn:x:1").is_err());
    }
}
