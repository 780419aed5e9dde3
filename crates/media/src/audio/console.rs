//! What happens every 10 ms, without devices, threads or clocks: the microphone's sound to packets, packets to the
//! speaker's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farwheel_proto::sound::{BLOCK, Key, Microphone, Packet, RATE, SoundTime, Speech, Talk};

use super::clean::{Cleaner, Cleaning};
use super::codec::{Encoder, Error, Thrift};
use super::tone::{Player, Tone};
use super::voice::{Remote, Shared};

/// So much the count of samples may be off the clock before stamps are set anew: what a device's start may be off by.
const OFF_MOST: i32 = 20 * 48;
/// Loudest that leaves here: just below full scale.
const CEILING: f32 = 0.98;
/// How much of its lost loudness the mix gets back every 10 ms after having been too loud.
const RELEASE: f32 = 0.02;

/// All that sounds, and what is sent of it.
pub(crate) struct Console {
    cleaner: Cleaner,
    encoder: Encoder,
    remotes: Vec<Remote>,
    talk: Talk,
    speech: Speech,
    epoch: Instant,
    /// Stamp of the next sample sent; none before the first.
    stamp: Option<SoundTime>,
    was_silent: bool,
    limit: f32,
    chime: Option<usize>,
    tone: Option<Player>,
}

/// What the microphone took up in the last 10 ms.
pub(crate) struct Captured {
    pub(crate) block: [f32; BLOCK],
    /// How long ago its first sample was in the air.
    pub(crate) ago: Duration,
}

/// What came of a tick.
pub(crate) struct Ticked {
    /// What is heard, and what this side says in it; both together are what a recording has.
    pub(crate) speaker: [f32; BLOCK],
    pub(crate) own: [f32; BLOCK],
    pub(crate) packet: Option<Packet>,
}

impl Console {
    pub(crate) fn new(epoch: Instant, cleaning: Cleaning, thrift: Thrift) -> Result<Self, Error> {
        Ok(Self {
            cleaner: Cleaner::new(cleaning),
            encoder: Encoder::new(thrift)?,
            remotes: Vec::new(),
            talk: Talk::default(),
            speech: Speech::default(),
            epoch,
            stamp: None,
            was_silent: true,
            limit: 1.0,
            chime: None,
            tone: None,
        })
    }

    pub(crate) fn add(&mut self, shared: Arc<Shared>) -> Result<(), Error> {
        self.remotes.push(Remote::new(shared)?);
        Ok(())
    }

    pub(crate) fn set_cleaning(&mut self, cleaning: Cleaning) {
        self.cleaner.set(cleaning);
    }

    pub(crate) fn set_thrift(&mut self, thrift: Thrift) -> Result<(), Error> {
        self.encoder.set_thrift(thrift)
    }

    pub(crate) fn set_loss(&mut self, loss: f32) -> Result<(), Error> {
        self.encoder.set_loss(loss)
    }

    pub(crate) fn set_microphone(&mut self, microphone: Microphone) {
        self.talk.handle_microphone(microphone);
    }

    pub(crate) fn set_key(&mut self, key: Key, now: Instant) {
        self.talk.handle_key(key, now);
    }

    pub(crate) fn chime(&mut self) {
        self.chime = Some(0);
    }

    /// Sounds again and again, or not any more.
    pub(crate) fn set_tone(&mut self, tone: Option<Tone>) {
        self.tone = tone.map(Player::new);
    }

    /// The microphone's level, whether somebody speaks, and whether in vain.
    pub(crate) fn own(&self, now: Instant) -> (f32, bool, bool) {
        (self.speech.level(), self.speech.speaks(), self.talk.speaks_while_muted(now))
    }

    /// Goes on by 10 ms. What the speaker gets is heard `heard_in` from `now`; `captured` is none without a microphone.
    pub(crate) fn tick(&mut self, now: Instant, heard_in: Duration, captured: Option<Captured>) -> Ticked {
        let speaker = self.mix(now, heard_in);
        self.cleaner.handle_played(&speaker);
        let mut own = [0.0; BLOCK];
        let Some(Captured { mut block, ago }) = captured else {
            self.speech.handle_block(&own);
            self.pause();
            return Ticked { speaker, own, packet: None };
        };
        // From here the speaker's block takes `heard_in` to the air, and the microphone's took `ago` from there.
        self.cleaner.clean(&mut block, heard_in + ago);
        self.speech.handle_block(&block);
        self.talk.handle_speech(self.speech.speaks(), now);
        if !self.talk.is_open(now) {
            self.pause();
            return Ticked { speaker, own, packet: None };
        }
        own = block;
        let packet = self.encode(&block, now.checked_sub(ago).unwrap_or(now));
        Ticked { speaker, own, packet }
    }

