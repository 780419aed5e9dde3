//! What stands, lies and moves on the ground, drawn from far to near.

use super::super::camera::Lens;
use super::super::car::{TREAD, WHEEL_RADIUS, WHEELBASE};
use super::super::cones::{self, Cone};
use super::super::geometry::{Vec2, Vec3, vec2, vec3};
use super::super::scenery::{Board, Face, Flag, Gantry, Species, Tent, Tree};
use super::super::world::Scene;
use super::canvas::Canvas;
use super::colour::{self, Colour};
use super::models::{Brush, local};

/// Shadows fall away from the sun; per metre of height.
const SHADOW: Vec2 = vec2(-0.80, -0.75);

/// One thing to draw; an index into the scene's own list.
#[derive(Clone, Copy)]
pub(super) enum Thing {
    Tree(usize),
    Board(usize),
    Stack(usize),
    Flag(usize),
    Tent(usize),
    Cone(usize),
    Post(Vec2),
    Beam,
    Fence(Vec2, Vec2),
}

pub(super) fn draw(scene: &Scene, lens: &Lens, queue: &mut Vec<(f32, Thing)>, canvas: Canvas<'_, '_>) {
    let mut brush = Brush::new(lens, canvas);
    draw_marks(scene, &mut brush);
    draw_shadows(scene, &mut brush);
    collect(scene, &brush, queue);
    queue.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let scenery = &scene.scenery;
    for &(_, thing) in queue.iter() {
        match thing {
            Thing::Tree(i) => draw_tree(&mut brush, &scenery.trees[i]),
            Thing::Board(i) => draw_board(&mut brush, &scenery.boards[i]),
            Thing::Stack(i) => draw_stack(&mut brush, scenery.stacks[i], i),
            Thing::Flag(i) => draw_flag(&mut brush, &scenery.flags[i], scene.time.as_secs_f32()),
            Thing::Tent(i) => draw_tent(&mut brush, &scenery.tents[i]),
            Thing::Cone(i) => draw_cone(&mut brush, &scene.cones[i]),
            Thing::Post(at) => {
                brush.frustum(at.at(0.0), GANTRY_HEIGHT + 0.2, (0.09, 0.09), (6, 0.4), colour::STEEL);
            }
            Thing::Beam => draw_beam(&mut brush, &scenery.gantry),
            Thing::Fence(from, to) => draw_fence(&mut brush, from, to),
        }
    }
    draw_car(scene, &mut brush);
}

const GANTRY_HEIGHT: f32 = 1.75;
const FENCE_HEIGHT: f32 = 0.62;

fn collect(scene: &Scene, brush: &Brush<'_, '_, '_>, queue: &mut Vec<(f32, Thing)>) {
    queue.clear();
    let scenery = &scene.scenery;
    let eye = brush.lens.position.ground();
    let ahead = brush.lens.forward.ground().unit();
    let mut add = |at: Vec2, radius: f32, thing: Thing| {
        if brush.sees(at.at(radius * 0.5), radius) {
            queue.push(((at - eye).dot(ahead), thing));
        }
    };
    for (i, tree) in scenery.trees.iter().enumerate() {
        add(tree.position, tree.height * 0.7, Thing::Tree(i));
    }
    for (i, board) in scenery.boards.iter().enumerate() {
        add(board.position, board.width * 0.6, Thing::Board(i));
    }
    for (i, &at) in scenery.stacks.iter().enumerate() {
        add(at, 0.5, Thing::Stack(i));
    }
    for (i, flag) in scenery.flags.iter().enumerate() {
        add(flag.position, 2.2, Thing::Flag(i));
    }
    for (i, tent) in scenery.tents.iter().enumerate() {
        add(tent.position, 2.6, Thing::Tent(i));
    }
    for (i, cone) in scene.cones.iter().enumerate() {
        add(cone.position, 0.4, Thing::Cone(i));
    }
    let gantry = &scenery.gantry;
    add(gantry.left, 2.0, Thing::Post(gantry.left));
    add(gantry.right, 2.0, Thing::Post(gantry.right));
    add((gantry.left + gantry.right) * 0.5, 4.0, Thing::Beam);
    let (low, high) = scene.track.bounds();
    let corners = [low, vec2(high.x, low.y), high, vec2(low.x, high.y)];
    for k in 0..4 {
        let (from, to) = (corners[k], corners[(k + 1) % 4]);
        let pieces = ((to - from).length() / 4.5).round().max(1.0);
        for p in 0..pieces as usize {
            let at = |i: usize| from + (to - from) * (i as f32 / pieces);
            add((at(p) + at(p + 1)) * 0.5, 2.6, Thing::Fence(at(p), at(p + 1)));
        }
    }
}

