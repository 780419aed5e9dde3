//! The controls that only calls have: round buttons, menus, bars, meters, faces without a picture.

use eframe::egui::{
    self, Align, Align2, Color32, CursorIcon, Frame, Layout, Margin, Popup, PopupCloseBehavior, Pos2, Rect,
    RectAlign, Response, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use crate::model::Level;
use crate::model::call::{Device, Link};
use crate::ui::theme::{self, Palette, STEP, Weight, faded, size};
use crate::ui::widgets::{focus_ring, paint_icon, paint_line, paint_text, switch_track};

/// How a round button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Round {
    /// Something that can be done.
    Plain,
    /// Something that is on and that one may forget.
    On,
    /// The microphone or the camera is off.
    Off,
    /// It cannot be: no device.
    Missing,
    /// Ends the call.
    Leave,
}

/// A round button with an icon; `name` is its tooltip and its accessible name.
pub(in crate::ui) fn round(ui: &mut Ui, icon: Icon, name: &str, look: Round) -> Response {
    let width = if look == Round::Leave { 64.0 } else { ROUND };
    let (rect, response) = ui.allocate_exact_size(vec2(width, ROUND), Sense::click());
    round_at(ui, rect, &response, icon, name, look);
    response.on_hover_text(name).on_hover_cursor(CursorIcon::PointingHand)
}

/// Paints a round button that has its place already.
pub(in crate::ui) fn round_at(ui: &Ui, rect: Rect, response: &Response, icon: Icon, name: &str, look: Round) {
    let enabled = ui.is_enabled();
    let is_on = matches!(look, Round::On);
    response.widget_info(|| match look {
        Round::On => WidgetInfo::selected(Role::Button, enabled, is_on, name),
        Round::Plain | Round::Off | Round::Missing | Round::Leave => {
            WidgetInfo::labeled(Role::Button, enabled, name)
        }
    });
    let p = Palette::of(ui);
    let is_over = response.hovered() || response.has_focus();
    let (fill, ink) = match look {
        Round::Plain => (if is_over { p.hover } else { p.raised }, p.text),
        Round::On => (if is_over { faded(p.accent, 0.88) } else { p.accent }, p.on_accent),
        Round::Off => (blend(p.surface, p.bad, if is_over { 0.3 } else { 0.2 }), p.bad),
        Round::Missing => (if is_over { p.hover } else { p.raised }, p.faint),
        Round::Leave => {
            (if is_over { blend(p.alarm, Color32::BLACK, 0.12) } else { p.alarm }, Color32::WHITE)
        }
    };
    let radius = rect.height() / 2.0;
    ui.painter().rect_filled(rect, radius, fill);
    if look == Round::Plain || look == Round::Missing {
        ui.painter().rect_stroke(rect, radius, Stroke::new(1.0, p.line), StrokeKind::Inside);
    }
    paint_icon(ui, rect.center(), Align2::CENTER_CENTER, icon, 19.0, ink);
    focus_ring(ui, response, rect, radius);
}

/// The small arrow beside a round button that opens its menu.
pub(in crate::ui) fn caret(ui: &mut Ui, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(24.0, ROUND), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    let p = Palette::of(ui);
    let ink = if response.hovered() || response.has_focus() { p.text } else { p.soft };
    paint_icon(ui, rect.center() - vec2(2.0, 0.0), Align2::CENTER_CENTER, Icon::ChevronUp, 16.0, ink);
    focus_ring(ui, &response, rect.shrink2(vec2(1.0, 8.0)), 8.0);
    response.on_hover_text(name).on_hover_cursor(CursorIcon::PointingHand)
}

/// A number on the upper right of a button.
pub(in crate::ui) fn badge(ui: &Ui, button: Rect, count: usize) {
    if count == 0 {
        return;
    }
    let p = Palette::of(ui);
    let words = if count > 99 { "99+".to_owned() } else { count.to_string() };
    let galley = ui.painter().layout_no_wrap(words, theme::font(size::CAPTION, Weight::Bold), Color32::WHITE);
    let width = (galley.size().x + 10.0).max(18.0);
    let rect = Rect::from_center_size(button.right_top() + vec2(-4.0, 5.0), vec2(width, 18.0));
    ui.painter().rect_filled(rect.expand(2.0), 11.0, p.back);
    ui.painter().rect_filled(rect, 9.0, p.alarm);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, Color32::WHITE);
}

