//! The ground: road, lines, kerbs, grass, by a field of distances to the road.
//!
//! A field over the world holds the signed distance to the centre line and the way along it. Both are smooth, so each
//! row of the picture asks for them every 16 pixels and goes straight between; the colour then follows from the
//! distance by a table that exists in several widths of blur, one for each size a pixel can have on the ground. Edges
//! are therefore sharp nearby and calm far away, and a pixel costs two look-ups.

use super::super::camera::Lens;
use super::super::geometry::{Seeded, Vec2, smoothstep, vec2};
use super::super::track::{KERB_WIDTH, Track};
use super::Picture;
use super::colour::{self, Colour};

/// Columns between two places where the field is read.
const STRIDE: usize = 16;
/// Metres between two samples of the field.
const CELL: f32 = 0.125;
/// The tables reach this many millimetres to either side of the centre line.
const REACH: i32 = 8192;
/// Widths of blur: the first averages 4 mm, each next one twice as much.
const LEVELS: usize = 12;
/// Side of the tile of grain, in texels.
const TILE: usize = 128;
/// Ground further than this looks like haze, in metres.
const FAR: f32 = 400.0;
/// Length of one red and one white tooth of a kerb, in metres.
const TEETH: f32 = 0.9;
/// Side of a square of the start line, in metres; the line is three of them long.
const SQUARE: f32 = 0.3;
/// Width of a pair of mown stripes, in metres.
const STRIPES: f32 = 3.6;

/// Luma, blue and red difference, and how much of it is grass (0 to 255).
type Entry = [u8; 4];

pub(super) struct Ground {
    origin: Vec2,
    columns: usize,
    rows: usize,
    /// Distance from the centre line in mm, left positive; way along it in 1/65536 of the lap.
    cells: Vec<(i16, u16)>,
    length: f32,
    plain: Table,
    red: Table,
    white: Table,
    /// For each metre of the lap whether a kerb is near on the left (1) and on the right (2).
    kerbs: Vec<u8>,
    grain: Vec<i8>,
    patches: Vec<f32>,
    edge_mm: f32,
    nodes: Vec<Node>,
    above: Vec<f32>,
}

/// The ground under one column of a row.
#[derive(Clone, Copy, Default)]
struct Node {
    /// How far the ray drops per metre; at or above zero it never meets the ground.
    drop: f32,
    distance: f32,
    lateral_mm: f32,
    along: f32,
    east: f32,
    north: f32,
    /// Brightness of mown stripes and patches.
    shade: f32,
    haze: f32,
}

struct Table {
    levels: Vec<Vec<Entry>>,
}

impl Table {
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
                        [0, 1, 2, 3].map(|k| ((b[k] - a[k]) / (high - low) as f64 + 0.5) as u8)
                    })
                    .collect()
            })
            .collect();
        Self { levels }
    }

    fn at(&self, level: usize, lateral_mm: i32) -> Entry {
        let index = ((lateral_mm.clamp(-REACH, REACH - 1) + REACH) >> level) as usize;
        self.levels[level][index]
    }
}

impl Ground {
    pub(super) fn new(track: &Track) -> Self {
        let (low, high) = track.bounds();
        let size = high - low;
        let (columns, rows) = ((size.x / CELL) as usize + 2, (size.y / CELL) as usize + 2);
        let length = track.length();
        let cells = (0..rows * columns)
            .map(|i| {
                let near = track.nearest(low + vec2((i % columns) as f32, (i / columns) as f32) * CELL);
                let lateral = (near.lateral * 1000.0).clamp(-32_000.0, 32_000.0);
                (lateral as i16, (near.along / length * 65536.0) as u32 as u16)
            })
            .collect();
        let kerbs = (0..length.ceil() as usize)
            .map(|metre| {
                let any = |f: fn(&super::super::track::Point) -> bool| {
                    (0..6).any(|k| f(track.at(metre as f32 - 0.25 + 0.25 * k as f32)))
                };
                u8::from(any(|p| p.kerb_left)) | u8::from(any(|p| p.kerb_right)) << 1
            })
            .collect();
        let half = track.half_width();
        let table = |kerb: Option<Colour>| {
            let profile: Vec<(Colour, f32)> =
                (-REACH..REACH).map(|mm| profile(mm.unsigned_abs() as f32 / 1000.0, half, kerb)).collect();
            Table::new(&profile)
        };
        Self {
            origin: low,
            columns,
            rows,
            cells,
            length,
            plain: table(None),
            red: table(Some(colour::KERB_RED)),
            white: table(Some(colour::PAINT)),
            kerbs,
            grain: grain(),
            patches: patches(),
            edge_mm: (half + KERB_WIDTH + 0.3) * 1000.0,
            nodes: Vec::new(),
            above: Vec::new(),
        }
    }

