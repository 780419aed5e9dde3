//! The cluster at the lower edge: speed, throttle and steering as asked for and as applied, and what holds the car.

use eframe::egui::{Align2, Rect, Shape, Stroke, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::{Cx, Room};
use crate::model::Level;
use crate::model::drive::{Arm, Deadman, Drive, Input, Lease};
use crate::ui::logo::arc;
use crate::ui::theme::{Palette, Weight, faded, size};
use crate::ui::units;
use crate::ui::widgets::{describe, paint_icon, paint_text, plate};

/// Shows the cluster.
pub(crate) fn show(ui: &mut Ui, inner: Rect, cx: &Cx<'_>, room: Room) {
    let p = Palette::of(ui);
    let state = cx.state;
    let wanted = vec2(if room.wide { 380.0 } else { 280.0 }, 128.0);
    let centre = if room.wide { inner.center().x } else { inner.left() + wanted.x / 2.0 };
    let rect = Rect::from_min_size(pos2(centre - wanted.x / 2.0, inner.bottom() - wanted.y), wanted);
    plate(ui, rect);
    let (number, unit) = match state.vehicle.speed {
        Some(speed) => units::speed(speed, cx.model.settings.view.units),
        None => (units::DASH.into(), units::speed(0.0, cx.model.settings.view.units).1),
    };
    throttle(ui, Rect::from_min_size(rect.min + vec2(16.0, 16.0), vec2(40.0, 96.0)), state);
    let column = Rect::from_min_max(rect.min + vec2(72.0, 12.0), rect.max - vec2(16.0, 12.0));
    let base = column.top() + 52.0;
    let ink = if state.vehicle.speed.is_some() { p.text } else { p.faint };
    let at = pos2(column.left(), base);
    let end = paint_text(ui, at, Align2::LEFT_BOTTOM, &number, size::DISPLAY, Weight::Bold, ink);
    let at = pos2(end.right() + 8.0, base - 10.0);
    paint_text(ui, at, Align2::LEFT_BOTTOM, unit, size::LEAD, Weight::Medium, p.soft);
    if state.vehicle.speed.is_some_and(|speed| speed < -0.05) {
        let at = pos2(end.right() + 8.0, base - 34.0);
        paint_text(ui, at, Align2::LEFT_BOTTOM, "R", size::LEAD, Weight::Bold, p.warning);
    }
    if room.wide {
        holding(ui, pos2(column.right(), column.top() + 6.0), state);
    }
    steering(ui, Rect::from_min_max(pos2(column.left(), column.bottom() - 42.0), column.max), state);
    let spoken = format!(
        "Speed {number} {unit}, throttle {:.0} percent of {:.0} asked, steering {:.0} percent of {:.0} asked",
        state.applied.throttle * 100.0,
        state.commanded.throttle * 100.0,
        state.applied.steer * 100.0,
        state.commanded.steer * 100.0,
    );
    describe(ui, rect, "speed", &spoken);
}

/// Right-aligned at `corner`: the source of the commands and whether it holds the deadman.
fn holding(ui: &Ui, corner: eframe::egui::Pos2, state: &Drive) {
    let p = Palette::of(ui);
    let (icon, source) = match &state.input {
        Input::None => (Icon::Unplug, "No controller"),
        Input::Keyboard => (Icon::Keyboard, "Keyboard"),
        Input::Gamepad(name) => (Icon::Gamepad2, name.as_str()),
        Input::Script(name) => (Icon::Play, name.as_str()),
    };
    let mut short: String = source.chars().take(22).collect();
    if short.len() < source.len() {
        short.push('…');
    }
    let at = pos2(corner.x, corner.y + 6.0);
    let end = paint_text(ui, at, Align2::RIGHT_CENTER, short, size::CAPTION, Weight::Medium, p.soft);
    paint_icon(ui, pos2(end.left() - 6.0, at.y), Align2::RIGHT_CENTER, icon, 14.0, p.soft);
    let is_ours = state.lease == Lease::Mine;
    let (words, level) = match (&state.arm, state.deadman) {
        (_, _) if !is_ours => ("", Level::Neutral),
        (Arm::Armed | Arm::LinkLoss, Deadman::Held) => ("Deadman held", Level::Good),
        (Arm::Armed | Arm::LinkLoss, Deadman::Released) => ("Hold to move", Level::Warning),
        (_, _) => ("", Level::Neutral),
    };
    if !words.is_empty() {
        let at = pos2(corner.x, corner.y + 28.0);
        let end = paint_text(ui, at, Align2::RIGHT_CENTER, words, size::BODY, Weight::Medium, p.level(level));
        let icon = if level == Level::Good { Icon::CircleCheck } else { Icon::Hand };
        paint_icon(ui, pos2(end.left() - 6.0, at.y), Align2::RIGHT_CENTER, icon, 15.0, p.level(level));
    }
    if state.governor < 0.995 {
        let words = format!("Limited to {:.0} %", state.governor * 100.0);
        let at = pos2(corner.x, corner.y + 48.0);
        paint_text(ui, at, Align2::RIGHT_CENTER, words, size::CAPTION, Weight::Medium, p.warning);
    }
}

/// Upright: applied as fill from the middle, asked for as a line.
fn throttle(ui: &Ui, rect: Rect, state: &Drive) {
    let p = Palette::of(ui);
    let track = Rect::from_min_size(pos2(rect.left(), rect.top()), vec2(12.0, rect.height()));
    ui.painter().rect_filled(track, 6.0, p.line);
    let y = |value: f32| track.center().y - value.clamp(-1.0, 1.0) * track.height() / 2.0;
    let applied = state.applied.throttle;
    let ink = if applied < 0.0 { p.warning } else { p.accent };
    if applied.abs() > 0.005 {
        let fill = Rect::from_two_pos(pos2(track.left(), y(0.0)), pos2(track.right(), y(applied)));
        ui.painter().rect_filled(fill, 3.0, ink);
    }
    // What the governor takes away is hatched off, so that the driver sees why the car holds back.
    if state.governor < 0.995 {
        let off = Rect::from_min_max(track.min, pos2(track.right(), y(state.governor)));
        ui.painter().rect_filled(off, 3.0, faded(p.warning, 0.35));
    }
    ui.painter().hline(track.x_range(), track.center().y, (1.0, p.faint));
    let asked = y(state.commanded.throttle);
    ui.painter().hline(track.left() - 4.0..=track.right() + 4.0, asked, Stroke::new(2.0, p.text));
    let at = pos2(track.right() + 8.0, track.top() + 5.0);
    let share = format!("{:.0}", (applied * 100.0).abs().max(0.0));
    paint_text(ui, at, Align2::LEFT_CENTER, share, size::BODY, Weight::Bold, p.text);
    paint_text(ui, at + vec2(0.0, 14.0), Align2::LEFT_CENTER, "%", size::CAPTION, Weight::Regular, p.soft);
}

/// Lying: applied as fill from the middle, asked for as a line, with a small wheel that turns.
fn steering(ui: &Ui, rect: Rect, state: &Drive) {
    let p = Palette::of(ui);
    let wheel = pos2(rect.left() + 16.0, rect.bottom() - 16.0);
    let turn = state.commanded.steer * 110.0;
    ui.painter().circle_stroke(wheel, 13.0, Stroke::new(2.5, p.soft));
    for spoke in [180.0, 0.0, 90.0] {
        let angle = (spoke + turn).to_radians();
        let tip = wheel + vec2(angle.cos(), angle.sin()) * 12.0;
        ui.painter().line_segment([wheel, tip], Stroke::new(2.5, p.soft));
    }
    let top = arc(wheel, 13.0, -100.0 + turn, -80.0 + turn);
    ui.painter().add(Shape::line(top, Stroke::new(3.0, p.accent)));
    let track =
        Rect::from_min_max(pos2(rect.left() + 46.0, wheel.y - 6.0), pos2(rect.right(), wheel.y + 6.0));
    ui.painter().rect_filled(track, 6.0, p.line);
    let x = |value: f32| track.center().x + value.clamp(-1.0, 1.0) * track.width() / 2.0;
    let applied = state.applied.steer;
    if applied.abs() > 0.005 {
        let fill = Rect::from_two_pos(pos2(x(0.0), track.top()), pos2(x(applied), track.bottom()));
        ui.painter().rect_filled(fill, 3.0, p.accent);
    }
    ui.painter().vline(track.center().x, track.y_range(), (1.0, p.faint));
    let asked = x(state.commanded.steer);
    ui.painter().vline(asked, track.top() - 4.0..=track.bottom() + 4.0, Stroke::new(2.0, p.text));
}
