//! What the window and the command line ask for.

use std::time::Instant;

use farwheel_peer::signaling::ModAction;
use farwheel_proto::call::{Message, Want};

use super::Worker;
use crate::call::lock;
use crate::model::Notice;
use crate::model::call::{Command, Switch};

impl Worker {
    fn moderate(&self, action: ModAction) {
        if let Some(client) = self.post.server() {
            client.moderate(action);
        }
    }

    pub(super) fn execute(&mut self, command: Command, now: Instant) {
        match command {
            Command::Tiles(tiles) => {
                let want = |(id, camera, screen)| (id, Want { camera, screen });
                self.wants = tiles.into_iter().map(want).collect();
                self.tell_wants();
            }
            Command::Volume(id, volume) => {
                if let Some(person) = lock(&self.shared.people).get_mut(id) {
                    person.volume = volume.clamp(0.0, 2.0);
                }
                for link in self.links.values().filter(|link| link.member == id) {
                    link.set_volume(volume.clamp(0.0, 2.0));
                }
            }
            Command::Lock(Switch::On) => self.moderate(ModAction::Lock),
            Command::Lock(Switch::Off) => self.moderate(ModAction::Unlock),
            Command::Kick(peer) => {
                // Else who was put out walks in again.
                if !self.room.is_locked {
                    self.moderate(ModAction::Lock);
                    let text = "The room is locked now: who was put out has to ask before coming back.";
                    self.shared.notice(Notice::good(text));
                }
                self.moderate(ModAction::Kick { peer });
                // The server may have lost it already.
                self.mesh.put_out(peer);
            }
            Command::Admit(peer) => {
                if let Some(client) = self.post.server() {
                    client.admit(peer);
                }
                self.room.knocking.retain(|one| one.id != peer);
            }
            Command::Deny(peer) => {
                if let Some(client) = self.post.server() {
                    client.deny(peer);
                }
                self.room.knocking.retain(|one| one.id != peer);
            }
            Command::AskToMute(peer) if self.room.away_since.is_none() && self.post.server().is_some() => {
                self.moderate(ModAction::MuteRequest { peer });
            }
            Command::AskToMute(peer) => {
                for link in self.links.values().filter(|link| link.member == peer) {
                    link.send(&Message::MuteRequest);
                }
            }
            Command::Verify(peer) => self.verify(peer),
            Command::Record(switch) => self.record(switch),
            Command::ExportFigures => self.export(),
            Command::DebugBundle => self.report(),
            Command::Say(text) => self.say(&text),
            Command::ReadChat => self.talk.chat.read(),
            Command::SendFile(path) => {
                if let Some(files) = &mut self.talk.files {
                    files.send(path);
                }
                self.carry_talk();
            }
            Command::FileLimit(bytes) => {
                if let Some(files) = &mut self.talk.files {
                    files.set_limit(bytes);
                }
            }
            Command::TakeFile(id) => {
                if let Some(files) = &mut self.talk.files {
                    files.take(id, now);
                }
                self.carry_talk();
            }
            Command::CancelFile(id) => {
                if let Some(files) = &mut self.talk.files {
                    files.cancel(id);
                }
                self.carry_talk();
            }
            // Before the call, after it, or the devices' business.
            Command::Prepare(_)
            | Command::PrepareLetters
            | Command::Offer
            | Command::Answer(_)
            | Command::Accept(_)
            | Command::Dismiss
            | Command::Join
            | Command::Leave
            | Command::AnswerRing(_)
            | Command::LineToken(_)
            | Command::ForgetMissed => {}
            Command::Camera(_)
            | Command::Voice(_)
            | Command::TalkKey(_)
            | Command::Use(..)
            | Command::TestSpeaker
            | Command::Chime
            | Command::Clean(_)
            | Command::Share(_)
            | Command::EndShare
            | Command::Hand(_) => {}
        }
    }
}
