//! What becomes of the echo of a loudspeaker, and of who speaks over it.

use std::time::{Duration, Instant};

use farwheel_proto::sound::{BLOCK, RATE};

use super::super::clean::{Cleaner, Cleaning};
use super::room;
use super::talker::Talker;
use super::{decibels, quantile};

/// What a canceller is measured on.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Reverberation of the room in seconds.
    pub reverberation: f64,
    /// How much louder than the echo the near speaker is, in dB.
    pub near_db: f64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// By how much the echo is softer behind the canceller than in the microphone, in dB, once it knows the room.
    pub erle_db: f64,
    /// Seconds until the echo was 20 dB softer.
    pub settled_s: f64,
    /// How much softer the near speaker is while both speak, in dB.
    pub near_loss_db: f64,
    /// Share of the 100 ms in which the near speaker is louder than the echo, but comes out softer by more than 10 dB.
    pub near_cut: f64,
    /// Mean time for 10 ms of sound.
    pub spent: Duration,
}

/// Seconds of each part: the far one alone, and both.
const ALONE: usize = 6;
const BOTH: usize = 6;
/// From being handed to the cleaner until it is back from the speaker: what the rings take.
const RINGS: usize = 36 * 48;

/// Lets somebody far talk for 6 s, then both for 6 s.
pub fn measure(scene: Scene) -> Figures {
    let total = (ALONE + BOTH) * RATE as usize;
    let far = Talker::new(118.0, 3).take(total);
    let answer = room::answer(scene.reverberation);
    let mut played = vec![0.0; RINGS];
    played.extend_from_slice(&far[..total - RINGS]);
    let echo = room::through(&answer, &played);
    let near_gain = (power(&echo) * 10.0_f64.powf(scene.near_db / 10.0)).sqrt();
    let mut near = vec![0.0; ALONE * RATE as usize];
    near.extend(Talker::new(205.0, 8).take(BOTH * RATE as usize));
    let near_gain = (near_gain / power(&near[ALONE * RATE as usize..]).sqrt()) as f32;
    near.iter_mut().for_each(|x| *x *= near_gain);

    let only_echo = Cleaning { echo: true, noise: false, gain: false };
    let mut cleaner = Cleaner::new(only_echo);
    // A twin that hears the near speaker alone tells what it would be without any echo.
    let mut twin = Cleaner::new(only_echo);
    let (mut out, mut wanted, mut spent) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut seed = 1_u32;
    for block in 0..total / BLOCK {
        let range = block * BLOCK..(block + 1) * BLOCK;
        let played: [f32; BLOCK] = far[range.clone()].try_into().expect("a block");
        let mut hush = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 8) as f32 / 8_388_608.0 - 1.0) * 3e-4
        };
        let noise: [f32; BLOCK] = std::array::from_fn(|_| hush());
        let mut taken: [f32; BLOCK] =
            std::array::from_fn(|n| echo[range.start + n] + near[range.start + n] + noise[n]);
        let mut alone: [f32; BLOCK] = std::array::from_fn(|n| near[range.start + n] + noise[n]);
        let began = Instant::now();
        cleaner.handle_played(&played);
        cleaner.clean(&mut taken, Duration::from_millis(36));
        spent += began.elapsed();
        twin.handle_played(&[0.0; BLOCK]);
        twin.clean(&mut alone, Duration::from_millis(36));
        out.extend(taken);
        wanted.extend(alone);
    }
    let second = |n: usize| n * RATE as usize..(n + 1) * RATE as usize;
    let erle = |range: std::ops::Range<usize>| decibels(power(&echo[range.clone()]) / power(&out[range]));
    let settled = (0..ALONE).find(|n| erle(second(*n)) > 20.0).map_or(f64::NAN, |n| (n + 1) as f64);
    let tenth = RATE as usize / 10;
    let from = ALONE * RATE as usize;
    let (mut losses, mut louder, mut cut) = (Vec::new(), 0, 0);
    let loud = power(&wanted[from..]) * 0.1;
    for start in (from..total - tenth).step_by(tenth) {
        let range = start..start + tenth;
        let (near, echo) = (power(&wanted[range.clone()]), power(&echo[range.clone()]));
        if near > loud && near > echo {
            louder += 1;
            cut += u32::from(power(&out[range.clone()]) < near * 0.1);
            losses.push(loss(&wanted[range.clone()], &out[range]));
        }
    }
    Figures {
        erle_db: erle(ALONE / 2 * RATE as usize..from),
        settled_s: settled,
        near_loss_db: quantile(&losses, 0.5),
        near_cut: f64::from(cut) / f64::from(louder.max(1)),
        spent: spent / (total / BLOCK) as u32,
    }
}

/// How much softer `wanted` is within `out`, in dB: by the part of `out` that is like it.
fn loss(wanted: &[f32], out: &[f32]) -> f64 {
    let cross: f64 = wanted.iter().zip(out).map(|(a, b)| f64::from(a * b)).sum();
    let own: f64 = wanted.iter().map(|x| f64::from(x * x)).sum();
    -2.0 * decibels((cross / own).max(1e-3)).min(0.0)
}

fn power(sound: &[f32]) -> f64 {
    sound.iter().map(|x| f64::from(x * x)).sum::<f64>() / sound.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_30_db_softer_and_who_speaks_over_it_is_not_cut() {
        let figures = measure(Scene { reverberation: 0.2, near_db: 6.0 });
        println!("{figures:.2?}");
        assert!(figures.erle_db >= 30.0, "{figures:?}");
        assert!(figures.settled_s <= 3.0, "{figures:?}");
        assert!(figures.near_loss_db < 6.0 && figures.near_cut < 0.2, "{figures:?}");
    }
}
