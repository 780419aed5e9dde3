//! State of a call, and of the screen before it.

use std::path::PathBuf;
use std::time::Duration;

use farwheel_peer::signaling::PeerId;
use farwheel_proto::call::Tile;
use serde::{Deserialize, Serialize};

use super::Level;
use super::connect::Problem;
use super::list::List;
use super::ring::{Answer, Ringing};

/// Where to call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Signalling server, `ws://` or `wss://`.
    pub server: String,
    /// Room name, `[A-Za-z0-9_-]{1,64}`.
    pub room: String,
    /// Token for the server; empty for anonymous. Never stored.
    #[serde(skip)]
    pub token: String,
}

/// The screen before a call: what others would see and hear, and with which devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreJoin {
    /// Where the call will be; empty where letters lead to it.
    pub target: Target,
    /// How far the two letters are, for a call without a server.
    pub letters: Option<Letters>,
    /// Devices, levels, switches.
    pub own: Own,
    /// Under way, or why it failed.
    pub phase: Phase,
    /// The speaker test sounds.
    pub is_testing: bool,
}

/// How far two letters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letters {
    /// There is none yet; why one that was given is none.
    Begin(Option<String>),
    /// The own letter is being written, or the two connect.
    Busy(&'static str),
    /// The offer lies ready to be carried to the other one, whose answer is wanted.
    Offer {
        /// The offer.
        letter: String,
        /// What is wrong with what was given for its answer.
        problem: Option<String>,
    },
    /// The answer lies ready to be carried back.
    Answer {
        /// The answer.
        letter: String,
    },
}

/// What became of joining.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Not asked for yet.
    #[default]
    Idle,
    /// Reaching the server, joining the room.
    Joining,
    /// The room is locked: somebody has to let us in.
    Waiting,
    /// Somebody's line is rung.
    Ringing(Ringing),
    /// Turned away, room full, server not reached.
    Failed(Problem),
}

/// A call, from the room joined until left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// The room.
    pub room: String,
    /// The link that brings others here.
    pub link: String,
    /// Since the room was joined.
    pub lasted: Duration,
    /// This side.
    pub own: Own,
    /// The others, in the order in which they came.
    pub members: Vec<Member>,
    /// Who speaks, or spoke last.
    pub active: Option<PeerId>,
    /// The signalling server: the call goes on without it.
    pub server: Server,
    /// Whether newcomers have to wait.
    pub is_locked: bool,
    /// Whether this side may lock, kick, let in and ask to mute.
    pub is_moderator: bool,
    /// Who waits to be let in: id and name.
    pub knocking: Vec<(PeerId, String)>,
    /// What was written, oldest first.
    pub chat: List<Line>,
    /// Lines that the others said since the user looked at them; what was said before one came does not count.
    pub unread: usize,
    /// Files on their way or there, oldest first.
    pub files: Vec<File>,
    /// The own recording.
    pub recording: Option<Recording>,
    /// Names of the others who record.
    pub recorded_by: Vec<String>,
    /// Figures of each link and of the sound, a sample a second, newest last.
    pub figures: List<Figures>,
}

/// Whether the signalling server is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Server {
    /// It is.
    #[default]
    Here,
    /// It is not, for so long; who is in the call stays in it.
    Away(Duration),
}

/// This side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// The name that others see.
    pub name: String,
    /// The camera.
    pub camera: Device,
    /// The microphone.
    pub microphone: Device,
    /// The loudspeaker or headphones.
    pub speaker: Device,
    /// Whether the camera is on.
    pub is_camera_on: bool,
    /// How the microphone is used.
    pub voice: Voice,
    /// The microphone's level of the last 100 ms, [0, 1], 1 is full scale; also while muted.
    pub level: f32,
    /// Somebody speaks into the microphone.
    pub speaks: bool,
    /// Somebody speaks into the muted microphone.
    pub speaks_while_muted: bool,
    /// The hand is raised.
    pub is_hand_up: bool,
    /// What the others see of the screen, by name.
    pub shared: Option<String>,
    /// What they are about to see: it is being opened, or the desktop asks.
    pub opens: Option<String>,
    /// Screens and windows that could be shared.
    pub screens: Vec<Shareable>,
    /// Sound is cleaned so.
    pub cleaning: Cleaning,
}

