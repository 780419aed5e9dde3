//! What the two say to each other: one byte for the kind, then the content.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Most bytes of a message: with its frame and in base64 it fits into what the server forwards (16 KiB).
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;

const TEXT: u8 = 0;
const BYTES: u8 = 1;
const END: u8 = 2;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A line.
    Text(String),
    /// A piece of a stream of bytes.
    Bytes(Bytes),
    /// The sender has nothing more to say.
    End,
}

impl Message {
    /// The bytes that travel.
    pub(super) fn encode(&self) -> Bytes {
        let (kind, content) = match self {
            Self::Text(text) => (TEXT, text.as_bytes()),
            Self::Bytes(bytes) => (BYTES, &bytes[..]),
            Self::End => (END, &[][..]),
        };
        assert!(content.len() <= MESSAGE_BYTES_MAX, "message has {} bytes", content.len());
        let mut out = BytesMut::with_capacity(1 + content.len());
        out.put_u8(kind);
        out.put_slice(content);
        out.freeze()
    }

    /// What the other one sent; `None` for what this version does not know.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let (&kind, content) = bytes.split_first()?;
        match kind {
            // Anything but UTF-8 is the other one's mistake, and still worth showing.
            TEXT => Some(Self::Text(String::from_utf8_lossy(content).into_owned())),
            BYTES => Some(Self::Bytes(bytes.slice(1..))),
            END => Some(Self::End),
            _ => None,
        }
    }

    /// Cuts a text into messages that fit; empty text is one empty message.
    pub fn texts(text: &str) -> impl Iterator<Item = Self> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let at = text.floor_char_boundary(MESSAGE_BYTES_MAX);
            let (head, tail) = text.split_at(at);
            rest = (!tail.is_empty()).then_some(tail);
            Some(Self::Text(head.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way_and_unknown_ones_are_skipped() {
        for message in [
            Message::Text("hé".into()),
            Message::Text(String::new()),
            Message::Bytes(Bytes::from_static(&[0, 255])),
            Message::End,
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        for bytes in [&[][..], &[3], &[255, 1]] {
            assert_eq!(Message::decode(&Bytes::from_static(bytes)), None);
        }
        let broken = Message::decode(&Bytes::from_static(&[0, b'a', 0xff]));
        assert_eq!(broken, Some(Message::Text("a\u{fffd}".into())));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = format!("a{}", "é".repeat(MESSAGE_BYTES_MAX));
        let pieces: Vec<String> = Message::texts(&text)
            .map(|message| match message {
                Message::Text(text) => text,
                Message::Bytes(_) | Message::End => panic!(),
            })
            .collect();
        assert!(pieces.iter().all(|piece| piece.len() <= MESSAGE_BYTES_MAX));
        assert_eq!((pieces.len(), pieces.concat()), (3, text));
        assert_eq!(Message::texts("").count(), 1);
    }
}
