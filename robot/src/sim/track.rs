//! The circuit: a closed curve with a width, where the car is along it, and its outline for a map.

use super::geometry::{Vec2, vec2};

/// A closed circuit; immutable once made.
#[derive(Clone, Debug)]
pub struct Track {
    points: Vec<Point>,
    length: f32,
    half_width: f32,
    low: Vec2,
    high: Vec2,
    /// For each square metre of the bounds the index of the nearest point: where a search starts.
    seeds: Vec<u16>,
    columns: usize,
}

/// One sample of the centre line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// On the centre line.
    pub position: Vec2,
    /// Unit vector in the driving direction.
    pub forward: Vec2,
    /// 1/m, positive in a left turn.
    pub curvature: f32,
    /// Whether a kerb lies along the left edge.
    pub kerb_left: bool,
    /// Whether a kerb lies along the right edge.
    pub kerb_right: bool,
}

/// Where a place lies relative to the circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Metres from the start line along the centre line, in [0, length).
    pub along: f32,
    /// Metres from the centre line, positive to the left.
    pub lateral: f32,
    /// Unit vector in the driving direction.
    pub forward: Vec2,
    /// 1/m, positive in a left turn.
    pub curvature: f32,
}

/// Distance between samples of the centre line, in metres (rounded so that the lap is a whole number of them).
const SAMPLE: f32 = 0.25;
/// Width of a kerb outside the road's edge, in metres.
pub const KERB_WIDTH: f32 = 0.42;
/// Free ground between the circuit's outermost edge and the world's barrier, in metres.
pub(super) const MARGIN: f32 = 9.0;
/// A bend tighter than this has a kerb on its inside, 1/m.
const KERB_CURVATURE: f32 = 0.085;

/// Corner points of the club circuit, in metres, in driving order from the start line.
const CLUB: [Vec2; 23] = [
    vec2(-4.0, -17.0),
    vec2(8.0, -17.0),
    vec2(19.0, -16.2),
    vec2(26.0, -12.0),
    vec2(27.2, -4.6),
    vec2(21.5, 0.3),
    vec2(13.5, -1.6),
    vec2(7.0, -6.0),
    vec2(0.0, -7.4),
    vec2(-4.6, -3.4),
    vec2(-3.4, 2.4),
    vec2(3.0, 5.6),
    vec2(11.0, 7.2),
    vec2(15.3, 10.4),
    vec2(14.6, 15.0),
    vec2(9.5, 17.0),
    vec2(-2.0, 14.6),
    vec2(-13.0, 16.0),
    vec2(-22.0, 12.6),
    vec2(-25.5, 4.0),
    vec2(-26.0, -7.5),
    vec2(-22.6, -13.6),
    vec2(-14.0, -17.0),
];

impl Track {
    /// The circuit of the demo: a straight, a fast left, an S, a hairpin and a long sweep back, about 195 m.
    pub fn club() -> Self {
        Self::through(&CLUB, 2.2)
    }

    /// A closed circuit through `corners` (at least four, no two alike) with `half_width` metres to either side.
    ///
    /// # Panics
    /// With fewer than four corners.
    pub fn through(corners: &[Vec2], half_width: f32) -> Self {
        assert!(corners.len() >= 4, "a circuit has {} corners, want at least 4", corners.len());
        let fine = polyline(corners);
        let positions = resample(&fine);
        let count = positions.len();
        let length = (0..count).map(|i| (positions[(i + 1) % count] - positions[i]).length()).sum::<f32>();
        let mut points: Vec<Point> = (0..count)
            .map(|i| {
                let before = positions[(i + count - 3) % count];
                let after = positions[(i + 3) % count];
                let (a, b) = (positions[i] - before, after - positions[i]);
                let curvature = a.unit().cross(b.unit()).asin() / (0.5 * (a.length() + b.length()));
                let forward = (after - before).unit();
                Point { position: positions[i], forward, curvature, kerb_left: false, kerb_right: false }
            })
            .collect();
        place_kerbs(&mut points);
        let reach = half_width + MARGIN;
        let low = positions.iter().fold(positions[0], |a, p| vec2(a.x.min(p.x), a.y.min(p.y)));
        let high = positions.iter().fold(positions[0], |a, p| vec2(a.x.max(p.x), a.y.max(p.y)));
        let (low, high) = (low - vec2(reach, reach), high + vec2(reach, reach));
        let columns = (high.x - low.x).ceil() as usize + 1;
        let rows = (high.y - low.y).ceil() as usize + 1;
        let seeds = (0..rows * columns)
            .map(|cell| {
                let centre = low + vec2((cell % columns) as f32 + 0.5, (cell / columns) as f32 + 0.5);
                let squared = |i: &usize| (positions[*i] - centre).dot(positions[*i] - centre);
                (0..count).min_by(|a, b| squared(a).total_cmp(&squared(b))).unwrap_or(0) as u16
            })
            .collect();
        Self { points, length, half_width, low, high, seeds, columns }
    }

