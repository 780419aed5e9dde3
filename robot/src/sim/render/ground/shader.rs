//! Colours the pixels of one span of the ground.

use super::super::super::camera::Lens;
use super::super::colour::{self, Colour};
use super::{Ground, LEVELS, Node, REACH, SQUARE, TEETH, TEXELS};

/// How the grain is read in one row.
#[derive(Clone, Copy)]
pub(super) struct Texture {
    /// Texels per metre, times 256.
    scale: f32,
    /// Strength of the grain, 0 to 8.
    detail: i16,
}

impl Texture {
    pub(super) fn new(lens: &Lens, distance: f32, speed: f32) -> Self {
        let pixel = distance / lens.focal;
        let view = distance * pixel / lens.position.z;
        // Texels of 4 mm nearby, doubled until a pixel is no smaller than half of one.
        let coarse = (((pixel * view).sqrt() * 333.0) as u32).max(1).ilog2().min(12);
        // The shutter is open for 8 ms.
        let smear = 0.008 * speed / pixel.max(1e-4);
        let shutter = 1.0 / (1.0 + 0.06 * smear);
        let detail = (8u32.saturating_sub(coarse) as f32 * shutter + 0.5) as i16;
        Self {
            scale: 256.0 / (0.004 * (1 << coarse) as f32),
            // One eighth cannot be seen and costs as much as the whole.
            detail: if detail > 1 { detail } else { 0 },
        }
    }
}

pub(super) struct Span<'a> {
    pub(super) a: &'a Node,
    pub(super) b: &'a Node,
    /// Change of the lateral place since the row above, in mm.
    pub(super) fall: f32,
    pub(super) row: usize,
}

/// What all pixels of one span of `S` columns share.
pub(super) struct Shader<'a, const S: usize> {
    ground: &'a Ground,
    level: usize,
    lateral: (f32, f32),
    along: (f32, f32),
    shade: (f32, f32),
    /// Where it starts and its step per column, in 1/256 of a texel.
    grain: ((i32, i32), (i32, i32)),
    /// Strength of the grain, 0 to 8.
    detail: i16,
    /// 0 to 256.
    haze: u16,
    kind: Kind,
    blur_along: f32,
    blur_mm: f32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Grass,
    Mixed,
    /// Kerbs of the left (1) and right (2) side, or the start line (4), may show.
    Marked(u8),
}

/// The finished pixels of one span.
pub(super) struct Run<const S: usize> {
    pub(super) y: [u8; S],
    pub(super) u: [u8; S],
    pub(super) v: [u8; S],
}

impl<'a, const S: usize> Shader<'a, S> {
    #[inline(always)]
    pub(super) fn new(ground: &'a Ground, lens: &Lens, span: &Span<'_>, texture: Texture) -> Self {
        let (a, b) = (span.a, span.b);
        let per = 1.0 / S as f32;
        let lateral = (a.lateral_mm, (b.lateral_mm - a.lateral_mm) * per);
        let along = (a.along, (b.along - a.along) * per);
        let blur_mm = lateral.1.abs().max(span.fall.abs()).clamp(1.0, 8000.0);
        let level = ((blur_mm * 0.4) as u32).max(1).ilog2() as usize;
        let view = a.distance * a.distance / (lens.focal * lens.position.z);
        let kind = ground.kind(a, b, view);
        let blur_along = if let Kind::Marked(_) = kind {
            // A pixel's way along the road is what is left of its length once the way across is taken.
            let across = span.fall * 0.001;
            (view * view - across * across).max(0.0).sqrt().max(along.1.abs()).max(0.002)
        } else {
            view
        };
        let scale = texture.scale;
        let step = (((b.east - a.east) * scale * per) as i32, ((b.north - a.north) * scale * per) as i32);
        Self {
            ground,
            level: level.min(LEVELS - 1),
            lateral,
            along,
            shade: (a.shade, (b.shade - a.shade) * per),
            grain: (((a.east * scale) as i32, (a.north * scale) as i32), step),
            detail: texture.detail,
            haze: (0.5 * (a.haze + b.haze)) as u16,
            kind,
            blur_along,
            blur_mm,
        }
    }

