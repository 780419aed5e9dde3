//! The bar at the bottom: what one does in a call, and the menus that go with it.

use eframe::egui::{Align, Align2, Layout, Rect, Response, Sense, Stroke, StrokeKind, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::parts::{
    Round, badge, caret, lasted, loudness, menu, menu_choice, menu_devices, menu_entry, menu_heading,
    menu_line, menu_opened, menu_switch, region, round, row,
};
use super::{Arrangement, Cx, Screen, Side, switch};
use crate::model::call::{Command, Kind, Sharing, Voice};
use crate::model::settings::Fit;
use crate::ui::theme::{Palette, STEP, Weight, size};
use crate::ui::widgets::{describe, paint_icon, paint_line, paint_text};
use crate::ui::window::{Page, Shown, toggle_fullscreen};

/// Shows the bar.
pub(super) fn show(ui: &mut Ui, rect: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let is_wide = rect.width() >= 940.0;
    let middle = Rect::from_center_size(rect.center(), vec2(middle_width(is_wide), rect.height()));
    if is_wide {
        let left = Rect::from_min_max(rect.min + vec2(20.0, 0.0), pos2(middle.left() - STEP, rect.bottom()));
        about(ui, left, cx);
    }
    let mut ui_middle = row(ui, middle, "middle");
    ui_middle.spacing_mut().item_spacing.x = STEP;
    doing(&mut ui_middle, screen, cx, is_wide);
    if is_wide {
        let right = Rect::from_min_max(pos2(middle.right(), rect.top()), rect.max - vec2(20.0, 0.0));
        let mut ui = region(ui, right, "right", Layout::right_to_left(Align::Center));
        ui.spacing_mut().item_spacing.x = STEP;
        side_button(&mut ui, screen, Side::Figures);
        side_button(&mut ui, screen, Side::People);
        let chat = side_button(&mut ui, screen, Side::Chat);
        badge(&ui, chat.rect, screen.unread(cx.call));
        // Two who met by letters are all there can be.
        let has_link = !cx.call.link.is_empty();
        if has_link && round(&mut ui, Icon::UserPlus, "Invite others", Round::Plain).clicked() {
            screen.invite = screen.invite.flipped();
        }
    }
}

/// Two split buttons, so many round ones, and the one that leaves.
fn middle_width(is_wide: bool) -> f32 {
    let count = if is_wide { 4.0 } else { 5.0 };
    2.0 * (44.0 + 24.0) + count * 44.0 + 64.0 + (count + 2.0) * STEP
}

/// Which call this is and how long it lasts.
fn about(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let time = lasted(cx.call.lasted);
    let mut left = rect.left();
    if cx.call.is_locked {
        paint_icon(ui, pos2(left + 8.0, rect.center().y), Align2::CENTER_CENTER, Icon::Lock, 16.0, p.warning);
        left += 26.0;
    }
    let room = rect.right() - left;
    let line = [(cx.call.room.as_str(), size::LEAD, Weight::Bold, p.text)];
    paint_line(ui, pos2(left, rect.center().y - 9.0), room, &line);
    let count = cx.call.members.len() + 1;
    let people = if count == 1 { "only you".to_owned() } else { format!("{count} people") };
    let words = format!("{time} \u{b7} {people}");
    let line = [(words.as_str(), size::BODY, Weight::Regular, p.soft)];
    paint_line(ui, pos2(left, rect.center().y + 10.0), room, &line);
    let locked = if cx.call.is_locked { ", locked" } else { "" };
    let room = if cx.call.link.is_empty() { "" } else { "Room " };
    describe(ui, rect, "about", &format!("{room}{}{locked}, {words}", cx.call.room));
}

fn doing(ui: &mut Ui, screen: &mut Screen, cx: &mut Cx<'_>, is_wide: bool) {
    microphone(ui, screen, cx);
    camera(ui, cx);
    share(ui, screen, cx);
    let own = &cx.call.own;
    let (look, name) =
        if own.is_hand_up { (Round::On, "Lower the hand (H)") } else { (Round::Plain, "Raise the hand (H)") };
    if round(ui, Icon::Hand, name, look).clicked() {
        cx.ask(Command::Hand(switch(!own.is_hand_up)));
    }
    if is_wide {
        record(ui, cx);
    } else {
        let chat = side_button(ui, screen, Side::Chat);
        badge(ui, chat.rect, screen.unread(cx.call));
        side_button(ui, screen, Side::People);
    }
    more(ui, screen, cx, is_wide);
    if round(ui, Icon::PhoneOff, "Leave the call (Ctrl+L)", Round::Leave).clicked() {
        cx.ask(Command::Leave);
    }
}

/// A round button and the arrow to its menu on one ground.
fn split(ui: &mut Ui, icon: Icon, name: &str, look: Round, menu_name: &str) -> (Response, Response) {
    let p = Palette::of(ui);
    let ground = Rect::from_min_size(
        pos2(ui.cursor().left(), ui.max_rect().center().y - 22.0),
        vec2(44.0 + 24.0, 44.0),
    );
    ui.painter().rect_filled(ground, 22.0, p.surface);
    ui.painter().rect_stroke(ground, 22.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let main = round(ui, icon, name, look);
        (main, caret(ui, menu_name))
    })
    .inner
}

