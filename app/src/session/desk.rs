//! The real thing behind the window: one [`Hands`], at most one [`Session`], the settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farwheel_peer::signaling::{self, RoomName};
use farwheel_peer::{Bind, CandidatePolicy};
use farwheel_proto::age::Percentiles;
use farwheel_proto::control::telemetry::{Fast, Slow};
use farwheel_proto::control::{DisarmReason, Flags, Status as RobotStatus};

use super::hands::{Driver, Hands};
use super::status::Stage;
use super::video::{Shown, Strip};
use super::{Config, Order, Session, Status, dialogue, problem};
use crate::input::keyboard::Keys;
use crate::input::select;
use crate::input::wizard::Wizard;
use crate::model::connect::{Field, Phase, Problem, Recent, Role, Step, Target};
use crate::model::drive::{
    Arm, Deadman, Drive, Figures, Input, Laps, Lease, Link, Motion, Picture, Pose, Signaling, Stages,
    Throttled, Vehicle,
};
use crate::model::gamepad::{Device, Wizard as WizardView};
use crate::model::stats::{Counter, Row, Sample};
use crate::model::{Command, Level, Model, Notice, Stats};
use crate::render::slot::{Presented, Slot};
use crate::script::{Outcome, Player};
use crate::settings::{Settings, Store, profile_key};
use crate::ui::Backend;

/// What the window works with.
pub struct Desk {
    store: Option<Store>,
    settings: Arc<Settings>,
    hands: Option<Hands>,
    slot: Slot,
    stay: Option<Stay>,
    failed: Option<Problem>,
    notices: Vec<Notice>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    options: Options,
    quit: bool,
}

/// What the command line adds to every stay.
#[derive(Clone, Debug)]
pub struct Options {
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Proves the owner of the robot.
    pub owner_code: Option<String>,
    /// Local addresses of the connection.
    pub bind: Bind,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// Where the received video is recorded, if it is.
    pub recorder: Option<super::record::Recorder>,
    /// Whether to look for the strip.
    pub strip: Strip,
    /// Connect there at once.
    pub target: Option<Target>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca: None,
            owner_code: None,
            bind: Bind::Everywhere,
            candidates: CandidatePolicy::All,
            recorder: None,
            strip: Strip::Ignore,
            target: None,
        }
    }
}

struct Stay {
    session: Session,
    target: Target,
    started: Instant,
    stats: Stats,
    sampled_at: Instant,
    presented: Option<Presented>,
    remembered: bool,
}

