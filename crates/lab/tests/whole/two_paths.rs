//! App and robot joined by two networks, one of which stands still for a while.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farwheel_lab::clock::VirtualTime;
use farwheel_lab::emulator::{Hearing, Namespace, within};
use farwheel_lab::nat::obstacle;
use farwheel_robot::drive::pulse_log;
use serde_json::Value;
use tempfile::TempDir;

use farwheel_lab::program::{Program, binary, wait_for};

#[test]
fn on_two_paths_commands_arrive_while_one_of_them_stands_still_and_none_counts_twice() {
    let Some(scene) = Scene::new("fwtwo") else { return };
    let story = scene.drive("auto", "Control on two paths: ", Blow::Silence, End::CarMoves);
    println!("{story:#?}");
    assert!(story.gap <= Duration::from_millis(100), "{story:#?}");
    // Two that come within one turn of a busy robot count as one.
    assert!(story.lost <= story.sent / 20, "{story:#?}");
    assert_eq!(story.twice, 0, "{story:#?}");
    assert!(story.control["came_first"]["second"].as_u64().unwrap() > 50, "{story:#?}");
    let sent = ["main", "second"].map(|path| story.control["sent"][path].as_u64().unwrap());
    assert!(sent[1] > 75 && sent[1] <= sent[0], "{story:#?}");
    // The picture stands still, and with it, after 800 ms, the car, whoever holds the stick.
    assert!(story.has_stopped && story.has_gone_on, "{story:#?}");
    assert_eq!(story.connections, 1);
}

#[test]
fn a_main_network_that_loses_its_address_does_not_hold_up_the_second_path() {
    let Some(scene) = Scene::new("fwaddr") else { return };
    let story = scene.drive("auto", "Control on two paths: ", Blow::AddressGone, End::CommandsWereSent);
    println!("{story:#?}");
    assert!(story.gap <= Duration::from_millis(100), "{story:#?}");
    assert!(story.lost <= story.sent / 20, "{story:#?}");
    assert_eq!(story.twice, 0, "{story:#?}");
    // Nobody can be asked for another path for the picture.
    assert!(story.has_stopped, "{story:#?}");
    assert_eq!(story.connections, 1, "{story:#?}");
}

#[test]
fn on_one_path_commands_stand_still_with_it() {
    let Some(scene) = Scene::new("fwone") else { return };
    let story = scene.drive("one", "Connected to", Blow::Silence, End::CommandsWereSent);
    println!("{story:#?}");
    // As long as the cut, and not much longer.
    assert!(story.gap >= Duration::from_millis(1000), "{story:#?}");
    assert!(story.gap <= story.cut + Duration::from_millis(1000), "{story:#?}");
    assert_eq!((story.twice, story.control["sent"]["second"].as_u64()), (0, Some(0)), "{story:#?}");
    // After 1.5 s of silence it is disarmed, or next to it; either way it stood.
    assert!(story.has_stopped, "{story:#?}");
}

#[test]
fn a_relay_is_the_second_path_where_it_is_asked_for_and_there_is_one_network() {
    let Some(scene) = Scene::with_networks("fwrel", 1) else { return };
    let (_server, url) = scene.server();
    let mut robot = Program::start(scene.robot(&url));
    robot.wait_line("ready");
    let mut app = Program::start(scene.app(&url, "two"));
    assert_eq!(app.wait_line("Control on two paths: "), "net1 and relay.");
    app.catch_up();
    for _ in 0..100 {
        app.wait_line("command sent");
    }
    app.terminate();
    let (status, said) = app.wait();
    assert!(status.success(), "{said}");
    let control = &scene.stats()["control"];
    println!("{control}");
    let count = |what: &str, path: &str| control[what][path].as_u64().unwrap();
    assert!(count("sent", "second") >= 100 && count("sent", "second") <= count("sent", "main"), "{control}");
    // Whichever comes first counts, and only that.
    let counted = count("came_first", "main") + count("came_first", "second");
    assert!((50..=count("sent", "main")).contains(&counted), "{control}");
}

