//! The controller page: a live picture of the pad, what each control does, how it feels, and the mapping wizard.

mod curve;
mod pad;
mod wizard;

use eframe::egui::{self, Align, Align2, Layout, Rect, ScrollArea, Sense, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::theme::{self, GAP, HALF, Palette, STEP, Weight, size};
use super::widgets::{
    self, Tone, banner, button, card, describe, paint_text, segmented, slider_row, toggle_row,
};
use crate::input::keyboard::Rates;
use crate::input::profile::{Element, Feel, Function, Profile, Travel};
use crate::model::gamepad::Device;
use crate::model::{Command, Level, Model};

/// Which curve is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    /// Steering.
    #[default]
    Steering,
    /// Throttle.
    Throttle,
}

/// Shows the page.
pub(crate) fn show(ui: &mut Ui, tab: &mut Tab, model: &Model, out: &mut Vec<Command>) {
    let state = &model.gamepad;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        egui::Frame::NONE.inner_margin(egui::Margin::same(28)).show(ui, |ui| {
            let width = ui.available_width().min(1120.0);
            ui.set_width(width);
            head(ui, model, out);
            if let Some(state) = &state.wizard {
                wizard::show(ui, state, model.gamepad.active_device(), out);
                return;
            }
            match state.active_device() {
                Some(device) if width > 760.0 => {
                    ui.horizontal_top(|ui| {
                        ui.spacing_mut().item_spacing.x = GAP;
                        let half = (width - GAP) / 2.0;
                        column(ui, half, |ui| {
                            live(ui, model, device, out);
                            keyboard(ui, model, out);
                        });
                        column(ui, half, |ui| {
                            feel(ui, tab, device, out);
                            mapping(ui, device, out);
                        });
                    });
                }
                Some(device) => {
                    column(ui, width, |ui| {
                        live(ui, model, device, out);
                        feel(ui, tab, device, out);
                        mapping(ui, device, out);
                        keyboard(ui, model, out);
                    });
                }
                None => {
                    column(ui, width.min(640.0), |ui| {
                        card(ui, "No controller connected", |ui| {
                            let why = state.unavailable.as_deref().unwrap_or(
                                "Plug in a gamepad or a wheel, or pair it by Bluetooth. It appears here by itself.",
                            );
                            let p = Palette::of(ui);
                            ui.label(theme::text(why, size::BODY, Weight::Regular, p.soft));
                            let words = "The keyboard drives at any time.";
                            ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
                        });
                        keyboard(ui, model, out);
                    });
                }
            }
        });
    });
}

fn column(ui: &mut Ui, width: f32, contents: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = GAP;
        contents(ui);
    });
}

fn head(ui: &mut Ui, model: &Model, out: &mut Vec<Command>) {
    let state = &model.gamepad;
    // The buttons need the room in a narrow window.
    let is_wide = ui.available_width() > 760.0;
    let words = if is_wide { "See what your hands do, and shape what the car gets." } else { "" };
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            widgets::page_title(ui, "Controller", words);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if state.wizard.is_some() {
                return;
            }
            if let Some(device) = state.active_device() {
                if button(ui, Some(Icon::WandSparkles), "Map controls", Tone::Primary).clicked() {
                    out.push(Command::WizardStart);
                }
                if device.rumble && button(ui, Some(Icon::Vibrate), "Test", Tone::Plain).clicked() {
                    out.push(Command::TestRumble);
                }
            }
            if state.devices.len() > 1 {
                let p = Palette::of(ui);
                let current = state.active_device().map_or("None", |device| device.name.as_str());
                let combo = egui::ComboBox::from_id_salt("device")
                    .selected_text(current)
                    .width(if is_wide { 200.0 } else { 120.0 })
                    .truncate()
                    .show_ui(ui, |ui| {
                        for (index, device) in state.devices.iter().enumerate() {
                            let is_active = state.active == Some(index);
                            if ui.selectable_label(is_active, &device.name).clicked() {
                                out.push(Command::SelectDevice(index));
                            }
                        }
                    })
                    .response;
                if !is_wide {
                    combo.on_hover_text("Device");
                    return;
                }
                // Laid out from the right: the label comes to the left of what it names.
                let label = ui.label(theme::text("Device", size::BODY, Weight::Medium, p.soft));
                combo.labelled_by(label.id);
            }
        });
    });
    ui.add_space(STEP);
}