/// One colour over another.
pub(in crate::ui) fn blend(under: Color32, over: Color32, share: f32) -> Color32 {
    under.lerp_to_gamma(over, share)
}

/// A menu above a button.
pub(in crate::ui) fn menu(button: &Response, width: f32, name: &str, contents: impl FnOnce(&mut Ui)) {
    show_menu(Popup::menu(button), width, name, contents);
}

/// The same, also opened by something else than the button.
pub(in crate::ui) fn menu_opened(
    button: &Response,
    opens: bool,
    width: f32,
    name: &str,
    contents: impl FnOnce(&mut Ui),
) {
    let toggled = button.clicked().then_some(egui::SetOpenCommand::Toggle);
    let set = if opens { Some(egui::SetOpenCommand::Bool(true)) } else { toggled };
    show_menu(Popup::menu(button).open_memory(set), width, name, contents);
}

fn show_menu(popup: Popup<'_>, width: f32, name: &str, contents: impl FnOnce(&mut Ui)) {
    let style = popup.ctx().global_style();
    let shadow = style.visuals.popup_shadow;
    let p = if style.visuals.dark_mode { theme::DARK } else { theme::LIGHT };
    let room = popup.ctx().content_rect().height() - 120.0;
    let frame = Frame::NONE
        .fill(p.surface)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(12)
        .inner_margin(Margin::same(8))
        .shadow(shadow);
    popup
        .align(RectAlign::TOP)
        .align_alternatives(&[RectAlign::TOP_START, RectAlign::TOP_END, RectAlign::BOTTOM])
        .gap(8.0)
        .frame(frame)
        .accessible_name(name)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 0.0;
            // Above its button it would else grow by a piece in each paint: the room is measured downwards.
            let room = room.max(120.0);
            ScrollArea::vertical().max_height(room).min_scrolled_height(room).show(ui, contents);
        });
}

/// Heading of a part of a menu.
pub(in crate::ui) fn menu_heading(ui: &mut Ui, words: &str) {
    let p = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::hover());
    let at = rect.left_center() + vec2(10.0, 0.0);
    paint_text(ui, at, Align2::LEFT_CENTER, words, size::CAPTION, Weight::Medium, p.soft);
}

/// A line between parts of a menu.
pub(in crate::ui) fn menu_line(ui: &mut Ui) {
    let p = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 13.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, (1.0, p.line));
}

/// An entry of a menu with an icon before and a key behind it.
pub(in crate::ui) fn menu_entry(ui: &mut Ui, icon: Option<Icon>, words: &str, key: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ENTRY), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::MenuItem, ui.is_enabled(), words));
    paint_entry(ui, rect, &response, icon, words, key);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// An entry of which one is chosen. `what` names the choice for screen readers.
pub(in crate::ui) fn menu_choice(ui: &mut Ui, what: &str, words: &str, is_chosen: bool) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ENTRY), Sense::click());
    response.widget_info(|| {
        WidgetInfo::selected(Role::MenuItemRadio, true, is_chosen, format!("{what}: {words}"))
    });
    paint_entry(ui, rect, &response, is_chosen.then_some(Icon::Check), words, "");
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// An entry that is on or off.
pub(in crate::ui) fn menu_switch(ui: &mut Ui, icon: Icon, words: &str, value: &mut bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ENTRY), Sense::click());
    let is_on = *value;
    response.widget_info(|| WidgetInfo::selected(Role::MenuItemCheckBox, true, is_on, words));
    let is_clicked = response.clicked();
    if is_clicked {
        *value = !*value;
    }
    paint_entry(ui, rect, &response, Some(icon), words, "");
    let track = Rect::from_center_size(pos2(rect.right() - 25.0, rect.center().y), vec2(30.0, 16.0));
    switch_track(ui, track, response.id, *value);
    response.on_hover_cursor(CursorIcon::PointingHand);
    is_clicked
}

