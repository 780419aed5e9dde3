//! Plays a script: sticks as a function of time and of what the robot says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pursuit::{self, Pose};
use super::{Between, Kind, Point, Script};
use crate::input::Intent;

/// Something to ask for that is not a stick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Arm.
    Arm,
    /// Disarm.
    Disarm,
    /// Emergency stop.
    EmergencyStop,
    /// Reset the emergency stop.
    ResetStop,
}

/// What the player needs to know about the robot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Whether it is armed.
    pub armed: bool,
    /// Laps it has completed.
    pub laps: u32,
    /// Why it does not arm, in words.
    pub refusal: Option<String>,
    /// Where it is, if it says so.
    pub pose: Option<Pose>,
    /// Centre line of its track; empty if unknown.
    pub track: Arc<[(f32, f32)]>,
}

/// How far the script has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Running,
    /// All statements are done.
    Done,
    /// It cannot go on.
    Failed(super::Error),
}

/// Plays one script once.
#[derive(Debug)]
pub struct Player {
    script: Script,
    index: usize,
    /// When the present statement began and what was true then.
    begun: Option<(Instant, u32)>,
    asked_at: Option<Instant>,
    outcome: Outcome,
}

impl Player {
    /// Ready to play from the first statement; time begins at the first [`Player::step`].
    pub fn new(script: Script) -> Self {
        Self { script, index: 0, begun: None, asked_at: None, outcome: Outcome::Running }
    }

    /// How far it has come.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Line of the present statement.
    pub fn line(&self) -> usize {
        self.script.statements.get(self.index).map_or(0, |s| s.line)
    }

    /// The sticks at `now`, and an order if one is due. Afterwards, and after a failure, hands are off.
    pub fn step(&mut self, seen: &Seen, now: Instant) -> (Intent, Option<Order>) {
        // Statements that take no time are passed in one step; each is passed at most once.
        while self.outcome == Outcome::Running {
            let Some(statement) = self.script.statements.get(self.index) else {
                self.outcome = Outcome::Done;
                break;
            };
            let (begun, laps_before) = *self.begun.get_or_insert((now, seen.laps));
            let at_s = now.saturating_duration_since(begun).as_secs_f32();
            let held = Intent { deadman: true, ..Intent::default() };
            match &statement.kind {
                Kind::Arm { max_s } | Kind::WaitArmed { max_s } => {
                    if seen.armed {
                        self.next();
                        continue;
                    }
                    if at_s >= *max_s {
                        let why = seen.refusal.as_deref().unwrap_or("it does not say why");
                        self.fail(format!("the robot is not armed after {max_s} s: {why}"));
                        break;
                    }
                    let asks = matches!(statement.kind, Kind::Arm { .. });
                    let due = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASK_AGAIN);
                    if asks && due {
                        self.asked_at = Some(now);
                        return (held, Some(Order::Arm));
                    }
                    return (held, None);
                }
                Kind::Wait { s } => {
                    if at_s < *s {
                        return (Intent::default(), None);
                    }
                    self.next_at(begun + Duration::from_secs_f32(*s), seen.laps);
                }
                Kind::Points { between, points } => {
                    let end_s = points.last().map_or(0.0, |p| p.at_s);
                    if at_s < end_s || (at_s == 0.0 && end_s == 0.0) {
                        let intent = interpolate(*between, points, at_s);
                        if end_s == 0.0 {
                            // A single point at once: it counts until the next statement takes over.
                            self.next();
                        }
                        return (intent, None);
                    }
                    self.next_at(begun + Duration::from_secs_f32(end_s), seen.laps);
                }
                Kind::Follow { s, pace } => {
                    if at_s < *s {
                        let pace = *pace;
                        return (self.follow(seen, pace), None);
                    }
                    self.next_at(begun + Duration::from_secs_f32(*s), seen.laps);
                }
                Kind::Lap { laps, max_s, pace } => {
                    if seen.laps.saturating_sub(laps_before) >= *laps {
                        self.next();
                        continue;
                    }
                    if at_s >= *max_s {
                        let done = seen.laps.saturating_sub(laps_before);
                        self.fail(format!("{done} of {laps} laps are done after {max_s} s"));
                        break;
                    }
                    let pace = *pace;
                    return (self.follow(seen, pace), None);
                }
                Kind::Order(order) => {
                    let order = *order;
                    self.next();
                    return (Intent::default(), Some(order));
                }
                Kind::End => self.outcome = Outcome::Done,
            }
        }
        (Intent::default(), None)
    }

    fn follow(&mut self, seen: &Seen, pace: f32) -> Intent {
        let Some(pose) = &seen.pose else {
            self.fail("this robot does not say where it is, so its track cannot be followed".into());
            return Intent::default();
        };
        if seen.track.len() < 4 {
            self.fail("this robot does not say where its track is".into());
            return Intent::default();
        }
        let (throttle, steer) = pursuit::drive(pose, &seen.track, pace);
        Intent { throttle, steer, deadman: true, ..Intent::default() }
    }

    fn next(&mut self) {
        self.index += 1;
        self.begun = None;
        self.asked_at = None;
    }

    /// Goes on as if the next statement had begun exactly at `at`, so that late steps add up to nothing.
    fn next_at(&mut self, at: Instant, laps: u32) {
        self.next();
        self.begun = Some((at, laps));
    }

    fn fail(&mut self, message: String) {
        self.outcome = Outcome::Failed(super::Error { line: self.line(), message });
    }
}

