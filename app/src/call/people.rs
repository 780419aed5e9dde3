//! What is known of the others, whichever connection they come by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::State;
use farwheel_proto::clock::ClockSync;

use super::hearing::Hearing;
use super::lock;
use crate::model::call::Source;
use crate::render::slot::{Presented, Slot};
use crate::session::figures::Figures;

/// Everybody else who is or was in the call, by present id.
#[derive(Debug, Default)]
pub(super) struct People {
    here: BTreeMap<PeerId, Person>,
    /// Those who have left, for the report. Full: 64; a call of eight people has no more names.
    gone: Vec<Person>,
}

/// Somebody else.
#[derive(Debug)]
pub(super) struct Person {
    /// As it says itself, or else as the server calls it.
    pub(super) name: String,
    /// It has said who it is, over the present connection.
    pub(super) has_hello: bool,
    /// The server says that it moderates the room.
    pub(super) is_moderator: bool,
    /// What it sends and does.
    pub(super) state: State,
    /// How loud it is played.
    pub(super) volume: f32,
    /// The account of its camera's pictures.
    pub(super) camera: Arc<Mutex<Figures>>,
    /// The account of its screen's pictures.
    pub(super) screen: Arc<Mutex<Figures>>,
    /// The account of its sound.
    pub(super) hearing: Hearing,
    /// Its clock, as measured over the present connection.
    pub(super) clock: Arc<Mutex<ClockSync>>,
    /// Connections to it that stood, one after the other.
    pub(super) connections: u32,
    /// When it left: what it showed last ages no further.
    pub(super) left_at: Option<Instant>,
    /// When the user was told that it records.
    pub(super) recording_told_at: Option<Instant>,
    /// When it last asked this side to mute itself, without the server.
    pub(super) mute_asked_at: Option<Instant>,
    presented: [Option<Presented>; 2],
}

impl Person {
    fn new(name: String, left_out: Duration, now: Instant) -> Self {
        let figures = || Arc::new(Mutex::new(Figures::new(now, left_out)));
        Self {
            name,
            has_hello: false,
            is_moderator: false,
            state: State::default(),
            volume: 1.0,
            camera: figures(),
            screen: figures(),
            hearing: Hearing::default(),
            clock: Arc::new(Mutex::new(ClockSync::new(super::epoch()))),
            connections: 0,
            left_at: None,
            recording_told_at: None,
            mute_asked_at: None,
            presented: [None; 2],
        }
    }
}

impl Person {
    /// What it does not send any more is not on the screen any more.
    pub(super) fn note_gone(&self, before: &State, now: Instant) {
        for (was, is, figures) in [
            (before.camera, self.state.camera, &self.camera),
            (before.screen, self.state.screen, &self.screen),
        ] {
            if was && !is {
                lock(figures).handle_gone(now);
            }
        }
    }
}

impl People {
    pub(super) fn come(&mut self, id: PeerId, name: Option<&str>, left_out: Duration, now: Instant) {
        let name = name.map_or_else(|| id.to_string().chars().take(6).collect(), str::to_owned);
        self.here.entry(id).or_insert_with(|| Person::new(name, left_out, now));
    }

    pub(super) fn go(&mut self, id: PeerId, now: Instant) -> Option<String> {
        let mut person = self.here.remove(&id)?;
        let name = person.name.clone();
        person.left_at = Some(now);
        // Without a connection it was nobody, or somebody known by another id.
        if self.gone.len() < GONE_MAX && person.connections > 0 {
            self.gone.push(person);
        }
        Some(name)
    }

    pub(super) fn rename(&mut self, from: PeerId, to: PeerId) {
        if let Some(person) = self.here.remove(&from) {
            self.here.insert(to, person);
        }
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Person> {
        self.here.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Person> {
        self.here.get_mut(&id)
    }

    pub(super) fn here(&self) -> impl Iterator<Item = (&PeerId, &Person)> {
        self.here.iter()
    }

    /// All there ever were.
    pub(super) fn all(&self) -> impl Iterator<Item = &Person> {
        self.gone.iter().chain(self.here.values())
    }

    /// Counts what the window has drawn since the last time.
    pub(super) fn note_drawn(&mut self, slots: &BTreeMap<Source, Slot>) {
        for (source, slot) in slots {
            let (id, number) = match source {
                Source::Camera(id) => (id, 0),
                Source::Screen(id) => (id, 1),
                Source::Own | Source::OwnScreen => continue,
            };
            let (Some(person), Some(drawn)) = (self.here.get_mut(id), slot.presented()) else { continue };
            if person.presented[number].replace(drawn) != Some(drawn) {
                let figures = if number == 0 { &person.camera } else { &person.screen };
                lock(figures).handle_shown(drawn.id, drawn.drawn_at);
            }
        }
    }
}

const GONE_MAX: usize = 64;
