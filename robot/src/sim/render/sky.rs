//! Sky, sun, clouds and the far hills: everything at infinity.

use std::time::Duration;

use super::super::camera::Lens;
use super::super::geometry::{Seeded, Vec2, Vec3, smoothstep, vec3, wrap_angle};
use super::Picture;
use super::canvas::Canvas;
use super::colour::{self, Colour};

/// Columns between two places where the sky's colour is computed; straight between them.
const STRIDE: usize = 16;
/// The same in rows.
const ROWS: usize = 8;
/// Columns of a ridge that are passed over or filled at once.
const CHUNK: usize = 32;
/// Samples of a ridge around the horizon.
const RIDGE: usize = 1024;

/// Where the sun stands: from east, and above the horizon, in radians.
const SUN_BEARING: f32 = 0.75;
const SUN_HEIGHT: f32 = 0.29;

pub(super) struct Sky {
    ridges: [Ridge; 3],
    clouds: Vec<Cloud>,
    upper: Vec<Colour>,
    lower: Vec<Colour>,
    outlines: [Outline; 3],
    /// For each [`CHUNK`] of columns the row from which a nearer ridge hides all.
    hidden: Vec<f32>,
}

/// Where a ridge appears.
#[derive(Default)]
struct Outline {
    /// For each column the row of its top.
    tops: Vec<f32>,
    /// For each column its light.
    shades: Vec<f32>,
    /// For each [`CHUNK`] of columns the least and the greatest of `tops`.
    ranges: Vec<(f32, f32)>,
}

struct Ridge {
    /// Tangent of the height above the horizon, around the horizon.
    heights: Vec<f32>,
    colour: Colour,
    /// Share of haze at the foot and at the top.
    haze: (f32, f32),
    /// How much slopes toward and away from the sun differ.
    relief: f32,
}

struct Cloud {
    bearing: f32,
    height: f32,
    puffs: Vec<(f32, f32, f32)>,
}

/// Unit vector toward the sun.
pub(super) fn sun() -> Vec3 {
    let flat = Vec2::from_angle(SUN_BEARING) * SUN_HEIGHT.cos();
    flat.at(SUN_HEIGHT.sin())
}

impl Sky {
    pub(super) fn new() -> Self {
        let mut random = Seeded::new(7);
        let ridge = |random: &mut Seeded, peaks: usize, low: f32, high: f32, sharp: f32| {
            let knots: Vec<(f32, f32)> = (0..peaks)
                .map(|k| {
                    let place = (k as f32 + random.range(-0.3, 0.3)) / peaks as f32;
                    let peak =
                        if k % 2 == 0 { random.range(0.55, 1.0) } else { random.range(0.0, 0.5) * sharp };
                    (place, low + (high - low) * peak)
                })
                .collect();
            (0..RIDGE)
                .map(|i| {
                    let at = i as f32 / RIDGE as f32;
                    let next = knots.iter().position(|k| k.0 > at).unwrap_or(0);
                    let (mut a, mut b) = (knots[(next + peaks - 1) % peaks], knots[next]);
                    if next == 0 {
                        if at < 0.5 { a.0 -= 1.0 } else { b.0 += 1.0 }
                    }
                    let t = ((at - a.0) / (b.0 - a.0)).clamp(0.0, 1.0);
                    let round = smoothstep(0.0, 1.0, t);
                    a.1 + (b.1 - a.1) * (t * sharp + round * (1.0 - sharp))
                })
                .collect::<Vec<f32>>()
        };
        let ridges = [
            Ridge {
                heights: ridge(&mut random, 46, 0.035, 0.155, 1.0),
                colour: colour::MOUNTAIN,
                haze: (0.72, 0.28),
                relief: 0.17,
            },
            Ridge {
                heights: ridge(&mut random, 24, 0.018, 0.075, 0.35),
                colour: colour::HILL,
                haze: (0.62, 0.34),
                relief: 0.05,
            },
            Ridge {
                heights: ridge(&mut random, 128, 0.012, 0.034, 0.8),
                colour: colour::WOOD,
                haze: (0.5, 0.22),
                relief: 0.08,
            },
        ];
        let clouds = (0..15)
            .map(|k| {
                let size = random.range(0.07, 0.15);
                let count = 4 + (random.bits() % 3) as usize;
                let puffs = (0..count)
                    .map(|p| {
                        let along = (p as f32 / (count - 1) as f32 - 0.5) * 2.0;
                        let r = size * random.range(0.32, 0.5) * (1.15 - 0.75 * along * along).max(0.35);
                        (along * size, r * 0.45, r)
                    })
                    .collect();
                let bearing = (k as f32 + random.range(-0.35, 0.35)) * std::f32::consts::TAU / 15.0;
                Cloud { bearing, height: random.range(0.2, 0.46), puffs }
            })
            .collect();
        Self {
            ridges,
            clouds,
            upper: Vec::new(),
            lower: Vec::new(),
            outlines: Default::default(),
            hidden: Vec::new(),
        }
    }

