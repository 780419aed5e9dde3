//! The connect screen: which server, which of its robots, as what, and what became of it.

mod by_name;
mod robots;

use eframe::egui::{self, Align, Align2, Layout, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::theme::{self, GAP, Palette, STEP, Weight, size};
use super::widgets::{
    self, Tone, banner, button, button_sized, card, field, paint_icon, paint_text, secret_field, spinner,
};
use crate::model::connect::{Field, Phase, Problem, Step, Target};
use crate::model::lobby::{Place, Sight};
use crate::model::{Command, Level, Model};

/// What the user has typed.
#[derive(Debug, Default)]
pub(crate) struct Form {
    target: Option<Target>,
    wants_token: bool,
    /// The token and its server, as they were when both fields were left: a half typed token would count as a wrong
    /// one, and a half typed address may be a stranger's.
    token: Place,
    /// Part of the name of the room that is looked for.
    wanted: String,
    /// Where the session was last asked to look.
    looked: Option<Place>,
}

impl Form {
    /// The screen is left.
    pub(crate) fn look_away(&mut self, out: &mut Vec<Command>) {
        if self.looked.take().is_some() {
            out.push(Command::LookAway);
        }
    }

    /// The token for this server; empty if there is none.
    fn token(&self, server: &str) -> String {
        if self.token.server == server.trim() { self.token.token.clone() } else { String::new() }
    }

    fn look(&mut self, place: Option<Place>, again: Again, out: &mut Vec<Command>) {
        if self.looked == place && again == Again::No {
            return;
        }
        match &place {
            Some(place) => out.push(Command::Look(place.clone())),
            None if self.looked.is_some() => out.push(Command::LookAway),
            None => {}
        }
        self.looked = place;
    }
}

/// Whether the user asked to look anew at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

/// Shows the screen.
pub(crate) fn show(ui: &mut Ui, form: &mut Form, model: &Model, out: &mut Vec<Command>) {
    let state = &model.connect;
    let mut target = form.target.take().unwrap_or_else(|| state.prefill.clone());
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let width = (ui.available_width() - 2.0 * EDGE).min(WIDTH_MAX);
        let side = ((ui.available_width() - width) / 2.0).max(EDGE);
        let top = ((ui.available_height() - 640.0) / 3.0).clamp(24.0, 72.0);
        ui.add_space(top);
        ui.horizontal_top(|ui| {
            ui.add_space(side - STEP);
            ui.vertical(|ui| {
                ui.set_width(width);
                widgets::page_title(ui, "Connect to a robot", "See through its camera and take the wheel.");
                ui.add_space(STEP);
                if let Phase::Connecting(step) = &state.phase {
                    form.look(None, Again::No, out);
                    let width = width.min(480.0);
                    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                        card(ui, "", |ui| connecting(ui, &target, *step, out));
                    });
                } else {
                    choose(ui, form, &mut target, model, width, out);
                }
                ui.add_space(EDGE);
            });
        });
    });
    form.target = Some(target);
}