    /// Draws all ground below the horizon; `speed` in m/s blurs the grain as a shutter does.
    pub(super) fn draw(&mut self, lens: &Lens, speed: f32, picture: &mut Picture<'_>) {
        let (width, height) = (picture.size.width as usize, picture.size.height as usize);
        let count = width.div_ceil(STRIDE) + 1;
        let mut nodes = std::mem::take(&mut self.nodes);
        let mut above = std::mem::take(&mut self.above);
        nodes.clear();
        nodes.resize(count, Node::default());
        above.clear();
        let first = super::sky::horizon(lens, 0.0).min(super::sky::horizon(lens, width as f32));
        for row in (first.max(0.0) as usize).min(height)..height {
            self.survey(lens, row, &mut nodes);
            let fresh = above.is_empty();
            if fresh {
                above.extend(nodes.iter().map(|n| n.lateral_mm));
            }
            // The shutter is open for 8 ms.
            let near = nodes[count / 2].distance;
            let smear = 0.008 * speed * lens.focal / near.max(0.2);
            let detail = 256.0 / (1.0 + 0.06 * smear);
            for n in 0..count - 1 {
                let from = n * STRIDE;
                let to = (from + STRIDE).min(width);
                let span = Span { a: nodes[n], b: nodes[n + 1], fall: nodes[n].lateral_mm - above[n], row };
                self.paint(lens, &span, from, to, detail as i32, picture);
            }
            for (last, node) in above.iter_mut().zip(&nodes) {
                *last = node.lateral_mm;
            }
        }
        (self.nodes, self.above) = (nodes, above);
    }

    /// Reads the field at each node of a row.
    fn survey(&self, lens: &Lens, row: usize, nodes: &mut [Node]) {
        let start = lens.ray(0.5, row as f32 + 0.5);
        let step = lens.right * (STRIDE as f32 / lens.focal);
        let flat_least = lens.position.z / FAR;
        let mut along = 0.0;
        for (n, node) in nodes.iter_mut().enumerate() {
            let ray = start + step * n as f32;
            node.drop = -ray.z;
            let reach = lens.position.z / node.drop.max(flat_least);
            node.distance = reach;
            node.east = lens.position.x + ray.x * reach;
            node.north = lens.position.y + ray.y * reach;
            let x = ((node.east - self.origin.x) / CELL).clamp(0.0, (self.columns - 2) as f32);
            let y = ((node.north - self.origin.y) / CELL).clamp(0.0, (self.rows - 2) as f32);
            let (column, line) = (x as usize, y as usize);
            let (tx, ty) = (x - column as f32, y - line as f32);
            let here = line * self.columns + column;
            let (p, q) = (&self.cells[here..here + 2], &self.cells[here + self.columns..][..2]);
            let mix = |a: f32, b: f32, c: f32, d: f32| {
                let (low, high) = (a + (b - a) * tx, c + (d - c) * tx);
                low + (high - low) * ty
            };
            node.lateral_mm = mix(p[0].0.into(), p[1].0.into(), q[0].0.into(), q[1].0.into());
            // Differences to the first corner are taken modulo a lap, so the start line is no seam.
            let apart = |way: u16| f32::from(way.wrapping_sub(p[0].1) as i16);
            let way = f32::from(p[0].1) + mix(0.0, apart(p[1].1), apart(q[0].1), apart(q[1].1));
            let way = way * (self.length / 65536.0);
            // Kept within half a lap of the node before.
            along = if n == 0 { way } else { way + ((along - way) / self.length).round() * self.length };
            node.along = along;
            let pixel = reach / lens.focal;
            let view = reach * pixel / lens.position.z;
            node.shade = self.shade(node.east, node.north, (pixel * 20.0).max(view));
            node.haze = 256.0 * (1.0 - (-reach * 0.0105).exp2());
        }
    }

