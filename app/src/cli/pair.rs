//! `farwheel pair`: text or bytes between two computers that give the same code.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use farwheel_peer::pair::{Carrier, Config, Direct, Event, Events, MESSAGE_BYTES_MAX, Message, Pair};
use farwheel_peer::signaling::{self, Place, RoomName};
use serde_json::json;
use tokio::sync::mpsc;

use super::server::{Own, Server};
use super::{Exit, signals};
use crate::session::problem;

/// Arguments of `farwheel pair`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "On a terminal, /direct off sends everything through the server, /direct on undoes that.\n\
    The server can read what goes through it, and nothing of what goes directly."
)]
pub(super) struct PairArgs {
    /// The code that both give: letters, digits, - and _. Without one, one is made up and said.
    code: Option<RoomName>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    own: Own,
    /// Send standard input as it is, and write what comes as it is; ends when both have ended.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print all that happens as JSON, one object a line; lines of standard input are still sent as text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PairArgs) -> anyhow::Result<Exit> {
    let code = args.code.clone().unwrap_or_else(farwheel_peer::pair::made_up_code);
    let config = Config {
        signaling: signaling::Config {
            server: args.server.url.clone(),
            place: Place::Pair { code: code.clone() },
            name: args.own.name(),
            token: args.server.proof.token()?,
            ca: args.server.proof.ca.clone(),
        },
        candidates: args.own.candidates(),
        bind: args.own.bind(),
    };
    if let Err(error) = config.signaling.check() {
        let problem = problem::unusable(&error);
        eprintln!("farwheel: {} {}", problem.what, problem.remedy);
        return Ok(Exit::Usage);
    }
    let show = match (args.raw, args.json) {
        (true, _) => Show::Bytes,
        (false, true) => Show::Json,
        (false, false) => Show::Text,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let exit = runtime.block_on(converse(config, &code, show));
    // Somebody may still sit at the keyboard; nobody waits for that.
    runtime.shutdown_background();
    exit
}

/// How standard output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Text,
    Json,
    Bytes,
}

/// What was read from standard input.
enum Read {
    Say(Message),
    Direct(Direct),
}

/// How far the two streams are.
#[derive(Default)]
struct Progress {
    own_delivered: bool,
    other_ended: bool,
    other_left: bool,
    bytes_came: bool,
}

impl Progress {
    fn is_done(&self) -> bool {
        self.own_delivered && (self.other_ended || self.other_left)
    }
}

async fn converse(config: Config, code: &RoomName, show: Show) -> anyhow::Result<Exit> {
    let server = config.signaling.server.clone();
    let (pair, mut events) = Pair::open(config);
    // Kept to the end: who lets go of it leaves, though the other one may still have something to say.
    let mut sending = tokio::spawn(send(pair.clone(), read_input(show)));
    let mut progress = Progress::default();
    // Why nothing more can be sent. What the events have yet to say of it says more.
    let mut unsent = None;
    let exit = loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break unsent.map_or(Ok(Exit::Failed), |(error, _)| Err(error)) };
                match &event {
                    Event::Message(Message::End) => progress.other_ended = true,
                    Event::Message(Message::Bytes(_)) => progress.bytes_came = true,
                    Event::Found { .. } => progress.other_left = false,
                    Event::Left => progress.other_left = true,
                    Event::Message(Message::Text(_))
                    | Event::Waiting | Event::Carrier(_) | Event::Restarted | Event::Away { .. } | Event::Busy
                    | Event::Refused(_) => {}
                }
                if let Err(error) = told(show, &event, code) {
                    break Err(error);
                }
                match event {
                    Event::Busy => break Ok(Exit::Refused),
                    Event::Refused(refusal) => {
                        let problem = problem::refused(&refusal, code.as_str());
                        eprintln!("farwheel: {} {} ({server})", problem.what, problem.remedy);
                        break Ok(Exit::Refused);
                    }
                    Event::Restarted if show == Show::Bytes && progress.bytes_came => {
                        break Err(anyhow::anyhow!("the other one has started again in the middle of its bytes"));
                    }
                    _ => {}
                }
            }
            sent = &mut sending, if !progress.own_delivered && unsent.is_none() => match sent.context("send")? {
                Ok(()) => progress.own_delivered = true,
                Err(error) => unsent = Some((error, tokio::time::Instant::now() + LAST_WORD_MAX)),
            },
            Some(error) = last_word(&mut unsent) => break Err(error),
            signalled = signals::wait() => break signalled.map(|()| Exit::Done).context("listen for signals"),
        }
        if progress.is_done() {
            break Ok(Exit::Done);
        }
    };
    sending.abort();
    drop(pair);
    leave(events).await;
    exit
}

/// The reason, once it has waited long enough for a better one.
async fn last_word(unsent: &mut Option<(anyhow::Error, tokio::time::Instant)>) -> Option<anyhow::Error> {
    match unsent {
        Some((_, until)) => tokio::time::sleep_until(*until).await,
        None => std::future::pending().await,
    }
    unsent.take().map(|(error, _)| error)
}

/// What the pair has to say after nothing more can be sent is there by then.
const LAST_WORD_MAX: std::time::Duration = std::time::Duration::from_secs(1);

async fn leave(events: Events) {
    events.leave().await;
}

/// Sends what is read, then the end, and waits until all of it has arrived.
async fn send(pair: Pair, mut input: mpsc::Receiver<Read>) -> anyhow::Result<()> {
    while let Some(read) = input.recv().await {
        match read {
            Read::Say(message) => pair.send(&message).await?,
            Read::Direct(direct) => pair.set_direct(direct),
        }
    }
    pair.send(&Message::End).await?;
    Ok(pair.flush().await?)
}

