//! Calls of several apps without a window: everybody sees everybody, whoever comes late, leaves, or has to wait.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use super::callers::{Scene, member, strings};
use farwheel_lab::program::{Program, wait_for};

#[test]
fn four_callers_see_each_other_with_one_encoding_each_and_the_others_stay_when_one_leaves() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let names = ["ada", "bob", "cyd"];
    let mut callers: Vec<_> = names.iter().map(|name| scene.caller(&url, name, &[])).collect();
    for (at, caller) in callers.iter_mut().enumerate() {
        await_all(caller, &others(&names, at));
    }
    let mut late = scene.caller(&url, "dan", &[]);
    await_all(&mut late, &names);
    for caller in &mut callers {
        caller.wait_line("dan is here");
    }
    // Everybody sees pictures of everybody: the figures tell at the end, so all stay for some seconds of them.
    let seen = Instant::now();
    wait_for("five seconds of pictures", || (seen.elapsed().as_secs() >= 5).then_some(()));
    let ada = scene.end_of(callers.remove(0), "ada");
    for caller in callers.iter_mut().chain([&mut late]) {
        caller.wait_line("ada has left");
    }
    check_report(&ada, &["bob", "cyd", "dan"]);
    let dan = scene.end_of(late, "dan");
    check_report(&dan, &names);
}

#[test]
fn a_call_goes_on_without_the_server_and_the_new_one_brings_others_in() {
    let scene = Scene::new();
    let (server, url) = scene.server("127.0.0.1:0", &[]);
    let (mut ada, mut bob) = (scene.caller(&url, "ada", &[]), scene.caller(&url, "bob", &[]));
    ada.wait_line("bob is here");
    bob.wait_line("ada is here");
    server.kill();
    for caller in [&mut ada, &mut bob] {
        caller.wait_line("The server is gone");
    }
    let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
    let (_server, _) = scene.server(address, &[]);
    for caller in [&mut ada, &mut bob] {
        caller.wait_line("The server is back");
    }
    // The server has forgotten both and given them other ids: they are still each other's.
    let mut cyd = scene.caller(&url, "cyd", &[]);
    await_all(&mut cyd, &["ada", "bob"]);
    for caller in [&mut ada, &mut bob] {
        caller.wait_line("cyd is here");
    }
    let (ada, bob) = (scene.end_of(ada, "ada"), scene.end_of(bob, "bob"));
    assert_eq!(member(&ada, "bob")["connections"], 1, "{ada:#}");
    assert_eq!(member(&bob, "ada")["connections"], 1, "{bob:#}");
    assert_eq!(ada["members"].as_array().unwrap().len(), 2, "nobody is there twice: {ada:#}");
}

#[test]
fn what_is_written_reaches_latecomers_and_a_file_arrives_whole() {
    let scene = Scene::new();
    let (_server, url) = scene.server("127.0.0.1:0", &[]);
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (file, folder) = (scene.dir.path().join("notes.bin"), scene.dir.path().join("taken"));
    std::fs::write(&file, &content).unwrap();
    let mut bob = scene.caller(&url, "bob", &strings(&["--accept-files", folder.to_str().unwrap()]));
    bob.wait_line("In the room");
    let more = ["--say", "good morning", "--send", file.to_str().unwrap()];
    let mut ada = scene.caller(&url, "ada", &strings(&more));
    bob.wait_line("ada: good morning");
    let mut cyd = scene.caller(&url, "cyd", &[]);
    cyd.wait_line("ada: good morning");
    bob.wait_line("notes.bin is there");
    ada.wait_line("notes.bin is there");
    assert!(std::fs::read(folder.join("notes.bin")).unwrap() == content, "the file is another one");
}

