//! The window.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::ScreenshotCallback;

use super::Exit;
use super::call::Call;
use super::drive::{self, Drive};
use crate::model::call;
use crate::model::connect::{Role, Target};
use crate::model::{Command, Model};
use crate::render::slot::Slot;
use crate::script::{Outcome, Player, Script};
use crate::session::desk::{Desk, Options};
use crate::session::record::Recorder;
use crate::settings::Store;
use crate::ui::{self, Backend};

/// Opens the window, and connects at once if arguments say where.
pub(super) fn run(start: Option<(Drive, Option<Script>)>) -> anyhow::Result<Exit> {
    let Some((args, script)) = start else {
        let desk = Desk::open(store(), Options::default(), None)?;
        open(Box::new(desk))?;
        return Ok(Exit::Done);
    };
    let recorder = args.record.as_deref().map(Recorder::new);
    let token = args.place.server.proof.token()?;
    let options = Options {
        ca: args.place.server.proof.ca.clone(),
        name: args.place.own.name.clone(),
        owner_code: args.owner_code()?,
        bind: args.place.own.bind(),
        candidates: args.place.own.candidates(),
        control_paths: args.control_paths,
        recorder: recorder.clone(),
        strip: args.measure.strip(args.stats_json.is_some()),
        left_out: args.left_out(),
        target: Some(Target {
            server: args.place.server.url.clone(),
            room: args.place.room.to_string(),
            role: Role::Driver,
            token: token.unwrap_or_default(),
        }),
        ..Options::default()
    };
    let desk = Desk::open(store(), options, script.map(Player::new))?;
    let ended = Rc::new(RefCell::new(None));
    let attended = Attended {
        desk,
        args,
        recorder,
        started: Instant::now(),
        ended: Rc::clone(&ended),
        stop: super::signals::Stop::listen(std::thread::current())?,
        moving_since: None,
    };
    open(Box::new(attended))?;
    let ended = ended.borrow_mut().take();
    ended.unwrap_or(Ok(Exit::Done))
}

/// Opens the window in a call.
pub(super) fn call(args: Call, target: call::Target) -> anyhow::Result<Exit> {
    let how = crate::call::desk::Options {
        ca: args.proof.ca.clone(),
        bind: args.own.bind(),
        candidates: args.own.candidates(),
        ice_servers: Vec::new(),
        strip: args.part.measure.strip(false),
        thrift: args.part.thrift(),
        file_limit_mb: args.part.file_limit,
        choices: args.part.choices()?,
    };
    let begin = vec![call::Command::Prepare(target), call::Command::Join];
    call_with(args.own.name, how, begin, args.part.lasts())
}

/// Opens the window, and begins a call as these commands say.
pub(super) fn call_with(
    name: Option<String>,
    how: crate::call::desk::Options,
    begin: Vec<call::Command>,
    lasts: Option<Duration>,
) -> anyhow::Result<Exit> {
    let options = Options { name, call: how, call_begin: begin, ..Options::default() };
    let ended = lasts.map(|lasts| Instant::now() + lasts);
    let desk = Desk::open(store(), options, None)?;
    let stop = super::signals::Stop::listen(std::thread::current())?;
    open(Box::new(Timed { desk, ends_at: ended, stop }))?;
    Ok(Exit::Done)
}

/// A window that closes after some time, or when it is told to.
struct Timed {
    desk: Desk,
    ends_at: Option<Instant>,
    stop: super::signals::Stop,
}

impl Backend for Timed {
    fn refresh(&mut self, model: &mut Model) {
        self.desk.refresh(model);
    }

    fn execute(&mut self, command: Command) {
        self.desk.execute(command);
    }

    fn pictures(&self) -> &Slot {
        self.desk.pictures()
    }

    fn call_picture(&self, source: call::Source) -> Option<Slot> {
        self.desk.call_picture(source)
    }

    fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.desk.on_change(wake);
    }

    fn is_done(&self) -> bool {
        self.stop.is_asked() || self.ends_at.is_some_and(|at| Instant::now() >= at)
    }
}

/// Where the settings are kept.
fn store() -> Option<Store> {
    match Store::open() {
        Ok(store) => Some(store),
        Err(e) => {
            tracing::warn!(error = format!("{e:#}"), "settings are not kept");
            None
        }
    }
}

fn open(backend: Box<dyn Backend>) -> anyhow::Result<()> {
    ui::run(backend, ui::Options::default())
        .map_err(|e| anyhow::anyhow!("the window cannot open: {e}. Run `farwheel doctor`, or use --headless"))
}

/// A window with something to leave behind: it closes when the script, the time or the user is done.
struct Attended {
    desk: Desk,
    args: Drive,
    recorder: Option<Recorder>,
    started: Instant,
    ended: Rc<RefCell<Option<anyhow::Result<Exit>>>>,
    stop: super::signals::Stop,
    moving_since: Option<Instant>,
}

impl Attended {
    /// How to end, if it is time to.
    fn exit(&self) -> Option<Exit> {
        match self.desk.script() {
            Some(Outcome::Done) => return Some(Exit::Done),
            Some(Outcome::Failed(error)) => {
                eprintln!("farwheel: script {error}");
                return Some(Exit::Script);
            }
            Some(Outcome::Running) | None => {}
        }
        let is_over = self.args.seconds.is_some_and(|s| self.started.elapsed().as_secs_f64() >= s);
        (is_over || self.stop.is_asked()).then_some(Exit::Done)
    }

    /// Whether the car has been moving for a while: a picture of the window then shows what it is for.
    fn is_scenic(&mut self) -> bool {
        let speed = self
            .desk
            .session()
            .and_then(|session| session.status().fast)
            .and_then(|(fast, _)| fast.speed_cm_s);
        if speed.is_some_and(|speed| speed > 100) {
            return self.moving_since.get_or_insert_with(Instant::now).elapsed() > SCENIC_AFTER;
        }
        self.moving_since = None;
        false
    }

    /// Writes what was asked for, once.
    fn finish(&mut self, exit: Exit) {
        if self.ended.borrow().is_some() {
            return;
        }
        let result = match self.desk.session() {
            Some(session) => {
                let slot = self.desk.pictures().clone();
                drive::finish(&self.args, session, self.recorder.as_ref(), exit, || {
                    slot.shown().map(|picture| picture.frame)
                })
            }
            None => Ok(exit),
        };
        *self.ended.borrow_mut() = Some(result);
    }
}

impl Backend for Attended {
    fn refresh(&mut self, model: &mut Model) {
        self.desk.refresh(model);
        if let Some(exit) = self.exit() {
            self.finish(exit);
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Quit | Command::Disconnect => self.finish(Exit::Done),
            _ => {}
        }
        self.desk.execute(command);
    }

    fn pictures(&self) -> &Slot {
        self.desk.pictures()
    }

    fn on_change(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.desk.on_change(wake);
    }

    fn is_done(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn screenshot(&mut self) -> Option<ScreenshotCallback> {
        if self.args.screenshot.is_none() || !self.is_scenic() {
            return None;
        }
        // Taken: the picture at the end is not needed.
        let path = self.args.screenshot.take()?;
        Some(ScreenshotCallback::new(move |picture| {
            let [width, height] = picture.size.map(|side| side as u32);
            let rgba: Vec<u8> = picture.pixels.iter().flat_map(|pixel| pixel.to_array()).collect();
            if let Err(e) = image::save_buffer(&path, &rgba, width, height, image::ColorType::Rgba8) {
                eprintln!("farwheel: write {}: {e}", path.display());
            }
        }))
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        // Closed by the window manager.
        self.finish(Exit::Done);
    }
}

/// Long enough for the start line to be out of sight.
const SCENIC_AFTER: Duration = Duration::from_secs(6);