fn draw_marks(scene: &Scene, brush: &mut Brush<'_, '_, '_>) {
    let count = scene.marks.len();
    for (i, mark) in scene.marks.iter().enumerate() {
        if !brush.sees(mark.from.at(0.0), 0.4) {
            continue;
        }
        let side = (mark.to - mark.from).unit().left() * 0.035;
        let corners =
            [mark.from + side, mark.to + side, mark.to - side, mark.from - side].map(|corner| corner.at(0.0));
        let age = ((i + 40) as f32 / (count + 40) as f32).min(1.0);
        brush.face(&corners, colour::INK, 0.55 * mark.strength.max(0.35) * age);
    }
}

fn draw_shadows(scene: &Scene, brush: &mut Brush<'_, '_, '_>) {
    for tree in &scene.scenery.trees {
        let width = crown(tree);
        if brush.sees(tree.position.at(0.0), tree.height * 1.6) {
            let along = SHADOW * (tree.height * 0.42);
            brush.shadow(tree.position + along * 0.8, along, width * 0.8, 0.34);
        }
    }
    for cone in &scene.cones {
        if brush.sees(cone.position.at(0.0), 0.5) {
            brush.shadow(cone.position + SHADOW * 0.14, SHADOW * 0.2, 0.12, 0.36);
        }
    }
    for &stack in &scene.scenery.stacks {
        if brush.sees(stack.at(0.0), 0.8) {
            brush.shadow(stack + SHADOW * 0.25, SHADOW * 0.4, 0.3, 0.34);
        }
    }
    for board in &scene.scenery.boards {
        if brush.sees(board.position.at(0.0), board.width) {
            let (a, b) = ends(board);
            let cast = SHADOW * 0.62;
            brush.face(&[a, b, b + cast, a + cast].map(|p| p.at(0.0)), colour::rgb(0x1E3A24), 0.34);
        }
    }
    for tent in &scene.scenery.tents {
        if brush.sees(tent.position.at(0.0), 4.0) {
            brush.shadow(tent.position + SHADOW * 0.9, SHADOW * 1.5, 1.25, 0.34);
        }
    }
    let gantry = &scene.scenery.gantry;
    let cast = SHADOW * GANTRY_HEIGHT;
    let thick = (gantry.left - gantry.right).unit().left() * 0.16;
    let (a, b) = (gantry.left + cast, gantry.right + cast);
    brush.face(&[a + thick, b + thick, b - thick, a - thick].map(|p| p.at(0.0)), colour::INK, 0.3);
}

fn crown(tree: &Tree) -> f32 {
    match tree.species {
        Species::Fir => 0.27 * tree.height,
        Species::Broadleaf => 0.36 * tree.height,
        Species::Bush => 0.62 * tree.height,
    }
}

