//! `farwheel manual`: two computers meet without any server; people carry one letter there and one back.

mod call;
mod reader;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use farwheel_peer::by_hand::{self, ByHand};
use farwheel_peer::{
    Bind, CandidatePolicy, Channel, Config, ConnId, Event, IceServer, LinkState, Manners, Media, SendError,
};
use farwheel_proto::call::letter::{self, Kind, Letter, LetterError, Wanted, description};
use serde_json::json;
use tokio::sync::mpsc;

use super::call::Part;
use super::pair::printable;
use super::{Exit, signals};
use crate::session::unix_seconds;
use reader::Reader;

/// Arguments of `farwheel manual`.
#[derive(Clone, Debug, Args)]
pub(super) struct Manual {
    #[command(subcommand)]
    side: Side,
}

#[derive(Clone, Debug, Subcommand)]
enum Side {
    /// Begin: prints an offer to be sent to the other one, and takes its answer.
    Offer(Options),
    /// Take part: takes the other one's offer, and prints the answer to be sent back. A browser's
    /// JSON.stringify(connection.localDescription) is taken as well, and answered in the same way.
    Answer(Options),
}

#[derive(Clone, Debug, Args)]
#[command(mut_group("part", |part| part.requires("call")))]
struct Options {
    /// Call, with camera and sound, instead of writing lines to each other: in the window, or with --headless without.
    #[arg(long)]
    call: bool,
    /// In a call: name that the other one sees [default: your login name].
    #[arg(long, requires = "call")]
    name: Option<String>,
    /// STUN or TURN server, for example stun:example.org:3478: needed where the two are in different networks. Again
    /// for more.
    #[arg(long, value_name = "URL")]
    ice: Vec<String>,
    /// Name for a TURN server.
    #[arg(long, requires = "ice_password_file")]
    ice_name: Option<String>,
    /// File with the password for a TURN server.
    #[arg(long, requires = "ice_name", value_name = "FILE")]
    ice_password_file: Option<std::path::PathBuf>,
    /// Use relayed connections only: the other one does not learn this computer's address.
    #[arg(long, requires = "ice")]
    relay_only: bool,
    /// Gather addresses from the loopback interface only: both are on this computer.
    #[arg(long)]
    loopback: bool,
    /// Print the letter as a picture (QR) as well.
    #[arg(long)]
    qr: bool,
    /// Print letters and, but for a call, all that happens as JSON, one object a line; lines of standard input are taken as
    /// usual.
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "In a call")]
    part: Part,
}

pub(super) fn run(args: Manual) -> anyhow::Result<Exit> {
    if let Side::Offer(options) | Side::Answer(options) = &args.side
        && options.call
    {
        return call::run(options, matches!(args.side, Side::Offer(_)).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let exit = runtime.block_on(async {
        tokio::select! {
            exit = meet(args.side) => exit,
            signalled = signals::wait() => signalled.map(|()| Exit::Done).context("listen for signals"),
        }
    });
    // Somebody may still sit at the keyboard; nobody waits for that.
    runtime.shutdown_background();
    exit
}

async fn meet(side: Side) -> anyhow::Result<Exit> {
    let mut lines = read_lines();
    match side {
        Side::Offer(options) => {
            let config = options.apply(Config::offer(Media::None, Manners::Impolite))?;
            let conn = config.conn;
            let hand = by_hand::offer(config).await.context("make an offer")?;
            options.show(&letter::write(Kind::Offer, conn, &hand.sdp, unix_seconds()))?;
            options.say("send this to the other one, then paste the answer here");
            let answer = options.take(&mut lines, Wanted::AnswerTo(conn)).await?;
            let Some(answer) = answer else { bail!("standard input ended before there was an answer") };
            by_hand::accept(&hand.connection, &answer.sdp);
            options.say("connecting");
            talk(hand, lines, &options).await
        }
        Side::Answer(options) => {
            options.say("paste the offer here");
            let offer = options.take(&mut lines, Wanted::Offer).await?;
            let Some(offer) = offer else { bail!("standard input ended before there was an offer") };
            let conn = offer.conn.unwrap_or_else(|| ConnId::new(rand::random()));
            let config = options.apply(Config::answer(conn, Media::None, Manners::Polite))?;
            let hand = by_hand::answer(config, &offer.sdp).await.context("answer the offer")?;
            match offer.conn {
                Some(conn) => options.show(&letter::write(Kind::Answer, conn, &hand.sdp, unix_seconds()))?,
                None => options.show(&description::as_json(Kind::Answer, &hand.sdp))?,
            }
            options.say("send this back to the other one");
            talk(hand, lines, &options).await
        }
    }
}

impl Options {
    fn apply(&self, config: Config) -> anyhow::Result<Config> {
        Ok(config
            .with_ice_servers(self.ice_servers()?)
            .with_candidates(self.candidates())
            .with_bind(self.bind())
            .with_patience(letter::LIFETIME))
    }

    fn ice_servers(&self) -> anyhow::Result<Vec<IceServer>> {
        if self.ice.is_empty() {
            return Ok(Vec::new());
        }
        let credential = self.ice_password_file.as_deref().map(super::read_secret).transpose()?;
        Ok(vec![IceServer { urls: self.ice.clone(), username: self.ice_name.clone(), credential }])
    }

    const fn candidates(&self) -> CandidatePolicy {
        if self.relay_only { CandidatePolicy::RelayOnly } else { CandidatePolicy::All }
    }

    const fn bind(&self) -> Bind {
        if self.loopback { Bind::Loopback } else { Bind::Everywhere }
    }

    /// Prints a letter, and the picture of it where it is wanted.
    fn show(&self, letter: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", json!({"event": "letter", "letter": letter}))?;
        } else {
            writeln!(out, "{letter}")?;
        }
        if self.qr && !self.json {
            writeln!(out, "\n{}", picture(letter)?)?;
        }
        out.flush().context("write to standard output")
    }

    fn say(&self, words: &str) {
        if !self.json {
            eprintln!("farwheel: {words}");
        }
    }

    /// Reads lines until there is a letter; what is wrong with what comes is said, and the next one taken. None at the
    /// end of input.
    async fn take(
        &self,
        lines: &mut mpsc::Receiver<String>,
        wanted: Wanted,
    ) -> anyhow::Result<Option<Letter>> {
        let mut reader = Reader::default();
        while let Some(line) = lines.recv().await {
            match reader.handle_line(&line, wanted) {
                None => {}
                Some(Ok((letter, _))) => return Ok(Some(letter)),
                Some(Err(wrong)) => self.refuse(&wrong),
            }
        }
        if let Some(error) = reader.end() {
            self.refuse(&error);
        }
        Ok(None)
    }

    fn refuse(&self, error: &LetterError) {
        if self.json {
            println!("{}", json!({"event": "refused", "message": error.to_string()}));
        } else {
            eprintln!("farwheel: {error}");
        }
    }

    fn tell(&self, event: &Said) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match (self.json, event) {
            (true, Said::Connected) => writeln!(out, "{}", json!({"event": "connected"}))?,
            (true, Said::Text(text)) => writeln!(out, "{}", json!({"event": "text", "text": text}))?,
            (false, Said::Connected) => eprintln!("farwheel: connected; each line is sent to the other one"),
            (false, Said::Text(text)) if out.is_terminal() => writeln!(out, "{}", printable(text))?,
            (false, Said::Text(text)) => writeln!(out, "{text}")?,
        }
        out.flush().context("write to standard output")
    }
}

