//! What arms and what disarms.

use super::*;

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
