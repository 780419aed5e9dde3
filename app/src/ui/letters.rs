//! Letters that two people carry: shown as text and as a code, pasted, or read with the camera.

use eframe::egui::{self, Align, Id, Label, Layout, ScrollArea, Sense, TextEdit, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::theme::{self, GAP, HALF, Palette, STEP, Weight, size};
use super::widgets::{self, Tone, banner, button, button_sized, spinner};
use super::{Pictures, code};
use crate::model::call::Source;
use crate::model::settings::Fit;
use crate::model::{Level, Scan};
use crate::render::video::{self, Look, Mirror, Tile};

/// What the user did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Wants to write the offer.
    Offer,
    /// Gave the other one's offer.
    Answer(String),
    /// Gave the other one's answer.
    Accept(String),
    /// Wants to read a letter with the camera.
    Read,
    /// Wants that no longer.
    EndReading,
    /// Gives it up.
    Cancel,
}

/// The two ways to begin: write, or answer what the other one wrote.
pub(super) fn begin(
    ui: &mut Ui,
    text: &mut String,
    problem: Option<&str>,
    scan: Option<&Scan>,
    pictures: Option<Pictures<'_>>,
) -> Option<Done> {
    let p = Palette::of(ui);
    if let Some(problem) = problem {
        banner(ui, Level::Bad, problem, "");
        ui.add_space(STEP);
    }
    if let Some(scan) = scan {
        return reading(ui, "Hold the other one's offer before the camera", scan, pictures);
    }
    let words = "One makes an offer, the other one answers it. Send both by mail or chat, or hold one screen before \
        the other's camera. A letter counts for ten minutes.";
    ui.add(Label::new(theme::text(words, size::BODY, Weight::Regular, p.soft)).wrap());
    ui.add_space(STEP);
    if button(ui, Some(Icon::MailPlus), "Make an offer", Tone::Primary).clicked() {
        text.clear();
        return Some(Done::Offer);
    }
    ui.add_space(GAP);
    paste(ui, "Or paste the other one's offer", text);
    ui.add_space(STEP);
    take(ui, Icon::MailCheck, "Answer it", Tone::Plain, text, Done::Answer)
}

/// The own offer, and what its answer is given to.
pub(super) fn offer(
    ui: &mut Ui,
    letter: &str,
    problem: Option<&str>,
    text: &mut String,
    scan: Option<&Scan>,
    pictures: Option<Pictures<'_>>,
) -> Option<Done> {
    if let Some(scan) = scan {
        return reading(ui, "Hold the other one's answer before the camera", scan, pictures);
    }
    carried(ui, letter);
    ui.add_space(GAP);
    if let Some(problem) = problem {
        banner(ui, Level::Bad, problem, "");
        ui.add_space(STEP);
    }
    paste(ui, "Paste the answer", text);
    ui.add_space(STEP);
    let done = take(ui, Icon::Link, "Take this answer", Tone::Primary, text, Done::Accept);
    ui.add_space(STEP);
    done.or(cancel(ui))
}

/// The own answer, on its way back.
pub(super) fn answer(ui: &mut Ui, letter: &str) -> Option<Done> {
    carried(ui, letter);
    ui.add_space(STEP);
    waits(ui, "Connects once the other one has read it");
    ui.add_space(STEP);
    cancel(ui)
}

/// Something is under way.
pub(super) fn busy(ui: &mut Ui, words: &str) -> Option<Done> {
    waits(ui, words);
    ui.add_space(STEP);
    cancel(ui)
}

fn cancel(ui: &mut Ui) -> Option<Done> {
    button(ui, Some(Icon::X), "Cancel", Tone::Plain).clicked().then_some(Done::Cancel)
}

/// A row that takes what was pasted, or reads it with the camera.
fn take(
    ui: &mut Ui,
    icon: Icon,
    words: &str,
    tone: Tone,
    text: &mut String,
    done: fn(String) -> Done,
) -> Option<Done> {
    ui.horizontal_wrapped(|ui| {
        let is_there = !text.trim().is_empty();
        let taken = ui.add_enabled_ui(is_there, |ui| button(ui, Some(icon), words, tone));
        if taken.inner.clicked() {
            return Some(done(std::mem::take(text)));
        }
        button(ui, Some(Icon::ScanQrCode), "Read it with the camera", Tone::Plain)
            .clicked()
            .then_some(Done::Read)
    })
    .inner
}

