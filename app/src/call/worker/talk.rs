//! What is written, and what is sent as files.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use farwheel_peer::signaling::PeerId;
use farwheel_peer::{Channel, ConnId};
use farwheel_proto::call::Message;
use farwheel_proto::call::chat::{self, Author, By, Chat, Source, To};
use farwheel_proto::call::file::CHUNK_BYTES;
use tokio::sync::mpsc;

use super::{Config, Worker};
use crate::call::files::{self, Files};
use crate::call::people::People;
use crate::model::Notice;
use crate::model::call::Line;
use crate::model::list::List;

/// What people give each other in a call besides sound and pictures.
#[derive(Debug)]
pub(in crate::call) struct Talk {
    pub(in crate::call) chat: Chat,
    /// None: there is no thread for it.
    pub(in crate::call) files: Option<Files>,
    /// What is shown of the chat, as of then.
    lines: List<Line>,
    shown: Option<(u64, Instant)>,
}

impl Talk {
    pub(super) fn new(config: &Config) -> Self {
        let chat = Chat::new(Author(rand::random()), config.name());
        Self { chat, files: None, lines: List::default(), shown: None }
    }

    /// What was written.
    pub(in crate::call) fn lines(&self) -> List<Line> {
        self.lines.clone()
    }

    /// Brings the lines up to date, if something was written or they have aged; who is there has the name that it goes
    /// by, whatever a line says.
    pub(super) fn refresh(&mut self, people: &People, at: Instant) {
        let version = self.chat.version();
        let is_fresh = |(known, then): (u64, Instant)| {
            known == version && at.saturating_duration_since(then) < AGED_AFTER
        };
        if self.shown.is_some_and(is_fresh) {
            return;
        }
        self.shown = Some((version, at));
        let now = unix_ms();
        let line = |entry: chat::Entry<'_>| {
            let (from, author) = match entry.by {
                By::Own => (None, None),
                By::Peer(peer) => (people.get(peer).map(|person| person.name.clone()), Some(peer)),
                By::Name => (None, None),
            };
            let is_own = entry.by == By::Own;
            Line {
                from: from.or_else(|| (!is_own).then(|| entry.line.name.clone())),
                id: (entry.line.author.0, entry.line.number),
                author,
                is_passed_on: entry.source == Source::Hearsay,
                ago: Duration::from_millis(now.saturating_sub(entry.line.at_ms)),
                text: entry.line.text.clone(),
            }
        };
        self.lines = self.chat.lines().map(line).collect();
    }
}

impl Worker {
    /// Starts the thread of files; gives where its results come.
    pub(super) fn start_files(&mut self) -> mpsc::UnboundedReceiver<files::Done> {
        match Files::start(self.config.files.clone()) {
            Ok((files, done)) => {
                self.talk.files = Some(files);
                done
            }
            Err(error) => {
                self.shared.notice(Notice::warning(format!("Files can be neither sent nor taken: {error}.")));
                // Nothing ever comes from it.
                mpsc::unbounded_channel().1
            }
        }
    }

    /// Reads on where the network has room.
    pub(super) fn feed_files(&mut self) {
        let Some(files) = &mut self.talk.files else { return };
        for link in self.links.values().filter(|link| link.is_up()) {
            files.set_room(link.member, link.connection.file_places() * CHUNK_BYTES);
        }
        self.carry_talk();
    }

    /// A connection is lost.
    pub(super) fn pause_talk(&mut self, member: PeerId) {
        if let Some(files) = &mut self.talk.files {
            files.handle_down(member);
        }
        self.carry_talk();
    }

    /// A member has left.
    pub(super) fn end_talk(&mut self, member: PeerId) {
        self.talk.chat.handle_gone(member);
        if let Some(files) = &mut self.talk.files {
            files.handle_gone(member);
        }
        self.carry_talk();
    }

    /// A member has another id; its connection stands.
    pub(super) fn rename_talk(&mut self, from: PeerId, to: PeerId) {
        self.talk.chat.handle_renamed(from, to);
        if let Some(files) = &mut self.talk.files {
            files.handle_renamed(from, to);
        }
        self.carry_talk();
    }

    /// Somebody who was here before is back, with another id and another connection.
    pub(super) fn resume_files(&mut self, from: PeerId, to: PeerId) {
        let is_up = self.links.values().any(|link| link.member == to && link.is_up());
        if let Some(files) = &mut self.talk.files {
            files.handle_renamed(from, to);
            if is_up {
                files.handle_up(to);
            }
        }
        self.carry_talk();
    }

    /// A connection stands for the first time.
    pub(super) fn begin_talk(&mut self, conn: ConnId) {
        let Some(link) = self.links.get(&conn) else { return };
        let member = link.member;
        self.talk.chat.handle_up(member);
        if let Some(files) = &mut self.talk.files {
            files.handle_up(member);
        }
        self.carry_talk();
    }

    /// The user writes to all.
    pub(super) fn say(&mut self, text: &str) {
        if let Err(error) = self.talk.chat.say(text, unix_ms()) {
            self.shared.notice(Notice::warning(format!("That is not sent: {error}.")));
        }
        self.carry_talk();
    }

    pub(super) fn handle_done(&mut self, done: files::Done, now: Instant) {
        if let Some(files) = &mut self.talk.files {
            files.handle_done(done, now);
        }
        self.carry_talk();
    }

    /// Sends what the cores have to send.
    pub(super) fn carry_talk(&mut self) {
        while let Some((to, message)) = self.talk.chat.poll_message() {
            let message = Message::Chat(message);
            match to {
                To::All => self.links.values().for_each(|link| link.send(&message)),
                To::One(peer) => self.send_to(peer, &message),
            }
        }
        while let Some(output) = self.talk.files.as_mut().and_then(Files::poll_output) {
            match output {
                files::Output::Message(peer, message) => self.send_to(peer, &Message::File(message)),
                files::Output::Chunk(peer, chunk) => self.send_chunk(peer, chunk),
                files::Output::Received(path) => {
                    self.shared.notice(Notice::good(format!("Received {}", path.display())));
                }
            }
        }
    }

    fn send_chunk(&self, peer: PeerId, chunk: Bytes) {
        for link in self.links.values().filter(|link| link.member == peer && link.is_up()) {
            // Refused: the receiver asks again for what it misses.
            if let Err(error) = link.connection.send(Channel::File, chunk.clone()) {
                tracing::debug!(%error, "piece of a file not sent");
            }
        }
    }

    fn send_to(&self, peer: PeerId, message: &Message) {
        for link in self.links.values().filter(|link| link.member == peer) {
            link.send(message);
        }
    }
}

/// Ages are shown in minutes.
const AGED_AFTER: Duration = Duration::from_secs(5);

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
