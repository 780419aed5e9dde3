//! The ground: road, lines, kerbs, grass, by a field of distances to the road.
//!
//! A field over the world holds the signed distance to the centre line and the way along it. Both are smooth, so each
//! row of the picture asks for them every 16 or 32 pixels and goes straight between; the colour then follows from the
//! distance by a table that exists in several widths of blur, one for each size a pixel can have on the ground. Edges
//! are therefore sharp nearby and calm far away, and a pixel costs two look-ups.

mod shader;
mod tables;

use super::super::camera::Lens;
use super::super::geometry::{Vec2, smoothstep, vec2};
use super::super::track::{KERB_WIDTH, Track};
use super::Picture;
use super::colour;
use shader::{Chroma, Shader, Span, Texture};
use tables::Table;

/// Metres between two samples of the field.
const CELL: f32 = 0.125;
/// The tables reach this many millimetres to either side of the centre line.
const REACH: i32 = 8192;
/// Widths of blur: the first averages 4 mm, each next one twice as much.
const LEVELS: usize = 12;
/// Side of the tile of grain, in texels.
const TILE: usize = 128;
/// The bits of a place in it.
const TEXELS: u16 = TILE as u16 - 1;
/// Ground further than this looks like haze, in metres.
const FAR: f32 = 400.0;
/// Length of one red and one white tooth of a kerb, in metres.
const TEETH: f32 = 0.9;
/// Side of a square of the start line, in metres; the line is three of them long.
const SQUARE: f32 = 0.3;
/// Width of a pair of mown stripes, in metres.
const STRIPES: f32 = 3.6;

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
    /// The tile, four times over: any sixteen bits are a place in it.
    grain: Box<[i8; 1 << 16]>,
    patches: Vec<f32>,
    edge_mm: f32,
    nodes: Vec<Node>,
    /// The nodes some rows on, and what each changes by from row to row until there.
    next: Vec<Node>,
    change: Vec<Node>,
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
    /// The same within the lap, in whole metres.
    metre: usize,
    east: f32,
    north: f32,
    /// Brightness of mown stripes and patches.
    shade: f32,
    haze: f32,
}

impl Node {
    /// The change per row toward this node from `from`, given that `share` of it happens in each row.
    fn less(&self, from: &Self, share: f32, lap: f32) -> Self {
        let way = self.along - from.along;
        let way = if way > 0.5 * lap {
            way - lap
        } else if way < -0.5 * lap {
            way + lap
        } else {
            way
        };
        Self {
            drop: (self.drop - from.drop) * share,
            distance: (self.distance - from.distance) * share,
            lateral_mm: (self.lateral_mm - from.lateral_mm) * share,
            along: way * share,
            metre: self.metre,
            east: (self.east - from.east) * share,
            north: (self.north - from.north) * share,
            shade: (self.shade - from.shade) * share,
            haze: (self.haze - from.haze) * share,
        }
    }

    fn add(&mut self, change: &Self) {
        self.drop += change.drop;
        self.distance += change.distance;
        self.lateral_mm += change.lateral_mm;
        self.along += change.along;
        self.east += change.east;
        self.north += change.north;
        self.shade += change.shade;
        self.haze += change.haze;
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
        Self {
            origin: low,
            columns,
            rows,
            cells,
            length,
            plain: Table::across(half, None),
            red: Table::across(half, Some(colour::KERB_RED)),
            white: Table::across(half, Some(colour::PAINT)),
            kerbs,
            grain: tables::grain(),
            patches: tables::patches(),
            edge_mm: (half + KERB_WIDTH + 0.3) * 1000.0,
            nodes: Vec::new(),
            next: Vec::new(),
            change: Vec::new(),
            above: Vec::new(),
        }
    }

