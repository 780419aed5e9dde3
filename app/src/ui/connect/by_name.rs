//! Beside the list: a room that is not in it, and those that were joined before.

use eframe::egui::{
    self, Align2, CursorIcon, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use super::{entered, mark};
use crate::model::Command;
use crate::model::connect::{self, Field, Problem, Recent, Target};
use crate::model::lobby::is_address;
use crate::ui::theme::{self, CONTROL, GAP, Palette, STEP, Weight, size};
use crate::ui::units;
use crate::ui::widgets::{
    Tone, button_sized, card, field, focus_ring, icon_button, paint_icon, paint_line, segmented,
};

/// Shows both.
pub(super) fn show(
    ui: &mut Ui,
    recents: &[Recent],
    target: &mut Target,
    problem: Option<&Problem>,
    token: &str,
    out: &mut Vec<Command>,
) {
    ui.spacing_mut().item_spacing.y = STEP;
    caption(ui, "A room by its name");
    card(ui, "", |ui| by_name(ui, target, problem, token, out));
    if !recents.is_empty() {
        ui.add_space(GAP - STEP);
        caption(ui, "Recent");
        for (index, recent) in recents.iter().take(RECENTS_MAX).enumerate() {
            row(ui, index, recent, target, token, out);
        }
    }
}

fn caption(ui: &mut Ui, words: &str) {
    let p = Palette::of(ui);
    ui.horizontal(|ui| ui.label(theme::text(words, size::LEAD, Weight::Bold, p.text)));
}

fn by_name(ui: &mut Ui, target: &mut Target, problem: Option<&Problem>, token: &str, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    let room = field(ui, "Room", "car", &mut target.room, mark(problem, Field::Room));
    let submits = entered(ui, &room);
    ui.add_space(STEP);
    segmented(
        ui,
        "Role",
        &mut target.role,
        &[(connect::Role::Driver, "Drive"), (connect::Role::Viewer, "Watch")],
    );
    ui.add_space(STEP);
    let invalid = check(target);
    ui.add_enabled_ui(invalid.is_none(), |ui| {
        let words = match target.role {
            connect::Role::Driver => "Connect and drive",
            connect::Role::Viewer => "Connect and watch",
        };
        let wanted = vec2(ui.available_width(), 40.0);
        if button_sized(ui, Some(Icon::ArrowRight), words, Tone::Plain, wanted).clicked()
            || (submits && invalid.is_none())
        {
            out.push(Command::Connect(Target {
                server: target.server.trim().into(),
                room: target.room.trim().into(),
                role: target.role,
                token: token.into(),
            }));
        }
    });
    if let Some(invalid) = invalid {
        ui.label(theme::text(invalid, size::BODY, Weight::Regular, p.warning));
    }
}

/// What is wrong with the form before anything is sent; `None` if it can be sent.
fn check(target: &Target) -> Option<&'static str> {
    let room = target.room.trim();
    if !is_address(&target.server) {
        return Some("The server's address starts with wss:// or ws:// and names a host.");
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if room.is_empty() || room.len() > 64 || !room.chars().all(is_known) {
        return Some("A room's name has 1 to 64 letters, digits, - or _.");
    }
    None
}

fn row(ui: &mut Ui, index: usize, recent: &Recent, target: &mut Target, token: &str, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 60.0), Sense::click());
    let words = format!("Connect to {}, used {}", recent.name, units::ago(recent.ago));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    let is_over = response.hovered() || response.has_focus();
    ui.painter().rect_filled(rect, 12.0, if is_over { p.raised } else { p.surface });
    ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let icon = match recent.target.role {
        connect::Role::Driver => Icon::CarFront,
        connect::Role::Viewer => Icon::Eye,
    };
    paint_icon(ui, pos2(rect.left() + 26.0, rect.center().y), Align2::CENTER_CENTER, icon, 18.0, p.soft);
    let left = rect.left() + 48.0;
    let width = rect.right() - 52.0 - left;
    let title = [(recent.name.as_str(), size::BODY, Weight::Bold, p.text)];
    let is_cut = paint_line(ui, pos2(left, rect.center().y - 9.0), width, &title);
    let server = recent.target.server.trim_start_matches("wss://").trim_start_matches("ws://");
    let line = format!("{} \u{b7} {server}", units::ago(recent.ago));
    let line = [(line.as_str(), size::BODY, Weight::Regular, p.soft)];
    if paint_line(ui, pos2(left, rect.center().y + 10.0), width, &line) || is_cut {
        response.clone().on_hover_text(format!("{} at {}", recent.name, recent.target.server));
    }
    focus_ring(ui, &response, rect, 12.0);
    let forget = Rect::from_center_size(pos2(rect.right() - 28.0, rect.center().y), vec2(CONTROL, CONTROL));
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(forget).id_salt(("forget", index)));
    if icon_button(&mut child, Icon::X, &format!("Forget {}", recent.name), Tone::Quiet).clicked() {
        out.push(Command::ForgetRecent(recent.target.clone()));
    } else if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        // The token is the server's: it goes along only where it belongs.
        let token = if recent.target.server == target.server.trim() { token } else { "" };
        *target = Target { token: token.into(), ..recent.target.clone() };
        out.push(Command::Connect(target.clone()));
    }
}

/// Recent rooms shown.
const RECENTS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_checked_before_anything_is_sent() {
        for (server, room, is_good) in [
            ("ws://127.0.0.1:8443", "car", true),
            (" wss://example.org/v1 ", "my_car-2", true),
            ("http://example.org", "car", false),
            ("ws://", "car", false),
            ("wss:///path", "car", false),
            ("wss://example.org", "", false),
            ("wss://example.org", "my car", false),
            ("wss://example.org", &"x".repeat(65), false),
        ] {
            let target = Target { server: server.into(), room: room.into(), ..Target::default() };
            assert_eq!(check(&target).is_none(), is_good, "{server} {room}");
        }
    }
}
