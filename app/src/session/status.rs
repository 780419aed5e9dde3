//! How a stay stands, as the worker tells it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_peer::Stats;
use farwheel_proto::control::PathCounts;
use farwheel_proto::control::event::Camera;
use farwheel_proto::control::telemetry::{Fast, Slow};
use farwheel_proto::video::Size;

use super::why::Why;
use crate::model::Notice;
use crate::model::connect::Problem;
use crate::model::drive::Lease;
use crate::script::Pose;

/// The stage of the way to a picture, and back to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Opening the WebSocket and joining the room.
    Reaching,
    /// The server is away before the room was ever joined; tried again.
    Unreachable {
        /// Why.
        problem: Problem,
        /// When it is tried again.
        retry_at: Instant,
    },
    /// In the room; no robot was seen yet.
    Looking,
    /// ICE and DTLS under way.
    Connecting,
    /// Connected.
    Connected,
    /// Was connected; telemetry is missing or the link is down.
    Silent {
        /// When the last sign of life came.
        since: Instant,
    },
    /// The link failed; the next attempt is at that time.
    Retrying {
        /// When.
        at: Instant,
    },
    /// The robot has left the room; waiting for it.
    WaitingForRobot,
    /// Over.
    Ended(Problem),
}

impl Stage {
    /// One line for each stage.
    pub fn text(&self, now: Instant) -> String {
        let left = |at: &Instant| {
            let left = at.saturating_duration_since(now);
            if left < Duration::from_millis(100) {
                "now".into()
            } else {
                format!("in {:.1} s", left.as_secs_f32())
            }
        };
        match self {
            Self::Reaching => "Reaching the server".into(),
            Self::Unreachable { problem, retry_at } => {
                format!("{} Trying again {}", problem.what, left(retry_at))
            }
            Self::Looking => "Looking for the robot".into(),
            Self::Connecting => "Connecting to the robot".into(),
            Self::Connected => "Connected".into(),
            Self::Silent { since } => {
                format!("Link lost for {:.1} s", now.saturating_duration_since(*since).as_secs_f32())
            }
            Self::Retrying { at } => format!("Link lost, trying again {}", left(at)),
            Self::WaitingForRobot => "Waiting for the robot to come back".into(),
            Self::Ended(problem) => problem.what.clone(),
        }
    }
}

/// How a stay stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// The stage.
    pub stage: Stage,
    /// When it began.
    pub stage_since: Instant,
    /// Whether the signalling server is reachable; driving goes on without it.
    pub signaling: bool,
    /// Whether the room was joined at least once.
    pub joined: bool,
    /// Connections that stood so far.
    pub connected: u32,
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// Name of the robot, once it said so.
    pub robot: Option<String>,
    /// The lease.
    pub lease: Lease,
    /// Newest fast telemetry and when it came.
    pub fast: Option<(Fast, Instant)>,
    /// Newest slow telemetry.
    pub slow: Option<Slow>,
    /// The robot's cameras and the one that is sent.
    pub cameras: (Vec<Camera>, Option<u8>),
    /// Others in this robot's company.
    pub others: usize,
    /// Where the car is, if it says so.
    pub pose: Option<Pose>,
    /// Centre line of its track; empty if unknown.
    pub track: Arc<[(f32, f32)]>,
    /// Round trip of the clock probes.
    pub rtt: Option<Duration>,
    /// Figures of the connection.
    pub stats: Stats,
    /// Share of video packets lost in the last second.
    pub loss: Option<f32>,
    /// Whether the robot has a microphone or a speaker.
    pub has_sound: bool,
    /// Why the picture is what it is.
    pub why: Why,
    /// How commands travel, in one line.
    pub control: Option<String>,
    /// The name of the second path, while commands travel on it.
    pub second_path: Option<String>,
    /// By which path commands came first, as the robot tells it.
    pub came_first: PathCounts,
    /// What to show, oldest first. Full: the oldest of 16 goes.
    pub notices: VecDeque<Notice>,
}

impl Status {
    /// Size of the pictures of the camera that is sent, as the robot tells it; none if that is no size of a picture.
    pub(super) fn camera_size(&self) -> Option<Size> {
        let (cameras, selected) = &self.cameras;
        let camera = cameras.iter().find(|camera| Some(camera.index) == *selected)?;
        let is_side = |side: u16| side.is_multiple_of(2) && CAMERA_SIDES.contains(&side);
        let is_size = is_side(camera.width) && is_side(camera.height);
        is_size.then(|| Size::new(camera.width.into(), camera.height.into()))
    }

    pub(super) fn new(now: Instant) -> Self {
        Self {
            stage: Stage::Reaching,
            stage_since: now,
            signaling: false,
            joined: false,
            connected: 0,
            attempts: 0,
            robot: None,
            lease: Lease::Unknown,
            fast: None,
            slow: None,
            cameras: (Vec::new(), None),
            others: 0,
            pose: None,
            track: Arc::from([]),
            rtt: None,
            stats: Stats::default(),
            loss: None,
            has_sound: false,
            why: Why::default(),
            control: None,
            second_path: None,
            came_first: PathCounts::default(),
            notices: VecDeque::new(),
        }
    }

    /// Whether media and control flow.
    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    pub(super) fn set_stage(&mut self, stage: Stage, now: Instant) -> bool {
        let is_new = std::mem::discriminant(&self.stage) != std::mem::discriminant(&stage);
        if is_new {
            self.stage_since = now;
        }
        self.stage = stage;
        is_new
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}

const NOTICES_MAX: usize = 16;
/// A picture has at least a macroblock; more than this no camera of a robot has.
const CAMERA_SIDES: std::ops::RangeInclusive<u16> = 16..=4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_one_line() {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        for (stage, want) in [
            (Stage::Looking, "Looking for the robot"),
            (Stage::Connected, "Connected"),
            (Stage::Retrying { at: later }, "Link lost, trying again in 2.0 s"),
            (Stage::Retrying { at: now }, "Link lost, trying again now"),
            (Stage::WaitingForRobot, "Waiting for the robot to come back"),
        ] {
            assert_eq!(stage.text(now), want);
        }
    }

    #[test]
    fn old_notices_make_room_for_new_ones() {
        let mut status = Status::new(Instant::now());
        for i in 0..40 {
            status.notice(Notice::good(i.to_string()));
        }
        assert_eq!((status.notices.len(), status.notices[0].text.as_str()), (16, "24"));
    }

    #[test]
    fn a_camera_has_the_size_that_the_robot_tells_if_it_is_one() {
        let mut status = Status::new(Instant::now());
        assert_eq!(status.camera_size(), None);
        let camera = |index, width, height| Camera { index, name: String::new(), width, height, fps: 30 };
        for (width, height, want) in
            [(1280, 720, Some(Size::new(1280, 720))), (0, 720, None), (641, 360, None), (1280, 65_534, None)]
        {
            status.cameras = (vec![camera(0, 320, 180), camera(3, width, height)], Some(3));
            assert_eq!(status.camera_size(), want, "{width}x{height}");
        }
        status.cameras.1 = Some(9);
        assert_eq!(status.camera_size(), None, "a camera that it did not tell of");
    }
}
