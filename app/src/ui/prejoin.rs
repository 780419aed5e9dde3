//! The screen before a call: what the others would see and hear, with which devices, and the way in.

use eframe::egui::{self, Align, Align2, Id, Layout, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};
use farwheel_proto::call::message::NAME_CHARS_MAX;
use lucide_icons::Icon;

use super::Pictures;
use super::call::parts::{PICKER, Round, avatar, meter, picker, round_at, square};
use super::call::{change, choose, switch};
use super::letters::{self, Done};
use super::theme::{self, GAP, HALF, Palette, STEP, Weight, size};
use super::widgets::{
    self, Tone, banner, button_named, button_sized, card, describe, field, icon_button, paint_text, spinner,
    toggle_row,
};
use crate::model::call::{Command as Ask, Kind, Letters, Own, Phase, PreJoin, Source, Voice};
use crate::model::ring::Ringing;
use crate::model::{Command, Level, Model, invitation, scan};
use crate::render::video::{self, Look, Mirror, Tile};
use crate::settings::Settings;

/// Shows the screen.
pub(super) fn show(
    ui: &mut Ui,
    text: &mut String,
    state: &PreJoin,
    model: &Model,
    pictures: Pictures<'_>,
    out: &mut Vec<Command>,
) {
    let mut way_in = |ui: &mut Ui, out: &mut Vec<Command>| match &state.letters {
        Some(letters) => meet(ui, text, letters, state, model, out),
        None => join(ui, state, model, out),
    };
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let whole = ui.available_width();
        let edge = if whole > 720.0 { 28.0 } else { 16.0 };
        // As wide as the picture may be high, so that the page is filled in every window.
        let most = 1120.0_f32.max(1.5 * ui.available_height());
        let width = (whole - 2.0 * edge).min(most);
        let side = ((whole - width) / 2.0).max(edge);
        // In the middle by what the last paint took.
        let id = Id::unique("the height of the screen before a call");
        let height = ui.data(|data| data.get_temp::<f32>(id)).unwrap_or(600.0);
        ui.add_space(((ui.available_height() - height) / 2.0).max(12.0));
        let top = ui.cursor().top();
        ui.horizontal_top(|ui| {
            ui.add_space(side - STEP);
            ui.vertical(|ui| {
                ui.set_width(width);
                head(ui, state, out);
                if width > 720.0 {
                    let right = match state.letters {
                        // A code is the easier to read the larger it is.
                        Some(Letters::Offer { .. } | Letters::Answer { .. }) => {
                            (width * 0.5).clamp(300.0, 460.0)
                        }
                        Some(_) | None => (width * 0.36).clamp(300.0, 380.0),
                    };
                    ui.horizontal_top(|ui| {
                        ui.spacing_mut().item_spacing.x = GAP;
                        column(ui, width - right - GAP, |ui| {
                            preview(ui, &state.own, model, pictures, out);
                            cleaning(ui, &state.own, model, out);
                        });
                        column(ui, right, |ui| {
                            way_in(ui, out);
                            devices(ui, state, model, out);
                        });
                    });
                } else {
                    column(ui, width, |ui| {
                        preview(ui, &state.own, model, pictures, out);
                        way_in(ui, out);
                        devices(ui, state, model, out);
                        cleaning(ui, &state.own, model, out);
                    });
                }
            });
        });
        let took = ui.min_rect().bottom() - top;
        if (took - height).abs() > 0.5 {
            ui.data_mut(|data| data.insert_temp(id, took));
            ui.ctx().request_repaint();
        }
        ui.add_space(12.0);
    });
}

fn column(ui: &mut Ui, width: f32, contents: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = GAP;
        contents(ui);
    });
}

fn head(ui: &mut Ui, state: &PreJoin, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        if icon_button(ui, Icon::ChevronLeft, "Back", Tone::Quiet).clicked() {
            out.push(Command::Call(Ask::Dismiss));
        }
        ui.vertical(|ui| match &state.letters {
            Some(_) => widgets::page_title(
                ui,
                "Call with no server",
                "Two letters lead to it, which the two of you carry.",
            ),
            None if invitation::is_line(&state.target.room) => {
                widgets::page_title(ui, "Ready to call?", &format!("At {}", state.target.server));
            }
            None => {
                widgets::page_title(ui, "Ready to join?", &format!("Room {}", state.target.room));
            }
        });
    });
}