    #[inline(always)]
    pub(super) fn run(&self, with_chroma: Chroma) -> Run<S> {
        let mut run = Run { y: [0; S], u: [0; S], v: [0; S] };
        let mut entries = [0u32; S];
        match self.kind {
            Kind::Grass => {
                let grass = colour::GRASS;
                entries = [u32::from_le_bytes([grass.y as u8, grass.u as u8, grass.v as u8, 255]); S];
            }
            Kind::Mixed => {
                let table = &self.ground.plain.levels[self.level][..];
                let (start, step) = ((self.lateral.0 * 256.0) as i32, (self.lateral.1 * 256.0) as i32);
                let mut places = [0u16; S];
                for (place, mm) in places.iter_mut().zip(&steps::<S>(start, step)) {
                    let mm = (*mm >> 8).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                    let from_edge = mm.clamp(-REACH as i16, REACH as i16 - 1).wrapping_add(REACH as i16);
                    *place = from_edge as u16 >> self.level;
                }
                for (found, place) in entries.iter_mut().zip(&places) {
                    *found = table[usize::from(*place)];
                }
            }
            Kind::Marked(marks) => {
                for (i, found) in entries.iter_mut().enumerate() {
                    let x = i as f32;
                    let mm = (self.lateral.0 + self.lateral.1 * x) as i32;
                    *found = self.marked(marks, self.along.0 + self.along.1 * x, mm);
                }
            }
        }
        self.luma(&entries, &mut run.y);
        if with_chroma == Chroma::Wanted {
            let keep = 256 - self.haze;
            let far = (colour::HAZE.u as u16 * self.haze, colour::HAZE.v as u16 * self.haze);
            for i in 0..S / 2 {
                let found = entries[2 * i];
                let (u, v) = ((found >> 8) as u16 & 255, (found >> 16) as u16 & 255);
                run.u[i] = (u.wrapping_mul(keep).wrapping_add(far.0) >> 8) as u8;
                run.v[i] = (v.wrapping_mul(keep).wrapping_add(far.1) >> 8) as u8;
            }
        }
        run
    }

    /// Sixteen-bit arithmetic throughout, which every processor does eight at a time.
    #[inline(always)]
    fn luma(&self, entries: &[u32; S], out: &mut [u8; S]) {
        let mut grain = [0i16; S];
        if self.detail > 0 {
            let (from, by) = self.grain;
            let mut places = [0u16; S];
            let across = steps16::<S>(from.0 as u16, by.0 as u16);
            let down = steps16::<S>(from.1 as u16, by.1 as u16);
            for ((place, x), y) in places.iter_mut().zip(&across).zip(&down) {
                *place = (y >> 1 & TEXELS << 7) | (x >> 8 & TEXELS);
            }
            for (value, place) in grain.iter_mut().zip(&places) {
                *value = i16::from(self.ground.grain[usize::from(*place)]);
            }
        }
        // In eighths.
        let shades = steps16::<S>((self.shade.0 * 256.0) as i16 as u16, (self.shade.1 * 256.0) as i16 as u16);
        let keep = 256 - self.haze;
        let far = colour::HAZE.y as u16 * self.haze;
        let base = entries.map(|found| (found & 255) as i16);
        let grass = entries.map(|found| (found >> 24) as i16);
        for i in 0..S {
            let (base, grass) = (base[i], grass[i]);
            let shade = shades[i] as i16 >> 5;
            // The finest grain of grass is three times that of asphalt.
            let amount = (8 + ((grass.wrapping_mul(18)) >> 8)).wrapping_mul(self.detail);
            let rough = grain[i].wrapping_mul(amount) >> 10;
            let value = base.wrapping_add(shade.wrapping_mul(grass) >> 11).wrapping_add(rough) as u16;
            out[i] = (value.wrapping_mul(keep).wrapping_add(far) >> 8) as u8;
        }
    }

