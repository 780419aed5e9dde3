//! The call screen: everybody on tiles, the bar below them, a panel beside them.

mod arrange;
mod bar;
mod chat;
mod figures;
mod float;
mod invite;
mod keys;
mod lines;
mod notes;
pub(super) mod parts;
mod people;
mod tile;
mod tiles;

use eframe::egui::{Align2, Context, Layout, Rect, StrokeKind, Ui, pos2, vec2};
use farwheel_peer::signaling::PeerId;
use lucide_icons::Icon;

use super::Pictures;
use super::theme::{CONTROL, Palette, Weight, size};
use super::widgets::{Tone, describe, icon_button, paint_text};
use super::window::{Page, Shown};
use crate::model::call::{Call, Cleaning, Command as Ask, Kind, Member, Source, Switch};
use crate::model::settings::Calling;
use crate::model::{Command, Level, Model};
use arrange::Corner;
use parts::BETWEEN;
use tile::{Face, Frame};

/// What the user has chosen on the call screen; gone when the call ends.
#[derive(Debug, Default)]
pub(super) struct Screen {
    arrangement: Arrangement,
    /// What stays large, whoever speaks.
    pinned: Option<Source>,
    side: Option<Side>,
    /// The card with the link.
    invite: Shown,
    /// The window that stays on top.
    float: Shown,
    /// The corner with the own picture, and where it is while it is dragged.
    corner: Corner,
    dragged: Option<Rect>,
    /// The list of screens is asked for by its key.
    opens_share: bool,
    chat: chat::Draft,
    /// Whose entry in the list of people is open.
    person: Option<PeerId>,
    talk: keys::Talk,
    tiles: tiles::Reporter,
    /// How many knocked, and how much the others wrote and sent, when it was last looked.
    news: Option<(usize, usize)>,
}

/// How the tiles are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Arrangement {
    /// One large for one other, a grid for more, a shared screen large.
    #[default]
    Automatic,
    /// All alike.
    Grid,
    /// Who speaks large, the others small.
    Spotlight,
}

impl Arrangement {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Automatic, "Automatic"),
        (Self::Grid, "Everybody alike"),
        (Self::Spotlight, "Who speaks large"),
    ];

    const fn next(self) -> Self {
        match self {
            Self::Automatic => Self::Grid,
            Self::Grid => Self::Spotlight,
            Self::Spotlight => Self::Automatic,
        }
    }
}

/// What the panel beside the tiles shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Chat,
    People,
    Figures,
}

/// What the parts of the screen read and write.
pub(super) struct Cx<'a> {
    /// The call.
    pub(super) call: &'a Call,
    /// All of it.
    pub(super) model: &'a Model,
    /// The pictures.
    pub(super) pictures: Pictures<'a>,
    /// The window's context.
    pub(super) ctx: &'a Context,
    /// The page of the window.
    pub(super) page: &'a mut Page,
    /// The list of shortcuts.
    pub(super) shortcuts: &'a mut Shown,
    /// Commands so far.
    pub(super) out: &'a mut Vec<Command>,
    tiles: tiles::Reporter,
    pinned: Option<Source>,
}

impl<'a> Cx<'a> {
    fn member(&self, id: PeerId) -> Option<&'a Member> {
        self.call.members.iter().find(|member| member.id == id)
    }

    fn ask(&mut self, command: Ask) {
        self.out.push(Command::Call(command));
    }

    /// Uses another device, now and next time.
    fn choose(&mut self, kind: Kind, index: usize) {
        choose(kind, index, &self.call.own, self.model, self.out);
    }

    fn clean(&mut self, cleaning: Cleaning) {
        self.ask(Ask::Clean(cleaning));
        self.change(|calling| calling.cleaning = cleaning);
    }

    fn change(&mut self, how: impl FnOnce(&mut Calling)) {
        change(self.model, self.out, how);
    }
}

/// Uses another device, now and next time.
pub(super) fn choose(
    kind: Kind,
    index: usize,
    own: &crate::model::call::Own,
    model: &Model,
    out: &mut Vec<Command>,
) {
    out.push(Command::Call(Ask::Use(kind, index)));
    let device = match kind {
        Kind::Camera => &own.camera,
        Kind::Microphone => &own.microphone,
        Kind::Speaker => &own.speaker,
    };
    let name = device.names.get(index).cloned();
    change(model, out, |calling| keep(calling, kind, name));
}