impl Desk {
    /// Loads the settings and starts the input thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(store: Option<Store>, options: Options, script: Option<Player>) -> std::io::Result<Self> {
        let mut notices = Vec::new();
        let settings = match &store {
            Some(store) => {
                let loaded = store.load();
                notices.extend(loaded.warnings.into_iter().map(Notice::warning));
                loaded.settings
            }
            None => {
                notices.push(Notice::warning(
                    "There is no folder for settings; they last until the window closes.",
                ));
                Settings::default()
            }
        };
        let settings = Arc::new(settings);
        let slot = Slot::new();
        let driver = match script {
            Some(player) => Driver::Script { player: Box::new(player), slot: Some(slot.clone()) },
            None => Driver::Window(slot.clone()),
        };
        let hands = Hands::start(driver, Arc::clone(&settings))?;
        let mut desk = Self {
            store,
            settings,
            hands: Some(hands),
            slot,
            stay: None,
            failed: None,
            notices,
            wake: None,
            options,
            quit: false,
        };
        if let Some(target) = desk.options.target.take() {
            desk.connect(target);
        }
        Ok(desk)
    }

    /// Whether the user asked to close the window.
    pub fn wants_to_quit(&self) -> bool {
        self.quit
    }

    /// The stay under way.
    pub fn session(&self) -> Option<&Session> {
        self.stay.as_ref().map(|stay| &stay.session)
    }

    /// How far the script has come, if one plays.
    pub fn script(&self) -> Option<Outcome> {
        self.hands.as_ref()?.shared().view().script.map(|(outcome, _)| outcome)
    }

    /// What the last attempt to connect failed with.
    pub fn failure(&self) -> Option<&Problem> {
        self.failed.as_ref()
    }

    fn connect(&mut self, target: Target) {
        self.stay = None;
        self.failed = None;
        self.slot.clear();
        let room: RoomName = match target.room.parse() {
            Ok(room) => room,
            Err(e) => {
                self.failed = Some(Problem {
                    what: format!("{:?} is no name of a room: {e}.", target.room),
                    remedy: "Write the name that the robot was started with.".into(),
                    code: Some("bad_room".into()),
                    field: Field::Room,
                });
                return;
            }
        };
        let name = if self.settings.name.is_empty() { login_name() } else { self.settings.name.clone() };
        let config = Config {
            server: target.server.clone(),
            room,
            role: match target.role {
                Role::Driver => signaling::Role::Driver,
                Role::Viewer => signaling::Role::Viewer,
            },
            name,
            token: Some(target.token.clone()).filter(|token| !token.is_empty()),
            ca: self.options.ca.clone(),
            owner_code: self.options.owner_code.clone(),
            bind: self.options.bind.clone(),
            candidates: self.options.candidates,
            shown: Shown::WhenDrawn,
            strip: self.options.strip,
            left_out: Duration::from_secs(3),
            recorder: self.options.recorder.clone(),
        };
        match Session::start(config, self.slot.clone(), self.hands.as_ref()) {
            Ok(session) => {
                if let Some(wake) = &self.wake {
                    session.on_change(Arc::clone(wake));
                }
                let now = Instant::now();
                self.stay = Some(Stay {
                    session,
                    target,
                    started: now,
                    stats: Stats::default(),
                    sampled_at: now,
                    presented: None,
                    remembered: false,
                });
            }
            Err(e) => self.notices.push(Notice::bad(format!("The session cannot start: {e}."))),
        }
    }

    fn change_settings(&mut self, settings: Settings) {
        self.settings = Arc::new(settings);
        if let Some(hands) = &self.hands {
            hands.shared().set_settings(Arc::clone(&self.settings));
        }
        if let Some(store) = &self.store
            && let Err(e) = store.save(&self.settings)
        {
            self.notices.push(Notice::bad(format!("The settings are not saved: {e:#}.")));
        }
    }

    fn order(&self, order: Order) {
        if let Some(stay) = &self.stay {
            stay.session.order(order);
        }
    }

    fn save_wizard(&mut self) {
        let Some(hands) = &self.hands else { return };
        let Some(profile) = hands.shared().wizard().take().and_then(|wizard| wizard.profile().cloned())
        else {
            return;
        };
        let view = hands.shared().view();
        let Some((device, _)) = view.active.and_then(|index| view.devices.get(index)) else {
            self.notices.push(Notice::warning("The controller is gone; its mapping is not saved."));
            return;
        };
        let mut settings = Settings::clone(&self.settings);
        // The feel was not asked for: it stays as it was.
        let feel = settings.profile(&device.uuid, &device.name).feel;
        settings.profiles.insert(
            profile_key(&device.uuid, &device.name),
            crate::input::profile::Profile { feel, ..profile },
        );
        self.change_settings(settings);
        self.notices.push(Notice::good("The controller's mapping is saved."));
    }

    fn snapshot(&mut self) {
        let Some(picture) = self.slot.shown() else {
            self.notices.push(Notice::warning("There is no picture to save."));
            return;
        };
        let folder = directories::UserDirs::new()
            .and_then(|dirs| dirs.picture_dir().map(|dir| dir.join("Farwheel")))
            .unwrap_or_else(|| PathBuf::from("."));
        let path = folder.join(format!("farwheel-{}.png", unix_s()));
        let saved = std::fs::create_dir_all(&folder)
            .map_err(anyhow::Error::from)
            .and_then(|()| super::video::save_png(&picture.frame, &path));
        self.notices.push(match saved {
            Ok(()) => Notice::good(format!("Saved {}", path.display())),
            Err(e) => Notice::bad(format!("The picture is not saved: {e:#}.")),
        });
    }

    fn export_stats(&mut self) {
        let Some(stay) = &self.stay else { return };
        let folder = directories::UserDirs::new()
            .and_then(|dirs| dirs.document_dir().map(|dir| dir.join("Farwheel")))
            .unwrap_or_else(|| PathBuf::from("."));
        let path = folder.join(format!("farwheel-stats-{}.json", unix_s()));
        let json = crate::cli::stats::report(&stay.session);
        let saved = std::fs::create_dir_all(&folder)
            .map_err(anyhow::Error::from)
            .and_then(|()| crate::cli::stats::write(&json, &path));
        self.notices.push(match saved {
            Ok(()) => Notice::good(format!("Saved {}", path.display())),
            Err(e) => Notice::bad(format!("The figures are not saved: {e:#}.")),
        });
    }
}

