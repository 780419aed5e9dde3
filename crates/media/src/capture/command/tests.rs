use std::time::Instant;

use super::*;

const WAIT: Duration = Duration::from_secs(20);

fn open(words: &[&str]) -> (Command, Result<(), Error>) {
    let mut command = Command::new(words.iter().map(|word| (*word).to_owned()).collect());
    let result = command.open();
    (command, result)
}

fn shell(script: &str) -> Command {
    let (command, result) = open(&["sh", "-c", script]);
    result.expect("sh can be run");
    command
}

/// Passes over pictures up to the error that ends the program.
fn end(command: &mut Command) -> Error {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        if let Err(error) = command.next_frame(WAIT) {
            return error;
        }
    }
    panic!("the program did not end");
}

fn check(script: &str, want: &str) {
    let got = end(&mut shell(script)).to_string();
    assert!(got.contains(want), "{script:?}: got {got:?}, want {want:?}");
}

#[test]
fn pictures_of_a_program_arrive() {
    let mut command = shell("printf 'YUV4MPEG2 W2 H2 F30:1 C420\\nFRAME\\nabcdef'; sleep 60");
    let frame = command.next_frame(WAIT).unwrap().expect("within the time");
    assert_eq!(frame.data.as_slice(), b"abcdef");
    assert!(matches!(command.next_frame(Duration::ZERO), Ok(None)));
}

#[test]
fn of_several_pictures_the_newest_is_given() {
    let mut command = shell(
        "printf 'YUV4MPEG2 W2 H2 C420\\n'; for i in 1 2 3 4 5; do printf 'FRAME\\n%06d' $i; done; sleep 60",
    );
    let frames = &command.running.as_ref().unwrap().frames;
    let deadline = Instant::now() + WAIT;
    while frames.overwritten() < 4 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(command.next_frame(WAIT).unwrap().unwrap().data.as_slice(), b"000005");
}

#[test]
fn what_goes_wrong_is_said_with_the_programs_last_words() {
    check("echo no such input >&2; exit 3", "exit status: 3: no such input");
    check(
        "printf 'YUV4MPEG2 W2 H2 C420\\nFRAME\\nabc'",
        "sh: the program ended within a picture (exit status: 0)",
    );
    check(
        "printf 'YUV4MPEG2 W2 H2 C420\\nFRAME\\nabcdef'",
        "sh: the program wrote no more pictures (exit status: 0)",
    );
    check("printf 'YUV4MPEG2 W2 H2 C422\\n'; sleep 60", "\"422\" is not 8-bit 4:2:0 (use yuv420p)");
    check("echo hello; sleep 60", "not a y4m stream: it starts with \"hello\"");
    check("kill -9 $$", "signal: 9");
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let (_, result) = open(&["farwheel-no-such-program"]);
    assert!(
        matches!(&result, Err(Error::Missing(text)) if text.contains("no program \"farwheel-no-such-program\"")),
        "{result:?}"
    );
    let (_, result) = open(&["/dev/null"]);
    assert!(matches!(&result, Err(Error::NotAllowed(text)) if text.contains("/dev/null")), "{result:?}");
}

#[test]
fn closing_ends_the_program_and_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (pids, script) = (folder.path().join("pids"), "sleep 600 & echo $$ $! > \"$0\"; wait");
    let (mut command, result) = open(&["sh", "-c", script, pids.to_str().unwrap()]);
    result.unwrap();
    let deadline = Instant::now() + WAIT;
    let read = || std::fs::read_to_string(&pids).unwrap_or_default();
    while !read().ends_with('\n') && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let started: Vec<u32> = read().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|pid| is_running(*pid)));
    command.close();
    while started.iter().any(|pid| is_running(*pid)) && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(!started.iter().any(|pid| is_running(*pid)), "{started:?} still run");
}

#[test]
fn a_program_that_leaves_its_pipe_to_another_does_not_hold_up_closing() {
    // `setsid` puts the sleeper into a group of its own, which keeps the pipe open.
    let mut command = shell("setsid sleep 30 & exit 0");
    let started = Instant::now();
    command.close();
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Whether a process is there and is no zombie.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}
