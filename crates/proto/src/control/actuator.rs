//! The core of the actuator process: owns the outputs, has no network, goes to neutral by itself.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Axis;
use super::mixer::{Duty, Mixer, Pulse};
use super::setpoint::{Demand, Setpoint, Switches};
use super::slew::Slew;
use super::wire::{DatagramError, Reader, Shape, Tail, Writer};

/// Time on the machine's monotonic clock (`CLOCK_MONOTONIC`), in µs: the same for all processes of the robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineTime(pub u64);

impl MachineTime {
    /// Time from `earlier` to this; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `duration`.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_micros() as u64))
    }
}

/// What `run` tells the actuator process: a setpoint, at 100 Hz and at once on a command.
///
/// Version 1, type 16, `live` u8 (1 throttle, 2 steering, 4 lights, 8 horn, 16 aux), zero u8, `boot` u32 at 4,
/// `sequence` u32 at 8, zero u32, `sent` u64 at 16, then throttle, steer, brake, authority, pan, tilt as i16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message {
    /// Differs each time `run` starts.
    pub boot: u32,
    /// One more with each message.
    pub sequence: u32,
    /// When it was sent.
    pub sent: MachineTime,
    /// What the car may do.
    pub setpoint: Setpoint,
}

/// What the actuator process answers after each output.
///
/// Version 1, type 17, state u8 (0 starting, 1 waiting, 2 live, 3 silent), zero u8, `boot` u32 at 4, `sequence` u32
/// at 8, applied throttle and steering i16 at 12, four pulses u16 (µs) at 16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply {
    /// Differs each time the actuator process starts.
    pub boot: u32,
    /// The message in force.
    pub sequence: u32,
    /// State of the actuator.
    pub state: StateCode,
    /// Throttle as applied.
    pub throttle: Axis,
    /// Steering as applied.
    pub steer: Axis,
    /// Pulses as written, in µs, in the order of [`Duty::outputs`].
    pub pulses_us: [u16; 4],
}

/// State of the actuator process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCode {
    /// Neutral for the first 2 s.
    Starting,
    /// Neutral until `run` asks for neutral once.
    Waiting,
    /// Following `run`.
    Live,
    /// Neutral because nothing came for 150 ms.
    Silent,
}

/// Why a message is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] DatagramError),
    /// It waited in the socket for 150 ms or longer, or claims to be of the future.
    #[error("message is {} ms old", .age.as_millis())]
    Stale {
        /// Time since it was sent.
        age: Duration,
    },
    /// It is not newer than the one in force.
    #[error("message has sequence {sequence}, {newest} was followed before")]
    Sequence {
        /// Its sequence.
        sequence: u32,
        /// The newest one followed.
        newest: u32,
    },
    /// Another `run` is in charge.
    #[error("another process is in charge")]
    Rival,
}

/// Decides what the outputs shall be; wrapped in a socket and a [`Duty`] writer by the actuator process.
///
/// | state | output | ends |
/// |---|---|---|
/// | starting | failsafe pulses | after 2 s: waiting |
/// | waiting | failsafe pulses | on a message with neutral throttle: live |
/// | live | the setpoint, slew-limited | after 150 ms without a message: silent |
/// | silent | failsafe pulses | on a message: live, or after 500 ms or of another `run`: waiting |
///
/// Outputs are written at 50 Hz, changed or not, and at once on a message.
#[derive(Debug)]
pub struct ActuatorCore {
    mixer: Mixer,
    boot: u32,
    slew: Slew,
    state: State,
    run: Option<Run>,
    applied: Setpoint,
    pulses: [Pulse; 4],
    written: Option<MachineTime>,
    due: MachineTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting { until: MachineTime },
    Waiting,
    Live,
    Silent,
}

/// The `run` in charge: its newest message.
#[derive(Clone, Copy, Debug)]
struct Run {
    boot: u32,
    sequence: u32,
    at: MachineTime,
    setpoint: Setpoint,
}

impl ActuatorCore {
    /// An actuator that starts at `now`; `boot` differs from start to start.
    pub fn new(mixer: Mixer, boot: u32, now: MachineTime) -> Self {
        let pulses = mixer.safe().outputs();
        Self {
            mixer,
            boot,
            slew: Slew::default(),
            state: State::Starting { until: now.after(super::failsafe::BOOT_NEUTRAL) },
            run: None,
            applied: Setpoint::SAFE,
            pulses,
            written: None,
            due: now,
        }
    }

