//! The driver's end: decides when a command leaves and what it says.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::Refusal;
use super::command::{Controls, Displayed, DriveCommand, Echo, Flags};
use super::status::Status;
use super::stick::{ArmSwitch, Intent, StopButton};
use super::telemetry::Fast;
use super::wire::ms16;
use crate::video::FrameId;

/// How often commands leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between commands when nothing changes; [`Config::with_rate`] keeps it at 10 to 40 ms.
    period: Duration,
}

impl Config {
    /// `rate_hz` commands a second, kept within 25 to 100.
    pub fn with_rate(rate_hz: u32) -> Self {
        Self { period: Duration::from_secs(1) / rate_hz.clamp(25, 100) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::with_rate(50)
    }
}

/// Where the driver's input comes from; the dead man's control needs each of them present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The window: present while it has the focus (always, for a program without one).
    Window,
    /// The device in the driver's hands: present while it is connected.
    Device,
}

/// Whether a source of input is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not: the dead man's control counts as released.
    Absent,
}

/// Makes [`DriveCommand`]s: one each period and one at once on a change, no closer than [`SPACING_MIN`].
///
/// It holds no queue: [`CommandSender::poll_command`] makes the newest command at the moment the transport takes
/// it, so a blocked transport never sends an old one. A command is never left out because nothing changed.
///
/// | input | effect |
/// |---|---|
/// | `handle_input` | controls of the next command; at once if they differ |
/// | no input for 100 ms | dead man's control released, axes neutral |
/// | window or device absent | the same, until input comes while both are present |
/// | `emergency_stop` or the button | stop flag in every command until `reset_emergency_stop` |
/// | telemetry | newest robot time to echo; a robot that disarmed by itself lowers the arm flag |
/// | telemetry 150 ms newer than what was echoed last | the next command at once: after a stall the robot takes none before |
/// | `handle_lease` | epoch of each command; a new one starts disarmed at sequence 1 |
#[derive(Debug)]
pub struct CommandSender {
    config: Config,
    lease: u32,
    sequence: u32,
    intent: Intent,
    input_at: Option<Instant>,
    window: Presence,
    device: Presence,
    arm: ArmWish,
    stop: StopButton,
    newest: Option<(u32, u32, Instant)>,
    /// What the last command echoed.
    echoed: Option<(u32, u32)>,
    displayed: Option<(FrameId, Instant)>,
    sent: [Option<Controls>; 2],
    /// When the last command left, and when the next one is due if nothing changes.
    schedule: Option<(Instant, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArmWish {
    Down,
    /// Raised; the first command that says so has this sequence.
    Up {
        since: u32,
    },
}

impl CommandSender {
    /// A sender without a lease; it sends, so that the robot and the driver see each other, but nothing counts.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            lease: 0,
            sequence: 0,
            intent: RELEASED,
            input_at: None,
            window: Presence::Present,
            device: Presence::Present,
            arm: ArmWish::Down,
            stop: StopButton::Released,
            newest: None,
            echoed: None,
            displayed: None,
            sent: [None; 2],
            schedule: None,
        }
    }

    /// Takes one reading of the shaped sticks; to be called at least every 100 ms, changed or not.
    pub fn handle_input(&mut self, intent: &Intent, now: Instant) {
        self.intent = *intent;
        self.input_at = Some(now);
        match intent.stop {
            StopButton::Pressed => self.emergency_stop(),
            StopButton::Released => {}
        }
        match intent.arm {
            ArmSwitch::Untouched => {}
            ArmSwitch::Arm => self.arm(),
            ArmSwitch::Disarm => self.disarm(),
        }
    }

    /// Takes the news that a source of input came or went.
    pub const fn handle_presence(&mut self, source: Source, presence: Presence) {
        match source {
            Source::Window => self.window = presence,
            Source::Device => self.device = presence,
        }
        if matches!(presence, Presence::Absent) {
            // What the sticks said before the gap is void: only input after it counts.
            self.input_at = None;
        }
    }

    /// Takes fast telemetry that arrived at `arrived`.
    pub fn handle_telemetry(&mut self, fast: &Fast, arrived: Instant) {
        let car_ms = fast.car_time.as_ms();
        let newer = match self.newest {
            // A robot that started again counts its time from zero.
            Some((boot, held, _)) => boot != fast.boot || (car_ms.wrapping_sub(held) as i32) > 0,
            None => true,
        };
        if newer {
            self.newest = Some((fast.boot, car_ms, arrived));
            self.hasten();
        }
        let ArmWish::Up { since } = self.arm else { return };
        // The robot has seen the wish and is disarmed: it refused, or disarmed since. Only the driver arms again.
        let seen = fast.lease == self.lease && (fast.sequence.wrapping_sub(since) as i32) >= 0;
        if newer && seen && matches!(fast.status, Status::Disarmed(_) | Status::Stopped) {
            self.arm = ArmWish::Down;
        }
    }

    /// Lets the next command leave at once if its echo is much fresher than the one before.
    fn hasten(&mut self) {
        let (Some(new), Some(old)) = (self.newest, self.echoed) else { return };
        let is_fresher = new.0 == old.0 && new.1.wrapping_sub(old.1) >= FRESHER_MS;
        if let (true, Some((sent_at, due))) = (is_fresher, &mut self.schedule) {
            *due = (*due).min(*sent_at + SPACING_MIN);
        }
    }

    /// Takes the news that the picture `frame` is on the screen.
    pub fn handle_picture(&mut self, frame: FrameId, now: Instant) {
        if self.displayed.is_none_or(|(shown, _)| shown != frame) {
            self.displayed = Some((frame, now));
        }
    }