fn live(ui: &mut Ui, model: &Model, device: &Device, _out: &mut Vec<Command>) {
    card(ui, &device.name, |ui| {
        let width = ui.available_width();
        let (rect, _) = ui.allocate_exact_size(vec2(width, (width * 0.56).min(300.0)), Sense::hover());
        pad::paint(ui, rect, &device.sample);
        ui.add_space(STEP);
        let shaped = &model.gamepad.shaped;
        for (name, value) in [("Throttle", shaped.throttle), ("Steering", shaped.steer)] {
            meter(ui, name, value);
        }
        let held = [
            ("Deadman", shaped.deadman),
            ("Arm", shaped.arm),
            ("Stop", shaped.estop),
            ("Brake", shaped.brake),
            ("Boost", shaped.boost),
        ];
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
            for (name, is_held) in held {
                chip(ui, name, is_held);
            }
        });
    });
}

fn chip(ui: &mut Ui, name: &str, is_held: bool) {
    let p = Palette::of(ui);
    let (fill, ink) = if is_held { (p.accent, p.on_accent) } else { (p.raised, p.soft) };
    egui::Frame::NONE.fill(fill).corner_radius(12).inner_margin(egui::Margin::symmetric(10, 4)).show(
        ui,
        |ui| {
            ui.label(theme::text(name, size::BODY, Weight::Medium, ink));
        },
    );
}

fn meter(ui: &mut Ui, name: &str, value: f32) {
    let p = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let middle = rect.center().y;
    let at = pos2(rect.left(), middle);
    paint_text(ui, at, Align2::LEFT_CENTER, name, size::BODY, Weight::Medium, p.soft);
    let number = format!("{:+.0} %", value * 100.0);
    let number = if value.abs() < 0.005 { "0 %".to_owned() } else { number };
    let at = pos2(rect.right(), middle);
    paint_text(ui, at, Align2::RIGHT_CENTER, &number, size::BODY, Weight::Medium, p.text);
    let track =
        Rect::from_min_max(pos2(rect.left() + 84.0, middle - 4.0), pos2(rect.right() - 64.0, middle + 4.0));
    ui.painter().rect_filled(track, 4.0, p.raised);
    let x = |value: f32| track.center().x + value.clamp(-1.0, 1.0) * track.width() / 2.0;
    if value.abs() > 0.002 {
        let fill = Rect::from_two_pos(pos2(x(0.0), track.top()), pos2(x(value), track.bottom()));
        ui.painter().rect_filled(fill, 3.0, p.accent);
    }
    ui.painter().vline(track.center().x, track.top() - 2.0..=track.bottom() + 2.0, (1.0, p.faint));
    describe(ui, rect, name, &format!("{name} {number}"));
}

fn feel(ui: &mut Ui, tab: &mut Tab, device: &Device, out: &mut Vec<Command>) {
    let mut feel = device.profile.feel.clone();
    card(ui, "Feel", |ui| {
        segmented(ui, "Curve of", tab, &[(Tab::Steering, "Steering"), (Tab::Throttle, "Throttle")]);
        ui.add_space(STEP);
        let travel = match tab {
            Tab::Steering => &device.profile.steer,
            Tab::Throttle => &device.profile.throttle,
        };
        let raw = travel.as_ref().map_or(0.0, |travel| travel.read(&device.sample));
        curve::show(ui, *tab, &mut feel, raw);
        ui.add_space(HALF);
        let percent = |value: f32| format!("{:.0} %", value * 100.0);
        slider_row(ui, "Dead zone", &mut feel.dead_zone, 0.0..=0.5, percent);
        match tab {
            Tab::Steering => {
                slider_row(ui, "Softness", &mut feel.steer_expo, 0.0..=1.0, percent);
                slider_row(ui, "Trim", &mut feel.steer_trim, -0.3..=0.3, |v| format!("{:+.0} %", v * 100.0));
                toggle_row(ui, "Invert steering", "", &mut feel.invert_steer);
            }
            Tab::Throttle => {
                slider_row(ui, "Softness", &mut feel.throttle_expo, 0.0..=1.0, percent);
                slider_row(ui, "Limit", &mut feel.throttle_limit, 0.1..=1.0, percent);
                toggle_row(ui, "Invert throttle", "", &mut feel.invert_throttle);
            }
        }
        if feel != Feel::default()
            && button(ui, Some(Icon::Undo2), "Back to the usual feel", Tone::Quiet).clicked()
        {
            feel = Feel::default();
        }
    });
    if feel != device.profile.feel {
        let profile = Box::new(Profile { feel, ..device.profile.clone() });
        out.push(Command::ChangeProfile { key: device.key.clone(), profile });
    }
}

