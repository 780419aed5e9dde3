//! How a room answers: the image method for a box (Allen and Berkley 1979).

use farwheel_proto::sound::RATE;

/// Metres that sound travels in a second.
const SPEED: f64 = 343.0;
/// A small office.
const SIZE: [f64; 3] = [4.2, 3.4, 2.6];
/// A laptop on a desk: its speaker, and its microphone 20 cm away.
const SPEAKER: [f64; 3] = [1.9, 1.3, 0.8];
const MICROPHONE: [f64; 3] = [2.1, 1.35, 0.85];

/// The answer of a room whose reverberation falls by 60 dB within `reverberation` seconds, of that length.
pub(super) fn answer(reverberation: f64) -> Vec<f32> {
    let volume: f64 = SIZE.iter().product();
    let surface = 2.0 * (SIZE[0] * SIZE[1] + SIZE[1] * SIZE[2] + SIZE[2] * SIZE[0]);
    // Eyring's formula, for the share of the pressure that a wall gives back.
    let absorbed = 1.0 - (-0.161 * volume / (surface * reverberation)).exp();
    let kept = (1.0 - absorbed).sqrt();
    let length = (reverberation * f64::from(RATE)) as usize;
    let mut answer = vec![0.0_f64; length];
    let reach = |axis: usize| (reverberation * SPEED / (2.0 * SIZE[axis])).ceil() as i32;
    for x in -reach(0)..=reach(0) {
        for y in -reach(1)..=reach(1) {
            for z in -reach(2)..=reach(2) {
                for mirror in 0..8_usize {
                    let (mut distance, mut bounces) = (0.0, 0);
                    for (axis, n) in [x, y, z].into_iter().enumerate() {
                        let turned = mirror >> axis & 1;
                        let sign = if turned == 1 { -1.0 } else { 1.0 };
                        let at = sign * SPEAKER[axis] + 2.0 * f64::from(n) * SIZE[axis];
                        distance += (at - MICROPHONE[axis]).powi(2);
                        bounces += n.unsigned_abs() as i32 + (n - turned as i32).abs();
                    }
                    let distance = distance.sqrt();
                    let place = distance / SPEED * f64::from(RATE);
                    if let Some(sample) = answer.get_mut(place as usize) {
                        *sample += kept.powi(bounces) / (4.0 * std::f64::consts::PI * distance);
                    }
                }
            }
        }
    }
    // A loud speaker: what comes straight is 6 dB below what is played.
    let loudest = answer.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    answer.iter().map(|x| (x / loudest * 0.5) as f32).collect()
}

/// What a microphone hears of `played` through this answer.
pub(super) fn through(answer: &[f32], played: &[f32]) -> Vec<f32> {
    let mut padded = vec![0.0; answer.len() - 1];
    padded.extend_from_slice(played);
    let backwards: Vec<f32> = answer.iter().rev().copied().collect();
    padded.windows(answer.len()).map(|window| super::dot(window, &backwards)).collect()
}
