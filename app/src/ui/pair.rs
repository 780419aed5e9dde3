//! The page on which two meet without a room: by a code, or by letters that they carry themselves.

use eframe::egui::{Align, Key, Label, Layout, ScrollArea, Ui, vec2};
use lucide_icons::Icon;

use super::Pictures;
use super::letters::{self, Done, waits};
use super::theme::{self, GAP, Palette, STEP, Weight, size};
use super::widgets::{self, Tone, banner, button, card, field, secret_field};
use crate::model::call;
use crate::model::connect::Target;
use crate::model::pair::{Command as PairCommand, Line, Pair, Phase, Speaker, Way};
use crate::model::{Command, Level, Model, Scan, scan};

/// What the user has typed.
#[derive(Debug, Default)]
pub(crate) struct Form {
    target: Option<Target>,
    code: String,
    /// A pasted offer or answer.
    letter: String,
    line: String,
}

/// Shows the page.
pub(crate) fn show(
    ui: &mut Ui,
    form: &mut Form,
    model: &Model,
    pictures: Pictures<'_>,
    out: &mut Vec<Command>,
) {
    let state = &model.pair;
    if form.target.is_none() {
        form.target = Some(model.connect.prefill.clone());
    }
    // Where the prejoin screen reads a letter, it is not for this page.
    let by_camera = ByCamera { scan: model.scan.as_ref().filter(|_| model.prejoin.is_none()), pictures };
    let mut asked = None;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let width = (ui.available_width() - 2.0 * EDGE).min(WIDTH_MAX);
        let side = ((ui.available_width() - width) / 2.0).max(EDGE);
        ui.add_space(TOP);
        ui.horizontal_top(|ui| {
            ui.add_space(side - STEP);
            ui.vertical(|ui| {
                ui.set_width(width);
                widgets::page_title(
                    ui,
                    "Talk to one other",
                    "By a code that both give, or with no server at all: carry two letters yourselves.",
                );
                ui.add_space(STEP);
                asked = phase(ui, form, state, by_camera, width);
                ui.add_space(EDGE);
            });
        });
    });
    out.extend(asked);
}

/// The camera as a reader.
#[derive(Clone, Copy)]
struct ByCamera<'a> {
    scan: Option<&'a Scan>,
    pictures: Pictures<'a>,
}

fn phase(ui: &mut Ui, form: &mut Form, state: &Pair, by_camera: ByCamera<'_>, width: f32) -> Option<Command> {
    let ByCamera { scan, pictures } = by_camera;
    match &state.phase {
        Phase::Idle => begin(ui, form, by_camera, width),
        Phase::Over(words) => {
            banner(ui, Level::Bad, words, "");
            ui.add_space(GAP);
            if !state.lines.is_empty() {
                card(ui, "What was said", |ui| lines(ui, &state.lines));
                ui.add_space(GAP);
            }
            begin(ui, form, by_camera, width)
        }
        Phase::Busy(words) => card(ui, "", |ui| asked(letters::busy(ui, words))),
        Phase::Waiting { code } => card(ui, "", |ui| {
            let p = Palette::of(ui);
            ui.label(theme::text("The other one gives this code", size::BODY, Weight::Regular, p.soft));
            ui.label(theme::text(code, size::FIGURE, Weight::Bold, p.text));
            ui.add_space(STEP);
            waits(ui, "Waiting for the other one");
            ui.add_space(STEP);
            ui.horizontal(|ui| {
                if button(ui, Some(Icon::Copy), "Copy the code", Tone::Plain).clicked() {
                    ui.ctx().copy_text(code.clone());
                }
                leave(ui, "Cancel")
            })
            .inner
        }),
        Phase::Offer { letter, problem } => card(ui, "Send this offer to the other one", |ui| {
            asked(letters::offer(ui, letter, problem.as_deref(), &mut form.letter, scan, Some(pictures)))
        }),
        Phase::Answer { letter } => {
            card(ui, "Send this answer back", |ui| asked(letters::answer(ui, letter)))
        }
        Phase::Together { name, way } => together(ui, form, state, name, *way),
    }
}

/// What was done with letters, as the page asks for it.
fn asked(done: Option<Done>) -> Option<Command> {
    Some(match done? {
        Done::Offer => Command::Pair(PairCommand::Offer),
        Done::Answer(offer) => Command::Pair(PairCommand::Answer(offer)),
        Done::Accept(answer) => Command::Pair(PairCommand::Accept(answer)),
        Done::Read => Command::Scan(scan::Command::Begin(scan::Aim::Pair)),
        Done::EndReading => Command::Scan(scan::Command::End),
        Done::Cancel => Command::Pair(PairCommand::Leave),
    })
}

/// A way to begin.
#[derive(Clone, Copy, Debug)]
enum Begin {
    Code,
    Letters,
}

