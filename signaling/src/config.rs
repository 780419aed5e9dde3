//! Settings as the user gives them (flags over environment over file), and the checked configuration they make.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::CommandFactory as _;
use farwheel_proto::signaling::{Limits, RoomName, rooms};
use serde::{Deserialize, Serialize};

use crate::tokens::Tokens;
use crate::turn::{self, IceSource, Own, Upstream};

/// What a user may set. A flag `--token-file`, the variable `FARWHEEL_SIGNALING_TOKEN_FILE` and the key `token-file`
/// in a file are the same setting.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the WebSocket; port 0 takes a free one [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FARWHEEL_SIGNALING_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Certificate chain in PEM form, for TLS
    #[arg(long, value_name = "FILE", env = "FARWHEEL_SIGNALING_CERT")]
    pub cert: Option<PathBuf>,
    /// Private key in PEM form, for TLS
    #[arg(long, value_name = "FILE", env = "FARWHEEL_SIGNALING_KEY")]
    pub key: Option<PathBuf>,
    /// Serve other machines without TLS
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "FARWHEEL_SIGNALING_INSECURE")]
    pub insecure: Option<bool>,
    /// File with one token per line, each optionally followed by its permissions (robot,drive,view,call,list,moderate)
    #[arg(long, value_name = "FILE", env = "FARWHEEL_SIGNALING_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Let clients in that have no token [default: only on a loopback address without token file]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "FARWHEEL_SIGNALING_ANONYMOUS")]
    pub anonymous: Option<bool>,
    /// Origins of web pages that may connect, separated by commas; `*` for all [default: this server's own]
    #[arg(long, value_name = "LIST", env = "FARWHEEL_SIGNALING_ALLOW_ORIGIN")]
    pub allow_origin: Option<String>,
    /// The rooms there are, separated by commas [default: any name makes a room]
    #[arg(long, value_name = "LIST", env = "FARWHEEL_SIGNALING_ROOMS")]
    pub rooms: Option<String>,
    /// WHEP address that viewers are sent to
    #[arg(long, value_name = "URL", env = "FARWHEEL_SIGNALING_SFU")]
    pub sfu: Option<String>,
    /// Address under which clients reach this machine [default: the one they connected to]
    #[arg(long, value_name = "ADDRESS", env = "FARWHEEL_SIGNALING_EXTERNAL_IP")]
    pub external_ip: Option<IpAddr>,
    /// Address and port of STUN and TURN, or `off` [default: as --listen]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FARWHEEL_SIGNALING_TURN_LISTEN")]
    pub turn_listen: Option<String>,
    /// Serve TURN over TCP too, and over TLS where there is a certificate; on the same port [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "FARWHEEL_SIGNALING_TURN_TCP")]
    pub turn_tcp: Option<bool>,
    /// Second address of this machine, so that clients can tell all kinds of NAT apart (RFC 5780); --turn-listen needs an
    /// address then [default: what one address can tell]
    #[arg(long, value_name = "ADDRESS", env = "FARWHEEL_SIGNALING_STUN_SECOND_IP")]
    pub stun_second_ip: Option<IpAddr>,
    /// UDP ports for relaying [default: 49152-65535]
    #[arg(long, value_name = "FIRST-LAST", env = "FARWHEEL_SIGNALING_RELAY_PORTS")]
    pub relay_ports: Option<String>,
    /// Relay to private, loopback and link-local addresses [default: only if TURN itself is on a loopback address]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "FARWHEEL_SIGNALING_TURN_ALLOW_PRIVATE")]
    pub turn_allow_private: Option<bool>,
    /// Rate of each relay and direction [default: 5000]
    #[arg(long, value_name = "KBIT/S", env = "FARWHEEL_SIGNALING_TURN_KBPS")]
    pub turn_kbps: Option<u32>,
    /// Another STUN or TURN server instead of the built-in one: its URLs, separated by commas, and, after a blank, its
    /// shared secret
    #[arg(
        long,
        value_name = "'URLS SECRET'",
        env = "FARWHEEL_SIGNALING_EXTERNAL_TURN",
        hide_env_values = true
    )]
    pub external_turn: Option<String>,
    /// WebSockets at the same time [default: 10000]
    #[arg(long, value_name = "N", env = "FARWHEEL_SIGNALING_MAX_CONNECTIONS")]
    pub max_connections: Option<u32>,
    /// Sessions at the same time from one address [default: 32]
    #[arg(long, value_name = "N", env = "FARWHEEL_SIGNALING_SESSIONS_PER_IP")]
    pub sessions_per_ip: Option<usize>,
    /// New WebSockets per second from one address [default: 10]
    #[arg(long, value_name = "N", env = "FARWHEEL_SIGNALING_HANDSHAKES_PER_SECOND")]
    pub handshakes_per_second: Option<u32>,
    /// Time that clients are given when the server stops [default: 1000]
    #[arg(long, value_name = "MS", env = "FARWHEEL_SIGNALING_DRAIN_MS")]
    pub drain_ms: Option<u64>,
    /// File to write the addresses to when the server is ready
    #[arg(long, value_name = "FILE", env = "FARWHEEL_SIGNALING_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// What to log, as in RUST_LOG [default: info]
    #[arg(long, value_name = "FILTER", env = "FARWHEEL_SIGNALING_LOG")]
    pub log: Option<String>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) tokens: Tokens,
    pub(crate) origins: Origins,
    pub(crate) rooms: rooms::Config,
    pub(crate) relay: Option<turn::Config>,
    /// TURN takes the port that the WebSocket has.
    pub(crate) turn_follows_listen: bool,
    /// TURN is served over streams too.
    pub(crate) turn_streams: bool,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) max_connections: usize,
    pub(crate) drain: Duration,
}

