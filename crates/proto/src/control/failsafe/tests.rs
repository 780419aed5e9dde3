//! Table tests of the failsafe: each row of docs/SAFETY.md on both sides of its limit.

use proptest::prelude::*;

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

/// Throttle, steering and state after a silence, of a car at full stick (40 %).
#[track_caller]
fn silence(ms: u64, throttle: f32, steer: Demand, status: Status) {
    let mut rig = Rig::driving(1.0);
    rig.wait(ms);
    near(rig.throttle(), throttle);
    assert_eq!((rig.tick().steer, rig.status()), (steer, status), "after {ms} ms");
    let safe = rig.tick().throttle == Demand::Safe;
    assert_eq!(safe, status != Status::Armed, "failsafe width after {ms} ms");
}

const HELD: Demand = Demand::Live(Axis::new(0.5));

#[test]
fn up_to_100_ms_of_silence_the_command_holds() {
    silence(0, 0.4, HELD, Status::Armed);
    silence(99, 0.4, HELD, Status::Armed);
    silence(100, 0.4, HELD, Status::Armed);
    silence(101, 0.4 * 149.0 / 150.0, HELD, Status::Armed);
}

#[test]
fn from_100_to_250_ms_the_throttle_ramps_to_neutral() {
    silence(175, 0.2, HELD, Status::Armed);
    silence(249, 0.4 / 150.0, HELD, Status::Armed);
}

#[test]
fn from_250_ms_the_throttle_is_neutral() {
    silence(250, 0.0, HELD, Status::LinkLoss);
    silence(251, 0.0, HELD, Status::LinkLoss);
}

#[test]
fn from_500_ms_the_steering_is_centred() {
    silence(499, 0.0, HELD, Status::LinkLoss);
    silence(500, 0.0, Demand::Safe, Status::LinkLoss);
}

#[test]
fn from_1500_ms_the_car_is_disarmed() {
    silence(1499, 0.0, Demand::Safe, Status::LinkLoss);
    silence(1500, 0.0, Demand::Safe, SILENCE);
    silence(60_000, 0.0, Demand::Safe, SILENCE);
}

#[test]
fn one_long_step_over_all_limits_ends_as_many_short_ones() {
    // The robot's process was stopped for that long: no tick came between.
    for (ms, want) in [(100, Status::Armed), (260, Status::LinkLoss), (1_600, SILENCE)] {
        let mut rig = Rig::driving(1.0);
        rig.now_ms += ms;
        rig.send().unwrap();
        assert_eq!(rig.status(), want, "a command after {ms} ms");
    }
}

/// The brake in force `ms` after the last command.
fn brake_after(ms: u64, brake_pulse: Option<Axis>, throttle: f32) -> f32 {
    let mut rig = Rig::armed_with(Config { brake_pulse, ..CONFIG });
    rig.stick(throttle);
    rig.drive(100);
    rig.wait(ms);
    let setpoint = rig.tick();
    assert!(setpoint.brake == Axis::ZERO || setpoint.throttle == Demand::Safe);
    setpoint.brake.get()
}

#[test]
fn the_brake_pulse_runs_from_400_to_700_ms_if_configured() {
    let strength = Some(Axis::new(0.25));
    for (ms, want) in [(399, 0.0), (400, 0.25), (699, 0.25), (700, 0.0), (2_000, 0.0)] {
        near(brake_after(ms, strength, 1.0), want);
        near(brake_after(ms, None, 1.0), 0.0);
    }
}

#[test]
fn the_brake_pulse_is_within_the_reverse_limit_and_never_drives_backward() {
    near(brake_after(450, Some(Axis::MAX), 1.0), 0.3);
    near(brake_after(450, Some(Axis::MAX), -1.0), 0.0);
    near(brake_after(450, Some(Axis::MAX), 0.0), 0.0);
}

