//! A voice with time marks, and the ear that knows them: how late a mouth is heard, measured through everything between.
//!
//! A mark is a chirp that begins at each whole second of the machine's monotonic clock, which all processes share. So who
//! hears it knows how late it is, up to a second, without being told anything.

use std::f64::consts::TAU;
use std::time::Duration;

use farwheel_proto::sound::RATE;

/// Length of a mark in seconds: long enough to stand out after a codec, short enough for a tenth of a millisecond.
const MARK: f64 = 0.03;
/// It sweeps over the band of telephones, which every codec and cleaning lets through.
const SWEEP: (f64, f64) = (500.0, 3500.0);
/// So long before and after a mark the voice is silent, in seconds.
const REST: f64 = 0.05;

/// The sample of the test voice at this time of the monotonic clock; its peak is 0.5.
pub(super) fn voice(nanos: u64) -> f32 {
    let second = (nanos % 1_000_000_000) as f64 * 1e-9;
    if second < MARK {
        return mark(second) as f32;
    }
    if !(MARK + REST..=1.0 - REST).contains(&second) {
        return 0.0;
    }
    speech((nanos / 1_000_000) as f64 * 1e-3 + (nanos % 1_000_000) as f64 * 1e-9) as f32
}

fn mark(t: f64) -> f64 {
    let phase = SWEEP.0 * t + (SWEEP.1 - SWEEP.0) * t * t / (2.0 * MARK);
    // Its edges are soft, or they would be clicks.
    let edge = (t.min(MARK - t) / 0.003).clamp(0.0, 1.0);
    (TAU * phase).sin() * 0.5 * edge
}

/// Something like speech: four syllables a second on a gliding pitch, each with vowels' resonances, with pauses.
fn speech(t: f64) -> f64 {
    let syllable = (t * 4.0).floor();
    let within = (t * 4.0).fract();
    if syllable as u64 % 11 > 7 {
        return 0.0;
    }
    let loud = (within * std::f64::consts::PI).sin().powf(0.7);
    let vowel = (syllable as u64 * 7 % 5) as f64;
    let (first, second) = (350.0 + 110.0 * vowel, 900.0 + 380.0 * ((vowel * 3.0) % 5.0));
    // The pitch glides slowly; its phase is the integral, so it never jumps.
    let phase = 130.0 * t - 130.0 * 0.12 / (TAU * 0.4) * (TAU * 0.4 * t).cos();
    let mut sum = 0.0;
    for k in 1..24 {
        let hertz = 130.0 * f64::from(k);
        let resonance = |at: f64, width: f64| 1.0 / (1.0 + ((hertz - at) / width).powi(2));
        let weight = resonance(first, 90.0) + 0.6 * resonance(second, 120.0) + 0.02;
        sum += weight * (TAU * phase * f64::from(k)).sin();
    }
    (sum * loud * 0.11).clamp(-0.5, 0.5)
}

/// A mark that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How late it came, up to a second.
    pub late: Duration,
}

/// The ear looks at every fourth sample only: the marks have nothing above 3.5 kHz.
const COARSE: usize = 4;
/// How alike the sound and a mark must be (normalised correlation).
const ALIKE: f32 = 0.6;

/// Listens for marks.
#[derive(Debug)]
pub(super) struct Ear {
    mark: Vec<f32>,
    sound: Vec<f32>,
    gathered: (f32, usize),
    /// Time of the first sample of `sound`, in nanoseconds.
    begins_at: u64,
}

impl Default for Ear {
    fn default() -> Self {
        let rate = f64::from(RATE) / COARSE as f64;
        let count = (MARK * rate) as usize;
        let mark = (0..count).map(|n| mark((n as f64 + 0.5) / rate) as f32).collect();
        Self { mark, sound: Vec::with_capacity(2 * rate as usize), gathered: (0.0, 0), begins_at: 0 }
    }
}

