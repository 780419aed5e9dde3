//! State of the drive screen.

use std::time::Duration;

use super::connect::{Role, Step};
use super::link;

/// The drive screen.
#[derive(Clone, Debug)]
pub struct Drive {
    /// The robot's name, or the room's until it is known.
    pub robot: String,
    /// Name of the room.
    pub room: String,
    /// Driver or viewer, as asked for.
    pub role: Role,
    /// Where the connection stands.
    pub link: Link,
    /// Who may drive.
    pub lease: Lease,
    /// What the robot's failsafe says.
    pub arm: Arm,
    /// Whether the driver's deadman is held.
    pub deadman: Deadman,
    /// What the picture is.
    pub picture: Picture,
    /// What the sticks ask for.
    pub commanded: Motion,
    /// What the robot does, from telemetry.
    pub applied: Motion,
    /// Share of full throttle that the latency governor allows, 0 to 1.
    pub governor: f32,
    /// Ages, rates and delays.
    pub figures: Figures,
    /// Why the picture is what it is, as the robot tells it.
    pub why: Option<link::View>,
    /// Whether the car can be heard or talked through.
    pub has_sound: bool,
    /// How commands travel, in one line; none where there is nothing to say.
    pub control: Option<String>,
    /// Where the time of a picture goes.
    pub stages: Stages,
    /// What the robot measures about itself.
    pub vehicle: Vehicle,
    /// Lap times, if the robot sends them (the simulated one does).
    pub laps: Option<Laps>,
    /// Position in a known world, if the robot sends it.
    pub pose: Option<Pose>,
    /// Number of other participants that watch.
    pub viewers: u32,
    /// Which source drives: shown beside the deadman.
    pub input: Input,
    /// Cameras by name, in the robot's order; empty until known.
    pub cameras: Vec<String>,
    /// Index of the camera that is shown.
    pub camera: usize,
}

impl Drive {
    /// A drive screen of which nothing is known yet.
    pub fn new(robot: impl Into<String>, room: impl Into<String>, role: Role) -> Self {
        Self {
            robot: robot.into(),
            room: room.into(),
            role,
            link: Link::Opening(Step::ReachServer),
            lease: Lease::Unknown,
            arm: Arm::Unknown,
            deadman: Deadman::Released,
            picture: Picture::None,
            commanded: Motion::default(),
            applied: Motion::default(),
            governor: 1.0,
            figures: Figures::default(),
            why: None,
            has_sound: false,
            control: None,
            stages: Stages::default(),
            vehicle: Vehicle::default(),
            laps: None,
            pose: None,
            viewers: 0,
            input: Input::None,
            cameras: Vec::new(),
            camera: 0,
        }
    }
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Never connected so far in this session.
    Opening(Step),
    /// Media and control flow.
    Connected {
        /// Whether the signalling server is reachable; driving goes on without it.
        signaling: Signaling,
    },
    /// Was connected; trying again by itself.
    Lost {
        /// Time since the last sign of life.
        since: Duration,
        /// Reconnect attempts so far.
        attempts: u32,
    },
}

/// Whether the signalling server is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signaling {
    /// Yes.
    Online,
    /// No; it is being retried.
    Offline,
}

/// Who may drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Not told yet.
    Unknown,
    /// Nobody.
    Free,
    /// We asked; no answer yet.
    Asking,
    /// We.
    Mine,
    /// Someone else.
    Other {
        /// Name or peer id.
        name: String,
    },
}

/// What the robot's failsafe says.
#[derive(Clone, Debug, PartialEq)]
pub enum Arm {
    /// No telemetry yet.
    Unknown,
    /// Disarmed: the motor cannot move.
    Disarmed,
    /// The driver holds the arm control; `progress` goes from 0 to 1, then the request is sent.
    Arming {
        /// 0 to 1.
        progress: f32,
    },
    /// Armed: the car moves when the deadman is held.
    Armed,
    /// Armed, but commands do not arrive; the robot slows down by itself.
    LinkLoss,
    /// Emergency stop, latched until reset.
    Stopped {
        /// Who or what did it.
        reason: String,
    },
    /// A fault that driving cannot clear.
    Fault {
        /// In words.
        reason: String,
    },
}

impl Arm {
    /// Whether throttle could reach the motor.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Armed | Self::LinkLoss)
    }
}

/// Whether the driver's deadman is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadman {
    /// Not held: neutral.
    #[default]
    Released,
    /// Held.
    Held,
}

/// What the picture is; anything but [`Picture::Live`] is drawn so that nobody takes it for live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// None so far.
    None,
    /// Live.
    Live,
    /// The newest picture is old although the link is up.
    Frozen {
        /// Time since it changed.
        since: Duration,
    },
    /// The link is lost; the last picture remains.
    Lost {
        /// Time since it changed.
        since: Duration,
    },
}

/// Throttle and steering, each -1 to 1; x right, y forward.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Forward positive.
    pub throttle: f32,
    /// Right positive.
    pub steer: f32,
}

/// Ages, rates and delays. `None` is shown as a dash.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Now minus capture time of the picture on screen.
    pub picture_age: Option<Duration>,
    /// Age of the newest robot time that our command echoes, at the robot.
    pub loop_age: Option<Duration>,
    /// Round trip of the link.
    pub rtt: Option<Duration>,
    /// Received video, bits per second.
    pub bitrate: Option<f64>,
    /// Pictures shown per second.
    pub fps: Option<f32>,
    /// Share of packets lost, 0 to 1.
    pub loss: Option<f32>,
    /// Width and height of the decoded picture.
    pub size: Option<(u32, u32)>,
}

/// Where the time of a picture goes, newest smoothed values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Exposure (or drawing) and colour conversion.
    pub capture: Option<Duration>,
    /// In the encoder.
    pub encode: Option<Duration>,
    /// From the end of encoding to the last packet's arrival.
    pub network: Option<Duration>,
    /// From there to the end of decoding, waiting for the decoder included.
    pub decode: Option<Duration>,
    /// From decoded to drawn.
    pub present: Option<Duration>,
}

/// What the robot measures about itself. `None` is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vehicle {
    /// Metres per second, reverse negative.
    pub speed: Option<f32>,
    /// Pack voltage.
    pub battery_v: Option<f32>,
    /// Voltage per cell.
    pub cell_v: Option<f32>,
    /// Charge left, 0 to 1.
    pub charge: Option<f32>,
    /// Processor temperature in degrees Celsius.
    pub temperature_c: Option<f32>,
    /// Whether the processor is throttled or under-volted.
    pub throttled: Throttled,
}

/// Whether the robot's processor is throttled or under-volted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Throttled {
    /// Runs at full speed.
    #[default]
    No,
    /// Slowed down by heat or low voltage.
    Yes,
}

/// Lap times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Laps {
    /// Number of the running lap, from 1.
    pub number: u32,
    /// Running lap.
    pub current: Duration,
    /// Lap before.
    pub last: Option<Duration>,
    /// Best of the session.
    pub best: Option<Duration>,
}

/// Position in a known world, in metres and radians.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pose {
    /// East.
    pub x: f32,
    /// North.
    pub y: f32,
    /// Zero is east, counter-clockwise.
    pub heading: f32,
    /// Centre line of the track, closed; empty if unknown.
    pub track: std::sync::Arc<[(f32, f32)]>,
}

/// Which source drives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// None: a viewer, or no device.
    #[default]
    None,
    /// The keyboard.
    Keyboard,
    /// A gamepad or wheel by name.
    Gamepad(String),
    /// A script by file name.
    Script(String),
}