/// State after a silence of `gap` ms and `clean` ms of commands at 50 Hz with the stick at `throttle`.
fn recovery(gap: u64, clean: u64, throttle: f32) -> Status {
    let mut rig = Rig::driving(throttle);
    rig.wait(gap);
    rig.send().unwrap();
    rig.drive(clean);
    rig.status()
}

#[test]
fn a_gap_below_250_ms_is_no_loss() {
    assert_eq!(recovery(249, 0, 1.0), Status::Armed);
}

#[test]
fn a_gap_of_250_to_500_ms_recovers_after_200_ms_of_clean_commands() {
    for gap in [250, 499] {
        assert_eq!(recovery(gap, 180, 1.0), Status::LinkLoss, "gap {gap}");
        assert_eq!(recovery(gap, 200, 1.0), Status::Armed, "gap {gap}");
    }
}

#[test]
fn a_gap_of_500_to_1500_ms_recovers_after_500_ms_of_clean_commands_at_neutral() {
    for gap in [500, 1_499] {
        assert_eq!(recovery(gap, 480, 0.04), Status::LinkLoss, "gap {gap}");
        assert_eq!(recovery(gap, 500, 0.04), Status::Armed, "gap {gap}");
        assert_eq!(recovery(gap, 500, 0.049), Status::Armed, "gap {gap}");
        assert_eq!(recovery(gap, 5_000, 0.05), Status::LinkLoss, "gap {gap}");
        assert_eq!(recovery(gap, 5_000, -0.05), Status::LinkLoss, "gap {gap}");
    }
}

#[test]
fn a_gap_of_1500_ms_recovers_only_by_arming_again() {
    assert_eq!(recovery(1_500, 5_000, 0.0), SILENCE);
    let mut rig = Rig::driving(0.0);
    rig.wait(1_500);
    rig.raise();
    assert_eq!(rig.status(), Status::Armed);
}

#[test]
fn a_gap_of_more_than_100_ms_starts_the_clean_time_again() {
    for (gap, want) in [(100, Status::Armed), (101, Status::LinkLoss)] {
        let mut rig = Rig::driving(1.0);
        rig.wait(300);
        rig.send().unwrap();
        rig.drive(120);
        rig.wait(gap);
        rig.send().unwrap();
        assert_eq!(rig.status(), want, "gap {gap}");
    }
}

#[test]
fn a_recovery_once_long_stays_long() {
    let mut rig = Rig::driving(1.0);
    rig.wait(600);
    rig.send().unwrap();
    rig.wait(300);
    rig.send().unwrap();
    rig.drive(400);
    assert_eq!(rig.status(), Status::LinkLoss, "200 ms would do after the second gap alone");
    rig.stick(0.0);
    rig.drive(100);
    assert_eq!(rig.status(), Status::Armed);
}

#[test]
fn a_held_stick_is_applied_again_after_recovery() {
    let mut rig = Rig::driving(1.0);
    rig.wait(300);
    near(rig.throttle(), 0.0);
    rig.send().unwrap();
    rig.drive(200);
    near(rig.throttle(), 0.4);
}

#[test]
fn steering_works_while_the_throttle_recovers() {
    let mut rig = Rig::driving(1.0);
    rig.wait(600);
    assert_eq!(rig.tick().steer, Demand::Safe);
    rig.send().unwrap();
    assert_eq!((rig.tick().steer, rig.tick().throttle), (HELD, Demand::Safe));
}

/// Throttle at full stick with the given ages.
fn governed(config: Config, loop_age_ms: u64, picture_age_ms: u64) -> f32 {
    let mut rig = Rig::armed_with(config);
    rig.stick(1.0);
    (rig.loop_age_ms, rig.picture_age_ms) = (loop_age_ms, picture_age_ms);
    rig.wait(20);
    rig.send().unwrap();
    rig.throttle()
}

#[test]
fn the_governor_takes_throttle_by_loop_age() {
    for (age, want) in [(200, 0.4), (201, 0.4 * 399.0 / 400.0), (400, 0.2), (599, 0.001), (600, 0.0)] {
        near(governed(CONFIG, age, 80), want);
        near(governed(Config { sight: Sight::LineOfSight, ..CONFIG }, age, 80), want);
    }
}