/// A device, and the others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// All that are plugged in, by name as shown; empty: there is none.
    pub names: Vec<String>,
    /// The one in use; `None`: none works.
    pub used: Option<usize>,
    /// Why it does not work, in words.
    pub problem: Option<String>,
}

/// Something that could be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shareable {
    /// Names it in commands.
    pub key: String,
    /// What a user knows it by.
    pub name: String,
    /// What it is.
    pub kind: Sharing,
}

/// What can be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A whole screen.
    Screen,
    /// A window.
    Window,
    /// What the user picks when the desktop asks.
    Ask,
    /// What the user picked the last time.
    Again,
}

/// How the microphone is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Voice {
    /// Everything is sent.
    #[default]
    On,
    /// Nothing is sent; held down, the key lets the voice through (push-to-talk).
    Muted,
}

/// How sound is cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cleaning {
    /// Echo of the loudspeaker is taken out.
    pub echo: bool,
    /// Steady noise is taken out.
    pub noise: bool,
    /// Voices are brought to one loudness.
    pub gain: bool,
}

impl Default for Cleaning {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true }
    }
}

/// Somebody else in the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Names it at the server.
    pub id: PeerId,
    /// The name that it gave, or a part of its id.
    pub name: String,
    /// How the link to it stands.
    pub link: Link,
    /// Its camera is on.
    pub is_camera_on: bool,
    /// Its microphone is on.
    pub is_microphone_on: bool,
    /// It hears us; false where there is no sound device.
    pub hears: bool,
    /// It shares a screen.
    pub shares: bool,
    /// Its hand is raised.
    pub is_hand_up: bool,
    /// It speaks.
    pub speaks: bool,
    /// Its level, [0, 1].
    pub level: f32,
    /// How loud it is played, 1 as sent, [0, 2].
    pub volume: f32,
    /// What both must read aloud for the same words: then nobody sits between.
    pub verification: Option<Verification>,
}

/// How the link to a member stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// Not connected yet.
    #[default]
    Connecting,
    /// Media flows.
    Connected {
        /// Four bars and the reason when there are fewer.
        bars: u8,
        /// Why it is not better, in a few words.
        reason: Option<String>,
    },
    /// Gone for so long, sought again; the last picture stays, greyed.
    Reconnecting(Duration),
}

/// Whether nobody sits between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The words to compare.
    pub words: String,
    /// What is known of the other's identity.
    pub trust: Trust,
}

/// What is known of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Met for the first time.
    New,
    /// The same as before, not compared.
    Known,
    /// Compared by the user.
    Verified,
    /// Another one than before under this name.
    Changed,
    /// The verification has failed: somebody may sit between. There are no words.
    Broken,
}

/// Something written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Who wrote it; `None`: this side.
    pub from: Option<String>,
    /// Names it, whatever order lines come in: a number for who wrote it, and the how manieth of theirs it is.
    pub id: (u32, u32),
    /// Who that is, where it is there and said it itself.
    pub author: Option<PeerId>,
    /// Somebody else says that it was written by this name.
    pub is_passed_on: bool,
    /// How long ago.
    pub ago: Duration,
    /// What.
    pub text: String,
}

/// A file sent or received.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Names it in commands.
    pub id: u64,
    /// Who sends it; `None`: this side.
    pub from: Option<String>,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How long ago it was offered; puts it between the lines of the chat.
    pub ago: Duration,
    /// How far it is.
    pub progress: Progress,
}

/// How far a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Offered; the receiver has to take it.
    Offered,
    /// So many bytes are there, at so many bytes a second.
    Running(u64, u64),
    /// Waits for the link to come back; goes on from so many bytes.
    Paused(u64),
    /// Complete; where it lies, on the receiving side.
    Done(Option<PathBuf>),
    /// Not wanted, or failed, in words.
    Failed(String),
}

