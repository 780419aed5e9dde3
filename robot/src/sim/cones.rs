//! Cones that a car can knock over.

use super::geometry::{Vec2, vec2};

/// Height of a cone, in metres.
pub(super) const HEIGHT: f32 = 0.34;
/// Half the side of its square foot, in metres.
pub(super) const FOOT: f32 = 0.13;
/// A knocked cone stands again after this many seconds, once the car is away.
const PICKED_UP: f32 = 25.0;
/// Half the car's width where it touches, in metres.
const CAR_RADIUS: f32 = 0.24;
/// Angle of a cone on its side, in radians.
const LYING: f32 = 1.32;

/// One cone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cone {
    home: Vec2,
    /// Middle of its foot.
    pub(super) position: Vec2,
    /// Unit vector it has fallen toward.
    pub(super) fallen: Vec2,
    /// 0 stands, 1.3 rad lies.
    pub(super) tilt: f32,
    velocity: Vec2,
    tilt_rate: f32,
    since_hit: f32,
}

impl Cone {
    /// A standing cone.
    pub(super) fn new(home: Vec2) -> Self {
        Self {
            home,
            position: home,
            fallen: vec2(1.0, 0.0),
            tilt: 0.0,
            velocity: vec2(0.0, 0.0),
            tilt_rate: 0.0,
            since_hit: f32::INFINITY,
        }
    }

    /// Moves on by `dt` seconds beside a car; returns the velocity the car loses to it, if they touch.
    pub(super) fn step(&mut self, dt: f32, car: Vec2, velocity: Vec2) -> Option<Vec2> {
        let lost = self.touch(car, velocity);
        if self.since_hit.is_infinite() {
            return None;
        }
        self.since_hit += dt;
        let speed = self.velocity.length();
        let slowed = (speed - 6.0 * dt).max(0.0);
        self.velocity = self.velocity * (if speed > 1e-6 { slowed / speed } else { 0.0 });
        self.position = self.position + self.velocity * dt;
        if self.tilt > 0.0 || self.tilt_rate > 0.0 {
            // Past its balance it falls; before it falls back.
            let pull = if self.tilt > 0.42 { 26.0 } else { -22.0 };
            self.tilt_rate += pull * dt;
            self.tilt += self.tilt_rate * dt;
            if self.tilt >= LYING {
                (self.tilt, self.tilt_rate) =
                    (LYING, if self.tilt_rate > 2.0 { -0.28 * self.tilt_rate } else { 0.0 });
            } else if self.tilt <= 0.0 {
                (self.tilt, self.tilt_rate) = (0.0, 0.0);
            }
        }
        if self.since_hit > PICKED_UP
            && (car - self.home).length() > 12.0
            && (car - self.position).length() > 12.0
        {
            *self = Self::new(self.home);
        }
        lost
    }

    fn touch(&mut self, car: Vec2, velocity: Vec2) -> Option<Vec2> {
        let offset = self.position - car;
        let apart = CAR_RADIUS + FOOT;
        if offset.dot(offset) >= apart * apart {
            return None;
        }
        let away = offset.unit();
        let closing = (velocity - self.velocity).dot(away);
        self.position = car + away * apart;
        if closing <= 0.0 {
            return None;
        }
        self.since_hit = 0.0;
        self.velocity = self.velocity + away * (closing * 1.15) + velocity * 0.12;
        if closing > 0.8 {
            self.fallen = away;
            self.tilt_rate = self.tilt_rate.max(closing * 1.6);
        }
        // A cone weighs about a fortieth of the car.
        Some(away * (closing * 0.025))
    }
}
