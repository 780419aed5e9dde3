//! What waits to be sent: bounded, and never older than it is worth.

use std::collections::VecDeque;

use bytes::Bytes;
use farwheel_proto::control::telemetry::Fast;
use farwheel_proto::sound;
use farwheel_proto::video::{EncodedFrame, FrameKind};

use crate::event::Channel;

/// Pictures waiting to be packetised. One is the rule; four are 130 ms at 30 pictures a second.
const FRAMES_MAX: usize = 4;
/// Commands waiting: a newer one makes an older one worthless.
const COMMANDS_MAX: usize = 4;
/// Datagrams of telemetry waiting: a newer one makes an older one of its type worthless, and there are seven types one way.
const TELEMETRY_MAX: usize = 8;
/// Messages waiting on the reliable channel; people press no more buttons than this while a link is stuck.
const MESSAGES_MAX: usize = 256;
/// Pieces of files waiting: half a megabyte at 16 KiB each, so that whoever reads the file reads ahead of the network.
const PIECES_MAX: usize = 32;
/// Packets of sound waiting, 200 ms of it; they wait only while the engine's task is stuck.
const SOUNDS_MAX: usize = 10;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits to be sent.
    Yes,
    /// It waits, and the oldest datagram on its channel was dropped for it.
    OldestDropped,
    /// The reliable channel is full.
    Refused,
}

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameQueued {
    /// It waits to be sent.
    Yes,
    /// The queue is full: this one and all up to the next key frame or recovery are refused.
    Overflow,
    /// A key frame is awaited; this is none.
    AwaitingKey,
}

/// Messages waiting for their data channel.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    control: VecDeque<Bytes>,
    telemetry: VecDeque<Bytes>,
    event: VecDeque<Bytes>,
    file: VecDeque<Bytes>,
}

impl Messages {
    /// Puts a message in line.
    pub(crate) fn push(&mut self, channel: Channel, data: Bytes) -> Queued {
        let queue = self.queue(channel);
        if channel.is_lossy() {
            let room = if channel == Channel::Control { COMMANDS_MAX } else { TELEMETRY_MAX };
            // Full: the oldest goes of which there is a newer one; the newest of each type is the one that counts.
            let dropped = queue.len() >= room && queue.remove(outdated(queue, &data)).is_some();
            queue.push_back(data);
            if dropped { Queued::OldestDropped } else { Queued::Yes }
        } else if queue.len() >= if channel == Channel::File { PIECES_MAX } else { MESSAGES_MAX } {
            // Full: the caller is told; nothing reliable is dropped silently.
            Queued::Refused
        } else {
            queue.push_back(data);
            Queued::Yes
        }
    }

    /// Takes the next message for a channel.
    pub(crate) fn pop(&mut self, channel: Channel) -> Option<Bytes> {
        self.queue(channel).pop_front()
    }

    /// Takes the newest message for a channel; what is older goes. Of telemetry that is fast telemetry wherever some
    /// waits: commands echo its time, and without it they do not count.
    pub(crate) fn pop_newest(&mut self, channel: Channel) -> Option<Bytes> {
        let queue = self.queue(channel);
        let is_fast = |data: &Bytes| channel == Channel::Telemetry && type_of(data) == Some(Fast::TYPE);
        let newest = match queue.iter().rposition(is_fast) {
            Some(at) => queue.remove(at),
            None => queue.pop_back(),
        };
        queue.clear();
        newest
    }

    /// How many more pieces of files would be taken.
    pub(crate) fn room_for_pieces(&self) -> usize {
        PIECES_MAX.saturating_sub(self.file.len())
    }

    fn queue(&mut self, channel: Channel) -> &mut VecDeque<Bytes> {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Telemetry => &mut self.telemetry,
            Channel::Event => &mut self.event,
            Channel::File => &mut self.file,
        }
    }
}

/// Sound waiting to be packetised.
#[derive(Debug, Default)]
pub(crate) struct Sounds(VecDeque<sound::Packet>);

impl Sounds {
    /// Puts a packet in line.
    pub(crate) fn push(&mut self, packet: sound::Packet) -> Queued {
        // Full: the oldest goes, since it would be played late or not at all.
        let dropped = self.0.len() >= SOUNDS_MAX && self.0.pop_front().is_some();
        self.0.push_back(packet);
        if dropped { Queued::OldestDropped } else { Queued::Yes }
    }

    /// Takes the next packet.
    pub(crate) fn pop(&mut self) -> Option<sound::Packet> {
        self.0.pop_front()
    }
}

