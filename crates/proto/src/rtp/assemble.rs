//! Pictures from packets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::gaps::Gaps;
use super::payload::{Joiner, Malformed, Payload};
use super::sequence::{Position, Sequence};
use crate::video::{EncodedFrame, MediaTime};

/// Packets kept at most: two seconds at 12 Mbit/s. Full: the oldest goes, and with it the hope for its picture.
const PACKETS_MAX: usize = 2500;
/// Packets of one key frame or recovery at most: a megabyte.
const ENTRY_PACKETS_MAX: u64 = 1000;
/// Pause between two requests for a key frame while none has come.
const KEYFRAME_REPEAT: Duration = Duration::from_millis(500);

/// One RTP packet of the stream.
#[derive(Clone, Debug)]
pub struct Packet {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub media_time: MediaTime,
    /// Set on the last packet of a picture.
    pub marker: bool,
    /// Without RTP header and padding.
    pub payload: Bytes,
}

/// What the assembler wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// A complete picture: decode it. Every picture before it in decoding order was handed over, or it is a key
    /// frame, or a recovery, which leans on pictures of long ago only.
    Frame(EncodedFrame),
    /// Ask the sender for these packets again.
    Nack(Vec<u16>),
    /// Ask the sender for a key frame.
    RequestKeyframe,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pictures handed over.
    pub frames: u64,
    /// Times the stream was given up until the next entry.
    pub breaks: u64,
    /// Packets taken, repairs included, duplicates not.
    pub packets: u64,
    /// Packets that came after they were missed.
    pub packets_repaired: u64,
    /// Packets that never came in time.
    pub packets_lost: u64,
}

/// Puts pictures together; hands each over the moment its last packet is there.
///
/// Where packets are lost for good it goes on with an entry: a key frame, or a recovery.
///
/// | state | packet completes a picture | packet lost for good | entry complete |
/// |---|---|---|---|
/// | `AwaitingKey` | it waits for the entry before it | - | hand over, `Following` |
/// | `Following` | hand over, `Following` | ask for a key frame, `AwaitingKey` | hand over, skip what is missing |
#[derive(Debug)]
pub struct Assembler {
    state: State,
    /// The first packet after the picture handed over last; what is before it is done with.
    next: u64,
    sequence: Sequence,
    highest: Option<u64>,
    packets: BTreeMap<u64, Stored>,
    /// Packets that open an entry whose picture is not complete.
    entries: BTreeSet<u64>,
    gaps: Gaps,
    commands: VecDeque<Command>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing can be decoded until an entry is complete.
    AwaitingKey {
        /// When to ask (again) for one; `None` until the first packet.
        ask_at: Option<Instant>,
    },
    /// Every picture up to `next` was handed over.
    Following,
}

