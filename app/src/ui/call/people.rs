//! The panel with everybody: how it stands with each, how loud each is, and what a moderator may do.

use eframe::egui::{
    self, Align, Align2, CursorIcon, Frame, Layout, Margin, Rect, Role, ScrollArea, Sense, Ui, WidgetInfo,
    pos2, vec2,
};
use farwheel_peer::signaling::PeerId;
use lucide_icons::Icon;

use super::parts::{avatar, bars, link_words, menu_entry, menu_heading, menu_line, region};
use super::{Cx, Screen, switch};
use crate::model::call::{Command, Link, Member, Trust, Voice};
use crate::ui::theme::{self, HALF, Palette, STEP, Weight, size};
use crate::ui::widgets::{
    Tone, button_named, describe, focus_ring, paint_icon, paint_line, slider_row_after, toggle_row,
};

/// Shows the panel.
pub(super) fn show(ui: &mut Ui, rect: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let title = format!("People ({})", cx.call.members.len() + 1);
    let body = super::panel(ui, rect, &title, screen);
    let mut list = region(ui, body, "people", Layout::top_down(Align::Min));
    list.set_clip_rect(body.intersect(ui.clip_rect()));
    ScrollArea::vertical().auto_shrink([false, false]).show(&mut list, |ui| {
        Frame::NONE.inner_margin(Margin { left: 12, right: 12, top: 0, bottom: 12 }).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            if cx.call.is_moderator {
                Frame::NONE.inner_margin(Margin::symmetric(8, 0)).show(ui, |ui| {
                    let mut locked = cx.call.is_locked;
                    let hint = "Whoever comes has to be let in.";
                    if toggle_row(ui, "Lock the room", hint, &mut locked) {
                        cx.ask(Command::Lock(switch(locked)));
                    }
                });
                ui.add_space(HALF);
            }
            for (id, name) in &cx.call.knocking {
                waiting(ui, *id, name, cx);
            }
            own(ui, cx);
            for member in &cx.call.members {
                let is_open = screen.person == Some(member.id);
                if entry(ui, member, is_open).clicked() {
                    screen.person = if is_open { None } else { Some(member.id) };
                }
                if screen.person == Some(member.id) {
                    Frame::NONE.inner_margin(Margin { left: 8, right: 8, top: 0, bottom: 10 }).show(
                        ui,
                        |ui| {
                            details(ui, member, cx);
                        },
                    );
                }
            }
        });
    });
}

/// Somebody before the door.
fn waiting(ui: &mut Ui, id: PeerId, name: &str, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    avatar(ui, rect.left_center() + vec2(26.0, 0.0), 17.0, name);
    let buttons = if cx.call.is_moderator { 156.0 } else { 0.0 };
    let room = rect.width() - 54.0 - 8.0 - buttons;
    let at = rect.left_center() + vec2(54.0, -8.0);
    paint_line(ui, at, room, &[(name, size::BODY, Weight::Medium, p.text)]);
    let at = rect.left_center() + vec2(54.0, 9.0);
    paint_line(ui, at, room, &[("wants to join", size::CAPTION, Weight::Regular, p.warning)]);
    describe(ui, rect, name, &format!("{name} wants to join"));
    if !cx.call.is_moderator {
        return;
    }
    let place = Rect::from_min_max(pos2(rect.right() - buttons, rect.top()), rect.max);
    let mut ui = region(ui, place, ("door", id), Layout::right_to_left(Align::Center));
    let each = vec2(70.0, 32.0);
    if button_named(&mut ui, None, "Admit", &format!("Admit {name}, in the list"), Tone::Primary, each)
        .clicked()
    {
        cx.ask(Command::Admit(id));
    }
    if button_named(&mut ui, None, "Deny", &format!("Deny {name}, in the list"), Tone::Plain, each).clicked()
    {
        cx.ask(Command::Deny(id));
    }
}