#[test]
fn the_governor_takes_throttle_by_picture_age() {
    for (age, want) in
        [(200, 0.4), (201, 0.4 * 599.0 / 600.0), (500, 0.2), (799, 0.4 / 600.0), (800, 0.0), (1_900, 0.0)]
    {
        near(governed(CONFIG, 40, age), want);
        near(governed(Config { sight: Sight::LineOfSight, ..CONFIG }, 40, age), 0.4);
    }
}

#[test]
fn the_smaller_share_wins() {
    near(governed(CONFIG, 400, 350), 0.2);
    near(governed(CONFIG, 300, 650), 0.1);
}

#[test]
fn a_frozen_picture_stops_the_car_while_control_works() {
    let mut rig = Rig::driving(1.0);
    let frozen = rig.command().displayed.unwrap().frame;
    let mut throttles = Vec::new();
    for shown_for in (0..=800).step_by(20) {
        rig.sequence += 1;
        rig.now_ms += 20;
        let displayed = Some(Displayed { frame: frozen, unchanged_ms: shown_for });
        let command = DriveCommand { displayed, ..rig.command() };
        assert_eq!(rig.failsafe.handle_command(&command, rig.now()), Ok(()));
        throttles.push(rig.throttle());
    }
    assert!(throttles.is_sorted_by(|a, b| a >= b), "{throttles:?}");
    near(throttles[0], 0.4);
    near(*throttles.last().unwrap(), 0.0);
    assert_eq!(rig.status(), Status::Armed, "control works, and returns with the picture");
    rig.drive(20);
    near(rig.throttle(), 0.4);
}

#[test]
fn without_a_picture_of_this_robot_there_is_no_throttle() {
    for displayed in [None, Some(Displayed { frame: crate::video::FrameId(12_345), unchanged_ms: 0 })] {
        let mut rig = Rig::driving(1.0);
        rig.sequence += 1;
        let command = DriveCommand { displayed, ..rig.command() };
        rig.failsafe.handle_command(&command, rig.now()).unwrap();
        near(rig.throttle(), 0.0);
    }
}

#[test]
fn limits_are_enforced_here() {
    for (throttle, boost, want) in
        [(1.0, false, 0.4), (0.5, false, 0.2), (-1.0, false, -0.3), (1.0, true, 0.6), (-1.0, true, -0.3)]
    {
        let mut rig = Rig::armed();
        rig.flag(Flags::BOOST, boost);
        rig.stick(throttle);
        rig.drive(20);
        near(rig.throttle(), want);
    }
}

#[test]
fn a_released_deadman_is_neutral_at_once() {
    let mut rig = Rig::driving(1.0);
    rig.flag(Flags::DEADMAN, false);
    rig.send().unwrap();
    near(rig.throttle(), 0.0);
    near(rig.tick().authority.get(), 0.0);
    rig.flag(Flags::BRAKE, true);
    rig.send().unwrap();
    near(rig.tick().brake.get(), 0.0);
}

#[test]
fn the_drivers_brake_takes_the_throttle_away() {
    let mut rig = Rig::driving(1.0);
    rig.flag(Flags::BRAKE, true);
    rig.send().unwrap();
    near(rig.throttle(), 0.0);
    near(rig.tick().brake.get(), 0.3);
}

#[track_caller]
fn rejected(change: impl FnOnce(&Rig, &mut DriveCommand), want: Reject) {
    let mut rig = Rig::driving(1.0);
    rig.sequence += 1;
    rig.now_ms += 90;
    rig.picture();
    let mut command = rig.command();
    command.controls.throttle = Axis::new(-1.0);
    change(&rig, &mut command);
    assert_eq!(rig.failsafe.handle_command(&command, rig.now()), Err(want));
    near(rig.throttle(), 0.4);
    // It is no sign of life either: silence goes on from the last command that counted.
    rig.now_ms += 160;
    near(rig.throttle(), 0.0);
    assert_eq!(rig.status(), Status::LinkLoss);
}

