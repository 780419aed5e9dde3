//! How good the sound is, measured in virtual time: echo in a simulated room, and links that lose and delay packets.
//!
//! Tests hold the bounds; `cargo xtask bench sound` prints the figures.

pub mod echo;
pub mod link;
mod room;
pub mod talker;

/// The value that this part of all values stays below.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64 * part).round() as usize).min(last)).copied().unwrap_or(f64::NAN)
}

/// A power as decibels.
pub fn decibels(power: f64) -> f64 {
    10.0 * power.max(1e-20).log10()
}

/// The sum of products; in lanes, for one sum after the other would take eight times as long.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (a, b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
