//! Chromium as a caller: a page with fake devices joins the room, one of the two offers, and sound, two tracks of pictures
//! and messages go both ways. The page is in `crates/peer/tests/browser`.
//!
//! Run by `cargo xtask test`, which installs the browser and its driver.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod caller;

use std::path::Path;
use std::process::Stdio;

use farwheel_lab::emulator::{Namespace, within};
use farwheel_lab::program::{Program, binary};

use caller::{First, Summary};

#[test]
fn chromium_calls_us() {
    let heard = meet(First::Other);
    assert_well(&heard);
}

#[test]
fn we_call_chromium() {
    let heard = meet(First::Browser);
    assert_well(&heard);
}

fn assert_well(heard: &Summary) {
    println!("{heard:?}");
    assert!(heard.camera_decoded >= 20, "{} pictures of its camera were decoded", heard.camera_decoded);
    assert!(heard.screen_decoded >= 5, "{} pictures of its screen were decoded", heard.screen_decoded);
    let is_canvas = heard.screen_shape.is_some_and(|shape| (1.3..1.4).contains(&shape));
    assert!(is_canvas, "the screen is the canvas: {:?}", heard.screen_shape);
    assert!(heard.sounds >= 50, "{} packets of sound came", heard.sounds);
    let matches = heard.time_matches;
    assert!((0.9..1.1).contains(&matches), "in a second of ours its sound's clock runs {matches} s");
    assert!(heard.knows_certificates);
    assert!(heard.file_came_back);
}

/// The page and this side in one network; the page says by itself what it lacks.
fn meet(first: First) -> Summary {
    let driver = std::env::var_os("FARWHEEL_BROWSER_DRIVER").expect(
        "FARWHEEL_BROWSER_DRIVER names the folder with playwright-core: run this through `cargo xtask test`",
    );
    // Chromium gathers no candidates on loopback.
    let namespace =
        Namespace::create(&format!("farwheel-call-{}", std::process::id())).expect("the right to make one");
    for line in [
        "link add here type veth peer name there",
        "addr add 10.81.0.1/24 dev here",
        "link set here up",
        "link set there up",
        "route add default dev here",
    ] {
        namespace.ip(line).expect("a network with one way out");
    }
    let mut serve = namespace.command(binary("farwheel-signaling"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--allow-origin", "*"]);
    let mut server = Program::start(serve);
    let url = server.wait_line("listening ");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peer/tests/browser/call.mjs");
    let page = namespace
        .command("node")
        .arg(script)
        .args(["--server", &url, "--room", "hall", "--first", first.name()])
        .env("FARWHEEL_BROWSER_DRIVER", driver)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let summary = within(namespace.name(), || caller::run(&url, first)).expect("the namespace is there");
    let out = page.wait_with_output().expect("node ends");
    let told = String::from_utf8_lossy(&out.stdout);
    println!("{told}");
    assert!(
        out.status.success(),
        "the browser's run failed: {told}\n{}\nthis side: {summary:?}",
        String::from_utf8_lossy(&out.stderr)
    );
    summary.expect("the call came about")
}
