//! The controls the panels are made of. Each one names itself for screen readers.

use eframe::egui::text::{LayoutJob, TextFormat, TextWrapping};
use eframe::egui::{
    self, Align2, Color32, CornerRadius, CursorIcon, Frame, Margin, Pos2, Rect, Response, Role, Sense,
    Stroke, StrokeKind, TextEdit, Ui, Vec2, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use super::theme::{self, CONTROL, HALF, Palette, STEP, Weight, faded, font, icon_font, size};
use crate::model::Level;

/// How a button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// The one thing to do here.
    Primary,
    /// Anything else.
    Plain,
    /// No ground until the pointer is over it.
    Quiet,
}

/// Paints the ring around a control that has the keyboard focus.
pub(crate) fn focus_ring(ui: &Ui, response: &Response, rect: Rect, radius: f32) {
    if response.has_focus() {
        let accent = Palette::of(ui).accent;
        ui.painter().rect_stroke(
            rect.expand(2.0),
            radius + 2.0,
            Stroke::new(2.0, accent),
            StrokeKind::Outside,
        );
    }
}

fn tone_colours(p: &Palette, tone: Tone, response: &Response) -> (Color32, Color32) {
    let is_over = response.hovered() || response.has_focus();
    match tone {
        Tone::Primary => (if is_over { faded(p.accent, 0.88) } else { p.accent }, p.on_accent),
        Tone::Plain => (if is_over { p.hover } else { p.raised }, p.text),
        Tone::Quiet => (if is_over { p.hover } else { Color32::TRANSPARENT }, p.soft),
    }
}

/// A button with an icon and words, as wide as they need.
pub(crate) fn button(ui: &mut Ui, icon: Option<Icon>, words: &str, tone: Tone) -> Response {
    let width = {
        let galley =
            ui.painter().layout_no_wrap(words.into(), font(size::BODY, Weight::Medium), Color32::WHITE);
        galley.size().x + if icon.is_some() { 24.0 } else { 0.0 } + 28.0
    };
    button_sized(ui, icon, words, tone, vec2(width, CONTROL))
}

/// A button of a given size.
pub(crate) fn button_sized(
    ui: &mut Ui,
    icon: Option<Icon>,
    words: &str,
    tone: Tone,
    wanted: Vec2,
) -> Response {
    button_named(ui, icon, words, words, tone, wanted)
}

/// A button of a given size whose words alone do not say what it acts on; `name` does, for screen readers.
pub(crate) fn button_named(
    ui: &mut Ui,
    icon: Option<Icon>,
    words: &str,
    name: &str,
    tone: Tone,
    wanted: Vec2,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(wanted, Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    if ui.is_rect_visible(rect) {
        let p = Palette::of(ui);
        let (fill, ink) = tone_colours(&p, tone, &response);
        let painter = ui.painter();
        painter.rect_filled(rect, 8.0, fill);
        if tone == Tone::Plain {
            painter.rect_stroke(rect, 8.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
        }
        let galley = painter.layout_no_wrap(words.into(), font(size::BODY, Weight::Medium), ink);
        let icon_width = if icon.is_some() { 24.0 } else { 0.0 };
        let mut at = rect.center().x - (galley.size().x + icon_width) / 2.0;
        if let Some(icon) = icon {
            let glyph = char::from(icon).to_string();
            painter.text(pos2(at, rect.center().y + 1.0), Align2::LEFT_CENTER, glyph, icon_font(16.0), ink);
            at += icon_width;
        }
        painter.galley(pos2(at, rect.center().y - galley.size().y / 2.0), galley, ink);
        focus_ring(ui, &response, rect, 8.0);
    }
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A square button with an icon only; `name` is its tooltip and its accessible name.
pub(crate) fn icon_button(ui: &mut Ui, icon: Icon, name: &str, tone: Tone) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CONTROL), Sense::click());
    paint_icon_button(ui, rect, &response, icon, name, tone);
    response.on_hover_text(name).on_hover_cursor(CursorIcon::PointingHand)
}

fn paint_icon_button(ui: &Ui, rect: Rect, response: &Response, icon: Icon, name: &str, tone: Tone) {
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let p = Palette::of(ui);
    let (fill, ink) = tone_colours(&p, tone, response);
    ui.painter().rect_filled(rect, 8.0, fill);
    let ink = if tone == Tone::Quiet && (response.hovered() || response.has_focus()) { p.text } else { ink };
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        char::from(icon).to_string(),
        icon_font(18.0),
        ink,
    );
    focus_ring(ui, response, rect, 8.0);
}

