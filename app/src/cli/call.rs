//! `farwheel call`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use farwheel_media::audio;
use farwheel_media::capture::{Overlay, Spec};
use farwheel_peer::signaling::{self, PeerId, Place, Role, RoomName};
use farwheel_peer::{Bind, CandidatePolicy};
use farwheel_proto::call::Tile;
use farwheel_proto::call::layers::Thrift;
use farwheel_proto::video::Size;

use super::signals::Stop;
use super::{Exit, Measure, parse_size, stats, window};
use crate::call::files;
use crate::call::{self, Choices, Devices, Session, Stage, Tiles};
use crate::model::call::{self as model, Command, Link, Own, Progress, Server, Target};
use crate::model::connect::Problem;
use crate::model::invitation;
use crate::session::Runtime;
use crate::session::video::Shown;

/// Arguments of `farwheel call`.
#[derive(Clone, Debug, Args)]
pub(super) struct Call {
    /// Name of the room, or a join link (farwheel://call?server=..&room=..).
    room: String,
    /// Address of the signalling server, for example wss://example.org; a join link has its own.
    #[arg(long, env = "FARWHEEL_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File with the token for the server.
    #[arg(long, env = "FARWHEEL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file with certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Name that others see [default: your login name].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Use relayed connections only: the others do not learn this computer's address.
    #[arg(long)]
    relay_only: bool,
    /// Gather addresses from the loopback interface only: everybody is on this computer.
    #[arg(long)]
    loopback: bool,
    /// Spend little data: small pictures, few of them.
    #[arg(long)]
    low_data: bool,
    /// The camera: usb:0, usb:/dev/video0, test, command:<program>, or none [default: the first one there is].
    #[arg(long, value_name = "CAMERA")]
    camera: Option<String>,
    /// Size of the camera's pictures.
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1280x720")]
    size: Size,
    /// Pictures a second of the camera.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// The microphone: default, none, test, wav:FILE, loop:FILE or a device's name.
    #[arg(long, value_name = "DEVICE", default_value = "default")]
    microphone: audio::Spec,
    /// The speaker: default, none, test, wav:FILE or a device's name.
    #[arg(long, value_name = "DEVICE", default_value = "default")]
    speaker: audio::Spec,
    /// How picture ages are measured.
    #[arg(long, value_enum, default_value_t)]
    pub(super) measure: Measure,
    /// Without a window.
    #[arg(long)]
    headless: bool,
    /// Without a window: show the others' pictures as if so large.
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "640x360", requires = "headless")]
    tile: Size,
    /// Leave after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Without a window: write figures to this file at the end (- is stdout).
    #[arg(long, value_name = "FILE", requires = "headless")]
    report: Option<PathBuf>,
    /// Without a window: leave so many seconds at the start out of the figures.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, requires = "headless")]
    left_out: f64,
    /// Without a window: write this to all once somebody is there.
    #[arg(long, value_name = "TEXT", requires = "headless")]
    say: Option<String>,
    /// Without a window: send this file to all once somebody is there.
    #[arg(long, value_name = "FILE", requires = "headless")]
    send: Option<PathBuf>,
    /// Without a window: take every file that is offered, into this folder.
    #[arg(long, value_name = "FOLDER", requires = "headless")]
    accept_files: Option<PathBuf>,
    /// Without a window, as a moderator: let in whoever knocks, or turn them away.
    #[arg(long, value_enum, value_name = "WHAT", requires = "headless")]
    knocks: Option<Knocks>,
    /// Without a window, as a moderator: lock the room on joining.
    #[arg(long, requires = "headless")]
    lock: bool,
}

/// What a headless moderator does with those who knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Knocks {
    /// Lets them in.
    Admit,
    /// Turns them away.
    Deny,
}