#[test]
fn a_command_of_another_lease_is_inert() {
    rejected(|_, command| command.lease = LEASE - 1, Reject::Lease);
    rejected(|_, command| command.lease = LEASE + 1, Reject::Lease);
    rejected(|_, command| command.lease = 0, Reject::Lease);
}

#[test]
fn a_command_that_is_not_newer_is_inert() {
    rejected(|_, command| command.sequence -= 1, Reject::Sequence);
    rejected(|_, command| command.sequence -= 2, Reject::Sequence);
    rejected(|_, command| command.sequence = command.sequence.wrapping_add(1 << 31), Reject::Sequence);
}

#[test]
fn a_command_without_an_echo_is_inert() {
    rejected(|_, command| command.echo = None, Reject::NoEcho);
}

#[test]
fn a_command_with_an_implausible_echo_is_inert() {
    rejected(
        |rig, command| command.echo = Some(Echo { car_ms: rig.now_ms as u32 + 4, hold_ms: 0 }),
        Reject::Echo,
    );
    rejected(
        |rig, command| command.echo = Some(Echo { car_ms: rig.now_ms as u32 - 1_100, hold_ms: 1_001 }),
        Reject::Echo,
    );
    rejected(|_, command| command.echo = Some(Echo { car_ms: 0, hold_ms: 65_534 }), Reject::Echo);
}

#[test]
fn a_command_older_than_600_ms_is_inert() {
    let aged = |age: u32| {
        move |rig: &Rig, command: &mut DriveCommand| {
            command.echo = Some(Echo { car_ms: rig.now_ms as u32 - age, hold_ms: 0 });
        }
    };
    rejected(aged(601), Reject::TooOld { age: Duration::from_millis(601) });
    rejected(aged(1_900), Reject::TooOld { age: Duration::from_millis(1_900) });
    let mut rig = Rig::driving(1.0);
    rig.loop_age_ms = 600;
    rig.wait(20);
    assert_eq!(rig.send(), Ok(()), "600 ms count, with no throttle left");
    near(rig.throttle(), 0.0);
}

#[test]
fn sequences_wrap() {
    let mut rig = Rig::new(CONFIG);
    rig.now_ms = 1_000;
    rig.sequence = u32::MAX - 2;
    for _ in 0..3 {
        rig.sequence = rig.sequence.wrapping_add(1);
        let command = rig.command();
        assert_eq!(rig.failsafe.handle_command(&command, rig.now()), Ok(()), "{}", command.sequence);
    }
    assert_eq!(rig.sequence, 0);
}

#[test]
fn queued_commands_replayed_after_an_outage_do_not_count() {
    let mut rig = Rig::driving(1.0);
    let queued: Vec<_> = (0..100)
        .map(|_| {
            rig.now_ms += 20;
            rig.sequence += 1;
            rig.command()
        })
        .collect();
    // 2 s of commands arrive at once.
    let counted: Vec<_> =
        queued.iter().map(|command| rig.failsafe.handle_command(command, rig.now()).is_ok()).collect();
    // Loop age at arrival: 40 ms when sent, and what they have waited.
    assert_eq!(counted.iter().filter(|ok| **ok).count(), 29, "those of the last 560 ms");
    assert!(!counted[70] && counted[71], "{counted:?}");
    near(rig.throttle(), 0.0);
    assert_eq!(rig.status(), SILENCE);
}

#[test]
fn boot_is_disarmed_and_neutral_for_two_seconds() {
    let mut rig = Rig::new(CONFIG);
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Boot));
    rig.drive(1_900);
    rig.raise();
    assert_eq!((rig.now_ms, rig.block()), (1_940, Some(Refusal::Starting)));
    assert_eq!(rig.arm(), Err(Refusal::Starting));
    rig.now_ms = 1_999;
    rig.send().unwrap();
    assert_eq!(rig.arm(), Err(Refusal::Starting));
    rig.now_ms = 2_000;
    assert_eq!((rig.arm(), rig.status()), (Ok(()), Status::Armed));
}

