//! One tile: a picture or a face without one, the name, and what is to be known of who is on it.

use std::time::Duration;

use eframe::egui::{
    self, Align2, Color32, CursorIcon, Id, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use lucide_icons::Icon;

use super::Cx;
use super::parts::{avatar, bars, lasted, link_words, loudness, square};
use crate::model::call::{Link, Member, Own, Source, Trust, Voice};
use crate::model::settings::Fit;
use crate::render::video::{self, Look, Mirror, Tile};
use crate::ui::theme::{self, DARK, Palette, Weight, faded, size};
use crate::ui::widgets::{focus_ring, paint_icon, paint_line, paint_text, spinner};

/// Who is on a tile, and how it stands with them.
#[derive(Clone, Debug)]
pub(super) struct Face<'a> {
    source: Source,
    name: &'a str,
    has_picture: bool,
    is_muted: bool,
    hears: bool,
    level: f32,
    speaks: bool,
    hand: bool,
    link: Option<&'a Link>,
    trust: Option<Trust>,
}

impl<'a> Face<'a> {
    /// What is shown of a source; `None` if it has gone.
    pub(super) fn of(source: Source, cx: &Cx<'a>) -> Option<Self> {
        match source {
            Source::Own => Some(Self::own(&cx.call.own)),
            Source::OwnScreen => cx.call.own.shared.as_ref().map(|_| Self {
                source,
                has_picture: true,
                is_muted: false,
                hand: false,
                speaks: false,
                name: "Your screen",
                ..Self::own(&cx.call.own)
            }),
            Source::Camera(id) => cx.member(id).map(|member| Self::member(source, member)),
            Source::Screen(id) => cx
                .member(id)
                .filter(|member| member.shares)
                .map(|member| Self { has_picture: true, ..Self::member(source, member) }),
        }
    }

    const fn own(own: &Own) -> Face<'static> {
        let is_open = matches!(own.voice, Voice::On) && own.microphone.used.is_some();
        Face {
            source: Source::Own,
            name: "You",
            has_picture: own.is_camera_on && own.camera.used.is_some(),
            is_muted: !is_open,
            hears: own.speaker.used.is_some(),
            level: if is_open { own.level } else { 0.0 },
            speaks: is_open && own.speaks,
            hand: own.is_hand_up,
            link: None,
            trust: None,
        }
    }

    fn member(source: Source, member: &'a Member) -> Self {
        Self {
            source,
            name: &member.name,
            has_picture: member.is_camera_on,
            is_muted: !member.is_microphone_on,
            hears: member.hears,
            level: member.level,
            speaks: member.speaks,
            hand: member.is_hand_up,
            link: Some(&member.link),
            trust: member.verification.as_ref().map(|verification| verification.trust),
        }
    }

    const fn is_screen(&self) -> bool {
        matches!(self.source, Source::Screen(_) | Source::OwnScreen)
    }

    fn words(&self) -> String {
        let mut words = match self.source {
            Source::Screen(_) => format!("Screen of {}", self.name),
            Source::Own | Source::OwnScreen | Source::Camera(_) => self.name.to_owned(),
        };
        if !self.is_screen() {
            for (is_so, what) in [
                (!self.has_picture, ", camera off"),
                (self.is_muted, ", microphone off"),
                (!self.hears, ", hears nothing"),
                (self.hand, ", hand raised"),
                (self.speaks, ", speaks"),
            ] {
                if is_so {
                    words += what;
                }
            }
        }
        if let Some(link) = self.link {
            words = format!("{words}, {}", link_words(link));
        }
        words
    }
}

/// How a tile is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A tile of its own.
    Plain,
    /// The other one of two: it is as large as it can be, whatever is pinned.
    Whole,
    /// Over another one: with an edge that parts it from what is below.
    Over,
}