fn draw_tree(brush: &mut Brush<'_, '_, '_>, tree: &Tree) {
    let foot = tree.position.at(0.0);
    let up = |z: f32| foot + vec3(0.0, 0.0, z * tree.height);
    let distance = brush.lens.view(foot).z;
    let sides = if tree.height / distance.max(0.1) > 0.2 { 7 } else { 5 };
    let shape = (sides, tree.turn);
    let width = crown(tree);
    match tree.species {
        Species::Fir => {
            let paint = colour::FIR.mix(colour::LEAF, 0.14 + 0.12 * tree.tone);
            brush.frustum(foot, 0.24 * tree.height, (0.1, 0.08), (5, tree.turn), colour::TRUNK);
            for (low, high, wide, tone) in
                [(0.16, 0.58, 1.0, 0.9), (0.38, 0.8, 0.78, 1.0), (0.6, 1.0, 0.52, 1.1)]
            {
                let height = (high - low) * tree.height;
                let turn = (sides, tree.turn + low * 5.0);
                brush.frustum(up(low), height, (width * wide, 0.0), turn, paint.lit(tone));
            }
        }
        Species::Broadleaf => {
            let paint = colour::LEAF.mix(colour::LEAF_WARM, (0.35 + 0.45 * tree.tone).max(0.0)).lit(0.92);
            brush.frustum(foot, 0.42 * tree.height, (0.11, 0.08), (5, tree.turn), colour::TRUNK);
            crown_of(brush, up(0.3), 0.7 * tree.height, width, shape, paint);
        }
        Species::Bush => {
            let paint = colour::LEAF.mix(colour::FIR, 0.45 + 0.25 * tree.tone);
            crown_of(brush, up(-0.1), 1.1 * tree.height, width, shape, paint);
        }
    }
}

/// A rough ball of leaves: three bands and a cap.
fn crown_of(
    brush: &mut Brush<'_, '_, '_>,
    foot: Vec3,
    height: f32,
    width: f32,
    shape: (usize, f32),
    paint: Colour,
) {
    let bands = [(0.0, 0.55), (0.24, 0.95), (0.6, 0.86), (0.88, 0.42)];
    let (sides, turn) = shape;
    for (i, pair) in bands.windows(2).enumerate() {
        let ((low, narrow), (high, wide)) = (pair[0], pair[1]);
        let at = foot + vec3(0.0, 0.0, low * height);
        // Each band is turned alike, or its corners would not meet the next one's.
        let tone = 0.88 + 0.07 * i as f32;
        let radii = (narrow * width, wide * width);
        if i == 0 {
            brush.underside(at, radii.0, shape, paint);
        }
        brush.sides(at, (high - low) * height, radii, shape, paint.lit(tone));
    }
    let at = foot + vec3(0.0, 0.0, 0.88 * height);
    brush.sides(at, 0.12 * height, (0.42 * width, 0.0), (sides, turn), paint.lit(1.08));
}

fn ends(board: &Board) -> (Vec2, Vec2) {
    let half = board.along * (board.width * 0.5);
    (board.position - half, board.position + half)
}

