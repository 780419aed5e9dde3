//! Table tests of the failsafe: each row of docs/SAFETY.md on both sides of its limit.

mod acceptance;
mod arming;
mod random;
mod silence;
mod stop;
mod throttle;

use super::*;
use crate::control::command::{Displayed, Echo};
use crate::control::test::start;

const LEASE: u32 = 9;

/// A failsafe with a driver whose every circumstance can be set.
struct Rig {
    failsafe: Failsafe,
    start: Instant,
    now_ms: u64,
    lease: u32,
    sequence: u32,
    controls: Controls,
    earlier: [Option<Controls>; 2],
    loop_age_ms: u64,
    picture_age_ms: u64,
}

const CONFIG: Config =
    Config { limits: Limits::STANDARD, sight: Sight::Video, brake_pulse: None, cells: None };

impl Rig {
    fn new(config: Config) -> Self {
        let start = start();
        let mut failsafe = Failsafe::new(config, start, start);
        failsafe.handle_lease(LEASE, start);
        Self {
            failsafe,
            start,
            now_ms: 0,
            lease: LEASE,
            sequence: 0,
            controls: Controls { flags: Flags::DEADMAN, ..Controls::default() },
            earlier: [None; 2],
            loop_age_ms: 40,
            picture_age_ms: 80,
        }
    }

    /// Armed, after the boot, with neutral sticks and the dead man's control held.
    fn armed_with(config: Config) -> Self {
        let mut rig = Self::new(config);
        rig.drive(2_000);
        rig.raise();
        assert_eq!(rig.status(), Status::Armed);
        rig
    }

    fn armed() -> Self {
        Self::armed_with(CONFIG)
    }

    /// Armed, with the stick at `throttle` and the steering at half right.
    fn driving(throttle: f32) -> Self {
        let mut rig = Self::armed();
        rig.stick(throttle);
        rig.drive(100);
        rig
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn stick(&mut self, throttle: f32) {
        self.controls.throttle = Axis::new(throttle);
        self.controls.steer = Axis::new(0.5);
    }

    fn flag(&mut self, flag: Flags, on: bool) {
        let flags = self.controls.flags;
        self.controls.flags = if on { flags.with(flag) } else { flags.without(flag) };
    }

    fn command(&self) -> DriveCommand {
        let captured = CarTime((self.now_ms.saturating_sub(self.picture_age_ms)) * 1000);
        DriveCommand {
            lease: self.lease,
            sequence: self.sequence,
            echo: Some(Echo {
                car_ms: (self.now_ms.saturating_sub(self.loop_age_ms + 7)) as u32,
                hold_ms: 7,
            }),
            displayed: Some(Displayed { frame: captured.frame_id(), unchanged_ms: 0 }),
            controls: self.controls,
            earlier: self.earlier,
        }
    }

    fn picture(&mut self) {
        let captured = self.now_ms.saturating_sub(self.picture_age_ms) * 1000;
        self.failsafe.handle_picture(CarTime(captured));
    }

    /// Sends one command, which arrives at this moment.
    fn send(&mut self) -> Result<(), Reject> {
        self.sequence += 1;
        self.picture();
        let command = self.command();
        self.failsafe.handle_command(&command, self.now())
    }

    /// Lowers the arm flag in one command and raises it in the next.
    fn raise(&mut self) {
        self.flag(Flags::ARM, false);
        self.drive(20);
        self.flag(Flags::ARM, true);
        self.drive(20);
    }

    /// Sends commands at 50 Hz and ticks at 100 Hz for `ms`; the last command arrives at the end.
    fn drive(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.wait(20);
            self.send().ok();
            self.tick();
        }
    }

    /// Lets `ms` pass in silence, with ticks at 100 Hz.
    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now_ms += 10;
            self.tick();
        }
        self.now_ms += ms % 10;
    }

    fn tick(&mut self) -> Setpoint {
        self.failsafe.tick(self.now())
    }

    fn throttle(&mut self) -> f32 {
        self.tick().throttle.axis().get()
    }

    fn status(&mut self) -> Status {
        self.failsafe.handle_timeout(self.now());
        self.failsafe.status()
    }

    fn stamp(&self) -> Stamp {
        let car_ms = (self.now_ms.saturating_sub(self.loop_age_ms)) as u32;
        Stamp { epoch: self.lease, car_ms_echo: car_ms, hold_ms: 0 }
    }

    fn arm(&mut self) -> Result<(), Refusal> {
        self.failsafe.handle_arm(self.stamp(), self.now())
    }

    fn reset(&mut self) -> Result<(), Refusal> {
        self.failsafe.handle_reset_stop(self.stamp(), self.now())
    }

    fn block(&self) -> Option<Refusal> {
        self.failsafe.arm_block(self.now())
    }
}

#[track_caller]
fn near(got: f32, want: f32) {
    assert!((got - want).abs() < 1e-4, "{got}, want {want}");
}

const SILENCE: Status = Status::Disarmed(DisarmReason::Silence);

#[test]
fn the_camera_and_the_lights_work_while_disarmed() {
    let mut rig = Rig::new(CONFIG);
    rig.controls.pan = Axis::new(0.7);
    rig.flag(Flags::LIGHTS, true);
    rig.flag(Flags::HORN, true);
    rig.drive(20);
    let setpoint = rig.tick();
    assert_eq!(
        (setpoint.pan, setpoint.switches.lights, setpoint.switches.horn),
        (Axis::new(0.7), true, true)
    );
    assert_eq!((setpoint.throttle, setpoint.steer, setpoint.brake), (Demand::Safe, Demand::Safe, Axis::ZERO));
    rig.wait(250);
    assert!(!rig.tick().switches.horn, "a horn does not blow on in silence");
    assert!(rig.tick().switches.lights);
}

#[test]
fn telemetry_tells_what_the_failsafe_does() {
    let mut rig = Rig::driving(1.0);
    rig.sequence += 2;
    rig.drive(20);
    rig.wait(30);
    let applied = (Axis::new(0.25), Axis::new(-0.5));
    let fast = rig.failsafe.telemetry(77, applied, rig.now());
    assert_eq!((fast.status, fast.boot, fast.lease, fast.sequence), (Status::Armed, 77, LEASE, rig.sequence));
    assert_eq!((fast.throttle, fast.steer), applied);
    assert_eq!((fast.loop_age_ms, fast.picture_age_ms, fast.silence_ms), (Some(40), Some(80), Some(30)));
    assert_eq!((fast.governor_permille, fast.limit_permille), (1000, 400));
    assert_eq!(fast.car_time, CarTime(rig.now_ms * 1000));
    assert!((30..60).contains(&fast.loss_permille), "two of some fifty: {}", fast.loss_permille);
    assert_eq!(fast.arm_block, Some(Refusal::NotNeutral));
}
