//! The connect screen: where to, as what, and what became of it.

use eframe::egui::{
    self, Align, Align2, CursorIcon, Layout, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use super::theme::{self, CONTROL, GAP, HALF, Palette, STEP, Weight, size};
use super::units;
use super::widgets::{
    self, Tone, banner, button_sized, card, field, focus_ring, icon_button, paint_icon, paint_text,
    secret_field, segmented,
};
use crate::model::connect::{self, Field, Phase, Problem, Recent, Step, Target};
use crate::model::{Command, Level, Model};

/// What the user has typed.
#[derive(Debug, Default)]
pub(crate) struct Form {
    target: Option<Target>,
    wants_token: bool,
}

/// Shows the screen.
pub(crate) fn show(ui: &mut Ui, form: &mut Form, model: &Model, out: &mut Vec<Command>) {
    let state = &model.connect;
    let target = form.target.get_or_insert_with(|| state.prefill.clone());
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let width = (ui.available_width() - 2.0 * EDGE).min(920.0);
        let side = ((ui.available_width() - width) / 2.0).max(EDGE);
        let top = ((ui.available_height() - 560.0) / 2.5).max(28.0);
        ui.add_space(top);
        ui.horizontal_top(|ui| {
            ui.add_space(side - STEP);
            ui.vertical(|ui| {
                ui.set_width(width);
                widgets::page_title(ui, "Connect to a robot", "See through its camera and take the wheel.");
                ui.add_space(STEP);
                let form_width = if width > 720.0 { 420.0 } else { width };
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = GAP;
                    ui.allocate_ui_with_layout(vec2(form_width, 0.0), Layout::top_down(Align::Min), |ui| {
                        card(ui, "", |ui| match &state.phase {
                            Phase::Connecting(step) => connecting(ui, target, *step, out),
                            Phase::Idle => fields(ui, target, &mut form.wants_token, None, out),
                            Phase::Failed(problem) => {
                                fields(ui, target, &mut form.wants_token, Some(problem), out);
                            }
                        });
                    });
                    if width > 720.0 {
                        let rest = vec2(width - form_width - GAP, 0.0);
                        ui.allocate_ui_with_layout(rest, Layout::top_down(Align::Min), |ui| {
                            recents(ui, &state.recents, target, out);
                        });
                    }
                });
                if width <= 720.0 {
                    ui.add_space(GAP);
                    recents(ui, &state.recents, target, out);
                }
                ui.add_space(GAP);
            });
        });
    });
}

fn fields(
    ui: &mut Ui,
    target: &mut Target,
    wants_token: &mut bool,
    problem: Option<&Problem>,
    out: &mut Vec<Command>,
) {
    let p = Palette::of(ui);
    let at = |field| problem.filter(|problem| problem.field == field).map(|problem| problem.what.as_str());
    if let Some(problem) = problem {
        let what = match &problem.code {
            Some(code) => format!("{}  ({code})", problem.what),
            None => problem.what.clone(),
        };
        banner(ui, Level::Bad, &what, &problem.remedy);
        ui.add_space(STEP);
    }
    let server =
        field(ui, "Signalling server", "wss://example.org", &mut target.server, mark(at(Field::Server)));
    ui.add_space(STEP);
    let room = field(ui, "Room", "car", &mut target.room, mark(at(Field::Room)));
    ui.add_space(STEP);
    let mut submits = false;
    if *wants_token || at(Field::Token).is_some() || !target.token.is_empty() {
        *wants_token = true;
        let token = secret_field(
            ui,
            "Token",
            "given by the server's owner",
            &mut target.token,
            mark(at(Field::Token)),
        );
        submits |= entered(ui, &token);
        ui.add_space(STEP);
    }
    ui.horizontal(|ui| {
        segmented(
            ui,
            "Role",
            &mut target.role,
            &[(connect::Role::Driver, "Drive"), (connect::Role::Viewer, "Watch")],
        );
        if !*wants_token {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if widgets::button(ui, Some(Icon::KeyRound), "Use a token", Tone::Quiet).clicked() {
                    *wants_token = true;
                }
            });
        }
    });
    ui.add_space(STEP);
    submits |= entered(ui, &server) || entered(ui, &room);
    let invalid = check(target);
    ui.add_enabled_ui(invalid.is_none(), |ui| {
        let words = match target.role {
            connect::Role::Driver => "Connect and drive",
            connect::Role::Viewer => "Connect and watch",
        };
        let wanted = vec2(ui.available_width(), 44.0);
        if button_sized(ui, Some(Icon::ArrowRight), words, Tone::Primary, wanted).clicked()
            || (submits && invalid.is_none())
        {
            out.push(Command::Connect(trimmed(target)));
        }
    });
    if let Some(invalid) = invalid {
        ui.label(theme::text(invalid, size::BODY, Weight::Regular, p.warning));
    }
}