/// The own picture as a mirror shows it, with the two switches that matter most.
fn preview(ui: &mut Ui, own: &Own, model: &Model, pictures: Pictures<'_>, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    let width = ui.available_width();
    let most = (ui.ctx().content_rect().height() - 290.0).max(190.0);
    let (rect, _) = ui.allocate_exact_size(vec2(width, (width * 9.0 / 16.0).min(most)), Sense::hover());
    ui.painter().rect_filled(rect, 16.0, p.raised);
    let is_on = own.is_camera_on && own.camera.used.is_some();
    let calling = &model.settings.call;
    let tile = Tile {
        id: Id::unique("the picture before a call"),
        rect,
        fit: calling.fit,
        radius: 16.0,
        mirror: if calling.mirror { Mirror::Yes } else { Mirror::No },
        look: Look::LIVE,
    };
    let slot = is_on.then(|| (pictures.call)(Source::Own)).flatten();
    let is_shown = slot.is_some_and(|slot| video::paint_tile(ui, &slot, tile).is_some());
    let words = match (is_shown, &own.camera.problem, own.camera.names.is_empty()) {
        (true, ..) => "Your camera, as in a mirror".to_owned(),
        (false, Some(problem), _) => problem.clone(),
        (false, None, true) => "No camera".to_owned(),
        (false, None, false) if is_on => "The camera starts".to_owned(),
        (false, None, false) => "Your camera is off".to_owned(),
    };
    if !is_shown {
        let name = if own.name.is_empty() { &model.settings.name } else { &own.name };
        avatar(ui, rect.center() - vec2(0.0, 34.0), (rect.height() * 0.15).clamp(24.0, 56.0), name);
        let at = rect.center() + vec2(0.0, (rect.height() * 0.15).clamp(24.0, 56.0) - 8.0);
        paint_text(ui, at, Align2::CENTER_CENTER, &words, size::LEAD, Weight::Medium, p.text);
    }
    describe(ui, rect, "preview", &words);
    let middle = pos2(rect.center().x, rect.bottom() - 36.0);
    let has_microphone = own.microphone.used.is_some();
    let (icon, look, name) = match (has_microphone, own.voice) {
        (false, _) => (Icon::MicOff, Round::Missing, "No microphone"),
        (true, Voice::On) => (Icon::Mic, Round::Plain, "Join muted"),
        (true, Voice::Muted) => (Icon::MicOff, Round::Off, "Join with the microphone on"),
    };
    if over(ui, middle - vec2(32.0, 0.0), icon, name, look) && has_microphone {
        let voice = if own.voice == Voice::On { Voice::Muted } else { Voice::On };
        out.push(Command::Call(Ask::Voice(voice)));
    }
    let has_camera = own.camera.used.is_some();
    let (icon, look, name) = match (has_camera, own.is_camera_on) {
        (false, _) => (Icon::VideoOff, Round::Missing, "No camera"),
        (true, true) => (Icon::Video, Round::Plain, "Join with the camera off"),
        (true, false) => (Icon::VideoOff, Round::Off, "Join with the camera on"),
    };
    if over(ui, middle + vec2(32.0, 0.0), icon, name, look) && has_camera {
        out.push(Command::Call(Ask::Camera(switch(!own.is_camera_on))));
    }
}

/// A round button over the picture: dark in both themes, as the picture does not know which one is in force.
fn over(ui: &mut Ui, at: egui::Pos2, icon: Icon, name: &str, look: Round) -> bool {
    let rect = square(at, 48.0);
    let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(("over", at.x as i32)));
    ui.visuals_mut().dark_mode = true;
    let response = ui.interact(rect, ui.scope_id().with("button"), Sense::click());
    round_at(&ui, rect, &response, icon, name, look);
    response.on_hover_text(name).on_hover_cursor(egui::CursorIcon::PointingHand).clicked()
}

