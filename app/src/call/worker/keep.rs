//! What the user keeps of a call: a recording, figures, a report; and who the others are.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use farwheel_media::compose::Place;
use farwheel_peer::ConnId;
use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::verify::identity::Key;
use farwheel_proto::call::{Message, verify};

use super::{Config, Worker};
use crate::call::record::{self, Recorder};
use crate::call::trust::Trusts;
use crate::call::{bundle, export, lock};
use crate::log::Ring;
use crate::model::Notice;
use crate::model::call::{Recording, Source, Switch};
use crate::settings::{Settings, Store};

/// What is kept, and what is known of the others.
pub(super) struct Keep {
    recorder: Option<Recorder>,
    /// Whom the recording shows.
    shown: Vec<Sight>,
    trusts: Trusts,
    /// The connection that a member's verification belongs to.
    // One for each member.
    verifying: Vec<(PeerId, ConnId)>,
    /// Those who have the name of somebody who is gone, and have not shown yet whether they are the same.
    // One for each member.
    returning: Vec<Returning>,
}

/// Somebody who may be one who was here before.
#[derive(Debug)]
struct Returning {
    from: PeerId,
    to: PeerId,
    /// Who the former one was.
    key: Key,
    volume: f32,
}

/// Something that a recording shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sight {
    source: Source,
    name: String,
    sends: Sends,
}

/// What comes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    Pictures,
    /// It is off: only the name is shown.
    Nothing,
}

impl Keep {
    /// Nothing yet, with a warning if this device cannot be recognised.
    pub(super) fn new(config: &Config) -> (Self, Option<String>) {
        let (trusts, warning) = match &config.home {
            Some(folder) => Trusts::open(folder),
            None => (Trusts::for_once(), None),
        };
        (
            Self { recorder: None, shown: Vec::new(), trusts, verifying: Vec::new(), returning: Vec::new() },
            warning,
        )
    }

    pub(super) fn trusts(&self) -> &Trusts {
        &self.trusts
    }

    /// The own recording, for showing.
    pub(super) fn recording(&self) -> Option<Recording> {
        let recorder = self.recorder.as_ref()?;
        Some(Recording { path: recorder.path().to_owned(), lasted: recorder.lasted().unwrap_or_default() })
    }
}

impl Worker {
    /// Begins or ends the own recording; the others are told by the state.
    pub(super) fn record(&mut self, switch: Switch) {
        match (switch, self.keep.recorder.take()) {
            (Switch::On, None) => self.begin_recording(),
            (Switch::On, running) => self.keep.recorder = running,
            (Switch::Off, Some(recorder)) => self.end_recording(recorder),
            (Switch::Off, None) => {}
        }
        self.devices.set_recording(if self.keep.recorder.is_some() { Switch::On } else { Switch::Off });
    }

    fn begin_recording(&mut self) {
        let (room, time) = (self.config.title(), export::time_for_name(SystemTime::now()));
        let name = format!("farwheel {room} {time}.mp4");
        let ear: record::Ear = match self.devices.sound().engine() {
            Some(engine) => record::ear(engine.tap()),
            None => Box::new(|| None),
        };
        self.keep.shown = self.in_sight();
        let folder = self.config.recordings.clone().unwrap_or_else(recordings_folder);
        match Recorder::start(&folder.join(name), self.record_views(&self.keep.shown), ear) {
            Ok(recorder) => self.keep.recorder = Some(recorder),
            Err(error) => self.shared.notice(Notice::bad(format!("The call is not recorded: {error:#}."))),
        }
    }

    fn end_recording(&self, recorder: Recorder) {
        let shared = Arc::clone(&self.shared);
        // The last part is written and the file closed: that waits for the disk.
        tokio::task::spawn_blocking(move || {
            shared.notice(match recorder.finish() {
                Ok(path) => Notice::good(format!("Recorded {}", path.display())),
                Err(error) => Notice::bad(format!("The recording is not whole: {error:#}.")),
            });
            shared.wake();
        });
    }

