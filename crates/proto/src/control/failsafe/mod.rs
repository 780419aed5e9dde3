//! The failsafe: what the car may do, given what has been heard from its driver.

mod battery;
mod governor;
mod limits;
mod link;
#[cfg(test)]
mod tests;
mod throttle;
mod timing;

use std::time::{Duration, Instant};

use super::command::{Controls, DriveCommand, Flags};
use super::event::{FaultChange, Stamp};
use super::setpoint::{Demand, Setpoint, Switches};
use super::status::{DisarmReason, Fault, Faults, Refusal, Status};
use super::telemetry::BatteryLevel;
use super::{Axis, telemetry};
use crate::video::CarTime;
use battery::BatteryGuard;
use governor::Pictures;
use link::{Accepted, Loss};
use throttle::Wanted;
use timing::RESET_PATIENCE;

pub use governor::{AGE_FULL, LOOP_AGE_NONE, PICTURE_AGE_NONE, Sight, loop_share, picture_share};
pub use limits::{Limits, LimitsError};
pub use link::Reject;
pub use timing::{
    BOOT_NEUTRAL, BRAKE_FROM, BRAKE_UNTIL, CENTRE, CLEAN_LONG, CLEAN_SHORT, DISARM, HOLD, LONG_GAP, NEUTRAL,
    NEUTRAL_BAND,
};

/// What a car's owner decides. There is no default: each robot's configuration says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Throttle limits.
    pub limits: Limits,
    /// Whether the driver needs a fresh picture.
    pub sight: Sight,
    /// Strength of the brake pulse after 400 ms of silence, if the car shall have one; in (0, 1].
    pub brake_pulse: Option<Axis>,
    /// Cells in series, if the battery is measured.
    pub cells: Option<u8>,
}

/// Decides what the car may do. Ticked at 100 Hz; the only maker of [`Setpoint`]s.
///
/// A command counts only under the lease's epoch, with a newer sequence, a plausible echo and a loop age of at most
/// 600 ms. Nothing else is a sign of life. Silence is the time since the last one that counted arrived, on the
/// robot's monotonic clock (docs/SAFETY.md).
///
/// | silence | throttle | steering | state |
/// |---|---|---|---|
/// | <= 100 ms | as commanded | as commanded | armed |
/// | 100-250 ms | ramps to neutral | held | armed |
/// | >= 250 ms | neutral | held | link loss |
/// | >= 400 ms, if configured | brake pulse of 300 ms, then neutral | held | link loss |
/// | >= 500 ms | neutral | centred | link loss |
/// | >= 1500 ms | neutral | centred | disarmed |
///
/// | state | arm | disarm | stop | reset | command counts | silence |
/// |---|---|---|---|---|---|---|
/// | disarmed | armed, if nothing stands against it | - | stopped | - | - | - |
/// | armed | - | disarmed | stopped | - | followed | 250 ms: link loss |
/// | link loss | - | disarmed | stopped | - | armed, once clean | 1500 ms: disarmed |
/// | stopped | refused | - | - | disarmed, once the stick is neutral and no command says stop | - | - |
///
/// Clean: no gap above 100 ms for 200 ms after a gap below 500 ms; for 500 ms, and |throttle| below 5 %, after a
/// longer one. Arming needs 2 s since the start, the lease, a fresh command, |throttle| below 5 %, no fault, a
/// battery that is not empty; it happens on a rising arm flag or a fresh request, never on a level.
#[derive(Debug)]
pub struct Failsafe {
    config: Config,
    /// Zero of the robot's clock.
    epoch: Instant,
    boot_until: Instant,
    state: State,
    lease: u32,
    last: Option<Accepted>,
    /// Way of the last throttle that was not neutral.
    heading: Heading,
    /// Stop flags of this command and earlier ones are settled.
    stops_settled: Option<u32>,
    pictures: Pictures,
    battery: Option<BatteryGuard>,
    faults: Faults,
    loss: Loss,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Disarmed {
        why: DisarmReason,
        flag: ArmFlag,
    },
    Armed,
    LinkLoss(Recovery),
    Stopped {
        /// A reset was asked for and is granted by a clean command until then.
        reset_until: Option<Instant>,
    },
}

