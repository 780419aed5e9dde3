//! The window's screens in named states: as pictures, by name for screen readers, and by keyboard.
//!
//! The pictures in `app/tests/snapshots` are drawn by Mesa's software rasteriser; `UPDATE_SNAPSHOTS=1` writes them anew.

mod calls;
#[path = "../../examples/gallery/canned.rs"]
mod canned;
mod controls;
mod letters;
mod lobby;
mod pair;
mod ring;
mod shader;
mod stage;

use egui_kittest::{SnapshotOptions, SnapshotResults};
use farwheel::settings::Theme;

/// Small, so that the repository stays small; still all that a small laptop shows.
const SIZE: (f32, f32) = (960.0, 600.0);

fn check(names: &[&str], look: Theme) {
    let mut results = SnapshotResults::new();
    for name in names {
        let mut harness = stage::harness(name, canned::plain, look, 1.0, SIZE);
        let name = if look == Theme::Light { format!("{name}-light") } else { (*name).to_owned() };
        results.add(harness.try_snapshot_options(name, &options(SIZE)));
    }
}

/// Another version of the rasteriser rounds edges of text differently: one pixel of a thousand.
fn options(size: (f32, f32)) -> SnapshotOptions {
    SnapshotOptions::new().threshold(1.2).max_failed_pixels((size.0 * size.1 / 960.0) as usize)
}

#[test]
fn connect_screen_looks_as_designed() {
    check(
        &[
            "connect-robots",
            "connect-many",
            "connect-looking",
            "connect-empty",
            "connect-unreachable",
            "connect-token",
            "connect-unlisted",
            "connect-no-address",
            "connect-busy",
            "connect-error",
        ],
        Theme::Dark,
    );
}

#[test]
fn drive_screen_looks_as_designed_while_all_is_well() {
    check(&["drive-disarmed", "drive-arming", "drive-armed", "drive-other-driver"], Theme::Dark);
}

#[test]
fn drive_screen_cannot_be_mistaken_for_live_when_it_is_not() {
    check(&["drive-slow", "drive-frozen", "drive-lost", "drive-estop"], Theme::Dark);
}

#[test]
fn who_rings_is_shown_over_every_page_and_hides_neither_the_picture_nor_stop() {
    check(&["ring", "ring-changed", "ring-driving"], Theme::Dark);
}

#[test]
fn who_rings_can_be_read_in_the_light_theme() {
    check(&["ring"], Theme::Light);
}

const LINK: [&str; 8] = [
    "drive-link-clear",
    "drive-link-economy",
    "drive-link-narrow",
    "drive-link-lossy",
    "drive-link-relay",
    "drive-link-slow",
    "drive-link-two-paths",
    "drive-link-still",
];

#[test]
fn link_panel_tells_why_the_picture_is_what_it_is() {
    check(&LINK, Theme::Dark);
}

#[test]
fn link_panel_can_be_read_in_the_light_theme() {
    check(&LINK, Theme::Light);
}

#[test]
fn other_pages_look_as_designed() {
    check(
        &[
            "gamepad",
            "gamepad-none",
            "gamepad-wizard",
            "settings",
            "stats",
            "stats-empty",
            "shortcuts",
            "notices",
        ],
        Theme::Dark,
    );
}

#[test]
fn the_page_of_two_looks_as_designed() {
    check(&["pair", "pair-waiting", "pair-offer", "pair-reading", "pair-together"], Theme::Dark);
}

#[test]
fn an_offer_can_be_read_in_the_light_theme() {
    check(&["pair-offer"], Theme::Light);
}

#[test]
fn the_way_into_a_call_by_letters_looks_as_designed() {
    check(&["prejoin-letters", "prejoin-offer", "prejoin-reading", "prejoin-answer"], Theme::Dark);
}

#[test]
fn light_theme_looks_as_designed() {
    check(
        &[
            "connect-robots",
            "connect-empty",
            "connect-unreachable",
            "drive-armed",
            "drive-lost",
            "gamepad",
            "stats",
        ],
        Theme::Light,
    );
}

#[test]
fn calls_begin_as_designed() {
    check(
        &[
            "calls",
            "calls-line",
            "calls-line-failed",
            "prejoin",
            "prejoin-no-devices",
            "prejoin-waiting",
            "prejoin-failed",
            "prejoin-ringing",
            "prejoin-declined",
            "call-alone",
        ],
        Theme::Dark,
    );
}

