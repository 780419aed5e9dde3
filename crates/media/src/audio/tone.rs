//! Tones that a call makes before it is one.

use std::f32::consts::TAU;

use farwheel_proto::sound::{BLOCK, RATE};

/// What sounds again and again until it is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tone {
    /// Somebody rings: two soft runs upwards, then a rest, so loud, [0, 1].
    Ring(f32),
    /// It rings at the other end: 425 Hz, a second of every five (ETSI TR 101 041-2, as most of Europe has it).
    Ringback,
}

/// A tone under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Player {
    tone: Tone,
    at: usize,
}

impl Player {
    pub(crate) fn new(tone: Tone) -> Self {
        Self { tone, at: 0 }
    }

    /// Adds the next 10 ms.
    pub(crate) fn mix(&mut self, mix: &mut [f32; BLOCK]) {
        for (n, mixed) in mix.iter_mut().enumerate() {
            *mixed += self.tone.sample(self.at + n);
        }
        self.at = (self.at + BLOCK) % self.tone.period();
    }
}

impl Tone {
    /// Samples after which it begins again; a number of whole blocks.
    const fn period(self) -> usize {
        match self {
            Self::Ring(_) => 3 * RATE as usize,
            Self::Ringback => 5 * RATE as usize,
        }
    }

    fn sample(self, at: usize) -> f32 {
        let t = at as f32 / RATE as f32;
        match self {
            Self::Ring(loud) => {
                let notes = RUNS.iter().flat_map(|begin| NOTES.iter().map(move |note| (begin, note)));
                let sum: f32 = notes
                    .filter_map(|(begin, (after, hertz))| {
                        let t = t - begin - after;
                        // It has rung out after a second.
                        (0.0..1.0).contains(&t).then(|| {
                            let swell = (t / 0.008).min(1.0) * (-t * 5.0).exp() * (1.0 - t);
                            // A little of the octave above makes it a bell's.
                            ((TAU * hertz * t).sin() + 0.3 * (TAU * 2.0 * hertz * t).sin()) * swell
                        })
                    })
                    .sum();
                sum * 0.25 * loud.clamp(0.0, 1.0)
            }
            Self::Ringback if t < 1.0 => {
                let edge = (t / 0.01).min((1.0 - t) / 0.01).min(1.0);
                (TAU * 425.0 * t).sin() * edge * 0.06
            }
            Self::Ringback => 0.0,
        }
    }
}

/// When each run begins, in seconds.
const RUNS: [f32; 2] = [0.0, 0.75];
/// Seconds after the beginning of a run, and the pitch: A, C sharp, E, A.
const NOTES: [(f32, f32); 4] = [(0.0, 440.0), (0.12, 554.37), (0.24, 659.26), (0.36, 880.0)];

#[cfg(test)]
mod tests {
    use super::*;

    fn second(player: &mut Player) -> Vec<f32> {
        let mut all = Vec::new();
        for _ in 0..100 {
            let mut block = [0.0; BLOCK];
            player.mix(&mut block);
            all.extend(block);
        }
        all
    }

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |most, x| most.max(x.abs()))
    }

    #[test]
    fn a_ring_repeats_after_a_rest_without_a_click_and_as_loud_as_asked() {
        for tone in [Tone::Ring(1.0), Tone::Ring(0.5), Tone::Ringback] {
            let mut player = Player::new(tone);
            let seconds = tone.period() / RATE as usize;
            let first: Vec<_> = (0..seconds).flat_map(|_| second(&mut player)).collect();
            let again: Vec<_> = (0..seconds).flat_map(|_| second(&mut player)).collect();
            assert_eq!(first, again, "{tone:?}");
            assert!(peak(&first[first.len() - RATE as usize / 2..]) == 0.0, "{tone:?} rests");
            let step = first.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f32::max);
            assert!(step < 0.1, "{tone:?} clicks: {step}");
            assert!(first[0] == 0.0 && peak(&first) < 1.0, "{tone:?}");
        }
        let loud = |loud| peak(&second(&mut Player::new(Tone::Ring(loud))));
        assert!((loud(1.0) - 2.0 * loud(0.5)).abs() < 1e-3 && loud(1.0) > 0.2);
        assert_eq!(loud(0.0), 0.0);
    }
}