/// Whether the arm flag has been seen low since the car was disarmed: only then does a high one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ArmFlag {
    NotLowered,
    Lowered,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Recovery {
    /// No command has counted since the loss.
    Silent,
    /// Commands count again since then.
    Clean { since: Instant, after: Gap },
}

/// Which way the car was last driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heading {
    Unknown,
    Forward,
    Reverse,
}

/// How long the silence was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// Below 500 ms.
    Short,
    /// 500 ms or more.
    Long,
}

impl Failsafe {
    /// A disarmed failsafe of a robot that starts at `now` and whose clock started at `epoch`.
    pub fn new(config: Config, epoch: Instant, now: Instant) -> Self {
        Self {
            config,
            epoch,
            boot_until: now + BOOT_NEUTRAL,
            state: State::Disarmed { why: DisarmReason::Boot, flag: ArmFlag::NotLowered },
            lease: 0,
            last: None,
            heading: Heading::Unknown,
            stops_settled: None,
            pictures: Pictures::default(),
            battery: config.cells.map(BatteryGuard::new),
            faults: Faults::NONE,
            loss: Loss::default(),
        }
    }

    /// Takes a command as it arrives.
    ///
    /// # Errors
    /// When it does not count, with the reason. A stop flag in it is honoured all the same, under the right lease.
    pub fn handle_command(&mut self, command: &DriveCommand, now: Instant) -> Result<(), Reject> {
        self.handle_timeout(now);
        self.honour_stop_flags(command);
        let car_now = CarTime::since(self.epoch, now);
        let last = self.last;
        let loop_age = link::judge(command, self.lease, last.map(|last| last.sequence), car_now)?;

        let since_last = last.map_or(1, |last| command.sequence.wrapping_sub(last.sequence));
        self.loss.record(since_last, now.saturating_duration_since(self.epoch));
        // Edges of the arm flag in commands that were lost count; a level that was lost does not.
        for (back, earlier) in [(2, command.earlier[1]), (1, command.earlier[0])] {
            if let Some(earlier) = earlier
                && (last.is_none() || since_last > back)
            {
                self.lower_arm_flag(earlier.flags);
            }
        }
        self.lower_arm_flag(command.controls.flags);
        self.last = Some(Accepted {
            at: now,
            sequence: command.sequence,
            controls: command.controls,
            loop_age,
            picture_age: self.pictures.age(command.displayed, car_now),
        });
        let gap = last.map_or(Duration::MAX, |last| now.saturating_duration_since(last.at));
        self.state = self.follow(command, gap, now);
        Ok(())
    }

    /// Takes the lease in force; zero is none. Another one disarms, and no command has arrived under it yet.
    pub fn handle_lease(&mut self, lease: u32, now: Instant) {
        self.handle_timeout(now);
        if self.lease == lease {
            return;
        }
        self.lease = lease;
        self.last = None;
        self.stops_settled = None;
        self.disarm(DisarmReason::Lease);
    }

    /// Takes the news that the driver's connection ended.
    pub fn handle_driver_gone(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.disarm(DisarmReason::DriverGone);
    }

    /// Arms on request.
    ///
    /// # Errors
    /// When something stands against it, or the request is of another lease or older than 600 ms.
    pub fn handle_arm(&mut self, stamp: Stamp, now: Instant) -> Result<(), Refusal> {
        self.handle_timeout(now);
        self.check_stamp(stamp, now)?;
        match self.state {
            State::Armed | State::LinkLoss(_) => Ok(()),
            State::Disarmed { .. } | State::Stopped { .. } => match self.arm_block(now) {
                Some(refusal) => Err(refusal),
                None => {
                    self.state = State::Armed;
                    Ok(())
                }
            },
        }
    }

    /// Disarms on the driver's request, however old.
    pub fn handle_disarm(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.disarm(DisarmReason::Driver);
    }

    /// Latches the emergency stop.
    pub fn handle_emergency_stop(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.stop();
    }