    fn mix(&mut self, now: Instant, heard_in: Duration) -> [f32; BLOCK] {
        let mut mix = [0.0; BLOCK];
        self.remotes.retain(|remote| !remote.is_over());
        for remote in &mut self.remotes {
            remote.mix(now, now + heard_in, &mut mix);
        }
        if let Some(at) = self.chime {
            for (n, mixed) in mix.iter_mut().enumerate() {
                *mixed += chime(at + n);
            }
            self.chime = (at + BLOCK < CHIME).then_some(at + BLOCK);
        }
        if let Some(tone) = &mut self.tone {
            tone.mix(&mut mix);
        }
        self.limit(&mut mix);
        mix
    }

    /// Several who speak at once may be louder than a speaker can be: all become softer for a moment.
    fn limit(&mut self, mix: &mut [f32; BLOCK]) {
        let peak = mix.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let before = self.limit;
        self.limit = (before + RELEASE).min(1.0).min(if peak > CEILING { CEILING / peak } else { 1.0 });
        for (n, sample) in mix.iter_mut().enumerate() {
            // Softer within the first millisecond, louder again over the whole block.
            let over = if self.limit < before { 48.0 } else { BLOCK as f32 };
            let part = (n as f32 / over).min(1.0);
            *sample = (*sample * (before + (self.limit - before) * part)).clamp(-1.0, 1.0);
        }
    }

    fn encode(&mut self, block: &[f32; BLOCK], captured_at: Instant) -> Option<Packet> {
        let real = SoundTime::since(self.epoch, captured_at);
        let stamp = match self.stamp {
            Some(stamp) if stamp.samples_since(real).abs() <= OFF_MOST => stamp,
            Some(_) | None => {
                self.encoder.clear();
                self.was_silent = true;
                real
            }
        };
        self.stamp = Some(stamp.plus(BLOCK as u32));
        let result = self.encoder.encode(block);
        let data = match result {
            Ok(data) => Bytes::copy_from_slice(data?),
            Err(error) => {
                tracing::warn!(%error, "10 ms of sound are lost");
                return None;
            }
        };
        if data.is_empty() {
            self.was_silent = true;
            return None;
        }
        let samples = farwheel_proto::sound::opus::samples(&data).unwrap_or(BLOCK) as u32;
        let begins = std::mem::take(&mut self.was_silent);
        let lasts = Duration::from_secs_f64(f64::from(samples) / f64::from(RATE));
        // What was gathered began that much before the end of this block.
        let media_time = stamp.plus((BLOCK as u32).wrapping_sub(samples));
        Some(Packet { media_time, data, begins, lasts })
    }

    fn pause(&mut self) {
        self.stamp = None;
        self.was_silent = true;
        self.encoder.clear();
    }
}

/// How long the speaker test sounds.
pub const CHIME_LASTS: Duration = Duration::from_millis(900);
/// Samples of that.
const CHIME: usize = RATE as usize * CHIME_LASTS.as_millis() as usize / 1000;

/// The speaker test: three notes that ring out.
fn chime(sample: usize) -> f32 {
    let mut sum = 0.0;
    for (n, hertz) in [523.25_f32, 659.26, 783.99].into_iter().enumerate() {
        let begin = n * RATE as usize / 5;
        if sample >= begin {
            let t = (sample - begin) as f32 / RATE as f32;
            let swell = (t / 0.005).min(1.0) * (-t * 6.0).exp();
            sum += (std::f32::consts::TAU * hertz * t).sin() * swell * 0.2;
        }
    }
    // The last note has not quite rung out.
    let end = (CHIME.saturating_sub(sample)) as f32 / (0.05 * RATE as f32);
    sum * end.min(1.0)
}

#[cfg(test)]
mod tests;
