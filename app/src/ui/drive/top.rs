//! The plates along the upper edge: who and where, the state, the tools; and what the robot says about itself.

use eframe::egui::{self, Align, Align2, Layout, Rect, Ui, UiBuilder, pos2, vec2};
use lucide_icons::Icon;

use super::Cx;
use crate::model::drive::{Arm, Lease, Link, Signaling, Throttled};
use crate::model::{Command, Level};
use crate::ui::theme::{CONTROL, Palette, STEP, Weight, size};
use crate::ui::units;
use crate::ui::widgets::{Tone, describe, icon_button, paint_icon, paint_text, plate};
use crate::ui::window::{Page, Shown, toggle_fullscreen};

/// Shows the three plates; returns where the lowest ends.
pub(crate) fn show(ui: &mut Ui, inner: Rect, cx: &mut Cx<'_>) -> f32 {
    let left = robot(ui, inner, cx);
    let right = tools(ui, inner, cx);
    let between = Rect::from_min_max(pos2(left.right(), inner.top()), pos2(right.left(), inner.bottom()));
    state(ui, between, inner.right(), cx);
    left.bottom()
}

fn robot(ui: &mut Ui, inner: Rect, cx: &mut Cx<'_>) -> Rect {
    let p = Palette::of(ui);
    let state = cx.state;
    let rect = Rect::from_min_size(inner.min, vec2(240.0, HEIGHT));
    plate(ui, rect);
    let mut back = child(ui, Rect::from_min_size(rect.min + vec2(8.0, 8.0), vec2(CONTROL, CONTROL)), "leave");
    if icon_button(&mut back, Icon::ChevronLeft, "Leave the robot", Tone::Quiet).clicked() {
        cx.out.push(Command::Disconnect);
    }
    let text_left = rect.left() + 54.0;
    let clip = Rect::from_min_max(rect.min, rect.max - vec2(32.0, 0.0));
    let painter = ui.painter().with_clip_rect(clip);
    let font = crate::ui::theme::font;
    let at = pos2(text_left, rect.center().y - 9.0);
    painter.text(at, Align2::LEFT_CENTER, &state.robot, font(size::LEAD, Weight::Bold), p.text);
    let watching = match state.viewers {
        0 => String::new(),
        n => format!(" · {n} watching"),
    };
    let line = format!("{}{watching}", state.room);
    let at = pos2(text_left, rect.center().y + 10.0);
    painter.text(at, Align2::LEFT_CENTER, &line, font(size::CAPTION, Weight::Regular), p.soft);
    let (icon, level, words) = match state.link {
        Link::Opening(_) => (Icon::Wifi, Level::Warning, "connecting"),
        Link::Connected { signaling: Signaling::Online } => (Icon::Wifi, Level::Good, "connected"),
        Link::Connected { signaling: Signaling::Offline } => {
            (Icon::Wifi, Level::Warning, "connected, signalling server unreachable")
        }
        Link::Lost { .. } => (Icon::WifiOff, Level::Bad, "link lost"),
    };
    let at = pos2(rect.right() - 22.0, rect.center().y);
    paint_icon(ui, at, Align2::CENTER_CENTER, icon, 18.0, p.level(level));
    describe(ui, rect, "robot", &format!("{}, room {line}: {words}", state.robot));
    rect
}

fn tools(ui: &mut Ui, inner: Rect, cx: &mut Cx<'_>) -> Rect {
    let has_cameras = cx.state.cameras.len() > 1;
    let count = if has_cameras { 8.0 } else { 7.0 };
    let width = count * CONTROL + (count - 1.0) * 2.0 + 16.0;
    let rect = Rect::from_min_size(pos2(inner.right() - width, inner.top()), vec2(width, HEIGHT));
    plate(ui, rect);
    let mut row = child(ui, rect.shrink(8.0), "tools");
    row.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if has_cameras {
            let next = (cx.state.camera + 1) % cx.state.cameras.len();
            let name = format!("Next camera: {}", cx.state.cameras[next]);
            if icon_button(ui, Icon::SwitchCamera, &name, Tone::Quiet).clicked() {
                cx.out.push(Command::SelectCamera(next));
            }
        }
        if icon_button(ui, Icon::Camera, "Snapshot (F12)", Tone::Quiet).clicked() {
            cx.out.push(Command::Snapshot);
        }
        for (icon, name, page) in [
            (Icon::Gamepad2, "Controller (F3)", Page::Gamepad),
            (Icon::ChartSpline, "Stats (F4)", Page::Stats),
            (Icon::Settings, "Settings (F5)", Page::Settings),
        ] {
            if icon_button(ui, icon, name, Tone::Quiet).clicked() {
                *cx.page = page;
            }
        }
        if icon_button(ui, Icon::EyeOff, "Hide the figures (F10)", Tone::Quiet).clicked() {
            *cx.bare = Shown::Yes;
        }
        if icon_button(ui, Icon::Maximize, "Full screen (F11)", Tone::Quiet).clicked() {
            toggle_fullscreen(ui.ctx());
        }
        if icon_button(ui, Icon::Keyboard, "Shortcuts (F1)", Tone::Quiet).clicked() {
            *cx.shortcuts = Shown::Yes;
        }
    });
    rect
}

