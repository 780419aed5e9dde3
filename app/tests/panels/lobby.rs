//! The list of robots: by pointer, by keyboard, by a screen reader's click; and where the session is asked to look.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use farwheel::model::Command;
use farwheel::model::connect::{Role, Target};
use farwheel::model::lobby::{Door, Lobby, Place, Presence, Room, Sight};
use farwheel::settings::Theme;
use farwheel::ui::Page;

use super::controls::{on, take};
use super::stage::{self, Scene};
use super::{SIZE, canned};

const SERVER: &str = "ws://127.0.0.1:8443";

fn place(server: &str, token: &str) -> Place {
    Place::new(server, token).expect("an address")
}

fn joins(room: &str, role: Role) -> Command {
    Command::Connect(Target { server: SERVER.into(), room: room.into(), role, token: String::new() })
}

pub(super) fn write(harness: &mut Harness<'_, Scene>, field: &str, words: &str) {
    harness.get_by_label(field).focus();
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.event(egui::Event::Text(words.into()));
    harness.run_steps(2);
}

#[test]
fn a_click_on_a_card_drives_and_its_button_watches() {
    let mut harness = on("connect-robots");
    harness.get_by_label("Drive car: Buggy, Free to drive").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [joins("car", Role::Driver)]);
    harness.get_by_label("Watch garage").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [joins("garage", Role::Viewer)]);
    harness.get_by_label("Drive greenhouse: Rover, Robot has lost the server").click_accesskit();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [joins("greenhouse", Role::Driver)]);
}

#[test]
fn the_list_is_reached_and_used_by_keyboard_alone() {
    let mut harness = on("connect-robots");
    harness.get_by_label("Signalling server").focus();
    harness.run_steps(2);
    // Past the token's button to the first card, its button, the second card.
    for _ in 0..4 {
        harness.key_press(egui::Key::Tab);
        harness.run_steps(2);
    }
    take(&mut harness);
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [joins("garage", Role::Driver)]);
}

#[test]
fn a_long_list_is_searched_by_either_name() {
    let mut harness = on("connect-many");
    harness.get_by_label("Drive car-02: Buggy 2, Free to drive, 2 watching");
    write(&mut harness, "Find", "buggy 13");
    harness.get_by_label("Drive car-13: Buggy 13, Free to drive, 1 watching");
    assert!(harness.query_by_label("Watch car-02").is_none());
    write(&mut harness, "Find", "nothing like it");
    harness.get_by_label("No room with \u{201c}nothing like it\u{201d} in its name.");
}

#[test]
fn the_session_looks_where_the_address_leads_and_nowhere_while_it_is_none() {
    let mut harness = stage::harness("connect-robots", canned::plain, Theme::Dark, 1.0, SIZE);
    assert_eq!(
        take(&mut harness),
        [Command::Look(place(SERVER, ""))],
        "once, as soon as the screen is there"
    );
    write(&mut harness, "Signalling server", "wss://example.org");
    assert_eq!(take(&mut harness), [Command::Look(place("wss://example.org", ""))]);
    harness.get_by_label("Looking for robots");
    write(&mut harness, "Signalling server", "wss://");
    assert_eq!(take(&mut harness), [Command::LookAway]);
    harness.get_by_label("Which server?");
    write(&mut harness, "Signalling server", "wss://example.org");
    take(&mut harness);
    harness.state_mut().window.page = Page::Settings;
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::LookAway]);
    harness.state_mut().window.page = Page::Drive;
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Look(place("wss://example.org", ""))]);
}

#[test]
fn a_token_goes_to_the_server_only_when_both_are_written_to_the_end() {
    let mut harness = on("connect-robots");
    harness.get_by_label("Use a token").click();
    harness.run_steps(2);
    write(&mut harness, "Token", "half");
    assert_eq!(take(&mut harness), [], "a half typed token would count as a wrong one");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Look(place(SERVER, "half"))]);
    write(&mut harness, "Signalling server", "wss://example.or");
    assert_eq!(
        take(&mut harness),
        [Command::Look(place("wss://example.or", ""))],
        "a half typed address may be a stranger's"
    );
    write(&mut harness, "Signalling server", "wss://example.org");
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    let commands = take(&mut harness);
    assert_eq!(commands.last(), Some(&Command::Look(place("wss://example.org", "half"))), "{commands:?}");
}

#[test]
fn looking_again_and_copying_the_command_take_one_click() {
    let mut harness = on("connect-unreachable");
    harness.get_by_label("Look again").click();
    harness.run_steps(2);
    assert_eq!(take(&mut harness), [Command::Look(place(SERVER, ""))]);
    let mut harness = on("connect-empty");
    harness.get_by_label("Copy: farwheel-robot run --server ws://127.0.0.1:8443 --room car").click();
    harness.step();
    let copied = harness.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::CopyText(text)
            if text == "farwheel-robot run --server ws://127.0.0.1:8443 --room car")
    });
    assert!(copied, "{:?}", harness.output().platform_output.commands);
}

#[test]
fn a_server_that_wants_a_token_shows_the_field_for_it() {
    let harness = on("connect-token");
    harness.get_by_label("Token");
    assert!(harness.query_by_label("Use a token").is_none());
}

#[test]
fn the_longest_names_and_the_longest_list_stay_inside_the_narrowest_window() {
    let room = |n: usize| Room {
        name: format!("{n:03}{}", "w".repeat(61)),
        robot: "W".repeat(64),
        presence: Presence::Here,
        drivers: Some(u32::MAX),
        viewers: Some(u32::MAX),
        door: Door::Open,
    };
    let size = (640.0, 400.0);
    let mut harness = stage::harness("connect-robots", canned::plain, Theme::Dark, 1.0, size);
    harness.state_mut().model.connect.lobby =
        Some(Lobby { place: place(SERVER, ""), sight: Sight::Rooms((0..256).map(room).collect()) });
    harness.run_steps(3);
    for n in [0, 255] {
        let rect = harness.get_by_label(&format!("Watch {}", room(n).name)).rect();
        assert!(rect.left() > 80.0 && rect.right() < size.0 - 28.0, "{rect}");
    }
}
