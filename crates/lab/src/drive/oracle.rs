//! Watches the pulses and knows the truth: what was sent when, by whom, and under which lease. It uses nothing that
//! the failsafe believes.

use std::collections::BTreeMap;
use std::time::Duration;

use farwheel_proto::control::command::Flags;
use farwheel_proto::control::{DriveCommand, Status};

use super::fault::Process;
use super::robot::{Registers, WRITE_GAP_MAX};
use crate::clock::VirtualTime;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was seen.
    pub at: VirtualTime,
    /// What was seen.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}: {}", self.at, self.what)
    }
}

/// A command as it truly was.
#[derive(Clone, Copy, Debug)]
struct Truth {
    sent: VirtualTime,
    /// When the picture on the driver's screen was captured.
    captured: Option<VirtualTime>,
    deadman: bool,
    throttle: f32,
}

/// A command that the robot followed.
#[derive(Clone, Copy, Debug)]
struct Followed {
    at: VirtualTime,
    lease: u32,
    picture_age: Option<Duration>,
    truth: Truth,
}

/// When a process was last not running.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    /// It is down since then.
    down: Option<VirtualTime>,
    /// It was down until then.
    up: Option<VirtualTime>,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// By driver, lease and sequence.
    sent: BTreeMap<(usize, u32, u32), Truth>,
    holders: BTreeMap<u32, usize>,
    lease: u32,
    lease_changed: VirtualTime,
    newest: Option<(u32, u32)>,
    followed: Vec<Followed>,
    run: Health,
    actuator: Health,
    written: VirtualTime,
    status: Option<(Status, VirtualTime)>,
    violation: Option<Violation>,
    /// Longest silence under which throttle was on the pulses, with all processes healthy.
    pub(super) silence_max: Duration,
    /// Oldest command that was followed.
    pub(super) age_max: Duration,
    /// Commands followed.
    pub(super) count: u64,
    /// When throttle was last on the pulses.
    pub(super) moved: Option<VirtualTime>,
    /// When throttle was first on the pulses after the calm began.
    pub(super) returned: Option<VirtualTime>,
    calm: VirtualTime,
}

impl Oracle {
    pub(super) fn new(calm: VirtualTime) -> Self {
        Self { calm, ..Self::default() }
    }

    pub(super) fn violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    fn fail(&mut self, at: VirtualTime, what: String) {
        self.violation.get_or_insert(Violation { at, what });
    }

    /// A driver sends `command` while its screen shows a picture captured at `captured`.
    pub(super) fn sent(
        &mut self,
        driver: usize,
        command: &DriveCommand,
        captured: Option<VirtualTime>,
        now: VirtualTime,
    ) {
        let truth = Truth {
            sent: now,
            captured,
            deadman: command.controls.flags.contains(Flags::DEADMAN),
            throttle: command.controls.throttle.get(),
        };
        self.sent.insert((driver, command.lease, command.sequence), truth);
    }

    /// The robot grants a lease.
    pub(super) fn granted(&mut self, driver: usize, epoch: u32, now: VirtualTime) {
        let before = self.holders.insert(epoch, driver);
        if before.is_some_and(|before| before != driver || epoch != self.lease) {
            self.fail(now, format!("epoch {epoch} of driver {before:?} was granted again"));
        }
        if before.is_none() {
            self.changed(epoch, now);
        }
    }

    /// Nobody has the lease.
    pub(super) fn freed(&mut self, now: VirtualTime) {
        if self.lease != 0 {
            self.changed(0, now);
        }
    }

    fn changed(&mut self, epoch: u32, now: VirtualTime) {
        (self.lease, self.lease_changed, self.newest) = (epoch, now, None);
    }

    /// The robot follows `command`, which came from `driver`.
    pub(super) fn followed(&mut self, driver: usize, command: &DriveCommand, now: VirtualTime) {
        let DriveCommand { lease, sequence, .. } = *command;
        self.count += 1;
        if lease != self.lease || self.holders.get(&lease) != Some(&driver) {
            self.fail(
                now,
                format!("driver {driver} was followed under lease {lease}, in force is {}", self.lease),
            );
        }
        if self.newest.is_some_and(|(_, newest)| sequence.wrapping_sub(newest) as i32 <= 0) {
            self.fail(now, format!("sequence {sequence} was followed after {:?}", self.newest));
        }
        self.newest = Some((lease, sequence));
        let Some(truth) = self.sent.get(&(driver, lease, sequence)).copied() else {
            self.fail(now, format!("command {sequence} was followed and never sent"));
            return;
        };
        let age = now.since(truth.sent);
        self.age_max = self.age_max.max(age);
        if age > AGE_MAX {
            self.fail(now, format!("a command was followed {} ms after it was sent", age.as_millis()));
        }
        let picture_age = truth.captured.map(|captured| now.since(captured));
        self.followed.push(Followed { at: now, lease, picture_age, truth });
    }

