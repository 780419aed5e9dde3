//! Lap times and a small map of the track, at the lower left.

use eframe::egui::{Align2, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::{Cx, Room};
use crate::model::drive::{Laps, Pose};
use crate::ui::theme::{Palette, STEP, Weight, size};
use crate::ui::units;
use crate::ui::widgets::{describe, paint_icon, paint_text, plate};

/// Shows what of it is known, wanted and has room.
pub(crate) fn show(ui: &mut Ui, inner: Rect, cx: &Cx<'_>, room: Room) {
    if !room.wide {
        return;
    }
    let hud = cx.model.settings.view.hud;
    let mut left = inner.left();
    if let Some(pose) = cx.state.pose.as_ref().filter(|_| hud.map && room.tall) {
        let rect = Rect::from_min_size(pos2(left, inner.bottom() - 128.0), vec2(128.0, 128.0));
        track(ui, rect, pose);
        left = rect.right() + STEP;
    }
    if let Some(times) = cx.state.laps.as_ref().filter(|_| hud.laps) {
        let space = inner.center().x - 190.0 - STEP - left;
        if space >= LAPS {
            laps(ui, Rect::from_min_size(pos2(left, inner.bottom() - 128.0), vec2(LAPS, 128.0)), times);
        }
    }
}

fn laps(ui: &Ui, rect: Rect, times: &Laps) {
    let p = Palette::of(ui);
    plate(ui, rect);
    let left = rect.left() + 16.0;
    paint_icon(ui, pos2(left, rect.top() + 22.0), Align2::LEFT_CENTER, Icon::Timer, 14.0, p.soft);
    let words = format!("Lap {}", times.number.max(1));
    let at = pos2(left + 20.0, rect.top() + 22.0);
    paint_text(ui, at, Align2::LEFT_CENTER, &words, size::CAPTION, Weight::Medium, p.soft);
    let at = pos2(left, rect.top() + 48.0);
    paint_text(ui, at, Align2::LEFT_CENTER, units::lap(times.current), 22.0, Weight::Bold, p.text);
    for (index, (name, time)) in [("Last", times.last), ("Best", times.best)].into_iter().enumerate() {
        let middle = rect.top() + 80.0 + 22.0 * index as f32;
        let at = pos2(left, middle);
        paint_text(ui, at, Align2::LEFT_CENTER, name, size::CAPTION, Weight::Regular, p.soft);
        let words = time.map_or(units::DASH.to_owned(), units::lap);
        let at = pos2(rect.right() - 16.0, middle);
        let ink = if name == "Best" && time.is_some() { p.accent } else { p.text };
        paint_text(ui, at, Align2::RIGHT_CENTER, words, size::BODY, Weight::Medium, ink);
    }
    let spoken = format!("{words}: {}", units::lap(times.current));
    describe(ui, rect, "laps", &spoken);
}

fn track(ui: &Ui, rect: Rect, pose: &Pose) {
    let p = Palette::of(ui);
    plate(ui, rect);
    let area = rect.shrink(18.0);
    let mut bounds = Rect::NOTHING;
    for (x, y) in pose.track.iter().chain([&(pose.x, pose.y)]) {
        bounds.extend_with(pos2(*x, -*y));
    }
    let scale = (area.size() / bounds.size().max(vec2(1.0, 1.0))).min_elem();
    let place = |x: f32, y: f32| -> Pos2 { area.center() + (pos2(x, -y) - bounds.center()) * scale };
    let points: Vec<Pos2> = pose.track.iter().map(|(x, y)| place(*x, *y)).collect();
    if points.len() > 2 {
        ui.painter().add(Shape::closed_line(points.clone(), Stroke::new(5.0, p.line)));
        ui.painter().add(Shape::closed_line(points, Stroke::new(1.5, p.faint)));
    }
    let at = place(pose.x, pose.y);
    let (sin, cos) = (-pose.heading).sin_cos();
    let forward = vec2(cos, sin);
    let side = vec2(-sin, cos);
    let car = vec![at + forward * 8.0, at - forward * 5.0 + side * 5.0, at - forward * 5.0 - side * 5.0];
    ui.painter().add(Shape::convex_polygon(car, p.accent, Stroke::new(1.5, p.plate)));
    describe(ui, rect, "map", "Map of the track");
}

/// Width of the plate with lap times.
const LAPS: f32 = 148.0;