fn draw_board(brush: &mut Brush<'_, '_, '_>, board: &Board) {
    // A driver sees it from the side its right-hand end is on the right of.
    let front = -board.along.left();
    let base = match board.face {
        Face::Plain(k) => colour::HOUSE[usize::from(k)],
        Face::Left | Face::Right => colour::PAINT,
    };
    let (low, high) = (0.1, 0.66);
    brush.block(
        board.position.at((low + high) / 2.0),
        board.along,
        (board.width / 2.0, 0.035, (high - low) / 2.0),
        base,
    );
    let seen = front.dot(brush.lens.position.ground() - board.position) > 0.0;
    let left = if seen { -1.0 } else { 1.0 };
    let face = board.position + (if seen { front } else { -front }) * 0.037;
    // In metres to the right on the face and up.
    let at = |x: f32, z: f32| (face + board.along * (x * -left)).at(z);
    let light = brush.light((if seen { front } else { -front }).at(0.0));
    match board.face {
        Face::Plain(k) => {
            let stripe = colour::PAINT.lit(light);
            let w = board.width / 2.0;
            for x in [-0.5, 0.1] {
                let x = x * w;
                brush.face(
                    &[at(x, low), at(x + 0.22, low), at(x + 0.5, high), at(x + 0.28, high)],
                    stripe,
                    1.0,
                );
            }
            let cap = colour::HOUSE[usize::from((k + 1) % 3)].lit(light);
            brush.face(&[at(-w, high - 0.07), at(w, high - 0.07), at(w, high), at(-w, high)], cap, 1.0);
        }
        Face::Left | Face::Right if seen => {
            let ink = colour::KERB_RED.lit(light);
            let tip = if board.face == Face::Left { -1.0 } else { 1.0 };
            let (low, high) = (low + 0.06, high - 0.06);
            let middle = (low + high) / 2.0;
            for k in -1..=1 {
                let x = k as f32 * 0.46;
                let (back, nose) = (x - 0.16 * tip, x + 0.1 * tip);
                let wide = 0.2 * tip;
                brush.face(
                    &[at(back, high), at(back + wide, high), at(nose + wide, middle), at(nose, middle)],
                    ink,
                    1.0,
                );
                brush.face(
                    &[at(back, low), at(back + wide, low), at(nose + wide, middle), at(nose, middle)],
                    ink,
                    1.0,
                );
            }
        }
        Face::Left | Face::Right => {}
    }
}

fn draw_stack(brush: &mut Brush<'_, '_, '_>, at: Vec2, index: usize) {
    for k in 0..3 {
        let paint = match (k + index) % 2 {
            0 => colour::TYRE,
            _ if k == 1 || index.is_multiple_of(4) => colour::PAINT,
            _ => colour::KERB_RED,
        };
        let foot = at.at(0.17 * k as f32);
        brush.frustum(foot, 0.16, (0.29, 0.29), (9, 0.3), paint);
    }
    brush.frustum(at.at(0.511), 0.001, (0.16, 0.16), (9, 0.3), colour::INK);
}

fn draw_flag(brush: &mut Brush<'_, '_, '_>, flag: &Flag, seconds: f32) {
    let aside = brush.lens.right.ground().unit();
    brush.frustum(flag.position.at(0.0), 2.3, (0.03, 0.02), (5, 0.0), colour::STEEL);
    // A feather: strips that sway more toward the free edge.
    let sway =
        (seconds * 2.1 + flag.position.x).sin() * 0.06 + (seconds * 5.3 + flag.position.y).sin() * 0.02;
    let edge = |z: f32| {
        let t = (z - 0.55) / 1.75;
        let bulge = 0.46 * (1.0 - (1.0 - t * 0.9).powi(4)).sqrt() * (1.0 - 0.72 * t * t * t);
        (0.03, bulge + sway * t * (1.2 - t))
    };
    let paint = colour::HOUSE[usize::from(flag.colour)];
    for k in 0..6 {
        let (low, high) = (0.55 + 1.75 * k as f32 / 6.0, 0.55 + 1.75 * (k + 1) as f32 / 6.0);
        let at = |x: f32, z: f32| (flag.position + aside * x).at(z);
        let tint = if k == 2 { colour::PAINT } else { paint };
        let light = 0.95 + 0.09 * (seconds * 2.1 + k as f32).sin();
        let corners =
            [at(edge(low).0, low), at(edge(low).1, low), at(edge(high).1, high), at(edge(high).0, high)];
        brush.face(&corners, tint.lit(light), 1.0);
    }
}

