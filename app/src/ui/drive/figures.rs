//! The plate with the age of the picture, the link's figures, and where a picture's time goes.

use std::time::Duration;

use eframe::egui::{Align2, Color32, Rect, Ui, pos2, vec2};

use super::{Cx, Room};
use crate::model::Level;
use crate::model::drive::{Figures, Picture, Stages};
use crate::ui::theme::{Palette, Weight, size};
use crate::ui::units;
use crate::ui::widgets::{describe, paint_text, plate};

/// Shows the plate at the upper left of `area`.
pub(crate) fn show(ui: &mut Ui, area: Rect, cx: &Cx<'_>, room: Room) {
    let settings = &cx.model.settings;
    let has_link = settings.view.hud.link;
    let has_stages = settings.show_stages && room.tall;
    let rows: usize = match (has_link, room.tall) {
        (false, _) => 0,
        (true, true) => 3,
        (true, false) => 1,
    };
    let height =
        78.0 + rows as f32 * ROW + if rows > 0 { 14.0 } else { 0.0 } + if has_stages { 104.0 } else { 0.0 };
    let rect = Rect::from_min_size(area.min, vec2(WIDTH, height));
    plate(ui, rect);
    picture_age(ui, rect, cx);
    let mut top = rect.top() + 78.0;
    if rows > 0 {
        link(ui, rect, top, rows, &cx.state.figures);
        top += rows as f32 * ROW + 14.0;
    }
    if has_stages {
        stages(
            ui,
            Rect::from_min_max(pos2(rect.left() + PAD, top), rect.max - vec2(PAD, PAD)),
            &cx.state.stages,
        );
    }
}

fn picture_age(ui: &Ui, rect: Rect, cx: &Cx<'_>) {
    let p = Palette::of(ui);
    let figures = &cx.state.figures;
    let shown = match cx.state.picture {
        Picture::Frozen { since } | Picture::Lost { since } => {
            Some(figures.picture_age.map_or(since, |age| age.max(since)))
        }
        Picture::None | Picture::Live => figures.picture_age,
    };
    let level = units::age_level(shown);
    let ink = match level {
        Level::Neutral => p.faint,
        Level::Good => p.text,
        Level::Warning | Level::Bad => p.level(level),
    };
    let (number, unit) = units::age(shown);
    let left = rect.left() + PAD;
    let at = pos2(left, rect.top() + 22.0);
    paint_text(ui, at, Align2::LEFT_CENTER, "Picture age", size::CAPTION, Weight::Medium, p.soft);
    let at = pos2(left, rect.top() + 50.0);
    let end = paint_text(ui, at, Align2::LEFT_CENTER, &number, size::FIGURE, Weight::Bold, ink);
    let at = pos2(end.right() + 6.0, end.bottom() - 8.0);
    paint_text(ui, at, Align2::LEFT_BOTTOM, unit, size::BODY, Weight::Medium, p.soft);
    // A gauge to 300 ms, where the picture counts as too old to drive by.
    let gauge = Rect::from_min_size(pos2(rect.right() - PAD - 84.0, rect.top() + 48.0), vec2(84.0, 4.0));
    ui.painter().rect_filled(gauge, 2.0, p.line);
    let share = shown.map_or(0.0, |age| (age.as_secs_f32() / 0.3).min(1.0));
    let fill = if level == Level::Good { p.good } else { ink };
    let filled = Rect::from_min_size(gauge.min, vec2(gauge.width() * share, gauge.height()));
    ui.painter().rect_filled(filled, 2.0, fill);
    let half = gauge.center().x;
    ui.painter().vline(half, gauge.top() - 3.0..=gauge.bottom() + 3.0, (1.0, p.faint));
    describe(
        ui,
        Rect::from_min_size(rect.min, vec2(rect.width(), 78.0)),
        "age",
        &format!("Picture age {number} {unit}"),
    );
}

