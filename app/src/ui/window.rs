//! What is on the window: which page, overlays, notices; lays the pages out and collects their commands.

use eframe::egui::{self, Align2, CursorIcon, Key as EguiKey, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use farwheel_proto::sound::Key;
use lucide_icons::Icon;

use super::theme::{self, Palette, Weight, size};
use super::widgets::{focus_ring, paint_icon, paint_text};
use super::{
    Pictures, call, calls, connect, drive, gamepad, keys, notices, pair, prejoin, ring, settings, shortcuts,
    stats,
};
use crate::input::keyboard::Keys;
use crate::model::call::Command as Ask;
use crate::model::{Command, Model};
use crate::settings::Settings;

/// A page of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// The connect screen, or the drive screen while there is a session.
    #[default]
    Drive,
    /// Where calls begin, the screen before a call, or the call.
    Call,
    /// Controller and mapping.
    Gamepad,
    /// Plots and percentiles.
    Stats,
    /// Settings.
    Settings,
    /// Two who meet without a room.
    Pair,
}

/// Whether something that can be hidden is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Shown.
    Yes,
    /// Hidden.
    #[default]
    No,
}

impl Shown {
    /// The other one.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
        }
    }
}

/// State of the window that is nobody else's business.
#[derive(Debug, Default)]
pub struct Window {
    /// The page.
    pub page: Page,
    /// The list of shortcuts.
    pub shortcuts: Shown,
    /// Everything over the video but STOP and alarms is hidden.
    pub bare: Shown,
    connect: connect::Form,
    calls: calls::Form,
    call: call::Screen,
    calling: Calling,
    drive: drive::Hold,
    gamepad: gamepad::Tab,
    notices: notices::Stack,
    pair: pair::Form,
    /// A letter pasted before a call.
    letter: String,
    keys_sent: Keys,
    steering: Option<Steering>,
    /// The key for talking at the car.
    talk: Key,
}

/// How far a call is, as of the last paint; a step on brings its page to the front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Calling {
    #[default]
    No,
    Before,
    In,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steering {
    Granted,
    Released,
}

impl Window {
    /// A window on a page.
    pub fn on(page: Page) -> Self {
        Self { page, ..Self::default() }
    }

    /// Releases the controls as soon as the window may not steer, and grants them again; calls for the user when there
    /// is news in a call. Called before each paint and also while the window is hidden.
    pub fn watch_focus(&mut self, ctx: &egui::Context, model: &Model) -> Vec<Command> {
        let mut out = Vec::new();
        let has_focus = ctx.input(|input| input.viewport().focused.unwrap_or(input.focused));
        let is_hidden = is_hidden(ctx);
        if is_hidden && model.call.is_some() {
            self.call.look_away(&mut out, ctx.input(|input| input.time));
        }
        let has_window = has_focus && !is_hidden;
        if let Some(call) = &model.call
            && self.call.has_news(call)
            && !has_window
        {
            out.push(Command::Call(Ask::Chime));
            let attention =
                egui::ViewportCommand::RequestUserAttention(egui::UserAttentionType::Informational);
            ctx.send_viewport_cmd_to(egui::ViewportId::ROOT, attention);
        }
        let may_steer = has_window && model.drive.is_some() && self.page == Page::Drive;
        let wanted = if may_steer { Steering::Granted } else { Steering::Released };
        if self.steering == Some(wanted) {
            return out;
        }
        self.steering = Some(wanted);
        self.keys_sent = Keys::NONE;
        out.push(match wanted {
            Steering::Granted => Command::GrantControls,
            Steering::Released => Command::ReleaseControls,
        });
        out
    }

