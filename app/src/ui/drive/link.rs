//! The plate that tells why the picture is what it is, with the figures behind it and the data used.

use std::sync::Arc;

use eframe::egui::{Align2, Galley, Rect, Ui, UiBuilder, pos2, vec2};
use farwheel_proto::control::link_report::{LinkReport, Route};

use super::{Cx, Room};
use crate::model::connect::Role;
use crate::model::link::{View, transport};
use crate::model::{Command, Level};
use crate::ui::theme::{self, CONTROL, Palette, STEP, Weight, size};
use crate::ui::units;
use crate::ui::widgets::{describe, level_icon, paint_icon, paint_text, plate, toggle_row};

/// Shows the plate at the upper right of `area`, as much of it as has room.
pub(crate) fn show(ui: &mut Ui, area: Rect, cx: &mut Cx<'_>, room: Room) {
    let Some(view) = cx.state.why.as_ref().filter(|_| room.wide && cx.model.settings.view.hud.why) else {
        return;
    };
    let p = Palette::of(ui);
    let font = theme::font(size::BODY, Weight::Medium);
    let words = ui.painter().layout(view.sentence.clone(), font, p.text, WIDTH - 2.0 * PAD - INDENT);
    let head = PAD + words.size().y + PAD - 4.0;
    let rows = rows(view);
    let drives = cx.state.role == Role::Driver;
    let switches = usize::from(drives) + usize::from(cx.state.has_sound);
    let switch = CONTROL * switches as f32;
    let font = theme::font(size::CAPTION, Weight::Regular);
    let lay = |line: &String| ui.painter().layout(line.clone(), font, p.soft, WIDTH - 2.0 * PAD);
    let control = cx.state.control.as_ref().filter(|_| drives).map(lay);
    let line = control.as_ref().map_or(0.0, |words| words.size().y + 8.0);
    let all = head + BAR + rows.len() as f32 * ROW + line + switch + PAD - 2.0;
    // The controls are 128 high and lie at the lower edge.
    let has_rows = all <= area.height() - 128.0 - STEP;
    let height = if has_rows { all } else { head };
    let rect = Rect::from_min_size(pos2(area.right() - WIDTH, area.top()), vec2(WIDTH, height));
    plate(ui, rect);
    sentence(ui, rect, view, words);
    if has_rows {
        let top = rect.top() + head;
        ui.painter().hline(rect.left() + PAD..=rect.right() - PAD, top, (1.0, p.plate_line));
        bar(ui, Rect::from_min_size(pos2(rect.left(), top), vec2(WIDTH, BAR)), &view.report);
        figures(ui, rect, top + BAR, &rows);
        if let (Some(words), Some(line)) = (control, &cx.state.control) {
            let at = pos2(rect.left() + PAD, top + BAR + ROW * rows.len() as f32 + 4.0);
            describe(ui, Rect::from_min_size(at, words.size()), "control", line);
            ui.painter().galley(at, words, p.soft);
        }
        let mut bottom = rect.bottom() - PAD / 2.0;
        let mut place = || {
            bottom -= CONTROL;
            Rect::from_min_size(pos2(rect.left() + PAD, bottom), vec2(WIDTH - 2.0 * PAD, CONTROL))
        };
        if drives {
            economy(ui, place(), cx);
        }
        if cx.state.has_sound {
            hear(ui, place(), cx);
        }
    }
}

fn sentence(ui: &Ui, rect: Rect, view: &View, words: Arc<Galley>) {
    let p = Palette::of(ui);
    let ink = if view.level == Level::Neutral { p.soft } else { p.level(view.level) };
    let at = pos2(rect.left() + PAD, rect.top() + PAD + 8.0);
    paint_icon(ui, at, Align2::LEFT_CENTER, level_icon(view.level), 18.0, ink);
    let area =
        Rect::from_min_size(rect.min, vec2(rect.width(), words.size().y + 2.0 * PAD - 4.0)).intersect(rect);
    ui.painter().galley(pos2(rect.left() + PAD + INDENT, rect.top() + PAD), words, p.text);
    describe(ui, area, "why", &view.sentence);
}

fn economy(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    let mut settings = cx.model.settings.clone();
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt("economy"));
    toggle_row(&mut child, "Economy mode (F6)", "", &mut settings.economy);
    if settings.economy != cx.model.settings.economy {
        cx.out.push(Command::ChangeSettings(Box::new(settings)));
    }
}

fn hear(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    let mut settings = cx.model.settings.clone();
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt("hear"));
    toggle_row(&mut child, "Hear the car (F8); hold T to talk", "", &mut settings.hear);
    if settings.hear != cx.model.settings.hear {
        cx.out.push(Command::ChangeSettings(Box::new(settings)));
    }
}

