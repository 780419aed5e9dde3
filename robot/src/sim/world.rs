//! The world: car, cones and lap timing moved on in fixed steps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::camera::Camera;
use super::car::{Car, Controls, Surface, TREAD, WHEELBASE};
use super::cones::Cone;
use super::geometry::{Vec2, vec2};
use super::lap::Timing;
use super::scenery::Scenery;
use super::track::{KERB_WIDTH, Track};

/// The physics' own step: however time is cut into calls, the same controls give the same path.
pub const STEP: Duration = Duration::from_millis(2);
/// One call moves on by at most this, so that a stalled process does not try to catch up for ever.
pub const CALL_MAX: Duration = Duration::from_millis(500);
/// Tyre marks kept; the oldest fade first.
const MARKS_MAX: usize = 320;
/// Two cells; capacity of a pack that lasts about 40 minutes.
const CELLS: f32 = 2.0;
const CAPACITY_AS: f32 = 5.0 * 3600.0;
/// The simulated pack is never flatter than this share of its charge, so that a demo does not end by itself.
const CHARGE_MIN: f32 = 0.25;

/// What the car's own instruments and the circuit's timing know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Simulated time since the world was made.
    pub time: Duration,
    /// Middle of the car, in metres.
    pub position: Vec2,
    /// From east, counter-clockwise, in radians.
    pub heading: f32,
    /// Forward speed, m/s; negative backwards.
    pub speed: f32,
    /// Speed to the left, m/s.
    pub sideways: f32,
    /// Counter-clockwise, rad/s.
    pub yaw_rate: f32,
    /// Angle of the front wheels, right positive, in radians.
    pub wheels: f32,
    /// Metres driven, forward or back.
    pub odometer: f64,
    /// Metres along the centre line from the start line.
    pub along: f32,
    /// Metres from the centre line, positive to the left.
    pub lateral: f32,
    /// Whether the car's middle is on asphalt or kerb.
    pub on_track: bool,
    /// Laps completed with every gate passed.
    pub laps: u32,
    /// Time since the start line was crossed; zero before.
    pub current_lap: Duration,
    /// The last counted lap.
    pub last_lap: Option<Duration>,
    /// The quickest counted lap.
    pub best_lap: Option<Duration>,
    /// Voltage of the pack under its load.
    pub battery_volts: f32,
    /// Current drawn from it.
    pub battery_amps: f32,
    /// How far the tyres are past their grip, 0 to 1.
    pub slide: f32,
}

/// What a picture needs, taken at one moment; cheap to make and to send to a drawing thread.
#[derive(Clone, Debug)]
pub struct Scene {
    /// When, on the world's clock.
    pub time: Duration,
    /// Where the camera is and looks.
    pub camera: Camera,
    /// The car's instruments at the same moment.
    pub state: State,
    pub(super) track: Arc<Track>,
    pub(super) scenery: Arc<Scenery>,
    pub(super) cones: Vec<Cone>,
    pub(super) marks: Vec<Mark>,
}

/// A piece of rubber on the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) from: Vec2,
    pub(super) to: Vec2,
    /// 0 to 1.
    pub(super) strength: f32,
}

/// A car on its circuit, with everything that moves.
pub struct World {
    track: Arc<Track>,
    scenery: Arc<Scenery>,
    car: Car,
    cones: Vec<Cone>,
    timing: Timing,
    marks: VecDeque<Mark>,
    last_wheels: [Vec2; 2],
    pan: f32,
    tilt: f32,
    steps: u64,
    pending: Duration,
    charge_used: f32,
    amps: f32,
}

impl World {
    /// A car at rest three metres before the start line; `seed` decides trees, cones and boards.
    pub fn new(track: Track, seed: u64) -> Self {
        let track = Arc::new(track);
        let scenery = Arc::new(Scenery::new(&track, seed));
        let along = track.length() - 3.0;
        let start = *track.at(along);
        let car = Car::new(start.position, start.forward.angle());
        Self {
            cones: scenery.cones.iter().map(|&home| Cone::new(home)).collect(),
            timing: Timing::new(along),
            marks: VecDeque::with_capacity(MARKS_MAX),
            last_wheels: rear_wheels(&car),
            pan: 0.0,
            tilt: 0.0,
            steps: 0,
            pending: Duration::ZERO,
            charge_used: 0.0,
            amps: 0.0,
            track,
            scenery,
            car,
        }
    }