/// Reads standard input in a thread of its own: a terminal can only be waited for.
fn read_input(show: Show) -> mpsc::Receiver<Read> {
    // Full: nothing more is read until it was sent.
    let (read, input) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || match show {
            Show::Bytes => read_bytes(&read),
            Show::Text | Show::Json => read_lines(&read),
        })
        .expect("the system gives a thread");
    input
}

fn read_bytes(to: &mpsc::Sender<Read>) {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    // An error ends the stream as its end does.
    while let Ok(length @ 1..) = stdin.read(&mut buffer) {
        let message = Message::Bytes(Bytes::copy_from_slice(&buffer[..length]));
        if to.blocking_send(Read::Say(message)).is_err() {
            return;
        }
    }
}

fn read_lines(to: &mpsc::Sender<Read>) {
    let mut stdin = std::io::stdin().lock();
    let is_terminal = stdin.is_terminal();
    let mut line = Vec::new();
    while let Ok(1..) = stdin.read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        let mut reads: Box<dyn Iterator<Item = Read>> = match text {
            "/direct off" if is_terminal => Box::new(std::iter::once(Read::Direct(Direct::Refused))),
            "/direct on" if is_terminal => Box::new(std::iter::once(Read::Direct(Direct::Wanted))),
            text => Box::new(Message::texts(text).map(Read::Say)),
        };
        if reads.any(|read| to.blocking_send(read).is_err()) {
            return;
        }
        drop(reads);
        line.clear();
    }
}

/// Writes what happened to standard output, and what is no message of the other one to standard error, unless all of it
/// is wanted as JSON.
fn told(show: Show, event: &Event, code: &RoomName) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match (show, event) {
        (Show::Json, event) => writeln!(out, "{}", as_json(event, code))?,
        (Show::Text, Event::Message(Message::Text(text))) if out.is_terminal() => {
            writeln!(out, "{}", printable(text))?;
        }
        (Show::Text, Event::Message(Message::Text(text))) => writeln!(out, "{text}")?,
        (Show::Bytes, Event::Message(Message::Bytes(bytes))) => out.write_all(bytes)?,
        (Show::Text, Event::Message(Message::Bytes(_))) => {
            bail!("the other one sends bytes; give --raw to take them")
        }
        (Show::Bytes, Event::Message(Message::Text(_))) => {
            bail!("the other one sends text; leave --raw out to take it")
        }
        (Show::Text | Show::Bytes, Event::Message(Message::End)) => {}
        (Show::Text | Show::Bytes, event) => {
            if let Some(words) = in_words(event, code) {
                eprintln!("farwheel: {words}");
            }
        }
    }
    out.flush().context("write to standard output")
}

fn in_words(event: &Event, code: &RoomName) -> Option<String> {
    Some(match event {
        Event::Waiting => format!("waiting for the other one; the code is {code}"),
        Event::Found { name } => format!("{name} is there"),
        Event::Carrier(Some(Carrier::Relayed)) => "messages go through the server".to_owned(),
        Event::Carrier(Some(Carrier::Direct)) => "messages go directly".to_owned(),
        Event::Carrier(None) => "no way to the other one; messages are kept".to_owned(),
        Event::Restarted => "the other one has started again".to_owned(),
        Event::Left => "the other one has left".to_owned(),
        Event::Away { reason } => format!("the server is away: {reason}; trying on"),
        Event::Busy => format!("two others use the code {code}; agree on another one"),
        Event::Refused(_) | Event::Message(_) => return None,
    })
}

fn as_json(event: &Event, code: &RoomName) -> serde_json::Value {
    match event {
        Event::Waiting => json!({"event": "waiting", "code": code}),
        Event::Found { name } => json!({"event": "found", "name": name}),
        Event::Carrier(carrier) => {
            let carrier = carrier.map(|carrier| match carrier {
                Carrier::Relayed => "relayed",
                Carrier::Direct => "direct",
            });
            json!({"event": "carrier", "carrier": carrier})
        }
        Event::Message(Message::Text(text)) => json!({"event": "text", "text": text}),
        Event::Message(Message::Bytes(bytes)) => json!({"event": "bytes", "count": bytes.len()}),
        Event::Message(Message::End) => json!({"event": "end"}),
        Event::Restarted => json!({"event": "restarted"}),
        Event::Left => json!({"event": "left"}),
        Event::Away { reason } => json!({"event": "away", "reason": reason}),
        Event::Busy => json!({"event": "busy", "code": code}),
        Event::Refused(refusal) => {
            json!({"event": "refused", "code": refusal.code, "message": refusal.message})
        }
    }
}

/// A stranger's text must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_does_not_steer_the_terminal() {
        assert_eq!(printable("a\tb\u{1b}[2Jc\u{7}\u{9b}é"), "a\tb\u{fffd}[2Jc\u{fffd}\u{fffd}é");
    }

    #[test]
    fn all_but_the_refusal_is_said_in_words() {
        let code: RoomName = "x".parse().expect("a code");
        for event in [
            Event::Waiting,
            Event::Found { name: "Ada".into() },
            Event::Carrier(None),
            Event::Carrier(Some(Carrier::Direct)),
            Event::Restarted,
            Event::Left,
            Event::Busy,
        ] {
            assert!(in_words(&event, &code).is_some(), "{event:?}");
            assert!(as_json(&event, &code)["event"].is_string(), "{event:?}");
        }
    }
}
