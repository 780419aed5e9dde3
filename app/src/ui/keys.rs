//! Which driving keys are down.

use eframe::egui::{self, Context, Key as EguiKey};

use crate::input::keyboard::{Key, Keys};

/// The driving keys that are down.
pub(crate) fn driving(ctx: &Context) -> Keys {
    ctx.input(|input| {
        // With Ctrl, Alt or Command it is a shortcut of somebody else.
        if input.modifiers.ctrl || input.modifiers.alt || input.modifiers.mac_cmd {
            return only_emergency(input);
        }
        let pairs = TABLE.iter().filter(|(key, _)| input.key_down(*key)).map(|(_, key)| *key);
        let mut keys: Keys = pairs.collect();
        if input.modifiers.shift {
            keys = keys.with(Key::Boost);
        }
        keys
    })
}

/// The same with everything but the emergency stop left out.
pub(crate) fn emergency_only(ctx: &Context) -> Keys {
    ctx.input(only_emergency)
}

fn only_emergency(input: &egui::InputState) -> Keys {
    let is_down = input.key_down(EguiKey::Escape);
    if is_down { Keys::NONE.with(Key::EmergencyStop) } else { Keys::NONE }
}

const TABLE: [(EguiKey, Key); 20] = [
    (EguiKey::W, Key::Forward),
    (EguiKey::ArrowUp, Key::Forward),
    (EguiKey::S, Key::Reverse),
    (EguiKey::ArrowDown, Key::Reverse),
    (EguiKey::A, Key::Left),
    (EguiKey::ArrowLeft, Key::Left),
    (EguiKey::D, Key::Right),
    (EguiKey::ArrowRight, Key::Right),
    (EguiKey::Space, Key::Brake),
    (EguiKey::Enter, Key::Arm),
    (EguiKey::Escape, Key::EmergencyStop),
    (EguiKey::Backspace, Key::EmergencyStop),
    (EguiKey::Q, Key::PanLeft),
    (EguiKey::E, Key::PanRight),
    (EguiKey::R, Key::TiltUp),
    (EguiKey::F, Key::TiltDown),
    (EguiKey::L, Key::Lights),
    (EguiKey::H, Key::Horn),
    (EguiKey::PageUp, Key::TiltUp),
    (EguiKey::PageDown, Key::TiltDown),
];