    /// Moves on by `dt` (at most [`CALL_MAX`]) under `controls`; what is not a number in them counts as neutral.
    pub fn step(&mut self, dt: Duration, controls: Controls) {
        let controls = controls.clean();
        self.pending += dt.min(CALL_MAX);
        while self.pending >= STEP {
            self.pending -= STEP;
            self.advance(STEP.as_secs_f32(), controls);
        }
    }

    /// The circuit.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// What the car and the timing know at this moment.
    pub fn state(&self) -> State {
        let near = self.track.nearest(self.car.position);
        State {
            time: STEP * self.steps as u32,
            position: self.car.position,
            heading: self.car.heading,
            speed: self.car.forward,
            sideways: self.car.sideways,
            yaw_rate: self.car.yaw_rate,
            wheels: -self.car.wheels,
            odometer: self.car.odometer,
            along: near.along,
            lateral: near.lateral,
            on_track: near.lateral.abs() <= self.track.half_width() + KERB_WIDTH,
            laps: self.timing.laps,
            current_lap: self.timing.current(),
            last_lap: self.timing.last,
            best_lap: self.timing.best,
            battery_volts: self.volts(),
            battery_amps: self.amps,
            slide: self.car.slide,
        }
    }

    /// Everything a picture of this moment needs.
    pub fn scene(&self) -> Scene {
        let state = self.state();
        Scene {
            time: state.time,
            camera: Camera::on_car(&self.car, self.shake(), self.pan, self.tilt),
            state,
            track: self.track.clone(),
            scenery: self.scenery.clone(),
            cones: self.cones.clone(),
            marks: self.marks.iter().copied().collect(),
        }
    }

    /// Puts the car at rest `along` metres from the start line and `lateral` metres left of the centre line, looking
    /// along the circuit; the lap under way does not count.
    pub fn place(&mut self, along: f32, lateral: f32) {
        let point = *self.track.at(along);
        self.car = Car::new(point.position + point.forward.left() * lateral, point.forward.angle());
        self.last_wheels = rear_wheels(&self.car);
        self.timing.handle_moved(along.rem_euclid(self.track.length()));
    }

    fn advance(&mut self, dt: f32, controls: Controls) {
        self.steps += 1;
        let near = self.track.nearest(self.car.position);
        let surface = surface(&self.track, near.lateral);
        self.car.step(dt, controls, surface);
        self.hit_cones(dt);
        self.hit_obstacles();
        self.hit_barrier(dt);
        self.leave_marks(surface);
        self.discharge(dt);
        // A camera servo crosses its range in about half a second.
        self.pan += (controls.pan - self.pan).clamp(-4.0 * dt, 4.0 * dt);
        self.tilt += (controls.tilt - self.tilt).clamp(-4.0 * dt, 4.0 * dt);
        let at = self.steps as f64 * f64::from(dt);
        let near = self.track.nearest(self.car.position);
        if near.lateral.abs() <= self.track.half_width() + 2.0 {
            self.timing.handle_place(near.along, self.track.length(), at);
        } else {
            self.timing.handle_time(at);
        }
    }

    fn hit_cones(&mut self, dt: f32) {
        for cone in &mut self.cones {
            let velocity = self.car.velocity();
            if let Some(lost) = cone.step(dt, self.car.position, velocity) {
                self.car.set_velocity(velocity - lost);
            }
        }
    }

    /// Trees, posts and tyre stacks do not move: the car bounces off with a third of its speed.
    fn hit_obstacles(&mut self) {
        for &(place, radius) in &self.scenery.obstacles {
            let offset = self.car.position - place;
            let apart = radius + 0.26;
            if offset.dot(offset) >= apart * apart {
                continue;
            }
            let away = offset.unit();
            let velocity = self.car.velocity();
            let closing = velocity.dot(away).min(0.0);
            self.car.position = place + away * apart;
            self.car.set_velocity(velocity - away * (closing * 1.33));
        }
    }

