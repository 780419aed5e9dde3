//! One driver, whoever else sends commands.

use farwheel_proto::control::event::Body;
use farwheel_proto::control::{Refusal, Status};
use farwheel_robot::drive::pulse_log::Line;

use crate::driver::{Driver, Order};
use crate::harness::{FULL_US, NEUTRAL, Robot, STEER, Server, THROTTLE};

#[test]
fn second_driver_is_refused_and_old_epochs_are_inert() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let robot = Robot::start(dir.path(), &server.url, &[]);
    let first = Driver::start(&server.url, "first");
    first.take_the_wheel();
    let second = Driver::start(&server.url, "second");
    second.wait("connection", |view| view.connected && view.fast.is_some());
    second.order(Order::Ask(Body::LeaseRequest));
    second.wait("a refusal", |view| view.denied.is_some());

    // The epoch is no secret: telemetry says it. It moves nothing in the wrong hands.
    let epoch = first.view().lease;
    second.order(Order::Pretend(epoch));
    second.stick(1.0, 0.0);
    let before = first.view().fast.unwrap().sequence;
    first.wait("a second of commands", |view| view.fast.is_some_and(|fast| fast.sequence > before + 50));
    assert!(
        robot.pulse_lines().iter().all(|line| line.widths[THROTTLE] == NEUTRAL[THROTTLE]),
        "the car moved"
    );

    // Handed back, the lease goes to the second; what the first still sends under the old epoch is inert.
    first.order(Order::Ask(Body::LeaseRelease));
    first.wait("the lease to be free", |view| view.fast.is_some_and(|fast| fast.lease == 0));
    second.stick(0.0, 0.0);
    second.order(Order::Ask(Body::LeaseRequest));
    let granted = second.wait("the lease", |view| view.lease != 0).lease;
    assert_ne!(granted, epoch);
    second.order(Order::Pretend(granted));
    second.arm();
    first.order(Order::Pretend(epoch));
    first.stick(-1.0, 1.0);
    second.stick(1.0, 0.0);
    robot.wait_full();
    let sequence = second.view().fast.unwrap().sequence;
    second.wait("a second of commands", |view| view.fast.is_some_and(|fast| fast.sequence > sequence + 50));
    let lines = robot.pulse_lines();
    let full = lines.iter().position(|line| line.widths[THROTTLE] == FULL_US).unwrap();
    let reversed =
        |line: &&Line| line.widths[THROTTLE] < NEUTRAL[THROTTLE] || line.widths[STEER] != NEUTRAL[STEER];
    assert_eq!(lines[full..].iter().find(reversed), None, "the old driver moved the car");
    assert_eq!(second.view().fast.unwrap().status, Status::Armed);
}

#[test]
fn malformed_events_are_answered_and_disturb_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let robot = Robot::start(dir.path(), &server.url, &[]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    driver.stick(1.0, 0.0);
    robot.wait_full();
    driver.order(Order::Raw(b"{\"type\":\"fly\"}"));
    driver.wait("an answer", |view| {
        let malformed =
            |body: &Body| matches!(body, Body::Refused { reason: Refusal::Malformed, message } if message.contains("fly"));
        view.events.iter().any(malformed)
    });
    assert_eq!(robot.widths()[THROTTLE], FULL_US);
    // Chat goes to all, with the name that its sender gave.
    driver.order(Order::Ask(Body::Chat { from: "someone else".into(), text: "hello".into() }));
    driver.wait("the chat", |view| {
        view.events
            .iter()
            .any(|body| matches!(body, Body::Chat { from, text } if from == "driver" && text == "hello"))
    });
}
