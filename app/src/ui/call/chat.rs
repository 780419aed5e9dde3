//! The panel with what people write and the files they send.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Duration;

use eframe::egui::{
    self, Align, Align2, Color32, Frame, Id, Key, Layout, Margin, OpenUrl, Rect, ScrollArea, Sense, Stroke,
    StrokeKind, TextEdit, Ui, pos2, vec2,
};
use lucide_icons::Icon;

use super::lines::{Part, parts};
use super::parts::{avatar, menu, region};
use super::{Cx, Screen};
use crate::model::call::{Call, Command, File, Line, Progress};
use crate::ui::theme::{self, CONTROL, HALF, Palette, STEP, Weight, faded, size};
use crate::ui::units;
use crate::ui::widgets::{
    Tone, button_sized, describe, field, icon_button, paint_icon, paint_line, paint_text,
};

/// What is being written, and how much was read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    files_seen: usize,
    /// Path of a file to offer.
    path: String,
    focus: Focus,
    heights: Heights,
}

/// Heights of the rows as they were last painted. Rows out of sight keep their place without being laid out: what
/// others write must not cost more the longer the call lasts.
#[derive(Debug, Default)]
struct Heights {
    width: f32,
    /// By place in the list, with what tells that it is another row now. As many as there are rows.
    rows: Vec<(Stamp, f32)>,
}

/// What the height of a row depends on, nearly; the height of a row in sight is measured anew.
type Stamp = (usize, bool);

impl Heights {
    /// The list has so many rows and this width.
    fn fit(&mut self, rows: usize, width: f32) {
        if (self.width - width).abs() > 0.5 {
            self.width = width;
            self.rows.clear();
        }
        self.rows.truncate(rows);
    }

    fn of(&self, index: usize, stamp: Stamp) -> Option<f32> {
        self.rows.get(index).filter(|(known, _)| *known == stamp).map(|(_, height)| *height)
    }

    /// Rows are painted in their order, so that none is left out.
    fn keep(&mut self, index: usize, stamp: Stamp, height: f32) {
        match self.rows.get_mut(index) {
            Some(row) => *row = (stamp, height),
            None => self.rows.push((stamp, height)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Stays,
    Wanted,
}

impl Draft {
    /// How much the others wrote and sent since the panel was last open.
    pub(super) fn unread(&self, call: &Call) -> usize {
        call.unread + files(call).saturating_sub(self.files_seen)
    }

    /// The next paint puts the cursor where one writes.
    pub(super) const fn wants_focus(&mut self) {
        self.focus = Focus::Wanted;
    }
}

/// How much the others wrote and sent.
pub(super) fn arrived(call: &Call) -> usize {
    let lines = call.chat.iter().filter(|line| line.from.is_some()).count();
    lines + files(call)
}

fn files(call: &Call) -> usize {
    call.files.iter().filter(|file| file.from.is_some()).count()
}

/// Shows the panel.
pub(super) fn show(ui: &mut Ui, rect: Rect, screen: &mut Screen, cx: &mut Cx<'_>) {
    screen.chat.files_seen = files(cx.call);
    if cx.call.unread > 0 {
        cx.ask(Command::ReadChat);
    }
    let body = super::panel(ui, rect, "Chat", screen);
    let foot = Rect::from_min_max(pos2(body.left(), body.bottom() - 56.0), body.max);
    let middle = Rect::from_min_max(body.min, pos2(body.right(), foot.top()));
    let mut list = region(ui, middle, "lines", Layout::top_down(Align::Min));
    list.set_clip_rect(middle.intersect(ui.clip_rect()));
    if cx.call.chat.is_empty() && cx.call.files.is_empty() {
        empty(&list, middle);
    } else {
        ScrollArea::vertical().auto_shrink([false, false]).stick_to_bottom(true).show(&mut list, |ui| {
            Frame::NONE.inner_margin(Margin { left: 16, right: 16, top: 4, bottom: 12 }).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = HALF;
                let entries = entries(cx.call);
                screen.chat.heights.fit(entries.len(), ui.available_width());
                let mut before = None;
                for (index, entry) in entries.into_iter().enumerate() {
                    let (from, ago) = entry.origin();
                    let is_new = before.is_none_or(|(earlier, then): (Option<&str>, Duration)| {
                        earlier != from || then.saturating_sub(ago) > TOGETHER
                    });
                    before = Some((from, ago));
                    ui.push_id(index, |ui| row(ui, index, &entry, is_new, &mut screen.chat.heights, cx));
                }
            });
        });
    }
    write(ui, foot, &mut screen.chat, cx);
}

enum Entry<'a> {
    Line(&'a Line),
    File(&'a File),
}

impl<'a> Entry<'a> {
    /// Who, and how long ago.
    fn origin(&self) -> (Option<&'a str>, Duration) {
        match self {
            Self::Line(line) => (line.from.as_deref(), line.ago),
            Self::File(file) => (file.from.as_deref(), file.ago),
        }
    }

    fn stamp(&self, is_new: bool) -> Stamp {
        match self {
            Self::Line(line) => (line.text.len(), is_new),
            Self::File(file) => (card_height(file) as usize, is_new),
        }
    }

    /// In one sentence, for who does not see it.
    fn words(&self) -> String {
        let name = self.origin().0.unwrap_or("You");
        match self {
            Self::Line(line) if line.is_passed_on => format!("{name} ({PASSED_ON}): {}", line.text),
            Self::Line(line) => format!("{name}: {}", line.text),
            Self::File(file) => format!("{name}: file {}", file.name),
        }
    }
}

fn row(ui: &mut Ui, index: usize, entry: &Entry<'_>, is_new: bool, heights: &mut Heights, cx: &mut Cx<'_>) {
    let stamp = entry.stamp(is_new);
    if let Some(height) = heights.of(index, stamp) {
        let size = vec2(ui.available_width(), height);
        if !ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, size)) {
            let (_, response) = ui.allocate_exact_size(size, Sense::hover());
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, entry.words()));
            return;
        }
    }
    let shown = ui.vertical(|ui| match entry {
        Entry::Line(line) => said(ui, line, is_new),
        Entry::File(file) => sent(ui, file, is_new, cx),
    });
    heights.keep(index, stamp, shown.response.rect.height());
}

