//! How loud it is, and whether somebody speaks.

use super::BLOCK;

/// Blocks that a level stands for: 100 ms.
const BLOCKS: usize = 10;
/// How much louder than what is always there speech is: 9 dB, in power.
const ABOVE: f32 = 8.0;
/// What is softer than this is no speech, in power: -50 dBFS.
const SOFT: f32 = 1e-5;
/// Of the last 100 ms so many blocks must be loud for speech to begin: a click is shorter.
const BEGIN: u32 = 4;
/// Blocks for which speech lasts after the last loud one: pauses between words, 300 ms.
const HANG: u32 = 30;
/// How fast what is always there is believed to grow, per block: 3 dB a second.
const GROWTH: f32 = 1.006_93;

/// Loudness of the last 100 ms, and whether somebody speaks.
#[derive(Clone, Debug)]
pub struct Speech {
    powers: [f32; BLOCKS],
    next: usize,
    floor: f32,
    loud: u16,
    left: u32,
}

impl Default for Speech {
    fn default() -> Self {
        Self { powers: [0.0; BLOCKS], next: 0, floor: SOFT, loud: 0, left: 0 }
    }
}

impl Speech {
    /// Takes 10 ms.
    pub fn handle_block(&mut self, block: &[f32; BLOCK]) {
        let power = block.iter().map(|x| x * x).sum::<f32>() / BLOCK as f32;
        let power = if power.is_finite() { power } else { 0.0 };
        self.powers[self.next] = power;
        self.next = (self.next + 1) % BLOCKS;
        // The floor falls at once and rises slowly, so a voice does not become its own floor within a sentence.
        self.floor =
            if power < self.floor { power } else { (self.floor * GROWTH).min(power) }.max(SOFT / ABOVE);
        let is_loud = power > self.floor * ABOVE && power > SOFT;
        self.loud = (self.loud << 1 | u16::from(is_loud)) & ((1 << BLOCKS) - 1);
        let begins = self.loud.count_ones() >= BEGIN;
        self.left = if begins || is_loud && self.left > 0 { HANG } else { self.left.saturating_sub(1) };
    }

    /// Effective value of the last 100 ms, 1 is full scale.
    pub fn level(&self) -> f32 {
        (self.powers.iter().sum::<f32>() / BLOCKS as f32).sqrt().min(1.0)
    }

    /// Whether somebody speaks.
    pub fn speaks(&self) -> bool {
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hum of so many dBFS for so many blocks; gives how many of them count as speech.
    fn feed(speech: &mut Speech, dbfs: f32, blocks: usize) -> usize {
        let peak = 10.0_f32.powf(dbfs / 20.0) * 2.0_f32.sqrt();
        let mut block = [0.0; BLOCK];
        for (n, x) in block.iter_mut().enumerate() {
            *x = peak * (n as f32 * 0.1309).sin();
        }
        (0..blocks)
            .filter(|_| {
                speech.handle_block(&block);
                speech.speaks()
            })
            .count()
    }

    #[test]
    fn the_level_is_that_of_the_last_100_ms() {
        let mut speech = Speech::default();
        feed(&mut speech, -20.0, 10);
        assert!((speech.level() - 0.1).abs() < 0.005, "{}", speech.level());
        feed(&mut speech, -100.0, 10);
        assert!(speech.level() < 1e-4);
    }

    #[test]
    fn words_are_speech_clicks_and_a_fan_are_not() {
        let mut speech = Speech::default();
        feed(&mut speech, -70.0, 100);
        assert_eq!(feed(&mut speech, -30.0, 3) + feed(&mut speech, -70.0, 100), 0, "a click");
        assert!(feed(&mut speech, -30.0, 50) >= 46, "a word");
        let after = feed(&mut speech, -70.0, 100);
        assert!((25..=45).contains(&after), "{after}");
        feed(&mut speech, -40.0, 2000);
        assert_eq!(feed(&mut speech, -40.0, 500), 0, "a fan that goes on");
        assert!(feed(&mut speech, -25.0, 50) >= 46, "a word over the fan");
    }

    #[test]
    fn a_sentence_with_pauses_is_speech_from_end_to_end() {
        let mut speech = Speech::default();
        feed(&mut speech, -65.0, 200);
        feed(&mut speech, -25.0, 10);
        for _ in 0..20 {
            assert_eq!(feed(&mut speech, -25.0, 25) + feed(&mut speech, -60.0, 20), 45);
        }
    }

    #[test]
    fn nonsense_is_silence() {
        let mut speech = Speech::default();
        speech.handle_block(&[f32::NAN; BLOCK]);
        speech.handle_block(&[f32::INFINITY; BLOCK]);
        assert_eq!((speech.level(), speech.speaks()), (0.0, false));
    }
}