#[test]
fn a_second_path_is_found_though_the_server_has_forgotten_everybody_since_the_first() {
    let Some(scene) = Scene::with_networks("fwnew", 1) else { return };
    let (server, url) = scene.server();
    let mut robot = scene.robot(&url);
    robot.env("FARWHEEL_ROBOT_LOG", "farwheel_robot=info");
    let mut robot = Program::start(robot);
    robot.wait_line("ready");
    let mut app = Program::start(scene.app(&url, "auto"));
    app.wait_line("Connected to");
    robot.catch_up();
    server.kill();
    app.wait_line("The server is gone");
    let _server = scene.server_at(url.split('/').nth(2).unwrap());
    // Both have another id now.
    robot.wait_line("joined the room");
    app.wait_line("The server is back");
    scene.attach(2, 200);
    assert_eq!(app.wait_line("Control on two paths: "), "net1 and net2.");
}

/// Two ends, `car` and `desk`, with two wires between them, and a server beside the robot.
struct Scene {
    car: Namespace,
    desk: Namespace,
    dir: TempDir,
}

/// What happens to the network of the main path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// It stands still for 1.5 s.
    Silence,
    /// The driver's computer has no address in it any more, and the server cannot be reached otherwise.
    AddressGone,
}

/// What is waited for once the network is there again.
enum End {
    /// That the car goes on by itself.
    CarMoves,
    /// Two seconds of commands.
    CommandsWereSent,
}

/// What a drive was like while its main path stood still.
#[derive(Debug)]
#[allow(dead_code, reason = "all of it is printed")]
struct Story {
    main: String,
    /// How long the network let nothing through, at most.
    cut: Duration,
    /// Commands sent meanwhile, and those of them that never counted.
    sent: usize,
    lost: usize,
    /// From sending to counting, of those that did.
    p50: Option<Duration>,
    p99: Option<Duration>,
    /// Longest time without a command that counts.
    gap: Duration,
    /// Commands of the whole drive that counted though they were not newer.
    twice: usize,
    /// Whether the throttle was neutral from one second after the beginning to the end.
    has_stopped: bool,
    /// Whether the car moved afterwards.
    has_gone_on: bool,
    connections: u64,
    control: Value,
    load: f64,
}

impl Scene {
    fn new(name: &str) -> Option<Self> {
        Self::with_networks(name, 2)
    }

