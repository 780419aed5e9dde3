//! What everybody should know, and who waits to be let in: in a strip above the tiles, so that no face is covered.

use std::time::Duration;

use eframe::egui::{
    Align, Align2, Color32, Id, Layout, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use farwheel_peer::signaling::PeerId;
use lucide_icons::Icon;

use super::parts::{BETWEEN, avatar, lasted, pill, pill_width, region, words_width};
use super::{Cx, Screen, arrange};
use crate::model::call::{Call, Command, Own, Server, Source};
use crate::model::settings::Fit;
use crate::render::video::{self, Look, Mirror, Tile};
use crate::ui::theme::{Palette, STEP, Weight, size};
use crate::ui::widgets::{Tone, button_named, describe, focus_ring, paint_icon, paint_line};

/// Shows the strip along the upper edge of the stage, if there is something to be told; returns what is left below.
pub(super) fn strip(ui: &mut Ui, stage: Rect, screen: &mut Screen, cx: &mut Cx<'_>) -> Rect {
    let items = items(cx.call, &Palette::of(ui), stage.height() < LOW);
    if items.is_empty() {
        return stage;
    }
    let height = if stage.height() < LOW { 38.0 } else { 44.0 };
    let widths: Vec<f32> = items.iter().map(|item| item.width(ui, cx.call)).collect();
    let places = arrange::flow(stage, &widths, height, STEP);
    for (item, rect) in items.iter().zip(&places) {
        match item {
            Item::Note(note) => {
                pill(ui, *rect, note.icon, note.ink, &note.words);
                describe(ui, *rect, note.kind, &note.spoken);
            }
            Item::Sharing(words) => sharing(ui, *rect, words, screen, cx),
            Item::Knock { id, name, more } => knock(ui, *rect, *id, name, *more, cx),
        }
    }
    let bottom = places.last().map_or(stage.top(), |place| place.bottom() + BETWEEN);
    Rect::from_min_max(pos2(stage.left(), bottom), stage.max)
}

/// Shows what lies over the tiles, as it goes away by itself.
pub(super) fn over(ui: &Ui, stage: Rect, cx: &Cx<'_>) {
    if !cx.call.own.speaks_while_muted {
        return;
    }
    let p = Palette::of(ui);
    let words = "You are muted. Press M to be heard.";
    let size = vec2(pill_width(ui, words).min(stage.width()), 36.0);
    let rect = Rect::from_center_size(pos2(stage.center().x, stage.bottom() - 30.0), size);
    pill(ui, rect, Icon::MicOff, p.bad, words);
    describe(ui, rect, "muted", words);
}

/// Something in the strip.
enum Item<'a> {
    Note(Note),
    /// What this side shows to the others, or is about to, in words.
    Sharing(String),
    /// Who waits before the door; the last one shown tells how many more there are.
    Knock {
        id: PeerId,
        name: &'a str,
        more: usize,
    },
}

/// What stays there as long as it is so.
struct Note {
    /// Names it for as long as it is there, whatever its words are.
    kind: &'static str,
    icon: Icon,
    ink: Color32,
    words: String,
    /// For screen readers, which would read a time anew each second.
    spoken: String,
}

impl Item<'_> {
    fn width(&self, ui: &Ui, call: &Call) -> f32 {
        match self {
            Self::Note(note) => pill_width(ui, &note.words),
            Self::Sharing(words) => words_width(ui, words, Weight::Medium) + 82.0 + 90.0,
            Self::Knock { name, more, .. } => {
                let words = words_width(ui, &waits(*more, call.is_moderator), Weight::Regular);
                let name = words_width(ui, name, Weight::Bold).min(220.0);
                let buttons = if call.is_moderator { 2.0 * ANSWER + STEP + 16.0 } else { 8.0 };
                words.max(name) + 52.0 + buttons
            }
        }
    }
}

fn items<'a>(call: &'a Call, p: &Palette, is_low: bool) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = standing(call, p).into_iter().map(Item::Note).collect();
    items.extend(seen(&call.own).map(Item::Sharing));
    let shown = call.knocking.len().min(if is_low { 1 } else { KNOCKS_MAX });
    for (index, (id, name)) in call.knocking[..shown].iter().enumerate() {
        let more = if index + 1 == shown { call.knocking.len() - shown } else { 0 };
        items.push(Item::Knock { id: *id, name, more });
    }
    items
}

