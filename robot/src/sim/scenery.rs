//! What stands around the circuit: trees, boards, tyre stacks, cones, placed by a seed.

use super::geometry::{Seeded, Vec2, vec2};
use super::track::{KERB_WIDTH, Track};

/// Everything that stands still.
#[derive(Clone, Debug)]
pub(super) struct Scenery {
    pub(super) trees: Vec<Tree>,
    pub(super) boards: Vec<Board>,
    pub(super) stacks: Vec<Vec2>,
    pub(super) flags: Vec<Flag>,
    pub(super) tents: Vec<Tent>,
    pub(super) gantry: Gantry,
    pub(super) cones: Vec<Vec2>,
    /// Circles the car cannot enter: middle and radius, in metres.
    pub(super) obstacles: Vec<(Vec2, f32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Species {
    Fir,
    Broadleaf,
    Bush,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub(super) position: Vec2,
    pub(super) height: f32,
    pub(super) species: Species,
    /// Turn about its trunk, in radians.
    pub(super) turn: f32,
    /// Variation of its colour, -1 to 1.
    pub(super) tone: f32,
}

/// A low board on the outside of a bend; it faces the oncoming car.
#[derive(Clone, Copy, Debug)]
pub(super) struct Board {
    pub(super) position: Vec2,
    /// Unit vector along its face, to the right as the driver sees it.
    pub(super) along: Vec2,
    pub(super) width: f32,
    pub(super) face: Face,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// Arrows to the driver's left.
    Left,
    /// Arrows to the driver's right.
    Right,
    /// A plain panel in one of the house colours.
    Plain(u8),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) position: Vec2,
    pub(super) colour: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tent {
    pub(super) position: Vec2,
    pub(super) turn: f32,
    pub(super) colour: u8,
}

/// The arch over the start line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gantry {
    pub(super) left: Vec2,
    pub(super) right: Vec2,
}

impl Scenery {
    pub(super) fn new(track: &Track, seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let start = track.at(0.0);
        let reach = track.half_width() + 0.9;
        let gantry = Gantry {
            left: start.position + start.forward.left() * reach,
            right: start.position - start.forward.left() * reach,
        };
        let mut scenery = Self {
            trees: Vec::new(),
            boards: boards(track),
            stacks: stacks(track),
            flags: flags(track),
            tents: tents(track),
            gantry,
            cones: cones(track, &mut random),
            obstacles: vec![(gantry.left, 0.12), (gantry.right, 0.12)],
        };
        scenery.obstacles.extend(scenery.stacks.iter().map(|&p| (p, 0.3)));
        scenery.obstacles.extend(scenery.tents.iter().map(|t| (t.position, 1.3)));
        scenery.obstacles.extend(scenery.flags.iter().map(|f| (f.position, 0.05)));
        for board in &scenery.boards {
            let posts = (board.width / 0.4).ceil() as usize;
            scenery.obstacles.extend((0..=posts).map(|k| {
                let along = (k as f32 / posts as f32 - 0.5) * board.width;
                (board.position + board.along * along, 0.12)
            }));
        }
        scenery.plant(track, &mut random);
        scenery
    }