/// One of several choices, side by side. `what` names the choice for screen readers.
pub(crate) fn segmented<T: PartialEq + Copy>(
    ui: &mut Ui,
    what: &str,
    value: &mut T,
    choices: &[(T, &str)],
) -> bool {
    let p = Palette::of(ui);
    let before = *value;
    let words_font = font(size::BODY, Weight::Medium);
    let widths: Vec<f32> = choices
        .iter()
        .map(|(_, words)| {
            let galley = ui.painter().layout_no_wrap((*words).into(), words_font.clone(), p.text);
            galley.size().x + 24.0
        })
        .collect();
    let total = widths.iter().sum::<f32>() + 6.0;
    let (rect, whole) = ui.allocate_exact_size(vec2(total, CONTROL), Sense::hover());
    ui.painter().rect_filled(rect, 8.0, p.raised);
    let mut left = rect.left() + 3.0;
    for (index, ((choice, words), width)) in choices.iter().zip(widths).enumerate() {
        let part = Rect::from_min_size(pos2(left, rect.top() + 3.0), vec2(width, CONTROL - 6.0));
        left += width;
        let response = ui.interact(part, whole.id.with(index), Sense::click());
        let is_chosen = before == *choice;
        response.widget_info(|| {
            WidgetInfo::selected(Role::RadioButton, true, is_chosen, format!("{what}: {words}"))
        });
        if response.clicked() {
            *value = *choice;
        }
        if is_chosen {
            ui.painter().rect_filled(part, 6.0, p.surface);
            ui.painter().rect_stroke(part, 6.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
        }
        let ink = if is_chosen || response.hovered() { p.text } else { p.soft };
        ui.painter().text(part.center(), Align2::CENTER_CENTER, words, words_font.clone(), ink);
        focus_ring(ui, &response, part, 6.0);
        response.on_hover_cursor(CursorIcon::PointingHand);
    }
    *value != before
}

/// A switch; the whole row is its target.
pub(crate) fn toggle_row(ui: &mut Ui, words: &str, hint: &str, value: &mut bool) -> bool {
    let height = if hint.is_empty() { CONTROL } else { 48.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    let is_on = *value;
    response.widget_info(|| WidgetInfo::selected(Role::Switch, true, is_on, words));
    if response.clicked() {
        *value = !*value;
    }
    let p = Palette::of(ui);
    let painter = ui.painter();
    let middle = rect.center().y;
    let line = if hint.is_empty() { middle } else { middle - 9.0 };
    painter.text(
        pos2(rect.left(), line),
        Align2::LEFT_CENTER,
        words,
        font(size::BODY, Weight::Medium),
        p.text,
    );
    if !hint.is_empty() {
        painter.text(
            pos2(rect.left(), middle + 9.0),
            Align2::LEFT_CENTER,
            hint,
            font(size::BODY, Weight::Regular),
            p.soft,
        );
    }
    let track = Rect::from_center_size(pos2(rect.right() - 18.0, middle), vec2(36.0, 20.0));
    switch_track(ui, track, response.id, *value);
    focus_ring(ui, &response, track, 10.0);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

/// Paints what shows whether something is on: a knob at one end of a track or the other.
pub(crate) fn switch_track(ui: &Ui, track: Rect, id: egui::Id, is_on: bool) {
    let p = Palette::of(ui);
    let radius = track.height() / 2.0;
    let share = ui.ctx().animate_bool_responsive(id, is_on);
    ui.painter().rect_filled(track, radius, if is_on { p.accent } else { p.hover });
    let knob = pos2(egui::lerp(track.left() + radius..=track.right() - radius, share), track.center().y);
    ui.painter().circle_filled(knob, radius * 0.75, if is_on { p.on_accent } else { p.soft });
}

/// Words on the left, a slider with its value on the right.
pub(crate) fn slider_row(
    ui: &mut Ui,
    words: &str,
    value: &mut f32,
    range: std::ops::RangeInclusive<f32>,
    show: impl Fn(f32) -> String,
) -> bool {
    slider_row_after(ui, words, 148.0, value, range, show)
}

/// The same with so much room for the words.
pub(crate) fn slider_row_after(
    ui: &mut Ui,
    words: &str,
    room: f32,
    value: &mut f32,
    range: std::ops::RangeInclusive<f32>,
    show: impl Fn(f32) -> String,
) -> bool {
    let mut changed = false;
    ui.horizontal(|ui| {
        ui.set_min_height(CONTROL);
        let p = Palette::of(ui);
        let label = ui
            .allocate_ui_with_layout(
                vec2(room, CONTROL),
                egui::Layout::left_to_right(egui::Align::Center),
                |ui| {
                    ui.set_min_width(room);
                    ui.label(theme::text(words, size::BODY, Weight::Medium, p.text))
                },
            )
            .inner;
        ui.spacing_mut().slider_width = (ui.available_width() - 72.0).max(60.0);
        // A ring in the accent's colour on a thin rail.
        ui.spacing_mut().interact_size.y = 22.0;
        let visuals = ui.visuals_mut();
        visuals.handle_shape = egui::style::HandleShape::Circle;
        visuals.selection.bg_fill = p.accent;
        for widget in
            [&mut visuals.widgets.inactive, &mut visuals.widgets.hovered, &mut visuals.widgets.active]
        {
            widget.fg_stroke = Stroke::new(2.0, p.accent);
        }
        let slider = ui
            .add(egui::Slider::new(value, range).show_value(false).trailing_fill(true))
            .labelled_by(label.id);
        changed = slider.changed();
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(theme::text(show(*value), size::BODY, Weight::Medium, p.soft));
        });
    });
    changed
}

/// A field with its label above and, if something is wrong with it, the reason below.
pub(crate) fn field(
    ui: &mut Ui,
    words: &str,
    hint: &str,
    value: &mut String,
    problem: Option<&str>,
) -> Response {
    let edit = TextEdit::singleline(value).hint_text(hint);
    labelled_edit(ui, words, edit, problem)
}

/// The same for something that should not be read over a shoulder.
pub(crate) fn secret_field(
    ui: &mut Ui,
    words: &str,
    hint: &str,
    value: &mut String,
    problem: Option<&str>,
) -> Response {
    let edit = TextEdit::singleline(value).hint_text(hint).password(true);
    labelled_edit(ui, words, edit, problem)
}

fn labelled_edit(ui: &mut Ui, words: &str, edit: TextEdit<'_>, problem: Option<&str>) -> Response {
    let p = Palette::of(ui);
    ui.spacing_mut().item_spacing.y = 6.0;
    let label = ui.label(theme::text(words, size::BODY, Weight::Medium, p.soft));
    let response = ui
        .add(
            edit.font(font(size::LEAD, Weight::Regular))
                .margin(Margin::symmetric(12, 9))
                .desired_width(f32::INFINITY)
                .align(egui::Align2::LEFT_CENTER),
        )
        .labelled_by(label.id);
    if let Some(problem) = problem {
        ui.painter().rect_stroke(response.rect, 8.0, Stroke::new(1.5, p.bad), StrokeKind::Inside);
        ui.label(theme::text(problem, size::BODY, Weight::Regular, p.bad));
    }
    response
}

/// A card with an optional heading.
pub(crate) fn card<R>(ui: &mut Ui, heading: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let p = Palette::of(ui);
    Frame::NONE
        .fill(p.surface)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::same(20))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            if !heading.is_empty() {
                ui.label(theme::text(heading, size::LEAD, Weight::Bold, p.text));
                ui.add_space(HALF);
            }
            contents(ui)
        })
        .inner
}

