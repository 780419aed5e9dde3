//! The robot's configuration: read once in `main`, passed by value.

mod layers;
mod print;
mod settings;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use farwheel_media::audio;
use farwheel_media::capture::Spec;
use farwheel_peer::signaling::RoomName;
use farwheel_proto::control::Axis;
use farwheel_proto::control::event::NAME_CHARS_MAX;
use farwheel_proto::control::failsafe::{Limits, Sight};
use farwheel_proto::video::{Bitrate, Size};

pub use layers::{Layers, Origin};
pub use print::as_toml;
pub use settings::{ENV_PREFIX, Fallback, Kind, SETTINGS, Setting, Visibility};

/// Everything `run` needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name shown to people.
    pub name: String,
    /// How to reach the room.
    pub signaling: Signaling,
    /// Paths that media may take.
    pub network: Network,
    /// Where pictures come from.
    pub camera: Camera,
    /// Target of the encoder.
    pub bitrate: Bitrate,
    /// Microphone and speaker.
    pub sound: Sound,
    /// The outputs.
    pub drive: Drive,
    /// What lets a peer take the lease from anyone.
    pub owner_code: Option<Secret>,
    /// Throttle limits.
    pub limits: Limits,
    /// Strength of the brake pulse that answers 400 ms of silence, if there shall be one (docs/SAFETY.md).
    pub brake_pulse: Option<Axis>,
    /// Whether the driver needs a fresh picture to drive.
    pub sight: Sight,
    /// Seed of the simulated world.
    pub seed: u64,
}

/// How to reach the room.
#[derive(Clone, Debug)]
pub struct Signaling {
    /// `ws://` or `wss://` with host and port.
    pub server: String,
    /// The room to join.
    pub room: RoomName,
    /// What the server wants to see before it lets the robot in.
    pub token: Option<Secret>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// A secret that does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the message that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Paths that media may take.
#[derive(Clone, Debug)]
pub struct Network {
    /// Every path, or TURN alone.
    pub ice_policy: IcePolicy,
    /// Local addresses for media.
    pub bind: Bind,
}

/// Which kinds of path a connection tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcePolicy {
    /// Host, server-reflexive and relayed.
    All,
    /// Relayed only: nobody learns the robot's address.
    Relay,
}

/// Local addresses for media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Every interface and loopback.
    Auto,
    /// These.
    Only(Vec<IpAddr>),
}

/// Where pictures come from.
#[derive(Clone, Debug)]
pub struct Camera {
    /// The devices and programs; the first one is sent until the driver chooses another. At least one.
    pub sources: Vec<Spec>,
    /// Picture size asked for.
    pub size: Size,
    /// Pictures per second asked for.
    pub fps: u32,
    /// Whether the measuring strip is drawn over the top rows.
    pub strip: Strip,
}

impl Camera {
    /// Time from one picture to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
    }
}

/// Whether the measuring strip is drawn (docs/MEASUREMENTS.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strip {
    /// Over the top sixteenth of each picture.
    Drawn,
    /// The picture stays as it is.
    Absent,
}

/// Microphone and speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// What all who are connected hear.
    pub microphone: audio::Spec,
    /// What the driver talks through.
    pub speaker: audio::Spec,
}

/// The outputs.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Which.
    pub output: crate::drive::Output,
    /// Where each change is written down.
    pub pulse_log: Option<PathBuf>,
    /// An actuator process that someone else starts and watches.
    pub actuator_socket: Option<PathBuf>,
}

