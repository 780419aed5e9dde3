//! Calls: what keys, clicks and dropped files ask for, and that everything has its place in every window.

use std::path::Path;
use std::sync::Arc;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use farwheel::model::call::{Command as Ask, Kind, Line, Switch, Voice};
use farwheel::model::settings::TalkKey;
use farwheel::model::{Command, invitation};
use farwheel::settings::Theme;
use farwheel::ui::Page;
use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::Tile;

use super::canned;
use super::controls::{assert_inside, on, take};
use super::stage::{self, Scene};

/// What was asked of the call, without the sizes of tiles.
pub(crate) fn asked(harness: &mut Harness<'_, Scene>) -> Vec<Ask> {
    let asked = take(harness).into_iter().filter_map(|command| match command {
        // Asked for again and again until the call has heard it.
        Command::Call(Ask::Tiles(_) | Ask::ReadChat) => None,
        Command::Call(ask) => Some(ask),
        _ => None,
    });
    asked.collect()
}

pub(crate) fn press(harness: &mut Harness<'_, Scene>, key: egui::Key) -> Vec<Ask> {
    harness.key_press(key);
    harness.run_steps(2);
    asked(harness)
}

pub(crate) fn click(harness: &mut Harness<'_, Scene>, name: &str) -> Vec<Ask> {
    harness.get_by_label(name).click();
    harness.run_steps(4);
    asked(harness)
}

pub(crate) fn has(harness: &Harness<'_, Scene>, name: &str) -> bool {
    harness.query_by_label(name).is_some()
}

#[test]
fn each_key_asks_for_what_the_list_of_keys_says() {
    let mut harness = on("call-grid");
    assert_eq!(press(&mut harness, egui::Key::M), [Ask::Voice(Voice::Muted)]);
    assert_eq!(press(&mut harness, egui::Key::V), [Ask::Camera(Switch::Off)]);
    assert_eq!(press(&mut harness, egui::Key::H), [Ask::Hand(Switch::On)]);
    press(&mut harness, egui::Key::C);
    assert!(has(&harness, "Write to everybody"));
    harness.key_press(egui::Key::Escape);
    harness.run_steps(2);
    press(&mut harness, egui::Key::P);
    assert!(has(&harness, "Lock the room"));
    press(&mut harness, egui::Key::P);
    assert!(!has(&harness, "Lock the room"));
    press(&mut harness, egui::Key::S);
    harness.run_steps(4);
    assert_eq!(click(&mut harness, "Screen 2 (1920\u{d7}1080)"), [Ask::Share("screen:2".into())]);
    harness.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::L);
    harness.run_steps(2);
    assert_eq!(asked(&mut harness), [Ask::Leave]);
    let call = harness.state_mut().model.call.as_mut().unwrap();
    (call.own.voice, call.own.is_camera_on, call.own.is_hand_up) = (Voice::Muted, false, true);
    call.own.shared = Some("Screen 1".into());
    harness.run_steps(2);
    asked(&mut harness);
    assert_eq!(press(&mut harness, egui::Key::M), [Ask::Voice(Voice::On)]);
    assert_eq!(press(&mut harness, egui::Key::V), [Ask::Camera(Switch::On)]);
    assert_eq!(press(&mut harness, egui::Key::H), [Ask::Hand(Switch::Off)]);
    assert_eq!(press(&mut harness, egui::Key::S), [Ask::EndShare]);
}

#[test]
fn what_is_written_is_said_and_is_no_shortcut() {
    let mut harness = on("call-grid");
    harness.key_press(egui::Key::C);
    harness.run_steps(4);
    asked(&mut harness);
    harness.get_by_label("Write to everybody").type_text("mvsh cpgf");
    for key in [egui::Key::M, egui::Key::V, egui::Key::H, egui::Key::S, egui::Key::Space] {
        harness.key_press(key);
    }
    harness.run_steps(3);
    assert_eq!(asked(&mut harness), []);
    assert_eq!(press(&mut harness, egui::Key::Enter), [Ask::Say("mvsh cpgf".into())]);
    harness.run_steps(2);
    assert_eq!(press(&mut harness, egui::Key::Enter), [], "nothing is left to say");
}