/// The sentence stands in the banner; at the field a short pointer is enough.
fn mark(problem: Option<&str>) -> Option<&'static str> {
    problem.map(|_| "Check this")
}

fn entered(ui: &Ui, response: &egui::Response) -> bool {
    response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
}

fn trimmed(target: &Target) -> Target {
    Target {
        server: target.server.trim().into(),
        room: target.room.trim().into(),
        role: target.role,
        token: target.token.trim().into(),
    }
}

/// What is wrong with the form before anything is sent; `None` if it can be sent.
fn check(target: &Target) -> Option<&'static str> {
    let (server, room) = (target.server.trim(), target.room.trim());
    let host = server.strip_prefix("wss://").or_else(|| server.strip_prefix("ws://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        return Some("The server's address starts with wss:// or ws:// and names a host.");
    }
    let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if room.is_empty() || room.len() > 64 || !room.chars().all(is_known) {
        return Some("A room's name has 1 to 64 letters, digits, - or _.");
    }
    None
}

fn connecting(ui: &mut Ui, target: &Target, step: Step, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    ui.label(theme::text(format!("Connecting to {}", target.room), size::LEAD, Weight::Bold, p.text));
    ui.label(theme::text(&target.server, size::BODY, Weight::Regular, p.soft));
    ui.add_space(STEP);
    steps(ui, step);
    ui.add_space(STEP);
    if step == Step::FindRobot {
        banner(
            ui,
            Level::Neutral,
            "No robot in this room yet.",
            "The picture appears by itself as soon as one joins. Is the room's name the robot's?",
        );
        ui.add_space(STEP);
    }
    let wanted = vec2(ui.available_width(), 44.0);
    if button_sized(ui, Some(Icon::X), "Cancel", Tone::Plain, wanted).clicked() {
        out.push(Command::Disconnect);
    }
}

/// The steps of connecting as a list: done, under way, to come.
pub(crate) fn steps(ui: &mut Ui, now: Step) {
    let p = Palette::of(ui);
    for step in Step::ALL {
        let words = match step {
            Step::ReachServer => "Reach the server",
            Step::JoinRoom => "Join the room",
            Step::FindRobot => "Find the robot",
            Step::OpenLink => "Open a direct link",
            Step::FirstPicture => "First picture",
        };
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::hover());
        let at = pos2(rect.left() + 10.0, rect.center().y);
        let (ink, weight) = match step.cmp(&now) {
            std::cmp::Ordering::Less => {
                paint_icon(ui, at, Align2::CENTER_CENTER, Icon::CircleCheck, 18.0, p.good);
                (p.soft, Weight::Regular)
            }
            std::cmp::Ordering::Equal => {
                ui.painter().circle_stroke(at, 7.0, Stroke::new(2.0, theme::faded(p.accent, 0.3)));
                let turn = ui.input(|input| input.time * 300.0 % 360.0) as f32;
                let arc = super::logo::arc(at, 7.0, turn, turn + 100.0);
                ui.painter().add(egui::Shape::line(arc, Stroke::new(2.0, p.accent)));
                // The spinner needs no more than this, and the picture has its own repaints.
                ui.ctx().request_repaint_after(std::time::Duration::from_millis(50));
                (p.text, Weight::Medium)
            }
            std::cmp::Ordering::Greater => {
                ui.painter().circle_stroke(at, 7.0, Stroke::new(1.5, p.line));
                (p.faint, Weight::Regular)
            }
        };
        let at = pos2(rect.left() + 32.0, rect.center().y);
        paint_text(ui, at, Align2::LEFT_CENTER, words, size::BODY, weight, ink);
    }
    widgets::describe(
        ui,
        ui.min_rect(),
        "steps",
        &format!("Step {} of {}", now as usize + 1, Step::ALL.len()),
    );
}