    pub(super) fn draw(
        &mut self,
        lens: &Lens,
        time: Duration,
        picture: &mut Picture<'_>,
        spans: &mut Vec<(f32, f32)>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.draw_wide(lens, time, picture, spans) };
        }
        self.draw_plain(lens, time, picture, spans);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn draw_wide(
        &mut self,
        lens: &Lens,
        time: Duration,
        picture: &mut Picture<'_>,
        spans: &mut Vec<(f32, f32)>,
    ) {
        self.draw_plain(lens, time, picture, spans);
    }

    #[inline(always)]
    fn draw_plain(
        &mut self,
        lens: &Lens,
        time: Duration,
        picture: &mut Picture<'_>,
        spans: &mut Vec<(f32, f32)>,
    ) {
        for index in 0..self.ridges.len() {
            self.outline(index, lens, picture.size.width as usize);
        }
        self.hide_behind(0);
        self.gradient(lens, picture);
        let mut canvas = Canvas::new(picture, spans);
        draw_sun(lens, &mut canvas);
        self.draw_clouds(lens, time, &mut canvas);
        for index in 0..self.ridges.len() {
            self.hide_behind(index + 1);
            self.draw_ridge(index, lens, picture);
        }
    }

    #[inline(always)]
    fn gradient(&mut self, lens: &Lens, picture: &mut Picture<'_>) {
        let (width, height) = (picture.size.width as usize, picture.size.height as usize);
        let end = horizon(lens, 0.0).max(horizon(lens, width as f32)) + 2.0;
        let end = (end.max(0.0) as usize).min(height);
        let nodes = width.div_ceil(STRIDE) + 1;
        let compute = |row: usize, into: &mut Vec<Colour>| {
            into.clear();
            into.extend((0..nodes).map(|n| sky(lens.ray((n * STRIDE) as f32, row as f32))));
        };
        compute(0, &mut self.lower);
        for row in 0..end {
            let step = row % ROWS;
            if step == 0 {
                std::mem::swap(&mut self.upper, &mut self.lower);
                compute(row + ROWS, &mut self.lower);
            }
            let down = step as f32 / ROWS as f32;
            let node = |n: usize| self.upper[n].mix(self.lower[n], down);
            let luma = &mut picture.y[row * picture.stride_y..][..width];
            let mut from = node(0);
            for (n, pixels) in luma.chunks_mut(STRIDE).enumerate() {
                if row as f32 >= self.hidden[n * STRIDE / CHUNK] {
                    from = node(n + 1);
                    continue;
                }
                let to = node(n + 1);
                ramp(pixels, from.y, to.y, STRIDE);
                from = to;
            }
            if row % 2 == 0 && row / 2 < height / 2 {
                let range = row / 2 * picture.stride_uv..row / 2 * picture.stride_uv + width / 2;
                let chroma = picture.u[range.clone()].chunks_mut(STRIDE / 2);
                for (n, (u, v)) in chroma.zip(picture.v[range].chunks_mut(STRIDE / 2)).enumerate() {
                    if row as f32 >= self.hidden[n * STRIDE / CHUNK] {
                        continue;
                    }
                    let (from, to) = (node(n), node(n + 1));
                    ramp(u, from.u, to.u, STRIDE / 2);
                    ramp(v, from.v, to.v, STRIDE / 2);
                }
            }
        }
    }

    fn draw_clouds(&self, lens: &Lens, time: Duration, canvas: &mut Canvas<'_, '_>) {
        // A light wind: a full turn in about 70 minutes.
        let drift = (time.as_secs_f64() * 0.0015) as f32;
        for cloud in &self.clouds {
            let bearing = wrap_angle(cloud.bearing + drift);
            let ahead = Vec2::from_angle(bearing);
            let middle = ahead.at(cloud.height);
            if lens.forward.dot(middle) < 0.1 {
                continue;
            }
            let aside = -ahead.left();
            let soft = colour::SKY.mix(colour::HAZE, 0.6);
            for (lift, size, tint) in
                [(-0.008, 1.02, colour::CLOUD_SHADE.mix(soft, 0.3)), (0.003, 1.0, colour::CLOUD)]
            {
                for &(along, up, radius) in &cloud.puffs {
                    let mut corners = [(0.0, 0.0); 12];
                    let mut seen = true;
                    for (k, corner) in corners.iter_mut().enumerate() {
                        let (sin, cos) = ((k as f32 + 0.5) * std::f32::consts::TAU / 12.0).sin_cos();
                        // Flat below.
                        let rise = (sin * radius * size * 0.72).max(-radius * 0.22) + up + lift;
                        let aside = aside * (along + cos * radius * size);
                        match far(lens, middle + aside.at(rise)) {
                            Some(place) => *corner = place,
                            None => seen = false,
                        }
                    }
                    if seen {
                        canvas.fill(&corners, tint, if lift < 0.0 { 0.9 } else { 1.0 });
                    }
                }
            }
        }
    }

    /// Sets `hidden` by the ridges from `first` on, which are drawn later.
    fn hide_behind(&mut self, first: usize) {
        self.hidden.clear();
        self.hidden.resize(self.outlines[0].ranges.len(), f32::MAX);
        for outline in &self.outlines[first..] {
            for (hidden, range) in self.hidden.iter_mut().zip(&outline.ranges) {
                *hidden = hidden.min(range.1);
            }
        }
    }

    #[inline(always)]
    fn outline(&mut self, index: usize, lens: &Lens, width: usize) {
        let (ridge, outline) = (&self.ridges[index], &mut self.outlines[index]);
        let heading = lens.forward.ground().angle();
        outline.tops.clear();
        outline.shades.clear();
        for x in 0..width {
            let aside = (x as f32 + 0.5 - lens.middle.0) / lens.focal;
            let turn = (heading - fast_atan(aside)) / std::f32::consts::TAU;
            let at = (turn - turn.floor()) * RIDGE as f32;
            let (i, t) = ((at as usize).min(RIDGE - 1), at.fract());
            let (a, b) = (ridge.heights[i], ridge.heights[(i + 1) % RIDGE]);
            let rise = (a + (b - a) * t) * lens.focal * (1.0 + aside * aside).sqrt();
            outline.tops.push(horizon(lens, x as f32 + 0.5) - rise);
            outline.shades.push(1.0 + ((a - b) * 260.0).clamp(-1.0, 1.0) * ridge.relief);
        }
        outline.ranges.clear();
        outline.ranges.extend(outline.tops.chunks(CHUNK).map(|tops| {
            tops.iter().fold((f32::MAX, f32::MIN), |range, &top| (range.0.min(top), range.1.max(top)))
        }));
    }

    #[inline(always)]
    fn draw_ridge(&self, index: usize, lens: &Lens, picture: &mut Picture<'_>) {
        let (ridge, outline) = (&self.ridges[index], &self.outlines[index]);
        let (width, height) = (picture.size.width as usize, picture.size.height as usize);
        let highest = ridge.heights.iter().copied().fold(0.0, f32::max);
        let first = outline.tops.iter().copied().fold(f32::MAX, f32::min).max(0.0) as usize;
        let foot = horizon(lens, 0.0).max(horizon(lens, width as f32)) + 2.0;
        let last = (foot.max(0.0) as usize).min(height);
        let scale = 1.0 / (highest * lens.focal);
        let slope = horizon_slope(lens);
        let start = horizon(lens, 0.5);
        for row in first..last {
            let y = row as f32;
            // Haze thins with height above the horizon; one value for the row's middle is enough.
            let up = ((start + slope * width as f32 * 0.5 - y) * scale).clamp(0.0, 1.0);
            let haze = ridge.haze.0 + (ridge.haze.1 - ridge.haze.0) * up;
            let keep = (1.0 - haze) * (ridge.colour.y - 16.0);
            let add = 16.0 * (1.0 - haze) + haze * colour::HAZE.y;
            let luma = &mut picture.y[row * picture.stride_y..][..width];
            let chunks =
                luma.chunks_mut(CHUNK).zip(outline.tops.chunks(CHUNK)).zip(outline.shades.chunks(CHUNK));
            for ((((pixels, tops), shades), &(least, most)), &hidden) in
                chunks.zip(&outline.ranges).zip(&self.hidden)
            {
                if y + 1.0 <= least || y >= hidden {
                    continue;
                }
                if y >= most {
                    for (pixel, &shade) in pixels.iter_mut().zip(shades) {
                        *pixel = (add + keep * shade) as i32 as u8;
                    }
                    continue;
                }
                for ((pixel, &top), &shade) in pixels.iter_mut().zip(tops).zip(shades) {
                    let cover = (y + 1.0 - top).clamp(0.0, 1.0);
                    let old = f32::from(*pixel);
                    *pixel = (old + (add + keep * shade - old) * cover) as i32 as u8;
                }
            }
            if row % 2 == 0 && row / 2 < height / 2 {
                let tint = ridge.colour.mix(colour::HAZE, haze);
                let range = row / 2 * picture.stride_uv..row / 2 * picture.stride_uv + width / 2;
                let (u, v) = (&mut picture.u[range.clone()], &mut picture.v[range]);
                let chunks =
                    u.chunks_mut(CHUNK / 2).zip(v.chunks_mut(CHUNK / 2)).zip(outline.tops.chunks(CHUNK));
                for ((((u, v), tops), &(least, most)), &hidden) in
                    chunks.zip(&outline.ranges).zip(&self.hidden)
                {
                    if y + 2.0 <= least || y >= hidden {
                        continue;
                    }
                    if y >= most {
                        u.fill(tint.u as u8);
                        v.fill(tint.v as u8);
                        continue;
                    }
                    for (x, (u, v)) in u.iter_mut().zip(v).enumerate() {
                        let cover = ((y + 2.0 - tops[2 * x]) * 0.5).clamp(0.0, 1.0);
                        *u = (f32::from(*u) + (tint.u - f32::from(*u)) * cover) as i32 as u8;
                        *v = (f32::from(*v) + (tint.v - f32::from(*v)) * cover) as i32 as u8;
                    }
                }
            }
        }
    }
}

