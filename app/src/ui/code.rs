//! Text as a code (QR) for a camera.

use std::sync::Arc;

use eframe::egui::{Color32, CornerRadius, Id, Rect, Sense, Ui, Vec2, pos2, vec2};
use farwheel_proto::call::letter;
use qrcode::{Color, EcLevel, QrCode};

use super::widgets::describe;

/// Paints a link, at most so large.
pub(super) fn link(ui: &mut Ui, link: &str, most: f32) {
    // Printed and photographed: some of it may be covered.
    paint(ui, link, EcLevel::M, most, "QR code of the link");
}

/// Paints a letter, at most so large.
pub(super) fn letter(ui: &mut Ui, letter: &str, most: f32) {
    // From screen to camera nothing is covered, and larger modules are worth more than repair.
    paint(ui, &letter::in_one_line(letter), EcLevel::L, most, "QR code of the letter");
}

/// Dark on light in both themes, as some readers take nothing else.
fn paint(ui: &mut Ui, text: &str, level: EcLevel, most: f32, words: &str) {
    let Some(modules) = modules(ui, text, level) else { return };
    let count = modules.len().isqrt();
    // Four modules of quiet around it: ISO/IEC 18004, 9.1. Whole pixels, so that no edge is blurred.
    let pixels = ui.ctx().pixels_per_point();
    let pitch = (most * pixels / (count + 8) as f32).floor().max(1.0) / pixels;
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(pitch * (count + 8) as f32), Sense::hover());
    describe(ui, rect, "code", words);
    let on_pixel = |at: f32| (at * pixels).round() / pixels;
    let ground = Rect::from_min_size(pos2(on_pixel(rect.left()), on_pixel(rect.top())), rect.size());
    ui.painter().rect_filled(ground, CornerRadius::same(10), Color32::WHITE);
    let start = ground.min + Vec2::splat(4.0 * pitch);
    for (index, is_dark) in modules.iter().enumerate() {
        if *is_dark {
            let at = start + vec2((index % count) as f32, (index / count) as f32) * pitch;
            ui.painter().rect_filled(Rect::from_min_size(at, Vec2::splat(pitch)), 0.0, Color32::BLACK);
        }
    }
}

/// The modules of the code, row by row; kept, as finding the best mask takes a while.
fn modules(ui: &Ui, text: &str, level: EcLevel) -> Option<Arc<Vec<bool>>> {
    let id = Id::unique("the code of a text").with(text);
    if let Some(known) = ui.data(|data| data.get_temp::<Arc<Vec<bool>>>(id)) {
        return Some(known);
    }
    let code = QrCode::with_error_correction_level(text, level).ok()?;
    let modules =
        Arc::new(code.to_colors().into_iter().map(|color| color == Color::Dark).collect::<Vec<_>>());
    ui.data_mut(|data| data.insert_temp(id, Arc::clone(&modules)));
    Some(modules)
}