impl Config {
    /// Turns texts into values.
    ///
    /// # Errors
    /// The first text that means nothing, with its place.
    pub fn from_layers(layers: &Layers) -> Result<Self> {
        let token = layers.parse_optional("signaling.token", |text| Ok(Secret(text.to_owned())))?;
        let from_file = layers.parse_optional("signaling.token_file", |path| {
            let content = std::fs::read_to_string(path).with_context(|| format!("read token file {path}"))?;
            let token = content.lines().next().unwrap_or_default().trim();
            ensure!(!token.is_empty(), "token file {path} has an empty first line");
            Ok(Secret(token.to_owned()))
        })?;
        ensure!(
            token.is_none() || from_file.is_none(),
            "both signaling.token and signaling.token_file are set; keep one"
        );
        let insecure: bool = layers.parse("signaling.insecure", |text| Ok(text.parse()?))?;
        let limit = |key| layers.parse(key, |text| share(text, f32::MIN_POSITIVE));
        let limits = Limits::new(limit("limits.forward")?, limit("limits.reverse")?, limit("limits.boost")?)?;
        let brake = layers.parse("failsafe.brake_pulse", |text| share(text, 0.0))?;
        Ok(Self {
            name: layers.parse("robot.name", |text| {
                ensure!(!text.trim().is_empty(), "the name is empty");
                Ok(text.chars().take(NAME_CHARS_MAX).collect())
            })?,
            signaling: Signaling {
                server: layers.parse("signaling.server", |text| server(text, insecure))?,
                room: layers.parse("signaling.room", room)?,
                token: token.or(from_file),
                ca: layers.parse_optional("signaling.ca", |text| Ok(text.into()))?,
            },
            network: Network {
                ice_policy: layers.parse("network.ice_policy", |text| match text {
                    "all" => Ok(IcePolicy::All),
                    "relay" => Ok(IcePolicy::Relay),
                    _ => bail!("want all or relay, got `{text}`"),
                })?,
                bind: layers.parse("network.bind", bind)?,
            },
            camera: Camera {
                sources: sources(layers)?,
                size: layers.parse("camera.size", size)?,
                fps: layers.parse("camera.fps", |text| whole(text, 1, 120))?,
                strip: layers.parse("camera.strip", |text| {
                    Ok(if text.parse()? { Strip::Drawn } else { Strip::Absent })
                })?,
            },
            bitrate: layers
                .parse("video.bitrate_kbps", |text| whole(text, 100, 20_000).map(Bitrate::from_kbps))?,
            sound: Sound {
                microphone: layers.parse("sound.microphone", |text| Ok(text.parse()?))?,
                speaker: layers.parse("sound.speaker", |text| Ok(text.parse()?))?,
            },
            drive: Drive {
                output: layers.parse("drive.output", str::parse)?,
                pulse_log: layers.parse_optional("drive.pulse_log", |text| Ok(text.into()))?,
                actuator_socket: layers.parse_optional("drive.actuator_socket", |text| Ok(text.into()))?,
            },
            owner_code: layers.parse_optional("robot.owner_code", |text| Ok(Secret(text.to_owned())))?,
            limits,
            brake_pulse: (brake > 0.0).then(|| Axis::new(brake)),
            sight: layers.parse("failsafe.sight", |text| match text {
                "video" => Ok(Sight::Video),
                "line" => Ok(Sight::LineOfSight),
                _ => bail!("want video or line, got `{text}`"),
            })?,
            seed: layers.parse("sim.seed", |text| text.parse().context("want a whole number from 0"))?,
        })
    }
}

/// The configuration files that apply, later ones over earlier ones: `explicit` alone if given, otherwise
/// `/etc/farwheel/robot.toml` and `robot.toml` in the user's own configuration folder, where they exist.
pub fn files(explicit: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![path.to_owned()];
    }
    let own =
        directories::ProjectDirs::from("", "", "farwheel").map(|dirs| dirs.config_dir().join("robot.toml"));
    let system = PathBuf::from("/etc/farwheel/robot.toml");
    [Some(system), own].into_iter().flatten().filter(|path| path.exists()).collect()
}

