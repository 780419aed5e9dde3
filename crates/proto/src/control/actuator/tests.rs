//! Table tests of the actuator's core and of its watch.

use proptest::prelude::*;

use super::*;
use crate::control::mixer::{self, Channel, Profile};

const RUN: u32 = 5;
const BOOTED_MS: u64 = 2_000;

struct Rig {
    core: ActuatorCore,
    now_us: u64,
    sequence: u32,
    boot: u32,
    written: Vec<(u64, [u16; 4])>,
}

fn mixer() -> Mixer {
    // Trimmed and reversed, so that a failsafe pulse can be told from a neutral one.
    let odd =
        Channel { trim_us: 20, direction: super::super::stick::Direction::Reversed, ..Channel::default() };
    Mixer::new(mixer::Config::new(Profile::Ackermann, [odd; 4]).unwrap())
}

fn live(throttle: f32) -> Setpoint {
    Setpoint {
        throttle: Demand::Live(Axis::new(throttle)),
        steer: Demand::Live(Axis::ZERO),
        authority: Axis::new(0.4),
        ..Setpoint::SAFE
    }
}

const SAFE_US: [u16; 2] = [1500, 1500];

impl Rig {
    fn new() -> Self {
        let now_us = 77_000_000;
        let core = ActuatorCore::new(mixer(), 1, MachineTime(now_us));
        Self { core, now_us, sequence: 0, boot: RUN, written: Vec::new() }
    }

    /// Booted and following `setpoint`, slewed to its end.
    fn following(setpoint: Setpoint) -> Self {
        let mut rig = Rig::new();
        rig.run(Setpoint::SAFE, BOOTED_MS + 20);
        rig.run(setpoint, 200);
        rig
    }

    fn now(&self) -> MachineTime {
        MachineTime(self.now_us)
    }

    fn send(&mut self, setpoint: Setpoint) -> Result<(), MessageError> {
        self.sequence += 1;
        let message = Message { boot: self.boot, sequence: self.sequence, sent: self.now(), setpoint };
        self.core.handle_message(&message.encode(), self.now())
    }

    /// `run` sends at 100 Hz for `ms`.
    fn run(&mut self, setpoint: Setpoint, ms: u64) {
        for _ in 0..ms / 10 {
            self.silence(10);
            self.send(setpoint).unwrap();
            self.poll();
        }
    }

    fn silence(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_us += 1_000;
            self.poll();
        }
    }

    fn poll(&mut self) {
        if let Some(duty) = self.core.poll_output(self.now()) {
            self.written.push((self.now_us, duty.outputs().map(Pulse::us)));
        }
    }

    fn driven(&self) -> [u16; 2] {
        let [steer, throttle, ..] = self.written.last().expect("something was written").1;
        [steer, throttle]
    }

    fn state(&self) -> StateCode {
        self.core.reply().state
    }
}

/// What 40 % gives through the reversed, trimmed channel.
const DRIVING_US: [u16; 2] = [1520, 1320];

#[test]
fn boot_is_neutral_for_two_seconds_whatever_run_says() {
    let mut rig = Rig::new();
    rig.run(live(0.4), 1_990);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Starting, SAFE_US));
    assert!(rig.written.iter().all(|(_, pulses)| *pulses == rig.written[0].1));
    rig.run(live(0.4), 5_000);
    assert_eq!(
        (rig.state(), rig.driven()),
        (StateCode::Waiting, SAFE_US),
        "run has to ask for neutral first"
    );
    rig.run(live(0.0), 10);
    rig.run(live(0.4), 100);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Live, DRIVING_US));
}

#[test]
fn after_150_ms_without_a_message_the_outputs_are_neutral() {
    let mut rig = Rig::following(live(0.4));
    rig.silence(149);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Live, DRIVING_US));
    rig.silence(1);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Silent, SAFE_US));
    assert_eq!(rig.written.last().unwrap().0, rig.now_us, "written at that moment");
}

#[test]
fn neutral_comes_without_help_of_a_timer_that_is_late() {
    let mut rig = Rig::following(live(0.4));
    let last = MachineTime(rig.now_us);
    assert!(rig.core.poll_timeout() <= last.after(PERIOD));
    rig.now_us += 140_000;
    rig.poll();
    assert_eq!(rig.driven(), DRIVING_US);
    assert_eq!(rig.core.poll_timeout(), last.after(SILENCE), "before the next servo frame");
}