    /// Shows the window's contents and returns what the user asked for. `model.notices` are taken over.
    pub fn show(&mut self, ui: &mut Ui, model: &mut Model, pictures: Pictures<'_>) -> Vec<Command> {
        let mut out = Vec::new();
        self.follow_call(model);
        self.notices.take(ui.ctx(), &mut model.notices);
        self.shortcut_keys(ui, model, &mut out);
        let is_driving = model.drive.is_some() && self.page == Page::Drive;
        if is_driving {
            let keys = if ui.ctx().memory(|memory| memory.focused().is_some()) {
                // A control has the keyboard; only the emergency stop still goes through.
                keys::emergency_only(ui.ctx())
            } else {
                keys::driving(ui.ctx())
            };
            if keys != self.keys_sent {
                self.keys_sent = keys;
                out.push(Command::Keys(keys));
            }
        }
        if model.drive.is_some() || self.page != Page::Drive {
            self.connect.look_away(&mut out);
        }
        let whole = ui.max_rect();
        ui.painter().rect_filled(whole, 0.0, Palette::of(ui).back);
        // The window that stays on top is painted with this one, also while this one is out of sight.
        let shows_call = self.page == Page::Call && !is_hidden(ui.ctx());
        match (&model.call, &model.drive, self.page) {
            (Some(_), _, Page::Call) if !shows_call => {}
            (Some(state), _, Page::Call) => {
                let ctx = ui.ctx().clone();
                let cx = call::Cx::new(
                    model,
                    state,
                    pictures,
                    &ctx,
                    &mut self.page,
                    &mut self.shortcuts,
                    &mut out,
                );
                call::show(ui, whole, &mut self.call, cx);
            }
            (_, Some(state), Page::Drive) => {
                let mut cx = drive::Cx {
                    state,
                    model,
                    pictures: pictures.drive,
                    page: &mut self.page,
                    bare: &mut self.bare,
                    shortcuts: &mut self.shortcuts,
                    hold: &mut self.drive,
                    out: &mut out,
                };
                drive::show(ui, whole, &mut cx);
            }
            (_, _, page) => {
                let rail = Rect::from_min_size(whole.min, vec2(RAIL, whole.height()));
                let body = Rect::from_min_max(pos2(rail.right(), whole.top()), whole.max);
                self.rail(ui, rail, model, &mut out);
                let mut body_ui =
                    ui.new_child(egui::UiBuilder::new().max_rect(body).id_salt(("page", page as u8)));
                body_ui.set_clip_rect(body);
                let ui = &mut body_ui;
                match page {
                    Page::Drive => connect::show(ui, &mut self.connect, model, &mut out),
                    Page::Call => match &model.prejoin {
                        Some(state) => {
                            prejoin::show(ui, &mut self.letter, state, model, pictures, &mut out);
                        }
                        None => calls::show(ui, &mut self.calls, model, &mut out),
                    },
                    Page::Gamepad => gamepad::show(ui, &mut self.gamepad, model, &mut out),
                    Page::Stats => stats::show(ui, model, &mut out),
                    Page::Settings => settings::show(ui, model, &mut out),
                    Page::Pair => pair::show(ui, &mut self.pair, model, pictures, &mut out),
                }
            }
        }
        if let Some(state) = &model.call
            && !shows_call
        {
            let ctx = ui.ctx().clone();
            let cx =
                call::Cx::new(model, state, pictures, &ctx, &mut self.page, &mut self.shortcuts, &mut out);
            call::elsewhere(&ctx, &mut self.call, cx);
        }
        if self.shortcuts == Shown::Yes {
            let about =
                if self.page == Page::Call { shortcuts::About::Calls } else { shortcuts::About::Driving };
            shortcuts::show(ui, about, &mut self.shortcuts);
        }
        ring::show(&ui.ctx().clone(), model, &mut out);
        self.notices.show(ui);
        out
    }

    /// Brings a call to the front when it gets further, and forgets what was chosen in it when it is over.
    fn follow_call(&mut self, model: &Model) {
        let calling = match (&model.call, &model.prejoin) {
            (Some(_), _) => Calling::In,
            (None, Some(_)) => Calling::Before,
            (None, None) => Calling::No,
        };
        if calling > self.calling {
            self.page = Page::Call;
        }
        if self.calling == Calling::In && calling != Calling::In {
            self.call = call::Screen::default();
        }
        self.calling = calling;
    }

    fn shortcut_keys(&mut self, ui: &Ui, model: &Model, out: &mut Vec<Command>) {
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        let types = ui.ctx().egui_wants_keyboard_input();
        if pressed(EguiKey::F1) || (!types && ui.input(|input| input.events.iter().any(is_question_mark))) {
            self.shortcuts = self.shortcuts.flipped();
        }
        if pressed(EguiKey::F11) {
            toggle_fullscreen(ui.ctx());
        }
        let goto = [
            (EguiKey::F2, Page::Drive),
            (EguiKey::F3, Page::Gamepad),
            (EguiKey::F4, Page::Stats),
            (EguiKey::F5, Page::Settings),
            (EguiKey::F7, Page::Call),
        ];
        for (key, page) in goto {
            if pressed(key) {
                self.page = page;
            }
        }
        if model.drive.is_some() {
            if pressed(EguiKey::F6) {
                let settings = Settings { economy: !model.settings.economy, ..model.settings.clone() };
                out.push(Command::ChangeSettings(Box::new(settings)));
            }
            // In a call it may be the key to talk.
            if pressed(EguiKey::F8) && self.page != Page::Call {
                let settings = Settings { hear: !model.settings.hear, ..model.settings.clone() };
                out.push(Command::ChangeSettings(Box::new(settings)));
            }
            if pressed(EguiKey::F10) {
                self.bare = self.bare.flipped();
            }
            if pressed(EguiKey::F12) {
                out.push(Command::Snapshot);
            }
        }
        // A window that loses the focus forgets its keys, and so the key comes up.
        let is_down = !types && self.page == Page::Drive && ui.input(|input| input.key_down(EguiKey::T));
        let key = if is_down && model.drive.is_some() { Key::Down } else { Key::Up };
        if key != self.talk {
            self.talk = key;
            out.push(Command::Talk(key));
        }
        // One press closes one thing: a menu closes itself, and a call closes its own.
        let is_in_call = self.page == Page::Call && model.call.is_some();
        if pressed(EguiKey::Escape) && !is_in_call && !egui::Popup::is_any_open(ui.ctx()) {
            self.shortcuts = Shown::No;
        }
        // On the drive page the driving keys carry it too, but not a tap so short that it is over within one paint.
        let is_tapped = pressed(EguiKey::Escape) || (pressed(EguiKey::Backspace) && !types);
        let can_stop =
            model.drive.as_ref().is_some_and(|drive| self.page == Page::Drive || drive.arm.is_live());
        if is_tapped && can_stop {
            out.push(Command::EmergencyStop);
        }
        if self.page != Page::Gamepad && model.gamepad.wizard.is_some() {
            // Out of sight it would only keep the controller from driving.
            out.push(Command::WizardCancel);
        }
    }

