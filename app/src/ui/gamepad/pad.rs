//! A picture of a gamepad with everything that is pushed lit.

use eframe::egui::{Align2, Color32, Pos2, Rect, Stroke, Ui, pos2, vec2};

use crate::input::profile::{Element, Sample};
use crate::ui::theme::{Palette, Weight};
use crate::ui::widgets::{describe, paint_text};

/// Paints the pad into `rect`.
pub(crate) fn paint(ui: &Ui, rect: Rect, sample: &Sample) {
    let pad = Pad {
        ui,
        p: Palette::of(ui),
        sample,
        unit: (rect.width() / 100.0).min(rect.height() / 58.0),
        centre: rect.center(),
    };
    pad.body();
    pad.triggers();
    pad.stick(-15.0, 12.0, "axis.LeftStickX", "axis.LeftStickY", "button.LeftThumb");
    pad.stick(15.0, 12.0, "axis.RightStickX", "axis.RightStickY", "button.RightThumb");
    pad.directions();
    for (x, y, name, letter) in [
        (29.0, 3.5, "button.South", "A"),
        (35.0, -2.5, "button.East", "B"),
        (23.0, -2.5, "button.West", "X"),
        (29.0, -8.5, "button.North", "Y"),
    ] {
        pad.round(x, y, 3.2, name, letter);
    }
    pad.round(-7.0, -4.0, 2.0, "button.Select", "");
    pad.round(7.0, -4.0, 2.0, "button.Start", "");
    pad.round(0.0, -4.0, 2.6, "button.Mode", "");
    let pushed: Vec<_> =
        sample.iter().filter(|(_, value)| value.abs() > 0.35).map(|(element, _)| element.label()).collect();
    let words = if pushed.is_empty() { "nothing pushed".to_owned() } else { pushed.join(", ") };
    describe(ui, rect, "pad", &format!("Controller: {words}"));
}

struct Pad<'a> {
    ui: &'a Ui,
    p: Palette,
    sample: &'a Sample,
    unit: f32,
    centre: Pos2,
}

impl Pad<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.centre + vec2(x, y) * self.unit
    }

    fn value(&self, name: &str) -> f32 {
        self.sample.get(&Element::new(name)).copied().filter(|value| value.is_finite()).unwrap_or(0.0)
    }

    fn fill(&self, value: f32) -> Color32 {
        if value.abs() > 0.5 { self.p.accent } else { self.p.hover }
    }

    fn body(&self) {
        let painter = self.ui.painter();
        let (u, fill) = (self.unit, self.p.raised);
        // Two grips and a middle of one colour read as one body.
        for x in [-29.0, 29.0] {
            painter.circle_filled(self.at(x, -2.0), 15.5 * u, fill);
            let grip = [self.at(x * 1.03, 0.0), self.at(x * 1.32, 24.0)];
            painter.circle_filled(grip[1], 6.5 * u, fill);
            let lean = x.signum();
            painter.add(eframe::egui::Shape::convex_polygon(
                vec![
                    self.at(x - lean * 13.0, 6.0),
                    self.at(x + lean * 15.4, -1.0),
                    self.at(x * 1.32 + lean * 6.3, 23.0),
                    self.at(x * 1.32 - lean * 5.0, 28.0),
                ],
                fill,
                Stroke::NONE,
            ));
        }
        let middle = Rect::from_min_max(self.at(-30.0, -17.5), self.at(30.0, 14.0));
        painter.rect_filled(middle, 6.0 * u, fill);
        for x in [-15.0, 15.0] {
            painter.circle_filled(self.at(x, 12.0), 9.5 * u, fill);
        }
    }

    fn triggers(&self) {
        for (side, trigger, shoulder) in [
            (-1.0, "button.LeftTrigger2", "button.LeftTrigger"),
            (1.0, "button.RightTrigger2", "button.RightTrigger"),
        ] {
            let painter = self.ui.painter();
            let upper = Rect::from_center_size(self.at(side * 29.0, -24.5), vec2(15.0, 4.6) * self.unit);
            painter.rect_filled(upper, 1.6 * self.unit, self.p.hover);
            let share = self.value(trigger).clamp(0.0, 1.0);
            let filled =
                Rect::from_min_max(upper.min, pos2(upper.left() + upper.width() * share, upper.bottom()));
            if share > 0.01 {
                painter.rect_filled(filled, 1.6 * self.unit, self.p.accent);
            }
            let lower = Rect::from_center_size(self.at(side * 29.0, -19.6), vec2(17.0, 2.6) * self.unit);
            painter.rect_filled(lower, 1.2 * self.unit, self.fill(self.value(shoulder)));
        }
    }

    fn stick(&self, x: f32, y: f32, axis_x: &str, axis_y: &str, press: &str) {
        let painter = self.ui.painter();
        let centre = self.at(x, y);
        let radius = 7.2 * self.unit;
        painter.circle_filled(centre, radius, self.p.surface);
        painter.circle_stroke(centre, radius, Stroke::new(1.5, self.p.line));
        let moved = vec2(self.value(axis_x), -self.value(axis_y));
        let knob = centre + moved * 3.4 * self.unit;
        let is_moved = moved.length() > 0.08 || self.value(press) > 0.5;
        let fill = if is_moved { self.p.accent } else { self.p.hover };
        painter.circle_filled(knob, 4.2 * self.unit, fill);
        painter.circle_stroke(knob, 4.2 * self.unit, Stroke::new(1.0, self.p.surface));
    }

    fn directions(&self) {
        let painter = self.ui.painter();
        let (x, y, arm, half) = (-29.0, -2.5, 7.6, 2.3);
        for (dx, dy, name) in [
            (0.0, -1.0, "button.DPadUp"),
            (0.0, 1.0, "button.DPadDown"),
            (-1.0, 0.0, "button.DPadLeft"),
            (1.0, 0.0, "button.DPadRight"),
        ] {
            let tip = self.at(x + dx * arm, y + dy * arm);
            let (across_x, across_y) = (dy * half * self.unit, dx * half * self.unit);
            let root = self.at(x, y);
            let rect = Rect::from_two_pos(
                tip - vec2(across_x.abs(), across_y.abs()),
                root + vec2(across_x.abs(), across_y.abs()),
            );
            painter.rect_filled(rect, self.unit, self.fill(self.value(name)));
        }
        let hub = Rect::from_center_size(self.at(x, y), vec2(2.0 * half, 2.0 * half) * self.unit);
        painter.rect_filled(hub, 0.0, self.p.hover);
    }

    fn round(&self, x: f32, y: f32, radius: f32, name: &str, letter: &str) {
        let is_down = self.value(name) > 0.5;
        let centre = self.at(x, y);
        self.ui.painter().circle_filled(centre, radius * self.unit, self.fill(self.value(name)));
        if !letter.is_empty() {
            let ink = if is_down { self.p.on_accent } else { self.p.text };
            paint_text(self.ui, centre, Align2::CENTER_CENTER, letter, 3.4 * self.unit, Weight::Bold, ink);
        }
    }
}
