//! The call behind the window: the screen before it, and the call itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farwheel_peer::signaling::{self, Place, Role, RoomName};
use farwheel_peer::{Bind, CandidatePolicy, IceServer};
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::call::letter::{self, Kind, Wanted};
use farwheel_proto::call::ring::{Address, Attention, Outcome, Progress};

use super::dial::{self, Dialing};
use super::files;
use super::rings::{Around, Rings};
use super::{Choices, Config, Devices, Letters, Session, Side, Stage, Tiles, Way};
use crate::model::call::{self, Command, Own, Phase, PreJoin, Source, Target};
use crate::model::connect::{Field, Problem};
use crate::model::ring::Ringing;
use crate::model::settings::Calling;
use crate::model::{Model, Notice};
use crate::render::slot::Slot;
use crate::session::video::{Shown, Strip};
use crate::session::{Runtime, unix_seconds};

/// What the command line adds to every call.
#[derive(Clone, Debug)]
pub struct Options {
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Local addresses of the connections.
    pub bind: Bind,
    /// Which candidates may be used.
    pub candidates: CandidatePolicy,
    /// STUN and TURN servers for calls without a server.
    pub ice_servers: Vec<IceServer>,
    /// Whether to look for the strip.
    pub strip: Strip,
    /// How much data may be spent.
    pub thrift: Thrift,
    /// Largest file that is taken, in MB, instead of what the settings say.
    pub file_limit_mb: Option<u32>,
    /// Devices to begin with.
    pub choices: Choices,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca: None,
            bind: Bind::Everywhere,
            candidates: CandidatePolicy::All,
            ice_servers: Vec::new(),
            strip: Strip::Ignore,
            thrift: Thrift::Free,
            file_limit_mb: None,
            choices: Choices::default(),
        }
    }
}

/// The call under way, or what there is before it.
#[derive(Default)]
pub struct Desk {
    options: Options,
    place: Option<Here>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    notices: Vec<Notice>,
    rings: Rings,
}

struct Here {
    /// Where to; none where letters lead to it.
    target: Option<Target>,
    devices: Arc<Devices>,
    session: Option<Session>,
    dialing: Option<Dialing>,
    problem: Option<Problem>,
    /// What is wrong with an offer that was given.
    wrong: Option<String>,
}

impl Here {
    fn letters(&self) -> call::Letters {
        match self.session.as_ref().map(Session::stage) {
            Some(Stage::Letter { kind: Kind::Offer, letter, problem }) => {
                call::Letters::Offer { letter, problem }
            }
            Some(Stage::Letter { kind: Kind::Answer, letter, .. }) => call::Letters::Answer { letter },
            Some(_) => call::Letters::Busy("Just a moment"),
            None => call::Letters::Begin(self.wrong.clone()),
        }
    }
}

impl Desk {
    /// No call.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// The call under way.
    pub fn session(&self) -> Option<(&Session, &Devices)> {
        let here = self.place.as_ref()?;
        Some((here.session.as_ref()?, &here.devices))
    }

    /// Where pictures of this source arrive.
    pub fn picture(&self, source: Source) -> Option<Slot> {
        let here = self.place.as_ref()?;
        match source {
            Source::Own => Some(here.devices.own().clone()),
            Source::OwnScreen => Some(here.devices.own_screen().clone()),
            Source::Camera(_) | Source::Screen(_) => here.session.as_ref()?.picture(source),
        }
    }

    /// The own camera's pictures, while it is there.
    pub(crate) fn own(&self) -> Option<&Slot> {
        self.place.as_ref().map(|here| here.devices.own())
    }

    /// Why the own camera gives none.
    pub(crate) fn camera_problem(&self) -> Option<String> {
        let mut own = Own::default();
        self.place.as_ref()?.devices.fill(&mut own);
        own.camera.problem
    }

