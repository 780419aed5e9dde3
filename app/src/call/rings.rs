//! The own line behind the window: open as the settings say, with what was missed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use farwheel_media::audio::Spec;
use farwheel_proto::call::ring::{Address, Attention};

use super::Wake;
use super::line::{Bell, Config, Event, Listener};
use crate::model::call::Target;
use crate::model::connect::{Field, Problem};
use crate::model::ring::{Answer, Incoming, Line, Missed, Standing};
use crate::model::settings::Calling;
use crate::model::{Model, invitation};
use crate::session::Runtime;

/// The own line, and what was missed.
#[derive(Default)]
pub(super) struct Rings {
    open: Option<Open>,
    // Never stored; it counts for the server that it was given with.
    token: Option<(String, String)>,
    // Full: 20; the oldest goes.
    missed: Vec<(Event, Target)>,
    wake: Option<Wake>,
}

struct Open {
    server: String,
    name: String,
    token: Option<String>,
    listener: Result<Listener, Problem>,
    attention: Attention,
    bell: Option<Bell>,
}

/// What the line needs to know of the rest.
pub(super) struct Around<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) name: &'a str,
    pub(super) calling: &'a Calling,
    pub(super) ca: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
    /// The speaker of the command line, or the settings'.
    pub(super) speaker: Spec,
    pub(super) attention: Attention,
}

impl Rings {
    /// The token for the server of this line.
    pub(super) fn set_token(&mut self, target: &Target) {
        self.token = Some((target.server.clone(), target.token.clone()));
    }

    pub(super) fn on_change(&mut self, wake: Wake) {
        if let Some(Ok(listener)) = self.open.as_ref().map(|open| open.listener.as_ref()) {
            listener.on_change(Arc::clone(&wake));
        }
        self.wake = Some(wake);
    }

    pub(super) fn answer(&self, answer: Answer) {
        if let Some(Ok(listener)) = self.open.as_ref().map(|open| open.listener.as_ref()) {
            listener.answer(answer);
        }
    }

    pub(super) fn forget_missed(&mut self) {
        self.missed.clear();
    }

    /// Opens and closes the line as the settings say; gives where to go once a ring was accepted.
    pub(super) fn follow(&mut self, around: &Around<'_>) -> Option<Target> {
        let wanted = around.calling.line.as_ref();
        let token = |server: &str| {
            let own = self.token.as_ref().filter(|(of, token)| of == server && !token.is_empty());
            own.map(|(_, token)| token.clone())
        };
        let is_open = self.open.as_ref().is_some_and(|open| {
            Some(&open.server) == wanted && open.name == around.name && open.token == token(&open.server)
        });
        if !is_open {
            let token = wanted.and_then(|server| token(server));
            // The one before leaves first: both have the same name.
            self.open = None;
            self.open = wanted.map(|server| Open::start(server, token, around));
            if let (Some(Ok(listener)), Some(wake)) =
                (self.open.as_ref().map(|open| open.listener.as_ref()), &self.wake)
            {
                listener.on_change(Arc::clone(wake));
            }
        }
        let open = self.open.as_mut()?;
        let listener = open.listener.as_ref().ok()?;
        if open.attention != around.attention {
            open.attention = around.attention;
            listener.set_attention(around.attention);
        }
        let bell = (!around.calling.do_not_disturb).then(|| Bell {
            speaker: around.speaker.clone(),
            volume: f32::from(around.calling.ring_percent.min(100)) / 100.0,
        });
        if open.bell != bell {
            open.bell.clone_from(&bell);
            listener.set_bell(bell);
        }
        let mut accepted = None;
        for event in listener.take_events() {
            let at = |room: String| Target {
                server: open.server.clone(),
                room,
                token: open.token.clone().unwrap_or_default(),
            };
            match &event {
                Event::Accepted(room) => accepted = Some(at(room.to_string())),
                Event::Missed { line, .. } => {
                    if self.missed.len() == MISSED_MAX {
                        self.missed.remove(0);
                    }
                    let target = at(line.to_string());
                    self.missed.push((event, target));
                }
            }
        }
        accepted
    }

    /// Puts what is shown into the model.
    pub(super) fn fill(&self, model: &mut Model) {
        let now = Instant::now();
        model.missed =
            self.missed.iter().rev().filter_map(|(event, target)| missed(event, target, now)).collect();
        model.line = self.open.as_ref().map(|open| open.shown(now));
    }
}

fn missed(event: &Event, target: &Target, now: Instant) -> Option<Missed> {
    let Event::Missed { name, trust, why, at, .. } = event else { return None };
    Some(Missed {
        name: name.clone(),
        trust: *trust,
        ago: now.saturating_duration_since(*at),
        target: target.clone(),
        why: *why,
    })
}

impl Open {
    fn start(server: &str, token: Option<String>, around: &Around<'_>) -> Self {
        let listener = match &around.home {
            Some(home) => Ok(Listener::start(
                around.runtime.clone(),
                Config {
                    server: server.to_owned(),
                    name: around.name.to_owned(),
                    token: token.clone(),
                    ca: around.ca.clone(),
                    home: home.clone(),
                },
            )),
            None => Err(Problem {
                what: "There is no folder for this device's identity.".into(),
                remedy: "Others ring this device by its identity, which has to be kept.".into(),
                code: Some("no_identity".into()),
                field: Field::Form,
            }),
        };
        let (server, name) = (server.to_owned(), around.name.to_owned());
        Self { server, name, token, listener, attention: Attention::Free, bell: None }
    }

    fn shown(&self, now: Instant) -> Line {
        let (address, standing, incoming) = match &self.listener {
            Ok(listener) => {
                let status = listener.status();
                (listener.address(), status.standing, status.incoming)
            }
            Err(problem) => (None, Standing::Failed(problem.clone()), None),
        };
        let room = address.as_ref().map(Address::to_string).unwrap_or_default();
        let target =
            Target { server: self.server.clone(), room, token: self.token.clone().unwrap_or_default() };
        let incoming = incoming.map(|(name, trust, since)| Incoming {
            name,
            trust,
            lasted: now.saturating_duration_since(since),
        });
        let link = if address.is_some() { invitation::link(&target) } else { String::new() };
        Line { link, target, standing, incoming }
    }
}

const MISSED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::Trust;
    use crate::model::ring::Why;

    #[test]
    fn what_was_missed_is_shown_with_the_way_back_newest_first_and_only_so_much() {
        let mut rings = Rings::default();
        let key =
            |number: u8| farwheel_proto::call::verify::identity::Identity::from_seed(&[number; 32]).key();
        for number in 0..3 {
            let event = Event::Missed {
                name: format!("n{number}"),
                trust: Trust::Known,
                line: Address::of(&key(number)),
                why: Why::Unanswered,
                at: Instant::now(),
            };
            let room = Address::of(&key(number)).to_string();
            rings.missed.push((event, Target { server: "wss://a.b".into(), room, token: "t".into() }));
        }
        let mut model = Model::default();
        rings.fill(&mut model);
        let names: Vec<_> = model.missed.iter().map(|missed| missed.name.as_str()).collect();
        assert_eq!(names, ["n2", "n1", "n0"]);
        assert!(invitation::is_line(&model.missed[0].target.room));
        rings.forget_missed();
        rings.fill(&mut model);
        assert_eq!((model.missed.len(), model.line), (0, None));
    }
}
