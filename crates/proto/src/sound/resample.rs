//! From one clock to another: samples at one rate become samples at another, which may be nudged as it goes.

use std::f64::consts::PI;

/// Zero crossings of the kernel on each side, at the lower of both rates: 16 of them, with the window below, pass 90 % of
/// the band and let 80 dB less of anything beyond it through. They delay the sound by 0.33 ms at 48 kHz.
const CROSSINGS: f64 = 16.0;
/// Positions between two samples for which the kernel is stored; between them it is interpolated, 96 dB exact.
const PHASES: usize = 256;
/// Part of the lower rate's band that is kept.
const BAND: f64 = 0.92;
/// Shape of the Kaiser window.
const BETA: f64 = 8.0;

/// Makes samples at one rate from samples at another, by a windowed sinc.
///
/// Nothing is allocated after [`new`](Self::new) as long as each [`push`](Self::push) has at most the number of samples
/// that was promised there, and what can be pulled is pulled in between.
#[derive(Debug)]
pub struct Resampler {
    /// Weights of `2 * half` samples for each phase, and for the one after the last.
    kernel: Vec<f32>,
    half: usize,
    input: Vec<f32>,
    /// Where the next output lies, in input samples from the start of `input`.
    position: f64,
    nominal: f64,
    step: f64,
}

impl Resampler {
    /// From one rate to another; `most` samples are pushed at once at most.
    pub fn new(from: u32, to: u32, most: usize) -> Self {
        let nominal = f64::from(from.max(1)) / f64::from(to.max(1));
        let cut = BAND * (1.0 / nominal).min(1.0);
        let half = (CROSSINGS / cut.min(1.0)).ceil() as usize;
        let mut kernel = Vec::with_capacity((PHASES + 1) * 2 * half);
        for phase in 0..=PHASES {
            let from = kernel.len();
            for tap in 0..2 * half {
                // Distance of this tap's sample from the output, in input samples.
                let x = tap as f64 - (half as f64 - 1.0) - phase as f64 / PHASES as f64;
                kernel.push((cut * sinc(cut * x) * kaiser(x / half as f64)) as f32);
            }
            // Every phase passes a constant unchanged.
            let sum: f32 = kernel[from..].iter().sum();
            kernel[from..].iter_mut().for_each(|weight| *weight /= sum);
        }
        let mut input = Vec::with_capacity(4 * half + 4 * most + 64);
        input.resize(half, 0.0);
        Self { kernel, half, input, position: half as f64, nominal, step: nominal }
    }

    /// Makes the output longer (positive) or shorter by this part; at most 5 %.
    pub fn set_slowdown(&mut self, part: f64) {
        self.step = self.nominal / (1.0 + part.clamp(-0.05, 0.05));
    }

    /// Takes input.
    pub fn push(&mut self, samples: &[f32]) {
        let passed = (self.position as usize).saturating_sub(self.half);
        if passed > 0 {
            self.input.copy_within(passed.., 0);
            self.input.truncate(self.input.len() - passed);
            self.position -= passed as f64;
        }
        self.input.extend_from_slice(samples);
    }

    /// How many samples can be pulled now.
    pub fn ready(&self) -> usize {
        let end = self.input.len() as f64 - self.half as f64;
        let count = ((end - self.position) / self.step).ceil().max(0.0) as usize;
        // Rounding may have it one off.
        if count > 0 && self.lacks(count) > 0 { count - 1 } else { count }
    }

    /// How much input the next `count` samples lack.
    pub fn lacks(&self, count: usize) -> usize {
        let last = self.position + count.saturating_sub(1) as f64 * self.step;
        (last as usize + self.half + 1).saturating_sub(self.input.len())
    }

    /// Fills as much of `output` as there is input for, and says how much that was.
    pub fn pull(&mut self, output: &mut [f32]) -> usize {
        let count = self.ready().min(output.len());
        for (n, out) in output[..count].iter_mut().enumerate() {
            *out = self.at(self.position + n as f64 * self.step);
        }
        self.position += count as f64 * self.step;
        count
    }

    /// Forgets what is inside, as if it was made anew.
    pub fn clear(&mut self) {
        self.input.clear();
        self.input.resize(self.half, 0.0);
        self.position = self.half as f64;
    }

