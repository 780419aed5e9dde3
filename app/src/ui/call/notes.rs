//! What lies over the tiles: what everybody should know, and who waits to be let in.

use std::time::Duration;

use eframe::egui::{Align2, Color32, Layout, Rect, Stroke, StrokeKind, Ui, pos2, vec2};
use farwheel_peer::signaling::PeerId;
use lucide_icons::Icon;

use super::Cx;
use super::parts::{avatar, lasted, pill, region};
use crate::model::call::{Call, Command, Server};
use crate::ui::theme::{Palette, STEP, Weight, size};
use crate::ui::widgets::{Tone, button_named, paint_line};

/// Shows all of it.
pub(super) fn show(ui: &mut Ui, stage: Rect, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let mut top = stage.top() + 12.0;
    for (icon, ink, words) in standing(cx.call, &p) {
        let rect = pill(ui, pos2(stage.center().x, top), icon, ink, &words, &words);
        top = rect.bottom() + STEP;
    }
    if cx.call.own.shared.is_some() {
        top = sharing(ui, stage, top, cx);
    }
    knocks(ui, stage, top, cx);
    if cx.call.own.speaks_while_muted {
        let words = "You are muted. Press M to be heard.";
        pill(ui, pos2(stage.center().x, stage.bottom() - 48.0), Icon::MicOff, p.bad, words, "muted");
    }
}

/// What stays there as long as it is so.
fn standing(call: &Call, p: &Palette) -> Vec<(Icon, Color32, String)> {
    let mut notes = Vec::new();
    if let Some(recording) = &call.recording {
        notes.push((
            Icon::CircleDot,
            p.bad,
            format!("You record this call \u{b7} {}", lasted(recording.lasted)),
        ));
    }
    if !call.recorded_by.is_empty() {
        notes.push((Icon::CircleDot, p.bad, recorded_by(&call.recorded_by)));
    }
    if let Server::Away(since) = call.server {
        notes.push((Icon::CloudOff, p.warning, away(since)));
    }
    let own = &call.own;
    let silent = match (own.microphone.used, own.speaker.used) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some("Listen only: no microphone"),
        (Some(_), None) => Some("No speaker: you do not hear the others"),
        (None, None) => Some("No sound device: you neither hear the others nor speak to them"),
    };
    if let Some(words) = silent {
        notes.push((Icon::HeadphoneOff, p.warning, words.to_owned()));
    }
    notes
}

fn recorded_by(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("{one} records this call"),
        [first, second] => format!("{first} and {second} record this call"),
        [first, rest @ ..] => format!("{first} and {} others record this call", rest.len()),
    }
}

fn away(since: Duration) -> String {
    format!("Server not reached for {}: the call goes on, nobody new can join", lasted(since))
}

/// What this side shows to the others, and the way out.
fn sharing(ui: &mut Ui, stage: Rect, top: f32, cx: &mut Cx<'_>) -> f32 {
    let p = Palette::of(ui);
    let name = cx.call.own.shared.clone().unwrap_or_default();
    let words = format!("Everybody sees {name}");
    let width = (stage.width() - 32.0).min(420.0);
    let rect = Rect::from_min_size(pos2(stage.center().x - width / 2.0, top), vec2(width, 48.0));
    ui.painter().rect_filled(rect, 24.0, p.surface);
    ui.painter().rect_stroke(rect, 24.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let at = rect.left_center() + vec2(26.0, 0.0);
    crate::ui::widgets::paint_icon(ui, at, Align2::CENTER_CENTER, Icon::MonitorUp, 18.0, p.accent);
    let at = rect.left_center() + vec2(46.0, 0.0);
    paint_line(ui, at, width - 46.0 - 92.0, &[(words.as_str(), size::BODY, Weight::Medium, p.text)]);
    let place = Rect::from_min_size(rect.right_top() + vec2(-84.0, 6.0), vec2(76.0, 36.0));
    let mut child = region(ui, place, "stop sharing", Layout::default());
    if button_named(&mut child, None, "Stop", "Stop sharing", Tone::Plain, place.size()).clicked() {
        cx.ask(Command::EndShare);
    }
    rect.bottom() + STEP
}

/// Who waits before the door.
fn knocks(ui: &mut Ui, stage: Rect, top: f32, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    let width = (stage.width() - 24.0).min(348.0);
    let mut top = top;
    let shown = cx.call.knocking.len().min(KNOCKS_MAX);
    for (id, name) in &cx.call.knocking[..shown] {
        let rect = Rect::from_min_size(pos2(stage.right() - 12.0 - width, top), vec2(width, 104.0));
        ui.painter().add(ui.visuals().popup_shadow.as_shape(rect, 14));
        ui.painter().rect_filled(rect, 14.0, p.surface);
        ui.painter().rect_stroke(rect, 14.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
        avatar(ui, rect.left_top() + vec2(34.0, 32.0), 18.0, name);
        let room = width - 64.0 - 14.0;
        let at = rect.left_top() + vec2(64.0, 23.0);
        paint_line(ui, at, room, &[(name.as_str(), size::LEAD, Weight::Bold, p.text)]);
        let more = cx.call.knocking.len() - shown;
        let words =
            if more > 0 { format!("wants to join, and {more} more") } else { "wants to join".to_owned() };
        let at = rect.left_top() + vec2(64.0, 42.0);
        paint_line(ui, at, room, &[(words.as_str(), size::BODY, Weight::Regular, p.soft)]);
        if cx.call.is_moderator {
            answers(
                ui,
                Rect::from_min_max(rect.left_bottom() + vec2(14.0, -46.0), rect.max - vec2(14.0, 10.0)),
                *id,
                name,
                cx,
            );
        } else {
            let at = rect.left_bottom() + vec2(16.0, -24.0);
            let words = "A moderator can let them in.";
            paint_line(ui, at, width - 32.0, &[(words, size::BODY, Weight::Regular, p.soft)]);
        }
        top = rect.bottom() + STEP;
    }
}

fn answers(ui: &mut Ui, rect: Rect, id: PeerId, name: &str, cx: &mut Cx<'_>) {
    let mut child = region(ui, rect, ("answers", id), Layout::left_to_right(eframe::egui::Align::Center));
    let each = vec2((rect.width() - STEP) / 2.0, 36.0);
    let words = format!("Deny {name}");
    if button_named(&mut child, None, "Deny", &words, Tone::Plain, each).clicked() {
        cx.ask(Command::Deny(id));
    }
    let words = format!("Admit {name}");
    if button_named(&mut child, None, "Admit", &words, Tone::Primary, each).clicked() {
        cx.ask(Command::Admit(id));
    }
}

/// Cards at a time: the next one comes when one is answered.
const KNOCKS_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_who_records_is_named_or_counted() {
        let names = |count: usize| -> Vec<String> {
            ["Ada", "Grace", "Alan"][..count].iter().map(|n| (*n).into()).collect()
        };
        assert_eq!(recorded_by(&names(1)), "Ada records this call");
        assert_eq!(recorded_by(&names(2)), "Ada and Grace record this call");
        assert_eq!(recorded_by(&names(3)), "Ada and 2 others record this call");
    }
}
