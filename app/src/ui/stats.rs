//! The stats page: plots of the last two minutes, percentiles, counters.

use std::fmt::Debug;
use std::hash::Hash;

use eframe::egui::{self, Align, Align2, Color32, Layout, ScrollArea, Sense, Ui, pos2, vec2};
use egui_plot::{AxisHints, GridMark, HLine, Line, Plot, PlotPoint, PlotPoints, PlotUi};
use lucide_icons::Icon;

use super::theme::{self, GAP, Palette, STEP, Weight, faded, size};
use super::units;
use super::widgets::{self, Tone, button, card, describe, paint_icon, paint_text};
use crate::model::stats::{Sample, Stats};
use crate::model::{Command, Model};

/// Shows the page.
pub(crate) fn show(ui: &mut Ui, model: &Model, out: &mut Vec<Command>) {
    let stats = &model.stats;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        egui::Frame::NONE.inner_margin(egui::Margin::same(28)).show(ui, |ui| {
            let width = ui.available_width().min(1280.0);
            ui.set_width(width);
            head(ui, stats, out);
            if stats.samples.is_empty() {
                empty(ui);
                return;
            }
            let columns = if width > 760.0 { 2 } else { 1 };
            let each = (width - GAP * (columns - 1) as f32) / columns as f32;
            for row in plots(&Palette::of(ui)).chunks(columns) {
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = GAP;
                    for plot in row {
                        ui.allocate_ui_with_layout(vec2(each, 0.0), Layout::top_down(Align::Min), |ui| {
                            card(ui, "", |ui| one(ui, plot, stats));
                        });
                    }
                });
                ui.add_space(STEP);
            }
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = GAP;
                let wide = if columns == 2 { width * 0.62 } else { width };
                ui.allocate_ui_with_layout(vec2(wide, 0.0), Layout::top_down(Align::Min), |ui| {
                    card(ui, "Percentiles", |ui| table(ui, stats));
                });
                if columns == 2 {
                    let rest = vec2(width - wide - GAP, 0.0);
                    ui.allocate_ui_with_layout(rest, Layout::top_down(Align::Min), |ui| {
                        card(ui, "Counters", |ui| counters(ui, stats));
                    });
                }
            });
            if columns == 1 {
                card(ui, "Counters", |ui| counters(ui, stats));
            }
        });
    });
}

fn head(ui: &mut Ui, stats: &Stats, out: &mut Vec<Command>) {
    let is_wide = ui.available_width() > 640.0;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let words = match stats.lasted.as_secs() {
                _ if !is_wide => String::new(),
                0 => "Ages, delays and rates of the session, ten times a second.".to_owned(),
                seconds => format!(
                    "Session of {}:{:02}, the last two minutes in the plots.",
                    seconds / 60,
                    seconds % 60
                ),
            };
            widgets::page_title(ui, "Stats", &words);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let has_any = !stats.samples.is_empty();
            ui.add_enabled_ui(has_any, |ui| {
                if button(ui, Some(Icon::Download), "Export", Tone::Plain).clicked() {
                    out.push(Command::ExportStats);
                }
                if button(ui, Some(Icon::Copy), "Copy", Tone::Plain).clicked() {
                    ui.ctx().copy_text(as_text(stats));
                }
                if button(ui, Some(Icon::RotateCcw), "Reset", Tone::Quiet).clicked() {
                    out.push(Command::ResetStats);
                }
            });
        });
    });
    ui.add_space(STEP);
}

fn empty(ui: &mut Ui) {
    let p = Palette::of(ui);
    card(ui, "", |ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 260.0), Sense::hover());
        let at = rect.center() - vec2(0.0, 28.0);
        paint_icon(ui, at, Align2::CENTER_CENTER, Icon::ChartSpline, 36.0, p.faint);
        let at = rect.center() + vec2(0.0, 14.0);
        paint_text(ui, at, Align2::CENTER_CENTER, "Nothing measured yet", size::LEAD, Weight::Bold, p.text);
        let at = rect.center() + vec2(0.0, 38.0);
        let words = "Connect to a robot; the plots fill by themselves.";
        paint_text(ui, at, Align2::CENTER_CENTER, words, size::BODY, Weight::Regular, p.soft);
        describe(ui, rect, "empty", words);
    });
}

struct Curve {
    name: &'static str,
    unit: &'static str,
    of: fn(&Sample) -> f32,
    /// Lines at which a value gets worse.
    marks: &'static [(f32, Mark)],
    /// The plot reaches at least this high.
    top: f32,
    colour: Color32,
}

#[derive(Clone, Copy)]
enum Mark {
    Amber,
    Red,
}

