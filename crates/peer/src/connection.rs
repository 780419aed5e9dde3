//! The handle of one WebRTC connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use farwheel_proto::call::verify::Fingerprints;
use farwheel_proto::rate::{Orders, Reason, Target, Track, Verdict};
use farwheel_proto::sound;
use farwheel_proto::video::{Bitrate, EncodedFrame, FrameKind, Size};
use tokio::sync::{Notify, mpsc, watch};

use crate::config::{Config, Manners, Media};
use crate::detour::Detour;
use crate::engine::FEEDBACK_INTERVAL;
use crate::event::{Channel, Event, LinkState};
use crate::outbox::{FrameQueued, Messages, Pictures, Queued, Sounds as SoundsOut};
use crate::signal::{Admission, ConnId, Signal, SignalKind};
use crate::stats::{Link, Stats};
use crate::task::{self, Command};
use crate::uplink::{self, SharedUplink, Stream};

/// Signals and commands on their way to the connection's task. Full only if that task is stuck: the signal is
/// refused and the connect watchdog ends the attempt.
const COMMANDS_MAX: usize = 256;
/// Events on their way to the owner.
pub(crate) const EVENTS_MAX: usize = 256;
/// Received pictures on their way to the decoder.
/// Full: everything up to the next key frame is dropped, and one is asked for.
pub(crate) const FRAMES_MAX: usize = 8;
/// Received packets of sound on their way to their reader, a second and more. Full: the newest is dropped and counted.
pub(crate) const SOUNDS_MAX: usize = 64;

/// One WebRTC connection to one peer.
///
/// Every method returns at once. Dropping the handle closes the connection; [`close`](Self::close) also waits until
/// sockets and tasks are gone.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    closed: watch::Receiver<bool>,
}

/// What a connection tells its owner. Must be read; messages on lossy channels are dropped when it is full, any
/// other loss ends the connection with [`Failure::OwnerTooSlow`](crate::Failure::OwnerTooSlow).
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

/// Received pictures of one track in decoding order; stays empty where none are received.
#[derive(Debug)]
pub struct Frames(mpsc::Receiver<EncodedFrame>);

/// Received packets of sound in the order of their arrival; stays empty where none is received.
#[derive(Debug)]
pub struct Sounds(mpsc::Receiver<sound::Received>);

/// The media that the other side sends.
#[derive(Debug)]
pub struct Incoming {
    /// The camera's pictures.
    pub camera: Frames,
    /// The shared screen's pictures.
    pub screen: Frames,
    /// The sound.
    pub sound: Sounds,
}

/// What became of a picture handed to [`Connection::send_frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Queued,
    /// Not connected yet, or not any more.
    NotConnected,
    /// The receiver could not use it: a key frame is due first.
    AwaitingKey,
    /// The link is full; a key frame is due when it no longer is.
    NoRoom,
    /// Four pictures wait already; this one and all up to the next key frame or recovery are dropped, and
    /// [`Event::KeyframeRequested`] follows.
    Overflow,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channels are not open yet, or not any more.
    #[error("connection is not open")]
    NotConnected,
    /// The reliable channel has 256 messages waiting, or that of files 32 pieces.
    #[error("too many messages wait on the reliable channel already")]
    Full,
    /// This side or the other one has no sound.
    #[error("one of the sides has no sound")]
    NoSound,
    /// Only calls carry files.
    #[error("this connection carries no files")]
    NoFiles,
    /// A message of this many bytes does not fit.
    #[error("message has {0} bytes, at most 16384 are allowed")]
    TooLarge(usize),
}

/// The largest message any of our channels carries, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

