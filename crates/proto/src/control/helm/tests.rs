//! Tests of the helm: peers, lease and failsafe together, by the messages that peers send.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::control::command::{Controls, Displayed, Echo, Flags};
use crate::control::event::Stamp;
use crate::control::failsafe::{Limits, Sight};
use crate::control::test::start;
use crate::control::{Axis, DisarmReason};
use crate::video::FrameId;

struct Rig {
    helm: Helm,
    start: Instant,
    now_ms: u64,
    sequence: u32,
    controls: Controls,
    told: Vec<(Recipient, Event)>,
}

fn config() -> Config {
    Config {
        failsafe: failsafe::Config {
            limits: Limits::STANDARD,
            sight: Sight::LineOfSight,
            brake_pulse: None,
            cells: None,
        },
        lease: lease::Config { lasts: Duration::from_secs(10) },
        owner_code: Some("4711".into()),
        name: "car".into(),
        version: "1".into(),
    }
}

impl Rig {
    fn new() -> Self {
        let start = start();
        let helm = Helm::new(config(), 40, start, start);
        let controls = Controls { flags: Flags::DEADMAN, ..Controls::default() };
        Self { helm, start, now_ms: 1_000, sequence: 0, controls, told: Vec::new() }
    }

    /// Ann and Bob are drivers, Vic is a viewer, Eve owns the robot; Ann drives at 40 %.
    fn driven_by_ann() -> Self {
        let mut rig = Self::new();
        for (peer, role, owner_code) in [
            ("ann", Role::Driver, None),
            ("bob", Role::Driver, None),
            ("vic", Role::Viewer, None),
            ("eve", Role::Driver, Some("4711")),
        ] {
            rig.hello(peer, role, owner_code);
        }
        let granted = rig.ask("ann", Body::LeaseRequest);
        assert_eq!(granted, Body::LeaseGranted { epoch: 41, lasts_ms: 10_000 });
        rig.drive("ann", 41, 1_100);
        rig.controls.flags = rig.controls.flags.with(Flags::ARM);
        rig.drive("ann", 41, 20);
        rig.controls.throttle = Axis::MAX;
        rig.drive("ann", 41, 100);
        assert!(rig.moves());
        rig.told.clear();
        rig
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn command(&self, lease: u32) -> [u8; DriveCommand::LEN] {
        DriveCommand {
            lease,
            sequence: self.sequence,
            echo: Some(Echo { car_ms: self.now_ms as u32 - 30, hold_ms: 0 }),
            displayed: Some(Displayed { frame: FrameId(0), unchanged_ms: 0 }),
            controls: self.controls,
            earlier: [None; 2],
        }
        .encode()
    }

    fn drive(&mut self, peer: &str, lease: u32, ms: u64) {
        for _ in 0..ms / 20 {
            self.now_ms += 20;
            self.sequence += 1;
            let datagram = self.command(lease);
            self.helm.handle_control(peer, &datagram, self.now()).ok();
            self.helm.tick(self.now());
        }
        self.collect();
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.helm.tick(self.now());
        self.collect();
    }

    fn say(&mut self, peer: &str, event: &Event) -> Action {
        let action = self.helm.handle_event(peer, &event.encode().unwrap(), self.now());
        self.collect();
        action
    }

    /// Sends a request and gives its answer.
    fn ask(&mut self, peer: &str, body: Body) -> Body {
        self.say(peer, &Event::request(99, body));
        let to = Recipient::Peer(peer.into());
        let index = self.told.iter().rposition(|(who, event)| *who == to && event.re == Some(99));
        self.told.remove(index.expect("an answer")).1.body
    }

    fn hello(&mut self, peer: &str, role: Role, owner_code: Option<&str>) -> Body {
        let owner_code = owner_code.map(str::to_owned);
        self.ask(peer, Body::Hello { name: peer.to_uppercase(), version: "1".into(), role, owner_code })
    }

    fn collect(&mut self) {
        while let Some(told) = self.helm.poll_event() {
            self.told.push(told);
        }
    }

    fn was_told(&self, to: &Recipient, body: &Body) -> bool {
        self.told.iter().any(|(who, event)| who == to && event.body == *body)
    }

    fn moves(&mut self) -> bool {
        self.helm.tick(self.now()).throttle().axis() != Axis::ZERO
    }

    fn status(&self) -> Status {
        self.helm.failsafe().status()
    }

    fn stamp(&self, epoch: u32) -> Stamp {
        Stamp { epoch, car_ms_echo: self.now_ms as u32 - 30, hold_ms: 0 }
    }
}

fn refused(reason: Refusal) -> Body {
    Body::Refused { reason, message: reason.to_string() }
}

fn to(peer: &str) -> Recipient {
    Recipient::Peer(peer.into())
}

#[test]
fn a_newcomer_is_told_what_the_robot_is() {
    let mut rig = Rig::driven_by_ann();
    let camera = Camera { index: 0, name: "front".into(), width: 1280, height: 720, fps: 60 };
    rig.helm.set_cameras(vec![camera.clone()], Some(0));
    let Body::Welcome(welcome) = rig.hello("new", Role::Viewer, None) else { panic!("no welcome") };
    assert_eq!((welcome.you.as_str(), welcome.boot, welcome.holder.as_deref()), ("new", 40, Some("ann")));
    assert_eq!((welcome.status, welcome.cameras, welcome.camera), (Status::Armed, vec![camera], Some(0)));
    assert_eq!(welcome.limits, LimitsEntry { forward: 0.4, reverse: 0.3, boost: 0.6 });
    assert!(rig.told.iter().any(|(who, event)| {
        *who == Recipient::All && matches!(&event.body, Body::Peers { peers } if peers.len() == 5)
    }));
}

#[test]
fn a_second_client_does_not_drive() {
    let mut rig = Rig::driven_by_ann();
    assert_eq!(rig.ask("bob", Body::LeaseRequest), Body::LeaseDenied { holder: "ann".into() });
    assert!(rig.was_told(&to("ann"), &Body::LeaseAsked { by: "bob".into() }));
    // Not even with Ann's own epoch, which is no secret.
    rig.sequence += 1;
    rig.controls.throttle = Axis::MIN;
    let datagram = rig.command(41);
    assert_eq!(rig.helm.handle_control("bob", &datagram, rig.now()), Err(ControlError::NotDriver));
    rig.wait(250);
    assert!(!rig.moves(), "nor is it a sign of life");
}

#[test]
fn pings_and_events_are_no_sign_of_life() {
    let mut rig = Rig::driven_by_ann();
    for step in 0..30 {
        rig.now_ms += 10;
        let ping = crate::control::probe::Ping { sent_us: step }.encode();
        assert!(rig.helm.handle_control("ann", &ping, rig.now()).is_err());
        rig.say("ann", &Event::notice(Body::Chat { from: String::new(), text: "here".into() }));
        let stamp = rig.stamp(41);
        rig.say("ann", &Event::request(step as u32, Body::Arm(stamp)));
        rig.helm.handle_picture(CarTime(rig.now_ms * 1000));
        rig.helm.telemetry(None, rig.now());
        assert!(rig.moves() == ((step + 1) * 10 < 250), "after {} ms", (step + 1) * 10);
    }
    assert_eq!(rig.status(), Status::LinkLoss);
}

#[test]
fn a_closed_connection_stops_the_car_at_once() {
    let mut rig = Rig::driven_by_ann();
    rig.helm.handle_peer_gone("ann", rig.now());
    assert!(!rig.moves());
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::DriverGone));
    assert_eq!(rig.helm.driver(), None);
    rig.collect();
    assert!(rig.was_told(&Recipient::All, &Body::LeaseChanged { holder: None }));
    assert!(matches!(rig.ask("bob", Body::LeaseRequest), Body::LeaseGranted { epoch: 42, .. }));
}