/// Keeps which device is used.
pub(super) fn keep(calling: &mut Calling, kind: Kind, name: Option<String>) {
    match kind {
        Kind::Camera => calling.camera = name,
        Kind::Microphone => calling.microphone = name,
        Kind::Speaker => calling.speaker = name,
    }
}

/// Changes how the user calls, and keeps it.
pub(super) fn change(model: &Model, out: &mut Vec<Command>, how: impl FnOnce(&mut Calling)) {
    let mut settings = model.settings.clone();
    how(&mut settings.call);
    out.push(Command::ChangeSettings(Box::new(settings)));
}

/// A switch that is on or off.
pub(super) const fn switch(is_on: bool) -> Switch {
    if is_on { Switch::On } else { Switch::Off }
}

impl Screen {
    fn toggle(&mut self, side: Side) {
        self.side = if self.side == Some(side) { None } else { Some(side) };
    }

    const fn is_talking(&self) -> bool {
        self.talk.is_held()
    }

    fn unread(&self, call: &Call) -> usize {
        if self.side == Some(Side::Chat) { 0 } else { self.chat.unread(call) }
    }

    /// Escape closes one thing: what lies above the others goes first.
    fn close_one(&mut self, shortcuts: &mut Shown) {
        if *shortcuts == Shown::Yes {
            *shortcuts = Shown::No;
        } else if self.invite == Shown::Yes {
            self.invite = Shown::No;
        } else if self.pinned.take().is_none() {
            self.side = None;
        }
    }

    /// Whether somebody knocks or wrote who had not when this was last asked.
    pub(super) fn has_news(&mut self, call: &Call) -> bool {
        let now = (call.knocking.len(), chat::arrived(call));
        self.news.replace(now).is_some_and(|before| now.0 > before.0 || now.1 > before.1)
    }

    /// The page is left, or the window hidden: nothing is shown of anybody and no key is held.
    pub(super) fn look_away(&mut self, out: &mut Vec<Command>, now: f64) {
        out.extend(self.talk.release().map(Command::Call));
        if self.float == Shown::No {
            out.extend(self.tiles.finish(now).0.map(Command::Call));
        }
    }
}

/// Shows the screen.
pub(super) fn show(ui: &mut Ui, whole: Rect, screen: &mut Screen, mut cx: Cx<'_>) {
    let p = Palette::of(ui);
    cx.tiles = std::mem::take(&mut screen.tiles);
    keys::handle(ui, screen, &mut cx);
    if screen.pinned.is_some_and(|source| Face::of(source, &cx).is_none()) {
        screen.pinned = None;
    }
    cx.pinned = screen.pinned;
    ui.painter().rect_filled(whole, 0.0, p.back);
    let bar = Rect::from_min_max(pos2(whole.left(), whole.bottom() - BAR), whole.max);
    let mut above = Rect::from_min_max(whole.min, pos2(whole.right(), bar.top()));
    let panel = screen.side.map(|side| {
        // A narrow window has room for one of the two.
        let width = if whole.width() >= 860.0 { PANEL } else { whole.width() };
        let panel = Rect::from_min_max(pos2(above.right() - width, above.top()), above.max);
        above.max.x = panel.left();
        (side, panel)
    });
    if above.width() > 1.0 {
        let gap = if whole.width() < 800.0 { 10.0 } else { 16.0 };
        let stage = Rect::from_min_max(above.min + vec2(gap, gap), above.max - vec2(gap, 4.0));
        let stage = notes::strip(ui, stage, screen, &mut cx);
        stage_tiles(ui, stage, screen, &mut cx);
        notes::over(ui, stage, &cx);
    }
    if let Some((side, panel)) = panel {
        let gap = if panel.width() > PANEL { 10.0 } else { 16.0 };
        let panel = Rect::from_min_max(
            panel.min + vec2(if panel.width() > PANEL { gap } else { 0.0 }, gap),
            panel.max - vec2(gap, 4.0),
        );
        match side {
            Side::Chat => chat::show(ui, panel, screen, &mut cx),
            Side::People => people::show(ui, panel, screen, &mut cx),
            Side::Figures => figures::show(ui, panel, screen, &mut cx),
        }
    }
    bar::show(ui, bar, screen, &mut cx);
    if screen.invite == Shown::Yes {
        invite::show(ui, &mut screen.invite, &mut cx);
    }
    chat::dropped(ui, whole, &mut cx);
    keep_up(ui.ctx(), screen, cx);
}

