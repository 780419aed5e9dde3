//! A call without a window: what is said of it, and what is done in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use farwheel_peer::signaling::PeerId;

use super::{Knocks, Part};
use crate::call::line::{self, Listener};
use crate::call::{self, Devices, Session, Stage};
use crate::cli::sharing::Sharing;
use crate::cli::signals::Stop;
use crate::cli::{Exit, stats};
use crate::model::call::{self as model, Command, Link, Own, Progress, Server, Switch};
use crate::model::connect::Problem;

/// Says on stderr what happens in the call, and does what the arguments say.
pub(in crate::cli) struct Attendant<'a> {
    args: &'a Part,
    knocks: Option<Knocks>,
    locks: bool,
    /// Whom a moderator puts out.
    pub(super) kicks: Option<String>,
    /// Where others ring meanwhile.
    pub(super) line: Option<Listener>,
    is_recording: bool,
    /// What is said on joining.
    greeting: &'static str,
    session: &'a Session,
    own: &'a Devices,
    sharing: Sharing,
    start: Instant,
    /// Processor time when the figures began to count.
    cpu: Option<Duration>,
    counted_from: Option<Instant>,
    said: BTreeMap<PeerId, (String, &'static str)>,
    /// Those whose screen is seen.
    showing: BTreeSet<PeerId>,
    /// Those who knocked and have their answer.
    answered: BTreeSet<PeerId>,
    /// Lines of the chat and files that were told of: no more than there are.
    lines: BTreeSet<(u32, u32)>,
    files: BTreeMap<u64, &'static str>,
    has_spoken: bool,
    /// How each device was last.
    devices: [String; 3],
    is_in: bool,
    is_away: bool,
    is_locked: bool,
}

impl<'a> Attendant<'a> {
    pub(in crate::cli) fn new(args: &'a Part, session: &'a Session, own: &'a Devices) -> Self {
        Self {
            args,
            knocks: None,
            locks: false,
            kicks: None,
            line: None,
            is_recording: false,
            greeting: "In the call",
            session,
            own,
            sharing: Sharing::new(args.share.clone()),
            showing: BTreeSet::new(),
            start: Instant::now(),
            cpu: None,
            counted_from: None,
            said: BTreeMap::new(),
            answered: BTreeSet::new(),
            is_in: false,
            lines: BTreeSet::new(),
            files: BTreeMap::new(),
            has_spoken: false,
            devices: Default::default(),
            is_away: false,
            is_locked: false,
        }
    }

    /// In a room, with what a moderator does there.
    pub(super) fn in_room(self, knocks: Option<Knocks>, locks: bool) -> Self {
        Self { knocks, locks, greeting: "In the room", ..self }
    }

    /// Writes the figures where they are wanted.
    pub(in crate::cli) fn report(&self) -> anyhow::Result<()> {
        let Some(path) = &self.args.report else { return Ok(()) };
        let spent = call::report::cpu().zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        let lasted = self.counted_from.map_or(Duration::ZERO, |from| from.elapsed());
        stats::write(&call::report::report(self.session, self.own, lasted, spent), path)
    }

    fn say(&self, line: &str) {
        eprintln!("{:7.2} s  {line}", self.start.elapsed().as_secs_f32());
    }