/// Lines and files by the time they came, oldest first.
fn entries(call: &Call) -> Vec<Entry<'_>> {
    let lines = call.chat.iter().map(|line| (line.ago, Entry::Line(line)));
    let mut all: Vec<_> = lines.chain(call.files.iter().map(|file| (file.ago, Entry::File(file)))).collect();
    all.sort_by_key(|(ago, _)| Reverse(*ago));
    all.into_iter().map(|(_, entry)| entry).collect()
}

fn empty(ui: &Ui, rect: Rect) {
    let p = Palette::of(ui);
    let at = rect.center() - vec2(0.0, 30.0);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::MessageSquare, 30.0, p.faint);
    let at = rect.center() + vec2(0.0, 6.0);
    paint_text(ui, at, Align2::CENTER_CENTER, "Nothing written yet", size::LEAD, Weight::Bold, p.text);
    let words = "Everybody here reads it, also who comes later.";
    let at = rect.center() + vec2(0.0, 28.0);
    paint_text(ui, at, Align2::CENTER_CENTER, words, size::BODY, Weight::Regular, p.soft);
    describe(ui, rect, "empty", words);
}

fn said(ui: &mut Ui, line: &Line, is_new: bool) {
    let p = Palette::of(ui);
    let name = line.from.as_deref().unwrap_or("You");
    if is_new {
        head(ui, name, line.ago);
    }
    if line.is_passed_on {
        ui.horizontal(|ui| {
            ui.add_space(INDENT);
            let words = theme::text(PASSED_ON, size::CAPTION, Weight::Regular, p.faint);
            ui.label(words)
                .on_hover_text("Who is said to have written this is not here, so nothing proves it.");
        });
    }
    ui.horizontal_top(|ui| {
        ui.add_space(INDENT);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing = vec2(0.0, 2.0);
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal_wrapped(|ui| {
                for part in parts(&line.text) {
                    match part {
                        Part::Words(words) => {
                            let words = theme::text(words, size::BODY, Weight::Regular, p.text);
                            ui.add(egui::Label::new(words).wrap().selectable(true));
                        }
                        Part::Link(link) => {
                            let words = theme::text(link, size::BODY, Weight::Medium, p.accent);
                            if ui.link(words).clicked() {
                                ui.ctx().open_url(OpenUrl::new_tab(link));
                            }
                        }
                    }
                }
            });
        });
    });
}