fn draw_tent(brush: &mut Brush<'_, '_, '_>, tent: &Tent) {
    let ahead = Vec2::from_angle(tent.turn);
    let at = |x: f32, y: f32, z: f32| local(tent.position, ahead, (x, y, z));
    let ring = [(1.15, 1.15), (-1.15, 1.15), (-1.15, -1.15), (1.15, -1.15)];
    for (x, y) in ring {
        brush.frustum(at(x * 0.96, y * 0.96, 0.0), 1.35, (0.035, 0.035), (4, tent.turn), colour::STEEL);
    }
    let paint = colour::HOUSE[usize::from(tent.colour)];
    // The back wall faces away from the circuit.
    brush.face(
        &[at(-1.1, -1.1, 0.0), at(1.1, -1.1, 0.0), at(1.1, -1.1, 1.2), at(-1.1, -1.1, 1.2)],
        paint.lit(0.74),
        1.0,
    );
    brush.block(at(0.0, 0.2, 0.3), ahead, (0.8, 0.25, 0.3), colour::PAINT);
    for k in 0..4 {
        let ((ax, ay), (bx, by)) = (ring[k], ring[(k + 1) % 4]);
        brush.lit_face(
            &[at(ax, ay, 1.15), at(bx, by, 1.15), at(bx, by, 1.35), at(ax, ay, 1.35)],
            colour::PAINT,
        );
        brush.lit_face(&[at(ax, ay, 1.35), at(bx, by, 1.35), at(0.0, 0.0, 2.05)], paint.lit(1.05));
    }
}

fn draw_beam(brush: &mut Brush<'_, '_, '_>, gantry: &Gantry) {
    let middle = (gantry.left + gantry.right) * 0.5;
    let along = (gantry.left - gantry.right).unit();
    let half = (gantry.left - gantry.right).length() * 0.5 + 0.05;
    let (low, high) = (GANTRY_HEIGHT - 0.1, GANTRY_HEIGHT + 0.42);
    brush.block(middle.at((low + high) / 2.0), along, (half, 0.1, (high - low) / 2.0), colour::INK);
    let side = brush.lens.position.ground() - middle;
    let front = if along.left().dot(side) > 0.0 { along.left() } else { -along.left() };
    let at = |x: f32, z: f32| (middle + front * 0.102 + along * x).at(z);
    let light = brush.light(front.at(0.0));
    let cell = 0.13;
    let count = (half / cell) as i32;
    for column in -count..count {
        for row in 0..4 {
            if (column + row) % 2 == 0 {
                let (x, z) = (column as f32 * cell, low + row as f32 * cell);
                let corners = [at(x, z), at(x + cell, z), at(x + cell, z + cell), at(x, z + cell)];
                brush.face(&corners, colour::PAINT.lit(light), 1.0);
            }
        }
    }
}

fn draw_fence(brush: &mut Brush<'_, '_, '_>, from: Vec2, to: Vec2) {
    let at = |p: Vec2, z: f32| p.at(z);
    let light = brush.light((to - from).unit().left().at(0.0));
    let white = colour::PAINT.lit(light);
    for z in [0.26, FENCE_HEIGHT - 0.12] {
        brush.face(&[at(from, z), at(to, z), at(to, z + 0.11), at(from, z + 0.11)], white, 1.0);
    }
    let side = (to - from).unit() * 0.05;
    let post = [from - side, from + side];
    brush.face(
        &[
            at(post[0], 0.0),
            at(post[1], 0.0),
            at(post[1], FENCE_HEIGHT + 0.08),
            at(post[0], FENCE_HEIGHT + 0.08),
        ],
        white.lit(0.94),
        1.0,
    );
}