fn recents(ui: &mut Ui, recents: &[Recent], target: &mut Target, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    if recents.is_empty() {
        card(ui, "No robot yet?", |ui| {
            ui.spacing_mut().item_spacing.y = HALF;
            let words = "Drive the simulator: one command starts a server and a simulated car in its own \
                         small world, and this form already points at it.";
            ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
            ui.add_space(STEP);
            command_line(ui, "cargo xtask demo");
            ui.add_space(STEP);
            ui.label(theme::text("Or on a Raspberry Pi with a camera:", size::BODY, Weight::Regular, p.soft));
            ui.add_space(HALF);
            command_line(
                ui,
                &format!("farwheel-robot run --server {} --room {}", target.server, target.room),
            );
        });
        return;
    }
    ui.spacing_mut().item_spacing.y = STEP;
    ui.label(theme::text("Recent", size::BODY, Weight::Bold, p.soft));
    for (index, recent) in recents.iter().take(6).enumerate() {
        let wanted = vec2(ui.available_width(), 64.0);
        let (rect, response) = ui.allocate_exact_size(wanted, Sense::click());
        let words = format!("Connect to {}, used {}", recent.name, units::ago(recent.ago));
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
        let fill = if response.hovered() { p.raised } else { p.surface };
        ui.painter().rect_filled(rect, 12.0, fill);
        ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
        let badge = Rect::from_center_size(pos2(rect.left() + 36.0, rect.center().y), vec2(40.0, 40.0));
        ui.painter().rect_filled(badge, 10.0, theme::faded(p.accent, 0.14));
        let icon = match recent.target.role {
            connect::Role::Driver => Icon::CarFront,
            connect::Role::Viewer => Icon::Eye,
        };
        paint_icon(ui, badge.center(), Align2::CENTER_CENTER, icon, 20.0, p.accent);
        let left = rect.left() + 68.0;
        let at = pos2(left, rect.center().y - 10.0);
        paint_text(ui, at, Align2::LEFT_CENTER, &recent.name, size::LEAD, Weight::Bold, p.text);
        let line = format!("{} · {}", recent.target.server, units::ago(recent.ago));
        let at = pos2(left, rect.center().y + 11.0);
        let clip = ui.painter().with_clip_rect(Rect::from_min_max(rect.min, rect.max - vec2(52.0, 0.0)));
        clip.text(at, Align2::LEFT_CENTER, line, theme::font(size::BODY, Weight::Regular), p.soft);
        focus_ring(ui, &response, rect, 12.0);
        let forget =
            Rect::from_center_size(pos2(rect.right() - 30.0, rect.center().y), vec2(CONTROL, CONTROL));
        let mut child = ui.new_child(egui::UiBuilder::new().max_rect(forget).id_salt(("forget", index)));
        if icon_button(&mut child, Icon::X, &format!("Forget {}", recent.name), Tone::Quiet).clicked() {
            out.push(Command::ForgetRecent(recent.target.clone()));
        } else if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
            *target = recent.target.clone();
            out.push(Command::Connect(recent.target.clone()));
        }
    }
}

fn command_line(ui: &mut Ui, command: &str) {
    let p = Palette::of(ui);
    egui::Frame::NONE
        .fill(p.back)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(8)
        .inner_margin(egui::Margin::symmetric(12, 4))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let room = ui.available_width() - CONTROL - STEP;
                ui.scope(|ui| {
                    ui.set_max_width(room);
                    let words = theme::text(command, size::BODY, Weight::Medium, p.text);
                    ui.add(egui::Label::new(words).wrap());
                });
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if icon_button(ui, Icon::Copy, &format!("Copy: {command}"), Tone::Quiet).clicked() {
                        ui.ctx().copy_text(command.into());
                    }
                });
            });
        });
}

/// Least distance of the page from the window's edge, as on the other pages.
const EDGE: f32 = 28.0;

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
