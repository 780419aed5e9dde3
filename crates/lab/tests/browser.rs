//! A real browser as the other end: headless Chromium joins by the wire protocol, shows the robot's video, opens the
//! negotiated channels and drives the simulated car. The page and its script are in `crates/peer/tests/browser`.
//!
//! Run by `cargo xtask test`, which installs the browser and its driver.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn chromium_shows_the_robots_video_and_drives_its_car() {
    let driver = std::env::var_os("FARWHEEL_BROWSER_DRIVER").expect(
        "FARWHEEL_BROWSER_DRIVER names the folder with playwright-core: run this through `cargo xtask test`",
    );
    let network = Network::own();
    let mut serve = network.command(&binary("farwheel-signaling"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--allow-origin", "*"]);
    let (_server, url) = Program::start(serve, "listening ");
    let mut run = network.command(&binary("farwheel-robot"));
    run.args(["run", "--camera", "sim", "--strip", "--room", "yard", "--server", &url]);
    run.args(["--size", "640x360", "--fps", "30"]);
    let (_robot, _) = Program::start(run, "ready");
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
struct Network {
    namespace: Option<String>,
}

impl Network {
    fn own() -> Self {
        let name = format!("farwheel-browser-{}", std::process::id());
        if !ip(&["netns", "add", &name]) {
            // Without the right to make one, an interface of the machine's own has to do; the script says if none does.
            return Self { namespace: None };
        }
        let network = Self { namespace: Some(name.clone()) };
        for line in [
            "link set lo up",
            "link add here type veth peer name there",
            "addr add 10.80.0.1/24 dev here",
            "link set here up",
            "link set there up",
            "route add default dev here",
        ] {
            let args: Vec<&str> = ["-n", &name].into_iter().chain(line.split(' ')).collect();
            assert!(ip(&args), "ip {line} in the namespace {name}");
        }
        network
    }

    fn command(&self, program: &Path) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(name) = &self.namespace {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A started program; ended when dropped.
struct Program(Child);

impl Program {
    /// Starts it and waits for the line on its standard output that begins with `prefix`; gives the rest of it.
    fn start(mut command: Command, prefix: &'static str) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("program starts");
        let out = child.stdout.take().expect("its output is piped");
        let program = Self(child);
        let (found, wait) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(prefix) {
                    // Full: the first line has been taken already; the rest is read so that the program never blocks.
                    found.try_send(rest.trim().to_owned()).ok();
                }
            }
        });
        let rest = wait.recv_timeout(READY).unwrap_or_else(|_| panic!("no line `{prefix}` within {READY:?}"));
        (program, rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM, so that the robot stops its car and takes its actuator with it.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        let until = Instant::now() + GRACE;
        while asked.is_ok() && Instant::now() < until && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // It has ended already, or it has to: neither call can fail in a way that matters.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A program that was built beside this test.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("tests are in the folder deps beside the programs");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

const READY: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(3);