/// Who, and when.
fn head(ui: &mut Ui, name: &str, ago: Duration) {
    let p = Palette::of(ui);
    ui.add_space(STEP);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    avatar(ui, rect.left_center() + vec2(13.0, 2.0), 13.0, name);
    let when = units::ago(ago);
    let when_width = 110.0;
    let at = rect.left_center() + vec2(INDENT, 0.0);
    let parts = [(name, size::BODY, Weight::Bold, p.text)];
    paint_line(ui, at, rect.width() - INDENT - when_width, &parts);
    let at = rect.right_center();
    paint_text(ui, at, Align2::RIGHT_CENTER, &when, size::CAPTION, Weight::Regular, p.faint);
    describe(ui, rect, "head", &format!("{name}, {when}"));
}

fn sent(ui: &mut Ui, file: &File, is_new: bool, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    if is_new {
        head(ui, file.from.as_deref().unwrap_or("You"), file.ago);
    } else {
        ui.add_space(HALF);
    }
    ui.horizontal_top(|ui| {
        ui.add_space(INDENT);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), card_height(file)), Sense::hover());
        // Deeper than the panel, so that buttons stand out from it.
        ui.painter().rect_filled(rect, 10.0, p.back);
        ui.painter().rect_stroke(rect, 10.0, Stroke::new(1.0, p.line), StrokeKind::Inside);
        let (icon, ink) = match &file.progress {
            Progress::Done(_) => (Icon::FileCheck, p.good),
            Progress::Failed(_) => (Icon::FileX, p.bad),
            Progress::Offered | Progress::Running(..) | Progress::Paused(_) => (Icon::File, p.soft),
        };
        paint_icon(ui, rect.left_top() + vec2(24.0, 30.0), Align2::CENTER_CENTER, icon, 22.0, ink);
        let button = if is_asked(file) { 0.0 } else { CONTROL + 4.0 };
        let room = rect.width() - 46.0 - 12.0 - button;
        let at = rect.left_top() + vec2(46.0, 21.0);
        paint_line(ui, at, room, &[(file.name.as_str(), size::BODY, Weight::Medium, p.text)]);
        let (words, ink) = file_words(file, &p);
        let at = rect.left_top() + vec2(46.0, 40.0);
        let is_cut = paint_line(ui, at, room, &[(words.as_str(), size::BODY, Weight::Regular, ink)]);
        let id = ui.scope_id().with(("file", file.id));
        let response = ui.interact(rect, id, Sense::hover());
        let spoken = format!("File {}: {words}", file.name);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &spoken));
        if is_cut {
            response.on_hover_text(&words);
        }
        if has_bar(file) {
            let at = pos2(rect.left() + 12.0, rect.top() + 60.0);
            let track = Rect::from_min_size(at, vec2(rect.width() - 24.0, 4.0));
            ui.painter().rect_filled(track, 2.0, faded(p.text, 0.15));
            let mut done = track;
            done.set_width(track.width() * share(file));
            ui.painter().rect_filled(done, 2.0, p.accent);
        }
        file_buttons(ui, rect, file, cx);
    });
    ui.add_space(HALF);
}

const fn has_bar(file: &File) -> bool {
    matches!(file.progress, Progress::Running(..) | Progress::Paused(_))
}

/// The user has to say whether it is wanted.
const fn is_asked(file: &File) -> bool {
    file.from.is_some() && matches!(file.progress, Progress::Offered)
}

fn card_height(file: &File) -> f32 {
    match (is_asked(file), has_bar(file)) {
        (true, _) => 112.0,
        (false, true) => 74.0,
        (false, false) => 60.0,
    }
}

