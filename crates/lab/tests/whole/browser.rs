//! A real browser as the other end: headless Chromium joins by the wire protocol, shows the robot's video, opens the
//! negotiated channels and drives the simulated car. The page and its script are in `crates/peer/tests/browser`.
//!
//! Run by `cargo xtask test`, which installs the browser and its driver.

use std::path::Path;
use std::process::Command;

use farwheel_lab::emulator::Namespace;

use farwheel_lab::program::{Program, binary};

#[test]
fn chromium_shows_the_robots_video_and_drives_its_car() {
    let driver = std::env::var_os("FARWHEEL_BROWSER_DRIVER").expect(
        "FARWHEEL_BROWSER_DRIVER names the folder with playwright-core: run this through `cargo xtask test`",
    );
    let network = Network::own();
    let mut serve = network.command(&binary("farwheel-signaling"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--allow-origin", "*"]);
    let mut server = Program::start(serve);
    let url = server.wait_line("listening ");
    let mut run = network.command(&binary("farwheel-robot"));
    run.args(["run", "--camera", "sim", "--strip", "--room", "yard", "--server", &url]);
    run.args(["--size", "640x360", "--fps", "30"]);
    let mut robot = Program::start(run);
    robot.wait_line("ready");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peer/tests/browser/run.mjs");
    let out = network
        .command(Path::new("node"))
        .arg(script)
        .args(["--server", &url, "--room", "yard", "--metres", "3"])
        .env("FARWHEEL_BROWSER_DRIVER", driver)
        .output()
        .expect("node starts");
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "the browser's run failed: {told}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    println!("{told}");
}

/// A network for the test alone, where this process may make one: Chromium gathers no candidates on loopback.
pub(crate) struct Network {
    namespace: Option<Namespace>,
}

impl Network {
    pub(crate) fn own() -> Self {
        let name = format!("farwheel-browser-{}", std::process::id());
        // Without the right to make one, an interface of the machine's own has to do; the script says if none does.
        let namespace = Namespace::create(&name).ok();
        if let Some(namespace) = &namespace {
            for line in [
                "link add here type veth peer name there",
                "addr add 10.80.0.1/24 dev here",
                "link set here up",
                "link set there up",
                "route add default dev here",
            ] {
                namespace.ip(line).expect("a network with one way out");
            }
        }
        Self { namespace }
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => namespace.command(program),
        }
    }
}