    /// Draws all ground below the horizon; `speed` in m/s blurs the grain as a shutter does.
    pub(super) fn draw(&mut self, lens: &Lens, speed: f32, picture: &mut Picture<'_>) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.draw_wide(lens, speed, picture) };
        }
        self.draw_plain(lens, speed, picture);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn draw_wide(&mut self, lens: &Lens, speed: f32, picture: &mut Picture<'_>) {
        self.draw_plain(lens, speed, picture);
    }

    #[inline(always)]
    fn draw_plain(&mut self, lens: &Lens, speed: f32, picture: &mut Picture<'_>) {
        // The field is read as densely on the ground whatever the picture's size.
        if picture.size.width >= 960 {
            self.draw_spans::<32>(lens, speed, picture);
        } else {
            self.draw_spans::<16>(lens, speed, picture);
        }
    }

    #[inline(always)]
    fn draw_spans<const S: usize>(&mut self, lens: &Lens, speed: f32, picture: &mut Picture<'_>) {
        let (width, height) = (picture.size.width as usize, picture.size.height as usize);
        let count = width.div_ceil(S) + 1;
        let mut nodes = std::mem::take(&mut self.nodes);
        let mut above = std::mem::take(&mut self.above);
        nodes.clear();
        nodes.resize(count, Node::default());
        above.clear();
        let ends = (super::sky::horizon(lens, 0.0), super::sky::horizon(lens, width as f32));
        let (first, last_horizon) = (ends.0.min(ends.1), ends.0.max(ends.1));
        let mut next = std::mem::take(&mut self.next);
        next.clear();
        let mut change = std::mem::take(&mut self.change);
        for row in (first.max(0.0) as usize).min(height)..height {
            // Far below the horizon four rows lie on a straight line well enough.
            let step = (row as f32 - last_horizon) as usize % 4;
            if (row as f32) < last_horizon + 50.0 {
                self.survey(lens, row, S, &mut nodes);
            } else {
                if step == 0 || next.is_empty() {
                    if next.is_empty() {
                        next.resize(count, Node::default());
                        self.survey(lens, row, S, &mut nodes);
                    } else {
                        nodes.copy_from_slice(&next);
                    }
                    self.survey(lens, row + 4 - step, S, &mut next);
                    let share = 1.0 / (4 - step) as f32;
                    change.clear();
                    change.extend(
                        nodes.iter().zip(&next).map(|(node, next)| next.less(node, share, self.length)),
                    );
                } else {
                    for (node, change) in nodes.iter_mut().zip(&change) {
                        node.add(change);
                    }
                }
            }
            if above.is_empty() {
                above.extend(nodes.iter().map(|n| n.lateral_mm));
            }
            let texture = Texture::new(lens, nodes[count / 2].distance, speed);
            for n in 0..count - 1 {
                let from = n * S;
                let span = Span { a: &nodes[n], b: &nodes[n + 1], fall: nodes[n].lateral_mm - above[n], row };
                self.paint::<S>(lens, &span, from..(from + S).min(width), texture, picture);
            }
            for (last, node) in above.iter_mut().zip(&nodes) {
                *last = node.lateral_mm;
            }
        }
        (self.nodes, self.next, self.change, self.above) = (nodes, next, change, above);
    }