fn plots(p: &Palette) -> [Curve; 6] {
    let colour = p.accent;
    const AGE: &[(f32, Mark)] = &[(150.0, Mark::Amber), (300.0, Mark::Red)];
    [
        Curve { name: "Picture age", unit: "ms", of: |s| s.picture_age_ms, marks: AGE, top: 160.0, colour },
        Curve { name: "Loop age", unit: "ms", of: |s| s.loop_age_ms, marks: AGE, top: 160.0, colour },
        Curve { name: "Round trip", unit: "ms", of: |s| s.rtt_ms, marks: &[], top: 50.0, colour },
        Curve { name: "Video", unit: "Mbit/s", of: |s| s.bitrate_mbps, marks: &[], top: 2.0, colour },
        Curve { name: "Pictures", unit: "fps", of: |s| s.fps, marks: &[], top: 60.0, colour },
        Curve {
            name: "Loss",
            unit: "%",
            of: |s| s.loss_percent,
            marks: &[(8.0, Mark::Red)],
            top: 5.0,
            colour,
        },
    ]
}

fn one(ui: &mut Ui, curve: &Curve, stats: &Stats) {
    let p = Palette::of(ui);
    let newest = stats.samples.back().map_or(f32::NAN, curve.of);
    let number = if newest.is_nan() {
        units::DASH.to_owned()
    } else if newest < 10.0 {
        format!("{newest:.1}")
    } else {
        format!("{newest:.0}")
    };
    let heading = ui.horizontal(|ui| {
        ui.label(theme::text(curve.name, size::BODY, Weight::Medium, p.soft));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.label(theme::text(curve.unit, size::CAPTION, Weight::Regular, p.soft));
            ui.label(theme::text(&number, size::LEAD, Weight::Bold, p.text));
        });
    });
    describe(ui, heading.response.rect, curve.name, &format!("{}: {number} {}", curve.name, curve.unit));
    let end = stats.samples.back().map_or(0.0, |sample| sample.at_s);
    let runs = runs(stats.samples.iter().map(|sample| {
        let value = (curve.of)(sample);
        (sample.at_s - end, Some(f64::from(value)).filter(|_| !value.is_nan()))
    }));
    let highest = stats.samples.iter().map(|sample| (curve.of)(sample)).fold(curve.top, f32::max);
    let highest = f64::from(highest);
    plot(curve.name, 120.0, SPAN_S, highest, &p).show(ui, |plot| {
        fit(plot, SPAN_S, highest);
        for (at, mark) in curve.marks {
            let colour = match mark {
                Mark::Amber => p.warning,
                Mark::Red => p.bad,
            };
            plot.hline(HLine::new("", f64::from(*at)).color(faded(colour, 0.55)).width(1.0));
        }
        for run in &runs {
            plot.line(Line::new(curve.name, PlotPoints::Borrowed(run)).color(curve.colour).width(1.8));
        }
    });
}

/// A plot of the last `span` seconds, values from zero to `highest`, that holds still under the pointer.
pub(super) fn plot(
    id: impl Hash + Debug,
    height: f32,
    span: f64,
    highest: f64,
    p: &Palette,
) -> Plot<'static> {
    let axis = AxisHints::new_y()
        .min_thickness(34.0)
        .label_spacing(4.0..=8.0)
        .tick_label_font(theme::font(size::CAPTION, Weight::Regular));
    Plot::new(id)
        .height(height)
        .show_background(false)
        .show_axes([false, true])
        .show_grid([false, true])
        .grid_color(p.line)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .default_x_bounds(-span, 0.0)
        .default_y_bounds(0.0, highest * HEADROOM)
        .custom_y_axes(vec![axis])
        .y_grid_spacer(move |_| marks(highest))
}

/// Brings a plot to what it shows now.
pub(super) fn fit(plot: &mut PlotUi<'_>, span: f64, highest: f64) {
    plot.set_plot_bounds_x(-span..=0.0);
    plot.set_plot_bounds_y(0.0..=highest * HEADROOM);
}

