//! How much throttle there is: governor, limits, dead man's control, brake.

use super::*;

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