fn own(ui: &mut Ui, cx: &Cx<'_>) {
    let p = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let own = &cx.call.own;
    let name = if own.name.is_empty() { "You" } else { &own.name };
    avatar(ui, rect.left_center() + vec2(26.0, 0.0), 17.0, name);
    let at = rect.left_center() + vec2(54.0, 0.0);
    let parts = [(name, size::BODY, Weight::Medium, p.text), ("  you", size::BODY, Weight::Regular, p.faint)];
    paint_line(ui, at, rect.width() - 54.0 - 80.0, &parts);
    let is_muted = own.voice == Voice::Muted || own.microphone.used.is_none();
    let mut right = rect.right() - 12.0;
    for (is_so, icon, ink) in [
        (is_muted, Icon::MicOff, p.bad),
        (!own.is_camera_on, Icon::VideoOff, p.faint),
        (own.is_hand_up, Icon::Hand, p.warning),
    ] {
        if is_so {
            paint_icon(ui, pos2(right - 8.0, rect.center().y), Align2::CENTER_CENTER, icon, 16.0, ink);
            right -= 24.0;
        }
    }
    describe(ui, rect, "own", &format!("{name}, you{}", if is_muted { ", muted" } else { "" }));
}

fn entry(ui: &mut Ui, member: &Member, is_open: bool) -> egui::Response {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let mut words = format!("In the list: {}, {}", member.name, link_words(&member.link));
    for (is_so, what) in [
        (!member.is_microphone_on, ", muted"),
        (!member.is_camera_on, ", camera off"),
        (!member.hears, ", hears nothing"),
        (member.is_hand_up, ", hand raised"),
    ] {
        if is_so {
            words += what;
        }
    }
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_open, &words));
    if is_open || response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 10.0, p.raised);
    }
    let face = rect.left_center() + vec2(26.0, 0.0);
    if member.speaks {
        ui.painter().circle_stroke(face, 19.5, (2.0, p.accent));
    }
    avatar(ui, face, 17.0, &member.name);
    let mut right = rect.right() - 12.0;
    let signal = Rect::from_center_size(pos2(right - 8.0, rect.center().y), vec2(16.0, 12.0));
    bars(ui, signal, &member.link, &p);
    right -= 28.0;
    for (is_so, icon, ink) in [
        (!member.is_microphone_on, Icon::MicOff, p.bad),
        (!member.is_camera_on, Icon::VideoOff, p.faint),
        (!member.hears, Icon::EarOff, p.warning),
        (member.is_hand_up, Icon::Hand, p.warning),
        (member.shares, Icon::MonitorUp, p.accent),
    ] {
        if is_so {
            paint_icon(ui, pos2(right - 8.0, rect.center().y), Align2::CENTER_CENTER, icon, 16.0, ink);
            right -= 24.0;
        }
    }
    let room = right - rect.left() - 54.0 - 4.0;
    let note = match &member.link {
        Link::Connecting => Some(("connecting".to_owned(), p.soft)),
        Link::Reconnecting(_) => Some((link_words(&member.link), p.bad)),
        Link::Connected { bars: 0..=2, reason: Some(reason) } => Some((reason.clone(), p.warning)),
        Link::Connected { .. } => None,
    };
    let middle = if note.is_some() { -8.0 } else { 0.0 };
    let at = rect.left_center() + vec2(54.0, middle);
    let is_cut = paint_line(ui, at, room, &[(member.name.as_str(), size::BODY, Weight::Medium, p.text)]);
    if let Some((words, ink)) = note {
        let at = rect.left_center() + vec2(54.0, 9.0);
        paint_line(ui, at, room, &[(words.as_str(), size::CAPTION, Weight::Regular, ink)]);
    }
    focus_ring(ui, &response, rect.shrink(2.0), 10.0);
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if is_cut { response.on_hover_text(&member.name) } else { response }
}