fn devices(ui: &mut Ui, state: &PreJoin, model: &Model, out: &mut Vec<Command>) {
    let own = &state.own;
    card(ui, "", |ui| {
        ui.spacing_mut().item_spacing.y = 10.0;
        let mut chosen = Vec::new();
        let none = "No microphone";
        chosen.extend(
            picker(ui, "Microphone", Icon::Mic, none, &own.microphone).map(|i| (Kind::Microphone, i)),
        );
        let width = ui.available_width();
        meter(ui, "Level of the microphone", own.level, width);
        ui.allocate_ui_with_layout(vec2(width, PICKER), Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = STEP;
            let (icon, name) = if state.is_testing {
                (Icon::AudioLines, "The speaker sounds")
            } else {
                (Icon::Play, "Test the speaker")
            };
            ui.add_enabled_ui(own.speaker.used.is_some(), |ui| {
                let size = vec2(82.0, PICKER);
                if button_named(ui, Some(icon), "Test", name, Tone::Plain, size).clicked() {
                    out.push(Command::Call(Ask::TestSpeaker));
                }
            });
            let none = "No speaker";
            chosen
                .extend(picker(ui, "Speaker", Icon::Volume2, none, &own.speaker).map(|i| (Kind::Speaker, i)));
        });
        let none = "No camera";
        chosen
            .extend(picker(ui, "Camera", Icon::Video, none, &own.camera).map(|index| (Kind::Camera, index)));
        for (kind, index) in chosen {
            choose(kind, index, own, model, out);
        }
    });
}

/// What is done to the own voice; side by side where there is room.
fn cleaning(ui: &mut Ui, own: &Own, model: &Model, out: &mut Vec<Command>) {
    let mut cleaning = own.cleaning;
    card(ui, "", |ui| {
        let rows = [
            ("Take out echo", &mut cleaning.echo),
            ("Take out noise", &mut cleaning.noise),
            ("Even out loudness", &mut cleaning.gain),
        ];
        ui.spacing_mut().item_spacing = vec2(3.0 * STEP, 0.0);
        if ui.available_width() < 580.0 {
            for (words, value) in rows {
                toggle_row(ui, words, "", value);
            }
        } else {
            ui.columns(rows.len(), |columns| {
                for (column, (words, value)) in columns.iter_mut().zip(rows) {
                    toggle_row(column, words, "", value);
                }
            });
        }
    });
    if cleaning != own.cleaning {
        out.push(Command::Call(Ask::Clean(cleaning)));
        change(model, out, |calling| calling.cleaning = cleaning);
    }
}

/// The way into a call by letters.
fn meet(
    ui: &mut Ui,
    text: &mut String,
    letters: &Letters,
    state: &PreJoin,
    model: &Model,
    out: &mut Vec<Command>,
) {
    let scan = model.scan.as_ref();
    let heading = match letters {
        Letters::Begin(_) | Letters::Busy(_) => "",
        Letters::Offer { .. } => "Send this offer to the other one",
        Letters::Answer { .. } => "Send this answer back",
    };
    let done = card(ui, heading, |ui| match letters {
        Letters::Begin(problem) => {
            if let Phase::Failed(problem) = &state.phase {
                banner(ui, Level::Bad, &problem.what, &problem.remedy);
                ui.add_space(STEP);
            }
            if scan.is_none() {
                own_name(ui, state, model, out);
                ui.add_space(STEP);
            }
            letters::begin(ui, text, problem.as_deref(), scan, None)
        }
        Letters::Busy(words) => letters::busy(ui, words),
        Letters::Offer { letter, problem } => {
            letters::offer(ui, letter, problem.as_deref(), text, scan, None)
        }
        Letters::Answer { letter } => letters::answer(ui, letter),
    });
    out.extend(done.map(|done| match done {
        Done::Offer => Command::Call(Ask::Offer),
        Done::Answer(offer) => Command::Call(Ask::Answer(offer)),
        Done::Accept(answer) => Command::Call(Ask::Accept(answer)),
        Done::Read => Command::Scan(scan::Command::Begin(scan::Aim::Call)),
        Done::EndReading => Command::Scan(scan::Command::End),
        Done::Cancel => Command::Call(Ask::Dismiss),
    }));
}

