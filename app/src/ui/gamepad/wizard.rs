//! The mapping wizard: one request at a time, large; the pad beside it shows what moves.

use eframe::egui::{Align, Layout, Rect, Sense, Ui, pos2, vec2};
use lucide_icons::Icon;

use super::pad;
use crate::input::wizard::State;
use crate::model::gamepad::{Device, Wizard};
use crate::model::{Command, Level};
use crate::ui::theme::{self, Palette, STEP, Weight, size};
use crate::ui::widgets::{Tone, banner, button, card, describe};

/// Shows the wizard.
pub(crate) fn show(ui: &mut Ui, wizard: &Wizard, device: Option<&Device>, out: &mut Vec<Command>) {
    let p = Palette::of(ui);
    ui.set_max_width(720.0);
    card(ui, "", |ui| {
        let steps = wizard.steps.max(1);
        let words = format!("Step {} of {steps}", (wizard.done + 1).min(steps));
        ui.label(theme::text(words, size::BODY, Weight::Medium, p.soft));
        let (bar, _) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), Sense::hover());
        ui.painter().rect_filled(bar, 3.0, p.raised);
        let share = wizard.done as f32 / steps as f32;
        let filled = Rect::from_min_max(bar.min, pos2(bar.left() + bar.width() * share, bar.bottom()));
        ui.painter().rect_filled(filled, 3.0, p.accent);
        describe(ui, bar, "progress", &format!("{} of {steps} done", wizard.done));
        ui.add_space(STEP);
        let ink = match wizard.state {
            State::Releasing(_) | State::Done => p.good,
            State::Settling | State::Waiting(_) => p.text,
        };
        ui.label(theme::text(&wizard.prompt, size::TITLE, Weight::Bold, ink));
        if let Some(complaint) = &wizard.complaint {
            let mut sentence = complaint.clone();
            if let Some(first) = sentence.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            banner(ui, Level::Warning, &sentence, "");
        }
        ui.add_space(STEP);
        if let Some(device) = device {
            let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 240.0), Sense::hover());
            pad::paint(ui, rect, &device.sample);
        }
        ui.add_space(STEP);
        ui.horizontal(|ui| {
            if button(ui, Some(Icon::X), "Cancel", Tone::Quiet).clicked() {
                out.push(Command::WizardCancel);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                match &wizard.state {
                    State::Done => {
                        if button(ui, Some(Icon::Save), "Save mapping", Tone::Primary).clicked() {
                            out.push(Command::WizardSave);
                        }
                    }
                    State::Waiting(step) if step.is_optional() => {
                        if button(ui, Some(Icon::SkipForward), "Skip", Tone::Plain).clicked() {
                            out.push(Command::WizardSkip);
                        }
                    }
                    State::Waiting(_) | State::Settling | State::Releasing(_) => {}
                }
                if wizard.done > 0 && button(ui, Some(Icon::Undo2), "Back", Tone::Plain).clicked() {
                    out.push(Command::WizardBack);
                }
            });
        });
    });
}
