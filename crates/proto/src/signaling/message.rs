//! The messages. The `type` field names the variant; unknown fields are ignored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Auth, ClientInfo, ConnId, ErrorCode, LeaveReason, Limits, Peer, PeerId, Permission, Resume, ResumeToken,
    Role, RoomName, SessionId,
};

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message of a connection, within 10 s.
    Hello {
        /// Protocol spoken, [`super::PROTOCOL`].
        protocol: String,
        /// The program that speaks.
        client: ClientInfo,
        /// Who it speaks for.
        auth: Auth,
        /// The session to continue after a lost connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<Resume>,
    },
    /// Enters a room, which begins to exist if it did not.
    Join {
        /// The room.
        room: RoomName,
        /// What this peer does there.
        role: Role,
        /// Anything the others shall know, an object of at most 4 KiB.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        meta: Value,
    },
    /// Leaves the room, the pair or the waiting line.
    Leave,
    /// A message of WebRTC negotiation for another peer of the room.
    Signal {
        /// Addressee.
        to: PeerId,
        /// The connection it belongs to.
        conn: ConnId,
        /// What it is.
        kind: SignalKind,
        /// Opaque to the server.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        data: Value,
    },
    /// Application data on the WebSocket path, for when no data channel is open.
    Data {
        /// Addressee; without one everybody else in the room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<PeerId>,
        /// Opaque to the server, at most 16 KiB.
        data: Value,
    },
    /// Replaces this peer's `meta`.
    SetMeta {
        /// As in `join`.
        meta: Value,
    },
    /// Asks for the rooms that have a robot.
    ListRooms,
    /// Asks for fresh TURN credentials.
    IceServers,
    /// Meets the other peer that gives the same code.
    Pair {
        /// The code, spelled like a room name; a name space of its own.
        code: RoomName,
        /// As in `join`.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        meta: Value,
    },
    /// Lets a waiting peer in.
    Admit {
        /// The one that knocked.
        peer: PeerId,
    },
    /// Turns a waiting peer away.
    Deny {
        /// The one that knocked.
        peer: PeerId,
    },
    /// Moderates the room.
    Mod {
        /// What to do.
        #[serde(flatten)]
        action: ModAction,
    },
    /// Sign of life, answered by `pong`.
    Ping {
        /// Any number; comes back.
        t: u64,
        /// Highest `seq` received, so that the server forgets what is before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ack: Option<u64>,
    },
}

impl ClientMessage {
    /// The `type` of every client message.
    pub const TYPES: [&'static str; 13] = [
        "hello",
        "join",
        "leave",
        "signal",
        "data",
        "set_meta",
        "list_rooms",
        "ice_servers",
        "pair",
        "admit",
        "deny",
        "mod",
        "ping",
    ];
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message of a connection.
    Welcome {
        /// Protocols spoken.
        protocols: Vec<String>,
        /// Optional functions that this server offers.
        features: Vec<String>,
        /// What it allows.
        limits: Limits,
    },
    /// Answers `hello`.
    HelloOk(HelloOk),
    /// Answers `join`.
    Joined(Joined),
    /// Somebody entered the room.
    PeerJoined {
        /// Who.
        peer: Peer,
        /// Number of this change of the room.
        rev: u64,
    },
    /// Somebody is gone from the room; to moderators also: somebody who waited to be let in waits no longer.
    PeerLeft {
        /// Who.
        peer: PeerId,
        /// Number of this change of the room.
        rev: u64,
        /// Why.
        reason: LeaveReason,
    },
    /// Somebody's `meta` or `connected` is another.
    PeerChanged {
        /// The whole new state.
        peer: Peer,
        /// Number of this change of the room.
        rev: u64,
    },
    /// A message of WebRTC negotiation from another peer.
    Signal {
        /// Sender, stamped by the server.
        from: PeerId,
        /// The connection it belongs to.
        conn: ConnId,
        /// What it is.
        kind: SignalKind,
        /// What the sender gave.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        data: Value,
    },
    /// Application data from another peer.
    Data {
        /// Sender, stamped by the server.
        from: PeerId,
        /// What the sender gave.
        data: Value,
    },
    /// The rooms that have a robot, sorted by name, at most 256.
    Rooms {
        /// The rooms.
        rooms: Vec<RoomInfo>,
    },
    /// Fresh TURN credentials.
    IceServers {
        /// As in `hello_ok`.
        ice_servers: Vec<IceServer>,
        /// As in `hello_ok`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ice_expires: Option<u64>,
    },
    /// The room is locked, or the pair incomplete: wait for `joined` or `pair_found`.
    Waiting {
        /// The room or the code.
        room: RoomName,
    },
    /// Somebody waits to be let in; sent to moderators.
    Knock {
        /// Who.
        peer: Peer,
    },
    /// The other peer of the pair is there.
    PairFound {
        /// This peer.
        #[serde(rename = "self")]
        own: PeerId,
        /// The other one.
        peer: Peer,
        /// Whether this peer makes the offer.
        initiator: bool,
    },
    /// Two peers have met by this code already.
    Busy {
        /// The code.
        code: RoomName,
    },
    /// The room's lock is another.
    Locked {
        /// Whether newcomers have to wait.
        locked: bool,
        /// Number of this change of the room.
        rev: u64,
    },
    /// A moderator asks this peer to mute itself.
    MuteRequest {
        /// The moderator.
        from: PeerId,
    },
    /// Answers `leave`, and tells a waiting peer that it was turned away.
    Left {
        /// Why.
        reason: LeaveReason,
    },
    /// Answers `ping`.
    Pong {
        /// The number of the ping.
        t: u64,
        /// Highest `seq` received from this client.
        ack: u64,
    },
    /// The server shuts down; connections close within `grace_ms`. Connect again.
    Draining {
        /// Time left, in milliseconds.
        grace_ms: u64,
    },
    /// A request failed, or the connection is about to close.
    Error(Failure),
}