#[test]
fn an_arm_flag_held_through_the_boot_does_not_arm() {
    let mut rig = Rig::new(CONFIG);
    rig.flag(Flags::ARM, true);
    rig.drive(4_000);
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Driver));
    rig.raise();
    assert_eq!(rig.status(), Status::Armed);
}

#[test]
fn an_arm_flag_held_through_a_loss_does_not_arm_again() {
    let mut rig = Rig::driving(0.0);
    rig.wait(2_000);
    rig.drive(4_000);
    assert_eq!(rig.status(), SILENCE);
}

#[test]
fn a_stick_that_is_not_centred_does_not_arm() {
    for (throttle, want) in [
        (0.049, Status::Armed),
        (-0.049, Status::Armed),
        (0.05, Status::Disarmed(DisarmReason::Driver)),
        (-0.05, Status::Disarmed(DisarmReason::Driver)),
        (1.0, Status::Disarmed(DisarmReason::Driver)),
    ] {
        let mut rig = Rig::new(CONFIG);
        rig.drive(2_000);
        rig.stick(throttle);
        rig.raise();
        assert_eq!(rig.status(), want, "stick at {throttle}");
        // Centring it later does not arm: the edge is spent.
        rig.stick(0.0);
        rig.drive(100);
        assert_eq!(rig.status(), want, "stick at {throttle}, then centred");
    }
}

#[test]
fn a_stick_that_is_not_centred_does_not_arm_again_after_a_loss() {
    let mut rig = Rig::driving(1.0);
    rig.wait(2_000);
    rig.raise();
    assert_eq!((rig.status(), rig.block()), (SILENCE, Some(Refusal::NotNeutral)));
    near(rig.throttle(), 0.0);
}

#[test]
fn arming_needs_a_fresh_command() {
    for (silence, want) in [(100, Ok(())), (101, Err(Refusal::NoCommands))] {
        let mut rig = Rig::new(CONFIG);
        rig.drive(2_000);
        rig.wait(silence);
        assert_eq!(rig.arm(), want, "after {silence} ms");
    }
}

#[test]
fn lowering_the_arm_flag_disarms() {
    let mut rig = Rig::driving(1.0);
    rig.flag(Flags::ARM, false);
    rig.send().unwrap();
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Driver));
    near(rig.throttle(), 0.0);
}

#[test]
fn an_edge_in_a_lost_command_counts_through_the_copies() {
    // The command that lowered the flag is lost; the next one carries it.
    let mut rig = Rig::driving(0.0);
    let low = Controls { flags: Flags::DEADMAN, ..Controls::default() };
    rig.stick(1.0);
    rig.sequence += 1;
    rig.earlier = [Some(low), None];
    rig.send().unwrap();
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Driver));
    // A copy of a command that did arrive is not news. (Off neutral, or the car would arm again at once.)
    let mut rig = Rig::driving(1.0);
    rig.earlier = [Some(low), None];
    rig.send().unwrap();
    assert_eq!(rig.status(), Status::Armed);
}

#[test]
fn a_late_arm_request_does_not_arm() {
    for (age, want) in [(600, Ok(())), (601, Err(Refusal::Stale)), (10_000, Err(Refusal::Stale))] {
        let mut rig = Rig::new(CONFIG);
        rig.drive(11_000);
        let stamp = Stamp { epoch: LEASE, car_ms_echo: rig.now_ms as u32 - age, hold_ms: 0 };
        assert_eq!(rig.failsafe.handle_arm(stamp, rig.now()), want, "{age} ms");
    }
}

#[test]
fn an_arm_request_of_another_lease_does_not_arm() {
    let mut rig = Rig::new(CONFIG);
    rig.drive(2_000);
    for epoch in [0, LEASE - 1, LEASE + 1] {
        let stamp = Stamp { epoch, ..rig.stamp() };
        assert_eq!(rig.failsafe.handle_arm(stamp, rig.now()), Err(Refusal::NoLease));
    }
}

