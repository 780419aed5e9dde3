//! The settings page.

use eframe::egui::{self, Align, Align2, Layout, ScrollArea, Sense, Ui, vec2};
use lucide_icons::Icon;

use super::call::{self, parts};
use super::theme::{self, CONTROL, GAP, Palette, STEP, Weight, size};
use super::widgets::{self, Tone, button, card, field, paint_text, segmented, slider_row, toggle_row};
use crate::model::call::{Command as Ask, Kind, Own};
use crate::model::settings::{FILE_LIMIT_MB, Fit, Paths, Present, TalkKey, Units};
use crate::model::{Command, Model};
use crate::settings::{Settings, Theme};

/// Shows the page.
pub(crate) fn show(ui: &mut Ui, model: &Model, out: &mut Vec<Command>) {
    let mut settings = model.settings.clone();
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let width = (ui.available_width() - 56.0).min(1040.0);
        let side = (ui.available_width() - width) / 2.0;
        let middle = ui.max_rect().shrink2(vec2(side, 28.0));
        let shown = ui.scope_builder(egui::UiBuilder::new().max_rect(middle), |ui| {
            ui.set_width(width);
            widgets::page_title(ui, "Settings", "Kept on this computer.");
            ui.add_space(STEP);
            if width > 760.0 {
                ui.horizontal_top(|ui| {
                    ui.spacing_mut().item_spacing.x = GAP;
                    let half = (width - GAP) / 2.0;
                    column(ui, half, |ui| {
                        looks(ui, &mut settings);
                        calls(ui, &mut settings, model, out);
                        video(ui, &mut settings);
                    });
                    column(ui, half, |ui| {
                        hud(ui, &mut settings);
                        driving(ui, &mut settings);
                    });
                });
            } else {
                column(ui, width, |ui| {
                    looks(ui, &mut settings);
                    calls(ui, &mut settings, model, out);
                    video(ui, &mut settings);
                    hud(ui, &mut settings);
                    driving(ui, &mut settings);
                });
            }
            ui.add_space(GAP);
            about(ui);
        });
        // The margin below, which the scroll area would else leave out.
        ui.expand_to_include_rect(shown.response.rect.expand(28.0));
    });
    if settings != model.settings {
        out.push(Command::ChangeSettings(Box::new(settings)));
    }
}

fn column(ui: &mut Ui, width: f32, contents: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = GAP;
        contents(ui);
    });
}

fn row(ui: &mut Ui, words: &str, control: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_min_height(CONTROL);
        let p = Palette::of(ui);
        ui.label(theme::text(words, size::BODY, Weight::Medium, p.text));
        ui.with_layout(Layout::right_to_left(Align::Center), control);
    });
}

fn looks(ui: &mut Ui, settings: &mut Settings) {
    card(ui, "Appearance", |ui| {
        row(ui, "Theme", |ui| {
            let choices = [(Theme::Dark, "Dark"), (Theme::Light, "Light"), (Theme::System, "System")];
            segmented(ui, "Theme", &mut settings.theme, &choices);
        });
        row(ui, "Units", |ui| {
            let choices = [(Units::Metric, "km/h"), (Units::Si, "m/s"), (Units::Imperial, "mph")];
            segmented(ui, "Units", &mut settings.view.units, &choices);
        });
        row(ui, "Size", |ui| {
            // Steps and not a slider: a slider would move away under the pointer while everything grows.
            let mut step = (settings.ui_scale * 4.0).round() as i32;
            let choices = [(3, "75 %"), (4, "100 %"), (5, "125 %"), (6, "150 %"), (8, "200 %")];
            if segmented(ui, "Size", &mut step, &choices) {
                settings.ui_scale = step as f32 / 4.0;
            }
        });
        field(ui, "Your name, as others in the room see it", "Ada", &mut settings.name, None);
    });
}

fn calls(ui: &mut Ui, settings: &mut Settings, model: &Model, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    card(ui, "Calls", |ui| {
        let own = match (&model.call, &model.prejoin) {
            (Some(call), _) => Some(&call.own),
            (None, Some(before)) => Some(&before.own),
            (None, None) => None,
        };
        match own {
            Some(own) => devices(ui, own, settings, out),
            None => {
                for (what, name) in [
                    ("Camera", &settings.call.camera),
                    ("Microphone", &settings.call.microphone),
                    ("Speaker", &settings.call.speaker),
                ] {
                    row(ui, what, |ui| {
                        let name = name.as_deref().unwrap_or("The system's");
                        let words = theme::text(name, size::BODY, Weight::Regular, p.soft);
                        ui.add(egui::Label::new(words).truncate());
                    });
                }
                let words = "Devices are tried and chosen on the screen before a call.";
                ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
            }
        }
        ui.spacing_mut().item_spacing.y = 2.0;
        let before = settings.call.cleaning;
        let cleaning = &mut settings.call.cleaning;
        toggle_row(ui, "Take out the echo of the speaker", "", &mut cleaning.echo);
        toggle_row(ui, "Take out noise", "", &mut cleaning.noise);
        toggle_row(ui, "Even out loudness", "", &mut cleaning.gain);
        if *cleaning != before && own.is_some() {
            out.push(Command::Call(Ask::Clean(*cleaning)));
        }
        row(ui, "Key to talk", |ui| {
            let choices = [(TalkKey::Space, "Space"), (TalkKey::Backtick, "Backtick"), (TalkKey::F8, "F8")];
            segmented(ui, "Key to talk", &mut settings.call.talk_key, &choices);
        });
        row(ui, "Files up to", |ui| {
            let choices = [(100, "100 MB"), (FILE_LIMIT_MB, "2 GB"), (20_000, "20 GB")];
            segmented(ui, "Files up to", &mut settings.call.file_limit_mb, &choices);
        });
        let hint = "Others see you as you are.";
        toggle_row(ui, "Show me as in a mirror", hint, &mut settings.call.mirror);
        toggle_row(ui, "Low data", "Cameras are sent and asked for small.", &mut settings.call.low_data);
        let hint = "The others do not learn your address. From the next call on.";
        toggle_row(ui, "By relay only", hint, &mut settings.call.relay_only);
    });
}

