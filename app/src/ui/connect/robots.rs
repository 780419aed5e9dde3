//! The robots at the server, as cards to click.

use eframe::egui::{
    self, Align, Align2, CursorIcon, Layout, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
    vec2,
};
use lucide_icons::Icon;

use crate::model::Level;
use crate::model::connect::{self, Problem, Target};
use crate::model::lobby::{Presence, Room, Sight};
use crate::ui::theme::{self, CONTROL, HALF, Palette, STEP, Weight, size};
use crate::ui::widgets::{
    Tone, button, button_named, card, command_line, field, focus_ring, level_icon, paint_icon, paint_line,
    paint_text, spinner,
};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Go into this room.
    Join {
        /// Its name.
        room: String,
        /// As what.
        role: connect::Role,
    },
    /// Look anew.
    LookAgain,
}

/// Shows what there is to see: `None` while there is no address to look at.
pub(super) fn show(
    ui: &mut Ui,
    sight: Option<&Sight>,
    target: &Target,
    token: &str,
    wanted: &mut String,
) -> Option<Choice> {
    ui.spacing_mut().item_spacing.y = STEP;
    heading(ui, sight);
    match sight {
        None => {
            plate(ui, Mark::Icon(Icon::Radio, Level::Neutral), "Which server?", |ui, words| {
                words(
                    ui,
                    "Write its address above: ws://192.168.1.10:8443 in your own network, wss://example.org \
                     across the internet. Its robots appear here.",
                );
            });
            None
        }
        Some(Sight::Looking) => {
            plate(ui, Mark::Spinner, "Looking for robots", |ui, words| words(ui, target.server.trim()));
            None
        }
        Some(Sight::Failed(problem)) => failed(ui, problem),
        Some(Sight::Rooms(rooms)) if rooms.is_empty() => {
            none_yet(ui, target, token);
            None
        }
        Some(Sight::Rooms(rooms)) => list(ui, rooms, wanted),
    }
}

fn heading(ui: &mut Ui, sight: Option<&Sight>) {
    let p = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.label(theme::text("Robots", size::LEAD, Weight::Bold, p.text));
        if let Some(Sight::Rooms(rooms)) = sight
            && !rooms.is_empty()
        {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let words = format!("{} here", rooms.len());
                ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
            });
        }
    });
}

fn list(ui: &mut Ui, rooms: &[Room], wanted: &mut String) -> Option<Choice> {
    if rooms.len() > FILTER_FROM {
        ui.scope(|ui| field(ui, "Find", "part of a name", wanted, None));
        ui.add_space(HALF);
    } else {
        wanted.clear();
    }
    let mut choice = None;
    let mut is_found = false;
    for room in rooms.iter().filter(|room| room.matches(wanted)) {
        is_found = true;
        choice = robot(ui, room).or(choice);
    }
    if !is_found {
        let p = Palette::of(ui);
        let words = format!("No room with \u{201c}{}\u{201d} in its name.", wanted.trim());
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    }
    choice
}

/// A card: a click drives, its button watches.
fn robot(ui: &mut Ui, room: &Room) -> Option<Choice> {
    let p = Palette::of(ui);
    let (level, state) = room.state();
    let watching = room.watching();
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), CARD), Sense::click());
    let said: Vec<&str> = [room.robot.as_str(), &state, watching.as_deref().unwrap_or_default()]
        .into_iter()
        .filter(|words| !words.is_empty())
        .collect();
    let name = format!("Drive {}: {}", room.name, said.join(", "));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let is_over = response.hovered() || response.has_focus();
    // A wide card has room for words on its second button.
    let watch_width = if rect.width() > 420.0 { 92.0 } else { CONTROL };
    let watch_rect = Rect::from_min_size(
        pos2(rect.right() - PAD - DRIVE - STEP - watch_width, rect.center().y - CONTROL / 2.0),
        vec2(watch_width, CONTROL),
    );
    if ui.is_rect_visible(rect) {
        let edge = if is_over { theme::faded(p.accent, 0.7) } else { p.line };
        ui.painter().rect_filled(rect, 12.0, p.surface);
        if is_over {
            ui.painter().rect_filled(rect, 12.0, theme::faded(p.accent, 0.07));
        }
        ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, edge), StrokeKind::Inside);
        let badge = Rect::from_center_size(pos2(rect.left() + PAD + 20.0, rect.center().y), vec2(40.0, 40.0));
        ui.painter().rect_filled(badge, 10.0, theme::faded(p.accent, 0.14));
        let ink = if room.presence == Presence::Here { p.accent } else { p.faint };
        paint_icon(ui, badge.center(), Align2::CENTER_CENTER, Icon::CarFront, 20.0, ink);

        let left = badge.right() + 12.0;
        let width = watch_rect.left() - left - 12.0;
        let mut title = vec![(room.name.as_str(), size::LEAD, Weight::Bold, p.text)];
        let robot = format!("   {}", room.robot);
        if !room.robot.is_empty() && room.robot != room.name {
            title.push((&robot, size::BODY, Weight::Regular, p.soft));
        }
        let mut is_cut = paint_line(ui, pos2(left, rect.center().y - 10.0), width, &title);

        let colour = if level == Level::Neutral { p.soft } else { p.level(level) };
        let below = rect.center().y + 12.0;
        ui.painter().circle_filled(pos2(left + 4.0, below), 4.0, colour);
        let more = watching.map(|words| format!("  \u{b7}  {words}")).unwrap_or_default();
        let line = [
            (state.as_str(), size::BODY, Weight::Medium, colour),
            (more.as_str(), size::BODY, Weight::Regular, p.soft),
        ];
        is_cut |= paint_line(ui, pos2(left + 14.0, below), width - 14.0, &line);
        if is_cut {
            response.clone().on_hover_text(name.trim_start_matches("Drive "));
        }

        // What a click anywhere on the card does.
        let drive = Rect::from_min_size(
            pos2(rect.right() - PAD - DRIVE, rect.center().y - CONTROL / 2.0),
            vec2(DRIVE, CONTROL),
        );
        ui.painter().rect_filled(drive, 8.0, if is_over { p.accent } else { theme::faded(p.accent, 0.16) });
        let ink = if is_over { p.on_accent } else { p.accent };
        paint_text(ui, drive.center(), Align2::CENTER_CENTER, "Drive", size::BODY, Weight::Bold, ink);
        focus_ring(ui, &response, rect, 12.0);
    }
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(watch_rect).id_salt(("watch", &room.name)));
    let name = format!("Watch {}", room.name);
    let words = if watch_width > CONTROL { "Watch" } else { "" };
    let watch = button_named(&mut child, Some(Icon::Eye), words, &name, Tone::Plain, watch_rect.size());
    let join = |role| Choice::Join { room: room.name.clone(), role };
    if watch.clicked() {
        Some(join(connect::Role::Viewer))
    } else if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        Some(join(connect::Role::Driver))
    } else {
        None
    }
}