    /// Reads the field every `stride` columns of a row.
    #[inline(always)]
    fn survey(&self, lens: &Lens, row: usize, stride: usize, nodes: &mut [Node]) {
        let start = lens.ray(0.5, row as f32 + 0.5);
        let step = lens.right * (stride as f32 / lens.focal);
        let flat_least = lens.position.z / FAR;
        let (right, top) = ((self.columns - 2) as f32, (self.rows - 2) as f32);
        let mut along = 0.0;
        for (n, node) in nodes.iter_mut().enumerate() {
            let ray = start + step * n as f32;
            node.drop = -ray.z;
            let reach = lens.position.z / node.drop.max(flat_least);
            node.distance = reach;
            node.east = lens.position.x + ray.x * reach;
            node.north = lens.position.y + ray.y * reach;
            let x = ((node.east - self.origin.x) * (1.0 / CELL)).clamp(0.0, right);
            let y = ((node.north - self.origin.y) * (1.0 / CELL)).clamp(0.0, top);
            let (column, line) = (x as i32 as usize, y as i32 as usize);
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
            node.metre = way.max(0.0) as i32 as usize;
            // Kept within half a lap of the node before.
            node.along = way;
            if n > 0 && along - way > 0.5 * self.length {
                node.along += self.length;
            } else if n > 0 && way - along > 0.5 * self.length {
                node.along -= self.length;
            }
            along = node.along;
            let pixel = reach / lens.focal;
            let view = reach * pixel / lens.position.z;
            node.shade = self.shade(node.east, node.north, (pixel * 20.0).max(view));
            // exp(-x) as the inverse of its series, whole at the far end.
            let x = reach * 0.0075;
            node.haze = 256.0 * (1.0 - 1.0 / (1.0 + x * (1.0 + x * (0.5 + x * 0.2)))).min(1.0);
        }
    }

    /// Brightness of stripes and patches of the grass, blurred over `blur` metres.
    #[inline(always)]
    fn shade(&self, east: f32, north: f32, blur: f32) -> f32 {
        // Kept positive, so that a cast rounds down: cheaper than `floor` without SSE4.1.
        let (east, north) = (east.clamp(-900.0, 900.0) + 1024.0, north.clamp(-900.0, 900.0) + 1024.0);
        let across = (east * 0.94 + north * 0.34) * (1.0 / STRIPES);
        let wave = ((across - across as i32 as f32 - 0.5).abs() - 0.25) * STRIPES;
        let stripe = (wave / (blur * 0.5 + 0.05)).clamp(-1.0, 1.0);
        let fade = 1.0 - smoothstep(STRIPES * 0.8, STRIPES * 4.0, blur);
        let (x, y) = (east * 0.55, north * 0.55);
        let (i, j) = (x as i32 as usize, y as i32 as usize);
        let (tx, ty) = (x - i as f32, y - j as f32);
        let at = |i: usize, j: usize| self.patches[(j & 31) * 32 + (i & 31)];
        let low = at(i, j) + (at(i + 1, j) - at(i, j)) * tx;
        let high = at(i, j + 1) + (at(i + 1, j + 1) - at(i, j + 1)) * tx;
        (stripe * 9.0 + (low + (high - low) * ty) * 3.0) * fade
    }

    #[inline(always)]
    fn paint<const S: usize>(
        &self,
        lens: &Lens,
        span: &Span<'_>,
        columns: std::ops::Range<usize>,
        texture: Texture,
        picture: &mut Picture<'_>,
    ) {
        let (start, mut from, mut to) = (columns.start, columns.start, columns.end);
        if span.a.drop <= 0.0 && span.b.drop <= 0.0 {
            return;
        }
        // Only what lies below the horizon.
        if span.a.drop <= 0.0 || span.b.drop <= 0.0 {
            let cross = start + (S as f32 * span.a.drop / (span.a.drop - span.b.drop)) as usize;
            if span.a.drop <= 0.0 { from = cross.clamp(from, to) } else { to = cross.clamp(from, to) }
        }
        let both = span.row.is_multiple_of(2) && span.row / 2 < picture.size.height as usize / 2;
        let shader = Shader::<S>::new(self, lens, span, texture);
        let run = shader.run(if both { Chroma::Wanted } else { Chroma::Not });
        let row = span.row * picture.stride_y;
        picture.y[row + from..row + to].copy_from_slice(&run.y[from - start..to - start]);
        if both {
            let row = span.row / 2 * picture.stride_uv;
            let (first, last) = (from.div_ceil(2), (to / 2).max(from.div_ceil(2)));
            let skip = first - start / 2;
            picture.u[row + first..row + last].copy_from_slice(&run.u[skip..skip + last - first]);
            picture.v[row + first..row + last].copy_from_slice(&run.v[skip..skip + last - first]);
        }
    }
}
