//! Events: what must arrive, on the reliable channel `event`, as one JSON object each.

use serde::{Deserialize, Serialize};

use super::command::Echo;
use super::status::{Fault, Refusal, Status};

/// One message of the channel `event`.
///
/// `id` numbers a request of its sender, `re` names the request that this answers. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Number that the sender gives to a request; absent when no answer is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<u32>,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What an event says; `type` on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// From a peer, first: who it is and what it wants. Answered by `Welcome` or `Refused`.
    Hello {
        /// Name to show to others, at most 64 characters.
        name: String,
        /// Version of the program.
        version: String,
        /// What it wants to do.
        role: Role,
        /// Proves the owner, who may take the lease from anyone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner_code: Option<String>,
    },
    /// From the robot: what it is.
    Welcome(Box<Welcome>),
    /// From the driver: arm, like a rising arm flag. Answered by `Done` or `Refused`.
    Arm(Stamp),
    /// From the driver: disarm. Answered by `Done`.
    Disarm,
    /// From the driver or the owner: stop and stay stopped. Answered by `Done`.
    EmergencyStop,
    /// From the driver or the owner: end the emergency stop, once the stick is at neutral and the commands carry
    /// no stop flag. Answered by `Done` or `Refused`.
    ResetStop(Stamp),
    /// From a peer: the lease, please. Answered by `LeaseGranted` or `LeaseDenied`.
    LeaseRequest,
    /// From the owner: the lease, whoever has it. Answered by `LeaseGranted` or `Refused`.
    LeaseTake,
    /// From the driver: gives the lease back. Answered by `Done`.
    LeaseRelease,
    /// From the driver: gives the lease to another peer. Answered by `Done` or `Refused`.
    LeaseHandOver {
        /// The peer that gets it.
        to: String,
    },
    /// From the robot to the driver.
    LeaseGranted {
        /// To be put in every command; never zero.
        epoch: u32,
        /// The lease ends this long after the last accepted command, in ms.
        lasts_ms: u32,
    },
    /// From the robot: someone else drives.
    LeaseDenied {
        /// Who drives.
        holder: String,
    },
    /// From the robot to the driver: someone asks for the lease.
    LeaseAsked {
        /// Who asks.
        by: String,
    },
    /// From the robot to a driver who has lost the lease.
    LeaseRevoked {
        /// Why.
        why: Revocation,
    },
    /// From the robot to all: who drives.
    LeaseChanged {
        /// Who drives; absent: no one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<String>,
    },
    /// From the robot to all: its state changed.
    StatusChanged {
        /// The state.
        status: Status,
    },
    /// From the robot to all: a fault came or went.
    Fault {
        /// Which.
        fault: Fault,
        /// Whether it came or went.
        change: FaultChange,
    },
    /// From the driver: send another camera. Answered by `Done` or `Refused`.
    SelectCamera {
        /// Its index in `Welcome`.
        camera: u8,
    },
    /// From the driver: the most that everything about video may use, until the lease ends. Answered by `Done`, or
    /// `Refused`.
    LimitVideo {
        /// In kbit/s; absent: as much as the robot is set up for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kbps: Option<u32>,
    },
    /// From a peer and from the robot: the second connection that it offers, or answers, is its own. Not answered.
    SecondPath {
        /// The certificate of that connection, as in its description: `sha-256 0A:1B:...`, in any case.
        fingerprint: String,
    },
    /// From the robot to all: what its cameras are and which one is sent.
    Cameras {
        /// All of them.
        cameras: Vec<Camera>,
        /// Index of the one that is sent; absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selected: Option<u8>,
    },
    /// From the robot to all: who is here.
    Peers {
        /// All of them, the driver included.
        peers: Vec<PeerEntry>,
    },
    /// From anyone to all. The robot fills in `from`.
    Chat {
        /// Who says it; what a peer sends here is ignored.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        from: String,
        /// At most 1000 characters.
        text: String,
    },
    /// The request was done.
    Done,
    /// The request was not done.
    Refused {
        /// Why.
        reason: Refusal,
        /// In words.
        message: String,
    },
}

/// What a peer wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watch, and drive when the lease allows it.
    Driver,
    /// Watch and chat.
    Viewer,
}

/// Proof that a request is the driver's present wish: the robot's clock sent back, as in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The lease under which it is asked.
    pub epoch: u32,
    /// Newest robot time held, in ms modulo 2^32.
    pub car_ms_echo: u32,
    /// How long it has been held, in ms.
    pub hold_ms: u16,
}

impl Stamp {
    /// Stamps a request under the lease `epoch`.
    pub const fn new(epoch: u32, echo: Echo) -> Self {
        Self { epoch, car_ms_echo: echo.car_ms, hold_ms: echo.hold_ms }
    }

    /// The robot's clock in it.
    pub const fn echo(self) -> Echo {
        Echo { car_ms: self.car_ms_echo, hold_ms: self.hold_ms }
    }
}

/// Why a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// No command was accepted for the lease's duration.
    Expired,
    /// The owner took it.
    Owner,
    /// The driver gave it to someone else.
    HandedOver,
    /// The driver gave it back.
    Released,
    /// The driver's connection ended.
    Gone,
}

/// Whether a fault came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultChange {
    /// It came.
    Raised,
    /// It went.
    Cleared,
}