impl Connection {
    /// Starts a connection; a failure to start comes as [`LinkState::Failed`] on the events.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open(config: Config) -> (Self, Events, Incoming) {
        let (commands_tx, commands_rx) = mpsc::channel(COMMANDS_MAX);
        let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
        let (camera_tx, camera_rx) = mpsc::channel(FRAMES_MAX);
        let (screen_tx, screen_rx) = mpsc::channel(FRAMES_MAX);
        let (sound_tx, sound_rx) = mpsc::channel(SOUNDS_MAX);
        let (closed_tx, closed_rx) = watch::channel(false);
        let shared = Arc::new(Shared::new(&config));
        let media = Readers { camera: camera_tx, screen: screen_tx, sound: sound_tx };
        task::spawn(config, Arc::clone(&shared), commands_rx, events_tx, media, closed_tx);
        let incoming =
            Incoming { camera: Frames(camera_rx), screen: Frames(screen_rx), sound: Sounds(sound_rx) };
        (Self { shared, commands: commands_tx, closed: closed_rx }, Events(events_rx), incoming)
    }

    /// The id both ends know this connection by.
    pub fn conn(&self) -> ConnId {
        self.shared.conn
    }

    /// Says what to do with a signal from this connection's peer, perfect negotiation and stale ids considered.
    pub fn admits(&self, signal: &Signal) -> Admission {
        if signal.conn == self.shared.conn {
            return Admission::Mine;
        }
        match signal.kind {
            SignalKind::Offer => match self.shared.manners {
                Manners::Impolite if self.shared.offer_pending.load(Ordering::Acquire) => Admission::Stale,
                Manners::Impolite | Manners::Polite => Admission::Replace,
            },
            SignalKind::Answer
            | SignalKind::Candidate
            | SignalKind::CandidatesEnd
            | SignalKind::Ping
            | SignalKind::Pong
            | SignalKind::Bye => Admission::Stale,
        }
    }

    /// Takes a signal from the peer; ones with another connection's id are dropped.
    pub fn handle_signal(&self, signal: Signal) {
        if signal.conn == self.shared.conn {
            self.command(Command::Signal(signal));
        } else {
            tracing::debug!(conn = %self.shared.conn, stale = %signal.conn, kind = ?signal.kind, "signal dropped");
        }
    }

    /// Whether a picture of this track captured just now is worth encoding for this connection, and how large it may become.
    /// One that was refused must not be sent. `None` where the track is not sent, or not taken by the other side.
    pub fn admit_frame(&self, track: Track) -> Option<Verdict> {
        if !self.shared.is_taken(Stream::Pictures(track)) {
            return None;
        }
        let waiting = Track::ALL.iter().map(|track| self.shared.pictures(*track).bytes()).sum();
        self.shared.uplink.as_ref()?.lock().admit(track, waiting, Instant::now())
    }

    /// Sends a picture that was encoded for another connection's link, unless this one has no room for it; then this one
    /// and all up to the next key frame are left out.
    pub fn offer_frame(&self, track: Track, frame: EncodedFrame) -> Sent {
        match self.admit_frame(track) {
            // Made for the other's anchors.
            Some(Verdict::Encode { .. } | Verdict::Skip(Reason::FrameRate))
                if frame.kind == FrameKind::Recovery && self.shared.pictures(track).awaits_key() =>
            {
                Sent::AwaitingKey
            }
            // A lower rate than the stream's is no reason: half of the pictures are none.
            Some(Verdict::Encode { .. } | Verdict::Skip(Reason::FrameRate)) => self.send_frame(track, frame),
            Some(Verdict::Skip(Reason::Budget | Reason::Stall)) => {
                self.leave_out(track);
                Sent::NoRoom
            }
            None => Sent::NotConnected,
        }
    }

    /// Leaves out all pictures of this track up to the next key frame: the other side has no use for it now.
    pub fn leave_out(&self, track: Track) {
        self.shared.pictures(track).break_off();
    }

    /// What the pictures of this track are to be, or would be if it were on; `None` where it is not sent.
    pub fn target(&self, track: Track) -> Option<Target> {
        if !self.shared.is_taken(Stream::Pictures(track)) {
            return None;
        }
        self.shared.uplink.as_ref()?.lock().target(track)
    }

    /// Whether the path is direct and its round trip was within 5 ms when it came up, and never above 20 ms since: a
    /// wire or one room's radio, where the least delay counts and bits do not.
    pub fn is_near(&self) -> bool {
        self.shared.near.load(Ordering::Acquire)
    }

    /// Why the pictures sent here are what they are, as of now; `None` on a receiving side.
    pub fn link(&self) -> Option<Link> {
        let uplink = self.shared.uplink.as_ref()?.lock();
        Some(Link { status: uplink.status(Instant::now()), target: uplink.target(Track::Camera)? })
    }

    /// The receiver holds anchors of this track: where the feedback shows that a picture will not be whole in time, a
    /// recovery is ordered.
    pub fn allow_recoveries(&self, track: Track) {
        if let Some(uplink) = &self.shared.uplink {
            uplink.lock().allow_recoveries(track);
        }
    }

    /// Whether the next picture of this track shall be a recovery; that is told once.
    pub fn take_recovery_order(&self, track: Track) -> bool {
        self.with_orders(track, Orders::take).unwrap_or_default()
    }

    /// Whether a recovery that was ordered may not have arrived yet.
    pub fn awaits_recovery(&self, track: Track) -> bool {
        self.with_orders(track, |orders| orders.is_under_way(Instant::now())).unwrap_or_default()
    }

    /// Notes that no recovery could be made as ordered.
    pub fn refuse_recovery(&self, track: Track) {
        self.with_orders(track, Orders::handle_refused);
    }

    /// Notes that the next picture is a recovery for another reason than an order.
    pub fn note_recovery(&self, track: Track) {
        self.with_orders(track, |orders| orders.handle_recovery_ordered(Instant::now()));
    }

    fn with_orders<T>(&self, track: Track, act: impl FnOnce(&mut Orders) -> T) -> Option<T> {
        self.shared.uplink.as_ref()?.lock().orders(track).map(act)
    }

    /// Changes the most to send of a track.
    pub fn set_bitrate_max(&self, track: Track, max: Bitrate) {
        if let Some(uplink) = &self.shared.uplink {
            uplink.lock().controller().set_bitrate_max(track, max, Instant::now());
        }
    }

    /// Tells of what size a source's pictures are, if it is another one than the configured.
    pub fn set_size(&self, track: Track, size: Size) {
        if let Some(uplink) = &self.shared.uplink {
            uplink.lock().controller().set_size(track, size, Instant::now());
        }
    }

    /// Sends a picture of a track, newest last; never waits. What nobody calls this for is muted: the section stays.
    pub fn send_frame(&self, track: Track, frame: EncodedFrame) -> Sent {
        if !self.shared.media_open.load(Ordering::Acquire) || !self.shared.is_taken(Stream::Pictures(track)) {
            return Sent::NotConnected;
        }
        let (bytes, kind) = (frame.data.len(), frame.kind);
        let queued = self.shared.pictures(track).push(frame);
        if queued == FrameQueued::Yes
            && let Some(uplink) = &self.shared.uplink
        {
            uplink.lock().controller().handle_encoded(track, bytes, kind);
        }
        match queued {
            FrameQueued::Yes => {
                self.shared.pictures_added(track).notify_one();
                Sent::Queued
            }
            FrameQueued::AwaitingKey => Sent::AwaitingKey,
            FrameQueued::Overflow => {
                self.shared.stats().frames_refused += 1;
                self.command(Command::SendQueueOverflowed(track));
                Sent::Overflow
            }
        }
    }

    /// Whether both sides have sound; known once they are connected.
    pub fn has_sound(&self) -> bool {
        self.shared.sound_open.load(Ordering::Acquire)
    }

    /// Sends a packet of sound; never waits. It is never paced or repaired; while ten wait, the oldest is dropped. What nobody
    /// calls this for is muted.
    ///
    /// # Errors
    ///
    /// When there is no connection yet, or not any more, and when one of the sides has no sound.
    pub fn send_sound(&self, packet: sound::Packet) -> Result<(), SendError> {
        if !self.shared.media_open.load(Ordering::Acquire) {
            return Err(SendError::NotConnected);
        }
        if !self.has_sound() {
            return Err(SendError::NoSound);
        }
        self.shared.sounds().push(packet);
        self.shared.sound_added.notify_one();
        Ok(())
    }

    /// The certificates of both ends, as [`Signal::fingerprint`] writes them; `None` until the handshake has proved them, and
    /// where a description named several.
    pub fn fingerprints(&self) -> Option<Fingerprints> {
        let is_proved = self.shared.media_open.load(Ordering::Acquire);
        is_proved.then(|| self.shared.fingerprints().clone()).flatten()
    }

    /// How many messages [`send`](Self::send) would take on the channel of files now; zero while it is not open.
    pub fn file_places(&self) -> usize {
        if !self.shared.channels_open.load(Ordering::Acquire) {
            return 0;
        }
        self.shared.messages().room_for_pieces()
    }

    /// Sends a message; never waits. On a lossy channel that is stuck the oldest of four waiting commands,
    /// or of eight datagrams of telemetry one of which there is a newer one, is dropped.
    ///
    /// # Errors
    ///
    /// When the channels are not open, when the reliable one is full, when `data` is over 16 KiB, and for a piece of a file
    /// on a connection that is no call.
    pub fn send(&self, channel: Channel, data: Bytes) -> Result<(), SendError> {
        if data.len() > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLarge(data.len()));
        }
        if channel == Channel::File && !self.shared.carries_files {
            return Err(SendError::NoFiles);
        }
        if !self.shared.channels_open.load(Ordering::Acquire) {
            return Err(SendError::NotConnected);
        }
        let queued = self.shared.messages().push(channel, data);
        self.shared.message_added(channel).notify_one();
        match queued {
            Queued::Yes | Queued::OldestDropped => Ok(()),
            Queued::Refused => Err(SendError::Full),
        }
    }

    /// Asks the sender for a key frame of a track (PLI), at most once in 300 ms.
    pub fn request_keyframe(&self, track: Track) {
        self.shared.keyframe_wanted(track).notify_one();
    }

    /// Gathers and checks again, after a change of network. Sockets are replaced, so media pauses for some round trips.
    pub fn restart_ice(&self) {
        self.command(Command::RestartIce);
    }

    /// The state of the link.
    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    /// The newest figures; costs a copy.
    pub fn stats(&self) -> Stats {
        self.shared.stats().clone()
    }

    /// Closes the connection, tells the peer by an [`Event::Signal`] of kind `Bye`, and waits until all of it is gone.
    pub async fn close(&self) {
        self.command(Command::Close);
        let mut closed = self.closed.clone();
        // An error means that the task is gone, which is what is waited for.
        closed.wait_for(|closed| *closed).await.ok();
    }

    fn command(&self, command: Command) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
            tracing::warn!(conn = %self.shared.conn, ?command, "connection is stuck, command dropped");
        }
    }
}