impl Backend for Desk {
    fn refresh(&mut self, model: &mut Model) {
        let now = Instant::now();
        if let Some(hands) = &self.hands {
            hands.shared().note_painted(now);
            refresh_gamepad(model, hands, &self.settings);
        }
        if model.settings != *self.settings {
            model.settings = Settings::clone(&self.settings);
        }
        refresh_recents(model, &self.settings);
        let mut remember = None;
        let mut failed = None;
        match &mut self.stay {
            None => {
                model.drive = None;
                model.connect.phase = match &self.failed {
                    Some(problem) => Phase::Failed(problem.clone()),
                    None => Phase::Idle,
                };
            }
            Some(stay) => {
                let presented = self.slot.presented();
                if let Some(shown) = presented
                    && stay.presented != presented
                {
                    stay.presented = presented;
                    stay.session.figures().handle_shown(shown.id, shown.drawn_at);
                }
                let status = stay.session.status();
                model.notices.extend(stay.session.take_notices());
                match &status.stage {
                    Stage::Ended(problem) | Stage::Unreachable { problem, .. } if !status.joined => {
                        failed = Some(problem.clone());
                    }
                    Stage::Ended(problem) => failed = Some(problem.clone()),
                    _ => {
                        stay.sample(&status, now);
                        if status.is_connected() && !stay.remembered {
                            stay.remembered = true;
                            let name = status.robot.clone().unwrap_or_else(|| stay.target.room.clone());
                            remember = Some((stay.target.clone(), name));
                        }
                        let step = step(&status, stay.session.figures().totals().shown > 0);
                        model.connect.phase = Phase::Connecting(step);
                        if status.joined {
                            fill_drive(model, stay, &status, self.hands.as_ref(), now);
                        } else {
                            model.drive = None;
                        }
                        model.stats = stay.stats.clone();
                    }
                }
            }
        }
        if let Some(problem) = failed {
            self.stay = None;
            model.drive = None;
            model.connect.phase = Phase::Failed(problem.clone());
            self.failed = Some(problem);
        }
        if let Some((target, name)) = remember {
            let mut settings = Settings::clone(&self.settings);
            settings.remember(&target.server, &target.room, unix_s());
            tracing::info!(robot = name, "remembered");
            self.change_settings(settings);
        }
        model.notices.append(&mut self.notices);
    }

    fn execute(&mut self, command: Command) {
        let hands = self.hands.as_ref().map(|hands| Arc::clone(hands.shared()));
        let with = |act: &dyn Fn(&super::hands::Shared)| {
            if let Some(hands) = &hands {
                act(hands);
            }
        };
        match command {
            Command::Connect(target) => self.connect(target),
            Command::Disconnect => {
                self.stay = None;
                self.failed = None;
                self.slot.clear();
            }
            Command::ForgetRecent(target) => {
                let mut settings = Settings::clone(&self.settings);
                settings.recent.retain(|r| r.server != target.server || r.room != target.room);
                self.change_settings(settings);
            }
            Command::ArmHold => with(&|hands| hands.set_screen_arm(true)),
            Command::ArmRelease => with(&|hands| hands.set_screen_arm(false)),
            Command::Disarm => {
                with(&|hands| hands.sender().disarm());
                self.order(Order::Disarm);
            }
            Command::EmergencyStop => {
                with(&|hands| hands.sender().emergency_stop());
                self.order(Order::EmergencyStop);
            }
            Command::ResetStop => self.order(Order::ResetStop),
            Command::TakeLease => self.order(Order::TakeLease),
            Command::ReleaseLease => self.order(Order::ReleaseLease),
            Command::SelectCamera(index) => {
                if let Ok(index) = u8::try_from(index) {
                    self.order(Order::SelectCamera(index));
                }
            }
            Command::Keys(keys) => with(&|hands| hands.set_keys(keys)),
            Command::ReleaseControls => with(&|hands| {
                hands.set_granted(false);
                hands.set_keys(Keys::NONE);
                hands.set_screen_arm(false);
            }),
            Command::GrantControls => with(&|hands| hands.set_granted(true)),
            Command::ChangeSettings(settings) => self.change_settings(*settings),
            Command::SelectDevice(index) => with(&|hands| {
                if let Some((device, _)) = hands.view().devices.get(index) {
                    hands.choose(device.id);
                }
            }),
            Command::ChangeProfile { key, profile } => {
                let mut settings = Settings::clone(&self.settings);
                settings.profiles.insert(key, *profile);
                self.change_settings(settings);
            }
            Command::TestRumble => with(&|hands| hands.rumble()),
            Command::WizardStart => with(&|hands| {
                let view = hands.view();
                let name = view.active.and_then(|i| view.devices.get(i)).map(|(d, _)| d.name.clone());
                *hands.wizard() = Some(Wizard::new(name.as_deref().unwrap_or("Controller")));
            }),
            Command::WizardSkip => with(&|hands| {
                if let Some(wizard) = hands.wizard().as_mut() {
                    wizard.skip();
                }
            }),
            Command::WizardBack => with(&|hands| {
                if let Some(wizard) = hands.wizard().as_mut() {
                    wizard.back();
                }
            }),
            Command::WizardSave => self.save_wizard(),
            Command::WizardCancel => with(&|hands| *hands.wizard() = None),
            Command::ResetStats => {
                if let Some(stay) = &mut self.stay {
                    stay.stats = Stats::default();
                    *stay.session.figures() = super::figures::Figures::new(Instant::now(), Duration::ZERO);
                }
            }
            Command::ExportStats => self.export_stats(),
            Command::Snapshot => self.snapshot(),
            Command::Quit => self.quit = true,
        }
    }