fn file_buttons(ui: &mut Ui, rect: Rect, file: &File, cx: &mut Cx<'_>) {
    if is_asked(file) {
        let place = Rect::from_min_max(rect.left_bottom() + vec2(12.0, -48.0), rect.max - vec2(12.0, 12.0));
        let mut ui = region(ui, place, ("answer", file.id), Layout::left_to_right(Align::Center));
        let each = vec2((place.width() - STEP) / 2.0, CONTROL);
        let mut answer = |words: &str, tone| {
            let name = format!("{words} {}", file.name);
            crate::ui::widgets::button_named(&mut ui, None, words, &name, tone, each).clicked()
        };
        if answer("Decline", Tone::Plain) {
            cx.ask(Command::CancelFile(file.id));
        }
        if answer("Accept", Tone::Primary) {
            cx.ask(Command::TakeFile(file.id));
        }
        return;
    }
    let place = Rect::from_min_size(rect.right_top() + vec2(-CONTROL - 8.0, 12.0), vec2(CONTROL, CONTROL));
    let mut ui = region(ui, place, ("button", file.id), Layout::default());
    match &file.progress {
        Progress::Offered | Progress::Running(..) | Progress::Paused(_) => {
            let name = format!("Cancel {}", file.name);
            if icon_button(&mut ui, Icon::X, &name, Tone::Quiet).clicked() {
                cx.ask(Command::CancelFile(file.id));
            }
        }
        Progress::Done(Some(path)) => {
            let name = format!("Copy the path of {}", file.name);
            if icon_button(&mut ui, Icon::Copy, &name, Tone::Quiet).clicked() {
                ui.ctx().copy_text(path.display().to_string());
            }
        }
        Progress::Done(None) | Progress::Failed(_) => {}
    }
}

/// How far it is, [0, 1].
fn share(file: &File) -> f32 {
    let done = match file.progress {
        Progress::Offered | Progress::Failed(_) => 0,
        Progress::Running(done, _) | Progress::Paused(done) => done,
        Progress::Done(_) => file.size,
    };
    if file.size == 0 { 1.0 } else { (done as f64 / file.size as f64).clamp(0.0, 1.0) as f32 }
}

fn file_words(file: &File, p: &Palette) -> (String, Color32) {
    let all = bytes(file.size);
    match &file.progress {
        Progress::Offered if file.from.is_some() => (format!("{all} \u{b7} do you want it?"), p.soft),
        Progress::Offered => (format!("{all} \u{b7} offered"), p.soft),
        Progress::Running(done, rate) => {
            let left = file.size.saturating_sub(*done);
            let pace = left.checked_div(*rate).map_or("stands still".to_owned(), |seconds| {
                format!("{} left", super::parts::lasted(Duration::from_secs(seconds)))
            });
            (format!("{} \u{b7} {pace}", of(*done, file.size)), p.soft)
        }
        Progress::Paused(done) => (format!("{} \u{b7} waits for the link", of(*done, file.size)), p.warning),
        Progress::Done(Some(path)) => {
            let folder = path.parent().and_then(|folder| folder.file_name());
            let folder = folder.map_or(String::new(), |folder| format!(" in {}", folder.to_string_lossy()));
            (format!("{all} \u{b7} saved{folder}"), p.soft)
        }
        Progress::Done(None) => (format!("{all} \u{b7} delivered"), p.soft),
        Progress::Failed(why) => (why.clone(), p.bad),
    }
}

/// `1.2 of 3.4 MB`, `640 kB of 3.4 MB`.
fn of(done: u64, all: u64) -> String {
    let (done, all) = (bytes(done), bytes(all));
    match (done.split_once(' '), all.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {all}"),
        _ => format!("{done} of {all}"),
    }
}

/// `640 B`, `12 kB`, `3.4 MB`.
fn bytes(count: u64) -> String {
    let count_f = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", count_f / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count_f / 1e6),
        _ => format!("{:.2} GB", count_f / 1e9),
    }
}

