//! The page where calls begin: a new room, or one that somebody gave a link to.

use std::time::Duration;

use eframe::egui::{Align, Layout, ScrollArea, Ui, vec2};
use lucide_icons::Icon;

use super::call::change;
use super::code;
use super::theme::{self, GAP, HALF, Palette, STEP, Weight, size};
use super::widgets::{
    self, Tone, banner, button, button_sized, card, command_line, field, secret_field, slider_row, toggle_row,
};
use crate::model::call::{Command as Ask, Target};
use crate::model::lobby::is_address;
use crate::model::ring::{Line, Missed, Standing, Why};
use crate::model::{Command, Level, Model, invitation};

/// What the user has typed.
#[derive(Debug, Default)]
pub(super) struct Form {
    server: Option<String>,
    token: Option<String>,
    place: String,
}

/// Shows the page. `random` makes the name of a new room.
pub(super) fn show(ui: &mut Ui, form: &mut Form, model: &Model, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let whole = ui.available_width();
        let edge = if whole > 720.0 { 28.0 } else { 16.0 };
        let width = (whole - 2.0 * edge).min(960.0);
        let side = ((whole - width) / 2.0).max(edge);
        ui.add_space(((ui.available_height() - 560.0) / 3.0).clamp(24.0, 72.0));
        ui.horizontal_top(|ui| {
            ui.add_space(side - STEP);
            ui.vertical(|ui| {
                ui.set_width(width);
                widgets::page_title(ui, "Calls", "Talk face to face, straight from computer to computer.");
                ui.add_space(STEP);
                let mut server = form.server.take().unwrap_or_else(|| model.connect.prefill.server.clone());
                if width > 640.0 {
                    let each = (width - GAP) / 2.0;
                    ui.horizontal_top(|ui| {
                        ui.spacing_mut().item_spacing.x = GAP;
                        column(ui, each, |ui| begin(ui, CARD, form, &server, out));
                        column(ui, each, |ui| join(ui, CARD, form, &server, out));
                    });
                } else {
                    column(ui, width, |ui| begin(ui, 0.0, form, &server, out));
                    ui.add_space(GAP - STEP);
                    column(ui, width, |ui| join(ui, 0.0, form, &server, out));
                }
                ui.add_space(GAP);
                where_to(ui, form, &mut server);
                ui.add_space(GAP);
                if width > 640.0 && !model.missed.is_empty() {
                    let each = (width - GAP) / 2.0;
                    ui.horizontal_top(|ui| {
                        ui.spacing_mut().item_spacing.x = GAP;
                        column(ui, each, |ui| own_line(ui, form, model, &server, out));
                        column(ui, each, |ui| missed(ui, &model.missed, out));
                    });
                } else {
                    if !model.missed.is_empty() {
                        missed(ui, &model.missed, out);
                        ui.add_space(GAP);
                    }
                    own_line(ui, form, model, &server, out);
                }
                form.server = Some(server);
                ui.add_space(edge);
            });
        });
    });
}

fn column(ui: &mut Ui, width: f32, contents: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        contents(ui);
    });
}

fn begin(ui: &mut Ui, least: f32, form: &Form, server: &str, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "Start a call", |ui| {
        let words = "Opens a room with a name that nobody guesses. You get a link to pass on, and see your own \
             picture before anybody else does.";
        let top = ui.cursor().top();
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
        // On one line with the button of the other card.
        ui.add_space((least - 44.0 - (ui.cursor().top() - top)).max(STEP));
        ui.add_enabled_ui(is_address(server), |ui| {
            let wanted = vec2(ui.available_width(), 44.0);
            if button_sized(ui, Some(Icon::Video), "New call", Tone::Primary, wanted).clicked() {
                let room = invitation::room_name(rand::random());
                prepare(Target { server: server.trim().into(), room, token: form.token() }, out);
            }
        });
    });
}

