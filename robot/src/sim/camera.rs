//! The camera on the car, and how it maps the world to a picture.

use farwheel_proto::video::Size;

use super::car::Car;
use super::geometry::{Vec2, Vec3, vec3};

/// Pan at full deflection, in radians (75 degrees).
pub const PAN_MAX: f32 = 1.31;
/// Tilt at full deflection, in radians (28 degrees).
pub const TILT_MAX: f32 = 0.49;
/// Lens above the ground, in metres.
const HEIGHT: f32 = 0.5;
/// Lens behind the car's middle, in metres.
const BEHIND: f32 = 0.36;
/// The lens looks down a little, in radians, so that the road ahead fills the picture.
const MOUNT_PITCH: f32 = 0.10;
/// Focal length over picture width: 82 degrees from left to right.
const FOCAL: f32 = 0.575;
/// Nothing closer than this along the view is drawn, in metres.
pub(super) const NEAR: f32 = 0.06;

/// Where the lens is and where it looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// The lens, in metres.
    pub position: Vec3,
    /// From east, counter-clockwise, in radians.
    pub heading: f32,
    /// Down positive, in radians.
    pub pitch: f32,
    /// Clockwise positive: the horizon then falls to the left. In radians.
    pub roll: f32,
}

impl Camera {
    /// On the car's mast; it leans with the body and shakes with the ground.
    pub(super) fn on_car(car: &Car, shake: (f32, f32), pan: f32, tilt: f32) -> Self {
        let ahead = Vec2::from_angle(car.heading);
        // The view leans less than the body: a driver's head does the rest.
        let pitch = -0.45 * car.pitch.angle + shake.0;
        Self {
            position: (car.position - ahead * BEHIND).at(HEIGHT + shake.0 * 0.5),
            heading: car.heading - pan * PAN_MAX,
            pitch: MOUNT_PITCH + pitch - tilt * TILT_MAX,
            roll: 0.8 * car.roll.angle + shake.1,
        }
    }

    /// The mapping for pictures of `size`.
    pub fn lens(&self, size: Size) -> Lens {
        let ahead = Vec2::from_angle(self.heading);
        let level_right = -ahead.left();
        let (sin, cos) = self.pitch.sin_cos();
        let forward = vec3(ahead.x * cos, ahead.y * cos, -sin);
        let level_up = vec3(ahead.x * sin, ahead.y * sin, cos);
        let level_right = level_right.at(0.0);
        let (sin, cos) = self.roll.sin_cos();
        Lens {
            position: self.position,
            forward,
            right: level_right * cos + level_up * -sin,
            up: level_up * cos + level_right * sin,
            focal: size.width as f32 * FOCAL,
            middle: (size.width as f32 / 2.0, size.height as f32 / 2.0),
        }
    }
}

/// A camera made ready for one picture size.
#[derive(Clone, Copy, Debug)]
pub struct Lens {
    /// The lens, in metres.
    pub position: Vec3,
    /// Unit vector into the picture.
    pub forward: Vec3,
    /// Unit vector to the picture's right.
    pub right: Vec3,
    /// Unit vector to the picture's top.
    pub up: Vec3,
    /// Focal length in pixels.
    pub focal: f32,
    /// Column and row of the picture's middle.
    pub middle: (f32, f32),
}

impl Lens {
    /// Right, up and forward distances of a point from the lens, in metres.
    pub fn view(&self, point: Vec3) -> Vec3 {
        let offset = point - self.position;
        vec3(offset.dot(self.right), offset.dot(self.up), offset.dot(self.forward))
    }

    /// Column and row (with fractions, from the top left) of a point in view coordinates in front of the lens.
    pub(super) fn flatten(&self, view: Vec3) -> (f32, f32) {
        let scale = self.focal / view.z;
        (self.middle.0 + view.x * scale, self.middle.1 - view.y * scale)
    }

    /// Column and row where a point of the world appears; none if it is behind the lens.
    pub fn project(&self, point: Vec3) -> Option<(f32, f32)> {
        let view = self.view(point);
        (view.z > NEAR).then(|| self.flatten(view))
    }

    /// Direction of the ray through a column and a row, with length one along the view.
    pub fn ray(&self, column: f32, row: f32) -> Vec3 {
        let x = (column - self.middle.0) / self.focal;
        let y = (self.middle.1 - row) / self.focal;
        self.forward + self.right * x + self.up * y
    }
}