    /// Shows in the recording who is there now, and ends one that cannot go on.
    pub(super) fn watch_recording(&mut self) {
        let Some(recorder) = &self.keep.recorder else { return };
        if recorder.lasted().is_err() {
            self.record(Switch::Off);
            return;
        }
        let shown = self.in_sight();
        if shown != self.keep.shown {
            recorder.set_views(self.record_views(&shown));
            self.keep.shown = shown;
        }
    }

    /// Whose pictures there are, this side first; who sends none is there by name.
    fn in_sight(&self) -> Vec<Sight> {
        let own = self.config.name().to_owned();
        let sight = |source, name: &str, is_on| {
            let sends = if is_on { Sends::Pictures } else { Sends::Nothing };
            Sight { source, name: name.to_owned(), sends }
        };
        let mut shown = vec![sight(Source::Own, &own, self.told.camera)];
        if self.told.screen {
            shown.push(sight(Source::OwnScreen, &own, true));
        }
        let people = lock(&self.shared.people);
        for member in self.mesh.members() {
            let Some(person) = people.get(member.id) else { continue };
            shown.push(sight(Source::Camera(member.id), &person.name, person.state.camera));
            if person.state.screen {
                shown.push(sight(Source::Screen(member.id), &person.name, true));
            }
        }
        shown
    }

    fn record_views(&self, shown: &[Sight]) -> Vec<record::View> {
        let slots = lock(&self.shared.slots);
        let view = |sight: &Sight| {
            let slot = match &sight.source {
                Source::Own => Some(self.devices.own().clone()),
                Source::OwnScreen => Some(self.devices.own_screen().clone()),
                Source::Camera(_) | Source::Screen(_) => slots.get(&sight.source).cloned(),
            };
            let place = match sight.source {
                Source::Own | Source::Camera(_) => Place::Grid,
                Source::OwnScreen | Source::Screen(_) => Place::Large,
            };
            let slot = slot.filter(|_| sight.sends == Sends::Pictures);
            record::View { slot, name: sight.name.clone(), place }
        };
        shown.iter().map(view).collect()
    }

    /// Writes the figures to files.
    pub(super) fn export(&self) {
        let (shared, folder) = (Arc::clone(&self.shared), self.config.files.folder.clone());
        let figures = self.figures.samples();
        tokio::task::spawn_blocking(move || {
            let name = |peer| {
                let people = lock(&shared.people);
                people.get(peer).map_or_else(|| "somebody who left".to_owned(), |person| person.name.clone())
            };
            let written = export::write(&folder, &figures, name);
            shared.notice(match written {
                Ok(path) => Notice::good(format!("The figures are in {}", path.display())),
                Err(error) => Notice::bad(format!("The figures are not written: {error:#}.")),
            });
            shared.wake();
        });
    }

    /// Writes a report for a bug, without secrets.
    pub(super) fn report(&self) {
        let (shared, folder) = (Arc::clone(&self.shared), self.config.files.folder.clone());
        let mut call = (**lock(&self.shared.view)).clone();
        self.devices.fill(&mut call.own);
        let mut private = vec![self.config.name().to_owned()];
        if let Some(signaling) = self.config.room() {
            private.push(signaling.server.clone());
            private.extend(signaling.token.clone());
        }
        tokio::task::spawn_blocking(move || {
            let settings = Store::open().map_or_else(|_| Settings::default(), |store| store.load().settings);
            let log = Ring::of_program().lines();
            let contents =
                bundle::Contents { settings: &settings, call: &call, private: &private, log: &log };
            shared.notice(match bundle::write(&folder, &contents) {
                Ok(path) => Notice::good(format!("The report is {}", path.display())),
                Err(error) => Notice::bad(format!("The report is not written: {error:#}.")),
            });
            shared.wake();
        });
    }

