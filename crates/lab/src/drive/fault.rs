//! What goes wrong, and when.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::clock::VirtualTime;
use crate::link::Carrier;

/// Something that goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub from: VirtualTime,
    /// When it ends: a paused process goes on, a killed one is started again, a link comes up.
    pub until: VirtualTime,
    /// What it is.
    pub kind: Kind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A process is stopped (`SIGSTOP`) and continued; what arrives meanwhile waits in its sockets.
    Pause(Process),
    /// A process is killed (`SIGKILL`) and started again; the pulses of the actuator run on meanwhile.
    Kill(Process),
    /// The driver's machine sleeps: like a pause, and its monotonic clock stands still.
    Sleep,
    /// The path from the driver to the robot, all channels.
    Uplink(Carrier),
    /// The path from the robot to the driver, all channels.
    Downlink(Carrier),
    /// Both ways.
    Path(Carrier),
    /// The channel `control` alone: nothing else is lost.
    ControlLost,
    /// The reliable channel from the driver stalls, then delivers everything at once.
    EventsStall,
    /// Video packets are lost; control and telemetry work.
    VideoFrozen,
    /// The robot's encoder blocks: no picture leaves.
    EncoderBlocked,
    /// A second client connects, asks for the lease and sends commands under the driver's epoch.
    Rival,
    /// The same, and it owns the robot: it takes the lease.
    OwnerRival,
    /// The signalling server is gone: no one can connect.
    ServerDown,
    /// The driver presses the emergency stop.
    StopPressed,
    /// The driver's window loses the focus.
    FocusLost,
    /// The driver's gamepad is unplugged.
    GamepadLost,
    /// The driver holds the stick whatever the car's state is.
    Stubborn,
}

/// A process that can be paused or killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The app.
    Driver,
    /// `farwheel-robot run`.
    Run,
    /// `farwheel-robot actuator`.
    Actuator,
}

impl Fault {
    /// A fault from and until the given ms.
    pub const fn new(from_ms: u64, until_ms: u64, kind: Kind) -> Self {
        Self { from: VirtualTime::from_ms(from_ms), until: VirtualTime::from_ms(until_ms), kind }
    }

    /// Up to six faults within the given ms, one of them likely short and one likely long.
    ///
    /// At most one of the robot's two processes fails at a time: each is there to catch the other. Both at once are
    /// the business of systemd and the hardware (docs/SAFETY.md).
    pub fn random(random: &mut StdRng, from_ms: u64, until_ms: u64) -> Vec<Self> {
        let count = random.random_range(0..=6);
        let mut robot_free_ms = from_ms;
        let mut faults = Vec::new();
        for _ in 0..count {
            let kind = Kind::random(random);
            let lasts_ms = match random.random_range(0..4) {
                0 => random.random_range(1..=120),
                1 => random.random_range(90..=300),
                2 => random.random_range(200..=1_600),
                _ => random.random_range(1_000..=5_000),
            };
            let mut begin_ms = random.random_range(from_ms..until_ms);
            if matches!(
                kind,
                Kind::Pause(Process::Run | Process::Actuator) | Kind::Kill(Process::Run | Process::Actuator)
            ) {
                begin_ms = begin_ms.max(robot_free_ms);
                // The survivor has time to act before it fails itself.
                robot_free_ms = begin_ms + lasts_ms + 600;
            }
            let end_ms = begin_ms + lasts_ms;
            if end_ms <= until_ms {
                faults.push(Self::new(begin_ms, end_ms, kind));
            }
        }
        faults
    }
}

impl Kind {
    fn random(random: &mut StdRng) -> Self {
        let process = match random.random_range(0..3) {
            0 => Process::Driver,
            1 => Process::Run,
            _ => Process::Actuator,
        };
        let carrier = if random.random_bool(0.5) { Carrier::Partitioned } else { Carrier::Hoarding };
        match random.random_range(0..18) {
            0 | 1 => Self::Pause(process),
            2 | 3 => Self::Kill(process),
            4 => Self::Sleep,
            5 | 6 => Self::Uplink(carrier),
            7 => Self::Downlink(carrier),
            8 => Self::Path(carrier),
            9 => Self::ControlLost,
            10 => Self::EventsStall,
            11 => Self::VideoFrozen,
            12 => Self::EncoderBlocked,
            13 => Self::Rival,
            14 => Self::OwnerRival,
            15 => Self::ServerDown,
            16 => Self::StopPressed,
            _ => match random.random_range(0..3) {
                0 => Self::FocusLost,
                1 => Self::GamepadLost,
                _ => Self::Stubborn,
            },
        }
    }
}
