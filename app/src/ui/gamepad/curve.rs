//! The response curve: stick to the right, what is sent upward. Dragging up or down changes the softness, dragging the
//! handle on the axis changes the dead zone.

use eframe::egui::{
    CursorIcon, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use farwheel_proto::control::Axis;
use farwheel_proto::control::stick::{Curve, Direction};

use super::Tab;
use crate::input::profile::Feel;
use crate::ui::theme::{Palette, Weight, faded, size};
use crate::ui::widgets::paint_text;

/// Shows the curve and lets it be dragged; `raw` is where the stick is.
pub(crate) fn show(ui: &mut Ui, tab: Tab, feel: &mut Feel, raw: f32) {
    let side = ui.available_width().min(440.0);
    let (rect, response) = ui.allocate_exact_size(vec2(side, 184.0), Sense::drag());
    let rect = rect.shrink2(vec2(0.0, 4.0));
    let expo = match tab {
        Tab::Steering => feel.steer_expo,
        Tab::Throttle => feel.throttle_expo,
    };
    response.widget_info(|| {
        WidgetInfo::labeled(
            Role::Slider,
            true,
            format!("Response curve, softness {:.0} percent, drag to change", expo * 100.0),
        )
    });
    if response.dragged() {
        let delta = response.drag_delta();
        let from = response.interact_pointer_pos().unwrap_or(rect.center()) - delta;
        // Near the axis it is the dead zone's handle that is dragged.
        if from.y > rect.bottom() - 28.0 {
            feel.dead_zone = (feel.dead_zone + delta.x / (rect.width() / 2.0)).clamp(0.0, 0.5);
        } else {
            let expo = (expo + delta.y / rect.height() * 1.4).clamp(0.0, 1.0);
            match tab {
                Tab::Steering => feel.steer_expo = expo,
                Tab::Throttle => feel.throttle_expo = expo,
            }
        }
    }
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 8.0, p.back);
    ui.painter().rect_stroke(rect, 8.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let plot = Plot { rect: rect.shrink(1.0), tab, feel };
    let painter = ui.painter().with_clip_rect(rect);
    let dead = plot.x(feel.dead_zone) - plot.x(0.0);
    let zone = Rect::from_center_size(rect.center(), vec2(2.0 * dead, rect.height()));
    painter.rect_filled(zone, 0.0, faded(p.warning, 0.10));
    painter.hline(rect.x_range(), rect.center().y, (1.0, p.line));
    painter.vline(rect.center().x, rect.y_range(), (1.0, p.line));
    painter.line_segment([plot.point(-1.0, -1.0), plot.point(1.0, 1.0)], (1.0, p.line));
    let line: Vec<Pos2> = (-60..=60)
        .map(|step| {
            let x = step as f32 / 60.0;
            plot.point(x, plot.shaped(x))
        })
        .collect();
    painter.add(Shape::line(line, Stroke::new(2.5, p.accent)));
    let raw = raw.clamp(-1.0, 1.0);
    let at = plot.point(raw, plot.shaped(raw));
    painter.vline(at.x, at.y..=rect.center().y, (1.0, faded(p.accent, 0.5)));
    painter.circle_filled(at, 5.0, p.text);
    for end in [-1.0, 1.0] {
        let handle = pos2(plot.x(end * feel.dead_zone), rect.bottom() - 12.0);
        painter.circle_filled(handle, 5.0, p.warning);
    }
    let corner = rect.min + vec2(12.0, 12.0);
    paint_text(
        ui,
        corner,
        eframe::egui::Align2::LEFT_TOP,
        "drag to bend",
        size::CAPTION,
        Weight::Regular,
        p.faint,
    );
    response.on_hover_cursor(CursorIcon::Grab);
}

struct Plot<'a> {
    rect: Rect,
    tab: Tab,
    feel: &'a Feel,
}

impl Plot<'_> {
    fn x(&self, value: f32) -> f32 {
        self.rect.center().x + value * (self.rect.width() / 2.0 - 8.0)
    }

    fn point(&self, x: f32, y: f32) -> Pos2 {
        pos2(self.x(x), self.rect.center().y - y * (self.rect.height() / 2.0 - 8.0))
    }

    /// The same curve that the command path applies.
    fn shaped(&self, raw: f32) -> f32 {
        let feel = self.feel;
        let (expo, limit, is_inverted, trim) = match self.tab {
            Tab::Steering => (feel.steer_expo, 1.0, feel.invert_steer, feel.steer_trim),
            Tab::Throttle => (feel.throttle_expo, feel.throttle_limit, feel.invert_throttle, 0.0),
        };
        let direction = if is_inverted { Direction::Reversed } else { Direction::Normal };
        let curve = Curve { dead_zone: feel.dead_zone, expo, limit, direction };
        (curve.shape(Axis::new(raw)).get() + trim).clamp(-1.0, 1.0)
    }
}
