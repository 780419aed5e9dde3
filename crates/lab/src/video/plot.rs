//! Capacity, rate and age over time as a picture.

use std::fmt::Write as _;

use super::{Report, Sample, Shown, ages};
use crate::clock::VirtualTime;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 50.0;
/// The axes end here, in kbit/s and ms: what matters is below.
const KBPS_MAX: f64 = 8_000.0;
const AGE_MAX: f64 = 500.0;

/// A rate over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: &'static str,
    /// One of SVG's names.
    pub colour: &'static str,
    /// In kbit/s.
    pub kbps: Vec<(VirtualTime, f64)>,
}

impl Report {
    /// Capacity, rate sent and rate aimed at.
    pub fn curves(&self) -> Vec<Curve> {
        let curve = |name, colour, value: fn(&Sample) -> f64| Curve {
            name,
            colour,
            kbps: self.samples.iter().map(|sample| (sample.at, value(sample))).collect(),
        };
        vec![
            curve("capacity", "silver", |sample| sample.capacity_kbps),
            curve("sent", "royalblue", |sample| sample.sent_kbps),
            curve("target", "darkorange", |sample| sample.target_kbps),
        ]
    }
}

/// An SVG of two charts: rates above, age of the picture below.
pub fn svg(title: &str, curves: &[Curve], shown: &[Shown]) -> String {
    let last = curves.iter().filter_map(|curve| curve.kbps.last()).map(|(at, _)| *at).max();
    let end = last.unwrap_or(VirtualTime::from_ms(1));
    let x = |at: VirtualTime| LEFT + at.0 as f64 / end.0.max(1) as f64 * (WIDTH - LEFT);
    let y = |value: f64, most: f64, top: f64| top + HEIGHT * (1.0 - (value / most).clamp(0.0, 1.0));
    let rate = |curve: &Curve| -> String {
        let points = curve.kbps.iter().map(|(at, kbps)| (x(*at), y(*kbps, KBPS_MAX, 30.0)));
        points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect()
    };
    let age: String = ages(shown, VirtualTime::ZERO, end)
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
        // Writing to a String can't fail.
        writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{text}</text>").ok();
    };
    text(LEFT, 18.0, "black", title);
    let names = curves.iter().map(|curve| (curve.name, curve.colour)).chain([("picture age", AGE_COLOUR)]);
    for (place, (name, colour)) in names.enumerate() {
        text(WIDTH - 400.0 + 90.0 * place as f64, 18.0, colour, name);
    }
    text(0.0, 40.0, "black", "8 Mbit/s");
    text(0.0, 250.0, "black", "0");
    text(0.0, 310.0, "black", "500 ms");
    text(0.0, 520.0, "black", &format!("0 to {} s", end.as_ms() / 1000));
    for (colour, points) in curves.iter().map(|curve| (curve.colour, rate(curve))).chain([(AGE_COLOUR, age)])
    {
        // Writing to a String can't fail.
        writeln!(out, "<polyline stroke=\"{colour}\" points=\"{}\"/>", points.trim_end()).ok();
    }
    out.push_str("</svg>\n");
    out
}

const AGE_COLOUR: &str = "crimson";