fn write(ui: &mut Ui, rect: Rect, draft: &mut Draft, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    ui.painter().hline(rect.x_range(), rect.top(), (1.0, p.line));
    let inner = rect.shrink2(vec2(12.0, 10.0));
    let attach = Rect::from_min_size(inner.min, vec2(CONTROL, CONTROL));
    let mut child = region(ui, attach, "attach", Layout::default());
    let button = icon_button(&mut child, Icon::Paperclip, "Offer a file", Tone::Quiet);
    menu(&button, 300.0, "A file for everybody", |ui| offer(ui, draft, cx));
    let place =
        Rect::from_min_max(inner.min + vec2(CONTROL + HALF, 0.0), inner.max - vec2(CONTROL + HALF, 0.0));
    let id = Id::unique("the line to all");
    let edit = TextEdit::singleline(&mut draft.text)
        .id(id)
        .hint_text("Write to everybody")
        .font(theme::font(size::BODY, Weight::Regular))
        .margin(Margin::symmetric(12, 9))
        .char_limit(LINE_CHARS_MAX)
        .align(Align2::LEFT_CENTER);
    let response = ui.put(place, edit);
    let name = "Write to everybody";
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::text_edit(true, "", &draft.text, name);
        info.label = Some(name.into());
        info
    });
    if std::mem::take(&mut draft.focus) == Focus::Wanted {
        response.request_focus();
    }
    let place = Rect::from_min_size(pos2(inner.right() - CONTROL, inner.top()), vec2(CONTROL, CONTROL));
    let mut child = region(ui, place, "send", Layout::default());
    let has_words = !draft.text.trim().is_empty();
    let tone = if has_words { Tone::Primary } else { Tone::Quiet };
    let is_sent = child
        .add_enabled_ui(has_words, |ui| icon_button(ui, Icon::SendHorizontal, "Send (Enter)", tone).clicked())
        .inner;
    let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if (is_sent || is_entered) && has_words {
        cx.ask(Command::Say(draft.text.trim().to_owned()));
        draft.text.clear();
    }
    if is_sent || is_entered {
        // One line seldom comes alone.
        response.request_focus();
    }
}

/// A file by its path, where nothing can be dropped on the window.
fn offer(ui: &mut Ui, draft: &mut Draft, cx: &mut Cx<'_>) {
    let p = Palette::of(ui);
    Frame::NONE.inner_margin(Margin::same(8)).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = STEP;
        let words = "Drop a file on the window, or write where it is.";
        ui.label(theme::text(words, size::BODY, Weight::Regular, p.soft));
        let response = field(ui, "File", "/home/me/drawing.pdf", &mut draft.path, None);
        let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let path = file_path(&draft.path);
        ui.add_enabled_ui(path.is_some(), |ui| {
            let wanted = vec2(ui.available_width(), CONTROL);
            let is_clicked =
                button_sized(ui, Some(Icon::Upload), "Offer it", Tone::Primary, wanted).clicked();
            if let Some(path) = path
                && (is_clicked || is_entered)
            {
                cx.ask(Command::SendFile(path));
                draft.path.clear();
                ui.close();
            }
        });
    });
}

/// What was typed or pasted, as a path; file managers copy `file://` and quotes. Whether it exists is found out by who
/// opens it.
fn file_path(typed: &str) -> Option<PathBuf> {
    let typed = typed.trim().trim_matches(['"', '\'']);
    let path = PathBuf::from(typed.strip_prefix("file://").unwrap_or(typed));
    path.is_absolute().then_some(path)
}

/// Files over the window are told what becomes of them; files dropped are offered.
pub(super) fn dropped(ui: &Ui, whole: Rect, cx: &mut Cx<'_>) {
    let (hovering, paths): (bool, Vec<PathBuf>) = ui.input(|input| {
        let paths = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
        (!input.raw.hovered_files.is_empty(), paths)
    });
    for path in paths {
        cx.ask(Command::SendFile(path));
    }
    if !hovering {
        return;
    }
    let p = Palette::of(ui);
    ui.painter().rect_filled(whole, 0.0, faded(p.back, 0.82));
    let inner = whole.shrink(24.0);
    ui.painter().rect_filled(inner, 16.0, faded(p.accent, 0.12));
    ui.painter().rect_stroke(inner, 16.0, Stroke::new(2.0, p.accent), StrokeKind::Inside);
    let at = inner.center() - vec2(0.0, 28.0);
    paint_icon(ui, at, Align2::CENTER_CENTER, Icon::Upload, 40.0, p.accent);
    let at = inner.center() + vec2(0.0, 20.0);
    paint_text(ui, at, Align2::CENTER_CENTER, "Offer it to everybody", size::TITLE, Weight::Bold, p.text);
    describe(ui, inner, "drop", "Drop the file to offer it to everybody");
}