fn state(ui: &mut Ui, between: Rect, edge: f32, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let (icon, level, words) = arm_words(&cx.state.arm);
    let colour = if level == Level::Neutral { p.soft } else { p.level(level) };
    let lease = lease_words(&cx.state.lease);
    let painter = ui.painter();
    let big = painter.layout_no_wrap(words.clone(), crate::ui::theme::font(size::LEAD, Weight::Bold), colour);
    let small =
        painter.layout_no_wrap(lease.clone(), crate::ui::theme::font(size::CAPTION, Weight::Regular), p.soft);
    let width = big.size().x.max(small.size().x) + 68.0;
    let has_room = width <= between.width() - 2.0 * STEP;
    let at = if has_room {
        pos2(between.center().x, between.top() + HEIGHT / 2.0)
    } else {
        // Below the tools: a narrow window has nothing else there.
        pos2(edge - width / 2.0, between.top() + HEIGHT * 1.5 + STEP)
    };
    let rect = Rect::from_center_size(at, vec2(width, HEIGHT));
    plate(ui, rect);
    paint_icon(ui, pos2(rect.left() + 28.0, at.y), Align2::CENTER_CENTER, icon, 20.0, colour);
    let left = rect.left() + 50.0;
    ui.painter().galley(pos2(left, at.y - 9.0 - big.size().y / 2.0), big, colour);
    ui.painter().galley(pos2(left, at.y + 10.0 - small.size().y / 2.0), small, p.soft);
    describe(ui, rect, "state", &format!("{words}. {lease}"));
}

fn arm_words(arm: &Arm) -> (Icon, Level, String) {
    match arm {
        Arm::Unknown => (Icon::CircleDot, Level::Neutral, "Waiting for the robot".into()),
        Arm::Disarmed => (Icon::Lock, Level::Neutral, "Disarmed".into()),
        Arm::Arming { .. } => (Icon::Lock, Level::Warning, "Keep holding to arm".into()),
        Arm::Armed => (Icon::LockOpen, Level::Good, "Armed".into()),
        Arm::LinkLoss => (Icon::WifiOff, Level::Bad, "Commands do not arrive".into()),
        Arm::Stopped { reason } => (Icon::OctagonX, Level::Bad, format!("Emergency stop: {reason}")),
        Arm::Fault { reason } => (Icon::TriangleAlert, Level::Bad, format!("Fault: {reason}")),
    }
}

fn lease_words(lease: &Lease) -> String {
    match lease {
        Lease::Unknown => "Driver not known yet".into(),
        Lease::Free => "Nobody drives".into(),
        Lease::Asking => "Asking for the wheel".into(),
        Lease::Mine => "You drive".into(),
        Lease::Other { name } => format!("{name} drives"),
    }
}

/// Battery and temperature, below the tools; returns where the next plate may begin.
pub(crate) fn vehicle(ui: &mut Ui, area: Rect, cx: &Cx<'_>) -> f32 {
    let p = Palette::of(ui);
    let vehicle = &cx.state.vehicle;
    let mut rows: Vec<(Icon, Level, String, String)> = Vec::new();
    if let Some(volts) = vehicle.battery_v {
        // Per cell: warn at 3.5 V, throttle limited at 3.4 V (docs/SAFETY.md).
        let level = match vehicle.cell_v {
            Some(cell) if cell < 3.4 => Level::Bad,
            Some(cell) if cell < 3.5 => Level::Warning,
            Some(_) | None => Level::Neutral,
        };
        let icon = match vehicle.charge {
            Some(charge) if charge < 0.2 => Icon::BatteryLow,
            Some(charge) if charge < 0.7 => Icon::BatteryMedium,
            Some(_) => Icon::BatteryFull,
            None => Icon::BatteryMedium,
        };
        let big = vehicle.charge.map_or(format!("{volts:.1} V"), |charge| format!("{:.0} %", charge * 100.0));
        let cell = vehicle.cell_v.map_or(String::new(), |cell| format!("{cell:.2} V per cell"));
        rows.push((icon, level, big, cell));
    }
    if let Some(celsius) = vehicle.temperature_c {
        let level = match (vehicle.throttled, celsius) {
            (Throttled::Yes, _) => Level::Bad,
            (Throttled::No, 75.0..) => Level::Warning,
            (Throttled::No, _) => Level::Neutral,
        };
        let words = match vehicle.throttled {
            Throttled::Yes => "slowed down",
            Throttled::No => "processor",
        };
        let units = cx.model.settings.view.units;
        rows.push((Icon::Thermometer, level, units::temperature(celsius, units), words.into()));
    }
    if rows.is_empty() {
        return area.top();
    }
    let size_all = vec2(148.0, 44.0 * rows.len() as f32 + 12.0);
    let rect = Rect::from_min_size(pos2(area.right() - size_all.x, area.top()), size_all);
    plate(ui, rect);
    let mut spoken = Vec::new();
    for (index, (icon, level, big, small)) in rows.into_iter().enumerate() {
        let middle = rect.top() + 28.0 + 44.0 * index as f32;
        let ink = p.level(level);
        let soft = if level == Level::Neutral { p.soft } else { ink };
        paint_icon(ui, pos2(rect.left() + 26.0, middle), Align2::CENTER_CENTER, icon, 20.0, soft);
        let left = rect.left() + 48.0;
        paint_text(ui, pos2(left, middle - 8.0), Align2::LEFT_CENTER, &big, size::LEAD, Weight::Bold, ink);
        let at = pos2(left, middle + 10.0);
        paint_text(ui, at, Align2::LEFT_CENTER, &small, size::CAPTION, Weight::Regular, p.soft);
        spoken.push(format!("{big} {small}"));
    }
    describe(ui, rect, "vehicle", &spoken.join(", "));
    rect.bottom() + STEP
}

fn child(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    ui.new_child(
        UiBuilder::new().max_rect(rect).id_salt(salt).layout(egui::Layout::left_to_right(Align::Center)),
    )
}

/// Height of the plates along the upper edge.
const HEIGHT: f32 = 52.0;