/// Port of both, if nothing else is said.
const PORT: u16 = 8443;

/// The dynamic ports of RFC 6335 section 6, as other TURN servers use them.
const RELAY_PORTS: RangeInclusive<u16> = 49152..=65535;

/// Rate of a relay in each direction.
const TURN_KBPS: u32 = 5000;

impl Settings {
    /// Takes what is not set here from `lower`.
    #[must_use]
    pub fn or(self, lower: Self) -> Self {
        Self {
            listen: self.listen.or(lower.listen),
            cert: self.cert.or(lower.cert),
            key: self.key.or(lower.key),
            insecure: self.insecure.or(lower.insecure),
            token_file: self.token_file.or(lower.token_file),
            anonymous: self.anonymous.or(lower.anonymous),
            allow_origin: self.allow_origin.or(lower.allow_origin),
            rooms: self.rooms.or(lower.rooms),
            sfu: self.sfu.or(lower.sfu),
            external_ip: self.external_ip.or(lower.external_ip),
            turn_listen: self.turn_listen.or(lower.turn_listen),
            turn_tcp: self.turn_tcp.or(lower.turn_tcp),
            stun_second_ip: self.stun_second_ip.or(lower.stun_second_ip),
            relay_ports: self.relay_ports.or(lower.relay_ports),
            turn_allow_private: self.turn_allow_private.or(lower.turn_allow_private),
            turn_kbps: self.turn_kbps.or(lower.turn_kbps),
            external_turn: self.external_turn.or(lower.external_turn),
            max_connections: self.max_connections.or(lower.max_connections),
            sessions_per_ip: self.sessions_per_ip.or(lower.sessions_per_ip),
            handshakes_per_second: self.handshakes_per_second.or(lower.handshakes_per_second),
            drain_ms: self.drain_ms.or(lower.drain_ms),
            ready_file: self.ready_file.or(lower.ready_file),
            log: self.log.or(lower.log),
        }
    }

    /// The settings as a file that can be read again; the secret of `external-turn` is in it.
    pub fn to_toml(&self) -> String {
        let set = toml::to_string(self).expect("settings are plain values");
        let unset = Keys::command()
            .get_arguments()
            .filter_map(|argument| {
                let name = argument.get_long()?;
                let is_set = set.lines().any(|line| line.split(' ').next() == Some(name));
                let help = argument.get_help()?.to_string();
                (!is_set).then(|| format!("# {name} = ... # {help}\n"))
            })
            .collect::<String>();
        format!("{set}{unset}")
    }

    /// What to log. The TURN library logs at levels of its own, so it is silent unless asked for.
    pub fn log_filter(&self) -> String {
        self.log.clone().unwrap_or_else(|| "info,turn=off,webrtc_util=off".into())
    }
}

/// The settings alone as a command, to know their names.
#[derive(clap::Parser)]
struct Keys {
    #[command(flatten)]
    _settings: Settings,
}

/// Reads a configuration file.
///
/// # Errors
/// What is wrong, with file and line; for an unknown key the nearest known one.
pub fn read_file(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse_file(&text, &path.display().to_string())
}

fn parse_file(text: &str, name: &str) -> Result<Settings> {
    let at = |offset: usize| {
        let line = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        format!("{name} line {line}")
    };
    let explain = |error: toml::de::Error| {
        anyhow!("{}: {}", at(error.span().map_or(0, |span| span.start)), error.message().trim())
    };
    let table = toml::de::DeTable::parse(text).map_err(explain)?;
    for key in table.get_ref().keys() {
        let (command, unknown) = (Keys::command(), key.get_ref().as_ref());
        let known: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
        if !known.contains(&unknown) {
            let nearest = known
                .iter()
                .map(|name| (strsim::jaro_winkler(unknown, name), *name))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(likeness, _)| *likeness >= 0.75);
            let hint = nearest.map_or(String::new(), |(_, name)| format!("; did you mean `{name}`?"));
            bail!("{}: unknown key `{unknown}`{hint}", at(key.span().start));
        }
    }
    toml::from_str(text).map_err(explain)
}