fn none_yet(ui: &mut Ui, target: &Target, token: &str) {
    let room = if target.room.trim().is_empty() { "car" } else { target.room.trim() };
    let token = if token.is_empty() { "" } else { " --token-file token.txt" };
    let run = format!("farwheel-robot run --server {} --room {room}{token}", target.server.trim());
    plate(ui, Mark::Icon(Icon::CarFront, Level::Neutral), "No robot here yet", |ui, words| {
        words(ui, "Start one with this server; it appears here by itself.");
        ui.add_space(HALF);
        command_line(ui, &run);
        ui.add_space(HALF);
        words(ui, "Without a camera and a car at hand, a simulated one drives as well:");
        ui.add_space(HALF);
        command_line(ui, &format!("{run} --camera sim"));
    });
}

fn failed(ui: &mut Ui, problem: &Problem) -> Option<Choice> {
    let mut choice = None;
    let icon = level_icon(Level::Bad);
    plate(ui, Mark::Icon(icon, Level::Bad), &problem.what, |ui, words| {
        words(ui, &problem.remedy);
        if problem.code.as_deref() == Some("connection_refused") {
            ui.add_space(HALF);
            command_line(ui, "farwheel-signaling serve");
            ui.add_space(HALF);
            words(ui, "Or see it all work first: a server, a simulated car and this app, joined together.");
            ui.add_space(HALF);
            command_line(ui, "cargo xtask demo");
        }
        ui.add_space(STEP);
        ui.horizontal(|ui| {
            if button(ui, Some(Icon::RefreshCw), "Look again", Tone::Plain).clicked() {
                choice = Some(Choice::LookAgain);
            }
            if let Some(code) = &problem.code {
                let p = Palette::of(ui);
                ui.label(theme::text(code, size::CAPTION, Weight::Regular, p.faint));
            }
        });
    });
    choice
}

/// What stands at the left of a plate.
enum Mark {
    Icon(Icon, Level),
    Spinner,
}

/// A card that says one thing, where the list would be.
fn plate(ui: &mut Ui, mark: Mark, what: &str, more: impl FnOnce(&mut Ui, &dyn Fn(&mut Ui, &str))) {
    let p = Palette::of(ui);
    let words = |ui: &mut Ui, words: &str| {
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    };
    card(ui, "", |ui| {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            let (badge, _) = ui.allocate_exact_size(vec2(40.0, 40.0), Sense::hover());
            match mark {
                Mark::Icon(icon, level) => {
                    let ink = if level == Level::Neutral { p.accent } else { p.level(level) };
                    ui.painter().rect_filled(badge, 10.0, theme::faded(ink, 0.14));
                    paint_icon(ui, badge.center(), Align2::CENTER_CENTER, icon, 20.0, ink);
                }
                Mark::Spinner => spinner(ui, badge.center(), 12.0),
            }
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = HALF;
                ui.add_space(1.0);
                ui.label(theme::text(what, size::LEAD, Weight::Bold, p.text));
                more(ui, &words);
            });
        });
    });
}

/// Height of a robot's card, in points.
const CARD: f32 = 72.0;
/// From the edge of a card to what is in it.
const PAD: f32 = 16.0;
/// Width of what looks like the card's main button.
const DRIVE: f32 = 76.0;
/// A list longer than this is searched rather than read.
const FILTER_FROM: usize = 8;
