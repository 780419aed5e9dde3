//! What the call screen shows, made of what the worker knows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farwheel_peer::ConnId;
use farwheel_proto::call::mesh::{self, Mesh};

use super::people::Person;
use super::worker::{Link, Room, Talk};
use super::{Config, Shared, lock};
use crate::model::call::{self, Call, Figures, Member, Server, Target};
use crate::model::invitation;
use crate::model::list::List;

/// What it is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) shared: &'a Shared,
    pub(super) mesh: &'a Mesh,
    pub(super) links: &'a BTreeMap<ConnId, Link>,
    pub(super) room: &'a Room,
    pub(super) talk: &'a Talk,
    pub(super) lasted: Duration,
}

/// The figures of the last minutes.
#[derive(Debug, Default)]
pub(super) struct History {
    // Full: 300 samples, five minutes; the oldest goes.
    samples: List<Figures>,
    sampled_at: Option<Instant>,
}

impl History {
    /// Takes a sample, if a second has passed.
    pub(super) fn handle_tick(&mut self, links: &BTreeMap<ConnId, Link>, now: Instant) {
        if self.sampled_at.is_some_and(|at| now.saturating_duration_since(at) < SAMPLE) {
            return;
        }
        self.sampled_at = Some(now);
        if self.samples.len() == SAMPLES_MAX {
            self.samples.remove(0);
        }
        let links = links.values().filter(|link| link.is_up()).map(|link| (link.member, link.figures));
        self.samples.push(Figures { links: links.collect() });
    }

    pub(super) fn samples(&self) -> List<Figures> {
        self.samples.clone()
    }
}

/// The call as it stands; this side's devices are not in it.
pub(super) fn call(parts: &Parts<'_>, history: &History, now: Instant) -> Call {
    let link = parts.config.room().map_or_else(String::new, |signaling| {
        let (server, room) = (signaling.server.clone(), signaling.place.name().to_string());
        invitation::link(&Target { server, room, token: String::new() })
    });
    let people = lock(&parts.shared.people);
    let members: Vec<Member> = parts
        .mesh
        .members()
        .iter()
        // Who has just come is shown with its first word: it may be somebody known by another id.
        .filter(|member| member.was_linked || !matches!(member.link, mesh::Link::Awaiting { .. }))
        .filter_map(|member| {
            let person = people.get(member.id)?;
            let link = member.link.conn().and_then(|conn| parts.links.get(&conn));
            Some(self::member(member, person, link, now))
        })
        .collect();
    let recorded_by =
        people.here().filter(|(_, person)| person.state.recording).map(|(_, person)| person.name.clone());
    Call {
        link,
        room: parts.config.title().to_owned(),
        lasted: parts.lasted,
        recorded_by: recorded_by.collect(),
        server: match parts.room.away_since {
            Some(since) => Server::Away(now.saturating_duration_since(since)),
            None => Server::Here,
        },
        is_locked: parts.room.is_locked,
        is_moderator: parts.room.is_moderator,
        knocking: parts
            .room
            .knocking
            .iter()
            .map(|peer| (peer.id, peer.name.clone().unwrap_or_else(|| "Somebody".to_owned())))
            .collect(),
        chat: parts.talk.lines(),
        unread: parts.talk.chat.unread(),
        files: match &parts.talk.files {
            Some(files) => files.view(now, |id| {
                people.get(id).map_or_else(|| "Somebody".to_owned(), |person| person.name.clone())
            }),
            None => Vec::new(),
        },
        figures: history.samples(),
        members,
        ..Call::default()
    }
}

fn member(member: &mesh::Member, person: &Person, link: Option<&Link>, now: Instant) -> Member {
    let since = |at: Instant| now.saturating_duration_since(at);
    let how = match member.link {
        mesh::Link::Linked { silent_since: None, .. } => {
            let quality = link.map(|link| link.quality.clone()).unwrap_or_default();
            call::Link::Connected { bars: quality.bars, reason: quality.reason }
        }
        mesh::Link::Linked { .. }
        | mesh::Link::Awaiting { .. }
        | mesh::Link::Connecting { .. }
        | mesh::Link::Waiting { .. }
        | mesh::Link::Lost { .. } => match member.down_since {
            Some(at) => call::Link::Reconnecting(since(at)),
            None => call::Link::Connecting,
        },
    };
    let sound = link.and_then(Link::sound);
    Member {
        id: member.id,
        name: person.name.clone(),
        link: how,
        is_camera_on: person.state.camera,
        is_microphone_on: person.state.microphone,
        hears: person.state.hears,
        shares: person.state.screen,
        is_hand_up: person.state.hand,
        speaks: sound.is_some_and(|sound| sound.speaks),
        level: sound.map_or(0.0, |sound| sound.level),
        volume: person.volume,
        verification: None,
    }
}

const SAMPLE: Duration = Duration::from_secs(1);
const SAMPLES_MAX: usize = 300;
