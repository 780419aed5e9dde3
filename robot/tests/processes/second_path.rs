//! Commands by two connections of one driver.

use std::path::Path;

use farwheel_peer::ConnId;
use farwheel_proto::control::Status;
use farwheel_proto::control::event::Body;
use farwheel_robot::drive::pulse_log::Line;

use crate::driver::{Driver, Order, View};
use crate::harness::{FULL_US, NEUTRAL, NEUTRAL_WITHIN, Robot, Server, THROTTLE, at_once, check_neutral};

#[test]
fn commands_by_two_connections_count_once_and_either_of_them_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, robot, driver) = at_full_throttle(dir.path());

    // By both, by the second alone, by the first alone, by both again.
    for (main, beside) in [(true, true), (false, true), (true, false), (true, true)] {
        driver.order(Order::Send { main, beside });
        let before = driver.view();
        let (sequence, counts) = (sequence(&before), before.beside.counts.unwrap_or_default());
        let after = driver.wait("a second of commands", |view| {
            let moved = view.beside.counts.unwrap_or_default();
            let is_new = (main && moved.main > counts.main) || (beside && moved.beside > counts.beside);
            self::sequence(view) > sequence + 60 && is_new
        });
        let (fast, counts) = (after.fast.unwrap(), after.beside.counts.unwrap());
        assert!(counts.main + counts.beside <= fast.sequence, "{counts:?} of {}", fast.sequence);
        assert_eq!(fast.status, Status::Armed, "by {main} {beside}");
        assert_eq!(fast.loss_permille, 0, "copies are no losses: {fast:?}");
    }
    assert!(driver.view().beside.heard > 0, "telemetry comes by both");

    // The second one ends, another comes, a third takes its place: the driver notices nothing.
    driver.order(Order::CloseBeside);
    driver.wait("the second connection to end", |view| view.beside.ended == 1);
    connect_beside(&driver);
    connect_beside(&driver);
    let view = driver.view();
    assert_eq!((view.links, view.fast.unwrap().status), (1, Status::Armed));
    let lines = robot.pulse_lines();
    let full = lines.iter().position(|line| line.widths[THROTTLE] == FULL_US).unwrap();
    let slower = |line: &&Line| line.widths[THROTTLE] != FULL_US;
    assert_eq!(lines[full..].iter().find(slower), None, "the car was not driven evenly");
}

#[test]
fn the_end_of_the_first_connection_stops_the_car_whatever_the_second_brings() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, robot, driver) = at_full_throttle(dir.path());
    let epoch = driver.view().lease;
    // What it says by the second one from here on is under the lease that it had.
    driver.order(Order::Pretend(epoch));
    let closed = at_once(|| driver.order(Order::Close));
    let (_, took) = robot.wait_neutral_since(closed);
    check_neutral("first connection closed, second one standing", took, NEUTRAL_WITHIN);
    driver.wait("the second connection to end too", |view| view.beside.ended == 1);
    assert_eq!(robot.widths()[THROTTLE], NEUTRAL[THROTTLE]);
}

#[test]
fn a_second_connection_beside_none_of_its_own_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let robot = Robot::start(dir.path(), &server.url, &[]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    let other = Driver::start(&server.url, "other");
    other.wait("connection", |view| view.connected && view.fast.is_some());
    driver.stick(1.0, 0.0);
    robot.wait_full();
    let of_the_driver = driver.view().conn;
    for (ended, beside) in [(1, Some(ConnId::new(7))), (2, of_the_driver)] {
        other.order(Order::ConnectBeside(beside));
        other.wait("a goodbye", |view| view.beside.ended == ended);
    }
    assert_eq!(other.view().links, 1, "it was not taken for a fresh start");
    assert!(other.view().connected);
    let view = driver.view();
    assert_eq!((view.links, view.connected, view.fast.unwrap().status), (1, true, Status::Armed));
    assert_eq!(robot.widths()[THROTTLE], FULL_US);
}

#[test]
fn a_second_connection_is_not_taken_on_the_servers_word_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, robot, driver) = at_full_throttle(dir.path());
    let first = driver.view();

    // As one that the server has made up looks: the driver says nothing of it on its own connection.
    driver.order(Order::Announce(false));
    driver.order(Order::ConnectBeside(None));
    let offered = driver.wait("another offer", |view| view.beside.conn != first.beside.conn);
    let unheard = driver.wait("two seconds of commands", |view| sequence(view) > sequence(&offered) + 100);
    assert!(!unheard.beside.connected, "{:?}", unheard.beside);
    assert_eq!(unheard.beside.heard, offered.beside.heard, "nor is it told anything");

    // The same one, once the driver has said so.
    driver.order(Order::Announce(true));
    let view = driver.wait("a second connection", |view| {
        view.beside.connected && view.beside.heard > unheard.beside.heard + 5
    });
    assert_eq!((view.links, view.beside.conn), (1, offered.beside.conn));
    // And the robot says of each what its own is.
    let announced = view.events.iter().filter(|body| matches!(body, Body::SecondPath { .. }));
    assert_eq!(announced.count(), 2, "{:?}", view.events);
    assert_eq!(view.fast.unwrap().status, Status::Armed);
    assert_eq!(robot.widths()[THROTTLE], FULL_US);
}

/// A car driven at full throttle by both paths.
fn at_full_throttle(dir: &Path) -> (Server, Robot, Driver) {
    let server = Server::start(dir);
    let robot = Robot::start(dir, &server.url, &[]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    connect_beside(&driver);
    driver.stick(1.0, 0.0);
    robot.wait_full();
    (server, robot, driver)
}

/// Has the driver connect beside its connection; the robot takes commands by it then.
fn connect_beside(driver: &Driver) {
    let before = driver.view().beside;
    driver.order(Order::ConnectBeside(None));
    driver.wait("a second connection", |view| {
        view.beside.conn != before.conn && view.beside.connected && view.beside.heard > before.heard + 5
    });
}

fn sequence(view: &View) -> u32 {
    view.fast.map_or(0, |fast| fast.sequence)
}