/// While the call goes on and another page is shown, or nothing of the window can be seen: only the window that stays
/// on top, if there is one.
pub(super) fn elsewhere(ctx: &Context, screen: &mut Screen, mut cx: Cx<'_>) {
    cx.out.extend(screen.talk.release().map(Command::Call));
    cx.tiles = std::mem::take(&mut screen.tiles);
    keep_up(ctx, screen, cx);
}

/// Shows the window that stays on top and tells the session what is shown.
fn keep_up(ctx: &Context, screen: &mut Screen, mut cx: Cx<'_>) {
    if screen.float == Shown::Yes {
        float::show(ctx, screen, &mut cx);
    }
    let (command, again) = cx.tiles.finish(ctx.input(|input| input.time));
    cx.out.extend(command.map(Command::Call));
    if let Some(again) = again {
        ctx.request_repaint_after(again);
    }
    screen.tiles = cx.tiles;
}

impl<'a> Cx<'a> {
    /// What the parts read and write, for a paint.
    pub(super) fn new(
        model: &'a Model,
        call: &'a Call,
        pictures: Pictures<'a>,
        ctx: &'a Context,
        page: &'a mut Page,
        shortcuts: &'a mut Shown,
        out: &'a mut Vec<Command>,
    ) -> Self {
        let tiles = tiles::Reporter::default();
        Self { call, model, pictures, ctx, page, shortcuts, out, tiles, pinned: None }
    }
}

/// The ground of a panel with its title; returns the place below.
fn panel(ui: &mut Ui, rect: Rect, title: &str, screen: &mut Screen) -> Rect {
    let p = Palette::of(ui);
    ui.painter().rect_filled(rect, 14.0, p.surface);
    ui.painter().rect_stroke(rect, 14.0, (1.0, p.line), StrokeKind::Inside);
    let head = Rect::from_min_size(rect.min, vec2(rect.width(), 56.0));
    let at = head.left_center() + vec2(20.0, 0.0);
    paint_text(ui, at, Align2::LEFT_CENTER, title, size::LEAD, Weight::Bold, p.text);
    describe(ui, Rect::from_min_max(head.min, head.max - vec2(60.0, 0.0)), "title", title);
    let close = Rect::from_center_size(head.right_center() - vec2(30.0, 0.0), vec2(CONTROL, CONTROL));
    let mut child = parts::region(ui, close, "close", Layout::default());
    if icon_button(&mut child, Icon::X, "Close the panel", Tone::Quiet).clicked() {
        screen.side = None;
    }
    Rect::from_min_max(pos2(rect.left(), head.bottom()), rect.max)
}

/// Everything that has a tile, screens first. The own screen has none: who shares it has it before their eyes.
fn sources(call: &Call) -> Vec<Source> {
    let screens = call.members.iter().filter(|member| member.shares).map(|member| Source::Screen(member.id));
    let cameras = call.members.iter().map(|member| Source::Camera(member.id));
    screens.chain(cameras).chain([Source::Own]).collect()
}

/// The source that is large: pinned, shared, or who speaks; `None` for a grid.
fn large(screen: &Screen, call: &Call) -> Option<Source> {
    if screen.pinned.is_some() {
        return screen.pinned;
    }
    let shared =
        call.members.iter().rev().find(|member| member.shares).map(|member| Source::Screen(member.id));
    let first = || call.members.first().map(|member| member.id);
    let active = call.active.filter(|id| call.members.iter().any(|member| member.id == *id));
    match screen.arrangement {
        Arrangement::Automatic if shared.is_some() => shared,
        Arrangement::Automatic if call.members.len() == 1 => first().map(Source::Camera),
        Arrangement::Automatic | Arrangement::Grid => None,
        Arrangement::Spotlight => shared.or_else(|| active.or_else(first).map(Source::Camera)),
    }
}

fn stage_tiles(ui: &mut Ui, area: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let call = cx.call;
    let all = sources(call);
    if call.members.is_empty() {
        invite::alone(ui, area, cx);
        return;
    }
    let Some(main) = large(screen, call) else {
        for (source, rect) in all.iter().zip(arrange::grid(area, all.len(), BETWEEN)) {
            one(ui, rect, *source, Frame::Plain, screen, cx);
        }
        return;
    };
    let others: Vec<Source> = all.into_iter().filter(|source| *source != main).collect();
    if let [Source::Own] = others[..] {
        let is_choice = screen.arrangement == Arrangement::Grid;
        one(ui, area, main, if is_choice { Frame::Plain } else { Frame::Whole }, screen, cx);
        self_view(ui, area, screen, cx);
        return;
    }
    let stage = arrange::stage(area, others.len(), BETWEEN);
    one(ui, stage.main, main, Frame::Plain, screen, cx);
    for (source, rect) in in_strip(&others, call, stage.strip.len()).into_iter().zip(&stage.strip) {
        one(ui, *rect, source, Frame::Plain, screen, cx);
    }
    if let Some((rect, count)) = stage.rest
        && tile::rest(ui, rect, count).clicked()
    {
        screen.side = Some(Side::People);
    }
}