    fn at(&self, position: f64) -> f32 {
        let whole = position as usize;
        let phase = (position - whole as f64) * PHASES as f64;
        let (below, part) = (phase as usize, (phase - phase.floor()) as f32);
        let taps = 2 * self.half;
        let samples = &self.input[whole + 1 - self.half..][..taps];
        let weights = &self.kernel[below * taps..][..2 * taps];
        let (first, second) = weights.split_at(taps);
        // In lanes: one sum after the other would take four times as long.
        let mut lanes = [0.0_f32; 4];
        let (samples, first, second) =
            (samples.chunks_exact(4), first.chunks_exact(4), second.chunks_exact(4));
        let mut sum = 0.0;
        for ((sample, first), second) in
            samples.remainder().iter().zip(first.remainder()).zip(second.remainder())
        {
            sum += sample * (first + (second - first) * part);
        }
        for ((samples, first), second) in samples.zip(first).zip(second) {
            for (n, lane) in lanes.iter_mut().enumerate() {
                *lane += samples[n] * (first[n] + (second[n] - first[n]) * part);
            }
        }
        sum + lanes.iter().sum::<f32>()
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 { 0.0 } else { bessel(BETA * (1.0 - x * x).sqrt()) / bessel(BETA) }
}

/// The modified Bessel function of the first kind and order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone goes through in pieces of 10 ms; the result is compared with the tone itself at the output's rate.
    fn check(from: u32, to: u32, hertz: f64, want_db: f64) {
        let piece = from as usize / 100;
        let mut resampler = Resampler::new(from, to, piece);
        let (mut output, mut block) = (Vec::new(), vec![0.0; to as usize / 100 + 8]);
        for n in 0..100 {
            let tone: Vec<f32> = (0..piece)
                .map(|i| ((n * piece + i) as f64 / f64::from(from) * hertz * 2.0 * PI).sin() as f32)
                .collect();
            resampler.push(&tone);
            let count = resampler.pull(&mut block);
            output.extend_from_slice(&block[..count]);
            assert_eq!(resampler.ready(), 0, "all of it comes out");
        }
        let late = output.len() as f64 - f64::from(to);
        let longest = 20.0 * f64::from(to.max(from)) / f64::from(from);
        assert!((-longest..=0.0).contains(&late), "{from} to {to}: {late} samples");
        let (mut wanted, mut error) = (0.0, 0.0);
        for (n, got) in output.iter().enumerate().skip(to as usize / 10) {
            let want = (n as f64 / f64::from(to) * hertz * 2.0 * PI).sin();
            wanted += want * want;
            error += (want - f64::from(*got)).powi(2);
        }
        let db = 10.0 * (wanted / error).log10();
        assert!(db > want_db, "{from} to {to} at {hertz} Hz: {db:.1} dB");
    }

    #[test]
    fn a_tone_keeps_its_pitch_its_phase_and_its_level() {
        for (from, to) in
            [(48_000, 48_000), (44_100, 48_000), (48_000, 44_100), (16_000, 48_000), (96_000, 48_000)]
        {
            check(from, to, 997.0, 70.0);
            check(from, to, 5001.0, 70.0);
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_taken_out() {
        let mut resampler = Resampler::new(96_000, 48_000, 96_000);
        let tone: Vec<f32> =
            (0..96_000).map(|n| (n as f64 / 96_000.0 * 30_000.0 * 2.0 * PI).sin() as f32).collect();
        resampler.push(&tone);
        let mut output = vec![0.0; 48_000];
        let count = resampler.pull(&mut output);
        let loudest = output[2000..count - 2000].iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest < 3e-4, "30 kHz comes through at {loudest}");
    }

    #[test]
    fn a_nudge_changes_the_length_by_just_that_part() {
        let mut resampler = Resampler::new(48_000, 48_000, 480);
        resampler.set_slowdown(0.001);
        let (mut total, mut block) = (0, vec![0.0; 600]);
        for _ in 0..1000 {
            resampler.push(&[0.0; 480]);
            total += resampler.pull(&mut block);
        }
        assert!((480_440..480_490).contains(&total), "{total}");
    }

    #[test]
    fn what_it_says_it_lacks_is_what_it_lacks() {
        let mut resampler = Resampler::new(44_100, 48_000, 600);
        let mut block = vec![0.0; 480];
        for _ in 0..500 {
            let lacks = resampler.lacks(480);
            if lacks > 0 {
                resampler.push(&vec![0.1; lacks - 1]);
                assert!(resampler.ready() < 480);
                resampler.push(&[0.1]);
            }
            assert_eq!(resampler.pull(&mut block), 480);
        }
    }
}