/// Row of the horizon at a column.
pub(super) fn horizon(lens: &Lens, column: f32) -> f32 {
    let x = (column - lens.middle.0) / lens.focal;
    lens.middle.1 + lens.focal * (lens.forward.z + lens.right.z * x) / lens.up.z.max(0.05)
}

fn horizon_slope(lens: &Lens) -> f32 {
    lens.right.z / lens.up.z.max(0.05)
}

fn draw_sun(lens: &Lens, canvas: &mut Canvas<'_, '_>) {
    let middle = sun();
    if lens.forward.dot(middle) < 0.2 {
        return;
    }
    let aside = middle.cross(vec3(0.0, 0.0, 1.0)).unit();
    let up = aside.cross(middle);
    for (radius, alpha) in [(0.075, 0.25), (0.058, 0.4), (0.042, 1.0)] {
        let mut corners = [(0.0, 0.0); 28];
        for (k, corner) in corners.iter_mut().enumerate() {
            let (sin, cos) = (k as f32 * std::f32::consts::TAU / 28.0).sin_cos();
            let Some(place) = far(lens, middle + aside * (cos * radius) + up * (sin * radius)) else {
                return;
            };
            *corner = place;
        }
        canvas.fill(&corners, colour::SUN, alpha);
    }
}

/// Where a direction appears.
fn far(lens: &Lens, direction: Vec3) -> Option<(f32, f32)> {
    let view = vec3(direction.dot(lens.right), direction.dot(lens.up), direction.dot(lens.forward));
    (view.z > 0.05).then(|| lens.flatten(view))
}