#[derive(Debug)]
struct Stored {
    media_time: MediaTime,
    marker: bool,
    payload: Bytes,
    arrived_at: Instant,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// An assembler that waits for the first key frame.
    pub fn new() -> Self {
        Self {
            state: State::AwaitingKey { ask_at: None },
            next: 0,
            sequence: Sequence::default(),
            highest: None,
            packets: BTreeMap::new(),
            entries: BTreeSet::new(),
            gaps: Gaps::new(),
            commands: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Sets the round-trip time, by which repairs are judged.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.gaps.set_rtt(rtt);
    }

    /// Takes a packet.
    pub fn handle_packet(&mut self, packet: Packet, now: Instant) {
        let number = match self.sequence.locate(packet.sequence) {
            Position::Known(number) => number,
            Position::Restarted(number) => {
                self.restart();
                number
            }
            Position::Strange => return,
        };
        if number < self.next || self.packets.contains_key(&number) {
            return;
        }
        self.counters.packets += 1;
        if self.gaps.close(number) {
            self.counters.packets_repaired += 1;
        }
        self.advance_highest(number, now);
        let is_entry = Payload::parse(&packet.payload).is_ok_and(|payload| {
            // To a reader that never had a picture a recovery is none.
            payload.opens_key_frame() || (self.next > 0 && payload.opens_recovery().is_some())
        });
        if is_entry {
            self.entries.insert(number);
        }
        let Packet { media_time, marker, payload, .. } = packet;
        self.packets.insert(number, Stored { media_time, marker, payload, arrived_at: now });
        if let State::AwaitingKey { ask_at: ask_at @ None } = &mut self.state {
            // Time for the first key frame to arrive whole before it is asked for.
            *ask_at = Some(now + KEYFRAME_REPEAT / 5);
        }
        self.hand_over(now);
        self.bound_packets(now);
        self.request_repairs(now);
    }

    /// Does what is due at `now`; call it at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        let expired = self.gaps.take_expired(now);
        if !expired.is_empty() {
            self.counters.packets_lost += expired.len() as u64;
            self.give_up(now);
            self.drop_broken_entries(&expired, now);
        }
        if let State::AwaitingKey { ask_at: Some(ask_at) } = self.state
            && ask_at <= now
        {
            self.request_keyframe(now);
        }
        self.request_repairs(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let asking = match self.state {
            State::AwaitingKey { ask_at } => ask_at,
            State::Following => None,
        };
        [self.gaps.poll_timeout(), asking].into_iter().flatten().min()
    }

    /// Takes the next command.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Gives up all up to the next entry: the reader dropped a picture that later ones lean on.
    pub fn handle_reader_overflow(&mut self, now: Instant) {
        if let State::Following = self.state {
            self.give_up(now);
        }
    }

    fn advance_highest(&mut self, number: u64, now: Instant) {
        let expected = self.highest.map_or(number, |highest| highest + 1);
        if number < expected {
            return;
        }
        if !self.gaps.open(expected, number, now) {
            self.counters.packets_lost += number - expected;
            // Repairs of what cannot be decoded would only fill the link.
            self.gaps.clear();
            self.give_up(now);
        }
        self.highest = Some(number);
        self.gaps.overtaken(number, now);
    }

    /// Hands over every picture that is complete, in order; a complete entry need not wait for what it replaces.
    fn hand_over(&mut self, now: Instant) {
        loop {
            let in_order = match self.state {
                State::Following => self.complete_from(self.next),
                State::AwaitingKey { .. } => None,
            };
            let run = in_order
                .or_else(|| self.entries.iter().rev().find_map(|&start| self.complete_entry_from(start)));
            let Some((first, last)) = run else { return };
            let joined = self.join(first, last);
            let skipped = matches!(self.state, State::Following) && first > self.next;
            self.counters.breaks += u64::from(skipped);
            let begins_anew = skipped || matches!(self.state, State::AwaitingKey { .. });
            self.state = State::Following;
            self.next = last + 1;
            self.packets = self.packets.split_off(&(last + 1));
            self.entries = self.entries.split_off(&(last + 1));
            self.gaps.forget_before(last + 1);
            match joined {
                Ok(Some(frame)) => {
                    self.counters.frames += 1;
                    self.commands.push_back(Command::Frame(frame));
                }
                Ok(None) => {}
                Err(_) => self.give_up(now),
            }
            if begins_anew {
                self.watch_holes(now);
            }
        }
    }

    /// Misses what is not there after an entry: while it was awaited, nobody did.
    fn watch_holes(&mut self, now: Instant) {
        let Some(highest) = self.highest else { return };
        let mut expected = self.next;
        let mut hopeless = false;
        for &number in self.packets.keys() {
            hopeless |= !self.gaps.open(expected, number, now);
            expected = number + 1;
        }
        hopeless |= expected <= highest && !self.gaps.open(expected, highest + 1, now);
        if hopeless {
            self.gaps.clear();
            self.give_up(now);
        }
    }

    /// First and last packet of the picture that begins at `first`, if it is all there.
    fn complete_from(&self, first: u64) -> Option<(u64, u64)> {
        let media_time = self.packets.get(&first)?.media_time;
        let mut last = first;
        for (expected, (&number, stored)) in (first..).zip(self.packets.range(first..)) {
            if number != expected {
                return None;
            }
            if stored.media_time != media_time {
                // A sender that sets no marker: the next picture's first packet ends this one.
                return Some((first, last));
            }
            last = number;
            if stored.marker {
                return Some((first, last));
            }
        }
        None
    }

    /// Like [`complete_from`](Self::complete_from), unless the key frame opens with a parameter set before `first`.
    fn complete_entry_from(&self, first: u64) -> Option<(u64, u64)> {
        let opened_earlier = self.entries.contains(&(first - 1))
            && self.packets.get(&(first - 1)).map(|packet| packet.media_time)
                == self.packets.get(&first).map(|packet| packet.media_time);
        if opened_earlier { None } else { self.complete_from(first) }
    }

    /// The picture in these packets; none if they are all padding.
    fn join(&self, first: u64, last: u64) -> Result<Option<EncodedFrame>, Malformed> {
        let packets = || {
            self.packets
                .range(first..=last)
                .map(|(_, stored)| stored)
                .filter(|stored| !stored.payload.is_empty())
        };
        let Some(media_time) = packets().next().map(|stored| stored.media_time) else {
            return Ok(None);
        };
        let mut joiner = Joiner::with_capacity(packets().map(|stored| stored.payload.len() + 8).sum());
        let (mut earliest, mut latest) = (None, None);
        for stored in packets() {
            joiner.push(&stored.payload)?;
            earliest = Some(earliest.map_or(stored.arrived_at, |at: Instant| at.min(stored.arrived_at)));
            latest = latest.max(Some(stored.arrived_at));
        }
        let (data, kind) = joiner.finish()?;
        Ok(earliest.zip(latest).map(|(earliest, latest)| EncodedFrame {
            data,
            kind,
            media_time,
            arrived_at: latest,
            spent: latest.saturating_duration_since(earliest),
        }))
    }

    /// Nothing before the next entry can be decoded.
    fn give_up(&mut self, now: Instant) {
        if let State::Following = self.state {
            self.counters.breaks += 1;
            match self.entries.first() {
                Some(&start) => {
                    // One is on its way already.
                    self.gaps.forget_before(start);
                    self.state = State::AwaitingKey { ask_at: Some(now + KEYFRAME_REPEAT) };
                }
                // What else is missing may be the first packet of one.
                None => self.request_keyframe(now),
            }
        }
    }

    fn request_keyframe(&mut self, now: Instant) {
        self.state = State::AwaitingKey { ask_at: Some(now + KEYFRAME_REPEAT) };
        self.commands.push_back(Command::RequestKeyframe);
    }

    /// Entries of which a packet is lost for good will not be complete.
    fn drop_broken_entries(&mut self, expired: &[u64], now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|&start| {
            // The packets from `start` on that are there without a hole end before the first one that is not.
            let hole = (start..).find(|number| !self.packets.contains_key(number));
            hole.is_none_or(|hole| !expired.contains(&hole))
        });
        if self.entries.len() < before && self.entries.is_empty() {
            self.request_keyframe(now);
        }
    }

    fn request_repairs(&mut self, now: Instant) {
        let due = self.gaps.take_requests(now);
        if !due.is_empty() {
            self.commands.push_back(Command::Nack(due.into_iter().map(|number| number as u16).collect()));
        }
    }

    fn bound_packets(&mut self, now: Instant) {
        while self.packets.len() > PACKETS_MAX
            && let Some((number, _)) = self.packets.pop_first()
        {
            self.entries.remove(&number);
            self.gaps.forget_before(number);
            self.give_up(now);
        }
        if let State::AwaitingKey { .. } = self.state
            && self.entries.is_empty()
        {
            // What came before an entry will not be used. The newest stays: the packet that opens an entry
            // may come last, as a repair.
            if let Some(highest) = self.highest {
                self.packets = self.packets.split_off(&highest.saturating_sub(ENTRY_PACKETS_MAX));
            }
        }
    }

    fn restart(&mut self) {
        self.packets.clear();
        self.entries.clear();
        self.gaps.clear();
        self.highest = None;
        self.next = 0;
        self.state = State::AwaitingKey { ask_at: None };
    }
}

#[cfg(test)]
mod tests;
