//! The emergency stop and its reset.

use super::*;

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
