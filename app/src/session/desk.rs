//! The real thing behind the window: one [`Hands`], at most one [`Session`], the settings.

mod meet;
mod scan;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farwheel_peer::signaling::{self, RoomName};
use farwheel_peer::{Bind, CandidatePolicy};
use farwheel_proto::call::layers::Thrift;

use super::hands::{Driver, Hands};
use super::lobby::Lookout;
use super::pair::Meeting;
use super::status::Stage;
use super::video::{Shown, Strip};
use super::{Config, Order, Runtime, Session, unix_seconds};
use crate::call;
use crate::input::keyboard::Keys;
use crate::input::wizard::Wizard;
use crate::model::connect::{Field, Phase, Problem, Role, Target};
use crate::model::lobby::Place;
use crate::model::settings::Paths;
use crate::model::{Command, Model, Notice, Stats};
use crate::render::slot::{Presented, Slot};
use crate::script::{Outcome, Player};
use crate::settings::{Settings, Store, login_name, profile_key};
use crate::ui::Backend;
use view::{fill_drive, refresh_gamepad, refresh_recents, step};

/// What the window works with.
pub struct Desk {
    store: Option<Store>,
    settings: Arc<Settings>,
    hands: Hands,
    slot: Slot,
    runtime: Runtime,
    lookout: Option<Lookout>,
    meeting: Option<Meeting>,
    reading: Option<scan::Reading>,
    stay: Option<Stay>,
    failed: Option<Problem>,
    notices: Vec<Notice>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    options: Options,
    saving: Option<JoinHandle<Notice>>,
    call: call::desk::Desk,
}

