//! The small window that stays on top of all others: who speaks, with mute and leave.

use eframe::egui::{
    self, Context, Rect, ViewportBuilder, ViewportClass, ViewportCommand, ViewportId, pos2, vec2,
};
use lucide_icons::Icon;

use super::parts::{Round, round, row};
use super::tile::{self, Face, Frame};
use super::{Cx, Screen, bar};
use crate::model::call::{Call, Command, Source, Voice};
use crate::ui::theme::{Palette, STEP};
use crate::ui::window::{Page, Shown};

/// Shows it.
pub(super) fn show(ctx: &Context, screen: &mut Screen, cx: &mut Cx<'_>) {
    let builder = ViewportBuilder::default()
        .with_title("Farwheel call")
        .with_app_id("farwheel")
        .with_inner_size([360.0, 240.0])
        .with_min_inner_size([240.0, 160.0])
        .with_always_on_top();
    ctx.show_viewport_immediate(id(), builder, |ui, class| {
        if ui.input(|input| input.viewport().close_requested()) {
            screen.float = Shown::No;
        }
        let whole = match class {
            ViewportClass::EmbeddedWindow => {
                let (rect, _) = ui.allocate_exact_size(vec2(360.0, 240.0), egui::Sense::hover());
                rect
            }
            ViewportClass::Root | ViewportClass::Deferred | ViewportClass::Immediate => ui.max_rect(),
        };
        contents(ui, whole, screen, cx);
    });
}

fn contents(ui: &mut egui::Ui, whole: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    ui.painter().rect_filled(whole, 0.0, p.back);
    let bar_height = 56.0;
    let picture = Rect::from_min_max(
        whole.min + vec2(6.0, 6.0),
        pos2(whole.right() - 6.0, whole.bottom() - bar_height),
    );
    let source = speaker(cx.call);
    if let Some(face) = Face::of(source, cx) {
        // A click leads back to the call.
        if tile::show(ui, picture, &face, Frame::Plain, cx).clicked() {
            back(ui.ctx(), screen, cx);
        }
    }
    let below =
        Rect::from_min_max(pos2(whole.left() + 6.0, whole.bottom() - bar_height), whole.max - vec2(6.0, 0.0));
    let middle = Rect::from_center_size(below.center(), vec2(3.0 * 44.0 + 64.0 + 3.0 * STEP, bar_height));
    let mut ui = row(ui, middle, "float bar");
    ui.spacing_mut().item_spacing.x = STEP;
    let own = &cx.call.own;
    let (icon, look, name) = match (own.voice, own.microphone.used) {
        (_, None) => (Icon::MicOff, Round::Missing, "No microphone"),
        (Voice::On, Some(_)) => (Icon::Mic, Round::Plain, "Mute"),
        (Voice::Muted, Some(_)) => (Icon::MicOff, Round::Off, "Unmute"),
    };
    if round(&mut ui, icon, name, look).clicked() && own.microphone.used.is_some() {
        cx.ask(bar::mute_toggled(own.voice));
    }
    let (icon, look, name) = match (own.is_camera_on, own.camera.used) {
        (_, None) => (Icon::VideoOff, Round::Missing, "No camera"),
        (true, Some(_)) => (Icon::Video, Round::Plain, "Turn the camera off"),
        (false, Some(_)) => (Icon::VideoOff, Round::Off, "Turn the camera on"),
    };
    if round(&mut ui, icon, name, look).clicked() && own.camera.used.is_some() {
        cx.ask(Command::Camera(super::switch(!own.is_camera_on)));
    }
    if round(&mut ui, Icon::Maximize2, "Back to the call", Round::Plain).clicked() {
        back(ui.ctx(), screen, cx);
    }
    if round(&mut ui, Icon::PhoneOff, "Leave the call", Round::Leave).clicked() {
        cx.ask(Command::Leave);
    }
}

/// Shows the call in the large window again.
fn back(ctx: &Context, screen: &mut Screen, cx: &mut Cx<'_>) {
    screen.float = Shown::No;
    *cx.page = Page::Call;
    ctx.send_viewport_cmd_to(ViewportId::ROOT, ViewportCommand::Minimized(false));
    ctx.send_viewport_cmd_to(ViewportId::ROOT, ViewportCommand::Focus);
}

/// Who speaks or shares; else who came first; alone: oneself.
fn speaker(call: &Call) -> Source {
    let shares = call.members.iter().rev().find(|member| member.shares);
    let is_here = |id: &_| call.members.iter().any(|member| member.id == *id);
    let active = call.active.filter(is_here).or_else(|| call.members.first().map(|member| member.id));
    match (shares, active) {
        (Some(member), _) => Source::Screen(member.id),
        (None, Some(id)) => Source::Camera(id),
        (None, None) => Source::Own,
    }
}

fn id() -> ViewportId {
    ViewportId::from_hash_of("the call on top")
}