#[test]
fn an_open_chat_is_read() {
    let mut harness = on("call-grid");
    harness.run_steps(2);
    let has_read = |harness: &mut Harness<'_, Scene>| take(harness).contains(&Command::Call(Ask::ReadChat));
    assert!(!has_read(&mut harness));
    harness.key_press(egui::Key::C);
    harness.run_steps(4);
    assert!(has_read(&mut harness));
}

#[test]
fn the_talk_key_is_told_when_it_goes_down_and_up_and_is_let_go_with_the_page() {
    for (talk_key, key) in [
        (TalkKey::Space, egui::Key::Space),
        (TalkKey::Backtick, egui::Key::Backtick),
        (TalkKey::F8, egui::Key::F8),
    ] {
        let mut harness = on("call-grid");
        harness.state_mut().model.settings.call.talk_key = talk_key;
        harness.key_down(key);
        harness.run_steps(4);
        assert_eq!(asked(&mut harness), [Ask::TalkKey(Switch::On)], "{key:?}");
        harness.key_up(key);
        harness.run_steps(2);
        assert_eq!(asked(&mut harness), [Ask::TalkKey(Switch::Off)], "{key:?}");
        harness.key_down(key);
        harness.run_steps(2);
        harness.state_mut().window.page = Page::Settings;
        harness.run_steps(2);
        assert_eq!(asked(&mut harness), [Ask::TalkKey(Switch::On), Ask::TalkKey(Switch::Off)], "{key:?}");
    }
}

#[test]
fn the_space_bar_presses_the_button_that_has_the_focus_and_does_not_talk() {
    let mut harness = on("call-grid");
    harness.get_by_label("Raise the hand (H)").focus();
    harness.run_steps(2);
    assert_eq!(press(&mut harness, egui::Key::Space), [Ask::Hand(Switch::On)]);
}

#[test]
fn a_call_can_be_left_with_the_keyboard_alone() {
    let mut harness = on("call-one");
    for _ in 0..40 {
        harness.key_press(egui::Key::Tab);
        harness.run_steps(2);
        if harness.get_by_label("Leave the call (Ctrl+L)").accesskit_node().is_focused() {
            assert_eq!(press(&mut harness, egui::Key::Enter), [Ask::Leave]);
            return;
        }
    }
    panic!("forty tabs do not reach the button that leaves");
}

#[test]
fn the_session_learns_what_is_shown_in_pixels_and_when_nothing_is() {
    let tiles = |harness: &mut Harness<'_, Scene>| {
        take(harness)
            .into_iter()
            .filter_map(|command| match command {
                Command::Call(Ask::Tiles(tiles)) => Some(tiles),
                _ => None,
            })
            .next_back()
    };
    let mut harness = stage::harness("call-share", canned::plain, Theme::Dark, 2.0, (2560.0, 1600.0));
    let first = tiles(&mut harness).expect("the sizes of the first paint");
    assert_eq!(first.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [1, 2, 3].map(PeerId::new));
    let (_, camera, screen) = first[0];
    let (camera, screen) = (camera.expect("a camera"), screen.expect("a screen"));
    assert!(screen.width > 1800 && camera.width > 300 && camera.width < 700, "{screen:?} {camera:?}");
    assert!(
        first[1..].iter().all(|(_, camera, screen)| *camera == Some(first[0].1.unwrap()) && screen.is_none())
    );
    harness.run_steps(3);
    assert_eq!(tiles(&mut harness), None, "told once");
    harness.state_mut().window.page = Page::Settings;
    harness.run_steps(2);
    assert_eq!(tiles(&mut harness), Some(vec![]), "nobody is shown on another page");
    harness.state_mut().window.page = Page::Call;
    harness.run_steps(2);
    assert_eq!(tiles(&mut harness).map(|tiles| tiles.len()), Some(3));
    harness.state_mut().model.call.as_mut().unwrap().members[1].is_camera_on = false;
    harness.run_steps(2);
    let without = tiles(&mut harness).expect("a camera that is off is not asked for");
    assert!(!without.iter().any(|(id, ..)| *id == PeerId::new(2)), "{without:?}");
}

