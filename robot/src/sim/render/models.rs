//! Flat-shaded solids: the bricks of everything that stands in the world.

use super::super::camera::{Lens, NEAR};
use super::super::geometry::{Vec2, Vec3, vec3};
use super::canvas::Canvas;
use super::colour::{self, Colour};
use super::sky;

/// Most corners of one face, clipping included.
const CORNERS: usize = 20;

/// Draws faces of the world onto a picture.
pub(super) struct Brush<'a, 'c, 'p> {
    pub(super) lens: &'a Lens,
    pub(super) canvas: Canvas<'c, 'p>,
    sun: Vec3,
}

impl<'a, 'c, 'p> Brush<'a, 'c, 'p> {
    pub(super) fn new(lens: &'a Lens, canvas: Canvas<'c, 'p>) -> Self {
        Self { lens, canvas, sun: sky::sun() }
    }

    /// Light on a face with this outward unit normal: sun, sky from above, a little from the grass.
    pub(super) fn light(&self, normal: Vec3) -> f32 {
        0.66 + 0.36 * normal.dot(self.sun).max(0.0) + 0.12 * normal.z
    }

    /// Fills a flat convex face without regard to which side is seen.
    pub(super) fn face(&mut self, corners: &[Vec3], paint: Colour, alpha: f32) {
        let mut views = [Vec3::default(); CORNERS];
        let mut count = 0;
        let mut depth = 0.0;
        let mut last = self.lens.view(corners[corners.len() - 1]);
        for &corner in corners {
            let view = self.lens.view(corner);
            if (view.z > NEAR) != (last.z > NEAR) && count < CORNERS {
                let t = (NEAR - last.z) / (view.z - last.z);
                views[count] = last + (view - last) * t;
                count += 1;
            }
            if view.z > NEAR && count < CORNERS {
                views[count] = view;
                count += 1;
            }
            depth += view.z.max(0.0);
            last = view;
        }
        if count < 3 {
            return;
        }
        let mut flat = [(0.0, 0.0); CORNERS];
        let mut middle = (0.0, 0.0);
        for (place, view) in flat.iter_mut().zip(&views[..count]) {
            *place = self.lens.flatten(*view);
            middle = (middle.0 + place.0 / count as f32, middle.1 + place.1 / count as f32);
        }
        // Half a pixel wider than it is: neighbouring faces leave no seam.
        if alpha >= 1.0 {
            for place in &mut flat[..count] {
                let (x, y) = (place.0 - middle.0, place.1 - middle.1);
                let grow = 0.35 / (x * x + y * y).sqrt().max(0.5);
                *place = (place.0 + x * grow, place.1 + y * grow);
            }
        }
        let haze = haze(depth / corners.len() as f32);
        self.canvas.fill(&flat[..count], paint.mix(colour::HAZE, haze), alpha);
    }

    /// The same, lit, and only if its front (corners counter-clockwise) is seen.
    pub(super) fn lit_face(&mut self, corners: &[Vec3], paint: Colour) {
        let normal = (corners[1] - corners[0]).cross(corners[2] - corners[0]);
        if normal.dot(self.lens.position - corners[0]) <= 0.0 {
            return;
        }
        let light = self.light(normal.unit());
        self.face(corners, paint.lit(light), 1.0);
    }

    /// An upright frustum with `shape.0` (3 to 12) flat sides between two radii; `radii.1` zero makes a cone.
    pub(super) fn frustum(
        &mut self,
        foot: Vec3,
        height: f32,
        radii: (f32, f32),
        shape: (usize, f32),
        paint: Colour,
    ) {
        self.underside(foot, radii.0, shape, paint);
        self.sides(foot, height, radii, shape, paint);
        if radii.1 > 0.001 && self.lens.position.z > foot.z + height {
            self.lit_face(&ring(foot + vec3(0.0, 0.0, height), radii.1, shape)[..shape.0], paint);
        }
    }

    /// Its lower end, in shade, if it is above the lens.
    pub(super) fn underside(&mut self, foot: Vec3, radius: f32, shape: (usize, f32), paint: Colour) {
        if self.lens.position.z < foot.z {
            self.face(&ring(foot, radius, shape)[..shape.0], paint.lit(0.52), 1.0);
        }
    }

    /// Its sides alone.
    pub(super) fn sides(
        &mut self,
        foot: Vec3,
        height: f32,
        radii: (f32, f32),
        shape: (usize, f32),
        paint: Colour,
    ) {
        let low = ring(foot, radii.0, shape);
        let high = ring(foot + vec3(0.0, 0.0, height), radii.1, shape);
        for k in 0..shape.0 {
            let next = (k + 1) % shape.0;
            if radii.1 > 0.001 {
                self.lit_face(&[low[k], low[next], high[next], high[k]], paint);
            } else {
                self.lit_face(&[low[k], low[next], high[k]], paint);
            }
        }
    }

    /// A box about `middle` whose length lies along `ahead`; `half` its half length, width and height.
    pub(super) fn block(&mut self, middle: Vec3, ahead: Vec2, half: (f32, f32, f32), paint: Colour) {
        let (l, w) = (ahead * half.0, ahead.left() * half.1);
        let corner = |a: f32, b: f32, c: f32| middle + (l * a + w * b).at(half.2 * c);
        let ring = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)];
        let top = ring.map(|(a, b)| corner(a, b, 1.0));
        let bottom = ring.map(|(a, b)| corner(a, b, -1.0));
        for k in 0..4 {
            let next = (k + 1) % 4;
            self.lit_face(&[bottom[k], bottom[next], top[next], top[k]], paint);
        }
        self.lit_face(&top, paint);
        self.lit_face(&[bottom[3], bottom[2], bottom[1], bottom[0]], paint);
    }

    /// A dark patch on the ground: an ellipse stretched by `along`, its half axis in that direction.
    pub(super) fn shadow(&mut self, middle: Vec2, along: Vec2, across: f32, alpha: f32) {
        let side = along.unit().left() * across;
        let mut corners = [Vec3::default(); 12];
        for (k, corner) in corners.iter_mut().enumerate() {
            let (sin, cos) = (k as f32 * std::f32::consts::TAU / 12.0).sin_cos();
            *corner = (middle + along * cos + side * sin).at(0.0);
        }
        self.face(&corners, colour::rgb(0x1E3A24), alpha);
    }

    /// Whether a sphere may be in the picture.
    pub(super) fn sees(&self, middle: Vec3, radius: f32) -> bool {
        let view = self.lens.view(middle);
        let reach = view.z.max(0.0) * self.lens.middle.0 / self.lens.focal;
        view.z > -radius && view.x.abs() < reach + radius * 1.3
    }
}

/// The corners of a level polygon, counter-clockwise; only the first `shape.0` count.
fn ring(middle: Vec3, radius: f32, shape: (usize, f32)) -> [Vec3; 12] {
    let mut corners = [middle; 12];
    for (k, corner) in corners.iter_mut().enumerate().take(shape.0) {
        let out = Vec2::from_angle(shape.1 + k as f32 * std::f32::consts::TAU / shape.0 as f32);
        *corner = middle + (out * radius).at(0.0);
    }
    corners
}

/// Share of haze at a distance in metres.
fn haze(distance: f32) -> f32 {
    1.0 - (-distance * 0.0105).exp2()
}

/// A point of a thing standing at `at`, looking along `ahead`: metres ahead, to the left and up.
pub(super) fn local(at: Vec2, ahead: Vec2, place: (f32, f32, f32)) -> Vec3 {
    let flat = at + ahead * place.0 + ahead.left() * place.1;
    vec3(flat.x, flat.y, place.2)
}
