//! The one table of settings: from it come the file's keys, the flags, the environment and `--print-config`.

/// What a setting's text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text; a TOML string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number, with or without a fraction.
    Number,
}

impl Kind {
    /// The kind in words, for messages.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Bool => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
        }
    }
}

/// Where a setting's value comes from when nobody gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This text.
    Fixed(&'static str),
    /// The machine's host name, with characters a room name cannot have replaced by `-`.
    HostName,
    /// Nothing: the feature is off.
    Unset,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Table and key in the file, joined by a dot.
    pub key: &'static str,
    /// Long flag without dashes; upper-cased with `FARWHEEL_ROBOT_` before it, the environment variable.
    pub flag: &'static str,
    /// Placeholder in the help text.
    pub placeholder: &'static str,
    /// What its text must look like.
    pub kind: Kind,
    /// Its value when nobody gives one.
    pub fallback: Fallback,
    /// Whether its value must never be shown.
    pub visibility: Visibility,
    /// One sentence for the help and the file.
    pub help: &'static str,
}

/// Whether a value may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Anyone may see it.
    Open,
    /// Never printed nor logged.
    Secret,
}

impl Setting {
    /// Name of the environment variable.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.flag.to_uppercase().replace('-', "_"))
    }

    /// The table of the file it stands in.
    pub fn table(&self) -> &'static str {
        self.key.split_once('.').expect("every key in SETTINGS has a table").0
    }

    /// Its key within that table.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').expect("every key in SETTINGS has a table").1
    }
}

/// What every environment variable of the robot starts with.
pub const ENV_PREFIX: &str = "FARWHEEL_ROBOT_";

/// Finds a setting by its key in the file.
pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

const fn text(
    key: &'static str,
    flag: &'static str,
    placeholder: &'static str,
    fallback: Fallback,
    help: &'static str,
) -> Setting {
    Setting { key, flag, placeholder, kind: Kind::Text, fallback, visibility: Visibility::Open, help }
}

const fn of(
    kind: Kind,
    key: &'static str,
    flag: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    let placeholder = match kind {
        Kind::Bool => "BOOL",
        _ => "N",
    };
    Setting {
        key,
        flag,
        placeholder,
        kind,
        fallback: Fallback::Fixed(default),
        visibility: Visibility::Open,
        help,
    }
}

use Fallback::{Fixed, HostName, Unset};

/// Every setting, in the order of the file.
///
/// The safety limits are those of docs/SAFETY.md ("Default limits"); `config::tests` holds them against the
/// constants of `proto::control`.
pub static SETTINGS: &[Setting] = &[
    text("robot.name", "name", "NAME", HostName, "Name shown to drivers and viewers."),
    Setting {
        visibility: Visibility::Secret,
        ..text(
            "robot.owner_code",
            "owner-code",
            "CODE",
            Unset,
            "Who says it may take the lease from any driver.",
        )
    },
    text(
        "signaling.server",
        "server",
        "URL",
        Fixed("ws://127.0.0.1:8443"),
        "Signalling server: ws:// or wss://, host and port.",
    ),
    text("signaling.room", "room", "NAME", HostName, "Room to join; letters, digits, - and _."),
    Setting {
        visibility: Visibility::Secret,
        ..text(
            "signaling.token",
            "token",
            "TOKEN",
            Unset,
            "Token the server asks for; better kept in token_file.",
        )
    },
    text("signaling.token_file", "token-file", "FILE", Unset, "File whose first line is the token."),
    text("signaling.ca", "ca", "FILE", Unset, "PEM file with certificates to trust besides the system's."),
    of(
        Kind::Bool,
        "signaling.insecure",
        "insecure",
        "false",
        "Allow ws:// (no TLS) to a server on another machine.",
    ),
    text(
        "network.ice_policy",
        "ice-policy",
        "POLICY",
        Fixed("all"),
        "Paths to try: all, or relay for TURN only.",
    ),
    text(
        "network.bind",
        "bind",
        "ADDRS",
        Fixed("auto"),
        "Local addresses for media, separated by commas; auto picks every interface and loopback.",
    ),
    text(
        "camera.source",
        "camera",
        "SOURCE",
        Fixed("sim"),
        "Picture source: sim, test, usb:/dev/video0, or command:PROGRAM that writes y4m.",
    ),
    text(
        "camera.others",
        "other-cameras",
        "SOURCES",
        Unset,
        "More picture sources that the driver can choose, separated by spaces.",
    ),
    text("camera.size", "size", "WxH", Fixed("1280x720"), "Picture size."),
    of(Kind::Integer, "camera.fps", "fps", "30", "Pictures per second, 1 to 120."),
    of(Kind::Bool, "camera.strip", "strip", "false", "Draw the measuring strip over the top rows."),
    of(
        Kind::Integer,
        "video.bitrate_kbps",
        "bitrate",
        "2500",
        "Most video to send, in kbit/s, 100 to 20000; the link decides below it.",
    ),
    text(
        "sound.microphone",
        "microphone",
        "DEVICE",
        Fixed("none"),
        "Microphone that all who are connected hear: none, default, test, wav:FILE, loop:FILE or a device's name.",
    ),
    text(
        "sound.speaker",
        "speaker",
        "DEVICE",
        Fixed("none"),
        "Speaker that the driver talks through: none, default, wav:FILE or a device's name.",
    ),
    text(
        "drive.output",
        "drive",
        "OUTPUT",
        Fixed("sim:"),
        "Output of throttle and steering: sim: or sim:FILE.",
    ),
    text(
        "drive.pulse_log",
        "pulse-log",
        "FILE",
        Unset,
        "File to which each change of the pulses is appended, with its monotonic time.",
    ),
    text(
        "drive.actuator_socket",
        "actuator-socket",
        "FILE",
        Unset,
        "Socket of an actuator process started by someone else (systemd); without it the robot starts its own.",
    ),
    of(Kind::Number, "limits.forward", "limit-forward", "0.4", "Largest throttle forward, up to 1."),
    of(Kind::Number, "limits.reverse", "limit-reverse", "0.3", "Largest throttle backward, up to 1."),
    of(
        Kind::Number,
        "limits.boost",
        "limit-boost",
        "0.6",
        "Largest throttle forward while boost is held, up to 1.",
    ),
    of(
        Kind::Number,
        "failsafe.brake_pulse",
        "brake-pulse",
        "0.0",
        "Strength of a brake pulse of 300 ms after 400 ms of silence, 0 (none) to 1.",
    ),
    text(
        "failsafe.sight",
        "sight",
        "SIGHT",
        Fixed("video"),
        "What the driver sees the car by: video (no fresh picture, no throttle) or line (of sight).",
    ),
    of(Kind::Integer, "sim.seed", "seed", "1", "Seed of the simulated world."),
];
