//! One JSON object per message: bounded parsing and writing.

use serde::Deserialize;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ClientMessage, ErrorCode, Limits, ServerMessage};

/// A message from a client with its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFrame {
    /// Comes back in the `error` that answers this message.
    pub id: Option<u64>,
    /// Counts this client's messages in the session from 1, so that none is lost or done twice after a resume.
    pub seq: Option<u64>,
    /// The message.
    pub message: ClientMessage,
}

/// A message from a server with its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerFrame {
    /// Counts the messages of the session that are kept for a resume, from 1.
    pub seq: Option<u64>,
    /// The message.
    pub message: ServerMessage,
}

/// Why a text is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is longer than a message may be.
    #[error("message has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is not a JSON object, or nested too deep.
    #[error("{0}")]
    BadJson(String),
    /// It is a known message with wrong fields.
    #[error("{reason}")]
    BadMessage {
        /// Its `id`.
        id: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// It is a message that this version does not know.
    #[error("message type {name:?} is not known")]
    UnknownType {
        /// Its `id`.
        id: Option<u64>,
        /// Its `type`, cut to 64 characters.
        name: String,
    },
}

impl ParseError {
    /// The code that answers it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::BadJson(_) => ErrorCode::BadJson,
            Self::BadMessage { .. } => ErrorCode::BadMessage,
            Self::UnknownType { .. } => ErrorCode::UnknownType,
        }
    }

    /// The `id` of the message at fault, as far as it could be read.
    pub const fn id(&self) -> Option<u64> {
        match self {
            Self::BadMessage { id, .. } | Self::UnknownType { id, .. } => *id,
            Self::TooLarge { .. } | Self::BadJson(_) => None,
        }
    }
}

impl ClientFrame {
    /// Wraps a message without id and number.
    pub const fn new(message: ClientMessage) -> Self {
        Self { id: None, seq: None, message }
    }

    /// Reads one message.
    ///
    /// # Errors
    /// What is wrong with it, see [`ParseError`].
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let fields = parse_object(text, limits.message_bytes, limits.json_depth)?;
        let id = fields.get("id").and_then(Value::as_u64);
        let seq = fields.get("seq").and_then(Value::as_u64);
        let message = parse_message(fields, id, |name| ClientMessage::TYPES.contains(&name))?;
        Ok(Self { id, seq, message })
    }

    /// Writes the message.
    pub fn to_json(&self) -> String {
        write(&self.message, [("id", self.id), ("seq", self.seq)])
    }
}

impl ServerFrame {
    /// Wraps a message without number.
    pub const fn new(message: ServerMessage) -> Self {
        Self { seq: None, message }
    }

    /// Reads one message. It may be as large as what a server queues, and deeper than what a client may send, for a
    /// server wraps what clients sent.
    ///
    /// # Errors
    /// What is wrong with it, see [`ParseError`]; a client ignores [`ParseError::UnknownType`].
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let fields =
            parse_object(text, limits.queue_bytes, limits.json_depth.saturating_add(WRAPPING_DEPTH))?;
        let seq = fields.get("seq").and_then(Value::as_u64);
        let message = parse_message(fields, None, |name| ServerMessage::TYPES.contains(&name))?;
        Ok(Self { seq, message })
    }

    /// Writes the message.
    pub fn to_json(&self) -> String {
        write(&self.message, [("seq", self.seq), ("", None)])
    }
}

/// Levels that `rooms` puts around a peer's `meta`, the most of any message.
const WRAPPING_DEPTH: usize = 4;

/// Size, depth, syntax, in the order of their price.
fn parse_object(text: &[u8], max: usize, depth: usize) -> Result<Map<String, Value>, ParseError> {
    if text.len() > max {
        return Err(ParseError::TooLarge { bytes: text.len(), max });
    }
    if is_deeper(text, depth) {
        return Err(ParseError::BadJson(format!("JSON is nested deeper than {depth}")));
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ParseError::BadJson("a message is a JSON object".into())),
        Err(error) => Err(ParseError::BadJson(format!("not JSON: {error}"))),
    }
}

