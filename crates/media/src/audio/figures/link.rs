//! From mouth to ear through two consoles and a link between them, in virtual time.

use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, Counts, Lips, Microphone, RATE, Received};
use farwheel_proto::video::CarTime;

use super::super::clean::Cleaning;
use super::super::codec::Thrift;
use super::super::console::{Captured, Console};
use super::super::marks::{Ear, voice};
use super::super::voice::Voice;
use super::dot;

/// How long before a tick its first sample was in the air: a device of 10 ms and its ring, as with the synthetic ones.
const AGO: Duration = Duration::from_millis(23);
/// How long after a tick its first sample is in the air.
const HEARD_IN: Duration = Duration::from_millis(13);
/// The receiver's ticks are so much after the sender's.
const APART: Duration = Duration::from_millis(4);
/// Zero of the microphone's clock at the first tick, so that nothing is before zero.
const ZERO: u64 = 1_000_000_000;

/// What a microphone hears in the 10 ms of a tick.
pub type Mouth<'a> = &'a mut dyn FnMut(u64) -> [f32; BLOCK];

/// The voice with time marks.
pub fn test_voice(tick: u64) -> [f32; BLOCK] {
    let begin = ZERO + tick * 10_000_000 - AGO.as_nanos() as u64;
    std::array::from_fn(|n| voice(begin + n as u64 * 1_000_000_000 / u64::from(RATE)))
}

/// Two consoles: what one's microphone hears, the other's speaker plays.
pub struct Call {
    start: Instant,
    near: Console,
    far: Console,
    voice: Voice,
    tick: u64,
    sequence: u16,
    on_the_way: Vec<Received>,
    /// Packets sent.
    pub sent: usize,
    /// Bytes sent, without headers.
    pub bytes: usize,
    /// What was heard.
    pub heard: Vec<f32>,
    lips: Lips,
    /// How late sound was against its picture, in ms: one for each picture at 30 a second.
    pub lip_sync: Vec<f64>,
}

impl Call {
    /// A call that begins now; the receiver's side cleans nothing.
    pub fn new(thrift: Thrift, cleaning: Cleaning) -> Self {
        let start = Instant::now() + Duration::from_secs(10);
        let epoch = start - Duration::from_secs(5);
        let near = Console::new(epoch, cleaning, thrift).expect("memory for a codec");
        let plain = Cleaning { echo: false, noise: false, gain: false };
        let mut far = Console::new(epoch, plain, thrift).expect("memory for a codec");
        let (voice, shared) = Voice::new();
        far.add(shared).expect("memory for a codec");
        Self {
            start,
            near,
            far,
            voice,
            tick: 0,
            sequence: 65_000,
            on_the_way: Vec::new(),
            sent: 0,
            bytes: 0,
            heard: Vec::new(),
            lips: Lips::default(),
            lip_sync: Vec::new(),
        }
    }

    /// Expects this share of loss.
    pub fn set_loss(&mut self, loss: f32) {
        self.near.set_loss(loss).expect("a share");
    }

    /// `travel` says for each packet how many ms it takes; `None` is lost. Pictures take `picture` ms from capture to
    /// being decoded.
    pub fn run(
        &mut self,
        seconds: f64,
        mouth: Mouth<'_>,
        mut travel: impl FnMut(usize) -> Option<f64>,
        mut picture: impl FnMut(u64) -> f64,
    ) {
        for _ in 0..(seconds * 100.0) as usize {
            let now = self.start + Duration::from_millis(self.tick * 10);
            let captured = Captured { block: mouth(self.tick), ago: AGO };
            if let Some(packet) = self.near.tick(now, HEARD_IN, Some(captured)).packet {
                self.sequence = self.sequence.wrapping_add(1);
                self.bytes += packet.data.len();
                if let Some(ms) = travel(self.sent) {
                    let arrived_at = now + Duration::from_secs_f64(ms * 1e-3);
                    let (sequence, media_time, data) = (self.sequence, packet.media_time, packet.data);
                    self.on_the_way.push(Received { sequence, media_time, arrived_at, data });
                }
                self.sent += 1;
            }
            let then = now + APART;
            self.on_the_way.sort_by_key(|packet| packet.arrived_at);
            let arrived = self.on_the_way.partition_point(|packet| packet.arrived_at <= then);
            for packet in self.on_the_way.drain(..arrived) {
                self.voice.push(packet);
            }
            self.heard.extend(self.far.tick(then, HEARD_IN, None).speaker);
            if self.tick.is_multiple_of(3) {
                self.look(then, picture(self.tick));
            }
            self.tick += 1;
        }
    }