fn paint_entry(ui: &Ui, rect: Rect, response: &Response, icon: Option<Icon>, words: &str, key: &str) {
    let p = Palette::of(ui);
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 8.0, p.raised);
    }
    let middle = rect.center().y;
    let ink = if ui.is_enabled() { p.text } else { p.faint };
    if let Some(icon) = icon {
        let at = pos2(rect.left() + 20.0, middle);
        let ink = if matches!(icon, Icon::Check) { p.accent } else { p.soft };
        paint_icon(ui, at, Align2::CENTER_CENTER, icon, 17.0, ink);
    }
    let key_width = if key.is_empty() {
        0.0
    } else {
        let at = pos2(rect.right() - 10.0, middle);
        paint_text(ui, at, Align2::RIGHT_CENTER, key, size::CAPTION, Weight::Medium, p.faint).width() + 12.0
    };
    let left = rect.left() + 40.0;
    let room = rect.right() - 10.0 - key_width - left;
    paint_line(ui, pos2(left, middle), room, &[(words, size::BODY, Weight::Medium, ink)]);
    focus_ring(ui, response, rect.shrink(2.0), 8.0);
}

/// The devices of a kind as entries; returns the one that was chosen.
pub(in crate::ui) fn menu_devices(ui: &mut Ui, what: &str, none: &str, device: &Device) -> Option<usize> {
    let p = Palette::of(ui);
    menu_heading(ui, what);
    let mut chosen = None;
    for (index, name) in device.names.iter().enumerate() {
        if menu_choice(ui, what, name, device.used == Some(index)).clicked() {
            chosen = Some(index);
        }
    }
    let note = match (&device.problem, device.names.is_empty()) {
        (Some(problem), _) => Some((problem.as_str(), p.warning)),
        (None, true) => Some((none, p.soft)),
        (None, false) => None,
    };
    if let Some((words, ink)) = note {
        Frame::NONE.inner_margin(Margin { left: 40, right: 10, top: 4, bottom: 6 }).show(ui, |ui| {
            ui.label(theme::text(words, size::BODY, Weight::Regular, ink));
        });
    }
    chosen
}

/// Four bars that grow; as many are filled as the link is good.
pub(in crate::ui) fn bars(ui: &Ui, rect: Rect, link: &Link, p: &Palette) {
    let filled = match link {
        Link::Connected { bars, .. } => *bars,
        Link::Connecting | Link::Reconnecting(_) => 0,
    };
    let ink = match link.level() {
        Level::Neutral | Level::Good => p.text,
        Level::Warning => p.warning,
        Level::Bad => p.bad,
    };
    let pitch = rect.width() / 4.0;
    for index in 0..4_u8 {
        let height = rect.height() * (0.4 + 0.2 * f32::from(index));
        let left = rect.left() + pitch * f32::from(index);
        let bar =
            Rect::from_min_max(pos2(left, rect.bottom() - height), pos2(left + pitch - 1.5, rect.bottom()));
        let colour = if index < filled { ink } else { faded(p.text, 0.25) };
        ui.painter().rect_filled(bar, 1.0, colour);
    }
}

/// How a link stands, in words.
pub(in crate::ui) fn link_words(link: &Link) -> String {
    match link {
        Link::Connecting => "connecting".into(),
        Link::Connected { bars, reason: Some(reason) } => format!("quality {bars} of 4: {reason}"),
        Link::Connected { bars, reason: None } => format!("quality {bars} of 4"),
        Link::Reconnecting(since) => format!("reconnecting for {}", lasted(*since)),
    }
}

/// `0:42`, `12:05`, `1:02:03`.
pub(in crate::ui) fn lasted(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A level of sound as a row of bars, `level` in [0, 1] of full scale.
pub(in crate::ui) fn meter(ui: &mut Ui, name: &str, level: f32, width: f32) {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 14.0), Sense::hover());
    let share = loudness(level);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Label, true, format!("{name}: {:.0} %", share * 100.0));
        info.value = Some(f64::from(share));
        info
    });
    let count = ((rect.width() + 3.0) / 9.0).floor().max(1.0);
    let pitch = (rect.width() + 3.0) / count;
    for index in 0..count as usize {
        let from = index as f32 / count;
        let bar = Rect::from_min_size(
            pos2(rect.left() + index as f32 * pitch, rect.top()),
            vec2(pitch - 3.0, rect.height()),
        );
        let ink = match from {
            0.92.. => p.bad,
            0.8.. => p.warning,
            _ => p.good,
        };
        let colour = if share > from + 0.001 { ink } else { p.hover };
        ui.painter().rect_filled(bar, 2.0, colour);
    }
}

