//! Follows a known track: pure pursuit (Coulter 1992) of its centre line, with a speed for each bend.

/// Where the car is, in metres and radians: x east, y north, heading from east counter-clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// East.
    pub x: f32,
    /// North.
    pub y: f32,
    /// Counter-clockwise from east.
    pub heading: f32,
    /// Metres per second, forward positive.
    pub speed: f32,
}

/// Throttle and steering in [-1, 1] that keep the car on `track` (closed, in driving order); neutral on a track of
/// fewer than four points.
pub(super) fn drive(pose: &Pose, track: &[(f32, f32)], pace: f32) -> (f32, f32) {
    if track.len() < 4 {
        return (0.0, 0.0);
    }
    let nearest = nearest(pose, track);
    let reach = 0.9 + 0.24 * pose.speed.max(0.0);
    let (tx, ty) = ahead(track, nearest, reach);
    let rear = (pose.x - pose.heading.cos() * WHEELBASE / 2.0, pose.y - pose.heading.sin() * WHEELBASE / 2.0);
    let (dx, dy) = (tx - rear.0, ty - rear.1);
    let bearing = wrap(dy.atan2(dx) - pose.heading);
    let wheels = if bearing.abs() > 1.5 {
        // Facing the wrong way the sine alone would steer little: turn fully.
        STEER_MAX.copysign(bearing)
    } else {
        (2.0 * WHEELBASE * bearing.sin() / dx.hypot(dy).max(0.3)).atan()
    };
    let steer = (-wheels / STEER_MAX).clamp(-1.0, 1.0);
    let allowed = allowed_speed(track, nearest, pose.speed, pace);
    let error = allowed - pose.speed;
    let hold = allowed / 14.0;
    let throttle = if error < -0.6 { (0.25 * error).max(-1.0) } else { (hold + 0.5 * error).clamp(0.0, 1.0) };
    (throttle, steer)
}

fn allowed_speed(track: &[(f32, f32)], from: usize, speed: f32, pace: f32) -> f32 {
    let mut allowed = SPEED_MAX * pace;
    let horizon = 2.0 + speed * speed / (2.0 * BRAKING);
    let mut distance = 0.0;
    let mut index = from;
    while distance < horizon {
        let next = (index + 1) % track.len();
        let here = (CORNERING * pace * pace / curvature(track, index).max(1e-3)).sqrt();
        allowed = allowed.min((here * here + 2.0 * BRAKING * pace * (distance - 0.5).max(0.0)).sqrt());
        distance += length(track[index], track[next]).max(0.05);
        index = next;
    }
    allowed
}

/// Bend at a point, in 1/m, over two points to either side so that coarse outlines read smoothly.
fn curvature(track: &[(f32, f32)], index: usize) -> f32 {
    let count = track.len();
    let (a, b, c) = (track[(index + count - 2) % count], track[index], track[(index + 2) % count]);
    let (first, second) = ((b.1 - a.1).atan2(b.0 - a.0), (c.1 - b.1).atan2(c.0 - b.0));
    wrap(second - first).abs() / (0.5 * (length(a, b) + length(b, c))).max(0.05)
}

fn nearest(pose: &Pose, track: &[(f32, f32)]) -> usize {
    let squared = |p: &(f32, f32)| (p.0 - pose.x).powi(2) + (p.1 - pose.y).powi(2);
    let best = track.iter().enumerate().min_by(|a, b| squared(a.1).total_cmp(&squared(b.1)));
    best.map_or(0, |(index, _)| index)
}

/// The place `reach` metres further along the line than the point `from`.
fn ahead(track: &[(f32, f32)], from: usize, reach: f32) -> (f32, f32) {
    let (mut index, mut left) = (from, reach);
    for _ in 0..track.len() {
        let (a, b) = (track[index], track[(index + 1) % track.len()]);
        let piece = length(a, b);
        if piece >= left && piece > 0.0 {
            let part = left / piece;
            return (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part);
        }
        left -= piece;
        index = (index + 1) % track.len();
    }
    track[index]
}

fn length(a: (f32, f32), b: (f32, f32)) -> f32 {
    (b.0 - a.0).hypot(b.1 - a.1)
}

fn wrap(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}

/// Axle distance of a 1:6 car, in metres; a little more or less only changes how early it turns in.
const WHEELBASE: f32 = 0.55;
/// Wheel angle at full steering, in radians.
const STEER_MAX: f32 = 0.5;
/// Cornering asked of the tyres at pace 1, in m/s2; they hold about 9.
const CORNERING: f32 = 6.0;
/// Braking planned with, in m/s2.
const BRAKING: f32 = 4.0;
/// Speed not exceeded at pace 1, in m/s.
const SPEED_MAX: f32 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// An oval of two straights of 20 m and two half circles of 5 m radius, a point each metre or so.
    fn oval() -> Vec<(f32, f32)> {
        let straight = (0..20).map(|i| (i as f32 - 10.0, -5.0));
        let turn = (0..16).map(|i| -1.57 + i as f32 * 0.196).map(|a| (10.0 + 5.0 * a.cos(), 5.0 * a.sin()));
        let back = (0..20).map(|i| (10.0 - i as f32, 5.0));
        let turn_back =
            (0..16).map(|i| 1.57 + i as f32 * 0.196).map(|a| (-10.0 + 5.0 * a.cos(), 5.0 * a.sin()));
        straight.chain(turn).chain(back).chain(turn_back).collect()
    }

    #[test]
    fn a_kinematic_car_stays_on_the_oval_and_comes_round() {
        let track = oval();
        for pace in [0.3, 0.8, 1.0] {
            let mut pose = Pose { x: -10.0, y: -5.6, heading: 0.2, speed: 0.0 };
            let (mut worst, mut far_side) = (0.0f32, false);
            for step in 0..6000 {
                // Commands take 60 ms to arrive and are given 50 times a second.
                let (throttle, steer) = drive(&pose, &track, pace);
                for _ in 0..2 {
                    let dt = 0.01;
                    pose.speed = (pose.speed + (throttle * 6.0 - 0.55 * pose.speed) * dt).max(0.0);
                    pose.heading -= pose.speed * (steer * STEER_MAX).tan() / WHEELBASE * dt;
                    pose.x += pose.speed * pose.heading.cos() * dt;
                    pose.y += pose.speed * pose.heading.sin() * dt;
                }
                if step > 200 {
                    let at = track[nearest(&pose, &track)];
                    worst = worst.max(length(at, (pose.x, pose.y)));
                }
                far_side |= pose.y > 4.0 && pose.x < 0.0;
            }
            assert!(worst < 1.3, "pace {pace}: {worst} m off the line");
            assert!(far_side, "pace {pace}: never came round");
        }
    }

    #[test]
    fn without_a_track_nothing_moves() {
        assert_eq!(drive(&Pose::default(), &[], 1.0), (0.0, 0.0));
        assert!(drive(&Pose::default(), &[(0.0, 0.0); 4], 1.0).0.abs() <= 1.0);
    }
}
