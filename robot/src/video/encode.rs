//! The encode thread: newest raw picture in, one coded picture out to every viewer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use farwheel_media::VideoFrame;
use farwheel_media::encode::{self, Encoder, Order, Slices, Target};
use farwheel_media::slot::{Slot, Taken};
use farwheel_peer::{ConnId, Track};
use farwheel_proto::control::telemetry::CameraStatus;
use farwheel_proto::rate::{self, Verdict};
use farwheel_proto::video::{Bitrate, FrameKind, Size};
use tracing::{debug, info, trace, warn};

use super::{Fanout, KeyWishes, Stages, Viewer, Wish};
use crate::camera::Cameras;
use crate::clock::CarClock;
use crate::control::{Inbox, PeerId};
use crate::thread::{self, Urgency};

/// What the encode thread works with.
#[derive(Debug)]
pub struct Parts {
    /// The pictures.
    pub cameras: Cameras,
    /// Which camera the driver wants.
    pub choice: Slot<u8>,
    /// What to begin with; later each leader's link decides.
    pub target: Target,
    /// Who gets the result.
    pub fanout: Arc<Fanout>,
    /// Wishes of the viewers, and what to tell about the video.
    pub board: Arc<Board>,
    /// How long everything takes.
    pub stages: Arc<Stages>,
    /// Stamps the pictures.
    pub clock: CarClock,
    /// Who has to know which pictures were sent.
    pub inbox: Arc<Inbox>,
}

/// What other threads tell the encode thread, and learn from it.
#[derive(Debug, Default)]
pub struct Board {
    key_wanted: AtomicBool,
    key_wanted_by_follower: AtomicBool,
    leader_lost: AtomicBool,
    target: Mutex<Option<Target>>,
    skipped: AtomicU32,
    camera: AtomicU8,
    selected: AtomicU8,
    dropped: AtomicU32,
}

impl Board {
    /// A viewer came, or lost the thread.
    pub fn request_keyframe(&self, wish: Wish) {
        let wanted = match wish {
            Wish::Leader => &self.key_wanted,
            Wish::Follower => &self.key_wanted_by_follower,
        };
        wanted.store(true, Ordering::Release);
    }

    /// The leader has lost pictures for good: a recovery helps it, or else a key frame.
    pub fn handle_loss(&self) {
        self.leader_lost.store(true, Ordering::Release);
    }

    /// What the encoder aims at; `None` before the first picture.
    pub fn target(&self) -> Option<Target> {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pictures that were not worth encoding: the link was full, stood still, or has a lower frame rate.
    pub fn skipped(&self) -> u32 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// What the running camera does.
    pub fn camera(&self) -> CameraStatus {
        CAMERA_STATES[usize::from(self.camera.load(Ordering::Relaxed))]
    }

    /// Index of the running camera.
    pub fn selected(&self) -> u8 {
        self.selected.load(Ordering::Relaxed)
    }

    /// Pictures that a newer one replaced before they could be encoded.
    pub fn dropped(&self) -> u32 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn show(&self, cameras: &Cameras) -> CameraStatus {
        let status = cameras.status();
        self.camera.store(status as u8, Ordering::Relaxed);
        self.selected.store(cameras.selected(), Ordering::Relaxed);
        self.dropped.store(cameras.frames().overwritten() as u32, Ordering::Relaxed);
        status
    }
}

const CAMERA_STATES: [CameraStatus; 4] =
    [CameraStatus::None, CameraStatus::Opening, CameraStatus::Live, CameraStatus::Placeholder];

/// The running thread; joined on drop, and with it the camera's.
#[derive(Debug)]
pub struct EncodeThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EncodeThread {
    /// Opens the encoder and starts.
    ///
    /// # Errors
    /// When the encoder cannot do what is asked, or the system has no thread left.
    pub fn start(parts: Parts) -> Result<Self> {
        let encoder = Encoder::open(encode::Config::default(), parts.target).context("open the encoder")?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::spawn("encode", Urgency::Media, move || {
            let wishes = KeyWishes::default();
            Encode { parts, encoder, wishes, limited: None, told: None, recovered_at: None }.run(&is_over);
        })
        .context("start the encode thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for EncodeThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a panic ends the process");
        }
    }
}