fn standing(call: &Call, p: &Palette) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |kind, icon, ink, words: String, time: Option<Duration>| {
        let spoken = words.clone();
        let words = time.map_or(words, |time| format!("{spoken} \u{b7} {}", lasted(time)));
        notes.push(Note { kind, icon, ink, words, spoken });
    };
    if call.recording.is_some() || !call.recorded_by.is_empty() {
        let time = call.recording.as_ref().map(|recording| recording.lasted);
        let words = recorded_by(time.is_some(), &call.recorded_by);
        note("recording", Icon::CircleDot, p.bad, words, time);
    }
    if let Server::Away(since) = call.server {
        let words = "Server not reached: the call goes on, nobody new can join".to_owned();
        note("server", Icon::CloudOff, p.warning, words, Some(since));
    }
    let own = &call.own;
    let silent = match (own.microphone.used, own.speaker.used) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some("Listen only: no microphone"),
        (Some(_), None) => Some("No speaker: you do not hear the others"),
        (None, None) => Some("No sound device: you neither hear the others nor speak to them"),
    };
    if let Some(words) = silent {
        note("silent", Icon::HeadphoneOff, p.warning, words.to_owned(), None);
    }
    notes
}

/// Who records, in one sentence; `own` is this side.
fn recorded_by(own: bool, names: &[String]) -> String {
    match (own, names) {
        (true, []) => "You record this call".to_owned(),
        (true, [one]) => format!("You and {one} record this call"),
        (true, names) => format!("You and {} others record this call", names.len()),
        (false, []) => String::new(),
        (false, [one]) => format!("{one} records this call"),
        (false, [first, second]) => format!("{first} and {second} record this call"),
        (false, [first, rest @ ..]) => format!("{first} and {} others record this call", rest.len()),
    }
}

fn seen(own: &Own) -> Option<String> {
    match (&own.shared, &own.opens) {
        (Some(name), _) => Some(format!("Everybody sees {name}")),
        (None, Some(name)) => Some(format!("About to share {name}")),
        (None, None) => None,
    }
}

/// What this side shows to the others, small, and the way out.
fn sharing(ui: &mut Ui, rect: Rect, words: &str, screen: &mut Screen, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 12.0, p.surface);
    ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let height = rect.height() - 12.0;
    let small = Rect::from_min_size(rect.min + vec2(6.0, 6.0), vec2(height * 16.0 / 9.0, height));
    let id = Id::unique("the own screen, small");
    let is_large = screen.pinned == Some(Source::OwnScreen);
    let response = ui.interact(small, id, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_large, "Show your screen large"));
    ui.painter().rect_filled(small, 6.0, p.raised);
    let slot = cx.call.own.shared.as_ref().and_then(|_| (cx.pictures.call)(Source::OwnScreen));
    let shown = slot.and_then(|slot| {
        let (fit, look) = (Fit::Fill, Look::LIVE);
        video::paint_tile(ui, &slot, Tile { id, rect: small, fit, radius: 6.0, mirror: Mirror::No, look })
    });
    if shown.is_none() {
        paint_icon(ui, small.center(), Align2::CENTER_CENTER, Icon::MonitorUp, 16.0, p.accent);
    }
    focus_ring(ui, &response, small, 6.0);
    if response.on_hover_cursor(eframe::egui::CursorIcon::PointingHand).clicked() {
        screen.pinned = if is_large { None } else { Some(Source::OwnScreen) };
    }
    let left = small.right() + 12.0;
    let line = [(words, size::BODY, Weight::Medium, p.text)];
    let room = rect.right() - 90.0 - left;
    paint_line(ui, pos2(left, rect.center().y), room, &line);
    describe(ui, Rect::from_min_size(pos2(left, rect.top()), vec2(room, rect.height())), "sharing", words);
    let each = vec2(76.0, rect.height() - 12.0);
    let place = Rect::from_min_size(rect.right_top() + vec2(-82.0, 6.0), each);
    let mut child = region(ui, place, "stop sharing", Layout::default());
    if button_named(&mut child, None, "Stop", "Stop sharing", Tone::Plain, each).clicked() {
        cx.ask(Command::EndShare);
    }
}