/// Shows a tile; a click on it is the caller's to act on.
pub(super) fn show(ui: &mut Ui, rect: Rect, face: &Face<'_>, frame: Frame, cx: &mut Cx<'_>) -> Response {
    let p = Palette::of(ui);
    let id = ui.scope_id().with(("tile", face.source));
    let response = ui.interact(rect, id, Sense::click_and_drag());
    let is_pinned = cx.pinned == Some(face.source);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_pinned, face.words()));
    let behind = match (face.is_screen(), frame) {
        (true, _) => p.back,
        (false, Frame::Over) => p.hover,
        (false, Frame::Plain | Frame::Whole) => p.raised,
    };
    ui.painter().rect_filled(rect, RADIUS, behind);
    let is_away = matches!(face.link, Some(Link::Reconnecting(_)));
    let shown = face.has_picture.then(|| picture(ui, rect, id, face, is_away, cx)).flatten();
    let is_shown = shown.is_some();
    if face.has_picture {
        // Asked for also while nothing has come: that is what makes it come.
        cx.tiles.note(face.source, rect, ui.ctx().pixels_per_point());
    }
    if frame == Frame::Over {
        let edge = Stroke::new(1.0, faded(Color32::WHITE, 0.28));
        ui.painter().rect_stroke(rect, RADIUS, edge, StrokeKind::Outside);
    } else if !is_shown {
        ui.painter().rect_stroke(rect, RADIUS, Stroke::new(1.0, p.line), StrokeKind::Inside);
    }
    let is_small = rect.height() < 130.0;
    let radius = (rect.height().min(rect.width()) * 0.2).clamp(16.0, 56.0);
    let waits = matches!(face.link, Some(Link::Reconnecting(_) | Link::Connecting));
    // A low tile has no room for a face and for what is to be said about it.
    let has_face = !(is_shown || face.is_screen() || waits && rect.height() < 180.0);
    if has_face {
        let name = if face.source == Source::Own && !cx.call.own.name.is_empty() {
            &cx.call.own.name
        } else {
            face.name
        };
        if face.speaks {
            let swell = radius + 4.0 + 8.0 * loudness(face.level);
            ui.painter().circle_filled(rect.center(), swell, faded(p.accent, 0.25));
        }
        avatar(ui, rect.center(), radius, name);
    }
    if !is_shown && face.is_screen() {
        let words =
            if face.source == Source::OwnScreen { "You share your screen" } else { "Waiting for the screen" };
        paint_icon(ui, rect.center() - vec2(0.0, 14.0), Align2::CENTER_CENTER, Icon::MonitorUp, 28.0, p.soft);
        let at = rect.center() + vec2(0.0, 16.0);
        paint_text(ui, at, Align2::CENTER_CENTER, words, size::BODY, Weight::Medium, p.soft);
    }
    if face.speaks && !face.is_screen() {
        let width = if is_small { 2.0 } else { 3.0 };
        ui.painter().rect_stroke(rect, RADIUS, Stroke::new(width, p.accent), StrokeKind::Inside);
    }
    let below = match (has_face, is_small) {
        (true, _) => radius + 30.0,
        (false, false) if is_shown => (rect.height() * 0.2).clamp(30.0, 84.0),
        (false, _) => 0.0,
    };
    let at = rect.center() + vec2(0.0, below);
    match face.link {
        Some(Link::Reconnecting(since)) => {
            waiting(ui, at, "Reconnecting", Some(*since).filter(|_| !is_small))
        }
        Some(Link::Connecting) => waiting(ui, at, "Connecting", None),
        Some(Link::Connected { .. }) | None => {}
    }
    // A screen has bars at two sides: its name stands on the picture.
    label(ui, shown.filter(|_| face.is_screen()).unwrap_or(rect), face, is_pinned);
    marks(ui, rect, face, is_small);
    if frame != Frame::Whole && !is_small && !response.dragged() {
        hint(ui, rect, &response, is_pinned);
    }
    focus_ring(ui, &response, rect, RADIUS);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

fn picture(ui: &Ui, rect: Rect, id: Id, face: &Face<'_>, is_away: bool, cx: &Cx<'_>) -> Option<Rect> {
    let slot = (cx.pictures.call)(face.source)?;
    let calling = &cx.model.settings.call;
    let mirror = if face.source == Source::Own && calling.mirror { Mirror::Yes } else { Mirror::No };
    // All of a screen counts, its edges most of all.
    let fit = if face.is_screen() { Fit::Letterbox } else { calling.fit };
    let look = if is_away { Look::STALE } else { Look::LIVE };
    video::paint_tile(ui, &slot, Tile { id, rect, fit, radius: RADIUS, mirror, look })
}

/// Over a tile of which nothing new comes.
fn waiting(ui: &Ui, at: Pos2, words: &str, since: Option<Duration>) {
    let p = DARK;
    let words = since.map_or_else(|| words.to_owned(), |since| format!("{words} \u{b7} {}", lasted(since)));
    let galley = ui.painter().layout_no_wrap(words, theme::font(size::BODY, Weight::Medium), p.text);
    let plate = Rect::from_center_size(at, vec2(galley.size().x + 52.0, 32.0));
    ui.painter().rect_filled(plate, 16.0, p.plate);
    spinner(ui, plate.left_center() + vec2(20.0, 0.0), 7.0);
    ui.painter().galley(plate.left_center() + vec2(36.0, -galley.size().y / 2.0), galley, p.text);
}