    /// The world's edge pushes back over its last half metre and is shut at the very end.
    fn hit_barrier(&mut self, dt: f32) {
        let (low, high) = self.track.bounds();
        let soft = 0.5;
        let position = self.car.position;
        let push = |value: f32, low: f32, high: f32| {
            (low + soft - value).clamp(0.0, soft) - (value - (high - soft)).clamp(0.0, soft)
        };
        let depth = vec2(push(position.x, low.x, high.x), push(position.y, low.y, high.y));
        if depth.x == 0.0 && depth.y == 0.0 {
            return;
        }
        let mut velocity = self.car.velocity();
        for (v, d) in [(&mut velocity.x, depth.x), (&mut velocity.y, depth.y)] {
            // A spring of 8 Hz that takes energy only on the way in.
            *v += d * 2500.0 * dt;
            *v *= if d * *v < 0.0 { 1.0 - (20.0 * dt).min(1.0) } else { 1.0 - (4.0 * d.abs() * dt).min(1.0) };
        }
        self.car.set_velocity(velocity);
        self.car.position = vec2(position.x.clamp(low.x, high.x), position.y.clamp(low.y, high.y));
    }

    fn leave_marks(&mut self, surface: Surface) {
        let wheels = rear_wheels(&self.car);
        let moved = (wheels[0] - self.last_wheels[0]).length();
        if moved < 0.18 {
            return;
        }
        if self.car.slide > 0.15 && surface.grip > Surface::GRASS.grip && moved < 0.6 {
            for (from, to) in self.last_wheels.into_iter().zip(wheels) {
                if self.marks.len() == MARKS_MAX {
                    self.marks.pop_front();
                }
                self.marks.push_back(Mark { from, to, strength: self.car.slide });
            }
        }
        self.last_wheels = wheels;
    }

    fn discharge(&mut self, dt: f32) {
        let work = if self.car.motor > 0.0 || self.car.forward < 0.1 { self.car.motor.abs() } else { 0.0 };
        self.amps = 0.6 + 26.0 * work * (1.0 - 0.06 * self.car.forward.abs()).max(0.3);
        self.charge_used = (self.charge_used + self.amps * dt).min(CAPACITY_AS * (1.0 - CHARGE_MIN));
    }

    /// Open-circuit voltage of a lithium cell over its charge, less what the pack's 24 milliohm take.
    fn volts(&self) -> f32 {
        let charge = 1.0 - self.charge_used / CAPACITY_AS;
        let cell = 3.55 + 0.38 * charge + 0.25 * charge.powi(6);
        CELLS * cell - 0.024 * self.amps
    }

    /// Shaking of the camera by the ground, in radians: a sum of sines of the way driven, so it repeats exactly.
    fn shake(&self) -> (f32, f32) {
        let near = self.track.nearest(self.car.position);
        let rough = surface(&self.track, near.lateral).rough;
        let way = (self.car.odometer % 10_000.0) as f32;
        let amount = rough * 0.009 * (self.car.forward.abs() / 3.0).min(1.0);
        let pitch = (way * 7.3).sin() + 0.6 * (way * 12.7).sin();
        let roll = (way * 5.9 + 1.0).sin() + 0.5 * (way * 15.1).sin();
        (amount * pitch, amount * 0.7 * roll)
    }
}

fn surface(track: &Track, lateral: f32) -> Surface {
    let outside = lateral.abs() - track.half_width();
    if outside <= 0.0 {
        Surface::ASPHALT
    } else if outside <= KERB_WIDTH {
        Surface::KERB
    } else {
        Surface::GRASS
    }
}

fn rear_wheels(car: &Car) -> [Vec2; 2] {
    let ahead = Vec2::from_angle(car.heading);
    let axle = car.position - ahead * (WHEELBASE / 2.0);
    [axle + ahead.left() * (TREAD / 2.0), axle - ahead.left() * (TREAD / 2.0)]
}