fn microphone(ui: &mut Ui, screen: &mut Screen, cx: &mut Cx<'_>) {
    let own = &cx.call.own;
    let is_there = own.microphone.used.is_some();
    let (icon, look, name) = match (own.voice, is_there, screen.is_talking()) {
        (_, false, _) => (Icon::MicOff, Round::Missing, "No microphone"),
        (Voice::On, true, false) => (Icon::Mic, Round::Plain, "Mute (M)"),
        (Voice::Muted, true, true) => (Icon::Mic, Round::On, "Talking while the key is held"),
        (Voice::On, true, true) => (Icon::MicOff, Round::Off, "Muted while the key is held"),
        (Voice::Muted, true, false) => (Icon::MicOff, Round::Off, "Unmute (M)"),
    };
    let (main, arrow) = split(ui, icon, name, look, "Microphone and speaker");
    let opens = main.clicked() && !is_there;
    if main.clicked() && is_there {
        cx.ask(Command::Voice(other(own.voice)));
    }
    if matches!(look, Round::Plain | Round::On) && is_there {
        let p = Palette::of(ui);
        let loud = loudness(own.level);
        if loud > 0.0 {
            let ring = Stroke::new(1.0 + 2.0 * loud, p.good);
            ui.painter().circle_stroke(main.rect.center(), 20.5, ring);
        }
    }
    menu_opened(&arrow, opens, 292.0, "Sound devices", |ui| {
        if let Some(index) = menu_devices(ui, "Microphone", "No microphone is plugged in.", &own.microphone) {
            cx.choose(Kind::Microphone, index);
        }
        menu_line(ui);
        let none = "None is plugged in: you do not hear the others.";
        if let Some(index) = menu_devices(ui, "Speaker", none, &own.speaker) {
            cx.choose(Kind::Speaker, index);
        }
        if own.speaker.used.is_some() && menu_entry(ui, Some(Icon::Volume2), "Test the speaker", "").clicked()
        {
            cx.ask(Command::TestSpeaker);
        }
        menu_line(ui);
        let mut cleaning = own.cleaning;
        let mut changed = false;
        for (icon, words, value) in [
            (Icon::AudioLines, "Take out echo", &mut cleaning.echo),
            (Icon::Wind, "Take out noise", &mut cleaning.noise),
            (Icon::SlidersHorizontal, "Even out loudness", &mut cleaning.gain),
        ] {
            changed |= menu_switch(ui, icon, words, value);
        }
        if changed {
            cx.clean(cleaning);
        }
    });
}

fn camera(ui: &mut Ui, cx: &mut Cx<'_>) {
    let own = &cx.call.own;
    let is_there = own.camera.used.is_some();
    let (icon, look, name) = match (own.is_camera_on, is_there) {
        (_, false) => (Icon::VideoOff, Round::Missing, "No camera"),
        (true, true) => (Icon::Video, Round::Plain, "Turn the camera off (V)"),
        (false, true) => (Icon::VideoOff, Round::Off, "Turn the camera on (V)"),
    };
    let (main, arrow) = split(ui, icon, name, look, "Camera");
    if main.clicked() && is_there {
        cx.ask(Command::Camera(switch(!own.is_camera_on)));
    }
    menu_opened(&arrow, main.clicked() && !is_there, 276.0, "Camera devices", |ui| {
        if let Some(index) = menu_devices(ui, "Camera", "No camera is plugged in.", &own.camera) {
            cx.choose(Kind::Camera, index);
        }
        menu_line(ui);
        let mut mirror = cx.model.settings.call.mirror;
        if menu_switch(ui, Icon::FlipHorizontal2, "Show me as in a mirror", &mut mirror) {
            cx.change(|calling| calling.mirror = mirror);
        }
    });
}

fn share(ui: &mut Ui, screen: &mut Screen, cx: &mut Cx<'_>) {
    let own = &cx.call.own;
    if own.shared.is_some() || own.opens.is_some() {
        if round(ui, Icon::MonitorX, "Stop sharing (S)", Round::On).clicked() {
            cx.ask(Command::EndShare);
        }
        return;
    }
    let button = round(ui, Icon::MonitorUp, "Share a screen (S)", Round::Plain);
    let opens = std::mem::take(&mut screen.opens_share);
    menu_opened(&button, opens, 320.0, "Screens", |ui| {
        menu_heading(ui, "Share with everybody");
        for one in &own.screens {
            let icon = match one.kind {
                Sharing::Screen => Icon::Monitor,
                Sharing::Window => Icon::AppWindow,
                Sharing::Ask => Icon::SquareMousePointer,
                Sharing::Again => Icon::History,
            };
            if menu_entry(ui, Some(icon), &one.name, "").clicked() {
                cx.ask(Command::Share(one.key.clone()));
                ui.close();
            }
        }
        if own.screens.is_empty() {
            let p = Palette::of(ui);
            let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 32.0), Sense::hover());
            let at = rect.left_center() + vec2(10.0, 0.0);
            let words = "This desktop gives no screen away.";
            paint_text(ui, at, Align2::LEFT_CENTER, words, size::BODY, Weight::Regular, p.soft);
        }
    });
}

