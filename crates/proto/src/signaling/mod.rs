//! The wire protocol `rtcsig/1`: messages, limits and the rooms. docs/PROTOCOL.md describes it for other languages.
//!
//! A server and a client exchange one JSON object per WebSocket text frame. [`ClientFrame`] and [`ServerFrame`] are
//! what one such object holds; the server's side of the conversation is [`rooms::Rooms`].

mod code;
mod id;
mod json;
mod limits;
mod message;
mod negotiation;
mod peer;
pub mod rooms;

pub use code::ErrorCode;
pub use id::{ConnId, PeerId, ResumeToken, RoomName, RoomNameError, SessionId};
pub use json::{ClientFrame, ParseError, ServerFrame};
pub use limits::{Limits, Throttle};
pub use message::{
    ClientMessage, Failure, HelloOk, IceServer, Joined, ModAction, Policy, RoomInfo, ServerMessage,
    SignalKind, Topology,
};
pub use negotiation::{Initiative, Manners};
pub use peer::{Auth, ClientInfo, LeaveReason, Peer, Permission, Resume, Role};

/// Name and version of the protocol, as `hello.protocol` and `welcome.protocols` carry it.
pub const PROTOCOL: &str = "rtcsig/1";

/// WebSocket subprotocol that selects [`PROTOCOL`] in its JSON form.
pub const SUBPROTOCOL: &str = "rtcsig.v1.json";

/// Path of the WebSocket endpoint on a server.
pub const PATH: &str = "/v1/ws";
