//! The car: a bicycle model with throttle lag, servo slew and tyres that saturate.
//!
//! Forces are per unit of mass. Each axle gives `F = -limit sin(C atan(B slip))` sideways (Pacejka 1993, simplified),
//! where what the motor or the brake uses of the grip is not left for cornering (friction circle). Slip angles have
//! no meaning at a standstill, so below [`SLOW`] the car rolls as a kinematic bicycle; the two blend up to [`FAST`].

use super::geometry::{Vec2, wrap_angle};

/// What a driver, or the output stage of the robot, asks of the car; every value in [-1, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Controls {
    /// Forward positive; negative brakes, then reverses.
    pub throttle: f32,
    /// Right positive.
    pub steer: f32,
    /// Camera to the right positive; full is [`super::camera::PAN_MAX`].
    pub pan: f32,
    /// Camera up positive; full is [`super::camera::TILT_MAX`].
    pub tilt: f32,
}

impl Controls {
    /// Reads servo pulses in microseconds: 1000 is -1, 1500 is 0, 2000 is 1; beyond that is clamped.
    ///
    /// No pulse (zero) is neutral, as an ESC or a servo without a signal gives no force.
    pub fn from_pulses(throttle_us: u16, steer_us: u16, pan_us: u16, tilt_us: u16) -> Self {
        let axis = |us: u16| if us == 0 { 0.0 } else { ((f32::from(us) - 1500.0) / 500.0).clamp(-1.0, 1.0) };
        Self { throttle: axis(throttle_us), steer: axis(steer_us), pan: axis(pan_us), tilt: axis(tilt_us) }
    }

    /// The same within [-1, 1]; what is not a number is neutral.
    pub fn clean(self) -> Self {
        let axis = |v: f32| if v.is_nan() { 0.0 } else { v.clamp(-1.0, 1.0) };
        Self {
            throttle: axis(self.throttle),
            steer: axis(self.steer),
            pan: axis(self.pan),
            tilt: axis(self.tilt),
        }
    }
}

/// What the wheels stand on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Surface {
    /// Friction coefficient.
    pub(super) grip: f32,
    /// Rolling resistance, m/s2.
    pub(super) rolling: f32,
    /// Resistance that grows with speed, 1/s.
    pub(super) viscous: f32,
    /// How much the camera shakes, 0 to 1.
    pub(super) rough: f32,
}

impl Surface {
    /// The road.
    pub(super) const ASPHALT: Self = Self { grip: 0.95, rolling: 0.25, viscous: 0.0, rough: 0.12 };
    /// Painted concrete teeth beside the road.
    pub(super) const KERB: Self = Self { grip: 0.85, rolling: 0.4, viscous: 0.0, rough: 1.0 };
    /// Everything else.
    pub(super) const GRASS: Self = Self { grip: 0.5, rolling: 1.1, viscous: 0.35, rough: 0.6 };
}

/// Distance between the axles, in metres: a large-scale model car.
pub const WHEELBASE: f32 = 0.55;
/// Distance between left and right wheels' middles, in metres.
pub const TREAD: f32 = 0.44;
/// Radius of a wheel, in metres.
pub(super) const WHEEL_RADIUS: f32 = 0.098;
/// Wheel angle at full steering, in radians.
pub const STEER_MAX: f32 = 0.5;
/// A standard servo turns 60 degrees in 0.15 s.
const SERVO_RATE: f32 = 7.0;
/// First-order lag of motor and ESC, in seconds.
const MOTOR_LAG: f32 = 0.1;
/// Standstill acceleration at full throttle, m/s2.
const PULL: f32 = 6.5;
/// Speed at which the motor has no pull left at full throttle, m/s.
const SPEED_FREE: f32 = 10.5;
/// The same backwards.
const REVERSE_FREE: f32 = 3.5;
/// Braking at full negative throttle, m/s2; more than the tyres can hold.
const BRAKE: f32 = 9.5;
/// Drag of air and drive train, 1/m.
const AIR: f32 = 0.011;
/// The motor's drag at neutral throttle, m/s2.
const MOTOR_DRAG: f32 = 0.55;
const GRAVITY: f32 = 9.81;
/// Centre of gravity to each axle, in metres.
const HALF: f32 = WHEELBASE / 2.0;
/// Square of the radius of gyration about the vertical axis, m2.
const GYRATION: f32 = 0.072;
/// Height of the centre of gravity over the wheelbase: load moved per m/s2 of acceleration.
const LOAD_SHIFT: f32 = 0.18;
/// Below this speed the car rolls without slip, m/s.
const SLOW: f32 = 0.7;
/// Above this speed only the tyres decide, m/s.
const FAST: f32 = 1.8;