    /// Takes a datagram from `run`.
    ///
    /// # Errors
    /// When it is not followed, with the reason.
    pub fn handle_message(&mut self, datagram: &[u8], now: MachineTime) -> Result<(), MessageError> {
        self.handle_timeout(now);
        let message = Message::decode(datagram)?;
        let age = now.since(message.sent);
        if age >= SILENCE || message.sent > now.after(CLOCK_SLACK) {
            return Err(MessageError::Stale { age });
        }
        let silence = match self.run {
            Some(run) if run.boot != message.boot && now.since(run.at) < SILENCE => {
                return Err(MessageError::Rival);
            }
            Some(run) if run.boot == message.boot => {
                if message.sequence.wrapping_sub(run.sequence) as i32 <= 0 {
                    return Err(MessageError::Sequence { sequence: message.sequence, newest: run.sequence });
                }
                now.since(run.at)
            }
            Some(_) | None => Duration::MAX,
        };
        let Message { boot, sequence, setpoint, .. } = message;
        // The age in the socket counts as silence.
        self.run = Some(Run { boot, sequence, at: message.sent.min(now), setpoint });
        let neutral = setpoint.throttle.axis() == Axis::ZERO && setpoint.brake == Axis::ZERO;
        self.state = match self.state {
            State::Starting { until } => State::Starting { until },
            State::Silent if silence < NEUTRAL_FIRST => State::Live,
            State::Waiting | State::Silent if neutral => State::Live,
            State::Waiting | State::Silent => State::Waiting,
            State::Live => State::Live,
        };
        self.due = self.due.min(now);
        Ok(())
    }

    /// Advances the state to `now`.
    pub fn handle_timeout(&mut self, now: MachineTime) {
        let silent = self.run.is_none_or(|run| now.since(run.at) >= SILENCE);
        let state = match self.state {
            State::Starting { until } if now >= until => State::Waiting,
            State::Live if silent => State::Silent,
            state @ (State::Starting { .. } | State::Waiting | State::Live | State::Silent) => state,
        };
        if state != self.state {
            self.state = state;
            self.due = self.due.min(now);
        }
    }

    /// When [`ActuatorCore::poll_output`] next has something to write.
    pub fn poll_timeout(&self) -> MachineTime {
        match (self.state, self.run) {
            (State::Live, Some(run)) => self.due.min(run.at.after(SILENCE)),
            (State::Starting { .. } | State::Waiting | State::Silent | State::Live, _) => self.due,
        }
    }

    /// The duty to write at `now`, if one is due: it is written whether it changed or not.
    pub fn poll_output(&mut self, now: MachineTime) -> Option<Duty> {
        self.handle_timeout(now);
        if now < self.due {
            return None;
        }
        let wanted = match (self.state, self.run) {
            (State::Live, Some(run)) => run.setpoint,
            (State::Live | State::Starting { .. } | State::Waiting | State::Silent, _) => Setpoint::SAFE,
        };
        let elapsed = self.written.map_or(PERIOD, |written| now.since(written));
        self.applied = self.slew.step(&wanted, elapsed);
        let duty = self.mixer.mix(&self.applied);
        self.pulses = duty.outputs();
        self.written = Some(now);
        self.due = now.after(PERIOD);
        Some(duty)
    }

    /// The answer to `run`, to be sent after each output.
    pub fn reply(&self) -> Reply {
        Reply {
            boot: self.boot,
            sequence: self.run.map_or(0, |run| run.sequence),
            state: match self.state {
                State::Starting { .. } => StateCode::Starting,
                State::Waiting => StateCode::Waiting,
                State::Live => StateCode::Live,
                State::Silent => StateCode::Silent,
            },
            throttle: self.applied.throttle.axis(),
            steer: self.applied.steer.axis(),
            pulses_us: self.pulses.map(Pulse::us),
        }
    }

    /// The duty to write when the process ends.
    pub fn safe(&self) -> Duty {
        self.mixer.safe()
    }
}

/// What `run` knows of the actuator process.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<(Reply, MachineTime)>,
}

/// Health of the actuator process, as `run` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Answering,
    /// It answers that it sends neutral for its first 2 s.
    Starting,
    /// It has not answered for 200 ms, or never: `run` writes neutral itself where it can.
    Silent,
}

