//! Keys of the call screen; none of them while something is being written.

use eframe::egui::{self, Key, Ui};

use super::{Cx, Screen, Side, bar, switch};
use crate::model::call::Command;
use crate::model::settings::TalkKey;
use crate::ui::window::toggle_fullscreen;

/// The key that is held to talk, or to be silent.
#[derive(Debug, Default)]
pub(super) struct Talk {
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    No,
    Yes,
}

impl Talk {
    /// Whether it is down.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self.held, Held::Yes)
    }

    fn set(&mut self, held: Held) -> Option<Command> {
        if self.held == held {
            return None;
        }
        self.held = held;
        Some(Command::TalkKey(switch(self.is_held())))
    }

    /// Whatever happens to the key from here on is not seen.
    pub(super) fn release(&mut self) -> Option<Command> {
        self.set(Held::No)
    }
}

/// Does what the keys say.
pub(super) fn handle(ui: &Ui, screen: &mut Screen, cx: &mut Cx<'_>) {
    let types = ui.ctx().text_edit_focused();
    let has_focus = ui.ctx().memory(|memory| memory.focused().is_some());
    let (key, is_free) = match cx.model.settings.call.talk_key {
        // It also presses the button that has the focus.
        TalkKey::Space => (Key::Space, !has_focus),
        TalkKey::Backtick => (Key::Backtick, !types),
        TalkKey::F8 => (Key::F8, true),
    };
    let is_down = ui.input(|input| input.focused && input.key_down(key) && input.modifiers.is_none());
    let held = if is_down && is_free { Held::Yes } else { Held::No };
    if let Some(command) = screen.talk.set(held) {
        cx.ask(command);
    }
    if ui.input(|input| pressed(input, Key::L, egui::Modifiers::CTRL)) {
        cx.ask(Command::Leave);
    }
    let hit = |key| ui.input(|input| pressed(input, key, egui::Modifiers::NONE));
    // A menu closes itself later in this paint.
    if hit(Key::Escape) && !egui::Popup::is_any_open(ui.ctx()) {
        screen.close_one(cx.shortcuts);
    }
    if types {
        return;
    }
    let own = &cx.call.own;
    if hit(Key::M) && own.microphone.used.is_some() {
        cx.ask(bar::mute_toggled(own.voice));
    }
    if hit(Key::V) && own.camera.used.is_some() {
        cx.ask(Command::Camera(switch(!own.is_camera_on)));
    }
    if hit(Key::S) {
        match own.shared.is_some() || own.opens.is_some() {
            true => cx.ask(Command::EndShare),
            false => screen.opens_share = true,
        }
    }
    if hit(Key::C) {
        screen.toggle(Side::Chat);
        screen.chat.wants_focus();
    }
    if hit(Key::P) {
        screen.toggle(Side::People);
    }
    if hit(Key::H) {
        cx.ask(Command::Hand(switch(!own.is_hand_up)));
    }
    if hit(Key::G) {
        screen.arrangement = screen.arrangement.next();
        screen.pinned = None;
    }
    if hit(Key::F) {
        toggle_fullscreen(ui.ctx());
    }
}

/// Pressed in this paint; a key that repeats itself does not count again.
fn pressed(input: &egui::InputState, key: Key, with: egui::Modifiers) -> bool {
    input.events.iter().any(|event| {
        matches!(event, egui::Event::Key { key: which, pressed: true, repeat: false, modifiers, .. }
            if *which == key && modifiers.matches_exact(with))
    })
}
