//! Whole drives in virtual time. `docs/SAFETY.md` names these tests.

use std::time::Duration;

use farwheel_lab::clock::VirtualTime;
use farwheel_lab::drive::{Fault, Kind, Process, Report, Scenario, Trace};
use farwheel_lab::link::{Carrier, Profile};

/// Drives for 12 s with what goes wrong; the hand is on the stick from about 2.7 s on.
#[track_caller]
fn drive(faults: &[Fault]) -> Drive {
    let scenario = Scenario::new(1, 12_000, faults.to_vec());
    let report = scenario.run(Trace::Kept).unwrap_or_else(|(violation, trace)| {
        panic!("{violation}\n{}", trace.join("\n"));
    });
    let drive = Drive { report };
    drive.moves(4_900..5_000);
    drive
}

struct Drive {
    report: Report,
}

impl Drive {
    /// Throttle pulses in force during the given ms.
    fn pulses(&self, ms: &std::ops::Range<u64>) -> Vec<u16> {
        let [from, until] = [ms.start, ms.end].map(VirtualTime::from_ms);
        let before = self.report.pulses.iter().rev().find(|(at, _)| *at <= from).map(|(_, us)| *us);
        let during = self.report.pulses.iter().filter(|(at, _)| *at > from && *at < until).map(|(_, us)| *us);
        before.into_iter().chain(during).collect()
    }

    /// There is throttle at some time in the given ms.
    #[track_caller]
    fn moves(&self, ms: std::ops::Range<u64>) {
        let pulses = self.pulses(&ms);
        assert!(
            pulses.iter().any(|us| *us != 1500),
            "no throttle in {ms:?}\n{}",
            self.report.trace.join("\n")
        );
    }

    /// There is no throttle at any time in the given ms.
    #[track_caller]
    fn stands(&self, ms: std::ops::Range<u64>) {
        let pulses = self.pulses(&ms);
        assert!(
            pulses.iter().all(|us| *us == 1500),
            "{pulses:?} in {ms:?}\n{}",
            self.report.trace.join("\n")
        );
    }
}

/// A command on the good cellular link arrives within this of being sent, save one in a thousand.
const DELAY_MS: u64 = 80;
/// 250 ms of silence, a tick, an output.
const NEUTRAL_MS: u64 = 250 + 25;

#[test]
fn a_world_without_faults_drives() {
    let drive = drive(&[]);
    drive.moves(2_600..3_500);
    assert!(drive.report.distance_m > 15.0, "{} m", drive.report.distance_m);
    assert!(drive.report.followed > 400);
}

#[test]
fn the_same_seed_gives_the_same_drive() {
    let pulses = |seed| Scenario::random(seed).run(Trace::Dropped).map(|report| report.pulses).ok();
    assert_eq!(pulses(5), pulses(5));
    assert_ne!(pulses(5), pulses(6));
}

#[test]
fn losing_control_alone_stops_the_car() {
    // Events, telemetry and video go on: none of them is a sign of life.
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::ControlLost)]);
    drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..8_000);
    drive.moves(8_300..9_500);
}

#[test]
fn losing_the_path_stops_the_car_and_centres_the_steering() {
    for carrier in [Carrier::Partitioned, Carrier::Hoarding] {
        let drive = drive(&[Fault::new(5_000, 12_001, Kind::Path(carrier))]);
        drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..12_000);
        assert_eq!(drive.report.steer_us, 1500);
    }
}

#[test]
fn losing_the_way_back_stops_the_car() {
    // The driver sees and hears nothing; its commands still arrive.
    let drive = drive(&[Fault::new(5_000, 9_000, Kind::Downlink(Carrier::Partitioned))]);
    drive.stands(5_000 + 800 + DELAY_MS..9_000);
    drive.moves(9_000..12_000);
}