/// Server, its robots, the room by name, the recent ones.
fn choose(
    ui: &mut Ui,
    form: &mut Form,
    target: &mut Target,
    model: &Model,
    width: f32,
    out: &mut Vec<Command>,
) {
    let state = &model.connect;
    let token = form.token(&target.server);
    let place = Place::new(&target.server, &token);
    let looking = Sight::Looking;
    let sight = place.as_ref().map(|place| {
        state.lobby.as_ref().filter(|lobby| lobby.place == *place).map_or(&looking, |lobby| &lobby.sight)
    });
    let problem = match (&state.phase, sight) {
        // The list says the same.
        (Phase::Failed(problem), Some(Sight::Failed(other))) if problem.code == other.code => None,
        (Phase::Failed(problem), _) => Some(problem),
        (Phase::Idle | Phase::Connecting(_), _) => None,
    };
    if matches!(sight, Some(Sight::Failed(Problem { field: Field::Token, .. })))
        || matches!(problem, Some(Problem { field: Field::Token, .. }))
    {
        form.wants_token = true;
    }
    let mut again = card(ui, "", |ui| server(ui, form, target, problem));
    ui.add_space(GAP);
    let is_wide = width > 720.0;
    let list_width = if is_wide { width - SIDE - GAP } else { width };
    let chosen = ui
        .horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            let chosen = ui
                .allocate_ui_with_layout(vec2(list_width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(list_width);
                    robots::show(ui, sight, target, &token, &mut form.wanted)
                })
                .inner;
            if is_wide {
                ui.allocate_ui_with_layout(vec2(SIDE, 0.0), Layout::top_down(Align::Min), |ui| {
                    by_name::show(ui, &state.recents, target, problem, &token, out);
                });
            }
            chosen
        })
        .inner;
    if !is_wide {
        ui.add_space(GAP);
        by_name::show(ui, &state.recents, target, problem, &token, out);
    }
    match chosen {
        Some(robots::Choice::Join { room, role }) => {
            target.room.clone_from(&room);
            let server = target.server.trim().into();
            out.push(Command::Connect(Target { server, room, role, token }));
        }
        Some(robots::Choice::LookAgain) => again = Again::Yes,
        None => {}
    }
    form.look(Place::new(&target.server, &form.token(&target.server)), again, out);
}

/// Address and token of the server.
fn server(ui: &mut Ui, form: &mut Form, target: &mut Target, problem: Option<&Problem>) -> Again {
    if let Some(problem) = problem {
        let what = match &problem.code {
            Some(code) => format!("{}  ({code})", problem.what),
            None => problem.what.clone(),
        };
        banner(ui, Level::Bad, &what, &problem.remedy);
        ui.add_space(GAP);
    }
    let at = |field| mark(problem, field);
    let whole = ui.available_width();
    let button_width = 136.0;
    let (address_width, token_width) = match (form.wants_token, whole > 560.0) {
        (true, true) => (whole * 0.6, whole * 0.4 - GAP),
        (true, false) => (whole, whole),
        (false, _) => (whole - button_width - GAP, button_width),
    };
    let mut again = Again::No;
    let mut typing = false;
    let mut fields = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        ui.allocate_ui_with_layout(vec2(address_width, 0.0), Layout::top_down(Align::Min), |ui| {
            let hint = "wss://example.org";
            let address = field(ui, "Signalling server", hint, &mut target.server, at(Field::Server));
            typing |= address.has_focus();
            if entered(ui, &address) {
                again = Again::Yes;
            }
        });
        ui.allocate_ui_with_layout(vec2(token_width, 0.0), Layout::top_down(Align::Min), |ui| {
            if form.wants_token {
                if address_width == whole {
                    ui.add_space(STEP);
                }
                let hint = "given by the server's owner";
                let token = secret_field(ui, "Token", hint, &mut target.token, at(Field::Token));
                typing |= token.has_focus();
                if entered(ui, &token) {
                    again = Again::Yes;
                }
            } else {
                // In line with the field, whose label stands above.
                ui.add_space(22.0);
                if button(ui, Some(Icon::KeyRound), "Use a token", Tone::Quiet).clicked() {
                    form.wants_token = true;
                }
            }
        });
    };
    if address_width < whole {
        ui.horizontal_top(&mut fields);
    } else {
        ui.vertical(&mut fields);
    }
    if !typing {
        form.token = Place { server: target.server.trim().into(), token: target.token.trim().into() };
    }
    again
}

/// The sentence stands in the banner; at the field a short pointer is enough.
fn mark(problem: Option<&Problem>, field: Field) -> Option<&'static str> {
    problem.filter(|problem| problem.field == field).map(|_| "Check this")
}

fn entered(ui: &Ui, response: &egui::Response) -> bool {
    response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
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
                spinner(ui, at, 7.0);
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

/// Least distance of the page from the window's edge, as on the other pages.
const EDGE: f32 = 28.0;
/// Widest page, in points: lines beyond are hard to follow.
const WIDTH_MAX: f32 = 960.0;
/// Width of the column beside the list, in points.
const SIDE: f32 = 300.0;