#[test]
fn an_emergency_stop_is_latched() {
    let mut rig = Rig::driving(1.0);
    rig.failsafe.handle_emergency_stop(rig.now());
    assert_eq!(
        (rig.status(), rig.tick().throttle, rig.tick().steer),
        (Status::Stopped, Demand::Safe, Demand::Safe)
    );
    rig.drive(5_000);
    assert_eq!(rig.arm(), Err(Refusal::Stopped));
    rig.raise();
    rig.failsafe.handle_disarm(rig.now());
    rig.failsafe.handle_driver_gone(rig.now());
    rig.failsafe.handle_lease(LEASE + 1, rig.now());
    rig.wait(60_000);
    assert_eq!(rig.status(), Status::Stopped);
}

#[test]
fn a_stop_flag_counts_at_any_age_and_in_any_order_within_the_lease() {
    let stops = |change: &dyn Fn(&Rig, &mut DriveCommand)| {
        let mut rig = Rig::driving(1.0);
        rig.sequence += 1;
        let mut command = rig.command();
        command.controls.flags = Flags::EMERGENCY_STOP;
        change(&rig, &mut command);
        rig.failsafe.handle_command(&command, rig.now()).ok();
        rig.status() == Status::Stopped
    };
    assert!(stops(&|_, _| {}));
    assert!(stops(&|_, command| command.echo = Some(Echo { car_ms: 0, hold_ms: 0 })));
    assert!(stops(&|_, command| command.echo = None));
    assert!(stops(&|_, command| command.sequence -= 5));
    assert!(stops(&|rig, command| {
        command.earlier = [Some(rig.controls), Some(command.controls)];
        command.controls = rig.controls;
    }));
    assert!(!stops(&|_, command| command.lease = LEASE - 1), "another lease");
    assert!(!stops(&|_, command| command.lease = 0), "no lease");
}

#[test]
fn a_reset_needs_a_neutral_stick() {
    for (throttle, want) in
        [(0.049, Ok(())), (0.05, Err(Refusal::NotNeutral)), (-1.0, Err(Refusal::NotNeutral))]
    {
        let mut rig = Rig::driving(throttle);
        rig.failsafe.handle_emergency_stop(rig.now());
        assert_eq!(rig.reset(), want, "stick at {throttle}");
        let status = if want.is_ok() { Status::Disarmed(DisarmReason::StopReset) } else { Status::Stopped };
        assert_eq!(rig.status(), status);
    }
}

#[test]
fn a_reset_waits_for_commands_without_the_stop_flag_for_a_second() {
    for (wait, want) in [(980, Status::Disarmed(DisarmReason::StopReset)), (1_000, Status::Stopped)] {
        let mut rig = Rig::driving(0.0);
        rig.flag(Flags::EMERGENCY_STOP, true);
        rig.flag(Flags::ARM, false);
        rig.drive(100);
        assert_eq!(rig.reset(), Ok(()));
        rig.drive(wait - 20);
        assert_eq!(rig.status(), Status::Stopped, "the commands still say stop");
        rig.flag(Flags::EMERGENCY_STOP, false);
        rig.drive(20);
        assert_eq!(rig.status(), want, "after {wait} ms");
    }
}

#[test]
fn a_stop_flag_from_before_the_reset_does_not_stop_again_but_one_after_does() {
    let mut rig = Rig::driving(0.0);
    rig.flag(Flags::EMERGENCY_STOP, true);
    rig.flag(Flags::ARM, false);
    rig.drive(20);
    rig.sequence += 1;
    let straggler = rig.command();
    rig.flag(Flags::EMERGENCY_STOP, false);
    rig.drive(20);
    assert_eq!(rig.reset(), Ok(()));
    rig.failsafe.handle_command(&straggler, rig.now()).ok();
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::StopReset));
    rig.flag(Flags::EMERGENCY_STOP, true);
    rig.drive(20);
    assert_eq!(rig.status(), Status::Stopped);
}