fn waits(more: usize, is_moderator: bool) -> String {
    match (more, is_moderator) {
        (0, true) => "wants to join".into(),
        (0, false) => "wants to join; a moderator can let them in".into(),
        (more, _) => format!("wants to join, and {more} more"),
    }
}

/// Somebody before the door.
fn knock(ui: &mut Ui, rect: Rect, id: PeerId, name: &str, more: usize, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 12.0, p.surface);
    ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    avatar(ui, rect.left_center() + vec2(24.0, 0.0), 14.0, name);
    let buttons = if cx.call.is_moderator { 2.0 * ANSWER + STEP + 16.0 } else { 8.0 };
    let room = rect.width() - 46.0 - buttons;
    let words = waits(more, cx.call.is_moderator);
    let at = rect.left_center() + vec2(46.0, -8.0);
    paint_line(ui, at, room, &[(name, size::BODY, Weight::Bold, p.text)]);
    let at = rect.left_center() + vec2(46.0, 8.5);
    paint_line(ui, at, room, &[(words.as_str(), size::CAPTION, Weight::Regular, p.soft)]);
    let place = Rect::from_min_size(rect.min, vec2(46.0 + room, rect.height()));
    describe(ui, place, &format!("knock {id:?}"), &format!("{name} {words}"));
    if !cx.call.is_moderator {
        return;
    }
    let place = Rect::from_min_max(pos2(rect.right() - buttons + 8.0, rect.top()), rect.max - vec2(8.0, 0.0));
    let mut child = region(ui, place, ("answers", id), Layout::left_to_right(Align::Center));
    child.spacing_mut().item_spacing.x = STEP;
    let each = vec2(ANSWER, rect.height() - 12.0);
    let spoken = format!("Deny {name}");
    if button_named(&mut child, None, "Deny", &spoken, Tone::Plain, each).clicked() {
        cx.ask(Command::Deny(id));
    }
    let spoken = format!("Admit {name}");
    if button_named(&mut child, None, "Admit", &spoken, Tone::Primary, each).clicked() {
        cx.ask(Command::Admit(id));
    }
}

/// Who waits, at a time: the next one comes when one is answered.
const KNOCKS_MAX: usize = 2;
/// Width of an answer to who waits, in points.
const ANSWER: f32 = 64.0;
/// A stage that is lower has little room to give away, in points.
const LOW: f32 = 360.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::DARK;

    #[test]
    fn everybody_who_records_is_named_or_counted() {
        let names = |count: usize| -> Vec<String> {
            ["Ada", "Grace", "Alan"][..count].iter().map(|n| (*n).into()).collect()
        };
        for (own, count, want) in [
            (true, 0, "You record this call"),
            (true, 1, "You and Ada record this call"),
            (true, 3, "You and 3 others record this call"),
            (false, 1, "Ada records this call"),
            (false, 2, "Ada and Grace record this call"),
            (false, 3, "Ada and 2 others record this call"),
        ] {
            assert_eq!(recorded_by(own, &names(count)), want);
        }
    }

    #[test]
    fn a_note_that_counts_seconds_is_spoken_once() {
        let told = |seconds| {
            let call = Call { server: Server::Away(Duration::from_secs(seconds)), ..Call::default() };
            let notes = standing(&call, &DARK);
            (notes[0].kind, notes[0].spoken.clone(), notes[0].words.clone())
        };
        let (first, second) = (told(41), told(42));
        assert_eq!((first.0, &first.1), (second.0, &second.1));
        assert!(first.2.ends_with("0:41") && second.2.ends_with("0:42"), "{first:?} {second:?}");
    }

    #[test]
    fn the_last_of_those_who_wait_tells_how_many_more_there_are() {
        let knocking = (1..=5).map(|n| (PeerId::new(n), format!("Guest {n}"))).collect();
        let call = Call { knocking, ..Call::default() };
        for (is_low, want) in [(false, vec![0, 3]), (true, vec![4])] {
            let more: Vec<usize> = items(&call, &DARK, is_low)
                .iter()
                .filter_map(|item| match item {
                    Item::Knock { more, .. } => Some(*more),
                    Item::Note(_) | Item::Sharing(_) => None,
                })
                .collect();
            assert_eq!(more, want);
        }
    }
}