#[test]
fn a_viewer_that_goes_changes_nothing_for_the_driver() {
    let mut rig = Rig::driven_by_ann();
    rig.helm.handle_peer_gone("vic", rig.now());
    rig.helm.handle_peer_gone("nobody", rig.now());
    assert!(rig.moves());
}

#[test]
fn a_late_packet_of_the_driver_before_is_inert() {
    let mut rig = Rig::driven_by_ann();
    rig.sequence += 1;
    let late = rig.command(41);
    assert_eq!(rig.ask("ann", Body::LeaseHandOver { to: "bob".into() }), Body::Done);
    assert!(rig.was_told(&to("bob"), &Body::LeaseGranted { epoch: 42, lasts_ms: 10_000 }));
    assert!(rig.was_told(&to("ann"), &Body::LeaseRevoked { why: Revocation::HandedOver }));
    assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Lease));
    assert_eq!(rig.helm.handle_control("ann", &late, rig.now()), Err(ControlError::NotDriver));
    // Even if it came as Bob's.
    let result = rig.helm.handle_control("bob", &late, rig.now());
    assert_eq!(result, Err(ControlError::Rejected(Reject::Lease)));
    assert!(!rig.moves());
}

#[test]
fn a_hand_over_needs_a_driver_to_hand_to() {
    let mut rig = Rig::driven_by_ann();
    for to in ["vic", "nobody"] {
        assert_eq!(rig.ask("ann", Body::LeaseHandOver { to: to.into() }), refused(Refusal::NotHere));
    }
    assert_eq!(rig.ask("bob", Body::LeaseHandOver { to: "bob".into() }), refused(Refusal::NoLease));
    assert!(rig.moves());
}