fn link(ui: &Ui, rect: Rect, top: f32, rows: usize, figures: &Figures) {
    let p = Palette::of(ui);
    ui.painter().hline(rect.left() + PAD..=rect.right() - PAD, top, (1.0, p.plate_line));
    let (loop_age, loop_unit) = units::age(figures.loop_age);
    let (rtt, rtt_unit) = units::age(figures.rtt);
    let (rate, rate_unit) = units::bitrate(figures.bitrate);
    let fps = figures.fps.map_or(units::DASH.into(), |fps| format!("{fps:.0}"));
    let size_words = figures.size.map_or(units::DASH.into(), |(width, height)| format!("{width}×{height}"));
    let loop_level = match units::age_level(figures.loop_age) {
        Level::Good => Level::Neutral,
        other => other,
    };
    let loss_level = match figures.loss {
        Some(loss) if loss > 0.08 => Level::Bad,
        Some(loss) if loss > 0.02 => Level::Warning,
        Some(_) | None => Level::Neutral,
    };
    let cells = [
        ("Loop age", loop_age, loop_unit, loop_level),
        ("Round trip", rtt, rtt_unit, Level::Neutral),
        ("Video", rate, rate_unit, Level::Neutral),
        ("Pictures", fps, "fps", Level::Neutral),
        ("Loss", units::percent(figures.loss), "%", loss_level),
        ("Size", size_words, "", Level::Neutral),
    ];
    for (index, (label, number, unit, level)) in cells.iter().take(rows * 2).enumerate() {
        let left = rect.left() + PAD + (index % 2) as f32 * (WIDTH - 2.0 * PAD) / 2.0;
        let middle = top + 10.0 + ROW / 2.0 + (index / 2) as f32 * ROW;
        let at = pos2(left, middle - 10.0);
        paint_text(ui, at, Align2::LEFT_CENTER, label, size::CAPTION, Weight::Regular, p.soft);
        let at = pos2(left, middle + 8.0);
        let ink = if number == units::DASH { p.faint } else { p.level(*level) };
        let end = paint_text(ui, at, Align2::LEFT_CENTER, number, size::LEAD, Weight::Bold, ink);
        let at = pos2(end.right() + 4.0, end.bottom() - 2.5);
        paint_text(ui, at, Align2::LEFT_BOTTOM, unit, size::CAPTION, Weight::Regular, p.soft);
    }
    let spoken: Vec<_> =
        cells.iter().map(|(label, number, unit, _)| format!("{label} {number} {unit}")).collect();
    let area = Rect::from_min_size(pos2(rect.left(), top), vec2(rect.width(), rows as f32 * ROW));
    describe(ui, area, "link", &spoken.join(", "));
}

fn stages(ui: &Ui, rect: Rect, stages: &Stages) {
    let p = Palette::of(ui);
    ui.painter().hline(rect.x_range(), rect.top(), (1.0, p.plate_line));
    let parts = [
        ("Capture", stages.capture),
        ("Encode", stages.encode),
        ("Network", stages.network),
        ("Decode", stages.decode),
        ("Present", stages.present),
    ];
    let tints = tints(&p);
    let total: f32 = parts.iter().filter_map(|(_, time)| *time).map(|time| time.as_secs_f32()).sum();
    let bar = Rect::from_min_size(pos2(rect.left(), rect.top() + 14.0), vec2(rect.width(), 8.0));
    ui.painter().rect_filled(bar, 4.0, p.line);
    let mut at = bar.left();
    for ((_, time), tint) in parts.iter().zip(tints) {
        let Some(time) = time else { continue };
        if total > 0.0 {
            let width = bar.width() * time.as_secs_f32() / total;
            let part = Rect::from_min_size(pos2(at, bar.top()), vec2((width - 1.5).max(0.5), bar.height()));
            ui.painter().rect_filled(part, 2.0, tint);
            at += width;
        }
    }
    let column = rect.width() / 3.0;
    for (index, ((name, time), tint)) in parts.iter().zip(tints).enumerate() {
        let left = rect.left() + (index % 3) as f32 * column;
        let middle = bar.bottom() + 20.0 + (index / 3) as f32 * 34.0;
        ui.painter().circle_filled(pos2(left + 3.0, middle - 7.0), 3.0, tint);
        let at = pos2(left + 11.0, middle - 7.0);
        paint_text(ui, at, Align2::LEFT_CENTER, name, size::CAPTION, Weight::Regular, p.soft);
        let at = pos2(left + 11.0, middle + 8.0);
        paint_text(ui, at, Align2::LEFT_CENTER, milliseconds(*time), size::BODY, Weight::Medium, p.text);
    }
    let spoken: Vec<_> = parts.iter().map(|(name, time)| format!("{name} {}", milliseconds(*time))).collect();
    describe(ui, rect, "stages", &spoken.join(", "));
}

fn milliseconds(time: Option<Duration>) -> String {
    match time {
        None => units::DASH.into(),
        Some(time) if time < Duration::from_millis(10) => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        Some(time) => format!("{} ms", time.as_millis()),
    }
}

/// Five steps of the accent, so that the bar stays calm and in order.
fn tints(p: &Palette) -> [Color32; 5] {
    [0.35, 0.55, 1.0, 0.75, 0.45].map(|share| p.accent.gamma_multiply(share))
}

/// Width of the plate.
const WIDTH: f32 = 240.0;
/// Height of a row of figures.
const ROW: f32 = 44.0;
/// Inner margin of the plate.
const PAD: f32 = 16.0;
