//! Playing what came over a network: as soon as it can be done without holes.

#[cfg(test)]
mod tests;

mod redundancy;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use redundancy::Redundancy;

use super::delay::Delay;
use super::stretch::{self, FADE, Need, PAST, PERIOD_MAX};
use super::{BLOCK, RATE, Received, SoundTime, opus};

/// Packets kept for later: 1.2 s of 10 ms. Full: the oldest is dropped, for it is the first to be too late.
const PACKETS_MAX: usize = 120;
/// Two stamps this near are the same place: a sender may round.
const SAME: i64 = 48;
/// This much later than it should be, in seconds, a packet is played all the same where nothing else is there.
const LATE_MOST: f64 = 0.1;
/// Above this excess, in seconds, time is shortened even where it is heard.
const URGENT: f64 = 0.06;
/// Above this excess, in seconds, sound is skipped: nobody can follow a voice at many times its speed.
const SKIP: f64 = 0.5;
/// So much too early, in seconds, is let be: the tolerance that keeps a steady stream untouched.
const EARLY: f64 = 0.001;
/// Least that is worth shortening for: 5 ms.
const WORTH: usize = 240;
/// Blocks between two changes that are not urgent.
const REST: u32 = 5;
/// After so much without any packet the stream has stopped; the next packet begins it anew.
const STOPPED: usize = RATE as usize;
/// More numbers than this that seem to be missing are those of a packet that came out of order.
const GONE: u16 = 1000;
/// A packet that travelled so much longer or shorter than expected, in seconds, is of another stream.
const STRANGE: f64 = 5.0;

/// Turns packets into samples; each call appends to `sound`.
pub trait Decode {
    /// Decodes a packet and gives the number of samples; `None` and nothing appended if it can't be read.
    fn packet(&mut self, data: &[u8], sound: &mut Vec<f32>) -> Option<usize>;

    /// Makes what was lost before a packet from what that packet tells of it.
    fn recover(&mut self, data: &[u8], samples: usize, sound: &mut Vec<f32>);

    /// Makes up what nothing is known of.
    fn conceal(&mut self, samples: usize, sound: &mut Vec<f32>);
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came.
    pub packets: u64,
    /// Packets that came too late to be played, or twice.
    pub late: u64,
    /// Samples that were made up where something was lost or late; silence does not count.
    pub concealed: u64,
    /// Samples that came from the packet behind a lost one.
    pub recovered: u64,
    /// Samples put in to play later.
    pub inserted: u64,
    /// Samples taken out to play sooner.
    pub removed: u64,
    /// The longest stretch of made-up sound, in samples.
    pub longest_gap: u64,
    /// Times that sound was skipped because far too much waited.
    pub skipped: u64,
}

/// Plays one remote's sound, 10 ms at a time.
///
/// | what is next | what is played |
/// |---|---|
/// | the packet is there | it |
/// | it is not, the one behind it is, and tells of it | what that tells |
/// | it is not, numbers go on without it: silence | comfort noise; here the delay is set right unheard |
/// | it is not | what the decoder makes up; if it comes within 100 ms it is played then, and the delay is longer by that |
/// | nothing for 1 s | silence, until a packet begins anew |
///
/// The delay follows what 98 % of the packets need, and where packets are lost waits for the one behind, by periods of the voice put in or taken out.
#[derive(Debug)]
pub struct Playout {
    origin: Option<Instant>,
    packets: BTreeMap<i64, Waiting>,
    /// Newest stamp, unwrapped.
    newest: Option<i64>,
    delay: Delay,
    extra: f64,
    redundancy: Redundancy,
    /// Decoded and not played.
    sound: Vec<f32>,
    /// Played last, [`PAST`] samples.
    past: Vec<f32>,
    stream: Option<Stream>,
    /// The number of the last packet before the stream stopped, and what was taken for a loss after it.
    stopped: Option<(u16, u64)>,
    counts: Counts,
}

#[derive(Debug)]
struct Waiting {
    sequence: u16,
    data: Bytes,
}

