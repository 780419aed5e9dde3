//! What makes a frozen picture or a lost link impossible to mistake for live: a hatched border and large words.

use std::time::Duration;

use eframe::egui::{
    self, Align, Align2, Color32, Layout, Mesh, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, UiBuilder, pos2,
    vec2,
};
use lucide_icons::Icon;

use super::{Cx, Room};
use crate::model::Command;
use crate::model::connect::Step;
use crate::model::drive::{Arm, Drive, Link, Picture};
use crate::ui::connect::steps;
use crate::ui::theme::{self, Palette, STEP, Weight, size};
use crate::ui::widgets::{Tone, button_sized, describe, paint_icon, paint_text};

/// Paints the hatched border if the picture is not live, and a plain red one if the car was stopped.
pub(crate) fn border(ui: &Ui, rect: Rect, state: &Drive) {
    let p = Palette::of(ui);
    match state.picture {
        Picture::Frozen { .. } => hatch(ui, rect, theme::DARK.warning),
        Picture::Lost { .. } => hatch(ui, rect, p.alarm),
        Picture::None | Picture::Live => {
            if matches!(state.arm, Arm::Stopped { .. }) {
                ui.painter().rect_stroke(rect, 0.0, Stroke::new(6.0, p.alarm), StrokeKind::Inside);
            }
        }
    }
}

fn hatch(ui: &Ui, rect: Rect, colour: Color32) {
    let inner = rect.shrink(BAND);
    let bands = [
        Rect::from_min_max(rect.min, pos2(rect.right(), inner.top())),
        Rect::from_min_max(pos2(rect.left(), inner.bottom()), rect.max),
        Rect::from_min_max(pos2(rect.left(), inner.top()), pos2(inner.left(), inner.bottom())),
        Rect::from_min_max(pos2(inner.right(), inner.top()), pos2(rect.right(), inner.bottom())),
    ];
    let mut mesh = Mesh::default();
    let span = rect.width() + rect.height();
    let mut at = -rect.height();
    while at < span {
        let corner = |x: f32, y: f32| -> Pos2 { rect.min + vec2(x, y) };
        let first = mesh.vertices.len() as u32;
        for point in [
            corner(at + rect.height(), 0.0),
            corner(at + rect.height() + STRIPE, 0.0),
            corner(at + STRIPE, rect.height()),
            corner(at, rect.height()),
        ] {
            mesh.colored_vertex(point, colour);
        }
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first, first + 2, first + 3);
        at += 2.0 * STRIPE;
    }
    for band in bands {
        let painter = ui.painter().with_clip_rect(band.intersect(ui.clip_rect()));
        painter.rect_filled(band, 0.0, Color32::from_rgb(12, 12, 12));
        painter.add(Shape::mesh(mesh.clone()));
    }
    ui.painter().rect_stroke(inner, 0.0, Stroke::new(2.0, colour), StrokeKind::Outside);
}