fn mapping(ui: &mut Ui, device: &Device, out: &mut Vec<Command>) {
    let profile = &device.profile;
    card(ui, "What does what", |ui| {
        let p = Palette::of(ui);
        ui.spacing_mut().item_spacing.y = 2.0;
        let axis = |travel: &Option<Travel>| travel.as_ref().map(|travel| travel.element.clone());
        let axes = [
            ("Steering", axis(&profile.steer)),
            ("Throttle", axis(&profile.throttle)),
            ("Reverse", axis(&profile.reverse)),
            ("Camera pan", axis(&profile.pan)),
            ("Camera tilt", axis(&profile.tilt)),
        ];
        let buttons = Function::ALL.map(|f| (f.label(), profile.buttons.get(&f).cloned()));
        for (name, element) in axes.into_iter().chain(buttons) {
            let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
            let middle = rect.center().y;
            let at = pos2(rect.left(), middle);
            paint_text(ui, at, Align2::LEFT_CENTER, name, size::BODY, Weight::Medium, p.soft);
            let is_live = element.as_ref().is_some_and(|e| is_moved(e, device));
            let words = element.as_ref().map_or("not used".to_owned(), Element::label);
            let ink = match (&element, is_live) {
                (None, _) => p.faint,
                (Some(_), true) => p.accent,
                (Some(_), false) => p.text,
            };
            let at = pos2(rect.right(), middle);
            paint_text(ui, at, Align2::RIGHT_CENTER, &words, size::BODY, Weight::Medium, ink);
            describe(ui, rect, name, &format!("{name}: {words}"));
        }
        ui.add_space(STEP);
        ui.horizontal(|ui| {
            if button(ui, Some(Icon::Undo2), "Usual layout", Tone::Plain).clicked() {
                let usual = Profile { feel: profile.feel.clone(), ..Profile::gamepad(&device.name) };
                out.push(Command::ChangeProfile { key: device.key.clone(), profile: Box::new(usual) });
            }
        });
        if !profile.buttons.contains_key(&Function::Deadman) {
            banner(
                ui,
                Level::Warning,
                "Nothing moves without a deadman button.",
                "Run the mapping and push the button you will hold while driving.",
            );
        }
    });
}

fn is_moved(element: &Element, device: &Device) -> bool {
    device.sample.get(element).is_some_and(|value| value.abs() > 0.35)
}

fn keyboard(ui: &mut Ui, model: &Model, out: &mut Vec<Command>) {
    let mut rates = model.settings.keyboard.clone();
    card(ui, "Keyboard", |ui| {
        let p = Palette::of(ui);
        let words = "Keys are on or off, so they move virtual sticks at these speeds. Letting go stops.";
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
        let seconds = |rate: f32| format!("{:.2} s", 1.0 / rate.max(0.01));
        slider_row(ui, "Steering to full in", &mut rates.steer_attack, 0.5..=10.0, seconds);
        slider_row(ui, "Back to centre in", &mut rates.steer_release, 0.5..=20.0, seconds);
        slider_row(ui, "Throttle to full in", &mut rates.throttle_attack, 0.5..=10.0, seconds);
        slider_row(ui, "Largest throttle", &mut rates.throttle_max, 0.1..=1.0, |v| {
            format!("{:.0} %", v * 100.0)
        });
        if rates != Rates::default()
            && button(ui, Some(Icon::Undo2), "Back to the usual speeds", Tone::Quiet).clicked()
        {
            rates = Rates::default();
        }
    });
    if rates != model.settings.keyboard {
        let mut settings = model.settings.clone();
        settings.keyboard = rates;
        out.push(Command::ChangeSettings(Box::new(settings)));
    }
}
