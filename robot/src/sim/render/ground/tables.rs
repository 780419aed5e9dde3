//! What the ground is coloured from: tables across the road, grain and patches.

use super::super::super::geometry::{Seeded, smoothstep};
use super::super::super::track::KERB_WIDTH;
use super::super::colour::{self, Colour};
use super::{LEVELS, REACH, TILE};

/// The colour at each distance from the centre line, in several widths of blur.
pub(super) struct Table {
    /// Luma, blue and red difference, and how much of it is grass (0 to 255), from the lowest byte.
    pub(super) levels: Vec<Vec<u32>>,
}

impl Table {
    /// Across a road of `half` width with kerbs of this colour, or without.
    pub(super) fn across(half: f32, kerb: Option<Colour>) -> Self {
        let profile: Vec<(Colour, f32)> =
            (-REACH..REACH).map(|mm| profile(mm.unsigned_abs() as f32 / 1000.0, half, kerb)).collect();
        Self::new(&profile)
    }

    /// Blurs `profile`, one colour per millimetre across the road.
    fn new(profile: &[(Colour, f32)]) -> Self {
        let mut sums = vec![[0.0f64; 4]];
        for (c, grass) in profile {
            let last = sums[sums.len() - 1];
            let add = [c.y, c.u, c.v, grass * 255.0];
            sums.push([0, 1, 2, 3].map(|k| last[k] + f64::from(add[k])));
        }
        let count = profile.len() as i64;
        let levels = (0..LEVELS)
            .map(|level| {
                let texel = 1i64 << level;
                (0..count / texel)
                    .map(|i| {
                        let middle = i * texel + texel / 2;
                        let low = (middle - 2 * texel).clamp(0, count);
                        let high = (middle + 2 * texel).clamp(low + 1, count);
                        let (a, b) = (sums[low as usize], sums[high as usize]);
                        u32::from_le_bytes(
                            [0, 1, 2, 3].map(|k| ((b[k] - a[k]) / (high - low) as f64 + 0.5) as u8),
                        )
                    })
                    .collect()
            })
            .collect();
        Self { levels }
    }

    pub(super) fn at(&self, level: usize, lateral_mm: i32) -> u32 {
        let index = ((lateral_mm.clamp(-REACH, REACH - 1) + REACH) >> level) as usize;
        self.levels[level][index]
    }
}

/// Colour and share of grass at `across` metres from the centre line.
fn profile(across: f32, half: f32, kerb: Option<Colour>) -> (Colour, f32) {
    let outside = across - half;
    if outside < 0.0 {
        if (-0.17..-0.06).contains(&outside) {
            return (colour::PAINT, 0.0);
        }
        // Rubber where wheels run, dust at the edges.
        let groove = (-((across - 0.55) / 0.42).powi(2)).exp();
        let dust = smoothstep(half - 0.9, half, across) * 0.12;
        let road = colour::ASPHALT.mix(colour::RUBBER, groove * 0.9).mix(colour::VERGE, dust);
        return (road, 0.0);
    }
    match kerb {
        Some(paint) if outside < KERB_WIDTH => {
            // The tooth rises: its inner edge is in shade.
            (paint.lit(0.86 + 0.14 * smoothstep(0.0, 0.12, outside)), 0.0)
        }
        Some(_) => {
            let worn = 1.0 - smoothstep(KERB_WIDTH, KERB_WIDTH + 0.22, outside);
            (colour::GRASS.mix(colour::VERGE, worn * 0.8), 1.0)
        }
        None => {
            let worn = 1.0 - smoothstep(0.0, 0.26, outside);
            (colour::GRASS.mix(colour::VERGE, worn * 0.85), 1.0)
        }
    }
}

/// Fine grain between -128 and 127, without a pattern that the eye could find: one tile, and copies of it below.
pub(super) fn grain() -> Box<[i8; 1 << 16]> {
    let mut random = Seeded::new(11);
    let raw: Vec<f32> = (0..TILE * TILE).map(|_| random.range(-1.0, 1.0)).collect();
    let mut tile = Box::new([0; 1 << 16]);
    for (i, texel) in tile.iter_mut().enumerate() {
        let (x, y) = (i % TILE, i / TILE % TILE);
        let at = |dx: usize, dy: usize| raw[((y + dy) % TILE) * TILE + (x + dx) % TILE];
        let soft = at(0, 0) + 0.6 * (at(1, 0) + at(0, 1)) + 0.35 * at(1, 1);
        *texel = (soft * 60.0).clamp(-127.0, 127.0) as i8;
    }
    tile
}

/// Large soft differences of the grass, -1 to 1.
pub(super) fn patches() -> Vec<f32> {
    let mut random = Seeded::new(13);
    (0..32 * 32).map(|_| random.range(-1.0, 1.0)).collect()
}