#[test]
fn a_short_loss_is_ridden_out_and_a_longer_one_recovers_by_itself() {
    let up = Kind::Uplink(Carrier::Partitioned);
    drive(&[Fault::new(5_000, 5_060, up)]).moves(5_100..5_300);
    // 250 to 500 ms: clean for 200 ms.
    let short = drive(&[Fault::new(5_000, 5_350, up)]);
    short.stands(5_000 + DELAY_MS + NEUTRAL_MS..5_540);
    short.moves(5_550..5_900);
    // 500 to 1500 ms: clean for 500 ms, with the stick at neutral meanwhile.
    let long = drive(&[Fault::new(5_000, 6_000, up)]);
    long.stands(5_000 + DELAY_MS + NEUTRAL_MS..6_500);
    long.moves(6_500..7_000);
}

#[test]
fn queued_stale_commands_are_not_replayed_after_an_outage() {
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::Uplink(Carrier::Hoarding))]);
    drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..8_200);
    assert!(drive.report.age_max <= Duration::from_millis(603), "{:?}", drive.report.age_max);
    drive.moves(8_200..12_000);
}

#[test]
fn a_stalled_reliable_channel_that_bursts_does_nothing_late() {
    // The stop is pressed while its channel stalls: the flag in the commands stops the car at once.
    let drive =
        drive(&[Fault::new(4_800, 8_000, Kind::EventsStall), Fault::new(5_000, 5_001, Kind::StopPressed)]);
    // The burst brings a stop and resets, the older of which are too late to count.
    drive.stands(5_000 + DELAY_MS + 25..8_000);
    drive.moves(8_000..12_000);
}

#[test]
fn a_second_client_does_not_drive() {
    let drive = drive(&[Fault::new(4_000, 9_000, Kind::Rival)]);
    for from in [5_500, 6_500, 7_500, 8_500] {
        drive.moves(from..from + 500);
    }
}

#[test]
fn an_owner_takes_the_lease_and_the_driver_before_is_inert() {
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::OwnerRival)]);
    drive.stands(5_600..8_000);
    drive.moves(8_000..12_000);
}

#[test]
fn a_frozen_picture_stops_the_car_while_control_works() {
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::VideoFrozen)]);
    drive.moves(5_100..5_300);
    drive.stands(5_000 + 800 + 25..8_000);
    drive.moves(8_000..8_000 + DELAY_MS + 300);
}

#[test]
fn a_blocked_encoder_does_not_block_the_actuator() {
    // That outputs are written all the time is the oracle's to see.
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::EncoderBlocked)]);
    drive.stands(5_000 + 800 + 25 + 33..8_000);
    drive.moves(8_000..8_000 + DELAY_MS + 300);
    assert!(drive.report.followed > 400, "control works all the time");
}

#[test]
fn a_killed_or_paused_run_leaves_no_throttle() {
    for kind in [Kind::Kill(Process::Run), Kind::Pause(Process::Run)] {
        let drive = drive(&[Fault::new(5_000, 7_000, kind)]);
        drive.stands(5_000 + 150 + 25..7_000);
        drive.moves(7_000..12_000);
    }
}

#[test]
fn the_pulses_of_a_killed_or_paused_actuator_do_not_run_on() {
    for kind in [Kind::Kill(Process::Actuator), Kind::Pause(Process::Actuator)] {
        let drive = drive(&[Fault::new(5_000, 7_000, kind)]);
        drive.moves(5_000..5_100);
        drive.stands(5_000 + 200 + 25..7_000);
        drive.moves(7_000..12_000);
    }
}

#[test]
fn a_killed_or_paused_driver_stops_the_car() {
    for kind in [Kind::Kill(Process::Driver), Kind::Pause(Process::Driver)] {
        let drive = drive(&[Fault::new(5_000, 7_000, kind)]);
        drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..7_000);
        drive.moves(7_000..12_000);
    }
}

