//! What the window shows: the model is filled from the stay, the input and the settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farwheel_proto::age::Percentiles;
use farwheel_proto::control::telemetry::{Fast, Slow};
use farwheel_proto::control::{DisarmReason, Flags, Status as RobotStatus};

use super::Stay;
use crate::input::select;
use crate::model::Model;
use crate::model::connect::{Recent, Role, Step, Target};
use crate::model::drive::{
    Arm, Deadman, Drive, Figures, Input, Laps, Lease, Link, Motion, Picture, Pose, Signaling, Throttled,
    Vehicle,
};
use crate::model::gamepad::{Device, Wizard as WizardView};
use crate::model::stats::{Counter, Row, Sample};
use crate::session::hands::{self, Hands};
use crate::session::status::Stage;
use crate::session::unix_seconds;
use crate::session::{Status, dialogue};
use crate::settings::{Settings, profile_key};

impl Stay {
    /// Adds a sample to the plots ten times a second; true if it did.
    pub(super) fn sample(&mut self, status: &Status, now: Instant) -> bool {
        if now.saturating_duration_since(self.sampled_at) < Duration::from_millis(100) {
            return false;
        }
        self.sampled_at = now;
        let mut figures = self.session.figures();
        let ms = |value: Option<Duration>| value.map_or(f32::NAN, |v| v.as_secs_f32() * 1e3);
        let loop_age = status.fast.and_then(|(fast, _)| fast.loop_age_ms);
        let lasted = now.saturating_duration_since(self.started);
        self.stats.push(Sample {
            at_s: lasted.as_secs_f64(),
            picture_age_ms: ms(figures.age(now)),
            loop_age_ms: loop_age.map_or(f32::NAN, f32::from),
            rtt_ms: ms(status.rtt),
            bitrate_mbps: (figures.bitrate(now) / 1e6) as f32,
            fps: figures.fps(now),
            loss_percent: status.loss.map_or(f32::NAN, |loss| loss * 100.0),
        });
        let summary = figures.summary(now);
        drop(figures);
        self.stats.rows = summary.rows.iter().map(|(name, p)| row(name, p)).collect();
        let totals = summary.totals;
        let count = |name: &str, value: String| Counter { name: name.into(), value };
        self.stats.counters = vec![
            count("Pictures decoded", totals.decoded.to_string()),
            count("Pictures shown", totals.shown.to_string()),
            count("Pictures broken", totals.broken.to_string()),
            count("Pictures overtaken", self.overtaken().to_string()),
            count("Key frames asked for", status.stats.keyframes_requested.to_string()),
            count("Packets lost", status.stats.packets_lost.to_string()),
            count("Video received", format!("{:.1} MB", totals.bytes as f64 / 1e6)),
            count("Stalled", format!("{:.1} s", summary.by_header.stall.as_secs_f64())),
            count("Connections", status.connected.to_string()),
            count("Path", status.stats.pair.map_or("-".into(), |pair| pair.to_string())),
            count("Second path of commands", status.second_path.clone().unwrap_or_else(|| "-".into())),
        ];
        self.stats.lasted = lasted;
        true
    }

    fn overtaken(&self) -> u64 {
        let totals = self.session.figures().totals();
        totals.decoded.saturating_sub(totals.shown)
    }
}

fn row(name: &str, p: &Percentiles) -> Row {
    let ms = |value: Duration| value.as_secs_f64() * 1e3;
    Row {
        name: name.into(),
        p50_ms: ms(p.p50),
        p95_ms: ms(p.p95),
        p99_ms: ms(p.p99),
        max_ms: ms(p.max),
        count: p.count,
    }
}

pub(super) fn step(status: &Status) -> Step {
    match &status.stage {
        Stage::Reaching | Stage::Unreachable { .. } | Stage::Ended(_) => Step::ReachServer,
        Stage::Looking | Stage::WaitingForRobot => Step::FindRobot,
        Stage::Connecting | Stage::Retrying { .. } => Step::OpenLink,
        Stage::Connected | Stage::Silent { .. } => Step::FirstPicture,
    }
}

