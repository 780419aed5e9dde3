//! Short notices at the top of the window; each stays a few seconds.

use eframe::egui::{Align2, Area, Context, Frame, Id, Margin, Order, Stroke, Ui, vec2};

use super::theme::{self, Palette, STEP, Weight, size};
use super::widgets::level_icon;
use crate::model::Notice;

/// Notices on screen.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    shown: Vec<(Notice, f64)>,
}

impl Stack {
    /// Takes over new notices; one that is on screen already is not shown twice.
    pub(crate) fn take(&mut self, ctx: &Context, arrived: &mut Vec<Notice>) {
        let now = ctx.input(|input| input.time);
        for notice in arrived.drain(..) {
            self.shown.retain(|(known, _)| *known != notice);
            self.shown.push((notice, now + SECONDS));
        }
        self.shown.retain(|(_, until)| *until > now);
        // Full: the oldest goes; three are as much as anyone reads while driving.
        let too_many = self.shown.len().saturating_sub(SHOWN_MAX);
        self.shown.drain(..too_many);
        if let Some(next) = self.shown.iter().map(|(_, until)| until - now).reduce(f64::min) {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64(next.max(0.05)));
        }
    }

    /// Shows them.
    pub(crate) fn show(&self, ui: &Ui) {
        if self.shown.is_empty() {
            return;
        }
        let p = Palette::of(ui);
        Area::new(Id::unique("notices"))
            .order(Order::Tooltip)
            .anchor(Align2::CENTER_TOP, vec2(0.0, 80.0))
            .interactable(false)
            .show(ui.ctx(), |ui| {
                ui.spacing_mut().item_spacing.y = STEP;
                for (notice, _) in &self.shown {
                    Frame::NONE
                        .fill(p.surface)
                        .stroke(Stroke::new(1.0, p.line))
                        .corner_radius(10)
                        .inner_margin(Margin::symmetric(14, 10))
                        .shadow(ui.visuals().popup_shadow)
                        .show(ui, |ui| {
                            ui.horizontal(|ui| {
                                let colour = p.level(notice.level);
                                ui.label(theme::icon(level_icon(notice.level), 18.0, colour));
                                ui.label(theme::text(&notice.text, size::BODY, Weight::Medium, p.text));
                            });
                        });
                }
            });
    }
}

/// How long a notice stays.
const SECONDS: f64 = 4.0;

/// Notices on screen at a time.
const SHOWN_MAX: usize = 3;
