//! STOP and the arm control, at the lower right; STOP is there in every state.

use eframe::egui::{
    Align2, Color32, CursorIcon, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use super::{Cx, Hold, Room};
use crate::model::Command;
use crate::model::connect;
use crate::model::drive::{Arm, Lease};
use crate::ui::logo::arc;
use crate::ui::theme::{Palette, STEP, Weight, faded, size};
use crate::ui::widgets::{Tone, button_sized, focus_ring, icon_button, paint_icon, paint_text, plate};
use crate::ui::window::Shown;

/// How large STOP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopLook {
    /// On the drive screen.
    Large,
    /// In the side bar.
    Small,
}

/// Shows the controls.
pub(crate) fn show(ui: &mut Ui, inner: Rect, cx: &mut Cx<'_>, room: Room) {
    let size_stop = if room.wide { vec2(136.0, 128.0) } else { vec2(112.0, 104.0) };
    let stop = Rect::from_min_max(inner.max - size_stop, inner.max);
    let arm = Rect::from_min_max(
        pos2(stop.left() - STEP - size_stop.y, stop.top()),
        pos2(stop.left() - STEP, stop.bottom()),
    );
    match (&cx.state.arm, &cx.state.lease, cx.state.role) {
        (Arm::Stopped { .. }, Lease::Mine, _) => reset(ui, arm, cx),
        (_, Lease::Mine, _) => arm_control(ui, arm, cx),
        (_, Lease::Free, _) | (_, Lease::Other { .. }, connect::Role::Driver) => take_wheel(ui, arm, cx),
        (_, Lease::Unknown | Lease::Asking | Lease::Other { .. }, _) => {}
    }
    if stop_button(ui, stop, StopLook::Large) {
        cx.out.push(Command::EmergencyStop);
    }
    if *cx.bare == Shown::Yes {
        let eye = Rect::from_min_size(pos2(inner.right() - 52.0, inner.top()), vec2(52.0, 52.0));
        plate(ui, eye);
        let mut child =
            ui.new_child(eframe::egui::UiBuilder::new().max_rect(eye.shrink(8.0)).id_salt("unhide"));
        if icon_button(&mut child, Icon::Eye, "Show the figures (F10)", Tone::Quiet).clicked() {
            *cx.bare = Shown::No;
        }
    }
}