    /// Takes a granted lease's epoch, or zero when it is lost. The sequence starts again, disarmed.
    pub const fn handle_lease(&mut self, epoch: u32) {
        if self.lease != epoch {
            self.lease = epoch;
            self.sequence = 0;
            self.sent = [None; 2];
            self.arm = ArmWish::Down;
        }
    }

    /// Forgets the robot's clock, picture and lease: the connection is another one.
    pub const fn handle_connection(&mut self) {
        self.handle_lease(0);
        (self.newest, self.echoed) = (None, None);
        self.displayed = None;
    }

    /// Raises the arm flag.
    pub fn arm(&mut self) {
        if self.arm == ArmWish::Down {
            self.arm = ArmWish::Up { since: self.sequence.wrapping_add(1) };
        }
    }

    /// Lowers the arm flag.
    pub const fn disarm(&mut self) {
        self.arm = ArmWish::Down;
    }

    /// Puts the stop flag into every command from now on, and lowers the arm flag.
    pub const fn emergency_stop(&mut self) {
        self.stop = StopButton::Pressed;
        self.arm = ArmWish::Down;
    }

    /// Takes the stop flag out again; the robot stays stopped until `ResetStop` is asked of it as well.
    ///
    /// # Errors
    /// While the throttle is not at neutral or the button is held.
    pub fn reset_emergency_stop(&mut self, now: Instant) -> Result<(), Refusal> {
        let intent = self.intent_at(now);
        if intent.throttle.magnitude() >= super::failsafe::NEUTRAL_BAND || intent.stop == StopButton::Pressed
        {
            return Err(Refusal::NotNeutral);
        }
        self.stop = StopButton::Released;
        Ok(())
    }

    /// Whether the stop flag is in every command.
    pub fn is_stopping(&self) -> bool {
        self.stop == StopButton::Pressed
    }

    /// Whether the arm flag is raised.
    pub fn wants_armed(&self) -> bool {
        self.arm != ArmWish::Down
    }

    /// The lease under which commands are sent; zero is none.
    pub const fn lease(&self) -> u32 {
        self.lease
    }

    /// The robot's clock as the next command would echo it; for [`super::event::Stamp`].
    pub fn echo(&self, now: Instant) -> Option<Echo> {
        self.newest.map(|(_, car_ms, arrived)| Echo {
            car_ms,
            hold_ms: ms16(now.saturating_duration_since(arrived)),
        })
    }

    /// What the next command says, for display.
    pub fn controls(&self, now: Instant) -> Controls {
        let intent = self.intent_at(now);
        let mut flags = intent.flags.without(Flags::ARM).without(Flags::EMERGENCY_STOP);
        if self.wants_armed() {
            flags = flags.with(Flags::ARM);
        }
        if self.is_stopping() {
            flags = flags.with(Flags::EMERGENCY_STOP);
        }
        let Intent { throttle, steer, pan, tilt, .. } = intent;
        Controls { flags, throttle, steer, pan, tilt }
    }

    /// When [`CommandSender::poll_command`] next has one.
    pub fn poll_timeout(&self, now: Instant) -> Instant {
        let Some((sent_at, due)) = self.schedule else { return now };
        let changed = self.sent[0] != Some(self.controls(now));
        if changed { due.min(sent_at + SPACING_MIN) } else { due }
    }

    /// The command to send at this moment, if one is due.
    pub fn poll_command(&mut self, now: Instant) -> Option<DriveCommand> {
        if self.poll_timeout(now) > now {
            return None;
        }
        let controls = self.controls(now);
        self.sequence = self.sequence.wrapping_add(1);
        let displayed = self.displayed.map(|(frame, since)| Displayed {
            frame,
            unchanged_ms: ms16(now.saturating_duration_since(since)),
        });
        let command = DriveCommand {
            lease: self.lease,
            sequence: self.sequence,
            echo: self.echo(now),
            displayed,
            controls,
            earlier: self.sent,
        };
        self.sent = [Some(controls), self.sent[0]];
        self.echoed = self.newest.map(|(boot, car_ms, _)| (boot, car_ms));
        // Keeping the phase makes the mean rate exact; after a pause it starts afresh instead of bursting.
        let next = now + self.config.period;
        self.schedule = Some(match self.schedule {
            Some((_, due)) if now >= due && now - due < SPACING_MIN => (now, due + self.config.period),
            Some(_) | None => (now, next),
        });
        Some(command)
    }

    /// The intent that counts: released unless both sources are present and the input is fresh.
    fn intent_at(&self, now: Instant) -> Intent {
        let fresh = self.input_at.is_some_and(|at| now.saturating_duration_since(at) <= INPUT_SILENCE_MAX);
        let present = self.window == Presence::Present && self.device == Presence::Present;
        if fresh && present { self.intent } else { RELEASED }
    }
}

/// Shortest time between two commands: 200 a second at most, however fast the sticks move.
pub const SPACING_MIN: Duration = Duration::from_millis(5);
/// Telemetry newer than what was echoed by this comes after a stall: it is sent every 50 ms.
const FRESHER_MS: u32 = 150;
/// Input older than this counts as released. It is read at 250 Hz, so 25 readings are missing by then.
pub const INPUT_SILENCE_MAX: Duration = Duration::from_millis(100);

/// Hands off: everything neutral, nothing held.
const RELEASED: Intent = Intent {
    throttle: super::Axis::ZERO,
    steer: super::Axis::ZERO,
    pan: super::Axis::ZERO,
    tilt: super::Axis::ZERO,
    flags: Flags::NONE,
    arm: ArmSwitch::Untouched,
    stop: StopButton::Released,
};