fn draw_cone(brush: &mut Brush<'_, '_, '_>, cone: &Cone) {
    let fall = cone.fallen;
    let (sin, cos) = cone.tilt.sin_cos();
    // Turned about the edge of its foot it falls over.
    let pivot = cone.position + fall * (cones::FOOT * sin);
    let place = |along: f32, across: f32, up: f32| {
        let flat = pivot + fall * (along * cos + up * sin) + fall.left() * across;
        flat.at((up * cos - along * sin).max(0.0) + cones::FOOT * sin * 0.6)
    };
    let foot = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)];
    let base = foot.map(|(a, b)| place(a * cones::FOOT, b * cones::FOOT, 0.02));
    brush.face(&base, colour::CONE.lit(0.72), 1.0);
    const SIDES: usize = 8;
    let ring = |radius: f32, up: f32| {
        let mut points = [Vec3::default(); SIDES];
        for (k, point) in points.iter_mut().enumerate() {
            let (s, c) = (k as f32 * std::f32::consts::TAU / SIDES as f32).sin_cos();
            *point = place(c * radius, s * radius, up);
        }
        points
    };
    let bands = [
        (0.0, 0.4, colour::CONE),
        (0.4, 0.66, colour::PAINT),
        (0.66, 0.93, colour::CONE),
        (0.93, 1.0, colour::INK),
    ];
    for (low, high, paint) in bands {
        let radius = |t: f32| 0.1 - 0.082 * t;
        let (a, b) =
            (ring(radius(low), 0.02 + low * cones::HEIGHT), ring(radius(high), 0.02 + high * cones::HEIGHT));
        for k in 0..SIDES {
            let next = (k + 1) % SIDES;
            brush.lit_face(&[a[k], a[next], b[next], b[k]], paint);
        }
    }
}

/// Nose, wing and front wheels of the driven car, seen from its own mast.
fn draw_car(scene: &Scene, brush: &mut Brush<'_, '_, '_>) {
    let ahead = Vec2::from_angle(scene.state.heading);
    let at = |x: f32, y: f32, z: f32| local(scene.state.position, ahead, (x, y, z));
    let axle = WHEELBASE / 2.0;
    if !brush.sees(at(axle, 0.0, 0.1), 0.5) {
        return;
    }
    let ground = |x: f32, y: f32| at(x, y, 0.0);
    let shade = [(0.62, 0.2), (0.62, -0.2), (-0.3, -0.3), (-0.3, 0.3)].map(|(x, y)| ground(x - 0.03, y));
    brush.face(&shade, colour::INK, 0.38);
    for side in [1.0, -1.0] {
        let hub = scene.state.position + ahead * axle + ahead.left() * (side * TREAD / 2.0);
        brush.shadow(hub + SHADOW * 0.05, ahead * 0.12, 0.08, 0.4);
        let steer = Vec2::from_angle(-scene.state.wheels);
        let turned = ahead * steer.x + ahead.left() * steer.y;
        draw_wing(brush, &at, side);
        draw_wheel(brush, hub, turned, scene.state.odometer as f32);
    }
    for side in [1.0, -1.0] {
        for (x, z) in [(axle + 0.07, 0.1), (axle - 0.07, 0.1), (axle - 0.02, 0.155)] {
            let (inner, outer) = (0.05 * side, (TREAD / 2.0 - 0.05) * side);
            let arm = [
                at(x - 0.012, inner, z),
                at(x + 0.012, inner, z),
                at(axle + 0.012, outer, z),
                at(axle - 0.012, outer, z),
            ];
            brush.face(&arm, colour::INK.lit(1.25), 1.0);
        }
    }
    draw_nose(brush, &at);
}

fn draw_wing(brush: &mut Brush<'_, '_, '_>, at: &impl Fn(f32, f32, f32) -> Vec3, side: f32) {
    let wing = [
        at(0.44, 0.04 * side, 0.075),
        at(0.53, 0.04 * side, 0.06),
        at(0.50, 0.2 * side, 0.06),
        at(0.40, 0.2 * side, 0.075),
    ];
    brush.face(&wing, colour::BODY.lit(0.92), 1.0);
    let plate = [
        at(0.38, 0.2 * side, 0.04),
        at(0.52, 0.2 * side, 0.04),
        at(0.50, 0.2 * side, 0.12),
        at(0.40, 0.2 * side, 0.14),
    ];
    brush.face(&plate, colour::PAINT.lit(0.9), 1.0);
}