/// Where playing is.
#[derive(Debug)]
struct Stream {
    /// Media time of the end of what is decoded.
    next: i64,
    /// End of what came out of packets: before it, a packet has no place any more.
    real_until: i64,
    /// Number of the last packet played.
    sequence: u16,
    /// Whether the last packet said that silence follows.
    is_silent: bool,
    /// How much sound that was.
    last_samples: u64,
    /// Made up since the last packet.
    made_up: usize,
    /// How much of that was taken for a loss.
    missed: u64,
    rest: u32,
}

impl Default for Playout {
    fn default() -> Self {
        Self {
            origin: None,
            packets: BTreeMap::new(),
            newest: None,
            delay: Delay::default(),
            extra: 0.0,
            redundancy: Redundancy::default(),
            sound: Vec::with_capacity(2 * opus::SAMPLES_MAX),
            past: vec![0.0; PAST],
            stream: None,
            stopped: None,
            counts: Counts::default(),
        }
    }
}

impl Playout {
    /// Takes what the network brought; what is no Opus packet is dropped.
    pub fn handle_packet(&mut self, packet: Received) {
        if opus::samples(&packet.data).is_none() {
            return;
        }
        self.counts.packets += 1;
        let at = self.seconds(packet.arrived_at);
        let mut stamp = self.unwrap(packet.media_time);
        let mut travel = at - stamp as f64 / f64::from(RATE);
        if !self.delay.is_empty() && (travel - self.delay.target()).abs() > STRANGE {
            self.restart();
            stamp = self.unwrap(packet.media_time);
            travel = at - stamp as f64 / f64::from(RATE);
        }
        self.newest = Some(self.newest.map_or(stamp, |newest| newest.max(stamp)));
        self.delay.handle_packet(at, travel);
        self.redundancy.handle_packet(packet.sequence, opus::samples(&packet.data).unwrap_or(BLOCK));
        if self.packets.len() == PACKETS_MAX {
            self.packets.pop_first();
            self.counts.late += 1;
        }
        let waiting = Waiting { sequence: packet.sequence, data: packet.data };
        if self.packets.insert(stamp, waiting).is_some() {
            self.counts.late += 1;
        }
    }

    /// Plays later by this than the link needs, so that a picture that takes longer is with its sound.
    pub fn set_extra(&mut self, extra: Duration) {
        self.extra = extra.as_secs_f64();
    }