/// What a robot is, told to each peer once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Name of the robot.
    pub name: String,
    /// Version of its program.
    pub version: String,
    /// How the asking peer is named in this robot's events.
    pub you: String,
    /// Differs each time the robot's process starts.
    pub boot: u32,
    /// State of the failsafe.
    pub status: Status,
    /// Who drives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Throttle limits in force.
    pub limits: LimitsEntry,
    /// Its cameras.
    pub cameras: Vec<Camera>,
    /// Index of the camera that is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<u8>,
    /// How many connections of one driver it takes commands from at once.
    #[serde(default, skip_serializing_if = "ControlPaths::is_one")]
    pub control_paths: ControlPaths,
}

/// How many connections of one driver a robot takes commands from at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum ControlPaths {
    /// One: an offer of a second connection would replace the first.
    #[default]
    One,
    /// A second one may stand beside the first.
    Two,
}

impl ControlPaths {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
    fn is_one(&self) -> bool {
        *self == Self::One
    }
}

impl From<u8> for ControlPaths {
    fn from(count: u8) -> Self {
        if count < 2 { Self::One } else { Self::Two }
    }
}

impl From<ControlPaths> for u8 {
    fn from(paths: ControlPaths) -> Self {
        match paths {
            ControlPaths::One => 1,
            ControlPaths::Two => 2,
        }
    }
}

/// Throttle limits, as shares of full.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitsEntry {
    /// Forward.
    pub forward: f32,
    /// Reverse.
    pub reverse: f32,
    /// Forward while boost is held.
    pub boost: f32,
}

/// One of the robot's cameras.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    /// How to select it.
    pub index: u8,
    /// Name to show.
    pub name: String,
    /// Picture width, in pixels.
    pub width: u16,
    /// Picture height, in pixels.
    pub height: u16,
    /// Pictures per second.
    pub fps: u16,
}

/// One peer of a robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// How events name it.
    pub peer: String,
    /// Name to show.
    pub name: String,
    /// What it wants to do.
    pub role: Role,
}

/// Why an event cannot be read or sent.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is too large.
    #[error("event has {len} bytes, at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes it has.
        len: usize,
    },
    /// It is not one of the JSON objects of [`Event`].
    #[error("event is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A text in it is too long.
    #[error("{field} has {len} characters, at most {max} are allowed")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// Characters it has.
        len: usize,
        /// Characters it may have.
        max: usize,
    },
}

impl Event {
    /// An event that expects no answer.
    pub const fn notice(body: Body) -> Self {
        Self { id: None, re: None, body }
    }

    /// A request, to be answered with `re` = `id`.
    pub const fn request(id: u32, body: Body) -> Self {
        Self { id: Some(id), re: None, body }
    }

    /// The answer to `request`.
    pub const fn answer(request: &Self, body: Body) -> Self {
        Self { id: None, re: request.id, body }
    }

    /// The message.
    ///
    /// # Errors
    /// When it is larger than [`EVENT_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, EventError> {
        let bytes = serde_json::to_vec(self)?;
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLarge { len: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When it is too large, not JSON, of an unknown type, or holds a text that is too long.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLarge { len: bytes.len() });
        }
        let event: Self = serde_json::from_slice(bytes)?;
        let texts: &[(&'static str, &str, usize)] = match &event.body {
            Body::Hello { name, version, .. } => {
                &[("name", name, NAME_CHARS_MAX), ("version", version, NAME_CHARS_MAX)]
            }
            Body::Chat { text, .. } => &[("text", text, CHAT_CHARS_MAX)],
            Body::LeaseHandOver { to } => &[("to", to, PEER_CHARS_MAX)],
            _ => &[],
        };
        for &(field, text, max) in texts {
            let len = text.chars().count();
            if len > max {
                return Err(EventError::TooLong { field, len, max });
            }
        }
        Ok(event)
    }
}

/// Largest event in bytes, a quarter of what every WebRTC engine takes in one message.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;
/// Longest name or version in an event, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest chat text, in characters.
pub const CHAT_CHARS_MAX: usize = 1000;
/// Longest peer id, in characters.
pub const PEER_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, want: &str) {
        let message = Event::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(want), "{message:?} does not contain {want:?}");
    }

    #[test]
    fn a_wrong_event_is_told_what_is_wrong_with_it() {
        check("", "event is malformed: EOF");
        check("[]", "event is malformed");
        check(r#"{"type":"fly"}"#, "unknown variant `fly`");
        check(r#"{"type":"lease_hand_over"}"#, "missing field `to`");
        check(r#"{"id":-1,"type":"disarm"}"#, "event is malformed");
        check(&" ".repeat(16 * 1024 + 1), "event has 16385 bytes, at most 16384 are allowed");
        let long = "é".repeat(1001);
        check(&format!(r#"{{"type":"chat","text":"{long}"}}"#), "text has 1001 characters, at most 1000");
    }

    #[test]
    fn a_text_of_exactly_the_limit_is_taken() {
        let text = "é".repeat(1000);
        assert!(Event::decode(format!(r#"{{"type":"chat","text":"{text}"}}"#).as_bytes()).is_ok());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let event = Event::decode(br#"{"type":"disarm","id":3,"mood":"good"}"#).unwrap();
        assert_eq!(event, Event::request(3, Body::Disarm));
    }

    #[test]
    fn an_answer_names_its_request() {
        let request = Event::request(9, Body::EmergencyStop);
        let bytes = Event::answer(&request, Body::Done).encode().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#"{"re":9,"type":"done"}"#);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_event_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Event::decode(&bytes).ok();
        }

        #[test]
        fn any_nesting_gives_an_event_or_an_error(depth in 0usize..5000) {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            prop_assert!(Event::decode(text.as_bytes()).is_err());
            let inside = format!(r#"{{"type":"disarm","x":{text}1}}"#);
            Event::decode(inside.as_bytes()).ok();
        }
    }
}