#[test]
fn a_driver_whose_machine_slept_does_not_make_old_echoes_young() {
    let drive = drive(&[Fault::new(5_000, 8_000, Kind::Sleep)]);
    drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..8_000);
    drive.moves(8_000..12_000);
}

#[test]
fn losing_the_focus_or_the_gamepad_stops_the_car() {
    for kind in [Kind::FocusLost, Kind::GamepadLost] {
        let drive = drive(&[Fault::new(5_000, 8_000, kind)]);
        drive.stands(5_000 + DELAY_MS + 25..8_000);
        drive.moves(8_000..8_500);
    }
}

#[test]
fn an_emergency_stop_stops_the_car_until_it_is_reset() {
    let drive = drive(&[Fault::new(5_000, 5_001, Kind::StopPressed)]);
    drive.stands(5_000 + DELAY_MS + 25..5_200);
    drive.moves(5_500..7_000);
}

#[test]
fn a_stick_held_forward_does_not_start_the_car_after_a_loss() {
    let drive = drive(&[
        Fault::new(4_500, 9_000, Kind::Stubborn),
        Fault::new(5_000, 6_600, Kind::Uplink(Carrier::Partitioned)),
    ]);
    drive.stands(5_000 + DELAY_MS + NEUTRAL_MS..9_000);
    drive.moves(9_000..10_000);
}

#[test]
fn a_lost_server_touches_no_connection() {
    let drive = drive(&[Fault::new(3_000, 12_000, Kind::ServerDown)]);
    for from in (3_000..11_500).step_by(500) {
        drive.moves(from..from + 500);
    }
}

#[test]
fn a_restarted_robot_is_driven_again_within_five_seconds_of_its_death() {
    // 2 s until the driver misses it, 0.3 s to connect, 2 s of neutral since its start, 0.3 s to arm.
    let drive = drive(&[Fault::new(5_000, 5_100, Kind::Kill(Process::Run))]);
    drive.stands(5_175..7_100);
    drive.moves(7_100..10_000);
}

/// Runs the world of one seed and gives its report.
fn world(seed: u64) -> Report {
    let scenario = Scenario::random(seed);
    scenario.run(Trace::Dropped).unwrap_or_else(|(violation, _)| {
        panic!(
            "seed {seed} ({}): {violation}\n{:#?}\nsee it with: cargo run -p farwheel-lab --bin drive_worlds -- --seed {seed}",
            scenario.profile.name, scenario.faults
        )
    })
}

#[test]
fn a_thousand_worlds_keep_every_promise() {
    // FARWHEEL_SEED runs that one alone; FARWHEEL_WORLDS as many from it on.
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("FARWHEEL_SEED");
    let count = number("FARWHEEL_WORLDS").unwrap_or(if first.is_some() { 1 } else { 1_000 });
    let first = first.unwrap_or(0);
    let (mut followed, mut moved, mut silence_max) = (0, 0, Duration::ZERO);
    for seed in first..first + count {
        let report = world(seed);
        followed += report.followed;
        moved += u64::from(report.distance_m > 1.0);
        silence_max = silence_max.max(report.silence_max);
    }
    if count >= 1_000 {
        // Or the promises are kept for want of driving.
        assert!(followed > 500 * count, "{followed} commands followed");
        assert!(moved > count * 95 / 100, "{moved} cars moved");
        assert!(silence_max > Duration::from_millis(240), "no world came near the limit: {silence_max:?}");
    }
}

#[test]
fn random_worlds_meet_every_fault_and_every_link() {
    let scenarios: Vec<_> = (0..1_000).map(Scenario::random).collect();
    let mut kinds: Vec<String> = scenarios
        .iter()
        .flat_map(|scenario| &scenario.faults)
        .map(|fault| format!("{:?}", fault.kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 24, "{kinds:?}");
    for profile in Profile::ALL {
        let count = scenarios.iter().filter(|scenario| scenario.profile == profile).count();
        assert!(count > 100, "{} worlds with {}", count, profile.name);
    }
}