impl TryFrom<Settings> for Config {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> Result<Self> {
        let listen = settings.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        let is_local = listen.ip().is_loopback();
        let tls = match (settings.cert, settings.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) if is_local || settings.insecure == Some(true) => None,
            (None, None) => bail!(
                "{} is reached from other machines, so it needs --cert and --key, or --insecure if you accept that \
                 everybody on the way can read and change what is sent",
                listen.ip()
            ),
            (Some(_), None) => bail!("--cert needs --key"),
            (None, Some(_)) => bail!("--key needs --cert"),
        };

        let anonymous = settings.anonymous.unwrap_or(is_local && settings.token_file.is_none());
        let tokens = match &settings.token_file {
            Some(path) => Tokens::read(path)?,
            None if anonymous => Tokens::default(),
            None => bail!("nobody could log in: give --token-file, or --anonymous to let everybody in"),
        };
        let tokens = if anonymous { tokens.with_anonymous() } else { tokens };

        let rooms = match &settings.rooms {
            None => None,
            Some(list) => Some(
                split(list)
                    .map(|name| name.parse::<RoomName>().with_context(|| format!("room `{name}`")))
                    .collect::<Result<_>>()?,
            ),
        };
        let defaults = Limits::default();
        let limits = Limits {
            sessions_per_ip: settings.sessions_per_ip.unwrap_or(defaults.sessions_per_ip),
            handshakes_per_second: settings.handshakes_per_second.unwrap_or(defaults.handshakes_per_second),
            ..defaults
        };
        let rooms = rooms::Config { limits, rooms, sfu: settings.sfu, ..rooms::Config::default() };

        let upstream = settings.external_turn.as_deref().map(Upstream::parse).transpose()?;
        let turn_listen = match settings.turn_listen.as_deref() {
            Some("off") => None,
            Some(text) => Some(
                text.parse().with_context(|| format!("turn-listen `{text}`: want ADDRESS:PORT or off"))?,
            ),
            None if upstream.is_some() => None,
            None => Some(listen),
        };
        if let (Some(second), Some(at)) = (settings.stun_second_ip, turn_listen)
            && (at.ip().is_unspecified() || at.ip() == second || at.is_ipv4() != second.is_ipv4())
        {
            bail!(
                "stun-second-ip {second} needs another address of its kind in turn-listen (or listen), which has {}",
                at.ip()
            );
        }
        let ports = settings.relay_ports.as_deref().map(parse_ports).transpose()?.unwrap_or(RELAY_PORTS);
        let relay = turn_listen.map(|at: SocketAddr| turn::Config {
            listen: at,
            external_ip: settings.external_ip,
            second_ip: settings.stun_second_ip,
            ports,
            peers: if settings.turn_allow_private.unwrap_or(at.ip().is_loopback()) {
                turn::Peers::Any
            } else {
                turn::Peers::Public
            },
            bytes_per_second: settings.turn_kbps.unwrap_or(TURN_KBPS).max(1) * 125,
            secret: turn::Secret::random(),
        });
        Ok(Self {
            listen,
            tls,
            tokens,
            origins: Origins::new(settings.allow_origin.as_deref(), is_local),
            rooms,
            relay,
            turn_follows_listen: settings.turn_listen.is_none(),
            turn_streams: settings.turn_tcp.unwrap_or(true),
            upstream,
            max_connections: settings.max_connections.unwrap_or(10_000).max(1) as usize,
            drain: Duration::from_millis(settings.drain_ms.unwrap_or(1000)),
        })
    }
}

impl Config {
    /// Where clients get their STUN and TURN servers from; the built-in one is at `udp` and, for streams, at `tcp`.
    pub(crate) fn ice_source(&self, udp: Option<SocketAddr>, tcp: Option<SocketAddr>) -> IceSource {
        let own = self.relay.as_ref().zip(udp).map(|(config, udp)| Own {
            udp,
            tcp,
            has_tls: self.tls.is_some(),
            external_ip: config.external_ip,
            secret: config.secret.clone(),
        });
        IceSource::new(own, self.upstream.clone())
    }
}

/// Whose web pages may connect. Programs send no origin and are not held up by this.
#[derive(Clone, Debug)]
pub(crate) enum Origins {
    Any,
    /// The pages that this server's own name or, if `local`, any loopback name serves.
    Own {
        local: bool,
    },
    Listed(Vec<String>),
}

impl Origins {
    fn new(list: Option<&str>, local: bool) -> Self {
        match list {
            None => Self::Own { local },
            Some(list) if split(list).any(|item| item == "*") => Self::Any,
            Some(list) => {
                Self::Listed(split(list).map(|item| item.trim_end_matches('/').to_lowercase()).collect())
            }
        }
    }