    fn pictures(&self) -> &Slot {
        &self.slot
    }

    fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.slot.on_put({
            let wake = Arc::clone(&wake);
            move || wake()
        });
        if let Some(stay) = &self.stay {
            stay.session.on_change(Arc::clone(&wake));
        }
        self.wake = Some(wake);
    }
}

impl Stay {
    /// Adds a sample to the plots ten times a second.
    fn sample(&mut self, status: &Status, now: Instant) {
        if now.saturating_duration_since(self.sampled_at) < Duration::from_millis(100) {
            return;
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
            count(
                "Path",
                status.stats.pair.map_or("-".into(), |pair| format!("{} to {}", pair.local, pair.remote)),
            ),
        ];
        self.stats.lasted = lasted;
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

fn step(status: &Status, has_picture: bool) -> Step {
    match &status.stage {
        Stage::Reaching | Stage::Unreachable { .. } | Stage::Ended(_) => Step::ReachServer,
        Stage::Looking | Stage::WaitingForRobot => Step::FindRobot,
        Stage::Connecting | Stage::Retrying { .. } => Step::OpenLink,
        Stage::Connected | Stage::Silent { .. } if !has_picture => Step::FirstPicture,
        Stage::Connected | Stage::Silent { .. } => Step::FirstPicture,
    }
}

fn fill_drive(model: &mut Model, stay: &mut Stay, status: &Status, hands: Option<&Hands>, now: Instant) {
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
        _ if status.connected == 0 => Link::Opening(step(status, has_picture)),
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
    let view = hands.map(|hands| hands.shared().view()).unwrap_or_default();
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
    let stages = figures.stages();
    drop(figures);
    drive.stages = Stages {
        capture: stages.capture,
        encode: stages.encode,
        network: stages.network,
        decode: stages.decode,
        present: stages.present,
    };
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

fn refresh_gamepad(model: &mut Model, hands: &Hands, settings: &Settings) {
    let view = hands.shared().view();
    model.gamepad.devices = view
        .devices
        .into_iter()
        .map(|(device, sample)| Device {
            key: profile_key(&device.uuid, &device.name),
            profile: settings.profile(&device.uuid, &device.name),
            name: device.name,
            sample,
            rumble: device.rumble,
        })
        .collect();
    model.gamepad.active = view.active;
    model.gamepad.shaped = view.shaped;
    model.gamepad.unavailable = view.unavailable;
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

fn refresh_recents(model: &mut Model, settings: &Settings) {
    let now_s = unix_s();
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

/// Says what is wrong when a room stays empty; for the window's hint.
pub fn empty_room(room: &str) -> Notice {
    let problem = problem::no_robot(room);
    Notice { level: Level::Warning, text: format!("{} {}", problem.what, problem.remedy) }
}

fn login_name() -> String {
    std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_else(|_| "driver".into())
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The newest picture is frozen when it is shown longer than this while the link is up.
const FROZEN: Duration = Duration::from_millis(300);