/// What is printed of a conversation.
enum Said {
    Connected,
    Text(String),
}

/// Sends lines and prints what comes, until either side ends.
async fn talk(hand: ByHand, mut lines: mpsc::Receiver<String>, options: &Options) -> anyhow::Result<Exit> {
    let ByHand { connection, mut events, incoming: _incoming, .. } = hand;
    let mut is_open = false;
    // A line that did not fit into the queue; nothing more is read until it does.
    let mut waiting: Option<Bytes> = None;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::State(LinkState::Connected)) => {
                    if !std::mem::replace(&mut is_open, true) {
                        options.tell(&Said::Connected)?;
                    }
                }
                Some(Event::State(LinkState::Disconnected)) => options.say("nothing is heard of the other one"),
                Some(Event::State(LinkState::Failed(farwheel_peer::Failure::ClosedByPeer))) if is_open => {
                    options.say("the other one has left");
                    return Ok(Exit::Done);
                }
                Some(Event::State(LinkState::Failed(failure))) => bail!("{failure}"),
                Some(Event::Message { channel: Channel::Event, data }) => {
                    options.tell(&Said::Text(String::from_utf8_lossy(&data).into_owned()))?;
                }
                // Nobody carries a second letter.
                Some(_) => {}
                None => bail!("the connection ended"),
            },
            line = lines.recv(), if is_open && waiting.is_none() => match line {
                Some(line) => waiting = Some(Bytes::from(line)),
                None => {
                    // What was said last shall arrive.
                    tokio::time::sleep(LINGER).await;
                    connection.close().await;
                    return Ok(Exit::Done);
                }
            },
            () = tokio::time::sleep(RETRY), if waiting.is_some() => {}
        }
        if let Some(line) = waiting.take() {
            match connection.send(Channel::Event, line.clone()) {
                Ok(()) => {}
                Err(SendError::Full) => waiting = Some(line),
                Err(
                    error @ (SendError::NotConnected
                    | SendError::TooLarge(_)
                    | SendError::NoFiles
                    | SendError::NoSound),
                ) => {
                    options.say(&format!("not sent: {error}"));
                }
            }
        }
    }
}

/// Reads standard input in a thread of its own: a terminal can only be waited for.
fn read_lines() -> mpsc::Receiver<String> {
    // Full: nothing more is read until there is room.
    let (read, lines) = mpsc::channel(64);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut line = Vec::new();
            let mut stdin = std::io::stdin().lock();
            while let Ok(1..) = stdin.read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                if read.blocking_send(text).is_err() {
                    return;
                }
                line.clear();
            }
        })
        .expect("the system gives a thread");
    lines
}

/// The letter in half blocks, two rows of the picture in a line of text.
fn picture(letter: &str) -> anyhow::Result<String> {
    use qrcode::render::unicode::Dense1x2;
    let text = letter::in_one_line(letter);
    let code = qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L)
        .with_context(|| format!("{} characters are too many for a picture", text.len()))?;
    // Terminals are dark as a rule, cameras want dark on light.
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Between two looks whether there is room for a line.
const RETRY: Duration = Duration::from_millis(10);
/// Time for what was sent last, before the connection is closed.
const LINGER: Duration = Duration::from_millis(300);