#[test]
fn the_small_window_asks_for_a_small_picture_while_another_page_is_shown() {
    let mut harness = on("call-float");
    harness.state_mut().window.page = Page::Settings;
    harness.run_steps(3);
    let told = take(&mut harness);
    let last = told.iter().rev().find_map(|command| match command {
        Command::Call(Ask::Tiles(tiles)) => Some(tiles.clone()),
        _ => None,
    });
    let [(id, Some(Tile { width, .. }), None)] = last.as_deref().expect("sizes")[..] else {
        panic!("{last:?}");
    };
    assert!(id == PeerId::new(1) && width < 400, "{width}");
    assert_eq!(click(&mut harness, "Leave the call"), [Ask::Leave]);
}

#[test]
fn the_small_window_asks_for_a_small_picture_while_the_large_one_is_minimised() {
    let mut harness = on("call-float");
    let viewport = harness.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default();
    viewport.minimized = Some(true);
    harness.run_steps(3);
    let last = take(&mut harness).into_iter().rev().find_map(|command| match command {
        Command::Call(Ask::Tiles(tiles)) => Some(tiles),
        _ => None,
    });
    let [(_, Some(Tile { width, .. }), None)] = last.as_deref().expect("sizes")[..] else {
        panic!("{last:?}");
    };
    assert!(width < 400, "{width}");
}

#[test]
fn escape_closes_one_thing_at_a_time_from_the_uppermost_on() {
    let mut harness = on("call-people");
    let label = tile_of(&harness, "Greta Lindqvist, microphone off").1;
    harness.get_by_label(&label).click();
    harness.run_steps(4);
    let pinned = tile_of(&harness, "Greta Lindqvist, microphone off").0;
    click(&mut harness, "Invite others");
    press(&mut harness, egui::Key::F1);
    click(&mut harness, "More");
    let open = |harness: &Harness<'_, Scene>| {
        [
            has(harness, "Layout: Automatic"),
            has(harness, "Close the list of shortcuts"),
            has(harness, "Close the invitation"),
            (tile_of(harness, "Greta Lindqvist, microphone off").0.area() - pinned.area()).abs() < 1.0,
            has(harness, "Close the panel"),
        ]
    };
    for closed in 0..=5 {
        let want: [bool; 5] = std::array::from_fn(|index| index >= closed);
        assert_eq!(open(&harness), want, "after {closed} presses");
        press(&mut harness, egui::Key::Escape);
        harness.run_steps(4);
    }
}

#[test]
fn a_word_is_deleted_by_ctrl_w_and_the_call_goes_on() {
    let mut harness = on("call-grid");
    press(&mut harness, egui::Key::C);
    harness.get_by_label("Write to everybody").type_text("one two");
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::W);
    harness.run_steps(2);
    assert_eq!(asked(&mut harness), []);
}

#[test]
fn a_knock_and_a_line_call_for_who_looks_elsewhere_and_for_nobody_else() {
    let calls_for = |harness: &mut Harness<'_, Scene>| {
        let ctx = harness.ctx.clone();
        let scene = harness.state_mut();
        let told = scene.window.watch_focus(&ctx, &scene.model);
        told.contains(&Command::Call(Ask::Chime))
    };
    let look_away = |harness: &mut Harness<'_, Scene>, is_away: bool| {
        let viewport = harness.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default();
        (viewport.minimized, viewport.focused) = (Some(is_away), Some(!is_away));
        harness.run_steps(2);
    };
    let knock = |harness: &mut Harness<'_, Scene>, id| {
        let call = harness.state_mut().model.call.as_mut().unwrap();
        call.knocking.push((PeerId::new(id), "Rob".into()));
    };
    let mut harness = on("call-grid");
    look_away(&mut harness, true);
    assert!(!calls_for(&mut harness), "what was there before");
    knock(&mut harness, 90);
    assert!(calls_for(&mut harness));
    assert!(!calls_for(&mut harness), "once");
    let call = harness.state_mut().model.call.as_mut().unwrap();
    call.knocking.clear();
    let ago = std::time::Duration::ZERO;
    call.chat.push(Line { from: None, ago, text: "mine".into(), ..Line::default() });
    assert!(!calls_for(&mut harness));
    let call = harness.state_mut().model.call.as_mut().unwrap();
    call.chat.push(Line { from: Some("Rob".into()), ago, text: "yours".into(), ..Line::default() });
    assert!(calls_for(&mut harness));
    look_away(&mut harness, false);
    knock(&mut harness, 91);
    assert!(!calls_for(&mut harness), "it is before their eyes");
}