    /// Sets what is called when something changes or a picture comes.
    pub fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.rings.on_change(Arc::clone(&wake));
        self.wake = Some(wake);
        self.tell_wake();
    }

    fn tell_wake(&self) {
        let (Some(here), Some(wake)) = (&self.place, &self.wake) else { return };
        for slot in [here.devices.own(), here.devices.own_screen()] {
            let wake = Arc::clone(wake);
            slot.on_put(move || wake());
        }
        if let Some(session) = &here.session {
            session.on_change(Arc::clone(wake));
        }
        if let Some(dialing) = &here.dialing {
            dialing.on_change(Arc::clone(wake));
        }
    }

    /// Brings the model up to this instant; `name` is what others see.
    pub fn refresh(&mut self, model: &mut Model, runtime: &Runtime, name: &str, calling: &Calling) {
        model.notices.append(&mut self.notices);
        self.follow_line(runtime, name, calling);
        self.follow_dialing(runtime, name, calling);
        self.rings.fill(model);
        let Some(here) = &mut self.place else {
            (model.prejoin, model.call) = (None, None);
            return;
        };
        let mut own = Own { name: name.to_owned(), ..Own::default() };
        here.devices.fill(&mut own);
        let stage = here.session.as_ref().map(Session::stage);
        if let Some(session) = &here.session {
            session.note_drawn();
            model.notices.extend(session.take_notices());
        }
        let phase = match stage {
            Some(Stage::In) => {
                let session = here.session.as_ref().expect("it has a stage");
                let mut call = (*session.view()).clone();
                call.own = own;
                (model.prejoin, model.call) = (None, Some(call));
                return;
            }
            Some(Stage::Joining | Stage::Letter { .. }) => Phase::Joining,
            Some(Stage::Waiting) => Phase::Waiting,
            Some(Stage::Over(words)) => {
                model.notices.push(Notice::good(words));
                self.place = None;
                (model.prejoin, model.call) = (None, None);
                return;
            }
            // It is sought again.
            Some(Stage::Unreachable(problem)) => Phase::Failed(problem),
            Some(Stage::Ended(problem)) => {
                here.session = None;
                here.problem = Some(problem.clone());
                Phase::Failed(problem)
            }
            None => match (&here.dialing, &here.problem) {
                (Some(dialing), _) => ringing(dialing),
                (None, Some(problem)) => Phase::Failed(problem.clone()),
                (None, None) => Phase::Idle,
            },
        };
        let is_testing = here.devices.is_testing();
        model.call = None;
        let letters = here.target.is_none().then(|| here.letters());
        let target = here.target.clone().unwrap_or_default();
        model.prejoin = Some(PreJoin { target, letters, own, phase, is_testing });
    }

    /// Lets others ring as the settings say, and goes where a ring was accepted.
    fn follow_line(&mut self, runtime: &Runtime, name: &str, calling: &Calling) {
        let is_occupied =
            self.place.as_ref().is_some_and(|here| here.session.is_some() || here.dialing.is_some());
        let around = Around {
            runtime,
            name,
            calling,
            ca: self.options.ca.clone(),
            home: home(),
            speaker: self.options.choices.clone().with(calling).speaker,
            attention: if is_occupied { Attention::Occupied } else { Attention::Free },
        };
        if let Some(target) = self.rings.follow(&around) {
            self.prepare(Some(target), calling);
            self.join(runtime, name, calling);
        }
    }

    /// Goes into the call once the other side has taken it.
    fn follow_dialing(&mut self, runtime: &Runtime, name: &str, calling: &Calling) {
        let Some(here) = &mut self.place else { return };
        let Some(dialing) = &here.dialing else { return };
        let status = dialing.status();
        match status.progress {
            Progress::Over(Outcome::Accepted(room)) => {
                here.dialing = None;
                if let Some(target) = &mut here.target {
                    target.room = room.to_string();
                }
                self.join(runtime, name, calling);
            }
            Progress::Over(outcome) => {
                here.dialing = None;
                here.problem = dial::failure(&outcome, status.name.as_deref());
            }
            Progress::Reaching | Progress::Seeking | Progress::Calling | Progress::Ringing => {
                let is_refused = dialing.is_refused();
                if let Some(problem) = status.problem.filter(|_| is_refused) {
                    (here.dialing, here.problem) = (None, Some(problem));
                }
            }
        }
    }

    /// Spends little data from now on, or as much as is of use.
    pub fn set_thrift(&mut self, thrift: Thrift) {
        if let Some(here) = &self.place {
            here.devices.set_thrift(thrift);
        }
    }

    /// Takes files of at most so many megabytes from now on.
    pub fn set_file_limit(&mut self, megabytes: u32) {
        // What is chosen now counts more than what the command line said.
        self.options.file_limit_mb = None;
        if let Some(session) = self.place.as_ref().and_then(|here| here.session.as_ref()) {
            session.execute(Command::FileLimit(bytes(megabytes)));
        }
    }

    /// Executes what the user asked for; `name` is what others see, `calling` is how the user calls where the command line
    /// did not say.
    pub fn execute(&mut self, command: Command, runtime: &Runtime, name: &str, calling: &Calling) {
        match command {
            Command::Prepare(target) => self.prepare(Some(target), calling),
            Command::PrepareLetters => self.prepare(None, calling),
            Command::Offer => self.meet(Side::Offer, runtime, name, calling),
            Command::Answer(text) => self.answer(&text, runtime, name, calling),
            Command::Accept(answer) => {
                if let Some(session) = self.place.as_ref().and_then(|here| here.session.as_ref()) {
                    session.accept(answer);
                }
            }
            Command::Dismiss => self.place = None,
            Command::Join => self.join(runtime, name, calling),
            // The screen before the call comes back: it may have been left by mistake.
            Command::Leave => {
                if let Some(here) = &mut self.place {
                    (here.session, here.dialing, here.problem) = (None, None, None);
                }
                // Letters count once.
                self.place.take_if(|here| here.target.is_none());
            }
            Command::AnswerRing(answer) => self.rings.answer(answer),
            Command::LineToken(target) => self.rings.set_token(&target),
            Command::ForgetMissed => self.rings.forget_missed(),
            command => {
                let Some(here) = &self.place else { return };
                if here.devices.execute(&command) {
                    return;
                }
                if let Some(session) = &here.session {
                    session.execute(command);
                }
            }
        }
    }

    fn prepare(&mut self, target: Option<Target>, calling: &Calling) {
        if let Some(here) = &mut self.place {
            (here.session, here.dialing, here.problem, here.wrong) = (None, None, None, None);
            here.target = target;
            return;
        }
        let choices = Choices { home: home(), ..self.options.choices.clone().with(calling) };
        match Devices::open(choices) {
            Ok(devices) => {
                let devices = Arc::new(devices);
                let (session, dialing, problem, wrong) = (None, None, None, None);
                self.place = Some(Here { target, devices, session, dialing, problem, wrong });
                self.tell_wake();
            }
            Err(error) => self.notices.push(Notice::bad(format!("The call cannot start: {error}."))),
        }
    }

    fn join(&mut self, runtime: &Runtime, name: &str, calling: &Calling) {
        let Some(here) = &mut self.place else { return };
        here.problem = None;
        let Some(target) = here.target.clone() else { return };
        if let Ok(address) = target.room.trim().parse::<Address>() {
            let dialing = dial(here, &target, address, &self.options, runtime, name);
            here.dialing = Some(dialing);
            self.tell_wake();
            return;
        }
        let room: RoomName = match target.room.parse() {
            Ok(room) => room,
            Err(error) => {
                here.problem = Some(Problem {
                    what: format!("{:?} is no name of a room: {error}.", target.room),
                    remedy: "Write the name that the others use.".into(),
                    code: Some("bad_room".into()),
                    field: Field::Room,
                });
                return;
            }
        };
        let way = Way::Room(signaling::Config {
            server: target.server,
            place: Place::room(room, Role::Caller),
            name: name.to_owned(),
            token: Some(target.token).filter(|token| !token.is_empty()),
            ca: self.options.ca.clone(),
        });
        self.start(way, runtime, calling);
    }

    /// Answers an offer, or says what is wrong with it.
    fn answer(&mut self, text: &str, runtime: &Runtime, name: &str, calling: &Calling) {
        match letter::read(text, Wanted::Offer, unix_seconds()) {
            Ok(offer) => self.meet(Side::Answer(offer), runtime, name, calling),
            Err(error) => {
                if let Some(here) = &mut self.place {
                    here.wrong = Some(error.sentence());
                }
            }
        }
    }

    /// Meets the other one by letters.
    fn meet(&mut self, side: Side, runtime: &Runtime, name: &str, calling: &Calling) {
        let ice_servers = self.options.ice_servers.clone();
        self.start(Way::Letters(Letters { name: name.to_owned(), ice_servers, side }), runtime, calling);
    }

    fn start(&mut self, way: Way, runtime: &Runtime, calling: &Calling) {
        let Some(here) = &mut self.place else { return };
        (here.problem, here.wrong) = (None, None);
        let config = Config {
            way,
            bind: self.options.bind.clone(),
            candidates: match calling.relay_only {
                true => CandidatePolicy::RelayOnly,
                false => self.options.candidates,
            },
            shown: Shown::WhenDrawn,
            strip: self.options.strip,
            left_out: LEFT_OUT,
            tiles: Tiles::Told,
            thrift: if calling.low_data { Thrift::Low } else { self.options.thrift },
            files: files::Config {
                folder: files_folder(),
                limit: bytes(self.options.file_limit_mb.unwrap_or(calling.file_limit_mb)),
                offers: files::Offers::Ask,
            },
            home: home(),
            recordings: None,
        };
        here.session = Some(Session::start(runtime.clone(), config, Arc::clone(&here.devices)));
        self.tell_wake();
    }
}