/// The body from the lens to the nose: five facets and a stripe.
fn draw_nose(brush: &mut Brush<'_, '_, '_>, at: &impl Fn(f32, f32, f32) -> Vec3) {
    // (ahead, half width below, half width above, height below, height above)
    let frames = [
        (-0.12, 0.17, 0.12, 0.10, 0.255),
        (0.16, 0.12, 0.075, 0.09, 0.205),
        (0.40, 0.07, 0.045, 0.075, 0.15),
        (0.56, 0.045, 0.025, 0.065, 0.10),
    ];
    for pair in frames.windows(2).rev() {
        let (a, b) = (pair[0], pair[1]);
        for side in [1.0, -1.0] {
            let mut flank = [
                at(a.0, a.1 * side, a.3),
                at(b.0, b.1 * side, b.3),
                at(b.0, b.2 * side, b.4),
                at(a.0, a.2 * side, a.4),
            ];
            if side > 0.0 {
                flank.reverse();
            }
            brush.lit_face(&flank, colour::BODY);
        }
        let top = [at(a.0, -a.2, a.4), at(b.0, -b.2, b.4), at(b.0, b.2, b.4), at(a.0, a.2, a.4)];
        brush.lit_face(&top, colour::BODY);
    }
    let light = brush.light(vec3(0.0, 0.0, 1.0));
    for pair in frames.windows(2).rev() {
        let (a, b) = (pair[0], pair[1]);
        let stripe = [
            at(a.0, -a.2 * 0.34, a.4),
            at(b.0, -b.2 * 0.34, b.4),
            at(b.0, b.2 * 0.34, b.4),
            at(a.0, a.2 * 0.34, a.4),
        ];
        brush.face(&stripe, colour::PAINT.lit(light), 1.0);
    }
    let tip = frames[3];
    brush.lit_face(
        &[
            at(tip.0, -tip.1, tip.3),
            at(tip.0, tip.1, tip.3),
            at(tip.0, tip.2, tip.4),
            at(tip.0, -tip.2, tip.4),
        ],
        colour::BODY,
    );
}

/// A wheel standing on the ground at `hub`, rolling along `ahead`; `way` turns its tread.
fn draw_wheel(brush: &mut Brush<'_, '_, '_>, hub: Vec2, ahead: Vec2, way: f32) {
    const SIDES: usize = 14;
    let half = 0.055;
    let middle = hub.at(WHEEL_RADIUS);
    let rim = |radius: f32, aside: f32, k: usize, turn: f32| {
        let (s, c) = (turn + k as f32 * std::f32::consts::TAU / SIDES as f32).sin_cos();
        middle + (ahead * (c * radius)).at(s * radius) + (ahead.left() * aside).at(0.0)
    };
    let turn = -(way / WHEEL_RADIUS) % std::f32::consts::TAU;
    for k in 0..SIDES {
        let quad = [
            rim(WHEEL_RADIUS, -half, k, turn),
            rim(WHEEL_RADIUS, -half, k + 1, turn),
            rim(WHEEL_RADIUS, half, k + 1, turn),
            rim(WHEEL_RADIUS, half, k, turn),
        ];
        let quad = [quad[3], quad[2], quad[1], quad[0]];
        let paint = if k % 2 == 0 { colour::TYRE } else { colour::TYRE.lit(1.25) };
        brush.lit_face(&quad, paint);
    }
    // Whichever side shows: tyre wall, a coloured ring, the hub.
    let eye = brush.lens.position.ground() - hub;
    let aside = half.copysign(ahead.left().dot(eye));
    for (radius, paint) in [
        (WHEEL_RADIUS, colour::TYRE.lit(0.9)),
        (0.068, colour::HOUSE[1]),
        (0.056, colour::INK),
        (0.02, colour::STEEL),
    ] {
        let mut disc = [Vec3::default(); SIDES];
        for (k, corner) in disc.iter_mut().enumerate() {
            *corner = rim(radius, aside, k, turn);
        }
        brush.face(&disc, paint, 1.0);
    }
}