fn join(ui: &mut Ui, least: f32, form: &mut Form, server: &str, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "Join a call", |ui| {
        let top = ui.cursor().top();
        let hint = "farwheel://call?\u{2026}  or the name of a room";
        let response = field(ui, "Link or room", hint, &mut form.place, None);
        let is_entered =
            response.lost_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Enter));
        let read = read(&form.place, server);
        let note = match &read {
            Read::Nothing => "Paste the link that you were given.".to_owned(),
            Read::Place(target) if invitation::is_line(&target.room) => {
                format!("Rings somebody at {}", target.server)
            }
            Read::Place(target) if target.server != server.trim() => {
                format!("{} at {}", target.room, target.server)
            }
            Read::Place(target) => format!("Room {}", target.room),
            Read::Wrong => {
                "This is no link to a call and no name of a room: letters, digits, - and _.".to_owned()
            }
            Read::NoServer => "Name a server below, or paste a whole link.".to_owned(),
        };
        let ink = if matches!(read, Read::Wrong | Read::NoServer) { p.warning } else { p.soft };
        ui.label(theme::text(note, size::BODY, Weight::Regular, ink));
        ui.add_space((least - 44.0 - (ui.cursor().top() - top)).max(STEP));
        ui.add_enabled_ui(matches!(read, Read::Place(_)), |ui| {
            let wanted = vec2(ui.available_width(), 44.0);
            let is_clicked = button_sized(ui, Some(Icon::ArrowRight), "Join", Tone::Plain, wanted).clicked();
            if let Read::Place(target) = read
                && (is_clicked || is_entered)
            {
                // The token is the server's: it goes along only where it belongs.
                let token = if target.server == server.trim() { form.token() } else { String::new() };
                prepare(Target { token, ..target }, out);
            }
        });
    });
}

fn where_to(ui: &mut Ui, form: &mut Form, server: &mut String) {
    card(ui, "", |ui| {
        let is_wide = ui.available_width() > 560.0;
        let whole = ui.available_width();
        let mut parts = |ui: &mut Ui| {
            let width = if is_wide { whole * 0.6 } else { whole };
            column(ui, width, |ui| {
                let problem =
                    (!is_address(server)).then_some("It starts with wss:// or ws:// and names a host.");
                field(ui, "Signalling server", "wss://example.org", server, problem);
            });
            column(ui, if is_wide { whole * 0.4 - GAP } else { whole }, |ui| match &mut form.token {
                Some(token) => {
                    secret_field(ui, "Token", "given by the server's owner", token, None);
                }
                None => {
                    if is_wide {
                        // In line with the field, whose label stands above.
                        ui.add_space(22.0);
                    }
                    if button(ui, Some(Icon::KeyRound), "Use a token", Tone::Quiet).clicked() {
                        form.token = Some(String::new());
                    }
                }
            });
        };
        if is_wide {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = GAP;
                parts(ui);
            });
        } else {
            ui.vertical(parts);
        }
    });
}

/// Where others can ring.
fn own_line(ui: &mut Ui, form: &Form, model: &Model, server: &str, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "Let others ring you", |ui| {
        ui.spacing_mut().item_spacing.y = STEP;
        let mut is_on = model.settings.call.line.is_some();
        let hint = if ui.available_width() > 520.0 {
            "While this window is open, whoever has your link can ring you here."
        } else {
            "Whoever has your link can ring you here."
        };
        ui.add_enabled_ui(is_on || is_address(server), |ui| {
            if toggle_row(ui, "My line", hint, &mut is_on) {
                let server = server.trim().to_owned();
                if is_on {
                    let target = Target { server: server.clone(), room: String::new(), token: form.token() };
                    out.push(Command::Call(Ask::LineToken(target)));
                }
                change(model, out, |calling| calling.line = is_on.then_some(server));
            }
        });
        let Some(line) = &model.line else { return };
        how(ui, line);
        if !line.link.is_empty() {
            let is_wide = ui.available_width() > 420.0;
            let words = "The link stays the same. Only you can answer it: it is made from this device's key.";
            if is_wide {
                ui.horizontal_top(|ui| {
                    code::link(ui, &line.link, 132.0);
                    ui.add_space(HALF);
                    ui.vertical(|ui| {
                        command_line(ui, &line.link);
                        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
                    });
                });
            } else {
                command_line(ui, &line.link);
                ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
            }
        }
        let mut calling = model.settings.call.clone();
        let mut is_quiet = calling.do_not_disturb;
        let hint = "Who rings is shown, without a sound.";
        let mut is_changed = toggle_row(ui, "Do not disturb", hint, &mut is_quiet);
        calling.do_not_disturb = is_quiet;
        let mut loud = f32::from(calling.ring_percent) / 100.0;
        let percent = |value: f32| format!("{:.0} %", value * 100.0);
        is_changed |= slider_row(ui, "Loudness of a ring", &mut loud, 0.0..=1.0, percent);
        if is_changed {
            calling.ring_percent = (loud * 100.0).round() as u8;
            change(model, out, |before| *before = calling);
        }
    });
}

