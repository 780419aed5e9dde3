//! The mark: a steering wheel whose upper rim sends. Drawn as in `assets/icons/farwheel.svg`.

use eframe::egui::{Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};

use super::theme::Palette;

/// Paints the mark into a square.
pub(crate) fn paint(ui: &Ui, rect: Rect) {
    let p = Palette::of(ui);
    let unit = rect.width() / 32.0;
    let centre = rect.center() + vec2(0.0, 3.0 * unit);
    let painter = ui.painter();
    let ink = Stroke::new(2.6 * unit, p.text);
    painter.circle_stroke(centre, 9.0 * unit, ink);
    painter.circle_filled(centre, 2.6 * unit, p.text);
    for degrees in [180.0_f32, 0.0, 90.0] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        painter.line_segment([centre, centre + vec2(cos, sin) * 8.0 * unit], ink);
    }
    for radius in [13.2, 17.0] {
        painter
            .add(Shape::line(arc(centre, radius * unit, -128.0, -52.0), Stroke::new(2.4 * unit, p.accent)));
    }
}

/// Points of an arc in degrees, clockwise from the right.
pub(crate) fn arc(centre: Pos2, radius: f32, from: f32, to: f32) -> Vec<Pos2> {
    let steps = ((to - from).abs() / 4.0).ceil().max(1.0) as usize;
    (0..=steps)
        .map(|step| {
            let angle = (from + (to - from) * step as f32 / steps as f32).to_radians();
            pos2(centre.x + radius * angle.cos(), centre.y + radius * angle.sin())
        })
        .collect()
}