    /// A picture is there that was captured `ms` ago; it is shown when the policy says so.
    fn look(&mut self, now: Instant, ms: f64) {
        let captured = now - Duration::from_secs_f64(ms * 1e-3);
        let epoch = self.start - Duration::from_secs(5);
        let heard = self.voice.status().heard;
        let shown = now + self.lips.handle_picture(CarTime::since(epoch, captured).media_time(), heard, now);
        self.voice.set_extra(self.lips.extra());
        if let Some(heard) = heard {
            let said = epoch + Duration::from_secs_f64(f64::from(heard.media_time.0) / f64::from(RATE));
            let sound = heard.at.saturating_duration_since(said).as_secs_f64();
            let sight = shown.saturating_duration_since(captured).as_secs_f64();
            self.lip_sync.push((sound - sight) * 1e3);
        }
    }

    /// How late each mark was heard, in ms, from mouth to ear.
    pub fn marks(&self) -> Vec<f64> {
        let mut ear = Ear::default();
        let begin = ZERO + (APART + HEARD_IN).as_nanos() as u64;
        let blocks = self.heard.chunks_exact(BLOCK).enumerate();
        blocks
            .flat_map(|(n, block)| ear.hear(begin + n as u64 * 10_000_000, block))
            .map(|mark| mark.late.as_secs_f64() * 1e3)
            .collect()
    }

    /// What the playout counted.
    pub fn counts(&self) -> Counts {
        self.voice.status().counts
    }

    /// Mutes the microphone or opens it.
    pub fn set_microphone(&mut self, microphone: Microphone) {
        self.near.set_microphone(microphone);
    }

    /// The remote's place in the mix.
    pub fn voice(&self) -> &Voice {
        &self.voice
    }

    /// Spends more or less.
    pub fn set_thrift(&mut self, thrift: Thrift) {
        self.near.set_thrift(thrift).expect("a rate");
    }

    /// Rings the receiver's chime.
    pub fn chime(&mut self) {
        self.far.chime();
    }

    /// Whether somebody speaks into the muted microphone.
    pub fn speaks_while_muted(&self) -> bool {
        self.near.own(self.start + Duration::from_millis(self.tick * 10)).2
    }

    /// When its first tick was, and the zero of the stamps.
    pub fn epoch(&self) -> Instant {
        self.start - Duration::from_secs(5)
    }
}

/// A spread over [0, 1) that is the same in each run.
pub fn spread(n: usize) -> f64 {
    f64::from((n as u32).wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24)
}

/// How much of `heard` is as in `reference`, in dB: the mean over pieces of 20 ms, each against the place in the reference
/// that it is most like, within [-10, 35] dB; silence does not count. Sound that was stretched is no noise by this.
pub fn segmental_snr(reference: &[f32], heard: &[f32]) -> f64 {
    let coarse = |sound: &[f32]| -> Vec<f32> {
        sound.chunks_exact(4).map(|four| four.iter().sum::<f32>() / 4.0).collect()
    };
    let (reference, heard) = (coarse(reference), coarse(heard));
    const PIECE: usize = 240;
    // The reference is earlier by at most 150 ms, and at most 20 ms later.
    const BEFORE: usize = 1800;
    const AFTER: usize = 240;
    let (mut sum, mut count) = (0.0, 0);
    for start in (BEFORE..heard.len().saturating_sub(PIECE + AFTER)).step_by(PIECE) {
        let piece = &heard[start..start + PIECE];
        let mut best = (f32::MIN, 0);
        for at in start - BEFORE..(start + AFTER).min(reference.len().saturating_sub(PIECE)) {
            let other = &reference[at..at + PIECE];
            let (cross, own) = (dot(piece, other), dot(other, other).max(1e-6));
            let alike = cross / f32::sqrt(own);
            if alike > best.0 {
                best = (alike, at);
            }
        }
        let other = &reference[best.1..best.1 + PIECE];
        let signal: f32 = other.iter().map(|x| x * x).sum();
        if signal < PIECE as f32 * 1e-5 {
            continue;
        }
        let error: f32 = other.iter().zip(piece).map(|(a, b)| (a - b).powi(2)).sum();
        sum += f64::from((10.0 * (signal / error.max(1e-9)).log10()).clamp(-10.0, 35.0));
        count += 1;
    }
    sum / f64::from(count.max(1))
}