#[test]
fn a_late_reset_request_does_not_reset() {
    let mut rig = Rig::driving(0.0);
    rig.failsafe.handle_emergency_stop(rig.now());
    rig.drive(1_000);
    rig.loop_age_ms = 601;
    assert_eq!((rig.reset(), rig.status()), (Err(Refusal::Stale), Status::Stopped));
}

#[test]
fn another_lease_disarms_and_starts_from_its_own_commands() {
    let mut rig = Rig::driving(1.0);
    rig.failsafe.handle_lease(LEASE + 1, rig.now());
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Lease));
    assert_eq!(rig.tick(), Setpoint::SAFE);
    assert_eq!(rig.send(), Err(Reject::Lease));
    (rig.lease, rig.sequence) = (LEASE + 1, 0);
    assert_eq!(rig.send(), Ok(()), "its sequence starts again");
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Lease), "the flag was high all the time");
}

#[test]
fn a_driver_that_is_gone_disarms_at_once() {
    let mut rig = Rig::driving(1.0);
    rig.failsafe.handle_driver_gone(rig.now());
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::DriverGone));
    near(rig.throttle(), 0.0);
}

#[test]
fn a_fault_disarms_and_stands_against_arming_while_it_lasts() {
    for fault in Fault::ALL {
        let mut rig = Rig::driving(0.0);
        rig.failsafe.handle_fault(fault, FaultChange::Raised, rig.now());
        assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Fault));
        rig.raise();
        let refusal = if fault == Fault::ActuatorStarting { Refusal::Starting } else { Refusal::Fault };
        assert_eq!((rig.status(), rig.arm()), (Status::Disarmed(DisarmReason::Fault), Err(refusal)));
        rig.failsafe.handle_fault(fault, FaultChange::Cleared, rig.now());
        rig.raise();
        assert_eq!(rig.status(), Status::Armed);
    }
}

#[test]
fn the_battery_warns_limits_and_disarms() {
    let config = Config { cells: Some(2), ..CONFIG };
    for (cell, throttle, status) in [
        (3.6, 0.4, Status::Armed),
        (3.5, 0.4, Status::Armed),
        (3.4, 0.3, Status::Armed),
        (3.2, 0.0, Status::Disarmed(DisarmReason::Battery)),
    ] {
        let mut rig = Rig::armed_with(config);
        rig.failsafe.handle_battery(8.0, rig.now());
        rig.stick(1.0);
        for _ in 0..51 {
            rig.failsafe.handle_battery(cell * 2.0, rig.now());
            rig.drive(100);
        }
        assert_eq!(rig.status(), status, "{cell} V per cell");
        near(rig.throttle(), throttle);
        let want = (status != Status::Armed).then_some(Refusal::Battery);
        rig.stick(0.0);
        rig.drive(20);
        assert_eq!(rig.block(), want);
    }
}

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

/// One step of a random drive.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Send { throttle: f32, flags: u8, loop_age_ms: u64, picture_age_ms: u64 },
    Stale { back: u32, lease: u32 },
    Arm,
    Stop,
    Reset,
    Gone,
    Lease(u32),
    Fault(bool),
    Battery(f32),
}