fn how(ui: &mut Ui, line: &Line) {
    let p = Palette::of(ui);
    let (words, ink) = match &line.standing {
        Standing::Reaching => ("Reaching the server.".to_owned(), p.soft),
        Standing::Open => (format!("You can be rung at {}.", line.target.server), p.good),
        Standing::Failed(problem) => {
            banner(ui, Level::Bad, &problem.what, &problem.remedy);
            return;
        }
    };
    ui.label(theme::text(words, size::BODY, Weight::Medium, ink));
}

/// Who rang in vain.
fn missed(ui: &mut Ui, missed: &[Missed], out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "Missed calls", |ui| {
        ui.spacing_mut().item_spacing.y = HALF;
        for one in missed.iter().take(MISSED_SHOWN) {
            ui.horizontal(|ui| {
                let name = if one.name.is_empty() { "Somebody without a name" } else { &one.name };
                let why = match one.why {
                    Why::Unanswered => "",
                    Why::Busy => ", while you were in a call",
                };
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let words = format!("Call {name} back");
                    if widgets::icon_button(ui, Icon::Phone, &words, Tone::Plain).clicked() {
                        prepare(one.target.clone(), out);
                    }
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.spacing_mut().item_spacing.y = 0.0;
                        let label = theme::text(name, size::BODY, Weight::Bold, p.text);
                        ui.add(eframe::egui::Label::new(label).truncate());
                        let words =
                            format!("{} ago{why} \u{b7} {}", ago(one.ago), super::ring::known(one.trust));
                        let label = theme::text(words, size::CAPTION, Weight::Regular, p.soft);
                        ui.add(eframe::egui::Label::new(label).truncate());
                    });
                });
            });
        }
        if button(ui, Some(Icon::X), "Forget missed calls", Tone::Quiet).clicked() {
            out.push(Command::Call(Ask::ForgetMissed));
        }
    });
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

impl Form {
    fn token(&self) -> String {
        self.token.as_deref().unwrap_or_default().trim().to_owned()
    }
}

fn prepare(target: Target, out: &mut Vec<Command>) {
    out.push(Command::Call(Ask::Prepare(target)));
}

/// What was typed, as a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Nothing,
    Place(Target),
    Wrong,
    /// A room without a server.
    NoServer,
}

fn read(place: &str, server: &str) -> Read {
    let place = place.trim();
    if place.is_empty() {
        return Read::Nothing;
    }
    if let Some(target) = invitation::parse(place) {
        return Read::Place(target);
    }
    match (invitation::is_room(place), is_address(server)) {
        (true, true) => {
            Read::Place(Target { server: server.trim().into(), room: place.into(), token: String::new() })
        }
        (true, false) => Read::NoServer,
        (false, _) => Read::Wrong,
    }
}

/// Least height of the two cards' contents below their headings, so that their buttons are on one line.
const CARD: f32 = 138.0;
/// More would push everything else off the page.
const MISSED_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_brings_its_own_server_and_a_name_takes_the_one_below() {
        let at = |server: &str, room: &str| {
            Read::Place(Target { server: server.into(), room: room.into(), token: String::new() })
        };
        for (place, server, want) in [
            ("", "wss://a.b", Read::Nothing),
            ("  quiet-otter-7kq2m ", " wss://a.b ", at("wss://a.b", "quiet-otter-7kq2m")),
            ("farwheel://call?server=wss://c.d&room=x", "wss://a.b", at("wss://c.d", "x")),
            ("farwheel://call?server=wss://c.d&room=x", "", at("wss://c.d", "x")),
            ("x", "nonsense", Read::NoServer),
            ("two words", "wss://a.b", Read::Wrong),
            ("farwheel://call?room=x", "wss://a.b", Read::Wrong),
        ] {
            assert_eq!(read(place, server), want, "{place:?} with {server:?}");
        }
    }
}