struct Encode {
    parts: Parts,
    encoder: Encoder,
    wishes: KeyWishes,
    /// The connection that the driver has limited, and to what.
    limited: Option<(ConnId, Bitrate)>,
    /// The size of the camera's pictures, and the connection that was told of it last.
    told: Option<(ConnId, Size)>,
    /// When a loss that the leader told of was last answered with a recovery.
    recovered_at: Option<Instant>,
}

impl Encode {
    fn run(mut self, stop: &AtomicBool) {
        self.tell_cameras();
        let mut failing = false;
        while !stop.load(Ordering::Acquire) {
            if let Some(index) = self.parts.choice.take() {
                self.parts.cameras.select(index);
                info!(camera = self.parts.cameras.selected(), "camera selected");
                self.tell_cameras();
            }
            let taken = self.parts.cameras.frames().take_within(LOOK);
            let status = self.parts.board.show(&self.parts.cameras);
            match taken {
                Taken::Value(frame) => match self.handle_picture(&frame, status) {
                    Ok(()) => failing = false,
                    Err(error) => {
                        if !failing {
                            warn!(%error, "picture not encoded");
                        }
                        failing = true;
                    }
                },
                Taken::TimedOut => {}
                Taken::Closed => unreachable!("the camera lives as long as this thread"),
            }
        }
    }