/// Where words begin, right of the faces.
const INDENT: f32 = 36.0;
/// Of a line whose author is not here: somebody else's copy.
const PASSED_ON: &str = "passed on by somebody else";
/// Lines of one person within this time stand under one name.
const TOGETHER: Duration = Duration::from_secs(180);
/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: Option<&str>, ago_s: u64) -> Line {
        Line {
            from: from.map(Into::into),
            ago: Duration::from_secs(ago_s),
            text: "x".into(),
            ..Line::default()
        }
    }

    fn file(from: Option<&str>, ago_s: u64, progress: Progress) -> File {
        let ago = Duration::from_secs(ago_s);
        File { id: 1, from: from.map(Into::into), name: "a.pdf".into(), size: 2_500_000, ago, progress }
    }

    #[test]
    fn what_others_wrote_and_sent_is_unread_until_the_panel_was_open() {
        let mut call = Call { unread: 1, ..Call::default() };
        let mut draft = Draft::default();
        assert_eq!(draft.unread(&call), 1);
        call.files.push(file(Some("Ada"), 1, Progress::Offered));
        call.files.push(file(None, 1, Progress::Offered));
        assert_eq!(draft.unread(&call), 2);
        (call.unread, draft.files_seen) = (0, files(&call));
        assert_eq!(draft.unread(&call), 0);
    }

    #[test]
    fn a_path_may_be_pasted_as_file_managers_copy_it() {
        for (typed, want) in [
            ("/tmp/a b.pdf", Some("/tmp/a b.pdf")),
            (" \"/tmp/a.pdf\"\n", Some("/tmp/a.pdf")),
            ("file:///tmp/a.pdf", Some("/tmp/a.pdf")),
            ("a.pdf", None),
            ("", None),
        ] {
            assert_eq!(file_path(typed), want.map(PathBuf::from), "{typed:?}");
        }
    }

    #[test]
    fn files_stand_between_the_lines_by_their_time() {
        let call = Call {
            chat: vec![line(None, 60), line(Some("Ada"), 20)].into(),
            files: vec![file(None, 40, Progress::Offered), file(None, 10, Progress::Offered)],
            ..Call::default()
        };
        let order: Vec<u64> = entries(&call)
            .iter()
            .map(|entry| match entry {
                Entry::Line(line) => line.ago.as_secs(),
                Entry::File(file) => file.ago.as_secs(),
            })
            .collect();
        assert_eq!(order, [60, 40, 20, 10]);
    }

    #[test]
    fn a_file_tells_how_far_it_is() {
        for (progress, words, part) in [
            (Progress::Offered, "2.5 MB \u{b7} do you want it?", 0.0),
            (Progress::Running(500_000, 250_000), "500 kB of 2.5 MB \u{b7} 0:08 left", 0.2),
            (Progress::Running(500_000, 0), "500 kB of 2.5 MB \u{b7} stands still", 0.2),
            (Progress::Paused(1_250_000), "1.2 of 2.5 MB \u{b7} waits for the link", 0.5),
            (
                Progress::Done(Some("/home/ada/Downloads/a.pdf".into())),
                "2.5 MB \u{b7} saved in Downloads",
                1.0,
            ),
            (Progress::Failed("refused".into()), "refused", 0.0),
        ] {
            let file = file(Some("Ada"), 1, progress);
            assert_eq!(file_words(&file, &theme::DARK).0, words);
            assert!((share(&file) - part).abs() < 1e-6, "{words}");
        }
        assert_eq!(share(&File { size: 0, ..file(None, 1, Progress::Done(None)) }), 1.0);
    }
}