    fn rail(&mut self, ui: &mut Ui, rect: Rect, model: &Model, out: &mut Vec<Command>) {
        let p = Palette::of(ui);
        ui.painter().rect_filled(rect, 0.0, p.surface);
        ui.painter().vline(rect.right(), rect.y_range(), (1.0, p.line));
        let mark = Rect::from_center_size(pos2(rect.center().x, rect.top() + 36.0), vec2(36.0, 36.0));
        super::logo::paint(ui, mark);
        let first = if model.drive.is_some() { "Drive" } else { "Connect" };
        let entries = [
            (Page::Drive, if model.drive.is_some() { Icon::CarFront } else { Icon::Radio }, first),
            (Page::Call, Icon::Video, "Calls"),
            (Page::Gamepad, Icon::Gamepad2, "Controller"),
            (Page::Stats, Icon::ChartSpline, "Stats"),
            (Page::Settings, Icon::Settings, "Settings"),
            (Page::Pair, Icon::Handshake, "Pair"),
        ];
        // A low window has less air between the entries.
        let first_top = if rect.height() < 540.0 { 62.0 } else { 80.0 };
        let below = if model.drive.is_some() { 136.0 } else { 68.0 };
        let pitch = ((rect.height() - first_top - below) / entries.len() as f32).min(60.0);
        let mut top = rect.top() + first_top;
        for (page, icon, name) in entries {
            let cell =
                Rect::from_min_size(pos2(rect.left() + 8.0, top), vec2(rect.width() - 16.0, pitch - 4.0));
            if rail_entry(ui, cell, icon, name, self.page == page) {
                self.page = page;
            }
            if page == Page::Call && (model.call.is_some() || !model.missed.is_empty()) {
                let ink = if model.call.is_some() { p.good } else { p.bad };
                ui.painter().circle_filled(cell.right_top() + vec2(-14.0, 12.0), 5.0, ink);
            }
            top += pitch;
        }
        let help = Rect::from_min_size(
            pos2(rect.left() + 8.0, rect.bottom() - 64.0),
            vec2(rect.width() - 16.0, 56.0),
        );
        if rail_entry(ui, help, Icon::Keyboard, "Shortcuts", self.shortcuts == Shown::Yes) {
            self.shortcuts = self.shortcuts.flipped();
        }
        if model.drive.is_some() {
            let stop = Rect::from_min_size(help.min - vec2(0.0, 68.0), vec2(help.width(), 60.0));
            if drive::stop_button(ui, stop, drive::StopLook::Small) {
                out.push(Command::EmergencyStop);
            }
        }
    }
}

/// Asks for full screen, or for the window again.
pub fn toggle_fullscreen(ctx: &egui::Context) {
    let is_full = ctx.input(|input| input.viewport().fullscreen.unwrap_or(false));
    ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(!is_full));
}

/// Nothing of the window can be seen.
fn is_hidden(ctx: &egui::Context) -> bool {
    ctx.input(|input| {
        let viewport = input.viewport();
        viewport.minimized == Some(true) || viewport.occluded == Some(true)
    })
}

fn is_question_mark(event: &egui::Event) -> bool {
    matches!(event, egui::Event::Text(text) if text == "?")
}

fn rail_entry(ui: &mut Ui, rect: Rect, icon: Icon, name: &str, is_here: bool) -> bool {
    let p = Palette::of(ui);
    let response = ui.interact(rect, ui.scope_id().with(("rail", name)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, is_here, name));
    let ink = match (is_here, response.hovered()) {
        (true, _) => p.accent,
        (false, true) => p.text,
        (false, false) => p.soft,
    };
    if is_here {
        ui.painter().rect_filled(rect, 10.0, theme::faded(p.accent, 0.14));
    } else if response.hovered() {
        ui.painter().rect_filled(rect, 10.0, p.raised);
    }
    paint_icon(ui, rect.center() - vec2(0.0, 8.0), Align2::CENTER_CENTER, icon, 20.0, ink);
    let at = rect.center() + vec2(0.0, 15.0);
    paint_text(ui, at, Align2::CENTER_CENTER, name, size::CAPTION, Weight::Medium, ink);
    focus_ring(ui, &response, rect, 10.0);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

/// Width of the side bar, in points.
const RAIL: f32 = 80.0;
