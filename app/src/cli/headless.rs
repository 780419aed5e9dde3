//! A stay without a window: progress on stderr, and when to end.

use std::time::{Duration, Instant};

use super::signals::Stop;
use super::{Exit, Where};
use crate::script::Outcome;
use crate::session::hands::Hands;
use crate::session::{Session, Stage, problem};

/// When a stay without a window ends by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Without a picture after this long it is given up.
    pub(super) wait: Option<Duration>,
    /// It ends this long after its start.
    pub(super) lasts: Option<Duration>,
}

impl Limits {
    pub(super) fn new(place: &Where, seconds: Option<f64>) -> Self {
        let seconds_of = |s: f64| Duration::try_from_secs_f64(s).ok().filter(|d| !d.is_zero());
        Self { wait: seconds_of(place.wait), lasts: seconds.and_then(seconds_of) }
    }
}

/// Waits for the end and says on stderr what happens until then.
pub(super) fn attend(
    session: &Session,
    hands: Option<&Hands>,
    place: &Where,
    limits: Limits,
    stop: &Stop,
    mut each: impl FnMut(&Session) -> Option<Exit>,
) -> Exit {
    let start = Instant::now();
    let mut said = String::new();
    let mut has_server = false;
    let mut second_path = None;
    let mut script_line = 0;
    loop {
        let now = Instant::now();
        let status = session.status();
        let has_picture = session.figures().totals().shown > 0;
        let line = match &status.stage {
            Stage::Silent { .. } => "Link lost".into(),
            Stage::Retrying { .. } => "Link lost, trying again".into(),
            Stage::Unreachable { problem, .. } => format!("{} Trying again", problem.what),
            Stage::Connected if has_picture => match &status.robot {
                Some(robot) => format!("Connected to {robot}"),
                None => "Connected".into(),
            },
            Stage::Connected => "Connected, waiting for the first picture".into(),
            stage => stage.text(now),
        };
        let say =
            |line: &str| eprintln!("{:7.2} s  {line}", now.saturating_duration_since(start).as_secs_f32());
        if line != said {
            say(&line);
            said = line;
        }
        if has_server != status.signaling && has_picture {
            say(if status.signaling {
                "The server is back"
            } else {
                "The server is gone; picture and control go on without it"
            });
        }
        has_server = status.signaling;
        if status.second_path != second_path {
            match &status.control {
                Some(line) => say(line),
                None => say("Control on one path."),
            }
            second_path.clone_from(&status.second_path);
        }
        for notice in session.take_notices() {
            eprintln!("           {}", notice.text);
        }
        if let Some(exit) = each(session) {
            return exit;
        }
        if let Stage::Ended(problem) = &status.stage {
            let is_own = matches!(problem.code.as_deref(), Some("bad_address" | "bad_certificates"));
            return fail(problem, if is_own { Exit::Usage } else { Exit::Refused });
        }
        if let Some(exit) = hands.and_then(|hands| follow_script(hands, &mut script_line)) {
            return exit;
        }
        if stop.is_asked() {
            eprintln!("           Stopping");
            return if status.joined { Exit::Done } else { Exit::Unreachable };
        }
        let spent = now.saturating_duration_since(start);
        if limits.lasts.is_some_and(|lasts| spent >= lasts) {
            return if has_picture { Exit::Done } else { no_picture(&status.stage, place) };
        }
        if !has_picture && limits.wait.is_some_and(|wait| spent >= wait) {
            return no_picture(&status.stage, place);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn follow_script(hands: &Hands, said_line: &mut usize) -> Option<Exit> {
    let (outcome, line) = hands.shared().view().script?;
    if line != *said_line && line != 0 {
        *said_line = line;
        eprintln!("           Script line {line}");
    }
    match outcome {
        Outcome::Running => None,
        Outcome::Done => {
            eprintln!("           Script done");
            Some(Exit::Done)
        }
        Outcome::Failed(error) => {
            eprintln!("farwheel: script {error}");
            Some(Exit::Script)
        }
    }
}

fn no_picture(stage: &Stage, place: &Where) -> Exit {
    match stage {
        Stage::Unreachable { problem, .. } => fail(problem, Exit::Unreachable),
        Stage::Reaching => {
            fail(&problem::unreachable(&place.server.url, "connection timed out"), Exit::Unreachable)
        }
        Stage::Looking | Stage::WaitingForRobot => {
            fail(&problem::no_robot(place.room.as_str()), Exit::NoPicture)
        }
        Stage::Connecting
        | Stage::Connected
        | Stage::Silent { .. }
        | Stage::Retrying { .. }
        | Stage::Ended(_) => {
            eprintln!(
                "farwheel: the robot is in the room, but no picture arrives (no_picture)\n  Look at the robot's \
                 log; if the two are in different networks, the server needs TURN."
            );
            Exit::NoPicture
        }
    }
}

fn fail(problem: &crate::model::connect::Problem, exit: Exit) -> Exit {
    let code = problem.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    eprintln!("farwheel: {}{code}\n  {}", problem.what, problem.remedy);
    exit
}