#[test]
fn the_own_screen_has_no_tile_and_is_looked_at_by_a_click() {
    let mut harness = on("call-own-share");
    let find = |harness: &Harness<'_, Scene>| {
        let is_own = |node: &egui_kittest::Node<'_>| {
            node.accesskit_node().label().is_some_and(|label| label.starts_with("Your screen"))
        };
        harness.root().children_recursive().find(is_own).map(|node| node.rect())
    };
    assert_eq!(find(&harness), None);
    click(&mut harness, "Show your screen large");
    assert!(find(&harness).expect("a tile").width() > 600.0);
    click(&mut harness, "Show your screen large");
    assert_eq!(find(&harness), None);
    assert_eq!(click(&mut harness, "Stop sharing"), [Ask::EndShare]);
}

#[test]
fn the_key_to_talk_leaves_the_hearing_of_the_car_alone() {
    let mut harness = on("call-grid");
    harness.state_mut().model.drive = canned::model("drive-armed").drive;
    harness.state_mut().model.settings.call.talk_key = TalkKey::F8;
    harness.run_steps(2);
    take(&mut harness);
    harness.key_press(egui::Key::F8);
    harness.run_steps(2);
    let told = take(&mut harness);
    assert!(!told.iter().any(|command| matches!(command, Command::ChangeSettings(_))), "{told:?}");
}

#[test]
fn only_who_may_lock_the_room_is_told_to() {
    let words = "Whoever has the link can come in. Lock the room to be asked first.";
    let mut harness = on("call-invite");
    assert!(has(&harness, words));
    harness.state_mut().model.call.as_mut().unwrap().is_moderator = false;
    harness.run_steps(2);
    assert!(!has(&harness, words));
    assert!(has(&harness, "Whoever has the link can come in."));
}

#[test]
fn lines_out_of_sight_are_told_but_not_laid_out() {
    let mut harness = on("call-chat");
    let line = |n| Line {
        from: Some("Samuel Okoye".into()),
        ago: std::time::Duration::from_secs(9),
        text: format!("This is line {n}"),
        ..Line::default()
    };
    let call = harness.state_mut().model.call.as_mut().unwrap();
    call.files.clear();
    call.chat = (0..400).map(line).collect();
    harness.run_steps(6);
    assert!(has(&harness, "Samuel Okoye: This is line 0"), "one label for all of the row");
    assert!(has(&harness, "This is line 399"), "the list follows what is new");
    let shown = harness.get_by_label("This is line 399").rect();
    assert!(shown.bottom() < 600.0 - 84.0 - 56.0 && shown.bottom() > 300.0, "{shown}");
}

/// The tile whose name begins so.
pub(crate) fn tile_named<'a>(harness: &'a Harness<'_, Scene>, name: &str) -> egui_kittest::Node<'a> {
    let is_meant = |node: &egui_kittest::Node<'_>| {
        node.accesskit_node().label().is_some_and(|label| label.starts_with(name))
    };
    harness.root().children_recursive().find(is_meant).expect("a tile")
}

/// Where it is, and all of its name.
fn tile_of(harness: &Harness<'_, Scene>, name: &str) -> (egui::Rect, String) {
    let tile = tile_named(harness, name);
    (tile.rect(), tile.accesskit_node().label().unwrap_or_default())
}

#[test]
fn a_click_on_a_tile_pins_it_and_another_one_lets_go() {
    let mut harness = on("call-grid");
    let name = |harness: &Harness<'_, Scene>| tile_of(harness, "Greta Lindqvist, microphone off");
    let (before, label) = name(&harness);
    harness.get_by_label(&label).click();
    harness.run_steps(4);
    let (pinned, _) = name(&harness);
    assert!(pinned.area() > 2.0 * before.area(), "{before} and {pinned}");
    harness.get_by_label(&label).click();
    harness.run_steps(4);
    assert_eq!(name(&harness).0, before);
    harness.get_by_label(&label).click();
    harness.run_steps(4);
    harness.state_mut().model.call.as_mut().unwrap().members.remove(1);
    harness.run_steps(2);
    assert!(has(&harness, "Raise the hand (H)"), "who is pinned may leave");
}