    /// Lap length along the centre line, in metres.
    pub fn length(&self) -> f32 {
        self.length
    }

    /// Metres from the centre line to the edge of the asphalt.
    pub fn half_width(&self) -> f32 {
        self.half_width
    }

    /// South-west and north-east corners of the world: the barrier stands there.
    pub fn bounds(&self) -> (Vec2, Vec2) {
        (self.low, self.high)
    }

    /// The samples of the centre line in driving order, a quarter of a metre apart; the first is the start line.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The centre line for a map: every metre or so, in metres, closed (the last joins the first).
    pub fn outline(&self) -> Vec<[f32; 2]> {
        self.points.iter().step_by(4).map(|p| [p.position.x, p.position.y]).collect()
    }

    /// The sample at `along` metres from the start line (any number of laps, forward or back).
    pub fn at(&self, along: f32) -> &Point {
        let count = self.points.len();
        let index = (along / self.length * count as f32).floor().rem_euclid(count as f32) as usize;
        &self.points[index.min(count - 1)]
    }

    /// The place on the circuit that is nearest to `place`; about 50 ns.
    pub fn nearest(&self, place: Vec2) -> Nearest {
        let count = self.points.len();
        let rows = self.seeds.len() / self.columns;
        let cell = place - self.low;
        let column = (cell.x.max(0.0) as usize).min(self.columns - 1);
        let row = (cell.y.max(0.0) as usize).min(rows - 1);
        let mut index = usize::from(self.seeds[row * self.columns + column]);
        let squared = |i: usize| {
            let offset = self.points[i].position - place;
            offset.dot(offset)
        };
        let mut best = squared(index);
        // Downhill from the seed in both directions; a stride of one suffices, as the distance is convex nearby.
        for step in [1, count - 1] {
            loop {
                let next = (index + step) % count;
                let distance = squared(next);
                if distance >= best {
                    break;
                }
                (index, best) = (next, distance);
            }
        }
        let point = &self.points[index];
        let offset = place - point.position;
        let ahead = offset.dot(point.forward).clamp(-SAMPLE, SAMPLE);
        let side = point.forward.cross(offset);
        // Outside a bend the same step along the centre line is a longer one, inside a shorter.
        let stretch = (1.0 - point.curvature * side).max(0.2);
        let way = (ahead / stretch).clamp(-0.6 * SAMPLE, 0.6 * SAMPLE);
        let along = (index as f32 * self.length / count as f32 + way).rem_euclid(self.length);
        let lateral = (offset - point.forward * ahead).length().copysign(side);
        // `rem_euclid` may round a tiny negative number up to the length itself.
        let along = if along < self.length { along } else { 0.0 };
        Nearest { along, lateral, forward: point.forward, curvature: point.curvature }
    }
}

/// Centripetal Catmull-Rom curve (no cusps or loops) through the corners, 64 short pieces between two of them.
fn polyline(corners: &[Vec2]) -> Vec<Vec2> {
    let count = corners.len();
    let mut fine = Vec::with_capacity(count * 64);
    for i in 0..count {
        let p = [0, 1, 2, 3].map(|k| corners[(i + count + k - 1) % count]);
        let mut knots = [0.0f32; 4];
        for k in 1..4 {
            knots[k] = knots[k - 1] + (p[k] - p[k - 1]).length().sqrt();
        }
        let mix = |a: Vec2, b: Vec2, from: f32, to: f32, t: f32| {
            a * ((to - t) / (to - from)) + b * ((t - from) / (to - from))
        };
        for step in 0..64 {
            let t = knots[1] + (knots[2] - knots[1]) * step as f32 / 64.0;
            let a = [0, 1, 2].map(|k| mix(p[k], p[k + 1], knots[k], knots[k + 1], t));
            let b = [0, 1].map(|k| mix(a[k], a[k + 1], knots[k], knots[k + 2], t));
            fine.push(mix(b[0], b[1], knots[1], knots[2], t));
        }
    }
    fine
}

/// The same closed line in equal steps of about [`SAMPLE`].
fn resample(fine: &[Vec2]) -> Vec<Vec2> {
    let lengths: Vec<f32> =
        (0..fine.len()).map(|i| (fine[(i + 1) % fine.len()] - fine[i]).length()).collect();
    let total: f32 = lengths.iter().sum();
    let count = (total / SAMPLE).round().max(8.0) as usize;
    let step = total / count as f32;
    let mut positions = Vec::with_capacity(count);
    let (mut piece, mut start) = (0, 0.0);
    for i in 0..count {
        let target = i as f32 * step;
        while piece + 1 < fine.len() && start + lengths[piece] < target {
            start += lengths[piece];
            piece += 1;
        }
        let t = ((target - start) / lengths[piece].max(1e-6)).clamp(0.0, 1.0);
        positions.push(fine[piece] + (fine[(piece + 1) % fine.len()] - fine[piece]) * t);
    }
    positions
}