#[test]
fn calls_look_as_designed() {
    check(
        &[
            "call-one",
            "call-one-no-camera",
            "call-grid",
            "call-eight",
            "call-spotlight",
            "call-share",
            "call-own-share",
            "call-reconnecting",
            "call-connecting",
            "call-lobby",
            "call-listen-only",
            "call-recording",
            "call-muted",
            "call-away",
            "call-long-names",
        ],
        Theme::Dark,
    );
}

#[test]
fn what_opens_in_a_call_looks_as_designed() {
    check(
        &[
            "call-chat",
            "call-chat-empty",
            "call-people",
            "call-verify",
            "call-changed",
            "call-stats",
            "call-invite",
            "call-microphone",
            "call-more",
            "call-float",
            "call-shortcuts",
            "call-settings",
        ],
        Theme::Dark,
    );
}

#[test]
fn calls_look_as_designed_in_the_smallest_window_and_in_a_large_one() {
    let (small, large) = ((640.0, 400.0), (1920.0, 1080.0));
    let mut results = SnapshotResults::new();
    for (name, size, saved) in [
        ("call-grid", large, "call-grid-large"),
        ("prejoin", large, "prejoin-large"),
        ("prejoin", small, "prejoin-small"),
        ("call-one", small, "call-one-small"),
        ("call-lobby", small, "call-lobby-small"),
        ("call-share", small, "call-share-small"),
        ("call-chat", small, "call-chat-small"),
        ("call-more", small, "call-more-small"),
        ("call-invite", small, "call-invite-small"),
    ] {
        let mut harness = stage::harness(name, canned::plain, Theme::Dark, 1.0, size);
        results.add(harness.try_snapshot_options(saved, &options(size)));
    }
}

#[test]
fn what_the_pointer_brings_in_a_call_looks_as_designed() {
    let mut results = SnapshotResults::new();
    let mut harness = stage::harness("call-grid", canned::plain, Theme::Dark, 1.0, SIZE);
    calls::tile_named(&harness, "Samuel Okoye").click_secondary();
    harness.run_steps(6);
    harness.remove_cursor();
    harness.run_steps(2);
    results.add(harness.try_snapshot_options("call-context", &options(SIZE)));
    let mut harness = stage::harness("call-grid", canned::plain, Theme::Dark, 1.0, SIZE);
    harness.input_mut().hovered_files.push(egui::HoveredFile::default());
    harness.run_steps(2);
    results.add(harness.try_snapshot_options("call-drop", &options(SIZE)));
    let mut harness = stage::harness("call-grid", canned::plain, Theme::Dark, 1.0, SIZE);
    calls::tile_named(&harness, "Samuel Okoye").hover();
    harness.run_steps(8);
    results.add(harness.try_snapshot_options("call-hover", &options(SIZE)));
}

#[test]
fn calls_can_be_read_in_the_light_theme() {
    check(
        &[
            "prejoin",
            "call-grid",
            "call-eight",
            "call-reconnecting",
            "call-chat",
            "call-verify",
            "call-lobby",
        ],
        Theme::Light,
    );
}

#[test]
fn every_control_of_every_screen_has_a_name() {
    for (name, _) in canned::states() {
        let harness = stage::harness(name, canned::plain, Theme::Dark, 1.0, SIZE);
        let unnamed = harness.unnamed_widgets();
        assert!(unnamed.is_empty(), "{name}: {unnamed:?}");
        let named = controls::names(&harness);
        assert!(named.len() >= 4, "{name} has only {named:?}");
    }
}

#[test]
fn nothing_is_cut_off_in_a_small_window_or_at_one_and_a_half_times_the_size() {
    for (name, _) in canned::states() {
        for (scale, size) in [(1.0, (1024.0, 640.0)), (1.5, (1440.0, 900.0)), (1.5, (1024.0, 640.0))] {
            let harness = stage::harness(name, canned::plain, Theme::Dark, scale, size);
            let model = &harness.state().model;
            if model.drive.is_some() && name.starts_with("drive") {
                controls::assert_inside(&harness, "Emergency stop (Esc)", (size.0 / scale, size.1 / scale));
                controls::assert_apart(&harness, name);
            }
        }
    }
}