/// The moving car.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Car {
    pub(super) position: Vec2,
    /// From east, counter-clockwise.
    pub(super) heading: f32,
    /// Forward speed, m/s.
    pub(super) forward: f32,
    /// Speed to the left, m/s.
    pub(super) sideways: f32,
    /// Counter-clockwise, rad/s.
    pub(super) yaw_rate: f32,
    /// Angle of the front wheels, left positive.
    pub(super) wheels: f32,
    /// What the motor gives after its lag, [-1, 1].
    pub(super) motor: f32,
    /// Metres driven, forward or back.
    pub(super) odometer: f64,
    /// How far the tyres are past their grip: 0 none, 1 sliding fully.
    pub(super) slide: f32,
    /// Nose-down pitch of the body and its rate.
    pub(super) pitch: Spring,
    /// Lean of the body to the right and its rate.
    pub(super) roll: Spring,
}

/// A damped angle that follows a load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spring {
    pub(super) angle: f32,
    rate: f32,
}

impl Spring {
    /// Natural frequency 2.2 Hz, damping ratio 0.45: visibly soft without being seasick.
    fn follow(&mut self, target: f32, dt: f32) {
        const OMEGA: f32 = 14.0;
        self.rate += (OMEGA * OMEGA * (target - self.angle) - 2.0 * 0.45 * OMEGA * self.rate) * dt;
        self.angle += self.rate * dt;
    }
}

impl Car {
    pub(super) fn new(position: Vec2, heading: f32) -> Self {
        Self {
            position,
            heading,
            forward: 0.0,
            sideways: 0.0,
            yaw_rate: 0.0,
            wheels: 0.0,
            motor: 0.0,
            odometer: 0.0,
            slide: 0.0,
            pitch: Spring::default(),
            roll: Spring::default(),
        }
    }

    /// Velocity over the ground.
    pub(super) fn velocity(&self) -> Vec2 {
        let ahead = Vec2::from_angle(self.heading);
        ahead * self.forward + ahead.left() * self.sideways
    }

    /// Gives the car a velocity over the ground, as a push does.
    pub(super) fn set_velocity(&mut self, velocity: Vec2) {
        let ahead = Vec2::from_angle(self.heading);
        self.forward = velocity.dot(ahead);
        self.sideways = velocity.dot(ahead.left());
    }

