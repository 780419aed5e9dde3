//! Calls whose network changes or is cut: callers in namespaces with wires between them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use farwheel_lab::emulator::{Namespace, within};
use farwheel_lab::nat::obstacle;
use farwheel_lab::program::{Program, wait_for};

use super::callers::{Scene, member};

#[test]
fn sound_and_picture_are_back_within_three_seconds_of_a_change_of_networks() {
    let Some(net) = Net::new("fwmove", 2) else { return };
    let (_server, url) = net.server();
    let mut bob = Program::start(net.caller(&net.here, &url, "bob", &[]));
    bob.wait_line("In the room");
    let mut ada = Program::start(net.caller(&net.there, &url, "ada", &[]));
    ada.wait_line("bob is here");
    bob.wait_line("ada is here");
    let main = wait_for("media on one of the networks", || net.busy(["net1", "net2"], 100_000));
    let other = if main == "net1" { "net2" } else { "net1" };
    // Figures of the time before as well: the change is the longest pause of all.
    let before = net.received(other);
    net.there.ip(&format!("addr flush dev {main} scope global")).unwrap();
    let cut = Instant::now();
    wait_for("media on the other network", || (net.received(other) > before + 100_000).then_some(()));
    println!("on {other} with 100 kB after {:?}", cut.elapsed());
    for (caller, name, other) in [(ada, "ada", "bob"), (bob, "bob", "ada")] {
        let report = net.scene.end_of(caller, name);
        let member = member(&report, other);
        let picture = member["camera"]["picture_age_ms"]["max"].as_f64().unwrap();
        let sound = member["sound"]["longest_pause_ms"].as_f64().unwrap();
        println!("{name}: oldest picture {picture} ms, longest time without sound {sound} ms");
        assert!(picture <= 3000.0 && sound <= 3000.0, "{report:#}");
        assert!(member["camera"]["fps_last_second"].as_f64().unwrap() > 5.0, "{member:#}");
    }
}

#[test]
fn a_file_that_is_cut_in_the_middle_goes_on_and_arrives_whole() {
    let Some(net) = Net::new("fwfile", 1) else { return };
    let (_server, url) = net.server();
    net.shape("rate 20mbit burst 20kb latency 60ms");
    let (file, content) = net.file(12_000_000);
    let folder = net.scene.dir.path().join("taken");
    let accept = ["--accept-files", folder.to_str().unwrap()];
    let mut bob = Program::start(net.caller(&net.here, &url, "bob", &accept));
    bob.wait_line("In the room");
    let mut ada = Program::start(net.caller(&net.there, &url, "ada", &["--send", file.to_str().unwrap()]));
    bob.wait_line("drawing.bin is on its way");
    net.there.ip("link set net1 down").unwrap();
    // The connection is given up first: until then it is the same one, and only slow.
    let patience = Duration::from_secs(40);
    (ada, bob) = (ada.with_patience(patience), bob.with_patience(patience));
    bob.wait_line("drawing.bin waits for the link");
    assert!(!folder.join("drawing.bin").exists(), "it was cut too late");
    net.there.ip("link set net1 up").unwrap();
    bob.wait_line("drawing.bin is on its way");
    bob.wait_line("drawing.bin is there");
    ada.wait_line("drawing.bin is there");
    assert!(std::fs::read(folder.join("drawing.bin")).unwrap() == content, "the file is another one");
}

/// Two computers, `here` with the server and `there`, and wires between them.
struct Net {
    scene: Scene,
    here: Namespace,
    there: Namespace,
}

impl Net {
    /// None where namespaces cannot be made.
    fn new(name: &str, wires: u8) -> Option<Self> {
        if let Some(obstacle) = obstacle() {
            println!("SKIPPED: {obstacle}");
            return None;
        }
        let [here, there] = ["here", "there"]
            .map(|end| Namespace::create(&format!("{name}{}-{end}", std::process::id())).unwrap());
        for end in [&here, &there] {
            within(end.name(), || std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1"))
                .unwrap()
                .unwrap();
        }
        for n in 1..=wires {
            let wire = format!("net{n}");
            here.ip(&format!("link add {wire} type veth peer name {wire} netns {}", there.name())).unwrap();
            for (end, host) in [(&here, 1), (&there, 2)] {
                end.ip(&format!("addr add 45.83.{n}.{host}/24 dev {wire}")).unwrap();
                end.ip(&format!("link set {wire} up")).unwrap();
            }
            let metric = 100 * u32::from(n);
            there.ip(&format!("route add default via 45.83.{n}.1 dev {wire} metric {metric}")).unwrap();
        }
        Some(Self { scene: Scene::new(), here, there })
    }

    /// Makes the first wire narrow both ways.
    fn shape(&self, how: &str) {
        for end in [&self.here, &self.there] {
            let mut tc = end.command("tc");
            tc.args(["qdisc", "add", "dev", "net1", "root", "tbf"]).args(how.split(' '));
            let done = tc.stdin(Stdio::null()).output().unwrap();
            assert!(done.status.success(), "tc: {}", String::from_utf8_lossy(&done.stderr));
        }
    }

    fn server(&self) -> (Program, String) {
        let mut server = self.inside(&self.here, self.scene.command("farwheel-signaling"));
        server.args(["serve", "--insecure", "--anonymous", "--listen", "45.83.1.1:0"]);
        let mut server = Program::start(server);
        let url = server.wait_line("listening ");
        (server, url)
    }

    fn caller(&self, end: &Namespace, url: &str, name: &str, more: &[&str]) -> Command {
        let mut caller = self.inside(end, self.scene.command("farwheel"));
        caller.args(["call", "r", "--server", url, "--name", name, "--headless", "--camera", "test"]);
        caller.args(["--size", "320x180", "--tile", "320x180", "--microphone", "test", "--speaker", "test"]);
        if !more.contains(&"--left-out") {
            caller.args(["--left-out", "0"]);
        }
        caller.arg("--report").arg(self.scene.report(name)).args(more);
        caller
    }

    /// The same command, in a namespace.
    fn inside(&self, end: &Namespace, command: Command) -> Command {
        let mut inside = end.command(command.get_program());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Bytes that came in by a wire.
    fn received(&self, wire: &str) -> u64 {
        let file = format!("/sys/class/net/{wire}/statistics/rx_bytes");
        let mut cat = self.there.command("cat");
        let said = cat.arg(file).stdin(Stdio::null()).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().parse().unwrap()
    }

    fn busy<'a>(&self, wires: [&'a str; 2], bytes: u64) -> Option<&'a str> {
        wires.into_iter().find(|wire| self.received(wire) > bytes)
    }

    /// A file of so many bytes that are all different, and what is in it.
    fn file(&self, bytes: u32) -> (PathBuf, Vec<u8>) {
        let content: Vec<u8> = (0..bytes).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let path = self.scene.dir.path().join("drawing.bin");
        std::fs::write(&path, &content).unwrap();
        (path, content)
    }
}