    /// Kerb teeth and the start line; `lateral` in mm.
    #[inline(always)]
    fn marked(&self, marks: u8, along: f32, lateral: i32) -> u32 {
        let side = if lateral > 0 { 1 } else { 2 };
        let plain = self.ground.plain.at(self.level, lateral);
        if lateral.unsigned_abs() as f32 > self.ground.edge_mm - 750.0 - self.blur_mm {
            // The span's marks are those of both its ends; a kerb ends between them.
            let lap = self.ground.length;
            let way = if along < 0.0 {
                along + lap
            } else if along >= lap {
                along - lap
            } else {
                along
            };
            let metre = (way.max(0.0) as usize).min(self.ground.kerbs.len() - 1);
            if marks & self.ground.kerbs[metre] & side == 0 {
                return plain;
            }
            let (red, white) =
                (self.ground.red.at(self.level, lateral), self.ground.white.at(self.level, lateral));
            return mix(red, white, square_wave(along / TEETH, self.blur_along / TEETH));
        }
        if marks & 4 == 0 {
            return plain;
        }
        let way = along - floor(along / self.ground.length + 0.5) * self.ground.length;
        let inside = (0.5 + way / self.blur_along).clamp(0.0, 1.0)
            * (0.5 + (3.0 * SQUARE - way) / self.blur_along).clamp(0.0, 1.0);
        let down = square_wave(way / (2.0 * SQUARE), self.blur_along / (2.0 * SQUARE));
        let wide = lateral as f32 / (2000.0 * SQUARE);
        let across = square_wave(wide, self.blur_mm / (2000.0 * SQUARE));
        let white = down * (1.0 - across) + across * (1.0 - down);
        let (ink, paint) = (entry(colour::INK), entry(colour::PAINT));
        mix(plain, mix(ink, paint, white), inside)
    }
}

/// `start`, `start + step` and so on: four sums at a time, as a product of 32 bits takes long without SSE4.1.
#[inline(always)]
fn steps<const S: usize>(start: i32, step: i32) -> [i32; S] {
    let mut out = [0; S];
    let mut four = [0, 1, 2, 3].map(|k| start.wrapping_add(step.wrapping_mul(k)));
    let ahead = step.wrapping_mul(4);
    for chunk in out.chunks_exact_mut(4) {
        chunk.copy_from_slice(&four);
        four = four.map(|value| value.wrapping_add(ahead));
    }
    out
}

/// The same in sixteen bits.
#[inline(always)]
fn steps16<const S: usize>(start: u16, step: u16) -> [u16; S] {
    let mut out = [0; S];
    for (i, value) in (0u16..).zip(&mut out) {
        *value = start.wrapping_add(step.wrapping_mul(i));
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chroma {
    Wanted,
    Not,
}

impl Ground {
    fn kind(&self, a: &Node, b: &Node, blur_along: f32) -> Kind {
        let (near, wide) =
            (a.lateral_mm.abs().min(b.lateral_mm.abs()), a.lateral_mm.abs().max(b.lateral_mm.abs()));
        let blur = (b.lateral_mm - a.lateral_mm).abs();
        if near > self.edge_mm + blur && a.lateral_mm * b.lateral_mm > 0.0 {
            return Kind::Grass;
        }
        let mut marks = 0;
        if wide + blur > self.edge_mm - 800.0 {
            for node in [a, b] {
                marks |= self.kerbs[node.metre.min(self.kerbs.len() - 1)];
            }
        }
        let way = (a.along - self.length * if a.along > 0.5 * self.length { 1.0 } else { 0.0 }).abs();
        let reach = 3.0 * SQUARE + blur_along + (b.along - a.along).abs() + 0.1;
        if way < reach || (way - self.length).abs() < reach {
            marks |= 4;
        }
        if marks == 0 { Kind::Mixed } else { Kind::Marked(marks) }
    }
}

/// Share of the second half in a square wave of period 1, averaged over `blur`.
#[inline(always)]
fn square_wave(at: f32, blur: f32) -> f32 {
    let phase = at - 0.25 - floor(at - 0.25);
    0.5 + ((0.25 - (phase - 0.5).abs()) / blur.max(1e-4)).clamp(-0.5, 0.5)
}

/// The next whole number down, for less than 2^30 either way; a library call without SSE4.1 if written as `f32::floor`.
#[inline(always)]
fn floor(x: f32) -> f32 {
    let whole = x as i32 as f32;
    if whole > x { whole - 1.0 } else { whole }
}

fn entry(c: Colour) -> u32 {
    u32::from_le_bytes([c.y as u8, c.u as u8, c.v as u8, 0])
}

#[inline(always)]
fn mix(a: u32, b: u32, share: f32) -> u32 {
    let share = (share * 256.0) as i32;
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let one = |k: usize| (i32::from(a[k]) + (((i32::from(b[k]) - i32::from(a[k])) * share) >> 8)) as u8;
    u32::from_le_bytes([one(0), one(1), one(2), one(3)])
}