    /// Plays the next 10 ms, which are heard from `now` on.
    pub fn block(&mut self, now: Instant, decoder: &mut impl Decode, out: &mut [f32; BLOCK]) {
        let now = self.seconds(now);
        if self.stream.is_none() {
            self.begin(now);
        }
        let Some(mut stream) = self.stream.take() else {
            out.fill(0.0);
            self.remember(out);
            return;
        };
        self.adjust(&mut stream, now, decoder);
        while self.sound.len() < BLOCK {
            self.step(&mut stream, now, decoder);
        }
        out.copy_from_slice(&self.sound[..BLOCK]);
        self.sound.drain(..BLOCK);
        self.remember(out);
        let excess = self.excess(&stream, now);
        if stream.made_up >= STOPPED {
            self.sound.clear();
            self.stopped = Some((stream.sequence, stream.missed));
        } else if excess > SKIP {
            self.counts.skipped += 1;
            self.sound.clear();
        } else {
            self.stream = Some(stream);
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How much later sound is played than the fastest packets would allow; zero while nothing plays.
    pub fn waits(&self, now: Instant) -> Duration {
        let (Some(stream), Some(origin)) = (&self.stream, self.origin) else { return Duration::ZERO };
        let now = now.saturating_duration_since(origin).as_secs_f64();
        let waits = self.lag(stream, now) - (self.delay.target() - self.delay.jitter());
        Duration::from_secs_f64(waits.clamp(0.0, 10.0))
    }

    /// The time of capture of what the next block begins with; none while nothing plays.
    pub fn position(&self) -> Option<SoundTime> {
        let stream = self.stream.as_ref()?;
        Some(SoundTime((stream.next - self.sound.len() as i64) as u32))
    }

    /// Begins with the newest packet whose time has come.
    fn begin(&mut self, now: f64) {
        let due = now - self.target();
        let is_due = |stamp: i64| stamp as f64 / f64::from(RATE) <= due;
        let Some(start) = self.packets.keys().copied().take_while(|stamp| is_due(*stamp)).last() else {
            return;
        };
        while let Some(older) = self.packets.first_entry().filter(|entry| *entry.key() < start) {
            older.remove();
            self.counts.late += 1;
        }
        let sequence = self.packets[&start].sequence.wrapping_sub(1);
        if let Some((last, missed)) = self.stopped.take()
            && last == sequence
        {
            // Nothing was lost after all.
            self.counts.concealed -= missed;
        }
        self.stream = Some(Stream {
            next: start,
            real_until: start,
            sequence,
            last_samples: BLOCK as u64,
            is_silent: false,
            made_up: 0,
            missed: 0,
            rest: 0,
        });
    }

    /// Brings the delay nearer to what it should be, by a period at most.
    fn adjust(&mut self, stream: &mut Stream, now: f64, decoder: &mut impl Decode) {
        stream.rest = stream.rest.saturating_sub(1);
        let excess = self.excess(stream, now);
        let is_urgent = excess > URGENT;
        if stream.rest > 0 && !is_urgent {
            return;
        }
        let need = if is_urgent { Need::Urgent } else { Need::Gentle };
        let phase = self.sound.len() % BLOCK;
        let changed = if excess < -EARLY {
            // Only what moves every packet's place by a whole block lets it come later.
            self.decode_ahead(stream, FADE, decoder);
            let least = BLOCK - phase;
            let inserted = stretch::lengthen(&self.past, &mut self.sound, least, PERIOD_MAX, need);
            self.counts.inserted += inserted as u64;
            inserted
        } else {
            let blocks = ((excess - EARLY).max(0.0) * 100.0) as usize;
            let most = phase + blocks.min(4) * BLOCK;
            if most < WORTH {
                return;
            }
            self.decode_ahead(stream, most.min(PERIOD_MAX) + FADE, decoder);
            let removed = stretch::shorten(&self.past, &mut self.sound, 0, most, need);
            self.counts.removed += removed as u64;
            removed
        };
        if changed > 0 {
            stream.rest = REST;
        }
    }

    /// Decodes packets that follow without a hole until so much lies ahead.
    fn decode_ahead(&mut self, stream: &mut Stream, samples: usize, decoder: &mut impl Decode) {
        while self.sound.len() < samples
            && let Some((stamp, _)) = self.packets.first_key_value()
            && (stamp - stream.next).abs() <= SAME
        {
            self.play_first(stream, decoder);
        }
    }

    /// Appends the next piece of sound.
    fn step(&mut self, stream: &mut Stream, now: f64, decoder: &mut impl Decode) {
        let Some((&stamp, first)) = self.packets.first_key_value() else {
            self.make_up(stream, BLOCK, now, decoder);
            return;
        };
        let hole = stamp - stream.next;
        if hole.abs() <= SAME {
            self.play_first(stream, decoder);
        } else if hole < 0 {
            let lag = now - (stamp - self.sound.len() as i64) as f64 / f64::from(RATE);
            if stamp + SAME >= stream.real_until && lag <= self.target() + LATE_MOST {
                self.delay.hold(now, lag - (self.target() - self.delay.target()));
                self.play_first(stream, decoder);
            } else {
                self.packets.pop_first();
                self.counts.late += 1;
            }
        } else if first.sequence == stream.sequence.wrapping_add(1) {
            // Nothing was lost: the sender was silent.
            stream.is_silent = true;
            self.make_up(stream, hole.min(BLOCK as i64) as usize, now, decoder);
        } else {
            let before = opus::samples(&first.data).map_or(BLOCK, |samples| samples.min(2 * BLOCK));
            let hole = hole as usize;
            if hole <= before && hole.is_multiple_of(FADE) {
                let data = first.data.clone();
                decoder.recover(&data, hole, &mut self.sound);
                stream.next += hole as i64;
                self.counts.recovered += hole as u64;
            } else {
                self.make_up(stream, (hole - before.min(hole - 1)).min(BLOCK), now, decoder);
            }
        }
    }

    fn play_first(&mut self, stream: &mut Stream, decoder: &mut impl Decode) {
        let Some((stamp, waiting)) = self.packets.pop_first() else { return };
        // Of a hole, only what the missing numbers stand for was lost; the rest is silence of the sender.
        let missing = waiting.sequence.wrapping_sub(stream.sequence).wrapping_sub(1);
        let most = if missing > GONE { 0 } else { u64::from(missing) * stream.last_samples };
        let hole = u64::try_from(stamp - stream.real_until - SAME).unwrap_or(0);
        let lost = if hole > most { stream.missed.min(most) } else { stream.missed };
        self.counts.concealed -= stream.missed - lost;
        self.counts.longest_gap = self.counts.longest_gap.max(lost);
        let samples = decoder.packet(&waiting.data, &mut self.sound).unwrap_or_else(|| {
            let samples = opus::samples(&waiting.data).unwrap_or(BLOCK);
            decoder.conceal(samples, &mut self.sound);
            samples
        });
        stream.next = stamp + samples as i64;
        stream.real_until = stream.next;
        stream.sequence = waiting.sequence;
        stream.last_samples = samples as u64;
        stream.is_silent = opus::is_silence(&waiting.data);
        stream.made_up = 0;
        stream.missed = 0;
    }

    fn make_up(&mut self, stream: &mut Stream, samples: usize, now: f64, decoder: &mut impl Decode) {
        // The decoder knows steps of 2.5 ms; what is less is not heard.
        let whole = samples.next_multiple_of(FADE);
        decoder.conceal(whole, &mut self.sound);
        self.sound.truncate(self.sound.len() - (whole - samples));
        stream.next += samples as i64;
        stream.made_up += samples;
        if stream.is_silent {
            // Here nobody hears that time is left out or put in.
            let excess = (self.excess(stream, now) * f64::from(RATE)) as i64;
            let ahead = self.packets.first_key_value().map_or(i64::MAX, |(stamp, _)| stamp - stream.next);
            stream.next += excess.min(ahead);
        } else {
            self.counts.concealed += samples as u64;
            stream.missed += samples as u64;
        }
    }

    /// How much later than needed it is played, in seconds; below zero packets come too late.
    fn excess(&self, stream: &Stream, now: f64) -> f64 {
        let phase = (self.sound.len() % BLOCK) as f64 / f64::from(RATE);
        self.lag(stream, now) - self.target() - phase
    }

    /// How long after capture to play, with the unknown offset between both clocks.
    fn target(&self) -> f64 {
        // Jitter that is waited for anyway lets the packet behind a lost one come in time as well.
        let for_redundancy = (self.redundancy.wait() - self.delay.jitter()).max(0.0);
        self.delay.target() + self.extra + for_redundancy
    }

    /// Time from capture to playing, with the unknown offset between both clocks.
    fn lag(&self, stream: &Stream, now: f64) -> f64 {
        now - (stream.next - self.sound.len() as i64) as f64 / f64::from(RATE)
    }

    fn remember(&mut self, out: &[f32; BLOCK]) {
        self.past.copy_within(BLOCK.., 0);
        let end = self.past.len() - BLOCK;
        self.past[end..].copy_from_slice(out);
    }

    fn unwrap(&self, time: SoundTime) -> i64 {
        match self.newest {
            Some(newest) => newest + i64::from(time.samples_since(SoundTime(newest as u32))),
            None => i64::from(time.0),
        }
    }

    fn seconds(&mut self, at: Instant) -> f64 {
        let origin = *self.origin.get_or_insert(at);
        match at.checked_duration_since(origin) {
            Some(after) => after.as_secs_f64(),
            None => -origin.saturating_duration_since(at).as_secs_f64(),
        }
    }

    /// Another stream begins.
    fn restart(&mut self) {
        self.packets.clear();
        self.newest = None;
        self.delay = Delay::default();
        self.redundancy = Redundancy::default();
        self.sound.clear();
        self.stream = None;
    }
}