    /// Encodes a picture if the link of the one it is made for has room.
    fn handle_picture(&mut self, frame: &VideoFrame, status: CameraStatus) -> Result<(), encode::Error> {
        let driver = self.parts.inbox.driver();
        let Some(leader) = self.parts.fanout.leader(driver.as_ref()) else {
            return Ok(());
        };
        self.limit(&leader, driver.as_ref());
        self.tell_size(&leader, frame.size);
        match leader.connection.admit_frame(Track::Camera) {
            Some(Verdict::Encode { .. }) => {}
            Some(Verdict::Skip(reason)) => {
                trace!(?reason, "picture skipped");
                self.parts.board.skipped.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            None => return Ok(()),
        }
        if let Some(rate::Target { bitrate, size, fps }) = leader.connection.target(Track::Camera) {
            self.encoder.set_slices(if leader.connection.is_near() { Slices::Two } else { Slices::One });
            self.encoder.set_target(Target { bitrate, size, fps })?;
            *self.parts.board.target.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(self.encoder.target());
        }
        self.encode(frame, status, &leader)
    }

    /// A camera may give other pictures than it was asked for: they keep their shape.
    fn tell_size(&mut self, leader: &Viewer, captured: Size) {
        let (conn, size) = (leader.connection.conn(), captured.within(self.parts.target.size));
        if self.told != Some((conn, size)) {
            leader.connection.set_size(Track::Camera, size);
            self.told = Some((conn, size));
        }
    }

    /// Holds the driver's link to what the driver allows, and lets go of the one before.
    fn limit(&mut self, leader: &Viewer, driver: Option<&PeerId>) {
        let limit = self.parts.inbox.video_limit().filter(|_| Some(&leader.peer) == driver);
        let wanted = limit.map(|limit| (leader.connection.conn(), limit.min(self.parts.target.bitrate)));
        if self.limited == wanted {
            return;
        }
        if let Some((conn, _)) = self.limited.take() {
            for viewer in self.parts.fanout.viewers().iter().filter(|v| v.connection.conn() == conn) {
                viewer.connection.set_bitrate_max(Track::Camera, self.parts.target.bitrate);
            }
        }
        if let Some((_, max)) = wanted {
            leader.connection.set_bitrate_max(Track::Camera, max);
        }
        info!(limit = ?wanted.map(|(_, max)| max), "video limited by the driver");
        self.limited = wanted;
    }

    fn encode(
        &mut self,
        frame: &VideoFrame,
        status: CameraStatus,
        leader: &Viewer,
    ) -> Result<(), encode::Error> {
        let taken_at = Instant::now();
        // The stages add up: what a webcam's picture waited for its conversion is not part of its capture.
        let conversion = self.parts.cameras.conversion_time();
        let raw_after = taken_at.saturating_duration_since(frame.captured_at);
        self.parts.stages.note_capture(raw_after.saturating_sub(conversion.unwrap_or_default()));
        if self.parts.board.key_wanted.swap(false, Ordering::AcqRel) {
            self.wishes.handle_request(Wish::Leader);
        }
        if self.parts.board.key_wanted_by_follower.swap(false, Ordering::AcqRel) {
            self.wishes.handle_request(Wish::Follower);
        }
        self.handle_losses(leader, taken_at);
        if self.wishes.is_due(taken_at) {
            self.encoder.request_keyframe();
        }
        let encoded = self.encoder.encode(frame)?;
        let converting = [conversion, encoded.scaling];
        self.parts
            .stages
            .note_convert(converting.into_iter().flatten().reduce(|colour, scaling| colour + scaling));
        if encoded.kind == FrameKind::Key {
            self.wishes.handle_key(taken_at);
        }
        self.parts.stages.note_encode(encoded.spent, encoded.data.len(), encoded.encoded_at);
        let captured = self.parts.clock.at(encoded.captured_at);
        // Known before it is sent: the driver's next command may name it, and a picture that is not known is none.
        // A placeholder never is one: who sees it must not drive by it.
        if status == CameraStatus::Live {
            self.parts.inbox.put_picture(captured);
        }
        let (bytes, kind) = (encoded.data.len(), encoded.kind);
        let outcome = self.parts.fanout.send(&encoded.into_frame(captured.media_time()), leader);
        if outcome.awaiting_key > 0 {
            self.wishes.handle_request(Wish::Follower);
        }
        trace!(captured_us = captured.0, bytes, ?kind, ?outcome, "picture");
        Ok(())
    }

    /// Makes the picture a recovery where the leader needs one and has an anchor. Followers may not hold it; they ask for
    /// a key frame.
    fn handle_losses(&mut self, leader: &Viewer, now: Instant) {
        let report = leader.said.report().unwrap_or_default();
        self.encoder.handle_held(&report.held.anchors().collect::<Vec<_>>());
        // The loss may yet be repaired: without an anchor the leader is left to ask.
        if leader.connection.take_recovery_order(Track::Camera) {
            let order = self.encoder.order_recovery();
            debug!(?order, "recovery ordered by the link");
            if order == Order::NoAnchor {
                leader.connection.refuse_recovery(Track::Camera);
            }
        }
        if !self.parts.board.leader_lost.swap(false, Ordering::AcqRel)
            || leader.connection.awaits_recovery(Track::Camera)
        {
            return;
        }
        let has_failed =
            self.recovered_at.is_some_and(|at| now.saturating_duration_since(at) < RECOVERY_TRUST);
        if !has_failed && self.encoder.order_recovery() == Order::Taken {
            debug!("recovery ordered by the leader");
            leader.connection.note_recovery(Track::Camera);
            self.recovered_at = Some(now);
        } else {
            self.wishes.handle_request(Wish::Leader);
        }
    }

    fn tell_cameras(&self) {
        let cameras = &self.parts.cameras;
        self.parts.inbox.put_cameras(cameras.list(), Some(cameras.selected()));
    }
}

/// Who asks again so soon after a recovery was not helped by it: the next answer is a key frame.
const RECOVERY_TRUST: Duration = Duration::from_secs(1);
/// How long the end, or the choice of another camera, waits at most.
const LOOK: Duration = Duration::from_millis(50);
