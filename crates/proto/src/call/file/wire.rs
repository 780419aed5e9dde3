//! Messages about files, as they travel on channel `event` with `"type":"file"`, and chunks on channel `file`.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::CHUNK_DATA_BYTES;
use crate::call::verify::Bytes32;

/// Names a file towards its receivers; random, new for each file sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(pub u32);

/// One message; `kind` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// From the sender: there is a file. Told again when a link is back.
    Offer {
        /// Which.
        file: FileId,
        /// What the sender calls it; the receiver makes a safe name of that.
        name: String,
        /// In bytes.
        size: u64,
    },
    /// From the receiver: send it from here on.
    Take {
        /// Which.
        file: FileId,
        /// Bytes that are there.
        offset: u64,
    },
    /// From the receiver: so much is written.
    Ack {
        /// Which.
        file: FileId,
        /// Bytes that are there.
        offset: u64,
    },
    /// From the sender, as soon as it knows.
    Hash {
        /// Which.
        file: FileId,
        /// SHA-256 of the whole.
        sha256: Bytes32,
    },
    /// From the receiver: it is there, and right.
    Got {
        /// Which.
        file: FileId,
    },
    /// From either: no more of it. `from` tells whose file it is, as both sides count their own.
    Stop {
        /// Which.
        file: FileId,
        /// Who says so.
        from: End,
        /// Why.
        reason: Reason,
    },
}

/// An end of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Who has the file.
    Sender,
    /// Who gets it.
    Receiver,
}

/// Why a file did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The receiver does not want it.
    #[error("declined")]
    Declined,
    /// One of them gave it up.
    #[error("given up")]
    Cancelled,
    /// It is larger than the receiver allows.
    #[error("larger than the receiver allows")]
    TooLarge,
    /// Too many offers are open.
    #[error("too many files at once")]
    TooMany,
    /// The sender cannot read it, or it changed meanwhile.
    #[error("cannot be read, or changed meanwhile")]
    Unreadable,
    /// The receiver cannot write it.
    #[error("cannot be written")]
    Unwritable,
    /// What arrived is not what was sent.
    #[error("damaged on its way")]
    Damaged,
    /// The other one left the call.
    #[error("the other side left")]
    Left,
}

/// A piece of a file: `file` (u32), `offset` (u64), then the data; big endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which file of the sender.
    pub file: FileId,
    /// Where in the file.
    pub offset: u64,
    /// 1 to [`CHUNK_DATA_BYTES`] bytes.
    pub data: Bytes,
}

/// Bytes before the data.
pub(super) const HEAD_BYTES: usize = 12;

impl Chunk {
    /// The bytes to send.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + self.data.len());
        bytes.put_u32(self.file.0);
        bytes.put_u64(self.offset);
        bytes.put_slice(&self.data);
        bytes.freeze()
    }

    /// Reads what a peer sent; none if it is too short or too long, or lies past what a file can have.
    pub fn decode(bytes: Bytes) -> Option<Self> {
        let (file, rest) = bytes.split_first_chunk()?;
        let (offset, data) = rest.split_first_chunk()?;
        let (file, offset) = (u32::from_be_bytes(*file), u64::from_be_bytes(*offset));
        let is_good =
            (1..=CHUNK_DATA_BYTES).contains(&data.len()) && offset.checked_add(data.len() as u64).is_some();
        is_good.then(|| Self { file: FileId(file), offset, data: bytes.slice(HEAD_BYTES..) })
    }
}
