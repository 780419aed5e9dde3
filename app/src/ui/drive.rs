//! The drive screen: the picture over the whole window, plates with figures over it, and the controls that stop.

mod alarm;
mod bars;
mod controls;
mod figures;
mod link;
mod map;
mod top;

use eframe::egui::{Rect, Ui, pos2, vec2};

pub(crate) use controls::{StopLook, stop_button};

use super::theme::{GAP, Palette, STEP};
use super::window::{Page, Shown};
use crate::model::drive::{Drive, Link, Picture};
use crate::model::{Command, Model};
use crate::render::slot::Slot;
use crate::render::video::{self, Look};

/// What the parts of the screen read and write.
pub(crate) struct Cx<'a> {
    /// The drive state.
    pub(crate) state: &'a Drive,
    /// All of it.
    pub(crate) model: &'a Model,
    /// The pictures.
    pub(crate) pictures: &'a Slot,
    /// The page of the window.
    pub(crate) page: &'a mut Page,
    /// Whether plates are hidden.
    pub(crate) bare: &'a mut Shown,
    /// Whether the list of shortcuts is shown.
    pub(crate) shortcuts: &'a mut Shown,
    /// Whether the arm control on screen is held.
    pub(crate) hold: &'a mut Hold,
    /// Commands so far.
    pub(crate) out: &'a mut Vec<Command>,
}

/// Whether the arm control on screen is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// No.
    #[default]
    Up,
    /// Yes.
    Down,
}

/// Shows the screen.
pub(crate) fn show(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    let state = cx.state;
    let look = match state.picture {
        Picture::None | Picture::Live => Look::LIVE,
        Picture::Frozen { .. } | Picture::Lost { .. } => Look::STALE,
    };
    match state.picture {
        Picture::None => backdrop(ui, rect),
        Picture::Live | Picture::Frozen { .. } | Picture::Lost { .. } => {
            video::paint(ui, rect, cx.pictures, cx.model.settings.view.fit, look);
        }
    }
    alarm::border(ui, rect, state);
    let inner = rect.shrink(GAP);
    let room = Room::of(inner);
    if *cx.bare == Shown::No {
        let hud = cx.model.settings.view.hud;
        let below_top = top::show(ui, inner, cx);
        let left = Rect::from_min_max(pos2(inner.left(), below_top + STEP), inner.max);
        figures::show(ui, left, cx, room);
        if hud.speed {
            bars::show(ui, inner, cx, room);
        }
        map::show(ui, inner, cx, room);
        let mut right = Rect::from_min_max(pos2(inner.left(), below_top + STEP), inner.max);
        if room.tall && hud.vehicle {
            right.min.y = top::vehicle(ui, right, cx);
        }
        link::show(ui, right, cx, room);
    }
    match (&state.link, &state.picture) {
        (Link::Opening(step), _) => alarm::opening(ui, rect, *step, cx),
        (Link::Connected { .. }, Picture::None) => {
            alarm::opening(ui, rect, crate::model::connect::Step::FirstPicture, cx);
        }
        (Link::Connected { .. } | Link::Lost { .. }, _) => alarm::show(ui, rect, cx, room),
    }
    // Last, so that nothing can lie over STOP.
    controls::show(ui, inner, cx, room);
}

/// How much room there is: what does not fit is left out, the least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// At least 880 points wide.
    pub(crate) wide: bool,
    /// At least 580 points high.
    pub(crate) tall: bool,
}

impl Room {
    fn of(rect: Rect) -> Self {
        Self { wide: rect.width() >= 880.0, tall: rect.height() >= 580.0 }
    }
}

fn backdrop(ui: &Ui, rect: Rect) {
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 0.0, p.back);
    // A faint road, so that the screen does not look broken before the first picture.
    let horizon = rect.top() + rect.height() * 0.46;
    let vanishing = pos2(rect.center().x, horizon);
    for offset in [-0.62_f32, -0.2, 0.2, 0.62] {
        let foot = pos2(rect.center().x + rect.width() * offset, rect.bottom());
        ui.painter().line_segment([vanishing + vec2(offset * 40.0, 8.0), foot], (1.5, p.line));
    }
    ui.painter().hline(rect.x_range(), horizon, (1.0, p.line));
}