/// What the camera sees, and what is wrong with it. Without pictures they are shown elsewhere.
fn reading(ui: &mut Ui, words: &str, scan: &Scan, pictures: Option<Pictures<'_>>) -> Option<Done> {
    if let Some(pictures) = pictures {
        let p = Palette::of(ui);
        let width = ui.available_width().min(520.0);
        let (rect, _) = ui.allocate_exact_size(vec2(width, width * 9.0 / 16.0), Sense::hover());
        ui.painter().rect_filled(rect, 12.0, p.raised);
        let slot = (pictures.call)(Source::Own);
        let tile = Tile {
            id: Id::unique("what the reading camera sees"),
            rect,
            // All of it: a code at the edge would be cut off.
            fit: Fit::Letterbox,
            radius: 12.0,
            mirror: Mirror::Yes,
            look: Look::LIVE,
        };
        let is_shown = slot.is_some_and(|slot| video::paint_tile(ui, &slot, tile).is_some());
        let seen = if is_shown { "What the camera sees" } else { "The camera starts" };
        widgets::describe(ui, rect, "camera", seen);
        ui.add_space(STEP);
    }
    waits(ui, words);
    if let Some(problem) = &scan.problem {
        ui.add_space(HALF);
        banner(ui, Level::Warning, problem, "");
    }
    ui.add_space(STEP);
    button(ui, Some(Icon::X), "Stop reading", Tone::Plain).clicked().then_some(Done::EndReading)
}

/// A letter to be carried: as a code and as text.
fn carried(ui: &mut Ui, letter: &str) {
    if ui.available_width() > 560.0 {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            code::letter(ui, letter, WIDE_CODE);
            ui.vertical(|ui| {
                ui.set_width(ui.available_width());
                as_text(ui, letter, WIDE_CODE - 72.0);
            });
        });
    } else {
        ui.vertical_centered(|ui| code::letter(ui, letter, ui.available_width().min(WIDE_CODE)));
        ui.add_space(STEP);
        as_text(ui, letter, 64.0);
    }
}

fn as_text(ui: &mut Ui, letter: &str, height: f32) {
    let p = Palette::of(ui);
    let wide = vec2(ui.available_width(), 40.0);
    if button_sized(ui, Some(Icon::Copy), "Copy the letter", Tone::Primary, wide).clicked() {
        ui.ctx().copy_text(letter.to_owned());
    }
    ui.add_space(STEP);
    ScrollArea::vertical().id_salt("letter").max_height(height).show(ui, |ui| {
        let text = egui::RichText::new(letter).monospace().size(size::CAPTION).color(p.soft);
        ui.add(Label::new(text).wrap().selectable(true));
    });
}

fn paste(ui: &mut Ui, words: &str, text: &mut String) {
    let p = Palette::of(ui);
    let label = ui.label(theme::text(words, size::BODY, Weight::Medium, p.soft));
    ScrollArea::vertical().id_salt(("paste", words)).max_height(72.0).show(ui, |ui| {
        let edit = TextEdit::multiline(text).desired_width(f32::INFINITY).desired_rows(3);
        ui.add(edit.font(egui::FontId::monospace(size::CAPTION))).labelled_by(label.id);
    });
}

/// A spinner with words.
pub(super) fn waits(ui: &mut Ui, words: &str) {
    let p = Palette::of(ui);
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(24.0, 28.0), Sense::hover());
        spinner(ui, pos2(rect.left() + 8.0, rect.center().y), 7.0);
        ui.add(Label::new(theme::text(words, size::BODY, Weight::Regular, p.soft)).wrap());
    });
}

/// Side of a code where there is room for it, in points: the 85 modules of a call's letter and 8 of margin, of 4 points each.
const WIDE_CODE: f32 = 376.0;