/// Those for whom there is room, in their order: screens and who speaks before oneself, raised hands and bad links, and
/// these before all others.
fn in_strip(others: &[Source], call: &Call, room: usize) -> Vec<Source> {
    let rank = |source: &Source| match source {
        Source::Screen(_) => 0,
        Source::Camera(id) if call.active == Some(*id) => 1,
        Source::Own | Source::OwnScreen => 2,
        Source::Camera(id) => match call.members.iter().find(|member| member.id == *id) {
            Some(member) if member.is_hand_up => 3,
            Some(member) if member.link.level() == Level::Bad => 4,
            Some(_) | None => 5,
        },
    };
    let mut places: Vec<usize> = (0..others.len()).collect();
    places.sort_by_key(|place| rank(&others[*place]));
    places.truncate(room);
    places.sort_unstable();
    places.into_iter().map(|place| others[place]).collect()
}

fn one(ui: &mut Ui, rect: Rect, source: Source, frame: Frame, screen: &mut Screen, cx: &mut Cx<'_>) {
    let Some(face) = Face::of(source, cx) else { return };
    let response = tile::show(ui, rect, &face, frame, cx);
    if response.clicked() && frame != Frame::Whole {
        screen.pinned = if screen.pinned == Some(source) { None } else { Some(source) };
    }
    if let Source::Camera(id) | Source::Screen(id) = source
        && let Some(member) = cx.member(id)
    {
        tile::context(&response, |ui| people::actions(ui, member, cx));
    }
}

/// The own picture over the other one's; it can be dragged to any corner.
fn self_view(ui: &mut Ui, area: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    let Some(face) = Face::of(Source::Own, cx) else { return };
    let home = screen.corner.place(area, 12.0);
    let rect = screen.dragged.unwrap_or(home);
    let response = tile::show(ui, rect, &face, Frame::Over, cx);
    if response.dragged() {
        let moved = rect.translate(response.drag_delta());
        let inside = area.shrink(4.0);
        let by = (inside.min - moved.min).max(vec2(0.0, 0.0)) + (inside.max - moved.max).min(vec2(0.0, 0.0));
        screen.dragged = Some(moved.translate(by));
    } else if let Some(dropped) = screen.dragged.take() {
        screen.corner = Corner::nearest(area, 12.0, dropped);
    }
    if response.clicked() {
        screen.pinned = Some(Source::Own);
    }
}

/// Height of the bar, in points.
const BAR: f32 = CONTROL + 40.0;
/// Width of the panel with its distance from the edge, in points.
const PANEL: f32 = 356.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::Link;

    #[test]
    fn who_speaks_oneself_and_raised_hands_are_in_the_strip_even_if_they_came_last() {
        let camera = |n| Source::Camera(PeerId::new(n));
        let own = Source::Own;
        let others = [camera(1), camera(2), camera(3), camera(4), own];
        let call = |active: Option<u128>, hand: u128, bad: u128| Call {
            active: active.map(PeerId::new),
            members: (1..=4)
                .map(|n| Member {
                    id: PeerId::new(n),
                    name: format!("Guest {n}"),
                    link: Link::Connected { bars: if n == bad { 1 } else { 4 }, reason: None },
                    is_camera_on: true,
                    is_microphone_on: true,
                    hears: true,
                    shares: false,
                    is_hand_up: n == hand,
                    speaks: false,
                    level: 0.0,
                    volume: 1.0,
                    verification: None,
                })
                .collect(),
            ..Call::default()
        };
        assert_eq!(in_strip(&others, &call(None, 0, 0), 2), [camera(1), own]);
        assert_eq!(in_strip(&others, &call(Some(4), 0, 0), 2), [camera(4), own]);
        assert_eq!(in_strip(&others, &call(Some(4), 3, 2), 3), [camera(3), camera(4), own]);
        assert_eq!(in_strip(&others, &call(Some(4), 3, 2), 4), [camera(2), camera(3), camera(4), own]);
        assert_eq!(in_strip(&others, &call(Some(9), 0, 4), 3), [camera(1), camera(4), own]);
        assert_eq!(in_strip(&others, &call(Some(3), 0, 0), 0), []);
    }
}
