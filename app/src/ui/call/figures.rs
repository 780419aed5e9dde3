//! The panel with the figures of each link, a sample a second.

use std::time::Duration;

use eframe::egui::{Align, Align2, Frame, Layout, Margin, Rect, ScrollArea, Sense, Ui, vec2};
use egui_plot::{Line, PlotPoint, PlotPoints};
use farwheel_peer::signaling::PeerId;
use lucide_icons::Icon;

use super::parts::{avatar, bars, link_words, region};
use super::{Cx, Screen};
use crate::model::call::{Call, Command, Link, LinkFigures, Member};
use crate::ui::stats;
use crate::ui::theme::{self, HALF, Palette, STEP, Weight, size};
use crate::ui::units::DASH;
use crate::ui::widgets::{Tone, button_sized, describe, paint_icon, paint_line, paint_text};

/// Shows the panel.
pub(super) fn show(ui: &mut Ui, rect: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let body = super::panel(ui, rect, "Stats", screen);
    let mut list = region(ui, body, "figures", Layout::top_down(Align::Min));
    list.set_clip_rect(body.intersect(ui.clip_rect()));
    if cx.call.members.is_empty() {
        empty(&list, body);
        return;
    }
    ScrollArea::vertical().auto_shrink([false, false]).show(&mut list, |ui| {
        Frame::NONE.inner_margin(Margin { left: 16, right: 16, top: 0, bottom: 16 }).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = STEP;
            let wanted = vec2(ui.available_width(), 36.0);
            if button_sized(ui, Some(Icon::Download), "Export", Tone::Plain, wanted).clicked() {
                cx.ask(Command::ExportFigures);
            }
            for member in &cx.call.members {
                one(ui, member, cx.call);
            }
        });
    });
}

fn empty(ui: &Ui, rect: Rect) {
    let p = Palette::of(ui);
    let at = rect.center() - vec2(0.0, 24.0);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::ChartSpline, 30.0, p.faint);
    let words = "Nobody else is here yet";
    let at = rect.center() + vec2(0.0, 12.0);
    paint_text(ui, at, Align2::CENTER_CENTER, words, size::LEAD, Weight::Bold, p.text);
    describe(ui, rect, "empty", words);
}

fn one(ui: &mut Ui, member: &Member, call: &Call) {
    let p = Palette::of(ui);
    ui.add_space(HALF);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.top() - HALF, (1.0, p.line));
    avatar(ui, rect.left_center() + vec2(13.0, 0.0), 13.0, &member.name);
    let at = rect.left_center() + vec2(34.0, 0.0);
    paint_line(ui, at, rect.width() - 64.0, &[(member.name.as_str(), size::BODY, Weight::Bold, p.text)]);
    bars(
        ui,
        Rect::from_center_size(rect.right_center() - vec2(10.0, 0.0), vec2(16.0, 12.0)),
        &member.link,
        &p,
    );
    describe(ui, rect, &member.name, &format!("{}: {}", member.name, link_words(&member.link)));
    let newest = of(call, member.id).filter_map(|(_, figures)| figures).last().copied().unwrap_or_default();
    values(ui, &newest, &member.link);
    let values = |value: fn(&LinkFigures) -> Option<f64>| {
        stats::runs(of(call, member.id).map(|(at, figures)| (at, figures.and_then(value))))
    };
    let received = values(|figures| Some(f64::from(figures.received_kbps)));
    let rtt = values(|figures| figures.rtt.map(|rtt| rtt.as_secs_f64() * 1e3));
    curve(ui, member.id, "Received, kbit/s", &received, 500.0);
    curve(ui, member.id, "Round trip, ms", &rtt, 50.0);
}

/// The figures of a member with their time in seconds, the newest at zero; `None` where it was not there.
fn of(call: &Call, id: PeerId) -> impl Iterator<Item = (f64, Option<&LinkFigures>)> {
    let last = call.figures.len().saturating_sub(1);
    call.figures.iter().enumerate().map(move |(index, sample)| {
        let figures = sample.links.iter().find(|(known, _)| *known == id).map(|(_, figures)| figures);
        (index as f64 - last as f64, figures)
    })
}

fn values(ui: &mut Ui, figures: &LinkFigures, link: &Link) {
    let p = Palette::of(ui);
    let ms =
        |value: Option<Duration>| value.map_or(DASH.to_owned(), |value| format!("{} ms", value.as_millis()));
    let rate = |kbps: f32| {
        if kbps < 1000.0 { format!("{kbps:.0} kbit/s") } else { format!("{:.1} Mbit/s", kbps / 1e3) }
    };
    let picture =
        figures.picture.map_or(DASH.to_owned(), |tile| format!("{}\u{d7}{}", tile.width, tile.height));
    let quality = match link {
        Link::Connected { bars, .. } => format!("{bars} of 4"),
        Link::Connecting | Link::Reconnecting(_) => DASH.to_owned(),
    };
    let rows = [
        ("Round trip", ms(figures.rtt)),
        ("Lost", format!("{:.1} %", figures.loss * 100.0)),
        ("Sent", rate(figures.sent_kbps)),
        ("Received", rate(figures.received_kbps)),
        ("Picture age", ms(figures.picture_age)),
        ("Sound delay", ms(figures.playout)),
        ("Picture", picture),
        ("Quality", quality),
    ];
    let spoken: Vec<String> = rows.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let lines = rows.len().div_ceil(2);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), lines as f32 * 38.0), Sense::hover());
    for (index, (name, value)) in rows.iter().enumerate() {
        let column = rect.width() / 2.0 * (index % 2) as f32;
        let at = rect.left_top() + vec2(column, (index / 2) as f32 * 38.0 + 9.0);
        paint_text(ui, at, Align2::LEFT_CENTER, name, size::CAPTION, Weight::Regular, p.soft);
        paint_text(ui, at + vec2(0.0, 16.0), Align2::LEFT_CENTER, value, size::BODY, Weight::Bold, p.text);
    }
    describe(ui, rect, "values", &spoken.join(", "));
}

fn curve(ui: &mut Ui, id: PeerId, name: &str, runs: &[Vec<PlotPoint>], least: f64) {
    let p = Palette::of(ui);
    ui.add_space(HALF);
    ui.label(theme::text(name, size::CAPTION, Weight::Medium, p.soft));
    let highest = runs.iter().flatten().map(|point| point.y).fold(least, f64::max);
    stats::plot((id, name), 64.0, SPAN_S, highest, &p).show(ui, |plot| {
        stats::fit(plot, SPAN_S, highest);
        for run in runs {
            plot.line(Line::new(name, PlotPoints::Borrowed(run)).color(p.accent).width(1.8));
        }
    });
    // The lowest number of the axis reaches below the plot.
    ui.add_space(STEP);
}

/// Length of the plots, in seconds.
const SPAN_S: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::Figures;

    #[test]
    fn a_member_who_came_late_has_figures_from_then_on() {
        let (ada, grace) = (PeerId::new(1), PeerId::new(2));
        let sample =
            |ids: &[PeerId]| Figures { links: ids.iter().map(|id| (*id, LinkFigures::default())).collect() };
        let call = Call {
            figures: vec![sample(&[ada]), sample(&[ada]), sample(&[ada, grace]), sample(&[grace])].into(),
            ..Call::default()
        };
        let times =
            |id| -> Vec<f64> { of(&call, id).filter_map(|(at, figures)| figures.map(|_| at)).collect() };
        assert_eq!(times(ada), [-3.0, -2.0, -1.0]);
        assert_eq!(times(grace), [-1.0, 0.0]);
    }
}