impl Ear {
    /// Takes sound at 48 kHz whose first sample is heard at this time of the monotonic clock; gives the marks in it.
    pub(super) fn hear(&mut self, nanos: u64, samples: &[f32]) -> Vec<Heard> {
        if self.sound.is_empty() {
            self.begins_at = nanos;
        }
        for sample in samples {
            self.gathered.0 += sample / COARSE as f32;
            self.gathered.1 += 1;
            if self.gathered.1 == COARSE {
                self.sound.push(self.gathered.0);
                self.gathered = (0.0, 0);
            }
        }
        let rate = RATE as usize / COARSE;
        let mut heard = Vec::new();
        // A second and a mark more, so that each mark is whole in one of the pieces.
        while self.sound.len() >= rate + self.mark.len() {
            if let Some(place) = self.loudest(rate) {
                let at = self.begins_at + place as u64 * 1_000_000_000 / rate as u64;
                heard.push(Heard { late: Duration::from_nanos(at % 1_000_000_000) });
            }
            self.sound.drain(..rate);
            self.begins_at += 1_000_000_000;
        }
        // The two clocks stay together however the caller counts.
        let ahead = self.sound.len() as u64 * 1_000_000_000 / rate as u64;
        let now = nanos + samples.len() as u64 * 1_000_000_000 / u64::from(RATE);
        self.begins_at = now.saturating_sub(ahead);
        heard
    }

    /// Where in the first `places` a mark is.
    fn loudest(&self, places: usize) -> Option<usize> {
        let own = self.mark.iter().map(|x| x * x).sum::<f32>();
        let count = self.mark.len();
        let mut power = self.sound[..count].iter().map(|x| x * x).sum::<f32>();
        let (mut best, mut at) = (ALIKE, None);
        for place in 0..places {
            // Less than -60 dBFS is nothing.
            if power > count as f32 * 1e-6 {
                let cross: f32 = self.mark.iter().zip(&self.sound[place..]).map(|(a, b)| a * b).sum();
                // A microphone may turn the sign.
                let alike = cross.abs() / (own * power).sqrt();
                if alike > best {
                    (best, at) = (alike, Some(place));
                }
            }
            power = (power + self.sound[place + count].powi(2) - self.sound[place].powi(2)).max(0.0);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(sample: u64) -> u64 {
        sample * 1_000_000_000 / u64::from(RATE)
    }

    #[test]
    fn the_ear_tells_how_late_a_mark_is_to_a_fifth_of_a_millisecond() {
        for late_us in [0_u64, 100, 12_345, 80_000, 500_000, 960_000] {
            let mut ear = Ear::default();
            let mut heard = Vec::new();
            let begin = 7_300_000_000_u64;
            for block in 0..400_u64 {
                let at = begin + block * 10_000_000;
                let sound: Vec<f32> =
                    (0..480).map(|n| voice(at + nanos(n) - late_us * 1000) * -0.3).collect();
                heard.extend(ear.hear(at, &sound));
            }
            assert!((3..=4).contains(&heard.len()), "{late_us} us: {heard:?}");
            for mark in heard {
                let off =
                    (mark.late.as_micros() as i64 - late_us as i64 + 500_000).rem_euclid(1_000_000) - 500_000;
                assert!(off.abs() < 200, "{late_us} us: {mark:?}");
            }
        }
    }

    #[test]
    fn silence_and_speech_without_marks_are_no_mark() {
        let mut ear = Ear::default();
        for block in 0..500_u64 {
            assert_eq!(ear.hear(block * 10_000_000, &[0.0; 480]), []);
        }
        let mut ear = Ear::default();
        let mut wrong = 0;
        for block in 0..3000_u64 {
            let sound: Vec<f32> =
                (0..480).map(|n| speech((block * 480 + n) as f64 / f64::from(RATE)) as f32).collect();
            wrong += ear.hear(block * 10_000_000, &sound).len();
        }
        assert_eq!(wrong, 0);
    }
}
