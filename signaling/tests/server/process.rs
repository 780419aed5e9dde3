//! The program itself: what it prints, refuses, and does on SIGTERM.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farwheel-signaling"));
    command.arg("serve").args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FARWHEEL_SIGNALING_")) {
        command.env_remove(name);
    }
    command
}

/// Runs to the end, which has to be a refusal, and returns its one line.
fn refusal(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = serve(arguments).output().unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(1), 0));
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim().into()
}

#[test]
fn a_busy_port_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_eq!(
        refusal(&["--listen", &format!("127.0.0.1:{port}")]),
        format!(
            "farwheel-signaling: TCP port {port} is in use on 127.0.0.1; stop the program that has it, or choose \
             another with --listen"
        )
    );
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_eq!(
        refusal(&["--listen", "127.0.0.1:0", "--turn-listen", &format!("127.0.0.1:{port}")]),
        format!(
            "farwheel-signaling: UDP port {port} is in use on 127.0.0.1; stop the program that has it, or choose \
             another with --turn-listen"
        )
    );
}

#[test]
fn plain_websockets_for_others_are_refused() {
    let told = refusal(&["--listen", "0.0.0.0:0"]);
    assert!(told.contains("needs --cert and --key, or --insecure"), "{told}");
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# mine\nlisten = '127.0.0.1:0'\ndrian-ms = 3\n").unwrap();
    let path = file.path().display().to_string();
    let told = refusal(&["--config", &path]);
    assert_eq!(
        told,
        format!("farwheel-signaling: {path} line 3: unknown key `drian-ms`; did you mean `drain-ms`?")
    );
}

#[test]
fn flags_win_over_environment_over_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "drain-ms = 1\nrooms = 'file'\nsfu = 'http://file'\n").unwrap();
    let output = serve(&["--print-config", "--drain-ms", "3"])
        .env("FARWHEEL_SIGNALING_CONFIG", file.path())
        .env("FARWHEEL_SIGNALING_DRAIN_MS", "2")
        .env("FARWHEEL_SIGNALING_ROOMS", "environment")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for want in ["drain-ms = 3", "rooms = \"environment\"", "sfu = \"http://file\""] {
        assert!(printed.contains(want), "{printed}");
    }
}

/// Ends a process whatever the test does.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended as it should.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn it_tells_where_it_listens_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut child = Guard(
        serve(&["--listen", "127.0.0.1:0", "--ready-file", ready.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let [first, second, third] = [(); 3].map(|()| lines.next().unwrap());
    let port: u16 = first
        .strip_prefix("listening ws://127.0.0.1:")
        .unwrap()
        .strip_suffix("/v1/ws")
        .unwrap()
        .parse()
        .unwrap();
    assert!(second.starts_with("stun/turn udp://127.0.0.1:"), "{second}");
    assert_eq!(third, format!("turn tcp://127.0.0.1:{port}"));
    assert_eq!(std::fs::read_to_string(ready).unwrap(), format!("{first}\n{second}\n{third}\n"));
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();

    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // Without clients there is nothing to wait for; the test runner's limit bounds this.
    assert!(child.0.wait().unwrap().success());
}