/// The name, on a plate at the lower left.
fn label(ui: &Ui, rect: Rect, face: &Face<'_>, is_pinned: bool) {
    let p = DARK;
    let mut icons: Vec<(Icon, Color32)> = Vec::new();
    if is_pinned {
        icons.push((Icon::Pin, p.accent));
    }
    if face.is_screen() {
        icons.push((Icon::MonitorUp, p.text));
    } else {
        if face.is_muted {
            icons.push((Icon::MicOff, p.bad));
        }
        if !face.hears {
            icons.push((Icon::EarOff, p.warning));
        }
    }
    match face.trust {
        Some(Trust::Verified) => icons.push((Icon::ShieldCheck, p.good)),
        Some(Trust::Changed | Trust::Broken) => icons.push((Icon::ShieldAlert, p.bad)),
        Some(Trust::New | Trust::Known) | None => {}
    }
    let words = match face.source {
        Source::Screen(_) => format!("{}, screen", face.name),
        Source::Own | Source::OwnScreen | Source::Camera(_) => face.name.to_owned(),
    };
    // On a small tile the face needs the room.
    let (inset, height, text) =
        if rect.height() < 110.0 { (5.0, 20.0, size::CAPTION) } else { (INSET, 26.0, size::BODY) };
    let font = theme::font(text, Weight::Medium);
    let wide = ui.painter().layout_no_wrap(words.clone(), font, p.text).size().x;
    let icons_width = icons.len() as f32 * 20.0;
    let room = (rect.width() - 2.0 * inset - icons_width - 18.0).max(0.0);
    let width = wide.min(room).ceil();
    let plate = Rect::from_min_size(
        pos2(rect.left() + inset, rect.bottom() - inset - height),
        vec2(icons_width + width + 18.0, height),
    );
    ui.painter().rect_filled(plate, if height < 26.0 { 6.0 } else { 8.0 }, p.plate);
    let mut left = plate.left() + 9.0;
    for (icon, ink) in icons {
        paint_icon(ui, pos2(left + 7.0, plate.center().y), Align2::CENTER_CENTER, icon, text + 2.0, ink);
        left += 20.0;
    }
    let line = [(words.as_str(), text, Weight::Medium, p.text)];
    paint_line(ui, pos2(left, plate.center().y), width + 1.0, &line);
}

/// The raised hand at the upper left, the bars at the upper right.
fn marks(ui: &mut Ui, rect: Rect, face: &Face<'_>, is_small: bool) {
    let p = DARK;
    if face.hand && !face.is_screen() {
        let side = if is_small { 26.0 } else { 34.0 };
        let plate = square(rect.left_top() + vec2(INSET + side / 2.0, INSET + side / 2.0), side);
        ui.painter().rect_filled(plate, side / 2.0, p.warning);
        paint_icon(ui, plate.center(), Align2::CENTER_CENTER, Icon::Hand, side * 0.55, p.on_accent);
    }
    let Some(link @ Link::Connected { bars: count, .. }) = face.link else { return };
    if face.is_screen() || (is_small && *count > 2) {
        return;
    }
    let plate = Rect::from_min_size(pos2(rect.right() - INSET - 30.0, rect.top() + INSET), vec2(30.0, 26.0));
    ui.painter().rect_filled(plate, 8.0, p.plate);
    bars(ui, Rect::from_center_size(plate.center(), vec2(16.0, 12.0)), link, &p);
    let id = ui.scope_id().with(("bars", face.source));
    let response = ui.interact(plate, id, Sense::hover());
    let words = link_words(link);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{}: {words}", face.name)));
    response.on_hover_ui(|ui| {
        let mut first = words.chars();
        let words: String = first.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(first).collect();
        ui.label(theme::text(words, size::BODY, Weight::Regular, Palette::of(ui).text));
    });
}

/// What a click would do, beside the bars; only for a while after the pointer moved, as it lies over a picture.
fn hint(ui: &Ui, rect: Rect, response: &Response, is_pinned: bool) {
    let rests = ui.input(|input| input.pointer.time_since_last_movement());
    let is_pointed = response.hovered() && rests < HINT_S;
    if is_pointed {
        ui.ctx().request_repaint_after(Duration::from_secs_f32(HINT_S - rests));
    }
    let id = response.id.with("hint");
    let share = ui.ctx().animate_bool_responsive(id, is_pointed || response.has_focus());
    if share <= 0.0 {
        return;
    }
    let at = rect.right_top() + vec2(-INSET - 30.0 - 6.0 - 13.0, INSET + 13.0);
    let plate = square(at, 26.0);
    ui.painter().rect_filled(plate, 8.0, faded(DARK.plate, share));
    let icon = if is_pinned { Icon::PinOff } else { Icon::Pin };
    paint_icon(ui, plate.center(), Align2::CENTER_CENTER, icon, 15.0, faded(DARK.text, share));
}

/// The place that tells how many more there are; a click opens the list of people.
pub(super) fn rest(ui: &mut Ui, rect: Rect, count: usize) -> Response {
    let p = Palette::of(ui);
    let response = ui.interact(rect, ui.scope_id().with("rest"), Sense::click());
    response
        .widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{count} more: show all people")));
    let fill = if response.hovered() { p.hover } else { p.raised };
    ui.painter().rect_filled(rect, RADIUS, fill);
    let words = format!("+{count}");
    paint_text(ui, rect.center(), Align2::CENTER_CENTER, words, size::TITLE, Weight::Bold, p.text);
    focus_ring(ui, &response, rect, RADIUS);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// How long what a click would do is shown after the pointer moved, in seconds.
const HINT_S: f32 = 2.0;
/// Radius of tiles' corners, in points.
pub(super) const RADIUS: f32 = 12.0;
/// Distance of what lies on a tile from its edge, in points.
const INSET: f32 = 10.0;

/// A menu for a tile, at the pointer.
pub(super) fn context(response: &Response, contents: impl FnOnce(&mut Ui)) {
    egui::Popup::context_menu(response).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(
        |ui| {
            ui.set_width(240.0);
            ui.spacing_mut().item_spacing.y = 0.0;
            contents(ui);
        },
    );
}