    /// Trees in loose groups away from the road, and a dense belt outside the barrier.
    fn plant(&mut self, track: &Track, random: &mut Seeded) {
        let (low, high) = track.bounds();
        let mut tries = 0;
        while self.trees.len() < 78 && tries < 4_000 {
            tries += 1;
            let belt = self.trees.len() >= 34;
            let spread = if belt { 9.0 } else { -1.5 };
            let place = vec2(
                random.range(low.x - spread, high.x + spread),
                random.range(low.y - spread, high.y + spread),
            );
            let inside = place.x > low.x && place.x < high.x && place.y > low.y && place.y < high.y;
            let clear = track.nearest(place).lateral.abs() - track.half_width();
            let free = |p: Vec2, r: f32| (p - place).length() > r;
            if belt == inside || clear < 2.6 {
                continue;
            }
            let gap = if belt { 1.3 } else { 1.7 };
            if !self.trees.iter().all(|t| free(t.position, gap))
                || !self.obstacles.iter().all(|&(p, r)| free(p, r + 1.6))
            {
                continue;
            }
            let species = match random.range(0.0, 1.0) {
                x if x < 0.45 => Species::Fir,
                x if x < 0.85 || belt => Species::Broadleaf,
                _ => Species::Bush,
            };
            let height = match species {
                Species::Fir => random.range(2.6, 4.6),
                Species::Broadleaf => random.range(2.2, 3.6),
                Species::Bush => random.range(0.5, 0.9),
            } * if belt { 1.35 } else { 1.0 };
            let turn = random.range(0.0, std::f32::consts::TAU);
            self.trees.push(Tree { position: place, height, species, turn, tone: random.range(-1.0, 1.0) });
            if inside {
                self.obstacles.push((place, if species == Species::Bush { 0.3 } else { 0.16 }));
            }
        }
    }
}

/// Three boards with arrows behind each tight bend, and plain panels along the straight.
fn boards(track: &Track) -> Vec<Board> {
    let mut boards = Vec::new();
    let mut free_from = 0.0;
    let mut along = 0.0;
    while along < track.length() {
        let bend = track.at(along).curvature;
        if bend.abs() > 0.16 && along > free_from {
            for k in 0..3 {
                let point = track.at(along + 1.0 + 1.9 * k as f32);
                let outside = if bend > 0.0 { -1.0 } else { 1.0 };
                let position = point.position + point.forward.left() * (outside * (track.half_width() + 2.1));
                // Seen from the road: facing the centre line, turned toward those who arrive.
                let facing = (point.forward.left() * -outside + point.forward * -0.8).unit();
                let face = if bend > 0.0 { Face::Left } else { Face::Right };
                push_clear(&mut boards, track, Board { position, along: facing.left(), width: 1.5, face });
            }
            free_from = along + 16.0;
        }
        along += 0.5;
    }
    for k in 0..6u8 {
        let point = track.at(5.0 + 3.1 * f32::from(k));
        let position = point.position - point.forward.left() * (track.half_width() + 1.7);
        let board = Board { position, along: point.forward, width: 2.6, face: Face::Plain(k % 3) };
        push_clear(&mut boards, track, board);
    }
    boards
}

fn push_clear(boards: &mut Vec<Board>, track: &Track, board: Board) {
    if track.nearest(board.position).lateral.abs() > track.half_width() + KERB_WIDTH + 0.8 {
        boards.push(board);
    }
}

/// Stacks of tyres along the outside of the tightest bend.
fn stacks(track: &Track) -> Vec<Vec2> {
    let mut stacks = Vec::new();
    let mut along = 0.0;
    while along < track.length() {
        let point = track.at(along);
        if point.curvature.abs() > 0.2 {
            let outside = -point.curvature.signum();
            let place = point.position + point.forward.left() * (outside * (track.half_width() + 1.25));
            if track.nearest(place).lateral.abs() > track.half_width() + KERB_WIDTH + 0.4 {
                stacks.push(place);
            }
        }
        along += 0.62;
    }
    stacks
}

/// Feather flags in pairs at both ends of the start straight.
fn flags(track: &Track) -> Vec<Flag> {
    let mut flags = Vec::new();
    for (k, along) in [-7.0, -4.6, -2.2, 2.6].into_iter().enumerate() {
        let point = track.at(along);
        for side in [1.0, -1.0] {
            let position = point.position + point.forward.left() * (side * (track.half_width() + 1.3));
            flags.push(Flag { position, colour: (k % 3) as u8 });
        }
    }
    flags
}

/// A row of pavilions beside the start.
fn tents(track: &Track) -> Vec<Tent> {
    (0..4u8)
        .map(|k| {
            let point = track.at(-14.0 + 3.6 * f32::from(k));
            let position = point.position - point.forward.left() * (track.half_width() + 4.6);
            Tent { position, turn: point.forward.angle(), colour: k % 3 }
        })
        .collect()
}

/// Cones along the outside of each bend and in a loose pair before each tight one.
fn cones(track: &Track, random: &mut Seeded) -> Vec<Vec2> {
    let mut cones = Vec::new();
    let mut along = 4.0;
    while along < track.length() - 4.0 {
        let point = track.at(along);
        if point.curvature.abs() > 0.07 && point.curvature.abs() < 0.2 {
            let outside = -point.curvature.signum();
            let lateral = outside * (track.half_width() + KERB_WIDTH + random.range(0.25, 0.45));
            let place = point.position + point.forward.left() * lateral;
            if track.nearest(place).lateral.abs() > track.half_width() + 0.3 {
                cones.push(place);
            }
            along += 2.4;
        } else {
            along += 0.5;
        }
    }
    cones
}