#[test]
fn the_owner_takes_the_lease_and_no_one_else_does() {
    let mut rig = Rig::driven_by_ann();
    assert_eq!(rig.ask("bob", Body::LeaseTake), refused(Refusal::Role));
    assert_eq!(rig.ask("eve", Body::LeaseTake), Body::LeaseGranted { epoch: 42, lasts_ms: 10_000 });
    assert!(rig.was_told(&to("ann"), &Body::LeaseRevoked { why: Revocation::Owner }));
    assert!(rig.was_told(&Recipient::All, &Body::LeaseChanged { holder: Some("eve".into()) }));
    assert!(!rig.moves());
}

#[test]
fn a_wrong_owner_code_is_refused() {
    let mut rig = Rig::new();
    for code in ["", "4712", "47110", "471"] {
        assert_eq!(rig.hello("eve", Role::Driver, Some(code)), refused(Refusal::Role));
    }
    assert!(rig.helm.peers().next().is_none());
}

#[test]
fn a_viewer_neither_drives_nor_stops() {
    let mut rig = Rig::driven_by_ann();
    assert_eq!(rig.ask("vic", Body::LeaseRequest), refused(Refusal::Role));
    let stamp = rig.stamp(41);
    for body in
        [Body::EmergencyStop, Body::Disarm, Body::Arm(stamp), Body::ResetStop(stamp), Body::LeaseRelease]
    {
        assert_eq!(rig.ask("vic", body), refused(Refusal::NoLease));
    }
    assert!(rig.moves());
}

#[test]
fn a_stranger_is_not_heard() {
    let mut rig = Rig::driven_by_ann();
    rig.say("mallory", &Event::request(1, Body::Chat { from: String::new(), text: "hi".into() }));
    rig.say("mallory", &Event::request(1, Body::LeaseRequest));
    assert!(rig.told.is_empty(), "{:?}", rig.told);
}

#[test]
fn the_lease_runs_out_after_its_time_without_a_command() {
    let mut rig = Rig::driven_by_ann();
    rig.wait(9_999);
    assert_eq!(rig.helm.driver(), Some("ann"));
    rig.wait(1);
    assert_eq!(rig.helm.driver(), None);
    assert!(rig.was_told(&to("ann"), &Body::LeaseRevoked { why: Revocation::Expired }));
}

#[test]
fn a_command_that_does_not_count_does_not_keep_the_lease() {
    let mut rig = Rig::driven_by_ann();
    rig.wait(5_000);
    let stale = rig.command(41);
    rig.wait(4_900);
    rig.sequence += 1;
    assert!(rig.helm.handle_control("ann", &stale, rig.now()).is_err());
    let other = rig.command(40);
    assert!(rig.helm.handle_control("ann", &other, rig.now()).is_err());
    rig.wait(100);
    assert_eq!(rig.helm.driver(), None, "10 s after the last one that counted");
}

