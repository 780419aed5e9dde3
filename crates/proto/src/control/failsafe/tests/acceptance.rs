//! Which commands count.

use super::*;

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

proptest::proptest! {
    /// A second path may bring each command again, earlier or later than the first, in any order.
    #[test]
    fn copies_that_come_by_a_second_path_change_nothing(
        delays in proptest::collection::vec((proptest::option::of(20u64..90), proptest::option::of(20u64..90)), 20..60),
    ) {
        let rig = Rig::driving(1.0);
        let mut arrivals = Vec::new();
        for (index, (by_one, by_other)) in delays.iter().enumerate() {
            let sent_ms = rig.now_ms + 20 * index as u64;
            let one = Rig { now_ms: sent_ms, sequence: rig.sequence + 1 + index as u32, ..Rig::driving(1.0) };
            let mut copies: Vec<u64> = [by_one, by_other].into_iter().flatten().map(|delay| sent_ms + delay).collect();
            copies.sort_unstable();
            for (copy, at_ms) in copies.into_iter().enumerate() {
                arrivals.push((at_ms, index, copy, one.command()));
            }
        }
        arrivals.sort_by_key(|(at_ms, index, copy, _)| (*at_ms, *index, *copy));
        let play = |copies: usize| {
            let mut rig = Rig::driving(1.0);
            let mut seen = Vec::new();
            let (mut counted, mut next) = (Vec::new(), 0);
            while next < arrivals.len() {
                rig.wait(10);
                rig.picture();
                while let Some((_, _, copy, command)) = arrivals.get(next).filter(|(at_ms, ..)| *at_ms <= rig.now_ms) {
                    next += 1;
                    if *copy < copies && rig.failsafe.handle_command(command, rig.now()).is_ok() {
                        counted.push(command.sequence);
                    }
                }
                let setpoint = rig.tick();
                let fast = rig.failsafe.telemetry(1, (Axis::ZERO, Axis::ZERO), rig.now());
                seen.push((setpoint, fast));
            }
            (counted, seen)
        };
        let (once, twice) = (play(1), play(2));
        proptest::prop_assert_eq!(once.0.len(), once.0.iter().collect::<std::collections::BTreeSet<_>>().len());
        proptest::prop_assert_eq!(once, twice);
    }
}