fn parse_message<M: for<'de> Deserialize<'de>>(
    fields: Map<String, Value>,
    id: Option<u64>,
    is_known: impl Fn(&str) -> bool,
) -> Result<M, ParseError> {
    let name = match fields.get("type") {
        Some(Value::String(name)) if is_known(name) => name.clone(),
        Some(Value::String(name)) => {
            return Err(ParseError::UnknownType { id, name: name.chars().take(64).collect() });
        }
        Some(_) | None => {
            return Err(ParseError::BadMessage { id, reason: "message has no type".into() });
        }
    };
    M::deserialize(Value::Object(fields))
        .map_err(|error| ParseError::BadMessage { id, reason: format!("{name}: {error}") })
}

/// Whether brackets outside strings are nested deeper than `max`. Looks at each byte once and does not recurse.
fn is_deeper(text: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    false
}

fn write<M: Serialize>(message: &M, envelope: [(&str, Option<u64>); 2]) -> String {
    let mut text = serde_json::to_string(message).expect("messages have string keys and finite numbers");
    // Every message is an object with at least its type: the envelope goes before the closing brace.
    text.pop();
    for (name, number) in envelope {
        if let Some(number) = number {
            text.push_str(&format!(",\"{name}\":{number}"));
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signaling::{ConnId, PeerId, Role, SignalKind};

    fn code(text: &str) -> ErrorCode {
        ClientFrame::parse(text.as_bytes(), &Limits::default()).unwrap_err().code()
    }

    #[test]
    fn a_message_comes_back_with_its_envelope() {
        let frame = ClientFrame {
            id: Some(3),
            seq: Some(9),
            message: ClientMessage::Signal {
                to: PeerId::new(1),
                conn: ConnId::new(2),
                kind: SignalKind::CandidatesEnd,
                data: Value::Null,
            },
        };
        assert_eq!(
            frame.to_json(),
            r#"{"type":"signal","to":"00000000000000000000000004","conn":"0000000000000002","kind":"candidates_end","id":3,"seq":9}"#
        );
        assert_eq!(ClientFrame::parse(frame.to_json().as_bytes(), &Limits::default()), Ok(frame));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let text = br#"{"type":"join","room":"a","role":"driver","colour":{"r":1}}"#;
        let frame = ClientFrame::parse(text, &Limits::default()).unwrap();
        let join = ClientMessage::Join { room: "a".parse().unwrap(), role: Role::Driver, meta: Value::Null };
        assert_eq!(frame, ClientFrame::new(join));
    }

    #[test]
    fn each_kind_of_bad_text_has_its_code() {
        for bad in ["", "x", "[]", "3", "null", "{", r#"{"type":"leave"} {}"#, "\u{0}"] {
            assert_eq!(code(bad), ErrorCode::BadJson, "{bad}");
        }
        for bad in [
            "{}",
            r#"{"type":3}"#,
            r#"{"type":"join"}"#,
            r#"{"type":"join","room":"a b","role":"driver"}"#,
            r#"{"type":"join","room":"a","role":"pilot"}"#,
            r#"{"type":"ping","t":-1}"#,
            r#"{"type":"mod","action":"explode"}"#,
        ] {
            assert_eq!(code(bad), ErrorCode::BadMessage, "{bad}");
        }
        assert_eq!(code(r#"{"type":"fly"}"#), ErrorCode::UnknownType);
        assert_eq!(code(&format!(r#"{{"type":"leave","x":"{}"}}"#, "x".repeat(65536))), ErrorCode::TooLarge);
    }

    #[test]
    fn an_error_carries_the_id_of_its_message() {
        let parse = |text: &str| ClientFrame::parse(text.as_bytes(), &Limits::default()).unwrap_err().id();
        assert_eq!(parse(r#"{"id":7,"type":"fly"}"#), Some(7));
        assert_eq!(parse(r#"{"id":8,"type":"join"}"#), Some(8));
    }

    #[test]
    fn depth_sixteen_is_read_and_seventeen_is_not() {
        let nested = |n: usize| format!(r#"{{"type":"data","data":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(ClientFrame::parse(nested(15).as_bytes(), &Limits::default()).is_ok());
        assert_eq!(code(&nested(16)), ErrorCode::BadJson);
        assert!(
            ClientFrame::parse(br#"{"type":"data","data":"[[[[[[[[[[[[[[[[[[[[\"[["}"#, &Limits::default())
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            ClientFrame::parse(&bytes, &Limits::default()).ok();
            ServerFrame::parse(&bytes, &Limits::default()).ok();
        }
    }
}
