//! The page of two.

use farwheel_peer::signaling;

use super::Desk;
use crate::model::{Notice, pair};
use crate::session::pair::{Meeting, Network};

impl Desk {
    /// Does what the page of two asks for.
    pub(super) fn meet(&mut self, command: pair::Command) {
        let network = Network { candidates: self.options.candidates, bind: self.options.bind.clone() };
        let wake = self.wake.clone();
        match command {
            pair::Command::Meet { server, token, code } => {
                let code = match code.parse() {
                    Ok(code) => code,
                    Err(_) if code.is_empty() => farwheel_peer::pair::made_up_code(),
                    Err(error) => {
                        self.notices.push(Notice::bad(format!("{code:?} is no code: {error}.")));
                        return;
                    }
                };
                let signaling = signaling::Config {
                    server,
                    place: signaling::Place::Pair { code },
                    name: self.name(),
                    token: Some(token).filter(|token| !token.is_empty()),
                    ca: self.options.ca.clone(),
                };
                self.meeting = Some(Meeting::by_code(&self.runtime, signaling, network, wake));
            }
            pair::Command::Offer => self.meeting = Some(Meeting::by_offer(&self.runtime, network, wake)),
            pair::Command::Answer(offer) => {
                self.meeting = Some(Meeting::by_answer(&self.runtime, network, offer, wake));
            }
            pair::Command::Accept(answer) => {
                if let Some(meeting) = &self.meeting {
                    meeting.accept(answer);
                }
            }
            pair::Command::Say(text) => {
                if let Some(meeting) = &self.meeting {
                    meeting.say(text);
                }
            }
            pair::Command::Leave => self.meeting = None,
        }
    }
}