/// The two ways to meet.
fn begin(ui: &mut Ui, form: &mut Form, by_camera: ByCamera<'_>, width: f32) -> Option<Command> {
    let is_wide = width > 720.0;
    let column = if is_wide { (width - GAP) / 2.0 } else { width };
    let mut asked = None;
    let mut cards = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        for way in [Begin::Code, Begin::Letters] {
            ui.allocate_ui_with_layout(vec2(column, 0.0), Layout::top_down(Align::Min), |ui| {
                ui.set_width(column);
                let done = match way {
                    Begin::Code => by_code(ui, form),
                    Begin::Letters => by_letter(ui, form, by_camera),
                };
                asked = done.or(asked.take());
            });
            if !is_wide {
                ui.add_space(GAP);
            }
        }
    };
    if is_wide {
        ui.horizontal_top(&mut cards);
    } else {
        ui.vertical(&mut cards);
    }
    asked
}

fn by_code(ui: &mut Ui, form: &mut Form) -> Option<Command> {
    card(ui, "By a code", |ui| {
        let target = form.target.get_or_insert_with(Target::default);
        field(ui, "Signalling server", "wss://example.org", &mut target.server, None);
        ui.add_space(STEP);
        secret_field(ui, "Token", "given by the server's owner, if it wants one", &mut target.token, None);
        ui.add_space(STEP);
        let code = field(ui, "Code", "empty: one is made up for you", &mut form.code, None);
        ui.add_space(GAP);
        let is_entered = code.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let is_clicked = button(ui, Some(Icon::Handshake), "Meet", Tone::Primary).clicked();
        (is_clicked || is_entered).then(|| {
            Command::Pair(PairCommand::Meet {
                server: target.server.trim().to_owned(),
                token: target.token.trim().to_owned(),
                code: form.code.trim().to_owned(),
            })
        })
    })
}

fn by_letter(ui: &mut Ui, form: &mut Form, by_camera: ByCamera<'_>) -> Option<Command> {
    card(ui, "With no server", |ui| {
        let ByCamera { scan, pictures } = by_camera;
        let done = letters::begin(ui, &mut form.letter, None, scan, Some(pictures));
        asked(done).or_else(|| {
            ui.add_space(STEP);
            let call = button(ui, Some(Icon::Video), "Call with no server instead", Tone::Quiet);
            call.clicked().then_some(Command::Call(call::Command::PrepareLetters))
        })
    })
}

fn together(ui: &mut Ui, form: &mut Form, state: &Pair, name: &str, way: Way) -> Option<Command> {
    let (level, words) = match way {
        Way::Direct => (Level::Good, "Lines go directly; nobody else reads them."),
        Way::Server => (Level::Warning, "Lines go through the server, which can read them."),
        Way::None => (Level::Bad, "No way to the other one at present; lines are kept."),
    };
    let title = if name.is_empty() { "The other one" } else { name };
    card(ui, title, |ui| {
        let p = Palette::of(ui);
        ui.label(theme::text(words, size::BODY, Weight::Medium, p.level(level)));
        ui.add_space(STEP);
        let height = (ui.ctx().content_rect().height() - 340.0).max(120.0);
        ScrollArea::vertical().max_height(height).auto_shrink([false, false]).stick_to_bottom(true).show(
            ui,
            |ui| {
                lines(ui, &state.lines);
            },
        );
        ui.add_space(STEP);
        let line = field(ui, "Say", "a line of text", &mut form.line, None);
        let is_entered = line.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        ui.add_space(STEP);
        ui.horizontal(|ui| {
            let is_sent = button(ui, Some(Icon::Send), "Send", Tone::Primary).clicked() || is_entered;
            if is_sent && !form.line.trim().is_empty() {
                line.request_focus();
                return Some(Command::Pair(PairCommand::Say(std::mem::take(&mut form.line))));
            }
            leave(ui, "Leave")
        })
        .inner
    })
}

fn lines(ui: &mut Ui, lines: &[Line]) {
    let p = Palette::of(ui);
    for Line { from, text } in lines {
        let (who, ink) = match from {
            Speaker::Own => ("You", p.soft),
            Speaker::Other => ("Other", p.accent),
        };
        ui.horizontal_top(|ui| {
            ui.allocate_ui_with_layout(vec2(48.0, 0.0), Layout::top_down(Align::Min), |ui| {
                ui.set_width(48.0);
                ui.label(theme::text(who, size::BODY, Weight::Medium, ink));
            });
            ui.add(
                Label::new(theme::text(text, size::BODY, Weight::Regular, p.text)).wrap().selectable(true),
            );
        });
    }
}

fn leave(ui: &mut Ui, words: &str) -> Option<Command> {
    let is_clicked = button(ui, Some(Icon::X), words, Tone::Plain).clicked();
    is_clicked.then_some(Command::Pair(PairCommand::Leave))
}

/// Least distance of the page from the window's edge, as on the other pages.
const EDGE: f32 = 28.0;
const TOP: f32 = 32.0;
/// Widest page, in points: lines beyond are hard to follow.
const WIDTH_MAX: f32 = 960.0;