    /// Brightness of stripes and patches of the grass, blurred over `blur` metres.
    fn shade(&self, east: f32, north: f32, blur: f32) -> f32 {
        let across = (east * 0.94 + north * 0.34) / STRIPES;
        let wave = ((across - across.floor() - 0.5).abs() - 0.25) * STRIPES;
        let stripe = (wave / (blur * 0.5 + 0.05)).clamp(-1.0, 1.0);
        let fade = 1.0 - smoothstep(STRIPES * 0.6, STRIPES * 2.2, blur);
        let tile = |v: f32| (v * 0.55).rem_euclid(32.0);
        let (x, y) = (tile(east), tile(north));
        let (i, j) = (x as usize & 31, y as usize & 31);
        let (tx, ty) = (x - x.floor(), y - y.floor());
        let at = |i: usize, j: usize| self.patches[(j & 31) * 32 + (i & 31)];
        let low = at(i, j) + (at(i + 1, j) - at(i, j)) * tx;
        let high = at(i, j + 1) + (at(i + 1, j + 1) - at(i, j + 1)) * tx;
        (stripe * 6.5 + (low + (high - low) * ty) * 4.0) * fade
    }

    fn paint(
        &self,
        lens: &Lens,
        span: &Span,
        from: usize,
        to: usize,
        detail: i32,
        picture: &mut Picture<'_>,
    ) {
        // Only what lies below the horizon.
        let (mut from, mut to) = (from, to);
        let start = from;
        if span.a.drop <= 0.0 && span.b.drop <= 0.0 {
            return;
        }
        if span.a.drop <= 0.0 || span.b.drop <= 0.0 {
            let cross = start + (STRIDE as f32 * span.a.drop / (span.a.drop - span.b.drop)) as usize;
            if span.a.drop <= 0.0 { from = cross.clamp(from, to) } else { to = cross.clamp(from, to) }
        }
        let shader = Shader::new(self, lens, span, start, detail);
        let luma = &mut picture.y[span.row * picture.stride_y..][from..to];
        let both = span.row.is_multiple_of(2) && span.row / 2 < picture.size.height as usize / 2;
        let chroma = span.row / 2 * picture.stride_uv;
        let range =
            if both { chroma + from.div_ceil(2)..chroma + (to / 2).max(from.div_ceil(2)) } else { 0..0 };
        let (u, v) = (&mut picture.u[range.clone()], &mut picture.v[range]);
        shader.paint(from, luma, u, v);
    }
}

struct Span {
    a: Node,
    b: Node,
    /// Change of the lateral place since the row above, in mm.
    fall: f32,
    row: usize,
}

/// What all pixels of one span share.
struct Shader<'a> {
    ground: &'a Ground,
    start: usize,
    level: usize,
    lateral: (f32, f32),
    along: (f32, f32),
    shade: (f32, f32),
    grain: ((i32, i32), (i32, i32)),
    detail: i32,
    haze: i32,
    kind: Kind,
    blur_along: f32,
    blur_mm: f32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grass,
    Mixed,
    /// Kerbs of the left (1) and right (2) side, or the start line (4), may show.
    Marked(u8),
}

