//! Points and directions of the drawn world: x east, y north, z up, metres; angles in radians, counter-clockwise.

use std::ops::{Add, Mul, Neg, Sub};

/// A point or a direction on the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec2 {
    /// East, in metres.
    pub x: f32,
    /// North, in metres.
    pub y: f32,
}

/// Makes a [`Vec2`].
pub const fn vec2(x: f32, y: f32) -> Vec2 {
    Vec2 { x, y }
}

impl Vec2 {
    /// The unit vector at `angle` from east.
    pub fn from_angle(angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        vec2(cos, sin)
    }

    /// Scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// Positive if `other` lies to the left of `self`.
    pub fn cross(self, other: Self) -> f32 {
        self.x * other.y - self.y * other.x
    }

    /// Length in metres.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Turned a quarter to the left.
    pub fn left(self) -> Self {
        vec2(-self.y, self.x)
    }

    /// Direction from east, in (-pi, pi].
    pub fn angle(self) -> f32 {
        self.y.atan2(self.x)
    }

    /// Same direction with length one; east for the zero vector.
    pub fn unit(self) -> Self {
        let length = self.length();
        if length > 1e-9 { self * (1.0 / length) } else { vec2(1.0, 0.0) }
    }

    /// Lifted to height `z`.
    pub const fn at(self, z: f32) -> Vec3 {
        Vec3 { x: self.x, y: self.y, z }
    }
}

impl Add for Vec2 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec2(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec2(self.x - other.x, self.y - other.y)
    }
}

impl Neg for Vec2 {
    type Output = Self;
    fn neg(self) -> Self {
        vec2(-self.x, -self.y)
    }
}

impl Mul<f32> for Vec2 {
    type Output = Self;
    fn mul(self, scale: f32) -> Self {
        vec2(self.x * scale, self.y * scale)
    }
}

/// A point or a direction in space.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec3 {
    /// East, in metres.
    pub x: f32,
    /// North, in metres.
    pub y: f32,
    /// Up, in metres.
    pub z: f32,
}

/// Makes a [`Vec3`].
pub const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// Scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// Vector product.
    pub fn cross(self, other: Self) -> Self {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// Same direction with length one; up for the zero vector.
    pub fn unit(self) -> Self {
        let length = self.dot(self).sqrt();
        if length > 1e-9 { self * (1.0 / length) } else { vec3(0.0, 0.0, 1.0) }
    }

    /// Its foot on the ground.
    pub const fn ground(self) -> Vec2 {
        vec2(self.x, self.y)
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, scale: f32) -> Self {
        vec3(self.x * scale, self.y * scale, self.z * scale)
    }
}

/// `angle` brought into [-pi, pi].
pub(super) fn wrap_angle(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    let turned = (angle + PI).rem_euclid(TAU) - PI;
    if turned.is_finite() { turned } else { 0.0 }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A seeded generator of the world's variety (SplitMix64, Steele and others 2014): its pictures never change with a
/// dependency's version.
#[derive(Clone, Debug)]
pub(super) struct Seeded(u64);

impl Seeded {
    /// Starts at `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [low, high).
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }
}
