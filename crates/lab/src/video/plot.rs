//! Capacity, rate and age over time as a picture.

use std::fmt::Write as _;

use super::{Report, ages};
use crate::clock::VirtualTime;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 50.0;
/// The axes end here, in kbit/s and ms: what matters is below.
const KBPS_MAX: f64 = 8_000.0;
const AGE_MAX: f64 = 500.0;

/// An SVG of two charts: rates above, age of the picture below.
pub fn svg(title: &str, report: &Report) -> String {
    let end = report.samples.last().map_or(VirtualTime::from_ms(1), |sample| sample.at);
    let x = |at: VirtualTime| LEFT + at.0 as f64 / end.0.max(1) as f64 * (WIDTH - LEFT);
    let y = |value: f64, most: f64, top: f64| top + HEIGHT * (1.0 - (value / most).clamp(0.0, 1.0));
    let rate = |value: fn(&super::Sample) -> f64| -> String {
        let points = report.samples.iter().map(|s| (x(s.at), y(value(s), KBPS_MAX, 30.0)));
        points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect()
    };
    let age: String = ages(&report.shown, VirtualTime::ZERO, end)
        .iter()
        .step_by(4)
        .map(|(at, age)| format!("{:.1},{:.1} ", x(*at), y(age.as_secs_f64() * 1e3, AGE_MAX, 300.0)))
        .collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 560\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"none\">\n<rect width=\"{WIDTH}\" height=\"560\" fill=\"white\"/>\n"
    );
    let mut text = |x: f64, y: f64, colour: &str, text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{text}</text>").ok();
    };
    text(LEFT, 18.0, "black", title);
    text(LEFT + 500.0, 18.0, "silver", "capacity");
    text(LEFT + 570.0, 18.0, "royalblue", "sent");
    text(LEFT + 620.0, 18.0, "darkorange", "target");
    text(LEFT + 680.0, 18.0, "crimson", "picture age");
    text(0.0, 40.0, "black", "8 Mbit/s");
    text(0.0, 250.0, "black", "0");
    text(0.0, 310.0, "black", "500 ms");
    text(0.0, 520.0, "black", &format!("0 to {} s", end.as_ms() / 1000));
    let lines = [
        ("silver", rate(|s| s.capacity_kbps)),
        ("royalblue", rate(|s| s.sent_kbps)),
        ("darkorange", rate(|s| s.target_kbps)),
        ("crimson", age),
    ];
    for (colour, points) in lines {
        // Writing to a String can't fail.
        writeln!(out, "<polyline stroke=\"{colour}\" points=\"{}\"/>", points.trim_end()).ok();
    }
    out.push_str("</svg>\n");
    out
}