/// A box with an icon, a sentence and what to do about it.
pub(crate) fn banner(ui: &mut Ui, level: Level, what: &str, remedy: &str) {
    let p = Palette::of(ui);
    let colour = p.level(level);
    Frame::NONE
        .fill(faded(colour, 0.12))
        .stroke(Stroke::new(1.0, faded(colour, 0.4)))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::symmetric(12, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal_top(|ui| {
                ui.label(theme::icon(level_icon(level), 18.0, colour));
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.label(theme::text(what, size::BODY, Weight::Medium, p.text));
                    if !remedy.is_empty() {
                        ui.label(theme::text(remedy, size::BODY, Weight::Regular, p.soft));
                    }
                });
            });
        });
}

/// The icon of a level.
pub(crate) fn level_icon(level: Level) -> Icon {
    match level {
        Level::Neutral => Icon::Info,
        Level::Good => Icon::CircleCheck,
        Level::Warning => Icon::TriangleAlert,
        Level::Bad => Icon::OctagonAlert,
    }
}

/// Paints a plate over the video.
pub(crate) fn plate(ui: &Ui, rect: Rect) {
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 12.0, p.plate);
    ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, p.plate_line), StrokeKind::Inside);
}

/// Paints an icon.
pub(crate) fn paint_icon(ui: &Ui, at: Pos2, align: Align2, icon: Icon, size: f32, colour: Color32) {
    ui.painter().text(at, align, char::from(icon).to_string(), icon_font(size), colour);
}