    pub(in crate::cli) fn attend(&mut self, stop: &Stop) -> Exit {
        let mut stage = Stage::Joining;
        loop {
            let now = self.session.stage();
            if now != stage {
                match &now {
                    Stage::Joining => {}
                    Stage::Unreachable(problem) => self.say(&format!("{} Trying again", problem.what)),
                    Stage::Waiting => self.say("Waiting to be let in"),
                    // Whoever carries letters has them by now.
                    Stage::Letter { .. } => {}
                    Stage::In => self.enter(),
                    Stage::Over(words) => {
                        self.say(words);
                        return Exit::Done;
                    }
                    Stage::Ended(problem) => return fail(problem),
                }
                stage = now;
            }
            for notice in self.session.take_notices() {
                eprintln!("           {}", notice.text);
            }
            for event in self.line.iter().flat_map(Listener::take_events) {
                if let line::Event::Missed { name, .. } = event {
                    self.say(&format!("{name} has rung in vain"));
                }
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

    /// Waits until the recording is whole.
    pub(super) fn end_recording(&mut self) {
        if !std::mem::take(&mut self.is_recording) {
            return;
        }
        self.session.execute(Command::Record(Switch::Off));
        let until = Instant::now() + RECORDED;
        while Instant::now() < until {
            let notices = self.session.take_notices();
            notices.iter().for_each(|notice| eprintln!("           {}", notice.text));
            if notices.iter().any(|notice| notice.text.contains("ecord")) {
                return;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn enter(&mut self) {
        if std::mem::replace(&mut self.is_in, true) {
            return;
        }
        self.say(self.greeting);
        if self.locks {
            self.session.execute(Command::Lock(Switch::On));
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
            let Some(knocks) = self.knocks.filter(|_| self.answered.insert(*id)) else { continue };
            let (command, word) = match knocks {
                Knocks::Admit => (Command::Admit(*id), "Letting in"),
                Knocks::Deny => (Command::Deny(*id), "Turning away"),
            };
            self.say(&format!("{word} {name}"));
            self.session.execute(command);
        }
        self.kick(&view);
        self.follow_talk(&view);
        let mut own = Own::default();
        self.own.fill(&mut own);
        self.follow_devices(&own);
        self.follow_screens(&view, &own);
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

    fn kick(&mut self, view: &model::Call) {
        let is_here = |member: &&model::Member| {
            self.kicks.as_ref() == Some(&member.name) && matches!(member.link, Link::Connected { .. })
        };
        if let Some(member) = view.members.iter().find(is_here) {
            self.say(&format!("Putting {} out", member.name));
            self.kicks = None;
            self.session.execute(Command::Kick(member.id));
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

    /// Tells whose screen is seen, and shares what the arguments say.
    fn follow_screens(&mut self, view: &model::Call, own: &Own) {
        for member in &view.members {
            match (member.shares, self.showing.contains(&member.id)) {
                (true, false) => {
                    self.showing.insert(member.id);
                    self.say(&format!("{} shares a screen", member.name));
                }
                (false, true) => {
                    self.showing.remove(&member.id);
                    self.say(&format!("{} shares no screen any more", member.name));
                }
                (true, true) | (false, false) => {}
            }
        }
        let (command, line) = self.sharing.follow(own, self.start.elapsed());
        if let Some(command) = command {
            self.own.execute(&command);
        }
        if let Some(line) = line {
            self.say(&line);
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
            if self.args.record.is_some() {
                self.is_recording = true;
                self.session.execute(Command::Record(Switch::On));
            }
        }
        // One that comes late stands between those that were told of.
        for line in view.chat.iter().filter(|line| !self.lines.contains(&line.id)) {
            let from = line.from.as_deref().unwrap_or("you");
            let passed_on = if line.is_passed_on { " (passed on)" } else { "" };
            self.say(&format!("{from}{passed_on}: {}", line.text));
        }
        self.lines = view.chat.iter().map(|line| line.id).collect();
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

/// Says why there is no call.
pub(in crate::cli) fn fail(problem: &Problem) -> Exit {
    let code = problem.code.as_deref();
    let shown = code.map(|code| format!(" ({code})")).unwrap_or_default();
    eprintln!("farwheel: {}{shown}\n  {}", problem.what, problem.remedy);
    match code {
        Some("bad_address" | "bad_certificates") => Exit::Usage,
        _ => Exit::Refused,
    }
}

pub(in crate::cli) const LOOK: Duration = Duration::from_millis(20);
/// A recording is whole within this time, or the disk is in trouble.
const RECORDED: Duration = Duration::from_secs(10);
