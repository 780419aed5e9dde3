//! Whatever dies or stops at full throttle, the motor stands in time.

use std::process::Stdio;
use std::time::Duration;

use farwheel_proto::control::{DisarmReason, Fault, Status};
use rustix::process::Signal;

use crate::driver::Driver;
use crate::harness::{
    FULL_US, NEUTRAL, NEUTRAL_WITHIN, Process, Robot, Server, THROTTLE, at_once, check_neutral, own_process,
    send_signal, wait_for,
};

/// The last command may have left at the very moment of death, and counts for 250 ms from its arrival; 10 ms are for
/// its way and for the scheduler.
const NEUTRAL_AFTER_DRIVER: Duration = Duration::from_millis(250 + 10);

/// A server, a robot, and a driver at full throttle.
fn at_full_throttle(dir: &std::path::Path) -> (Server, Robot, Driver) {
    let server = Server::start(dir);
    let robot = Robot::start(dir, &server.url, &[]);
    let driver = Driver::start(&server.url, "driver");
    driver.take_the_wheel();
    driver.stick(1.0, 0.0);
    robot.wait_full();
    (server, robot, driver)
}

#[test]
fn killed_or_stopped_robot_leaves_the_motor_at_neutral() {
    let dir = tempfile::tempdir().unwrap();
    let (server, robot, driver) = at_full_throttle(dir.path());

    let at = at_once(|| robot.process.signal(Signal::STOP));
    let (writer, took) = robot.wait_neutral_since(at);
    check_neutral("robot stopped", took, NEUTRAL_WITHIN);
    assert_eq!(writer, "actuator");
    robot.process.signal(Signal::CONT);
    // The stick is at full throttle all the time: only commands that are known to be fresh move the car again.
    let before = driver.view().fast.unwrap().car_time;
    driver.stick(0.0, 0.0);
    let view = driver.wait("control to return", |view| {
        view.fast.is_some_and(|fast| fast.car_time > before && fast.status != Status::LinkLoss)
    });
    if view.fast.unwrap().status != Status::Armed {
        driver.arm();
    }
    driver.stick(1.0, 0.0);
    robot.wait_full();

    let at = at_once(|| robot.process.signal(Signal::KILL));
    let (writer, took) = robot.wait_neutral_since(at);
    check_neutral("robot killed", took, NEUTRAL_WITHIN);
    assert_eq!(writer, "actuator");
    drop(server);
}

#[test]
fn killed_or_stopped_actuator_is_replaced_and_the_car_disarmed() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, robot, driver) = at_full_throttle(dir.path());

    for (what, signal) in [("actuator killed", Signal::KILL), ("actuator stopped", Signal::STOP)] {
        let victim = robot.actuator();
        let at = at_once(|| send_signal(victim, signal));
        let (writer, took) = robot.wait_neutral_since(at);
        check_neutral(what, took, NEUTRAL_WITHIN);
        assert_eq!(writer, "run", "{what}");
        driver.wait_status("disarmed by a fault", |status| status == Status::Disarmed(DisarmReason::Fault));
        driver.stick(0.0, 0.0);
        wait_for("a new actuator", || {
            (robot.widths() == NEUTRAL && robot_is_served(&robot, victim)).then_some(())
        });
        driver.wait("the faults to clear", |view| {
            view.fast.is_some_and(|fast| !fast.faults.contains(Fault::ActuatorSilent))
        });
        // A stick at full throttle does not move a car that nobody has armed again.
        driver.stick(1.0, 0.0);
        driver.wait("commands to arrive", |view| {
            view.fast.is_some_and(|fast| fast.silence_ms.is_some_and(|ms| ms < 50))
        });
        assert_eq!(robot.widths()[THROTTLE], NEUTRAL[THROTTLE], "{what}");
        driver.arm();
        driver.stick(1.0, 0.0);
        robot.wait_full();
    }
}

/// Whether another actuator than `old` writes.
fn robot_is_served(robot: &Robot, old: u32) -> bool {
    let lines = robot.pulse_lines();
    let writer = robot.writer();
    !lines.is_empty() && writer != old && writer != robot.process.pid()
}