#[test]
fn outputs_are_written_at_50_hz_though_unchanged() {
    let mut rig = Rig::following(live(0.4));
    let before = rig.written.len();
    rig.silence(140);
    assert_eq!(rig.written.len() - before, 7);
    rig.silence(1_000);
    assert!(rig.written.len() - before >= 57, "neutral too is written again and again");
}

#[test]
fn a_message_is_written_at_once() {
    let mut rig = Rig::following(live(0.4));
    rig.silence(3);
    let before = rig.written.len();
    rig.send(Setpoint::SAFE).unwrap();
    rig.poll();
    assert_eq!((rig.written.len() - before, rig.driven()), (1, SAFE_US));
}

#[test]
fn after_a_short_silence_the_setpoint_is_applied_again_from_neutral() {
    let mut rig = Rig::following(live(0.4));
    rig.silence(499);
    rig.send(live(0.4)).unwrap();
    rig.poll();
    assert_eq!(rig.state(), StateCode::Live);
    let [_, first] = rig.driven();
    assert!(first > DRIVING_US[1] && first < 1520, "slew-limited: {first}");
    rig.run(live(0.4), 100);
    assert_eq!(rig.driven(), DRIVING_US);
}

#[test]
fn after_a_long_silence_run_has_to_ask_for_neutral_first() {
    let mut rig = Rig::following(live(0.4));
    rig.silence(500);
    rig.run(live(0.4), 1_000);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Waiting, SAFE_US));
    rig.run(live(0.0), 20);
    rig.run(live(0.4), 100);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Live, DRIVING_US));
}

#[test]
fn a_brake_is_not_neutral() {
    let mut rig = Rig::new();
    rig.run(Setpoint::SAFE, BOOTED_MS - 10);
    rig.run(Setpoint { brake: Axis::new(0.3), ..Setpoint::SAFE }, 1_000);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Waiting, SAFE_US));
}

#[test]
fn setpoints_that_waited_in_the_socket_are_not_followed() {
    // The actuator's process was stopped; run was killed meanwhile.
    for (ms, want) in [(149, true), (150, false), (5_000, false)] {
        let mut rig = Rig::following(live(0.0));
        let message =
            Message { boot: RUN, sequence: 1_000_000, sent: rig.now(), setpoint: live(0.4) }.encode();
        rig.now_us += ms * 1_000;
        let result = rig.core.handle_message(&message, rig.now());
        assert_eq!(result.is_ok(), want, "after {ms} ms: {result:?}");
        rig.silence(2);
        assert_eq!(rig.driven(), SAFE_US, "what it waited counts as silence");
    }
}

#[test]
fn a_message_of_the_future_is_not_followed() {
    let mut rig = Rig::following(live(0.0));
    let sent = rig.now().after(Duration::from_millis(6));
    let message = Message { boot: RUN, sequence: 1_000_000, sent, setpoint: live(0.4) };
    assert_eq!(
        rig.core.handle_message(&message.encode(), rig.now()),
        Err(MessageError::Stale { age: Duration::ZERO })
    );
}

#[test]
fn a_message_that_is_not_newer_is_not_followed() {
    let mut rig = Rig::following(live(0.0));
    let newest = rig.sequence;
    for sequence in [newest, newest - 1] {
        let message = Message { boot: RUN, sequence, sent: rig.now(), setpoint: live(0.4) };
        let result = rig.core.handle_message(&message.encode(), rig.now());
        assert_eq!(result, Err(MessageError::Sequence { sequence, newest }));
    }
}

#[test]
fn a_second_run_takes_over_only_when_the_first_is_silent_and_from_neutral() {
    let mut rig = Rig::following(live(0.4));
    (rig.boot, rig.sequence) = (RUN + 1, 0);
    assert_eq!(rig.send(live(-0.3)), Err(MessageError::Rival));
    rig.silence(149);
    assert_eq!(rig.send(live(-0.3)), Err(MessageError::Rival));
    rig.silence(1);
    rig.run(live(-0.3), 300);
    assert_eq!((rig.state(), rig.driven()), (StateCode::Waiting, SAFE_US));
    rig.run(live(0.0), 20);
    rig.run(live(0.4), 100);
    assert_eq!(rig.driven(), DRIVING_US);
}