fn any_step() -> impl Strategy<Value = Step> {
    let send = (-1.0f32..1.0, any::<u8>(), 0u64..700, 0u64..1000).prop_map(
        |(throttle, flags, loop_age_ms, picture_age_ms)| Step::Send {
            throttle: if throttle.abs() < 0.3 { 0.0 } else { throttle },
            // The stop flag seldom, or nothing else is seen.
            flags: if flags % 5 == 0 { flags } else { (flags | 1) & !4 },
            loop_age_ms: if loop_age_ms > 300 { loop_age_ms } else { 40 },
            picture_age_ms: if picture_age_ms > 500 { picture_age_ms } else { 80 },
        },
    );
    prop_oneof![
        8 => (0u64..60).prop_map(Step::Wait),
        1 => (60u64..1800).prop_map(Step::Wait),
        12 => send,
        1 => (0u32..9, LEASE - 1..LEASE + 2).prop_map(|(back, lease)| Step::Stale { back, lease }),
        2 => Just(Step::Arm),
        1 => Just(Step::Reset),
        1 => prop_oneof![Just(Step::Stop), Just(Step::Gone), (LEASE..LEASE + 2).prop_map(Step::Lease)],
        1 => prop_oneof![any::<bool>().prop_map(Step::Fault), (6.0f32..8.4).prop_map(Step::Battery)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_drive_of_any_kind_breaks_a_promise(steps in proptest::collection::vec(any_step(), 1..300)) {
        let mut rig = Rig::armed_with(Config { cells: Some(2), brake_pulse: Some(Axis::new(0.2)), ..CONFIG });
        let mut counted = rig.now_ms;
        for step in steps {
            let before = rig.status();
            match step.clone() {
                Step::Wait(ms) => rig.wait(ms),
                Step::Send { throttle, flags, loop_age_ms, picture_age_ms } => {
                    rig.controls = Controls { flags: Flags::from_bits(flags), throttle: Axis::new(throttle), ..Controls::default() };
                    (rig.loop_age_ms, rig.picture_age_ms) = (loop_age_ms, picture_age_ms);
                    if rig.send().is_ok() {
                        prop_assert!(loop_age_ms <= 600 && rig.lease == rig.failsafe.lease);
                        counted = rig.now_ms;
                    }
                }
                Step::Stale { back, lease } => {
                    let sequence = rig.sequence.wrapping_sub(back);
                    let command = DriveCommand { sequence, lease, ..rig.command() };
                    prop_assert!(rig.failsafe.handle_command(&command, rig.now()).is_err() || lease == rig.failsafe.lease);
                    if lease == rig.failsafe.lease && back == 0 { counted = rig.now_ms; }
                }
                Step::Arm => { rig.arm().ok(); }
                Step::Stop => rig.failsafe.handle_emergency_stop(rig.now()),
                Step::Reset => { rig.reset().ok(); }
                Step::Gone => rig.failsafe.handle_driver_gone(rig.now()),
                Step::Lease(lease) => {
                    rig.failsafe.handle_lease(lease, rig.now());
                    if rig.lease != lease { (rig.lease, rig.sequence) = (lease, 0); }
                }
                Step::Fault(raised) => {
                    let change = if raised { FaultChange::Raised } else { FaultChange::Cleared };
                    rig.failsafe.handle_fault(Fault::Output, change, rig.now());
                }
                Step::Battery(volts) => rig.failsafe.handle_battery(volts, rig.now()),
            }
            let setpoint = rig.tick();
            let status = rig.status();
            let moving = setpoint.throttle.axis() != Axis::ZERO;
            let silence = rig.now_ms - counted;
            prop_assert!(!moving || status == Status::Armed, "{step:?}: throttle while {status:?}");
            prop_assert!(!moving || silence < 250, "{step:?}: throttle after {silence} ms");
            prop_assert!(!moving || rig.failsafe.last.unwrap().controls.flags.contains(Flags::DEADMAN));
            prop_assert!((-0.3..=0.6).contains(&setpoint.throttle.axis().get()));
            prop_assert!(silence < 1_500 || status != Status::Armed && status != Status::LinkLoss);
            prop_assert!(setpoint.brake == Axis::ZERO || !moving && setpoint.brake.get() <= 0.3);
            // Only a command or a request takes the car out of standing still.
            let stood = !matches!(before, Status::Armed | Status::LinkLoss);
            if stood && status == Status::Armed {
                prop_assert!(matches!(step, Step::Send { .. } | Step::Arm | Step::Stale { .. }), "{step:?} armed");
                prop_assert!(rig.failsafe.last.unwrap().controls.throttle.magnitude() < NEUTRAL_BAND);
            }
            prop_assert!(before != Status::Stopped || matches!(status, Status::Stopped | Status::Disarmed(_)));
        }
    }
}
