//! Reading the other one's letter with the camera.

use std::sync::Arc;

use farwheel_proto::call::letter::{self, Wanted};

use super::Desk;
use crate::call::Eye;
use crate::model::call::{Command as Ask, Letters, Switch};
use crate::model::pair::{self, Phase};
use crate::model::scan::{Aim, Command, Scan};
use crate::model::{Model, Notice};
use crate::session::scan::Scanner;
use crate::session::unix_seconds;

/// A reading under way.
#[derive(Debug)]
pub(super) struct Reading {
    aim: Aim,
    scanner: Scanner,
    /// The camera, unless a call has it open anyway.
    eye: Option<Eye>,
    /// What is wrong with what was read.
    problem: Option<String>,
}

impl Reading {
    /// Where its pictures arrive, if the camera is its own.
    pub(super) fn slot(&self) -> Option<&crate::render::slot::Slot> {
        self.eye.as_ref().map(Eye::slot)
    }
}

impl Desk {
    /// Begins or ends reading.
    pub(super) fn scan(&mut self, command: Command) {
        self.reading = None;
        let Command::Begin(aim) = command else { return };
        let eye = match self.call.own() {
            Some(_) => {
                self.call(Ask::Camera(Switch::On));
                None
            }
            None => match Eye::open(self.options.call.choices.clone().with(&self.settings.call)) {
                Ok(eye) => Some(eye),
                Err(error) => return self.notices.push(Notice::bad(format!("No camera: {error}."))),
            },
        };
        let slot = eye.as_ref().map(Eye::slot).or(self.call.own()).expect("one of the two has the camera");
        let wake = self.wake.clone();
        let scanner = Scanner::start(slot.clone(), {
            let wake = wake.clone();
            move || {
                if let Some(wake) = &wake {
                    wake();
                }
            }
        });
        if let (Some(eye), Some(wake)) = (&eye, wake) {
            eye.slot().on_put(move || Arc::clone(&wake)());
        }
        match scanner {
            Ok(scanner) => self.reading = Some(Reading { aim, scanner, eye, problem: None }),
            Err(error) => self.notices.push(Notice::bad(format!("Nothing can be read: {error}."))),
        }
    }

    /// Takes what was read, and shows how it goes.
    pub(super) fn refresh_reading(&mut self, model: &mut Model) {
        model.scan = None;
        let Some(reading) = &mut self.reading else { return };
        // What is wanted now; nothing any more where the letter was pasted meanwhile, or all was given up.
        let wanted = match (reading.aim, &model.prejoin, &model.pair.phase) {
            (Aim::Call, Some(prejoin), _) => match &prejoin.letters {
                Some(Letters::Begin(_)) => Some(Wanted::Offer),
                Some(Letters::Offer { letter, .. }) => answer_to(letter),
                Some(Letters::Busy(_) | Letters::Answer { .. }) | None => None,
            },
            (Aim::Call, None, _) => None,
            (Aim::Pair, _, Phase::Idle | Phase::Over(_)) => Some(Wanted::Offer),
            (Aim::Pair, _, Phase::Offer { letter, .. }) => answer_to(letter),
            (
                Aim::Pair,
                _,
                Phase::Busy(_) | Phase::Waiting { .. } | Phase::Answer { .. } | Phase::Together { .. },
            ) => None,
        };
        let Some(wanted) = wanted else {
            self.reading = None;
            return;
        };
        let mut read = None;
        if let Some(text) = reading.scanner.take() {
            match letter::read(&text, wanted, unix_seconds()) {
                Ok(_) => read = Some(text),
                Err(error) => reading.problem = Some(error.sentence()),
            }
        }
        let camera = reading.eye.as_ref().map_or_else(|| self.call.camera_problem(), Eye::problem);
        model.scan = Some(Scan { problem: camera.or_else(|| reading.problem.clone()) });
        if let Some(text) = read {
            let aim = reading.aim;
            self.reading = None;
            match (aim, wanted) {
                (Aim::Call, Wanted::Offer) => self.call(Ask::Answer(text)),
                (Aim::Call, Wanted::AnswerTo(_)) => self.call(Ask::Accept(text)),
                (Aim::Pair, Wanted::Offer) => self.meet(pair::Command::Answer(text)),
                (Aim::Pair, Wanted::AnswerTo(_)) => self.meet(pair::Command::Accept(text)),
            }
        }
    }
}

/// The answer to the own offer.
fn answer_to(offer: &str) -> Option<Wanted> {
    // One that has expired is shown as such when its answer comes.
    letter::read(offer, Wanted::Offer, 0).ok()?.conn.map(Wanted::AnswerTo)
}