#[test]
fn who_waits_is_let_in_or_not_by_a_click() {
    let mut harness = on("call-lobby");
    assert_eq!(click(&mut harness, "Admit Margaret Cole"), [Ask::Admit(PeerId::new(90))]);
    assert_eq!(click(&mut harness, "Deny Rob"), [Ask::Deny(PeerId::new(91))]);
    harness.state_mut().model.call.as_mut().unwrap().is_moderator = false;
    harness.run_steps(2);
    assert!(!has(&harness, "Admit Margaret Cole"), "only a moderator lets people in");
}

#[test]
fn another_device_is_used_now_and_next_time() {
    let mut harness = on("call-microphone");
    harness.get_by_label("Microphone: Built-in Audio Analog Stereo").click();
    harness.run_steps(2);
    let told = take(&mut harness);
    assert!(told.contains(&Command::Call(Ask::Use(Kind::Microphone, 1))), "{told:?}");
    let kept = told.iter().find_map(|command| match command {
        Command::ChangeSettings(settings) => settings.call.microphone.clone(),
        _ => None,
    });
    assert_eq!(kept.as_deref(), Some("Built-in Audio Analog Stereo"));
}

#[test]
fn dropped_files_are_offered_to_everybody() {
    let mut harness = on("call-grid");
    harness.input_mut().dropped_files =
        vec![Arc::new(Dropped("/tmp/a.pdf")), Arc::new(Dropped("/tmp/b.png"))];
    harness.run_steps(1);
    harness.input_mut().dropped_files.clear();
    harness.run_steps(2);
    assert_eq!(asked(&mut harness), [Ask::SendFile("/tmp/a.pdf".into()), Ask::SendFile("/tmp/b.png".into())]);
}

#[test]
fn a_file_can_be_offered_by_its_path() {
    let mut harness = on("call-chat");
    click(&mut harness, "Offer a file");
    harness.get_by_label("File").focus();
    harness.run_steps(1);
    harness.get_by_label("File").type_text("/tmp/a.pdf");
    harness.run_steps(2);
    assert_eq!(click(&mut harness, "Offer it"), [Ask::SendFile("/tmp/a.pdf".into())]);
}

#[test]
fn files_are_taken_declined_and_cancelled_in_the_chat() {
    let mut harness = on("call-chat");
    assert_eq!(click(&mut harness, "Accept drive-figures.csv"), [Ask::TakeFile(3)]);
    assert_eq!(click(&mut harness, "Decline drive-figures.csv"), [Ask::CancelFile(3)]);
    assert_eq!(click(&mut harness, "Cancel chassis-drawings.zip"), [Ask::CancelFile(2)]);
}

#[test]
fn the_words_are_compared_and_a_moderator_mutes_and_removes() {
    let mut harness = on("call-verify");
    let samuel = PeerId::new(1);
    assert_eq!(click(&mut harness, "The words of Samuel Okoye are the same"), [Ask::Verify(samuel)]);
    assert_eq!(click(&mut harness, "Ask Samuel Okoye to mute"), [Ask::AskToMute(samuel)]);
    assert_eq!(click(&mut harness, "Remove Samuel Okoye from the call"), [Ask::Kick(samuel)]);
    harness.get_by_label("Volume").focus();
    harness.run_steps(2);
    let told = press(&mut harness, egui::Key::ArrowRight);
    assert!(matches!(told[..], [Ask::Volume(id, volume)] if id == samuel && volume > 1.0), "{told:?}");
}

#[test]
fn a_call_that_begins_comes_to_the_front_and_one_that_ends_is_forgotten() {
    let mut harness = on("settings");
    harness.state_mut().model.prejoin = canned::model("prejoin").prejoin;
    harness.run_steps(2);
    assert_eq!(harness.state().window.page, Page::Call);
    assert_eq!(click(&mut harness, "Join"), [Ask::Join]);
    harness.state_mut().model.prejoin = None;
    harness.state_mut().model.call = canned::model("call-grid").call;
    harness.run_steps(2);
    press(&mut harness, egui::Key::P);
    assert!(has(&harness, "Lock the room"));
    harness.state_mut().model.call = None;
    harness.run_steps(2);
    assert!(has(&harness, "New call"));
    harness.state_mut().model.call = canned::model("call-grid").call;
    harness.run_steps(2);
    assert!(!has(&harness, "Lock the room"), "the panel of the call before is closed");
}

