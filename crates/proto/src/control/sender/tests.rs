//! Table tests of the command sender.

use proptest::prelude::*;

use super::*;
use crate::control::test::start;
use crate::control::{Axis, DisarmReason, Faults};
use crate::video::CarTime;

struct Rig {
    sender: CommandSender,
    start: Instant,
    now_ms: u64,
    intent: Intent,
    sent: Vec<(u64, DriveCommand)>,
}

impl Rig {
    fn new() -> Self {
        let mut sender = CommandSender::new(Config::default());
        sender.handle_lease(7);
        let intent = Intent { flags: Flags::DEADMAN, throttle: Axis::new(0.5), ..Intent::default() };
        Self { sender, start: start(), now_ms: 0, intent, sent: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    /// Reads the sticks every 4 ms for `ms`, and sends what is due.
    fn hold(&mut self, ms: u64) {
        for step in 0..ms {
            if step % 4 == 0 {
                self.sender.handle_input(&self.intent, self.now());
            }
            self.poll();
            self.now_ms += 1;
        }
    }

    /// Lets `ms` pass without any input.
    fn idle(&mut self, ms: u64) {
        for _ in 0..ms {
            self.poll();
            self.now_ms += 1;
        }
    }

    fn poll(&mut self) {
        let now = self.now();
        if let Some(command) = self.sender.poll_command(now) {
            self.sent.push((self.now_ms, command));
        }
    }

    fn last(&self) -> DriveCommand {
        self.sent.last().expect("something was sent").1
    }

    fn telemetry(&mut self, status: Status, sequence: u32) {
        let now = self.now();
        let car_time = CarTime(1_000_000 + self.now_ms * 1000);
        self.sender.handle_telemetry(&Fast { status, sequence, car_time, ..fast() }, now);
    }
}

fn fast() -> Fast {
    Fast {
        status: Status::Disarmed(DisarmReason::Driver),
        boot: 1,
        car_time: CarTime(0),
        lease: 7,
        sequence: 0,
        throttle: Axis::ZERO,
        steer: Axis::ZERO,
        loop_age_ms: None,
        picture_age_ms: None,
        silence_ms: None,
        governor_permille: 0,
        loss_permille: 0,
        limit_permille: 0,
        faults: Faults::NONE,
        arm_block: None,
        flags: Flags::NONE,
        speed_cm_s: None,
        laps: 0,
        lap_ms: None,
    }
}

#[test]
fn fifty_commands_leave_each_second() {
    let mut rig = Rig::new();
    rig.hold(1_000);
    assert_eq!(rig.sent.len(), 50);
    assert!(rig.sent.windows(2).all(|pair| pair[1].0 - pair[0].0 == 20));
}

#[test]
fn the_rate_is_kept_within_25_and_100() {
    for (asked, want) in [(0, 25), (25, 25), (100, 100), (5_000, 100)] {
        let mut rig = Rig::new();
        rig.sender = CommandSender::new(Config::with_rate(asked));
        rig.hold(1_000);
        assert_eq!(rig.sent.len(), want, "asked for {asked}");
    }
}

#[test]
fn neutral_is_sent_again_and_again_though_unchanged() {
    let mut rig = Rig::new();
    rig.intent = Intent::default();
    rig.hold(1_000);
    assert_eq!(rig.sent.len(), 50);
    assert!(rig.sent.iter().all(|(_, command)| command.controls == Controls::default()));
}

#[test]
fn a_change_leaves_at_once_but_not_faster_than_every_5_ms() {
    let mut rig = Rig::new();
    rig.hold(48);
    assert_eq!(rig.sent.last().unwrap().0, 40);
    rig.intent.throttle = Axis::new(0.6);
    rig.hold(1);
    assert_eq!(rig.sent.last().unwrap().0, 48, "eight ms after the last one");
    rig.now_ms += 1;
    rig.intent.throttle = Axis::new(0.7);
    rig.hold(8);
    assert_eq!(rig.sent.last().unwrap().0, 53, "five ms after the last one");
}

#[test]
fn every_number_follows_the_one_before_and_brings_two_copies() {
    let mut rig = Rig::new();
    rig.hold(40);
    rig.intent.throttle = Axis::new(0.6);
    rig.hold(20);
    let sequences: Vec<_> = rig.sent.iter().map(|(_, command)| command.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    let [first, second, third] = [0, 1, 2].map(|index| rig.sent[index].1);
    assert_eq!(first.earlier, [None, None]);
    assert_eq!(second.earlier, [Some(first.controls), None]);
    assert_eq!(third.earlier, [Some(second.controls), Some(first.controls)]);
}

#[test]
fn a_blocked_transport_gets_the_newest_command_when_it_opens() {
    let mut rig = Rig::new();
    rig.hold(20);
    let asked = rig.sent.len();
    // No one polls for 500 ms.
    for step in 0..125 {
        rig.now_ms += 4;
        rig.intent.throttle = Axis::new(step as f32 / 125.0);
        rig.sender.handle_input(&rig.intent, rig.now());
    }
    rig.poll();
    rig.poll();
    assert_eq!(rig.sent.len(), asked + 1, "one, not a burst");
    assert_eq!(rig.last().controls.throttle, rig.intent.throttle);
    assert_eq!(rig.last().sequence, 2, "none was numbered and thrown away");
}

#[test]
fn input_older_than_100_ms_counts_as_released() {
    for (ms, deadman) in [(100, true), (101, false)] {
        let mut rig = Rig::new();
        rig.sender.handle_input(&rig.intent, rig.now());
        rig.now_ms = ms;
        let controls = rig.sender.controls(rig.now());
        assert_eq!(controls.flags.contains(Flags::DEADMAN), deadman, "after {ms} ms");
        assert_eq!(controls.throttle == Axis::ZERO, !deadman);
    }
}

#[test]
fn commands_go_on_without_input_and_say_released() {
    let mut rig = Rig::new();
    rig.hold(100);
    rig.idle(1_000);
    assert_eq!(rig.sent.len(), 55 + 1, "none is left out, and the release left at once");
    assert_eq!(rig.last().controls, Controls::default());
}

#[test]
fn losing_the_window_or_the_device_releases_at_once_until_input_after_the_return() {
    for source in [Source::Window, Source::Device] {
        let mut rig = Rig::new();
        rig.hold(20);
        rig.sender.handle_presence(source, Presence::Absent);
        rig.hold(200);
        assert_eq!(rig.last().controls, Controls::default(), "{source:?}");
        rig.sender.handle_presence(source, Presence::Absent);
        rig.sender.handle_presence(source, Presence::Present);
        assert_eq!(rig.sender.controls(rig.now()), Controls::default(), "no input yet");
        rig.hold(20);
        assert!(rig.last().controls.flags.contains(Flags::DEADMAN));
    }
}

#[test]
fn the_emergency_stop_is_in_every_command_until_it_is_reset() {
    let mut rig = Rig::new();
    rig.sender.arm();
    rig.intent.stop = StopButton::Pressed;
    rig.hold(4);
    rig.intent.stop = StopButton::Released;
    rig.hold(500);
    rig.sender.handle_lease(8);
    rig.hold(500);
    rig.idle(500);
    assert!(rig.sent.iter().all(|(_, command)| command.controls.flags.contains(Flags::EMERGENCY_STOP)));
    assert!(!rig.last().controls.flags.contains(Flags::ARM));
    assert_eq!(rig.sender.reset_emergency_stop(rig.now()), Ok(()));
    rig.hold(20);
    assert!(!rig.last().controls.flags.contains(Flags::EMERGENCY_STOP));
}

#[test]
fn the_emergency_stop_is_reset_only_at_neutral_and_with_the_button_released() {
    for (throttle, stop, want) in [
        (0.049, StopButton::Released, Ok(())),
        (0.05, StopButton::Released, Err(Refusal::NotNeutral)),
        (-1.0, StopButton::Released, Err(Refusal::NotNeutral)),
        (0.0, StopButton::Pressed, Err(Refusal::NotNeutral)),
    ] {
        let mut rig = Rig::new();
        rig.sender.emergency_stop();
        rig.intent = Intent { throttle: Axis::new(throttle), stop, ..rig.intent };
        rig.hold(4);
        assert_eq!(rig.sender.reset_emergency_stop(rig.now()), want);
        assert_eq!(rig.sender.is_stopping(), want.is_err());
    }
}

#[test]
fn the_arm_wish_lasts_until_it_is_taken_back() {
    let mut rig = Rig::new();
    rig.intent.arm = ArmSwitch::Arm;
    rig.hold(4);
    rig.intent.arm = ArmSwitch::Untouched;
    rig.hold(100);
    assert!(rig.last().controls.flags.contains(Flags::ARM));
    rig.intent.arm = ArmSwitch::Disarm;
    rig.hold(20);
    assert!(!rig.last().controls.flags.contains(Flags::ARM));
}

#[test]
fn a_robot_that_disarmed_lowers_the_arm_flag_and_one_that_has_not_heard_of_it_does_not() {
    let mut rig = Rig::new();
    rig.hold(100);
    rig.sender.arm();
    rig.hold(100);
    let wish = 6;
    let disarmed = Status::Disarmed(DisarmReason::Silence);
    rig.telemetry(disarmed, wish - 1);
    assert!(rig.sender.wants_armed(), "it had not heard of the wish");
    rig.now_ms += 10;
    rig.telemetry(Status::Armed, wish);
    rig.now_ms += 10;
    rig.telemetry(Status::LinkLoss, wish + 1);
    assert!(rig.sender.wants_armed());
    rig.now_ms += 10;
    rig.telemetry(disarmed, wish + 2);
    assert!(!rig.sender.wants_armed());
}

#[test]
fn late_telemetry_changes_nothing() {
    let mut rig = Rig::new();
    rig.sender.arm();
    rig.hold(100);
    rig.now_ms += 100;
    rig.telemetry(Status::Armed, 3);
    let (echo, now) = (rig.sender.echo(rig.now()), rig.now());
    let late = Fast { car_time: CarTime(1_100_000), sequence: 3, ..fast() };
    rig.sender.handle_telemetry(&late, now);
    assert_eq!(rig.sender.echo(now), echo);
    assert!(rig.sender.wants_armed());
}

#[test]
fn the_newest_robot_time_is_echoed_with_how_long_it_was_held() {
    let mut rig = Rig::new();
    rig.hold(20);
    assert_eq!(rig.last().echo, None);
    rig.telemetry(Status::Armed, 0);
    rig.now_ms += 37;
    rig.poll();
    assert_eq!(rig.last().echo, Some(Echo { car_ms: 1_020, hold_ms: 37 }));
    rig.now_ms += 100_000;
    rig.poll();
    assert_eq!(rig.last().echo, Some(Echo { car_ms: 1_020, hold_ms: 65_534 }));
}

/// Telemetry that the robot wrote at `written` arrives now.
fn late(rig: &mut Rig, written: u64) {
    let car_time = CarTime(1_000_000 + written * 1000);
    let now = rig.now();
    rig.sender.handle_telemetry(&Fast { car_time, ..fast() }, now);
}

#[test]
fn after_a_stall_each_much_fresher_echo_leaves_at_once() {
    let mut rig = Rig::new();
    rig.telemetry(Status::Armed, 0);
    rig.hold(1001);
    rig.sent.clear();
    // A second of telemetry comes within 12 ms of a return.
    for written in [250, 500, 750, 1000] {
        late(&mut rig, written);
        rig.hold(3);
    }
    rig.hold(40);
    let sent: Vec<_> = rig.sent.iter().map(|(ms, command)| (*ms, command.echo.unwrap().car_ms)).collect();
    assert_eq!(sent[..3], [(1005, 1500), (1010, 2000), (1030, 2000)], "{sent:?}");
}

#[test]
fn an_echo_that_is_a_little_fresher_waits_for_its_turn() {
    let mut rig = Rig::new();
    rig.hold(1);
    rig.now_ms = 150;
    late(&mut rig, 0);
    rig.hold(25);
    rig.sent.clear();
    // One between was lost.
    late(&mut rig, 100);
    rig.hold(30);
    assert_eq!(rig.sent[0].0, 190, "{:?}", rig.sent);
}

#[test]
fn a_robot_that_started_again_is_echoed_though_its_clock_is_behind() {
    let mut rig = Rig::new();
    rig.telemetry(Status::Armed, 0);
    let again = Fast { boot: 2, car_time: CarTime(5_000), ..fast() };
    rig.sender.handle_telemetry(&again, rig.now());
    assert_eq!(rig.sender.echo(rig.now()), Some(Echo { car_ms: 5, hold_ms: 0 }));
}

#[test]
fn the_displayed_picture_is_told_with_how_long_it_has_been_there() {
    let mut rig = Rig::new();
    rig.sender.handle_picture(FrameId(5), rig.now());
    rig.now_ms += 30;
    rig.sender.handle_picture(FrameId(5), rig.now());
    rig.now_ms += 30;
    rig.poll();
    assert_eq!(rig.last().displayed, Some(Displayed { frame: FrameId(5), unchanged_ms: 60 }));
    rig.sender.handle_picture(FrameId(6), rig.now());
    rig.now_ms += 20;
    rig.poll();
    assert_eq!(rig.last().displayed, Some(Displayed { frame: FrameId(6), unchanged_ms: 20 }));
    let lease = rig.sender.lease();
    rig.sender.handle_connection();
    rig.sender.handle_lease(lease);
    rig.now_ms += 20;
    rig.poll();
    assert_eq!(rig.last().displayed, None);
}

#[test]
fn another_lease_starts_disarmed_at_one() {
    let mut rig = Rig::new();
    rig.sender.arm();
    rig.hold(100);
    rig.sender.handle_lease(8);
    rig.hold(20);
    let command = rig.last();
    assert_eq!((command.lease, command.sequence, command.earlier), (8, 1, [None, None]));
    assert!(!command.controls.flags.contains(Flags::ARM));
}

#[test]
fn another_connection_forgets_the_robot() {
    let mut rig = Rig::new();
    rig.telemetry(Status::Armed, 0);
    rig.sender.handle_picture(FrameId(5), rig.now());
    rig.sender.arm();
    rig.sender.handle_connection();
    rig.hold(20);
    let DriveCommand { lease, echo, displayed, .. } = rig.last();
    assert_eq!((lease, echo, displayed), (0, None, None));
    assert!(!rig.sender.wants_armed());
}

proptest! {
    #[test]
    fn commands_are_never_closer_than_5_ms_nor_further_than_the_period(changes in proptest::collection::vec((1u64..30, -1.0f32..1.0), 1..200)) {
        let mut rig = Rig::new();
        for (ms, throttle) in changes {
            rig.intent.throttle = Axis::new(throttle);
            rig.hold(ms);
        }
        for pair in rig.sent.windows(2) {
            prop_assert!((5..=20).contains(&(pair[1].0 - pair[0].0)), "{} and {}", pair[0].0, pair[1].0);
            prop_assert_eq!(pair[1].1.sequence, pair[0].1.sequence + 1);
        }
    }
}