impl Events {
    /// Waits for the next event; `None` when the connection is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// Takes an event if one is there.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

impl Frames {
    /// Waits for the next picture; `None` when the connection is closed.
    pub async fn recv(&mut self) -> Option<EncodedFrame> {
        self.0.recv().await
    }

    /// Like [`recv`](Self::recv), for a decoder's own thread.
    ///
    /// # Panics
    ///
    /// Inside an asynchronous task.
    pub fn blocking_recv(&mut self) -> Option<EncodedFrame> {
        self.0.blocking_recv()
    }

    /// Takes a picture if one is there.
    pub fn try_recv(&mut self) -> Option<EncodedFrame> {
        self.0.try_recv().ok()
    }
}

impl Sounds {
    /// Waits for the next packet; `None` when the connection is closed.
    pub async fn recv(&mut self) -> Option<sound::Received> {
        self.0.recv().await
    }

    /// Takes a packet if one is there.
    pub fn try_recv(&mut self) -> Option<sound::Received> {
        self.0.try_recv().ok()
    }
}

/// Where received media go.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) camera: mpsc::Sender<EncodedFrame>,
    pub(crate) screen: mpsc::Sender<EncodedFrame>,
    pub(crate) sound: mpsc::Sender<sound::Received>,
}

/// What the handle and the connection's tasks both touch; each lock guards a slot and is held for a copy.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) conn: ConnId,
    pub(crate) manners: Manners,
    carries_files: bool,
    /// An own offer is out and not answered.
    pub(crate) offer_pending: AtomicBool,
    /// The handshake is done: pictures may be sent.
    pub(crate) media_open: AtomicBool,
    /// Both sides have sound.
    pub(crate) sound_open: AtomicBool,
    /// The other side has no section for the track.
    pub(crate) pictures_refused: [AtomicBool; 2],
    /// The path is direct and short.
    pub(crate) near: AtomicBool,
    /// All channels are open.
    pub(crate) channels_open: AtomicBool,
    /// The owner was told that the link stands.
    announced: watch::Sender<bool>,
    pub(crate) state: watch::Sender<LinkState>,
    keyframe_wanted: [Notify; 2],
    messages_added: [Notify; Channel::ALL.len()],
    pictures_added: [Notify; 2],
    pub(crate) sound_added: Notify,
    /// Decides on what is sent; `None` on a side that sends no pictures.
    pub(crate) uplink: Option<SharedUplink>,
    detour: Mutex<Option<Arc<Detour>>>,
    messages: Mutex<Messages>,
    pictures: [Mutex<Pictures>; 2],
    sounds: Mutex<SoundsOut>,
    /// Of the descriptions that the handshake goes by.
    fingerprints: Mutex<Option<Fingerprints>>,
    stats: Mutex<Stats>,
}