    /// Moves on by `dt` seconds (at most some milliseconds).
    pub(super) fn step(&mut self, dt: f32, controls: Controls, surface: Surface) {
        let want = -controls.steer * STEER_MAX;
        self.wheels += (want - self.wheels).clamp(-SERVO_RATE * dt, SERVO_RATE * dt);
        self.motor += (controls.throttle - self.motor) * (dt / MOTOR_LAG).min(1.0);

        let grip = surface.grip * GRAVITY;
        let drive = self.drive_force().clamp(-grip, grip);
        let resist = self.resistance(surface);
        let share = smooth(SLOW, FAST, self.forward);
        let before = self.velocity();

        let (sideways, yaw) = self.cornering(drive, surface.grip);
        let (sin, cos) = self.wheels.sin_cos();
        let along = drive - resist - sideways.0 * sin * share;
        let across = sideways.0 * cos + sideways.1;
        let forward = self.forward + (along + self.yaw_rate * self.sideways * share) * dt;
        self.sideways += (across - self.yaw_rate * self.forward) * dt * share;
        self.yaw_rate += yaw * dt * share;

        // Rolling without slip: the rear axle goes where it points.
        let curvature = self.wheels.tan() / WHEELBASE;
        let rolled = (self.forward * curvature).clamp(-grip / 0.6, grip / 0.6);
        let settle = (25.0 * dt).min(1.0) * (1.0 - share);
        self.yaw_rate += (rolled - self.yaw_rate) * settle;
        self.sideways += (rolled * HALF - self.sideways) * settle;

        // Resistance stops the car; it never pushes it the other way.
        let stops = forward * self.forward <= 0.0 && drive.abs() < resist.abs().max(0.02);
        self.forward = if stops { 0.0 } else { forward };

        self.heading = wrap_angle(self.heading + self.yaw_rate * dt);
        let velocity = self.velocity();
        self.position = self.position + velocity * dt;
        self.odometer += f64::from(velocity.length() * dt);

        let felt = (velocity - before) * (1.0 / dt);
        let ahead = Vec2::from_angle(self.heading);
        self.pitch.follow((-felt.dot(ahead) * 0.0052).clamp(-0.06, 0.06), dt);
        self.roll.follow((felt.dot(ahead.left()) * 0.0042).clamp(-0.05, 0.05), dt);
    }

    /// What motor or brake give, m/s2.
    fn drive_force(&self) -> f32 {
        let (u, v) = (self.motor, self.forward);
        if u >= 0.0 {
            let back_emf = (v.max(0.0) / SPEED_FREE).powf(4.0 / 3.0);
            if v < -0.05 { BRAKE * u } else { (PULL * (u - back_emf)).max(0.0) }
        } else if v > 0.15 {
            BRAKE * u
        } else {
            (0.6 * PULL * (u - v.min(0.0) / REVERSE_FREE)).min(0.0)
        }
    }

    /// What slows the car at any time, m/s2, with the sign of its speed.
    fn resistance(&self, surface: Surface) -> f32 {
        let v = self.forward;
        let idle = MOTOR_DRAG * (1.0 - self.motor.abs() * 4.0).max(0.0);
        (surface.rolling + idle) * (v / 0.04).clamp(-1.0, 1.0) + surface.viscous * v + AIR * v * v.abs()
    }

    /// Sideways forces of the front and the rear axle and the turning they cause (rad/s2).
    fn cornering(&mut self, drive: f32, grip: f32) -> ((f32, f32), f32) {
        let v = self.forward.max(SLOW);
        let shift = (drive * LOAD_SHIFT).clamp(-0.3 * GRAVITY, 0.3 * GRAVITY);
        let front = Axle { load: GRAVITY / 2.0 - shift, stiffness: 8.5, used: drive * 0.42 };
        let rear = Axle { load: GRAVITY / 2.0 + shift, stiffness: 10.5, used: drive * 0.58 };
        let slip_front = (self.sideways + HALF * self.yaw_rate).atan2(v) - self.wheels;
        let slip_rear = (self.sideways - HALF * self.yaw_rate).atan2(v);
        let (f, r) = (front.force(slip_front, grip), rear.force(slip_rear, grip * 1.05));
        let worst = slip_front.abs().max(slip_rear.abs());
        let speed = smooth(SLOW, FAST, self.forward);
        let spin = (drive.abs() / (grip * GRAVITY) - 0.8).max(0.0) * 4.0;
        self.slide = (((worst - 0.12) * 4.0).max(spin) * speed).clamp(0.0, 1.0);
        ((f, r), HALF * (f * self.wheels.cos() - r) / GYRATION)
    }
}

struct Axle {
    load: f32,
    stiffness: f32,
    used: f32,
}

impl Axle {
    fn force(&self, slip: f32, grip: f32) -> f32 {
        let limit = grip * self.load;
        let left = (limit * limit - self.used * self.used).max(0.04 * limit * limit).sqrt();
        -left * (1.45 * (self.stiffness * slip).atan()).sin()
    }
}

fn smooth(low: f32, high: f32, x: f32) -> f32 {
    super::geometry::smoothstep(low, high, x)
}