/// Where the oldest datagram stands of which there is a newer one, `next` included; the oldest of all if there is none.
fn outdated(queue: &VecDeque<Bytes>, next: &Bytes) -> usize {
    let is_followed = |(at, data): (usize, &Bytes)| {
        let mut newer = queue.iter().skip(at + 1).chain([next]);
        newer.any(|newer| type_of(newer) == type_of(data))
    };
    queue.iter().enumerate().position(is_followed).unwrap_or(0)
}

/// All datagrams have their type there (docs/PROTOCOL.md).
fn type_of(datagram: &Bytes) -> Option<u8> {
    datagram.get(1).copied()
}

/// Pictures waiting to be packetised; starts out wanting a key frame.
#[derive(Debug)]
pub(crate) struct Pictures {
    queue: VecDeque<EncodedFrame>,
    awaiting: Awaiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    Key,
    Any,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(FRAMES_MAX), awaiting: Awaiting::Key }
    }
}

impl Pictures {
    /// Puts a picture in line, unless the receiver could not use it.
    pub(crate) fn push(&mut self, frame: EncodedFrame) -> FrameQueued {
        if frame.kind == FrameKind::Delta && self.awaiting == Awaiting::Key {
            return FrameQueued::AwaitingKey;
        }
        if self.queue.len() >= FRAMES_MAX {
            // Full: this one and all that lean on it are dropped; the next one sent is a key frame.
            self.awaiting = Awaiting::Key;
            return FrameQueued::Overflow;
        }
        self.awaiting = Awaiting::Any;
        self.queue.push_back(frame);
        FrameQueued::Yes
    }

    /// Whether all but a key frame is of no use to a receiver that holds none of the anchors.
    pub(crate) fn awaits_key(&self) -> bool {
        self.awaiting == Awaiting::Key
    }

    /// Leaves out all up to the next key frame or recovery.
    pub(crate) fn break_off(&mut self) {
        self.awaiting = Awaiting::Key;
    }