/// A level as the ear takes it: 48 dB over the whole width.
pub(in crate::ui) fn loudness(level: f32) -> f32 {
    (1.0 + 20.0 * level.max(1e-6).log10() / 48.0).clamp(0.0, 1.0)
}

/// A face without a picture: the initials on a colour of its own.
pub(in crate::ui) fn avatar(ui: &Ui, at: Pos2, radius: f32, name: &str) {
    ui.painter().circle_filled(at, radius, colour_of(name));
    let font = theme::font((radius * 0.72).max(9.0), Weight::Bold);
    ui.painter().text(at, Align2::CENTER_CENTER, initials(name), font, Color32::WHITE);
}

/// The colour of a name, the same wherever it is shown: the upper bits of its FNV-1a hash, to which every letter adds.
fn colour_of(name: &str) -> Color32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    // Few letters reach the uppermost bits.
    let mixed = (hash ^ (hash >> 15)).wrapping_mul(0x297a_2d39);
    FACES[(mixed >> 29) as usize]
}

/// The first letters of the first and the last word.
pub(in crate::ui) fn initials(name: &str) -> String {
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next().and_then(|word| word.chars().next());
    let last = words.next_back().and_then(|word| word.chars().next());
    let letters: String = first.into_iter().chain(last).flat_map(char::to_uppercase).collect();
    if letters.is_empty() { "?".into() } else { letters }
}

/// A line of words with an icon on a plate.
pub(in crate::ui) fn pill(ui: &Ui, rect: Rect, icon: Icon, ink: Color32, words: &str) {
    let p = Palette::of(ui);
    let radius = rect.height() / 2.0;
    ui.painter().rect_filled(rect, radius, p.surface);
    ui.painter().rect_stroke(rect, radius, Stroke::new(1.0, p.line), StrokeKind::Inside);
    paint_icon(ui, rect.left_center() + vec2(22.0, 0.0), Align2::CENTER_CENTER, icon, 17.0, ink);
    let line = [(words, size::BODY, Weight::Medium, p.text)];
    paint_line(ui, rect.left_center() + vec2(38.0, 0.0), rect.width() - 38.0 - 12.0, &line);
}

/// As wide as such a plate has to be for its words.
pub(in crate::ui) fn pill_width(ui: &Ui, words: &str) -> f32 {
    38.0 + words_width(ui, words, Weight::Medium) + 16.0
}

/// How wide words of the usual size are.
pub(in crate::ui) fn words_width(ui: &Ui, words: &str, weight: Weight) -> f32 {
    let font = theme::font(size::BODY, weight);
    ui.painter().layout_no_wrap(words.into(), font, Color32::WHITE).size().x.ceil()
}

/// A region with a layout of its own.
pub(in crate::ui) fn region(
    ui: &mut Ui,
    rect: Rect,
    salt: impl std::hash::Hash + std::fmt::Debug,
    layout: Layout,
) -> Ui {
    ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(salt).layout(layout))
}

/// The same, from left to right in the middle of its height.
pub(in crate::ui) fn row(ui: &mut Ui, rect: Rect, salt: &str) -> Ui {
    region(ui, rect, salt, Layout::left_to_right(Align::Center))
}

