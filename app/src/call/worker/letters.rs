//! A call of two without a server: the mesh hears of one other, whose signals come in a letter.

use std::time::Instant;

use farwheel_peer::by_hand::{self, GATHER_MAX};
use farwheel_peer::signaling::PeerId;
use farwheel_peer::{ConnId, Failure, SignalKind};
use farwheel_proto::call::letter::{self, Kind, Wanted, description};

use super::post::{Post, Written};
use super::{Stage, Worker};
use crate::call::Side;
use crate::model::connect::{Field, Problem};
use crate::session::unix_seconds;

/// The one that answers; the smaller id is polite.
const ANSWERER: PeerId = PeerId::new(1);
/// The one that offers.
const OFFERER: PeerId = PeerId::new(2);

impl Worker {
    /// Makes the connection whose description goes into the letter.
    pub(super) fn begin_by_letters(&mut self, now: Instant) {
        let Some(people) = self.post.people() else { return };
        people.begun = Some(now);
        match people.side.clone() {
            Side::Offer => self.mesh.handle_joined(OFFERER, [(ANSWERER, None)], now),
            Side::Answer(offer) => {
                self.mesh.handle_joined(ANSWERER, [], now);
                let conn = offer.conn.unwrap_or_else(|| ConnId::new(rand::random()));
                for signal in by_hand::signals(conn, SignalKind::Offer, &offer.sdp) {
                    self.handle_signal(OFFERER, signal, now);
                }
            }
        }
        self.act(now);
    }

    /// Writes the letter once the description is whole, or has waited long enough for what is missing.
    pub(super) fn write_letter(&mut self, now: Instant) {
        let Some(conn) = self.links.keys().next().copied() else { return };
        let Some(people) = self.post.people() else { return };
        let is_late = people.begun.is_some_and(|begun| now.saturating_duration_since(begun) >= GATHER_MAX);
        if people.letter.is_some() || !(people.gathered.is_whole() || is_late) {
            return;
        }
        let Some(sdp) = people.gathered.description() else { return };
        let (kind, text) = match &people.side {
            Side::Offer => (Kind::Offer, letter::write(Kind::Offer, conn, &sdp, unix_seconds())),
            Side::Answer(offer) if offer.conn.is_some() => {
                (Kind::Answer, letter::write(Kind::Answer, conn, &sdp, unix_seconds()))
            }
            Side::Answer(_) => (Kind::Answer, description::as_json(Kind::Answer, &sdp)),
        };
        people.letter = Some(Written { conn, kind, text: text.clone() });
        self.set_stage(Stage::Letter { kind, letter: text, problem: None });
    }

    /// Takes the answer to the own offer, or says what is wrong with it.
    pub(super) fn accept(&mut self, answer: &str, now: Instant) {
        let Some(Written { conn, kind: Kind::Offer, text }) =
            self.post.people().and_then(|people| people.letter.clone())
        else {
            return;
        };
        match letter::read(answer, Wanted::AnswerTo(conn), unix_seconds()) {
            Ok(answer) => {
                self.set_stage(Stage::Joining);
                for signal in by_hand::signals(conn, SignalKind::Answer, &answer.sdp) {
                    self.handle_signal(ANSWERER, signal, now);
                }
            }
            Err(error) => {
                let problem = Some(error.sentence());
                self.set_stage(Stage::Letter { kind: Kind::Offer, letter: text, problem });
            }
        }
    }

    /// The two are connected.
    pub(super) fn enter_by_letters(&mut self, now: Instant) {
        if matches!(self.post, Post::People(_)) && self.joined_at.is_none() {
            self.joined_at = Some(now);
            self.publish(now);
            self.set_stage(Stage::In);
        }
    }

    /// The other one has left: nobody else can come.
    pub(super) fn end_letters(&self, name: &str) {
        if matches!(self.post, Post::People(_)) {
            self.end(Stage::Over(format!("{name} has left.")));
        }
    }

    /// The connection is over: nobody carries a letter for another one.
    pub(super) fn fail_letters(&self, failure: &Failure) {
        if !matches!(self.post, Post::People(_)) {
            return;
        }
        match (self.joined_at, failure) {
            (Some(_), Failure::ClosedByPeer) => self.end(Stage::Over("The other one has left.".into())),
            (Some(_), failure) => self.end(problem(
                format!("The connection has ended: {failure}."),
                "Without a server it cannot be made again by itself: exchange two new letters.",
            )),
            (None, Failure::ConnectTimeout(_)) => self.end(problem(
                "The two letters have led to no connection in time.".into(),
                "Both have to be in one network, or reach each other's; write a new offer.",
            )),
            (None, failure) => {
                self.end(problem(format!("There is no connection: {failure}."), "Write a new offer."));
            }
        }
    }

    fn end(&self, stage: Stage) {
        // What is said first is the reason; the rest follows from it.
        if !matches!(*super::lock(&self.shared.stage), Stage::Over(_) | Stage::Ended(_)) {
            self.set_stage(stage);
        }
    }
}

fn problem(what: String, remedy: &str) -> Stage {
    Stage::Ended(Problem { what, remedy: remedy.into(), code: None, field: Field::Form })
}