/// How loud, whether it is them, and what a moderator may do.
fn details(ui: &mut Ui, member: &Member, cx: &mut Cx<'_>) {
    ui.spacing_mut().item_spacing.y = STEP;
    ui.add_space(HALF);
    volume(ui, member, cx);
    verification(ui, member, cx);
    if cx.call.is_moderator {
        ui.horizontal(|ui| {
            let each = vec2((ui.available_width() - STEP) / 2.0, 36.0);
            ui.add_enabled_ui(member.is_microphone_on, |ui| {
                let name = format!("Ask {} to mute", member.name);
                if button_named(ui, Some(Icon::MicOff), "Ask to mute", &name, Tone::Plain, each).clicked() {
                    cx.ask(Command::AskToMute(member.id));
                }
            });
            let name = format!("Remove {} from the call", member.name);
            if button_named(ui, Some(Icon::UserX), "Remove", &name, Tone::Plain, each).clicked() {
                cx.ask(Command::Kick(member.id));
            }
        });
    }
}

fn volume(ui: &mut Ui, member: &Member, cx: &mut Cx<'_>) {
    let mut volume = member.volume;
    let percent = |value: f32| format!("{:.0} %", value * 100.0);
    ui.push_id(("volume", member.id), |ui| {
        if slider_row_after(ui, "Volume", 56.0, &mut volume, 0.0..=2.0, percent) {
            cx.ask(Command::Volume(member.id, volume));
        }
    });
}

fn verification(ui: &mut Ui, member: &Member, cx: &mut Cx<'_>) {
    let Some(verification) = &member.verification else { return };
    let p = Palette::of(ui);
    let (icon, ink, words) = match verification.trust {
        Trust::New => (Icon::Shield, p.soft, "Met for the first time."),
        Trust::Known => (Icon::Shield, p.good, "The same computer as before."),
        Trust::Verified => (Icon::ShieldCheck, p.good, "Compared by you: nobody sits between."),
        Trust::Changed => (Icon::ShieldAlert, p.bad, "Another computer than before under this name!"),
        Trust::Broken => {
            (Icon::ShieldAlert, p.bad, "Somebody may sit between: do not trust this connection!")
        }
    };
    ui.horizontal_top(|ui| {
        ui.label(theme::icon(icon, 17.0, ink));
        // In a column of its own, else long words widen the panel.
        ui.vertical(|ui| ui.label(theme::text(words, size::BODY, Weight::Medium, p.text)));
    });
    if verification.trust == Trust::Broken {
        return;
    }
    Frame::NONE.fill(p.back).corner_radius(8).inner_margin(Margin::symmetric(12, 10)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let words = theme::text(&verification.words, size::LEAD, Weight::Bold, p.text);
        ui.add(egui::Label::new(words).wrap().selectable(true));
    });
    if verification.trust != Trust::Verified {
        let words = "Read these words to each other. The same on both sides: nobody listens in.";
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
        let wanted = vec2(ui.available_width(), 36.0);
        let name = format!("The words of {} are the same", member.name);
        if button_named(ui, Some(Icon::ShieldCheck), "They are the same", &name, Tone::Plain, wanted)
            .clicked()
        {
            cx.ask(Command::Verify(member.id));
        }
    }
}

/// The same, short, for the menu of a tile.
pub(super) fn actions(ui: &mut Ui, member: &Member, cx: &mut Cx<'_>) {
    menu_heading(ui, &member.name);
    Frame::NONE.inner_margin(Margin::symmetric(10, 2)).show(ui, |ui| volume(ui, member, cx));
    if !cx.call.is_moderator {
        return;
    }
    menu_line(ui);
    if member.is_microphone_on && menu_entry(ui, Some(Icon::MicOff), "Ask to mute", "").clicked() {
        cx.ask(Command::AskToMute(member.id));
        ui.close();
    }
    if menu_entry(ui, Some(Icon::UserX), "Remove from the call", "").clicked() {
        cx.ask(Command::Kick(member.id));
        ui.close();
    }
}

/// Height of a row, in points.
const ROW: f32 = 52.0;