impl ServerMessage {
    /// The `type` of every server message.
    pub const TYPES: [&'static str; 20] = [
        "welcome",
        "hello_ok",
        "joined",
        "peer_joined",
        "peer_left",
        "peer_changed",
        "signal",
        "data",
        "rooms",
        "ice_servers",
        "waiting",
        "knock",
        "pair_found",
        "busy",
        "mute_request",
        "left",
        "pong",
        "draining",
        "error",
        "locked",
    ];
}

/// Contents of `hello_ok`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HelloOk {
    /// Names the session.
    pub session: SessionId,
    /// Needed to resume it; a secret.
    pub resume_token: ResumeToken,
    /// Names this peer to the others.
    pub peer_id: PeerId,
    /// Whether the session asked for continues; if not, join again.
    pub resumed: bool,
    /// Highest `seq` received from this client in this session: what comes after it is to be sent again.
    #[serde(default)]
    pub last_seq: u64,
    /// Time between pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// STUN and TURN servers to use.
    pub ice_servers: Vec<IceServer>,
    /// Unix time in seconds at which the credentials end; ask for others before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ice_expires: Option<u64>,
}

/// Contents of `joined`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The room.
    pub room: RoomName,
    /// Number of the newest change of the room; it grows with every change, also with this peer's own.
    pub rev: u64,
    /// This peer as the others see it.
    #[serde(rename = "self")]
    pub own: Peer,
    /// What this peer may do.
    pub permissions: Vec<Permission>,
    /// Everybody else, by id.
    pub peers: Vec<Peer>,
    /// How connections are to be made.
    pub policy: Policy,
    /// Whether newcomers have to wait.
    #[serde(default, skip_serializing_if = "is_false")]
    pub locked: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Contents of `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The `id` of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// For programs.
    pub code: ErrorCode,
    /// For people: one sentence.
    pub message: String,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether the connection closes after this.
    pub fatal: bool,
}

/// What a message of negotiation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Session description, `data.sdp`.
    Offer,
    /// Session description, `data.sdp`.
    Answer,
    /// ICE candidate, `data` as in `RTCIceCandidateInit`.
    Candidate,
    /// No more candidates.
    CandidatesEnd,
    /// The sender hears nothing of its peer on this connection: is it there? Answered by [`Pong`](Self::Pong).
    Ping,
    /// The peer's connection is there.
    Pong,
    /// The sender closed this connection.
    Bye,
}

/// One entry of `iceServers` as in `RTCConfiguration`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` and `turn:` addresses.
    pub urls: Vec<String>,
    /// User name for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password for TURN; a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// How the peers of a room connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Who connects to whom.
    pub topology: Topology,
    /// Most peers in the room.
    pub max: usize,
    /// WHEP address of the media server in topology `sfu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sfu: Option<String>,
}

/// Who connects to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Peers connect to each other.
    Mesh,
    /// Viewers connect to a media server.
    Sfu,
}

/// A room in the list of rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Its name.
    pub room: RoomName,
    /// The robots in it.
    pub robots: Vec<Peer>,
    /// Peers in it, robots included.
    pub peers: usize,
    /// Drivers in it: who has the wheel, and who waits for it. Absent if the server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers: Option<usize>,
    /// Viewers in it. Absent if the server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<usize>,
    /// Most peers in it.
    pub max: usize,
    /// Whether newcomers have to wait for a moderator.
    pub locked: bool,
}

/// What a moderator does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ModAction {
    /// Removes a peer and closes its connection.
    Kick {
        /// Whom.
        peer: PeerId,
    },
    /// Lets newcomers wait.
    Lock,
    /// Lets newcomers in.
    Unlock,
    /// Asks a peer to mute itself.
    MuteRequest {
        /// Whom.
        peer: PeerId,
    },
}
