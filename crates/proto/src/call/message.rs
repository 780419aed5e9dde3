//! What two callers tell each other on the reliable channel `event`, one JSON object each.
//!
//! Unknown fields are ignored; a message of an unknown type is skipped (`Message::decode` gives `Ok(None)`), so that an
//! older caller can talk to a newer one.

use serde::{Deserialize, Serialize};

use super::{chat, file, verify};
use crate::signaling::PeerId;
use crate::video::Size;

/// Longest name shown to others, in characters; longer ones are cut.
pub const NAME_CHARS_MAX: usize = 64;

/// One message between two callers; `type` on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// First, from each side.
    Hello(Hello),
    /// What this caller sends and does; told at the beginning and at every change.
    State(State),
    /// What this caller wants to be sent; told at the beginning and when a tile changes its size.
    Want(Want),
    /// A moderator asks the other one to mute itself.
    MuteRequest,
    /// Last: this caller leaves.
    Goodbye,
    /// A step of the verification.
    Verify(verify::Message),
    /// Something written.
    Chat(chat::Message),
    /// Something about a file; its bytes are on channel `file`.
    File(file::Message),
}

/// Who is there; told again when the id at the server is another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Name to show, at most [`NAME_CHARS_MAX`] characters.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// What the signalling server calls it at the moment. A server that has forgotten its sessions gives other ids, while
    /// the connections stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PeerId>,
}

/// What a caller sends and does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The camera is on.
    pub camera: bool,
    /// The microphone is on; false while muted, and where there is none.
    pub microphone: bool,
    /// A screen is shared.
    pub screen: bool,
    /// The caller records the call.
    pub recording: bool,
    /// The caller hears the others; false where there is no sound device.
    pub hears: bool,
    /// The hand is raised.
    pub hand: bool,
}

/// What a caller wants to be sent by the other one: nothing that it does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Want {
    /// The tile of the camera's picture; none: it is not shown.
    pub camera: Option<Tile>,
    /// The tile of the screen's picture; none: it is not shown.
    pub screen: Option<Tile>,
}

/// A place on a screen for a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Tile {
    /// The largest picture of use there.
    pub const fn size(self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl Message {
    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message has string keys only")
    }

    /// Reads what a peer sent; `None` for a type that this version does not know.
    ///
    /// # Errors
    ///
    /// When the bytes are no JSON object with a `type`, or a known type lacks a field.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        let kind: Kind = serde_json::from_slice(bytes)?;
        if !Self::TYPES.contains(&kind.r#type.as_str()) {
            return Ok(None);
        }
        serde_json::from_slice(bytes).map(Some)
    }

    /// The `type` of every message.
    pub const TYPES: [&'static str; 8] =
        ["hello", "state", "want", "mute_request", "goodbye", "verify", "chat", "file"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire_and_an_unknown_one_is_skipped() {
        let want = Want { camera: Some(Tile { width: 640, height: 360 }), screen: None };
        for message in [
            Message::Hello(Hello { name: "Ada".into(), version: "0.1.0".into(), id: None }),
            Message::Hello(Hello { name: "Bob".into(), version: "0.2.0".into(), id: Some(PeerId::new(7)) }),
            Message::State(State { camera: true, ..State::default() }),
            Message::Want(want),
            Message::MuteRequest,
            Message::Goodbye,
            Message::Verify(verify::Message::Commit { hash: verify::Bytes32([7; 32]) }),
            Message::Chat(chat::Message::Lines { lines: Vec::new() }),
            Message::File(file::Message::Got { file: file::FileId(u32::MAX) }),
        ] {
            assert_eq!(Message::decode(&message.encode()).expect("own message"), Some(message));
        }
        assert_eq!(Message::decode(br#"{"type":"dance","beat":4}"#).expect("an object"), None);
        assert_eq!(
            Message::decode(br#"{"type":"state","hat":true}"#).expect("defaults"),
            Some(Message::State(State::default()))
        );
        for bytes in [&b""[..], b"{}", b"[]", b"{\"type\":\"hello\"}", b"\xff"] {
            assert!(Message::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
