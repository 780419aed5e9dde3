//! `farwheel pair`: two programs, a third one that is not wanted, and a server that does not live for ever.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write as _};
use std::process::{ChildStdin, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use farwheel_lab::program::{Program, binary, wait_for};
use serde_json::Value;

fn serve(listen: &str) -> (Program, String) {
    let mut serve = Command::new(binary("farwheel-signaling"));
    serve.args(["serve", "--listen", listen]);
    let mut server = Program::start(serve);
    let url = server.wait_line("listening ");
    (server, url)
}

fn pair(url: &str, name: &str, more: &[&str]) -> Command {
    let mut pair = Command::new(binary("farwheel"));
    pair.args(["pair", "493817", "--loopback", "--server", url, "--name", name]).args(more);
    pair
}

/// Writes numbered lines, half of them at once and half when told to, then the end.
fn number(stdin: ChildStdin, count: u32) -> (Sender<()>, JoinHandle<()>) {
    let (go_on, told) = channel();
    let writer = std::thread::spawn(move || {
        let mut stdin = BufWriter::new(stdin);
        for n in 0..count {
            if n == count / 2 {
                stdin.flush().unwrap();
                told.recv().unwrap();
            }
            writeln!(stdin, "{n}").unwrap();
        }
        stdin.flush().unwrap();
    });
    (go_on, writer)
}

fn objects(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}

#[test]
fn ten_thousand_lines_each_way_survive_a_server_that_is_started_again() {
    const LINES: u32 = 10_000;
    let (server, url) = serve("127.0.0.1:0");
    let address = url.split('/').nth(2).unwrap().to_owned();
    let (mut ada, to_ada) = Program::start_with_input(pair(&url, "Ada", &["--json"]));
    ada.wait_line(r#""event":"waiting""#);
    let (mut grace, to_grace) = Program::start_with_input(pair(&url, "Grace", &["--json"]));
    grace.wait_line(r#""event":"found""#);
    let (eve, _to_eve) = Program::start_with_input(pair(&url, "Eve", &["--json"]));
    let (status, said) = eve.wait();
    assert!(status.code() == Some(4) && said.contains(r#""event":"busy""#), "{status} {said}");
    let writers = [number(to_ada, LINES), number(to_grace, LINES)];
    grace.wait_line(r#""text":"1000""#);
    drop(server);
    grace.wait_line(r#""event":"away""#);
    writers.iter().for_each(|(go_on, _)| go_on.send(()).unwrap());
    let (_server, _) = serve(&address);
    for (_, writer) in writers {
        writer.join().unwrap();
    }
    for program in [ada, grace] {
        let (status, said) = program.wait();
        let numbers: Vec<u32> = objects(&said)
            .filter(|object| object["event"] == "text")
            .map(|object| object["text"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.iter().copied().eq(0..LINES), "{} lines came, each once and in order", numbers.len());
        assert!(status.success(), "{said}");
        let carriers: BTreeSet<String> = objects(&said)
            .filter(|object| object["event"] == "carrier")
            .filter_map(|object| object["carrier"].as_str().map(str::to_owned))
            .collect();
        assert!(carriers.contains("direct"), "{carriers:?}");
    }
}

#[test]
fn bytes_arrive_as_they_were_sent() {
    let (_server, url) = serve("127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let name = |what: &str| folder.path().join(what);
    let sent: Vec<u8> = (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(name("one"), &sent).unwrap();
    std::fs::write(name("other"), b"short\0\xff").unwrap();
    let mut programs = ["one", "other"].map(|input| {
        let mut command = pair(&url, input, &["--raw"]);
        command.stdin(std::fs::File::open(name(input)).unwrap());
        command.stdout(std::fs::File::create(name(&format!("to-{input}"))).unwrap());
        command.spawn().unwrap()
    });
    for program in &mut programs {
        let status = wait_for("the end of the bytes", || program.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
    assert_eq!(std::fs::read(name("to-one")).unwrap(), b"short\0\xff");
    assert!(std::fs::read(name("to-other")).unwrap() == sent, "all bytes, in order");
}