fn sky(ray: Vec3) -> Colour {
    let flat = ray.ground().length();
    let up = ray.z / (flat * flat + ray.z * ray.z).sqrt();
    let low = smoothstep(-0.02, 0.26, up);
    let base = colour::HAZE.mix(colour::SKY, low).mix(colour::ZENITH, smoothstep(0.12, 0.75, up));
    let toward = (ray.dot(sun()) / ray.dot(ray).sqrt()).max(0.0);
    let wide = toward * toward;
    let wide = wide * wide * wide;
    let glow = 0.30 * wide + 0.5 * wide.powi(10);
    base.mix(colour::SUN, glow.min(0.9))
}

/// Fills `pixels` with a straight line from `from` to what `to` is `steps` pixels on.
#[inline(always)]
fn ramp(pixels: &mut [u8], from: f32, to: f32, steps: usize) {
    // In 1/256: sixteen bits, which every processor does eight at a time.
    let step = ((to - from) * (256.0 / steps as f32)) as i32 as u16;
    let start = (from * 256.0) as i32 as u16 + 128;
    for (i, pixel) in (0u16..).zip(pixels) {
        *pixel = (start.wrapping_add(step.wrapping_mul(i)) >> 8) as u8;
    }
}

/// Arc tangent within 0.0015 rad (Rajan and others 2006), odd, for any slope.
#[inline(always)]
fn fast_atan(x: f32) -> f32 {
    let small = |x: f32| x * (std::f32::consts::FRAC_PI_4 + 0.273 * (1.0 - x.abs()));
    if x.abs() <= 1.0 { small(x) } else { std::f32::consts::FRAC_PI_2.copysign(x) - small(1.0 / x) }
}