fn record(ui: &mut Ui, cx: &mut Cx<'_>) {
    let (icon, look, name) = match &cx.call.recording {
        Some(_) => (Icon::CircleStop, Round::Off, "Stop recording"),
        None => (Icon::CircleDot, Round::Plain, "Record to this computer; everybody is told"),
    };
    if round(ui, icon, name, look).clicked() {
        cx.ask(Command::Record(switch(cx.call.recording.is_none())));
    }
}

fn side_button(ui: &mut Ui, screen: &mut Screen, side: Side) -> Response {
    let (icon, name) = match side {
        Side::Chat => (Icon::MessageSquare, "Chat (C)"),
        Side::People => (Icon::Users, "People (P)"),
        Side::Figures => (Icon::ChartSpline, "Stats"),
    };
    let look = if screen.side == Some(side) { Round::On } else { Round::Plain };
    let response = round(ui, icon, name, look);
    if response.clicked() {
        screen.toggle(side);
    }
    response
}

fn more(ui: &mut Ui, screen: &mut Screen, cx: &mut Cx<'_>, is_wide: bool) {
    let button = round(ui, Icon::EllipsisVertical, "More", Round::Plain);
    menu(&button, 268.0, "More actions", |ui| {
        menu_heading(ui, "Layout (G)");
        for (arrangement, words) in Arrangement::ALL {
            if menu_choice(ui, "Layout", words, screen.arrangement == arrangement).clicked() {
                screen.arrangement = arrangement;
                ui.close();
            }
        }
        menu_line(ui);
        let calling = &cx.model.settings.call;
        let mut fills = calling.fit == Fit::Fill;
        if menu_switch(ui, Icon::Crop, "Fill the tiles", &mut fills) {
            cx.change(|calling| calling.fit = if fills { Fit::Fill } else { Fit::Letterbox });
        }
        let mut low = calling.low_data;
        if menu_switch(ui, Icon::Gauge, "Low data", &mut low) {
            cx.change(|calling| calling.low_data = low);
        }
        menu_line(ui);
        let entry = |ui: &mut Ui, icon: Icon, words: &str, key: &str| {
            let is_clicked = menu_entry(ui, Some(icon), words, key).clicked();
            if is_clicked {
                ui.close();
            }
            is_clicked
        };
        if !is_wide {
            if !cx.call.link.is_empty() && entry(ui, Icon::UserPlus, "Invite others", "") {
                screen.invite = Shown::Yes;
            }
            let (icon, words) = match cx.call.recording {
                Some(_) => (Icon::CircleStop, "Stop recording"),
                None => (Icon::CircleDot, "Record; everybody is told"),
            };
            if entry(ui, icon, words, "") {
                cx.ask(Command::Record(switch(cx.call.recording.is_none())));
            }
            if entry(ui, Icon::ChartSpline, "Stats", "") {
                screen.toggle(Side::Figures);
            }
        }
        if entry(ui, Icon::PictureInPicture2, "Picture in picture", "") {
            screen.float = screen.float.flipped();
        }
        if entry(ui, Icon::Maximize, "Full screen", "F") {
            toggle_fullscreen(cx.ctx);
        }
        if cx.call.is_moderator {
            let (icon, words) = if cx.call.is_locked {
                (Icon::LockOpen, "Unlock the room")
            } else {
                (Icon::Lock, "Lock the room")
            };
            if entry(ui, icon, words, "") {
                cx.ask(Command::Lock(switch(!cx.call.is_locked)));
            }
        }
        menu_line(ui);
        if entry(ui, Icon::Bug, "Save a debug bundle", "") {
            cx.ask(Command::DebugBundle);
        }
        if entry(ui, Icon::Settings, "Settings", "F5") {
            *cx.page = Page::Settings;
        }
        if entry(ui, Icon::Keyboard, "Shortcuts", "F1") {
            *cx.shortcuts = Shown::Yes;
        }
    });
}

const fn other(voice: Voice) -> Voice {
    match voice {
        Voice::On => Voice::Muted,
        Voice::Muted => Voice::On,
    }
}

/// The other way to use the microphone, and whether to use it.
pub(super) fn mute_toggled(voice: Voice) -> Command {
    Command::Voice(other(voice))
}