    /// Bytes waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.iter().map(|frame| frame.data.len()).sum()
    }

    /// Takes the next picture.
    pub(crate) fn pop(&mut self) -> Option<EncodedFrame> {
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use farwheel_proto::sound::SoundTime;
    use farwheel_proto::video::MediaTime;

    use super::*;

    #[test]
    fn a_full_lossy_channel_keeps_the_newest() {
        let mut messages = Messages::default();
        for n in 0..COMMANDS_MAX as u8 {
            assert_eq!(messages.push(Channel::Control, Bytes::copy_from_slice(&[n])), Queued::Yes);
        }
        assert_eq!(messages.push(Channel::Control, Bytes::from_static(&[99])), Queued::OldestDropped);
        let left: Vec<u8> =
            std::iter::from_fn(|| messages.pop(Channel::Control)).map(|data| data[0]).collect();
        assert_eq!(left, [1, 2, 3, 99]);
    }

    #[test]
    fn the_newest_leaves_nothing_older_behind() {
        let mut messages = Messages::default();
        for n in 1..=3 {
            messages.push(Channel::Control, Bytes::copy_from_slice(&[n]));
        }
        messages.push(Channel::Telemetry, Bytes::from_static(&[9]));
        assert_eq!(messages.pop_newest(Channel::Control), Some(Bytes::from_static(&[3])));
        assert_eq!(messages.pop_newest(Channel::Control), None);
        assert_eq!(messages.pop(Channel::Telemetry), Some(Bytes::from_static(&[9])));
    }

    #[test]
    fn of_a_channel_that_is_stuck_the_newest_telemetry_of_each_type_is_kept() {
        let mut messages = Messages::default();
        for n in 0..20 {
            for kind in [2, 6, 3, 7, 8, 9, 5].into_iter().filter(|kind| *kind < 7 || n == 3) {
                messages.push(Channel::Telemetry, Bytes::copy_from_slice(&[1, kind, n]));
            }
        }
        let left: Vec<_> = std::iter::from_fn(|| messages.pop(Channel::Telemetry)).collect();
        assert_eq!(left.len(), TELEMETRY_MAX);
        for (kind, newest) in [(2, 19), (3, 19), (5, 19), (6, 19), (7, 3), (8, 3), (9, 3)] {
            let kept = left.iter().rev().find(|data| data[1] == kind).map(|data| data[2]);
            assert_eq!(kept, Some(newest), "type {kind}");
        }
    }

    #[test]
    fn fast_telemetry_is_what_leaves_during_a_silence() {
        let mut messages = Messages::default();
        let mut left = Vec::new();
        // As a simulated car's robot tells, a second of it, while one datagram leaves every 100 ms.
        for n in 0..20 {
            let types = [(2, 1), (6, 1), (3, 10), (7, 10), (8, 5), (9, 5)];
            for (kind, _) in types.into_iter().filter(|(_, every)| n % every == 0) {
                messages.push(Channel::Telemetry, Bytes::copy_from_slice(&[1, kind, n]));
            }
            if n % 2 == 0 {
                left.push(messages.pop_newest(Channel::Telemetry).expect("some waits"));
            }
        }
        let want: Vec<_> = (0..20).step_by(2).map(|n| Bytes::copy_from_slice(&[1, 2, n])).collect();
        assert_eq!(left, want);
        // Where there is none, as on the driver's side, the newest leaves.
        let mut messages = Messages::default();
        for kind in [4, 10] {
            messages.push(Channel::Telemetry, Bytes::copy_from_slice(&[1, kind, 0]));
        }
        assert_eq!(messages.pop_newest(Channel::Telemetry).map(|data| data[1]), Some(10));
        assert_eq!(messages.pop(Channel::Telemetry), None);
    }

    #[test]
    fn a_full_reliable_channel_refuses_and_drops_nothing() {
        let mut messages = Messages::default();
        for n in 0..MESSAGES_MAX {
            assert_eq!(messages.push(Channel::Event, Bytes::from(n.to_string())), Queued::Yes);
        }
        assert_eq!(messages.push(Channel::Event, Bytes::from_static(b"late")), Queued::Refused);
        assert_eq!(messages.pop(Channel::Event), Some(Bytes::from_static(b"0")));
        assert_eq!(std::iter::from_fn(|| messages.pop(Channel::Event)).count(), MESSAGES_MAX - 1);
    }

    #[test]
    fn of_a_file_half_a_megabyte_waits_and_the_next_piece_is_refused() {
        let mut messages = Messages::default();
        let piece = Bytes::from(vec![0; 16 * 1024]);
        let taken = (0..100).take_while(|_| messages.push(Channel::File, piece.clone()) == Queued::Yes);
        assert_eq!(taken.count(), 32);
        assert_eq!(messages.push(Channel::Event, Bytes::new()), Queued::Yes, "others are not held up");
        messages.pop(Channel::File);
        assert_eq!(messages.push(Channel::File, piece), Queued::Yes);
    }

    #[test]
    fn of_sound_that_waits_too_long_the_oldest_goes() {
        let mut sounds = Sounds::default();
        let packet = |n| sound::Packet {
            media_time: SoundTime(n),
            data: Bytes::from_static(&[1]),
            begins: false,
            lasts: Duration::from_millis(20),
        };
        for n in 0..SOUNDS_MAX as u32 {
            assert_eq!(sounds.push(packet(n)), Queued::Yes);
        }
        assert_eq!(sounds.push(packet(99)), Queued::OldestDropped);
        let left: Vec<_> = std::iter::from_fn(|| sounds.pop()).map(|packet| packet.media_time.0).collect();
        assert_eq!((left.len(), left[0], left[SOUNDS_MAX - 1]), (SOUNDS_MAX, 1, 99));
    }

    #[test]
    fn the_first_picture_is_a_key_frame() {
        let mut pictures = Pictures::default();
        assert_eq!(pictures.push(frame(FrameKind::Delta)), FrameQueued::AwaitingKey);
        assert_eq!(pictures.push(frame(FrameKind::Key)), FrameQueued::Yes);
        assert_eq!(pictures.push(frame(FrameKind::Delta)), FrameQueued::Yes);
    }

    #[test]
    fn overflow_drops_everything_up_to_the_next_key_frame() {
        let mut pictures = Pictures::default();
        pictures.push(frame(FrameKind::Key));
        for _ in 1..FRAMES_MAX {
            assert_eq!(pictures.push(frame(FrameKind::Delta)), FrameQueued::Yes);
        }
        assert_eq!(pictures.push(frame(FrameKind::Delta)), FrameQueued::Overflow);
        while pictures.pop().is_some() {}
        assert_eq!(pictures.push(frame(FrameKind::Delta)), FrameQueued::AwaitingKey);
        assert_eq!(pictures.push(frame(FrameKind::Key)), FrameQueued::Yes);
    }

    fn frame(kind: FrameKind) -> EncodedFrame {
        EncodedFrame {
            data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
            kind,
            media_time: MediaTime(0),
            arrived_at: Instant::now(),
            spent: Duration::ZERO,
        }
    }
}
