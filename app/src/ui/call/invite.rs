//! The link that brings others here: to copy, and as a code for a telephone's camera.

use eframe::egui::{
    self, Align, Align2, Area, Frame, Id, Layout, Margin, Order, Rect, Stroke, Ui, Vec2, pos2, vec2,
};
use lucide_icons::Icon;

use super::Cx;
use super::parts::region;
use super::tile::{self, Face};
use crate::model::call::Source;
use crate::ui::code;
use crate::ui::theme::{self, HALF, Palette, STEP, Weight, size};
use crate::ui::widgets::{Tone, command_line, icon_button};
use crate::ui::window::Shown;

/// Shows the card over the call.
pub(super) fn show(ui: &Ui, shown: &mut Shown, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let window = ui.ctx().content_rect();
    let area =
        Area::new(Id::unique("invite")).order(Order::Foreground).anchor(Align2::CENTER_CENTER, Vec2::ZERO);
    let is_low = window.height() < 560.0;
    area.show(ui.ctx(), |ui| {
        Frame::NONE
            .fill(p.surface)
            .stroke(Stroke::new(1.0, p.line))
            .corner_radius(16)
            .inner_margin(Margin::same(24))
            .shadow(ui.visuals().popup_shadow)
            .show(ui, |ui| {
                let width = if is_low { 540.0 } else { 360.0 };
                ui.set_width((window.width() - 96.0).min(width));
                ui.horizontal(|ui| {
                    ui.label(theme::text("Invite others", size::TITLE, Weight::Bold, p.text));
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        if icon_button(ui, Icon::X, "Close the invitation", Tone::Quiet).clicked() {
                            *shown = Shown::No;
                        }
                    });
                });
                ui.add_space(HALF);
                if is_low {
                    ui.horizontal_top(|ui| {
                        code::link(ui, &cx.call.link, 160.0);
                        ui.add_space(STEP);
                        ui.vertical(|ui| link(ui, cx));
                    });
                } else {
                    ui.vertical_centered(|ui| code::link(ui, &cx.call.link, 220.0));
                    ui.add_space(STEP);
                    link(ui, cx);
                }
            });
    });
}

fn link(ui: &mut Ui, cx: &Cx<'_>) {
    let p = Palette::of(ui);
    command_line(ui, &cx.call.link);
    let words = match (cx.call.is_locked, cx.call.is_moderator) {
        (true, true) => "The room is locked: you will be asked before anybody comes in.",
        (true, false) => "The room is locked: a moderator is asked before anybody comes in.",
        (false, true) => "Whoever has the link can come in. Lock the room to be asked first.",
        (false, false) => "Whoever has the link can come in.",
    };
    ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
}

/// The stage while nobody else is there: oneself, and the link.
pub(super) fn alone(ui: &mut Ui, area: Rect, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let is_wide = area.width() > 640.0;
    let card_width = if is_wide { 340.0 } else { area.width() };
    let has_code = is_wide && area.height() > 400.0;
    // Heading, sentence, code, link in up to three lines; and the margins.
    let card_height: f32 = if has_code { 354.0 } else { 156.0 };
    let picture = if is_wide {
        Rect::from_min_max(area.min, pos2(area.right() - card_width - 16.0, area.bottom()))
    } else {
        Rect::from_min_max(area.min, pos2(area.right(), area.bottom() - card_height - 10.0))
    };
    if let Some(face) = Face::of(Source::Own, cx) {
        tile::show(ui, picture, &face, tile::Frame::Plain, cx);
    }
    let card = if is_wide {
        let height = card_height.min(area.height());
        Rect::from_min_size(
            pos2(area.right() - card_width, area.center().y - height / 2.0),
            vec2(card_width, height),
        )
    } else {
        Rect::from_min_max(pos2(area.left(), area.bottom() - card_height), area.max)
    };
    ui.painter().rect_filled(card, 14.0, p.surface);
    ui.painter().rect_stroke(card, 14.0, Stroke::new(1.0, p.line), egui::StrokeKind::Inside);
    let mut ui = region(ui, card.shrink(20.0), "alone", Layout::top_down(Align::Min));
    ui.spacing_mut().item_spacing.y = STEP;
    ui.label(theme::text("Nobody else is here yet", size::LEAD, Weight::Bold, p.text));
    let words = "Pass this link on to whom you want to see.";
    ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    if has_code {
        ui.add_space(HALF);
        ui.vertical_centered(|ui| code::link(ui, &cx.call.link, 190.0));
        ui.add_space(HALF);
    }
    command_line(&mut ui, &cx.call.link);
}