#[test]
fn an_emergency_stop_is_acknowledged_and_told_to_all() {
    for peer in ["ann", "eve"] {
        let mut rig = Rig::driven_by_ann();
        assert_eq!(rig.ask(peer, Body::EmergencyStop), Body::Done);
        assert!(!rig.moves());
        assert!(rig.was_told(&Recipient::All, &Body::StatusChanged { status: Status::Stopped }));
        let stamp = rig.stamp(41);
        assert_eq!(rig.ask("ann", Body::ResetStop(stamp)), refused(Refusal::NotNeutral));
        rig.controls.throttle = Axis::ZERO;
        rig.drive("ann", 41, 20);
        let stamp = rig.stamp(41);
        assert_eq!(rig.ask("ann", Body::ResetStop(stamp)), Body::Done);
        assert_eq!(rig.status(), Status::Disarmed(DisarmReason::StopReset));
    }
}

#[test]
fn requests_that_a_stalled_channel_delivers_late_do_nothing() {
    let mut rig = Rig::driven_by_ann();
    rig.controls.throttle = Axis::ZERO;
    let burst = [Body::Arm(rig.stamp(41)), Body::ResetStop(rig.stamp(41)), Body::Arm(rig.stamp(41))];
    assert_eq!(rig.ask("ann", Body::EmergencyStop), Body::Done);
    rig.controls.flags = Flags::DEADMAN;
    rig.drive("ann", 41, 600);
    for body in burst {
        assert_eq!(rig.ask("ann", body), refused(Refusal::Stale));
    }
    assert_eq!(rig.status(), Status::Stopped);
}

#[test]
fn a_malformed_message_is_answered_and_changes_nothing() {
    let mut rig = Rig::driven_by_ann();
    for message in [b"".as_slice(), b"{", b"\xff\xfe", br#"{"type":"fly"}"#, &[b' '; 20_000]] {
        rig.helm.handle_event("ann", message, rig.now());
        rig.collect();
        let (who, event) = rig.told.pop().expect("an answer");
        assert_eq!(who, to("ann"));
        assert!(matches!(event.body, Body::Refused { reason: Refusal::Malformed, .. }));
    }
    let error = rig.helm.handle_control("ann", &[0; 7], rig.now()).unwrap_err();
    assert_eq!(error.to_string(), "control datagram has version 0, want 1");
    assert!(rig.moves());
}

#[test]
fn a_flood_of_events_is_cut_off_and_stopping_still_works() {
    let mut rig = Rig::driven_by_ann();
    for _ in 0..1_000 {
        rig.say("ann", &Event::notice(Body::Chat { from: String::new(), text: "x".into() }));
    }
    let chats = rig.told.iter().filter(|(_, event)| matches!(event.body, Body::Chat { .. })).count();
    assert!((45..=55).contains(&chats), "{chats}");
    assert_eq!(rig.ask("ann", Body::EmergencyStop), Body::Done);
}

#[test]
fn a_flood_of_stops_by_those_who_may_not_stop_is_cut_off() {
    let mut rig = Rig::driven_by_ann();
    for peer in ["bob", "a stranger"] {
        rig.told.clear();
        for _ in 0..1_000 {
            rig.say(peer, &Event::notice(Body::Disarm));
        }
        assert!(rig.told.len() <= 55, "{peer} was answered {} times", rig.told.len());
    }
    assert_eq!(rig.ask("ann", Body::EmergencyStop), Body::Done);
}

#[test]
fn a_flood_of_hellos_is_cut_off() {
    for (peer, owner_code) in [("vic", None), ("vic", Some("0815")), ("mallory", Some("0815"))] {
        let mut rig = Rig::driven_by_ann();
        let hello = Body::Hello {
            name: "M".into(),
            version: "1".into(),
            role: Role::Viewer,
            owner_code: owner_code.map(str::to_owned),
        };
        for _ in 0..1_000 {
            rig.say(peer, &Event::request(99, hello.clone()));
        }
        let answers = rig.told.iter().filter(|(_, event)| event.re == Some(99)).count();
        assert!((45..=55).contains(&answers), "{answers} answers to {peer} with {owner_code:?}");
        assert_eq!(rig.helm.events_dropped(), 0);
        assert_eq!(rig.ask("eve", Body::EmergencyStop), Body::Done);
    }
}