/// A list of devices to choose from, as a field that opens downwards; returns the one that was chosen.
pub(in crate::ui) fn picker(
    ui: &mut Ui,
    what: &str,
    icon: Icon,
    none: &str,
    device: &Device,
) -> Option<usize> {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), PICKER), Sense::click());
    let used = device.used.and_then(|index| device.names.get(index)).map(String::as_str);
    let words = match (&device.problem, used) {
        (Some(problem), _) => problem.as_str(),
        (None, Some(name)) => name,
        (None, None) => none,
    };
    response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("{what}: {words}")));
    let is_over = response.hovered() || response.has_focus();
    ui.painter().rect_filled(rect, 10.0, if is_over { p.hover } else { p.raised });
    ui.painter().rect_stroke(rect, 10.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let middle = rect.center().y;
    let is_well = used.is_some() && device.problem.is_none();
    let ink = if is_well { p.soft } else { p.warning };
    paint_icon(ui, pos2(rect.left() + 20.0, middle), Align2::CENTER_CENTER, icon, 17.0, ink);
    let ink = if is_well { p.text } else { p.soft };
    let room = rect.width() - 40.0 - 34.0;
    let line = [(words, size::BODY, Weight::Medium, ink)];
    let is_cut = paint_line(ui, pos2(rect.left() + 40.0, middle), room, &line);
    let at = pos2(rect.right() - 18.0, middle);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::ChevronDown, 16.0, p.soft);
    focus_ring(ui, &response, rect, 10.0);
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    let response = if is_cut { response.on_hover_text(words) } else { response };
    let mut chosen = None;
    menu(&response, rect.width().max(260.0) - 16.0, what, |ui| {
        chosen = menu_devices(ui, what, none, device);
        if chosen.is_some() {
            ui.close();
        }
    });
    chosen
}

/// Size of round buttons, in points.
pub(in crate::ui) const ROUND: f32 = 44.0;
/// Height of a list of devices to choose from, in points.
pub(in crate::ui) const PICKER: f32 = 40.0;
/// Height of an entry of a menu, in points.
const ENTRY: f32 = 36.0;

/// Grounds of faces; white letters have a contrast of 4.5 on each.
pub(in crate::ui) const FACES: [Color32; 8] = [
    Color32::from_rgb(62, 86, 196),
    Color32::from_rgb(12, 120, 104),
    Color32::from_rgb(172, 70, 36),
    Color32::from_rgb(132, 58, 158),
    Color32::from_rgb(26, 108, 166),
    Color32::from_rgb(160, 52, 92),
    Color32::from_rgb(92, 108, 28),
    Color32::from_rgb(104, 84, 68),
];

/// Distance between tiles, in points.
pub(in crate::ui) const BETWEEN: f32 = STEP + 4.0;

/// A square of this side around a point.
pub(in crate::ui) fn square(at: Pos2, side: f32) -> Rect {
    Rect::from_center_size(at, Vec2::splat(side))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn initials_are_those_of_the_first_and_the_last_word() {
        for (name, want) in [
            ("Ada Lovelace", "AL"),
            ("ada", "A"),
            ("Jean-Luc Picard", "JP"),
            ("élodie", "É"),
            ("李 小龍", "李小"),
            ("  ", "?"),
            ("", "?"),
            ("...", "?"),
            ("ada@example.org", "AO"),
        ] {
            assert_eq!(initials(name), want, "{name:?}");
        }
    }

    #[test]
    fn names_that_differ_little_have_colours_of_all_kinds() {
        let mut counts = [0_u32; FACES.len()];
        for n in 0..800 {
            let colour = colour_of(&format!("Guest {n}"));
            let at = FACES.iter().position(|face| *face == colour).expect("one of the colours");
            counts[at] += 1;
        }
        assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    }

    #[test]
    fn loudness_is_nothing_for_silence_half_at_minus_24_db_and_one_at_full_scale() {
        assert_eq!(loudness(0.0), 0.0);
        assert_eq!(loudness(-1.0), 0.0);
        assert!((loudness(10_f32.powf(-24.0 / 20.0)) - 0.5).abs() < 0.001);
        assert_eq!(loudness(1.0), 1.0);
        assert_eq!(loudness(3.0), 1.0);
        assert_eq!(loudness(f32::NAN), 0.0);
    }

    #[test]
    fn calls_last_minutes_and_hours() {
        for (seconds, want) in [(0, "0:00"), (59, "0:59"), (61, "1:01"), (3599, "59:59"), (3723, "1:02:03")] {
            assert_eq!(lasted(Duration::from_secs(seconds)), want);
        }
    }
}
