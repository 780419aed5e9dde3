//! Any sequence of inputs of any kind.

use proptest::prelude::*;

use super::*;

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