/// Kerbs: inside each tight bend from a little before it, outside for some metres after its exit.
fn place_kerbs(points: &mut [Point]) {
    let count = points.len();
    let metres = |m: f32| (m / SAMPLE) as usize;
    for i in 0..count {
        let curvature = points[i].curvature;
        if curvature.abs() < KERB_CURVATURE {
            continue;
        }
        let leaves = points[(i + 1) % count].curvature.abs() < KERB_CURVATURE;
        let inside = (count + i - metres(1.5))..=(count + i + metres(1.0));
        let outside = (count + i)..=(count + i + if leaves { metres(5.0) } else { 0 });
        for k in inside {
            let point = &mut points[k % count];
            *(if curvature > 0.0 { &mut point.kerb_left } else { &mut point.kerb_right }) = true;
        }
        for k in outside.skip(if leaves { 0 } else { 1 }) {
            let point = &mut points[k % count];
            *(if curvature > 0.0 { &mut point.kerb_right } else { &mut point.kerb_left }) = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_beside_the_road_is_found_where_it_is() {
        let track = Track::club();
        for (i, point) in track.points().iter().enumerate() {
            for lateral in [-2.0, -0.5, 0.0, 0.7, 2.0] {
                let place = point.position + point.forward.left() * lateral;
                let found = track.nearest(place);
                let along = i as f32 * track.length() / track.points().len() as f32;
                let apart = (found.along - along + track.length() * 1.5).rem_euclid(track.length())
                    - track.length() * 0.5;
                assert!((found.lateral - lateral).abs() < 0.05, "{lateral} at {along}: {found:?}");
                assert!(apart.abs() < 0.2, "{lateral} at {along}: {found:?}");
            }
        }
    }

    #[test]
    fn nearest_is_the_nearest_of_all_points_anywhere_on_the_road_and_its_verge() {
        let track = Track::club();
        let (low, high) = track.bounds();
        let mut wide = 0;
        for step in 0..20_000 {
            let t = step as f32 * 0.618_034;
            let place =
                vec2(low.x + (high.x - low.x) * t.fract(), low.y + (high.y - low.y) * (t * 0.7549).fract());
            let found = track.nearest(place).lateral.abs();
            let brute = track.points().iter().map(|p| (p.position - place).length()).fold(f32::MAX, f32::min);
            if brute < track.half_width() + 1.0 {
                // The line passes at most half a sample away from the nearest sample.
                let beside = brute * brute - found * found;
                assert!((-0.01..0.06).contains(&beside), "{place:?}: {found}, want {brute}");
            } else {
                wide += 1;
                assert!(found > track.half_width(), "{place:?}: {found}, want {brute}");
            }
        }
        assert!(wide > 5_000, "{wide} places off the road");
    }

    #[test]
    fn legs_of_the_circuit_stay_apart_by_more_than_their_kerbs() {
        let track = Track::club();
        let points = track.points();
        let step = track.length() / points.len() as f32;
        let want = 2.0 * (track.half_width() + KERB_WIDTH) + 0.6;
        for (i, a) in points.iter().enumerate() {
            for (k, b) in points.iter().enumerate().skip(i + 1) {
                let along = ((k - i).min(points.len() + i - k)) as f32 * step;
                let apart = (a.position - b.position).length();
                assert!(
                    along < want * 1.6 || apart > want,
                    "{:?} and {:?} are {apart} m apart",
                    a.position,
                    b.position
                );
            }
        }
    }

    #[test]
    fn circuit_has_a_straight_a_hairpin_and_bends_both_ways() {
        let track = Track::club();
        let tightest = track.points().iter().map(|p| p.curvature.abs()).fold(0.0, f32::max);
        assert!((0.25..0.42).contains(&tightest), "tightest bend {tightest}");
        let lefts = track.points().iter().filter(|p| p.curvature > KERB_CURVATURE).count();
        let rights = track.points().iter().filter(|p| p.curvature < -KERB_CURVATURE).count();
        assert!(lefts > 40 && rights > 20, "{lefts} left, {rights} right");
        let straight = track.points().iter().filter(|p| p.curvature.abs() < 0.02).count() as f32 * SAMPLE;
        assert!(straight > 20.0, "{straight} m of straight");
        assert!((140.0..200.0).contains(&track.length()), "{} m", track.length());
    }

    #[test]
    fn outline_follows_the_centre_line_and_closes() {
        let track = Track::club();
        let outline = track.outline();
        assert!(outline.len() > 100);
        for pair in outline.windows(2) {
            let apart = vec2(pair[0][0] - pair[1][0], pair[0][1] - pair[1][1]).length();
            assert!((0.8..1.2).contains(&apart), "{apart}");
        }
        let (first, last) = (outline[0], outline[outline.len() - 1]);
        assert!(vec2(first[0] - last[0], first[1] - last[1]).length() < 1.3);
    }
}
