//! The page where calls begin: a new room, or one that somebody gave a link to.

use eframe::egui::{Align, Layout, ScrollArea, Ui, vec2};
use lucide_icons::Icon;

use super::theme::{self, GAP, Palette, STEP, Weight, size};
use super::widgets::{self, Tone, button, button_sized, card, field, secret_field};
use crate::model::call::{Command as Ask, Target};
use crate::model::lobby::is_address;
use crate::model::{Command, Model, invitation};

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
