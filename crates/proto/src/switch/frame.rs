//! What travels.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Bytes of a frame without a message.
pub const LEN_MIN: usize = 26;
const VERSION: u8 = 1;
const MESSAGE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 2;

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends too early.
    #[error("a frame of {0} bytes, want at least {LEN_MIN}")]
    Short(usize),
    /// Of another version.
    #[error("a frame of version {0}, want {VERSION}")]
    Version(u8),
    /// Neither a message nor an acknowledgement.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// Its sender names no session, or its message no number.
    #[error("a frame without a session or number")]
    Unnumbered,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) from: u32,
    /// Zero: not known yet.
    pub(super) to: u32,
    pub(super) has: u64,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Message { number: u64, message: Bytes },
    Acknowledgement,
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, number, message) = match &self.content {
            Content::Message { number, message } => (MESSAGE, *number, &message[..]),
            Content::Acknowledgement => (ACKNOWLEDGEMENT, 0, &[][..]),
        };
        let mut out = BytesMut::with_capacity(LEN_MIN + message.len());
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_u32_le(self.from);
        out.put_u32_le(self.to);
        out.put_u64_le(number);
        out.put_u64_le(self.has);
        out.put_slice(message);
        out.freeze()
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Self, FrameError> {
        let Some(head) = bytes.first_chunk::<LEN_MIN>() else { return Err(FrameError::Short(bytes.len())) };
        if head[0] != VERSION {
            return Err(FrameError::Version(head[0]));
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let (from, to, number, has) = (word(2), word(6), long(10), long(18));
        let content = match head[1] {
            MESSAGE if number > 0 => Content::Message { number, message: bytes.slice(LEN_MIN..) },
            MESSAGE => return Err(FrameError::Unnumbered),
            ACKNOWLEDGEMENT => Content::Acknowledgement,
            kind => return Err(FrameError::Kind(kind)),
        };
        if from == 0 {
            return Err(FrameError::Unnumbered);
        }
        Ok(Self { from, to, has, content })
    }
}