/// The STOP button; true when it was pushed. It acts on the press, not on the release.
pub(crate) fn stop_button(ui: &mut Ui, rect: Rect, look: StopLook) -> bool {
    let p = Palette::of(ui);
    let response = ui.interact(rect, ui.scope_id().with("stop"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Emergency stop (Esc)"));
    let is_down = response.is_pointer_button_down_on();
    let fill = if is_down {
        faded(p.alarm, 0.7)
    } else if response.hovered() {
        Color32::from_rgb(240, 66, 60)
    } else {
        p.alarm
    };
    let radius = if look == StopLook::Large { 16.0 } else { 10.0 };
    ui.painter().rect_filled(rect, radius, fill);
    ui.painter().rect_stroke(
        rect,
        radius,
        Stroke::new(1.0, Color32::from_white_alpha(50)),
        StrokeKind::Inside,
    );
    let (icon, words, middle) = match look {
        StopLook::Large => (34.0, 22.0, rect.center() + vec2(0.0, 10.0)),
        StopLook::Small => (22.0, size::BODY, rect.center() + vec2(0.0, 14.0)),
    };
    let above = if look == StopLook::Large { 38.0 } else { 24.0 };
    let at = middle - vec2(0.0, above);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::OctagonX, icon, Color32::WHITE);
    paint_text(ui, middle, Align2::CENTER_CENTER, "STOP", words, Weight::Bold, Color32::WHITE);
    if look == StopLook::Large {
        let at = middle + vec2(0.0, 26.0);
        let ink = Color32::from_white_alpha(220);
        paint_text(ui, at, Align2::CENTER_CENTER, "Esc", size::BODY, Weight::Medium, ink);
    }
    focus_ring(ui, &response, rect, radius);
    let began = is_down && ui.input(|input| input.pointer.any_pressed());
    // A click without a press before comes from the keyboard or from a screen reader.
    let spoken = response.clicked() && !ui.input(|input| input.pointer.any_released());
    response.on_hover_cursor(CursorIcon::PointingHand);
    began || spoken
}

fn arm_control(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    plate(ui, rect);
    let response = ui.interact(rect, ui.scope_id().with("arm"), Sense::click_and_drag());
    let (icon, ink, words, hint, progress) = match &cx.state.arm {
        Arm::Unknown => (Icon::Lock, p.faint, "Arm", "waiting", 0.0),
        Arm::Disarmed => (Icon::Power, p.text, "Arm", "hold 1 s · Enter", 0.0),
        Arm::Arming { progress } => (Icon::Power, p.accent, "Arm", "keep holding", *progress),
        Arm::Armed => (Icon::LockOpen, p.good, "Disarm", "click", 1.0),
        Arm::LinkLoss => (Icon::LockOpen, p.warning, "Disarm", "click", 1.0),
        Arm::Stopped { .. } => (Icon::Lock, p.faint, "Stopped", "", 0.0),
        Arm::Fault { .. } => (Icon::TriangleAlert, p.bad, "Fault", "cannot arm", 0.0),
    };
    let name = match cx.state.arm {
        Arm::Armed | Arm::LinkLoss => "Disarm",
        _ => "Hold to arm (Enter)",
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    let ring = pos2(rect.center().x, rect.top() + rect.height() * 0.37);
    let radius = rect.height() * 0.22;
    ui.painter().circle_stroke(ring, radius, Stroke::new(4.0, p.line));
    if progress > 0.0 {
        let line = arc(ring, radius, -90.0, -90.0 + 360.0 * progress.min(1.0));
        ui.painter().add(Shape::line(line, Stroke::new(4.0, ink)));
    }
    let is_over = response.hovered() || response.is_pointer_button_down_on();
    if is_over {
        ui.painter().circle_filled(ring, radius - 4.0, faded(p.accent, 0.12));
    }
    paint_icon(ui, ring, Align2::CENTER_CENTER, icon, radius * 0.9, ink);
    let at = pos2(rect.center().x, rect.bottom() - 30.0);
    paint_text(ui, at, Align2::CENTER_CENTER, words, size::LEAD, Weight::Bold, ink);
    let at = pos2(rect.center().x, rect.bottom() - 13.0);
    paint_text(ui, at, Align2::CENTER_CENTER, hint, size::CAPTION, Weight::Regular, p.soft);
    focus_ring(ui, &response, rect, 12.0);
    let is_held = response.is_pointer_button_down_on()
        || (response.has_focus() && ui.input(|i| i.key_down(eframe::egui::Key::Enter)));
    let is_live = cx.state.arm.is_live();
    match (*cx.hold, is_held) {
        (Hold::Up, true) if !is_live => {
            *cx.hold = Hold::Down;
            cx.out.push(Command::ArmHold);
        }
        (Hold::Down, false) => {
            *cx.hold = Hold::Up;
            cx.out.push(Command::ArmRelease);
        }
        (Hold::Up, false) if is_live && response.clicked() => cx.out.push(Command::Disarm),
        (Hold::Up | Hold::Down, _) => {}
    }
    response.on_hover_cursor(CursorIcon::PointingHand);
}

fn reset(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    plate(ui, rect);
    let p = Palette::of(ui);
    let at = pos2(rect.center().x, rect.top() + rect.height() * 0.26);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::RotateCcw, 24.0, p.text);
    let at = pos2(rect.center().x, rect.top() + rect.height() * 0.48);
    paint_text(ui, at, Align2::CENTER_CENTER, "sticks at neutral", size::CAPTION, Weight::Regular, p.soft);
    let area =
        Rect::from_min_max(pos2(rect.left() + 10.0, rect.bottom() - 48.0), rect.max - vec2(10.0, 10.0));
    let mut child = ui.new_child(eframe::egui::UiBuilder::new().max_rect(area).id_salt("reset"));
    if button_sized(&mut child, None, "Reset stop", Tone::Primary, area.size()).clicked() {
        cx.out.push(Command::ResetStop);
    }
}

fn take_wheel(ui: &mut Ui, rect: Rect, cx: &mut Cx<'_>) {
    plate(ui, rect);
    let p = Palette::of(ui);
    let at = pos2(rect.center().x, rect.top() + rect.height() * 0.26);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::LifeBuoy, 24.0, p.text);
    let words = match &cx.state.lease {
        Lease::Other { .. } => "another drives",
        Lease::Free | Lease::Mine | Lease::Unknown | Lease::Asking => "nobody drives",
    };
    let at = pos2(rect.center().x, rect.top() + rect.height() * 0.48);
    paint_text(ui, at, Align2::CENTER_CENTER, words, size::CAPTION, Weight::Regular, p.soft);
    let area =
        Rect::from_min_max(pos2(rect.left() + 10.0, rect.bottom() - 48.0), rect.max - vec2(10.0, 10.0));
    let mut child = ui.new_child(eframe::egui::UiBuilder::new().max_rect(area).id_salt("take"));
    if button_sized(&mut child, None, "Take wheel", Tone::Primary, area.size()).clicked() {
        cx.out.push(Command::TakeLease);
    }
}