#[test]
fn a_malformed_message_changes_nothing() {
    let mut rig = Rig::following(live(0.4));
    let error = rig.core.handle_message(&[1, 16, 3], rig.now()).unwrap_err();
    assert_eq!(error.to_string(), "actuator datagram has 3 bytes, want 36");
    rig.silence(150);
    assert_eq!(rig.driven(), SAFE_US, "nor is it a sign of life");
}

#[test]
fn the_reply_tells_what_was_written() {
    let rig = Rig::following(live(0.4));
    let reply = rig.core.reply();
    assert_eq!((reply.boot, reply.sequence, reply.state), (1, rig.sequence, StateCode::Live));
    assert_eq!(reply.pulses_us, rig.written.last().unwrap().1);
    assert!((reply.throttle.get() - 0.4).abs() < 1e-3);
    assert_eq!(Reply::decode(&reply.encode()).map(|read| read.encode()), Ok(reply.encode()));
}

#[test]
fn run_takes_the_actuator_for_dead_after_200_ms() {
    let mut watch = Watch::default();
    let at = |ms: u64| MachineTime(ms * 1_000);
    assert_eq!(watch.health(at(0)), Health::Silent, "it has never answered");
    let reply = Rig::following(live(0.4)).core.reply();
    watch.handle_reply(&reply.encode(), at(1_000)).unwrap();
    assert_eq!(watch.health(at(1_199)), Health::Answering);
    assert_eq!(watch.health(at(1_200)), Health::Silent);
    let error = watch.handle_reply(&[1, 17, 9], at(1_201)).unwrap_err();
    assert_eq!(error.to_string(), "actuator reply datagram has 3 bytes, want 24");
    assert_eq!(watch.health(at(1_201)), Health::Silent, "what cannot be read is no answer");
}

#[test]
fn run_sees_that_the_actuator_has_started_again() {
    let mut watch = Watch::default();
    let reply = Rig::following(live(0.4)).core.reply();
    assert_eq!(watch.handle_reply(&reply.encode(), MachineTime(0)), Ok(false));
    assert_eq!(watch.health(MachineTime(1)), Health::Answering);
    let again = Reply { boot: 2, ..Rig::new().core.reply() };
    assert_eq!(watch.handle_reply(&again.encode(), MachineTime(2)), Ok(true));
    assert_eq!(watch.handle_reply(&again.encode(), MachineTime(3)), Ok(false));
    assert_eq!(watch.health(MachineTime(4)), Health::Starting);
}

fn any_setpoint() -> impl Strategy<Value = Setpoint> {
    let axis = || (-32767i16..=32767).prop_map(Axis::from_wire);
    let demand = move || prop_oneof![Just(Demand::Safe), axis().prop_map(Demand::Live)];
    let share = || (0i16..=32767).prop_map(Axis::from_wire);
    (demand(), demand(), share(), share(), axis(), axis(), any::<[bool; 3]>()).prop_map(
        |(throttle, steer, brake, authority, pan, tilt, [lights, horn, aux])| {
            let switches = Switches { lights, horn, aux };
            Setpoint { throttle, steer, brake, authority, pan, tilt, switches }
        },
    )
}

proptest! {
    #[test]
    fn a_setpoint_survives_the_wire(setpoint in any_setpoint(), boot: u32, sequence: u32, sent: u64) {
        let message = Message { boot, sequence, sent: MachineTime(sent), setpoint };
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_are_followed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut rig = Rig::following(live(0.0));
        let mut datagram = vec![1, 16];
        datagram.extend(bytes);
        rig.core.handle_message(&datagram, rig.now()).ok();
        Reply::decode(&datagram).ok();
    }

    #[test]
    fn no_silence_leaves_the_car_driving(steps in proptest::collection::vec((0u64..400, -0.4f32..0.6), 1..60)) {
        let mut rig = Rig::following(live(0.4));
        let mut told = rig.now_us;
        for (silence, throttle) in steps {
            for _ in 0..silence {
                rig.silence(1);
                let stands = rig.core.reply().throttle == Axis::ZERO;
                prop_assert!(stands || rig.now_us - told < 150_000);
            }
            if rig.send(live(throttle)).is_ok() {
                told = rig.now_us;
            }
            rig.poll();
        }
    }
}