impl Watch {
    /// Takes an answer; true if the actuator has started again since the one before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn handle_reply(&mut self, datagram: &[u8], now: MachineTime) -> Result<bool, DatagramError> {
        let reply = Reply::decode(datagram)?;
        let restarted = self.last.is_some_and(|(last, _)| last.boot != reply.boot);
        self.last = Some((reply, now));
        Ok(restarted)
    }

    /// The newest answer.
    pub fn reply(&self) -> Option<Reply> {
        self.last.map(|(reply, _)| reply)
    }

    /// Whether it answers.
    pub fn health(&self, now: MachineTime) -> Health {
        match self.last {
            Some((reply, at)) if now.since(at) < REPLY_SILENCE => match reply.state {
                StateCode::Starting => Health::Starting,
                StateCode::Waiting | StateCode::Live | StateCode::Silent => Health::Answering,
            },
            Some(_) | None => Health::Silent,
        }
    }
}

impl Message {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 36;
    const SHAPE: Shape =
        Shape { name: "actuator", version: 1, kind: 16, len: Self::LEN, tail: Tail::Refused };

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let Setpoint { throttle, steer, brake, authority, pan, tilt, switches } = self.setpoint;
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        let live = bit(matches!(throttle, Demand::Live(_)), 1)
            | bit(matches!(steer, Demand::Live(_)), 2)
            | bit(switches.lights, 4)
            | bit(switches.horn, 8)
            | bit(switches.aux, 16);
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(1).u8(16).u8(live).u8(0).u32(self.boot).u32(self.sequence).u32(0).u64(self.sent.0);
        for axis in [throttle.axis(), steer.axis(), brake, authority, pan, tilt] {
            out.i16(axis.to_wire());
        }
        out.finish()
    }

    /// Reads the datagram. Private: a setpoint leaves this module to a [`Mixer`] only.
    fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let mut fields = Self::SHAPE.open(bytes)?;
        let live = fields.u8();
        fields.u8();
        let (boot, sequence) = (fields.u32(), fields.u32());
        fields.u32();
        let sent = MachineTime(fields.u64());
        let axis = |fields: &mut Reader<'_>| Axis::from_wire(fields.i16());
        let demand = |fields: &mut Reader<'_>, bit: u8| {
            let value = axis(fields);
            if live & bit == 0 { Demand::Safe } else { Demand::Live(value) }
        };
        let setpoint = Setpoint {
            throttle: demand(&mut fields, 1),
            steer: demand(&mut fields, 2),
            brake: Axis::new(axis(&mut fields).get().max(0.0)),
            authority: Axis::new(axis(&mut fields).get().max(0.0)),
            pan: axis(&mut fields),
            tilt: axis(&mut fields),
            switches: Switches { lights: live & 4 != 0, horn: live & 8 != 0, aux: live & 16 != 0 },
        };
        Ok(Self { boot, sequence, sent, setpoint })
    }
}

impl Reply {
    /// Length of the datagram in bytes.
    pub const LEN: usize = 24;
    const SHAPE: Shape =
        Shape { name: "actuator reply", version: 1, kind: 17, len: Self::LEN, tail: Tail::Refused };

    /// The datagram.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::<{ Self::LEN }>::new();
        out.u8(1).u8(17).u8(self.state as u8).u8(0).u32(self.boot).u32(self.sequence);
        out.i16(self.throttle.to_wire()).i16(self.steer.to_wire());
        for us in self.pulses_us {
            out.u16(us);
        }
        out.finish()
    }

    /// Reads the datagram.
    ///
    /// # Errors
    /// On another length, version, type, or an unknown state.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatagramError> {
        let mut fields = Self::SHAPE.open(bytes)?;
        let state = match fields.u8() {
            0 => StateCode::Starting,
            1 => StateCode::Waiting,
            2 => StateCode::Live,
            3 => StateCode::Silent,
            code => {
                let (name, value) = (Self::SHAPE.name, u32::from(code));
                return Err(DatagramError::Field { name, field: "state", value });
            }
        };
        fields.u8();
        Ok(Self {
            state,
            boot: fields.u32(),
            sequence: fields.u32(),
            throttle: Axis::from_wire(fields.i16()),
            steer: Axis::from_wire(fields.i16()),
            pulses_us: [(); 4].map(|()| fields.u16()),
        })
    }
}

/// Without a message for this long the outputs go to neutral.
pub const SILENCE: Duration = Duration::from_millis(150);
/// Without an answer for this long `run` takes the actuator for dead.
pub const REPLY_SILENCE: Duration = Duration::from_millis(200);
/// Time between outputs when nothing changes: one servo frame.
pub const PERIOD: Duration = Duration::from_millis(20);
/// After this much silence, `run` has to ask for neutral once before anything else is followed.
const NEUTRAL_FIRST: Duration = Duration::from_millis(500);
/// Processors' readings of one clock may differ by this.
const CLOCK_SLACK: Duration = Duration::from_millis(5);