impl<'a> Shader<'a> {
    fn new(ground: &'a Ground, lens: &Lens, span: &Span, start: usize, detail: i32) -> Self {
        let (a, b) = (&span.a, &span.b);
        let per = 1.0 / STRIDE as f32;
        let lateral = (a.lateral_mm, (b.lateral_mm - a.lateral_mm) * per);
        let along = (a.along, (b.along - a.along) * per);
        let blur_mm = lateral.1.abs().max(span.fall.abs()).clamp(1.0, 8000.0);
        let level = ((blur_mm * 0.4) as u32).max(1).ilog2() as usize;
        let pixel = a.distance / lens.focal;
        let view = a.distance * pixel / lens.position.z;
        // A pixel's way along the road is what is left of its length once the way across is taken.
        let across = span.fall * 0.001;
        let blur_along = (view * view - across * across).max(0.0).sqrt().max(along.1.abs()).max(0.002);
        let kind = ground.kind(a, b, blur_along);
        // Texels of 4 mm nearby, doubled until a pixel is no smaller than half of one.
        let size = (pixel * view).sqrt();
        let coarse = ((size / 0.003) as u32).max(1).ilog2() as i32;
        let scale = 256.0 / (0.004 * (1 << coarse.min(12)) as f32);
        let texel = |east: f32| (east * scale) as i64 as i32;
        let grain_from = (texel(a.east), texel(a.north));
        let grain_step =
            (((b.east - a.east) * scale * per) as i32, ((b.north - a.north) * scale * per) as i32);
        let detail = if coarse > 7 { 0 } else { (detail * (8 - coarse)) >> 3 };
        Self {
            ground,
            start,
            level: level.min(LEVELS - 1),
            lateral,
            along,
            shade: (a.shade, (b.shade - a.shade) * per),
            grain: (grain_from, grain_step),
            detail,
            haze: (0.5 * (a.haze + b.haze)) as i32,
            kind,
            blur_along,
            blur_mm,
        }
    }

    fn paint(&self, from: usize, luma: &mut [u8], u: &mut [u8], v: &mut [u8]) {
        match self.kind {
            Kind::Grass => self.paint_grass(from, luma, u, v),
            Kind::Mixed => self.paint_with(from, luma, u, v, |_, mm| self.ground.plain.at(self.level, mm)),
            Kind::Marked(marks) => {
                self.paint_with(from, luma, u, v, |x, mm| {
                    self.marked(marks, self.along.0 + self.along.1 * x, mm)
                });
            }
        }
    }

    fn paint_grass(&self, from: usize, luma: &mut [u8], u: &mut [u8], v: &mut [u8]) {
        let skip = (from - self.start) as i32;
        let base = colour::GRASS;
        let step = (self.shade.1 * 256.0) as i32;
        let mut level = ((base.y + 0.5 + self.shade.0) * 256.0) as i32 + step * skip;
        let keep = 256 - self.haze;
        let far = colour::HAZE.y as i32 * self.haze;
        if self.detail == 0 {
            for pixel in luma {
                *pixel = (((level >> 8) * keep + far) >> 8) as u8;
                level += step;
            }
        } else {
            let (mut texel, by) = self.grain_at(skip);
            // The finest grain of grass is three times that of asphalt.
            let amount = self.detail * 26;
            for pixel in luma {
                let value = (level + ((self.grain(texel) * amount) >> 7)) >> 8;
                *pixel = ((value * keep + far) >> 8) as u8;
                level += step;
                texel = (texel.0.wrapping_add(by.0), texel.1.wrapping_add(by.1));
            }
        }
        u.fill(hazed(base.u as i32, colour::HAZE.u as i32, self.haze));
        v.fill(hazed(base.v as i32, colour::HAZE.v as i32, self.haze));
    }

    #[inline]
    fn paint_with(
        &self,
        from: usize,
        luma: &mut [u8],
        u: &mut [u8],
        v: &mut [u8],
        entry: impl Fn(f32, i32) -> Entry,
    ) {
        let skip = from - self.start;
        let step = (self.shade.1 * 256.0) as i32;
        let mut shade = (self.shade.0 * 256.0) as i32 + step * skip as i32;
        let keep = 256 - self.haze;
        let far = colour::HAZE.y as i32 * self.haze;
        let (mut texel, by) = self.grain_at(skip as i32);
        let mut chroma = u.iter_mut().zip(v);
        for (i, pixel) in luma.iter_mut().enumerate() {
            let x = (i + skip) as f32;
            let found = entry(x, (self.lateral.0 + self.lateral.1 * x) as i32);
            let grass = i32::from(found[3]);
            let grain = (self.grain(texel) * self.detail * (8 + ((18 * grass) >> 8))) >> 15;
            let value = i32::from(found[0]) + ((shade * grass) >> 16) + grain;
            *pixel = ((value * keep + far) >> 8) as u8;
            if (i + skip) & 1 == 0
                && let Some((u, v)) = chroma.next()
            {
                *u = hazed(found[1].into(), colour::HAZE.u as i32, self.haze);
                *v = hazed(found[2].into(), colour::HAZE.v as i32, self.haze);
            }
            shade += step;
            texel = (texel.0.wrapping_add(by.0), texel.1.wrapping_add(by.1));
        }
    }

