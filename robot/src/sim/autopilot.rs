//! Drives a lap without hands: pure pursuit (Coulter 1992) of the centre line with a speed for each bend.

use super::car::{STEER_MAX, WHEELBASE};
use super::geometry::Vec2;
use super::track::Track;
use super::world::State;

/// Cornering the autopilot asks of the tyres at pace 1, m/s2; they hold about 9.
const CORNERING: f32 = 6.2;
/// Braking it plans with, m/s2.
const BRAKING: f32 = 4.5;
/// Speed it does not exceed at pace 1, m/s.
const SPEED_MAX: f32 = 8.6;

/// Throttle and steering, each in [-1, 1], that keep the car on the circuit; `pace` 1 is quick, 0.5 is calm.
///
/// It needs no memory: the same state gives the same answer, so it also drives from telemetry.
pub fn drive(state: &State, track: &Track, pace: f32) -> (f32, f32) {
    let pace = pace.clamp(0.1, 1.2);
    let speed = state.speed.max(0.0);
    (throttle(state, track, pace, speed), steer(state, track, speed))
}

fn steer(state: &State, track: &Track, speed: f32) -> f32 {
    let reach = 0.9 + 0.24 * speed;
    let target = track.at(state.along + reach).position;
    let rear = state.position - Vec2::from_angle(state.heading) * (WHEELBASE / 2.0);
    let offset = target - rear;
    let ahead = Vec2::from_angle(state.heading);
    let bearing = ahead.cross(offset).atan2(ahead.dot(offset));
    let wheels = (2.0 * WHEELBASE * bearing.sin() / offset.length().max(0.3)).atan();
    // Facing the wrong way the sine alone would steer little: turn fully.
    let wheels = if bearing.abs() > 1.5 { STEER_MAX.copysign(bearing) } else { wheels };
    (-wheels / STEER_MAX).clamp(-1.0, 1.0)
}

fn throttle(state: &State, track: &Track, pace: f32, speed: f32) -> f32 {
    let mut allowed = SPEED_MAX * pace;
    let horizon = 2.0 + speed * speed / (2.0 * BRAKING);
    let mut ahead = 0.0;
    while ahead < horizon {
        let bend = track.at(state.along + ahead).curvature.abs().max(1e-3);
        let here = (CORNERING * pace * pace / bend).sqrt();
        allowed = allowed.min((here * here + 2.0 * BRAKING * pace * (ahead - 0.5).max(0.0)).sqrt());
        ahead += 0.5;
    }
    let hold = (allowed / 10.5).powf(4.0 / 3.0) + 0.05 + 0.0017 * allowed * allowed;
    let error = allowed - speed;
    // A little too fast: coast, as braking in a bend costs grip.
    if error < -0.6 { (0.25 * error).max(-1.0) } else { (hold + 0.7 * error).clamp(0.0, 1.0) }
}