/// Reads every layer below the command line.
///
/// # Errors
/// A file that cannot be read or says something unknown; a variable that names no setting.
pub fn layers(files: &[PathBuf], env: impl IntoIterator<Item = (String, String)>) -> Result<Layers> {
    let mut layers = Layers::fallbacks(&host_name());
    for path in files {
        let content = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        layers.lay_file(path, &content)?;
    }
    layers.lay_environment(env)?;
    Ok(layers)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn server(text: &str, insecure: bool) -> Result<String> {
    let (scheme, rest) =
        text.split_once("://").with_context(|| format!("`{text}` is no URL; write ws://HOST:PORT"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    ensure!(!authority.is_empty(), "`{text}` names no host");
    ensure!(!authority.contains('@'), "`{text}` carries a login; use signaling.token_file");
    match scheme {
        "wss" => {}
        "ws" if is_loopback(authority) || insecure => {}
        "ws" => {
            bail!("`{text}` would go over the network without TLS; use wss://, or --insecure if you mean it")
        }
        _ => bail!("`{text}` starts with {scheme}://; want ws:// or wss://"),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether the host of a URL's `host:port` is this machine itself.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn room(text: &str) -> Result<RoomName> {
    text.parse().with_context(|| format!("room `{text}`"))
}

fn bind(text: &str) -> Result<Bind> {
    if text == "auto" {
        return Ok(Bind::Auto);
    }
    let addresses = text
        .split(',')
        .map(|part| part.trim().parse().with_context(|| format!("`{}` is no IP address", part.trim())));
    Ok(Bind::Only(addresses.collect::<Result<_>>()?))
}

fn size(text: &str) -> Result<Size> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let Some((width, height)) = parsed else { bail!("want WIDTHxHEIGHT such as 1280x720, got `{text}`") };
    ensure!(
        (SIZE_MIN.0..=SIZE_MAX.0).contains(&width) && (SIZE_MIN.1..=SIZE_MAX.1).contains(&height),
        "{text} is outside {}x{} to {}x{}",
        SIZE_MIN.0,
        SIZE_MIN.1,
        SIZE_MAX.0,
        SIZE_MAX.1
    );
    ensure!(width % 2 == 0 && height % 2 == 0, "{text} has an odd number; H.264 wants both even");
    Ok(Size::new(width, height))
}

fn sources(layers: &Layers) -> Result<Vec<Spec>> {
    let first = layers.parse("camera.source", source)?;
    let others = layers.parse_optional("camera.others", |text| {
        text.split_whitespace().map(source).collect::<Result<Vec<_>>>()
    })?;
    let all: Vec<_> = std::iter::once(first).chain(others.unwrap_or_default()).collect();
    ensure!(
        all.len() <= CAMERAS_MAX,
        "{} cameras are configured, at most {CAMERAS_MAX} are possible",
        all.len()
    );
    Ok(all)
}

fn source(text: &str) -> Result<Spec> {
    if text.starts_with("csi:") || text == "screen" {
        bail!("camera `{text}` is not supported by this release; sim, test, usb: and command: are");
    }
    Ok(text.parse()?)
}

/// A number from `min` to 1.
fn share(text: &str, min: f32) -> Result<f32> {
    let value: f32 = text.parse()?;
    ensure!(
        (min..=1.0).contains(&value),
        "want {} to 1, got {text}",
        if min > 0.0 { "more than 0" } else { "0" }
    );
    Ok(value)
}

fn whole(text: &str, min: u32, max: u32) -> Result<u32> {
    let value: i64 = text.parse()?;
    ensure!((i64::from(min)..=i64::from(max)).contains(&value), "want {min} to {max}, got {value}");
    Ok(value as u32)
}

/// Smallest picture in which the strip can still be read (docs/MEASUREMENTS.md).
const SIZE_MIN: (u32, u32) = (160, 90);
/// Level 4.2 at 1920x1080 is the most the encoder is set up for.
const SIZE_MAX: (u32, u32) = (1920, 1088);
/// What an index of one byte and a person's choice can bear.
const CAMERAS_MAX: usize = 8;