    /// Ends the emergency stop: at once if the newest command has a neutral stick and no stop flag, else on the
    /// first such command within a second.
    ///
    /// # Errors
    /// When the throttle is not at neutral, or the request is of another lease or older than 600 ms.
    pub fn handle_reset_stop(&mut self, stamp: Stamp, now: Instant) -> Result<(), Refusal> {
        self.handle_timeout(now);
        self.check_stamp(stamp, now)?;
        let State::Stopped { .. } = self.state else { return Ok(()) };
        match self.last.filter(|last| now.saturating_duration_since(last.at) <= HOLD) {
            Some(last) if !is_neutral(last.controls) => Err(Refusal::NotNeutral),
            Some(last) if !last.controls.flags.contains(Flags::EMERGENCY_STOP) => {
                self.state = self.reset(last.sequence);
                Ok(())
            }
            Some(_) | None => {
                self.state = State::Stopped { reset_until: Some(now + RESET_PATIENCE) };
                Ok(())
            }
        }
    }

    /// Takes the news that the camera's picture captured at `captured` was sent. A placeholder for a missing camera
    /// is no picture.
    pub fn handle_picture(&mut self, captured: CarTime) {
        self.pictures.record(captured);
    }

    /// Takes a reading of the battery, in volts of the whole pack.
    pub fn handle_battery(&mut self, volts: f32, now: Instant) {
        self.handle_timeout(now);
        if let Some(guard) = &mut self.battery {
            guard.handle_reading(volts, now);
            if guard.level() == BatteryLevel::Empty {
                self.disarm(DisarmReason::Battery);
            }
        }
    }

    /// Takes the news that a fault came or went. One that came disarms.
    pub fn handle_fault(&mut self, fault: Fault, change: FaultChange, now: Instant) {
        self.handle_timeout(now);
        match change {
            FaultChange::Raised => {
                self.faults = self.faults.with(fault);
                self.disarm(DisarmReason::Fault);
            }
            FaultChange::Cleared => self.faults = self.faults.without(fault),
        }
    }