#[test]
fn a_link_or_a_room_leads_to_the_screen_before_the_call() {
    let mut harness = on("calls");
    let told = click(&mut harness, "New call");
    let [Ask::Prepare(target)] = &told[..] else { panic!("{told:?}") };
    assert!(invitation::is_room(&target.room) && target.room.len() > 12, "{}", target.room);
    harness.get_by_label("Link or room").focus();
    harness.run_steps(1);
    harness
        .get_by_label("Link or room")
        .type_text("farwheel://call?server=wss://example.org&room=quiet-otter");
    harness.run_steps(2);
    let told = press(&mut harness, egui::Key::Enter);
    let [Ask::Prepare(target)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((target.server.as_str(), target.room.as_str()), ("wss://example.org", "quiet-otter"));
}

#[test]
fn the_screen_before_a_call_switches_and_tests_and_goes_back() {
    let mut harness = on("prejoin");
    assert_eq!(click(&mut harness, "Join muted"), [Ask::Voice(Voice::Muted)]);
    assert_eq!(click(&mut harness, "Join with the camera off"), [Ask::Camera(Switch::Off)]);
    assert_eq!(click(&mut harness, "Test the speaker"), [Ask::TestSpeaker]);
    assert_eq!(click(&mut harness, "Back"), [Ask::Dismiss]);
    let mut harness = on("prejoin-waiting");
    assert_eq!(click(&mut harness, "Cancel"), [Ask::Dismiss]);
}

#[test]
fn every_control_has_its_place_in_small_and_large_windows() {
    for (name, page) in canned::states() {
        if page != Page::Call || !name.starts_with("call-") {
            continue;
        }
        for (scale, size) in
            [(1.0, (640.0, 400.0)), (1.5, (1280.0, 800.0)), (1.0, (1280.0, 800.0)), (1.0, (1920.0, 1080.0))]
        {
            let points = (size.0 / scale, size.1 / scale);
            // A large one is wider in the tiles only.
            let has_news = ["call-one", "call-eight", "call-share", "call-long-names"].contains(&name);
            if points.0 > 1900.0 && !has_news {
                continue;
            }
            let harness = stage::harness(name, canned::plain, Theme::Dark, scale, size);
            for control in ["Leave the call (Ctrl+L)", "More", "Microphone and speaker"] {
                assert_inside(&harness, control, points);
            }
            for control in opened(name) {
                assert_inside(&harness, control, points);
            }
            if canned::clicks(name, points.0).is_empty() {
                assert_bar_apart(&harness, name, points);
            }
        }
    }
}

/// What has to be at hand in what a state opens.
fn opened(name: &str) -> &'static [&'static str] {
    match name {
        "call-chat" | "call-chat-empty" => &["Close the panel", "Write to everybody", "Send (Enter)"],
        "call-people" | "call-verify" | "call-changed" => &["Close the panel", "Lock the room"],
        "call-stats" => &["Close the panel", "Export"],
        "call-invite" => &[
            "Close the invitation",
            "QR code of the link",
            "Copy: farwheel://call?server=wss://example.org&room=quiet-otter-7kq2m",
        ],
        "call-microphone" => &["Microphone: Yeti Stereo Microphone"],
        "call-more" => &["Layout: Automatic"],
        "call-shortcuts" => &["Close the list of shortcuts"],
        "call-lobby" => &["Deny Margaret Cole", "Admit Margaret Cole"],
        "call-own-share" => &["Show your screen large", "Stop sharing"],
        _ => &[],
    }
}

/// The buttons of the bar do not lie over each other, nor tiles over them.
fn assert_bar_apart(harness: &Harness<'_, Scene>, state: &str, (_, height): (f32, f32)) {
    let bar: Vec<_> = harness
        .root()
        .children_recursive()
        .filter(|node| node.accesskit_node().role() == egui::Role::Button)
        .map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect()))
        .filter(|(_, rect)| rect.bottom() > height - 70.0)
        .collect();
    assert!(bar.len() >= 8, "{state}: {bar:?}");
    for (index, (first, a)) in bar.iter().enumerate() {
        for (second, b) in &bar[index + 1..] {
            let over = a.intersect(*b);
            assert!(
                over.width() < 1.0 || over.height() < 1.0,
                "{state}: {first} at {a} over {second} at {b}"
            );
        }
    }
}

#[derive(Debug)]
struct Dropped(&'static str);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        Path::new(self.0)
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads no files".into())
    }
}