/// The own recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Where it is written.
    pub path: PathBuf,
    /// How long it is.
    pub lasted: Duration,
}

/// Figures of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// By member.
    pub links: Vec<(PeerId, LinkFigures)>,
}

/// Figures of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkFigures {
    /// Round trip.
    pub rtt: Option<Duration>,
    /// Sent, in kbit/s.
    pub sent_kbps: f32,
    /// Received, in kbit/s.
    pub received_kbps: f32,
    /// Packets lost on the way here, [0, 1].
    pub loss: f32,
    /// Delay of the playout of sound.
    pub playout: Option<Duration>,
    /// Age of the picture on screen.
    pub picture_age: Option<Duration>,
    /// Size of the received camera picture.
    pub picture: Option<Tile>,
}

/// What the window asks of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Show the screen before a call: devices are opened.
    Prepare(Target),
    /// Show that screen for a call of two by letters, without a server.
    PrepareLetters,
    /// Write the offer of such a call.
    Offer,
    /// Answer this offer.
    Answer(String),
    /// Take this answer to the own offer.
    Accept(String),
    /// Leave that screen.
    Dismiss,
    /// Join.
    Join,
    /// Leave.
    Leave,
    /// Take a ring, or do not.
    AnswerRing(Answer),
    /// Use this token at the server of the own line.
    LineToken(Target),
    /// Forget who rang in vain.
    ForgetMissed,
    /// Turn the camera on or off.
    Camera(Switch),
    /// Use the microphone so.
    Voice(Voice),
    /// Hold (on) or let go (off) the talk key: it lets the voice through while muted, and keeps it back while not.
    TalkKey(Switch),
    /// Use another device, by index.
    Use(Kind, usize),
    /// Play a sound on the speaker in use.
    TestSpeaker,
    /// Sound the chime: somebody knocks or wrote, and the window is out of sight.
    Chime,
    /// Change how sound is cleaned.
    Clean(Cleaning),
    /// Play a member so loud, [0, 2].
    Volume(PeerId, f32),
    /// Share what has this key.
    Share(String),
    /// End that.
    EndShare,
    /// Raise or lower the hand.
    Hand(Switch),
    /// The tiles have these sizes in pixels; who is not named is not shown. Second: of the shared screen.
    Tiles(Vec<(PeerId, Option<Tile>, Option<Tile>)>),
    /// Write to all.
    Say(String),
    /// The user sees what was written.
    ReadChat,
    /// Offer a file to all.
    SendFile(PathBuf),
    /// Take files of at most so many bytes from now on.
    FileLimit(u64),
    /// Take an offered file.
    TakeFile(u64),
    /// Give a file up, or refuse it.
    CancelFile(u64),
    /// Lock the room or open it.
    Lock(Switch),
    /// Let a waiting one in.
    Admit(PeerId),
    /// Turn a waiting one away.
    Deny(PeerId),
    /// Put a member out.
    Kick(PeerId),
    /// Ask a member to mute itself.
    AskToMute(PeerId),
    /// The user compared the words with this member: they are the same.
    Verify(PeerId),
    /// Begin or end the own recording.
    Record(Switch),
    /// Write the figures to a file; a notice tells where.
    ExportFigures,
    /// Write a bundle for a bug report, without secrets; a notice tells where.
    DebugBundle,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Camera.
    Camera,
    /// Microphone.
    Microphone,
    /// Loudspeaker or headphones.
    Speaker,
}

/// Whose picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The own camera.
    Own,
    /// The own shared screen.
    OwnScreen,
    /// A member's camera.
    Camera(PeerId),
    /// A member's shared screen.
    Screen(PeerId),
}

impl Link {
    /// How it stands, as a level.
    pub const fn level(&self) -> Level {
        match self {
            Self::Connecting => Level::Neutral,
            Self::Connected { bars: 3.., .. } => Level::Good,
            Self::Connected { bars: 2, .. } => Level::Warning,
            Self::Connected { .. } | Self::Reconnecting(_) => Level::Bad,
        }
    }
}