fn interpolate(between: Between, points: &[Point], at_s: f32) -> Intent {
    let after = points.iter().position(|p| p.at_s > at_s);
    let (before, after) = match after {
        // Before the first point the sticks are at neutral and on their way to it.
        Some(0) => (None, &points[0]),
        Some(index) => (Some(&points[index - 1]), &points[index]),
        None => match points.last() {
            Some(last) => return last.intent,
            None => return Intent::default(),
        },
    };
    let (from_s, from) =
        before.map_or((0.0, Intent { deadman: true, ..Intent::default() }), |p| (p.at_s, p.intent));
    match between {
        Between::Hold => from,
        Between::Linear => {
            let part = (at_s - from_s) / (after.at_s - from_s);
            let mix = |a: f32, b: f32| a + (b - a) * part;
            Intent {
                throttle: mix(from.throttle, after.intent.throttle),
                steer: mix(from.steer, after.intent.steer),
                ..from
            }
        }
    }
}

/// A refused wish to arm is repeated after this long.
const ASK_AGAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    struct Stage {
        player: Player,
        start: Instant,
        seen: Seen,
    }

    impl Stage {
        fn new(text: &str) -> Self {
            Self {
                player: Player::new(Script::parse(text).unwrap()),
                start: Instant::now(),
                seen: Seen::default(),
            }
        }

        fn at(&mut self, ms: u64) -> (f32, f32, bool, Option<Order>) {
            let (intent, order) = self.player.step(&self.seen, self.start + Duration::from_millis(ms));
            (intent.throttle, intent.steer, intent.deadman, order)
        }

        fn failure(&self) -> String {
            match self.player.outcome() {
                Outcome::Failed(error) => error.to_string(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn sticks_move_evenly_or_jump() {
        let mut stage = Stage::new("0 0 0\n1 0.5 -1\nhold\n0.5 1 0\n1 -1 0.5 release\n");
        assert_eq!(stage.at(0), (0.0, 0.0, true, None));
        assert_eq!(stage.at(500), (0.25, -0.5, true, None));
        assert_eq!(stage.at(1200), (0.0, 0.0, true, None));
        assert_eq!(stage.at(1600), (1.0, 0.0, true, None));
        assert_eq!(stage.at(2000), (0.0, 0.0, false, None), "hands are off at the end");
        assert_eq!(*stage.player.outcome(), Outcome::Done);
    }

    #[test]
    fn arming_is_asked_for_twice_a_second_until_the_robot_is_armed() {
        let mut stage = Stage::new("arm 3\n0 0.3 0\n1 0.3 0\n");
        assert_eq!(stage.at(0), (0.0, 0.0, true, Some(Order::Arm)));
        assert_eq!(stage.at(499), (0.0, 0.0, true, None));
        assert_eq!(stage.at(500), (0.0, 0.0, true, Some(Order::Arm)));
        stage.seen.armed = true;
        assert_eq!(stage.at(700), (0.3, 0.0, true, None));
        assert_eq!(stage.at(1699), (0.3, 0.0, true, None));
        assert_eq!(stage.at(1700), (0.0, 0.0, false, None));
    }

    #[test]
    fn a_robot_that_does_not_arm_fails_the_script_with_its_reason() {
        let mut stage = Stage::new("# arm at once\narm 2\n");
        stage.seen.refusal = Some("the robot is starting".into());
        stage.at(0);
        stage.at(2000);
        assert_eq!(stage.failure(), "line 2: the robot is not armed after 2 s: the robot is starting");
        assert_eq!(stage.at(2100), (0.0, 0.0, false, None));
    }

    #[test]
    fn orders_come_once_and_waiting_lets_go() {
        let mut stage = Stage::new("estop\nwait 1\nreset\nend\n0 1 0");
        assert_eq!(stage.at(0), (0.0, 0.0, false, Some(Order::EmergencyStop)));
        assert_eq!(stage.at(10), (0.0, 0.0, false, None));
        assert_eq!(stage.at(1011), (0.0, 0.0, false, Some(Order::ResetStop)));
        stage.at(1020);
        assert_eq!(*stage.player.outcome(), Outcome::Done);
    }

    #[test]
    fn late_steps_do_not_stretch_the_script() {
        let mut stage = Stage::new("wait 1\n0 1 0\n1 1 0\nwait 1\n");
        for ms in (0..3200).step_by(170) {
            stage.at(ms);
        }
        assert_eq!(*stage.player.outcome(), Outcome::Done);
    }

    #[test]
    fn a_lap_needs_a_pose_a_track_and_an_end() {
        let track: Arc<[(f32, f32)]> = (0..8)
            .map(|i| (f64::from(i) * 0.785).sin_cos())
            .map(|(s, c)| (10.0 * c as f32, 10.0 * s as f32))
            .collect();
        let mut stage = Stage::new("lap 1 60\n");
        stage.at(0);
        assert_eq!(
            stage.failure(),
            "line 1: this robot does not say where it is, so its track cannot be followed"
        );

        let mut stage = Stage::new("lap 1 60\nlap 1 60\n");
        stage.seen.track = track;
        stage.seen.laps = 4;
        stage.seen.pose = Some(Pose { x: 10.0, y: 0.0, heading: 1.57, speed: 0.0 });
        let (throttle, steer, deadman, _) = stage.at(0);
        assert!(throttle > 0.1 && steer < 0.0 && deadman, "{throttle} {steer}");
        stage.seen.laps = 5;
        stage.at(30_000);
        assert_eq!(*stage.player.outcome(), Outcome::Running);
        stage.at(90_000);
        assert_eq!(stage.failure(), "line 2: 0 of 1 laps are done after 60 s");
    }
}