fn devices(ui: &mut Ui, own: &Own, settings: &mut Settings, out: &mut Vec<Command>) {
    for (kind, what, icon, none, device) in [
        (Kind::Camera, "Camera", Icon::Video, "No camera", &own.camera),
        (Kind::Microphone, "Microphone", Icon::Mic, "No microphone", &own.microphone),
        (Kind::Speaker, "Speaker", Icon::Volume2, "No speaker", &own.speaker),
    ] {
        let chosen = ui.horizontal(|ui| {
            let (label, _) = ui.allocate_exact_size(vec2(LABEL, parts::PICKER), Sense::hover());
            let ink = Palette::of(ui).text;
            let at = label.left_center();
            paint_text(ui, at, Align2::LEFT_CENTER, what, size::BODY, Weight::Medium, ink);
            parts::picker(ui, what, icon, none, device)
        });
        if let Some(index) = chosen.inner {
            out.push(Command::Call(Ask::Use(kind, index)));
            call::keep(&mut settings.call, kind, device.names.get(index).cloned());
        }
    }
}

/// Room for the name of a device's kind, in points.
const LABEL: f32 = 92.0;

fn video(ui: &mut Ui, settings: &mut Settings) {
    card(ui, "Video", |ui| {
        row(ui, "Picture", |ui| {
            let choices = [(Fit::Fill, "Fill the window"), (Fit::Letterbox, "Show all of it")];
            segmented(ui, "Picture", &mut settings.view.fit, &choices);
        });
        row(ui, "Present", |ui| {
            let choices = [(Present::Immediate, "At once"), (Present::Vsync, "With the screen")];
            segmented(ui, "Present", &mut settings.view.present, &choices);
        });
        let p = Palette::of(ui);
        let words = match settings.view.present {
            Present::Immediate => "Lowest delay; on some screens a picture may be torn.",
            Present::Vsync => "No tearing; up to one refresh later.",
        };
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    });
}

fn hud(ui: &mut Ui, settings: &mut Settings) {
    card(ui, "On the drive screen", |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let hud = &mut settings.view.hud;
        toggle_row(ui, "Speed and controls", "", &mut hud.speed);
        toggle_row(ui, "Link figures", "", &mut hud.link);
        toggle_row(ui, "Link report and data used", "", &mut hud.why);
        toggle_row(ui, "Where the time goes", "", &mut settings.show_stages);
        toggle_row(ui, "Battery and temperature", "", &mut hud.vehicle);
        toggle_row(ui, "Lap times", "", &mut hud.laps);
        toggle_row(ui, "Map", "", &mut hud.map);
        let p = Palette::of(ui);
        let words = "Picture age, state and STOP are always there.";
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    });
}

fn driving(ui: &mut Ui, settings: &mut Settings) {
    card(ui, "Driving", |ui| {
        toggle_row(ui, "Economy mode (F6)", "Video uses 0.6 Mbit/s at most.", &mut settings.economy);
        toggle_row(ui, "Rumble when the link is lost", "", &mut settings.rumble);
        row(ui, "Control on", |ui| {
            let choices =
                [(Paths::One, "One path"), (Paths::Auto, "Two networks"), (Paths::Two, "Relay too")];
            segmented(ui, "Control on", &mut settings.control_paths, &choices);
        });
        let words = match settings.control_paths {
            Paths::One => "Commands travel with the video alone.",
            Paths::Auto => "In two networks, commands go by both: 60 MB an hour.",
            Paths::Two => "Without a second network they go by a relay as well.",
        };
        let soft = Palette::of(ui).soft;
        ui.label(theme::text(words, size::BODY, Weight::Regular, soft));
        let percent = |value: f32| format!("{:.0} %", value * 100.0);
        slider_row(ui, "Keyboard throttle", &mut settings.keyboard.throttle_max, 0.1..=1.0, percent);
        let p = Palette::of(ui);
        let words = "The robot has limits of its own; the smaller one counts.";
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
    });
}

fn about(ui: &mut Ui) {
    let p = Palette::of(ui);
    ui.horizontal(|ui| {
        let words = concat!("Farwheel ", env!("CARGO_PKG_VERSION"));
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.faint));
        if button(ui, Some(Icon::Copy), "Copy version", Tone::Quiet).clicked() {
            ui.ctx().copy_text(words.into());
        }
    });
}