pub(super) fn fill_drive(
    model: &mut Model,
    stay: &mut Stay,
    status: &Status,
    view: hands::View,
    now: Instant,
) {
    let target = &stay.target;
    let robot = status.robot.clone().unwrap_or_else(|| target.room.clone());
    let drive =
        model.drive.get_or_insert_with(|| Drive::new(robot.clone(), target.room.clone(), target.role));
    drive.robot = robot;
    drive.room.clone_from(&target.room);
    drive.role = target.role;
    let mut figures = stay.session.figures();
    let has_picture = figures.totals().shown > 0;
    let heard = status.fast.map(|(_, at)| now.saturating_duration_since(at));
    drive.link = match &status.stage {
        Stage::Connected => Link::Connected {
            signaling: if status.signaling { Signaling::Online } else { Signaling::Offline },
        },
        _ if status.connected == 0 => Link::Opening(step(status)),
        _ => Link::Lost {
            since: heard.unwrap_or_else(|| now.saturating_duration_since(status.stage_since)),
            attempts: status.attempts,
        },
    };
    drive.picture = match figures.unchanged(now) {
        // Decoded and waiting for its first paint.
        None if figures.totals().decoded > 0 && status.is_connected() => Picture::Live,
        None => Picture::None,
        Some(since) if !status.is_connected() => Picture::Lost { since },
        Some(since) if since > FROZEN => Picture::Frozen { since },
        Some(_) => Picture::Live,
    };
    drive.lease = if target.role == Role::Driver || matches!(status.lease, Lease::Other { .. }) {
        status.lease.clone()
    } else {
        Lease::Free
    };
    let fast = status.fast.filter(|_| status.is_connected()).map(|(fast, _)| fast);
    drive.arm = arm(fast.as_ref(), view.arm_progress);
    drive.deadman = if view.deadman { Deadman::Held } else { Deadman::Released };
    drive.commanded = Motion { throttle: view.shaped.throttle, steer: view.shaped.steer };
    drive.applied =
        fast.map_or(Motion::default(), |f| Motion { throttle: f.throttle.get(), steer: f.steer.get() });
    drive.governor = fast.map_or(1.0, |f| f32::from(f.governor_permille) / 1000.0);
    drive.figures = Figures {
        picture_age: figures.age(now),
        loop_age: fast.and_then(|f| f.loop_age_ms).map(|ms| Duration::from_millis(ms.into())),
        rtt: status.rtt,
        bitrate: has_picture.then(|| figures.bitrate(now)),
        fps: has_picture.then(|| figures.fps(now)),
        loss: status.loss,
        size: figures.totals().size.map(|size| (size.width, size.height)),
    };
    drive.why = status.why.look(now);
    drive.has_sound = status.has_sound && status.is_connected();
    drive.control.clone_from(&status.control);
    drive.stages = figures.stages();
    drop(figures);
    drive.vehicle = vehicle(fast.as_ref(), status.slow.as_ref());
    drive.laps = fast.and_then(|f| laps(&f, status.slow.as_ref()));
    drive.pose = status.pose.map(|pose| Pose {
        x: pose.x,
        y: pose.y,
        heading: pose.heading,
        track: Arc::clone(&status.track),
    });
    drive.viewers = u32::try_from(status.others).unwrap_or(u32::MAX);
    drive.input = match view.driving {
        _ if target.role == Role::Viewer => Input::None,
        _ if view.script.is_some() => Input::Script("Script".into()),
        Some(select::Device::Gamepad) => {
            let name = view.active.and_then(|i| view.devices.get(i)).map(|(d, _)| d.name.clone());
            Input::Gamepad(name.unwrap_or_else(|| "Gamepad".into()))
        }
        Some(select::Device::Keyboard) => Input::Keyboard,
        None => Input::None,
    };
    drive.cameras = status.cameras.0.iter().map(|camera| camera.name.clone()).collect();
    drive.camera = status
        .cameras
        .1
        .and_then(|index| status.cameras.0.iter().position(|camera| camera.index == index))
        .unwrap_or(0);
}