/// Paints words; returns where they ended up.
pub(crate) fn paint_text(
    ui: &Ui,
    at: Pos2,
    align: Align2,
    words: impl ToString,
    size: f32,
    weight: Weight,
    colour: Color32,
) -> Rect {
    ui.painter().text(at, align, words, font(size, weight), colour)
}

/// Paints words in several sizes and colours on one line, the left edge and the middle at `at`; what is longer than
/// `width` ends in an ellipsis. Returns whether it does.
pub(crate) fn paint_line(ui: &Ui, at: Pos2, width: f32, parts: &[(&str, f32, Weight, Color32)]) -> bool {
    let mut job = LayoutJob { wrap: TextWrapping::truncate_at_width(width), ..LayoutJob::default() };
    for (words, size, weight, colour) in parts {
        let format = TextFormat {
            font_id: font(*size, *weight),
            color: *colour,
            valign: egui::Align::Center,
            ..TextFormat::default()
        };
        job.append(words, 0.0, format);
    }
    let galley = ui.painter().layout_job(job);
    let is_cut = galley.elided;
    ui.painter().galley(pos2(at.x, at.y - galley.size().y / 2.0), galley, Color32::WHITE);
    is_cut
}

/// Paints an arc that goes round and asks for the paints it needs.
pub(crate) fn spinner(ui: &Ui, at: Pos2, radius: f32) {
    let p = Palette::of(ui);
    ui.painter().circle_stroke(at, radius, Stroke::new(2.0, faded(p.accent, 0.3)));
    let turn = ui.input(|input| input.time * 300.0 % 360.0) as f32;
    let arc = super::logo::arc(at, radius, turn, turn + 100.0);
    ui.painter().add(egui::Shape::line(arc, Stroke::new(2.0, p.accent)));
    // It needs no more than this, and the picture has its own repaints.
    ui.ctx().request_repaint_after(std::time::Duration::from_millis(50));
}

/// A command to type elsewhere, with a button that copies it.
pub(crate) fn command_line(ui: &mut Ui, command: &str) {
    let p = Palette::of(ui);
    Frame::NONE
        .fill(p.back)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(8)
        .inner_margin(Margin { left: 12, right: 4, top: 4, bottom: 4 })
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                let room = ui.available_width() - CONTROL - STEP;
                ui.vertical(|ui| {
                    ui.set_max_width(room);
                    let font = font(size::BODY, Weight::Medium);
                    let fits = |words: &str| {
                        ui.painter().layout_no_wrap(words.into(), font.clone(), p.text).size().x <= room
                    };
                    let words = if fits(command) { command.to_owned() } else { broken(command) };
                    let words = theme::text(words, size::BODY, Weight::Medium, p.text);
                    ui.add(egui::Label::new(words).wrap());
                });
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if icon_button(ui, Icon::Copy, &format!("Copy: {command}"), Tone::Quiet).clicked() {
                        ui.ctx().copy_text(command.into());
                    }
                });
            });
        });
}

/// A link in lines that begin where its parts do; anything else as it is.
fn broken(command: &str) -> String {
    if !command.contains("://") || command.contains(' ') {
        return command.to_owned();
    }
    command.replace('?', "\n?").replace('&', "\n&")
}

/// Says `words` to screen readers for a painted area; nothing is painted.
pub(crate) fn describe(ui: &Ui, rect: Rect, salt: &str, words: &str) {
    let response = ui.interact(rect, ui.scope_id().with(salt), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, words));
}

/// Title of a page with a sentence below it, which may be empty.
pub(crate) fn page_title(ui: &mut Ui, title: &str, sentence: &str) {
    let p = Palette::of(ui);
    ui.spacing_mut().item_spacing.y = HALF;
    ui.label(theme::text(title, size::TITLE, Weight::Bold, p.text));
    if !sentence.is_empty() {
        ui.label(theme::text(sentence, size::BODY, Weight::Regular, p.soft));
    }
    ui.add_space(STEP);
}