/// The values by time without those that are missing: a gap in the values is a gap in the line.
pub(super) fn runs(values: impl IntoIterator<Item = (f64, Option<f64>)>) -> Vec<Vec<PlotPoint>> {
    let mut runs = vec![Vec::new()];
    for (at, value) in values {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push(PlotPoint::new(at, value)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            (_, None) | (None, Some(_)) => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Two to four round numbers from zero up to `highest`.
fn marks(highest: f64) -> Vec<GridMark> {
    let highest = highest.max(f64::MIN_POSITIVE);
    let decade = 10.0_f64.powf((highest / 2.0).log10().floor());
    let step = [5.0, 2.0, 1.0].map(|part| part * decade).into_iter().find(|step| highest / step >= 2.0);
    let step = step.unwrap_or(decade);
    (0..=(highest / step) as u32)
        .map(|index| GridMark { value: f64::from(index) * step, step_size: step })
        .collect()
}

fn table(ui: &mut Ui, stats: &Stats) {
    let p = Palette::of(ui);
    let (head, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let column = ((head.width() - 120.0) / 5.0).min(140.0);
    let x = |index: usize| head.left() + 120.0 + column * (index + 1) as f32;
    for (index, words) in ["p50", "p95", "p99", "max", "count"].into_iter().enumerate() {
        let at = pos2(x(index), head.center().y);
        paint_text(ui, at, Align2::RIGHT_CENTER, words, size::CAPTION, Weight::Medium, p.soft);
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    for row in &stats.rows {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::hover());
        ui.painter().hline(rect.x_range(), rect.top(), (1.0, p.line));
        let middle = rect.center().y;
        let at = pos2(rect.left(), middle);
        paint_text(ui, at, Align2::LEFT_CENTER, &row.name, size::BODY, Weight::Medium, p.soft);
        let values = [row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms].map(milliseconds);
        let count = row.count.to_string();
        for (index, words) in values.iter().chain([&count]).enumerate() {
            let at = pos2(x(index), middle);
            paint_text(ui, at, Align2::RIGHT_CENTER, words, size::BODY, Weight::Medium, p.text);
        }
        let [p50, p95, p99, max] = values;
        let spoken =
            format!("{}: p50 {p50}, p95 {p95}, p99 {p99}, max {max} milliseconds, {count} values", row.name);
        describe(ui, rect, &row.name, &spoken);
    }
    ui.add_space(STEP);
    ui.label(theme::text("In milliseconds.", size::CAPTION, Weight::Regular, p.soft));
}

fn counters(ui: &mut Ui, stats: &Stats) {
    let p = Palette::of(ui);
    ui.spacing_mut().item_spacing.y = 6.0;
    for counter in &stats.counters {
        ui.horizontal(|ui| {
            ui.label(theme::text(&counter.name, size::BODY, Weight::Regular, p.soft));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.label(theme::text(&counter.value, size::BODY, Weight::Medium, p.text));
            });
        });
    }
}

fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// Percentiles and counters as a table for the clipboard, tabs between the columns.
pub(crate) fn as_text(stats: &Stats) -> String {
    let mut text = String::from("quantity\tp50 ms\tp95 ms\tp99 ms\tmax ms\tcount\n");
    for row in &stats.rows {
        text += &format!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            row.name,
            milliseconds(row.p50_ms),
            milliseconds(row.p95_ms),
            milliseconds(row.p99_ms),
            milliseconds(row.max_ms),
            row.count
        );
    }
    for counter in &stats.counters {
        text += &format!("{}\t{}\n", counter.name, counter.value);
    }
    text
}

/// Part of a plot's height above its highest value.
const HEADROOM: f64 = 1.08;
/// Length of the plots, in seconds.
const SPAN_S: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stats::{Counter, Row};

    #[test]
    fn plots_have_two_to_four_round_marks_above_zero() {
        for (highest, want) in
            [(160.0, 50.0), (50.0, 20.0), (2.2, 1.0), (60.0, 20.0), (5.0, 2.0), (990.0, 200.0)]
        {
            let marks = marks(highest);
            assert!((2..=5).contains(&marks.len()), "{highest}: {} marks", marks.len());
            assert!((marks[1].value - want).abs() < 1e-9, "{highest}: {} apart, want {want}", marks[1].value);
            assert_eq!(marks[0].value, 0.0);
        }
    }

    #[test]
    fn a_missing_value_parts_the_line() {
        let runs = runs(
            [None, Some(1.0), Some(2.0), None, None, Some(3.0), None]
                .into_iter()
                .enumerate()
                .map(|(index, value)| (index as f64, value)),
        );
        let points: Vec<Vec<(f64, f64)>> =
            runs.iter().map(|run| run.iter().map(|point| (point.x, point.y)).collect()).collect();
        assert_eq!(points, [vec![(1.0, 1.0), (2.0, 2.0)], vec![(5.0, 3.0)]]);
    }

    #[test]
    fn the_clipboard_gets_one_line_per_row_and_counter() {
        let row = |name: &str, p50_ms| Row {
            name: name.into(),
            p50_ms,
            p95_ms: 12.34,
            p99_ms: 20.0,
            max_ms: 31.0,
            count: 7,
        };
        let stats = Stats {
            rows: vec![row("Picture age", 9.96), row("Loop age", 41.2)],
            counters: vec![Counter { name: "Pictures".into(), value: "1801".into() }],
            ..Stats::default()
        };
        let text = as_text(&stats);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], "Picture age\t10.0\t12\t20\t31\t7");
        assert_eq!(lines[3], "Pictures\t1801");
    }
}