fn arm(fast: Option<&Fast>, progress: f32) -> Arm {
    let Some(fast) = fast else { return Arm::Unknown };
    if let Some(fault) = fast.faults.iter().next() {
        return Arm::Fault { reason: dialogue::fault_in_words(fault).into() };
    }
    match fast.status {
        RobotStatus::Armed => Arm::Armed,
        RobotStatus::LinkLoss => Arm::LinkLoss,
        RobotStatus::Stopped => Arm::Stopped { reason: "Emergency stop".into() },
        RobotStatus::Disarmed(DisarmReason::Battery) => Arm::Fault { reason: "the battery is empty".into() },
        RobotStatus::Disarmed(_) if progress > 0.0 => Arm::Arming { progress },
        RobotStatus::Disarmed(_) if fast.flags.contains(Flags::EMERGENCY_STOP) => {
            Arm::Stopped { reason: "Emergency stop".into() }
        }
        RobotStatus::Disarmed(_) => Arm::Disarmed,
    }
}

fn vehicle(fast: Option<&Fast>, slow: Option<&Slow>) -> Vehicle {
    let battery_v = slow.and_then(|s| s.battery_mv).map(|mv| f32::from(mv) / 1000.0);
    let cell_v = slow.filter(|s| s.cells > 0).and_then(|s| battery_v.map(|v| v / f32::from(s.cells)));
    Vehicle {
        speed: fast.and_then(|f| f.speed_cm_s).map(|cm| f32::from(cm) / 100.0),
        battery_v,
        cell_v,
        // A lithium cell's useful range; the curve between is flat enough for a bar.
        charge: cell_v.map(|v| ((v - 3.3) / (4.2 - 3.3)).clamp(0.0, 1.0)),
        temperature_c: slow.and_then(|s| s.temperature_dc).map(|dc| f32::from(dc) / 10.0),
        throttled: if slow.is_some_and(|s| s.throttled != 0) { Throttled::Yes } else { Throttled::No },
    }
}

fn laps(fast: &Fast, slow: Option<&Slow>) -> Option<Laps> {
    let ms = |value: Option<u32>| value.map(|ms| Duration::from_millis(ms.into()));
    Some(Laps {
        number: u32::from(fast.laps) + 1,
        current: ms(fast.lap_ms)?,
        last: ms(slow.and_then(|s| s.last_lap_ms)),
        best: ms(slow.and_then(|s| s.best_lap_ms)),
    })
}

pub(super) fn refresh_gamepad(model: &mut Model, view: &hands::View, hands: &Hands, settings: &Settings) {
    model.gamepad.devices = view
        .devices
        .iter()
        .map(|(device, sample)| Device {
            key: profile_key(&device.uuid, &device.name),
            profile: settings.profile(&device.uuid, &device.name),
            name: device.name.clone(),
            sample: sample.clone(),
            rumble: device.rumble,
        })
        .collect();
    model.gamepad.active = view.active;
    model.gamepad.shaped = view.shaped;
    model.gamepad.unavailable.clone_from(&view.unavailable);
    model.gamepad.wizard = hands.shared().wizard().as_ref().map(|wizard| {
        let (done, steps) = wizard.progress();
        WizardView {
            state: wizard.state().clone(),
            prompt: wizard.prompt(),
            complaint: wizard.complaint().map(Into::into),
            done,
            steps,
        }
    });
}

pub(super) fn refresh_recents(model: &mut Model, settings: &Settings) {
    let now_s = unix_seconds();
    let recents = settings.recent.iter().map(|recent| Recent {
        target: Target {
            server: recent.server.clone(),
            room: recent.room.clone(),
            role: Role::Driver,
            token: String::new(),
        },
        name: recent.room.clone(),
        ago: Duration::from_secs(now_s.saturating_sub(recent.last_used_s)),
    });
    model.connect.recents = recents.collect();
    if let Some(newest) = model.connect.recents.first() {
        model.connect.prefill = newest.target.clone();
    }
}

/// The newest picture is frozen when it is shown longer than this while the link is up.
const FROZEN: Duration = Duration::from_millis(300);