/// Shows the words for a picture that is not live.
pub(crate) fn show(ui: &Ui, rect: Rect, cx: &Cx<'_>, room: Room) {
    let p = Palette::of(ui);
    let (icon, colour, title, since, lines) = match (cx.state.picture, cx.state.link) {
        (Picture::Lost { since }, Link::Lost { attempts, .. }) => {
            let again = format!("Reconnecting by itself, attempt {}", attempts.max(1));
            (
                Icon::WifiOff,
                p.alarm,
                "LINK LOST",
                since,
                ["The car stops by itself without commands.".to_owned(), again],
            )
        }
        (Picture::Lost { since }, _) => {
            let lines =
                ["The car stops by itself without commands.".to_owned(), "Waiting for a picture".into()];
            (Icon::WifiOff, p.alarm, "LINK LOST", since, lines)
        }
        (Picture::Frozen { since }, _) => {
            let lines = [
                "This is not what is in front of the car.".to_owned(),
                "The link is up; throttle is limited until pictures come.".into(),
            ];
            (Icon::Snowflake, theme::DARK.warning, "PICTURE FROZEN", since, lines)
        }
        (Picture::None | Picture::Live, _) => return,
    };
    // In a small window it goes where no plate is: right of the figures, below the state, above STOP.
    let free = if room.wide {
        rect
    } else {
        let (top, foot) = if room.tall { (0.0, 0.0) } else { (136.0, 124.0) };
        Rect::from_min_max(rect.min + vec2(264.0, top), rect.max - vec2(0.0, foot))
    };
    let wanted = vec2(420.0_f32.min(free.width() - 32.0), if room.tall { 192.0 } else { 160.0 });
    let centre = free.center() - vec2(0.0, if room.tall { 24.0 } else { 0.0 });
    let panel = Rect::from_center_size(centre, wanted);
    let (at_title, at_seconds, at_lines, figure) =
        if room.tall { (36.0, 88.0, 140.0, size::DISPLAY) } else { (28.0, 70.0, 114.0, size::FIGURE) };
    let ground = Color32::from_rgba_unmultiplied(10, 11, 13, 235);
    ui.painter().rect_filled(panel, 16.0, ground);
    ui.painter().rect_stroke(panel, 16.0, Stroke::new(2.0, colour), StrokeKind::Inside);
    // On the dark ground of the panel in both themes.
    let ink =
        if matches!(cx.state.picture, Picture::Lost { .. }) { theme::DARK.bad } else { theme::DARK.warning };
    let seconds = words(since);
    let middle = panel.center().x;
    let top = panel.top();
    let title_font = theme::font(size::TITLE, Weight::Bold);
    let galley = ui.painter().layout_no_wrap(title.into(), title_font, ink);
    let start = middle - (galley.size().x + 34.0) / 2.0;
    paint_icon(ui, pos2(start, top + at_title), Align2::LEFT_CENTER, icon, 24.0, ink);
    let at = pos2(start + 34.0, top + at_title);
    paint_text(ui, at, Align2::LEFT_CENTER, title, size::TITLE, Weight::Bold, ink);
    let at = pos2(middle, top + at_seconds);
    paint_text(ui, at, Align2::CENTER_CENTER, &seconds, figure, Weight::Bold, Color32::WHITE);
    for (index, line) in lines.iter().enumerate() {
        let at = pos2(middle, top + at_lines + 22.0 * index as f32);
        let (weight, ink) =
            if index == 0 { (Weight::Medium, theme::DARK.text) } else { (Weight::Regular, theme::DARK.soft) };
        paint_text(ui, at, Align2::CENTER_CENTER, line, size::BODY, weight, ink);
    }
    describe(ui, panel, "alarm", &format!("{title} for {seconds}. {} {}", lines[0], lines[1]));
}

fn words(since: Duration) -> String {
    match since.as_secs() {
        0..60 => format!("{:.1} s", since.as_secs_f64()),
        seconds => format!("{}:{:02}", seconds / 60, seconds % 60),
    }
}

/// Shows the steps of connecting, in the middle.
pub(crate) fn opening(ui: &mut Ui, rect: Rect, step: Step, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let wanted = vec2(320.0_f32.min(rect.width() - 64.0), 292.0);
    let panel = Rect::from_center_size(rect.center() - vec2(0.0, 32.0), wanted);
    ui.painter().rect_filled(panel, 16.0, p.surface);
    ui.painter().rect_stroke(panel, 16.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let layout = Layout::top_down(Align::Min);
    let mut child =
        ui.new_child(UiBuilder::new().max_rect(panel.shrink(24.0)).id_salt("opening").layout(layout));
    let heading = format!("Connecting to {}", cx.state.robot);
    child.label(theme::text(heading, size::LEAD, Weight::Bold, p.text));
    child.add_space(STEP);
    child.spacing_mut().item_spacing.y = 2.0;
    steps(&mut child, step);
    child.add_space(STEP);
    let button = egui::vec2(child.available_width(), 40.0);
    if button_sized(&mut child, Some(Icon::X), "Cancel", Tone::Plain, button).clicked() {
        cx.out.push(Command::Disconnect);
    }
}

/// Width of the hatched border.
const BAND: f32 = 12.0;
/// Width of a stripe.
const STRIPE: f32 = 18.0;