impl Shared {
    fn new(config: &Config) -> Self {
        let uplink = uplink::config(config.media, FEEDBACK_INTERVAL);
        Self {
            uplink: uplink.map(|config| SharedUplink::new(&config, Instant::now())),
            conn: config.conn,
            manners: config.manners,
            carries_files: matches!(config.media, Media::Call(_)),
            offer_pending: AtomicBool::new(false),
            media_open: AtomicBool::new(false),
            sound_open: AtomicBool::new(false),
            pictures_refused: Default::default(),
            near: AtomicBool::new(false),
            channels_open: AtomicBool::new(false),
            announced: watch::Sender::new(false),
            state: watch::Sender::new(LinkState::Connecting),
            keyframe_wanted: [const { Notify::const_new() }; 2],
            messages_added: [const { Notify::const_new() }; Channel::ALL.len()],
            pictures_added: [const { Notify::const_new() }; 2],
            sound_added: Notify::new(),
            detour: Mutex::default(),
            messages: Mutex::default(),
            pictures: Default::default(),
            sounds: Mutex::default(),
            fingerprints: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    /// Whether the other side has a section for it; of pictures that is so until it is known.
    pub(crate) fn is_taken(&self, stream: Stream) -> bool {
        match stream {
            Stream::Sound => self.sound_open.load(Ordering::Acquire),
            Stream::Pictures(track) => !self.pictures_refused[index(track)].load(Ordering::Acquire),
        }
    }

    /// Another way for commands than their channel; there is one while video is received.
    pub(crate) fn detour(&self) -> Option<Arc<Detour>> {
        self.detour.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_detour(&self, detour: Option<Detour>) {
        *self.detour.lock().unwrap_or_else(PoisonError::into_inner) = detour.map(Arc::new);
    }

    /// Waits until [`announce`](Self::announce) was called.
    pub(crate) async fn announced(&self) {
        // The sending half is held by `self`, so there is no error.
        self.announced.subscribe().wait_for(|announced| *announced).await.ok();
    }

    /// Lets messages through to the owner, who knows now that the link stands.
    pub(crate) fn announce(&self) {
        self.announced.send_replace(true);
    }

    pub(crate) fn message_added(&self, channel: Channel) -> &Notify {
        &self.messages_added[usize::from(channel.id())]
    }

    pub(crate) fn pop_message(&self, channel: Channel) -> Option<Bytes> {
        self.messages().pop(channel)
    }

    pub(crate) fn pop_newest_message(&self, channel: Channel) -> Option<Bytes> {
        self.messages().pop_newest(channel)
    }

    pub(crate) fn keyframe_wanted(&self, track: Track) -> &Notify {
        &self.keyframe_wanted[index(track)]
    }

    pub(crate) fn pictures_added(&self, track: Track) -> &Notify {
        &self.pictures_added[index(track)]
    }

    pub(crate) fn pop_picture(&self, track: Track) -> Option<EncodedFrame> {
        self.pictures(track).pop()
    }

    pub(crate) fn pop_sound(&self) -> Option<sound::Packet> {
        self.sounds().pop()
    }

    pub(crate) fn fingerprints(&self) -> MutexGuard<'_, Option<Fingerprints>> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pictures(&self, track: Track) -> MutexGuard<'_, Pictures> {
        self.pictures[index(track)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sounds(&self) -> MutexGuard<'_, SoundsOut> {
        self.sounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn index(track: Track) -> usize {
    match track {
        Track::Camera => 0,
        Track::Screen => 1,
    }
}