    /// The addresses are public ones as far as any rule knows: a relay refuses to send to private ones.
    fn with_networks(name: &str, count: usize) -> Option<Self> {
        if let Some(obstacle) = obstacle() {
            println!("SKIPPED: {obstacle}");
            return None;
        }
        let [car, desk] = ["car", "desk"]
            .map(|end| Namespace::create(&format!("{name}{}-{end}", std::process::id())).unwrap());
        for end in [&car, &desk] {
            // As in two networks of different owners: what has the one's address does not come by the other.
            within(end.name(), || std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1"))
                .unwrap()
                .unwrap();
        }
        let scene = Self { car, desk, dir: tempfile::tempdir().unwrap() };
        for (n, metric) in [(1, 100), (2, 200)].into_iter().take(count) {
            scene.attach(n, metric);
        }
        Some(scene)
    }

    /// Lays a wire between the two ends.
    fn attach(&self, n: u8, metric: u32) {
        let (net, wire) = (format!("45.82.{n}"), format!("net{n}"));
        self.car
            .ip(&format!("link add {wire} type veth peer name {wire} netns {}", self.desk.name()))
            .unwrap();
        for (end, address) in [(&self.car, format!("{net}.1/24")), (&self.desk, format!("{net}.2/24"))] {
            end.ip(&format!("addr add {address} dev {wire}")).unwrap();
            end.ip(&format!("link set {wire} up")).unwrap();
        }
        self.desk.ip(&format!("route add default via {net}.1 dev {wire} metric {metric}")).unwrap();
    }

    /// Drives at half throttle; once `mark` is said the blow falls on the network of the main path, and 1.5 s are watched.
    fn drive(&self, paths: &str, mark: &str, blow: Blow, end: End) -> Story {
        let (server, url) = self.server();
        let mut server = Some(server);
        let mut robot = Program::start(self.robot(&url));
        robot.wait_line("ready");
        let mut app = Program::start(self.app(&url, paths));
        let main = self.main_network(&app.wait_line(mark), paths);
        let throttle = || last_throttle(&self.path("pulses"));
        wait_for("the car to move", || (throttle()? > NEUTRAL_US).then_some(()));

        // The commands themselves are the clock: seventy-five that are sent are 1.5 s.
        app.catch_up();
        for _ in 0..50 {
            app.wait_line("command sent");
        }
        let began = SystemTime::now();
        match blow {
            Blow::Silence => self.cut(&main, "add"),
            Blow::AddressGone => {
                drop(server.take());
                self.desk.ip(&format!("addr flush dev {main} scope global")).unwrap();
            }
        }
        let cut = SystemTime::now();
        for _ in 0..75 {
            app.wait_line("command sent");
        }
        let ended = SystemTime::now();
        if blow == Blow::Silence {
            self.cut(&main, "delete");
        }
        let lasted = began.elapsed().unwrap();
        match end {
            End::CarMoves => wait_for("the car to move again", || (throttle()? > NEUTRAL_US).then_some(())),
            End::CommandsWereSent => {}
        }
        // The robot's counts come by the network that stood still.
        app.catch_up();
        for _ in 0..100 {
            app.wait_line("command sent");
        }

        app.terminate();
        let (status, app_said) = app.wait();
        assert!(status.success(), "{app_said}");
        robot.terminate();
        let (_, robot_said) = robot.wait();
        story(
            main,
            lasted,
            [began, cut, ended],
            (&app_said, &robot_said),
            &self.path("pulses"),
            &self.stats(),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn server(&self) -> (Program, String) {
        self.server_at("45.82.1.1:0")
    }

    fn server_at(&self, listen: &str) -> (Program, String) {
        let mut server = self.command(&self.car, "farwheel-signaling");
        server.args(["serve", "--insecure", "--anonymous", "--listen", listen]);
        let mut server = Program::start(server);
        let url = server.wait_line("listening ");
        (server, url)
    }

    fn robot(&self, url: &str) -> Command {
        let mut robot = self.command(&self.car, "farwheel-robot");
        robot.args(["run", "--server", url, "--insecure", "--room", "r", "--size", "320x180", "--fps", "30"]);
        robot.arg("--drive").arg(format!("sim:{}", self.path("registers").display()));
        robot.arg("--pulse-log").arg(self.path("pulses"));
        robot.env("FARWHEEL_ROBOT_LOG", "farwheel_robot::control=trace");
        robot
    }

    /// An app that holds half throttle.
    fn app(&self, url: &str, paths: &str) -> Command {
        std::fs::write(self.path("script"), "arm 30\nhold\n0 0.5 0\n86400 0.5 0\n").unwrap();
        let mut app = self.command(&self.desk, "farwheel");
        app.args(["drive", "r", "--server", url, "--headless", "--control-paths", paths]);
        app.arg("--script").arg(self.path("script")).arg("--stats-json").arg(self.path("stats"));
        app.env("FARWHEEL_LOG", "measure=trace");
        app
    }

    /// What the app left behind.
    fn stats(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path("stats")).unwrap()).unwrap()
    }

    /// The network that the connection with the video uses: with two paths the app says so, else it is where the bytes are.
    fn main_network(&self, said: &str, paths: &str) -> String {
        if paths != "one" {
            return said.split(" and ").next().unwrap().to_owned();
        }
        let bytes = |wire: &str| {
            let mut cat = self.desk.command("cat");
            cat.arg(format!("/sys/class/net/{wire}/statistics/rx_bytes"));
            let said = cat.stdin(Stdio::null()).output().unwrap().stdout;
            String::from_utf8(said).unwrap().trim().parse::<u64>().unwrap()
        };
        let wires = ["net1", "net2"];
        let before = wires.map(bytes);
        wait_for("video on one of the networks", || {
            wires.into_iter().zip(before).find(|(wire, before)| bytes(wire) > before + 30_000)
        })
        .0
        .to_owned()
    }

    /// Lets nothing in from a network at either end, or does again.
    fn cut(&self, wire: &str, how: &str) {
        for end in [&self.car, &self.desk] {
            let rules = match how {
                "add" => format!(
                    "add table inet cut\n\
                     add chain inet cut in {{ type filter hook input priority 0; }}\n\
                     add rule inet cut in iifname {wire} drop\n"
                ),
                _ => "delete table inet cut\n".to_owned(),
            };
            let file = self.dir.path().join("rules");
            std::fs::write(&file, rules).unwrap();
            let done = end.command("nft").arg("-f").arg(&file).stdin(Stdio::null()).output().unwrap();
            assert!(done.status.success(), "nft: {}", String::from_utf8_lossy(&done.stderr));
        }
    }

    /// A program that no file or variable of this machine changes.
    fn command(&self, end: &Namespace, program: &str) -> Command {
        let mut command = end.command(binary(program));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_")) {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, self.dir.path());
        }
        command
    }
}

