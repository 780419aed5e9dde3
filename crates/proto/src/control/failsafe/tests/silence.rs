//! Silence and recovery: each row on both sides of its limit.

use super::*;

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