impl Call {
    /// Where to.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let token = self.token_file.as_deref().map(super::read_secret).transpose()?.unwrap_or_default();
        if let Some(target) = invitation::parse(&self.room) {
            return Ok(Target { token, ..target });
        }
        let room: RoomName = self
            .room
            .parse()
            .map_err(|error| anyhow::anyhow!("{:?} is no room and no join link: {error}", self.room))?;
        let server =
            self.server.clone().ok_or_else(|| anyhow::anyhow!("give --server, or a join link with one"))?;
        Ok(Target { server, room: room.to_string(), token })
    }

    pub(super) fn bind(&self) -> Bind {
        if self.loopback { Bind::Loopback } else { Bind::Everywhere }
    }

    pub(super) fn candidates(&self) -> CandidatePolicy {
        if self.relay_only { CandidatePolicy::RelayOnly } else { CandidatePolicy::All }
    }

    pub(super) fn thrift(&self) -> Thrift {
        if self.low_data { Thrift::Low } else { Thrift::Free }
    }

    pub(super) fn choices(&self) -> anyhow::Result<Choices> {
        let is_none = self.camera.as_deref() == Some("none");
        let camera: Option<Spec> = self.camera.as_deref().filter(|_| !is_none).map(str::parse).transpose()?;
        let overlay = if self.measure == Measure::Strip { Overlay::Strip } else { Overlay::None };
        Ok(Choices {
            camera,
            size: self.size,
            fps: self.fps,
            overlay,
            is_camera_on: !is_none,
            microphone: self.microphone.clone(),
            speaker: self.speaker.clone(),
            ..Choices::default()
        })
    }

    pub(super) fn lasts(&self) -> Option<Duration> {
        self.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    fn config(&self, target: &Target) -> anyhow::Result<call::Config> {
        let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        Ok(call::Config {
            signaling: signaling::Config {
                server: target.server.clone(),
                place: Place::room(target.room.parse()?, Role::Caller),
                name: self.name.clone().unwrap_or_else(crate::settings::login_name),
                token: Some(target.token.clone()).filter(|token| !token.is_empty()),
                ca: self.ca.clone(),
            },
            bind: self.bind(),
            candidates: self.candidates(),
            shown: Shown::WhenDecoded,
            strip: self.measure.strip(self.report.is_some()),
            left_out: Duration::try_from_secs_f64(self.left_out).unwrap_or_default(),
            tiles: Tiles::Fixed {
                camera: Tile { width: side(self.tile.width), height: side(self.tile.height) },
                screen: Tile { width: 1920, height: 1080 },
            },
            thrift: self.thrift(),
            files: files::Config {
                folder: self.accept_files.clone().unwrap_or_else(call::desk::files_folder),
                limit: call::desk::FILE_MAX,
                offers: match self.accept_files {
                    Some(_) => files::Offers::Take,
                    None => files::Offers::Ask,
                },
            },
            home: None,
        })
    }
}

pub(super) fn run(args: Call) -> anyhow::Result<Exit> {
    let target = args.target()?;
    if !args.headless {
        return window::call(args, target);
    }
    let stop = Stop::listen(std::thread::current())?;
    let devices = Arc::new(Devices::open(args.choices()?)?);
    let session = Session::start(Runtime::start()?, args.config(&target)?, Arc::clone(&devices));
    let mut attendant = Attendant::new(&args, &session);
    let exit = attendant.attend(&stop);
    if let Some(path) = &args.report {
        let spent = call::report::cpu().zip(attendant.cpu).map(|(now, then)| now.saturating_sub(then));
        let lasted = attendant.counted_from.map_or(Duration::ZERO, |from| from.elapsed());
        stats::write(&call::report::report(&session, &devices, lasted, spent), path)?;
    }
    drop(session);
    Ok(exit)
}

/// Says on stderr what happens in the call, and does what the arguments say.
struct Attendant<'a> {
    args: &'a Call,
    session: &'a Session,
    start: Instant,
    /// Processor time when the figures began to count.
    cpu: Option<Duration>,
    counted_from: Option<Instant>,
    said: BTreeMap<PeerId, (String, &'static str)>,
    /// Those who knocked and have their answer.
    answered: BTreeSet<PeerId>,
    /// Lines of the chat and files that were told of.
    lines: usize,
    files: BTreeMap<u64, &'static str>,
    has_spoken: bool,
    /// How each device was last.
    devices: [String; 3],
    is_in: bool,
    is_away: bool,
    is_locked: bool,
}

impl<'a> Attendant<'a> {
    fn new(args: &'a Call, session: &'a Session) -> Self {
        Self {
            args,
            session,
            start: Instant::now(),
            cpu: None,
            counted_from: None,
            said: BTreeMap::new(),
            answered: BTreeSet::new(),
            is_in: false,
            lines: 0,
            files: BTreeMap::new(),
            has_spoken: false,
            devices: Default::default(),
            is_away: false,
            is_locked: false,
        }
    }

    fn say(&self, line: &str) {
        eprintln!("{:7.2} s  {line}", self.start.elapsed().as_secs_f32());
    }