    /// Begins the verification of each connection whose certificates are proved.
    pub(super) fn begin_trust(&mut self) {
        self.keep.verifying.retain(|(_, conn)| self.links.contains_key(conn));
        for (conn, link) in self.links.iter().filter(|(_, link)| link.is_up()) {
            if self.keep.verifying.iter().any(|(_, known)| known == conn) {
                continue;
            }
            // Its name belongs to what it proves.
            if !lock(&self.shared.people).get(link.member).is_some_and(|person| person.has_hello) {
                continue;
            }
            let Some(fingerprints) = link.connection.fingerprints() else { continue };
            self.keep.verifying.retain(|(member, _)| *member != link.member);
            self.keep.verifying.push((link.member, *conn));
            link.send(&Message::Verify(self.keep.trusts.handle_up(link.member, fingerprints)));
        }
    }

    pub(super) fn handle_verify(&mut self, conn: ConnId, message: &verify::Message) {
        // The other side may be quicker.
        self.begin_trust();
        let Some(link) = self.links.get(&conn) else { return };
        let member = link.member;
        if !self.keep.verifying.contains(&(member, conn)) {
            return;
        }
        let name =
            lock(&self.shared.people).get(member).map_or_else(String::new, |person| person.name.clone());
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let reply = self.keep.trusts.handle_message(member, message, &name, now_s);
        if let Some(message) = reply.message {
            link.send(&Message::Verify(message));
        }
        if let Some(warning) = reply.warning {
            self.shared.notice(Notice::bad(warning));
        }
        self.settle_return(member);
        self.shared.wake();
    }

    /// The user compared the words with a member.
    pub(super) fn verify(&mut self, peer: PeerId) {
        if let Some(warning) = self.keep.trusts.verify(peer) {
            self.shared.notice(Notice::warning(warning));
        }
    }

    /// Somebody has the name of one who is gone. What the two exchanged, and how loud it was, is for whoever shows the
    /// same identity.
    pub(super) fn replace_kept(&mut self, from: PeerId, to: PeerId, volume: f32) {
        let key = self.keep.trusts.key(from);
        self.drop_returning(from);
        self.keep.trusts.handle_gone(from);
        self.keep.verifying.retain(|(known, _)| *known != from);
        match key {
            Some(key) => {
                self.talk.chat.handle_gone(from);
                self.keep.returning.push(Returning { from, to, key, volume });
            }
            None => self.end_talk(from),
        }
    }

    /// Gives back what belongs to one who has shown now that it is the same as before.
    fn settle_return(&mut self, member: PeerId) {
        let Some(key) = self.keep.trusts.key(member) else { return };
        let Some(index) = self.keep.returning.iter().position(|one| one.to == member) else { return };
        let returning = self.keep.returning.remove(index);
        if returning.key != key {
            return self.end_talk(returning.from);
        }
        if let Some(person) = lock(&self.shared.people).get_mut(member) {
            person.volume = returning.volume;
        }
        for link in self.links.values().filter(|link| link.member == member) {
            link.set_volume(returning.volume);
        }
        self.resume_files(returning.from, member);
    }

    /// Whoever was taken for one who was here before is gone too, or has not the same identity.
    fn drop_returning(&mut self, member: PeerId) {
        if let Some(index) = self.keep.returning.iter().position(|one| one.to == member) {
            let returning = self.keep.returning.remove(index);
            self.end_talk(returning.from);
        }
    }

    pub(super) fn rename_kept(&mut self, from: PeerId, to: PeerId) {
        for returning in self.keep.returning.iter_mut().filter(|one| one.to == from) {
            returning.to = to;
        }
        self.keep.trusts.handle_renamed(from, to);
        for (member, _) in &mut self.keep.verifying {
            if *member == from {
                *member = to;
            }
        }
    }

    pub(super) fn forget_kept(&mut self, member: PeerId) {
        self.drop_returning(member);
        self.keep.trusts.handle_gone(member);
        self.keep.verifying.retain(|(known, _)| *known != member);
    }
}

/// Where recordings go.
fn recordings_folder() -> PathBuf {
    directories::UserDirs::new()
        .and_then(|dirs| dirs.video_dir().map(|dir| dir.join("Farwheel")))
        .unwrap_or_else(crate::call::desk::files_folder)
}