#[test]
fn events_that_no_one_reads_do_not_pile_up() {
    let mut rig = Rig::driven_by_ann();
    for _ in 0..1_000 {
        rig.helm.handle_actuator(Health::Starting, rig.now());
        rig.helm.handle_actuator(Health::Answering, rig.now());
    }
    assert!(rig.helm.events_dropped() > 1_500);
    rig.collect();
    assert_eq!(rig.told.len(), 256);
}

#[test]
fn more_peers_than_allowed_are_refused() {
    let mut rig = Rig::new();
    for index in 0..PEERS_MAX {
        assert!(matches!(rig.hello(&format!("p{index}"), Role::Viewer, None), Body::Welcome(_)));
    }
    assert_eq!(rig.hello("late", Role::Viewer, None), refused(Refusal::Limit));
    assert!(
        matches!(rig.hello("p0", Role::Driver, None), Body::Welcome(_)),
        "one that is here may say it again"
    );
}

#[test]
fn chat_goes_to_all_under_the_name_of_its_sender() {
    let mut rig = Rig::driven_by_ann();
    rig.ask("vic", Body::Chat { from: "ANN".into(), text: "nice".into() });
    assert!(rig.was_told(&Recipient::All, &Body::Chat { from: "VIC".into(), text: "nice".into() }));
}

#[test]
fn the_driver_selects_a_camera_that_exists() {
    let mut rig = Rig::driven_by_ann();
    let camera = |index| Camera { index, name: "c".into(), width: 2, height: 2, fps: 1 };
    rig.helm.set_cameras(vec![camera(0), camera(1)], Some(0));
    let select = |camera| Event::request(1, Body::SelectCamera { camera });
    assert_eq!(rig.say("ann", &select(1)), Action::SelectCamera(1));
    assert_eq!(rig.say("ann", &select(2)), Action::None);
    assert_eq!(rig.say("vic", &select(1)), Action::None);
}

#[test]
fn only_the_driver_limits_video_and_only_while_driving() {
    let mut rig = Rig::driven_by_ann();
    let limit = |kbps| Body::LimitVideo { kbps };
    assert!(matches!(rig.ask("vic", limit(Some(600))), Body::Refused { reason: Refusal::NoLease, .. }));
    assert_eq!(rig.helm.video_limit(), None);
    assert_eq!(rig.ask("ann", limit(Some(600))), Body::Done);
    assert_eq!(rig.helm.video_limit(), Some(600));
    assert_eq!(rig.ask("ann", limit(None)), Body::Done);
    assert_eq!(rig.helm.video_limit(), None);
    rig.ask("ann", limit(Some(600)));
    rig.ask("ann", Body::LeaseRelease);
    assert_eq!(rig.helm.video_limit(), None, "nobody drives");
    rig.ask("ann", Body::LeaseRequest);
    assert_eq!(rig.helm.video_limit(), None, "another lease");
}

#[test]
fn a_dead_or_restarted_actuator_disarms_and_its_return_does_not_arm() {
    for (health, fault) in
        [(Health::Silent, Fault::ActuatorSilent), (Health::Starting, Fault::ActuatorStarting)]
    {
        let mut rig = Rig::driven_by_ann();
        rig.helm.handle_actuator(Health::Answering, rig.now());
        assert!(rig.moves());
        rig.helm.handle_actuator(health, rig.now());
        assert!(!rig.moves());
        rig.collect();
        assert!(rig.was_told(&Recipient::All, &Body::Fault { fault, change: FaultChange::Raised }));
        rig.helm.handle_actuator(health, rig.now());
        rig.told.clear();
        rig.collect();
        assert!(rig.told.is_empty(), "told once");
        rig.helm.handle_actuator(Health::Answering, rig.now());
        rig.drive("ann", 41, 1_000);
        assert_eq!(rig.status(), Status::Disarmed(DisarmReason::Fault));
        assert!(rig.helm.failsafe().faults().is_empty());
    }
}

proptest! {
    #[test]
    fn nothing_a_peer_sends_panics(messages in proptest::collection::vec((0usize..4, proptest::collection::vec(any::<u8>(), 0..80)), 0..50)) {
        let mut rig = Rig::driven_by_ann();
        for (peer, bytes) in messages {
            let peer = ["ann", "bob", "vic", "mallory"][peer];
            rig.helm.handle_control(peer, &bytes, rig.now()).ok();
            rig.helm.handle_event(peer, &bytes, rig.now());
        }
    }
}
