//! The list of keys, over any page.

use eframe::egui::{self, Area, Frame, Margin, Stroke, Ui, vec2};

use super::theme::{self, HALF, Palette, Weight, size};
use super::widgets::{Tone, icon_button};
use super::window::Shown;

/// What the keys at hand do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Drive a robot.
    Driving,
    /// Call people.
    Calls,
}

impl About {
    /// Left free above, in points: for the plates along the upper edge.
    const fn top(self) -> f32 {
        match self {
            Self::Driving => 76.0,
            Self::Calls => 28.0,
        }
    }

    /// Left free below, in points: for STOP and the list's own margin, or for that alone.
    const fn below(self) -> f32 {
        match self {
            Self::Driving => 264.0,
            Self::Calls => 128.0,
        }
    }
}

/// Shows the list; F1, Esc or the button closes it. It is no modal: STOP beside it must go on working.
pub(crate) fn show(ui: &Ui, about: About, shown: &mut Shown) {
    let p = Palette::of(ui);
    let frame = Frame::NONE
        .fill(p.surface)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(16)
        .inner_margin(Margin::same(24))
        .shadow(ui.visuals().popup_shadow);
    let window = ui.ctx().content_rect();
    let area = Area::new(egui::Id::unique("shortcuts"))
        .order(egui::Order::Foreground)
        .anchor(egui::Align2::CENTER_TOP, vec2(0.0, about.top()));
    area.show(ui.ctx(), |ui| {
        frame.show(ui, |ui| {
            ui.set_width((window.width() - 96.0).min(600.0));
            ui.spacing_mut().interact_size.y = 20.0;
            ui.horizontal(|ui| {
                ui.label(theme::text("Keyboard shortcuts", size::TITLE, Weight::Bold, p.text));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if icon_button(ui, lucide_icons::Icon::X, "Close the list of shortcuts", Tone::Quiet)
                        .clicked()
                    {
                        *shown = Shown::No;
                    }
                });
            });
            ui.add_space(HALF);
            let room = (window.height() - about.top() - about.below()).max(80.0);
            egui::ScrollArea::vertical().max_height(room).min_scrolled_height(room).show(ui, |ui| {
                ui.columns(2, |columns| {
                    let words = match about {
                        About::Driving => {
                            group(&mut columns[0], "Driving", &DRIVING);
                            group(&mut columns[1], "Window", &WINDOW);
                            "Keys drive only while no field or button has the focus. \
                                 Leaving the window lets everything go: the car stops."
                        }
                        About::Calls => {
                            group(&mut columns[0], "In a call", &CALLS);
                            group(&mut columns[1], "Window", &PAGES);
                            "Letters are keys only while nothing is being written. \
                                 Another key to talk can be chosen in the settings."
                        }
                    };
                    columns[1].add_space(HALF);
                    // Columns justify, which tears a paragraph apart.
                    columns[1].with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
                    });
                });
            });
        })
    });
}

fn group(ui: &mut Ui, heading: &str, keys: &[(&str, &str)]) {
    let p = Palette::of(ui);
    ui.label(theme::text(heading, size::BODY, Weight::Bold, p.soft));
    egui::Grid::new(heading).num_columns(2).spacing(vec2(16.0, 6.0)).show(ui, |ui| {
        for (key, what) in keys {
            Frame::NONE
                .fill(p.raised)
                .stroke(Stroke::new(1.0, p.line))
                .corner_radius(6)
                .inner_margin(Margin::symmetric(8, 3))
                .show(ui, |ui| ui.label(theme::text(*key, size::BODY, Weight::Medium, p.text)));
            ui.label(theme::text(*what, size::BODY, Weight::Regular, p.text));
            ui.end_row();
        }
    });
}

const DRIVING: [(&str, &str); 10] = [
    ("Esc", "Emergency stop"),
    ("Enter", "Hold for a second: arm"),
    ("W  S", "Forward, reverse"),
    ("A  D", "Steer"),
    ("Space", "Brake"),
    ("Shift", "Boost"),
    ("Q  E", "Pan the camera"),
    ("R  F", "Tilt the camera"),
    ("L  H", "Lights, horn"),
    ("T", "Hold to talk to the car"),
];

const CALLS: [(&str, &str); 11] = [
    ("M", "Mute, unmute"),
    ("V", "Camera on, off"),
    ("Space", "Hold to talk, or to be silent"),
    ("S", "Share a screen"),
    ("H", "Raise the hand"),
    ("C", "Chat"),
    ("P", "People"),
    ("G", "Layout"),
    ("F", "Full screen"),
    ("Esc", "Close what is open"),
    ("Ctrl+L", "Leave"),
];

const PAGES: [(&str, &str); 7] = [
    ("F1  ?", "This list"),
    ("F2", "Drive"),
    ("F3", "Controller"),
    ("F4  F5", "Stats, settings"),
    ("F7", "Calls"),
    ("F9  Shift+F9", "Answer a ring, decline it"),
    ("F11", "Full screen"),
];

const WINDOW: [(&str, &str); 11] = [
    ("F1  ?", "This list"),
    ("F2", "Drive"),
    ("F3", "Controller"),
    ("F4  F5", "Stats, settings"),
    ("F6", "Economy mode"),
    ("F7", "Calls"),
    ("F8", "Hear the car"),
    ("F9  Shift+F9", "Answer a ring, decline it"),
    ("F10", "Hide the figures"),
    ("F11", "Full screen"),
    ("F12", "Snapshot"),
];
