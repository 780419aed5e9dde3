//! Who rings: a card over any page, with both answers.

use eframe::egui::{
    Align, Align2, Area, Context, Frame, Id, Key, Layout, Margin, Modifiers, Order, Sense, Stroke, Ui, vec2,
};
use lucide_icons::Icon;

use super::call::parts::avatar;
use super::theme::{self, HALF, Palette, STEP, Weight, size};
use super::widgets::{Tone, button_sized, describe};
use crate::model::call::{Command as Ask, Trust};
use crate::model::ring::{Answer, Incoming};
use crate::model::{Command, Level, Model};

/// Shows the card while somebody rings. It is no modal: STOP and all else go on working beside it.
pub(super) fn show(ctx: &Context, model: &Model, out: &mut Vec<Command>) {
    let Some(incoming) = model.line.as_ref().and_then(|line| line.incoming.as_ref()) else { return };
    let pressed = |modifiers| ctx.input_mut(|input| input.consume_key(modifiers, Key::F9));
    // The one with more modifiers first: a plain one would match both.
    let mut answer = pressed(Modifiers::SHIFT).then_some(Answer::Decline);
    if answer.is_none() && pressed(Modifiers::NONE) {
        answer = Some(Answer::Accept);
    }
    let right =
        Area::new(Id::unique("ring")).order(Order::Foreground).anchor(Align2::RIGHT_TOP, vec2(-24.0, 76.0));
    right.show(ctx, |ui| {
        let p = Palette::of(ui);
        Frame::NONE
            .fill(p.surface)
            .stroke(Stroke::new(1.0, p.accent))
            .corner_radius(16)
            .inner_margin(Margin::same(20))
            .shadow(ui.visuals().popup_shadow)
            .show(ui, |ui| {
                ui.set_width((ctx.content_rect().width() - 88.0).min(WIDTH));
                answer = card(ui, incoming).or(answer);
            });
    });
    out.extend(answer.map(|answer| Command::Call(Ask::AnswerRing(answer))));
}

fn card(ui: &mut Ui, incoming: &Incoming) -> Option<Answer> {
    let p = Palette::of(ui);
    let name = if incoming.name.is_empty() { "Somebody without a name" } else { &incoming.name };
    ui.spacing_mut().item_spacing.y = HALF;
    ui.horizontal(|ui| {
        let (face, _) = ui.allocate_exact_size(vec2(48.0, 48.0), Sense::hover());
        avatar(ui, face.center(), 24.0, name);
        describe(ui, face, "who rings", &format!("{name} is calling, {}", known(incoming.trust)));
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let label = theme::text(name, size::LEAD, Weight::Bold, p.text);
            ui.add(eframe::egui::Label::new(label).truncate());
            ui.label(theme::text("is calling", size::BODY, Weight::Regular, p.soft));
        });
    });
    let (icon, level) = match incoming.trust {
        Trust::Verified => (Icon::ShieldCheck, Level::Good),
        Trust::Known => (Icon::Shield, Level::Neutral),
        Trust::New => (Icon::ShieldQuestionMark, Level::Neutral),
        Trust::Changed | Trust::Broken => (Icon::ShieldAlert, Level::Bad),
    };
    ui.horizontal_wrapped(|ui| {
        let ink = if level == Level::Neutral { p.soft } else { p.level(level) };
        ui.label(theme::icon(icon, 16.0, ink));
        ui.label(theme::text(known(incoming.trust), size::BODY, Weight::Medium, ink));
    });
    ui.add_space(HALF);
    let mut answer = None;
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = STEP;
        let each = vec2((ui.available_width() - STEP) / 2.0, 44.0);
        if button_sized(ui, Some(Icon::PhoneOff), "Decline (Shift+F9)", Tone::Plain, each).clicked() {
            answer = Some(Answer::Decline);
        }
        if button_sized(ui, Some(Icon::Phone), "Accept (F9)", Tone::Primary, each).clicked() {
            answer = Some(Answer::Accept);
        }
    });
    answer
}

/// What is known of somebody, in words.
pub(super) const fn known(trust: Trust) -> &'static str {
    match trust {
        Trust::New => "you have not met before",
        Trust::Known => "you have met before",
        Trust::Verified => "verified by you",
        Trust::Changed | Trust::Broken => "not the one you know by this name",
    }
}

const WIDTH: f32 = 380.0;