/// What the command line adds to every stay.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name that others see; the one in the settings without.
    pub name: Option<String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Proves the owner of the robot.
    pub owner_code: Option<String>,
    /// Local addresses of the connection.
    pub bind: Bind,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// Whether commands travel on two paths at once; what the settings say without.
    pub control_paths: Option<Paths>,
    /// Where the received video is recorded, if it is.
    pub recorder: Option<super::record::Recorder>,
    /// Whether to look for the strip.
    pub strip: Strip,
    /// The first so much of a stay is left out of percentiles.
    pub left_out: Duration,
    /// Connect there at once.
    pub target: Option<Target>,
    /// What it adds to every call.
    pub call: call::desk::Options,
    /// Begin a call so at once.
    pub call_begin: Vec<crate::model::call::Command>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            ca: None,
            owner_code: None,
            bind: Bind::Everywhere,
            candidates: CandidatePolicy::All,
            control_paths: None,
            recorder: None,
            strip: Strip::Ignore,
            left_out: Duration::from_secs(3),
            target: None,
            call: call::desk::Options::default(),
            call_begin: Vec::new(),
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
    /// Loads the settings and starts the threads for input and network.
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
        let call = call::desk::Desk::new(options.call.clone());
        let mut desk = Self {
            store,
            settings,
            hands,
            slot,
            runtime: Runtime::start()?,
            lookout: None,
            meeting: None,
            reading: None,
            stay: None,
            failed: None,
            notices,
            wake: None,
            options,
            saving: None,
            call,
        };
        if let Some(target) = desk.options.target.take() {
            desk.connect(target);
        }
        for command in std::mem::take(&mut desk.options.call_begin) {
            desk.call(command);
        }
        Ok(desk)
    }

    /// The stay under way.
    pub fn session(&self) -> Option<&Session> {
        self.stay.as_ref().map(|stay| &stay.session)
    }

    /// How far the script has come, if one plays.
    pub fn script(&self) -> Option<Outcome> {
        self.hands.shared().view().script.map(|(outcome, _)| outcome)
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
        let config = Config {
            signaling: signaling::Config {
                server: target.server.clone(),
                place: signaling::Place::room(
                    room,
                    match target.role {
                        Role::Driver => signaling::Role::Driver,
                        Role::Viewer => signaling::Role::Viewer,
                    },
                ),
                name: self.name(),
                token: Some(target.token.clone()).filter(|token| !token.is_empty()),
                ca: self.options.ca.clone(),
            },
            owner_code: self.options.owner_code.clone(),
            bind: self.options.bind.clone(),
            candidates: self.options.candidates,
            shown: Shown::WhenDrawn,
            strip: self.options.strip,
            left_out: self.options.left_out,
            recorder: self.options.recorder.clone(),
            control_paths: self.options.control_paths.unwrap_or(self.settings.control_paths),
            sound: self.settings.sound(),
        };
        match Session::start_on(self.runtime.clone(), config, self.slot.clone(), Some(&self.hands)) {
            Ok(session) => {
                session.order(Order::LimitVideo(self.settings.video_limit()));
                session.order(Order::Hear(self.settings.hearing()));
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

    /// The name that others see.
    fn name(&self) -> String {
        let own = Some(&self.settings.name).filter(|name| !name.is_empty());
        self.options.name.as_ref().or(own).cloned().unwrap_or_else(login_name)
    }

    fn call(&mut self, command: crate::model::call::Command) {
        let name = self.name();
        self.call.execute(command, &self.runtime, &name, &self.settings.call);
    }

    fn look(&mut self, place: Place) {
        let pause = pause(&place, self.lookout.as_ref().map(Lookout::place), &self.settings);
        // The look before ends first.
        self.lookout = None;
        let wake = self.wake.clone();
        let wake = move || {
            if let Some(wake) = &wake {
                wake();
            }
        };
        let ca = self.options.ca.clone();
        self.lookout = Some(Lookout::start(&self.runtime, place, self.name(), ca, pause, wake));
    }

    fn change_settings(&mut self, settings: Settings) {
        if settings.control_paths != self.settings.control_paths {
            // What is chosen now counts more than what the command line said.
            self.options.control_paths = None;
            self.order(Order::ControlPaths(settings.control_paths));
        }
        if settings.call.low_data != self.settings.call.low_data {
            self.call.set_thrift(if settings.call.low_data { Thrift::Low } else { Thrift::Free });
        }
        if settings.call.file_limit_mb != self.settings.call.file_limit_mb {
            self.call.set_file_limit(settings.call.file_limit_mb);
        }
        self.settings = Arc::new(settings);
        self.hands.shared().set_settings(Arc::clone(&self.settings));
        self.order(Order::LimitVideo(self.settings.video_limit()));
        self.order(Order::Hear(self.settings.hearing()));
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
        let hands = self.hands.shared();
        let Some(profile) = hands.wizard().take().and_then(|wizard| wizard.profile().cloned()) else {
            return;
        };
        let view = hands.view();
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
        if self.saving.is_some() {
            self.notices.push(Notice::warning("The last picture is still being saved."));
            return;
        }
        let folder = directories::UserDirs::new()
            .and_then(|dirs| dirs.picture_dir().map(|dir| dir.join("Farwheel")))
            .unwrap_or_else(|| PathBuf::from("."));
        let path = folder.join(format!("farwheel-{}.png", unix_seconds()));
        // Not here: the window would not paint meanwhile, and a key let go would not be seen.
        let saving = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let saved = std::fs::create_dir_all(&folder)
                .map_err(anyhow::Error::from)
                .and_then(|()| super::video::save_png(&picture.frame, &path));
            match saved {
                Ok(()) => Notice::good(format!("Saved {}", path.display())),
                Err(e) => Notice::bad(format!("The picture is not saved: {e:#}.")),
            }
        });
        match saving {
            Ok(saving) => self.saving = Some(saving),
            Err(e) => self.notices.push(Notice::bad(format!("The picture is not saved: {e}."))),
        }
    }

    fn finish_saving(&mut self) {
        if let Some(saving) = self.saving.take() {
            // A panic there has been reported by its hook.
            self.notices.extend(saving.join());
        }
    }

    fn export_stats(&mut self) {
        let Some(stay) = &self.stay else { return };
        let folder = directories::UserDirs::new()
            .and_then(|dirs| dirs.document_dir().map(|dir| dir.join("Farwheel")))
            .unwrap_or_else(|| PathBuf::from("."));
        let path = folder.join(format!("farwheel-stats-{}.json", unix_seconds()));
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

impl Drop for Desk {
    fn drop(&mut self) {
        self.finish_saving();
    }
}

impl Backend for Desk {
    fn refresh(&mut self, model: &mut Model) {
        let now = Instant::now();
        self.hands.shared().note_painted(now);
        let view = self.hands.shared().view();
        refresh_gamepad(model, &view, &self.hands, &self.settings);
        if self.saving.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_saving();
        }
        if model.settings != *self.settings {
            model.settings = Settings::clone(&self.settings);
        }
        refresh_recents(model, &self.settings);
        model.pair = self.meeting.as_ref().map(Meeting::state).unwrap_or_default();
        model.connect.lobby = self.lookout.as_ref().map(Lookout::lobby);
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
                    let mut figures = stay.session.figures();
                    figures.handle_shown(shown.id, shown.drawn_at);
                    figures.handle_upload(shown.upload, shown.drawn_at);
                }
                let status = stay.session.status();
                model.notices.extend(stay.session.take_notices());
                match &status.stage {
                    Stage::Ended(problem) | Stage::Unreachable { problem, .. } if !status.joined => {
                        failed = Some(problem.clone());
                    }
                    Stage::Ended(problem) => failed = Some(problem.clone()),
                    _ => {
                        if stay.sample(&status, now) {
                            model.stats = stay.stats.clone();
                        }
                        if status.is_connected() && !stay.remembered {
                            stay.remembered = true;
                            let name = status.robot.clone().unwrap_or_else(|| stay.target.room.clone());
                            remember = Some((stay.target.clone(), name));
                        }
                        model.connect.phase = Phase::Connecting(step(&status));
                        if status.joined {
                            fill_drive(model, stay, &status, view, now);
                        } else {
                            model.drive = None;
                        }
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
            settings.remember(&target.server, &target.room, unix_seconds());
            tracing::info!(robot = name, "remembered");
            self.change_settings(settings);
        }
        let name = self.name();
        self.call.refresh(model, &self.runtime, &name, &self.settings.call);
        self.refresh_reading(model);
        model.notices.append(&mut self.notices);
    }

    fn execute(&mut self, command: Command) {
        let hands = Arc::clone(self.hands.shared());
        match command {
            Command::Connect(target) => self.connect(target),
            Command::Disconnect => {
                self.stay = None;
                self.failed = None;
                self.slot.clear();
            }
            Command::Look(place) => self.look(place),
            Command::LookAway => self.lookout = None,
            Command::Call(command) => self.call(command),
            Command::Pair(command) => self.meet(command),
            Command::Scan(command) => self.scan(command),
            Command::ForgetRecent(target) => {
                let mut settings = Settings::clone(&self.settings);
                settings.recent.retain(|r| r.server != target.server || r.room != target.room);
                self.change_settings(settings);
            }
            Command::ArmHold => hands.set_screen_arm(true),
            Command::ArmRelease => hands.set_screen_arm(false),
            Command::Disarm => {
                hands.sender().disarm();
                self.order(Order::Disarm);
            }
            Command::EmergencyStop => {
                hands.sender().emergency_stop();
                self.order(Order::EmergencyStop);
            }
            Command::ResetStop => self.order(Order::ResetStop),
            Command::Talk(key) => self.order(Order::Talk(key)),
            Command::TakeLease => self.order(Order::TakeLease),
            Command::ReleaseLease => self.order(Order::ReleaseLease),
            Command::SelectCamera(index) => {
                if let Ok(index) = u8::try_from(index) {
                    self.order(Order::SelectCamera(index));
                }
            }
            Command::Keys(keys) => hands.set_keys(keys),
            Command::ReleaseControls => {
                hands.set_granted(false);
                hands.set_keys(Keys::NONE);
                hands.set_screen_arm(false);
            }
            Command::GrantControls => hands.set_granted(true),
            Command::ChangeSettings(settings) => self.change_settings(*settings),
            Command::SelectDevice(index) => {
                if let Some((device, _)) = hands.view().devices.get(index) {
                    hands.choose(device.id);
                }
            }
            Command::ChangeProfile { key, profile } => {
                let mut settings = Settings::clone(&self.settings);
                settings.profiles.insert(key, *profile);
                self.change_settings(settings);
            }
            Command::TestRumble => hands.rumble(),
            Command::WizardStart => {
                let view = hands.view();
                let name = view.active.and_then(|i| view.devices.get(i)).map(|(d, _)| d.name.clone());
                *hands.wizard() = Some(Wizard::new(name.as_deref().unwrap_or("Controller")));
            }
            Command::WizardSkip => {
                if let Some(wizard) = hands.wizard().as_mut() {
                    wizard.skip();
                }
            }
            Command::WizardBack => {
                if let Some(wizard) = hands.wizard().as_mut() {
                    wizard.back();
                }
            }
            Command::WizardSave => self.save_wizard(),
            Command::WizardCancel => *hands.wizard() = None,
            Command::ResetStats => {
                if let Some(stay) = &mut self.stay {
                    stay.stats = Stats::default();
                    *stay.session.figures() = super::figures::Figures::new(Instant::now(), Duration::ZERO);
                }
            }
            Command::ExportStats => self.export_stats(),
            Command::Snapshot => self.snapshot(),
            // The window closes itself.
            Command::Quit => {}
        }
    }

    fn pictures(&self) -> &Slot {
        &self.slot
    }

    fn call_picture(&self, source: crate::model::call::Source) -> Option<Slot> {
        let reads = self.reading.as_ref().and_then(scan::Reading::slot).cloned();
        self.call.picture(source).or_else(|| reads.filter(|_| source == crate::model::call::Source::Own))
    }

    fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.call.on_change(Arc::clone(&wake));
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

/// How long to wait before a look: somebody may still be typing, unless the place is known or asked for again.
fn pause(place: &Place, before: Option<&Place>, settings: &Settings) -> Duration {
    let is_known = place.token.is_empty()
        && (place.server == Target::default().server
            || settings.recent.iter().any(|recent| recent.server == place.server));
    if is_known || before == Some(place) { Duration::ZERO } else { TYPING }
}

/// Longest pause between two keys of somebody who types, with room to spare.
const TYPING: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_may_still_be_typed_waits_and_a_known_one_does_not() {
        let mut settings = Settings::default();
        settings.remember("wss://example.org", "car", 1);
        let place = |server: &str, token: &str| Place::new(server, token).expect("an address");
        for (server, token, want) in [
            ("wss://example.or", "", TYPING),
            ("wss://example.org", "", Duration::ZERO),
            ("wss://example.org", "t", TYPING),
            ("ws://127.0.0.1:8443", "", Duration::ZERO),
        ] {
            let place = place(server, token);
            assert_eq!(pause(&place, None, &settings), want, "{server} {token}");
            assert_eq!(pause(&place, Some(&place), &settings), Duration::ZERO);
        }
    }
}