    fn grain_at(&self, skip: i32) -> ((i32, i32), (i32, i32)) {
        let (from, by) = self.grain;
        ((from.0.wrapping_add(by.0.wrapping_mul(skip)), from.1.wrapping_add(by.1.wrapping_mul(skip))), by)
    }

    fn grain(&self, texel: (i32, i32)) -> i32 {
        let (x, y) = ((texel.0 >> 8) as usize & (TILE - 1), (texel.1 >> 8) as usize & (TILE - 1));
        i32::from(self.ground.grain[y * TILE + x])
    }

    /// Kerb teeth and the start line; `lateral` in mm.
    fn marked(&self, marks: u8, along: f32, lateral: i32) -> Entry {
        let side = if lateral > 0 { 1 } else { 2 };
        let plain = self.ground.plain.at(self.level, lateral);
        if lateral.unsigned_abs() as f32 > self.ground.edge_mm - 750.0 - self.blur_mm {
            if marks & side == 0 {
                return plain;
            }
            let (red, white) =
                (self.ground.red.at(self.level, lateral), self.ground.white.at(self.level, lateral));
            return mix(red, white, square_wave(along / TEETH, self.blur_along / TEETH));
        }
        if marks & 4 == 0 {
            return plain;
        }
        let way = along - (along / self.ground.length).round() * self.ground.length;
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
                let metre = node.along.rem_euclid(self.length) as usize;
                marks |= self.kerbs[metre.min(self.kerbs.len() - 1)];
            }
        }
        let way = a.along - (a.along / self.length).round() * self.length;
        let reach = 3.0 * SQUARE + blur_along + (b.along - a.along).abs() + 0.1;
        if way.abs() < reach {
            marks |= 4;
        }
        if marks == 0 { Kind::Mixed } else { Kind::Marked(marks) }
    }
}

/// Share of the second half in a square wave of period 1, averaged over `blur`.
fn square_wave(at: f32, blur: f32) -> f32 {
    let phase = at - at.floor();
    0.5 + ((0.25 - (phase - 0.5).abs()) / blur.max(1e-4)).clamp(-0.5, 0.5)
}

fn entry(c: Colour) -> Entry {
    [c.y as u8, c.u as u8, c.v as u8, 0]
}

fn mix(a: Entry, b: Entry, share: f32) -> Entry {
    let share = (share * 256.0) as i32;
    [0, 1, 2, 3].map(|k| (i32::from(a[k]) + (((i32::from(b[k]) - i32::from(a[k])) * share) >> 8)) as u8)
}

fn hazed(value: i32, far: i32, haze: i32) -> u8 {
    ((value * (256 - haze) + far * haze) >> 8) as u8
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

/// Fine grain between -128 and 127, without a pattern that the eye could find.
fn grain() -> Vec<i8> {
    let mut random = Seeded::new(11);
    let raw: Vec<f32> = (0..TILE * TILE).map(|_| random.range(-1.0, 1.0)).collect();
    (0..TILE * TILE)
        .map(|i| {
            let (x, y) = (i % TILE, i / TILE);
            let at = |dx: usize, dy: usize| raw[((y + dy) % TILE) * TILE + (x + dx) % TILE];
            let soft = at(0, 0) + 0.6 * (at(1, 0) + at(0, 1)) + 0.35 * at(1, 1);
            (soft * 60.0).clamp(-127.0, 127.0) as i8
        })
        .collect()
}

/// Large soft differences of the grass, -1 to 1.
fn patches() -> Vec<f32> {
    let mut random = Seeded::new(13);
    (0..32 * 32).map(|_| random.range(-1.0, 1.0)).collect()
}