    pub(super) fn life(&mut self, process: Process, running: bool, now: VirtualTime) {
        let health = match process {
            Process::Driver => return,
            Process::Run => &mut self.run,
            Process::Actuator => &mut self.actuator,
        };
        if running {
            (health.down, health.up) = (None, Some(now));
        } else {
            health.down = Some(now);
        }
    }

    pub(super) fn status(&mut self, status: Status, now: VirtualTime) {
        if self.status.is_none_or(|(before, _)| before != status) {
            self.status = Some((status, now));
        }
    }

    pub(super) fn written(&mut self, now: VirtualTime) {
        self.written = now;
    }

    /// Looks at the pulses; to be called after every write and every few milliseconds.
    pub(super) fn look(&mut self, registers: Registers, now: VirtualTime) {
        let run_down = self.run.disturbed(now);
        let actuator_down = self.actuator.disturbed(now);
        if self.actuator.is_steady(now) && now.since(self.written) > WRITE_GAP_MAX + SLACK {
            self.fail(now, format!("nothing was written for {} ms", now.since(self.written).as_millis()));
        }
        let throttle = registers.throttle();
        if throttle == 0.0 {
            return;
        }
        self.moved = Some(now);
        if now >= self.calm {
            self.returned.get_or_insert(now);
        }
        let Some(last) = self.followed.last().copied() else {
            return self.fail(now, format!("throttle {throttle} without any command"));
        };
        // What each process is granted to notice that the other is gone.
        let mut bound = NEUTRAL + SLACK;
        if run_down {
            bound += ACTUATOR_SILENCE;
        }
        if actuator_down {
            bound += REPLY_SILENCE;
        }
        let silence = now.since(last.at);
        if silence > bound {
            self.fail(
                now,
                format!("throttle {throttle} after {} ms of silence, {bound:?} allowed", silence.as_millis()),
            );
        }
        if !run_down && !actuator_down {
            self.silence_max = self.silence_max.max(silence);
        }
        if let Some(down) =
            self.run.down.filter(|down| !actuator_down && now.since(*down) > ACTUATOR_SILENCE + SLACK)
        {
            self.fail(now, format!("throttle {throttle} though run is down since {down}"));
        }
        if let Some(down) =
            self.actuator.down.filter(|down| !run_down && now.since(*down) > REPLY_SILENCE + SLACK)
        {
            self.fail(now, format!("throttle {throttle} though the actuator is down since {down}"));
        }
        let meant =
            self.followed.iter().rev().take_while(|command| now.since(command.at) <= bound).any(|command| {
                let truth = command.truth;
                // With boost, which these drivers do not use, it would be 60 %.
                let most = if throttle > 0.0 { 0.4 } else { 0.3 } * truth.throttle.abs() + 0.005;
                truth.deadman && truth.throttle * throttle > 0.0 && throttle.abs() <= most
            });
        if !meant {
            self.fail(now, format!("throttle {throttle} that no command of the last {bound:?} meant"));
        }
        if run_down || actuator_down {
            return;
        }
        if last.lease != self.lease && now.since(self.lease_changed) > SLACK {
            self.fail(
                now,
                format!("throttle {throttle} of lease {}, in force is {}", last.lease, self.lease),
            );
        }
        if last.picture_age.is_none_or(|age| age > PICTURE_AGE) && now.since(last.at) > SLACK {
            self.fail(now, format!("throttle {throttle} with a picture {:?} old", last.picture_age));
        }
        if let Some((status, since)) = self.status
            && status != Status::Armed
            && now.since(since) > SLACK
        {
            self.fail(now, format!("throttle {throttle} while {status:?} since {since}"));
        }
    }
}

impl Health {
    /// Whether it is down or was a short while ago.
    fn disturbed(self, now: VirtualTime) -> bool {
        self.down.is_some() || self.up.is_some_and(|up| now.since(up) < DISTURBED)
    }

    fn is_steady(self, now: VirtualTime) -> bool {
        self.down.is_none() && self.up.is_none_or(|up| now.since(up) > SLACK)
    }
}

/// A tick of `run` (10 ms), a message, an output, and two looks of the oracle.
const SLACK: Duration = Duration::from_millis(25);
/// docs/SAFETY.md: neutral by 250 ms of silence.
const NEUTRAL: Duration = Duration::from_millis(250);
/// docs/SAFETY.md: 600 ms, and three of rounding.
const AGE_MAX: Duration = Duration::from_millis(603);
/// docs/SAFETY.md: 800 ms, and the millisecond to which capture times are cut.
const PICTURE_AGE: Duration = Duration::from_millis(802);
/// docs/SAFETY.md: the actuator's own timeout.
const ACTUATOR_SILENCE: Duration = Duration::from_millis(150);
/// docs/SAFETY.md: `run` misses the actuator's answers.
const REPLY_SILENCE: Duration = Duration::from_millis(200);
/// A process that was down counts as disturbed for this long after.
const DISTURBED: Duration = Duration::from_millis(450);