    pub(crate) fn allow(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_lowercase();
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.contains(&origin),
            // Not "the same as Host": a page of a foreign name that resolves to 127.0.0.1 would have that.
            Self::Own { local: true } => authority.is_some_and(is_loopback_name),
            Self::Own { local: false } => {
                authority.is_some() && authority == host.map(str::to_lowercase).as_deref()
            }
        }
    }
}

fn is_loopback_name(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>> {
    let parse = |part: &str| part.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-').map(|(first, last)| (parse(first), parse(last))) {
        Some((Some(first), Some(last))) if first <= last => Ok(first..=last),
        _ => bail!("relay-ports `{text}`: want FIRST-LAST, for example 49152-65535"),
    }
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> Result<Config> {
        Config::try_from(parse_file(toml, "signaling.toml")?)
    }

    #[track_caller]
    fn refused(toml: &str, want: &str) {
        let error = config(toml).unwrap_err();
        assert_eq!(format!("{error:#}"), want);
    }

    #[test]
    fn a_laptop_needs_no_settings() {
        let config = config("").unwrap();
        assert_eq!(config.listen, "127.0.0.1:8443".parse().unwrap());
        assert!(config.tls.is_none() && config.turn_follows_listen);
        assert!(matches!(config.relay.unwrap().peers, turn::Peers::Any));
    }

    #[test]
    fn a_server_for_others_needs_tls_and_tokens() {
        refused(
            "listen = '0.0.0.0:8443'",
            "0.0.0.0 is reached from other machines, so it needs --cert and --key, or --insecure if you accept that \
             everybody on the way can read and change what is sent",
        );
        refused(
            "listen = '0.0.0.0:8443'\ninsecure = true",
            "nobody could log in: give --token-file, or --anonymous to let everybody in",
        );
        let open = config("listen = '0.0.0.0:8443'\ninsecure = true\nanonymous = true").unwrap();
        assert!(matches!(open.relay.unwrap().peers, turn::Peers::Public));
        refused("cert = 'a.pem'", "--cert needs --key");
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_suggestion() {
        refused(
            "\n\nlisen = '127.0.0.1:1'",
            "signaling.toml line 3: unknown key `lisen`; did you mean `listen`?",
        );
        refused("[wheels]\nx = 1", "signaling.toml line 1: unknown key `wheels`");
        refused("listen = 7", "signaling.toml line 1: invalid type: integer `7`, expected socket address");
        refused("rooms = 'a,b c'", "room `b c`: a room name has 1 to 64 letters, digits, '_' or '-'");
        refused("relay-ports = '9-1'", "relay-ports `9-1`: want FIRST-LAST, for example 49152-65535");
        assert!(config("listen = ").unwrap_err().to_string().starts_with("signaling.toml line 1: "));
    }

    #[test]
    fn flags_win_over_the_file_and_print_what_is_in_force() {
        let flags = Settings { drain_ms: Some(5), ..Settings::default() };
        let file = parse_file("drain-ms = 7\nrooms = 'a'", "f").unwrap();
        let both = flags.or(file);
        assert_eq!((both.drain_ms, both.rooms.as_deref()), (Some(5), Some("a")));
        let printed = both.to_toml();
        assert!(printed.contains("# cert = ... # Certificate chain"), "{printed}");
        assert_eq!(parse_file(&printed, "printed").unwrap(), both);
    }

    #[test]
    fn an_external_turn_server_is_one_line() {
        let config = config("external-turn = 'turn:turn.example.org:3478 s3cret'").unwrap();
        assert!(config.relay.is_none() && config.upstream.is_some());
        refused(
            "external-turn = 'http://x'",
            "external-turn: `http://x` is not a stun:, turn: or turns: address",
        );
    }

    #[test]
    fn pages_of_others_may_not_connect() {
        let origins = |list, local| Origins::new(list, local);
        for (origins, origin, host, allowed) in [
            (origins(None, true), "http://localhost:5173", "127.0.0.1:8443", true),
            (origins(None, true), "http://[::1]:80", "127.0.0.1:8443", true),
            (origins(None, true), "http://evil.example", "evil.example", false),
            (origins(None, true), "http://localhost.evil.example", "x", false),
            (origins(None, true), "null", "127.0.0.1:8443", false),
            (origins(None, false), "https://car.example", "car.example", true),
            (origins(None, false), "https://evil.example", "car.example", false),
            (origins(Some("https://a.example/, https://b.example"), false), "https://A.example", "c", true),
            (origins(Some("https://a.example"), false), "http://a.example", "a.example", false),
            (origins(Some("*"), false), "null", "c", true),
        ] {
            assert_eq!(origins.allow(origin, Some(host)), allowed, "{origin} at {host}");
        }
    }
}