    fn attend(&mut self, stop: &Stop) -> Exit {
        let mut stage = Stage::Joining;
        loop {
            let now = self.session.stage();
            if now != stage {
                match &now {
                    Stage::Joining => {}
                    Stage::Unreachable(problem) => self.say(&format!("{} Trying again", problem.what)),
                    Stage::Waiting => self.say("Waiting to be let in"),
                    Stage::In => self.enter(),
                    Stage::Ended(problem) => return fail(problem),
                }
                stage = now;
            }
            for notice in self.session.take_notices() {
                eprintln!("           {}", notice.text);
            }
            if self.is_in {
                self.follow();
            }
            if stop.is_asked() || self.args.lasts().is_some_and(|lasts| self.start.elapsed() >= lasts) {
                self.say("Leaving");
                return if self.is_in { Exit::Done } else { Exit::Unreachable };
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn enter(&mut self) {
        if std::mem::replace(&mut self.is_in, true) {
            return;
        }
        self.say("In the room");
        if self.args.lock {
            self.session.execute(Command::Lock(crate::model::call::Switch::On));
        }
    }

    fn follow(&mut self) {
        let view = self.session.view();
        if self.counted_from.is_none() && self.start.elapsed().as_secs_f64() >= self.args.left_out {
            self.counted_from = Some(Instant::now());
            self.cpu = call::report::cpu();
        }
        if view.is_locked != self.is_locked {
            self.is_locked = view.is_locked;
            self.say(if view.is_locked { "The room is locked" } else { "The room is open" });
        }
        let is_away = view.server != Server::Here;
        if is_away != self.is_away {
            self.is_away = is_away;
            self.say(if is_away { "The server is gone; the call goes on" } else { "The server is back" });
        }
        for (id, name) in &view.knocking {
            let Some(knocks) = self.args.knocks.filter(|_| self.answered.insert(*id)) else { continue };
            let (command, word) = match knocks {
                Knocks::Admit => (Command::Admit(*id), "Letting in"),
                Knocks::Deny => (Command::Deny(*id), "Turning away"),
            };
            self.say(&format!("{word} {name}"));
            self.session.execute(command);
        }
        self.follow_talk(&view);
        self.follow_devices(&view.own);
        let mut said = BTreeMap::new();
        for member in &view.members {
            let how = match member.link {
                Link::Connecting => continue,
                Link::Connected { .. } => "is here",
                Link::Reconnecting(_) => "is being sought",
            };
            let before = self.said.remove(&member.id);
            if before.as_ref().is_none_or(|(_, before)| *before != how) {
                self.say(&format!("{} {how}", member.name));
            }
            said.insert(member.id, (member.name.clone(), how));
        }
        for (_, (name, _)) in std::mem::replace(&mut self.said, said) {
            // Somebody whose id has changed is among those who are here.
            if !self.said.values().any(|(other, _)| *other == name) {
                self.say(&format!("{name} has left"));
            }
        }
    }

    /// Tells which devices are used, and why one is not.
    fn follow_devices(&mut self, own: &Own) {
        let devices = [("Camera", &own.camera), ("Microphone", &own.microphone), ("Speaker", &own.speaker)];
        for (at, (kind, device)) in devices.into_iter().enumerate() {
            let name = device.used.and_then(|used| device.names.get(used));
            let how = match (name, &device.problem) {
                (Some(name), None) => format!("{kind}: {name}"),
                (Some(name), Some(problem)) => format!("{kind}: {name}, since {problem}"),
                (None, Some(problem)) => format!("{kind}: none, {problem}"),
                (None, None) => String::new(),
            };
            if self.devices[at] != how {
                if !how.is_empty() {
                    self.say(&how);
                }
                self.devices[at] = how;
            }
        }
    }

    /// Tells of what is written and sent, and writes and sends what the arguments say.
    fn follow_talk(&mut self, view: &model::Call) {
        let is_somebody_here =
            view.members.iter().any(|member| matches!(member.link, Link::Connected { .. }));
        if is_somebody_here && !std::mem::replace(&mut self.has_spoken, true) {
            if let Some(text) = &self.args.say {
                self.session.execute(Command::Say(text.clone()));
            }
            if let Some(path) = &self.args.send {
                self.session.execute(Command::SendFile(path.clone()));
            }
        }
        for line in view.chat.get(self.lines..).unwrap_or_default() {
            let from = line.from.as_deref().unwrap_or("you");
            self.say(&format!("{from}: {}", line.text));
        }
        self.lines = view.chat.len();
        for file in &view.files {
            let how = match &file.progress {
                Progress::Offered => "is offered",
                Progress::Running(..) => "is on its way",
                Progress::Paused(_) => "waits for the link",
                Progress::Done(_) => "is there",
                Progress::Failed(_) => "has failed",
            };
            if self.files.insert(file.id, how) != Some(how) {
                self.say(&format!("{} {how}", file.name));
            }
        }
    }
}

fn fail(problem: &Problem) -> Exit {
    let code = problem.code.as_deref();
    let shown = code.map(|code| format!(" ({code})")).unwrap_or_default();
    eprintln!("farwheel: {}{shown}\n  {}", problem.what, problem.remedy);
    match code {
        Some("bad_address" | "bad_certificates") => Exit::Usage,
        _ => Exit::Refused,
    }
}

const LOOK: Duration = Duration::from_millis(20);
