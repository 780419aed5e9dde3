//! What the controls do: by pointer, by keyboard, by a screen reader's click.

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use farwheel::input::keyboard::{Key, Keys};
use farwheel::model::Command;
use farwheel::model::connect::Role;
use farwheel::settings::Theme;
use farwheel::ui::Page;

use super::stage::{self, Scene};
use super::{SIZE, canned};

/// Names of everything that can be clicked.
pub(crate) fn names(harness: &Harness<'_, Scene>) -> Vec<String> {
    harness
        .root()
        .children_recursive()
        .map(|node| node.accesskit_node())
        .filter(|node| egui::accessibility::is_input(node.role()))
        .filter_map(|node| node.label())
        .collect()
}

/// Clicks a control, wherever on its page it is.
pub(crate) fn press(harness: &mut Harness<'_, Scene>, name: &str) {
    harness.get_by_label(name).scroll_to_me();
    harness.run_steps(6);
    harness.get_by_label(name).click();
    harness.run_steps(2);
}

/// Panics if a control is not wholly inside the window.
pub(crate) fn assert_inside(harness: &Harness<'_, Scene>, name: &str, size: (f32, f32)) {
    let rect = harness.get_by_label(name).rect();
    let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
    assert!(window.contains_rect(rect), "{name} at {rect} leaves the window of {size:?}");
}

/// Panics if two buttons lie over each other.
pub(crate) fn assert_apart(harness: &Harness<'_, Scene>, state: &str) {
    let buttons: Vec<_> = harness
        .root()
        .children_recursive()
        .filter(|node| node.accesskit_node().role() == egui::Role::Button)
        .map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect()))
        .collect();
    for (index, (first, a)) in buttons.iter().enumerate() {
        for (second, b) in &buttons[index + 1..] {
            let over = a.intersect(*b);
            let is_over = over.width() > 1.0 && over.height() > 1.0;
            assert!(!is_over, "{state}: {first} at {a} lies over {second} at {b}");
        }
    }
}

pub(crate) fn on(name: &str) -> Harness<'static, Scene> {
    let mut harness = stage::harness(name, canned::plain, Theme::Dark, 1.0, SIZE);
    harness.state_mut().commands.clear();
    harness
}

pub(crate) fn take(harness: &mut Harness<'_, Scene>) -> Vec<Command> {
    std::mem::take(&mut harness.state_mut().commands)
}

#[test]
fn stop_acts_on_the_press_in_every_state_of_the_drive_screen() {
    for name in
        ["drive-opening", "drive-disarmed", "drive-armed", "drive-frozen", "drive-lost", "drive-other-driver"]
    {
        let mut harness = on(name);
        let at = harness.get_by_label("Emergency stop (Esc)").rect().center();
        harness.hover_at(at);
        harness.run_steps(2);
        harness.drag_at(at);
        harness.run_steps(1);
        let commands = take(&mut harness);
        assert_eq!(
            commands.iter().filter(|c| **c == Command::EmergencyStop).count(),
            1,
            "{name}: {commands:?}"
        );
        harness.drop_at(at);
        harness.run_steps(2);
        assert!(
            !take(&mut harness).contains(&Command::EmergencyStop),
            "{name}: the release stops no second time"
        );
    }
}

#[test]
fn stop_can_be_clicked_by_a_screen_reader_and_stays_on_every_page() {
    for (name, page) in [("drive-armed", Page::Drive), ("drive-armed", Page::Gamepad), ("stats", Page::Stats)]
    {
        let mut harness = on(name);
        harness.state_mut().window.page = page;
        harness.run_steps(2);
        harness.get_by_label("Emergency stop (Esc)").click_accesskit();
        harness.run_steps(2);
        assert!(take(&mut harness).contains(&Command::EmergencyStop), "{page:?}");
    }
}

#[test]
fn arming_takes_a_hold_and_letting_go_ends_it() {
    let mut harness = on("drive-disarmed");
    let at = harness.get_by_label("Hold to arm (Enter)").rect().center();
    harness.hover_at(at);
    harness.drag_at(at);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::ArmHold]);
    harness.run_steps(5);
    assert_eq!(take(&mut harness), [], "a hold is told once");
    harness.drop_at(at);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::ArmRelease]);
}

#[test]
fn driving_keys_are_sent_as_they_change_and_not_while_a_button_has_the_focus() {
    let mut harness = on("drive-armed");
    harness.key_down(egui::Key::W);
    harness.run_steps(1);
    harness.key_down(egui::Key::A);
    harness.run_steps(3);
    let forward = Keys::NONE.with(Key::Forward);
    assert_eq!(take(&mut harness), [Command::Keys(forward), Command::Keys(forward.with(Key::Left))]);
    harness.get_by_label("Snapshot (F12)").focus();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Keys(Keys::NONE)]);
    harness.key_up(egui::Key::W);
    harness.key_up(egui::Key::A);
    harness.run_steps(1);
    harness.key_down(egui::Key::Escape);
    harness.run_steps(1);
    assert_eq!(
        take(&mut harness),
        [Command::EmergencyStop, Command::Keys(Keys::NONE.with(Key::EmergencyStop))]
    );
}