#[test]
fn who_knocks_at_a_locked_room_waits_and_is_let_in_or_turned_away() {
    for (answer, is_in) in [("admit", true), ("deny", false)] {
        let scene = Scene::new();
        let tokens = scene.file("tokens", "the-moderators-token call,moderate\nthe-guests-token-1234 call\n");
        let (_server, url) = scene.server("127.0.0.1:0", &["--token-file", tokens.to_str().unwrap()]);
        let moderators = scene.file("moderator", "the-moderators-token");
        let guests = scene.file("guest", "the-guests-token-1234");
        let token = |file: &PathBuf| ["--token-file".to_owned(), file.to_str().unwrap().to_owned()];
        let mut host = scene.caller(
            &url,
            "host",
            &[&token(&moderators)[..], &strings(&["--lock", "--knocks", answer])].concat(),
        );
        host.wait_line("The room is locked");
        let mut guest = scene.caller(&url, "guest", &token(&guests));
        guest.wait_line("Waiting to be let in");
        if is_in {
            guest.wait_line("host is here");
            host.wait_line("guest is here");
        } else {
            let (status, said) = guest.wait();
            assert_eq!(status.code(), Some(4), "{said}");
            assert!(said.contains("You were not let into room r"), "{said}");
        }
    }
}

#[test]
fn who_is_put_out_is_told_and_has_to_ask_and_the_others_go_on() {
    let scene = Scene::new();
    let tokens = scene.file("tokens", "the-moderators-token call,moderate\nthe-guests-token-1234 call\n");
    let (_server, url) = scene.server("127.0.0.1:0", &["--token-file", tokens.to_str().unwrap()]);
    let moderators = scene.file("moderator", "the-moderators-token");
    let guests = scene.file("guest", "the-guests-token-1234");
    let token = |file: &PathBuf| ["--token-file".to_owned(), file.to_str().unwrap().to_owned()];
    let kicks = [&token(&moderators)[..], &strings(&["--kick", "cyd"])].concat();
    let mut host = scene.caller(&url, "host", &kicks);
    let mut bob = scene.caller(&url, "bob", &token(&guests));
    host.wait_line("bob is here");
    bob.wait_line("host is here");
    let cyd = scene.caller(&url, "cyd", &token(&guests));
    host.wait_line("Putting cyd out");
    let (status, said) = cyd.wait();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("A moderator removed you from the room"), "{said}");
    host.wait_line("cyd has left");
    // The way back is by knocking.
    let mut cyd = scene.caller(&url, "cyd", &token(&guests));
    cyd.wait_line("Waiting to be let in");
    let since = Instant::now();
    wait_for("two seconds of the call that goes on", || (since.elapsed().as_secs() >= 2).then_some(()));
    let (host, bob) = (scene.end_of(host, "host"), scene.end_of(bob, "bob"));
    for (report, other) in [(&host, "bob"), (&bob, "host")] {
        let member = member(report, other);
        assert_eq!(member["connections"], 1, "{member:#}");
        assert!(member["camera"]["fps_last_second"].as_f64().unwrap() > 5.0, "{member:#}");
    }
}

fn others<'a>(names: &[&'a str], at: usize) -> Vec<&'a str> {
    names.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, name)| *name).collect()
}

/// Waits until all of them are there, in whatever order they come.
fn await_all(caller: &mut Program, names: &[&str]) {
    let mut missing: Vec<_> = names.to_vec();
    while !missing.is_empty() {
        // The line begins with the time and the name.
        let said = caller.wait_any(" is here");
        missing.retain(|name| !said.ends_with(&format!(" {name}")));
    }
}

fn check_report(report: &Value, names: &[&str]) {
    for name in names {
        let member = member(report, name);
        let camera = &member["camera"];
        assert_eq!(camera["method"], "strip", "{member:#}");
        assert_eq!(camera["size"], serde_json::json!([320, 180]), "{member:#}");
        assert!(camera["decoded"].as_u64().unwrap() > 30, "{member:#}");
        assert!(camera["picture_age_ms"]["p50"].as_f64().unwrap() < 1000.0, "{member:#}");
        assert_eq!(member["connections"], 1, "{member:#}");
    }
    assert_eq!(report["encoded"]["camera"]["most"], 1, "alike tiles share an encoding: {report:#}");
}