/// Rings there.
fn dial(
    here: &Here,
    target: &Target,
    address: Address,
    options: &Options,
    runtime: &Runtime,
    name: &str,
) -> Dialing {
    let config = dial::Config {
        address,
        server: target.server.clone(),
        name: name.to_owned(),
        token: Some(target.token.clone()).filter(|token| !token.is_empty()),
        ca: options.ca.clone(),
        home: home(),
    };
    Dialing::start(runtime.clone(), config, Arc::clone(&here.devices))
}

/// How far a call to somebody's line is.
fn ringing(dialing: &Dialing) -> Phase {
    let status = dialing.status();
    match status.progress {
        Progress::Reaching | Progress::Over(_) => Phase::Joining,
        Progress::Seeking | Progress::Calling => Phase::Ringing(Ringing::Seeking),
        Progress::Ringing => Phase::Ringing(Ringing::Rings(status.name)),
    }
}

/// Where this device's identity is kept.
pub(crate) fn home() -> Option<PathBuf> {
    let store = crate::settings::Store::open().ok()?;
    store.path().parent().map(Path::to_owned)
}

/// Where received files go.
pub(crate) fn files_folder() -> PathBuf {
    directories::UserDirs::new()
        .and_then(|dirs| dirs.download_dir().map(|dir| dir.join("Farwheel")))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// As disks count.
pub(crate) const fn bytes(megabytes: u32) -> u64 {
    megabytes as u64 * 1_000_000
}

/// The first pictures of somebody are as old as the connection is slow to be made.
const LEFT_OUT: Duration = Duration::from_secs(3);