#[test]
fn a_tap_of_escape_within_one_paint_stops_on_every_page() {
    for page in [Page::Drive, Page::Gamepad, Page::Stats, Page::Settings] {
        let mut harness = on("drive-armed");
        harness.state_mut().window.page = page;
        harness.run_steps(1);
        take(&mut harness);
        for pressed in [true, false] {
            harness.event(egui::Event::Key {
                key: egui::Key::Escape,
                physical_key: None,
                pressed,
                repeat: false,
                modifiers: egui::Modifiers::NONE,
            });
        }
        harness.run_steps(1);
        assert!(take(&mut harness).contains(&Command::EmergencyStop), "{page:?}");
    }
}

#[test]
fn a_click_on_a_button_does_not_take_the_keys_away() {
    let mut harness = on("drive-armed");
    harness.get_by_label("Snapshot (F12)").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Snapshot]);
    harness.key_down(egui::Key::W);
    harness.run_steps(1);
    assert_eq!(take(&mut harness), [Command::Keys(Keys::NONE.with(Key::Forward))]);
}

#[test]
fn every_page_and_the_list_of_shortcuts_open_by_keyboard() {
    let mut harness = on("drive-armed");
    for (key, page) in [
        (egui::Key::F3, Page::Gamepad),
        (egui::Key::F4, Page::Stats),
        (egui::Key::F5, Page::Settings),
        (egui::Key::F2, Page::Drive),
    ] {
        harness.key_press(key);
        harness.run_steps(2);
        assert_eq!(harness.state().window.page, page);
    }
    harness.key_press(egui::Key::F1);
    harness.run_steps(3);
    harness.get_by_label("Keyboard shortcuts");
    let at = harness.get_by_label("Emergency stop (Esc)").rect().center();
    harness.hover_at(at);
    harness.drag_at(at);
    harness.run_steps(2);
    assert!(take(&mut harness).contains(&Command::EmergencyStop), "STOP works beside the list");
    harness.drop_at(at);
    harness.run_steps(1);
    harness.key_press(egui::Key::F1);
    harness.run_steps(3);
    assert!(harness.query_by_label("Keyboard shortcuts").is_none());
}

#[test]
fn settings_change_by_a_click_on_their_names() {
    let mut harness = on("settings");
    harness.get_by_label("Theme: Light").click_accesskit();
    harness.run_steps(2);
    let commands = take(&mut harness);
    let Some(Command::ChangeSettings(settings)) = commands.first() else { panic!("{commands:?}") };
    assert_eq!(settings.theme, Theme::Light);
    harness.get_by_label("Map").click_accesskit();
    harness.run_steps(2);
    let commands = take(&mut harness);
    let Some(Command::ChangeSettings(settings)) = commands.last() else { panic!("{commands:?}") };
    assert!(!settings.view.hud.map);
}

#[test]
fn the_wheel_is_taken_and_the_stop_is_reset_by_their_buttons() {
    let mut harness = on("drive-other-driver");
    harness.get_by_label("Take wheel").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::TakeLease]);
    let mut harness = on("drive-estop");
    harness.get_by_label("Reset stop").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::ResetStop]);
}

#[test]
fn the_form_connects_by_keyboard_alone() {
    let mut harness = on("connect-empty");
    harness.get_by_label("Room").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.event(egui::Event::Text("garage".into()));
    harness.run_steps(2);
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    let commands = take(&mut harness);
    let [Command::Connect(target)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((target.room.as_str(), target.role), ("garage", Role::Driver));
}

#[test]
fn a_room_with_a_space_is_refused_before_it_is_sent() {
    let mut harness = on("connect-empty");
    harness.get_by_label("Room").focus();
    harness.run_steps(2);
    harness.event(egui::Event::Text("my car".into()));
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), []);
    harness.get_by_label("A room's name has 1 to 64 letters, digits, - or _.");
}

#[test]
fn leaving_the_drive_screen_or_the_window_releases_the_controls() {
    let mut harness = on("drive-armed");
    let ctx = harness.ctx.clone();
    let watch = |harness: &mut Harness<'_, Scene>| {
        let scene = harness.state_mut();
        let model = scene.model.clone();
        scene.window.watch_focus(&ctx, &model)
    };
    harness.input_mut().focused = true;
    harness.run_steps(1);
    assert_eq!(watch(&mut harness), [Command::GrantControls]);
    assert_eq!(watch(&mut harness), []);
    harness.state_mut().window.page = Page::Settings;
    assert_eq!(watch(&mut harness), [Command::ReleaseControls]);
    harness.state_mut().window.page = Page::Drive;
    assert_eq!(watch(&mut harness), [Command::GrantControls]);
    harness.input_mut().focused = false;
    harness.run_steps(1);
    assert_eq!(watch(&mut harness), [Command::ReleaseControls]);
}

#[test]
fn economy_mode_is_switched_in_the_link_panel_and_by_its_key() {
    let asked = |harness: &mut Harness<'_, Scene>| -> Vec<bool> {
        let change = |command| match command {
            Command::ChangeSettings(settings) => Some(settings.economy),
            _ => None,
        };
        take(harness).into_iter().filter_map(change).collect()
    };
    let mut harness = on("drive-link-narrow");
    harness.get_by_label("Economy mode (F6)").click_accesskit();
    harness.run_steps(2);
    assert_eq!(asked(&mut harness), [true]);
    let mut harness = on("drive-link-economy");
    harness.key_press(egui::Key::F6);
    harness.run_steps(2);
    assert_eq!(asked(&mut harness), [false]);
    let mut harness = on("drive-link-clear");
    harness.state_mut().model.drive.as_mut().unwrap().role = Role::Viewer;
    harness.run_steps(2);
    assert!(harness.query_by_label("Economy mode (F6)").is_none(), "only a driver has a say");
}