/// A field for the name that the others see.
fn own_name(ui: &mut Ui, state: &PreJoin, model: &Model, out: &mut Vec<Command>) -> egui::Response {
    let mut name = model.settings.name.clone();
    let response = field(ui, "Your name, as the others see it", &state.own.name, &mut name, None);
    if response.changed() {
        let settings =
            Settings { name: name.chars().take(NAME_CHARS_MAX).collect(), ..model.settings.clone() };
        out.push(Command::ChangeSettings(Box::new(settings)));
    }
    response
}

fn join(ui: &mut Ui, state: &PreJoin, model: &Model, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "", |ui| {
        ui.spacing_mut().item_spacing.y = STEP;
        let wide = vec2(ui.available_width(), 44.0);
        let is_line = invitation::is_line(&state.target.room);
        match &state.phase {
            Phase::Joining | Phase::Waiting | Phase::Ringing(_) => {
                let (title, words) = match &state.phase {
                    Phase::Ringing(Ringing::Seeking) => {
                        ("Calling", "Looking whether somebody is there.".into())
                    }
                    Phase::Ringing(Ringing::Rings(name)) => {
                        let who = name.as_deref().unwrap_or("the other end");
                        ("Ringing\u{2026}", format!("It rings at {who}."))
                    }
                    Phase::Waiting => (
                        "Waiting to be let in",
                        "The room is locked; somebody in it has to let you in.".to_owned(),
                    ),
                    Phase::Joining | Phase::Idle | Phase::Failed(_) => {
                        ("Joining", "Reaching the server.".to_owned())
                    }
                };
                let (rect, response) =
                    ui.allocate_exact_size(vec2(ui.available_width(), 72.0), Sense::hover());
                response.widget_info(|| WidgetInfo::labeled(Role::Label, true, title));
                spinner(ui, rect.center_top() + vec2(0.0, 20.0), 14.0);
                let at = rect.center_bottom() - vec2(0.0, 12.0);
                paint_text(ui, at, Align2::CENTER_CENTER, title, size::LEAD, Weight::Bold, p.text);
                ui.vertical_centered(|ui| {
                    ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
                });
                ui.add_space(HALF);
                let is_ringing = matches!(state.phase, Phase::Ringing(_));
                let (icon, stop) = if is_ringing { (Icon::PhoneOff, "Hang up") } else { (Icon::X, "Cancel") };
                if button_sized(ui, Some(icon), stop, Tone::Plain, wide).clicked() {
                    out.push(Command::Call(Ask::Dismiss));
                }
                return;
            }
            Phase::Failed(problem) => {
                banner(ui, Level::Bad, &problem.what, &problem.remedy);
                ui.add_space(HALF);
            }
            Phase::Idle => {}
        }
        let response = own_name(ui, state, model, out);
        let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        ui.add_space(HALF);
        let (icon, words) = match (&state.phase, is_line) {
            (Phase::Failed(_), true) => (Icon::Phone, "Call again"),
            (_, true) => (Icon::Phone, "Call"),
            (Phase::Failed(_), false) => (Icon::Video, "Try again"),
            (_, false) => (Icon::Video, "Join"),
        };
        if button_sized(ui, Some(icon), words, Tone::Primary, wide).clicked() || is_entered {
            out.push(Command::Call(Ask::Join));
        }
        let link = invitation::link(&state.target);
        if !is_line
            && button_sized(ui, Some(Icon::Link), "Copy the link for others", Tone::Quiet, wide).clicked()
        {
            ui.ctx().copy_text(link);
        }
        let what = hears(&state.own);
        if let Some(what) = what {
            banner(ui, Level::Warning, what, "");
        }
    });
}

/// What is missing for a whole conversation.
fn hears(own: &Own) -> Option<&'static str> {
    match (own.microphone.used, own.speaker.used) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some("Without a microphone you listen only."),
        (Some(_), None) => Some("Without a speaker you do not hear the others."),
        (None, None) => Some("Without a sound device you can see, be seen, and write."),
    }
}