#[test]
fn killed_or_stopped_driver_stops_the_car() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let robot = Robot::start(dir.path(), &server.url, &[]);
    for (what, signal) in [("driver stopped", Signal::STOP), ("driver killed", Signal::KILL)] {
        let mut command = own_process("faults::process_of_a_driver");
        command.env(DRIVER_URL, &server.url).stdout(Stdio::null());
        let driver = Process::start(command, dir.path().join("driver.log"));
        robot.wait_full();
        let at = at_once(|| driver.signal(signal));
        let (writer, took) = robot.wait_neutral_since(at);
        check_neutral(what, took, NEUTRAL_AFTER_DRIVER);
        assert_eq!(writer, "actuator", "{what}");
    }
}

/// Not a test by itself: the body of the process that the test above starts from this same program and kills.
#[test]
fn process_of_a_driver() {
    let Ok(url) = std::env::var(DRIVER_URL) else { return };
    let driver = Driver::start(&url, "driver");
    driver.take_the_wheel();
    driver.stick(1.0, 0.0);
    loop {
        std::thread::park();
    }
}

const DRIVER_URL: &str = "FARWHEEL_TEST_DRIVER_URL";

#[test]
fn stopped_and_killed_signalling_server_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (server, robot, driver) = at_full_throttle(dir.path());
    let address = server.address().to_owned();
    let disturbed =
        || robot.pulse_lines().iter().skip_while(|line| line.widths[THROTTLE] != FULL_US).count() > 1;
    let goes_on = |what: &str| {
        let before = driver.view();
        driver.wait(what, |view| {
            let time = |view: &crate::driver::View| view.fast.unwrap().car_time.0;
            view.frames >= before.frames + 30 && time(view) > time(&before) + 1_000_000
        });
        assert_eq!(driver.view().fast.unwrap().status, Status::Armed, "{what}");
        assert!(!disturbed(), "{what}: the motor did not run evenly: {:?}", robot.pulse_lines());
    };
    server.process.signal(Signal::STOP);
    goes_on("pictures and control beside a stopped server");
    drop(server);
    goes_on("pictures and control without a server");

    let server = Server::listen(dir.path(), &address, None);
    goes_on("pictures and control after the server is back");
    // The robot is in its room again: somebody new finds it, watches, and the driver is not disturbed.
    let viewer = Driver::start(&server.url, "viewer");
    viewer.wait("connection of a newcomer", |view| view.connected && view.frames > 5);
    assert_eq!(driver.view().links, 1, "the driver's connection was made again");
    goes_on("pictures and control beside a newcomer");
}

#[test]
fn sigterm_stops_the_car_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut robot, _driver) = at_full_throttle(dir.path());
    let at = at_once(|| robot.process.signal(Signal::TERM));
    let (_, took) = robot.wait_neutral_since(at);
    check_neutral("SIGTERM", took, Duration::from_millis(100));
    assert!(robot.process.wait().success());
    assert_eq!(robot.widths(), NEUTRAL);
    let log = robot.process.log_text();
    let [stopped, ended] = ["the actuator confirms neutral", "told to stop"].map(|text| log.find(text));
    assert!(stopped.is_some() && stopped < ended, "{log}");
}

#[test]
fn robot_that_starts_again_is_driven_again_within_three_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let (server, robot, driver) = at_full_throttle(dir.path());
    let boot = driver.view().fast.unwrap().boot;
    robot.process.signal(Signal::KILL);
    drop(robot);
    let start = std::time::Instant::now();
    let robot = Robot::start(dir.path(), &server.url, &[]);
    driver.stick(0.0, 0.0);
    let view = driver
        .wait("the new robot", |view| view.connected && view.fast.is_some_and(|fast| fast.boot != boot));
    println!("robot started again: connected after {:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
    assert!(matches!(view.fast.unwrap().status, Status::Disarmed(_)), "{:?}", view.fast);
    driver.take_the_wheel();
    driver.stick(1.0, 0.0);
    robot.wait_full();
    println!("robot started again: at full throttle after {:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
    assert!(start.elapsed() < Duration::from_secs(3), "driven again after {:?}", start.elapsed());
}