    /// Advances the state to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let silence = self.silence(now);
        self.state = match self.state {
            State::Disarmed { why: DisarmReason::Boot, flag } if now >= self.boot_until => {
                State::Disarmed { why: DisarmReason::Driver, flag }
            }
            State::Armed | State::LinkLoss(_) if silence >= DISARM => {
                State::Disarmed { why: DisarmReason::Silence, flag: ArmFlag::NotLowered }
            }
            State::Armed if silence >= NEUTRAL => State::LinkLoss(Recovery::Silent),
            State::Stopped { reset_until: Some(until) } if now >= until => {
                State::Stopped { reset_until: None }
            }
            state @ (State::Disarmed { .. } | State::Armed | State::LinkLoss(_) | State::Stopped { .. }) => {
                state
            }
        };
    }

    /// What the car may do at `now`; to be asked at 100 Hz.
    pub fn tick(&mut self, now: Instant) -> Setpoint {
        self.handle_timeout(now);
        let silence = self.silence(now);
        let Some(Accepted { controls, .. }) = self.last else { return Setpoint::SAFE };
        // The camera may look around whatever the car does; it stays where it is when the link is lost.
        let looking = Setpoint {
            pan: controls.pan,
            tilt: controls.tilt,
            switches: Switches {
                lights: controls.flags.contains(Flags::LIGHTS),
                horn: controls.flags.contains(Flags::HORN) && silence < NEUTRAL,
                aux: controls.flags.contains(Flags::AUX) && silence < NEUTRAL,
            },
            ..Setpoint::SAFE
        };
        match self.state {
            State::Disarmed { .. } | State::Stopped { .. } => looking,
            State::Armed => {
                let ramp =
                    (NEUTRAL.saturating_sub(silence).as_secs_f32() / (NEUTRAL - HOLD).as_secs_f32()).min(1.0);
                let Wanted { authority, brake } = self.wanted(controls);
                let authority = authority.scaled(ramp);
                let throttle = controls.throttle.scaled(authority.get());
                self.heading = match throttle.get() {
                    value if value > 0.0 => Heading::Forward,
                    value if value < 0.0 => Heading::Reverse,
                    _ => self.heading,
                };
                Setpoint {
                    throttle: Demand::Live(throttle),
                    steer: Demand::Live(controls.steer),
                    brake: brake.scaled(ramp),
                    authority,
                    ..looking
                }
            }
            State::LinkLoss(_) => Setpoint {
                steer: if silence < CENTRE { Demand::Live(controls.steer) } else { Demand::Safe },
                brake: match self.config.brake_pulse {
                    Some(strength) if silence >= BRAKE_FROM && silence < BRAKE_UNTIL => self.brake(strength),
                    Some(_) | None => Axis::ZERO,
                },
                ..looking
            },
        }
    }

    /// The state as the driver sees it.
    pub const fn status(&self) -> Status {
        match self.state {
            State::Disarmed { why, .. } => Status::Disarmed(why),
            State::Armed => Status::Armed,
            State::LinkLoss(_) => Status::LinkLoss,
            State::Stopped { .. } => Status::Stopped,
        }
    }

    /// What stands against arming at `now`; none: raising the arm flag arms.
    pub fn arm_block(&self, now: Instant) -> Option<Refusal> {
        let fresh = self.last.filter(|last| now.saturating_duration_since(last.at) <= HOLD);
        let empty = self.battery.as_ref().is_some_and(|guard| guard.level() == BatteryLevel::Empty);
        if matches!(self.state, State::Stopped { .. }) {
            Some(Refusal::Stopped)
        } else if now < self.boot_until || self.faults == Faults::NONE.with(Fault::ActuatorStarting) {
            Some(Refusal::Starting)
        } else if !self.faults.is_empty() {
            Some(Refusal::Fault)
        } else if empty {
            Some(Refusal::Battery)
        } else if self.lease == 0 {
            Some(Refusal::NoLease)
        } else {
            match fresh {
                None => Some(Refusal::NoCommands),
                Some(last) if !is_neutral(last.controls) => Some(Refusal::NotNeutral),
                Some(_) => None,
            }
        }
    }

    /// Fast telemetry of the state at `now`, for a robot of this `boot`; `throttle` and `steer` as applied.
    pub fn telemetry(&mut self, boot: u32, applied: (Axis, Axis), now: Instant) -> telemetry::Fast {
        self.handle_timeout(now);
        let ms = |duration: Duration| super::wire::ms16(duration);
        let permille = |share: f32| (share * 1000.0).round() as u16;
        telemetry::Fast {
            status: self.status(),
            boot,
            car_time: CarTime::since(self.epoch, now),
            lease: self.lease,
            sequence: self.last.map_or(0, |last| last.sequence),
            throttle: applied.0,
            steer: applied.1,
            loop_age_ms: self.last.map(|last| ms(last.loop_age)),
            picture_age_ms: self.last.and_then(|last| last.picture_age).map(ms),
            silence_ms: self.last.map(|last| ms(now.saturating_duration_since(last.at))),
            governor_permille: permille(self.governor()),
            loss_permille: self.loss.permille(now.saturating_duration_since(self.epoch)),
            limit_permille: permille(
                self.limit(Axis::ZERO, self.last.map_or(Flags::NONE, |l| l.controls.flags)),
            ),
            faults: self.faults,
            arm_block: self.arm_block(now),
            flags: self.last.map_or(Flags::NONE, |last| last.controls.flags),
            speed_cm_s: None,
            laps: 0,
            lap_ms: None,
        }
    }

    /// Faults present.
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// Level of the battery.
    pub fn battery_level(&self) -> BatteryLevel {
        self.battery.as_ref().map_or(BatteryLevel::Unknown, BatteryGuard::level)
    }

    /// Limits in force.
    pub const fn limits(&self) -> Limits {
        self.config.limits
    }

    /// Time since the last command that counted.
    fn silence(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::MAX, |last| now.saturating_duration_since(last.at))
    }

    /// State after a command that counts, `gap` after the one before it. Its arm flag, if low, is settled already.
    fn follow(&mut self, command: &DriveCommand, gap: Duration, now: Instant) -> State {
        let controls = command.controls;
        match self.state {
            State::Disarmed { why, flag: ArmFlag::Lowered } if controls.flags.contains(Flags::ARM) => {
                // The edge is spent whether it arms or not: the driver has to lower the flag and raise it again.
                match self.arm_block(now) {
                    None => State::Armed,
                    Some(_) => State::Disarmed { why, flag: ArmFlag::NotLowered },
                }
            }
            State::LinkLoss(recovery) => {
                let this = if gap >= LONG_GAP { Gap::Long } else { Gap::Short };
                let (since, after) = match recovery {
                    Recovery::Silent => (now, this),
                    Recovery::Clean { after, .. } if gap > HOLD => (now, after.max(this)),
                    Recovery::Clean { since, after } => (since, after),
                };
                let clean = now.saturating_duration_since(since);
                let recovered = match after {
                    Gap::Short => clean >= CLEAN_SHORT,
                    Gap::Long => clean >= CLEAN_LONG && is_neutral(controls),
                };
                if recovered { State::Armed } else { State::LinkLoss(Recovery::Clean { since, after }) }
            }
            State::Stopped { reset_until: Some(_) }
                if is_neutral(controls) && !controls.flags.contains(Flags::EMERGENCY_STOP) =>
            {
                self.reset(command.sequence)
            }
            state @ (State::Disarmed { .. } | State::Armed | State::Stopped { .. }) => state,
        }
    }

    /// Stop flags count at any age within the lease, also in the two earlier commands, unless a reset settled them.
    fn honour_stop_flags(&mut self, command: &DriveCommand) {
        if command.lease == 0 || command.lease != self.lease {
            return;
        }
        let all = [Some(command.controls), command.earlier[0], command.earlier[1]];
        for (back, controls) in (0u32..).zip(all) {
            let sequence = command.sequence.wrapping_sub(back);
            let settled = self.stops_settled.is_some_and(|settled| !link::is_newer(sequence, settled));
            let stops = controls.is_some_and(|controls| controls.flags.contains(Flags::EMERGENCY_STOP));
            // A flag already in force does not take a pending reset back: the two may cross on the way.
            if stops && !settled && !matches!(self.state, State::Stopped { .. }) {
                self.stop();
            }
        }
    }

    /// A low arm flag disarms if the one before it was high, and makes ready for the next high one.
    fn lower_arm_flag(&mut self, flags: Flags) {
        let was_high = self.last.is_some_and(|last| last.controls.flags.contains(Flags::ARM));
        if flags.contains(Flags::ARM) {
            return;
        }
        if was_high {
            self.disarm(DisarmReason::Driver);
        }
        if let State::Disarmed { flag, .. } = &mut self.state {
            *flag = ArmFlag::Lowered;
        }
    }

    fn disarm(&mut self, why: DisarmReason) {
        self.state = match self.state {
            State::Disarmed { why, .. } => State::Disarmed { why, flag: ArmFlag::NotLowered },
            State::Armed | State::LinkLoss(_) => State::Disarmed { why, flag: ArmFlag::NotLowered },
            State::Stopped { reset_until } => State::Stopped { reset_until },
        };
    }

    const fn stop(&mut self) {
        self.state = State::Stopped { reset_until: None };
    }

    const fn reset(&mut self, settled: u32) -> State {
        self.stops_settled = Some(settled);
        State::Disarmed { why: DisarmReason::StopReset, flag: ArmFlag::NotLowered }
    }

    /// A request counts under the lease in force, at a loop age up to 600 ms: one that a stalled channel delivers
    /// later is not what the driver wants by then.
    fn check_stamp(&self, stamp: Stamp, now: Instant) -> Result<(), Refusal> {
        if stamp.epoch == 0 || stamp.epoch != self.lease {
            return Err(Refusal::NoLease);
        }
        match link::loop_age(stamp.echo(), CarTime::since(self.epoch, now)) {
            Ok(age) if age <= LOOP_AGE_NONE => Ok(()),
            Ok(_) | Err(_) => Err(Refusal::Stale),
        }
    }
}

fn is_neutral(controls: Controls) -> bool {
    controls.throttle.magnitude() < NEUTRAL_BAND
}