fn story(
    main: String,
    lasted: Duration,
    [began, cut, ended]: [SystemTime; 3],
    (app, robot): (&str, &str),
    pulses: &Path,
    stats: &Value,
) -> Story {
    let at = |time: SystemTime| VirtualTime(time.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64);
    let [began, cut, ended] = [began, cut, ended].map(at);
    let heard = Hearing { zero_unix_us: 0 }.logs(app, robot);
    let meanwhile: Vec<_> = heard.commands.iter().filter(|(sent, _)| (began..ended).contains(sent)).collect();
    let mut delays: Vec<Duration> =
        meanwhile.iter().filter_map(|(sent, counted)| Some(counted.as_ref()?.since(*sent))).collect();
    delays.sort();
    let point = |permille: usize| delays.get(delays.len() * permille / 1000).copied();
    let mut counted: Vec<VirtualTime> = heard.commands.iter().filter_map(|(_, counted)| *counted).collect();
    // Where none counts any more, the gap lasts to the end.
    counted.extend(heard.commands.last().map(|(sent, _)| *sent));
    counted.sort();
    let gaps = counted.windows(2).filter(|pair| pair[1] >= began && pair[0] <= ended);
    let sequences: Vec<u32> = robot
        .lines()
        .filter_map(|line| line.split_once("command counts sequence=")?.1.trim().parse().ok())
        .collect();
    let lines = pulse_log::read(pulses).unwrap();
    // The pulse log has the machine's monotonic clock.
    let offset_us = at(SystemTime::now()).0 - farwheel_robot::clock::monotonic_ns() / 1000;
    // Each line holds until the next one.
    let throttle = |from: VirtualTime, until: VirtualTime| {
        let us = |line: &pulse_log::Line| line.at_ns / 1000 + offset_us;
        let first = lines.iter().rposition(|line| us(line) <= from.0).unwrap_or(0);
        let within = lines[first..].iter().take_while(|line| us(line) < until.0);
        within.map(|line| line.widths[THROTTLE]).collect::<Vec<_>>()
    };
    Story {
        main,
        cut: lasted,
        sent: meanwhile.len(),
        lost: meanwhile.len() - delays.len(),
        p50: point(500),
        p99: point(990),
        gap: gaps.map(|pair| pair[1].since(pair[0])).max().unwrap_or(Duration::MAX),
        // Another lease counts from one again.
        twice: sequences.windows(2).filter(|pair| pair[1] <= pair[0] && pair[1] != 1).count(),
        has_stopped: throttle(cut.after(STOPPED_WITHIN), ended).iter().all(|width| *width == NEUTRAL_US),
        has_gone_on: throttle(ended, VirtualTime(u64::MAX)).iter().any(|width| *width > NEUTRAL_US),
        connections: stats["connections"].as_u64().unwrap(),
        control: stats["control"].clone(),
        load: stats["load"].as_f64().unwrap(),
    }
}

fn last_throttle(pulses: &Path) -> Option<u16> {
    Some(pulse_log::read(pulses).ok()?.last()?.widths[THROTTLE])
}

/// Index of the throttle among the pulse widths.
const THROTTLE: usize = 1;
const NEUTRAL_US: u16 = 1500;
/// A picture of 800 ms leaves no throttle (docs/SAFETY.md); the last one was on its way when the network stopped, and the
/// app tells the robot of it 50 times a second.
const STOPPED_WITHIN: Duration = Duration::from_millis(1000);
