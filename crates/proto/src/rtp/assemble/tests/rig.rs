//! The other side of an assembler under test.

use super::*;
use crate::anchor::Anchor;
use crate::rtp::payload;

/// A sender, a clock and an assembler whose commands are carried out at once.
pub(super) struct Rig {
    pub(super) assembler: Assembler,
    start: Instant,
    pub(super) now: Instant,
    /// Of the next packet.
    pub(super) number: u64,
    pub(super) sent: Vec<(FrameKind, Bytes)>,
    /// Which of the sent pictures came out.
    pub(super) frames: Vec<usize>,
    pub(super) last: Option<EncodedFrame>,
    pub(super) nacks: Vec<u16>,
    pub(super) keyframe_requests: usize,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    pub(super) fn new() -> Self {
        let start = Instant::now();
        Self {
            assembler: Assembler::new(),
            start,
            now: start,
            number: (1 << 16) + 65_530,
            sent: Vec::new(),
            frames: Vec::new(),
            last: None,
            nacks: Vec::new(),
            keyframe_requests: 0,
        }
    }

    /// With one key frame handed over.
    pub(super) fn started() -> Self {
        let mut rig = Self::new();
        let key = rig.picture(FrameKind::Key, 3000);
        rig.give_all(&key);
        assert_eq!(rig.frames, [0]);
        rig
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    /// Moves the clock, stopping wherever the assembler wants to.
    pub(super) fn at(&mut self, ms: u64) -> &mut Self {
        let target = self.start + MS * ms as u32;
        while let Some(due) = self.assembler.poll_timeout().filter(|&due| due <= target) {
            self.now = self.now.max(due);
            self.assembler.handle_timeout(self.now);
            self.drain();
            assert!(self.assembler.poll_timeout() != Some(due), "a timeout that was handled is due again");
        }
        self.now = target;
        self
    }

    pub(super) fn take_sequence(&mut self) -> u16 {
        self.number += 1;
        (self.number - 1) as u16
    }

    pub(super) fn sender_skips_to(&mut self, number: u64) {
        self.number = number;
    }

    pub(super) fn picture(&mut self, kind: FrameKind, bytes: usize) -> Vec<Packet> {
        let index = self.sent.len();
        let fill = |n: usize| (index * 31 + n * 7) as u8 | 1;
        // Every other picture comes in two slices.
        let cut = bytes / 2 * (index % 2);
        let slice = |header: u8| -> Vec<u8> {
            let cuts = [0..cut, cut..bytes].into_iter().filter(|cut| !cut.is_empty());
            cuts.flat_map(|cut| [0, 0, 0, 1, header].into_iter().chain(cut.map(fill))).collect()
        };
        let annex_b: Bytes = match kind {
            FrameKind::Key => {
                [&[0, 0, 0, 1, 0x67, 0x42, fill(1), 0, 0, 0, 1, 0x68, 0xce][..], &slice(0x65)].concat().into()
            }
            FrameKind::Delta => slice(0x61).into(),
            FrameKind::Recovery => [&[0, 0, 0, 1][..], &Anchor(7).note(), &slice(0x61)].concat().into(),
        };
        self.sent.push((kind, annex_b.clone()));
        let payloads = payload::split(&annex_b, payload::PAYLOAD_BYTES_MAX);
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(n, payload)| Packet {
                sequence: self.take_sequence(),
                media_time: MediaTime(index as u32 * 3000),
                marker: n == last,
                payload,
            })
            .collect()
    }

    pub(super) fn give(&mut self, packet: &Packet) {
        self.assembler.handle_packet(packet.clone(), self.now);
        self.drain();
    }

    pub(super) fn give_all(&mut self, packets: &[Packet]) {
        for packet in packets {
            self.give(packet);
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(command) = self.assembler.poll_command() {
            match command {
                Command::Frame(frame) => {
                    let index = frame.media_time.0 as usize / 3000;
                    let (kind, data) = &self.sent[index];
                    assert_eq!(
                        (frame.kind, &frame.data),
                        (*kind, data),
                        "picture {index} was sent otherwise"
                    );
                    self.frames.push(index);
                    self.last = Some(frame);
                }
                Command::Nack(sequences) => self.nacks.extend(sequences),
                Command::RequestKeyframe => self.keyframe_requests += 1,
            }
        }
    }
}
