//! Files from caller to caller: offered to all, taken by whom it pleases, whole or not at all.
//!
//! What is agreed travels as JSON on channel `event` ([`Message`]), the bytes on channel `file` ([`Chunk`]), over each
//! link on its own. [`Outbox`] and [`Inbox`] decide; reading, writing and hashing is for their owner.
//!
//! * **Back-pressure** is end to end: the sender is at most [`WINDOW`] ahead of what the receiver says to have *written*
//!   ([`Message::Ack`]), so a slow disk holds back the sender, not the receiver's memory.
//! * **A cut** costs nothing but time: when the link is back the sender offers again, the receiver knows the file by its
//!   number and asks for the rest.
//! * **The end**: the sender tells the SHA-256 of the whole, the receiver compares and answers [`Message::Got`]. Only
//!   then does the file get its name.

mod inbox;
pub mod name;
mod outbox;
mod rate;
mod wire;

pub use inbox::{Action, Inbox, Incoming};
pub use outbox::{Outbox, Outgoing, Read};
pub use wire::{Chunk, FileId, Message, Reason};

/// Longest message on channel `file`: what every data channel carries in one piece.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Bytes of a file in one such message.
pub const CHUNK_DATA_BYTES: usize = CHUNK_BYTES - wire::HEAD_BYTES;
/// How far a sender may be ahead of what is written: 16 Mbit/s at 1 s of round trip, 160 at 100 ms.
pub const WINDOW: u64 = 2 << 20;
/// The receiver tells how far it is after so many bytes: an eighth of the window.
pub const ACK_EVERY: u64 = WINDOW / 8;
/// Offers of one peer that are open at once; more are refused.
pub const OFFERS_MAX: usize = 16;
/// Files sent or received that are remembered; the oldest that is over leaves.
pub const FILES_MAX: usize = 200;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Offered; nobody took it yet.
    Offered,
    /// So many bytes are there, at so many bytes a second.
    Running {
        /// Bytes written at the receiver.
        bytes: u64,
        /// Bytes a second.
        rate: u64,
    },
    /// The link is cut; goes on from so many bytes.
    Paused {
        /// Bytes written at the receiver.
        bytes: u64,
    },
    /// There, and right.
    Done,
    /// Over without it.
    Ended(Reason),
}

#[cfg(test)]
mod tests;
