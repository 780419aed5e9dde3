//! Somebody who talks: vowels on a moving pitch, hisses and pauses, the same in each run.

use std::f64::consts::{PI, TAU};

use farwheel_proto::sound::RATE;

/// A talker; two with different pitch and seed say different things.
#[derive(Clone, Debug)]
pub struct Talker {
    pitch: f64,
    state: u64,
    /// Samples left of what is said now, and how long it is.
    left: usize,
    length: usize,
    sound: Sound,
    phase: f64,
    glide: f64,
    hiss: [f64; 2],
}

#[derive(Clone, Copy, Debug)]
enum Sound {
    Pause,
    Hiss,
    Vowel([f64; 3]),
}

/// Resonances of five vowels in hertz (Peterson and Barney 1952, men).
const VOWELS: [[f64; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];

impl Talker {
    /// A voice with this pitch in hertz.
    pub fn new(pitch: f64, seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { pitch, state, left: 0, length: 0, sound: Sound::Pause, phase: 0.0, glide: 0.0, hiss: [0.0; 2] }
    }

    /// An even spread over [0, 1).
    fn chance(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn go_on(&mut self) {
        let talks_on = self.chance() < 0.85;
        let (sound, seconds) = match self.sound {
            Sound::Hiss => {
                let vowel = VOWELS[(self.chance() * 5.0) as usize % 5];
                (Sound::Vowel(vowel), 0.12 + 0.13 * self.chance())
            }
            Sound::Vowel(_) | Sound::Pause if talks_on => (Sound::Hiss, 0.04 + 0.05 * self.chance()),
            Sound::Vowel(_) | Sound::Pause => (Sound::Pause, 0.15 + 0.35 * self.chance()),
        };
        self.glide = (self.chance() - 0.5) * 0.3;
        self.length = (seconds * f64::from(RATE)) as usize;
        (self.sound, self.left) = (sound, self.length);
    }

    /// The next sample; its peak is about 0.5.
    pub fn sample(&mut self) -> f32 {
        if self.left == 0 {
            self.go_on();
        }
        let within = 1.0 - self.left as f64 / self.length as f64;
        self.left -= 1;
        let swell = (within * PI).sin().sqrt();
        let noise = self.chance() - 0.5;
        // A hiss has little below 2 kHz.
        let high = noise - 1.6 * self.hiss[0] + 0.68 * self.hiss[1];
        self.hiss = [noise, self.hiss[0]];
        let sample = match self.sound {
            Sound::Pause => 0.0,
            Sound::Hiss => high * swell * 0.06,
            Sound::Vowel(resonances) => {
                let pitch = self.pitch * (1.0 + self.glide * within);
                self.phase = (self.phase + pitch / f64::from(RATE)).fract();
                let mut sum = 0.0;
                for k in 1..=(4500.0 / pitch) as usize {
                    let hertz = pitch * k as f64;
                    let weight: f64 = resonances
                        .iter()
                        .zip([1.0, 0.5, 0.25])
                        .map(|(at, much)| much / (1.0 + ((hertz - at) / 100.0).powi(2)))
                        .sum();
                    sum += (weight + 0.01) * (TAU * self.phase * k as f64).sin();
                }
                sum * swell * 0.13 + high * 0.002
            }
        };
        sample.clamp(-0.5, 0.5) as f32
    }

    /// The next samples.
    pub fn take(&mut self, samples: usize) -> Vec<f32> {
        (0..samples).map(|_| self.sample()).collect()
    }
}