/// What is sent of what the link carries.
fn bar(ui: &Ui, rect: Rect, report: &LinkReport) {
    let p = Palette::of(ui);
    let (left, right) = (rect.left() + PAD, rect.right() - PAD);
    let middle = rect.top() + 20.0;
    paint_text(ui, pos2(left, middle), Align2::LEFT_CENTER, "In use", size::CAPTION, Weight::Regular, p.soft);
    let (used, of) = in_use(report);
    let at = pos2(right, middle);
    let end = paint_text(ui, at, Align2::RIGHT_CENTER, &of, size::CAPTION, Weight::Regular, p.soft);
    let at = pos2(end.left() - 4.0, middle);
    paint_text(ui, at, Align2::RIGHT_CENTER, &used, size::LEAD, Weight::Bold, p.text);
    let track = Rect::from_min_max(pos2(left, middle + 13.0), pos2(right, middle + 17.0));
    ui.painter().rect_filled(track, 2.0, p.line);
    let share = report.sent_kbps as f32 / report.capacity_kbps.max(1) as f32;
    let fill = Rect::from_min_size(track.min, vec2(track.width() * share.min(1.0), track.height()));
    ui.painter().rect_filled(fill, 2.0, p.accent);
    describe(ui, rect, "in use", &format!("In use {used} {of}"));
}

fn figures(ui: &Ui, rect: Rect, top: f32, rows: &[(&str, String, Level)]) {
    let p = Palette::of(ui);
    for (index, (label, value, level)) in rows.iter().enumerate() {
        let middle = top + ROW * (index as f32 + 0.5);
        let at = pos2(rect.left() + PAD, middle);
        paint_text(ui, at, Align2::LEFT_CENTER, label, size::CAPTION, Weight::Regular, p.soft);
        let at = pos2(rect.right() - PAD, middle);
        paint_text(ui, at, Align2::RIGHT_CENTER, value, size::BODY, Weight::Medium, p.level(*level));
    }
    let spoken: Vec<_> = rows.iter().map(|(label, value, _)| format!("{label} {value}")).collect();
    let size = vec2(rect.width(), ROW * rows.len() as f32);
    let area = Rect::from_min_size(pos2(rect.left(), top), size);
    describe(ui, area, "link report", &spoken.join(", "));
}

fn rows(view: &View) -> Vec<(&'static str, String, Level)> {
    let report = &view.report;
    let above = |value: u16, warning: u16, bad: u16| match value {
        value if value >= bad => Level::Bad,
        value if value >= warning => Level::Warning,
        _ => Level::Neutral,
    };
    let rung = report.rung;
    let picture = format!("{}×{} · {} fps", rung.width, rung.height, rung.fps);
    let path = match view.route {
        Route::Unknown => units::DASH.into(),
        Route::Direct => "direct".into(),
        relay @ (Route::RelayUdp | Route::RelayTcp | Route::RelayTls) => {
            format!("relay over {}", transport(relay))
        }
    };
    let loss = units::percent(Some(f32::from(report.loss_permille) / 1000.0));
    let hour = units::data(view.data.per_hour);
    vec![
        ("Queue", format!("{} ms", report.queue_ms), above(report.queue_ms, 60, 150)),
        ("Loss", format!("{loss} %"), above(report.loss_permille, 15, 80)),
        ("Picture", picture, Level::Neutral),
        ("Path", path, Level::Neutral),
        ("Data", format!("{} · {hour} per hour", units::data(view.data.bytes as f64)), Level::Neutral),
    ]
}

/// What is sent, and of how much, in one unit.
fn in_use(report: &LinkReport) -> (String, String) {
    let (sent, capacity) = (report.sent_kbps, report.capacity_kbps);
    if sent.max(capacity) < 1000 {
        (sent.to_string(), format!("of {capacity} kbit/s"))
    } else {
        let mbps = |kbps: u32| match kbps {
            0..9950 => format!("{:.1}", f64::from(kbps) / 1e3),
            9950.. => format!("{:.0}", f64::from(kbps) / 1e3),
        };
        (mbps(sent), format!("of {} Mbit/s", mbps(capacity)))
    }
}

/// Width of the plate.
const WIDTH: f32 = 240.0;
/// Inner margin of the plate.
const PAD: f32 = 16.0;
/// From the icon's left edge to the sentence's.
const INDENT: f32 = 28.0;
/// Height of the part with the bar.
const BAR: f32 = 44.0;
/// Height of a row of figures.
const ROW: f32 = 22.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rates_stand_in_one_unit() {
        for (sent_kbps, capacity_kbps, want) in [
            (530, 640, ("530", "of 640 kbit/s")),
            (999, 1000, ("1.0", "of 1.0 Mbit/s")),
            (1200, 900, ("1.2", "of 0.9 Mbit/s")),
            (1945, 293_144, ("1.9", "of 293 Mbit/s")),
            (0, 0, ("0", "of 0 kbit/s")),
        ] {
            let (used, of) = in_use(&LinkReport { sent_kbps, capacity_kbps, ..LinkReport::default() });
            assert_eq!((used.as_str(), of.as_str()), want);
        }
    }
}
